"""Key events of this machine's identities: made with the keys that are here, and on the disk before anybody has them.

`core/kelbuild` makes an event, the log is replayed with it as everybody else will, and `store/keyjournal` puts it on
the disk. So no event with a number that another one has is ever signed, and what a crash leaves goes on.

The log of a delegate is taken at its word about its delegator's seals: whoever relies on it has both logs, and judges.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import SimpleNamespace
from typing import NamedTuple, cast

from git_auths.core import kelbuild, keyevent, opensshkey, rotationoffers
from git_auths.core import threshold as thresholds
from git_auths.core.cesr import IndexedSignature
from git_auths.core.kel import Event, Kel, KelInvalid, SealKey, extend, replay
from git_auths.core.kelbuild import Sith
from git_auths.core.kelstream import StreamBroken, messages
from git_auths.core.keyevent import Establishment
from git_auths.core.keystate import KeyState
from git_auths.core.opensshkey import PrivateKey
from git_auths.core.rotationoffers import Offer
from git_auths.core.sshsig import read_strings, verify_raw
from git_auths.core.verkey import Key, KeyUnusable, from_ssh_blob
from git_auths.errors import Error, Refusal, UsageError
from git_auths.store import keyjournal, keystore, passphrase, signedevents, sshagent
from git_auths.store.keystore import Identity
from git_auths.store.passphrase import Secrets

COPY_OF_A_RUN = "copy_of_a_run"  # in identity.json: the folder ends with the `agent run` that made it
CURVES = {"ed25519": opensshkey.ED25519, "p256": opensshkey.P256}
ONE = "1"


class Request(NamedTuple):
    """A delegate's `drt` that waits in `pending/` for its delegator: `message` is the event with its signatures."""

    aid: str
    said: str
    message: bytes


def incept(alias: str, secrets: Secrets, *, curve: str = "ed25519", keys: int = 1, threshold: str | None = None,
           unencrypted: bool = False, next_path: str | None = None, delegator: str | None = None,
           metadata: Mapping[str, object] | None = None) -> Identity:  # fmt: skip
    """A new identity of `keys` keys, all of them here: the inception names them and commits to as many next keys.

    `curve` is a name in CURVES, `threshold` as in `parse_threshold`. With a `delegator` (an AID) it is a `dip`, good
    once that seals it: see `finish`. Raises errors.Error.
    """
    keystore.require_alias(alias)  # before anybody is asked for a passphrase
    sith = parse_threshold(threshold, keys)
    locked_by = None if unencrypted else passphrase.ask_new(alias, secrets)
    currents, nexts = ([opensshkey.generate(CURVES[curve]) for _ in range(keys)] for _ in range(2))
    event = kelbuild.inception([_key(one) for one in currents], [_key(one).commitment for one in nexts],
                               kt=sith, nt=sith, delegator=delegator)  # fmt: skip
    signatures = [_signature(one, event, place, place) for place, one in enumerate(currents)]
    kel = kelbuild.with_signatures(event, signatures)
    _replayed(kel, "the new log")
    files = [[_file(alias, one, locked_by) for one in some] for some in (currents, nexts)]
    more = list(zip(*files, strict=True))[1:]
    return keystore.create(alias, kel, files[0][0], files[1][0], next_path, more=more, metadata=metadata)


def seal(alias: str, anchors: Sequence[Mapping[str, str]], secrets: Secrets) -> Kel:
    """Append one `ixn` with these seals; the log with it, which is durable. Raises errors.Error."""
    with keystore.held(alias) as identity:
        require_lasting(identity)
        log = own_log(identity)
        event = kelbuild.interaction(log, anchors)
        require_not_requested(identity, event)
        _require_enough(identity, _places_of_currents(identity, log.state), log)
        _require_not_proposed(event)
        return _append(identity, log, kelbuild.with_signatures(event, signatures_here(identity, log, event, secrets)))


