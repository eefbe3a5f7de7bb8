"""DSSE envelopes: a payload, its type, and signatures over both.

Source: secure-systems-lab/dsse, protocol.md and envelope.md. An envelope comes from strangers, so it is
parsed within bounds and in one form only; what this module refuses, nobody's signature can rescue.

Keys are SSH public key blobs (RFC 8709, section 4; RFC 5656, section 3.1), because that is what KERI
identities, ssh-agent and OpenSSH key files have in common.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable
from typing import NamedTuple

from git_auths.core import sshsig

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_ENVELOPE_BYTES = 64 * 1024
MAX_SIGNATURES = 16
MAX_KEYID_CHARS = 128
MAX_JSON_DEPTH = 32
MAX_JSON_DIGITS = 18  # of an integer: fits 64 bits, and int() of more is quadratic

ED25519 = b"ssh-ed25519"
P256 = b"ecdsa-sha2-nistp256"

# A string that never ends is taken to the end of the data, so that no quote is tried twice.
_JSON_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
_BRACKET = re.compile(rb"[\[{\]}]")


class EnvelopeInvalid(ValueError):
    """The bytes are not an envelope that this software reads; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Signature(NamedTuple):
    """`sig` over the envelope; `keyid` is an unsigned hint, empty or the OpenSSH fingerprint of the key."""

    keyid: str
    sig: bytes


class Envelope(NamedTuple):
    """A payload of type `PAYLOAD_TYPE` and its signatures, none of them verified yet."""

    payload: bytes
    signatures: tuple[Signature, ...]


