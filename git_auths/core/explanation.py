"""Why a commit or a tag has its verdict: each rule that was asked, of which policy, who met it, and what is missing.

It asks the judge's own functions, rule by rule, so that it can say nothing that the judge does not.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from git_auths.core import judge
from git_auths.core.approvals import Counted
from git_auths.core.authority import Right
from git_auths.core.auths_folder import AuthsFolder, declared_compromised, extends, held_keys_since
from git_auths.core.below_auths import admin_matter
from git_auths.core.case import Case
from git_auths.core.decisions import Adoption
from git_auths.core.facts import Fault, signing_key
from git_auths.core.gitobject import Tag
from git_auths.core.grants import Grant
from git_auths.core.judge import COUNTERSIGNABLE, COUNTERSIGNED, PASSING, Verdict
from git_auths.core.kel import Event, Kel
from git_auths.core.lineage import Version
from git_auths.core.policy import Policy, Rule
from git_auths.core.reception import Reception
from git_auths.core.rights import MANAGE_MEMBERS, SIGN_COMMIT, Question, needs_approval, principals, right
from git_auths.core.signer import Signer
from git_auths.core.tags import TagVerdict, question, release_rules

CURRENT, SUPERSEDED, COMPROMISED = "current", "superseded", "compromised"
BROUGHT_IN = re.compile("its first parent brings in ([0-9a-f]+), ")
WRITTEN, RECEIVED, NOW = "written", "received", "now"


class KeyEvent(NamedTuple):
    """The establishment event that made a key its AID's, and what the logs say of the key: `in_tree` that of the
    commit's own tree (a tag has none), `on_mainline` the mainline's on reception, which the commit's may go beyond;
    None where they fork. `ended_by` is the number of the event that ended it there.
    """

    aid: str
    sn: int
    said: str
    in_tree: str | None
    on_mainline: str | None
    ended_by: int | None


class Asked(NamedTuple):
    """A rule that applies. `policy` is the commit that set the policy it stands in, `as_of` why that one judges.

    `fault` is None where the rule is met; `counted` are the principals that count for it, `open` the listed DIDs that
    could still approve.
    """

    rule: str
    kind: str
    policy: str
    as_of: str
    require: int
    counted: tuple[str, ...]
    open: tuple[str, ...]
    fault: Fault | None


class Need(NamedTuple):
    """What is missing, whom of these DIDs it could come from, and the command that would supply it."""

    what: str
    command: str
    who: tuple[str, ...] = ()


class Explanation(NamedTuple):
    """`reception` is when the mainline received the object; None for a tag that is judged by what stands there now."""

    verdict: Verdict
    reception: Reception | None
    key: KeyEvent | None
    matter: str | None  # what it changes below .auths/ that needs the admin rule, in words
    asked: tuple[Asked, ...]
    approvals: tuple[tuple[str, str], ...]  # (kind, DID)
    ignored: tuple[str, ...]  # why lines of the notes do not count
    needs: tuple[Need, ...]
    grants: tuple[Grant, ...] = ()  # by which the signer acts for somebody listed, its own first


def of_commit(case: Case, verdict: Verdict, signer: Signer | None) -> Explanation:
    """Why the commit of `case` has the `verdict` that the judge gave; `signer` is who signed it, or stands in."""
    matter = None
    asked: tuple[Asked, ...] = ()
    if is_answerable(case):
        matter = admin_matter(case)
        asked = tuple(rules_asked(case, signer, verdict))
    given = approvals(case, verdict, asked)
    return Explanation(
        verdict,
        case.reception,
        key_event(case.commit.key, case.folder, case.sources.folder_at(case.reception.state.auths)),
        matter,
        asked,
        tuple((kind, one.did) for kind, counted in given for one in counted.signers),
        tuple(reason for _, counted in given for reason in counted.ignored),
        tuple(needs(case, verdict, asked)),
        () if signer is None else acting_by(case.folder, signer.did),
    )


def acting_by(folder: AuthsFolder, did: str) -> tuple[Grant, ...]:
    """The grants by which `did` acts for somebody whom the policy lists; none where that is itself."""
    rights = [] if folder.policy is None else folder.authority.rights(did, folder.policy.signers, None)
    return rights[0].grants if rights else ()


def is_answerable(case: Case) -> bool:
    """Do the rules of any policy apply? Not to the root, and not to what cannot be read or does not descend from it."""
    return not (case.is_root or judge.raw_bytes(case) or judge.trust_root(case) or judge.auths_folder(case))


def rules_asked(case: Case, signer: Signer | None, verdict: Verdict) -> Iterator[Asked]:
    """The commit rules that match, and the admin rules where something below `.auths/` changes; by each policy that
    judges the commit."""
    if signer is not None and signer.is_throwaway:
        return  # a commit by CI, which answers to the rules for CI alone
    versions = [(WRITTEN, version) for version in case.effective]
    versions += [(RECEIVED, version) for version in case.received_by]
    signers = [] if signer is None else [signer]
    if verdict.verdict == COUNTERSIGNED:
        given = case.sources.approvals_of(case.commit.id, "countersign", case.folder, case.reception)
        signers += [other for other in given.signers if other != signer]
    is_admin_matter = admin_matter(case) is not None
    for as_of, version in versions:
        for rule in judge.matching_rules(version.policy, case):
            yield ask(case, version, as_of, rule, "commit", signers)
        for rule in version.policy.admin if is_admin_matter else ():
            yield ask(case, version, as_of, rule, "admin", signers)


def ask(case: Case, version: Version, as_of: str, rule: Rule, kind: str, signers: Sequence[Signer]) -> Asked:
    """What one rule says of the commit."""
    alone = Policy((rule,), (), (rule,), (), version.policy.signers)
    moment, capability = case.moment_seconds, MANAGE_MEMBERS if kind == "admin" else SIGN_COMMIT
    asked = Question(alone, rule, capability, case.authority_at_reception, None if kind == "admin" else moment, moment)
    authorities = judge.known_now(case) if as_of == RECEIVED else judge.known_then(case)
    given = Counted()
    if rule.require > 1 or (signers and needs_approval(asked, signers[0])):
        given = case.sources.approvals_of(case.commit.id, kind, case.folder, case.reception)
    if not signers:
        fault = judge.signature(case) or judge.key(case)
    elif kind == "admin":
        fault = judge.administered_by(alone, case, signers[0], authorities)
    else:
        fault = judge.satisfied(alone, case, signers[0], authorities)
    counted = principals(asked, signers[0] if signers else None, (*signers[1:], *given.signers))
    return Asked(rule.name, kind, version.commit, as_of, rule.require, tuple(sorted(counted)),
                 others(asked, counted), fault)  # fmt: skip


def others(asked: Question, counted: Collection[str]) -> tuple[str, ...]:
    """Whom a rule lists and who has not signed or approved yet."""
    may = {did: right(asked, did) for did in asked.rule.signers}
    return tuple(did for did, found in may.items() if isinstance(found, Right) and found.principal not in counted)


def approvals(case: Case, verdict: Verdict, asked: Sequence[Asked]) -> list[tuple[str, Counted]]:
    """The approvals in the notes that the verdict looked at, by kind."""
    kinds = dict.fromkeys(one.kind for one in asked if one.require > 1 or (one.kind == "commit" and is_agents(case)))
    if verdict.verdict == COUNTERSIGNED or verdict.verdict in COUNTERSIGNABLE:
        kinds["countersign"] = None
    return [(kind, case.sources.approvals_of(case.commit.id, kind, case.folder, case.reception)) for kind in kinds]


def is_agents(case: Case) -> bool:
    """Is it signed by an agent?"""
    signer = judge.signer_of(case)
    policy = case.folder.policy
    rights = case.authority.rights(signer.did, policy.signers, SIGN_COMMIT) if signer and policy else []
    return any(one.is_agent for one in rights)


def key_event(key: bytes | None, own: AuthsFolder, mainline: AuthsFolder) -> KeyEvent | None:
    """Where the logs have `key`; None where none does. Of several AIDs with it, the signer's comes first."""
    if key is None:
        return None
    signer = next(iter(judge.holders(own, key)), None)
    held = [aid for aid, kel in own.kels.items() if key in held_keys_since(kel, 0)]
    if not held:
        return None
    signing = "" if signer is None else signer.did.removeprefix("did:keri:")
    aid = signing if signing in held else held[0]
    then, now = own.kels[aid], mainline.kels.get(aid)
    event = last_with(then, key)
    longer = then if now is None or extends(then, now) else now if extends(now, then) else None
    return KeyEvent(
        aid, event.sn, event.said, standing(then, key),
        None if longer is None else standing(longer, key), None if longer is None else ended_by(longer, event.sn),
    )  # fmt: skip


