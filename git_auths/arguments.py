"""argparse with git's manners: wrong usage is exit 129, and says so in one line."""

from __future__ import annotations

import argparse
import functools
import os
from typing import NoReturn

from git_auths.errors import UsageError


class Parser(argparse.ArgumentParser):
    """A parser whose errors are `UsageError`s."""

    def __init__(self, **options: object) -> None:
        # argparse would import shutil for the width of the terminal: 2 ms that every command would pay.
        formatter = functools.partial(argparse.HelpFormatter, width=columns() - 2)
        super().__init__(allow_abbrev=False, formatter_class=formatter, **options)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, f"{self.prog} -h")


def columns() -> int:
    """The width of the terminal, as help texts are wrapped to it."""
    try:
        return int(os.environ.get("COLUMNS", "")) or 80
    except ValueError:
        pass
    try:
        return os.get_terminal_size().columns or 80
    except OSError:
        return 80
