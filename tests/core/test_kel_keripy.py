"""keripy is the oracle: what one writes the other reads, to the same key state; what it refuses, we refuse."""

from __future__ import annotations

import json
import logging
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from git_auths.core import cesr, kel, kelbuild
from git_auths.core.cesr import IndexedSignature
from git_auths.core.kel import Kel, KelInvalid
from git_auths.core.kelstream import SealSource, messages
from tests.kels import GrowingLog, Signer, commitments, edited, keys, signatures, signer

try:
    from keri import help as keri_help
    from keri.core import coring, eventing, parsing
    from keri.core.coring import MtrDex
    from keri.db import basing
except Exception as error:  # a missing libsodium is no ImportError
    pytest.skip(f"keripy (the keri package, with libsodium) does not load: {error}", allow_module_level=True)

keri_help.ogler.resetLevel(level=logging.CRITICAL)

MANY_STEPS = 10_000  # keripy waits for ever on a stream that is cut off


@pytest.fixture(scope="module", autouse=True)
def in_memory() -> Iterator[None]:
    """Hundreds of databases, each written through to a disk, would take a minute."""
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(basing.Baser, "TempHeadDir", folder)
        yield


class State(NamedTuple):
    """A key state, in KERI's own terms."""

    sn: int
    said: str
    keys: list[str]
    kt: Any
    next: list[str]
    nt: Any
    bt: int
    witnesses: list[str]
    delegator: str | None


def in_keripy(stream: bytes, database: Any = None) -> dict[str, State]:
    """The state that keripy reaches with a stream, by AID."""
    if database is None:
        with basing.openDB(name="oracle", temp=True) as database:
            return in_keripy(stream, database)
    kevery = eventing.Kevery(db=database, lax=False, local=False)
    steps = parsing.Parser().allParsator(ims=bytearray(stream), kvy=kevery)
    with suppress(StopIteration):
        for _ in range(MANY_STEPS):
            next(steps)
    stagnant = -3  # an event that waits can pass through several of keripy's waiting rooms
    while stagnant < 0:
        before = accepted(kevery)
        kevery.processEscrows()
        stagnant = stagnant + 1 if accepted(kevery) == before else -3
    return {
        aid: State(kever.sn, kever.serder.said, [key.qb64 for key in kever.verfers], kever.tholder.sith,
                   [digest.qb64 for digest in kever.ndigers], kever.ntholder.sith, kever.toader.num,
                   list(kever.wits), kever.delegator or None)
        for aid, kever in kevery.kevers.items()
    }  # fmt: skip


def accepted(kevery: Any) -> int:
    return sum(kever.sn + 1 for kever in kevery.kevers.values())


def cloned(stream: bytes) -> bytes:
    """The stream as keripy writes it from its database: attachments in one group, with first-seen times."""
    with basing.openDB(name="oracle", temp=True) as database:
        aids = in_keripy(stream, database)
        return b"".join(bytes(message) for aid in aids for message in database.clonePreIter(aid))


def in_ours(stream: bytes) -> dict[str, State]:
    return {log.aid: of_ours(log) for log in kel.replay_all(stream)}


def of_ours(log: Kel) -> State:
    """keripy shows thresholds in lowest terms, and one clause without its list; ours are as in the event."""
    state = log.state
    kt, nt = (coring.Tholder(sith=threshold.json()).sith for threshold in (state.kt, state.nt))
    return State(log.sn, log.said, [key.qb64 for key in state.keys], kt, list(state.next), nt, state.bt,
                 [witness.qb64 for witness in state.witnesses], log.delegator)  # fmt: skip


# Logs that keripy makes


class KeripySigner(NamedTuple):
    """The same keys as `tests.kels.signer`."""

    signer: Any

    @property
    def qb64(self) -> str:
        return str(self.signer.verfer.qb64)

    @property
    def commitment(self) -> str:
        return str(coring.Diger(ser=self.signer.verfer.qb64b).qb64)


def of_keripy(number: int, code: str = "D") -> KeripySigner:
    transferable = code in ("D", "1AAJ")
    if code in ("D", "B"):
        return KeripySigner(coring.Signer(raw=number.to_bytes(32, "big"), transferable=transferable))
    return KeripySigner(coring.Signer(raw=(number + 1).to_bytes(32, "big"), code=MtrDex.ECDSA_256r1_Seed,
                                      transferable=transferable))  # fmt: skip


