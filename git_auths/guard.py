"""The one place where what a program raises becomes a line, a hint and an exit code."""

from __future__ import annotations

import os
import sys
from errno import EMFILE

from git_auths.errors import Error, OutputLost

TYPE_CHECKING = False  # importing typing for its name would cost 9 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

CRASHED, INTERRUPTED, READER_LEFT = 128, 130, 141

# What was closed before we started cannot be written to, and is not missed on stderr.
_INSTEAD = (("stdin", "r", os.O_RDONLY), ("stdout", "w", os.O_RDONLY), ("stderr", "w", os.O_WRONLY))


def complain(message: str, hint: str | None, exit_code: int) -> int:
    """Say on stderr what is wrong and what to type next; return the exit code."""
    from git_auths import output

    output.error(message)
    if hint:
        output.hint(hint)
    return exit_code


def run(action: Callable[[], int], complain: Callable[[str, str | None, int], int] = complain) -> int:
    """The exit code of `action`. A crash is 128, never a verdict."""

    def say(message: str, hint: str | None, exit_code: int) -> int:
        try:
            return complain(message, hint, exit_code)
        except OSError:  # stderr is full, or its reader has left
            return exit_code

    try:
        open_missing_streams()
        escape_what_cannot_be_encoded()
        code = action()
        flush_answer()
        return code
    except Error as error:
        return say(error.message, error.hint, error.exit_code)
    except KeyboardInterrupt:
        return say("interrupted", None, INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whoever read our output has left; git exits likewise
        return READER_LEFT
    except OSError as error:
        if os.environ.get("AUTHS_TRACE"):
            raise
        return say(_words(error), "ulimit -n 1024" if error.errno == EMFILE else None, CRASHED)
    except Exception as error:
        if os.environ.get("AUTHS_TRACE"):
            raise
        hint = "AUTHS_TRACE=1 shows where; please report it"
        return say(f"internal error: {type(error).__name__}: {error}", hint, CRASHED)


def open_missing_streams() -> None:
    """Put something where standard streams were closed: what is opened next would get their numbers, and be written to
    as if it were they."""
    for number, (name, mode, access) in enumerate(_INSTEAD):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, access)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            os.set_inheritable(number, True)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 (for our whole life)


def escape_what_cannot_be_encoded() -> None:
    """A terminal or a locale that knows no other characters than ASCII is no reason to fail."""
    for stream in (sys.stdout, sys.stderr):
        if (stream.encoding or "utf-8").lower() != "utf-8" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def flush_answer() -> None:
    """Nothing is an answer that nobody can have: raises OutputLost."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputLost(error) from None


def _words(error: OSError) -> str:
    text = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {text}" if isinstance(error.filename, str) else text


def leave(code: int) -> NoReturn:
    """End the process at once, what was said first: the interpreter's own farewell takes 2 ms."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:  # closed by whoever started us
                stream.flush()
        except OSError:
            code = code or CRASHED
    os._exit(code)
