"""Replaying a key event log of 1,000 events, keripy beside it: `python -m tests.bench.replay [--events N] [--runs N]`.

In-process, on one thread. The ceiling is 150 ms for 1,000 events of Ed25519 keys (DESIGN: "Speed and size" of issue 4).
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable

from git_auths.core import ed25519, kel
from git_auths.core.kelstream import messages
from tests.bench.measure import alternating, table
from tests.kels import GrowingLog

EVENTS = 1000
RUNS = 5
OURS = "git-auths"
GRANT = {"auths": "grant/1", "d": "ab" * 32}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--runs", type=int, default=RUNS)
    args = parser.parse_args()
    measure(args.events, args.runs)


def measure(events: int, runs: int) -> None:
    for name, rotate in (("mixed", lambda n: n % 2), ("interactions", lambda n: False), ("rotations", lambda n: True)):
        log = grown(events, rotate)
        seconds = alternating(ways(log), runs)
        table(f"replay of {events} events, {name}, {len(log) // 1024} KiB", seconds, OURS)


def grown(events: int, rotate: Callable[[int], object]) -> bytes:
    log = GrowingLog()
    for number in range(1, events):
        if rotate(number):
            log.rotate()
        else:
            log.interact(GRANT)
    return log.stream


def ways(stream: bytes) -> dict[str, Callable[[], object]]:
    signed = [(event.raw, event.attachments.signatures[0].raw) for event in messages(stream)]
    keys = [event.state.keys[0].raw for event in kel.replay(stream).events]

    def signatures_alone() -> None:
        for (raw, signature), key in zip(signed, keys, strict=True):
            assert ed25519.verifies(key, signature, raw)

    found: dict[str, Callable[[], object]] = {
        OURS: lambda: kel.replay(stream),
        "the signatures alone": signatures_alone,
    }
    keripy = keripys_way(stream)
    return {**found, "keripy (in memory)": keripy} if keripy else found


def keripys_way(stream: bytes) -> Callable[[], object] | None:
    """None where the package does not load."""
    try:
        from keri import help as keri_help
        from keri.core import eventing, parsing
        from keri.db import basing
    except Exception as error:  # a missing libsodium is no ImportError
        print(f"keripy does not load: {error}")
        return None
    keri_help.ogler.resetLevel(level=logging.CRITICAL)
    basing.Baser.TempHeadDir = "/dev/shm"

    def replay() -> None:
        with basing.openDB(name="bench", temp=True) as database:
            kevery = eventing.Kevery(db=database, lax=False, local=False)
            parsing.Parser().parse(ims=bytearray(stream), kvy=kevery)
            (kever,) = kevery.kevers.values()
            assert kever.sn == len(list(messages(stream))) - 1

    return replay


if __name__ == "__main__":
    main()
