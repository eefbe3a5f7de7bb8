"""pre-receive (githooks(5)): the server's gate. It runs inside git's quarantine and writes no ref."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import NamedTuple

from git_auths import guard
from git_auths.errors import Error, Refusal
from git_auths.hooks import gate
from git_auths.hooks.pre_push import present
from git_auths.store import hookfiles, passphrase, settings
from git_auths.store.repository import Repository

MAX_SYMBOLIC_DEPTH = 5  # refs.c: SYMREF_MAXDEPTH


def main(argv: list[str]) -> int:
    """`argv`: the shim's path."""
    passphrase.take_secrets()
    lines = sys.stdin.buffer.read()
    before = hookfiles.earlier_hook(argv[0])
    if before is not None:
        code = subprocess.run([before, *argv[1:]], input=lines, check=False).returncode
        if code:
            return code
    return verify_push(read_updates(lines))


def read_updates(lines: bytes) -> list[gate.Update]:
    """`<old id> <new id> <ref>` a line."""
    updates = []
    for line in lines.splitlines():
        fields = os.fsdecode(line).split(" ", 2)
        if len(fields) != 3:
            raise Error("git gave pre-receive a line that is not one of githooks(5)")
        updates.append(gate.Update(fields[2], present(fields[0]), present(fields[1])))
    return updates


class Ref(NamedTuple):
    """What a ref of the server is now: an object's id, and for a symbolic ref the name that it points to."""

    id: str
    points_to: str


def present_refs(repository: Repository) -> dict[str, Ref]:
    """Every ref of the server, by full name: of hundreds that are pushed none is asked for by itself."""
    lines = repository.git("for-each-ref", "--format=%(objectname) %(refname) %(symref)").splitlines()
    fields = (os.fsdecode(line).split(" ") for line in lines)
    return {name: Ref(id, points_to) for id, name, points_to in fields}


def by_their_own_names(refs: dict[str, Ref], updates: list[gate.Update]) -> list[gate.Update]:
    """The same updates, of the refs that move: a push to a symbolic ref moves what that points to in the end."""

    def moved(name: str) -> str:
        for _ in range(MAX_SYMBOLIC_DEPTH):
            if name in refs:
                name = refs[name].points_to or name
        return name

    return [update._replace(ref=moved(update.ref)) for update in updates]


def require_true_old_ids(refs: dict[str, Ref], updates: list[gate.Update]) -> None:
    """The old ids are the pusher's claim, and git checks them only after us, ref by ref: an update of the mainline
    that will fail must not decide about the refs beside it."""
    for update in updates:
        now = refs.get(update.ref)
        if (now and now.id) != update.old:
            raise Refusal(f"{update.ref} is not where this push takes it to be", "git fetch, then push again")


def verify_push(updates: list[gate.Update]) -> int:
    repository = Repository()
    return gate.answer(repository, lambda: judge(repository, updates))


def judge(repository: Repository, updates: list[gate.Update]) -> list[gate.Finding]:
    pins = settings.pins()
    if pins is None:
        raise Refusal("this server has no trust root to judge a push by", "on the server: git auths root pin OID")
    refs = present_refs(repository)
    moving = by_their_own_names(refs, updates)
    require_true_old_ids(refs, moving)
    mainline = refs.get(pins.mainline)
    # Other refs may hold what nobody judged, proposals above all.
    receiver = gate.Receiver(("--not", "--branches", "--tags", "--not"), mainline.id if mainline else None, {})
    return gate.judge(repository, pins, moving, receiver)


if __name__ == "__main__":
    guard.leave(guard.run(lambda: main(sys.argv[1:])))
