"""Changing the folder of an identity: for one process at a time, and so that no crash loses a key or forks the log.

A rotation is written whole to `.rotating.new/` and synced; its new name, `rotating`, is what decides it. From then on
each file only has to be moved into place, which whoever comes next can finish:

    kel.cesr, current*, next*, next.path   go into the folder, over what is there
    previous.<sn>*                         go to `previous/`
    elsewhere                              the next keys lie outside: their public halves in hex, a line each, an empty
                                           line, PATH; PATH.new was written before, and is renamed over PATH
    superseded                             where the next keys lay before, when that is another place: they go
                                           away there

Before that name nothing of it counts, and the next command removes it. `pending/` has, in the same form, the next keys
of a rotation that waits for others, and in `event` its message.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from errno import EAGAIN, EWOULDBLOCK
from fcntl import LOCK_EX, LOCK_NB, flock
from time import monotonic, sleep
from typing import NamedTuple

from git_auths.errors import Error
from git_auths.store import keystore
from git_auths.store.atomic import sync_folder, write_file
from git_auths.store.keystore import CURRENT, KEL, NEXT, NEXT_PATH, PREVIOUS, ROTATING, Identity, in_slots, slot

LOCK = "lock"
STAGED = ".rotating.new"
PENDING = "pending"
PENDING_STAGED = ".pending.new"
EVENT = "event"
ELSEWHERE = "elsewhere"
SUPERSEDED = "superseded"
NEW = ".new"

MAX_EVENT_BYTES = 1024 * 1024
MAX_ELSEWHERE_BYTES = keystore.MAX_PATH_BYTES + keystore.MAX_KEYS * 512
PATIENCE_SECONDS = 5.0  # to finish what is decided, another process needs milliseconds
POLL_SECONDS = 0.02

_held: set[str] = set()  # the folders that this process has locked


class Elsewhere(NamedTuple):
    """The next keys that belong at `path` and its slots, by their public halves (SSH wire)."""

    path: str
    blobs: tuple[bytes, ...]


class Pending(NamedTuple):
    """A rotation that waits: `event` is its message, None where it is not made yet; `nexts` are the files of its next
    keys, by slot, and `elsewhere` says where they lie when not here."""

    event: bytes | None
    nexts: tuple[bytes, ...]
    elsewhere: Elsewhere | None


@contextmanager
def held(alias: str, folder: str) -> Iterator[Identity]:
    """See `keystore.held`."""
    if folder in _held:
        yield keystore.load(alias)
        return
    descriptor = _open_lock(folder)
    try:
        if not _locked(descriptor, folder):
            raise _busy(alias)
        _held.add(folder)
        try:
            _clear(folder)
            yield keystore.load(alias)
        finally:
            _held.discard(folder)
    finally:
        os.close(descriptor)


def complete_interrupted(alias: str, folder: str) -> bool:
    """Finish a rotation that is decided; where that needs what is not plugged in, all but that. Say whether it was left
    to this process: one that is at work finishes its own. Raises errors.Error."""
    if folder in _held:
        _complete(folder)
        return True
    descriptor = _open_lock(folder)
    try:
        deadline = monotonic() + PATIENCE_SECONDS
        while not _locked(descriptor, folder):
            if _waits_for_elsewhere(folder):
                return False
            if monotonic() > deadline:
                raise _busy(alias)
            sleep(POLL_SECONDS)
        is_left = keystore.is_rotating(folder)
        if is_left:
            _complete(folder)
        return is_left
    finally:
        os.close(descriptor)


def require_complete(identity: Identity) -> None:
    """Raise errors.Error where a rotation still waits for what holds the next key to be plugged in."""
    if keystore.is_rotating(identity.folder):
        found = read_elsewhere(os.path.join(identity.folder, ROTATING))
        where = found.path if found else identity.folder
        raise Error(f"the last rotation of '{identity.alias}' is not finished: its next key is not at {where}",
                    f"plug in what holds it; {where}{NEW} then gets that name")  # fmt: skip


def require_outside(identity: Identity, elsewhere: Elsewhere) -> None:
    """Raise errors.Error unless the next keys that wait outside are there."""
    for index, blob in enumerate(elsewhere.blobs):
        path = slot(elsewhere.path, index) + NEW
        if not _is_key(path, blob):
            raise Error(f"the new next key of '{identity.alias}' is not at {path}", "plug in what holds it")


def create(alias: str, folder: str, files: Mapping[str, bytes], nexts: Sequence[bytes], next_path: str | None,
           identities: int) -> None:  # fmt: skip
    """Make the folder of a new identity out of these files; `identities` is the locked folder around it, open.

    What was written is read back before it counts. Raises errors.Error, and then nothing stays.
    """
    staged = os.path.join(os.path.dirname(folder), f".{alias}{NEW}")
    try:
        _discard(staged, os.path.join(staged, ROTATING))  # an `init` that was cut off left it
        os.mkdir(staged, 0o700)
        try:
            _write(staged, files)
            if next_path is None:
                _write(staged, in_slots(NEXT, nexts))
            else:
                _stage_elsewhere(staged, nexts, _place(next_path))
            keystore.read_folder(alias, staged)
            os.rename(staged, folder)
        except BaseException:
            _discard(staged, os.path.join(staged, ROTATING))
            raise
        sync_folder(identities)
        if next_path is not None:
            _complete(folder)
    except OSError as error:
        raise Error(f"cannot write {folder}: {error.strerror}") from None


def write_kel(identity: Identity, kel: bytes) -> None:
    """Replace the log by one that goes on with it; for whoever holds the identity. Raises errors.Error."""
    _require_held(identity)
    write_file(os.path.join(identity.folder, KEL), kel)


def rotate(identity: Identity, kel: bytes, introduced_sn: int, nexts: Sequence[bytes], next_path: str | None = None,
           elsewhere: Elsewhere | None = None) -> None:  # fmt: skip
    """Make the next keys the current ones, as the log `kel` has it, and `nexts` the next ones.

    `introduced_sn` is the number of the event that introduced the keys which are current until now. The new next keys
    go where the old ones are, or to `next_path`; with `elsewhere` they lie there already, as PATH.new. For whoever
    holds the identity. Raises errors.Error: before it is decided everything is as it was, after it `load` finishes.
    """
    _require_held(identity)
    folder, staged = identity.folder, os.path.join(identity.folder, STAGED)
    retired = in_slots(f"{PREVIOUS}.{introduced_sn}", keystore.read_currents(identity))
    files = {KEL: kel, **in_slots(CURRENT, keystore.read_nexts(identity)), **retired}
    old_place = keystore.next_file(identity)
    place = elsewhere.path if elsewhere else _place(next_path, identity.folder) if next_path else old_place
    try:
        with suppress(FileExistsError):
            os.mkdir(os.path.join(folder, PREVIOUS), 0o700)
        os.mkdir(staged, 0o700)
        try:
            _write(staged, files)
            if place != old_place:
                _write(staged, {SUPERSEDED: os.fsencode(old_place), NEXT_PATH: os.fsencode(place) + b"\n"})
            if elsewhere is not None:
                _write(staged, {ELSEWHERE: _record(elsewhere)})
            else:
                _stage_next(identity, staged, nexts, place, is_new=place != old_place)
            os.rename(staged, os.path.join(folder, ROTATING))
        except BaseException:
            _discard(staged, staged if elsewhere is None else None)
            raise
        _sync(folder)
    except OSError as error:
        raise Error(f"cannot write {folder}: {error.strerror}") from None
    _complete(folder)


def promote(identity: Identity, kel: bytes, introduced_sn: int) -> None:
    """Make the next keys the current ones, as the log `kel` has it, where the keys after them are lost.

    `introduced_sn` is as for `rotate`. For whoever holds the identity. Raises errors.Error: before it is decided
    everything is as it was, after it `load` finishes.
    """
    _require_held(identity)
    folder, staged = identity.folder, os.path.join(identity.folder, STAGED)
    retired = in_slots(f"{PREVIOUS}.{introduced_sn}", keystore.read_currents(identity))
    files = {KEL: kel, **in_slots(CURRENT, keystore.read_nexts(identity)), **retired,
             SUPERSEDED: os.fsencode(keystore.next_file(identity))}  # fmt: skip
    try:
        with suppress(FileExistsError):
            os.mkdir(os.path.join(folder, PREVIOUS), 0o700)
        os.mkdir(staged, 0o700)
        try:
            _write(staged, files)
            os.rename(staged, os.path.join(folder, ROTATING))
        except BaseException:
            _discard(staged, None)
            raise
        _sync(folder)
    except OSError as error:
        raise Error(f"cannot write {folder}: {error.strerror}") from None
    _complete(folder)


def read_pending(identity: Identity) -> Pending | None:
    """The rotation that waits; None where there is none. Raises errors.Error."""
    folder = os.path.join(identity.folder, PENDING)
    if not os.path.lexists(folder):
        return None
    event = os.path.join(folder, EVENT)
    message = keystore.read_file(event, MAX_EVENT_BYTES) if os.path.lexists(event) else None
    elsewhere = read_elsewhere(folder)
    nexts = () if elsewhere else tuple(keystore.read_slots(os.path.join(folder, NEXT)))
    return Pending(message, nexts, elsewhere)


def write_pending(identity: Identity, event: bytes | None, nexts: Sequence[bytes],
                  next_path: str | None = None) -> None:  # fmt: skip
    """Keep a rotation that waits, with its next keys; for whoever holds the identity. Raises errors.Error."""
    _require_held(identity)
    staged = os.path.join(identity.folder, PENDING_STAGED)
    old_place = keystore.next_file(identity)
    place = _place(next_path, identity.folder) if next_path else old_place
    try:
        os.mkdir(staged, 0o700)
        try:
            if event is not None:
                _write(staged, {EVENT: event})
            _stage_next(identity, staged, nexts, place, is_new=place != old_place)
            os.rename(staged, os.path.join(identity.folder, PENDING))
        except BaseException:
            _discard(staged, staged)
            raise
        _sync(identity.folder)
    except OSError as error:
        raise Error(f"cannot write {identity.folder}: {error.strerror}") from None


def read_elsewhere(folder: str) -> Elsewhere | None:
    """Where a journal says that the next keys go; None where it does not say. Raises errors.Error."""
    path = os.path.join(folder, ELSEWHERE)
    if not os.path.lexists(path):
        return None
    head, _, place = keystore.read_file(path, MAX_ELSEWHERE_BYTES).partition(b"\n\n")
    try:
        return Elsewhere(os.fsdecode(place), tuple(bytes.fromhex(line.decode()) for line in head.split(b"\n")))
    except ValueError:
        raise Error(f"{path} is damaged") from None


def _record(elsewhere: Elsewhere) -> bytes:
    return "\n".join(blob.hex() for blob in elsewhere.blobs).encode() + b"\n\n" + os.fsencode(elsewhere.path)


def _stage_next(identity: Identity, staged: str, nexts: Sequence[bytes], place: str, is_new: bool) -> None:
    if place == os.path.join(identity.folder, NEXT):
        _write(staged, in_slots(NEXT, nexts))
        return
    if is_new:
        _require_free(place, len(nexts))
    _stage_outside(staged, nexts, place)


def _stage_elsewhere(staged: str, nexts: Sequence[bytes], place: str) -> None:
    """A new identity whose next keys lie outside: it comes with a journal that says so."""
    _require_free(place, len(nexts))
    _write(staged, {NEXT_PATH: os.fsencode(place) + b"\n"})
    journal = os.path.join(staged, ROTATING)
    os.mkdir(journal, 0o700)
    _stage_outside(journal, nexts, place)


def _stage_outside(journal: str, nexts: Sequence[bytes], place: str) -> None:
    """Note where the next keys go, and only then write them there: so whatever is cut off can be removed again."""
    for index in range(len(nexts)):
        if os.path.lexists(slot(place, index) + NEW):
            raise Error(f"{slot(place, index)}{NEW} exists already", "move it away: the new next key is written there")
    blobs = tuple(keystore.public_blob_of(place, pem) for pem in nexts)
    _write(journal, {ELSEWHERE: _record(Elsewhere(place, blobs))})
    try:
        for index, pem in enumerate(nexts):
            _write_outside(slot(place, index) + NEW, pem)
        _sync(os.path.dirname(place))
    except OSError as error:
        raise Error(f"cannot write {place}{NEW}: {error.strerror}") from None


def _write_outside(path: str, data: bytes) -> None:
    """Create the file and sync it. It has no temporary name: the journal knows the one that it has."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _place(path: str, folder: str | None = None) -> str:
    """The absolute path for the next keys that somebody names: outside of all that is ours, or `next` in the identity's
    `folder`. Raises errors.Error."""
    place, home = os.path.abspath(path), keystore.home()
    if folder is not None and place == os.path.join(folder, NEXT):
        return place
    if _is_within(os.path.realpath(os.path.dirname(place)), home):
        raise Error(f"{place} is where git-auths keeps what is its own: {home}", "name a path on a stick, or in a safe")
    if place.endswith(NEW):
        raise Error(f"{place} ends in {NEW}, as what is not in its place yet does", "name another: --next-key PATH")
    return place


