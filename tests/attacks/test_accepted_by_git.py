"""What stock git lets through (rows 27, 38, 40, 41), made anew and as kept: each gets its verdict all the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.attacks import accepted_by_git
from tests.attacks.accepted_by_git import BUILDERS, FOLDER, Case
from tests.attacks.forge import Repo, World, git_says_good, refused

KEPT = json.loads((FOLDER / "cases.json").read_text())


def check(repo: Repo, case: Case) -> None:
    git_says_good(repo, *case.git)
    refused(repo.auths(*case.ask), (case.object, case.verdict))


@pytest.mark.parametrize("name", BUILDERS)
def test_git_accepts_it_and_we_do_not(world: World, name: str) -> None:
    """Rows 27 (the object v1.0 as the ref v2.0), 38 (refs/replace), 40 (headers twice), 41 (beside the signature)."""
    check(world.repo, BUILDERS[name](world))


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """One repository with all the objects that are kept."""
    repo = Repo.init(tmp_path_factory.mktemp("kept") / "repo")
    for file in FOLDER.iterdir():
        kind, dash, id = file.name.partition("-")
        if dash:
            assert repo.raw(kind, file.read_bytes()) == id
    return repo


@pytest.mark.parametrize("name", KEPT)
def test_what_was_kept_is_refused_as_well(kept: Repo, tmp_path: Path, name: str) -> None:
    """Rows 27, 38, 40, 41, from the raw objects in tests/data/accepted_by_git."""
    case = KEPT[name]
    repo = kept.copy(tmp_path / "repo")
    repo.pin(case["root"])
    for ref, id in case["refs"].items():
        repo.ref(ref, id)
    check(repo, Case(case["row"], tuple(case["git"]), tuple(case["ask"]), case["object"], case["verdict"]))


def test_every_attack_that_git_accepts_is_kept() -> None:
    """Otherwise: python -m tests.attacks.accepted_by_git."""
    assert KEPT.keys() == accepted_by_git.BUILDERS.keys()
