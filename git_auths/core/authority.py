"""Who may act for whom: delegations, grants and revocations, as the key event logs seal them (DESIGN section 4).

What a log has sealed stands unless a later seal of the same log revokes it, or a rotation has declared the keys in
doubt that sealed it. A delegate has authority only while every establishment event of its log is sealed by one that
stands: never by an older key state. Rights are the intersection down the chain, two grants deep at most.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from git_auths.core import seals
from git_auths.core.kel import Kel, SealKey

TYPE_CHECKING = False
if TYPE_CHECKING:
    from git_auths.core.grants import Grant

DID_PREFIX = "did:keri:"
HARDWARE_PREFIX = "ssh:"  # a hardware key has no identifier, and no log
MAX_GRANTS_DEEP = 2  # DESIGN section 4: delegates
MAX_LEDGERS = 4096  # kept in memory at once

Place = tuple[int, int]  # of a seal: the number of its event, and where it stands among that one's seals


class Ledger(NamedTuple):
    """What one log has sealed, by the places of the seals. `void` are ranges of event numbers, the last excluded."""

    granted: Mapping[str, Sequence[Place]]  # by the SHA-256 of the grant's payload
    delegated: Mapping[SealKey, Sequence[Place]]  # by the event of the other log
    revoked: Mapping[str, Place]  # by AID, the last one
    void: tuple[tuple[int, int], ...]

    def stands(self, places: Sequence[Place], aid: str) -> bool:
        """Is one of the seals at `places`, which are about `aid`, neither void nor before a revocation of it?"""
        revoked = self.revoked.get(aid, (-1, 0))
        return any(place > revoked and not self.is_void(place) for place in places)

    def is_void(self, place: Place) -> bool:
        return any(first <= place[0] < declaring for first, declaring in self.void)


_ledgers: dict[str, Ledger] = {}  # by the digest of the log's last event, which stands for all before it


def ledger(kel: Kel) -> Ledger:
    """What `kel` has sealed; read once for each state of a log."""
    known = _ledgers.get(kel.said)
    if known is None:
        if len(_ledgers) >= MAX_LEDGERS:
            _ledgers.clear()
        known = _ledgers[kel.said] = _read(kel)
    return known


def _read(kel: Kel) -> Ledger:
    granted: dict[str, list[Place]] = {}
    delegated: dict[SealKey, list[Place]] = {}
    revoked: dict[str, Place] = {}
    void: list[tuple[int, int]] = []
    for event in kel.events:
        for index, anchor in enumerate(event.anchors):
            place = event.sn, index
            match seals.parse(anchor):
                case seals.Grant(sha256):
                    granted.setdefault(sha256, []).append(place)
                case seals.Revocation(aid):
                    revoked[aid] = place
                case seals.Compromise(sn, said, _) if event.is_establishment:
                    # What does not name an event of this log puts all before it in doubt.
                    is_ours = sn < event.sn and kel.events[sn].said == said
                    void.append((sn if is_ours else 0, event.sn))
            key = _event_sealed(anchor)
            if key is not None:
                delegated.setdefault(key, []).append(place)
    return Ledger(granted, delegated, revoked, tuple(void))


def _event_sealed(anchor: object) -> SealKey | None:
    """KERI specification, key event seal: `i`, `s` and `d`, in this order."""
    if isinstance(anchor, dict) and tuple(anchor) == ("i", "s", "d"):
        i, s, d = anchor.values()
        if isinstance(i, str) and isinstance(s, str) and isinstance(d, str):
            return i, s, d
    return None


class Right(NamedTuple):
    """By what a signer may do something: `listed` (a DID) is in the rule, `grants` lead from the signer up to it.

    `models` are those of the agents on the way, the signer included; a person's own key or device has none.
    `is_delegate`: a rule lists it, who is somebody's delegate and of whom no grant says that it is a device.
    """

    listed: str
    principal: str  # who counts, once
    grants: tuple[Grant, ...] = ()
    models: tuple[str, ...] = ()
    is_delegate: bool = False

    @property
    def is_agent(self) -> bool:
        return bool(self.models)

    @property
    def is_person(self) -> bool:
        """Is it a principal's own key or device? Only that answers for what others did."""
        return not self.models and not self.is_delegate

    @property
    def expires_at(self) -> int | None:
        """Unix seconds: when the first of the grants ends; None where there is none."""
        return min((grant.expires_at for grant in self.grants), default=None)


