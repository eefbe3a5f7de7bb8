"""The links of an artifact's chain, where no repository is needed to tell; the rest is in tests/attacks."""

from __future__ import annotations

from typing import Any

from git_auths.core import artifacts, attested
from git_auths.core.artifacts import Demand, Judged, Moment
from git_auths.core.auths_folder import EMPTY
from git_auths.core.judge import Verdict
from git_auths.core.pins import Pins
from git_auths.core.statement import Subject
from tests.attesting import AT, Signer, throwaway

ROOT, COMMIT, DIGEST = "aa" * 20, "11" * 20, "33" * 32


def moment(verdict: str = "good", **changes: Any) -> Moment:
    def verdict_of(commit: str) -> Verdict:
        return Verdict("commit", commit, verdict, "did:keri:E", None, None, "why")

    return Moment(ROOT, EMPTY, Pins(), AT, AT, verdict_of, ())._replace(**changes)


def verify(line: bytes, demand: Demand | None = None, at: Moment | None = None, digest: str = DIGEST) -> Judged:
    return artifacts.verify(digest, attested.read(line), at or moment(), demand or Demand())


def told(judged: Judged) -> list[str]:
    return [f"{link.name} {link.code or link.state}" for link in judged.links]


def test_a_repository_that_says_nothing_of_ci_warns_of_everything() -> None:
    job = throwaway(ROOT)
    judged = verify(job.provenance(COMMIT, DIGEST))
    assert told(judged) == ["file ok", "signature ok", "commit ok", "token unbound-runner", "timestamp untimed",
                            "release ungoverned"]  # fmt: skip
    assert (judged.signer, judged.commit) == (job.did, COMMIT)
    assert judged.links[2].text == f"commit {COMMIT} is good, signed by did:keri:E"


def test_the_first_link_that_breaks_is_where_it_ends() -> None:
    job = throwaway(ROOT)
    line = job.provenance(COMMIT, DIGEST)
    assert told(verify(line, digest="44" * 32)) == ["file other-file"]
    elsewhere = Signer(job.did, job.key, "bb" * 20).provenance(COMMIT, DIGEST)
    assert told(verify(elsewhere)) == ["file ok", "signature other-root"]
    assert told(verify(line, Demand(predicate_type="x"))) == ["file ok", "signature other-predicate"]
    forged = Signer(job.did, throwaway(ROOT).key, ROOT).provenance(COMMIT, DIGEST)
    assert told(verify(forged)) == ["file ok", "signature bad-signature"]
    assert told(verify(line, Demand(signer="did:keri:E"))) == [
        "file ok", "signature ok", "signature other-signer",
    ]  # fmt: skip


def test_a_commit_that_is_not_good_breaks_it_and_the_evidence_is_told_all_the_same() -> None:
    judged = verify(throwaway(ROOT).provenance(COMMIT, DIGEST), at=moment("unsigned"))
    assert told(judged)[2:4] == ["commit unsigned", "token unbound-runner"]
    assert "why (unsigned)" in judged.links[2].text


def test_what_is_no_provenance_may_name_no_commit() -> None:
    line = throwaway(ROOT).attests({}, "https://example.com/x", Subject("app", {"sha256": DIGEST}))
    judged = verify(line, Demand(predicate_type="https://example.com/x"))
    assert told(judged)[2] == "commit no-commit"
    assert judged.commit is None
    slsa = throwaway(ROOT).attests({}, artifacts.SLSA_PROVENANCE, Subject("app", {"sha256": DIGEST}))
    assert told(verify(slsa)) == ["file ok", "signature ok", "commit malformed"]


def test_a_person_whom_no_log_knows_has_signed_nothing() -> None:
    job = throwaway(ROOT)
    stranger = Signer("did:keri:E" + "A" * 43, job.key, ROOT)
    assert told(verify(stranger.provenance(COMMIT, DIGEST))) == ["file ok", "signature bad-signature"]
