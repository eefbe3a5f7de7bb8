"""The judge: was each commit allowed, by what its own ancestors carried, and by what the mainline said on receiving it?

`decide` asks the rules of section 7 in this order; the first that fails is the verdict. Each is the function of that
name below, over one `Case`: a commit, what its parents hand down, and what stood on the mainline when it was received.

raw_bytes            (7.1) One canonical form of a commit; everything else is `malformed`.
trust_root           The root is good by its pin: its bytes, policy and key event logs must be valid. What does not
                     descend from it is `outside-root`.
auths_folder         `.auths` is a folder of plain files, its policy and its logs are valid: `policy-invalid`,
                     `kel-invalid`. The policy never goes away: `policy-change-unauthorized`.
ungoverned           (7.9) No commit rule matches, and nothing below `.auths/` changes.
signature            An SSH signature over the commit verifies: `unsigned`, `unsupported-signature`, `bad-signature`.
key                  (7.2) Its key is, by the logs in the commit's own tree, a current key of an AID, and signs for it
                     alone: `superseded-key`, `unknown-key`, `unauthorized`. So a rotation never un-verifies history.
kels_grow            (7.2) Each log extends the one in each parent's tree; none goes away: `kel-invalid`. Where the
                     parents' logs fork, a merge under the admin rule may keep one side.
changes_below_auths  (7.5) They need the admin rule of every policy that judges the commit:
                     `policy-change-unauthorized`. `below_auths` says what is free.
written_under        (7.3) The signer is listed in each matching rule of the effective policy, and with the approvals in
                     notes each has the principals that it requires: `unauthorized`, `expired`, `threshold-unmet`.
received_under       (7.4) The same by the policy just before the mainline received it, unless the effective one
                     descends from that: `unauthorized-at-reception`. By the mainline's logs its key may be superseded,
                     not compromised: `compromised-key`; logs that fork are `kel-invalid`.
by_ci                (10) A key in no log is a CI job's, where a rule for CI lets it commit and its evidence holds.
countersigned        (7.8) Where the signature is missing or somebody unlisted made it, an approval of kind countersign
                     by a listed principal stands in for it; never for a change below `.auths/`.

Two rules look at several commits: `mainline_inverted` (7.4) at what a mainline merge's first parent has and another
lacks, `adoptable` (7.10) at what the admins took over by name. `judgement` asks them, and says which commit is judged
as of when.

The effective policy is that of the *version* that descends from all others among the parents' versions; where none
does, each maximal one must be satisfied. A version is the commit that last set the policy, never its bytes: putting old
bytes back is a change. So a commit never authorises itself.

Pure: `Sources` hands in what the judge asks for; nothing here reads, writes or knows the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from git_auths.core.approvals import Counted
from git_auths.core.authority import Authority
from git_auths.core.auths_folder import (
    AuthsFolder,
    declared_compromised,
    extends,
    first_event_lost,
    held_keys,
)
from git_auths.core.below_auths import (
    admin_matter,
    is_changed,
    is_housekeeping,
    is_new_log,
    keeps_a_side,
    lost_decision,
    merge_bases,
    other_files,
    parent_folders,
)
from git_auths.core.case import Case, Sources
from git_auths.core.cicommits import accepted
from git_auths.core.decisions import Adoption
from git_auths.core.facts import Fault
from git_auths.core.gitobject import Malformed
from git_auths.core.lineage import State
from git_auths.core.paths import TooManyPaths, changed_path
from git_auths.core.policy import Policy, Rule
from git_auths.core.rights import MANAGE_MEMBERS, SIGN_COMMIT, Question, needs_approval, right, shortfall, terms
from git_auths.core.scope import branch_matches
from git_auths.core.signer import Signer
from git_auths.errors import TooLarge

GOOD, UNGOVERNED, COUNTERSIGNED, ADOPTED_VERDICT = "good", "ungoverned", "countersigned", "adopted"
PASSING = frozenset({GOOD, UNGOVERNED, COUNTERSIGNED, ADOPTED_VERDICT})  # may stand behind a good commit, pass a hook
SOUND = PASSING - {UNGOVERNED}

# Nobody whom the policy lists has signed it: somebody listed may stand in.
COUNTERSIGNABLE = frozenset(
    {"unsigned", "unsupported-signature", "unknown-key", "unauthorized", "unauthorized-at-reception"}
)
FAULTS_OF_A_KEY = frozenset({"kel-invalid", "compromised-key"})  # what the mainline's logs say of a signer's own
MAX_REMEMBERED = 4096  # answers about paths


class Verdict(NamedTuple):
    """The answer for one commit or tag. `signer` and `principal` are DIDs; `rule` is as the policy counts them."""

    type: str
    id: str
    verdict: str
    signer: str | None
    principal: str | None
    rule: str | None
    reason: str
    because_of: str | None = None  # the first bad commit before it on its line of history
    changes_auths: bool = False  # it changes what stands below .auths/, by which its descendants are judged

    @property
    def passes(self) -> bool:
        return self.verdict in PASSING


def decide(case: Case) -> tuple[Fault | None, Signer | None]:
    """The first rule that fails, and who signed, where the tree knows; for a countersigned commit, who stands in."""
    fault = raw_bytes(case) or trust_root(case) or auths_folder(case)
    if fault or case.is_root:
        return fault, signer_of(case)
    fault = ungoverned(case) or signature(case) or key(case)
    signer = signer_of(case)
    if fault is None and case.commit.key is not None:
        # A key is whoever's log has it: nobody takes a commit from its signer by naming her key in his own log.
        answers: list[tuple[Fault | None, Signer | None]] = []
        for one in holders(case.folder, case.commit.key):
            answers.append((signed_by(case, one), one))
            if answers[-1][0] is None:
                break
        fault, signer = next((answer for answer in answers if answer[0] is None), answers[0])
    if fault is not None and fault.verdict == "unknown-key":
        fault, signer = by_ci(case, fault)
    if fault is not None and fault.verdict in COUNTERSIGNABLE:
        return countersigned(case, fault, signer)
    return fault, signer


def signed_by(case: Case, signer: Signer) -> Fault | None:
    return (
        kels_grow(case)
        or changes_below_auths(case, signer)
        or written_under(case, signer)
        or received_under(case, signer)
    )


def raw_bytes(case: Case) -> Fault | None:
    return case.commit.raw_fault


def trust_root(case: Case) -> Fault | None:
    if case.is_root or case.parents:
        return None
    return Fault("outside-root", "it does not descend from the trust root")


def auths_folder(case: Case) -> Fault | None:
    fault = case.commit.folder_fault or case.folder.fault
    if fault:
        return fault
    if case.folder.policy is None and case.is_root:
        return Fault("policy-invalid", "the trust root has no .auths/policy.toml")
    if case.folder.policy is None:
        return Fault(
            "policy-change-unauthorized", "it removes .auths/policy.toml; a policy can be changed, not deleted"
        )
    return None


def ungoverned(case: Case) -> Fault | None:
    if touches_auths(case) or any(matching_rules(version.policy, case) for version in case.judged_by):
        return None
    return Fault(UNGOVERNED, "no commit rule of the policy matches it")


def signature(case: Case) -> Fault | None:
    return case.commit.signature_fault


def key(case: Case) -> Fault | None:
    blob = case.commit.key
    if blob is None or blob in case.folder.signers:
        return None
    for aid, kel in case.folder.kels.items():
        if blob in [key.ssh_blob() for key in kel.state.keys]:
            return Fault("unauthorized", f"its key is one of several that did:keri:{aid} must sign with")
    for aid, kel in case.folder.kels.items():
        if blob in held_keys(kel):
            return Fault("superseded-key", f"did:keri:{aid} has rotated away from its key in this commit's own tree")
    return Fault("unknown-key", "its key belongs to no identity below .auths/kels/ in its own tree")


def by_ci(case: Case, fault: Fault) -> tuple[Fault | None, Signer | None]:
    """(section 10) A key that no log knows may be a CI job's: every policy that judges the commit must take it so."""
    found = accepted(case, [version.policy for version in case.judged_by], None)
    if isinstance(found, Fault):
        return found, None
    return (fault, None) if found is None else (None, found)


