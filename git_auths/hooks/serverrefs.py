"""The refs that a push to this server would move, under the names that git moves them by.

git's own checks of a ref come only after pre-receive, ref by ref: the update of one that fails must not have decided
about the refs beside it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from git_auths.errors import Refusal
from git_auths.hooks.gate import Update
from git_auths.store import git
from git_auths.store.repository import Repository

MAX_SYMBOLIC_DEPTH = 5  # refs.c: SYMREF_MAXDEPTH
_NEVER_IN_A_NAME = frozenset([*" ~^:?*[\\\x7f", *map(chr, range(0x20))])


class Ref(NamedTuple):
    """What a ref of the server is now: an object's id, and for a symbolic ref the name that it points to."""

    id: str
    points_to: str


def is_ref_name(name: str) -> bool:
    """Would git take `name` for a ref's full name? git-check-ref-format(1), and at least `refs/x/y`."""
    parts = name.split("/")
    return (
        len(parts) > 2
        and parts[0] == "refs"
        and not any(part == "" or part.startswith(".") or part.endswith(".lock") for part in parts)
        and not (".." in name or "@{" in name or name.endswith("."))
        and _NEVER_IN_A_NAME.isdisjoint(name)
    )


def require_names(updates: Sequence[Update]) -> None:
    """git hands on whatever name is pushed, and looks at it only after us."""
    for update in updates:
        if not is_ref_name(update.ref):
            raise Refusal(f"{update.ref!r} is no name for a ref", "git check-ref-format says whether a name is one")


def present_refs(repository: Repository) -> dict[str, Ref]:
    """Every ref of the server, by full name: of hundreds that are pushed none is asked for by itself."""
    lines = repository.git("for-each-ref", "--format=%(objectname) %(refname) %(symref)").splitlines()
    fields = (os.fsdecode(line).split(" ") for line in lines)
    return {name: Ref(id, points_to) for id, name, points_to in fields}


def moved_by(repository: Repository, refs: dict[str, Ref], name: str) -> str:
    """The ref that moves when `name` is pushed: a symbolic ref stays, and what it points to in the end moves."""
    for _ in range(MAX_SYMBOLIC_DEPTH):
        points_to = refs[name].points_to if name in refs else _points_to_nothing_yet(repository, name)
        if not points_to:
            return name
        name = points_to
    raise Refusal(f"{name} is a symbolic ref behind too many others", "git symbolic-ref REF says where each points to")


def _points_to_nothing_yet(repository: Repository, name: str) -> str:
    """The target of a symbolic ref that git does not list, since that target does not exist; empty for any other."""
    status, target = git.attempt("symbolic-ref", "--quiet", name, cwd=repository.path, allow=(0, 1, 128))
    return os.fsdecode(target).removesuffix("\n") if status == 0 else ""


def by_their_own_names(repository: Repository, refs: dict[str, Ref], updates: Sequence[Update]) -> list[Update]:
    """The same updates, of the refs that move."""
    return [update._replace(ref=moved_by(repository, refs, update.ref)) for update in updates]


def require_one_update_each(updates: Sequence[Update]) -> None:
    """git runs the updates of one ref one after the other, and any of them can fail; only one can be judged."""
    seen = set()
    for update in updates:
        if update.ref in seen:
            raise Refusal(f"{update.ref} would be set twice by one push", "push it once, by one name")
        seen.add(update.ref)


def require_true_old_ids(refs: dict[str, Ref], updates: Sequence[Update]) -> None:
    """The old ids are the pusher's claim, and git checks them only after us."""
    for update in updates:
        now = refs.get(update.ref)
        if (now and now.id) != update.old:
            raise Refusal(f"{update.ref} is not where this push takes it to be", "git fetch, then push again")


def require_all_objects(repository: Repository, updates: Sequence[Update]) -> None:
    """git refuses a ref with objects missing behind it. These decide about others, so they must not be so refused."""
    for update in updates:
        if update.new is None:
            continue
        # As connected.c asks; no blob is read when history is judged, so a missing one is not noticed there.
        status, _ = git.attempt("rev-list", "--objects", "--quiet", update.new, "--not", "--all", cwd=repository.path,
                                allow=(0, 1, 128))  # fmt: skip
        if status:
            raise Refusal(f"{update.ref}: objects are missing behind {update.new}", "git fsck, then push again")
