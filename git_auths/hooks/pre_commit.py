"""pre-commit (githooks(5)): a change below `.auths/` must leave a policy that parses and can be met."""

from __future__ import annotations

import subprocess
import sys

from git_auths import guard
from git_auths.commands import policy
from git_auths.store import git, hookfiles, passphrase
from git_auths.store.repository import Repository
from git_auths.store.worktree_policy import Folder


def main(argv: list[str]) -> int:
    """`argv`: the shim's path."""
    passphrase.take_secrets()
    before = hookfiles.earlier_hook(argv[0]) if argv else None
    if before is not None:
        code = subprocess.run([before, *argv[1:]], check=False).returncode
        if code:
            return code
    if git.attempt("diff", "--cached", "--quiet", "--", ".auths")[0] == 0:
        return 0
    return policy.check(Folder(Repository()), in_index=True)


if __name__ == "__main__":
    raise SystemExit(guard.run(lambda: main(sys.argv[1:])))
