"""SSHSIG: one set of signatures for two implementations, ours and ssh-keygen's, and what we refuse beyond it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from git_auths.core import opensshkey, sshsig
from git_auths.core.sshsig import P256_ORDER, BadSignature, NotCanonical, string
from tests.realgit import run

MESSAGE = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\nwork\n"
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493

EDWARDS = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
WEIERSTRASS = ec.derive_private_key(20261121, ec.SECP256R1())
P384 = ec.derive_private_key(20261121, ec.SECP384R1())
RSA = rsa.generate_private_key(65537, 2048)
SHORT_RSA = rsa.generate_private_key(65537, 1024)

Check = Callable[[bytes, str, bytes], bool]


@pytest.fixture(params=["ours", "ssh-keygen"])
def good(request: pytest.FixtureRequest, tmp_path: Path) -> Check:
    """Does the armored text sign the message in this namespace? By the one implementation, and by the other."""

    def ours(text: bytes, namespace: str, message: bytes) -> bool:
        try:
            sshsig.check(text, namespace.encode(), message)
        except BadSignature:
            return False
        return True

    def ssh_keygen(text: bytes, namespace: str, message: bytes) -> bool:
        file = tmp_path / "signature"
        file.write_bytes(text)
        command = ("ssh-keygen", "-Y", "check-novalidate", "-n", namespace, "-s", file)
        return run(*command, stdin=message, code=None).returncode == 0

    return ours if request.param == "ours" else ssh_keygen


def mpint(number: int) -> bytes:
    """RFC 4251 section 5."""
    return string(number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True) if number else b"")


def raw_public(key: ed25519.Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def rsa_blob(key: rsa.RSAPrivateKey) -> bytes:
    numbers = key.public_key().public_numbers()
    return string(b"ssh-rsa") + mpint(numbers.e) + mpint(numbers.n)


ED_BLOB = string(b"ssh-ed25519") + string(raw_public(EDWARDS))
EC_BLOB = string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(point(WEIERSTRASS))
SK_ED = b"sk-ssh-ed25519@openssh.com"
SK_EC = b"sk-ecdsa-sha2-nistp256@openssh.com"
SK_ED_BLOB = string(SK_ED) + string(raw_public(EDWARDS)) + string(b"ssh:")
SK_EC_BLOB = string(SK_EC) + string(b"nistp256") + string(point(WEIERSTRASS)) + string(b"ssh:")


def ecdsa(data: bytes, high: bool | None = None, key: ec.EllipticCurvePrivateKey = WEIERSTRASS) -> tuple[int, int]:
    """r and s; s above or below half of the order, where `high` says which."""
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return (r, s) if high is None or high == (s > P256_ORDER // 2) else (r, P256_ORDER - s)


def pair(numbers: tuple[int, int]) -> bytes:
    return mpint(numbers[0]) + mpint(numbers[1])


def rsa_raw(name: bytes, algorithm: hashes.HashAlgorithm, data: bytes, key: rsa.RSAPrivateKey = RSA) -> bytes:
    return string(name) + string(key.sign(data, padding.PKCS1v15(), algorithm))


def sk_data(data: bytes, flags: int, application: bytes = b"ssh:", counter: int = 7) -> bytes:
    """What a FIDO token signs (PROTOCOL.u2f): the application's hash, flags, counter, the message's hash."""
    tail = bytes([flags]) + counter.to_bytes(4, "big")
    return hashlib.sha256(application).digest() + tail + hashlib.sha256(data).digest()


def sk_ed(data: bytes, flags: int = 1, name: bytes = SK_ED) -> bytes:
    signature = EDWARDS.sign(sk_data(data, flags))
    return string(name) + string(signature) + bytes([flags]) + (7).to_bytes(4, "big")


def sk_ec(data: bytes, flags: int = 1) -> bytes:
    signature = pair(ecdsa(sk_data(data, flags)))
    return string(SK_EC) + string(signature) + bytes([flags]) + (7).to_bytes(4, "big")


def ed(data: bytes) -> bytes:
    return string(b"ssh-ed25519") + string(EDWARDS.sign(data))


def made(blob: bytes, raw: Callable[[bytes], bytes], hash_name: bytes = b"sha512") -> bytes:
    return sshsig.encode(blob, b"git", raw(sshsig.signed_data(MESSAGE, b"git", hash_name)), hash_name)


def ec_raw(numbers: tuple[int, int]) -> bytes:
    return string(b"ecdsa-sha2-nistp256") + string(pair(numbers))


GOOD = {
    "ed25519": made(ED_BLOB, ed),
    "ed25519 over sha256": made(ED_BLOB, ed, b"sha256"),
    "ecdsa, low s": made(EC_BLOB, lambda data: ec_raw(ecdsa(data, high=False))),
    "ecdsa, high s": made(EC_BLOB, lambda data: ec_raw(ecdsa(data, high=True))),
    "rsa-sha2-512": made(rsa_blob(RSA), lambda data: rsa_raw(b"rsa-sha2-512", hashes.SHA512(), data)),
    "rsa-sha2-256": made(rsa_blob(RSA), lambda data: rsa_raw(b"rsa-sha2-256", hashes.SHA256(), data)),
    "sk-ed25519": made(SK_ED_BLOB, sk_ed),
    "sk-ed25519, user verified": made(SK_ED_BLOB, lambda data: sk_ed(data, flags=5)),
    "sk-ecdsa": made(SK_EC_BLOB, sk_ec),
}  # fmt: skip


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_a_good_signature_is_good_for_its_message_and_namespace_alone(text: bytes, good: Check) -> None:
    assert good(text, "git", MESSAGE)
    assert not good(text, "git", MESSAGE + b"\n")
    assert not good(text, "file", MESSAGE)


@pytest.mark.parametrize("hash_name", ["sha512", "sha256"])
@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_what_ssh_keygen_signs_is_good(kind: str, hash_name: str, tmp_path: Path, good: Check) -> None:
    run("ssh-keygen", "-q", "-t", kind, *(("-b", "2048") if kind == "rsa" else ()), "-N", "", "-f", tmp_path / "key")
    (tmp_path / "file").write_bytes(MESSAGE)
    options = ("-n", "git", "-O", f"hashalg={hash_name}", "-f", tmp_path / "key")
    run("ssh-keygen", "-q", "-Y", "sign", *options, tmp_path / "file")
    text = (tmp_path / "file.sig").read_bytes()
    assert good(text, "git", MESSAGE)
    assert not good(text, "git", MESSAGE[1:])
    parsed = sshsig.parse(sshsig.dearmor(text))
    assert parsed.hash_name == hash_name.encode()
    assert sshsig.encode(parsed.key, parsed.namespace, parsed.raw, parsed.hash_name) == text
    listed = run("ssh-keygen", "-l", "-f", tmp_path / "key").stdout.decode().split()
    assert sshsig.fingerprint(parsed.key) == listed[1]


@pytest.mark.parametrize("hash_name", [b"sha512", b"sha256"])
@pytest.mark.parametrize("kind", [opensshkey.ED25519, opensshkey.P256])
def test_what_an_identity_signs_is_good(kind: str, hash_name: bytes, good: Check) -> None:
    private = opensshkey.generate(kind)
    for _ in range(8):  # half of all ECDSA signatures have a number with its top bit set
        assert good(made(private.public_blob, private.sign, hash_name), "git", MESSAGE)


def blob_with(key: bytes = ED_BLOB, namespace: bytes = b"git", reserved: bytes = b"", hash_name: bytes = b"sha512",
              version: int = 1, raw: bytes | None = None, after: bytes = b"") -> bytes:  # fmt: skip
    """An SSHSIG blob, good but for what is given."""
    raw = ed(sshsig.signed_data(MESSAGE, b"git")) if raw is None else raw
    fields = b"".join(map(string, (key, namespace, reserved, hash_name, raw)))
    return sshsig.MAGIC + version.to_bytes(4, "big") + fields + after


DATA = sshsig.signed_data(MESSAGE, b"git")
R, S = ecdsa(DATA)
ED_SIGNATURE = EDWARDS.sign(DATA)
P384_BLOB = string(b"ecdsa-sha2-nistp384") + string(b"nistp384") + string(point(P384))
OFF_CURVE = b"\x04" + point(WEIERSTRASS)[1:-1] + bytes([point(WEIERSTRASS)[-1] ^ 1])
COMPRESSED = WEIERSTRASS.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
HUGE_EXPONENT = string(b"ssh-rsa") + mpint(2**2000 + 1) + mpint(RSA.public_key().public_numbers().n)


def with_ec(inner: bytes, key: bytes = EC_BLOB, name: bytes = b"ecdsa-sha2-nistp256") -> bytes:
    return blob_with(key, raw=string(name) + string(inner))


BAD = {
    "another magic": b"SSHSIH" + blob_with()[6:],
    "version 2": blob_with(version=2),
    "a hash that is none": blob_with(hash_name=b"md5"),
    "SHA-1 as the hash of the message": blob_with(hash_name=b"sha1"),
    "no hash": blob_with(hash_name=b""),
    "another hash than was signed": blob_with(hash_name=b"sha256"),
    "no namespace": blob_with(namespace=b""),
    "another namespace than was signed": blob_with(namespace=b"file"),
    "a namespace that goes on": blob_with(namespace=b"git2"),
    "bytes after the last field": blob_with(after=b"\0"),
    "somebody else's key": blob_with(string(b"ssh-ed25519") + string(raw_public(OTHER))),
    "no key": blob_with(b""),
    "a key type that is none": blob_with(string(b"ssh-ed448") + string(raw_public(EDWARDS))),
    "bytes after the key": blob_with(ED_BLOB + b"\0"),
    "a key of 31 bytes": blob_with(string(b"ssh-ed25519") + string(raw_public(EDWARDS)[:31])),
    "a key of 33 bytes": blob_with(string(b"ssh-ed25519") + string(raw_public(EDWARDS) + b"\0")),
    "no signature": blob_with(raw=b""),
    "bytes after the signature": blob_with(raw=ed(DATA) + b"\0"),
    "a signature of 63 bytes": blob_with(raw=string(b"ssh-ed25519") + string(ED_SIGNATURE[:63])),
    "a signature of 65 bytes": blob_with(raw=string(b"ssh-ed25519") + string(ED_SIGNATURE + b"\0")),
    "an Ed25519 signature called ECDSA": blob_with(raw=string(b"ecdsa-sha2-nistp256") + string(ED_SIGNATURE)),
    "an Ed25519 key with an ECDSA signature": blob_with(raw=ec_raw((R, S))),
    "an ECDSA key with an Ed25519 signature": blob_with(EC_BLOB, raw=ed(DATA)),
    "a plain signature by a hardware key": blob_with(SK_ED_BLOB, raw=ed(DATA)),
    "a hardware signature by a plain key": blob_with(raw=sk_ed(DATA)),
    "a hardware signature of the other type": blob_with(SK_ED_BLOB, raw=sk_ed(DATA, name=SK_EC)),
    "a hardware signature for another application": blob_with(
        string(SK_ED) + string(raw_public(EDWARDS)) + string(b"ssh:other"), raw=sk_ed(DATA)),
    "a hardware signature with other flags than were signed": blob_with(
        SK_ED_BLOB, raw=sk_ed(DATA)[:-5] + b"\5\0\0\0\7"),
    "a hardware signature with another counter": blob_with(SK_ED_BLOB, raw=sk_ed(DATA)[:-1] + b"\x08"),
    "a hardware signature without counter": blob_with(SK_ED_BLOB, raw=sk_ed(DATA)[:-4]),
    "a hardware signature with bytes behind": blob_with(SK_ED_BLOB, raw=sk_ed(DATA) + b"\0"),
    "ECDSA: r is zero": with_ec(pair((0, S))),
    "ECDSA: s is zero": with_ec(pair((R, 0))),
    "ECDSA: r is the order": with_ec(pair((P256_ORDER, S))),
    "ECDSA: s beyond the order": with_ec(pair((R, S + P256_ORDER))),
    "ECDSA: r beyond the order": with_ec(pair((R + P256_ORDER, S))),
    "ECDSA: s is negative": with_ec(pair((R, S - P256_ORDER))),
    "ECDSA: one number": with_ec(mpint(R)),
    "ECDSA: three numbers": with_ec(pair((R, S)) + mpint(1)),
    "ECDSA: DER instead of numbers": with_ec(WEIERSTRASS.sign(DATA, ec.ECDSA(hashes.SHA256()))),
    "ECDSA: a key off the curve": with_ec(pair((R, S)), EC_BLOB[:-65] + OFF_CURVE),
    "ECDSA: the point at infinity": with_ec(
        pair((R, S)), string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(b"\0")),
    "ECDSA: a P-384 key called P-256": with_ec(
        pair((R, S)), string(b"ecdsa-sha2-nistp256") + string(b"nistp384") + string(point(P384))),
    "ECDSA: a compressed point": with_ec(pair((R, S)), EC_BLOB[:-69] + string(COMPRESSED)),
    "ECDSA: a P-256 key called P-384": with_ec(pair((R, S)), EC_BLOB.replace(b"\x08nistp256", b"\x08nistp384")),
    "ECDSA: bytes after the key": with_ec(pair((R, S)), EC_BLOB + b"\0"),
    "RSA over SHA-1": blob_with(rsa_blob(RSA), raw=rsa_raw(b"ssh-rsa", hashes.SHA1(), DATA)),
    "RSA over SHA-1, called SHA-2": blob_with(rsa_blob(RSA), raw=rsa_raw(b"rsa-sha2-256", hashes.SHA1(), DATA)),
    "RSA over the other SHA-2": blob_with(rsa_blob(RSA), raw=rsa_raw(b"rsa-sha2-256", hashes.SHA512(), DATA)),
    "RSA over SHA-2, called SHA-1": blob_with(rsa_blob(RSA), raw=rsa_raw(b"ssh-rsa", hashes.SHA512(), DATA)),
    "RSA over SHA-2, called what nobody knows": blob_with(
        rsa_blob(RSA), raw=rsa_raw(b"rsa-sha2-384", hashes.SHA512(), DATA)),
    "RSA: a negative modulus": blob_with(
        rsa_blob(RSA).replace(b"\0\0\1\1\0", b"\0\0\1\0"), raw=rsa_raw(b"rsa-sha2-512", hashes.SHA512(), DATA)),
    "RSA: a modulus of zero": blob_with(
        string(b"ssh-rsa") + mpint(65537) + mpint(0), raw=rsa_raw(b"rsa-sha2-512", hashes.SHA512(), DATA)),
    "RSA: an exponent of one": blob_with(
        string(b"ssh-rsa") + mpint(1) + mpint(RSA.public_key().public_numbers().n),
        raw=rsa_raw(b"rsa-sha2-512", hashes.SHA512(), DATA)),
    "RSA: an exponent as large as the modulus": blob_with(
        HUGE_EXPONENT, raw=rsa_raw(b"rsa-sha2-512", hashes.SHA512(), DATA)),
    "RSA: a signature cut off": blob_with(
        rsa_blob(RSA), raw=rsa_raw(b"rsa-sha2-512", hashes.SHA512(), DATA)[:-1]),
}  # fmt: skip


@pytest.mark.parametrize("blob", BAD.values(), ids=BAD)
def test_what_both_refuse(blob: bytes, good: Check) -> None:
    assert not good(sshsig.armor(blob), "git", MESSAGE)


def test_what_the_bad_ones_are_made_from_is_good(good: Check) -> None:
    for blob in (blob_with(), with_ec(pair((R, S))), blob_with(SK_ED_BLOB, raw=sk_ed(DATA))):
        assert good(sshsig.armor(blob), "git", MESSAGE)


def test_a_blob_that_ends_early_is_refused_wherever_it_ends() -> None:
    whole = blob_with(SK_ED_BLOB, raw=sk_ed(DATA))
    for length in range(len(whole)):
        with pytest.raises(BadSignature):
            sshsig.check(sshsig.armor(whole[:length]), b"git", MESSAGE)


STRICTER = {
    "version 0": blob_with(version=0),
    "something in the reserved field": blob_with(reserved=b"x"),
    "a namespace with a NUL behind it": blob_with(namespace=b"git\0"),
    "a key type with a NUL behind it": blob_with(string(b"ssh-ed25519\0") + string(raw_public(EDWARDS))),
    "RSA: a key type of its own for SHA-2": blob_with(
        string(b"rsa-sha2-512") + rsa_blob(RSA)[11:], raw=rsa_raw(b"rsa-sha2-512", hashes.SHA512(), DATA)),
    "ECDSA: a padded number": with_ec(string(b"\0" + R.to_bytes(33, "big")) + mpint(S)),
    "ECDSA on P-384": blob_with(P384_BLOB, raw=string(b"ecdsa-sha2-nistp384") + string(pair(ecdsa(DATA, key=P384)))),
    "RSA of 1024 bits": blob_with(
        rsa_blob(SHORT_RSA), raw=rsa_raw(b"rsa-sha2-512", hashes.SHA512(), DATA, SHORT_RSA)),
    "a hardware key whose user was not there": blob_with(SK_ED_BLOB, raw=sk_ed(DATA, flags=0)),
    "a hardware key that says its user was verified, not that he was there": blob_with(
        SK_ED_BLOB, raw=sk_ed(DATA, flags=4)),
    "an ECDSA hardware key whose user was not there": blob_with(SK_EC_BLOB, raw=sk_ec(DATA, flags=0)),
    "an S that was not reduced": blob_with(raw=string(b"ssh-ed25519") + string(
        ED_SIGNATURE[:32] + (int.from_bytes(ED_SIGNATURE[32:], "little") + ED25519_ORDER).to_bytes(32, "little"))),
}  # fmt: skip


@pytest.mark.parametrize("blob", STRICTER.values(), ids=STRICTER)
def test_what_ssh_keygen_may_take_and_we_refuse(blob: bytes) -> None:
    with pytest.raises(BadSignature):
        sshsig.check(sshsig.armor(blob), b"git", MESSAGE)


TEXT = GOOD["ed25519"]
BODY = TEXT.split(b"\n", 1)[1]
NOT_CANONICAL = {
    "bytes before it": b" " + TEXT,
    "an empty line before it": b"\n" + TEXT,
    "bytes after it": TEXT + b"x",
    "an empty line after it": TEXT + b"\n",
    "no line feed at its end": TEXT[:-1],
    "twice": TEXT + TEXT,
    "line ends of Windows": TEXT.replace(b"\n", b"\r\n"),
    "lines of another width": sshsig.ARMOR_BEGIN + base64.encodebytes(sshsig.dearmor(TEXT)) + sshsig.ARMOR_END,
    "one long line": sshsig.ARMOR_BEGIN + base64.b64encode(sshsig.dearmor(TEXT)) + b"\n" + sshsig.ARMOR_END,
    "an empty line in it": TEXT.replace(b"\n", b"\n\n", 1),
    "a blank in it": TEXT.replace(BODY[:9], BODY[:4] + b" " + BODY[4:9]),
    "a comment in it": TEXT.replace(b"\n", b"\nComment: x\n", 1),
    "bytes that are not base64": TEXT.replace(BODY[:9], BODY[:4] + b"!" + BODY[4:9]),
    "its padding left out": sshsig.armor(b"12345").replace(b"=", b""),
    "its padding too long": sshsig.armor(b"12345").replace(b"=", b"=="),
    "nothing in it": sshsig.ARMOR_BEGIN + sshsig.ARMOR_END,
    "only its beginning": sshsig.ARMOR_BEGIN,
    "PGP's": TEXT.replace(b"SSH", b"PGP"),
    "nothing": b"",
    "17 KiB": sshsig.armor(b"x" * 13000),
}


@pytest.mark.parametrize("text", NOT_CANONICAL.values(), ids=NOT_CANONICAL)
def test_armor_has_one_form(text: bytes) -> None:
    """Beyond it there is room to hide bytes in, and to give one signature two texts."""
    with pytest.raises(NotCanonical):
        sshsig.dearmor(text)


def test_base64_with_spare_bits_set_is_another_text_for_the_same_blob() -> None:
    text = sshsig.armor(b"1234")  # ends with `NA==`: 4 bits to spare
    assert b"NA==" in text
    with pytest.raises(NotCanonical):
        sshsig.dearmor(text.replace(b"NA==", b"NB=="))


@given(st.binary(max_size=600))
def test_armor_round_trips(blob: bytes) -> None:
    assert sshsig.dearmor(sshsig.armor(blob)) == blob
    assert max(map(len, sshsig.armor(blob).splitlines())) <= 70


@given(st.binary(max_size=80), st.binary(min_size=1, max_size=40), st.binary(max_size=90),
       st.sampled_from([b"sha512", b"sha256"]))  # fmt: skip
def test_encode_and_parse_round_trip(key: bytes, namespace: bytes, raw: bytes, hash_name: bytes) -> None:
    parsed = sshsig.parse(sshsig.dearmor(sshsig.encode(key, namespace, raw, hash_name)))
    assert (parsed.key, parsed.namespace, parsed.raw, parsed.hash_name) == (key, namespace, raw, hash_name)


@given(st.sampled_from([sshsig.dearmor(text) for text in GOOD.values()]), st.integers(0, 10**6), st.integers(1, 255))
def test_one_byte_changed_anywhere_makes_it_bad(blob: bytes, at: int, difference: int) -> None:
    """But for a crash: nothing else is raised."""
    at %= len(blob)
    changed = blob[:at] + bytes([blob[at] ^ difference]) + blob[at + 1 :]
    with pytest.raises(BadSignature):
        sshsig.check(sshsig.armor(changed), b"git", MESSAGE)


FRAMED = [sshsig.dearmor(GOOD[name]) for name in ("ed25519", "ed25519 over sha256", "sk-ed25519", "ecdsa, low s")]


@given(st.sampled_from(FRAMED), st.integers(-174, 173), st.binary(max_size=2), st.integers(0, 2),
       st.sampled_from([b"git", b"file"]), st.sampled_from([MESSAGE, b""]))  # fmt: skip
def test_what_was_verified_before_changes_no_answer(
    blob: bytes, at: int, put: bytes, taken: int, namespace: bytes, message: bytes
) -> None:
    def outcome() -> tuple[object, ...]:
        try:
            found = sshsig.check(text, namespace, message)
        except BadSignature as error:
            return type(error), str(error)
        return found.key, found.namespace, found.hash_name, found.raw

    at %= len(blob)
    text = sshsig.armor(blob[:at] + put + blob[at + taken :])
    sshsig._frames.clear()
    cold = outcome()
    for good in FRAMED:
        sshsig.check(sshsig.armor(good), b"git", MESSAGE)
    assert len(sshsig._frames) == 2
    assert outcome() == cold


def test_only_so_many_keys_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sshsig, "MAX_FRAMES", 3)
    for seed in range(10):
        key = opensshkey.from_secret(opensshkey.ED25519, bytes([seed] * 32))
        raw = key.sign(sshsig.signed_data(MESSAGE, b"git"))
        sshsig.check(sshsig.encode(key.public_blob, b"git", raw), b"git", MESSAGE)
        assert 0 < len(sshsig._frames) <= 3


@given(st.binary(max_size=200))
def test_rubbish_is_refused_not_crashed_on(rubbish: bytes) -> None:
    for blob in (rubbish, sshsig.MAGIC + b"\0\0\0\1" + rubbish):
        with pytest.raises(BadSignature):
            sshsig.check(sshsig.armor(blob), b"git", MESSAGE)
    for raw, key in ((rubbish, ED_BLOB), (rubbish, SK_EC_BLOB), (ed(DATA), rubbish), (rubbish, rsa_blob(RSA))):
        with pytest.raises(BadSignature):
            sshsig.check(sshsig.encode(key, b"git", raw), b"git", MESSAGE)


def test_strings_are_read_exactly() -> None:
    assert sshsig.read_strings(string(b"a") + string(b""), 2) == [b"a", b""]
    for blob, count in ((string(b"a"), 2), (string(b"a")[:-1], 1), (b"\0\0\0", 1), (b"\xff" * 8, 1)):
        with pytest.raises(BadSignature, match="cut off"):
            sshsig.read_strings(blob, count)
    with pytest.raises(BadSignature, match="after the last"):
        sshsig.read_strings(string(b"a"), 0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"x" + TEXT, "before or after"),
        (TEXT.replace(b"SSH SIG", b"SSH  SIG", 1), "before or after"),
        (TEXT.replace(b"\n", b"\n\n", 1), "not canonical"),
        (sshsig.armor(blob_with(namespace=b"")), "no namespace"),
        (sshsig.armor(blob_with(namespace=b"file")), "namespace 'file', not 'git'"),
        (sshsig.armor(blob_with(b"\0\0\0\xff")), "public key is cut off"),
        (sshsig.armor(blob_with(string(b"ssh-\x1b"))), r"type 'ssh-\\x1b' are not"),
        (sshsig.armor(BAD["ECDSA: r is the order"]), "out of range"),
        (sshsig.armor(BAD["ECDSA: s beyond the order"]), "out of range"),
        (sshsig.armor(STRICTER["RSA of 1024 bits"]), "RSA key of 1024 bits"),
        (sshsig.armor(STRICTER["a hardware key whose user was not there"]), "user's presence"),
        (sshsig.armor(BAD["RSA over SHA-1"]), "SHA-1"),
    ],
)
def test_the_reason_is_named(text: bytes, reason: str) -> None:
    with pytest.raises(BadSignature, match=reason):
        sshsig.check(text, b"git", MESSAGE)
