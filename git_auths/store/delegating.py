"""Delegated identities: devices and agents, whose logs begin and rotate by a seal in their delegator's log.

The order of steps is what makes a crash harmless. A delegate's keys and its event are on its own disk before anybody
is asked for a seal; the delegator's event, and the grants that it seals, are on the delegator's before a repository is
written. Whatever is cut off in between goes on where it stopped when the command is given again: with the same
identifier and the same keys, and never with a second event of one number.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from git_auths.core import delegation
from git_auths.core.authority import DID_PREFIX, MAX_GRANTS_DEEP, ledger
from git_auths.core.auths_folder import AuthsFolder, AuthsFolders
from git_auths.core.grants import Grant
from git_auths.core.kel import Kel, KelInvalid
from git_auths.core.kelstream import Message, StreamBroken, messages
from git_auths.errors import Error, Refusal
from git_auths.store import granting, keyevents, keystore, settings
from git_auths.store.granting import Granted, Issued, Place, Sealed
from git_auths.store.repository import Objects, Repository
from git_auths.store.secrets import Secrets

ACTIVE, EXPIRED, REVOKED = "active", "expired", "revoked"
RANK = {ACTIVE: 2, EXPIRED: 1, REVOKED: 0}


class Delegate(NamedTuple):
    """A device or agent as one tree shows it: by the grant that lasts longest, in the `state` that this is in.
    `sealed_by` is the number of the issuer's event that seals it."""

    grant: Grant
    state: str
    sealed_by: int

    @property
    def did(self) -> str:
        """Its DID; of a hardware key `ssh:` and the fingerprint."""
        return self.grant.subject


def make(alias: str, owner: str, noted: Mapping[str, object], secrets: Secrets, *, curve: str = "ed25519",
         unencrypted: bool = False, next_path: str | None = None) -> keystore.Identity:  # fmt: skip
    """The identity `alias`, to which the AID `owner` is to delegate; the one that an earlier call made, if it did.

    Its log waits for the first seal. `noted` goes into its metadata. Raises errors.Error.
    """
    if alias not in keystore.aliases():
        return keyevents.incept(alias, secrets, curve=curve, unencrypted=unencrypted, next_path=next_path,
                                delegator=owner, metadata=noted)  # fmt: skip
    identity = keystore.load(alias)
    if delegator(identity) != owner or keystore.metadata(identity).get("kind") != noted.get("kind"):
        hint = "name another: --alias NAME" if noted.get("kind") == "device" else "name another"
        raise Error(f"there is an identity '{alias}' on this machine already, and it is no {noted.get('kind')} of "
                    f"{DID_PREFIX}{owner}", hint)  # fmt: skip
    return identity


def delegator(identity: keystore.Identity) -> str | None:
    """The AID that an identity of this machine is a delegate of. Raises errors.Error."""
    return _first(identity).body.delegator


def waiting(identity: keystore.Identity) -> Message | None:
    """The event of this identity that its delegator has not sealed, as far as this machine knows: a rotation, else the
    inception; None where there is neither. It names no seal. Raises errors.Error."""
    pending = keyevents.pending_request(identity)
    if pending is not None:
        return delegation.read(pending.message)
    first = _first(identity)
    return first if first.body.ilk == "dip" and first.attachments.source is None else None


def inception(identity: keystore.Identity) -> Message:
    """The event by which a delegate came into being, sealed or not. Raises errors.Error."""
    return _first(identity)


def _first(identity: keystore.Identity) -> Message:
    try:
        return first_message(keystore.read_kel(identity))
    except (StreamBroken, StopIteration) as error:
        raise Error(f"the log of '{identity.alias}' on this machine is damaged: {error}",
                    f"git auths kel verify {os.path.join(identity.folder, keystore.KEL)}") from None  # fmt: skip


def first_message(log: bytes) -> Message:
    return next(messages(log))


