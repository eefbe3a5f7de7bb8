"""Finding `.auths` in a root tree, and refusing whatever another file system would take for it.

The names that macOS and Windows fold onto `.auths` are those that git guards `.git` against (git: utf8.c
is_hfs_dotgit, path.c is_ntfs_dotgit): a checkout there would put an attacker's folder over the real one.
"""

from __future__ import annotations

import unicodedata

from git_auths.core.gitobject import DIRECTORY, Entry, Malformed, parse_tree

AUTHS = b".auths"

# utf8.c: next_hfs_char ignores these code points.
_HFS_IGNORED = dict.fromkeys(
    [*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF], None
)  # fmt: skip


class Found:
    """What a root tree says about `.auths`: its tree id (None: absent), or why nothing below it can be believed."""

    __slots__ = ("id", "malformed", "problem")

    def __init__(self, id: str | None, problem: str | None = None, malformed: bool = False) -> None:
        self.id = id
        self.problem = problem
        self.malformed = malformed


class RootTrees:
    """Reads root trees one after the other; like the last one but for object ids, a tree needs no second scan.

    Comparing costs two big-integer operations where a scan of 200 entries costs over 100 microseconds.
    """

    def __init__(self, hex_length: int) -> None:
        self._hex_length = hex_length
        self._length = -1
        self._mask = 0
        self._skeleton = 0
        self._offset: int | None = None  # of the id in `.auths`' entry
        self._problem: str | None = None
        self._last = (b"", Found(None))  # the id at that place in the last tree, and what was said of it

    def find(self, raw: bytes) -> Found:
        if len(raw) != self._length or int.from_bytes(raw, "big") & self._mask != self._skeleton:
            try:
                self._scan(raw)
            except Malformed as error:
                self._length = -1
                return Found(None, str(error), malformed=True)
        if self._problem is not None:
            return Found(None, self._problem)
        if self._offset is None:
            return Found(None)
        id = raw[self._offset : self._offset + self._hex_length // 2]
        if id != self._last[0]:
            self._last = id, Found(id.hex())
        return self._last[1]

    def _scan(self, raw: bytes) -> None:
        width = self._hex_length // 2
        mask = bytearray(b"\xff") * len(raw)
        self._offset = self._problem = None
        position = 0
        for entry in parse_tree(raw, self._hex_length):
            position += len(entry.mode) + len(entry.name) + 2
            mask[position : position + width] = bytes(width)
            if entry.name == AUTHS:
                self._offset = position
            self._problem = self._problem or _problem_with(entry)
            position += width
        self._length = len(raw)
        self._mask = int.from_bytes(mask, "big")
        self._skeleton = int.from_bytes(raw, "big") & self._mask


def _problem_with(entry: Entry) -> str | None:
    if entry.name == AUTHS:
        return None if entry.mode == DIRECTORY else ".auths is not a folder"
    if is_alias(entry.name, AUTHS):
        return f"{entry.name.decode(errors='backslashreplace')!r} stands for .auths on some file systems"
    return None


_ODD = frozenset(b"~\\")  # the ASCII characters by which NTFS reaches another name
_HEX = frozenset("0123456789abcdef")


def is_alias(name: bytes, exact: bytes) -> bool:
    """Would a case-folding, Unicode-normalising or short-name file system open `exact` under this other `name`?"""
    if name == exact or (name.isascii() and not name.lower().startswith(exact) and not _ODD.intersection(name)):
        return False  # nearly every name
    text = name.decode("utf-8", "surrogateescape").translate(_HFS_IGNORED)
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return any(_is_ntfs_name(part, exact.decode()) for part in folded.split("\\"))  # a separator on Windows


def _is_ntfs_name(name: str, wanted: str) -> bool:
    """path.c, is_ntfs_dot_generic: alternate streams, trailing dots and spaces, and short names are the same file."""
    plain = name.split(":", 1)[0].rstrip(" .")
    return plain == wanted or _is_short_name(plain, wanted)


def _is_short_name(name: str, wanted: str) -> bool:
    """Six letters and a number; where those are taken, two letters, four hex digits and a number, eight in all.

    As the number grows it pushes the digits out, then the letters.
    """
    stem, tilde, rest = name.partition("~")
    number, _, suffix = rest.partition(".")
    letters, _, wanted_suffix = wanted.lstrip(".").partition(".")
    if not tilde or suffix != wanted_suffix[:3] or not number.isdigit() or number.startswith("0"):
        return False
    hashed = len(name) - len(suffix) - bool(suffix) == 8 and _HEX.issuperset(stem[2:])
    return stem == letters[:6] or (hashed and stem[:2] == letters[: len(stem[:2])])
