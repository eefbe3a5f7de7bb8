"""Every test runs with a home of its own, no agent, no configuration but what it sets itself."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.people import Person, Project

# A shell ignores these for what it runs in the background, and every program that a test starts would inherit that.
for number in (signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)


# The last ones are those of a CI job: in one, the tests must not think that they are one.
LEAKING = ("GIT_", "AUTHS_", "SSH_", "XDG_", "AGENT_", "GITHUB_", "GITLAB_", "ACTIONS_", "CI_", "CIRCLE")


@pytest.fixture(autouse=True)
def clean_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh HOME; nothing of git, ssh or auths leaks in from whoever runs the tests."""
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(LEAKING) or name in ("NO_COLOR", "EDITOR", "RUNNER_TEMP", "CI"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("AUTHS_HOME", str(home / "auths"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
    monkeypatch.setenv("GIT_TERMINAL_PROMPT", "0")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("TZ", "UTC")
    (home / ".gitconfig").write_text(
        "[user]\n\tname = Ada Example\n\temail = ada@example.com\n[init]\n\tdefaultBranch = main\n"
        '[advice]\n\tdetachedHead = false\n[gc]\n\tauto = 0\n[protocol "file"]\n\tallow = always\n'
    )
    return home


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that no test changes."""
    return Project(tmp_path_factory.mktemp("template")).begin()


@pytest.fixture
def project(template: Project, tmp_path: Path) -> Project:
    return template.copied(tmp_path)


@pytest.fixture
def ada(template: Project, tmp_path: Path) -> Person:
    """A maintainer whose repository has a policy of her own, and no remote."""
    ada = template.copied(tmp_path).ada
    ada.git("remote", "remove", "origin")
    return ada


@pytest.fixture
def newcomer(tmp_path: Path) -> Person:
    """Somebody without identity or repository."""
    return Person(tmp_path, "newcomer")
