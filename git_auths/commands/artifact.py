"""Sign what was built, and verify it: from the file to the commit, and to whoever answers for it."""

from __future__ import annotations

import argparse

from git_auths.commands import artifact_list, artifact_sign, artifact_verify
from git_auths.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="command", metavar="sign|verify|list")
    for name, command in (("sign", artifact_sign), ("verify", artifact_verify), ("list", artifact_list)):
        line = (command.__doc__ or "").split("\n\n")[0]
        own = commands.add_parser(name, help=line, description=line)
        command.add_arguments(own)
        own.set_defaults(run_subcommand=command.run)


def run(args: argparse.Namespace) -> int:
    if args.command is None:
        raise UsageError("artifact needs one of sign, verify, list", "git auths artifact -h")
    code: int = args.run_subcommand(args)
    return code
