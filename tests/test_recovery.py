"""gitauths-recovery(7): every command of the page is run as it stands there, in its order, and does what the page says."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.loopback.issuer import Issuer
from tests.loopback.rekor import Log
from tests.loopback.tsa import Authority, LoopbackTsa
from tests.people import Person, Project

PAGE = (Path(__file__).resolve().parents[1] / "man/gitauths-recovery.7").read_text()
PASSPHRASE = "the one that has not been forgotten"
PROMPT = re.compile(r"(\w*)\$ (.+)")
PLACEHOLDER = re.compile(r"<[a-z ]+>")

Command = tuple[str, str]  # whose prompt it is, and what is typed


def blocks_of_page() -> dict[str, list[list[Command]]]:
    """The displays of each subsection that has any, as lists of commands."""
    found: dict[str, list[list[Command]]] = {}
    for title, text in re.findall(r"^\.Ss (.+)\n((?:(?!\.S[sh] ).*\n)*)", PAGE, re.M):
        displays = re.findall(r"^\.Bd -literal -offset indent\n((?:.*\n)*?)\.Ed$", text, re.M)
        if displays:
            found[title] = [commands(display) for display in displays]
    return found


def commands(display: str) -> list[Command]:
    lines = display.replace("\\e\n", "").splitlines()
    matches = [PROMPT.fullmatch(line) for line in lines]
    assert all(matches), f"not a command: {display}"
    return [(match[1], match[2].replace("\\(dq", '"')) for match in matches if match]


BLOCKS = blocks_of_page()


class Case:
    """The commands of one subsection, block by block. `people` has who sits at which prompt; `values` what the words in
    angle brackets, or other words, are here."""

    def __init__(self, title: str, project: Project) -> None:
        self.title = title
        self.left = [list(block) for block in BLOCKS[title]]
        self.project = project
        self.ada, self.bob, self.server = project.ada, project.bob, project.server
        self.people = {"": self.ada, "admin": self.bob}
        self.values: dict[str, str] = {}

    def play(self) -> str:
        """Run the next block, all of which must succeed; what it printed."""
        return "".join(self.run(*command) for command in self.left.pop(0))

    def play_one(self) -> str:
        """Run the next command of the next block."""
        said = self.run(*self.left[0].pop(0))
        self.left = [block for block in self.left if block]
        return said

    def run(self, prompt: str, command: str) -> str:
        for name, value in self.values.items():
            command = command.replace(name, value)
        assert not PLACEHOLDER.search(command), command
        if prompt == "server":
            return typed(self.ada, command, self.server)
        return typed(self.people[prompt], command)


def typed(person: Person, command: str, cwd: Path | None = None) -> str:
    """What the command prints where somebody sits at a terminal who answers yes. It must succeed."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, b"y\n" * 4)
        done = subprocess.run(["sh", "-e", "-c", command], cwd=cwd or person.at, stdin=theirs, capture_output=True,
                              env={**person.environment, "AUTHS_PASSPHRASE": PASSPHRASE}, text=True, check=False)  # fmt: skip
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 0, f"{person.name}$ {command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def is_good(person: Person, revision: str = "HEAD") -> bool:
    return bool(person.ask("verify-commit", revision)["ok"])


def is_release(person: Person, name: str) -> bool:
    return bool(person.ask("verify-tag", name)["ok"])


def verdict(person: Person, revision: str = "HEAD") -> str:
    return str(person.ask("verify-commit", revision)["objects"][0]["verdict"])


def release(person: Person, name: str) -> None:
    person.git("tag", "-s", "-m", name, name)
    person.git("push", "--quiet", "origin", name)


def pull(person: Person) -> None:
    person.git("pull", "--quiet", "--ff-only")


def push(person: Person) -> None:
    person.git("push", "--quiet")


def listed(owner: Person, newcomer: Person, *roles: str) -> None:
    owner.join(newcomer, *roles)
    push(owner)
    pull(newcomer)


