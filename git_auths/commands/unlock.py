"""Load this machine's key into ssh-agent, so that signing asks for no passphrase until the time is over."""

from __future__ import annotations

import argparse
import os

from git_auths import output
from git_auths.core.policyschema import duration_seconds
from git_auths.errors import Error, UsageError
from git_auths.store import keystore, passphrase, settings, sshagent


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--alias", help="another identity than the one that signs here")
    parser.add_argument("-t", "--lifetime", default="8h", metavar="TIME", help="how long: 30m, 8h (the default), 2d")
    parser.add_argument("-c", "--confirm", action="store_true", help="let the agent ask at each use")


def run(args: argparse.Namespace) -> int:
    try:
        lifetime_seconds = duration_seconds(args.lifetime)
    except ValueError:
        raise UsageError(f"{args.lifetime!r} is not a time like 30m, 8h or 2d", "git auths unlock -t 8h") from None
    if not os.environ.get("SSH_AUTH_SOCK"):
        raise Error("there is no ssh-agent here (SSH_AUTH_SOCK is not set)", 'eval "$(ssh-agent)"')
    identity = keystore.load(args.alias or settings.signing_alias())
    # The next key never goes into an agent: it is what a thief of the agent must not have.
    key = passphrase.unlock(identity.alias, keystore.read_current(identity), args.secrets)
    if not sshagent.add(key, f"git-auths {identity.alias}", lifetime_seconds, args.confirm):
        raise Error("ssh-agent did not take the key", "ssh-add -l says whether it answers")
    output.note(f"ssh-agent holds the key of '{identity.alias}' for {args.lifetime}")
    return 0
