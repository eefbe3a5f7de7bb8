"""Is an artifact what somebody answers for, naive on purpose: sections 4, 8 and 10 as they are written.

Like `naive_evidence`, drafted from the specification alone, and put into links after a look at the package.

Readings, where the text leaves room (the stricter one unless it says otherwise):
- Every release rule is to be met, whatever its tags. A policy without one lets no person sign artifacts.
- Of a signer whose key was declared lost an attestation counts by a trusted time before the time that was declared; an
  approval of a release is an attestation.
- Whoever may vote for a release may place an attestation before its end, by the time that his approval states.

Not independent, since the text is silent: these follow `git_auths.core`, after a look at it.
- A pipeline that a CI rule lists may be a person's DID as well: the one or the other is enough.
- A signer's end is compared with the later of the repository's clock and the time that he states, as a commit's is; an
  approver's with the clock.
- Without any rule for CI a throwaway key's attestation holds, with the warning `ungoverned`.
- Where a rule for CI has an identity, those without count for no throwaway key; else, where one requires a log or a
  timestamp, those that require neither. Of the rules that list a pipeline the latter holds as well.
- Of a person's attestation nobody asks when it was signed. A token in it is malformed.
- The time declared is the earliest of all declarations; lost is each key before the last of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from git_auths.core import seals
from git_auths.core.grants import Grant
from git_auths.core.kel import Kel
from git_auths.core.policy import Policy, Rule
from tests.oracle import naive_evidence, naive_rights
from tests.oracle.naive_evidence import NOTHING, NOTHING_MORE, Answer, Evidence, Pins, Wanted, best, broken, warned
from tests.oracle.naive_judge import Actor, blobs, is_compromised
from tests.oracle.naive_rights import Knowledge, Way, aid

ROOT = "root"


class Vote(NamedTuple):
    """An approval of a release by `key`. `names`: what it names among its artifacts."""

    did: str
    key: bytes
    at: int
    names: str = "file"
    root: str = ROOT
    is_for_tag: bool = True
    evidence: Evidence = Evidence(0)


@dataclass(frozen=True)
class Situation:
    """An attestation of the artifact `file` made from `commit`, and what stands around it at the mainline's tip.

    `signer`: None is a throwaway key, by which it is signed then. `clock`: the repository's; `now`: the wall's.
    """

    policy: Policy
    kels: Mapping[str, Kel]
    evidence: Evidence
    pins: Pins
    now: int
    clock: int
    sealed: Mapping[str, Grant] = field(default_factory=dict)
    signer: str | None = None
    key: bytes | None = None
    names: str = "file"
    root: str = ROOT
    commit: str = "c1"
    verdict: str = "good"
    votes: tuple[Vote, ...] = ()
    wanted: Wanted = NOTHING_MORE
    wanted_signer: str | None = None

    @property
    def known(self) -> Knowledge:
        delegators = {kel.aid: kel.delegator for kel in self.kels.values()}
        return Knowledge(ROOT, self.kels, self.sealed, delegators)


def judge(s: Situation) -> Answer:
    if s.names != "file":
        return broken("file")
    if s.root != ROOT or not is_signed(s) or not is_wanted(s):
        return broken("signature")
    commit = NOTHING if s.verdict in ("good", "countersigned", "adopted") else broken("commit")
    return commit | (by_throwaway(s) if s.signer is None else by_known(s))


def is_wanted(s: Situation) -> bool:
    if s.wanted_signer is None or s.signer is None:
        return s.wanted_signer is None
    return s.wanted_signer in (s.signer, s.known.owner(s.signer))


def is_signed(s: Situation) -> bool:
    if s.signer is None:
        return True
    return s.evidence.token is None and s.key is not None and counts_for(s, s.signer, s.key, s.evidence)


def counts_for(s: Situation, did: str, key: bytes, evidence: Evidence) -> bool:
    """Has he held the key, and not lost it before he signed?"""
    kel = s.kels.get(aid(did))
    if kel is None or not any(key in blobs(event.state.signing_keys()) for event in kel.establishments()):
        return False
    if not is_compromised(kel, key):
        return True
    time = naive_evidence.trusted_time(evidence, s.pins)
    return time is not None and time < lost_since(kel)


def lost_since(kel: Kel) -> int:
    declared = [seals.parse(anchor) for event in kel.events for anchor in event.anchors]
    return min(one.at_seconds for one in declared if isinstance(one, seals.Compromise))


# A throwaway key.


def by_throwaway(s: Situation) -> Answer:
    def under(rule: naive_evidence.CiRule | None) -> Answer:
        return naive_evidence.throwaway(rule, s.evidence, s.commit, s.pins, s.now, approved_at(s), s.wanted)

    if not s.policy.ci:
        return under(None) | warned("ungoverned")
    rules = [rule for rule in s.policy.ci if rule.allow_ephemeral]
    asking = [rule for rule in rules if rule.identity is not None] or demanding(rules)
    return best([under(rule) for rule in asking]) if rules else broken("release")


def demanding(rules: list[naive_evidence.CiRule]) -> list[naive_evidence.CiRule]:
    return [rule for rule in rules if rule.require_log is not None or rule.require_timestamp] or rules


# Somebody who is known.


def by_known(s: Situation) -> Answer:
    if s.wanted != NOTHING_MORE:
        return broken("token")
    rules = demanding([rule for rule in s.policy.ci if is_listed(s, rule)])
    if not is_released(s) and rules:
        return best([naive_evidence.pipeline(rule, s.evidence, s.pins, s.now, approved_at(s)) for rule in rules])
    answer = NOTHING if is_released(s) else broken("release")
    answer |= naive_evidence.stamps(s.evidence, s.pins, False) | naive_evidence.entries(s.evidence, s.pins, False)
    if s.evidence.expires_at is not None:
        answer |= naive_evidence.expiry(s.evidence.expires_at, s.evidence, s.pins, s.now, approved_at(s))
    return answer


def is_listed(s: Situation, rule: naive_evidence.CiRule) -> bool:
    assert s.signer is not None
    return (
        s.signer in rule.signers
        and s.known.stands(aid(s.signer))
        and not has_expired(s, s.signer, max(s.clock, s.evidence.issued_at))
    )


def has_expired(s: Situation, did: str, clock: int) -> bool:
    signer = s.policy.signers.get(did)
    return signer is not None and signer.expires_at is not None and clock >= signer.expires_at


def is_released(s: Situation) -> bool:
    return bool(s.policy.release) and all(is_met(s, rule) for rule in s.policy.release)


def is_met(s: Situation, rule: Rule) -> bool:
    assert s.signer is not None and s.key is not None
    known, own = s.known, ways(s, s.signer, rule, max(s.clock, s.evidence.issued_at))
    if not own:
        return False
    approvals = [(one, voting_ways(s, one.did, rule)) for one in approvers(s)]
    actors = [(Actor(s.signer, s.key), own), *approvals]
    cast = [[(known.principals(way, rule), actor.key) for way in found] for actor, found in actors if found]
    return naive_rights.most_distinct(cast) >= rule.require


def ways(s: Situation, did: str, rule: Rule, clock: int) -> list[Way]:
    found = s.known.ways(did, rule, "sign_release")
    return [
        way
        for way in found
        if not way.is_past(clock) and not any(has_expired(s, one, clock) for one in way.everybody())
    ]


def voting_ways(s: Situation, did: str, rule: Rule) -> list[Way]:
    return [way for way in ways(s, did, rule, s.clock) if s.known.may_approve(way)]


def votes(s: Situation) -> list[Vote]:
    return [
        vote for vote in s.votes
        if vote.names == "file" and vote.root == ROOT and vote.is_for_tag
        and counts_for(s, vote.did, vote.key, vote.evidence)
    ]  # fmt: skip


def approvers(s: Situation) -> list[Actor]:
    """Each of whom one vote counts."""
    first = {vote.did: Actor(vote.did, vote.key) for vote in reversed(votes(s))}
    return list(first.values())


def approved_at(s: Situation) -> int | None:
    times = [
        vote.at for vote in votes(s) if any(voting_ways(s, vote.did, rule) for rule in s.policy.release)
    ]  # fmt: skip
    return min(times, default=None)
