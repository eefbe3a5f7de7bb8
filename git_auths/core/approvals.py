"""Which lines of a note are approvals that count: bound to this object, signed by a key of the AID that they name.

A note is data from strangers. A line that does not count is passed over with a reason; none makes the answer worse
than no line at all would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from git_auths.core import dsse, statement
from git_auths.core.signer import Signer

# Verifying costs 0.1 ms a line: strangers may fill a note, but not keep a verifier busy. Lines of AIDs that are not
# asked for cost no verification.
MAX_VERIFICATIONS = 1024

KeysOf = Callable[[str], Iterable[bytes]]  # DID -> the SSH key blobs by which it may approve this object


class Object(NamedTuple):
    """What an approval must be for. `tag_name` and `target` are those of a tag object, else None."""

    root: str
    kind: statement.Kind
    id: str
    tag_name: str | None = None
    target: str | None = None


class Counted(NamedTuple):
    """The approvals that count, and for each line that does not, why."""

    signers: tuple[Signer, ...]
    ignored: tuple[str, ...]


def count(lines: Iterable[bytes], wanted: Object, keys_of: KeysOf, principal_of: Callable[[str], str]) -> Counted:
    """The approvals of `wanted` among `lines`, each signer once."""
    signers: dict[str, Signer] = {}
    ignored: list[str] = []
    verifications = 0
    for line in lines:
        try:
            envelope = dsse.parse(line)
            approval = statement.parse_approval(envelope.payload)
        except (dsse.EnvelopeInvalid, statement.StatementInvalid) as error:
            ignored.append(str(error))
            continue
        reason = statement.match_approval(approval, wanted.root, wanted.kind, wanted.id, wanted.tag_name, wanted.target)
        if reason is None and approval.signer in signers:
            reason = "its signer has approved already"
        if reason is not None:
            ignored.append(reason)
            continue
        key = None
        for candidate in keys_of(approval.signer):
            verifications += 1
            if verifications > MAX_VERIFICATIONS:
                ignored.append("too many approvals to verify")
                return Counted(tuple(signers.values()), tuple(ignored))
            if dsse.verify(envelope, candidate):
                key = candidate
                break
        if key is None:
            ignored.append(f"it is not signed by a key of {approval.signer} that may approve this")
        else:
            signers[approval.signer] = Signer(approval.signer, principal_of(approval.signer), key)
    return Counted(tuple(signers.values()), tuple(ignored))
