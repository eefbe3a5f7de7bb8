"""Sign a key event that several machines have to sign, and take it into the log once they have.

FILE is the event with the signatures so far. It is shown in words; who agrees adds this machine's signatures to it and
passes it on. What a grant says that it seals is in FILE as well, and whose keys a rotation goes on with; where that is
missing, nothing is signed unread. Signatures that others made on copies of it are joined with --with. A rotation begins
with `git auths rotate --propose FILE`, which collects the keys that it goes on with.
"""

from __future__ import annotations

import argparse
import shlex

from git_auths import output
from git_auths.commands.org import FOUNDER
from git_auths.commands.setup import confirmed
from git_auths.core import eventwords, proposal
from git_auths.core.kel import Kel, KelInvalid
from git_auths.core.keyevent import INCEPTIONS, Body, EventInvalid
from git_auths.core.proposal import Proposal, ProposalInvalid
from git_auths.core.verkey import Key, from_ssh_blob
from git_auths.errors import Error, Refusal
from git_auths.store import (
    eventproposals,
    headlogs,
    keyevents,
    keystore,
    passphrase,
    settings,
    signedevents,
)
from git_auths.store.keystore import CURRENT, NEXT, Identity
from git_auths.store.secrets import Secrets


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="the proposed event; the signatures are added to it")
    parser.add_argument("--alias", help="sign with the keys of this identity (default: the one that the event is of)")
    parser.add_argument("--with", dest="others", action="append", default=[], metavar="FILE",
                        help="take the signatures of this copy as well")  # fmt: skip
    parser.add_argument("--as", dest="keep_as", metavar="ALIAS", help="keep a new identifier here under this name")
    parser.add_argument("--instead-of", metavar="DIGEST",
                        help="sign this although that was signed here, as nobody has that any more")  # fmt: skip
    parser.add_argument("--unread", action="store_true",
                        help="sign although FILE lacks what the event is about: a grant, offers of keys")  # fmt: skip
    parser.add_argument("--yes", action="store_true", help="sign without asking")


def run(args: argparse.Namespace) -> int:
    stream = eventproposals.read(args.file)
    body = event_in(args.file, stream)
    alias = args.alias or alias_of(body.aid) or settings.signing_alias()
    identity = keystore.load(alias)
    catch_up(identity, body)
    log = log_before(identity, body)
    if log is not None and body.said in [event.said for event in log.events[body.sn : body.sn + 1]]:
        output.note(f"event {body.sn} is in the log of did:keri:{body.aid} already")
        return 0
    offer = united(args.file, stream, args.others, log)
    show(offer)
    if proposal.missing(offer):  # one signature more than it needs would make the copies of the log differ
        require_read(args, offer, log)
        offer = signed(args, identity, offer)
    if proposal.serialise(offer) != stream:
        eventproposals.replace(args.file, proposal.serialise(offer))
    return told(args, identity, log, offer)


def event_in(path: str, stream: bytes) -> Body:
    try:
        return proposal.body_of(stream)
    except EventInvalid as error:
        raise Refusal(f"{path} holds no proposed key event: {error}") from None


def alias_of(aid: str) -> str | None:
    """The identity of this machine with that AID."""
    return next((alias for alias in keystore.aliases() if keystore.load(alias).aid == aid), None)


def catch_up(identity: Identity, body: Body) -> None:
    """Take in what the others have signed without this machine, as HEAD has it: an event follows the whole log.

    Only where no key alone meets the threshold: else such events would be somebody else's, with a stolen key.
    """
    if identity.aid != body.aid or body.ilk in INCEPTIONS:
        return
    log = keyevents.own_log(identity)
    stream = headlogs.stream_of(body.aid) if log.sn + 1 < body.sn and not log.current_signing_keys() else None
    if stream is None:
        return
    try:
        theirs = headlogs.replay_one(stream, body.aid)
    except KelInvalid as error:
        raise Error(f"the log of did:keri:{body.aid} at HEAD: {error}", "git auths kel verify") from None
    for event in theirs.events[log.sn + 1 : body.sn]:
        keyevents.finish(identity.alias, stream[: event.offset + event.length])
        output.note(f"event {event.sn}, which the others have signed, is in the log of did:keri:{body.aid} here")


