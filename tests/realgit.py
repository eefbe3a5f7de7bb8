"""Running the real programs: git, ssh-keygen, ours."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def run(
    *command: str | Path,
    cwd: Path | None = None,
    code: int | None = 0,
    stdin: bytes | None = None,
    env: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run a real program; fail with its output when the exit code is not `code` (None: any)."""
    done = subprocess.run(
        [str(c) for c in command],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        env=None if env is None else {**os.environ, **env},
        check=False,
    )
    if code is not None and done.returncode != code:
        raise AssertionError(
            f"{command}: exit {done.returncode}, wanted {code}\n"
            f"{done.stdout.decode(errors='replace')}\n{done.stderr.decode(errors='replace')}"
        )
    return done
