"""Which lines a server takes into its notes (DESIGN section 9): those that are about what they stand on, signed by
somebody whom its mainline knows, or by a throwaway key whose OIDC token verifies by its pins.

Whether a line counts is not asked here: one for another trust root, or by a key declared compromised, is taken.
"""

from __future__ import annotations

from collections.abc import Callable

from git_auths.core import attested
from git_auths.core.attested import Attested, AttestedInvalid
from git_auths.core.auths_folder import AuthsFolder
from git_auths.core.pins import Pins
from git_auths.core.sha2 import sha256

MAX_REMEMBERED = 4096  # lines: one that stands on many objects is looked at once

Answer = tuple[Attested | None, str | None]  # what a line says; why it is not taken, wherever it stands


class Admission:
    """Answers by one folder `.auths`, and by what is `pinned` in it. A line costs one parse, at most sixteen
    verifications of signatures, and one of a token."""

    def __init__(self, folder: AuthsFolder, pinned: Callable[[], Pins], hex_length: int) -> None:
        self._pinned = pinned
        self._hex_length = hex_length
        self._signers = attested.Signers(folder)
        self._pins: Pins | None = None
        self._answers: dict[bytes, Answer] = {}

    def objection(self, object_id: str, line: bytes) -> str | None:
        """Why the line may not be added to the note on the object; None: it may."""
        one, fault = self._answer(line)
        return self._misplaced(one, object_id) or fault

    def is_void(self, object_id: str, line: bytes) -> bool:
        """Can the line count nowhere, whatever logs and policies say? Such a one may go away."""
        one, fault = self._answer(line)
        if one is None or self._misplaced(one, object_id) is not None:
            return True
        return one.signer.startswith(attested.DID_KEY) and self._signers.check(one).key is None and fault is not None

    def _misplaced(self, one: Attested | None, object_id: str) -> str | None:
        if one is None or object_id in one.addresses(self._hex_length):
            return None
        return "has a line that is not about it"

    def _answer(self, line: bytes) -> Answer:
        name = sha256(line).digest()
        known = self._answers.get(name)
        if known is None:
            if len(self._answers) >= MAX_REMEMBERED:
                self._answers.clear()
            known = self._answers[name] = self._examine(line)
        return known

    def _examine(self, line: bytes) -> Answer:
        try:
            one = attested.read(line)
        except AttestedInvalid as error:
            return None, f"has a line that is no attestation: {error.reason}"
        signed = self._signers.check(one)
        if signed.key is None:
            return one, f"has a line by {one.signer} that is not taken: {signed.fault}"
        return one, self._without_evidence(one, signed.key)

    def _without_evidence(self, one: Attested, key: bytes) -> str | None:
        """Why a line by a throwaway key is nobody's, since anybody can make such a key; or why its evidence is rubbish
        that somebody put beside an envelope, to be in the way of what holds."""
        is_throwaway = one.signer.startswith(attested.DID_KEY)
        if is_throwaway and one.token is None:
            return "has a line by a throwaway key without an OIDC token"
        if not (is_throwaway or one.line.timestamps or one.line.entries):
            return None
        from git_auths.core import proofs

        self._pins = self._pins or self._pinned()
        found = proofs.examine(one.line, key, one.token if is_throwaway else None, self._pins)
        if is_throwaway and proofs.TOKEN in found.unpinned:
            return "has a line by a throwaway key, and its OIDC token does not verify: no issuer is pinned"
        if not found.refused:
            return None
        refused = found.refused[0]
        if refused.kind == proofs.TOKEN:
            return f"has a line by a throwaway key, and its OIDC token does not verify: {refused.reason}"
        return f"has a line whose {refused.kind} does not hold: {refused.reason}"