def signer_of(case: Case) -> Signer | None:
    return None if case.commit.key is None else next(iter(holders(case.folder, case.commit.key)), None)


def holders(folder: AuthsFolder, key: bytes) -> list[Signer]:
    """Whose current key this is: those who may act for somebody listed, where any may, else the first."""
    dids = folder.signers.get(key, ())
    acting = [did for did in dids if folder.acts(did)]
    return [Signer(did, folder.principal(did), key) for did in acting or dids[:1]]


def kels_grow(case: Case) -> Fault | None:
    if not case.auths_changed:
        return None
    for before in parent_folders(case):
        for aid, blob_id in before.kel_ids.items():
            if case.folder.kel_ids.get(aid) == blob_id:
                continue
            now = case.folder.kels.get(aid)
            if now is None:
                return Fault("kel-invalid", f".auths/kels/{aid}.cesr is removed; key event logs only grow")
            lost = first_event_lost(now, before.kels[aid])
            if lost is not None and not keeps_a_side(case, aid):
                return Fault("kel-invalid", f".auths/kels/{aid}.cesr: event {lost} is not the one in a parent's tree")
    return None


def changes_below_auths(case: Case, signer: Signer) -> Fault | None:
    if not case.auths_changed:
        return None
    lost = lost_decision(case)
    if lost is not None:
        return Fault("policy-change-unauthorized", f"it removes a line from {lost}; decisions are append-only")
    matter = admin_matter(case)
    if matter is None:
        return None
    asked = [(version.policy, known_then(case)) for version in case.effective]
    asked += [(version.policy, known_now(case)) for version in case.received_by]
    for policy, authorities in asked:
        fault = administered_by(policy, case, signer, authorities)
        if fault is not None and fault.verdict in FAULTS_OF_A_KEY:
            return fault
        if fault is not None:
            return Fault("policy-change-unauthorized", f"it {matter}; {fault.reason}", fault.rule)
    return None


