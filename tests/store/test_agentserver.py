"""The private ssh-agent for a command: real clients, hostile ones, and what the command sees and returns."""

from __future__ import annotations

import base64
import os
import pty
import select
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from git_auths.core import opensshkey, sshsig
from git_auths.core.opensshkey import ED25519, P256
from git_auths.core.sshsig import string
from git_auths.errors import Error
from git_auths.store import agentserver, sshagent
from tests.people import Person
from tests.realgit import run

KEY = opensshkey.generate()
OTHER = opensshkey.generate()
LIST, FAILURE = b"\x0b", b"\5"
ONE_KEY = b"\x0c\0\0\0\1" + string(KEY.public_blob) + string(b"git-auths bot")
NO_KEY = b"\x0c\0\0\0\0"


@pytest.fixture
def path() -> Iterator[str]:
    with agentserver.serving(KEY.public_blob, KEY.sign, "git-auths bot") as path:
        yield path


def connected(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    connection.settimeout(5)
    return connection


def answer(connection: socket.socket) -> bytes:
    """The next message; empty where the agent has hung up."""
    with connection.makefile("rb") as stream:
        return stream.read(int.from_bytes(stream.read(4), "big"))


def ask(path: str, message: bytes) -> bytes:
    with connected(path) as connection:
        connection.sendall(string(message))
        return answer(connection)


def request(key: bytes = KEY.public_blob, data: bytes = b"data", flags: bytes = bytes(4)) -> bytes:
    return b"\x0d" + string(key) + string(data) + flags


# Real clients


@pytest.mark.parametrize("kind", [ED25519, P256])
def test_ssh_add_lists_the_one_key_and_ssh_keygen_signs_with_it(kind: str, tmp_path: Path) -> None:
    private = opensshkey.generate(kind)
    public = f"{kind} {base64.b64encode(private.public_blob).decode()}"
    (tmp_path / "key.pub").write_text(public + "\n")
    (tmp_path / "file").write_bytes(b"message")
    with agentserver.serving(private.public_blob, private.sign, "git-auths bot") as path:
        env = {"SSH_AUTH_SOCK": path}
        assert run("ssh-add", "-L", env=env).stdout.decode() == public + " git-auths bot\n"
        run("ssh-keygen", "-Y", "sign", "-n", "git", "-f", tmp_path / "key.pub", tmp_path / "file", env=env)
    armored = (tmp_path / "file.sig").read_bytes()
    assert sshsig.check(armored, b"git", b"message").key == private.public_blob


def test_ssh_add_changes_nothing(path: str, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(opensshkey.serialize(OTHER, None, "other"))
    (tmp_path / "other").chmod(0o600)
    public = f"{KEY.kind} {base64.b64encode(KEY.public_blob).decode()}\n"
    (tmp_path / "key.pub").write_text(public)
    for arguments in (("-D",), ("-d", tmp_path / "key.pub"), (tmp_path / "other",), ("-t", "9", tmp_path / "other")):
        assert run("ssh-add", *arguments, env={"SSH_AUTH_SOCK": path}, code=None).returncode != 0
    assert ask(path, LIST) == ONE_KEY


def test_git_signs_through_it_with_no_passphrase_at_hand(newcomer: Person) -> None:
    newcomer.at = newcomer.home / "work"
    newcomer.git("init", "--quiet", newcomer.at, cwd=newcomer.home)
    newcomer.auths("init", AUTHS_PASSPHRASE="secret")
    newcomer.auths("policy", "init", AUTHS_PASSPHRASE="secret")
    pem = (newcomer.home / "auths/identities/main/current").read_bytes()
    private = opensshkey.decrypt(pem, b"secret")
    with agentserver.serving(private.public_blob, private.sign) as path:
        newcomer.git("commit", "--quiet", "--allow-empty", "-m", "x", SSH_AUTH_SOCK=path)
    assert newcomer.ask("verify")["ok"]
    newcomer.git("commit", "--quiet", "--allow-empty", "-m", "x", SSH_AUTH_SOCK=path, code=128)


@pytest.fixture
def owners_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    command = ["ssh-agent", "-D", "-a", str(tmp_path / "owner")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it prints its variables once it listens
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "owner"))
        yield
        process.terminate()


def test_a_key_in_the_owners_agent_signs_without_leaving_it_and_no_other_key_does(owners_agent: None) -> None:
    assert sshagent.add(KEY, "bot")
    assert sshagent.add(OTHER, "owner")
    with agentserver.serving(KEY.public_blob, lambda data: sshagent.sign(KEY.public_blob, data)) as path:
        signature = ask(path, request())
        assert signature[:1] == b"\x0e"
        assert sshsig.verify_raw(KEY.public_blob, signature[5:], b"data")
        assert ask(path, request(OTHER.public_blob)) == FAILURE
        assert OTHER.public_blob not in ask(path, LIST)
        assert sshagent.remove(KEY.public_blob)
        assert ask(path, request()) == FAILURE


# The protocol


def test_it_signs_with_its_key(path: str) -> None:
    signature = ask(path, request(data=bytes(200_000)))
    assert sshsig.verify_raw(KEY.public_blob, signature[5:], bytes(200_000))


REFUSED = {
    "a signature by another key": request(OTHER.public_blob),
    "a signature by a key that begins like ours": request(KEY.public_blob[:-1]),
    "a signature by a key that goes on after ours": request(KEY.public_blob + b"\0"),
    "a signature over data that are cut off": request()[:-5],
    "a signature without flags": request()[:-4],
    "bytes after the flags": request() + b"\0",
    "a signature request of one byte": b"\x0d",
    "a list with bytes behind": LIST + b"\0",
    "the list of protocol 1": b"\1",
    "adding a key": b"\x11" + opensshkey.private_fields(OTHER) + string(b"other"),
    "adding a key for a while": b"\x19" + opensshkey.private_fields(OTHER) + string(b"other") + b"\1\0\0\0\x09",
    "removing a key": b"\x12" + string(KEY.public_blob),
    "removing all keys": b"\x13",
    "adding a token": b"\x14" + string(b"/usr/lib/provider.so") + string(b"1234"),
    "locking": b"\x16" + string(b"secret"),
    "an extension": b"\x1b" + string(b"session-bind@openssh.com"),
    "an unknown request": b"\xff",
}


@pytest.mark.parametrize("message", REFUSED.values(), ids=REFUSED)
def test_everything_else_fails_and_changes_nothing(message: bytes, path: str) -> None:
    with connected(path) as connection:
        connection.sendall(string(message))
        assert answer(connection) == FAILURE
        connection.sendall(string(LIST))
        assert answer(connection) == ONE_KEY


@pytest.mark.parametrize("length", [0, sshagent.MAX_MESSAGE_BYTES + 1, 0xFFFFFFFF])
def test_a_message_of_no_length_or_too_long_ends_the_connection(length: int, path: str) -> None:
    with connected(path) as connection:
        connection.sendall(length.to_bytes(4, "big") + b"\x0b")
        assert answer(connection) == b""
    assert ask(path, LIST) == ONE_KEY


def test_messages_may_come_in_pieces_and_together(path: str) -> None:
    with connected(path) as connection:
        for byte in string(LIST):
            connection.sendall(bytes([byte]))
        assert answer(connection) == ONE_KEY
        connection.sendall(2 * string(LIST))
        with connection.makefile("rb") as stream:
            assert stream.read(2 * len(string(ONE_KEY))) == 2 * string(ONE_KEY)


def test_a_signature_that_cannot_be_made_fails_and_the_next_may_be_made() -> None:
    problems: list[Exception] = [Error("the agent is silent"), RuntimeError("a defect")]

    def sign(data: bytes) -> bytes:
        if problems:
            raise problems.pop()
        return KEY.sign(data)

    with agentserver.serving(KEY.public_blob, sign) as path:
        assert [ask(path, request())[:1] for _ in range(3)] == [FAILURE, FAILURE, b"\x0e"]


def test_past_its_time_it_has_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(agentserver, "_now", lambda: clock[0])
    with agentserver.serving(KEY.public_blob, KEY.sign, "git-auths bot", seconds=60) as path:
        clock[0] += 59.9
        assert ask(path, LIST) == ONE_KEY
        assert ask(path, request())[:1] == b"\x0e"
        clock[0] += 0.1
        assert ask(path, LIST) == NO_KEY
        assert ask(path, request()) == FAILURE


# Clients that are stuck, gone or greedy


def test_clients_that_are_stuck_or_gone_harm_nobody(path: str) -> None:
    with ExitStack() as stack:
        stuck = [stack.enter_context(connected(path)) for _ in range(3 * agentserver.MAX_CONNECTIONS)]
        for connection in stuck[::2]:
            try:
                connection.sendall(string(LIST)[:-1])
            except OSError:  # the agent let go of it
                continue
        with connected(path) as gone:
            gone.sendall(string(request())[:20])
        assert ask(path, LIST) == ONE_KEY
        closed = [connection for connection in stuck if select.select([connection], [], [], 0)[0]]
        assert len(stuck) - len(closed) < agentserver.MAX_CONNECTIONS


def test_whoever_is_heard_of_is_not_the_one_to_go(path: str) -> None:
    with ExitStack() as stack:
        busy = stack.enter_context(connected(path))
        for _ in range(2 * agentserver.MAX_CONNECTIONS):
            stack.enter_context(connected(path))
            busy.sendall(string(LIST))
            assert answer(busy) == ONE_KEY


def test_a_client_that_asks_and_does_not_read_is_dropped(path: str) -> None:
    with connected(path) as greedy:
        with pytest.raises(OSError, match=r"pipe|reset"):
            greedy.sendall(10_000_000 * string(LIST))
        assert ask(path, LIST) == ONE_KEY


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_is_turned_away(path: str) -> None:
    os.chmod(os.path.dirname(path), 0o711)
    os.chmod(path, 0o666)
    command = {"args": ["ssh-add", "-l"], "env": {**os.environ, "SSH_AUTH_SOCK": path}, "capture_output": True}
    assert subprocess.run(**command, check=False, cwd="/").returncode == 0
    refused = subprocess.run(**command, check=False, cwd="/", user=65534, group=65534)
    assert refused.returncode != 0
    assert refused.stdout == b""


# The place


def test_the_socket_lies_in_a_folder_of_its_own_and_both_go() -> None:
    with agentserver.serving(KEY.public_blob, KEY.sign) as path:
        folder = Path(path).parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert os.listdir(folder) == [Path(path).name]
    assert not folder.exists()


def test_a_long_temporary_folder_is_passed_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ("x" * 100)).mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / ("x" * 100)))
    with agentserver.serving(KEY.public_blob, KEY.sign, "git-auths bot") as path:
        assert ask(path, LIST) == ONE_KEY


