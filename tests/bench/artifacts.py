"""Artifacts as whole commands: `python -m tests.bench.artifacts [--runs N] [--gigabytes N]`.

Signing 1,000 small files in one run, beside ssh-keygen, which signs as many files and knows nothing of policies (the
ceiling: 3 s). Verifying one, beside ssh-keygen and beside what the same question about a commit takes (the ceiling: 250
ms). A file of 4 GB, beside sha256sum: time, and the most memory that the command has.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.bench import place
from tests.bench.measure import alternating, peak_bytes, run, seconds_of, table

RUNS = 7
FILES = 1000
GIGABYTES = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--gigabytes", type=int, default=GIGABYTES)
    args = parser.parse_args()
    with place.repository() as repository:
        measure(repository, args.runs, args.gigabytes)


def measure(repository: Path, runs: int, gigabytes: int) -> None:
    folder = repository / "dist"
    folder.mkdir()
    files = [folder / f"file{number}" for number in range(FILES)]
    for number, file in enumerate(files):
        file.write_text(f"{number}\n")
    key = repository.parent / "artifact-key"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    (repository.parent / "allowed").write_text(f"bench {key.with_suffix('.pub').read_text()}")

    def by_ssh_keygen() -> None:
        for file in folder.glob("*.sig"):
            file.unlink()
        run("ssh-keygen", "-q", "-Y", "sign", "-n", "file", "-f", key, *files)

    title = f"Signing {FILES} small files in one run, whole process"
    ours = "git auths artifact sign"
    table(title, alternating({
        ours: lambda: run("git", "auths", "artifact", "sign", "dist/file*[0-9]", cwd=repository),
        f"{ours} --ci": lambda: run("git", "auths", "artifact", "sign", "--ci", "dist/file*[0-9]", cwd=repository),
        "ssh-keygen -Y sign": by_ssh_keygen,
    }, runs), ours)  # fmt: skip

    one, signature = files[7], folder / "file7.sig"

    def verify_by_ssh_keygen() -> None:
        run("ssh-keygen", "-Y", "verify", "-n", "file", "-f", repository.parent / "allowed", "-I", "bench", "-s",
            signature, stdin=one.read_bytes())  # fmt: skip

    run("git", "auths", "artifact", "sign", "dist/file7", cwd=repository)
    ours = "git auths artifact verify"
    table("Verifying one, whole process", alternating({
        ours: lambda: run("git", "auths", "artifact", "verify", "dist/file7", cwd=repository),
        "git auths verify-commit HEAD": lambda: run("git", "auths", "verify-commit", "HEAD", cwd=repository),
        "ssh-keygen -Y verify": verify_by_ssh_keygen,
    }, runs), ours)  # fmt: skip
    if gigabytes:
        large_file(repository, gigabytes)


def large_file(repository: Path, gigabytes: int) -> None:
    file = repository / "large"
    with file.open("wb") as stream:
        stream.truncate(gigabytes << 30)  # sparse: it is read as zeros, and takes no room
    sign = ("git", "auths", "artifact", "sign", "large")
    seconds = {"git auths artifact sign": [seconds_of(lambda: run(*sign, cwd=repository))],
               "sha256sum": [seconds_of(lambda: run("sha256sum", "large", cwd=repository))]}  # fmt: skip
    table(f"A file of {gigabytes} GB, one run", seconds, "sha256sum")
    peak = peak_bytes(*sign, cwd=repository)
    print(f"  most memory at a time: {'not measured here' if peak is None else f'{peak / 2**20:.0f} MiB'}")


if __name__ == "__main__":
    main()
