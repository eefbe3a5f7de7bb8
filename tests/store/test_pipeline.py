"""The identity that AUTHS_DID and AUTHS_PRIVATE_KEY name."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from git_auths.core import opensshkey
from git_auths.errors import Error, Refusal
from git_auths.store import authorisation, keystore, pipeline, signing
from git_auths.store.secrets import Secrets
from tests.people import Person, Project

DATA = b"what is signed"
SOMEBODY = "did:keri:E" + "A" * 43


def key_of(person: Person) -> bytes:
    return (person.home / "auths/identities/main/current").read_bytes()


def secrets_of(person: Person, key: bytes | None = None, **more: bytes | None) -> Secrets:
    return Secrets(private_key=key_of(person) if key is None else key, did=person.did(), **more)


def refusal(secrets: Secrets, path: Path, kind: type[Error] = Error) -> Error:
    with pytest.raises(Error) as caught:
        pipeline.identity(secrets, path)
    assert type(caught.value) is kind
    assert caught.value.hint
    return caught.value


def test_it_is_whose_key_signs_and_has_no_place_on_the_disk(ada: Person) -> None:
    secrets = secrets_of(ada)
    identity = signing.identity(secrets, ada.at)
    assert (identity.alias, identity.folder, f"did:keri:{identity.aid}") == ("environment", "", ada.did())
    private = opensshkey.unencrypted_private(key_of(ada))
    assert private is not None
    assert identity.current_blob == private.public_blob
    assert signing.ssh_signature(identity, DATA, secrets) == private.sign(DATA)


def test_no_file_is_read_for_it_from_wherever_we_stand(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = pipeline.identity(secrets_of(ada), ada.at)
    monkeypatch.chdir(ada.home)
    for name in ("kel.cesr", "current", "next", "identity.json"):
        (ada.home / name).write_bytes(key_of(ada))
    for read in (keystore.read_kel, keystore.read_current, keystore.read_next, keystore.metadata):
        with pytest.raises(Error, match="has no files"):
            read(identity)


def test_no_yes_of_the_repositorys_own_is_remembered_for_it(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = pipeline.identity(secrets_of(ada), ada.at)
    monkeypatch.chdir(ada.at)
    question = authorisation._question("refs/heads/main", [], identity)
    (ada.at / authorisation.REMEMBERED).write_text(f"{question} {int(time.time()) + 60}\n")
    assert not authorisation._remembered(identity, question)


def test_without_the_variables_this_machines_identity_signs(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTHS_HOME", str(ada.home / "auths"))
    assert signing.identity(Secrets(), ada.at).alias == "main"


@pytest.mark.parametrize("change", [
    lambda pem: pem.replace(b"\n", b"\r\n"), lambda pem: pem.rstrip(b"\n"), lambda pem: b"\n" + pem + b"\n\n",
    lambda pem: pem.replace(b"\n", b"\r\n").rstrip(),
])  # fmt: skip
def test_what_settings_do_to_line_ends_does_not_matter(ada: Person, change) -> None:
    secrets = secrets_of(ada, change(key_of(ada)))
    assert pipeline.identity(secrets, ada.at).current_blob == pipeline.private_key(secrets).public_blob


def test_the_environments_passphrase_opens_an_encrypted_key(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opensshkey, "KDF_ROUNDS", 1)
    private = opensshkey.unencrypted_private(key_of(ada))
    assert private is not None
    locked = opensshkey.serialize(private, b"correct horse", "x")
    assert pipeline.private_key(secrets_of(ada, locked, passphrase=b"correct horse")).secret == private.secret
    for passphrase, said in ((None, "is locked"), (b"wrong", "stays locked")):
        with pytest.raises(Error, match=said):
            pipeline.private_key(secrets_of(ada, locked, passphrase=passphrase))


def test_half_an_identity_is_none(ada: Person) -> None:
    assert "neither AUTHS_PRIVATE_KEY_FD nor" in refusal(Secrets(did=ada.did()), ada.at).message
    assert "AUTHS_DID is not" in refusal(Secrets(private_key=key_of(ada)), ada.at).message
    assert "AUTHS_DID is not" in refusal(Secrets(private_key_fd=0), ada.at).message


@pytest.mark.parametrize("did", ["main", "did:key:z6Mk", SOMEBODY[:-1], f"{SOMEBODY}A", f" {SOMEBODY}", "\n"])
def test_what_is_no_did_is_refused(ada: Person, did: str) -> None:
    error = refusal(Secrets(private_key=key_of(ada), did=did), ada.at)
    assert "AUTHS_DID is no identifier" in error.message


@pytest.mark.parametrize(
    "key", [b"x", b"-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n", b"\0" * 20_000]
)
def test_what_is_no_key_is_refused_and_not_repeated(ada: Person, key: bytes) -> None:
    error = refusal(secrets_of(ada, key), ada.at)
    assert "AUTHS_PRIVATE_KEY has no key that signs" in error.message
    assert "MC4" not in error.message


def test_a_key_without_its_private_half_signs_nothing(ada: Person) -> None:
    public = opensshkey.without_private(opensshkey.public_blob(key_of(ada)))
    with pytest.raises(Error, match="has no key that signs"):
        pipeline.private_key(secrets_of(ada, public))


# What the repository says of the key


def test_a_key_of_somebody_else_is_refused(ada: Person) -> None:
    other = opensshkey.serialize(opensshkey.generate(), None, "x")
    assert "is not a key of did:keri:" in refusal(secrets_of(ada, other), ada.at, Refusal).message


def test_an_identity_that_the_repository_does_not_know_is_refused(ada: Person, newcomer: Person) -> None:
    newcomer.auths("init", "--no-passphrase")
    assert "has no key event log" in refusal(secrets_of(newcomer), ada.at, Refusal).message


def test_outside_of_a_repository_nothing_says_that_the_key_is_current(ada: Person) -> None:
    with pytest.raises(Error):
        pipeline.identity(secrets_of(ada), ada.home)


def test_a_key_that_does_not_meet_the_threshold_alone_is_refused(newcomer: Person) -> None:
    newcomer.auths("init", "--no-passphrase", "--keys", "2", "--threshold", "2")
    newcomer.at = newcomer.home / "work"
    newcomer.git("init", "--quiet", newcomer.at, cwd=newcomer.home)
    did = newcomer.did()
    file = newcomer.at / ".auths/kels" / f"{did.removeprefix('did:keri:')}.cesr"
    file.parent.mkdir(parents=True)
    file.write_bytes((newcomer.home / "auths/identities/main/kel.cesr").read_bytes())
    newcomer.git("add", ".")
    newcomer.git("commit", "--quiet", "--no-gpg-sign", "-m", "x")
    assert "does not meet the threshold" in refusal(secrets_of(newcomer), newcomer.at, Refusal).message


@pytest.fixture
def rotated(project: Project) -> Project:
    """Ada's log with a rotation is on a branch of hers; Bob's clone has the server's mainline, which lacks it."""
    project.ada.git("switch", "--quiet", "--create", "rotation")
    project.ada.auths("rotate")
    project.ada.git("push", "--quiet", "--no-verify", "origin", "rotation")
    project.bob.git("fetch", "--quiet")
    return project


