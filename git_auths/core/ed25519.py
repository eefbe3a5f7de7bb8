"""Ed25519 (RFC 8032) by libsodium, which refuses keys of small order or in non-canonical form, and S not reduced.

It is reached through PyNaCl's extension module: 0.9 ms to import, where `nacl.bindings` takes 15 and the ed25519 of
`cryptography` 17 (whole processes, Python 3.11). That is not PyNaCl's public interface, so with a version that keeps it
elsewhere the public one serves. Both release the GIL.
"""

from __future__ import annotations

try:
    from nacl._sodium import ffi, lib  # type: ignore[import-not-found]

    if lib.sodium_init() < 0:
        raise RuntimeError("libsodium does not start")
except ImportError:
    lib = None


def key_pair(seed: bytes) -> tuple[bytes, bytes]:
    """(public key, the seed followed by the public key) of a 32-byte seed."""
    if lib is None:
        from nacl.bindings import crypto_sign_seed_keypair

        return crypto_sign_seed_keypair(seed)
    public, secret = ffi.new("unsigned char[]", 32), ffi.new("unsigned char[]", 64)
    if len(seed) != 32 or lib.crypto_sign_seed_keypair(public, secret, seed) != 0:
        raise ValueError("an Ed25519 seed has 32 bytes")
    return bytes(ffi.buffer(public)), bytes(ffi.buffer(secret))


def sign(seed: bytes, data: bytes) -> bytes:
    """The 64-byte signature over `data`. The public half is derived anew: another one would give the secret away."""
    secret = key_pair(seed)[1]
    if lib is None:
        from nacl.bindings import crypto_sign

        return crypto_sign(data, secret)[:64]
    signed = ffi.new("unsigned char[]", 64 + len(data))
    if lib.crypto_sign(signed, ffi.new("unsigned long long *"), data, len(data), secret) != 0:
        raise RuntimeError("libsodium does not sign")
    return bytes(ffi.buffer(signed, 64))


def verifies(public: bytes, signature: bytes, data: bytes) -> bool:
    """Is `signature` (64 bytes) over `data` by the key `public` (32 bytes)? Other lengths are no signature."""
    if len(public) != 32 or len(signature) != 64:
        return False
    if lib is None:
        from nacl.bindings import crypto_sign_open
        from nacl.exceptions import BadSignatureError

        try:
            crypto_sign_open(signature + data, public)
        except BadSignatureError:
            return False
        return True
    signed = signature + data
    opened = ffi.new("unsigned char[]", len(signed))
    status: int = lib.crypto_sign_open(opened, ffi.new("unsigned long long *"), signed, len(signed), public)
    return status == 0
