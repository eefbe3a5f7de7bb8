"""What a forge's refusal means, in words for whoever has to mend it. No answer's text is trusted, and no token told."""

from __future__ import annotations

import json

from git_auths.errors import Error
from git_auths.services.forge_choice import FORGEJO, GITEA, GITHUB, GITLAB, Forge
from git_auths.services.http import Response

TOKEN_NAME = "AUTHS_FORGE_TOKEN"  # noqa: S105, a name
MAX_TOLD_CHARACTERS = 200
JOB_TOKEN_PREFIXES = ("ghs_", "glcbt-")  # GitHub: an installation's, such as GITHUB_TOKEN; GitLab: CI_JOB_TOKEN
NEEDED = {
    GITHUB: "a user's token with admin:ssh_signing_key (classic) or 'SSH signing keys: write' (fine-grained)",
    GITLAB: "a user's token with the scope api",
    GITEA: "a user's token with write:user",
    FORGEJO: "a user's token with write:user",
}
SCOPES = {GITHUB: "admin:ssh_signing_key", GITLAB: "api", GITEA: "write:user", FORGEJO: "write:user"}
WITHOUT_SCOPE = ("insufficient_scope", "required scope", "not accessible by personal access token")
DUPLICATE = ("already in use", "already been taken", "has been used as non-deploy key", "has already been added")


class KeyInUse(Error):
    """The forge has the key already: this account's, or another's."""


def explain(forge: Forge, token: str, response: Response) -> Error:
    """Why the forge did not do what it was asked, by its answer's status."""
    status, needed = response.status, f"set {TOKEN_NAME} to {NEEDED[forge.kind]}"
    told = text_of(response, token)
    said = f": {told}" if told else ""
    if status in (401, 403) and is_from_a_job(token, told):
        return Error(f"{forge.name} lets no job's own token change a user's keys ({status})", needed)
    if status == 401:
        return Error(f"{forge.name} does not know the token (401): it is wrong, expired or revoked", needed)
    if is_rate_limit(response, told):
        return Error(f"{forge.name} limits how often it is asked ({status}){_wait(response)}", "try again later")
    if status in (403, 404) and lacks_scope(response, told):
        has = without(token, response.headers.get("x-oauth-scopes", "").strip())
        owned = f"; it has {has[:MAX_TOLD_CHARACTERS]}" if has else ""
        return Error(f"the token lacks the scope {SCOPES[forge.kind]} at {forge.name} ({status}){owned}", needed)
    if status == 403:
        return Error(f"{forge.name} forbids it (403){said}", needed)
    if status == 404:
        return Error(f"{forge.name} has no API for this at {forge.url} (404)",
                     "auths.forgeUrl, or the runner's variable, is to be the URL of its API")  # fmt: skip
    if status in (400, 409, 422):
        if any(words in told.lower() for words in DUPLICATE):
            return KeyInUse(f"{forge.name} has this key already ({status}), with another account or another use",
                            "take it away there first")  # fmt: skip
        return Error(f"{forge.name} does not take the key ({status}){said}")
    if status >= 500:
        return Error(f"{forge.name} fails ({status})", "try again later")
    return Error(f"{forge.name} answers {status}{said}")


def is_from_a_job(token: str, told: str) -> bool:
    """Whether the token is one that a CI made for one job."""
    return token.startswith(JOB_TOKEN_PREFIXES) or "not accessible by integration" in told


def is_rate_limit(response: Response, told: str) -> bool:
    """Whether it was asked too often: 429; at GitHub also 403, with Retry-After or nothing left ("Rate limits for the
    REST API", "Exceeding the rate limit")."""
    if response.status != 403:
        return response.status == 429
    spent = response.headers.get("x-ratelimit-remaining", "").strip() == "0"
    return spent or "retry-after" in response.headers or "secondary rate limit" in told.lower()


def lacks_scope(response: Response, told: str) -> bool:
    """Whether the token may not do this: GitHub names scopes in headers, also with the 404 by which it hides that
    there is anything; the others say so in words."""
    if any(words in told.lower() for words in WITHOUT_SCOPE):
        return True
    accepted = _scopes(response.headers.get("x-accepted-oauth-scopes", ""))
    return bool(accepted) and not accepted & _scopes(response.headers.get("x-oauth-scopes", ""))


def text_of(response: Response, token: str) -> str:
    """What the answer's JSON says, cut short; of a web page nothing."""
    try:
        value = json.loads(response.body)
    except (ValueError, RecursionError):
        return ""
    return without(token, " ".join(_texts(value, 0)))[:MAX_TOLD_CHARACTERS]


def without(token: str, text: str) -> str:
    """What a forge says, without the token that it may say back. To be done before the text is cut."""
    return text.replace(token, "***")


def _texts(value: object, depth: int) -> list[str]:
    """What stands in the members by which forges explain themselves."""
    if isinstance(value, str):
        return [value]
    if depth > 3:
        return []
    if isinstance(value, list):
        return [text for item in value[:5] for text in _texts(item, depth + 1)]
    if not isinstance(value, dict):
        return []
    if depth == 0:
        members = [value.get(name) for name in ("message", "errors", "error", "error_description")]
        return [text for member in members for text in _texts(member, 1)]
    if isinstance(value.get("message"), str):  # GitHub: errors[].message
        return [value["message"]]
    return [f"{name} {text}" for name, item in list(value.items())[:5] for text in _texts(item, depth + 1)]


def _scopes(header: str) -> set[str]:
    return {scope.strip() for scope in header.split(",")} - {""}


def _wait(response: Response) -> str:
    seconds = response.headers.get("retry-after", "").strip()
    return f", for {seconds} s" if seconds.isascii() and seconds.isdigit() and len(seconds) < 8 else ""