def message(serder: Any, signers: Sequence[KeripySigner], priors: Sequence[int | None] | None = None,
            witnesses: Sequence[KeripySigner] = (), source: Any = None) -> bytes:  # fmt: skip
    sigers = [
        one.signer.sign(serder.raw, index=index, only=priors is not None and priors[index] is None,
                        ondex=None if priors is None else priors[index])
        for index, one in enumerate(signers)
    ]  # fmt: skip
    wigers = [one.signer.sign(serder.raw, index=index) for index, one in enumerate(witnesses)]
    attached = bytes(eventing.messagize(serder, sigers=sigers, wigers=wigers))
    if source is not None:
        couple = coring.Counter(coring.CtrDex.SealSourceCouples, count=1).qb64
        attached += (couple + coring.Seqner(sn=source.sn).qb64 + source.said).encode()
    return attached


def seal_of(serder: Any) -> dict[str, str]:
    return {"i": serder.pre, "s": serder.snh, "d": serder.said}


BLAKE3 = {"code": MtrDex.Blake3_256}


def single(code: str = "D", **inception: Any) -> bytes:
    ring = [of_keripy(number, code) for number in range(1, 9)]
    first = eventing.incept([ring[0].qb64], ndigs=[ring[1].commitment], **BLAKE3, **inception)
    stream, prior = message(first, ring[:1]), first
    for place in range(1, 6):
        prior = eventing.rotate(first.pre, [ring[place].qb64], prior.said, sn=2 * place - 1,
                                ndigs=[ring[place + 1].commitment], data=[{"d": prior.said}])  # fmt: skip
        stream += message(prior, [ring[place]])
        prior = eventing.interact(first.pre, prior.said, sn=2 * place, data=[seal_of(prior), {"x": "ä"}])
        stream += message(prior, [ring[place]])
    return stream


def several(kt: Any, nt: Any, count: int = 3, sign: int | None = None, code: str = "D") -> bytes:
    groups = [[of_keripy(10 * group + place, code) for place in range(count)] for group in range(1, 4)]
    texts = [[one.qb64 for one in group] for group in groups]
    digests = [[one.commitment for one in group] for group in groups]
    first = eventing.incept(texts[0], isith=kt, ndigs=digests[1], nsith=nt, **BLAKE3)
    second = eventing.rotate(first.pre, texts[1], first.said, sn=1, isith=kt, ndigs=digests[2], nsith=nt)
    third = eventing.interact(first.pre, second.said, sn=2)
    stream = message(first, groups[0][:sign]) + message(second, groups[1][:sign])
    return stream + message(third, groups[1][:sign])


def partial() -> bytes:
    """One key; then two of three that it committed to, and a new one; then the one kept back."""
    a, b, c, d, e = (of_keripy(number) for number in range(31, 36))
    first = eventing.incept([a.qb64], ndigs=[b.commitment, c.commitment, d.commitment], nsith="2", **BLAKE3)
    second = eventing.rotate(first.pre, [d.qb64, e.qb64, b.qb64], first.said, sn=1, isith="2",
                             ndigs=[c.commitment], nsith="1")  # fmt: skip
    third = eventing.rotate(first.pre, [c.qb64], second.said, sn=2, ndigs=[])
    return message(first, [a]) + message(second, [d, e, b], [2, None, 0]) + message(third, [c])


def witnessed(code: str = "B") -> bytes:
    a, b, c = (of_keripy(number) for number in range(41, 44))
    v, w, x = (of_keripy(number, code) for number in range(51, 54))
    first = eventing.incept([a.qb64], ndigs=[b.commitment], wits=[v.qb64, w.qb64], toad=2, **BLAKE3)
    second = eventing.interact(first.pre, first.said, sn=1)
    third = eventing.rotate(first.pre, [b.qb64], second.said, sn=2, ndigs=[c.commitment], wits=[v.qb64, w.qb64],
                            cuts=[v.qb64], adds=[x.qb64], toad=2)  # fmt: skip
    return (message(first, [a], witnesses=[v, w]) + message(second, [a], witnesses=[v, w])
            + message(third, [b], witnesses=[w, x]))  # fmt: skip


def delegated() -> bytes:
    a, b, c, d = (of_keripy(number) for number in range(61, 65))
    root = eventing.incept([a.qb64], ndigs=[b.commitment], **BLAKE3)
    first = eventing.delcept([c.qb64], root.pre, ndigs=[d.commitment], **BLAKE3)
    sealing = eventing.interact(root.pre, root.said, sn=1, data=[seal_of(first)])
    second = eventing.interact(first.pre, first.said, sn=1)
    third = eventing.deltate(first.pre, [d.qb64], second.said, sn=2, ndigs=[a.commitment])
    rotating = eventing.rotate(root.pre, [b.qb64], sealing.said, sn=2, ndigs=[c.commitment], data=[seal_of(third)])
    return (message(root, [a]) + message(sealing, [a]) + message(rotating, [b]) + message(first, [c], source=sealing)
            + message(second, [c]) + message(third, [d], source=rotating))  # fmt: skip


