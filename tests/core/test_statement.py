from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_auths.core.statement import (
    APPROVAL_TYPE,
    MAX_PAYLOAD_BYTES,
    STATEMENT_TYPE,
    Approval,
    Statement,
    StatementInvalid,
    Subject,
    approval_payload,
    match_approval,
    parse_approval,
    parse_statement,
    statement_payload,
)

ROOT, COMMIT, TAG, TARGET = ("a" * 40, "b" * 40, "c" * 40, "d" * 40)
SIGNER = "did:keri:E" + "x" * 43
ISSUED_AT = datetime(2026, 11, 2, 10, 0, 0, tzinfo=timezone.utc)

OF_COMMIT = Approval(ROOT, SIGNER, "commit", COMMIT, ISSUED_AT)
OF_TAG = Approval(ROOT, SIGNER, "tag", TAG, ISSUED_AT, "v1.0", TARGET)

Spoil = Callable[[dict[str, Any]], object]


def spoiled(approval: Approval, spoil: Spoil) -> bytes:
    value = json.loads(approval_payload(approval))
    spoil(value)
    return json.dumps(value).encode()


def test_an_approval_of_a_tag_is_this_text() -> None:
    assert approval_payload(OF_TAG) == (
        b'{"_type":"https://in-toto.io/Statement/v1","predicate":{"issued_at":"2026-11-02T10:00:00Z","kind":"tag",'
        b'"root":"%b","signer":"%b","tag":"v1.0","target":"%b"},"predicateType":"urn:git-auths:approval:v1",'
        b'"subject":[{"digest":{"gitTag":"%b"},"name":"v1.0"}]}'
        % tuple(text.encode() for text in (ROOT, SIGNER, TARGET, TAG))
    )


def test_an_approval_of_a_commit_names_it_as_a_commit() -> None:
    value = json.loads(approval_payload(OF_COMMIT._replace(artifacts=("1" * 64,))))
    assert value["subject"] == [{"name": COMMIT, "digest": {"gitCommit": COMMIT}}]
    assert value["predicate"]["artifacts"] == [{"sha256": "1" * 64}]
    assert value["predicate"].keys() == {"root", "signer", "kind", "issued_at", "artifacts"}


def test_a_time_of_another_zone_is_written_in_utc_and_whole_seconds() -> None:
    local = datetime(2026, 11, 2, 12, 0, 0, 999999, tzinfo=timezone(timedelta(hours=2)))
    assert parse_approval(approval_payload(OF_COMMIT._replace(issued_at=local))).issued_at == ISSUED_AT


HEX = st.text("0123456789abcdef", min_size=64, max_size=64)


@st.composite
def approvals(draw: st.DrawFn) -> Approval:
    length = draw(st.sampled_from([40, 64]))
    root, object_id, target = (draw(HEX)[:length] for _ in range(3))
    name = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=50)
    kind = draw(st.sampled_from(["commit", "countersign", "admin", "tag"]))
    tagged = (draw(name), target) if kind == "tag" else (None, None)
    signer = draw(st.sampled_from([SIGNER, "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"]))
    issued_at = draw(st.datetimes(timezones=st.just(timezone.utc))).replace(microsecond=0)
    artifacts = draw(st.lists(HEX, max_size=5, unique=True))
    return Approval(root, signer, kind, object_id, issued_at, *tagged, tuple(artifacts))


@given(approvals())
def test_an_approval_survives_writing_and_reading(approval: Approval) -> None:
    payload = approval_payload(approval)
    assert parse_approval(payload) == approval
    assert approval_payload(parse_approval(payload)) == payload
    assert match_approval(approval, approval.root, approval.kind, approval.object_id, approval.tag_name,
                          approval.target) is None  # fmt: skip


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_crash_the_parser(payload: bytes) -> None:
    with contextlib.suppress(StatementInvalid):
        parse_approval(payload)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


@given(st.sampled_from(["_type", "subject", "predicateType", "predicate"]), JSON)
def test_no_json_in_the_place_of_a_field_crashes_the_parser(field: str, value: object) -> None:
    with pytest.raises(StatementInvalid):
        parse_approval(spoiled(OF_TAG, lambda whole: whole.update({field: value})))


@given(st.sampled_from(["root", "signer", "kind", "issued_at", "tag", "target", "artifacts"]), JSON)
def test_no_json_in_the_place_of_a_predicate_s_field_crashes_the_parser(field: str, value: object) -> None:
    with contextlib.suppress(StatementInvalid):
        parsed = parse_approval(spoiled(OF_TAG, lambda whole: whole["predicate"].update({field: value})))
        assert field == "artifacts" or value == getattr(parsed, {"tag": "tag_name"}.get(field, field))


def set_in(*path: str | int, to: object) -> Spoil:
    def spoil(value: Any) -> None:
        for step in path[:-1]:
            value = value[step]
        value[path[-1]] = to

    return spoil


