"""The `.auths` folder of the working tree and the index: read by `policy check`, edited and staged by the others."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from pathlib import Path

from git_auths.core.auths_folder import AuthsFolder, AuthsFolders, generated_allowed_signers
from git_auths.core.decisions import MAX_DECISIONS_BYTES, DecisionsInvalid, lines, with_lines
from git_auths.core.kel import MAX_KEL_BYTES, Kel, KelInvalid, replay
from git_auths.core.policy import MAX_POLICY_BYTES
from git_auths.errors import Error, MissingObject
from git_auths.store import settings
from git_auths.store.atomic import write_file
from git_auths.store.named import read_named
from git_auths.store.repository import Objects, Repository

# Without this line the attributes of the folders above let git rewrite what is here as it is added, or checked out.
# Of working-tree-encoding no value but a name is valid, so that is unspecified again (gitattributes(5)).
UNCONVERTED = b"* -text -filter -ident !working-tree-encoding\n"
ATTRIBUTES = UNCONVERTED + b"kels/*.cesr merge=auths-kel\nadopted merge=union\nreceived merge=union\n"
MAX_ATTRIBUTES_BYTES = 64 * 1024
ADD_HINT = "git auths policy init starts one"


class Folder:
    """`.auths/` at the top of a working tree."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.top = repository.worktree()
        self.path = self.top / ".auths"
        self.policy = self.path / "policy.toml"

    def policy_text(self) -> str:
        """policy.toml as it stands in the working tree."""
        if not self.policy.is_file():
            raise Error("this repository has no .auths/policy.toml", ADD_HINT)
        content = _read(self.policy, MAX_POLICY_BYTES)
        try:
            return content.decode()
        except UnicodeDecodeError:
            raise Error(f"{self.policy} is not UTF-8", "git checkout -- .auths/policy.toml") from None

    def kel(self, did: str) -> Kel | None:
        """The log of `did` that stands in the working tree."""
        file = self.kel_file(did.removeprefix("did:keri:"))
        return read_kel(file) if file.is_file() else None

    def kel_file(self, aid: str) -> Path:
        return self.path / "kels" / f"{aid}.cesr"

    def content(self, path: str, limit: int) -> bytes:
        """The file at `path` below .auths/, cut off one byte past `limit`; nothing where there is no such file."""
        file = self.path / path
        if not file.is_file():
            return b""
        with file.open("rb") as stream:
            return stream.read(limit + 1)

    def write(self, path: Path, content: bytes) -> None:
        """Write a file below .auths/ and stage it."""
        self.put(path, content)
        self.repository.git("add", "--force", "--", os.fspath(path))

    def put(self, path: Path, content: bytes) -> None:
        """Write a file below .auths/, and stage nothing."""
        if path.is_symlink() or self.path.is_symlink() or path.parent.is_symlink():
            raise Error(f"{path} is, or lies behind, a symbolic link", "git checkout -- .auths")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Error(f"cannot make {path.parent}: {error.strerror}") from None
        if not path.exists() or path.read_bytes() != content:
            write_file(path, content, 0o644)

    def add_decisions(self, name: bytes, more: Iterable[bytes]) -> bool:
        """Add lines to the decision file `name` and stage it; say whether any was new. None that is there goes away."""
        path = self.path / name.decode()
        present = _read(path, MAX_DECISIONS_BYTES) if path.is_file() else b""
        restore = f"git checkout HEAD -- .auths/{name.decode()}"
        try:
            content = with_lines(present, more)
        except DecisionsInvalid as error:
            raise Error(f"{path}: {error.reason}", restore) from None
        if not self.committed_decisions(name) <= lines(content):
            raise Error(f"{path} lacks lines that HEAD has; decisions are append-only", restore)
        if content == present:
            return False
        self.write(path, content)
        return True

    def committed_decisions(self, name: bytes) -> frozenset[bytes]:
        """The lines of a decision file at HEAD."""
        head = self.repository.head()
        if head is None:
            return frozenset()
        with Objects(self.repository.path) as objects:
            try:
                return lines(objects.read(f"{head}:.auths/{name.decode()}", MAX_DECISIONS_BYTES)[1])
            except (MissingObject, DecisionsInvalid):
                return frozenset()

    def write_attributes(self) -> bool:
        """Let git convert nothing here, whatever else .gitattributes says, and stage that; say whether that was new."""
        path = self.path / ".gitattributes"
        present = _read(path, MAX_ATTRIBUTES_BYTES) if path.is_file() else b""
        if is_unconverted(present):
            return False
        self.write(path, UNCONVERTED + present if present else ATTRIBUTES)
        return True

    def write_allowed_signers(self) -> None:
        """Generate `allowed_signers` from what is staged, and stage it."""
        self.write(self.path / "allowed_signers", generated_allowed_signers(staged(self.repository)))


def is_unconverted(attributes: bytes) -> bool:
    """Does this .gitattributes keep git from converting what lies beside and below it?"""
    return UNCONVERTED in attributes.splitlines(keepends=True)


def staged(repository: Repository) -> AuthsFolder:
    """`.auths` as the index has it; an Error with its fault."""
    tree = repository.git("write-tree", "--prefix=.auths/").decode().strip()
    root = settings.pinned_root(repository.path)
    with Objects(repository.path) as objects:
        folder = AuthsFolders(objects.read, repository.hex_length, root)(tree)
    if folder.fault is not None:
        raise Error(folder.fault.reason, "git auths policy check")
    return folder


def read_kel(file: Path) -> Kel:
    """Replay the log in `file`."""
    try:
        return replay(_read(file, MAX_KEL_BYTES))
    except KelInvalid as error:
        raise Error(f"{file}: {error}", f"git auths kel verify {shlex.quote(os.fspath(file))}") from None


def _read(file: Path, limit: int) -> bytes:
    content = read_named(file, limit)
    if len(content) > limit:
        raise Error(f"{file} is larger than {limit} bytes")
    return content
