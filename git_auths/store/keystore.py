"""The identities of this machine: `<home>/identities/<alias>/`, the folder 0700 and its files 0600.

`kel.cesr` is the identity's key event log, `current` and `next` are OpenSSH private key files; where the next key
was put elsewhere, `next.path` names it. An identity with more keys here has `current.1`, `next.1` and so on: the
number is a slot, and which place of the log's lists a key has is for its public half to say. `previous/<sn>` are keys
that were rotated away, by the event that introduced them; `identity.json` is what this machine notes of the identity.
`rotating/`, `pending/` and `lock` are those of `keyjournal`, which changes what this module reads.

Signing loads this module at every commit: paths are strings, since `pathlib` alone costs 10 ms to import, `typing`
10 and `platformdirs` 20.
"""

from __future__ import annotations

import os
import stat
import sys

from git_auths.core.opensshkey import MAX_FILE_BYTES, KeyInvalid, public_blob
from git_auths.errors import Error

TYPE_CHECKING = False  # importing typing for its name would cost 9 ms
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

KEL = "kel.cesr"
CURRENT = "current"
NEXT = "next"
NEXT_PATH = "next.path"
PREVIOUS = "previous"
METADATA = "identity.json"
ROTATING = "rotating"

MAX_ALIAS_CHARACTERS = 64
MAX_KEL_BYTES = 4 * 1024 * 1024
MAX_KEYS = 128  # as in one key event
MAX_METADATA_BYTES = 64 * 1024
MAX_PATH_BYTES = 4096
AID_HEAD_BYTES = 200
LETTERS_AND_DIGITS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
ENVIRONMENT = "environment"  # the alias of the identity that AUTHS_DID names; it has no files (`store.pipeline`)
ALIAS_CHARACTERS = LETTERS_AND_DIGITS | frozenset("._-")
BASE64URL = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
HEX_DIGITS = frozenset(b"0123456789abcdef")


class Identity:
    """One identity of this machine. `aid` is what its log's first event says (a replay proves it, not we);
    `current_blob` is the SSH wire public key of the key file `current`. That of the environment has an empty folder."""

    __slots__ = ("aid", "alias", "current_blob", "folder")

    def __init__(self, alias: str, folder: str, aid: str, current_blob: bytes) -> None:
        self.alias = alias
        self.folder = folder
        self.aid = aid
        self.current_blob = current_blob


def is_without_files(identity: Identity) -> bool:
    """Whether the identity is that of the environment: nothing of it is on the disk, and nothing is to be."""
    return not identity.folder


def file_of(identity: Identity, name: str) -> str:
    """The path of a file in the identity's folder. Raises errors.Error for an identity without files: a path without
    folder would be that of a file in the repository at hand."""
    if is_without_files(identity):
        raise Error(f"the identity of AUTHS_DID, did:keri:{identity.aid}, has no files on this machine",
                    "run this where its owner made it, without AUTHS_DID")  # fmt: skip
    return os.path.join(identity.folder, name)


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
    """The identity `alias`; finishes a rotation that was cut off after it was decided.

    Raises errors.Error: no such identity, keys that others can reach, a damaged file.
    """
    folder = _existing_folder(alias)
    if is_rotating(folder):  # one look at the folder, for all who sign
        from git_auths.store import keyjournal

        keyjournal.complete_interrupted(alias, folder)
    return read_folder(alias, folder)


def is_rotating(folder: str) -> bool:
    """Whether a rotation was decided in the identity's folder and is not finished."""
    return os.path.lexists(os.path.join(folder, ROTATING))


def complete(alias: str) -> bool:
    """Finish a rotation of the identity that was cut off after it was decided; say whether there was one.

    Raises errors.Error: no such identity, and as `load` does.
    """
    folder = _existing_folder(alias)
    if not is_rotating(folder):
        return False
    from git_auths.store import keyjournal

    return keyjournal.complete_interrupted(alias, folder)


def held(alias: str) -> AbstractContextManager[Identity]:
    """The identity, for this process alone while the context lasts; within it, `held` may be used again.

    Raises errors.Error as `load` does, where another process holds it, and where its folder cannot be written.
    """
    from git_auths.store import keyjournal

    return keyjournal.held(alias, _existing_folder(alias))


