"""May this identity sign this commit or tag? Asked before each signature, by the rules that will judge it.

The answer yes is remembered in the identity's folder, by the `.auths` trees, the ref, the key and this version: an
unchanged policy is not read again at every commit. It expires within the hour, as a signer's `expires_at` may pass.
"""

from __future__ import annotations

import os
import time

from git_auths import __version__
from git_auths.errors import Error
from git_auths.store import git

TYPE_CHECKING = False  # importing typing for its name would cost 9 ms
if TYPE_CHECKING:
    from git_auths.store.keystore import Identity

REMEMBERED = "authorised"
REMEMBER_SECONDS = 3600
REMEMBER_LINES = 256
REMEMBER_BYTES = REMEMBER_LINES * 100
HEX_DIGITS = frozenset(b"0123456789abcdef")


class Inquiry:
    """What is to be signed, and the git that looks up what judges a commit: the caller reads the key meanwhile.

    Used in a `with`, which waits for that git. What is neither commit nor tag is a push certificate: the server judges
    the push. Raises errors.Error for what only begins like a commit.
    """

    __slots__ = ("_lookup", "_payload", "_revisions")

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._revisions: list[str] = []
        self._lookup: git.Started | None = None
        if payload.startswith(b"tree "):
            self._revisions = _commit_and_parents(payload)
            self._lookup = git.Started("rev-parse", *_folders(self._revisions), "--symbolic-full-name", "HEAD")

    def __enter__(self) -> Inquiry:
        return self

    def __exit__(self, *raised: object) -> None:
        if self._lookup is not None:
            self._lookup.close()

    def require(self, identity: Identity) -> None:
        """Raise Refusal when the policy in force would refuse this commit or tag by this identity's key."""
        if self._lookup is not None:
            trees, ref = _trees_and_ref(self._revisions, *self._lookup.answer())
            # A commit is judged by what its parents carry, a tag by the mainline; without a policy there, by none.
            if any(trees[1:]):
                received_by = _auths_tree(_mainline()) if _is_delegate(identity) else ""
                self._ask("commit", ref, trees, identity, received_by)
        elif self._payload.startswith(b"object "):
            ref = _tag_ref(self._payload)
            tree = _auths_tree(_mainline())
            if tree:
                self._ask("tag", ref, [tree], identity)

    def _ask(self, kind: str, ref: str, trees: list[str], identity: Identity, received_by: str = "") -> None:
        """`received_by`: the mainline's `.auths`, where that may have revoked what the commit's tree still grants."""
        question = _question(ref, [*trees, received_by] if received_by else trees, identity)
        if _remembered(identity, question) or _is_switched_off():
            return

        from git_auths.store import judging_before_signing

        # A yes that depends on more than the question covers, such as the files changed, is not remembered.
        lasting = judging_before_signing.require(kind, ref, trees, identity, self._payload, received_by)
        if lasting:
            _remember(identity, question)


def _commit_and_parents(payload: bytes) -> list[str]:
    """The id of the commit's own tree, then those of its parents."""
    lines = payload.split(b"\n\n", 1)[0].split(b"\n")
    ids = [lines[0][5:], *(line[7:] for line in lines[1:] if line.startswith(b"parent "))]
    if not all(HEX_DIGITS.issuperset(id) for id in ids):
        raise Error("what git asks to sign is no commit")
    return [id.decode() for id in ids]


def _is_delegate(identity: Identity) -> bool:
    """Does its log begin with a `dip`? `keystore`, or `pipeline`, has looked at the rest of these bytes."""
    if not identity.folder:
        from git_auths.store import pipeline

        return pipeline.log(identity.aid).kel.delegator is not None
    with open(os.path.join(identity.folder, "kel.cesr"), "rb") as stream:
        return stream.read(33)[30:] == b"dip"


def _tag_ref(payload: bytes) -> str:
    lines = payload.split(b"\n", 3)
    if len(lines) < 4 or not lines[2].startswith(b"tag "):
        raise Error("what git asks to sign is no tag object")
    return "refs/tags/" + os.fsdecode(lines[2][4:])


def _folders(revisions: list[str]) -> list[str]:
    return [f"{revision}:.auths" for revision in revisions]


def _trees_and_ref(revisions: list[str], status: int, answer: bytes) -> tuple[list[str], str]:
    """The ids of the trees at .auths, or empty texts, and whose rules apply: the branch of HEAD, else the mainline.

    `status` and `answer` are of one git that was asked for all at once; where not all are there, each is looked up.
    """
    lines = os.fsdecode(answer).split("\n")[:-1]
    if status == 0 and len(lines) == len(revisions) + 1:
        return lines[:-1], lines[-1] if lines[-1] != "HEAD" else _mainline()
    status, name = git.capture("symbolic-ref", "--quiet", "HEAD")
    ref = os.fsdecode(name).strip() if status == 0 else _mainline()
    return [_auths_tree(revision) for revision in revisions], ref


def _mainline() -> str:
    status, name = git.capture("config", "--local", "--no-includes", "--get", "auths.mainline")
    return os.fsdecode(name).strip() if status == 0 else "HEAD"


def _auths_tree(revision: str) -> str:
    status, id = git.capture("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}:.auths")
    return id.decode().strip() if status == 0 else ""


def _is_switched_off() -> bool:
    status, value = git.capture("config", "--type=bool", "--get", "auths.enforceOnSign")
    return status == 0 and value.strip() == b"false"


def _question(ref: str, trees: list[str], identity: Identity) -> str:
    from git_auths.core.sha2 import sha256

    parts = (__version__, ref, *trees, identity.aid, identity.current_blob.hex())
    digest: str = sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()
    return digest


def _remembered(identity: Identity, question: str) -> bool:
    now = time.time()
    for line in _remembered_lines(identity):
        known, _, until = line.partition(b" ")
        if known == question.encode() and until.isdigit() and len(until) < 20:
            return now < int(until) <= now + REMEMBER_SECONDS
    return False


def _remembered_lines(identity: Identity) -> list[bytes]:
    if not identity.folder:  # nothing of the environment's identity is on the disk
        return []
    try:
        with open(os.path.join(identity.folder, REMEMBERED), "rb") as stream:
            return stream.read(REMEMBER_BYTES).splitlines()
    except OSError:
        return []


def _remember(identity: Identity, question: str) -> None:
    if not identity.folder:
        return
    from git_auths.store.atomic import write_file

    until = int(time.time()) + REMEMBER_SECONDS
    lines = [b"%b %d" % (question.encode(), until), *_remembered_lines(identity)[: REMEMBER_LINES - 1]]
    try:
        write_file(os.path.join(identity.folder, REMEMBERED), b"\n".join(lines) + b"\n")
    except Error:
        return  # a read-only home costs time, not the signature
