"""The OIDC token of a CI job, as evidence of who held a throwaway key; and the pinned keys of its issuer.

Sources: RFC 7519 (JWT), RFC 7515 (JWS), RFC 7517 and 7518, section 6 (JWK), OpenID Connect Core, section 2; and what
the issuers document of their claims:

- GitHub Actions lets a job choose `aud`. `sha` is the commit that the run is about; in a `pull_request` run that is the
  forge's own merge, which nobody signed, so such a token is evidence for no commit of the branch.
- GitLab fixes `aud` in the job's configuration: its token cannot name a key, so whoever reads it can use it. It is to
  begin with `git-auths`: a token for another service would be published, and serve there.
- CircleCI lets a job choose `aud`, and names no commit. A job that was rerun for somebody to log in counts nothing.

A pin is `{"issuer": "https://...", "jwks": {"keys": [{...JWK, "not_after": "2027-01-01T00:00:00Z"}]}}`; `not_after` is
optional. Claim values are anybody's text: whoever shows them makes them inert first.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from git_auths.core import scope, utctime
from git_auths.core.didkey import audience
from git_auths.core.dsse import load_json

if TYPE_CHECKING:
    from jwt import PyJWK

MAX_TOKEN_CHARS = 16 * 1024
MAX_PIN_BYTES = 256 * 1024
MAX_KEYS = 64
MAX_KID_CHARS = 256
MAX_ISSUER_CHARS = 512
MIN_RSA_BITS, MAX_RSA_BITS = 2048, 8192
LAST_SECOND = 253402300799  # of the year 9999

ALGORITHM = {"RSA": "RS256", "EC": "ES256"}  # by `kty`, and the only one for it
PUBLIC_MEMBERS = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y")}
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
KNOWN_MEMBERS = PRIVATE_MEMBERS | {
    "kty", "n", "e", "crv", "x", "y", "kid", "alg", "use", "key_ops", "x5c", "x5t", "x5t#S256", "x5u", "not_after",
}  # fmt: skip

GITHUB, GITLAB, CIRCLECI = "GitHub Actions", "GitLab CI/CD", "CircleCI"
SSH_RERUN = "oidc.circleci.com/ssh-rerun"
OUR_AUDIENCE = "git-auths"  # how every audience begins that is meant for this, whether or not it names a key
KEY_AUDIENCE = "git-auths:"  # how every audience that names a key begins
COMMIT_CLAIM = {GITHUB: "sha", GITLAB: "sha"}
ACTOR_CLAIM = {GITHUB: "actor", GITLAB: "user_login"}
IDENTITY_CLAIM = {GITHUB: "workflow_ref", GITLAB: "ci_config_ref_uri"}
# Which CI it is: by the address of the hosted ones, else by claims that no other CI has together; GitHub and GitLab run
# on hosts of any name.
HOSTED = {"https://token.actions.githubusercontent.com": GITHUB, "https://gitlab.com": GITLAB,
          "https://oidc.circleci.com": CIRCLECI}  # fmt: skip
MARKS = {GITHUB: {"repository", "workflow_ref"}, GITLAB: {"project_path", "pipeline_id"},
         CIRCLECI: {"oidc.circleci.com/project-id"}}  # fmt: skip

_TOKEN = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)", re.ASCII)
_ISSUER = re.compile(r"https?://[!-~]+", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.ASCII)
_CIRCLECI_USER = re.compile(r"/user/([0-9a-f-]{36})(?:/|\Z)", re.ASCII)
_NOT_STAR = re.compile(r"[?\[\]\\!]", re.ASCII)


class PinInvalid(ValueError):
    """Not a pin of an issuer's keys, or a key that no pin may hold."""


