"""SSHSIG: the signatures that `ssh-keygen -Y` makes, and git stores (OpenSSH PROTOCOL.sshsig).

Keys and signatures are SSH wire blobs (RFC 4253 section 6.6, RFC 5656, RFC 8332, RFC 8709, OpenSSH PROTOCOL.u2f).
`re`, `typing` and the crypto libraries are imported where they are used: signing a commit needs none of them.
"""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64

from git_auths.core.sha2 import sha256, sha512

MAGIC = b"SSHSIG"
VERSION = 1
ARMOR_BEGIN = b"-----BEGIN SSH SIGNATURE-----\n"
ARMOR_END = b"-----END SSH SIGNATURE-----\n"
ARMOR_WIDTH = 70  # sshbuf_dtob64 in OpenSSH wraps here; git shows what ssh-keygen wrote
MAX_ARMOR_BYTES = 16 * 1024  # an RSA-16384 signature with its key is below 6 KiB
MIN_RSA_BITS = 2048
MAX_FRAMES = 1024
USER_PRESENT = 0x01  # PROTOCOL.u2f, "SSH U2F signatures": the flags
USER_VERIFIED = 0x04
NOT_VERIFIED = "the signature does not verify"
HASHES = {b"sha512": sha512, b"sha256": sha256}

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


# (namespace, a blob that verified but for its last 64 bytes) -> its key, its hash, the signed data before the digest.
# The last 64 bytes are those of an Ed25519 signature and all lengths stand before them, so with any others it parses
# alike. Nearly all commits are by few keys: this saves a tenth of their time.
_frames: dict[tuple[bytes, bytes], tuple[bytes, bytes, bytes]] = {}


class BadSignature(ValueError):
    """The signature does not prove what it should; the message says why."""


class NotCanonical(BadSignature):
    """The armor is not the one text that stands for its blob: git would read past what is wrong with it."""


class Signature:
    """A parsed SSHSIG blob: whose key, for which namespace, over which hash, and the signature itself."""

    __slots__ = ("hash_name", "key", "namespace", "raw")

    def __init__(self, key: bytes, namespace: bytes, hash_name: bytes, raw: bytes) -> None:
        self.key = key
        self.namespace = namespace
        self.hash_name = hash_name
        self.raw = raw


def hardware_use(signature: Signature) -> tuple[int, int] | None:
    """(counter, flags) that a hardware key signed along with the message (PROTOCOL.u2f, "SSH U2F signatures"); None for
    any other key. Of the flags, `check` requires USER_PRESENT; USER_VERIFIED says that a PIN or finger was, too.
    They are to be believed once `check` has passed, and the counter is for people: some hardware leaves it at zero."""
    if not key_type(signature.key).startswith(b"sk-"):
        return None
    tail = signature.raw[-5:]
    if len(tail) < 5:
        raise BadSignature("a field is cut off")
    return int.from_bytes(tail[1:], "big"), tail[0]


def string(value: bytes) -> bytes:
    """RFC 4251 section 5: a length-prefixed byte string."""
    return len(value).to_bytes(4, "big") + value


def read_strings(blob: bytes, count: int) -> list[bytes]:
    """Exactly `count` strings and nothing after them."""
    values = []
    position = 0
    for _ in range(count):
        end = position + 4 + int.from_bytes(blob[position : position + 4], "big")
        if end > len(blob):
            raise BadSignature("a field is cut off")
        values.append(blob[position + 4 : end])
        position = end
    if position != len(blob):
        raise BadSignature("bytes after the last field")
    return values


def key_type(key: bytes) -> bytes:
    """The algorithm name at the front of a public key blob."""
    end = 4 + int.from_bytes(key[:4], "big")
    if end > len(key):
        raise BadSignature("the public key is cut off")
    return key[4:end]


def fingerprint(key: bytes) -> str:
    """`SHA256:...` as ssh-keygen -l prints it."""
    return "SHA256:" + b2a_base64(sha256(key).digest(), newline=False).rstrip(b"=").decode()


def signed_data(message: bytes, namespace: bytes, hash_name: bytes = b"sha512") -> bytes:
    """The bytes that the key signs (PROTOCOL.sshsig section 2); the message goes in as a hash."""
    digest = HASHES[hash_name](message).digest()
    return MAGIC + string(namespace) + string(b"") + string(hash_name) + string(digest)


