"""SLSA provenance, and the agents that it names."""

from __future__ import annotations

from typing import Any

import pytest

from git_auths.core import provenance
from git_auths.core.provenance import Agent, CommitNote

COMMIT = "11" * 20


def test_what_is_written_is_read_again() -> None:
    agent = Agent("fixer", "m-1", "acme", ("edit", "test"))
    notes = [CommitNote(COMMIT, "Ada", "agent", "m-2"), CommitNote("22" * 20, "Bob", "human")]
    made = provenance.slsa(COMMIT, "git+https://example.com/r", "https://example.com/ci", 0, agent, notes)
    assert provenance.agent_of(made) == agent
    assert provenance.commits_of(made) == notes
    assert provenance.models_of(made) == {"m-1", "m-2"}
    assert made["runDetails"] == {
        "builder": {"id": "https://example.com/ci"}, "metadata": {"startedOn": "1970-01-01T00:00:00Z"},
    }  # fmt: skip


def test_without_an_agent_none_is_named() -> None:
    made = provenance.slsa(COMMIT, None, "https://example.com/ci", 0)
    assert "internalParameters" not in made["buildDefinition"]
    assert made["buildDefinition"]["resolvedDependencies"] == [{"digest": {"gitCommit": COMMIT}}]
    assert provenance.agent_of(made) is None
    assert provenance.commits_of(made) == []
    assert provenance.models_of(made) == frozenset()
    assert provenance.agent_json(Agent(model="m-1")) == {"model": "m-1"}


def with_agent(block: object) -> dict[str, Any]:
    return {"buildDefinition": {"internalParameters": {"agent": block}}}


@pytest.mark.parametrize(("predicate", "agent"), [
    ({}, None), ({"buildDefinition": []}, None), ({"buildDefinition": {"internalParameters": 1}}, None),
    (with_agent("m-1"), None), (with_agent({}), None),
    (with_agent({"id": 1, "model": ["x"], "provider": "", "tools": "edit"}), Agent()),
    (with_agent({"tools": ["edit", 1, None, "", "test"]}), Agent(tools=("edit", "test"))),
    (with_agent({"model": "x" * 1000}), Agent(model="x" * 256)),
    (with_agent({"tools": ["t"] * 100}), Agent(tools=("t",) * 64)),
], ids=range(9))  # fmt: skip
def test_what_has_another_form_is_left_out(predicate: dict[str, Any], agent: Agent | None) -> None:
    assert provenance.agent_of(predicate) == agent


def annotated(*dependencies: object) -> dict[str, Any]:
    return {"buildDefinition": {"resolvedDependencies": list(dependencies)}}


@pytest.mark.parametrize(("predicate", "notes"), [
    ({"buildDefinition": {"resolvedDependencies": 1}}, []), (annotated(1, {}, {"annotations": 1}), []),
    (annotated({"annotations": {"commits": 1}}), []),
    (annotated({"annotations": {"commits": [1, {}, {"hash": 1}, {"hash": "a"}]}}), [CommitNote("a", "", "")]),
    (annotated({"annotations": {"commits": [{"hash": "a"}] * 200}}), [CommitNote("a", "", "")] * 100),
], ids=range(5))  # fmt: skip
def test_what_is_said_of_commits_otherwise_is_left_out(predicate: dict[str, Any], notes: list[CommitNote]) -> None:
    assert provenance.commits_of(predicate) == notes


@pytest.mark.parametrize(("passed", "word"), [(True, "PASSED"), (False, "FAILED")])
def test_a_summary_says_what_was_found_by_which_policy(passed: bool, word: str) -> None:
    found = provenance.summary("did:x", "urn:x", COMMIT, 0, passed, ["L"])
    assert found["verificationResult"] == word
    assert found["policy"]["digest"] == {"gitCommit": COMMIT}
    assert found["timeVerified"] == "1970-01-01T00:00:00Z"
    assert (found["verifier"], found["resourceUri"], found["verifiedLevels"]) == ({"id": "did:x"}, "urn:x", ["L"])
