"""store/granting.py: what is on the disk when, and what a run that was cut off leaves to the next one."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from git_auths.core import cesr, dsse, grants, seals
from git_auths.core.authority import ledger
from git_auths.core.grants import Grant
from git_auths.errors import Error, Refusal
from git_auths.store import granting, keyevents, keystore, recording
from git_auths.store.repository import Repository
from git_auths.store.secrets import Secrets
from tests.people import Person
from tests.store import test_crash_safety
from tests.store.test_crash_safety import KILLED, in_child, kill, never

HOUR_SECONDS = 3600
NONE = Secrets()


@pytest.fixture
def place(ada: Person, monkeypatch: pytest.MonkeyPatch) -> granting.Place:
    """Ada's repository, in this process."""
    for name, value in ada.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(ada.at)
    return granting.place(Repository())


def issuer(place: granting.Place) -> keystore.Identity:
    return keystore.load("main")


def grant(place: granting.Place, name: str = "Carol", **changes: object) -> Grant:
    now = int(time.time())
    made = Grant(place.root, f"did:keri:{issuer(place).aid}", "did:keri:" + seals_aid(name), "member", ("sign_commit",),
                 now, now + HOUR_SECONDS, name)  # fmt: skip
    return made._replace(**changes)  # type: ignore[arg-type]


def seals_aid(name: str) -> str:
    return cesr.digest(name.encode())


def test_one_event_seals_all_grants_and_what_comes_beside_them(place: granting.Place) -> None:
    revocation = seals.revocation(seals_aid("gone"))
    wanted = [grant(place, name) for name in ("a", "b")]
    sealed = granting.seal("main", wanted, NONE, [revocation])
    assert sealed.kel.sn == 1 and sealed.stream == keystore.read_kel(issuer(place))
    digests = [grants.digest(grants.payload(one)) for one in wanted]
    assert sealed.kel.events[1].anchors == (*map(seals.grant, digests), revocation)
    assert [grants.read(file) for file in sealed.files] == list(zip(digests, wanted, strict=True))


def test_the_envelope_is_signed_by_the_key_that_is_current(place: granting.Place) -> None:
    [file] = granting.seal("main", [grant(place)], NONE).files
    assert dsse.verify(dsse.parse(file), issuer(place).current_blob)


def test_each_key_of_an_identity_of_several_signs_the_envelope(place: granting.Place) -> None:
    keyevents.incept("acme", NONE, keys=3, threshold="2/3", unencrypted=True)
    identity = keystore.load("acme")
    [file] = granting.seal("acme", [grant(place)], NONE).files
    envelope = dsse.parse(file)
    keys = [keystore.public_blob_of("current", pem) for pem in keystore.read_currents(identity)]
    assert len(envelope.signatures) == 3 and all(dsse.verify(envelope, key) for key in keys)