class TokenRefused(ValueError):
    """The token is no evidence. `code` is a short word for programs, `reason` a sentence."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class PinnedKey(NamedTuple):
    """A public key of an issuer: `jwk` has the members that make the key, and no more; `kid` is empty where the issuer
    names none. Nothing that it signs counts after `not_after` (Unix seconds)."""

    kid: str
    jwk: Mapping[str, str]
    not_after: int | None


class Issuer(NamedTuple):
    """`issuer` is exactly what its tokens have as `iss`."""

    issuer: str
    keys: tuple[PinnedKey, ...]


class Token(NamedTuple):
    """A token whose signature and audience are good; whether its time and claims are, the caller asks.

    `provider` names the CI, or is the issuer. `audience_bound`: the audience names the key. `commit` is the one that
    the CI says it ran for, None where it names none. Times in Unix seconds.
    """

    provider: str
    issuer: str
    claims: Mapping[str, object]
    audience_bound: bool
    commit: str | None
    issued_at: int
    expires_at: int
    actor: str | None
    identity: str | None
    key_not_after: int | None


# --- pins


def issuer_from_json(data: bytes) -> Issuer:
    """The pin in `data`; raises PinInvalid. What is not known is refused: a misspelt `not_after` would not count."""
    value = _json(data)
    if not isinstance(value, dict) or value.keys() != {"issuer", "jwks"}:
        raise PinInvalid("not an object of exactly issuer and jwks")
    jwks = value["jwks"]
    if not isinstance(jwks, dict) or jwks.keys() != {"keys"} or not isinstance(jwks["keys"], list):
        raise PinInvalid("jwks is not an object of exactly a list of keys")
    keys = jwks["keys"]
    if not 1 <= len(keys) <= MAX_KEYS:
        raise PinInvalid(f"jwks has not 1 to {MAX_KEYS} keys")
    for key in keys:
        unknown = sorted(key.keys() - KNOWN_MEMBERS) if isinstance(key, dict) else []
        if unknown:
            raise PinInvalid(f"a key has a member that is not known: {_shown(unknown[0])}")
    return issuer(value["issuer"], [pinned_key(key) for key in keys])


def issuer(name: object, keys: Sequence[PinnedKey]) -> Issuer:
    """A pin of `keys`; PinInvalid for a name that is no URL, and for two keys of one kid."""
    if not isinstance(name, str) or len(name) > MAX_ISSUER_CHARS or not _ISSUER.fullmatch(name):
        raise PinInvalid("the issuer is not an https:// address")
    kids = [key.kid for key in keys]
    if len(set(kids)) != len(kids):
        raise PinInvalid("two keys have the same kid")
    return Issuer(name, tuple(keys))


def issuer_json(pin: Issuer) -> bytes:
    """The pin as its file has it: a member a line, so that a change of one key reads as such."""
    keys = [{"kid": key.kid, **key.jwk, **({} if key.not_after is None else {"not_after": utctime.text(key.not_after)})}
            for key in pin.keys]  # fmt: skip
    named = [{member: value for member, value in key.items() if member != "kid" or value} for key in keys]
    return json.dumps({"issuer": pin.issuer, "jwks": {"keys": named}}, indent=2).encode() + b"\n"


def signing_keys(jwks: object) -> tuple[PinnedKey, ...]:
    """The keys of a JSON Web Key Set that can sign as RS256 or ES256; others are left out. PinInvalid: a broken one."""
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(keys, list) or len(keys) > MAX_KEYS:
        raise PinInvalid(f"not a JSON Web Key Set of at most {MAX_KEYS} keys")
    return tuple(pinned_key(key) for key in keys if _is_of_use(key))


def _is_of_use(jwk: object) -> bool:
    algorithm = ALGORITHM.get(str(jwk.get("kty"))) if isinstance(jwk, dict) else None
    if algorithm is None or not isinstance(jwk, dict):
        return False
    wanted = {"use": "sig", "alg": algorithm, "crv": "P-256"}
    return all(jwk.get(name, value) == value for name, value in wanted.items())


def pinned_key(jwk: object) -> PinnedKey:
    """A public key that RS256 or ES256 verifies with (RFC 7518, sections 6.2 and 6.3); raises PinInvalid."""
    if not isinstance(jwk, dict):
        raise PinInvalid("a key is not an object")
    if jwk.keys() & PRIVATE_MEMBERS:
        raise PinInvalid("a key is a private or a secret one")
    if not _is_of_use(jwk):
        raise PinInvalid("a key is not one for RS256, or for ES256 on P-256, to sign with")
    kid, not_after = jwk.get("kid", ""), None
    if not isinstance(kid, str) or len(kid) > MAX_KID_CHARS or not kid.isprintable():
        raise PinInvalid(f"a kid is not a line of at most {MAX_KID_CHARS} characters")
    if "not_after" in jwk:
        try:
            not_after = utctime.seconds(jwk["not_after"])
        except ValueError as error:
            raise PinInvalid(f"not_after: {error}") from None
    members = {name: jwk.get(name) for name in PUBLIC_MEMBERS[jwk["kty"]]}
    numbers = {name: _base64url(value) for name, value in members.items() if name not in ("kty", "crv")}
    (_check_rsa if jwk["kty"] == "RSA" else _check_p256)(**numbers)
    return PinnedKey(kid, {name: str(value) for name, value in members.items()}, not_after)


def _check_rsa(n: bytes, e: bytes) -> None:
    modulus, exponent = int.from_bytes(n, "big"), int.from_bytes(e, "big")
    if not MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS or modulus % 2 == 0 or n[0] == 0:
        raise PinInvalid(f"an RSA key has not {MIN_RSA_BITS} to {MAX_RSA_BITS} bits")
    if not (3 <= exponent < 2**32 and exponent % 2):
        raise PinInvalid("the exponent of an RSA key is even, 1, or above 32 bits")


def _check_p256(x: bytes, y: bytes) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec

    if len(x) != 32 or len(y) != 32:
        raise PinInvalid("a coordinate of a P-256 key has not 32 bytes")
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + x + y)
    except ValueError:
        raise PinInvalid("a P-256 key is no point of the curve") from None


def thumbprint(key: PinnedKey) -> str:
    """The key's SHA-256 thumbprint in base64url (RFC 7638, section 3)."""
    from git_auths.core.sha2 import sha256

    canonical = json.dumps(dict(key.jwk), sort_keys=True, separators=(",", ":"))
    return base64.urlsafe_b64encode(sha256(canonical.encode()).digest()).decode().rstrip("=")


