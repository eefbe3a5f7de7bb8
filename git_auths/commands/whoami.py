"""This machine's identity: its DID, its keys, its devices and agents; with --export its key event log, for a
maintainer's `policy add-signer`."""

from __future__ import annotations

import argparse
import os
import time

from git_auths import output
from git_auths.commands.device import as_json, as_line
from git_auths.core.sshsig import fingerprint
from git_auths.errors import Error
from git_auths.store import delegating, keyevents, keystore, pipeline, settings, signing, sshagent
from git_auths.store.delegating import Delegate
from git_auths.store.repository import NotARepository, Repository

PERSON = "person"  # the kind of an identity that is nobody's device or agent


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--alias", help="another identity than the one that signs here")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--export", action="store_true", help="print the key event log: it holds no secret")
    form.add_argument("--json", action="store_true")


def run(args: argparse.Namespace) -> int:
    identity = keystore.load(args.alias) if args.alias else signing.identity(args.secrets)
    if args.export:
        output.raw(read_log(identity))
        return 0
    told = about(identity)
    found = None if keystore.is_without_files(identity) else delegates_at_hand(identity)
    if args.json:
        listed = None if found is None else [as_json(one) for one in found]
        output.document({"version": 1, **told, "delegates": listed})
        return 0
    output.data(str(told["did"]))
    for line in lines(told):
        output.note(line)
    for one in found or ():
        output.note(f"{one.grant.kind} {as_line(one)}")
    return 0


def read_log(identity: keystore.Identity) -> bytes:
    """Its key event log: this machine's, or what the repository at hand has of the environment's identity."""
    if keystore.is_without_files(identity):
        return pipeline.log(identity.aid).stream
    return keystore.read_kel(identity)


def about_environments(identity: keystore.Identity) -> dict[str, object]:
    """What the repository at hand knows of the identity that AUTHS_DID names."""
    kel = pipeline.log(identity.aid).kel
    return {
        "alias": identity.alias,
        "did": kel.did,
        "kind": PERSON if kel.delegator is None else "delegate",
        "name": None,
        "delegator": None if kel.delegator is None else f"did:keri:{kel.delegator}",
        "sn": kel.sn,
        "keys": len(kel.state.keys),
        "key": fingerprint(identity.current_blob),
        "key_in_agent": False,
        "next_key": None,
        "next_key_is_here": False,
        "waits_for_owner": False,
    }


def about(identity: keystore.Identity) -> dict[str, object]:
    """What this machine knows of its identity, whatever repository is at hand."""
    if keystore.is_without_files(identity):
        return about_environments(identity)
    kel = keyevents.own_log(identity)
    noted = keystore.metadata(identity)
    next_key, name = keystore.next_file(identity), noted.get("name")
    return {
        "alias": identity.alias,
        "did": kel.did,
        "kind": noted.get("kind") or (PERSON if kel.delegator is None else "delegate"),
        "name": name if isinstance(name, str) else None,
        "delegator": None if kel.delegator is None else f"did:keri:{kel.delegator}",
        "sn": kel.sn,
        "keys": len(kel.state.keys),
        "key": fingerprint(identity.current_blob),
        "key_in_agent": is_in_agent(identity),
        "next_key": next_key,
        "next_key_is_here": os.path.lexists(next_key) and os.path.dirname(next_key) == identity.folder,
        "waits_for_owner": kel.delegator is not None and delegating.waiting(identity) is not None,
    }


def is_in_agent(identity: keystore.Identity) -> bool:
    try:
        return identity.current_blob in [blob for blob, _ in sshagent.list_keys()]
    except Error:
        return False  # an agent that talks nonsense holds nothing of use


def lines(told: dict[str, object]) -> list[str]:
    """What `about` found, for people; without the DID."""
    place = "in ssh-agent" if told["key_in_agent"] else "not in ssh-agent"
    if told["next_key"] is None:
        place = "in the environment"
    found = [f"alias {told['alias']}, event {told['sn']}, key {told['key']} ({place})"]
    if told["keys"] != 1:
        found.append(f"one of {told['keys']} keys")
    if told["delegator"] is not None:
        name = f" {told['name']}" if told["name"] is not None else ""
        found.append(f"{told['kind']}{name} of {told['delegator']}")
    if told["waits_for_owner"]:
        found.append("it waits for its owner's approval, or has not taken it up: git auths device finish")
    if told["next_key"] is None:
        return found
    path = str(told["next_key"])
    here = "beside the current one" if told["next_key_is_here"] else f"at {path}"
    return [*found, f"next key {here}{'' if os.path.lexists(path) else ', where nothing is now'}"]


def delegates_at_hand(identity: keystore.Identity) -> list[Delegate] | None:
    """`delegates` in the repository at hand; None outside of one."""
    try:
        return delegates(Repository(), identity)
    except NotARepository:
        return None


def delegates(repository: Repository, identity: keystore.Identity) -> list[Delegate] | None:
    """The devices and agents of whom this identity counts for, by the mainline's tree; None where nothing is pinned, or
    that tree is not to be believed."""
    pins = settings.pins(repository.path)
    tip = None if pins is None else repository.ref(pins.mainline)
    place = None if tip is None else delegating.at(repository, tip)
    if place is None:
        return None
    above = delegating.delegator(identity) or identity.aid
    principal = place.folder.authority.principal(f"did:keri:{above}")
    now = int(time.time())
    return [one for kind in ("device", "agent") for one in delegating.delegates(place, kind, principal, now)]
