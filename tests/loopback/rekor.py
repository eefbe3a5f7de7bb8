"""A transparency log on loopback: Rekor v1 or v2 with a Merkle tree, proofs, checkpoints and SETs of its own."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from base64 import b64decode, b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

from git_auths.core import dsse
from git_auths.core.bundle import InclusionProof, LogEntry, entry_to_json

V1_TREE_ID = "1193050959916656506"
V1_FIRST_INDEX = 121_904_262  # entries of earlier trees, which the global index of a v1 log counts too
OTHERS = 5  # entries of other people, so that proofs have hashes in them


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def base64(data: bytes) -> str:
    return b64encode(data).decode()


def canonical(value: object) -> bytes:
    """RFC 8785, for ASCII strings and integers."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def tree_hash(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1: MTH."""
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0])
    middle = split(len(leaves))
    return sha256(b"\x01" + tree_hash(leaves[:middle]) + tree_hash(leaves[middle:]))


def path(index: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 6962, section 2.1.1: PATH."""
    if len(leaves) == 1:
        return []
    middle = split(len(leaves))
    if index < middle:
        return [*path(index, leaves[:middle]), tree_hash(leaves[middle:])]
    return [*path(index - middle, leaves[middle:]), tree_hash(leaves[:middle])]


def split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


class Log:
    """What answers requests, without a network. `version` 1 has a P-256 key and SETs, 2 an Ed25519 key and neither.

    `time_seconds` other than None is signed instead of the clock's time. `entry` is about any body one likes.
    """

    def __init__(self, name: str = "log.example", version: int = 1) -> None:
        self.name = name
        self.origin = name if version == 2 else f"{name} - {V1_TREE_ID}"
        self.version = version
        self.key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey = (
            ec.generate_private_key(ec.SECP256R1()) if version == 1 else ed25519.Ed25519PrivateKey.generate()
        )
        self.time_seconds: int | None = None
        self.witnesses = ""  # lines of signatures by others, below the log's own
        self.valid_for: dict[str, str] = {"start": "2020-01-01T00:00:00Z"}
        self.leaves = [b'{"kind":"another","number":%d}' % number for number in range(OTHERS)]

    @property
    def spki(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def log_id(self) -> bytes:
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return sha256(self.spki)
        return sha256(self.name.encode() + b"\n\x01" + self.key.public_key().public_bytes_raw())

    def instance(self, url: str | None = None) -> dict[str, object]:
        """A TransparencyLogInstance, as trusted roots and `.auths/rekor/*.json` have it."""
        details = "PKIX_ECDSA_P256_SHA_256" if self.version == 1 else "PKIX_ED25519"
        return {
            "baseUrl": url or f"https://{self.name}",
            "hashAlgorithm": "SHA2_256",
            "publicKey": {"rawBytes": base64(self.spki), "keyDetails": details, "validFor": self.valid_for},
            "logId": {"keyId": base64(self.log_id)},
        }

    def sign(self, data: bytes) -> bytes:
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return self.key.sign(data, ec.ECDSA(SHA256()))
        return self.key.sign(data)

    def checkpoint(self, origin: str, size: int, root: bytes) -> str:
        text = f"{origin}\n{size}\n{base64(root)}\n"
        return f"{text}\n\u2014 {self.name} {base64(self.log_id[:4] + self.sign(text.encode()))}\n{self.witnesses}"

    def append(self, body: dict[str, object]) -> int:
        """Log a body; the answer is its index in the tree."""
        self.leaves.append(canonical(body))
        return len(self.leaves) - 1

    def proof(self, index: int) -> InclusionProof:
        root = tree_hash(self.leaves)
        checkpoint = self.checkpoint(self.origin, len(self.leaves), root)
        return InclusionProof(index, root, len(self.leaves), tuple(path(index, self.leaves)), checkpoint)

    def entry(self, index: int) -> LogEntry:
        leaf = self.leaves[index]
        body = json.loads(leaf)
        global_index = index + V1_FIRST_INDEX if self.version == 1 else index
        entry = LogEntry(global_index, self.log_id, body["kind"], body["apiVersion"], 0, None, self.proof(index), leaf)
        return entry if self.version == 2 else self.promise(entry)

    def promise(self, entry: LogEntry) -> LogEntry:
        """The entry with the time of now, and a SET."""
        seconds = int(time.time()) if self.time_seconds is None else self.time_seconds
        set_ = {
            "body": base64(entry.body),
            "integratedTime": seconds,
            "logID": entry.log_id.hex(),
            "logIndex": entry.log_index,
        }
        return entry._replace(integrated_time=seconds, signed_entry_timestamp=self.sign(canonical(set_)))


def dsse_body(payload: bytes, signature: bytes, verifier_pem: bytes, envelope: bytes = b"{}") -> dict[str, object]:
    """The canonicalized body of a `dsse` 0.0.1 entry."""
    return {
        "apiVersion": "0.0.1",
        "kind": "dsse",
        "spec": {
            "envelopeHash": {"algorithm": "sha256", "value": sha256(envelope).hex()},
            "payloadHash": {"algorithm": "sha256", "value": sha256(payload).hex()},
            "signatures": [{"signature": base64(signature), "verifier": base64(verifier_pem)}],
        },
    }


def hashedrekord_v2_body(
    digest: bytes, signature: bytes, verifier: dict[str, object], algorithm: str = "SHA2_256"
) -> dict[str, object]:
    """The canonicalized body of a `hashedrekord` 0.0.2 entry; `verifier` is a rekor.v2.Verifier."""
    record = {
        "data": {"algorithm": algorithm, "digest": base64(digest)},
        "signature": {"content": base64(signature), "verifier": verifier},
    }
    return {"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": {"hashedRekordV002": record}}


class LoopbackRekor:
    """`with LoopbackRekor(version=1) as rekor:` serves `rekor.url`; `rekor.pin` is what a repository pins of it.

    `behaviour` is one of good, silent, html, large, unavailable, wrong-root, other-origin, other-entry, forged-time,
    no-proof, lost-answer (logged, and answered with 503; asked again, v1 says that it has the entry).
    """

    def __init__(self, version: int = 1, behaviour: str = "good", name: str = "127.0.0.1") -> None:
        self.log = Log(name, version)
        self.behaviour = behaviour
        self.requests: list[str] = []  # "POST /api/v1/log/entries"
        self._released = threading.Event()
        self._lock = threading.Lock()

    @property
    def pin(self) -> bytes:
        """A TransparencyLogInstance as JSON: `.auths/rekor/<name>.json`."""
        return json.dumps(self.log.instance(self.url)).encode()

    def __enter__(self) -> LoopbackRekor:
        rekor = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                rekor._serve(self)

            def do_GET(self) -> None:
                rekor._serve(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", "0")))
        with self._lock:
            self.requests.append(f"{handler.command} {handler.path}")
        if self.behaviour == "silent":
            self._released.wait(60)
            return
        status, answer, location = self._answer(handler.command, handler.path, body)
        handler.send_response(status)
        handler.send_header("Content-Type", "text/html" if answer[:1] == b"<" else "application/json")
        handler.send_header("Content-Length", str(len(answer)))
        if location:
            handler.send_header("Location", location)
        handler.end_headers()
        handler.wfile.write(answer)

    def _answer(self, method: str, path: str, body: bytes) -> tuple[int, bytes, str]:
        """(status, body, location)"""
        entries = f"/api/v{self.log.version}/log/entries"
        if self.behaviour == "html":
            return 200, b"<!doctype html><title>Log in</title>", ""
        if self.behaviour == "large":
            return 201, b'"' + bytes(2 * 1024 * 1024), ""
        if self.behaviour == "unavailable":
            return 503, b"{}", ""
        with self._lock:
            if method == "GET" and self.log.version == 1 and path.startswith(f"{entries}/"):
                return 200, self._v1_answer(int(path[-64:], 16)), ""
            if (method, path) != ("POST", entries):
                return 404, b'{"code":404,"message":"Not Found"}', ""
            try:
                logged = self._v1_body(body) if self.log.version == 1 else self._v2_body(body)
            except (InvalidSignature, ValueError, KeyError, TypeError, AttributeError) as error:
                return 400, json.dumps({"code": 400, "message": f"{type(error).__name__}: {error}"}).encode(), ""
            if canonical(logged) in self.log.leaves:
                location = f"{entries}/{self._uuid(self.log.leaves.index(canonical(logged)))}"
                return 409, b'{"code":409}', location if self.log.version == 1 else ""
            index = self.log.append(logged)
            if self.behaviour == "lost-answer":
                return 503, b"{}", ""
            return 201, self._v1_answer(index) if self.log.version == 1 else self._v2_answer(index), ""

    def _v1_body(self, request: bytes) -> dict[str, object]:
        """What is logged for a proposed `dsse` entry, whose signature must verify."""
        proposed = json.loads(request)
        assert (proposed["kind"], proposed["apiVersion"]) == ("dsse", "0.0.1")
        content = proposed["spec"]["proposedContent"]
        envelope = json.loads(content["envelope"])
        payload, signature = b64decode(envelope["payload"]), b64decode(envelope["signatures"][0]["sig"])
        pem = b64decode(content["verifiers"][0], validate=True)
        key, message = load_pem_public_key(pem), dsse.pae(payload, envelope["payloadType"])
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
        else:
            assert isinstance(key, ec.EllipticCurvePublicKey)
            key.verify(signature, message, ec.ECDSA(SHA256()))
        stored = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return dsse_body(payload, signature, stored, content["envelope"].encode())

    def _v2_body(self, request: bytes) -> dict[str, object]:
        """What is logged for a HashedRekordRequestV002, whose signature must verify over the digest."""
        proposed = json.loads(request)["hashedRekordRequestV002"]
        digest, signature = b64decode(proposed["digest"]), b64decode(proposed["signature"]["content"])
        verifier = proposed["signature"]["verifier"]
        key = load_der_public_key(b64decode(verifier["publicKey"]["rawBytes"]))
        if not isinstance(key, ec.EllipticCurvePublicKey) or verifier["keyDetails"] != "PKIX_ECDSA_P256_SHA_256":
            raise ValueError("unsupported signing algorithm for hashedrekord: no associated digest algorithm")
        key.verify(signature, digest, ec.ECDSA(Prehashed(SHA256())))
        return hashedrekord_v2_body(digest, signature, verifier)

    def _entry(self, index: int) -> LogEntry:
        """The entry as `behaviour` has it: real, but for one thing."""
        if self.behaviour == "other-entry":
            other = json.loads(self.log.leaves[index])
            if self.log.version == 1:
                other["spec"]["payloadHash"]["value"] = sha256(b"another").hex()
            else:
                other["spec"]["hashedRekordV002"]["data"]["digest"] = base64(sha256(b"another"))
            index = self.log.append(other)
        entry = self.log.entry(index)
        proof = self.log.proof(index)
        if self.behaviour == "wrong-root":
            checkpoint = self.log.checkpoint(self.log.origin, proof.tree_size, sha256(b"another tree"))
            entry = entry._replace(proof=proof._replace(checkpoint=checkpoint))
        if self.behaviour == "other-origin":
            checkpoint = self.log.checkpoint("other.example", proof.tree_size, proof.root_hash)
            entry = entry._replace(proof=proof._replace(checkpoint=checkpoint))
        if self.behaviour == "forged-time":
            entry = entry._replace(integrated_time=entry.integrated_time - 3600)
        return entry._replace(proof=None) if self.behaviour == "no-proof" else entry

    def _v2_answer(self, index: int) -> bytes:
        return json.dumps({**entry_to_json(self._entry(index)), "inclusionPromise": None}).encode()

    def _v1_answer(self, index: int) -> bytes:
        entry = self._entry(index)
        assert entry.signed_entry_timestamp is not None
        verification: dict[str, object] = {"signedEntryTimestamp": base64(entry.signed_entry_timestamp)}
        if entry.proof is not None:
            verification["inclusionProof"] = {
                "checkpoint": entry.proof.checkpoint,
                "hashes": [item.hex() for item in entry.proof.hashes],
                "logIndex": entry.proof.log_index,
                "rootHash": entry.proof.root_hash.hex(),
                "treeSize": entry.proof.tree_size,
            }
        value = {
            "body": base64(entry.body),
            "integratedTime": entry.integrated_time,
            "logID": entry.log_id.hex(),
            "logIndex": entry.log_index,
            "verification": verification,
        }
        return json.dumps({self._uuid(index): value}).encode()

    def _uuid(self, index: int) -> str:
        """80 hexadecimal digits: the id of the tree, and here the index where a real log has the leaf's hash."""
        return f"{int(V1_TREE_ID):016x}{index:064x}"
