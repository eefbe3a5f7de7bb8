"""git auths artifact sign, and the files where its bundles go; what it obeys, and what it says of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.loopback.tsa import LoopbackTsa
from tests.people import SCRIPTS, Person, Project


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize(("put", "said"), [
    (lambda path: path.mkdir(), "is no plain file"),
    (lambda path: path.symlink_to("/nonexistent"), "is no plain file"),
    (lambda path: path.symlink_to("a"), "is no plain file"),
    (os.mkfifo, "is no plain file"),
    (lambda path: path.write_text('{"my": "settings"}'), "is no bundle of ours"),
    (lambda path: path.write_bytes(b""), "is no bundle of ours"),
    (lambda path: path.write_bytes(b" " * (5 << 20)), "is no bundle of ours"),
])  # fmt: skip
def test_what_stands_where_a_bundle_would_go_is_left_alone(put: Callable[[Path], object], said: str, ada: Person
                                                           ) -> None:  # fmt: skip
    (ada.at / "a").write_text("a")
    (ada.at / "b").write_text("b")
    put(ada.at / "b.auths.json")
    before = content(ada.at)
    done = ada.auths("artifact", "sign", "a", "b", code=128)
    assert done.stderr.startswith(f"error: b.auths.json {said}")
    assert content(ada.at) == before
    assert not ada.git("for-each-ref", "refs/notes/auths").stdout


@pytest.mark.parametrize("name", ["b.auths.json", "./b.auths.json", "{at}/b.auths.json"])
def test_what_is_signed_is_not_overwritten_with_a_bundle(name: str, ada: Person) -> None:
    (ada.at / "b").write_text("b")
    ada.auths("artifact", "sign", "b")
    before = content(ada.at)
    done = ada.auths("artifact", "sign", "b", name.format(at=ada.at), code=128)
    assert done.stderr.startswith("error: b.auths.json is to be signed")
    assert content(ada.at) == before


def test_a_bundle_of_ours_is_replaced(ada: Person) -> None:
    (ada.at / "a").write_text("a")
    ada.auths("artifact", "sign", "a")
    (ada.at / "a").write_text("changed")
    ada.auths("artifact", "sign", "a")
    ada.auths("artifact", "verify", "a")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_no_temporary_file(number: int, ada: Person) -> None:
    for n in range(200):
        path = ada.at / "d" / str(n)
        path.parent.mkdir(exist_ok=True)
        path.write_text(str(n))
    command = [f"{SCRIPTS}/git-auths", "artifact", "sign", "d/*"]
    with subprocess.Popen(command, env=ada.environment, cwd=ada.at, stdout=subprocess.PIPE, stderr=subprocess.PIPE
                          ) as running:  # fmt: skip
        while running.poll() is None and not any(path.suffix == ".tmp" for path in (ada.at / "d").iterdir()):
            time.sleep(0.001)
        running.send_signal(number)
        _, said = running.communicate()
    assert running.returncode == (130 if number == signal.SIGINT else -number), said
    assert said == (b"error: interrupted\n" if number == signal.SIGINT else b"")
    names = [path.name for path in (ada.at / "d").iterdir()]
    assert not [name for name in names if name.endswith(".tmp")]
    assert len([name for name in names if name.endswith(".auths.json")]) in (0, 200)


@pytest.fixture
def inside() -> Iterator[tuple[str, list[str]]]:
    """A service that the policy of a stranger would have us ask: its address, and what it was asked."""
    asked: list[str] = []

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/", asked
        server.shutdown()


def strangers_policy(ada: Person, url: str) -> str:
    """Put a policy that nobody signed at the mainline's tip; that commit's id."""
    with LoopbackTsa(ada.home / "tsa") as tsa:
        (ada.at / ".auths/tsa").mkdir()
        (ada.at / ".auths/tsa/t.pem").write_bytes(tsa.pem)
    policy = ada.at / ".auths/policy.toml"
    rule = f'\n[[policy.ci]]\nallow_ephemeral = true\nrequire_timestamp = true\ntimestamp_url = "{url}"\n'
    policy.write_text(policy.read_text() + rule)
    ada.git("add", "--all")
    ada.git("-c", "core.hooksPath=/nowhere", "-c", "commit.gpgSign=false", "commit", "--quiet", "-m", "By a stranger")
    return ada.head()


def test_a_policy_that_nobody_judged_sends_us_nowhere(ada: Person, inside: tuple[str, list[str]]) -> None:
    url, asked = inside
    good = ada.head()
    job = {"RUNNER_TEMP": str(ada.home)}
    ada.auths("init", "--profile", "ci", **job)
    bad = strangers_policy(ada, url)
    (ada.at / "app").write_text("x")
    said = f"not {{}}: the mainline is not good at {bad}: it carries no signature (unsigned)\nhint: git auths verify\n"
    for command in (["sign", "--ci"], ["sign"]):
        done = ada.auths("artifact", *command, "--commit", good, "app", code=1)
        assert done.stderr == "error: " + said.format("signed")
    token = {"AUTHS_ID_TOKEN": "a.b.c"}
    assert ada.auths("attest", good, code=1, **job, **token).stderr == "error: " + said.format("attested")
    assert asked == []


def test_nothing_is_signed_by_a_mainline_that_was_set_back(ada: Person) -> None:
    before = ada.head()
    ada.commit()
    ada.auths("verify")
    ada.git("reset", "--quiet", "--hard", before)
    (ada.at / "app").write_text("x")
    assert "(rewound)" in ada.auths("artifact", "sign", "--ci", "app", code=1).stderr


@pytest.mark.parametrize("options", [[], ["--ci"]])
def test_a_commit_that_is_not_good_is_named(options: list[str], ada: Person) -> None:
    ada.git("checkout", "--quiet", "-b", "side")
    ada.git("-c", "core.hooksPath=/nowhere", "-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m",
            "x")  # fmt: skip
    (ada.at / "app").write_text("x")
    done = ada.auths("artifact", "sign", "app", *options, code=1)
    assert done.stderr == (f"error: not signed: commit {ada.head()} is not good: it carries no signature (unsigned)\n"
                           f"hint: git auths explain {ada.head()}\n")  # fmt: skip


def test_what_went_nowhere_is_not_said_to_be_sent(ada: Person) -> None:
    (ada.at / "app").write_text("x")
    assert "git auths sync" not in ada.auths("artifact", "sign", "--ci", "app").stderr
    assert "git auths sync" in ada.auths("artifact", "sign", "app").stderr


@pytest.mark.parametrize("command", ["artifact sign app", "artifact sign --ci app", "artifact list", "attest", "show",
                                     "log"])  # fmt: skip
def test_a_shallow_clone_is_incomplete(command: str, project: Project) -> None:
    project.ada.commit()
    project.ada.git("push", "--quiet")
    at = project.folder / "shallow"
    project.ada.git("clone", "--quiet", "--depth=1", f"file://{project.server}", at)
    project.ada.git("config", "auths.root", project.root, cwd=at)
    project.ada.git("config", "auths.mainline", "refs/remotes/origin/main", cwd=at)
    (at / "app").write_text("x")
    done = project.ada.auths(*command.split(), code=1, cwd=at)
    assert done.stderr == (f"error: history is incomplete: {project.root} is not here (incomplete)\n"
                           "hint: git fetch --unshallow gets what a shallow clone lacks\n")  # fmt: skip


@pytest.mark.parametrize(("kind", "command"), [
    ("blob", "attest"), ("blob", "show"), ("blob", "log"), ("blob", "artifact list"), ("tree", "log"),
    ("large blob", "log"),
])  # fmt: skip
def test_notes_that_are_no_commit_are_named(kind: str, command: str, ada: Person) -> None:
    (ada.at / "x").write_bytes(b"x" * (65 << 20 if kind == "large blob" else 1))
    id = ada.git("rev-parse", "HEAD^{tree}") if kind == "tree" else ada.git("hash-object", "-w", "x")
    (ada.at / ".git/refs/notes").mkdir()
    (ada.at / ".git/refs/notes/auths").write_text(id.stdout)
    done = ada.auths(*command.split(), code=128)
    hint = "git update-ref -d refs/notes/auths; git auths sync"
    assert done.stderr == f"error: refs/notes/auths points to a {kind.split()[-1]}, not to a commit\nhint: {hint}\n"
    ada.git("update-ref", "-d", "refs/notes/auths")
    ada.auths(*command.split())


def test_an_approval_of_many_files_is_told_in_few_lines(ada: Person) -> None:
    for n in range(30):
        path = ada.at / "d" / str(n)
        path.parent.mkdir(exist_ok=True)
        path.write_text(str(n))
    ada.git("tag", "-s", "-m", "v1", "v1")
    done = ada.auths("approve", "v1", "--no-push", "--artifact", "d/*")
    lines = [line for line in done.stderr.splitlines() if line.startswith("  ") and "d/" in line]
    assert len(lines) == 20
    assert "\n  and 10 more files\n" in done.stderr
    approved = ada.auths("log", "--json").stdout
    assert len(json.loads(approved)["attestations"]) == 1
