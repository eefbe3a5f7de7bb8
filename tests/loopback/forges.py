"""Forges on loopback: HTTP servers that keep keys of accounts, and answer as GitHub, GitLab, Gitea and Forgejo do.

They follow the REST documentation of GitHub ("SSH signing keys", "Rate limits", "Troubleshooting") and GitLab ("User SSH
and GPG keys", "Pagination"), and Gitea's and Forgejo's swagger.
"""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
import time
from base64 import b64decode
from collections import deque
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

TOKEN = "tok-of-ada-0123456789"
JOB_TOKEN = "ghs_0123456789abcdef"

PATHS = {
    "GitHub": ("", "/user/ssh_signing_keys"),
    "GitLab": ("/api/v4", "/user/keys"),
    "Gitea": ("/api/v1", "/user/keys"),
    "Forgejo": ("/api/v1", "/user/keys"),
}
SCOPES = {"GitHub": "admin:ssh_signing_key", "GitLab": "api", "Gitea": "write:user", "Forgejo": "write:user"}


class Request(NamedTuple):
    """What arrived; `headers` by their lower-case names."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Answer(NamedTuple):
    """What is sent back, after `delay_seconds`."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = {}  # noqa: RUF012, never changed
    delay_seconds: float = 0


def json_answer(status: int, value: object, **headers: str) -> Answer:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **named})


def html(status: int) -> Answer:
    return Answer(status, b"<!DOCTYPE html><title>Sign in</title>", {"Content-Type": "text/html; charset=utf-8"})


