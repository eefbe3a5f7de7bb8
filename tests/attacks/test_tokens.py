"""Attacks on the evidence of who ran it and when: tokens, timestamps and log entries, each wrong in one thing.

Each is tried on an artifact (`artifact verify`) and on a commit by CI (`verify`): one judge of evidence serves both.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.attacks import evidence, forge
from tests.attacks.evidence import AT, CHANGELOG, Ci, Job, logged_v1, logged_v2, rule, stamp_at
from tests.attacks.forge import World
from tests.core.test_oidc import parts, signed_by_nobody
from tests.loopback import issuer as oidc
from tests.loopback.rekor import Log
from tests.loopback.tsa import Authority


@pytest.fixture(scope="module")
def pinned(founded: World, tmp_path_factory: pytest.TempPathFactory) -> Ci:
    return evidence.found(founded, tmp_path_factory.mktemp("pinned"))


@pytest.fixture
def ci(pinned: Ci, tmp_path: Path) -> Ci:
    return pinned.again(tmp_path / "repo")


class Piece(NamedTuple):
    """How a piece of evidence is made for a job that was started on a commit, and what is said of it."""

    name: str
    code: str
    says: str
    make: Callable[[Job, str], dict[str, Any]]


def token(name: str, code: str, says: str, /, **claims: Any) -> Piece:
    return Piece(name, code, says, lambda job, commit: {"token": job.token(commit, **claims)})


def unsigned(job: Job, commit: str) -> str:
    """RFC 7519, section 6: the claims of a good token, with `alg: none` and no signature."""
    import base64

    claims = parts(job.token(commit))[1]
    return signed_by_nobody(b'{"alg":"none","kid":"rsa"}', base64.urlsafe_b64decode(claims + "=="))


def by_public_key(job: Job, commit: str) -> str:
    """HS256 with the issuer's public key as the secret; PyJWT itself refuses to make it."""
    import base64
    import hashlib
    import hmac

    public = oidc.rsa_key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    header = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"rsa"}').decode().rstrip("=")
    message = f"{header}.{parts(job.token(commit))[1]}"
    mac = hmac.new(public, message.encode(), hashlib.sha256).digest()
    return f"{message}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


OTHER = "2" * 40
TOKENS = [
    token("another repository", "claim-mismatch", "repository_id", repository_id="654321"),
    token("another workflow", "claim-mismatch", "workflow_ref",
          workflow_ref="owner/repo/.github/workflows/test.yml@refs/tags/v1"),
    token("a fork's pull request", "claim-mismatch", "refs/pull/7/merge", sha=OTHER, event_name="pull_request",
          workflow_ref="owner/repo/.github/workflows/release.yml@refs/pull/7/merge"),
    token("another audience", "other-audience", "its audience is 'https://github.com/owner'",
          aud="https://github.com/owner"),
    Piece("another key's audience", "other-audience", "its audience is 'git-auths:sha256:",
          lambda job, commit: {"token": job.token(commit, aud=Job(job.ci, 78).audience)}),
    token("a list of audiences", "other-audience", "its audience is [", aud=["git-auths:sha256:00"]),
    token("another commit", "other-commit", f"issued for commit {OTHER}", sha=OTHER),
    Piece("alg none", "bad-algorithm", "its algorithm is 'none'",
          lambda job, commit: {"token": unsigned(job, commit)}),
    Piece("HS256 with the public key", "bad-algorithm", "its algorithm is 'HS256'",
          lambda job, commit: {"token": by_public_key(job, commit)}),
    token("expired before signing", "expired-before", "it expired at", iat=AT - 700, nbf=AT - 700, exp=AT - 100),
    token("issued after signing", "issued-after", "it was issued at", iat=AT + 100),
    token("another issuer", "other-issuer", "is not pinned", iss="https://evil.example"),
    token("a key that nobody pinned", "unknown-key", "names the key 'ec2'", kid="ec", headers={"kid": "ec2"}),
    token("a stranger's signature", "bad-signature", "not by the pinned key", key=oidc.rsa_key(2048, 1)),
    Piece("no token", "unbound-runner", "OIDC token",
          lambda job, commit: {"token": None}),
]  # fmt: skip


def wrong_authority(job: Job) -> Authority:
    made = Authority(job.ci.services.tsa.folder.parent / "stranger")
    made.time_seconds = AT
    return made


