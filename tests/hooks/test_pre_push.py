"""pre-push: what a push would publish must be good"""

from __future__ import annotations

import time

import pytest

from git_auths.store.tips import Tips
from tests.devices import approved
from tests.people import Person, Project


def unsigned(person: Person) -> str:
    person.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "unsigned")
    return person.head()


def remote_ref(project: Project, ref: str) -> str:
    return project.ada.git("-C", project.server, "rev-parse", "--verify", "--quiet", ref, code=None).stdout.strip()


@pytest.fixture
def ada(project: Project) -> Person:
    """Ada, whose server enforces nothing: what is refused was refused here."""
    (project.server / "hooks/pre-receive").unlink()
    return project.ada


def test_a_good_push_goes_through(project: Project, ada: Person) -> None:
    tip = ada.commit()
    ada.git("push", "--quiet")
    assert remote_ref(project, "refs/heads/main") == tip


def test_a_bad_commit_is_named_with_the_reason(project: Project, ada: Person) -> None:
    bad = unsigned(ada)
    tip = ada.commit()
    done = ada.git("push", code=1)
    assert f"error: refs/heads/main: commit {bad} is unsigned: it carries no signature\n" in done.stderr
    assert tip not in done.stderr
    assert "hint: git commit --amend --no-edit -S" in done.stderr
    assert remote_ref(project, "refs/heads/main") == project.root


def test_one_bad_ref_of_several_refuses_the_push(project: Project, ada: Person) -> None:
    good = ada.commit()
    ada.git("switch", "--quiet", "--create", "feature")
    unsigned(ada)
    ada.git("push", "origin", "main", "feature", code=1)
    assert remote_ref(project, "refs/heads/main") != good


def test_what_is_bad_and_published_only_warns(project: Project, ada: Person) -> None:
    bad = unsigned(ada)
    ada.git("push", "--quiet", "--no-verify")
    tip = ada.commit()
    done = ada.git("push")
    assert (
        f"warning: refs/heads/main: commit {bad} is unsigned: it carries no signature; it is published already"
        in done.stderr
    )
    assert remote_ref(project, "refs/heads/main") == tip


def test_a_non_fast_forward_of_the_mainline_is_refused(project: Project, ada: Person) -> None:
    published = ada.commit()
    ada.git("push", "--quiet")
    ada.git("reset", "--quiet", "--hard", "HEAD~1")
    ada.commit("other")
    assert "rewound" in ada.git("push", "--force", code=1).stderr
    assert remote_ref(project, "refs/heads/main") == published


def test_deleting_the_mainline_is_refused_and_a_feature_branch_is_not(project: Project, ada: Person) -> None:
    ada.git("push", "--quiet", "origin", "main:feature")
    assert "rewound" in ada.git("push", "origin", ":main", code=1).stderr
    ada.git("push", "--quiet", "origin", ":feature")
    assert remote_ref(project, "refs/heads/feature") == ""


def test_a_published_release_is_neither_moved_nor_deleted(project: Project, ada: Person) -> None:
    ada.git("tag", "-s", "-m", "x", "v1")
    ada.git("push", "--quiet", "origin", "v1")
    ada.git("tag", "-f", "-s", "-m", "y", "v1")
    assert "tag-moved" in ada.git("push", "--force", "origin", "v1", code=1).stderr
    assert "tag-moved" in ada.git("push", "origin", ":v1", code=1).stderr


@pytest.mark.parametrize(("make", "word"), [
    (("tag", "--no-sign", "light"), "lightweight-tag"),
    (("tag", "--no-sign", "-a", "-m", "x", "light"), "unsigned"),
])  # fmt: skip
def test_a_tag_that_is_no_signed_release_is_refused(ada: Person, make: tuple[str, ...], word: str) -> None:
    ada.git("-c", "tag.gpgSign=false", *make)
    assert word in ada.git("push", "origin", "light", code=1).stderr


def test_a_clone_without_pins_refuses_where_there_is_a_policy(project: Project, ada: Person) -> None:
    ada.commit()
    ada.git("config", "--unset", "auths.root")
    assert "hint: git auths setup" in ada.git("push", code=1).stderr


def test_a_repository_without_a_policy_is_left_alone(project: Project, ada: Person, newcomer: Person) -> None:
    newcomer.at = newcomer.home / "work"
    newcomer.git("init", "--quiet", newcomer.at, cwd=newcomer.home)
    newcomer.auths("init", "--no-passphrase")
    newcomer.git("commit", "--quiet", "--allow-empty", "-m", "x")
    newcomer.git("push", "--quiet", project.server, "HEAD:refs/heads/other")


def test_the_passphrase_does_not_reach_the_hook_that_was_there(project: Project, ada: Person) -> None:
    ada.auths("hooks", "uninstall")
    hook = ada.at / ".git/hooks/pre-push"
    hook.write_text('#!/bin/sh\necho "passphrase: $AUTHS_PASSPHRASE." >&2\n')
    hook.chmod(0o755)
    ada.auths("hooks", "install")
    ada.commit()
    assert "passphrase: ." in ada.git("push", AUTHS_PASSPHRASE="secret").stderr


