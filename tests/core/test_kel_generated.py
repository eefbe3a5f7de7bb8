"""Identities of every kind at random, and thousands of changed ones: keripy judges each of them too.

AUTHS_KERIPY_LOGS and AUTHS_KERIPY_CHANGES set how many, beyond what every run of the suite can afford.
"""

from __future__ import annotations

import os
import random

import pytest

pytest.importorskip("tests.core.test_kel_keripy", reason="keripy does not load", exc_type=Exception)

from git_auths.core import kel
from git_auths.core.kel import KelInvalid
from tests.core import random_logs
from tests.core.keripy_differences import DIFFERENCES, Difference
from tests.core.test_kel_keripy import CHANGES, Part, basing, cloned, flipped, in_keripy, in_memory, in_ours, in_parts

__all__ = ["in_memory"]

LOGS = int(os.environ.get("AUTHS_KERIPY_LOGS", "150"))
CHANGES_OF_EACH = max(1, int(os.environ.get("AUTHS_KERIPY_CHANGES", "2000")) // 100)
JUDGED_BY_KERIPY = 2  # of the changes of a log that we refuse


def seeds(count: int, parts: int = 10) -> list[range]:
    return [range(begin, min(begin + count // parts, count)) for begin in range(0, count, max(1, count // parts))]


@pytest.mark.parametrize("some", seeds(LOGS), ids=str)
def test_an_identity_of_any_kind_means_the_same_to_keripy(some: range) -> None:
    """Its events were built by both, to the same bytes."""
    for seed in some:
        stream = random_logs.make(seed).stream
        ours = in_ours(stream)
        assert in_keripy(stream) == ours, seed
        if seed % 5 == 0:
            assert in_ours(cloned(stream)) == ours, seed


@pytest.fixture(scope="module")
def changeable() -> list[tuple[int, list[Part]]]:
    """A hundred of them without receipts in messages of their own."""
    found: list[tuple[int, list[Part]]] = []
    seed = 100_000
    while len(found) < 100:
        seed += 1
        stream = random_logs.make(seed).stream
        if b'"t":"rct"' not in stream:
            found.append((seed, in_parts(stream)))
    return found


@pytest.mark.parametrize("tenth", range(10))
def test_what_keripy_refuses_we_refuse(tenth: int, changeable: list[tuple[int, list[Part]]]) -> None:
    """What we accept, keripy accepts to the same key states; what we alone refuse is a difference that is listed."""
    accepted = 0
    for seed, parts in changeable[tenth::10]:
        chance = random.Random(seed)
        for number in range(CHANGES_OF_EACH):
            change = chance.choice(CHANGES)
            stream = change(list(parts), chance)
            refusal, ours = "", {}
            try:
                ours = in_ours(stream)
            except KelInvalid as error:
                refusal = error.reason
            if not refusal:
                accepted += 1
                assert in_keripy(stream) == ours, (seed, number)
            elif number < JUDGED_BY_KERIPY and takes_all(stream, len(parts) if change is flipped else 1):
                assert any(listed.reason in refusal for listed in DIFFERENCES), (seed, number, refusal)
    assert accepted > 0


def takes_all(stream: bytes, events: int) -> bool:
    """Does keripy take every event of a changed stream, and at least so many, into a log?"""
    events = max(events, stream.count(b'{"v":"KERI10JSON'))
    with basing.openDB(name="oracle", temp=True) as database:
        aids = in_keripy(stream, database)
        seen = sum(1 for aid in aids for _ in database.getFelItemPreIter(aid.encode()))
    return seen >= events


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.reason)
def test_what_keripy_accepts_and_we_refuse_is_listed_with_the_clause(difference: Difference) -> None:
    stream = difference.make()
    (theirs,) = in_keripy(stream).values()
    assert theirs.sn == difference.sn
    with pytest.raises(KelInvalid) as caught:
        kel.replay(stream)
    assert difference.reason in caught.value.reason
    assert difference.clause


def test_receipts_apart_can_be_changed_too() -> None:
    """A byte of them, or their order: whatever we accept, keripy accepts to the same key states."""
    chance = random.Random(1)
    outcomes = set()
    seed = 200_000
    for _ in range(40):
        seed += 1
        messages = random_logs.make(seed).messages
        for _ in range(8 if b'"t":"rct"' in b"".join(messages) else 0):
            changed = list(messages)
            place = chance.choice([place for place, one in enumerate(changed) if b'"t":"rct"' in one])
            match chance.randrange(3):
                case 0:
                    del changed[place]
                case 1:
                    changed.insert(chance.randrange(len(changed)), changed.pop(place))
                case _:
                    byte = chance.randrange(len(changed[place]))
                    changed[place] = changed[place][:byte] + b"A" + changed[place][byte + 1 :]
            stream = b"".join(changed)
            try:
                ours = in_ours(stream)
            except KelInvalid:
                outcomes.add(False)
                continue
            outcomes.add(True)
            assert in_keripy(stream) == ours, stream
    assert outcomes == {False, True}
