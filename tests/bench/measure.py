"""Running commands side by side, and saying what they took."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

SAMPLED_EVERY_SECONDS = 0.05


def run(*command: str | Path, cwd: Path | None = None, stdin: bytes | IO[bytes] = b"") -> str:
    return output(*command, cwd=cwd, stdin=stdin).decode().strip()


def output(*command: str | Path, cwd: Path | None = None, stdin: bytes | IO[bytes] = b"") -> bytes:
    words = [*map(str, command)]
    if isinstance(stdin, bytes):
        return subprocess.run(words, cwd=cwd, check=True, capture_output=True, input=stdin).stdout
    return subprocess.run(words, cwd=cwd, check=True, capture_output=True, stdin=stdin).stdout


def seconds_of(way: Callable[[], object]) -> float:
    started = time.perf_counter()
    way()
    return time.perf_counter() - started


def alternating(ways: dict[str, Callable[[], object]], runs: int) -> dict[str, list[float]]:
    """Seconds of each way, run in turn after one warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for i in range(runs + 1):
        for name, way in ways.items():
            took = seconds_of(way)
            if i:
                seconds[name].append(took)
    return seconds


def table(title: str, seconds: dict[str, list[float]], base: str) -> None:
    """Medians, and the median of the ratios to `base` within a round: the machine's speed drifts, they do not."""
    print(f"\n{title}")
    for name, values in seconds.items():
        print(f"  {name:<48} {statistics.median(values) * 1000:8.1f} ms   {ratio(values, seconds[base]):5.2f}x {base}")


def rates(title: str, seconds: dict[str, list[float]], number: int, base: str) -> None:
    """The same for ways that do something `number` times."""
    print(f"\n{title}")
    for name, values in seconds.items():
        median = statistics.median(values)
        print(f"  {name:<48} {median:7.2f} s {number / median:8.0f}/s   {ratio(values, seconds[base]):5.2f}x {base}",
              flush=True)  # fmt: skip


def ratio(values: list[float], base: list[float]) -> float:
    return statistics.median(value / other for value, other in zip(values, base, strict=True))


def peak_bytes(*command: str | Path, cwd: Path) -> int | None:
    """The most memory that a command and all processes it starts have at a time; None where there is no /proc.

    Pages that several processes share count once (proc(5): Pss), so git's maps of one pack do not add up.
    """
    if not Path("/proc/self/smaps_rollup").exists():
        return None
    process = subprocess.Popen([*map(str, command)], cwd=cwd, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(map(_proportional_bytes, _in_session(process.pid))))
        time.sleep(SAMPLED_EVERY_SECONDS)
    assert process.returncode == 0, command
    return peak


def _in_session(session: int) -> list[str]:
    return [pid for pid in filter(str.isdigit, os.listdir("/proc")) if _session_of(pid) == session]


def _session_of(pid: str) -> int | None:
    try:
        return os.getsid(int(pid))
    except OSError:  # it has ended
        return None


def _proportional_bytes(pid: str) -> int:
    try:
        lines = Path("/proc", pid, "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
