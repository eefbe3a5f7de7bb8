"""git auths verify-commit"""

from __future__ import annotations

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
