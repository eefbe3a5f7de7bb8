from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st
from rfc3161_client import TimestampRequestBuilder

from git_auths.core import timestamp
from git_auths.core.timestamp import Authority, TimestampInvalid
from tests.loopback import tsa
from tests.loopback.tsa import END, EPOCH, PURPOSE, Issued

SIGNATURE = b"the decoded bytes of a signature"
NOON = int(datetime(2030, 6, 1, 12, tzinfo=timezone.utc).timestamp())


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tsa.Authority:
    return tsa.Authority(tmp_path_factory.mktemp("tsa"))


@pytest.fixture(scope="module")
def response(authority: tsa.Authority) -> bytes:
    return authority.stamp(SIGNATURE)


def pinned(*issued: Issued) -> Authority:
    return timestamp.authority_from_pem(b"".join(one.pem for one in issued), "example")


def refusal(response: bytes, *authorities: Authority, signature: bytes = SIGNATURE) -> str:
    with pytest.raises(TimestampInvalid) as caught:
        timestamp.verify(response, signature, authorities)
    assert str(caught.value) == caught.value.reason
    assert "\n" not in caught.value.reason
    return caught.value.reason


def stamped_by(folder: Path, leaf: Issued, root: Issued, seconds: int = NOON) -> bytes:
    authority = tsa.Authority(folder, root, leaf)
    authority.time_seconds = seconds
    return authority.stamp(SIGNATURE)


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_a_timestamp_by_a_pinned_authority_says_when(tmp_path: Path, digest: str) -> None:
    authority = tsa.Authority(tmp_path)
    authority.time_seconds = NOON
    found = timestamp.verify(authority.stamp(SIGNATURE, digest), SIGNATURE, [pinned(authority.root)])
    assert found == timestamp.Stamped(NOON, "example")


def test_the_clock_of_openssl_is_read_as_it_is(response: bytes, authority: tsa.Authority) -> None:
    found = timestamp.verify(response, SIGNATURE, [pinned(authority.root)])
    assert abs(found.time_seconds - datetime.now(timezone.utc).timestamp()) < 600


def test_a_timestamp_over_another_signature_is_refused(response: bytes, authority: tsa.Authority) -> None:
    assert refusal(response, pinned(authority.root), signature=b"another") == "it is for another signature"


def test_a_timestamp_by_an_authority_that_is_not_pinned_is_refused(response: bytes) -> None:
    assert "issuer certificate" in refusal(response, pinned(Issued("another", ca=True)))
    assert "signature failure" in refusal(response, pinned(Issued("Loopback TSA root", ca=True)))


def test_without_any_pinned_authority_nothing_is_proven(response: bytes) -> None:
    assert refusal(response) == "no time stamping authority is pinned"


def test_each_pinned_authority_is_tried(response: bytes, authority: tsa.Authority) -> None:
    other = pinned(Issued("other", ca=True))._replace(name="other")
    assert timestamp.verify(response, SIGNATURE, [other, pinned(authority.root)]).authority == "example"


def test_a_changed_time_breaks_the_authoritys_signature(response: bytes, authority: tsa.Authority) -> None:
    year = response.index(b"\x18\x0f20") + 2
    forged = response[:year] + b"2021" + response[year + 4 :]
    assert refusal(forged, pinned(authority.root)) == "example: digest failure"


def test_a_changed_signature_is_refused(response: bytes, authority: tsa.Authority) -> None:
    assert "signature failure" in refusal(response[:-1] + bytes([response[-1] ^ 1]), pinned(authority.root))


@pytest.mark.parametrize("status", [1, 2, 3, 4, 5, 99])
def test_only_granted_is_granted(response: bytes, authority: tsa.Authority, status: int) -> None:
    at = response.index(bytes.fromhex("3003020100")) + 4
    changed = response[:at] + bytes([status]) + response[at + 1 :]
    assert refusal(changed, pinned(authority.root)) == f"status {status}, not granted"