def known_then(case: Case) -> list[Authority]:
    """By what a signer's right is judged under the effective policy: the commit's own tree, and what the mainline knew
    as well when it received it."""
    return [case.authority, *known_now(case)]


def known_now(case: Case) -> list[Authority]:
    return [case.authority_at_reception]


def administered_by(
    policy: Policy, case: Case, signer: Signer, authorities: Sequence[Authority], with_clock: bool = True
) -> Fault | None:
    """What is missing to each admin rule of `policy`. No `expires_at` of the policy applies: nobody locks the door by
    waiting; what somebody was granted ends when the grant does."""
    moment = case.moment_seconds if with_clock else None
    for rule in policy.admin:
        asked = Question(policy, rule, MANAGE_MEMBERS, authorities[-1], None, moment)
        fault = barred(asked, case, signer, authorities) or too_few(asked, case, signer, "admin")
        if fault is not None:
            return fault
    return None


def written_under(case: Case, signer: Signer) -> Fault | None:
    for version in case.effective:
        fault = satisfied(version.policy, case, signer, known_then(case))
        if fault is not None:
            return fault
    return None


def received_under(case: Case, signer: Signer) -> Fault | None:
    mainline = case.sources.folder_at(case.reception.state.auths)
    return key_at_reception(case, signer, mainline) or allowed_at_reception(case, signer)


def allowed_at_reception(case: Case, signer: Signer) -> Fault | None:
    for version in case.received_by:
        fault = satisfied(version.policy, case, signer, known_now(case))
        if fault is not None and fault.verdict == "unauthorized":
            when = "when the mainline received it" if case.reception.step else "at the trust root"
            return fault._replace(verdict="unauthorized-at-reception", reason=f"{fault.reason} {when}")
        if fault is not None:
            return fault
    return None


def key_at_reception(case: Case, signer: Signer, mainline: AuthsFolder) -> Fault | None:
    """By the longer of both logs, a key that was current in the commit's tree is current, or given up but not lost.
    Nor may a log fork by which the signer acts for somebody."""
    is_listed = any(version.policy.lists(signer.did) for version in case.judged_by)
    lineage = case.authority.owners if is_listed else case.authority.lineage
    for aid in lineage(signer.did):
        then, now = case.folder.kels.get(aid), mainline.kels.get(aid)
        if then is None or now is None or extends(then, now):
            continue
        if not extends(now, then):
            return Fault("kel-invalid", f"the mainline has another key event log of {then.did}: the two fork")
        if then.did == signer.did and then.state.sn < declared_compromised(now):
            return Fault("compromised-key", f"{signer.did} has declared its key compromised")
    return None


