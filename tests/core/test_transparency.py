from __future__ import annotations

import json
import os
from collections.abc import Callable
from hashlib import sha256, sha384
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from git_auths.core import bundle, dsse
from git_auths.core.bundle import LogEntry
from git_auths.core.transparency import (
    EntryInvalid,
    Logged,
    LogInvalid,
    Signed,
    check_inclusion,
    log_from_json,
    signed,
    valid_at,
    verify_entry,
)
from tests.loopback.rekor import Log, base64, dsse_body, hashedrekord_v2_body, path, tree_hash
from tests.loopback.tsa import Issued

PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1"}'
PAE_DIGEST = sha256(dsse.pae(PAYLOAD)).digest()
ARTIFACT_DIGEST = sha256(b"artifact").digest()
SIGNATURE = b"a signature; nobody verifies it here"
KEY = ec.generate_private_key(ec.SECP256R1()).public_key()
CERTIFICATE = Issued("signer")
NOW = 1_800_000_000

CONFORMANCE = os.environ.get("AUTHS_CONFORMANCE")  # a fixture clears the environment
Body = dict[str, Any]


def der(key: Any) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def pem(key: Any) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


ENVELOPE = Signed(PAYLOAD, dsse.PAYLOAD_TYPE, SIGNATURE, der(KEY), b"")
MESSAGE = Signed(None, "", SIGNATURE, der(KEY), ARTIFACT_DIGEST)
PLAIN = {"keyDetails": "PKIX_ECDSA_P256_SHA_256", "publicKey": {"rawBytes": base64(der(KEY))}}
CERTIFIED = {"keyDetails": "PKIX_ECDSA_P256_SHA_256", "x509Certificate": {"rawBytes": base64(CERTIFICATE.der)}}


def hashedrekord_v1(digest: bytes = ARTIFACT_DIGEST, verifier_pem: bytes = pem(KEY), algorithm: str = "sha256") -> Body:
    spec = {
        "data": {"hash": {"algorithm": algorithm, "value": digest.hex()}},
        "signature": {"content": base64(SIGNATURE), "publicKey": {"content": base64(verifier_pem)}},
    }
    return {"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": spec}


def hashedrekord_v2(digest: bytes = PAE_DIGEST, verifier: Body = PLAIN, algorithm: str = "SHA2_256") -> Body:
    return hashedrekord_v2_body(digest, SIGNATURE, verifier, algorithm)


def dsse_v1(verifier_pem: bytes = pem(KEY)) -> Body:
    return dsse_body(PAYLOAD, SIGNATURE, verifier_pem)


def intoto_v1(verifier_pem: bytes = pem(KEY)) -> Body:
    signature = {"publicKey": base64(verifier_pem), "sig": base64(base64(SIGNATURE).encode())}
    envelope = {"payloadType": dsse.PAYLOAD_TYPE, "signatures": [signature]}
    digest = {"algorithm": "sha256", "value": sha256(PAYLOAD).hexdigest()}
    content = {"envelope": envelope, "hash": digest, "payloadHash": digest}
    return {"apiVersion": "0.0.2", "kind": "intoto", "spec": {"content": content}}


def logged(body: Body, log: Log | None = None) -> tuple[LogEntry, Log]:
    """The entry of a log (of v1 at NOW, or of v2 for its own type) about the body."""
    v2 = (body["kind"], body["apiVersion"]) == ("hashedrekord", "0.0.2")
    log = log or Log(version=2 if v2 else 1)
    log.time_seconds = NOW
    return log.entry(log.append(body)), log


def verify(entry: LogEntry, about: Signed, log: Log) -> Logged:
    return verify_entry(entry, about, [log_from_json(log.instance())])


def refused(entry: LogEntry, about: Signed, log: Log) -> str:
    with pytest.raises(EntryInvalid) as caught:
        verify(entry, about, log)
    assert caught.value.reason == str(caught.value)
    return caught.value.reason