def last_with(kel: Kel, key: bytes) -> Event:
    """The last establishment event that gives `key` the right to sign; one does."""
    return [event for event in kel.establishments() if key in [k.ssh_blob() for k in event.state.signing_keys()]][-1]


def standing(kel: Kel, key: bytes) -> str:
    if key in [current.ssh_blob() for current in kel.current_signing_keys()]:
        return CURRENT
    return SUPERSEDED if key in held_keys_since(kel, declared_compromised(kel)) else COMPROMISED


def ended_by(kel: Kel, sn: int) -> int | None:
    return next((event.sn for event in kel.establishments() if event.sn > sn), None)


def needs(case: Case, verdict: Verdict, asked: Sequence[Asked]) -> Iterator[Need]:
    """What would make it good, as far as anything would."""
    if verdict.because_of is not None:
        yield Need(f"{verdict.because_of} behind it is not good", f"git auths explain {verdict.because_of}")
    if verdict.verdict in PASSING:
        return
    yield own_need(case, verdict, asked)
    named = brought_in(verdict)
    if named is not None:
        yield Need("once it is published, an admin who adopts the commit that it names", f"git auths adopt {named}")


def brought_in(verdict: Verdict) -> str | None:
    """The commit that a merge is `mainline-inverted` for, which a line can excuse; None where it names none."""
    found = BROUGHT_IN.match(verdict.reason) if verdict.verdict == "mainline-inverted" else None
    return None if found is None else found[1]


