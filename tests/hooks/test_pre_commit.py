"""pre-commit: a staged policy must parse and be met; logs that have grown go along"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.people import Person


def test_a_broken_policy_is_not_committed(ada: Person) -> None:
    before = ada.head()
    (ada.at / ".auths/policy.toml").write_text("[policy\n")
    done = ada.git("commit", "--quiet", "-a", "-m", "oops", code=1)
    assert "policy.toml:1:" in done.stderr
    assert ada.head() == before


def test_a_threshold_that_nobody_can_meet_is_not_committed(ada: Person) -> None:
    policy = ada.at / ".auths/policy.toml"
    policy.write_text(policy.read_text().replace("require = 1", "require = 2", 1))
    assert "require is 2" in ada.git("commit", "--quiet", "-a", "-m", "oops", code=1).stderr


def test_other_commits_are_not_held_up_by_a_broken_working_tree(ada: Person) -> None:
    (ada.at / ".auths/policy.toml").write_text("[policy\n")
    ada.commit()


def test_the_hook_that_was_there_still_decides(ada: Person) -> None:
    kept = ada.at / ".git/hooks/pre-commit.before-auths"
    kept.write_text("#!/bin/sh\nexit 1\n")
    kept.chmod(0o755)
    (ada.at / "file").write_text("x")
    ada.git("add", "file")
    ada.git("commit", "--quiet", "-m", "x", code=1)


@pytest.fixture
def behind(ada: Person) -> Person:
    """Ada on a branch that has a file and does not know of her rotation yet."""
    ada.git("switch", "--quiet", "--create", "side")
    ada.commit("file")
    ada.git("switch", "--quiet", "main")
    ada.auths("rotate")
    ada.git("switch", "--quiet", "side")
    (ada.at / "file").write_text("changed\n")
    return ada


def changed(person: Person) -> list[str]:
    """The files that the newest commit changes."""
    return person.git("show", "--format=", "--name-only", "HEAD").stdout.split()


def grown(person: Person) -> list[str]:
    return [".auths/allowed_signers", f".auths/kels/{person.did().removeprefix('did:keri:')}.cesr"]


@pytest.mark.parametrize("how", [("-a",), ("file",), ("--amend", "-a"), ("--include", "file")], ids=" ".join)
def test_a_log_that_has_grown_goes_into_the_next_commit(behind: Person, how: tuple[str, ...]) -> None:
    done = behind.git("commit", "--quiet", "-m", "Change", *how)
    assert done.stderr == f"this commit takes along what the log of {behind.did()} has grown by\n"
    assert changed(behind) == [*grown(behind), "file"]
    assert behind.git("status", "--porcelain").stdout == ""
    assert behind.ask("verify", "HEAD")["ok"]


def test_what_is_staged_for_later_stays_when_single_files_are_committed(behind: Person) -> None:
    (behind.at / "later").write_text("x")
    behind.git("add", "later")
    behind.git("commit", "--quiet", "-m", "Change", "file")
    assert behind.git("status", "--porcelain").stdout == "A  later\n"
    behind.git("commit", "--quiet", "-m", "Later")
    assert changed(behind) == ["later"]


def test_it_works_in_a_further_working_tree_and_from_a_folder_below(behind: Person) -> None:
    behind.git("stash", "--quiet")
    behind.git("worktree", "add", "--quiet", "-b", "there", behind.home / "there", "side")
    below = behind.home / "there/below"
    below.mkdir()
    (below / "new").write_text("x")
    behind.git("add", "new", cwd=below)
    behind.git("commit", "--quiet", "-m", "There", cwd=below)
    assert behind.git("status", "--porcelain", cwd=below).stdout == ""
    assert behind.ask("verify", "there")["ok"]


def test_it_works_in_a_submodule(behind: Person) -> None:
    outer = behind.home / "outer"
    behind.git("init", "--quiet", outer)
    allow = ("-c", "protocol.file.allow=always", "-c", "commit.gpgSign=false")
    behind.git(*allow, "submodule", "--quiet", "add", "-b", "side", behind.at, "inner", cwd=outer)
    inner = outer / "inner"
    behind.auths("setup", "--yes", "--mainline", "refs/remotes/origin/main", cwd=inner)
    (inner / "file").write_text("changed\n")
    behind.git("commit", "--quiet", "-a", "-m", "Change", cwd=inner)
    assert behind.git("show", "--format=", "--name-only", cwd=inner).stdout.split() == [*grown(behind), "file"]
    assert behind.git("status", "--porcelain", cwd=inner).stdout == ""


def test_a_log_that_cannot_go_along_is_a_warning_and_no_more(behind: Person) -> None:
    log = behind.at / grown(behind)[1]
    log.write_bytes(log.read_bytes() + b"{}")
    done = behind.git("commit", "--quiet", "--no-gpg-sign", "-m", "Change", "file")
    assert "warning: the logs of this machine that have grown are not in this commit" in done.stderr
    assert changed(behind) == ["file"]


def test_logs_that_the_branch_does_not_have_stay_out(ada: Person) -> None:
    ada.auths("init", "--alias", "other", "--no-passphrase")
    ada.git("config", "user.signingKey", "auths:main")
    ada.auths("rotate", "--alias", "other")
    ada.commit()
    assert changed(ada) == ["file"]


def test_python_is_not_started_where_nothing_has_changed(ada: Person) -> None:
    """Its place is taken by what would fail."""
    settled(ada)
    ada.commit()
    shim = ada.at / ".git/hooks/pre-commit"
    shim.write_text(shim.read_text().replace("exec ", "exec /nowhere/"))
    ada.commit("file")
    ada.commit("file", code=0)
    grow(ada)
    (ada.at / "file").write_text("y")
    ada.git("commit", "--quiet", "-a", "-m", "x", code=1)


def test_what_was_seen_on_one_branch_says_nothing_of_another(behind: Person) -> None:
    behind.git("stash", "--quiet")
    behind.git("switch", "--quiet", "main")
    settled(behind)
    behind.commit("on-main")
    behind.git("switch", "--quiet", "side")
    behind.commit("on-side")
    assert changed(behind) == [*grown(behind), "on-side"]


@pytest.mark.parametrize("name", ["AUTHS_HOME", "HOME", "XDG_DATA_HOME"])
def test_logs_elsewhere_are_looked_at_anew(ada: Person, name: str) -> None:
    settled(ada)
    ada.commit()
    shim = ada.at / ".git/hooks/pre-commit"
    shim.write_text(shim.read_text().replace("exec ", "exec /nowhere/"))
    ada.git("commit", "--quiet", "--no-gpg-sign", "--allow-empty", "-m", "x", code=1, **{name: str(ada.home / "new")})


def settled(person: Person) -> None:
    """The person's logs were written a while ago."""
    before = time.time() - 60
    for path in (person.home / "auths").rglob("*"):
        os.utime(path, (before, before))


def grow(person: Person) -> None:
    log = Path(person.home, "auths/identities/main/kel.cesr")
    os.utime(log)
