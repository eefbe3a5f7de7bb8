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


def test_in_a_job_it_prints_the_path_of_the_throwaway_key(ada: Person) -> None:
    job = {"RUNNER_TEMP": str(ada.home)}
    ada.auths("init", "--profile", "ci", **job)
    path = ada.auths("key-id", **job).stdout
    assert path == ada.git("config", "user.signingKey").stdout == f"{ada.home}/git-auths/key\n"
    line = ada.auths("key-id", "--ssh", **job).stdout
    assert line.split()[:2] == run("ssh-keygen", "-y", "-f", path.strip()).stdout.decode().split()[:2]
    assert ada.auths("key-id", "--alias", "main", **job).stdout == "auths:main\n"


def test_the_environments_identity_comes_first(ada: Person) -> None:
    job = {"RUNNER_TEMP": str(ada.home)}
    ada.auths("init", "--profile", "ci", **job)
    key = (ada.home / "auths/identities/main/current").read_text()
    lasting = {"AUTHS_DID": ada.auths("whoami", "--alias", "main").stdout.strip(), "AUTHS_PRIVATE_KEY": key}
    assert ada.auths("key-id", **job, **lasting).stdout == "auths:environment\n"
