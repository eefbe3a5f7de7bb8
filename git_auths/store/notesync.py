"""Attestations between clones: fetch, unite, push, and again when someone else was faster.

The remote's notes come into a tracking ref and are merged from there: a refspec straight onto the local ref would
drop what was not pushed yet, or make the fetch fail.
"""

from __future__ import annotations

import hashlib
import os
import random
import time
from typing import NamedTuple

from git_auths.errors import Error, Refusal
from git_auths.store import git, notes
from git_auths.store.notes import Repo
from git_auths.store.repository import Objects
from git_auths.store.settings import NOTES_REF

MAX_TRIES = 20  # a busy server and eight who push at once took more than ten
MAX_PAUSE_SECONDS = 2.0
MAX_REASON_CHARS = 300
MAX_TOLD = 3  # lines that were held back
HELD_BACK_HINT = (
    "for a log or a pin that the remote's mainline lacks: git push, then git auths sync; "
    "what should not be there goes by: git notes --ref auths edit OBJECT"
)


class Synced(NamedTuple):
    """What a sync did: lines new here, lines new to the remote, and how many pushes it took."""

    received: int = 0
    sent: int = 0
    pushes: int = 0


def tracking_ref(repo: Repo, remote: str) -> str:
    """Where the notes of a remote are kept; of one without a name (a URL, a path), under a digest of it."""
    ref = f"refs/notes/remotes/{remote}/auths"
    if git.attempt("check-ref-format", ref, cwd=repo)[0] == 0:
        return ref
    return f"refs/notes/remotes/{hashlib.sha256(os.fsencode(remote)).hexdigest()[:16]}/auths"


def fetch(repo: Repo, remote: str) -> str | None:
    """Fetch the notes of `remote`, whole (a partial clone too), and return their commit; None where it has none.

    Raises GitFailed where it cannot be reached.
    """
    ref = tracking_ref(repo, remote)
    try:
        git.run("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
                "--no-filter", "--", remote, f"+{NOTES_REF}:{ref}", cwd=repo)  # fmt: skip
    except git.GitFailed as failure:
        if "couldn't find remote ref" in failure.stderr.lower():
            return None
        raise _unreachable(f"fetch {remote}", failure) from None
    return notes.tip(repo, ref)


def unite(repo: Repo, remote: str) -> int:
    """Unite what was last fetched of the notes of `remote` with ours; how many lines were new here."""
    theirs = tracking_ref(repo, remote)
    return notes.merge(repo, NOTES_REF, theirs) if notes.tip(repo, theirs) else 0


def receive(repo: Repo, remote: str) -> int:
    """Fetch the notes of `remote` and unite them with ours; how many lines were new here. Raises GitFailed."""
    theirs = fetch(repo, remote)
    return notes.merge(repo, NOTES_REF, theirs) if theirs else 0


def push(repo: Repo, remote: str, commit: str) -> str | None:
    """Push `commit` as the notes of `remote`, never by force; None, or why the remote did not take it.

    No hook of ours runs, or it would sync again. What a user's configuration adds to every push (signing, tags,
    submodules) is none of this ref's business. Raises GitFailed where the remote cannot be reached.
    """
    try:
        git.run("push", "--no-verify", "--no-signed", "--no-follow-tags", "--recurse-submodules=no",
                "--", remote, f"{commit}:{NOTES_REF}", cwd=repo)  # fmt: skip
    except git.GitFailed as failure:
        if "rejected]" not in failure.stderr:
            raise _unreachable(f"push {remote}", failure) from None
        return _reason(failure.stderr)
    return None


def _unreachable(command: str, failure: git.GitFailed) -> git.GitFailed:
    """The failure with git's reason: the line that begins with fatal. What follows that is advice."""
    reasons = [line for line in failure.stderr.splitlines() if line.startswith("fatal: ")] or [failure.stderr]
    return git.GitFailed(command, failure.status, _printable(reasons[0]))


def _reason(stderr: str) -> str:
    """What the remote said, else what git says of the ref; printable, on one line."""
    lines = [line.strip() for line in stderr.splitlines()]
    said = [line.removeprefix("remote:").strip() for line in lines if line.startswith("remote:")]
    about_ref = [line for line in lines if line.startswith("!")]
    return _printable("; ".join([line for line in said if line] + about_ref))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:MAX_REASON_CHARS]