def require_sealable(place: Place, owner: Kel, message: Message) -> None:
    """A Refusal says why no seal of `owner` could make this event good. Its signatures are verified here."""
    body = message.body
    require_depth(place, owner)
    require_not_revoked(owner, body.aid)
    known = place.folder.kels.get(body.aid)
    if body.ilk == "drt" and known is None:
        raise Refusal(f"HEAD has no log of {DID_PREFIX}{body.aid} that this rotation would continue",
                      "git pull, where others have it")  # fmt: skip
    try:
        delegation.once_sealed(message, owner, known if body.ilk == "drt" else None)
    except KelInvalid as error:
        raise Refusal(f"that request cannot be granted: {error.reason}", "ask for a new one") from None


def require_depth(place: Place, owner: Kel) -> None:
    """Refuse to delegate where nobody would count it: below a delegate's delegate."""
    above = 0
    kel: Kel | None = owner
    while kel is not None and kel.delegator is not None and above < MAX_GRANTS_DEEP:
        kel, above = place.folder.kels.get(kel.delegator), above + 1
    if above >= MAX_GRANTS_DEEP:
        raise Refusal(f"{owner.did} is a delegate of a delegate, and can delegate to nobody",
                      "the identity above it can: --alias OWNER")  # fmt: skip


def issue(place: Place, alias: str, asked: Sequence[Message], wanted: Sequence[Grant], secrets: Secrets,
          message: str) -> Issued:  # fmt: skip
    """Seal the events that are `asked`, and the grants, in one event of the log of `alias`, and commit all of it.

    What stands sealed is not sealed again; where that is everything, what an earlier call left is committed. Raises
    errors.Error.
    """
    issuer = granting.ready(place, alias)
    owner = granting.own_log(issuer, place.folder)
    anchors = seals_for(asked, owner)
    own = secrets
    if anchors or wanted:
        own = granting.opened(issuer, secrets)
        sealed = granting.seal(alias, wanted, own, anchors)
    else:
        sealed = Sealed(owner, keystore.read_kel(issuer), [])
    logs = {one.body.aid: _sealed_log(place, one, sealed.kel) for one in asked}
    is_signer = settings.signing_alias(place.repository.path) == alias
    return Issued(sealed, granting.commit(place, issuer, own if is_signer else secrets, message, logs))


def seals_for(asked: Sequence[Message], owner: Kel) -> list[dict[str, str]]:
    """The seals of those events that `owner` has not sealed by one that stands."""
    return [delegation.seal(one) for one in asked if not stands_sealed(one, owner)]


def stands_sealed(message: Message, owner: Kel) -> bool:
    """Does `owner` seal this event, by a seal that stands?"""
    body, sealed = message.body, ledger(owner)
    return sealed.stands(sealed.delegated.get((body.aid, f"{body.sn:x}", body.said), ()), body.aid)


def is_recorded(folder: AuthsFolder, message: Message) -> bool:
    """Does the tree's log of the delegate have this event?"""
    kel = folder.kels.get(message.body.aid)
    return kel is not None and any(event.said == message.body.said for event in kel.events)


def _sealed_log(place: Place, message: Message, owner: Kel) -> bytes:
    """The bytes of the delegate's log up to this event, which names its seal."""
    if is_recorded(place.folder, message):
        return recorded_log(place, message.body.aid)
    before = b"" if message.body.ilk == "dip" else recorded_log(place, message.body.aid)
    return before + delegation.with_source(message, owner)


def recorded_log(place: Place, aid: str) -> bytes:
    """The log of `aid` as the tree has it."""
    with Objects(place.repository.path) as objects:
        return objects.read(place.folder.kel_ids[aid], keystore.MAX_KEL_BYTES)[1]


def in_doubt(place: Place, owner: Kel, aid: str) -> list[Message]:
    """The establishment events of a delegate's log at HEAD that no seal of `owner` stands for any more: keys in doubt
    had sealed them."""
    if aid not in place.folder.kels:
        return []
    recorded = messages(recorded_log(place, aid))
    return [one for one in recorded if one.body.establishment is not None and not stands_sealed(one, owner)]


