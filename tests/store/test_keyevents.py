"""Key events made with the keys of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from git_auths.core import kelbuild, opensshkey, rotationoffers
from git_auths.core.cesr import IndexedSignature
from git_auths.core.kel import Kel, KelInvalid, extend, replay, replay_all
from git_auths.core.kelstream import SealSource, messages
from git_auths.core.rotationoffers import Offer, Offers
from git_auths.core.verkey import from_ssh_blob
from git_auths.errors import Error, Refusal, UsageError
from git_auths.store import keyevents, keyjournal, keystore, signedevents, sshagent
from git_auths.store.keyevents import Request
from git_auths.store.secrets import Secrets
from tests.kels import GrowingLog
from tests.realgit import run

SECRETS = Secrets()
SEAL = {"auths": "revoke/1", "i": "E" + "A" * 43}
KINDS: dict[str, dict[str, Any]] = {
    "ed25519": {}, "p256": {"curve": "p256"}, "2 of 3": {"keys": 3, "threshold": "2/3"},
    "weights": {"keys": 3, "threshold": "1/2,1/2,1"}, "nested": {"keys": 3, "threshold": "1/2,1/2;1", "curve": "p256"},
}  # fmt: skip


@pytest.fixture(autouse=True)
def quick_key_derivation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opensshkey, "KDF_ROUNDS", 1)


def incept(alias: str = "main", **options: Any) -> keystore.Identity:
    return keyevents.incept(alias, SECRETS, unencrypted=True, **options)


def rotated(alias: str = "main", **options: Any) -> Kel:
    log = keyevents.rotate(alias, SECRETS, **options)
    assert isinstance(log, Kel)
    return log


def on_disk(alias: str = "main") -> Kel:
    return replay(keystore.read_kel(keystore.load(alias)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_log_of_each_kind_goes_on_by_seals_and_rotations(kind: str) -> None:
    identity = incept(**KINDS[kind])
    first = on_disk()
    assert (first.aid, first.sn) == (identity.aid, 0)
    assert keyevents.seal("main", [SEAL, SEAL], SECRETS) == on_disk()
    log = rotated(anchors=[SEAL])
    assert log == on_disk()
    assert [(event.ilk, event.anchors) for event in log.events] == [
        ("icp", ()), ("ixn", (SEAL, SEAL)), ("rot", (SEAL,))]  # fmt: skip
    assert [key.commitment for key in log.state.keys] == list(first.state.next)
    assert (log.state.kt, log.state.nt) == (first.state.kt, first.state.nt) == (first.state.kt, first.state.kt)
    assert len({*first.state.keys, *log.state.keys}) == 2 * len(first.state.keys)
    assert {key.code for key in log.state.keys} == {key.code for key in first.state.keys}
    assert rotated().sn == 3


@pytest.mark.parametrize(
    ("text", "keys", "sith"),
    [
        (None, 1, "1"), ("1/1", 1, "1"), ("2/3", 3, "2"), ("2", 3, "2"), ("12/16", 16, "c"),
        ("1/2,1/2,1/2", 3, ["1/2", "1/2", "1/2"]), ("1/2, 1/2; 1", 3, [["1/2", "1/2"], ["1"]]),
    ],
)  # fmt: skip
def test_a_threshold_is_read_as_people_write_it(text: str | None, keys: int, sith: object) -> None:
    assert keyevents.parse_threshold(text, keys) == sith


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (None, 2), ("0", 1), ("0/3", 3), ("4/3", 3), ("4", 3), ("2/4", 3), ("2/", 3), ("", 1), ("-1", 1), ("x", 1),
        ("1/2,1/2", 3), ("1/3,1/3", 2), ("1/2,1/2,0,0", 3), (";", 2), ("1/2,;1", 3), ("\N{ARABIC-INDIC DIGIT ONE}", 1),
        ("1", 0), ("1", 129), ("1", -1),
    ],
)  # fmt: skip
def test_a_threshold_that_no_keys_could_meet_is_wrong_usage(text: str | None, keys: int) -> None:
    with pytest.raises(UsageError) as caught:
        keyevents.parse_threshold(text, keys)
    assert caught.value.hint


# Passphrases


def test_the_files_stay_under_the_passphrase_that_they_had() -> None:
    secrets = Secrets(passphrase=b"correct horse")
    keyevents.incept("main", secrets, keys=2, threshold="2/2")
    keyevents.rotate("main", secrets)
    identity = keystore.load("main")
    for pem in (*keystore.read_currents(identity), *keystore.read_nexts(identity)):
        assert opensshkey.decrypt(pem, b"correct horse")
    incept("open")
    keyevents.rotate("open", secrets)
    assert opensshkey.unencrypted_private(keystore.read_next(keystore.load("open")))


def test_a_wrong_passphrase_changes_nothing() -> None:
    keyevents.incept("main", Secrets(passphrase=b"correct horse"))
    before = keystore.read_kel(keystore.load("main"))
    for action in (keyevents.rotate, lambda alias, secrets: keyevents.seal(alias, [SEAL], secrets)):
        with pytest.raises(Error, match="stays locked"):
            action("main", Secrets(passphrase=b"wrong"))
    assert keystore.read_kel(keystore.load("main")) == before


# ssh-agent


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    path = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 5
    while not path.exists():
        assert time.monotonic() < deadline
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    yield
    process.terminate()
    process.wait()


@pytest.mark.parametrize("curve", keyevents.CURVES)
@pytest.mark.usefixtures("agent")
def test_the_agent_seals_without_a_passphrase_and_forgets_the_key_once_it_is_old(curve: str) -> None:
    secrets = Secrets(passphrase=b"correct horse")
    identity = keyevents.incept("main", secrets, curve=curve)
    run("ssh-add", Path(identity.folder, "current"),
        env={"SSH_ASKPASS": passphrase_program(identity.folder), "SSH_ASKPASS_REQUIRE": "force"})  # fmt: skip
    for sn in range(1, 9):  # of ECDSA, some signatures have an r or s that begins with a zero bit, some do not
        assert keyevents.seal("main", [SEAL], Secrets()).sn == sn
    assert replay(keystore.read_kel(identity)).sn == 8
    assert [blob for blob, _ in sshagent.list_keys()] == [identity.current_blob]
    keyevents.rotate("main", secrets)
    assert sshagent.list_keys() == []


def passphrase_program(folder: str) -> str:
    program = Path(folder, "ask")
    program.write_text("#!/bin/sh\necho correct horse\n")
    program.chmod(0o700)
    return str(program)


def test_an_agent_that_is_broken_stops_no_rotation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    incept()

    def broken(blob: bytes) -> bool:
        raise Error("the ssh-agent does not answer")

    monkeypatch.setattr(sshagent, "remove", broken)
    assert rotated().sn == 1
    assert not keyevents.forget_previous(keystore.load("main"))


# Where the next key lies


def test_the_next_key_stays_elsewhere_and_moves_when_told(tmp_path: Path) -> None:
    stick, safe = str(tmp_path / "stick"), str(tmp_path / "safe")
    incept(next_path=stick)
    old = Path(stick).read_bytes()
    rotated()
    assert keystore.read_current(keystore.load("main")) == old
    assert os.listdir(tmp_path) == ["stick"]
    rotated(next_path=safe)
    assert os.listdir(tmp_path) == ["safe"]
    assert keystore.next_file(keystore.load("main")) == safe
    assert rotated().sn == 3


def test_a_next_key_that_is_not_plugged_in_is_named(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    incept(next_path=str(stick))
    stick.rename(tmp_path / "pulled")
    with pytest.raises(Error, match=f"is not there: {stick}") as caught:
        rotated()
    assert "plug in" in str(caught.value.hint)


@pytest.mark.parametrize("there", ["safe", "safe.new"])
def test_a_file_where_the_next_key_would_go_is_never_replaced(there: str, tmp_path: Path) -> None:
    incept()
    (tmp_path / there).write_bytes(b"precious")
    with pytest.raises(Error, match="exists already"):
        rotated(next_path=str(tmp_path / "safe"))
    assert {name.name: name.read_bytes() for name in tmp_path.iterdir()} == {there: b"precious"}
    assert rotated().sn == 1


def test_a_path_that_cannot_be_written_is_named_and_nothing_is_rotated(tmp_path: Path) -> None:
    incept()
    with pytest.raises(Error, match="cannot write"):
        rotated(next_path=str(tmp_path / "missing" / "safe"))
    assert rotated().sn == 1


@pytest.mark.parametrize("name", ["identities/main/.auths-1.tmp", "identities/main/pending", "identities/next", "next"])
def test_a_path_among_what_is_ours_is_refused(name: str, tmp_path: Path) -> None:
    incept()
    home = Path(keystore.home())
    (tmp_path / "link").symlink_to(home)
    for place in (home / name, tmp_path / "link" / name):
        with pytest.raises(Error, match="keeps what is its own"):
            rotated(next_path=str(place))
        with pytest.raises(Error, match="keeps what is its own"):
            keyevents.incept("other", SECRETS, unencrypted=True, next_path=str(place))
    assert keystore.aliases() == ["main"]
    assert rotated().sn == 1


def test_a_path_that_another_key_has_while_it_is_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Error, match=r"ends in \.new"):
        incept(next_path=str(tmp_path / "n.new"))


def test_the_next_key_comes_back_into_the_folder(tmp_path: Path) -> None:
    identity = incept(next_path=str(tmp_path / "n"))
    rotated(next_path=os.path.join(identity.folder, keystore.NEXT))
    assert os.listdir(tmp_path) == []
    assert rotated().sn == 2


def test_next_keys_of_two_identities_may_lie_side_by_side(tmp_path: Path) -> None:
    """`n.1` could be the second key of whoever has `n`."""
    incept(next_path=str(tmp_path / "n"))
    keyevents.incept("other", SECRETS, unencrypted=True, next_path=str(tmp_path / "n.1"))
    assert rotated().sn == 1
    assert rotated(next_path=str(tmp_path / "m")).sn == 2
    assert sorted(os.listdir(tmp_path)) == ["m", "n.1"]
    assert keyevents.rotate("other", SECRETS).sn == 1


# What is refused


def test_a_key_that_is_not_of_the_log_signs_nothing() -> None:
    for alias in ("main", "other"):
        incept(alias)
    ours, theirs = (keystore.load(alias).folder for alias in ("main", "other"))
    for name, action in (("next", rotated), ("current", lambda: keyevents.seal("main", [SEAL], SECRETS))):
        kept = Path(ours, name).read_bytes()
        Path(ours, name).write_bytes(Path(theirs, name).read_bytes())
        with pytest.raises(Error, match="do not belong to its log"):
            action()
        Path(ours, name).write_bytes(kept)
    assert on_disk().sn == 0


def test_a_damaged_log_is_not_continued() -> None:
    path = Path(incept().folder, "kel.cesr")
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    for action in (rotated, lambda: keyevents.seal("main", [SEAL], SECRETS)):
        with pytest.raises(Error, match=r"kel\.cesr: event 0: "):
            action()


def test_a_log_that_is_full_takes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    incept()
    with pytest.raises(Refusal, match="the log would not take that"):
        keyevents.seal("main", [{"x": "y" * (4 << 20)}], SECRETS)
    assert on_disk().sn == 0


def without_slot(alias: str, index: int) -> None:
    """As on a machine that holds not all of the keys."""
    folder = keystore.load(alias).folder
    for name in ("current", "next"):
        Path(folder, keystore.slot(name, index)).unlink()


def test_with_enough_of_the_keys_it_seals_and_with_too_few_it_says_so() -> None:
    incept(keys=3, threshold="2/3")
    without_slot("main", 2)
    assert keyevents.seal("main", [SEAL], SECRETS).sn == 1
    with pytest.raises(Refusal, match="2 of the 3 next keys"):
        rotated()
    without_slot("main", 1)
    with pytest.raises(Refusal, match="1 of the 3 keys of 'main', too few"):
        keyevents.seal("main", [SEAL], SECRETS)
    assert on_disk().sn == 1


@pytest.mark.parametrize("action", [rotated, lambda: keyevents.seal("main", [SEAL], SECRETS)])
def test_a_number_that_was_signed_for_others_is_not_given_to_another_event(action: Callable[[], Kel]) -> None:
    aid = incept().aid
    said = "E" + "B" * 43
    with keystore.held("main") as identity:
        signedevents.require_first(identity, aid, 1, said)
    with pytest.raises(Refusal, match=f"has signed another event 1 of did:keri:{aid}: {said}"):
        action()
    assert on_disk().sn == 0


# Delegates


@pytest.fixture
def owner() -> GrowingLog:
    return GrowingLog()


def sealed(stream: bytes, message: bytes, owner: GrowingLog) -> bytes:
    """The log, when the owner has sealed the last message of it."""
    [found] = messages(message)
    owner.interact(kelbuild.event_seal(found.raw))
    source = SealSource(owner.kel.sn, owner.kel.said)
    return stream + kelbuild.with_signatures(found.raw, found.attachments.signatures, source=source)


def delegate(owner: GrowingLog, **options: Any) -> keystore.Identity:
    """One whose inception is sealed."""
    identity = incept(delegator=owner.kel.aid, **options)
    keyevents.finish("main", sealed(b"", keystore.read_kel(identity), owner))
    return identity


def request() -> Request:
    made = keyevents.rotate("main", SECRETS)
    assert isinstance(made, Request)
    return made


@pytest.mark.parametrize("outside", [False, True])
def test_a_delegate_rotates_when_its_delegator_has_sealed_that(
    owner: GrowingLog, outside: bool, tmp_path: Path
) -> None:
    identity = delegate(owner, next_path=str(tmp_path / "stick") if outside else None)
    own = keystore.read_kel(identity)
    made = request()
    assert made == request() == keyevents.pending_request(identity)
    assert keystore.read_kel(identity) == own
    assert keystore.load("main").current_blob == identity.current_blob
    grown = sealed(own, made.message, owner)
    assert keyevents.finish("main", grown).said == made.said
    now = keystore.load("main")
    assert keystore.read_kel(now) == grown
    log = replay_all(owner.stream + grown)[1]
    assert [from_ssh_blob(now.current_blob)] == list(log.state.keys)
    assert keyevents.pending_request(now) is None
    assert os.listdir(tmp_path) == (["stick"] if outside else [])
    assert keyevents.seal("main", [SEAL], SECRETS).sn == 2
    assert request().said != made.said


def test_a_rotation_is_not_finished_while_its_next_key_is_out_of_reach(owner: GrowingLog, tmp_path: Path) -> None:
    identity = delegate(owner, next_path=str(tmp_path / "stick"))
    own = keystore.read_kel(identity)
    grown = sealed(own, request().message, owner)
    (tmp_path / "stick.new").rename(tmp_path / "pulled")
    with pytest.raises(Error, match=r"not at .*stick\.new"):
        keyevents.finish("main", grown)
    assert keystore.read_kel(identity) == own
    (tmp_path / "pulled").rename(tmp_path / "stick.new")
    assert keyevents.finish("main", grown).sn == 1


def test_while_a_rotation_waits_no_other_event_gets_its_number(owner: GrowingLog) -> None:
    delegate(owner)
    request()
    with pytest.raises(Refusal, match="waits for its delegator"):
        keyevents.seal("main", [SEAL], SECRETS)
    with pytest.raises(Refusal, match="seals something else"):
        keyevents.rotate("main", SECRETS, [SEAL])


def test_a_delegate_that_is_not_approved_yet_does_not_rotate(owner: GrowingLog) -> None:
    incept(delegator=owner.kel.aid)
    with pytest.raises(Refusal, match="waits for its owner"):
        keyevents.rotate("main", SECRETS)


def test_a_log_that_came_back_otherwise_is_refused(owner: GrowingLog) -> None:
    identity = delegate(owner)
    own = keystore.read_kel(identity)
    made = request()
    good = sealed(own, made.message, owner)
    stranger = GrowingLog(2)
    with keystore.held("main"):  # what another machine with the same keys could have signed
        log = keyevents.own_log(identity)
        event = kelbuild.interaction(log, [SEAL])
        signed = keyevents.signatures_here(identity, log, event, SECRETS)
    other = own + kelbuild.with_signatures(event, signed)
    for stream, reason in (
        (stranger.stream, "does not go on"), (other, "another event"), (good[:-4], "event 1"), (b"", "event 0"),
        (good + good[len(own) :], "event 1"),
    ):  # fmt: skip
        with pytest.raises(Error, match=reason):
            keyevents.finish("main", stream)
    assert keystore.read_kel(identity) == own
    assert keyevents.finish("main", good).sn == 1


def test_a_log_that_rotates_keys_which_nobody_here_has_asked_for_is_refused(owner: GrowingLog) -> None:
    identity = delegate(owner)
    own, made = keystore.read_kel(identity), request()
    grown = sealed(own, made.message, owner)
    pending = Path(identity.folder, keyjournal.PENDING)
    kept = pending.rename(pending.with_name("kept"))
    with pytest.raises(Refusal, match="nothing here waits"):
        keyevents.finish("main", grown)
    incept("other")
    (kept / "event").unlink()
    (kept / "next").write_bytes(Path(keystore.load("other").folder, "next").read_bytes())
    kept.rename(pending)
    with pytest.raises(Refusal, match="go on with the keys of this machine"):
        keyevents.finish("main", grown)
    assert keystore.read_kel(identity) == own


# Keys on several machines


def machines(folder: Path, monkeypatch: pytest.MonkeyPatch, count: int, threshold: str) -> list[Path]:
    """Homes, each of which has one of the keys of the identity `main`."""
    first, *others = homes = [folder / f"home{number}" for number in range(count)]
    monkeypatch.setenv("AUTHS_HOME", str(first))
    incept(keys=count, threshold=threshold)
    for home in others:
        shutil.copytree(first, home)
    for number, home in enumerate(homes):
        identity = home / "identities/main"
        for name in ("current", "next"):
            slots = [identity / keystore.slot(name, slot) for slot in range(count)]
            slots[number].rename(identity / "kept")
            for slot in slots:
                slot.unlink(missing_ok=True)
            (identity / "kept").rename(slots[0])
    return homes


@pytest.mark.parametrize(("taking_part", "sith"), [((0, 1, 2), None), ((0, 2), "2")])
def test_machines_rotate_the_keys_that_they_share(
    taking_part: tuple[int, ...], sith: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    homes = machines(tmp_path, monkeypatch, 3, "2/3")
    offers: dict[int, Offer] = {}
    for number in taking_part:
        monkeypatch.setenv("AUTHS_HOME", str(homes[number]))
        own = keyevents.offer("main", SECRETS)
        assert keyevents.offer("main", SECRETS) == own
        assert list(own) == [number]
        offers |= own
    log = on_disk()
    event = rotationoffers.event(Offers(offers, ()), log, sith)
    signatures = []
    for number in taking_part:
        monkeypatch.setenv("AUTHS_HOME", str(homes[number]))
        with keystore.held("main") as identity:
            signatures += keyevents.signatures_here(identity, log, event, SECRETS)
    stream = keystore.read_kel(keystore.load("main")) + kelbuild.with_signatures(event, signatures)
    for place, number in enumerate(taking_part):
        monkeypatch.setenv("AUTHS_HOME", str(homes[number]))
        finished = keyevents.finish("main", stream)
        assert from_ssh_blob(keystore.load("main").current_blob) == finished.state.keys[place]
        assert keyevents.offer("main", SECRETS)[place].key.commitment == finished.state.next[place]
    assert finished.state.kt.json() == "2"


def test_a_rotation_that_goes_on_without_this_machines_offer_gets_no_signature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    homes = machines(tmp_path, monkeypatch, 2, "1/2")
    own = keyevents.offer("main", SECRETS)
    [(place, offer)] = own.items()
    log = on_disk()

    def signed(offer: Offer) -> list[IndexedSignature]:
        event = rotationoffers.event(Offers({place: offer}, ()), log, "1")
        with keystore.held("main") as identity:
            return keyevents.signatures_here(identity, log, event, SECRETS)

    for changed in (offer._replace(commitment="E" + "A" * 43), offer._replace(key=log.state.keys[0])):
        with pytest.raises(Refusal, match="does not go on with the keys of this machine"):
            signed(changed)
    assert len(signed(offer)) == 1
    event = rotationoffers.event(Offers(own, ()), log, "1")
    monkeypatch.setenv("AUTHS_HOME", str(homes[0 if place else 1]))
    with keystore.held("main") as identity, pytest.raises(Refusal, match="nothing here waits"):
        keyevents.signatures_here(identity, log, event, SECRETS)


def test_while_keys_are_offered_the_log_goes_on_and_the_offer_stands() -> None:
    incept()
    own = keyevents.offer("main", SECRETS)
    assert keyevents.seal("main", [SEAL], SECRETS).sn == 1
    with pytest.raises(Refusal, match="waits for the machines"):
        rotated()
    assert keyevents.offer("main", SECRETS)[0].keys == own[0].keys  # signed for event 2 now


def test_an_event_with_the_signatures_of_others_is_taken_into_the_log() -> None:
    identity = incept(keys=2, threshold="2/2")
    with keystore.held("main"):
        log = keyevents.own_log(identity)
        event = kelbuild.interaction(log, [SEAL])
        signatures = keyevents.signatures_here(identity, log, event, SECRETS)
    stream = keystore.read_kel(identity) + kelbuild.with_signatures(event, signatures)
    assert keyevents.finish("main", stream) == on_disk()
    with pytest.raises(KelInvalid, match="kt"):
        extend(log, kelbuild.with_signatures(event, signatures[:1]))


def test_one_event_is_taken_in_at_a_time() -> None:
    identity = incept()
    before = keystore.read_kel(identity)
    for _ in range(2):
        keyevents.seal("main", [SEAL], SECRETS)
    ahead = keystore.read_kel(identity)
    Path(identity.folder, "kel.cesr").write_bytes(before)
    with pytest.raises(Refusal, match="2 events more"):
        keyevents.finish("main", ahead)
    assert keystore.read_kel(identity) == before
