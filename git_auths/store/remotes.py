"""Which remote a command means."""

from __future__ import annotations

from git_auths.errors import Error
from git_auths.store import settings
from git_auths.store.repository import Repository


def default(repository: Repository) -> str:
    """The mainline's remote, else `origin`, else the only one."""
    pins = settings.pins(repository.path)
    if pins is not None and pins.mainline.startswith("refs/remotes/"):
        return pins.mainline.split("/")[2]
    remotes = repository.git("remote").decode().split()
    if "origin" in remotes:
        return "origin"
    if len(remotes) == 1:
        return remotes[0]
    if not remotes:
        raise Error("this repository has no remote", "git remote add origin URL")
    raise Error("this repository has several remotes, and none is origin", "name one: --remote NAME")