def create(alias: str, kel: bytes, current: bytes, next_key: bytes, next_path: str | None = None, *,
           more: Sequence[tuple[bytes, bytes]] = (), metadata: Mapping[str, object] | None = None,
           ) -> Identity:  # fmt: skip
    """Put a new identity on the disk: the whole of it or, when that fails or is cut off, nothing.

    `kel` is its log, `current` and `next_key` are OpenSSH private key files, `more` further pairs of them; `next_path`
    is where the next keys go when not beside the others. Raises errors.Error; what is there is never replaced.
    """
    from git_auths.store import keyjournal

    folder = _folder(alias)
    lock = _lock(_identities())
    try:
        if os.path.lexists(folder):
            raise Error(f"there is an identity '{alias}' already: {folder}", "name another: --alias NAME")
        pairs = [(current, next_key), *more]
        files = {KEL: kel, **in_slots(CURRENT, [pair[0] for pair in pairs])}
        if metadata is not None:
            files[METADATA] = _metadata_json(metadata)
        keyjournal.create(alias, folder, files, [pair[1] for pair in pairs], next_path, lock)
        return read_folder(alias, folder)
    finally:
        os.close(lock)


def in_slots(name: str, items: Sequence[bytes]) -> dict[str, bytes]:
    """Each of the items under the name of its slot: NAME, NAME.1, NAME.2 ..."""
    return {slot(name, index): item for index, item in enumerate(items)}


def slot(name: str, index: int) -> str:
    """The name of slot number `index`: a file's of the folder, or a path."""
    return f"{name}.{index}" if index else name


def read_kel(identity: Identity) -> bytes:
    """The key event log as it is on the disk, cut off one byte past MAX_KEL_BYTES. Raises errors.Error."""
    return read_file(file_of(identity, KEL), MAX_KEL_BYTES + 1)


def read_current(identity: Identity, index: int = 0) -> bytes:
    """The file of the key that signs, or of another slot. Raises errors.Error."""
    return read_private(file_of(identity, slot(CURRENT, index)))


def read_currents(identity: Identity) -> list[bytes]:
    """The files of all current keys that are here, by slot. Raises errors.Error."""
    return read_slots(file_of(identity, CURRENT))


def read_next(identity: Identity, index: int = 0) -> bytes:
    """The file of the key committed to, wherever it lies, or of another slot. Raises errors.Error."""
    return read_private(slot(next_file(identity), index))


def read_nexts(identity: Identity) -> list[bytes]:
    """The files of all next keys that are here, by slot, wherever they lie. Raises errors.Error."""
    path = next_file(identity)
    if not os.path.lexists(path):
        elsewhere = not path.startswith(identity.folder + os.sep)
        raise Error(f"the next key of '{identity.alias}' is not there: {path}",
                    "plug in what holds it, and run this again" if elsewhere else None)  # fmt: skip
    return read_slots(path, count_currents(identity.folder))


def count_currents(folder: str) -> int:
    """How many slots the identity in `folder` has: each has a current key, which the rotation before put there."""
    count = 1
    while count < MAX_KEYS and os.path.lexists(os.path.join(folder, slot(CURRENT, count))):
        count += 1
    return count


def next_file(identity: Identity) -> str:
    """Where the next key's file is: in the folder, or where `next.path` says."""
    pointer = file_of(identity, NEXT_PATH)
    if not os.path.lexists(pointer):
        return file_of(identity, NEXT)
    return os.fsdecode(read_file(pointer, MAX_PATH_BYTES).removesuffix(b"\n"))


def read_previous(identity: Identity) -> list[tuple[int, bytes]]:
    """(number of the event that introduced it, file) of each key that was rotated away, the latest first.

    Raises errors.Error.
    """
    folder = file_of(identity, PREVIOUS)
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Error(f"cannot read {folder}: {error.strerror}") from None
    numbers = [(int(name.split(".")[0]), name) for name in names if name.replace(".", "", 1).isdecimal()]
    return [(sn, read_private(os.path.join(folder, name))) for sn, name in sorted(numbers, reverse=True)]


