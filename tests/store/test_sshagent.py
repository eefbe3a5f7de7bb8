"""Talking to ssh-agent: the real one, none, and such as lie or keep silent."""

from __future__ import annotations

import base64
import os
import select
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from git_auths.core import opensshkey, sshsig
from git_auths.core.opensshkey import ED25519, P256, PrivateKey
from git_auths.core.sshsig import string
from git_auths.errors import Error
from git_auths.store import sshagent
from tests.realgit import run

KEY = opensshkey.generate()


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A real ssh-agent; `answer` beside its socket is what it runs to ask before it uses a key."""
    path = tmp_path / "agent"
    ask = tmp_path / "ask"
    ask.write_text(f"#!/bin/sh\nexec {tmp_path}/answer\n")
    ask.chmod(0o700)
    environment = {**os.environ, "SSH_ASKPASS": str(ask), "DISPLAY": ":0", "SSH_ASKPASS_REQUIRE": "force"}
    process = subprocess.Popen(
        ["ssh-agent", "-D", "-a", path], env=environment, stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    process.stdout.readline()  # it prints its variables once it listens
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    yield path
    process.terminate()
    process.wait()
    process.stdout.close()


def answer_with(tmp_path: Path, program: str) -> None:
    (tmp_path / "answer").unlink(missing_ok=True)
    (tmp_path / "answer").symlink_to(program)


def added(private: PrivateKey, tmp_path: Path, passphrase: str | None = None) -> None:
    path = tmp_path / "key"
    path.write_bytes(opensshkey.serialize(private, passphrase.encode() if passphrase else None, "ada's key"))
    path.chmod(0o600)
    run("ssh-add", path)


# The real agent


@pytest.mark.parametrize("kind", [ED25519, P256])
def test_a_key_that_ssh_add_loaded_is_listed_and_signs(kind: str, agent: Path, tmp_path: Path) -> None:
    private = opensshkey.generate(kind)
    added(private, tmp_path)
    assert sshagent.list_keys() == [(private.public_blob, "ada's key")]
    signature = sshagent.sign(private.public_blob, b"data")
    assert signature is not None
    assert sshsig.verify_raw(private.public_blob, signature, b"data")


def test_ssh_add_takes_a_locked_key_of_ours(agent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "askpass").write_text("#!/bin/sh\necho correct horse\n")
    (tmp_path / "askpass").chmod(0o700)
    monkeypatch.setenv("SSH_ASKPASS", str(tmp_path / "askpass"))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    added(KEY, tmp_path, "correct horse")
    assert sshagent.list_keys() == [(KEY.public_blob, "ada's key")]


def test_a_key_that_the_agent_lacks_does_not_sign(agent: Path) -> None:
    assert sshagent.list_keys() == []
    assert sshagent.sign(KEY.public_blob, b"data") is None


@pytest.mark.parametrize("kind", [ED25519, P256])
def test_a_key_is_added_and_removed(kind: str, agent: Path) -> None:
    private = opensshkey.generate(kind)
    assert sshagent.add(private, "ada's key")
    line = run("ssh-add", "-L").stdout.split(None, 2)
    assert (base64.b64decode(line[1]), line[2]) == (private.public_blob, b"ada's key\n")
    assert sshagent.remove(private.public_blob)
    assert sshagent.list_keys() == []
    assert not sshagent.remove(private.public_blob)


def test_a_key_is_forgotten_after_its_lifetime(agent: Path) -> None:
    assert sshagent.add(KEY, "", lifetime_seconds=1)
    assert sshagent.list_keys() != []
    deadline = time.monotonic() + 5
    while sshagent.list_keys():
        assert time.monotonic() < deadline
        select.select([], [], [], 0.05)


def test_a_key_added_with_confirmation_signs_only_when_its_owner_agrees(agent: Path, tmp_path: Path) -> None:
    assert sshagent.add(KEY, "", confirm=True)
    answer_with(tmp_path, "/bin/false")
    assert sshagent.sign(KEY.public_blob, b"data") is None
    answer_with(tmp_path, "/bin/true")
    assert sshagent.sign(KEY.public_blob, b"data") is not None


def test_a_locked_agent_has_no_keys(agent: Path) -> None:
    assert sshagent.add(KEY, "")
    lock = bytes([22]) + string(b"secret")  # SSH_AGENTC_LOCK
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(agent))
        connection.sendall(string(lock))
        assert connection.recv(5) == b"\0\0\0\1\6"
    assert sshagent.list_keys() == []
    assert sshagent.sign(KEY.public_blob, b"data") is None
    assert not sshagent.add(KEY, "")


# No agent


@pytest.mark.parametrize("place", [None, "", "missing", "file", "dead", "x" * 200])
def test_without_an_agent_nothing_signs(place: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead"))
    if place is not None:
        monkeypatch.setenv("SSH_AUTH_SOCK", place and str(tmp_path / place))
    assert sshagent.list_keys() == []
    assert sshagent.sign(KEY.public_blob, b"data") is None
    assert not sshagent.add(KEY, "")
    assert not sshagent.remove(KEY.public_blob)


# An agent that is not one


Agent = Callable[[socket.socket], object]


@pytest.fixture
def pretend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Agent], None]]:
    """Puts a function in the agent's place; it is called with each connection."""
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "pretender"))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "pretender"))
    listener.listen()

    def serve(behave: Agent) -> None:
        def loop() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, suppress(OSError):  # who asked may leave before the end
                    behave(connection)

        thread = threading.Thread(target=loop, daemon=True)
        thread.start()

    yield serve
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def says(*parts: bytes) -> Agent:
    def behave(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        for part in parts:
            connection.sendall(part)

    return behave


ONE_KEY = string(KEY.public_blob) + string(b"comment")
NONSENSE = {
    "an empty message": b"\0\0\0\0",
    "a message of four gigabytes": b"\xff\xff\xff\xff" + bytes(1000),
    "a message cut off": b"\0\0\0\x10\x0c\0",
    "a length cut off": b"\0\0",
    "a web server": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "another kind of answer": string(b"\x63"),
}
LISTS = {
    "no number of keys": string(b"\x0c"),
    "more keys than it sends": string(b"\x0c\0\0\0\2" + ONE_KEY),
    "fewer keys than it sends": string(b"\x0c\0\0\0\0" + ONE_KEY),
    "a key cut off": string(b"\x0c\0\0\0\1" + ONE_KEY[:-1]),
    "a comment that makes it too long": string(b"\x0c\0\0\0\1" + string(b"key") + string(bytes(256 * 1024))),
    "keys in another kind of answer": string(b"\x0e\0\0\0\1" + ONE_KEY),
    "a list cut off between two keys": b"\0\0\1\0\x0c\0\0\0\1" + ONE_KEY,
}
SIGNATURES = {
    "no signature": string(b"\x0e"),
    "a signature cut off": string(b"\x0e\0\0\0\5sign"),
    "bytes after the signature": string(b"\x0e" + string(b"signature") + b"\0"),
    "a signature in another kind of answer": string(b"\x0c" + string(b"signature")),
    "success instead": string(b"\6"),
}
CONFIRMATIONS = {"success and more": string(b"\6\0"), "a signature": string(b"\x0e" + string(b"signature"))}


def sign() -> object:
    return sshagent.sign(KEY.public_blob, b"data")


def add() -> object:
    return sshagent.add(KEY, "")


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        pytest.param(ask, answer, id=f"{ask.__name__}: {name}")
        for ask, special in ((sshagent.list_keys, LISTS), (sign, SIGNATURES), (add, CONFIRMATIONS))
        for name, answer in (NONSENSE | special).items()
    ],
)
def test_an_agent_that_talks_nonsense_is_an_error(
    ask: Callable[[], object], answer: bytes, pretend: Callable[[Agent], None], tmp_path: Path
) -> None:
    pretend(says(answer))
    with pytest.raises(Error) as caught:
        ask()
    assert caught.value.message == f"the ssh-agent at {tmp_path}/pretender does not speak the agent protocol"
    assert "SSH_AUTH_SOCK" in str(caught.value.hint)


