from __future__ import annotations

import socket
from pathlib import Path

import pytest

from git_auths.core import timestamp
from git_auths.services import tsa
from git_auths.services.http import ServiceError
from tests.loopback.tsa import Authority, Issued, LoopbackTsa

SIGNATURE = b"the decoded bytes of a signature"


def refusal(server: LoopbackTsa, timeout_seconds: float = 10) -> str:
    with server, pytest.raises(ServiceError) as caught:
        tsa.stamp(server.url, SIGNATURE, timeout_seconds)
    assert "\n" not in caught.value.message
    assert caught.value.message.startswith("127.0.0.1:")
    return caught.value.message


def test_a_signature_is_stamped_and_the_stamp_verifies(tmp_path: Path) -> None:
    with LoopbackTsa(tmp_path) as server:
        response = tsa.stamp(server.url, SIGNATURE)
    pin = timestamp.authority_from_pem(server.pem, "loopback")
    assert timestamp.verify(response, SIGNATURE, [pin]).authority == "loopback"


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("html", "answered with a web page, not a timestamp"),
        ("large", "more than 65536 bytes"),
        ("refused", "status 2, not granted: 'Message digest algorithm is not supported.'"),
        ("another-imprint", "it is for another signature"),
        ("another-nonce", "the nonce is not the request's"),
        ("no-certificate", "no certificate comes with it"),
    ],
)
def test_an_answer_that_is_no_timestamp_for_the_signature_is_refused_in_one_line(
    tmp_path: Path, behaviour: str, reason: str
) -> None:
    assert reason in refusal(LoopbackTsa(tmp_path, behaviour=behaviour))


def test_certificates_against_the_order_of_der_are_refused_when_they_come(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.extra, authority.sort_set = [Issued("beside", ca=True)], False
    assert "not in DER order" in refusal(LoopbackTsa(tmp_path, authority))


def test_silence_has_an_end(tmp_path: Path) -> None:
    assert "did not answer within 0.2 seconds" in refusal(LoopbackTsa(tmp_path, behaviour="silent"), 0.2)


def test_an_unavailable_authority_is_asked_again_and_then_named(tmp_path: Path) -> None:
    server = LoopbackTsa(tmp_path, behaviour="unavailable")
    assert "503 Service Unavailable" in refusal(server)
    assert server.requests == 3


def test_an_authority_that_is_not_there_is_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
    with pytest.raises(ServiceError, match=r"127\.0\.0\.1:\d+ refuses connections"):
        tsa.stamp(url, SIGNATURE)
