"""How a program ends: at once, with everything said and the right exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import git_auths

SCRIPTS = Path(git_auths.__file__).parent / "scripts"
ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SCRIPTS.parents[1])}  # nothing that unbuffers the streams


def ended(program: str, shell_suffix: str = "") -> subprocess.CompletedProcess[str]:
    command = ["sh", "-c", f'exec "$@" {shell_suffix}', "sh", sys.executable, "-c", program]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def test_leaving_writes_what_is_buffered_and_waits_for_no_farewell() -> None:
    done = ended(
        "import atexit, sys; from git_auths.guard import leave; atexit.register(print, 'farewell');"
        "sys.stdout.write('out'); sys.stderr.write('err'); leave(3)"
    )
    assert (done.stdout, done.stderr, done.returncode) == ("out", "err", 3)


@pytest.mark.parametrize(("code", "ends_with"), [(0, 128), (1, 1)])
def test_output_that_nobody_can_have_is_no_success(code: int, ends_with: int) -> None:
    program = f"import sys; from git_auths.guard import leave; sys.stdout.write('x'); leave({code})"
    done = ended(program, ">/dev/full")
    assert (done.stderr, done.returncode) == ("", ends_with)


def test_a_program_without_standard_streams_leaves() -> None:
    assert ended("from git_auths.guard import leave; leave(1)", ">&- 2>&-").returncode == 1


@pytest.mark.parametrize("name", ["git-auths-sign", "git-auths-verify"])
def test_the_scripts_end_with_the_programs_code_and_words(name: str) -> None:
    done = subprocess.run([sys.executable, SCRIPTS / name, "-Y", "verify"], env=ENVIRONMENT, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.returncode == 129
    assert done.stderr == "error: -n is missing\nhint: man git-auths-sign\n"
