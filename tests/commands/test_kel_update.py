"""git auths kel update"""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from git_auths.core.grants import Grant
from git_auths.store import granting, keyevents
from git_auths.store.repository import Repository
from git_auths.store.secrets import Secrets
from tests.devices import approved
from tests.kels import GrowingLog
from tests.people import Person, Project

OTHER = GrowingLog(7)
REVOCATION = {"auths": "revoke/1", "i": GrowingLog(8).kel.aid}


def log(person: Person) -> Path:
    return person.home / "auths/identities/main/kel.cesr"


def recorded(person: Person) -> Path:
    return person.at / f".auths/kels/{person.did().removeprefix('did:keri:')}.cesr"


@pytest.fixture
def at(ada: Person, monkeypatch: pytest.MonkeyPatch) -> Person:
    """Ada, as whom this process now acts, in her repository."""
    for name, value in ada.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(ada.at)
    return ada


@pytest.fixture
def behind(ada: Person) -> Person:
    """Ada on a branch that does not know of her rotation yet."""
    ada.git("branch", "side")
    ada.auths("rotate")
    ada.git("switch", "--quiet", "side")
    return ada


def test_where_nothing_lags_it_says_so(ada: Person) -> None:
    before = ada.head()
    done = ada.auths("kel", "update")
    assert (done.stdout, ada.head()) == ("", before)
    assert done.stderr == "HEAD has all of the logs of this machine that it knows\n"


def test_what_has_grown_is_committed_alone_and_that_commit_is_good(behind: Person) -> None:
    (behind.at / "staged").write_text("x")
    behind.git("add", "staged")
    done = behind.auths("kel", "update")
    assert done.stdout.strip() == behind.head()
    assert recorded(behind).read_bytes() == log(behind).read_bytes()
    assert behind.git("status", "--porcelain").stdout == "A  staged\n"
    assert behind.ask("verify", "HEAD")["ok"]
    assert behind.auths("kel", "update").stdout == ""


def test_it_can_be_staged_for_a_commit_of_ones_own(behind: Person) -> None:
    before = behind.head()
    done = behind.auths("kel", "update", "--stage")
    assert "hint: git commit makes it so\n" in done.stderr
    assert behind.head() == before
    status = behind.git("status", "--porcelain").stdout.split()
    assert status == ["M", ".auths/allowed_signers", "M", str(recorded(behind).relative_to(behind.at))]


def test_a_rebase_that_stopped_for_it_goes_on(behind: Person) -> None:
    base = behind.head()
    for subject in ("One", "Two"):
        (behind.at / subject).write_text("x")
        behind.git("add", subject)
        behind.git("commit", "--quiet", "--no-verify", "--no-gpg-sign", "-m", subject)
    assert "hint: git auths kel update" in behind.git("rebase", "--force-rebase", base, code=1).stderr
    assert "hint: a rebase is in progress here: git rebase --continue" in behind.auths("kel", "update").stderr
    behind.git("rebase", "--continue", GIT_EDITOR="true")
    assert behind.git("log", "--format=%s", f"{base}..").stdout == "Two\nOne\n"
    assert behind.ask("verify", "HEAD")["ok"]


def test_a_log_that_somebody_else_has_continued_is_told_loudly(ada: Person) -> None:
    before = log(ada).read_bytes()
    ada.auths("rotate")
    log(ada).write_bytes(before)
    done = ada.auths("kel", "update", code=1)
    assert "warning: HEAD has events in the log of 'main' that this machine did not make" in done.stderr
    assert "  event 1: other keys from now on\n" in done.stderr
    assert "hint: if you did not make them, its keys are stolen: git auths rotate --alias main --comp" in done.stderr
    assert "hint: if you did, and this machine is restored from a backup: git auths kel update --take\n" in done.stderr
    assert log(ada).read_bytes() == before


