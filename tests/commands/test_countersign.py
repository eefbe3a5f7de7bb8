"""git auths countersign, and approve for ranges of commits"""

from __future__ import annotations

import base64
import json
from collections import Counter

from tests.commands.test_adopt import change, unsigned, verdict
from tests.people import Person, Project


def kinds(person: Person, commit: str) -> list[str]:
    """What the notes on the commit approve."""
    done = person.git("notes", "--ref=auths", "show", commit, code=None)
    payloads = [json.loads(base64.b64decode(json.loads(line)["payload"])) for line in done.stdout.splitlines()]
    return sorted(payload["predicate"]["kind"] for payload in payloads)


def writes(person: Person) -> int:
    """How many commits the notes have."""
    return len(person.git("rev-list", "refs/notes/auths").stdout.split())


def test_an_unsigned_commit_is_countersigned(ada: Person) -> None:
    patch = unsigned(ada)
    ada.commit()
    done = ada.auths("countersign", "--no-push", patch)
    assert f"countersign {patch} unsigned ada: A patch" in done.stderr.splitlines()
    assert kinds(ada, patch) == ["countersign"]
    assert ada.ask("verify")["ok"]
    assert verdict(ada, patch) == "countersigned"


def test_of_a_range_only_what_nobody_listed_has_signed_is_countersigned(ada: Person) -> None:
    start = ada.head()
    patches = [unsigned(ada), unsigned(ada)]
    signed = ada.commit()
    done = ada.auths("countersign", "--no-push", f"{start}..HEAD")
    assert "1 of 3 need no countersignature" in done.stderr
    assert [kinds(ada, id) for id in (*patches, signed)] == [["countersign"], ["countersign"], []]
    assert writes(ada) == 1
    assert ada.ask("verify")["ok"]


def test_a_commit_of_somebody_unlisted_is_countersigned(project: Project) -> None:
    ada, bob = project.ada, project.bob
    bob.git("config", "auths.enforceOnSign", "false")
    patch = bob.commit("patch", code=0)
    ada.git("fetch", "--quiet", bob.at, "main")
    ada.git("merge", "--quiet", "--ff-only", "FETCH_HEAD")
    assert verdict(ada, patch) == "unknown-key"
    ada.auths("countersign", "HEAD")
    assert ada.ask("verify")["ok"]
    assert "refs/notes/auths" in ada.git("ls-remote", "origin").stdout
    ada.git("push", "--quiet")


def test_a_countersignature_may_stay_here(project: Project) -> None:
    unsigned(project.ada)
    project.ada.auths("countersign", "--no-push", "HEAD")
    assert "refs/notes/auths" not in project.ada.git("ls-remote", "origin").stdout


def test_a_change_below_auths_is_not_countersigned(ada: Person) -> None:
    change(ada, ".auths/oidc/ci.json", "{}\n")
    patch = unsigned(ada)
    done = ada.auths("countersign", "--no-push", "HEAD", code=1)
    assert "changes .auths/, which no countersignature covers" in done.stderr
    assert f"hint: git auths adopt {patch}" in done.stderr
    assert ada.git("rev-parse", "--verify", "--quiet", "refs/notes/auths", code=1).stdout == ""


def test_what_no_signature_would_mend_is_not_countersigned(ada: Person) -> None:
    good = unsigned(ada)
    ada.git("switch", "--quiet", "--orphan", "import")
    outside = unsigned(ada)
    ada.git("switch", "--quiet", "main")
    ada.git("merge", "--quiet", "--allow-unrelated-histories", "--no-edit", "import")
    done = ada.auths("countersign", "--no-push", f"{good}^..HEAD", code=1)
    assert f"no countersignature mends {outside}" in done.stderr
    assert f"hint: git auths adopt {outside}" in done.stderr
    assert kinds(ada, good) == []


