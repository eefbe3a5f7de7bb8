"""git auths status"""

from __future__ import annotations

import json

from tests.devices import approved, did
from tests.people import Person, Project


def test_it_tells_what_is_pinned_who_signs_and_whether_all_is_good(ada: Person) -> None:
    told = json.loads(ada.auths("status", "--json").stdout)
    assert told["version"] == 1
    assert (told["root"], told["mainline"], told["mainline_good"]) == (ada.head(), "refs/heads/main", True)
    assert (told["did"], told["key_in_agent"]) == (ada.did(), False)
    assert told["rules"] == ["policy.commit[0]", "policy.release[0]", "policy.admin[0]"]
    assert told["hooks"] == ["pre-push", "pre-commit", "post-merge", "post-checkout", "post-rewrite"]
    assert "mainline  refs/heads/main good" in ada.auths("status").stdout


def test_an_unlisted_person_is_told_so(project: Project) -> None:
    assert "in no rule of the policy" in project.bob.auths("status").stdout


def test_a_bad_mainline_is_named_with_exit_1(ada: Person) -> None:
    ada.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "unsigned")
    assert f"NOT GOOD: {ada.head()} unsigned" in ada.auths("status", code=1).stdout


def test_an_unpinned_clone_is_pointed_to_setup(newcomer: Person) -> None:
    newcomer.git("init", "--quiet", newcomer.at)
    done = newcomer.auths("status", code=1)
    assert "root      not pinned" in done.stdout
    assert "hint: git auths setup" in done.stderr


def test_a_rewound_mainline_is_not_good(project: Project) -> None:
    project.ada.commit()
    project.ada.git("push", "--quiet")
    bob = project.bob
    bob.git("pull", "--quiet", "--ff-only")
    assert "origin/main good" in bob.auths("status").stdout
    bob.auths("verify", "origin/main")
    bob.git("update-ref", "refs/remotes/origin/main", project.root)
    assert f"NOT GOOD: {project.root} rewound" in bob.auths("status", code=1).stdout


def test_the_rules_of_a_bad_mainline_are_shown_as_what_they_are(ada: Person) -> None:
    ada.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "unsigned")
    listed = "policy.commit[0], policy.release[0], policy.admin[0], by a mainline that is not good"
    assert f"listed    {listed}\n" in ada.auths("status", code=1).stdout


def test_without_a_policy_nobody_is_said_to_be_unlisted(ada: Person) -> None:
    ada.git("config", "auths.root", "1" * 40)
    assert "listed    not known" in ada.auths("status", code=1).stdout


def test_a_device_is_shown_with_its_owner_and_what_it_may_sign(project: Project) -> None:
    laptop = approved(project, "--capability", "sign_commit")
    told = json.loads(laptop.auths("status", "--json").stdout)
    assert (told["kind"], told["delegator"], told["sn"]) == ("device", project.ada.did(), 0)
    assert told["rules"] == ["policy.commit[0]"]
    assert [(one["did"], one["kind"]) for one in told["delegates"]] == [(did(laptop), "device")]
    shown = laptop.auths("status").stdout
    assert f"owner     {project.ada.did()}, who has it as device laptop\n" in shown
    assert f"device    laptop {did(laptop)} active, until 20" in shown


def test_a_log_that_lags_and_the_next_key_are_shown(ada: Person) -> None:
    ada.git("branch", "side")
    ada.auths("rotate")
    assert not json.loads(ada.auths("status", "--json").stdout)["lags"]
    ada.git("switch", "--quiet", "side")
    assert json.loads(ada.auths("status", "--json").stdout)["lags"]
    shown = ada.auths("status").stdout
    assert "log       event 1, which HEAD does not have yet\n" in shown
    assert f"next key  {ada.home}/auths/identities/main/next\n" in shown