def sync(repo: Repo, remote: str) -> Synced:
    """Fetch, unite and push the attestations; raises errors.Error, Refusal where the remote does not take them."""
    received = 0
    refused: tuple[str | None, str] | None = None  # the remote's tip before the last push, and why that failed
    for pushes in range(MAX_TRIES + 1):
        theirs = fetch(repo, remote)
        if refused and refused[0] == theirs and not _was_locked(refused[1]):
            held_back = _send_what_counts(repo, remote, theirs)
            if held_back is None:
                raise Refusal(f"{remote} does not take the attestations: {refused[1]}")
            raise Refusal(f"{remote} has the attestations but for what it would not take: {held_back}", HELD_BACK_HINT)
        received += notes.merge(repo, NOTES_REF, theirs) if theirs else 0
        ours = notes.tip(repo)
        if ours is None or ours == theirs:
            return Synced(received, 0, pushes)
        if pushes == MAX_TRIES:
            break
        reason = push(repo, remote, ours)
        if reason is None:
            return Synced(received, _count_sent(repo, theirs, ours), pushes + 1)
        refused = theirs, reason
        time.sleep(random.uniform(0, min(0.05 * 2**pushes, MAX_PAUSE_SECONDS)))  # noqa: S311 (jitter, no secret)
    raise Error(f"others pushed attestations to {remote} all the time", "git auths sync")


def _send_what_counts(repo: Repo, remote: str, theirs: str | None) -> str | None:
    """Push the lines that a server with our mainline would take, on top of `theirs`; in words what stays behind.

    One line that it does not take must not keep all others from it. None where it is not for such lines that it
    refused, or where it refuses this as well.
    """
    try:
        good, bad = _told_apart(repo, theirs)
    except Error:  # no root is pinned, or there is no mainline: nothing tells them apart here
        return None
    if not bad or (good and not _push_apart(repo, remote, theirs, good)):
        return None
    return "; ".join(bad[:MAX_TOLD]) + (f"; and {len(bad) - MAX_TOLD} more" if len(bad) > MAX_TOLD else "")


def _told_apart(repo: Repo, theirs: str | None) -> tuple[dict[str, list[bytes]], list[str]]:
    """Of the lines that `theirs` lacks those that a server takes, by object, and in words those that it does not."""
    from git_auths.store import admission, attestations
    from git_auths.store.repository import Repository

    good: dict[str, list[bytes]] = {}
    bad: list[str] = []
    with attestations.opened(Repository(repo)) as shelf:
        judge = admission.Admission(shelf.folder, shelf.pinned, shelf.hex_length)
        for id, lines in notes.missing_lines(notes.Notes(shelf.objects, theirs), shelf.notes):
            for line in lines:
                fault = judge.objection(id, line)
                if fault is None:
                    good.setdefault(id, []).append(line)
                else:
                    bad.append(f"the note on {id} {fault}")
    return good, bad


def _push_apart(repo: Repo, remote: str, theirs: str | None, lines: dict[str, list[bytes]]) -> bool:
    """Push these lines alone, on top of `theirs`; does the remote take them?"""
    ref = f"refs/auths/offered/{os.getpid()}"
    try:
        if theirs is not None:
            git.run("update-ref", ref, theirs, cwd=repo)
        notes.append(repo, lines, "Attestations that the remote takes", ref)
        return push(repo, remote, notes.tip(repo, ref) or "") is None
    finally:
        git.run("update-ref", "-d", ref, cwd=repo)


def _was_locked(reason: str) -> bool:
    """Whether another push held the ref without having moved it yet (refs.c: the messages of a lost race)."""
    return any(words in reason for words in ("lock", "failed to update ref", "incorrect old value"))


def _count_sent(repo: Repo, theirs: str | None, ours: str) -> int:
    with Objects(repo) as objects:
        new = notes.missing_lines(notes.Notes(objects, theirs), notes.Notes(objects, ours))
        return sum(len(lines) for _, lines in new)