def encode(key: bytes, namespace: bytes, raw: bytes, hash_name: bytes = b"sha512") -> bytes:
    """The armored signature file for `raw`, a signature blob over `signed_data`."""
    blob = (
        MAGIC + VERSION.to_bytes(4, "big")
        + string(key) + string(namespace) + string(b"") + string(hash_name) + string(raw)
    )  # fmt: skip
    return armor(blob)


def armor(blob: bytes) -> bytes:
    text = b2a_base64(blob, newline=False)
    lines = [text[i : i + ARMOR_WIDTH] for i in range(0, len(text), ARMOR_WIDTH)]
    return ARMOR_BEGIN + b"\n".join(lines) + b"\n" + ARMOR_END


def dearmor(text: bytes) -> bytes:
    """The blob in `text`, which must be exactly what `armor` gives: one text a signature, no room to hide bytes in."""
    if len(text) > MAX_ARMOR_BYTES:
        raise NotCanonical("the signature is too long")
    if not (text.startswith(ARMOR_BEGIN) and text.endswith(ARMOR_END)):
        raise NotCanonical("bytes before or after the signature's armor")
    try:
        blob = a2b_base64(text[len(ARMOR_BEGIN) : -len(ARMOR_END)])
    except Base64Error:
        raise NotCanonical("the signature's armor is not base64") from None
    if armor(blob) != text:
        raise NotCanonical("the signature's armor is not canonical")
    return blob


def parse(blob: bytes) -> Signature:
    """Parse the blob of PROTOCOL.sshsig section 3."""
    if blob[:6] != MAGIC or blob[6:10] != VERSION.to_bytes(4, "big"):
        raise BadSignature("not an SSHSIG of version 1")
    key, namespace, reserved, hash_name, raw = read_strings(blob[10:], 5)
    if reserved:
        raise BadSignature("the reserved field is not empty")
    if not namespace:
        raise BadSignature("no namespace")
    if hash_name not in HASHES:
        raise BadSignature("an unknown hash algorithm")
    return Signature(key, namespace, hash_name, raw)


def check(text: bytes, namespace: bytes, message: bytes) -> Signature:
    """Verify armored `text` over `message` for `namespace`; whose key it is, is for the caller to judge."""
    blob = dearmor(text)
    frame = _frames.get((namespace, blob[:-64]))
    if frame is None:
        return _check_blob(blob, namespace, message)
    key, hash_name, data = frame
    if not ed25519_verifies(key[-32:], blob[-64:], data + HASHES[hash_name](message).digest()):
        raise BadSignature(NOT_VERIFIED)
    return Signature(key, namespace, hash_name, blob[-83:])


def _check_blob(blob: bytes, namespace: bytes, message: bytes) -> Signature:
    signature = parse(blob)
    if signature.namespace != namespace:
        shown = signature.namespace.decode("ascii", "replace")
        raise BadSignature(f"made for the namespace {shown!r}, not {namespace.decode()!r}")
    data = signed_data(message, namespace, signature.hash_name)
    if not verify_raw(signature.key, signature.raw, data):
        raise BadSignature(NOT_VERIFIED)
    if key_type(signature.key) == b"ssh-ed25519":
        _remember_frame(blob, signature, data)
    return signature


def _remember_frame(blob: bytes, signature: Signature, data: bytes) -> None:
    if len(_frames) >= MAX_FRAMES:
        _frames.clear()
    digest_bytes = HASHES[signature.hash_name]().digest_size
    frame = signature.key, signature.hash_name, data[:-digest_bytes]
    _frames[signature.namespace, blob[:-64]] = frame


def verify_raw(key: bytes, raw: bytes, data: bytes) -> bool:
    """Does the signature blob `raw`, by the public key blob `key`, sign `data`?"""
    kind = key_type(key)
    verifier = _VERIFIERS.get(kind)
    if verifier is None:
        raise BadSignature(f"keys of type {kind[:40].decode('ascii', 'replace')!r} are not supported")
    return verifier(key, raw, data)


def _ed25519(key: bytes, raw: bytes, data: bytes) -> bool:
    _, public = read_strings(key, 2)
    name, signature = read_strings(raw, 2)
    if name != b"ssh-ed25519":
        raise BadSignature("the signature is of another type than its key")
    return ed25519_verifies(public, signature, data)


def ed25519_verifies(public: bytes, signature: bytes, data: bytes) -> bool:
    from git_auths.core import ed25519

    return ed25519.verifies(public, signature, data)


