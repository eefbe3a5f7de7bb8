"""pre-receive: the server refuses what is not good, from whoever pushes it with whatever"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.people import Person, Project


@pytest.fixture
def mallory(project: Project) -> Person:
    """With write access, and none of our software in her clone."""
    person = Person(project.folder, "mallory")
    person.at = person.home / "work"
    person.git("clone", "--quiet", project.server, person.at, cwd=person.home)
    return person


def refs(project: Project) -> str:
    return project.ada.git("-C", project.server, "for-each-ref").stdout


def test_an_unsigned_commit_from_plain_git_is_refused(project: Project, mallory: Person) -> None:
    before = refs(project)
    bad = mallory.commit()
    done = mallory.git("push", code=1)
    assert f"remote: error: refs/heads/main: commit {bad} is unsigned" in done.stderr
    assert refs(project) == before


def test_it_does_not_help_to_push_with_no_verify(project: Project) -> None:
    project.bob.git("config", "auths.enforceOnSign", "false")
    project.bob.commit()
    assert "unknown-key" in project.bob.git("push", "--no-verify", code=1).stderr


def test_a_good_push_is_accepted_and_no_ref_of_ours_is_written(project: Project) -> None:
    project.ada.commit()
    project.ada.git("push", "--quiet", "--no-verify")
    assert [line.split("\t")[1] for line in refs(project).splitlines()] == ["refs/heads/main"]


def test_pushed_objects_are_found_in_the_quarantine(project: Project) -> None:
    """A push of many objects is a pack, a push of few is loose objects (receive.unpackLimit); both are judged."""
    for limit in ("1", "10000"):
        project.ada.git("-C", project.server, "config", "receive.unpackLimit", limit)
        project.ada.commit()
        project.ada.git("push", "--quiet", "--no-verify")


def test_the_first_push_into_an_empty_server(project: Project, tmp_path: Path) -> None:
    ada, server = project.ada, tmp_path / "second.git"
    ada.commit()
    ada.git("init", "--quiet", "--bare", server)
    ada.auths("hooks", "install", "--server", cwd=server)
    done = ada.git("push", "--no-verify", server, "main", code=1)
    assert "remote: hint: on the server: git auths root pin OID" in done.stderr
    ada.auths("root", "pin", "--mainline", "refs/heads/main", "1" * 40, cwd=server)
    assert "outside-root" in ada.git("push", "--no-verify", server, "main", code=1).stderr
    ada.auths("root", "pin", "--replace", "1" * 40, project.root, cwd=server)
    ada.git("push", "--quiet", "--no-verify", server, "main")


def test_a_branch_cannot_come_before_the_mainline(project: Project, tmp_path: Path) -> None:
    ada, server = project.ada, tmp_path / "second.git"
    ada.git("init", "--quiet", "--bare", server)
    ada.auths("root", "pin", "--mainline", "refs/heads/main", project.root, cwd=server)
    ada.auths("hooks", "install", "--server", cwd=server)
    assert (
        "mainline refs/heads/main does not exist" in ada.git("push", "--no-verify", server, "main:other", code=1).stderr
    )


def test_what_another_branch_has_is_still_new_to_the_mainline(project: Project) -> None:
    """A branch that no rule governs takes an unsigned commit; the mainline does not take it from there."""
    ada = project.ada
    policy = ada.at / ".auths/policy.toml"
    policy.write_text(policy.read_text().replace("[[policy.commit]]\n", '[[policy.commit]]\nbranches = ["main"]\n', 1))
    ada.git("commit", "--quiet", "-a", "-m", "Only main is governed")
    ada.git("push", "--quiet")
    ada.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "unsigned")
    ada.git("push", "--quiet", "--no-verify", "origin", "main:wild")
    assert "unsigned" in ada.git("push", "--no-verify", "origin", "main", code=1).stderr


def test_the_mainline_is_neither_rewound_nor_deleted(project: Project) -> None:
    ada = project.ada
    ada.git("-C", project.server, "config", "receive.denyDeleteCurrent", "ignore")
    ada.commit()
    ada.git("push", "--quiet")
    for refspec in (f"+{project.root}:refs/heads/main", ":refs/heads/main"):
        assert "rewound" in ada.git("push", "--no-verify", "origin", refspec, code=1).stderr


def test_notes_lose_no_line(project: Project) -> None:
    ada = project.ada
    for key in ("a", "b"):
        ada.git("notes", "--ref", "auths", "append", "-m", f'{{"{key}":1}}')
    ada.git("push", "--quiet", "--no-verify", "origin", "refs/notes/auths")
    ada.git("notes", "--ref", "auths", "add", "-f", "-m", '{"a":1}')
    assert "would lose an attestation" in ada.git("push", "--no-verify", "origin", "refs/notes/auths", code=1).stderr
    assert "never deleted" in ada.git("push", "--no-verify", "origin", ":refs/notes/auths", code=1).stderr


def test_a_proposal_is_taken_and_is_no_tag(project: Project) -> None:
    project.ada.git("tag", "-s", "-m", "x", "v1")
    project.ada.git("push", "--quiet", "--no-verify", "origin", "v1:refs/auths/proposals/tags/v1")


def test_the_hook_that_was_there_runs_first(project: Project, mallory: Person) -> None:
    kept = project.server / "hooks/pre-receive.before-auths"
    kept.write_text("#!/bin/sh\necho the old hook: $(cat)\nexit 1\n")
    kept.chmod(0o755)
    done = project.ada.commit() and project.ada.git("push", "--no-verify", code=1)
    assert "remote: the old hook: " in done.stderr
    assert "refs/heads/main" in done.stderr


def test_over_a_file_url_as_over_a_path(project: Project) -> None:
    """The same through git's transport instead of its local short cut."""
    project.ada.commit()
    project.ada.git("push", "--quiet", "--no-verify", f"file://{project.server}", "main")
    project.ada.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "unsigned")
    assert "unsigned" in project.ada.git("push", "--no-verify", f"file://{project.server}", "main", code=1).stderr


