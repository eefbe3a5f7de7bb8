"""pre-receive (githooks(5)): the server's gate. It runs inside git's quarantine and writes no ref."""

from __future__ import annotations

import os
import subprocess
import sys

from git_auths import guard
from git_auths.errors import Error, Refusal
from git_auths.hooks import gate, serverrefs
from git_auths.hooks.pre_push import present
from git_auths.store import hookfiles, passphrase, settings
from git_auths.store.repository import Repository


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
    for line in lines.removesuffix(b"\n").split(b"\n") if lines else ():
        fields = os.fsdecode(line).split(" ", 2)
        if len(fields) != 3:
            raise Error("git gave pre-receive a line that is not one of githooks(5)")
        updates.append(gate.Update(fields[2], present(fields[0]), present(fields[1])))
    return updates


def verify_push(updates: list[gate.Update]) -> int:
    repository = Repository()
    return gate.answer(repository, lambda: judge(repository, updates))


def judge(repository: Repository, updates: list[gate.Update]) -> list[gate.Finding]:
    pins = settings.pins()
    if pins is None:
        raise Refusal("this server has no trust root to judge a push by", "on the server: git auths root pin OID")
    serverrefs.require_names(updates)
    refs = serverrefs.present_refs(repository)
    pins = pins._replace(mainline=serverrefs.moved_by(repository, refs, pins.mainline))
    moving = serverrefs.by_their_own_names(repository, refs, updates)
    serverrefs.require_one_update_each(moving)
    serverrefs.require_true_old_ids(refs, moving)
    if len(moving) > 1:
        deciding = (pins.mainline, settings.NOTES_REF)
        serverrefs.require_all_objects(repository, [update for update in moving if update.ref in deciding])
    mainline = refs.get(pins.mainline)
    # Other refs may hold what nobody judged, proposals above all.
    receiver = gate.Receiver(("--not", "--branches", "--tags", "--not"), mainline.id if mainline else None, {})
    return gate.judge(repository, pins, moving, receiver)


if __name__ == "__main__":
    guard.leave(guard.run(lambda: main(sys.argv[1:])))
