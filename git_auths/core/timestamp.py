"""RFC 3161 timestamps: what a pinned time stamping authority says about a signature.

Source: RFC 3161, sections 2.3 (the authority's certificate) and 2.4.2 (the response); RFC 5652, section 5.3.
A response counts only when all of this holds: it is DER of at most 64 KiB; its status is `granted`, and no
other; its imprint is the SHA-256, SHA-384 or SHA-512 of the decoded signature bytes; one signer signed it,
with a certificate whose only purpose, marked critical, is time stamping; that certificate leads to the root
of one authority; and its time lies within the validity of each certificate on the way and of the authority.

`rfc3161-client` reads the response, checks the signer and lets OpenSSL build the chain, at the time that the
response states. What it leaves open is checked here: hash functions that are too weak, the window of the
authority, and that pinned certificates can be an authority at all.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from rfc3161_client import TimeStampResponse

T = TypeVar("T")

MAX_RESPONSE_BYTES = 64 * 1024
MAX_PEM_BYTES = 64 * 1024
MAX_CERTIFICATES = 10

# RFC 5754, section 2: the object identifiers of SHA-2.
_HASHES = {
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
_OPENSSL_REASON = re.compile(r'Verify error: ?([^"\]})]+)')
_OPENSSL_FAULT = re.compile(r'reason: "([^"]+)"')


class TimestampInvalid(ValueError):
    """The response proves no time, or a pin is no authority; `reason` says why, in one line."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Authority(NamedTuple):
    """A pinned authority: DER certificates, the root last, and first its own certificate where that is pinned too.

    `valid_from` and `valid_until` are Unix seconds, both inclusive; None is no limit.
    """

    name: str
    certificates: tuple[bytes, ...]
    valid_from: int | None = None
    valid_until: int | None = None


class Stamped(NamedTuple):
    """What a response proves: the signature existed at `time_seconds` (Unix), says the authority of that name."""

    time_seconds: int
    authority: str