class Forge:
    """One forge of this kind with one account, whose keys are `keys`: id -> {"id", "title", "key", ...}.

    `scopes` are what each token may do; `elsewhere` holds the keys (their lines) of other accounts; `next` are answers
    to give before any real one; `pages` is how many keys a page has at most. `requests` is all that arrived.
    """

    def __init__(self, kind: str, certificate: tuple[Path, Path] | None = None) -> None:
        self.kind = kind
        self.prefix, self.path = PATHS[kind]
        self.keys: dict[int, dict[str, Any]] = {}
        self.scopes = {TOKEN: {SCOPES[kind]}, JOB_TOKEN: {"job"}}
        self.elsewhere: set[str] = set()
        self.next: deque[Answer] = deque()
        self.after_posting: deque[Answer] = deque()
        self.pages = 30
        self.last_id = 100
        self.requests: list[Request] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.url = f"{'https' if certificate else 'http'}://{self.host}{self.prefix}"

    def __enter__(self) -> Forge:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def hold(self, title: str, line: str, **more: Any) -> int:
        """Give the account a key."""
        self.last_id += 1
        self.keys[self.last_id] = {"id": self.last_id, "title": title, "key": line, **more}
        return self.last_id

    def said(self) -> list[tuple[str, str]]:
        """The method and path of each request."""
        return [(request.method, urlsplit(request.target).path.removeprefix(self.prefix)) for request in self.requests]

    def answer(self, request: Request) -> Answer:
        if self.next:
            return self.next.popleft()
        target = urlsplit(request.target)
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        if target.path == self.prefix + self.path:
            if request.method == "GET":
                return self._list(parse_qs(target.query))
            if request.method == "POST":
                made = self._add(request.json)
                return self.after_posting.popleft() if self.after_posting else made
        id = target.path.removeprefix(f"{self.prefix}{self.path}/")
        if request.method == "DELETE" and id.isdecimal() and int(id) in self.keys:
            del self.keys[int(id)]
            return Answer(204)
        return self._not_found()

    def _refusal(self, request: Request) -> Answer | None:
        token = self._token(request)
        if token not in self.scopes:
            words = {"GitHub": "Bad credentials", "GitLab": "401 Unauthorized"}.get(
                self.kind, "invalid username, password or token"
            )
            return json_answer(401, {"message": words})
        if SCOPES[self.kind] in self.scopes[token]:
            return None
        if self.kind == "GitHub":
            if token.startswith("ghs_"):
                return json_answer(403, {"message": "Resource not accessible by integration"})
            return json_answer(404, {"message": "Not Found"}, X_OAuth_Scopes=", ".join(self.scopes[token]),
                               X_Accepted_OAuth_Scopes="admin:ssh_signing_key")  # fmt: skip
        if self.kind == "GitLab":
            return json_answer(403, {"error": "insufficient_scope", "scope": "api",
                                     "error_description": "The request requires higher privileges than provided by the access token."})  # fmt: skip
        return json_answer(403, {"message": "token does not have at least one of required scope(s): [write:user]"})

    def _token(self, request: Request) -> str:
        if self.kind == "GitLab":
            return request.headers.get("private-token", "")
        word = "Bearer " if self.kind == "GitHub" else "token "
        return request.headers.get("authorization", "").removeprefix(word)

    def _list(self, query: dict[str, list[str]]) -> Answer:
        asked = int(query.get("limit" if self.prefix == "/api/v1" else "per_page", ["30"])[0])
        size, page = min(self.pages, asked), int(query.get("page", ["1"])[0])
        keys = list(self.keys.values())
        shown = keys[size * (page - 1) : size * page]
        if self.prefix == "/api/v1":
            return json_answer(200, shown, X_Total_Count=str(len(keys)))
        if len(keys) <= size * page:
            return json_answer(200, shown)
        # As behind a proxy: the forge does not know by which host it was asked.
        link = f'<https://inside.example{self.prefix}{self.path}?page={page + 1}&per_page={asked}>; rel="next", <https://inside.example/>; rel="last"'
        return json_answer(200, shown, Link=link)

    def _add(self, content: dict[str, Any]) -> Answer:
        line, title = content["key"], content["title"]
        words = line.split()
        if len(words) < 2 or words[0] not in ("ssh-ed25519", "ecdsa-sha2-nistp256") or not b64decode(words[1]):
            return self._invalid()
        if line in self.elsewhere or any(key["key"].split()[:2] == words[:2] for key in self.keys.values()):
            return self._duplicate()
        more = {name: content[name] for name in ("usage_type", "expires_at") if name in content}
        return json_answer(201, self.keys[self.hold(title, line, **more)])

    def _duplicate(self) -> Answer:
        if self.kind == "GitHub":
            return json_answer(422, {"message": "Validation Failed", "errors": [
                {"resource": "PublicKey", "code": "custom", "field": "key", "message": "key is already in use"}]})  # fmt: skip
        if self.kind == "GitLab":
            return json_answer(400, {"message": {"fingerprint_sha256": ["has already been taken"]}})
        return json_answer(422, {"message": "Key content has been used as non-deploy key", "url": "/api/swagger"})

    def _invalid(self) -> Answer:
        if self.kind == "GitHub":
            return json_answer(422, {"message": "Validation Failed", "errors": [
                {"resource": "PublicKey", "code": "custom", "field": "key", "message": "key is invalid. You must supply a key in OpenSSH public key format"}]})  # fmt: skip
        if self.kind == "GitLab":
            return json_answer(400, {"message": {"key": ["is invalid"]}})
        return json_answer(422, {"message": "Invalid key content: ssh: no key found"})

    def _not_found(self) -> Answer:
        return json_answer(404, {"message": "404 Key Not Found" if self.kind == "GitLab" else "Not Found"})


def _handler(forge: Forge) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            request = Request(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            forge.requests.append(request)
            answer = forge.answer(request)
            time.sleep(answer.delay_seconds)
            with contextlib.suppress(ConnectionError):  # whoever asked has given up
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

        do_GET = do_POST = do_DELETE = _serve

        def log_message(self, *args: object) -> None:
            pass

    return Handler


def self_signed(folder: Path) -> tuple[Path, Path]:
    """The files of a certificate for 127.0.0.1 that nobody vouches for, and of its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths
