"""`did:key` names of SSH public keys: the key itself, as text. For throwaway keys, which no log holds.

Sources: W3C CCG, "The did:key Method v0.7" (base58btc after the multibase prefix `z`); the Multicodec table
(`ed25519-pub` 0xed and `p256-pub` 0x1200, as unsigned varints; a P-256 point stands compressed: SEC 1, section 2.3.3).
"""

from __future__ import annotations

from git_auths.core import cesr, verkey
from git_auths.core.sha2 import sha256

PREFIX = "did:key:z"
MAX_DID_CHARS = 64  # of the two kinds of keys here: 56 and 57

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_MULTICODEC = {cesr.ED25519: b"\xed\x01", cesr.P256: b"\x80\x24"}
# DER of SubjectPublicKeyInfo up to the key's bytes: RFC 8410, section 4; RFC 5480, section 2.
_SPKI_ED25519 = bytes.fromhex("302a300506032b6570032100")
_SPKI_P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")


class DidKeyInvalid(ValueError):
    """Not the one way to write an Ed25519 or P-256 key as did:key; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def encode(key_blob: bytes) -> str:
    """The did:key of an SSH public key blob; DidKeyInvalid unless it is ssh-ed25519 or ecdsa-sha2-nistp256."""
    key = _key(key_blob)
    return PREFIX + _base58(_MULTICODEC[key.code] + key.raw)


def decode(did: str) -> bytes:
    """The SSH public key blob that `did` names; raises DidKeyInvalid."""
    if not did.startswith(PREFIX) or len(did) > MAX_DID_CHARS:
        raise DidKeyInvalid("not did:key:z and a key in base58")
    number = 0
    for character in did[len(PREFIX) :]:
        digit = _ALPHABET.find(character)
        if digit < 0:
            raise DidKeyInvalid("not base58")
        number = number * 58 + digit
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    for code, prefix in _MULTICODEC.items():
        if raw.startswith(prefix) and len(raw) == len(prefix) + (32 if code == cesr.ED25519 else 33):
            break
    else:
        raise DidKeyInvalid("not an Ed25519 or P-256 key")
    try:
        blob = verkey.parse(cesr.encode(code, raw[len(prefix) :])).ssh_blob()
    except verkey.KeyUnusable as error:
        raise DidKeyInvalid(str(error)) from None
    if encode(blob) != did:  # leading zeros, which `number` does not keep
        raise DidKeyInvalid("not the canonical form of its key")
    return blob


def spki(key_blob: bytes) -> bytes:
    """The key of an SSH public key blob as DER SubjectPublicKeyInfo (RFC 5280, section 4.1); raises DidKeyInvalid."""
    key = _key(key_blob)
    if key.code == cesr.ED25519:
        return _SPKI_ED25519 + key.raw
    return _SPKI_P256 + key_blob[-65:]


def audience(key_blob: bytes) -> str:
    """What a CI's token must have as its audience to be evidence for this key; raises DidKeyInvalid."""
    return f"git-auths:sha256:{sha256(spki(key_blob)).hexdigest()}"


def _key(key_blob: bytes) -> verkey.Key:
    try:
        return verkey.from_ssh_blob(key_blob)
    except verkey.KeyUnusable as error:
        raise DidKeyInvalid(str(error)) from None


def _base58(raw: bytes) -> str:
    """Base58btc of what begins with no zero byte."""
    number, text = int.from_bytes(raw, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = _ALPHABET[digit] + text
    return text
