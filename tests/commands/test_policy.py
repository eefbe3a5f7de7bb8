"""git auths policy"""

from __future__ import annotations

import json

import pytest

from tests.people import Person


def policy(person: Person) -> str:
    return (person.at / ".auths/policy.toml").read_text()


def staged(person: Person) -> list[str]:
    return person.git("diff", "--cached", "--name-only").stdout.splitlines()


@pytest.fixture
def bob(newcomer: Person) -> Person:
    newcomer.auths("init", "--no-passphrase")
    return newcomer


def test_add_signer_stages_policy_log_and_allowed_signers(ada: Person, bob: Person) -> None:
    aid = bob.did().removeprefix("did:keri:")
    done = ada.auths("policy", "add-signer", bob.export(), "--role", "commit", "--email", "bob@example.com")
    assert staged(ada) == [".auths/allowed_signers", f".auths/kels/{aid}.cesr", ".auths/policy.toml"]
    assert "bob@example.com namespaces=" in (ada.at / ".auths/allowed_signers").read_text()
    assert "hint: git commit" in done.stderr
    assert ada.git("log", "--format=%H").stdout.count("\n") == 1, "the person commits, not the command"


def test_an_edit_lets_git_convert_nothing_where_the_attributes_are_of_an_older_version(
    ada: Person, bob: Person
) -> None:
    file = ada.at / ".auths/.gitattributes"
    file.write_text("kels/*.cesr -text merge=auths-kel\n")
    ada.git("commit", "--quiet", "--all", "-m", "Attributes of another version")
    (ada.at / ".gitattributes").write_text("*.toml ident\n")
    ada.join(bob, "commit")
    assert file.read_text().endswith("ident !working-tree-encoding\nkels/*.cesr -text merge=auths-kel\n")
    assert ".auths/.gitattributes" in ada.git("show", "--name-only", "--format=").stdout.splitlines()
    assert ada.ask("verify")["ok"]


def test_comments_and_layout_survive_an_edit(ada: Person, bob: Person) -> None:
    text = "# ours, do not touch\n" + policy(ada) + "\n# the end\n"
    (ada.at / ".auths/policy.toml").write_text(text)
    ada.auths("policy", "add-signer", bob.export(), "--role", "commit")
    ada.auths("policy", "remove-signer", bob.did(), "--role", "commit")
    assert policy(ada) == text


def test_adding_twice_changes_nothing(ada: Person, bob: Person) -> None:
    ada.join(bob, "commit")
    done = ada.auths("policy", "add-signer", bob.did(), "--role", "commit")
    assert "says so already" in done.stderr
    assert staged(ada) == []


def test_a_did_whose_log_is_here_can_take_another_role(ada: Person, bob: Person) -> None:
    ada.join(bob, "commit")
    ada.auths("policy", "add-signer", bob.did(), "--role", "release")
    ada.git("commit", "--quiet", "-m", "Bob may release")
    rules = {
        rule["rule"]: rule["signers"] for rule in json.loads(ada.auths("policy", "show", "--json").stdout)["rules"]
    }
    assert bob.did() in rules["policy.release[0]"]


def test_a_did_whose_log_is_nowhere_is_refused_with_the_next_step(ada: Person, bob: Person) -> None:
    done = ada.auths("policy", "add-signer", bob.did(), "--role", "commit", code=128)
    assert "git auths whoami --export" in done.stderr
    assert staged(ada) == []


@pytest.mark.parametrize(
    ("damage", "event"), [(lambda raw: raw[:200] + b"X" + raw[201:], 0), (lambda raw: raw[:-1], 0)]
)
def test_a_log_with_one_byte_changed_is_refused_and_nothing_is_written(
    ada: Person, bob: Person, damage, event: int
) -> None:  # type: ignore[no-untyped-def]
    file = bob.export()
    file.write_bytes(damage(file.read_bytes()))
    before = policy(ada)
    done = ada.auths("policy", "add-signer", file, "--role", "commit", code=128)
    assert f"error: {file}: event {event}: " in done.stderr
    assert f"hint: git auths kel verify {file}" in done.stderr
    assert (policy(ada), staged(ada)) == (before, [])


def test_a_forked_log_is_refused(ada: Person, bob: Person) -> None:
    ada.join(bob, "commit")
    aid = bob.did().removeprefix("did:keri:")
    log = ada.at / ".auths/kels" / f"{aid}.cesr"
    log.write_bytes(log.read_bytes() + b"{}")
    done = ada.auths("policy", "add-signer", bob.export(), "--role", "release")
    assert done.returncode == 0, "a log that is shorter than ours changes nothing"
    log.write_bytes(b"{" + log.read_bytes())
    assert "forked" in ada.auths("policy", "add-signer", bob.export(), "--role", "admin", code=1).stderr


def test_the_last_signer_of_a_rule_is_not_removed(ada: Person) -> None:
    done = ada.auths("policy", "remove-signer", ada.did(), "--role", "admin", code=1)
    assert "last signer" in done.stderr


