"""git auths policy log"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.people import Person


def changes(person: Person) -> list[dict[str, Any]]:
    answer = json.loads(person.auths("policy", "log", "--json").stdout)
    assert answer["version"] == 1
    return answer["changes"]


def words(change: dict[str, Any]) -> list[str]:
    [only] = change["differences"]
    return only["words"]


def policy(person: Person) -> str:
    return (person.at / ".auths/policy.toml").read_text()


def set_policy(person: Person, text: str, message: str = "Change the policy", **more: str) -> str:
    (person.at / ".auths/policy.toml").write_text(text)
    person.git("add", ".auths/policy.toml")
    person.git("commit", "--quiet", "-m", message, **more)
    return person.head()


def narrowed(person: Person) -> str:
    """The policy with its commit rule for main only."""
    head, rule, rest = policy(person).partition("[[policy.commit]]\n")
    return head + rule + 'branches = ["main"]\n' + rest


@pytest.fixture
def bob(newcomer: Person) -> Person:
    newcomer.auths("init", "--no-passphrase")
    return newcomer


def test_each_change_is_told_newest_first(ada: Person, bob: Person) -> None:
    root = ada.head()
    ada.commit()
    ada.join(bob, "commit", "release")
    joined = ada.head()
    ada.commit()
    ada.auths("policy", "set-threshold", "release", "2")
    ada.git("commit", "--quiet", "-m", "Two for a release", GIT_COMMITTER_DATE="2027-01-02T03:04:05+0100")
    found = changes(ada)
    assert [change["id"] for change in found] == [ada.head(), joined, root]
    assert {change["verdict"] for change in found} == {"good"}
    assert {(change["signer"], change["name"]) for change in found} == {(ada.did(), "ada")}
    assert found[0]["committed_at"] == "2027-01-02T02:04:05Z"
    assert [change["differences"][0]["since"] for change in found] == [joined, root, None]
    assert words(found[0]) == ["release threshold 1 -> 2"]
    assert words(found[1]) == [
        f"added newcomer ({bob.did()}) to commit",
        f"added newcomer ({bob.did()}) to release",
        f"newcomer ({bob.did()}): emails none -> newcomer@example.com",
    ]
    assert words(found[2])[0] == f"added the rule commit: 1 of ada ({ada.did()})"


def test_for_people_a_line_and_what_changed_below_it(ada: Person) -> None:
    root = ada.head()
    changed = set_policy(ada, narrowed(ada), GIT_COMMITTER_DATE="2027-01-02T03:04:05Z")
    lines = ada.auths("policy", "log").stdout.splitlines()
    assert lines[:2] == [
        f"good {changed} 2027-01-02T03:04:05Z by {ada.did()} (ada)",
        "  commit: branches any -> main",
    ]
    assert lines[2].startswith(f"good {root} ")


def test_a_merge_that_takes_over_the_policy_is_no_change(ada: Person) -> None:
    ada.git("switch", "--quiet", "-c", "side")
    ada.commit("other")
    changed = set_policy(ada, narrowed(ada))
    ada.git("switch", "--quiet", "main")
    ada.commit()
    ada.git("merge", "--quiet", "--no-edit", "side")
    assert [change["id"] for change in changes(ada)][:-1] == [changed]


def test_a_merge_that_goes_back_to_an_older_policy_is_a_change(ada: Person) -> None:
    ada.git("switch", "--quiet", "-c", "side")
    ada.commit("other")
    old = policy(ada)
    ada.git("switch", "--quiet", "main")
    changed = set_policy(ada, narrowed(ada))
    ada.git("merge", "--quiet", "--no-commit", "side")
    set_policy(ada, old, "Merge side")
    found = changes(ada)
    assert [change["id"] for change in found][:2] == [ada.head(), changed]
    assert found[0]["differences"] == [{"since": changed, "words": ["commit: branches main -> any"]}]


def test_where_two_policies_meet_both_changes_are_told(ada: Person) -> None:
    ada.git("switch", "--quiet", "-c", "side")
    side = set_policy(ada, policy(ada).replace('name = "ada"', 'name = "Ada"'))
    ada.git("switch", "--quiet", "main")
    main = set_policy(ada, narrowed(ada))
    ada.git("merge", "--quiet", "--no-edit", "side")
    merged = changes(ada)[0]
    assert merged["id"] == ada.head()
    assert sorted((part["since"], part["words"]) for part in merged["differences"]) == sorted(
        [(main, [f"{ada.did()}: name ada -> Ada"]), (side, ["commit: branches any -> main"])]
    )
    assert f"  since {side}:\n  commit: branches any -> main\n" in ada.auths("policy", "log").stdout


def test_where_two_policies_meet_taking_one_as_it_is_is_a_change_too(ada: Person) -> None:
    ada.git("switch", "--quiet", "-c", "side")
    side = set_policy(ada, policy(ada).replace('name = "ada"', 'name = "Ada"'))
    ada.git("switch", "--quiet", "main")
    main = set_policy(ada, narrowed(ada))
    ada.git("merge", "--quiet", "--no-edit", "-s", "ours", "side")
    merged = changes(ada)[0]
    assert merged["id"] == ada.head()
    told = {part["since"]: part["words"] for part in merged["differences"]}
    assert told == {
        main: ["the policy as it was there"],
        side: ["commit: branches any -> main", f"{ada.did()}: name Ada -> ada"],
    }


def test_dates_that_lie_change_no_order(ada: Person) -> None:
    root = ada.head()
    ada.git("switch", "--quiet", "-c", "side")
    changed = set_policy(ada, narrowed(ada), GIT_COMMITTER_DATE="2001-01-01T00:00:00Z")
    ada.git("switch", "--quiet", "main")
    ada.git("merge", "--quiet", "--no-ff", "--no-edit", "side")
    assert [(change["id"], change["differences"][0]["since"]) for change in changes(ada)] == [
        (changed, root),
        (root, None),
    ]


def test_what_is_behind_the_root_is_not_told(ada: Person) -> None:
    changed = set_policy(ada, narrowed(ada))
    ada.git("config", "auths.root", changed)
    [first] = changes(ada)
    assert (first["id"], first["differences"][0]["since"]) == (changed, None)


def test_bytes_put_back_are_a_change(ada: Person) -> None:
    before = policy(ada)
    set_policy(ada, narrowed(ada))
    again = set_policy(ada, before)
    found = changes(ada)
    assert (found[0]["id"], words(found[0])) == (again, ["commit: branches main -> any"])


def test_a_change_that_changes_no_rule_says_so(ada: Person) -> None:
    set_policy(ada, "# ours\n" + policy(ada))
    assert words(changes(ada)[0]) == ["no rule changed: comments or layout"]


def test_what_was_not_allowed_stands_with_its_verdict(ada: Person) -> None:
    ada.git("rm", "--quiet", "--cached", ".auths/policy.toml")
    ada.git("commit", "--quiet", "--no-gpg-sign", "--no-verify", "-m", "No rules")
    removed = ada.head()
    ada.git("reset", "--quiet", "--hard", "HEAD~1")
    (ada.at / ".auths/policy.toml").write_text("[policy\n")
    ada.git("commit", "--quiet", "-a", "--no-gpg-sign", "--no-verify", "-m", "Broken")
    ada.git("-c", "commit.gpgSign=false", "merge", "--quiet", "-s", "ours", "--no-edit", "--no-verify", removed)
    found = {change["id"]: change for change in changes(ada)}
    assert words(found[removed]) == ["removed the policy"]
    assert found[removed]["verdict"] == "policy-change-unauthorized"
    [broken] = [
        change for change in found.values() if change["verdict"] == "policy-invalid" and change["id"] != ada.head()
    ]
    assert words(broken)[0].startswith("nothing below .auths/ can be read: ")
    assert broken["signer"] is None
    said = ada.auths("policy", "log").stdout
    assert "by an unknown signer; the committer is ada <ada@example.com>" in said
    assert "  it removes .auths/policy.toml" in said


def test_no_escape_sequence_reaches_the_terminal(ada: Person) -> None:
    (ada.at / ".auths/policy.toml").write_text(narrowed(ada))
    ada.git("commit", "--quiet", "-a", "--no-gpg-sign", "--no-verify", "-m", "x", GIT_COMMITTER_NAME="a\x1b[2Jd\u202eb")
    said = ada.auths("policy", "log").stdout
    assert "a\\x1b[2Jd\\u202eb" in said


def test_it_is_told_from_any_folder_and_in_a_bare_clone(ada: Person) -> None:
    (ada.at / "deep").mkdir()
    root = ada.head()
    assert json.loads(ada.auths("policy", "log", "--json", cwd=ada.at / "deep").stdout)["changes"][0]["id"] == root
    bare = ada.home / "bare.git"
    ada.git("clone", "--quiet", "--bare", ada.at, bare)
    ada.auths("root", "pin", "--mainline", "refs/heads/main", root, cwd=bare)
    assert json.loads(ada.auths("policy", "log", "--json", cwd=bare).stdout)["changes"][0]["id"] == root


def test_without_a_pinned_root_there_is_no_answer(ada: Person) -> None:
    ada.git("config", "--unset", "auths.root")
    assert "unpinned-root" in ada.auths("policy", "log", code=1).stderr