BY_CERTIFICATE = CERTIFICATE.der
GOOD = [
    pytest.param(hashedrekord_v1(), MESSAGE, NOW, id="hashedrekord 0.0.1"),
    pytest.param(hashedrekord_v1(verifier_pem=CERTIFICATE.pem), MESSAGE._replace(verifier=BY_CERTIFICATE), NOW,
                 id="hashedrekord 0.0.1, certificate"),
    pytest.param(hashedrekord_v1(sha384(b"artifact").digest(), algorithm="sha384"),
                 MESSAGE._replace(digest=sha384(b"artifact").digest()), NOW, id="hashedrekord 0.0.1, SHA-384"),
    pytest.param(hashedrekord_v2(ARTIFACT_DIGEST), MESSAGE, None, id="hashedrekord 0.0.2, artifact"),
    pytest.param(hashedrekord_v2(), ENVELOPE, None, id="hashedrekord 0.0.2, envelope"),
    pytest.param(hashedrekord_v2(verifier=CERTIFIED), ENVELOPE._replace(verifier=BY_CERTIFICATE), None,
                 id="hashedrekord 0.0.2, certificate"),
    pytest.param(dsse_v1(), ENVELOPE, NOW, id="dsse 0.0.1"),
    pytest.param(dsse_v1(CERTIFICATE.pem), ENVELOPE._replace(verifier=BY_CERTIFICATE), NOW, id="dsse 0.0.1, certificate"),
    pytest.param(intoto_v1(), ENVELOPE, NOW, id="intoto 0.0.2"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "about", "time_seconds"), GOOD)
def test_an_entry_about_what_was_signed_counts_and_v1_signs_its_time(
    body: Body, about: Signed, time_seconds: int | None
) -> None:
    entry, log = logged(body)
    assert verify(entry, about, log) == Logged(log_from_json(log.instance()), time_seconds)


@pytest.mark.parametrize(("body", "about", "_"), GOOD)
def test_an_entry_about_anything_else_does_not(body: Body, about: Signed, _: int | None) -> None:
    entry, log = logged(body)
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    assert refused(entry, about._replace(signature=b"another"), log) == "its signature is another one"
    assert refused(entry, about._replace(verifier=der(other)), log) == "its verifier is another one"
    if about.payload is None:
        assert refused(entry, about._replace(digest=about.digest[::-1]), log) == "its digest is another one"
        assert refused(entry, about._replace(digest=bytes(20)), log) == "its digest is by another algorithm"
    else:
        assert refused(entry, about._replace(payload=b"another"), log) in (
            "its digest is another one",
            "its payload hash is another one",
        )
    if (
        body["kind"] != "dsse" and about.payload is not None
    ):  # dsse entries do not hold the type; the signature is over it
        assert "is another one" in refused(entry, about._replace(payload_type="text/plain"), log)


@pytest.mark.parametrize(
    ("body", "about"),
    [(hashedrekord_v1(PAE_DIGEST), ENVELOPE), (dsse_v1(), MESSAGE), (intoto_v1(), MESSAGE),
     ({"kind": "dsse", "apiVersion": "0.0.2", "spec": {}}, ENVELOPE), ({"kind": "rekord", "apiVersion": "0.0.1", "spec": {}}, MESSAGE)],
)  # fmt: skip
def test_a_kind_that_is_not_for_what_was_signed_proves_nothing(body: Body, about: Signed) -> None:
    entry, log = logged(body)
    assert "proves nothing of" in refused(entry, about, log)


@pytest.mark.parametrize("change", [{"kind": "intoto"}, {"version": "0.0.2"}])
def test_an_entry_is_of_the_kind_that_its_body_says(change: dict[str, Any]) -> None:
    entry, log = logged(dsse_v1())
    assert (
        refused(entry._replace(**change), ENVELOPE, log)
        == "its body is not of the kind and version that the entry names"
    )


def without(body: Body, *path: str) -> Body:
    """The body with the field at `path` taken out."""
    copy: Body = json.loads(json.dumps(body))
    inner: Any = copy["spec"]
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return copy


@pytest.mark.parametrize(
    ("body", "about"),
    [
        (without(dsse_v1(), "payloadHash"), ENVELOPE),
        (without(dsse_v1(), "signatures"), ENVELOPE),
        (without(hashedrekord_v1(), "data"), MESSAGE),
        (without(hashedrekord_v1(), "signature", "publicKey"), MESSAGE),
        (without(hashedrekord_v2(), "hashedRekordV002"), ENVELOPE),
        (without(hashedrekord_v2(), "hashedRekordV002", "data"), ENVELOPE),
        (without(intoto_v1(), "content", "payloadHash"), ENVELOPE),
        ({"kind": "dsse", "apiVersion": "0.0.1", "spec": []}, ENVELOPE),
        ({"kind": "dsse", "apiVersion": "0.0.1"}, ENVELOPE),
    ],
)
def test_a_body_without_what_its_kind_has_is_refused(body: Body, about: Signed) -> None:
    entry, log = logged(body)
    assert "its body has no " in refused(entry, about, log)


