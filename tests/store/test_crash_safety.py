"""Every change of an identity, killed or out of space at each call that changes the disk: the next command goes on."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from errno import EIO, ENOSPC
from pathlib import Path
from typing import Any

import pytest

from git_auths.core import kelbuild, opensshkey
from git_auths.core.kel import Kel
from git_auths.core.kelstream import SealSource, messages
from git_auths.core.verkey import from_ssh_blob
from git_auths.errors import Error
from git_auths.store import keyevents, keyjournal, keystore
from git_auths.store.secrets import Secrets
from tests.kels import GrowingLog
from tests.realgit import run

CALLS = ("write", "rename", "fsync", "mkdir", "unlink", "rmdir")
KILLED, REFUSED, CRASHED = 9, 3, 7
OWNER = GrowingLog()
ALIAS = "main"
SECRETS = Secrets()

Action = Callable[[], object]
Stop = Callable[[str, int], bool]


def kill(call: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if name == "write":
        call(args[0], bytes(args[1])[: len(args[1]) // 2])
    os._exit(KILLED)


def no_space(call: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if name == "write":
        call(args[0], bytes(args[1])[: len(args[1]) // 2])
    raise OSError(ENOSPC if name in ("write", "mkdir") else EIO, "No space left on device")


def in_child(action: Action, stop: Stop, happens: Callable[..., Any]) -> tuple[int, int]:
    """(exit code, calls that change the disk) of a child process that runs `action`, where `happens` takes the place of
    each call, by name and number, that `stop` picks."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        code, counted, real_write = CRASHED, 0, os.write

        def wrapped(name: str) -> Callable[..., Any]:
            call = getattr(os, name)

            def counting(*args: Any, **kwargs: Any) -> Any:
                nonlocal counted
                counted += 1
                return happens(call, name, args, kwargs) if stop(name, counted) else call(*args, **kwargs)

            return counting

        try:
            for name in CALLS:
                setattr(os, name, wrapped(name))
            action()
            code = 0
        except Error as error:
            code = CRASHED if "\n" in error.message else REFUSED
        except BaseException:
            traceback.print_exc()
        real_write(write_end, b"%d" % counted)
        os._exit(code)
    os.close(write_end)
    counted = os.read(read_end, 20)
    os.close(read_end)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), int(counted or 0)


def is_decided() -> bool:
    """Is there a rotation that whoever comes next will finish?"""
    return keystore.is_rotating(os.path.join(keystore.home(), "identities", ALIAS))


def never(name: str, number: int) -> bool:
    return False


