from __future__ import annotations

import json
import os
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sigstore_models.bundle.v1 import Bundle as SigstoreBundle

from git_auths.core import bundle, dsse
from git_auths.core.bundle import BundleInvalid, InclusionProof, LogEntry, parse
from git_auths.core.protojson import octets
from git_auths.core.sshsig import fingerprint
from tests.core.test_dsse import SIGNERS, Signer, p256_signer

CONFORMANCE = os.environ.get("AUTHS_CONFORMANCE")  # a fixture clears the environment
PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1"}'
V1 = "application/vnd.dev.sigstore.bundle+json;version=0.1"
V2 = "application/vnd.dev.sigstore.bundle+json;version=0.2"
V3 = "application/vnd.dev.sigstore.bundle.v0.3+json"
V3_OLD = "application/vnd.dev.sigstore.bundle+json;version=0.3"

PROOF = InclusionProof(
    3, bytes(32), 9, (b"\x01" * 32, b"\x02" * 32), "log.example\n9\nAAA=\n\n\u2014 log.example AAAAAAA=\n"
)
ENTRY = LogEntry(70, b"\x05" * 32, "dsse", "0.0.1", 1_800_000_000, b"promise", PROOF, b'{"kind":"dsse"}')
V2_ENTRY = LogEntry(0, b"\x06" * 32, "hashedrekord", "0.0.2", 0, None, PROOF._replace(log_index=0, hashes=()), b"{}")

CERTIFICATE = {"certificate": {"rawBytes": "Y2VydA=="}}
CHAIN = {"x509CertificateChain": {"certificates": [{"rawBytes": "Y2VydA=="}, {"rawBytes": "Y2E="}]}}
PLAIN = {"publicKey": {"hint": "SHA256:x"}}
MESSAGE = {"messageDigest": {"algorithm": "SHA2_256", "digest": b64encode(bytes(32)).decode()}, "signature": "c2ln"}
ENVELOPE = {"payload": "e30=", "payloadType": "text/plain", "signatures": [{"sig": "c2ln"}]}

Json = dict[str, Any]


def bundled(media_type: str = V3, key: Json = CERTIFICATE, entries: Any = (ENTRY,), **content: Any) -> Json:
    """A bundle's JSON of the parts given; the content is a message signature unless another is given."""
    written = [bundle.entry_to_json(entry) for entry in entries]
    material = {**key, "tlogEntries": written}
    return {"mediaType": media_type, "verificationMaterial": material, **(content or {"messageSignature": MESSAGE})}


def read(value: Json) -> bundle.Bundle:
    return parse(json.dumps(value).encode())


def refused(value: Json) -> str:
    with pytest.raises(BundleInvalid) as caught:
        read(value)
    assert caught.value.reason == str(caught.value)
    assert "\n" not in caught.value.reason
    return caught.value.reason


def changed(path: str, change: object, value: Json | None = None) -> Json:
    """The bundle with the field at `path` (names and numbers, with dots) set to `change`, or taken out (...)."""
    copy: Any = json.loads(json.dumps(value or bundled()))
    *above, last = [int(name) if name.isdigit() else name for name in path.split(".")]
    inner = copy
    for name in above:
        inner = inner[name]
    if change is ...:
        del inner[last]
    else:
        inner[last] = change
    return copy


@pytest.mark.parametrize(
    ("media_type", "version", "key"),
    [(V1, "0.1", CHAIN), (V2, "0.2", CHAIN), (V3, "0.3", CERTIFICATE), (V3_OLD, "0.3", CERTIFICATE),
     (V1, "0.1", PLAIN), (V2, "0.2", PLAIN), (V3, "0.3", PLAIN)],
)  # fmt: skip
def test_each_version_is_read_with_its_forms_of_key(media_type: str, version: str, key: Json) -> None:
    parsed = read(bundled(media_type, key))
    assert (parsed.version, parsed.entries) == (version, (ENTRY,))
    assert parsed.hint == ("SHA256:x" if key is PLAIN else None)
    assert parsed.certificates == {0: (b"cert", b"ca"), 1: (b"cert",), 2: ()}[[CHAIN, CERTIFICATE, PLAIN].index(key)]
    assert parsed.message == bundle.MessageSignature("SHA2_256", bytes(32), b"sig")
    SigstoreBundle.from_json(json.dumps(bundled(media_type, key)))


