"""Ed25519: the standard's vectors, another implementation, and what a lax verifier would let through."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from nacl.bindings import crypto_core_ed25519_scalar_reduce, crypto_scalarmult_ed25519_base_noclamp

from git_auths.core import ed25519

ORDER = 2**252 + 27742317777372353535851937790883648493
PRIME = 2**255 - 19

# RFC 8032, section 7.1: seed, public key, message, signature.
VECTORS = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe"
        "24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302a"
        "eeb00d291612bb0c00",
    ),
]

# The points of order 1, 2, 4 and 8; y and y + p are two texts for one point where both are below 2**255.
SMALL_ORDER_Y = [
    1, PRIME - 1, 0,
    int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"),
    int.from_bytes(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little"),
]  # fmt: skip


@pytest.fixture(params=["libsodium by cffi", "the public interface"], autouse=True)
def reached_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything holds both ways."""
    if request.param == "the public interface":
        monkeypatch.setattr(ed25519, "lib", None)
    else:
        assert ed25519.lib is not None, "this PyNaCl keeps libsodium elsewhere: signing is 15 ms slower"


@pytest.mark.parametrize(("seed", "public", "message", "signature"), VECTORS)
def test_the_vectors_of_the_standard(seed: str, public: str, message: str, signature: str) -> None:
    data = bytes.fromhex(message)
    assert ed25519.key_pair(bytes.fromhex(seed)) == (bytes.fromhex(public), bytes.fromhex(seed + public))
    assert ed25519.sign(bytes.fromhex(seed), data) == bytes.fromhex(signature)
    assert ed25519.verifies(bytes.fromhex(public), bytes.fromhex(signature), data)


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=300))
def test_another_implementation_agrees(seed: bytes, data: bytes) -> None:
    other = Ed25519PrivateKey.from_private_bytes(seed)
    public = other.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert ed25519.key_pair(seed)[0] == public
    assert ed25519.sign(seed, data) == other.sign(data)
    assert ed25519.verifies(public, other.sign(data), data)
    assert not ed25519.verifies(public, other.sign(data), data + b"x")


def test_lengths_other_than_the_standards_are_no_signature() -> None:
    seed = bytes(32)
    public, signature = ed25519.key_pair(seed)[0], ed25519.sign(seed, b"x")
    assert ed25519.verifies(public, signature, b"x")
    for bad_public, bad_signature, data in (
        (public[:-1], signature, b"x"), (public + b"\0", signature, b"x"), (b"", signature, b"x"),
        (public, signature[:-1], b"x"), (public, signature + b"x", b""), (public, b"", b"x"),
    ):  # fmt: skip
        assert not ed25519.verifies(bad_public, bad_signature, data)


@pytest.mark.parametrize("seed", [b"", bytes(31), bytes(33)])
def test_a_seed_has_32_bytes(seed: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011, libsodium's own wording or ours
        ed25519.key_pair(seed)


def encodings(y: int) -> list[bytes]:
    """Every text for the points with this y, canonical or not, of both signs."""
    return [
        (value | sign << 255).to_bytes(32, "little") for value in (y, y + PRIME) if value < 2**255 for sign in (0, 1)
    ]


@pytest.mark.parametrize("public", [text for y in SMALL_ORDER_Y for text in encodings(y)], ids=bytes.hex)
def test_a_key_of_small_order_signs_nothing(public: bytes) -> None:
    """S times the base point, and S: where the order divides the challenge, that would verify for any message.

    One in eight messages is such, so that a verifier who does not look at the key takes some of these.
    """
    scalar = crypto_core_ed25519_scalar_reduce(bytes(range(64)))
    forged = crypto_scalarmult_ed25519_base_noclamp(scalar) + scalar
    assert not any(ed25519.verifies(public, forged, bytes([number])) for number in range(64))


def test_a_signature_has_one_text() -> None:
    """S plus the order satisfies the equation as well."""
    seed = bytes(range(32))
    public, signature = ed25519.key_pair(seed)[0], ed25519.sign(seed, b"x")
    s = int.from_bytes(signature[32:], "little") + ORDER
    assert not ed25519.verifies(public, signature[:32] + s.to_bytes(32, "little"), b"x")
