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


PROGRAM = "from git_auths import guard, output; guard.leave(guard.run(lambda: {action}))"


@pytest.mark.parametrize("say", ["output.data('x')", "output.document({})", "output.fields(('x',), '')",
                                 "output.line_with('x', 'y')", "output.raw(b'x')", "output.data('x' * 100_000)"])  # fmt: skip
@pytest.mark.parametrize(("suffix", "reason"), [
    (">/dev/full", "No space left on device"), (">&-", "Bad file descriptor"),
])  # fmt: skip
def test_an_answer_that_cannot_be_written_is_128_and_one_line(say: str, suffix: str, reason: str) -> None:
    done = ended(PROGRAM.format(action=f"{say} or 0"), suffix)
    assert (done.stderr, done.returncode) == (f"error: cannot write to standard output: {reason}\n", 128)


@pytest.mark.parametrize(("suffix", "code"), [("2>/dev/full", 128), ("2>&-", 0)])
@pytest.mark.parametrize("say", ["note", "warning", "hint", "error"])
def test_the_work_goes_on_where_stderr_takes_nothing(suffix: str, code: int, say: str) -> None:
    done = ended(PROGRAM.format(action=f"output.{say}('x') or output.data('done') or 0"), suffix)
    assert (done.stdout, done.returncode) == ("done\n", code)


@pytest.mark.parametrize("suffix", ["2>/dev/full", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("error", "code"), [("Refusal('no')", 1), ("UsageError('x')", 129), ("ValueError()", 128)])
def test_an_exit_code_needs_no_stderr(suffix: str, error: str, code: int) -> None:
    action = f"[][0] if False else (_ for _ in ()).throw({error})"
    assert ended("from git_auths.errors import *;" + PROGRAM.format(action=action), suffix).returncode == code


@pytest.mark.parametrize("suffix", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_no_file_gets_the_number_of_a_closed_stream(suffix: str, tmp_path: Path) -> None:
    action = f"output.error('x') or output.data('y') or os.open({str(tmp_path / 'f')!r}, os.O_RDWR | os.O_CREAT)"
    assert ended("import os;" + PROGRAM.format(action=action), suffix).returncode in (3, 128)
    again = f"os.open({str(tmp_path / 'f')!r}, os.O_RDWR)"
    assert ended("import os;" + PROGRAM.format(action=again), suffix).returncode == 3


def test_a_child_inherits_what_stands_for_a_closed_stream() -> None:
    program = "import subprocess;" + PROGRAM.format(action="subprocess.call(['sh', '-c', 'echo x >&2'])")
    assert ended(program, "2>&-").returncode == 0


def test_what_the_locale_cannot_say_is_escaped() -> None:
    program = ("import sys; sys.stdout.reconfigure(encoding='ascii', errors='strict');"
               "sys.stderr.reconfigure(encoding='ascii', errors='strict');"
               + PROGRAM.format(action="output.note('\\u2603') or output.data('\\u2603') or 0"))  # fmt: skip
    done = ended(program)
    assert (done.stdout, done.stderr, done.returncode) == ("\\u2603\n", "\\u2603\n", 0)


@pytest.mark.parametrize(("error", "said"), [
    ("OSError(24, 'Too many open files')", "error: Too many open files\nhint: ulimit -n 1024\n"),
    ("OSError(28, 'No space', 'a/b')", "error: a/b: No space\n"),
    ("TimeoutError()", "error: TimeoutError\n"),
])  # fmt: skip
def test_what_the_system_refuses_is_no_internal_error(error: str, said: str) -> None:
    done = ended(PROGRAM.format(action=f"(_ for _ in ()).throw({error})"))
    assert (done.stderr, done.returncode) == (said, 128)


def test_an_error_whose_reader_has_left_keeps_its_exit_code() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    program = "from git_auths.errors import *;" + PROGRAM.format(action="(_ for _ in ()).throw(Refusal('no'))")
    done = subprocess.run([sys.executable, "-c", program], env=ENVIRONMENT, stderr=write_end, check=False)
    os.close(write_end)
    assert done.returncode == 1
