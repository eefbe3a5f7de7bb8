"""Attestations: in-toto statements of any predicate, bound to their signer and to one trust root (DESIGN section 9).

A predicate of somebody else's type (SLSA, VSA, any URI) has no place for who signs and under which root, so each
carries one extension field beside its own, named as SLSA names such fields (`<vendor>_<field>`):

    "gitauths_binding": {"root": "<trust root>", "signer": "did:keri:E..." or "did:key:z...",
                         "issued_at": "2026-11-02T10:00:00Z",
                         "expires_at": "2026-11-02T11:00:00Z",    optional
                         "token": "<JWT>"}                        optional: the CI's OIDC token for the signer's key

`issued_at` is the signer's word. Approvals and grants bind themselves: their predicates are in `core.statement` and
`core.grants`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from git_auths.core import utctime
from git_auths.core.statement import (
    SIGNER_FORM,
    Statement,
    StatementInvalid,
    Subject,
    parse_statement,
    statement_payload,
)

BINDING = "gitauths_binding"
MAX_TOKEN_CHARS = 16 * 1024
MAX_DEPENDENCIES = 1000  # in one statement

_OBJECT_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.ASCII)
_REQUIRED = {"root", "signer", "issued_at"}
_OPTIONAL = {"expires_at", "token"}


class Binding(NamedTuple):
    """Who says it, under which trust root, when (Unix seconds, the signer's word) and until when; `token` is the CI's
    OIDC token, which nothing here has verified."""

    root: str
    signer: str
    issued_at: int
    expires_at: int | None = None
    token: str | None = None


class Attestation(NamedTuple):
    statement: Statement
    binding: Binding

    @property
    def artifacts(self) -> frozenset[str]:
        """The SHA-256 digests of its subjects, in hex."""
        return frozenset(one.digest["sha256"] for one in self.statement.subjects if "sha256" in one.digest)

    @property
    def sources(self) -> tuple[str, ...]:
        """The commits that its provenance names as what was built, each once."""
        return tuple(dict.fromkeys(git_commits(self.statement.predicate)))

    @property
    def objects(self) -> frozenset[str]:
        """The ids of the commits and tags that it is about, as subjects or as what was built."""
        subjects = {id for one in self.statement.subjects for kind, id in one.digest.items() if kind != "sha256"}
        return frozenset(subjects.union(self.sources))


def parse(payload: bytes) -> Attestation:
    """The attestation in an envelope's payload; raises StatementInvalid."""
    statement = parse_statement(payload)
    return Attestation(statement, _binding(statement.predicate.get(BINDING)))


def payload(subjects: Sequence[Subject], predicate_type: str, predicate: Mapping[str, Any], binding: Binding) -> bytes:
    """The payload to sign; raises StatementInvalid for what `parse` would refuse."""
    if BINDING in predicate:
        raise StatementInvalid(f"the predicate has a {BINDING} already")
    bound = {**predicate, BINDING: _binding_json(binding)}
    made = statement_payload(Statement(tuple(subjects), predicate_type, bound))
    parse(made)
    return made


def git_commits(predicate: Mapping[str, Any]) -> list[str]:
    """The commit ids in `buildDefinition.resolvedDependencies` (SLSA provenance v1); raises StatementInvalid for one
    that is none. What has another form than SLSA's names no commit."""
    definition = predicate.get("buildDefinition")
    dependencies = definition.get("resolvedDependencies") if isinstance(definition, dict) else None
    if not isinstance(dependencies, list):
        return []
    if len(dependencies) > MAX_DEPENDENCIES:
        raise StatementInvalid(f"it names more than {MAX_DEPENDENCIES} dependencies")
    digests = [one.get("digest") for one in dependencies if isinstance(one, dict)]
    ids = [one["gitCommit"] for one in digests if isinstance(one, dict) and "gitCommit" in one]
    # Another reader could take what we pass over for a second source.
    if any(not isinstance(id, str) or not _OBJECT_ID.fullmatch(id) for id in ids):
        raise StatementInvalid("a gitCommit among its dependencies is no commit id")
    return ids


def _binding_json(binding: Binding) -> dict[str, str]:
    try:
        issued_at = utctime.text(binding.issued_at)
        expires_at = None if binding.expires_at is None else utctime.text(binding.expires_at)
    except ValueError as error:
        raise StatementInvalid(str(error)) from None
    fields = {"root": binding.root, "signer": binding.signer, "issued_at": issued_at}
    optional = {"expires_at": expires_at, "token": binding.token}
    return fields | {key: value for key, value in optional.items() if value is not None}


def _binding(value: object) -> Binding:
    if not isinstance(value, dict):
        raise StatementInvalid(f"the predicate has no {BINDING}: nothing says who signed it, and for which repository")
    if not _REQUIRED <= value.keys() <= _REQUIRED | _OPTIONAL:
        raise StatementInvalid(f"{BINDING} has other fields than {', '.join(sorted(_REQUIRED | _OPTIONAL))}")
    root, signer, token = value["root"], value["signer"], value.get("token")
    if not isinstance(root, str) or not _OBJECT_ID.fullmatch(root):
        raise StatementInvalid("root is not an object id")
    if not isinstance(signer, str) or not SIGNER_FORM.fullmatch(signer):
        raise StatementInvalid("signer is not a did:keri or did:key")
    if "token" in value and not (isinstance(token, str) and 1 <= len(token) <= MAX_TOKEN_CHARS and token.isascii()):
        raise StatementInvalid(f"token is not ASCII text of 1 to {MAX_TOKEN_CHARS} characters")
    expires_at = _seconds("expires_at", value["expires_at"]) if "expires_at" in value else None
    return Binding(root, signer, _seconds("issued_at", value["issued_at"]), expires_at, token)


def _seconds(what: str, value: object) -> int:
    try:
        return utctime.seconds(value)
    except ValueError as error:
        raise StatementInvalid(f"{what} is {error}") from None
