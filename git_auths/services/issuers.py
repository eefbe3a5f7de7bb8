"""The keys that an OIDC issuer publishes: OpenID Connect Discovery 1.0, section 4."""

from __future__ import annotations

from git_auths.core.oidc import Issuer, PinInvalid, issuer, signing_keys
from git_auths.services.http import ServiceError, json_object, refused, request


def discover(url: str) -> Issuer:
    """The issuer at `url` with its keys for RS256 and ES256; ServiceError when it publishes none that count."""
    configuration = _document(url.rstrip("/") + "/.well-known/openid-configuration")
    if configuration.get("issuer") != url:
        raise ServiceError(f"{url} calls itself {str(configuration.get('issuer'))[:200]}, and tokens say that name",
                           "pin it by exactly the name that it gives itself, if that is whom you mean")  # fmt: skip
    keys_at = configuration.get("jwks_uri")
    if not isinstance(keys_at, str) or (url.startswith("https:") and not keys_at.startswith("https:")):
        raise ServiceError(f"{url} does not say where its keys are, by https")
    try:
        found = issuer(url, signing_keys(_document(keys_at)))
    except PinInvalid as error:
        raise ServiceError(f"the keys of {url} cannot be pinned: {error}") from None
    if not found.keys:
        raise ServiceError(f"{url} publishes no key for RS256 or ES256")
    return found


def _document(url: str) -> dict[str, object]:
    response = request("GET", url, headers={"Accept": "application/json"})
    if response.status != 200:
        raise refused(response, "is this the issuer's address, as its tokens have it in `iss`?")
    return json_object(response)
