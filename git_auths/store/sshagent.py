"""The client side of ssh-agent (draft-miller-ssh-agent), as far as signing needs it.

The agent at SSH_AUTH_SOCK may be anyone's: every message is bounded, every exchange has a deadline, and what
it signs is believed only after the caller has verified it. No agent is no error, nor is one that hangs up
(a forwarding whose far end is gone); one that talks nonsense or says nothing is.
"""

from __future__ import annotations

import os
from time import monotonic

from git_auths.core.opensshkey import KeyInvalid, PrivateKey, private_fields, take_string
from git_auths.core.sshsig import string
from git_auths.errors import Error

TYPE_CHECKING = False  # importing typing for its name would cost 9 ms
if TYPE_CHECKING:
    import _socket

FAILURE = 5
SUCCESS = 6
REQUEST_IDENTITIES = 11
IDENTITIES_ANSWER = 12
SIGN_REQUEST = 13
SIGN_RESPONSE = 14
ADD_IDENTITY = 17
REMOVE_IDENTITY = 18
ADD_ID_CONSTRAINED = 25
CONSTRAIN_LIFETIME = b"\1"
CONSTRAIN_CONFIRM = b"\2"

MAX_MESSAGE_BYTES = 256 * 1024  # AGENT_MAX_LEN in OpenSSH
ANSWER_SECONDS = 2.0
SIGN_SECONDS = 30.0  # a key added with -c asks its owner first


class AgentUseless(Error):
    """The ssh-agent does not answer, talks nonsense or signs with another key: there are key files, too."""


def list_keys() -> list[tuple[bytes, str]]:
    """(public key blob, comment) of each key that the agent holds; none where there is no agent."""
    answer = _ask(bytes([REQUEST_IDENTITIES]), ANSWER_SECONDS)
    if answer is None or answer[0] == FAILURE:
        return []
    if answer[0] != IDENTITIES_ANSWER or len(answer) < 5:
        raise _nonsense()
    keys, position = [], 5
    while position < len(answer):
        blob, position = _take(answer, position)
        comment, position = _take(answer, position)
        keys.append((blob, comment.decode(errors="replace")))
    if len(keys) != int.from_bytes(answer[1:5], "big"):
        raise _nonsense()
    return keys


def sign(blob: bytes, data: bytes, flags: int = 0) -> bytes | None:
    """The agent's signature blob over `data` by the key `blob`; None where no agent holds it or it declines.

    The answer is only a claim: the caller verifies it against `blob` before anything relies on it.
    """
    request = bytes([SIGN_REQUEST]) + string(blob) + string(data) + flags.to_bytes(4, "big")
    answer = _ask(request, SIGN_SECONDS)
    if answer is None or answer[0] == FAILURE:
        return None
    if answer[0] != SIGN_RESPONSE:
        raise _nonsense()
    signature, end = _take(answer, 1)
    if end != len(answer):
        raise _nonsense()
    return signature


def add(private: PrivateKey, comment: str, lifetime_seconds: int | None = None, confirm: bool = False) -> bool:
    """Hand the key to the agent, for `lifetime_seconds` (None: until it ends), to ask before each use where
    `confirm`; False where there is no agent or it declines."""
    constraints = b""
    if lifetime_seconds is not None:
        constraints += CONSTRAIN_LIFETIME + lifetime_seconds.to_bytes(4, "big")
    if confirm:
        constraints += CONSTRAIN_CONFIRM
    kind = ADD_ID_CONSTRAINED if constraints else ADD_IDENTITY
    return _done(bytes([kind]) + private_fields(private) + string(comment.encode()) + constraints)


def remove(blob: bytes) -> bool:
    """Make the agent forget the key; False where there is no agent or it did not hold the key."""
    return _done(bytes([REMOVE_IDENTITY]) + string(blob))


def _done(request: bytes) -> bool:
    answer = _ask(request, ANSWER_SECONDS)
    if answer is not None and answer not in (bytes([SUCCESS]), bytes([FAILURE])):
        raise _nonsense()
    return answer == bytes([SUCCESS])


def _ask(request: bytes, seconds: float) -> bytes | None:
    """The agent's answer to one message, never empty; None where there is no agent. Raises errors.Error."""
    path = os.environ.get("SSH_AUTH_SOCK")
    if not path:
        return None
    deadline = monotonic() + seconds
    connection = _open()
    try:
        connection.settimeout(ANSWER_SECONDS)
        try:
            connection.connect(path)
        except (TimeoutError, BlockingIOError):  # its queue is full
            raise _silent() from None
        except OSError:
            return None
        try:
            connection.sendall(string(request))
            header = _receive(connection, 4, deadline)
            length = int.from_bytes(header, "big")
            if header and not 0 < length <= MAX_MESSAGE_BYTES:
                raise _nonsense()
            answer = _receive(connection, length, deadline)
        except TimeoutError:
            raise _silent() from None
        except OSError:  # it hung up on us
            return None
    finally:
        connection.close()
    if len(answer) != length:
        raise _nonsense()
    return answer or None


def _open() -> _socket.socket:
    """A Unix socket from the module below `socket`, which spares a commit the 8 ms of `selectors` and `enum`; where an
    interpreter has no such module, from the public one."""
    try:
        import _socket
    except ImportError:
        import socket

        return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    return _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)


def _receive(connection: _socket.socket, length: int, deadline: float) -> bytes:
    """`length` bytes, fewer where the other side ends first. Raises TimeoutError past the deadline."""
    received = bytearray()
    while len(received) < length:
        left = deadline - monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        chunk = connection.recv(length - len(received))
        if not chunk:
            break
        received += chunk
    return bytes(received)


def _take(answer: bytes, position: int) -> tuple[bytes, int]:
    try:
        return take_string(answer, position)
    except KeyInvalid:
        raise _nonsense() from None


def _nonsense() -> AgentUseless:
    return _useless("does not speak the agent protocol")


def _silent() -> AgentUseless:
    return _useless("does not answer")


def not_by_its_key() -> AgentUseless:
    """Its signature does not verify: what it says is no more use than none."""
    return AgentUseless("ssh-agent answered with a signature that is not by the key it was asked for",
                        "unset SSH_AUTH_SOCK to sign with the key file")  # fmt: skip


def _useless(what: str) -> AgentUseless:
    path = os.environ.get("SSH_AUTH_SOCK", "")
    return AgentUseless(f"the ssh-agent at {path} {what}", "restart it, or unset SSH_AUTH_SOCK to use the key file")
