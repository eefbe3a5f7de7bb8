"""in-toto statements, and the approval among their predicates.

Source: in-toto/attestation, spec/v1 (statement.md, digest_set.md). A statement says which objects it is about
(`subject`) and what it says of them (`predicate`, of the kind that `predicateType` names).

An approval (`urn:git-auths:approval:v1`) says that its signer stands behind one commit or one tag:

    {"_type": "https://in-toto.io/Statement/v1",
     "predicateType": "urn:git-auths:approval:v1",
     "subject": [{"name": "v1.2.0", "digest": {"gitTag": "<id of the tag object>"}}],
     "predicate": {"root": "<trust root>", "signer": "did:keri:E...", "kind": "tag",
                   "tag": "v1.2.0", "target": "<id>", "issued_at": "2026-11-02T10:00:00Z",
                   "artifacts": [{"sha256": "..."}]}}

For a commit the subject is `{"name": "<commit id>", "digest": {"gitCommit": "<commit id>"}}`, `kind` is
`commit`, `countersign` or `admin`, and `tag` and `target` are absent. `artifacts` is optional. Whatever else
stands there makes the approval invalid: a field that an older version ignores could change what a signature
means, so a new field comes with a new predicate type.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, Literal, NamedTuple, cast, get_args

from git_auths.core.dsse import MAX_ENVELOPE_BYTES, load_json

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
APPROVAL_TYPE = "urn:git-auths:approval:v1"

Kind = Literal["commit", "countersign", "admin", "tag"]
KINDS: tuple[Kind, ...] = get_args(Kind)

MAX_PAYLOAD_BYTES = MAX_ENVELOPE_BYTES  # base64 leaves it three quarters of that in a note
MAX_SUBJECTS = 100
MAX_ARTIFACTS = 100
MAX_NAME_CHARS = 1024

_DIGEST_HEX_CHARS = {"gitCommit": (40, 64), "gitTag": (40, 64), "sha256": (64,)}
_HEX = re.compile(r"[0-9a-f]+", re.ASCII)
SIGNER_FORM = re.compile(r"did:keri:E[A-Za-z0-9_-]{43}|did:key:z[1-9A-HJ-NP-Za-km-z]{1,128}", re.ASCII)
_UTC_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)Z", re.ASCII)


class StatementInvalid(ValueError):
    """The payload is not a statement that this software reads; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Subject(NamedTuple):
    """What a statement is about: a name, and lower-case hex by `gitCommit`, `gitTag` or `sha256`."""

    name: str
    digest: Mapping[str, str]


class Statement(NamedTuple):
    """An in-toto Statement v1; `predicate` is JSON that the predicate's own parser has still to judge."""

    subjects: tuple[Subject, ...]
    predicate_type: str
    predicate: Mapping[str, Any]


class Approval(NamedTuple):
    """One signer's yes to one object, under one trust root.

    `root`, `object_id` and `target` are full object ids of one hash algorithm, `signer` is a `did:keri` or
    `did:key` that must own the key of the envelope's signature. `tag_name` (without `refs/tags/`) and
    `target` (what the tag object points to) belong to kind `tag` only. `artifacts` are SHA-256 digests in
    hex. `issued_at` is the signer's word, in whole seconds.
    """

    root: str
    signer: str
    kind: Kind
    object_id: str
    issued_at: datetime
    tag_name: str | None = None
    target: str | None = None
    artifacts: tuple[str, ...] = ()


def parse_statement(payload: bytes) -> Statement:
    """The statement in an envelope's payload; raises StatementInvalid."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise StatementInvalid(f"the payload is longer than {MAX_PAYLOAD_BYTES} bytes")
    try:
        value = load_json(payload)
    except ValueError as error:
        raise StatementInvalid(f"the payload: {error}") from None
    fields = _fields("the statement", value, {"_type", "subject", "predicateType", "predicate"})
    if fields["_type"] != STATEMENT_TYPE:
        raise StatementInvalid(f"_type is not {STATEMENT_TYPE}")
    entries = fields["subject"]
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_SUBJECTS:
        raise StatementInvalid(f"subject is not a list of 1 to {MAX_SUBJECTS}")
    if not isinstance(fields["predicate"], dict):
        raise StatementInvalid("predicate is not an object")
    predicate_type = _name("predicateType", fields["predicateType"])
    return Statement(tuple(_subject(entry) for entry in entries), predicate_type, fields["predicate"])


def statement_payload(statement: Statement) -> bytes:
    """The statement as canonical JSON: compact, keys sorted, UTF-8. Raises StatementInvalid like the parser."""
    value = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": s.name, "digest": dict(s.digest)} for s in statement.subjects],
        "predicateType": statement.predicate_type,
        "predicate": dict(statement.predicate),
    }
    try:
        payload = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise StatementInvalid("a name is not Unicode text") from None
    parse_statement(payload)
    return payload


def parse_approval(payload: bytes) -> Approval:
    """The approval in an envelope's payload; raises StatementInvalid."""
    statement = parse_statement(payload)
    if statement.predicate_type != APPROVAL_TYPE:
        raise StatementInvalid(f"predicateType is not {APPROVAL_TYPE}")
    kind = statement.predicate.get("kind")
    if kind not in KINDS:
        raise StatementInvalid(f"kind is none of {', '.join(KINDS)}")
    tagged = {"tag", "target"} if kind == "tag" else set()
    fields = _fields("the approval", statement.predicate, {"root", "signer", "kind", "issued_at"} | tagged,
                     {"artifacts"})  # fmt: skip
    object_id = _approved(statement, "gitTag" if kind == "tag" else "gitCommit")
    tag_name = _name("tag", fields["tag"]) if tagged else None
    if statement.subjects[0].name != (tag_name or object_id):
        raise StatementInvalid("the subject's name is not that of the object")
    return Approval(
        root=_object_id("root", fields["root"], len(object_id)),
        signer=_matching("signer", fields["signer"], SIGNER_FORM, "a did:keri or did:key").group(),
        kind=cast(Kind, kind),
        object_id=object_id,
        issued_at=_time(fields["issued_at"]),
        tag_name=tag_name,
        target=_object_id("target", fields["target"], len(object_id)) if tagged else None,
        artifacts=_artifacts(fields["artifacts"]) if "artifacts" in fields else (),
    )