STAMPS = [
    Piece("an authority that nobody pinned", "bad-timestamp", "certificate",
          lambda job, _: {"stamps": [wrong_authority(job).stamp]}),
    Piece("over another signature", "bad-timestamp", "another signature",
          lambda job, _: {"stamps": [lambda signature: job.ci.services.tsa.stamp(signature[::-1])]}),
    Piece("no DER", "bad-timestamp", "timestamp refused: not a DER", lambda job, _: {"stamps": [lambda signature: b"\x30\x03\x02\x01\x00"]}),
    Piece("before the token's iat", "issued-after", "it was issued at",
          lambda job, _: {"stamps": [stamp_at(job.ci, AT - 31)]}),
    Piece("after the token's exp", "expired-before", "it expired at",
          lambda job, _: {"stamps": [stamp_at(job.ci, AT + 571)]}),
    Piece("none", "untimed", "nothing proves", lambda job, _: {"stamps": []}),
]  # fmt: skip


def changed(log: str, change: Callable[[Any, Any], Any]) -> Callable[[Job, str], dict[str, Any]]:
    """The entry of that log, changed: `change` is given the entry and the log."""

    def make(job: Job, _: str) -> dict[str, Any]:
        real = getattr(job.ci.services, log)
        entry = (logged_v1 if log == "v1" else logged_v2)(real)
        return {"entries": [lambda *made: change(entry(*made), real)], "stamps": []}

    return make


def with_proof(entry: Any, **changes: Any) -> Any:
    return entry._replace(proof=entry.proof._replace(**changes))


def of_something_else(log: str) -> Callable[[Job, str], dict[str, Any]]:
    """A good entry, of something else that the same key has signed."""

    def make(job: Job, _: str) -> dict[str, Any]:
        entry = (logged_v1 if log == "v1" else logged_v2)(getattr(job.ci.services, log))
        return {"entries": [lambda *made: entry(*evidence.signed(job, {"another": 1}), job)]}

    return make


def by_another_key(entry: Any, log: Log) -> Any:
    other = Log(log.name, log.version)
    proof = entry.proof
    return with_proof(entry, checkpoint=other.checkpoint(log.origin, proof.tree_size, proof.root_hash))


def of_another_origin(entry: Any, log: Log) -> Any:
    proof = entry.proof
    return with_proof(entry, checkpoint=log.checkpoint("other.example", proof.tree_size, proof.root_hash))


def of_another_log(entry: Any, log: Log) -> Any:
    return entry._replace(log_id=b"\x11" * 32)


def without_set(entry: Any, log: Log) -> Any:
    """Row 68: it has a proof and no SET, and whatever time somebody writes into it."""
    return entry._replace(signed_entry_timestamp=None, integrated_time=AT)


ENTRIES = [
    Piece("v1: another entry", "bad-log-entry", "log entry refused: its payload", of_something_else("v1")),
    Piece("v1: a checkpoint by another key", "bad-log-entry", "checkpoint", changed("v1", by_another_key)),
    Piece("v1: a checkpoint of another origin", "bad-log-entry", "another origin", changed("v1", of_another_origin)),
    Piece("v1: a log that nobody pinned", "bad-log-entry", "not pinned", changed("v1", of_another_log)),
    Piece("v1: a path that is too short", "bad-log-entry", "its inclusion proof",
          changed("v1", lambda entry, _: with_proof(entry, hashes=entry.proof.hashes[:-1]))),
    Piece("v1: a path that is too long", "bad-log-entry", "its inclusion proof",
          changed("v1", lambda entry, _: with_proof(entry, hashes=(*entry.proof.hashes, bytes(32))))),
    Piece("v1: its time forged", "bad-log-entry", "signed entry timestamp",
          changed("v1", lambda entry, _: entry._replace(integrated_time=AT - 1))),
    Piece("v1: a proof without a SET", "untimed", "nothing proves", changed("v1", without_set)),
    Piece("v2: another entry", "bad-log-entry", "log entry refused: its signature", of_something_else("v2")),
    Piece("v2: a checkpoint by another key", "bad-log-entry", "checkpoint", changed("v2", by_another_key)),
    Piece("v2: a path that is too short", "bad-log-entry", "its inclusion proof",
          changed("v2", lambda entry, _: with_proof(entry, hashes=entry.proof.hashes[:-1]))),
    Piece("v2: a time that nothing signs", "untimed", "nothing proves",
          changed("v2", lambda entry, _: entry._replace(integrated_time=AT))),
]  # fmt: skip
ALL = [*TOKENS, *STAMPS, *ENTRIES]


def made(job: Job, piece: Piece, commit: str) -> dict[str, Any]:
    return {"token": job.token(commit), **piece.make(job, commit)}


def job_for(ci: Ci, piece: Piece) -> Job:
    return Job(ci, code="1AAJ" if piece.name.startswith("v2") else "D")


