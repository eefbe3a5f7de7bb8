"""Names of refs, as git itself would take them"""

from __future__ import annotations

import pytest

from git_auths.hooks.serverrefs import is_ref_name
from tests.realgit import run

NAMES = ["refs/heads/main", "refs/heads/a/b", "refs/tags/v1.0", "refs/heads/ä", "refs/heads/a@b", "refs/heads/-x",
         "refs/heads/a'b", 'refs/heads/a"b', "refs/heads/@", "refs/heads/a$(b)", "refs/heads/{}", "refs/heads/a.lock.b",
         "refs/heads/a\nb", "refs/heads/a\rb", "refs/heads/a b", "refs/heads/a\x7f", "refs/heads/a~1", "refs/heads/a^",
         "refs/heads/a:b", "refs/heads/a?", "refs/heads/*", "refs/heads/[a", "refs/heads/a\\b", "refs/heads/a..b",
         "refs/heads/../heads/main", "refs/heads/./main", "refs/heads//main", "refs//heads/main", "/refs/heads/main",
         "refs/heads/", "refs/heads/.a", "refs/heads/a.", "refs/heads/a.lock", "refs/a.lock/b", "refs/heads/a@{b",
         "refs/heads/a./b"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_one_where_git_says_so(name: str) -> None:
    assert is_ref_name(name) is (run("git", "check-ref-format", name, code=None).returncode == 0)


@pytest.mark.parametrize("name", ["HEAD", "main", "heads/main", "refs/stash", "refs", ""])
def test_what_no_push_creates_is_none(name: str) -> None:
    assert not is_ref_name(name)