def basic() -> bytes:
    a, b = of_keripy(71), of_keripy(72)
    first = eventing.incept([a.qb64], ndigs=[b.commitment])
    return message(first, [a]) + message(eventing.rotate(first.pre, [b.qb64], first.said), [b])


LOGS: dict[str, Callable[[], bytes]] = {
    "single": single,
    "p256": lambda: single("1AAJ"),
    "integers": lambda: single(intive=True),
    "traits": lambda: single(cnfg=["DND", "NB"]),
    "two of three": lambda: several("2", "2", sign=2),
    "two of three p256": lambda: several("2", "3", code="1AAJ"),
    "weights": lambda: several(["1/2", "1/2", "1/4"], ["1/2", "1/2", "1"], sign=2),
    "nested weights": lambda: several([["1/2", "1/2"], ["1"]], [["1"], ["1", "0"]]),
    "seventy keys": lambda: several("40", "40", count=70),
    "partial": partial,
    "witnessed": witnessed,
    "witnessed p256": lambda: witnessed("1AAI"),
    "delegated": delegated,
    "basic": basic,
}


@pytest.mark.parametrize("make", LOGS.values(), ids=LOGS)
def test_what_keripy_writes_is_read_to_the_same_key_state(make: Callable[[], bytes]) -> None:
    stream = make()
    state = in_keripy(stream)
    assert state
    assert in_ours(stream) == state
    assert in_ours(cloned(stream)) == state


# Logs that we make


def ours_weighted() -> bytes:
    first, second = [signer(n) for n in (1, 2, 3)], [signer(n) for n in (4, 5, 6)]
    weights = [["1/2", "1/2"], ["1"]]
    event = kelbuild.inception(keys(first), commitments(second), kt=weights, nt="2")
    stream = kelbuild.with_signatures(event, signatures(event, first))
    event = kelbuild.rotation(kel.replay(stream), keys(second[1:]), commitments(first), kt="2", nt=weights)
    return stream + kelbuild.with_signatures(event, signatures(event, second[1:], [1, 2]))


def ours_witnessed() -> bytes:
    one, two, witnesses = signer(1), signer(2), [signer(n, "B") for n in (11, 12, 13)]
    event = kelbuild.inception([one.key], [two.key.commitment], bt=2, witnesses=keys(witnesses[:2]), traits=["NB"])
    stream = kelbuild.with_signatures(event, signatures(event, [one]), receipts=signatures(event, witnesses[:2]))
    event = kelbuild.rotation(kel.replay(stream), [two.key], [], bt=1, cut=[witnesses[0].key], added=[witnesses[2].key])
    receipts = signatures(event, witnesses[1:])[1:]
    return stream + kelbuild.with_signatures(event, signatures(event, [two]), receipts=receipts)


def ours_delegated() -> bytes:
    delegate = GrowingLog(2, delegator=GrowingLog(1)).interact({"x": 1}).rotate()
    assert delegate.delegator is not None
    return delegate.delegator.stream + delegate.stream


OURS: dict[str, Callable[[], bytes]] = {
    "single": lambda: GrowingLog().rotate().interact({"x": "é\u2028"}, 1.5, None).rotate(anchors=[{"d": "y"}]).stream,
    "p256": lambda: GrowingLog(code="1AAJ").rotate().interact().stream,
    "weighted": ours_weighted,
    "witnessed": ours_witnessed,
    "delegated": ours_delegated,
}


@pytest.mark.parametrize("make", OURS.values(), ids=OURS)
def test_what_we_write_keripy_reads_to_the_same_key_state(make: Callable[[], bytes]) -> None:
    stream = make()
    assert in_keripy(stream) == in_ours(stream)


def test_keripy_builds_the_same_bytes() -> None:
    one, two = signer(1), signer(2)
    event = kelbuild.inception([one.key], [two.key.commitment], anchors=[{"x": 1}])
    theirs = eventing.incept([one.key.qb64], ndigs=[two.key.commitment], data=[{"x": 1}], **BLAKE3)
    assert event == theirs.raw
    log = kel.replay(kelbuild.with_signatures(event, signatures(event, [one])))
    assert kelbuild.interaction(log, ["y"]) == eventing.interact(theirs.pre, theirs.said, sn=1, data=["y"]).raw
    rotation = kelbuild.rotation(log, [two.key], [])
    assert rotation == eventing.rotate(theirs.pre, [two.key.qb64], theirs.said, sn=1, ndigs=[]).raw