@pytest.mark.parametrize("piece", ALL, ids=lambda piece: piece.name)
def test_evidence_that_is_wrong_in_one_thing_is_refused_for_an_artifact(ci: Ci, piece: Piece, tmp_path: Path) -> None:
    """Rows 50, 53 and 68: each with its own reason. What is merely untimed is a warning, and strictly refused."""
    file, job = evidence.built(tmp_path), job_for(ci, piece)
    file.put(evidence.of_file(job, file.sha256, **made(job, piece, ci.tip)))
    if piece.code == "untimed":
        # No trusted time: it counts while it has not ended, and was signed long ago.
        assert evidence.broken(ci.asked(file.path))[:2] == ("expiry", "expired")
    link, code, said = evidence.broken(ci.asked(file.path, "--strict"))
    if piece.code != "untimed":
        assert code == piece.code
        assert piece.says in said
    assert link in ("token", "timestamp", "log", "expiry")


@pytest.mark.parametrize("piece", ALL, ids=lambda piece: piece.name)
def test_evidence_that_is_wrong_in_one_thing_is_refused_for_a_commit(ci: Ci, piece: Piece) -> None:
    """The same, where a trusted time is mandatory."""
    job = job_for(ci, piece)
    commit = ci.commit(job)
    ci.attest({commit: [evidence.of_commit(job, commit, **made(job, piece, ci.tip))]})
    (one,) = forge.refused(ci.world.verify_at(commit), (commit, "unknown-key"))
    assert piece.says in one["reason"]


def test_each_kind_of_wrong_token_has_words_of_its_own() -> None:
    assert len({(piece.code, piece.says) for piece in TOKENS}) == len(TOKENS)


@pytest.mark.parametrize("version", [1, 2])
def test_a_log_entry_that_is_right_counts(ci: Ci, version: int, tmp_path: Path) -> None:
    """Only v1 signs a time; v2 takes a timestamp beside it. Without this the rows above would prove nothing."""
    file, job = evidence.built(tmp_path), Job(ci, code="1AAJ")
    made = logged_v1(ci.services.v1) if version == 1 else logged_v2(ci.services.v2)
    stamps = [] if version == 1 else [ci.services.tsa.stamp]
    file.put(evidence.of_file(job, file.sha256, job.token(ci.tip), stamps, [made]))
    assert "log" in evidence.holds(ci.asked(file.path, "--strict"))
    commit = ci.commit(job)
    ci.attest({commit: [evidence.of_commit(job, commit, job.token(ci.tip), stamps, [made])]})
    forge.accepted(ci.world.verify_at(commit))


@pytest.mark.parametrize("kid", ["rsa", "ec"])
@pytest.mark.parametrize("code", ["D", "1AAJ"])
def test_a_token_that_is_right_counts(ci: Ci, kid: str, code: str, tmp_path: Path) -> None:
    file, job = evidence.built(tmp_path), Job(ci, code=code)
    file.put(evidence.of_file(job, file.sha256, job.token(ci.tip, kid=kid)))
    names = evidence.holds(ci.asked(file.path, "--strict"))
    assert names == ["file", "signature", "commit", "token", "timestamp"]
    said = {link["name"]: link["text"] for link in evidence.links(ci.asked(file.path))}
    assert said["token"].startswith(f"OIDC token binding verified (GitHub Actions, commit {ci.tip}, actor ada")
    assert said["timestamp"] == f"timestamp proof valid ({evidence.rfc3339(AT)}, by tsa)"


def test_a_published_token_does_not_serve_another_key(ci: Ci, tmp_path: Path) -> None:
    """Row 80: notes and bundles are public, and so are the tokens in them."""
    honest, thief = Job(ci), Job(ci, 78)
    file, published = evidence.built(tmp_path), honest.token(ci.tip)
    file.put(evidence.of_file(thief, file.sha256, published))
    assert evidence.broken(ci.asked(file.path))[:2] == ("token", "other-audience")
    commit = ci.commit(thief)
    ci.attest({commit: [evidence.of_commit(thief, commit, published)]})
    (one,) = forge.refused(ci.world.verify_at(commit), (commit, "unknown-key"))
    assert "its audience is" in one["reason"]


def test_a_pinned_key_counts_until_its_not_after(ci: Ci, tmp_path: Path) -> None:
    """It is compared with the trusted time, not with today's."""
    import json

    pin = json.loads(ci.services.issuer.pin_file())
    for until, answer in ((AT, "ok"), (AT - 1, "key-retired")):
        for key in pin["jwks"]["keys"]:
            key["not_after"] = evidence.rfc3339(until)
        ci.ruled(evidence.RULE, **{".auths/oidc/github.json": json.dumps(pin).encode()})
        file, job = evidence.built(tmp_path), Job(ci)
        file.put(evidence.of_file(job, file.sha256, job.token(ci.tip)))
        if answer == "ok":
            evidence.holds(ci.asked(file.path, "--strict"))
        else:
            assert evidence.broken(ci.asked(file.path))[:2] == ("token", answer)


