"""Keyless Sigstore bundles: signed with a certificate that Fulcio issued to whoever signed in with an OIDC provider.

Needs the extra `sigstore`, and no network: everything is judged against a trusted root that the reader gives.
`sigstore-python` judges the certificate, its SCT and the signature. Where it is laxer than Sigstore's client
specification, or than sigstore_trustroot.proto, more is asked here:

- every log entry and timestamp must hold (`core/foreign.py`), where it skips timestamps that do not, tries all keys
  for a log id that it does not know, and compares neither a checkpoint's origin nor its size;
- each trusted time must lie in the window of the certificate authority and within the validity of its whole chain,
  where it takes intermediates for roots and ignores the window;
- the SCT must be by the CT log that it names, within that log's window;
- a statement must be about the artifact, which it leaves to its callers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from git_auths.core import bundle as bundles
from git_auths.core import chain, foreign, timestamp, trustedroot
from git_auths.core.bundle import Bundle
from git_auths.core.foreign import CERTIFICATE, ForeignRefused
from git_auths.core.protojson import Message, MessageInvalid
from git_auths.errors import Error, UsageError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

IDENTITY = "identity"
HINT = "pip install 'git-auths[sigstore]'"
MAX_NAME_CHARS = 4096
# Fulcio, docs/oid-info.md.
_ISSUER_V1, _OTHER_NAME, _ISSUER_V2 = (f"1.3.6.1.4.1.57264.1.{last}" for last in (1, 7, 8))
_UNNAMED = {"subject": {"organization": "", "commonName": ""}}  # sigstore-python wants one, and makes no use of it


class Wanted(NamedTuple):
    """What a name in the certificate must be: `text` exactly, or in full what `pattern` matches."""

    text: str
    pattern: re.Pattern[str] | None = None

    def suits(self, name: str) -> bool:
        return name == self.text if self.pattern is None else self.pattern.fullmatch(name) is not None


class Keyless(NamedTuple):
    """Who signed, at which OIDC provider, and what that proves of the artifact."""

    identity: str
    issuer: str
    verified: foreign.Verified


def matching(pattern: str) -> Wanted:
    """A regular expression (Python's) that must match the whole name; raises UsageError."""
    try:
        return Wanted(pattern, re.compile(pattern))
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(f"not a regular expression: {ascii(pattern)[:100]}: {error}") from None


def verify(data: bytes, digests: Mapping[str, bytes], trusted_root: bytes, identity: Wanted, issuer: Wanted) -> Keyless:
    """What the bundle `data` proves of the artifact with these `digests` (as `foreign.verify` takes them).

    Raises ForeignRefused, TrustedRootInvalid, and Error where the extra is not installed.
    """
    _require_sigstore()
    root = trustedroot.parse(trusted_root)
    try:
        bundle = bundles.parse(data)
    except bundles.BundleInvalid as error:
        raise ForeignRefused(foreign.BUNDLE, error.reason) from None
    if not bundle.certificates:
        raise ForeignRefused(CERTIFICATE, "it is signed with a plain key, not with a certificate")
    statement = None
    if bundle.message is not None:
        foreign.check_digest(bundle.message, digests)
    else:
        assert bundle.envelope is not None
        statement = foreign.statement_about(bundle.envelope, digests)
    hash_name = "sha256" if bundle.message is None else foreign.HASHES.get(bundle.message.algorithm, "sha256")
    found = foreign.evidence(bundle, bundle.certificates[0], digests[hash_name], root)
    times = [stamp.time_seconds for stamp in found.stamps]
    times += [entry.integrated_time for entry in bundle.entries if entry.integrated_time]  # signed or not
    certificate = _certificate(bundle.certificates[0], times)
    name, provider = _identity(certificate), _issuer(certificate)
    if not identity.suits(name):
        raise ForeignRefused(IDENTITY, f"it is signed by {name!a}, not by {identity.text!a}")
    if not issuer.suits(provider):
        raise ForeignRefused(IDENTITY, f"the signer's provider is {provider!a}, not {issuer.text!a}")
    reduced = _reduced(trustedroot.document(trusted_root), certificate, times)
    _verify_by_sigstore(data, bundle, digests["sha256"], reduced)
    kind = None if statement is None else str(statement["predicateType"])
    return Keyless(name, provider, foreign.Verified(found, kind, statement))


def _require_sigstore() -> None:
    try:
        import sigstore.verify  # noqa: F401
        import sigstore_models.trustroot.v1  # noqa: F401
    except ImportError:
        raise Error("keyless Sigstore bundles need the package sigstore, which is not installed", HINT) from None


def _certificate(der: bytes, times: Sequence[int]) -> Certificate:
    """The leaf, which must have been valid at each of `times`."""
    from cryptography import x509

    try:
        certificate = x509.load_der_x509_certificate(der)
        _ = certificate.extensions  # parsed only when asked for
    except Exception:  # cryptography raises ValueError, and others of its own for strange names
        raise ForeignRefused(CERTIFICATE, "it cannot be read") from None
    if not _valid_at([certificate], times):
        raise ForeignRefused(CERTIFICATE, "it was not valid when it signed")
    return certificate


def _valid_at(certificates: Sequence[Certificate], times: Sequence[int]) -> bool:
    windows = [(c.not_valid_before_utc.timestamp(), c.not_valid_after_utc.timestamp()) for c in certificates]
    return all(start <= time <= end for start, end in windows for time in times)


def _identity(certificate: Certificate) -> str:
    """The one subject alternative name: a URI, an e-mail address, or Fulcio's own kind."""
    from cryptography import x509

    try:
        names = list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        names = []
    if len(names) != 1:
        raise ForeignRefused(CERTIFICATE, f"it names {len(names)} identities, not one")
    [name] = names
    if isinstance(name, (x509.UniformResourceIdentifier, x509.RFC822Name)):
        text = name.value
    elif isinstance(name, x509.OtherName) and name.type_id.dotted_string == _OTHER_NAME:
        text = _utf8_string(name.value)
    else:
        raise ForeignRefused(CERTIFICATE, "its identity is neither a URI nor an e-mail address")
    return _bounded(text)


def _issuer(certificate: Certificate) -> str:
    """The OIDC provider: Fulcio's extension 1.3.6.1.4.1.57264.1.8, or in older certificates only its predecessor."""
    from cryptography import x509

    values = {}
    for extension in certificate.extensions:
        if isinstance(extension.value, x509.UnrecognizedExtension):
            values[extension.oid.dotted_string] = extension.value.value
    if _ISSUER_V2 in values:
        return _bounded(_utf8_string(values[_ISSUER_V2]))
    if _ISSUER_V1 not in values:
        raise ForeignRefused(CERTIFICATE, "it names no OIDC provider")
    return _bounded(_text(values[_ISSUER_V1]))


def _utf8_string(der: bytes) -> str:
    """A DER UTF8String (X.690, sections 8.1.3 and 8.23) of up to 65535 bytes."""
    count = {b"\x81": 1, b"\x82": 2}.get(der[1:2], 0)
    length, value = der[2 : 2 + count] or der[1:2], der[2 + count :]
    if der[:1] != b"\x0c" or (count == 0 and length >= b"\x80") or int.from_bytes(length, "big") != len(value):
        raise ForeignRefused(CERTIFICATE, "a name in it is not a UTF8String")
    return _text(value)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise ForeignRefused(CERTIFICATE, "a name in it is not UTF-8") from None


def _bounded(name: str) -> str:
    if not 1 <= len(name) <= MAX_NAME_CHARS:
        raise ForeignRefused(CERTIFICATE, f"a name in it has not 1 to {MAX_NAME_CHARS} characters")
    return name


def _reduced(root: dict[str, Any], certificate: Certificate, times: Sequence[int]) -> dict[str, Any]:
    """The trusted root without the certificate authorities and CT logs that may not speak for this certificate."""
    try:
        authorities = [
            entry for entry in trustedroot.instances(root, "certificateAuthorities") if _may_certify(entry, times)
        ]
        logged = _certificate_timestamps(certificate)
        ct_logs = [entry for entry in trustedroot.instances(root, "ctlogs") if _may_have_logged(entry, logged)]
    except MessageInvalid as error:
        raise trustedroot.TrustedRootInvalid(error.reason) from None
    if not authorities:
        raise ForeignRefused(CERTIFICATE, "no certificate authority of the trusted root was valid when it signed")
    if not ct_logs:
        raise ForeignRefused(CERTIFICATE, "it is in no CT log of the trusted root that was valid then")
    return {
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",  # the only one that it reads
        "tlogs": [_without_news(entry) for entry in trustedroot.instances(root, "tlogs")],
        "certificateAuthorities": [_UNNAMED | _without_news(entry) for entry in authorities],
        "ctlogs": [_without_news(entry) for entry in ct_logs],
        "timestampAuthorities": [
            _UNNAMED | _without_news(entry) for entry in trustedroot.instances(root, "timestampAuthorities")
        ],
    }


def _without_news(entry: object) -> dict[str, Any]:
    """The entry without the fields that media type 0.2 brought, which are of no use to sigstore-python."""
    assert isinstance(entry, dict)
    return {name: value for name, value in entry.items() if name not in ("operator", "checkpointKeyId")}


def _may_certify(entry: object, times: Sequence[int]) -> bool:
    """sigstore_trustroot.proto, CertificateAuthority: times must suit the window and the entire chain."""
    from cryptography import x509

    authority = trustedroot.authority_chain(entry)
    try:
        certificates = [x509.load_der_x509_certificate(der) for der in authority.certificates]
    except Exception:  # as in _certificate
        raise trustedroot.TrustedRootInvalid("a certificate of an authority is not DER") from None
    return _valid_at(certificates, times) and _within(authority.valid_from, authority.valid_until, times)


def _within(start: int | None, end: int | None, times: Sequence[int]) -> bool:
    return all((start is None or start <= time) and (end is None or time <= end) for time in times)


def _certificate_timestamps(certificate: Certificate) -> list[tuple[bytes, int]]:
    """(log id, seconds) of each SCT in the certificate."""
    from datetime import timezone

    from cryptography import x509

    try:
        stamps = certificate.extensions.get_extension_for_class(x509.PrecertificateSignedCertificateTimestamps).value
        return [(sct.log_id, int(sct.timestamp.replace(tzinfo=timezone.utc).timestamp())) for sct in stamps]
    except Exception:  # ExtensionNotFound, or what a strange list makes cryptography raise
        return []


def _may_have_logged(entry: object, stamps: Sequence[tuple[bytes, int]]) -> bool:
    log = Message(entry, "a CT log", ("baseUrl", "hashAlgorithm", "publicKey", "logId", "checkpointKeyId", "operator"))
    key = log.message("publicKey", "rawBytes", "keyDetails", "validFor")
    window = key.message("validFor", "start", "end") if "validFor" in key else None
    start, end = (window.seconds("start"), window.seconds("end")) if window else (None, None)
    log_id = log.message("logId", "keyId").some_octets("keyId")
    return any(stamped == log_id and _within(start, end, [seconds]) for stamped, seconds in stamps)


class _SameCertificate(NamedTuple):
    """A policy for sigstore-python: that it reads the certificate whose names have been compared, and no other."""

    der: bytes

    def verify(self, cert: Certificate) -> None:
        from cryptography.hazmat.primitives.serialization import Encoding

        if cert.public_bytes(Encoding.DER) != self.der:
            raise ForeignRefused(CERTIFICATE, "it can be read in two ways")


def _verify_by_sigstore(data: bytes, bundle: Bundle, sha256: bytes, root: dict[str, Any]) -> None:
    """Raise ForeignRefused unless sigstore-python accepts the bundle against `root`. Whatever it raises is a no."""
    import logging

    logging.getLogger("sigstore").addHandler(logging.NullHandler())  # its warnings would go to standard error
    try:
        _ask_sigstore(data, bundle, sha256, root)
    except ForeignRefused:
        raise
    except Exception as error:
        raise ForeignRefused(chain.SIGNATURE, _in_one_line(error)) from None
    except BaseException as error:
        if not timestamp.panicked(error):
            raise
        raise ForeignRefused(chain.SIGNATURE, "it cannot be decoded") from None


def _ask_sigstore(data: bytes, bundle: Bundle, sha256: bytes, root: dict[str, Any]) -> None:
    import json

    from sigstore.hashes import Hashed
    from sigstore.models import Bundle as SigstoreBundle
    from sigstore.models import TrustedRoot
    from sigstore.verify import Verifier
    from sigstore_models.common.v1 import HashAlgorithm
    from sigstore_models.trustroot.v1 import TrustedRoot as TrustedRootModel

    # Not Verifier.production(): that fetches a trusted root by TUF.
    verifier = Verifier(trusted_root=TrustedRoot(TrustedRootModel.from_json(json.dumps(root))))
    policy = _SameCertificate(bundle.certificates[0])
    theirs = SigstoreBundle.from_json(data)
    if bundle.envelope is None:
        verifier.verify_artifact(Hashed(algorithm=HashAlgorithm.SHA2_256, digest=sha256), theirs, policy)
    elif verifier.verify_dsse(theirs, policy) != (bundle.envelope.payload_type, bundle.envelope.payload):
        raise ForeignRefused(foreign.BUNDLE, "its envelope can be read in two ways")


def _in_one_line(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:300]
