from __future__ import annotations

import hashlib
import json
import os
from base64 import b64encode
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from nacl import bindings

from git_auths.core import bundle as bundles
from git_auths.core import dsse, foreign, timestamp, transparency, trustedroot
from git_auths.core.bundle import Bundle, LogEntry, MessageSignature
from git_auths.core.foreign import ForeignRefused
from git_auths.core.trustedroot import TrustedRoot
from tests.loopback import tsa
from tests.loopback.rekor import Log, dsse_body, hashedrekord_v2_body

FOLDER = os.environ.get("AUTHS_CONFORMANCE")  # read before the tests' clean environment drops it
ARTIFACT = b"the bytes of an artifact"
DIGESTS = {name: hashlib.new(name, ARTIFACT).digest() for name in ("sha256", "sha384", "sha512")}
SIGNED_AT = 1_790_000_000
PREDICATE = "https://slsa.dev/provenance/v1"

P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
P521 = ec.generate_private_key(ec.SECP521R1())
RSA = rsa.generate_private_key(65537, 2048)
ED25519 = ed25519.Ed25519PrivateKey.generate()
PSS = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)

Signs = Callable[[bytes], bytes]


def ed25519ph(message: bytes) -> bytes:
    state = bindings.crypto_sign_ed25519ph_state()
    bindings.crypto_sign_ed25519ph_update(state, message)
    secret = ED25519.private_bytes_raw() + ED25519.public_key().public_bytes_raw()
    return bindings.crypto_sign_ed25519ph_final_create(state, secret)


SCHEMES: dict[str, tuple[Any, Signs]] = {
    "P-256": (P256, lambda data: P256.sign(data, ec.ECDSA(hashes.SHA256()))),
    "P-384": (P384, lambda data: P384.sign(data, ec.ECDSA(hashes.SHA384()))),
    "P-384 as once": (P384, lambda data: P384.sign(data, ec.ECDSA(hashes.SHA256()))),
    "P-521": (P521, lambda data: P521.sign(data, ec.ECDSA(hashes.SHA512()))),
    "RSA": (RSA, lambda data: RSA.sign(data, padding.PKCS1v15(), hashes.SHA256())),
    "RSA-PSS": (RSA, lambda data: RSA.sign(data, PSS, hashes.SHA256())),
    "Ed25519": (ED25519, ED25519.sign),
    "Ed25519ph": (ED25519, ed25519ph),
}
EACH_SCHEME = pytest.mark.parametrize("scheme", SCHEMES)


def spki(key: Any) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def pem(key: Any) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def over_artifact(signature: bytes, algorithm: str = "SHA2_256", digest: bytes = DIGESTS["sha256"]) -> Bundle:
    return Bundle("0.3", "", (), (), (), None, MessageSignature(algorithm, digest, signature))


def statement(**fields: object) -> dict[str, object]:
    subject = {"name": "artifact", "digest": {"sha256": DIGESTS["sha256"].hex()}}
    return {"_type": foreign.STATEMENT_TYPES[0], "subject": [subject], "predicateType": PREDICATE,
            "predicate": {}} | fields  # fmt: skip


def in_envelope(sign: Signs, payload: bytes | None = None, payload_type: str = dsse.PAYLOAD_TYPE) -> Bundle:
    payload = json.dumps(statement()).encode() if payload is None else payload
    signature = dsse.Signature("", sign(dsse.pae(payload, payload_type)))
    return Bundle("0.3", "", (), (), (), bundles.Envelope(payload_type, payload, (signature,)), None)


def verify(bundle: Bundle, key: Any = P256, root: TrustedRoot | None = None) -> foreign.Verified:
    return foreign.verify(bundle, DIGESTS, pem(key), root, lambda: ARTIFACT)


def refusal(bundle: Bundle, key: Any = P256, root: TrustedRoot | None = None) -> tuple[str, str]:
    with pytest.raises(ForeignRefused) as caught:
        verify(bundle, key, root)
    return caught.value.link, caught.value.reason


def sign_p256(data: bytes) -> bytes:
    return P256.sign(data, ec.ECDSA(hashes.SHA256()))


def another_like(key: Any) -> Any:
    if key is ED25519:
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 2048) if key is RSA else ec.generate_private_key(key.curve)


@EACH_SCHEME
def test_a_signature_over_the_artifact_verifies_by_its_key_alone(scheme: str) -> None:
    key, sign = SCHEMES[scheme]
    assert verify(over_artifact(sign(ARTIFACT)), key) == foreign.Verified(foreign.Evidence())
    assert refusal(over_artifact(sign(b"another")), key) == (
        "signature",
        "it is not by this key, or over something else",
    )
    assert refusal(over_artifact(sign(ARTIFACT)), another_like(key))[0] == "signature"


