"""git auths verify-commit"""

from __future__ import annotations

import pytest

from tests.people import Person, Project


def test_a_good_commit_is_shown_with_its_signer(ada: Person) -> None:
    tip = ada.commit()
    answer = ada.ask("verify-commit")
    assert [(o["id"], o["verdict"], o["signer"]) for o in answer["objects"]] == [(tip, "good", ada.did())]
    assert ada.auths("verify-commit").stdout == f"good {tip} by {ada.did()}\n"


def test_a_bad_ancestor_is_reported_instead(ada: Person) -> None:
    ada.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "unsigned")
    bad = ada.head()
    ada.commit()
    assert [(o["id"], o["verdict"]) for o in ada.ask("verify-commit")["objects"]] == [(bad, "unsigned")]


def test_an_unlisted_signer_is_unauthorized(project: Project) -> None:
    project.with_bob("release")
    project.bob.git("config", "auths.enforceOnSign", "false")
    tip = project.bob.commit()
    (judged,) = project.bob.ask("verify-commit")["objects"]
    assert (judged["id"], judged["verdict"], judged["rule"]) == (tip, "unauthorized", "policy.commit[0]")
    assert judged["signer"] == project.bob.did()


def test_a_rule_for_a_branch_judges_what_is_on_it(project: Project) -> None:
    ada = project.ada
    text = (ada.at / ".auths/policy.toml").read_text()
    (ada.at / ".auths/policy.toml").write_text(
        text.replace("[[policy.commit]]\n", '[[policy.commit]]\nbranches = ["main"]\n', 1)
    )
    ada.git("commit", "--quiet", "-a", "-m", "Only main is governed")
    ada.git("push", "--quiet")
    ada.git("switch", "--quiet", "--create", "feature")
    ada.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "unsigned")
    (judged,) = ada.ask("verify-commit", "--ref", "refs/heads/feature")["objects"]
    assert judged["verdict"] == "ungoverned"
    assert ada.ask("verify-commit")["objects"][0]["verdict"] == "unsigned"
    ada.git("push", "--quiet", "origin", "feature")
    assert "unsigned" in ada.git("push", "--no-verify", "origin", "feature:main", code=1).stderr


def govern_main_only(person: Person) -> None:
    file = person.at / ".auths/policy.toml"
    text = file.read_text()
    file.write_text(text.replace("[[policy.commit]]\n", '[[policy.commit]]\nbranches = ["main"]\n', 1))
    person.git("commit", "--quiet", "-a", "-m", "Only main is governed")


def test_a_short_name_means_the_branch_of_that_name(project: Project) -> None:
    """Else the rules that name the branch would match nothing, and nothing would be judged by them."""
    ada = project.ada
    govern_main_only(ada)
    ada.git("push", "--quiet")
    ada.git("switch", "--quiet", "--create", "feature")
    ada.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "unsigned")
    patch = ada.head()
    assert ada.ask("verify-commit", "--ref", "feature")["objects"][0]["verdict"] == "ungoverned"
    assert ada.ask("verify-commit", "--ref", "main")["objects"][0]["verdict"] == "unsigned"
    assert "unsigned commit" in ada.auths("explain", "--ref", "main", patch, code=1).stdout
    ada.auths("countersign", "--no-push", "--ref", "main", patch)
    assert ada.ask("verify-commit", "--ref", "main")["objects"][0]["verdict"] == "countersigned"
    ada.git("push", "--quiet", "--no-verify", "origin", "feature:shared")
    assert ada.ask("verify-commit", "--ref", "shared")["objects"][0]["verdict"] == "ungoverned", "a remote's branch"


@pytest.mark.parametrize("command", ["verify-commit", "explain", "countersign"])
def test_a_name_that_no_branch_has_is_wrong_usage(ada: Person, command: str) -> None:
    done = ada.auths(command, "--ref", "nowhere", "HEAD", code=129)
    assert "'nowhere' is not one branch here\nhint: give its full name" in done.stderr