@pytest.mark.parametrize(("media_type", "key"), [(V1, CERTIFICATE), (V2, CERTIFICATE), (V3, CHAIN), (V3_OLD, CHAIN)])
def test_a_form_of_key_of_another_version_is_refused(media_type: str, key: Json) -> None:
    assert "has no" in refused(bundled(media_type, key))


def test_exactly_one_key_and_one_content_stand_in_a_bundle() -> None:
    assert "where it must have one" in refused(bundled(key={}))
    assert "where it must have one" in refused(bundled(key={**PLAIN, **CERTIFICATE}))
    assert "where it must have one" in refused(bundled(messageSignature=MESSAGE, dsseEnvelope=ENVELOPE))
    assert "where it must have one" in refused(bundled(messageSignature=None))
    assert refused(bundled(V2, {"x509CertificateChain": {"certificates": []}})) == "the certificate chain is empty"


@pytest.mark.parametrize(
    "media_type",
    ["", "application/json", "application/vnd.dev.sigstore.bundle.v0.4+json", "application/vnd.dev.sigstore.bundle+json",
     "application/vnd.dev.sigstore.bundle.v0.2+json", V3.upper(), V3 + " ", "x" * 2000, 3, None],
)  # fmt: skip
def test_any_other_media_type_is_refused(media_type: Any) -> None:
    assert "media type" in refused(bundled(media_type)) or "mediaType" in refused(bundled(media_type))


def test_v0_1_requires_promises_and_the_others_proofs() -> None:
    promised, proven = ENTRY._replace(proof=None), ENTRY._replace(signed_entry_timestamp=None)
    assert read(bundled(V1, CHAIN, [promised])).entries == (promised,)
    assert "no inclusion promise" in refused(bundled(V1, CHAIN, [proven]))
    for media_type, key in ((V2, CHAIN), (V3, CERTIFICATE)):
        assert read(bundled(media_type, key, [proven])).entries == (proven,)
        assert "no inclusion proof" in refused(bundled(media_type, key, [promised]))
        assert "no inclusion proof" in refused(bundled(media_type, key, [V2_ENTRY, promised]))


@pytest.mark.parametrize("media_type", [V1, V2])
def test_a_proof_without_a_checkpoint_is_refused_in_every_version(media_type: str) -> None:
    path = "verificationMaterial.tlogEntries.0.inclusionProof.checkpoint"
    assert "checkpoint is not an object" in refused(changed(path, ..., bundled(media_type, CHAIN)))
    assert refused(changed(path, {}, bundled(media_type, CHAIN))) == "an inclusion proof has no checkpoint"


def test_entries_and_timestamps_stand_once_and_within_bounds() -> None:
    assert refused(bundled(entries=[ENTRY, ENTRY])) == "a log entry appears twice"
    assert refused(bundled(entries=[ENTRY, ENTRY._replace(version="0.0.2")])) == "a log entry appears twice"
    other = ENTRY._replace(log_id=b"\x07" * 32)
    assert read(bundled(entries=[ENTRY, other])).entries == (ENTRY, other)
    assert "at most 32" in refused(bundled(entries=[ENTRY._replace(log_index=number) for number in range(33)]))
    stamps = [{"signedTimestamp": b64encode(b"%d" % number).decode()} for number in range(33)]
    path = "verificationMaterial.timestampVerificationData"
    assert read(changed(path, {"rfc3161Timestamps": stamps[:2]})).timestamps == (b"0", b"1")
    assert refused(changed(path, {"rfc3161Timestamps": [stamps[0], stamps[0]]})) == "a timestamp appears twice"
    assert "at most 32" in refused(changed(path, {"rfc3161Timestamps": stamps}))
    nothing: Any
    for nothing in (None, {}, {"rfc3161Timestamps": []}, {"rfc3161Timestamps": None}):
        assert read(changed(path, nothing)).timestamps == ()


