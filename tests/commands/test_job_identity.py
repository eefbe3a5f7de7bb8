"""A throwaway identity that has ended"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.people import Person

HINT = "git auths init --profile ci makes another"


@pytest.mark.parametrize("command", [["attest"], ["key-id"], ["key-id", "--ssh"]])
def test_it_signs_nothing_more(command: list[str], ada: Person, tmp_path: Path) -> None:
    job = {"RUNNER_TEMP": str(tmp_path)}
    ada.auths("init", "--profile", "ci", **job)
    noted = tmp_path / "git-auths/identity.json"
    noted.write_text(json.dumps({**json.loads(noted.read_text()), "expires_at": "2020-01-01T00:00:00Z"}))
    done = ada.auths(*command, code=1, **job)
    assert done.stderr == f"error: this job's throwaway identity ended at 2020-01-01T00:00:00Z\nhint: {HINT}\n"
    assert done.stdout == ""
    ada.auths("init", "--profile", "ci", **job)
    ada.auths("key-id", **job)
