"""What a folder .auths pins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from git_auths.core import pins
from git_auths.errors import TooLarge
from tests.attacks.evidence import unasked
from tests.loopback.rekor import Log
from tests.loopback.tsa import Issued

OIDC = unasked("https://ci.example").pin_file()
TSA = Issued("Root", ca=True).pem
LOG = json.dumps(Log("log.example").instance()).encode()


def read(files: dict[bytes, bytes]) -> pins.Pins:
    ids = {path: str(number) for number, path in enumerate(files)}
    contents = dict(zip(ids.values(), files.values(), strict=True))

    def content(id: str) -> bytes:
        if len(contents[id]) > pins.MAX_PIN_BYTES:
            raise TooLarge("it is too large")
        return contents[id]

    return pins.read(ids, content)


def test_each_folder_pins_its_kind() -> None:
    found = read({b"oidc/ci.json": OIDC, b"tsa/root.pem": TSA, b"rekor/log.json": LOG, b"policy.toml": b""})
    assert [one.issuer for one in found.issuers] == ["https://ci.example"]
    assert [one.name for one in found.authorities] == ["root"]
    assert [one.name for one in found.logs] == ["log.example"]
    assert found.unreadable == ()


def test_where_nothing_is_pinned_nothing_is_read() -> None:
    assert pins.read({b"policy.toml": "1", b"oidc": "2"}, lambda id: Path(id).read_bytes()) == pins.Pins()


@pytest.mark.parametrize("path", [b"oidc/ci.pem", b"tsa/root.json", b"rekor/log.json.bak", b"more/ci.json"])
def test_a_file_of_another_name_pins_nothing(path: bytes) -> None:
    assert read({path: OIDC}) == pins.Pins()


@pytest.mark.parametrize("path", [b"oidc/ci.json", b"tsa/root.pem", b"rekor/log.json"])
@pytest.mark.parametrize("content", [b"", b"{}", b"[" * 1000, b"\xff", b"x" * 300_000], ids=range(5))
def test_a_file_that_cannot_be_read_pins_nothing_and_is_named(path: bytes, content: bytes) -> None:
    beside = {b"oidc/a.json": OIDC, b"tsa/a.pem": TSA, b"rekor/a.json": LOG}
    found = read({path: content, **beside})
    assert (len(found.issuers), len(found.authorities), len(found.logs)) == (1, 1, 1)
    (said,) = found.unreadable
    assert said.startswith(f".auths/{path.decode()}: ")


def test_pins_are_bounded() -> None:
    found = read({b"oidc/%03d.json" % number: OIDC for number in range(pins.MAX_PINS + 2)})
    assert len(found.issuers) == pins.MAX_PINS
    assert [said.partition(":")[0] for said in found.unreadable] == [".auths/oidc/064.json", ".auths/oidc/065.json"]


def test_names_that_are_no_text_are_shown_inert() -> None:
    (said,) = read({b"oidc/\xff\x1b.json": b"{}"}).unreadable
    assert said.isascii()
