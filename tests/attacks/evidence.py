"""What a CI job brings as evidence, made piece by piece, so that each piece can be wrong alone.

The repository is that of `forge`, with an issuer, a time stamping authority and two logs pinned, and a rule for CI.
Tokens are minted, timestamps made by `openssl ts`, and log entries proved in Merkle trees by `tests.loopback`; the
statements, envelopes, bundles and did:keys are made here from their specifications, not with the code under test.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from git_auths.core.bundle import LogEntry, entry_to_json
from tests import kels
from tests.attacks import forge
from tests.attacks.forge import Answer, Person, World
from tests.loopback import issuer as oidc
from tests.loopback.rekor import Log, dsse_body, hashedrekord_v2_body
from tests.loopback.tsa import Authority

AT = forge.NOW + 50_000  # Unix seconds at which CI signs, unless it says otherwise: after all that is committed
SLSA = "https://slsa.dev/provenance/v1"
WORKFLOW = "owner/repo/.github/workflows/release.yml@refs/tags/*"
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

Stamp = Callable[[bytes], bytes]  # signature -> TimeStampResp
Entry = Callable[[bytes, bytes, "Job"], "LogEntry"]  # payload, signature, whose


def rule(*lines: str, identity: Sequence[str] | None = ()) -> str:
    """A [[policy.ci]] for throwaway keys. `identity` adds to the claims; None: without them."""
    claims = [f'issuer = "{oidc.GITHUB}"', 'repository_id = "123456"', f'workflow_ref = "{WORKFLOW}"']
    named = [] if identity is None else ["[policy.ci.identity]", *claims, *identity]
    return "\n".join(["[[policy.ci]]", "allow_ephemeral = true", 'max_ttl = "1h"', *lines, *named, ""])


CHANGELOG = 'commit_paths = ["CHANGELOG.md", "docs/**"]'
RULE = rule(CHANGELOG)


class Ci:
    """A repository that pins what evidence is judged by, with `tip` as the mainline's; and who makes the evidence."""

    def __init__(self, world: World, tip: str, services: Services) -> None:
        self.world, self.tip, self.services = world, tip, services
        self.files = world.files

    @property
    def repo(self) -> forge.Repo:
        return self.world.repo

    def again(self, folder: Path) -> Ci:
        """The same in another folder."""
        return Ci(forge.again(self.world, folder), self.tip, self.services)

    def ruled(self, policy: str, **changes: bytes) -> Ci:
        """Alice changes the rules: `policy` goes behind those for people, `changes` are files by path."""
        text = forge.policy_toml(self.world.rules, [self.world.alice, self.world.bob]) + policy.encode()
        self.files.update({".auths/policy.toml": text, **changes})
        self.tip = self.world.advance(self.repo.commit(self.files, [self.tip], self.world.alice, b"Rules\n"))
        return self

    def commit(self, signer: Person | Job, parents: Sequence[str] = (), **files: str) -> str:
        """A commit by anybody on top of the tip, or of `parents`; it is nobody's tip yet."""
        changed = {name.replace("__", "/"): text.encode() for name, text in files.items()}
        by = signer.key if isinstance(signer, Job) else signer
        return self.repo.commit({**self.files, **(changed or {"CHANGELOG.md": b"1\n"})}, parents or [self.tip], by)

    def attest(self, notes: Mapping[str, Sequence[bytes]]) -> None:
        """These lines are all that the notes hold, on objects and on the first digits of digests."""
        self.repo.notes({id[: len(self.tip)]: lines for id, lines in notes.items()})

    def asked(self, path: Path | str, *options: str) -> Answer:
        return self.repo.auths("artifact", "verify", "--json", *options, str(path))


class Services(NamedTuple):
    issuer: oidc.Issuer
    tsa: Authority
    v1: Log
    v2: Log

    @property
    def pins(self) -> dict[str, bytes]:
        """Their files below `.auths/`."""
        logs = {f".auths/rekor/{log.name}.json": json.dumps(log.instance()).encode() for log in (self.v1, self.v2)}
        return {".auths/oidc/github.json": self.issuer.pin_file(), ".auths/tsa/tsa.pem": self.tsa.pem, **logs}


def found(founded: World, folder: Path) -> Ci:
    """A copy of the honest repository in `folder`, with pins and RULE."""
    services = Services(unasked(oidc.GITHUB), Authority(folder / "tsa"), Log("v1.example"), Log("v2.example", 2))
    services.tsa.time_seconds = services.v1.time_seconds = AT
    ci = Ci(forge.again(founded, folder / "repo"), founded.tip, services)
    return ci.ruled(RULE, **services.pins)


def unasked(name: str) -> oidc.Issuer:
    """An issuer that mints, and that nobody asks by the network."""
    issuer = oidc.Issuer(name)
    issuer._server.server_close()
    return issuer


