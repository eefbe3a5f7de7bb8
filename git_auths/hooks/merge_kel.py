"""The merge driver `auths-kel` (gitattributes(5)): two branches' versions of one key event log become the longer one.

git runs it as `... %O %A %B %P`: the common ancestor's version, ours, theirs, and the path. The result goes into the
second file; exit 1 leaves a conflict there.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from git_auths import guard
from git_auths.core.kel import MAX_KEL_BYTES
from git_auths.core.kelmerge import NotInLine, longer
from git_auths.errors import Error, Refusal, UsageError
from git_auths.store import passphrase


def main(argv: list[str]) -> int:
    """`argv`: the three files and the path."""
    passphrase.take_secrets()
    if len(argv) != 4:
        raise UsageError("this is the merge driver auths-kel: git runs it with %O %A %B %P", "git auths setup sets it")
    _, ours, theirs, path = argv
    try:
        merged = longer(read(ours, path), read(theirs, path))
    except NotInLine as error:
        raise Refusal(f"{path}: {error}: neither replaces the other",
                      f"an admin decides which holds: git checkout --ours -- {shlex.quote(path)} "
                      f"or git checkout --theirs -- {shlex.quote(path)}") from None  # fmt: skip
    Path(ours).write_bytes(merged)
    return 0


def read(file: str, path: str) -> bytes:
    with open(file, "rb") as stream:
        content = stream.read(MAX_KEL_BYTES + 1)
    if len(content) > MAX_KEL_BYTES:
        raise Error(f"{path} is larger than {MAX_KEL_BYTES} bytes")
    return content


def conflict(message: str, hint: str | None, exit_code: int) -> int:
    """Whatever is wrong, what git must know is that nothing was merged; above 128 it would give up half-way."""
    return guard.complain(message, hint, 1)


if __name__ == "__main__":
    raise SystemExit(guard.run(lambda: main(sys.argv[1:]), conflict))
