"""Install, remove or list git-auths' hooks in this repository."""

from __future__ import annotations

import argparse

from git_auths import output
from git_auths.errors import Error
from git_auths.store import hookfiles, wiring
from git_auths.store.repository import Repository


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="action", required=True, metavar="install|uninstall|status")
    install = commands.add_parser("install", help="install the hooks; what is there already is kept and called first")
    install.add_argument("--server", action="store_true", help="the pre-receive hook, in a bare repository")
    commands.add_parser("uninstall", help="remove ours, and put back what was there before")
    commands.add_parser("status", help="which hooks are ours, and whether they are current")


def run(args: argparse.Namespace) -> int:
    repository = Repository()
    if args.action == "install":
        return install(repository, args.server)
    if args.action == "uninstall":
        for name in hookfiles.uninstall(repository):
            output.note(f"removed {name}")
        if wiring.unwire_merge_driver(repository):
            output.note(f"removed the merge driver {wiring.MERGE_DRIVER}")
        return 0
    for name in hookfiles.SERVER if repository.bare else hookfiles.CLIENT:
        output.data(state(repository, name))
    return 0


def state(repository: Repository, name: str) -> str:
    """The hook with what can be said of it, and where it is."""
    at = hookfiles.installed_at(repository, name)
    if at is None:
        return f"{name} not installed"
    wanted = hookfiles.place(repository, name)
    return f"{name} {'current' if at == wanted and hookfiles.is_current(at) else 'old'} {at}"


def install(repository: Repository, on_server: bool) -> int:
    if on_server and not repository.bare:
        raise Error("--server is for a bare repository, and this one has a working tree", "git auths hooks install")
    if repository.bare and not on_server:
        raise Error("a bare repository takes the server's hook", "git auths hooks install --server")
    names = hookfiles.SERVER if on_server else hookfiles.CLIENT
    changed = bool(install_hooks(repository, names))
    if not on_server and wiring.wire_merge_driver(repository):
        output.note(f"set the merge driver {wiring.MERGE_DRIVER}")
        changed = True
    if not changed:
        output.note(f"installed already: {', '.join(names)}")
    return 0


def install_hooks(repository: Repository, names: tuple[str, ...] = hookfiles.CLIENT) -> list[str]:
    """Install the shims and say where; those that changed."""
    changed = hookfiles.install(repository, names)
    for name in changed:
        output.note(f"installed the {name} hook: {hookfiles.place(repository, name)}")
    folder = hookfiles.folder(repository)
    if changed and not folder.is_relative_to(repository.common_dir):
        output.warning(f"core.hooksPath puts the hooks into {folder}, outside of this repository's git directory: "
                       "other repositories or commits may share them")  # fmt: skip
    return changed
