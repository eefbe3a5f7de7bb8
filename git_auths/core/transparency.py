"""Transparency logs: whether a log whose key is pinned has recorded a signature, and when. Offline.

Sources: RFC 6962, section 2.1 and RFC 9162, section 2.1.3.2 (inclusion proofs); C2SP signed-note and tlog-checkpoint
(checkpoints); sigstore_rekor.proto (the signed entry timestamp, SET); sigstore_trustroot.proto (what describes a log).

An entry counts when all of this holds:
1. its body is about the signature, key and payload at hand (`entrybody`);
2. it has an inclusion proof or a SET, and each that it has verifies under the key of the log that it names;
3. the proof leads to the root and size of a checkpoint that bears the log's own name;
4. a SET's time lies in the time for which the log's key is valid.
Only a SET that verifies signs a time; what an entry says of its time without one means nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import NamedTuple

from git_auths.core.bundle import MAX_CHECKPOINT_CHARS, InclusionProof, LogEntry
from git_auths.core.entrybody import EntryInvalid as EntryInvalid
from git_auths.core.entrybody import Signed as Signed
from git_auths.core.entrybody import check_body as check_body
from git_auths.core.entrybody import signed as signed
from git_auths.core.protojson import Message, MessageInvalid

MAX_URL_CHARS = 2048
MIN_RSA_BITS = 2048
HINT_BYTES = 4
V2_KIND = ("hashedrekord", "0.0.2")

_HOST = re.compile(r"(?:https?://)?([A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]{1,5})?(?:/.*)?", re.ASCII)
_SIZE = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_SIGNATURE_LINE = re.compile("\u2014 ([^ +\n]+) ([A-Za-z0-9+/]+={0,2})")
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f]")


class LogInvalid(ValueError):
    """The description of a log cannot be used; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Log(NamedTuple):
    """A log that is trusted. `name` is the host of its `url`, and the origin in its checkpoints; `key` is the DER
    SubjectPublicKeyInfo, valid from and until those seconds since 1970, both inclusive; `key_hint` is the four bytes
    before its signatures in checkpoints."""

    name: str
    url: str
    key: bytes
    log_id: bytes
    valid_from: int | None
    valid_until: int | None
    key_hint: bytes


class Logged(NamedTuple):
    """Where an entry stands, and since when, in seconds since 1970; None where no signed time came with it."""

    log: Log
    time_seconds: int | None


def log_from_json(value: object) -> Log:
    """The log in decoded JSON of a TransparencyLogInstance (sigstore_trustroot.proto); raises LogInvalid."""
    try:
        return _log(value)
    except MessageInvalid as error:
        raise LogInvalid(error.reason) from None


def _log(value: object) -> Log:
    names = ("baseUrl", "hashAlgorithm", "publicKey", "logId", "checkpointKeyId", "operator")
    log = Message(value, "the log", names)
    url = log.text("baseUrl", MAX_URL_CHARS)
    host = _HOST.fullmatch(url)
    if host is None:
        raise LogInvalid("the log's baseUrl has no host")
    if log.text("hashAlgorithm", MAX_URL_CHARS) != "SHA2_256":
        raise LogInvalid("the log's hashAlgorithm is not SHA2_256")
    public_key = log.message("publicKey", "rawBytes", "keyDetails", "validFor")
    key = public_key.some_octets("rawBytes")
    if public_key.text("keyDetails", MAX_URL_CHARS) not in _key_details(key):
        raise LogInvalid("the log's keyDetails are not those of its key, or of a kind that this software knows")
    start = end = None
    if "validFor" in public_key:
        valid_for = public_key.message("validFor", "start", "end")
        start, end = valid_for.seconds("start"), valid_for.seconds("end")
    log_id = log.message("logId", "keyId").some_octets("keyId")
    hint = log.message("checkpointKeyId", "keyId").some_octets("keyId") if "checkpointKeyId" in log else log_id
    if len(hint) < HINT_BYTES:
        raise LogInvalid("the log's id is shorter than a key hint")
    return Log(host[1], url, key, log_id, start, end, hint[:HINT_BYTES])


