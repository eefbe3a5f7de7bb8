"""Key events that several machines have to sign: proposed by one, as a file that the others sign in their turn.

`core/proposal` says what such a file holds and what is missing; `commands/kel_sign` signs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from git_auths.core import enclosed, kelbuild
from git_auths.core.cesr import IndexedSignature
from git_auths.core.kel import Kel
from git_auths.core.proposal import MAX_PROPOSAL_BYTES
from git_auths.errors import Error
from git_auths.store import keyevents, keystore, signedevents
from git_auths.store.atomic import write_file
from git_auths.store.secrets import Secrets

SHARED_MODE = 0o666  # a proposal is public; the umask narrows it


def read(path: str) -> bytes:
    """The bytes of a proposal, cut off one past the limit. Raises errors.Error."""
    try:
        with open(path, "rb") as stream:
            return stream.read(MAX_PROPOSAL_BYTES + 1)
    except OSError as error:
        raise Error(f"{path}: {error.strerror}", "name a file with a proposed key event") from None


def write(path: str, event: bytes, signatures: Sequence[IndexedSignature] = (), lines: Sequence[bytes] = ()) -> None:
    """Put a proposed event into a file, with the signatures so far, and `lines` that let people read what it does
    (see core/enclosed). Raises errors.Error."""
    message = kelbuild.with_signatures(event, signatures) if signatures else event
    replace(path, enclosed.joined(message, lines))


def replace(path: str, stream: bytes) -> None:
    """Put the proposal `stream` in place of what the file holds. Raises errors.Error."""
    write_file(path, stream, SHARED_MODE)


def seal(alias: str, anchors: Sequence[Mapping[str, str]], secrets: Secrets, path: str,
         lines: Sequence[bytes] = ()) -> bytes:  # fmt: skip
    """Propose one `ixn` with these seals, signed by those of the identity's keys that are here, and write it to `path`
    with `lines`, as `write` does; the event. Raises errors.Error."""
    with keystore.held(alias) as identity:
        log = keyevents.own_log(identity)
        event = kelbuild.interaction(log, anchors)
        write(path, event, sign(identity, log, event, secrets), lines)
        return event


def sign(identity: keystore.Identity, log: Kel, event: bytes, secrets: Secrets,
         instead_of: str | None = None) -> list[IndexedSignature]:  # fmt: skip
    """The signatures by those keys of `identity` that are here on an event that would follow its log: recorded before
    they leave, and never on two events of one number. For whoever holds the identity. Raises errors.Error."""
    this = identity.aid, log.sn + 1, kelbuild.said(event)
    keyevents.require_not_requested(identity, event)
    signedevents.require_free(*this, instead_of)  # before anybody is asked for a passphrase
    made = keyevents.signatures_here(identity, log, event, secrets)
    signedevents.require_first(identity, *this, instead_of)
    return made
