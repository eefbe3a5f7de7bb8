"""The evidence beside a signature, each piece verified against what the repository pins: who ran it, and when.

An OIDC token (inside the signed payload) says which CI job held the key; an RFC 3161 response and an entry of a
transparency log say when the signature was there. DESIGN section 10.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from git_auths.core import didkey, dsse, oidc, timestamp, transparency, utctime
from git_auths.core.attested import MAX_ENTRIES, MAX_TIMESTAMPS
from git_auths.core.entrybody import Signed
from git_auths.core.noteline import Line
from git_auths.core.pins import Pins
from git_auths.core.sshsig import fingerprint

TOKEN, TIMESTAMP, LOG = "token", "timestamp", "log"


class Refused(NamedTuple):
    """A piece of evidence that is there and does not hold: of which kind, a word for why, and a sentence."""

    kind: str
    code: str
    reason: str


class Proofs(NamedTuple):
    """What holds, what does not, and the kinds that are there but nothing is pinned to judge them by."""

    token: oidc.Token | None = None
    stamps: tuple[timestamp.Stamped, ...] = ()
    logged: tuple[transparency.Logged, ...] = ()
    refused: tuple[Refused, ...] = ()
    unpinned: tuple[str, ...] = ()

    @property
    def trusted_seconds(self) -> int | None:
        """The earliest Unix time at which a pinned authority or log saw the signature; None: nobody says when."""
        times = [stamp.time_seconds for stamp in self.stamps]
        times += [entry.time_seconds for entry in self.logged if entry.time_seconds is not None]
        return min(times, default=None)

    def without_strangers(self) -> Proofs:
        """The same without what does not hold where something of its kind does: whoever can write notes can put more
        evidence beside an envelope of somebody else's, and none of that makes it worth less."""
        held = {kind for kind, pieces in ((TIMESTAMP, self.stamps), (LOG, self.logged)) if pieces}
        return self._replace(refused=tuple(one for one in self.refused if one.kind not in held))

    def refusal(self, kind: str) -> Refused | None:
        return next((one for one in self.refused if one.kind == kind), None)


def examine(line: Line, key: bytes, token: str | None, pins: Pins) -> Proofs:
    """The evidence for the signature in `line` by `key`, an SSH public key blob; `token` is what the payload carries.

    The token's time is compared with the trusted one; who may be what it says is the policy's to say.
    """
    signature = signature_by(line.envelope, key)
    if signature is None:
        return Proofs(refused=(Refused(TOKEN, "bad-signature", "the envelope is not signed by the key"),))
    refused: list[Refused] = []
    unpinned: list[str] = []
    read = None
    if token is not None and not pins.issuers:
        unpinned.append(TOKEN)
    elif token is not None:
        try:
            read = oidc.read(token, key, pins.issuers)
        except oidc.TokenRefused as error:
            refused.append(Refused(TOKEN, error.code, error.reason))
    stamps = _stamps(line.timestamps, signature, pins, refused, unpinned)
    logged = _logged(line, key, signature, pins, refused, unpinned)
    logged = _within_their_keys(logged, stamps, refused)
    found = Proofs(read, stamps, logged, tuple(refused), tuple(unpinned))
    late = None if read is None else _time_fault(read, found.trusted_seconds)
    if late is not None:
        return found._replace(token=None, refused=(*refused, Refused(TOKEN, late.code, late.reason)))
    return found


def _time_fault(token: oidc.Token, when: int | None) -> oidc.TokenRefused | None:
    """Why the token does not count. Where nobody proves a time, its own may not be after its key's end either: whoever
    holds a key that was given up would leave the proof out."""
    if when is not None:
        return oidc.time_fault(token, when)
    if token.key_not_after is not None and token.issued_at > token.key_not_after:
        until, at = utctime.text(token.key_not_after), utctime.text(token.issued_at)
        return oidc.TokenRefused("key-retired", f"its issuer's key counts until {until}, before it was issued at {at}")
    return None


def _within_their_keys(logged: Sequence[transparency.Logged], stamps: Sequence[timestamp.Stamped],
                       refused: list[Refused]) -> tuple[transparency.Logged, ...]:  # fmt: skip
    """An entry without a time of its own counts where the log's key was valid at the time that a timestamp proves."""
    when = min((stamp.time_seconds for stamp in stamps), default=None)
    kept = []
    for entry in logged:
        if entry.time_seconds is None and when is not None and not transparency.valid_at(entry.log, when):
            refused.append(Refused(LOG, "bad-log-entry", f"the key of {entry.log.name} was not valid at that time"))
        else:
            kept.append(entry)
    return tuple(kept)


def signature_by(envelope: dsse.Envelope, key: bytes) -> bytes | None:
    """The signature of the envelope that names `key` and is by it."""
    for signature in envelope.signatures:
        alone = envelope._replace(signatures=(signature,))
        if signature.keyid == fingerprint(key) and dsse.verify(alone, key):
            return signature.sig
    return None


def _stamps(responses: Sequence[bytes], signature: bytes, pins: Pins, refused: list[Refused],
            unpinned: list[str]) -> tuple[timestamp.Stamped, ...]:  # fmt: skip
    if responses and not pins.authorities:
        unpinned.append(TIMESTAMP)
        return ()
    if len(responses) > MAX_TIMESTAMPS:
        refused.append(Refused(TIMESTAMP, "bad-timestamp", f"there are more than {MAX_TIMESTAMPS} timestamps"))
        return ()
    stamps = []
    for response in responses:
        try:
            stamps.append(timestamp.verify(response, signature, pins.authorities))
        except timestamp.TimestampInvalid as error:
            refused.append(Refused(TIMESTAMP, "bad-timestamp", str(error)))
    return tuple(stamps)


def _logged(line: Line, key: bytes, signature: bytes, pins: Pins, refused: list[Refused],
            unpinned: list[str]) -> tuple[transparency.Logged, ...]:  # fmt: skip
    if not line.entries:
        return ()
    if not pins.logs:
        unpinned.append(LOG)
        return ()
    if len(line.entries) > MAX_ENTRIES:
        refused.append(Refused(LOG, "bad-log-entry", f"there are more than {MAX_ENTRIES} log entries"))
        return ()
    payload = line.envelope.payload
    signed = Signed(payload=payload, payload_type=dsse.PAYLOAD_TYPE, signature=signature,
                                 verifier=didkey.spki(key), digest=b"")  # fmt: skip
    logged = []
    for entry in line.entries:
        try:
            logged.append(transparency.verify_entry(entry, signed, pins.logs))
        except transparency.EntryInvalid as error:
            refused.append(Refused(LOG, "bad-log-entry", str(error)))
    return tuple(logged)
