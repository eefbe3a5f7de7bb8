"""Attacks on the signature itself, and on whose key it is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from git_auths.core import kel, kelbuild
from tests import kels
from tests.attacks import forge
from tests.attacks.accepted_by_git import heads_of
from tests.attacks.forge import (
    P256_ORDER,
    Person,
    Rule,
    World,
    accepted,
    armored,
    auths,
    git_says_good,
    kel_path,
    mpint,
    policy_toml,
    refused,
    signed_commit,
    signed_data,
    ssh_blob,
    string,
)

ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


def payload_of(world: World) -> bytes:
    return b"".join(heads_of(world)) + b"\nwork\n"


def commit_with(world: World, payload: bytes, signature: bytes) -> str:
    return world.repo.raw("commit", signed_commit(payload, signature))


def test_an_unsigned_commit_in_the_middle_is_named(world: World) -> None:
    """Row 20: that commit, and no echo of it from the good ones on top of it."""
    commits = [world.tip]
    for number in range(6):
        signer = None if number == 3 else world.bob
        commits.append(world.work([commits[-1]], signer, src=str(number)))
    refused(world.verify_at(commits[-1]), (commits[4], "unsigned"))
    accepted(world.verify_at(commits[3]))


def test_bad_commits_on_several_lines_of_history_are_all_named(world: World) -> None:
    """Row 20: the first on each line."""
    unsigned = world.work([world.tip], None, src="2")
    outsiders = world.work([world.tip], world.mallory, other="1")
    payload = payload_of(world)
    forged = commit_with(world, payload, forge.sshsig(world.bob, b"something else"))
    merge = world.work([unsigned, outsiders, forged], world.bob, src="2", other="1")
    bad = [(unsigned, "unsigned"), (outsiders, "unknown-key"), (forged, "bad-signature")]
    refused(world.verify_at(world.work([merge], None)), *bad)


@pytest.mark.parametrize("namespace", [b"file", b"auths-attestation", b"", b"git\0", b"git2", b"email"])
def test_a_signature_for_another_purpose_is_none(world: World, namespace: bytes) -> None:
    """Row 44: made by Bob's own key, over these very bytes."""
    payload = payload_of(world)
    bad = commit_with(world, payload, forge.sshsig(world.bob, payload, namespace))
    refused(world.verify_at(bad), (bad, "bad-signature"))


def test_a_signature_for_another_purpose_is_not_relabelled(world: World) -> None:
    """Row 44: the namespace outside says git, the one that was signed does not."""
    payload = payload_of(world)
    raw = forge.ssh_signature(world.bob.signing, signed_data(payload, b"file"))
    bad = commit_with(world, payload, armored(ssh_blob(world.bob.signing), raw, b"git"))
    refused(world.verify_at(bad), (bad, "bad-signature"))


def test_somebody_elses_key_around_ones_own_signature_is_bad(world: World) -> None:
    """Row 44: the key that the signature names is the key that it is verified by."""
    payload = payload_of(world)
    raw = forge.ssh_signature(world.mallory.signing, signed_data(payload))
    bad = commit_with(world, payload, armored(ssh_blob(world.bob.signing), raw))
    refused(world.verify_at(bad), (bad, "bad-signature"))


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def rsa_signature(key: rsa.RSAPrivateKey, payload: bytes, name: bytes, digest: hashes.HashAlgorithm) -> bytes:
    numbers = key.public_key().public_numbers()
    blob = string(b"ssh-rsa") + mpint(numbers.e) + mpint(numbers.n)
    return armored(blob, string(name) + string(key.sign(signed_data(payload), padding.PKCS1v15(), digest)))


