"""Which link breaks a chain."""

from __future__ import annotations

import pytest

from git_auths.core import chain
from git_auths.core.chain import Link, failed, ok, warning

GOOD, DOUBT, BAD = ok("file", "fine"), warning("token", "untimed", "hm"), failed("log", "bad", "no")


@pytest.mark.parametrize(("links", "breaks", "breaks_strictly"), [
    ([], None, None), ([GOOD], None, None), ([GOOD, DOUBT], None, DOUBT), ([DOUBT, BAD], BAD, BAD),
    ([BAD, GOOD], BAD, BAD),
])  # fmt: skip
def test_what_failed_breaks_it_and_for_a_strict_reader_a_warning_does(
    links: list[Link], breaks: Link | None, breaks_strictly: Link | None
) -> None:
    assert chain.broken(iter(links), strict=False) == breaks
    assert chain.broken(iter(links), strict=True) == breaks_strictly