def with_laptop(project: Project, name: str = "laptop") -> Person:
    """A second machine of Ada's, in a clone of its own."""
    laptop = Person(project.folder, name)
    laptop.at = laptop.home / "work"
    laptop.git("clone", "--quiet", project.server, laptop.at, cwd=laptop.home)
    laptop.auths("setup", "--root", project.root, "--yes")
    laptop.auths(
        "device", "add", "--owner", project.ada.did(), "--name", name, "--no-passphrase", "--output", "request"
    )
    project.ada.auths("device", "approve", laptop.at / "request", "--yes")
    push(project.ada)
    pull(laptop)
    laptop.auths("device", "finish")
    return laptop


def with_agent(project: Project, name: str) -> str:
    """An agent of Ada's; its DID."""
    did = project.ada.auths("agent", "new", name).stdout.strip()
    push(project.ada)
    return did


def agents_commit(ada: Person, name: str, file: str) -> str:
    ada.auths("agent", "run", name, "--", "sh", "-c", f"echo x > {file} && git add {file} && git commit -q -m {file}")
    return ada.head()


def thief_of(person: Person, folder: Path) -> Person:
    """Somebody with a copy of all that the person has now, the clone included."""
    thief = Person(folder, "thief")
    for name in ("auths", "work"):
        shutil.copytree(person.home / name, thief.home / name, symlinks=True)
    thief.at = thief.home / "work"
    return thief


def identity_folder(person: Person, alias: str = "main") -> Path:
    return person.home / "auths/identities" / alias


@contextmanager
def evidence(case: Case, asked: str = "require_timestamp = true") -> Iterator[dict[str, str]]:
    """A rule for CI, with its issuer and its authority pinned; what a job has in its environment."""
    ada = case.ada
    with Issuer() as issuer, LoopbackTsa(case.project.folder / "tsa") as tsa:
        auths = ada.at / ".auths"
        for name, content in (("oidc/ci.json", issuer.pin_file()), ("tsa/tsa.pem", tsa.authority.pem)):
            (auths / name).parent.mkdir()
            (auths / name).write_bytes(content)
        with (auths / "policy.toml").open("a") as stream:
            stream.write(f'''
[[policy.ci]]
allow_ephemeral = true
{asked}
{f'timestamp_url = "{tsa.url}"' if "timestamp" in asked else ""}
[policy.ci.identity]
issuer = "{issuer.name}"
repository_id = "123456"
''')
        ada.git("add", ".auths")
        ada.git("commit", "--quiet", "-m", "CI signs what it builds")
        push(ada)
        issuer.claims["sha"] = ada.head()
        yield issuer.environment


def built(person: Person, file: str, environment: dict[str, str]) -> None:
    (person.at / file).write_text("built")
    person.auths("artifact", "sign", "--ci", file, **environment)


def refused_in_push(person: Person) -> str:
    """What the server says to a push of what the person has, to a branch that nobody has seen yet."""
    return person.git("push", "--no-verify", "origin", "HEAD:refs/heads/side", code=1).stderr


# The cases


def precautions(case: Case) -> None:
    release(case.ada, "v1")
    stick = case.project.folder / "stick"
    stick.mkdir()
    case.values = {"<stick>": str(stick)}
    case.play()
    assert (stick / "next.key").exists()
    assert "in one folder" not in case.ada.auths("doctor").stdout
    assert is_good(case.ada) and is_release(case.ada, "v1")
    case.ada.auths("rotate")
    assert is_good(case.ada)


def lost_laptop(case: Case) -> None:
    laptop = with_laptop(case.project)
    laptop.commit("old")
    push(laptop)
    release(laptop, "v1")
    pull(case.ada)
    case.ada.git("fetch", "--quiet", "--tags")
    old = laptop.head()
    case.play()
    assert is_good(case.ada, old) and is_release(case.ada, "v1")
    laptop.commit("later")
    assert "unauthorized" in refused_in_push(laptop)
    laptop.git("fetch", "--quiet")
    laptop.git("reset", "--quiet", "--hard", "origin/main")
    assert "revoked" in laptop.git("commit", "--allow-empty", "-m", "x", code=128).stderr


