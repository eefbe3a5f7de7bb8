"""Keyless bundles: a Fulcio, a CT log, a transparency log and a time stamping authority made for each test, and the
folder `sigstore/` of AUTHS_CONFORMANCE."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import struct
import sys
from base64 import b64encode
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from git_auths.core import dsse, foreign
from git_auths.core.bundle import entry_to_json
from git_auths.core.foreign import ForeignRefused
from git_auths.core.trustedroot import TrustedRootInvalid
from git_auths.errors import Error, UsageError
from git_auths.store import keyless
from git_auths.store.keyless import Wanted
from tests.loopback import tsa
from tests.loopback.rekor import Log, hashedrekord_v2_body

pytest.importorskip("sigstore.verify", reason="the extra sigstore is not installed")

FOLDER = os.environ.get("AUTHS_CONFORMANCE")  # read before the tests' clean environment drops it
ARTIFACT = b"the bytes of an artifact"
DIGESTS = {name: hashlib.new(name, ARTIFACT).digest() for name in ("sha256", "sha384", "sha512")}
MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
IDENTITY = "https://forge.example/ada/project/.github/workflows/release.yml@refs/heads/main"
ISSUER = "https://token.actions.githubusercontent.com"
ADA, GITHUB = Wanted(IDENTITY), Wanted(ISSUER)
PREDICATE = "https://slsa.dev/provenance/v1"
NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
SIGNED_AT = int(NOW.timestamp())
LONG_AGO, FAR_AHEAD = datetime(2020, 1, 1, tzinfo=timezone.utc), datetime(2040, 1, 1, tzinfo=timezone.utc)
SCT_LIST = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
ISSUER_V1, ISSUER_V2, OTHER_NAME = (x509.ObjectIdentifier(f"1.3.6.1.4.1.57264.1.{n}") for n in (1, 8, 7))


def base64(data: bytes) -> str:
    return b64encode(data).decode()


def der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 + len(length)]) + length + content


def utf8_string(text: str) -> bytes:
    return der(0x0C, text.encode())


def spki(key: Any) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def window(start: datetime = LONG_AGO, end: datetime | None = None) -> dict[str, str]:
    text = {"start": start.strftime("%Y-%m-%dT%H:%M:%SZ")}
    return text if end is None else text | {"end": end.strftime("%Y-%m-%dT%H:%M:%SZ")}


class CertificateAuthority:
    """A root and an intermediate in the shape of Fulcio's, and the CT log to which the certificates go."""

    def __init__(self, root_until: datetime = FAR_AHEAD) -> None:
        self.root_key, self.key, self.ct_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
        self.root = self._ca("root", self.root_key, None, root_until)
        self.certificate = self._ca("intermediate", self.key, self.root, FAR_AHEAD)

    def _ca(self, name: str, key: Any, by: x509.Certificate | None, until: datetime) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = (
            self._builder(key, by.subject if by else subject, LONG_AGO, until, self.root_key)
            .subject_name(subject)
            .add_extension(x509.BasicConstraints(True, None if by is None else 0), True)
            .add_extension(usage, True)
        )
        return builder.sign(self.root_key, hashes.SHA256())

    def _builder(self, key: Any, issuer: x509.Name, start: datetime, end: datetime, by: Any) -> Any:
        return (
            x509.CertificateBuilder()
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), False)
        )

    def issue(
        self,
        key: Any,
        names: list[x509.GeneralName] | None = None,
        issuer: dict[x509.ObjectIdentifier, bytes] | None = None,
        purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.CODE_SIGNING,
        start: datetime = NOW - timedelta(minutes=5),
        ct_key: Any = None,
        ct_log_key: Any = None,
    ) -> x509.Certificate:
        """A certificate of ten minutes. `ct_key` signs its SCT, which names the log of `ct_log_key`."""
        usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
        builder = (
            self._builder(key, self.certificate.subject, start, start + timedelta(minutes=10), self.key)
            .subject_name(x509.Name([]))
            .add_extension(x509.SubjectAlternativeName(names or [x509.UniformResourceIdentifier(IDENTITY)]), True)
            .add_extension(usage, True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), False)
        )
        for oid, value in (issuer or {ISSUER_V2: utf8_string(ISSUER)}).items():
            builder = builder.add_extension(x509.UnrecognizedExtension(oid, value), False)
        before = builder.sign(self.key, hashes.SHA256())
        sct = self._sct(before, ct_key or self.ct_key, ct_log_key or self.ct_key)
        final = builder.add_extension(x509.UnrecognizedExtension(SCT_LIST, der(0x04, sct)), False)
        return final.sign(self.key, hashes.SHA256())

    def _sct(self, certificate: x509.Certificate, ct_key: Any, ct_log_key: Any) -> bytes:
        """RFC 6962, sections 3.2 and 3.3, for a precertificate."""
        tbs, stamp = certificate.tbs_certificate_bytes, struct.pack("!Q", SIGNED_AT * 1000)
        issuer = hashlib.sha256(spki(self.key)).digest()
        signed = b"\0\0" + stamp + b"\0\1" + issuer + len(tbs).to_bytes(3, "big") + tbs + b"\0\0"
        signature = ct_key.sign(signed, ec.ECDSA(hashes.SHA256()))
        log_id = hashlib.sha256(spki(ct_log_key)).digest()
        sct = b"\0" + log_id + stamp + b"\0\0" + b"\4\3" + struct.pack("!H", len(signature)) + signature
        return struct.pack("!HH", len(sct) + 2, len(sct)) + sct

    def instance(self, **fields: object) -> dict[str, object]:
        chain = [{"rawBytes": base64(one.public_bytes(Encoding.DER))} for one in (self.certificate, self.root)]
        return {"uri": "https://ca.example", "certChain": {"certificates": chain}, "validFor": window(), **fields}

    def ct_log(self, **fields: object) -> dict[str, object]:
        key = spki(self.ct_key)
        public = {"rawBytes": base64(key), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": window(), **fields}
        return {"baseUrl": "https://ct.example", "hashAlgorithm": "SHA2_256", "publicKey": public,
                "logId": {"keyId": base64(hashlib.sha256(key).digest())}}  # fmt: skip


class World:
    """All that signs and vouches, and what a reader trusts of it (`root`, to change before use)."""

    def __init__(self, folder: Path) -> None:
        self.ca = CertificateAuthority()
        self.log = Log("log.example", 2)
        self.v1 = Log("one.example", 1)
        self.tsa = tsa.Authority(folder)
        self.tsa.time_seconds = self.v1.time_seconds = SIGNED_AT
        self.key = ec.generate_private_key(ec.SECP256R1())
        chain = [{"rawBytes": base64(issued.der)} for issued in (self.tsa.leaf, self.tsa.root)]
        self.root: dict[str, Any] = {
            "mediaType": "application/vnd.dev.sigstore.trustedroot.v0.2+json",
            "tlogs": [self.log.instance() | {"operator": "log.example"}, self.v1.instance()],
            "certificateAuthorities": [self.ca.instance(operator="ca.example")],
            "ctlogs": [self.ca.ct_log()],
            "timestampAuthorities": [
                {"uri": "https://tsa.example", "certChain": {"certificates": chain}, "validFor": window()}
            ],
        }

    def sign(self, data: bytes) -> bytes:
        return self.key.sign(data, ec.ECDSA(hashes.SHA256()))

    def artifact(self, certificate: x509.Certificate | None = None, v1: bool = False) -> dict[str, Any]:
        """A bundle with a signature over the artifact."""
        signature = self.sign(ARTIFACT)
        message = {"messageDigest": {"algorithm": "SHA2_256", "digest": base64(DIGESTS["sha256"])},
                   "signature": base64(signature)}  # fmt: skip
        certificate = certificate or self.ca.issue(self.key)
        return self._bundle(certificate, DIGESTS["sha256"], signature, v1) | {"messageSignature": message}

    def envelope(self, payload: bytes | None = None, payload_type: str = dsse.PAYLOAD_TYPE) -> dict[str, Any]:
        """A bundle with a statement."""
        payload = statement() if payload is None else payload
        message = dsse.pae(payload, payload_type)
        signature = self.sign(message)
        envelope = {"payload": base64(payload), "payloadType": payload_type, "signatures": [{"sig": base64(signature)}]}
        digest = hashlib.sha256(message).digest()
        return self._bundle(self.ca.issue(self.key), digest, signature) | {"dsseEnvelope": envelope}

    def _bundle(
        self, certificate: x509.Certificate, digest: bytes, signature: bytes, v1: bool = False
    ) -> dict[str, Any]:
        raw = {"rawBytes": base64(certificate.public_bytes(Encoding.DER))}
        verifier = {"x509Certificate": raw, "keyDetails": "PKIX_ECDSA_P256_SHA_256"}
        log, body = self.log, hashedrekord_v2_body(digest, signature, verifier)
        if v1:
            public = {"content": base64(certificate.public_bytes(Encoding.PEM))}
            spec = {"data": {"hash": {"algorithm": "sha256", "value": digest.hex()}},
                    "signature": {"content": base64(signature), "publicKey": public}}  # fmt: skip
            log, body = self.v1, {"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": spec}
        material = {
            "certificate": raw,
            "tlogEntries": [entry_to_json(log.entry(log.append(body)))],
        }
        if not v1:
            stamps = [{"signedTimestamp": base64(self.tsa.stamp(signature))}]
            material["timestampVerificationData"] = {"rfc3161Timestamps": stamps}
        return {"mediaType": MEDIA_TYPE, "verificationMaterial": material}

    def verify(self, bundle: dict[str, Any], identity: Wanted = ADA, issuer: Wanted = GITHUB) -> keyless.Keyless:
        return keyless.verify(encoded(bundle), DIGESTS, encoded(self.root), identity, issuer)

    def refusal(self, bundle: dict[str, Any], *wanted: Wanted) -> str:
        with pytest.raises(ForeignRefused) as caught:
            self.verify(bundle, *wanted)
        assert "\n" not in str(caught.value)
        return str(caught.value)


def encoded(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode()


def statement(**fields: object) -> bytes:
    subject = {"name": "artifact", "digest": {"sha256": DIGESTS["sha256"].hex()}}
    value = {"_type": "https://in-toto.io/Statement/v1", "subject": [subject], "predicateType": PREDICATE,
             "predicate": {}}  # fmt: skip
    return encoded(value | fields)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: object) -> None:
        raise AssertionError("it reached for the network")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", connect)


def test_a_signature_over_the_artifact_names_signer_provider_log_and_time(world: World) -> None:
    found = world.verify(world.artifact())
    evidence = foreign.Evidence(("log.example",), ((SIGNED_AT, "tsa.example"),))
    assert found == keyless.Keyless(IDENTITY, ISSUER, foreign.Verified(evidence))


def test_a_promise_of_an_older_log_says_when(world: World) -> None:
    assert world.verify(world.artifact(v1=True)).verified.evidence.stamps == ((SIGNED_AT, "one.example"),)


def test_a_statement_is_returned_with_its_predicate_type(world: World) -> None:
    found = world.verify(world.envelope()).verified
    assert found.predicate_type == PREDICATE
    assert found.statement == json.loads(statement())


@pytest.mark.parametrize(
    "wanted", [Wanted(IDENTITY), keyless.matching(r"https://forge\.example/ada/.*@refs/heads/main")]
)
def test_the_identity_is_wanted_exactly_or_by_an_expression(world: World, wanted: Wanted) -> None:
    assert world.verify(world.artifact(), wanted).identity == IDENTITY


@pytest.mark.parametrize(
    "wanted",
    [Wanted(IDENTITY[:-1]), Wanted(IDENTITY.upper()), Wanted(r".*"), keyless.matching(r"https://forge\.example/ada/"),
     keyless.matching(r"@refs/heads/main"), keyless.matching(r"^https://forge.*$\n?x")],
)  # fmt: skip
def test_another_identity_or_a_part_of_it_is_refused(world: World, wanted: Wanted) -> None:
    assert world.refusal(world.artifact(), wanted).startswith(f"identity: it is signed by '{IDENTITY}'")


@pytest.mark.parametrize("wanted", [Wanted("https://accounts.example"), keyless.matching(r"https://token")])
def test_another_provider_is_refused(world: World, wanted: Wanted) -> None:
    assert "provider is" in world.refusal(world.artifact(), Wanted(IDENTITY), wanted)


def test_an_expression_that_is_none_is_a_mistake_of_usage() -> None:
    with pytest.raises(UsageError, match="not a regular expression"):
        keyless.matching("(")


NAMES: dict[str, tuple[list[x509.GeneralName], str]] = {
    "e-mail": ([x509.RFC822Name("ada@example.com")], "ada@example.com"),
    "other name": ([x509.OtherName(OTHER_NAME, utf8_string("ada!example"))], "ada!example"),
    "long": ([x509.OtherName(OTHER_NAME, utf8_string("a" * 300))], "a" * 300),
}


@pytest.mark.parametrize("kind", NAMES)
def test_each_kind_of_identity_that_fulcio_issues_is_read(world: World, kind: str) -> None:
    names, text = NAMES[kind]
    assert world.verify(world.artifact(world.ca.issue(world.key, names)), Wanted(text)).identity == text


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ([x509.UniformResourceIdentifier(IDENTITY), x509.RFC822Name("ada@example.com")], "it names 2 identities"),
        ([x509.DNSName("forge.example")], "neither a URI nor an e-mail address"),
        ([x509.OtherName(OTHER_NAME, b"\x04\x03ada")], "not a UTF8String"),
        ([x509.OtherName(OTHER_NAME, b"\x0c\x02\xff\xfe")], "not UTF-8"),
        ([x509.OtherName(x509.ObjectIdentifier("1.2.3"), utf8_string("ada"))], "neither a URI"),
    ],
)
def test_a_certificate_must_name_one_identity_of_a_known_kind(
    world: World, names: list[x509.GeneralName], reason: str
) -> None:
    assert reason in world.refusal(world.artifact(world.ca.issue(world.key, names)), keyless.matching(".*"))


