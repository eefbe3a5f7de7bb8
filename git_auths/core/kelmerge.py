"""Merging two versions of one key event log: the longer one, where the shorter is its beginning.

Logs only grow, so two that went on from one state by themselves are a fork, which no program may settle: an admin
decides which side is kept (DESIGN section 7, rule 2).
"""

from __future__ import annotations

from git_auths.core.kel import DelegatorUnknown, KelInvalid, replay
from git_auths.core.kelstream import StreamBroken, events_and_receipts


class NotInLine(ValueError):
    """Neither log is the beginning of the other, or the longer one is no valid log; the message says which."""


def longer(ours: bytes, theirs: bytes) -> bytes:
    """The longer of two streams, when it is a valid log that begins with every event of the other, byte for byte.

    A delegate's log is taken by its form: its delegator's is not here, and whoever verifies replays both.
    """
    shorter, longer = sorted((ours, theirs), key=len)
    ends = list(_event_ends(longer))
    if not longer.startswith(shorter) or len(shorter) not in ends:
        raise NotInLine(_parting(shorter, longer))
    try:
        replay(longer)
    except DelegatorUnknown:
        pass
    except KelInvalid as error:
        raise NotInLine(f"the longer log is not valid: {error}") from None
    return longer


def _event_ends(stream: bytes) -> list[int]:
    """Where each event or receipt ends, its attachments included."""
    try:
        return [message.offset + message.length for message in events_and_receipts(stream)]
    except StreamBroken as error:
        raise NotInLine(f"one of the logs cannot be read: {error}") from None


def _parting(shorter: bytes, longer: bytes) -> str:
    """Which event is the first that the two logs do not share."""
    start = 0
    for number, end in enumerate(_event_ends(longer)):
        if longer[start:end] != shorter[start:end]:
            return f"the two logs part at event {number}"
        start = end
    raise AssertionError("the shorter log is a beginning of the longer one")
