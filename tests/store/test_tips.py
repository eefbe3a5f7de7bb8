"""store.tips: what was good here before, and what does not contain it now"""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from git_auths.errors import Error
from git_auths.store import tips
from git_auths.store.repository import Repository
from git_auths.store.tips import Tips
from tests.realgit import run

MAIN, TAG = "refs/remotes/origin/main", "refs/tags/v1"
A, B = "a" * 40, "b" * 64


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    run("git", "init", "--quiet", tmp_path / "repo")
    return Repository(tmp_path / "repo")


def file(repository: Repository) -> Path:
    return repository.common_dir / "auths/tips"


def test_what_is_remembered_is_known_until_it_is_forgotten(repository: Repository) -> None:
    remembered = Tips(repository.common_dir)
    assert remembered.known(MAIN) is None
    remembered.remember({MAIN: A, TAG: B})
    assert Tips(repository.common_dir).all() == {MAIN: A, TAG: B}
    remembered.accept(MAIN, B)
    remembered.forget(TAG)
    remembered.forget(TAG)
    assert remembered.all() == {MAIN: B}
    assert run("git", "for-each-ref", cwd=repository.path).stdout == b""


def test_lines_of_rubbish_are_passed_over(repository: Repository) -> None:
    Tips(repository.common_dir).remember({MAIN: A})
    good = file(repository).read_bytes()
    rubbish = (
        b"\n\0\xff\n" + A.encode() + b"\nno id refs/heads/x\n" + A.encode() + b" main\n" + b"c" * 39 + b" refs/x\n"
    )
    file(repository).write_bytes(rubbish + good + A.encode() + b" refs/heads/cut-off")
    assert Tips(repository.common_dir).all() == {MAIN: A}


