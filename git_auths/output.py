"""What people and programs see. The rules:

- stdout carries data; everything else goes to stderr, a line each, with `error:`, `warning:` or `hint:` before it.
- Whatever came from a repository, a note or the network is made inert first: no escape sequence, no line break, no
  right-to-left trick reaches a terminal.
- Colour only where a person looks: color.auths, color.ui, NO_COLOR (no-color.org).
"""

from __future__ import annotations

import contextlib
import os
import sys
import time

from git_auths.errors import OutputLost

TYPE_CHECKING = False  # importing typing for its name would cost 9 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

MOMENT_SECONDS = 0.5

# Bidirectional overrides reorder what is read (Unicode TR 36, section 2.5).
_INVISIBLE = frozenset([*range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2060, 0x2070), 0xFEFF])


def inert(text: str) -> str:
    """`text` on one line, with every control or invisible character shown as its escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isprintable() and ord(c) not in _INVISIBLE else _escape(c) for c in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def data(text: str) -> None:
    """A line of what was asked for."""
    with _answering() as stdout:
        stdout.write(inert(text) + "\n")
        if stdout.isatty():
            stdout.flush()


def document(value: object) -> None:
    """One JSON document, in ASCII."""
    import json

    with _answering() as stdout:
        stdout.write(json.dumps(value) + "\n")


def fields(values: tuple[str, ...], end: str) -> None:
    """One record for a program: the values by tabs, inert, so that neither a tab nor an end occurs inside one."""
    with _answering() as stdout:
        stdout.write("\t".join(inert(value) for value in values) + end)


def raw(content: bytes) -> None:
    """Bytes as they are, for a program to read."""
    with _answering() as stdout:
        stdout.flush()
        stdout.buffer.write(content)
        stdout.buffer.flush()


def note(text: str) -> None:
    """A line about what is happening, beside the data."""
    _tell(inert(text))


def warning(text: str) -> None:
    _tell(_paint("warning:", "33", sys.stderr.isatty()) + f" {inert(text)}")


def hint(text: str) -> None:
    _tell(_paint("hint:", "36", sys.stderr.isatty()) + f" {inert(text)}")


def error(text: str) -> None:
    _tell(_paint("error:", "31", sys.stderr.isatty()) + f" {inert(text)}")


def _tell(line: str) -> None:
    """A line on stderr. Where that is full the work goes on: the exit code says in the end that not all was said."""
    try:
        sys.stderr.write(line + "\n")
    except BrokenPipeError:
        raise
    except OSError:
        pass


def verdict_word(word: str, passes: bool) -> str:
    """A verdict for a terminal: green where it passes, red where it does not."""
    return _paint(word, "32" if passes else "31", sys.stdout.isatty())


def line_with(word: str, text: str) -> None:
    """A line of data that begins with a word of ours (it may be coloured) and goes on with text of anybody's."""
    with _answering() as stdout:
        stdout.write(f"{word} {inert(text)}\n")


@contextlib.contextmanager
def _answering() -> Iterator[TextIO]:
    """stdout; raises OutputLost where it does not take what is written."""
    try:
        yield sys.stdout
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputLost(error) from None


@contextlib.contextmanager
def counter(title: str) -> Iterator[Callable[[int], None]]:
    """Show a running count on stderr: on a terminal only, and only once something takes longer than a moment.

    Yields what to call with each further number of things that are done.
    """
    if not sys.stderr.isatty():
        yield lambda number: None
        return
    with contextlib.ExitStack() as stack:
        shown: list[Callable[[int], None]] = []
        started, done = time.monotonic(), 0

        def count(number: int) -> None:
            nonlocal done
            done += number
            if not shown and time.monotonic() - started > MOMENT_SECONDS:
                shown.append(stack.enter_context(_progress(title)))
                shown[0](done)
            elif shown:
                shown[0](number)

        yield count


@contextlib.contextmanager
def _progress(title: str) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("{task.completed} " + title))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=None)
        yield lambda number: progress.advance(task, number)


def _paint(word: str, colour: str, terminal: bool) -> str:
    return f"\x1b[{colour}m{word}\x1b[m" if terminal and _colour_is_wanted() else word


def _colour_is_wanted() -> bool:
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    from git_auths.store import git

    for key in ("color.auths", "color.ui"):
        status, value = git.capture("config", "--get-colorbool", key, "true")
        if git.capture("config", "--get", key)[0] == 0:
            return status == 0 and value.strip() != b"false"
    return True