@EACH_SCHEME
def test_an_envelopes_signature_verifies_by_its_key_alone(scheme: str) -> None:
    key, sign = SCHEMES[scheme]
    found = verify(in_envelope(sign), key)
    assert found.predicate_type == PREDICATE
    assert found.statement == statement()
    bundle = in_envelope(sign)
    assert bundle.envelope is not None
    changed = bundle._replace(envelope=bundle.envelope._replace(payload=bundle.envelope.payload + b" "))
    assert refusal(changed, key) == ("signature", "it is not by this key, or over something else")


def test_a_digest_is_enough_for_all_but_ed25519() -> None:
    assert foreign.verify(over_artifact(sign_p256(ARTIFACT)), DIGESTS, pem(P256), None)
    with pytest.raises(ForeignRefused, match="needs the artifact itself"):
        foreign.verify(over_artifact(ED25519.sign(ARTIFACT)), DIGESTS, pem(ED25519), None)


def test_the_artifact_is_read_only_for_ed25519() -> None:
    def read() -> bytes:
        raise AssertionError("read")

    foreign.verify(over_artifact(sign_p256(ARTIFACT)), DIGESTS, pem(P256), None, read)


@pytest.mark.parametrize("signature", [b"\0", bytes(63), bytes(64), bytes(65), b"\x30" * 300])
@pytest.mark.parametrize("key", [P256, RSA, ED25519], ids=["P-256", "RSA", "Ed25519"])
def test_bytes_that_are_no_signature_are_refused(key: Any, signature: bytes) -> None:
    assert refusal(over_artifact(signature), key)[0] == "signature"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a public key"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "not a public key"),
        (pem(dsa.generate_private_key(1024)), "none of P-256"),
        (pem(rsa.generate_private_key(65537, 1024)), "none of P-256"),
        (pem(ec.generate_private_key(ec.SECP256K1())), "none of P-256"),
        (bytes(64 * 1024 + 1), "longer than"),
    ],
    ids=["empty", "rubbish", "DSA", "RSA-1024", "secp256k1", "long"],
)
def test_what_is_no_key_of_a_known_kind_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ForeignRefused, match=reason):
        foreign.verify(over_artifact(sign_p256(ARTIFACT)), DIGESTS, data, None)


def test_a_certificates_bundle_is_not_one_of_a_plain_key() -> None:
    keyless = over_artifact(sign_p256(ARTIFACT))._replace(hint=None, certificates=(b"x",))
    assert refusal(keyless) == ("signature", "it is signed with a certificate, not with a plain key")


@pytest.mark.parametrize("algorithm", foreign.HASHES)
def test_a_bundle_that_names_another_artifact_is_refused(algorithm: str) -> None:
    name = foreign.HASHES[algorithm]
    assert verify(over_artifact(sign_p256(ARTIFACT), algorithm, DIGESTS[name]))
    other = over_artifact(sign_p256(ARTIFACT), algorithm, hashlib.new(name, b"other").digest())
    assert refusal(other) == ("file", "it is for another artifact")


def test_a_bundle_need_not_name_its_artifact() -> None:
    assert verify(over_artifact(sign_p256(ARTIFACT), "", b""))


def test_a_digest_that_cannot_be_compared_is_refused() -> None:
    assert refusal(over_artifact(sign_p256(ARTIFACT), "SHA3_256", bytes(32)))[0] == "file"


def hexes(*names: str) -> dict[str, str]:
    return {name: DIGESTS[name].hex() for name in names}


@pytest.mark.parametrize(
    "digest",
    [hexes("sha256"), hexes("sha512"), hexes("sha384", "sha512"), hexes("sha256") | {"gitCommit": "ab" * 20}],
)
def test_a_statement_names_its_artifact_by_any_digest_that_can_be_compared(digest: dict[str, str]) -> None:
    subjects = [{"name": "other", "digest": {"sha256": "00" * 32}}, {"digest": digest}]
    assert verify(in_envelope(sign_p256, json.dumps(statement(subject=subjects)).encode()))


def test_statements_of_version_0_1_are_read() -> None:
    old = statement(_type="https://in-toto.io/Statement/v0.1")
    assert verify(in_envelope(sign_p256, json.dumps(old).encode())).predicate_type == PREDICATE


