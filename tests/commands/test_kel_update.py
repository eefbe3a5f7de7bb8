"""git auths kel update"""

from __future__ import annotations

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
    assert f"hint: git auths kel show {ada.did()}" in done.stderr
    assert log(ada).read_bytes() == before


def test_a_fork_is_told_loudly(at: Person) -> None:
    before = log(at).read_bytes()
    keyevents.seal("main", [REVOCATION], Secrets())
    at.auths("kel", "update")
    log(at).write_bytes(before)
    keyevents.seal("main", [{**REVOCATION, "i": OTHER.kel.aid}], Secrets())
    assert "have forked" in at.auths("kel", "update", code=1).stderr


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