def _json(data: bytes) -> object:
    if len(data) > MAX_PIN_BYTES:
        raise PinInvalid(f"larger than {MAX_PIN_BYTES} bytes")
    try:
        return load_json(data)
    except ValueError as error:
        raise PinInvalid(f"not JSON: {error}") from None


def _base64url(text: object) -> bytes:
    try:
        return _decoded(text)
    except ValueError:
        raise PinInvalid("a number of a key is not base64url") from None


def _decoded(text: object) -> bytes:
    """Base64url without padding, in its one spelling (RFC 7515, section 2; RFC 4648, section 3.5); or ValueError."""
    if not isinstance(text, str) or not text.isascii():
        raise ValueError("not base64url")
    decoded = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if not decoded or base64.urlsafe_b64encode(decoded).decode().rstrip("=") != text:
        raise ValueError("not base64url")
    return decoded


# --- tokens


def read(token: str, key_blob: bytes, issuers: Sequence[Issuer]) -> Token:
    """The token of a job that held the key of the SSH blob `key_blob`; raises TokenRefused.

    Checked: its form, its issuer (pinned), its algorithm and signature, its audience, and what its CI promises of its
    claims. Not checked: its time (`time_fault`), the policy's claims (`mismatch`), and whether its commit is the one.
    """
    header, claims = _segments(token)
    issued_by = claims.get("iss")
    keys = [key for pin in issuers if pin.issuer == issued_by for key in pin.keys]
    algorithm = _algorithm(header)
    if not keys:
        raise TokenRefused("other-issuer", f"its issuer {_shown(issued_by)} is not pinned below .auths/oidc")
    key = _key_named(header, keys)
    _verify(token, key, algorithm)
    return _token(str(issued_by), claims, audience(key_blob), key.not_after)


def _segments(token: str) -> tuple[dict[str, object], dict[str, object]]:
    """Header and claims, by strict rules: PyJWT would take the last of two equal keys, and junk in base64."""
    found = _TOKEN.fullmatch(token) if len(token) <= MAX_TOKEN_CHARS else None
    if found is None:
        raise _malformed(f"it is not three parts of base64url in at most {MAX_TOKEN_CHARS} characters")
    parts = []
    for name, text in zip(("header", "claims"), found.groups(), strict=False):
        try:
            value = load_json(_decoded(text))
        except ValueError as error:
            raise _malformed(f"its {name} cannot be read: {error}") from None
        if not isinstance(value, dict):
            raise _malformed(f"its {name} are not a JSON object")
        parts.append(value)
    return parts[0], parts[1]


