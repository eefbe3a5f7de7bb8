"""Key event logs and grants into the repository: staged beside what else is staged, or committed alone.

A key event is durable in its identity's folder before anything is written here, so whatever cuts this off leaves a
repository that lags, which the next `git auths kel update` or pre-commit mends. All is worked out and signed first,
from objects that nothing names yet; then come the working tree, the index in one step, and the branch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from git_auths.core import grants as granted
from git_auths.core import kelcompare
from git_auths.core.auths_folder import generated_allowed_signers
from git_auths.core.kel import MAX_KEL_BYTES, DelegatorUnknown, KelInvalid, replay
from git_auths.errors import Error, MissingObject, Refusal, TooLarge
from git_auths.store import auths_tree, git, keyevents, keystore, left_behind, settings
from git_auths.store import commit as commits
from git_auths.store.auths_tree import AuthsTree, Entry, grant_path, log_path
from git_auths.store.repository import Objects, Repository
from git_auths.store.secrets import Secrets
from git_auths.store.worktree_policy import Folder

INDEX = ""  # as a revision: what is staged
ALLOWED_SIGNERS = "allowed_signers"
UPDATE = "git auths kel update"


class Standing(NamedTuple):
    """The log of an identity of this machine, and the one that a revision has of it; `relation` is what the latter is
    to the former, as in core/kelcompare."""

    identity: keystore.Identity
    ours: bytes
    theirs: bytes
    relation: str

    @property
    def lags(self) -> bool:
        """The revision has the log, but shorter."""
        return self.relation == kelcompare.BEHIND

    @property
    def is_ahead(self) -> bool:
        """The revision has more of the log than this machine."""
        return self.relation == kelcompare.AHEAD

    @property
    def forked(self) -> bool:
        return self.relation == kelcompare.FORKED


class Operation(NamedTuple):
    """What git has begun and not finished, in words, and the command that goes on with it."""

    what: str
    command: str


# In this order: a rebase that stopped may leave a CHERRY_PICK_HEAD as well.
OPERATIONS = {
    "rebase-merge": Operation("a rebase", "git rebase --continue"),
    "rebase-apply/applying": Operation("git am", "git am --continue"),
    "rebase-apply": Operation("a rebase", "git rebase --continue"),
    "MERGE_HEAD": Operation("a merge", "git commit"),
    "CHERRY_PICK_HEAD": Operation("a cherry-pick", "git cherry-pick --continue"),
    "REVERT_HEAD": Operation("a revert", "git revert --continue"),
}


def identities() -> list[keystore.Identity]:
    """Those of this machine that can be read; who uses one that cannot hears of it."""
    found = []
    for alias in keystore.aliases():
        with suppress(Error):
            found.append(keystore.load(alias))
    return found


def standings(repository: Repository, revision: str = "HEAD") -> list[Standing]:
    """How each log of this machine stands to that in the tree of `revision`, as far as that has one of it."""
    found = []
    with Objects(repository.path) as objects:
        for identity in identities():
            with suppress(MissingObject, TooLarge):
                _, theirs = objects.read(f"{revision}:.auths/kels/{identity.aid}.cesr", MAX_KEL_BYTES)
                ours = keystore.read_kel(identity)
                found.append(Standing(identity, ours, theirs, kelcompare.relation(theirs, ours)))
    return found


def lagging(repository: Repository, revision: str = "HEAD") -> dict[str, bytes]:
    """The logs, by AID, of this machine's identities, delegates among them, of which that tree has only a beginning."""
    return {one.identity.aid: one.ours for one in standings(repository, revision) if one.lags}


def continued_at(repository: Repository, identity: keystore.Identity) -> str | None:
    """HEAD or the pinned mainline, whichever has an event of the identity's log that this machine lacks and that its
    keys have signed: a further event here would fork it. None where neither has."""
    pins = settings.pins(repository.path)
    with Objects(repository.path) as objects:
        for where in ("HEAD",) if pins is None else ("HEAD", pins.mainline):
            with suppress(MissingObject, TooLarge):
                _, theirs = objects.read(f"{where}:.auths/{log_path(identity.aid)}", MAX_KEL_BYTES)
                if keyevents.is_continued_by(identity, theirs):
                    return where
    return None


