"""One new commit on top of a long history that is known: `python -m tests.bench.warm [--size N] [--runs N]`.

Whole processes: `git auths verify`, and the hooks as git starts them. And a merge of a long branch: what it costs
beyond one commit should be what so many commits cost.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path

from tests.bench import place
from tests.bench.measure import run, seconds_of
from tests.bench.signed_history import Growth, linear

SIZE = 100_000
BRANCH = 5_000
RUNS = 15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=SIZE)
    parser.add_argument("--runs", type=int, default=RUNS)
    args = parser.parse_args()
    measure(args.size, args.runs)


def measure(size: int, runs: int) -> None:
    with place.repository() as repository:
        old = linear(repository, place.key(), size)
        server = repository.parent / "server.git"
        run("git", "clone", "--quiet", "--bare", repository, server)
        print(f"\nOne new commit on top of {size} known ones, whole process")
        root = run("git", "config", "auths.root", cwd=repository)
        run("git", "auths", "root", "pin", "--mainline", "refs/heads/main", root, cwd=server)
        run("git", "auths", "hooks", "install", "--server", cwd=server)
        run("git", "remote", "add", "origin", server, cwd=repository)
        run("git", "fetch", "--quiet", "origin", cwd=repository)
        run("git", "auths", "hooks", "install", cwd=repository)
        run("git", "auths", "verify", cwd=repository)
        run("git", "auths", "verify", cwd=server)
        show("git auths verify", [seconds_of(verify_after_a_commit(repository)) for _ in range(runs)])
        new = commit(repository)
        run("git", "fetch", "--quiet", repository, "main", cwd=server)
        pushed = hook(repository, "pre-push", ["origin", str(server)], f"refs/heads/main {new} refs/heads/main {old}\n")
        show("pre-push", [seconds_of(pushed) for _ in range(runs)])
        received = hook(server, "pre-receive", [], f"{old} {new} refs/heads/main\n")
        show("pre-receive", [seconds_of(received) for _ in range(runs)])
        merge_a_branch(repository, f"{old}~{size // 2}")


def commit(repository: Path) -> str:
    run("git", "commit", "--quiet", "--allow-empty", "--no-verify", "-m", "x", cwd=repository)
    return run("git", "rev-parse", "HEAD", cwd=repository)


def verify_after_a_commit(repository: Path) -> Callable[[], object]:
    commit(repository)
    return lambda: run("git", "auths", "verify", cwd=repository)


def hook(repository: Path, name: str, arguments: list[str], lines: str) -> Callable[[], object]:
    path = repository / run("git", "rev-parse", "--git-path", f"hooks/{name}", cwd=repository)
    return lambda: run(path, *arguments, cwd=repository, stdin=lines.encode())


def merge_a_branch(repository: Path, fork: str) -> None:
    run("git", "auths", "verify", cwd=repository)
    growth = Growth(repository, place.key())
    tip = run("git", "rev-parse", fork, cwd=repository)
    for _ in range(BRANCH):
        tip = growth.commit(tip)
    growth.store(growth.commit(growth.start, tip))
    took = seconds_of(lambda: run("git", "auths", "verify", cwd=repository))
    print(f"  a merge of a branch of {BRANCH} commits: {took:.2f} s, {BRANCH / took:.0f} commits/s")


def show(name: str, seconds: list[float]) -> None:
    median, slowest = statistics.median(seconds) * 1000, max(seconds) * 1000
    print(f"  {name:<48} {median:8.1f} ms, the slowest {slowest:.1f} ms", flush=True)


if __name__ == "__main__":
    main()
