"""Key event logs of every kind, at random: each event is built by `kelbuild` and by keripy, to the same bytes."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any, NamedTuple

from keri.core import eventing
from keri.core.coring import MtrDex

from git_auths.core import cesr, kel, kelbuild, threshold
from git_auths.core.kel import Kel
from git_auths.core.kelstream import SealSource
from tests.kels import Signer, commitments, keys, signer

NUMBERS = range(1, 260)
ANCHORS: list[Any] = [
    {"x": "é\u2028"}, {"auths": "grant/1", "d": "ab" * 32}, "text", 1, 1.5, None, True, [], {}, [[1, {"y": []}]], {"d": "E"},
    {"i": "E", "s": "0", "d": "E"}, -0.0, 1e300, 2**70, "\U0001f600", "\\\"/\x7f",
]  # fmt: skip
WEIGHTS = ("0", "1/4", "1/3", "1/2", "2/3", "3/4", "1")


class Made(NamedTuple):
    """A stream, and what is in it: its messages in order, and the signers of all keys."""

    stream: bytes
    messages: list[bytes]


class Owner:
    """An identifier while its log grows."""

    def __init__(self, world: World, delegator: Owner | None = None) -> None:
        self.world, self.delegator = world, delegator
        self.keys: list[Signer] = []
        self.next: list[Signer] = []
        self.witnesses: list[Signer] = []
        self.kel: Kel | None = None

    @property
    def log(self) -> Kel:
        assert self.kel is not None
        return self.kel

    def incept(self) -> None:
        chance = self.world.chance
        self.keys, self.next = self.world.signers(), self.world.nexts()
        self.witnesses = self.world.witnesses()
        kt, nt = self.world.sith(len(self.keys)), self.world.sith(len(self.next))
        bt = chance.randint(1, len(self.witnesses)) if self.witnesses else 0
        traits = chance.sample(["EO", "DND", "NB"], chance.choice([0, 0, 0, 0, 1, 2]))
        common = {"kt": kt, "nt": nt, "bt": bt, "witnesses": keys(self.witnesses), "traits": traits}
        anchors = self.world.anchors()
        event = kelbuild.inception(keys(self.keys), commitments(self.next), anchors=anchors,
                                   delegator=self.delegator.log.aid if self.delegator else None, **common)  # fmt: skip
        theirs: dict[str, Any] = {
            "keys": texts(self.keys), "isith": kt, "ndigs": commitments(self.next), "nsith": nt if self.next else "0",
            "toad": bt, "wits": texts(self.witnesses), "cnfg": traits, "data": anchors, "code": MtrDex.Blake3_256,
        }  # fmt: skip
        if self.delegator:
            same(event, eventing.delcept(delpre=self.delegator.log.aid, **theirs))
        else:
            same(event, eventing.incept(**theirs))
        self._accept(event, None)

    def interact(self, *more: Any) -> None:
        anchors = [*more, *self.world.anchors()]
        event = kelbuild.interaction(self.log, anchors)
        same(event, eventing.interact(self.log.aid, self.log.said, sn=self.log.sn + 1, data=anchors))
        self._accept(event, None)

    def rotate(self, *more: Any) -> None:
        """All of the committed keys, or enough of them; with new ones among them, or with those kept back for later."""
        chance, old = self.world.chance, self.next
        places = enough(self.log.state.nt, len(old), chance)
        fresh = self.world.signers() if chance.random() < 0.3 else []
        revealed: list[tuple[Signer, int | None]] = [(old[place], place) for place in sorted(places)]
        listed = revealed + [(one, None) for one in fresh]
        if chance.random() < 0.4:
            chance.shuffle(listed)
        kept = [one for place, one in enumerate(old) if place not in places and chance.random() < 0.7]
        self.next = [*kept, *self.world.nexts()]
        chance.shuffle(self.next)
        self.keys = [one for one, _ in listed]
        kt, nt = self.world.sith(len(self.keys)), self.world.sith(len(self.next))
        cut, added = self._witnesses()
        bt = chance.randint(1, len(self.witnesses)) if self.witnesses else 0
        anchors = [*more, *self.world.anchors()]
        event = kelbuild.rotation(self.log, keys(self.keys), commitments(self.next), kt=kt, nt=nt, bt=bt,
                                  cut=keys(cut), added=keys(added), anchors=anchors)  # fmt: skip
        rotate = eventing.deltate if self.delegator else eventing.rotate
        same(event, rotate(
            pre=self.log.aid, keys=texts(self.keys), dig=self.log.said, sn=self.log.sn + 1, isith=kt,
            ndigs=commitments(self.next), nsith=nt if self.next else "0", toad=bt,
            wits=[witness.qb64 for witness in self.log.state.witnesses], cuts=texts(cut), adds=texts(added), data=anchors,
        ))  # fmt: skip
        self._accept(event, [place for _, place in listed])

    def _witnesses(self) -> tuple[list[Signer], list[Signer]]:
        chance, before = self.world.chance, self.witnesses
        cut = [one for one in before if chance.random() < 0.2]
        added = self.world.witnesses() if chance.random() < 0.3 else []
        self.witnesses = [*(one for one in before if one not in cut), *added]
        return cut, added

    def _accept(self, event: bytes, priors: Sequence[int | None] | None) -> None:
        chance, source = self.world.chance, None
        if self.delegator is not None and event_type(event) in ("dip", "drt"):
            seal = kelbuild.event_seal(event)
            self.delegator.rotate(seal) if self.delegator.must_rotate() else self.delegator.interact(seal)
            source = SealSource(self.delegator.log.sn, self.delegator.log.said)
        kt = threshold.parse(event_field(event, "kt"), len(self.keys)) if b'"kt":' in event else self.log.state.kt
        before = self.kel.state if self.kel else None
        signing = enough(kt, len(self.keys), chance)
        if priors is not None and before is not None:
            signing |= {place for place, prior in enumerate(priors) if prior is not None}
        made = [
            kelbuild.indexed_signature(self.keys[place].key, self.keys[place].sign(event), place,
                                       place if priors is None else priors[place])
            for place in sorted(signing)
        ]  # fmt: skip
        bt = int(event_field(event, "bt"), 16) if b'"bt":' in event else self.log.state.bt
        chosen = sorted(chance.sample(range(len(self.witnesses)), chance.randint(bt, len(self.witnesses))))
        receipts = [kelbuild.indexed_signature(self.witnesses[place].key, self.witnesses[place].sign(event), place, place)
                    for place in chosen]  # fmt: skip
        whole = kelbuild.with_signatures(event, made, receipts=receipts, source=source)
        known = {self.delegator.log.aid: self.delegator.log} if self.delegator else {}
        self.kel = kel.extend(self.kel, whole, known) if self.kel else kel.replay(whole, known)
        if receipts and chance.random() < 0.25:
            self.world.add(kelbuild.with_signatures(event, made, source=source))
            self.world.add(receipt_of(self.log, [self.witnesses[place] for place in chosen], event, chance))
        else:
            self.world.add(whole)

    def must_rotate(self) -> bool:
        """Only so can it seal anything; or it does so as well as by an interaction."""
        return bool(self.next) and ("EO" in self.log.traits or self.world.chance.random() < 0.3)

    def line(self) -> list[Owner]:
        """It, its delegator, and so on."""
        return [self, *(self.delegator.line() if self.delegator else [])]

    def can_go_on(self) -> bool:
        return bool(self.next)

    def can_delegate(self) -> bool:
        return self.can_go_on() and "DND" not in self.log.traits


class World:
    """Chance, and the messages that it has made."""

    def __init__(self, seed: object) -> None:
        self.chance = random.Random(str(seed))
        self.made: list[bytes] = []
        self.mixed = self.chance.random() < 0.3
        self.code = self.chance.choice(["D", "D", "1AAJ"])
        self.crowd = self.chance.random() < 0.03
        self._numbers = list(NUMBERS)
        self.chance.shuffle(self._numbers)

    def add(self, message: bytes) -> None:
        self.made.append(message)

    def signers(self) -> list[Signer]:
        count = 66 if self.crowd else self.chance.choice([1, 1, 1, 2, 3, 3, 4])
        self.crowd = False
        return [self._signer(("D", "1AAJ")) for _ in range(count)]

    def nexts(self) -> list[Signer]:
        return [] if self.chance.random() < 0.04 else self.signers()

    def witnesses(self) -> list[Signer]:
        return [self._signer(("B", "1AAI")) for _ in range(self.chance.choice([0, 0, 0, 1, 2, 4]))]

    def _signer(self, codes: tuple[str, str]) -> Signer:
        code = self.chance.choice(codes) if self.mixed else codes[("D", "1AAJ").index(self.code)]
        return signer(self._numbers.pop(), code)

    def sith(self, size: int) -> Any:
        if size == 0:
            return "0"
        if self.chance.random() < 0.5:
            return f"{self.chance.randint(1, size):x}"
        cut = self.chance.randint(1, size) if size > 1 and self.chance.random() < 0.4 else size
        lists = [self._weights(part) for part in (cut, size - cut) if part]
        return lists if len(lists) > 1 else lists[0]

    def _weights(self, size: int) -> list[str]:
        weights = [self.chance.choice(WEIGHTS) for _ in range(size)]
        try:
            threshold.parse(weights, size)
        except threshold.ThresholdInvalid:
            weights[self.chance.randrange(size)] = "1"
        return weights

    def anchors(self) -> list[Any]:
        return [self.chance.choice(ANCHORS) for _ in range(self.chance.choice([0, 0, 1, 2]))]


def make(seed: object) -> Made:
    """A log of a few events; or one with delegates, and theirs, as far as its traits allow."""
    world = World(seed)
    owners = [Owner(world)]
    owners[0].incept()
    for _ in range(world.chance.randint(0, 7)):
        alive = [owner for owner in owners if all(one.can_go_on() for one in owner.line())]
        if not alive or len(world._numbers) < 120:
            break
        owner = world.chance.choice(alive)
        parents = [one for one in alive if one.can_delegate() and len(one.line()) < 3]
        if parents and world.chance.random() < 0.15:
            owners.append(Owner(world, world.chance.choice(parents)))
            owners[-1].incept()
        elif "EO" in owner.log.traits or world.chance.random() < 0.6:
            owner.rotate()
        else:
            owner.interact()
    return Made(b"".join(world.made), world.made)


def enough(kt: threshold.Threshold, size: int, chance: random.Random) -> set[int]:
    """Places that meet the threshold: no more than needed, or some more."""
    order = chance.sample(range(size), size)
    places: set[int] = set()
    for place in order:
        if not kt.met(places, range(size)) or chance.random() < 0.3:
            places.add(place)
    return places


def receipt_of(log: Kel, witnesses: Sequence[Signer], event: bytes, chance: random.Random) -> bytes:
    """As a message of its own, as keripy makes it: couples, or signatures by index."""
    serder = eventing.receipt(pre=log.aid, sn=log.sn, said=log.said)
    if chance.random() < 0.5:
        couples = [one.key.qb64 + cesr.encode(one.key.signature_code, one.sign(event)) for one in witnesses]
        return bytes(serder.raw) + (cesr.encode_count("-C", len(couples)) + "".join(couples)).encode()
    places = [log.state.witnesses.index(one.key) for one in witnesses]
    indexed = [cesr.encode_indexed(kelbuild.indexed_signature(one.key, one.sign(event), place, place))
               for one, place in zip(witnesses, places, strict=True)]  # fmt: skip
    return bytes(serder.raw) + (cesr.encode_count("-B", len(indexed)) + "".join(indexed)).encode()


def texts(signers: Sequence[Signer]) -> list[str]:
    return [one.key.qb64 for one in signers]


def same(ours: bytes, theirs: Any) -> None:
    assert ours == theirs.raw, (ours, theirs.raw)


def event_type(event: bytes) -> str:
    return str(event_field(event, "t"))


def event_field(event: bytes, name: str) -> Any:
    return json.loads(event)[name]
