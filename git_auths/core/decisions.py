"""The admins' decisions about single objects: the lines of `.auths/adopted` and `.auths/received` (sections 7 and 8).

    <commit id> [auths=<tree id>] [behind]
    <full ref name> <object id> [approval digests...]

Ids are full and in lower-case hex, single spaces stand between the words, and the words in this order. An approval
digest is the SHA-256 of a line of the object's note. A line that is anything else, a comment (`# ...`) among them, says
nothing; it belongs to the file all the same, so it cannot go away either. Both files are sets of lines: they may only
grow, and a merge has the union of its parents' (`merge=union`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from git_auths.core.sha2 import sha256

ADOPTED = b"adopted"
RECEIVED = b"received"

MAX_DECISIONS_BYTES = 4 * 1024 * 1024  # in one file

_DIGEST_HEX_CHARS = 64
_CONTROLS = bytes([*range(0x20), 0x7F])


class DecisionsInvalid(ValueError):
    """The file is no list of lines; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Adoption(NamedTuple):
    """`auths` is the tree at `.auths` that a change there must result in; None: no such change is adopted.

    `behind`: also what is behind the commit and does not descend from the root.
    """

    commit: str
    auths: str | None
    behind: bool


class Receipt(NamedTuple):
    """A tag object or branch tip under its full ref name, with the SHA-256 (hex) of each approval line received."""

    ref: str
    id: str
    approvals: tuple[str, ...]


def lines(data: bytes) -> frozenset[bytes]:
    """The lines of a decision file, without the empty ones. Raises DecisionsInvalid."""
    if len(data) > MAX_DECISIONS_BYTES:
        raise DecisionsInvalid(f"it is larger than {MAX_DECISIONS_BYTES} bytes")
    if data and not data.endswith(b"\n"):
        # What is appended next would change the line that was there.
        raise DecisionsInvalid("its last line has no line feed")
    return frozenset(data.split(b"\n")) - {b""}


def adoption(line: bytes, hex_length: int) -> Adoption | None:
    """What a line of `adopted` says; None when it says nothing. Ids have `hex_length` digits."""
    commit, *words = line.split(b" ")
    auths = words.pop(0).removeprefix(b"auths=") if words and words[0].startswith(b"auths=") else None
    behind = words == [b"behind"]
    if not _is_hex(commit, hex_length) or (auths is not None and not _is_hex(auths, hex_length)):
        return None
    if words and not behind:
        return None
    return Adoption(commit.decode(), None if auths is None else auths.decode(), behind)


def receipt(line: bytes, hex_length: int) -> Receipt | None:
    """What a line of `received` says; None when it says nothing. Ids have `hex_length` digits.

    Bytes of the ref's name that are not UTF-8 are escaped (PEP 383).
    """
    ref, *words = line.split(b" ")
    if not words or not _names_branch_or_tag(ref) or not _is_hex(words[0], hex_length):
        return None
    if not all(_is_hex(digest, _DIGEST_HEX_CHARS) for digest in words[1:]):
        return None
    return Receipt(ref.decode("utf-8", "surrogateescape"), words[0].decode(), tuple(d.decode() for d in words[1:]))


def adoption_line(decision: Adoption) -> bytes:
    """The line, without its line feed, from which `adoption` reads this."""
    words = [decision.commit]
    if decision.auths is not None:
        words.append(f"auths={decision.auths}")
    if decision.behind:
        words.append("behind")
    return " ".join(words).encode()


def receipt_line(decision: Receipt) -> bytes:
    """The line, without its line feed, from which `receipt` reads this."""
    return " ".join((decision.ref, decision.id, *decision.approvals)).encode("utf-8", "surrogateescape")


def approval_digest(line: bytes) -> str:
    """What a receipt names an approval by: the SHA-256 of its line in the note, without the line feed, in hex."""
    digest: str = sha256(line).hexdigest()
    return digest


def with_lines(data: bytes, more: Iterable[bytes]) -> bytes:
    """The file with `more` at its end, less what it has already. Raises DecisionsInvalid, for what comes out too."""
    present = lines(data)
    whole = data + b"".join(line + b"\n" for line in dict.fromkeys(more) if line not in present)
    lines(whole)
    return whole


def _is_hex(word: bytes, chars: int) -> bool:
    return len(word) == chars and not word.strip(b"0123456789abcdef")


def _names_branch_or_tag(ref: bytes) -> bool:
    namespace, _, name = ref.removeprefix(b"refs/").partition(b"/")
    return (
        ref.startswith(b"refs/")
        and namespace in (b"heads", b"tags")
        and name != b""
        and ref.translate(None, _CONTROLS) == ref
    )
