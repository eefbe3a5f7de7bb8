"""The record of which proposed key events this machine has signed: `signed` in an identity's folder.

A second event with a number that was signed would be a fork of the log. So before a signature on an event leaves that
is not in the log yet, its number and digest are here. The keys of one log may lie under several aliases, as those of
an organisation do under its founder's, so what counts is what any of them has signed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, flock

from git_auths.errors import Error, Refusal
from git_auths.store import keystore
from git_auths.store.atomic import write_file
from git_auths.store.keystore import Identity

SIGNED = "signed"
MAX_SIGNED_BYTES = 1024 * 1024

Signed = dict[tuple[str, int], str]  # AID and number -> digest


def require_free(aid: str, sn: int, said: str, instead_of: str | None = None) -> None:
    """Raises errors.Refusal where any identity of this machine has signed another event of that number, unless that is
    the one `instead_of`."""
    for folder in _folders():
        _require_free(aid, sn, said, _read(folder).get((aid, sn)), instead_of)


def require_first(identity: Identity, aid: str, sn: int, said: str, instead_of: str | None = None) -> None:
    """Record that this machine signs this event, for whoever holds the identity; durable when it returns.

    Raises errors.Refusal as `require_free` does.
    """
    with _alone():
        records = {folder: _read(folder) for folder in _folders()}
        for signed in records.values():
            _require_free(aid, sn, said, signed.get((aid, sn)), instead_of)
        for folder, signed in records.items():
            if signed.get((aid, sn)) != said and ((aid, sn) in signed or folder == identity.folder):
                signed[aid, sn] = said
                _write(folder, signed)


def _require_free(aid: str, sn: int, said: str, earlier: str | None, instead_of: str | None) -> None:
    if earlier not in (None, said, instead_of):
        raise Refusal(f"this machine has signed another event {sn} of did:keri:{aid}: {earlier}",
                      "go on with that one: the command that made it makes it again. If nobody has it any more, let "
                      f"another of you propose this one: git auths kel sign --instead-of {earlier} FILE")  # fmt: skip


def _folders() -> list[str]:
    return [os.path.join(_identities(), alias) for alias in keystore.aliases()]


def _identities() -> str:
    return os.path.join(keystore.home(), "identities")


@contextmanager
def _alone() -> Iterator[None]:
    """All records are one, whoever holds which identity."""
    descriptor = os.open(_identities(), os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # NFS locks no folders; there, two aliases must not sign at one moment
            flock(descriptor, LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(folder: str, signed: Signed) -> None:
    lines = "".join(f"{aid} {sn:x} {said}\n" for (aid, sn), said in signed.items())
    write_file(os.path.join(folder, SIGNED), lines.encode())


def _read(folder: str) -> Signed:
    path = os.path.join(folder, SIGNED)
    if not os.path.lexists(path):
        return {}
    content = keystore.read_file(path, MAX_SIGNED_BYTES + 1)
    try:
        if len(content) > MAX_SIGNED_BYTES:
            raise ValueError("too large")
        fields = [line.split(" ") for line in content.decode().splitlines()]
        return {(aid, int(sn, 16)): said for aid, sn, said in fields}
    except ValueError:
        raise Error(f"{path} is damaged, and nothing else says what this machine has signed",
                    "restore it, or move it away if nothing was proposed lately") from None  # fmt: skip
