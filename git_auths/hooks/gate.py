"""May these refs be set? The one engine behind pre-push and pre-receive.

The mainline is judged first, by its own history; every other ref by the mainline's new tip, and only where that is
good. A commit never judges itself, so nothing that is pushed can allow itself.

What each ref must meet is a function here: `judge_branch`, `judge_tag`, `judge_notes`, `judge_proposal`. The commits
that a ref would publish are judged by `judge_publications`, many refs at once.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from git_auths import output
from git_auths.core.gitobject import parse_tag
from git_auths.core.judge import Verdict
from git_auths.core.protection import is_named
from git_auths.core.tags import release_rules
from git_auths.errors import Error
from git_auths.hooks.publications import Publication, alike, committed_at, peeled
from git_auths.store import ancestry, notes, settings, tips
from git_auths.store.admission import Admission
from git_auths.store.repository import Repository
from git_auths.store.verdicts import Pushed, Verifier

NOTES_HINT = "git auths sync sends what is taken; a new signer, key or pin comes first, with the mainline"
MAX_SHOWN = 10  # commits listed a ref
MAX_AHEAD_SECONDS = 24 * 3600  # of a committer date


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

    `published` is in rev-list's words; `mainline` the commit that its mainline stands on; `remembered` the ids that
    were last good there, by the full names that the refs have there.
    """

    published: tuple[str, ...]
    mainline: str | None
    remembered: Mapping[str, str]


class Push(NamedTuple):
    """What a push is judged by; `mainline` is the full name that the mainline has on the receiving side."""

    verifier: Verifier
    mainline: str
    receiver: Receiver
    now_seconds: int

    def is_protected(self, ref: str) -> bool:
        """Does this branch keep what it has?"""
        return ref == self.mainline or is_named(self.verifier.mainline_folder().policy, ref)


def judge(repository: Repository, pins: settings.Pins, updates: Sequence[Update], receiver: Receiver) -> list[Finding]:
    """Judge a push by the policy, and by the clock of this machine."""
    mainline = settings.branch_name(pins.mainline)
    setting = {update.ref: update for update in updates}
    new_mainline = setting[mainline].new if mainline in setting else None
    new_notes = setting[settings.NOTES_REF].new if settings.NOTES_REF in setting else None
    now_seconds = int(time.time())
    pushed = Pushed(receiver.mainline, now_seconds)
    with Verifier(repository, pins, new_mainline, new_notes, pushed=pushed) as verifier:
        push = Push(verifier, mainline, receiver, now_seconds)
        findings = judge_all(push, [update for update in updates if update.ref == mainline])
        if any(finding.refuses for finding in findings):
            return findings  # nothing can be judged by a mainline that is not good
        return findings + judge_all(push, [update for update in updates if update.ref != mainline])


def judge_all(push: Push, updates: Sequence[Update]) -> list[Finding]:
    """Each ref by itself, then what they would publish."""
    findings = [finding for update in updates for finding in judge_ref(push, update)]
    return findings + list(judge_publications(push, list(publications(push, updates))))


def judge_ref(push: Push, update: Update) -> Iterator[Finding]:
    if update.ref.startswith(settings.PROPOSALS):
        yield from judge_proposal(push.verifier, update)
    elif update.ref.startswith("refs/replace/") and update.new is not None:
        yield Finding(f"{update.ref}: a replaced object is not what its name says", refuses=True)
    elif update.ref.startswith(settings.NOTES_REF + "/"):
        yield Finding(f"{update.ref}: it would stand in the way of {settings.NOTES_REF}", refuses=True)
    elif update.ref == settings.NOTES_REF:
        yield from judge_notes(push.verifier, update)
    elif is_release(push, update.ref):
        yield from judge_tag(push, update)
    elif update.ref.startswith("refs/heads/") and push.is_protected(update.ref):
        yield from judge_branch(push, update)


def judge_proposal(verifier: Verifier, update: Update) -> Iterator[Finding]:
    """A proposal is no release: it triggers nothing, and nobody takes it for one. But it is a tag object."""
    if update.new is not None and verifier.read(update.new)[0] != b"tag":
        yield Finding(f"{update.ref}: only a tag object can be proposed", refuses=True)


def judge_notes(verifier: Verifier, update: Update) -> Iterator[Finding]:
    """Lines may only be added, and what is added is signed by somebody whom the mainline knows."""
    if update.new is None:
        yield Finding(f"{update.ref}: attestations are never deleted", refuses=True)
    elif verifier.read(update.new)[0] != b"commit":
        yield Finding(f"{update.ref}: it is no commit", refuses=True)
    else:
        judge = Admission(verifier.mainline_folder(), verifier.pinned, verifier.repository.hex_length)
        found = notes.objections(verifier.repository.path, update.old, update.new, judge)
        for id, objection in islice(found, MAX_SHOWN):
            yield Finding(f"{update.ref}: the note on {id} {objection}", refuses=True, hint=NOTES_HINT)


