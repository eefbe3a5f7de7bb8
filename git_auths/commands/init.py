"""Make an identity, and set up the repository that you stand in to sign with it. Run twice, it changes nothing."""

from __future__ import annotations

import argparse

from git_auths import output
from git_auths.commands.hooks import install_hooks
from git_auths.core import kelbuild, opensshkey
from git_auths.core.verkey import from_ssh_blob
from git_auths.errors import Error
from git_auths.store import keystore, passphrase, settings, wiring
from git_auths.store.repository import NotARepository, Repository


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--alias", help="the identity's name on this machine (default: the one that signs here, or main)"
    )
    parser.add_argument("--no-passphrase", action="store_true", help="leave the key files unencrypted")
    parser.add_argument("--next-key", metavar="PATH", help="put the next key there: a stick, a safe")


def run(args: argparse.Namespace) -> int:
    alias = settings.signing_alias() if args.alias is None else args.alias
    identity = existing(alias)
    if identity is None:
        identity = create(alias, args.secrets, args.no_passphrase, args.next_key)
        output.note(f"created the identity '{identity.alias}' in {identity.folder}")
    else:
        output.note(f"the identity '{identity.alias}' is there already")
    output.data(f"did:keri:{identity.aid}")
    try:
        repository = Repository()
    except NotARepository:
        output.hint("run it again in a repository to set that up for signing")
        return 0
    for line in wiring.wire(repository, identity.alias):
        output.note(f"set {line}")
    if not repository.bare:
        install_hooks(repository)
    return 0


def existing(alias: str) -> keystore.Identity | None:
    return keystore.load(alias) if alias in keystore.aliases() else None


def create(alias: str, secrets: passphrase.Secrets, unencrypted: bool, next_path: str | None) -> keystore.Identity:
    """A new identity: two Ed25519 keys, and the inception that names the one and commits to the other."""
    locked_by = None if unencrypted else passphrase.ask_new(alias, secrets)
    current, next_key = opensshkey.generate(), opensshkey.generate()
    key = from_ssh_blob(current.public_blob)
    event = kelbuild.inception([key], [from_ssh_blob(next_key.public_blob).commitment])
    signature = kelbuild.indexed_signature(key, current.sign_raw(event), 0, 0)
    kel = kelbuild.with_signatures(event, [signature])
    comment = f"git-auths {alias}"
    try:
        return keystore.create(
            alias, kel,
            opensshkey.serialize(current, locked_by, comment),
            opensshkey.serialize(next_key, locked_by, f"{comment} (next)"),
            next_path,
        )  # fmt: skip
    except OSError as error:
        raise Error(f"cannot write the identity '{alias}': {error.strerror}") from None
