from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from git_auths.core import cesr, kel, kelbuild, kelstream, keyevent
from git_auths.core.cesr import IndexedSignature
from git_auths.core.kel import DelegatorUnknown, Kel, KelInvalid
from git_auths.core.kelstream import SealSource, StreamBroken
from git_auths.core.sshsig import P256_ORDER
from tests.kels import GrowingLog, Signer, commitments, edited, event_of, keys, signatures, signer

ONE, TWO, THREE, FOUR, FIVE, SIX = (signer(number) for number in range(1, 7))
WITNESSES = [signer(number, "B") for number in range(11, 14)]
SAID = ONE.key.commitment


def signed(event: bytes, *signers: Signer, priors: list[int | None] | None = None, **more: Any) -> bytes:
    return kelbuild.with_signatures(event, signatures(event, signers, priors), **more)


def refusal(stream: bytes, delegators: dict[str, Kel] | None = None) -> tuple[int, str]:
    with pytest.raises(KelInvalid) as caught:
        kel.replay(stream, delegators)
    return caught.value.sn, caught.value.reason


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


@pytest.fixture(scope="module")
def log() -> GrowingLog:
    """icp, ixn, rot, ixn."""
    return GrowingLog().interact({"x": 1}).rotate().interact()


# What is accepted


@pytest.mark.parametrize("code", ["D", "1AAJ"])
def test_a_log_goes_through_the_key_states_that_its_rotations_set(code: str) -> None:
    log = GrowingLog(code=code).interact({"x": "é\u2028"}, "text", 1.5, None).rotate(anchors=[{"y": 2}]).interact()
    replayed = kel.replay(log.stream)
    assert [event.ilk for event in replayed.events] == ["icp", "ixn", "rot", "ixn"]
    assert [event.sn for event in replayed.events] == [0, 1, 2, 3]
    assert [event.state.sn for event in replayed.events] == [0, 0, 2, 2]
    assert replayed.state.keys == tuple(keys(log.current))
    assert replayed.state.next == tuple(commitments(log.next))
    assert replayed.events[1].anchors == ({"x": "é\u2028"}, "text", 1.5, None)
    assert replayed.did == "did:keri:" + kelbuild.said(log.messages[0])
    assert [event.sn for event in replayed.establishments()] == [0, 2]
    assert replayed.current_signing_keys() == tuple(keys(log.current))
    assert replayed.delegator is None
    assert (replayed.sn, replayed.said) == (3, replayed.events[3].said)


def test_an_event_knows_its_bytes(log: GrowingLog) -> None:
    stream = log.stream
    assert [stream[event.offset : event.offset + event.length] for event in log.kel.events] == log.messages
    assert log.kel.size == len(stream)


def test_a_log_that_is_extended_is_the_log_replayed_whole(log: GrowingLog) -> None:
    for cut in range(1, len(log.messages)):
        first = kel.replay(b"".join(log.messages[:cut]))
        assert kel.extend(first, b"".join(log.messages[cut:])) == kel.replay(log.stream)
    assert kel.extend(log.kel, b"") == log.kel


def test_two_of_three_sign() -> None:
    first, second = [ONE, TWO, THREE], [FOUR, FIVE, SIX]
    inception = kelbuild.inception(keys(first), commitments(second), kt="2", nt="2")
    message = kelbuild.with_signatures(inception, signatures(inception, first)[1:])
    state = kel.replay(message)
    rotation = kelbuild.rotation(state, keys(second), commitments(first), kt="2", nt="2")
    assert kel.extend(state, kelbuild.with_signatures(rotation, signatures(rotation, second)[:2])).sn == 1
    assert state.current_signing_keys() == ()


def test_keys_that_alone_meet_the_threshold_may_sign_for_git() -> None:
    event = kelbuild.inception(keys([ONE, TWO, THREE]), [], kt=["1/2", "1", "1/2"])
    state = kel.replay(signed(event, ONE, TWO, THREE)).state
    assert state.signing_keys() == (TWO.key,)
    event = kelbuild.inception(keys([ONE, TWO]), [], kt="1")
    assert kel.replay(signed(event, ONE, TWO)).state.signing_keys() == (ONE.key, TWO.key)


def test_reserve_keys_are_kept_back_and_used_later() -> None:
    """KERI spec, reserve rotation: events 0 to 2 of its example, in small."""
    weights = ["1/2", "1/2", "1/4", "1/4"]
    a, b, c, d = (signer(number) for number in range(21, 25))
    first = kelbuild.inception(keys([ONE]), commitments([a, b, c, d]), nt=weights)
    state = kel.replay(signed(first, ONE))
    held_back = kelbuild.rotation(state, keys([b, a]), commitments([FIVE, SIX, c, d]), kt=["1/2", "1/2"], nt=weights)
    state = kel.extend(state, signed(held_back, b, a, priors=[1, 0]))
    # One of the first two is lost: the reserve steps in for the rotation, with no weight in signing, and a new key.
    event = kelbuild.rotation(state, keys([THREE, SIX, c, d]), [], kt=["1/2", "1/2", "0", "0"])
    full = signatures(event, [THREE, SIX, c, d], [None, 1, 2, 3])
    assert kel.extend(state, kelbuild.with_signatures(event, full)).sn == 2
    with pytest.raises(KelInvalid, match="committed"):
        kel.extend(state, kelbuild.with_signatures(event, full[:3]))
    with pytest.raises(KelInvalid, match="kt"):
        kel.extend(state, kelbuild.with_signatures(event, full[1:]))


def test_keys_beyond_the_64th_sign_with_big_indices() -> None:
    many = [signer(number) for number in range(100, 170)]
    event = kelbuild.inception(keys(many), commitments(many), kt="46", nt="1")
    state = kel.replay(signed(event, *many))
    assert kel.extend(state, signed(kelbuild.rotation(state, keys(many), [], kt="46"), *many)).sn == 1


def test_a_basic_identifier_is_its_only_key() -> None:
    event = edited(event_of(GrowingLog().messages[0]), i=signer(1001).key.qb64)
    assert kel.replay(signed(event, signer(1001))).aid == signer(1001).key.qb64
    other = edited(event_of(GrowingLog().messages[0]), i=ONE.key.qb64)
    assert "neither the digest" in refusal(signed(other, signer(1001)))[1]


def test_thresholds_may_be_json_integers() -> None:
    event = edited(event_of(GrowingLog().messages[0]), kt=1, nt=1, bt=0)
    assert kel.replay(signed(event, signer(1001))).state.kt.json() == "1"


