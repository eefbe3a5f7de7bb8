"""Repositories of every kind: the same answers, from the root and from what is remembered."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.attacks import forge
from tests.attacks.forge import Repo, World, accepted, refused
from tests.realgit import run


def pinned(repo: Repo, root: str, mainline: str) -> Repo:
    repo.git("config", "auths.root", root)
    repo.git("config", "auths.mainline", mainline)
    return repo


def cloned(world: World, folder: Path, *options: str | Path) -> Repo:
    run("git", "clone", "--quiet", *options, f"file://{world.repo.path}", folder)
    return pinned(Repo(folder), world.root, "refs/remotes/origin/main")


def bare(world: World, folder: Path) -> Repo:
    run("git", "clone", "--quiet", "--bare", world.repo.path, folder)
    return pinned(Repo(folder), world.root, "refs/heads/main")


def worktree(world: World, folder: Path) -> Repo:
    world.repo.git("worktree", "add", "--quiet", "--detach", folder, "main")
    return Repo(folder)


def worktree_of_bare(world: World, folder: Path) -> Repo:
    bare(world, folder.with_name("hub.git")).git("worktree", "add", "--quiet", folder, "main")
    return Repo(folder)


def submodule(world: World, folder: Path) -> Repo:
    run("git", "init", "--quiet", folder)
    run("git", "submodule", "--quiet", "add", world.repo.path, "library", cwd=folder)
    return pinned(Repo(folder / "library"), world.root, "refs/remotes/origin/main")


def alternates(world: World, folder: Path) -> Repo:
    run("git", "clone", "--quiet", "--shared", world.repo.path, folder)
    return pinned(Repo(folder), world.root, "refs/remotes/origin/main")


def separate(world: World, folder: Path) -> Repo:
    return cloned(world, folder, "--separate-git-dir", folder.with_name("elsewhere"))


def packed(world: World, folder: Path) -> Repo:
    repo = cloned(world, folder)
    repo.git("-c", "gc.writeCommitGraph=true", "gc", "--quiet", "--prune=now")
    repo.git("pack-refs", "--all")
    return repo


def inside_its_git_directory(world: World, folder: Path) -> Repo:
    return Repo(cloned(world, folder).path / ".git" / "refs")


def whole_partial(world: World, folder: Path) -> Repo:
    world.repo.git("config", "uploadpack.allowFilter", "true")
    repo = cloned(world, folder, "--filter=blob:limit=1m")
    assert repo.git("config", "remote.origin.promisor") == "true"
    return repo


KINDS = (bare, worktree, worktree_of_bare, submodule, alternates, separate, packed, inside_its_git_directory,
         whole_partial)  # fmt: skip


def judged_alike(repo: Repo, good: str, bad: str) -> None:
    """The good commit is good, and an earlier run's answer is used; the bad one is named on top of that."""
    accepted(repo.verify(good))
    answer = repo.auths("verify", "--json", good)
    accepted(answer)
    assert answer.document["cached"] == answer.document["checked"] - 1 > 0
    refused(repo.verify(bad), (bad, "unsigned"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_repository_is_judged(world: World, tmp_path: Path, kind: Callable[[World, Path], Repo]) -> None:
    bad = world.work([world.tip], None)
    world.repo.ref("refs/heads/evil", bad)
    judged_alike(kind(world, tmp_path / "repository"), world.tip, bad)


def test_a_sha256_repository_is_remembered_as_well(tmp_path: Path) -> None:
    """Row 45; a release in it, too, and a clone of it."""
    world = forge.found(tmp_path / "sha256", "--object-format=sha256")
    bad = world.work([world.tip], None)
    world.repo.ref("refs/heads/evil", bad)
    judged_alike(world.repo, world.tip, bad)
    judged_alike(bare(world, tmp_path / "bare.git"), world.tip, bad)
    tag = world.repo.tag("v1.0", world.tip, world.alice)
    statement = forge.approval(world.bob, world.root, tag, "tag", "v1.0", world.tip)
    world.repo.notes({tag: [forge.envelope(world.bob, statement)]})
    assert world.repo.verify_tag("v1.0").verdicts == {tag: "good"}


def remembered_files() -> list[Path]:
    return sorted((Path.home() / ".cache" / "git-auths").glob("*"))


def test_a_shallow_clone_remembers_nothing_until_it_is_whole(world: World, tmp_path: Path) -> None:
    """Row 39: nor does one that was whole, and has been cut, go by what it remembers of that time."""
    newest = world.advance(world.work([world.tip], world.bob))
    files = remembered_files()
    repo = cloned(world, tmp_path / "shallow", "--depth=1")
    for _ in range(2):
        answer = repo.verify(newest)
        assert (answer.code, set(answer.verdicts.values())) == (1, {"incomplete"})
        assert "--unshallow" in answer.stderr
    assert remembered_files() == files
    repo.git("fetch", "--quiet", "--unshallow")
    accepted(repo.verify(newest))
    accepted(repo.verify(newest))
    repo.git("fetch", "--quiet", "--depth=1")
    assert repo.git("cat-file", "-t", world.root) == "commit"  # the objects are here, but git passes them over
    answer = repo.verify(newest)
    assert (answer.code, set(answer.verdicts.values())) == (1, {"incomplete"})


@pytest.mark.parametrize("kept", ["tree:0", "blob:none"])
def test_a_partial_clone_is_incomplete_and_fetches_nothing(world: World, tmp_path: Path, kept: str) -> None:
    """Row 39: trees, or the policy itself, are not here; no verdict comes over the network."""
    world.repo.git("config", "uploadpack.allowFilter", "true")
    repo = cloned(world, tmp_path / "partial", f"--filter={kept}", "--no-checkout")
    before = repo.git("count-objects", "-v")
    for _ in range(2):
        answer = repo.verify("HEAD")
        assert (answer.code, set(answer.verdicts.values())) == (1, {"incomplete"})
    assert repo.git("count-objects", "-v") == before
    bad = world.advance(world.work([world.tip], None))
    repo.git("fetch", "--quiet")
    assert set(repo.verify(bad).verdicts.values()) <= {"incomplete", "unsigned"}
    assert repo.verify(bad).code == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_repository_of_another_user_is_explained(world: World) -> None:
    """git refuses it (safe.directory), and so do we: with the command that says one trusts its owner."""
    for folder, _, files in os.walk(world.repo.path):
        for name in [".", *files]:
            os.chown(os.path.join(folder, name), 12345, 12345)
    answer = world.repo.auths("verify", "main")
    assert answer.code == 128
    assert answer.stderr.startswith("error: ")
    assert "safe.directory" in answer.stderr
    run("git", "config", "--global", "safe.directory", world.repo.path)
    accepted(world.repo.verify("main"))
