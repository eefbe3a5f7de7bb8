"""OpenSSH private key files, as ssh-keygen and ssh-add read and write them (OpenSSH PROTOCOL.key).

Read and written by hand: the loader of `cryptography` takes 25 to 38 ms to import, as much as all the rest of
signing a commit, and its serializer writes no comment. Kinds of keys: ssh-ed25519 (RFC 8709) and
ecdsa-sha2-nistp256 (RFC 5656). Encrypted files are aes256-ctr under bcrypt_pbkdf, as ssh-keygen writes them;
aes256-cbc is read as well.
"""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64

from git_auths.core import ed25519
from git_auths.core.sshsig import P256_ORDER, string

TYPE_CHECKING = False  # importing typing for its name would cost 9 ms
if TYPE_CHECKING:
    from typing import Any

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.ciphers import Cipher

ED25519 = "ssh-ed25519"
P256 = "ecdsa-sha2-nistp256"

BEGIN = b"-----BEGIN OPENSSH PRIVATE KEY-----\n"
END = b"-----END OPENSSH PRIVATE KEY-----\n"
MAGIC = b"openssh-key-v1\0"
LINE_WIDTH = 70  # sshkey.c wraps here
MAX_FILE_BYTES = 16 * 1024  # a file of either kind is below 1 KiB unless its comment is long
MAX_PASSPHRASE_BYTES = 1024
KDF_ROUNDS = 24  # ssh-keygen's default since OpenSSH 9.4; about 0.2 s
MAX_KDF_ROUNDS = 4096  # half a minute; more would be a file that only wants to be waited for
SALT_BYTES = 16
NO_PRIVATE = bytes(8)  # a private section of check numbers alone
CIPHERS = (b"aes256-ctr", b"aes256-cbc")
BLOCK_BYTES = {b"none": 8, b"aes256-ctr": 16, b"aes256-cbc": 16}


class KeyInvalid(ValueError):
    """The bytes are no private key file of a supported kind; the message says why."""


class PrivateElsewhere(KeyInvalid):
    """The file has the public key alone; the private one is in an ssh-agent."""


class WrongPassphrase(ValueError):
    """The passphrase does not open the key file."""


class PrivateKey:
    """A key that signs: `kind` is ED25519 or P256, `secret` 32 bytes (the seed, or the big-endian scalar),
    `public_blob` the SSH wire public key. Made by `from_secret`, `generate` or by reading a file."""

    __slots__ = ("kind", "public_blob", "secret")

    def __init__(self, kind: str, secret: bytes, public_blob: bytes) -> None:
        self.kind = kind
        self.secret = secret
        self.public_blob = public_blob

    def __repr__(self) -> str:
        return f"<PrivateKey {self.kind}>"

    def sign(self, data: bytes) -> bytes:
        """The SSH wire signature blob: string algorithm, string signature (RFC 8709, RFC 5656)."""
        raw = self.sign_raw(data)
        if self.kind == P256:
            raw = string(_mpint(raw[:32])) + string(_mpint(raw[32:]))
        return string(self.kind.encode()) + string(raw)

    def sign_raw(self, data: bytes) -> bytes:
        """The 64 bytes alone, as CESR has them: Ed25519 (RFC 8032), or r and s of ECDSA over SHA-256."""
        return ed25519.sign(self.secret, data) if self.kind == ED25519 else _p256_sign(self.secret, data)


class _Container:
    """The outer fields of PROTOCOL.key section 1; `sealed` is the private section, encrypted or not."""

    __slots__ = ("cipher", "kdf_options", "public_blob", "sealed")

    def __init__(self, cipher: bytes, kdf_options: bytes, public_blob: bytes, sealed: bytes) -> None:
        self.cipher = cipher
        self.kdf_options = kdf_options
        self.public_blob = public_blob
        self.sealed = sealed


def public_blob(pem: bytes) -> bytes:
    """The SSH wire public key, which stands unencrypted at the front of the file `pem`. Raises KeyInvalid."""
    return _container(pem).public_blob


def unencrypted_private(pem: bytes) -> PrivateKey | None:
    """The key in the file `pem`; None when a passphrase locks it. Raises KeyInvalid (PrivateElsewhere)."""
    container = _container(pem)
    if container.cipher != b"none":
        return None
    if container.sealed == NO_PRIVATE:
        raise PrivateElsewhere("it has no private key: that is in an ssh-agent, or was")
    if not _checks_match(container.sealed):
        raise KeyInvalid("the check numbers differ")
    return _private(container.sealed, container.public_blob)


