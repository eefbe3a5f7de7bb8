"""The whole story in a temporary folder: two people, a server, a stranger, three attacks. Exit 0 only when all is
refused that should be, for the right reason."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from git_auths import output
from git_auths.errors import Refusal
from git_auths.store import git

CONFIG = (
    "[user]\n\tname = {name}\n\temail = {email}\n[init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--keep", action="store_true", help="leave the folder, and say where it is")


def run(args: argparse.Namespace) -> int:
    folder = Path(tempfile.mkdtemp(prefix="git-auths-demo-"))
    try:
        tell_the_story(folder)
    finally:
        if args.keep:
            output.note(f"kept {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


class Person:
    """Somebody with a home of their own; `at` is the repository that they work in."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.home = folder / name.lower()
        self.home.mkdir()
        (self.home / ".gitconfig").write_text(CONFIG.format(name=name, email=f"{name.lower()}@example.com"))
        self.at = self.home
        scripts = sysconfig.get_path("scripts")
        hidden = ("SSH_AUTH_SOCK", "XDG_CONFIG_HOME")
        inherited = {key: value for key, value in git.environment_elsewhere().items() if key not in hidden}
        self.environment = inherited | {
            "HOME": str(self.home), "AUTHS_HOME": str(self.home / "auths"), "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(self.home / ".gitconfig"), "GIT_TERMINAL_PROMPT": "0",
            "PATH": f"{scripts}:{inherited.get('PATH', os.defpath)}",
        }  # fmt: skip

    def git(self, *args: str | Path) -> str:
        """Run git, which must succeed."""
        code, text, said = self.try_git(*args)
        if code:
            raise Refusal(f"the demo failed: {self.name}: git {' '.join(map(str, args))}: {said.strip()}")
        return text

    def try_git(self, *args: str | Path) -> tuple[int, str, str]:
        """(exit code, stdout, stderr)"""
        return git.run_as(self.environment, self.at, *map(str, args))

    def write(self, name: str, text: str) -> None:
        (self.at / name).write_text(text)
        self.git("add", name)


def tell_the_story(folder: Path) -> None:
    server = folder / "server.git"
    ada, bob = Person(folder, "Ada"), Person(folder, "Bob")
    root = start(ada, server)
    join(ada, bob, server, root, folder)
    release(ada, bob)
    stranger = meet_a_stranger(folder, server, root)
    mallory = Person(folder, "Mallory")
    mallory.git("clone", "--quiet", server, mallory.home / "work")
    mallory.at = mallory.home / "work"
    forge_a_commit(mallory, ada)
    add_oneself(mallory)
    rename_a_release(mallory, stranger, folder, server)
    output.data("every attack was refused, each for its own reason")


def start(ada: Person, server: Path) -> str:
    say("Ada makes an identity and a first policy; its commit becomes the trust root.")
    ada.git("init", "--quiet", ada.home / "work")
    ada.at = ada.home / "work"
    ada.git("auths", "init", "--no-passphrase")
    root = ada.git("auths", "policy", "init").strip()
    say("The server gets a pre-receive hook, and is told the root.")
    ada.git("init", "--quiet", "--bare", server)
    ada.git("-C", server, "auths", "root", "pin", "--mainline", "refs/heads/main", root)
    ada.git("-C", server, "auths", "hooks", "install", "--server")
    ada.write("README", "A project.\n")
    ada.git("commit", "--quiet", "-m", "Start")
    ada.git("remote", "add", "origin", server)
    ada.git("push", "--quiet", "--set-upstream", "origin", "main")
    return root


def join(ada: Person, bob: Person, server: Path, root: str, folder: Path) -> None:
    say("Bob clones, and trusts the root that Ada told him. His first commit is not signed: nobody has listed him.")
    bob.git("clone", "--quiet", server, bob.home / "work")
    bob.at = bob.home / "work"
    bob.git("auths", "init", "--no-passphrase")
    bob.git("auths", "setup", "--root", root, "--yes")
    bob.write("bob.txt", "Hello.\n")
    expect(bob.try_git("commit", "--quiet", "-m", "Hello"), "not signed", "Bob's commit before he is listed")
    say("He sends Ada his key event log; she lists him, and asks for two signatures on a release.")
    log = folder / "bob.cesr"
    log.write_text(bob.git("auths", "whoami", "--export"))
    for role in ("commit", "release"):
        ada.git("auths", "policy", "add-signer", log, "--role", role, "--name", "Bob", "--email", "bob@example.com")
    ada.git("auths", "policy", "set-threshold", "release", "2")
    ada.git("commit", "--quiet", "-m", "Add Bob; a release takes two")
    ada.git("push", "--quiet")
    bob.git("stash", "--quiet")
    bob.git("pull", "--quiet", "--ff-only")
    bob.git("stash", "pop", "--quiet")
    bob.git("commit", "--quiet", "-m", "Hello")
    bob.git("push", "--quiet")