def judge_branch(push: Push, update: Update) -> Iterator[Finding]:
    """What is published stays on the first-parent chain of the mainline, and of each branch that a rule names."""
    if update.new is None:
        yield Finding(f"{update.ref}: a governed branch is not deleted (rewound)", refuses=True)
        return
    if update.old is not None:
        hint = f"git fetch, then git rebase {update.old}"
        yield from lost(push.verifier.repository, update, update.old, "which is published", hint)
    good = push.receiver.remembered.get(update.ref)
    if good is not None and good != update.old:
        hint = f"git rebase {good}; where the loss was meant: git auths accept-rewind"
        yield from lost(push.verifier.repository, update, good, "which was good there before", hint)


def lost(repository: Repository, update: Update, old: str, what: str, hint: str) -> Iterator[Finding]:
    """A finding where the commit `old`, `what`, is not on the first-parent chain of the new tip."""
    assert update.new is not None
    if ancestry.is_on_chain(repository, update.new, old):
        return
    merge = ancestry.foxtrot(repository, update.new, old)
    if merge is None:
        yield Finding(f"{update.ref}: {update.new} does not contain {old}, {what} (rewound)", refuses=True, hint=hint)
        return
    yield Finding(f"{update.ref}: {merge} merges {old}, {what}, as a side branch (mainline-inverted)", refuses=True,
                  hint=f"git rebase {old}, then push the fast-forward")  # fmt: skip


def is_release(push: Push, ref: str) -> bool:
    return ref.startswith("refs/tags/") and bool(release_rules(push.verifier.mainline_folder(), ref))


def judge_tag(push: Push, update: Update) -> Iterator[Finding]:
    """A release tag is never moved or deleted, and is good when it is made."""
    if update.old is not None and update.old != update.new:
        yield Finding(f"{update.ref}: a published release tag is neither moved nor deleted (tag-moved)", refuses=True)
        return
    if update.new is None:
        return
    good = push.receiver.remembered.get(update.ref, update.new)
    if good != update.new:
        yield Finding(f"{update.ref}: it was good as {good} before (tag-moved)", refuses=True,
                      hint=f"choose another name, or: {tips.accept_hint(update.ref)}")  # fmt: skip
        return
    verdict = push.verifier.verify_tag_object(update.new, update.ref).verdict
    if not verdict.passes:
        name = shlex.quote(update.ref.removeprefix("refs/tags/"))
        hint = f"git auths propose {name}" if verdict.verdict == "threshold-unmet" else f"git auths verify-tag {name}"
        yield Finding(sentence(update.ref, verdict), refuses=True, hint=hint)
        return
    raw = push.verifier.read(update.new)[1]
    tag = parse_tag(raw, len(update.new))
    new = committed_at(push.verifier.repository, [Publication(update.ref, tag.target, (), push.receiver.published)])
    ahead = [("commit", id) for id in dated_ahead(push, new)]
    for kind, id in [("tag", id) for id in dated_ahead(push, {update.new: tag.tagged_at})] + ahead[:MAX_SHOWN]:
        yield too_early(update.ref, kind, id)


def dated_ahead(push: Push, dates: Mapping[str, int]) -> list[str]:
    """Those of the ids whose date, in seconds since 1970, is too far ahead of the clock here."""
    return [id for id, seconds in dates.items() if seconds > push.now_seconds + MAX_AHEAD_SECONDS]


def too_early(ref: str, kind: str, id: str) -> Finding:
    hours = MAX_AHEAD_SECONDS // 3600
    remake = "git rebase --force-rebase -S UPSTREAM" if kind == "commit" else "make the tag anew"
    return Finding(f"{ref}: {kind} {id} is dated more than {hours} hours ahead of the clock here", refuses=True,
                   hint=f"set the clock right, then: {remake}")  # fmt: skip


def publications(push: Push, updates: Sequence[Update]) -> Iterator[Publication]:
    """The commits that each ref would publish, whatever it is: all but release tags, proposals and notes."""
    repository, receiver = push.verifier.repository, push.receiver
    others = []
    for update in updates:
        if update.new is None:
            continue
        if update.ref.startswith("refs/heads/"):
            # What an ungoverned branch has published is still new to a governed one.
            before = (update.old, None if update.ref == push.mainline else receiver.mainline)
            known = tuple(id for id in before if id)
            open_to = () if push.is_protected(update.ref) else receiver.published
            yield Publication(update.ref, update.new, known, open_to)
        elif not (update.ref.startswith((settings.PROPOSALS, "refs/notes/")) or is_release(push, update.ref)):
            others.append(update)
    for update, commit in zip(others, peeled(repository, [update.new or "" for update in others]), strict=True):
        if commit is not None:
            yield Publication(update.ref, commit, (), receiver.published)


