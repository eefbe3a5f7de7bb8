from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from git_auths.core.policy import Policy, parse, warnings
from git_auths.core.policyedit import (
    ROLES,
    PolicyEditRefused,
    add_signer,
    new_policy,
    remove_signer,
    set_threshold,
)

A, B, C, D = (f"did:keri:E{letter * 43}" for letter in "ABCD")

HAND_WRITTEN = f"""\
# Our rules. Ask Ada before changing them.

[[policy.release]]   # two of three
signers = [
  "{A}",  # Ada
  # Bob joined in May
  "{B}",  # Bob
  "{C}"
]
require = 2   # never one

[[policy.commit]]
signers = ["{A}", "{B}"] # everybody
require = 1
[signer."{A}"]
name = "Ada"

# Crypto needs Ada.
[[policy.commit]]
signers = ["{A}"]
require = 1
paths = ["src/crypto/**"]

[[policy.admin]]
require = 1
signers = ["{A}", "{B}",]

# Bob, since May
[signer."{B}"]
name = "Bob"
emails = [
  "bob@example.com",
  "bob@example.org",
]

# the end
"""


def of(text: str) -> Policy:
    return parse(text.encode())


def comments(text: str) -> list[str]:
    return [line.partition("#")[2] for line in text.splitlines() if "#" in line]


def refusal(edit: object, *arguments: object) -> str:
    with pytest.raises(PolicyEditRefused) as caught:
        edit(*arguments)  # type: ignore[operator]
    assert "\n" not in caught.value.reason
    return caught.value.reason


def test_the_first_policy_has_the_caller_in_every_role() -> None:
    text = new_policy(A, "Ada", "ada@example.com")
    policy = of(text)
    rules = (*policy.commit, *policy.release, *policy.admin)
    assert [(rule.name, rule.signers, rule.require, rule.is_scoped) for rule in rules] == [
        (f"policy.{role}[0]", (A,), 1, False) for role in ("commit", "release", "admin")]  # fmt: skip
    assert (policy.signers[A].name, policy.signers[A].emails) == ("Ada", ("ada@example.com",))
    assert policy.admin_is_explicit
    assert policy.commit[0].agents == "approved"
    assert len(warnings(policy)) == 3
    for command in ("add-signer DID --role commit", "add-signer DID --role admin", "set-threshold release 2"):
        assert command in text
    assert max(map(len, text.splitlines())) <= 120


def test_the_first_policy_takes_any_printable_name() -> None:
    name = 'Ada "the \\ countess" O\'Neil-Müller 🦊 # [x]'
    assert of(new_policy(A, name)).signers[A].name == name
    assert of(new_policy(A)).signers[A].name is None


@pytest.mark.parametrize(("did", "name", "email"), [("did:keri:x", "Ada", "a@b.c"), (A, "A\nB", "a@b.c"),
                                                    (A, "", "a@b.c"), (A, "Ada", "nobody"),
                                                    (A, "Ada", "*@b.c")])  # fmt: skip
def test_the_first_policy_is_refused_where_it_would_not_parse(did: str, name: str, email: str) -> None:
    refusal(new_policy, did, name, email)


@pytest.mark.parametrize("role", ROLES)
def test_adding_and_removing_leaves_the_file_as_it_was(role: str) -> None:
    with_ci = new_policy(A, "Ada") + f'\n[[policy.ci]]\nsigners = ["{A}"]\n'
    added = add_signer(with_ci, B, role, "Bob", ["bob@example.com"])
    assert added != with_ci
    assert of(added).lists(B)
    assert remove_signer(added, B, role) == with_ci


def test_adding_touches_every_rule_without_a_scope_and_no_other() -> None:
    text = add_signer(HAND_WRITTEN, C, "commit")
    assert [rule.signers for rule in of(text).commit] == [(A, B, C), (A,)]
    assert text == HAND_WRITTEN.replace(f'["{A}", "{B}"] #', f'["{A}", "{B}", "{C}"] #')


