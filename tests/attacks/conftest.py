"""One honest repository a session; each test attacks a copy of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from git_auths.store import remembered
from tests.attacks import forge
from tests.attacks.forge import World


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> World:
    with pytest.MonkeyPatch.context() as patch:  # a session's fixture is made before a test's clean environment
        for name in [name for name in os.environ if name.startswith("GIT_")]:
            patch.delenv(name)
        return forge.found(tmp_path_factory.mktemp("founded") / "repo")


@pytest.fixture(autouse=True)
def remembers_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "MIN_COMMITS", 1)


@pytest.fixture
def world(founded: World, tmp_path: Path) -> World:
    """Its tip has been found good before, so that what comes on top is judged from there as well as from the root."""
    world = forge.again(founded, tmp_path / "repo")
    forge.accepted(world.repo.verify("main"))
    return world
