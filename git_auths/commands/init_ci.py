"""`git auths init --profile ci`: the identity of one job. See `init`.

A throwaway key, bound to the job by a token of the CI where that mints any, and registered with the forge for as long
as it lives; or, where AUTHS_DID and AUTHS_PRIVATE_KEY are set, the lasting identity of the pipeline.
"""

from __future__ import annotations

import argparse
import os
import time

from git_auths import output
from git_auths.commands import forge
from git_auths.core import didkey
from git_auths.core.auths_folder import AuthsFolders
from git_auths.core.opensshkey import ED25519, P256
from git_auths.core.policy import CiRule
from git_auths.core.policywords import utc
from git_auths.errors import Error
from git_auths.services import oidc
from git_auths.services.forge_answers import TOKEN_NAME
from git_auths.store import forgekeys, git, settings, signing, throwaway, wiring
from git_auths.store.repository import Objects, Repository
from git_auths.store.secrets import Secrets
from git_auths.store.throwaway import Throwaway

# Whom GitHub itself shows as the author of what a workflow commits.
GITHUB_BOT = {
    "user.name": "github-actions[bot]",
    "user.email": "41898282+github-actions[bot]@users.noreply.github.com",
}


def run(args: argparse.Namespace) -> int:
    repository = Repository()
    if args.secrets.name_an_identity:
        init_lasting(repository, args)
    else:
        init_throwaway(repository, args)
    return 0


def init_lasting(repository: Repository, args: argparse.Namespace) -> None:
    """Let plain git sign with the environment's identity. Its key lasts, so it is registered on request only."""
    identity = signing.identity(args.secrets, repository.path)
    output.data(f"did:keri:{identity.aid}")
    tell([*wiring.wire(repository, identity.alias), *name_the_bot(repository)])
    if args.register or args.auto_register_ssh_key:
        remember = forgekeys.remember_for(identity)
        if forge.register(repository, identity.current_blob, args.secrets, expires_at=None, remember=remember):
            say_whose_address(repository)


def init_throwaway(repository: Repository, args: argparse.Namespace) -> None:
    rules = ephemeral_rules(repository)
    made = present(repository, rules)
    if made is None:
        kind = P256 if args.curve == "p256" else throwaway.kind_for(rules)
        made = throwaway.create(kind, throwaway.max_ttl_seconds(rules), repository.path)
        output.note(f"created a throwaway identity in {made.folder}, until {utc(made.expires_at)}")
    else:
        output.note(f"the throwaway identity in {made.folder} is there already, until {utc(made.expires_at)}")
    output.data(made.did)
    if made.token is None:
        bind_token(made, args.secrets)
    tell([*wiring.wire(repository, None), *wiring.wire_key_file(repository, str(made.key_file)),
          *name_the_bot(repository)])  # fmt: skip
    if args.register or args.auto_register_ssh_key is not False:
        register(repository, made, args.secrets)


def ephemeral_rules(repository: Repository) -> list[CiRule]:
    """The [[policy.ci]] rules for throwaway identities: of the mainline where one is pinned, else of HEAD."""
    pins = settings.pins(repository.path)
    tip = repository.ref(pins.mainline) if pins is not None else repository.head()
    status, id = git.attempt("rev-parse", "--verify", "--quiet", "--end-of-options", f"{tip}:.auths",
                             cwd=repository.path, allow=(0, 1, 128))  # fmt: skip
    if status:
        return []
    with Objects(repository.path) as objects:
        folder = AuthsFolders(objects.read, repository.hex_length, pins.root if pins else None)(id.decode().strip())
    if folder.fault is not None:
        output.warning(f"the policy cannot be read, so its max_ttl is not known: {folder.fault.reason}")
    rules = [] if folder.policy is None else list(folder.policy.ci)
    allowed = [rule for rule in rules if rule.allow_ephemeral]
    if rules and not allowed:
        output.warning("no [[policy.ci]] allows throwaway identities: what this one signs will not count")
        output.hint("a rule with allow_ephemeral = true lets it")
    return allowed


def present(repository: Repository, rules: list[CiRule]) -> Throwaway | None:
    """The one that is there, if it is of use still."""
    found = throwaway.find(repository.path)
    if found is None or found.expires_at <= time.time():
        return None
    return found if throwaway.kind_for(rules) in (found.private_key.kind, ED25519) else None


def bind_token(made: Throwaway, secrets: Secrets) -> None:
    """Let the CI say that this job has the key: its token, with the key's digest as audience, is kept with the key. It
    warns where there is none, as the key signs all the same."""
    try:
        token = oidc.fetch(didkey.audience(made.key_blob), os.environ, secrets.tokens)
    except Error as error:
        output.warning(f"no token of the CI binds the key to this job: {error.message}")
        if error.hint:
            output.hint(error.hint)
        return
    if token is None:
        hint = oidc.missing_hint(os.environ)
        output.warning("no token of the CI binds the key to this job: there is none to be had here")
        if hint:
            output.hint(hint)
        return
    made.remember({"token": token})
    output.note("a token of the CI binds the key to this job")


def register(repository: Repository, made: Throwaway, secrets: Secrets) -> None:
    """Let the forge know the key for as long as it lives. It never fails: without a token it says what that takes."""
    if TOKEN_NAME not in secrets.tokens:
        output.note(f"no forge shows what this signs as verified: that takes {TOKEN_NAME}, a token of who commits "
                    "(--no-auto-register-ssh-key: not wanted)")  # fmt: skip
        return
    if forge.register(repository, made.key_blob, secrets, expires_at=made.expires_at, remember=made.remember):
        say_whose_address(repository)


def say_whose_address(repository: Repository) -> None:
    """The key is the account's of the token; a forge looks for it at the account that has the committer's address."""
    status, committer = git.attempt("var", "GIT_COMMITTER_IDENT", cwd=repository.path, allow=(0, 1, 128))
    email = GITHUB_BOT["user.email"]
    if status == 0 and f"<{email}>" in os.fsdecode(committer):
        output.note(f"the forge shows commits as verified only where the committer's address, {email}, belongs to the "
                    f"account of {TOKEN_NAME}: set user.email to one of its own")  # fmt: skip


def name_the_bot(repository: Repository) -> list[str]:
    """On GitHub Actions, the author that git would miss; `key = value` of each. Elsewhere git asks for one itself."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return []
    missing = {key: value for key, value in GITHUB_BOT.items() if settings.get(key, repository.path) is None}
    for key, value in missing.items():
        settings.set_local(key, value, repository.path)
    return [f"{key} = {value}" for key, value in missing.items()]


def tell(changed: list[str]) -> None:
    for line in changed:
        output.note(f"set {line}")
