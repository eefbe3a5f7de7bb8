"""What a transparency log's entry says: whether the body that was logged is about this signature and no other.

Sources: Sigstore's client specification, section 4.4 (signature, key or certificate, and artifact must all be those of
the bundle); the schemas of Rekor v1 (`hashedrekord` 0.0.1, `dsse` 0.0.1, `intoto` 0.0.2) and Rekor v2's only type,
`hashedrekord` 0.0.2 (rekor-v2-spec, sections 4.3 and 6.1.4; v2's `dsse` 0.0.2 is withdrawn and refused).
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode
from collections.abc import Callable
from typing import NamedTuple

from git_auths.core import dsse
from git_auths.core.bundle import Bundle, LogEntry
from git_auths.core.protojson import MessageInvalid, octets

HASHES = {"SHA2_256": "sha256", "SHA2_384": "sha384", "SHA2_512": "sha512"}  # HashAlgorithm -> hashlib
_CURVES = {"secp256r1": ("PKIX_ECDSA_P256_SHA_256", "SHA2_256"), "secp384r1": ("PKIX_ECDSA_P384_SHA_384", "SHA2_384"),
           "secp521r1": ("PKIX_ECDSA_P521_SHA_512", "SHA2_512")}  # fmt: skip
_PEM = re.compile(rb"-----BEGIN (CERTIFICATE|PUBLIC KEY)-----\n([A-Za-z0-9+/=\n]+)-----END \1-----\n?")


class EntryInvalid(ValueError):
    """The entry does not prove that the signature was logged; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Signed(NamedTuple):
    """What an entry must be about.

    `payload` and `payload_type` of a DSSE envelope, or None and "" for a signature over an artifact, whose `digest` (of
    32, 48 or 64 bytes: SHA-256, -384, -512) then counts. `verifier` is the DER certificate of the bundle, or the DER
    SubjectPublicKeyInfo of a plain key.
    """

    payload: bytes | None
    payload_type: str
    signature: bytes
    verifier: bytes
    digest: bytes


def signed(bundle: Bundle, verifier: bytes, artifact_digest: bytes) -> Signed:
    """What the entries of a bundle must be about; `artifact_digest` is the caller's own, not one that the bundle names,
    and matters only for a signature over an artifact."""
    if bundle.envelope is not None:
        envelope = bundle.envelope
        return Signed(envelope.payload, envelope.payload_type, envelope.signatures[0].sig, verifier, b"")
    assert bundle.message is not None
    return Signed(None, "", bundle.message.signature, verifier, artifact_digest)


def check_body(entry: LogEntry, signed: Signed) -> None:
    """Raise EntryInvalid unless the entry's body is about what was signed, by that verifier."""
    try:
        body = dsse.load_json(entry.body)
    except ValueError as error:
        raise EntryInvalid(f"its body is not JSON that can be read: {error}") from None
    if (_at(body, "kind"), _at(body, "apiVersion")) != (entry.kind, entry.version):
        raise EntryInvalid("its body is not of the kind and version that the entry names")
    check = _KINDS.get((entry.kind, entry.version, signed.payload is not None))
    if check is None:
        content = "an artifact's signature" if signed.payload is None else "an envelope"
        raise EntryInvalid(f"an entry of kind {entry.kind[:40]!r} {entry.version[:20]!r} proves nothing of {content}")
    check(_at(body, "spec"), signed)


def _hashedrekord_v1(spec: object, signed: Signed) -> None:
    algorithm = _at(spec, "data", "hash", "algorithm")
    name = next((name for name, hash_name in HASHES.items() if hash_name == algorithm), "")
    _same("digest", _at(spec, "data", "hash", "value"), _digest(signed, name).hex())
    _same("signature", _octets(spec, "signature", "content"), signed.signature)
    _same("verifier", _der(_octets(spec, "signature", "publicKey", "content")), signed.verifier)


def _hashedrekord_v2(spec: object, signed: Signed) -> None:
    record = _at(spec, "hashedRekordV002")
    verifier = _at(record, "signature", "verifier")
    if not isinstance(verifier, dict) or ("publicKey" in verifier) == ("x509Certificate" in verifier):
        raise EntryInvalid("its body does not name one key or one certificate")
    form = "publicKey" if "publicKey" in verifier else "x509Certificate"
    _same("verifier", _octets(verifier, form, "rawBytes"), signed.verifier)
    _same("signature", _octets(record, "signature", "content"), signed.signature)
    details, algorithm = _at(verifier, "keyDetails"), _at(record, "data", "algorithm")
    if (details, algorithm) not in _key_details(signed.verifier, form):
        raise EntryInvalid("its key details or hash algorithm are not those of the key")
    _same("digest", _octets(record, "data", "digest"), _digest(signed, str(algorithm)))


