"""git_auths.core.delegation"""

from __future__ import annotations

import base64

import pytest

from git_auths.core import delegation, kelbuild
from git_auths.core.kel import KelInvalid, replay
from tests.kels import GrowingLog, commitments, keys, signatures, signer


def dip(owner: GrowingLog, number: int = 70, **inception: object) -> bytes:
    """A delegate's first message, not sealed yet."""
    event = kelbuild.inception(keys([signer(number)]), commitments([signer(number + 1)]),
                               delegator=owner.kel.aid, **inception)  # type: ignore[arg-type]
    return kelbuild.with_signatures(event, signatures(event, [signer(number)]))


def asking(message: bytes, name: str = "laptop") -> str:
    return delegation.text(delegation.Request(delegation.read(message), name))


def drt(owner: GrowingLog, stream: bytes, number: int = 70) -> bytes:
    event = kelbuild.rotation(replay(stream, {owner.kel.aid: owner.kel}), keys([signer(number + 1)]),
                              commitments([signer(number + 2)]))  # fmt: skip
    return kelbuild.with_signatures(event, signatures(event, [signer(number + 1)]))


@pytest.fixture
def owner() -> GrowingLog:
    return GrowingLog(1)


def test_a_request_says_the_event_and_the_name(owner: GrowingLog) -> None:
    asked = delegation.parse(asking(dip(owner), "laptop two"))
    assert (asked.name, asked.message.body.delegator) == ("laptop two", owner.kel.aid)
    assert asked.did == "did:keri:" + asked.message.body.said


def test_a_request_may_be_wrapped_on_its_way(owner: GrowingLog) -> None:
    request = asking(dip(owner), "laptop")
    wrapped = "\r\n".join(request[at : at + 60] for at in range(0, len(request), 60)) + "\n"
    assert delegation.parse(wrapped) == delegation.parse(request)


@pytest.mark.parametrize(("mend", "reason"), [
    (lambda text: text[5:], "does not begin"),
    (lambda text: text + "!", "not base64url"),
    (lambda text: text[:-8], "damaged"),
    (lambda text: text + "A" * delegation.MAX_REQUEST_CHARS, "longer than"),
    (lambda text: delegation.PREFIX + base64.urlsafe_b64encode(b"\xff\n{}").decode(), "damaged"),
    (lambda text: delegation.PREFIX, "not one event"),
])  # fmt: skip
def test_a_text_that_is_no_request_is_refused(owner: GrowingLog, mend: object, reason: str) -> None:
    with pytest.raises(delegation.RequestInvalid, match=reason):
        delegation.parse(mend(asking(dip(owner), "laptop")))  # type: ignore[operator]


@pytest.mark.parametrize("name", ["", "a" * 129, "two\tcolumns", "\x1b[2J", "a\u202eb", "\udcff"])
def test_a_name_that_would_not_show_as_it_is_makes_no_request(owner: GrowingLog, name: str) -> None:
    with pytest.raises(delegation.RequestInvalid, match="name"):
        asking(dip(owner), name)


def test_only_what_a_delegator_seals_makes_a_request(owner: GrowingLog) -> None:
    with pytest.raises(delegation.RequestInvalid, match="is a icp"):
        asking(owner.stream, "x")
    with pytest.raises(delegation.RequestInvalid, match="not one event"):
        asking(dip(owner) + dip(owner, 80), "x")


def test_another_event_has_another_code(owner: GrowingLog) -> None:
    codes = {delegation.code(delegation.read(dip(owner, number)).body.said) for number in (70, 80)}
    assert len(codes) == 2
    assert all(len(code) == 19 and code.count("-") == 3 for code in codes)


def test_the_log_once_sealed_is_the_one_that_its_delegators_seal_makes(owner: GrowingLog) -> None:
    first = delegation.read(dip(owner))
    kel = delegation.once_sealed(first, owner.kel, None)
    owner.interact(delegation.seal(first))
    stream = delegation.with_source(first, owner.kel)
    assert replay(stream, {owner.kel.aid: owner.kel}).said == kel.said

    rotation = delegation.read(drt(owner, stream))
    with pytest.raises(KelInvalid, match="does not seal"):
        delegation.with_source(rotation, owner.kel)
    delegation.once_sealed(rotation, owner.kel, replay(stream, {owner.kel.aid: owner.kel}))
    owner.interact(delegation.seal(rotation))
    whole = stream + delegation.with_source(rotation, owner.kel)
    assert replay(whole, {owner.kel.aid: owner.kel}).sn == 1


def test_a_seal_would_not_help_an_event_whose_signature_is_wrong(owner: GrowingLog) -> None:
    event = delegation.read(dip(owner)).raw
    forged = kelbuild.with_signatures(event, signatures(event, [signer(99)]))
    with pytest.raises(KelInvalid, match="signature"):
        delegation.once_sealed(delegation.read(forged), owner.kel, None)


def test_a_seal_would_not_help_another_persons_delegate(owner: GrowingLog) -> None:
    other = GrowingLog(2)
    with pytest.raises(KelInvalid, match=r"not here|delegator"):
        delegation.once_sealed(delegation.read(dip(other)), owner.kel, None)


def test_the_source_is_the_event_that_sealed_it_last(owner: GrowingLog) -> None:
    message = delegation.read(dip(owner))
    for _ in range(2):
        owner.interact(delegation.seal(message))
    assert delegation.sealing_event(message, owner.kel) == 2
    found = delegation.read(delegation.with_source(message, owner.kel))
    assert found.attachments.source is not None
    assert found.attachments.source.sn == 2
