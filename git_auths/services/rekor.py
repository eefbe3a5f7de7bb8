"""A Rekor transparency log on the network: an envelope goes out, the log's entry about it comes back.

Rekor v1 (openapi.yaml of sigstore/rekor) takes the envelope as `dsse` 0.0.1. Rekor v2 (rekor_service.proto and
CLIENTS.md of sigstore/rekor-tiles) takes only `hashedrekord` 0.0.2 over the digest of the DSSE encoding, so nothing by
pure Ed25519, which signs no digest. Which of the two a log is, it says itself: v1 is asked first, and answers 404 where
it is v2; an address that ends in `/api/v1` or `/api/v2` settles it.

The answer must be about what was sent, with a proof that leads to its root. Whether the log is one to be trusted, a
verifier decides (`core/transparency.py`).
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

from git_auths.core import bundle, didkey, dsse, sshsig, transparency
from git_auths.core.bundle import LogEntry
from git_auths.services import http
from git_auths.services.http import Response, ServiceError

TIMEOUT_SECONDS = 30.0  # v2 answers once a checkpoint covers the entry: CLIENTS.md asks for at least 20
MAX_ANSWER_BYTES = 1024 * 1024
V1_PATH = "/api/v1/log/entries"
V2_PATH = "/api/v2/log/entries"
HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}
_API = re.compile(r"/api/(v[12])\Z")
_LOCATION = re.compile(r"(?:https?://[^/]+)?/api/v1/log/entries/([0-9a-f]{64,80})", re.ASCII)


def submit(url: str, envelope: dsse.Envelope, key_blob: bytes, timeout_seconds: float = TIMEOUT_SECONDS) -> LogEntry:
    """The entry of the log at `url` about `envelope`, whose one signature is by `key_blob`, an SSH public key blob.

    Raises ServiceError when the log does not answer, refuses, or answers with anything else than that entry.
    """
    base = url.rstrip("/")
    api = _API.search(base)
    base = _API.sub("", base)
    signed = transparency.Signed(envelope.payload, dsse.PAYLOAD_TYPE, envelope.signatures[0].sig, didkey.spki(key_blob),
                                 b"")  # fmt: skip
    if api is None or api[1] == "v1":
        response = _ask_v1(base, envelope, signed.verifier, timeout_seconds)
        if response.status != 404 or api is not None:
            return _checked(response, _v1_entry(response), signed)
    if sshsig.key_type(key_blob) != dsse.P256:
        host = "the log" if api is not None else response.host
        raise ServiceError(f"{host} is no Rekor v1 log, and v2 takes no signatures by Ed25519 keys",
                           "name a Rekor v1 log, or sign with a P-256 key")  # fmt: skip
    response = _ask_v2(base, signed, timeout_seconds)
    return _checked(response, _v2_entry(response), signed)


def _ask_v1(base: str, envelope: dsse.Envelope, spki: bytes, timeout_seconds: float) -> Response:
    proposed = {"envelope": dsse.serialise(envelope).decode(), "verifiers": [_base64(_pem(spki))]}
    body = {"apiVersion": "0.0.1", "kind": "dsse", "spec": {"proposedContent": proposed}}
    response = _post(base + V1_PATH, body, timeout_seconds, retry_post=True)
    if response.status != 409:
        return response
    # The same envelope is there already, perhaps by a first try whose answer was lost.
    there = _LOCATION.fullmatch(response.headers.get("location", ""))
    if there is None:
        raise http.refused(response)
    return http.request("GET", f"{base}{V1_PATH}/{there[1]}", headers={"Accept": "application/json"},
                        timeout_seconds=timeout_seconds, max_bytes=MAX_ANSWER_BYTES)  # fmt: skip


def _ask_v2(base: str, signed: transparency.Signed, timeout_seconds: float) -> Response:
    assert signed.payload is not None
    digest = hashlib.sha256(dsse.pae(signed.payload, signed.payload_type)).digest()
    verifier = {"publicKey": {"rawBytes": _base64(signed.verifier)}, "keyDetails": "PKIX_ECDSA_P256_SHA_256"}
    signature = {"content": _base64(signed.signature), "verifier": verifier}
    body = {"hashedRekordRequestV002": {"digest": _base64(digest), "signature": signature}}
    # Not sent twice: v2 answers a repeated entry with 409 and does not hand the first one out.
    return _post(base + V2_PATH, body, timeout_seconds, retry_post=False)


def _post(url: str, body: Mapping[str, object], timeout_seconds: float, *, retry_post: bool) -> Response:
    return http.request("POST", url, headers=HEADERS, body=json.dumps(body, separators=(",", ":")).encode(),
                        timeout_seconds=timeout_seconds, max_bytes=MAX_ANSWER_BYTES, retry_post=retry_post)  # fmt: skip


def _v1_entry(response: Response) -> LogEntry:
    """The entry in the answer of a v1 log: one, by its UUID, with hashes in hexadecimal (openapi.yaml, LogEntry)."""
    answer = _answer(response)
    try:
        entry: Any
        (entry,) = answer.values()
        body: Any = dsse.load_json(b64decode(entry["body"], validate=True))
        proof = entry["verification"]["inclusionProof"]
        value = {
            "logIndex": entry["logIndex"],
            "logId": {"keyId": _base64(bytes.fromhex(entry["logID"]))},
            "kindVersion": {"kind": body["kind"], "version": body["apiVersion"]},
            "integratedTime": entry["integratedTime"],
            "inclusionPromise": {"signedEntryTimestamp": entry["verification"]["signedEntryTimestamp"]},
            "inclusionProof": {
                "logIndex": proof["logIndex"],
                "rootHash": _base64(bytes.fromhex(proof["rootHash"])),
                "treeSize": proof["treeSize"],
                "hashes": [_base64(bytes.fromhex(item)) for item in proof["hashes"]],
                "checkpoint": {"envelope": proof["checkpoint"]},
            },
            "canonicalizedBody": entry["body"],
        }
        return bundle.entry_from_json(value)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ServiceError(f"{response.host} answered with what is not a log entry with its proof") from None


def _v2_entry(response: Response) -> LogEntry:
    """The entry in the answer of a v2 log, which is a TransparencyLogEntry as bundles carry it."""
    try:
        return bundle.entry_from_json(_answer(response))
    except bundle.BundleInvalid as error:
        raise ServiceError(f"{response.host} answered with what is not a log entry: {error.reason}") from None


def _answer(response: Response) -> dict[str, object]:
    if response.status in (200, 201):
        return http.json_object(response)
    hint = "is this the address of a Rekor log?" if response.status == 404 else None
    raise http.refused(response, hint)


def _checked(response: Response, entry: LogEntry, signed: transparency.Signed) -> LogEntry:
    """The entry, once it is about what was sent."""
    try:
        transparency.check_body(entry, signed)
        if entry.proof is None:
            raise transparency.EntryInvalid("it has no inclusion proof")
        transparency.check_inclusion(entry.body, entry.proof)
    except transparency.EntryInvalid as error:
        raise ServiceError(f"{response.host} answered with an entry that is of no use: {error.reason}") from None
    return entry


def _pem(spki: bytes) -> bytes:
    """RFC 7468, section 13, in lines of 64 characters, which is how Rekor stores it."""
    text = _base64(spki)
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""]).encode()


def _base64(value: bytes) -> str:
    return b64encode(value).decode()