class Job:
    """A CI job and its throwaway key: number `number`, of Ed25519 (D) or P-256 (1AAJ)."""

    def __init__(self, ci: Ci, number: int = 77, code: str = "D") -> None:
        self.ci, self.key = ci, kels.signer(number, code)
        self.is_p256 = code != "D"

    @property
    def did(self) -> str:
        """W3C did:key, section 3: the multicodec prefix and the key (P-256: its compressed point)."""
        return did_key(self.key.key.raw, self.is_p256)

    @property
    def spki(self) -> bytes:
        """RFC 8410, section 4; RFC 5480, section 2."""
        if not self.is_p256:
            return bytes.fromhex("302a300506032b6570032100") + self.key.key.raw
        point = forge.ssh_blob(self.key)[-65:]
        return bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200") + point

    @property
    def pem(self) -> bytes:
        text = base64.encodebytes(self.spki).replace(b"\n", b"")
        lines = [text[at : at + 64] for at in range(0, len(text), 64)]
        return b"-----BEGIN PUBLIC KEY-----\n" + b"\n".join(lines) + b"\n-----END PUBLIC KEY-----\n"

    @property
    def audience(self) -> str:
        return "git-auths:sha256:" + hashlib.sha256(self.spki).hexdigest()

    def token(self, commit: str, **claims: Any) -> str:
        """Good from half a minute before AT for ten minutes; `claims` replace others. `kid`, `algorithm`, `key` and
        `headers` are those of `Issuer.mint`."""
        times = {"iat": AT - 30, "nbf": AT - 30, "exp": AT + 570}
        given = {"aud": self.audience, "sha": commit, **times, **claims}
        return self.ci.services.issuer.mint(given.pop("aud"), **given)


