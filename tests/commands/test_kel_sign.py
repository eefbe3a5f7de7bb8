"""Three machines hold one key each of an identity; two of them must sign."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from git_auths.commands import rotate_propose
from git_auths.core import grants, kel, kelbuild, kelstream, keyevent, proposal, seals, verkey
from git_auths.core.cesr import IndexedSignature
from git_auths.core.grants import Grant
from git_auths.core.kelstream import SealSource
from git_auths.errors import Refusal
from git_auths.main import main
from git_auths.store import eventproposals, keyevents, keystore
from git_auths.store.secrets import Secrets
from tests.kels import GrowingLog, commitments, signer
from tests.people import Person

UNKNOWN_GRANT = {"auths": "grant/1", "d": "ab" * 32}
SEAL = {"auths": "revoke/1", "i": signer(7).key.commitment}
SAID = signer(8).key.commitment
OTHER = {"auths": "revoke/1", "i": signer(9).key.commitment}


class Machine:
    """A home of its own with key number `place` of the identity `acme`."""

    def __init__(
        self, home: Path, place: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.home, self.place, self._patch, self._capsys = home, place, monkeypatch, capsys

    @property
    def folder(self) -> Path:
        return self.home / "identities" / "acme"

    @property
    def log(self) -> kel.Kel:
        return kel.replay((self.folder / "kel.cesr").read_bytes())

    @property
    def log_before(self) -> kel.Kel:
        """Without its last event."""
        return kel.replay((self.folder / "kel.cesr").read_bytes()[: self.log.events[-1].offset])

    def at(self) -> Machine:
        self._patch.setenv("AUTHS_HOME", str(self.home))
        return self

    def sign(self, *arguments: str | Path) -> SimpleNamespace:
        self.at()
        code = main(["kel", "sign", *map(str, arguments)])
        captured = self._capsys.readouterr()
        assert "Traceback" not in captured.err
        return SimpleNamespace(code=code, out=captured.out, err=captured.err)

    def propose(self, path: Path, *anchors: dict[str, str]) -> bytes:
        self.at()
        return eventproposals.seal("acme", anchors, Secrets(), str(path))


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[Machine]:
    found = [Machine(tmp_path / f"machine {place}", place, monkeypatch, capsys) for place in range(3)]
    found[0].at()
    keyevents.incept("acme", Secrets(), keys=3, threshold="2/3", unencrypted=True)
    for machine in found[1:]:
        shutil.copytree(found[0].home, machine.home)
    for machine in found:
        keep_slot(machine.folder, machine.place)
    return found


def keep_slot(folder: Path, place: int) -> None:
    for name in ("current", "next"):
        kept = (folder / keystore.slot(name, place)).read_bytes()
        for index in range(3):
            (folder / keystore.slot(name, index)).unlink()
        (folder / name).write_bytes(kept)
        (folder / name).chmod(0o600)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "an event"


def offer(machine: Machine, file: Path) -> proposal.Proposal:
    return proposal.parse(file.read_bytes(), machine.log)


def test_an_event_is_signed_in_turn_and_each_takes_it_into_its_log(machines: list[Machine], file: Path) -> None:
    a, b, c = machines
    event = a.propose(file, SEAL)
    assert offer(a, file).signed == (0,)
    signed = c.sign("--yes", file)
    assert signed.code == 0
    assert f"revokes did:keri:{SEAL['i']}" in signed.err
    assert "signed by key 0: SHA256:" in signed.err
    assert "has all signatures" in signed.err
    assert offer(a, file).signed == (0, 2)
    assert (c.log.sn, c.log.said) == (1, kelbuild.said(event))
    before = file.read_bytes()
    for machine in (a, b):
        assert machine.log.sn == 0
        assert machine.sign(file).code == 0  # nothing to sign any more, so nothing to ask
    assert file.read_bytes() == before
    assert a.log == b.log == c.log
    assert kel.extend(b.log_before, before).said == b.log.said


def test_what_is_still_missing_is_said(machines: list[Machine], file: Path) -> None:
    a, b, c = machines
    log = a.log
    file.write_bytes(kelbuild.interaction(log, [SEAL]))
    assert offer(a, file).signed == ()
    signed = b.sign("--yes", file)
    assert signed.code == 0
    assert "is not complete: 1 more signature by the keys" in signed.err
    assert f"hint: pass '{file}' on; each of them runs: git auths kel sign '{file}'" in signed.err
    assert b.log.sn == 0
    assert "has all signatures" in c.sign("--yes", file).err


def test_who_has_signed_is_not_asked_again(machines: list[Machine], file: Path) -> None:
    a = machines[0]
    a.propose(file, SEAL)
    again = a.sign(file)
    assert again.code == 1
    assert "none of its keys that have not signed yet is one of 'acme'" in again.err


def test_signatures_on_copies_are_joined(machines: list[Machine], file: Path, tmp_path: Path) -> None:
    a, b, c = machines
    file.write_bytes(kelbuild.interaction(a.log, [SEAL]))
    copy = tmp_path / "copy"
    shutil.copy(file, copy)
    assert b.sign("--yes", file).code == c.sign("--yes", copy).code == 0
    joined = a.sign("--yes", file, "--with", copy)
    assert joined.code == 0
    assert proposal.parse(file.read_bytes(), a.log_before).signed == (1, 2)
    assert a.log.sn == 1


def test_a_copy_of_another_event_is_refused(machines: list[Machine], file: Path, tmp_path: Path) -> None:
    a, b, _ = machines
    file.write_bytes(kelbuild.interaction(a.log, [SEAL]))
    other = tmp_path / "other"
    other.write_bytes(kelbuild.interaction(a.log, [OTHER]))
    refused = b.sign("--yes", file, "--with", other)
    assert refused.code == 1
    assert f"error: {other}: it is another event: " in refused.err
    assert file.read_bytes() == kelbuild.interaction(a.log, [SEAL])


def test_no_second_event_of_one_number_is_signed(machines: list[Machine], file: Path, tmp_path: Path) -> None:
    a, b, _ = machines
    first = a.propose(file, SEAL)
    other = tmp_path / "other"
    other.write_bytes(kelbuild.interaction(b.log, [OTHER]))
    before = other.read_bytes()
    refused = a.sign("--yes", other)
    assert refused.code == 1
    assert f"this machine has signed another event 1 of did:keri:{a.log.aid}: {kelbuild.said(first)}" in refused.err
    assert other.read_bytes() == before
    with pytest.raises(Refusal, match="signed another event 1"):
        a.propose(tmp_path / "third", OTHER)
    assert not (tmp_path / "third").exists()
    assert a.sign("--yes", other, "--instead-of", kelbuild.said(first)).code == 0
    assert b.sign("--yes", other).code == 0
    assert (a.log.sn, b.log.sn) == (0, 1)
    assert a.sign("--yes", other).code == 0
    assert a.log.said == b.log.said


def test_the_record_of_what_was_signed_is_durable_before_a_signature_leaves(
    machines: list[Machine], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off just before: the file is not written, and the record has the event."""
    a = machines[0]

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(eventproposals, "write", crash)
    with pytest.raises(KeyboardInterrupt):
        a.propose(file, SEAL)
    assert not file.exists()
    assert (a.folder / "signed").read_text().startswith(f"{a.log.aid} 1 E")
    assert (a.folder / "signed").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damage", [b"x\n", b"a z c\n", b"\xff\n", b"E 1 E\n" * 200_000])
