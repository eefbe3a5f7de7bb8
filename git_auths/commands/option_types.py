"""What the value of an option must be, as types of argparse: anything else is wrong usage."""

from __future__ import annotations

import argparse


def filled(text: str) -> str:
    """Text that is not empty: by a variable that a script has not set, an option would silently demand nothing."""
    if not text.strip():
        raise argparse.ArgumentTypeError("its value is empty")
    return text


def duration(text: str) -> int:
    """Seconds, of a duration like 90d."""
    from git_auths.core.policyschema import duration_seconds  # few commands need it

    try:
        return duration_seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
