"""git auths policy init"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.people import Person, Project


@pytest.fixture
def carol(newcomer: Person) -> Person:
    """With an identity and an empty repository."""
    newcomer.at = newcomer.home / "work"
    newcomer.git("init", "--quiet", newcomer.at, cwd=newcomer.home)
    newcomer.auths("init", "--no-passphrase")
    return newcomer


def test_it_commits_signs_and_pins_the_root(carol: Person) -> None:
    root = carol.auths("policy", "init").stdout.strip()
    assert root == carol.head()
    assert carol.auths("root", "show").stdout == f"root {root}\nmainline refs/heads/main\n"
    aid = carol.did().removeprefix("did:keri:")
    assert carol.git("ls-tree", "-r", "--name-only", "HEAD").stdout.splitlines() == [
        ".auths/.gitattributes", ".auths/allowed_signers", f".auths/kels/{aid}.cesr", ".auths/policy.toml",
    ]  # fmt: skip
    assert carol.git("log", "-1", "--format=%G?").stdout.strip() == "G"
    assert carol.ask("verify")["ok"]


def test_stock_git_says_good_signature(carol: Person) -> None:
    carol.auths("policy", "init")
    done = carol.git("-c", "gpg.ssh.program=ssh-keygen", "-c", "gpg.ssh.allowedSignersFile=.auths/allowed_signers",
                     "verify-commit", "HEAD")  # fmt: skip
    assert done.stderr.startswith('Good "git" signature for newcomer@example.com with ED25519 key SHA256:')


def test_what_else_is_staged_stays_out_of_the_commit(carol: Person) -> None:
    (carol.at / "other").write_text("x")
    carol.git("add", "other")
    carol.auths("policy", "init")
    assert "other" not in carol.git("ls-tree", "-r", "--name-only", "HEAD").stdout
    assert carol.git("diff", "--cached", "--name-only").stdout == "other\n"


def test_no_commit_leaves_that_to_the_person_and_setup_pins_it(carol: Person) -> None:
    carol.auths("policy", "init", "--no-commit")
    assert carol.git("rev-parse", "--verify", "--quiet", "HEAD", code=None).returncode
    carol.git("commit", "--quiet", "-m", "A policy")
    carol.auths("setup", "--yes")
    assert carol.ask("verify")["root"] == carol.head()


def test_git_converts_nothing_below_auths_whatever_the_attributes_above_say(carol: Person, tmp_path: Path) -> None:
    carol.git("config", "filter.spoil.clean", "tr a-z A-Z")
    carol.git("config", "filter.spoil.smudge", "tr a-z A-Z")
    (carol.at / ".gitattributes").write_text("* text eol=crlf filter=spoil ident working-tree-encoding=UTF-16\n")
    carol.auths("policy", "init")
    assert carol.ask("verify")["ok"]
    for path in ("policy.toml", "kels/x.cesr", "grants/x.json", "allowed_signers", "adopted", "received"):
        listed = carol.git("check-attr", "-z", "--all", "--", f".auths/{path}").stdout.split("\0")
        found = dict(zip(listed[1::3], listed[2::3], strict=False))
        merge = {"kels/x.cesr": "auths-kel", "adopted": "union", "received": "union"}.get(path)
        assert (found.get("text"), found.get("filter"), found.get("ident")) == ("unset",) * 3
        assert "working-tree-encoding" not in found
        assert found.get("merge") == merge
    carol.git("rm", "--quiet", "-r", "--cached", ".auths")
    carol.git("add", ".auths")
    assert carol.git("diff", "--cached", "--name-only").stdout == ""
    assert carol.git("clone", "--quiet", "-c", "filter.spoil.smudge=tr a-z A-Z", carol.at, tmp_path / "clone").args
    for file in (carol.at / ".auths").rglob("*"):
        if file.is_file():
            assert (tmp_path / "clone" / file.relative_to(carol.at)).read_bytes() == file.read_bytes()


def test_a_second_policy_is_refused(carol: Person) -> None:
    carol.auths("policy", "init")
    assert "hint: git auths policy show" in carol.auths("policy", "init", code=128).stderr


def test_a_detached_head_is_refused_before_anything_is_written(carol: Person) -> None:
    carol.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "x")
    carol.git("checkout", "--quiet", "--detach")
    assert "HEAD is detached" in carol.auths("policy", "init", code=128).stderr
    assert not (carol.at / ".auths").exists()


def test_a_bare_repository_is_refused(newcomer: Person) -> None:
    newcomer.at = newcomer.home / "bare.git"
    newcomer.git("init", "--quiet", "--bare", newcomer.at, cwd=newcomer.home)
    newcomer.auths("init", "--no-passphrase")
    assert "bare repository" in newcomer.auths("policy", "init", code=128).stderr


def test_without_an_identity_it_says_how_to_make_one(newcomer: Person) -> None:
    newcomer.git("init", "--quiet", newcomer.at)
    assert "hint: git auths init" in newcomer.auths("policy", "init", code=128).stderr
    assert not (newcomer.at / ".auths").exists()


def test_on_a_branch_that_is_not_the_mainline_nothing_is_pinned(carol: Person, tmp_path: object) -> None:
    server = carol.home / "server.git"
    carol.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "x")
    carol.git("clone", "--quiet", "--bare", carol.at, server)
    carol.git("remote", "add", "origin", server)
    carol.git("fetch", "--quiet", "origin")
    carol.git("remote", "set-head", "origin", "main")
    carol.git("switch", "--quiet", "--create", "policy")
    done = carol.auths("policy", "init")
    assert "run 'git auths setup' once this has landed there" in done.stderr
    assert carol.auths("root", "show", code=1).stdout == ""


def test_a_signing_failure_leaves_the_files_staged_and_nothing_pinned(carol: Person) -> None:
    (carol.home / "auths/identities/main/current").chmod(0o644)
    carol.auths("policy", "init", code=128)
    assert carol.auths("root", "show", code=1).stdout == ""


def test_the_project_fixture_is_a_whole(project: Project) -> None:
    assert project.bob.ask("verify")["root"] == project.root
