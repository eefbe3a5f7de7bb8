"""`git auths rotate --propose FILE`: the rotation of an identity whose keys lie on several machines.

FILE goes from machine to machine. Each adds the next keys that it holds; once all are there, or whoever has it says
that the others are left out, it becomes the event, which `git auths kel sign` signs on each.
"""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Mapping, Sequence

from git_auths import output
from git_auths.core import rotationoffers
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
    present = read(file, log, anchors)
    own = keyevents.offer(identity.alias, args.secrets, args.next_key)
    if any(present.offers.get(place, offer) != offer for place, offer in own.items()):
        raise Refusal(f"{file} has another offer in the place of this machine's", "begin a new FILE")
    offers = present._replace(offers={**present.offers, **own})
    lacking = rotationoffers.lacking(offers, log)
    if lacking and args.threshold is None:
        eventproposals.replace(file, rotationoffers.serialise(offers, log))
        output.note(f"{file} has {len(offers.offers)} of the {len(log.state.next)} next keys")
        output.hint(f"pass it on; each of the others runs: git auths rotate --propose {shlex.quote(file)}")
        output.hint("to leave them out: --threshold T, over the keys that are in it")
        return 0
    make(args, identity, log, offers)
    output.data(log.did)
    return 0


def read(file: str, log: Kel, anchors: Sequence[Mapping[str, str]]) -> Offers:
    """The offers in the file; those of a new one where there is none."""
    if not os.path.lexists(file):
        return Offers({}, tuple(anchors))
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
    if anchors and present.anchors != tuple(anchors):
        raise UsageError(f"{file} was begun for another rotation: what it declares compromised is said there",
                         f"git auths rotate --propose {shlex.quote(file)}")  # fmt: skip
    return present


def make(args: argparse.Namespace, identity: keystore.Identity, log: Kel, offers: Offers) -> None:
    """Turn the file into the event, signed by this machine."""
    sith = None if args.threshold is None else keyevents.parse_threshold(args.threshold, len(offers.offers))
    if not log.state.nt.met(tuple(offers.offers), log.state.next):
        raise Refusal(
            f"the {len(offers.offers)} keys in {args.propose} do not meet the threshold of the present ones",
            f"pass it on; each of the others runs: git auths rotate --propose {shlex.quote(args.propose)}",
        )
    event = rotationoffers.event(offers, log, sith)
    with keystore.held(identity.alias) as held:
        eventproposals.write(args.propose, event, eventproposals.sign(held, log, event, args.secrets))
    output.note(f"{args.propose} is event {log.sn + 1} now, with this machine's signature")
    for place in rotationoffers.lacking(offers, log):
        output.note(f"key {place} is left out")
    output.hint(
        f"each machine signs it, and takes it once it is complete: git auths kel sign {shlex.quote(args.propose)}"
    )