def test_a_body_of_several_signatures_is_not_about_one() -> None:
    body = dsse_v1()
    body["spec"]["signatures"] *= 2
    entry, log = logged(body)
    assert refused(entry, ENVELOPE, log) == "its body does not have exactly one signature"


@pytest.mark.parametrize("body", [dsse_v1(), intoto_v1()], ids=["dsse", "intoto"])
def test_a_payload_hash_is_by_sha_256(body: Body) -> None:
    entry, log = logged(json.loads(json.dumps(body).replace('"sha256"', '"sha512"')))
    assert refused(entry, ENVELOPE, log) == "its payload hash is another one"


@pytest.mark.parametrize("body", [b"", b"{", b'{"kind":"dsse","kind":"dsse"}', b"[" * 40, b"\xff"])
def test_a_body_that_is_not_strict_json_is_refused(body: bytes) -> None:
    entry, log = logged(dsse_v1())
    assert "its body is not JSON that can be read" in refused(entry._replace(body=body), ENVELOPE, log)


def test_v2_key_details_and_hash_are_those_of_the_key() -> None:
    p384 = ec.generate_private_key(ec.SECP384R1()).public_key()
    verifier = {"keyDetails": "PKIX_ECDSA_P384_SHA_384", "publicKey": {"rawBytes": base64(der(p384))}}
    about = ENVELOPE._replace(verifier=der(p384))
    entry, log = logged(hashedrekord_v2(sha384(dsse.pae(PAYLOAD)).digest(), verifier, "SHA2_384"))
    assert verify(entry, about, log).time_seconds is None
    reason = "its key details or hash algorithm are not those of the key"
    for other in (
        hashedrekord_v2(PAE_DIGEST, verifier),
        hashedrekord_v2(PAE_DIGEST, {**verifier, "keyDetails": "PKIX_ECDSA_P256_SHA_256"}),
    ):
        entry, log = logged(other)
        assert refused(entry, about, log) == reason
    plain = ed25519.Ed25519PrivateKey.generate().public_key()
    for details in ("PKIX_ED25519", "PKIX_ECDSA_P256_SHA_256"):
        entry, log = logged(
            hashedrekord_v2(verifier={"keyDetails": details, "publicKey": {"rawBytes": base64(der(plain))}})
        )
        assert refused(entry, ENVELOPE._replace(verifier=der(plain)), log) == reason


@pytest.mark.parametrize("form", ["publicKey", "x509Certificate"])
def test_v2_with_a_verifier_that_is_no_key_is_refused(form: str) -> None:
    entry, log = logged(
        hashedrekord_v2(verifier={"keyDetails": "PKIX_ED25519_PH", form: {"rawBytes": base64(b"junk")}})
    )
    assert "not a key or certificate that can be read" in refused(entry, ENVELOPE._replace(verifier=b"junk"), log)


def test_v2_with_two_verifiers_is_refused() -> None:
    entry, log = logged(hashedrekord_v2(verifier={**PLAIN, **CERTIFIED}))
    assert refused(entry, ENVELOPE, log) == "its body does not name one key or one certificate"


def test_an_entry_of_a_log_that_is_not_pinned_is_refused() -> None:
    entry, _ = logged(dsse_v1())
    assert refused(entry, ENVELOPE, Log()) == "it is in a log that is not pinned"


def test_an_entry_with_neither_proof_nor_set_proves_nothing() -> None:
    entry, log = logged(dsse_v1())
    bare = entry._replace(proof=None, signed_entry_timestamp=None)
    assert refused(bare, ENVELOPE, log) == "it has neither an inclusion proof nor a signed entry timestamp"


