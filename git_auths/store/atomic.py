"""Files that are there whole or not at all, also after a crash or a loss of power."""

from __future__ import annotations

import contextlib
import os
from errno import EINVAL

from git_auths.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SYNCING_AT_ONCE = 8


def write_file(path: str | os.PathLike[str], data: bytes, mode: int = 0o600) -> None:
    """Put `data` at `path`, replacing what is there; `mode` is narrowed by the umask, as git's files are.

    Written to a new file beside it, synced, renamed over it, and the folder synced. Where that fails,
    errors.Error names the path, and the old file or the new one is there, whole, and nothing else.
    """
    target = os.fspath(path)
    folder = os.path.dirname(target) or "."
    try:
        # Opened first, so that a folder which cannot be synced is found out before anything is written.
        folder_descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            temporary = os.path.join(folder, f".auths-{os.urandom(8).hex()}.tmp")
            _write_new(temporary, data, mode)
            _rename(temporary, target)
            sync_folder(folder_descriptor)
        finally:
            os.close(folder_descriptor)
    except OSError as error:
        raise Error(f"cannot write {target}: {error.strerror}") from None


def write_files(contents: Sequence[tuple[str, bytes]], mode: int = 0o600) -> None:
    """The same for many files: all are written and synced before the first is renamed. Where writing fails none of them
    is there; where a renaming does, errors.Error names the first file that is not. A signal to end waits for it."""
    with _undisturbed():
        _write_all(contents, mode)


def _write_all(contents: Sequence[tuple[str, bytes]], mode: int) -> None:
    from concurrent.futures import ThreadPoolExecutor

    targets = [target for target, _ in contents]
    temporaries = [os.path.join(os.path.dirname(target), f".auths-{os.urandom(8).hex()}.tmp") for target in targets]
    target = targets[0] if targets else ""
    try:
        with ThreadPoolExecutor(SYNCING_AT_ONCE) as pool:  # a thousand syncs take a second one by one, and a fifth so
            written = [pool.submit(_write_new, temporary, data, mode)
                       for temporary, (_, data) in zip(temporaries, contents, strict=True)]  # fmt: skip
        for target, done in zip(targets, written, strict=True):  # noqa: B007 (the error names it)
            done.result()
        for target in targets:
            _rename(temporaries[0], target)
            del temporaries[0]
        for folder in {os.path.dirname(path) or "." for path in targets}:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                sync_folder(descriptor)
            finally:
                os.close(descriptor)
    except OSError as error:
        raise Error(f"cannot write {target}: {error.strerror}") from None
    finally:
        for temporary in temporaries:
            _unlink(temporary)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """SIGINT and SIGTERM come when this ends: until then there are files that they would leave behind."""
    import signal  # who writes one file does without

    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def sync_folder(descriptor: int) -> None:
    """Make what was renamed into the open folder last. Raises OSError."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != EINVAL:  # some network file systems know no sync of folders
            raise


def _write_new(path: str, data: bytes, mode: int) -> None:
    """Create the file, whole and synced, or leave none."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        _unlink(path)
        raise


def _rename(temporary: str, target: str) -> None:
    try:
        os.rename(temporary, target)
    except BaseException:
        _unlink(temporary)
        raise


def _unlink(path: str) -> None:
    """What failed is told; that this fails as well says nothing new: an interrupt may come after a renaming."""
    with contextlib.suppress(OSError):
        os.unlink(path)
