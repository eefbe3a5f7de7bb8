"""Where keripy accepts a log, or waits for what would make it good, and we refuse: each with the clause that decides.

Clauses are of the KERI specification (trustoverip/kswg-keri-specification) unless another one is named. There is no
difference the other way round: what keripy refuses, we refuse (`test_kel_generated`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from keri.core import coring, eventing
from keri.core.coring import MtrDex

from git_auths.core import kelbuild
from git_auths.core.cesr import IndexedSignature
from git_auths.core.kelstream import SealSource
from git_auths.core.sshsig import P256_ORDER
from tests.kels import GrowingLog, Signer, edited, event_of, keys, signatures, signer

STRANGER = signer(89)
SAID = STRANGER.key.commitment
FIRST = GrowingLog().interact()
INCEPTION = FIRST.messages[0]


class Difference(NamedTuple):
    """keripy takes the log that `make` gives up to event `sn`; we refuse it with a reason that contains `reason`."""

    make: Callable[[], bytes]
    sn: int
    reason: str
    clause: str


def by(event: bytes, *signers: Signer, receipts: Sequence[Signer] = ()) -> bytes:
    return kelbuild.with_signatures(event, signatures(event, signers), receipts=signatures(event, receipts))


def other_inception(**changes: Any) -> bytes:
    return by(edited(event_of(INCEPTION), **changes), *FIRST.current)


def other_interaction(**changes: Any) -> bytes:
    return INCEPTION + by(edited(event_of(FIRST.messages[1]), **changes), *FIRST.current)


def superseding_recovery() -> bytes:
    return FIRST.stream + GrowingLog().rotate().messages[1]


def out_of_order() -> bytes:
    log = GrowingLog().interact().interact()
    return log.messages[0] + log.messages[2] + log.messages[1]


def inception_last() -> bytes:
    return FIRST.messages[1] + INCEPTION


def one_key_by_two_codes() -> bytes:
    event = kelbuild.inception([STRANGER.key, signer(1).key], [], kt="2")
    raw = STRANGER.sign(event)
    return kelbuild.with_signatures(event, [IndexedSignature("A", 0, 0, raw), IndexedSignature("B", 0, None, raw)])


def either_s_of_one_signature() -> bytes:
    one = signer(1, "1AAJ")
    event = kelbuild.inception([one.key, signer(2, "1AAJ").key], [], kt="2")
    raw = one.sign(event)
    other = raw[:32] + (P256_ORDER - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
    return kelbuild.with_signatures(event, [IndexedSignature("E", 0, 0, s) for s in (raw, other)])


def key_listed_twice() -> bytes:
    return by(kelbuild.inception([STRANGER.key] * 2, [], kt="2"), STRANGER, STRANGER)


def rotation_with(**changes: Any) -> bytes:
    event = kelbuild.rotation(FIRST.kel, keys(FIRST.next), [SAID])
    return FIRST.stream + by(edited(event, **changes), *FIRST.next)


def fewer_weights_than_keys() -> bytes:
    return by(kelbuild.inception([STRANGER.key, signer(1).key], [], kt=["1"]), STRANGER)


def code_of_another_algorithm() -> bytes:
    event = event_of(INCEPTION)
    return kelbuild.with_signatures(event, [IndexedSignature("E", 0, 0, FIRST.current[0].sign(event))])


def code_that_is_not_used_here() -> bytes:
    """Of secp256k1, beside a signature that is good and enough."""
    event = kelbuild.inception([STRANGER.key, signer(1).key], [])
    stream = by(event, STRANGER, signer(1))
    second = stream.rindex(b"AB", len(event) + 4)
    return stream[:second] + b"C" + stream[second + 1 :]


def transferable_witness() -> bytes:
    witness = signer(88)
    return by(kelbuild.inception([STRANGER.key], [], bt=1, witnesses=[witness.key]), STRANGER, receipts=[witness])


def key_of_secp256k1() -> bytes:
    one = coring.Signer(raw=bytes(31) + b"\1", code=MtrDex.ECDSA_256k1_Seed)
    serder = eventing.incept([one.verfer.qb64], code=MtrDex.Blake3_256)
    return bytes(eventing.messagize(serder, sigers=[one.sign(serder.raw, index=0)]))


def receipt_of_what_is_not_here() -> bytes:
    serder = eventing.receipt(pre=FIRST.kel.aid, sn=1, said=FIRST.kel.events[1].said)
    cigar = coring.Signer(raw=(88).to_bytes(32, "big"), transferable=False).sign(event_of(FIRST.messages[1]))
    return INCEPTION + bytes(eventing.messagize(serder, cigars=[cigar]))


def signatures_in_two_groups() -> bytes:
    return INCEPTION + INCEPTION[len(event_of(INCEPTION)) :]


def seal_source_on_an_interaction() -> bytes:
    event = event_of(FIRST.messages[1])
    source = SealSource(0, FIRST.kel.said)
    return INCEPTION + kelbuild.with_signatures(event, signatures(event, FIRST.current), source=source)


ONE_LINE = (
    "Superseding rules for recovery let a validator that has seen one event take another; a file is seen whole, by all "
    "validators alike, so a log in it is one line of events (also: duplicity, 'first seen, always seen, never unseen')"
)
ORDER = "Out-of-order events: a validator may set one aside until those before it arrive; after a file nothing arrives"
NUMBER = "Sequence number field, and likewise `kt`, `nt`, `bt`: hex numbers with no leading zeros, as strings"
COUNT = "Key signing threshold field: M of the N keys listed must sign, and not one of them M times"
WEIGHTS = "Fractionally weighted threshold: weights and keys correspond one to one, each 0, 1 or a proper fraction"
TRAITS = "Configuration traits field: a list of known traits; who does not know one cannot meet what it demands"
INDEXED = "Indexed signatures, and CESR's indexed code table: the code names the algorithm that the key is of"
BACKERS = "Backer list: witnesses have non-transferable keys"
TRANSFERABLE = "Non-transferable prefixes: no event follows such a key, so none may be committed to"
FIELDS = "Top-level fields in key event messages: these, in this order, each of its type"
WHOLE = "CESR, cold start and stream parsing: the bytes after an event are the groups that it may have, each once"
PROJECT = "The specification leaves the choice of algorithms open: this project takes Ed25519, P-256 and Blake3-256"

DIFFERENCES = [
    Difference(superseding_recovery, 1, "superseding recovery", ONE_LINE),
    Difference(lambda: INCEPTION + INCEPTION, 0, "stands in the log already", ONE_LINE),
    Difference(out_of_order, 2, "is missing before it", ORDER),
    Difference(inception_last, 1, "does not begin with an inception", ORDER),
    Difference(receipt_of_what_is_not_here, 0, "a receipt of an event that the log does not have", ORDER),
    Difference(lambda: other_interaction(s="01"), 1, "`s` is not a lowercase hex number", NUMBER),
    Difference(lambda: other_inception(kt="01"), 0, "not a lowercase hex number", NUMBER),
    Difference(lambda: other_inception(bt="00"), 0, "`bt` is not a lowercase hex number", NUMBER),
    Difference(one_key_by_two_codes, 0, "meet `kt`", COUNT),
    Difference(either_s_of_one_signature, 0, "meet `kt`", COUNT),
    Difference(key_listed_twice, 0, "meet `kt`", COUNT),
    Difference(lambda: rotation_with(nt="2"), 2, "more than there are keys", COUNT),
    Difference(fewer_weights_than_keys, 0, "one weight for each key", WEIGHTS),
    Difference(lambda: other_inception(kt=["1/1"]), 0, "0, 1 or a proper fraction", WEIGHTS),
    Difference(lambda: other_inception(nt=["1.0"]), 0, "0, 1 or a proper fraction", WEIGHTS),
    Difference(lambda: rotation_with(nt=["1/2"]), 2, "less than one", WEIGHTS),
    Difference(lambda: rotation_with(nt=[]), 2, "neither a number nor weights", WEIGHTS),
    Difference(lambda: other_inception(c=["RB"]), 0, "trait that is not known here", TRAITS),
    Difference(lambda: other_inception(c="EO"), 0, "`c` is no list", FIELDS),
    Difference(code_of_another_algorithm, 0, "by a key of another algorithm", INDEXED),
    Difference(code_that_is_not_used_here, 0, "unknown code", INDEXED),
    Difference(transferable_witness, 0, "`b`: code D is not one of", BACKERS),
    Difference(lambda: by(kelbuild.inception([signer(1, "B").key], [SAID]), signer(1, "B")), 0,
               "`k`: code B is not one of", TRANSFERABLE),
    Difference(lambda: other_inception(n=[coring.Matter(raw=bytes(32), code=MtrDex.SHA3_256).qb64]), 0,
               "Blake3-256", PROJECT),
    Difference(key_of_secp256k1, 0, "`k`: unknown code '1AAB'", PROJECT),
    Difference(lambda: by(kelbuild.inception(keys([signer(n) for n in range(1, 130)]), []), signer(1)), 0,
               "more than 128 entries", PROJECT),
    Difference(signatures_in_two_groups, 0, "a group -A where none may be", WHOLE),
    Difference(seal_source_on_an_interaction, 1, "a seal source on an event that is not delegated", WHOLE),
    Difference(lambda: INCEPTION + b"{ and more, which keripy waits to see the end of", 0, "no event", WHOLE),
    Difference(lambda: FIRST.stream[:-1], 0, "cut off", WHOLE),
]  # fmt: skip
