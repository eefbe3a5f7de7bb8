"""The hooks wherever git runs them: over HTTP, over git's own protocol, with borrowed objects, in every kind of checkout"""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.people import Person, Project

GIT_CORE = Path(subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True).stdout.strip())


def unsigned(person: Person) -> str:
    person.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "unsigned")
    return person.head()


def refs(server: Path) -> str:
    return subprocess.run(["git", "for-each-ref"], cwd=server, capture_output=True, text=True, check=True).stdout


def takes_good_and_refuses_bad(ada: Person, server: Path, to: str) -> None:
    """A good commit arrives; of a bad one the client hears why, and the server keeps nothing."""
    good = ada.commit()
    ada.git("push", "--no-verify", to, "main")
    assert f"{good} commit\trefs/heads/main" in refs(server)
    before = refs(server)
    bad = unsigned(ada)
    done = ada.git("push", "--no-verify", to, "main", "main:refs/heads/other", code=1)
    assert f"remote: error: refs/heads/main: commit {bad} is unsigned: it carries no signature" in done.stderr
    assert "remote: hint: git commit --amend" in done.stderr
    assert "[remote rejected] main -> main (pre-receive hook declined)" in done.stderr
    assert refs(server) == before


# What a web server does for git-http-backend(1)


class Backend(BaseHTTPRequestHandler):
    """CGI by hand: http.server's own is deprecated, and knows no chunks."""

    protocol_version = "HTTP/1.1"
    root: Path
    environment: dict[str, str]

    def do_GET(self) -> None:
        self.answer(b"")

    def do_POST(self) -> None:
        self.answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def answer(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        meta = {"GIT_PROJECT_ROOT": str(self.root), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path,
                "QUERY_STRING": query, "REQUEST_METHOD": self.command, "REMOTE_USER": "ada", "REMOTE_ADDR": "127.0.0.1",
                "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", "")}  # fmt: skip
        done = subprocess.run([GIT_CORE / "git-http-backend"], input=body, env={**self.environment, **meta},
                              capture_output=True, check=False)  # fmt: skip
        heads, _, content = done.stdout.partition(b"\r\n\r\n")
        lines = [line.split(": ", 1) for line in heads.decode().split("\r\n") if ": " in line]
        status = next((value.split()[0] for name, value in lines if name == "Status"), "200")
        self.send_response(int(status))
        for name, value in lines:
            if name != "Status":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def operator(project: Project) -> dict[str, str]:
    """The environment of whoever runs the server; nothing in it is the pusher's."""
    return Person(project.folder, "operator").environment


@pytest.fixture
def web(project: Project, operator: dict[str, str]) -> Iterator[str]:
    if not (GIT_CORE / "git-http-backend").exists():
        pytest.skip("git-http-backend is not installed")
    handler = type("OwnBackend", (Backend,), {"root": project.folder, "environment": operator})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/server.git"
    server.shutdown()
    thread.join()
    server.server_close()


def test_over_http(project: Project, web: str) -> None:
    takes_good_and_refuses_bad(project.ada, project.server, web)


def test_a_clone_over_http_is_set_up_and_pushes(project: Project, web: str) -> None:
    """The remote-tracking refs, and the notes that are sent along, over a transport of two requests."""
    carol = Person(project.folder, "carol")
    carol.at = carol.home / "work"
    carol.git("clone", "--quiet", web, carol.at, cwd=carol.home)
    carol.auths("init", "--no-passphrase")
    carol.auths("setup", "--root", project.root, "--yes")
    project.ada.join(carol, "commit")
    project.ada.git("push", "--quiet")
    carol.git("pull", "--quiet", "--ff-only")
    carol.commit()
    carol.git("push", "--quiet")
    bad = unsigned(carol)
    assert f"error: refs/heads/main: commit {bad}" in carol.git("push", code=1).stderr


