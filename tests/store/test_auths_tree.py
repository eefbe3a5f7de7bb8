"""`.auths` with files laid over it in memory"""

from __future__ import annotations

import pytest

from git_auths.errors import Error
from git_auths.store.auths_tree import AuthsTree, committed, staged
from git_auths.store.repository import Objects, Repository
from tests.people import Person

NAMES = ("grants.txt", "grants/a", "grants/b/c", "grants-", "kels0", "\u00e9")


@pytest.fixture
def repository(ada: Person) -> Repository:
    return Repository(ada.at)


def test_the_tree_is_the_one_that_git_makes(ada: Person, repository: Repository) -> None:
    with Objects(ada.at) as objects:
        tree = AuthsTree(repository, objects, committed(repository, ada.head()))
        assert tree.tree() == ada.git("rev-parse", "HEAD:.auths").stdout.strip()
        for name in NAMES:
            tree.put(name, name.encode())
            (ada.at / ".auths" / name).parent.mkdir(exist_ok=True, parents=True)
            (ada.at / ".auths" / name).write_text(name)
        ada.git("add", ".auths")
        assert tree.tree() == ada.git("write-tree", "--prefix=.auths/").stdout.strip()
        assert staged(repository) == tree.entries


def test_nothing_is_written_before_it_is_asked_for(ada: Person, repository: Repository) -> None:
    with Objects(ada.at) as objects:
        tree = AuthsTree(repository, objects, committed(repository, ada.head()))
        tree.put("adopted", b"x\n")
        assert not repository.has(tree.tree())
        tree.write(repository)
    assert ada.git("show", f"{tree.tree()}:adopted").stdout == "x\n"


def test_what_is_there_already_is_no_change(ada: Person, repository: Repository) -> None:
    with Objects(ada.at) as objects:
        tree = AuthsTree(repository, objects, committed(repository, ada.head()))
        tree.put("policy.toml", (ada.at / ".auths/policy.toml").read_bytes())
    assert tree.files == {}


def test_a_file_in_conflict_is_told(ada: Person, repository: Repository) -> None:
    ada.git("switch", "--quiet", "--create", "side")
    for branch, text in (("side", "# one\n"), ("main", "# two\n")):
        ada.git("switch", "--quiet", branch)
        with (ada.at / ".auths/policy.toml").open("a") as policy:
            policy.write(text)
        ada.git("commit", "--quiet", "-a", "-m", branch)
    ada.git("merge", "side", code=1)
    with pytest.raises(Error, match=r"\.auths/policy\.toml is in conflict"):
        staged(repository)


def test_a_file_in_the_folders_place_is_told(ada: Person, repository: Repository) -> None:
    ada.git("rm", "--quiet", "-r", ".auths")
    (ada.at / ".auths").write_text("x")
    ada.git("add", ".auths")
    with pytest.raises(Error, match="is no folder"):
        staged(repository)