def test_leaving_does_not_wait_for_a_signature() -> None:
    waiting, ended = threading.Event(), threading.Event()

    def sign(data: bytes) -> None:
        waiting.set()
        ended.wait(20)

    with agentserver.serving(KEY.public_blob, sign) as path:
        connection = connected(path)
        connection.sendall(string(request()))
        assert waiting.wait(5)
        started = time.monotonic()
    assert time.monotonic() - started < 5
    ended.set()
    connection.close()


# What the command sees

SECRETS = {
    "AUTHS_PASSPHRASE": "secret", "AUTHS_PRIVATE_KEY": "key", "AUTHS_PRIVATE_KEY_FD": "9", "AUTHS_FORGE_TOKEN": "token",
    "AUTHS_DID": "did:keri:E", "SSH_AGENT_PID": "1", "SSH_ASKPASS": "/bin/ask", "SSH_ASKPASS_REQUIRE": "force",
    "GPG_AGENT_INFO": "/s:1:1", "GNOME_KEYRING_CONTROL": "/run/keyring", "KEYRING_PROPERTY_KEYRING_KEY": "secret",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "token", "ACTIONS_ID_TOKEN_REQUEST_URL": "https://x.example",
}  # fmt: skip
REPLACED = {
    "SSH_AUTH_SOCK": "/owner", "AUTHS_HOME": "/owner/home", "PYTHON_KEYRING_BACKEND": "some.Backend",
    "DBUS_SESSION_BUS_ADDRESS": "unix:path=/run/user/1000/bus",
}  # fmt: skip
KEPT = {"PATH": "/bin", "GIT_CONFIG_COUNT": "0", "GITHUB_TOKEN": "x", "HOME": "/home/ada", "SSH_CONNECTION": "1 2 3 4"}


