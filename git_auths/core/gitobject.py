"""git's raw objects, parsed strictly: what git's own readers forgive is `Malformed` here.

git finds headers by prefix, takes the last armor in a tag, and ignores what it does not know (gpg-interface.c,
commit.c: parse_buffer_signed_by_header). Two readers that forgive differently can be shown two different commits under
one signature, so this parser accepts one form only and names what is wrong with every other.

An object id is lower-case hex, 40 digits (SHA-1) or 64 (SHA-256).
"""

from __future__ import annotations

import functools
import hashlib
import re
from typing import NamedTuple

MAX_OBJECT_BYTES = 8 * 1024 * 1024  # a commit or tag beyond this is nobody's honest work
MAX_PARENTS = 1000  # the largest octopus known has 66
MAX_TREE_BYTES = 16 * 1024 * 1024  # about 300,000 entries in one folder

SSH_BEGIN = b"-----BEGIN SSH SIGNATURE-----\n"
SSH_END = b"-----END SSH SIGNATURE-----\n"

_ID = rb"(?:[0-9a-f]{64}|[0-9a-f]{40})"
# date.c writes what it is given: milliseconds have 13 digits, a zone of 99 hours and more has five.
_PERSON = rb"[^\n\0<>]*<[^\n\0<>]*> [0-9]{1,19} [+-][0-9]{4,5}"
_COMMIT = re.compile(
    rb"tree (%b)\n((?:parent %b\n)*)author (%b)\ncommitter (%b)\n" % (_ID, _ID, _PERSON, _PERSON)
)
_TAG = re.compile(rb"object (%b)\ntype (commit|tree|blob|tag)\ntag ([^\n\0]+)\ntagger (%b)\n" % (_ID, _PERSON))
_KNOWN_HEADER = re.compile(rb"\n(tree|parent|author|committer|(?i:gpgsig)[^ \n]*)(?=[ \n])")
_HEADER_END = re.compile(rb"\n(?! )")
_ENTRY = re.compile(rb"(40000|100644|100664|100755|120000|160000) ([^\0/]+)\0", re.DOTALL)
# gpg-interface.c, gpg_format: what git takes for the beginning of a tag's signature.
_ARMOR = re.compile(rb"^-----BEGIN (?:SSH SIGNATURE|PGP SIGNATURE|PGP MESSAGE|SIGNED MESSAGE)-----", re.MULTILINE)

DIRECTORY, FILE, EXECUTABLE, SYMLINK, SUBMODULE = b"40000", b"100644", b"100755", b"120000", b"160000"


class Malformed(ValueError):
    """The object's bytes are not of the one form that is read here; the message says where."""


class Commit(NamedTuple):
    """A commit: `signature` is the armored text without the header's indentation, `payload` what it signs."""

    tree: str
    parents: tuple[str, ...]
    author: bytes
    committer: bytes
    committed_at: int  # seconds since 1970, by the committer's word
    signature: bytes | None
    payload: bytes


class Tag(NamedTuple):
    """An annotated tag; `payload` is everything before the armor but a signature header."""

    target: str
    target_type: str
    name: bytes
    tagger: bytes
    tagged_at: int
    signature: bytes | None
    payload: bytes


class Entry(NamedTuple):
    """One line of a tree: `id` is the object's id in hex."""

    mode: bytes
    name: bytes
    id: str


def object_id(kind: bytes, raw: bytes, hex_length: int) -> str:
    """The id that git gives to `raw`: the hash over `<kind> <size>\\0<raw>`."""
    stored = b"%b %d\0%b" % (kind, len(raw), raw)
    digest = hashlib.sha1(stored, usedforsecurity=False) if hex_length == 40 else hashlib.sha256(stored)
    return digest.hexdigest()


def is_object_id(text: str) -> bool:
    """Is `text` a full object id, in lower-case hex?"""
    return len(text) in (40, 64) and not text.strip("0123456789abcdef")


def parse_commit(raw: bytes, hex_length: int) -> Commit:
    """Parse a raw commit of a repository whose ids have `hex_length` digits."""
    match = _usual_commit(hex_length).match(raw)
    if match is None or b"\0" in raw:
        return _parse_any_commit(raw, hex_length)
    tree, parent_lines, author, committer, signature = match.groups()
    payload = raw[: match.end(4) + 1] + raw[match.end(5) :]
    return Commit(
        tree.decode(), _parents(parent_lines), author, committer, int(committer.rsplit(b" ", 2)[1]),
        signature.replace(b"\n ", b"\n"), payload,
    )  # fmt: skip


@functools.cache
def _usual_commit(hex_length: int) -> re.Pattern[bytes]:
    """What nearly every signed commit looks like: `_COMMIT`, then this format's signature header and no other."""
    id, header = (rb"[0-9a-f]{40}", b"gpgsig") if hex_length == 40 else (rb"[0-9a-f]{64}", b"gpgsig-sha256")
    return re.compile(
        rb"tree (%b)\n((?:parent %b\n)*)author (%b)\ncommitter (%b)\n"
        rb"%b (-----BEGIN SSH SIGNATURE-----\n(?: [^\n]+\n){1,256} -----END SSH SIGNATURE-----\n)\n"
        % (id, id, _PERSON, _PERSON, header)
    )


def _parents(lines: bytes) -> tuple[str, ...]:
    if not lines:
        return ()
    parents = tuple(lines[7:-1].decode().split("\nparent "))
    if len(parents) > MAX_PARENTS:
        raise Malformed(f"more than {MAX_PARENTS} parents")
    return parents


