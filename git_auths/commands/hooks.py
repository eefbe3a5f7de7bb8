"""Install, remove or list git-auths' hooks in this repository."""

from __future__ import annotations

import argparse

from git_auths import output
from git_auths.errors import Error
from git_auths.store import hookfiles
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
        return 0
    folder = hookfiles.folder(repository)
    for name in (*hookfiles.CLIENT, *hookfiles.SERVER):
        target = folder / name
        state = "current" if hookfiles.is_current(target) else "old" if hookfiles.is_ours(target) else "not installed"
        output.data(f"{name} {state}")
    return 0


def install(repository: Repository, on_server: bool) -> int:
    if on_server and not repository.bare:
        raise Error("--server is for a bare repository, and this one has a working tree", "git auths hooks install")
    if repository.bare and not on_server:
        raise Error("a bare repository takes the server's hook", "git auths hooks install --server")
    names = hookfiles.SERVER if on_server else hookfiles.CLIENT
    changed = hookfiles.install(repository, names)
    for name in changed:
        output.note(f"installed {hookfiles.folder(repository) / name}")
    if not changed:
        output.note(f"installed already: {', '.join(names)}")
    return 0