def forgotten_passphrase(case: Case) -> None:
    case.project.with_bob("admin", "commit", "release")
    pull(case.ada)
    for role in ("release", "admin"):
        case.bob.auths("policy", "remove-signer", "--role", role, "--no-receive", case.ada.did())
    case.bob.git("commit", "--quiet", "-m", "Ada only commits")
    push(case.bob)
    pull(case.ada)
    old, did = case.ada.commit("old"), case.ada.did()
    push(case.ada)
    pull(case.bob)
    for file in ("current", "next"):
        path = identity_folder(case.ada) / file
        subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "forgotten", "-f", path], check=True)
    case.play()
    case.values = {"<old did>": did, "again.cesr": str(case.ada.at / "again.cesr")}
    case.play()
    pull(case.ada)
    new = case.ada.git("commit", "--allow-empty", "-m", "new", AUTHS_PASSPHRASE=PASSPHRASE) and case.ada.head()
    case.ada.git("push", "--quiet")
    assert is_good(case.ada, old) and is_good(case.ada, new)
    assert case.ada.did() != did


def stolen_key(case: Case) -> None:
    ada, laptop = case.ada, with_laptop(case.project)
    with_agent(case.project, "fixer")
    release(ada, "v1")
    other = other_repository(case.project)
    thief = thief_of(ada, case.project.folder)
    bad = thief.commit("evil")
    push(thief)
    pull(ada)
    thief.commit("more")
    did = ada.did()
    case.play()
    assert "compromised-key" in refused_in_push(thief)
    assert is_release(ada, "v1")
    release(ada, "v2")
    assert is_release(ada, "v2")
    assert "doubt" in ada.auths("agent", "run", "fixer", "--", "true", code=1).stderr
    pull(laptop)
    assert "doubt" in laptop.git("commit", "--allow-empty", "-m", "x", code=128).stderr
    case.play()
    pull(laptop)
    laptop.commit("again")
    push(laptop)
    pull(ada)
    agents_commit(ada, "fixer", "fixed")
    ada.auths("approve", "HEAD")
    push(ada)
    ada.at = other
    before = ada.head()
    case.play()
    assert ada.head() != before
    ada.commit("there")
    assert is_good(ada)
    ada.at = ada.home / "work"
    case.values = {"<did>": did, "<commit>": bad}
    assert bad in case.play()
    assert not (ada.at / "evil").exists() and is_good(ada)


def other_repository(project: Project) -> Path:
    """Another repository of Ada's, with a remote and a policy."""
    ada, folder = project.ada, project.ada.home / "other"
    ada.git("init", "--quiet", folder, cwd=ada.home)
    ada.auths("init", cwd=folder)
    ada.auths("policy", "init", cwd=folder)
    ada.git("init", "--quiet", "--bare", project.folder / "other.git")
    ada.git("remote", "add", "origin", project.folder / "other.git", cwd=folder)
    ada.git("push", "--quiet", "--set-upstream", "origin", "main", cwd=folder)
    return folder


def both_keys_stolen(case: Case) -> None:
    case.project.with_bob("admin", "commit", "release")
    ada, bob = case.ada, case.bob
    for role in ("release", "admin"):
        bob.auths("policy", "remove-signer", "--role", role, "--no-receive", ada.did())
    bob.git("commit", "--quiet", "-m", "Ada only commits")
    push(bob)
    pull(ada)
    thief = thief_of(ada, case.project.folder)
    thief.auths("rotate")
    push(thief)
    pull(ada)
    pull(bob)
    did = ada.did()
    assert "bad " in ada.auths("doctor", code=1).stdout
    ada.auths("rotate", code=1)
    case.play()
    case.values = {"<old did>": did, "again.cesr": str(ada.at / "again.cesr")}
    case.play()
    thief.commit("evil")
    assert "unauthorized" in refused_in_push(thief)
    pull(ada)
    ada.git("commit", "--allow-empty", "-m", "new", AUTHS_PASSPHRASE=PASSPHRASE)
    push(ada)
    assert is_good(ada)