def hang_up(connection: socket.socket) -> None:
    """Without having read the request, which resets the connection."""
    select.select([connection], [], [])


@pytest.mark.parametrize("behave", [says(), hang_up])
@pytest.mark.parametrize("ask", [sshagent.list_keys, sign, add])
def test_an_agent_that_hangs_up_is_none(
    ask: Callable[[], object], behave: Agent, pretend: Callable[[Agent], None]
) -> None:
    pretend(behave)
    assert not ask()


def test_an_answer_in_pieces_is_put_together(pretend: Callable[[Agent], None]) -> None:
    answer = string(b"\x0c\0\0\0\1" + ONE_KEY)
    pretend(says(*(answer[i : i + 1] for i in range(len(answer)))))
    assert sshagent.list_keys() == [(KEY.public_blob, "comment")]


def test_a_signature_may_take_as_long_as_its_owner_is_asked(
    pretend: Callable[[Agent], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask_first(connection: socket.socket) -> None:
        select.select([], [], [], 0.2)
        says(string(b"\x0e" + string(b"signature")))(connection)

    monkeypatch.setattr(sshagent, "ANSWER_SECONDS", 0.05)
    pretend(ask_first)
    assert sign() == b"signature"


def drip(connection: socket.socket) -> None:
    """One byte at a time, each soon enough to look alive."""
    connection.recv(1 << 16)
    for byte in b"\0\0\1\0" + bytes(60):
        connection.sendall(bytes([byte]))
        select.select([], [], [], 0.05)


def keep_silent(connection: socket.socket) -> None:
    connection.recv(1 << 16)
    connection.recv(1)


@pytest.mark.parametrize("behave", [keep_silent, drip])
@pytest.mark.parametrize("ask", [sshagent.list_keys, sign, add])
def test_an_agent_that_does_not_get_on_is_given_up(
    ask: Callable[[], object],
    behave: Agent,
    pretend: Callable[[Agent], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sshagent, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(sshagent, "SIGN_SECONDS", 0.2)
    pretend(behave)
    started = time.monotonic()
    with pytest.raises(Error, match="does not answer"):
        ask()
    assert time.monotonic() - started < 1.5


def test_an_agent_that_does_not_read_is_given_up(
    pretend: Callable[[Agent], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sshagent, "ANSWER_SECONDS", 0.2)
    ended = threading.Event()
    pretend(lambda connection: ended.wait(20))
    started = time.monotonic()
    with pytest.raises(Error, match="does not answer"):
        sshagent.sign(KEY.public_blob, bytes(4 << 20))
    ended.set()
    assert time.monotonic() - started < 1.5


def test_an_agent_that_never_accepts_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sshagent, "ANSWER_SECONDS", 0.2)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "full"))
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as waiting:
        listener.bind(str(tmp_path / "full"))
        listener.listen(0)
        waiting.connect(str(tmp_path / "full"))
        with pytest.raises(Error, match="does not answer"):
            sshagent.list_keys()


def test_nobody_waits_for_minutes() -> None:
    assert sshagent.ANSWER_SECONDS <= 3
    assert sshagent.SIGN_SECONDS <= 60
