"""Commands killed at each git that they start to change the repository: what is there counts, and the next one goes on.

What they do to the identity's folder by themselves is killed call by call in tests/store/test_crash_safety.py and
test_granting.py; this is the other half, the repository.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from git_auths.core.kel import replay
from tests.people import SCRIPTS, Person, Project

CHANGING = "hash-object|mktree|commit-tree|update-ref|update-index|add|config|read-tree|write-tree|notes|commit|push"
SHIM = """#!/bin/sh
for word in "$@"; do
    case "$word" in
        {changing})
            n=$(($(cat {count}) + 1))
            echo $n >{count}
            if [ $n -eq {kill_at} ]; then kill -9 $PPID; exit 137; fi
            break;;
    esac
done
exec {git} "$@"
"""
COMMANDS = {
    "init": ("init", "--no-passphrase"),
    "rotate": ("rotate",),
    "compromised": ("rotate", "--compromised", "--no-receive"),
    "grant": ("agent", "new", "fixer", "--capability", "sign_commit", "--ttl", "8h"),
    "revoke": ("agent", "revoke", "old"),
    "approve": ("approve", "HEAD"),
}


def prepared(template: Project, folder: Path, name: str) -> Person:
    """Somebody about to give the command."""
    ada = template.copied(folder).ada
    ada.git("remote", "remove", "origin")
    if name == "revoke":
        ada.auths("agent", "new", "old", "--capability", "sign_commit", "--ttl", "8h")
    if name == "init":
        for key in ("user.signingKey", "gpg.format", "gpg.ssh.program"):
            ada.git("config", "--unset", key)
        shutil.rmtree(ada.home / "auths" / "identities" / "main")
    return ada


def killed_at(ada: Person, number: int, *command: str) -> tuple[int, int]:
    """(exit code, gits started to change something): our command is killed when it starts number `number` of these."""
    bin, count = ada.home / "bin", ada.home / "count"
    bin.mkdir(exist_ok=True)
    count.write_text("0\n")
    git = shutil.which("git", path=os.environ["PATH"])
    (bin / "git").write_text(SHIM.format(changing=CHANGING, count=count, kill_at=number, git=git))
    (bin / "git").chmod(0o755)
    environment = {**ada.environment, "PATH": f"{bin}:{ada.environment['PATH']}"}
    done = subprocess.run([f"{SCRIPTS}/git-auths", *command], cwd=ada.at, env=environment, capture_output=True,
                          stdin=subprocess.DEVNULL, check=False)  # fmt: skip
    return done.returncode, int(count.read_text())


def logs_agree(ada: Person) -> None:
    """Each log in the repository is a beginning of the one on the disk, and valid."""
    for alias in ("main", "fixer", "old"):
        file = ada.home / "auths" / "identities" / alias / "kel.cesr"
        if not file.exists():
            continue
        own = file.read_bytes()
        aid = ada.auths("whoami", "--alias", alias).stdout.strip().removeprefix("did:keri:")
        there = ada.git("show", f"HEAD:.auths/kels/{aid}.cesr", code=None)
        if there.returncode == 0:
            assert own.startswith(there.stdout.encode())
            if alias == "main":
                assert replay(own).aid == aid


def is_done(ada: Person, name: str) -> bool:
    """Does the repository have what the command was for?"""
    if name == "init":
        return ada.git("config", "user.signingKey").stdout == "auths:main\n"
    if name == "approve":
        return "urn:git-auths:approval:v1" in approvals(ada)
    if name in ("grant", "revoke"):
        [one] = json.loads(ada.auths("agent", "list", "--json").stdout)["agents"]
        return bool(one["state"] == ("active" if name == "grant" else "revoked"))
    log = ada.git("show", f"HEAD:.auths/kels/{ada.did().removeprefix('did:keri:')}.cesr").stdout.encode()
    seals = [anchor for event in replay(log).events for anchor in event.anchors]
    return replay(log).state.sn > 0 and (name == "rotate" or "compromise/1" in str(seals))


def approvals(ada: Person) -> str:
    lines = ada.git("notes", "--ref=auths", "show", ada.head()).stdout.splitlines()
    return "".join(base64.b64decode(json.loads(line)["payload"]).decode() for line in lines)


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_before_any_change_of_the_repository_it_goes_on(template: Project, tmp_path: Path, name: str) -> None:
    command = COMMANDS[name]
    number, total = 1, 1
    while number <= total:
        ada = prepared(template, tmp_path / str(number), name)
        code, total_now = killed_at(ada, number, *command)
        total = max(total, total_now)
        if total_now < number:
            break
        assert code == -9
        for lock in ada.at.glob(".git/**/*.lock"):
            lock.unlink()  # git's own, of a git that died with us; git itself says to remove it
        logs_agree(ada)
        again = ada.auths(*command, code=None)
        # Where it had come far enough, there is nothing left to make or to end.
        assert again.returncode == 0 or name in ("grant", "revoke"), again.stderr
        ada.auths("kel", "update")
        logs_agree(ada)
        assert is_done(ada, name)
        if name != "init":
            ada.auths("verify")
            ada.auths("rotate")
            ada.commit()
            assert ada.ask("verify")["ok"]
        number += 1
    assert number > 1
