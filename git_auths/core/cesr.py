"""CESR 1.0: the few self-framing primitives that a key event log is made of (CESR spec, code tables).

A primitive is a code and its material in base64url, padded in front so that both end on a 24-bit boundary.
One value has one text: what decodes, but would be written otherwise, is refused.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from typing import NamedTuple

from blake3 import blake3

ED25519 = "D"
ED25519_NON_TRANSFERABLE = "B"
P256 = "1AAJ"
P256_NON_TRANSFERABLE = "1AAI"
BLAKE3_256 = "E"
NUMBER_128 = "0A"
ED25519_SIGNATURE = "0B"
P256_SIGNATURE = "0I"
DATE_TIME = "1AAG"

# Bytes of material after each code (CESR master code table).
_RAW_SIZES = {
    ED25519: 32, ED25519_NON_TRANSFERABLE: 32, P256: 33, P256_NON_TRANSFERABLE: 33, BLAKE3_256: 32,
    NUMBER_128: 16, ED25519_SIGNATURE: 64, P256_SIGNATURE: 64, DATE_TIME: 24,
}  # fmt: skip
_CODE_SIZES = {**dict.fromkeys("ABCDEFGHIJKLMNOPQRSTUVWXYZ", 1), "0": 2, "1": 4}

# CESR indexed code table: (characters of the index, of the other index).
_INDEX_SIZES = {
    "A": (1, 0), "B": (1, 0), "E": (1, 0), "F": (1, 0),
    "2A": (2, 2), "2B": (2, 2), "2E": (2, 2), "2F": (2, 2),
}  # fmt: skip
_CURRENT_ONLY = frozenset(("B", "F", "2B", "2F"))
_SIGNATURE_SIZE = 64

# CESR count code table (genus KERI 1.0).
CONTROLLER_SIGNATURES = "-A"
WITNESS_SIGNATURES = "-B"
RECEIPT_COUPLES = "-C"
RECEIPT_QUADRUPLES = "-D"
FIRST_SEEN_COUPLES = "-E"
SEAL_SOURCE_COUPLES = "-G"
ATTACHMENT_QUADLETS = "-V"
COUNT_CODES = frozenset(("-A", "-B", "-C", "-D", "-E", "-G", "-V"))

DIGEST_SIZE = 44  # characters of a digest with its code
VERSION_PREFIX = b"KERI10JSON"
VERSION_SIZE = 17

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_VALUES = {byte: value for value, byte in enumerate(_ALPHABET)}
_FIRST_OF_32_BYTES = "ABCDEFGHIJKLMNOP"
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class CesrInvalid(ValueError):
    """The text is no primitive of those used here, or not the one text that stands for its value."""


class Primitive(NamedTuple):
    """`code` says what `raw` is."""

    code: str
    raw: bytes

    @property
    def qb64(self) -> str:
        return encode(self.code, self.raw)


class IndexedSignature(NamedTuple):
    """A signature by key number `key_index` of the current list. `prior_index` is that key's place among the
    digests that the establishment event before it committed to; None where the code says it has none."""

    code: str
    key_index: int
    prior_index: int | None
    raw: bytes


def encode(code: str, raw: bytes) -> str:
    """The text of a primitive; CesrInvalid for another code, or material of another length."""
    if len(raw) != _RAW_SIZES.get(code):
        raise CesrInvalid(f"code {code!r} does not take {len(raw)} bytes")
    return code + _to_text(len(code), raw)


def decode(text: str) -> Primitive:
    """Exactly one primitive and nothing after it."""
    try:
        stream = text.encode("ascii")
    except UnicodeEncodeError:
        raise CesrInvalid("a character outside base64url") from None
    primitive, end = read(stream, 0)
    if end != len(stream):
        raise CesrInvalid("characters after the primitive")
    return primitive


def read(stream: bytes, position: int) -> tuple[Primitive, int]:
    """The primitive that begins at `position`, and where it ends."""
    code = _ascii(stream[position : position + _CODE_SIZES.get(_ascii(stream[position : position + 1]), 1)])
    raw_size = _RAW_SIZES.get(code)
    if raw_size is None:
        raise _unknown(code)
    end = position + len(code) + _text_size(len(code), raw_size)
    return Primitive(code, _to_raw(stream[position:end], end - position, len(code))), end


def encode_indexed(signature: IndexedSignature) -> str:
    """The text of an indexed signature."""
    sizes = _INDEX_SIZES.get(signature.code)
    if sizes is None or len(signature.raw) != _SIGNATURE_SIZE:
        raise CesrInvalid(f"no indexed signature of code {signature.code!r} has {len(signature.raw)} bytes")
    prior_index = signature.prior_index
    if signature.code in _CURRENT_ONLY:
        if prior_index is not None:
            raise CesrInvalid(f"code {signature.code} has no index into the prior list")
        prior_index = 0
    elif prior_index is None or (sizes[1] == 0 and prior_index != signature.key_index):
        raise CesrInvalid(f"code {signature.code} has one index, or both, and they are the same")
    code = signature.code + _number_text(signature.key_index, sizes[0])
    if sizes[1]:
        code += _number_text(prior_index, sizes[1])
    return code + _to_text(len(code), signature.raw)


def read_indexed(stream: bytes, position: int) -> tuple[IndexedSignature, int]:
    """The indexed signature that begins at `position`, and where it ends."""
    code = _ascii(stream[position : position + (2 if stream[position : position + 1] == b"2" else 1)])
    sizes = _INDEX_SIZES.get(code)
    if sizes is None:
        raise _unknown(code)
    index_at = position + len(code)
    prior_at = index_at + sizes[0]
    code_size = len(code) + sizes[0] + sizes[1]
    end = position + code_size + _text_size(code_size, _SIGNATURE_SIZE)
    raw = _to_raw(stream[position:end], end - position, code_size)
    index = _number(stream[index_at:prior_at])
    prior_index = _number(stream[prior_at : prior_at + sizes[1]]) if sizes[1] else index
    if code not in _CURRENT_ONLY:
        return IndexedSignature(code, index, prior_index, raw), end
    if sizes[1] and prior_index:
        raise CesrInvalid(f"code {code} with an index into the prior list")
    return IndexedSignature(code, index, None, raw), end


def encode_count(code: str, count: int) -> str:
    """The code in front of `count` primitives or groups (with `-V`: quadlets of characters)."""
    if code not in COUNT_CODES:
        raise CesrInvalid(f"no count code {code!r}")
    return code + _number_text(count, 2)


def read_count(stream: bytes, position: int) -> tuple[str, int, int]:
    """(code, count, end) of the count code that begins at `position`."""
    text = stream[position : position + 4]
    if len(text) < 4:
        raise _cut_off()
    code = _ascii(text[:2])
    if code not in COUNT_CODES:
        raise _unknown(code)
    return code, _number(text[2:]), position + 4


def digest(data: bytes) -> str:
    """The Blake3-256 digest of `data`, with its code."""
    return BLAKE3_256 + _to_text(1, blake3(data).digest())


def is_digest(text: object) -> bool:
    """Is this the canonical text of a Blake3-256 digest?"""
    # As `decode` has it, in a fifth of the time: 32 bytes of material leave two bits of the second character unused.
    return (
        type(text) is str and len(text) == DIGEST_SIZE and text[0] == BLAKE3_256 and text[1] in _FIRST_OF_32_BYTES
        and text.isascii() and not text.encode().translate(None, _ALPHABET)
    )  # fmt: skip


def format_version(size: int) -> str:
    """The version string of a KERI 1.0 message of `size` bytes of JSON."""
    if not 0 <= size < 1 << 24:
        raise CesrInvalid("a message whose size does not fit six hex digits")
    return f"{VERSION_PREFIX.decode()}{size:06x}_"


def parse_version(text: bytes) -> int:
    """The size in bytes that a version string states; only KERI 1.0 in JSON."""
    digits = text[len(VERSION_PREFIX) : -1]
    if len(text) != VERSION_SIZE or not text.startswith(VERSION_PREFIX) or text[-1:] != b"_":
        raise CesrInvalid("not a message of KERI 1.0 in JSON")
    if digits.translate(None, b"0123456789abcdef"):
        raise CesrInvalid("the size in the version string is not six lowercase hex digits")
    return int(digits, 16)


def _text_size(code_size: int, raw_size: int) -> int:
    return (code_size % 4 + raw_size) * 4 // 3 - code_size % 4


def _to_text(code_size: int, raw: bytes) -> str:
    # The code takes the place of the characters that stand for the zero bytes in front.
    pad = code_size % 4
    return b2a_base64(bytes(pad) + raw, newline=False)[pad:].translate(_TO_URL_SAFE).decode()


def _to_raw(text: bytes, size: int, code_size: int) -> bytes:
    if len(text) < size:
        raise _cut_off()
    pad = code_size % 4
    padded = b"A" * pad + text[code_size:]
    if padded.translate(None, _ALPHABET):  # a2b_base64 skips what is no base64, and takes "=" for an end
        raise CesrInvalid("a character outside base64url")
    raw = a2b_base64(padded.translate(_TO_STANDARD))  # whole groups of four characters: each text has its own bytes
    if any(raw[:pad]):
        raise CesrInvalid("not canonical: its pad bits are not zero")
    return raw[pad:]


def _number_text(number: int, size: int) -> str:
    if not 0 <= number < 64**size:
        raise CesrInvalid(f"{number} does not fit {size} base64 characters")
    return bytes(_ALPHABET[number >> 6 * place & 63] for place in reversed(range(size))).decode()


def _number(text: bytes) -> int:
    number = 0
    for byte in text:
        if byte not in _VALUES:
            raise CesrInvalid("a character outside base64url")
        number = number << 6 | _VALUES[byte]
    return number


def _ascii(text: bytes) -> str:
    return text.decode("latin-1")


def _unknown(code: str) -> CesrInvalid:
    return CesrInvalid(f"unknown code {code!r}") if code else _cut_off()


def _cut_off() -> CesrInvalid:
    return CesrInvalid("cut off in the middle of a primitive")
