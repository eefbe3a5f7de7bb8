"""May this identity sign this commit or tag? Asked before each signature, by the rules that will judge it.

The answer yes is remembered in the identity's folder, by the `.auths` trees, the ref, the key and this version: an
unchanged policy is not read again at every commit. It expires within the hour, as a signer's `expires_at` may pass.
"""

from __future__ import annotations

import os
import time

from git_auths import __version__
from git_auths.core.sha2 import sha256
from git_auths.errors import Error
from git_auths.store import git, keystore

REMEMBERED = "authorised"
REMEMBER_SECONDS = 3600
REMEMBER_LINES = 256
REMEMBER_BYTES = REMEMBER_LINES * 100
HEX_DIGITS = frozenset(b"0123456789abcdef")


def require(payload: bytes, identity: keystore.Identity) -> None:
    """Raise Refusal when the policy in force would refuse this commit or tag by this identity's key."""
    if payload.startswith(b"tree "):
        kind = "commit"
        trees, ref = _trees_and_ref(_commit_and_parents(payload))
    elif payload.startswith(b"object "):
        kind, ref = "tag", _tag_ref(payload)
        trees = [_auths_tree(_mainline())]
    else:
        return  # a push certificate: the server judges the push
    # A commit is judged by what its parents carry, a tag by the mainline; where neither has a policy none is in force.
    if not any(trees[1:] if kind == "commit" else trees):
        return
    question = _question(ref, trees, identity)
    if _remembered(identity, question) or _is_switched_off():
        return

    from git_auths.store import judging_before_signing

    judging_before_signing.require(kind, ref, trees, identity)
    _remember(identity, question)


def _commit_and_parents(payload: bytes) -> list[str]:
    """The id of the commit's own tree, then those of its parents."""
    lines = payload.split(b"\n\n", 1)[0].split(b"\n")
    ids = [lines[0][5:], *(line[7:] for line in lines[1:] if line.startswith(b"parent "))]
    if not all(HEX_DIGITS.issuperset(id) for id in ids):
        raise Error("what git asks to sign is no commit")
    return [id.decode() for id in ids]


def _tag_ref(payload: bytes) -> str:
    lines = payload.split(b"\n", 3)
    if len(lines) < 4 or not lines[2].startswith(b"tag "):
        raise Error("what git asks to sign is no tag object")
    return "refs/tags/" + os.fsdecode(lines[2][4:])


def _trees_and_ref(revisions: list[str]) -> tuple[list[str], str]:
    """The ids of the trees at .auths, or empty texts, and whose rules apply: the branch of HEAD, else the mainline.

    One git answers where all are there.
    """
    names = [f"{revision}:.auths" for revision in revisions]
    status, answer = git.capture("rev-parse", *names, "--symbolic-full-name", "HEAD")
    lines = os.fsdecode(answer).split("\n")[:-1]
    if status == 0 and len(lines) == len(names) + 1:
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


def _question(ref: str, trees: list[str], identity: keystore.Identity) -> str:
    parts = (__version__, ref, *trees, identity.aid, identity.current_blob.hex())
    digest: str = sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()
    return digest


def _remembered(identity: keystore.Identity, question: str) -> bool:
    now = time.time()
    for line in _remembered_lines(identity):
        known, _, until = line.partition(b" ")
        if known == question.encode() and until.isdigit() and len(until) < 20:
            return now < int(until) <= now + REMEMBER_SECONDS
    return False


def _remembered_lines(identity: keystore.Identity) -> list[bytes]:
    try:
        with open(os.path.join(identity.folder, REMEMBERED), "rb") as stream:
            return stream.read(REMEMBER_BYTES).splitlines()
    except OSError:
        return []


def _remember(identity: keystore.Identity, question: str) -> None:
    from git_auths.store.atomic import write_file

    until = int(time.time()) + REMEMBER_SECONDS
    lines = [b"%b %d" % (question.encode(), until), *_remembered_lines(identity)[: REMEMBER_LINES - 1]]
    try:
        write_file(os.path.join(identity.folder, REMEMBERED), b"\n".join(lines) + b"\n")
    except Error:
        return  # a read-only home costs time, not the signature