def test_the_path_of_a_proof_is_bounded() -> None:
    assert "at most 63" in refused(bundled(entries=[ENTRY._replace(proof=PROOF._replace(hashes=(bytes(32),) * 64))]))


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("verificationMaterial", "verificationMaterial is not an object"),
        ("verificationMaterial.certificate.rawBytes", "rawBytes is missing or empty"),
        ("verificationMaterial.tlogEntries.0.logId", "logId is not an object"),
        ("verificationMaterial.tlogEntries.0.kindVersion", "kindVersion is not an object"),
        ("verificationMaterial.tlogEntries.0.canonicalizedBody", "canonicalizedBody is missing or empty"),
        ("verificationMaterial.tlogEntries.0.inclusionProof.rootHash", "rootHash is missing or empty"),
        ("messageSignature.signature", "signature is missing or empty"),
        ("messageSignature.messageDigest.algorithm", "message digest"),
        ("messageSignature.messageDigest.digest", "digest is missing or empty"),
    ],
)
def test_what_must_be_there_is_asked_for(path: str, reason: str) -> None:
    assert reason in refused(changed(path, ...))
    assert reason in refused(changed(path, None))


def test_what_has_a_default_may_be_missing_or_null() -> None:
    value = bundled(entries=[V2_ENTRY])
    path = "verificationMaterial.tlogEntries.0."
    for name in ("logIndex", "integratedTime", "inclusionProof.logIndex", "inclusionProof.hashes"):
        assert read(changed(path + name, ..., value)).entries == (V2_ENTRY,)
        assert read(changed(path + name, None, value)).entries == (V2_ENTRY,)
    nothing: Any
    for nothing in (None, {}, {"signedEntryTimestamp": ""}):
        assert read(changed(path + "inclusionPromise", nothing, value)).entries == (V2_ENTRY,)
    message = read(changed("messageSignature.messageDigest", ...)).message
    assert message == bundle.MessageSignature("", b"", b"sig")
    assert read(changed("verificationMaterial.tlogEntries", ...)).entries == ()
    assert read(bundled(key={"publicKey": {}})).hint == ""


@pytest.mark.parametrize(
    "path",
    ["x", "verificationMaterial.x", "verificationMaterial.certificate.x", "verificationMaterial.tlogEntries.0.x",
     "verificationMaterial.tlogEntries.0.logId.x", "verificationMaterial.tlogEntries.0.inclusionProof.x",
     "verificationMaterial.tlogEntries.0.inclusionProof.checkpoint.x", "messageSignature.x", "messageSignature.messageDigest.x",
     "media_type"],
)  # fmt: skip
def test_unknown_fields_are_refused(path: str) -> None:
    assert "unknown field" in refused(changed(path, 1))


@pytest.mark.parametrize(
    ("path", "junk"),
    [("verificationMaterial", []), ("verificationMaterial.tlogEntries", {}), ("verificationMaterial.tlogEntries.0", None),
     ("verificationMaterial.tlogEntries.0.inclusionProof.hashes", "AAAA"), ("messageSignature", "c2ln"),
     ("verificationMaterial.tlogEntries.0.inclusionProof.hashes.0", None), ("messageSignature.signature", 5),
     ("verificationMaterial.tlogEntries.0.kindVersion.kind", 5), ("messageSignature.messageDigest.algorithm", 1),
     ("verificationMaterial.tlogEntries.0.kindVersion.kind", "x" * 2000)],
)  # fmt: skip
def test_fields_of_another_type_are_refused(path: str, junk: object) -> None:
    assert "is not" in refused(changed(path, junk))