class Scene:
    """A home as it is before `action`, of which each run gets a copy, with a stick beside it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.before = folder / "now", folder / "before"
        self.folder.mkdir()
        self.saids: dict[tuple[str, int], str] = {}
        monkeypatch.setenv("AUTHS_HOME", str(self.folder / "auths"))

    @property
    def stick(self) -> str:
        return str(self.folder / "stick")

    def keep(self) -> None:
        shutil.copytree(self.folder, self.before)

    def restore(self) -> None:
        shutil.rmtree(self.folder)
        shutil.copytree(self.before, self.folder)
        self.saids.clear()

    def note_events(self) -> None:
        """Whatever was decided, wherever it lies: one number is one event."""
        for file in self.folder.rglob("*"):
            if file.name in ("kel.cesr", "event") and not any(part.startswith(".") for part in file.parts):
                for message in messages(file.read_bytes()):
                    body = message.body
                    assert self.saids.setdefault((body.aid, body.sn), body.said) == body.said, "a fork"

    def outside(self) -> list[str]:
        return sorted(name for name in os.listdir(self.folder) if name != "auths")


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # a process that dies leaves what it wrote to the system
    return Scene(tmp_path, monkeypatch)


def require_sound(scene: Scene) -> Kel:
    """All that the next command needs is there, and fits together."""
    identity = keystore.load(ALIAS)
    scene.note_events()
    log = keyevents.own_log(identity)
    currents = [opensshkey.unencrypted_private(pem) for pem in keystore.read_currents(identity)]
    nexts = [opensshkey.unencrypted_private(pem) for pem in keystore.read_nexts(identity)]
    assert [from_ssh_blob(key.public_blob) for key in currents if key] == list(log.state.keys)
    assert [from_ssh_blob(key.public_blob).commitment for key in nexts if key] == list(log.state.next)
    before = log.establishments()[:-1]
    previous = {sn: [] for sn, _ in keystore.read_previous(identity)}
    for sn, pem in reversed(keystore.read_previous(identity)):
        previous[sn].append(from_ssh_blob(opensshkey.public_blob(pem)))
    assert {event.sn: set(event.state.keys) for event in before} == {sn: set(keys) for sn, keys in previous.items()}
    return log


def require_clean(scene: Scene) -> None:
    """Nothing is left over, inside or outside."""
    with keystore.held(ALIAS) as identity:
        names = set(os.listdir(identity.folder))
    assert not {name for name in names if name.startswith(".") or name in ("rotating", "pending")}
    assert not [name for name in scene.outside() if name.endswith((".new", ".tmp"))]


def incept(**options: Any) -> Callable[[], object]:
    return lambda: keyevents.incept(ALIAS, SECRETS, unencrypted=True, **options)


def rotate(**options: Any) -> object:
    return keyevents.rotate(ALIAS, SECRETS, **options)


def seal() -> object:
    return keyevents.seal(ALIAS, [{"auths": "revoke/1", "i": OWNER.kel.aid}], SECRETS)


MANY = {"keys": 2, "threshold": "2/2"}


@pytest.fixture(params=["one key", "many keys, the next ones outside"])
def kind(request: pytest.FixtureRequest, scene: Scene) -> dict[str, Any]:
    return {} if request.param == "one key" else {**MANY, "next_path": scene.stick}


# Killed


def deaths(scene: Scene, action: Action) -> Iterator[int]:
    """Kill `action` at each of its calls, each time from the same beginning."""
    scene.keep()
    code, calls = in_child(action, never, kill)
    assert code == 0
    for number in range(1, calls + 1):
        scene.restore()
        scene.note_events()
        code, _ = in_child(action, lambda name, counted, number=number: counted == number, kill)
        assert code == KILLED
        yield number
    assert calls > 3


def test_a_killed_init_leaves_all_or_nothing_and_the_next_one_goes_on(scene: Scene, kind: dict[str, Any]) -> None:
    for _ in deaths(scene, incept(**kind)):
        scene.note_events()
        if ALIAS not in keystore.aliases():
            incept(**kind)()
        assert require_sound(scene).sn == 0
        require_clean(scene)
        rotate()
        assert require_sound(scene).sn == 1


def test_a_killed_rotation_leaves_the_old_state_or_the_new_one(scene: Scene, kind: dict[str, Any]) -> None:
    incept(**kind)()
    rotate()
    seen = set()
    for _ in deaths(scene, rotate):
        scene.note_events()
        was_decided = is_decided()
        log = require_sound(scene)
        assert log.sn in ((2,) if was_decided else (1, 2))
        seen.add((was_decided, log.sn))
        require_clean(scene)
        rotate()
        assert require_sound(scene).sn == log.sn + 1
        require_clean(scene)
    assert seen == {(False, 1), (True, 2), (False, 2)}


@pytest.mark.parametrize("before", ["inside", "outside"])
def test_a_killed_rotation_that_moves_the_next_keys_leaves_them_in_one_place(scene: Scene, before: str) -> None:
    incept(**MANY, next_path=scene.stick if before == "outside" else None)()
    safe = str(scene.folder / "safe")
    for _ in deaths(scene, lambda: rotate(next_path=safe)):
        log = require_sound(scene)
        if log.sn == 0:
            rotate(next_path=safe)
        require_sound(scene)
        require_clean(scene)
        assert scene.outside() == ["safe", "safe.1"]
        inside = os.listdir(keystore.load(ALIAS).folder)
        assert [name for name in inside if name.startswith("next")] == ["next.path"]


def test_a_key_that_came_to_lie_where_the_old_ones_were_is_left_alone(scene: Scene) -> None:
    incept(next_path=scene.stick)()
    safe, seen = str(scene.folder / "safe"), set()
    for _ in deaths(scene, lambda: rotate(next_path=safe)):
        if not is_decided():
            continue
        name = "stick.1" if os.path.exists(scene.stick) else "stick"
        keyevents.incept("other", SECRETS, unencrypted=True, next_path=str(scene.folder / name))
        kept = keystore.read_next(keystore.load("other"))
        assert require_sound(scene).sn == 1
        assert keystore.read_next(keystore.load("other")) == kept
        assert scene.outside() == ["safe", name]
        seen.add(name)
    assert seen == {"stick", "stick.1"}


def test_a_key_that_came_to_lie_where_an_undecided_one_would_is_left_alone(scene: Scene) -> None:
    incept(next_path=scene.stick)()
    other = Path(scene.stick + ".new")
    found = 0
    for _ in deaths(scene, rotate):
        if is_decided() or other.exists():
            continue
        theirs = opensshkey.serialize(opensshkey.generate(opensshkey.ED25519), None, "another")
        other.write_bytes(theirs)
        other.chmod(0o600)
        with keystore.held(ALIAS):
            assert other.read_bytes() == theirs
        found += 1
    assert found


def test_a_killed_seal_leaves_the_event_or_none(scene: Scene) -> None:
    incept()()
    for _ in deaths(scene, seal):
        scene.note_events()
        log = require_sound(scene)
        if log.sn == 0:
            seal()
        require_clean(scene)
        assert require_sound(scene).sn == 1
        rotate()
        assert require_sound(scene).sn == 2


@pytest.mark.parametrize("outside", [False, True])
def test_the_request_of_a_delegate_that_was_killed_is_made_once(scene: Scene, outside: bool) -> None:
    delegate(next_path=scene.stick if outside else None)
    for _ in deaths(scene, rotate):
        scene.note_events()
        assert require_sound(scene).sn == 0
        first, again = rotate(), rotate()
        assert first == again
        scene.note_events()
        require_sound(scene)


@pytest.mark.parametrize("outside", [False, True])
def test_a_delegate_killed_while_it_switches_keys_has_the_old_or_the_new_ones(scene: Scene, outside: bool) -> None:
    delegate(next_path=scene.stick if outside else None)
    request = rotate()
    assert isinstance(request, keyevents.Request)
    sealed = keystore.read_kel(keystore.load(ALIAS)) + with_source(request.message)
    for _ in deaths(scene, lambda: keyevents.finish(ALIAS, sealed)):
        scene.note_events()
        require_sound(scene)
        keyevents.finish(ALIAS, sealed)
        assert require_sound(scene).sn == 1
        require_clean(scene)
        assert isinstance(rotate(), keyevents.Request)


def delegate(**options: Any) -> None:
    """A delegated identity whose inception its owner has sealed."""
    incept(delegator=OWNER.kel.aid, **options)()
    keyevents.finish(ALIAS, with_source(keystore.read_kel(keystore.load(ALIAS))))


def with_source(message: bytes) -> bytes:
    [found] = messages(message)
    source = SealSource(found.body.sn + 1, OWNER.kel.said)
    return kelbuild.with_signatures(found.raw, found.attachments.signatures, source=source)


def test_openssh_reads_what_a_recovery_put_in_place(scene: Scene) -> None:
    incept()()
    scene.keep()
    in_child(rotate, lambda name, counted: is_decided(), kill)
    assert is_decided()
    identity = keystore.load(ALIAS)
    for name in ("current", "next", "previous/0"):
        assert run("ssh-keygen", "-y", "-f", Path(identity.folder, name)).stdout.startswith(b"ssh-ed25519 ")


def test_a_stick_that_was_pulled_out_is_named_and_nothing_is_lost(scene: Scene) -> None:
    incept(next_path=scene.stick)()
    in_child(rotate, lambda name, counted: is_decided(), kill)
    os.rename(scene.stick + ".new", scene.folder / "pulled.new")
    os.rename(scene.stick, scene.folder / "pulled")
    assert keyevents.own_log(keystore.load(ALIAS)).sn == 1  # who signs needs no stick
    assert keyevents.seal(ALIAS, [], SECRETS).sn == 2
    with pytest.raises(Error, match=f"not at {scene.stick}") as caught:
        rotate()
    assert "plug in" in str(caught.value.hint)
    os.rename(scene.folder / "pulled.new", scene.stick + ".new")
    os.rename(scene.folder / "pulled", scene.stick)
    rotate()
    assert require_sound(scene).sn == 3
    require_clean(scene)


# Out of space


def failures(scene: Scene, action: Action, *, lasting: bool) -> Iterator[tuple[int, int]]:
    """(number, exit code) of `action` where the disk is full from each of its calls on, or for that one alone."""
    scene.keep()
    _, calls = in_child(action, never, no_space)
    for number in range(1, calls + 1):
        scene.restore()

        def stop(name: str, counted: int, number: int = number) -> bool:
            return (counted >= number and name in ("write", "mkdir")) if lasting else counted == number

        code, _ = in_child(action, stop, no_space)
        yield number, code


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("action", [seal, rotate], ids=["seal", "rotate"])
def test_a_full_disk_is_an_error_that_loses_nothing(scene: Scene, action: Action, lasting: bool) -> None:
    incept(next_path=scene.stick)()
    codes = set()
    for number, code in failures(scene, action, lasting=lasting):
        assert code in (0, REFUSED), number
        codes.add(code)
        log = require_sound(scene)
        assert code == REFUSED or log.sn == 1
        require_clean(scene)
        rotate()
        assert require_sound(scene).sn == log.sn + 1
    assert REFUSED in codes


def test_a_full_disk_leaves_no_half_of_a_new_identity(scene: Scene) -> None:
    for _, code in failures(scene, incept(next_path=scene.stick), lasting=True):
        scene.note_events()
        if ALIAS not in keystore.aliases():
            assert code == REFUSED
            assert scene.outside() == []
            incept(next_path=scene.stick)()
        assert require_sound(scene).sn == 0


def test_a_full_disk_keeps_what_a_delegate_has_outside(scene: Scene) -> None:
    delegate(next_path=scene.stick)
    request = rotate()
    assert isinstance(request, keyevents.Request)
    sealed = keystore.read_kel(keystore.load(ALIAS)) + with_source(request.message)
    for _, code in failures(scene, lambda: keyevents.finish(ALIAS, sealed), lasting=False):
        assert code in (0, REFUSED)
        require_sound(scene)
        assert keyevents.finish(ALIAS, sealed).sn == 1
        require_sound(scene)


# Two at once, and no right to write


def test_what_another_process_is_about_to_finish_was_not_interrupted(scene: Scene) -> None:
    incept()()
    read_end, write_end = os.pipe()
    with keystore.held(ALIAS) as identity:
        journal = Path(identity.folder, "rotating")
        journal.mkdir()  # as if this process had decided a rotation just now
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                keyjournal._held.clear()
                os.dup2(write_end, 3)
                os.closerange(4, 100)  # the lock among them: a child shares its parent's
                keyjournal.sleep = lambda seconds: (os.write(3, b"x"), time.sleep(seconds))
                os._exit(int(keystore.complete(ALIAS)))
            os._exit(CRASHED)
        os.read(read_end, 1)
        journal.rmdir()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_two_rotations_at_once_are_one_or_one_after_the_other(scene: Scene) -> None:
    incept()()
    program = [os.path.join(os.path.dirname(sys.executable), "git-auths"), "rotate"]
    running = [
        subprocess.Popen(program, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=scene.folder) for _ in range(4)
    ]
    said = [(process.communicate()[1].decode(), process.returncode) for process in running]
    for text, code in said:
        assert code in (0, 128)
        errors = [line for line in text.splitlines() if line.startswith("error: ")]
        assert errors == ([] if code == 0 else ["error: another git auths command is changing the identity 'main'"])
    assert require_sound(scene).sn == sum(code == 0 for _, code in said)
    require_clean(scene)


def test_whoever_comes_second_is_told_so_and_changes_nothing(scene: Scene) -> None:
    incept()()
    with keystore.held(ALIAS):
        for action in (rotate, seal):
            code, calls = in_child(lambda action=action: (keyjournal._held.clear(), action()), never, kill)
            assert (code, calls) == (REFUSED, 0)
        assert keystore.load(ALIAS).alias == ALIAS  # whoever only signs goes on
    assert require_sound(scene).sn == 0


def test_a_folder_that_cannot_be_written_is_named(scene: Scene) -> None:
    incept()()
    folder = keystore.load(ALIAS).folder
    Path(folder, "lock").mkdir()
    for action in (rotate, seal):
        with pytest.raises(Error, match=f"cannot write {folder}: "):
            action()
    Path(folder, "lock").rmdir()
    assert require_sound(scene).sn == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="modes do not bind root")
def test_a_read_only_folder_is_named(scene: Scene) -> None:
    incept()()
    folder = keystore.load(ALIAS).folder
    os.chmod(folder, 0o500)
    try:
        with pytest.raises(Error, match=f"cannot write {folder}: Permission denied"):
            rotate()
    finally:
        os.chmod(folder, 0o700)
    assert require_sound(scene).sn == 0