def _is_within(folder: str, top: str) -> bool:
    """By what they are, not by name: that has other cases on some file systems."""
    while True:
        with suppress(OSError):
            if os.path.samefile(folder, top):
                return True
        if folder == os.path.dirname(folder):
            return False
        folder = os.path.dirname(folder)


def _require_free(place: str, count: int) -> None:
    for index in range(count):
        if os.path.lexists(slot(place, index)):
            raise Error(f"{slot(place, index)} exists already",
                        "name a path where nothing is yet: --next-key PATH")  # fmt: skip


def _complete(folder: str) -> None:
    """Move what the journal has into place. Any step may have been done before."""
    journal = os.path.join(folder, ROTATING)
    try:
        for name in sorted(os.listdir(journal), reverse=True):  # keys that are rotated away are put by first
            if name.startswith(PREVIOUS):
                os.rename(os.path.join(journal, name), os.path.join(folder, PREVIOUS, name[len(PREVIOUS) + 1 :]))
            elif name not in (ELSEWHERE, SUPERSEDED):
                os.rename(os.path.join(journal, name), os.path.join(folder, name))
        if os.path.lexists(os.path.join(folder, PREVIOUS)):
            _sync(os.path.join(folder, PREVIOUS))
        _sync(folder)
        _remove(os.path.join(folder, PENDING))  # an establishment event was decided: what waited for one is over
        _unlink_superseded(folder, journal)
        if _complete_elsewhere(journal):
            os.rmdir(journal)
            _sync(folder)
    except OSError as error:
        raise Error(f"cannot finish the rotation that was begun in {folder}: {error.strerror}") from None


