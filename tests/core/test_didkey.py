"""did:key"""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key
from hypothesis import given, settings
from hypothesis import strategies as st

from git_auths.core import didkey
from git_auths.core.sshsig import string

# Published examples: the did:key method's own, and the P-256 one of its test vectors.
ED25519_DID = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
P256_DID = "did:key:zDnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5hRTPFU2169"
ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def ed25519_blob(seed: int = 1) -> bytes:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(seed.to_bytes(32, "big"))
    return string(b"ssh-ed25519") + string(key.public_key().public_bytes_raw())


def p256_blob(secret: int = 1) -> bytes:
    point = ec.derive_private_key(secret, ec.SECP256R1()).public_key()
    raw = point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(raw)


def base58(raw: bytes) -> str:
    number, text = int.from_bytes(raw, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = ALPHABET[digit] + text
    return text


@pytest.mark.parametrize("did", [ED25519_DID, P256_DID])
def test_published_names_are_read_and_written(did: str) -> None:
    assert didkey.encode(didkey.decode(did)) == did


@given(st.integers(min_value=1, max_value=2**250))
@settings(max_examples=20, deadline=None)
def test_every_key_comes_back(number: int) -> None:
    for blob in (ed25519_blob(number), p256_blob(number)):
        did = didkey.encode(blob)
        assert len(did) <= didkey.MAX_DID_CHARS
        assert didkey.decode(did) == blob


@pytest.mark.parametrize("blob", [ed25519_blob(), p256_blob(), p256_blob(7)])
def test_the_audience_is_the_digest_of_the_key_as_others_write_it(blob: bytes) -> None:
    import base64

    kind = blob[4 : 4 + blob[3]]
    key = load_ssh_public_key(kind + b" " + base64.b64encode(blob))
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert didkey.spki(blob) == der
    assert didkey.audience(blob) == "git-auths:sha256:" + hashlib.sha256(der).hexdigest()


@pytest.mark.parametrize(
    ("did", "why"),
    [
        ("did:web:example.com", "not did:key"),
        ("did:key:f" + "00" * 8, "not did:key"),
        ("did:key:z", "not an Ed25519"),
        (ED25519_DID + "#" + ED25519_DID[8:], "not did:key"),
        (ED25519_DID[:-1] + "0", "not base58"),
        (ED25519_DID + " ", "not base58"),
        (ED25519_DID[:-1], "not an Ed25519"),
        (ED25519_DID + "1", "not an Ed25519"),
        ("did:key:z1" + ED25519_DID[9:], "canonical"),
        ("did:key:z" + base58(b"\xe7\x01" + b"\x02" * 33), "not an Ed25519"),
        ("did:key:z" + base58(b"\xed\x01" + b"\x02" * 33), "not an Ed25519"),
        ("did:key:z" + base58(b"\x80\x24\x04" + b"\x02" * 64), "not did:key"),
        ("did:key:z" + base58(b"\x80\x24\x04" + b"\x02" * 32), "compressed"),
        ("did:key:z" + base58(b"\x80\x24\x02" + b"\xff" * 32), "curve"),
        ("did:key:z" + "z" * 100_000, "not did:key"),
    ],
)
def test_another_name_is_refused(did: str, why: str) -> None:
    with pytest.raises(didkey.DidKeyInvalid, match=why):
        didkey.decode(did)


@pytest.mark.parametrize("blob", [b"", b"junk", string(b"ssh-rsa") + string(b"\x03") + string(b"\x01" * 256),
                                  p256_blob()[:-1], ed25519_blob() + b"x"])  # fmt: skip
def test_a_key_of_another_kind_has_no_name(blob: bytes) -> None:
    for function in (didkey.encode, didkey.spki, didkey.audience):
        with pytest.raises(didkey.DidKeyInvalid):
            function(blob)
