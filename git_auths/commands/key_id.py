"""What `user.signingKey` takes for this machine's identity, or for this job's."""

from __future__ import annotations

import argparse
from binascii import b2a_base64

from git_auths import output
from git_auths.commands import job_identity
from git_auths.commands.option_types import filled
from git_auths.core.sshsig import key_type
from git_auths.store import keystore, settings, signing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--alias", type=filled, help="another identity than the one that signs here")
    parser.add_argument("--ssh", action="store_true", help="print the SSH public key instead, as forges take it")


def run(args: argparse.Namespace) -> int:
    made = None if args.alias is not None or args.secrets.name_an_identity else job_identity.found()
    if made is not None:
        output.data(public_line(made.key_blob, "throwaway") if args.ssh else str(made.key_file))
        return 0
    identity = signing.identity(args.secrets) if args.alias is None else keystore.load(args.alias)
    if args.ssh:
        output.data(public_line(identity.current_blob, identity.alias))
    else:
        output.data(settings.SIGNING_KEY_PREFIX + identity.alias)
    return 0


def public_line(blob: bytes, name: str) -> str:
    return f"{key_type(blob).decode()} {b2a_base64(blob, newline=False).decode()} git-auths {name}"
