"""pre-commit: a staged policy must parse and be met"""

from __future__ import annotations

from tests.people import Person


def test_a_broken_policy_is_not_committed(ada: Person) -> None:
    before = ada.head()
    (ada.at / ".auths/policy.toml").write_text("[policy\n")
    done = ada.git("commit", "--quiet", "-a", "-m", "oops", code=1)
    assert "policy.toml:1:" in done.stderr
    assert ada.head() == before


def test_a_threshold_that_nobody_can_meet_is_not_committed(ada: Person) -> None:
    policy = ada.at / ".auths/policy.toml"
    policy.write_text(policy.read_text().replace("require = 1", "require = 2", 1))
    assert "require is 2" in ada.git("commit", "--quiet", "-a", "-m", "oops", code=1).stderr


def test_other_commits_are_not_held_up_by_a_broken_working_tree(ada: Person) -> None:
    (ada.at / ".auths/policy.toml").write_text("[policy\n")
    ada.commit()


def test_the_hook_that_was_there_still_decides(ada: Person) -> None:
    kept = ada.at / ".git/hooks/pre-commit.before-auths"
    kept.write_text("#!/bin/sh\nexit 1\n")
    kept.chmod(0o755)
    (ada.at / "file").write_text("x")
    ada.git("add", "file")
    ada.git("commit", "--quiet", "-m", "x", code=1)