def test_the_provider_is_read_from_older_certificates_too(world: World) -> None:
    older = world.ca.issue(world.key, issuer={ISSUER_V1: ISSUER.encode()})
    assert world.verify(world.artifact(older)).issuer == ISSUER
    both = world.ca.issue(world.key, issuer={ISSUER_V1: b"https://older.example", ISSUER_V2: utf8_string(ISSUER)})
    assert world.verify(world.artifact(both)).issuer == ISSUER


def test_a_certificate_that_names_no_provider_is_refused(world: World) -> None:
    nobody = world.ca.issue(world.key, issuer={x509.ObjectIdentifier("1.2.3.4"): b"x"})
    assert "names no OIDC provider" in world.refusal(world.artifact(nobody))


@pytest.mark.parametrize("value", [b"", b"\x0c\x05ada", b"\x0c\x02ada", b"\x0c\x81\x05ada", b"\x0c\x83" + b"a" * 0x83, b"\x0c\x83\0\0\3ada",
                                   b"\x13\x03ada", ISSUER.encode()])  # fmt: skip
def test_a_provider_must_be_a_utf8string(world: World, value: bytes) -> None:
    strange = world.ca.issue(world.key, issuer={ISSUER_V2: value, ISSUER_V1: ISSUER.encode()})
    assert "not a UTF8String" in world.refusal(world.artifact(strange))


