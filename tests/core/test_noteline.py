"""A line of a note is an envelope, or a bundle that holds one."""

from __future__ import annotations

import json

import pytest

from git_auths.core import bundle, dsse, noteline, opensshkey
from tests.loopback.rekor import Log, dsse_body

KEY = opensshkey.generate()


def envelope(payload: bytes = b"{}") -> dsse.Envelope:
    return dsse.sign(payload, KEY.public_blob, lambda data: dsse.signature_from_ssh(KEY.sign(data)))


def test_an_envelope_alone_has_no_evidence() -> None:
    assert noteline.parse(dsse.serialise(envelope())) == noteline.Line(envelope())


def test_a_bundle_brings_its_evidence() -> None:
    log = Log()
    entry = log.entry(log.append(dsse_body(b"{}", b"s", b"p")))
    line = bundle.serialise(envelope(), KEY.public_blob, [b"one", b"two"], [entry])
    assert noteline.parse(line) == noteline.Line(envelope(), (b"one", b"two"), (entry,))


def of_another_type() -> bytes:
    value = json.loads(bundle.serialise(envelope(), KEY.public_blob))
    value["dsseEnvelope"]["payloadType"] = "text/plain"
    return json.dumps(value).encode()


@pytest.mark.parametrize("line", [
    b"", b"{}", b'{"verificationMaterial":1}', b'{"verificationMaterial":' + b"[" * 100, of_another_type(),
    dsse.serialise(envelope()) + b" " * dsse.MAX_ENVELOPE_BYTES,
    bundle.serialise(envelope(), KEY.public_blob) + b" " * dsse.MAX_ENVELOPE_BYTES,
], ids=range(7))  # fmt: skip
def test_anything_else_is_refused(line: bytes) -> None:
    with pytest.raises(dsse.EnvelopeInvalid):
        noteline.parse(line)
