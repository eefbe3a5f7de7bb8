"""core/grants.py: what a grant may say, and the one form in which it says it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from git_auths.core import cesr, dsse, grants
from git_auths.core.grants import Grant, GrantInvalid
from git_auths.core.sshsig import fingerprint, string
from tests.kels import signer

ROOT = "ab" * 20
ISSUER, SUBJECT = (f"did:keri:{cesr.digest(name)}" for name in (b"issuer", b"subject"))
SK_ED25519 = string(b"sk-ssh-ed25519@openssh.com") + string(bytes(32)) + string(b"ssh:")
SK_ECDSA = (
    string(b"sk-ecdsa-sha2-nistp256@openssh.com") + string(b"nistp256") + string(b"\4" + bytes(64)) + string(b"ssh:")
)
AGENT = Grant(ROOT, ISSUER, SUBJECT, "agent", ("sign_commit",), 1_767_225_600, 1_767_254_400, "fixer", "m-1", "acme")


def fields(grant: Grant = AGENT) -> dict[str, Any]:
    """The statement as JSON values."""
    value: dict[str, Any] = json.loads(grants.payload(grant))
    return value


def with_predicate(**changes: Any) -> bytes:
    """The statement of AGENT with these fields of the predicate; None takes one away."""
    statement = fields()
    predicate = {**statement["predicate"], **changes}
    statement["predicate"] = {name: value for name, value in predicate.items() if value is not None}
    return json.dumps(statement).encode()


def hardware(key: bytes) -> Grant:
    return AGENT._replace(kind="device", key=key, subject=grants.hardware_subject(key))


@pytest.mark.parametrize(
    "grant",
    [
        AGENT,
        AGENT._replace(root="cd" * 32),
        AGENT._replace(kind="member", capabilities=("sign_release", "sign_commit"), name=None, model=None),
        AGENT._replace(kind="device", provider=None),
        AGENT._replace(name="Zoë 雪"),
        hardware(SK_ED25519),
        hardware(SK_ECDSA),
    ],
)
def test_what_is_written_is_read_as_the_same(grant: Grant) -> None:
    assert grants.parse(grants.payload(grant)) == grant


def test_the_file_names_itself_by_the_digest_of_its_payload() -> None:
    key, payload = signer(1), grants.payload(AGENT)
    file = dsse.serialise(dsse.sign(payload, key.key.ssh_blob(), key.sign))
    assert grants.read(file) == (grants.digest(payload), AGENT)
    assert len(grants.digest(payload)) == 64


def test_times_are_whole_seconds_of_utc() -> None:
    predicate = fields()["predicate"]
    assert (predicate["issued_at"], predicate["expires_at"]) == ("2026-01-01T00:00:00Z", "2026-01-01T08:00:00Z")


def test_a_revocation_names_a_delegate_by_its_aid_and_a_hardware_key_by_its_digest() -> None:
    assert f"did:keri:{AGENT.revocable_as}" == SUBJECT
    assert hardware(SK_ED25519).revocable_as == cesr.digest(SK_ED25519)
    assert hardware(SK_ED25519).subject == f"ssh:{fingerprint(SK_ED25519)}"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": "admin"}, "kind is none of"),
        ({"kind": None}, "other fields"),
        ({"until": "2030-01-01T00:00:00Z"}, "other fields"),
        ({"expires_at": None}, "other fields"),
        ({"expires_at": "2026-1-1T8:0:0Z"}, "expires_at is no time"),
        ({"expires_at": "2026-01-01"}, "expires_at is no time"),
        ({"expires_at": "2026-02-30T00:00:00Z"}, "expires_at is no time"),
        ({"expires_at": 1_767_254_400}, "expires_at is no time"),
        ({"issued_at": "2026-01-01T00:00:00+00:00"}, "issued_at is no time"),
        ({"capabilities": []}, "capabilities is no list"),
        ({"capabilities": "sign_commit"}, "capabilities is no list"),
        ({"capabilities": ["everything"]}, "capabilities is no list"),
        ({"capabilities": ["sign_commit", "sign_commit"]}, "listed twice"),
        ({"issuer": "did:key:z6Mk"}, "issuer is no did:keri"),
        ({"issuer": ISSUER[:-1]}, "issuer is no did:keri"),
        ({"subject": "did:keri:E"}, "subject is no did:keri"),
        ({"subject": ISSUER}, "to itself"),
        ({"subject": grants.hardware_subject(SK_ED25519)}, "subject is no did:keri"),
        ({"root": "cd" * 20}, "not about its trust root"),
        ({"root": 7}, "not about its trust root"),
        ({"name": ""}, "name is no text"),
        ({"model": "m" * 129}, "model is no text"),
        ({"provider": ["acme"]}, "provider is no text"),
        ({"name": "a\tb"}, "name has a character that does not show"),
        ({"model": "m\x1b[2J"}, "model has a character that does not show"),
        ({"provider": "ac\u202eme"}, "provider has a character that does not show"),
    ],
)
def test_a_grant_that_says_anything_else_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(GrantInvalid, match=reason):
        grants.parse(with_predicate(**changes))


def line(key: bytes, kind: str = "sk-ssh-ed25519@openssh.com") -> str:
    return f"{kind} {base64.b64encode(key).decode()}"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"key": line(SK_ED25519), "kind": "agent"}, "a hardware key is a device"),
        ({"key": line(SK_ED25519), "subject": SUBJECT}, "its fingerprint the subject"),
        ({"key": line(SK_ED25519) + " comment"}, "key is none of type"),
        ({"key": line(SK_ED25519).rstrip("=") + "\n"}, "key is none of type"),
        ({"key": line(SK_ED25519, "sk-ecdsa-sha2-nistp256@openssh.com")}, "another type"),
        ({"key": line(signer(1).key.ssh_blob(), "ssh-ed25519")}, "key is none of type"),
        ({"key": line(SK_ED25519 + bytes(600))}, "key is none of type"),
        ({"key": 5}, "key is none of type"),
    ],
)
def test_only_the_ssh_key_of_a_security_key_can_stand_in_a_grant(changes: dict[str, Any], reason: str) -> None:
    changes = {"kind": "device", "subject": grants.hardware_subject(SK_ED25519), **changes}
    with pytest.raises(GrantInvalid, match=reason):
        grants.parse(with_predicate(**changes))


def test_a_statement_of_another_kind_or_about_more_than_the_root_is_no_grant() -> None:
    other = fields() | {"predicateType": "urn:git-auths:vouch:v1"}
    more = fields()
    more["subject"] = [*more["subject"], {"name": "x", "digest": {"gitCommit": "cd" * 20}}]
    for statement in (other, more):
        with pytest.raises(GrantInvalid):
            grants.parse(json.dumps(statement).encode())


@pytest.mark.parametrize("file", [b"", b"{}", b"not json", b'{"payload":"","payloadType":"","signatures":[]}'])
def test_a_file_that_is_no_envelope_is_refused(file: bytes) -> None:
    with pytest.raises(GrantInvalid):
        grants.read(file)


@pytest.mark.parametrize(
    "wrong", [{"capabilities": ()}, {"expires_at": 2**60}, {"subject": ISSUER}, {"name": "\ud800"}]
)
def test_nothing_is_written_that_would_not_be_read(wrong: dict[str, Any]) -> None:
    with pytest.raises(GrantInvalid):
        grants.payload(AGENT._replace(**wrong))