def did_key(raw: bytes, is_p256: bool) -> str:
    number, text = int.from_bytes((b"\x80\x24" if is_p256 else b"\xed\x01") + raw, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = BASE58[digit] + text
    return "did:key:z" + text


def rfc3339(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def binding(ci: Ci, signer: str, token: str | None = None, issued_at: int = AT, expires_at: int | None = None,
            root: str | None = None) -> dict[str, str]:  # fmt: skip
    said = {"root": root or ci.world.root, "signer": signer, "issued_at": rfc3339(issued_at)}
    if expires_at is not None:
        said["expires_at"] = rfc3339(expires_at)
    return said if token is None else {**said, "token": token}


def statement(subjects: Sequence[Mapping[str, Any]], commit: str, bound: Mapping[str, str], kind: str = SLSA,
              **predicate: Any) -> dict[str, Any]:  # fmt: skip
    """in-toto Statement v1 with SLSA provenance v1: the subjects were built from `commit`."""
    built = {"buildType": "urn:example", "externalParameters": {},
             "resolvedDependencies": [{"digest": {"gitCommit": commit}}]}  # fmt: skip
    said = {"buildDefinition": built, "runDetails": {"builder": {"id": "https://example.com"}}, **predicate}
    return {"_type": "https://in-toto.io/Statement/v1", "subject": list(subjects), "predicateType": kind,
            "predicate": {**said, "gitauths_binding": dict(bound)}}  # fmt: skip


def file_subject(digest: str, name: str = "app") -> dict[str, Any]:
    return {"name": name, "digest": {"sha256": digest}}


def commit_subject(commit: str) -> dict[str, Any]:
    return {"name": commit, "digest": {"gitCommit": commit}}


def der_signature(key: kels.Signer, message: bytes) -> bytes:
    """DSSE: pure Ed25519, or ECDSA in ASN.1 DER."""
    raw = key.sign(message)
    if key.key.code in ("D", "B"):
        return raw
    numbers = [int.from_bytes(half, "big") for half in (raw[:32], raw[32:])]
    integers = [number.to_bytes(number.bit_length() // 8 + 1, "big") for number in numbers]
    body = b"".join(b"\x02" + bytes([len(one)]) + one for one in integers)
    return b"\x30" + bytes([len(body)]) + body


def signed(signer: Job | Person, said: Mapping[str, Any], kind: str = "application/vnd.in-toto+json",
           ) -> tuple[bytes, bytes]:  # fmt: skip
    """(payload, signature)"""
    payload = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
    return payload, der_signature(key_of(signer), pae(payload, kind))


def pae(payload: bytes, kind: str = "application/vnd.in-toto+json") -> bytes:
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind.encode(), len(payload), payload)


def key_of(signer: Job | Person) -> kels.Signer:
    return signer.key if isinstance(signer, Job) else signer.signing


def bundle(signer: Job | Person, said: Mapping[str, Any], stamps: Sequence[Stamp] = (), entries: Sequence[Entry] = (),
           ) -> bytes:  # fmt: skip
    """A Sigstore bundle v0.3 on one line: the statement signed, with the evidence that `stamps` and `entries` make."""
    payload, signature = signed(signer, said)
    hint = fingerprint(key_of(signer))
    material: dict[str, Any] = {"publicKey": {"hint": hint}, "tlogEntries": []}
    if isinstance(signer, Job):
        material["tlogEntries"] = [entry_to_json(make(payload, signature, signer)) for make in entries]
    if stamps:
        made = [{"signedTimestamp": text(stamp(signature))} for stamp in stamps]
        material["timestampVerificationData"] = {"rfc3161Timestamps": made}
    envelope = {"payload": text(payload), "payloadType": "application/vnd.in-toto+json",
                "signatures": [{"keyid": hint, "sig": text(signature)}]}  # fmt: skip
    value = {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "verificationMaterial": material,
             "dsseEnvelope": envelope}  # fmt: skip
    return json.dumps(value, separators=(",", ":")).encode()


def fingerprint(key: kels.Signer) -> str:
    return "SHA256:" + text(hashlib.sha256(forge.ssh_blob(key)).digest()).rstrip("=")


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def stamp_at(ci: Ci, seconds: int) -> Stamp:
    """A timestamp by the pinned authority, of another time than AT."""

    def make(signature: bytes) -> bytes:
        ci.services.tsa.time_seconds = seconds
        try:
            return ci.services.tsa.stamp(signature)
        finally:
            ci.services.tsa.time_seconds = AT

    return make


def logged_v1(log: Log) -> Entry:
    """A `dsse` 0.0.1 entry with proof and SET."""
    return lambda payload, signature, job: log.entry(log.append(dsse_body(payload, signature, job.pem)))


def logged_v2(log: Log) -> Entry:
    """A `hashedrekord` 0.0.2 entry with a proof; for P-256 alone."""

    def make(payload: bytes, signature: bytes, job: Job) -> LogEntry:
        verifier = {"publicKey": {"rawBytes": text(job.spki)}, "keyDetails": "PKIX_ECDSA_P256_SHA_256"}
        digest = hashlib.sha256(pae(payload)).digest()
        return log.entry(log.append(hashedrekord_v2_body(digest, signature, verifier)))

    return make


# --- honest pieces, and what was answered about them


class File(NamedTuple):
    path: Path
    sha256: str

    def put(self, line: bytes) -> Path:
        """Lay the bundle beside the file."""
        self.path.with_name(self.path.name + ".auths.json").write_bytes(line)
        return self.path


def built(folder: Path, content: bytes = b"what was built\n", name: str = "app") -> File:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return File(path, hashlib.sha256(content).hexdigest())


def of_file(job: Job, digest: str, token: str | None, stamps: Sequence[Stamp] | None = None,
            entries: Sequence[Entry] = (), commit: str | None = None, **bound: Any) -> bytes:  # fmt: skip
    """The bundle of a job about a file built from the tip; `stamps` None: one of AT."""
    ci = job.ci
    said = statement([file_subject(digest)], commit or ci.tip, binding(ci, job.did, token, **bound))
    return bundle(job, said, [ci.services.tsa.stamp] if stamps is None else stamps, entries)


def of_commit(job: Job, commit: str, token: str | None, stamps: Sequence[Stamp] | None = None,
              entries: Sequence[Entry] = (), **bound: Any) -> bytes:  # fmt: skip
    """The bundle of a job about a commit that it made."""
    ci = job.ci
    said = statement([commit_subject(commit)], commit, binding(ci, job.did, token, **bound))
    return bundle(job, said, [ci.services.tsa.stamp] if stamps is None else stamps, entries)


def links(answer: Answer) -> list[dict[str, str]]:
    (one,) = answer.document["artifacts"]
    return one["links"]  # type: ignore[no-any-return]


def broken(answer: Answer) -> tuple[str, str, str]:
    """(link, code, text) of what breaks the chain; the answer is no, and says where."""
    (one,) = answer.document["artifacts"]
    failed = [link for link in one["links"] if link["state"] == "failed"] or [
        link for link in one["links"] if link["state"] == "warning"
    ]
    assert (answer.code, answer.document["ok"], one["ok"]) == (1, False, False), one
    assert one["broken"] == failed[0]["name"]
    assert f"broken at its {failed[0]['name']}" in answer.stderr
    return failed[0]["name"], failed[0]["code"], failed[0]["text"]


def holds(answer: Answer, *warnings: str) -> list[str]:
    """The answer is yes, with just these warnings; returns the names of the links."""
    (one,) = answer.document["artifacts"]
    assert (answer.code, one["ok"], one["broken"]) == (0, True, None), (one, answer.stderr)
    assert sorted(one["warnings"]) == sorted(warnings), one["links"]
    return [link["name"] for link in one["links"]]