def approval_payload(approval: Approval) -> bytes:
    """The approval as the payload to sign; raises StatementInvalid for what `parse_approval` would refuse."""
    predicate: dict[str, Any] = {
        "root": approval.root,
        "signer": approval.signer,
        "kind": approval.kind,
        "issued_at": _utc(approval.issued_at),
    }
    for key, value in (("tag", approval.tag_name), ("target", approval.target)):
        if value is not None:
            predicate[key] = value
    if approval.artifacts:
        predicate["artifacts"] = [{"sha256": digest} for digest in approval.artifacts]
    algorithm = "gitTag" if approval.kind == "tag" else "gitCommit"
    subject = Subject(approval.tag_name or approval.object_id, {algorithm: approval.object_id})
    payload = statement_payload(Statement((subject,), APPROVAL_TYPE, predicate))
    parse_approval(payload)
    return payload


def match_approval(approval: Approval, root: str, kind: Kind, object_id: str, tag_name: str | None = None,
                   target: str | None = None) -> str | None:  # fmt: skip
    """Why the approval does not count for this object under this root; None when it does.

    The name and the target come before the object's id: they say more about what the approval was meant for.
    """
    if approval.root != root:
        return f"it is for another trust root, {approval.root}"
    if approval.kind != kind:
        return f"it is of kind {approval.kind}, not {kind}"
    if approval.tag_name != tag_name:
        return f"it is for another tag, {approval.tag_name}"
    if approval.target != target:
        return f"it is for another target of the tag, {approval.target}"
    if approval.object_id != object_id:
        return f"it is for another object, {approval.object_id}"
    return None


def _approved(statement: Statement, algorithm: str) -> str:
    if len(statement.subjects) != 1 or statement.subjects[0].digest.keys() != {algorithm}:
        raise StatementInvalid(f"an approval of this kind has one subject, with the digest {algorithm} alone")
    return statement.subjects[0].digest[algorithm]


def _subject(value: object) -> Subject:
    fields = _fields("a subject", value, {"name", "digest"})
    digest = fields["digest"]
    if not isinstance(digest, dict) or not digest:
        raise StatementInvalid("a subject has no digest")
    for algorithm, text in digest.items():
        if algorithm not in _DIGEST_HEX_CHARS:
            raise StatementInvalid(f"a digest is none of {', '.join(_DIGEST_HEX_CHARS)}")
        _hex(algorithm, text, _DIGEST_HEX_CHARS[algorithm])
    return Subject(_name("a subject's name", fields["name"]), digest)


def _artifacts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_ARTIFACTS:
        raise StatementInvalid(f"artifacts is not a list of 1 to {MAX_ARTIFACTS}")
    entries = [_fields("an artifact", entry, {"sha256"}) for entry in value]
    digests = tuple(_hex("sha256", entry["sha256"], (64,)) for entry in entries)
    if len(set(digests)) != len(digests):
        raise StatementInvalid("an artifact appears twice")
    return digests


def _fields(what: str, value: object, required: set[str], optional: frozenset[str] | set[str] = frozenset()
            ) -> dict[str, Any]:  # fmt: skip
    if not isinstance(value, dict):
        raise StatementInvalid(f"{what} is not an object")
    for key in sorted(required - value.keys()):
        raise StatementInvalid(f"{what} has no {key}")
    for key in sorted(value.keys() - required - optional):
        raise StatementInvalid(f"{what} has the unknown field {ascii(key)[:60]}")
    return value


def _name(what: str, value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_NAME_CHARS or not value.isprintable():
        raise StatementInvalid(f"{what} is not printable text of 1 to {MAX_NAME_CHARS} characters")
    return value


def _object_id(what: str, value: object, chars: int) -> str:
    return _hex(what, value, (chars,))


def _hex(what: str, value: object, chars: tuple[int, ...]) -> str:
    text = _matching(what, value, _HEX, "lower-case hex").group()
    if len(text) not in chars:
        raise StatementInvalid(f"{what} is not {' or '.join(map(str, chars))} hex digits")
    return text


def _matching(what: str, value: object, pattern: re.Pattern[str], form: str) -> re.Match[str]:
    found = pattern.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise StatementInvalid(f"{what} is not {form}")
    return found


def _time(value: object) -> datetime:
    """RFC 3339 in one spelling: UTC as Z, whole seconds."""
    found = _matching("issued_at", value, _UTC_TIME, "a time like 2026-11-02T10:00:00Z")
    year, month, day, hour, minute, second = map(int, found.groups())
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
    except ValueError:
        raise StatementInvalid("issued_at is not a time of the calendar") from None


def _utc(time: datetime) -> str:
    if time.tzinfo is None:
        raise StatementInvalid("issued_at has no time zone")
    return time.astimezone(timezone.utc).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