def release(ada: Person, bob: Person) -> None:
    say("Ada tags v1.0.0. One signature of two: the push is refused, so she proposes it.")
    ada.git("pull", "--quiet", "--ff-only")
    ada.git("tag", "-s", "-m", "The first release", "v1.0.0")
    expect(ada.try_git("push", "--quiet", "origin", "v1.0.0"), "threshold-unmet", "a tag with one signature of two")
    ada.git("auths", "propose", "v1.0.0")
    say("Bob approves it and publishes tag and approval in one push; the server checks both.")
    bob.git("auths", "approve", "v1.0.0")
    bob.git("auths", "publish", "v1.0.0")


def meet_a_stranger(folder: Path, server: Path, root: str) -> Person:
    stranger = Person(folder, "Stranger")
    stranger.git("clone", "--quiet", server, stranger.home / "work")
    stranger.at = stranger.home / "work"
    stranger.git("auths", "setup", "--root", root, "--yes")
    stranger.git("remote", "set-url", "origin", folder / "nowhere")  # from here on the stranger is on a plane
    answer = ask(stranger, "verify-tag", "v1.0.0")
    approvals = answer["objects"][0]["approvals"]
    word, have, need = answer["objects"][0]["verdict"], approvals["have"], approvals["need"]
    say(f"A stranger, offline: v1.0.0 is {word}, {have} of {need} signed.")
    if not answer["ok"] or not ask(stranger, "verify")["ok"]:
        raise Refusal("the demo failed: the stranger's clone does not verify")
    return stranger


def forge_a_commit(mallory: Person, ada: Person) -> None:
    say("Attack 1: Mallory commits in Ada's name, signs with a key of her own, and pushes past her hooks.")
    mallory.git("auths", "init", "--no-passphrase")
    mallory.git("config", "auths.enforceOnSign", "false")
    mallory.write("README", "A project with a back door.\n")
    mallory.git("-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "--quiet", "-m", "Tidy up")
    expect(mallory.try_git("push", "--quiet", "--no-verify"), "unknown-key", "a forged commit")


def add_oneself(mallory: Person) -> None:
    say("Attack 2: she lists herself in the policy first, in a commit that she signs.")
    mallory.git("reset", "--quiet", "--hard", "origin/main")
    log = mallory.home / "mallory.cesr"
    log.write_text(mallory.git("auths", "whoami", "--export"))
    for role in ("commit", "admin"):
        mallory.git("auths", "policy", "add-signer", log, "--role", role)
    mallory.git("commit", "--quiet", "-m", "Add Mallory")
    expect(mallory.try_git("push", "--quiet", "--no-verify"), "policy-change-unauthorized", "a self-added signer")


def rename_a_release(mallory: Person, stranger: Person, folder: Path, server: Path) -> None:
    say("Attack 3: she serves the good tag object of v1.0.0 under the name v2.0.0, from a mirror without hooks.")
    tag = mallory.git("rev-parse", "refs/tags/v1.0.0").strip()
    expect(mallory.try_git("push", "--quiet", "--no-verify", "origin", f"{tag}:refs/tags/v2.0.0"), "tag-name-mismatch",
           "a release under another name")  # fmt: skip
    mirror = folder / "mirror.git"
    mallory.git("clone", "--quiet", "--mirror", server, mirror)
    mallory.git("-C", mirror, "update-ref", "refs/tags/v2.0.0", tag)
    stranger.git("fetch", "--quiet", mirror, "refs/tags/*:refs/tags/*")
    verdict = ask(stranger, "verify-tag", "v2.0.0")["objects"][0]["verdict"]
    if verdict != "tag-name-mismatch":
        raise Refusal(f"the demo failed: the renamed release is {verdict}")
    output.data("   refused by the stranger too: tag-name-mismatch")


def ask(person: Person, command: str, *args: str) -> Any:
    """The JSON that a verifying command prints; exit 1 is an answer as well."""
    code, text, said = person.try_git("auths", command, *args, "--json")
    if code not in (0, 1):
        raise Refusal(f"the demo failed: {person.name}: git auths {command}: {said.strip()}")
    return json.loads(text)


def expect(done: tuple[int, str, str], reason: str, what: str) -> None:
    """The command must have failed, for this reason."""
    code, _, said = done
    if code == 0:
        raise Refusal(f"the demo failed: {what} was accepted")
    line = next((line for line in said.splitlines() if reason in line), None)
    if line is None:
        raise Refusal(f"the demo failed: {what} was refused, but not as {reason}: {said.strip()}")
    output.data(f"   refused: {reason}")


def say(text: str) -> None:
    output.data(text)
