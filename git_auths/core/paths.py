"""Which path a commit changes. DESIGN section 7, rule 6.

A commit changes path p when its entry (mode or id) differs from its parent's. A merge changes p unless all parents
agree with its entry, or its entry is the one value among the parents that differs from the merge bases'. So a merge
that quietly takes a stale parent's version of a file changes it, and one that brings two branches together does not.
A path is a file's, a symbolic link's or a submodule's; a folder is not one itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from git_auths.core.gitobject import DIRECTORY, Entry
from git_auths.core.scope import _fold, path_matches, path_permitted

MAX_ENTRIES = 100_000  # looked at for one commit: ten levels of ten times the same folder are ten thousand million
MAX_PATH_BYTES = 4096  # PATH_MAX of Linux: nothing checks out a longer one

EntriesOf = Callable[[str], Mapping[bytes, Entry]]  # a tree's id -> what stands in it


class TooManyPaths(ValueError):
    """The trees are too large, or nested too deep, to look through."""


def changed_path(
    tree: str,
    parents: Sequence[str],
    bases: Callable[[], Sequence[str]],
    patterns: Sequence[str] | None,
    entries: EntriesOf,
) -> bytes | None:
    """The first path, in git's order, that a commit changes and that `patterns` name; None: there is none.

    `tree` and `parents` are the ids of the commit's and its parents' root trees; a commit without parents changes all
    that it holds. `bases` gives the root trees of the parents' best common ancestors, and is asked only where parents
    disagree; where there are none, or they disagree about a path, the path is changed. Raises TooManyPaths, and
    whatever `entries` and `bases` raise.
    """
    read = _bounded(entries)
    literals = _literal_folders(patterns)

    def is_named(path: bytes) -> bool:
        return path_matches(patterns, path)

    first = _first_change(tree, parents or [None], [], is_named, literals, read)
    if first is None or len(parents) < 2:
        return first
    return _first_change(tree, parents, bases(), is_named, literals, read)


def path_beyond(tree: str, parent: str, permitted: Sequence[str], entries: EntriesOf) -> bytes | None:
    """The first path that differs between two root trees and that `permitted` (a rule's `commit_paths`) do not permit;
    None: there is none. Raises TooManyPaths, and whatever `entries` raises."""
    return _first_change(tree, [parent], [], lambda path: not path_permitted(permitted, path), [b""], _bounded(entries))


def _first_change(
    tree: str,
    parents: Sequence[str | None],
    bases: Sequence[str],
    is_named: Callable[[bytes], bool],
    literals: Sequence[bytes],
    read: EntriesOf,
) -> bytes | None:
    """Walk all trees side by side, into those folders only that differ and that lie below or above `literals`."""
    count = 1 + len(parents)  # the columns that a change is seen in; the rest are bases
    todo = [(b"", b"", (tree, *parents, *bases))]  # folder, name in it (a folder's ends with `/`), tree id in each
    while todo:
        folder, name, trees = todo.pop()
        path = folder + name
        if len(path) > MAX_PATH_BYTES:
            raise TooManyPaths(f"a path is longer than {MAX_PATH_BYTES} bytes")
        if name and not name.endswith(b"/"):
            if is_named(path):
                return path
            continue
        if not _may_hold(literals, path):
            continue
        contents = {id: read(id) for id in dict.fromkeys(trees) if id is not None}
        listed = [contents[id] if id is not None else {} for id in trees]
        below: list[tuple[bytes, bytes, tuple[str | None, ...]]] = []
        for child in _differing(listed[:count]):
            values = [column.get(child) for column in listed]
            if _is_inherited(values, count):
                continue
            if not _is_inherited([None if _is_folder(value) else value for value in values], count):
                below.append((path, child, ()))
            if any(map(_is_folder, values[:count])):
                subtrees = tuple(value.id if value and _is_folder(value) else None for value in values)
                below.append((path, child + b"/", subtrees))
        below.sort(key=_name, reverse=True)
        todo += below
    return None


def _is_inherited(values: Sequence[Entry | None], count: int) -> bool:
    """Does a commit (`values[0]`) take its entry over from its parents (to `values[count]`), given that of the bases?

    What holds for a folder's entry holds for everything below it.
    """
    own, others, bases = values[0], values[1:count], values[count:]
    if all(other == own for other in others):
        return True
    if not bases or any(base != bases[0] for base in bases):
        return False
    return {other for other in others if other != bases[0]} == {own}


def _differing(listed: Sequence[Mapping[bytes, Entry]]) -> set[bytes]:
    """The names whose entries are not the same in the first and in each other."""
    own = listed[0]
    names: set[bytes] = set()
    for other in listed[1:]:
        if other is not own:
            names.update(name for name, entry in own.items() if other.get(name) != entry)
            names.update(other.keys() - own.keys())
    return names


def _is_folder(entry: Entry | None) -> bool:
    return entry is not None and entry.mode == DIRECTORY


def _name(item: tuple[bytes, bytes, tuple[str | None, ...]]) -> bytes:
    return item[1]


def _bounded(entries: EntriesOf) -> EntriesOf:
    left = MAX_ENTRIES

    def read(tree: str) -> Mapping[bytes, Entry]:
        nonlocal left
        found = entries(tree)
        left -= len(found) + 1
        if left < 0:
            raise TooManyPaths(f"more than {MAX_ENTRIES} entries are not as in a parent")
        return found

    return read


def _literal_folders(patterns: Sequence[str] | None) -> list[bytes]:
    """For each pattern the folder, case-folded, that holds all it can match; empty for the root."""
    return [b""] if patterns is None else [_literal_folder(pattern) for pattern in patterns]


def _literal_folder(pattern: str) -> bytes:
    literal = []
    for segment in pattern.strip("/").split("/")[:-1]:
        if any(character in "*?[\\" for character in segment):
            break
        literal.append(segment + "/")
    return _fold("".join(literal).encode("utf-8", "surrogateescape"))


def _may_hold(literals: Sequence[bytes], folder: bytes) -> bool:
    """Can anything below `folder` (with a slash at its end, or empty: the root) be named by a pattern?"""
    folded = _fold(folder)
    return any(folded.startswith(literal) or literal.startswith(folded) for literal in literals)
