"""git auths explain"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.people import Person, Project


def explained(person: Person, *args: str) -> dict[str, Any]:
    done = person.auths("explain", *args, "--json", code=None)
    assert done.returncode in (0, 1), done.stderr
    answer = json.loads(done.stdout)
    assert (answer["version"], answer["ok"]) == (1, done.returncode == 0)
    return answer["object"]


@pytest.fixture
def bob(newcomer: Person) -> Person:
    newcomer.auths("init", "--no-passphrase")
    return newcomer


def test_a_good_commit_names_its_key_its_rule_and_the_policy(ada: Person) -> None:
    root = ada.head()
    work = ada.commit()
    found = explained(ada)
    assert (found["id"], found["verdict"], found["missing"]) == (work, "good", [])
    assert (found["key"]["sn"], found["key"]["in_tree"], found["key"]["on_mainline"]) == (0, "current", "current")
    [rule] = found["rules"]
    assert (rule["rule"], rule["policy"], rule["as_of"], rule["counted"]) == (
        "policy.commit[0]", root, "written", [ada.did()])  # fmt: skip
    assert (found["received"]["by"], found["received"]["step"]) == (work, 1)
    lines = ada.auths("explain").stdout.splitlines()
    assert lines[0] == f"good commit {work}"
    assert lines[1] == f"signer: {ada.did()} (ada)"
    aid = ada.did().removeprefix("did:keri:")
    assert lines[2] == f"key: event 0 of {aid}, current in the commit's own tree, current on the mainline"
    assert lines[3].startswith(f"received: with {work}, step 1 of the mainline; the clock was 20")
    assert lines[4] == (
        f"rule: policy.commit[0] of {root}, as the commit's own history had it, requires 1: met by {ada.did()} (ada)"
    )


def test_a_refused_commit_names_what_is_missing_and_the_command(ada: Person, bob: Person) -> None:
    ada.join(bob, "commit")
    require = (ada.at / ".auths/policy.toml").read_text().partition("[[policy.commit]]")
    text = require[0] + require[1] + require[2].replace("require = 1", "require = 2", 1)
    (ada.at / ".auths/policy.toml").write_text(text)
    ada.git("commit", "--quiet", "-a", "-m", "Two for a commit")
    work = ada.commit()
    done = ada.auths("explain", work, code=1)
    assert f"missing: 1 more to approve it, of {bob.did()} (newcomer)\n" in done.stdout
    assert f"hint: git auths approve {work}" in done.stderr
    found = explained(ada, work)
    assert found["missing"] == [
        {"what": "1 more to approve it", "command": f"git auths approve {work}", "who": [bob.did()]}
    ]
    assert found["rules"][0]["fault"]["verdict"] == "threshold-unmet"


def test_a_commit_that_the_mainline_lacks_is_received_now(ada: Person) -> None:
    ada.git("switch", "--quiet", "-c", "side")
    ada.commit()
    found = explained(ada)
    assert (found["received"]["by"], found["received"]["ref"]) == (None, "refs/heads/main")
    assert "received: now: the mainline lacks it" in ada.auths("explain").stdout
    assert explained(ada, "--ref", "refs/heads/side")["received"]["ref"] == "refs/heads/side"


def test_a_change_below_auths_stands_with_the_admin_rule(ada: Person, bob: Person) -> None:
    ada.join(bob, "commit")
    found = explained(ada)
    assert found["admin_matter"] == "changes the policy"
    assert [rule["kind"] for rule in found["rules"]] == ["commit", "admin"]
    assert "below .auths/: it changes the policy, which is for the admin rule" in ada.auths("explain").stdout


def test_what_is_wrong_behind_a_commit_is_what_it_lacks(ada: Person) -> None:
    (ada.at / "file").write_text("x")
    ada.git("add", "file")
    ada.git("commit", "--quiet", "--no-gpg-sign", "-m", "unsigned")
    bad = ada.head()
    ada.git("commit", "--quiet", "--allow-empty", "-m", "signed")
    assert explained(ada)["missing"][0]["command"] == f"git auths explain {bad}"
    assert explained(ada, bad)["missing"][0]["command"] == f"git auths countersign {bad}"
    ada.auths("countersign", "--no-push", bad)
    found = explained(ada, bad)
    assert (found["verdict"], found["approvals"]) == ("countersigned", [{"kind": "countersign", "signer": ada.did()}])


def test_what_is_older_than_the_root_is_out_of_scope(ada: Person) -> None:
    root = ada.head()
    ada.commit()
    ada.git("config", "auths.root", ada.head())
    assert explained(ada, root)["verdict"] == "outside-root"


def test_a_tag_that_lacks_an_approval_names_who_could_give_it(project: Project) -> None:
    ada, bob = project.with_bob("commit", "release").ada, project.bob
    ada.auths("policy", "set-threshold", "release", "2")
    ada.git("commit", "--quiet", "-m", "Two for a release")
    ada.git("push", "--quiet")
    ada.git("tag", "-s", "-m", "v1", "v1")
    found = explained(ada, "v1")
    assert (found["type"], found["verdict"]) == ("tag", "threshold-unmet")
    assert found["missing"] == [{"what": "1 more to approve it", "command": "git auths approve v1", "who": [bob.did()]}]
    [rule] = found["rules"]
    assert (rule["rule"], rule["policy"], rule["as_of"], rule["counted"]) == (
        "policy.release[0]", ada.head(), "now", [ada.did()])  # fmt: skip
    ada.auths("propose", "v1")
    bob.git("pull", "--quiet")
    bob.auths("approve", "v1")
    assert explained(bob, "refs/tags/v1")["missing"] == []
    ada.auths("sync")
    found = explained(ada, "v1")
    assert (found["verdict"], found["approvals"]) == ("good", [{"kind": "tag", "signer": bob.did()}])
    assert "approval: tag, by " + bob.did() in ada.auths("explain", "v1").stdout


@pytest.mark.parametrize(
    ("options", "verdict", "command"),
    [
        (("-m", "x", "--no-sign"), "unsigned", "git tag -s v1"),
        (("--no-sign",), "lightweight-tag", "git tag -s v1"),
    ],
)
def test_a_tag_that_cannot_be_mended_is_to_be_made_again(
    ada: Person, options: tuple[str, ...], verdict: str, command: str
) -> None:
    ada.git("tag", *options, "v1")
    found = explained(ada, "v1")
    assert (found["verdict"], [need["command"] for need in found["missing"]]) == (verdict, [command])


def test_a_tag_of_a_bad_commit_sends_on_to_that(ada: Person) -> None:
    ada.git("commit", "--quiet", "--no-gpg-sign", "--allow-empty", "-m", "unsigned")
    ada.git("-c", "auths.enforceOnSign=false", "tag", "-s", "-m", "x", "v1")
    assert explained(ada, "v1")["missing"][0]["command"] == f"git auths explain {ada.head()}"


def test_a_receipt_says_as_of_when_a_tag_is_judged(ada: Person) -> None:
    ada.git("tag", "-s", "-m", "v1", "v1")
    ada.auths("receive", "v1")
    ada.git("commit", "--quiet", "-m", "Receive v1")
    found = explained(ada, "v1")
    assert (found["verdict"], found["received"]["by"]) == ("good", ada.head())
    assert found["rules"][0]["as_of"] == "received"


def test_without_a_pinned_root_there_is_no_answer(ada: Person) -> None:
    ada.git("config", "--unset", "auths.root")
    done = ada.auths("explain", "--json", code=1)
    assert json.loads(done.stdout)["objects"][0]["verdict"] == "unpinned-root"


def test_a_branch_is_explained_by_its_own_rules(project: Project) -> None:
    ada = project.ada
    file = ada.at / ".auths/policy.toml"
    file.write_text(file.read_text().replace("[[policy.commit]]\n", '[[policy.commit]]\nbranches = ["main"]\n', 1))
    ada.git("commit", "--quiet", "-a", "-m", "Only main is governed")
    ada.git("switch", "--quiet", "--create", "topic")
    ada.git("commit", "--quiet", "--no-gpg-sign", "--allow-empty", "-m", "unsigned")
    judged = [ada.ask("verify-commit", *which)["objects"][0]["verdict"] for which in (("topic",), ("HEAD",))]
    assert judged == ["ungoverned", "unsigned"]
    assert [explained(ada, which)["verdict"] for which in ("topic", "HEAD")] == judged
    assert explained(ada, "topic")["received"]["ref"] == "refs/heads/topic"


def test_a_tag_name_is_quoted_in_the_command_to_paste(ada: Person) -> None:
    ada.git("tag", "--no-sign", "v;1")
    assert [need["command"] for need in explained(ada, "v;1")["missing"]] == ["git tag -s 'v;1'"]