def drop(*path: str | int) -> Spoil:
    def spoil(value: Any) -> None:
        for step in path[:-1]:
            value = value[step]
        del value[path[-1]]

    return spoil


DIGEST = ("subject", 0, "digest")


@pytest.mark.parametrize(("spoil", "reason"), [
    (set_in("_type", to="https://in-toto.io/Statement/v0.1"), "_type is not"),
    (set_in("predicateType", to="urn:git-auths:approval:v2"), "predicateType is not"),
    (set_in("predicateType", to=["x"]), "predicateType is not printable text"),
    (set_in("extra", to=1), "the statement has the unknown field 'extra'"),
    (drop("subject"), "the statement has no subject"),
    (set_in("subject", to=[]), "subject is not a list"),
    (set_in("subject", to={}), "subject is not a list"),
    (set_in("subject", to=["x"]), "a subject is not an object"),
    (set_in("subject", 0, "uri", to="x"), "a subject has the unknown field"),
    (set_in("subject", 0, "name", to="v2.0"), "the subject's name is not that of the object"),
    (set_in("subject", 0, "name", to="v1\x1b[0m"), "name is not printable text"),
    (set_in("subject", 0, "name", to=""), "name is not printable text"),
    (set_in("subject", 0, "name", to="v" * 1025), "name is not printable text"),
    (set_in(*DIGEST, to={}), "a subject has no digest"),
    (set_in(*DIGEST, to="x"), "a subject has no digest"),
    (set_in(*DIGEST, to={"gitCommit": TAG}), "one subject, with the digest gitTag alone"),
    (set_in(*DIGEST, "gitCommit", to=TAG), "one subject, with the digest gitTag alone"),
    (set_in(*DIGEST, "md5", to=TAG), "a digest is none of"),
    (set_in(*DIGEST, "sha256", to=TAG), "sha256 is not 64 hex digits"),
    (set_in(*DIGEST, "gitTag", to=TAG.upper()), "gitTag is not lower-case hex"),
    (set_in(*DIGEST, "gitTag", to=TAG + "\n"), "gitTag is not lower-case hex"),
    (set_in(*DIGEST, "gitTag", to=TAG[1:]), "gitTag is not 40 or 64 hex digits"),
    (set_in(*DIGEST, "gitTag", to="c" * 64), "root is not 64 hex digits"),
    (set_in(*DIGEST, "gitTag", to=7), "gitTag is not lower-case hex"),
    (lambda value: value["subject"].append(value["subject"][0]), "one subject"),
    (set_in("predicate", to=[]), "predicate is not an object"),
    (set_in("predicate", "note", to="x"), "the approval has the unknown field 'note'"),
    (drop("predicate", "kind"), "kind is none of"),
    (set_in("predicate", "kind", to="release"), "kind is none of"),
    (set_in("predicate", "kind", to=["tag"]), "kind is none of"),
    (set_in("predicate", "kind", to="commit"), "unknown field 'ta"),
    (drop("predicate", "root"), "has no root"),
    (set_in("predicate", "root", to="a" * 64), "root is not 40 hex digits"),
    (set_in("predicate", "root", to=None), "root is not lower-case hex"),
    (drop("predicate", "signer"), "has no signer"),
    (set_in("predicate", "signer", to="did:keri:" + "E" * 43), "signer is not a did:keri or did:key"),
    (set_in("predicate", "signer", to=SIGNER + "\n"), "signer is not a did:keri or did:key"),
    (set_in("predicate", "signer", to="did:key:z0OIl"), "signer is not a did:keri or did:key"),
    (set_in("predicate", "signer", to="did:web:example.com"), "signer is not a did:keri or did:key"),
    (drop("predicate", "tag"), "has no tag"),
    (set_in("predicate", "tag", to="v2.0"), "the subject's name is not that of the object"),
    (drop("predicate", "target"), "has no target"),
    (set_in("predicate", "target", to="d" * 64), "target is not 40 hex digits"),
    (drop("predicate", "issued_at"), "has no issued_at"),
    (set_in("predicate", "issued_at", to=1793613600), "issued_at is not a time like"),
    (set_in("predicate", "issued_at", to="2026-11-02T10:00:00+00:00"), "issued_at is not a time like"),
    (set_in("predicate", "issued_at", to="2026-11-02T10:00:00.5Z"), "issued_at is not a time like"),
    (set_in("predicate", "issued_at", to="2026-02-30T10:00:00Z"), "not a time of the calendar"),
    (set_in("predicate", "issued_at", to="\u0662026-02-20T10:00:00Z"), "issued_at is not a time like"),
    (set_in("predicate", "artifacts", to=[]), "artifacts is not a list"),
    (set_in("predicate", "artifacts", to=["1" * 64]), "an artifact is not an object"),
    (set_in("predicate", "artifacts", to=[{"sha512": "1" * 64}]), "an artifact has no sha256"),
    (set_in("predicate", "artifacts", to=[{"sha256": "1" * 40}]), "sha256 is not 64 hex digits"),
    (set_in("predicate", "artifacts", to=[{"sha256": "1" * 64}] * 2), "an artifact appears twice"),
    (set_in("predicate", "artifacts", to=[{"sha256": f"{n:064x}"} for n in range(101)]), "artifacts is not"),
])  # fmt: skip
def test_an_approval_that_is_off_in_one_place_is_refused(spoil: Spoil, reason: str) -> None:
    with pytest.raises(StatementInvalid, match=reason):
        parse_approval(spoiled(OF_TAG, spoil))


