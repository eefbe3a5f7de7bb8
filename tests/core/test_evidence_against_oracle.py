"""`artifacts.verify` and the naive model in `tests.oracle` give the same answer, on situations by hand and random ones.

The attestations are real: signed envelopes, tokens, timestamps, log entries, all made here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from hashlib import sha1, sha256
from typing import Any

import pytest

from git_auths.core import artifacts, attested, ci, didkey, provenance, seals, utctime
from git_auths.core.artifacts import Demand, Moment
from git_auths.core.authority import Authority
from git_auths.core.auths_folder import EMPTY, AuthsFolder
from git_auths.core.grants import Grant
from git_auths.core.judge import Verdict
from git_auths.core.kel import Kel
from git_auths.core.policy import parse
from git_auths.core.statement import Approval, Subject, approval_payload
from tests.oracle import naive_artifacts, naive_rights
from tests.oracle.histories import Person, job_signer, key_of, seals_of
from tests.oracle.naive_artifacts import ROOT, Situation, Vote
from tests.oracle.naive_evidence import OTHER, OWN, Answer, Evidence, Logged, Pins, Stamp, Token
from tests.oracle.naive_judge import GITHUB
from tests.oracle.situations import (
    ADA,
    BOB,
    CAROL,
    NOW,
    ROBOT,
    Chooser,
    attested_line,
    real_line,
    real_pins,
    signer_of,
)

EXAMPLES = int(os.environ.get("AUTHS_ORACLE_EXAMPLES", "0"))  # more than the usual few hundred
JOB = job_signer(0)
LINKS = ("file", "signature", "commit", "release", "token", "timestamp", "log", "expiry")  # in their order


def oid(name: str) -> str:
    return sha1(name.encode()).hexdigest()


def digest(name: str) -> str:
    return sha256(name.encode()).hexdigest()


def found_by_the_chain(s: Situation) -> Answer:
    """The links that are broken, and the words of the warnings."""
    moment = Moment(oid(ROOT), folder_of(s), real_pins(s.pins), s.clock, s.now, lambda commit: verdict(commit, s.verdict),
                    [attested.read(vote_line(vote)) for vote in s.votes])  # fmt: skip
    demand = Demand(s.wanted_signer, ci.Demand(s.wanted.identity, s.wanted.issuer))
    found = artifacts.verify(digest("file"), attested.read(line_of(s)), moment, demand)
    return Answer(
        frozenset(link.name for link in found.links if link.state == "failed"),
        frozenset(link.code for link in found.links if link.state == "warning"),
    )


def told(answer: Answer) -> Answer:
    """What people hear: the first broken link; how much is looked at behind it is nobody's business."""
    first = next((link for link in LINKS if link in answer.broken), None)
    return answer if first is None else Answer(frozenset([first]))


def line_of(s: Situation) -> bytes:
    signer = JOB if s.key is None else signer_of(s.key)
    did = s.signer or didkey.encode(JOB.key.ssh_blob())
    said = provenance.slsa(oid(s.commit), None, "https://ci.example", s.evidence.issued_at)
    return attested_line(signer, did, s.root, Subject("a", {"sha256": digest(s.names)}), said, s.evidence, oid)


def vote_line(vote: Vote) -> bytes:
    at = datetime.fromtimestamp(vote.at, timezone.utc)
    names = (digest(vote.names),)
    payload = approval_payload(
        Approval(oid(vote.root), vote.did, "tag", oid("tag"), at, "v1", oid("c1"), names)
        if vote.is_for_tag
        else Approval(oid(vote.root), vote.did, "commit", oid("c1"), at)
    )
    return real_line(signer_of(vote.key), payload, vote.evidence)


def folder_of(s: Situation) -> AuthsFolder:
    sealed = {sha256: grant for sha256, grant in s.sealed.items() if grant.root == ROOT}
    return EMPTY._replace(policy_id="", policy=s.policy, kels=s.kels, authority=Authority(s.kels, sealed))


def verdict(commit: str, word: str) -> Verdict:
    return Verdict("commit", commit, word, None, None, None, "")


# By hand.

