"""The seals by which an identifier grants, revokes, and declares its keys compromised.

`{"auths":"grant/1","d":"<sha256 hex of a grant's payload>"}`; `{"auths":"revoke/1","i":"<AID>"}`; and
`{"auths":"compromise/1","s":"<hex>","d":"<said>","t":"<UTC>"}`, the number and digest of the first event in
doubt, and a time.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import NamedTuple

from git_auths.core import cesr, verkey
from git_auths.core.threshold import hex_number

GRANT = "grant/1"
REVOKE = "revoke/1"
COMPROMISE = "compromise/1"
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


class Grant(NamedTuple):
    """The grant whose payload has this SHA-256 (64 hex digits) counts."""

    sha256: str


class Revocation(NamedTuple):
    """All earlier grants and delegations to this AID end."""

    aid: str


class Compromise(NamedTuple):
    """Keys from the event `sn` with digest `said` on are in doubt since `at_seconds` (Unix time)."""

    sn: int
    said: str
    at_seconds: int


def parse(seal: object) -> Grant | Revocation | Compromise | None:
    """What an anchor says to this software; None for any other shape, which is other people's business."""
    if not isinstance(seal, dict):
        return None
    match tuple(seal), seal.get("auths"):
        case ("auths", "d"), "grant/1" if _is_sha256(seal["d"]):
            return Grant(seal["d"])
        case ("auths", "i"), "revoke/1" if _is_aid(seal["i"]):
            return Revocation(seal["i"])
        case ("auths", "s", "d", "t"), "compromise/1":
            sn, at_seconds = hex_number(seal["s"]), _unix_time(seal["t"])
            if sn is not None and at_seconds is not None and cesr.is_digest(seal["d"]):
                return Compromise(sn, seal["d"], at_seconds)
    return None


def grant(sha256: str) -> dict[str, str]:
    """The seal by which the grant whose payload has this SHA-256 counts."""
    return {"auths": GRANT, "d": sha256}


def revocation(aid: str) -> dict[str, str]:
    """The seal that ends all earlier grants and delegations to `aid`."""
    return {"auths": REVOKE, "i": aid}


def compromise(sn: int, said: str, at_seconds: int) -> dict[str, str]:
    """The seal of a rotation that declares the keys before it lost, from event `sn` on, since `at_seconds`."""
    at = datetime.fromtimestamp(at_seconds, timezone.utc)
    return {"auths": COMPROMISE, "s": f"{sn:x}", "d": said, "t": _text(at)}


def _text(time: datetime) -> str:
    """TIME_FORMAT; strftime would write a year before 1000 with fewer digits on some systems, and so not the same."""
    return time.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def _is_sha256(text: object) -> bool:
    return type(text) is str and len(text) == 64 and not text.strip("0123456789abcdef")


def _is_aid(text: object) -> bool:
    if cesr.is_digest(text):
        return True
    try:
        verkey.parse(text)
    except verkey.KeyUnusable:
        return False
    return True


def _unix_time(text: object) -> int | None:
    if type(text) is not str:
        return None
    try:
        time = datetime.strptime(text, TIME_FORMAT)
    except ValueError:
        return None
    # strptime also takes "2026-1-1T0:0:0Z"; one time has one text.
    return int(time.replace(tzinfo=timezone.utc).timestamp()) if _text(time) == text else None