def test_a_rejection_tells_its_reason(authority: tsa.Authority) -> None:
    request = authority.request(SIGNATURE).replace(
        bytes.fromhex("0609608648016503040201"), bytes.fromhex("0609608648016503040204")
    )
    reason = refusal(authority.reply(request), pinned(authority.root))
    assert reason == "status 2, not granted: 'Message digest algorithm is not supported.'"


@pytest.mark.parametrize(
    ("leaf", "reason"),
    [
        ({}, "purpose"),
        ({"purpose": x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])}, "purpose"),
        ({"purpose": PURPOSE, "critical": False}, "purpose"),
        ({"purpose": x509.ExtendedKeyUsage([*PURPOSE, ExtendedKeyUsageOID.CODE_SIGNING])}, "purpose"),
    ],
    ids=["no-purpose", "another-purpose", "not-critical", "a-second-purpose"],
)
def test_the_signers_certificate_must_be_for_time_stamping_alone(
    tmp_path: Path, authority: tsa.Authority, leaf: dict, reason: str
) -> None:
    # openssl refuses to sign with such a certificate: the honest leaf's place is taken in the response.
    signer = Issued("Loopback TSA", authority.root, **leaf)
    honest = tsa.Authority(tmp_path / "honest", authority.root, Issued("Loopback TSA", authority.root, purpose=PURPOSE))
    pin = Authority("example", (signer.der, authority.root.der))
    assert reason in refusal(_signed_with(honest, signer), pin)


def _signed_with(honest: tsa.Authority, signer: Issued) -> bytes:
    """A response without embedded certificates, its signer identifier and signature those of `signer`."""
    response = honest.stamp(SIGNATURE, embed=False)
    old, new = (number(issued.certificate.serial_number) for issued in (honest.leaf, signer))
    assert len(old) == len(new), "serial numbers of 20 bytes"
    honest.leaf.key = signer.key
    return honest.signed_anew(response.replace(old, new))


def number(serial: int) -> bytes:
    return serial.to_bytes(20, "big").lstrip(b"\0")


@pytest.mark.parametrize("seconds", [int(EPOCH.timestamp()) - 1, int(END.timestamp()) + 1], ids=["before", "after"])
def test_a_time_outside_of_the_certificates_validity_is_refused(tmp_path: Path, seconds: int) -> None:
    root = Issued("root", ca=True)
    leaf = Issued("leaf", root, purpose=PURPOSE)
    assert "certificate" in refusal(stamped_by(tmp_path, leaf, root, seconds), pinned(root))


@pytest.mark.parametrize("short", ["leaf", "between", "root"])
def test_a_time_must_lie_within_the_validity_of_every_certificate_of_the_chain(tmp_path: Path, short: str) -> None:
    ended = {"not_after": datetime(2030, 1, 1, tzinfo=timezone.utc)}
    root = Issued("root", ca=True, **ended if short == "root" else {})
    between = Issued("between", root, ca=True, **ended if short == "between" else {})
    leaf = Issued("leaf", between, purpose=PURPOSE, **ended if short == "leaf" else {})
    early = NOON - 366 * 24 * 3600
    assert timestamp.verify(stamped_by(tmp_path, leaf, root, early), SIGNATURE, [pinned(root, between)])
    assert refusal(stamped_by(tmp_path, leaf, root), pinned(root, between)) == "example: certificate has expired"


def test_a_time_must_lie_within_the_validity_of_a_pinned_certificate_that_the_chain_does_without(
    tmp_path: Path,
) -> None:
    root = Issued("root", ca=True)
    spare = Issued("spare", root, ca=True, not_after=datetime(2030, 1, 1, tzinfo=timezone.utc))
    response = stamped_by(tmp_path, Issued("leaf", root, purpose=PURPOSE), root)
    assert "outside of the validity of a pinned certificate" in refusal(response, pinned(root, spare))