@pytest.mark.parametrize("number", ["70", 70, "9223372036854775807", 0])
def test_numbers_are_strings_or_numbers(number: object) -> None:
    parsed = read(changed("verificationMaterial.tlogEntries.0.logIndex", number))
    assert parsed.entries[0].log_index == int(str(number))


@pytest.mark.parametrize(
    "number", ["-1", -1, "070", "7.0", 7.0, 7e1, " 7", "7\n", "+7", "0x7", "", "\u0667", True, [], "9223372036854775808", "1" * 30]
)  # fmt: skip
def test_what_is_no_natural_int64_is_refused(number: object) -> None:
    assert "not an int64" in refused(changed("verificationMaterial.tlogEntries.0.logIndex", number))


def test_a_digest_has_the_length_of_its_algorithm() -> None:
    for algorithm, size in bundle.HASH_BYTES.items():
        digest = b64encode(bytes(size)).decode()
        parsed = read(
            bundled(messageSignature={"messageDigest": {"algorithm": algorithm, "digest": digest}, "signature": "c2ln"})
        )
        assert parsed.message == bundle.MessageSignature(algorithm, bytes(size), b"sig")
    for algorithm in ("SHA2_512", "sha256", "HASH_ALGORITHM_UNSPECIFIED"):
        assert "message digest" in refused(changed("messageSignature.messageDigest.algorithm", algorithm))


def test_an_envelope_has_one_signature_of_any_payload_type() -> None:
    value = bundled(dsseEnvelope=ENVELOPE)
    assert read(value).envelope == bundle.Envelope("text/plain", b"{}", (dsse.Signature("", b"sig"),))
    signatures: Any = ENVELOPE["signatures"]
    for count in (0, 2):
        assert f"has {count} signatures" in refused(
            bundled(dsseEnvelope={**ENVELOPE, "signatures": signatures * count})
        )


@pytest.mark.parametrize(("keyid", "good"), [("SHA256:x", True), ("", True), ("SHA256:y", False)])
def test_a_keyid_does_not_contradict_the_hint(keyid: str, good: bool) -> None:
    envelope = {**ENVELOPE, "signatures": [{"sig": "c2ln", "keyid": keyid}]}
    if good:
        assert read(bundled(key=PLAIN, dsseEnvelope=envelope)).envelope is not None
    else:
        assert "keyid is not the hint" in refused(bundled(key=PLAIN, dsseEnvelope=envelope))
    assert read(bundled(dsseEnvelope=envelope)).envelope is not None  # a certificate has no hint


def test_bounds_and_json_come_before_meaning() -> None:
    good = json.dumps(bundled())
    assert parse((good + " " * (bundle.MAX_BUNDLE_BYTES - len(good))).encode())
    for data, reason in (
        ((good + " " * (bundle.MAX_BUNDLE_BYTES - len(good) + 1)).encode(), "longer than 4194304 bytes"),
        (good.replace('"mediaType"', '"mediaType": "x", "mediaType"').encode(), "a key appears twice"),
        (b"[" * 100_000, "nested deeper"),
        (b"\xff", "not UTF-8"),
        (good.encode() + b"{}", "Extra data"),
        (b"", "Expecting value"),
        (b"[]", "bundle is not an object"),
        (good.replace("c2ln", "\\ud800").encode(), "lone surrogate"),
    ):
        with pytest.raises(BundleInvalid, match=reason):
            parse(data)


@given(st.binary(max_size=40))
def test_base64_of_both_alphabets_is_read_padded_or_not(data: bytes) -> None:
    for encode in (b64encode, urlsafe_b64encode):
        text = encode(data).decode()
        assert octets(text, "x") == octets(text.rstrip("="), "x") == data


@pytest.mark.parametrize(
    "text", ["c2ln\n", " c2ln", "c2ln=", "c2l=", "c2ln====", "c2=ln", "c", "c2lnc", "-_+/", "c2ln!", "c2\u0131n", "Zh==", "Zg=", "ZgB=", "=", None, 5, b"x"]
)  # fmt: skip
def test_what_is_not_base64_is_refused(text: object) -> None:
    from git_auths.core.protojson import MessageInvalid

    with pytest.raises(MessageInvalid, match="base64"):
        octets(text, "x")