class Authority:
    """What logs and grants say together: those of one tree, or of a commit's and the mainline's that receives it.

    `grants`, by the SHA-256 of their payloads, are those whose issuer's log has sealed them, standing or not.
    """

    __slots__ = ("_by_subject", "grants", "kels")

    def __init__(self, kels: Mapping[str, Kel], grants: Mapping[str, Grant]) -> None:
        self.kels = kels
        self.grants = grants
        self._by_subject: dict[str, list[str]] = {}
        for sha256, grant in grants.items():
            self._by_subject.setdefault(grant.subject, []).append(sha256)

    def principal(self, did: str) -> str:
        """The DID that counts for `did`: a delegate collapses into its delegator."""
        aid = did.removeprefix(DID_PREFIX)
        for _ in range(MAX_GRANTS_DEEP):
            kel = self.kels.get(aid)
            if kel is None or kel.delegator is None:
                break
            aid = kel.delegator
        return DID_PREFIX + aid if aid != did else did

    def rights(self, did: str, listed: Collection[str], capability: str | None) -> list[Right]:
        """By what `did` may do what takes `capability` (None: anything) for one of those `listed`: its own listing
        first, then what lasts longest."""
        found = _best(self._rights(did, listed, capability, MAX_GRANTS_DEEP))
        return sorted(found, key=lambda right: (bool(right.grants), -(right.expires_at or 0)))

    def _rights(self, did: str, listed: Collection[str], capability: str | None, depth: int) -> Iterator[Right]:
        if not self.stands(did):
            return
        if did in listed:
            yield self._own_right(did)
        if not depth:
            return
        granted = self._lasting_longest(did, capability)
        above = {
            issuer: _best(self._rights(issuer, listed, capability, depth - 1))
            for issuer in dict.fromkeys(grant.issuer for grant in granted)
        }
        if not any(above.values()):
            return
        is_agent, is_delegate = bool(self._models(did)), self._is_mere_delegate(did)
        for grant in granted:
            for right in above[grant.issuer]:
                models = (grant.model or "", *right.models) if is_agent else right.models
                yield right._replace(
                    grants=(grant, *right.grants), models=models, is_delegate=is_delegate or right.is_delegate
                )

    def _lasting_longest(self, did: str, capability: str | None) -> list[Grant]:
        """What counts of what `did` was granted: of renewals the one that ends last. So nobody crowds out what
        somebody else has granted."""
        latest: dict[tuple[str, str, str | None], Grant] = {}
        for sha256 in self._by_subject.get(did, ()):
            grant = self.grants[sha256]
            if (capability is None or capability in grant.capabilities) and self.counts(sha256):
                known = latest.setdefault((grant.issuer, grant.kind, grant.model), grant)
                if grant.expires_at > known.expires_at:
                    latest[grant.issuer, grant.kind, grant.model] = grant
        return list(latest.values())

    def _own_right(self, did: str) -> Right:
        return Right(did, self.principal(did), (), tuple(self._models(did)), self._is_mere_delegate(did))

    def _is_mere_delegate(self, did: str) -> bool:
        """Is it somebody's delegate, of whom no grant that counts says that it is a device?"""
        kinds = ((sha256, self.grants[sha256].kind) for sha256 in self._by_subject.get(did, ()))
        return bool(self._delegator(did)) and not any(kind == "device" and self.counts(one) for one, kind in kinds)

    def _models(self, did: str) -> list[str]:
        """The models of the agent that `did` is, or whose delegate it is; none where it is no agent. Whoever has ever
        been granted something as an agent, and stands, is one: no grant beside it makes it a device or a member."""
        granted = [sha256 for aid in self.owners(did) for sha256 in self._by_subject.get(DID_PREFIX + aid, ())]
        models = ((sha256, self.grants[sha256]) for sha256 in granted)
        return [grant.model or "" for sha256, grant in models if grant.kind == "agent" and self.counts(sha256)]

    def counts(self, sha256: str) -> bool:
        """Is the grant sealed by its issuer's log, not void, not revoked since, and for one whom it can be for?"""
        grant = self.grants[sha256]
        issuer = self.kels.get(grant.issuer.removeprefix(DID_PREFIX))
        if issuer is None or not ledger(issuer).stands(ledger(issuer).granted.get(sha256, ()), grant.revocable_as):
            return False
        if grant.kind == "member" or grant.key is not None:
            return True
        return self._delegator(grant.subject) == issuer.aid

    def stands(self, did: str) -> bool:
        """Is its log known, and is it nobody's delegate, or one whose every establishment event is sealed by a seal
        that stands? A log that is held back could name a delegator, one that forks says nothing for sure."""
        kel = self.kels.get(did.removeprefix(DID_PREFIX))
        if kel is None:
            return did.startswith(HARDWARE_PREFIX)
        if kel.delegator is None:
            return True
        delegator = self.kels.get(kel.delegator)
        if delegator is None or not self.stands(delegator.did):
            return False
        above = self.owners(delegator.did)[1:]
        if any(kel.aid in ledger(self.kels[aid]).revoked for aid in above):
            return False  # who could end the delegator's authority can end what that has delegated
        sealed = ledger(delegator)
        return all(
            sealed.stands(sealed.delegated.get((kel.aid, f"{event.sn:x}", event.said), ()), kel.aid)
            for event in kel.establishments()
        )

    def _delegator(self, did: str) -> str:
        kel = self.kels.get(did.removeprefix(DID_PREFIX))
        return "" if kel is None else kel.delegator or ""

    def owners(self, did: str) -> list[str]:
        """The AIDs of `did` and of its delegators."""
        found = [did.removeprefix(DID_PREFIX)]
        while len(found) <= MAX_GRANTS_DEEP and (above := self._delegator(DID_PREFIX + found[-1])):
            found.append(above)
        return found

    def lineage(self, did: str) -> list[str]:
        """The AIDs whose logs say what `did` may do: its own, its delegators', its grants' issuers'."""
        found = {did.removeprefix(DID_PREFIX): None}
        level = [did]
        for _ in range(MAX_GRANTS_DEEP):
            above = [self.grants[sha256].issuer for one in level for sha256 in self._by_subject.get(one, ())]
            above += [DID_PREFIX + aid for one in level if (aid := self._delegator(one))]
            level = [one for one in dict.fromkeys(above) if one.removeprefix(DID_PREFIX) not in found]
            found.update(dict.fromkeys(one.removeprefix(DID_PREFIX) for one in level))
        return list(found)

    def why_not(self, did: str, listed: Collection[str], capability: str, rule: str) -> str:
        """Why `did`, who has no such right, has none, in words."""
        if not self.stands(did):
            return self._why_fallen(did)
        all_of_it = self._by_subject.get(did, ())
        granted = [sha256 for sha256 in all_of_it if self._leads_to(self.grants[sha256].issuer, listed)]
        if not granted:
            return f"{did} is not listed in {rule}"
        standing = [self.grants[sha256] for sha256 in granted if self.counts(sha256)]
        if not standing:
            return f"what {did} was granted has been revoked, or was sealed by a key that is in doubt"
        if not any(capability in grant.capabilities for grant in standing):
            return f"{did} is granted {', '.join(standing[0].capabilities)}, not {capability}"
        return f"{did} is not listed in {rule}, and who has granted it something may not do it either"

    def _why_fallen(self, did: str) -> str:
        """Why `did` does not stand, in words."""
        kel = self.kels.get(did.removeprefix(DID_PREFIX))
        if kel is None:
            return f"the log of {did} is not here, or forks"
        delegator = self.kels.get(kel.delegator or "")
        if delegator is None:
            return f"the log of {DID_PREFIX}{kel.delegator}, which delegates to {did}, is not here, or forks"
        if not self.stands(delegator.did):
            return self._why_fallen(delegator.did)
        sealed = ledger(delegator).delegated
        for event in kel.establishments():
            if (kel.aid, f"{event.sn:x}", event.said) not in sealed:
                return f"the log of {delegator.did} that is here does not seal event {event.sn} of {did}"
        return f"the delegation of {did} has been revoked or was sealed by a key that is in doubt"

    def _leads_to(self, issuer: str, listed: Collection[str]) -> bool:
        return any(DID_PREFIX + aid in listed for aid in self.lineage(issuer))


