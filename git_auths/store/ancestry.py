"""What lies behind a commit, as git walks it: anywhere, or on its first-parent chain.

Only the first-parent chain gives events a position (DESIGN section 7, mainline), so a branch may contain its old tip
and still have lost it: a foxtrot merge makes the intruder's line the chain.
"""

from __future__ import annotations

from git_auths.store import git
from git_auths.store.repository import Repository


def contains(repository: Repository, tip: str, old: str) -> bool:
    """Is the commit `old` the commit `tip`, or behind it? What is not here is behind nothing."""
    return git.attempt("merge-base", "--is-ancestor", old, tip, cwd=repository.path, allow=(0, 1, 128))[0] == 0


def is_on_chain(repository: Repository, tip: str, old: str) -> bool:
    """Is the commit `old` the commit `tip`, or on its first-parent chain?"""
    if tip == old:
        return True
    chain = _chain_since(repository, tip, old)
    # The walk stops at what is behind `old`. Where that is `old` itself, the first parent of the last commit says so.
    return bool(chain) and chain[-1][1:2] == [old]


def foxtrot(repository: Repository, tip: str, old: str) -> str | None:
    """The commit on the first-parent chain of `tip` that has `old` behind another parent; None when there is none."""
    if is_on_chain(repository, tip, old) or not contains(repository, tip, old):
        return None
    descendants = set(repository.git("rev-list", "--ancestry-path", tip, f"^{old}").decode().split())
    return next((id for id, *_ in reversed(_chain_since(repository, tip, old)) if id in descendants), None)


def missing(repository: Repository, tip: str, old: str) -> list[str]:
    """The commits that `old` has and `tip` has not, newest first; both must be here."""
    return repository.git("rev-list", old, f"^{tip}").decode().split()


def _chain_since(repository: Repository, tip: str, old: str) -> list[list[str]]:
    """The first-parent chain of `tip`, newest first, down to what is behind `old`, each commit with its parents; empty
    where `old` is not here."""
    status, listed = git.attempt(
        "rev-list", "--first-parent", "--parents", tip, f"^{old}", cwd=repository.path, allow=(0, 128)
    )
    return [line.split() for line in listed.decode().splitlines()] if status == 0 else []
