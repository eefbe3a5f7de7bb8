"""Key event logs: strict replay of a CESR stream to the key states it goes through (KERI 1.0).

An event is refused, and the log with it, unless
- it is canonical and bears its own digest (`keyevent`), and what follows it are attachments (`kelstream`);
- its number is one more than the last one's and its `p` that one's digest. In KERI a rotation may supersede
  an interaction (superseding recovery); here a log is one line of events, and any fork is refused;
- signatures by distinct keys meet `kt`; a rotation is signed by the keys that it introduces;
- the keys that a rotation reveals meet the `nt` of the establishment event before it;
- receipts of at least `bt` distinct witnesses are attached, or stand in the stream as messages of their own,
  before or after (`keystate` has these three);
- for `dip` and `drt`: the delegator's log seals it as {i, s, d}, and a `-G` names an event that does;
- the log goes on at all: nothing follows an empty `n`, and with `EO` no interaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from git_auths.core import keyevent, keystate
from git_auths.core.kelsplit import by_inception, delegators_first, receipts_in, split
from git_auths.core.kelstream import Message, Receipt, SealSource, StreamBroken, events_and_receipts
from git_auths.core.keyevent import Body
from git_auths.core.keystate import KeyState, Refused
from git_auths.core.verkey import Key

MAX_KEL_BYTES = 4 * 1024 * 1024
MAX_SEALS = 65_536  # in one log: a seal as short as `{}` costs the time of a real one

SealKey = tuple[str, str, str]  # the i, s and d of a seal on an event of another log


class KelInvalid(ValueError):
    """The log is refused at the event with number `sn`, for `reason`; `aid` names it where that is known, else ""."""

    def __init__(self, reason: str, sn: int, aid: str = "") -> None:
        super().__init__(f"event {sn}: {reason}")
        self.reason = reason
        self.sn = sn
        self.aid = aid


class DelegatorUnknown(KelInvalid):
    """The log is a delegate's, and neither the stream nor the caller has the log of `delegator` (an AID)."""

    def __init__(self, delegator: str, sn: int, aid: str) -> None:
        super().__init__(f"the log of its delegator {delegator} is not here", sn, aid)
        self.delegator = delegator


class Event(NamedTuple):
    """An accepted event: `length` bytes of its log from `offset` on, attachments included, messages `rct` not.

    `state` is the key state that it leaves, `anchors` its seals as parsed, `prior` the digest before it.
    """

    ilk: str
    sn: int
    said: str
    prior: str | None
    state: KeyState
    anchors: tuple[object, ...]
    offset: int
    length: int

    @property
    def is_establishment(self) -> bool:
        return self.ilk != "ixn"


class Kel(NamedTuple):
    """A replayed log of `size` bytes and at least one event.

    `sealed` has the numbers of the events that seal an event of another log, by its {i, s, d}.
    """

    aid: str
    delegator: str | None
    traits: tuple[str, ...]
    events: tuple[Event, ...]
    sealed: Mapping[SealKey, tuple[int, ...]]
    size: int

    @property
    def did(self) -> str:
        return f"did:keri:{self.aid}"

    @property
    def sn(self) -> int:
        """The number of the last event."""
        return self.events[-1].sn

    @property
    def said(self) -> str:
        """The digest of the last event."""
        return self.events[-1].said

    @property
    def state(self) -> KeyState:
        """The key state that the last event leaves."""
        return self.events[-1].state

    def current_signing_keys(self) -> tuple[Key, ...]:
        """The current keys that alone meet `kt`."""
        return self.state.signing_keys()

    def establishments(self) -> tuple[Event, ...]:
        """The inception and the rotations, in order."""
        return tuple(event for event in self.events if event.is_establishment)


def replay(stream: bytes, delegators: Mapping[str, Kel] | None = None) -> Kel:
    """The one log in `stream`; `delegators` by AID. KelInvalid says which event is refused, and why."""
    kels = replay_all(stream, delegators)
    if len(kels) > 1:
        raise KelInvalid("a second log begins", 0)
    return kels[0]


