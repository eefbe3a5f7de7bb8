"""git auths setup"""

from __future__ import annotations

import os
import pty
import subprocess

import pytest

from tests.people import Person, Project


@pytest.fixture
def carol(project: Project) -> Person:
    """With a clone that trusts nothing yet."""
    person = Person(project.folder, "carol")
    person.at = person.home / "work"
    person.git("clone", "--quiet", project.server, person.at, cwd=person.home)
    return person


def pinned(person: Person) -> str:
    return person.auths("root", "show", code=None).stdout


def test_yes_pins_root_and_mainline_and_shows_whom_it_trusts(project: Project, carol: Person) -> None:
    done = carol.auths("setup", "--yes")
    assert pinned(carol) == f"root {project.root}\nmainline refs/remotes/origin/main\n"
    assert done.stderr.count(project.ada.did()) == 3
    assert "hint: to sign here, make an identity: git auths init" in done.stderr
    assert carol.git("config", "commit.gpgSign", code=1).stdout == "", "who has no identity signs nothing"
    assert carol.git("log", "-1", "--format=%G?").stdout.strip() == "G"


def test_without_terminal_and_yes_nothing_is_pinned(carol: Person) -> None:
    done = carol.auths("setup", code=128)
    assert "hint: git auths setup --yes" in done.stderr
    assert pinned(carol) == ""


@pytest.mark.parametrize(("typed", "code"), [(b"y\n", 0), (b"n\n", 1), (b"\n", 1)])
def test_on_a_terminal_it_asks(carol: Person, typed: bytes, code: int) -> None:
    leader, follower = pty.openpty()
    process = subprocess.Popen(["git", "auths", "setup"], cwd=carol.at, env=carol.environment, stdin=follower,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    os.close(follower)
    os.write(leader, typed)
    _, said = process.communicate(timeout=30)
    os.close(leader)
    assert process.returncode == code
    assert b"Trust this root and these signers? [y/N]" in said
    assert bool(pinned(carol)) is (code == 0)


def test_the_expected_root_is_pinned_and_another_one_is_not(project: Project, carol: Person) -> None:
    done = carol.auths("setup", "--root", "1" * 40, "--yes", code=1)
    assert project.root in done.stderr
    assert pinned(carol) == ""
    carol.auths("setup", "--root", project.root, "--yes")
    assert pinned(carol) != ""
    carol.auths("setup", "--root", "1" * 40, "--yes", code=1)


def test_a_root_that_took_the_place_of_the_first_is_pinned_by_name_alone(project: Project, carol: Person) -> None:
    ada = project.ada
    new = ada.commit()
    ada.git("push", "--quiet")
    carol.git("pull", "--quiet")
    done = carol.auths("setup", "--root", new, code=128)
    assert f"root {new}\n" in done.stderr
    assert f"it takes the place of {project.root}\n" in done.stderr
    assert pinned(carol) == ""
    carol.auths("setup", "--root", new, "--yes")
    assert f"root {new}\n" in pinned(carol)
    assert carol.ask("verify")["ok"]
    assert carol.ask("verify-commit", project.root)["objects"][0]["verdict"] == "outside-root"


def test_no_root_is_a_commit_beside_the_mainline_or_without_a_valid_policy(project: Project, carol: Person) -> None:
    ada = project.ada
    ada.git("switch", "--quiet", "--create", "side")
    side = ada.commit("side")
    ada.git("switch", "--quiet", "main")
    ada.commit("other")
    ada.git("merge", "--quiet", "--no-edit", "side")
    (ada.at / ".auths/policy.toml").write_text("version = 1\n")
    ada.git("commit", "--quiet", "--no-verify", "--no-gpg-sign", "-a", "-m", "Not valid")
    (project.server / "hooks/pre-receive").unlink()
    ada.git("push", "--quiet", "--no-verify")
    carol.git("pull", "--quiet")
    for commit in (side, ada.head()):
        assert f"not {commit}" in carol.auths("setup", "--root", commit, "--yes", code=1).stderr
        assert pinned(carol) == ""


def test_run_again_it_changes_nothing(carol: Person) -> None:
    carol.auths("setup", "--yes")
    config = (carol.at / ".git/config").read_bytes()
    assert "set " not in carol.auths("setup").stderr
    assert (carol.at / ".git/config").read_bytes() == config


def test_a_repository_without_a_policy_says_who_starts_one(newcomer: Person) -> None:
    newcomer.git("init", "--quiet", newcomer.at)
    newcomer.git("commit", "--quiet", "--allow-empty", "-m", "x")
    assert "hint: a maintainer starts one: git auths policy init" in newcomer.auths("setup", "--yes", code=128).stderr


def test_allowed_signers_comes_from_the_mainline_and_not_from_the_working_tree(project: Project, carol: Person) -> None:
    carol.auths("setup", "--yes")
    copy = carol.at / ".git/auths/allowed_signers"
    good = copy.read_bytes()
    (carol.at / ".auths/allowed_signers").write_text("evil@example.com ssh-ed25519 AAAA\n")
    carol.auths("setup", "--yes")
    assert copy.read_bytes() == good == (project.ada.at / ".auths/allowed_signers").read_bytes()


def test_a_mainline_that_is_not_good_is_pinned_with_a_warning_and_exit_1(project: Project, carol: Person) -> None:
    ada = project.ada
    ada.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "unsigned")
    (project.server / "hooks/pre-receive").unlink()
    ada.git("push", "--quiet", "--no-verify")
    carol.git("pull", "--quiet")
    done = carol.auths("setup", "--yes", code=1)
    assert f"warning: the mainline is not good: {ada.head()} unsigned" in done.stderr
    assert not (carol.at / ".git/auths/allowed_signers").exists()


def test_a_shallow_clone_tells_no_root(project: Project) -> None:
    project.ada.commit()
    project.ada.git("push", "--quiet")
    dave = Person(project.folder, "dave")
    dave.at = dave.home / "work"
    dave.git("clone", "--quiet", "--depth", "1", f"file://{project.server}", dave.at, cwd=dave.home)
    assert "hint: git fetch --unshallow" in dave.auths("setup", "--yes", code=1).stderr
    assert pinned(dave) == ""


def test_a_remote_whose_name_has_a_slash_is_refused(project: Project) -> None:
    """Which part of refs/remotes/team/up/main is the branch could be mistaken, and another branch's rules taken."""
    dave = Person(project.folder, "dave")
    dave.at = dave.home / "work"
    dave.git("clone", "--quiet", "-o", "team/up", project.server, dave.at, cwd=dave.home)
    assert "hint: git remote rename" in dave.auths("setup", "--yes", code=128).stderr
    assert pinned(dave) == ""


def test_a_mainline_is_a_full_ref_and_another_one_is_not_pinned_in_passing(carol: Person) -> None:
    assert "full ref name" in carol.auths("setup", "--yes", "--mainline", "main", code=129).stderr
    carol.auths("setup", "--yes")
    done = carol.auths("setup", "--yes", "--mainline", "refs/remotes/origin/other", code=1)
    assert "hint: git auths root pin --mainline refs/remotes/origin/other" in done.stderr
