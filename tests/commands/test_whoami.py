"""git auths whoami"""

from __future__ import annotations

import json
from pathlib import Path

from tests.devices import approved, did, request, second_machine
from tests.people import Person, Project


def test_it_prints_the_did_and_the_log(ada: Person) -> None:
    did = ada.did()
    assert did.startswith("did:keri:E")
    log = ada.home / "auths/identities/main/kel.cesr"
    assert ada.auths("whoami", "--export").stdout == log.read_text()
    told = json.loads(ada.auths("whoami", "--json").stdout)
    assert (told["version"], told["did"], told["sn"], told["alias"]) == (1, did, 0, "main")


def test_without_an_identity_it_names_the_command_that_makes_one(newcomer: Person) -> None:
    done = newcomer.auths("whoami", code=128)
    assert done.stderr == "error: no identity 'main' on this machine\nhint: git auths init\n"


def test_a_key_file_that_others_can_read_is_refused(ada: Person) -> None:
    key = ada.home / "auths/identities/main/current"
    key.chmod(0o644)
    done = ada.auths("whoami", code=128)
    assert str(key) in done.stderr
    assert "hint: chmod 600 " in done.stderr


def test_the_export_is_what_a_maintainer_can_add(ada: Person, newcomer: Person) -> None:
    newcomer.auths("init", "--no-passphrase")
    ada.join(newcomer, "commit")
    aid = newcomer.did().removeprefix("did:keri:")
    assert Path(ada.at, ".auths/kels", f"{aid}.cesr").read_text() == newcomer.export().read_text()


def test_it_tells_of_the_keys_and_where_they_are(ada: Person) -> None:
    ada.auths("init", "--alias", "other", "--no-passphrase", "--next-key", ada.home / "stick")
    told = json.loads(ada.auths("whoami", "--json", "--alias", "other").stdout)
    assert (told["kind"], told["delegator"], told["keys"], told["key_in_agent"]) == ("person", None, 1, False)
    assert (told["next_key"], told["next_key_is_here"]) == (str(ada.home / "stick"), False)
    assert f"next key at {ada.home / 'stick'}\n" in ada.auths("whoami", "--alias", "other").stderr
    assert "next key beside the current one\n" in ada.auths("whoami", "--alias", "main").stderr
    (ada.home / "stick").unlink()
    done = ada.auths("whoami", "--alias", "other")
    assert f"next key at {ada.home / 'stick'}, where nothing is now\n" in done.stderr


def test_in_a_run_an_agent_is_told_what_it_is(ada: Person) -> None:
    did = ada.auths("agent", "new", "fixer").stdout.strip()
    done = ada.auths("agent", "run", "fixer", "--", "git", "auths", "whoami")
    assert done.stdout.strip() == did
    assert f"agent fixer of {ada.did()}\n" in done.stderr
    elsewhere = ada.auths("agent", "run", "fixer", "--", "git", "-C", ada.home, "auths", "whoami", "--json")
    assert json.loads(elsewhere.stdout)["name"] == "fixer"
    ada.git("switch", "--quiet", "--orphan", "empty")
    ada.git("symbolic-ref", "HEAD", "refs/heads/main")
    empty = ada.home / "empty"
    ada.git("init", "--quiet", empty)
    script = f"cd {empty} && git auths whoami && git auths status"
    assert (
        f"agent fixer of {ada.did()}\n" in ada.auths("agent", "run", "fixer", "--", "sh", "-c", script, code=1).stderr
    )


def test_a_device_and_its_owner_are_told_of_each_other(project: Project) -> None:
    laptop, ada = approved(project), project.ada
    told = json.loads(laptop.auths("whoami", "--json").stdout)
    assert (told["did"], told["kind"], told["delegator"]) == (did(laptop), "device", ada.did())
    assert not told["waits_for_owner"]
    assert told["name"] == "laptop"
    assert f"device laptop of {ada.did()}\n" in laptop.auths("whoami").stderr
    for person in (laptop, ada):
        (one,) = json.loads(person.auths("whoami", "--json").stdout)["delegates"]
        assert (one["kind"], one["name"], one["did"], one["revoked"]) == ("device", "laptop", did(laptop), False)
        assert one["expires_at"].startswith("20")
    assert f"device laptop  {did(laptop)}" in ada.auths("whoami").stderr
    ada.auths("device", "remove", "laptop", code=None)
    (one,) = json.loads(ada.auths("whoami", "--json").stdout)["delegates"]
    assert one["revoked"]


def test_a_device_that_is_not_approved_yet_says_so(project: Project) -> None:
    laptop = second_machine(project)
    request(laptop, project.ada.did())
    assert json.loads(laptop.auths("whoami", "--json").stdout)["waits_for_owner"]
    assert "waits for its owner's approval" in laptop.auths("whoami").stderr


def test_outside_of_a_repository_nothing_is_said_of_devices(ada: Person) -> None:
    assert json.loads(ada.auths("whoami", "--json").stdout)["delegates"] == []
    assert json.loads(ada.auths("whoami", "--json", cwd=ada.home).stdout)["delegates"] is None
