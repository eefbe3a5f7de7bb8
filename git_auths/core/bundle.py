"""Sigstore bundles: one JSON document of a signature, whose it is, and the evidence of when and where it was recorded.

Source: sigstore/protobuf-specs, `sigstore_bundle.proto`, `sigstore_rekor.proto` and `envelope.proto`; Sigstore's client
specification, section 5. Bundles of versions 0.1, 0.2 and 0.3 are read, whoever wrote them; those of version 0.3 with a
plain key are written. Parsing verifies nothing: `transparency` and `timestamp` do.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from git_auths.core import dsse, sshsig
from git_auths.core.protojson import Message, MessageInvalid

MAX_BUNDLE_BYTES = 4 * 1024 * 1024
MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
VERSIONS = {
    "application/vnd.dev.sigstore.bundle+json;version=0.1": "0.1",
    "application/vnd.dev.sigstore.bundle+json;version=0.2": "0.2",
    "application/vnd.dev.sigstore.bundle+json;version=0.3": "0.3",
    MEDIA_TYPE: "0.3",
}
MAX_ENTRIES = 32
MAX_TIMESTAMPS = 32
MAX_CERTIFICATES = 16
MAX_PATH = 63  # hashes in the inclusion proof of a tree of 2**63 leaves
MAX_TEXT_CHARS = 1024
MAX_CHECKPOINT_CHARS = 64 * 1024
HASH_BYTES = {"SHA2_256": 32, "SHA2_384": 48, "SHA2_512": 64, "SHA3_256": 32, "SHA3_384": 48}  # HashAlgorithm

_ENTRY = ("logIndex", "logId", "kindVersion", "integratedTime", "inclusionPromise", "inclusionProof",
          "canonicalizedBody")  # fmt: skip
_PROOF = ("logIndex", "rootHash", "treeSize", "hashes", "checkpoint")
_KEYS = ("publicKey", "x509CertificateChain", "certificate")
_CONTENTS = ("messageSignature", "dsseEnvelope")


class BundleInvalid(ValueError):
    """The bytes are not a Sigstore bundle that this software reads; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class InclusionProof(NamedTuple):
    """Where an entry stands in a log's tree, the path to its root, and the log's signed word for that root.

    `log_index` counts within the tree; `checkpoint` is a signed note (C2SP tlog-checkpoint). Nothing is verified.
    """

    log_index: int
    root_hash: bytes
    tree_size: int
    hashes: tuple[bytes, ...]
    checkpoint: str


class LogEntry(NamedTuple):
    """A transparency log's entry. `log_index` is the global one; `integrated_time` is in seconds since 1970 and means
    something only under a `signed_entry_timestamp` that verifies; `body` is the canonicalized JSON that was logged."""

    log_index: int
    log_id: bytes
    kind: str
    version: str
    integrated_time: int
    signed_entry_timestamp: bytes | None
    proof: InclusionProof | None
    body: bytes


class MessageSignature(NamedTuple):
    """A signature over an artifact itself. `digest` by `algorithm` (a key of HASH_BYTES) only identifies the artifact;
    both are empty where the bundle names none."""

    algorithm: str
    digest: bytes
    signature: bytes


class Envelope(NamedTuple):
    """A DSSE envelope with a payload of any type, and its one signature."""

    payload_type: str
    payload: bytes
    signatures: tuple[dsse.Signature, ...]


class Bundle(NamedTuple):
    """A parsed bundle: `hint` names a plain key (empty when unnamed) or is None where there are `certificates`, DER,
    the leaf first; `timestamps` are RFC 3161 responses in DER; exactly one of `envelope` and `message` is there."""

    version: str
    hint: str | None
    certificates: tuple[bytes, ...]
    entries: tuple[LogEntry, ...]
    timestamps: tuple[bytes, ...]
    envelope: Envelope | None
    message: MessageSignature | None


_Read = TypeVar("_Read")


def parse(data: bytes) -> Bundle:
    """The bundle in `data`, JSON of at most 4 MiB; raises BundleInvalid."""
    if len(data) > MAX_BUNDLE_BYTES:
        raise BundleInvalid(f"longer than {MAX_BUNDLE_BYTES} bytes")
    try:
        value = dsse.load_json(data)
    except ValueError as error:
        raise BundleInvalid(str(error)) from None
    return _reading(_bundle, value)


def entry_from_json(value: object) -> LogEntry:
    """The entry in decoded JSON of a TransparencyLogEntry, as a Rekor v2 log answers; raises BundleInvalid."""
    return _reading(lambda read: _entry(Message(read, "the entry", _ENTRY)), value)


