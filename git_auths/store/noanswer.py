"""Questions that end without a verdict on each commit: nothing is pinned, or something is missing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from git_auths.core.judge import Verdict
from git_auths.errors import MissingObject, Refusal

FETCH_HINT = "git fetch --unshallow gets what a shallow clone lacks"
PIN_HINT = "git auths setup shows the root and its signers, and pins them on a yes"


class NoAnswer(Refusal):
    """The whole question has a verdict of its own; `id` is the object that it is about, where there is one."""

    def __init__(self, verdict: str, message: str, hint: str, id: str | None = None) -> None:
        super().__init__(f"{message} ({verdict})", hint)
        self.verdict = Verdict("commit", id or "", verdict, None, None, None, message)


@contextlib.contextmanager
def missing_is_incomplete() -> Iterator[None]:
    """What a shallow, partial or damaged repository lacks leaves the question open."""
    try:
        yield
    except MissingObject as error:
        raise NoAnswer("incomplete", error.message, error.hint or FETCH_HINT) from None


def before_the_root(id: str) -> Verdict:
    reason = "it is older than the trust root: what came before the policy is out of scope"
    return Verdict("commit", id, "outside-root", None, None, None, reason)


def unpinned() -> NoAnswer:
    return NoAnswer("unpinned-root", "no trust root is pinned in this repository", PIN_HINT)


def root_is_elsewhere(root: str) -> NoAnswer:
    return NoAnswer("outside-root", f"the trust root {root} is not in this repository", PIN_HINT, root)


def incomplete(id: str) -> NoAnswer:
    return NoAnswer("incomplete", f"history is incomplete: {id} is not here", FETCH_HINT, id)
