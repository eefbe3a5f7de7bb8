"""Grants: what an issuer lets a device, an agent or a member do, and until when (DESIGN section 4).

A grant is an in-toto statement about the trust root, in a DSSE envelope at `.auths/grants/<sha256 of payload>.json`:

    {"_type": "https://in-toto.io/Statement/v1",
     "predicateType": "urn:git-auths:grant:v1",
     "subject": [{"name": "<trust root>", "digest": {"gitCommit": "<trust root>"}}],
     "predicate": {"root": "<trust root>", "issuer": "did:keri:E...", "subject": "did:keri:E...",
                   "kind": "agent", "capabilities": ["sign_commit"], "issued_at": "2026-11-02T10:00:00Z",
                   "expires_at": "2026-11-02T18:00:00Z", "name": "fixer", "model": "...", "provider": "..."}}

`name`, `model` and `provider` are optional. A hardware key has no identifier of its own: the grant of such a device has
its SSH public key as `key`, and `subject` is `ssh:<fingerprint>`. What makes a grant count is not the envelope's
signature but the seal of the payload's SHA-256 in the issuer's key event log.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime, timezone
from typing import NamedTuple

from git_auths.core import cesr, dsse, statement
from git_auths.core.authority import DID_PREFIX, HARDWARE_PREFIX
from git_auths.core.seals import TIME_FORMAT
from git_auths.core.sha2 import sha256
from git_auths.core.sshsig import fingerprint, key_type

GRANT_TYPE = "urn:git-auths:grant:v1"
KINDS = ("device", "agent", "member")
CAPABILITIES = ("sign_commit", "sign_release", "manage_members")
HARDWARE_KEYS = ("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com")

MAX_LABEL_CHARS = 128
# What hides or changes how a label reads: controls, zero-width and bidirectional ones (Unicode TR 36, section 2.5). By
# number: what Python calls printable differs from version to version, and a grant must count everywhere or nowhere.
_UNSHOWN = frozenset(map(chr, (
    *range(0x20), *range(0x7F, 0xA0), 0xAD, 0x061C, *range(0x200B, 0x2010), *range(0x2028, 0x202F),
    *range(0x2060, 0x2070), 0xFEFF,
)))  # fmt: skip
MAX_KEY_BYTES = 512

_REQUIRED = {"root", "issuer", "subject", "kind", "capabilities", "issued_at", "expires_at"}
_LABELS = ("name", "model", "provider")


class GrantInvalid(ValueError):
    """Not a grant that this software reads; the message says why."""


class Grant(NamedTuple):
    """What `issuer` (a DID) lets `subject` do under the trust root `root`, until `expires_at` (Unix seconds).

    `subject` is a DID, or `ssh:SHA256:...` of the hardware key whose SSH public key blob is `key`. `model` and
    `provider` are the issuer's word on an agent.
    """

    root: str
    issuer: str
    subject: str
    kind: str
    capabilities: tuple[str, ...]
    issued_at: int
    expires_at: int
    name: str | None = None
    model: str | None = None
    provider: str | None = None
    key: bytes | None = None

    @property
    def revocable_as(self) -> str:
        """The AID by which a revocation names the subject; for a hardware key the Blake3-256 digest of its blob."""
        return self.subject.removeprefix(DID_PREFIX) if self.key is None else hardware_aid(self.key)


def hardware_aid(key: bytes) -> str:
    """What stands for a hardware key where an AID is asked for."""
    return cesr.digest(key)


def hardware_subject(key: bytes) -> str:
    return HARDWARE_PREFIX + fingerprint(key)


def digest(payload: bytes) -> str:
    """The SHA-256 by which the grant with this payload is sealed, and its file named: 64 hex digits."""
    return str(sha256(payload).hexdigest())


def payload(grant: Grant) -> bytes:
    """The grant as the payload to sign and seal; raises GrantInvalid for what `parse` would refuse."""
    predicate: dict[str, object] = {
        "root": grant.root, "issuer": grant.issuer, "subject": grant.subject, "kind": grant.kind,
        "capabilities": list(grant.capabilities),
        "issued_at": _utc(grant.issued_at), "expires_at": _utc(grant.expires_at),
    }  # fmt: skip
    for label in _LABELS:
        if getattr(grant, label) is not None:
            predicate[label] = getattr(grant, label)
    if grant.key is not None:
        predicate["key"] = f"{key_type(grant.key).decode()} {base64.b64encode(grant.key).decode()}"
    about = statement.Subject(grant.root, {"gitCommit": grant.root})
    try:
        made = statement.statement_payload(statement.Statement((about,), GRANT_TYPE, predicate))
    except statement.StatementInvalid as error:
        raise GrantInvalid(error.reason) from None
    parse(made)
    return made


def read(file: bytes) -> tuple[str, Grant]:
    """The digest of the payload, and the grant, in the bytes of a grant's file; raises GrantInvalid."""
    try:
        envelope = dsse.parse(file)
    except dsse.EnvelopeInvalid as error:
        raise GrantInvalid(error.reason) from None
    return digest(envelope.payload), parse(envelope.payload)