def test_the_environment_has_no_secret_and_no_way_to_the_owners_agent() -> None:
    seen = agentserver.scrubbed_environment({**SECRETS, **REPLACED, **KEPT}, "/private/agent", "/private/home")
    assert seen == KEPT | {
        "SSH_AUTH_SOCK": "/private/agent", "AUTHS_HOME": "/private/home", "DBUS_SESSION_BUS_ADDRESS": "disabled:",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }  # fmt: skip


def test_a_command_has_its_agent_while_it_runs_and_no_longer(tmp_path: Path) -> None:
    script = f"ssh-add -L > {tmp_path}/keys; echo $SSH_AUTH_SOCK $AUTHS_HOME > {tmp_path}/seen; exit 3"
    environ = {**os.environ, **SECRETS}
    code = agentserver.run_with_agent(KEY.public_blob, KEY.sign, ["sh", "-c", script], environ, str(tmp_path), "bot")
    assert code == 3
    assert base64.b64encode(KEY.public_blob) in (tmp_path / "keys").read_bytes()
    path, home = (tmp_path / "seen").read_text().split()
    assert home == str(tmp_path)
    assert not os.path.lexists(path)


def test_settings_reach_git_above_every_file_and_beside_what_is_set() -> None:
    run("git", "config", "--global", "user.signingKey", "auths:main")
    environment = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "color.ui", "GIT_CONFIG_VALUE_0": "never"}
    changed = agentserver.with_settings(environment, {"user.signingKey": "auths:bot", "auths.identity": "bot"})
    for key, value in (("user.signingKey", "auths:bot"), ("auths.identity", "bot"), ("color.ui", "never")):
        assert run("git", "config", key, env=changed).stdout.decode() == value + "\n"