def verify_entry(entry: LogEntry, signed: Signed, logs: Sequence[Log]) -> Logged:
    """Where and since when `signed` is logged by this entry, in one of `logs`; raises EntryInvalid.

    Without a time in the answer the window of the log's key has been compared with nothing: `valid_at` does that, for
    a time from elsewhere.
    """
    check_body(entry, signed)
    candidates = [log for log in logs if log.log_id == entry.log_id]
    if not candidates:
        raise EntryInvalid("it is in a log that is not pinned")
    for log in candidates[:-1]:  # one key may serve several logs, or several times
        try:
            return _verify_in(entry, log)
        except EntryInvalid:
            continue
    return _verify_in(entry, candidates[-1])


def valid_at(log: Log, time_seconds: int) -> bool:
    """Whether the log's key was valid then."""
    after_start = log.valid_from is None or log.valid_from <= time_seconds
    return after_start and (log.valid_until is None or time_seconds <= log.valid_until)


def _verify_in(entry: LogEntry, log: Log) -> Logged:
    if entry.proof is None and entry.signed_entry_timestamp is None:
        raise EntryInvalid("it has neither an inclusion proof nor a signed entry timestamp")
    if (entry.kind, entry.version) == V2_KIND:
        _check_v2(entry)
    if entry.proof is not None:
        check_inclusion(entry.body, entry.proof)
        check_checkpoint(entry.proof, log)
    if entry.signed_entry_timestamp is None:
        return Logged(log, None)
    return Logged(log, _promised_time(entry, entry.signed_entry_timestamp, log))


def _check_v2(entry: LogEntry) -> None:
    """Rekor v2 (rekor-v2-spec, section 4.2; CLIENTS.md) signs no time, always proves, and has one index only."""
    if entry.signed_entry_timestamp is not None:
        raise EntryInvalid("it has a signed entry timestamp, which Rekor v2 does not make")
    if entry.proof is not None and entry.proof.log_index != entry.log_index:
        raise EntryInvalid("its inclusion proof is for another index")


def _promised_time(entry: LogEntry, signed_entry_timestamp: bytes, log: Log) -> int:
    """The time that the SET signs: sigstore_rekor.proto, InclusionPromise. Its JSON is canonical (RFC 8785): ASCII
    strings that need no escapes, integers, names in order."""
    value = {
        "body": b64encode(entry.body).decode(),
        "integratedTime": entry.integrated_time,
        "logID": entry.log_id.hex(),
        "logIndex": entry.log_index,
    }
    if not _verifies(log.key, signed_entry_timestamp, json.dumps(value, separators=(",", ":")).encode()):
        raise EntryInvalid("its signed entry timestamp is not by the log's key, or over something else")
    if not valid_at(log, entry.integrated_time):
        raise EntryInvalid("its time is outside of the time for which the log's key is valid")
    return entry.integrated_time


def check_inclusion(body: bytes, proof: InclusionProof) -> None:
    """Raise EntryInvalid unless `proof` leads from the leaf `body` to its root: RFC 9162, section 2.1.3.2."""
    if proof.log_index >= proof.tree_size:
        raise EntryInvalid("its index is beyond the size of the log's tree")
    if any(len(sibling) != hashlib.sha256().digest_size for sibling in proof.hashes):
        raise EntryInvalid("its inclusion proof holds something that is not a hash")
    position, last = proof.log_index, proof.tree_size - 1
    node = hashlib.sha256(b"\x00" + body).digest()
    for sibling in proof.hashes:
        if last == 0:
            raise EntryInvalid("its inclusion proof is too long")
        if position & 1 or position == last:
            node = hashlib.sha256(b"\x01" + sibling + node).digest()
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            node = hashlib.sha256(b"\x01" + node + sibling).digest()
        position, last = position >> 1, last >> 1
    if last != 0:
        raise EntryInvalid("its inclusion proof is too short")
    if node != proof.root_hash:
        raise EntryInvalid("its inclusion proof does not lead to the root hash")


