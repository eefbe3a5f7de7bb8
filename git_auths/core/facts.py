"""What a commit's own bytes say, whatever the policy: rule 1 of section 7, and whether its signature verifies.

This is the part that costs time, needs no other commit, and can be done for many commits at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from git_auths.core import sshsig
from git_auths.core.gitobject import MAX_OBJECT_BYTES, MAX_TREE_BYTES, Malformed, object_id, parse_commit
from git_auths.core.roottree import RootTrees

NAMESPACE = b"git"


class Fault(NamedTuple):
    """Why the answer is no: a word of the verdict vocabulary, a sentence for people, and the rule it fails."""

    verdict: str
    reason: str
    rule: str | None = None


class Facts(NamedTuple):
    """A commit as the judge sees it. `key` is the SSH public key blob whose signature over it verifies."""

    id: str
    parents: tuple[str, ...]
    tree: str  # the id of the root tree; empty where the commit cannot be read
    auths: str | None  # the id of the tree at .auths
    committed_at: int  # seconds since 1970, by the committer's word
    key: bytes | None
    raw_fault: Fault | None  # rule 1: nothing else about this commit can be believed
    folder_fault: Fault | None  # `.auths` itself cannot be read as one
    signature_fault: Fault | None  # why `key` is None


def examine(
    batch: Iterable[tuple[str, bytes, str, bytes]], hex_length: int, trees: RootTrees | None = None
) -> list[Facts]:
    """Examine (id, raw commit, tree id, raw root tree) one by one; of what is over its bound a beginning is enough."""
    trees = trees or RootTrees(hex_length)  # one that is kept from batch to batch scans fewer trees
    return [_examine_one(*item, hex_length, trees) for item in batch]


def _examine_one(id: str, raw: bytes, tree_id: str, tree: bytes, hex_length: int, trees: RootTrees) -> Facts:
    if len(raw) > MAX_OBJECT_BYTES or len(tree) > MAX_TREE_BYTES:
        return _unreadable(id, raw, "a commit or tree that is larger than any honest one")
    if object_id(b"commit", raw, hex_length) != id:
        return _unreadable(id, b"", "the commit's bytes do not hash to its id")
    try:
        commit = parse_commit(raw, hex_length)
    except Malformed as error:
        return _unreadable(id, raw, str(error))
    if commit.tree != tree_id or object_id(b"tree", tree, hex_length) != tree_id:
        return _unreadable(id, raw, "the root tree's bytes do not hash to its id")
    found = trees.find(tree)
    if found.malformed:
        return _unreadable(id, raw, found.problem or "")
    signed_by = signing_key(commit.signature, commit.payload)
    key, signature_fault = (None, signed_by) if isinstance(signed_by, Fault) else (signed_by, None)
    folder_fault = Fault("policy-invalid", found.problem) if found.problem else None
    return Facts(id, commit.parents, tree_id, found.id, commit.committed_at, key, None, folder_fault, signature_fault)


def signing_key(signature: bytes | None, payload: bytes) -> bytes | Fault:
    """The key blob whose git signature over the payload of a commit or tag verifies, or why there is none."""
    if signature is None:
        return Fault("unsigned", "it carries no signature")
    if not signature.startswith(b"-----BEGIN SSH SIGNATURE-----"):
        return Fault("unsupported-signature", "its signature is PGP or X.509; only SSH signatures are judged")
    try:
        return sshsig.check(signature, NAMESPACE, payload).key
    except sshsig.NotCanonical as error:
        return Fault("malformed", str(error))
    except sshsig.BadSignature as error:
        return Fault("bad-signature", str(error))


def _unreadable(id: str, raw: bytes, reason: str) -> Facts:
    return Facts(id, parents_as_git_reads_them(raw), "", None, 0, None, Fault("malformed", reason), None, None)


def parents_as_git_reads_them(raw: bytes) -> tuple[str, ...]:
    """commit.c: parse_commit_buffer takes the `parent` lines that follow `tree`; what comes later git does not walk."""
    lines = raw[: 1 << 20].split(b"\n")[1:]
    parents = []
    for line in lines:
        if not line.startswith(b"parent "):
            break
        parents.append(line[7:].decode("ascii", "replace"))
    return tuple(dict.fromkeys(parents))
