"""Private key files: what ssh-keygen writes we read, what we write it reads, what is damaged is refused."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from git_auths.core import opensshkey, sshsig
from git_auths.core.opensshkey import ED25519, P256, KeyInvalid, PrivateKey, WrongPassphrase
from git_auths.core.sshsig import string
from tests.realgit import run

KINDS = {ED25519: "ed25519", P256: "ecdsa"}
PASSPHRASE = "correct horse"
SEED = bytes(range(32))


def keygen(path: Path, kind: str, passphrase: str = "", cipher: str = "aes256-ctr") -> bytes:
    """A key file that ssh-keygen makes, with one round of its key derivation: strong would be slow."""
    options = ("-t", KINDS[kind], "-a", "1", "-Z", cipher, "-N", passphrase)
    run("ssh-keygen", "-q", *options, "-f", path)
    return path.read_bytes()


def public_line(path: Path) -> bytes:
    return base64.b64decode(path.with_name(path.name + ".pub").read_bytes().split()[1])


def assert_signs(private: PrivateKey, tmp_path: Path) -> None:
    """ssh-keygen accepts a signature by the key."""
    raw = private.sign(sshsig.signed_data(b"message", b"git"))
    signature = tmp_path / "message.sig"
    signature.write_bytes(sshsig.encode(private.public_blob, b"git", raw))
    run("ssh-keygen", "-Y", "check-novalidate", "-n", "git", "-s", signature, stdin=b"message")


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_of_ssh_keygen_is_read_and_signs(kind: str, tmp_path: Path) -> None:
    pem = keygen(tmp_path / "key", kind)
    private = opensshkey.unencrypted_private(pem)
    assert private is not None
    assert private.kind == kind
    assert private.public_blob == opensshkey.public_blob(pem) == public_line(tmp_path / "key")
    assert_signs(private, tmp_path)


@pytest.mark.parametrize("cipher", ["aes256-ctr", "aes256-cbc"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_locked_key_of_ssh_keygen_opens_with_its_passphrase(kind: str, cipher: str, tmp_path: Path) -> None:
    pem = keygen(tmp_path / "key", kind, PASSPHRASE, cipher)
    assert opensshkey.public_blob(pem) == public_line(tmp_path / "key")
    assert opensshkey.unencrypted_private(pem) is None
    private = opensshkey.decrypt(pem, PASSPHRASE.encode())
    assert private.public_blob == public_line(tmp_path / "key")
    assert_signs(private, tmp_path)


@pytest.mark.parametrize("passphrase", [b"correct hors", b"", b"x" * 1025])
def test_a_wrong_passphrase_is_told_from_a_damaged_file(passphrase: bytes, tmp_path: Path) -> None:
    pem = keygen(tmp_path / "key", ED25519, PASSPHRASE)
    with pytest.raises(WrongPassphrase):
        opensshkey.decrypt(pem, passphrase)


def test_a_key_that_is_not_locked_is_not_opened_by_a_passphrase() -> None:
    with pytest.raises(KeyInvalid, match="not encrypted"):
        opensshkey.decrypt(opensshkey.serialize(opensshkey.generate(), None, ""), b"any")


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
@pytest.mark.parametrize("kind", KINDS)
def test_ssh_keygen_reads_what_we_write(kind: str, passphrase: str | None, tmp_path: Path) -> None:
    private = opensshkey.generate(kind)
    path = tmp_path / "key"
    path.write_bytes(opensshkey.serialize(private, passphrase.encode() if passphrase else None, "ada on her laptop"))
    path.chmod(0o600)
    shown = run("ssh-keygen", "-y", "-P", passphrase or "", "-f", path).stdout.split(None, 2)
    assert base64.b64decode(shown[1]) == private.public_blob
    assert shown[2].strip() == b"ada on her laptop"
    run("ssh-keygen", "-y", "-P", "another", "-f", path, code=255 if passphrase else 0)


@pytest.mark.parametrize("kind", KINDS)
def test_what_we_write_we_read(kind: str) -> None:
    private = opensshkey.generate(kind)
    for comment in range(17):  # every length of padding
        again = opensshkey.unencrypted_private(opensshkey.serialize(private, None, "c" * comment))
        assert again is not None
        assert (again.secret, again.public_blob) == (private.secret, private.public_blob)


def test_what_we_lock_opens_only_with_the_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opensshkey, "KDF_ROUNDS", 1)
    private = opensshkey.generate()
    pem = opensshkey.serialize(private, PASSPHRASE.encode(), "")
    assert private.secret not in base64.b64decode(b"".join(pem.splitlines()[1:-1]))
    assert opensshkey.decrypt(pem, PASSPHRASE.encode()).secret == private.secret
    with pytest.raises(WrongPassphrase):
        opensshkey.decrypt(pem, b"another")


def test_an_empty_passphrase_locks_nothing_and_is_refused() -> None:
    with pytest.raises(KeyInvalid, match="passphrase"):
        opensshkey.serialize(opensshkey.generate(), b"", "")


def test_two_generated_keys_differ() -> None:
    assert opensshkey.generate().secret != opensshkey.generate().secret


def test_ed25519_signs_as_in_rfc_8032() -> None:
    """Section 7.1, test 1."""
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    private = opensshkey.from_secret(ED25519, seed)
    public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    signature = (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )
    assert private.public_blob == string(b"ssh-ed25519") + string(bytes.fromhex(public))
    assert private.sign_raw(b"") == bytes.fromhex(signature)


def test_p256_signs_with_r_and_s_of_fixed_width() -> None:
    private = opensshkey.from_secret(P256, b"\0" * 31 + b"\7")
    for data in (bytes([n]) for n in range(40)):  # some r or s is short, or has its highest bit set
        assert len(private.sign_raw(data)) == 64
        assert sshsig.verify_raw(private.public_blob, private.sign(data), data)


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_never_shows_its_secret(kind: str) -> None:
    private = opensshkey.generate(kind)
    shown = f"{private!r} {private}"
    assert shown == f"<PrivateKey {kind}> <PrivateKey {kind}>"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [(("-t", "rsa", "-b", "2048"), "ssh-rsa"), (("-t", "ecdsa", "-b", "384"), "nistp384")],
)
def test_a_kind_of_key_that_we_do_not_sign_with_is_named(
    arguments: tuple[str, ...], reason: str, tmp_path: Path
) -> None:
    run("ssh-keygen", "-q", *arguments, "-N", "", "-f", tmp_path / "key")
    with pytest.raises(KeyInvalid, match=reason):
        opensshkey.unencrypted_private((tmp_path / "key").read_bytes())


def test_a_cipher_that_we_do_not_read_is_named(tmp_path: Path) -> None:
    pem = keygen(tmp_path / "key", ED25519, PASSPHRASE, "aes256-gcm@openssh.com")
    with pytest.raises(KeyInvalid, match="aes256-gcm"):
        opensshkey.decrypt(pem, PASSPHRASE.encode())


KEY = opensshkey.from_secret(ED25519, SEED)
OTHER = opensshkey.from_secret(ED25519, SEED[::-1])
P256_KEY = opensshkey.from_secret(P256, SEED)
POINT = P256_KEY.public_blob[-65:]


def section(fields: bytes, checks: bytes = b"\1\2\3\4" * 2, padding: bytes | None = None) -> bytes:
    body = checks + fields + string(b"")
    return body + (bytes(range(1, -len(body) % 8 + 1)) if padding is None else padding)


def container(
    sealed: bytes,
    public: bytes = KEY.public_blob,
    magic: bytes = opensshkey.MAGIC,
    cipher: bytes = b"none",
    kdf: bytes = b"none",
    options: bytes = b"",
    count: bytes = b"\0\0\0\1",
    tail: bytes = b"",
) -> bytes:
    outer = string(cipher) + string(kdf) + string(options) + count
    data = magic + outer + string(public) + string(sealed) + tail
    return opensshkey.BEGIN + base64.b64encode(data) + b"\n" + opensshkey.END


def p256_file(scalar: bytes) -> bytes:
    fields = string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(POINT) + string(scalar)
    return container(section(fields), P256_KEY.public_blob)


FIELDS = opensshkey.private_fields(KEY)
GOOD = container(section(FIELDS))
ED_NAME = string(b"ssh-ed25519")
DAMAGED = {
    "not an OpenSSH private key file": GOOD.replace(b"OPENSSH", b"RSA"),
    "the file is too long": GOOD.replace(b"\n-----END", b"\n" * 16384 + b"-----END"),
    "not canonical base64": GOOD.replace(b"b3BlbnNza", b"b3Bl!bnNza"),
    "not an openssh-key-v1 file": container(section(FIELDS), magic=b"openssh-key-v2\0"),
    "it does not hold exactly one key": container(section(FIELDS), count=b"\0\0\0\2"),
    "bytes after the last field": container(section(FIELDS), tail=b"\0"),
    "its key derivation does not fit its cipher": container(section(FIELDS), kdf=b"bcrypt"),
    "the private section is not whole blocks": container(section(FIELDS) + b"\0"),
    "the check numbers differ": container(section(FIELDS, checks=b"\1\2\3\4\1\2\3\5")),
    "the padding is wrong": container(section(FIELDS, padding=b"\1\2\3\5\5")),
    "a field is cut off": container(section(ED_NAME + string(KEY.public_blob[-32:]) + b"\0\0\1\0")),
    "the secret is not 32 bytes": container(section(ED_NAME + string(b"") + string(SEED[:31]))),
    "keys of type 'ssh-dss' are not supported": container(section(string(b"ssh-dss"))),
}
MISMATCHED = {
    "another key at the front": container(section(FIELDS), OTHER.public_blob),
    "another public key inside": container(section(FIELDS.replace(KEY.public_blob[-32:], bytes(32), 1))),
    "another public key after the seed": container(section(FIELDS[:-32] + OTHER.public_blob[-32:])),
    "a scalar with a needless zero": p256_file(b"\0\0" + SEED[1:]),
    "another scalar": p256_file(b"\5"),
}


def test_the_file_that_the_damaged_ones_are_made_from_is_read() -> None:
    assert opensshkey.unencrypted_private(GOOD) is not None
    assert opensshkey.unencrypted_private(p256_file(SEED.lstrip(b"\0"))) is not None


@pytest.mark.parametrize("reason", DAMAGED)
def test_a_damaged_file_is_refused_with_the_reason(reason: str) -> None:
    with pytest.raises(KeyInvalid) as caught:
        opensshkey.unencrypted_private(DAMAGED[reason])
    assert str(caught.value) == reason


@pytest.mark.parametrize("case", MISMATCHED)
def test_halves_that_do_not_belong_together_are_refused(case: str) -> None:
    with pytest.raises(KeyInvalid, match="does not belong"):
        opensshkey.unencrypted_private(MISMATCHED[case])


@pytest.mark.parametrize("scalar", [b"", b"\0" + sshsig.P256_ORDER.to_bytes(32, "big"), b"\1" + bytes(40)])
def test_a_scalar_out_of_range_is_refused(scalar: bytes) -> None:
    with pytest.raises(KeyInvalid, match="out of range"):
        opensshkey.unencrypted_private(p256_file(scalar))


@pytest.mark.parametrize("rounds", [0, 4097, 0xFFFFFFFF])
def test_a_file_that_wants_to_be_waited_for_is_refused(rounds: int) -> None:
    options = string(b"salt") + rounds.to_bytes(4, "big")
    pem = container(bytes(160), cipher=b"aes256-ctr", kdf=b"bcrypt", options=options)
    with pytest.raises(KeyInvalid, match="rounds"):
        opensshkey.decrypt(pem, b"x")


@pytest.mark.parametrize("options", [b"", string(b"") + b"\0\0\0\1", string(b"s"), string(b"s") + b"\0\0\0\1\0"])
def test_malformed_options_of_the_key_derivation_are_refused(options: bytes) -> None:
    pem = container(bytes(160), cipher=b"aes256-ctr", kdf=b"bcrypt", options=options)
    with pytest.raises(KeyInvalid):
        opensshkey.decrypt(pem, b"x")


def test_a_file_cut_off_anywhere_is_refused() -> None:
    data = base64.b64decode(GOOD.splitlines()[1])
    for length in range(len(data)):
        pem = opensshkey.BEGIN + base64.b64encode(data[:length]) + b"\n" + opensshkey.END
        with pytest.raises(KeyInvalid):
            opensshkey.unencrypted_private(pem)


def test_a_changed_byte_never_gives_another_key() -> None:
    data = base64.b64decode(GOOD.splitlines()[1])
    for position in range(len(data)):
        changed = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
        pem = opensshkey.BEGIN + base64.b64encode(changed) + b"\n" + opensshkey.END
        with pytest.raises(KeyInvalid):
            opensshkey.unencrypted_private(pem)


def test_a_kind_that_does_not_exist_is_refused() -> None:
    with pytest.raises(KeyInvalid, match="ssh-dss"):
        opensshkey.from_secret("ssh-dss", SEED)


@pytest.mark.parametrize("kind", [ED25519, P256])
def test_a_file_without_private_key_names_the_public_one_and_opens_to_nobody(kind: str, tmp_path: Path) -> None:
    public = opensshkey.generate(kind).public_blob
    pem = opensshkey.without_private(public)
    assert opensshkey.public_blob(pem) == public
    with pytest.raises(opensshkey.PrivateElsewhere, match="ssh-agent"):
        opensshkey.unencrypted_private(pem)
    with pytest.raises(KeyInvalid):
        opensshkey.decrypt(pem, b"secret")
    (tmp_path / "key").write_bytes(pem)
    (tmp_path / "key").chmod(0o600)
    assert sshsig.fingerprint(public) in run("ssh-keygen", "-lf", tmp_path / "key").stdout.decode()
    assert run("ssh-keygen", "-yf", tmp_path / "key", code=None).returncode != 0
