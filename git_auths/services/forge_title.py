"""The title that a forge shows beside a key of ours: it says all that `cleanup` must know to take the key away again.

git-auths owner/repo run 123 until 2026-11-21T18:00Z SHA256:...      a pipeline's
git-auths SHA256:...                                                 a person's, for good
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

MARK = "git-auths"
MINUTE = "%Y-%m-%dT%H:%MZ"
MAX_TITLE_CHARACTERS = 255
MAX_REPOSITORY_CHARACTERS = 100
_FORM = re.compile(
    rf"{MARK}(?: (?P<repository>[\w./-]+))?(?: run (?P<run>[\w.-]+))?"
    rf"(?: until (?P<until>\d{{4}}-\d\d-\d\dT\d\d:\d\dZ))? (?P<fingerprint>SHA256:[A-Za-z0-9+/]{{43}})",
    re.ASCII,
)
_UNFIT = re.compile(r"[^\w./-]+", re.ASCII)


class Title(NamedTuple):
    """What a title of ours says. `expires_at` is in seconds since 1970, None for a key that stays."""

    repository: str | None
    run: str | None
    expires_at: int | None
    fingerprint: str


def write(title: Title) -> str:
    """The text. Whatever else than letters, digits, '.', '/', '_' and '-' a name has becomes '-'."""
    words = [MARK]
    if title.repository:
        words.append(_fit(title.repository)[-MAX_REPOSITORY_CHARACTERS:])
    if title.run:
        words += ["run", _fit(title.run).replace("/", "-")[:40]]
    if title.expires_at is not None:
        words += ["until", _minute_after(title.expires_at)]
    return " ".join([*words, title.fingerprint])


def read(text: str) -> Title | None:
    """What a title says; None where it is none of ours."""
    found = _FORM.fullmatch(text) if len(text) <= MAX_TITLE_CHARACTERS else None
    if found is None:
        return None
    expires_at = None
    if found["until"] is not None:
        try:
            moment = datetime.strptime(found["until"], MINUTE).replace(tzinfo=timezone.utc)
        except ValueError:
            return None
        expires_at = int(moment.timestamp())
    return Title(found["repository"], found["run"], expires_at, found["fingerprint"])


def _minute_after(seconds: int) -> str:
    # Never a minute too early: by what it says, others may delete the key.
    moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(minutes=-(-seconds // 60))
    return f"{moment.year:04}{moment.strftime('-%m-%dT%H:%MZ')}"


def _fit(name: str) -> str:
    return _UNFIT.sub("-", name).strip("-/") or "unnamed"
