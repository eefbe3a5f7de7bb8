"""Reading a file that somebody names."""

from __future__ import annotations

import os
import stat

from git_auths.errors import Error


def read_named(path: str | os.PathLike[str], limit: int) -> bytes:
    """The file, cut off one byte past `limit`. What is no regular file is refused: a FIFO waits for its writer.

    Raises errors.Error.
    """
    try:
        with open(path, "rb", opener=_open) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise Error(f"{os.fspath(path)} is no regular file", "name a file")
            return stream.read(limit + 1)
    except OSError as error:
        raise Error(f"cannot read {os.fspath(path)}: {error.strerror}") from None


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
