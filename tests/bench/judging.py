"""`git auths verify` of whole histories, cold: `python -m tests.bench.judging [--sizes N,N...] [--runs N]`.

Linear ones of each size, and one of the first size of which a fifth are merges, with 50 policy changes. In the same
rounds the ceiling: bare Ed25519 verification of as many messages on two threads. Then peak memory, and the peers.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from git_auths.core import ed25519
from tests.bench import place
from tests.bench.measure import alternating, peak_bytes, rates, run, seconds_of
from tests.bench.signed_history import linear, merging

SIZES = [100_000]
RUNS = 3
POLICY_CHANGES = 50
MESSAGES = 10_000  # so many different ones are verified, again and again
SAMPLE = 200  # commits that `git log --format=%G?` is asked about: it starts two processes for each
CEILING = "bare Ed25519, two threads"
PEERS = {"guix": "guix git authenticate", "sq-git": "sq-git log"}  # both judge OpenPGP signatures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=lambda text: [int(size) for size in text.split(",")], default=SIZES)
    parser.add_argument("--runs", type=int, default=RUNS)
    args = parser.parse_args()
    measure(args.sizes, args.runs)


def measure(sizes: list[int], runs: int) -> None:
    for size in sizes:
        with place.repository() as repository:
            linear(repository, place.key(), size)
            whole(f"{size} linear signed commits, cold", repository, size, runs)
            if size == sizes[0]:
                sampled(repository)
    with place.repository() as repository:
        merging(repository, place.key(), sizes[0], POLICY_CHANGES)
        title = f"{sizes[0]} signed commits, a fifth of them merges, {POLICY_CHANGES} policy changes, cold"
        whole(title, repository, sizes[0], runs)


def whole(title: str, repository: Path, size: int, runs: int) -> None:
    def verify() -> None:
        place.forget()
        run("git", "auths", "verify", cwd=repository)

    rates(title, alternating({CEILING: ceiling(size), "git auths verify": verify}, runs), size, CEILING)
    place.forget()
    peak = peak_bytes("git", "auths", "verify", cwd=repository)
    shown = "not measured" if peak is None else f"{peak / 1e6:.0f} MB"
    print(f"  peak memory of all its processes: {shown}", flush=True)


def ceiling(number: int) -> Callable[[], None]:
    seed = bytes(range(32))
    public, _ = ed25519.key_pair(seed)
    messages = [os.urandom(120) for _ in range(min(number, MESSAGES))]
    signed = [(message, ed25519.sign(seed, message)) for message in messages]

    def verify(start: int) -> None:
        for i in range(start, number, 2):
            message, signature = signed[i % MESSAGES]
            assert ed25519.verifies(public, signature, message)

    def on_two_threads() -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(verify, (0, 1)))

    return on_two_threads


def sampled(repository: Path) -> None:
    print(f"\nThe peers, on {SAMPLE} commits")
    for name, options in (("through ours", []), ("through ssh-keygen", ["-c", "gpg.ssh.program=ssh-keygen"])):
        log = ["git", *options, "log", "--format=%G?", f"-{SAMPLE}"]
        took = seconds_of(lambda log=log: run(*log, cwd=repository))  # type: ignore[misc]
        print(f"  {f'git log --format=%G? {name}':<48} {took:7.2f} s {SAMPLE / took:8.0f}/s")
    for program, name in PEERS.items():
        shown = "not measured: it takes an OpenPGP history" if shutil.which(program) else "not installed"
        print(f"  {name:<48} {shown}")


if __name__ == "__main__":
    main()
