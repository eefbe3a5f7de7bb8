from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

from git_auths.core import dsse
from git_auths.core.sshsig import P256_ORDER, fingerprint, string
from tests.realgit import run

PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1"}'

Signer = tuple[bytes, Callable[[bytes], bytes]]


def ssh_blob(public: ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey) -> bytes:
    line = public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return base64.b64decode(line.split()[1])


def ed25519_signer() -> Signer:
    key = ed25519.Ed25519PrivateKey.generate()
    return ssh_blob(key.public_key()), key.sign


def p256_signer() -> Signer:
    key = ec.generate_private_key(ec.SECP256R1())
    return ssh_blob(key.public_key()), lambda data: key.sign(data, ec.ECDSA(SHA256()))


SIGNERS = pytest.mark.parametrize("new_signer", [ed25519_signer, p256_signer])


def test_the_signed_bytes_are_those_of_the_specification() -> None:
    # DSSE protocol.md gives this example of the pre-authentication encoding.
    signed = dsse.pae(b"hello world", "http://example.com/HelloWorld")
    assert signed == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_lengths_in_the_signed_bytes_count_bytes() -> None:
    assert dsse.pae("\u00e9".encode(), "t\u00e9") == b"DSSEv1 3 t\xc3\xa9 2 \xc3\xa9"


@SIGNERS
def test_what_a_key_signed_verifies_by_that_key_alone(new_signer: Callable[[], Signer]) -> None:
    blob, sign = new_signer()
    other, _ = new_signer()
    envelope = dsse.sign(PAYLOAD, blob, sign)
    assert dsse.verify(envelope, blob)
    assert not dsse.verify(envelope, other)
    assert [s.keyid for s in envelope.signatures] == [fingerprint(blob)]


@SIGNERS
def test_a_changed_payload_or_signature_does_not_verify(new_signer: Callable[[], Signer]) -> None:
    blob, sign = new_signer()
    envelope = dsse.sign(PAYLOAD, blob, sign)
    (signature,) = envelope.signatures
    broken = dsse.Signature(signature.keyid, signature.sig[:-1] + bytes([signature.sig[-1] ^ 1]))
    assert not dsse.verify(dsse.Envelope(PAYLOAD + b" ", envelope.signatures), blob)
    assert not dsse.verify(dsse.Envelope(PAYLOAD, (broken,)), blob)


@SIGNERS
def test_a_signature_over_the_bare_payload_does_not_verify(new_signer: Callable[[], Signer]) -> None:
    blob, sign = new_signer()
    envelope = dsse.Envelope(PAYLOAD, (dsse.Signature(fingerprint(blob), sign(PAYLOAD)),))
    assert not dsse.verify(envelope, blob)


@SIGNERS
def test_signing_with_another_key_than_the_named_one_is_an_error(new_signer: Callable[[], Signer]) -> None:
    blob, _ = new_signer()
    _, sign = new_signer()
    with pytest.raises(ValueError, match="what signed is not the key SHA256:"):
        dsse.sign(PAYLOAD, blob, sign)


def test_an_envelope_too_long_for_a_note_is_not_made() -> None:
    blob, sign = ed25519_signer()
    with pytest.raises(ValueError, match="longer than 65536 bytes"):
        dsse.sign(b"x" * 49152, blob, sign)


def test_a_signature_without_a_hint_is_tried() -> None:
    blob, sign = ed25519_signer()
    envelope = dsse.Envelope(PAYLOAD, (dsse.Signature("", sign(dsse.pae(PAYLOAD))),))
    assert dsse.verify(envelope, blob)


def test_a_signature_that_names_another_key_is_not_tried() -> None:
    blob, sign = ed25519_signer()
    other, _ = ed25519_signer()
    envelope = dsse.Envelope(PAYLOAD, (dsse.Signature(fingerprint(other), sign(dsse.pae(PAYLOAD))),))
    assert not dsse.verify(envelope, blob)


def test_one_of_several_signatures_is_enough() -> None:
    first, second = ed25519_signer(), p256_signer()
    signatures = tuple(dsse.sign(PAYLOAD, *signer).signatures[0] for signer in (first, second))
    envelope = dsse.Envelope(PAYLOAD, signatures)
    assert dsse.verify(envelope, first[0])
    assert dsse.verify(envelope, second[0])


