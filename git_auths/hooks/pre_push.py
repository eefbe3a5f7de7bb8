"""pre-push (githooks(5)): refuse a push that would publish something that is not good; send the notes along."""

from __future__ import annotations

import os
import subprocess
import sys

from git_auths import guard, output
from git_auths.errors import Error, Refusal
from git_auths.hooks import gate
from git_auths.store import git, hookfiles, notesync, passphrase, settings, trustroot
from git_auths.store.repository import Repository
from git_auths.store.tips import Tips


def main(argv: list[str]) -> int:
    """`argv`: the shim's path, the remote's name, its URL."""
    passphrase.take_secrets()
    lines = sys.stdin.buffer.read()
    shim, remote = argv[0], argv[1] if len(argv) > 1 else ""
    before = hookfiles.earlier_hook(shim)
    if before is not None:
        code = subprocess.run([before, *argv[1:]], input=lines, check=False).returncode
        if code:
            return code
    return verify_push(remote, read_updates(lines))


def read_updates(lines: bytes) -> list[gate.Update]:
    """`<local ref> <local id> <remote ref> <remote id>` a line; an id of zeros stands for none."""
    updates = []
    for line in lines.removesuffix(b"\n").split(b"\n") if lines else ():
        fields = os.fsdecode(line).split(" ")
        if len(fields) != 4:
            raise Error("git gave pre-push a line that is not one of githooks(5)")
        updates.append(gate.Update(fields[2], present(fields[3]), present(fields[1])))
    return updates


def present(id: str) -> str | None:
    return id if id.strip("0") else None


def verify_push(remote: str, updates: list[gate.Update]) -> int:
    repository = Repository()
    code = gate.answer(repository, lambda: judge(repository, remote, updates))
    if code == 0 and settings.pins() is not None:
        send_notes(repository, remote, updates)
    return code


def judge(repository: Repository, remote: str, updates: list[gate.Update]) -> list[gate.Finding]:
    pins = settings.pins()
    if pins is None:
        require_no_policy(repository, updates)
        return []
    return gate.judge(repository, pins, updates, receiver(repository, pins, remote))


def receiver(repository: Repository, pins: settings.Pins, remote: str) -> gate.Receiver:
    """What this clone knows of the remote: its remote-tracking refs, never a branch of its own; and what was good."""
    known = Tips(repository.common_dir).all()
    remembered = {ref: id for ref, id in known.items() if ref.startswith("refs/tags/")}
    if remote not in repository.git("remote").decode().split():
        return gate.Receiver((), None, remembered)
    tracking = f"refs/remotes/{remote}/"
    remembered |= {
        "refs/heads/" + ref.removeprefix(tracking): id for ref, id in known.items() if ref.startswith(tracking)
    }
    mainline = tracking + settings.branch_name(pins.mainline).removeprefix("refs/heads/")
    published = ("--not", f"--remotes={remote}", "--not")
    return gate.Receiver(published, repository.ref(mainline), remembered)


def require_no_policy(repository: Repository, updates: list[gate.Update]) -> None:
    """Without a pin there is nothing to judge by; where there is a policy, that must not pass for an answer."""
    for update in updates:
        if (
            update.new
            and update.ref.startswith("refs/heads/")
            and trustroot.folder_at(repository, update.new).policy_id
        ):
            raise Refusal(f"{update.ref} has a policy, but no trust root is pinned in this clone", "git auths setup")


def send_notes(repository: Repository, remote: str, updates: list[gate.Update]) -> None:
    """Approvals travel with what they approve; a failure here never stops the push."""
    if any(update.ref == settings.NOTES_REF for update in updates) or repository.ref(settings.NOTES_REF) is None:
        return
    try:
        notesync.sync(repository.path, remote)
    except (git.GitFailed, Error) as error:
        output.warning(f"the attestations were not sent: {error.message}")


if __name__ == "__main__":
    guard.leave(guard.run(lambda: main(sys.argv[1:])))
