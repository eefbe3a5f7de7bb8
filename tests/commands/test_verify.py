"""git auths verify"""

from __future__ import annotations

import json

import pytest

from tests.people import Person, Project


def test_good_history(ada: Person) -> None:
    root, tip = ada.head(), ada.commit()
    assert ada.ask("verify") == {
        "version": 1, "ok": True, "root": root, "mainline": tip, "checked": 2, "cached": 0, "objects": [],
    }  # fmt: skip
    assert f"2 commits judged against refs/heads/main {tip}: all good" in ada.auths("verify").stderr


def test_verbose_lists_what_is_good_as_well(ada: Person) -> None:
    tip = ada.commit()
    last = ada.ask("verify", "--verbose")["objects"][-1]
    assert last == {"type": "commit", "id": tip, "verdict": "good", "signer": ada.did(), "principal": ada.did(),
                    "rule": None, "reason": ""}  # fmt: skip


def test_only_the_first_bad_commit_of_a_line_is_listed(ada: Person) -> None:
    ada.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "unsigned")
    bad = ada.head()
    ada.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "unsigned again")
    ada.commit()
    assert [(o["id"], o["verdict"]) for o in ada.ask("verify")["objects"]] == [(bad, "unsigned")]
    assert len(ada.ask("verify", "--verbose")["objects"]) == 4


def test_a_range_is_judged_with_what_is_behind_it(ada: Person) -> None:
    ada.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "unsigned")
    bad = ada.head()
    ada.commit()
    assert [o["id"] for o in ada.ask("verify", "HEAD~1..HEAD")["objects"]] == [bad]


def test_porcelain_gives_fields_by_tabs(ada: Person) -> None:
    ada.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "unsigned")
    done = ada.auths("verify", "--porcelain", code=1)
    assert done.stdout == f"unsigned\t{ada.head()}\t-\t-\tit carries no signature\n"
    assert ada.auths("verify", "--porcelain", "-z", code=1).stdout.endswith("signature\0")
    ada.auths("verify", "-z", code=129)


def test_all_judges_every_branch(ada: Person) -> None:
    ada.git("switch", "--quiet", "--create", "other")
    ada.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "unsigned")
    ada.git("switch", "--quiet", "main")
    assert ada.ask("verify")["ok"]
    assert not ada.ask("verify", "--all")["ok"]


def test_without_a_pin_nothing_is_good(project: Project) -> None:
    carol = Person(project.folder, "carol")
    carol.at = carol.home / "work"
    carol.git("clone", "--quiet", project.server, carol.at, cwd=carol.home)
    done = carol.auths("verify", code=1)
    assert done.stderr.startswith("error: no trust root is pinned in this repository (unpinned-root)\nhint: git auths setup")
    answer = json.loads(carol.auths("verify", "--json", code=1).stdout)
    assert (answer["ok"], answer["root"], answer["objects"][0]["verdict"]) == (False, None, "unpinned-root")


def test_a_shallow_clone_is_incomplete(project: Project) -> None:
    project.ada.commit()
    project.ada.commit()
    project.ada.git("push", "--quiet")
    carol = Person(project.folder, "carol")
    carol.at = carol.home / "work"
    carol.git("clone", "--quiet", "--depth", "2", f"file://{project.server}", carol.at, cwd=carol.home)
    carol.auths("root", "pin", "--mainline", "refs/remotes/origin/main", project.ada.git("rev-parse", "HEAD~1").stdout.strip())
    assert carol.ask("verify")["ok"], "nothing between this root and the tip is missing"
    carol.git("config", "auths.root", project.root)
    assert [o["verdict"] for o in carol.ask("verify")["objects"]] == ["incomplete"], "the root itself is not here"
    carol.git("-C", project.server, "config", "uploadpack.allowAnySHA1InWant", "true")
    carol.git("fetch", "--quiet", "--depth", "1", f"file://{project.server}", project.root)
    assert [o["verdict"] for o in carol.ask("verify")["objects"]] == ["incomplete"], "there is a gap before the tip"


