"""The identities of this machine: `<home>/identities/<alias>/`, the folder 0700 and its files 0600.

`kel.cesr` is the identity's key event log, `current` and `next` are OpenSSH private key files; where
`init --next-key` put the next key elsewhere, `next.path` names it. Signing loads this module at every commit:
paths are strings, since `pathlib` alone costs 10 ms to import, `typing` 10 and `platformdirs` 20.
"""

from __future__ import annotations

import os
import stat
import sys

from git_auths.core.opensshkey import MAX_FILE_BYTES, KeyInvalid, public_blob
from git_auths.errors import Error

KEL = "kel.cesr"
CURRENT = "current"
NEXT = "next"
NEXT_PATH = "next.path"

MAX_ALIAS_CHARACTERS = 64
MAX_KEL_BYTES = 4 * 1024 * 1024
MAX_PATH_BYTES = 4096
AID_HEAD_BYTES = 200
LETTERS_AND_DIGITS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
ALIAS_CHARACTERS = LETTERS_AND_DIGITS | frozenset("._-")
BASE64URL = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
HEX_DIGITS = frozenset(b"0123456789abcdef")


class Identity:
    """One identity of this machine. `aid` is what its log's first event says (a replay proves it, not we);
    `current_blob` is the SSH wire public key of the key file `current`."""

    __slots__ = ("aid", "alias", "current_blob", "folder")

    def __init__(self, alias: str, folder: str, aid: str, current_blob: bytes) -> None:
        self.alias = alias
        self.folder = folder
        self.aid = aid
        self.current_blob = current_blob


def home() -> str:
    """The folder of all that is private: AUTHS_HOME, else the user's data folder. Raises errors.Error."""
    chosen = os.environ.get("AUTHS_HOME")
    if not chosen:
        return _data_folder()
    if not os.path.isabs(chosen):
        raise Error(f"AUTHS_HOME is not an absolute path: {chosen}", "set it to one that begins with '/'")
    return chosen


def aliases() -> list[str]:
    """The aliases on this machine, sorted."""
    try:
        names = os.listdir(_identities())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Error(f"cannot read {_identities()}: {error.strerror}") from None
    return sorted(name for name in names if _is_alias(name))


def load(alias: str) -> Identity:
    """The identity `alias`. Raises errors.Error: no such one, keys that others can reach, a damaged file."""
    folder = _folder(alias)
    if not os.path.lexists(folder):
        raise Error(f"no identity '{alias}' on this machine", _init_command(alias))
    return _read(alias, folder)


def create(alias: str, kel: bytes, current: bytes, next_key: bytes, next_path: str | None = None) -> Identity:
    """Put a new identity on the disk: the whole of it or, when that fails or is cut off, nothing.

    `kel` is its log, `current` and `next_key` are OpenSSH private key files; `next_path` is where the latter
    goes when not beside the others. Raises errors.Error; what is there already is never replaced.
    """
    folder = _folder(alias)
    lock = _lock(_identities())
    try:
        if os.path.lexists(folder):
            raise Error(f"there is an identity '{alias}' already: {folder}", "name another: --alias NAME")
        files = {KEL: kel, CURRENT: current}
        if next_path is None:
            return _put(alias, folder, {**files, NEXT: next_key}, lock)
        return _put_with_next_elsewhere(alias, folder, files, lock, next_key, os.path.abspath(next_path))
    finally:
        os.close(lock)


def read_kel(identity: Identity) -> bytes:
    """The key event log as it is on the disk, cut off one byte past MAX_KEL_BYTES. Raises errors.Error."""
    return _read_file(os.path.join(identity.folder, KEL), MAX_KEL_BYTES + 1)


def read_current(identity: Identity) -> bytes:
    """The file of the key that signs. Raises errors.Error."""
    return _read_private(os.path.join(identity.folder, CURRENT))


def read_next(identity: Identity) -> bytes:
    """The file of the key committed to, wherever it lies. Raises errors.Error."""
    return _read_private(next_file(identity))


def next_file(identity: Identity) -> str:
    """Where the next key's file is: in the folder, or where `next.path` says."""
    pointer = os.path.join(identity.folder, NEXT_PATH)
    if not os.path.lexists(pointer):
        return os.path.join(identity.folder, NEXT)
    return os.fsdecode(_read_file(pointer, MAX_PATH_BYTES).removesuffix(b"\n"))


def _data_folder() -> str:
    """What platformdirs.user_data_dir("git-auths") gives, on Linux without the 20 ms of its import."""
    if sys.platform == "linux":
        base = os.environ.get("XDG_DATA_HOME", "")
        if not os.path.isabs(base):  # the XDG specification: such a value is ignored
            base = os.path.expanduser("~/.local/share")
        if os.path.isabs(base):
            return os.path.join(base, "git-auths")
    from platformdirs import user_data_dir

    return user_data_dir("git-auths")


def _identities() -> str:
    return os.path.join(home(), "identities")