@pytest.fixture
def daemon(project: Project, operator: dict[str, str]) -> Iterator[str]:
    if not (GIT_CORE / "git-daemon").exists():
        pytest.skip("git-daemon is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [GIT_CORE / "git-daemon", "--enable=receive-pack", "--export-all", "--reuseaddr", "--listen=127.0.0.1",
         f"--port={port}", f"--base-path={project.folder}", project.folder],
        env={**operator, "PATH": f"{GIT_CORE}:{operator['PATH']}"}, stderr=subprocess.PIPE,
    )  # fmt: skip
    while True:
        assert process.poll() is None, process.stderr and process.stderr.read()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=10).close()
            break
        except ConnectionRefusedError:
            continue
    yield f"git://127.0.0.1:{port}/server.git"
    process.terminate()
    process.wait()
    if process.stderr:
        process.stderr.close()


def test_over_gits_own_protocol(project: Project, daemon: str) -> None:
    takes_good_and_refuses_bad(project.ada, project.server, daemon)


# Objects that stand elsewhere


def guarded(project: Project, server: Path) -> Path:
    ada = project.ada
    ada.auths("root", "pin", "--mainline", "refs/heads/main", project.root, cwd=server)
    ada.auths("hooks", "install", "--server", cwd=server)
    return server


@pytest.mark.parametrize("relative", [False, True], ids=["absolute", "relative"])
def test_a_server_that_borrows_its_objects(project: Project, tmp_path: Path, relative: bool) -> None:
    """As forges keep forks: objects/info/alternates; with the quarantine that makes three stores."""
    fork = tmp_path / "fork.git"
    project.ada.git("clone", "--quiet", "--bare", "--shared", project.server, fork)
    assert not [path for path in (fork / "objects").rglob("*") if path.is_file() and path.parent.name != "info"]
    if relative:
        (fork / "objects/info/alternates").write_text("../../server.git/objects\n")
    takes_good_and_refuses_bad(project.ada, guarded(project, fork), str(fork))


def test_a_server_that_starts_empty_and_borrows(project: Project, tmp_path: Path) -> None:
    """The root is pinned before any ref is there; its object is only in the other store."""
    fork = tmp_path / "fork.git"
    project.ada.git("init", "--quiet", "--bare", fork)
    (fork / "objects/info/alternates").write_text(f"{project.server}/objects\n")
    takes_good_and_refuses_bad(project.ada, guarded(project, fork), str(fork))


def test_a_clone_that_borrows_its_objects(project: Project) -> None:
    ada, carol = project.ada, Person(project.folder, "carol")
    carol.at = carol.home / "work"
    carol.git("clone", "--quiet", "--shared", project.server, carol.at, cwd=carol.home)
    carol.auths("setup", "--root", project.root, "--yes")
    carol.environment["AUTHS_HOME"] = ada.environment["AUTHS_HOME"]
    carol.auths("init", "--no-passphrase")
    carol.commit()
    carol.git("push", "--quiet")
    bad = unsigned(carol)
    assert f"error: refs/heads/main: commit {bad}" in carol.git("push", code=1).stderr


# Every kind of checkout


def pushes_as_a_clone(person: Person, ref: str) -> None:
    person.commit()
    person.git("push", "--quiet", "origin", f"HEAD:{ref}")
    bad = unsigned(person)
    assert f"error: {ref}: commit {bad} is unsigned" in person.git("push", "origin", f"HEAD:{ref}", code=1).stderr


@pytest.fixture
def ada(project: Project) -> Person:
    """Ada, whose server enforces nothing: what is refused was refused in her checkout."""
    (project.server / "hooks/pre-receive").unlink()
    return project.ada


def test_a_linked_worktree(project: Project, ada: Person) -> None:
    tree = ada.home / "tree"
    ada.git("worktree", "add", "--quiet", "-b", "side", tree)
    ada.at = tree
    assert "pre-push current" in ada.auths("hooks", "status").stdout
    pushes_as_a_clone(ada, "refs/heads/side")
    (tree / ".auths/policy.toml").write_text("[policy\n")
    assert "policy.toml:1:" in ada.git("commit", "-a", "-m", "oops", code=1).stderr