@SIGNERS
def test_ours_is_one_line_of_v0_3_that_others_and_we_read(new_signer: Callable[[], Signer]) -> None:
    blob, sign = new_signer()
    envelope = dsse.sign(PAYLOAD, blob, sign)
    for timestamps, entries in (((), ()), ((b"a stamp", b"another"), (ENTRY, V2_ENTRY))):
        line = bundle.serialise(envelope, blob, timestamps, entries)
        assert b"\n" not in line and b": " not in line
        SigstoreBundle.from_json(line)
        parsed = parse(line)
        assert parsed == bundle.Bundle(
            "0.3", fingerprint(blob), (), entries, timestamps,
            bundle.Envelope(dsse.PAYLOAD_TYPE, PAYLOAD, envelope.signatures), None,
        )  # fmt: skip
        assert bundle.own_envelope(parsed) == envelope
        value = json.loads(line)
        assert value["mediaType"] == V3
        assert value["verificationMaterial"]["tlogEntries"] == [bundle.entry_to_json(entry) for entry in entries]


def test_an_entry_is_read_as_it_was_written() -> None:
    for entry in (ENTRY, V2_ENTRY, ENTRY._replace(proof=None)):
        assert bundle.entry_from_json(bundle.entry_to_json(entry)) == entry
    junk: Any
    for junk in ([], {"logIndex": 1}, {**bundle.entry_to_json(ENTRY), "more": 1}):
        with pytest.raises(BundleInvalid):
            bundle.entry_from_json(junk)


def test_what_would_not_be_read_back_is_not_written() -> None:
    blob, sign = p256_signer()
    other, _ = p256_signer()
    envelope = dsse.sign(PAYLOAD, blob, sign)
    for bad in (
        (envelope, other),
        (envelope._replace(signatures=envelope.signatures * 2), blob),
        (envelope, blob, (b"twice", b"twice")),
        (envelope, blob, (), (ENTRY._replace(proof=None),)),
        (envelope._replace(payload=bytes(100_000)), blob),
    ):
        with pytest.raises(BundleInvalid):
            bundle.serialise(*bad)


def test_a_strangers_bundle_is_not_ours() -> None:
    ours = {"payload": "e30=", "payloadType": dsse.PAYLOAD_TYPE, "signatures": [{"sig": "c2ln", "keyid": "SHA256:x"}]}
    unnamed = {**ours, "signatures": [{"sig": "c2ln"}]}
    assert bundle.own_envelope(read(bundled(key=PLAIN, dsseEnvelope=ours)))
    for value, reason in (
        (bundled(key=PLAIN), "holds no envelope"),
        (bundled(key=PLAIN, dsseEnvelope={**ours, "payloadType": "text/plain"}), "holds no envelope"),
        (bundled(key=CERTIFICATE, dsseEnvelope=ours), "not signed by a plain key"),
        (bundled(key=PLAIN, dsseEnvelope=unnamed), "not signed by a plain key"),
        (bundled(key={"publicKey": {}}, dsseEnvelope=unnamed), "not signed by a plain key"),
        (bundled(key=PLAIN, dsseEnvelope={**ours, "payload": b64encode(bytes(60_000)).decode()}), "longer than 65536"),
    ):
        with pytest.raises(BundleInvalid, match=reason):
            bundle.own_envelope(read(value))


def test_real_bundles_are_read() -> None:
    if CONFORMANCE is None:
        pytest.skip("AUTHS_CONFORMANCE names no folder of conformance data")
    samples = sorted((Path(CONFORMANCE) / "sigstore").glob("*/bundle.sigstore.json"))
    assert samples
    for sample in samples:
        parsed = parse(sample.read_bytes())
        assert len(parsed.entries) == 1
        assert (parsed.hint is None) == bool(parsed.certificates) == ("managed-key" not in str(sample))
