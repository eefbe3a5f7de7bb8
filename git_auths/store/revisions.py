"""The commits that somebody means by a revision or a range, and how they are shown before a decision about them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from git_auths.errors import Error
from git_auths.store.repository import Repository


class Described(NamedTuple):
    """A commit with its parents as git reads them, and its author and subject for people (any text)."""

    id: str
    parents: tuple[str, ...]
    title: str


def is_range(what: str) -> bool:
    return ".." in what


def named(repository: Repository, what: str, after: str | None = None) -> list[str]:
    """The commits of the revision or range `what`, parents first; without `after` and its ancestors."""
    boundary = [] if after is None else [f"^{after}"]
    if is_range(what):
        which = ["--reverse", "--topo-order", *boundary, "--end-of-options", what]
    else:
        which = ["--max-count=1", *boundary, repository.resolve(what)]
    found = repository.git("rev-list", *which).decode().split()
    if not found:
        raise Error(f"{what} names no commits" + (" after the trust root" if after else ""),
                    "git log --oneline --graph shows what there is")  # fmt: skip
    return found


def described(repository: Repository, ids: Iterable[str]) -> dict[str, Described]:
    """Each of these commits, by its id."""
    wanted = "".join(f"{id}\n" for id in ids).encode()
    form = "--format=%H%x00%P%x00%an: %s"
    listed = repository.git("rev-list", "--no-walk=unsorted", "--no-commit-header", form, "--stdin", stdin=wanted)
    commits = {}
    for line in listed.split(b"\n"):
        id, _, rest = line.decode(errors="replace").partition("\0")
        parents, _, title = rest.partition("\0")
        if id:
            commits[id] = Described(id, tuple(parents.split()), title)
    return commits


def unrelated(repository: Repository, tip: str, root: str) -> set[str]:
    """What is behind `tip`, or is it, and neither descends from `root` nor stands behind it."""
    everything = repository.git("rev-list", tip, f"^{root}").decode().split()
    related = repository.git("rev-list", "--ancestry-path", tip, f"^{root}").decode().split()
    return set(everything).difference(related)
