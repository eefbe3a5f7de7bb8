"""Artifacts on disk: which files somebody means, their SHA-256, and the bundles beside them.

A file is hashed as a stream, and must be the same file, unchanged, when that is done. A symbolic link is not followed:
what it points to could be another file by the time that somebody looks at the bundle.
"""

from __future__ import annotations

import glob
import os
import shlex
import stat
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from git_auths.core import attested
from git_auths.core.dsse import MAX_ENVELOPE_BYTES
from git_auths.core.sha2 import sha256
from git_auths.errors import Error, Refusal, UsageError
from git_auths.store import atomic

BUNDLE_ENDING = ".auths.json"
CHUNK_BYTES = 1024 * 1024
MAX_BUNDLE_BYTES = 4 * 1024 * 1024
MAX_FILES = 100_000
MAX_NAME_CHARS = 512
_SUBJECT_FORM = "NAME@sha256:<64 hex digits>"


class Hash(Protocol):
    def update(self, data: memoryview, /) -> None: ...


class Artifact(NamedTuple):
    """Something with a SHA-256 (hex) and a name; `path` is None for what is no file."""

    name: str
    sha256: str
    path: str | None = None


def expand(patterns: Iterable[str]) -> list[str]:
    """The files that these paths and globs name, each once, in order; bundles are left out of what a glob names."""
    found: dict[str, None] = {}
    for pattern in patterns:
        if os.path.lexists(pattern) or not glob.has_magic(pattern):
            found[pattern] = None
            continue
        matches = [path for path in sorted(glob.glob(pattern, recursive=True))
                   if not path.endswith(BUNDLE_ENDING) and not os.path.isdir(path)]  # fmt: skip
        if not matches:
            raise Error(f"no file matches {pattern!r}", f"ls -d {pattern}")
        found.update(dict.fromkeys(matches))
        if len(found) > MAX_FILES:
            raise Error(f"more than {MAX_FILES} files", "sign them in several runs")
    return list(found)


def read(path: str, hashed: Callable[[int], None] = lambda number: None) -> Artifact:
    """The artifact at `path`; `hashed` is told of each further number of bytes. Raises errors.Error, naming what it
    is where it is no plain file, and for a file that changes meanwhile."""
    return Artifact(subject_name(path), digest(path, hashed), path)


def subject_name(path: str) -> str:
    """The name by which a statement speaks of a file: its path as given, or its last part where that is absolute."""
    name = os.path.basename(path) if os.path.isabs(path) else os.path.normpath(path)
    if not name.isprintable() or len(name) > MAX_NAME_CHARS:
        raise Error(f"{path!r} cannot be named in a statement: it is not printable, or longer than {MAX_NAME_CHARS} "
                    "characters", "rename the file")  # fmt: skip
    return name


def digest(path: str, hashed: Callable[[int], None] = lambda number: None) -> str:
    """The SHA-256 of a file, in hex."""
    return digests(path, ("sha256",), hashed)["sha256"].hex()


def digests(path: str, names: Sequence[str], hashed: Callable[[int], None] = lambda number: None) -> dict[str, bytes]:
    """The digests of a file by these names of hashlib's, from one reading."""
    import hashlib  # OpenSSL's: for gigabytes it is twice as fast as what is quicker to import

    states = {name: hashlib.new(name) for name in names}
    _feed(path, list(states.values()), hashed)
    return {name: state.digest() for name, state in states.items()}


