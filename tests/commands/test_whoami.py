"""git auths whoami"""

from __future__ import annotations

import json
from pathlib import Path

from tests.people import Person


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
