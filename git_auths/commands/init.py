"""Make an identity, and set up the repository that you stand in to sign with it. Run twice, it changes nothing.

--profile ci is for a job: a throwaway key that ends with it, or what AUTHS_DID and AUTHS_PRIVATE_KEY name.
"""

from __future__ import annotations

import argparse
import os

from git_auths import output
from git_auths.commands import init_ci
from git_auths.commands.hooks import install_hooks
from git_auths.errors import UsageError
from git_auths.store import git, keyevents, keystore, passphrase, settings, wiring
from git_auths.store.repository import NotARepository, Repository


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--profile", choices=("person", "ci"), default="person",
                        help="ci: a throwaway identity for one job (default: person)")  # fmt: skip
    parser.add_argument(
        "--alias", help="the identity's name on this machine (default: the one that signs here, or main)"
    )
    parser.add_argument("--no-passphrase", action="store_true", help="leave the key files unencrypted")
    parser.add_argument("--next-key", metavar="PATH", help="put the next key there: a stick, a safe")
    parser.add_argument("--curve", choices=sorted(keyevents.CURVES), default="ed25519", help="default: ed25519")
    parser.add_argument("--keys", type=int, default=1, metavar="N", help="as many keys, all of them here (default: 1)")
    parser.add_argument(
        "--threshold", metavar="T", help="how many of them must sign, 2/3, or their weights: 1/2,1/2,1/2"
    )
    parser.add_argument("--register", action="store_true", help="register the SSH public key with the forge")
    parser.add_argument("--auto-register-ssh-key", action=argparse.BooleanOptionalAction, default=None,
                        help="the same; a throwaway key is registered unless told not to")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    if args.profile == "ci":
        require_one_key_here(args)
        return init_ci.run(args)
    return init_person(args)


def require_one_key_here(args: argparse.Namespace) -> None:
    given = {"--alias": args.alias, "--next-key": args.next_key, "--threshold": args.threshold,
             "--keys": None if args.keys == 1 else args.keys}  # fmt: skip
    for option, value in given.items():
        if value is not None:
            raise UsageError(f"{option} is not for --profile ci: that identity has one key, and no name",
                             "git auths init --profile ci")  # fmt: skip


def init_person(args: argparse.Namespace) -> int:
    alias = settings.signing_alias() if args.alias is None else args.alias
    identity = existing(alias)
    if identity is None:
        identity = keyevents.incept(alias, args.secrets, curve=args.curve, keys=args.keys, threshold=args.threshold,
                                    unencrypted=args.no_passphrase, next_path=args.next_key)  # fmt: skip
        output.note(f"created the identity '{identity.alias}' in {identity.folder}")
    elif (args.curve, args.keys, args.threshold) != ("ed25519", 1, None):
        raise UsageError(f"the identity '{alias}' is there already, and keeps the keys that it has",
                         "name another: --alias NAME")  # fmt: skip
    else:
        output.note(f"the identity '{identity.alias}' is there already")
    signs_alone = bool(keyevents.own_log(identity).current_signing_keys())
    if not signs_alone:
        output.warning("no key of it alone meets the threshold: its devices and members sign commits, not itself")
    output.data(f"did:keri:{identity.aid}")
    try:
        repository = Repository()
    except NotARepository:
        output.hint("run it again in a repository to set that up for signing")
        if args.register or args.auto_register_ssh_key:
            register(None, identity, args.secrets)
        return 0
    signer = other_signer(repository, identity.alias)
    for line in wiring.wire(repository, signer or identity.alias):
        output.note(f"set {line}")
    if signer is not None:
        output.note(f"'{signer}' signs here, as before")
    if signer is not None and signs_alone:
        key = settings.SIGNING_KEY_PREFIX + identity.alias
        output.hint(f"to let '{identity.alias}' sign here: git config user.signingKey {key}")
    if not repository.bare:
        install_hooks(repository)
    if args.register or args.auto_register_ssh_key:
        register(repository, identity, args.secrets)
    return 0


def register(repository: Repository | None, identity: keystore.Identity, secrets: passphrase.Secrets) -> None:
    """Let the forge know the lasting key. It warns where it cannot."""
    from git_auths.commands import forge
    from git_auths.store import forgekeys

    remember = forgekeys.remember_for(identity)
    forge.register(repository, identity.current_blob, secrets, expires_at=None, remember=remember)


def other_signer(repository: Repository, alias: str) -> str | None:
    """The other identity of this machine that this repository's own configuration lets sign."""
    status, key = git.attempt("config", "--local", "--get", "user.signingKey", cwd=repository.path)
    signer = os.fsdecode(key).strip().removeprefix(settings.SIGNING_KEY_PREFIX) if status == 0 else alias
    return signer if signer != alias and signer in keystore.aliases() else None


def existing(alias: str) -> keystore.Identity | None:
    return keystore.load(alias) if alias in keystore.aliases() else None


def create(alias: str, secrets: passphrase.Secrets, unencrypted: bool, next_path: str | None) -> keystore.Identity:
    """A new identity of one Ed25519 key."""
    return keyevents.incept(alias, secrets, unencrypted=unencrypted, next_path=next_path)
