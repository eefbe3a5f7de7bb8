from __future__ import annotations

import json
import os
from base64 import b64encode
from pathlib import Path

import pytest

from git_auths.core import trustedroot
from git_auths.core.trustedroot import TrustedRootInvalid
from tests.loopback.rekor import Log
from tests.loopback.tsa import PURPOSE, Issued

FOLDER = os.environ.get("AUTHS_CONFORMANCE")  # read before the tests' clean environment drops it
MEDIA_TYPE = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"


def authority(*issued: Issued, **fields: object) -> dict[str, object]:
    certificates = [{"rawBytes": b64encode(one.der).decode()} for one in issued]
    return {"uri": "https://tsa.example/api/v1/timestamp", "certChain": {"certificates": certificates}, **fields}


def root(**parts: object) -> bytes:
    return json.dumps({"mediaType": MEDIA_TYPE, **parts}).encode()


def refusal(data: bytes) -> str:
    with pytest.raises(TrustedRootInvalid) as caught:
        trustedroot.parse(data)
    return caught.value.reason


@pytest.mark.parametrize("media_type", sorted(trustedroot.MEDIA_TYPES))
def test_logs_and_authorities_are_read_from_each_version(media_type: str) -> None:
    ca = Issued("ca", ca=True)
    leaf = Issued("leaf", ca, purpose=PURPOSE)
    window = {"start": "2025-04-09T00:00:00Z", "end": "2026-12-31T23:59:59.999Z"}
    news = {"operator": "example"} if "0.2" in media_type else {}
    data = root(mediaType=media_type, tlogs=[Log("log.example").instance() | news],
                timestampAuthorities=[authority(leaf, ca, validFor=window, **news)],
                certificateAuthorities=["passed over"], ctlogs=["passed over"])  # fmt: skip
    found = trustedroot.parse(data)
    assert [log.name for log in found.logs] == ["log.example"]
    [read] = found.authorities
    assert read.name == "tsa.example"
    assert read.certificates == (leaf.der, ca.der)
    assert (read.valid_from, read.valid_until) == (1744156800, 1798761599)


def test_a_log_that_cannot_be_used_vouches_for_nothing() -> None:
    usable = Log("log.example").instance()
    other = {**usable, "publicKey": {**usable["publicKey"], "keyDetails": "PKIX_OF_THE_FUTURE"}}
    found = trustedroot.parse(root(tlogs=[other, usable, {}]))
    assert [log.name for log in found.logs] == ["log.example"]


def test_an_authority_without_window_is_valid_as_long_as_its_certificates() -> None:
    [read] = trustedroot.parse(root(timestampAuthorities=[authority(Issued("ca", ca=True))])).authorities
    assert (read.valid_from, read.valid_until) == (None, None)


def test_the_trusted_root_of_a_client_configuration_is_read() -> None:
    inner = json.loads(root(tlogs=[Log("log.example").instance()]))
    config = {"mediaType": trustedroot.CLIENT_CONFIG_MEDIA_TYPE, "trustedRoot": inner, "signingConfig": {"any": 1}}
    assert len(trustedroot.parse(json.dumps(config).encode()).logs) == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"[]", "the trusted root is not an object"),
        (b"{", "Expecting"),
        (b'{"mediaType":"a","mediaType":"b"}', "twice"),
        (root(mediaType="application/vnd.dev.sigstore.trustedroot+json;version=0.3"), "media type"),
        (root(strange=1), "unknown field 'strange'"),
        (root(tlogs={}), "tlogs is not a list"),
        (root(tlogs=[{}] * 65), "tlogs is not a list of at most 64"),
        (root(timestampAuthorities=["x"]), "an authority is not an object"),
        (root(timestampAuthorities=[authority()]), "an authority has no certificates"),
        (root(timestampAuthorities=[authority(*[Issued("ca", ca=True)] * 11)]), "certificates"),
        (root(timestampAuthorities=[{"certChain": {"certificates": [{"rawBytes": "*"}]}}]), "base64"),
        (root(timestampAuthorities=[authority(Issued("ca", ca=True), validFor={"start": "yesterday"})]), "time"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_trusted_root_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    assert reason in refusal(data)


def test_a_trusted_root_is_bounded() -> None:
    assert refusal(b" " * (1024 * 1024 + 1)) == "longer than 1048576 bytes"


@pytest.mark.skipif(FOLDER is None, reason="AUTHS_CONFORMANCE names no folder with trusted roots of others")
def test_the_trusted_roots_of_sigstores_own_deployments_are_read() -> None:
    files = sorted(Path(str(FOLDER), "sigstore").rglob("*trusted_root.json"))
    assert files
    for file in files:
        found = trustedroot.parse(file.read_bytes())
        assert found.logs and found.authorities
