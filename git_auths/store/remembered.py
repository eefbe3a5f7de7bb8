"""What an earlier run found good: a mainline tip, and what each commit behind it hands down.

One file a repository, in the user's cache folder: a header in JSON, a table of commits sorted by id, and a keyed hash
over both. The key lies with the user's identities, so that whoever can write the cache cannot write a verdict into it.
An entry counts only for the same verifier, repository, root and mainline, while the approvals that were counted are
still there, and while its tip is on the mainline's first-parent chain (the caller sees to that). Deleting it changes
the time, never the verdict.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from hmac import compare_digest
from typing import Any, NamedTuple

from git_auths import __version__
from git_auths.core.auths_folder import AuthsFolder, AuthsFolders
from git_auths.core.judge import Verdict
from git_auths.core.judgement import Mainline, Remembered
from git_auths.core.lineage import State, Version
from git_auths.core.sha2 import sha256
from git_auths.errors import Error
from git_auths.store import keystore
from git_auths.store.atomic import write_file

FORMAT = 5  # goes up whenever a verdict could differ from what an older verifier said
MIN_COMMITS = 256  # what fewer commits cost is not worth a file
MAX_TOLD = 4096  # verdicts with a reason
MAX_BYTES = 512 * 1024 * 1024
KEY_BYTES = 32
MAC_BYTES = 32
WORDS = ("good", "countersigned", "adopted", "ungoverned")
WORD_BITS = 2
INDEX_BYTES = 4


class Place(NamedTuple):
    """What an entry belongs to: a git directory, a trust root, and the branch that the mainline is."""

    git_dir: str
    root: str
    mainline: str


class Approvals(NamedTuple):
    """The notes that the verdicts used: the commit they were read from, and by object the digests of the lines."""

    notes_tip: str | None
    lines: Mapping[str, Iterable[str]]


class Table(Remembered):
    """A remembered mainline, read back."""

    def __init__(self, header: dict[str, Any], rows: memoryview, folder_at: AuthsFolders) -> None:
        self.tip = header["tip"]
        self.clock_seconds = header["clock_seconds"]
        self.chain_length = header["chain_length"]
        self.version_count = len(header["versions"])
        self.approvals = Approvals(header["notes_tip"], header["approvals"])
        self.told = {fields[0]: Verdict("commit", *fields) for fields in header["told"]}  # what is more than good
        self.header = header
        self.rows = rows
        self._folder_at = folder_at
        self._id_bytes = len(self.tip) // 2
        self._states: dict[int, State] = {}
        self._versions: dict[int, Version] = {}

    def __len__(self) -> int:
        return len(self.rows) // (self._id_bytes + INDEX_BYTES)

    def __contains__(self, commit: object) -> bool:
        return isinstance(commit, str) and self._value(commit) is not None

    def word(self, commit: str) -> str | None:
        """The verdict on a commit; None when it is not behind the tip."""
        value = self._value(commit)
        return None if value is None else WORDS[value & ((1 << WORD_BITS) - 1)]

    def state_of(self, commit: str) -> State | None:
        value = self._value(commit)
        index = (value or 0) >> WORD_BITS
        return self._state(index - 1) if index else None

    def _value(self, commit: str) -> int | None:
        wanted = bytes.fromhex(commit)
        width, row = self._id_bytes, self._id_bytes + INDEX_BYTES
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            found = bytes(self.rows[middle * row : middle * row + width])
            if found == wanted:
                return int.from_bytes(self.rows[middle * row + width : (middle + 1) * row], "big")
            if found < wanted:
                low = middle + 1
            else:
                high = middle
        return None

    def _state(self, index: int) -> State:
        if index not in self._states:
            version, versions, auths = self.header["states"][index]
            self._states[index] = State(self._version(version), int(versions, 16), auths)
        return self._states[index]

    def _version(self, bit: int) -> Version:
        if bit not in self._versions:
            commit, auths, descent = self.header["versions"][bit]
            folder: AuthsFolder = self._folder_at(auths)
            self._versions[bit] = Version(1 << bit, int(descent, 16), commit, folder)
        return self._versions[bit]


def recall(place: Place, folder_at: AuthsFolders) -> Table | None:
    """What is remembered of this place; None when there is nothing, or nothing to be believed."""
    key = _key(create=False)
    if key is None:
        return None
    try:
        with open(_path(place), "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > MAX_BYTES:
                return None
            data = stream.read(size)
    except OSError:
        return None
    body, mac = data[:-MAC_BYTES], data[-MAC_BYTES:]
    if not compare_digest(_mac(key, place, body), mac):
        return None
    size = int.from_bytes(body[:4], "big")
    return Table(json.loads(body[4 : 4 + size]), memoryview(body)[4 + size :], folder_at)


def remember(place: Place, mainline: Mainline, past: Table | None, approvals: Approvals) -> None:
    """Keep a mainline that is good with all behind it. Raises errors.Error where it cannot be written."""
    header, rows = _header(mainline, past, approvals)
    raw = json.dumps(header, separators=(",", ":")).encode()
    body = len(raw).to_bytes(4, "big") + raw + rows
    key = _key(create=True)
    if key is None or len(body) + MAC_BYTES > MAX_BYTES or len(header["told"]) > MAX_TOLD:
        return
    path = _path(place)
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    except OSError as error:
        raise Error(f"cannot write {path}: {error.strerror}") from None
    write_file(path, body + _mac(key, place, body))


def _header(mainline: Mainline, past: Table | None, approvals: Approvals) -> tuple[dict[str, Any], bytes]:
    told = []
    versions: list[Any] = list(past.header["versions"]) if past is not None else []
    states: list[Any] = list(past.header["states"]) if past is not None else []
    versions += [None] * (mainline.versions.count - len(versions))
    rows = _rows_of(past)
    known: dict[int, bytes] = {}  # what follows the id of a good commit, by its state: equal ones are one object
    for commit, (state, outcome, _) in mainline.records.items():
        value = known.get(id(state))
        if value is None:
            index = 0
            if state is not None:
                bit = state.policy.bit.bit_length() - 1
                versions[bit] = versions[bit] or _as_json(state.policy, mainline)
                states.append([bit, f"{state.versions:x}", state.auths])
                index = len(states)
            value = known[id(state)] = (index << WORD_BITS).to_bytes(INDEX_BYTES, "big")
        if outcome.fault is not None:
            verdict = mainline.verdict(commit)
            told.append(verdict[1:7])
            value = (int.from_bytes(value, "big") | WORDS.index(verdict.verdict)).to_bytes(INDEX_BYTES, "big")
        rows.append(bytes.fromhex(commit) + value)
    rows.sort()
    header = {
        "tip": mainline.tip, "clock_seconds": mainline.clock_seconds,
        "chain_length": len(mainline.chain) + (past.chain_length if past is not None else 0),
        "notes_tip": approvals.notes_tip, "approvals": {id: sorted(lines) for id, lines in approvals.lines.items()},
        "versions": versions, "states": states, "told": [*(past.header["told"] if past else ()), *told],
    }  # fmt: skip
    return header, b"".join(rows)


def _as_json(version: Version, mainline: Mainline) -> list[str | None]:
    return [version.commit, mainline.auths_of(version.commit), f"{version.descent:x}"]


def _rows_of(past: Table | None) -> list[bytes]:
    if past is None:
        return []
    width = len(past.tip) // 2 + INDEX_BYTES
    raw = bytes(past.rows)
    return [raw[at : at + width] for at in range(0, len(raw), width)]


def _mac(key: bytes, place: Place, body: bytes) -> bytes:
    about = json.dumps([__version__, FORMAT, *place]).encode()
    return blake2b(len(about).to_bytes(4, "big") + about + body, key=key, digest_size=MAC_BYTES).digest()


def _path(place: Place) -> str:
    name = sha256("\0".join(place).encode(errors="surrogateescape")).hexdigest()[:32]
    return os.path.join(_cache_folder(), f"{name}.mainline")


def _key(create: bool) -> bytes | None:
    """The user's own key; None where there is none, or no place for one: then nothing is remembered."""
    with contextlib.suppress(Error, OSError):
        home = keystore.home()
        path = os.path.join(home, "cache.key")
        if create and not os.path.exists(path):
            os.makedirs(home, mode=0o700, exist_ok=True)
            write_file(path, os.urandom(KEY_BYTES))
        with open(path, "rb") as stream:
            key = stream.read(KEY_BYTES + 1)
            if len(key) == KEY_BYTES and not os.fstat(stream.fileno()).st_mode & 0o077:
                return key
    return None


def _cache_folder() -> str:
    """What platformdirs.user_cache_dir("git-auths") gives, on Linux without the 20 ms of its import."""
    if sys.platform == "linux":
        base = os.environ.get("XDG_CACHE_HOME", "")
        if not os.path.isabs(base):  # the XDG specification: such a value is ignored
            base = os.path.expanduser("~/.cache")
        if os.path.isabs(base):
            return os.path.join(base, "git-auths")
    from platformdirs import user_cache_dir

    return user_cache_dir("git-auths")
