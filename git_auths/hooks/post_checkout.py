"""post-checkout (githooks(5)): after a switch, what was fetched meanwhile is judged as after a pull."""

from __future__ import annotations

import subprocess
import sys

from git_auths import guard
from git_auths.hooks.post_merge import renew
from git_auths.store import hookfiles, secrets, settings
from git_auths.store.repository import Repository
from git_auths.store.tips import Tips


def main(argv: list[str]) -> int:
    """`argv`: the shim's path, HEAD before and after, and `1` where a branch was checked out, not files."""
    secrets.take_secrets()
    before = hookfiles.earlier_hook(argv[0])
    code = 0 if before is None else subprocess.run([before, *argv[1:]], check=False).returncode
    pins = settings.pins()
    if pins is None or argv[3:] != ["1"]:
        return code
    repository = Repository()
    standing = repository.ref(pins.mainline)
    if standing is None or Tips(repository.common_dir).known(pins.mainline) == standing:
        return code  # nothing new since it was last good
    # git switch ends with this code: a warning is said, and what was asked for has been done.
    renew(repository, pins)
    return code


if __name__ == "__main__":
    guard.leave(guard.run(lambda: main(sys.argv[1:])))