def gitlab(ci: Ci, tmp_path: Path, allowed: bool) -> None:
    """GitLab's issuer is pinned, and its identity asked for."""
    issuer = evidence.unasked("https://gitlab.com")
    issuer.claims = {
        "sub": "project_path:g/p:ref_type:branch:ref:main",
        "project_path": "g/p",
        "pipeline_id": "1",
        "user_login": "ada",
        "ci_config_ref_uri": "gitlab.com/g/p//.gitlab-ci.yml@refs/heads/main",
    }
    ci.services = ci.services._replace(issuer=issuer)
    unbound = 'allow_unbound = ["audience"]\n' if allowed else ""
    identity = f'[policy.ci.identity]\nissuer = "https://gitlab.com"\nproject_path = "g/p"\n{unbound}'
    ci.ruled(rule(CHANGELOG, identity=None) + identity, **{".auths/oidc/gitlab.json": issuer.pin_file()})


def circleci(ci: Ci, tmp_path: Path, allowed: bool) -> None:
    issuer = evidence.unasked("https://oidc.circleci.com/org/1")
    issuer.claims = {"sub": "org/1/project/2/user/3", "oidc.circleci.com/project-id": "2", oidc_rerun(): False}
    ci.services = ci.services._replace(issuer=issuer)
    unbound = 'allow_unbound = ["commit"]\n' if allowed else ""
    project = '"oidc.circleci.com/project-id" = "2"'
    identity = f'[policy.ci.identity]\nissuer = "https://oidc.circleci.com/org/1"\n{project}\n{unbound}'
    ci.ruled(rule(CHANGELOG, identity=None) + identity, **{".auths/oidc/circleci.json": issuer.pin_file()})


def oidc_rerun() -> str:
    from git_auths.core.oidc import SSH_RERUN

    return SSH_RERUN


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize(("setting", "claims", "code"), [
    (gitlab, {"aud": "git-auths"}, "audience-unbound"), (circleci, {"sha": None}, "commit-unbound"),
], ids=["GitLab", "CircleCI"])  # fmt: skip
def test_a_token_that_cannot_bind_counts_where_the_policy_allows_that(
    ci: Ci, tmp_path: Path, setting: Any, claims: dict[str, Any], code: str, allowed: bool
) -> None:
    setting(ci, tmp_path, allowed)
    file, job = evidence.built(tmp_path), Job(ci)
    file.put(evidence.of_file(job, file.sha256, job.token(ci.tip, **claims)))
    commit = ci.commit(job)
    ci.attest({commit: [evidence.of_commit(job, commit, job.token(ci.tip, **claims))]})
    if allowed:
        evidence.holds(ci.asked(file.path, "--strict"))
        forge.accepted(ci.world.verify_at(commit))
    else:
        assert evidence.broken(ci.asked(file.path))[:2] == ("token", code)
        (one,) = forge.refused(ci.world.verify_at(commit), (commit, "unknown-key"))
        assert {"audience-unbound": "not bound", "commit-unbound": "no commit"}[code] in one["reason"]


@pytest.mark.parametrize("audience", ["another key", "https://vault.example", ["git-auths"]], ids=str)
def test_gitlabs_token_for_something_else_is_refused_whatever_is_allowed(
    ci: Ci, tmp_path: Path, audience: str | list[str]
) -> None:
    """Another key of ours, another service, several at once."""
    gitlab(ci, tmp_path, True)
    file, job = evidence.built(tmp_path), Job(ci)
    aud = Job(ci, 78).audience if audience == "another key" else audience
    file.put(evidence.of_file(job, file.sha256, job.token(ci.tip, aud=aud)))
    assert evidence.broken(ci.asked(file.path))[:2] == ("token", "other-audience")


def test_claims_are_shown_inert(ci: Ci, tmp_path: Path) -> None:
    """Row 55: whoever may start a workflow chooses what some claims say."""
    file, job = evidence.built(tmp_path), Job(ci)
    evil = "\x1b[2J\x1b]0;owned\x07\u202eada\nok"
    for claims in ({"actor": evil}, {"repository_id": evil}, {"aud": evil}, {"iss": evil}):
        file.put(evidence.of_file(job, file.sha256, job.token(ci.tip, **claims)))
        plain = ci.repo.auths("artifact", "verify", str(file.path))
        for said in (plain.stdout, plain.stderr, ci.asked(file.path).stdout):
            assert not any(character in said for character in "\x1b\x07\u202e")
        assert not any(line.startswith("ok") for line in plain.stdout.splitlines())
    commit = ci.commit(job)
    ci.attest({commit: [evidence.of_commit(job, commit, job.token(ci.tip, actor=evil))]})
    ci.world.advance(commit)
    plain = ci.repo.auths("verify-commit", "main")
    assert plain.code == 0
    assert not any(character in plain.stdout + plain.stderr for character in "\x1b\x07\u202e")
