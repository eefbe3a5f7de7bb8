"""The judge: was each commit allowed, by the policy that its own parents carried?

It takes what each commit's bytes say (`Facts`), parents before children, and yields one `Verdict` a commit. The rules,
in the order in which they are asked; the first that fails is the verdict. Each is the function of that name below.

raw_bytes            One canonical form of a commit; everything else is `malformed`.
trust_root           The root is good by its pin: its bytes, policy and key event logs must be valid. What does not
                     descend from it is `outside-root`.
auths_folder         `.auths` is a folder of plain files, its policy and its logs are valid: `policy-invalid`,
                     `kel-invalid`. It never goes away: `policy-change-unauthorized`.
ungoverned           No commit rule matches, and nothing below `.auths/` changes.
signature            An SSH signature over the commit verifies: `unsigned`, `unsupported-signature`, `bad-signature`.
key                  Its key is, by the logs in the commit's own tree, a current key of an AID, and signs for it alone:
                     `superseded-key`, `unknown-key`, `unauthorized`. So a rotation never un-verifies what was signed
                     before it.
kels_grow            Each log extends the one in each parent's tree; none goes away: `kel-invalid`.
changes_below_auths  They need the admin rule of the effective policy: `policy-change-unauthorized`. Free are logs that
                     grow, logs of AIDs that the policy lists (and a few delegates of theirs), and `allowed_signers` as
                     generated.
written_under        The signer is listed in each matching rule of the effective policy: `unauthorized`.
threshold            With the approvals in notes, each rule has as many distinct principals as it requires:
                     `threshold-unmet`, or `incomplete` where the notes cannot be read whole.

The effective policy is that of the *version* that descends from all others among the parents' versions; where none
does, each maximal one must be satisfied. A version is the commit that last set the policy, never its bytes: putting old
bytes back is a change. So a commit never authorises itself. The other files below `.auths/` have versions of their own.

Pure: `folder_at` and `approvals_of` hand in what the judge asks for; nothing here reads, writes or knows the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from git_auths.core.approvals import Counted
from git_auths.core.auths_folder import ALLOWED_SIGNERS, AuthsFolder, first_event_lost, generated_id, held_keys
from git_auths.core.facts import Facts, Fault
from git_auths.core.lineage import Version, Versions, maximal
from git_auths.core.policy import Policy, Rule
from git_auths.core.scope import branch_matches
from git_auths.core.signer import Signer

GOOD, UNGOVERNED = "good", "ungoverned"
PASSING = frozenset({GOOD, UNGOVERNED})  # what may stand behind a good commit, and pass a hook

MAX_DELEGATES = 64  # logs of delegates that one listed AID may bring in without the admin rule

FolderAt = Callable[["str | None"], AuthsFolder]
# (commit id, kind of approval, the commit's own folder) -> who approved it
ApprovalsOf = Callable[[str, str, AuthsFolder], Counted]


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


class State(NamedTuple):
    """What a judged commit hands down to its children. `versions` has the bits of all that it and its ancestors set."""

    policy: Version
    files: Version  # of what stands below .auths/ beside the policy and the logs
    versions: int
    auths: str | None
    bad: str | None  # the first bad commit on the way here: itself or an ancestor


def judge(
    history: Iterable[Facts], root: str, ref: str, folder_at: FolderAt, approvals_of: ApprovalsOf
) -> Iterator[Verdict]:
    """Judge `history`, which holds every commit between the root and some tips, parents first, as part of `ref`."""
    states: dict[str, State] = {}
    outside: dict[str, str] = {}  # commit -> the first one on its line that does not descend from the root
    versions = Versions()
    precedents: dict[tuple[int, str | None, bytes | None], tuple[Fault | None, Signer | None]] = {}
    for commit in history:
        parents = [states[id] for id in commit.parents if id in states]
        case = Case(commit, parents, commit.id == root, folder_at(commit.auths), folder_at, ref, approvals_of)
        if is_ordinary(case):
            precedent = (parents[0].policy.bit, commit.auths, commit.key)
            if precedent not in precedents:
                precedents[precedent] = decide(case)
            fault, signer = precedents[precedent]
        else:
            fault, signer = decide(case)
        before = next((parent.bad for parent in parents if parent.bad), None)
        before = before or next((outside[id] for id in commit.parents if id in outside), None)
        if fault is not None and not parents:
            outside[commit.id] = before or commit.id  # a root that is not good is none
        else:
            is_bad = fault is not None and fault.verdict != UNGOVERNED
            states[commit.id] = handed_down(case, versions, before or (commit.id if is_bad else None))
        yield verdict_on(case, fault, signer, before)


def is_ordinary(case: Case) -> bool:
    """Does nothing but the policy, the folder and the key decide? So it is with nearly every commit."""
    commit = case.commit
    return (
        len(case.parents) == 1 and commit.key is not None and case.parents[0].auths == commit.auths
        and commit.raw_fault is None and commit.folder_fault is None and not case.is_root
        and not any(rule.require > 1 for rule in case.parents[0].policy.policy.commit)
    )  # fmt: skip


def verdict_on(case: Case, fault: Fault | None, signer: Signer | None, because_of: str | None) -> Verdict:
    did, principal = (None, None) if signer is None else (signer.did, signer.principal)
    verdict, reason, rule = fault or Fault(GOOD, "the trust root, by its pin" if case.is_root else "")
    return Verdict("commit", case.commit.id, verdict, did, principal, rule, reason, because_of, case.auths_changed)


def handed_down(case: Case, versions: Versions, bad: str | None) -> State:
    """A commit whose folder cannot be believed sets nothing: its children are judged by what was there before it."""
    parents = case.parents
    if len(parents) == 1 and not case.auths_changed and parents[0].bad == bad:
        return parents[0]  # nearly every commit: it sets nothing
    seen = 0
    for parent in parents:
        seen |= parent.versions
    if parents and (raw_bytes(case) or auths_folder(case)):
        return State(effective_versions(case)[0], maximal([parent.files for parent in parents])[0], seen,
                     parents[0].auths, bad)  # fmt: skip
    policy, files = inherited_policy(case), inherited_files(case)
    if policy is None or files is None:
        new = versions.new(case.folder, seen)
        policy, files, seen = policy or new, files or new, new.descent
    return State(policy, files, seen, case.commit.auths, bad)


class Case(NamedTuple):
    """One commit before the judge, with what its parents hand down (those inside the root only)."""

    commit: Facts
    parents: Sequence[State]
    is_root: bool
    folder: AuthsFolder
    folder_at: FolderAt
    ref: str
    approvals_of: ApprovalsOf

    @property
    def auths_changed(self) -> bool:
        """Something below `.auths/` is not as in a parent, or two parents' settings have diverged: then even equal
        bytes are a change."""
        if any(parent.auths != self.commit.auths for parent in self.parents):
            return True
        return len(self.parents) > 1 and (
            len(effective_versions(self)) > 1 or len(maximal([parent.files for parent in self.parents])) > 1
        )


def decide(case: Case) -> tuple[Fault | None, Signer | None]:
    """The first rule that fails, and the signer where the commit has one that the tree knows."""
    fault = raw_bytes(case) or trust_root(case) or auths_folder(case)
    if fault or case.is_root:
        return fault, signer_of(case)
    fault = ungoverned(case) or signature(case) or key(case)
    signer = signer_of(case)
    if fault or signer is None:
        return fault, signer
    return kels_grow(case) or changes_below_auths(case, signer) or written_under(case, signer), signer


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
    if case.auths_changed or any(matching_rules(version.policy, case.ref) for version in effective_versions(case)):
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


def signer_of(case: Case) -> Signer | None:
    return None if case.commit.key is None else holder(case.folder, case.commit.key)


def holder(folder: AuthsFolder, key: bytes) -> Signer | None:
    """The AID whose current key this is; of several with one key, the first that the policy lists."""
    aids = folder.signers.get(key, ())
    dids = [f"did:keri:{aid}" for aid in aids]
    did = next(
        (did for did in dids if folder.policy is not None and folder.policy.lists(did)), dids[0] if dids else None
    )
    return None if did is None else Signer(did, folder.principal(did), key)


def kels_grow(case: Case) -> Fault | None:
    if not case.auths_changed:
        return None
    for parent in case.parents:
        before = case.folder_at(parent.auths)
        for aid, blob_id in before.kel_ids.items():
            if case.folder.kel_ids.get(aid) == blob_id:
                continue
            now = case.folder.kels.get(aid)
            if now is None:
                return Fault("kel-invalid", f".auths/kels/{aid}.cesr is removed; key event logs only grow")
            lost = first_event_lost(now, before.kels[aid])
            if lost is not None:
                return Fault("kel-invalid", f".auths/kels/{aid}.cesr: event {lost} is not the one in a parent's tree")
    return None


def changes_below_auths(case: Case, signer: Signer) -> Fault | None:
    reason = admin_matter(case)
    if reason is None:
        return None
    for version in effective_versions(case):
        for rule in version.policy.admin:
            fault = listed(signer, rule) or threshold(case, signer, rule, "admin")
            if fault:
                return Fault("policy-change-unauthorized", f"it {reason}; {fault.reason}", rule.name)
    return None


def admin_matter(case: Case) -> str | None:
    """What the commit changes below `.auths/` that is not free, in words; None when there is nothing."""
    if not case.auths_changed:
        return None
    if inherited_policy(case) is None:
        return "changes the policy"
    if inherited_files(case) is None:
        return f"changes .auths/{changed_file(case)}"
    return uninvited(case.folder, [case.folder_at(parent.auths) for parent in case.parents])


def inherited_policy(case: Case) -> Version | None:
    """The version that the commit takes over; None when it sets one of its own, or its parents' have diverged."""
    effective = effective_versions(case)
    if len(effective) == 1 and effective[0].folder.policy_id == case.folder.policy_id:
        return effective[0]
    return None


