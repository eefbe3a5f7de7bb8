"""git auths rotate --propose: keys that lie on several machines"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from git_auths.core import seals
from git_auths.core.kel import Kel, replay
from git_auths.store import keystore
from tests.people import Person


@pytest.fixture
def founders(tmp_path: Path) -> list[Person]:
    """Three people, each of whom has one key of the identity `main`."""
    people = [Person(tmp_path, name) for name in ("ada", "bob", "eve")]
    people[0].auths("init", "--no-passphrase", "--keys", "3", "--threshold", "2/3")
    for person in people[1:]:
        shutil.copytree(people[0].home / "auths", person.home / "auths")
    for number, person in enumerate(people):
        for name in ("current", "next"):
            slots = [folder(person) / keystore.slot(name, slot) for slot in range(3)]
            key = slots[number].read_bytes()
            for slot in slots[1:]:
                slot.unlink()
            slots[0].write_bytes(key)
    return people


def folder(person: Person) -> Path:
    return person.home / "auths/identities/main"


def log(person: Person) -> Kel:
    return replay((folder(person) / "kel.cesr").read_bytes())


def test_the_file_goes_round_until_all_have_the_event(founders: list[Person], tmp_path: Path) -> None:
    file = tmp_path / "the rotation"
    for person in founders[:2]:
        done = person.auths("rotate", "--propose", file)
        assert f"git auths rotate --propose '{file}'" in done.stderr
    asked = founders[2].auths("rotate", "--propose", file, code=128)
    assert "no terminal" in asked.stderr and f"--propose '{file}' --yes" in asked.stderr
    assert "other keys from now on" in asked.stderr and "next key 2: E" in asked.stderr
    done = founders[2].auths("rotate", "--propose", file, "--yes")
    assert f"git auths kel sign '{file}'" in done.stderr
    for person in (founders[0], founders[1], founders[2]):
        person.auths("kel", "sign", "--yes", file)
    assert {log(person).said for person in founders} == {log(founders[0]).said}
    assert [event.ilk for event in log(founders[0]).events] == ["icp", "rot"]
    assert log(founders[0]).state.kt.json() == "2"
    again = tmp_path / "again"
    for person in founders:
        person.auths("rotate", "--propose", again, "--yes")
    assert again.read_bytes().startswith(b'{"v":"KERI')


def test_who_has_left_is_left_out(founders: list[Person], tmp_path: Path) -> None:
    ada, bob, _ = founders
    file = tmp_path / "rotation"
    ada.auths("rotate", "--propose", file, "--compromised", "--at", "2026-01-31")
    go_on = ("rotate", "--compromised", "--propose", file, "--yes")
    assert "do not meet the threshold" in ada.auths(*go_on, "--threshold", "1/1", code=1).stderr
    done = bob.auths(*go_on, "--threshold", "2/2")
    assert "declares its keys compromised from event 0" in done.stderr
    assert "key 2 is left out" in done.stderr
    for person in (ada, bob):
        person.auths("kel", "sign", "--yes", file)
    state = log(ada).state
    assert (log(bob).said, len(state.keys), len(state.next), state.kt.json()) == (log(ada).said, 2, 2, "2")
    [declared] = log(ada).events[1].anchors
    assert isinstance(seals.parse(declared), seals.Compromise)


def test_what_does_not_fit_is_refused(founders: list[Person], tmp_path: Path) -> None:
    ada, bob, eve = founders
    file = tmp_path / "rotation"
    for alone in (["--threshold", "2/3"], ["--yes"]):
        assert "belong to --propose" in ada.auths("rotate", *alone, code=129).stderr
    assert "let the others take part" in ada.auths("rotate", code=1).stderr
    ada.auths("rotate", "--propose", file)
    assert "begun for another" in bob.auths("rotate", "--propose", file, "--compromised", code=129).stderr
    document = json.loads(file.read_bytes())
    document["offers"][0]["n"] = log(ada).aid
    file.write_text(json.dumps(document))
    assert "has not signed that" in bob.auths("rotate", "--propose", file, code=1).stderr
    file.unlink()
    ada.auths("rotate", "--propose", file)
    shutil.rmtree(folder(ada) / "pending")
    assert "another offer" in ada.auths("rotate", "--propose", file, code=1).stderr
    bob.auths("rotate", "--propose", file)
    eve.auths("rotate", "--propose", file, "--yes")
    assert "is an event already" in eve.auths("rotate", "--propose", file, code=1).stderr
    done = ada.auths("kel", "sign", "--yes", file, code=1)
    assert "does not go on with the keys of this machine" in done.stderr
    assert log(ada).sn == 0
    assert "cannot write" in ada.auths("rotate", "--propose", tmp_path / "none" / "file", code=128).stderr
    file.write_bytes(b"\0")
    assert "no JSON" in ada.auths("rotate", "--propose", file, code=1).stderr


def test_nobody_learns_from_a_file_that_his_keys_are_compromised(founders: list[Person], tmp_path: Path) -> None:
    """Who carries the file may have begun it."""
    ada, bob, _ = founders
    file = tmp_path / "rotation"
    ada.auths("rotate", "--propose", file)
    document = json.loads(file.read_bytes())
    planted = seals.compromise(0, log(ada).said, 946684800)
    file.write_text(json.dumps({**document, "a": [planted]}))
    refused = bob.auths("rotate", "--propose", file, "--yes", code=1)
    assert "declares its keys compromised from event 0" in refused.stderr and "2000-01-01" in refused.stderr
    assert f"git auths rotate --compromised --propose {file}" in refused.stderr
    before = file.read_bytes()
    for extra, code in (([], 128), (["--at", "2026-01-31", "--yes"], 129)):
        asked = bob.auths("rotate", "--propose", file, "--compromised", *extra, code=code)
        assert "declares its keys compromised from event 0" in asked.stderr
    assert file.read_bytes() == before and not (folder(bob) / "pending").exists()
    bob.auths("rotate", "--propose", file, "--compromised", "--yes")
    assert json.loads(file.read_bytes())["a"] == [planted]
