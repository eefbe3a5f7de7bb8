"""People with a home, an identity and a clone of their own, who run the real programs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPTS = os.path.dirname(sys.executable)
CONFIG = "[user]\n\tname = {name}\n\temail = {email}\n[init]\n\tdefaultBranch = main\n[gc]\n\tauto = 0\n"

Done = subprocess.CompletedProcess[str]


class Person:
    """`at` is the repository that the person works in; `environment` is theirs alone."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.home = folder / name
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / ".gitconfig").write_text(CONFIG.format(name=name, email=f"{name}@example.com"))
        self.at = self.home
        self.environment = {
            "HOME": str(self.home), "AUTHS_HOME": str(self.home / "auths"), "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(self.home / ".gitconfig"), "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8",
            "TZ": "UTC", "PATH": f"{SCRIPTS}:{os.environ['PATH']}",
        }  # fmt: skip

    def git(self, *args: str | Path, code: int | None = 0, cwd: Path | None = None, **more: str) -> Done:
        """Run git; `more` is added to the environment. Any other exit code than `code` fails the test (None: any)."""
        command = ["git", *map(str, args)]
        done = subprocess.run(command, cwd=cwd or self.at, env={**self.environment, **more}, capture_output=True,
                              stdin=subprocess.DEVNULL, text=True, errors="surrogateescape", check=False)  # fmt: skip
        assert code is None or done.returncode == code, (
            f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        assert "Traceback" not in done.stderr
        return done

    def auths(self, *args: str | Path, code: int | None = 0, cwd: Path | None = None, **more: str) -> Done:
        return self.git("auths", *args, code=code, cwd=cwd, **more)

    def ask(self, *args: str | Path) -> Any:
        """The JSON that a verifying command prints; exit 0 and 1 are both answers."""
        done = self.auths(*args, "--json", code=None)
        assert done.returncode in (0, 1), done.stderr
        answer = json.loads(done.stdout)
        assert answer["ok"] is (done.returncode == 0)
        return answer

    def commit(self, name: str = "file", text: str = "x\n", message: str = "Work", code: int = 0) -> str:
        """Change a file, commit it, and return the commit's id."""
        (self.at / name).parent.mkdir(parents=True, exist_ok=True)
        with (self.at / name).open("a") as stream:
            stream.write(text)
        self.git("add", name)
        self.git("commit", "--quiet", "-m", message, code=code)
        return self.head()

    def head(self) -> str:
        return self.git("rev-parse", "HEAD").stdout.strip()

    def did(self) -> str:
        return self.auths("whoami").stdout.strip()

    def export(self) -> Path:
        """The person's key event log, as a file to send."""
        file = self.home / f"{self.name}.cesr"
        file.write_text(self.auths("whoami", "--export").stdout)
        return file

    def start(self, folder: Path) -> str:
        """Make an identity, a repository and a policy; the root's id."""
        self.at = folder
        self.git("init", "--quiet", folder, cwd=self.home)
        self.auths("init", "--no-passphrase")
        return self.auths("policy", "init").stdout.strip()

    def clone(self, url: Path, root: str) -> None:
        """Make an identity, clone, and trust `root`."""
        self.at = self.home / "work"
        self.git("clone", "--quiet", url, self.at, cwd=self.home)
        self.auths("init", "--no-passphrase")
        self.auths("setup", "--root", root, "--yes")

    def join(self, newcomer: Person, *roles: str) -> None:
        """List `newcomer` in these roles, and commit that."""
        for role in roles:
            self.auths("policy", "add-signer", newcomer.export(), "--role", role, "--name", newcomer.name,
                       "--email", f"{newcomer.name}@example.com")  # fmt: skip
        self.git("commit", "--quiet", "-m", f"Add {newcomer.name}")


class Project:
    """Ada's repository with a policy, a server that enforces it, and Bob's clone; Bob is listed in no rule yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = folder / "server.git"
        self.ada, self.bob = Person(folder, "ada"), Person(folder, "bob")
        self.root = ""

    def begin(self) -> Project:
        self.root = self.ada.start(self.ada.home / "work")
        self.ada.git("init", "--quiet", "--bare", self.server)
        self.ada.auths("root", "pin", "--mainline", "refs/heads/main", self.root, cwd=self.server)
        self.ada.auths("hooks", "install", "--server", cwd=self.server)
        self.ada.git("remote", "add", "origin", self.server)
        self.ada.git("push", "--quiet", "--set-upstream", "origin", "main")
        self.bob.clone(self.server, self.root)
        return self

    def copied(self, folder: Path) -> Project:
        """The same elsewhere: a copy takes a hundredth of the time."""
        shutil.copytree(self.folder, folder, symlinks=True, dirs_exist_ok=True)
        copy = Project(folder)
        copy.root = self.root
        for person in (copy.ada, copy.bob):
            person.at = person.home / "work"
            config = person.at / ".git/config"
            config.write_text(config.read_text().replace(str(self.folder), str(folder)))
        return copy

    def with_bob(self, *roles: str) -> Project:
        """List Bob and let him have it."""
        self.ada.join(self.bob, *roles)
        self.ada.git("push", "--quiet")
        self.bob.git("pull", "--quiet", "--ff-only")
        return self
