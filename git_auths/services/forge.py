"""The SSH signing keys of a user at a forge: list, add, delete.

GitHub: REST API, "SSH signing keys" (`/user/ssh_signing_keys`). GitLab: REST API, "User SSH and GPG keys"
(`/user/keys` with `usage_type`). Gitea and Forgejo: `/user/keys`, which are keys that log in; their API has no call
that makes one verified (see Forge.has_signing_keys).
"""

from __future__ import annotations

import json
import random
import time
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from git_auths.core.policywords import utc
from git_auths.core.sshsig import key_type
from git_auths.errors import Error
from git_auths.services.forge_answers import TOKEN_NAME, KeyInUse, explain, is_rate_limit, lacks_scope, text_of, without
from git_auths.services.forge_choice import FORGEJO, GITEA, GITHUB, GITLAB, Forge
from git_auths.services.http import Response, ServiceError, json_object, json_value, request

TIMEOUT_SECONDS = 10.0
TRIES = 3
MAX_WAIT_SECONDS = 60  # what a rate limit may make us wait for, in all
MAX_PAGES = 50
PAGE_SIZE = 100
MAX_TOKEN_CHARACTERS = 2048
MAX_KEY_CHARACTERS = 16 * 1024
PATHS = {GITHUB: "/user/ssh_signing_keys", GITLAB: "/user/keys", GITEA: "/user/keys", FORGEJO: "/user/keys"}
MADE = (200, 201)


class Key(NamedTuple):
    """A key of the account. `blob` is its SSH wire form, empty where what the forge tells is no key; `signs`: it may
    vouch for signatures, as far as the forge tells."""

    id: int
    title: str
    blob: bytes
    signs: bool


def read_token(text: str | None) -> str:
    """The token to use, without the line break that files end with. Raises errors.Error, which does not repeat it."""
    token = (text or "").strip()
    if not token:
        raise Error(f"{TOKEN_NAME} is not set", f"set {TOKEN_NAME} to a token of the user whose key it is to be")
    if len(token) > MAX_TOKEN_CHARACTERS or not (token.isascii() and token.isprintable()) or " " in token:
        raise Error(f"{TOKEN_NAME} holds what cannot be a token: spaces, line breaks or more than ASCII")
    return token


def list_keys(forge: Forge, token: str) -> list[Key]:
    """All keys of the account, page by page. Raises errors.Error."""
    keys: dict[int, Key] = {}
    query: str | None = urlencode({"limit" if forge.kind in (GITEA, FORGEJO) else "per_page": PAGE_SIZE})
    asked: set[str] = set()
    while query is not None and query not in asked:
        if len(asked) == MAX_PAGES:
            raise ServiceError(f"{forge.name} has more than {MAX_PAGES} pages of keys")
        asked.add(query)
        response = _ask(forge, token, "GET", f"{PATHS[forge.kind]}?{query}")
        if response.status != 200:
            raise explain(forge, token, response)
        page = _read_page(forge, token, response)
        grew = any(id not in keys for id in page)
        keys.update(page)
        query = _next_query(forge, response, query, len(keys)) if grew else None
    return list(keys.values())


def add_key(forge: Forge, token: str, key_blob: bytes, title: str, expires_at: int | None = None) -> int:
    """Add the SSH wire public key as one that signs, and return its id. `expires_at`, in seconds since 1970, is for
    forges that let keys expire. Raises errors.Error; KeyInUse where the forge has the key already."""
    content: dict[str, object] = {"title": title, "key": public_line(key_blob)}
    if forge.kind == GITLAB:
        content["usage_type"] = "signing"
        if expires_at is not None:
            content["expires_at"] = utc(expires_at)
    # Repeating the POST does no harm: where the first did arrive, the second is told that the key is there.
    response = _ask(forge, token, "POST", PATHS[forge.kind], json.dumps(content).encode())
    if response.status not in MADE:
        raise explain(forge, token, response)
    id = json_object(response).get("id")
    if type(id) is not int or id <= 0:
        raise ServiceError(f"{forge.name} does not tell the id of the key that it added")
    return id


def delete_key(forge: Forge, token: str, id: int) -> bool:
    """Delete a key; False where there is none of this id any more. Raises errors.Error."""
    response = _ask(forge, token, "DELETE", f"{PATHS[forge.kind]}/{id}")
    if response.status == 404 and not lacks_scope(response, text_of(response, token)):
        return False
    if not 200 <= response.status < 300:
        raise explain(forge, token, response)
    return True


