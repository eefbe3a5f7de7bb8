"""Whole commands side by side in one run: `python -m tests.bench.bench [--sizes N,N...]`.

Signing, rotating, judging cold, judging what is new on top of what is known, replaying a log; each is a module here that runs by itself as well.
Times are medians of alternating runs; read the ratios, the machine's speed drifts.
"""

from __future__ import annotations

import argparse

from tests.bench import judging, place, replay, rotating, signing, warm


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=lambda text: [int(size) for size in text.split(",")], default=judging.SIZES)
    args = parser.parse_args()
    with place.repository() as repository:
        signing.measure(repository, signing.RUNS)
        rotating.measure(repository, rotating.RUNS)
    judging.measure(args.sizes, judging.RUNS)
    warm.measure(args.sizes[0], warm.RUNS)
    replay.measure(replay.EVENTS, replay.RUNS)


if __name__ == "__main__":
    main()