def parse(payload: bytes) -> Grant:
    """The grant in an envelope's payload; raises GrantInvalid."""
    try:
        stated = statement.parse_statement(payload)
    except statement.StatementInvalid as error:
        raise GrantInvalid(error.reason) from None
    fields = stated.predicate
    if stated.predicate_type != GRANT_TYPE:
        raise GrantInvalid(f"predicateType is not {GRANT_TYPE}")
    if not fields.keys() >= _REQUIRED or not fields.keys() <= _REQUIRED | {*_LABELS, "key"}:
        raise GrantInvalid("the grant has other fields than a grant's")
    root = fields["root"]
    if [(one.name, dict(one.digest)) for one in stated.subjects] != [(root, {"gitCommit": root})]:
        raise GrantInvalid("the statement is not about its trust root alone")
    kind, key = fields["kind"], _key(fields.get("key"))
    if kind not in KINDS:
        raise GrantInvalid(f"kind is none of {', '.join(KINDS)}")
    if key is not None and (kind != "device" or fields["subject"] != hardware_subject(key)):
        raise GrantInvalid("a hardware key is a device, and its fingerprint the subject")
    issuer, subject = _did("issuer", fields["issuer"]), fields["subject"]
    if key is None and _did("subject", subject) == issuer:
        raise GrantInvalid("its issuer grants it to itself")
    return Grant(
        str(root), issuer, str(subject), str(kind), _capabilities(fields["capabilities"]),
        _time("issued_at", fields["issued_at"]), _time("expires_at", fields["expires_at"]),
        _label("name", fields.get("name")), _label("model", fields.get("model")),
        _label("provider", fields.get("provider")), key,
    )  # fmt: skip


def _did(what: str, value: object) -> str:
    if type(value) is not str or not value.startswith(DID_PREFIX) or not cesr.is_digest(value[len(DID_PREFIX) :]):
        raise GrantInvalid(f"{what} is no did:keri")
    return value


def _capabilities(value: object) -> tuple[str, ...]:
    if type(value) is not list or not value or any(one not in CAPABILITIES for one in value):
        raise GrantInvalid(f"capabilities is no list of {', '.join(CAPABILITIES)}")
    if len(set(value)) != len(value):
        raise GrantInvalid("a capability is listed twice")
    return tuple(value)


def _label(what: str, value: object) -> str | None:
    if value is None:
        return None
    if type(value) is not str or not 0 < len(value) <= MAX_LABEL_CHARS:
        raise GrantInvalid(f"{what} is no text of 1 to {MAX_LABEL_CHARS} characters")
    if not _UNSHOWN.isdisjoint(value) or any("\ud800" <= character <= "\udfff" for character in value):
        raise GrantInvalid(f"{what} has a character that does not show")
    return value


def _key(value: object) -> bytes | None:
    """The SSH wire form of a hardware key, from its line in a public key file without the comment."""
    if value is None:
        return None
    kind, _, text = value.partition(" ") if type(value) is str else ("", "", "")
    try:
        blob = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        blob = b""
    if kind not in HARDWARE_KEYS or len(blob) > MAX_KEY_BYTES or base64.b64encode(blob).decode() != text:
        raise GrantInvalid(f"key is none of type {' or '.join(HARDWARE_KEYS)}")
    if not blob.startswith(len(kind).to_bytes(4, "big") + kind.encode()):
        raise GrantInvalid("key is of another type than it says")
    return blob


def _time(what: str, value: object) -> int:
    try:
        time = datetime.strptime(value, TIME_FORMAT) if type(value) is str else None
    except ValueError:
        time = None
    # strptime also takes "2026-1-1T0:0:0Z"; one time has one text.
    if time is None or f"{time:{TIME_FORMAT}}" != value:
        raise GrantInvalid(f"{what} is no time like 2026-11-02T10:00:00Z")
    return int(time.replace(tzinfo=timezone.utc).timestamp())


def _utc(seconds: int) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, timezone.utc):{TIME_FORMAT}}"
    except (ValueError, OverflowError, OSError):
        raise GrantInvalid(f"{seconds} s since 1970 is no time that can be written") from None