def check_checkpoint(proof: InclusionProof, log: Log) -> None:
    """Raise EntryInvalid unless the proof's checkpoint is the log's, signed, for the proof's root and size.

    C2SP signed-note: text, an empty line, lines of signatures. C2SP tlog-checkpoint: the text's lines are origin, size,
    root hash, and what else there may be. Rekor v1 writes the id of its tree behind its name in the origin.
    """
    text, lines = _note(proof.checkpoint)
    origin, size, root, *_ = [*text.split("\n"), "", ""]
    if not re.fullmatch(re.escape(log.name) + r"(?: - [0-9]{1,20})?", origin, re.ASCII):
        raise EntryInvalid("its checkpoint has another origin than the log's name")
    ours = [signature for name, hint, signature in lines if (name, hint) == (log.name, log.key_hint)]
    if not ours:
        raise EntryInvalid("its checkpoint bears no signature by the log's key")
    # Other lines are witnesses', or by keys that are not known here: signed-note has them ignored.
    if not _verifies(log.key, ours[0], text.encode()):
        raise EntryInvalid("its checkpoint's signature does not verify")
    if root != b64encode(proof.root_hash).decode():
        raise EntryInvalid("its checkpoint has another root hash")
    if not _SIZE.fullmatch(size) or int(size) != proof.tree_size:
        raise EntryInvalid("its checkpoint is for a tree of another size")


def _note(note: str) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """A signed note's text, and (name, key hint, signature) of each line under it."""
    if len(note) > MAX_CHECKPOINT_CHARS or _CONTROL.search(note):
        raise EntryInvalid("its checkpoint is too long, or not text")
    text, separator, below = note.partition("\n\n")
    if not separator or not below.endswith("\n"):
        raise EntryInvalid("its checkpoint is not a signed note")
    lines = []
    for line in below[:-1].split("\n"):
        matched = _SIGNATURE_LINE.fullmatch(line)
        signature = _decoded(matched[2]) if matched else b""
        if matched is None or len(signature) <= HINT_BYTES:
            raise EntryInvalid("its checkpoint has a line that is not a signature")
        lines.append((matched[1], signature[:HINT_BYTES], signature[HINT_BYTES:]))
    return text + "\n", lines


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return b""


def _verifies(key_der: bytes, signature: bytes, data: bytes) -> bool:
    """Whether a log's key signed `data`: ECDSA in DER over the curve's hash, pure Ed25519, or RSA PKCS#1 v1.5."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    key = load_der_public_key(key_der)
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            by_curve = {"secp256r1": SHA256(), "secp384r1": SHA384(), "secp521r1": SHA512()}
            key.verify(signature, data, ec.ECDSA(by_curve[key.curve.name]))
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, data)
        else:
            assert isinstance(key, rsa.RSAPublicKey)
            key.verify(signature, data, padding.PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


def _key_details(key_der: bytes) -> set[str]:
    """The PublicKeyDetails that describe a log's key of a kind that `_verifies` knows; none for any other."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        key = load_der_public_key(key_der)
    except Exception:  # cryptography raises ValueError, UnsupportedAlgorithm and others of its own for strange keys
        raise LogInvalid("the log's key is not a public key that can be read") from None
    if isinstance(key, ec.EllipticCurvePublicKey):
        by_curve = {"secp256r1": "P256_SHA_256", "secp384r1": "P384_SHA_384", "secp521r1": "P521_SHA_512"}
        return {f"PKIX_ECDSA_{by_curve[key.curve.name]}"} if key.curve.name in by_curve else set()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= MIN_RSA_BITS:
        return {"PKIX_RSA_PKCS1V5", f"PKIX_RSA_PKCS1V15_{key.key_size}_SHA256"}
    return {"PKIX_ED25519"} if isinstance(key, ed25519.Ed25519PublicKey) else set()
