"""Who may act for whom, naive on purpose: delegations, grants and revocations of section 4, as they are written.

Like `naive_judge`, written from the specification alone, without a look at `git_auths.core.authority` and `rights`.

Readings, where the text leaves room (the stricter one unless it says otherwise):
- A compromise counts in every rotation, `drt` too. Void are the seals of the events from the one that `s` and `d` name
  on, up to the declaring rotation; those of that rotation itself are not.
- A revocation and the seals that it ends are compared by their places in the log, within an event by the order of its
  list. It ends the grants of the log that it stands in. Of delegations it ends those of the owner's devices too: places
  in two logs do not compare, so for good.
- Nobody stands whose log is not known, listed or not: it could name a delegator. An approver's log that came to the
  mainline only after the commit was received is not known to it.
- A delegate stands while each of its establishment events has a seal of its delegator that counts, and its delegator,
  if that is a delegate itself, stands too. A tree with a delegate's log that its delegator's log there does not seal
  has invalid logs.
- A grant to a device or an agent counts for a delegate of its issuer only; one to a member, for any log that is known.
  A subject that is somebody's delegate must stand.
- A grant counts in a tree that has its file, under its digest, and its issuer's log with its seal. Of two trees
  together it counts if it does in one of them, and nothing in the longer of their logs ends it.
- A log that forks between two trees lends nobody a right, its owner neither, though a rule lists him.
- A grant must hold what the rule is about (`sign_commit`; under the admin rule `manage_members`), and so must the one
  before it. The first is of somebody whom the rule lists.
- Somebody is an agent if a grant of his delegator that counts says so, past its expiry too, or his delegator is one;
  and whoever acts by an agent's grant. A device's or a member's grant beside it changes nothing.
- Whoever acts is past his time when a grant on the way is, or anyone on the way has an `expires_at` in the policy.
- For thresholds two have spoken when somebody acts: his owner (himself, who is no delegate), and the listed one for
  whom he acts, the nearest on the way, or the owner of that. Nobody is counted twice. Whoever may act in several ways
  is counted in the one that makes the number of principals greatest.
- Where a commit is received, its signer's rights are judged by both trees together, under its effective policy too. So
  are its approvers', whom its own tree need not know; both ways, by the other parent's tree and its own.

Not independent, since the text is silent: these follow `git_auths.core`, after a look at it.
- A compromise whose `s` and `d` name no event of its log voids all before it. A tree with a third delegation in a row
  has invalid logs.
- A grant for another trust root is not free to add. A grant's file may be removed or changed by admins.
- The admin rule does not ask whether its signer is an agent; `agents` and `agent_models` are keys of commit rules.
- `agent_models` are patterns as `fnmatch` has them, and a grant that names no model has the model "". An agent's is that
  of the grant by which it acts; a listed one has those of all its agent's grants, and each must be taken.
- A right that has expired is `expired`, whatever the rule says of agents. What only the mainline denies is
  `unauthorized-at-reception`, before what is missing to a threshold.
- A delegate approves if a grant of its delegator to a device counts, past its expiry too; else it does not as
  somebody's member either, nor does whoever acts by its grants.
- A fork between both trees is `kel-invalid` in the logs of the signer's delegators, and of all that have granted it
  something where no policy that judges the commit lists it: a listed one needs no grant, so none takes its right.
- A log that is new in a tree needs nobody's leave if its AID is listed, or stands, and it or its owner acts for somebody
  listed; of those who stand so behind one listed AID there may be 64 in the tree.
- `allowed_signers` has who stands and is listed, or was granted something that counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from hashlib import sha256
from itertools import product
from typing import NamedTuple

from git_auths.core import seals
from git_auths.core.grants import Grant
from git_auths.core.kel import Event, Kel
from git_auths.core.policy import Policy, Rule

MAX_GRANTS = 2  # on the way from somebody listed
MAX_DELEGATIONS = 2
MAX_UNLISTED = 64  # delegates and members of one listed AID


class GrantFile(NamedTuple):
    """A file below `.auths/grants/`. `envelope`: what differs outside the payload, its signature for example."""

    grant: Grant
    envelope: str = ""


def digest(grant: Grant) -> str:
    """What stands for the SHA-256 of the payload."""
    return sha256(repr(grant).encode()).hexdigest()


def aid(did: str) -> str:
    return did.removeprefix("did:keri:")


def did(aid: str) -> str:
    return f"did:keri:{aid}"


# Seals.


Place = tuple[int, int]  # the number of an event, and the place in its list


def seals_in(kel: Kel) -> Iterator[tuple[Place, object]]:
    for event in kel.events:
        for number, anchor in enumerate(event.anchors):
            yield (event.sn, number), anchor


def is_void(kel: Kel, sn: int) -> bool:
    """Was event `sn` in doubt when a later rotation declared a compromise?"""
    for event in kel.events:
        if event.ilk in ("rot", "drt"):
            for anchor in event.anchors:
                seal = seals.parse(anchor)
                if isinstance(seal, seals.Compromise) and first_in_doubt(kel, seal) <= sn < event.sn:
                    return True
    return False


def first_in_doubt(kel: Kel, seal: seals.Compromise) -> int:
    named = [event.sn for event in kel.events if (event.sn, event.said) == (seal.sn, seal.said)]
    return named[0] if named else 0


def seal_counts(kel: Kel, says_it: Callable[[object], bool], subject: str) -> bool:
    """Does a seal in the log that `says_it` count for `subject` (an AID)?"""
    revoked = [place for place, anchor in seals_in(kel) if seals.parse(anchor) == seals.Revocation(subject)]
    last = max(revoked, default=(-1, -1))
    return any(says_it(anchor) and place > last and not is_void(kel, place[0]) for place, anchor in seals_in(kel))


def seals_grant(kel: Kel, sha256: str) -> bool:
    return any(seals.parse(anchor) == seals.Grant(sha256) for _, anchor in seals_in(kel))


def is_seal_of(anchor: object, aid: str, event: Event) -> bool:
    return isinstance(anchor, dict) and list(anchor.items()) == [("i", aid), ("s", f"{event.sn:x}"), ("d", event.said)]


def lacks_delegator(kels: Mapping[str, Kel]) -> bool:
    """Is there a delegate's log here with an event that its delegator's log here does not seal, void or not?"""
    for kel in kels.values():
        if kel.delegator is not None:
            of = kels.get(kel.delegator)
            anchors = [anchor for _, anchor in seals_in(of)] if of is not None else []
            if not all(any(is_seal_of(a, kel.aid, event) for a in anchors) for event in kel.establishments()):
                return True
    return False


def is_too_deep(kels: Mapping[str, Kel]) -> bool:
    """Is there a delegate of a delegate of a delegate?"""

    def deep(kel: Kel) -> int:
        return 0 if kel.delegator is None or kel.delegator not in kels else 1 + deep(kels[kel.delegator])

    return any(deep(kel) > MAX_DELEGATIONS for kel in kels.values())


def sealed_grants(kels: Mapping[str, Kel], files: Mapping[str, GrantFile]) -> dict[str, Grant]:
    """Those that stand under their digest and that their issuers' logs here seal, void and revoked ones too."""
    return {
        name: file.grant for name, file in files.items()
        if digest(file.grant) == name and aid(file.grant.issuer) in kels
        and seals_grant(kels[aid(file.grant.issuer)], name)
    }  # fmt: skip


