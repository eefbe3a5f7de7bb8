"""store.ancestry: behind a commit, or on its first-parent chain"""

from __future__ import annotations

from pathlib import Path

import pytest

from git_auths.store import ancestry
from git_auths.store.repository import Repository
from tests.realgit import run


class Graph:
    """Commits by name; a date may be given, because git walks by dates."""

    def __init__(self, path: Path) -> None:
        self.path = path
        run("git", "init", "--quiet", path)
        self.tree = self.git("mktree", stdin=b"")
        self.ids: dict[str, str] = {}

    def git(self, *args: str, stdin: bytes | None = None, env: dict[str, str] | None = None) -> str:
        return run("git", *args, cwd=self.path, stdin=stdin, env=env).stdout.decode().strip()

    def commit(self, name: str, *parents: str, date: int = 1_700_000_000) -> str:
        options = [word for parent in parents for word in ("-p", self.ids[parent])]
        dates = {"GIT_COMMITTER_DATE": f"{date} +0000", "GIT_AUTHOR_DATE": f"{date} +0000"}
        self.ids[name] = self.git("commit-tree", self.tree, *options, "-m", name, env=dates)
        return self.ids[name]

    @property
    def repository(self) -> Repository:
        return Repository(self.path)


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    """main: a - b - c - d, and foxtrot: a - x - y(x, c) - z."""
    graph = Graph(tmp_path / "graph")
    for name, *parents in (("a",), ("b", "a"), ("c", "b"), ("d", "c"), ("x", "a"), ("y", "x", "c"), ("z", "y")):
        graph.commit(name, *parents)
    return graph


@pytest.mark.parametrize(("tip", "old", "contained", "on_chain", "foxtrot"), [
    ("d", "d", True, True, None),
    ("d", "a", True, True, None),
    ("d", "c", True, True, None),
    ("a", "d", False, False, None),
    ("x", "b", False, False, None),
    ("z", "c", True, False, "y"),
    ("y", "b", True, False, "y"),
    ("z", "x", True, True, None),
    ("z", "a", True, True, None),
])  # fmt: skip
def test_contained_is_not_yet_on_the_chain(
    graph: Graph, tip: str, old: str, contained: bool, on_chain: bool, foxtrot: str | None
) -> None:
    asked = (graph.repository, graph.ids[tip], graph.ids[old])
    assert ancestry.contains(*asked) is contained
    assert ancestry.is_on_chain(*asked) is on_chain
    assert ancestry.foxtrot(*asked) == (foxtrot and graph.ids[foxtrot])


def test_what_is_not_here_is_on_no_chain(graph: Graph) -> None:
    absent = "1" * 40
    assert not ancestry.contains(graph.repository, graph.ids["d"], absent)
    assert not ancestry.is_on_chain(graph.repository, graph.ids["d"], absent)
    assert ancestry.foxtrot(graph.repository, graph.ids["d"], absent) is None


def test_lying_dates_do_not_bend_the_chain(tmp_path: Path) -> None:
    """rev-list stops by dates where it can: a child dated before its parents, and an old base dated ahead."""
    graph = Graph(tmp_path / "graph")
    graph.commit("a", date=2_000_000_000)
    for number, (name, *parents) in enumerate((("b", "a"), ("c", "b"), ("d", "c"), ("x", "a"), ("y", "x", "c"))):
        graph.commit(name, *parents, date=1_700_000_000 - number * 1_000_000)
    for old in "abcd":
        assert ancestry.is_on_chain(graph.repository, graph.ids["d"], graph.ids[old])
    for old in "bc":
        assert not ancestry.is_on_chain(graph.repository, graph.ids["y"], graph.ids[old])
        assert ancestry.foxtrot(graph.repository, graph.ids["y"], graph.ids[old]) == graph.ids["y"]


def test_a_replaced_commit_does_not_bend_the_chain(graph: Graph) -> None:
    graph.git("replace", graph.ids["z"], graph.ids["d"])
    assert not ancestry.is_on_chain(graph.repository, graph.ids["z"], graph.ids["c"])


def test_missing_lists_what_a_rewind_loses(graph: Graph) -> None:
    ids = graph.ids
    assert ancestry.missing(graph.repository, ids["b"], ids["d"]) == [ids["d"], ids["c"]]