def test_a_damaged_record_stops_signing(machines: list[Machine], file: Path, damage: bytes) -> None:
    a = machines[0]
    file.write_bytes(kelbuild.interaction(a.log, [SEAL]))
    (a.folder / "signed").write_bytes(damage)
    refused = a.sign("--yes", file)
    assert refused.code == 128
    assert "is damaged" in refused.err


def test_nothing_is_signed_without_a_yes(machines: list[Machine], file: Path) -> None:
    a = machines[0]
    file.write_bytes(kelbuild.interaction(a.log, [SEAL]))
    asked = a.sign(file)
    assert asked.code == 128
    assert f"git auths kel sign '{file}' --yes" in asked.err
    assert offer(a, file).signed == ()
    assert not (a.folder / "signed").exists()


def behind(machines: list[Machine], file: Path) -> None:
    for anchor in (SEAL, OTHER):
        machines[0].propose(file, anchor)
        assert machines[1].sign("--yes", file).code == machines[0].sign("--yes", file).code == 0
    file.write_bytes(kelbuild.interaction(machines[0].log, [SEAL]))


def test_a_machine_takes_in_what_the_others_have_signed_without_it(
    machines: list[Machine], file: Path, newcomer: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, _, c = machines
    behind(machines, file)
    (newcomer.at / ".auths" / "kels").mkdir(parents=True)
    (newcomer.at / ".auths" / "kels" / f"{a.log.aid}.cesr").write_bytes((a.folder / "kel.cesr").read_bytes())
    newcomer.git("init", "-q", newcomer.at)
    newcomer.git("add", ".auths")
    newcomer.git("commit", "-qm", "log")
    monkeypatch.chdir(newcomer.at)
    signed = c.sign("--yes", file)
    assert signed.code == 0
    assert "event 2, which the others have signed, is in the log of" in signed.err
    assert c.log == a.log
    assert offer(a, file).signed == (2,)


def test_events_that_one_key_could_have_signed_are_not_taken_in(
    newcomer: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are not this machine's: somebody else has the key."""
    newcomer.auths("init", "--no-passphrase")
    file = log_of(newcomer, "main")
    before = file.read_bytes()
    monkeypatch.setenv("AUTHS_HOME", newcomer.environment["AUTHS_HOME"])
    grown = keyevents.seal("main", [SEAL], Secrets())
    (newcomer.at / ".auths" / "kels").mkdir(parents=True)
    (newcomer.at / ".auths" / "kels" / f"{grown.aid}.cesr").write_bytes(file.read_bytes())
    file.write_bytes(before)
    newcomer.git("init", "-q", newcomer.at)
    newcomer.git("add", ".auths")
    newcomer.git("commit", "-qm", "log")
    event = tmp_path / "event"
    event.write_bytes(kelbuild.interaction(grown, [OTHER]))
    refused = newcomer.auths("kel", "sign", "--yes", event, code=1)
    assert "event 1 is missing before it" in refused.stderr
    assert file.read_bytes() == before


def another_log(machines: list[Machine], file: Path) -> None:
    log = kel.replay(solo(5)[0])
    file.write_bytes(kelbuild.interaction(log, [SEAL]))


def solo(number: int) -> tuple[bytes, kel.Kel]:
    one = signer(number)
    event = kelbuild.inception([one.key], [signer(number + 1).key.commitment])
    stream = kelbuild.with_signatures(event, [IndexedSignature("A", 0, 0, one.sign(event))])
    return stream, kel.replay(stream)


def bad_signature(machines: list[Machine], file: Path) -> None:
    event = kelbuild.interaction(machines[0].log, [SEAL])
    file.write_bytes(kelbuild.with_signatures(event, [IndexedSignature("A", 1, 1, bytes(64))]))


BROKEN: list[tuple[Callable[[list[Machine], Path], object], int, str]] = [
    (lambda machines, file: file.write_bytes(b""), 1, "holds no proposed key event"),
    (lambda machines, file: file.write_bytes(b"{" * 2_000_000), 1, "holds no proposed key event"),
    (lambda machines, file: file.write_bytes(machines[0].propose(file) and file.read_bytes() + b"\n"), 1,
     "bytes after the event and its signatures"),
    (lambda machines, file: file.unlink(missing_ok=True), 128, "No such file or directory"),
    (lambda machines, file: file.write_bytes(kelbuild.interaction(machines[0].log, [])[:-9]), 1, "cut off"),
    (behind, 1, "event 1 is missing before it"),
    (another_log, 128, "is not here"),
    (bad_signature, 1, "the signature of key 1 does not verify"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "code", "reason"), BROKEN)
def test_what_cannot_be_signed_is_refused_in_one_line(
    machines: list[Machine], file: Path, make: Callable[[list[Machine], Path], object], code: int, reason: str
) -> None:
    make(machines, file)
    refused = machines[2].sign("--yes", "--alias", "acme", file)
    assert (refused.code, refused.out) == (code, "")
    assert reason in refused.err
    assert refused.err.count("error: ") == 1
    assert not (machines[2].folder / "signed").exists()


def test_a_file_as_large_as_anything_is_read_to_its_limit(machines: list[Machine], file: Path) -> None:
    with file.open("wb") as stream:
        stream.truncate(10_000_000_000)
    assert machines[0].sign("--yes", file).code == 1


def test_the_seals_are_shown_inert(machines: list[Machine], file: Path) -> None:
    machines[0].propose(file, {"x": "\x1b[31mred\u202e"})
    shown = machines[1].sign("--yes", file)
    assert all(line.isprintable() for line in shown.err.splitlines())


def test_founders_begin_an_identity_with_fresh_keys_of_their_own(tmp_path: Path) -> None:
    """Each makes an identity, sends its log, signs the inception that names them all, and keeps it by another name."""
    founders = [Person(tmp_path, name) for name in ("ada", "bob")]
    for person in founders:
        person.auths("init", "--alias", "founder", "--no-passphrase")
    logs = [kel.replay((log_of(person, "founder")).read_bytes()) for person in founders]
    file = tmp_path / "acme"
    states = [log.state for log in logs]
    file.write_bytes(kelbuild.inception([state.keys[0] for state in states], [state.next[0] for state in states],
                                        kt="2", nt="2"))  # fmt: skip
    ada, bob = founders
    first = ada.auths("kel", "sign", "--yes", "--alias", "founder", file)
    assert "a new identifier: did:keri:" in first.stderr
    assert "who signs: 2 of 2 keys" in first.stderr
    assert "1 more signature by the keys" in first.stderr
    assert "git auths kel sign" in bob.auths("kel", "sign", "--yes", "--alias", "founder", file).stderr
    for person in founders:
        person.auths("kel", "sign", "--yes", "--alias", "founder", "--as", "acme", file)
    acme = kel.replay(file.read_bytes())
    assert all(log_of(person, "acme").read_bytes() == file.read_bytes() for person in founders)
    assert json.loads(ada.auths("kel", "verify", "--json", log_of(ada, "acme")).stdout)["aid"] == acme.aid
    event = tmp_path / "event"
    event.write_bytes(kelbuild.interaction(acme, [SEAL]))
    for person in (ada, bob, ada):
        person.auths("kel", "sign", "--yes", event)
    assert (
        log_of(ada, "acme").read_bytes() == log_of(bob, "acme").read_bytes() == file.read_bytes() + event.read_bytes()
    )


def test_an_identity_that_does_not_go_on_with_a_founders_next_key_is_not_signed(
    newcomer: Person, tmp_path: Path
) -> None:
    newcomer.auths("init", "--alias", "founder", "--no-passphrase")
    own = kel.replay(log_of(newcomer, "founder").read_bytes()).state
    file = tmp_path / "acme"
    file.write_bytes(
        kelbuild.inception([own.keys[0], signer(1).key], commitments([signer(2), signer(3)]), kt="1", nt="1")
    )
    before = file.read_bytes()
    refused = newcomer.auths("kel", "sign", "--yes", "--alias", "founder", file, code=1)
    assert "it does not commit to the next keys of 'founder'" in refused.stderr
    assert file.read_bytes() == before


def test_who_has_the_keys_under_another_name_signs_by_the_log_of_the_repository(
    newcomer: Person, tmp_path: Path
) -> None:
    """And no second event of one number either."""
    newcomer.auths("init", "--alias", "founder", "--no-passphrase")
    own = kel.replay(log_of(newcomer, "founder").read_bytes()).state
    other = signer(1)
    inception = kelbuild.inception([own.keys[0], other.key], [own.next[0], SAID], kt="2", nt="2")
    file = tmp_path / "acme"
    file.write_bytes(kelbuild.with_signatures(inception, [IndexedSignature("A", 1, 1, other.sign(inception))]))
    newcomer.auths("kel", "sign", "--yes", "--alias", "founder", file)
    acme = kel.replay(file.read_bytes())
    events = [tmp_path / "one", tmp_path / "two"]
    for path, anchor in zip(events, (SEAL, OTHER), strict=True):
        path.write_bytes(kelbuild.interaction(acme, [anchor]))
    unknown = newcomer.auths("kel", "sign", "--yes", "--alias", "founder", events[0], code=128)
    assert f"the log of did:keri:{acme.aid} is not here" in unknown.stderr
    newcomer.git("init", "-q", newcomer.at)
    (newcomer.at / ".auths" / "kels").mkdir(parents=True)
    (newcomer.at / ".auths" / "kels" / f"{acme.aid}.cesr").write_bytes(file.read_bytes())
    newcomer.git("add", ".auths")
    newcomer.git("commit", "-qm", "log")
    signed = newcomer.auths("kel", "sign", "--yes", "--alias", "founder", events[0])
    assert "1 more signature by the keys" in signed.stderr
    assert proposal.parse(events[0].read_bytes(), acme).signed == (0,)
    refused = newcomer.auths("kel", "sign", "--yes", "--alias", "founder", events[1], code=1)
    assert "this machine has signed another event 1" in refused.stderr


def log_of(person: Person, alias: str) -> Path:
    return Path(person.environment["AUTHS_HOME"], "identities", alias, "kel.cesr")


def test_a_rotation_is_signed_by_those_who_brought_keys_to_it(machines: list[Machine], file: Path) -> None:
    old = machines[0].log.state
    for machine in machines:
        machine.at()
        assert main(["rotate", "--alias", "acme", "--propose", str(file), "--yes"]) == 0
    a, b, c = machines
    signed = a.sign("--yes", file)
    assert "other keys from now on" in signed.err
    assert "has all signatures" in signed.err
    for machine in (b, c):
        assert machine.sign("--yes", file).code == 0
        assert machine.log == a.log
    assert [key.commitment for key in a.log.state.keys] == list(old.next)
    after = file.with_name("after")
    a.propose(after, SEAL)
    assert "has all signatures" in c.sign("--yes", after).err
    assert c.log.sn == 2


def test_a_rotation_to_which_a_machine_has_brought_no_keys_gets_no_signature(
    machines: list[Machine], file: Path
) -> None:
    for machine in machines:
        machine.at()
        assert main(["rotate", "--alias", "acme", "--propose", str(file), "--yes"]) == 0
    before = file.read_bytes()
    shutil.rmtree(machines[0].folder / "pending")
    assert machines[0].sign("--yes", file).code == 1
    assert file.read_bytes() == before


def grant_to(subject: str, issuer: str, **changes: Any) -> bytes:
    """The payload of a grant."""
    made = Grant("a" * 40, f"did:keri:{issuer}", f"did:keri:{subject}", "member", ("sign_commit", "manage_members"),
                 1_800_000_000, 1_900_000_000, "helper")  # fmt: skip
    return grants.payload(made._replace(**changes))


def proposed_grant(machine: Machine, file: Path, payload: bytes, *lines: bytes) -> None:
    """An event that seals the grant, and these lines after it."""
    event = kelbuild.interaction(machine.log, [seals.grant(grants.digest(payload))])
    file.write_bytes(b"\n".join([event, *lines]))


def test_what_a_grant_gives_is_read_before_it_is_signed(machines: list[Machine], file: Path) -> None:
    a, b, _ = machines
    payload = grant_to(SAID, a.log.aid)
    proposed_grant(a, file, payload, payload)
    signed = b.sign("--yes", file)
    assert (f"lets did:keri:{SAID} sign_commit, manage_members, as member, until 2030-03-17T17:46:40Z, under the trust "
            f'root {"a" * 40}, called "helper"') in signed.err  # fmt: skip
    assert file.read_bytes().endswith(b"\n" + payload)
    assert a.sign("--yes", file).code == b.sign("--yes", file).code == 0
    assert a.log.said == b.log.said and a.log.sn == 1
    assert payload not in (a.folder / "kel.cesr").read_bytes()


def test_a_grant_that_nobody_can_read_is_signed_by_who_says_so(machines: list[Machine], file: Path) -> None:
    a, b, _ = machines
    file.write_bytes(kelbuild.interaction(a.log, [UNKNOWN_GRANT]))
    refused = b.sign("--yes", file)
    assert refused.code == 1
    assert f"warning: {file} does not hold the grant {UNKNOWN_GRANT['d']}" in refused.err
    assert "hint: ask who proposed it" in refused.err and "--unread" in refused.err
    assert offer(a, file).signed == () and not (b.folder / "signed").exists()
    assert b.sign("--yes", "--unread", file).code == 0
    assert offer(a, file).signed == (1,)


def test_a_grant_by_another_issuer_counts_as_none(machines: list[Machine], file: Path) -> None:
    a, b, _ = machines
    payload = grant_to(SAID, signer(6).key.commitment)
    proposed_grant(a, file, payload, payload)
    refused = b.sign("--yes", file)
    assert refused.code == 1
    assert "does not hold the grant" in refused.err


def test_what_the_event_does_not_seal_is_not_shown_as_if_it_did(machines: list[Machine], file: Path) -> None:
    a, b, _ = machines
    payload = grant_to(SAID, a.log.aid)
    proposed_grant(a, file, grant_to(OTHER["i"], a.log.aid), payload)
    refused = b.sign("--yes", file)
    assert refused.code == 1
    assert "after the event and its signatures, which it does not seal" in refused.err


def test_a_copy_brings_the_grant_that_is_missing(machines: list[Machine], file: Path, tmp_path: Path) -> None:
    a, b, _ = machines
    payload = grant_to(SAID, a.log.aid)
    proposed_grant(a, file, payload)
    proposed_grant(a, tmp_path / "copy", payload, payload)
    assert b.sign("--yes", file, "--with", tmp_path / "copy").code == 0
    assert file.read_bytes().endswith(payload)


def carried(machines: list[Machine], file: Path) -> tuple[kel.Kel, dict[str, Any], bytes]:
    """The log, the offers of all machines, and the event that they have made."""
    for machine in machines:
        machine.at()
        assert main(["rotate", "--alias", "acme", "--propose", str(file), "--yes"]) == 0
    event, offers = file.read_bytes().split(b"\n")
    return machines[0].log, json.loads(offers), event[: keyevent.read_size(event, 0)]


@pytest.mark.parametrize("enclosed", [False, True])
@pytest.mark.parametrize("changes", ["n", "order", "k"])
def test_a_rotation_goes_on_with_no_key_that_its_carrier_has_put_in(
    machines: list[Machine], file: Path, changes: str, enclosed: bool
) -> None:
    """Each keeps the keys of the machine that is asked, but not those of another one."""
    log, offers, event = carried(machines, file)
    listed = json.loads(event)
    keys, following = [verkey.parse(text) for text in listed["k"]], listed["n"]
    if changes == "n":
        following[0] = SAID
    elif changes == "order":
        following[:2] = following[1::-1]
    else:
        keys[0] = signer(9).key
    forged = kelbuild.rotation(log, keys, following, kt="2", nt="2")
    lines = [json.dumps(offers, separators=(",", ":")).encode()] if enclosed else []
    file.write_bytes(b"\n".join([forged, *lines]))
    refused = machines[1].sign("--yes", file)
    assert refused.code == 1
    assert f"{file} does not hold offers of the keys that it goes on with" in refused.err
    assert file.read_bytes().startswith(forged)
    file.write_bytes(b"\n".join([forged, json.dumps({**offers, "s": "2"}, separators=(",", ":")).encode()]))
    assert "the offers after the event" in machines[1].sign("--yes", file).err


def test_a_changed_threshold_is_shown_beside_the_one_before(machines: list[Machine], file: Path) -> None:
    log, offers, event = carried(machines, file)
    listed = json.loads(event)
    keys = [verkey.parse(text) for text in listed["k"]]
    lowered = kelbuild.rotation(log, keys, listed["n"], kt="1", nt="1")
    file.write_bytes(lowered + b"\n" + json.dumps(offers, separators=(",", ":")).encode())
    assert "who signs: 1 of 3 keys (before: 2 of 3 keys)" in machines[2].sign(file).err


def test_whoever_has_a_log_under_two_names_signs_one_event_of_a_number(
    newcomer: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newcomer.auths("init", "--alias", "acme.founder", "--no-passphrase")
    own = kel.replay(log_of(newcomer, "acme.founder").read_bytes()).state
    other = signer(1)
    inception = kelbuild.inception([own.keys[0], other.key], [own.next[0], SAID], kt="2", nt="2")
    file = tmp_path / "my event;x"
    file.write_bytes(inception)
    told = newcomer.auths("kel", "sign", "--yes", "--alias", "acme.founder", file)
    command = f"git auths kel sign '{file}' --alias acme.founder --as acme"
    assert f"hint: pass '{file}' on; each of them runs: {command}\n" in told.stderr
    file.write_bytes(kelbuild.with_signatures(inception, [IndexedSignature("A", 1, 1, other.sign(inception))]))
    assert (
        f"to keep it here: {command}\n"
        in newcomer.auths("kel", "sign", "--yes", "--alias", "acme.founder", file).stderr
    )
    newcomer.auths("kel", "sign", "--alias", "acme.founder", "--as", "acme", file)
    acme = kel.replay(log_of(newcomer, "acme").read_bytes())
    events = [tmp_path / name for name in ("one", "two", "three")]
    for path, anchor in zip(events, (SEAL, OTHER, {"x": "y"}), strict=True):
        path.write_bytes(kelbuild.interaction(acme, [anchor]))
    first, second, third = events
    newcomer.auths("kel", "sign", "--yes", first)
    refused = newcomer.auths("kel", "sign", "--yes", "--alias", "acme.founder", second, code=1)
    signed = proposal.parse(first.read_bytes(), acme).body.said
    assert f"this machine has signed another event 1 of did:keri:{acme.aid}: {signed}" in refused.stderr
    assert f"git auths kel sign --instead-of {signed} FILE" in refused.stderr
    newcomer.auths("kel", "sign", "--yes", "--alias", "acme.founder", "--instead-of", signed, second)
    for alias in ("acme", "acme.founder"):
        assert newcomer.auths("kel", "sign", "--yes", "--alias", alias, third, code=1)
        assert newcomer.auths("kel", "sign", "--yes", "--alias", alias, first, code=1)


def test_what_gets_no_signature_is_not_recorded(
    machines: list[Machine], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = machines[0]
    file.write_bytes(kelbuild.interaction(a.log, [SEAL]))

    def refuse(*_: object) -> None:
        raise Refusal("no")

    monkeypatch.setattr(keyevents, "signatures_here", refuse)
    assert a.sign("--yes", file).code == 1
    assert not (a.folder / "signed").exists()


def test_a_delegates_request_that_was_handed_out_keeps_its_number(
    newcomer: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its delegator may have sealed it already."""
    owner = GrowingLog()
    monkeypatch.setenv("AUTHS_HOME", newcomer.environment["AUTHS_HOME"])
    identity = keyevents.incept("bot", Secrets(), unencrypted=True, delegator=owner.kel.aid)
    [first] = kelstream.messages(keystore.read_kel(identity))
    owner.interact(kelbuild.event_seal(first.raw))
    source = SealSource(owner.kel.sn, owner.kel.said)
    keyevents.finish("bot", kelbuild.with_signatures(first.raw, first.attachments.signatures, source=source))
    request = keyevents.rotate("bot", Secrets())
    assert isinstance(request, keyevents.Request)
    assert (Path(identity.folder) / "signed").read_text() == f"{identity.aid} 1 {request.said}\n"
    file = tmp_path / "event"
    event = kelbuild.interaction(keyevents.own_log(identity), [SEAL])
    file.write_bytes(event)
    for remembered in (True, False):
        if not remembered:  # as after an update from a version that recorded no requests
            (Path(identity.folder) / "signed").unlink()
        refused = newcomer.auths("kel", "sign", "--yes", file, code=1)
        assert "waits for its delegator" in refused.stderr
    with pytest.raises(Refusal, match="waits for its delegator"):
        eventproposals.seal("bot", [SEAL], Secrets(), str(tmp_path / "none"))
    assert file.read_bytes() == event and not (tmp_path / "none").exists()


def test_a_rotation_is_not_made_of_a_log_that_has_gone_on_while_somebody_read(
    machines: list[Machine], file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, c = machines
    for machine in (b, c):
        machine.at()
        assert main(["rotate", "--alias", "acme", "--propose", str(file)]) == 0
    before = file.read_bytes()

    def meanwhile(*_: object) -> bool:
        other = tmp_path / "other"
        b.propose(other, SEAL)
        for machine in (c, a):
            assert machine.sign("--yes", other).code == 0
        return True

    monkeypatch.setattr(rotate_propose, "confirmed", meanwhile)
    a.at()
    assert main(["rotate", "--alias", "acme", "--propose", str(file)]) == 1
    assert file.read_bytes() == before and a.log.sn == 1
