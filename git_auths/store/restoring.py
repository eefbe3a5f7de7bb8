"""Taking events into an identity of this machine that a repository has and this machine lacks.

That is so where the machine was restored from a backup, or where its owner's keys lie on several machines and the
others have signed without it. Nothing is signed here. Whoever else has the keys could have made such events too, so
somebody has to say that they are not a thief's, before.
"""

from __future__ import annotations

from git_auths.core.kel import Event, Kel
from git_auths.core.verkey import Key, KeyUnusable, from_ssh_blob
from git_auths.errors import Error, Refusal
from git_auths.store import keyevents, keyjournal, keystore
from git_auths.store.keystore import Identity

RECOVERY = "man gitauths-recovery says how to go on, below A machine that was restored from an old backup"


def lacking(identity: Identity, given: Kel) -> tuple[Event, ...]:
    """The events by which `given`, the log of this identity as others have it, goes on from the one here.

    Raises errors.Error; Refusal where it does not go on from it.
    """
    own = [event.said for event in keyevents.own_log(identity).events]
    if [event.said for event in given.events[: len(own)]] != own:
        raise Refusal(f"the log of '{identity.alias}' on this machine and the other one have forked",
                      f"git auths kel show {given.did} shows the repository's")  # fmt: skip
    return given.events[len(own) :]


def take(alias: str, stream: bytes, given: Kel) -> None:
    """Let `stream`, replayed as `given`, be the log of the identity `alias`; the keys here follow what it says.

    A rotation for which new keys wait here is completed. One to the next keys that are here makes them current, and
    then there is no next key any more. Raises errors.Error; Refusal where its current keys are not here.
    """
    with keystore.held(alias) as identity:
        keyjournal.require_complete(identity)
        events = lacking(identity, given)
        _require_no_other_request(identity, given)
        if not any(event.is_establishment for event in events):
            keyjournal.write_kel(identity, stream)
        elif keyjournal.read_pending(identity) is not None:
            for event in events:
                keyevents.finish(alias, stream[: event.offset + event.length])
        elif set(_keys(keystore.read_currents(identity))) <= set(given.state.keys):
            keyjournal.write_kel(identity, stream)
        else:
            _promote(identity, stream, given)


def can_rotate(identity: Identity) -> bool:
    """Are all next keys here to which the log commits? Raises errors.Error where where they lie is out of reach."""
    try:
        nexts = _keys(keystore.read_nexts(identity))
    except Error:
        return False
    return all(key.commitment in keyevents.own_log(identity).state.next for key in nexts)


def _promote(identity: Identity, stream: bytes, given: Kel) -> None:
    nexts, currents = _keys(keystore.read_nexts(identity)), keystore.read_currents(identity)
    if not set(nexts) <= set(given.state.keys) or len(nexts) != len(currents):
        raise Refusal(f"the log of '{identity.alias}' was rotated to keys that are not on this machine", RECOVERY)
    keyjournal.promote(identity, stream, keyevents.own_log(identity).state.sn)
    keyevents.forget_previous(identity)


def _require_no_other_request(identity: Identity, given: Kel) -> None:
    """The rotation of a delegate that waits for its owner must be part of the log, or it could never be sealed."""
    pending = keyevents.pending_request(identity)
    if pending is not None and pending.said not in [event.said for event in given.events]:
        raise Refusal(f"a rotation of '{identity.alias}' waits for its owner here, and its log goes on without that",
                      "remove the device, and add it again under another name")  # fmt: skip


def _keys(files: list[bytes]) -> list[Key]:
    try:
        return [from_ssh_blob(keystore.public_blob_of("a key file", pem)) for pem in files]
    except KeyUnusable as error:
        raise Error(f"a key file cannot belong to a key event log: {error}") from None