def log_before(identity: Identity, body: Body) -> Kel | None:
    """The log that the event would continue; None for the first of a log."""
    if body.ilk in INCEPTIONS:
        return None
    own = identity.alias if identity.aid == body.aid else alias_of(body.aid)
    if own is not None:
        return keyevents.own_log(keystore.load(own))
    stream = headlogs.stream_of(body.aid)
    if stream is None:
        raise Error(f"the log of did:keri:{body.aid} is not here",
                    "run this in a repository that has it, or name the identity: --alias ALIAS")  # fmt: skip
    try:
        return headlogs.replay_one(stream, body.aid)
    except KelInvalid as error:
        raise Error(f"the log of did:keri:{body.aid} at HEAD: {error}", "git auths kel verify") from None


def united(path: str, stream: bytes, others: list[str], log: Kel | None) -> Proposal:
    """The proposal with all signatures of its copies."""
    offer = parsed(path, stream, log)
    for other in others:
        try:
            offer = proposal.united(offer, parsed(other, eventproposals.read(other), log))
        except ProposalInvalid as error:
            raise Refusal(f"{other}: {error}") from None
    return offer


def parsed(path: str, stream: bytes, log: Kel | None) -> Proposal:
    try:
        return proposal.parse(stream, log)
    except ProposalInvalid as error:
        hint = "fetch what the others have signed, and run this on a branch that has it: .auths/kels/"
        raise Refusal(f"{path}: {error}", hint if "is missing before it" in str(error) else None) from None


def show(offer: Proposal) -> None:
    for line in eventwords.words(offer):
        output.note(line)
    for place in offer.signed:
        output.note(f"signed by key {place}: {eventwords.key_words(offer.state.keys[place])}")


def require_read(args: argparse.Namespace, offer: Proposal, log: Kel | None) -> None:
    """A Refusal where the file does not say all that a signature is for, unless its owner says that this is meant."""
    lacking = proposal.unread(offer, log)
    for what in lacking:
        output.warning(f"{args.file} does not hold {what}")
    if lacking and not args.unread:
        raise Refusal(f"nobody can read in {args.file} what it does, so it was not signed",
                      "ask who proposed it for the file as it was made; --unread signs it all the same")  # fmt: skip


def places_here(identity: Identity, offer: Proposal) -> list[int]:
    """The places of the keys that have not signed yet and lie in the folder of this identity."""
    held = [key for key, _ in key_files(identity, offer)]
    return [place for place in offer.unsigned if offer.state.keys[place] in held]


def key_files(identity: Identity, offer: Proposal) -> list[tuple[Key, bytes]]:
    """The keys that could sign: the next ones where the event makes them current, else the current ones."""
    if offer.before is not None and offer.body.establishment is not None:
        return [(from_ssh_blob(keystore.public_blob_of(NEXT, pem)), pem) for pem in keystore.read_nexts(identity)]
    return [(from_ssh_blob(keystore.public_blob_of(CURRENT, pem)), pem) for pem in keystore.read_currents(identity)]


def signed(args: argparse.Namespace, identity: Identity, offer: Proposal) -> Proposal:
    """The proposal with this machine's signatures too, if its owner agrees."""
    if not places_here(identity, offer):
        raise Refusal(f"none of its keys that have not signed yet is one of '{identity.alias}'",
                      "name the identity that holds one: --alias ALIAS")  # fmt: skip
    if offer.before is None:
        own_pairs(identity, offer)
    if not args.yes and not confirmed("Sign it?", f"read it above, then: {again(args, identity, offer)} --yes"):
        raise Refusal("it was not signed", f"{again(args, identity, offer)} asks again")
    with keystore.held(identity.alias) as held:
        log = log_before(held, offer.body)  # it may have grown while somebody read
        offer = parsed(args.file, proposal.serialise(offer), log)
        if log is not None and held.aid == log.aid:
            made = eventproposals.sign(held, log, offer.raw, args.secrets, args.instead_of)
            found = [(signature.key_index, signature.raw) for signature in made]
        else:
            found = signed_by_files(held, offer, args.secrets, args.instead_of)
    for place, raw in found:
        offer = proposal.with_signature(offer, place, raw)
    return offer