def replay_all(stream: bytes, delegators: Mapping[str, Kel] | None = None) -> tuple[Kel, ...]:
    """Every log of a stream, the one incepted last at the end. A delegator may stand after its delegate, which is
    incepted when the delegator has sealed it."""
    if len(stream) > MAX_KEL_BYTES:
        raise KelInvalid("the log is larger than 4 MiB", 0)
    if not stream:
        raise KelInvalid("the log is empty", 0)
    parts, broken = split(stream)
    known = dict(delegators or {})
    for aid in delegators_first(parts):
        log = _Log(None)
        log.take(parts[aid].messages, known)
        known[aid] = log.kel()
    if broken is not None:
        raise KelInvalid(broken.reason, broken.sn, broken.aid)
    kels = {aid: known[aid] for aid in parts}
    return tuple(kels[aid] for aid in by_inception(parts, _sealings(kels)))


def extend(kel: Kel, tail: bytes, delegators: Mapping[str, Kel] | None = None) -> Kel:
    """The log that begins with `kel` and goes on with the bytes `tail`."""
    log = _Log(kel)
    if kel.size + len(tail) > MAX_KEL_BYTES:
        raise KelInvalid("the log is larger than 4 MiB", log.next_sn, kel.aid)
    read: list[Message | Receipt] = []
    broken: StreamBroken | None = None
    try:
        read.extend(events_and_receipts(tail))
    except StreamBroken as error:
        broken = error
    log.take(read, delegators or {})
    if broken is not None:
        raise KelInvalid(str(broken), log.next_sn if broken.sn is None else broken.sn, kel.aid)
    return log.kel()


def following(kel: Kel | None, body: Body) -> KeyState:
    """The key state that an event would leave at the end of `kel` (None: as the first of a log), whoever signs it.

    Raises KelInvalid where it cannot follow.
    """
    return _Log(kel).place(body)


def _sealings(kels: Mapping[str, Kel]) -> dict[str, int]:
    """The numbers of the events that first seal the inceptions of delegates, where delegate and delegator are here."""
    found = {}
    for kel in kels.values():
        if kel.delegator is not None and kel.delegator in kels:
            found[kel.aid] = kels[kel.delegator].sealed[kel.aid, "0", kel.events[0].said][0]
    return found