def satisfied(
    policy: Policy, case: Case, signer: Signer, authorities: Sequence[Authority], with_clock: bool = True
) -> Fault | None:
    """What is missing to the commit rules of `policy` that match: first the right, then its term, then the number."""
    moment = case.moment_seconds if with_clock else None
    term = None if is_housekeeping(case) else moment
    asked = [Question(policy, rule, SIGN_COMMIT, authorities[-1], term, moment)
             for rule in matching_rules(policy, case)]  # fmt: skip
    faults = [fault for one in asked if (fault := barred(one, case, signer, authorities))]
    if faults:
        return min(faults, key=precedence)
    return next((fault for one in asked if (fault := too_few(one, case, signer, "commit"))), None)


def precedence(fault: Fault) -> int:
    """Which of the faults under several rules is named, whatever their order: the lowest. What the commit's own tree
    denies comes before what the mainline's logs say of the key, and that before a term that has ended."""
    if fault.verdict == "expired":
        return 2
    return int(fault.verdict in FAULTS_OF_A_KEY)


def barred(asked: Question, case: Case, signer: Signer, authorities: Sequence[Authority]) -> Fault | None:
    """Why the signer may not act, by what each of these knows, the last of them best. What the commit's own tree knows
    is asked of its signer alone: it need not know of somebody who stands in."""
    is_stand_in = signer.key != case.commit.key
    for authority in dict.fromkeys(authorities[-1:] if is_stand_in else authorities):
        found = right(asked._replace(authority=authority), signer.did)
        if isinstance(found, Fault):
            if found.verdict != "unauthorized" or authority is authorities[0]:
                return found
            # A log that forks is nobody's there; that says more than that its owner may not act.
            late = found._replace(verdict="unauthorized-at-reception")
            return key_at_reception(case, signer, case.sources.folder_at(case.reception.state.auths)) or late
        if is_stand_in and not found.is_person:
            return Fault("unauthorized", f"{signer.did} is nobody's own key or device", asked.rule.name)
    return None


def too_few(asked: Question, case: Case, signer: Signer, kind: str) -> Fault | None:
    if asked.rule.require <= 1 and not needs_approval(asked, signer):
        return None
    return shortfall(asked, signer, approvals(case, signer, kind))


def approvals(case: Case, signer: Signer, kind: str) -> Counted:
    """The approvals of this kind. Whoever else answers for a commit beside one who stands in for its signature has
    approved it as well."""
    counted = case.sources.approvals_of(case.commit.id, kind, case.folder, case.reception)
    if kind == "commit" and signer.key != case.commit.key:
        others = case.sources.approvals_of(case.commit.id, "countersign", case.folder, case.reception)
        counted = counted._replace(signers=counted.signers + others.signers)
    return counted


def matching_rules(policy: Policy, case: Case) -> list[Rule]:
    """Every commit rule whose branches and paths match (7.9, 7.6)."""
    ref = case.reception.ref.encode("utf-8", "surrogateescape")
    return [rule for rule in policy.commit if branch_matches(rule.branches, ref) and changes_paths(case, rule)]


def changes_paths(case: Case, rule: Rule) -> bool:
    """Does the commit change a path that the rule names? What is too much to look through counts as a yes."""
    if rule.paths is None:
        return True
    sources, commit = case.sources, case.commit
    question = (commit.id, rule.paths)
    if question not in sources.paths_changed:
        if len(sources.paths_changed) >= MAX_REMEMBERED:
            sources.paths_changed.clear()
        sources.paths_changed[question] = changes_any(case, rule.paths)
    return sources.paths_changed[question]


def changes_any(case: Case, patterns: tuple[str, ...]) -> bool:
    sources, commit = case.sources, case.commit
    try:
        trees = [sources.tree_of(parent) for parent in commit.parents]
        return changed_path(commit.tree, trees, lambda: base_trees(case), patterns, sources.entries) is not None
    except (TooManyPaths, Malformed, TooLarge):
        return True


def base_trees(case: Case) -> list[str]:
    return [case.sources.tree_of(base) for base in merge_bases(case)]


