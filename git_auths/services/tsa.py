"""A time stamping authority on the network (RFC 3161): one signature goes out as its digest, a token comes back.

The answer is checked for what the request asked; whether the authority is one to be trusted, a verifier decides
(`core/timestamp.py`). Plain http is allowed: RFC 3161 tokens are signed, and many authorities offer nothing else.
"""

from __future__ import annotations

from git_auths.core import timestamp
from git_auths.services import http
from git_auths.services.http import ServiceError

TIMEOUT_SECONDS = 15.0


def stamp(url: str, signature: bytes, timeout_seconds: float = TIMEOUT_SECONDS) -> bytes:
    """The authority's TimeStampResp in DER over `signature` (its decoded bytes); raises ServiceError."""
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    request = TimestampRequestBuilder().data(signature).hash_algorithm(HashAlgorithm.SHA256).build()
    response = http.request(
        "POST",
        url,
        # RFC 3161, section 3.4.
        headers={"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"},
        body=request.as_bytes(),
        timeout_seconds=timeout_seconds,
        max_bytes=timestamp.MAX_RESPONSE_BYTES,
        plain_http=True,
        retry_post=True,  # a second token for the same signature does no harm
    )
    if response.status != 200:
        raise http.refused(response)
    if response.body.lstrip()[:1] == b"<":
        raise ServiceError(
            f"{response.host} answered with a web page, not a timestamp",
            "is this the address of the authority itself, and does no login page stand before it?",
        )
    assert request.nonce is not None
    try:
        timestamp.match_request(response.body, signature, request.nonce)
    except timestamp.TimestampInvalid as error:
        raise ServiceError(f"{response.host} answered with no usable timestamp: {error.reason}",
                           "try another time stamping authority") from None  # fmt: skip
    return response.body