Change = Callable[[World, dict[str, Any]], None]


def another_authority(world: World, bundle: dict[str, Any]) -> None:
    world.root["certificateAuthorities"] = [CertificateAuthority().instance()]


def window_of_the_authority_over(world: World, bundle: dict[str, Any]) -> None:
    world.root["certificateAuthorities"][0]["validFor"] = window(end=NOW - timedelta(seconds=1))


def window_of_the_authority_ahead(world: World, bundle: dict[str, Any]) -> None:
    world.root["certificateAuthorities"][0]["validFor"] = window(NOW + timedelta(seconds=1))


def window_of_the_ct_log_over(world: World, bundle: dict[str, Any]) -> None:
    world.root["ctlogs"] = [world.ca.ct_log(validFor=window(end=NOW - timedelta(seconds=1)))]


def another_ct_log(world: World, bundle: dict[str, Any]) -> None:
    world.root["ctlogs"] = [CertificateAuthority().ct_log()]


def no_ct_log(world: World, bundle: dict[str, Any]) -> None:
    del world.root["ctlogs"]


def no_timestamp(world: World, bundle: dict[str, Any]) -> None:
    del bundle["verificationMaterial"]["timestampVerificationData"]


def no_entry(world: World, bundle: dict[str, Any]) -> None:
    bundle["verificationMaterial"]["tlogEntries"] = []


