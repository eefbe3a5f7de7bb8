"""git auths unlock"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from git_auths.core import kelbuild, opensshkey, sshsig
from git_auths.core.opensshkey import ED25519, P256
from git_auths.core.verkey import from_ssh_blob
from git_auths.store import keystore
from tests.people import Person


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[str]:
    socket = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while not socket.exists():
        assert time.monotonic() < deadline
    yield str(socket)
    process.terminate()
    process.wait()


def listed(agent: str, form: str = "-l") -> list[str]:
    """What ssh-add lists: a line for each key."""
    command = ["ssh-add", form]
    done = subprocess.run(command, env={"SSH_AUTH_SOCK": agent}, capture_output=True, text=True, check=False)
    assert done.returncode == (1 if "no identities" in done.stdout else 0)
    return [] if done.returncode else done.stdout.splitlines()


def incept(
    person: Person, kinds: Sequence[str], passphrase: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Give `person` an identity `main` of one key of each of these kinds; their fingerprints."""
    pairs = [(opensshkey.generate(kind), opensshkey.generate(kind)) for kind in kinds]
    keys = [from_ssh_blob(current.public_blob) for current, _ in pairs]
    event = kelbuild.inception(keys, [from_ssh_blob(following.public_blob).commitment for _, following in pairs])
    signatures = [
        kelbuild.indexed_signature(key, pair[0].sign_raw(event), i, i)
        for i, (key, pair) in enumerate(zip(keys, pairs, strict=True))
    ]
    files = [(serialized(current, passphrase), serialized(following, passphrase)) for current, following in pairs]
    monkeypatch.setenv("AUTHS_HOME", person.environment["AUTHS_HOME"])
    keystore.create("main", kelbuild.with_signatures(event, signatures), *files[0], more=files[1:])
    return [sshsig.fingerprint(current.public_blob) for current, _ in pairs]


def serialized(key: opensshkey.PrivateKey, passphrase: bytes | None) -> bytes:
    return opensshkey.serialize(key, passphrase, "git-auths main")


def test_afterwards_commits_are_signed_without_the_passphrase(newcomer: Person, agent: str) -> None:
    newcomer.at = newcomer.home / "work"
    newcomer.git("init", "--quiet", newcomer.at, cwd=newcomer.home)
    newcomer.auths("init", AUTHS_PASSPHRASE="secret")
    newcomer.auths("policy", "init", AUTHS_PASSPHRASE="secret")
    assert "locked by a passphrase" in newcomer.git("commit", "--allow-empty", "-m", "x", code=128).stderr
    newcomer.auths("unlock", "-t", "30m", AUTHS_PASSPHRASE="secret", SSH_AUTH_SOCK=agent)
    newcomer.git("commit", "--quiet", "--allow-empty", "-m", "x", SSH_AUTH_SOCK=agent)
    assert newcomer.ask("verify")["ok"]


def test_only_the_current_key_is_loaded(ada: Person, agent: str) -> None:
    ada.auths("unlock", SSH_AUTH_SOCK=agent)
    own = ada.auths("key-id", "--ssh").stdout.split()[:2]
    assert [line.split()[:2] for line in listed(agent, "-L")] == [own]


@pytest.mark.parametrize("kinds", [[P256], [ED25519, P256, ED25519]], ids=["P-256", "three keys"])
def test_every_current_key_of_either_kind_is_loaded(
    kinds: list[str], newcomer: Person, agent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fingerprints = incept(newcomer, kinds, b"secret", monkeypatch)
    newcomer.auths("unlock", "-t", "8h", AUTHS_PASSPHRASE="secret", SSH_AUTH_SOCK=agent)
    assert [line.split(" ", 2)[1] for line in listed(agent)] == fingerprints
    shown = {P256: "(ECDSA)", ED25519: "(ED25519)"}
    assert [line.rsplit(" ", 1)[1] for line in listed(agent)] == [shown[kind] for kind in kinds]


def test_a_wrong_passphrase_loads_no_key_at_all(newcomer: Person, agent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    incept(newcomer, [ED25519, ED25519], b"secret", monkeypatch)
    second = Path(newcomer.environment["AUTHS_HOME"], "identities/main/current.1")
    second.write_bytes(serialized(opensshkey.generate(), b"another"))
    newcomer.auths("unlock", AUTHS_PASSPHRASE="secret", SSH_AUTH_SOCK=agent, code=128)
    assert listed(agent) == []


@pytest.mark.parametrize("kind", [ED25519, P256])
def test_with_c_the_agent_asks_at_each_use(
    kind: str, newcomer: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent's SSH_ASKPASS says no: the key is there, and nothing is signed."""
    ask = tmp_path / "ask"
    ask.write_text(f"#!/bin/sh\necho asked >> {tmp_path}/asked\nexit 1\n")
    ask.chmod(0o700)
    environment = {**newcomer.environment, "SSH_ASKPASS": str(ask), "DISPLAY": ":0", "SSH_ASKPASS_REQUIRE": "force"}
    command = ["ssh-agent", "-D", "-a", str(tmp_path / "asking")]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it prints its variables once it listens
        incept(newcomer, [kind], None, monkeypatch)
        newcomer.auths("unlock", "-c", SSH_AUTH_SOCK=str(tmp_path / "asking"))
        (tmp_path / "public").write_text(listed(str(tmp_path / "asking"), "-L")[0] + "\n")
        (tmp_path / "file").touch()
        signing = ["ssh-keygen", "-Y", "sign", "-n", "git", "-f", str(tmp_path / "public"), str(tmp_path / "file")]
        newcomer_with_agent = {**newcomer.environment, "SSH_AUTH_SOCK": str(tmp_path / "asking")}
        assert subprocess.run(signing, env=newcomer_with_agent, capture_output=True, check=False).returncode != 0
        process.terminate()
    assert (tmp_path / "asked").read_text() == "asked\n"


def test_without_an_agent_it_says_how_to_start_one(ada: Person) -> None:
    assert 'hint: eval "$(ssh-agent)"' in ada.auths("unlock", code=128).stderr


@pytest.mark.parametrize("time", ["soon", "0h", "-1h", "49711d"])
def test_a_time_that_is_none_is_wrong_usage(time: str, ada: Person, agent: str) -> None:
    assert "30m, 8h" in ada.auths("unlock", f"-t={time}", code=129, SSH_AUTH_SOCK=agent).stderr
