"""What a delegate asks of its delegator: to seal an event of its log. One line of text, which holds no secret.

    auths-device-request:<base64url of: the name, a line feed, the event with its signatures>

The event is a `dip`, by which a device or agent comes into being, or a `drt`, which rotates its keys (KERI spec,
cooperative delegation). It may travel by any channel. Whoever could swap it on the way is found out by `code`, which
both sides show and people compare.
"""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple

from git_auths.core import cesr, kelbuild
from git_auths.core.authority import DID_PREFIX
from git_auths.core.grants import MAX_LABEL_CHARS
from git_auths.core.kel import Kel, KelInvalid, extend, replay
from git_auths.core.kelstream import Message, SealSource, StreamBroken, messages

PREFIX = "auths-device-request:"
MAX_REQUEST_CHARS = 64 * 1024
CODE_BYTES = 10  # 80 bits: too many to try until another event happens to have the same
CODE_GROUP = 4


class RequestInvalid(ValueError):
    """The text is no request; the message says why."""


class Request(NamedTuple):
    """`message` is the event that waits for its seal; `name` is what its owner calls the delegate."""

    message: Message
    name: str

    @property
    def did(self) -> str:
        return DID_PREFIX + self.message.body.aid

    @property
    def is_rotation(self) -> bool:
        return self.message.body.ilk == "drt"


def text(request: Request) -> str:
    """The request as text; raises RequestInvalid for what `parse` would refuse."""
    require_name(request.name)
    message = request.message
    stream = kelbuild.with_signatures(message.raw, message.attachments.signatures,
                                      receipts=message.attachments.witness_signatures)  # fmt: skip
    made = PREFIX + base64.urlsafe_b64encode(request.name.encode() + b"\n" + stream).decode().rstrip("=")
    parse(made)
    return made


def parse(request: str) -> Request:
    """The request in a text that people may have wrapped; raises RequestInvalid. No signature is checked yet."""
    if len(request) > MAX_REQUEST_CHARS:
        raise RequestInvalid(f"longer than {MAX_REQUEST_CHARS} characters")
    words = "".join(request.split())
    if not words.startswith(PREFIX):
        raise RequestInvalid(f"it does not begin with {PREFIX}")
    encoded = words[len(PREFIX) :]
    try:
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise RequestInvalid("it is damaged: not base64url") from None
    label, _, stream = raw.partition(b"\n")
    message = read(stream)
    try:
        name = label.decode()
    except UnicodeDecodeError:
        raise RequestInvalid("its name is no text") from None
    require_name(name)
    return Request(message, name)


def read(stream: bytes) -> Message:
    """The one event in `stream` that a delegator may seal, and its attachments; raises RequestInvalid."""
    try:
        found = list(messages(stream))
    except StreamBroken as error:
        raise RequestInvalid(f"its event is damaged: {error}") from None
    if len(found) != 1:
        raise RequestInvalid("it holds not one event")
    if found[0].body.ilk not in ("dip", "drt"):
        raise RequestInvalid(f"its event is a {found[0].body.ilk}, which nobody else seals")
    return found[0]


def code(said: str) -> str:
    """What people compare: sixteen letters and digits of an event's digest, like `K7QF-2MXA-9D3T-PLWC`."""
    letters = base64.b32encode(cesr.decode(said).raw[:CODE_BYTES]).decode()
    return "-".join(letters[at : at + CODE_GROUP] for at in range(0, len(letters), CODE_GROUP))


def seal(message: Message) -> dict[str, str]:
    """The {i, s, d} by which the delegator's log seals this event."""
    return kelbuild.event_seal(message.raw)


def sealing_event(message: Message, delegator: Kel) -> int | None:
    """The number of the last event of `delegator` that seals this one; None where none does."""
    key = (message.body.aid, f"{message.body.sn:x}", message.body.said)
    return max(delegator.sealed.get(key, ()), default=None)


def once_sealed(message: Message, delegator: Kel, delegate: Kel | None) -> Kel:
    """The delegate's log as it is once `delegator` seals this event; `delegate` is the log that a `drt` continues.

    Everything but the seal is judged: KelInvalid says what stands in the way.
    """
    body, attached = message.body, message.attachments
    sealing = delegator._replace(sealed={**delegator.sealed, (body.aid, f"{body.sn:x}", body.said): (delegator.sn,)})
    stream = kelbuild.with_signatures(message.raw, attached.signatures, receipts=attached.witness_signatures)
    if delegate is None:
        return replay(stream, {delegator.aid: sealing})
    return extend(delegate, stream, {delegator.aid: sealing})


def with_source(message: Message, delegator: Kel) -> bytes:
    """The message with the `-G` that says where `delegator` seals its event; raises KelInvalid where it does not."""
    number = sealing_event(message, delegator)
    if number is None:
        raise KelInvalid("its delegator's log does not seal it", message.body.sn)
    source = SealSource(number, delegator.events[number].said)
    return kelbuild.with_signatures(message.raw, message.attachments.signatures,
                                    receipts=message.attachments.witness_signatures, source=source)  # fmt: skip


def require_name(name: str) -> None:
    """Raises RequestInvalid for what nobody is to be called."""
    if not 0 < len(name) <= MAX_LABEL_CHARS or not name.isprintable():
        raise RequestInvalid(f"its name is no text of 1 to {MAX_LABEL_CHARS} characters that show")
