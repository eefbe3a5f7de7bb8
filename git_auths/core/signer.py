"""Who made a signature."""

from __future__ import annotations

from typing import NamedTuple


class Signer(NamedTuple):
    """The AID's DID, the principal that counts for it, and the SSH public key blob that verified."""

    did: str
    principal: str
    key: bytes