def test_a_signature_that_does_not_verify_counts_for_nothing() -> None:
    event = kelbuild.inception(keys([ONE, TWO, THREE]), [], kt="2")
    stray = signatures(event, [ONE, FOUR, THREE])
    assert kel.replay(kelbuild.with_signatures(event, stray)).sn == 0
    assert refusal(kelbuild.with_signatures(event, stray[:2])) == (0, "the signatures do not meet `kt`")


@pytest.mark.parametrize("flip", [False, True])
def test_an_ecdsa_signature_is_good_with_either_s(flip: bool) -> None:
    one = signer(1, "1AAJ")
    event = kelbuild.inception([one.key], [])
    raw = one.sign(event)
    if flip:
        raw = raw[:32] + (P256_ORDER - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
    assert kel.replay(kelbuild.with_signatures(event, [IndexedSignature("E", 0, 0, raw)])).sn == 0


# One key counts once


def test_two_signatures_of_one_key_count_once() -> None:
    event = kelbuild.inception(keys([ONE, TWO]), [], kt="2")
    raw = ONE.sign(event)
    twice = [IndexedSignature("A", 0, 0, raw), IndexedSignature("B", 0, None, raw)]
    assert refusal(kelbuild.with_signatures(event, twice)) == (0, "the signatures do not meet `kt`")
    one = signer(1, "1AAJ")
    event = kelbuild.inception([one.key, signer(2, "1AAJ").key], [], kt="2")
    twice = [IndexedSignature("E", 0, 0, one.sign(event)) for _ in range(2)]
    assert refusal(kelbuild.with_signatures(event, twice)) == (0, "the signatures do not meet `kt`")


def test_a_key_that_is_listed_twice_counts_once() -> None:
    event = kelbuild.inception(keys([ONE, ONE]), [], kt="2")
    assert refusal(signed(event, ONE, ONE)) == (0, "the signatures do not meet `kt`")


def test_a_commitment_that_is_met_twice_counts_once() -> None:
    event = kelbuild.inception(keys([ONE]), commitments([TWO, THREE]), nt="2")
    state = kel.replay(signed(event, ONE))
    rotation = kelbuild.rotation(state, keys([TWO, TWO]), [], kt="1")
    with pytest.raises(KelInvalid, match="committed"):
        kel.extend(state, signed(rotation, TWO, TWO, priors=[0, 0]))


def test_a_witness_that_signs_twice_counts_once() -> None:
    event = kelbuild.inception(keys([ONE]), [], bt=2, witnesses=keys(WITNESSES))
    raw = WITNESSES[0].sign(event)
    twice = [IndexedSignature("A", 0, 0, raw), IndexedSignature("B", 0, None, raw)]
    assert refusal(signed(event, ONE, receipts=twice)) == (0, "the receipts of witnesses do not meet `bt`")


# Witnesses


def test_witnesses_come_and_go_by_rotation() -> None:
    first, second, third = WITNESSES
    event = kelbuild.inception(keys([ONE]), commitments([TWO]), bt=1, witnesses=keys([first, second]))
    receipts = signatures(event, [first, second])
    state = kel.replay(signed(event, ONE, receipts=receipts[1:]))
    rotation = kelbuild.rotation(state, keys([TWO]), commitments([THREE]), bt=2, cut=keys([first]), added=keys([third]))
    assert refusal(signed(event, ONE) + signed(rotation, TWO))[0] == 0
    state = kel.extend(state, signed(rotation, TWO, receipts=signatures(rotation, [second, third])))
    assert state.state.witnesses == (second.key, third.key)
    interaction = kelbuild.interaction(state, [])
    both = signatures(interaction, [second, third])
    assert kel.extend(state, signed(interaction, TWO, receipts=both)).sn == 2
    with pytest.raises(KelInvalid, match="bt"):
        kel.extend(state, signed(interaction, TWO, receipts=both[:1]))


def test_a_p256_witness_counts_too() -> None:
    witness = signer(1, "1AAI")
    event = kelbuild.inception(keys([ONE]), [], bt=1, witnesses=[witness.key])
    assert kel.replay(signed(event, ONE, receipts=signatures(event, [witness]))).state.witnesses == (witness.key,)


@pytest.mark.parametrize(("changes", "reason"), [
    ({"bt": 0, "witnesses": keys(WITNESSES)}, "`bt` does not fit the number of witnesses"),
    ({"bt": 4, "witnesses": keys(WITNESSES)}, "`bt` does not fit the number of witnesses"),
    ({"bt": 1}, "`bt` does not fit the number of witnesses"),
    ({"bt": 1, "witnesses": [WITNESSES[0].key] * 2}, "a witness is listed twice"),
    ({"bt": 1, "witnesses": [TWO.key]}, "`b`: code D is not one of B, 1AAI"),
])  # fmt: skip
def test_a_list_of_witnesses_that_cannot_be_is_refused(changes: dict[str, Any], reason: str) -> None:
    event = kelbuild.inception(keys([ONE]), [], **changes)
    receipts = signatures(event, WITNESSES[: len(changes.get("witnesses", ()))])
    assert refusal(signed(event, ONE, receipts=receipts)) == (0, reason)


@pytest.mark.parametrize(("changes", "reason"), [
    ({"cut": keys(WITNESSES[2:])}, "`br` names someone who is no witness"),
    ({"cut": keys(WITNESSES[1::-1]), "bt": 0}, "`br` has another order than the list of witnesses"),
    ({"added": keys(WITNESSES[:1])}, "`ba` names someone who is a witness already"),
    ({"cut": keys(WITNESSES[:1]), "added": keys(WITNESSES[:1])}, "a witness is listed twice"),
    ({"cut": keys(WITNESSES[:2])}, "`bt` does not fit the number of witnesses"),
])  # fmt: skip
def test_a_change_of_witnesses_that_cannot_be_is_refused(changes: dict[str, Any], reason: str) -> None:
    event = kelbuild.inception(keys([ONE]), commitments([TWO]), bt=1, witnesses=keys(WITNESSES[:2]))
    first = signed(event, ONE, receipts=signatures(event, WITNESSES[:2]))
    rotation = kelbuild.rotation(kel.replay(first), keys([TWO]), [], **changes)
    receipts = signatures(rotation, WITNESSES[:2])
    assert refusal(first + signed(rotation, TWO, receipts=receipts)) == (1, reason)


def test_a_receipt_by_no_witness_is_refused(log: GrowingLog) -> None:
    event = event_of(log.messages[0])
    stray = signatures(event, WITNESSES[:1])
    assert refusal(signed(event, signer(1001), receipts=stray)) == (0, "a receipt by number 0 of 0")


def receipt(log: Kel, sn: int, **changes: object) -> bytes:
    fields = {
        "v": cesr.format_version(0),
        "t": "rct",
        "d": log.events[sn].said,
        "i": log.aid,
        "s": f"{sn:x}",
        **changes,
    }
    return keyevent.to_json({**fields, "v": cesr.format_version(len(keyevent.to_json(fields)))})


def couples(event: bytes, *witnesses: Signer) -> bytes:
    """`-C`: each witness's key and signature."""
    made = [one.key.qb64 + cesr.encode(one.key.signature_code, one.sign(event)) for one in witnesses]
    return (cesr.encode_count("-C", len(made)) + "".join(made)).encode()


def indexed(event: bytes, *witnesses: Signer) -> bytes:
    """`-B`: their signatures, by their places in the list."""
    made = map(cesr.encode_indexed, signatures(event, witnesses))
    return (cesr.encode_count("-B", len(witnesses)) + "".join(made)).encode()


@pytest.fixture(scope="module")
def witnessed() -> tuple[Kel, list[bytes]]:
    """icp with three witnesses of which two must sign, and an ixn; as a log with receipts, and as its bare messages."""
    inception = kelbuild.inception(keys([ONE]), commitments([TWO]), bt=2, witnesses=keys(WITNESSES))
    log = kel.replay(signed(inception, ONE, receipts=signatures(inception, WITNESSES)))
    interaction = kelbuild.interaction(log, ["x"])
    log = kel.extend(log, signed(interaction, ONE, receipts=signatures(interaction, WITNESSES)))
    return log, [signed(inception, ONE), signed(interaction, ONE)]


@pytest.mark.parametrize("attach", [couples, indexed])
def test_receipts_may_be_messages_of_their_own_anywhere_in_the_stream(
    witnessed: tuple[Kel, list[bytes]], attach: Callable[..., bytes]
) -> None:
    log, messages = witnessed
    receipts = [receipt(log, sn) + attach(event_of(messages[sn]), *WITNESSES[:2]) for sn in (0, 1)]
    for order in ([messages[0], receipts[0], messages[1], receipts[1]], [*messages, *receipts], [*receipts, *messages]):
        replayed = kel.replay(b"".join(order))
        assert (replayed.state, replayed.said, replayed.size) == (log.state, log.said, len(b"".join(order)))
    one, *rest = [messages[0], receipts[0], messages[1], receipts[1]]
    begun = kel.replay(one + rest[0])
    assert kel.extend(begun, b"".join(rest[1:])) == kel.replay(b"".join([one, *rest]))
    assert kel.extend(kel.replay(one + rest[0] + rest[1] + rest[2]), receipts[0]).state == log.state


def test_receipts_in_messages_and_attached_add_up(witnessed: tuple[Kel, list[bytes]]) -> None:
    log, messages = witnessed
    event = event_of(messages[0])
    attached = signed(event, ONE, receipts=signatures(event, WITNESSES[:1]))
    assert kel.replay(attached + receipt(log, 0) + couples(event, WITNESSES[2])).sn == 0
    assert kel.replay(messages[0] + b"".join(receipt(log, 0) + couples(event, one) for one in WITNESSES[1:])).sn == 0
    too_few = (0, "the receipts of witnesses do not meet `bt`")
    assert refusal(attached + receipt(log, 0) + couples(event, WITNESSES[0])) == too_few
    assert refusal(messages[0] + 2 * (receipt(log, 0) + couples(event, WITNESSES[0]))) == too_few
    assert refusal(messages[0] + receipt(log, 0) + couples(event, WITNESSES[0], signer(20, "B"))) == too_few
    assert refusal(messages[0] + receipt(log, 0) + couples(event + b" ", *WITNESSES)) == too_few
    assert refusal(messages[0] + couples(event, *WITNESSES)) == too_few  # keripy counts them in a receipt alone


@pytest.mark.parametrize(("changes", "attach", "reason"), [
    ({"d": SAID}, couples, "a receipt of an event that the log does not have"),
    ({"s": "5"}, couples, "a receipt of an event that the log does not have"),
    ({"i": SAID}, couples, "a receipt of an event that the log does not have"),
    ({"s": "00"}, couples, "`s` is not a lowercase hex number without leading zeros"),
    ({"d": 1}, couples, "`d` or `i` is no string"),
    ({"i": []}, couples, "`d` or `i` is no string"),
    ({"x": 1}, couples, "the fields are not those of `rct`, all of them and in order"),
    ({}, lambda event, *_: b"", "attachments: a receipt has receipts, and nothing else"),
    ({}, lambda event, *_: signed(event, ONE)[len(event):], "attachments: a receipt has receipts, and nothing else"),
    ({}, lambda event, *_: couples(event, *WITNESSES)[:-1], "attachments: cut off in the middle of a primitive"),
    ({}, lambda event, *_: couples(event, *WITNESSES).replace(b"0B", b"0I"),
     "attachments: a signature of code 0I by a key of another algorithm"),
    ({}, lambda event, *_: indexed(event, *WITNESSES, ONE), "a receipt by number 3 of 3"),
])  # fmt: skip
def test_a_receipt_that_cannot_be_is_refused(
    witnessed: tuple[Kel, list[bytes]], changes: dict[str, object], attach: Callable[..., bytes], reason: str
) -> None:
    log, messages = witnessed
    event = event_of(messages[0])
    enough = receipt(log, 0) + couples(event, *WITNESSES)
    assert refusal(messages[0] + enough + receipt(log, 0, **changes) + attach(event, *WITNESSES))[1] == reason


def test_who_takes_key_events_alone_takes_no_receipt(witnessed: tuple[Kel, list[bytes]]) -> None:
    log, messages = witnessed
    stream = messages[0] + receipt(log, 0) + couples(event_of(messages[0]), *WITNESSES)
    with pytest.raises(StreamBroken, match="a receipt where a key event should be"):
        list(kelstream.messages(stream))


# Identifiers that nothing can follow


@pytest.mark.parametrize("code", ["B", "1AAI"])
def test_a_non_transferable_key_may_stand_where_no_next_key_does(code: str) -> None:
    one = signer(1, code)
    event = kelbuild.inception([one.key], [])
    log = kel.replay(signed(event, one))
    assert log.state.keys == (one.key,)
    basic = edited(event, i=one.key.qb64)
    assert kel.replay(signed(basic, one)).aid == one.key.qb64
    assert refusal(signed(basic, one) + signed(edited(kelbuild.interaction(log, []), i=one.key.qb64), one))[0] == 1
    last = kelbuild.inception([TWO.key], [one.key.commitment])
    begun = kel.replay(signed(last, TWO))
    assert kel.extend(begun, signed(kelbuild.rotation(begun, [one.key], []), one)).sn == 1


# The order of events


def test_a_log_begins_with_an_inception(log: GrowingLog) -> None:
    sn, reason = refusal(log.stream[len(log.messages[0]) :])
    assert (sn, reason) == (1, f"the log of {log.kel.aid} does not begin with an inception")


@pytest.mark.parametrize(("order", "refused"), [
    ([0, 1, 2, 2], (2, "it stands in the log already")),
    ([0, 0], (0, "it stands in the log already")),
    ([0, 2, 1], (2, "event 1 is missing before it")),
    ([0, 1, 3], (3, "event 2 is missing before it")),
])  # fmt: skip
def test_events_stand_once_and_in_order(log: GrowingLog, order: list[int], refused: tuple[int, str]) -> None:
    assert refusal(b"".join(log.messages[place] for place in order)) == refused


def test_a_fork_is_refused_wherever_it_begins(log: GrowingLog) -> None:
    one = GrowingLog().interact("other")
    assert refusal(log.stream + one.messages[1]) == (1, "a fork: the log has another event 1")
    recovery = GrowingLog().rotate()
    assert refusal(log.stream + recovery.messages[1]) == (1, "a superseding recovery: it would replace event 1")
    other = GrowingLog().interact({"x": 1}).rotate(anchors=["other"])
    assert refusal(log.stream + other.messages[2]) == (2, "a fork: the log has another event 2")


def test_an_event_names_the_one_before_it(log: GrowingLog) -> None:
    event = edited(event_of(log.messages[1]), p=log.kel.events[2].said)
    assert refusal(log.messages[0] + signed(event, signer(1001)))[1] == "`p` is not the digest of the event before it"
    event = edited(event_of(log.messages[1]), p=["E"])
    assert refusal(log.messages[0] + signed(event, signer(1001))) == (1, "`p` is no string")


def test_a_second_inception_is_refused(log: GrowingLog) -> None:
    event = edited(event_of(log.messages[0]), s="1")
    assert refusal(signed(event, signer(1001))) == (1, "`s` of an inception is not 0")
    basic = edited(event_of(log.messages[0]), i=signer(1001).key.qb64)
    again = edited(basic, i=signer(1001).key.qb64, s="1")
    assert refusal(signed(basic, signer(1001)) + signed(again, signer(1001))) == (1, "a second inception")


def test_nothing_follows_an_empty_next_list() -> None:
    for last in (kelbuild.inception([ONE.key], []),):
        state = kel.replay(signed(last, ONE))
        assert state.state.next == ()
        for event in (kelbuild.interaction(state, []), kelbuild.rotation(state, [TWO.key], [])):
            assert refusal(signed(last, ONE) + signed(event, ONE)) == (1, "nothing may follow the empty `n` of event 0")
    log = GrowingLog()
    event = kelbuild.rotation(log.kel, keys(log.next), [])
    abandoned = kel.extend(log.kel, signed(event, *log.next))
    follower = signed(kelbuild.interaction(abandoned, []), *log.next)
    with pytest.raises(KelInvalid, match="nothing may follow the empty `n` of event 1"):
        kel.extend(abandoned, follower)


def test_a_log_of_establishment_events_takes_no_interaction() -> None:
    event = kelbuild.inception([ONE.key], commitments([TWO]), traits=["EO"])
    state = kel.replay(signed(event, ONE))
    interaction = signed(kelbuild.interaction(state, []), ONE)
    assert refusal(signed(event, ONE) + interaction) == (1, "its log takes establishment events only")
    assert kel.extend(state, signed(kelbuild.rotation(state, [TWO.key], []), TWO)).sn == 1


def test_a_tail_belongs_to_the_log_that_it_extends(log: GrowingLog) -> None:
    other = GrowingLog(2).interact()
    with pytest.raises(KelInvalid) as caught:
        kel.extend(kel.replay(log.messages[0]), other.messages[1])
    assert (caught.value.sn, caught.value.reason) == (1, "it belongs to another log")
    with pytest.raises(KelInvalid) as caught:
        kel.extend(kel.replay(log.messages[0]), log.messages[1][:-1])
    assert caught.value.sn == 1


# Keys and signatures


def test_a_rotation_reveals_the_keys_that_were_committed_to(log: GrowingLog) -> None:
    event = kelbuild.rotation(log.kel, [FIVE.key], commitments([SIX]))
    refused = (4, "the signing keys that event 2 committed to do not meet its `nt`")
    assert refusal(log.stream + signed(event, FIVE)) == refused
    event = kelbuild.rotation(log.kel, keys([FIVE, *log.next]), commitments([SIX]))
    assert refusal(log.stream + signed(event, FIVE, *log.next)) == refused  # it stands at the other place
    assert refusal(log.stream + signed(event, FIVE, *log.next, priors=[None, None])) == refused
    assert refusal(log.stream + signed(event, FIVE, *log.next, priors=[0, 1])) == refused
    assert kel.replay(log.stream + signed(event, FIVE, *log.next, priors=[None, 0])).sn == 4


def test_a_rotation_is_signed_by_the_keys_that_it_reveals(log: GrowingLog) -> None:
    event = kelbuild.rotation(log.kel, keys([FIVE, *log.next]), commitments([SIX]), kt="1")
    only_the_new_one = kelbuild.with_signatures(event, signatures(event, [FIVE, *log.next])[:1])
    assert refusal(log.stream + only_the_new_one)[1].startswith("the signing keys that event 2 committed to")


def test_a_signature_by_another_key_is_refused(log: GrowingLog) -> None:
    for place, message in enumerate(log.messages):
        forged = [*log.messages[:place], signed(event_of(message), FIVE), *log.messages[place + 1 :]]
        assert refusal(b"".join(forged)) == (place, "no signature verifies")


def test_a_signature_of_another_event_is_refused(log: GrowingLog) -> None:
    attached = log.messages[1][len(event_of(log.messages[1])) :]
    assert refusal(b"".join(log.messages[:3]) + event_of(log.messages[3]) + attached) == (3, "no signature verifies")


def test_a_signature_by_a_key_that_is_not_listed_is_refused(log: GrowingLog) -> None:
    event = event_of(log.messages[0])
    good = signatures(event, [signer(1001)])
    stray = IndexedSignature("A", 1, 1, good[0].raw)
    assert refusal(kelbuild.with_signatures(event, [*good, stray])) == (0, "a signature by number 1 of 1")


def test_a_signature_with_the_code_of_another_algorithm_is_refused(log: GrowingLog) -> None:
    event = event_of(log.messages[0])
    stray = [IndexedSignature("E", 0, 0, signer(1001).sign(event))]
    refused = (0, "a signature of code E by a key of another algorithm")
    assert refusal(kelbuild.with_signatures(event, stray)) == refused


# The event itself


@pytest.mark.parametrize(("changes", "reason"), [
    ({"t": "rct"}, "the fields are not those of `rct`, all of them and in order"),
    ({"t": "exn"}, "`t` is no type of key event"),
    ({"x": "1"}, "the fields are not those of `rot`, all of them and in order"),
    ({"a": None}, "the fields are not those of `rot`, all of them and in order"),
    ({"t": "drt"}, "`drt` in the log of an identifier that is not delegated"),
    ({"s": "02"}, "`s` is not a lowercase hex number without leading zeros"),
    ({"s": "0x2"}, "`s` is not a lowercase hex number without leading zeros"),
    ({"s": "C"}, "`s` is not a lowercase hex number without leading zeros"),
    ({"s": 2}, "`s` is not a lowercase hex number without leading zeros"),
    ({"s": "1" + "0" * 32}, "`s` is not a lowercase hex number without leading zeros"),
    ({"bt": "00"}, "`bt` is not a lowercase hex number without leading zeros"),
    ({"bt": True}, "`bt` is not a lowercase hex number without leading zeros"),
    ({"kt": "01"}, "`kt`: not a lowercase hex number without leading zeros"),
    ({"kt": "2"}, "`kt`: more than there are keys"),
    ({"kt": "0"}, "the signatures do not meet `kt`"),
    ({"nt": "2"}, "`nt`: more than there are keys"),
    ({"nt": ["1", "1"]}, "`nt`: not one weight for each key"),
    ({"k": []}, "`k` is empty"),
    ({"k": {}}, "`k` is no list"),
    ({"k": [signer(1, "B").key.qb64]}, "`k`: code B is not one of D, 1AAJ"),
    ({"k": [1]}, "`k`: not a string"),
    ({"k": [TWO.key.qb64] * 129}, "`k` has more than 128 entries"),
    ({"n": [TWO.key.qb64]}, "`n` has an entry that is no Blake3-256 digest"),
    ({"n": ["E" + "A" * 42 + "="]}, "`n` has an entry that is no Blake3-256 digest"),
    ({"n": [TWO.key.commitment] * 129}, "`n` has more than 128 entries"),
    ({"ba": "x"}, "`ba` is no list"),
    ({"a": {}}, "`a` is no list"),
    ({"a": [0] * 4097}, "`a` has more than 4096 entries"),
    ({"a": [nested(9)]}, "`a` has an entry nested deeper than 8"),
    ({"a": [1, {"x": nested(8)}]}, "`a` has an entry nested deeper than 8"),
    ({"a": [nested(500)]}, "`a` has an entry nested deeper than 8"),
    ({"p": "E" + "+" * 43}, "`p` is not the digest of the event before it"),
    ({"i": "E" + "+" * 43}, "`i`: a character outside base64url"),
    ({"i": 1}, "`i` is no string"),
])  # fmt: skip
def test_a_field_that_cannot_be_is_refused(log: GrowingLog, changes: dict[str, object], reason: str) -> None:
    event = edited(event_of(log.messages[2]), **changes)
    assert refusal(b"".join(log.messages[:2]) + signed(event, signer(1002))) == (2, reason)


@pytest.mark.parametrize(("changes", "reason"), [
    ({"c": ["RB"]}, "`c` has a configuration trait that is not known here"),
    ({"c": [["EO"]]}, "`c` has a configuration trait that is not known here"),
    ({"c": "EO"}, "`c` is no list"),
    ({"i": signer(1001, "B").key.qb64, "k": [signer(1001, "B").key.qb64]},
     "a non-transferable identifier with next keys, witnesses or seals"),
    ({"k": [signer(1001, "B").key.qb64]}, "`k`: code B is not one of D, 1AAJ"),
    ({"i": "B" + "A" * 42 + "B", "k": ["B" + "A" * 42 + "B"]},
     "a non-transferable identifier with next keys, witnesses or seals"),
    ({"s": "1"}, "`s` of an inception is not 0"),
    ({"t": "dip", "di": "E"}, "`di`: cut off in the middle of a primitive"),
    ({"t": "dip", "i": signer(1001).key.qb64, "di": TWO.key.qb64},
     "`i` of a delegated identifier is no Blake3-256 digest"),
])  # fmt: skip
def test_an_inception_that_cannot_be_is_refused(log: GrowingLog, changes: dict[str, Any], reason: str) -> None:
    event = edited(event_of(log.messages[0]), **changes)
    assert refusal(signed(event, signer(1001)))[1] == reason


def test_an_identifier_is_the_digest_of_its_inception(log: GrowingLog) -> None:
    """The digest is taken with a dummy in the place of `i`, so that it alone does not say what stands there."""
    event = event_of(log.messages[0])
    other = event.replace(b'"i":"' + log.kel.aid.encode(), b'"i":"' + SAID.encode())
    assert refusal(signed(other, signer(1001))) == (0, "`i` is not the digest of the inception")


@pytest.mark.parametrize("raw", [
    b"[]", b"{}", b"", b'{"t":["rot"]}', b'{"v":1,"t":"ixn","d":"","i":"","s":"","p":"","a":[]}',
])  # fmt: skip
def test_other_json_is_no_event(raw: bytes) -> None:
    with pytest.raises(keyevent.EventInvalid):
        keyevent.parse_body(raw)


def test_seals_may_be_nested_eight_deep(log: GrowingLog) -> None:
    seals = (nested(8), {"x": nested(7)})
    message = signed(kelbuild.interaction(log.kel, seals), *log.current)
    assert kel.extend(log.kel, message).events[-1].anchors == seals


def padded(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """The event with other bytes, its size right and its digest over what is there."""

    def change(event: bytes) -> bytes:
        changed = event.replace(old, new, 1)
        assert changed != event
        version = cesr.format_version(len(changed)).encode()
        changed = changed[: keyevent.VERSION_AT] + version + changed[keyevent.VERSION_AT + len(version) :]
        dummy = keyevent.DUMMY.encode()
        return keyevent.with_digest(changed[: keyevent.SAID_AT] + dummy + changed[keyevent.SAID_AT + len(dummy) :])

    return change


NOT_CANONICAL = "not canonical: a repeated name, a space, an escape or a number in another form"


@pytest.mark.parametrize(("change", "reason"), [
    (lambda event: event.replace(b'"s":"2"', b'"s":"3"'), "`d` is not the digest of the event"),
    (lambda event: event.replace(b'"kt":"1"', b'"kt":"2"'), "`d` is not the digest of the event"),
    (padded(b'"s":', b'"s": '), NOT_CANONICAL),
    (padded(b'"bt":"0"', b'"bt":"0","bt":"0"'), NOT_CANONICAL),
    (padded(b'"kt":"1"', b'"kt":"\\u0031"'), NOT_CANONICAL),
    (padded(b'"a":[]', b'"a":[1e2]'), NOT_CANONICAL),
    (padded(b'"a":[]', b'"a":[1.0e400]'), NOT_CANONICAL),
    (padded(b'"a":[]', b'"a":[NaN]'), "not JSON"),
    (padded(b'"a":[]', b'"a":["\xff"]'), "not JSON"),
    (padded(b'"a":[]', b'"a":["\\ud800"]'), "not JSON"),
    (padded(b'"a":[]', b'"a":[' + b"9" * 5000 + b"]"), "not JSON"),
    (padded(b'"a":[]', b'"a":[' + b"[" * 100_000 + b"]" * 100_000 + b"]"), "not JSON"),
    (padded(b'"a":[]}', b'"a":[]}}'), "not JSON"),
    (padded(b'"t":"rot",', b'"t":"ro",'), "not JSON"),  # its fields are not where digests are taken
    (lambda event: event.replace(b"KERI10JSON", b"KERI11JSON"), "`v`: not a message of KERI 1.0 in JSON"),
    (lambda event: event.replace(b"KERI10JSON", b"KERI10CBOR"), "`v`: not a message of KERI 1.0 in JSON"),
    (lambda event: event[:16] + event[16:22].replace(b"00", b"FF") + event[22:],
     "`v`: the size in the version string is not six lowercase hex digits"),
    (lambda event: event[:16] + b"%06x" % (len(event) - 1) + event[22:], "`v`: the size is not that of the event"),
    (lambda event: event[:16] + b"%06x" % (len(event) + 1) + event[22:], "`v`: the size is not that of the event"),
    (lambda event: event[:16] + b"ffffff" + event[22:], "`v`: the size is not that of the event"),
    (lambda event: event[:16] + b"000000" + event[22:], "`v`: the size is not that of the event"),
    (lambda event: event[:16] + b"%06x" % (len(event) + 2) + b'_.."' + event[24:],
     "`v` is longer than a version string"),
])  # fmt: skip
def test_other_bytes_than_the_one_form_of_an_event_are_refused(
    log: GrowingLog, change: Callable[[bytes], bytes], reason: str
) -> None:
    event = change(event_of(log.messages[2]))
    assert event != event_of(log.messages[2])
    assert refusal(b"".join(log.messages[:2]) + signed(event, signer(1002)) + log.messages[3]) == (2, reason)


# Attachments, and the stream as a whole


def attached(message: bytes) -> str:
    return message[len(event_of(message)) :].decode()


def quadlets(text: str) -> str:
    return cesr.encode_count("-V", len(text) // 4) + text


NUMBER, TIME = cesr.encode("0A", bytes(16)), cesr.encode("1AAG", bytes(24))
COUPLE = WITNESSES[0].key.qb64 + cesr.encode("0B", bytes(64))
INDEXED = cesr.encode_indexed(IndexedSignature("A", 0, 0, bytes(64)))


@pytest.mark.parametrize("change", [
    quadlets,
    lambda text: text + "-CAB" + COUPLE,
    lambda text: text + "-CAC" + COUPLE + signer(1, "1AAI").key.qb64 + cesr.encode("0I", bytes(64)),
    lambda text: text + "-DAB" + SAID + NUMBER + SAID + INDEXED,
    lambda text: "-EAB" + NUMBER + TIME + text,
    lambda text: quadlets(text + "-EAB" + NUMBER + TIME),
])  # fmt: skip
def test_what_keripy_attaches_beside_is_read(log: GrowingLog, change: Callable[[str], str]) -> None:
    stream = b"".join(event_of(message) + change(attached(message)).encode() for message in log.messages)
    assert kel.replay(stream).state == log.kel.state


@pytest.mark.parametrize(("change", "reason"), [
    (lambda text: "", "it is not signed"),
    (lambda text: "-EAB" + NUMBER + TIME, "it is not signed"),
    (lambda text: text + text, "attachments: a group -A where none may be"),
    (lambda text: quadlets(quadlets(text)), "attachments: a group -V where none may be"),
    (lambda text: text + quadlets(text), "attachments: a group -V where none may be"),
    (lambda text: quadlets(text) + text, "bytes that are no event"),
    (lambda text: quadlets(text + "AAAA"), "attachments: bytes that belong to no group"),
    (lambda text: "-VBB" + text, "attachments: bytes that belong to no group"),
    (lambda text: "-V__" + text, "attachments: cut off in the middle of a group"),
    (lambda text: "-AAA", "attachments: a group -A of 0"),
    (lambda text: "-A" + "EB" + text[4:] * 257, "attachments: a group -A of 257"),
    (lambda text: "-AAC" + text[4:], "attachments: unknown code '{'"),
    (lambda text: text + "-FAB", "attachments: unknown code '-F'"),
    (lambda text: text + "-0VAAAAB", "attachments: unknown code '-0'"),
    (lambda text: text + "-GAB" + NUMBER + SAID, "attachments: a seal source on an event that is not delegated"),
    (lambda text: text + "-CAB" + signer(1).key.qb64 + cesr.encode("0B", bytes(64)),
     "attachments: code D where it does not belong"),
    (lambda text: text + "-CAB" + WITNESSES[0].key.qb64 + SAID, "attachments: code E where it does not belong"),
    (lambda text: text + "-DAB" + NUMBER, "attachments: code 0A where it does not belong"),
    (lambda text: text + "-EAB" + NUMBER + NUMBER, "attachments: code 0A where it does not belong"),
    (lambda text: text[:-1] + "+", "attachments: a character outside base64url"),
    (lambda text: text + "\n", "bytes that are no event"),
    (lambda text: text + "AAAA", "bytes that are no event"),
    (lambda text: "\n" + text, "bytes that are no event"),
])  # fmt: skip
def test_attachments_that_do_not_belong_are_refused(log: GrowingLog, change: Callable[[str], str], reason: str) -> None:
    """Trailing characters are refused where the next event should begin, which is then the one that is named."""
    messages = [*log.messages]
    messages[1] = event_of(messages[1]) + change(attached(messages[1])).encode()
    assert refusal(b"".join(messages)) in [(1, reason), (2, reason)]


def test_a_stream_that_is_cut_anywhere_is_refused_at_the_event_that_is_cut(log: GrowingLog) -> None:
    ends = [event.offset + event.length for event in log.kel.events]
    for cut in range(1, len(log.stream)):
        if cut not in ends:
            sn, reason = refusal(log.stream[:cut])
            assert sn == sum(end <= cut for end in ends), cut
            begun = cut - [0, *ends][sn]
            assert begun < keyevent.ILK_AT or "cut off" in reason or reason == "it is not signed", cut


def test_every_changed_character_is_refused(log: GrowingLog) -> None:
    stream = log.stream
    for place in range(len(stream)):
        other = b"A" if stream[place : place + 1] != b"A" else b"Q"
        with pytest.raises(KelInvalid):
            kel.replay(stream[:place] + other + stream[place + 1 :])


def test_what_comes_first_is_what_is_reported(log: GrowingLog) -> None:
    forged = log.messages[0] + signed(event_of(log.messages[1]), FIVE)
    assert refusal(forged + log.messages[2] + b"rubbish") == (1, "no signature verifies")


def test_an_empty_log_is_refused() -> None:
    assert refusal(b"") == (0, "the log is empty")


def test_a_log_is_at_most_4_mib(log: GrowingLog) -> None:
    assert refusal(log.stream + bytes(kel.MAX_KEL_BYTES)) == (0, "the log is larger than 4 MiB")
    with pytest.raises(KelInvalid, match="larger"):
        kel.extend(log.kel, bytes(kel.MAX_KEL_BYTES))


# Delegation


@pytest.fixture(scope="module")
def delegate() -> GrowingLog:
    """dip, ixn, drt; its delegator: icp, ixn, ixn."""
    return GrowingLog(2, delegator=GrowingLog(1)).interact().rotate()


def known(log: GrowingLog) -> dict[str, Kel]:
    return {log.kel.aid: log.kel}


def bare(message: bytes) -> bytes:
    """Without its seal source."""
    return message[: message.rindex(b"-G")] if b"-GAB" in message else message


def test_a_delegate_is_anchored_by_its_delegator(delegate: GrowingLog) -> None:
    delegator = delegate.delegator
    assert delegator is not None
    replayed = kel.replay(delegate.stream, known(delegator))
    assert replayed.delegator == delegator.kel.aid
    assert [event.ilk for event in replayed.events] == ["dip", "ixn", "drt"]
    assert kel.replay_all(delegator.stream + delegate.stream) == (delegator.kel, replayed)
    mixed = [*delegate.messages, *delegator.messages]
    assert kel.replay_all(b"".join(mixed[::3] + mixed[1::3] + mixed[2::3])) == (delegator.kel, replayed)


def test_a_delegate_is_incepted_when_its_delegator_has_sealed_it(delegate: GrowingLog) -> None:
    """keripy sets it aside until then, and has it last in its list."""
    assert delegate.delegator is not None
    first, other = delegate.delegator, GrowingLog(9)
    for streams, expected in [
        ([delegate.stream, first.stream], [first, delegate]),
        ([delegate.stream, other.stream, first.stream], [other, first, delegate]),
        ([first.stream, delegate.stream, other.stream], [first, delegate, other]),
        ([first.messages[0], delegate.stream, other.stream, *first.messages[1:]], [first, other, delegate]),
    ]:
        assert [log.aid for log in kel.replay_all(b"".join(streams))] == [log.kel.aid for log in expected]


def test_a_seal_source_is_not_needed(delegate: GrowingLog) -> None:
    assert delegate.delegator is not None
    stream = b"".join(map(bare, delegate.messages))
    assert len(stream) < len(delegate.stream)
    assert kel.replay(stream, known(delegate.delegator)).sn == 2


def test_a_delegate_of_a_delegate_is_anchored_in_turn() -> None:
    first = GrowingLog(1)
    second = GrowingLog(2, delegator=first)
    third = GrowingLog(3, delegator=second).rotate()
    streams = [third.stream, second.stream, first.stream]
    assert [log.aid for log in kel.replay_all(b"".join(streams))] == [first.kel.aid, second.kel.aid, third.kel.aid]


def test_without_its_delegators_log_a_delegate_is_refused(delegate: GrowingLog) -> None:
    assert delegate.delegator is not None
    with pytest.raises(DelegatorUnknown) as caught:
        kel.replay(delegate.stream)
    assert (caught.value.sn, caught.value.delegator) == (0, delegate.delegator.kel.aid)


def test_a_delegate_is_extended_with_its_delegators_log(delegate: GrowingLog) -> None:
    assert delegate.delegator is not None
    first = kel.replay(delegate.messages[0], known(delegate.delegator))
    tail = b"".join(delegate.messages[1:])
    assert kel.extend(first, tail, known(delegate.delegator)) == delegate.kel
    with pytest.raises(DelegatorUnknown) as caught:
        kel.extend(first, tail)
    assert caught.value.sn == 2


def test_what_the_delegator_has_not_sealed_is_refused(delegate: GrowingLog) -> None:
    assert delegate.delegator is not None
    messages = delegate.delegator.messages
    unsealed = (0, "its delegator's log does not seal it")
    for stream in map(b"".join, (delegate.messages, map(bare, delegate.messages))):
        only_inception = {delegate.delegator.kel.aid: kel.replay(messages[0])}
        assert refusal(stream, only_inception) == unsealed
        without_rotation = {delegate.delegator.kel.aid: kel.replay(messages[0] + messages[1])}
        assert refusal(stream, without_rotation) == (2, unsealed[1])


@pytest.mark.parametrize("change", [
    lambda seal: {**seal, "s": "1"},
    lambda seal: {**seal, "d": SAID},
    lambda seal: {**seal, "i": SAID},
    lambda seal: {**seal, "x": ""},
    lambda seal: {"d": seal["d"], "s": seal["s"], "i": seal["i"]},
    lambda seal: {**seal, "s": 0},
    lambda seal: {**seal, "i": []},
    lambda seal: {**seal, "s": {}},
    lambda seal: {**seal, "d": [seal["d"]]},
    lambda seal: [seal],
    lambda seal: seal["d"],
])  # fmt: skip
def test_only_the_exact_seal_anchors(change: Callable[[dict[str, str]], object]) -> None:
    delegator = GrowingLog(1)
    event = kelbuild.inception([FOUR.key], [], delegator=delegator.kel.aid)
    delegator.interact(change(kelbuild.event_seal(event)))
    assert refusal(signed(event, FOUR), known(delegator)) == (0, "its delegator's log does not seal it")


def test_a_seal_source_that_names_another_event_is_refused(delegate: GrowingLog) -> None:
    delegator = delegate.delegator
    assert delegator is not None
    event = event_of(delegate.messages[0])
    good = delegator.kel.events[1]
    for source in (SealSource(0, delegator.kel.events[0].said), SealSource(1, delegator.kel.events[0].said),
                   SealSource(2, good.said), SealSource(9, good.said)):  # fmt: skip
        message = signed(event, signer(2001), source=source)
        assert refusal(message, known(delegator)) == (0, "its seal source is no event that seals it")
    couple = cesr.encode_count("-G", 2) + 2 * (NUMBER + SAID)
    message = bare(delegate.messages[0]) + couple.encode()
    assert refusal(message, known(delegator)) == (0, "attachments: more than one seal source")


def test_a_delegate_is_sealed_in_any_event_of_its_delegator() -> None:
    delegator = GrowingLog(1).interact().rotate()
    event = kelbuild.inception([FOUR.key], [], delegator=delegator.kel.aid)
    seal = kelbuild.event_seal(event)
    delegator.rotate(anchors=[seal]).interact(seal, seal, "x")
    assert kel.replay(signed(event, FOUR), known(delegator)).sn == 0
    assert delegator.kel.sealed[seal["i"], "0", seal["d"]] == (3, 4)


def test_a_seal_behind_what_is_no_seal_is_not_found() -> None:
    """As in keripy, which does not come to it."""
    delegator = GrowingLog(1)
    event = kelbuild.inception([FOUR.key], [], delegator=delegator.kel.aid)
    delegator.interact({"x": 1}, "x", kelbuild.event_seal(event))
    assert refusal(signed(event, FOUR), known(delegator)) == (0, "its delegator's log does not seal it")


def test_who_does_not_delegate_has_no_delegates() -> None:
    delegator = GrowingLog(1, traits=["DND"])
    event = kelbuild.inception([FOUR.key], [], delegator=delegator.kel.aid)
    delegator.interact(kelbuild.event_seal(event))
    assert refusal(signed(event, FOUR), known(delegator)) == (0, "its delegator does not delegate")


def test_a_delegate_rotates_by_drt_alone(delegate: GrowingLog) -> None:
    assert delegate.delegator is not None
    event = edited(kelbuild.rotation(delegate.kel, keys(delegate.next), []), t="rot")
    stream = delegate.stream + signed(event, *delegate.next)
    assert refusal(stream, known(delegate.delegator)) == (3, "`rot` in the log of a delegated identifier")


def test_one_log_is_asked_for_and_one_is_given(delegate: GrowingLog) -> None:
    assert delegate.delegator is not None
    assert refusal(delegate.delegator.stream + delegate.stream) == (0, "a second log begins")


def test_a_broken_second_log_is_refused_at_its_own_event(delegate: GrowingLog) -> None:
    assert delegate.delegator is not None
    first, inception = delegate.delegator.stream, delegate.messages[0]
    mixed = [
        *delegate.delegator.messages[:2],
        inception,
        delegate.delegator.messages[2].replace(b'"s":"2"', b'"s":"3"'),
    ]
    with pytest.raises(KelInvalid) as caught:
        kel.replay_all(b"".join(mixed))
    assert (caught.value.sn, caught.value.aid) == (2, delegate.delegator.kel.aid)
    with pytest.raises(KelInvalid) as caught:
        kel.replay_all(first + inception + signed(event_of(delegate.messages[1]), FIVE))
    assert (caught.value.sn, caught.value.aid) == (1, delegate.kel.aid)
    with pytest.raises(KelInvalid) as caught:
        kel.replay_all(first + inception.replace(b'"kt":"1"', b'"kt":"2"'))
    assert caught.value.sn == 0
    with pytest.raises(KelInvalid) as caught:
        kel.replay_all(first + inception + delegate.messages[1][:-1])
    assert caught.value.sn == 1


# Time


def test_the_time_of_a_replay_grows_with_the_length_of_the_log() -> None:
    """A thousand events take 0.1 s; a rule that looks back at every event would take a hundred times that."""
    log = GrowingLog()
    for _ in range(20):
        log.rotate()
    short = log.stream
    for _ in range(180):
        log.rotate()
    began = time.perf_counter()
    for _ in range(10):
        kel.replay(short)
    middle = time.perf_counter()
    kel.replay(log.stream)
    assert time.perf_counter() - middle < 3 * (middle - began)


@pytest.mark.parametrize("stream", [
    b"-" * kel.MAX_KEL_BYTES,
    b"{" * kel.MAX_KEL_BYTES,
    b'{"v":"KERI10JSON3ffff0_",' + b"[" * (kel.MAX_KEL_BYTES - 25),
    b'{"v":"KERI10JSON3ffff0_","t":"icp","d":' + b'{"a":' * 700_000,
])  # fmt: skip
def test_rubbish_is_refused_at_once(stream: bytes) -> None:
    began = time.perf_counter()
    refusal(stream)
    assert time.perf_counter() - began < 1


def test_a_log_of_very_many_short_seals_is_refused() -> None:
    log = GrowingLog()
    for _ in range(16):
        log.interact(*({} for _ in range(4096)))
    with pytest.raises(KelInvalid, match="event 17: the log has more than 65536 seals"):
        log.interact({})