def test_a_set_alone_or_a_proof_alone_is_enough_but_only_a_set_signs_a_time() -> None:
    entry, log = logged(dsse_v1())
    assert verify(entry._replace(proof=None), ENVELOPE, log).time_seconds == NOW
    assert verify(entry._replace(signed_entry_timestamp=None), ENVELOPE, log).time_seconds is None
    assert (
        verify(entry._replace(signed_entry_timestamp=None, integrated_time=NOW - 5), ENVELOPE, log).time_seconds is None
    )


@pytest.mark.parametrize(
    "change", [{"integrated_time": NOW - 1}, {"log_index": 7}, {"signed_entry_timestamp": b"junk"}]
)
def test_a_set_is_over_body_time_index_and_log(change: dict[str, Any]) -> None:
    entry, log = logged(dsse_v1())
    assert "signed entry timestamp is not by the log's key" in refused(entry._replace(**change), ENVELOPE, log)
    assert "signed entry timestamp is not by the log's key" in refused(
        entry._replace(proof=None, **change), ENVELOPE, log
    )


def test_a_set_of_another_entry_does_not_do() -> None:
    entry, log = logged(dsse_v1())
    other, _ = logged(hashedrekord_v1(), log)
    forged = entry._replace(signed_entry_timestamp=other.signed_entry_timestamp, proof=None)
    assert "signed entry timestamp is not by the log's key" in refused(forged, ENVELOPE, log)


def test_a_good_set_does_not_rescue_a_bad_proof() -> None:
    entry, log = logged(dsse_v1())
    assert entry.proof is not None
    bad = entry._replace(proof=entry.proof._replace(hashes=entry.proof.hashes[::-1]))
    assert refused(bad, ENVELOPE, log) == "its inclusion proof does not lead to the root hash"


@pytest.mark.parametrize(
    ("window", "good"),
    [
        ({"start": "2027-01-15T08:00:00Z"}, True),  # NOW; both ends are inclusive
        ({"start": "2027-01-15T08:00:01Z"}, False),
        ({"start": "2020-01-01T00:00:00Z", "end": "2027-01-15T08:00:00.5Z"}, True),
        ({"start": "2020-01-01T00:00:00Z", "end": "2027-01-15T07:59:59Z"}, False),
        ({}, True),
    ],
)
def test_a_time_outside_of_the_keys_window_is_refused(window: dict[str, str], good: bool) -> None:
    entry, log = logged(dsse_v1())
    log.valid_for = window
    assert valid_at(log_from_json(log.instance()), NOW) is good
    if good:
        assert verify(entry, ENVELOPE, log).time_seconds == NOW
    else:
        assert refused(entry, ENVELOPE, log) == "its time is outside of the time for which the log's key is valid"


def test_a_key_of_two_windows_counts_in_both() -> None:
    entry, log = logged(dsse_v1())
    now = log_from_json(log.instance())
    before = now._replace(valid_until=NOW - 10)
    for logs in ([now, before], [before, now]):
        assert verify_entry(entry, ENVELOPE, logs).log == now


def test_v2_signs_no_time_and_has_one_index() -> None:
    entry, log = logged(hashedrekord_v2())
    assert refused(log.promise(entry), ENVELOPE, log) == "it has a signed entry timestamp, which Rekor v2 does not make"
    assert (
        refused(entry._replace(log_index=entry.log_index + 1), ENVELOPE, log)
        == "its inclusion proof is for another index"
    )


@pytest.mark.parametrize("size", [*range(1, 18), 32, 33, 100])
def test_every_leaf_of_a_tree_has_one_path_and_no_longer_or_shorter_one(size: int) -> None:
    leaves = [b"%d" % number for number in range(size)]
    root = tree_hash(leaves)
    for index in range(size):
        proof = bundle.InclusionProof(index, root, size, tuple(path(index, leaves)), "")
        check_inclusion(leaves[index], proof)
        for hashes in ((*proof.hashes, root), proof.hashes[:-1], (proof.hashes[:1] + proof.hashes)):
            if hashes != proof.hashes:
                with pytest.raises(EntryInvalid):
                    check_inclusion(leaves[index], proof._replace(hashes=hashes))