def no_proof(world: World, bundle: dict[str, Any]) -> None:
    del bundle["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]


def another_origin(world: World, bundle: dict[str, Any]) -> None:
    world.root["tlogs"][0]["baseUrl"] = "https://another.example"


def another_log(world: World, bundle: dict[str, Any]) -> None:
    world.root["tlogs"] = world.root["tlogs"][1:]


def another_artifact(world: World, bundle: dict[str, Any]) -> None:
    bundle["messageSignature"] = {"signature": base64(world.sign(b"another"))}


def a_digest_of_another_artifact(world: World, bundle: dict[str, Any]) -> None:
    bundle["messageSignature"]["messageDigest"]["digest"] = base64(bytes(32))


def an_unsigned_time_outside(world: World, bundle: dict[str, Any]) -> None:
    bundle["verificationMaterial"]["tlogEntries"][0]["integratedTime"] = str(SIGNED_AT + 3600)


def a_plain_key(world: World, bundle: dict[str, Any]) -> None:
    del bundle["verificationMaterial"]["certificate"]
    bundle["verificationMaterial"]["publicKey"] = {"hint": "key"}


def no_certificate(world: World, bundle: dict[str, Any]) -> None:
    bundle["verificationMaterial"]["certificate"]["rawBytes"] = base64(b"\x30\x00")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (another_authority, "signature: "),
        (window_of_the_authority_over, "certificate: no certificate authority of the trusted root was valid"),
        (window_of_the_authority_ahead, "certificate: no certificate authority of the trusted root was valid"),
        (window_of_the_ct_log_over, "certificate: it is in no CT log"),
        (another_ct_log, "certificate: it is in no CT log"),
        (no_ct_log, "certificate: it is in no CT log"),
        (no_timestamp, "timestamp: neither a log nor"),
        (no_entry, "log: it holds no entry"),
        (no_proof, "bundle: an entry has no inclusion proof"),
        (another_origin, "log: entry 5: its checkpoint has another origin"),
        (another_log, "log: entry 5: it is in a log that is not pinned"),
        (another_artifact, "timestamp: it is for another signature"),
        (a_digest_of_another_artifact, "file: it is for another artifact"),
        (an_unsigned_time_outside, "certificate: it was not valid when it signed"),
        (a_plain_key, "certificate: it is signed with a plain key"),
        (no_certificate, "log: entry 5: its verifier is another one"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_does_not_fit_is_refused(world: World, change: Change, reason: str) -> None:
    bundle = world.artifact()
    assert world.verify(bundle)
    change(world, bundle)
    assert world.refusal(bundle).startswith(reason)


@pytest.mark.parametrize("minutes", [-11, 6], ids=["expired", "not yet"])
def test_a_certificate_must_have_been_valid_when_it_signed(world: World, minutes: int) -> None:
    certificate = world.ca.issue(world.key, start=NOW + timedelta(minutes=minutes))
    assert "not valid when it signed" in world.refusal(world.artifact(certificate))


def test_the_root_of_the_authority_must_have_been_valid_too(world: World) -> None:
    # Its intermediate outlives it, and sigstore-python would take that for an anchor.
    world.ca = CertificateAuthority(root_until=NOW - timedelta(days=1))
    world.root |= {"certificateAuthorities": [world.ca.instance()], "ctlogs": [world.ca.ct_log()]}
    assert "no certificate authority" in world.refusal(world.artifact())


def test_a_certificate_for_another_purpose_is_refused(world: World) -> None:
    certificate = world.ca.issue(world.key, purpose=ExtendedKeyUsageOID.CLIENT_AUTH)
    assert "code signing" in world.refusal(world.artifact(certificate))


def test_an_sct_that_the_ct_log_did_not_sign_is_refused(world: World) -> None:
    forged = world.ca.issue(world.key, ct_key=world.key)
    assert "SCT" in world.refusal(world.artifact(forged))


def test_an_sct_that_names_another_log_than_its_signers_is_refused(world: World) -> None:
    # sigstore-python tries every key of the trusted root for a log that it does not know.
    misnamed = world.ca.issue(world.key, ct_log_key=world.key)
    assert "it is in no CT log" in world.refusal(world.artifact(misnamed))


def test_a_certificate_of_another_key_is_refused(world: World) -> None:
    other = world.ca.issue(ec.generate_private_key(ec.SECP256R1()))
    assert "signature: Signature is invalid" in world.refusal(world.artifact(other))


def test_a_statement_about_another_artifact_is_refused(world: World) -> None:
    other = statement(subject=[{"name": "x", "digest": {"sha256": "00" * 32}}])
    assert "not among the subjects" in world.refusal(world.envelope(other))


def test_an_envelope_of_another_type_is_refused(world: World) -> None:
    assert "payload type" in world.refusal(world.envelope(payload_type="application/json"))


def test_every_timestamp_must_hold(world: World) -> None:
    bundle = world.artifact(v1=True)
    stamps = [{"signedTimestamp": base64(world.tsa.stamp(b"another signature"))}]
    bundle["verificationMaterial"]["timestampVerificationData"] = {"rfc3161Timestamps": stamps}
    assert "timestamp: it is for another signature" in world.refusal(bundle)


def test_what_can_be_read_in_two_ways_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    import sigstore.models

    certificate = sigstore.models.Bundle.signing_certificate
    other = world.ca.issue(world.key)
    monkeypatch.setattr(sigstore.models.Bundle, "signing_certificate", property(lambda _: other))
    assert "two ways" in world.refusal(world.artifact())
    monkeypatch.setattr(sigstore.models.Bundle, "signing_certificate", certificate)
    monkeypatch.setattr("sigstore.verify.Verifier.verify_dsse", lambda *_: (dsse.PAYLOAD_TYPE, b"{}"))
    assert "two ways" in world.refusal(world.envelope())


def test_whatever_the_library_raises_is_a_no(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        pass

    for failure in (RuntimeError(""), RecursionError("deep\nand deeper"), PanicException("rust")):

        def fail(*_: object, failure: BaseException = failure) -> None:
            raise failure

        monkeypatch.setattr("sigstore.verify.Verifier.verify_artifact", fail)
        assert world.refusal(world.artifact()).startswith("signature: ")


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"[" * 100000])
def test_what_is_no_bundle_is_refused(world: World, data: bytes) -> None:
    with pytest.raises(ForeignRefused, match="bundle: "):
        keyless.verify(data, DIGESTS, encoded(world.root), Wanted(IDENTITY), Wanted(ISSUER))


@pytest.mark.parametrize(
    "parts",
    [{"mediaType": "x"}, {"certificateAuthorities": ["x"]}, {"certificateAuthorities": {}}, {"ctlogs": ["x"]},
     {"certificateAuthorities": [{"certChain": {"certificates": [{"rawBytes": "AAAA"}]}}]}],
)  # fmt: skip
def test_what_is_no_trusted_root_is_refused(world: World, parts: dict[str, object]) -> None:
    bundle = world.artifact()
    world.root |= parts
    with pytest.raises(TrustedRootInvalid):
        world.verify(bundle)


def test_without_the_extra_the_command_to_install_it_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sigstore.verify", None)
    with pytest.raises(Error) as caught:
        world.verify(world.artifact())
    assert caught.value.hint == "pip install 'git-auths[sigstore]'"
    assert not isinstance(caught.value, ValueError)


@pytest.mark.skipif(FOLDER is None, reason="AUTHS_CONFORMANCE names no folder with bundles of others")
def test_bundles_of_others_get_the_verdict_that_their_name_says() -> None:
    folder = Path(str(FOLDER), "sigstore")
    artifact = (folder / "a.txt").read_bytes()
    digests = {name: hashlib.new(name, artifact).digest() for name in DIGESTS}
    identity = keyless.matching(r"https://github\.com/sigstore-conformance/.*@refs/heads/main")
    cases = [case for case in sorted(folder.iterdir()) if case.is_dir() and not (case / "key.pub").exists()]
    assert cases
    for case in cases:
        own = case / "trusted_root.json"
        root = (own if own.exists() else folder / "production-trusted_root.json").read_bytes()
        data = (case / "bundle.sigstore.json").read_bytes()
        try:
            found = keyless.verify(data, digests, root, identity, Wanted(ISSUER))
        except ForeignRefused:
            assert case.name.endswith("_fail"), case.name
        else:
            assert not case.name.endswith("_fail"), case.name
            assert found.verified.evidence.stamps
