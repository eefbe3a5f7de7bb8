"""A change of the policy in words: one line for each thing that changed, for every key of the schema."""

from __future__ import annotations

import pytest

from git_auths.core.policywords import differences
from tests.core.test_policy import FULL, RELEASE, A, B, C, of

NAMED = FULL + f'[signer."{B}"]\nname = "Bob"\n'
SECOND = f'[[policy.commit]]\nsigners = ["{B}"]\nrequire = 1\npaths = ["docs/**", "a b"]\nagents = "deny"\n\n'
FIRST_RULES = [
    f"added the rule commit: 1 of Maintainer ({A}), {B}; branches main; paths src/crypto/**; agent_models *",
    f"added the rule release: 2 of Maintainer ({A}), {B}; tags v*",
    f"added the rule admin: 1 of Maintainer ({A})",
    f"added the rule ci: {C}; allow_ephemeral true; require_log sigstore-rekor; log_url https://rekor.example.com; "
    "require_timestamp true; timestamp_url https://tsa.example.com; commit_paths CHANGELOG.md; "
    "identity.issuer https://token.actions.githubusercontent.com; identity.repository_id 123456; "
    "identity.workflow_ref owner/repo/.github/workflows/release.yml@refs/tags/*; "
    "identity.oidc.circleci.com/ssh-rerun false; allow_unbound audience, commit",
    f"Maintainer ({A}): emails none -> maintainer@example.com",
    f"Maintainer ({A}) expires 2027-01-01",
]


def test_a_first_policy_is_told_as_a_whole() -> None:
    assert differences(None, of(FULL)) == FIRST_RULES


def test_what_means_the_same_is_no_change() -> None:
    assert differences(of(FULL), of(FULL.replace("# Ada", "# the founder").replace("= 1\n", "=  1\n"))) == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("require = 2", "require = 1", ["release threshold 2 -> 1"]),
        ('["sign_release"]', '["sign_release", "sign_commit"]',
         ["release: capabilities sign_release -> sign_release, sign_commit"]),
        ('tags = ["v*"]', "", ["release: tags v* -> any"]),
        ('branches = ["main"]', 'branches = ["main", "release/*"]', ["commit: branches main -> main, release/*"]),
        ('branches = ["main"]', 'branches = ["any", "a, b"]', ['commit: branches main -> "any", "a, b"']),
        ('paths = ["src/crypto/**"]', "", ["commit: paths src/crypto/** -> any"]),
        ('agents = "approved"', 'agents = "deny"', ["commit: agents approved -> deny"]),
        ('agent_models = ["*"]', "", ["commit: agent_models * -> any"]),
        ("allow_ephemeral = true", "", ["ci: allow_ephemeral true -> false"]),
        ('max_ttl = "1h"', 'max_ttl = "90m"', ["ci: max_ttl 1h -> 90m"]),
        ('require_log = "sigstore-rekor"', "", ["ci: require_log sigstore-rekor -> none"]),
        ("https://rekor.example.com", "https://log", ["ci: log_url https://rekor.example.com -> https://log"]),
        ("require_timestamp = true", "", ["ci: require_timestamp true -> false"]),
        ("https://tsa.example.com", "https://x", ["ci: timestamp_url https://tsa.example.com -> https://x"]),
        ('commit_paths = ["CHANGELOG.md"]', "", ["ci: commit_paths CHANGELOG.md -> none"]),
        ('repository_id = "123456"', "", ["ci: identity.repository_id 123456 -> none"]),
        ('ssh-rerun" = false', 'ssh-rerun" = "false"', ['ci: identity.oidc.circleci.com/ssh-rerun false -> "false"']),
        ('["audience", "commit"]', '["commit"]', ["ci: allow_unbound audience, commit -> commit"]),
        ('name = "Maintainer"', 'name = "Ada"', [f"{A}: name Maintainer -> Ada"]),
        ('"maintainer@example.com"', '"a@example.com"', ["Maintainer: emails maintainer@example.com -> a@example.com"]),
        ("2027-01-01T00:00:00Z", "2028-02-01T10:00:00+01:00",
         ["Maintainer expires 2028-02-01T09:00:00Z, not 2027-01-01"]),
        ("expires_at = 2027-01-01T00:00:00Z", "", ["Maintainer expires never, not 2027-01-01"]),
        ("2027-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00",
         ["Maintainer expires 253402343999 seconds after 1970, not 2027-01-01"]),
        (f'    "{A}",  # Ada\n', "", ["removed Maintainer from commit"]),
        (f'signers = ["{A}"]', f'signers = ["{C}"]', [f"added {C} to admin", "removed Maintainer from admin"]),
        (f'signers = ["{A}", "{B}"]', f'signers = ["{B}", "{A}"]', ["release: the signers in another order"]),
        ("[policy.ci.identity]", "[policy.ci.identity]\nsub = true", ["ci: identity.sub none -> true"]),
        (f'[[policy.admin]]\nsigners = ["{A}"]\nrequire = 1\ncapabilities = ["manage_members"]\n', "",
         ["removed the rule admin: 1 of Maintainer", "the release rules stand in for the admin rule"]),
    ],
)  # fmt: skip
def test_each_change_has_its_words(old: str, new: str, words: list[str]) -> None:
    assert FULL.count(old) == 1 or old.startswith("require")
    assert differences(of(FULL), of(FULL.replace(old, new, 1))) == words


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("[[policy.commit]]\n", f'added the rule commit[0]: 1 of {B}; paths docs/**, "a b"; agents deny'),
        ("[[policy.admin]]\n", f'added the rule commit[1]: 1 of {B}; paths docs/**, "a b"; agents deny'),
    ],
)
def test_a_rule_more_or_less_is_one_line_wherever_it_stands(where: str, words: str) -> None:
    longer = FULL.replace(where, SECOND + where)
    assert differences(of(FULL), of(longer)) == [words]
    assert differences(of(longer), of(FULL)) == [words.replace("added", "removed")]


