"""A rotation of keys that lie on several machines, before there is an event: what each machine brings to it.

    {"auths":"rotation/1","i":"<AID>","s":"<hex>","p":"<digest>","a":[...],
     "offers":[{"at":0,"k":"D...","n":"E...","sig":"0B..."}]}

`s` and `p` are those of the event to come, and `a` its seals: none, or the one that declares the old keys lost. An
offer reveals the next key at place `at` of the last establishment event's `n`, and commits to the key after it. `sig`
is by the key that is revealed, over `statement`: whoever carries the file can put no key of his own in. The seals are
not signed here: each machine shows them before it signs the event.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, cast

from git_auths.core import cesr, kelbuild, seals, verkey
from git_auths.core.kel import Kel
from git_auths.core.kelbuild import Sith
from git_auths.core.seals import Compromise
from git_auths.core.verkey import Key

FORMAT = "rotation/1"
FIELDS = ("auths", "i", "s", "p", "a", "offers")
MAX_OFFERS_BYTES = 256 * 1024
STATEMENT = "git-auths rotation offer 1"  # no event, SSH signature or DSSE envelope begins like that


class OffersInvalid(ValueError):
    """The bytes are no offers to rotate the keys of that log; the message says why."""


class Offer(NamedTuple):
    """The next key, the commitment to the one after it, and its signature (64 bytes) over the `statement` of both."""

    key: Key
    commitment: str
    signature: bytes

    @property
    def keys(self) -> tuple[Key, str]:
        """What it offers; an ECDSA signature over it may be another each time."""
        return self.key, self.commitment


class Offers(NamedTuple):
    """By place in `n`; `anchors` are the seals of the event to come."""

    offers: Mapping[int, Offer]
    anchors: tuple[object, ...]


def statement(log: Kel, place: int, key: Key, commitment: str) -> bytes:
    """What the next key at `place` signs to say that `commitment` is to the key after it, in the event to come."""
    aid, number, prior = _next(log)
    return "\n".join([STATEMENT, aid, number, prior, f"{place:x}", key.qb64, commitment, ""]).encode()


def signed(log: Kel, place: int, key: Key, commitment: str, sign: Callable[[bytes], bytes]) -> Offer:
    """The offer of the next key at `place`, whose private half makes signatures of 64 bytes by `sign`."""
    return Offer(key, commitment, sign(statement(log, place, key, commitment)))


def parse(raw: bytes, log: Kel) -> Offers:
    """The offers to rotate the keys of `log`; raises OffersInvalid."""
    if len(raw) > MAX_OFFERS_BYTES:
        raise OffersInvalid(f"longer than {MAX_OFFERS_BYTES} bytes")
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        raise OffersInvalid("no JSON") from None
    if not isinstance(document, dict) or tuple(document) != FIELDS or document["auths"] != FORMAT:
        raise OffersInvalid("no offers to rotate keys, or of a later version")
    if (document["i"], document["s"], document["p"]) != _next(log):
        raise OffersInvalid(f"they are not for event {log.sn + 1} of {log.did}")
    listed, anchors = document["offers"], document["a"]
    if not isinstance(listed, list) or not isinstance(anchors, list):
        raise OffersInvalid("`offers` or `a` is no list")
    if len(anchors) > 1 or not all(isinstance(seals.parse(anchor), Compromise) for anchor in anchors):
        raise OffersInvalid("its seals are not the one that a rotation may have")
    offers: dict[int, Offer] = {}
    for entry in listed:
        place, offer = _offer(entry, log)
        if offers.setdefault(place, offer).keys != offer.keys:
            raise OffersInvalid(f"two offers for key {place}")
    return Offers(offers, tuple(anchors))


def serialise(offers: Offers, log: Kel) -> bytes:
    """The file."""
    aid, number, prior = _next(log)
    listed = [
        {"at": place, "k": offer.key.qb64, "n": offer.commitment,
         "sig": cesr.encode(offer.key.signature_code, offer.signature)}
        for place, offer in sorted(offers.offers.items())
    ]  # fmt: skip
    document = {"auths": FORMAT, "i": aid, "s": number, "p": prior, "a": list(offers.anchors), "offers": listed}
    return json.dumps(document, separators=(",", ":")).encode()


def lacking(offers: Offers, log: Kel) -> list[int]:
    """The places for which there is no offer."""
    return [place for place in range(len(log.state.next)) if place not in offers.offers]


def event(offers: Offers, log: Kel, sith: Sith | None = None) -> bytes:
    """The rotation that these offers make, with the threshold `sith`, else the one committed to. Keys that were not
    offered are left out (KERI spec, partial rotation)."""
    in_order: Sequence[Offer] = [offer for _, offer in sorted(offers.offers.items())]
    sith = cast(Sith, log.state.nt.json()) if sith is None else sith
    return kelbuild.rotation(log, [offer.key for offer in in_order], [offer.commitment for offer in in_order],
                             kt=sith, nt=sith, anchors=offers.anchors)  # fmt: skip


def _next(log: Kel) -> tuple[str, str, str]:
    return log.aid, f"{log.sn + 1:x}", log.said


def _offer(entry: object, log: Kel) -> tuple[int, Offer]:
    if not isinstance(entry, dict) or tuple(entry) != ("at", "k", "n", "sig"):
        raise OffersInvalid("an offer that is none")
    place, commitment = entry["at"], entry["n"]
    if type(place) is not int or not 0 <= place < len(log.state.next):
        raise OffersInvalid("an offer for no place")
    try:
        key = verkey.parse(entry["k"])
    except verkey.KeyUnusable as error:
        raise OffersInvalid(f"the key offered at {place}: {error}") from None
    if key.commitment != log.state.next[place]:
        raise OffersInvalid(f"the key offered at {place} is not the one that was committed to")
    if not cesr.is_digest(commitment):
        raise OffersInvalid(f"the commitment offered at {place} is none")
    offer = Offer(key, str(commitment), _signature(entry["sig"], key))
    if not key.verifies(offer.signature, statement(log, place, key, offer.commitment)):
        raise OffersInvalid(f"the key offered at {place} has not signed that: somebody has changed it on the way")
    return place, offer


def _signature(text: object, key: Key) -> bytes:
    try:
        if type(text) is str:
            code, raw = cesr.decode(text)
            if code == key.signature_code:
                return raw
    except cesr.CesrInvalid:
        pass
    raise OffersInvalid(f"a signature that is none of {key.qb64}")
