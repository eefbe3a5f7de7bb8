"""git auths propose, approve, publish, verify-tag and sync: a release that takes two"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.people import Person, Project


@pytest.fixture(scope="module")
def duo_template(template: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = template.copied(tmp_path_factory.mktemp("duo")).with_bob("commit", "release")
    project.ada.auths("policy", "set-threshold", "release", "2")
    project.ada.git("commit", "--quiet", "-m", "A release takes two")
    project.ada.git("push", "--quiet")
    project.bob.git("pull", "--quiet", "--ff-only")
    project.ada.git("tag", "-s", "-m", "The first", "v1.0.0")
    return project


@pytest.fixture
def duo(duo_template: Project, tmp_path: Path) -> Project:
    """Ada and Bob must both sign a release; Ada has tagged v1.0.0."""
    return duo_template.copied(tmp_path)


def verdict(person: Person, name: str = "v1.0.0") -> tuple[str, int, int]:
    (judged,) = person.ask("verify-tag", name)["objects"]
    return judged["verdict"], judged["approvals"]["have"], judged["approvals"]["need"]


def server_refs(project: Project) -> list[str]:
    return project.ada.git("-C", project.server, "for-each-ref", "--format=%(refname)").stdout.splitlines()


def test_the_whole_way(duo: Project) -> None:
    assert verdict(duo.ada) == ("threshold-unmet", 1, 2)
    assert "threshold-unmet" in duo.ada.git("push", "origin", "v1.0.0", code=1).stderr
    assert "threshold-unmet" in duo.ada.git("push", "--no-verify", "origin", "v1.0.0", code=1).stderr
    duo.ada.auths("propose", "v1.0.0")
    assert server_refs(duo) == ["refs/auths/proposals/tags/v1.0.0", "refs/heads/main"]
    done = duo.bob.auths("approve", "v1.0.0")
    assert "hint: it lacks nothing more: git auths publish v1.0.0" in done.stderr
    duo.bob.auths("publish", "v1.0.0")
    assert server_refs(duo) == ["refs/heads/main", "refs/notes/auths", "refs/tags/v1.0.0"]
    assert verdict(duo.bob) == ("good", 2, 2)
    carol = Person(duo.folder, "carol")
    carol.at = carol.home / "work"
    carol.git("clone", "--quiet", duo.server, carol.at, cwd=carol.home)
    carol.auths("setup", "--root", duo.root, "--yes")
    carol.git("remote", "set-url", "origin", "/nowhere")
    assert verdict(carol) == ("good", 2, 2)
    assert carol.auths("verify-tag", "v1.0.0").stdout.splitlines()[1] == "2 of 2 have signed or approved it"


def test_approve_publish_does_both(duo: Project) -> None:
    duo.ada.auths("propose", "v1.0.0")
    duo.bob.auths("approve", "--publish", "v1.0.0")
    assert "refs/tags/v1.0.0" in server_refs(duo)


def test_a_tag_that_lacks_approvals_is_not_published(duo: Project) -> None:
    done = duo.ada.auths("publish", "v1.0.0", code=1)
    assert "threshold-unmet" in done.stderr
    assert "hint: git auths approve v1.0.0" in done.stderr
    assert server_refs(duo) == ["refs/heads/main"]


def test_a_tag_that_lacks_nothing_is_not_proposed(project: Project) -> None:
    project.ada.git("tag", "-s", "-m", "x", "v1")
    assert "hint: git auths publish v1" in project.ada.auths("propose", "v1", code=1).stderr
    project.ada.auths("publish", "v1")
    assert "refs/tags/v1" in server_refs(project)


def test_an_approval_by_somebody_unlisted_is_not_made(duo: Project) -> None:
    carol = Person(duo.folder, "carol")
    carol.clone(duo.server, duo.root)
    duo.ada.auths("propose", "v1.0.0")
    assert "would not count" in carol.auths("approve", "v1.0.0", code=1).stderr
    assert carol.git("rev-parse", "--verify", "--quiet", "refs/notes/auths", code=1).stdout == ""


def test_approving_ones_own_tag_counts_once(duo: Project) -> None:
    duo.ada.auths("approve", "v1.0.0")
    assert verdict(duo.ada) == ("threshold-unmet", 1, 2)


def test_a_tag_that_differs_from_the_proposed_one_is_not_approved(duo: Project) -> None:
    duo.ada.auths("propose", "v1.0.0")
    duo.bob.git("tag", "-s", "-m", "another", "v1.0.0")
    done = duo.bob.auths("approve", "v1.0.0", code=1)
    assert "is proposed" in done.stderr


def test_two_who_approve_at_once_do_not_conflict(duo: Project) -> None:
    duo.ada.git("tag", "-s", "-m", "The second", "v2.0.0")
    duo.ada.auths("propose", "v1.0.0")
    duo.ada.auths("propose", "v2.0.0")
    duo.bob.auths("approve", "--no-push", "v1.0.0", code=128)  # nothing was fetched: it is not known here
    for name in ("v1.0.0", "v2.0.0"):
        duo.bob.git("fetch", "--quiet", "origin", f"refs/auths/proposals/tags/{name}:refs/auths/proposals/tags/{name}")
    duo.bob.auths("approve", "--no-push", "v1.0.0")
    duo.ada.auths("approve", "v1.0.0")
    assert "1 new here, 1 new there" in duo.bob.auths("sync").stderr
    duo.bob.auths("publish", "v1.0.0")
    assert verdict(duo.ada, "v1.0.0")[0] == "threshold-unmet"
    duo.ada.auths("sync")
    assert verdict(duo.ada, "v1.0.0") == ("good", 2, 2)


def test_the_push_hook_takes_the_notes_along(duo: Project) -> None:
    duo.ada.auths("approve", "--no-push", "v1.0.0")
    duo.ada.commit()
    duo.ada.git("push", "--quiet", "origin", "main")
    assert "refs/notes/auths" in server_refs(duo)


def test_verify_tag_without_notes_says_how_to_get_them(duo: Project) -> None:
    done = duo.ada.auths("verify-tag", "v1.0.0", code=1)
    assert "hint: no attestations are here (refs/notes/auths): git auths sync" in done.stderr


def test_a_missing_tag_is_an_error(duo: Project) -> None:
    for command in ("verify-tag", "propose", "publish", "approve"):
        done = duo.ada.auths(command, "v9", code=128)
        assert "v9" in done.stderr
        assert done.stderr.startswith("error: ")


def test_commits_that_take_two_are_approved_by_range(duo: Project) -> None:
    duo.ada.auths("policy", "set-threshold", "commit", "2")
    duo.ada.git("commit", "--quiet", "-m", "Commits take two")
    duo.ada.git("push", "--quiet")
    tip = duo.ada.commit()
    (judged,) = duo.ada.ask("verify")["objects"]
    assert (judged["id"], judged["verdict"], judged["rule"]) == (tip, "threshold-unmet", "policy.commit[0]")
    assert "threshold-unmet" in duo.ada.git("push", code=1).stderr
    duo.bob.git("fetch", "--quiet", duo.ada.at, "main:review")
    duo.bob.auths("approve", "origin/main..review")
    duo.ada.auths("sync")
    assert duo.ada.ask("verify")["ok"]
    duo.ada.git("push", "--quiet")


def test_sync_without_a_remote_says_so(ada: Person) -> None:
    assert "hint: git remote add origin URL" in ada.auths("sync", code=128).stderr


def test_a_release_is_not_judged_by_a_mainline_that_is_not_good(project: Project) -> None:
    """Bob puts himself among the release signers on a server without a hook, and tags an old good commit."""
    project.with_bob("commit")
    bob = project.bob
    (project.server / "hooks/pre-receive").unlink()
    bob.git("config", "auths.enforceOnSign", "false")
    good = bob.head()
    bob.auths("policy", "add-signer", bob.did(), "--role", "release")
    bob.git("commit", "--quiet", "-m", "Let me release")
    bob.git("push", "--quiet", "--no-verify")
    bob.git("tag", "-s", "-m", "x", "v1", good)
    bob.git("push", "--quiet", "--no-verify", "origin", "v1")
    project.ada.git("fetch", "--quiet", "--tags")
    project.ada.git("merge", "--quiet", "--ff-only", "origin/main")
    (judged,) = project.ada.ask("verify-tag", "v1")["objects"]
    assert judged["verdict"] == "policy-change-unauthorized"


def test_a_proposal_that_changed_since_it_was_seen_is_not_approved(duo: Project) -> None:
    duo.ada.auths("propose", "v1.0.0")
    duo.bob.git("fetch", "--quiet", "origin", "refs/auths/proposals/tags/v1.0.0:refs/auths/proposals/tags/v1.0.0")
    duo.ada.commit("backdoor")
    duo.ada.git("push", "--quiet")
    duo.ada.git("tag", "-f", "-s", "-m", "The first", "v1.0.0")
    duo.ada.auths("propose", "v1.0.0")
    done = duo.bob.auths("approve", "--publish", "v1.0.0", code=1)
    assert "the proposal v1.0.0 has changed" in done.stderr
    assert "refs/tags/v1.0.0" not in server_refs(duo)


def test_a_tag_that_is_named_like_a_commit_or_a_branch_is_not_approved(duo: Project) -> None:
    commit = duo.bob.head()[:12]
    for name, word in ((commit, "looks like an object id"), ("main", "is a branch as well")):
        duo.ada.git("tag", "-s", "-m", "x", name)
        tag = duo.ada.git("rev-parse", f"refs/tags/{name}").stdout.strip()
        assert word in duo.ada.auths("propose", name, code=1).stderr
        duo.ada.git("push", "--quiet", "--no-verify", "origin", f"{tag}:refs/auths/proposals/tags/{name}")
        assert word in duo.bob.auths("approve", name, code=1).stderr


def test_a_tag_that_is_only_proposed_is_said_to_be_so(duo: Project) -> None:
    duo.ada.auths("propose", "v1.0.0")
    duo.bob.auths("approve", "v1.0.0")
    done = duo.bob.auths("verify-tag", "v1.0.0", code=128)
    assert "v1.0.0 is proposed, but not published" in done.stderr
