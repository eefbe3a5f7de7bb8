"""Take away what a pipeline's run leaves behind: the SSH signing keys that it registered with the forge.

It deletes the keys of this machine's own run, and those of other runs that are past the expiry in their titles. In a
workflow it stands in a step that runs whatever failed before (`if: always()`). Where nothing is left it exits with 0.
"""

from __future__ import annotations

import argparse
import functools
import shlex
import time
from collections.abc import Callable
from typing import NamedTuple

from git_auths import output
from git_auths.commands.forge import Account, account_of, is_ours, raise_first, repository_here, say_deleted
from git_auths.errors import Error, UsageError
from git_auths.services import forge, forge_title
from git_auths.services.forge import Key
from git_auths.store import forgekeys, keystore, throwaway
from git_auths.store.forgekeys import Registered


class Own(NamedTuple):
    """A key of this machine's run. `registered` is what it noted of a registration, `forget` ends that."""

    blob: bytes
    registered: Registered | None
    forget: Callable[[], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--delete-ssh-keys", action="store_true", help="delete the SSH signing keys at the forge")


def run(args: argparse.Namespace) -> int:
    if not args.delete_ssh_keys:
        raise UsageError("cleanup does nothing unless told what", "git auths cleanup --delete-ssh-keys")
    own, errors = of_this_machine()
    repository = repository_here()
    try:
        account = account_of(repository, args.secrets)
    except Error as error:
        if errors or any(one.registered is not None for one in own):
            raise_first([*errors, error])
        output.note(f"no key was registered here, and the forge is not asked for old ones: {error.message}")
        return 0
    raise_first([*errors, *delete(account, own, int(time.time()), repository is not None)])
    return 0


def of_this_machine() -> tuple[list[Own], list[Error]]:
    """The keys of this machine's run, and why others cannot be read."""
    found: list[Own] = []
    errors: list[Error] = []
    sources: list[Callable[[], list[Own]]] = [of_throwaway]
    sources += [functools.partial(of_lasting, alias) for alias in keystore.aliases()]
    for read in sources:
        try:
            found += read()
        except Error as error:
            errors.append(error)
    return found, errors


def of_throwaway() -> list[Own]:
    """The key of this run's throwaway identity, registered or not."""
    found = throwaway.find()
    if found is None:
        return []
    forget = functools.partial(found.remember, {forgekeys.ENTRY: None})
    return [Own(found.key_blob, forgekeys.noted_one(found.metadata), forget)]


def of_lasting(alias: str) -> list[Own]:
    """What an identity of this machine registered for a time. What is registered for good stays."""
    identity = keystore.load(alias)
    titles = [(one, forge_title.read(one.title)) for one in forgekeys.registered(keystore.metadata(identity))]
    return [Own(identity.current_blob, one, functools.partial(forgekeys.forget, identity, one))
            for one, title in titles if title is not None and title.expires_at is not None]  # fmt: skip


def delete(account: Account, own: list[Own], now: int, in_repository: bool) -> list[Error]:
    """Delete what is to go, as much of it as can be; return why the rest could not."""
    place, token = account
    here = [one for one in own if one.registered is None or one.registered.forge == place.url]
    away = [one.registered for one in own if one.registered is not None and one not in here]
    errors = [elsewhere(one, in_repository) for one in away]
    try:
        keys = forge.list_keys(place, token)
    except Error as error:
        return [*errors, error]
    doomed = [key for key in keys if has_expired(key, now) or any(is_own(key, one) for one in here)]
    failed = set()
    for key in doomed:
        try:
            say_deleted(place, key, forge.delete_key(place, token, key.id))
        except Error as error:
            errors.append(error)
            failed.add(key.id)
    for one in here:
        matching = {key.id for key in doomed if is_own(key, one)}
        if one.registered is None or matching & failed:
            continue
        if not matching:
            output.note(f"the key {one.registered.title!r} is gone from {place.name} already")
        try:
            one.forget()
        except Error as error:
            errors.append(error)
    if not doomed and not errors:
        output.note(f"no key to delete at {place.name}")
    return errors


def is_own(key: Key, one: Own) -> bool:
    """Whether it is this run's key, by its bytes or by the title that was noted when it was registered; a lasting
    identity may have rotated since. Never by an id alone: a file of the runner is not to name any key of the user."""
    if one.registered is None:
        return key.blob == one.blob
    return key.title == one.registered.title and (key.blob == one.blob or is_ours(key))


def has_expired(key: Key, now: int) -> bool:
    """Whether it is a key of ours past the expiry that its title names."""
    title = forge_title.read(key.title) if is_ours(key) else None
    return title is not None and title.expires_at is not None and title.expires_at <= now


def elsewhere(one: Registered, in_repository: bool) -> Error:
    command = f"git config auths.forgeUrl {shlex.quote(one.forge)}; git auths cleanup --delete-ssh-keys"
    return Error(f"the key {one.title!r} was registered with {one.forge}, which is not the forge of now",
                 command if in_repository else f"in a repository: {command}")  # fmt: skip