def operation(repository: Repository) -> Operation | None:
    """What git is in the middle of, in this working tree."""
    return next((found for name, found in OPERATIONS.items() if (repository.git_dir / name).exists()), None)


def require_committable(repository: Repository) -> str:
    """The commit of HEAD, on which one can be made here and now; an Error says what stands in the way.

    To be asked before an event is sealed for this repository.
    """
    repository.worktree()
    begun = operation(repository)
    if begun is not None:
        raise Error(f"{begun.what} is in progress here", f"{UPDATE} stages what has grown; then {begun.command}")
    head = repository.head()
    if head is None:
        raise Error("the branch of HEAD has no commit yet", f"git commit, then {UPDATE}")
    if git.attempt("symbolic-ref", "--quiet", "HEAD", cwd=repository.path)[0]:
        raise Error("HEAD is detached: a commit made here would be on no branch", f"git switch BRANCH; {UPDATE}")
    for path in _changes(repository).edited:
        if not _is_recorded_here(path):
            raise _foreign(path)
    return head


def commit(repository: Repository, message: str, identity: keystore.Identity, secrets: Secrets,
           kels: Mapping[str, bytes], grants: Iterable[bytes] = ()) -> str | None:  # fmt: skip
    """Commit these logs (by AID) and the files of grants, and nothing else, on the branch of HEAD, by `identity`.

    The commit's id; None where HEAD has it all. A log becomes the longer of the repository's and the one given. What
    an earlier call was cut off with in the working tree goes along. Raises Refusal for a fork and for what the policy
    would refuse, and Error where git or an edit of `.auths/` stands in the way; then nothing was changed.
    """
    head = require_committable(repository)
    folder, changes = Folder(repository), _changes(repository)
    left = left_behind.find(folder, [*changes.edited, *changes.new], _own_logs() | dict(kels))
    with Objects(repository.path) as objects:
        tree = AuthsTree(repository, objects, auths_tree.committed(repository, head))
        _lay(repository, objects, tree, {**left.kels, **kels}, [*left.grants, *grants])
        if not tree.files:
            return None
        staged = auths_tree.staged(repository)
        for path in changes.edited:
            if path not in tree.files or not _begins(_content(objects, staged.get(path)), tree.files[path], path):
                raise _foreign(path)
        _require_in_line(folder, tree)
        tree.write(repository)
        id = commits.with_auths(repository, head, tree.tree(), message.rstrip("\n") + "\n", identity, secrets)
    _write(folder, tree)
    commits.advance(repository, id, head, message)
    return id


def stage(repository: Repository, kels: Mapping[str, bytes], grants: Iterable[bytes] = ()) -> list[str]:
    """Write and stage these logs (by AID) and the files of grants, with `allowed_signers` as it then is.

    The paths that changed. Raises Refusal for a fork, and Error where an edit in the working tree stands in the way.
    """
    folder = Folder(repository)
    with Objects(repository.path) as objects:
        tree = AuthsTree(repository, objects, auths_tree.staged(repository))
        _lay(repository, objects, tree, kels, grants)
        _require_in_line(folder, tree)
        tree.write(repository)
    _write(folder, tree)
    return sorted(auths_tree.PREFIX + path for path in tree.files)


def _lay(repository: Repository, objects: Objects, tree: AuthsTree, kels: Mapping[str, bytes],
         grants: Iterable[bytes]) -> None:  # fmt: skip
    """Lay the logs, the grants and what follows from them over the tree."""
    for aid, stream in kels.items():
        _lay_log(tree, aid, stream)
        if log_path(aid) in tree.files:
            _lay_delegators(repository, objects, tree, stream)
    for file in grants:
        try:
            sha256, _ = granted.read(file)
        except granted.GrantInvalid as error:
            raise Error(f"what is to be recorded is no grant: {error}") from None
        if grant_path(sha256) not in tree.entries:
            tree.put(grant_path(sha256), file)
    if tree.files:
        _lay_allowed_signers(tree)


