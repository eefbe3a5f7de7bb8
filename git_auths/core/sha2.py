"""SHA-256 and SHA-512 of CPython's own, as `hashlib` has them where it finds no OpenSSL.

`hashlib` itself loads OpenSSL, which costs 3 ms of each signature (whole processes, Python 3.11). The modules behind it
have other names by version, and none need be there; then `hashlib` serves.
"""

from __future__ import annotations

try:
    from _sha2 import sha256, sha512  # type: ignore[import-not-found]  # Python 3.12 and later
except ImportError:
    try:
        from _sha256 import sha256  # type: ignore[import-not-found]
        from _sha512 import sha512  # type: ignore[import-not-found]
    except ImportError:
        from hashlib import sha256, sha512

__all__ = ["sha256", "sha512"]
