from __future__ import annotations

import pytest

from git_auths.core import seals
from git_auths.core.seals import Compromise, Grant, Revocation
from tests.kels import signer

AID = signer(1).key.commitment
SHA256 = "0123456789abcdef" * 4


@pytest.mark.parametrize(("seal", "meaning"), [
    ({"auths": "grant/1", "d": SHA256}, Grant(SHA256)),
    ({"auths": "revoke/1", "i": AID}, Revocation(AID)),
    ({"auths": "compromise/1", "s": "1f", "d": AID, "t": "2026-01-02T03:04:05Z"}, Compromise(31, AID, 1767323045)),
])  # fmt: skip
def test_our_own_seals_are_read(seal: dict[str, str], meaning: object) -> None:
    assert seals.parse(seal) == meaning


@pytest.mark.parametrize("at_seconds", [-62135596800, -30610224001, -1, 0, 1767323045, 253402300799])
def test_a_declaration_of_any_year_is_read_as_it_was_meant(at_seconds: int) -> None:
    assert seals.parse(seals.compromise(31, AID, at_seconds)) == Compromise(31, AID, at_seconds)


@pytest.mark.parametrize("seal", [
    "grant/1", None, [], {}, {"i": AID, "s": "0", "d": AID},
    {"auths": "grant/2", "d": SHA256},
    {"auths": ["grant/1"], "d": SHA256},
    {"d": SHA256, "auths": "grant/1"},
    {"auths": "grant/1", "d": SHA256, "x": ""},
    {"auths": "grant/1", "d": SHA256.upper()},
    {"auths": "grant/1", "d": SHA256[1:]},
    {"auths": "grant/1", "d": 64},
    {"auths": "grant/1", "i": AID},
    {"auths": "revoke/1", "i": AID[:-1]},
    {"auths": "revoke/1", "i": 1},
    {"auths": "revoke/1", "d": SHA256},
    {"auths": "compromise/1", "s": "01", "d": AID, "t": "2026-01-02T03:04:05Z"},
    {"auths": "compromise/1", "s": "1", "d": SHA256, "t": "2026-01-02T03:04:05Z"},
    {"auths": "compromise/1", "s": "1", "d": AID, "t": "2026-01-02T03:04:05"},
    {"auths": "compromise/1", "s": "1", "d": AID, "t": "2026-1-2T3:4:5Z"},
    {"auths": "compromise/1", "s": "1", "d": AID, "t": "2026-13-02T03:04:05Z"},
    {"auths": "compromise/1", "s": "1", "d": AID, "t": 1767323045},
    {"auths": "compromise/1", "d": AID, "s": "1", "t": "2026-01-02T03:04:05Z"},
])  # fmt: skip
def test_seals_of_other_shapes_are_other_peoples_business(seal: object) -> None:
    assert seals.parse(seal) is None