@pytest.mark.parametrize("code", ["D", "B", "E", "1AAJ", "1AAI", "0A", "0B", "0I", "1AAG"])
def test_primitives_are_written_as_keripy_writes_them(code: str) -> None:
    raw = bytes(range(200))[7 : 7 + {"0A": 16, "0B": 64, "0I": 64, "1AAG": 24, "1AAJ": 33, "1AAI": 33}.get(code, 32)]
    assert cesr.encode(code, raw) == coring.Matter(raw=raw, code=code).qb64


@pytest.mark.parametrize(("code", "index", "prior_index"), [
    ("A", 63, 63), ("B", 5, None), ("E", 0, 0), ("F", 1, None),
    ("2A", 64, 4095), ("2B", 70, None), ("2E", 3, 1), ("2F", 4095, None),
])  # fmt: skip
def test_indexed_signatures_are_written_as_keripy_writes_them(code: str, index: int, prior_index: int | None) -> None:
    raw = bytes(range(64))
    theirs = coring.Siger(raw=raw, code=code, index=index, ondex=prior_index)
    assert cesr.encode_indexed(IndexedSignature(code, index, prior_index, raw)) == theirs.qb64


# What keripy refuses


class Mark(NamedTuple):
    """A signature that is yet to be made."""

    by: Signer
    code: str
    key_index: int
    prior_index: int | None

    def on(self, event: bytes) -> IndexedSignature:
        return IndexedSignature(self.code, self.key_index, self.prior_index, self.by.sign(event))


class Part(NamedTuple):
    """A message in pieces, so that it can be changed and signed anew."""

    event: bytes
    marks: tuple[Mark, ...]
    receipts: tuple[Mark, ...]
    source: SealSource | None

    def whole(self) -> bytes:
        made = [mark.on(self.event) for mark in self.marks]
        receipts = [mark.on(self.event) for mark in self.receipts]
        return kelbuild.with_signatures(self.event, made, receipts=receipts, source=self.source)


SIGNERS = {one.key: one for code in ("D", "B", "1AAJ", "1AAI") for one in (signer(n, code) for n in range(1, 260))}
STRANGER, WITNESS = signer(89), signer(88, "B")


def in_parts(stream: bytes) -> list[Part]:
    states = {event.said: event.state for log in kel.replay_all(stream) for event in log.events}
    parts = []
    for one in messages(stream):
        state = states[one.body.said]
        marks, receipts = (
            tuple(Mark(SIGNERS[listed[mark.key_index]], *mark[:3]) for mark in found)
            for listed, found in ((state.keys, one.attachments.signatures),
                                  (state.witnesses, one.attachments.witness_signatures))
        )  # fmt: skip
        parts.append(Part(one.raw, marks, receipts, one.attachments.source))
    return parts


def flipped(parts: list[Part], chance: random.Random) -> bytes:
    stream = bytearray(b"".join(part.whole() for part in parts))
    stream[chance.randrange(len(stream))] ^= 1 << chance.randrange(8)
    return bytes(stream)


def reordered(parts: list[Part], chance: random.Random) -> bytes:
    place, other = chance.randrange(len(parts)), chance.randrange(len(parts))
    match chance.randrange(3):
        case 0:
            del parts[place]
        case 1:
            parts.insert(other, parts[place])
        case _:
            parts[place], parts[other] = parts[other], parts[place]
    return b"".join(part.whole() for part in parts)


def signed_otherwise(parts: list[Part], chance: random.Random) -> bytes:
    place = chance.randrange(len(parts))
    part = parts[place]
    parts[place] = part._replace(marks=tuple(marked_otherwise(part.marks, chance)))
    if part.receipts and chance.random() < 0.5:
        parts[place] = part._replace(receipts=tuple(marked_otherwise(part.receipts, chance)))
    if part.source is not None and chance.random() < 0.3:
        parts[place] = part._replace(source=SealSource(chance.randrange(4), chance.choice([part.source.said, SAID])))
    return b"".join(part.whole() for part in parts)


def marked_otherwise(marks: Sequence[Mark], chance: random.Random) -> list[Mark]:
    changed = list(marks)
    mark = chance.choice(changed)
    both, current = ("A", "B") if mark.by.key.code in ("D", "B") else ("E", "F")
    index = chance.randrange(3)
    other = chance.choice(
        [
            Mark(mark.by, both, index, index),
            Mark(mark.by, current, mark.key_index, None),
            Mark(mark.by, "2" + both, mark.key_index, chance.randrange(4)),
            Mark(mark.by, "2" + current, index, None),
            mark._replace(by=STRANGER),
        ]
    )
    match chance.randrange(4):
        case 0:
            changed.remove(mark)
            return changed or [other]
        case 1:
            changed.append(other)
        case 2:
            chance.shuffle(changed)
        case _:
            changed[changed.index(mark)] = other
    return changed


