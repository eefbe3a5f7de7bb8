"""core/rights.py: one rule, asked about who signed and who approved."""

from __future__ import annotations

import pytest

from git_auths.core.approvals import Counted
from git_auths.core.authority import Authority, Right
from git_auths.core.facts import Fault
from git_auths.core.policy import parse
from git_auths.core.rights import (
    MANAGE_MEMBERS,
    SIGN_COMMIT,
    SIGN_RELEASE,
    Question,
    needs_approval,
    principals,
    right,
    shortfall,
)
from git_auths.core.signer import Signer
from tests.core.test_authority import DAY, authority, did, sealed
from tests.kels import GrowingLog

KINDS = {SIGN_COMMIT: "commit", SIGN_RELEASE: "release", MANAGE_MEMBERS: "admin"}


class Team:
    """Ann and Bea, whom the rule lists; Ann's device and her agent; Bea's organisation's member Mel."""

    def __init__(self) -> None:
        self.ann, self.bea = GrowingLog(1), GrowingLog(2)
        self.device, self.agent = GrowingLog(3, delegator=self.ann), GrowingLog(4, delegator=self.ann)
        self.mel, self.nan = GrowingLog(5), GrowingLog(6)
        every = (SIGN_COMMIT, SIGN_RELEASE, MANAGE_MEMBERS)
        self.granted = [
            sealed(self.ann, self.device, capabilities=every),
            sealed(self.ann, self.agent, "agent", capabilities=every, model="m-1"),
            sealed(self.bea, self.mel, "member", until=10 * DAY, capabilities=every),
        ]

    @property
    def authority(self) -> Authority:
        return authority([self.ann, self.bea, self.device, self.agent, self.mel, self.nan], *self.granted)

    def asked(self, capability: str = SIGN_COMMIT, require: int = 1, extra: str = "", ends: str = "",
              now: int | None = DAY, grants_now: int | None = DAY) -> Question:  # fmt: skip
        listed = ", ".join(f'"{did(one)}"' for one in (self.ann, self.bea))
        kind = KINDS[capability]
        text = f"[[policy.{kind}]]\nsigners = [{listed}]\nrequire = {require}\n{extra}\n"
        text += f'[[policy.admin]]\nsigners = [{listed}]\nrequire = 1\n[signer."{did(self.ann)}"]\n{ends}\n'
        policy = parse(text.encode())
        rules = {"commit": policy.commit, "release": policy.release, "admin": policy.admin}[kind]
        return Question(policy, rules[0], capability, self.authority, now, grants_now)


def signer(log: GrowingLog, key: bytes | None = None) -> Signer:
    """As the judge hands it in; who counts is for the rule to say, so `principal` is nobody here."""
    return Signer(did(log), "", key or log.kel.aid.encode())


@pytest.fixture(scope="module")
def team() -> Team:
    return Team()


def verdict(found: Right | Fault | None) -> str | None:
    return found.verdict if isinstance(found, Fault) else None


# Who may


def test_who_is_listed_or_acts_for_somebody_listed_may(team: Team) -> None:
    for capability in KINDS:
        asked = team.asked(capability)
        for one in (team.ann, team.bea, team.device, team.agent, team.mel):
            assert isinstance(right(asked, did(one)), Right)
        found = right(asked, did(team.nan))
        assert verdict(found) == "unauthorized"
        assert isinstance(found, Fault) and found.rule == asked.rule.name


@pytest.mark.parametrize(
    ("now", "verdict_of_mel"), [(10 * DAY - 1, None), (10 * DAY, "expired"), (99 * DAY, "expired"), (None, None)]
)
def test_a_grant_ends_when_it_says(team: Team, now: int | None, verdict_of_mel: str | None) -> None:
    assert verdict(right(team.asked(grants_now=now), did(team.mel))) == verdict_of_mel
    assert verdict(right(team.asked(grants_now=now), did(team.ann))) is None


@pytest.mark.parametrize(("now", "expected"), [(19 * DAY, None), (20 * DAY, "expired"), (None, None)])
def test_whoever_acts_for_somebody_ends_with_her(team: Team, now: int | None, expected: str | None) -> None:
    asked = team.asked(ends="expires_at = 1970-01-21T00:00:00Z", now=now)
    for one in (team.ann, team.device, team.agent):
        assert verdict(right(asked, did(one))) == expected
    assert verdict(right(asked, did(team.bea))) is None


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ("", None), ('agents = "approved"', None), ('agents = "allow"', None), ('agents = "deny"', "unauthorized"),
        ('agent_models = ["*"]', None), ('agent_models = ["m-?"]', None), ('agent_models = ["x", "m-1"]', None),
        ('agent_models = ["x-*"]', "unauthorized"), ('agent_models = ["m"]', "unauthorized"),
        ('agents = "deny"\nagent_models = ["*"]', "unauthorized"),
    ],
)  # fmt: skip
def test_a_commit_rule_says_which_agents_it_admits(team: Team, conditions: str, expected: str | None) -> None:
    asked = team.asked(extra=conditions)
    assert verdict(right(asked, did(team.agent))) == expected
    for one in (team.ann, team.device, team.mel):
        assert verdict(right(asked, did(one))) is None


