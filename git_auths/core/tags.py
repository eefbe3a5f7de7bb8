"""Judging release tags (section 8).

`verify_tag` asks, in this order: an annotated tag of a commit (`lightweight-tag`, `malformed`); the name in the object
is the ref's (`tag-name-mismatch`); its signature verifies and its key belongs to an AID of the mainline; a release rule
matches the name (`ungoverned`); its target is good; each matching rule has as many distinct principals, the tagger and
those who approved, as it requires (`unauthorized`, `threshold-unmet`).

The policy, the logs and the clock are those of the mainline now: a release is judged by who holds the right today, so a
signer who has left makes no new releases from old commits. A receipt says when a tag was received: then they are those
of the mainline just before it received the line, and of the approvals only those that the line names count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from git_auths.core.approvals import Counted
from git_auths.core.auths_folder import AuthsFolder, declared_compromised, held_keys_since
from git_auths.core.facts import Fault, signing_key
from git_auths.core.gitobject import Malformed, Tag, object_id, parse_tag
from git_auths.core.judge import GOOD, SOUND, UNGOVERNED, Verdict
from git_auths.core.policy import Rule
from git_auths.core.rights import SIGN_RELEASE, Question, principals, right, shortfall
from git_auths.core.scope import tag_matches
from git_auths.core.signer import Signer


class TagVerdict(NamedTuple):
    """The verdict with its count: `approvers` are the distinct principals of the rule that has the fewest to spare."""

    verdict: Verdict
    need: int
    approvers: tuple[str, ...]


class Moment(NamedTuple):
    """When a tag is judged: `.auths` on the mainline, and the repository's clock."""

    folder: AuthsFolder
    clock_seconds: int


TargetVerdict = Callable[[str], Verdict]  # of a commit id
ApprovalsOf = Callable[[Tag], Counted]


def verify_tag(id: str, kind: bytes, raw: bytes, ref: str, moment: Moment, verdict_of: TargetVerdict,
               approvals_of: ApprovalsOf) -> TagVerdict:  # fmt: skip
    """Judge the object `raw` of type `kind` that the tag ref `ref` (full name) points to."""
    tag = readable(id, kind, raw, ref)
    if isinstance(tag, Fault):
        return _answer(id, tag, None)
    key = signing_key(tag.signature, tag.payload)
    if isinstance(key, Fault):
        return _answer(id, key, None)
    signers = holders_ever(moment.folder, key)
    if not signers:
        return _answer(id, no_holder(moment.folder, key), None)
    signer = signers[0]
    rules = release_rules(moment.folder, ref)
    if not rules:
        return _answer(id, Fault(UNGOVERNED, "no release rule of the policy matches its name"), signer)
    target = verdict_of(tag.target)
    if target.verdict not in SOUND:
        judged = _answer(id, Fault(target.verdict, not_good(tag, target), target.rule), signer)
        return judged._replace(verdict=judged.verdict._replace(because_of=target.id))
    counted = approvals_of(tag)
    answers = [authorised(id, tag, one, rules, moment, counted) for one in signers]
    return next((answer for answer in answers if answer.verdict.verdict == GOOD), answers[0])


def not_good(tag: Tag, found: Verdict) -> str:
    """Why no release can be judged: `found` is the target, or something behind it or on the mainline."""
    if found.id == tag.target:
        return f"its target {tag.target} is not good: {found.reason}"
    return f"the mainline, by whose policy releases are judged, or what is behind its target {tag.target} " \
           f"is not good at {found.id}: {found.reason}"  # fmt: skip


def unreadable(id: str, reason: str) -> TagVerdict:
    """The verdict on a tag whose bytes are not even looked at."""
    return _answer(id, Fault("malformed", reason), None)


def readable(id: str, kind: bytes, raw: bytes, ref: str) -> Tag | Fault:
    """The tag object, when it is one that can be a release under this ref."""
    if kind == b"commit":
        return Fault("lightweight-tag", "it points straight to a commit; a release is an annotated, signed tag")
    if kind != b"tag":
        return Fault("malformed", f"it points to a {kind.decode(errors='replace')}, not to a tag object")
    if object_id(b"tag", raw, len(id)) != id:
        return Fault("malformed", "the tag's bytes do not hash to its id")
    try:
        tag = parse_tag(raw, len(id))
    except Malformed as error:
        return Fault("malformed", str(error))
    if tag.target_type != "commit":
        return Fault("malformed", f"it is a tag of a {tag.target_type}, not of a commit")
    if b"refs/tags/" + tag.name != ref.encode("utf-8", "surrogateescape"):
        shown = tag.name.decode(errors="backslashreplace")
        return Fault("tag-name-mismatch", f"the tag object is named {shown!r}, not as its ref {ref}")
    return tag


def release_rules(folder: AuthsFolder, ref: str) -> list[Rule]:
    policy = folder.policy
    return [] if policy is None else [
        rule for rule in policy.release if tag_matches(rule.tags, ref.encode("utf-8", "surrogateescape"))
    ]  # fmt: skip


def holders_ever(folder: AuthsFolder, key: bytes) -> list[Signer]:
    """The AIDs that have ever held `key` and not declared it compromised: those who may act for somebody listed, where
    any may, else the first. A plain rotation takes back no release before it."""
    dids = sorted(kel.did for kel in folder.kels.values() if key in held_keys_since(kel, declared_compromised(kel)))
    dids += [did for did in folder.signers.get(key, ()) if did not in dids]  # a hardware key has no log
    acting = [did for did in dids if folder.acts(did)]
    return [Signer(did, folder.principal(did), key) for did in acting or dids[:1]]


def no_holder(folder: AuthsFolder, key: bytes) -> Fault:
    """Why nobody holds `key`."""
    lost = next((kel.did for kel in folder.kels.values() if key in held_keys_since(kel, 0)), None)
    if lost is not None:
        return Fault("compromised-key", f"{lost} has declared its key compromised")
    return Fault("unknown-key", "its key belongs to no identity of the mainline")


def authorised(
    id: str, tag: Tag, signer: Signer, rules: Sequence[Rule], moment: Moment, counted: Counted
) -> TagVerdict:
    asked = [question(rule, moment.folder, max(moment.clock_seconds, tag.tagged_at)) for rule in rules]
    for one in asked:
        fault = shortfall(one, signer, counted)
        if fault is None:
            continue
        tagger = right(one, signer.did)
        if isinstance(tagger, Fault) and fault.verdict != "incomplete":
            fault = tagger._replace(reason=f"its tagger: {tagger.reason}; {fault.reason}")
        return _answer(id, fault, signer, one.rule.require, principals(one, signer, counted.signers))
    strictest = max(asked, key=lambda one: one.rule.require)
    return _answer(id, Fault(GOOD, "", strictest.rule.name), signer, strictest.rule.require,
                   principals(strictest, signer, counted.signers))  # fmt: skip


def question(rule: Rule, folder: AuthsFolder, at_seconds: int | None) -> Question:
    """The rule asked about a tag, by what the mainline's folder knows, at a Unix time (None: whenever)."""
    assert folder.policy is not None  # the rule is from it
    return Question(folder.policy, rule, SIGN_RELEASE, folder.authority, at_seconds, at_seconds)


def _answer(
    id: str, fault: Fault, signer: Signer | None, need: int = 0, counted: Sequence[str] | set[str] = ()
) -> TagVerdict:
    verdict = Verdict(
        "tag", id, fault.verdict, signer and signer.did, signer and signer.principal, fault.rule, fault.reason
    )
    return TagVerdict(verdict, need, tuple(sorted(counted)))
