"""A rotation as a whole command, its commit included: `python -m tests.bench.rotating [--runs N]`.

Without a passphrase, whose key derivation is meant to take its time. Beside it a commit signed by ssh-keygen, which is
what git alone takes to make one. The ceiling for `rotate` is 500 ms.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.bench import place
from tests.bench.measure import alternating, run, table

RUNS = 15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=RUNS)
    args = parser.parse_args()
    with place.repository() as repository:
        measure(repository, args.runs)


def measure(repository: Path, runs: int) -> None:
    other = repository.parent / "ssh"
    run("git", "init", "--quiet", other)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", repository.parent / "id")
    plain = ("git", "-c", "gpg.format=ssh", "-c", f"user.signingKey={repository.parent / 'id'}",
             "commit", "--quiet", "--allow-empty", "-S", "-m", "x")  # fmt: skip
    seconds = alternating({
        "git auths rotate": lambda: run("git", "auths", "rotate", cwd=repository),
        "git auths whoami": lambda: run("git", "auths", "whoami", cwd=repository),
        "git commit -S by ssh-keygen": lambda: run(*plain, cwd=other),
    }, runs)  # fmt: skip
    table("A rotation, whole process", seconds, "git auths rotate")


if __name__ == "__main__":
    main()
