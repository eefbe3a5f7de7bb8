"""This machine's identity: its DID; with --export its key event log, for a maintainer's `policy add-signer`."""

from __future__ import annotations

import argparse

from git_auths import output
from git_auths.core.kel import replay
from git_auths.core.sshsig import fingerprint
from git_auths.store import keystore, settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--alias", help="another identity than the one that signs here")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--export", action="store_true", help="print the key event log: it holds no secret")
    form.add_argument("--json", action="store_true")


def run(args: argparse.Namespace) -> int:
    identity = keystore.load(args.alias or settings.signing_alias())
    if args.export:
        output.raw(keystore.read_kel(identity))
        return 0
    kel = replay(keystore.read_kel(identity))
    if args.json:
        output.document({"version": 1, "alias": identity.alias, "did": kel.did, "sn": kel.sn,
                         "key": fingerprint(identity.current_blob)})  # fmt: skip
        return 0
    output.data(kel.did)
    output.note(f"alias {identity.alias}, event {kel.sn}, key {fingerprint(identity.current_blob)}")
    return 0
