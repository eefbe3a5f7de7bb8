"""Files are there whole or not at all, whatever fails on the way."""

from __future__ import annotations

import errno
import os
import signal
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from git_auths.errors import Error
from git_auths.store import atomic
from git_auths.store.atomic import write_file


def test_a_file_is_written_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "Schlüssel mit Leerzeichen"
    write_file(path, b"one")
    write_file(str(path), b"two" * 100_000)
    assert path.read_bytes() == b"two" * 100_000
    assert os.listdir(tmp_path) == [path.name]


def test_a_name_without_a_folder_means_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_file("file", b"data")
    assert (tmp_path / "file").read_bytes() == b"data"


@pytest.mark.parametrize(
    ("mode", "umask", "wanted"),
    [(None, 0o022, 0o600), (0o600, 0o000, 0o600), (0o644, 0o027, 0o640), (0o755, 0o022, 0o755)],
)
def test_the_mode_is_the_one_asked_for_narrowed_by_the_umask(
    mode: int | None, umask: int, wanted: int, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"wide open")
    path.chmod(0o666)
    before = os.umask(umask)
    try:
        write_file(path, b"data") if mode is None else write_file(path, b"data", mode)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == wanted


def test_a_symlink_is_replaced_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "file").symlink_to("precious")
    write_file(tmp_path / "file", b"data")
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert not (tmp_path / "file").is_symlink()


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(atomic.os, "write", lambda descriptor, data: write(descriptor, bytes(data[:3])))
    write_file(tmp_path / "file", b"0123456789")
    assert (tmp_path / "file").read_bytes() == b"0123456789"


class FailsOnCall:
    """Stands in for a system call: fails as a full disk does at the `number`th call, else does its work."""

    def __init__(self, call: Any, number: int, error: BaseException) -> None:
        self.call, self.left, self.error = call, number, error

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.left -= 1
        if self.left == 0:
            raise self.error
        return self.call(*args, **kwargs)


@pytest.mark.parametrize(("name", "number"), [("open", 1), ("open", 2), ("write", 1), ("fsync", 1), ("rename", 1)])
def test_a_failing_step_leaves_the_old_file_and_nothing_else(
    name: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(atomic.os, name, FailsOnCall(getattr(os, name), number, full))
    with pytest.raises(Error) as caught:
        write_file(path, b"new")
    monkeypatch.undo()
    assert caught.value.message == f"cannot write {path}: No space left on device"
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("name", ["write", "fsync", "rename"])
def test_an_interrupt_leaves_no_temporary_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic.os, name, FailsOnCall(getattr(os, name), 1, KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / "file", b"new")
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_synced_at_all_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unsupported = OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    monkeypatch.setattr(atomic.os, "fsync", FailsOnCall(os.fsync, 2, unsupported))
    write_file(tmp_path / "file", b"data")
    assert (tmp_path / "file").read_bytes() == b"data"


def test_a_folder_whose_sync_fails_is_an_error_and_the_file_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = OSError(errno.EIO, os.strerror(errno.EIO))
    monkeypatch.setattr(atomic.os, "fsync", FailsOnCall(os.fsync, 2, broken))
    with pytest.raises(Error, match="Input/output error"):
        write_file(tmp_path / "file", b"data")
    assert (tmp_path / "file").read_bytes() == b"data"


def test_the_file_is_synced_before_it_is_renamed_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []
    fsync, rename = os.fsync, os.rename

    def record_sync(descriptor: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def record_rename(source: str, target: str) -> None:
        steps.append("rename")
        rename(source, target)

    monkeypatch.setattr(atomic.os, "fsync", record_sync)
    monkeypatch.setattr(atomic.os, "rename", record_rename)
    write_file(tmp_path / "file", b"data")
    assert steps == ["file", "rename", "folder"]


@pytest.mark.parametrize("place", ["missing/file", "plain/file", "folder"])
def test_a_place_that_takes_no_file_is_named(place: str, tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(Error) as caught:
        write_file(tmp_path / place, b"data")
    assert caught.value.message.startswith(f"cannot write {tmp_path / place}: ")
    assert sorted(os.listdir(tmp_path)) == ["folder", "plain"]


def test_a_read_only_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o555)
    monkeypatch.chdir(tmp_path)
    message = "nothing was raised"
    as_root = os.geteuid() == 0  # who may write everywhere
    if as_root:
        os.seteuid(65534)
    try:
        write_file("file", b"data")
    except Error as error:
        message = error.message
    finally:
        if as_root:
            os.seteuid(0)
    assert message == "cannot write file: Permission denied"
    assert os.listdir(tmp_path) == []


def test_an_interrupt_after_the_renaming_is_no_failure_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def renamed_and_interrupted(source: str, target: str) -> None:
        rename(source, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic.os, "rename", renamed_and_interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / "file", b"new")
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_files_that_are_being_written(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    came: list[bool] = []
    rename = os.rename
    main = threading.main_thread().ident  # a test runner has threads of its own that block nothing
    assert main is not None
    monkeypatch.setattr(atomic.os, "rename", lambda *names: (signal.pthread_kill(main, number), rename(*names)))
    before = signal.signal(number, lambda *_: came.append((tmp_path / "b").exists()))
    try:
        atomic.write_files([(str(tmp_path / "a"), b"1"), (str(tmp_path / "b"), b"2")])
    finally:
        signal.signal(number, before)
    assert came == [True]
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]