def _is_alias(name: str) -> bool:
    return 0 < len(name) <= MAX_ALIAS_CHARACTERS and name[0] in LETTERS_AND_DIGITS and ALIAS_CHARACTERS.issuperset(name)


def _folder(alias: str) -> str:
    if not _is_alias(alias):
        raise Error(
            f"{alias[:80]!r} cannot be an alias",
            "an alias is up to 64 letters, digits, '.', '_' and '-', and begins with a letter or digit",
        )
    return os.path.join(_identities(), alias)


def _init_command(alias: str) -> str:
    return "git auths init" if alias == "main" else f"git auths init --alias {alias}"


def _read(alias: str, folder: str) -> Identity:
    try:
        status = os.stat(folder)
    except OSError as error:
        raise Error(f"cannot read {folder}: {error.strerror}") from None
    _refuse_shared(folder, status, "700")
    path = os.path.join(folder, CURRENT)
    try:
        blob = public_blob(_read_private(path))
    except KeyInvalid as error:
        raise Error(f"the key file {path} is damaged: {error}") from None
    return Identity(alias, folder, _read_aid(os.path.join(folder, KEL)), blob)


def _read_aid(path: str) -> str:
    """The AID in a log's first event. That begins in one form only (KERI spec: `v`, `t`, `d`, `i`, `s` in
    this order, and `i` equals `d`), so bytes are compared; parsing JSON would cost 7 ms."""
    head = _read_file(path, AID_HEAD_BYTES)
    size, kind, said = head[16:22], head[30:33], head[40:84]
    form = b'{"v":"KERI10JSON%b_","t":"%b","d":"%b","i":"%b","s":"0",' % (size, kind, said, said)
    if not (
        head.startswith(form)
        and HEX_DIGITS.issuperset(size)
        and kind in (b"icp", b"dip")
        and said.startswith(b"E")
        and BASE64URL.issuperset(said)
    ):
        raise Error(f"{path} does not begin with an inception event", "git auths kel verify " + _quoted(path))
    return said.decode()


def _read_private(path: str) -> bytes:
    """A key file that its owner alone can reach: the file that was looked at is the one that is read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a FIFO would wait for its writer
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise Error(f"the key file {path} is no regular file")
            _refuse_shared(path, status, "600")
            data = os.read(descriptor, MAX_FILE_BYTES + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise Error(f"cannot read the key file {path}: {error.strerror}") from None
    return data


def _read_file(path: str, limit: int) -> bytes:
    """The first `limit` bytes of a file that holds no secret."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read(limit)
    except OSError as error:
        raise Error(f"cannot read {path}: {error.strerror}") from None


def _refuse_shared(path: str, status: os.stat_result, mode: str) -> None:
    if status.st_uid != os.geteuid():
        raise Error(f"{path} belongs to another user", f"chown {os.geteuid()} {_quoted(path)}")
    if status.st_mode & 0o077:
        raise Error(f"others can reach {path}", f"chmod {mode} {_quoted(path)}")


def _quoted(path: str) -> str:
    from shlex import quote

    return quote(path)


def _lock(identities: str) -> int:
    """The folder of all identities, open, and locked against another `create`."""
    from contextlib import suppress
    from fcntl import LOCK_EX, flock

    try:
        os.makedirs(identities, 0o700, exist_ok=True)
        descriptor = os.open(identities, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise Error(f"cannot write {identities}: {error.strerror}") from None
    with suppress(OSError):  # NFS locks no folders; there, two `init` of one alias must not run at one moment
        flock(descriptor, LOCK_EX)
    return descriptor


def _put(alias: str, folder: str, files: dict[str, bytes], identities: int) -> Identity:
    """Write the files into a folder beside, see that they can be read, rename it into place."""
    from git_auths.store.atomic import sync_folder, write_file

    temporary = os.path.join(os.path.dirname(folder), f".{alias}.new")
    try:
        _remove(temporary)  # an `init` that was cut off left it
        os.mkdir(temporary, 0o700)
        try:
            for name, data in files.items():
                write_file(os.path.join(temporary, name), data)
            identity = _read(alias, temporary)
            os.rename(temporary, folder)
        except BaseException:
            _remove(temporary)
            raise
        sync_folder(identities)
    except OSError as error:
        raise Error(f"cannot write {folder}: {error.strerror}") from None
    identity.folder = folder
    return identity


def _put_with_next_elsewhere(
    alias: str, folder: str, files: dict[str, bytes], identities: int, next_key: bytes, next_path: str
) -> Identity:
    from git_auths.store.atomic import write_file

    if os.path.lexists(next_path):
        raise Error(f"{next_path} exists already", "name a path where nothing is yet: --next-key PATH")
    write_file(next_path, next_key)
    try:
        return _put(alias, folder, {**files, NEXT_PATH: os.fsencode(next_path) + b"\n"}, identities)
    except BaseException:
        if not os.path.lexists(folder):
            os.unlink(next_path)
        raise


def _remove(folder: str) -> None:
    if os.path.lexists(folder):
        from shutil import rmtree

        rmtree(folder)
