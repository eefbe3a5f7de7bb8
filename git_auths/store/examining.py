"""Examining a stream of commits: in batches, by two workers, in order and within a bounded window."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator

from git_auths.core.facts import Facts, examine
from git_auths.core.roottree import RootTrees
from git_auths.store import history

BATCH = 512
BATCH_BYTES = 8 * 1024 * 1024
WORKERS = 2


def examine_all(raw: Iterator[history.Raw], hex_length: int) -> Iterator[list[Facts]]:
    """Examine a stream in batches on two threads (libsodium releases the GIL), in order, with a bounded window."""
    kept = threading.local()  # a large root tree that stays the same is scanned once a thread, not once a batch

    def work(batch: list[history.Raw]) -> list[Facts]:
        if not hasattr(kept, "trees"):
            kept.trees = RootTrees(hex_length)
        return examine(batch, hex_length, kept.trees)

    cut = batches(raw)
    first = next(cut, [])
    if len(first) < BATCH:  # too few to be worth a pool, or large ones that one after the other is safer for
        yield work(first)
        yield from map(work, cut)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(WORKERS) as pool:
        window = deque([pool.submit(work, first)])
        for batch in cut:
            window.append(pool.submit(work, batch))
            if len(window) > 2 * WORKERS:
                yield window.popleft().result()
        while window:
            yield window.popleft().result()


def batches(raw: Iterator[history.Raw]) -> Iterator[list[history.Raw]]:
    """Cut by number and by size: whoever may push chooses how large a commit and its root tree are."""
    batch: list[history.Raw] = []
    size = 0
    for commit in raw:
        batch.append(commit)
        size += len(commit.commit) + len(commit.tree)
        if len(batch) == BATCH or size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def parents_first(found: dict[str, Facts]) -> Iterator[Facts]:
    """Order by ancestry; git's order is by date, which is the committers' word."""
    done: set[str] = set()
    for id in reversed(found):
        stack = [id]
        while stack:
            facts = found[stack[-1]]
            if facts.id in done:
                stack.pop()
                continue
            waiting = [parent for parent in facts.parents if parent in found and parent not in done]
            if waiting:
                stack.extend(waiting)
                continue
            done.add(facts.id)
            stack.pop()
            yield facts
