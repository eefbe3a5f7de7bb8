"""pre-push (githooks(5)): refuse a push that would publish something that is not good; send the notes along."""

from __future__ import annotations

import os
import subprocess
import sys
import time

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
    pins = settings.pins()
    if code == 0 and pins is not None:
        warn_of_endings(repository, pins, updates)
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


def warn_of_endings(repository: Repository, pins: settings.Pins, updates: list[gate.Update]) -> None:
    """Say whose right to sign, by the policy that is pushed, ends within 30 days; and our own grant. Nothing of that
    stops a push."""
    pushed = {update.ref: update.new for update in updates if update.new and update.ref.startswith("refs/heads/")}
    commit = pushed.get(settings.branch_name(pins.mainline)) or next(iter(pushed.values()), None)
    if commit is None or not may_end(repository, commit):
        return

    from git_auths.core.expiring import ending
    from git_auths.store import recording

    try:
        folder = trustroot.folder_at(repository, commit)
        own = {f"did:keri:{identity.aid}" for identity in recording.identities()}
        found = [one for one in ending(folder, int(time.time())) if one.kind == "signer" or one.subject in own]
    except Error as error:
        output.warning(f"whose right to sign ends soon is not known: {error.message}")
        return
    if found:
        who = ", ".join(f"{one.subject} ({one.name})" if one.name else one.subject for one in found)
        output.warning(f"a right to sign ends within 30 days, or has ended: of {who}")
        output.hint("git auths receive --expiring keeps good what rests on it; then renew it")


def may_end(repository: Repository, commit: str) -> bool:
    """Is there anything in the commit's `.auths` that could end? To read all of it takes longer than a push may."""
    status, _ = git.attempt("grep", "--quiet", "-e", "^[^#]*expires_at", commit, "--", ":(top).auths/policy.toml",
                            cwd=repository.path)  # fmt: skip
    return status == 0 or bool(repository.git("ls-tree", "--full-tree", commit, "--", ".auths/grants"))


def send_notes(repository: Repository, remote: str, updates: list[gate.Update]) -> None:
    """Approvals travel with what they approve; a failure here never stops the push."""
    if any(update.ref == settings.NOTES_REF for update in updates) or repository.ref(settings.NOTES_REF) is None:
        return
    try:
        notesync.sync(repository.path, remote)
    except (git.GitFailed, Error) as error:
        output.warning(f"the attestations were not sent: {error.message}")
        if isinstance(error, Refusal):  # who signed them is perhaps only known by what is being pushed
            refs = " ".join(update.ref for update in updates if update.new is not None)
            output.hint(f"where they are by somebody new: git push {remote} {refs} {settings.NOTES_REF}")


if __name__ == "__main__":
    guard.leave(guard.run(lambda: main(sys.argv[1:])))
