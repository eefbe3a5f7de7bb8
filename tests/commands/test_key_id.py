"""git auths key-id"""

from __future__ import annotations

from tests.people import Person
from tests.realgit import run


def test_it_prints_what_user_signing_key_takes(ada: Person) -> None:
    assert ada.auths("key-id").stdout == "auths:main\n"
    assert ada.git("config", "user.signingKey").stdout == "auths:main\n"


def test_it_prints_the_ssh_public_key_for_a_forge(ada: Person) -> None:
    line = ada.auths("key-id", "--ssh").stdout
    derived = run("ssh-keygen", "-y", "-f", ada.home / "auths/identities/main/current").stdout.decode()
    assert line.split()[:2] == derived.split()[:2]