SAID = STRANGER.key.commitment
THRESHOLDS = ("0", "1", "2", "3", "01", "a", 1, 2, -1, ["1"], ["1/2", "1/2"], [["1"], ["1"]], ["1", "0", "1"], "", None)
WEIGHTS = (["1/2", "1/2", "1/2"], [["1/2", "1/2"], ["1"]], ["1/2", "1/3"], ["2/4", "1/2", "1"], ["1.0", "1"], [])


def other_value(name: str, value: Any, chance: random.Random) -> Any:
    match name:
        case "kt" | "nt":
            return chance.choice(THRESHOLDS + WEIGHTS)
        case "bt":
            return chance.choice(["0", "1", "2", "3", 0, 1, 2, "00", "-1", None])
        case "s":
            return chance.choice(["0", "1", "2", "3", "4", "01", "A", "", 1])
        case "k" | "n" | "b" | "ba" | "br":
            extra = {"k": STRANGER.key.qb64, "n": SAID}.get(name, WITNESS.key.qb64)
            return chance.choice([[], value[::-1], value[1:], [*value, extra], [*value, *value], [extra], [""], extra])
        case "c":
            return chance.choice([["EO"], ["DND"], ["EO", "EO"], [], "EO"])
        case "a":
            return chance.choice([[], [{"x": 1}], ["y"], [[[]]], [None, 1.5], [{"i": SAID, "s": "0", "d": SAID}]])
        case "t":
            return chance.choice(["icp", "rot", "ixn", "dip", "drt", "rct"])
        case "i" | "p" | "di":
            return chance.choice([SAID, STRANGER.key.qb64, value[:-1] + "A", value + "A", "", None])
    return chance.choice([None, "", 1, "x"])


def of_other_content(parts: list[Part], chance: random.Random) -> bytes:
    """One field of an event is another; its digest and signatures are right, and often also what is chained to it."""
    place = chance.randrange(len(parts))
    fields = json.loads(parts[place].event)
    name = chance.choice([name for name in fields if name not in ("v", "d")])
    changes = {name: other_value(name, fields[name], chance)}
    if name == "k" and changes["k"] and chance.random() < 0.5:
        changes["kt"] = chance.choice(THRESHOLDS + WEIGHTS)
    changed = edited(parts[place].event, **changes)
    old, new = fields["d"].encode(), kelbuild.said(changed).encode()
    parts[place] = parts[place]._replace(event=changed)
    for later in range(place + 1, len(parts) if chance.random() < 0.8 else place):
        event = parts[later].event
        if old in event:
            moved = edited(event.replace(old, new))
            old, new = json.loads(event)["d"].encode(), kelbuild.said(moved).encode()
            parts[later] = parts[later]._replace(event=moved)
    if chance.random() < 0.3:
        return signed_otherwise(parts, chance)
    return b"".join(part.whole() for part in parts)


CHANGES = [flipped, reordered, signed_otherwise, of_other_content, of_other_content, of_other_content]
CHANGEABLE = [name for name in LOGS if name != "seventy keys"]


@pytest.mark.parametrize("name", CHANGEABLE)
def test_what_keripy_refuses_we_refuse(name: str) -> None:
    """Hundreds of logs with something changed: whatever we accept, keripy accepts to the same key state."""
    chance = random.Random(name)
    parts = in_parts(LOGS[name]())
    outcomes = []
    for _ in range(40):
        stream = chance.choice(CHANGES)(list(parts), chance)
        try:
            ours = in_ours(stream)
        except KelInvalid as error:
            outcomes.append(error.reason)
            continue
        outcomes.append("")
        assert in_keripy(stream) == ours, stream
    assert outcomes.count("") >= 3
    assert len(set(outcomes)) > 8


def test_a_delegate_without_a_seal_source_is_found_by_its_seal() -> None:
    """keripy does so when it goes through what it put aside."""
    delegate = GrowingLog(2, delegator=GrowingLog(1))
    assert delegate.delegator is not None
    stream = delegate.delegator.stream + delegate.stream[: delegate.stream.rindex(b"-G")]
    assert delegate.kel.aid in in_ours(stream)
    assert in_keripy(stream) == in_ours(stream)