RELEASE = f"""[[policy.admin]]
signers = ["{ADA.did}"]
require = 1
[[policy.release]]
signers = ["{ADA.did}", "{BOB.did}"]
require = 1
"""
BARE = (
    RELEASE
    + """[[policy.ci]]
allow_ephemeral = true
max_ttl = "1h"
"""
)
CI = f"""{BARE}[policy.ci.identity]
issuer = "{GITHUB.issuer}"
project = "p1"
"""
LASTING = (
    BARE
    + f"""signers = ["{CAROL.did}"]
[signer."{CAROL.did}"]
expires_at = {utctime.text(NOW + 100)}
"""
)
WITH_TSA = BARE + "require_timestamp = true\n"
LOST = ADA.rotate(ADA.first, seals.compromise(0, ADA.first.said, NOW))
ROBOT_GRANT = Grant(ROOT, ADA.did, ROBOT.did, "agent", ("sign_release",), 0, NOW + 10**7)
WITH_ROBOT = ADA.interact(ADA.first, *seals_of(ROBOT.first), seals.grant(naive_rights.digest(ROBOT_GRANT)))
PINS = Pins({(GITHUB.issuer, "k1"): None}, ("a",), ("1",))
TOKEN = Token(GITHUB, "k1", OWN, "c1", {"sub": "ci", "project": "p1"}, NOW, NOW + 600)
STAMP = Stamp("a", NOW + 60)


def situation(policy: str, evidence: Evidence, ada: Kel = ADA.first, **more: Any) -> Situation:
    kels = {kel.aid: kel for kel in (ada, BOB.first, CAROL.first, *([ROBOT.first] if ada is WITH_ROBOT else []))}
    sealed = {naive_rights.digest(ROBOT_GRANT): ROBOT_GRANT} if ada is WITH_ROBOT else {}
    return replace(Situation(parse(policy.encode()), kels, evidence, PINS, NOW + 100, NOW, sealed), **more)


def job(policy: str = CI, *, evidence: Mapping[str, Any] | None = None, stamps: tuple[Stamp, ...] = (STAMP,),
        entries: tuple[Logged, ...] = (), pins: Pins = PINS, now: int = NOW + 100, votes: tuple[Vote, ...] = (),
        **token: Any) -> Situation:  # fmt: skip
    found = Evidence(NOW, None, TOKEN._replace(**token), stamps, entries)
    ada = WITH_ROBOT if any(vote.did == ROBOT.did for vote in votes) else ADA.first
    return situation(policy, replace(found, **(evidence or {})), ada, pins=pins, now=now, votes=votes)


def by(person: Person, policy: str = RELEASE, ada: Kel = ADA.first, issued_at: int = NOW, *stamps: Stamp,
       votes: tuple[Vote, ...] = ()) -> Situation:  # fmt: skip
    key = key_of(person.first)
    return situation(policy, Evidence(issued_at, None, None, stamps), ada, signer=person.did, key=key, votes=votes)


def approved(person: Person, at: int = NOW, *stamps: Stamp) -> Vote:
    return Vote(person.did, key_of(person.first), at, evidence=Evidence(at, None, None, stamps))


TWO_OF_TWO = RELEASE.removesuffix("require = 1\n") + "require = 2\n"
LATE = NOW + 10**6
ENDED = Pins({(GITHUB.issuer, "k1"): NOW - 1}, ("a",), ("1",))