def test_the_window_of_the_authority_includes_its_ends(tmp_path: Path) -> None:
    root = Issued("root", ca=True)
    response = stamped_by(tmp_path, Issued("leaf", root, purpose=PURPOSE), root)
    pin = pinned(root)
    assert timestamp.verify(response, SIGNATURE, [pin._replace(valid_from=NOON, valid_until=NOON)])
    assert "before the authority's" in refusal(response, pin._replace(valid_from=NOON + 1))
    assert "after the authority's" in refusal(response, pin._replace(valid_until=NOON - 1))


def test_a_pinned_leaf_needs_no_embedded_one_and_lets_no_other_stamp(tmp_path: Path, authority: tsa.Authority) -> None:
    pin = pinned(authority.root, authority.leaf)
    assert pin.certificates == (authority.leaf.der, authority.root.der)
    assert timestamp.verify(authority.stamp(SIGNATURE, embed=False), SIGNATURE, [pin])
    sibling = tsa.Authority(tmp_path, authority.root, Issued("Loopback TSA", authority.root, purpose=PURPOSE))
    assert timestamp.verify(sibling.stamp(SIGNATURE), SIGNATURE, [pinned(authority.root)])
    assert "Embedded certificate does not match" in refusal(sibling.stamp(SIGNATURE), pin)


def test_without_the_signers_certificate_there_is_nobody_to_believe(authority: tsa.Authority) -> None:
    assert "not found" in refusal(authority.stamp(SIGNATURE, embed=False), pinned(authority.root))


def test_certificates_against_the_order_of_der_are_refused_in_words_that_help(tmp_path: Path) -> None:
    authority = tsa.Authority(tmp_path)
    authority.extra = [Issued("beside", ca=True)]
    assert timestamp.verify(authority.stamp(SIGNATURE), SIGNATURE, [pinned(authority.root)])
    authority.sort_set = False
    reason = refusal(authority.stamp(SIGNATURE), pinned(authority.root))
    assert reason.startswith("its certificates are not in DER order")


def test_a_token_signed_over_sha1_is_refused(tmp_path: Path) -> None:
    authority = tsa.Authority(tmp_path)
    config = tmp_path / "tsa.cnf"
    config.write_text(config.read_text().replace("signer_digest = sha256", "signer_digest = sha1"))
    assert "another hash than SHA-256" in refusal(authority.stamp(SIGNATURE), pinned(authority.root))


def test_an_imprint_by_a_weak_hash_is_refused(tmp_path: Path) -> None:
    authority = tsa.Authority(tmp_path)
    config = tmp_path / "tsa.cnf"
    config.write_text(config.read_text().replace("digests = ", "digests = sha1, "))
    reason = refusal(authority.stamp(SIGNATURE, "sha1"), pinned(authority.root))
    assert reason == "the imprint is of another hash than SHA-256, SHA-384 or SHA-512"


def test_a_response_is_bounded(response: bytes, authority: tsa.Authority) -> None:
    assert refusal(response + bytes(64 * 1024), pinned(authority.root)) == "longer than 65536 bytes"


def test_a_response_with_a_crowd_of_certificates_is_refused(tmp_path: Path) -> None:
    authority = tsa.Authority(tmp_path)
    authority.extra = [Issued(f"beside {number}", ca=True) for number in range(10)]
    assert "more than 10 certificates" in refusal(authority.stamp(SIGNATURE), pinned(authority.root))


def test_bytes_after_the_response_are_refused(response: bytes, authority: tsa.Authority) -> None:
    assert refusal(response + b"\0", pinned(authority.root)) == "not a DER time stamp response"


@given(st.data())
def test_a_response_changed_anywhere_is_refused_or_says_the_same(data: st.DataObject) -> None:
    authority, response = _ONCE
    at = data.draw(st.integers(0, len(response) - 1))
    changed = response[:at] + bytes([response[at] ^ data.draw(st.integers(1, 255))]) + response[at + 1 :]
    pin = Authority("example", (authority.leaf.der, authority.root.der))
    try:
        found = timestamp.verify(changed, SIGNATURE, [pin])
    except TimestampInvalid:
        return
    assert found == timestamp.verify(response, SIGNATURE, [pin])