def signed_by_files(identity: Identity, offer: Proposal, secrets: Secrets,
                    instead_of: str | None) -> list[tuple[int, bytes]]:  # fmt: skip
    """(place, signature) for each key of an identity that is not the event's own: who founds one with others."""
    this = offer.body.aid, offer.body.sn, offer.body.said
    signedevents.require_free(*this, instead_of)
    usable = [(key, pem) for key, pem in key_files(identity, offer) if proposal.places_of(offer, key)]
    opened = passphrase.unlock_all(identity.alias, [pem for _, pem in usable], secrets)
    signedevents.require_first(identity, *this, instead_of)
    return [(place, one.private.sign_raw(offer.raw)) for (key, _), one in zip(usable, opened, strict=True)
            for place in proposal.places_of(offer, key)]  # fmt: skip


def told(args: argparse.Namespace, identity: Identity, log: Kel | None, offer: Proposal) -> int:
    """Say how far it is, and take a complete event into the log of whoever lives here."""
    lacking = proposal.missing(offer)
    if lacking:
        output.note(f"{args.file} is not complete: {', '.join(lacking)}")
        output.hint(f"pass {shlex.quote(args.file)} on; each of them runs: {again(args, identity, offer)}")
        return 0
    output.note(f"{args.file} has all signatures")
    did = f"did:keri:{offer.body.aid}"
    if offer.body.ilk in ("dip", "drt") and offer.source is None:
        output.hint(f"its delegator seals it: git auths device approve {shlex.quote(args.file)}")
    elif log is None:
        found(args, identity, offer)
    elif identity.aid == log.aid:
        keyevents.finish(identity.alias, keystore.read_kel(identity) + proposal.message(offer))
        output.note(f"event {offer.body.sn} is in the log of {did} here")
        output.hint(f"each of the others takes it by: {again(args, identity, offer)}")
    return 0


def again(args: argparse.Namespace, identity: Identity, offer: Proposal) -> str:
    """The command, for whoever has the file next: a founder's key and the name of what is founded go with the first
    event, as nothing else says whose they are."""
    command = f"git auths kel sign {shlex.quote(args.file)}"
    if offer.before is not None:
        return command
    name = args.keep_as or (identity.alias.removesuffix(FOUNDER) if identity.alias.endswith(FOUNDER) else "NAME")
    return f"{command} --alias {identity.alias} --as {name}"


def found(args: argparse.Namespace, identity: Identity, offer: Proposal) -> None:
    """Keep a new identifier under the name that was given, with the keys that this machine has of it."""
    if args.keep_as is None:
        output.hint(f"to keep it here: {again(args, identity, offer)}")
        return
    (current, next_key), *more = own_pairs(identity, offer)
    kept = keystore.create(args.keep_as, proposal.message(offer), current, next_key, more=more)
    output.note(f"did:keri:{kept.aid} is the identity '{kept.alias}' here")


def own_pairs(identity: Identity, offer: Proposal) -> list[tuple[bytes, bytes]]:
    """The files of the keys that this machine has of a new identifier: current and next. It must go on with both."""
    files = zip(key_files(identity, offer), keystore.read_nexts(identity), strict=True)
    pairs = [(current, next_key) for (key, current), next_key in files if proposal.places_of(offer, key)]
    nexts = [from_ssh_blob(keystore.public_blob_of(NEXT, pem)).commitment for _, pem in pairs]
    if not pairs or not set(nexts) <= set(offer.state.next):
        raise Refusal(f"it does not commit to the next keys of '{identity.alias}' as it has its current ones",
                      "who proposed it has another copy of its log")  # fmt: skip
    return pairs
