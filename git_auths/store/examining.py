"""Examining history: in this process when there is little of it, by worker processes otherwise.

Each worker reads commits through a git of its own and sends back what it found, so their bytes never pass through the
process that judges; threads would share one interpreter lock (`python -m tests.bench.pipeline` measures both).
`git rev-list` runs once. A thread deals its lines out, a batch to each worker in turn, and the answers are taken in
that order. No pipe stays full for good: the answers before the one that is waited for have been taken, and the worker
that owes it is dealt another batch, which pushes the lines before it out of git's buffer, or sees the end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Generator, Iterable, Iterator
from itertools import chain, cycle, islice
from pathlib import Path
from typing import IO, NamedTuple, NoReturn

from git_auths.core.facts import Facts, examine
from git_auths.core.roottree import RootTrees
from git_auths.errors import Error
from git_auths.store import git, history

BATCH = 512  # commits; fewer are not worth a process
WORKERS = max(2, min(8, os.cpu_count() or 1))


class Examiner(NamedTuple):
    """Takes lines of `history.list_commits`, and answers with facts; a process where it has a `pid`."""

    lines: IO[bytes]
    answers: Generator[list[Facts], None, None]
    results: IO[bytes] | None = None
    pid: int | None = None


def examined(tips: Iterable[str], boundary: Iterable[str], path: Path | None, hex_length: int) -> Iterator[list[Facts]]:
    """The facts of every commit reachable from `tips` and not from `boundary`, newest first, in batches.

    Raises MissingObject when an object is not there, Error when git or a worker fails.
    """
    line_bytes = 2 * (hex_length + 1)
    lister = history.list_commits(tips, boundary, path)
    listed, complaints = lister.stdout, lister.stderr
    assert listed is not None and complaints is not None
    examiners: list[Examiner] = []
    dealer = None
    number = 0
    try:
        first = listed.read(BATCH * line_bytes)
        if len(first) < BATCH * line_bytes:
            examiners.append(_here(path, hex_length))
        else:
            while len(examiners) < WORKERS:
                examiners.append(_fork(path, hex_length, examiners))
        more = iter(lambda: listed.read(BATCH * line_bytes), b"")
        dealer = Dealer(chain([first] if first else [], more), [examiner.lines for examiner in examiners])
        dealer.start()
        for examiner in cycle(examiners):
            batch = next(examiner.answers, None)
            if batch is None:
                break
            number += len(batch)
            yield batch
        dealer.join()
        if dealer.dealt != number * line_bytes:
            raise Error("not every commit that git listed was examined", "git fsck")
        said = complaints.read()
        if lister.wait():
            raise git.ended_early(said)
    finally:
        lister.kill()  # a dealer that waits for lines sees their end, one that waits for a worker a broken pipe
        for examiner in examiners:
            _stop(examiner)
        if dealer is not None:
            dealer.join()
        history.end(lister)


class Dealer(threading.Thread):
    """Writes one batch of lines to each pipe in turn, and closes them; then `dealt` is their length in bytes."""

    def __init__(self, batches: Iterator[bytes], pipes: list[IO[bytes]]) -> None:
        super().__init__(daemon=True)
        self.dealt: int | None = None
        self._batches = batches
        self._pipes = pipes

    def run(self) -> None:
        dealt = 0
        try:
            for batch, pipe in zip(self._batches, cycle(self._pipes)):
                pipe.write(batch)
                pipe.flush()
                dealt += len(batch)
            self.dealt = dealt
        except BrokenPipeError:
            pass  # who waits for that reader's answer learns what became of it
        finally:
            for pipe in self._pipes:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def _examine(listed: IO[bytes], path: Path | None, hex_length: int) -> Generator[list[Facts], None, None]:
    trees = RootTrees(hex_length)  # a large root tree that stays the same is scanned once
    with contextlib.closing(history.read_commits(listed, path)) as raw:
        while batch := examine(islice(raw, BATCH), hex_length, trees):
            yield batch


def _here(path: Path | None, hex_length: int) -> Examiner:
    listed, lines = _pipe()
    return Examiner(lines, _examine(listed, path, hex_length))


def _fork(path: Path | None, hex_length: int, others: list[Examiner]) -> Examiner:
    listed, lines = _pipe()
    results, output = _pipe()
    # A KeyboardInterrupt in the child must not run our caller.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        pid = os.fork()
        if pid == 0:
            held = [lines, results]
            for other in others:
                assert other.results is not None
                held += [other.lines, other.results]
            _work(listed, output, held, path, hex_length, mask)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    listed.close()
    output.close()
    return Examiner(lines, _answers(results), results, pid)


def _pipe() -> tuple[IO[bytes], IO[bytes]]:
    read_end, write_end = os.pipe()
    return open(read_end, "rb"), open(write_end, "wb")


def _work(
    listed: IO[bytes],
    output: IO[bytes],
    held: list[IO[bytes]],
    path: Path | None,
    hex_length: int,
    mask: Iterable[int],
) -> NoReturn:
    """A worker's life. It ends without a word on ^C, or when the parent has gone: nobody is left to tell."""
    try:
        import pickle

        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for pipe in held:  # an end that is open here as well would never break
            pipe.close()
        last: Exception | None = None
        try:
            for batch in _examine(listed, path, hex_length):
                rows = [tuple(facts) for facts in batch]  # a plain tuple is pickled in half the time
                pickle.dump(rows, output, pickle.HIGHEST_PROTOCOL)
                output.flush()
        except Exception as error:  # the parent raises it
            last = error
        pickle.dump(last, output)
        output.flush()
    finally:
        os._exit(0)


def _answers(results: IO[bytes]) -> Generator[list[Facts], None, None]:
    """What a worker sends; it is not done before it has said so."""
    import pickle

    while True:
        try:
            answer = pickle.load(results)  # noqa: S301  # from our own child
        except (EOFError, pickle.UnpicklingError):
            raise Error("a process that examined commits ended early", "try again; was it killed?") from None
        if answer is None:
            return
        if isinstance(answer, Exception):
            raise answer
        yield [Facts._make(row) for row in answer]


def _stop(examiner: Examiner) -> None:
    if examiner.pid is not None and examiner.results is not None:
        os.kill(examiner.pid, signal.SIGKILL)
        os.waitpid(examiner.pid, 0)
        examiner.results.close()
    else:
        examiner.answers.close()
