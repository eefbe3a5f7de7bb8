"""The SSH signing keys that a forge has of you, by which it shows your commits as verified.

AUTHS_FORGE_TOKEN is to be a token of the user whose keys they are. It goes to the runner's GITHUB_API_URL or
CI_API_V4_URL, or to auths.forgeUrl of this repository's own configuration, and nowhere else.
"""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Callable, Mapping
from typing import NamedTuple

from git_auths import output
from git_auths.core.policywords import utc
from git_auths.core.sshsig import fingerprint
from git_auths.errors import Error, Refusal
from git_auths.services import forge, forge_choice, forge_title
from git_auths.services.forge import Key
from git_auths.services.forge_answers import TOKEN_NAME
from git_auths.services.forge_choice import Forge, NoDestination
from git_auths.services.forge_title import Title
from git_auths.store import forgekeys, keystore, remotes, settings, signing
from git_auths.store.forgekeys import Registered
from git_auths.store.repository import NotARepository, Repository
from git_auths.store.secrets import Secrets

REPOSITORY_VARIABLES = ("GITHUB_REPOSITORY", "CI_PROJECT_PATH")
RUN_VARIABLES = ("GITHUB_RUN_ID", "CI_PIPELINE_ID", "CIRCLE_WORKFLOW_ID")

Remember = Callable[[Mapping[str, object]], None]


class Account(NamedTuple):
    """A user's account at a forge."""

    forge: Forge
    token: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="add-key|remove-key|list")
    add = actions.add_parser("add-key", help="register this machine's key as one that signs for you")
    add.add_argument("--alias", help="another identity than the one that signs here")
    remove = actions.add_parser("remove-key", help="take it away again; commits by it then show as unverified")
    remove.add_argument("--alias", help="another identity than the one that signs here")
    remove.add_argument("id", nargs="?", type=int, metavar="ID", help="another key that git auths registered")
    show = actions.add_parser("list", help="list the keys that the forge has of you, and which are ours")
    show.add_argument("--json", action="store_true")


def run(args: argparse.Namespace) -> int:
    if args.action == "list":
        return list_keys(args.secrets, args.json)
    identity = keystore.load(args.alias) if args.alias else signing.identity(args.secrets)
    if args.action == "remove-key":
        return remove_key(identity, args.secrets, args.id)
    add(repository_here(), identity.current_blob, args.secrets, None, forgekeys.remember_for(identity))
    return 0


def register(repository: Repository | None, key_blob: bytes, secrets: Secrets, *, expires_at: int | None,
             remember: Remember) -> bool:  # fmt: skip
    """Register the SSH wire public key with the repository's forge, for good or until `expires_at`, in seconds since
    1970; say on stderr what was done, and return whether it is there now.

    Never raises for what the forge, the network or the configuration do: it warns. `remember` notes what
    `store.forgekeys.Registered.noted` says, before the forge is asked to add the key, and once more with the id that
    the key has there: `remember` of a throwaway identity, or what `forgekeys.remember_for` gives of a lasting one.
    """
    try:
        add(repository, key_blob, secrets, expires_at, remember)
    except Error as error:
        output.warning(f"the SSH key is not registered, so no forge shows what it signs as verified: {error.message}")
        if error.hint:
            output.hint(error.hint)
        return False
    return True


def add(repository: Repository | None, key_blob: bytes, secrets: Secrets, expires_at: int | None,
        remember: Remember) -> None:  # fmt: skip
    """As `register`, but raises errors.Error."""
    account = account_of(repository, secrets)
    place, token = account
    known = forge.find_key(forge.list_keys(place, token), key_blob)
    if known is not None:
        _require_signing(place, known)
        remember(Registered(place.url, place.kind, known.title, known.id).noted())
        output.note(f"{place.name} has the SSH signing key {known.id} ({fingerprint(key_blob)}) already")
        return
    title = forge_title.write(title_of(repository, key_blob, expires_at))
    remember(Registered(place.url, place.kind, title, None).noted())
    id = _post(account, key_blob, title, expires_at)
    remember(Registered(place.url, place.kind, title, id).noted())
    output.note(f"registered SSH signing key {id} ({fingerprint(key_blob)}) with {place.name}")
    if not place.has_signing_keys:
        output.warning(f"{place.name} does not verify by this key yet, and lets it log in as the token's user: "
                       f"{place.kind}'s API has no keys that only sign")  # fmt: skip
        output.hint(f"the user verifies it on the page of his SSH keys, {web_page(place)}, or deletes it there")


def account_of(repository: Repository | None, secrets: Secrets) -> Account:
    """Where the token may go, and the token. Raises errors.Error."""
    token = forge.read_token(secrets.tokens.get(TOKEN_NAME))
    configured = settings.forge_url(repository.path) if repository is not None else None
    github, gitlab = os.environ.get("GITHUB_API_URL"), os.environ.get("CI_API_V4_URL")
    try:
        return Account(forge_choice.choose(remote_url(repository), configured, github, gitlab), token)
    except NoDestination as error:
        if repository is not None:
            raise
        raise NoDestination(error.message, f"in a repository: {error.hint}") from None