def test_a_file_of_any_size_is_read_within_bounds(repository: Repository) -> None:
    file(repository).parent.mkdir()
    file(repository).write_bytes(f"{A} refs/tags/v\n".encode() * (tips.MAX_BYTES // 40))
    assert Tips(repository.common_dir).all() == {"refs/tags/v": A}


def test_a_full_memory_keeps_what_it_has(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tips, "MAX_TIPS", 2)
    remembered = Tips(repository.common_dir)
    remembered.remember({MAIN: A, TAG: A})
    remembered.remember({"refs/tags/v2": A, MAIN: B})
    assert remembered.all() == {MAIN: B, TAG: A}


@pytest.mark.parametrize(("ref", "id"), [
    ("main", A), ("refs/heads/a\nb", A), ("refs/heads/x", "HEAD"), ("refs/heads/" + "x" * tips.MAX_REF_BYTES, A),
])  # fmt: skip
def test_what_is_no_full_name_or_id_is_not_remembered(repository: Repository, ref: str, id: str) -> None:
    Tips(repository.common_dir).remember({ref: id})
    assert not file(repository).exists()


def test_a_name_that_is_not_utf8_is_a_name(repository: Repository) -> None:
    name = os.fsdecode(b"refs/heads/\xff")
    Tips(repository.common_dir).remember({name: A})
    assert Tips(repository.common_dir).known(name) == A


def test_two_who_remember_at_once_lose_nothing(repository: Repository) -> None:
    def remember(number: int) -> None:
        for step in range(20):
            Tips(repository.common_dir).remember({f"refs/tags/v{number}.{step}": A})

    threads = [threading.Thread(target=remember, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Tips(repository.common_dir).all()) == 80


def test_a_file_that_cannot_be_read_is_an_error_and_not_nothing(repository: Repository) -> None:
    file(repository).mkdir(parents=True)
    with pytest.raises(Error, match="cannot read"):
        tips.check(repository, MAIN, A)


def test_a_branch_of_ones_own_is_not_remembered_but_a_servers_is(repository: Repository, tmp_path: Path) -> None:
    tips.remember_published(repository, MAIN, {"refs/heads/main": A, MAIN: A})
    assert Tips(repository.common_dir).all() == {MAIN: A}
    tips.remember_published(repository, "refs/heads/main", {"refs/heads/main": A, "refs/heads/other": A})
    assert Tips(repository.common_dir).all() == {MAIN: A, "refs/heads/main": A}, "a mainline of one's own is remembered"
    run("git", "init", "--quiet", "--bare", tmp_path / "bare")
    bare = Repository(tmp_path / "bare")
    tips.remember_published(bare, MAIN, {"refs/heads/main": A})
    assert Tips(bare.common_dir).known("refs/heads/main") == A


@pytest.fixture
def commits(repository: Repository) -> dict[str, str]:
    """a - b - c, and y(x, b) on x on a: y contains b off its first-parent chain."""
    tree = repository.git("mktree", stdin=b"").decode().strip()
    ids: dict[str, str] = {}
    for name, *parents in (("a",), ("b", "a"), ("c", "b"), ("x", "a"), ("y", "x", "b")):
        options = [word for parent in parents for word in ("-p", ids[parent])]
        ids[name] = repository.git("commit-tree", tree, *options, "-m", name).decode().strip()
    return ids


@pytest.mark.parametrize(("tip", "on_chain", "contained"), [
    ("b", True, True), ("c", True, True), ("a", False, False), ("x", False, False), ("y", False, True),
])  # fmt: skip
def test_a_tip_without_the_good_one_is_rewound(
    repository: Repository, commits: dict[str, str], tip: str, on_chain: bool, contained: bool
) -> None:
    assert tips.check(repository, MAIN, commits[tip]) is None, "nothing was good before"
    Tips(repository.common_dir).remember({MAIN: commits["b"]})
    for check, passes in ((tips.check, on_chain), (tips.check_contained, contained)):
        verdict = check(repository, MAIN, commits[tip])
        if passes:
            assert verdict is None
        else:
            assert verdict is not None
            assert (verdict.verdict, verdict.id, verdict.passes) == ("rewound", commits[tip], False)
            assert commits["b"] in verdict.reason


def test_a_good_tip_that_is_gone_from_the_repository_is_rewound_as_well(
    repository: Repository, commits: dict[str, str]
) -> None:
    Tips(repository.common_dir).remember({MAIN: A})
    for check in (tips.check, tips.check_contained):
        verdict = check(repository, MAIN, commits["c"])
        assert verdict is not None and verdict.verdict == "rewound"


def test_a_tag_that_was_good_as_another_object_has_moved(repository: Repository) -> None:
    other = "b" * 40
    assert tips.check_tag(repository, TAG, A) is None
    Tips(repository.common_dir).remember({TAG: A})
    assert tips.check_tag(repository, TAG, A) is None
    verdict = tips.check_tag(repository, TAG, other)
    assert verdict is not None
    assert (verdict.type, verdict.verdict, verdict.id) == ("tag", "tag-moved", other)


def test_all_worktrees_share_what_is_remembered(repository: Repository, tmp_path: Path) -> None:
    env = {"GIT_COMMITTER_NAME": "x", "GIT_COMMITTER_EMAIL": "x@example.com"}
    run("git", "commit", "--quiet", "--allow-empty", "-m", "x", cwd=repository.path, env=env)
    run("git", "worktree", "add", "--quiet", tmp_path / "tree", cwd=repository.path)
    linked = Repository(tmp_path / "tree")
    Tips(linked.common_dir).remember({MAIN: A})
    assert Tips(repository.common_dir).known(MAIN) == A


def test_branches_do_not_crowd_out_the_releases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tips, "MAX_BRANCHES", 2)
    known = tips.Tips(tmp_path)
    assert known.remember({f"refs/remotes/origin/{n}": "1" * 40 for n in range(5)}) == 3
    assert known.remember({"refs/tags/v1": "2" * 40}) == 0
    assert known.known("refs/tags/v1") == "2" * 40