@pytest.mark.parametrize(("name", "digest", "verdict"), [
    (b"ssh-rsa", hashes.SHA1(), "bad-signature"),
    (b"ssh-rsa", hashes.SHA512(), "bad-signature"),
    (b"rsa-sha2-512", hashes.SHA1(), "bad-signature"),
    (b"rsa-sha2-256", hashes.SHA512(), "bad-signature"),
    (b"rsa-sha2-512", hashes.SHA512(), "unknown-key"),
    (b"rsa-sha2-256", hashes.SHA256(), "unknown-key"),
], ids=["ssh-rsa", "512 as ssh-rsa", "SHA-1 as 512", "512 as 256", "512", "256"])  # fmt: skip
def test_rsa_with_sha1_is_bad(
    world: World, rsa_key: rsa.RSAPrivateKey, name: bytes, digest: hashes.HashAlgorithm, verdict: str
) -> None:
    """Row 44: and with SHA-2 it is a signature, though by a key that nobody here has."""
    payload = payload_of(world)
    bad = commit_with(world, payload, rsa_signature(rsa_key, payload, name, digest))
    refused(world.verify_at(bad), (bad, verdict))


def with_p256_signer(world: World) -> tuple[Person, dict[str, bytes], str]:
    """Dave, who has a P-256 key and may commit; the files and the commit that say so."""
    dave = Person("Dave", 5, "1AAJ")
    rules = [Rule("commit", [world.alice, world.bob, dave]), *world.rules[1:]]
    files = {**world.files, **auths(rules, [world.alice, world.bob, dave])}
    return dave, files, world.repo.commit(files, [world.tip], world.alice)


def test_a_high_s_is_honest(world: World) -> None:
    """Row 44: ssh-keygen writes it half of the time."""
    dave, files, parent = with_p256_signer(world)
    payload = b"".join(world.repo.headers(world.repo.tree({**files, "src": b"2\n"}), [parent], "Dave")) + b"\nwork\n"
    r, s = forge.high_s(dave.signing, signed_data(payload))
    for each in (s, P256_ORDER - s):
        raw = forge.ecdsa_signature(r, each)
        good = commit_with(world, payload, armored(ssh_blob(dave.signing), raw))
        accepted(world.verify_at(good))
        git_says_good(world.repo, "verify-commit", good)


@pytest.mark.parametrize("form", ["s + n", "r + n", "r = 0", "s = 0", "s = n", "r = n", "-s", "r = s = 0", "r = s = n"])
def test_an_ecdsa_signature_out_of_range_is_bad(world: World, form: str) -> None:
    """Row 44."""
    dave, files, parent = with_p256_signer(world)
    payload = b"".join(world.repo.headers(world.repo.tree({**files, "src": b"2\n"}), [parent], "Dave")) + b"\nwork\n"
    r, s = forge.high_s(dave.signing, signed_data(payload))
    n = P256_ORDER
    pair = {
        "s + n": (r, s + n), "r + n": (r + n, s), "r = 0": (0, s), "s = 0": (r, 0), "s = n": (r, n),
        "r = n": (n, s), "-s": (r, -s), "r = s = 0": (0, 0), "r = s = n": (n, n),
    }[form]  # fmt: skip
    bad = commit_with(world, payload, armored(ssh_blob(dave.signing), forge.ecdsa_signature(*pair)))
    refused(world.verify_at(bad), (bad, "bad-signature"))


SMALL_ORDER = [  # every point whose order divides 8, and other encodings of some (libsodium: ge25519_has_small_order)
    "01" + 31 * "00", "00" * 32, "ec" + 30 * "ff" + "7f", "00" * 31 + "80",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "ed" + 30 * "ff" + "7f", "ee" + 30 * "ff" + "7f", "01" + 30 * "00" + "80",
]  # fmt: skip


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_a_key_of_small_order_signs_nothing(world: World, point: str) -> None:
    """Row 44: anyone can sign for it, since S = 0 with R of small order verifies for one message in eight or all."""
    key = string(b"ssh-ed25519") + string(bytes.fromhex(point))
    bad = []
    for r in dict.fromkeys([point, *SMALL_ORDER[:3]]):
        payload = payload_of(world)
        signature = string(b"ssh-ed25519") + string(bytes.fromhex(r) + bytes(32))
        bad.append(commit_with(world, payload, armored(key, signature)))
    refused(world.verify_at(world.work(bad, world.bob)), *((each, "bad-signature") for each in bad))


