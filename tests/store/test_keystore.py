"""Identities on the disk: whole or not there, and for their owner's eyes only."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

import git_auths
from git_auths.core import opensshkey
from git_auths.errors import Error
from git_auths.store import keystore
from tests.realgit import run

AID = "E" + "-w_" * 14 + "A"
KEL = f'{{"v":"KERI10JSON00012b_","t":"icp","d":"{AID}","i":"{AID}","s":"0","kt":"1"}}-AAB'.encode()
KEY = opensshkey.generate()
CURRENT = opensshkey.serialize(KEY, None, "current")
NEXT = opensshkey.serialize(opensshkey.generate(), None, "next")
PACKAGE = Path(git_auths.__file__).parent.parent


@pytest.fixture
def home(clean_environment: Path) -> Path:
    return clean_environment / "auths"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_what_was_created_is_loaded(home: Path) -> None:
    for identity in (keystore.create("main", KEL, CURRENT, NEXT), keystore.load("main")):
        assert identity.alias == "main"
        assert identity.folder == str(home / "identities" / "main")
        assert identity.aid == AID
        assert identity.current_blob == KEY.public_blob
        assert keystore.read_kel(identity) == KEL
        assert keystore.read_current(identity) == CURRENT
        assert keystore.read_next(identity) == NEXT


def test_nobody_else_can_reach_what_was_created(home: Path) -> None:
    before = os.umask(0)
    try:
        keystore.create("main", KEL, CURRENT, NEXT)
    finally:
        os.umask(before)
    folder = home / "identities" / "main"
    assert mode(home / "identities") == mode(folder) == 0o700
    assert {path.name: mode(path) for path in folder.iterdir()} == dict.fromkeys(("kel.cesr", "current", "next"), 0o600)


def test_ssh_keygen_and_ssh_add_take_the_files_as_they_lie_there(home: Path) -> None:
    keystore.create("main", KEL, CURRENT, NEXT)
    shown = run("ssh-keygen", "-y", "-f", home / "identities/main/current").stdout
    assert shown.startswith(b"ssh-ed25519 ")
    run("ssh-agent", "ssh-add", home / "identities/main/current")


def test_every_identity_is_listed_and_nothing_else(home: Path) -> None:
    assert keystore.aliases() == []
    for alias in ("work", "main"):
        keystore.create(alias, KEL, CURRENT, NEXT)
    (home / "identities" / ".other.new").mkdir()
    assert keystore.aliases() == ["main", "work"]


def test_an_identity_is_never_replaced(home: Path) -> None:
    keystore.create("main", KEL, CURRENT, NEXT)
    with pytest.raises(Error, match="'main' already") as caught:
        keystore.create("main", KEL, NEXT, CURRENT)
    assert "--alias" in str(caught.value.hint)
    assert keystore.read_current(keystore.load("main")) == CURRENT


@pytest.mark.parametrize("alias", ["main", "work"])
def test_a_missing_identity_is_named_with_the_command_that_makes_it(alias: str) -> None:
    with pytest.raises(Error) as caught:
        keystore.load(alias)
    assert caught.value.message == f"no identity '{alias}' on this machine"
    assert caught.value.hint == {"main": "git auths init", "work": "git auths init --alias work"}[alias]


@pytest.mark.parametrize(
    "alias", ["", ".", "..", ".main", "-main", "../main", "a/b", "a\\b", "a b", "a\n", "ä", "٣", "a" * 65]
)
def test_an_alias_that_could_be_a_path_or_an_option_is_refused(alias: str, home: Path) -> None:
    for use in (lambda: keystore.load(alias), lambda: keystore.create(alias, KEL, CURRENT, NEXT)):
        with pytest.raises(Error, match="cannot be an alias"):
            use()
    assert not home.exists()


@pytest.mark.parametrize("alias", ["a", "A-1", "0.x_y-z", "a" * 64])
def test_a_plain_alias_is_taken(alias: str) -> None:
    keystore.create(alias, KEL, CURRENT, NEXT)
    assert keystore.load(alias).alias == alias


# Where the next key is elsewhere


def test_the_next_key_can_lie_elsewhere(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    identity = keystore.create("main", KEL, CURRENT, NEXT, "Stick ä")
    assert sorted(os.listdir(identity.folder)) == ["current", "kel.cesr", "next.path"]
    monkeypatch.chdir("/")
    assert keystore.next_file(keystore.load("main")) == str(tmp_path / "Stick ä")
    assert keystore.read_next(identity) == NEXT
    assert mode(tmp_path / "Stick ä") == 0o600


def test_a_file_in_the_place_of_the_next_key_stays(home: Path, tmp_path: Path) -> None:
    (tmp_path / "next").write_bytes(b"precious")
    with pytest.raises(Error, match="exists already"):
        keystore.create("main", KEL, CURRENT, NEXT, str(tmp_path / "next"))
    assert (tmp_path / "next").read_bytes() == b"precious"
    assert os.listdir(home / "identities") == []


def test_a_failure_takes_the_next_key_away_again(home: Path, tmp_path: Path) -> None:
    with pytest.raises(Error):
        keystore.create("main", b"no log", CURRENT, NEXT, str(tmp_path / "next"))
    assert os.listdir(tmp_path) == os.listdir(home / "identities") == []


def test_a_next_key_that_is_not_there_is_named(tmp_path: Path) -> None:
    identity = keystore.create("main", KEL, CURRENT, NEXT, str(tmp_path / "next"))
    (tmp_path / "next").unlink()
    with pytest.raises(Error, match=str(tmp_path / "next")):
        keystore.read_next(identity)


# Whole or not at all


@pytest.mark.parametrize(("kel", "current"), [(b"", CURRENT), (KEL, b"no key"), (KEL, b"")])
def test_what_could_not_be_loaded_is_not_created(kel: bytes, current: bytes, home: Path) -> None:
    with pytest.raises(Error):
        keystore.create("main", kel, current, NEXT)
    assert os.listdir(home / "identities") == []


def test_a_home_that_cannot_be_made_is_named(home: Path) -> None:
    home.write_bytes(b"a file")
    with pytest.raises(Error, match=f"cannot write {home}/identities: "):
        keystore.create("main", KEL, CURRENT, NEXT)


# Several keys, and what else is noted

MORE = [tuple(opensshkey.serialize(opensshkey.generate(), None, "more") for _ in range(2)) for _ in range(2)]


@pytest.mark.parametrize("outside", [False, True])
def test_each_key_has_a_slot(outside: bool, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    keystore.create("main", KEL, CURRENT, NEXT, str(stick) if outside else None, more=MORE)
    identity = keystore.load("main")
    assert keystore.read_currents(identity) == [CURRENT, MORE[0][0], MORE[1][0]]
    assert keystore.read_nexts(identity) == [NEXT, MORE[0][1], MORE[1][1]]
    assert (keystore.read_current(identity, 2), keystore.read_next(identity, 1)) == (MORE[1][0], MORE[0][1])
    assert sorted(os.listdir(tmp_path)) == (["stick", "stick.1", "stick.2"] if outside else [])


def test_what_is_noted_of_an_identity_is_read_again() -> None:
    noted: dict[str, object] = {"kind": "agent", "name": "ä", "expires_at": 1}
    identity = keystore.create("main", KEL, CURRENT, NEXT, metadata=noted)
    assert keystore.metadata(identity) == noted
    keystore.write_metadata(identity, {})
    assert keystore.metadata(identity) == {}
    assert keystore.metadata(keystore.create("other", KEL, CURRENT, NEXT)) == {}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"a":"' + b"a" * 65536 + b'"}', b"[" * 60000])
def test_damaged_notes_are_named(content: bytes) -> None:
    identity = keystore.create("main", KEL, CURRENT, NEXT)
    path = Path(identity.folder, "identity.json")
    path.write_bytes(content)
    with pytest.raises(Error, match=f"{path} is damaged"):
        keystore.metadata(identity)


def test_no_key_was_rotated_away_yet() -> None:
    assert keystore.read_previous(keystore.create("main", KEL, CURRENT, NEXT)) == []


# For one process at a time


def test_whoever_holds_an_identity_may_hold_it_again() -> None:
    keystore.create("main", KEL, CURRENT, NEXT)
    with keystore.held("main") as first, keystore.held("main") as second:
        assert first.aid == second.aid == AID
    with keystore.held("main"):
        pass


def test_an_identity_that_is_not_there_is_not_held(home: Path) -> None:
    with pytest.raises(Error, match="no identity 'main'"), keystore.held("main"):
        pass
    assert not home.exists()


def test_another_process_does_not_hold_it_meanwhile() -> None:
    keystore.create("main", KEL, CURRENT, NEXT)
    program = "from git_auths.store import keystore\nwith keystore.held('main'): pass"
    with keystore.held("main"):
        done = run(sys.executable, "-c", program, code=1, env={"PYTHONPATH": str(PACKAGE)})
        assert b"another git auths command is changing the identity 'main'" in done.stderr
    run(sys.executable, "-c", program, env={"PYTHONPATH": str(PACKAGE)})


def test_a_lock_that_is_a_link_is_not_followed(home: Path) -> None:
    folder = keystore.create("main", KEL, CURRENT, NEXT).folder
    os.symlink(home / "elsewhere", Path(folder, "lock"))
    with pytest.raises(Error, match="cannot write"), keystore.held("main"):
        pass
    assert not (home / "elsewhere").exists()


# What others could reach


@pytest.mark.parametrize("others", [0o040, 0o020, 0o004, 0o002, 0o001])
@pytest.mark.parametrize("name", ["", "current"])
def test_what_others_can_reach_is_refused_with_the_command_that_closes_it(
    name: str, others: int, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTHS_HOME", f"{home} it's")
    identity = keystore.create("main", KEL, CURRENT, NEXT)
    path = Path(identity.folder, name)
    path.chmod(mode(path) | others)
    with pytest.raises(Error) as caught:
        keystore.load("main")
    assert caught.value.message == f"others can reach {path}"
    run(*shlex.split(str(caught.value.hint)))
    assert keystore.load("main").aid == AID


def test_a_next_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    identity = keystore.create("main", KEL, CURRENT, NEXT, str(tmp_path / "next"))
    (tmp_path / "next").chmod(0o644)
    with pytest.raises(Error, match="others can reach"):
        keystore.read_next(identity)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("name", ["", "current"])
def test_what_another_user_owns_is_refused(name: str) -> None:
    identity = keystore.create("main", KEL, CURRENT, NEXT)
    os.chown(os.path.join(identity.folder, name), 65534, -1)
    with pytest.raises(Error, match="belongs to another user") as caught:
        keystore.load("main")
    run(*shlex.split(str(caught.value.hint)))
    assert keystore.load("main").aid == AID


# What is damaged


@pytest.mark.parametrize("name", ["current", "kel.cesr"])
def test_a_missing_file_is_named(name: str) -> None:
    path = Path(keystore.create("main", KEL, CURRENT, NEXT).folder, name)
    path.unlink()
    with pytest.raises(Error, match=f"{path}: No such file"):
        keystore.load("main")


@pytest.mark.parametrize("place", ["fifo", "folder"])
def test_a_key_that_is_no_file_is_refused_without_waiting(place: str) -> None:
    path = Path(keystore.create("main", KEL, CURRENT, NEXT).folder, "current")
    path.unlink()
    os.mkfifo(path, 0o600) if place == "fifo" else path.mkdir(0o700)
    with pytest.raises(Error, match="no regular file"):
        keystore.load("main")


def test_a_file_in_the_place_of_an_identity_is_named(home: Path) -> None:
    (home / "identities").mkdir(parents=True)
    (home / "identities" / "main").touch(0o600)
    with pytest.raises(Error, match="identities/main"):
        keystore.load("main")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("KERI10", "KERI11"), ("JSON0", "CBOR0"), ("00012b", "00012B"), ('"icp"', '"rot"'), ('"t":', '"T":'),
        (f'"d":"{AID}"', f'"d":"{AID[:-1]}B"'), ('"s":"0"', '"s":"1"'), ("{", " {"), ("E-w_", "D-w_"),
        ("-w_", "-w/"), ("_A", "_é"),
    ],
)  # fmt: skip
def test_a_log_that_begins_otherwise_is_refused(old: str, new: str) -> None:
    path = Path(keystore.create("main", KEL, CURRENT, NEXT).folder, "kel.cesr")
    changed = KEL.decode().replace(old, new)
    assert changed.encode() != KEL
    path.write_bytes(changed.encode())
    with pytest.raises(Error, match="inception event"):
        keystore.load("main")


def test_the_log_of_a_delegate_is_read() -> None:
    assert keystore.create("laptop", KEL.replace(b'"icp"', b'"dip"'), CURRENT, NEXT).aid == AID


# Where it is


@pytest.mark.parametrize("data_home", [None, "", "relative/data", "/data ä", "/data/"])
def test_the_default_home_is_the_one_of_platformdirs(data_home: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUTHS_HOME")
    if data_home is not None:
        monkeypatch.setenv("XDG_DATA_HOME", data_home)
    assert keystore.home() == platformdirs.user_data_dir("git-auths")


def test_an_empty_home_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTHS_HOME", "")
    assert keystore.home() == platformdirs.user_data_dir("git-auths")


def test_a_relative_home_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be another folder in every hook."""
    monkeypatch.setenv("AUTHS_HOME", "auths")
    with pytest.raises(Error, match="not an absolute path"):
        keystore.load("main")


SLOW = ("re", "json", "typing", "subprocess", "pathlib", "shutil", "dataclasses", "platformdirs", "cryptography")


def test_signing_imports_nothing_slow(home: Path) -> None:
    """With the key file; an agent adds `socket`, and with it `selectors` and `enum`."""
    keystore.create("main", KEL, CURRENT, NEXT)
    program = (
        "import sys\n"
        "from git_auths.store import keystore, passphrase, sshagent\n"
        "secrets = passphrase.take_secrets()\n"
        "identity = keystore.load('main')\n"
        "assert sshagent.sign(identity.current_blob, b'data') is None\n"
        "key = passphrase.unlock('main', keystore.read_current(identity), secrets)\n"
        "assert key.sign(b'data')\n"
        f"print([m for m in {(*SLOW, 'socket', 'enum', 'nacl.bindings')} if m in sys.modules])\n"
    )
    # Isolated from site-packages' start-up files, which may import anything.
    paths = [str(PACKAGE), *(p for p in sys.path if p.endswith("-packages"))]
    command = [sys.executable, "-S", "-c", f"import sys; sys.path += {paths}\n{program}"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stdout == b"[]\n"