def restore(folder: Path, backup: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(backup, folder)


@pytest.fixture
def backup(ada: Person) -> Path:
    """A copy of the folder of Ada's identity, of before the test."""
    shutil.copytree(log(ada).parent, ada.home / "backup")
    return ada.home / "backup"


def test_a_machine_restored_from_a_backup_takes_in_what_it_had_sealed(ada: Person, backup: Path) -> None:
    ada.auths("agent", "new", "fixer")
    later = log(ada).read_bytes()
    restore(log(ada).parent, backup)
    assert (
        "hint: git auths kel update shows it; if it is yours" in ada.auths("agent", "renew", "fixer", code=128).stderr
    )
    done = ada.auths("kel", "update", "--take")
    assert "  event 1: the same keys\n    " in done.stderr
    assert "    makes did:keri:" in done.stderr
    assert "the log of 'main' on this machine has it now, up to event 1\n" in done.stderr
    assert log(ada).read_bytes() == later
    ada.auths("agent", "renew", "fixer")
    ada.auths("rotate")
    assert ada.ask("verify")["ok"]


@pytest.mark.parametrize(("answer", "is_taken"), [(b"y\n", True), (b"n\n", False)])
def test_at_a_terminal_it_asks_who_has_made_them(ada: Person, backup: Path, answer: bytes, is_taken: bool) -> None:
    ada.auths("agent", "new", "fixer")
    restore(log(ada).parent, backup)
    leader, follower = pty.openpty()
    process = subprocess.Popen(["git", "auths", "kel", "update"], cwd=ada.at, env=ada.environment, stdin=follower,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    os.close(follower)
    os.write(leader, answer)
    _, said = process.communicate(timeout=30)
    os.close(leader)
    assert b"Have you made these events yourself" in said
    assert process.returncode == (0 if is_taken else 1)
    assert (log(ada).read_bytes() == (backup / "kel.cesr").read_bytes()) is not is_taken


def test_after_a_rotation_the_next_key_of_the_backup_signs_and_is_the_last(ada: Person, backup: Path) -> None:
    ada.auths("rotate")
    ada.auths("agent", "new", "fixer")
    restore(log(ada).parent, backup)
    done = ada.auths("kel", "update", "--take")
    assert "warning: 'main' signs, and can never be rotated again: the next key is not on this machine\n" in done.stderr
    folder = log(ada).parent
    assert (folder / "current").read_bytes() == (backup / "next").read_bytes()
    assert (folder / "previous/0").read_bytes() == (backup / "current").read_bytes()
    assert not (folder / "next").exists()
    ada.commit("still")
    assert ada.ask("verify")["ok"]
    assert "is not there" in ada.auths("rotate", code=128).stderr
    assert "bad " not in ada.auths("doctor").stdout


def test_after_two_rotations_nothing_of_the_backup_is_changed(ada: Person, backup: Path) -> None:
    ada.auths("rotate")
    ada.auths("rotate")
    restore(log(ada).parent, backup)
    assert "keys that are not on this machine\nhint: man gitauths-recovery" in (
        ada.auths("kel", "update", "--take", code=1).stderr
    )
    names = {path.name for path in log(ada).parent.iterdir()} - {"lock"}
    assert names == {path.name for path in backup.iterdir()} - {"lock"}
    assert log(ada).read_bytes() == (backup / "kel.cesr").read_bytes()


def test_the_mainline_is_believed_too_and_where_two_branches_disagree_neither_is(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = project.ada
    for name, value in ada.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(ada.at)
    before = ada.home / "backup"
    shutil.copytree(log(ada).parent, before)
    ada.git("branch", "old")
    ada.auths("agent", "new", "fixer")
    ada.git("push", "--quiet")
    ada.auths("root", "pin", "--mainline", "refs/remotes/origin/main", project.root)
    ada.git("switch", "--quiet", "old")
    later = log(ada).read_bytes()
    restore(log(ada).parent, before)
    keyevents.seal("main", [REVOCATION], Secrets())
    ada.auths("kel", "update", "--stage", code=1)
    ada.git("commit", "--quiet", "--no-verify", "--no-gpg-sign", "-m", "Forked")
    restore(log(ada).parent, before)
    done = ada.auths("kel", "update", "--take", code=1)
    assert "the logs of 'main' in HEAD and refs/remotes/origin/main have forked\n" in done.stderr
    assert log(ada).read_bytes() == (before / "kel.cesr").read_bytes()
    ada.git("reset", "--quiet", "--hard", "HEAD~1")
    done = ada.auths("kel", "update", "--take")
    assert "warning: refs/remotes/origin/main has events" in done.stderr
    assert "hint: git pull brings it to HEAD" in done.stderr
    assert log(ada).read_bytes() == later


def test_a_fork_is_told_loudly(at: Person) -> None:
    before = log(at).read_bytes()
    keyevents.seal("main", [REVOCATION], Secrets())
    at.auths("kel", "update")
    log(at).write_bytes(before)
    keyevents.seal("main", [{**REVOCATION, "i": OTHER.kel.aid}], Secrets())
    assert "have forked" in at.auths("kel", "update", "--take", code=1).stderr


def test_events_that_nobody_has_signed_alarm_nobody(at: Person) -> None:
    before = log(at).read_bytes()
    keyevents.seal("main", [REVOCATION], Secrets())
    event = log(at).read_bytes()[len(before) :].partition(b"-AAB")[0]
    log(at).write_bytes(before)
    recorded(at).write_bytes(before + event + before[before.index(b"-AAB") :])  # by another event's signature
    at.git("commit", "--quiet", "--no-verify", "--no-gpg-sign", "-a", "-m", "Forged")
    assert "did not make" not in at.auths("kel", "update").stderr


def test_grants_that_were_sealed_and_not_committed_go_along(at: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    place, now = granting.place(Repository()), int(time.time())
    grant = Grant(place.root, at.did(), OTHER.kel.did, "member", ("sign_commit",), now, now + 3600)
    with monkeypatch.context() as patch:
        patch.setattr(granting.recording, "commit", cut_off)
        with pytest.raises(KeyboardInterrupt):
            granting.issue(place, "main", [grant], Secrets(), "Grant")
    done = at.auths("kel", "update")
    assert done.stderr == f"committed the log of {at.did()}, 1 grant\n"
    assert len(list((at.at / ".auths/grants").iterdir())) == 1
    assert at.ask("verify")["ok"]
    assert "HEAD has all" in at.auths("kel", "update").stderr


def test_what_a_device_has_asked_for_is_no_alarm(project: Project) -> None:
    laptop = approved(project)
    project.ada.auths("device", "approve", laptop.auths("rotate").stdout.strip(), "--yes")
    project.ada.git("push", "--quiet")
    laptop.git("pull", "--quiet", "--ff-only")
    done = laptop.auths("kel", "update")
    assert "HEAD has what 'main' has asked its owner for\nhint: git auths device finish --alias main\n" in done.stderr
    assert "warning" not in done.stderr


def test_a_branch_that_lacks_what_seals_a_devices_rotation_gets_that_too(project: Project) -> None:
    laptop = approved(project)
    laptop.git("branch", "side")
    project.ada.auths("device", "approve", laptop.auths("rotate").stdout.strip(), "--yes")
    project.ada.git("push", "--quiet")
    laptop.git("pull", "--quiet", "--ff-only")
    laptop.auths("device", "finish")
    laptop.git("switch", "--quiet", "side")
    laptop.auths("kel", "update")
    assert laptop.ask("verify", "HEAD")["ok"]
    assert len(laptop.git("show", "--format=", "--name-only", "HEAD").stdout.split()) == 3