class _Log:
    """A log while it grows: each event is judged by what came before it, and by the receipts on it."""

    def __init__(self, kel: Kel | None) -> None:
        self._aid = kel.aid if kel else ""
        self._delegator = kel.delegator if kel else None
        self._traits = kel.traits if kel else ()
        self._events = list(kel.events) if kel else []
        self._sealed = dict(kel.sealed) if kel else {}
        self._size = kel.size if kel else 0
        self._seals = sum(len(event.anchors) for event in self._events)

    @property
    def next_sn(self) -> int:
        return len(self._events)

    def kel(self) -> Kel:
        return Kel(self._aid, self._delegator, self._traits, tuple(self._events), self._sealed, self._size)

    def take(self, stream: Sequence[Message | Receipt], delegators: Mapping[str, Kel]) -> None:
        """Append the events of `stream`, with the receipts that stand anywhere in it."""
        receipts = receipts_in(stream)
        for message in stream:
            if isinstance(message, Message):
                self._append(message, receipts.get((message.body.sn, message.body.said), ()), delegators)
            self._size += message.length
        for sn, said in receipts:
            if not self._events or sn >= self.next_sn or self._events[sn].said != said:
                raise KelInvalid("a receipt of an event that the log does not have", sn, self._aid)

    def _append(self, message: Message, receipts: Sequence[Receipt], delegators: Mapping[str, Kel]) -> None:
        body = message.body
        before = self._events[-1].state if self._events else None
        state = self.place(body)
        self._seals += len(body.anchors)
        if self._seals > MAX_SEALS:
            raise KelInvalid(f"the log has more than {MAX_SEALS} seals", body.sn, body.aid)
        try:
            self._judge(message, receipts, state, before, delegators)
        except Refused as error:
            raise KelInvalid(str(error), body.sn, body.aid) from None
        self._events.append(
            Event(body.ilk, body.sn, body.said, body.prior, state, body.anchors, self._size, message.length)
        )
        for anchor in body.anchors:
            if not isinstance(anchor, dict):
                break  # KERI spec, seal: a field map. keripy finds no seal behind anything else.
            self._note_seal(anchor, body.sn)

    def place(self, body: Body) -> KeyState:
        """The key state that the event would leave here. Raises KelInvalid."""
        before = self._events[-1].state if self._events else None
        try:
            if before is None:
                self._incept(body)
            else:
                self._follow(body)
            return _state_after(body, before)
        except Refused as error:
            raise KelInvalid(str(error), body.sn, body.aid) from None

    def _incept(self, body: Body) -> None:
        if body.ilk not in keyevent.INCEPTIONS:
            raise Refused(f"the log of {body.aid} does not begin with an inception")
        if body.sn != 0:
            raise Refused("`s` of an inception is not 0")
        self._aid, self._delegator, self._traits = body.aid, body.delegator, body.traits

    def _follow(self, body: Body) -> None:
        last = self._events[-1]
        if body.aid != self._aid:
            raise Refused("it belongs to another log")
        if body.sn < self.next_sn:
            raise Refused(_why_not_again(body, self._events[body.sn]))
        if body.ilk in keyevent.INCEPTIONS:
            raise Refused("a second inception")
        if body.sn > self.next_sn:
            raise Refused(f"event {self.next_sn} is missing before it")
        if body.prior != last.said:
            raise Refused("`p` is not the digest of the event before it")
        if not last.state.next:
            raise Refused(f"nothing may follow the empty `n` of event {last.state.sn}")
        if body.ilk == "ixn" and "EO" in self._traits:
            raise Refused("its log takes establishment events only")
        if body.ilk == "rot" and self._delegator is not None:
            raise Refused("`rot` in the log of a delegated identifier")
        if body.ilk == "drt" and self._delegator is None:
            raise Refused("`drt` in the log of an identifier that is not delegated")

    def _judge(self, message: Message, receipts: Sequence[Receipt], state: KeyState, before: KeyState | None,
               delegators: Mapping[str, Kel]) -> None:  # fmt: skip
        body, raw, attachments = message.body, message.raw, message.attachments
        signed = keystate.verified(raw, attachments.signatures, state.keys)
        keystate.require_signing_threshold(signed, state)
        if before is not None and body.establishment is not None:
            keystate.require_committed_keys(signed, state, before)
        _require_receipts(message, receipts, state)
        if self._delegator is not None and body.establishment is not None:
            _require_seal(body, attachments.source, self._delegator, delegators)

    def _note_seal(self, anchor: dict[str, object], sn: int) -> None:
        if tuple(anchor) != ("i", "s", "d"):
            return  # KERI spec, key event seal: these fields in this order
        i, s, d = anchor.values()
        if isinstance(i, str) and isinstance(s, str) and isinstance(d, str):
            sealing = self._sealed.get((i, s, d), ())
            if sn not in sealing[-1:]:
                self._sealed[i, s, d] = (*sealing, sn)


def _why_not_again(body: Body, accepted: Event) -> str:
    if body.said == accepted.said:
        return "it stands in the log already"
    if body.ilk in keyevent.ROTATIONS and accepted.ilk == "ixn":
        return f"a superseding recovery: it would replace event {accepted.sn}"
    return f"a fork: the log has another event {accepted.sn}"


def _state_after(body: Body, before: KeyState | None) -> KeyState:
    if body.establishment is None:
        assert before is not None  # an `ixn` begins no log
        return before
    return keystate.establish(body.sn, body.said, body.establishment, before.witnesses if before else ())


def _require_receipts(message: Message, receipts: Sequence[Receipt], state: KeyState) -> None:
    raw = message.raw
    signed = keystate.receipted(raw, message.attachments.witness_signatures, state.witnesses)
    for receipt in receipts:
        signed |= keystate.receipted(raw, receipt.witness_signatures, state.witnesses)
    for couple in [couple for receipt in receipts for couple in receipt.couples]:
        if couple.key in state.witnesses and couple.key.verifies(couple.signature, raw):
            signed.add(state.witnesses.index(couple.key))
    keystate.require_receipts(signed, state)


def _require_seal(body: Body, source: SealSource | None, delegator: str,
                  delegators: Mapping[str, Kel]) -> None:  # fmt: skip
    kel = delegators.get(delegator)
    if kel is None:
        raise DelegatorUnknown(delegator, body.sn, body.aid)
    if "DND" in kel.traits:
        raise Refused("its delegator does not delegate")
    sealing = kel.sealed.get((body.aid, f"{body.sn:x}", body.said), ())
    if not sealing:
        raise Refused("its delegator's log does not seal it")
    if source is not None and (source.sn not in sealing or source.said != kel.events[source.sn].said):
        raise Refused("its seal source is no event that seals it")