def test_adding_keeps_comments_and_the_shape_of_the_list() -> None:
    text = add_signer(HAND_WRITTEN, D, "release")
    assert comments(text) == comments(HAND_WRITTEN)
    assert text == HAND_WRITTEN.replace(f'  "{C}"\n', f'  "{C}",\n  "{D}"\n')


def test_adding_goes_to_the_only_rule_though_it_has_a_scope() -> None:
    text = f'[[policy.release]]\nsigners = ["{A}"]\nrequire = 1\ntags = ["v*"]\n'
    assert of(add_signer(text, B, "release")).release[0].signers == (A, B)


@pytest.mark.parametrize("edit", [lambda text: add_signer(text, C, "release"),
                                  lambda text: set_threshold(text, "release", 1)])  # fmt: skip
def test_several_rules_each_for_a_part_are_left_to_the_person(edit: object) -> None:
    rule = f'[[policy.release]]\nsigners = ["{A}", "{B}"]\nrequire = 2\ntags = ["v{{}}*"]\n'
    assert "by hand" in refusal(edit, rule.format(1) + rule.format(2))


def test_several_ci_rules_are_left_to_the_person() -> None:
    assert "by hand" in refusal(add_signer, new_policy(A) + "\n[[policy.ci]]\n[[policy.ci]]\n", B, "ci")


def test_adding_who_is_there_changes_nothing() -> None:
    for role in ("commit", "release", "admin"):
        assert add_signer(HAND_WRITTEN, B, role) == HAND_WRITTEN
        assert add_signer(HAND_WRITTEN, A, role, "Ada") == HAND_WRITTEN
        assert add_signer(HAND_WRITTEN, B, role, "Bob", ["bob@example.com", "bob@example.org"]) == HAND_WRITTEN


def test_adding_again_with_another_name_changes_the_name_alone() -> None:
    text = add_signer(HAND_WRITTEN, A, "commit", "Ada L.", ["ada@example.com"])
    assert text == HAND_WRITTEN.replace('name = "Ada"\n', 'emails = ["ada@example.com"]\nname = "Ada L."\n')


@pytest.mark.parametrize("role", ["commit", "release"])
def test_a_role_without_a_rule_gets_one(role: str) -> None:
    text = f'# top\n[[policy.admin]]\nsigners = ["{A}"]\nrequire = 1\n\n# Ada\n[signer."{A}"]\nname = "Ada"\n'
    result = add_signer(text, B, role)
    (rule,) = getattr(of(result), role)
    assert (rule.signers, rule.require) == ((B,), 1)
    assert result.index("[[policy.admin]]") < result.index(f"[[policy.{role}]]") < result.index("# Ada")
    assert comments(result) == comments(text)


def test_ci_gets_a_rule_that_allows_its_signer_alone() -> None:
    (rule,) = of(add_signer(new_policy(A), B, "ci")).ci
    assert (rule.signers, rule.allow_ephemeral, rule.identity) == ((B,), False, None)


def test_a_signer_goes_into_a_ci_rule_that_has_none() -> None:
    text = new_policy(A) + '\n[[policy.ci]]\nallow_ephemeral = true\n[policy.ci.identity]\nissuer = "https://x"\n'
    (rule,) = of(add_signer(text, B, "ci")).ci
    assert (rule.signers, rule.allow_ephemeral, rule.identity) == ((B,), True, {"issuer": "https://x"})
    assert remove_signer(add_signer(text, B, "ci"), B, "ci") == text


def test_the_first_admin_rule_keeps_those_who_decided_so_far() -> None:
    text = f'[[policy.release]]\nsigners = ["{A}", "{B}"]\nrequire = 2\ntags = ["v*"]\n'
    policy = of(add_signer(text, C, "admin"))
    assert [(rule.kind, rule.signers, rule.require) for rule in policy.admin] == [("admin", (A, B, C), 2)]
    assert "by hand" in refusal(add_signer, text + text, C, "admin")