def _ecdsa_p256(key: bytes, raw: bytes, data: bytes) -> bool:
    _, curve, point = read_strings(key, 3)
    if curve != b"nistp256":
        raise BadSignature("an ECDSA key on another curve than nistp256")
    name, inner = read_strings(raw, 2)
    if name != b"ecdsa-sha2-nistp256":
        raise BadSignature("the signature is of another type than its key")
    return _p256_verifies(point, inner, data)


def _p256_verifies(point: bytes, inner: bytes, data: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    if len(point) != 65 or point[0] != 4:
        raise BadSignature("an ECDSA key that is not an uncompressed point")
    r, s = (_positive(field) for field in read_strings(inner, 2))
    if not (0 < r < P256_ORDER and 0 < s < P256_ORDER):
        raise BadSignature("an ECDSA signature out of range")
    try:
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        public.verify(encode_dss_signature(r, s), data, ec.ECDSA(SHA256()))
    except ValueError:
        raise BadSignature("an ECDSA key that is not on the curve") from None
    except InvalidSignature:
        return False
    return True


def _positive(field: bytes) -> int:
    """An mpint (RFC 4251 section 5): positive and in its shortest form."""
    padded = field[:1] == b"\0" and field[1:2] < b"\x80"
    if not field or len(field) > 2049 or field[0] & 0x80 or padded:
        raise BadSignature("an integer that is negative, zero or padded")
    return int.from_bytes(field, "big")


def _rsa(key: bytes, raw: bytes, data: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.hashes import SHA256, SHA512

    _, exponent_field, modulus_field = read_strings(key, 3)
    exponent, modulus = _positive(exponent_field), _positive(modulus_field)
    if modulus.bit_length() < MIN_RSA_BITS:
        raise BadSignature(f"an RSA key of {modulus.bit_length()} bits; {MIN_RSA_BITS} is the least")
    name, signature = read_strings(raw, 2)
    # `ssh-rsa` is RSA with SHA-1: PROTOCOL.sshsig section 3 forbids it.
    if name not in (b"rsa-sha2-256", b"rsa-sha2-512"):
        raise BadSignature("an RSA signature over SHA-1 or an unknown hash")
    try:
        public = rsa.RSAPublicNumbers(exponent, modulus).public_key()
        public.verify(signature, data, padding.PKCS1v15(), SHA256() if name == b"rsa-sha2-256" else SHA512())
    except ValueError:
        raise BadSignature("an impossible RSA key") from None
    except InvalidSignature:
        return False
    return True


def _sk_fields(raw: bytes, kind: bytes, application: bytes, data: bytes) -> tuple[bytes, bytes]:
    """PROTOCOL.u2f: the inner signature, and what the hardware signed; its user must have been present."""
    flags, counter = raw[-5:-4], raw[-4:]
    name, signature = read_strings(raw[:-5], 2)
    if name != kind:
        raise BadSignature("the signature is of another type than its key")
    if b"\0" in application:  # OpenSSH takes it for a C string
        raise BadSignature("a hardware key's application with a NUL")
    if not flags[0] & USER_PRESENT:  # ssh-keygen -Y verify leaves this to its caller
        raise BadSignature("the hardware key did not ask for its user's presence")
    return signature, (
        sha256(application).digest() + flags + counter + sha256(data).digest()
    )  # fmt: skip


def _sk_ed25519(key: bytes, raw: bytes, data: bytes) -> bool:
    kind, public, application = read_strings(key, 3)
    signature, message = _sk_fields(raw, kind, application, data)
    return ed25519_verifies(public, signature, message)


def _sk_ecdsa(key: bytes, raw: bytes, data: bytes) -> bool:
    kind, curve, point, application = read_strings(key, 4)
    if curve != b"nistp256":
        raise BadSignature("an ECDSA key on another curve than nistp256")
    signature, message = _sk_fields(raw, kind, application, data)
    return _p256_verifies(point, signature, message)


_VERIFIERS = {
    b"ssh-ed25519": _ed25519,
    b"ecdsa-sha2-nistp256": _ecdsa_p256,
    b"ssh-rsa": _rsa,
    b"sk-ssh-ed25519@openssh.com": _sk_ed25519,
    b"sk-ecdsa-sha2-nistp256@openssh.com": _sk_ecdsa,
}
