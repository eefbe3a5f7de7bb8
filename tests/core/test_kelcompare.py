"""How two versions of one log stand to each other"""

from __future__ import annotations

import pytest

from git_auths.core import kelbuild
from git_auths.core.cesr import IndexedSignature
from git_auths.core.kelcompare import grown, relation
from git_auths.core.kelstream import messages
from tests.kels import GrowingLog, signatures

LOG = GrowingLog(1).interact({"a": "1"})
FIRST = LOG.messages[0]
OTHER = GrowingLog(1).interact({"a": "2"}).stream


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [(LOG.stream, "same"), (FIRST, "behind"), (b"", "behind"), (OTHER, "forked"), (b"rubbish", "forked"),
     (LOG.stream + LOG.messages[1], "ahead"), (GrowingLog(2).stream, "forked")],
)  # fmt: skip
def test_a_log_is_told_from_one_that_goes_on_or_elsewhere(theirs: bytes, expected: str) -> None:
    assert relation(theirs, LOG.stream) == expected


def test_what_is_grown_goes_on_from_the_other_byte_for_byte() -> None:
    assert grown(FIRST, LOG.stream) == LOG.stream
    assert grown(b"", LOG.stream) == LOG.stream
    assert grown(LOG.stream, FIRST) == LOG.stream
    assert grown(OTHER, LOG.stream) is None


def test_attachments_may_differ_and_the_others_stay() -> None:
    delegate = GrowingLog(2, delegator=LOG)
    bare = kelbuild.with_signatures(next(messages(delegate.stream)).raw, _signatures(delegate))
    named = delegate.stream
    delegate.interact({"a": "3"})
    assert bare != named
    assert (relation(bare, named), relation(named, bare)) == ("behind", "same")
    assert relation(named, bare + delegate.messages[1]) == "behind"
    assert grown(named, bare + delegate.messages[1]) == delegate.stream
    assert grown(named, bare) == named


def _signatures(log: GrowingLog) -> list[IndexedSignature]:
    return signatures(next(messages(log.stream)).raw, log.current)
