"""Random situations around an artifact, and evidence of `naive_evidence` made real: tokens, timestamps, log entries.

Nothing here goes over a network. What signs is made once a process; only `openssl ts` is asked, once, for a response
whose imprint and time are then replaced and signed anew.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from git_auths.core import (
    attestation,
    bundle,
    didkey,
    dsse,
    oidc,
    pins,
    provenance,
    seals,
    timestamp,
    transparency,
    utctime,
)
from git_auths.core.attestation import Binding
from git_auths.core.bundle import LogEntry
from git_auths.core.grants import Grant
from git_auths.core.kel import Kel
from git_auths.core.policy import Policy, parse
from git_auths.core.sshsig import fingerprint
from git_auths.core.statement import Subject
from tests import kels
from tests.loopback import rekor, tsa
from tests.loopback.issuer import jwk_of
from tests.oracle import naive_rights
from tests.oracle.histories import THROWAWAY, Person, everybody, job_signer, others, seals_of
from tests.oracle.naive_artifacts import Situation, Vote
from tests.oracle.naive_evidence import FIXED, OTHER, OWN, Ci, Evidence, Logged, Pins, Stamp, Token, Wanted
from tests.oracle.naive_judge import GITHUB, Auths, Run
from tests.oracle.naive_rights import GrantFile

T = TypeVar("T")

GITLAB = Ci("https://gitlab.com", chooses_audience=False, names_commit=True)
CIRCLECI = Ci("https://oidc.circleci.com/org/1", chooses_audience=True, names_commit=False)
OTHER_KEY = kels.signer(THROWAWAY + 900).key.ssh_blob()
ANOTHER_PAYLOAD = b"another"

Oid = Callable[[str], str]  # the object id of what a name stands for


# Evidence, made real.


@cache
def issuer_key(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def log(name: str) -> rekor.Log:
    return rekor.Log(f"log{name}.example")


@cache
def authority(name: str) -> Authority:
    return Authority(name)


class Authority:
    """A time stamping authority that stamps in process."""

    def __init__(self, name: str) -> None:
        folder = Path(tempfile.mkdtemp(prefix="auths-oracle-"))
        self._authority = tsa.Authority(folder)
        self._template = self._authority.stamp(b"template")
        self.pinned = timestamp.authority_from_pem(self._authority.pem, name)

    def stamp(self, signature: bytes, seconds: int) -> bytes:
        content = tsa.signed_content(self._template)
        content = content.replace(sha256(b"template").digest(), sha256(signature).digest())
        time = utctime.text(seconds).translate({ord(character): None for character in "-:T"}).encode()
        at = content.index(b"\x18\x0f20") + 2
        return self._authority.with_content(self._template, content[:at] + time + content[at + len(time) :])


@cache
def _pinned_key(issuer: str, name: str, not_after: int | None) -> oidc.PinnedKey:
    return oidc.pinned_key(jwk_of(issuer_key(issuer + name), name))._replace(not_after=not_after)


@cache
def _pinned_log(name: str) -> transparency.Log:
    return transparency.log_from_json(log(name).instance())


def real_pins(naive: Pins) -> pins.Pins:
    keys: dict[str, list[oidc.PinnedKey]] = {}
    for (issuer, name), not_after in naive.keys.items():
        keys.setdefault(issuer, []).append(_pinned_key(issuer, name, not_after))
    return pins.Pins(
        tuple(oidc.issuer(name, some) for name, some in keys.items()),
        tuple(authority(name).pinned for name in naive.authorities),
        tuple(map(_pinned_log, naive.logs)),
    )


def real_token(token: Token, key: bytes, oid: Oid) -> str:
    audience = {OWN: didkey.audience(key), OTHER: didkey.audience(OTHER_KEY)}.get(token.audience, "git-auths")
    claims: dict[str, Any] = {"iss": token.ci.issuer, "aud": audience, "iat": token.issued_at, "exp": token.expires_at}
    claims |= token.claims
    if token.ci is CIRCLECI:
        claims[oidc.SSH_RERUN] = False
    else:
        claims["sha"] = oid(token.commit)
    signing_key = issuer_key(token.ci.issuer + (token.key if token.is_whole else "another"))
    return jwt.encode(claims, signing_key, "ES256", headers={"kid": token.key})


def real_entry(entry: Logged, envelope: dsse.Envelope, key: bytes) -> LogEntry:
    signature, logged = envelope.signatures[0].sig, log(entry.log)
    public_key = load_der_public_key(didkey.spki(key))
    pem = public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    payload = envelope.payload if entry.is_of_this else ANOTHER_PAYLOAD
    logged.time_seconds = 0 if entry.time is None else entry.time
    made = logged.entry(logged.append(rekor.dsse_body(payload, signature, pem)))
    if entry.time is None:
        made = made._replace(signed_entry_timestamp=None, integrated_time=0)
    return made._replace(integrated_time=made.integrated_time + 1) if entry.is_forged else made


def real_line(signer: kels.Signer, payload: bytes, evidence: Evidence) -> bytes:
    """A bundle: the payload, signed, and what stands beside it."""
    key = signer.key.ssh_blob()
    signature = signer.sign(dsse.pae(payload))
    envelope = dsse.Envelope(payload, (dsse.Signature(fingerprint(key), signature),))
    stamps = [authority(one.authority).stamp(signature if one.is_of_this else b"another", one.time)
              for one in evidence.stamps]  # fmt: skip
    entries = [real_entry(one, envelope, key) for one in evidence.entries]
    for one in evidence.entries:
        log(one.log).leaves.pop()  # the proofs stay short
    return bundle.serialise(envelope, key, stamps, entries)


def attested_line(signer: kels.Signer, did: str, root: str, subject: Subject, predicate: Mapping[str, Any],
                  evidence: Evidence, oid: Oid) -> bytes:  # fmt: skip
    """An attestation by `signer`, who is `did`, that carries its token inside."""
    token = evidence.token
    jwt_text = None if token is None else real_token(token, signer.key.ssh_blob(), oid)
    binding = Binding(oid(root), did, evidence.issued_at, evidence.expires_at, jwt_text)
    payload = attestation.payload([subject], provenance.SLSA_PROVENANCE, predicate, binding)
    return real_line(signer, payload, evidence)


def run_line(run: Run, oid: Oid) -> bytes:
    """The line of the note on a commit by CI."""
    number = next(number for number in range(100) if job_signer(number).key.ssh_blob() == run.key)
    commit = oid(run.about or run.commit)
    said = provenance.slsa(commit, None, "https://ci.example", run.evidence.issued_at)
    subject = Subject(commit, {"gitCommit": commit})
    did = didkey.encode(run.key)
    return attested_line(job_signer(number), did, run.root, subject, said, run.evidence, oid)


# Random situations.


NOW = 1_767_225_600  # about when everything happens, Unix seconds
FILE, OTHER_FILE = "file", "other"
ADA, BOB, CAROL, EVE = everybody()
LAPTOP, ROBOT = others()[2:4]  # Ada's
CIS = (GITHUB, GITLAB, CIRCLECI)


@cache
def _signers() -> dict[bytes, kels.Signer]:
    numbers = [person.number * 1000 + n for person in (*everybody(), *others()) for n in range(1, 9)]
    return {signer.key.ssh_blob(): signer for signer in map(kels.signer, numbers)}


def signer_of(key: bytes) -> kels.Signer:
    """Whatever signs by this key of somebody's."""
    return _signers()[key]


