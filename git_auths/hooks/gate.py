"""May these refs be set? The one engine behind pre-push and pre-receive.

The mainline is judged first, by its own history; every other ref by the mainline's new tip, and only where that is
good. A commit never judges itself, so nothing that is pushed can allow itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from git_auths import output
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
    hint: str | None = None


class Receiver(NamedTuple):
    """What the receiving side has published, as far as we know it: only what was judged there counts.

    `published` is in rev-list's words; `mainline` the commit that its mainline stands on.
    """

    published: tuple[str, ...]
    mainline: str | None


def judge(repository: Repository, pins: settings.Pins, updates: Sequence[Update], receiver: Receiver) -> list[Finding]:
    """Judge a push."""
    mainline = settings.branch_name(pins.mainline)
    setting = {update.ref: update for update in updates}
    new_mainline = setting[mainline].new if mainline in setting else None
    new_notes = setting[settings.NOTES_REF].new if settings.NOTES_REF in setting else None
    findings: list[Finding] = []
    with Verifier(repository, pins, new_mainline, new_notes) as verifier:
        for update in sorted(updates, key=lambda update: update.ref != mainline):
            findings += judge_update(verifier, update, mainline, receiver)
            if update.ref == mainline and any(finding.refuses for finding in findings):
                break  # nothing can be judged by a mainline that is not good
    return findings


def report(findings: Sequence[Finding]) -> int:
    """Tell whoever pushes what was found, and what to type next; the hook's exit code."""
    refused = [finding for finding in findings if finding.refuses]
    for finding in findings:
        (output.error if finding.refuses else output.warning)(finding.text)
    if refused:
        output.hint(next((finding.hint for finding in refused if finding.hint), "git auths verify says more"))
    return 1 if refused else 0


def judge_update(verifier: Verifier, update: Update, mainline: str, receiver: Receiver) -> Iterator[Finding]:
    if update.ref.startswith(settings.PROPOSALS):
        yield from judge_proposal(verifier, update)
    elif update.ref.startswith("refs/replace/") and update.new is not None:
        yield Finding(f"{update.ref}: a replaced object is not what its name says", refuses=True)
    elif update.ref.startswith(settings.NOTES_REF + "/"):
        yield Finding(f"{update.ref}: it would stand in the way of {settings.NOTES_REF}", refuses=True)
    elif update.ref == settings.NOTES_REF:
        yield from judge_notes(verifier, update)
    elif update.ref.startswith("refs/tags/"):
        yield from judge_tag(verifier, update, receiver)
    elif update.ref.startswith("refs/heads/"):
        yield from judge_branch(verifier, update, mainline, receiver)
    elif not update.ref.startswith("refs/notes/"):
        yield from judge_other(verifier, update, receiver)


def judge_proposal(verifier: Verifier, update: Update) -> Iterator[Finding]:
    """A proposal is no release: it triggers nothing, and nobody takes it for one. But it is a tag object."""
    if update.new is not None and verifier.read(update.new)[0] != b"tag":
        yield Finding(f"{update.ref}: only a tag object can be proposed", refuses=True)


def judge_notes(verifier: Verifier, update: Update) -> Iterator[Finding]:
    """Lines may only be added, and what is added can be read."""
    if update.new is None:
        yield Finding(f"{update.ref}: attestations are never deleted", refuses=True)
    elif verifier.read(update.new)[0] != b"commit":
        yield Finding(f"{update.ref}: it is no commit", refuses=True)
    else:
        for id, objection in islice(notes.objections(verifier.repository.path, update.old, update.new), MAX_SHOWN):
            text = f"{update.ref}: the note on {id} {objection}"
            yield Finding(text, refuses=True, hint="git auths sync, then push again")


def judge_branch(verifier: Verifier, update: Update, mainline: str, receiver: Receiver) -> Iterator[Finding]:
    is_protected = update.ref == mainline or is_named_by_a_rule(verifier, update.ref)
    if update.new is None:
        if is_protected:
            yield Finding(f"{update.ref}: a governed branch is not deleted (rewound)", refuses=True)
        return
    if update.old is not None and is_protected and not is_ancestor(verifier.repository, update.old, update.new):
        yield Finding(
            f"{update.ref}: {update.new} does not contain {update.old}, which is published (rewound)", refuses=True,
            hint=f"git rebase {update.old}",
        )  # fmt: skip
    # What an ungoverned branch has published is still new to a governed one.
    before = [update.old, None if update.ref == mainline else receiver.mainline]
    known = [f"^{id}" for id in before if id]
    yield from judge_commits(verifier, update, known if is_protected else [*known, *receiver.published])


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
        yield Finding(sentence(update.ref, verdict), refuses=True, hint=remedy(verdict))
    if len(refused) > MAX_SHOWN:
        yield Finding(f"{update.ref}: and {len(refused) - MAX_SHOWN} more", refuses=True)
    old = [verdict for verdict in bad if verdict.id not in new]
    for verdict in [verdict for verdict in old if verdict.changes_auths][:MAX_SHOWN]:
        why = "; it is published already, and nothing can be judged by rules that it changed"
        yield Finding(sentence(update.ref, verdict) + why, refuses=True)
    for verdict in [verdict for verdict in old if verdict.because_of is None][:MAX_SHOWN]:
        yield Finding(sentence(update.ref, verdict) + "; it is published already", refuses=False)


def judge_tag(verifier: Verifier, update: Update, receiver: Receiver) -> Iterator[Finding]:
    if not release_rules(verifier.mainline_folder(), update.ref):
        yield from judge_other(verifier, update, receiver)
        return
    if update.old is not None and update.old != update.new:
        yield Finding(f"{update.ref}: a published release tag is neither moved nor deleted (tag-moved)", refuses=True)
    elif update.new is not None:
        verdict = verifier.verify_tag_object(update.new, update.ref).verdict
        if not verdict.passes:
            name = update.ref.removeprefix("refs/tags/")
            hint = (
                f"git auths propose {name}" if verdict.verdict == "threshold-unmet" else f"git auths verify-tag {name}"
            )
            yield Finding(sentence(update.ref, verdict), refuses=True, hint=hint)


def judge_other(verifier: Verifier, update: Update, receiver: Receiver) -> Iterator[Finding]:
    """A ref that is neither branch nor release still publishes what it points to."""
    commit = None if update.new is None else peeled(verifier.repository, update.new)
    if commit is not None:
        yield from judge_commits(verifier, update._replace(new=commit), receiver.published)


def remedy(verdict: Verdict) -> str:
    """What its author can type next."""
    if verdict.verdict == "unsigned":
        return (
            "git commit --amend --no-edit -S signs the last commit; git rebase --force-rebase -S UPSTREAM signs several"
        )
    if verdict.verdict == "threshold-unmet":
        return "others approve it (git auths approve); git auths sync fetches what they approved"
    if verdict.verdict in ("unknown-key", "unauthorized"):
        return "git auths policy show lists who may sign; a maintainer adds you: git auths policy add-signer"
    return "git auths verify says more"


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
