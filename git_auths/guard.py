"""The one place where what a program raises becomes a line, a hint and an exit code."""

from __future__ import annotations

import os
import sys

from git_auths.errors import Error

TYPE_CHECKING = False  # importing typing for its name would cost 9 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

CRASHED, INTERRUPTED, READER_LEFT = 128, 130, 141


def complain(message: str, hint: str | None, exit_code: int) -> int:
    """Say on stderr what is wrong and what to type next; return the exit code."""
    from git_auths import output

    output.error(message)
    if hint:
        output.hint(hint)
    return exit_code


def run(action: Callable[[], int], complain: Callable[[str, str | None, int], int] = complain) -> int:
    """The exit code of `action`. A crash is 128, never a verdict."""
    try:
        code = action()
        sys.stdout.flush()
        return code
    except Error as error:
        return complain(error.message, error.hint, error.exit_code)
    except KeyboardInterrupt:
        return complain("interrupted", None, INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whoever read our output has left; git exits likewise
        return READER_LEFT
    except Exception as error:
        if os.environ.get("AUTHS_TRACE"):
            raise
        hint = "AUTHS_TRACE=1 shows where; please report it"
        return complain(f"internal error: {type(error).__name__}: {error}", hint, CRASHED)


def leave(code: int) -> NoReturn:
    """End the process at once, what was said first: the interpreter's own farewell takes 2 ms."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:  # closed by whoever started us
                stream.flush()
        except OSError:
            code = code or CRASHED
    os._exit(code)