def require_not_revoked(owner: Kel, aid: str) -> None:
    """A Refusal where `owner` has revoked it: that is for good."""
    revoked = ledger(owner).revoked.get(aid)
    if revoked is not None:
        raise Refusal(f"{DID_PREFIX}{aid} was revoked, by event {revoked[0]} of {owner.did}",
                      "make another, with an identifier of its own")  # fmt: skip


def at(repository: Repository, commit: str) -> Place | None:
    """`.auths` as `commit` has it; None where that is nothing to be believed, or no root is pinned."""
    pins = settings.pins(repository.path)
    if pins is None:
        return None
    with Objects(repository.path) as objects:
        folder = AuthsFolders(objects.read, repository.hex_length, pins.root)(objects.auths_tree(commit))
    return None if folder.fault is not None else Place(repository, pins.root, folder)


def settle(alias: str, place: Place) -> None:
    """Take the log of the identity `alias` as its delegator has sealed it, from a tree that has it; a rotation that
    waited for its seal is completed by it. Raises errors.Error."""
    keyevents.finish(alias, recorded_log(place, keystore.load(alias).aid))


def delegates(place: Place, kind: str, principal: str | None, now: int) -> list[Delegate]:
    """The devices or agents (`kind`) that count for `principal` (a DID; None: for anybody), by name. `now` is in Unix
    seconds."""
    found: dict[str, Delegate] = {}
    for one in granting.in_folder(place.folder, now):
        is_asked_for = principal in (None, place.folder.authority.principal(one.grant.issuer))
        if one.grant.kind != kind or not is_asked_for:
            continue
        best = found.get(one.grant.subject)
        if best is None or _order(one.grant, one.state) >= _order(best.grant, best.state):
            found[one.grant.subject] = Delegate(one.grant, one.state, _sealed_by(place, one))
    return sorted(found.values(), key=lambda one: (one.grant.name or "", one.grant.issued_at, one.did))


def _order(grant: Grant, state: str) -> tuple[int, int]:
    return RANK[state], grant.expires_at


def _sealed_by(place: Place, one: Granted) -> int:
    issuer = place.folder.kels[one.grant.issuer.removeprefix(DID_PREFIX)]
    return max(ledger(issuer).granted[one.sha256])[0]


def named(found: Sequence[Delegate], kind: str, wanted: str, issuers: Collection[str]) -> Delegate:
    """The one with this DID, else with this name: what one of the `issuers` (DIDs of ours) granted comes before what
    others call by that name, and of several the one that is not revoked. Raises errors.Error."""
    fitting = [one for one in found if one.did == wanted] or [one for one in found if one.grant.name == wanted]
    fitting = [one for one in fitting if one.grant.issuer in issuers] or fitting
    counting = [one for one in fitting if one.state != REVOKED] or fitting[-1:]
    if not counting:
        raise Error(f"there is no {kind} {wanted!r} of yours at HEAD", f"git auths {kind} list")
    if len(counting) > 1:
        raise Refusal(f"{wanted!r} can mean {' and '.join(one.did for one in counting)}", "give the DID")
    return counting[0]


def granted_and_waiting(place: Place, alias: str, did: str, now: int) -> bool:
    """Has `alias` sealed a grant to `did` that is not past, and that no commit has?"""
    waiting_here = granting.waiting(keystore.load(alias), place)
    kept = granting.kept(keystore.load(alias))
    return any(kept[sha256][0].subject == did and now < kept[sha256][0].expires_at for sha256 in waiting_here)


@contextmanager
def home_at(folder: str | None) -> Iterator[None]:
    """Let `folder` be the home of identities while the context lasts; None: it stays as it is."""
    before = os.environ.get("AUTHS_HOME")
    if folder is not None:
        os.environ["AUTHS_HOME"] = folder
    try:
        yield
    finally:
        if folder is not None and before is None:
            del os.environ["AUTHS_HOME"]
        elif folder is not None and before is not None:
            os.environ["AUTHS_HOME"] = before
