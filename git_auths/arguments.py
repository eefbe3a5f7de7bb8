"""argparse with git's manners: wrong usage is exit 129, and says so in one line."""

from __future__ import annotations

import argparse
from typing import NoReturn

from git_auths.errors import UsageError


class Parser(argparse.ArgumentParser):
    """A parser whose errors are `UsageError`s."""

    def __init__(self, **options: object) -> None:
        super().__init__(allow_abbrev=False, **options)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, f"{self.prog} -h")
