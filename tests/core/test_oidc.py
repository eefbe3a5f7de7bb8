"""The tokens of CI jobs, and the pinned keys of who issues them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from git_auths.core import didkey, oidc
from tests.core.test_didkey import ed25519_blob, p256_blob
from tests.loopback.issuer import CLAIMS, COMMIT, GITHUB, Issuer, b64, jwk_of, rsa_key

KEY = p256_blob(5)
AUDIENCE = didkey.audience(KEY)
GITLAB = {"iss": "https://gitlab.example.com", "sub": "project_path:group/project:ref_type:tag:ref:v1", "sha": COMMIT,
          "project_id": "20", "project_path": "group/project", "pipeline_id": "30", "user_login": "grace",
          "ci_config_ref_uri": "gitlab.example.com/group/project//.gitlab-ci.yml@refs/tags/v1",
          "ref_protected": "true", "runner_id": 4}  # fmt: skip
USER = "3a1f7c9e-0000-4000-8000-000000000001"
CIRCLECI = {"iss": "https://oidc.circleci.com/org/9", "sub": f"org/9/project/8/user/{USER}",
            "oidc.circleci.com/project-id": "8", "oidc.circleci.com/ssh-rerun": False}  # fmt: skip


@pytest.fixture(scope="module")
def github() -> Issuer:
    """Not started: what it mints is judged offline."""
    return Issuer(GITHUB)


def of(name: str, claims: dict[str, Any]) -> Issuer:
    issuer = Issuer(name)
    issuer.claims = {claim: value for claim, value in claims.items() if claim != "iss"}
    return issuer


def read(issuer: Issuer, token: str, key: bytes = KEY) -> oidc.Token:
    return oidc.read(token, key, [issuer.pin()])


def refusal(issuer: Issuer, token: str, key: bytes = KEY) -> str:
    with pytest.raises(oidc.TokenRefused) as caught:
        read(issuer, token, key)
    assert caught.value.reason.isprintable()
    assert len(caught.value.reason) < 400
    return caught.value.code


def parts(token: str) -> list[str]:
    return token.split(".")


def signed_by_nobody(header: bytes, claims: bytes) -> str:
    return f"{b64(header)}.{b64(claims)}.AAAA"


# --- what is good


@pytest.mark.parametrize("kid", ["rsa", "ec"])
def test_a_token_of_github_names_commit_actor_and_workflow(github: Issuer, kid: str) -> None:
    token = read(github, github.mint(AUDIENCE, kid=kid))
    assert token.provider == "GitHub Actions"
    assert token.issuer == GITHUB
    assert token.audience_bound
    assert (token.commit, token.actor, token.identity) == (COMMIT, "ada", CLAIMS["workflow_ref"])
    assert token.expires_at - token.issued_at == 600
    assert token.claims["repository_id"] == "123456"


def test_gitlab_fixes_the_audience_so_its_token_is_labelled_unbound() -> None:
    gitlab = of("https://gitlab.example.com", GITLAB)
    token = read(gitlab, gitlab.mint("git-auths"))
    assert (token.provider, token.audience_bound, token.commit) == ("GitLab CI/CD", False, COMMIT)
    assert (token.actor, token.identity) == ("grace", GITLAB["ci_config_ref_uri"])
    assert not read(gitlab, gitlab.mint("git-auths.example.com")).audience_bound
    assert read(gitlab, gitlab.mint(AUDIENCE)).audience_bound


def test_circleci_names_no_commit() -> None:
    circleci = of("https://oidc.circleci.com/org/9", CIRCLECI)
    token = read(circleci, circleci.mint(AUDIENCE))
    assert (token.provider, token.audience_bound, token.commit) == ("CircleCI", True, None)
    assert (token.actor, token.identity) == (USER, CIRCLECI["sub"])


def test_an_issuer_that_nobody_knows_is_named_as_it_names_itself() -> None:
    other = of("https://ci.example.com", {"sub": "job 7", "sha": COMMIT})
    token = read(other, other.mint("git-auths"))
    assert (token.provider, token.audience_bound, token.commit, token.identity) == (
        "https://ci.example.com", False, None, "job 7")  # fmt: skip


@pytest.mark.parametrize(
    ("name", "claims", "provider"),
    [
        ("https://github.example.com/_services/token", CLAIMS, "GitHub Actions"),
        (GITHUB + "/enterprise", {"sub": "x"}, "GitHub Actions"),
        (GITHUB + ".example.com", {"sub": "x"}, GITHUB + ".example.com"),
        ("https://gitlab.com", {"sub": "x"}, "GitLab CI/CD"),
        ("https://circleci.example.com/org/9", CIRCLECI, "CircleCI"),
    ],
)
def test_a_ci_on_a_host_of_its_own_is_known_by_its_claims(name: str, claims: dict[str, Any], provider: str) -> None:
    issuer = of(name, claims)
    assert read(issuer, issuer.mint(AUDIENCE)).provider == provider


def test_pins_of_one_issuer_in_two_files_count_together(github: Issuer) -> None:
    pin = github.pin()
    halves = [pin._replace(keys=(key,)) for key in pin.keys]
    for kid in ("rsa", "ec"):
        assert oidc.read(github.mint(AUDIENCE, kid=kid), KEY, halves).audience_bound
        assert oidc.read(github.mint(AUDIENCE, kid=kid), KEY, [pin, pin]).audience_bound


# --- what is refused, each with its own reason (attacks 50, 55, 68 and 80)


@pytest.mark.parametrize(
    ("code", "forge"),
    [
        ("other-issuer", lambda g: g.mint(AUDIENCE, iss=GITHUB + "/")),
        ("other-issuer", lambda g: g.mint(AUDIENCE, iss=GITHUB.upper())),
        ("other-issuer", lambda g: g.mint(AUDIENCE, iss=None)),
        ("other-issuer", lambda g: of("https://evil.example", CLAIMS).mint(AUDIENCE)),
        ("unknown-key", lambda g: g.mint(AUDIENCE, kid="another", key=rsa_key())),
        ("unknown-key", lambda g: g.mint(AUDIENCE, kid="", key=rsa_key())),
        ("bad-signature", lambda g: g.mint(AUDIENCE, key=rsa_key(2048, 1))),
        ("bad-signature", lambda g: g.mint(AUDIENCE, kid="ec", key=ec.generate_private_key(ec.SECP256R1()))),
        ("bad-algorithm", lambda g: g.mint(AUDIENCE, algorithm="RS512")),
        ("bad-algorithm", lambda g: g.mint(AUDIENCE, algorithm="PS256")),
        ("bad-algorithm", lambda g: g.mint(AUDIENCE, kid="rsa", key=g.keys["ec"], algorithm="ES256")),
        ("bad-algorithm", lambda g: g.mint(AUDIENCE, kid="ec", key=g.keys["rsa"], algorithm="RS256")),
        ("other-audience", lambda g: g.mint("sigstore")),
        ("other-audience", lambda g: g.mint(AUDIENCE.upper())),
        ("other-audience", lambda g: g.mint(AUDIENCE + " ")),
        ("other-audience", lambda g: g.mint([AUDIENCE])),
        ("other-audience", lambda g: g.mint([AUDIENCE, "sigstore"])),
        ("other-audience", lambda g: g.mint(didkey.audience(ed25519_blob()))),
        ("malformed", lambda g: g.mint({"aud": AUDIENCE})),
        ("malformed", lambda g: g.mint(None)),
        ("malformed", lambda g: g.mint([])),
        ("malformed", lambda g: g.mint(AUDIENCE, iat=None)),
        ("malformed", lambda g: g.mint(AUDIENCE, exp=None)),
        ("malformed", lambda g: g.mint(AUDIENCE, exp=True)),
        ("malformed", lambda g: g.mint(AUDIENCE, iat=1.5)),
        ("malformed", lambda g: g.mint(AUDIENCE, iat="1700000000")),
        ("malformed", lambda g: g.mint(AUDIENCE, exp=10**17)),
        ("malformed", lambda g: g.mint(AUDIENCE, iat=-1)),
        ("malformed", lambda g: g.mint(AUDIENCE, iat=2000, exp=1000)),
        ("malformed", lambda g: g.mint(AUDIENCE, sha="main")),
        ("malformed", lambda g: g.mint(AUDIENCE, sha=COMMIT.replace("1", "A"))),
        ("malformed", lambda g: g.mint(AUDIENCE, sha=7)),
        ("malformed", lambda g: g.mint(AUDIENCE, headers={"crit": ["exp"]})),
        ("malformed", lambda g: g.mint(AUDIENCE, iat=True)),
        ("malformed", lambda g: g.mint(AUDIENCE, padding="x" * 20_000)),
        ("malformed", lambda g: g.mint(AUDIENCE, deep=json.loads("[" * 40 + "]" * 40))),
        ("malformed", lambda g: g.mint(AUDIENCE) + "\n"),
        ("malformed", lambda g: g.mint(AUDIENCE) + "=="),
        ("malformed", lambda g: g.mint(AUDIENCE) + ".x"),
        ("malformed", lambda g: g.mint(AUDIENCE).replace(".", ".!", 1)),
        ("malformed", lambda g: ""),
        ("malformed", lambda g: "a.b.c"),
        ("malformed", lambda g: signed_by_nobody(b"[]", b"{}")),
        ("malformed", lambda g: signed_by_nobody(b'{"alg":"RS256"}', b"\xff")),
    ],
)  # fmt: skip
def test_a_token_that_is_no_evidence_is_refused(github: Issuer, code: str, forge: Callable[[Issuer], str]) -> None:
    assert refusal(github, forge(github)) == code


def test_a_token_that_nobody_signed_is_refused_by_its_algorithm(github: Issuer) -> None:
    header = b64(b'{"alg":"none","kid":"rsa"}')
    claims = parts(github.mint(AUDIENCE))[1]
    assert refusal(github, f"{header}.{claims}.") == "bad-algorithm"
    assert refusal(github, f"{b64(b'{}')}.{claims}.AAAA") == "bad-algorithm"


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_a_token_whose_shared_secret_is_the_public_key_is_refused(github: Issuer, encoding: Encoding) -> None:
    secret = github.keys["rsa"].public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    text = b64(b'{"alg":"HS256","kid":"rsa"}') + "." + parts(github.mint(AUDIENCE))[1]
    mac = hmac.digest(secret, text.encode(), "sha256")
    assert refusal(github, f"{text}.{b64(mac)}") == "bad-algorithm"


def test_a_key_that_the_token_brings_itself_is_not_looked_at(github: Issuer) -> None:
    own = rsa_key(2048, 1)
    forged = github.mint(AUDIENCE, key=own, headers={"jwk": jwk_of(own, "rsa"), "jku": "https://evil.example/jwks"})
    assert refusal(github, forged) == "bad-signature"


def signed(issuer: Issuer, header: bytes, claims: bytes) -> str:
    """What no library would make, with a good signature."""
    text = f"{b64(header)}.{b64(claims)}"
    return f"{text}.{b64(issuer.keys['rsa'].sign(text.encode(), PKCS1v15(), SHA256()))}"


@pytest.mark.parametrize(
    ("header", "more"),
    [
        (b'{"alg":"RS256","kid":"rsa"}', b',"aud":"%s"' % AUDIENCE.encode()),
        (b'{"alg":"RS256","kid":"rsa","kid":"rsa"}', b""),
        (b'{"alg":"RS256","kid":"rsa","b64":true}', b""),
        (b'{"alg":"RS256","kid":"rsa","crit":[]}', b""),
    ],
)
def test_a_token_with_a_name_twice_or_an_extension_is_refused_though_its_signature_is_good(
    github: Issuer, header: bytes, more: bytes
) -> None:
    claims = base64.urlsafe_b64decode(parts(github.mint(AUDIENCE))[1] + "==")
    assert read(github, signed(github, b'{"alg":"RS256","kid":"rsa"}', claims)).audience_bound
    assert refusal(github, signed(github, header, claims[:-1] + more + b"}")) == "malformed"


def test_a_token_that_names_no_key_needs_an_issuer_with_one(github: Issuer) -> None:
    unnamed = github.mint(AUDIENCE, headers={"kid": None})
    assert "kid" not in json.loads(base64.urlsafe_b64decode(parts(unnamed)[0] + "=="))
    assert refusal(github, unnamed) == "unknown-key"
    alone = github.pin()._replace(keys=github.pin().keys[:1])
    assert oidc.read(unnamed, KEY, [alone]).audience_bound


def test_one_kid_that_two_files_give_to_two_keys_names_neither(github: Issuer) -> None:
    other = oidc.issuer(GITHUB, [oidc.pinned_key(jwk_of(rsa_key(2048, 1), "rsa"))])
    with pytest.raises(oidc.TokenRefused, match="more than one pin") as caught:
        oidc.read(github.mint(AUDIENCE), KEY, [github.pin(), other])
    assert caught.value.code == "unknown-key"


@pytest.mark.parametrize("name", ["https://gitlab.example.com", "https://ci.example.com"])
def test_a_published_token_does_not_serve_another_key_of_whatever_ci(name: str) -> None:
    issuer = of(name, GITLAB if "gitlab" in name else {"sub": "x"})
    token = issuer.mint(didkey.audience(ed25519_blob()))
    assert refusal(issuer, token) == "other-audience"


@pytest.mark.parametrize("name", ["https://gitlab.example.com", "https://ci.example.com"])
@pytest.mark.parametrize("audience", [
    "https://vault.example.com", "", "Git-Auths", " git-auths", "https://git-auths", [AUDIENCE], ["git-auths"],
    ["git-auths", "https://vault.example.com"],
])  # fmt: skip
def test_a_token_for_another_service_counts_for_no_ci(name: str, audience: object) -> None:
    issuer = of(name, GITLAB if "gitlab" in name else {"sub": "x"})
    assert refusal(issuer, issuer.mint(audience)) == "other-audience"
    with pytest.raises(oidc.TokenRefused, match="its audience is"):
        oidc.require_ours(issuer.mint(audience))


@pytest.mark.parametrize("rerun", [True, "false", 0, None])
def test_a_job_of_circleci_that_was_rerun_with_ssh_is_refused(rerun: object) -> None:
    circleci = of("https://oidc.circleci.com/org/9", CIRCLECI)
    assert refusal(circleci, circleci.mint(AUDIENCE, **{"oidc.circleci.com/ssh-rerun": rerun})) == "ssh-rerun"


def test_circleci_lets_a_job_choose_so_another_audience_is_refused() -> None:
    circleci = of("https://oidc.circleci.com/org/9", CIRCLECI)
    assert refusal(circleci, circleci.mint("9")) == "other-audience"


def test_reasons_show_claim_values_inert(github: Issuer) -> None:
    with pytest.raises(oidc.TokenRefused) as caught:
        read(github, github.mint("\x1b[2J\u202eevil\n" + "x" * 5000))
    assert caught.value.reason.isascii() and caught.value.reason.isprintable()
    assert len(caught.value.reason) < 400


# --- time


def test_a_token_counts_from_its_issue_to_its_expiry(github: Issuer) -> None:
    token = read(github, github.mint(AUDIENCE, iat=1000, nbf=1000, exp=2000))
    assert [oidc.time_fault(token, when) for when in (1000, 1500, 2000)] == [None] * 3
    codes = [fault.code for when in (999, 2001) if (fault := oidc.time_fault(token, when))]
    assert codes == ["issued-after", "expired-before"]


def test_a_key_counts_until_its_not_after(github: Issuer) -> None:
    key = oidc.pinned_key({**github.jwks["keys"][0], "not_after": "2027-01-01T00:00:00Z"})
    end = 1798761600
    token = oidc.read(github.mint(AUDIENCE, iat=end - 10, exp=end + 10), KEY, [oidc.issuer(GITHUB, [key])])
    assert token.key_not_after == end
    assert oidc.time_fault(token, end) is None
    fault = oidc.time_fault(token, end + 1)
    assert fault is not None and fault.code == "key-retired"


# --- the policy's claims


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        ({}, True),
        ({"issuer": GITHUB}, True),
        ({"issuer": GITHUB + "/"}, False),
        ({"issuer": "https://*"}, False),
        ({"repository_id": "123456"}, True),
        ({"repository_id": "12345*"}, True),
        ({"repository_id": "123457"}, False),
        ({"repository": "Owner/repo"}, False),
        ({"repository": "owner/?epo"}, False),
        ({"workflow_ref": "owner/repo/.github/workflows/release.yml@refs/tags/*"}, True),
        ({"workflow_ref": "owner/repo/.github/workflows/*.yml@refs/tags/v*"}, True),
        ({"workflow_ref": "owner/repo/.github/workflows/release.yml@refs/heads/*"}, False),
        ({"sub": "repo:owner/repo:*"}, True),
        ({"sub": "repo:owner/*:ref:refs/tags/v1.0"}, True),
        ({"sub": "repo:*:ref:refs/tags/v1.0"}, False),
        ({"sub": "repo:**:ref:refs/tags/v1.0"}, True),
        ({"environment": "*"}, False),
        ({"actor": "dependabot[bot]"}, False),
        ({"flag": True}, True),
        ({"flag": False}, False),
        ({"flag": "true"}, False),
        ({"words": True}, False),
        ({"number": "4"}, True),
        ({"number": "*"}, True),
        ({"number": True}, False),
        ({"list": "*"}, False),
        ({"nothing": "*"}, False),
    ],
)
def test_claims_are_matched_exactly_or_by_glob(github: Issuer, wanted: dict[str, Any], matches: bool) -> None:
    token = read(github, github.mint(AUDIENCE, flag=True, words="true", number=4, list=["a"]))
    assert (oidc.mismatch(token, wanted) is None) is matches


def test_a_star_in_a_claim_matches_nothing(github: Issuer) -> None:
    token = read(github, github.mint(AUDIENCE, repository="*", ref="[a-z]"))
    assert oidc.mismatch(token, {"repository": "owner/repo"}) is not None
    assert oidc.mismatch(token, {"ref": "r"}) is not None


def test_a_branch_cannot_be_named_so_that_it_passes_for_a_tag(github: Issuer) -> None:
    ref = "owner/repo/.github/workflows/evil.yml@refs/heads/x/release.yml@refs/tags/v1"
    token = read(github, github.mint(AUDIENCE, workflow_ref=ref))
    wanted = {"workflow_ref": "owner/repo/.github/workflows/*@refs/tags/*"}
    assert oidc.mismatch(token, wanted) is not None


def test_brackets_and_question_marks_are_themselves_in_a_glob_too(github: Issuer) -> None:
    token = read(github, github.mint(AUDIENCE, actor="dependabot[bot]", path="a?b\\c"))
    assert oidc.mismatch(token, {"actor": "dependabot[bot]"}) is None
    assert oidc.mismatch(token, {"actor": "*[bot]"}) is None
    assert oidc.mismatch(token, {"actor": "dependabot[b]*"}) is not None
    assert oidc.mismatch(token, {"path": "a?b\\*"}) is None


def test_the_first_claim_that_differs_is_named_inertly(github: Issuer) -> None:
    token = read(github, github.mint(AUDIENCE, repository="\x1b[31mevil\u202e/" + "x" * 3000))
    sentence = oidc.mismatch(token, {"issuer": GITHUB, "repository": "owner/repo", "ref": "no"})
    assert sentence is not None and "repository" in sentence and "'owner/repo'" in sentence
    assert sentence.isascii() and sentence.isprintable() and len(sentence) < 400


def test_the_identity_is_matched_like_a_claim(github: Issuer) -> None:
    token = read(github, github.mint(AUDIENCE))
    assert oidc.identity_matches(token, "owner/repo/.github/workflows/*")
    assert not oidc.identity_matches(token, "owner/other/*")
    assert not oidc.identity_matches(token._replace(identity=None), "*")


def test_many_stars_cost_no_time(github: Issuer) -> None:
    token = read(github, github.mint(AUDIENCE, long="a" * 10_000))
    assert oidc.mismatch(token, {"long": "*a" * 100 + "b"}) is not None


# --- pins


def test_a_pin_is_written_as_it_is_read(github: Issuer) -> None:
    keys = [*github.jwks["keys"]]
    keys[0] = {**keys[0], "not_after": "2027-01-01T00:00:00Z"}
    pin = oidc.issuer_from_json(json.dumps({"issuer": GITHUB, "jwks": {"keys": keys}}).encode())
    assert pin.keys[0].not_after == 1798761600 and pin.keys[1].not_after is None
    assert oidc.issuer_from_json(oidc.issuer_json(pin)) == pin
    assert set(pin.keys[0].jwk) == {"kty", "n", "e"} and set(pin.keys[1].jwk) == {"kty", "crv", "x", "y"}


def test_the_thumbprint_is_that_of_the_standard() -> None:
    """RFC 7638, section 3.1."""
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3o"
        "knjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZH"
        "zu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEg"
        "U8awapJzKnqDKgw"
    )
    key = oidc.pinned_key({"kty": "RSA", "n": modulus, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"})
    assert oidc.thumbprint(key) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


RSA_JWK, EC_JWK = Issuer(GITHUB).jwks["keys"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda: jwk_of(rsa.generate_private_key(65537, 1024), "k"), "2048"),
        (lambda: {**RSA_JWK, "n": b64(b"\x00" + base64.urlsafe_b64decode(RSA_JWK["n"] + "=="))}, "2048"),
        (lambda: {**RSA_JWK, "n": b64(b"\xff" * 1100)}, "8192"),
        (lambda: {**RSA_JWK, "n": b64(b"\xff" * 255 + b"\xfe")}, "bits"),
        (lambda: {**RSA_JWK, "e": "AQ"}, "exponent"),
        (lambda: {**RSA_JWK, "e": b64(b"\xff" * 9)}, "exponent"),
        (lambda: {**RSA_JWK, "d": "AQAB"}, "private"),
        (lambda: {"kty": "oct", "k": "AAAA", "kid": "k"}, "private"),
        (lambda: {**RSA_JWK, "use": "enc"}, "to sign with"),
        (lambda: {**RSA_JWK, "alg": "RS512"}, "to sign with"),
        (lambda: {**RSA_JWK, "kty": ["RSA"]}, "to sign with"),
        (lambda: {**RSA_JWK, "n": RSA_JWK["n"] + "="}, "base64url"),
        (lambda: {**RSA_JWK, "n": 65537}, "base64url"),
        (lambda: {name: value for name, value in RSA_JWK.items() if name != "n"}, "base64url"),
        (lambda: {**RSA_JWK, "kid": "a\nb"}, "kid"),
        (lambda: {**RSA_JWK, "kid": 7}, "kid"),
        (lambda: {**RSA_JWK, "not_after": 1798761600}, "not_after"),
        (lambda: {**RSA_JWK, "not_after": "2027-01-01"}, "not_after"),
        (lambda: {**RSA_JWK, "notAfter": "2027-01-01T00:00:00Z"}, "not known"),
        (lambda: {**EC_JWK, "crv": "P-384"}, "P-256"),
        (lambda: {**EC_JWK, "x": EC_JWK["y"], "y": EC_JWK["y"]}, "curve"),
        (lambda: {**EC_JWK, "x": b64(b"\x00" + base64.urlsafe_b64decode(EC_JWK["x"] + "=="))}, "32 bytes"),
        (lambda: "key", "not an object"),
    ],
)
def test_a_key_that_no_pin_may_hold_is_refused(change: Callable[[], object], why: str) -> None:
    with pytest.raises(oidc.PinInvalid, match=why):
        oidc.issuer_from_json(json.dumps({"issuer": GITHUB, "jwks": {"keys": [change()]}}).encode())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "not JSON"),
        (b"[]", "exactly issuer and jwks"),
        (b'{"issuer": "https://x"}', "exactly"),
        (b'{"issuer": "https://x", "issuer": "https://y", "jwks": {"keys": []}}', "twice"),
        (b'{"issuer": "https://x", "jwks": {"keys": []}}', "1 to 64"),
        (b'{"issuer": "https://x", "jwks": []}', "jwks"),
        (b'{"issuer": "https://x", "jwks": {"keys": [], "note": 1}}', "jwks"),
        (b" " * (256 * 1024 + 1), "larger"),
        (json.dumps({"issuer": "x", "jwks": {"keys": [RSA_JWK]}}).encode(), "https"),
        (json.dumps({"issuer": "https://x y", "jwks": {"keys": [RSA_JWK]}}).encode(), "https"),
        (json.dumps({"issuer": "https://x", "jwks": {"keys": [RSA_JWK, RSA_JWK]}}).encode(), "same kid"),
        (json.dumps({"issuer": "https://x", "jwks": {"keys": [RSA_JWK] * 65}}).encode(), "1 to 64"),
    ],
)
def test_a_file_that_is_no_pin_is_refused(text: bytes, why: str) -> None:
    with pytest.raises(oidc.PinInvalid, match=why):
        oidc.issuer_from_json(text)


def test_of_a_key_set_only_keys_to_sign_with_are_taken() -> None:
    others = [{"kty": "oct", "kid": "x"}, {**RSA_JWK, "use": "enc"}, {**RSA_JWK, "alg": "PS256"},
              {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}, {**EC_JWK, "crv": "P-521"}, 7]  # fmt: skip
    keys = oidc.signing_keys({"keys": [*others, {**RSA_JWK, "x5t": "abc", "anything": 1}, EC_JWK]})
    assert [key.kid for key in keys] == ["rsa", "ec"]
    for broken in ([], {}, {"keys": "x"}, {"keys": [RSA_JWK] * 65}):
        with pytest.raises(oidc.PinInvalid):
            oidc.signing_keys(broken)


def test_the_digest_of_the_audience_is_the_digest_of_the_key() -> None:
    assert f"git-auths:sha256:{hashlib.sha256(didkey.spki(KEY)).hexdigest()}" == AUDIENCE
