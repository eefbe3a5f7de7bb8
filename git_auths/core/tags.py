"""Judging release tags (section 8).

`verify_tag` asks, in this order: an annotated tag of a commit (`lightweight-tag`, `malformed`); the name in the object
is the ref's (`tag-name-mismatch`); its signature verifies and its key belongs to an AID of the mainline; a release rule
matches the name (`ungoverned`); its target is good; each matching rule has as many distinct principals, the tagger and
those who approved, as it requires (`unauthorized`, `threshold-unmet`).

The policy and the logs are those of the mainline now: a release is judged by who holds the right today, so a signer who
has left makes no new releases from old commits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from git_auths.core.approvals import Counted
from git_auths.core.auths_folder import AuthsFolder, held_keys
from git_auths.core.facts import Fault, signing_key
from git_auths.core.gitobject import Malformed, Tag, object_id, parse_tag
from git_auths.core.judge import GOOD, UNGOVERNED, Verdict, principals, shortfall
from git_auths.core.policy import Rule
from git_auths.core.scope import tag_matches
from git_auths.core.signer import Signer


class TagVerdict(NamedTuple):
    """The verdict with its count: `approvers` are the distinct principals of the rule that has the fewest to spare."""

    verdict: Verdict
    need: int
    approvers: tuple[str, ...]


TargetVerdict = Callable[[str], Verdict]  # of a commit id
ApprovalsOf = Callable[[Tag], Counted]


def verify_tag(id: str, kind: bytes, raw: bytes, ref: str, mainline: AuthsFolder, verdict_of: TargetVerdict,
               approvals_of: ApprovalsOf) -> TagVerdict:  # fmt: skip
    """Judge the object `raw` of type `kind` that the tag ref `ref` (full name) points to."""
    tag = readable(id, kind, raw, ref)
    if isinstance(tag, Fault):
        return _answer(id, tag, None)
    key = signing_key(tag.signature, tag.payload)
    if isinstance(key, Fault):
        return _answer(id, key, None)
    signer = holder_ever(mainline, key)
    if signer is None:
        return _answer(id, Fault("unknown-key", "its key belongs to no identity of the mainline"), None)
    rules = release_rules(mainline, ref)
    if not rules:
        return _answer(id, Fault(UNGOVERNED, "no release rule of the policy matches its name"), signer)
    target = verdict_of(tag.target)
    if not target.passes:
        behind = "" if target.id == tag.target else f"; {target.id} stands behind it"
        reason = f"its target {tag.target} is not good: {target.reason}{behind}"
        return _answer(id, Fault(target.verdict, reason, target.rule), signer)
    return authorised(id, tag, signer, rules, approvals_of(tag))


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


def holder_ever(folder: AuthsFolder, key: bytes) -> Signer | None:
    """The AID that has ever held `key`, one that the policy lists first: a rotation takes back no release before it."""
    dids = [kel.did for kel in folder.kels.values() if key in held_keys(kel)]
    if not dids:
        return None
    policy = folder.policy
    did = min(dids, key=lambda did: (policy is None or not policy.lists(did), did))
    return Signer(did, folder.principal(did), key)


def authorised(id: str, tag: Tag, signer: Signer, rules: Sequence[Rule], counted: Counted) -> TagVerdict:
    for rule in rules:
        fault = shortfall(rule, signer, counted)
        if fault is None:
            continue
        if fault.verdict == "threshold-unmet" and signer.did not in rule.signers:
            fault = Fault(
                "unauthorized", f"its tagger {signer.did} is not listed in {rule.name}; {fault.reason}", rule.name
            )
        return _answer(id, fault, signer, rule.require, principals(rule, signer, *counted.signers))
    strictest = max(rules, key=lambda rule: rule.require)
    have = principals(strictest, signer, *counted.signers)
    return _answer(id, Fault(GOOD, "", strictest.name), signer, strictest.require, have)


def _answer(
    id: str, fault: Fault, signer: Signer | None, need: int = 0, counted: Sequence[str] | set[str] = ()
) -> TagVerdict:
    verdict = Verdict(
        "tag", id, fault.verdict, signer and signer.did, signer and signer.principal, fault.rule, fault.reason
    )
    return TagVerdict(verdict, need, tuple(sorted(counted)))
