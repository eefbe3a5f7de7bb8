"""ssh-keygen's command line with `-Y`, as git and people give it (ssh-keygen.c: main; getopt(3))."""

from __future__ import annotations

from git_auths.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

WITH_VALUE = "YnfIsrO"
ALONE = "Uqv"


class Arguments:
    """The value of each option by its letter, each value of `-O`, and what follows the options."""

    __slots__ = ("files", "options", "values")

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.options: list[str] = []
        self.files: list[str] = []

    def required(self, letter: str) -> str:
        """The value of an option that must be there."""
        if not self.values.get(letter):
            raise UsageError(f"-{letter} is missing", "man git-auths-sign")
        return self.values[letter]


def operation(arguments: list[str]) -> str:
    """The value of `-Y`, or an empty text."""
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if argument.startswith("-Y"):
            return argument[2:] or following
    return ""


def parse(arguments: list[str]) -> Arguments:
    """Options in any order, letters joined or not, a value at once or in the next argument; then the files.

    An empty argument counts for nothing: git gives one where a payload has no date (gpg-interface.c: verify_time), and
    ssh-keygen, for which options end there, then overlooks the revoked keys.
    """
    parsed = Arguments()
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            parsed.files += rest
        elif argument.startswith("-") and argument != "-":
            _take_options(argument[1:], rest, parsed)
        elif argument:
            parsed.files.append(argument)
    return parsed


def _take_options(letters: str, rest: Iterator[str], parsed: Arguments) -> None:
    for at, letter in enumerate(letters):
        if letter in ALONE:
            continue
        if letter not in WITH_VALUE:
            raise UsageError(f"unknown option -{letters[at:]}", "man git-auths-sign")
        value = letters[at + 1 :] or next(rest, None)
        if value is None:
            raise UsageError(f"-{letter} needs a value", "man git-auths-sign")
        if letter == "O":
            parsed.options.append(value)
        else:
            parsed.values[letter] = value
        return