class Chooser:
    """Draws a situation: mostly something that would hold, with some of each thing that breaks it."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def percent(self, chance: int) -> bool:
        return self.random.randrange(100) < chance

    def one_of(self, choices: Sequence[T]) -> T:
        return self.random.choice(choices)

    def some(self, choices: Sequence[T], chance: int = 50) -> list[T]:
        return [choice for choice in choices if self.percent(chance)]

    def situation(self) -> Situation:
        folder = self.folder()
        signer = None if self.percent(55) else self.one_of([ADA, ADA, BOB, CAROL, CAROL, LAPTOP, ROBOT, EVE])
        policy = parse((folder.policy or "").encode())
        evidence = self.evidence(policy, signer is None or self.percent(3))
        situation = Situation(
            policy, folder.kels, evidence, self.pins(), self.now(), NOW + self.one_of([0, 0, 0, 2000]), folder.sealed,
            None if signer is None else signer.did, None if signer is None else self.key(signer, folder.kels),
            votes=tuple(self.vote(folder.kels) for _ in range(self.one_of([0, 0, 1, 1, 2, 3]))),
        )  # fmt: skip
        return self.spoiled(situation)

    def spoiled(self, situation: Situation) -> Situation:
        match self.one_of(
            ["", "", "", "", "", "", "", "", "", "file", "root", "verdict", "verdict", "identity", "signer"]
        ):
            case "file" if self.percent(40):
                return replace(situation, names=OTHER_FILE)
            case "root" if self.percent(40):
                return replace(situation, root="another")
            case "verdict":
                return replace(situation, verdict=self.one_of(["countersigned", "adopted", "ungoverned", "unsigned"]))
            case "identity":
                issuer = self.one_of([None, GITHUB.issuer, GITLAB.issuer])
                return replace(situation, wanted=Wanted(self.one_of(["ci", "c*", "other", None]), issuer))
            case "signer":
                return replace(situation, wanted_signer=self.one_of([ADA.did, CAROL.did, situation.signer]))
        return situation

    # The tip of the mainline.

    def folder(self) -> Auths:
        grants = [self.grant(LAPTOP, "device"), self.grant(ROBOT, "agent")]
        first = ADA.interact(ADA.first, *seals_of(LAPTOP.first), *seals_of(ROBOT.first),
                             *(seals.grant(naive_rights.digest(one)) for one in grants))  # fmt: skip
        logs = [self.grown(ADA, first), self.grown(BOB, BOB.first), self.grown(CAROL, CAROL.first)]
        logs += [LAPTOP.first, ROBOT.first]
        files = {naive_rights.digest(one): GrantFile(one) for one in grants}
        return Auths(self.policy(), {kel.aid: kel for kel in logs}, grants=files)

    def grant(self, subject: Person, kind: str) -> Grant:
        capabilities = self.one_of([("sign_release",), ("sign_release",), ("sign_release",), ("sign_commit",)])
        until = NOW + self.one_of([10**7, 10**7, 10**7, 0, 1000])
        return Grant("root", ADA.did, subject.did, kind, capabilities, 0, until)

    def grown(self, person: Person, kel: Kel) -> Kel:
        match self.one_of(["", "", "", "", "", "soft", "lost", "lost", "lost twice"]):
            case "soft":
                return person.rotate(kel)
            case "lost":
                return person.rotate(kel, self.compromise(kel, 0))
            case "lost twice":
                once = person.rotate(kel, self.compromise(kel, 100))
                return person.rotate(once, self.compromise(once, self.one_of([0, 200])))
        return kel

    def compromise(self, kel: Kel, later: int) -> dict[str, str]:
        since = kel.events[0] if self.percent(30) else kel.events[-1]
        return seals.compromise(since.sn, since.said, NOW + later)

    def policy(self) -> str:
        people = [ADA.did, BOB.did, CAROL.did]
        lines = ["[[policy.admin]]", f'signers = ["{ADA.did}"]', "require = 1"]
        for _ in range(self.one_of([0, 1, 1, 1, 1, 2])):
            signers = self.some([*people, LAPTOP.did]) or people
            lines += [
                "[[policy.release]]",
                f"signers = {signers}",
                f"require = {self.one_of([1, min(2, len(signers))])}",
            ]
            lines += ['tags = ["v*"]'] if self.percent(20) else []
        for _ in range(self.one_of([0, 1, 1, 1, 1, 2, 2])):
            lines += self.ci_rule()
        named = [did for did in people if did in "\n".join(lines)]
        for did in self.some(named, 8):
            lines += [f'[signer."{did}"]', f"expires_at = {utctime.text(NOW + self.one_of([0, 2000, 2001]))}"]
        return "\n".join(lines) + "\n"

    def ci_rule(self) -> list[str]:
        lines = ["[[policy.ci]]", f"allow_ephemeral = {'true' if self.percent(93) else 'false'}"]
        lines += [f'max_ttl = "{self.one_of(["10m", "1h", "1h", "7d"])}"'] if self.percent(80) else []
        lines += ['require_log = "sigstore-rekor"'] if self.percent(18) else []
        lines += ["require_timestamp = true"] if self.percent(18) else []
        lines += [f"signers = {self.some([CAROL.did, BOB.did, LAPTOP.did]) or [CAROL.did]}"] if self.percent(40) else []
        if self.percent(70):
            lines += ["[policy.ci.identity]", f'issuer = "{self.one_of([GITHUB, GITHUB, *CIS]).issuer}"']
            lines += [f'project = "{self.one_of(["p1", "p1", "p*", "p2"])}"'] if self.percent(70) else []
            unbound = self.some(["audience", "commit"], 65)
            lines += [f"allow_unbound = {unbound}"] if unbound and self.percent(80) else []
        return lines

    def pins(self) -> Pins:
        keys = {
            (one.issuer, "k1"): self.one_of([None, None, None, NOW + 60, NOW + 300, NOW - 50])
            for one in self.some(CIS, 95)
        }
        return Pins({} if self.percent(5) else keys, self.one_of([("a",), ("a",), ("a",), ("a", "b"), ()]),
                    self.one_of([("1",), ("1",), ("1",), ("1", "2"), ()]))  # fmt: skip

    # An attestation.

    def evidence(self, policy: Policy, is_by_ci: bool) -> Evidence:
        issued_at = NOW + self.one_of([0] * 12 + [-5, 5, -500, -4000, 86_400, 86_401])
        ends = self.one_of([None] * 6 + [0, 60, 300, 600, 3600, 10**6])
        token = self.token(policy) if is_by_ci and self.percent(88) else None
        stamps, entries = self.proofs()
        if any(rule.require_timestamp for rule in policy.ci) and not self.percent(10):
            stamps = stamps or (Stamp("a", NOW + 60),)
        if any(rule.require_log for rule in policy.ci) and not self.percent(10):
            entries = entries or (Logged("1", NOW + 60),)
        return Evidence(issued_at, None if ends is None else NOW + ends, token, stamps, entries)

    def proofs(self) -> tuple[tuple[Stamp, ...], tuple[Logged, ...]]:
        times = [60] * 12 + [0, 61, 300, -60, -60, -60, 600, 601, 4000]
        stamps = [
            Stamp(self.one_of(["a"] * 19 + ["b"]), NOW + self.one_of(times), self.percent(96))
            for _ in range(self.one_of([0, 0, 1, 1, 1, 2]))
        ]
        entries = [
            Logged(self.one_of(["1"] * 19 + ["2"]), self.one_of([NOW + self.one_of(times)] * 4 + [None]),
                  self.percent(96), self.percent(4))
            for _ in range(self.one_of([0, 0, 0, 1, 1, 2]))
        ]  # fmt: skip
        return tuple(stamps), tuple(one._replace(is_forged=one.is_forged and one.time is not None) for one in entries)

    def token(self, policy: Policy) -> Token:
        """One that some rule wants, mostly."""
        rules = [rule for rule in policy.ci if rule.identity is not None]
        wanted = dict(self.one_of(rules).identity or {}) if rules else {}
        issuer = wanted.get("issuer", GITHUB.issuer)
        ci = self.one_of(CIS) if self.percent(5) else next(one for one in CIS if one.issuer == issuer)
        audience = OWN if ci.chooses_audience else FIXED
        claims = {"sub": self.one_of(["ci", "ci", "ca"]), "project": str(wanted.get("project", "p1")).replace("*", "1")}
        if self.percent(6):
            claims["project"] = self.one_of(["p2", "q"])
        if self.percent(3):
            del claims["project"]
        issued_at = NOW + self.one_of([0] * 12 + [-100, -3600, 60, 61])
        return Token(
            ci, "k1" if self.percent(96) else "k2", audience if self.percent(92) else self.one_of([OWN, FIXED, OTHER]),
            "c1" if self.percent(96) else "c2", claims, issued_at, issued_at + self.one_of([600] * 10 + [60, 61]),
            self.percent(97),
        )  # fmt: skip

    def now(self) -> int:
        return NOW + self.one_of([100] * 5 + [400, 599, 600, 601, 3600, 3601, 10**5, 10**7])

    def key(self, person: Person, known: Mapping[str, Kel]) -> bytes:
        """Mostly the current one; or one that was before; or another's."""
        kel = known.get(person.aid, person.first)
        if self.percent(4):
            return BOB.first.state.keys[0].ssh_blob()
        event = kel.establishments()[-1] if self.percent(55) else self.one_of(kel.establishments())
        return event.state.keys[0].ssh_blob()

    def vote(self, known: Mapping[str, Kel]) -> Vote:
        person = self.one_of([ADA, ADA, BOB, BOB, CAROL, CAROL, LAPTOP, ROBOT, ROBOT, EVE])
        at = NOW + self.one_of([-100, -100, 0, 60, 300, 600, 601, 3600, 4000])
        is_bare = self.percent(60)
        stamps, entries = ((), ()) if is_bare else self.proofs()
        return Vote(person.did, self.key(person, known), at, FILE if self.percent(90) else OTHER_FILE,
                    "root" if self.percent(95) else "another", self.percent(95), Evidence(at, None, None, stamps, entries))  # fmt: skip