def _algorithm(header: Mapping[str, object]) -> str:
    """RS256 or ES256. Any other is refused before a key is looked for: none signs nothing, and the key of an HS256
    would be public here."""
    name = header.get("alg")
    if not isinstance(name, str) or name not in ALGORITHM.values():
        raise TokenRefused("bad-algorithm", f"its algorithm is {_shown(name)}, but must be RS256 or ES256")
    if "crit" in header or "b64" in header:  # RFC 7515, section 4.1.11; RFC 7797
        raise _malformed("its header asks for an extension")
    return name


def _key_named(header: Mapping[str, object], keys: Sequence[PinnedKey]) -> PinnedKey:
    """The one key that the header names; without a name, the only one there is."""
    kid = header.get("kid")
    found = [key for key in keys if kid is None or key.kid == kid]
    if not found or any(key != found[0] for key in found):
        named = "names no key, and several are pinned" if kid is None else f"names the key {_shown(kid)}"
        why = "more than one pin has" if found else "no pin of its issuer has"
        raise TokenRefused("unknown-key", f"it {named}" + ("" if kid is None else f", which {why}"))
    return found[0]


def _verify(token: str, key: PinnedKey, algorithm: str) -> None:
    import jwt

    if algorithm != ALGORITHM[key.jwk["kty"]]:
        kind = ALGORITHM[key.jwk["kty"]]
        raise TokenRefused("bad-algorithm", f"its algorithm is {algorithm}, but its key is one for {kind}")
    # The times are judged as of the trusted time, and the audience by the kind of CI.
    options: Any = dict.fromkeys(("verify_exp", "verify_iat", "verify_nbf", "verify_aud", "verify_iss"), False)
    try:
        jwt.decode(token, _loaded(key, algorithm), algorithms=[algorithm], options=options)
    except jwt.InvalidSignatureError:
        raise TokenRefused("bad-signature", "its signature is not by the pinned key that it names") from None
    except jwt.PyJWTError as error:
        raise _malformed(f"it is no token: {type(error).__name__}") from None


def _loaded(key: PinnedKey, algorithm: str) -> PyJWK:
    from jwt import PyJWK

    return PyJWK(dict(key.jwk), algorithm)


def _token(issued_by: str, claims: Mapping[str, object], wanted_audience: str, not_after: int | None) -> Token:
    provider = _provider(issued_by, claims)
    issued_at, expires_at = _time(claims, "iat"), _time(claims, "exp")
    if expires_at <= issued_at:
        raise _malformed("it expires before it is issued")
    if provider == CIRCLECI and claims.get(SSH_RERUN) is not False:
        raise TokenRefused(
            "ssh-rerun", "its job was rerun for somebody to log in by SSH, or does not say that it was not"
        )
    bound = _is_bound(provider, claims.get("aud"), wanted_audience)
    return Token(provider, issued_by, claims, bound, _commit(provider, claims), issued_at, expires_at,
                 _actor(provider, claims), _identity(provider, claims), not_after)  # fmt: skip


def _provider(issued_by: str, claims: Mapping[str, object]) -> str:
    """Which CI's rules hold. The claims that tell are by the issuer, whose signature is good."""
    for address, provider in HOSTED.items():
        if issued_by == address or issued_by.startswith(address + "/"):
            return provider
    return next((provider for provider, marks in MARKS.items() if marks <= claims.keys()), issued_by)


def _is_bound(provider: str, value: object, wanted: str) -> bool:
    """Does the audience name the key? Refused is an audience that is not for this: a list, even of one, since others
    are meant as well, or could be; a text that does not begin with OUR_AUDIENCE.

    Where a job can choose its audience, any but the wanted one is refused. So is one that names another key, of
    whatever CI: somebody took it from where it was published.
    """
    if value == wanted:
        return True
    _require_ours(value)
    if provider in (GITHUB, CIRCLECI) or str(value).startswith(KEY_AUDIENCE):
        raise TokenRefused("other-audience", f"its audience is {_shown(value)}, not {wanted}")
    return False


def require_ours(token: str) -> None:
    """Raises TokenRefused where the token, as far as it says itself, is meant for another service. Nothing else of it
    is checked."""
    _require_ours(_segments(token)[1].get("aud"))


def _require_ours(value: object) -> None:
    texts = value if isinstance(value, list) else [value]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise _malformed("its audience is no text")
    if not isinstance(value, str):
        raise TokenRefused("other-audience", f"its audience is {_shown(value)}, a list")
    if not value.startswith(OUR_AUDIENCE):
        raise TokenRefused("other-audience", f"its audience is {_shown(value)}, and does not begin with {OUR_AUDIENCE}")


