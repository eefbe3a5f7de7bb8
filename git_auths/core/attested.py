"""What one line of a note says, whatever its predicate: who attests what of which objects, and whether who signed it is
the one that it names.

A note is found by the id of an object, so a line stands on each object that it names: commits and tags under their own
ids, files (and whatever else has a SHA-256) under the first digits of that digest, as many as an object id has here.
That is an address and nothing more: what counts is the whole digest inside the signed statement.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from git_auths.core import attestation, didkey, dsse, noteline
from git_auths.core.approvals import signing_key
from git_auths.core.auths_folder import AuthsFolder, declared_compromised
from git_auths.core.grants import GRANT_TYPE
from git_auths.core.noteline import Line
from git_auths.core.provenance import SLSA_PROVENANCE, VERIFICATION_SUMMARY
from git_auths.core.signer import DID_KEY
from git_auths.core.sshsig import fingerprint
from git_auths.core.statement import APPROVAL_TYPE, Approval, StatementInvalid, Subject, parse_approval

SHORT_NAMES = {"slsa": SLSA_PROVENANCE, "vsa": VERIFICATION_SUMMARY, "approval": APPROVAL_TYPE}
MAX_TIMESTAMPS, MAX_ENTRIES = 4096, 4096  # beside one envelope; a note has no room for more
MAX_SIGNERS = 4096  # whose keys are kept in memory at once

_WORDS = {SLSA_PROVENANCE: "provenance", VERIFICATION_SUMMARY: "verification summary", APPROVAL_TYPE: "approval"}


__all__ = ["DID_KEY", "Attested", "AttestedInvalid", "Signed", "Signers", "read"]


class AttestedInvalid(ValueError):
    """The line is no attestation that this software reads; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Attested(NamedTuple):
    """A line, read: `signer` (a DID) says under the trust root `root` that `predicate` holds of the `subjects`.

    `objects` are the ids of all commits and tags that it is about, `artifacts` the SHA-256 digests, in hex; `issued_at`
    and `expires_at` are Unix seconds, by the signer's word. Nothing of it is verified.
    """

    raw: bytes
    line: Line
    predicate_type: str
    predicate: Mapping[str, Any]
    subjects: tuple[Subject, ...]
    root: str
    signer: str
    issued_at: int
    expires_at: int | None
    token: str | None
    objects: frozenset[str]
    artifacts: frozenset[str]
    approval: Approval | None = None

    @property
    def words(self) -> str:
        """What it is, for people."""
        if self.approval is not None and self.approval.kind != "tag":
            return f"approval ({self.approval.kind})"
        return _WORDS.get(self.predicate_type, self.predicate_type)

    def addresses(self, hex_length: int) -> frozenset[str]:
        """Where its notes stand in a repository whose object ids have so many digits."""
        ids = {id for id in self.objects if len(id) == hex_length}
        return frozenset(ids.union(digest[:hex_length] for digest in self.artifacts))


def read(raw: bytes) -> Attested:
    """What stands in the line, of at most 64 KiB; raises AttestedInvalid."""
    try:
        line = noteline.parse(raw)
        # An approval is no small part of what stands in notes: to parse each twice would double the time.
        if APPROVAL_TYPE.encode() in line.envelope.payload:
            return _approval(raw, line) or _other(raw, line)
        return _other(raw, line)
    except (dsse.EnvelopeInvalid, StatementInvalid) as error:
        raise AttestedInvalid(error.reason) from None


def _approval(raw: bytes, line: Line) -> Attested | None:
    """None: it only mentions the type of approvals."""
    try:
        found = parse_approval(line.envelope.payload)
    except StatementInvalid as error:
        if error.reason == f"predicateType is not {APPROVAL_TYPE}":
            return None
        raise
    subject = Subject(found.tag_name or found.object_id,
                      {"gitTag" if found.kind == "tag" else "gitCommit": found.object_id})  # fmt: skip
    issued_at = int(found.issued_at.timestamp())
    return Attested(raw, line, APPROVAL_TYPE, {}, (subject,), found.root, found.signer, issued_at, None, None,
                    frozenset([found.object_id]), frozenset(found.artifacts), found)  # fmt: skip