def test_ecdsa_with_a_high_s_verifies() -> None:
    blob, sign = p256_signer()
    r, s = decode_dss_signature(sign(dsse.pae(PAYLOAD)))
    for each in (s, P256_ORDER - s):
        envelope = dsse.Envelope(PAYLOAD, (dsse.Signature("", encode_dss_signature(r, each)),))
        assert dsse.verify(envelope, blob)


@pytest.mark.parametrize("spoil", [
    lambda der: der + b"\0",
    lambda der: b"\x30\x81" + der[1:],  # BER: the long form of a short length
    lambda der: b"",
    lambda der: encode_dss_signature(0, 0),
    lambda der: bytes.fromhex("30060201ff0201ff"),
    lambda der: b"".join(n.to_bytes(32, "big") for n in decode_dss_signature(der)),  # as KERI has it
], ids=["bytes after it", "BER", "empty", "zero", "negative", "raw"])  # fmt: skip
def test_ecdsa_that_is_not_der_does_not_verify(spoil: Callable[[bytes], bytes]) -> None:
    blob, sign = p256_signer()
    envelope = dsse.Envelope(PAYLOAD, (dsse.Signature("", spoil(sign(dsse.pae(PAYLOAD)))),))
    assert not dsse.verify(envelope, blob)


@pytest.mark.parametrize("public", [
    bytes(32),
    (1).to_bytes(32, "little"),
    (2**255 - 20).to_bytes(32, "little"),
    (2**255 - 18).to_bytes(32, "little"),  # 1, not reduced
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
], ids=["order 4", "order 1", "order 2", "not canonical", "order 8"])  # fmt: skip
def test_a_small_order_key_verifies_nothing(public: bytes) -> None:
    # With A of small order, R = A-free and s = 0 satisfy the equation for a share of all messages.
    blob = string(b"ssh-ed25519") + string(public)
    neutral = (1).to_bytes(32, "little") + bytes(32)
    for number in range(64):
        envelope = dsse.Envelope(b"%d" % number, (dsse.Signature("", neutral),))
        assert not dsse.verify(envelope, blob)


@pytest.mark.parametrize("spoil", [
    lambda blob: b"",
    lambda blob: blob[:-1],
    lambda blob: blob + b"\0",
    lambda blob: blob + string(b""),
    lambda blob: blob.replace(b"nistp256", b"nistp384").replace(b"ed25519", b"ed25510"),
    lambda blob: b"\xff\xff\xff\xff" + blob,
], ids=["empty", "cut", "longer", "a field more", "another type", "impossible length"])  # fmt: skip
@SIGNERS
def test_a_key_that_is_not_well_formed_verifies_nothing(
    new_signer: Callable[[], Signer], spoil: Callable[[bytes], bytes]
) -> None:
    blob, sign = new_signer()
    envelope = dsse.Envelope(PAYLOAD, (dsse.Signature("", sign(dsse.pae(PAYLOAD))),))
    assert not dsse.verify(envelope, spoil(blob))


@pytest.mark.parametrize("kind", [b"ssh-rsa", b"sk-ssh-ed25519@openssh.com"])
def test_other_types_of_ssh_keys_verify_nothing(kind: bytes) -> None:
    blob = string(kind) + string(bytes(32)) + string(b"ssh:")
    assert not dsse.verify(dsse.Envelope(PAYLOAD, (dsse.Signature("", bytes(64)),)), blob)


def written(**changes: object) -> bytes:
    value = {
        "payload": "eyJ9",
        "payloadType": dsse.PAYLOAD_TYPE,
        "signatures": [{"keyid": "", "sig": "AAAA"}],
        **changes,
    }
    return json.dumps(value).encode()


def test_the_order_of_keys_and_white_space_do_not_matter() -> None:
    line = b'{ "signatures": [{"sig": "AAAA", "keyid": "k"}], "payloadType": "%b", "payload": "e30=" }'
    envelope = dsse.parse(line % dsse.PAYLOAD_TYPE.encode())
    assert envelope == dsse.Envelope(b"{}", (dsse.Signature("k", b"\0\0\0"),))