def test_the_length_of_a_path_is_that_of_the_tree() -> None:
    # Where a tree is said to be larger, a path of any other length must not lead to the same root.
    leaves = [b"0", b"1", b"2", b"3"]
    good = bundle.InclusionProof(0, tree_hash(leaves), 4, tuple(path(0, leaves)), "")
    for change, reason in (
        ({"tree_size": 5}, "too short"),
        ({"tree_size": 2}, "too long"),
        ({"log_index": 4}, "beyond"),
    ):
        with pytest.raises(EntryInvalid, match=reason):
            check_inclusion(b"0", good._replace(**change))


def test_an_inner_node_is_no_leaf() -> None:
    # RFC 6962, section 2.1: leaves and nodes are hashed with different first bytes.
    leaves = [b"0", b"1"]
    inner = sha256(b"\x00" + b"0").digest() + sha256(b"\x00" + b"1").digest()
    proof = bundle.InclusionProof(0, sha256(b"\x01" + inner).digest(), 1, (), "")
    assert proof.root_hash == tree_hash(leaves)
    with pytest.raises(EntryInvalid, match="does not lead to the root hash"):
        check_inclusion(inner, proof)


def test_a_sibling_that_is_no_hash_is_refused() -> None:
    leaf, sibling = sha256(b"\x00a").digest(), b"short"
    proof = bundle.InclusionProof(0, sha256(b"\x01" + leaf + sibling).digest(), 2, (sibling,), "")
    with pytest.raises(EntryInvalid, match="something that is not a hash"):
        check_inclusion(b"a", proof)


def with_checkpoint(log: Log, change: Callable[[str], str], body: Body | None = None) -> LogEntry:
    """An entry whose checkpoint's text is changed and then signed by the log."""
    entry, _ = logged(body or dsse_v1(), log)
    assert entry.proof is not None
    text = change(entry.proof.checkpoint.partition("\n\n")[0] + "\n")
    note = f"{text}\n\u2014 {log.name} {base64(log.log_id[:4] + log.sign(text.encode()))}\n"
    return entry._replace(proof=entry.proof._replace(checkpoint=note))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text.replace("log.example", "other.example"), "another origin"),
        (lambda text: text.replace("log.example", "log.example.org"), "another origin"),
        (lambda text: text.replace("log.example - ", "log.example / "), "another origin"),
        (lambda text: text.replace("\n6\n", "\n7\n"), "a tree of another size"),
        (lambda text: text.replace("\n6\n", "\n06\n"), "a tree of another size"),
        (lambda text: text.replace("\n6\n", "\n\u0666\n"), "a tree of another size"),
        (lambda text: "\n".join([*text.split("\n")[:2], base64(bytes(32)), ""]), "another root hash"),
        (lambda text: "\n".join([*text.split("\n")[:2], ""]), "another root hash"),
        (lambda text: text + "\x00\n", "not text"),
        (lambda text: text.replace("\n", "\r\n"), "not text"),
        (lambda text: text + "x" * 70_000 + "\n", "too long"),
    ],
)
def test_a_checkpoint_is_for_this_log_root_and_size(change: Callable[[str], str], reason: str) -> None:
    log = Log()
    assert reason in refused(with_checkpoint(log, change), ENVELOPE, log)


@pytest.mark.parametrize("change", [lambda text: text, lambda text: text + "Timestamp: 1\nextension\n",
                                    lambda text: text.replace(" - 1193050959916656506", "")])  # fmt: skip
def test_a_checkpoint_may_say_more(change: Callable[[str], str]) -> None:
    log = Log()
    assert verify(with_checkpoint(log, change), ENVELOPE, log).time_seconds == NOW


def test_witnesses_may_sign_beside_the_log_and_not_instead() -> None:
    log = Log(version=2)
    log.witnesses = f"\u2014 witness.example/w1 {base64(bytes(76))}\n" * 3
    entry, _ = logged(hashedrekord_v2(), log)
    assert verify(entry, ENVELOPE, log)
    assert entry.proof is not None
    alone = entry.proof.checkpoint.partition("\n\n")[0] + "\n\n" + log.witnesses
    reason = refused(entry._replace(proof=entry.proof._replace(checkpoint=alone)), ENVELOPE, log)
    assert reason == "its checkpoint bears no signature by the log's key"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("\u2014 log.example ", "\u2014 other.example ", "bears no signature by the log's key"),
        ("\u2014 log.example ", "\u2014 log.example AAAA", "bears no signature by the log's key"),  # another key hint
        ("\u2014 log.example ", "- log.example ", "a line that is not a signature"),
        ("\u2014 log.example ", "\u2014 log.example \u2014 ", "a line that is not a signature"),
        ("\n\n", "\n", "not a signed note"),
        ("\n\n", "\n\n\n", "a line that is not a signature"),
        ("\n\n", "\nmore\n\n", "signature does not verify"),
    ],
)
def test_a_checkpoint_is_a_note_signed_by_the_log(old: str, new: str, reason: str) -> None:
    entry, log = logged(dsse_v1())
    assert entry.proof is not None
    checkpoint = entry.proof.checkpoint.replace(old, new)
    assert reason in refused(entry._replace(proof=entry.proof._replace(checkpoint=checkpoint)), ENVELOPE, log)
    assert reason in refused(
        entry._replace(proof=entry.proof._replace(checkpoint=checkpoint), signed_entry_timestamp=None), ENVELOPE, log
    )


