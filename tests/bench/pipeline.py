"""What each stage of examining costs, and why there are worker processes: `python -m tests.bench.pipeline [--size N]`.

Microseconds a commit, the least of some runs: stages by the time of this process, what runs side by side by the clock.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from git_auths.core import ed25519, sshsig
from git_auths.core.facts import NAMESPACE, examine
from git_auths.core.gitobject import object_id, parse_commit
from git_auths.core.roottree import RootTrees
from git_auths.store import examining, history
from tests.bench import place
from tests.bench.judging import ceiling
from tests.bench.measure import output
from tests.bench.signed_history import linear

RUNS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=20_000)
    size = parser.parse_args().size
    with place.repository() as repository:
        linear(repository, place.key(), size)
        stages(repository)
        ways(repository, size)


def stages(repository: Path) -> None:
    ids = repository.parent / "ids"
    some = ["rev-list", "--no-commit-header", "--format=%H%n%T", "-n", "10000", "HEAD"]
    ids.write_bytes(output("git", *some, cwd=repository))
    raws = list(read(ids, repository))
    commits = [parse_commit(raw.commit, 40) for raw in raws]
    signed = [(commit.signature, commit.payload) for commit in commits if commit.signature]
    blobs = [sshsig.parse(sshsig.dearmor(text)) for text, _ in signed]
    bare = [(blob.key[-32:], blob.raw[-64:], sshsig.signed_data(payload, NAMESPACE))
            for blob, (_, payload) in zip(blobs, signed, strict=True)]  # fmt: skip
    trees = RootTrees(40)
    show("cat-file's output, cut", lambda: list(read(ids, repository)), len(raws), time.process_time)
    show("object ids", lambda: [(object_id(b"commit", raw.commit, 40), object_id(b"tree", raw.tree, 40)) for raw in raws],
         len(raws), time.process_time)  # fmt: skip
    show("commit parsed", lambda: [parse_commit(raw.commit, 40) for raw in raws], len(raws), time.process_time)
    show("root tree", lambda: [trees.find(raw.tree) for raw in raws], len(raws), time.process_time)
    show("signature, Ed25519 included", lambda: [sshsig.check(text, NAMESPACE, payload) for text, payload in signed],
         len(raws), time.process_time)  # fmt: skip
    show("Ed25519", lambda: [ed25519.verifies(*one) for one in bare], len(raws), time.process_time)
    show("all of it but the cutting", lambda: examine(raws, 40), len(raws), time.process_time)


def read(ids: Path, repository: Path) -> Iterator[history.Raw]:
    return history.read_commits(ids.open("rb"), repository)


def ways(repository: Path, size: int) -> None:
    print()
    show("git alone", lambda: subprocess.run(
        "git rev-list --no-commit-header --format=%H%n%T HEAD | git cat-file --batch --buffer >/dev/null",
        shell=True, cwd=repository, check=True), size, time.perf_counter)  # fmt: skip
    show("bare Ed25519, two threads", ceiling(size), size, time.perf_counter)
    show("examined by two threads", lambda: by_threads(repository), size, time.perf_counter)
    show(f"examined by {examining.WORKERS} processes", lambda: by_processes(repository), size, time.perf_counter)


def by_processes(repository: Path) -> None:
    for _ in examining.examined(["HEAD"], [], repository, 40):
        pass


def by_threads(repository: Path) -> None:
    """The other way: this process cuts the stream, two threads examine."""
    lister = history.list_commits(["HEAD"], [], repository)
    assert lister.stdout is not None
    raws = history.read_commits(lister.stdout, repository)
    with ThreadPoolExecutor(2) as pool:
        batches = iter(lambda: list(islice(raws, examining.BATCH)), [])
        list(pool.map(lambda batch: examine(batch, 40), batches))
    lister.wait()


def show(name: str, way: Callable[[], object], number: int, clock: Callable[[], float]) -> None:
    least = float("inf")
    for _ in range(RUNS):
        started = clock()
        way()
        least = min(least, clock() - started)
    print(f"  {name:<32} {least / number * 1e6:6.1f} us a commit", flush=True)


if __name__ == "__main__":
    main()
