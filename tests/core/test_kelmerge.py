"""core.kelmerge: of two versions of one log the longer, and never a choice between two"""

from __future__ import annotations

import pytest

from git_auths.core import cesr, kelbuild, keyevent
from git_auths.core.kelmerge import NotInLine, longer
from tests.kels import GrowingLog, signatures, signer


@pytest.fixture
def log() -> GrowingLog:
    return GrowingLog().rotate().interact()


def test_the_longer_log_wins_from_either_side(log: GrowingLog) -> None:
    for events in range(1, len(log.messages) + 1):
        beginning = b"".join(log.messages[:events])
        assert longer(beginning, log.stream) == longer(log.stream, beginning) == log.stream


def test_two_logs_that_went_on_by_themselves_are_a_fork(log: GrowingLog) -> None:
    one, other = GrowingLog().rotate(), GrowingLog().interact()
    for ours, theirs in ((one.stream, other.stream), (other.stream, one.stream), (log.stream, other.stream)):
        with pytest.raises(NotInLine, match="the two logs part at event 1"):
            longer(ours, theirs)


def test_logs_of_two_identities_part_at_once(log: GrowingLog) -> None:
    with pytest.raises(NotInLine, match="part at event 0"):
        longer(GrowingLog(2).stream, log.stream)


@pytest.mark.parametrize("cut", [1, -1, 40], ids=lambda cut: f"cut {cut}")
def test_a_beginning_that_ends_inside_an_event_is_none(log: GrowingLog, cut: int) -> None:
    inside = log.stream[: len(log.messages[0]) + cut]
    with pytest.raises(NotInLine):
        longer(inside, log.stream)


@pytest.mark.parametrize("other", [b"", b"rubbish", b"{}"])
def test_what_is_no_log_is_never_merged(log: GrowingLog, other: bytes) -> None:
    with pytest.raises(NotInLine):
        longer(other, log.stream)
    with pytest.raises(NotInLine):
        longer(log.stream, log.stream + b"rubbish")


def test_growth_that_does_not_verify_is_not_taken(log: GrowingLog) -> None:
    last = log.messages[-1]
    forged = last[:-10] + (b"A" if last[-10:-9] != b"A" else b"B") + last[-9:]
    with pytest.raises(NotInLine, match="the longer log is not valid: event 2"):
        longer(b"".join(log.messages[:-1]), b"".join([*log.messages[:-1], forged]))


def test_a_delegates_log_is_taken_by_its_form(log: GrowingLog) -> None:
    delegate = GrowingLog(7, delegator=GrowingLog(6)).rotate()
    assert longer(delegate.messages[0], delegate.stream) == delegate.stream


def test_receipts_that_came_later_make_a_log_longer() -> None:
    one, witness = signer(1), signer(2, "B")
    event = kelbuild.inception([one.key], [], bt=1, witnesses=[witness.key])
    first = kelbuild.with_signatures(event, signatures(event, [one]), receipts=signatures(event, [witness]))
    fields = {"v": cesr.format_version(0), "t": "rct", "d": kelbuild.said(event), "i": kelbuild.said(event), "s": "0"}
    receipt = keyevent.to_json({**fields, "v": cesr.format_version(len(keyevent.to_json(fields)))})
    couple = witness.key.qb64 + cesr.encode("0B", witness.sign(event))
    more = first + receipt + (cesr.encode_count("-C", 1) + couple).encode()
    assert longer(first, more) == longer(more, first) == more
