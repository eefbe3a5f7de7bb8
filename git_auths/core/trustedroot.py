"""Sigstore's trusted root: the transparency logs and time stamping authorities that its user trusts.

Source: sigstore/protobuf-specs, `sigstore_trustroot.proto`, media types 0.1 and 0.2; a client trust configuration,
which holds a trusted root beside addresses to sign with, is read as well. Certificate authorities and their CT logs
are passed over here: only keyless signatures need them (`store/keyless.py`).
"""

from __future__ import annotations

import contextlib
import re
from typing import Any, NamedTuple

from git_auths.core import dsse, timestamp, transparency
from git_auths.core.protojson import Message, MessageInvalid

MAX_BYTES = 1024 * 1024
MAX_INSTANCES = 64  # of each kind
MAX_TEXT_CHARS = 1024
MEDIA_TYPES = frozenset({
    "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    "application/vnd.dev.sigstore.trustedroot+json;version=0.2",
    "application/vnd.dev.sigstore.trustedroot.v0.1+json",
    "application/vnd.dev.sigstore.trustedroot.v0.2+json",
})  # fmt: skip
CLIENT_CONFIG_MEDIA_TYPE = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"

_PARTS = ("mediaType", "tlogs", "certificateAuthorities", "ctlogs", "timestampAuthorities")
_AUTHORITY = ("subject", "uri", "certChain", "validFor", "operator")
_HOST = re.compile(r"(?:https?://)?([A-Za-z0-9.:_-]{1,255})(?:/.*)?", re.DOTALL)


class TrustedRootInvalid(ValueError):
    """The bytes are not a trusted root that this software reads; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TrustedRoot(NamedTuple):
    """Whom signatures may have been shown to."""

    logs: tuple[transparency.Log, ...]
    authorities: tuple[timestamp.Authority, ...]


def parse(data: bytes) -> TrustedRoot:
    """The logs and authorities of a trusted root, JSON of at most 1 MiB; raises TrustedRootInvalid.

    A log that this software cannot use, by its kind of key perhaps, is passed over: it vouches for nothing.
    """
    root = document(data)
    logs = []
    for log in instances(root, "tlogs"):
        with contextlib.suppress(transparency.LogInvalid):
            logs.append(transparency.log_from_json(log))
    try:
        authorities = tuple(authority_chain(entry) for entry in instances(root, "timestampAuthorities"))
    except MessageInvalid as error:
        raise TrustedRootInvalid(error.reason) from None
    return TrustedRoot(tuple(logs), authorities)


def document(data: bytes) -> dict[str, Any]:
    """The trusted root as decoded JSON, of a media type that is known; raises TrustedRootInvalid."""
    if len(data) > MAX_BYTES:
        raise TrustedRootInvalid(f"longer than {MAX_BYTES} bytes")
    try:
        value = dsse.load_json(data)
    except ValueError as error:
        raise TrustedRootInvalid(str(error)) from None
    if isinstance(value, dict) and value.get("mediaType") == CLIENT_CONFIG_MEDIA_TYPE:
        value = value.get("trustedRoot")
    try:
        root = Message(value, "the trusted root", _PARTS)
        if root.text("mediaType", MAX_TEXT_CHARS) not in MEDIA_TYPES:
            raise TrustedRootInvalid("the media type is not that of a Sigstore trusted root of version 0.1 or 0.2")
    except MessageInvalid as error:
        raise TrustedRootInvalid(error.reason) from None
    assert isinstance(value, dict)
    return value


def instances(root: dict[str, Any], part: str) -> list[object]:
    """The entries of one part, such as `tlogs`, of a `document`; raises TrustedRootInvalid."""
    value = root.get(part)
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > MAX_INSTANCES:
        raise TrustedRootInvalid(f"{part} is not a list of at most {MAX_INSTANCES}")
    return value


def authority_chain(entry: object) -> timestamp.Authority:
    """The chain and the window of a CertificateAuthority, whatever it certifies; raises MessageInvalid."""
    message = Message(entry, "an authority", _AUTHORITY)
    uri = message.text("uri", MAX_TEXT_CHARS)
    host = _HOST.fullmatch(uri)
    chain = message.message("certChain", "certificates")
    certificates = chain.messages("certificates", timestamp.MAX_CERTIFICATES, "rawBytes")
    if not certificates:
        raise MessageInvalid("an authority has no certificates")
    valid_from = valid_until = None
    if "validFor" in message:
        window = message.message("validFor", "start", "end")
        valid_from, valid_until = window.seconds("start"), window.seconds("end")
    return timestamp.Authority(
        host[1] if host else "an authority without address",
        tuple(certificate.some_octets("rawBytes") for certificate in certificates),
        valid_from,
        valid_until,
    )