@pytest.mark.parametrize(("revision", "code"), [("no-such-branch", 128), ("HEAD:file", 128), ("--upload-pack=evil", 129)])
def test_a_revision_that_is_none_is_named(ada: Person, revision: str, code: int) -> None:
    ada.commit()
    assert revision.lstrip("-") in ada.auths("verify", revision, code=code).stderr


def test_a_merge_of_two_branches_is_good(project: Project) -> None:
    project.with_bob("commit")
    project.bob.git("switch", "--quiet", "--create", "feature")
    project.bob.commit("bob.txt")
    project.ada.commit("ada.txt")
    project.ada.git("fetch", "--quiet", project.bob.at, "feature:feature")
    project.ada.git("merge", "--quiet", "--no-edit", "--no-ff", "feature")
    assert project.ada.ask("verify") | {"mainline": ""} == {
        "version": 1, "ok": True, "root": project.root, "mainline": "", "checked": 5, "cached": 0, "objects": [],
    }  # fmt: skip


def test_a_sha256_repository_is_judged_as_well(newcomer: Person) -> None:
    newcomer.at = newcomer.home / "work"
    newcomer.git("init", "--quiet", "--object-format=sha256", newcomer.at, cwd=newcomer.home)
    newcomer.auths("init", "--no-passphrase")
    assert len(newcomer.auths("policy", "init").stdout.strip()) == 64
    newcomer.commit()
    assert newcomer.ask("verify")["checked"] == 2
    newcomer.git("tag", "-s", "-m", "v1", "v1")
    assert newcomer.ask("verify-tag", "v1")["ok"]


def test_a_linked_worktree_has_the_same_pins(ada: Person) -> None:
    tree = ada.home / "tree"
    ada.git("worktree", "add", "--quiet", "-b", "other", tree)
    ada.at = tree
    ada.commit()
    assert ada.ask("verify", "HEAD")["checked"] == 2


def test_what_is_older_than_the_root_is_outside_of_it(newcomer: Person) -> None:
    """git lists no commit for it, and no commit must not look like no bad commit."""
    newcomer.at = newcomer.home / "work"
    newcomer.git("init", "--quiet", newcomer.at, cwd=newcomer.home)
    newcomer.git("commit", "--quiet", "--allow-empty", "-m", "before")
    old = newcomer.head()
    newcomer.auths("init", "--no-passphrase")
    newcomer.auths("policy", "init")
    for command in ("verify", "verify-commit"):
        assert [(o["id"], o["verdict"]) for o in newcomer.ask(command, old)["objects"]] == [(old, "outside-root")]
    newcomer.git("tag", "-s", "-m", "x", "v0", old)
    assert [o["verdict"] for o in newcomer.ask("verify-tag", "v0")["objects"]] == ["outside-root"]


def test_verbose_with_a_range_lists_the_range(ada: Person) -> None:
    tip = ada.commit()
    assert [o["id"] for o in ada.ask("verify", "--verbose", "HEAD~1..HEAD")["objects"]] == [tip]
    assert "nonsense" in ada.auths("verify", "--verbose", "nonsense..HEAD", code=128).stderr


def test_people_are_told_the_next_command_and_programs_are_not(project: Project) -> None:
    ada = project.ada
    ada.git("switch", "--quiet", "--create", "topic")
    ada.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "unsigned")
    bad = ada.head()
    assert ada.auths("verify", code=1).stderr.endswith(f"\nhint: git auths explain {bad}\n")
    hint = f"\nhint: git auths explain --ref refs/heads/topic {bad}\n"
    assert ada.auths("verify", "topic", code=1).stderr.endswith(hint)
    for form in ("--json", "--porcelain"):
        assert ada.auths("verify", form, code=1).stderr == ""
