"""Take this machine's keys out of ssh-agent again, before the time of `unlock` is over. Other keys stay."""

from __future__ import annotations

import argparse
import os

from git_auths import output
from git_auths.errors import Error, UsageError
from git_auths.store import keystore, settings, sshagent


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--alias", help="another identity than the one that signs here")
    parser.add_argument("--all", action="store_true", help="the keys of every identity of this machine")


def run(args: argparse.Namespace) -> int:
    if args.all and args.alias:
        raise UsageError("--all and --alias exclude each other", "git auths lock --all")
    if not os.environ.get("SSH_AUTH_SOCK"):
        raise Error("there is no ssh-agent here (SSH_AUTH_SOCK is not set)", "run it where git auths unlock was run")
    failed: Error | None = None
    for alias in keystore.aliases() if args.all else [args.alias or settings.signing_alias()]:
        try:
            lock(keystore.load(alias))
        except Error as error:  # one damaged identity must not keep the keys of the others in
            if failed is not None:
                output.warning(failed.message)
            failed = error
    if failed is not None:
        raise failed
    return 0


def lock(identity: keystore.Identity) -> None:
    """Make the agent forget the identity's keys, those that a rotation replaced too. Raises errors.Error."""
    files = [*keystore.read_currents(identity), *(file for _, file in keystore.read_previous(identity))]
    blobs = [keystore.public_blob_of(identity.folder, file) for file in files]
    number = sum([sshagent.remove(blob) for blob in blobs])
    if left := {blob for blob, _ in sshagent.list_keys()}.intersection(blobs):
        raise Error(f"ssh-agent kept {len(left)} of the keys of '{identity.alias}'", "ssh-add -D removes every key")
    forgot = ("no key", "the key")[number] if number < 2 else f"{number} keys"
    output.note(f"ssh-agent {'held' if number == 0 else 'forgot'} {forgot} of '{identity.alias}'")
