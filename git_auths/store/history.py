"""Reading history out of git: `git rev-list` lists commits with their root trees, `git cat-file` reads them.

`%T` costs 2 to 5 microseconds a commit; `<commit>^{tree}` in cat-file would cost a gigabyte. `--reverse` and
`--topo-order` would make rev-list wait for the whole history; the judge sorts instead.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from git_auths.core.gitobject import MAX_OBJECT_BYTES, MAX_TREE_BYTES
from git_auths.errors import MissingObject
from git_auths.store import git


class Raw(NamedTuple):
    """A commit as it is stored: its id, its bytes, its tree's id and bytes; of an object over its bound one byte more
    than that."""

    id: str
    commit: bytes
    tree_id: str
    tree: bytes


def list_commits(include: Iterable[str], exclude: Iterable[str], path: Path | None = None) -> subprocess.Popen[bytes]:
    """Start a git that prints every commit reachable from `include` and not from `exclude`, newest first.

    For each a line with its id and a line with its root tree's.
    """
    arguments = ["rev-list", "--no-commit-header", "--format=%H%n%T", "--stdin"]
    lister = _start(arguments, path, subprocess.PIPE)
    assert lister.stdin is not None
    # A git that ends before it has read them says why.
    with contextlib.suppress(BrokenPipeError), lister.stdin as stdin:
        stdin.write("".join([*(f"{id}\n" for id in include), *(f"^{id}\n" for id in exclude)]).encode())
    return lister


def read_commits(listed: IO[bytes], path: Path | None = None) -> Generator[Raw, None, None]:
    """The commits, and their trees, whose lines come out of `listed`, which is closed here.

    Raises MissingObject when one is not there, Error when git fails.
    """
    reader = _start(["cat-file", "--batch", "--buffer"], path, listed)
    listed.close()  # with git its only reader, who writes to it learns when git ends
    assert reader.stdout is not None and reader.stderr is not None
    try:
        yield from _cut(reader.stdout)
        if reader.wait():
            raise EOFError
    except EOFError:
        raise git.ended_early(reader.stderr.read()) from None
    finally:
        end(reader)


def end(process: subprocess.Popen[bytes]) -> None:
    """Stop a git that is not needed any longer."""
    process.kill()
    process.wait()
    for pipe in (process.stdout, process.stderr):
        assert pipe is not None
        pipe.close()


def _start(arguments: list[str], path: Path | None, stdin: int | IO[bytes]) -> subprocess.Popen[bytes]:
    where = [] if path is None else ["-C", os.fspath(path)]
    try:
        return subprocess.Popen(["git", *where, *arguments], bufsize=1 << 20, stdin=stdin, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, env=git.offline())  # fmt: skip
    except FileNotFoundError:
        raise git.not_found() from None


def _cut(stream: IO[bytes]) -> Iterator[Raw]:
    """Cuts cat-file's output: `<id> <type> <size>` LF, the bytes, LF. Raises EOFError where it ends within a commit."""
    while header := stream.readline():
        id, commit = _object(stream, header, b"commit", MAX_OBJECT_BYTES)
        tree_id, tree = _object(stream, stream.readline(), b"tree", MAX_TREE_BYTES)
        yield Raw(id, commit, tree_id, tree)


def _object(stream: IO[bytes], header: bytes, kind: bytes, limit: int) -> tuple[str, bytes]:
    words = header.split()
    if not words:
        raise EOFError
    if len(words) != 3 or words[1] != kind:
        raise MissingObject(f"object {words[0].decode(errors='replace')} is missing or not a {kind.decode()}",
                            "git fsck; in a shallow clone: git fetch --unshallow")  # fmt: skip
    size = int(words[2])
    if size > limit:
        return words[0].decode(), _beginning(stream, limit + 1, size + 1)
    raw = stream.read(size + 1)
    if len(raw) <= size:
        raise EOFError
    return words[0].decode(), raw[:-1]


def _beginning(stream: IO[bytes], wanted: int, size: int) -> bytes:
    """The first `wanted` of `size` bytes; the others are read and forgotten."""
    raw = stream.read(wanted)
    left = size - wanted
    while left > 0:
        dropped = len(stream.read(min(left, 1 << 20)))
        if not dropped:
            raise EOFError
        left -= dropped
    return raw