@pytest.mark.parametrize("require", ["2", "0", "-1"])
def test_a_threshold_that_cannot_be_met_is_not_written(ada: Person, require: str) -> None:
    before = policy(ada)
    ada.auths("policy", "set-threshold", "release", require, code=1)
    assert policy(ada) == before


def test_set_threshold(ada: Person, bob: Person) -> None:
    ada.join(bob, "release")
    ada.auths("policy", "set-threshold", "release", "2")
    assert staged(ada) == [".auths/policy.toml"]
    ada.git("commit", "--quiet", "-m", "Two for a release")
    assert "release: 2 of 2" in ada.auths("policy", "show").stdout


def test_show_names_the_signers_without_their_escape_sequences(ada: Person, bob: Person) -> None:
    ada.auths("policy", "add-signer", bob.export(), "--role", "commit", "--name", "Bob")
    ada.git("commit", "--quiet", "-m", "Add Bob")
    assert ada.auths("policy", "show").stdout.splitlines()[:3] == [
        "commit: 1 of 2",
        f"  {ada.did()} (ada)",
        f"  {bob.did()} (Bob)",
    ]


def test_check_says_what_is_unwise(ada: Person) -> None:
    done = ada.auths("policy", "check")
    assert "warning: policy.admin[0]" in done.stderr
    assert "the policy is valid and can be met" in done.stderr


@pytest.mark.parametrize(("text", "said"), [
    ("[policy\n", "policy.toml:1:"),
    ("[[policy.release]]\nsigners = []\nrequire = 0\n", "policy.toml:"),
    ("[policy]\nschema = 2\n", "policy.toml:2:"),
])  # fmt: skip
def test_check_refuses_with_file_and_line(ada: Person, text: str, said: str) -> None:
    (ada.at / ".auths/policy.toml").write_text(text)
    done = ada.auths("policy", "check", code=1)
    assert done.stderr.startswith(f"error: {said}")
    assert "hint: " in done.stderr


def test_check_refuses_a_rule_whose_signers_have_no_log(ada: Person) -> None:
    stranger = "did:keri:E" + "A" * 43
    head, rule, rest = policy(ada).partition("\n[[policy.commit]]\n")
    text = head + rule + rest.replace(ada.did(), stranger, 1)
    assert stranger in text
    (ada.at / ".auths/policy.toml").write_text(text)
    done = ada.auths("policy", "check", code=1)
    assert "only 0 of its signers have a log" in done.stderr


def test_an_edit_of_an_unparsable_policy_is_refused(ada: Person, bob: Person) -> None:
    (ada.at / ".auths/policy.toml").write_text("[policy\n")
    ada.auths("policy", "add-signer", bob.export(), "--role", "commit", code=1)
    assert policy(ada) == "[policy\n"


def test_without_a_policy_each_names_the_command_that_starts_one(newcomer: Person) -> None:
    newcomer.git("init", "--quiet", newcomer.at)
    newcomer.auths("init", "--no-passphrase")
    for command in (("check",), ("set-threshold", "release", "2")):
        assert "hint: git auths policy init" in newcomer.auths("policy", *command, code=128).stderr
    newcomer.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "x")
    assert "hint: git auths policy init" in newcomer.auths("policy", "show", code=128).stderr


def test_a_file_behind_a_symbolic_link_is_not_written(ada: Person, bob: Person) -> None:
    outside = ada.home / "outside"
    outside.write_text(policy(ada))
    (ada.at / ".auths/policy.toml").unlink()
    (ada.at / ".auths/policy.toml").symlink_to(outside)
    before = outside.read_text()
    assert "symbolic link" in ada.auths("policy", "add-signer", bob.export(), "--role", "commit", code=128).stderr
    assert outside.read_text() == before


def test_a_policy_that_nobody_could_change_again_is_refused(ada: Person, bob: Person) -> None:
    """A change below .auths/ is a commit too, so an admin whom the commit rule does not list can change nothing."""
    ada.join(bob, "commit")
    ada.auths("policy", "remove-signer", ada.did(), "--role", "commit")
    assert "nobody could change this policy again" in ada.auths("policy", "check", code=1).stderr
    assert "nobody could change" in ada.git("commit", "--quiet", "-m", "locked out", code=1).stderr


def test_a_signer_is_removed_by_the_name_that_the_policy_has(ada: Person, bob: Person) -> None:
    ada.join(bob, "commit")
    ada.auths("policy", "remove-signer", "newcomer", "--role", "commit")
    assert bob.did() not in policy(ada)


def test_somebody_whom_no_rule_lists_is_not_said_to_be_removed(ada: Person, bob: Person) -> None:
    before = policy(ada)
    for who in ("Bob", bob.did()):
        done = ada.auths("policy", "remove-signer", who, "--role", "commit", code=1)
        assert "no rule of the policy lists" in done.stderr
    assert policy(ada) == before


def test_a_name_that_two_signers_have_is_not_guessed(ada: Person, bob: Person) -> None:
    ada.auths("policy", "add-signer", bob.export(), "--role", "commit", "--name", "ada")
    ada.git("commit", "--quiet", "-m", "Another Ada")
    done = ada.auths("policy", "remove-signer", "ada", "--role", "commit", code=1)
    assert "hint: give the DID" in done.stderr
