"""Times as statements and pins write them: RFC 3339 in one spelling, UTC as `Z`, whole seconds."""

from __future__ import annotations

import re
from datetime import datetime, timezone

_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


def text(seconds: int) -> str:
    """The time of a Unix time; raises ValueError outside of the years 1 to 9999."""
    try:
        moment = datetime.fromtimestamp(seconds, timezone.utc)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{seconds} s since 1970 is no time that can be written") from None
    return moment.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def seconds(value: object) -> int:
    """The Unix time of such a text; raises ValueError for any other value."""
    if not isinstance(value, str) or not _FORM.fullmatch(value):
        raise ValueError("no time like 2026-11-02T10:00:00Z")
    try:
        moment = datetime.fromisoformat(value[:-1])
    except ValueError:
        raise ValueError("no time of the calendar") from None
    return int(moment.replace(tzinfo=timezone.utc).timestamp())
