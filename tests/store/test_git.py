"""git_auths.store.git"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from git_auths.store import git


def test_no_file_of_grafts_can_be_made_where_git_is_told_to_look(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError):
        os.lstat(git.NO_REPLACEMENTS["GIT_GRAFT_FILE"])
    git.run("init", "--quiet", str(tmp_path))
    assert git.run_as(git.environment(), tmp_path, "rev-list", "--all") == (0, "", "")
