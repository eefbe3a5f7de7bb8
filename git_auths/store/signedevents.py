"""The record of which proposed key events this machine has signed: `signed` in the identity's folder.

A second event with a number that was signed would be a fork of the log. So before a signature on an event leaves that
is not in the log yet, its number and digest are here.
"""

from __future__ import annotations

import os

from git_auths.errors import Error, Refusal
from git_auths.store import keystore
from git_auths.store.atomic import write_file
from git_auths.store.keystore import Identity

SIGNED = "signed"
MAX_SIGNED_BYTES = 1024 * 1024

Signed = dict[tuple[str, int], str]  # AID and number -> digest


def require_first(identity: Identity, aid: str, sn: int, said: str, instead_of: str | None = None) -> None:
    """Record that this machine signs this event, for whoever holds the identity; durable when it returns.

    Raises errors.Refusal where it has signed another event of that number, unless that is the one `instead_of`.
    """
    signed = _read(identity)
    earlier = signed.get((aid, sn))
    if earlier == said:
        return
    if earlier is not None and earlier != instead_of:
        raise Refusal(f"this machine has signed another event {sn} of did:keri:{aid}: {earlier}",
                      f"go on with that one; if nobody has it any more: --instead-of {earlier}")  # fmt: skip
    signed[aid, sn] = said
    lines = "".join(f"{aid} {sn:x} {said}\n" for (aid, sn), said in signed.items())
    write_file(os.path.join(identity.folder, SIGNED), lines.encode())


def _read(identity: Identity) -> Signed:
    path = os.path.join(identity.folder, SIGNED)
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
