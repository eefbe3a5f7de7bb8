"""Other people's Sigstore bundles: signed with a plain key that the reader has, over an artifact or a statement on it.

Source: Sigstore's client specification, section 4; sigstore_bundle.proto; in-toto/attestation, spec v0.1 and v1. Where
a trusted root is given, evidence that does not hold ends the verification, as the specification has it: each log entry
and each timestamp of the bundle must hold, there must be an entry, and one of them must say when. Without a trusted
root they are not looked at, and the answer names none.

What does not depend on the kind of key (`evidence`, `statement_about`, `check_digest`) serves keyless bundles too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from git_auths.core import bundle as bundles
from git_auths.core import chain, dsse, timestamp, transparency
from git_auths.core.bundle import Bundle
from git_auths.core.timestamp import Stamped
from git_auths.core.trustedroot import TrustedRoot

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

BUNDLE, CERTIFICATE = "bundle", "certificate"  # links beside those of `chain`
STATEMENT_TYPES = ("https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1")
HASHES = {"SHA2_256": "sha256", "SHA2_384": "sha384", "SHA2_512": "sha512"}  # HashAlgorithm -> hashlib, in-toto
MAX_PEM_BYTES = 64 * 1024
MAX_SUBJECTS = 1024
MAX_DIGESTS = 32
MAX_TYPE_CHARS = 1024
MIN_RSA_BITS, MAX_RSA_BITS = 2048, 16384
_CURVES = {"secp256r1": "sha256", "secp384r1": "sha384", "secp521r1": "sha512"}


class ForeignRefused(ValueError):
    """The bundle does not speak for the artifact: `link` is what breaks (`signature`, `log` ...), `reason` how."""

    def __init__(self, link: str, reason: str) -> None:
        super().__init__(f"{link}: {reason}")
        self.link = link
        self.reason = reason


class Evidence(NamedTuple):
    """Where a signature is recorded, and who saw it when: the names of the logs, and each trusted time."""

    logs: tuple[str, ...] = ()
    stamps: tuple[Stamped, ...] = ()


class Verified(NamedTuple):
    """What a bundle proves of the artifact. `statement` is None for a signature over the artifact itself; else the
    in-toto statement that names it among its subjects, and `predicate_type` what the statement says of it."""

    evidence: Evidence
    predicate_type: str | None = None
    statement: Mapping[str, Any] | None = None


def verify(bundle: Bundle, digests: Mapping[str, bytes], key_pem: bytes, root: TrustedRoot | None,
           content: Callable[[], bytes] | None = None) -> Verified:  # fmt: skip
    """What `bundle` proves of an artifact, by the key in `key_pem` (SubjectPublicKeyInfo); raises ForeignRefused.

    `digests` are the artifact's, by `sha256`, `sha384` and `sha512`, each of them there. `content` gives the artifact's
    bytes; it is called only for Ed25519 signatures over the artifact, which cannot be verified from a digest.
    """
    if bundle.hint is None:
        raise ForeignRefused(chain.SIGNATURE, "it is signed with a certificate, not with a plain key")
    key, spki = _public_key(key_pem)
    if bundle.envelope is not None:
        message = dsse.pae(bundle.envelope.payload, bundle.envelope.payload_type)
        of_message = {name: hashlib.new(name, message).digest() for name in _CURVES.values()}
        _check_signature(key, bundle.envelope.signatures[0].sig, of_message, lambda: message)
        statement = statement_about(bundle.envelope, digests)
        found = evidence(bundle, spki, b"", root)
        return Verified(found, statement["predicateType"], statement)
    assert bundle.message is not None
    check_digest(bundle.message, digests)
    hash_name = _check_signature(key, bundle.message.signature, digests, content)
    return Verified(evidence(bundle, spki, digests[hash_name], root))


def evidence(bundle: Bundle, verifier: bytes, digest: bytes, root: TrustedRoot | None) -> Evidence:
    """The logs and times of a bundle, all of which must hold; raises ForeignRefused.

    `verifier` is the DER of the plain key or of the certificate; `digest` the artifact's, for a signature over it.
    """
    if root is None:
        return Evidence()
    stamps = _stamps(bundle, root)
    if not bundle.entries:
        raise ForeignRefused(chain.LOG, "it holds no entry of a transparency log")
    signed = transparency.signed(bundle, verifier, digest)
    names = []
    untimed = []
    for entry in bundle.entries:
        try:
            logged = transparency.verify_entry(entry, signed, root.logs)
        except transparency.EntryInvalid as error:
            raise ForeignRefused(chain.LOG, f"entry {entry.log_index}: {error.reason}") from None
        names.append(logged.log.name)
        if logged.time_seconds is None:
            untimed.append(logged.log)
        else:
            stamps.append(Stamped(logged.time_seconds, logged.log.name))
    if not stamps:
        raise ForeignRefused(chain.TIMESTAMP, "neither a log nor a time stamping authority says when it was signed")
    for log in untimed:
        if not all(transparency.valid_at(log, stamp.time_seconds) for stamp in stamps):
            raise ForeignRefused(chain.LOG, f"the key of {log.name} was not valid when it was signed")
    return Evidence(tuple(names), tuple(stamps))


def _stamps(bundle: Bundle, root: TrustedRoot) -> list[Stamped]:
    signature = bundle.envelope.signatures[0].sig if bundle.envelope is not None else b""
    if bundle.message is not None:
        signature = bundle.message.signature
    try:
        return [timestamp.verify(response, signature, root.authorities) for response in bundle.timestamps]
    except timestamp.TimestampInvalid as error:
        raise ForeignRefused(chain.TIMESTAMP, error.reason) from None


def check_digest(message: bundles.MessageSignature, digests: Mapping[str, bytes]) -> None:
    """Raise ForeignRefused where the bundle names another artifact; the digest that it names proves nothing."""
    if not message.algorithm:
        return
    name = HASHES.get(message.algorithm)
    if name is None:
        raise ForeignRefused(chain.FILE, f"it names its artifact by {message.algorithm}, which is not read here")
    if digests[name] != message.digest:
        raise ForeignRefused(chain.FILE, "it is for another artifact")


def statement_about(envelope: bundles.Envelope, digests: Mapping[str, bytes]) -> dict[str, Any]:
    """The in-toto statement in `envelope`, one of whose subjects is the artifact; raises ForeignRefused.

    Client specification, section 4.5: the payload type must be in-toto's, and the digest among the subjects.
    """
    if envelope.payload_type != dsse.PAYLOAD_TYPE:
        raise ForeignRefused(BUNDLE, f"the envelope's payload type is not {dsse.PAYLOAD_TYPE}")
    try:
        statement = dsse.load_json(envelope.payload)
    except ValueError as error:
        raise ForeignRefused(BUNDLE, f"the statement: {error}") from None
    if not isinstance(statement, dict) or statement.get("_type") not in STATEMENT_TYPES:
        raise ForeignRefused(BUNDLE, "the payload is not an in-toto statement of version 0.1 or 1")
    kind = statement.get("predicateType")
    if not isinstance(kind, str) or not 1 <= len(kind) <= MAX_TYPE_CHARS or not kind.isprintable():
        raise ForeignRefused(BUNDLE, "the statement has no predicateType")
    subjects = statement.get("subject")
    if not isinstance(subjects, list) or not 1 <= len(subjects) <= MAX_SUBJECTS:
        raise ForeignRefused(BUNDLE, f"the statement has not 1 to {MAX_SUBJECTS} subjects")
    if not any(_is_subject(subject, digests) for subject in subjects):
        raise ForeignRefused(chain.FILE, "the artifact is not among the subjects of the statement")
    return statement


def _is_subject(subject: object, digests: Mapping[str, bytes]) -> bool:
    """Whether the artifact has each digest of the subject that can be compared, and there is one."""
    stated = subject.get("digest") if isinstance(subject, dict) else None
    if not isinstance(stated, dict) or len(stated) > MAX_DIGESTS:
        raise ForeignRefused(BUNDLE, f"a subject of the statement has no object of at most {MAX_DIGESTS} digests")
    comparable = stated.keys() & digests.keys()
    return bool(comparable) and all(stated[name] == digests[name].hex() for name in comparable)


def _public_key(pem: bytes) -> tuple[PublicKeyTypes, bytes]:
    """(key, its DER SubjectPublicKeyInfo)"""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    if len(pem) > MAX_PEM_BYTES:
        raise ForeignRefused(chain.SIGNATURE, f"the key is longer than {MAX_PEM_BYTES} bytes")
    try:
        key = load_pem_public_key(pem)
    except Exception:  # cryptography raises ValueError, UnsupportedAlgorithm and others of its own for strange keys
        raise ForeignRefused(chain.SIGNATURE, "the key is not a public key in PEM that can be read") from None
    known = (
        (isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES)
        or (isinstance(key, rsa.RSAPublicKey) and MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS)
        or isinstance(key, ed25519.Ed25519PublicKey)
    )
    if not known:
        raise ForeignRefused(
            chain.SIGNATURE, f"the key is none of P-256, P-384, P-521, Ed25519, RSA of {MIN_RSA_BITS} bits or more"
        )
    return key, key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _check_signature(key: PublicKeyTypes, signature: bytes, digests: Mapping[str, bytes],
                     content: Callable[[], bytes] | None) -> str:  # fmt: skip
    """The name of the hash that was signed; raises ForeignRefused where the signature is not by the key."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ed25519.Ed25519PublicKey):
        if content is None:
            raise ForeignRefused(chain.SIGNATURE, "an Ed25519 signature needs the artifact itself, not only its digest")
        found = "sha512" if _ed25519_verifies(key, signature, content()) else None
    elif isinstance(key, ec.EllipticCurvePublicKey):
        found = _ecdsa_hash(key, signature, digests)
    else:
        assert isinstance(key, rsa.RSAPublicKey)
        found = "sha256" if _rsa_verifies(key, signature, digests["sha256"]) else None
    if found is None:
        raise ForeignRefused(chain.SIGNATURE, "it is not by this key, or over something else")
    return found