def countersigned(case: Case, fault: Fault, signer: Signer | None) -> tuple[Fault, Signer | None]:
    """Who stands in for the signature; where nobody does, `fault` and the signer stay.

    A listed principal's own key or device; no agent answers for what a person did not sign.
    """
    if touches_auths(case):
        return fault, signer
    counted = case.sources.approvals_of(case.commit.id, "countersign", case.folder, case.reception)
    for stand_in in counted.signers:
        if not (written_under(case, stand_in) or allowed_at_reception(case, stand_in)):
            return Fault(COUNTERSIGNED, f"{stand_in.did} answers for it ({fault.verdict})"), stand_in
    return fault._replace(reason=fault.reason + counted.passed_over()), signer


def touches_auths(case: Case) -> bool:
    """Does the commit itself change something below `.auths/`? A merge that only unites what is there does not."""
    if len(case.parents) < 2:
        return case.auths_changed
    return case.auths_changed and (
        any(is_changed(case, path) for path in other_files(case))
        or any(is_new_log(case, aid) for aid in case.folder.kel_ids)
        or bool(kels_grow(case) or lost_decision(case) or admin_matter(case))
    )


def mainline_inverted(case: Case, signer: Signer | None, other: State, pins_of: str | None) -> str | None:
    """Why a commit that `other`, another parent of a mainline merge, lacks would not have been received by it.

    `pins_of`: the tree at `.auths` whose pins judge a commit by CI as well, where the other side has changed them.
    """
    policy = other.policy.policy
    matter = admin_matter(case)
    if ungoverned(case) and not matching_rules(policy, case):
        return None
    if signer is None:
        return "nobody whom the logs know has signed it"
    knows_it = any(one.descent & other.policy.bit for one in case.effective)
    judging_policies = [one.policy for one in case.effective] if knows_it else [policy]
    if signer.is_throwaway:
        found = accepted(case, judging_policies, pins_of)
        return found.reason if isinstance(found, Fault) else None if found else "its policy lets no CI commit"
    fault = key_at_reception(case, signer, case.sources.folder_at(other.auths))
    authorities = [case.authority, case.authority_with(other.auths)]
    for judging in judging_policies:
        if matter is not None:
            fault = fault or administered_by(judging, case, signer, authorities, with_clock=False)
        fault = fault or satisfied(judging, case, signer, authorities, with_clock=False)
    return None if fault is None else fault.reason


def is_behind(other: State, first: State, sources: Sources) -> bool:
    """Does the first parent descend from the other's policy and extend its logs? Then it could not be the intruder."""
    if not first.policy.descent & other.policy.bit:
        return False
    if first.auths == other.auths:
        return True
    there, here = sources.folder_at(other.auths), sources.folder_at(first.auths)
    return all(aid in here.kels and extends(here.kels[aid], kel) for aid, kel in there.kels.items())


def adoptable(case: Case, line: Adoption) -> bool:
    """Does the line take this commit over? It never covers an invalid policy or a log that does not grow, and a change
    below `.auths/` only where it names the tree that results."""
    if raw_bytes(case) or case.is_root:
        return False
    if trust_root(case):
        return True  # what does not descend from the root sets no rules for anybody
    if auths_folder(case) or kels_grow(case) or lost_decision(case):
        return False
    return admin_matter(case) is None or line.auths == case.commit.auths


def is_plain(policy: Policy) -> bool:
    """Do the signer and the ref alone decide, so that one decision stands for many commits?"""
    return not any(rule.require > 1 or rule.paths is not None for rule in policy.commit)


def deadline_seconds(case: Case, signer: Signer | None) -> int | None:
    """Until when the like of a good commit is good: the earliest end of what its signer may act by; None: for ever. An
    agent's commit that somebody approved says nothing of any other: 0."""
    ends: list[int] = []
    if signer is None:
        return None
    if signer.is_throwaway:
        return 0  # each commit by CI has evidence of its own
    moment = case.moment_seconds
    for version in case.judged_by:
        for rule in matching_rules(version.policy, case):
            for authority in (case.authority, case.authority_at_reception):  # both have been asked
                asked = Question(version.policy, rule, SIGN_COMMIT, authority, moment, moment)
                found = right(asked, signer.did)
                if isinstance(found, Fault) or needs_approval(asked, signer):
                    return 0
                ends += terms(version.policy, found)
                ends += [] if found.expires_at is None else [found.expires_at]
    return min(ends, default=None)
