"""Which paths a commit changes, on trees made of values and on git's own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_auths.core import paths
from git_auths.core.gitobject import DIRECTORY, EXECUTABLE, FILE, SUBMODULE, SYMLINK, Entry, parse_tree
from git_auths.core.paths import TooManyPaths, changed_path
from git_auths.core.scope import path_matches
from tests.realgit import run

Leaves = dict[bytes, tuple[bytes, str]]  # path -> mode, id


class Trees:
    """A store of trees, each under an id that its content gives it."""

    def __init__(self) -> None:
        self.stored: dict[str, Mapping[bytes, Entry]] = {}
        self.read: list[str] = []

    def add(self, entries: Mapping[bytes, Entry]) -> str:
        id = hashlib.sha1(repr(sorted(entries.items())).encode(), usedforsecurity=False).hexdigest()
        self.stored[id] = entries
        return id

    def of(self, leaves: Leaves) -> str:
        entries: dict[bytes, Entry] = {}
        below: dict[bytes, Leaves] = {}
        for path, (mode, id) in leaves.items():
            name, slash, rest = path.partition(b"/")
            if slash:
                below.setdefault(name, {})[rest] = (mode, id)
            else:
                entries[name] = Entry(mode, name, id)
        for name, content in below.items():
            entries[name] = Entry(DIRECTORY, name, self.of(content))
        return self.add(entries)

    def entries(self, tree: str) -> Mapping[bytes, Entry]:
        self.read.append(tree)
        return self.stored[tree]


def by_definition(own: Leaves, parents: Sequence[Leaves], bases: Sequence[Leaves],
                  patterns: Sequence[str] | None) -> bytes | None:  # fmt: skip
    def changes(path: bytes) -> bool:
        mine, theirs = own.get(path), [parent.get(path) for parent in parents]
        if len(theirs) < 2:
            return [mine] != (theirs or [None])
        if all(entry == mine for entry in theirs):
            return False
        before = {base.get(path) for base in bases}
        return len(before) != 1 or {entry for entry in theirs if entry not in before} != {mine}

    everywhere = set(own).union(*parents, *bases)
    return min((p for p in everywhere if path_matches(patterns, p) and changes(p)), default=None)


def look(own: Leaves, parents: Sequence[Leaves], bases: Sequence[Leaves] = (),
         patterns: Sequence[str] | None = None) -> bytes | None:  # fmt: skip
    trees = Trees()
    base_trees = [trees.of(base) for base in bases]
    return changed_path(
        trees.of(own), [trees.of(parent) for parent in parents], lambda: base_trees, patterns, trees.entries
    )


NAMES = st.sampled_from([b"a", b"a-", b"a0", b"B", b"b", "é".encode(), "É".encode(), b"\xff\n"])
ENTRIES = st.tuples(
    st.sampled_from([FILE, FILE, EXECUTABLE, SYMLINK, SUBMODULE]), st.sampled_from(["1" * 40, "2" * 40])
)
PATTERNS = st.sampled_from(
    ["a", "b", "/a", "a/b", "A/**", "a/**", "a/b/**", "**/b", "*/b", "é/", "/é", "é/a", "a/?", "[ab]/a", "a-", "a/b/a"]
)


@st.composite
def leaves(draw: st.DrawFn) -> Leaves:
    made: Leaves = {}
    for names, entry in draw(st.lists(st.tuples(st.lists(NAMES, min_size=1, max_size=4), ENTRIES), max_size=6)):
        path = b"/".join(names)
        if not any(path.startswith(other + b"/") or other.startswith(path + b"/") for other in made):
            made[path] = entry
    return made


@st.composite
def families(draw: st.DrawFn) -> tuple[Leaves, list[Leaves], list[Leaves]]:
    """A commit, its parents and their bases, most of whose paths come from two trees."""
    two = (draw(leaves()), draw(leaves()))

    def member() -> Leaves:
        kind = draw(st.integers(0, 4))
        if kind < 4:
            return two[kind & 1]
        mixed = dict(two[0])
        for path, entry in draw(leaves()).items():
            if not any(path.startswith(other + b"/") or other.startswith(path + b"/") for other in mixed):
                mixed[path] = entry
        return mixed

    parents = [member() for _ in range(draw(st.integers(0, 3)))]
    return member(), parents, [member() for _ in range(draw(st.integers(0, 2)))]


@given(families(), st.none() | st.lists(PATTERNS, min_size=1, max_size=3))
def test_the_first_changed_path_is_that_of_the_definition(
    family: tuple[Leaves, list[Leaves], list[Leaves]], patterns: list[str] | None
) -> None:
    own, parents, bases = family
    assert look(own, parents, bases, patterns) == by_definition(own, parents, bases, patterns)


ONE, TWO, THREE = (FILE, "1" * 40), (FILE, "2" * 40), (FILE, "3" * 40)


@pytest.mark.parametrize(
    ("own", "parents", "bases", "changed"),
    [
        pytest.param({b"p": ONE}, [{b"p": ONE}], [], None, id="nothing"),
        pytest.param({b"p": ONE}, [{b"p": TWO}], [], b"p", id="edited"),
        pytest.param({b"p": (EXECUTABLE, "1" * 40)}, [{b"p": ONE}], [], b"p", id="made executable"),
        pytest.param({}, [{b"p": ONE}], [], b"p", id="deleted"),
        pytest.param({b"p": ONE}, [], [], b"p", id="in a commit without parents"),
        pytest.param({b"p": ONE}, [{b"p": ONE}, {b"p": ONE}], [{b"p": TWO}], None, id="all parents agree"),
        pytest.param({b"p": TWO}, [{b"p": TWO}, {b"p": ONE}], [{b"p": ONE}], None, id="one side's change"),
        pytest.param({b"p": TWO}, [{b"p": ONE}, {b"p": TWO}], [{b"p": ONE}], None, id="the other side's change"),
        pytest.param({b"p": TWO}, [{b"p": TWO}, {b"p": TWO}, {b"p": ONE}], [{b"p": ONE}], None, id="two sides' change"),
        pytest.param({}, [{}, {b"p": ONE}], [{b"p": ONE}], None, id="one side's deletion"),
        pytest.param({b"p": ONE}, [{b"p": TWO}, {b"p": ONE}], [{b"p": ONE}], b"p", id="the stale parent's version"),
        pytest.param({b"p": ONE}, [{}, {b"p": ONE}], [{b"p": ONE}], b"p", id="a deletion undone"),
        pytest.param({b"p": TWO}, [{b"p": TWO}, {b"p": THREE}], [{b"p": ONE}], b"p", id="a conflict decided"),
        pytest.param({b"p": THREE}, [{b"p": TWO}, {b"p": ONE}], [{b"p": ONE}], b"p", id="neither parent's"),
        pytest.param({b"p": TWO}, [{b"p": TWO}, {b"p": ONE}], [], b"p", id="no merge base"),
        pytest.param({b"p": TWO}, [{b"p": TWO}, {b"p": ONE}], [{b"p": ONE}, {}], b"p", id="merge bases disagree"),
        pytest.param({b"p": TWO}, [{b"p": TWO}, {b"p": ONE}], [{b"p": ONE}, {b"p": ONE}], None, id="merge bases agree"),
        pytest.param({b"p/q": ONE}, [{b"p": ONE}, {b"p/q": ONE}], [{b"p": ONE}], None, id="a side made it a folder"),
        pytest.param({b"p/q": ONE}, [{b"p": ONE}], [], b"p", id="a file became a folder"),
        pytest.param({b"p": ONE}, [{b"p/q": ONE}], [], b"p", id="a folder became a file"),
    ],
)
def test_rule_6(own: Leaves, parents: list[Leaves], bases: list[Leaves], changed: bytes | None) -> None:
    assert look(own, parents, bases) == changed


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("src/crypto/**", b"SRC/Crypto/x"),
        ("SRC/crypto/**", b"src/CRYPTO/x"),
        ("vendor/crypto/**", b"vendor/crypto"),
        ("Straße/x", b"STRASSE/x"),
        ("key", b"deep/down/key/x"),
        ("/\\[a]/x", b"[a]/x"),
        ("\\s\\rc/x", b"src/x"),
        ("[rs]rc/x", b"src/x"),
        ("s*/x", b"src/x"),
        ("s?c/x", b"src/x"),
        ("x/**", b'x/"quoted"\n\xff'),
    ],
)
def test_no_spelling_of_a_path_gets_round_a_pattern(pattern: str, path: bytes) -> None:
    assert look({path: (SUBMODULE, "1" * 40)}, [{b"a": ONE}], patterns=[pattern]) == path


def test_where_the_parents_agree_nobody_asks_for_merge_bases() -> None:
    trees = Trees()
    old, new = trees.of({b"p": ONE, b"q": ONE}), trees.of({b"p": ONE, b"q": TWO})

    def bases() -> Sequence[str]:
        raise AssertionError("asked")

    assert changed_path(new, [old, new], bases, ["p"], trees.entries) is None
    assert changed_path(new, [old], bases, None, trees.entries) == b"q"
    assert changed_path(new, [], bases, None, trees.entries) == b"p"


def test_only_folders_that_differ_and_that_a_pattern_may_name_something_in_are_read() -> None:
    trees = Trees()
    rest = {b"same/deep/x": ONE, b"other/x": ONE}
    old, new = trees.of({b"src/a/x": ONE, **rest}), trees.of({b"src/a/x": TWO, **rest, b"other/x": TWO})
    assert changed_path(new, [old], list, ["src/**/y"], trees.entries) is None
    assert len(trees.read) == 6  # the root, src and src/a, before and after


def test_a_merge_with_a_folder_from_one_side_does_not_read_all_of_it() -> None:
    trees = Trees()
    old = trees.of({b"d/%d/x" % number: ONE for number in range(50)})
    new = trees.of({b"d/%d/x" % number: TWO for number in range(50)})
    assert changed_path(new, [old, new], lambda: [old], None, trees.entries) is None
    assert len(trees.read) < 10


def bomb(trees: Trees, depth: int) -> str:
    tree = trees.add({b"x": Entry(FILE, b"x", "1" * 40)})
    for _ in range(depth):
        tree = trees.add({name: Entry(DIRECTORY, name, tree) for name in (b"%d" % number for number in range(10))})
    return tree


def test_a_tree_of_more_entries_than_the_bound_is_given_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "MAX_ENTRIES", 1000)
    trees = Trees()
    with pytest.raises(TooManyPaths):
        changed_path(bomb(trees, 4), [trees.of({})], list, ["**/y"], trees.entries)
    assert len(trees.read) < 1000


def test_a_path_that_no_system_can_check_out_is_given_up_on() -> None:
    with pytest.raises(TooManyPaths):
        look({b"d" * 1500 + b"/" + b"d" * 1500 + b"/" + b"d" * 1500: ONE}, [{}], patterns=["y"])


def test_the_trees_that_git_writes(tmp_path) -> None:
    def git(*words: str) -> bytes:
        return run("git", *words, cwd=tmp_path).stdout

    def tree_of(commit: str) -> str:
        return git("rev-parse", f"{commit}^{{tree}}").decode().strip()

    def entries(tree: str) -> Mapping[bytes, Entry]:
        return {entry.name: entry for entry in parse_tree(git("cat-file", "tree", tree), 40)}

    def changed(commit: str, *patterns: str) -> bytes | None:
        parents = git("rev-parse", f"{commit}^@").decode().split()
        return changed_path(
            tree_of(commit), [tree_of(parent) for parent in parents],
            lambda: [tree_of(base) for base in git("merge-base", "--octopus", "--all", *parents).decode().split()],
            patterns, entries,
        )  # fmt: skip

    def commit(path: str, text: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
        git("add", "-A")
        git("-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "-q", "-m", path)

    run("git", "init", "-q", "-b", "main", tmp_path)
    git("config", "user.name", "x")
    git("config", "user.email", "x@example.com")
    commit("src/crypto/aes.c", "1")
    commit("docs/a.md", "1")
    git("branch", "old")
    assert changed("main", "src/**") is None
    assert changed("main", "docs") == b"docs/a.md"
    assert changed("main~1", "SRC/Crypto/**") == b"src/crypto/aes.c"
    commit("src/crypto/aes.c", "2")
    git("checkout", "-q", "old")
    commit("docs/b.md", "1")
    git("checkout", "-q", "main")
    git("merge", "-q", "--no-edit", "old")
    assert changed("HEAD", "src/crypto/**", "docs") is None
    git("checkout", "-q", "old", "--", "src/crypto/aes.c")
    git("commit", "-q", "--amend", "--no-edit")
    assert changed("HEAD", "src/crypto/**") == b"src/crypto/aes.c"
