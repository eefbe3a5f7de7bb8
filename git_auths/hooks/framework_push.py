"""pre-push for the pre-commit framework, which gives one ref of the push in PRE_COMMIT_* variables, and no stdin.

It runs for the first ref only; what else the same push carries it cannot see. `git auths hooks install` sees all.
"""

from __future__ import annotations

import os

from git_auths.errors import UsageError
from git_auths.hooks import pre_push
from git_auths.hooks.gate import Update


def main() -> int:
    """Judge the ref that the framework names."""
    try:
        new, ref, remote = (os.environ[f"PRE_COMMIT_{name}"] for name in ("TO_REF", "REMOTE_BRANCH", "REMOTE_NAME"))
    except KeyError as missing:
        raise UsageError(f"{missing.args[0]} is not set: --pushed is for the pre-commit framework's pre-push stage",
                         "git auths verify judges by hand") from None  # fmt: skip
    return pre_push.verify_push(remote, [Update(ref, os.environ.get("PRE_COMMIT_FROM_REF"), pre_push.present(new))])
