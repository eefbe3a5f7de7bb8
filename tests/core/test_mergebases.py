"""Merge bases agree with git's own, and with the definition."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from git_auths.core.mergebases import best_common_ancestors
from tests.realgit import run

Parents = dict[str, tuple[str, ...]]


def ancestors(parents: Parents, commit: str) -> set[str]:
    return {commit}.union(*(ancestors(parents, parent) for parent in parents[commit]))


def by_definition(parents: Parents, commits: list[str]) -> set[str]:
    common = set.intersection(*(ancestors(parents, commit) for commit in commits))
    return {one for one in common if not any(one != other and one in ancestors(parents, other) for other in common)}


def found(parents: Parents, commits: list[str]) -> list[str]:
    position = {commit: index for index, commit in enumerate(parents)}
    return best_common_ancestors(parents.__getitem__, position.__getitem__, commits)


@st.composite
def histories(draw: st.DrawFn) -> Parents:
    parents: Parents = {}
    for number in range(draw(st.integers(1, 12))):
        chosen = draw(st.lists(st.sampled_from(list(parents)), max_size=3, unique=True)) if parents else []
        parents[f"{number:02}"] = tuple(chosen)
    return parents


@given(histories(), st.data())
def test_they_are_the_common_ancestors_that_no_other_descends_from(parents: Parents, data: st.DataObject) -> None:
    commits = data.draw(st.lists(st.sampled_from(list(parents)), min_size=1, max_size=4))
    bases = found(parents, commits)
    assert set(bases) == by_definition(parents, commits)
    assert bases == sorted(set(bases), reverse=True)


def test_git_finds_the_same(tmp_path) -> None:
    run("git", "init", "-q", tmp_path)
    tree = run("git", "write-tree", cwd=tmp_path).stdout.decode().strip()
    pick = random.Random(7)
    parents: Parents = {}
    for number in range(40):
        chosen = pick.sample(list(parents)[-6:], min(len(parents), pick.choice((1, 1, 2, 2, 3))))
        options = [word for parent in chosen for word in ("-p", parent)]
        made = run("git", "commit-tree", tree, "-m", str(number), *options, cwd=tmp_path)
        parents[made.stdout.decode().strip()] = tuple(chosen)
    for size in (2, 2, 2, 2, 2, 3, 3, 3, 4, 4):
        commits = pick.sample(list(parents)[20:], size)
        said = run("git", "merge-base", "--octopus", "--all", *commits, cwd=tmp_path, code=None).stdout
        assert sorted(found(parents, commits)) == sorted(said.decode().split())


def test_a_criss_cross_has_two() -> None:
    assert found({"root": (), "a": ("root",), "b": ("root",), "x": ("a", "b"), "y": ("b", "a")}, ["x", "y"]) == [
        "b",
        "a",
    ]


def test_one_commit_is_its_own_base_and_none_has_none() -> None:
    parents: Parents = {"a": (), "b": ()}
    assert found(parents, ["a"]) == ["a"]
    assert found(parents, ["a", "a"]) == ["a"]
    assert found(parents, []) == []
    assert found(parents, ["a", "b"]) == []


def test_a_commit_that_is_not_known_is_a_boundary_and_a_base_all_the_same() -> None:
    assert found({"a": ("lost",), "b": ("lost", "gone"), "c": ("b",)}, ["a", "c"]) == ["lost"]


def test_no_commit_behind_the_bases_is_looked_at() -> None:
    parents = {str(number): (str(number - 1),) if number else () for number in range(1000)}
    parents |= {"x": ("990",), "y": ("995",)}
    asked: list[str] = []

    def parents_of(commit: str) -> tuple[str, ...]:
        asked.append(commit)
        return parents[commit]

    position = {commit: index for index, commit in enumerate(parents)}
    assert best_common_ancestors(parents_of, position.__getitem__, ["x", "y"]) == ["990"]
    assert len(asked) == 8