@pytest.mark.parametrize("line", [
    b"",
    b"\n",
    b"[]",
    b"null",
    b"rubbish",
    b"{",
    b"{}",
    b"\xef\xbb\xbf" + written(),
    b" " + written(),
    written()[:-1],
    written() + b"{}",
    written(extra=1),
    b'{"payload":"e30=","signatures":[{"keyid":"","sig":"AAAA"}]}',
    written(payloadType="text/plain"),
    written(payloadType=None),
    written(payload=""),
    written(payload=1),
    written(payload="e30"),
    written(payload="e31="),
    written(payload="e30=\n"),
    written(payload="-_-_"),
    written(payload="\u00e9\u00e9\u00e9\u00e9"),
    written(signatures=[]),
    written(signatures={}),
    written(signatures=[1]),
    written(signatures=[{"sig": "AAAA"}]),
    written(signatures=[{"keyid": "", "sig": "AAAA", "cert": ""}]),
    written(signatures=[{"keyid": 1, "sig": "AAAA"}]),
    written(signatures=[{"keyid": "\n", "sig": "AAAA"}]),
    written(signatures=[{"keyid": "\u00e9", "sig": "AAAA"}]),
    written(signatures=[{"keyid": "k" * 129, "sig": "AAAA"}]),
    written(signatures=[{"keyid": "", "sig": ""}]),
    written(signatures=[{"keyid": "", "sig": None}]),
    written(signatures=[{"keyid": "k", "sig": "AAAA"}, {"keyid": "k", "sig": "BBBB"}]),
    written(signatures=[{"keyid": str(n), "sig": "AAAA"} for n in range(17)]),
    written().replace(b'"payload":', b'"payload": "e30=", "payload":'),
    written().replace(b'"sig":', b'"sig": "AAAA", "sig":'),
    written().replace(b'"payload":', b'"payload\xff":'),
])  # fmt: skip
def test_what_is_not_an_envelope_is_refused(line: bytes) -> None:
    with pytest.raises(dsse.EnvelopeInvalid):
        dsse.parse(line)


def test_sixteen_signatures_are_read() -> None:
    entries = [{"keyid": str(n), "sig": "AAAA"} for n in range(16)]
    assert len(dsse.parse(written(signatures=entries)).signatures) == 16


