"""Attestations in git notes: one note an object, one envelope or bundle a line, the lines a set.

A note is data from strangers: it is read within bounds, lines that cannot be attestations are counted and left
out, and entries of the tree that are not notes are passed over. Merging is the union of lines, object by object,
so two people who attest at once never conflict.

The path of a note is the object's id, cut after the first two digits. git and others cut more often or not at
all: what they wrote is found (up to `ab/cd/ef/...`), and what is written again gets our cut.

`repo` is a folder in the repository, or None for the caller's own (in a hook: always None).
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple, Protocol

from git_auths.core.dsse import MAX_ENVELOPE_BYTES
from git_auths.errors import Error, MissingObject, TooLarge
from git_auths.store import git
from git_auths.store.repository import MAX_AT_ONCE, Objects
from git_auths.store.settings import NOTES_REF

MAX_LINE_BYTES = MAX_ENVELOPE_BYTES
MAX_NOTE_BYTES = 16 * 1024 * 1024  # all notes on one object
MAX_NOTE_LINES = 128 * 1024
MAX_TREE_BYTES = 8 * 1024 * 1024  # with our cut that is 30 million notes
MAX_MERGE_BYTES = 256 * 1024 * 1024
OBJECTS_AHEAD = 128  # whose notes are read in one go, as far as they are small
MAX_TRIES = 100  # to move a ref that others move too; each time one of them got through

Repo = Path | None

_CACHE_BYTES = 16 * 1024 * 1024
_SMALL_NOTE_BYTES = 64 * 1024
_CUTS = (0, 1, 2, 3)  # folders above the file
_CUT = 1

_Entries = dict[bytes, tuple[bool, str]]  # name -> is it a folder, object id


class Note(NamedTuple):
    """What stands on one object: `lines` that may be attestations, sorted; how many others were `ignored`.

    `incomplete`: there is a note that is missing from the repository, or too large to be read.
    """

    lines: tuple[bytes, ...] = ()
    ignored: int = 0
    incomplete: bool = False


class Notes:
    """The notes in one commit, whatever becomes of the ref; `commit` is None where there are none.

    A lookup reads one tree and one folder of it, and remembers them. `objects` stays the caller's to close.
    """

    def __init__(self, objects: Objects, commit: str | None) -> None:
        self.commit = commit
        self._objects = objects
        self._trees: dict[str, _Entries] = {}
        self._tree_bytes = 0
        self._at_hand: dict[str, bytes] = {}  # blobs that were read ahead

    def read(self, object_id: str) -> Note:
        """The note on an object."""
        if self.commit is None:
            return Note()
        try:
            return parse(self.blobs(object_id))
        except (MissingObject, TooLarge):
            return Note(incomplete=True)

    def blobs(self, object_id: str) -> list[bytes]:
        """The raw notes on an object, at most 16 MiB; raises MissingObject, TooLarge."""
        blobs = []
        size = 0
        for blob_id in self.paths(object_id):
            if blob_id is None:
                continue
            at_hand = self._at_hand.get(blob_id)
            kind, raw = self._objects.read(blob_id, MAX_NOTE_BYTES) if at_hand is None else (b"blob", at_hand)
            size += len(raw)
            if size > MAX_NOTE_BYTES:
                raise TooLarge(f"the notes on {object_id} have more than {MAX_NOTE_BYTES} bytes")
            if kind == b"blob":
                blobs.append(raw)
        return blobs

    def read_ahead(self, object_ids: Iterable[str]) -> None:
        """Get the notes on these objects, as far as they are small, in one go, and forget those of the last time."""
        self._at_hand = {}
        blobs = dict.fromkeys(id for one in object_ids for id in self.paths(one) if id is not None)
        for some in chunks(blobs, MAX_AT_ONCE):
            read = self._objects.read_several(some, _SMALL_NOTE_BYTES)
            self._at_hand.update((id, raw) for id, (kind, raw) in read.items() if kind == b"blob")

    def object_ids(self) -> Iterator[str]:
        """All objects that there are notes on, each once."""
        return differing(Notes(self._objects, None), self)

    def paths(self, object_id: str) -> list[str | None]:
        """The blob at each of the four places where a note on the object may stand."""
        found: list[str | None] = [None] * len(_CUTS)
        tree = self.tree()
        rest = object_id.encode()
        for cut in _CUTS:
            if tree is None:
                break
            entries = self.entries(tree)
            is_folder, blob = entries.get(rest, (True, ""))
            if not is_folder:
                found[cut] = blob
            is_folder, folder = entries.get(rest[:2], (False, ""))
            tree = folder if is_folder else None
            rest = rest[2:]
        return found

    def tree(self) -> str | None:
        """What names the root of the notes; None where there are none."""
        return None if self.commit is None else f"{self.commit}^{{tree}}"

    def entries(self, tree: str | None) -> _Entries:
        """The files and folders of a tree that a note's path can go through; raises MissingObject, TooLarge."""
        if tree is None:
            return {}
        known = self._trees.get(tree)
        if known is None:
            assert self.commit is not None
            _, raw = self._objects.read(tree, MAX_TREE_BYTES)
            known = _entries(raw, len(self.commit))
            self._remember(tree, known, len(raw))
        return known

    def _remember(self, tree: str, entries: _Entries, size: int) -> None:
        if self._tree_bytes + size > _CACHE_BYTES:
            self._trees.clear()
            self._tree_bytes = 0
        self._trees[tree] = entries
        self._tree_bytes += size


