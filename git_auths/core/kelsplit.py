"""Which messages of a stream make up which log, in which order logs can be judged, and when each was incepted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from git_auths.core import keyevent
from git_auths.core.kelstream import Message, Receipt, StreamBroken, events_and_receipts


class Part(NamedTuple):
    """What a stream holds of one log: its messages in order, and those of them that are events."""

    messages: list[Message | Receipt]
    events: list[Message]


class Broken(NamedTuple):
    """Where a stream cannot be read on: at event `sn` of `aid`, as far as that can be told."""

    reason: str
    aid: str
    sn: int


def split(stream: bytes) -> tuple[dict[str, Part], Broken | None]:
    """The logs by AID, in order of their first messages, as far as the stream can be read; and what ends it early."""
    parts: dict[str, Part] = {}
    last = ""
    try:
        for message in events_and_receipts(stream):
            last = message.body.aid if isinstance(message, Message) else message.aid
            part = parts.setdefault(last, Part([], []))
            part.messages.append(message)
            if isinstance(message, Message):
                part.events.append(message)
    except StreamBroken as error:
        aid = error.aid if error.aid in parts else "" if error.begins_log else last
        following = len(parts[aid].events) if aid in parts else 0
        return parts, Broken(str(error), aid, following if error.sn is None else error.sn)
    return parts, None


def delegators_first(parts: Mapping[str, Part]) -> list[str]:
    """The AIDs, each after its delegator's. There are no circles: a delegate's AID is the digest of an inception that
    names the delegator."""
    order: dict[str, None] = {}
    for aid in parts:
        chain: list[str] = []
        above: str | None = aid
        while above is not None and above in parts and above not in order:
            chain.append(above)
            above = _delegator(parts[above])
        order.update(dict.fromkeys(reversed(chain)))
    return list(order)


def by_inception(parts: Mapping[str, Part], sealing: Mapping[str, int]) -> list[str]:
    """The AIDs in the order in which their logs begin to hold: a delegate's not before its delegator has sealed it.

    `sealing` has the number of the first event that seals a delegate's inception, where the delegator's log is here.
    """
    since: dict[str, int] = {}
    for aid in delegators_first(parts):
        above = _delegator(parts[aid])
        begins = [parts[aid].events[0].offset]
        if above in since and aid in sealing:
            begins += [since[above], parts[above].events[sealing[aid]].offset]
        since[aid] = max(begins)
    return sorted(since, key=since.__getitem__)


def receipts_in(part: Iterable[Message | Receipt]) -> dict[tuple[int, str], list[Receipt]]:
    """The receipts, by number and digest of the event that they are for."""
    found: dict[tuple[int, str], list[Receipt]] = {}
    for message in part:
        if isinstance(message, Receipt):
            found.setdefault((message.sn, message.said), []).append(message)
    return found


def _delegator(part: Part) -> str | None:
    first = part.events[0].body if part.events else None
    return first.delegator if first is not None and first.ilk in keyevent.INCEPTIONS else None
