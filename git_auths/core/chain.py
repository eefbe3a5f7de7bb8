"""A chain of links from an artifact to whoever answers for it, and how each link came out.

`ok` holds; `warning` is what nobody proved and nobody asked for; `failed` breaks the chain. `code` is the word that
programs compare; `strict` readers take no warning for an answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

State = Literal["ok", "warning", "failed"]

FILE, SIGNATURE, COMMIT, RELEASE = "file", "signature", "commit", "release"
TOKEN, TIMESTAMP, LOG, EXPIRY = "token", "timestamp", "log", "expiry"


class Link(NamedTuple):
    """One link: its name, how it came out, a word for why, and the line that people read."""

    name: str
    state: State
    text: str
    code: str = ""


def ok(name: str, text: str) -> Link:
    return Link(name, "ok", text)


def warning(name: str, code: str, text: str) -> Link:
    return Link(name, "warning", text, code)


def failed(name: str, code: str, text: str) -> Link:
    return Link(name, "failed", text, code)


def broken(links: Iterable[Link], strict: bool) -> Link | None:
    """The first link that breaks the chain; for a strict reader a warning does too. None: it holds."""
    listed = list(links)
    found = next((link for link in listed if link.state == "failed"), None)
    if found is None and strict:
        return next((link for link in listed if link.state == "warning"), None)
    return found
