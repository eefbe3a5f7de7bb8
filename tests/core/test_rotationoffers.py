"""Offers to rotate keys that lie on several machines: files that anybody may have changed on the way."""

from __future__ import annotations

import json
from typing import Any

import pytest

from git_auths.core import cesr, kel, kelbuild, rotationoffers, seals
from git_auths.core.kel import Kel
from git_auths.core.rotationoffers import Offer, Offers, OffersInvalid
from tests.kels import Signer, commitments, keys, signatures, signer

CURRENT, NEXT, LATER = ([signer(10 * n + i) for i in range(3)] for n in range(3))
STOLEN = seals.compromise(0, "E" + "A" * 43, 1)


def begun(*signers: Signer) -> Kel:
    event = kelbuild.inception(keys(signers), commitments(NEXT), kt="2", nt="2")
    return kel.replay(kelbuild.with_signatures(event, signatures(event, signers)))


@pytest.fixture(scope="module")
def log() -> Kel:
    return begun(*CURRENT)


def offer(place: int, log: Kel, at: int | None = None) -> Offer:
    """Of the key `place`, signed for the place `at`."""
    one, later = NEXT[place], LATER[place].key.commitment
    return rotationoffers.signed(log, place if at is None else at, one.key, later, one.sign)


def offers(*places: int, anchors: tuple[object, ...] = ()) -> Offers:
    return Offers({place: offer(place, begun(*CURRENT)) for place in places}, anchors)


@pytest.mark.parametrize("made", [offers(), offers(1), offers(0, 1, 2, anchors=(STOLEN,))])
def test_what_was_written_is_read(made: Offers, log: Kel) -> None:
    assert rotationoffers.parse(rotationoffers.serialise(made, log), log) == made
    assert rotationoffers.lacking(made, log) == [place for place in range(3) if place not in made.offers]


@pytest.mark.parametrize(("places", "sith"), [((0, 1, 2), None), ((0, 2), "2"), ((1, 2), ["1/2", "1/2"])])
def test_the_keys_that_were_offered_make_the_event(places: tuple[int, ...], sith: Any, log: Kel) -> None:
    event = rotationoffers.event(offers(*places, anchors=(STOLEN,)), log, sith)
    signed = signatures(event, [NEXT[place] for place in places], places)
    state = kel.extend(log, kelbuild.with_signatures(event, signed)).state
    assert list(state.keys) == [NEXT[place].key for place in places]
    assert list(state.next) == [LATER[place].key.commitment for place in places]
    assert state.kt.json() == state.nt.json() == (sith or "2")


def changed(document: dict[str, Any], path: tuple[Any, ...], value: object) -> bytes:
    inner: Any = document
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return json.dumps(document, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("auths",), "rotation/2"), (("i",), "E" + "A" * 43), (("s",), "2"), (("s",), 1), (("p",), "E" + "A" * 43),
        (("more",), 1), (("a",), {}), (("a",), [STOLEN, STOLEN]), (("a",), [{"auths": "revoke/1", "i": "E" + "A" * 43}]),
        (("a",), [None]), (("offers",), {}), (("offers", 0), []), (("offers", 0), {"at": 0}), (("offers", 0, "at"), 3),
        (("offers", 0, "at"), -1), (("offers", 0, "at"), True), (("offers", 0, "at"), "0"), (("offers", 0, "at"), 1),
        (("offers", 0, "k"), LATER[0].key.qb64), (("offers", 0, "k"), 1), (("offers", 0, "k"), "D"),
        (("offers", 0, "n"), "E"), (("offers", 0, "n"), None), (("offers", 0, "n"), ["E" + "A" * 43]),
        (("offers", 0, "n"), LATER[2].key.commitment), (("offers", 0, "sig"), None), (("offers", 0, "sig"), "0B"),
        (("offers", 0, "sig"), cesr.encode("0B", bytes(64))), (("offers", 0, "sig"), cesr.encode("0I", bytes(64))),
        (("offers", 0, "sig"), [cesr.encode("0B", bytes(64))]), (("offers", 0, "sig"), NEXT[0].key.qb64),
    ],
)  # fmt: skip
def test_what_was_changed_on_the_way_is_refused(path: tuple[Any, ...], value: object, log: Kel) -> None:
    document = json.loads(rotationoffers.serialise(offers(0, 1), log))
    with pytest.raises(OffersInvalid):
        rotationoffers.parse(changed(document, path, value), log)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b" " * (1 << 20), b"null", b"NaN"])
def test_what_is_no_offer_is_refused(raw: bytes, log: Kel) -> None:
    with pytest.raises(OffersInvalid):
        rotationoffers.parse(raw, log)


def test_two_offers_for_one_place_are_refused(log: Kel) -> None:
    document = json.loads(rotationoffers.serialise(offers(0), log))
    other = rotationoffers.signed(log, 0, NEXT[0].key, "E" + "A" * 43, NEXT[0].sign)
    document["offers"] += json.loads(rotationoffers.serialise(Offers({0: other}, ()), log))["offers"]
    with pytest.raises(OffersInvalid, match="two offers for key 0"):
        rotationoffers.parse(json.dumps(document).encode(), log)


@pytest.mark.parametrize("of", [(begun(*LATER), None), (None, 1)])
def test_an_offer_for_another_event_or_place_is_refused(of: tuple[Kel | None, int | None], log: Kel) -> None:
    """Its key has signed it, but for something else."""
    made = offer(0, of[0] or log, of[1])
    with pytest.raises(OffersInvalid, match="has not signed that"):
        rotationoffers.parse(rotationoffers.serialise(Offers({0: made}, ()), log), log)


def test_a_key_of_p256_signs_its_offer_too() -> None:
    first, following = signer(1, "1AAJ"), signer(2, "1AAJ")
    event = kelbuild.inception([first.key], [following.key.commitment])
    log = kel.replay(kelbuild.with_signatures(event, signatures(event, [first])))
    made = Offers({0: rotationoffers.signed(log, 0, following.key, LATER[0].key.commitment, following.sign)}, ())
    assert rotationoffers.parse(rotationoffers.serialise(made, log), log) == made
