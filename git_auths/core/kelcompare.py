"""How two versions of one key event log stand to each other, by their events.

The attachments of an event may differ: a delegate's log on its own machine need not name yet where it was sealed. No
signature is looked at here.
"""

from __future__ import annotations

from git_auths.core.kelstream import StreamBroken, messages

SAME, BEHIND, AHEAD, FORKED = "same", "behind", "ahead", "forked"


def relation(theirs: bytes, ours: bytes) -> str:
    """What `theirs` is to `ours`: the SAME events, BEHIND (a beginning of it, be it for attachments alone), AHEAD (with
    more events), or FORKED, which also says that one of them cannot be read."""
    if theirs == ours:
        return SAME
    if ours.startswith(theirs):
        return BEHIND
    try:
        their_events, our_events = _events(theirs), _events(ours)
    except StreamBroken:
        return FORKED
    shared = min(len(their_events), len(our_events))
    if [said for said, _ in their_events[:shared]] != [said for said, _ in our_events[:shared]]:
        return FORKED
    if len(their_events) == len(our_events):
        return SAME
    return BEHIND if len(their_events) < len(our_events) else AHEAD


def grown(theirs: bytes, ours: bytes) -> bytes | None:
    """`theirs`, byte for byte, with what events `ours` has beyond it; None where the two have forked."""
    found = relation(theirs, ours)
    if found == FORKED:
        return None
    if found != BEHIND:
        return theirs
    return ours if ours.startswith(theirs) else theirs + ours[_events(ours)[len(_events(theirs))][1] :]


def _events(stream: bytes) -> list[tuple[str, int]]:
    """(digest, where it begins) of each event."""
    return [(message.body.said, message.offset) for message in messages(stream)]
