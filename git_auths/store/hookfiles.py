"""Installing the hook shims: what is there already is kept and called first; our own are known and renewed.

A shim holds the absolute path of this interpreter and runs it with -I, so that a clone's own `git_auths/` folder is
never imported. Where that interpreter is gone the shim fails, and git refuses the push.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from git_auths.errors import Error
from git_auths.store.atomic import write_file
from git_auths.store.repository import Repository

CLIENT = ("pre-push", "pre-commit", "post-merge")
SERVER = ("pre-receive",)
MARK = b"# git-auths hook"
KEPT = ".before-auths"  # the suffix of the hook that was there before ours; ours calls it


def folder(repository: Repository) -> Path:
    """Where git looks for hooks, `core.hooksPath` honoured."""
    path = os.fsdecode(repository.git("rev-parse", "--git-path", "hooks")).removesuffix("\n")
    return Path(repository.path or ".", path).resolve()


def install(repository: Repository, names: tuple[str, ...]) -> list[str]:
    """Install the shims `names`; return those that changed."""
    hooks = folder(repository)
    changed = []
    try:
        hooks.mkdir(parents=True, exist_ok=True)
        for name in names:
            target, shim = hooks / name, shim_text(name)
            present = target.read_bytes() if target.exists() else None
            if present == shim:
                continue
            if present is not None and MARK not in present:
                _keep(target)
            write_file(target, shim, 0o755)
            changed.append(name)
    except OSError as error:
        raise Error(f"cannot install hooks in {hooks}: {error.strerror}") from None
    return changed


def uninstall(repository: Repository) -> list[str]:
    """Remove our shims and put back what was there before."""
    hooks = folder(repository)
    removed = []
    for name in (*CLIENT, *SERVER):
        target = hooks / name
        if not is_ours(target):
            continue
        target.unlink()
        kept = target.with_name(name + KEPT)
        if kept.exists():
            kept.rename(target)
        removed.append(name)
    return removed


def is_ours(target: Path) -> bool:
    return target.is_file() and MARK in target.read_bytes()[:4096]


def is_current(target: Path) -> bool:
    return target.is_file() and target.read_bytes() == shim_text(target.name)


def shim_text(name: str) -> bytes:
    """The shim from `hooks/`, with this interpreter's path in it."""
    template = _template_folder() / name
    return template.read_bytes().replace(b"@PYTHON@", os.fsencode(shlex.quote(sys.executable)))


def _template_folder() -> Path:
    installed = Path(sys.prefix, "share", "git-auths", "hooks")
    checkout = Path(__file__).resolve().parents[2] / "hooks"
    for candidate in (installed, checkout):
        if (candidate / "pre-push").is_file():
            return candidate
    raise Error(f"the hook shims are missing from {installed}", "reinstall git-auths")


def _keep(target: Path) -> None:
    kept = target.with_name(target.name + KEPT)
    if kept.exists():
        raise Error(
            f"both {target.name} and {kept.name} in {target.parent} are not ours", "merge them, then run this again"
        )
    target.rename(kept)


def earlier_hook(shim: str) -> str | None:
    """The hook that stood here before the shim at this path, if it can be run."""
    kept = shim + KEPT
    return kept if os.access(kept, os.X_OK) else None
