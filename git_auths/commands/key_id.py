"""What `user.signingKey` takes for this machine's identity."""

from __future__ import annotations

import argparse
from binascii import b2a_base64

from git_auths import output
from git_auths.core.sshsig import key_type
from git_auths.store import keystore, settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--alias", help="another identity than the one that signs here")
    parser.add_argument("--ssh", action="store_true", help="print the SSH public key instead, as forges take it")


def run(args: argparse.Namespace) -> int:
    identity = keystore.load(args.alias or settings.signing_alias())
    if args.ssh:
        blob = identity.current_blob
        output.data(f"{key_type(blob).decode()} {b2a_base64(blob, newline=False).decode()} git-auths {identity.alias}")
    else:
        output.data(settings.SIGNING_KEY_PREFIX + identity.alias)
    return 0
