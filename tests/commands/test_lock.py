"""git auths lock"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from git_auths.core import opensshkey, sshsig
from git_auths.core.opensshkey import ED25519, P256
from git_auths.store import agentserver
from tests.commands.test_unlock import agent, incept, listed, serialized
from tests.people import Person

__all__ = ["agent"]  # the fixture
STRANGERS = opensshkey.generate()


@pytest.fixture
def with_strangers_key(agent: str, tmp_path: Path) -> str:
    """The agent, with a key in it that is no identity's."""
    path = tmp_path / "strangers"
    path.write_bytes(opensshkey.serialize(STRANGERS, None, "git-auths main"))  # a comment proves nothing
    path.chmod(0o600)
    subprocess.run(["ssh-add", "-q", path], env={"SSH_AUTH_SOCK": agent}, check=True)
    return agent


def fingerprints(agent: str) -> list[str]:
    return [line.split()[1] for line in listed(agent)]


STRANGER = sshsig.fingerprint(STRANGERS.public_blob)


@pytest.mark.parametrize("kinds", [[ED25519], [P256], [ED25519, P256]], ids=["Ed25519", "P-256", "two keys"])
def test_the_identitys_keys_go_and_all_others_stay(
    kinds: list[str], newcomer: Person, with_strangers_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    incept(newcomer, kinds, None, monkeypatch)
    newcomer.auths("unlock", SSH_AUTH_SOCK=with_strangers_key)
    assert len(fingerprints(with_strangers_key)) == 1 + len(kinds)
    said = newcomer.auths("lock", SSH_AUTH_SOCK=with_strangers_key).stderr
    number = "the key" if len(kinds) == 1 else "2 keys"
    assert said == f"ssh-agent forgot {number} of 'main'\n"
    assert fingerprints(with_strangers_key) == [STRANGER]


def test_what_is_not_there_need_not_go(ada: Person, with_strangers_key: str) -> None:
    assert ada.auths("lock", SSH_AUTH_SOCK=with_strangers_key).stderr == "ssh-agent held no key of 'main'\n"
    assert fingerprints(with_strangers_key) == [STRANGER]


def test_a_key_that_was_rotated_away_goes_too(ada: Person, with_strangers_key: str) -> None:
    ada.auths("unlock", SSH_AUTH_SOCK=with_strangers_key)
    folder = Path(ada.environment["AUTHS_HOME"], "identities/main")
    (folder / "previous").mkdir(mode=0o700)
    (folder / "current").rename(folder / "previous/0")
    (folder / "current").write_bytes(serialized(opensshkey.generate(), None))
    (folder / "current").chmod(0o600)
    ada.auths("lock", SSH_AUTH_SOCK=with_strangers_key)
    assert fingerprints(with_strangers_key) == [STRANGER]


@pytest.fixture
def two_identities(ada: Person, with_strangers_key: str) -> Person:
    """Ada, with the keys of `main` and `work` in the agent."""
    ada.auths("init", "--no-passphrase", "--alias", "work", cwd=ada.home)
    for alias in ("main", "work"):
        ada.auths("unlock", "--alias", alias, SSH_AUTH_SOCK=with_strangers_key)
    assert len(fingerprints(with_strangers_key)) == 3
    return ada


@pytest.mark.parametrize(("arguments", "left"), [((), 2), (("--alias", "work"), 2), (("--all",), 1)])
def test_one_identitys_keys_go_or_those_of_all(
    arguments: tuple[str, ...], left: int, two_identities: Person, with_strangers_key: str
) -> None:
    two_identities.auths("lock", *arguments, SSH_AUTH_SOCK=with_strangers_key)
    assert len(fingerprints(with_strangers_key)) == left
    assert STRANGER in fingerprints(with_strangers_key)


def test_a_damaged_identity_keeps_no_others_key_in_and_is_named(
    two_identities: Person, with_strangers_key: str
) -> None:
    folder = Path(two_identities.environment["AUTHS_HOME"], "identities")
    (folder / "another").mkdir(mode=0o700)
    said = two_identities.auths("lock", "--all", SSH_AUTH_SOCK=with_strangers_key, code=128).stderr
    assert "identities/another" in said
    assert fingerprints(with_strangers_key) == [STRANGER]


def test_an_agent_that_keeps_the_key_is_named(ada: Person) -> None:
    """Such as the private one of `git auths agent run`."""
    own = opensshkey.public_blob(Path(ada.environment["AUTHS_HOME"], "identities/main/current").read_bytes())
    with agentserver.serving(own, lambda data: None) as path:
        said = ada.auths("lock", SSH_AUTH_SOCK=path, code=128).stderr
    assert "ssh-agent kept 1 of the keys of 'main'" in said


def test_without_an_agent_it_says_so(ada: Person) -> None:
    assert "there is no ssh-agent here" in ada.auths("lock", code=128).stderr


def test_one_alias_and_all_is_wrong_usage(ada: Person, agent: str) -> None:
    assert "exclude each other" in ada.auths("lock", "--all", "--alias", "main", code=129, SSH_AUTH_SOCK=agent).stderr