def test_the_file_is_on_the_disk_before_the_seal(place: granting.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(keyevents, "seal", cut_off)
    with pytest.raises(KeyboardInterrupt):
        granting.seal("main", [grant(place)], NONE)
    assert len(granting.kept(issuer(place))) == 1
    assert granting.waiting(issuer(place), place) == {}, "what no seal names is nothing"


def test_what_is_sealed_waits_until_it_is_committed(place: granting.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(recording, "commit", cut_off)
        with pytest.raises(KeyboardInterrupt):
            granting.issue(place, "main", [grant(place)], NONE, "Grant")
    assert len(granting.waiting(issuer(place), place)) == 1
    assert granting.commit(place, issuer(place), NONE, "Grant") is not None
    assert granting.waiting(issuer(place), place) == {} == granting.kept(issuer(place))


def test_a_grant_for_another_root_is_not_committed_here(place: granting.Place) -> None:
    granting.seal("main", [grant(place, root="ab" * 20)], NONE)
    assert granting.waiting(issuer(place), place) == {}
    assert len(granting.kept(issuer(place))) == 1


def test_a_kept_file_under_another_name_is_passed_over(place: granting.Place) -> None:
    granting.seal("main", [grant(place)], NONE)
    folder = Path(issuer(place).folder, granting.WAITING)
    [file] = folder.iterdir()
    file.rename(folder / ("0" * 64 + ".json"))
    (folder / "other.json").write_text("{}")
    assert granting.waiting(issuer(place), place) == {}


def test_nobody_else_can_read_what_waits(place: granting.Place) -> None:
    granting.seal("main", [grant(place)], NONE)
    folder = Path(issuer(place).folder, granting.WAITING)
    assert oct(os.stat(folder).st_mode)[-3:] == "700"
    assert issuer(place).aid


def test_a_log_of_which_the_repository_has_more_is_not_continued(place: granting.Place) -> None:
    before = keystore.read_kel(issuer(place))
    granting.issue(place, "main", [grant(place)], NONE, "Grant")
    kel = Path(issuer(place).folder, keystore.KEL)
    kel.write_bytes(before)
    now = granting.place(Repository())
    with pytest.raises(Error, match="longer log"):
        granting.issue(now, "main", [grant(place, "another")], NONE, "Grant")
    assert kel.read_bytes() == before


def test_a_log_of_which_the_mainline_has_more_is_not_continued_on_another_branch(
    place: granting.Place, ada: Person
) -> None:
    ada.git("branch", "old")
    before = keystore.read_kel(issuer(place))
    granting.issue(place, "main", [grant(place)], NONE, "Grant")
    kel = Path(issuer(place).folder, keystore.KEL)
    kel.write_bytes(before)
    ada.git("switch", "--quiet", "old")
    with pytest.raises(Error, match="in refs/heads/main has events that this machine does not know"):
        granting.issue(granting.place(Repository()), "main", [grant(place, "another")], NONE, "Grant")
    assert kel.read_bytes() == before


def test_a_log_that_has_forked_is_not_continued(place: granting.Place) -> None:
    before = keystore.read_kel(issuer(place))
    granting.issue(place, "main", [grant(place)], NONE, "Grant")
    kel = Path(issuer(place).folder, keystore.KEL)
    kel.write_bytes(before)
    keyevents.seal("main", [seals.revocation(seals_aid("other"))], NONE)
    forked = kel.read_bytes()
    with pytest.raises(Error, match="have forked"):
        granting.issue(granting.place(Repository()), "main", [grant(place, "another")], NONE, "Grant")
    assert kel.read_bytes() == forked


def test_nothing_is_sealed_where_the_policy_would_refuse_the_commit(place: granting.Place) -> None:
    keyevents.incept("stranger", NONE, unencrypted=True)
    place.repository.git("config", "auths.identity", "stranger")
    before = keystore.read_kel(issuer(place))
    with pytest.raises(Refusal):
        granting.issue(place, "main", [grant(place)], NONE, "Grant")
    assert keystore.read_kel(issuer(place)) == before and granting.kept(issuer(place)) == {}


def test_nothing_is_sealed_in_the_middle_of_a_merge(place: granting.Place) -> None:
    (place.repository.git_dir / "MERGE_HEAD").write_text(place.repository.head() or "")
    before = keystore.read_kel(issuer(place))
    with pytest.raises(Error, match="merge is in progress"):
        granting.issue(place, "main", [grant(place)], NONE, "Grant")
    assert keystore.read_kel(issuer(place)) == before


def test_the_states_are_those_of_the_log(place: granting.Place) -> None:
    for name, lifetime_seconds in (("active", HOUR_SECONDS), ("expired", 1), ("revoked", HOUR_SECONDS)):
        made = grant(place, name)
        granting.issue(place, "main", [made._replace(expires_at=made.issued_at + lifetime_seconds)], NONE, "Grant")
    granting.issue(place, "main", [], NONE, "Revoke", anchors=[seals.revocation(seals_aid("revoked"))])
    listed = granting.in_folder(granting.place(Repository()).folder, int(time.time()) + 60)
    assert {one.grant.name: one.state for one in listed} == {name: name for name in ("active", "expired", "revoked")}


def test_the_owner_is_asked_for_the_passphrase_once(
    place: granting.Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keyevents.incept("locked", Secrets(b"sesame"))
    place.repository.git("config", "auths.identity", "locked")
    place.repository.git("config", "auths.enforceOnSign", "false")
    asked = tmp_path / "asked"
    program = tmp_path / "askpass"
    program.write_text(f"#!/bin/sh\necho x >> {asked}\necho sesame\n")
    program.chmod(0o700)
    monkeypatch.setenv("SSH_ASKPASS", str(program))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    granting.issue(place, "locked", [grant(place)], NONE, "Grant")
    assert asked.read_text() == "x\n"


def test_too_few_keys_leave_a_proposal_and_the_file(place: granting.Place) -> None:
    """A copy of an identity of two keys that has lost one is like a machine that never had it."""
    identity = keyevents.incept("acme", NONE, keys=2, threshold="2", unencrypted=True)
    for name in ("current.1", "next.1"):
        Path(identity.folder, name).unlink()
    log = granting.own_log(identity, place.folder)
    assert not granting.has_enough_keys(identity, log)
    assert granting.has_enough_keys(issuer(place), granting.own_log(issuer(place), place.folder))
    granting.propose("acme", [grant(place)], NONE, "acme-1.event")
    assert keystore.read_kel(identity) == keystore.read_kel(keystore.load("acme"))
    [(sha256, (kept, _))] = granting.kept(identity).items()
    assert sha256.encode() in Path("acme-1.event").read_bytes()
    assert granting.kept_alike(identity, kept._replace(expires_at=kept.expires_at + 5)) == sha256
    assert granting.kept_alike(identity, kept._replace(name="other")) is None
    assert granting.kept_alike(identity, kept._replace(issued_at=kept.expires_at)) is None
    assert sha256 not in ledger(log).granted


@pytest.mark.parametrize("unpinned", [True, False])
def test_there_is_no_place_for_grants_without_a_root_or_a_policy(place: granting.Place, unpinned: bool) -> None:
    if unpinned:
        place.repository.git("config", "--unset", "auths.mainline")
    else:
        place.repository.git("checkout", "--quiet", "--orphan", "empty")
        place.repository.git("rm", "-rfq", ".")
        place.repository.git("commit", "--quiet", "--no-verify", "--no-gpg-sign", "--allow-empty", "-m", "x")
    with pytest.raises(Error, match="no trust root is pinned" if unpinned else "has no .auths/policy.toml"):
        granting.place(Repository())


def test_a_killed_grant_is_made_or_not_and_the_next_commit_has_all_that_is_sealed(
    place: granting.Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at each call that changes the disk: no seal without its file, and never a fork."""
    # To be killed at an fsync is to be killed at the rename that follows.
    monkeypatch.setattr(test_crash_safety, "CALLS", ("write", "rename", "mkdir", "unlink"))
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # what a process wrote outlives it
    home, before = Path(os.environ["HOME"]), tmp_path / "before"
    shutil.copytree(home, before, symlinks=True)
    wanted = grant(place)

    def issue() -> None:
        granting.issue(place, "main", [wanted], NONE, "Grant")

    code, calls = in_child(issue, never, kill)
    assert code == 0 and calls > 8
    for number in range(1, calls + 1):
        restore(home, before)
        code, _ = in_child(issue, lambda name, counted, number=number: counted == number, kill)  # type: ignore[misc]
        assert code == KILLED
        granting.commit(granting.place(Repository()), issuer(place), NONE, "Go on")
        folder = granting.place(Repository()).folder
        log = granting.own_log(issuer(place), folder)
        assert folder.kels[log.aid].said == log.said
        assert set(folder.grants) == set(ledger(log).granted)
        assert granting.waiting(issuer(place), place) == {}


def restore(folder: Path, before: Path) -> None:
    os.chdir("/")
    shutil.rmtree(folder)
    shutil.copytree(before, folder, symlinks=True)
    os.chdir(folder / "work")
