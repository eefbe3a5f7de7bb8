"""One honest repository a session; each test attacks a copy of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.attacks import forge
from tests.attacks.forge import World


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> World:
    with pytest.MonkeyPatch.context() as patch:  # a session's fixture is made before a test's clean environment
        for name in [name for name in os.environ if name.startswith("GIT_")]:
            patch.delenv(name)
        return forge.found(tmp_path_factory.mktemp("founded") / "repo")


@pytest.fixture
def world(founded: World, tmp_path: Path) -> World:
    return forge.again(founded, tmp_path / "repo")