@pytest.fixture(scope="module", autouse=True)
def _once(authority: tsa.Authority, response: bytes) -> None:
    _ONCE[:] = [authority, response]


_ONCE: list = []


@given(st.binary(max_size=200))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(TimestampInvalid):
        timestamp.verify(noise, SIGNATURE, [])


def test_an_answer_is_compared_with_its_request(authority: tsa.Authority) -> None:
    request = TimestampRequestBuilder().data(SIGNATURE).build()
    answer = authority.reply(request.as_bytes())
    timestamp.match_request(answer, SIGNATURE, request.nonce)
    for signature, expected, reason in [(b"x", request.nonce, "another signature"), (SIGNATURE, 1, "nonce")]:
        with pytest.raises(TimestampInvalid, match=reason):
            timestamp.match_request(answer, signature, expected)


def test_an_answer_must_come_with_a_certificate(authority: tsa.Authority) -> None:
    request = TimestampRequestBuilder().data(SIGNATURE).cert_request(cert_request=False).build()
    answer = authority.reply(request.as_bytes())
    with pytest.raises(TimestampInvalid, match="no certificate comes with it"):
        timestamp.match_request(answer, SIGNATURE, request.nonce)


def test_a_token_of_another_version_is_refused(response: bytes, authority: tsa.Authority) -> None:
    content = tsa.signed_content(response)
    at = content.index(b"\x02\x01\x01") + 2
    assert timestamp.verify(authority.with_content(response, content), SIGNATURE, [pinned(authority.root)])
    changed = authority.with_content(response, content[:at] + b"\2" + content[at + 1 :])
    assert refusal(changed, pinned(authority.root)) == "not of version 1"


def test_an_authority_is_read_from_pem_in_any_order() -> None:
    root = Issued("root", ca=True)
    between = Issued("between", root, ca=True)
    assert pinned(root, between) == pinned(between, root) == Authority("example", (between.der, root.der))


@pytest.mark.parametrize(
    ("certificates", "reason"),
    [
        ((), "not PEM certificates"),
        (("leaf",), "0 self-signed CA certificates, not one"),
        (("between",), "0 self-signed CA certificates, not one"),
        (("root", "other"), "2 self-signed CA certificates, not one"),
        (("root", "leaf", "leaf2"), "more than one certificate that is not a CA's"),
        (("root",) * 11, "more than 10 certificates"),
    ],
)
def test_what_is_no_authority_is_refused(certificates: tuple[str, ...], reason: str) -> None:
    root = Issued("root", ca=True)
    known = {
        "root": root,
        "other": Issued("root", ca=True),
        "between": Issued("between", root, ca=True),
        "leaf": Issued("leaf", root, purpose=PURPOSE),
        "leaf2": Issued("leaf", root, purpose=PURPOSE),
    }
    with pytest.raises(TimestampInvalid, match=reason):
        pinned(*(known[name] for name in certificates))


def test_a_pin_is_bounded() -> None:
    with pytest.raises(TimestampInvalid, match="longer than"):
        timestamp.authority_from_pem(b"-" * (64 * 1024 + 1), "example")


def test_a_certificate_that_only_looks_self_signed_is_no_root() -> None:
    root, other = Issued("same", ca=True), Issued("same", ca=True)
    forged = Issued("same", other, ca=True)
    assert forged.certificate.issuer == forged.certificate.subject == root.certificate.subject
    with pytest.raises(TimestampInvalid, match="0 self-signed"):
        pinned(forged)


def test_pinned_bytes_that_are_no_certificates_vouch_for_nothing(response: bytes, authority: tsa.Authority) -> None:
    assert "not DER" in refusal(response, Authority("example", (b"\x30\x00",)))
    assert "no CA certificate" in refusal(response, Authority("example", ()))
    assert "no CA certificate" in refusal(response, Authority("example", (authority.leaf.der,)))