def chunks(items: Iterable[str], size: int) -> Iterator[list[str]]:
    """The items in lists of `size`, the last one shorter."""
    iterator = iter(items)
    while some := list(islice(iterator, size)):
        yield some


def _entries(raw: bytes, hex_length: int) -> _Entries:
    """The files and folders with hex names in a raw tree, up to where it is malformed."""
    entry = re.compile(rb"([0-7]{5,6}) ([^\0]+)\0(.{%d})" % (hex_length // 2), re.DOTALL)
    entries = {}
    position = 0
    while found := entry.match(raw, position):
        mode, name, id = found.groups()
        position = found.end()
        if (mode == b"40000" or mode.startswith(b"100")) and not name.strip(b"0123456789abcdef"):
            entries[name] = (mode == b"40000", id.hex())
    return entries


def parse(blobs: Iterable[bytes]) -> Note:
    """The note that `blobs` are together."""
    lines: set[bytes] = set()
    ignored = 0
    for blob in blobs:
        for found in re.finditer(rb"[^\n]+", blob):
            line = found[0]
            if not is_line(line):
                ignored += 1
            elif len(lines) < MAX_NOTE_LINES or line in lines:
                lines.add(line)
            else:
                return Note(incomplete=True)
    return Note(tuple(sorted(lines)), ignored)


def is_line(line: bytes) -> bool:
    """Whether the line can be an attestation: a JSON object on one line, of at most 64 KiB."""
    return line[:1] == b"{" and line[-1:] == b"}" and len(line) <= MAX_LINE_BYTES and b"\n" not in line


def tip(repo: Repo, ref: str = NOTES_REF) -> str | None:
    """The commit that `ref` (or an id) names; None when there is none."""
    name = f"{ref}^{{commit}}"
    status, answer = git.attempt("rev-parse", "--verify", "--quiet", "--end-of-options", name, cwd=repo)
    return None if status else answer.decode().strip()


@contextlib.contextmanager
def opened(repo: Repo, ref: str = NOTES_REF) -> Iterator[Notes]:
    """The notes under `ref` as they are now, for as long as the context lasts."""
    commit = tip(repo, ref)
    with Objects(repo) as objects:
        yield Notes(objects, commit)


def read(repo: Repo, object_id: str, ref: str = NOTES_REF) -> Note:
    """The note on one object. `opened` is for several: this starts two processes each time."""
    with opened(repo, ref) as notes:
        return notes.read(object_id)


def read_many(repo: Repo, object_ids: Iterable[str], ref: str = NOTES_REF) -> Iterator[tuple[str, Note]]:
    """Each object's id with the note on it, in the order asked for."""
    with opened(repo, ref) as notes:
        for object_id in object_ids:
            yield object_id, notes.read(object_id)


def append(repo: Repo, additions: Mapping[str, Iterable[bytes]], message: str, ref: str = NOTES_REF) -> int:
    """Add lines to the notes on objects, in one commit, and return how many were new.

    Whoever writes at the same time loses nothing. Raises errors.Error, in a server's quarantine too, and
    ValueError for a line that cannot be an attestation.
    """
    wanted = {object_id: frozenset(lines) for object_id, lines in additions.items()}
    for line in chain.from_iterable(wanted.values()):
        if not is_line(line):
            raise ValueError("a line of a note is a JSON object of at most 64 KiB, without line feeds")

    def write(commit: str | None, objects: Objects) -> int:
        before = Notes(objects, commit)
        changed: dict[str, bytes] = {}
        added = 0
        for object_id, lines in wanted.items():
            present = _lines(_readable(before, object_id))
            if lines <= present:
                continue
            added += len(lines - present)
            changed[object_id] = _joined(present | lines)
            if len(changed[object_id]) > MAX_NOTE_BYTES:
                raise TooLarge(f"the note on {object_id} would have more than {MAX_NOTE_BYTES} bytes")
        if changed:
            _commit(repo, ref, [commit] if commit else [], changed, message)
        return added

    return _moving(repo, ref, write)


def _readable(notes: Notes, object_id: str) -> list[bytes]:
    """The raw notes on an object that is about to be written: what cannot be read must not be replaced."""
    try:
        return notes.blobs(object_id)
    except TooLarge as error:
        raise TooLarge(f"the note on {object_id} is too large to add to: {error.message}", error.hint) from None
    except MissingObject as error:
        raise MissingObject(f"the note on {object_id} is not in this repository", "git fetch") from error


def merge(repo: Repo, ours_ref: str, theirs_ref: str) -> int:
    """Move `ours_ref` to the union of both, and return how many lines were new to it; `theirs_ref` may be an id.

    Fast-forwards where that drops no line of ours. Otherwise only lines that can be attestations are taken over
    from theirs, and every entry of ours is kept. Raises errors.Error, in a server's quarantine too.
    """
    theirs = tip(repo, theirs_ref)

    def write(ours: str | None, objects: Objects) -> int:
        if theirs is None or theirs == ours or (ours and _is_ancestor(repo, theirs, ours)):
            return 0
        new = Notes(objects, theirs)
        old = Notes(objects, ours)
        if ours is None:
            git.run("update-ref", "-m", "notes: merge", ours_ref, theirs, "0" * len(theirs), cwd=repo)
            return sum(len(lines) for _, lines in missing_lines(old, new))
        added, changed = _union(old, new)
        if _is_ancestor(repo, ours, theirs) and not any(missing_lines(new, old)):
            git.run("update-ref", "-m", "notes: fast-forward", ours_ref, theirs, ours, cwd=repo)
        else:
            _commit(repo, ours_ref, [ours, theirs], changed, "Merge the attestations of another clone")
        return added

    return _moving(repo, ours_ref, write)


def _union(ours: Notes, theirs: Notes) -> tuple[int, dict[str, bytes]]:
    """How many lines ours gains from theirs, and the notes that change by it."""
    changed: dict[str, bytes] = {}
    added = size = 0
    for object_id, lines in missing_lines(ours, theirs):
        try:
            note = _joined(_lines(ours.blobs(object_id)) | lines)
        except (MissingObject, TooLarge):
            note = _joined(lines)  # theirs can be read, ours cannot
        if len(note) > MAX_NOTE_BYTES:
            continue
        size += len(note)
        if size > MAX_MERGE_BYTES:
            raise TooLarge(f"the notes in {theirs.commit} bring more than {MAX_MERGE_BYTES} bytes; not merged")
        changed[object_id] = note
        added += len(lines)
    return added, changed


def missing_lines(there: Notes, here: Notes) -> Iterator[tuple[str, frozenset[bytes]]]:
    """For each object, the lines `here` that `there` lacks; only objects whose notes differ are looked at.

    What cannot be read here is passed over; what cannot be read there counts as lacking.
    """
    for object_id in _differing_at_hand(there, here):
        lines = frozenset(here.read(object_id).lines).difference(there.read(object_id).lines)
        if lines:
            yield object_id, lines


def _differing_at_hand(a: Notes, b: Notes) -> Iterator[str]:
    """`differing`, with the notes of both read ahead."""
    for some in chunks(differing(a, b), OBJECTS_AHEAD):
        with contextlib.suppress(MissingObject, TooLarge):  # a folder: its notes are read one by one, or found missing
            a.read_ahead(some)
            b.read_ahead(some)
        yield from some


class Judge(Protocol):
    """Says of single lines whether a server takes them."""

    def objection(self, object_id: str, line: bytes) -> str | None:
        """Why the line may not come in, in words that go on after the object; None: it may."""

    def is_void(self, object_id: str, line: bytes) -> bool:
        """Can it count nowhere? Then it may go away."""


def objections(repo: Repo, old: str | None, new: str, judge: Judge) -> Iterator[tuple[str, str]]:
    """(object id, why a server does not take it) for each note that the commit `new` makes worse than `old` has it.

    A line that could count somewhere may not go away, and what cannot be read or what `judge` objects to may not come
    in; what stood there unreadable may shrink. It writes nothing, so it may run in quarantine.
    """
    with Objects(repo) as objects:
        before, after = Notes(objects, old), Notes(objects, new)
        for object_id in _differing_at_hand(before, after):
            was, now = before.read(object_id), after.read(object_id)
            objection = _objection(object_id, was, now, judge)
            if objection is not None:
                yield object_id, objection


def _objection(object_id: str, was: Note, now: Note, judge: Judge) -> str | None:
    if now.incomplete:
        return "is too large to be read"
    if now.ignored > was.ignored:
        return "has lines that are no attestations"
    lost = () if was.incomplete else sorted(set(was.lines).difference(now.lines))
    if not all(judge.is_void(object_id, line) for line in lost):
        return "would lose an attestation"
    new = sorted(set(now.lines).difference(was.lines))
    return next(filter(None, (judge.objection(object_id, line) for line in new)), None)


def differing(a: Notes, b: Notes) -> Iterator[str]:
    """The ids of the objects whose notes are not stored alike in both, each once; equal folders are skipped."""
    yield from _differing(a, b, a.tree(), b.tree(), "")


def _differing(a: Notes, b: Notes, a_tree: str | None, b_tree: str | None, above: str) -> Iterator[str]:
    a_entries, b_entries = a.entries(a_tree), b.entries(b_tree)
    cut = len(above) // 2
    for name in sorted(a_entries.keys() | b_entries.keys()):
        entries = a_entries.get(name), b_entries.get(name)
        if entries[0] == entries[1]:
            continue
        path = above + name.decode()
        folders = [entry[1] if entry and entry[0] else None for entry in entries]
        if any(folders) and len(name) == 2 and cut + 1 < len(_CUTS):
            yield from _differing(a, b, folders[0], folders[1], path)
        # Where it stands at two places, the first that differs speaks for both.
        if len(path) == len(a.commit or b.commit or "") and a.paths(path)[:cut] == b.paths(path)[:cut]:
            yield path


def _moving(repo: Repo, ref: str, write: Callable[[str | None, Objects], int]) -> int:
    """What `write` returns, called with the commit at `ref` until it has moved the ref from there."""
    if "GIT_QUARANTINE_PATH" in os.environ:
        raise Error(f"{ref} cannot be written while a push is being received")
    with Objects(repo) as objects:
        for number in range(MAX_TRIES):
            commit = tip(repo, ref)
            try:
                return write(commit, objects)
            except git.GitFailed as failure:
                # Another process has moved the ref, or is about to and holds its lock.
                if tip(repo, ref) == commit and "File exists" not in failure.stderr:
                    raise
            import random  # costs 3 ms, and is seldom needed

            time.sleep(random.uniform(0, min(0.01 * 2**number, 0.2)))  # noqa: S311 (jitter, no secret)
    raise Error(f"{ref} kept moving while it was being written", "try again")


def _commit(repo: Repo, ref: str, parents: list[str], changed: Mapping[str, bytes], message: str) -> None:
    """Commit the first parent's tree with the notes that changed, and move `ref` there from what it contains.

    git-fast-import(1) refuses to move a ref to a commit that does not contain what the ref points to, and signs
    nothing, whatever commit.gpgSign says. Raises GitFailed.
    """
    text = message.encode(errors="replace")
    # What stands on many objects is sent, and hashed, once.
    marks = {note: mark for mark, note in enumerate(dict.fromkeys(changed.values()), 1)}
    stream = [b"blob\nmark :%d\ndata %d\n%b\n" % (mark, len(note), note) for note, mark in marks.items()]
    stream += [b"commit %b\ncommitter %b\ndata %d\n%b\n" % (os.fsencode(ref), _identity(repo), len(text), text)]
    stream += [b"%b %b\n" % (word, id.encode()) for word, id in zip((b"from", b"merge"), parents, strict=False)]
    for object_id, note in sorted(changed.items()):
        stream += [b"D %b\n" % _path(object_id, cut) for cut in _CUTS if cut != _CUT]
        stream.append(b"M 100644 :%d %b\n" % (marks[note], _path(object_id, _CUT)))
    stream.append(b"done\n")
    git.run("fast-import", "--quiet", "--done", "--date-format=raw", cwd=repo, stdin=b"".join(stream))


def _identity(repo: Repo) -> bytes:
    """The user's own name, address and time; ours where git knows of none."""
    status, answer = git.attempt("var", "GIT_COMMITTER_IDENT", cwd=repo, allow=(0, 1, 128))
    return b"git-auths <git-auths@localhost> %d +0000" % time.time() if status else answer.rstrip(b"\n")


def _path(object_id: str, cut: int) -> bytes:
    folders = [object_id[2 * i : 2 * i + 2] for i in range(cut)]
    return "/".join([*folders, object_id[2 * cut :]]).encode()


def _lines(blobs: Iterable[bytes]) -> set[bytes]:
    """Every line of the notes, whatever it is; blank ones are none."""
    return {line for blob in blobs for line in blob.split(b"\n") if line}


def _joined(lines: Iterable[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in sorted(lines))


def _is_ancestor(repo: Repo, old: str, new: str) -> bool:
    return git.attempt("merge-base", "--is-ancestor", old, new, cwd=repo)[0] == 0