def test_rules_that_a_published_bad_commit_changed_judge_nothing(project: Project) -> None:
    """Bob listed himself while the server had no hook; with the hook back, what he then signs is refused."""
    bob = project.with_bob("release").bob
    hook = project.server / "hooks/pre-receive"
    kept = hook.read_bytes()
    hook.unlink()
    bob.git("config", "auths.enforceOnSign", "false")
    bob.auths("policy", "add-signer", bob.did(), "--role", "commit")
    bob.git("commit", "--quiet", "-m", "Let me commit")
    bob.git("push", "--quiet", "--no-verify")
    hook.write_bytes(kept)
    hook.chmod(0o755)
    bob.commit()
    done = bob.git("push", "--no-verify", code=1)
    assert "nothing can be judged by rules that it changed" in done.stderr


@pytest.mark.parametrize("ref", ["refs/foo/x", "refs/remotes/x/y", "refs/pull/1/head", "refs/auths/x"])
def test_a_ref_that_is_neither_branch_nor_tag_publishes_as_well(project: Project, mallory: Person, ref: str) -> None:
    bad = mallory.commit()
    assert f"commit {bad} is unsigned" in mallory.git("push", "origin", f"HEAD:{ref}", code=1).stderr


def test_what_was_only_proposed_is_not_published(project: Project) -> None:
    """A proposal is not judged, so the commit behind it is as new to a branch as it ever was."""
    ada = project.ada
    ada.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "unsigned")
    ada.git("tag", "-s", "-m", "x", "v1")
    ada.git("push", "--quiet", "--no-verify", "origin", "v1:refs/auths/proposals/tags/v1")
    assert "is unsigned" in ada.git("push", "--no-verify", "origin", "main:feature", code=1).stderr


@pytest.mark.parametrize(("ref", "word"), [
    ("refs/replace/{tip}", "a replaced object"),
    ("refs/auths/proposals/tags/v1", "only a tag object can be proposed"),
    ("refs/notes/auths/x", "would stand in the way"),
    ("refs/notes/auths", "no attestations"),
])  # fmt: skip
def test_what_would_mislead_or_block_others_is_refused(project: Project, ref: str, word: str) -> None:
    ada = project.ada
    tip = ada.head()
    ada.git("notes", "--ref", "rubbish", "add", "-m", "rubbish")
    source = "refs/notes/rubbish" if "notes" in ref else "HEAD"
    assert word in ada.git("push", "--no-verify", "origin", f"{source}:{ref.format(tip=tip)}", code=1).stderr


def test_notes_are_a_commit(project: Project) -> None:
    blob = project.ada.git("rev-parse", "HEAD:.auths/policy.toml").stdout.strip()
    done = project.ada.git("push", "--no-verify", "origin", f"{blob}:refs/notes/auths", code=1)
    assert "it is no commit" in done.stderr


def test_an_update_whose_old_id_is_a_lie_decides_nothing(project: Project) -> None:
    """git checks old ids only after the hook, each ref by itself: the mainline's would fail, the other's would land."""
    ada = project.ada
    ada.commit()
    ada.git("push", "--quiet")
    zeros = "0" * 40
    lines = f"{zeros} {project.root} refs/heads/main\n{zeros} {ada.head()} refs/heads/other\n"
    done = subprocess.run([project.server / "hooks/pre-receive"], cwd=project.server, input=lines, text=True,
                          env={**ada.environment, "GIT_DIR": "."}, capture_output=True, check=False)  # fmt: skip
    assert done.returncode == 1
    assert "refs/heads/main is not where this push takes it to be" in done.stderr