@pytest.mark.parametrize("cut", [slice(0, -1), slice(0, -2)])
def test_a_checkpoint_that_is_cut_off_is_refused(cut: slice) -> None:
    entry, log = logged(dsse_v1())
    assert entry.proof is not None
    proof = entry.proof._replace(checkpoint=entry.proof.checkpoint[cut])
    assert "its checkpoint is not a signed note" in refused(entry._replace(proof=proof), ENVELOPE, log)


def test_a_checkpoint_with_too_short_a_signature_is_refused() -> None:
    entry, log = logged(dsse_v1())
    assert entry.proof is not None
    note = entry.proof.checkpoint.rpartition(" ")[0] + f" {base64(log.log_id[:4])}\n"
    assert "a line that is not a signature" in refused(
        entry._replace(proof=entry.proof._replace(checkpoint=note)), ENVELOPE, log
    )


KEYS = {
    "PKIX_ECDSA_P256_SHA_256": ec.generate_private_key(ec.SECP256R1()),
    "PKIX_ECDSA_P384_SHA_384": ec.generate_private_key(ec.SECP384R1()),
    "PKIX_ECDSA_P521_SHA_512": ec.generate_private_key(ec.SECP521R1()),
    "PKIX_ED25519": ed25519.Ed25519PrivateKey.generate(),
    "PKIX_RSA_PKCS1V15_2048_SHA256": rsa.generate_private_key(65537, 2048),
}


@pytest.mark.parametrize("details", KEYS)
def test_a_log_may_have_a_key_of_each_of_these_kinds(details: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512

    key: Any = KEYS[details]
    arguments = {
        "PKIX_ECDSA_P256_SHA_256": [ec.ECDSA(SHA256())],
        "PKIX_ECDSA_P384_SHA_384": [ec.ECDSA(SHA384())],
        "PKIX_ECDSA_P521_SHA_512": [ec.ECDSA(SHA512())],
        "PKIX_ED25519": [],
        "PKIX_RSA_PKCS1V15_2048_SHA256": [PKCS1v15(), SHA256()],
    }[details]
    log = Log()
    log.key = key
    monkeypatch.setattr(Log, "log_id", sha256(der(key.public_key())).digest())
    monkeypatch.setattr(log, "sign", lambda data: key.sign(data, *arguments))
    entry, _ = logged(dsse_v1(), log)
    instance: Any = log.instance()
    instance["publicKey"]["keyDetails"] = details
    pinned = log_from_json(instance)
    assert verify_entry(entry, ENVELOPE, [pinned]).time_seconds == NOW
    with pytest.raises(EntryInvalid, match="signed entry timestamp is not by"):
        verify_entry(entry._replace(proof=None, integrated_time=1), ENVELOPE, [pinned])
    for other in KEYS.keys() - {details}:
        instance["publicKey"]["keyDetails"] = other
        with pytest.raises(LogInvalid, match="keyDetails are not those of its key"):
            log_from_json(instance)


def test_a_log_is_described_as_in_a_trusted_root() -> None:
    log = Log()
    described = log_from_json(log.instance("https://log.example:8443/rekor"))
    assert described == (
        "log.example", "https://log.example:8443/rekor", log.spki, log.log_id, 1_577_836_800, None, log.log_id[:4],
    )  # fmt: skip
    plain: dict[str, Any] = {
        **log.instance("log.example"),
        "operator": "example",
        "checkpointKeyId": {"keyId": "AQIDBA=="},
    }
    assert (log_from_json(plain).name, log_from_json(plain).key_hint) == ("log.example", b"\x01\x02\x03\x04")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"baseUrl": "https://"}, "baseUrl has no host"),
        ({"baseUrl": "https://user@log.example"}, "baseUrl has no host"),
        ({"baseUrl": None}, "baseUrl has no host"),
        ({"hashAlgorithm": "SHA2_512"}, "hashAlgorithm is not SHA2_256"),
        ({"publicKey": {"rawBytes": "AAAA", "keyDetails": "PKIX_ED25519"}}, "not a public key"),
        ({"publicKey": None}, "publicKey is not an object"),
        ({"logId": {}}, "logId.keyId is missing"),
        ({"logId": {"keyId": "AAA="}}, "shorter than a key hint"),
        ({"more": 1}, "unknown field"),
    ],
)
def test_a_description_that_cannot_be_used_is_refused(change: Body, reason: str) -> None:
    with pytest.raises(LogInvalid, match=reason):
        log_from_json({**Log().instance(), **change})


