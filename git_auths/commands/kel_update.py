"""Commit what this machine's key event logs have grown by since HEAD, and the grants that wait for a commit.

Where a repository has more of a log of ours than this machine, that is said loudly: somebody else may hold its keys.
Who has made those events takes them in, on a yes or with --take.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import NamedTuple

from git_auths import output
from git_auths.commands.setup import confirmed
from git_auths.core import eventwords, kelcompare
from git_auths.core.kel import Event, Kel
from git_auths.store import delegating, granting, keystore, recording, restoring, settings, trustroot
from git_auths.store.auths_tree import committed, grant_path
from git_auths.store.recording import Standing
from git_auths.store.repository import Repository
from git_auths.store.secrets import Secrets

TAKE = "git auths kel update --take"


class Waiting(NamedTuple):
    """The file of a grant that `issuer`, an identity of this machine, has sealed, and that HEAD does not have."""

    issuer: keystore.Identity
    sha256: str
    file: bytes


def add_update_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--alias", help="the identity that signs the commit (default: the one that signs here)")
    parser.add_argument("--stage", action="store_true", help="stage it, for a commit of your own")
    what = "take in the events that only the repository has: you made them, and this machine is restored from a backup"
    parser.add_argument("--take", action="store_true", help=what)


def update(args: argparse.Namespace) -> int:
    repository = Repository()
    repository.worktree()
    others = settle_others(repository, args.take)
    code = 1 if others.left else 0
    if others.taken_from - {"HEAD"}:
        output.hint("git pull brings it to HEAD; where there is nothing to pull: git auths kel update")
        return code
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


class Others(NamedTuple):
    """Where what was taken in came from, and whether something is `left` that can mean a stolen key."""

    taken_from: set[str]
    left: bool


def settle_others(repository: Repository, is_ours: bool) -> Others:
    """Say what HEAD or the mainline has of our logs that this machine lacks; take it in where it `is_ours`, or somebody
    at the terminal says so."""
    for where, identity in approvals(repository):
        output.note(f"{where} has what '{identity.alias}' has asked its owner for")
        output.hint(finish(identity))
    taken, left = set(), False
    for where, standing in elsewhere(repository):
        output.warning(alarm(where, standing))
        given = None if standing.forked else longer_log(repository, where, standing)
        if given is None:
            output.hint(look(standing))
            left = True
            continue
        events = restoring.lacking(standing.identity, given)
        for event in events:
            show(event)
        if may_take(standing, is_ours):
            restoring.take(standing.identity.alias, standing.theirs, given)
            say_taken(standing.identity.alias, events)
            taken.add(where)
        else:
            left = True
    return Others(taken, left)


def longer_log(repository: Repository, where: str, standing: Standing) -> Kel | None:
    """The log as `where` has it; None, with a warning, where HEAD and the mainline do not agree on it."""
    found = {name: trustroot.folder_at(repository, commit) for name, commit in places(repository)}
    streams = [one.theirs for _, commit in places(repository) for one in recording.standings(repository, commit)
               if one.identity.aid == standing.identity.aid]  # fmt: skip
    if any(kelcompare.relation(*two) == kelcompare.FORKED for two in combinations(streams, 2)):
        output.warning(f"the logs of '{standing.identity.alias}' in {' and '.join(found)} have forked")
        return None
    return found[where].kels[standing.identity.aid]


def show(event: Event) -> None:
    output.note(f"  event {event.sn}: {'other keys from now on' if event.is_establishment else 'the same keys'}")
    for anchor in event.anchors:
        output.note(f"    {eventwords.seal_words(anchor)}")


def may_take(standing: Standing, is_ours: bool) -> bool:
    if is_ours:
        return True
    output.hint(f"if you did not make them, its keys are stolen: {stolen(standing)}")
    if not sys.stdin.isatty():
        output.hint(f"if you did, and this machine is restored from a backup: {TAKE}")
        return False
    return confirmed("Have you made these events yourself, and is this machine to take them in?", TAKE)


def say_taken(alias: str, events: tuple[Event, ...]) -> None:
    output.note(f"the log of '{alias}' on this machine has {'it' if len(events) == 1 else 'them'} now, up to event "
                f"{events[-1].sn}")  # fmt: skip
    if not restoring.can_rotate(keystore.load(alias)):
        output.warning(f"'{alias}' signs, and can never be rotated again: the next key is not on this machine")
        output.hint("find the next key; else move to another identity: man gitauths-recovery, A lost next key")


def alarm(where: str, standing: Standing) -> str:
    if standing.forked:
        return f"the log of '{standing.identity.alias}' on this machine and the one in {where} have forked"
    return (f"{where} has events in the log of '{standing.identity.alias}' that this machine did not make: whoever "
            "signed them holds its keys")  # fmt: skip


def look(standing: Standing) -> str:
    lists = f"git auths kel show did:keri:{standing.identity.aid} lists them"
    if standing.forked:
        return f"{lists}; if they are not yours, its keys are stolen: {stolen(standing)}"
    return f"{lists}; if you have made them: {TAKE}; if not, its keys are stolen: {stolen(standing)}"


def stolen(standing: Standing) -> str:
    return f"git auths rotate --alias {standing.identity.alias} --compromised"


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
    """(where, how it stands) of each log of which HEAD or the mainline has more than we, or something else, and which
    waits for nothing: where it has forked, else where it is longest.

    A tree whose logs are not valid is passed over: anybody can write what claims to be signed by our keys.
    """
    waiting = {identity.aid for _, identity in approvals(repository)}
    found: dict[str, list[tuple[str, Standing]]] = {}
    for where, commit in places(repository):
        differing = [one for one in recording.standings(repository, commit) if one.is_ahead or one.forked]
        if differing and trustroot.folder_at(repository, commit).fault is not None:
            continue
        for standing in differing:
            if standing.identity.aid not in waiting:
                found.setdefault(standing.identity.aid, []).append((where, standing))
    for versions in found.values():
        yield max(versions, key=lambda one: (one[1].forked, len(one[1].theirs)))


def places(repository: Repository) -> list[tuple[str, str]]:
    """HEAD and the mainline, as far as they exist, and their commits."""
    pins = settings.pins(repository.path)
    found = {"HEAD": repository.head()}
    if pins is not None:
        found[pins.mainline] = repository.ref(pins.mainline)
    return [(name, commit) for name, commit in found.items() if commit is not None]
