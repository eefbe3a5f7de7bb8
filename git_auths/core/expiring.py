"""Whose right to sign ends soon, or has ended, by one tree at `.auths`: signers of the policy, and those granted it."""

from __future__ import annotations

from typing import NamedTuple

from git_auths.core.auths_folder import AuthsFolder
from git_auths.core.grants import Grant

EXPIRING_SECONDS = 30 * 24 * 3600


class Ending(NamedTuple):
    """`subject` (a DID, or the `ssh:` of a hardware key) has a right until `expires_at` (Unix seconds). `kind` is
    signer, device, agent or member; `name` what the policy or the grant calls it."""

    subject: str
    kind: str
    name: str | None
    expires_at: int


def ending(folder: AuthsFolder, now: int) -> list[Ending]:
    """Those that end within 30 days of `now` (Unix seconds), or have; what ends first comes first.

    A grant that was for less than that from the start is no news, nor is one that a later one has followed.
    """
    horizon = now + EXPIRING_SECONDS
    signers = folder.policy.signers.values() if folder.policy is not None else ()
    found = [Ending(one.did, "signer", one.name, one.expires_at) for one in signers if one.expires_at is not None]
    found += [
        Ending(one.subject, one.kind, one.name, one.expires_at)
        for one in _last(folder)
        if one.expires_at - one.issued_at >= EXPIRING_SECONDS
    ]
    return sorted((one for one in found if one.expires_at <= horizon), key=lambda one: one.expires_at)


def _last(folder: AuthsFolder) -> list[Grant]:
    """Of the grants that count, for each issuer and subject the one that lasts longest."""
    last: dict[tuple[str, str], Grant] = {}
    for sha256, grant in folder.grants.items():
        parties = grant.issuer, grant.subject
        if folder.authority.counts(sha256) and (parties not in last or last[parties].expires_at < grant.expires_at):
            last[parties] = grant
    return list(last.values())