def _lay_log(tree: AuthsTree, aid: str, stream: bytes) -> None:
    content = kelcompare.grown(tree.content(log_path(aid), MAX_KEL_BYTES), stream)
    if content is None:
        raise Refusal(f"the repository's log of did:keri:{aid} and the one to be recorded have forked",
                      f"git auths kel show did:keri:{aid} shows its side; a fork can mean a stolen key")  # fmt: skip
    tree.put(log_path(aid), content)


def _lay_delegators(repository: Repository, objects: Objects, tree: AuthsTree, stream: bytes) -> None:
    """A delegate's event counts where its delegator's log seals it: what the mainline has of that comes along."""
    pins = settings.pins(repository.path)
    while pins is not None:
        try:
            replay(stream)
            return
        except DelegatorUnknown as error:
            aid = error.delegator
        except KelInvalid:
            return  # the folder as a whole will say so
        try:
            stream = objects.read(f"{pins.mainline}:.auths/{log_path(aid)}", MAX_KEL_BYTES)[1]
            _lay_log(tree, aid, stream)
        except (MissingObject, TooLarge, Refusal):
            return


def _lay_allowed_signers(tree: AuthsTree) -> None:
    folder = tree.folder()
    if folder.fault is not None:
        raise Refusal(f"nothing is recorded: {folder.fault.reason} ({folder.fault.verdict})", "git auths policy check")
    has_grants = any(path.startswith("grants/") for path in tree.entries)
    # Without a root nobody can say which grants count.
    if folder.policy is not None and not (has_grants and tree.root is None):
        tree.put(ALLOWED_SIGNERS, generated_allowed_signers(folder))


class _Changes(NamedTuple):
    """Paths below `.auths/`: staged or edited ones, and those that git does not know yet."""

    edited: list[str]
    new: list[str]


def _changes(repository: Repository) -> _Changes:
    listed = repository.git("--no-optional-locks", "status", "--porcelain", "-z", "--no-renames", "--ignored=matching",
                            "--untracked-files=all", "--", ":(top).auths")  # fmt: skip
    edited: list[str] = []
    new: list[str] = []
    for line in listed.split(b"\0")[:-1]:
        path = line[3:].decode(errors="surrogateescape").removeprefix(auths_tree.PREFIX)
        (new if line[:2] in (b"??", b"!!") else edited).append(path)
    return _Changes(edited, new)


def _is_recorded_here(path: str) -> bool:
    return path == ALLOWED_SIGNERS or path.startswith(("kels/", "grants/"))


def _foreign(path: str) -> Error:
    return Error(f"{auths_tree.PREFIX}{path} is changed here, and not committed",
                 "commit it first, or git restore --staged --worktree .auths")  # fmt: skip


def _require_in_line(folder: Folder, tree: AuthsTree) -> None:
    """Nothing that stands in the working tree is lost: what is to be written goes on from it."""
    for path, content in tree.files.items():
        if not _begins(folder.content(path, MAX_KEL_BYTES), content, path):
            raise _foreign(path)


def _begins(present: bytes, content: bytes, path: str) -> bool:
    """Is `present` what the file at `path` may be before it becomes `content`?"""
    return path == ALLOWED_SIGNERS or content.startswith(present)


def _content(objects: Objects, entry: Entry | None) -> bytes:
    return b"" if entry is None else objects.read(entry.id, MAX_KEL_BYTES)[1]


def _write(folder: Folder, tree: AuthsTree) -> None:
    """Write the files into the working tree, then into the index, by their ids: no filter of git's alters them."""
    for path, content in tree.files.items():
        folder.put(folder.path / Path(path), content)
    lines = (f"100644 {tree.entries[path].id}\t{auths_tree.PREFIX}{path}\0".encode() for path in tree.files)
    git.run("update-index", "--add", "-z", "--index-info", cwd=folder.top, stdin=b"".join(lines))
    # This notes the files' times in the index, for those that look no further.
    git.run("status", "--porcelain", "--untracked-files=no", "--", ".auths", cwd=folder.top)


def _own_logs() -> dict[str, bytes]:
    return {identity.aid: keystore.read_kel(identity) for identity in identities()}
