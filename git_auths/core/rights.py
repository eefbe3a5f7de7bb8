"""One rule of a policy, asked about who signed or approved: may they act under it, and how many principals are they?

Shared by the judge and by tags. A signer that a rule lists holds the rule's capability; its devices and agents, and the
members of an organisation that is listed, hold what their grants say, for as long as they say it (sections 4 and 6).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from git_auths.core.approvals import Counted
from git_auths.core.authority import Authority, Right
from git_auths.core.facts import Fault
from git_auths.core.policy import Policy, Rule
from git_auths.core.signer import Signer

SIGN_COMMIT, SIGN_RELEASE, MANAGE_MEMBERS = "sign_commit", "sign_release", "manage_members"


class Question(NamedTuple):
    """May somebody act under `rule` of `policy`, which takes `capability`, by what `authority` knows?

    `signers_until`: the Unix time that each listed signer's `expires_at` is compared with; `grants_until`: the one for
    the ends of grants. None where no clock is asked.
    """

    policy: Policy
    rule: Rule
    capability: str
    authority: Authority
    signers_until: int | None
    grants_until: int | None


def right(asked: Question, did: str) -> Right | Fault:
    """By what `did` may act; of several rights one that lasts and that the rule admits, else why there is none."""
    rule = asked.rule
    found = asked.authority.rights(did, rule.signers, asked.capability)
    if not found:
        why = asked.authority.why_not(did, rule.signers, asked.capability, rule.name)
        return Fault("unauthorized", why, rule.name)
    # A person's right before an agent's, which some rules admit on conditions only.
    lasting = sorted((one for one in found if not has_ended(asked, one)), key=lambda one: not one.is_person)
    if not lasting:
        what = "what it was granted has expired" if found[0].grants else "its expires_at has passed"
        return Fault("expired", f"{did} may sign no more: {what}", rule.name)
    admitted = next((one for one in lasting if why_excluded(rule, one) is None), None)
    return admitted or Fault("unauthorized", f"{did} is an agent: {why_excluded(rule, lasting[0])}", rule.name)


def has_ended(asked: Question, found: Right) -> bool:
    ends = found.expires_at
    if asked.grants_until is not None and ends is not None and ends <= asked.grants_until:
        return True
    return asked.signers_until is not None and any(end <= asked.signers_until for end in terms(asked.policy, found))


def terms(policy: Policy, found: Right) -> list[int]:
    """The `expires_at`, in Unix seconds, that the policy sets to anybody on the way: no grant of somebody else's makes
    an expired signer a member."""
    on_the_way = (found.listed, *(grant.subject for grant in found.grants))
    known = [policy.signers[did].expires_at for did in on_the_way if policy.lists(did)]
    return [end for end in known if end is not None]


def why_excluded(rule: Rule, found: Right) -> str | None:
    """What of `agents` and `agent_models` keeps an agent out of a commit rule. A person's own key it never does."""
    if rule.kind != "commit" or not found.is_agent:
        return None
    if rule.agents == "deny":
        return f"{rule.name} admits none"
    from fnmatch import fnmatchcase  # it imports `re`, and most who sign are no agents

    for model in found.models if rule.agent_models is not None else ():
        if not any(fnmatchcase(model, pattern) for pattern in rule.agent_models or ()):
            return f"{rule.name} does not admit the model {model or 'that its grant does not name'}"
    return None


def needs_approval(asked: Question, signer: Signer) -> bool:
    """Is it an agent, and must a principal's own key or device approve what it commits? What it changes below `.auths/`
    always: no agent changes the rules that hold it."""
    is_asked_for = asked.rule.agents == "approved" if asked.capability == SIGN_COMMIT else True
    found = right(asked, signer.did) if is_asked_for and asked.capability != SIGN_RELEASE else None
    return isinstance(found, Right) and found.is_agent


def shortfall(asked: Question, signer: Signer, counted: Counted) -> Fault | None:
    """What is missing to what the rule requires, and what was passed over on the way: to an agent's commit the yes of
    somebody who is none, and the number."""
    rule = asked.rule
    word = "incomplete" if counted.incomplete else "threshold-unmet"
    if needs_approval(asked, signer) and not principals(asked, None, counted.signers):
        reason = f"{signer.did} is an agent: {rule.name} requires a principal's approval of it{counted.passed_over()}"
        return Fault(word, reason, rule.name)
    have = len(principals(asked, signer, counted.signers))
    if have >= rule.require:
        return None
    reason = f"{have} of {rule.require} principals of {rule.name} have signed or approved it{counted.passed_over()}"
    return Fault(word, reason, rule.name)


def principals(asked: Question, signer: Signer | None, approvers: Sequence[Signer]) -> set[str]:
    """Who counts for the rule: each principal once, however many devices it has, and each key once, whoever lists it.

    An agent approves nothing: it stands for its owner in what it signs itself, and nowhere else. Nor does a delegate of
    whom nobody says that it is a device.
    """
    owner_of = asked.authority.principal
    votes = [(one, found) for one in approvers if isinstance(found := _vote(asked, one.did), Right) and found.is_person]
    # Who speaks for himself before who speaks for others: nobody counts twice, as himself and as a member.
    votes.sort(key=lambda vote: vote[1].principal != owner_of(vote[0].did))
    own = None if signer is None else _vote(asked, signer.did)
    if signer is not None and isinstance(own, Right):
        votes.insert(0, (signer, own))
    counted: dict[str, bytes] = {}
    heard: set[str] = set()
    for one, found in votes:
        speaks_for = {found.principal, owner_of(one.did)}
        if not speaks_for & heard and one.key not in counted.values():
            heard |= speaks_for
            counted[found.principal] = one.key
    return set(counted)


def _vote(asked: Question, did: str) -> Right | Fault:
    """The right by which `did` counts: one by which it speaks for its owner before one for somebody else."""
    owner = asked.authority.principal(did)
    for found in asked.authority.rights(did, asked.rule.signers, asked.capability):
        if found.principal == owner and not has_ended(asked, found) and why_excluded(asked.rule, found) is None:
            return found
    return right(asked, did)