def _other(raw: bytes, line: Line) -> Attested:
    found = attestation.parse(line.envelope.payload)
    said, binding = found.statement, found.binding
    if said.predicate_type in (APPROVAL_TYPE, GRANT_TYPE):
        raise AttestedInvalid(f"{said.predicate_type} is written otherwise")
    return Attested(raw, line, said.predicate_type, said.predicate, said.subjects, binding.root, binding.signer,
                    binding.issued_at, binding.expires_at, binding.token, found.objects, found.artifacts)  # fmt: skip


def united(found: Iterable[Attested]) -> list[Attested]:
    """The same envelopes, each once, with all the evidence that any line has beside it: what somebody adds to it hides
    nothing of what was there."""
    by_envelope: dict[dsse.Envelope, list[Attested]] = {}
    for one in found:
        by_envelope.setdefault(one.line.envelope, []).append(one)
    return [_with_all_evidence(lines) for lines in by_envelope.values()]


def _with_all_evidence(lines: list[Attested]) -> Attested:
    if len(lines) == 1:
        return lines[0]
    timestamps = tuple(dict.fromkeys(stamp for one in lines for stamp in one.line.timestamps))
    entries = tuple(dict.fromkeys(entry for one in lines for entry in one.line.entries))
    first = lines[0]
    return first._replace(line=Line(first.line.envelope, timestamps[:MAX_TIMESTAMPS], entries[:MAX_ENTRIES]))


class Signed(NamedTuple):
    """By which key of its signer a line is signed: an SSH public key blob, introduced by event `sn` of the log (None:
    the signer is that key), `is_lost` where its owner has declared it compromised since. `fault`: why by none."""

    key: bytes | None = None
    sn: int | None = None
    is_lost: bool = False
    fault: str = ""


class Signers:
    """Whose lines are signed by their own keys, by the logs of one folder `.auths`. Each line costs as many
    verifications as it has signatures that name a key of its signer: at most 16."""

    def __init__(self, folder: AuthsFolder) -> None:
        self._folder = folder
        self._keys: dict[str, dict[str, tuple[bytes, int]]] = {}  # by DID and fingerprint

    def knows(self, did: str) -> bool:
        """Is there a log of this `did:keri`?"""
        return self._folder.kel_of(did) is not None

    def check(self, attested: Attested) -> Signed:
        """Is the line signed by a key that its signer is, or has held?"""
        did, envelope = attested.signer, attested.line.envelope
        if did.startswith(DID_KEY):
            return _signed_by_itself(did, envelope)
        kel = self._folder.kel_of(did)
        if kel is None:
            return Signed(fault="the mainline has no log of its signer")
        keys = self._keys_of(did)
        key = signing_key(envelope, {name: blob for name, (blob, _) in keys.items()})
        if key is None:
            return Signed(fault="it is not signed by a key of its signer")
        sn = keys[fingerprint(key)][1]
        return Signed(key, sn, sn < declared_compromised(kel))

    def _keys_of(self, did: str) -> dict[str, tuple[bytes, int]]:
        """The keys that have ever alone met the threshold, each with the last event whose state has it."""
        known = self._keys.get(did)
        if known is None:
            kel = self._folder.kel_of(did)
            held = [(key.ssh_blob(), event.sn) for event in (() if kel is None else kel.establishments())
                    for key in event.state.signing_keys()]  # fmt: skip
            known = {fingerprint(blob): (blob, sn) for blob, sn in held}
            if len(self._keys) >= MAX_SIGNERS:
                self._keys.clear()
            self._keys[did] = known
        return known


def _signed_by_itself(did: str, envelope: dsse.Envelope) -> Signed:
    try:
        key = didkey.decode(did)
    except didkey.DidKeyInvalid as error:
        return Signed(fault=f"its signer is no key: {error.reason}")
    if signing_key(envelope, {fingerprint(key): key}) is None:
        return Signed(fault="it is not signed by the key that it names")
    return Signed(key)
