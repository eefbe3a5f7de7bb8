"""Three machines hold one key each of an identity; two of them must sign."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from git_auths.core import kel, kelbuild, proposal
from git_auths.core.cesr import IndexedSignature
from git_auths.errors import Refusal
from git_auths.main import main
from git_auths.store import eventproposals, keyevents, keystore
from git_auths.store.secrets import Secrets
from tests.kels import commitments, signer
from tests.people import Person

GRANT = {"auths": "grant/1", "d": "ab" * 32}
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
    event = a.propose(file, GRANT)
    assert offer(a, file).signed == (0,)
    signed = c.sign("--yes", file)
    assert signed.code == 0
    assert f"gives the rights that the grant {GRANT['d']} says" in signed.err
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
    file.write_bytes(kelbuild.interaction(log, [GRANT]))
    assert offer(a, file).signed == ()
    signed = b.sign("--yes", file)
    assert signed.code == 0
    assert "is not complete: 1 more signature by the keys" in signed.err
    assert f"hint: pass {file} on; each of them runs: git auths kel sign {file}" in signed.err
    assert b.log.sn == 0
    assert "has all signatures" in c.sign("--yes", file).err


def test_who_has_signed_is_not_asked_again(machines: list[Machine], file: Path) -> None:
    a = machines[0]
    a.propose(file, GRANT)
    again = a.sign(file)
    assert again.code == 1
    assert "none of its keys that have not signed yet is one of 'acme'" in again.err


def test_signatures_on_copies_are_joined(machines: list[Machine], file: Path, tmp_path: Path) -> None:
    a, b, c = machines
    file.write_bytes(kelbuild.interaction(a.log, [GRANT]))
    copy = tmp_path / "copy"
    shutil.copy(file, copy)
    assert b.sign("--yes", file).code == c.sign("--yes", copy).code == 0
    joined = a.sign("--yes", file, "--with", copy)
    assert joined.code == 0
    assert proposal.parse(file.read_bytes(), a.log_before).signed == (1, 2)
    assert a.log.sn == 1


def test_a_copy_of_another_event_is_refused(machines: list[Machine], file: Path, tmp_path: Path) -> None:
    a, b, _ = machines
    file.write_bytes(kelbuild.interaction(a.log, [GRANT]))
    other = tmp_path / "other"
    other.write_bytes(kelbuild.interaction(a.log, [OTHER]))
    refused = b.sign("--yes", file, "--with", other)
    assert refused.code == 1
    assert f"error: {other}: it is another event: " in refused.err
    assert file.read_bytes() == kelbuild.interaction(a.log, [GRANT])


def test_no_second_event_of_one_number_is_signed(machines: list[Machine], file: Path, tmp_path: Path) -> None:
    a, b, _ = machines
    first = a.propose(file, GRANT)
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
    """Whatever makes the signatures: the file is not written, and the record has the event."""
    a = machines[0]

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(keyevents, "signatures_here", crash)
    with pytest.raises(KeyboardInterrupt):
        a.propose(file, GRANT)
    assert not file.exists()
    assert (a.folder / "signed").read_text().startswith(f"{a.log.aid} 1 E")
    assert (a.folder / "signed").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damage", [b"x\n", b"a z c\n", b"\xff\n", b"E 1 E\n" * 200_000])
def test_a_damaged_record_stops_signing(machines: list[Machine], file: Path, damage: bytes) -> None:
    a = machines[0]
    file.write_bytes(kelbuild.interaction(a.log, [GRANT]))
    (a.folder / "signed").write_bytes(damage)
    refused = a.sign("--yes", file)
    assert refused.code == 128
    assert "is damaged" in refused.err


def test_nothing_is_signed_without_a_yes(machines: list[Machine], file: Path) -> None:
    a = machines[0]
    file.write_bytes(kelbuild.interaction(a.log, [GRANT]))
    asked = a.sign(file)
    assert asked.code == 128
    assert f"git auths kel sign --yes {file}" in asked.err
    assert offer(a, file).signed == ()
    assert not (a.folder / "signed").exists()


def behind(machines: list[Machine], file: Path) -> None:
    for anchor in (GRANT, OTHER):
        machines[0].propose(file, anchor)
        assert machines[1].sign("--yes", file).code == machines[0].sign("--yes", file).code == 0
    file.write_bytes(kelbuild.interaction(machines[0].log, [GRANT]))


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
    grown = keyevents.seal("main", [GRANT], Secrets())
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
    file.write_bytes(kelbuild.interaction(log, [GRANT]))


def solo(number: int) -> tuple[bytes, kel.Kel]:
    one = signer(number)
    event = kelbuild.inception([one.key], [signer(number + 1).key.commitment])
    stream = kelbuild.with_signatures(event, [IndexedSignature("A", 0, 0, one.sign(event))])
    return stream, kel.replay(stream)


def bad_signature(machines: list[Machine], file: Path) -> None:
    event = kelbuild.interaction(machines[0].log, [GRANT])
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
    event.write_bytes(kelbuild.interaction(acme, [GRANT]))
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
    for path, anchor in zip(events, (GRANT, OTHER), strict=True):
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
        assert main(["rotate", "--alias", "acme", "--propose", str(file)]) == 0
    a, b, c = machines
    signed = a.sign("--yes", file)
    assert "other keys from now on" in signed.err
    assert "has all signatures" in signed.err
    for machine in (b, c):
        assert machine.sign("--yes", file).code == 0
        assert machine.log == a.log
    assert [key.commitment for key in a.log.state.keys] == list(old.next)
    after = file.with_name("after")
    a.propose(after, GRANT)
    assert "has all signatures" in c.sign("--yes", after).err
    assert c.log.sn == 2


def test_a_rotation_to_which_a_machine_has_brought_no_keys_gets_no_signature(
    machines: list[Machine], file: Path
) -> None:
    for machine in machines:
        machine.at()
        assert main(["rotate", "--alias", "acme", "--propose", str(file)]) == 0
    before = file.read_bytes()
    shutil.rmtree(machines[0].folder / "pending")
    assert machines[0].sign("--yes", file).code == 1
    assert file.read_bytes() == before