def judge_publications(push: Push, wanted: Sequence[Publication]) -> Iterator[Finding]:
    """Each commit that a ref would publish must pass, and not be dated ahead; refs under the same rules go together."""
    for group in alike(push.verifier, wanted):
        verdicts = push.verifier.verify([one.tip for one in group], group[0].ref).verdicts
        bad = {verdict.id: verdict for verdict in verdicts.values() if not verdict.passes}
        new = committed_at(push.verifier.repository, group)
        ahead = dated_ahead(push, new)
        unpublished: set[str] = set()
        if bad or ahead:
            for one in group:
                # What is new to one ref of the group may be published by another.
                own = new if len(group) == 1 else committed_at(push.verifier.repository, [one])
                unpublished.update(own)
                held = [id for id in dict.fromkeys((*bad, *ahead)) if id in own]
                yield from hold_back(one.ref, [(id, bad.get(id)) for id in held])
        published = [verdict for verdict in bad.values() if verdict.id not in unpublished]
        yield from published_already(push.verifier.repository, group, published)


def hold_back(ref: str, held: Sequence[tuple[str, Verdict | None]]) -> Iterator[Finding]:
    """The commits that keep `ref` from being set: each with its verdict, or, without one, dated ahead."""
    for id, verdict in held[:MAX_SHOWN]:
        if verdict is not None:
            yield Finding(sentence(ref, verdict), refuses=True, hint=remedy(verdict))
        else:
            yield too_early(ref, "commit", id)
    if len(held) > MAX_SHOWN:
        yield Finding(f"{ref}: and {len(held) - MAX_SHOWN} more", refuses=True)


def published_already(
    repository: Repository, group: Sequence[Publication], bad: Sequence[Verdict]
) -> Iterator[Finding]:
    """What is bad and published: a warning, but for what changed the rules by which the rest would be judged."""
    for verdict in [verdict for verdict in bad if verdict.changes_auths][:MAX_SHOWN]:
        why = "; it is published already, and nothing can be judged by rules that it changed"
        hint = f"where its content is right, an admin adopts it: git auths adopt {verdict.id}"
        yield Finding(sentence(holder(repository, group, verdict.id), verdict) + why, refuses=True, hint=hint)
    told = [verdict for verdict in bad if verdict.because_of is None and not verdict.changes_auths]
    for verdict in told[:MAX_SHOWN]:
        text = sentence(holder(repository, group, verdict.id), verdict) + "; it is published already"
        yield Finding(text, refuses=False)


def holder(repository: Repository, group: Sequence[Publication], commit: str) -> str:
    """The first ref of the group that has the commit."""
    if len(group) == 1:
        return group[0].ref
    return next((one.ref for one in group if ancestry.contains(repository, one.tip, commit)), group[0].ref)


def remedy(verdict: Verdict) -> str:
    """What its author can type next."""
    return REMEDIES.get(verdict.verdict, "git auths verify says more").format(id=verdict.id)


LISTED = "git auths policy show lists who may sign; a maintainer adds you: git auths policy add-signer"
REMEDIES = {
    "unsigned": "git commit --amend --no-edit -S signs the last commit; "
                "git rebase --force-rebase -S UPSTREAM signs several; for somebody else's: git auths countersign {id}",
    "threshold-unmet": "others approve it (git auths approve); git auths sync fetches what they approved",
    "unknown-key": LISTED,
    "unauthorized": LISTED,
    "unauthorized-at-reception": "where its content is right, somebody listed answers for it: "
                                 "git auths countersign {id}",
    "mainline-inverted": "git rebase the mainline, then push the fast-forward",
}  # fmt: skip


def sentence(ref: str, verdict: Verdict) -> str:
    by = f" by {verdict.signer}" if verdict.signer else ""
    return f"{ref}: {verdict.type} {verdict.id}{by} is {verdict.verdict}: {verdict.reason}"


def answer(repository: Repository, judged: Callable[[], list[Finding]]) -> int:
    """The hook's exit code: 1 where something refuses, or 0 where `auths.enforce` lets it observe only."""
    if not settings.only_observes(repository.path):
        return report(judged())
    try:
        findings = judged()
    except Error as error:
        findings = [Finding(error.message, refuses=True, hint=error.hint)]
    except Exception as error:
        findings = [Finding(f"internal error: {type(error).__name__}: {error}", refuses=True)]
    for finding in findings:
        output.warning(f"would be refused: {finding.text}" if finding.refuses else finding.text)
    return 0


def report(findings: Sequence[Finding]) -> int:
    """Tell whoever pushes what was found, and what to type next; the hook's exit code."""
    refused = [finding for finding in findings if finding.refuses]
    for finding in findings:
        (output.error if finding.refuses else output.warning)(finding.text)
    if refused:
        output.hint(next((finding.hint for finding in refused if finding.hint), "git auths verify says more"))
    return 1 if refused else 0
