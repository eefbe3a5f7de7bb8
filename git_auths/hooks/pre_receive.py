"""pre-receive (githooks(5)): the server's gate. It runs inside git's quarantine and writes no ref."""

from __future__ import annotations

import os
import subprocess
import sys

from git_auths import guard, output
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


def by_their_own_names(repository: Repository, updates: list[gate.Update]) -> list[gate.Update]:
    """The same updates, of the refs that move: a push to a symbolic ref moves what that points to in the end."""
    lines = repository.git("for-each-ref", "--format=%(refname) %(symref)").splitlines()
    targets = dict(os.fsdecode(line).split(" ", 1) for line in lines if not line.endswith(b" "))

    def moved(ref: str) -> str:
        for _ in range(MAX_SYMBOLIC_DEPTH):
            ref = targets.get(ref, ref)
        return ref

    return [update._replace(ref=moved(update.ref)) for update in updates]


def verify_push(updates: list[gate.Update]) -> int:
    repository = Repository()
    pins = settings.pins()
    if pins is None:
        raise Refusal("this server has no trust root to judge a push by", "on the server: git auths root pin OID")
    findings = gate.judge(repository, pins, by_their_own_names(repository, updates), ["--not", "--all", "--not"])
    for finding in findings:
        (output.error if finding.refuses else output.warning)(finding.text)
    return 1 if any(finding.refuses for finding in findings) else 0


if __name__ == "__main__":
    raise SystemExit(guard.run(lambda: main(sys.argv[1:])))