def _reading(read: Callable[[object], _Read], value: object) -> _Read:
    try:
        return read(value)
    except MessageInvalid as error:
        raise BundleInvalid(error.reason) from None


def _bundle(value: object) -> Bundle:
    top = Message(value, "bundle", ("mediaType", "verificationMaterial", *_CONTENTS))
    version = VERSIONS.get(top.text("mediaType", MAX_TEXT_CHARS))
    if version is None:
        raise BundleInvalid("the media type is not that of a Sigstore bundle of version 0.1, 0.2 or 0.3")
    material = top.message("verificationMaterial", *_KEYS, "tlogEntries", "timestampVerificationData")
    hint, certificates = _key(material, version)
    entries = tuple(_entry(entry) for entry in material.messages("tlogEntries", MAX_ENTRIES, *_ENTRY))
    _check_evidence(entries, version)
    message = envelope = None
    if top.only(_CONTENTS) == "messageSignature":
        message = _message(top.message("messageSignature", "messageDigest", "signature"))
    else:
        envelope = _envelope(top.message("dsseEnvelope", "payload", "payloadType", "signatures"), hint)
    return Bundle(version, hint, certificates, entries, _timestamps(material), envelope, message)


def _key(material: Message, version: str) -> tuple[str | None, tuple[bytes, ...]]:
    """(hint, certificates). A chain belongs to versions 0.1 and 0.2, a certificate alone to 0.3, a plain key to all."""
    form = material.only(_KEYS)
    if form == "publicKey":
        return material.message(form, "hint").text("hint", MAX_TEXT_CHARS), ()
    if (form == "certificate") != (version == "0.3"):
        raise BundleInvalid(f"a bundle of version {version} has no {form}")
    if form == "certificate":
        return None, (material.message(form, "rawBytes").some_octets("rawBytes"),)
    chain = material.message(form, "certificates").messages("certificates", MAX_CERTIFICATES, "rawBytes")
    if not chain:
        raise BundleInvalid("the certificate chain is empty")
    return None, tuple(certificate.some_octets("rawBytes") for certificate in chain)


def _entry(entry: Message) -> LogEntry:
    kind = entry.message("kindVersion", "kind", "version")
    promise = proof = None
    if "inclusionPromise" in entry:
        promise = entry.message("inclusionPromise", "signedEntryTimestamp").octets("signedEntryTimestamp")
    if "inclusionProof" in entry:
        proof = _proof(entry.message("inclusionProof", *_PROOF))
    return LogEntry(
        entry.natural("logIndex"),
        entry.message("logId", "keyId").some_octets("keyId"),
        kind.text("kind", MAX_TEXT_CHARS),
        kind.text("version", MAX_TEXT_CHARS),
        entry.natural("integratedTime"),
        promise or None,
        proof,
        entry.some_octets("canonicalizedBody"),
    )


def _proof(proof: Message) -> InclusionProof:
    checkpoint = proof.message("checkpoint", "envelope").text("envelope", MAX_CHECKPOINT_CHARS)
    if not checkpoint:
        raise BundleInvalid("an inclusion proof has no checkpoint")
    return InclusionProof(
        proof.natural("logIndex"),
        proof.some_octets("rootHash"),
        proof.natural("treeSize"),
        proof.all_octets("hashes", MAX_PATH),
        checkpoint,
    )


def _check_evidence(entries: tuple[LogEntry, ...], version: str) -> None:
    """What each version requires of an entry (sigstore_bundle.proto), and each entry once."""
    for entry in entries:
        if version == "0.1" and entry.signed_entry_timestamp is None:
            raise BundleInvalid("an entry has no inclusion promise, which version 0.1 requires")
        if version != "0.1" and entry.proof is None:
            raise BundleInvalid(f"an entry has no inclusion proof, which version {version} requires")
    if len({(entry.log_id, entry.log_index) for entry in entries}) != len(entries):
        raise BundleInvalid("a log entry appears twice")


def _timestamps(material: Message) -> tuple[bytes, ...]:
    if "timestampVerificationData" not in material:
        return ()
    data = material.message("timestampVerificationData", "rfc3161Timestamps")
    stamps = data.messages("rfc3161Timestamps", MAX_TIMESTAMPS, "signedTimestamp")
    timestamps = tuple(stamp.some_octets("signedTimestamp") for stamp in stamps)
    if len(set(timestamps)) != len(timestamps):
        raise BundleInvalid("a timestamp appears twice")
    return timestamps


