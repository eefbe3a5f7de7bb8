"""May this identity sign this commit or tag? Asked before each signature, by the rules that will judge it.

The answer yes is remembered in the identity's folder, by the `.auths` trees, the ref, the key and this version: an
unchanged policy is not read again at every commit. It expires within the hour, as a signer's `expires_at` may pass.
"""

from __future__ import annotations

import hashlib
import os
import time

from git_auths import __version__
from git_auths.errors import Error
from git_auths.store import git, keystore
from git_auths.store.settings import branch_name

REMEMBERED = "authorised"
REMEMBER_SECONDS = 3600
REMEMBER_LINES = 256


def require(payload: bytes, identity: keystore.Identity) -> None:
    """Raise Refusal when the policy in force would refuse this commit or tag by this identity's key."""
    if payload.startswith(b"tree "):
        kind, revisions = "commit", _commit_revisions(payload)
    elif payload.startswith(b"object "):
        kind, revisions = "tag", [_mainline()]
    else:
        return  # a push certificate: the server judges the push
    ref = _tag_ref(payload) if kind == "tag" else _branch()
    trees = _auths_trees(revisions)
    # A commit is judged by what its parents carry, a tag by the mainline; where neither has a policy none is in force.
    if not any(trees[1:] if kind == "commit" else trees):
        return
    question = _question(kind, ref, trees, identity)
    if _remembered(identity, question) or _is_switched_off():
        return

    from git_auths.store import judging_before_signing

    judging_before_signing.require(kind, ref, trees, identity)
    _remember(identity, question)


def _commit_revisions(payload: bytes) -> list[str]:
    """The commit's own tree, then its parents."""
    lines = payload.split(b"\n\n", 1)[0].split(b"\n")
    parents = [line[7:].decode("ascii", "replace") for line in lines[1:] if line.startswith(b"parent ")]
    return [lines[0][5:].decode("ascii", "replace"), *parents]


def _tag_ref(payload: bytes) -> str:
    lines = payload.split(b"\n", 3)
    if len(lines) < 4 or not lines[2].startswith(b"tag "):
        raise Error("what git asks to sign is no tag object")
    return "refs/tags/" + os.fsdecode(lines[2][4:])


def _branch() -> str:
    """The branch that the commit is for; on a detached HEAD the mainline's rules apply."""
    status, name = git.capture("symbolic-ref", "--quiet", "HEAD")
    return os.fsdecode(name).strip() if status == 0 else branch_name(_mainline())


def _mainline() -> str:
    status, name = git.capture("config", "--local", "--no-includes", "--get", "auths.mainline")
    return os.fsdecode(name).strip() if status == 0 else "HEAD"


def _auths_trees(revisions: list[str]) -> list[str]:
    """The ids of the trees at .auths, or empty texts; one git process where all have one."""
    names = [f"{revision}:.auths" for revision in revisions]
    status, ids = git.capture("rev-parse", *names)
    found = ids.decode().split()
    if status == 0 and len(found) == len(names):
        return found
    answers = [git.capture("rev-parse", "--verify", "--quiet", "--end-of-options", name) for name in names]
    return [id.decode().strip() if status == 0 else "" for status, id in answers]


def _is_switched_off() -> bool:
    status, value = git.capture("config", "--type=bool", "--get", "auths.enforceOnSign")
    return status == 0 and value.strip() == b"false"


def _question(kind: str, ref: str, trees: list[str], identity: keystore.Identity) -> str:
    parts = (__version__, kind, ref, *trees, identity.aid, identity.current_blob.hex())
    return hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()


def _remembered(identity: keystore.Identity, question: str) -> bool:
    try:
        with open(os.path.join(identity.folder, REMEMBERED)) as stream:
            lines = stream.read(REMEMBER_LINES * 100).splitlines()
    except (OSError, ValueError):
        return False
    now = time.time()
    for line in lines:
        known, _, until = line.partition(" ")
        if known == question and until.isdigit():
            return now < int(until) <= now + REMEMBER_SECONDS
    return False


def _remember(identity: keystore.Identity, question: str) -> None:
    from git_auths.store.atomic import write_file

    path = os.path.join(identity.folder, REMEMBERED)
    try:
        with open(path) as stream:
            lines = stream.read(REMEMBER_LINES * 100).splitlines()
    except (OSError, ValueError):
        lines = []
    lines = [f"{question} {int(time.time()) + REMEMBER_SECONDS}", *lines[: REMEMBER_LINES - 1]]
    try:
        write_file(path, ("\n".join(lines) + "\n").encode())
    except Error:
        return  # a read-only home costs time, not the signature