def inherited_files(case: Case) -> Version | None:
    """Like `inherited_policy`, for the other files."""
    effective = maximal([parent.files for parent in case.parents])
    if len(effective) == 1 and not differing(effective[0].folder, case.folder) and allowed_signers_is_free(case):
        return effective[0]
    return None


def differing(before: AuthsFolder, now: AuthsFolder) -> set[bytes]:
    return {path for path, _ in before.files.items() ^ now.files.items()} - {ALLOWED_SIGNERS}


def allowed_signers_is_free(case: Case) -> bool:
    """It is as every parent has it, or just what the policy and the logs give. A list that one parent has could be from
    before a removal, and keep the removed key good for stock git."""
    id = case.folder.files.get(ALLOWED_SIGNERS)
    inherited = {case.folder_at(parent.auths).files.get(ALLOWED_SIGNERS) for parent in case.parents}
    return inherited == {id} or id == generated_id(case.folder)


def changed_file(case: Case) -> str:
    """The first path that is not as a parent left it, for people."""
    paths = [path for parent in case.parents for path in differing(parent.files.folder, case.folder)]
    return min(paths, default=ALLOWED_SIGNERS).decode(errors="backslashreplace")


def uninvited(now: AuthsFolder, parents: Sequence[AuthsFolder]) -> str | None:
    """A new log is free when the commit's own policy lists its AID, or it is one of few delegates of one that is."""
    delegates: dict[str, int] = {}
    for aid in now.kels.keys() - {aid for parent in parents for aid in parent.kels}:
        if now.policy is not None and now.policy.lists(f"did:keri:{aid}"):
            continue
        principal = now.principal(f"did:keri:{aid}")
        delegates[principal] = delegates.get(principal, 0) + 1
        if principal == f"did:keri:{aid}" or now.policy is None or not now.policy.lists(principal):
            return f"adds the key event log of {aid}, whom the policy does not list"
        if delegates[principal] > MAX_DELEGATES:
            return f"adds more than {MAX_DELEGATES} delegates of {principal}"
    return None