def decrypt(pem: bytes, passphrase: bytes) -> PrivateKey:
    """The key in the file `pem`, opened by `passphrase`. Raises WrongPassphrase, KeyInvalid."""
    container = _container(pem)
    if container.cipher == b"none":
        raise KeyInvalid("the key is not encrypted")
    if not 0 < len(passphrase) <= MAX_PASSPHRASE_BYTES:
        raise WrongPassphrase
    salt, rounds = _kdf_options(container.kdf_options)
    section = _cipher(container.cipher, passphrase, salt, rounds).decryptor().update(container.sealed)
    if not _checks_match(section):
        raise WrongPassphrase  # PROTOCOL.key section 3: the two numbers are there to tell this
    return _private(section, container.public_blob)


def generate(kind: str = ED25519) -> PrivateKey:
    """A new key, from the system's randomness."""
    if kind == ED25519:
        from secrets import token_bytes

        return from_secret(kind, token_bytes(32))
    from cryptography.hazmat.primitives.asymmetric import ec

    scalar = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
    return from_secret(kind, scalar.to_bytes(32, "big"))


def from_secret(kind: str, secret: bytes) -> PrivateKey:
    """The key of a 32 byte seed (Ed25519) or big-endian scalar (P-256). Raises KeyInvalid."""
    if len(secret) != 32:
        raise KeyInvalid("the secret is not 32 bytes")
    name = string(kind.encode())
    if kind == ED25519:
        return PrivateKey(kind, secret, name + string(ed25519.key_pair(secret)[0]))
    if kind == P256:
        return PrivateKey(kind, secret, name + string(b"nistp256") + string(_p256_point(secret)))
    raise KeyInvalid(f"keys of type {kind[:40]!r} are not supported")


def serialize(private: PrivateKey, passphrase: bytes | None, comment: str) -> bytes:
    """The key file for `private`, encrypted unless `passphrase` is None; an empty one is KeyInvalid."""
    from secrets import token_bytes

    section = 2 * token_bytes(4) + private_fields(private) + string(comment.encode())
    if passphrase is None:
        return _pem(b"none", b"none", b"", private.public_blob, section + _padding(len(section), b"none"))
    if not 0 < len(passphrase) <= MAX_PASSPHRASE_BYTES:
        raise KeyInvalid("the passphrase is empty or too long")
    cipher, salt = CIPHERS[0], token_bytes(SALT_BYTES)
    section += _padding(len(section), cipher)
    sealed = _cipher(cipher, passphrase, salt, KDF_ROUNDS).encryptor().update(section)
    options = string(salt) + KDF_ROUNDS.to_bytes(4, "big")
    return _pem(cipher, b"bcrypt", options, private.public_blob, sealed)


def without_private(public: bytes) -> bytes:
    """A key file for the SSH wire public key `public` that has no private key: `ssh-keygen -l` shows it, nothing
    signs with it. It stands for a key that lives in an ssh-agent alone."""
    return _pem(b"none", b"none", b"", public, NO_PRIVATE)


def private_fields(private: PrivateKey) -> bytes:
    """The key as a file's private section and the agent protocol both have it, up to the comment: type,
    public part, secret (draft-miller-ssh-agent, sections 3.2.2 and 3.2.3)."""
    kind = private.kind.encode()
    if private.kind == ED25519:
        public, secret = ed25519.key_pair(private.secret)
        return string(kind) + string(public) + string(secret)
    point = _p256_point(private.secret)
    return string(kind) + string(b"nistp256") + string(point) + string(_mpint(private.secret))


def take_string(data: bytes, position: int) -> tuple[bytes, int]:
    """The string at `position` (RFC 4251 section 5), and the position after it. Raises KeyInvalid."""
    start = position + 4
    end = start + int.from_bytes(data[position:start], "big")
    if start > len(data) or end > len(data):
        raise KeyInvalid("a field is cut off")
    return data[start:end], end


def _container(pem: bytes) -> _Container:
    data = _dearmor(pem)
    if not data.startswith(MAGIC):
        raise KeyInvalid("not an openssh-key-v1 file")
    cipher, position = take_string(data, len(MAGIC))
    kdf, position = take_string(data, position)
    kdf_options, position = take_string(data, position)
    count, position = data[position : position + 4], position + 4
    if count != b"\0\0\0\1":
        raise KeyInvalid("it does not hold exactly one key")
    public, position = take_string(data, position)
    sealed, position = take_string(data, position)
    if cipher not in BLOCK_BYTES:
        raise KeyInvalid(f"its cipher {cipher[:40].decode('ascii', 'replace')!r} is not supported")
    if kdf != (b"none" if cipher == b"none" else b"bcrypt"):
        raise KeyInvalid("its key derivation does not fit its cipher")
    if position != len(data):
        raise KeyInvalid("bytes after the last field")
    if not sealed or len(sealed) % BLOCK_BYTES[cipher]:
        raise KeyInvalid("the private section is not whole blocks")
    return _Container(cipher, kdf_options, public, sealed)


