"""`git auths rotate --propose FILE`: the rotation of an identity whose keys lie on several machines.

FILE goes from machine to machine. Each adds the next keys that it holds, signed by them; once all are there, or whoever
has it says that the others are left out, it becomes the event, which `git auths kel sign` signs on each. Whoever passes
FILE on could have written into it that keys are compromised: that is shown, and believed of nobody who does not say so.
"""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Mapping, Sequence

from git_auths import output
from git_auths.commands.setup import confirmed
from git_auths.core import enclosed, eventwords, proposal, rotationoffers
from git_auths.core.kel import Kel
from git_auths.core.rotationoffers import MAX_OFFERS_BYTES, Offers, OffersInvalid
from git_auths.errors import Error, Refusal, UsageError
from git_auths.store import eventproposals, keyevents, keystore

EVENT = b'{"v":"KERI'


def propose(
    args: argparse.Namespace, identity: keystore.Identity, log: Kel, anchors: Sequence[Mapping[str, str]]
) -> int:
    file = args.propose
    if log.delegator is not None:
        raise UsageError("a delegate's keys all lie on one machine", "git auths rotate")
    present = begun(args, log, anchors)
    if present is None:
        present = Offers({}, tuple(anchors))
    elif present.anchors:
        agree(args, present)
    own = keyevents.offer(identity.alias, args.secrets, args.next_key)
    if any(present.offers.get(place, offer).keys != offer.keys for place, offer in own.items()):
        raise Refusal(f"{file} has another offer in the place of this machine's", "begin a new FILE")
    offers = present._replace(offers={**present.offers, **own})
    lacking = rotationoffers.lacking(offers, log)
    if lacking and args.threshold is None:
        eventproposals.replace(file, rotationoffers.serialise(offers, log))
        output.note(f"{file} has {len(offers.offers)} of the {len(log.state.next)} next keys")
        output.hint(f"pass it on; each of the others runs: {command(args, offers)}")
        output.hint("to leave them out: --threshold T, over the keys that are in it")
        return 0
    make(args, identity, log, offers)
    output.data(log.did)
    return 0


def begun(args: argparse.Namespace, log: Kel, anchors: Sequence[Mapping[str, str]]) -> Offers | None:
    """The offers in the file; None where there is none yet."""
    file = args.propose
    if not os.path.lexists(file):
        return None
    try:
        with open(file, "rb") as stream:
            raw = stream.read(MAX_OFFERS_BYTES + 1)
        if raw.startswith(EVENT):
            raise Refusal(f"{file} is an event already", f"git auths kel sign {shlex.quote(file)}")
        present = rotationoffers.parse(raw, log)
    except OSError as error:
        raise Error(f"{file}: {error.strerror}", "name a file for the offers") from None
    except OffersInvalid as error:
        raise Refusal(f"{file}: {error}", "name a file that is not there yet to begin anew") from None
    declared = "; ".join(map(eventwords.seal_words, present.anchors))
    if declared and not args.compromised:
        raise Refusal(f"{file} is for a rotation that {declared}", f"if that is so: {command(args, present)}")
    is_said_anew = args.since is not None or args.at is not None or not declared
    if args.compromised and is_said_anew and present.anchors != tuple(anchors):
        raise UsageError(f"{file} was begun for another rotation: one that {declared or 'declares nothing lost'}",
                         "begin a new FILE, or run it as whoever began this one did")  # fmt: skip
    return present


def agree(args: argparse.Namespace, present: Offers) -> None:
    """A Refusal unless the owner of this machine's keys wants what the file says of them."""
    for anchor in present.anchors:
        output.note(f"{args.propose} is for a rotation that {eventwords.seal_words(anchor)}")
    if not args.yes and not confirmed("Take part in it?", f"{command(args, present)} --yes"):
        raise Refusal("nothing was offered")


def make(args: argparse.Namespace, identity: keystore.Identity, log: Kel, offers: Offers) -> None:
    """Turn the file into the event, signed by this machine if its owner agrees."""
    sith = None if args.threshold is None else keyevents.parse_threshold(args.threshold, len(offers.offers))
    if not log.state.nt.met(tuple(offers.offers), log.state.next):
        raise Refusal(
            f"the {len(offers.offers)} keys in {args.propose} do not meet the threshold of the present ones",
            f"pass it on; each of the others runs: {command(args, offers)}",
        )
    event, lines = rotationoffers.event(offers, log, sith), [rotationoffers.serialise(offers, log)]
    for line in eventwords.words(proposal.parse(enclosed.joined(event, lines), log)):
        output.note(line)
    for place in rotationoffers.lacking(offers, log):
        output.note(f"key {place} is left out")
    if not args.yes:
        left_out = "" if args.threshold is None else f" --threshold {shlex.quote(args.threshold)}"
        if not confirmed("Sign it?", f"read it above, then: {command(args, offers)}{left_out} --yes"):
            raise Refusal("it was not signed", f"{command(args, offers)}{left_out} asks again")
    with keystore.held(identity.alias) as held:
        if keyevents.own_log(held).said != log.said:
            raise Refusal(f"the log of '{held.alias}' has gone on meanwhile", "begin a new FILE")
        eventproposals.write(args.propose, event, eventproposals.sign(held, log, event, args.secrets), lines)
    output.note(f"{args.propose} is event {log.sn + 1} now, with this machine's signature")
    output.hint(
        f"each machine signs it, and takes it once it is complete: git auths kel sign {shlex.quote(args.propose)}"
    )


def command(args: argparse.Namespace, offers: Offers) -> str:
    """What whoever has the file next runs, if they agree."""
    alias = "" if args.alias is None else f" --alias {args.alias}"
    declared = " --compromised" if offers.anchors else ""
    return f"git auths rotate{alias}{declared} --propose {shlex.quote(args.propose)}"
