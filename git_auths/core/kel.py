"""Key event logs: strict replay of a CESR stream to the key states it goes through (KERI 1.0).

An event is refused, and the log with it, unless
- it is canonical and bears its own digest (`keyevent`), and what follows it are attachments (`kelstream`);
- its number is one more than the last one's and its `p` that one's digest. In KERI a rotation may supersede
  an interaction (superseding recovery); here a log is one line of events, and any fork is refused;
- signatures by distinct keys meet `kt`; a rotation is signed by the keys that it introduces;
- the keys that a rotation reveals meet the `nt` of the establishment event before it;
- receipts of at least `bt` distinct witnesses are attached (`keystate` has these three);
- for `dip` and `drt`: the delegator's log seals it as {i, s, d}, and a `-G` names an event that does;
- the log goes on at all: nothing follows an empty `n`, and with `EO` no interaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from git_auths.core import keyevent, keystate
from git_auths.core.kelstream import Message, SealSource, StreamBroken, messages
from git_auths.core.keyevent import Body
from git_auths.core.keystate import KeyState, Refused
from git_auths.core.verkey import Key

MAX_KEL_BYTES = 4 * 1024 * 1024

SealKey = tuple[str, str, str]  # the i, s and d of a seal on an event of another log


class KelInvalid(ValueError):
    """The log is refused at the event with number `sn`, for `reason`."""

    def __init__(self, reason: str, sn: int) -> None:
        super().__init__(f"event {sn}: {reason}")
        self.reason = reason
        self.sn = sn


class DelegatorUnknown(KelInvalid):
    """The log is a delegate's, and neither the stream nor the caller has the log of `delegator` (an AID)."""

    def __init__(self, delegator: str, sn: int) -> None:
        super().__init__(f"the log of its delegator {delegator} is not here", sn)
        self.delegator = delegator


class Event(NamedTuple):
    """An accepted event: `length` bytes of its log from `offset` on, attachments included.

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
    """Every log of a stream, in order of their first events; a delegator may stand after its delegate."""
    logs, broken = _split(stream)
    known = dict(delegators or {})
    for aid in _delegators_first(logs):
        log = _Log(None)
        for message in logs[aid]:
            log.append(message, known)
        known[aid] = log.kel()
    if broken is not None:
        raise broken
    return tuple(known[aid] for aid in logs)


def extend(kel: Kel, tail: bytes, delegators: Mapping[str, Kel] | None = None) -> Kel:
    """The log that begins with `kel` and goes on with the bytes `tail`."""
    log = _Log(kel)
    if kel.size + len(tail) > MAX_KEL_BYTES:
        raise KelInvalid("the log is larger than 4 MiB", log.next_sn)
    try:
        for message in messages(tail):
            log.append(message, delegators or {})
    except StreamBroken as error:
        raise KelInvalid(str(error), log.next_sn if error.sn is None else error.sn) from None
    return log.kel()


def _split(stream: bytes) -> tuple[dict[str, list[Message]], KelInvalid | None]:
    """The messages of each log, as far as the stream can be read, and what ends it too early."""
    if len(stream) > MAX_KEL_BYTES:
        raise KelInvalid("the log is larger than 4 MiB", 0)
    if not stream:
        raise KelInvalid("the log is empty", 0)
    logs: dict[str, list[Message]] = {}
    read: list[Message] = []  # of the log that the last message belongs to
    try:
        for message in messages(stream):
            read = logs.setdefault(message.body.aid, [])
            read.append(message)
    except StreamBroken as error:
        here = 0 if error.begins_log else len(read)
        return logs, KelInvalid(str(error), here if error.sn is None else error.sn)
    return logs, None


def _delegators_first(logs: Mapping[str, Sequence[Message]]) -> list[str]:
    """The logs' AIDs, each after its delegator's. There are no circles: an AID is the digest of an inception
    that names the delegator."""
    order: dict[str, None] = {}
    for aid in logs:
        chain: list[str] = []
        above: str | None = aid
        while above is not None and above in logs and above not in order:
            chain.append(above)
            above = logs[above][0].body.delegator
        order.update(dict.fromkeys(reversed(chain)))
    return list(order)


class _Log:
    """A log while it grows: `append` judges one message by what came before it."""

    def __init__(self, kel: Kel | None) -> None:
        self._aid = kel.aid if kel else ""
        self._delegator = kel.delegator if kel else None
        self._traits = kel.traits if kel else ()
        self._events = list(kel.events) if kel else []
        self._sealed = dict(kel.sealed) if kel else {}
        self._size = kel.size if kel else 0

    @property
    def next_sn(self) -> int:
        return len(self._events)

    def kel(self) -> Kel:
        return Kel(self._aid, self._delegator, self._traits, tuple(self._events), self._sealed, self._size)

    def append(self, message: Message, delegators: Mapping[str, Kel]) -> None:
        body = message.body
        try:
            before = self._events[-1].state if self._events else None
            if before is None:
                self._incept(body)
            else:
                self._follow(body)
            state = _state_after(body, before)
            self._judge(message, state, before, delegators)
        except Refused as error:
            raise KelInvalid(str(error), body.sn) from None
        self._events.append(
            Event(body.ilk, body.sn, body.said, body.prior, state, body.anchors, self._size, message.length)
        )
        self._size += message.length
        for anchor in body.anchors:
            self._note_seal(anchor, body.sn)

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

    def _judge(self, message: Message, state: KeyState, before: KeyState | None,
               delegators: Mapping[str, Kel]) -> None:  # fmt: skip
        body, raw, attachments = message.body, message.raw, message.attachments
        signed = keystate.verified(raw, attachments.signatures, state.keys)
        keystate.require_signing_threshold(signed, state)
        if before is not None and body.establishment is not None:
            keystate.require_committed_keys(signed, state, before)
        receipts = keystate.verified(raw, attachments.witness_signatures, state.witnesses)
        keystate.require_receipts(receipts, state)
        if self._delegator is not None and body.establishment is not None:
            _require_seal(body, attachments.source, self._delegator, delegators)

    def _note_seal(self, anchor: object, sn: int) -> None:
        if not isinstance(anchor, dict) or tuple(anchor) != ("i", "s", "d"):
            return  # KERI spec, key event seal: these fields in this order
        i, s, d = anchor.values()
        if isinstance(i, str) and isinstance(s, str) and isinstance(d, str):
            self._sealed[i, s, d] = (*self._sealed.get((i, s, d), ()), sn)


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


def _require_seal(body: Body, source: SealSource | None, delegator: str,
                  delegators: Mapping[str, Kel]) -> None:  # fmt: skip
    kel = delegators.get(delegator)
    if kel is None:
        raise DelegatorUnknown(delegator, body.sn)
    if "DND" in kel.traits:
        raise Refused("its delegator does not delegate")
    sealing = kel.sealed.get((body.aid, f"{body.sn:x}", body.said), ())
    if not sealing:
        raise Refused("its delegator's log does not seal it")
    if source is not None and (source.sn not in sealing or source.said != kel.events[source.sn].said):
        raise Refused("its seal source is no event that seals it")