def test_of_several_rules_the_changed_one_is_named_by_its_place() -> None:
    two = FULL.replace("[[policy.admin]]\n", SECOND + "[[policy.admin]]\n")
    assert differences(of(two), of(two.replace('"deny"', '"allow"'))) == ["commit[1]: agents deny -> allow"]


def test_a_new_signer_stands_with_the_did() -> None:
    words = differences(of(RELEASE), of(RELEASE.replace(f'"{A}"', f'"{A}", "{B}"') + f'[signer."{B}"]\nname = "Bob"\n'))
    assert words == [f"added Bob ({B}) to release"]


@pytest.mark.parametrize("name", ["Maintainer", "maintainer", " MAINTAINER "])
def test_two_signers_with_one_name_stand_with_their_dids(name: str) -> None:
    after = NAMED.replace('"Bob"', f'"{name}"').replace(f'["{A}", "{B}"]\nrequire = 2', f'["{A}"]\nrequire = 1')
    assert f"removed {name} ({B}) from release" in differences(of(NAMED.replace('"Bob"', f'"{name}"')), of(after))


def test_a_name_that_holds_a_did_is_not_shown_as_one() -> None:
    text = NAMED.replace('"Bob"', f'"Maintainer ({A})"')
    after = text.replace(f'["{A}", "{B}"]\nrequire = 2', f'["{A}"]\nrequire = 1')
    assert f"removed {B} from release" in differences(of(text), of(after))


def test_a_signer_table_without_a_rule() -> None:
    after = RELEASE + f'[signer."{C}"]\nname = "Carol"\n'
    assert differences(of(RELEASE), of(after)) == [f"added a [signer] table for {C}, whom no rule lists"]
    assert differences(of(after), of(RELEASE)) == [f"removed the [signer] table of {C}"]
