"""SLSA provenance and verification summaries as this software writes them, and the agents that a provenance names.

Source: slsa.dev/spec/v1.0/provenance and verification_summary. The agent block is ours, and stands where SLSA lets a
builder put what it likes:

    buildDefinition.internalParameters.agent = {"id": "fixer", "model": "m-1", "provider": "acme", "tools": ["..."]}
    buildDefinition.resolvedDependencies[].annotations.commits = [{"hash": "<commit>", "author": "...",
                                                                   "authored_by": "agent", "agent_model": "m-1"}]

All of that is what the signer declares of itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from git_auths.core import utctime

SLSA_PROVENANCE = "https://slsa.dev/provenance/v1"
VERIFICATION_SUMMARY = "https://slsa.dev/verification_summary/v1"
BUILD_TYPE = "urn:git-auths:build:v1"
MAX_AGENT_TEXT_CHARS = 256
MAX_TOOLS = 64
MAX_COMMITS = 100  # annotated in one provenance


class Agent(NamedTuple):
    """The program that did the work, in its own words."""

    id: str | None = None
    model: str | None = None
    provider: str | None = None
    tools: tuple[str, ...] = ()


class CommitNote(NamedTuple):
    """Who made a commit: `authored_by` is `agent` or `human`."""

    hash: str
    author: str
    authored_by: str
    agent_model: str | None = None


def slsa(commit: str, uri: str | None, builder: str, started_at: int, agent: Agent | None = None,
         commits: Sequence[CommitNote] = ()) -> dict[str, Any]:  # fmt: skip
    """The predicate of a SLSA provenance v1: built from `commit` of the repository `uri` by `builder` (a URI)."""
    source: dict[str, Any] = {"digest": {"gitCommit": commit}}
    if uri:
        source["uri"] = uri
    if commits:
        source["annotations"] = {"commits": [_commit_json(one) for one in commits]}
    definition: dict[str, Any] = {
        "buildType": BUILD_TYPE, "externalParameters": {}, "resolvedDependencies": [source],
    }  # fmt: skip
    if agent is not None:
        definition["internalParameters"] = {"agent": agent_json(agent)}
    details = {"builder": {"id": builder}, "metadata": {"startedOn": utctime.text(started_at)}}
    return {"buildDefinition": definition, "runDetails": details}


def summary(verifier: str, resource: str, policy_commit: str, verified_at: int, passed: bool,
            levels: Sequence[str]) -> dict[str, Any]:  # fmt: skip
    """The predicate of a SLSA verification summary v1: what `verify --attest` found of `resource` (a URI)."""
    return {
        "verifier": {"id": verifier},
        "timeVerified": utctime.text(verified_at),
        "resourceUri": resource,
        "policy": {"uri": ".auths/policy.toml", "digest": {"gitCommit": policy_commit}},
        "verificationResult": "PASSED" if passed else "FAILED",
        "verifiedLevels": list(levels),
        "slsaVersion": "1.0",
    }


def agent_json(agent: Agent) -> dict[str, Any]:
    fields: dict[str, Any] = {"id": agent.id, "model": agent.model, "provider": agent.provider}
    present = {key: value for key, value in fields.items() if value}
    return present | ({"tools": list(agent.tools)} if agent.tools else {})


def agent_of(predicate: Mapping[str, Any]) -> Agent | None:
    """The agent that a provenance names; None where it names none. What has another form is left out."""
    block = _mapping(_mapping(_mapping(predicate, "buildDefinition"), "internalParameters"), "agent")
    if not block:
        return None
    tools = block.get("tools")
    listed = [text for tool in tools[:MAX_TOOLS] if (text := _text(tool))] if isinstance(tools, list) else []
    return Agent(_text(block.get("id")), _text(block.get("model")), _text(block.get("provider")), tuple(listed))


def commits_of(predicate: Mapping[str, Any]) -> list[CommitNote]:
    """What a provenance says of single commits, as far as it has the form above."""
    dependencies = _mapping(predicate, "buildDefinition").get("resolvedDependencies")
    if not isinstance(dependencies, list):
        return []
    return [note for one in dependencies[:MAX_COMMITS] if isinstance(one, dict) for note in _notes(one)]


def models_of(predicate: Mapping[str, Any]) -> frozenset[str]:
    """Every model that a provenance names."""
    agent = agent_of(predicate)
    named = {note.agent_model for note in commits_of(predicate)} | {agent.model if agent else None}
    return frozenset(model for model in named if model)


def _notes(dependency: Mapping[str, Any]) -> Iterable[CommitNote]:
    listed = _mapping(dependency, "annotations").get("commits")
    for one in listed[:MAX_COMMITS] if isinstance(listed, list) else ():
        if isinstance(one, dict) and (id := _text(one.get("hash"))):
            yield CommitNote(id, _text(one.get("author")) or "", _text(one.get("authored_by")) or "",
                             _text(one.get("agent_model")))  # fmt: skip


def _commit_json(note: CommitNote) -> dict[str, str]:
    model = {"agent_model": note.agent_model} if note.agent_model else {}
    return {"hash": note.hash, "author": note.author, "authored_by": note.authored_by} | model


def _mapping(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def _text(value: object) -> str | None:
    return value[:MAX_AGENT_TEXT_CHARS] if isinstance(value, str) and value else None