def pae(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """The bytes that are signed: DSSE protocol.md, pre-authentication encoding."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def parse(line: bytes) -> Envelope:
    """The envelope in `line`, which is JSON of at most 64 KiB; raises EnvelopeInvalid."""
    # A note may hold a million lines of rubbish: what cannot be an object is refused before it is decoded.
    if line[:1] != b"{":
        raise EnvelopeInvalid("not a JSON object")
    if len(line) > MAX_ENVELOPE_BYTES:
        raise EnvelopeInvalid(f"longer than {MAX_ENVELOPE_BYTES} bytes")
    try:
        value = load_json(line)
    except ValueError as error:
        raise EnvelopeInvalid(str(error)) from None
    return from_json(value)


def from_json(value: object) -> Envelope:
    """The envelope in decoded JSON (a bundle carries one inside); raises EnvelopeInvalid."""
    if not isinstance(value, dict) or value.keys() != {"payload", "payloadType", "signatures"}:
        raise EnvelopeInvalid("not an object of exactly payload, payloadType and signatures")
    if value["payloadType"] != PAYLOAD_TYPE:
        raise EnvelopeInvalid(f"the payload type is not {PAYLOAD_TYPE}")
    entries = value["signatures"]
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_SIGNATURES:
        raise EnvelopeInvalid(f"signatures is not a list of 1 to {MAX_SIGNATURES}")
    signatures = tuple(_signature(entry) for entry in entries)
    # One signature a key: sixteen wrong ones under one hint would cost sixteen verifications.
    if len({signature.keyid for signature in signatures}) != len(signatures):
        raise EnvelopeInvalid("two signatures have the same keyid")
    return Envelope(_decoded("payload", value["payload"]), signatures)


def _signature(entry: object) -> Signature:
    if not isinstance(entry, dict) or entry.keys() != {"keyid", "sig"}:
        raise EnvelopeInvalid("a signature is not an object of exactly keyid and sig")
    keyid = entry["keyid"]
    if not isinstance(keyid, str) or not (keyid.isascii() and keyid.isprintable()):
        raise EnvelopeInvalid("a keyid is not printable ASCII")
    if len(keyid) > MAX_KEYID_CHARS:
        raise EnvelopeInvalid(f"a keyid is longer than {MAX_KEYID_CHARS} characters")
    return Signature(keyid, _decoded("sig", entry["sig"]))


def _decoded(name: str, text: object) -> bytes:
    """Standard base64 in its only canonical spelling (RFC 4648, sections 3.5 and 4), and not empty."""
    if not isinstance(text, str) or not text.isascii():
        raise EnvelopeInvalid(f"{name} is not base64")
    try:
        decoded = base64.b64decode(text)
    except ValueError:
        raise EnvelopeInvalid(f"{name} is not base64") from None
    if not decoded or base64.b64encode(decoded).decode() != text:
        raise EnvelopeInvalid(f"{name} is not canonical base64, or empty")
    return decoded


def serialise(envelope: Envelope) -> bytes:
    """The envelope as one line of compact JSON, without a line feed."""
    return json.dumps(to_json(envelope), separators=(",", ":")).encode()


def to_json(envelope: Envelope) -> dict[str, object]:
    """The envelope as JSON values, for a bundle to carry."""
    return {
        "payload": base64.b64encode(envelope.payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [
            {"keyid": signature.keyid, "sig": base64.b64encode(signature.sig).decode()}
            for signature in envelope.signatures
        ],
    }


def sign(payload: bytes, key_blob: bytes, sign_bytes: Callable[[bytes], bytes]) -> Envelope:
    """An envelope signed by one key.

    `sign_bytes` takes the bytes to sign and returns what DSSE wants: 64 bytes of pure Ed25519, or ECDSA
    over SHA-256 in DER (`signature_from_ssh` makes either of an agent's answer). Raises ValueError when the
    signature is not one by `key_blob`, or when the envelope would be longer than 64 KiB.
    """
    envelope = Envelope(payload, (Signature(sshsig.fingerprint(key_blob), sign_bytes(pae(payload))),))
    if not verify(envelope, key_blob):
        raise ValueError(f"what signed is not the key {sshsig.fingerprint(key_blob)}")
    if len(serialise(envelope)) > MAX_ENVELOPE_BYTES:
        raise ValueError(f"the envelope would be longer than {MAX_ENVELOPE_BYTES} bytes")
    return envelope


def verify(envelope: Envelope, key_blob: bytes) -> bool:
    """Whether a signature of the envelope is by `key_blob`, an SSH public key blob (Ed25519 or ECDSA P-256).

    Like the verifiers of the Go libraries it tries what names this key or no key. A key of another type, or
    one that is not well formed, has signed nothing.
    """
    message = pae(envelope.payload)
    hints = ("", sshsig.fingerprint(key_blob))
    return any(_verifies(key_blob, s.sig, message) for s in envelope.signatures if s.keyid in hints)


def _verifies(key_blob: bytes, signature: bytes, message: bytes) -> bool:
    try:
        return sshsig.verify_raw(key_blob, _signature_to_ssh(sshsig.key_type(key_blob), signature), message)
    except ValueError:
        return False


def _signature_to_ssh(key_type: bytes, signature: bytes) -> bytes:
    """The opposite of `signature_from_ssh`, which a key of another type refuses; raises ValueError."""
    if key_type == ED25519:
        return sshsig.string(ED25519) + sshsig.string(signature)
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    numbers = decode_dss_signature(signature)
    mpints = [n.to_bytes(n.bit_length() // 8 + 1, "big", signed=True) for n in numbers]
    return sshsig.string(P256) + sshsig.string(b"".join(map(sshsig.string, mpints)))


def signature_from_ssh(blob: bytes) -> bytes:
    """The DSSE signature in an SSH signature blob, as ssh-agent returns it; raises ValueError.

    RFC 8709, section 6: 64 bytes of pure Ed25519. RFC 5656, section 3.1.2: r and s as mpints, over SHA-256.
    """
    key_type, signature = sshsig.read_strings(blob, 2)
    if key_type == ED25519:
        return signature
    if key_type != P256:
        raise ValueError("not a signature by an Ed25519 or P-256 key")
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    r, s = (int.from_bytes(mpint, "big", signed=True) for mpint in sshsig.read_strings(signature, 2))
    return encode_dss_signature(r, s)


def load_json(data: bytes) -> object:
    """Decode JSON that a stranger wrote; the caller bounds its length. Raises ValueError with the reason.

    Refused beside what JSON itself forbids: text that is not UTF-8, an object with one key twice, nesting
    beyond 32, NaN and infinities, integers of more than 18 digits, lone surrogates.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    if _nests_too_deep(data):
        raise ValueError(f"nested deeper than {MAX_JSON_DEPTH}")
    value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer,
                       parse_float=_number)  # fmt: skip
    if "\\u" in text:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("a string has a lone surrogate") from None
    return value


def _nests_too_deep(data: bytes) -> bool:
    """Whether a parser would get deeper than MAX_JSON_DEPTH, in JSON or in what begins like JSON."""
    if data.count(b"{") + data.count(b"[") <= MAX_JSON_DEPTH:
        return False
    depth = 0
    for bracket in _BRACKET.findall(_JSON_STRING.sub(b"", data)):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_JSON_DEPTH:
            return True
    return False


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key appears twice in one object")
    return value


def _constant(text: str) -> object:
    raise ValueError(f"{text} is not JSON")


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > MAX_JSON_DIGITS:
        raise ValueError(f"an integer has more than {MAX_JSON_DIGITS} digits")
    return int(text)


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is out of range")
    return number