def lost_next_key(case: Case) -> None:
    ada = case.ada
    release(ada, "v1")
    (identity_folder(ada) / "next").unlink()
    assert "is not there" in ada.auths("rotate", code=128).stderr
    hand_over(case)
    assert is_release(ada, "v1")


def hand_over(case: Case) -> None:
    ada, old = case.ada, case.ada.did()
    case.values = {"<old did>": old}
    case.values["<new did>"] = case.play_one().split()[-1]
    new = ada.auths("whoami", "--alias", "again").stdout.strip()
    case.values["<new did>"] = new
    while case.left:
        case.play_one()
    assert ada.did() == new != old
    ada.git("commit", "--allow-empty", "-m", "new", AUTHS_PASSPHRASE=PASSPHRASE)
    push(ada)
    assert is_good(ada)


def colleague_leaves(case: Case) -> None:
    case.project.with_bob("commit", "release")
    ada, bob = case.ada, case.bob
    org = ada.auths("org", "create", "club", "--no-passphrase").stdout.strip()
    ada.auths("policy", "add-signer", "--role", "commit", "--name", "Club", org)
    ada.git("commit", "--quiet", "-m", "The club commits")
    ada.auths("org", "add-member", "club", bob.did(), "--name", "Bob", "--capability", "sign_commit")
    push(ada)
    pull(bob)
    old = bob.commit("old")
    push(bob)
    release(bob, "v1")
    bob.commit("later")
    pull(ada)
    ada.git("fetch", "--quiet", "--tags")
    case.values = {"<did>": bob.did()}
    case.play()
    assert is_good(ada, old) and is_release(ada, "v1")
    assert "unauthorized" in refused_in_push(bob)


def broken_pipeline(case: Case) -> None:
    ada, did = case.ada, with_agent(case.project, "ci")
    bad = agents_commit(ada, "ci", "evil")
    ada.auths("approve", "HEAD")
    push(ada)
    case.values = {"<did>": did, "<commit>": bad}
    assert bad in case.play()
    assert not (ada.at / "evil").exists() and is_good(ada)
    assert "revoked" in ada.auths("agent", "run", "ci", "--", "true", code=1).stderr
    case.play()
    agents_commit(ada, "ci-2", "built")


def wild_agent(case: Case) -> None:
    ada = case.ada
    with_agent(case.project, "fixer")
    bad = agents_commit(ada, "fixer", "evil")
    case.play()
    assert not (ada.at / "evil").exists() and is_good(ada)
    assert ada.git("rev-parse", "wild").stdout.strip() == bad
    ada.git("switch", "--quiet", "wild")
    assert "revoked" in refused_in_push(ada)
    ada.git("switch", "--quiet", "main")
    assert "revoked" in ada.auths("agent", "run", "fixer", "--", "true", code=1).stderr


def old_backup(case: Case) -> None:
    ada, folder = case.ada, identity_folder(case.ada)
    backup = case.project.folder / "backup"
    shutil.copytree(folder, backup)
    with_agent(case.project, "fixer")
    restore(folder, backup)
    assert "bad " in ada.auths("doctor", code=1).stdout
    case.play()
    ada.auths("rotate")
    push(ada)
    restore(folder, backup)
    assert "superseded-key" in ada.git("commit", "--allow-empty", "-m", "x", code=128).stderr
    Case(case.title, case.project).play()
    ada.commit("still")
    push(ada)
    assert is_good(ada)
    hand_over(Case("A lost next key", case.project))


