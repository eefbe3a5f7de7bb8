"""What a server takes of throwaway keys; people's lines are pushed in tests/hooks/test_pre_receive.py"""

from __future__ import annotations

from pathlib import Path

import pytest

from git_auths.core import bundle, didkey, noteline, timestamp
from git_auths.core.auths_folder import EMPTY
from git_auths.core.pins import Pins
from git_auths.store import admission
from git_auths.store.admission import Admission
from tests.attesting import Signer, throwaway
from tests.loopback.issuer import COMMIT, GITHUB, Issuer
from tests.loopback.tsa import Authority

ROOT = "a" * 40


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    """Not started: what it mints is judged offline."""
    return Issuer(GITHUB)


@pytest.fixture
def server(issuer: Issuer) -> Admission:
    return Admission(EMPTY, lambda: Pins(issuers=(issuer.pin(),)), 40)


@pytest.fixture
def job() -> Signer:
    return throwaway(ROOT)


def token(issuer: Issuer, job: Signer) -> str:
    return issuer.mint(didkey.audience(job.key.public_blob))


def test_a_job_whose_token_verifies_is_taken(issuer: Issuer, server: Admission, job: Signer) -> None:
    line = job.provenance(COMMIT, "b" * 64, token=token(issuer, job))
    assert [server.objection(id, line) for id in (COMMIT, "b" * 40)] == [None, None]
    assert server.objection("c" * 40, line) == "has a line that is not about it"
    assert server.is_void("c" * 40, line) and not server.is_void(COMMIT, line)


def test_a_token_for_another_key_is_not_taken(issuer: Issuer, server: Admission, job: Signer) -> None:
    line = job.provenance(COMMIT, token=token(issuer, throwaway(ROOT)))
    assert "its OIDC token does not verify" in (server.objection(COMMIT, line) or "")
    assert not server.is_void(COMMIT, line)  # a pin could be missing here


def test_a_token_by_an_issuer_that_is_not_pinned_is_not_taken(issuer: Issuer, job: Signer) -> None:
    line = job.provenance(COMMIT, token=token(issuer, job))
    assert "its OIDC token does not verify" in (Admission(EMPTY, Pins, 40).objection(COMMIT, line) or "")


def test_a_line_not_signed_by_its_key_is_void(issuer: Issuer, server: Admission, job: Signer) -> None:
    other = throwaway(ROOT)
    good = token(issuer, job)
    other.did = job.did
    line = other.provenance(COMMIT, token=good)
    assert "not signed by the key that it names" in (server.objection(COMMIT, line) or "")
    assert server.is_void(COMMIT, line)


def test_pins_are_not_read_for_what_brings_no_token(job: Signer) -> None:
    def pinned() -> Pins:
        raise AssertionError

    assert "without an OIDC token" in (Admission(EMPTY, pinned, 40).objection(COMMIT, job.provenance(COMMIT)) or "")


def test_a_line_on_many_objects_is_looked_at_once(
    issuer: Issuer, server: Admission, job: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = [f"{n:064x}" for n in range(1, 100)]
    line = job.provenance(COMMIT, *(digest[::-1] for digest in digests), token=token(issuer, job))
    looks = []
    examine = Admission._examine
    monkeypatch.setattr(Admission, "_examine", lambda self, raw: looks.append(raw) or examine(self, raw))
    assert {server.objection(digest[::-1][:40], line) for digest in digests} == {None}
    assert len(looks) == 1
    monkeypatch.setattr(admission, "MAX_REMEMBERED", 2)
    for n in range(10):
        server.objection(COMMIT, b'{"n":%d}' % n)
    assert len(server._answers) <= 2


def test_evidence_that_does_not_hold_is_not_taken_beside_an_envelope(issuer: Issuer, job: Signer, tmp_path: Path) -> None:
    """Whoever copies a public envelope could put rubbish beside it, again and again."""
    authority = Authority(tmp_path / "tsa")
    pinned = Pins(issuers=(issuer.pin(),), authorities=(timestamp.authority_from_pem(authority.root.pem, "tsa"),))
    server = Admission(EMPTY, lambda: pinned, 40)
    envelope = noteline.parse(job.provenance(COMMIT, token=token(issuer, job))).envelope
    key = job.key.public_blob
    honest = bundle.serialise(envelope, key, [authority.stamp(envelope.signatures[0].sig)])
    rubbish = bundle.serialise(envelope, key, [authority.stamp(b"another signature")])
    assert server.objection(COMMIT, honest) is None
    assert "timestamp does not hold" in (server.objection(COMMIT, rubbish) or "")
