"""Load this machine's keys into ssh-agent, so that signing asks for no passphrase until the time is over."""

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
        if lifetime_seconds >= 1 << 32:  # the agent protocol has 32 bits for it
            raise ValueError
    except ValueError:
        raise UsageError(f"{args.lifetime!r} is not a time like 30m, 8h or 2d", "git auths unlock -t 8h") from None
    if not os.environ.get("SSH_AUTH_SOCK"):
        raise Error("there is no ssh-agent here (SSH_AUTH_SOCK is not set)", 'eval "$(ssh-agent)"')
    identity = keystore.load(args.alias or settings.signing_alias())
    # The next keys never go into an agent: they are what a thief of the agent must not have.
    keys = passphrase.unlock_all(identity.alias, keystore.read_currents(identity), args.secrets)
    for key in keys:
        if not sshagent.add(key.private, f"git-auths {identity.alias}", lifetime_seconds, args.confirm):
            raise Error("ssh-agent did not take the key", "ssh-add -l says whether it answers")
    held = "the key" if len(keys) == 1 else f"{len(keys)} keys"
    output.note(f"ssh-agent holds {held} of '{identity.alias}' for {args.lifetime}")
    return 0