def rotate(alias: str, secrets: Secrets, anchors: Sequence[Mapping[str, str]] = (),
           next_path: str | None = None) -> Kel | Request:  # fmt: skip
    """Make the next keys current and commit to new ones of their kinds; the thresholds stay. The new next keys go where
    the old ones lie, or to `next_path`, and under the same passphrases. ssh-agent forgets the old keys.

    A delegate's rotation is only asked for: asked again, it is the same request. Raises errors.Error; Refusal where
    keys of the identity lie elsewhere.
    """
    with keystore.held(alias) as identity:
        require_lasting(identity)
        keyjournal.require_complete(identity)
        log = own_log(identity)
        pending = keyjournal.read_pending(identity)
        if pending is not None and pending.event is not None:
            _require_same(identity, pending.event, anchors)
            return _handed_out(identity, pending.event)
        if pending is not None:
            raise Refusal(f"a rotation of '{identity.alias}' waits for the machines that have its other keys",
                          "git auths rotate --propose FILE goes on with it")  # fmt: skip
        if log.delegator is not None:
            _require_sealed(identity)
        message, nexts = _rotation(identity, log, secrets, anchors)
        grown = _grown(log, message)
        if log.delegator is not None:
            keyjournal.write_pending(identity, message, nexts, next_path)
            return _handed_out(identity, message)
        stream = keystore.read_kel(identity) + message
        keyjournal.rotate(identity, stream, log.state.sn, nexts, next_path)
        forget_previous(identity)
        return grown


def finish(alias: str, stream: bytes) -> Kel:
    """Take the log that others have completed: that of a delegate whose delegator has sealed its event, or of an
    identity whose event several machines have signed. `stream` must be this identity's log and go on with the event
    that waits here, if any, and with no other; where that rotates the keys, those here follow.

    Raises errors.Error; Refusal for a log that says anything else.
    """
    with keystore.held(alias) as identity:
        require_lasting(identity)
        keyjournal.require_complete(identity)
        log = own_log(identity)
        given = _replayed(stream, "the log that came back")
        _require_continues(log, given)
        if given.sn == log.sn:
            if log.delegator is not None and stream != keystore.read_kel(identity):
                keyjournal.write_kel(identity, stream)  # now it names the events that seal it
            return given
        pending = keyjournal.read_pending(identity)
        if pending is not None and pending.event is not None and given.said != kelbuild.said(pending.event):
            raise Refusal("the log that came back goes on with another event than the one that waits here",
                          "git auths rotate prints the one that waits")  # fmt: skip
        if given.events[-1].is_establishment:
            _switch(identity, log, given, stream)
        else:
            keyjournal.write_kel(identity, stream)
        return given


def offer(alias: str, secrets: Secrets, next_path: str | None = None) -> dict[int, Offer]:
    """What this machine brings to a rotation of keys that lie on several, by place in `n`: new next keys wait here
    until `finish` has the log with the event. Asked again, it offers the same. Each offer is signed by the next key
    that it reveals. Raises errors.Error."""
    with keystore.held(alias) as identity:
        require_lasting(identity)
        keyjournal.require_complete(identity)
        log = own_log(identity)
        places = _places_of_nexts(identity, log.state)
        pending = keyjournal.read_pending(identity)
        opened = passphrase.unlock_all(alias, keystore.read_nexts(identity), secrets)
        if pending is None:
            fresh = [opensshkey.generate(one.private.kind) for one in opened]
            files = [_file(alias, one, old.passphrase) for one, old in zip(fresh, opened, strict=True)]
            keyjournal.write_pending(identity, None, files, next_path)
            blobs = [one.public_blob for one in fresh]
        else:
            blobs = _pending_blobs(pending)
        return {
            place: rotationoffers.signed(log, place, key, _key_of(new).commitment, old.private.sign_raw)
            for (place, key), new, old in zip(places.items(), blobs, opened, strict=True)
        }


