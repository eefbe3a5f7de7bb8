"""git auths: dispatch, errors and exit codes"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from git_auths import __version__, guard, main
from git_auths.errors import Error
from tests.people import SCRIPTS, Person


def test_the_short_help_is_one_screen(newcomer: Person) -> None:
    shown = newcomer.auths("-h").stdout
    assert shown.startswith("usage: git auths <command>")
    assert len(shown.splitlines()) <= 45
    for name in main.COMMANDS:
        assert f"   {name} " in shown


def test_every_command_has_its_own_help(newcomer: Person) -> None:
    for name in main.COMMANDS:
        assert newcomer.auths(name, "-h").stdout.startswith(f"usage: git auths {name}")


def test_the_version(newcomer: Person) -> None:
    assert newcomer.auths("--version").stdout == f"git-auths {__version__}\n"


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("no-such-command",),
        ("verify", "--no-such-option"),
        ("root",),
        ("policy", "set-threshold", "release", "two"),
    ],
)
def test_wrong_usage_is_129_with_one_line_and_a_hint(newcomer: Person, words: tuple[str, ...]) -> None:
    done = newcomer.auths(*words, code=129)
    if words:
        assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["error", "hint"]


@pytest.mark.parametrize("command", ["verify", "status", "policy show", "sync", "setup --yes", "hooks status"])
def test_outside_a_repository_it_says_so(newcomer: Person, command: str) -> None:
    done = newcomer.auths(*command.split(), code=128)
    assert done.stderr == "error: not in a git repository\nhint: cd into one, or: git init\n"


def run(person: Person, path: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([os.path.join(SCRIPTS, "git-auths"), *words], cwd=person.at, capture_output=True, text=True,
                          env={**person.environment, "PATH": path}, check=False)  # fmt: skip


def test_without_git_it_says_so(newcomer: Person, tmp_path: Path) -> None:
    done = run(newcomer, str(tmp_path), "status")
    assert (done.returncode, done.stderr) == (128, "error: git is not on PATH\nhint: install git 2.34 or later\n")


@pytest.mark.parametrize(
    ("version", "code"), [("2.33.8", 128), ("1.9", 128), ("rubbish", 128), ("2.34.0", 0), ("3.0.1.windows.1", 0)]
)
def test_a_git_before_2_34_is_refused(newcomer: Person, tmp_path: Path, version: str, code: int) -> None:
    git = tmp_path / "git"
    git.write_text(
        f'#!/bin/sh\nif [ "$1" = version ]; then echo git version {version}; else exec {_real_git()} "$@"; fi\n'
    )
    git.chmod(0o755)
    newcomer.git("init", "--quiet", newcomer.at)
    newcomer.auths("init", "--no-passphrase")
    done = run(newcomer, f"{tmp_path}:{os.environ['PATH']}", "whoami")
    assert done.returncode == code
    assert ("hint: install git 2.34 or later" in done.stderr) is (code == 128)


def _real_git() -> str:
    return subprocess.run(["sh", "-c", "command -v git"], capture_output=True, text=True, check=True).stdout.strip()


def test_a_crash_is_128_and_never_a_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    def crash() -> int:
        raise ZeroDivisionError("by \x1b[31mzero")

    assert guard.run(crash) == 128
    assert "error: internal error: ZeroDivisionError: by \\x1b[31mzero" in capsys.readouterr().err


def test_an_error_is_made_inert_before_it_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> int:
        raise Error("evil\x1b]0;title\x07\nname \u202egpj.exe", "type\rthis")

    assert guard.run(fail) == 128
    assert capsys.readouterr().err == "error: evil\\x1b]0;title\\x07\\nname \\u202egpj.exe\nhint: type\\rthis\n"


def test_an_interrupt_is_130(newcomer: Person) -> None:
    def interrupt() -> int:
        raise KeyboardInterrupt

    assert guard.run(interrupt) == 130


def test_a_reader_that_leaves_ends_it_quietly(ada: Person) -> None:
    script = "git auths verify --verbose --porcelain"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {script} | true"], cwd=ada.at, env=ada.environment, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.stderr == ""


def test_a_repository_of_somebody_else_is_explained(ada: Person) -> None:
    if os.getuid() != 0:
        pytest.skip("needs root, to give a folder away")
    os.chown(ada.at, 12345, 12345)
    os.chown(ada.at / ".git", 12345, 12345)
    done = ada.auths("verify", code=128)
    assert "belongs to another user" in done.stderr
    assert "safe.directory" in done.stderr