@pytest.mark.parametrize("start", ["2020-13-01T00:00:00Z", "2020-01-01", "2020-01-01T00:00:00+00:00", 5])
def test_a_window_that_is_no_time_is_refused(start: object) -> None:
    log = Log()
    log.valid_for = {"start": start}  # type: ignore[dict-item]
    with pytest.raises(LogInvalid, match=r"validFor\.start"):
        log_from_json(log.instance())


def test_weak_rsa_keys_are_refused() -> None:
    key = rsa.generate_private_key(65537, 1024).public_key()
    public_key = {"rawBytes": base64(der(key)), "keyDetails": "PKIX_RSA_PKCS1V15_1024_SHA256"}
    with pytest.raises(LogInvalid, match="keyDetails"):
        log_from_json({**Log().instance(), "publicKey": public_key})


def conformance(sample: str) -> tuple[LogEntry, Signed, list[Any]]:
    """(entry, what it must be about, logs) of a sample of Sigstore's conformance data."""
    if CONFORMANCE is None:
        pytest.skip("AUTHS_CONFORMANCE names no folder of conformance data")
    folder = Path(CONFORMANCE) / "sigstore"
    own_root = folder / sample / "trusted_root.json"
    root = json.loads((own_root if own_root.exists() else folder / "production-trusted_root.json").read_bytes())
    parsed = bundle.parse((folder / sample / "bundle.sigstore.json").read_bytes())
    if parsed.certificates:
        verifier = parsed.certificates[0]
    else:
        verifier = der(load_pem_public_key((folder / "managed-key-happy-path" / "key.pub").read_bytes()))
    about = signed(parsed, verifier, sha256((folder / "a.txt").read_bytes()).digest())
    return parsed.entries[0], about, [log_from_json(log) for log in root["tlogs"]]


@pytest.mark.parametrize(
    ("sample", "time_seconds"),
    [
        ("happy-path-v0.3", 1710869186),
        ("managed-key-happy-path", 1766077479),
        ("rekor2-dsse-happy-path", None),
        ("rekor2-timestamp-payload-mismatch_fail", None),  # its entry is good; its timestamp is not
    ],
)
def test_entries_of_public_logs_verify(sample: str, time_seconds: int | None) -> None:
    entry, about, logs = conformance(sample)
    assert verify_entry(entry, about, logs).time_seconds == time_seconds


@pytest.mark.parametrize(
    ("sample", "reason"),
    [
        ("checkpoint-wrong-roothash_fail", "its checkpoint has another root hash"),
        ("set-invalid-signature_fail", "its signed entry timestamp is not by the log's key"),
    ],
)
def test_entries_that_are_bad_fail_for_the_reason_they_were_made_for(sample: str, reason: str) -> None:
    entry, about, logs = conformance(sample)
    with pytest.raises(EntryInvalid, match=reason):
        verify_entry(entry, about, logs)


def test_an_entry_by_another_managed_key_is_refused() -> None:
    entry, about, logs = conformance("managed-key-happy-path")
    with pytest.raises(EntryInvalid, match="its verifier is another one"):
        verify_entry(entry, about._replace(verifier=der(KEY)), logs)
