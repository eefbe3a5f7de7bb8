"""A private ssh-agent that holds one key, for a command and what it starts (draft-miller-ssh-agent, the server's side).

It answers two requests: which keys there are (that one), and a signature by it. Everything else fails: nobody adds,
removes or exports keys here. Whoever connects is the command, which may be hostile: messages and connections are
bounded, and a client that is stuck or gone costs the others nothing.

This keeps a command from signing as its owner by what it inherits; it is no sandbox. A process of the same user that
goes looking can find the owner's own agent, and a key file that no passphrase locks.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from git_auths.core.opensshkey import KeyInvalid, take_string
from git_auths.core.sshsig import string
from git_auths.errors import Error
from git_auths.store.sshagent import (
    FAILURE,
    IDENTITIES_ANSWER,
    MAX_MESSAGE_BYTES,
    REQUEST_IDENTITIES,
    SIGN_REQUEST,
    SIGN_RESPONSE,
)

MAX_CONNECTIONS = 32  # more, and the one that has been silent for longest is closed
MAX_SOCKET_PATH_BYTES = 103  # sockaddr_un, where it is shortest (macOS)
CHUNK_BYTES = 64 * 1024
FOLDER_PREFIX = "auths-agent-"
TO_THE_WHOLE_GROUP = frozenset({signal.SIGINT, signal.SIGQUIT})  # by the terminal's ^C and ^\
FORWARDED = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)

Sign = Callable[[bytes], "bytes | None"]  # the SSH signature blob over the data; None: declined

# What a command does not inherit, by the beginning of its name, and why.
HIDDEN = (
    "AUTHS_",  # the passphrase, private keys and tokens, those of tomorrow too; AUTHS_HOME is set anew
    "SSH_AUTH_SOCK",  # the owner's agent: set anew
    "SSH_AGENT_PID",  # names the owner's agent, and `ssh-agent -k` would end it
    "SSH_ASKPASS",  # and _REQUIRE: a dialog would ask the owner for a passphrase, and it is not said who asks
    "GPG_AGENT_INFO",  # the agent of GnuPG before 2.1, which speaks for the owner, to ssh as well
    "GNOME_KEYRING_",  # the control socket of a keyring, which is an ssh-agent and keeps passphrases
    "DBUS_SESSION_BUS_",  # the way to the desktop's keyrings: Secret Service, KWallet
    "KEYRING_",  # settings of the `keyring` package, such as a file's password
    "PYTHON_KEYRING_",  # which keyring that opens: set anew
    "ACTIONS_ID_TOKEN_REQUEST_",  # mints OIDC tokens that speak for the whole workflow
)


@contextmanager
def serving(blob: bytes, sign: Sign, comment: str = "", seconds: float | None = None) -> Iterator[str]:
    """A running agent that holds the key `blob` (SSH wire public key); yields the path of its socket.

    `sign` is called in a thread of the agent's, one call at a time; if it raises, that signature fails. After
    `seconds` (None: never) the agent has no key any more; time asleep counts, where the system counts it.
    """
    folder = _fresh_folder()
    path = os.path.join(folder, "agent")
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            os.chmod(path, 0o600)
            listener.listen(MAX_CONNECTIONS)
            agent = _Agent(listener, blob, sign, comment, seconds)
            thread = threading.Thread(target=agent.serve, name="ssh-agent", daemon=True)
            thread.start()
            try:
                yield path
            finally:
                agent.stop()
                thread.join(timeout=1)  # it may be waiting for the owner's agent, which need not hold us up
    finally:
        with suppress(OSError):
            os.unlink(path)
        with suppress(OSError):
            os.rmdir(folder)


def run_with_agent(
    blob: bytes,
    sign: Sign,
    argv: Sequence[str],
    environ: Mapping[str, str],
    home: str,
    comment: str = "",
    seconds: float | None = None,
) -> int:
    """Run `argv` with an agent of its own, as `serving` has it, in `scrubbed_environment(environ, ..., home)`; its exit
    code, 128 + n where signal n ended it. Raises errors.Error where it cannot be started."""
    import gc

    gc.enable()  # this process lives as long as the command
    _keep_others_out_of_memory()
    with serving(blob, sign, comment, seconds) as path:
        return run_command(argv, scrubbed_environment(environ, path, home))


def scrubbed_environment(environ: Mapping[str, str], socket_path: str, home: str) -> dict[str, str]:
    """`environ` without the owner's secrets and ways to sign (HIDDEN says which and why): the agent is the one at
    `socket_path`, and AUTHS_HOME is `home`, a folder that has the identity without private keys."""
    kept = {name: value for name, value in environ.items() if not name.startswith(HIDDEN)}
    return kept | {
        "SSH_AUTH_SOCK": socket_path,
        "AUTHS_HOME": home,
        # Without the variable libdbus tries $XDG_RUNTIME_DIR/bus; an address of an unknown transport reaches nothing.
        "DBUS_SESSION_BUS_ADDRESS": "disabled:",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }


def with_settings(environ: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """`environ`, in which git takes these settings as well, above those of every file (git-config(1),
    GIT_CONFIG_COUNT), and after those of the `git -c` that started us, which outrank that (git: config.c)."""
    count = environ.get("GIT_CONFIG_COUNT", "")
    first = int(count) if count.isascii() and count.isdigit() else 0
    changed = {**environ, "GIT_CONFIG_COUNT": str(first + len(settings))}
    for number, (key, value) in enumerate(settings.items(), first):
        changed[f"GIT_CONFIG_KEY_{number}"] = key
        changed[f"GIT_CONFIG_VALUE_{number}"] = value
    given = environ.get("GIT_CONFIG_PARAMETERS")
    if given:
        ours = [f"{_single_quoted(key)}={_single_quoted(value)}" for key, value in settings.items()]
        changed["GIT_CONFIG_PARAMETERS"] = " ".join([given, *ours])
    return changed


def _single_quoted(text: str) -> str:
    """git: quote.c, sq_quote_buf."""
    return "'" + text.replace("'", "'\\''").replace("!", "'\\!'") + "'"


def run_command(argv: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command to its end, and pass signals on to it; its exit code, 128 + n where signal n ended it."""
    children: list[subprocess.Popen[bytes]] = []
    early: list[int] = []  # signals that came before there was anyone to pass them on to

    def forward(number: int, _frame: object) -> None:
        if number in TO_THE_WHOLE_GROUP and _in_foreground():
            return  # the command has had it from the terminal
        if children:
            children[0].send_signal(number)
        else:
            early.append(number)

    # What is ignored stays so, for the command too (nohup).
    before = {n: signal.signal(n, forward) for n in FORWARDED if signal.getsignal(n) is not signal.SIG_IGN}
    try:
        children.append(_started(argv, environment))
        for number in early:
            children[0].send_signal(number)
        code = children[0].wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def _started(argv: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(list(argv), env=dict(environment))
    except (OSError, ValueError) as error:  # ValueError: a NUL in an argument
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Error(f"cannot run {argv[0]}: {reason}") from None


def _in_foreground() -> bool:
    """Does the terminal send its signals to our process group, which is the command's too?"""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _keep_others_out_of_memory() -> None:
    """No core file, no debugger and no look at /proc/PID/environ, where what `take_secrets` took out still stands
    (prctl(2), PR_SET_DUMPABLE; ssh-agent does the same)."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)


def _fresh_folder() -> str:
    """A folder for a socket, mode 0700, where TMPDIR says unless the socket's path would be too long there."""
    parent = tempfile.gettempdir()
    if len(os.fsencode(os.path.join(parent, FOLDER_PREFIX + "12345678", "agent"))) > MAX_SOCKET_PATH_BYTES:
        parent = "/tmp"  # noqa: S108, mkdtemp makes a name of its own there
    try:
        return tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=parent)
    except OSError as error:
        raise Error(f"cannot make a folder in {parent}: {error.strerror}") from None


