from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
from sigstore_models.rekor.v1 import TransparencyLogEntry

from git_auths.core import bundle, didkey, dsse, transparency
from git_auths.core.transparency import EntryInvalid, Signed, verify_entry
from git_auths.services import rekor
from git_auths.services.http import ServiceError
from tests.core.test_dsse import SIGNERS, Signer, ed25519_signer, p256_signer
from tests.loopback.rekor import LoopbackRekor

PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1"}'


def signed_by(signer: Signer) -> tuple[dsse.Envelope, bytes, Signed]:
    blob, sign = signer
    envelope = dsse.sign(PAYLOAD, blob, sign)
    return envelope, blob, Signed(PAYLOAD, dsse.PAYLOAD_TYPE, envelope.signatures[0].sig, didkey.spki(blob), b"")


def pinned(log: LoopbackRekor) -> transparency.Log:
    return transparency.log_from_json(dsse.load_json(log.pin))


@SIGNERS
def test_a_v1_log_records_an_envelope_with_a_time(new_signer: Callable[[], Signer]) -> None:
    envelope, blob, signed = signed_by(new_signer())
    with LoopbackRekor() as log:
        log.log.time_seconds = 1_800_000_000
        entry = rekor.submit(log.url, envelope, blob)
        assert (entry.kind, entry.version) == ("dsse", "0.0.1")
        assert verify_entry(entry, signed, [pinned(log)]).time_seconds == 1_800_000_000
        assert log.requests == ["POST /api/v1/log/entries"]


def test_a_v2_log_is_known_by_its_answer_and_records_a_p256_signature() -> None:
    envelope, blob, signed = signed_by(p256_signer())
    with LoopbackRekor(version=2) as log:
        entry = rekor.submit(log.url, envelope, blob)
        assert (entry.kind, entry.version) == ("hashedrekord", "0.0.2")
        assert verify_entry(entry, signed, [pinned(log)]).time_seconds is None
        assert log.requests == ["POST /api/v1/log/entries", "POST /api/v2/log/entries"]


def test_what_came_back_goes_into_a_bundle_as_it_is() -> None:
    envelope, blob, _ = signed_by(p256_signer())
    with LoopbackRekor() as v1, LoopbackRekor(version=2) as v2:
        entries = tuple(rekor.submit(log.url, envelope, blob) for log in (v1, v2))
    assert bundle.parse(bundle.serialise(envelope, blob, (), entries)).entries == entries
    for entry in entries:
        TransparencyLogEntry.from_dict(bundle.entry_to_json(entry))


def test_an_address_may_name_the_version() -> None:
    envelope, blob, _ = signed_by(p256_signer())
    with LoopbackRekor(version=2) as log:
        rekor.submit(log.url + "/api/v2/", envelope, blob)
        assert log.requests == ["POST /api/v2/log/entries"]
        with pytest.raises(ServiceError, match="404 Not Found"):
            rekor.submit(log.url + "/api/v1", envelope, blob)
        assert len(log.requests) == 2


def test_a_v2_log_is_not_asked_to_take_an_ed25519_signature() -> None:
    envelope, blob, _ = signed_by(ed25519_signer())
    with LoopbackRekor(version=2) as log:
        with pytest.raises(ServiceError, match="takes no signatures by Ed25519 keys") as caught:
            rekor.submit(log.url, envelope, blob)
        assert log.requests == ["POST /api/v1/log/entries"]
        assert log.url.removeprefix("http://") in caught.value.message
        with pytest.raises(ServiceError, match="takes no signatures by Ed25519 keys"):
            rekor.submit(log.url + "/api/v2", envelope, blob)
        assert len(log.requests) == 1


def test_an_envelope_that_v1_already_has_is_fetched() -> None:
    envelope, blob, signed = signed_by(ed25519_signer())
    with LoopbackRekor(behaviour="lost-answer") as log:
        entry = rekor.submit(log.url, envelope, blob)
        assert verify_entry(entry, signed, [pinned(log)]).time_seconds
        assert [request.split("/")[0] for request in log.requests] == ["POST ", "POST ", "GET "]


