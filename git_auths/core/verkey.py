"""The public keys of a key event log: Ed25519 and P-256, as KERI writes them and as SSH does."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from git_auths.core import cesr, ed25519
from git_auths.core.sshsig import read_strings, string

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

_ED25519_CODES = (cesr.ED25519, cesr.ED25519_NON_TRANSFERABLE)
_P256_CODES = (cesr.P256, cesr.P256_NON_TRANSFERABLE)
TRANSFERABLE = (cesr.ED25519, cesr.P256)
NON_TRANSFERABLE = (cesr.ED25519_NON_TRANSFERABLE, cesr.P256_NON_TRANSFERABLE)
_SIGNATURE_CODES = {
    cesr.ED25519: ("A", "B", "2A", "2B"), cesr.ED25519_NON_TRANSFERABLE: ("A", "B", "2A", "2B"),
    cesr.P256: ("E", "F", "2E", "2F"), cesr.P256_NON_TRANSFERABLE: ("E", "F", "2E", "2F"),
}  # fmt: skip

# SEC 2, section 2.4.2: the curve secp256r1.
_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B


class KeyUnusable(ValueError):
    """Not the canonical form of a public key that a key event log may hold."""


class Key(NamedTuple):
    """`raw` is 32 bytes of Ed25519, or 33 of P-256: the point, compressed (SEC 1, section 2.3.3)."""

    code: str
    raw: bytes

    @property
    def qb64(self) -> str:
        return cesr.encode(self.code, self.raw)

    @property
    def commitment(self) -> str:
        """The digest by which an event commits to this as a next key (KERI, pre-rotation)."""
        return cesr.digest(self.qb64.encode())

    def ssh_blob(self) -> bytes:
        """The public key as SSH has it on the wire (RFC 8709 section 4; RFC 5656 section 3.1)."""
        if self.code in _ED25519_CODES:
            return string(b"ssh-ed25519") + string(self.raw)
        x = self.raw[1:]
        y = _p256_y(int.from_bytes(x, "big"), self.raw[0] & 1)
        point = b"\x04" + x + y.to_bytes(32, "big")
        return string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(point)

    @property
    def signature_code(self) -> str:
        """The code of its signatures where they bear no index."""
        return cesr.ED25519_SIGNATURE if self.code in _ED25519_CODES else cesr.P256_SIGNATURE

    def takes(self, signature: cesr.IndexedSignature) -> bool:
        """Does the code of the indexed signature say that it is of this key's algorithm?"""
        return signature.code in _SIGNATURE_CODES[self.code]

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Is `signature`, 64 bytes, this key's over `data`? A high s is good: keripy writes such."""
        if self.code in _ED25519_CODES:
            return ed25519.verifies(self.raw, signature, data)
        return _p256_verifies(self.raw, signature, data)


def parse(text: object, codes: tuple[str, ...] = TRANSFERABLE) -> Key:
    """A key from its text in an event; KeyUnusable when its code is not in `codes` or it is off the curve."""
    if type(text) is not str:
        raise KeyUnusable("not a string")
    try:
        code, raw = cesr.decode(text)
    except cesr.CesrInvalid as error:
        raise KeyUnusable(str(error)) from None
    if code not in codes:
        raise KeyUnusable(f"code {code} is not one of {', '.join(codes)}")
    if code in _P256_CODES:
        if raw[0] not in (2, 3):
            raise KeyUnusable("a P-256 point that is not in compressed form")
        _p256_public(raw)
    return Key(code, raw)


def from_ssh_blob(blob: bytes) -> Key:
    """The key of an SSH public key blob: ssh-ed25519 or ecdsa-sha2-nistp256; KeyUnusable for any other."""
    try:
        if blob.startswith(string(b"ssh-ed25519")):
            raw = read_strings(blob, 2)[1]
            if len(raw) != 32:
                raise KeyUnusable("an Ed25519 key of the wrong length")
            return Key(cesr.ED25519, raw)
        if not blob.startswith(string(b"ecdsa-sha2-nistp256")):
            raise KeyUnusable("KERI has no code for SSH keys of this type")
        _, _, point = read_strings(blob, 3)
    except KeyUnusable:
        raise
    except ValueError as error:
        raise KeyUnusable(str(error)) from None
    key = Key(cesr.P256, bytes((2 + (point[-1] & 1),)) + point[1:33]) if len(point) == 65 else None
    if key is None or key.ssh_blob() != blob:
        raise KeyUnusable("not a point of nistp256 in uncompressed form")
    return key


def _p256_y(x: int, odd: int) -> int:
    """The y of the point (SEC 1, section 2.3.4)."""
    square = (x * x * x - 3 * x + _B) % _P
    y = pow(square, (_P + 1) // 4, _P)
    if x >= _P or y * y % _P != square:
        raise KeyUnusable("a P-256 point that is not on the curve")
    return y if y & 1 == odd else _P - y


@lru_cache(maxsize=256)
def _p256_public(point: bytes) -> EllipticCurvePublicKey:
    """The loaded key; an eighth of the time of `_p256_y`, once `cryptography` is imported."""
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        raise KeyUnusable("a P-256 point that is not on the curve") from None


def _p256_verifies(point: bytes, signature: bytes, data: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    try:
        _p256_public(point).verify(encode_dss_signature(r, s), data, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True
