"""What an examination finds, and how bad that is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

OK, WARN, BAD = "ok", "warn", "bad"


class Finding(NamedTuple):
    """`hint` is the command that mends it; `fix` mends it at once, and returns what it did, in words. It raises
    errors.Error, and does nothing that could be regretted."""

    level: str
    what: str
    hint: str | None = None
    fix: Callable[[], str] | None = None
