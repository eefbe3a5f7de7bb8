"""git auths accept-rewind, and what remembers and finds out the rewind"""

from __future__ import annotations

import os
import pty
import subprocess

import pytest

from git_auths.store.repository import Repository
from git_auths.store.tips import Tips
from tests.people import Person, Project

MAINLINE = "refs/remotes/origin/main"


def tips(person: Person) -> Tips:
    return Tips(Repository(person.at).common_dir)


@pytest.fixture
def rewound(project: Project) -> tuple[Project, str]:
    """Bob has seen a commit of Ada's that the server then lost; its id."""
    (project.server / "hooks/pre-receive").unlink()
    ada = project.ada
    ada.git("config", "core.hooksPath", "/nowhere")
    tip = ada.commit(message="Lost \x1b[31mwork")
    ada.git("push", "--quiet")
    project.bob.git("pull", "--quiet", "--ff-only")
    assert tips(project.bob).known(MAINLINE) == tip
    ada.git("reset", "--quiet", "--hard", "HEAD~1")
    ada.git("push", "--quiet", "--force")
    project.bob.git("fetch", "--quiet")
    return project, tip


def test_setup_remembers_the_mainline(project: Project) -> None:
    assert tips(project.bob).known(MAINLINE) == project.root


def test_a_rewound_mainline_is_found_out_and_changes_nothing(rewound: tuple[Project, str]) -> None:
    project, tip = rewound
    done = project.bob.auths("setup", code=1)
    assert f"{MAINLINE} was good at {tip}, and {project.root} does not contain it (rewound)" in done.stderr
    assert f"hint: git auths accept-rewind {MAINLINE}" in done.stderr
    assert tips(project.bob).known(MAINLINE) == tip


def test_a_pull_of_a_rewound_mainline_warns(rewound: tuple[Project, str]) -> None:
    project, tip = rewound
    project.bob.git("branch", "--quiet", "other", project.root)
    project.bob.git("reset", "--quiet", "--hard", project.root)
    project.bob.git("config", "user.useConfigOnly", "false")
    project.ada.commit("other")
    project.ada.git("push", "--quiet")
    assert "(rewound)" in project.bob.git("pull", "--quiet", "--ff-only").stderr
    assert tips(project.bob).known(MAINLINE) == tip


def test_it_shows_what_is_lost_and_accepts_it(rewound: tuple[Project, str]) -> None:
    project, tip = rewound
    done = project.bob.auths("accept-rewind", "--yes")
    assert f"{tip}" in done.stderr
    assert "1 commit lost:" in done.stderr
    assert r"Lost \x1b[31mwork" in done.stderr
    assert tips(project.bob).known(MAINLINE) == project.root
    project.bob.auths("setup")


def test_without_terminal_and_yes_nothing_is_accepted(rewound: tuple[Project, str]) -> None:
    project, tip = rewound
    done = project.bob.auths("accept-rewind", code=128)
    assert "1 commit lost" in done.stderr
    assert tips(project.bob).known(MAINLINE) == tip


@pytest.mark.parametrize(("typed", "code"), [(b"y\n", 0), (b"n\n", 1), (b"\n", 1)])
def test_on_a_terminal_it_asks(rewound: tuple[Project, str], typed: bytes, code: int) -> None:
    project, tip = rewound
    leader, follower = pty.openpty()
    process = subprocess.Popen(["git", "auths", "accept-rewind"], cwd=project.bob.at, env=project.bob.environment,
                               stdin=follower, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    os.close(follower)
    os.write(leader, typed)
    _, said = process.communicate(timeout=30)
    os.close(leader)
    assert process.returncode == code
    assert f"Accept {MAINLINE} as it is now? [y/N]".encode() in said
    assert (tips(project.bob).known(MAINLINE) == tip) is (code == 1)


def test_what_goes_forward_is_not_rewound(project: Project) -> None:
    project.ada.commit()
    project.ada.git("push", "--quiet")
    project.bob.git("fetch", "--quiet")
    assert "is not rewound" in project.bob.auths("accept-rewind").stderr
    assert tips(project.bob).known(MAINLINE) == project.root


def test_an_inverted_mainline_is_one_that_loses_no_commit(project: Project) -> None:
    """The good tip is still contained, but no longer on the first-parent chain."""
    bob = project.bob
    project.ada.commit()
    project.ada.git("push", "--quiet")
    bob.git("pull", "--quiet", "--ff-only")
    good = bob.head()
    tree = bob.git("rev-parse", "HEAD^{tree}").stdout.strip()
    side = bob.git("commit-tree", tree, "-p", project.root, "-m", "side").stdout.strip()
    foxtrot = bob.git("commit-tree", tree, "-p", side, "-p", good, "-m", "merge").stdout.strip()
    bob.git("update-ref", MAINLINE, foxtrot)
    assert "no commit is lost, but" in bob.auths("accept-rewind", "--yes").stderr
    assert tips(bob).known(MAINLINE) == foxtrot


def test_a_tag_that_moved_and_one_that_is_gone(project: Project) -> None:
    bob = project.bob
    first, second = "refs/tags/v1", "refs/tags/v2"
    tips(bob).remember({first: "1" * 40, second: project.root})
    bob.git("tag", "--no-sign", "v1")
    assert "(not here)" in bob.auths("accept-rewind", "v1", "--yes").stderr
    assert tips(bob).known(first) == project.root
    assert "is now       deleted" in bob.auths("accept-rewind", "v2", "--yes").stderr
    assert tips(bob).known(second) is None


def test_a_name_that_could_be_two_refs_is_asked_for_in_full(project: Project) -> None:
    """Row 70: a tag that is named like the branch."""
    bob = project.bob
    tips(bob).remember({"refs/heads/main": "1" * 40, "refs/tags/main": "1" * 40})
    assert "refs/heads/main or refs/tags/main" in bob.auths("accept-rewind", "main", code=129).stderr
    bob.auths("accept-rewind", "refs/tags/main", "--yes")
    assert tips(bob).known("refs/heads/main") == "1" * 40


def test_of_what_nothing_is_remembered_nothing_can_be_accepted(project: Project, newcomer: Person) -> None:
    for name in ("refs/heads/none", "none"):
        assert "nothing is remembered" in project.bob.auths("accept-rewind", name, code=128).stderr
    newcomer.git("init", "--quiet", newcomer.at)
    assert "unpinned-root" in newcomer.auths("accept-rewind", code=1).stderr