def test_an_ed25519_signature_has_one_form(world: World) -> None:
    """Row 44, the same for Ed25519 (RFC 8032, section 5.1.7): S is below the group's order, nothing follows it."""
    payload = payload_of(world)
    raw = world.bob.signing.sign(signed_data(payload))
    bigger = raw[:32] + (int.from_bytes(raw[32:], "little") + ED25519_ORDER).to_bytes(32, "little")
    for signature in (bigger, raw + b"\0", raw[:-1], b""):
        bad = commit_with(
            world, payload, armored(ssh_blob(world.bob.signing), string(b"ssh-ed25519") + string(signature))
        )
        refused(world.verify_at(bad), (bad, "bad-signature"))


def threshold_identity(number: int) -> Any:
    """A log of two keys, both of which must sign."""
    keys = [kels.signer(number), kels.signer(number + 1)]
    following = [kels.signer(number + 2), kels.signer(number + 3)]
    event = kelbuild.inception(kels.keys(keys), kels.commitments(following), kt="2", nt="2")
    stream = kelbuild.with_signatures(event, kels.signatures(event, keys))
    return SimpleNamespace(current=keys, stream=stream, kel=kel.replay(stream))


def test_one_stolen_key_of_a_threshold_identity_signs_nothing(world: World) -> None:
    """Row 78: the policy lists the identity, whose `kt` is 2; the thief has one of its keys."""
    dave = Person("Dave", 0, log=threshold_identity(500))
    rules = [Rule("commit", [world.alice, world.bob, dave]), *world.rules[1:]]
    files = {
        **world.files,
        kel_path(dave): dave.log.stream,
        ".auths/policy.toml": policy_toml(rules, [world.alice, world.bob]),
    }
    listed = world.repo.commit(files, [world.tip], world.alice)
    accepted(world.verify_at(listed))
    for key in dave.log.current:
        bad = world.repo.commit({**files, "src": b"2\n"}, [listed], key)
        refused(world.verify_at(bad), (bad, "unauthorized"))


def test_an_admins_stolen_threshold_key_changes_no_policy(world: World) -> None:
    """Row 78, where the right is a greater one."""
    dave = Person("Dave", 0, log=threshold_identity(500))
    rules = [Rule("commit", [world.alice, world.bob, dave]), Rule("admin", [world.alice, dave])]
    files = {
        **world.files,
        kel_path(dave): dave.log.stream,
        ".auths/policy.toml": policy_toml(rules, [world.alice, world.bob]),
    }
    listed = world.repo.commit(files, [world.tip], world.alice)
    bad = world.repo.commit(world.files | {kel_path(dave): dave.log.stream}, [listed], dave.log.current[0])
    world.advance(bad)
    answer = world.repo.verify("main")
    assert answer.code == 1
    assert answer.verdicts.keys() == {bad}


def test_a_key_that_was_rotated_away_signs_no_more(world: World) -> None:
    """DESIGN 7.2: not in a tree that shows the rotation."""
    old = world.bob.signing
    world.bob.log.rotate()
    files = {**world.files, kel_path(world.bob): world.bob.log.stream}
    rotated = world.repo.commit(files, [world.tip], world.bob)
    accepted(world.verify_at(rotated))
    bad = world.repo.commit({**files, "src": b"2\n"}, [rotated], old)
    (found,) = refused(world.verify_at(bad), (bad, "superseded-key"))
    assert world.bob.did in found["reason"]


@pytest.mark.parametrize("armor", [
    b"-----BEGIN PGP SIGNATURE-----\n\niHUEABYKAB0WIQ==\n-----END PGP SIGNATURE-----\n",
    b"-----BEGIN SIGNED MESSAGE-----\nMIAGCSqGSIb3\n-----END SIGNED MESSAGE-----\n",
])  # fmt: skip
def test_a_signature_of_another_kind_is_named_so(world: World, armor: bytes) -> None:
    """DESIGN 7.2: nothing says that it is bad, but nobody here can tell."""
    payload = payload_of(world)
    bad = commit_with(world, payload, armor)
    refused(world.verify_at(bad), (bad, "unsupported-signature"))
