"""`git commit -S` and `git verify-commit`, whole commands: `python -m tests.bench.signing [--runs N]`.

Plain `git commit`, through ssh-keygen, through git-auths-sign; with the key in ssh-agent and in a file.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench import place
from tests.bench.measure import alternating, run, table

RUNS = 15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=RUNS)
    with place.repository() as repository:
        measure(repository, parser.parse_args().runs)


def measure(repository: Path, runs: int) -> None:
    stock = repository.parent / "stock"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", stock)
    allowed = repository.parent / "allowed"
    allowed.write_text(f"ada@example.com {stock.with_suffix('.pub').read_text()}")
    ours = ["-c", "commit.gpgSign=true"]
    theirs = ["-c", "gpg.ssh.program=ssh-keygen", "-c", f"user.signingKey={stock}", "-c",
              f"gpg.ssh.allowedSignersFile={allowed}"]  # fmt: skip
    commit = ["commit", "--quiet", "--allow-empty", "-m", "x"]

    def git(*args: str) -> Callable[[], object]:
        return lambda: run("git", *args, cwd=repository)

    ways = {
        "unsigned": git("-c", "commit.gpgSign=false", *commit),
        "ssh-keygen": git(*theirs, *commit),
        "ours": git(*ours, *commit),
    }
    table("git commit, unencrypted key file", alternating(ways, runs), "ssh-keygen")
    agent = start_agent(repository.parent / "agent")
    try:
        run("ssh-add", "-q", place.key_file())
        run("ssh-add", "-q", stock)
        table("git commit, key in ssh-agent", alternating(ways, runs), "ssh-keygen")
    finally:
        del os.environ["SSH_AUTH_SOCK"]
        agent.terminate()
        agent.wait()
    run("git", *theirs, *commit, cwd=repository)
    by_stock = run("git", "rev-parse", "HEAD", cwd=repository)
    by_ours = run("git", "rev-parse", "HEAD~1", cwd=repository)
    ways = {
        "ssh-keygen": git(*theirs, "verify-commit", by_stock),
        "ours": git("verify-commit", by_ours),
    }
    table("git verify-commit", alternating(ways, runs), "ssh-keygen")


def start_agent(socket: Path) -> subprocess.Popen[bytes]:
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    while not socket.exists():
        time.sleep(0.01)
    os.environ["SSH_AUTH_SOCK"] = str(socket)
    return agent


if __name__ == "__main__":
    main()
