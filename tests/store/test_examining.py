"""Streaming and batching; what the verdicts are is tested in `core/test_judge` and `attacks`"""

from __future__ import annotations

from git_auths.core.facts import Facts
from git_auths.store.history import Raw
from git_auths.store.examining import BATCH, BATCH_BYTES, batches, parents_first


def test_batches_are_cut_by_number_and_by_size() -> None:
    small = [Raw(str(n), b"c", "t", b"t") for n in range(2 * BATCH + 1)]
    assert [len(batch) for batch in batches(iter(small))] == [BATCH, BATCH, 1]
    large = [Raw(str(n), b"c", "t", b"t" * (BATCH_BYTES // 2)) for n in range(5)]
    assert [len(batch) for batch in batches(iter(large))] == [2, 2, 1]
    assert [commit.id for batch in batches(iter(large)) for commit in batch] == ["0", "1", "2", "3", "4"]
    assert list(batches(iter([]))) == []


def test_parents_come_first_whatever_the_order_that_git_gives() -> None:
    def facts(id: str, *parents: str) -> Facts:
        return Facts(id, parents, "", None, 0, None, None, None, None)

    history = {"a": (), "b": ("a",), "c": ("a",), "m": ("b", "c"), "d": ("m",)}
    for order in (list(history), list(reversed(history)), ["m", "a", "d", "c", "b"]):
        sorted_ids = [one.id for one in parents_first({id: facts(id, *history[id]) for id in order})]
        assert sorted(sorted_ids) == sorted(history)
        assert all(sorted_ids.index(parent) < sorted_ids.index(id) for id, parents in history.items() for parent in parents)