def test_a_line_over_64_kib_is_refused() -> None:
    room = dsse.MAX_ENVELOPE_BYTES - len(written(payload=""))
    assert dsse.parse(written(payload="A" * (room // 4 * 4)))
    with pytest.raises(dsse.EnvelopeInvalid, match="longer than 65536 bytes"):
        dsse.parse(written(payload="A" * (room // 4 * 4 + 4)))


@pytest.mark.parametrize("line", [
    b'{"a":' * 13000,
    b'{"a":' + b"[" * 65000,
    b'{"' + b'\\"' * 32000 + b"[" * 100,
    b'{"a":"' + b'\\"' * 32000,
    b'{"a":' + b"9" * 65000 + b"}",
    b'{"a":1e' + b"9" * 65000 + b"}",
    b"{" + b",".join(b'"%d":0' % n for n in range(6500)) + b"}",
], ids=["objects", "lists", "escapes, lists", "endless string", "digits", "exponent", "keys"])  # fmt: skip
def test_a_bomb_is_refused_at_once(line: bytes) -> None:
    assert len(line) <= dsse.MAX_ENVELOPE_BYTES
    started = time.process_time()
    with pytest.raises(dsse.EnvelopeInvalid):
        dsse.parse(line)
    assert time.process_time() - started < 0.1


@pytest.mark.parametrize(("text", "reason"), [
    (b'{"a":NaN}', "NaN is not JSON"),
    (b'{"a":-Infinity}', "-Infinity is not JSON"),
    (b'{"a":1e999}', "out of range"),
    (b'{"a":1234567890123456789}', "more than 18 digits"),
    (b'{"a":"\\ud800"}', "lone surrogate"),
    (b'{"\\udc00":1}', "lone surrogate"),
    (b'{"a":1,"\\u0061":2}', "appears twice"),
    (b'{"a":"\x80"}', "not UTF-8"),
    (b"[" * 33 + b"]" * 33, "nested deeper than 32"),
    (b'{"a":"]]]]"' + b',"b":[' * 33, "nested deeper than 32"),
    (b"{} {}", "Extra data"),
])  # fmt: skip
def test_json_that_readers_could_take_in_two_ways_is_refused(text: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        dsse.load_json(text)


@pytest.mark.parametrize("text", [
    b"[" * 32 + b"]" * 32,
    b"[" + b"[]," * 100 + b"[]]",
    b'{"a":"' + b"[" * 100 + b'\\"' + b"{" * 100 + b'"}',
    b'{"a":"\\ud83d\\ude00","b":-123456789012345678,"c":0.9,"d":null}',
])  # fmt: skip
def test_ordinary_json_is_read(text: bytes) -> None:
    assert dsse.load_json(text) == json.loads(text)


SIGNATURES = st.lists(
    st.builds(dsse.Signature, st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=128),
              st.binary(min_size=1, max_size=80)),
    min_size=1, max_size=16, unique_by=lambda signature: signature.keyid,
)  # fmt: skip


@given(st.binary(min_size=1, max_size=4000), SIGNATURES)
def test_an_envelope_survives_writing_and_reading(payload: bytes, signatures: list[dsse.Signature]) -> None:
    envelope = dsse.Envelope(payload, tuple(signatures))
    line = dsse.serialise(envelope)
    assert b"\n" not in line
    assert dsse.parse(line) == envelope
    assert dsse.serialise(dsse.parse(line)) == line


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_crash_the_parser(line: bytes) -> None:
    for each in (line, b"{" + line, written().replace(b"eyJ9", line)):
        with contextlib.suppress(dsse.EnvelopeInvalid):
            dsse.parse(each)


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    sock = tmp_path / "agent.sock"
    started = run("ssh-agent", "-s", "-a", sock).stdout.decode()
    pid = int(started.split("SSH_AGENT_PID=")[1].split(";")[0])
    monkeypatch.setenv("SSH_AUTH_SOCK", str(sock))
    yield
    os.kill(pid, signal.SIGTERM)


@pytest.mark.parametrize("key_type", ["ed25519", "ecdsa"])
def test_what_ssh_agent_signs_becomes_an_envelope_that_openssl_verifies(
    key_type: str, tmp_path: Path, agent: None
) -> None:
    from git_auths.store import sshagent

    key = tmp_path / "key"
    run("ssh-keygen", "-q", "-t", key_type, "-N", "", "-f", key)
    run("ssh-add", "-q", key)
    public = key.with_suffix(".pub").read_bytes()
    blob = base64.b64decode(public.split()[1])
    printed = run("ssh-keygen", "-l", "-f", key).stdout.decode().split()[1]

    def sign_bytes(data: bytes) -> bytes:
        answer = sshagent.sign(blob, data)
        assert answer is not None
        return dsse.signature_from_ssh(answer)

    for number in range(8):  # a P-256 mpint has a leading zero byte half of the time
        envelope = dsse.sign(b"%d" % number, blob, sign_bytes)
        assert envelope.signatures[0].keyid == printed
    loaded = serialization.load_ssh_public_key(public)
    pem = loaded.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(pem)
    (tmp_path / "pae").write_bytes(dsse.pae(envelope.payload))
    (tmp_path / "sig").write_bytes(envelope.signatures[0].sig)
    digest = [] if key_type == "ed25519" else ["-digest", "sha256"]
    subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-in", "pae",
                    "-sigfile", "sig", *digest], cwd=tmp_path, check=True)  # fmt: skip


@pytest.mark.parametrize("blob", [
    b"",
    string(b"ssh-ed25519"),
    string(b"ssh-rsa") + string(bytes(256)),
    string(b"ecdsa-sha2-nistp256") + string(bytes(64)),
    string(b"ecdsa-sha2-nistp384") + string(string(b"\1") + string(b"\1")),
], ids=["empty", "cut", "RSA", "no mpints", "P-384"])  # fmt: skip
def test_an_answer_of_another_kind_is_not_made_into_a_signature(blob: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        dsse.signature_from_ssh(blob)