def _ecdsa_hash(key: Any, signature: bytes, digests: Mapping[str, bytes]) -> str | None:
    """Which digest is signed: the curve's, or SHA-256, which older clients used with every curve."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

    kinds = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
    for name in dict.fromkeys((_CURVES[key.curve.name], "sha256")):
        try:
            key.verify(signature, digests[name], ec.ECDSA(Prehashed(kinds[name])))
        except InvalidSignature:
            continue
        return name
    return None


def _rsa_verifies(key: Any, signature: bytes, sha256: bytes) -> bool:
    """By PKCS#1 v1.5 or by PSS, each with SHA-256 (Sigstore's algorithm registry has no other)."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

    for scheme in (padding.PKCS1v15(), padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO)):
        try:
            key.verify(signature, sha256, scheme, Prehashed(hashes.SHA256()))
        except InvalidSignature:
            continue
        return True
    return False


def _ed25519_verifies(key: Any, signature: bytes, message: bytes) -> bool:
    """Pure Ed25519, or Ed25519ph with an empty context, which is what logs of digests take (RFC 8032, section 5.1)."""
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(signature, message)
    except InvalidSignature:
        pass
    else:
        return True
    from nacl import bindings
    from nacl.exceptions import BadSignatureError

    if len(signature) != bindings.crypto_sign_BYTES:
        return False
    state = bindings.crypto_sign_ed25519ph_state()
    bindings.crypto_sign_ed25519ph_update(state, message)
    try:
        return bindings.crypto_sign_ed25519ph_final_verify(state, signature, key.public_bytes_raw())
    except BadSignatureError:
        return False