def own_need(case: Case, verdict: Verdict, asked: Sequence[Asked]) -> Need:
    commit, word = case.commit.id, verdict.verdict
    if word in ("threshold-unmet", "policy-change-unauthorized"):
        kind = "commit" if word == "threshold-unmet" else "admin"
        unmet = next((one for one in asked if one.kind == kind and one.fault is not None), None)
        if unmet is not None and unmet.fault is not None and unmet.fault.verdict == "threshold-unmet":
            return lacking(unmet, f"git auths approve {commit}")
    if word == "unknown-key" and verdict.rule is not None:
        return Need("the evidence of the CI job that made it", f"git auths attest {commit} in that job; git auths sync")
    if word == "incomplete":
        return Need("the notes as a whole", "git auths sync")
    if word == "mainline-inverted":
        return Need("before it is published, a mainline that this continues by its first parent",
                    "git rebase; git merge --ff-only")  # fmt: skip
    if word in COUNTERSIGNABLE and not judge.touches_auths(case):
        return Need("somebody listed who answers for it", f"git auths countersign {commit}")
    if judge.adoptable(case, Adoption(commit, case.commit.auths, False)):
        behind = "--behind " if word == "outside-root" else ""
        return Need("an admin who adopts it", f"git auths adopt {behind}{commit}")
    return Need("another commit in its place: no decision can make this one good", "git rebase")


def lacking(unmet: Asked, command: str) -> Need:
    number = unmet.require - len(unmet.counted)
    if number > 0:
        return Need(f"{number} more to approve it", command, unmet.open)
    return Need("a person's yes to what an agent did", command, (*unmet.counted, *unmet.open))


def of_tag(
    judged: TagVerdict, tag: Tag | Fault, ref: str, folder: AuthsFolder, policy: str, received: Reception | None
) -> Explanation:
    """Why the tag under `ref` has the verdict that was given. `folder` and the commit `policy` that set the policy in
    it are the mainline's: now, or where there is a receipt, on reception."""
    verdict = judged.verdict
    key = None if isinstance(tag, Fault) else signing_key(tag.signature, tag.payload)
    asked = tuple(tag_rules_asked(judged, ref, folder, policy, RECEIVED if received else NOW)) if judged.need else ()
    name = ref.removeprefix("refs/tags/")
    need = () if verdict.verdict == judge.GOOD else (tag_need(judged, tag, name, folder, ref, asked),)
    event = None if isinstance(key, Fault) else key_event(key, folder, folder)
    return Explanation(
        verdict, received, event and event._replace(in_tree=None), None, asked,
        tuple(("tag", did) for did in judged.approvers if did != verdict.principal), (), need,
        () if verdict.signer is None else acting_by(folder, verdict.signer),
    )  # fmt: skip


def tag_rules_asked(judged: TagVerdict, ref: str, folder: AuthsFolder, policy: str, as_of: str) -> Iterator[Asked]:
    """The release rules that match, to the first that is not met. Who counts is known of that one, or the strictest."""
    verdict = judged.verdict
    for rule in release_rules(folder, ref):
        is_told = rule.name == verdict.rule
        fault = Fault(verdict.verdict, verdict.reason, rule.name) if is_told and verdict.verdict != judge.GOOD else None
        counted = judged.approvers if is_told else ()
        yield Asked(rule.name, "release", policy, as_of, rule.require, counted,
                    others(question(rule, folder, None), counted), fault)  # fmt: skip
        if fault is not None:
            return


def tag_need(
    judged: TagVerdict, tag: Tag | Fault, name: str, folder: AuthsFolder, ref: str, asked: Sequence[Asked]
) -> Need:
    if judged.verdict.verdict == "incomplete" and judged.need:
        return Need("the notes as a whole", "git auths sync")
    if asked:
        return lacking(asked[-1], f"git auths approve {shlex.quote(name)}")
    if judged.verdict.verdict == judge.UNGOVERNED and not release_rules(folder, ref):
        return Need("a release rule that matches its name", "git auths policy show")
    if judged.verdict.signer is None or isinstance(tag, Fault):
        return Need("another tag in its place", f"git tag -s {shlex.quote(name)}")
    return Need("a commit that is good", f"git auths explain {judged.verdict.because_of or tag.target}")
