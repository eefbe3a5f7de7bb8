"""Approvals that this machine signs, and those in a note that count: lines of the notes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime, timezone

from git_auths.core import dsse, noteline, statement
from git_auths.core.approvals import Object
from git_auths.core.auths_folder import AuthsFolder, held_keys
from git_auths.core.sshsig import fingerprint
from git_auths.core.statement import MAX_ARTIFACTS
from git_auths.store import attestations, keystore, notes, passphrase
from git_auths.store.repository import Repository
from git_auths.store.signing import ssh_signature


def line(wanted: Object, identity: keystore.Identity, secrets: passphrase.Secrets,
         artifacts: tuple[str, ...] = ()) -> bytes:  # fmt: skip
    """An envelope in which `identity` approves `wanted`, now, and vouches for `artifacts` (SHA-256, hex)."""
    approval = statement.Approval(
        root=wanted.root, signer=f"did:keri:{identity.aid}", kind=wanted.kind, object_id=wanted.id,
        issued_at=datetime.now(timezone.utc).replace(microsecond=0), tag_name=wanted.tag_name, target=wanted.target,
        artifacts=artifacts,
    )  # fmt: skip

    def sign(data: bytes) -> bytes:
        return dsse.signature_from_ssh(ssh_signature(identity, data, secrets))

    return dsse.serialise(dsse.sign(statement.approval_payload(approval), identity.current_blob, sign))


def add(repository: Repository, wanted: Collection[Object], identity: keystore.Identity,
        secrets: passphrase.Secrets, message: str, artifacts: Sequence[str] = (),
        stamped: Callable[[bytes], bytes] = lambda line: line) -> int:  # fmt: skip
    """Approve each of `wanted`, all in one commit of the notes, and return how many objects those were; for a tag,
    `artifacts` are the SHA-256 digests (hex) of what is released with it. `stamped` puts evidence beside a line."""
    some = [tuple(artifacts[at : at + MAX_ARTIFACTS]) for at in range(0, len(artifacts), MAX_ARTIFACTS)] or [()]
    lines = [stamped(line(item, identity, secrets, digests)) for item in wanted for digests in some]
    attestations.add(repository, lines, message)
    return len({item.id for item in wanted})


def that_count(
    repository: Repository, wanted: Object, folder: AuthsFolder, may: Callable[[str], bool]
) -> Iterator[tuple[bytes, str]]:
    """(line, the signer's DID) for each approval of `wanted` by somebody who `may`, with a key that `folder` knows."""
    for found in notes.read(repository.path, wanted.id).lines:
        try:
            envelope = noteline.parse(found).envelope
            approval = statement.parse_approval(envelope.payload)
        except (dsse.EnvelopeInvalid, statement.StatementInvalid):
            continue
        what_for = (wanted.root, wanted.kind, wanted.id, wanted.tag_name, wanted.target)
        kel = folder.kel_of(approval.signer)
        if kel is None or not may(approval.signer) or statement.match_approval(approval, *what_for) is not None:
            continue
        if is_signed_by_one_of(held_keys(kel), envelope):
            yield found, approval.signer


def is_signed_by_one_of(keys: Iterable[bytes], envelope: dsse.Envelope) -> bool:
    named = {signature.keyid for signature in envelope.signatures}
    return any(dsse.verify(envelope, key) for key in keys if fingerprint(key) in named)