@pytest.mark.parametrize(("pattern", "model", "admits"), [
    ("*", "m-1", True), ("*", "acme/m-1", True), ("*", None, True), ("acme/*", "acme/m-1", True), ("m-*", None, False),
    ("m-*", "acme/m-1", False), ("*-1", "m-1", True), ("**", "acme/m-1", True),
])  # fmt: skip
def test_a_star_admits_any_model(pattern: str, model: str | None, admits: bool) -> None:
    """DESIGN 6: agent_models = ["*"]; names of models have slashes."""
    team = Team()
    team.granted[1] = sealed(team.ann, team.agent, "agent", model=model)
    found = right(team.asked(extra=f'agent_models = ["{pattern}"]'), did(team.agent))
    assert isinstance(found, Right) is admits


# Whose yes an agent's commit takes


@pytest.mark.parametrize(
    ("conditions", "expected"), [("", True), ('agents = "approved"', True), ('agents = "allow"', False)]
)
def test_an_agents_commit_takes_an_approval_unless_the_rule_says_otherwise(
    team: Team, conditions: str, expected: bool
) -> None:
    asked = team.asked(extra=conditions)
    assert needs_approval(asked, signer(team.agent)) is expected
    assert not any(needs_approval(asked, signer(one)) for one in (team.ann, team.device, team.mel, team.nan))
    assert not needs_approval(team.asked(SIGN_RELEASE), signer(team.agent))
    assert needs_approval(team.asked(MANAGE_MEMBERS), signer(team.agent))


@pytest.mark.parametrize(
    ("approvers", "is_enough"),
    [
        ([], False),
        (["agent"], False),
        (["nan"], False),
        (["ann"], True),
        (["device"], True),
        (["bea"], True),
        (["mel"], True),
    ],
)
def test_a_person_approves_an_agents_commit(team: Team, approvers: list[str], is_enough: bool) -> None:
    counted = Counted(tuple(signer(getattr(team, one)) for one in approvers))
    fault = shortfall(team.asked(), signer(team.agent), counted)
    assert verdict(fault) == (None if is_enough else "threshold-unmet")


def test_where_the_notes_cannot_be_read_whole_nothing_is_said_of_the_number(team: Team) -> None:
    for asked, one in ((team.asked(), team.agent), (team.asked(require=2), team.ann)):
        assert verdict(shortfall(asked, signer(one), Counted(incomplete=True))) == "incomplete"


# How many they are


def count(asked: Question, first: GrowingLog | None, *approvers: GrowingLog) -> set[str]:
    return principals(asked, None if first is None else signer(first), [signer(one) for one in approvers])


def test_each_principal_counts_once(team: Team) -> None:
    ann, bea = did(team.ann), did(team.bea)
    for capability in KINDS:
        asked = team.asked(capability)
        assert count(asked, team.ann, team.device, team.ann) == {ann}
        assert count(asked, team.device, team.ann) == {ann}
        assert count(asked, team.bea, team.mel) == {bea}
        assert count(asked, team.mel, team.device) == {ann, bea}
        assert count(asked, None, team.mel) == {bea}


def test_an_agent_counts_for_what_it_signs_and_approves_nothing(team: Team) -> None:
    ann, bea = did(team.ann), did(team.bea)
    for capability in KINDS:
        asked = team.asked(capability, extra='agents = "allow"' if capability == SIGN_COMMIT else "")
        assert count(asked, team.agent) == {ann}
        assert count(asked, team.bea, team.agent) == {bea}
        assert count(asked, team.agent, team.agent, team.ann) == {ann}
        assert count(asked, None, team.agent) == set()


def test_who_may_not_counts_nowhere(team: Team) -> None:
    asked = team.asked(grants_now=50 * DAY)
    assert count(asked, team.mel, team.nan, team.ann) == {did(team.ann)}


def test_one_key_counts_once_whoever_has_it(team: Team) -> None:
    asked = team.asked()
    one, other = signer(team.ann, b"key"), signer(team.bea, b"key")
    assert len(principals(asked, one, [other])) == 1
    assert len(principals(asked, None, [one, other])) == 1


def test_the_number_is_what_the_rule_requires(team: Team) -> None:
    asked = team.asked(require=2)
    for others, expected in (((), "threshold-unmet"), ((team.device,), "threshold-unmet"), ((team.mel,), None)):
        fault = shortfall(asked, signer(team.ann), Counted(tuple(signer(one) for one in others)))
        assert verdict(fault) == expected
        assert fault is None or "1 of 2 principals" in fault.reason