class Way(NamedTuple):
    """How somebody comes to act: by no grant (the rule lists him), or by one or two, that of the listed one first."""

    did: str
    grants: tuple[Grant, ...] = ()

    def everybody(self) -> tuple[str, ...]:
        return (*(grant.issuer for grant in self.grants), self.did)

    def is_past(self, now: int | None) -> bool:
        return now is not None and any(now >= grant.expires_at for grant in self.grants)


class Knowledge:
    """What one tree, or two together, say about who acts for whom under the trust root `root`.

    `delegators`: of every AID in the history whether it is a delegate, and whose; its inception says it.
    """

    def __init__(self, root: str, kels: Mapping[str, Kel], sealed: Mapping[str, Grant],
                 delegators: Mapping[str, str | None]) -> None:  # fmt: skip
        self.root, self.kels, self.sealed, self.delegators = root, kels, sealed, delegators
        for name in ("stands", "is_agent", "grants_to"):
            setattr(self, name, cache(getattr(self, name)))

    def owner(self, did_: str) -> str:
        """The delegator at the beginning of all delegations."""
        delegator = self.delegators.get(aid(did_))
        return did_ if delegator is None else self.owner(did(delegator))

    def stands(self, aid_: str) -> bool:
        delegator, kel = self.delegators.get(aid_), self.kels.get(aid_)
        if kel is None:
            return False
        if delegator is None:
            return True
        if not self.stands(delegator):
            return False
        above = self.delegators.get(delegator)
        while above is not None:
            if any(seals.parse(anchor) == seals.Revocation(aid_) for _, anchor in seals_in(self.kels[above])):
                return False
            above = self.delegators.get(above)
        return all(
            seal_counts(self.kels[delegator], lambda anchor, event=event: is_seal_of(anchor, aid_, event), aid_)  # type: ignore[misc]
            for event in kel.establishments()
        )

    def grants_to(self, did_: str) -> list[Grant]:
        """Those to `did_` that count, their time aside."""
        return [grant for sha256, grant in sorted(self.sealed.items()) if grant.subject == did_
                and grant.root == self.root and self._counts(sha256, grant)]  # fmt: skip

    def _counts(self, sha256: str, grant: Grant) -> bool:
        issuer, subject = aid(grant.issuer), aid(grant.subject)
        if issuer not in self.kels or subject not in self.kels or not self.stands(subject):
            return False
        if grant.kind != "member" and self.delegators[subject] != issuer:
            return False
        return seal_counts(self.kels[issuer], lambda anchor: seals.parse(anchor) == seals.Grant(sha256), subject)

    def own_grants_to(self, did_: str, kind: str) -> list[Grant]:
        """Those by its delegator."""
        delegator = self.delegators.get(aid(did_))
        return [] if delegator is None else [
            grant for grant in self.grants_to(did_) if grant.kind == kind and grant.issuer == did(delegator)
        ]  # fmt: skip

    def is_agent(self, did_: str) -> bool:
        return bool(self.agent_grants_to(did_))

    def agent_grants_to(self, did_: str) -> list[Grant]:
        """Its own, and its delegators'."""
        delegator = self.delegators.get(aid(did_))
        above = [] if delegator is None else self.agent_grants_to(did(delegator))
        return self.own_grants_to(did_, "agent") + above

    # What a rule asks.

    def ways(self, did_: str, rule: Rule, capability: str) -> list[Way]:
        """All ways in which `did_` comes to act under the rule, past their time or not."""
        found = []
        chains: list[tuple[Grant, ...]] = [()]
        for _ in range(MAX_GRANTS + 1):
            found += [Way(did_, chain) for chain in chains if self._is_listed(chain[0].issuer if chain else did_, rule)]
            chains = [
                (grant, *chain) for chain in chains for grant in self.grants_to(chain[0].issuer if chain else did_)
                if capability in grant.capabilities
            ]  # fmt: skip
        return found

    def _is_listed(self, did_: str, rule: Rule) -> bool:
        return did_ in rule.signers and self.stands(aid(did_))

    def by_agents(self, way: Way) -> bool:
        return any(grant.kind == "agent" for grant in way.grants) or any(map(self.is_agent, way.everybody()))

    def models_match(self, way: Way, rule: Rule) -> bool:
        """Has each agent on the way a model that the rule takes: that of the grant it acts by?"""
        agents = [grant for grant in way.grants if grant.kind == "agent" or self.is_agent(grant.subject)]
        agents += self.agent_grants_to(way.grants[0].issuer if way.grants else way.did)
        return rule.agent_models is None or all(
            any(fnmatchcase(grant.model or "", pattern) for pattern in rule.agent_models) for grant in agents
        )

    def may_approve(self, way: Way) -> bool:
        """Own keys, devices and members do."""
        delegates = [one for one in way.everybody() if self.delegators.get(aid(one)) is not None]
        return not self.by_agents(way) and all(self.own_grants_to(one, "device") for one in delegates)

    def owners(self, did_: str) -> set[str]:
        """Itself, and its delegators."""
        delegator = self.delegators.get(aid(did_))
        return {did_} if delegator is None else {did_, *self.owners(did(delegator))}

    def lineage(self, did_: str) -> set[str]:
        """Itself, whose delegate it is and who has granted it something, that counts or not; and the same of those."""
        found = {did_}
        for _ in range(MAX_GRANTS):
            found |= {
                grant.issuer for grant in self.sealed.values() if grant.subject in found and grant.root == self.root
            }
            found |= {did(delegator) for one in found if (delegator := self.delegators.get(aid(one)))}
        return found

    def principals(self, way: Way, rule: Rule) -> frozenset[str]:
        """Who has spoken when somebody acts in this way: his owner, and that of whom the rule lists, the nearest."""
        issuers = [grant.issuer for grant in way.grants]
        listed = [one for one in (*issuers, way.did) if one in rule.signers]
        return frozenset({self.owner(way.did), self.owner(listed[-1])})

    # What a tree may have without the admin rule.

    def act_for(self, did_: str, policy: Policy) -> set[str]:
        """Those whom the policy lists, itself or by grants to it whatever they let it do, their time aside."""
        found, issuers = set[str](), {did_}
        for _ in range(MAX_GRANTS + 1):
            found |= {one for one in issuers if policy.lists(one) and self.stands(aid(one))}
            issuers = {grant.issuer for one in issuers for grant in self.grants_to(one)}
        return found

    def sponsors(self, aid_: str, policy: Policy) -> set[str]:
        """The listed ones by whom an AID belongs here: those for whom it may act, or its owner."""
        if not self.stands(aid_):
            return set()
        return self.act_for(did(aid_), policy) | self.act_for(self.owner(did(aid_)), policy)

    def is_invited(self, aid_: str, policy: Policy) -> bool:
        """Does the policy list it, or has somebody listed few enough delegates and members, it among them?"""
        unlisted = [self.sponsors(one, policy) for one in self.kels if not policy.lists(did(one))]
        return policy.lists(did(aid_)) or any(
            sum(listed in sponsors for sponsors in unlisted) <= MAX_UNLISTED for listed in self.sponsors(aid_, policy)
        )


Vote = tuple[frozenset[str], bytes]  # the principals that have spoken, and by which key


def most_distinct(voters: Iterable[Iterable[Vote]]) -> int:
    """How many can be counted at once: the first, and others, no principal and no key twice. Of each all the votes that
    he may have cast are given; one counts."""
    first, *others = [list(votes) for votes in voters]
    best = 0
    for chosen in product(first, *([None, *votes] for votes in others)):
        cast = [vote for vote in chosen if vote is not None]
        spoken = [principal for principals, _ in cast for principal in principals]
        if len(spoken) == len(set(spoken)) and len({key for _, key in cast}) == len(cast):
            best = max(best, len(cast))
    return best
