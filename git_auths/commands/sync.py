"""Exchange attestations (refs/notes/auths) with a remote: fetch, unite, push. Nothing is ever lost by it."""

from __future__ import annotations

import argparse

from git_auths import output
from git_auths.store import notesync, remotes
from git_auths.store.repository import Repository


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("remote", nargs="?", metavar="REMOTE", help="default: the mainline's remote")
    parser.add_argument("--no-push", action="store_true", help="fetch and unite only")


def run(args: argparse.Namespace) -> int:
    repository = Repository()
    remote = args.remote or remotes.default(repository)
    if args.no_push:
        output.note(f"{remote}: {notesync.receive(repository.path, remote)} new here")
        return 0
    synced = notesync.sync(repository.path, remote)
    output.note(f"{remote}: {synced.received} new here, {synced.sent} new there")
    return 0