def _best(rights: Iterable[Right]) -> list[Right]:
    """Of rights that lead to the same by the same sort of signer the one that lasts longest."""
    best: dict[tuple[object, ...], Right] = {}
    for right in rights:
        sort = (right.listed, right.principal, right.models, right.is_delegate, bool(right.grants))
        known = best.setdefault(sort, right)
        if (right.expires_at or 0) > (known.expires_at or 0):
            best[sort] = right
    return list(best.values())


NOBODY = Authority({}, {})


def together(own: Authority, other: Authority) -> Authority:
    """What two trees say together: of each log the longer one, and the grants of both. Logs that fork are nobody's."""
    if own is other or not other.kels:
        return own
    kels = dict(own.kels)
    for aid, kel in other.kels.items():
        present = kels.get(aid)
        if present is None or _begins(kel, present):
            kels[aid] = kel
        elif not _begins(present, kel):
            del kels[aid]
    grants = {**other.grants, **own.grants}
    return Authority(kels, {sha256: grant for sha256, grant in grants.items() if _is_sealed(sha256, grant, kels)})


def _begins(longer: Kel, shorter: Kel) -> bool:
    """Is `shorter` a beginning of `longer`? Each event holds the digest of the one before it."""
    last = len(shorter.events) - 1
    return len(longer.events) > last and longer.events[last].said == shorter.said


def _is_sealed(sha256: str, grant: Grant, kels: Mapping[str, Kel]) -> bool:
    issuer = kels.get(grant.issuer.removeprefix(DID_PREFIX))
    return issuer is not None and sha256 in ledger(issuer).granted