@pytest.mark.parametrize(
    "digest",
    [
        {"sha256": "00" * 32},
        {"sha256": DIGESTS["sha512"].hex()},
        {"gitBlob": DIGESTS["sha256"].hex()},
        {"sha256": [DIGESTS["sha256"].hex()]},
        hexes("sha256") | {"sha512": "00" * 64},
        {},
    ],
)
def test_a_statement_about_another_artifact_is_refused(digest: dict[str, object]) -> None:
    other = in_envelope(sign_p256, json.dumps(statement(subject=[{"name": "x", "digest": digest}])).encode())
    assert refusal(other) == ("file", "the artifact is not among the subjects of the statement")


GOOD_SUBJECT = {"name": "artifact", "digest": hexes("sha256")}


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"text", "the statement: "),
        (b"[]", "not an in-toto statement"),
        (b'{"_type":"a","_type":"b"}', "twice"),
        (json.dumps(statement(_type="https://in-toto.io/Statement/v2")).encode(), "not an in-toto statement"),
        (json.dumps(statement(_type=[])).encode(), "not an in-toto statement"),
        (json.dumps(statement(predicateType="")).encode(), "no predicateType"),
        (json.dumps(statement(predicateType="a\nb")).encode(), "no predicateType"),
        (json.dumps(statement(predicateType=1)).encode(), "no predicateType"),
        (json.dumps(statement(subject=[])).encode(), "1 to 1024 subjects"),
        (json.dumps(statement(subject={})).encode(), "1 to 1024 subjects"),
        (json.dumps(statement(subject=[GOOD_SUBJECT] * 1025)).encode(), "1 to 1024 subjects"),
        (json.dumps(statement(subject=["x"])).encode(), "a subject of the statement"),
        (json.dumps(statement(subject=[{"digest": {str(n): "x" for n in range(33)}}])).encode(), "at most 32 digests"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_statement_is_refused_though_signed(payload: bytes, reason: str) -> None:
    link, said = refusal(in_envelope(sign_p256, payload))
    assert link == "bundle" and reason in said


def test_an_envelope_of_another_type_is_no_statement_whatever_it_holds() -> None:
    payload = json.dumps(statement()).encode()
    assert "payload type" in refusal(in_envelope(sign_p256, payload, "application/json"))[1]


class Witnesses:
    """A log of each version and a time stamping authority, and the trusted root that names them."""

    def __init__(self, folder: Path) -> None:
        self.v1, self.v2 = Log("one.example", 1), Log("two.example", 2)
        self.tsa = tsa.Authority(folder)
        self.v1.time_seconds = self.tsa.time_seconds = SIGNED_AT

    @property
    def root(self) -> TrustedRoot:
        logs = tuple(transparency.log_from_json(log.instance()) for log in (self.v1, self.v2))
        return TrustedRoot(logs, (timestamp.authority_from_pem(self.tsa.pem, "tsa.example"),))

    def artifact(self, logged: Sequence[Log] = (), stamped: bool = False) -> Bundle:
        signature = sign_p256(ARTIFACT)
        entries = [self._artifact_entry(log, signature) for log in logged]
        stamps = (self.tsa.stamp(signature),) if stamped else ()
        return over_artifact(signature)._replace(entries=tuple(entries), timestamps=stamps)

    def envelope(self, logged: Sequence[Log] = (), stamped: bool = False) -> Bundle:
        bundle = in_envelope(sign_p256)
        assert bundle.envelope is not None
        signature = bundle.envelope.signatures[0].sig
        entries = []
        for log in logged:
            body = dsse_body(bundle.envelope.payload, signature, pem(P256))
            if log.version == 2:
                body = v2_body(hashlib.sha256(dsse.pae(bundle.envelope.payload)).digest(), signature)
            entries.append(log.entry(log.append(body)))
        stamps = (self.tsa.stamp(signature),) if stamped else ()
        return bundle._replace(entries=tuple(entries), timestamps=stamps)

    def _artifact_entry(self, log: Log, signature: bytes) -> LogEntry:
        if log.version == 2:
            return log.entry(log.append(v2_body(DIGESTS["sha256"], signature)))
        spec = {
            "data": {"hash": {"algorithm": "sha256", "value": DIGESTS["sha256"].hex()}},
            "signature": {"content": base64(signature), "publicKey": {"content": base64(pem(P256))}},
        }
        return log.entry(log.append({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": spec}))


def base64(data: bytes) -> str:
    return b64encode(data).decode()


def v2_body(digest: bytes, signature: bytes) -> dict[str, object]:
    verifier = {"publicKey": {"rawBytes": base64(spki(P256))}, "keyDetails": "PKIX_ECDSA_P256_SHA_256"}
    return hashedrekord_v2_body(digest, signature, verifier)


@pytest.fixture
def witnesses(tmp_path: Path) -> Witnesses:
    return Witnesses(tmp_path)


@pytest.mark.parametrize("content", ["artifact", "envelope"])
def test_logs_and_authorities_are_named_with_their_times(witnesses: Witnesses, content: str) -> None:
    found = verify(getattr(witnesses, content)([witnesses.v1, witnesses.v2], stamped=True), root=witnesses.root)
    assert found.evidence.logs == ("one.example", "two.example")
    assert sorted(found.evidence.stamps) == [(SIGNED_AT, "one.example"), (SIGNED_AT, "tsa.example")]


def test_without_a_trusted_root_no_evidence_is_looked_at_or_named(witnesses: Witnesses) -> None:
    assert verify(witnesses.artifact([witnesses.v1], stamped=True)).evidence == foreign.Evidence()


def test_with_a_trusted_root_a_log_entry_is_required(witnesses: Witnesses) -> None:
    bundle = witnesses.artifact([], stamped=True)
    assert refusal(bundle, root=witnesses.root) == ("log", "it holds no entry of a transparency log")


def test_an_entry_without_a_time_needs_a_timestamp_beside_it(witnesses: Witnesses) -> None:
    assert verify(witnesses.artifact([witnesses.v2], stamped=True), root=witnesses.root)
    assert refusal(witnesses.artifact([witnesses.v2]), root=witnesses.root)[0] == "timestamp"


def test_the_time_of_an_entry_that_no_promise_signs_is_no_time(witnesses: Witnesses) -> None:
    bundle = witnesses.artifact([witnesses.v1])
    bare = bundle._replace(entries=(bundle.entries[0]._replace(signed_entry_timestamp=None),))
    assert bare.entries[0].integrated_time == SIGNED_AT
    assert refusal(bare, root=witnesses.root)[0] == "timestamp"


@pytest.mark.parametrize("content", ["artifact", "envelope"])
def test_each_timestamp_must_hold_though_a_log_says_when(witnesses: Witnesses, content: str) -> None:
    bundle = getattr(witnesses, content)([witnesses.v1])
    other = bundle._replace(timestamps=(witnesses.tsa.stamp(b"another signature"),))
    assert refusal(other, root=witnesses.root) == ("timestamp", "it is for another signature")
    unknown = witnesses.root._replace(authorities=())
    assert refusal(getattr(witnesses, content)([witnesses.v1], stamped=True), root=unknown)[0] == "timestamp"


def test_each_entry_must_hold(witnesses: Witnesses) -> None:
    good, other = witnesses.artifact([witnesses.v1]), witnesses.artifact([witnesses.v1])
    bundle = good._replace(entries=(*good.entries, *other.entries))
    link, reason = refusal(bundle, root=witnesses.root)
    assert link == "log" and reason.endswith("its signature is another one")


def test_an_entry_in_a_log_that_is_not_trusted_is_refused(witnesses: Witnesses) -> None:
    bundle = witnesses.artifact([witnesses.v1, witnesses.v2], stamped=True)
    root = witnesses.root
    link, reason = refusal(bundle, root=root._replace(logs=root.logs[:1]))
    assert link == "log" and "not pinned" in reason


def test_an_entry_without_a_time_must_be_by_a_key_that_was_valid_at_the_timestamp(witnesses: Witnesses) -> None:
    bundle = witnesses.artifact([witnesses.v2], stamped=True)
    root = witnesses.root
    retired = root.logs[1]._replace(valid_until=SIGNED_AT - 1)
    reason = refusal(bundle, root=root._replace(logs=(root.logs[0], retired)))
    assert reason == ("log", "the key of two.example was not valid when it was signed")


@pytest.mark.skipif(FOLDER is None, reason="AUTHS_CONFORMANCE names no folder with bundles of others")
def test_bundles_of_others_get_the_verdict_that_their_name_says() -> None:
    folder = Path(str(FOLDER), "sigstore")
    artifact = (folder / "a.txt").read_bytes()
    digests = {name: hashlib.new(name, artifact).digest() for name in DIGESTS}
    cases = sorted(case.parent for case in folder.glob("*/key.pub"))
    assert cases
    for case in cases:
        own = case / "trusted_root.json"
        root = trustedroot.parse((own if own.exists() else folder / "production-trusted_root.json").read_bytes())
        try:
            bundle = bundles.parse((case / "bundle.sigstore.json").read_bytes())
            foreign.verify(bundle, digests, (case / "key.pub").read_bytes(), root)
        except (ForeignRefused, bundles.BundleInvalid):
            assert case.name.endswith("_fail"), case.name
        else:
            assert not case.name.endswith("_fail"), case.name