def _now() -> float:
    """Seconds on a clock that nobody sets; CLOCK_BOOTTIME also counts while a laptop sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class _Agent:
    """The loop: one thread, all connections; what a connection has sent so far is kept with it, oldest first."""

    def __init__(self, listener: socket.socket, blob: bytes, sign: Sign, comment: str, seconds: float | None) -> None:
        self._listener = listener
        self._key = string(blob)
        self._sign = sign
        self._comment = string(comment.encode(errors="replace"))
        self._deadline = None if seconds is None else _now() + seconds
        self._connections: dict[socket.socket, bytearray] = {}
        self._selector = selectors.DefaultSelector()
        self._stopped, self._stop = socket.socketpair()
        listener.setblocking(False)
        for readable in (listener, self._stopped):
            self._selector.register(readable, selectors.EVENT_READ)

    def stop(self) -> None:
        """From another thread: end the loop."""
        self._stop.close()

    def serve(self) -> None:
        try:
            while True:
                ready = [key.fileobj for key, _ in self._selector.select()]
                if self._stopped in ready:
                    return
                for connection in ready:
                    if connection is self._listener:
                        self._accept()
                    elif isinstance(connection, socket.socket) and connection in self._connections:
                        self._read(connection)
        finally:
            for connection in list(self._connections):
                self._drop(connection)
            self._selector.close()
            self._stopped.close()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:  # it left before we came, or there are no descriptors left
            return
        if not _is_of_our_user(connection):
            connection.close()
            return
        connection.setblocking(False)
        if len(self._connections) >= MAX_CONNECTIONS:
            self._drop(next(iter(self._connections)))
        self._connections[connection] = bytearray()
        self._selector.register(connection, selectors.EVENT_READ)

    def _drop(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        del self._connections[connection]
        connection.close()

    def _read(self, connection: socket.socket) -> None:
        received = self._connections.pop(connection)
        self._connections[connection] = received  # now it is the last one that was heard of
        try:
            chunk = connection.recv(CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        received += chunk
        if not chunk or not self._answer_all(connection, received):
            self._drop(connection)

    def _answer_all(self, connection: socket.socket, received: bytearray) -> bool:
        """Answer each whole message, and take it out of `received`. False: no more is to be had of this client."""
        while len(received) >= 4:
            length = int.from_bytes(received[:4], "big")
            if not 0 < length <= MAX_MESSAGE_BYTES:
                return False
            if len(received) < 4 + length:
                return True
            answer = string(self._answer(bytes(received[4 : 4 + length])))
            del received[: 4 + length]
            try:
                if connection.send(answer) != len(answer):
                    return False  # it asks and asks, and does not read
            except OSError:
                return False
        return True

    def _answer(self, message: bytes) -> bytes:
        if message == bytes([REQUEST_IDENTITIES]):
            if self._is_over():
                return bytes([IDENTITIES_ANSWER]) + bytes(4)
            return bytes([IDENTITIES_ANSWER]) + (1).to_bytes(4, "big") + self._key + self._comment
        signature = self._signature(message) if message[0] == SIGN_REQUEST else None
        return bytes([FAILURE]) if signature is None else bytes([SIGN_RESPONSE]) + string(signature)

    def _signature(self, request: bytes) -> bytes | None:
        """SSH_AGENTC_SIGN_REQUEST: string key, string data, uint32 flags (which concern RSA alone)."""
        key_end = 1 + len(self._key)
        if request[1:key_end] != self._key or self._is_over():
            return None
        try:
            data, end = take_string(request, key_end)
        except KeyInvalid:
            return None
        if len(request) != end + 4:
            return None
        try:
            return self._sign(data)
        except Exception:  # the owner's agent is gone or talks nonsense: the next one may be signed again
            return None

    def _is_over(self) -> bool:
        return self._deadline is not None and _now() >= self._deadline


def _is_of_our_user(connection: socket.socket) -> bool:
    """By what the kernel says of the other side (unix(7), SO_PEERCRED: pid, uid, gid). Where it says nothing, the
    socket's folder, which is ours alone, must do."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True
    credentials = connection.getsockopt(socket.SOL_SOCKET, option, 12)
    return int.from_bytes(credentials[4:8], sys.byteorder) == os.geteuid()