def signatures_here(identity: Identity, log: Kel, event: bytes, secrets: Secrets) -> list[IndexedSignature]:
    """The signatures on `event`, which would follow `log`, by those of its keys that are here: of a rotation by the
    next keys that it reveals, of an `ixn` by the current ones. For whoever holds the identity. Raises errors.Error;
    Refusal for a rotation that was not offered here, or goes on with other keys than were offered.
    """
    require_lasting(identity)
    establishment = keyevent.parse_body(event).establishment
    if establishment is None:
        places = _places_of_currents(identity, log.state)
        raw = _by_agent_or_files(identity, list(places.values()), event, secrets)
        return [kelbuild.indexed_signature(key, one, place, place)
                for (place, key), one in zip(places.items(), raw, strict=True)]  # fmt: skip
    _require_offered(identity, log, establishment)
    places = _places_of_nexts(identity, log.state)
    opened = passphrase.unlock_all(identity.alias, keystore.read_nexts(identity), secrets)
    return [_signature(one.private, event, establishment.keys.index(key), place)
            for one, (place, key) in zip(opened, places.items(), strict=True) if key in establishment.keys]  # fmt: skip


def require_lasting(identity: Identity) -> None:
    """A Refusal in the home of an `agent run`: an event that ends with it leaves its number to be used once more."""
    if keystore.metadata(identity).get(COPY_OF_A_RUN):
        raise Refusal(f"within git auths agent run, '{identity.alias}' signs commits and tags, and makes no key events",
                      "run it outside, where the log of the agent is kept")  # fmt: skip


def own_log(identity: Identity) -> Kel:
    """The replayed log of an identity of this machine. Raises errors.Error."""
    path = os.path.join(identity.folder, keystore.KEL)
    return _replayed(keystore.read_kel(identity), path, f"git auths kel verify {path}")


def is_continued_by(identity: Identity, theirs: bytes) -> bool:
    """Does `theirs`, another version of this identity's log, have an event that the one here lacks, and that the log
    takes where it stands? What its keys have not signed is nothing, whoever wrote it; what waits here for its
    delegator's seal is its own. Raises errors.Error."""
    stream = keystore.read_kel(identity)
    if stream.startswith(theirs):
        return False
    own, pending = own_log(identity).events, pending_request(identity)
    with suppress(StreamBroken):  # what cannot be read is no event
        for place, message in enumerate(messages(theirs)):
            if place < len(own) and message.body.said == own[place].said:
                continue
            if place == 0 or (pending is not None and message.body.said == pending.said):
                return False
            before = own[place - 1].offset + own[place - 1].length
            return _takes(stream[:before], theirs[message.offset : message.offset + message.length])
    return False


def pending_request(identity: Identity) -> Request | None:
    """The rotation that waits for the delegator's seal; None where there is none. Raises errors.Error."""
    pending = keyjournal.read_pending(identity)
    return None if pending is None or pending.event is None else _request(identity, pending.event)


def require_not_requested(identity: Identity, event: bytes) -> None:
    """While a rotation waits for the delegator, no other event may have its number."""
    request = pending_request(identity)
    if request is not None and request.said != kelbuild.said(event):
        raise Refusal(f"a rotation of '{identity.alias}' waits for its delegator; until then its log takes no other "
                      "event", f"git auths rotate --alias {identity.alias} prints the request again")  # fmt: skip


def forget_previous(identity: Identity) -> bool:
    """Make ssh-agent forget the keys that were rotated away last; False where it cannot be asked."""
    previous = keystore.read_previous(identity)
    try:
        for sn, pem in previous:
            if sn == previous[0][0]:
                sshagent.remove(keystore.public_blob_of(keystore.PREVIOUS, pem))
    except Error:  # what is done must not fail for it; the log alone says which key is good
        return False
    return True


