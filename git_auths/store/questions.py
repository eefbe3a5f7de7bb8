"""What somebody asks when naming a revision: which commits, and by whose rules (section 7, mainline).

A verdict belongs to a commit and a ref. A branch is judged by its own rules where the mainline lacks it; one that
tracks the mainline, as if it were being pushed there; a revision that names no branch, HEAD too, by the mainline's.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from git_auths.core.gitobject import is_object_id
from git_auths.core.judge import Verdict
from git_auths.errors import UsageError
from git_auths.store import ancestry, git, settings
from git_auths.store.repository import Repository
from git_auths.store.verdicts import Answer, Verifier


class Question(NamedTuple):
    """A commit, the branch whose rules judge it (None: the mainline's), and the mainline's tip where the question is
    about what it would be. `standing`: the full name of the ref that was named, where it is not the mainline."""

    tip: str
    ref: str | None = None
    mainline_tip: str | None = None
    standing: str | None = None


def about(repository: Repository, revision: str, pins: settings.Pins | None) -> Question:
    """The question that a single revision is. Full names decide: a tag of a branch's name does not stand for it."""
    if revision not in ("HEAD", "@"):
        revision = branch_called(repository, revision) or revision
    tip, ref = named(repository, revision)
    if ref is None or pins is None or ref == pins.mainline:
        return Question(tip)
    if ref.startswith("refs/heads/") and tracks(repository, ref, pins.mainline):
        published = repository.ref(pins.mainline)
        is_ahead = published not in (None, tip) and ancestry.is_on_chain(repository, tip, str(published))
        return Question(tip, mainline_tip=tip if is_ahead else None)
    return Question(tip, None if revision in ("HEAD", "@") else settings.branch_name(ref), standing=ref)


def branch_called(repository: Repository, name: str) -> str | None:
    """The full name of the branch here, else of a remote's, with this short name."""
    wanted = [f"refs/heads/{name}", f"refs/remotes/{name}"]
    found = repository.git("for-each-ref", "--format=%(refname)", *wanted).splitlines()
    return next((ref for ref in wanted if os.fsencode(ref) in found), None)


def ruled_by(repository: Repository, ref: str | None) -> str | None:
    """The full name of the branch that --ref means. Raises UsageError for a name that no branch has: its rules would
    match nothing, and nothing would be judged by them."""
    if ref is None or ref.startswith("refs/"):
        return ref
    if repository.ref(f"refs/heads/{ref}") is not None:
        return f"refs/heads/{ref}"
    found = {full for full, _ in branches(repository) if settings.branch_name(full) == f"refs/heads/{ref}"
             or full == f"refs/remotes/{ref}"}  # fmt: skip
    names = {settings.branch_name(full) for full in found}
    if len(names) != 1:
        raise UsageError(f"--ref {ref!r} is not one branch here", "give its full name, like refs/heads/main")
    return names.pop()


def require_no_three_dots(what: str) -> None:
    """A...B means what either has alone, so that A's would stand beside B's and be judged as nobody asked."""
    if "..." in what:
        raise UsageError(f"{what} is a symmetric difference, which nothing can be decided about",
                         "name the commits as A..B")  # fmt: skip


def verdicts_on(verifier: Verifier, commits: Sequence[str], answer: Answer, ref: str | None = None) -> list[Verdict]:
    """The verdict on each of `commits`; what `answer` leaves out, because an earlier run judged it, is asked for."""
    left_out = [id for id in commits if id not in answer.verdicts]
    more = verifier.verify(left_out, ref).verdicts if left_out else {}
    return [answer.verdicts[id] if id in answer.verdicts else more[id] for id in commits]


def named(repository: Repository, revision: str) -> tuple[str, str | None]:
    """The commit that the revision names, and the full name of the branch, HEAD's for HEAD; None: it names none."""
    if not revision.startswith("-"):
        # One git answers both, where it names a commit and a ref.
        command = ("rev-parse", "--quiet", f"{revision}^{{commit}}", "--symbolic-full-name", revision)
        status, answer = git.attempt(*command, cwd=repository.path, allow=(0, 1, 128))
        lines = os.fsdecode(answer).split("\n")[:-1]
        if status == 0 and len(lines) == 2 and is_object_id(lines[0]):
            return lines[0], lines[1] if lines[1].startswith(("refs/heads/", "refs/remotes/")) else None
    return repository.resolve(revision), None


def tracks(repository: Repository, branch: str, mainline: str) -> bool:
    """Would a push of this local branch set the mainline?"""
    if not mainline.startswith("refs/remotes/"):
        return False
    upstream = repository.git("for-each-ref", "--format=%(upstream)", branch)
    return os.fsdecode(upstream).strip() == mainline or branch == settings.branch_name(mainline)


def branches(repository: Repository) -> list[tuple[str, str]]:
    """Every branch here and of each remote: (full ref name, commit id)."""
    form = "--format=%(objectname) %(symref) %(refname)"
    lines = repository.git("for-each-ref", form, "refs/heads", "refs/remotes").splitlines()
    found = []
    for line in lines:
        id, symref, name = line.split(b" ", 2)
        if not symref:  # refs/remotes/origin/HEAD is another name for one that is listed
            found.append((os.fsdecode(name), id.decode()))
    return found
