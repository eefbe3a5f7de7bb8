"""Asking the CI that runs us for an OIDC token.

Sources: GitHub, "OpenID Connect reference" (ACTIONS_ID_TOKEN_REQUEST_URL and _TOKEN); GitLab, "ID tokens" (`id_tokens:`
puts one into a variable, and its `aud` stands in .gitlab-ci.yml); CircleCI, "OIDC tokens with custom claims".

What is fetched here is published, in bundles and notes. So no variable is read that a job has for another service, and
no token is taken that says that it is for one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from git_auths.core.oidc import TokenRefused, require_ours
from git_auths.services.http import Response, ServiceError, json_object, refused, request

REQUEST_URL = "ACTIONS_ID_TOKEN_REQUEST_URL"
REQUEST_TOKEN = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"  # noqa: S105, a name
VARIABLES = ("AUTHS_ID_TOKEN",)
MAX_TOKEN_CHARS = 16 * 1024
CIRCLECI_SECONDS = 30

GITHUB_HINT = "the job needs `permissions: id-token: write`, which no pull request from a fork gets"
GITLAB_HINT = "the job needs `id_tokens: {AUTHS_ID_TOKEN: {aud: git-auths}}`"
CIRCLECI_HINT = "the job needs OIDC tokens enabled; `circleci run oidc get` works in a job only"

_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)


def fetch(audience: str, environ: Mapping[str, str], tokens: Mapping[str, str]) -> str | None:
    """A token for `audience`, or, where the CI lets nobody choose that, the one that the job was given.

    `environ` is the environment, `tokens` the secrets that were taken out of it, by name. None where nothing there
    mints tokens (`missing_hint` says what a CI would need); ServiceError where what should does not.
    """
    if environ.get(REQUEST_URL) and tokens.get(REQUEST_TOKEN):
        return _from_github(audience, environ[REQUEST_URL], tokens[REQUEST_TOKEN])
    if environ.get("CIRCLECI") == "true":
        return _from_circleci(audience, environ)
    for name in VARIABLES:
        given = tokens.get(name) or environ.get(name)
        if given:
            return _ready_made(given, name)
    return None


def missing_hint(environ: Mapping[str, str]) -> str | None:
    """What a job of this CI needs in order to get a token; None where no CI is recognised."""
    if environ.get("GITHUB_ACTIONS") == "true":
        return GITHUB_HINT
    return GITLAB_HINT if environ.get("GITLAB_CI") == "true" else None


def _ready_made(given: str, name: str) -> str:
    """The token of the variable, if it is for us: its audience was chosen elsewhere."""
    token = _checked(given, f"the variable {name}", GITLAB_HINT)
    try:
        require_ours(token)
    except TokenRefused as error:
        raise ServiceError(f"the token in {name} is not published: {error.reason}", GITLAB_HINT) from None
    return token


def _from_github(audience: str, url: str, token: str) -> str:
    from urllib.parse import quote

    address = f"{url}{'&' if '?' in url else '?'}audience={quote(audience, safe='')}"
    response = request("GET", address, headers={"Authorization": f"bearer {token}", "Accept": "application/json"})
    if response.status != 200:
        raise _github_refusal(response)
    return _checked(json_object(response).get("value"), response.host, GITHUB_HINT)


def _github_refusal(response: Response) -> ServiceError:
    hint = GITHUB_HINT if response.status in (401, 403, 404) else "run the job again"
    return refused(response, hint)


def _from_circleci(audience: str, environ: Mapping[str, str]) -> str:
    import subprocess

    command = ["circleci", "run", "oidc", "get", "--claims", json.dumps({"aud": audience})]
    try:
        done = subprocess.run(command, env=dict(environ), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, timeout=CIRCLECI_SECONDS, check=False)  # fmt: skip
    except OSError:
        raise ServiceError("circleci is not on PATH, so there is no OIDC token", CIRCLECI_HINT) from None
    except subprocess.TimeoutExpired:
        raise ServiceError(f"circleci gave no OIDC token within {CIRCLECI_SECONDS} seconds", CIRCLECI_HINT) from None
    if done.returncode != 0:
        raise ServiceError(f"circleci gave no OIDC token (exit {done.returncode})", CIRCLECI_HINT)
    return _checked(done.stdout[: MAX_TOKEN_CHARS + 1].decode("ascii", "replace").strip(), "circleci", CIRCLECI_HINT)


def _checked(value: object, source: str, hint: str) -> str:
    """The token, if it has the form of one; whether it is good, core.oidc.read says."""
    if not isinstance(value, str) or len(value) > MAX_TOKEN_CHARS or not _TOKEN.fullmatch(value.strip()):
        raise ServiceError(f"what {source} gave is no OIDC token", hint)
    return value.strip()
