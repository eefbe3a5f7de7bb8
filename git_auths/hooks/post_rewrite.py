"""post-rewrite (githooks(5)): attestations stay with the commits that they name; say where some stay behind.

An approval binds the commit's id, so a copy on the new commit would count for nothing there, and git makes none unless
`notes.rewriteRef` tells it to.
"""

from __future__ import annotations

import subprocess
import sys

from git_auths import guard, output
from git_auths.core.gitobject import is_object_id
from git_auths.store import hookfiles, notes, secrets, settings
from git_auths.store.repository import Repository

MAX_LOOKED_UP = 1000


def main(argv: list[str]) -> int:
    """`argv`: the shim's path and the command, `amend` or `rebase`; `<old id> <new id> ...` a line on stdin."""
    secrets.take_secrets()
    lines = sys.stdin.buffer.read()
    before = hookfiles.earlier_hook(argv[0])
    code = 0 if before is None else subprocess.run([before, *argv[1:]], input=lines, check=False).returncode
    if settings.pins() is None:
        return code
    repository = Repository()
    old = [line.split(b" ", 1)[0].decode("ascii", "replace") for line in lines.splitlines()[:MAX_LOOKED_UP]]
    with notes.opened(repository.path) as attestations:
        left = sum(bool(attestations.read(id).lines) for id in old if is_object_id(id))
    if left:
        commits = "1 rewritten commit had" if left == 1 else f"{left} rewritten commits had"
        output.warning(f"{commits} attestations; they name the old ids and do not count for the new ones")
        output.hint("git auths approve A..B approves the new commits")
    return code


if __name__ == "__main__":
    guard.leave(guard.run(lambda: main(sys.argv[1:])))
