"""git auths unlock"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.people import Person


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[str]:
    socket = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while not socket.exists():
        assert time.monotonic() < deadline
    yield str(socket)
    process.terminate()
    process.wait()


def test_afterwards_commits_are_signed_without_the_passphrase(newcomer: Person, agent: str) -> None:
    newcomer.at = newcomer.home / "work"
    newcomer.git("init", "--quiet", newcomer.at, cwd=newcomer.home)
    newcomer.auths("init", AUTHS_PASSPHRASE="secret")
    newcomer.auths("policy", "init", AUTHS_PASSPHRASE="secret")
    assert "locked by a passphrase" in newcomer.git("commit", "--allow-empty", "-m", "x", code=128).stderr
    newcomer.auths("unlock", "-t", "30m", AUTHS_PASSPHRASE="secret", SSH_AUTH_SOCK=agent)
    newcomer.git("commit", "--quiet", "--allow-empty", "-m", "x", SSH_AUTH_SOCK=agent)
    assert newcomer.ask("verify")["ok"]


def test_only_the_current_key_is_loaded(ada: Person, agent: str) -> None:
    ada.auths("unlock", SSH_AUTH_SOCK=agent)
    listed = subprocess.run(
        ["ssh-add", "-L"], env={**ada.environment, "SSH_AUTH_SOCK": agent}, capture_output=True, text=True, check=True
    )
    assert [line.split()[:2] for line in listed.stdout.splitlines()] == [
        ada.auths("key-id", "--ssh").stdout.split()[:2]
    ]


def test_without_an_agent_it_says_how_to_start_one(ada: Person) -> None:
    assert 'hint: eval "$(ssh-agent)"' in ada.auths("unlock", code=128).stderr


def test_a_time_that_is_none_is_wrong_usage(ada: Person) -> None:
    assert "30m, 8h" in ada.auths("unlock", "-t", "soon", code=129).stderr
