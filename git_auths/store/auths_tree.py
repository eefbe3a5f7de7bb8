"""`.auths` as a commit or the index has it, with files laid over it in memory: what would come of writing them is known
before anything is written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from git_auths.core.auths_folder import AuthsFolder, AuthsFolders
from git_auths.core.gitobject import DIRECTORY, FILE, object_id
from git_auths.errors import Error, TooLarge
from git_auths.store import settings
from git_auths.store.repository import Objects, Repository

PREFIX = ".auths/"


class Entry(NamedTuple):
    """A file's mode (b"100644") and the id of its content."""

    mode: bytes
    id: str


def log_path(aid: str) -> str:
    """The file of a key event log, below `.auths/`."""
    return f"kels/{aid}.cesr"


def grant_path(sha256: str) -> str:
    """The file of the grant whose payload has this SHA-256, below `.auths/`."""
    return f"grants/{sha256}.json"


def committed(repository: Repository, commit: str | None) -> dict[str, Entry]:
    """The files below `.auths/` in the tree of `commit`, by their path from there."""
    if commit is None:
        return {}
    listed = repository.git("ls-tree", "-r", "-z", "--full-tree", commit, "--", ".auths")
    return dict(_entry(line, words[0], words[2]) for line, words in _fields(listed))


def staged(repository: Repository) -> dict[str, Entry]:
    """The files below `.auths/` in the index. Raises Error where a merge has left some of them undecided."""
    listed = repository.git("ls-files", "--stage", "-z", "--full-name", "--", ":(top).auths")
    found = {}
    for path, words in _fields(listed):
        if words[2] != b"0":
            raise Error(f"{os.fsdecode(path)} is in conflict", "settle it, then git add .auths")
        name, entry = _entry(path, words[0], words[1])
        found[name] = entry
    return found


def _fields(listed: bytes) -> Iterator[tuple[bytes, list[bytes]]]:
    for line in listed.split(b"\0")[:-1]:
        words, _, path = line.partition(b"\t")
        yield path, words.split(b" ")


def _entry(path: bytes, mode: bytes, id: bytes) -> tuple[str, Entry]:
    name = os.fsdecode(path)
    if not name.startswith(PREFIX):
        raise Error(".auths is no folder here", "git auths policy check")
    return name.removeprefix(PREFIX), Entry(mode, id.decode())


class AuthsTree:
    """The files `entries` below `.auths/`, and what is laid over them."""

    def __init__(self, repository: Repository, objects: Objects, entries: dict[str, Entry]) -> None:
        self._objects = objects
        self._hex_length = repository.hex_length
        self.root = settings.pinned_root(repository.path)  # which grants are for
        self.entries = dict(entries)
        self.files: dict[str, bytes] = {}  # what was laid over, by path
        self._blobs: dict[str, bytes] = {}  # by id; the repository need not have them, nor the trees
        self._trees: dict[str, bytes] = {}

    def content(self, path: str, limit: int) -> bytes:
        """The file's bytes; none where there is no such file. Raises TooLarge."""
        entry = self.entries.get(path)
        return b"" if entry is None else self._read(entry.id, limit)[1]

    def put(self, path: str, content: bytes) -> None:
        """Lay a file over what is there; the same content changes nothing."""
        id = object_id(b"blob", content, self._hex_length)
        if self.entries.get(path) != Entry(FILE, id):
            self.entries[path] = Entry(FILE, id)
            self.files[path] = content
            self._blobs[id] = content

    def folder(self) -> AuthsFolder:
        """What the files say together; `fault` where they cannot be believed."""
        return AuthsFolders(self._read, self._hex_length, self.root)(self.tree())

    def tree(self) -> str:
        """The id of the tree that the files make."""
        self._trees = {}
        return self._tree({tuple(path.split("/")): entry for path, entry in self.entries.items()})

    def write(self, repository: Repository) -> None:
        """Put all of it among the repository's objects: nobody sees them before something names them."""
        self.tree()
        for kind, objects in (("blob", self._blobs), ("tree", self._trees)):
            for raw in objects.values():
                repository.git("hash-object", "-t", kind, "-w", "--stdin", stdin=raw)

    def _tree(self, entries: dict[tuple[str, ...], Entry]) -> str:
        named: dict[bytes, Entry] = {}
        folders: dict[str, dict[tuple[str, ...], Entry]] = {}
        for (first, *rest), entry in entries.items():
            if rest:
                folders.setdefault(first, {})[tuple(rest)] = entry
            else:
                named[os.fsencode(first)] = entry
        for name, inside in folders.items():
            named[os.fsencode(name)] = Entry(DIRECTORY, self._tree(inside))
        # git sorts a folder as if its name ended in a slash (git: read-cache.c, base_name_compare)
        ordered = sorted(named.items(), key=lambda item: item[0] + b"/" * (item[1].mode == DIRECTORY))
        raw = b"".join(b"%b %b\0%b" % (entry.mode, name, bytes.fromhex(entry.id)) for name, entry in ordered)
        id = object_id(b"tree", raw, self._hex_length)
        self._trees[id] = raw
        return id

    def _read(self, id: str, limit: int) -> tuple[bytes, bytes]:
        for kind, objects in ((b"blob", self._blobs), (b"tree", self._trees)):
            if id in objects:
                if len(objects[id]) > limit:
                    raise TooLarge(f"object {id} has {len(objects[id])} bytes; at most {limit} are read here")
                return kind, objects[id]
        return self._objects.read(id, limit)
