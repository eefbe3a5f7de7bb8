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

CLIENT = ("pre-push", "pre-commit", "post-merge", "post-checkout", "post-rewrite")
SERVER = ("pre-receive",)
MARK = b"# git-auths hook"
KEPT = ".before-auths"  # the suffix of the hook that was there before ours; ours calls it
OWN_NAME = "git-auths"  # in a folder whose every program is run
GITLAB_STORAGE = ("@hashed", "@cluster")  # folders above each repository in GitLab's storage (Gitaly, Praefect)


def folder(repository: Repository) -> Path:
    """Where git looks for hooks, `core.hooksPath` honoured."""
    path = os.fsdecode(repository.git("rev-parse", "--git-path", "hooks")).removesuffix("\n")
    return Path(repository.path or ".", path).resolve()


def place(repository: Repository, name: str) -> Path:
    """Where the shim `name` belongs: where a forge owns a server's hook, beside its own in the folder that it runs."""
    hooks = folder(repository)
    if name not in SERVER:
        return hooks / name
    if any(part in GITLAB_STORAGE for part in repository.common_dir.parts):
        return _custom_hooks(repository, name)  # GitLab runs nothing below hooks/
    return hooks / f"{name}.d" / OWN_NAME if _runs_folder(hooks / name) else hooks / name


def installed_at(repository: Repository, name: str) -> Path | None:
    """Where our shim `name` stands; None where it does not."""
    return next((path for path in _places(repository, name) if is_ours(path)), None)


def install(repository: Repository, names: tuple[str, ...]) -> list[str]:
    """Install the shims `names`; return those that changed."""
    changed = []
    for name in names:
        target = place(repository, name)
        try:
            stale = [path for path in _places(repository, name) if path != target and is_ours(path)]
            for path in stale:
                _remove(path)
            if stale or not is_current(target):
                _put(target, shim_text(name))
                changed.append(name)
        except OSError as error:
            raise Error(f"cannot install hooks in {target.parent}: {error.strerror}") from None
    return changed


def uninstall(repository: Repository) -> list[str]:
    """Remove our shims and put back what was there before."""
    removed = []
    for name in (*CLIENT, *SERVER):
        ours = [path for path in _places(repository, name) if is_ours(path)]
        for path in ours:
            _remove(path)
        removed += [name] if ours else []
    return removed


def is_ours(target: Path) -> bool:
    return target.is_file() and MARK in target.read_bytes()[:4096]


def is_current(target: Path) -> bool:
    """Is it the shim for this place as this version writes it, and will git run it?"""
    name = target.parent.name.removesuffix(".d") if target.name == OWN_NAME else target.name
    return target.is_file() and os.access(target, os.X_OK) and target.read_bytes() == shim_text(name)


def _places(repository: Repository, name: str) -> list[Path]:
    """Every path where our shim may stand."""
    hooks = folder(repository)
    if name not in SERVER:
        return [hooks / name]
    return [hooks / name, hooks / f"{name}.d" / OWN_NAME, _custom_hooks(repository, name)]


def _custom_hooks(repository: Repository, name: str) -> Path:
    return repository.common_dir / "custom_hooks" / f"{name}.d" / OWN_NAME


def _runs_folder(hook: Path) -> bool:
    """Does a forge's hook (Gitea, Forgejo) stand there, which runs all in the folder `<its name>.d`?

    The folder alone says nothing: a hook in one that nothing runs would look installed, and judge no push.
    """
    kept = hook.with_name(hook.name + KEPT)
    script = kept if is_ours(hook) else hook
    if not (hook.with_name(f"{hook.name}.d").is_dir() and os.access(script, os.X_OK)):
        return False
    return b".d/" in script.read_bytes()[:65536]


def _put(target: Path, shim: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if (target.exists() or target.is_symlink()) and not is_ours(target):
        _keep(target)
    write_file(target, shim, 0o755)


def _remove(target: Path) -> None:
    target.unlink()
    kept = target.with_name(target.name + KEPT)
    if kept.exists():
        kept.rename(target)


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
    """The hook that stood here before the shim at this path, if git would run it."""
    kept = shim + KEPT
    return kept if os.access(kept, os.X_OK) else None