BY_HAND: dict[str, tuple[Callable[[], Situation], str]] = {
    "a job": (job, ""),
    "a job, years later": (lambda: job(now=LATE), ""),
    "row 50, another repository": (lambda: job(claims={"sub": "ci", "project": "p2"}), "token"),
    "row 50, another audience": (lambda: job(audience=OTHER), "token"),
    "row 50, another commit": (lambda: job(commit="c2"), "token"),
    "row 50, another key": (lambda: job(is_whole=False), "token"),
    "row 51": (lambda: job(BARE, evidence={"token": None}, stamps=()), "unbound-runner? untimed?"),
    "row 51, by a rule that names the job": (lambda: job(evidence={"token": None}, stamps=()), "token untimed?"),
    "row 51, by a rule that wants a timestamp": (lambda: job(WITH_TSA, evidence={"token": None}, stamps=()),
                                                 "timestamp unbound-runner? untimed?"),
    "row 51, around a rule that names the job": (lambda: job(CI + BARE.removeprefix(RELEASE), evidence={"token": None}),
                                                 "token"),
    "row 52, another file": (lambda: replace(job(), names="other"), "file"),
    "row 53, another authority": (lambda: job(stamps=(Stamp("b", NOW + 60),)), "timestamp untimed?"),
    "row 53, another signature": (lambda: job(stamps=(Stamp("a", NOW + 60, False),)), "timestamp untimed?"),
    "row 53, beside what holds": (lambda: job(stamps=(STAMP, Stamp("b", NOW + 1), Stamp("a", NOW + 1, False))), ""),
    "row 53, another entry": (lambda: job(entries=(Logged("1", NOW + 60, is_of_this=False),)), "log"),
    "row 68, a forged time": (lambda: job(stamps=(), entries=(Logged("1", NOW + 60, is_forged=True),)), "log untimed?"),
    "row 68, a proof without a SET": (lambda: job(stamps=(), entries=(Logged("1", None),)), "untimed?"),
    "row 68, after the token's end": (lambda: job(stamps=(Stamp("a", NOW + 601),)), "token"),
    "row 68, before the token": (lambda: job(stamps=(Stamp("a", NOW - 1),)), "token"),
    "row 68, an end years ahead": (lambda: job(evidence={"expires_at": LATE + 1}, stamps=(), now=NOW + 3601),
                                   "expiry untimed?"),
    "within max_ttl": (lambda: job(evidence={"expires_at": LATE + 1}, stamps=(), now=NOW + 3600), "untimed?"),
    "approved before its end": (lambda: job(stamps=(), now=LATE, votes=(approved(BOB),)), "untimed?"),
    "approved after its end": (lambda: job(stamps=(), now=LATE, votes=(approved(BOB, NOW + 3601),)), "expiry untimed?"),
    "approved by an agent": (lambda: job(stamps=(), now=LATE, votes=(approved(ROBOT),)), "expiry untimed?"),
    "approved by somebody else": (lambda: job(stamps=(), now=LATE, votes=(approved(CAROL),)), "expiry untimed?"),
    "approved before its end, stamped later": (
        lambda: job(evidence={"expires_at": NOW + 30}, votes=(approved(BOB),)), ""),
    "stamped after its end": (lambda: job(evidence={"expires_at": NOW + 30}), "expiry"),
    "issued a day ahead": (lambda: job(evidence={"issued_at": NOW + 100 + 86_400}), ""),
    "issued more than a day ahead": (lambda: job(evidence={"issued_at": NOW + 100 + 86_401}), "expiry"),
    "a retired key, untimed": (lambda: job(stamps=(), pins=ENDED), "token untimed?"),
    "a retired key": (lambda: job(pins=ENDED), "token"),
    "a person": (lambda: by(ADA), ""),
    "a stranger": (lambda: by(CAROL), "release"),
    "one of two": (lambda: by(ADA, TWO_OF_TWO), "release"),
    "two of two": (lambda: by(ADA, TWO_OF_TWO, votes=(approved(BOB),)), ""),
    "a lost key": (lambda: by(ADA, ada=LOST), "signature"),
    "a lost key, stamped before": (lambda: by(ADA, RELEASE, LOST, NOW, Stamp("a", NOW - 1)), ""),
    "a lost key, stamped then": (lambda: by(ADA, RELEASE, LOST, NOW, Stamp("a", NOW)), "signature"),
    "a lost key's approval": (lambda: replace(by(BOB, TWO_OF_TWO, LOST), votes=(approved(ADA),)), "release"),
    "a lost key's approval, stamped before": (
        lambda: replace(by(BOB, TWO_OF_TWO, LOST), votes=(approved(ADA, NOW, Stamp("a", NOW - 1)),)), ""),
    "a pipeline": (lambda: by(CAROL, LASTING), "untimed?"),
    "a pipeline past its end": (lambda: replace(by(CAROL, LASTING), clock=NOW + 100), "release"),
    "a pipeline past its end, by its own word": (lambda: by(CAROL, LASTING, issued_at=NOW + 100), "release"),
    "a pipeline, past max_ttl": (lambda: replace(by(CAROL, LASTING), now=NOW + 3601), "expiry untimed?"),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_HAND)
def test_the_chain_and_the_naive_model_say_of_a_situation_by_hand_what_it_says_here(name: str) -> None:
    """The words with a question mark are warnings."""
    make, words = BY_HAND[name]
    links = frozenset(word for word in words.split() if not word.endswith("?"))
    wanted = Answer(links, frozenset(word.removesuffix("?") for word in words.split() if word.endswith("?")))
    made = make()
    assert naive_artifacts.judge(made) == wanted, "the naive one"
    assert told(found_by_the_chain(made)) == told(wanted)


@pytest.mark.parametrize("seed", range(12))
def test_the_chain_and_the_naive_model_agree_on_any_situation(seed: int) -> None:
    many = (EXAMPLES or 600) // 12
    for number in range(seed * many, (seed + 1) * many):
        situation = Chooser(number).situation()
        found, naive = found_by_the_chain(situation), naive_artifacts.judge(situation)
        assert (number, told(found)) == (number, told(naive))
