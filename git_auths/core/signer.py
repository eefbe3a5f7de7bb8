"""Who made a signature."""

from __future__ import annotations

from typing import NamedTuple

DID_KEY = "did:key:"  # a key that names itself: a CI job's, which no log holds

class Signer(NamedTuple):
    """The AID's DID, the principal that counts for it, and the SSH public key blob that verified."""

    did: str
    principal: str
    key: bytes

    @property
    def is_throwaway(self) -> bool:
        return self.did.startswith(DID_KEY)