def test_v2_is_not_asked_twice() -> None:
    envelope, blob, _ = signed_by(p256_signer())
    with LoopbackRekor(version=2, behaviour="lost-answer") as log, pytest.raises(ServiceError, match="503"):
        rekor.submit(log.url + "/api/v2", envelope, blob)
    assert len(log.requests) == 1


def test_a_signature_that_does_not_verify_is_refused_by_the_log() -> None:
    envelope, blob, _ = signed_by(p256_signer())
    other = envelope._replace(payload=b"{}")
    for version in (1, 2):
        with LoopbackRekor(version=version) as log, pytest.raises(ServiceError, match="400 Bad Request"):
            rekor.submit(log.url, other, blob)


FAULTS = {
    "html": "answered with a web page instead of JSON",
    "large": "answered with more than 1048576 bytes",
    "other-entry": "an entry that is of no use: its (payload hash|digest) is another one",
    "no-proof": "not a log entry with its proof|it has no inclusion proof",
}


@pytest.mark.parametrize(("behaviour", "version"), list(product(FAULTS, (1, 2))))
def test_an_answer_that_is_not_the_entry_is_an_error_in_one_line(behaviour: str, version: int) -> None:
    envelope, blob, _ = signed_by(p256_signer())
    with LoopbackRekor(version=version, behaviour=behaviour) as log:
        with pytest.raises(ServiceError, match=FAULTS[behaviour]) as caught:
            rekor.submit(f"{log.url}/api/v{version}", envelope, blob)
        assert caught.value.message.startswith(log.url.removeprefix("http://"))
        assert "\n" not in caught.value.message


def test_a_log_that_never_answers_is_an_error_after_the_time_given() -> None:
    envelope, blob, _ = signed_by(p256_signer())
    with (
        LoopbackRekor(version=2, behaviour="silent") as log,
        pytest.raises(ServiceError, match="did not answer within"),
    ):
        rekor.submit(log.url + "/api/v2", envelope, blob, timeout_seconds=0.2)


def test_a_proof_that_leads_elsewhere_is_an_error() -> None:
    envelope, blob, _ = signed_by(p256_signer())
    with LoopbackRekor() as log:
        proof = log.log.proof
        log.log.proof = lambda index: proof(index)._replace(root_hash=bytes(32))  # type: ignore[method-assign]
        with pytest.raises(ServiceError, match="does not lead to the root hash"):
            rekor.submit(log.url, envelope, blob)


@pytest.mark.parametrize("answer", ["{}", "[]", '{"a":1}', '{"a":{}}', '{"a":{"body":"e30="},"b":{}}', "null"])
def test_json_that_is_no_entry_is_an_error(answer: str) -> None:
    envelope, blob, _ = signed_by(p256_signer())
    for version in (1, 2):
        with LoopbackRekor(version=version) as log:
            log._v1_answer = log._v2_answer = lambda _: answer.encode()  # type: ignore[method-assign]
            with pytest.raises(ServiceError, match="answered with"):
                rekor.submit(f"{log.url}/api/v{version}", envelope, blob)


# What only the pinned key can tell: the log answers well, and a verifier refuses.
@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("wrong-root", "another root hash"),
        ("other-origin", "another origin"),
        ("forged-time", "signed entry timestamp"),
    ],
)
def test_a_lie_about_the_log_is_found_by_its_pin(behaviour: str, reason: str) -> None:
    envelope, blob, signed = signed_by(p256_signer())
    with LoopbackRekor(behaviour=behaviour) as log:
        entry = rekor.submit(log.url, envelope, blob)
        with pytest.raises(EntryInvalid, match=reason):
            verify_entry(entry, signed, [pinned(log)])