def _parse_any_commit(raw: bytes, hex_length: int) -> Commit:
    """Reads what is usual just as `parse_commit` does, and whatever else there is."""
    match = _COMMIT.match(raw)
    end = -1 if match is None else raw.find(b"\n\n", match.end() - 1)
    if match is None or end < 0:
        raise Malformed(_what_is_wrong(raw))
    if b"\0" in raw:
        raise Malformed("a NUL byte in the commit")
    tree, parent_lines, author, committer = match.groups()
    parents = _parents(parent_lines)
    if len(tree) != hex_length or len(parent_lines) != len(parents) * (hex_length + 8):
        raise Malformed("an object id of another hash algorithm")
    signature, payload = _without_signatures(raw, match.end(), end + 1, hex_length)
    return Commit(
        tree.decode(), parents, author, committer, int(committer.rsplit(b" ", 2)[1]), signature, payload
    )  # fmt: skip


def _without_signatures(raw: bytes, start: int, end: int, hex_length: int) -> tuple[bytes | None, bytes]:
    """The armor of this format's signature header among the extra headers `raw[start:end]`, and the payload.

    An object may carry one signature a hash algorithm (gitformat-signature(5)); the payload leaves both out.
    """
    if start == end:
        return None, raw
    if raw[start : start + 1] == b" ":
        raise Malformed("a header that cannot be read")
    own = b"gpgsig" if hex_length == 40 else b"gpgsig-sha256"
    seen: set[bytes] = set()
    signature = None
    payload = b""
    kept = 0
    for match in _KNOWN_HEADER.finditer(raw, start - 1, end):
        name = match[1]
        if name in (b"tree", b"parent", b"author", b"committer"):
            raise Malformed(f"a second or misplaced {name.decode()} header")
        if name not in (b"gpgsig", b"gpgsig-sha256"):
            raise Malformed("an unknown signature header that begins with gpgsig")
        if name in seen:
            raise Malformed(f"a second {name.decode()} header")
        seen.add(name)
        line_end = _HEADER_END.search(raw, match.end(), end)
        assert line_end is not None  # the headers end with a line feed
        payload += raw[kept : match.start(1)]
        kept = line_end.end()
        if name == own:
            signature = raw[match.end() + 1 : kept].replace(b"\n ", b"\n")
    return signature, payload + raw[kept:]


def parse_tag(raw: bytes, hex_length: int) -> Tag:
    """Parse a raw annotated tag. The signature is the text from the one armor to the end.

    The other hash algorithm's signature may stand in a header; the payload leaves it out (builtin/tag.c: do_sign).
    """
    match = _TAG.match(raw)
    end = -1 if match is None else raw.find(b"\n\n", match.end() - 1)
    if match is None or end < 0:
        raise Malformed("the tag's headers are not object, type, tag and tagger, once each, in this order")
    if b"\0" in raw:
        raise Malformed("a NUL byte in the tag")
    target, kind, name, tagger = match.groups()
    if len(target) != hex_length:
        raise Malformed("an object id of another hash algorithm")
    other = b"gpgsig-sha256 " if hex_length == 40 else b"gpgsig "
    extra = _HEADER_END.search(raw, match.end())
    if end >= match.end() and not (raw.startswith(other, match.end()) and extra and extra.end() == end + 1):
        raise Malformed("the tag has other headers than object, type, tag and tagger")
    armors = [found.start() for found in _ARMOR.finditer(raw, end + 1)]
    if len(armors) > 1:
        raise Malformed("more than one signature in the tag")
    cut = armors[0] if armors else len(raw)
    payload = raw[: match.end()] + raw[end + 1 : cut]
    return Tag(
        target.decode(), kind.decode(), name, tagger, int(tagger.rsplit(b" ", 2)[1]), raw[cut:] or None, payload
    )  # fmt: skip


def parse_tree(raw: bytes, hex_length: int) -> tuple[Entry, ...]:
    """Parse a raw tree: known modes, no empty or slashed names, git's order, no name twice (fsck.c: fsck_tree)."""
    width = hex_length // 2
    entries = []
    position = 0
    previous = b""
    names: set[bytes] = set()
    while position < len(raw):
        match = _ENTRY.match(raw, position)
        if match is None:
            raise Malformed("a tree entry with an unknown mode or an impossible name")
        mode, name = match.groups()
        position = match.end() + width
        if position > len(raw):
            raise Malformed("a tree that is cut off")
        key = name + b"/" if mode == DIRECTORY else name
        if key <= previous or name in names or name in (b".", b".."):
            raise Malformed("a tree with entries out of order or twice")
        previous = key
        names.add(name)
        entries.append(Entry(mode, name, raw[match.end() : position].hex()))
    return tuple(entries)


def _what_is_wrong(raw: bytes) -> str:
    """Why `_COMMIT` did not match, for people; the order of headers is git's (commit.c: commit_tree_extended)."""
    lines = raw[:65536].split(b"\n\n", 1)[0].split(b"\n")
    names = [line.split(b" ", 1)[0] for line in lines if not line.startswith(b" ")]
    for name in (b"tree", b"author", b"committer"):
        if names.count(name) != 1:
            return f"{'no' if name not in names else 'more than one'} {name.decode()} header"
    order = [n for n in names if n in (b"tree", b"parent", b"author", b"committer")]
    wanted = [b"tree", *[b"parent"] * names.count(b"parent"), b"author", b"committer"]
    if order != wanted or names[: len(wanted)] != wanted:
        return "headers out of order"
    return "a header that cannot be read"