def _feed(path: str, states: Sequence[Hash], hashed: Callable[[int], None]) -> None:
    """Hand the bytes of a plain file to each of `states`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if os.path.islink(path):
            raise Error(f"{path} is a symbolic link", f"name the file: readlink -f {shlex.quote(path)}") from None
        raise Error(f"cannot read {path}: {error.strerror}") from None
    try:
        before = os.fstat(descriptor)
        if stat.S_ISDIR(before.st_mode):
            raise Error(f"{path} is a folder", f"name its files: {shlex.quote(path.rstrip('/') + '/*')}")
        if not stat.S_ISREG(before.st_mode):
            raise Error(f"{path} is no plain file")
        buffer = memoryview(bytearray(CHUNK_BYTES))
        while count := os.readv(descriptor, [buffer]):
            for state in states:
                state.update(buffer[:count])
            hashed(count)
        if _identity(before) != _identity(os.fstat(descriptor)) or _identity(before) != _identity(os.lstat(path)):
            raise Error(f"{path} changed while it was hashed", "run it again once the file is finished")
    except OSError as error:
        raise Error(f"cannot read {path}: {error.strerror}") from None
    finally:
        os.close(descriptor)


def _identity(state: os.stat_result) -> tuple[int, ...]:
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def subject(text: str) -> Artifact:
    """What `NAME@sha256:...` names: a container image, or whatever else is no file here."""
    name, _, found = text.rpartition("@sha256:")
    if not name or len(found) != 64 or found.strip("0123456789abcdef"):
        raise UsageError(f"{text!r} is not {_SUBJECT_FORM}", "--subject image@sha256:DIGEST, as the registry tells it")
    if not name.isprintable() or len(name) > MAX_NAME_CHARS:
        raise UsageError(f"the name in {text!r} is not printable, or longer than {MAX_NAME_CHARS} characters",
                         f"--subject {_SUBJECT_FORM}")  # fmt: skip
    return Artifact(name, found)


def bundle_path(path: str) -> str:
    return path + BUNDLE_ENDING


def require_free(paths: Sequence[str]) -> None:
    """Raises errors.Error unless the bundle of each of these files can be put beside it: nothing is there, or a bundle
    of ours, which may be replaced."""
    inputs = {_file_of(state) for state in map(_state, paths) if state is not None}
    ours: set[bytes] = set()  # many files share a bundle
    for path in map(bundle_path, paths):
        state = _state(path)
        if state is None:
            continue
        if _file_of(state) in inputs:
            raise Error(f"{path} is to be signed, and a bundle is to be written there",
                        "leave it out; a glob in quotes leaves bundles out")  # fmt: skip
        if not stat.S_ISREG(state.st_mode):
            raise Error(f"{path} is no plain file, and a bundle is to be written there", f"ls -ld {shlex.quote(path)}")
        if _is_other(path, ours):
            raise Error(f"{path} is no bundle of ours, and one is to be written there",
                        f"move it away: mv {shlex.quote(path)} ELSEWHERE")  # fmt: skip


def _state(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Error(f"cannot write {path}: {error.strerror}") from None


def _file_of(state: os.stat_result) -> tuple[int, int]:
    return state.st_dev, state.st_ino


def _is_other(path: str, ours: set[bytes]) -> bool:
    """Is what stands there none of ours? What is, is added to `ours`, by its digest."""
    try:
        data = read_bundle(path)
        digest = sha256(data).digest()
        if digest not in ours:
            attested.read(data)
            ours.add(digest)
    except (Refusal, attested.AttestedInvalid):
        return True
    return False


def read_bundle(path: str) -> bytes:
    """The bytes of a bundle, at most 4 MiB; a Refusal for more, errors.Error for what cannot be read."""
    try:
        with open(path, "rb", opener=_without_waiting) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise Error(f"{path} is no plain file")
            data = stream.read(MAX_BUNDLE_BYTES + 1)
    except OSError as error:
        raise Error(f"cannot read {path}: {error.strerror}") from None
    if len(data) > MAX_BUNDLE_BYTES:
        raise Refusal(f"{path} is no bundle: it is larger than {MAX_BUNDLE_BYTES // 2**20} MiB")
    return data


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def write_bundles(bundles: Sequence[tuple[str, bytes]]) -> None:
    """Put each bundle at its path, all of them on the disk before the first gets its name."""
    for _, data in bundles:
        assert len(data) <= MAX_ENVELOPE_BYTES  # it is a line of a note as well
    atomic.write_files(bundles, 0o644)