def test_a_countersignature_by_somebody_unlisted_is_not_made(project: Project) -> None:
    unsigned(project.bob)
    assert "would not count" in project.bob.auths("countersign", "HEAD", code=1).stderr
    assert kinds(project.bob, "HEAD") == []


def test_good_commits_need_no_countersignature(ada: Person) -> None:
    ada.commit()
    assert "1 of 1 need no countersignature" in ada.auths("countersign", "--no-push", "HEAD").stderr
    assert ada.git("rev-parse", "--verify", "--quiet", "refs/notes/auths", code=1).stdout == ""


def test_a_range_is_approved_by_one_write_of_the_notes(ada: Person) -> None:
    start = ada.head()
    work = ada.commit()
    change(ada, ".auths/oidc/ci.json", "{}\n")
    ada.git("commit", "--quiet", "-m", "Pin")
    pin = ada.head()
    done = ada.auths("approve", "--no-push", f"{start}..HEAD")
    assert f"commit {pin} ada: Pin; it changes .auths/" in done.stderr.splitlines()
    assert kinds(ada, work) == ["commit"]
    assert Counter(kinds(ada, pin)) == Counter(["commit", "admin"])
    assert writes(ada) == 1


def test_a_merge_that_only_unites_what_is_below_auths_is_countersigned(ada: Person) -> None:
    ada.git("switch", "--quiet", "--create", "other")
    ada.commit("other")
    ada.git("switch", "--quiet", "main")
    change(ada, ".auths/oidc/ci.json", "{}\n")
    ada.git("commit", "--quiet", "-m", "Pin")
    ada.git("merge", "--quiet", "--no-gpg-sign", "--no-verify", "--no-edit", "other")
    assert f"git auths countersign {ada.head()}" in ada.auths("explain", code=1).stderr
    ada.auths("countersign", "--no-push", "HEAD")
    assert verdict(ada, ada.head()) == "countersigned"


def test_one_whom_a_rule_for_paths_does_not_list_is_told_which(project: Project) -> None:
    ada, bob = project.with_bob("commit").ada, project.bob
    policy = ada.at / ".auths/policy.toml"
    rule = f'\n[[policy.commit]]\npaths = ["src/**"]\nrequire = 1\nsigners = ["{ada.did()}"]\n'
    policy.write_text(policy.read_text() + rule)
    ada.git("commit", "--quiet", "-a", "-m", "Ada alone for src")
    ada.git("push", "--quiet")
    bob.git("pull", "--quiet", "--ff-only")
    change(bob, "src/code", "x\n")
    patch = unsigned(bob)
    done = bob.auths("countersign", "--no-push", patch, code=1)
    assert f"would not count: {bob.did()} is not listed in policy.commit[1]" in done.stderr
    assert kinds(bob, patch) == []


def test_one_of_two_who_are_needed_may_countersign(project: Project) -> None:
    ada = project.with_bob("commit").ada
    policy = ada.at / ".auths/policy.toml"
    head, rule, tail = policy.read_text().partition("[[policy.commit]]")
    policy.write_text(head + rule + tail.replace("require = 1", "require = 2", 1))
    ada.git("commit", "--quiet", "-a", "-m", "Two for a commit")
    patch = unsigned(ada)
    ada.auths("countersign", "--no-push", patch)
    assert kinds(ada, patch) == ["countersign"]


def test_both_sides_of_a_merge_are_countersigned(ada: Person) -> None:
    start = ada.head()
    ada.git("switch", "--quiet", "--create", "side")
    patches = [unsigned(ada)]
    ada.git("switch", "--quiet", "main")
    patches.append(unsigned(ada, "Another"))
    ada.git("merge", "--quiet", "--no-edit", "side")
    ada.git("switch", "--quiet", "--create", "topic")
    ada.git("branch", "--quiet", "-f", "main", start)
    ada.auths("countersign", "--no-push", f"{start}..topic")
    assert [kinds(ada, patch) for patch in patches] == [["countersign"]] * 2
