"""The pinned trust root of this repository: `show` it, or `pin` it (a server, or after all admins were lost)."""

from __future__ import annotations

import argparse
import shlex

from git_auths import output
from git_auths.core.gitobject import is_object_id
from git_auths.errors import Error, Refusal, UsageError
from git_auths.store import settings, trustroot
from git_auths.store.repository import Repository


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="action", required=True, metavar="show|pin")
    show = commands.add_parser("show", help="print the pinned root and mainline")
    show.add_argument("--json", action="store_true")
    pin = commands.add_parser("pin", help="pin a root")
    pin.add_argument("--replace", metavar="OLD", help="the root that is pinned now")
    pin.add_argument("--mainline", metavar="REF", help="the full name of the mainline's ref")
    pin.add_argument("oid", metavar="OID", help="the full id of the root; an empty repository need not have it yet")


def run(args: argparse.Namespace) -> int:
    repository = Repository()
    return show(repository, args.json) if args.action == "show" else pin(repository, args)


def show(repository: Repository, as_json: bool) -> int:
    pins = settings.pins(repository.path)
    if pins is None:
        raise Refusal(
            "no trust root is pinned in this repository", "git auths setup, or on a server: git auths root pin OID"
        )
    if as_json:
        output.document({"version": 1, "root": pins.root, "mainline": pins.mainline})
    else:
        output.data(f"root {pins.root}")
        output.data(f"mainline {pins.mainline}")
    return 0


def pin(repository: Repository, args: argparse.Namespace) -> int:
    if not is_object_id(args.oid):
        raise UsageError(f"{args.oid!r} is not a full object id", "git rev-parse REV prints one")
    pinned = settings.pins(repository.path)
    if pinned is not None and pinned.root not in (args.oid, args.replace):
        raise Error(f"another root is pinned here: {pinned.root}",
                    f"git auths root pin --replace {pinned.root} {shlex.quote(args.oid)}")  # fmt: skip
    mainline = args.mainline or (pinned.mainline if pinned else trustroot.default_mainline(repository))
    if not mainline.startswith("refs/"):
        raise UsageError(f"{mainline!r} is not a full ref name", "like refs/heads/main")
    if pinned is not None and pinned.root != args.oid and repository.has(pinned.root):
        show_root(repository, "the old root", pinned.root)
    if repository.has(args.oid):
        show_root(repository, "the root", args.oid)
    else:
        output.note(f"{args.oid} is not here yet; it must be in the first push")
    settings.pin(args.oid, mainline, repository.path)
    output.note(f"pinned {args.oid} with the mainline {mainline}")
    return 0


def show_root(repository: Repository, title: str, root: str) -> None:
    first, *rest = trustroot.description(repository, root)
    output.note(f"{title} {first}")
    for line in rest:
        output.note(line)