def test_a_branch_of_ones_own_publishes_nothing(project: Project, ada: Person) -> None:
    """The mainline pinned by `policy init` is the local one; what is on it only has never been seen by the remote."""
    bad = unsigned(ada)
    done = ada.git("push", "origin", "HEAD:refs/heads/topic", code=1)
    assert f"error: refs/heads/topic: commit {bad} is unsigned" in done.stderr


def test_a_tag_that_lacks_approvals_is_pointed_to_propose(project: Project, ada: Person) -> None:
    project.with_bob("release")
    ada.auths("policy", "set-threshold", "release", "2")
    ada.git("commit", "--quiet", "-m", "A release takes two")
    ada.git("push", "--quiet")
    ada.git("tag", "-s", "-m", "x", "v1")
    assert "hint: git auths propose v1\n" in ada.git("push", "origin", "v1", code=1).stderr


def test_a_clone_that_only_observes_warns_and_lets_pass(project: Project, ada: Person) -> None:
    ada.git("config", "auths.enforce", "observe")
    bad = unsigned(ada)
    assert f"warning: would be refused: refs/heads/main: commit {bad} is unsigned" in ada.git("push").stderr
    assert remote_ref(project, "refs/heads/main") == bad
    ada.git("config", "--unset", "auths.root")
    unsigned(ada)
    assert "would be refused: refs/heads/main has a policy, but no trust root" in ada.git("push").stderr
    ada.git("config", "auths.enforce", "yes")
    ada.commit()
    assert "auths.enforce is 'yes'" in ada.git("push", code=1).stderr


def test_a_push_that_would_seal_a_rewind_is_refused(project: Project, ada: Person) -> None:
    """Row 37: the server has lost what Bob saw; what he then builds on the older tip would make that so."""
    bob = project.with_bob("commit").bob
    published = ada.commit()
    ada.git("push", "--quiet")
    bob.git("pull", "--quiet", "--ff-only")
    older = bob.git("rev-parse", "HEAD~1").stdout.strip()
    bob.git("update-ref", "refs/heads/main", older, cwd=project.server)
    bob.git("fetch", "--quiet")
    bob.git("reset", "--quiet", "--hard", older)
    bob.commit("other")
    done = bob.git("push", code=1)
    assert f"does not contain {published}, which was good there before (rewound)" in done.stderr
    assert "git auths accept-rewind" in done.stderr
    bob.auths("accept-rewind", "--yes")
    bob.git("push", "--quiet")


def test_a_release_that_was_deleted_is_not_made_anew(project: Project, ada: Person) -> None:
    """Row 26: the server knows nothing of it any more, this clone does."""
    ada.git("tag", "-s", "-m", "x", "v1")
    first = ada.git("rev-parse", "refs/tags/v1").stdout.strip()
    Tips(ada.at / ".git").remember({"refs/tags/v1": first})
    ada.git("push", "--quiet", "origin", "v1")
    ada.git("update-ref", "-d", "refs/tags/v1", cwd=project.server)
    ada.git("push", "--quiet", "origin", "v1")
    ada.git("update-ref", "-d", "refs/tags/v1", cwd=project.server)
    ada.git("tag", "-f", "-s", "-m", "y", "v1")
    done = ada.git("push", "origin", "v1", code=1)
    assert f"refs/tags/v1: it was good as {first} before (tag-moved)" in done.stderr
    assert "git auths accept-rewind refs/tags/v1" in done.stderr


def test_a_tip_that_is_not_here_is_fetched_first(project: Project, ada: Person) -> None:
    bob = project.with_bob("commit").bob
    bob.commit()
    bob.git("push", "--quiet")
    ada.commit("other")
    done = ada.git("push", "--force", code=1)
    assert f"does not contain {bob.head()}, which is published (rewound)" in done.stderr


@pytest.mark.parametrize("days", [29, 31])
def test_a_right_that_ends_within_30_days_is_warned_of(project: Project, ada: Person, days: int) -> None:
    ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + days * 24 * 3600))
    policy = ada.at / ".auths/policy.toml"
    text = policy.read_text()
    policy.write_text(text.replace(f'[signer."{ada.did()}"]', f'[signer."{ada.did()}"]\nexpires_at = {ends}'))
    ada.git("commit", "--quiet", "-a", "-m", "Until then")
    done = ada.git("push", "--quiet")
    told = f"warning: a right to sign ends within 30 days, or has ended: of {ada.did()} (ada)\nhint: git auths receive"
    assert (told in done.stderr) is (days == 29)
    assert remote_ref(project, "refs/heads/main") == ada.head()


def test_the_own_grant_that_ends_soon_is_warned_of_and_no_other(project: Project) -> None:
    laptop = approved(project, "--expires", "30d")
    laptop.commit()
    assert "a right to sign ends within 30 days" in laptop.git("push").stderr
    project.ada.git("pull", "--quiet", "--ff-only")
    project.ada.commit()
    assert "a right to sign ends" not in project.ada.git("push").stderr