def test_a_worktree_of_a_bare_repository(project: Project, ada: Person) -> None:
    """Some keep a bare clone, and one worktree for each branch."""
    bare, tree = ada.home / "bare", ada.home / "tree"
    ada.git("clone", "--quiet", "--bare", project.server, bare)
    ada.git("worktree", "add", "--quiet", tree, "main", cwd=bare)
    ada.at = tree
    ada.auths("init")
    ada.auths("setup", "--mainline", "refs/heads/main", "--root", project.root, "--yes")
    pushes_as_a_clone(ada, "refs/heads/main")


def test_a_submodule(project: Project, ada: Person) -> None:
    outer = ada.home / "outer"
    ada.git("init", "--quiet", outer)
    ada.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", project.server, "inner", cwd=outer)
    ada.at = outer / "inner"
    assert (ada.at / ".git").is_file()
    ada.auths("init")
    ada.auths("setup", "--root", project.root, "--yes")
    assert (outer / ".git/modules/inner/hooks/pre-push").exists()
    pushes_as_a_clone(ada, "refs/heads/main")


def test_a_submodule_that_the_outer_repository_pushes(project: Project, ada: Person) -> None:
    """Then the hook starts below a git of another repository, with some of that one's environment."""
    outer = ada.home / "outer"
    ada.git("init", "--quiet", outer)
    ada.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", project.server, "inner", cwd=outer)
    ada.at = outer / "inner"
    ada.auths("init")
    ada.auths("setup", "--root", project.root, "--yes")
    ada.git("config", "--global", "protocol.file.allow", "always")
    bad = unsigned(ada)
    done = ada.git("submodule", "foreach", "git push origin HEAD:main", cwd=outer, code=None)
    assert done.returncode
    assert f"error: refs/heads/main: commit {bad} is unsigned" in done.stderr


def test_a_sha256_server(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.ada.environment["GIT_DEFAULT_HASH"] = project.bob.environment["GIT_DEFAULT_HASH"] = "sha256"
    project.begin()
    assert len(project.root) == 64
    takes_good_and_refuses_bad(project.ada, project.server, str(project.server))


def test_a_reftable_server(tmp_path: Path) -> None:
    project = Project(tmp_path)
    probe = subprocess.run(["git", "init", "--quiet", "--ref-format=reftable", tmp_path / "probe"], capture_output=True,
                           check=False)  # fmt: skip
    if probe.returncode:
        pytest.skip("this git knows no reftable (it comes with 2.45)")
    for person in (project.ada, project.bob):
        person.environment["GIT_DEFAULT_REF_FORMAT"] = "reftable"
    project.begin()
    takes_good_and_refuses_bad(project.ada, project.server, str(project.server))


# A repository of somebody else's


def test_a_repository_of_another_user_is_refused_with_the_way_out(project: Project) -> None:
    ada = project.ada
    for command in (("verify",), ("hooks", "install"), ("accept-rewind",)):
        done = ada.auths(*command, code=128, GIT_TEST_ASSUME_DIFFERENT_OWNER="1")
        assert "error: git refuses this repository: it belongs to another user" in done.stderr
        assert "git config --global --add safe.directory" in done.stderr
    ada.git("config", "--global", "--add", "safe.directory", ada.at)
    ada.auths("verify", GIT_TEST_ASSUME_DIFFERENT_OWNER="1")


def test_a_hook_in_a_repository_of_another_user_refuses(project: Project) -> None:
    """However it came to run there: what it cannot read it does not let pass."""
    lines = f"{project.root} {'1' * 40} refs/heads/main\n"
    environment = {name: value for name, value in project.ada.environment.items() if name != "GIT_DIR"}
    done = subprocess.run([project.server / "hooks/pre-receive"], cwd=project.server, input=lines, text=True,
                          env={**environment, "GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}, capture_output=True,
                          check=False)  # fmt: skip
    assert done.returncode == 128
    assert "git refuses this repository" in done.stderr
