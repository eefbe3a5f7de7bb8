"""Commit what this machine's key event logs have grown by since HEAD, and the grants that wait for a commit.

Where a repository has more of a log of ours than this machine, that is said loudly: somebody else may hold its keys.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from git_auths import output
from git_auths.store import delegating, granting, keystore, recording, settings, trustroot
from git_auths.store.auths_tree import committed, grant_path
from git_auths.store.recording import Standing
from git_auths.store.repository import Repository
from git_auths.store.secrets import Secrets


class Waiting(NamedTuple):
    """The file of a grant that `issuer`, an identity of this machine, has sealed, and that HEAD does not have."""

    issuer: keystore.Identity
    sha256: str
    file: bytes


def add_update_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--alias", help="the identity that signs the commit (default: the one that signs here)")
    parser.add_argument("--stage", action="store_true", help="stage it, for a commit of your own")


def update(args: argparse.Namespace) -> int:
    repository = Repository()
    repository.worktree()
    code = 1 if warn_of_others(repository) else 0
    kels, grants = recording.lagging(repository), waiting_grants(repository)
    if not kels and not grants:
        output.note("HEAD has all of the logs of this machine that it knows")
        return code
    begun = recording.operation(repository)
    if args.stage or begun is not None:
        for path in recording.stage(repository, kels, [one.file for one in grants]):
            output.note(f"staged {path}")
        output.hint("git commit makes it so" if begun is None else f"{begun.what} is in progress here: {begun.command}")
        return code
    id = record(repository, args.alias, args.secrets)
    output.note(f"committed {', '.join([*(f'the log of did:keri:{aid}' for aid in kels), *counted(len(grants))])}")
    if id is not None:
        output.data(id)
    return code


def record(repository: Repository, alias: str | None, secrets: Secrets) -> str | None:
    """Commit what lags and what waits, by the identity `alias` (None: the one that signs here); the commit's id."""
    identity = keystore.load(alias or settings.signing_alias(repository.path))
    kels, grants = recording.lagging(repository), waiting_grants(repository)
    id = recording.commit(repository, message(kels), identity, secrets, kels, [one.file for one in grants])
    for one in grants:
        granting.forget(one.issuer, one.sha256)
    return id


def message(kels: Mapping[str, bytes]) -> str:
    if len(kels) == 1:
        return f"Update the key event log of did:keri:{next(iter(kels))}"
    return "Update key event logs" + "".join(f"\n\ndid:keri:{aid}" for aid in kels)


def counted(grants: int) -> list[str]:
    return [] if not grants else ["1 grant" if grants == 1 else f"{grants} grants"]


def waiting_grants(repository: Repository) -> list[Waiting]:
    """The grants that this machine has sealed for the root here, of issuers whose logs HEAD has, and HEAD lacks."""
    head = repository.head()
    place = None if head is None else delegating.at(repository, head)
    if place is None:
        return []
    here, found = committed(repository, head), []
    for issuer in recording.identities():
        if issuer.aid not in place.folder.kels:
            continue
        for sha256, file in granting.waiting(issuer, place).items():
            if grant_path(sha256) in here:
                granting.forget(issuer, sha256)
            else:
                found.append(Waiting(issuer, sha256, file))
    return found


def warn_of_others(repository: Repository) -> bool:
    """Say what HEAD or the mainline has of our logs that this machine lacks; whether that can mean a stolen key."""
    for where, identity in approvals(repository):
        output.note(f"{where} has what '{identity.alias}' has asked its owner for")
        output.hint(finish(identity))
    found = list(elsewhere(repository))
    for where, standing in found:
        output.warning(alarm(where, standing))
        output.hint(look(standing))
    return bool(found)


def alarm(where: str, standing: Standing) -> str:
    if standing.forked:
        return f"the log of '{standing.identity.alias}' on this machine and the one in {where} have forked"
    return (f"{where} has events in the log of '{standing.identity.alias}' that this machine did not make: whoever "
            "signed them holds its keys")  # fmt: skip


def look(standing: Standing) -> str:
    return f"git auths kel show did:keri:{standing.identity.aid} lists them; if they are not yours, its keys are stolen"


def finish(identity: keystore.Identity) -> str:
    return f"git auths device finish --alias {identity.alias}"


def approvals(repository: Repository) -> Iterator[tuple[str, keystore.Identity]]:
    """(where, whose) of what an identity of this machine waits for, and HEAD or else the mainline has."""
    told = set()
    for where, commit in places(repository):
        place = delegating.at(repository, commit)
        for identity in recording.identities() if place is not None else ():
            message = delegating.waiting(identity)
            if message is None or identity.aid in told:
                continue
            if place is not None and delegating.is_recorded(place.folder, message):
                told.add(identity.aid)
                yield where, identity


def elsewhere(repository: Repository) -> Iterator[tuple[str, Standing]]:
    """(where, how it stands) of each log of which HEAD, or else the mainline, has more than we, or something else, and
    which waits for nothing.

    A tree whose logs are not valid is passed over: anybody can write what claims to be signed by our keys.
    """
    told = {identity.aid for _, identity in approvals(repository)}
    for where, commit in places(repository):
        found = [one for one in recording.standings(repository, commit) if one.is_ahead or one.forked]
        if found and trustroot.folder_at(repository, commit).fault is not None:
            continue
        for standing in found:
            if standing.identity.aid not in told:
                told.add(standing.identity.aid)
                yield where, standing


def places(repository: Repository) -> list[tuple[str, str]]:
    """HEAD and the mainline, as far as they exist, and their commits."""
    pins = settings.pins(repository.path)
    found = {"HEAD": repository.head()}
    if pins is not None:
        found[pins.mainline] = repository.ref(pins.mainline)
    return [(name, commit) for name, commit in found.items() if commit is not None]