def authority_from_pem(pem: bytes, name: str) -> Authority:
    """The authority in a file of PEM certificates: one root, perhaps intermediates, perhaps its own certificate.

    The order in the file does not matter. Raises TimestampInvalid.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    if len(pem) > MAX_PEM_BYTES:
        raise TimestampInvalid(f"longer than {MAX_PEM_BYTES} bytes")
    try:
        certificates = x509.load_pem_x509_certificates(pem)
    except Exception:  # cryptography raises ValueError, and others of its own for strange certificates
        raise TimestampInvalid("not PEM certificates") from None
    if len(certificates) > MAX_CERTIFICATES:
        raise TimestampInvalid(f"more than {MAX_CERTIFICATES} certificates")
    own = [certificate for certificate in certificates if not _is_ca(certificate)]
    roots = [certificate for certificate in certificates if _is_ca(certificate) and _is_self_signed(certificate)]
    if len(roots) != 1:
        raise TimestampInvalid(f"{len(roots)} self-signed CA certificates, not one")
    if len(own) > 1:
        raise TimestampInvalid("more than one certificate that is not a CA's")
    between = [certificate for certificate in certificates if certificate not in own and certificate not in roots]
    chain = [*own, *between, *roots]
    return Authority(name, tuple(certificate.public_bytes(Encoding.DER) for certificate in chain))


def verify(response: bytes, signature: bytes, authorities: Sequence[Authority]) -> Stamped:
    """The time at which one of `authorities` saw `signature` (decoded bytes); raises TimestampInvalid.

    `response` is a whole TimeStampResp in DER. A nonce serves the requester alone and is not looked at.
    """
    answer = _granted(response)
    _match_imprint(answer, signature)
    if not authorities:
        raise TimestampInvalid("no time stamping authority is pinned")
    faults = []
    for authority in authorities:
        try:
            return _by(authority, answer, signature)
        except TimestampInvalid as fault:
            faults.append(f"{authority.name}: {fault.reason}")
    raise TimestampInvalid("; ".join(faults))


def match_request(response: bytes, signature: bytes, nonce: int) -> None:
    """Raise TimestampInvalid unless the response answers a request for `signature` that bore `nonce`.

    What a requester can check before any authority is pinned: whose signature it is, is left to `verify`.
    """
    answer = _granted(response)
    _match_imprint(answer, signature)
    if _read(lambda: answer.tst_info.nonce) != nonce:
        raise TimestampInvalid("the nonce is not the request's")
    if not _read(lambda: answer.signed_data.certificates):
        raise TimestampInvalid("no certificate comes with it")


def _granted(response: bytes) -> TimeStampResponse:
    """The decoded response with a token in it that someone could verify; raises TimestampInvalid."""
    from rfc3161_client import decode_timestamp_response

    if len(response) > MAX_RESPONSE_BYTES:
        raise TimestampInvalid(f"longer than {MAX_RESPONSE_BYTES} bytes")
    answer = _read(lambda: decode_timestamp_response(response))
    if answer.status != 0:
        # RFC 3161, section 2.4.2: grantedWithMods (1) is another token than the one asked for.
        raise TimestampInvalid(f"status {answer.status}, not granted{_status_text(answer)}")
    if _read(lambda: answer.tst_info.version) != 1:
        raise TimestampInvalid("not of version 1")
    algorithms = _read(lambda: answer.signed_data.digest_algorithms)
    if not algorithms or any(algorithm.dotted_string not in _HASHES for algorithm in algorithms):
        raise TimestampInvalid("signed over another hash than SHA-256, SHA-384 or SHA-512")
    if len(_read(lambda: answer.signed_data.certificates)) > MAX_CERTIFICATES:
        raise TimestampInvalid(f"more than {MAX_CERTIFICATES} certificates come with it")
    return answer


def _status_text(answer: TimeStampResponse) -> str:
    text = " ".join(_read(lambda: answer.status_string))
    return f": {text[:100]!a}" if text else ""


def _match_imprint(answer: TimeStampResponse, signature: bytes) -> None:
    imprint = _read(lambda: answer.tst_info.message_imprint)
    name = _HASHES.get(_read(lambda: imprint.hash_algorithm).dotted_string)
    if name is None:
        raise TimestampInvalid("the imprint is of another hash than SHA-256, SHA-384 or SHA-512")
    if _read(lambda: imprint.message) != hashlib.new(name, signature).digest():
        raise TimestampInvalid("it is for another signature")


def _by(authority: Authority, answer: TimeStampResponse, signature: bytes) -> Stamped:
    """What the answer proves when it is by this authority; raises TimestampInvalid."""
    from cryptography import x509
    from rfc3161_client import VerifierBuilder

    try:
        chain = [x509.load_der_x509_certificate(der) for der in authority.certificates]
    except Exception:  # as in authority_from_pem
        raise TimestampInvalid("a pinned certificate is not DER") from None
    own = chain[0] if chain and not _is_ca(chain[0]) else None
    authorities = chain[1:] if own else chain
    if not authorities:
        raise TimestampInvalid("no CA certificate is pinned")
    verifier = VerifierBuilder(tsa_certificate=own, intermediates=authorities[:-1], roots=authorities[-1:]).build()
    _read(lambda: verifier.verify_message(answer, signature))
    moment = _read(lambda: answer.tst_info.gen_time)
    # OpenSSL compares the time with the chain that it builds. Sigstore's sigstore_trustroot.proto,
    # CertificateAuthority: the time must suit all that is pinned.
    for certificate in chain:
        if not certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc:
            raise TimestampInvalid("its time is outside of the validity of a pinned certificate")
    seconds = int(moment.timestamp())
    if authority.valid_from is not None and seconds < authority.valid_from:
        raise TimestampInvalid("its time is before the authority's validity")
    if authority.valid_until is not None and seconds > authority.valid_until:
        raise TimestampInvalid("its time is after the authority's validity")
    return Stamped(seconds, authority.name)


def _is_ca(certificate: Certificate) -> bool:
    from cryptography import x509

    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except Exception:  # ExtensionNotFound, or what a strange extension makes cryptography raise
        return False


def _is_self_signed(certificate: Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(certificate)
    except Exception:  # InvalidSignature, ValueError for other names, TypeError for keys of other kinds ...
        return False
    return True


def _read(step: Callable[[], T]) -> T:
    """The result of one step of the library, whose failures, panics of its Rust included, become TimestampInvalid."""
    try:
        return step()
    except Exception as error:
        raise TimestampInvalid(_explained(str(error))) from None
    except BaseException as error:
        if not panicked(error):
            raise
        raise TimestampInvalid("it cannot be decoded") from None


def panicked(error: BaseException) -> bool:
    """Whether an extension module in Rust panicked: pyo3's PanicException is no Exception, and nowhere to import."""
    return type(error).__name__ == "PanicException"


def _explained(text: str) -> str:
    """The library's message in words that say what to do about it."""
    if "InvalidSetOrdering" in text:
        return "its certificates are not in DER order (the authority should embed its own certificate alone)"
    if "ASN.1 parse error" in text:
        return "not a DER time stamp response"
    found = _OPENSSL_REASON.search(text) or _OPENSSL_FAULT.search(text)
    return found.group(1).strip() if found else text.splitlines()[0][:200] if text else "it cannot be verified"
