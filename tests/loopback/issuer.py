"""An OIDC issuer on loopback: discovery, keys, a token endpoint like GitHub Actions', and whatever else a test mints.

with Issuer() as issuer:
    pins = [issuer.pin()]
    token = issuer.mint("the audience", sha="...")
"""

from __future__ import annotations

import base64
import json
import threading
import time
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from git_auths.core import oidc

GITHUB = "https://token.actions.githubusercontent.com"
REQUEST_TOKEN = "request-token-that-no-output-may-show"
COMMIT = "1" * 40
CLAIMS: dict[str, Any] = {
    "sub": "repo:owner/repo:ref:refs/tags/v1.0", "sha": COMMIT, "repository": "owner/repo", "repository_id": "123456",
    "repository_owner": "owner", "workflow_ref": "owner/repo/.github/workflows/release.yml@refs/tags/v1.0",
    "ref": "refs/tags/v1.0", "event_name": "push", "actor": "ada", "run_id": "77", "runner_environment": "github-hosted",
}  # fmt: skip
LIFETIME_SECONDS = 600


@lru_cache(maxsize=4)
def rsa_key(bits: int = 2048, number: int = 0) -> rsa.RSAPrivateKey:
    """Generating one takes a good part of a second; `number` tells keys apart."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def jwk_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, kid: str) -> dict[str, Any]:
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        size = (numbers.n.bit_length() + 7) // 8
        return {"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": b64(numbers.n.to_bytes(size, "big")),
                "e": "AQAB"}  # fmt: skip
    point = key.public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "alg": "ES256", "x": b64(point.x.to_bytes(32, "big")),
            "y": b64(point.y.to_bytes(32, "big"))}  # fmt: skip


class Issuer:
    """`keys` are private, by kid; `jwks` and `discovery` are what it publishes, for a test to change.

    `name` is the `iss` of what it mints: its own address, unless the test gives another. `answer` replaces what the
    token endpoint says: (status, content type, body). `requests` holds the audiences that it was asked for.
    """

    def __init__(self, name: str | None = None) -> None:
        self.keys: dict[str, Any] = {"rsa": rsa_key(), "ec": ec.generate_private_key(ec.SECP256R1())}
        self.jwks: dict[str, Any] = {"keys": [jwk_of(key, kid) for kid, key in self.keys.items()]}
        self.claims = dict(CLAIMS)
        self.answer: tuple[int, str, bytes] | None = None
        self.requests: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.name = name or self.url
        self.discovery: dict[str, Any] = {"issuer": self.url, "jwks_uri": f"{self.url}/jwks"}

    def __enter__(self) -> Issuer:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def environment(self) -> dict[str, str]:
        """What a job of GitHub Actions that may ask for tokens has in its environment."""
        return {"GITHUB_ACTIONS": "true", "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.url}/token?api-version=2.0",
                "ACTIONS_ID_TOKEN_REQUEST_TOKEN": REQUEST_TOKEN}  # fmt: skip

    def pin(self) -> oidc.Issuer:
        return oidc.issuer(self.name, [oidc.pinned_key(key) for key in self.jwks["keys"]])

    def pin_file(self) -> bytes:
        """What .auths/oidc/NAME.json has to hold."""
        return oidc.issuer_json(self.pin())

    def mint(self, aud: Any, *, kid: str = "rsa", algorithm: str | None = None, key: Any = None,
             headers: dict[str, Any] | None = None, **claims: Any) -> str:  # fmt: skip
        """A token for `aud` that is good from now; `claims` replace those of `self.claims`, and None takes one out.

        `key` signs in place of that of `kid`, and `headers` come on top. A claim whose name is no word of Python's
        goes in by `**{"oidc.circleci.com/ssh-rerun": False}`.
        """
        now = int(time.time())
        merged = {**self.claims, "iss": self.name, "aud": aud, "iat": now, "nbf": now, "exp": now + LIFETIME_SECONDS,
                  "jti": "1", **claims}  # fmt: skip
        body = {name: value for name, value in merged.items() if value is not None}
        default = "ES256" if kid == "ec" else "RS256"
        header = {name: value for name, value in {"kid": kid, **(headers or {})}.items() if value is not None}
        return jwt.encode(body, key or self.keys.get(kid), algorithm or default, headers=header, sort_headers=False)


def _handler(issuer: Issuer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/.well-known/openid-configuration":
                self.reply(200, issuer.discovery)
            elif parts.path == "/jwks":
                self.reply(200, issuer.jwks)
            elif parts.path == "/token":
                self.token(parse_qs(parts.query).get("audience", [""])[0])
            else:
                self.reply(404, {})

        def token(self, audience: str) -> None:
            issuer.requests.append(audience)
            if self.headers.get("Authorization") != f"bearer {REQUEST_TOKEN}":
                self.reply(401, {"message": "who are you?"})
            elif issuer.answer is not None:
                self.send(*issuer.answer)
            else:
                self.reply(200, {"count": 1, "value": issuer.mint(audience)})

        def reply(self, status: int, value: object) -> None:
            self.send(status, "application/json", json.dumps(value).encode())

        def send(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