def parse_threshold(text: str | None, keys: int) -> Sith:
    """The threshold over `keys` keys that a person writes: `2/3` (2 of 3) or `2`; weights by commas, `1/2,1/2,1/2`, and
    lists of weights by semicolons, each of which must be met. Raises errors.UsageError."""
    if not 0 < keys <= keyevent.MAX_KEYS:
        raise UsageError(f"an identity has 1 to {keyevent.MAX_KEYS} keys, not {keys}", "--keys 3 --threshold 2/3")
    if text is None:
        if keys > 1:
            raise UsageError(f"how many of the {keys} keys must sign?", f"--threshold {keys // 2 + 1}/{keys}")
        return ONE
    sith = _weights(text) if "," in text or ";" in text else _count(text, keys)
    try:
        if sith is not None and thresholds.parse(sith, keys).met(range(keys), range(keys)):
            return sith
        reason = "it can be met by no keys, or is none"
    except thresholds.ThresholdInvalid as error:
        reason = str(error)
    raise UsageError(f"{text!r} is no threshold over {keys} keys: {reason}", "--threshold 2/3, or 1/2,1/2,1/2")


def _weights(text: str) -> Sith:
    lists = [[weight.strip() for weight in part.split(",")] for part in text.split(";")]
    return lists if len(lists) > 1 else lists[0]


def _count(text: str, keys: int) -> str | None:
    number, slash, total = text.partition("/")
    if not (number.isascii() and number.isdigit() and len(number) <= 3) or (slash and total != str(keys)):
        return None
    return f"{int(number):x}"


def _rotation(identity: Identity, log: Kel, secrets: Secrets,
              anchors: Sequence[Mapping[str, str]]) -> tuple[bytes, list[bytes]]:  # fmt: skip
    """The message of the rotation that reveals every next key, and the files of the keys after them, by slot."""
    state = log.state
    if not state.next:
        raise Refusal(f"the log of '{identity.alias}' ends with event {log.sn}: it commits to no next key")
    places = _places_of_nexts(identity, state)
    if len(places) < len(state.next):
        raise Refusal(f"this machine holds {len(places)} of the {len(state.next)} next keys of '{identity.alias}', "
                      "and a rotation reveals all of them",
                      "let the others take part: git auths rotate --propose FILE")  # fmt: skip
    opened = passphrase.unlock_all(identity.alias, keystore.read_nexts(identity), secrets)
    if secrets.passphrase is None:
        secrets.passphrase = opened[0].passphrase  # it locks the keys from now on, too: who typed it is not asked again
    fresh = [opensshkey.generate(one.private.kind) for one in opened]
    new = dict(zip(places, fresh, strict=True))
    sith = state.nt.json()
    event = kelbuild.rotation(log, [places[place] for place in sorted(places)],
                              [_key(new[place]).commitment for place in sorted(new)],
                              kt=cast(Sith, sith), nt=cast(Sith, sith), anchors=anchors)  # fmt: skip
    _require_not_proposed(event)
    signatures = [_signature(one.private, event, place, place) for one, place in zip(opened, places, strict=True)]
    signatures.sort(key=lambda signature: signature.key_index)
    files = [_file(identity.alias, one, old.passphrase) for one, old in zip(fresh, opened, strict=True)]
    return kelbuild.with_signatures(event, signatures), files


def _switch(identity: Identity, log: Kel, given: Kel, stream: bytes) -> None:
    """The keys follow the rotation that ends `given`."""
    pending = _require_offered(identity, log, given.state)
    if pending.elsewhere is not None:
        keyjournal.require_outside(identity, pending.elsewhere)
    keyjournal.rotate(identity, stream, log.state.sn, pending.nexts, elsewhere=pending.elsewhere)
    forget_previous(identity)


def _require_offered(identity: Identity, log: Kel, stated: KeyState | Establishment) -> keyjournal.Pending:
    """What waits here for a rotation that states these keys: without it this machine would be left without a key."""
    pending = keyjournal.read_pending(identity)
    if pending is None:
        raise Refusal(f"this rotates the keys of '{identity.alias}', and nothing here waits for that",
                      "git auths kel show says whose keys it goes on with")  # fmt: skip
    held = _places_of_nexts(identity, log.state).values()
    committed = {_key_of(blob).commitment for blob in _pending_blobs(pending)}
    if not set(stated.keys).issuperset(held) or not committed <= set(stated.next):
        raise Refusal(f"this rotation of '{identity.alias}' does not go on with the keys of this machine",
                      "git auths kel show says with whose")  # fmt: skip
    return pending


def _append(identity: Identity, log: Kel, message: bytes) -> Kel:
    grown = _grown(log, message)
    keyjournal.write_kel(identity, keystore.read_kel(identity) + message)
    return grown


def _takes(stream: bytes, message: bytes) -> bool:
    """Is the log `stream` still good with this message after it?"""
    together = stream + message
    try:
        replay(together, _believed(together))
    except KelInvalid:
        return False
    return True


def _handed_out(identity: Identity, message: bytes) -> Request:
    """The request, which others may have from now on: no other event of its number is signed here."""
    request = _request(identity, message)
    body = keyevent.parse_body(message[: keyevent.read_size(message, 0)])
    signedevents.require_first(identity, body.aid, body.sn, body.said)
    return request


def _request(identity: Identity, message: bytes) -> Request:
    return Request(identity.aid, kelbuild.said(message), message)


def _replayed(stream: bytes, what: str, hint: str | None = None) -> Kel:
    try:
        return replay(stream, _believed(stream))
    except KelInvalid as error:
        raise Error(f"{what}: {error}", hint) from None


def _grown(log: Kel, message: bytes) -> Kel:
    try:
        return extend(log, message, _believed(message, log.delegator))
    except KelInvalid as error:
        raise Refusal(f"the log would not take that: {error}") from None


def _believed(stream: bytes, delegator: str | None = None) -> dict[str, Kel]:
    """The log of the delegator as the delegate's has it: it seals whatever that says it seals."""
    sealed: dict[SealKey, tuple[int, ...]] = {}
    sealing: dict[int, SimpleNamespace] = {}
    with suppress(StreamBroken):  # the replay says what is wrong
        for message in messages(stream):
            body, source = message.body, message.attachments.source
            delegator = body.delegator or delegator
            sealed[body.aid, f"{body.sn:x}", body.said] = (source.sn if source else 0,)
            if source is not None:
                sealing[source.sn] = SimpleNamespace(said=source.said)
    if delegator is None:
        return {}
    events = cast("tuple[Event, ...]", sealing)
    return {delegator: Kel(delegator, None, (), events, sealed, 0)}


def _places_of_currents(identity: Identity, state: KeyState) -> dict[int, Key]:
    """The place in `k` of each current key that is here, by slot."""
    keys = [_key_of(keystore.public_blob_of(keystore.CURRENT, pem)) for pem in keystore.read_currents(identity)]
    return {_place(identity, key, state.keys): key for key in keys}


def _places_of_nexts(identity: Identity, state: KeyState) -> dict[int, Key]:
    """The place in `n` of each next key that is here, by slot."""
    keys = [_key_of(keystore.public_blob_of(keystore.NEXT, pem)) for pem in keystore.read_nexts(identity)]
    return {_place(identity, key.commitment, state.next): key for key in keys}


def _place(identity: Identity, key: Key | str, listed: Sequence[Key | str]) -> int:
    if key not in listed:
        raise Error(f"the key files of '{identity.alias}' do not belong to its log: {identity.folder}",
                    "restore the folder as a whole")  # fmt: skip
    return listed.index(key)


