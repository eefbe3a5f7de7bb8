"""Which commits a push would publish, asked of git for many refs at once."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import NamedTuple

from git_auths.core.auths_folder import AuthsFolder
from git_auths.core.policy import Policy
from git_auths.core.scope import branch_matches
from git_auths.store import settings
from git_auths.store.repository import Repository
from git_auths.store.trustroot import POLICY_PATH
from git_auths.store.verdicts import Verifier, missing_is_incomplete


class Publication(NamedTuple):
    """All of the commit `tip` that the receiving side does not have where it counts: behind the ids `known`, which need
    not be here, or behind the refs `published`, in rev-list's words."""

    ref: str
    tip: str
    known: tuple[str, ...]
    published: tuple[str, ...]


def alike(verifier: Verifier, wanted: Sequence[Publication]) -> Iterator[list[Publication]]:
    """Those that the same rules judge, together: by every policy that may judge them, the same rules match their refs.

    What decides below `.auths` on one tip says nothing of another: a tip with such commits of its own stands alone.
    """
    patterns = list({rule.branches for policy in policies(verifier, wanted) for rule in policy.commit})
    alone = deciding_tips(verifier, wanted)
    groups: dict[tuple[object, ...], list[Publication]] = {}
    for one in wanted:
        name = settings.branch_name(one.ref).encode("utf-8", "surrogateescape")
        matches = (branch_matches(scope, name) for scope in patterns)
        groups.setdefault((one.published, one.tip if one.tip in alone else None, *matches), []).append(one)
    yield from groups.values()


def policies(verifier: Verifier, wanted: Sequence[Publication]) -> list[Policy]:
    """Every policy that may judge something that the mainline lacks. One ref needs none to be alike with itself.

    The mainline's rules judge what it contains; what it lacks is judged by the policies that were set there, or in
    force where it branched off, or that the mainline has now, or had when it received something by receipt.
    """
    if len(wanted) < 2:
        return []
    tips = [one.tip for one in wanted]
    new = ["--stdin", "--not", verifier.mainline_tip]
    set_there = _listed(verifier.repository, tips, "--full-history", *new, "--", POLICY_PATH)
    around = _listed(verifier.repository, tips, "--boundary", *new)
    branched_off = [line[1:] for line in around if line.startswith("-")]
    folders = [verifier.folder_of(commit) for commit in {*set_there, *branched_off, verifier.mainline_tip}]
    folders += received_by(verifier, frozenset(around))
    return list({folder.policy_id: folder.policy for folder in folders if folder.policy is not None}.values())


def received_by(verifier: Verifier, lacking: Container[str]) -> list[AuthsFolder]:
    """`.auths` on the mainline when it received something by receipt; `lacking` is what it has not."""
    with missing_is_incomplete():
        mainline = verifier.mainline()
        if any(receipt.id in lacking for receipt in mainline.past_receipts()):
            verifier.forget()  # what stood there then is not remembered
            mainline = verifier.mainline()
        return [reception.state.policy.folder for _, reception, _ in mainline.receipts]


def deciding_tips(verifier: Verifier, wanted: Sequence[Publication]) -> set[str]:
    """The tips that have commits of their own, which the mainline lacks, with changes below `.auths`."""
    tips = {one.tip for one in wanted}
    options = ("--full-history", "--stdin", "--not", verifier.mainline_tip, "--", ".auths")
    if len(tips) < 2 or not _listed(verifier.repository, tips, *options):
        return set()
    return {tip for tip in tips if _listed(verifier.repository, [tip], "--max-count=1", *options)}


def committed_at(repository: Repository, wanted: Sequence[Publication]) -> dict[str, int]:
    """The commits that these would publish, with what they say of when, in seconds since 1970.

    For several that is what one of them may publish: what all of them know, and no more, is left out.
    """
    known = set.intersection(*(set(one.known) for one in wanted))
    revisions = [*(one.tip for one in wanted), *(f"^{id}" for id in known)]
    lines = _listed(repository, revisions, "--no-commit-header", "--format=%H %ct", "--ignore-missing", "--stdin",
                    *wanted[0].published)  # fmt: skip
    pairs = (line.partition(" ") for line in lines)
    # A date that git cannot read is that of a malformed commit.
    return {id: int(seconds) if seconds.isdigit() else 0 for id, _, seconds in pairs}


def peeled(repository: Repository, ids: Sequence[str]) -> list[str | None]:
    """The commit that each object is or is a tag of; None for what is neither."""
    asked = "".join(f"{id}^{{commit}}\n" for id in ids).encode()
    answers = repository.git("cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=asked).decode().split("\n")
    return [line.removesuffix(" commit") if line.endswith(" commit") else None for line in answers[: len(ids)]]


def _listed(repository: Repository, revisions: Iterable[str], *options: str) -> list[str]:
    """The lines of `git rev-list`; `revisions` are read where the options have --stdin."""
    stdin = "".join(f"{revision}\n" for revision in revisions).encode()
    return repository.git("rev-list", *options, stdin=stdin).decode().splitlines()