@pytest.mark.parametrize("value", ["auths:bot", "it's", "!x", "a b", ""])
def test_settings_outrank_what_git_was_started_with_and_leave_the_rest(value: str) -> None:
    environment = {"GIT_CONFIG_PARAMETERS": "'commit.gpgsign'='false' 'color.ui=never'"}
    changed = agentserver.with_settings(environment, {"commit.gpgSign": "true", "user.signingKey": value})
    for key, told in (("commit.gpgsign", "true"), ("user.signingKey", value), ("color.ui", "never")):
        assert run("git", "config", key, env=changed).stdout.decode() == told + "\n"


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_nobody_reads_what_the_process_remembers() -> None:
    program = """if True:
        import ctypes, sys
        from git_auths.store import agentserver
        agentserver.run_with_agent(b"", lambda data: None, ["true"], {"PATH": sys.argv[1]}, "/")
        print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
    """  # PR_GET_DUMPABLE
    assert run(sys.executable, "-c", program, os.environ["PATH"]).stdout == b"0\n"


# How the command ends


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 128 + 15), ("kill -KILL $$", 128 + 9)]
)
def test_the_exit_code_is_the_commands(script: str, code: int) -> None:
    assert agentserver.run_command(["sh", "-c", script], os.environ) == code


@pytest.mark.parametrize("argv", [["no-such-command"], ["/"], ["a\0b"]])
def test_a_command_that_cannot_be_started_is_named(argv: list[str]) -> None:
    with pytest.raises(Error, match="cannot run"):
        agentserver.run_command(argv, os.environ)


def test_handlers_are_as_before_when_it_has_ended() -> None:
    before = [signal.getsignal(number) for number in agentserver.FORWARDED]
    agentserver.run_command(["true"], os.environ)
    assert [signal.getsignal(number) for number in agentserver.FORWARDED] == before


RUNNER = "import os, sys; from git_auths.store.agentserver import run_command; sys.exit(run_command(sys.argv[1:], os.environ))"
COUNTER = """if True:
    import os, signal
    seen = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, lambda number, frame: seen.append(number))
    print("ready", flush=True)
    while not seen:
        signal.pause()
    print("seen", flush=True)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    signal.signal(signal.SIGALRM, lambda *_: (print("got", *map(int, seen), flush=True), os._exit(40 + len(seen))))
    while True:
        signal.pause()
"""
COMMAND = [sys.executable, "-c", RUNNER, sys.executable, "-I", "-S", "-c", COUNTER]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_goes_on_to_the_command_and_we_wait_for_its_end(number: int) -> None:
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.stdout.read() == b"seen\ngot %d\n" % number
    assert process.returncode == 41


def test_control_c_at_a_terminal_reaches_the_command_once() -> None:
    ours, theirs = pty.openpty()
    on_terminal = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); " + RUNNER
    command = [on_terminal if argument == RUNNER else argument for argument in COMMAND]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as process:
        until(ours, b"ready")
        process.send_signal(signal.SIGSTOP)  # so that the command has had the one before we could send it another
        os.write(ours, b"\x03")
        until(ours, b"seen")
        process.send_signal(signal.SIGCONT)
        assert b"got 2\r\n" in until(ours, b"got")
    assert process.returncode == 41
    os.close(ours)
    os.close(theirs)


def until(terminal: int, word: bytes) -> bytes:
    """What the terminal shows, up to the end of the line that has `word`."""
    shown = b""
    while word not in shown or not shown.endswith(b"\n"):
        assert select.select([terminal], [], [], 10)[0]
        shown += os.read(terminal, 1024)
    return shown


def test_what_is_ignored_stays_ignored() -> None:
    """As under nohup: a hangup ends neither us nor the command."""
    command = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", sys.executable, "-c", RUNNER, "sh", "-c",
               "kill -HUP $PPID $$; exit 5"]  # fmt: skip
    assert run(*command, code=None).returncode == 5
