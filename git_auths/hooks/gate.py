"""May these refs be set? The one engine behind pre-push and pre-receive.

The mainline is judged first, by its own history; every other ref by the mainline's new tip, and only where that is
good. A commit never judges itself, so nothing that is pushed can allow itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from git_auths.core.judge import Verdict
from git_auths.core.scope import branch_matches
from git_auths.core.tags import release_rules
from git_auths.store import git, notes, settings
from git_auths.store.repository import Repository
from git_auths.store.verdicts import Verifier

MAX_SHOWN = 10  # commits listed a ref


class Update(NamedTuple):
    """One ref of a push: its full name on the receiving side, and its ids before and after (None: no such ref)."""

    ref: str
    old: str | None
    new: str | None


class Finding(NamedTuple):
    """Something that is not good. What is published already cannot be held back: it only warns."""

    text: str
    refuses: bool


def judge(
    repository: Repository, pins: settings.Pins, updates: Sequence[Update], published: Sequence[str]
) -> list[Finding]:
    """Judge a push. `published`: revisions in rev-list's words for what the receiving side has."""
    mainline = settings.branch_name(pins.mainline)
    setting = {update.ref: update for update in updates}
    new_mainline = setting[mainline].new if mainline in setting else None
    new_notes = setting[settings.NOTES_REF].new if settings.NOTES_REF in setting else None
    findings: list[Finding] = []
    with Verifier(repository, pins, new_mainline, new_notes) as verifier:
        for update in sorted(updates, key=lambda update: update.ref != mainline):
            findings += judge_update(verifier, update, mainline, published)
            if update.ref == mainline and any(finding.refuses for finding in findings):
                break  # nothing can be judged by a mainline that is not good
    return findings


def judge_update(verifier: Verifier, update: Update, mainline: str, published: Sequence[str]) -> Iterator[Finding]:
    if update.ref.startswith(settings.PROPOSALS):
        return  # a proposal is no release: it triggers nothing, and nobody takes it for one
    if update.ref == settings.NOTES_REF:
        yield from judge_notes(verifier, update)
    elif update.ref.startswith("refs/tags/"):
        yield from judge_tag(verifier, update, published)
    elif update.ref.startswith("refs/heads/"):
        yield from judge_branch(verifier, update, mainline, published)


def judge_notes(verifier: Verifier, update: Update) -> Iterator[Finding]:
    """Lines may only be added."""
    if update.old is None:
        return
    if update.new is None:
        yield Finding(f"{update.ref}: attestations are never deleted", refuses=True)
        return
    for id, _ in notes.removed_lines(verifier.repository.path, update.old, update.new):
        yield Finding(
            f"{update.ref}: an attestation on {id} would be lost; fetch and merge first (git auths sync)", refuses=True
        )
        return


def judge_branch(verifier: Verifier, update: Update, mainline: str, published: Sequence[str]) -> Iterator[Finding]:
    is_protected = update.ref == mainline or is_named_by_a_rule(verifier, update.ref)
    if update.new is None:
        if is_protected:
            yield Finding(f"{update.ref}: a governed branch is not deleted (rewound)", refuses=True)
        return
    if update.old is not None and is_protected and not is_ancestor(verifier.repository, update.old, update.new):
        yield Finding(
            f"{update.ref}: {update.new} does not contain {update.old}, which is published (rewound)", refuses=True
        )
    # What an ungoverned branch has published is still new to a governed one.
    before = [update.old, None if update.ref == mainline else verifier.repository.ref(verifier.pins.mainline)]
    known = [f"^{id}" for id in before if id]
    yield from judge_commits(verifier, update, known if is_protected else [*known, *published])


def judge_commits(verifier: Verifier, update: Update, known: Sequence[str]) -> Iterator[Finding]:
    """Every commit that the ref would publish must pass; one that is published already warns."""
    assert update.new is not None
    verdicts = verifier.verify([update.new], update.ref).verdicts
    bad = [verdict for verdict in verdicts.values() if not verdict.passes]
    if not bad:
        return
    new = new_commits(verifier.repository, update.new, known)
    refused = [verdict for verdict in bad if verdict.id in new]
    for verdict in refused[:MAX_SHOWN]:
        yield Finding(sentence(update.ref, verdict), refuses=True)
    if len(refused) > MAX_SHOWN:
        yield Finding(f"{update.ref}: and {len(refused) - MAX_SHOWN} more", refuses=True)
    old = [verdict for verdict in bad if verdict.id not in new]
    for verdict in [verdict for verdict in old if verdict.changes_auths][:MAX_SHOWN]:
        why = "; it is published already, and nothing can be judged by rules that it changed"
        yield Finding(sentence(update.ref, verdict) + why, refuses=True)
    for verdict in [verdict for verdict in old if verdict.because_of is None][:MAX_SHOWN]:
        yield Finding(sentence(update.ref, verdict) + "; it is published already", refuses=False)


def judge_tag(verifier: Verifier, update: Update, published: Sequence[str]) -> Iterator[Finding]:
    is_release = bool(release_rules(verifier.mainline_folder(), update.ref))
    if is_release and update.old is not None and update.old != update.new:
        yield Finding(f"{update.ref}: a published release tag is neither moved nor deleted (tag-moved)", refuses=True)
        return
    if update.new is None:
        return
    if is_release:
        verdict = verifier.verify_tag_object(update.new, update.ref).verdict
        if not verdict.passes:
            yield Finding(sentence(update.ref, verdict), refuses=True)
        return
    commit = peeled(verifier.repository, update.new)
    if commit is not None:
        yield from judge_commits(verifier, update._replace(new=commit), published)


def is_named_by_a_rule(verifier: Verifier, ref: str) -> bool:
    """Does a commit rule name this branch? A rule without `branches` governs what is pushed, not whether it goes."""
    policy = verifier.mainline_folder().policy
    rules = policy.commit if policy is not None else ()
    return any(rule.branches is not None and branch_matches(rule.branches, ref.encode()) for rule in rules)


def is_ancestor(repository: Repository, old: str, new: str) -> bool:
    return git.attempt("merge-base", "--is-ancestor", old, new, cwd=repository.path, allow=(0, 1, 128))[0] == 0


def new_commits(repository: Repository, tip: str, known: Sequence[str]) -> set[str]:
    """What `tip` has and the revisions `known` have not; what is not here to be asked for is not known."""
    present = [name for name in known if name.startswith("--") or repository.has(name.removeprefix("^"))]
    return set(repository.git("rev-list", tip, *present).decode().split())


def peeled(repository: Repository, id: str) -> str | None:
    status, commit = git.attempt(
        "rev-parse", "--verify", "--quiet", f"{id}^{{commit}}", cwd=repository.path, allow=(0, 1, 128)
    )
    return commit.decode().strip() if status == 0 else None


def sentence(ref: str, verdict: Verdict) -> str:
    by = f" by {verdict.signer}" if verdict.signer else ""
    return f"{ref}: {verdict.type} {verdict.id}{by} is {verdict.verdict}: {verdict.reason}"