def _dearmor(pem: bytes) -> bytes:
    if len(pem) > MAX_FILE_BYTES:
        raise KeyInvalid("the file is too long")
    if not (pem.startswith(BEGIN) and pem.endswith(END)):
        raise KeyInvalid("not an OpenSSH private key file")
    body = pem[len(BEGIN) : -len(END)].replace(b"\n", b"")
    try:
        data = a2b_base64(body)
    except Base64Error:
        raise KeyInvalid("not base64") from None
    if b2a_base64(data, newline=False) != body:  # a2b_base64 skips what is not its alphabet
        raise KeyInvalid("not canonical base64")
    return data


def _pem(cipher: bytes, kdf: bytes, kdf_options: bytes, public: bytes, sealed: bytes) -> bytes:
    outer = string(cipher) + string(kdf) + string(kdf_options)
    text = b2a_base64(MAGIC + outer + b"\0\0\0\1" + string(public) + string(sealed), newline=False)
    lines = [text[i : i + LINE_WIDTH] for i in range(0, len(text), LINE_WIDTH)]
    return BEGIN + b"\n".join(lines) + b"\n" + END


def _checks_match(section: bytes) -> bool:
    return len(section) >= 8 and section[:4] == section[4:8]


def _private(section: bytes, public: bytes) -> PrivateKey:
    """The key in a decrypted private section (PROTOCOL.key section 3); it must be the one `public` names."""
    kind, position = take_string(section, 8)
    if kind == ED25519.encode():
        _, position = take_string(section, position)
        pair, position = take_string(section, position)  # seed and public key; what counts is the seed
        secret = pair[:32]
    elif kind == P256.encode():
        _, position = take_string(section, position)
        _, position = take_string(section, position)
        scalar, position = take_string(section, position)
        secret = _scalar(scalar)
    else:
        raise KeyInvalid(f"keys of type {kind[:40].decode('ascii', 'replace')!r} are not supported")
    _, position = take_string(section, position)  # the comment
    padding = section[position:]
    if len(padding) > 255 or padding != bytes(range(1, len(padding) + 1)):
        raise KeyInvalid("the padding is wrong")
    private = from_secret(kind.decode(), secret)
    if private.public_blob != public or not section[8:].startswith(private_fields(private)):
        raise KeyInvalid("the private half does not belong to the public half")
    return private


def _padding(length: int, cipher: bytes) -> bytes:
    return bytes(range(1, -length % BLOCK_BYTES[cipher] + 1))


def _kdf_options(options: bytes) -> tuple[bytes, int]:
    salt, position = take_string(options, 0)
    rounds = int.from_bytes(options[position:], "big")
    if len(options) != position + 4 or not 0 < len(salt) <= 64:
        raise KeyInvalid("its key derivation options are malformed")
    if not 0 < rounds <= MAX_KDF_ROUNDS:
        raise KeyInvalid(f"its key derivation wants {rounds} rounds, more than {MAX_KDF_ROUNDS} or none")
    return salt, rounds


def _cipher(name: bytes, passphrase: bytes, salt: bytes, rounds: int) -> Cipher[Any]:
    import bcrypt
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    derived = bcrypt.kdf(passphrase, salt, 32 + 16, rounds, ignore_few_rounds=True)
    mode = modes.CTR(derived[32:]) if name == b"aes256-ctr" else modes.CBC(derived[32:])
    return Cipher(algorithms.AES(derived[:32]), mode)


def _mpint(magnitude: bytes) -> bytes:
    """RFC 4251 section 5: the shortest two's complement of a number that is not negative."""
    shortest = magnitude.lstrip(b"\0")
    return b"\0" + shortest if shortest[:1] >= b"\x80" else shortest


def _scalar(mpint: bytes) -> bytes:
    value = int.from_bytes(mpint, "big")
    if not 0 < value < P256_ORDER:
        raise KeyInvalid("the scalar is out of range")
    return value.to_bytes(32, "big")


def _p256_key(secret: bytes) -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.derive_private_key(int.from_bytes(_scalar(secret), "big"), ec.SECP256R1())


def _p256_point(secret: bytes) -> bytes:
    """The public point, uncompressed (SEC 1 section 2.3.3)."""
    numbers = _p256_key(secret).public_key().public_numbers()
    return b"\4" + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")


def _p256_sign(secret: bytes, data: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    r, s = decode_dss_signature(_p256_key(secret).sign(data, ec.ECDSA(SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")
