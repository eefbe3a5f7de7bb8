"""Which attestations are evidence for a commit by CI, and on what its job was started."""

from __future__ import annotations

import json
from typing import NamedTuple

from git_auths.core import bundle, cicommits, dsse, opensshkey
from git_auths.core.facts import Facts
from git_auths.core.sshsig import fingerprint
from tests.attesting import Signer, about, throwaway

ROOT, COMMIT, OTHER = "aa" * 20, "11" * 20, "22" * 20


def line(signer: Signer, commit: str = COMMIT, token: str | None = "a.b.c", at: int = 1_780_000_000) -> bytes:
    return signer.attests({}, "https://example.com/x", about(commit), at=at, token=token)


def found(lines: list[bytes], job: Signer) -> list[bytes]:
    return [one.raw for one in cicommits.attested(lines, ROOT, COMMIT, job.key.public_blob).attested]


def test_only_what_its_own_key_says_of_it_with_a_token_is_evidence() -> None:
    job, other = throwaway(ROOT), throwaway(ROOT)
    elsewhere = Signer(job.did, job.key, OTHER)
    pretender = Signer(job.did, other.key, ROOT)
    good = line(job)
    hint, others = (fingerprint(one.key.public_blob).encode() for one in (job, other))
    for_another = json.loads(line(other))  # that names the key, and is signed by whom it says
    for_another["signatures"].append({"keyid": hint.decode(), "sig": "AAAA"})
    rest = [line(job, OTHER), line(job, token=None), line(other), line(elsewhere), line(pretender), json.dumps(for_another).encode(),
            line(pretender).replace(others, hint), b"rubbish", b"{}"]  # fmt: skip
    assert found([*rest, good], job) == [good]
    read = cicommits.attested([*rest, good], ROOT, COMMIT, job.key.public_blob)
    assert read.lines == (good,)
    assert read.is_whole


def test_evidence_that_stands_in_several_lines_is_one_with_all_of_it() -> None:
    """Somebody may have stamped the same envelope twice, or copied it without."""
    job = throwaway(ROOT)
    envelope = dsse.parse(line(job))
    lines = [bundle.serialise(envelope, job.key.public_blob, stamps) for stamps in ([], [b"one"], [b"one", b"two"])]
    (one,) = cicommits.attested(lines, ROOT, COMMIT, job.key.public_blob).attested
    assert sorted(one.line.timestamps) == [b"one", b"two"]


def test_evidence_is_bounded_and_only_its_own_key_can_crowd_it() -> None:
    job = throwaway(ROOT)
    lines = [line(job, at=number) for number in range(cicommits.MAX_ATTESTATIONS + 5)]
    assert len(found(lines, job)) == cicommits.MAX_ATTESTATIONS


def test_a_key_that_no_throwaway_key_is_of_has_none() -> None:
    rsa = b"\0\0\0\x07ssh-rsa" + b"\0\0\0\x01\x03" * 2
    assert cicommits.attested([line(throwaway(ROOT))], ROOT, COMMIT, rsa) == cicommits.Found()


class Commit(NamedTuple):
    key: bytes | None
    parents: tuple[str, ...]


def started_on(history: dict[str, Commit], commit: str, key: bytes) -> str | None:
    def facts_of(id: str) -> Facts:
        return history[id]  # type: ignore[return-value]

    return cicommits.started_on(facts_of, commit, key)


def test_a_job_was_started_on_the_nearest_that_its_key_did_not_sign() -> None:
    job, ada = b"job", b"ada"
    history = {"c": Commit(job, ("b",)), "b": Commit(job, ("a",)), "a": Commit(ada, ("z",)), "z": Commit(job, ("y",)),
               "merge": Commit(job, ("a", "z")), "first": Commit(job, ())}  # fmt: skip
    assert started_on(history, "c", job) == "a"
    assert started_on(history, "a", job) == "a"
    assert started_on(history, "c", ada) == "c"
    assert started_on(history, "merge", job) == "merge"  # CI merges nothing: that one is bad itself
    assert started_on(history, "first", job) == "first"


def test_the_way_back_is_bounded() -> None:
    job = b"job"
    longest = cicommits.MAX_COMMITS_OF_A_RUN
    history = {str(number): Commit(job, (str(number - 1),)) for number in range(1, longest + 1)} | {
        "0": Commit(None, ("x",))
    }
    assert started_on(history, str(longest - 1), job) == "0"
    assert started_on(history, str(longest), job) is None


def test_a_key_is_all_of_a_jobs_name() -> None:
    job = opensshkey.generate(opensshkey.P256)
    signer = cicommits.job_with(job.public_blob)
    assert signer.is_throwaway
    assert (signer.did, signer.key) == (signer.principal, job.public_blob)