@pytest.mark.parametrize("kind", ["commit", "countersign", "admin"])
def test_an_approval_of_a_commit_has_no_tag(kind: Any) -> None:
    approval = OF_COMMIT._replace(kind=kind)
    for field, value in (("tag", "v1.0"), ("target", TARGET)):
        with pytest.raises(StatementInvalid, match="unknown field"):
            parse_approval(spoiled(approval, set_in("predicate", field, to=value)))
    with pytest.raises(StatementInvalid, match="the digest gitCommit alone"):
        parse_approval(spoiled(approval, set_in(*DIGEST, to={"gitTag": COMMIT})))


@pytest.mark.parametrize("payload", [b"", b"null", b"{", b'{"_type":1,"_type":1}', b"\xff"])
def test_what_is_not_a_json_object_is_no_statement(payload: bytes) -> None:
    with pytest.raises(StatementInvalid):
        parse_statement(payload)


def test_a_duplicate_key_in_the_predicate_is_refused() -> None:
    payload = approval_payload(OF_TAG).replace(b'"kind":"tag"', b'"kind":"tag","kind":"tag"')
    with pytest.raises(StatementInvalid, match="a key appears twice"):
        parse_approval(payload)


def test_a_payload_over_64_kib_is_refused() -> None:
    payload = approval_payload(OF_TAG)
    padded = payload + b" " * (MAX_PAYLOAD_BYTES - len(payload))
    assert parse_approval(padded) == OF_TAG
    with pytest.raises(StatementInvalid, match="longer than 65536 bytes"):
        parse_approval(padded + b" ")


def test_any_predicate_can_be_carried() -> None:
    subjects = (Subject("a", {"sha256": "1" * 64}), Subject("b", {"gitCommit": COMMIT, "sha256": "2" * 64}))
    statement = Statement(subjects, "https://slsa.dev/provenance/v1", {"runDetails": {"builder": {}}})
    payload = statement_payload(statement)
    assert parse_statement(payload) == statement
    assert json.loads(payload)["_type"] == STATEMENT_TYPE
    with pytest.raises(StatementInvalid, match=f"predicateType is not {APPROVAL_TYPE}"):
        parse_approval(payload)


@pytest.mark.parametrize("changes", [
    {"root": "x"},
    {"signer": "did:web:x"},
    {"kind": "release"},
    {"object_id": "b" * 39},
    {"tag_name": None},
    {"tag_name": "v\udcff"},
    {"target": None},
    {"issued_at": datetime(2026, 11, 2)},  # without a zone
    {"artifacts": ("1" * 40,)},
])  # fmt: skip
def test_what_would_be_refused_is_never_written(changes: dict[str, Any]) -> None:
    with pytest.raises(StatementInvalid):
        approval_payload(OF_TAG._replace(**changes))


@pytest.mark.parametrize(("approval", "reason"), [
    (OF_TAG._replace(root="0" * 40), "it is for another trust root, 000"),
    (OF_COMMIT, "it is of kind commit, not tag"),
    (OF_TAG._replace(tag_name="v2.0", object_id="0" * 40), "it is for another tag, v2.0"),
    (OF_TAG._replace(target="0" * 40, object_id="1" * 40), "it is for another target of the tag, 000"),
    (OF_TAG._replace(object_id="0" * 40), "it is for another object, 000"),
])  # fmt: skip
def test_an_approval_counts_for_its_own_tag_only(approval: Approval, reason: str) -> None:
    assert match_approval(OF_TAG, ROOT, "tag", TAG, "v1.0", TARGET) is None
    found = match_approval(approval, ROOT, "tag", TAG, "v1.0", TARGET)
    assert found is not None
    assert found.startswith(reason)


@pytest.mark.parametrize("kind", ["commit", "countersign", "admin"])
def test_an_approval_counts_for_its_own_commit_and_kind_only(kind: Any) -> None:
    approval = OF_COMMIT._replace(kind=kind)
    assert match_approval(approval, ROOT, kind, COMMIT) is None
    assert match_approval(approval, ROOT, kind, TAG) == f"it is for another object, {COMMIT}"
    for other in {"commit", "countersign", "admin", "tag"} - {kind}:
        assert match_approval(approval, ROOT, other, COMMIT) == f"it is of kind {kind}, not {other}"
