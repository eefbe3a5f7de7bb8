"""The evidence beside a signature, each piece against what is pinned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from git_auths.core import didkey, dsse, oidc, opensshkey, proofs, timestamp, transparency
from git_auths.core.noteline import Line
from git_auths.core.pins import Pins
from git_auths.core.proofs import Proofs, Refused
from tests.attacks.evidence import unasked
from tests.loopback.rekor import Log, dsse_body
from tests.loopback.tsa import Authority

KEY, OTHER = opensshkey.generate(), opensshkey.generate()
AT = 1_780_000_000
ISSUER = unasked("https://ci.example")


def signed(key: opensshkey.PrivateKey = KEY) -> dsse.Envelope:
    return dsse.sign(b"{}", key.public_blob, lambda data: dsse.signature_from_ssh(key.sign(data)))


ENVELOPE = signed()


@pytest.fixture(scope="module")
def tsa(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("tsa"))
    made.time_seconds = AT
    return made


def pins_of(tsa: Authority, log: Log | None = None) -> Pins:
    logs = () if log is None else (transparency.log_from_json(log.instance()),)
    return Pins((ISSUER.pin(),), (timestamp.authority_from_pem(tsa.pem, "tsa"),), logs)


def entry_in(log: Log, envelope: dsse.Envelope = ENVELOPE) -> Any:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

    spki = load_der_public_key(didkey.spki(KEY.public_blob))
    pem = spki.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return log.entry(log.append(dsse_body(envelope.payload, envelope.signatures[0].sig, pem)))


def token(**claims: Any) -> str:
    times = {"iat": AT - 30, "nbf": AT - 30, "exp": AT + 570}
    return ISSUER.mint(didkey.audience(KEY.public_blob), **{**times, **claims})


def test_everything_that_holds_is_found(tsa: Authority) -> None:
    log = Log()
    log.time_seconds = AT + 7
    line = Line(ENVELOPE, (tsa.stamp(ENVELOPE.signatures[0].sig),), (entry_in(log),))
    found = proofs.examine(line, KEY.public_blob, token(), pins_of(tsa, log))
    assert found.token is not None
    assert found.stamps == (timestamp.Stamped(AT, "tsa"),)
    assert [one.time_seconds for one in found.logged] == [AT + 7]
    assert (found.refused, found.unpinned, found.trusted_seconds) == ((), (), AT)


def test_what_another_key_signed_has_no_evidence(tsa: Authority) -> None:
    line = Line(signed(OTHER), (tsa.stamp(ENVELOPE.signatures[0].sig),))
    found = proofs.examine(line, KEY.public_blob, token(), pins_of(tsa))
    assert (found.token, found.stamps, [one.code for one in found.refused]) == (None, (), ["bad-signature"])
    unnamed = ENVELOPE._replace(signatures=(ENVELOPE.signatures[0]._replace(keyid=""),))
    assert proofs.signature_by(unnamed, KEY.public_blob) is None  # a stamp would be over whichever comes first
    named = signed(OTHER).signatures[0]._replace(keyid=ENVELOPE.signatures[0].keyid)
    for signatures in ((named,), (named, *unnamed.signatures)):
        assert proofs.signature_by(ENVELOPE._replace(signatures=signatures), KEY.public_blob) is None


def test_of_several_signatures_the_evidence_is_for_the_one_by_the_key(tsa: Authority) -> None:
    both = ENVELOPE._replace(signatures=(*signed(OTHER).signatures, *ENVELOPE.signatures))
    pins = pins_of(tsa)
    for signature, holds in ((both.signatures[0].sig, False), (both.signatures[1].sig, True)):
        found = proofs.examine(Line(both, (tsa.stamp(signature),)), KEY.public_blob, None, pins)
        assert bool(found.stamps) is holds


def test_what_nothing_is_pinned_for_is_named_and_not_judged(tsa: Authority) -> None:
    log = Log()
    line = Line(ENVELOPE, (b"no DER",), (entry_in(log),))
    found = proofs.examine(line, KEY.public_blob, "no token", Pins())
    assert sorted(found.unpinned) == ["log", "timestamp", "token"]
    assert found.refused == ()
    assert proofs.examine(Line(ENVELOPE), KEY.public_blob, None, Pins()) == Proofs()


@pytest.mark.parametrize(("claims", "code"), [
    ({"exp": AT - 1}, "expired-before"), ({"iat": AT + 1}, "issued-after"), ({"exp": AT, "iat": AT - 1}, None),
    ({"iat": AT}, None), ({"aud": "x"}, None),
])  # fmt: skip
def test_a_token_is_compared_with_the_trusted_time(tsa: Authority, claims: dict[str, Any], code: str | None) -> None:
    line = Line(ENVELOPE, (tsa.stamp(ENVELOPE.signatures[0].sig),))
    claims.pop("aud", None)
    found = proofs.examine(line, KEY.public_blob, token(**claims), pins_of(tsa))
    assert [one.code for one in found.refused] == ([] if code is None else [code])
    assert (found.token is None) is (code is not None)
    untimed = proofs.examine(Line(ENVELOPE), KEY.public_blob, token(**claims), pins_of(tsa))
    assert untimed.token is not None  # nobody proves a time to compare it with


@pytest.mark.parametrize("is_timed", [True, False])
def test_a_key_that_was_given_up_signs_no_token_after_its_end(tsa: Authority, is_timed: bool) -> None:
    """Whoever has it now would leave the timestamp out."""
    (key, *_) = ISSUER.pin().keys
    line = Line(ENVELOPE, (tsa.stamp(ENVELOPE.signatures[0].sig),) if is_timed else ())
    for until, codes in ((AT - 31, ["key-retired"]), (AT, [])):
        pins = pins_of(tsa)._replace(issuers=(oidc.issuer(ISSUER.name, [key._replace(not_after=until)]),))
        found = proofs.examine(line, KEY.public_blob, token(), pins)
        assert [one.code for one in found.refused] == codes


def test_a_proof_without_a_time_counts_while_the_logs_key_was_valid(tsa: Authority) -> None:
    """The timestamp beside it says when."""
    log = Log()
    entry = entry_in(log)._replace(signed_entry_timestamp=None)
    stamp = tsa.stamp(ENVELOPE.signatures[0].sig)
    for window, holds in (({"start": "2020-01-01T00:00:00Z"}, True), ({"start": "2030-01-01T00:00:00Z"}, False)):
        log.valid_for = window
        found = proofs.examine(Line(ENVELOPE, (stamp,), (entry,)), KEY.public_blob, None, pins_of(tsa, log))
        assert bool(found.logged) is holds
        assert [one.kind for one in found.refused] == ([] if holds else ["log"])


def test_evidence_is_bounded(tsa: Authority, tmp_path: Path) -> None:
    """Nobody pays for a flood."""
    log = Log()
    many = proofs.MAX_TIMESTAMPS + 1
    line = Line(ENVELOPE, (b"x",) * many, (entry_in(log),) * (proofs.MAX_ENTRIES + 1))
    found = proofs.examine(line, KEY.public_blob, None, pins_of(tsa, log))
    assert [(one.kind, "more than" in one.reason) for one in found.refused] == [("timestamp", True), ("log", True)]


def test_what_strangers_put_beside_it_makes_nothing_worth_less() -> None:
    stamp = timestamp.Stamped(AT, "tsa")
    refused = tuple(Refused(kind, "x", "") for kind in ("token", "timestamp", "log"))
    kept = Proofs(None, (stamp,), (), refused).without_strangers().refused
    assert [one.kind for one in kept] == ["token", "log"]
    assert Proofs(refused=refused).without_strangers().refused == refused
