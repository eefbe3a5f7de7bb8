"""Asking the CI that runs us for a token, and an issuer for its keys."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from git_auths.core import didkey
from git_auths.core import oidc as core_oidc
from git_auths.services import http, issuers, oidc
from git_auths.services.http import ServiceError
from git_auths.store.secrets import take_secrets
from tests.core.test_didkey import p256_blob
from tests.loopback.issuer import REQUEST_TOKEN, Issuer, jwk_of, rsa_key

KEY = p256_blob(9)
AUDIENCE = didkey.audience(KEY)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BACKOFF_SECONDS", 0.001)


def fetch(environment: dict[str, str], audience: str = AUDIENCE) -> str | None:
    """As a command does: the secrets leave the environment first."""
    environ = dict(environment)
    secrets = take_secrets(environ)
    assert "ACTIONS_ID_TOKEN_REQUEST_TOKEN" not in environ
    return oidc.fetch(audience, environ, secrets.tokens)


# --- GitHub Actions


def test_a_job_of_github_gets_a_token_for_its_key(issuer: Issuer) -> None:
    token = fetch(issuer.environment)
    assert token is not None and issuer.requests == [AUDIENCE]
    assert core_oidc.read(token, KEY, [issuer.pin()]).audience_bound


def test_the_audience_is_escaped_in_the_address(issuer: Issuer) -> None:
    fetch(issuer.environment, "a&b=c d")
    assert issuer.requests == ["a&b=c d"]


def test_an_address_without_a_query_gets_one(issuer: Issuer) -> None:
    environment = {**issuer.environment, "ACTIONS_ID_TOKEN_REQUEST_URL": f"{issuer.url}/token"}
    fetch(environment)
    assert issuer.requests == [AUDIENCE]


@pytest.mark.parametrize(
    ("answer", "why", "hint"),
    [
        ((403, "application/json", b"{}"), "403 Forbidden", "id-token: write"),
        ((401, "application/json", b"{}"), "401 Unauthorized", "id-token: write"),
        ((500, "text/plain", b"oops"), "500 Internal", "again"),
        ((200, "text/html", b"<html>log in</html>"), "a web page instead of JSON", "login page"),
        ((200, "application/json", b"[]"), "not an object", ""),
        ((200, "application/json", b"{}"), "no OIDC token", "id-token"),
        ((200, "application/json", b'{"value": 7}'), "no OIDC token", "id-token"),
        ((200, "application/json", b'{"value": "a b"}'), "no OIDC token", "id-token"),
        ((200, "application/json", b'{"value": "' + b"a" * 17_000 + b'.a.a"}'), "no OIDC token", "id-token"),
    ],
)
def test_an_endpoint_that_gives_no_token_is_an_error_with_the_next_step(
    issuer: Issuer, answer: tuple[int, str, bytes], why: str, hint: str
) -> None:
    issuer.answer = answer
    with pytest.raises(ServiceError, match=why) as caught:
        fetch(issuer.environment)
    assert hint in (caught.value.hint or "")
    assert "127.0.0.1" in caught.value.message
    assert REQUEST_TOKEN not in f"{caught.value.message} {caught.value.hint}"


def test_an_endpoint_by_plain_http_elsewhere_never_gets_the_request_token() -> None:
    environment = {"ACTIONS_ID_TOKEN_REQUEST_URL": "http://evil.example/", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "x"}
    with pytest.raises(ServiceError, match="without TLS"):
        fetch(environment)


# --- GitLab and others


@pytest.mark.parametrize("audience", ["git-auths", "git-auths.example.com", AUDIENCE])
def test_a_job_of_gitlab_has_its_token_in_a_variable(issuer: Issuer, audience: str) -> None:
    token = issuer.mint(audience)
    assert fetch({"GITLAB_CI": "true", "AUTHS_ID_TOKEN": token + "\n"}) == token


@pytest.mark.parametrize("name", ["GITLAB_OIDC_TOKEN", "CIRCLE_OIDC_TOKEN", "VAULT_ID_TOKEN", "CI_JOB_JWT"])
def test_a_token_that_the_job_has_for_something_else_is_not_taken(issuer: Issuer, name: str) -> None:
    assert fetch({"GITLAB_CI": "true", name: issuer.mint("git-auths")}) is None


@pytest.mark.parametrize("audience", ["https://vault.example.com", "sigstore", ["git-auths"], ["git-auths", "x"], None])
def test_a_token_for_another_service_is_never_published(issuer: Issuer, audience: object) -> None:
    """Whoever reads it in a bundle could use it there."""
    token = issuer.mint(audience)
    with pytest.raises(ServiceError, match=r"token in AUTHS_ID_TOKEN is not published: .*its audience is") as caught:
        fetch({"GITLAB_CI": "true", "AUTHS_ID_TOKEN": token})
    assert "`id_tokens: {AUTHS_ID_TOKEN: {aud: git-auths}}`" in (caught.value.hint or "")
    assert token not in caught.value.message


def test_a_token_whose_claims_cannot_be_read_is_not_published() -> None:
    with pytest.raises(ServiceError, match="is not published"):
        fetch({"AUTHS_ID_TOKEN": "a.b.c"})


def test_a_variable_that_holds_no_token_is_refused_unseen() -> None:
    with pytest.raises(ServiceError, match="variable AUTHS_ID_TOKEN gave is no OIDC token") as caught:
        fetch({"AUTHS_ID_TOKEN": "hunter2"})
    assert "hunter2" not in f"{caught.value.message} {caught.value.hint}"


def test_where_nothing_mints_tokens_there_is_none() -> None:
    assert fetch({}) is None
    assert oidc.missing_hint({}) is None


@pytest.mark.parametrize(("name", "hint"), [("GITHUB_ACTIONS", "id-token: write"), ("GITLAB_CI", "id_tokens:")])
def test_a_job_that_was_given_none_is_told_what_it_needs(name: str, hint: str) -> None:
    assert fetch({name: "true"}) is None
    assert hint in (oidc.missing_hint({name: "true"}) or "")


# --- CircleCI


def circleci(folder: Path, script: str) -> dict[str, str]:
    program = folder / "circleci"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"CIRCLECI": "true", "PATH": f"{folder}:{os.environ['PATH']}"}


def test_a_job_of_circleci_asks_its_own_program(issuer: Issuer, tmp_path: Path) -> None:
    token = issuer.mint(AUDIENCE)
    environment = circleci(tmp_path, f"printf '%s\\n' \"$@\" > {tmp_path}/asked; echo {token}")
    assert fetch({**environment, "AUTHS_ID_TOKEN": "x"}) == token
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[:4] == ["run", "oidc", "get", "--claims"] and json.loads(asked[4]) == {"aud": AUDIENCE}


def test_the_program_of_circleci_has_its_variables_and_no_token(issuer: Issuer, tmp_path: Path) -> None:
    environment = circleci(tmp_path, f"env > {tmp_path}/env; echo {issuer.mint(AUDIENCE)}")
    fetch({**environment, "CIRCLE_WORKFLOW_ID": "7", "CIRCLE_OIDC_TOKEN": "x", "CIRCLE_OIDC_TOKEN_V2": "x"})
    seen = (tmp_path / "env").read_text()
    assert "CIRCLE_WORKFLOW_ID=7" in seen and "OIDC_TOKEN" not in seen


@pytest.mark.parametrize(
    ("script", "why"),
    [("exit 3", "exit 3"), ("echo no", "no OIDC token"), ("sleep 60", "within"), ("printf '\\377'", "no OIDC token")],
)
def test_a_program_that_gives_no_token_is_an_error(
    script: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc, "CIRCLECI_SECONDS", 0.3 if "sleep" in script else 10)
    with pytest.raises(ServiceError, match=why):
        fetch(circleci(tmp_path, f"exec {script}" if "sleep" in script else script))


def test_a_job_of_circleci_without_its_program_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="not on PATH"):
        fetch({"CIRCLECI": "true", "PATH": str(tmp_path)})


# --- an issuer's keys


def test_an_issuer_is_found_with_its_keys(issuer: Issuer) -> None:
    assert issuers.discover(issuer.url) == issuer.pin()


def test_only_keys_to_sign_with_are_taken(issuer: Issuer) -> None:
    pin = issuer.pin()
    issuer.jwks["keys"] += [{"kty": "OKP", "crv": "Ed25519", "kid": "x"}, {**issuer.jwks["keys"][0], "use": "enc"}]
    assert issuers.discover(issuer.url) == pin


@pytest.mark.parametrize(
    ("discovery", "jwks", "why"),
    [
        ({"issuer": "https://token.example.com"}, {}, "calls itself https://token"),
        ({"issuer": None}, {}, "calls itself"),
        ({"jwks_uri": None}, {}, "where its keys are"),
        ({"jwks_uri": "http://example.com/jwks"}, {}, "without TLS"),
        ({"jwks_uri": "file:///etc/passwd"}, {}, "not a plain"),
        ({}, {"keys": []}, "no key"),
        ({}, {"keys": "x"}, "cannot be pinned"),
        ({}, {"keys": [jwk_of(rsa_key(1024), "k")]}, "2048"),
        ({}, {"keys": [jwk_of(rsa_key(), "k")] * 2}, "same kid"),
    ],
)
def test_an_issuer_that_does_not_say_who_it_is_is_refused(
    issuer: Issuer, discovery: dict[str, Any], jwks: dict[str, Any], why: str
) -> None:
    issuer.discovery.update(discovery)
    issuer.jwks = jwks or issuer.jwks
    with pytest.raises(ServiceError, match=why):
        issuers.discover(issuer.url)


def test_an_address_that_is_no_issuer_is_refused_with_its_status(issuer: Issuer) -> None:
    with pytest.raises(ServiceError, match="404"):
        issuers.discover(issuer.url + "/other")


def test_an_issuer_on_the_network_may_not_send_us_to_keys_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    document = {"issuer": "https://ci.example.com", "jwks_uri": "http://127.0.0.1:1/jwks"}
    monkeypatch.setattr(issuers, "_document", lambda _: document)
    with pytest.raises(ServiceError, match="by https"):
        issuers.discover("https://ci.example.com")