def _waits_for_elsewhere(folder: str) -> bool:
    """Whether all that is left to do is outside of the folder."""
    with suppress(OSError):
        return os.listdir(os.path.join(folder, ROTATING)) == [ELSEWHERE]
    return False


def _unlink_superseded(folder: str, journal: str) -> None:
    """Remove the keys that are current now from where they lay. What else has come to lie there is somebody's."""
    path = os.path.join(journal, SUPERSEDED)
    if not os.path.lexists(path):
        return
    place = os.fsdecode(keystore.read_file(path, keystore.MAX_PATH_BYTES))
    for index, blob in enumerate(_current_blobs(folder)):
        if _is_key(slot(place, index), blob):
            with suppress(OSError):  # a stick that is write-protected must not keep anybody from signing
                os.unlink(slot(place, index))
    os.unlink(path)


def _current_blobs(folder: str) -> list[bytes]:
    paths = [os.path.join(folder, slot(CURRENT, index)) for index in range(keystore.count_currents(folder))]
    return [keystore.public_blob_of(path, keystore.read_private(path)) for path in paths]


def _complete_elsewhere(journal: str) -> bool:
    """Give the next keys outside their names; False while they are out of reach."""
    elsewhere = read_elsewhere(journal)
    if elsewhere is None:
        return True
    for index, blob in enumerate(elsewhere.blobs):
        path = slot(elsewhere.path, index)
        if os.path.lexists(path + NEW) and not _is_another_key(path + NEW, blob):
            try:
                os.rename(path + NEW, path)
            except OSError:
                return False
        elif not _is_key(path, blob):
            return False
    _sync(os.path.dirname(elsewhere.path))
    os.unlink(os.path.join(journal, ELSEWHERE))
    return True


