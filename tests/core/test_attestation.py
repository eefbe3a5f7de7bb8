"""Attestations of any predicate, bound to their signer and root."""

from __future__ import annotations

import json
from typing import Any

import pytest

from git_auths.core import attestation, didkey, opensshkey
from git_auths.core.attestation import BINDING, Binding
from git_auths.core.statement import StatementInvalid, Subject

ROOT, COMMIT, OTHER = "aa" * 20, "11" * 20, "22" * 20
DID = didkey.encode(opensshkey.from_secret(opensshkey.ED25519, bytes(range(32))).public_blob)
SUBJECTS = (Subject("app", {"sha256": "33" * 32}), Subject("v1", {"gitTag": OTHER}))
PREDICATE = {"buildDefinition": {"resolvedDependencies": [{"digest": {"gitCommit": COMMIT}}]}}


def test_what_is_written_is_read_again() -> None:
    bound = Binding(ROOT, DID, 1_780_000_000, 1_780_003_600, "a.b.c")
    read = attestation.parse(attestation.payload(SUBJECTS, "https://example.com/x", PREDICATE, bound))
    assert read.binding == bound
    assert read.statement.subjects == SUBJECTS
    assert read.artifacts == {"33" * 32}
    assert read.sources == (COMMIT,)
    assert read.objects == {OTHER, COMMIT}


def test_what_nobody_says_is_left_out() -> None:
    made = attestation.payload(SUBJECTS, "https://example.com/x", {}, Binding(ROOT, DID, 0))
    assert json.loads(made)["predicate"] == {
        BINDING: {"root": ROOT, "signer": DID, "issued_at": "1970-01-01T00:00:00Z"}
    }
    assert attestation.parse(made).binding == Binding(ROOT, DID, 0)


def test_a_predicate_that_is_bound_already_is_refused() -> None:
    with pytest.raises(StatementInvalid, match=BINDING):
        attestation.payload(SUBJECTS, "https://example.com/x", {BINDING: {}}, Binding(ROOT, DID, 0))


def bound(**changes: Any) -> bytes:
    """A payload whose binding has other fields; None takes one out."""
    fields = {"root": ROOT, "signer": DID, "issued_at": "2026-11-02T10:00:00Z", **changes}
    value = {name: text for name, text in fields.items() if text is not None}
    return json.dumps({
        "_type": "https://in-toto.io/Statement/v1", "predicateType": "https://example.com/x",
        "subject": [{"name": "app", "digest": {"sha256": "33" * 32}}], "predicate": {BINDING: value},
    }).encode()  # fmt: skip


@pytest.mark.parametrize("changes", [
    {"root": None}, {"signer": None}, {"issued_at": None}, {"more": "x"}, {"root": "aa"}, {"root": "AA" * 20},
    {"root": 7}, {"root": "aa" * 20 + "\n"}, {"signer": "did:web:example.com"}, {"signer": "did:key:"}, {"signer": 1},
    {"signer": DID + "\n"}, {"issued_at": 0}, {"issued_at": "now"}, {"expires_at": "soon"}, {"expires_at": 1},
    {"token": ""}, {"token": "\u00e9"}, {"token": 1}, {"token": "x" * (16 * 1024 + 1)},
], ids=str)  # fmt: skip
def test_a_binding_has_these_fields_in_this_form(changes: dict[str, Any]) -> None:
    attestation.parse(bound())
    with pytest.raises(StatementInvalid):
        attestation.parse(bound(**changes))


def test_without_a_binding_it_is_nobodys() -> None:
    for predicate in ({}, {BINDING: None}, {BINDING: [1]}, {BINDING: "x"}):
        value = {**json.loads(bound()), "predicate": predicate}
        with pytest.raises(StatementInvalid, match=BINDING):
            attestation.parse(json.dumps(value).encode())


@pytest.mark.parametrize("predicate", [
    {}, {"buildDefinition": 1}, {"buildDefinition": {}}, {"buildDefinition": {"resolvedDependencies": {}}},
    {"buildDefinition": {"resolvedDependencies": [1, {}, {"digest": 1}, {"digest": {}}, {"digest": {"sha1": COMMIT}}]}},
], ids=range(5))  # fmt: skip
def test_what_has_another_form_names_no_commit(predicate: dict[str, Any]) -> None:
    assert attestation.git_commits(predicate) == []


@pytest.mark.parametrize("id", [1, None, "11", COMMIT.upper().replace("1", "A"), COMMIT + "\n", ""])
def test_a_commit_that_is_no_id_is_refused(id: object) -> None:
    """Another reader could take it for a second source."""
    two = [{"digest": {"gitCommit": COMMIT}}, {"digest": {"gitCommit": id}}]
    with pytest.raises(StatementInvalid, match="no commit id"):
        attestation.git_commits({"buildDefinition": {"resolvedDependencies": two}})


def test_the_commits_are_in_order_and_bounded() -> None:
    many = [{"digest": {"gitCommit": f"{number:040x}"}} for number in range(attestation.MAX_DEPENDENCIES)]
    found = attestation.git_commits({"buildDefinition": {"resolvedDependencies": many}})
    assert found == [f"{number:040x}" for number in range(attestation.MAX_DEPENDENCIES)]
    with pytest.raises(StatementInvalid, match="more than 1000"):
        attestation.git_commits({"buildDefinition": {"resolvedDependencies": [*many, {}]}})