def test_a_did_that_is_none_and_an_unknown_role_are_refused() -> None:
    assert "did:keri" in refusal(add_signer, HAND_WRITTEN, "did:key:z6Mk", "commit")
    for edit in (add_signer, remove_signer):
        assert "no role" in refusal(edit, HAND_WRITTEN, A, "signers")
    assert "no role" in refusal(set_threshold, HAND_WRITTEN, "signer", 1)


@pytest.mark.parametrize("edit", [lambda text: add_signer(text, C, "commit"),
                                  lambda text: remove_signer(text, B, "commit"),
                                  lambda text: set_threshold(text, "commit", 1)])  # fmt: skip
def test_a_file_that_is_no_policy_is_not_edited(edit: object) -> None:
    reason = refusal(edit, HAND_WRITTEN.replace("require = 2", "require = 9"))
    assert reason == "policy.toml:10: require is 9, but the rule lists 3 signers"


def test_removing_takes_the_signer_out_of_every_rule_of_the_role() -> None:
    text = HAND_WRITTEN.replace(f'signers = ["{A}"]', f'signers = ["{A}", "{B}"]')
    result = remove_signer(text, B, "commit")
    assert [rule.signers for rule in of(result).commit] == [(A,), (A,)]
    assert of(result).lists(B)
    assert of(result).signers[B].name == "Bob"


def test_removing_from_the_last_role_takes_the_signer_table_and_no_comment_of_others() -> None:
    text = HAND_WRITTEN
    for role in ("release", "commit", "admin"):
        text = remove_signer(text, B, role)
    assert not of(text).lists(B)
    assert of(text).unlisted == ()
    assert B not in text
    gone = {" Bob", " Bob joined in May"}
    assert [c for c in comments(text) if c not in gone] == [c for c in comments(HAND_WRITTEN) if c not in gone]
    assert text.endswith("# the end\n")
    assert "Bob, since May" in text


def test_removing_the_only_signer_table_leaves_a_policy() -> None:
    text = new_policy(A) + f'\n[[policy.ci]]\nsigners = ["{B}"]\n'
    text = text.replace(f'[signer."{A}"]', f'[signer."{B}"]')
    assert B not in remove_signer(text, B, "ci")


def test_a_signer_table_between_the_rules_goes_alone() -> None:
    text = HAND_WRITTEN.replace(A, "?").replace(B, A).replace("?", B)  # Ada and Bob change places
    for role in ("release", "admin"):
        text = remove_signer(text, B, role)
    text = text.replace(f'signers = ["{B}"]\nrequire = 1\npaths', f'signers = ["{A}"]\nrequire = 1\npaths')
    text = remove_signer(text, B, "commit")
    assert f'[signer."{B}"]' not in text
    assert "# Crypto needs Ada." in text
    assert len(of(text).commit) == 2


def test_removing_who_is_not_there_changes_nothing() -> None:
    for role in ROLES:
        assert remove_signer(HAND_WRITTEN, D, role) == HAND_WRITTEN
    assert remove_signer(HAND_WRITTEN, A, "ci") == HAND_WRITTEN


def test_a_removal_that_leaves_a_rule_unmet_is_refused_with_the_way_out() -> None:
    text = remove_signer(HAND_WRITTEN, C, "release")
    assert refusal(remove_signer, text, B, "release") == (
        "policy.release[0] requires 2 and lists 2 signers: lower its threshold first (set-threshold release 1)"
    )
    assert of(remove_signer(set_threshold(text, "release", 1), B, "release")).release[0].signers == (A,)


@pytest.mark.parametrize("role", ["commit", "release", "admin"])
def test_the_last_signer_of_a_rule_stays(role: str) -> None:
    assert f"last signer of policy.{role}[0]" in refusal(remove_signer, new_policy(A), A, role)


