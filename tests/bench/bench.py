"""Whole commands side by side in one run: `python -m tests.bench.bench [--sizes N,N...]`.

Signing, judging cold, judging what is new on top of what is known; each is a module here that runs by itself as well.
Times are medians of alternating runs; read the ratios, the machine's speed drifts.
"""

from __future__ import annotations

import argparse

from tests.bench import judging, place, signing, warm


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=lambda text: [int(size) for size in text.split(",")], default=judging.SIZES)
    args = parser.parse_args()
    with place.repository() as repository:
        signing.measure(repository, signing.RUNS)
    judging.measure(args.sizes, judging.RUNS)
    warm.measure(args.sizes[0], warm.RUNS)


if __name__ == "__main__":
    main()
