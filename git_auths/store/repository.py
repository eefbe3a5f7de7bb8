"""A repository on disk: where it is, what its refs say, and its objects.

Objects are read through `git cat-file --batch`: it starts in 3 ms, knows every format (SHA-256, reftable, alternates,
a server's quarantine), and never writes.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from git_auths.core.roottree import RootTrees
from git_auths.errors import Error, MissingObject, TooLarge
from git_auths.store import git

MAX_READ_BYTES = 64 * 1024 * 1024
STREAM_ABOVE_BYTES = 1024 * 1024
MAX_AT_ONCE = 128  # their names are less than what any pipe holds


class NotARepository(Error):
    """The folder is in no repository."""


class Repository:
    """One repository. `common_dir` is the git directory that all worktrees share."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        keys = ("--absolute-git-dir", "--git-common-dir", "--is-bare-repository", "--show-object-format",
                "--is-shallow-repository")  # fmt: skip
        try:
            answer = git.run("rev-parse", *keys, cwd=path)
        except git.GitFailed as failure:
            raise explain(failure) from None
        lines = os.fsdecode(answer).split("\n")
        self.git_dir = Path(lines[0])
        self.common_dir = Path(path or ".", lines[1]).resolve()
        self.bare = lines[2] == "true"
        self.hex_length = 64 if lines[3] == "sha256" else 40
        self.is_shallow = lines[4] == "true"

    def git(self, *args: str, stdin: bytes | None = None, allow: tuple[int, ...] = (0,)) -> bytes:
        return git.run(*args, cwd=self.path, stdin=stdin, allow=allow)

    def worktree(self) -> Path:
        """The top of the working tree; an Error in a bare repository."""
        if self.bare:
            raise Error("this is a bare repository; the command needs a working tree", "run it in a clone")
        return Path(os.fsdecode(self.git("rev-parse", "--show-toplevel")).removesuffix("\n"))

    def resolve(self, revision: str, kind: str = "commit") -> str:
        """The id of `revision` peeled to `kind`; an Error names the revision when there is none."""
        status, answer = git.attempt(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{{kind}}}", cwd=self.path,
            allow=(0, 1, 128),
        )  # fmt: skip
        if status:
            raise Error(f"{revision!r} names no {kind} here", "git log --oneline --all shows what there is")
        return answer.decode().strip()

    def head(self) -> str | None:
        """The commit of HEAD; None on a branch without commits."""
        status, answer = git.attempt(
            "rev-parse", "--verify", "--quiet", "HEAD^{commit}", cwd=self.path, allow=(0, 1, 128)
        )
        return answer.decode().strip() if status == 0 else None

    def ref(self, full_name: str) -> str | None:
        """The id that the full ref name points to, unpeeled; None when there is no such ref."""
        status, answer = git.attempt("show-ref", "--verify", "--hash", full_name, cwd=self.path, allow=(0, 1, 128))
        return answer.decode().strip() if status == 0 else None

    def refs(self, *full_names: str) -> dict[str, str]:
        """The ids that these refs point to, unpeeled, as far as there are such refs."""
        lines = self.git("for-each-ref", "--format=%(objectname) %(refname)", *full_names).splitlines()
        found = (os.fsdecode(line).split(" ", 1) for line in lines)
        return {name: id for id, name in found if name in full_names}

    def has(self, object_id: str) -> bool:
        return git.attempt("cat-file", "-e", object_id, cwd=self.path, allow=(0, 1, 128))[0] == 0


def explain(failure: git.GitFailed) -> Error:
    """What git said about a folder it would not open, with the next step."""
    if "dubious ownership" in failure.stderr:
        hint = "git config --global --add safe.directory PATH tells git that you trust its owner"
        return Error("git refuses this repository: it belongs to another user", hint)
    if "not a git repository" in failure.stderr:
        return NotARepository("not in a git repository", "cd into one, or: git init")
    return Error(failure.message)


class Objects:
    """Random access to objects through one `git cat-file --batch`; a context manager."""

    def __init__(self, path: Path | None = None) -> None:
        # git holds a blob in memory as a whole unless it is above this threshold; hostile ones are not to be held.
        stream_large = ["-c", f"core.bigFileThreshold={STREAM_ABOVE_BYTES}"]
        self._command = [
            "git",
            *([] if path is None else ["-C", os.fspath(path)]),
            *stream_large,
            "cat-file",
            "--batch",
        ]
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE, env=git.offline())  # fmt: skip
        except FileNotFoundError:
            raise git.not_found() from None

    def __enter__(self) -> Objects:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._process.__exit__(None, None, None)

    def read(self, name: str, limit: int = MAX_READ_BYTES) -> tuple[bytes, bytes]:
        """(type, raw bytes) of the object `name`. Raises MissingObject, and TooLarge above `limit` bytes."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        try:
            stdin.write(os.fsencode(name) + b"\n")
            stdin.flush()
            words = stdout.readline().split()
        except BrokenPipeError:
            words = []
        if not words:
            raise self._ended_early()
        if words[-1] in (b"missing", b"ambiguous"):
            raise MissingObject(f"object {name} is missing", "git fsck; in a shallow clone: git fetch --unshallow")
        kind, size = words[-2], int(words[-1])
        if size > limit:
            # The object is on its way through the pipe: a new process is cheaper than reading it.
            self._process.kill()
            self.close()
            self._process = self._start()
            raise TooLarge(f"object {name} has {size} bytes; at most {limit} are read here")
        raw = stdout.read(size + 1)
        if len(raw) != size + 1:
            raise self._ended_early()
        return kind, raw[:-1]

    def read_several(self, ids: Sequence[str], limit: int) -> dict[str, tuple[bytes, bytes]]:
        """(type, raw bytes) by id of those of the objects (MAX_AT_ONCE at most) that are here and within `limit` bytes.

        All are asked for before the first is read: of many small ones this takes a third of the time.
        """
        if len(ids) > MAX_AT_ONCE:
            raise ValueError(f"more than {MAX_AT_ONCE} objects at once: git and we would wait for each other")
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        found = {}
        try:
            stdin.write(b"".join(b"%b\n" % id.encode("ascii") for id in ids))
            stdin.flush()
        except BrokenPipeError:
            raise self._ended_early() from None
        for id in ids:
            words = stdout.readline().split()
            if not words:
                raise self._ended_early()
            if words[-1] in (b"missing", b"ambiguous"):
                continue
            kind, left = words[-2], int(words[-1]) + 1
            if left <= limit + 1:
                found[id] = kind, self._exactly(left)[:-1]
                continue
            while left:
                left -= len(self._exactly(min(left, STREAM_ABOVE_BYTES)))
        return found

    def _exactly(self, size: int) -> bytes:
        assert self._process.stdout is not None
        raw = self._process.stdout.read(size)
        if len(raw) != size:
            raise self._ended_early()
        return raw

    def auths_tree(self, commit: str) -> str | None:
        """The id of the tree at `.auths` in the tree of `commit`; None when there is none, or none to be believed."""
        _, raw = self.read(commit)
        tree = raw[5 : 5 + len(commit)].decode("ascii", "replace")
        return RootTrees(len(commit)).find(self.read(tree)[1]).id

    def _ended_early(self) -> Error:
        assert self._process.stderr is not None
        return git.ended_early(self._process.stderr.read())
