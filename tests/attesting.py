"""Lines of notes as people and pipelines sign them, made in process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from git_auths.core import attestation, didkey, dsse, opensshkey, provenance, statement, utctime
from git_auths.core.attestation import Binding
from git_auths.core.statement import Approval, Subject
from tests.people import Person

AT = 1_763_000_000  # Unix seconds at which everything is issued, unless it says otherwise


class Signer:
    """Whoever signs: a DID, its key, and the trust root for which it does."""

    def __init__(self, did: str, key: opensshkey.PrivateKey, root: str) -> None:
        self.did, self.key, self.root = did, key, root

    def envelope(self, payload: bytes) -> bytes:
        """The payload, signed."""
        sign = self.key.sign
        signed = dsse.sign(payload, self.key.public_blob, lambda data: dsse.signature_from_ssh(sign(data)))
        return dsse.serialise(signed)

    def attests(self, predicate: Mapping[str, Any], kind: str, *subjects: Subject, at: int = AT, **more: Any) -> bytes:
        """`predicate` of the `subjects`, bound to this signer and root."""
        binding = Binding(self.root, self.did, at, **more)
        return self.envelope(attestation.payload(subjects, kind, predicate, binding))

    def provenance(self, commit: str, *digests: str, agent: provenance.Agent | None = None,
                   commits: tuple[provenance.CommitNote, ...] = (), **more: Any) -> bytes:  # fmt: skip
        """SLSA provenance of the digests, or of the commit itself, built from the commit."""
        said = provenance.slsa(commit, None, "https://example.com/ci", AT, agent, commits)
        subjects = [Subject(f"file{n}", {"sha256": one}) for n, one in enumerate(digests)]
        return self.attests(said, provenance.SLSA_PROVENANCE, *(subjects or [about(commit)]), **more)

    def approves(self, commit: str, at: int = AT) -> bytes:
        """An approval of the commit."""
        approval = Approval(self.root, self.did, "commit", commit, statement_time(at))
        return self.envelope(statement.approval_payload(approval))

    def approves_tag(self, id: str, name: str, target: str, *artifacts: str) -> bytes:
        """An approval of the tag object, and of what has these digests."""
        approval = Approval(self.root, self.did, "tag", id, statement_time(AT), name, target, artifacts)
        return self.envelope(statement.approval_payload(approval))


def signer(person: Person, root: str, alias: str = "main") -> Signer:
    """A person, by the key of the identity `alias`, which lies open in a file."""
    folder = Path(person.environment["AUTHS_HOME"], "identities", alias)
    key = opensshkey.unencrypted_private((folder / "current").read_bytes())
    assert key is not None
    did = person.did() if alias == "main" else person.auths("whoami", "--alias", alias).stdout.strip()
    return Signer(did, key, root)


def throwaway(root: str) -> Signer:
    """A pipeline's key, which nobody knows."""
    key = opensshkey.generate()
    return Signer(didkey.encode(key.public_blob), key, root)


def about(commit: str) -> Subject:
    return Subject(commit, {"gitCommit": commit})


def statement_time(seconds: int) -> Any:
    from datetime import datetime

    return datetime.fromisoformat(utctime.text(seconds).replace("Z", "+00:00"))


def random_digest() -> str:
    return os.urandom(32).hex()