def _commit(provider: str, claims: Mapping[str, object]) -> str | None:
    name = COMMIT_CLAIM.get(provider)
    value = claims.get(name) if name else None
    if value is None:
        return None
    if not isinstance(value, str) or not _COMMIT.fullmatch(value):
        raise _malformed(f"its claim {name} is no commit id")
    return value


def _actor(provider: str, claims: Mapping[str, object]) -> str | None:
    if provider == CIRCLECI:
        found = _CIRCLECI_USER.search(_text(claims, "sub") or "")
        return found[1] if found else None
    return _text(claims, ACTOR_CLAIM.get(provider, ""))


def _identity(provider: str, claims: Mapping[str, object]) -> str | None:
    return _text(claims, IDENTITY_CLAIM.get(provider, "")) or _text(claims, "sub")


def _text(claims: Mapping[str, object], name: str) -> str | None:
    value = claims.get(name)
    return value if isinstance(value, str) else None


def _time(claims: Mapping[str, object], name: str) -> int:
    value = claims.get(name)
    if type(value) is not int or not 0 <= value <= LAST_SECOND:  # a bool is an int
        raise _malformed(f"its claim {name} is no time in whole seconds")
    return value


def time_fault(token: Token, trusted_seconds: int) -> TokenRefused | None:
    """Why the token does not count for what was signed at `trusted_seconds`; None when it does."""
    when = utctime.text(trusted_seconds)
    if trusted_seconds < token.issued_at:
        return TokenRefused("issued-after", f"it was issued at {utctime.text(token.issued_at)}, after the signature's "
                                            f"trusted time {when}")  # fmt: skip
    if trusted_seconds > token.expires_at:
        return TokenRefused("expired-before", f"it expired at {utctime.text(token.expires_at)}, before the signature's "
                                              f"trusted time {when}")  # fmt: skip
    if token.key_not_after is not None and trusted_seconds > token.key_not_after:
        until = utctime.text(token.key_not_after)
        return TokenRefused("key-retired", f"its issuer's key counts until {until}, before the signature's trusted "
                                           f"time {when}")  # fmt: skip
    return None


# --- what a policy asks of the claims


def mismatch(token: Token, wanted: Mapping[str, str | bool]) -> str | None:
    """The first claim that is not as `wanted` ([policy.ci.identity]), as a sentence; None when all are.

    `issuer` is the token's issuer, exactly. A text is matched as `text_matches` says, a number by its digits; a flag is
    that flag and no text. A claim that is missing, or is a list, matches nothing.
    """
    for name, value in wanted.items():
        if name == "issuer":
            if token.issuer != value:
                return f"its issuer is {_shown(token.issuer)}, not {_shown(value)}"
        elif name not in token.claims:
            return f"it has no claim {_shown(name)}"
        elif not _claim_matches(token.claims[name], value):
            return f"its claim {_shown(name)} is {_shown(token.claims[name])}, not {_shown(value)}"
    return None


def identity_matches(token: Token, wanted: str) -> bool:
    """Is the token's identity the text or glob `wanted`?"""
    return token.identity is not None and text_matches(wanted, token.identity)


def text_matches(pattern: str, text: str) -> bool:
    """Is `text` exactly `pattern`; or, where that has a `*`, of its form?

    A `*` stands for any characters but `/`; at the end, or doubled, for any at all. So no part of a branch's name can
    pass for what comes before it. No other character is special: an actor may be `dependabot[bot]`.
    """
    glob = _NOT_STAR.sub(r"\\\g<0>", pattern)
    if glob.endswith("*") and not glob.endswith("**"):
        glob += "*"
    return scope.glob_matches(glob, text.encode("utf-8", "surrogateescape"))


def _claim_matches(claim: object, wanted: str | bool) -> bool:
    if isinstance(claim, bool) or isinstance(wanted, bool):
        return claim is wanted
    if isinstance(claim, int):
        claim = str(claim)
    return isinstance(claim, str) and text_matches(wanted, claim)


def _malformed(reason: str) -> TokenRefused:
    return TokenRefused("malformed", reason)


def _shown(value: object) -> str:
    """A value from the token, short, in ASCII."""
    return f"{value!a}"[:120] if isinstance(value, str) else ascii(value)[:120]
