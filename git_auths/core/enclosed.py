"""What goes with a proposed event, so that who is asked to sign can read what it does: lines after the event.

A line is the payload of a grant that the event seals by its digest, or the offers that a rotation was made of, each of
which is signed by the key that it reveals. Nothing else is taken, so nothing here has to be believed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from git_auths.core import grants, rotationoffers, seals
from git_auths.core.grants import Grant, GrantInvalid
from git_auths.core.kel import Kel
from git_auths.core.keyevent import Body
from git_auths.core.rotationoffers import OffersInvalid

OFFERS = b'{"auths":"rotation/'


class EnclosedInvalid(ValueError):
    """A line after the event is nothing that the event is about; the message says why."""


def split(stream: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """The event with its signatures, and the lines after it. An event is JSON on one line."""
    message, *lines = stream.split(b"\n")
    return message, tuple(lines)


def joined(message: bytes, lines: Sequence[bytes]) -> bytes:
    """The opposite of `split`."""
    return b"\n".join([message, *lines])


def require_about(lines: Sequence[bytes], body: Body, log: Kel | None) -> None:
    """Raises EnclosedInvalid for a line that neither is a grant that the event seals nor offers for it."""
    sealed = _sealed(body)
    for line in lines:
        if line.startswith(OFFERS) and log is not None and body.establishment is not None:
            try:
                rotationoffers.parse(line, log)
            except OffersInvalid as error:
                raise EnclosedInvalid(f"the offers after the event: {error}") from None
        elif grants.digest(line) not in sealed:
            raise EnclosedInvalid("bytes after the event and its signatures, which it does not seal")


def grants_in(lines: Sequence[bytes], did: str) -> dict[str, Grant]:
    """The grants by the issuer `did` among the lines, by digest."""
    found = {}
    for line in lines:
        try:
            grant = grants.parse(line)
        except GrantInvalid:
            continue
        if grant.issuer == did:
            found[grants.digest(line)] = grant
    return found


def unread(lines: Sequence[bytes], raw: bytes, body: Body, log: Kel | None) -> tuple[str, ...]:
    """What the event `raw` does that the lines do not show, in words: a grant that is not there, or counts for nothing;
    next keys that are not those, and in the order, that the holders of the present ones have signed offers of."""
    shown = grants_in(lines, f"did:keri:{body.aid}")
    lacking = [f"the grant {sha256} that it seals" for sha256 in _sealed(body) if sha256 not in shown]
    if body.establishment is not None and log is not None and not _is_offered(lines, raw, body, log):
        lacking.append("offers of the keys that it goes on with")
    return tuple(lacking)


def _is_offered(lines: Sequence[bytes], raw: bytes, body: Body, log: Kel) -> bool:
    """Is it, but for its seals and threshold, which people read, the event that offers make?"""
    found = [line for line in lines if line.startswith(OFFERS)]
    if len(found) != 1:
        return False
    offers = rotationoffers.parse(found[0], log)._replace(anchors=tuple(body.anchors))
    return rotationoffers.event(offers, log, json.loads(raw)["kt"]) == raw


def _sealed(body: Body) -> list[str]:
    """The digests of the grants that the event seals."""
    return [seal.sha256 for seal in map(seals.parse, body.anchors) if isinstance(seal, seals.Grant)]