def _message(message: Message) -> MessageSignature:
    algorithm, digest = "", b""
    if "messageDigest" in message:
        output = message.message("messageDigest", "algorithm", "digest")
        algorithm, digest = output.text("algorithm", MAX_TEXT_CHARS), output.some_octets("digest")
        if HASH_BYTES.get(algorithm) != len(digest):
            raise BundleInvalid("the message digest is not one by an algorithm that this software knows")
    return MessageSignature(algorithm, digest, message.some_octets("signature"))


def _envelope(envelope: Message, hint: str | None) -> Envelope:
    signatures = envelope.messages("signatures", dsse.MAX_SIGNATURES, "sig", "keyid")
    if len(signatures) != 1:
        raise BundleInvalid(f"the envelope has {len(signatures)} signatures; in a bundle it must have one")
    keyid = signatures[0].text("keyid", MAX_TEXT_CHARS)
    # The proto has them be the same. A key that the envelope leaves unnamed is common, and contradicts nothing.
    if hint is not None and keyid not in ("", hint):
        raise BundleInvalid("the envelope's keyid is not the hint of the verification material")
    payload_type = envelope.text("payloadType", MAX_TEXT_CHARS)
    signature = dsse.Signature(keyid, signatures[0].some_octets("sig"))
    return Envelope(payload_type, envelope.some_octets("payload"), (signature,))


def own_envelope(bundle: Bundle) -> dsse.Envelope:
    """The envelope of a bundle of the form that `serialise` writes: in-toto, by a plain key that both places name.

    Raises BundleInvalid; DSSE's own bounds are those of `dsse.parse`.
    """
    if bundle.envelope is None or bundle.envelope.payload_type != dsse.PAYLOAD_TYPE:
        raise BundleInvalid(f"it holds no envelope of type {dsse.PAYLOAD_TYPE}")
    if not bundle.hint or [signature.keyid for signature in bundle.envelope.signatures] != [bundle.hint]:
        raise BundleInvalid("the envelope is not signed by a plain key that the bundle names")
    try:
        return dsse.parse(dsse.serialise(dsse.Envelope(bundle.envelope.payload, bundle.envelope.signatures)))
    except dsse.EnvelopeInvalid as error:
        raise BundleInvalid(error.reason) from None


def serialise(envelope: dsse.Envelope, key_blob: bytes, timestamps: Sequence[bytes] = (),
              entries: Sequence[LogEntry] = ()) -> bytes:  # fmt: skip
    """A bundle of version 0.3 as one line of compact JSON, without a line feed.

    `envelope` has one signature, by `key_blob` (an SSH public key blob), under its OpenSSH fingerprint; `timestamps`
    are RFC 3161 responses in DER. Raises BundleInvalid for what `own_envelope` would not read back.
    """
    hint = sshsig.fingerprint(key_blob)
    material: dict[str, object] = {"publicKey": {"hint": hint}, "tlogEntries": [entry_to_json(e) for e in entries]}
    if timestamps:
        stamps = [{"signedTimestamp": _base64(timestamp)} for timestamp in timestamps]
        material["timestampVerificationData"] = {"rfc3161Timestamps": stamps}
    value = {"mediaType": MEDIA_TYPE, "verificationMaterial": material, "dsseEnvelope": dsse.to_json(envelope)}
    line = json.dumps(value, separators=(",", ":")).encode()
    own_envelope(parse(line))
    return line


def entry_to_json(entry: LogEntry) -> dict[str, object]:
    """A TransparencyLogEntry as JSON values; int64 as strings, which is how protobuf writes them."""
    value: dict[str, object] = {
        "logIndex": str(entry.log_index),
        "logId": {"keyId": _base64(entry.log_id)},
        "kindVersion": {"kind": entry.kind, "version": entry.version},
        "integratedTime": str(entry.integrated_time),
        "canonicalizedBody": _base64(entry.body),
    }
    if entry.signed_entry_timestamp is not None:
        value["inclusionPromise"] = {"signedEntryTimestamp": _base64(entry.signed_entry_timestamp)}
    if entry.proof is not None:
        value["inclusionProof"] = {
            "logIndex": str(entry.proof.log_index),
            "rootHash": _base64(entry.proof.root_hash),
            "treeSize": str(entry.proof.tree_size),
            "hashes": [_base64(item) for item in entry.proof.hashes],
            "checkpoint": {"envelope": entry.proof.checkpoint},
        }
    return value


def _base64(value: bytes) -> str:
    return b64encode(value).decode()