def title_of(repository: Repository | None, key_blob: bytes, expires_at: int | None) -> Title:
    """What the key's title is to say: of a lasting key nothing but which it is, since it signs in every repository."""
    if expires_at is None:
        return Title(None, None, None, fingerprint(key_blob))
    name = _first(REPOSITORY_VARIABLES) or forge_choice.repository_of_remote(remote_url(repository) or "")
    return Title(name, _first(RUN_VARIABLES), expires_at, fingerprint(key_blob))


def remote_url(repository: Repository | None) -> str | None:
    """The URL of the repository's remote, where it has one that is meant."""
    if repository is None:
        return None
    try:
        return os.fsdecode(repository.git("remote", "get-url", remotes.default(repository))).strip()
    except Error:
        return None


def repository_here() -> Repository | None:
    try:
        return Repository()
    except NotARepository:
        return None


def web_page(place: Forge) -> str:
    """Where Gitea and Forgejo let a user verify his keys."""
    return place.url.removesuffix(forge_choice.API_PATHS[place.kind]) + "/user/settings/keys"


def remove_key(identity: keystore.Identity, secrets: Secrets, id: int | None) -> int:
    place, token = account_of(repository_here(), secrets)
    keys = forge.list_keys(place, token)
    known = forge.find_key(keys, identity.current_blob) if id is None else next((k for k in keys if k.id == id), None)
    if known is None:
        name = f"the key {fingerprint(identity.current_blob)}" if id is None else f"a key with the id {id}"
        output.note(f"{place.name} does not have {name}")
        return 0
    if id is not None and not is_ours(known) and known.blob != identity.current_blob:
        raise Refusal(f"git auths did not register the key {id} at {place.name}", "delete it there, if you mean it")
    say_deleted(place, known, forge.delete_key(place, token, known.id))
    for one in forgekeys.registered({} if keystore.is_without_files(identity) else keystore.metadata(identity)):
        if (one.forge, one.id) == (place.url, known.id):
            forgekeys.forget(identity, one)
    return 0


def say_deleted(place: Forge, key: Key, was_there: bool) -> None:
    named = f"SSH signing key {key.id} ({fingerprint(key.blob)})"
    output.note(f"deleted {named} at {place.name}" if was_there else f"{named} is gone from {place.name} already")


def list_keys(secrets: Secrets, as_json: bool) -> int:
    place, token = account_of(repository_here(), secrets)
    aliases, errors = own_keys()
    keys = sorted(forge.list_keys(place, token), key=lambda key: key.id)
    if as_json:
        told = [_as_json(key, aliases.get(key.blob)) for key in keys]
        output.document({"version": 1, "forge": place.url, "kind": place.kind, "keys": told})
        raise_first(errors)
        return 0
    for key in keys:
        alias = aliases.get(key.blob)
        whose = f"ours: {shlex.quote(alias)}" if alias else "ours" if is_ours(key) else "not ours"
        output.data(f"{key.id} {fingerprint(key.blob)} ({whose}{'' if key.signs else ', does not sign'}) {key.title}")
    raise_first(errors)
    return 0


def own_keys() -> tuple[dict[bytes, str], list[Error]]:
    """The alias by the SSH wire public key of each identity of this machine; why the others cannot be read."""
    found, errors = {}, []
    for alias in keystore.aliases():
        try:
            found[keystore.load(alias).current_blob] = alias
        except Error as error:
            errors.append(error)
    return found, errors


def raise_first(errors: list[Error]) -> None:
    """At the end of what could be done in spite of `errors`: warn of all but the first, and raise that."""
    for error in errors[1:]:
        output.warning(error.message)
        if error.hint:
            output.hint(error.hint)
    if errors:
        raise errors[0]


def is_ours(key: Key) -> bool:
    """Whether git auths registered the key: its title says so, and names the key that it stands beside."""
    title = forge_title.read(key.title)
    return title is not None and title.fingerprint == fingerprint(key.blob)


def _as_json(key: Key, alias: str | None) -> dict[str, object]:
    title = forge_title.read(key.title) if is_ours(key) else None
    until = None if title is None or title.expires_at is None else utc(title.expires_at)
    return {
        "id": key.id, "title": key.title, "fingerprint": fingerprint(key.blob), "signs": key.signs,
        "ours": is_ours(key) or alias is not None, "alias": alias, "expires_at": until,
    }  # fmt: skip


def _post(account: Account, key_blob: bytes, title: str, expires_at: int | None) -> int:
    place, token = account
    try:
        return forge.add_key(place, token, key_blob, title, expires_at)
    except forge.KeyInUse:
        # A first try may have arrived and its answer been lost; or another process was faster.
        known = forge.find_key(forge.list_keys(place, token), key_blob)
        if known is None:
            raise
        _require_signing(place, known)
        return known.id


def _require_signing(place: Forge, known: Key) -> None:
    if not known.signs:
        raise Error(f"{place.name} has this key ({known.id}) for logging in, and not for signing",
                    "delete it there, and register it again")  # fmt: skip


def _first(names: tuple[str, ...]) -> str | None:
    return next((os.environ[name] for name in names if os.environ.get(name)), None)