def test_a_key_that_was_rotated_away_is_refused(project: Project) -> None:
    old = key_of(project.ada)
    project.ada.auths("rotate")
    assert "was rotated away" in refusal(secrets_of(project.ada, old), project.ada.at, Refusal).message


def test_a_branch_that_brings_in_the_rotation_says_which_key_is_current(rotated: Project) -> None:
    secrets = secrets_of(rotated.ada)
    assert "is not a key of" in refusal(secrets, rotated.bob.at, Refusal).message
    rotated.bob.git("switch", "--quiet", "--detach", "origin/rotation")
    assert pipeline.identity(secrets, rotated.bob.at)


def test_the_mainline_says_it_where_head_is_older(rotated: Project) -> None:
    secrets = secrets_of(rotated.ada)
    rotated.bob.git("update-ref", "refs/remotes/origin/main", "origin/rotation")
    assert pipeline.log(secrets.did.removeprefix("did:keri:"), rotated.bob.at).where == "the mainline"
    assert pipeline.identity(secrets, rotated.bob.at)


def test_a_branch_with_a_broken_policy_does_not_undo_what_the_mainline_says(project: Project) -> None:
    bob = project.bob
    (bob.at / ".auths/policy.toml").write_text("x")
    bob.git("commit", "--quiet", "--no-gpg-sign", "--no-verify", "-am", "x")
    assert pipeline.identity(secrets_of(project.ada), bob.at)
    bob.git("config", "--unset", "auths.root")
    assert "cannot be believed" in refusal(secrets_of(project.ada), bob.at, Refusal).message


# The descriptor


def test_a_descriptor_is_read_once_and_preferred(ada: Person) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, key_of(ada))
    os.close(write_end)
    secrets = Secrets(private_key=b"x", private_key_fd=read_end, did=ada.did())
    try:
        assert pipeline.identity(secrets, ada.at)
        assert pipeline.private_key(secrets)
        assert "nothing more to read" in refusal(Secrets(private_key_fd=read_end, did=ada.did()), ada.at).message
    finally:
        os.close(read_end)


def test_a_file_behind_the_descriptor_serves_one_command_after_the_other(ada: Person) -> None:
    with (ada.home / "auths/identities/main/current").open("rb") as stream:
        for _ in range(2):
            assert pipeline.identity(Secrets(private_key_fd=stream.fileno(), did=ada.did()), ada.at)


@pytest.mark.parametrize("descriptor", [-1, 999_999])
def test_a_descriptor_that_cannot_be_read_is_refused(ada: Person, descriptor: int) -> None:
    error = refusal(Secrets(private_key_fd=descriptor, did=ada.did()), ada.at)
    assert "AUTHS_PRIVATE_KEY_FD" in error.message


def test_no_more_is_read_than_a_key_can_have(ada: Person) -> None:
    with open("/dev/zero", "rb") as stream:
        refusal(Secrets(private_key_fd=stream.fileno(), did=ada.did()), ada.at)