def _is_key(path: str, blob: bytes) -> bool:
    try:
        return keystore.public_blob_of(path, keystore.read_private(path)) == blob
    except Error:
        return False


def _is_another_key(path: str, blob: bytes) -> bool:
    """Does the file hold a key that is not this one? One that was cut off holds none."""
    try:
        return keystore.public_blob_of(path, keystore.read_private(path)) != blob
    except Error:
        return False


def _clear(folder: str) -> None:
    """Remove what processes that were killed have left: nothing of it was ever decided."""
    try:
        for name in (STAGED, PENDING_STAGED):
            staged = os.path.join(folder, name)
            # What a pending rotation has outside is spoken of by the journal that was to finish it, too.
            _discard(staged, None if os.path.lexists(os.path.join(folder, PENDING)) else staged)
        for name in os.listdir(folder):
            if name.startswith(".auths-") and name.endswith(".tmp"):
                os.unlink(os.path.join(folder, name))
    except OSError as error:
        raise Error(f"cannot write {folder}: {error.strerror}") from None


def _discard(staged: str, journal: str | None) -> None:
    """Remove what was not decided; with it the next keys outside that `journal`, a folder in it, speaks of."""
    if not os.path.lexists(staged):
        return
    elsewhere = None
    if journal is not None:
        with suppress(Error):  # it was cut off itself, and then nothing is outside
            elsewhere = read_elsewhere(journal)
    if elsewhere is not None:
        for index, blob in enumerate(elsewhere.blobs):
            path = slot(elsewhere.path, index) + NEW
            with suppress(OSError):
                if not _is_another_key(path, blob):
                    os.unlink(path)
    _remove(staged)


def _remove(folder: str) -> None:
    if os.path.lexists(folder):
        from shutil import rmtree

        rmtree(folder)


def _write(folder: str, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        write_file(os.path.join(folder, name), data)


def _sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync_folder(descriptor)
    finally:
        os.close(descriptor)


def _open_lock(folder: str) -> int:
    """The lock is a file of its own: network file systems lock no folders. It stays, or two could hold one each."""
    try:
        return os.open(os.path.join(folder, LOCK), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise Error(f"cannot write {folder}: {error.strerror}") from None


def _locked(descriptor: int, folder: str) -> bool:
    try:
        flock(descriptor, LOCK_EX | LOCK_NB)
    except OSError as error:
        if error.errno in (EAGAIN, EWOULDBLOCK):
            return False
        raise Error(f"cannot lock {folder}: {error.strerror}", "AUTHS_HOME can name a folder on a local disk") from None
    return True


def _busy(alias: str) -> Error:
    return Error(f"another git auths command is changing the identity '{alias}'", "run this again when that has ended")


def _require_held(identity: Identity) -> None:
    assert identity.folder in _held, "only whoever holds an identity may change it"