def test_an_admin_by_the_release_rule_is_not_removed_from_admin_alone() -> None:
    text = f'[[policy.release]]\nsigners = ["{A}", "{B}"]\nrequire = 1\n'
    assert "release rules stand in" in refusal(remove_signer, text, A, "admin")
    assert remove_signer(text, C, "admin") == text


def test_a_threshold_is_set_in_place() -> None:
    assert set_threshold(HAND_WRITTEN, "release", 3) == HAND_WRITTEN.replace("require = 2   #", "require = 3   #")
    assert set_threshold(HAND_WRITTEN, "release", 2) == HAND_WRITTEN


@pytest.mark.parametrize("require", [0, -1, 4])
def test_a_threshold_that_could_not_be_met_is_not_written(require: int) -> None:
    assert refusal(set_threshold, HAND_WRITTEN, "release", require) == (
        f"policy.release[0] lists 3 signers: its threshold cannot be {require}"
    )


def test_a_threshold_above_one_needs_a_second_signer_first() -> None:
    assert "lists 1 signer: its threshold cannot be 2" in refusal(set_threshold, new_policy(A), "release", 2)


def test_an_edit_that_would_change_something_else_is_refused() -> None:
    scattered = f'signer."{B}".name = "Bob"\nsigner."{A}".name = "Ada"\nsigner."{B}".emails = ["b@x.y"]\n'
    text = scattered + f'[[policy.release]]\nsigners = ["{A}", "{B}"]\nrequire = 1\n'
    assert "by hand" in refusal(remove_signer, text, B, "release")
    assert of(text).signers[A].name == "Ada"


def test_a_threshold_needs_a_rule() -> None:
    text = f'[[policy.release]]\nsigners = ["{A}"]\nrequire = 1\n'
    assert "no threshold" in refusal(set_threshold, text + "[[policy.ci]]\n", "ci", 1)
    assert "no commit rule" in refusal(set_threshold, text, "commit", 1)
    assert "stand in for it" in refusal(set_threshold, text, "admin", 1)


def test_a_file_with_crlf_is_edited() -> None:
    text = HAND_WRITTEN.replace("\n", "\r\n")
    for role in ROLES:
        text = add_signer(text, D, role, "Dora")
    assert of(text).signers[D].name == "Dora"
    assert comments(text.replace("\r\n", "\n")) == comments(HAND_WRITTEN)
    for role in ROLES:
        text = remove_signer(text, D, role)
    assert D not in text


def test_rules_written_as_one_list_are_edited_too() -> None:
    text = f'policy = {{ release = [{{ signers = ["{A}", "{B}"], require = 1 }}] }} # short\n'
    text = set_threshold(add_signer(text, C, "release"), "release", 3)
    assert (of(text).release[0].signers, of(text).release[0].require) == ((A, B, C), 3)
    assert comments(text) == [" short"]


EDITS = st.lists(st.tuples(st.sampled_from(["add", "remove", "set"]), st.sampled_from(ROLES),
                           st.sampled_from([A, B, C, D]), st.integers(0, 4)), max_size=8)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([HAND_WRITTEN, new_policy(A, "Ada", "ada@example.com")]), EDITS)
def test_any_run_of_edits_gives_a_policy_that_says_so(text: str, edits: list[tuple[str, str, str, int]]) -> None:
    for edit, role, did, number in edits:
        try:
            if edit == "add":
                text = add_signer(text, did, role, f"N{number}", [f"n{number}@example.com"])
                assert any(did in rule.signers for rule in getattr(of(text), role))
                assert of(text).signers[did].name == f"N{number}"
            elif edit == "remove":
                text = remove_signer(text, did, role)
                assert not any(did in rule.signers for rule in getattr(of(text), role))
            else:
                text = set_threshold(text, role, number)
                assert any(rule.require == number for rule in getattr(of(text), role))
        except PolicyEditRefused:
            continue
        assert did not in of(text).unlisted