def _dsse_v1(spec: object, signed: Signed) -> None:
    _same_payload(_at(spec, "payloadHash"), signed)
    signature = _one(spec, "signatures")
    _same("signature", _octets(signature, "signature"), signed.signature)
    _same("verifier", _der(_octets(signature, "verifier")), signed.verifier)


def _intoto_v1(spec: object, signed: Signed) -> None:
    _same_payload(_at(spec, "content", "payloadHash"), signed)
    _same("payload type", _at(spec, "content", "envelope", "payloadType"), signed.payload_type)
    signature = _one(spec, "content", "envelope", "signatures")
    # Rekor encodes what the envelope had already encoded: base64 of base64.
    _same("signature", _unpacked(_octets(signature, "sig")), signed.signature)
    _same("verifier", _der(_octets(signature, "publicKey")), signed.verifier)


# (kind, version, whether what was signed is an envelope) -> its check
_KINDS: dict[tuple[str, str, bool], Callable[[object, Signed], None]] = {
    ("hashedrekord", "0.0.1", False): _hashedrekord_v1,
    ("hashedrekord", "0.0.2", False): _hashedrekord_v2,
    ("hashedrekord", "0.0.2", True): _hashedrekord_v2,
    ("dsse", "0.0.1", True): _dsse_v1,
    ("intoto", "0.0.2", True): _intoto_v1,
}


def _same_payload(logged: object, signed: Signed) -> None:
    assert signed.payload is not None
    _same("payload hash", _at(logged, "algorithm"), "sha256")
    _same("payload hash", _at(logged, "value"), hashlib.sha256(signed.payload).hexdigest())


def _same(what: str, logged: object, ours: object) -> None:
    if logged != ours:
        raise EntryInvalid(f"its {what} is another one")


def _digest(signed: Signed, algorithm: str) -> bytes:
    """The digest of what was signed, by a name of HASHES: of the artifact, or of the envelope's DSSE encoding."""
    name = HASHES.get(algorithm)
    if name is None:
        raise EntryInvalid("its hash algorithm is not one that this software knows")
    if signed.payload is not None:
        return hashlib.new(name, dsse.pae(signed.payload, signed.payload_type)).digest()
    if len(signed.digest) != hashlib.new(name).digest_size:
        raise EntryInvalid("its digest is by another algorithm")
    return signed.digest


def _key_details(verifier: bytes, form: str) -> set[tuple[object, object]]:
    """(PublicKeyDetails, HashAlgorithm) that are right for a key that signs digests (Sigstore's algorithm registry)."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        certificate = x509.load_der_x509_certificate(verifier) if form == "x509Certificate" else None
        key = certificate.public_key() if certificate else load_der_public_key(verifier)
    except Exception:  # cryptography raises ValueError, UnsupportedAlgorithm and others of its own for strange keys
        raise EntryInvalid("its verifier is not a key or certificate that can be read") from None
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return {_CURVES[key.curve.name]}
    if isinstance(key, rsa.RSAPublicKey):
        return {(f"PKIX_RSA_{scheme}_{key.key_size}_SHA256", "SHA2_256") for scheme in ("PKCS1V15", "PSS")}
    return {("PKIX_ED25519_PH", "SHA2_512")} if isinstance(key, ed25519.Ed25519PublicKey) else set()


def _at(value: object, *path: str) -> object:
    for name in path:
        if not isinstance(value, dict) or value.get(name) is None:
            raise EntryInvalid(f"its body has no {'.'.join(path)}")
        value = value[name]
    return value


def _one(value: object, *path: str) -> object:
    items = _at(value, *path)
    if not isinstance(items, list) or len(items) != 1:
        raise EntryInvalid("its body does not have exactly one signature")
    return items[0]


def _octets(value: object, *path: str) -> bytes:
    try:
        return octets(_at(value, *path), f"its {'.'.join(path)}")
    except MessageInvalid as error:
        raise EntryInvalid(error.reason) from None


def _unpacked(text: bytes) -> bytes:
    return _octets({"sig": text.decode("ascii", "replace")}, "sig")


def _der(pem: bytes) -> bytes:
    """The one certificate or public key in PEM (RFC 7468), which is how Rekor v1 stores it."""
    matched = _PEM.fullmatch(pem)
    try:
        return b64decode(matched[2].replace(b"\n", b""), validate=True) if matched else b""
    except ValueError:
        return b""
