from __future__ import annotations

import pytest

from git_auths.core import kel, kelbuild, proposal
from git_auths.core.cesr import IndexedSignature
from git_auths.core.kel import Kel
from git_auths.core.proposal import MAX_PROPOSAL_BYTES, ProposalInvalid
from tests.kels import Signer, commitments, keys, signatures, signer

FIRST, SECOND, THIRD = ([signer(number) for number in range(start, start + 3)] for start in (1, 4, 7))
WITNESSES = [signer(number, "B") for number in (11, 12)]
INCEPTION = kelbuild.inception(keys(FIRST), commitments(SECOND), kt="2", nt="2")


@pytest.fixture(scope="module")
def log() -> Kel:
    return kel.replay(kelbuild.with_signatures(INCEPTION, signatures(INCEPTION, FIRST)))


def signed(offer: proposal.Proposal, *signers: Signer) -> proposal.Proposal:
    for one in signers:
        (place,) = proposal.places_of(offer, one.key)
        offer = proposal.with_signature(offer, place, one.sign(offer.raw))
    return offer


def refusal(stream: bytes, log: Kel | None) -> str:
    with pytest.raises(ProposalInvalid) as caught:
        proposal.parse(stream, log)
    return str(caught.value)


def test_signatures_are_collected_until_a_log_takes_the_event(log: Kel) -> None:
    offer = proposal.parse(kelbuild.interaction(log, ["x"]), log)
    assert (offer.signed, offer.unsigned) == ((), (0, 1, 2))
    assert proposal.missing(offer) == ("2 more signatures by the keys",)
    assert proposal.serialise(offer) == offer.raw
    offer = proposal.parse(proposal.serialise(signed(offer, FIRST[2])), log)
    assert (offer.signed, offer.unsigned) == ((2,), (0, 1))
    assert proposal.missing(offer) == ("1 more signature by the keys",)
    offer = signed(offer, FIRST[0])
    assert proposal.missing(offer) == ()
    assert kel.extend(log, proposal.serialise(offer)).sn == 1
    assert signed(offer, FIRST[0]) == offer


def test_an_inception_is_proposed_too() -> None:
    offer = signed(proposal.parse(INCEPTION, None), FIRST[1], FIRST[0])
    assert kel.replay(proposal.serialise(offer)).state == offer.state


def test_the_order_of_signing_leaves_no_trace(log: Kel) -> None:
    offer = proposal.parse(kelbuild.interaction(log, []), log)
    assert signed(offer, *FIRST) == signed(offer, *reversed(FIRST))


def test_the_keys_that_a_rotation_reveals_sign_with_their_places_among_the_commitments(log: Kel) -> None:
    new = signer(20)
    event = kelbuild.rotation(log, keys([new, SECOND[2], SECOND[0]]), commitments(THIRD), kt="2", nt="2")
    offer = signed(proposal.parse(event, log), new)
    assert proposal.missing(offer) == (
        "1 more signature by the keys", "2 more signatures by the keys that event 0 committed to",
    )  # fmt: skip
    offer = signed(offer, SECOND[0])
    assert proposal.missing(offer) == ("1 more signature by the keys that event 0 committed to",)
    offer = signed(offer, SECOND[2])
    assert proposal.missing(offer) == ()
    assert [(one.code, one.key_index, one.prior_index) for one in offer.signatures] == [
        ("B", 0, None), ("2A", 1, 2), ("2A", 2, 0),
    ]  # fmt: skip
    assert kel.extend(log, proposal.serialise(offer)).sn == 1


def test_a_signature_with_other_indices_is_put_right(log: Kel) -> None:
    event = kelbuild.rotation(log, keys(SECOND), commitments(THIRD), kt="2", nt="2")
    raw = [one.sign(event) for one in SECOND]
    odd = [IndexedSignature("2A", 0, 5, raw[0]), IndexedSignature("B", 1, None, raw[1])]
    offer = proposal.parse(kelbuild.with_signatures(event, odd), log)
    assert [(one.code, one.prior_index) for one in offer.signatures] == [("A", 0), ("A", 1)]
    assert kel.extend(log, proposal.serialise(offer)).sn == 1


def test_weights_that_are_missing_are_named() -> None:
    event = kelbuild.inception(keys(FIRST), [], kt=[["1/2", "1/2"], ["1"]])
    offer = signed(proposal.parse(event, None), FIRST[0], FIRST[1])
    assert proposal.missing(offer) == (
        "signatures by more of the keys: their weights must reach [['1/2', '1/2'], ['1']]",
    )
    assert proposal.missing(signed(offer, FIRST[2])) == ()


def test_receipts_are_collected_as_well() -> None:
    event = kelbuild.inception([FIRST[0].key], [], bt=2, witnesses=keys(WITNESSES))
    one, other = (
        proposal.parse(kelbuild.with_signatures(event, signatures(event, FIRST[:1]), receipts=[receipt]), None)
        for receipt in signatures(event, WITNESSES)
    )
    assert proposal.missing(one) == ("1 more receipt by its witnesses",)
    both = proposal.united(one, other)
    assert proposal.missing(both) == ()
    assert kel.replay(proposal.serialise(both)).sn == 0


def test_copies_are_united(log: Kel) -> None:
    offer = proposal.parse(kelbuild.interaction(log, []), log)
    assert proposal.united(signed(offer, FIRST[0]), signed(offer, FIRST[1])) == signed(offer, FIRST[0], FIRST[1])
    with pytest.raises(ProposalInvalid, match="another event"):
        proposal.united(offer, proposal.parse(kelbuild.interaction(log, ["x"]), log))


def test_a_signature_that_does_not_verify_is_refused(log: Kel) -> None:
    event = kelbuild.interaction(log, [])
    good = signatures(event, FIRST)
    for bad in (good[0]._replace(raw=good[1].raw), IndexedSignature("A", 1, 1, bytes(64))):
        stream = kelbuild.with_signatures(event, [*good[:1], bad])
        assert refusal(stream, log) == f"the signature of key {bad.key_index} does not verify"
    assert refusal(kelbuild.with_signatures(event, [IndexedSignature("A", 3, 3, bytes(64))]), log) == (
        "a signature by number 3 of 3"
    )
    with pytest.raises(ProposalInvalid, match="key 2 does not verify"):
        proposal.with_signature(proposal.parse(event, log), 2, good[0].raw)


def test_what_cannot_follow_the_log_is_refused(log: Kel) -> None:
    event = kelbuild.interaction(log, [])
    after = kel.extend(log, kelbuild.with_signatures(event, signatures(event, FIRST)))
    assert refusal(event, after) == "event 1: it stands in the log already"
    assert refusal(kelbuild.interaction(log, ["x"]), after) == "event 1: a fork: the log has another event 1"
    assert refusal(kelbuild.interaction(after, []), log) == "event 2: event 1 is missing before it"
    assert "does not begin with an inception" in refusal(event, None)
    assert refusal(event + event, log) == "bytes after the event and its signatures"
    assert refusal(event[:-1], log) == "cut off in the middle of the event"
    assert "larger" in refusal(bytes(MAX_PROPOSAL_BYTES + 1), log)
