"""Signing an approval, as the line that a note takes."""

from __future__ import annotations

from datetime import datetime, timezone

from git_auths.core import dsse, statement
from git_auths.core.approvals import Object
from git_auths.store import keystore, passphrase
from git_auths.store.signing import ssh_signature


def line(wanted: Object, identity: keystore.Identity, secrets: passphrase.Secrets) -> bytes:
    """An envelope in which `identity` approves `wanted`, now."""
    approval = statement.Approval(
        root=wanted.root, signer=f"did:keri:{identity.aid}", kind=wanted.kind, object_id=wanted.id,
        issued_at=datetime.now(timezone.utc).replace(microsecond=0), tag_name=wanted.tag_name, target=wanted.target,
    )  # fmt: skip

    def sign(data: bytes) -> bytes:
        return dsse.signature_from_ssh(ssh_signature(identity, data, secrets))

    return dsse.serialise(dsse.sign(statement.approval_payload(approval), identity.current_blob, sign))