def find_key(keys: list[Key], key_blob: bytes) -> Key | None:
    """The one of `keys` that is this key, and signs where the forge has it in both uses."""
    found = [key for key in keys if key.blob == key_blob]
    return next((key for key in found if key.signs), found[0] if found else None)


def public_line(key_blob: bytes) -> str:
    """The key as `ssh-keygen` writes it, without a comment."""
    return f"{key_type(key_blob).decode('ascii')} {b64encode(key_blob).decode()}"


def _ask(forge: Forge, token: str, method: str, path: str, body: bytes | None = None) -> Response:
    """One request, repeated while a rate limit asks for little patience; `request` repeats what is worth it besides."""
    headers = {"Accept": "application/json", **_authentication(forge, token)}
    if forge.kind == GITHUB:
        headers |= {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    waited = 0
    for _ in range(TRIES - 1):
        response = request(method, forge.url + path, headers=headers, body=body, timeout_seconds=TIMEOUT_SECONDS,
                           tries=TRIES, retry_post=True)  # fmt: skip
        asked = response.headers.get("retry-after", "").strip()
        if not (response.status == 403 and is_rate_limit(response, text_of(response, token)) and asked.isdecimal()):
            return response
        if len(asked) > 4 or waited + int(asked) > MAX_WAIT_SECONDS:
            return response
        waited += int(asked)
        time.sleep(int(asked) + random.uniform(0, 0.25))  # noqa: S311, no secret
    return request(method, forge.url + path, headers=headers, body=body, timeout_seconds=TIMEOUT_SECONDS,
                   tries=TRIES, retry_post=True)  # fmt: skip


def _authentication(forge: Forge, token: str) -> dict[str, str]:
    if forge.kind == GITLAB:
        return {"PRIVATE-TOKEN": token}
    return {"Authorization": f"Bearer {token}" if forge.kind == GITHUB else f"token {token}"}


def _read_page(forge: Forge, token: str, response: Response) -> dict[int, Key]:
    page = json_value(response)
    if not isinstance(page, list):
        raise ServiceError(f"{forge.name} answers with what is no list of keys")
    keys = [key for key in map(_read_key, page) if key is not None]
    return {key.id: key._replace(title=without(token, key.title)) for key in keys}


def _read_key(value: object) -> Key | None:
    if not isinstance(value, dict):
        return None
    id, title, key = value.get("id"), value.get("title"), value.get("key")
    if type(id) is not int or id <= 0 or not isinstance(key, str):
        return None
    usage = value.get("usage_type", "auth_and_signing")  # GitLab's
    return Key(id, title if isinstance(title, str) else "", _blob(key), usage in ("auth_and_signing", "signing"))


def _blob(line: str) -> bytes:
    words = line[:MAX_KEY_CHARACTERS].split()
    try:
        return b64decode(words[1], validate=True) if len(words) > 1 else b""
    except (Base64Error, ValueError):
        return b""


def _next_query(forge: Forge, response: Response, query: str, known: int) -> str | None:
    """The query of the page after this one. Of a Link (RFC 8288) only the query counts: behind a proxy its host can be
    another than ours, and the token goes to none but ours. Gitea and Forgejo send no Link here, but the number of all
    keys, and cut a page to less than was asked for."""
    link = response.headers.get("link", "")
    if link or forge.kind not in (GITEA, FORGEJO):
        return _query_of_next(link)
    total = response.headers.get("x-total-count", "").strip()
    if total.isdecimal() and len(total) < 10 and known >= int(total):
        return None
    fields = dict(parse_qsl(query))
    return urlencode({**fields, "page": int(fields.get("page", "1")) + 1})


def _query_of_next(link: str) -> str | None:
    for part in link.split(","):
        target, *parameters = part.split(";")
        if any(parameter.strip().lower() in ('rel="next"', "rel=next") for parameter in parameters):
            try:
                return urlencode(parse_qsl(urlsplit(target.strip().strip("<>")).query)) or None
            except ValueError:
                return None
    return None


__all__ = ["Forge", "Key", "KeyInUse", "add_key", "delete_key", "find_key", "list_keys", "public_line", "read_token"]
