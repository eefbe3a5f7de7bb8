"""Who makes an attestation here: a person or pipeline by its identity, or a CI job by a throwaway key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from git_auths.core import dsse
from git_auths.store import signing
from git_auths.store.secrets import Secrets
from git_auths.store.throwaway import Throwaway


class Voice(NamedTuple):
    """A DID, its SSH public key blob, and what makes DSSE signatures by that key."""

    did: str
    key: bytes
    sign: Callable[[bytes], bytes]


def by_identity(secrets: Secrets, path: Path | None) -> Voice:
    """Whoever signs in the repository at `path`; raises errors.Error."""
    identity = signing.identity(secrets, path)

    def sign(data: bytes) -> bytes:
        return dsse.signature_from_ssh(signing.ssh_signature(identity, data, secrets))

    return Voice(f"did:keri:{identity.aid}", identity.current_blob, sign)


def by_throwaway(made: Throwaway) -> Voice:
    return Voice(made.did, made.key_blob, lambda data: dsse.signature_from_ssh(made.private_key.sign(data)))


def envelope(voice: Voice, payload: bytes) -> dsse.Envelope:
    """The payload, signed; raises ValueError where that would be no line of a note."""
    return dsse.sign(payload, voice.key, voice.sign)