def restore(folder: Path, backup: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(backup, folder)


def all_admins_lost(case: Case) -> None:
    case.project.with_bob("commit")
    ada, bob, project = case.ada, case.bob, case.project
    release(ada, "v1")
    new = Person(project.folder, "new")
    case.people = {"": bob, "admin": ada, "new": new}
    case.values = {"<did>": bob.did(), "<old did>": ada.did(), "<old root>": project.root}
    while "root pin" not in case.left[0][0][1]:
        case.play_one()
    case.values["<new root>"] = bob.head()
    case.play()
    case.play()
    case.play()
    assert is_good(bob)
    bob.commit("work")
    push(bob)
    case.play()
    new.at = new.home / "work"
    new.git("clone", "--quiet", project.server, new.at, cwd=new.home)
    case.play()
    assert is_good(new)
    assert not is_release(new, "v1")
    release(bob, "v2")
    assert is_release(bob, "v2")


def broken_ci(case: Case) -> None:
    ada = case.ada
    day = time.strftime("%Y-%m-%d", time.gmtime())
    case.people = {"": ada, "admin": ada}
    case.values = {"<day>": day, "<file>": "app", "<release>": "v1"}
    with evidence(case) as environment:
        release(ada, "v1")
        built(ada, "app", environment)
        assert ada.auths("artifact", "verify", "--strict", "app").returncode == 0
        policy = ada.at / ".auths/policy.toml"
        policy.write_text(policy.read_text().replace("allow_ephemeral = true", "allow_ephemeral = false"))
        assert "provenance" in case.play()
        assert "FAILED" in ada.auths("artifact", "verify", "app", code=1).stdout
        assert "policy.release[0] is met" in case.play()


def changed_pins(case: Case) -> None:
    ada, folder = case.ada, case.project.folder
    with evidence(case) as environment, Issuer() as issuer:
        built(ada, "app", environment)
        (folder / "new.pem").write_bytes(Authority(folder / "new").pem)
        (folder / "log.json").write_text(json.dumps(Log().instance()))
        case.people = {"admin": ada}
        case.values = {"<issuer>": issuer.url, "<new root>": str(folder / "new.pem"),
                       "<new log>": str(folder / "log.json"), "<pin>": ".auths/tsa/tsa.pem"}  # fmt: skip
        case.play()
        found = json.loads(ada.auths("ci", "pins", "--json").stdout)
        assert [len(found[kind]) for kind in ("issuers", "authorities", "logs")] == [2, 2, 1]
        assert ada.auths("artifact", "verify", "--strict", "app").returncode == 0
        case.play()
        assert "FAILED" in ada.auths("artifact", "verify", "app", code=1).stdout


def expired_artifact(case: Case) -> None:
    ada = case.ada
    with evidence(case, 'max_ttl = "1s"') as environment:
        release(ada, "v1")
        built(ada, "app", environment)
        deadline = time.monotonic() + 20
        while ada.auths("artifact", "verify", "app", code=None).returncode == 0:
            assert time.monotonic() < deadline
        case.values = {"<file>": "app", "<release>": "v1"}
        said = case.play()
        assert "(expired)" in said and "policy.release[0] is met" in said


CASES: dict[str, Callable[[Case], None]] = {
    "Precautions": precautions,
    "A lost laptop": lost_laptop,
    "A forgotten passphrase": forgotten_passphrase,
    "A stolen key": stolen_key,
    "A stolen key, and the next one with it": both_keys_stolen,
    "A lost next key": lost_next_key,
    "A colleague leaves": colleague_leaves,
    "A pipeline that was broken into": broken_pipeline,
    "A CI that was broken into": broken_ci,
    "An issuer, an authority or a log that changes its keys": changed_pins,
    "An artifact that has expired": expired_artifact,
    "An agent that ran wild": wild_agent,
    "A machine that was restored from an old backup": old_backup,
    "All admins are lost": all_admins_lost,
}


@pytest.mark.parametrize("title", BLOCKS)
def test_what_the_page_says_to_type_works(title: str, project: Project) -> None:
    case = Case(title, project)
    CASES[title](case)
    assert case.left == [], "these were not tried"


def test_there_is_no_case_but_those_of_the_page() -> None:
    assert set(CASES) == set(BLOCKS)