def metadata(identity: Identity) -> dict[str, object]:
    """What this machine notes of the identity; nothing where it notes nothing. Raises errors.Error."""
    path = file_of(identity, METADATA)
    if not os.path.lexists(path):
        return {}
    from json import loads

    content = read_file(path, MAX_METADATA_BYTES + 1)
    try:
        noted = loads(content) if len(content) <= MAX_METADATA_BYTES else None
    except (ValueError, RecursionError):
        noted = None
    if not isinstance(noted, dict):
        raise Error(f"{path} is damaged: it is not one JSON object", f"rm {_quoted(path)}, and it is as if new")
    return noted


def write_metadata(identity: Identity, noted: Mapping[str, object]) -> None:
    """Note this of the identity, in place of what was noted. Raises errors.Error."""
    from git_auths.store.atomic import write_file

    with held(identity.alias):
        write_file(file_of(identity, METADATA), _metadata_json(noted))


def public_blob_of(path: str, pem: bytes) -> bytes:
    """The SSH wire public key of the key file at `path`. Raises errors.Error."""
    try:
        return public_blob(pem)
    except KeyInvalid as error:
        raise Error(f"the key file {path} is damaged: {error}") from None


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


def require_alias(alias: str) -> None:
    """Raise errors.Error for what cannot be the alias of an identity."""
    if not _is_alias(alias):
        raise Error(
            f"{alias[:80]!r} cannot be an alias",
            "an alias is up to 64 letters, digits, '.', '_' and '-', and begins with a letter or digit",
        )


def _folder(alias: str) -> str:
    require_alias(alias)
    return os.path.join(_identities(), alias)


def _existing_folder(alias: str) -> str:
    folder = _folder(alias)
    if not os.path.lexists(folder):
        raise Error(f"no identity '{alias}' on this machine", _init_command(alias))
    return folder


def _init_command(alias: str) -> str:
    if alias == ENVIRONMENT:
        return "AUTHS_DID and AUTHS_PRIVATE_KEY name it: set both for the step that signs"
    return "git auths init" if alias == "main" else f"git auths init --alias {alias}"


def read_folder(alias: str, folder: str) -> Identity:
    """The identity whose files are in `folder`. Raises errors.Error as `load` does."""
    try:
        status = os.stat(folder)
    except OSError as error:
        raise Error(f"cannot read {folder}: {error.strerror}") from None
    refuse_shared(folder, status, "700")
    path = os.path.join(folder, CURRENT)
    blob = public_blob_of(path, read_private(path))
    return Identity(alias, folder, _read_aid(os.path.join(folder, KEL)), blob)


def _read_aid(path: str) -> str:
    """The AID in a log's first event. That begins in one form only (KERI spec: `v`, `t`, `d`, `i`, `s` in
    this order, and `i` equals `d`), so bytes are compared; parsing JSON would cost 7 ms."""
    head = read_file(path, AID_HEAD_BYTES)
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


def read_slots(path: str, most: int = MAX_KEYS) -> list[bytes]:
    """The key files at `path` and its further slots, `most` of them: what lies beyond is another identity's. Raises
    errors.Error."""
    found = [read_private(path)]
    while len(found) < most and os.path.lexists(slot(path, len(found))):
        found.append(read_private(slot(path, len(found))))
    return found


def read_private(path: str) -> bytes:
    """A key file that its owner alone can reach: the file that was looked at is the one that is read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a FIFO would wait for its writer
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise Error(f"the key file {path} is no regular file")
            refuse_shared(path, status, "600")
            data = os.read(descriptor, MAX_FILE_BYTES + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise Error(f"cannot read the key file {path}: {error.strerror}") from None
    return data


def read_file(path: str, limit: int) -> bytes:
    """The first `limit` bytes of a file that holds no secret."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read(limit)
    except OSError as error:
        raise Error(f"cannot read {path}: {error.strerror}") from None


def refuse_shared(path: str, status: os.stat_result, mode: str) -> None:
    """Raise errors.Error for what is not the user's own, or what others can reach; `mode` is what to give it."""
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


def _metadata_json(noted: Mapping[str, object]) -> bytes:
    from json import dumps

    return dumps(noted, indent=1).encode() + b"\n"