def _require_enough(identity: Identity, places: Mapping[int, Key], log: Kel) -> None:
    if not log.state.kt.met(tuple(places), log.state.keys):
        raise Refusal(f"this machine holds {len(places)} of the {len(log.state.keys)} keys of '{identity.alias}', "
                      "too few for its threshold", "the others have to sign too: git auths kel sign")  # fmt: skip


def _require_not_proposed(event: bytes) -> None:
    """An event that this machine has signed for others to sign keeps its number."""
    body = keyevent.parse_body(event)
    signedevents.require_free(body.aid, body.sn, body.said)


def _require_sealed(identity: Identity) -> None:
    """One request at a time: what a delegator seals is named in the log once it has come back."""
    first = next(messages(keystore.read_kel(identity)))
    if first.attachments.source is None:
        raise Refusal(
            f"'{identity.alias}' still waits for its owner to approve it", "git auths device add prints the request"
        )


def _require_same(identity: Identity, message: bytes, anchors: Sequence[Mapping[str, str]]) -> None:
    if anchors and keyevent.parse_body(message[: keyevent.read_size(message, 0)]).anchors != tuple(anchors):
        raise Refusal(f"a rotation of '{identity.alias}' waits for its delegator, and seals something else",
                      f"git auths rotate --alias {identity.alias} prints it again")  # fmt: skip


def _require_continues(log: Kel, given: Kel) -> None:
    own = [event.said for event in log.events]
    if given.aid != log.aid or [event.said for event in given.events[: len(own)]] != own:
        raise Refusal("the log that came back does not go on where the one here ends", "git auths kel verify")
    if len(given.events) > len(own) + 1:
        raise Refusal(f"the log that came back has {len(given.events) - len(own)} events more than the one here",
                      "at most one can have been waited for")  # fmt: skip


def _pending_blobs(pending: keyjournal.Pending) -> list[bytes]:
    if pending.elsewhere is not None:
        return list(pending.elsewhere.blobs)
    return [keystore.public_blob_of(keyjournal.PENDING, pem) for pem in pending.nexts]


def _by_agent_or_files(identity: Identity, keys: Sequence[Key], event: bytes, secrets: Secrets) -> list[bytes]:
    """The raw signature of each key, in the order of the slots: by ssh-agent where it holds them all."""
    signed = [_by_agent(key, event) for key in keys]
    found = [raw for raw in signed if raw is not None]
    if len(found) == len(keys):
        return found
    opened = passphrase.unlock_all(identity.alias, keystore.read_currents(identity), secrets)
    return [one.private.sign_raw(event) for one in opened]


def _by_agent(key: Key, event: bytes) -> bytes | None:
    blob = sshagent.sign(key.ssh_blob(), event)
    if blob is None:
        return None
    try:
        if verify_raw(key.ssh_blob(), blob, event):
            return _raw(blob)
    except ValueError:
        pass  # what it says is no more use than a signature that does not verify
    raise sshagent.not_by_its_key()


def _raw(blob: bytes) -> bytes:
    """The 64 bytes that CESR has of an SSH signature: RFC 8709 section 6; RFC 5656 section 3.1.2."""
    kind, signature = read_strings(blob, 2)
    if kind == opensshkey.ED25519.encode():
        return signature
    r, s = (int.from_bytes(number, "big") for number in read_strings(signature, 2))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _signature(private: PrivateKey, event: bytes, place: int, prior: int | None) -> IndexedSignature:
    return kelbuild.indexed_signature(_key(private), private.sign_raw(event), place, prior)


def _file(alias: str, private: PrivateKey, locked_by: bytes | None) -> bytes:
    """The file says nothing of `next`: a rotation moves it as it is."""
    return opensshkey.serialize(private, locked_by, f"git-auths {alias}")


def _key(private: PrivateKey) -> Key:
    return from_ssh_blob(private.public_blob)


def _key_of(blob: bytes) -> Key:
    try:
        return from_ssh_blob(blob)
    except KeyUnusable as error:
        raise Error(f"a key file cannot belong to a key event log: {error}") from None
