"""The errors a user can meet. Raised with what a person needs; caught in one place, `guard.run`.

Exit codes: 1 no (a verdict, a closed gate), 128 cannot, 129 wrong usage (git's own convention).
"""

from __future__ import annotations


class Error(Exception):
    """The program cannot go on: `message` says what and where, `hint` what to type next."""

    exit_code = 128

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Refusal(Error):
    """The answer is no."""

    exit_code = 1


class MissingObject(Error):
    """The repository lacks an object that its history names: it is shallow, partial or damaged."""


class TooLarge(Error):
    """An object is larger than anything honest of its kind."""


class OutputLost(Error):
    """Standard output does not take what is written: it is full, or closed."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"cannot write to standard output: {error.strerror}")


class UsageError(Error):
    """The command line is wrong."""

    exit_code = 129
