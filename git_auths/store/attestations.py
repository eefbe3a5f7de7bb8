"""Where attestations are kept and found: each on every object and digest that it names (`core.attested`).

Whatever reads here believes nothing of a line but that it names what it was found under: whether it is signed by whom
it names is asked of `core.attested.Signers`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import NamedTuple

from git_auths.core import pins
from git_auths.core.attested import Attested, AttestedInvalid, read
from git_auths.core.auths_folder import AuthsFolder, AuthsFolders
from git_auths.core.pins import Pins
from git_auths.core.sha2 import sha256
from git_auths.errors import Error, TooLarge
from git_auths.store import notes, settings
from git_auths.store.noanswer import incomplete, root_is_elsewhere, unpinned
from git_auths.store.notes import Note, Notes
from git_auths.store.repository import Objects, Repository


class Ignored(NamedTuple):
    """Lines that are not for what they stand on, or that nobody can read: how many, and why."""

    reason: str
    lines: int = 1


class Found(NamedTuple):
    """What stands on one object or digest; `incomplete`: there is more than can be read."""

    attested: tuple[Attested, ...]
    ignored: tuple[Ignored, ...]
    incomplete: bool


class Shelf(NamedTuple):
    """The notes of a repository, and by what they are read: the trust root, and `.auths` at the mainline's tip."""

    root: str
    folder: AuthsFolder
    notes: Notes
    objects: Objects
    hex_length: int

    def pinned(self) -> Pins:
        """What the mainline's tip pins to judge evidence by."""
        return pins.read(self.folder.files, lambda id: self.objects.read(id, pins.MAX_PIN_BYTES)[1])


@contextlib.contextmanager
def opened(repository: Repository) -> Iterator[Shelf]:
    """The notes as they are now. Raises NoAnswer without a trust root, and in a shallow clone that lacks it. The
    mainline is read, and not judged."""
    trusted = settings.pins(repository.path)
    if trusted is None:
        raise unpinned()
    root, mainline = trusted
    refs = repository.refs(mainline, settings.NOTES_REF)
    tip = refs.get(mainline)
    if tip is None:
        raise Error(f"the mainline {mainline} does not exist here",
                    f"git fetch, or name another: git auths root pin --mainline FULL-REF {root}")  # fmt: skip
    if not repository.has(root):
        raise incomplete(root) if repository.is_shallow else root_is_elsewhere(root)
    with Objects(repository.path) as objects:
        folder = AuthsFolders(objects.read, repository.hex_length, root)(objects.auths_tree(tip))
        there = Notes(objects, refs.get(settings.NOTES_REF))
        require_commit(there, objects)
        yield Shelf(root, folder, there, objects, repository.hex_length)


def require_commit(there: Notes, objects: Objects) -> None:
    """Raises errors.Error where the ref of the notes points to something else, which nothing can be read from."""
    if there.commit is None:
        return
    try:
        kind, _ = objects.read(there.commit)
    except TooLarge:
        kind = b"blob"
    if kind != b"commit":
        raise Error(f"{settings.NOTES_REF} points to a {kind.decode(errors='replace')}, not to a commit",
                    f"git update-ref -d {settings.NOTES_REF}; git auths sync")  # fmt: skip


def addresses_of(line: bytes, hex_length: int) -> frozenset[str]:
    """The ids, of so many digits, of the notes that a line stands in; raises AttestedInvalid."""
    return read(line).addresses(hex_length)


def add(repository: Repository, lines: Iterable[bytes], message: str) -> int:
    """Put each line on all that it names, in one commit of the notes, and return how many additions that were."""
    additions: dict[str, list[bytes]] = {}
    for line in lines:
        try:
            addresses = addresses_of(line, repository.hex_length)
        except AttestedInvalid as error:
            raise ValueError(f"not an attestation: {error.reason}") from None
        if not addresses:
            raise ValueError("the attestation names no object and no digest that a note could stand on")
        for address in addresses:
            additions.setdefault(address, []).append(line)
    return notes.append(repository.path, additions, message)


def of_object(there: Notes, object_id: str) -> Found:
    """What is attested of a commit or tag."""
    return _found(there.read(object_id), lambda one: object_id in one.objects)


def of_digest(there: Notes, digest: str, hex_length: int) -> Found:
    """What is attested of whatever has this SHA-256 (hex), where object ids have so many digits."""
    return _found(there.read(digest[:hex_length]), lambda one: digest in one.artifacts)


def every(there: Notes, hex_length: int) -> Iterator[Attested | Ignored]:
    """All that stands in the notes: each attestation once, on however many objects it stands. Streamed."""
    # A note that stands on many objects is read once, whatever somebody has made a tree of it.
    standing: dict[tuple[str | None, ...], set[str]] = {}
    for address in there.object_ids():
        standing.setdefault(tuple(there.paths(address)), set()).add(address)
    seen: set[bytes] = set()
    for some in notes.chunks((next(iter(addresses)) for addresses in standing.values()), notes.OBJECTS_AHEAD):
        there.read_ahead(some)
        for address in some:
            note = there.read(address)
            new = tuple(line for line in note.lines if _digest(line) not in seen)
            found = _found(note._replace(lines=new), _is_on(standing[tuple(there.paths(address))], hex_length))
            seen.update(_digest(one.raw) for one in found.attested)
            yield from found.attested
            yield from found.ignored
            if found.incomplete:
                yield Ignored(f"the notes on {address} cannot be read whole", 0)


def _is_on(addresses: Collection[str], hex_length: int) -> Callable[[Attested], bool]:
    return lambda one: not one.addresses(hex_length).isdisjoint(addresses)


def _digest(line: bytes) -> bytes:
    return sha256(line).digest()


def _found(note: Note, is_for: Callable[[Attested], bool]) -> Found:
    attested: list[Attested] = []
    ignored: list[Ignored] = []
    for line in note.lines:
        try:
            one = read(line)
        except AttestedInvalid as error:
            ignored.append(Ignored(error.reason))
            continue
        if is_for(one):
            attested.append(one)
        else:
            ignored.append(Ignored("it is not about what it stands on"))
    if note.ignored:
        ignored.append(Ignored("not a JSON object on one line of at most 64 KiB", note.ignored))
    return Found(tuple(attested), tuple(ignored), note.incomplete)
