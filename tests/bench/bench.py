"""Whole commands side by side in one run: `python -m tests.bench.bench [--commits N] [--runs N]`.

Signing: plain `git commit`, through ssh-keygen, through git-auths-sign; with the key in ssh-agent and in a file.
Verifying: `git verify-commit` through both. Judging: `git auths verify` on a generated history, beside the ceiling
(bare Ed25519 verification of as many messages, on one thread and on two) and the peer (`git log --format=%G?`, sampled).
Times are medians of alternating runs; read the ratios, the machine's speed drifts.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from git_auths.core import ed25519, opensshkey
from tests.bench.signed_history import grow

SAMPLE = 200  # commits that `git log --format=%G?` is asked about: it starts two processes for each


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commits", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=15)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="git-auths-bench-"))
    agent = None
    try:
        set_environment(folder)
        agent = start_agent(folder)
        repository = prepare(folder)
        signing(repository, args.runs)
        judging(repository, folder, args.commits)
    finally:
        if agent is not None:
            agent.terminate()
        shutil.rmtree(folder, ignore_errors=True)


def run(*command: str | Path, cwd: Path | None = None) -> str:
    return subprocess.run([*map(str, command)], cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()


def set_environment(folder: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("GIT_", "AUTHS_", "SSH_"))]:
        del os.environ[name]
    os.environ |= {
        "HOME": str(folder), "AUTHS_HOME": str(folder / "auths"), "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(folder / ".gitconfig"),
        "PATH": f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}",
    }  # fmt: skip
    (folder / ".gitconfig").write_text("[user]\nname = Ada Example\nemail = ada@example.com\n[init]\ndefaultBranch = main\n"
                                       "[gc]\nauto = 0\n[maintenance]\nauto = false\n")  # fmt: skip


def start_agent(folder: Path) -> subprocess.Popen[bytes]:
    socket = folder / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    while not socket.exists():
        time.sleep(0.01)
    return agent


def prepare(folder: Path) -> Path:
    repository = folder / "work"
    run("git", "init", "--quiet", repository)
    run("git", "auths", "init", "--no-passphrase", cwd=repository)
    run("git", "auths", "policy", "init", cwd=repository)
    run("git", "auths", "hooks", "uninstall", cwd=repository)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "stock")
    (folder / "allowed").write_text(f"ada@example.com {(folder / 'stock.pub').read_text()}")
    return repository


def alternating(ways: dict[str, Callable[[], object]], runs: int) -> dict[str, list[float]]:
    """Seconds of each way, run in turn after one warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for i in range(runs + 1):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            if i:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def table(title: str, seconds: dict[str, list[float]], base: str) -> None:
    print(f"\n{title}")
    for name, values in seconds.items():
        ratios = [value / other for value, other in zip(values, seconds[base], strict=True)]
        print(f"  {name:<44} {statistics.median(values) * 1000:8.1f} ms   {statistics.median(ratios):5.2f}x {base}")


def signing(repository: Path, runs: int) -> None:
    stock = repository.parent / "stock"
    ours = ["-c", "commit.gpgSign=true"]
    theirs = ["-c", "gpg.ssh.program=ssh-keygen", "-c", f"user.signingKey={stock}", "-c",
              f"gpg.ssh.allowedSignersFile={repository.parent / 'allowed'}"]  # fmt: skip
    commit = ["commit", "--quiet", "--allow-empty", "-m", "x"]

    def git(*args: str) -> Callable[[], object]:
        return lambda: run("git", *args, cwd=repository)

    ways = {
        "unsigned": git("-c", "commit.gpgSign=false", *commit),
        "ssh-keygen": git(*theirs, *commit),
        "ours": git(*ours, *commit),
    }
    identity = Path(os.environ["AUTHS_HOME"], "identities", "main", "current")
    table("git commit, unencrypted key file", alternating(ways, runs), "ssh-keygen")
    os.environ["SSH_AUTH_SOCK"] = str(repository.parent / "agent")
    run("ssh-add", "-q", identity)
    run("ssh-add", "-q", stock)
    table("git commit, key in ssh-agent", alternating(ways, runs), "ssh-keygen")
    run(*["git", *theirs, *commit], cwd=repository)
    by_stock = run("git", "rev-parse", "HEAD", cwd=repository)
    run("git", "reset", "--quiet", "--hard", "HEAD~1", cwd=repository)
    by_ours = run("git", "rev-parse", "HEAD", cwd=repository)
    ways = {
        "ssh-keygen": git(*theirs, "verify-commit", by_stock),
        "ours": git("verify-commit", by_ours),
    }
    table("git verify-commit", alternating(ways, runs), "ssh-keygen")


def judging(repository: Path, folder: Path, commits: int) -> None:
    # The signing part left commits by another key behind; the history starts afresh from the root.
    root = run("git", "config", "auths.root", cwd=repository)
    run("git", "reset", "--quiet", "--hard", root, cwd=repository)
    key = opensshkey.unencrypted_private((folder / "auths/identities/main/current").read_bytes())
    assert key is not None
    tip = grow(repository, key, commits)
    print(f"\n{commits} linear signed commits, cold")
    signatures = [(os.urandom(120),) for _ in range(commits)]
    signed = [(message, ed25519.sign(key.secret, message)) for (message,) in signatures]
    public = key.public_blob[-32:]

    def ceiling(part: list[tuple[bytes, bytes]]) -> None:
        for message, signature in part:
            assert ed25519.verifies(public, signature, message)

    def on_two_threads() -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(ceiling, [signed[::2], signed[1::2]]))

    seconds = alternating({
        "bare Ed25519 verification, one thread": lambda: ceiling(signed),
        "bare Ed25519 verification, two threads": on_two_threads,
        "git auths verify": lambda: run("git", "auths", "verify", tip, cwd=repository),
    }, 3)  # fmt: skip
    base = statistics.median(seconds["bare Ed25519 verification, two threads"])
    for name, values in seconds.items():
        median = statistics.median(values)
        print(f"  {name:<44} {median:7.2f} s   {commits / median:8.0f} commits/s   {median / base:5.2f}x")
    started = time.perf_counter()
    run("git", "log", "--format=%G?", f"-{SAMPLE}", tip, cwd=repository)
    took = time.perf_counter() - started
    print(f"  {'git log --format=%G? through ours, sampled':<44} {took:7.2f} s   {SAMPLE / took:8.0f} commits/s")
    started = time.perf_counter()
    run("git", "-c", "gpg.ssh.program=ssh-keygen", "log", "--format=%G?", f"-{SAMPLE}", tip, cwd=repository)
    took = time.perf_counter() - started
    print(f"  {'git log --format=%G? through ssh-keygen, sampled':<44} {took:7.2f} s   {SAMPLE / took:8.0f} commits/s")


if __name__ == "__main__":
    sys.exit(main())
