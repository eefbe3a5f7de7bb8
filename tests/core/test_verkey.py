from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key

from git_auths.core import verkey
from git_auths.core.sshsig import P256_ORDER, string
from git_auths.core.verkey import Key, KeyUnusable
from tests.kels import signer


@pytest.mark.parametrize("code", ["D", "1AAJ"])
@pytest.mark.parametrize("number", range(1, 20))
def test_a_key_is_the_same_in_ssh_and_back(code: str, number: int) -> None:
    key = signer(number, code).key
    public = load_ssh_public_key(
        {"D": b"ssh-ed25519 ", "1AAJ": b"ecdsa-sha2-nistp256 "}[code] + base64.b64encode(key.ssh_blob())
    )
    if isinstance(public, ec.EllipticCurvePublicKey):
        assert public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint) == key.raw
    else:
        assert public.public_bytes(Encoding.Raw, PublicFormat.Raw) == key.raw  # type: ignore[union-attr]
    assert verkey.from_ssh_blob(key.ssh_blob()) == key
    assert verkey.parse(key.qb64) == key


P256_BLOB = signer(1, "1AAJ").key.ssh_blob()
P256_FIELD = 2**256 - 2**224 + 2**192 + 2**96 - 1


@pytest.mark.parametrize(("blob", "reason"), [
    (b"", "no code"),
    (string(b"ssh-ed25519"), "cut off"),
    (string(b"ssh-ed25519") + string(bytes(31)), "wrong length"),
    (string(b"ssh-ed25519") + string(bytes(32)) + b"\0", "after"),
    (string(b"ssh-rsa") + string(b"\3") + string(b"\5"), "no code"),
    (string(b"sk-ssh-ed25519@openssh.com") + string(bytes(32)) + string(b"ssh:"), "no code"),
    (string(b"ecdsa-sha2-nistp256") + string(b"nistp384") + P256_BLOB[-69:], "point"),
    (P256_BLOB[:-1] + bytes([P256_BLOB[-1] ^ 2]), "point"),  # off the curve
    (P256_BLOB[:-65] + b"\5" + P256_BLOB[-64:], "point"),
    (string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(signer(1, "1AAJ").key.raw), "point"),
    (P256_BLOB + b"\0", "after"),
])  # fmt: skip
def test_an_ssh_key_that_keri_has_no_code_for_is_refused(blob: bytes, reason: str) -> None:
    with pytest.raises(KeyUnusable, match=reason):
        verkey.from_ssh_blob(blob)


@pytest.mark.parametrize("text", [
    signer(1, "B").key.qb64,  # a witness's
    signer(1, "1AAI").key.qb64,
    signer(1).key.commitment,
    signer(1).key.qb64 + "A",
    Key("1AAJ", b"\2" + bytes(31) + b"\5").qb64.replace("1AAJA", "1AAJE"),  # not a compressed point
    Key("1AAJ", b"\2" + b"\xff" * 32).qb64,  # x is no field element
    Key("1AAJ", b"\2" + bytes(31) + b"\1").qb64,  # no such x on the curve
    Key("1AAJ", b"\2" + (P256_FIELD + 5).to_bytes(32, "big")).qb64,  # 5 is, but has another form
    None,
    7,
])  # fmt: skip
def test_a_key_that_no_event_may_introduce_is_refused(text: object) -> None:
    with pytest.raises(KeyUnusable):
        verkey.parse(text)


def test_five_is_on_the_curve() -> None:
    assert verkey.parse(Key("1AAJ", b"\2" + bytes(31) + b"\5").qb64)


def test_a_witness_has_a_key_that_cannot_be_rotated() -> None:
    assert verkey.parse(signer(1, "B").key.qb64, verkey.NON_TRANSFERABLE) == signer(1, "B").key
    with pytest.raises(KeyUnusable):
        verkey.parse(signer(1).key.qb64, verkey.NON_TRANSFERABLE)


@pytest.mark.parametrize("code", ["D", "B", "1AAJ", "1AAI"])
def test_a_signature_is_by_one_key_over_one_text(code: str) -> None:
    one = signer(1, code)
    signature = one.sign(b"data")
    assert one.key.verifies(signature, b"data")
    assert not one.key.verifies(signature, b"date")
    assert not signer(2, code).key.verifies(signature, b"data")
    assert not one.key.verifies(bytes(64), b"data")


def test_an_ecdsa_signature_is_good_with_either_s() -> None:
    one = signer(1, "1AAJ")
    signature = one.sign(b"data")
    other = signature[:32] + (P256_ORDER - int.from_bytes(signature[32:], "big")).to_bytes(32, "big")
    assert other != signature
    assert one.key.verifies(other, b"data")
