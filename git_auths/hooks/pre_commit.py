"""pre-commit (githooks(5)): logs of this machine that HEAD has but shorter go into the commit as they are now; a change
below `.auths/` must leave a policy that parses and can be met."""

from __future__ import annotations

import os
import sys

from git_auths import guard
from git_auths.store import git, logs_seen, secrets

KEPT = ".before-auths"  # as in the shim, and hookfiles, whose import costs 10 ms
INDEX_FILE = "GIT_INDEX_FILE"
PARTIAL = "next-index-"  # git: builtin/commit.c, prepare_index


def main(argv: list[str]) -> int:
    """`argv`: the shim's path."""
    secrets.take_secrets()
    code = earlier(argv)
    if code:
        return code
    changed = git.capture("diff", "--cached", "--quiet", "--", ".auths")[0] != 0
    if not add_growth() and not changed:
        logs_seen.note()
    return check() if changed else 0


def earlier(argv: list[str]) -> int:
    """The exit code of the hook that stood here before ours."""
    if not (argv and os.path.lexists(argv[0] + KEPT)):
        return 0

    import subprocess

    from git_auths.store import hookfiles

    before = hookfiles.earlier_hook(argv[0])
    return 0 if before is None else subprocess.run([before, *argv[1:]], check=False).returncode


def add_growth() -> bool:
    """Put the logs of this machine that the commit has but shorter into it; whether there were any."""
    if not logs_seen.differ_from_index():
        return False

    from git_auths import output
    from git_auths.errors import Error
    from git_auths.store import recording
    from git_auths.store.repository import Repository

    repository = Repository()
    kels = recording.lagging(repository, recording.INDEX)
    if not kels:
        return False
    try:
        for environment in indexes():
            os.environ.update(environment)
            recording.stage(repository, kels)
    except Error as error:
        output.warning(f"the logs of this machine that have grown are not in this commit: {error.message}")
        output.hint(error.hint or recording.UPDATE)
        return True
    for aid in kels:
        output.note(f"this commit takes along what the log of did:keri:{aid} has grown by")
    return True


def indexes() -> list[dict[str, str]]:
    """What to put into the environment for the index that becomes the commit. Before it, where `git commit FILE` makes
    one for that alone, for the index that stays afterwards: without the growth the next commit would take it back."""
    index = os.environ.get(INDEX_FILE, "")
    folder, name = os.path.split(index)
    lasting = os.path.join(folder, "index.lock")
    if name.startswith(PARTIAL) and os.path.exists(lasting):
        return [{INDEX_FILE: lasting}, {INDEX_FILE: index}]
    return [{}]


def check() -> int:
    """Does the policy that is staged parse, and can it be met?"""
    from git_auths.commands import policy
    from git_auths.store.repository import Repository
    from git_auths.store.worktree_policy import Folder

    return policy.check(Folder(Repository()), in_index=True)


if __name__ == "__main__":
    guard.leave(guard.run(lambda: main(sys.argv[1:])))