def written_under(case: Case, signer: Signer) -> Fault | None:
    for version in effective_versions(case):
        for rule in matching_rules(version.policy, case.ref):
            fault = listed(signer, rule) or threshold(case, signer, rule, "commit")
            if fault:
                return fault
    return None


def listed(signer: Signer, rule: Rule) -> Fault | None:
    if signer.did in rule.signers:
        return None
    return Fault("unauthorized", f"{signer.did} is not listed in {rule.name}", rule.name)


def threshold(case: Case, signer: Signer, rule: Rule, kind: str) -> Fault | None:
    if rule.require <= 1:
        return None
    return shortfall(rule, signer, case.approvals_of(case.commit.id, kind, case.folder))


def shortfall(rule: Rule, signer: Signer, counted: Counted) -> Fault | None:
    """What is missing to the principals that `rule` requires, and what was passed over on the way."""
    have = len(principals(rule, signer, *counted.signers))
    if have >= rule.require:
        return None
    reason = f"{have} of {rule.require} principals of {rule.name} have signed or approved it{counted.passed_over()}"
    if counted.incomplete:
        return Fault("incomplete", reason, rule.name)
    return Fault("threshold-unmet", reason, rule.name)


def principals(rule: Rule, *signers: Signer) -> set[str]:
    """Who counts for `rule`: each principal once, however many devices it has, and each key once, whoever lists it."""
    counted: dict[str, bytes] = {}
    for signer in signers:
        if signer.did in rule.signers and signer.key not in counted.values():
            counted.setdefault(signer.principal, signer.key)
    return set(counted)


def matching_rules(policy: Policy, ref: str) -> list[Rule]:
    """The commit rules whose branches match. A rule with `paths` applies to every commit: stricter, never laxer."""
    return [rule for rule in policy.commit if branch_matches(rule.branches, ref.encode())]


def effective_versions(case: Case) -> list[Version]:
    return maximal([parent.policy for parent in case.parents])
