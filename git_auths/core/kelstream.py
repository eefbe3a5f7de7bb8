"""A CESR stream of key events: each event's JSON, then its attachments in counted groups (CESR spec).

Read strictly: every byte belongs to an event or to a group that a key event may carry, each group once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, cast

from git_auths.core import cesr, keyevent, verkey
from git_auths.core.keyevent import Body, EventInvalid

MAX_IN_GROUP = 2 * keyevent.MAX_KEYS  # signatures, or other entries


class SealSource(NamedTuple):
    """Where in the delegator's log the event is anchored (`-G`)."""

    sn: int
    said: str


class Attachments(NamedTuple):
    """What counts of an event's attachments. Receipts of others (`-C`, `-D`) and first-seen times (`-E`) say
    nothing of key state: they are read for their form. keripy does not count `-C` towards `bt` either."""

    signatures: tuple[cesr.IndexedSignature, ...]
    witness_signatures: tuple[cesr.IndexedSignature, ...]
    source: SealSource | None


class Message(NamedTuple):
    """One event and its attachments: together `length` bytes of the stream, from `offset` on."""

    offset: int
    length: int
    raw: bytes
    body: Body
    attachments: Attachments


class StreamBroken(ValueError):
    """No message can be read. `begins_log`: what stands there looks like an inception; `sn`: the number that
    it states, if its digest holds."""

    def __init__(self, reason: str, begins_log: bool, sn: int | None) -> None:
        super().__init__(reason)
        self.begins_log = begins_log
        self.sn = sn


def messages(stream: bytes) -> Iterator[Message]:
    """The messages of a stream, up to its last byte; StreamBroken at the first that cannot be read."""
    position = 0
    while position < len(stream):
        try:
            message = _message(stream, position)
        except EventInvalid as error:
            ilk = stream[position + keyevent.ILK_AT : position + keyevent.ILK_AT + 3].decode("latin-1")
            raise StreamBroken(str(error), ilk in keyevent.INCEPTIONS, error.sn) from None
        yield message
        position += message.length


def _message(stream: bytes, position: int) -> Message:
    raw = _event(stream, position)
    body = keyevent.parse_body(raw)
    try:
        attachments, end = _attachments(stream, position + len(raw))
    except cesr.CesrInvalid as error:
        raise EventInvalid(f"attachments: {error}", body.sn) from None
    if not attachments.signatures:
        raise EventInvalid("it is not signed", body.sn)
    if attachments.source is not None and body.ilk not in ("dip", "drt"):
        raise EventInvalid("attachments: a seal source on an event that is not delegated", body.sn)
    return Message(position, end - position, raw, body, attachments)


def _event(stream: bytes, position: int) -> bytes:
    size = keyevent.read_size(stream, position)
    end = position + size
    if stream[end - 1 : end] == b"}" and stream[end : end + 1] in (b"-", b"{", b""):
        return stream[position:end]
    actual = keyevent.actual_size(stream, position)
    if actual is not None and actual != size:
        raise EventInvalid("`v`: the size is not that of the event")
    if end > len(stream):
        raise EventInvalid("cut off in the middle of the event")
    raise EventInvalid("bytes that are no event")


def _attachments(stream: bytes, position: int) -> tuple[Attachments, int]:
    """The groups at `position`, bare or all of them inside one `-V`; and where they end."""
    if not stream.startswith(b"-V", position):
        return _groups(stream, position)
    _, quadlets, begin = cesr.read_count(stream, position)
    whole = stream[begin : begin + 4 * quadlets]
    if len(whole) < 4 * quadlets:
        raise cesr.CesrInvalid("cut off in the middle of a group")
    attachments, end = _groups(whole, 0)
    if end != len(whole):
        raise cesr.CesrInvalid("bytes that belong to no group")
    return attachments, begin + end


def _groups(stream: bytes, position: int) -> tuple[Attachments, int]:
    groups: dict[str, list[object]] = {}
    while stream[position : position + 1] == b"-":
        code, count, position = cesr.read_count(stream, position)
        if code in groups or code not in _READERS:
            raise cesr.CesrInvalid(f"a group {code} where none may be")
        if not 0 < count <= MAX_IN_GROUP:
            raise cesr.CesrInvalid(f"a group {code} of {count}")
        groups[code] = values = []
        for _ in range(count):
            value, position = _READERS[code](stream, position)
            values.append(value)
    sources = groups.get(cesr.SEAL_SOURCE_COUPLES, [])
    if len(sources) > 1:
        raise cesr.CesrInvalid("more than one seal source")
    return Attachments(
        cast("tuple[cesr.IndexedSignature, ...]", tuple(groups.get(cesr.CONTROLLER_SIGNATURES, ()))),
        cast("tuple[cesr.IndexedSignature, ...]", tuple(groups.get(cesr.WITNESS_SIGNATURES, ()))),
        cast("SealSource", sources[0]) if sources else None,
    ), position  # fmt: skip


def _read(stream: bytes, position: int, *codes: str) -> tuple[cesr.Primitive, int]:
    primitive, end = cesr.read(stream, position)
    if primitive.code not in codes:
        raise cesr.CesrInvalid(f"code {primitive.code} where it does not belong")
    return primitive, end


def _seal_source(stream: bytes, position: int) -> tuple[SealSource, int]:
    sn, position = _read(stream, position, cesr.NUMBER_128)
    said, position = _read(stream, position, cesr.BLAKE3_256)
    return SealSource(int.from_bytes(sn.raw, "big"), said.qb64), position


def _receipt_couple(stream: bytes, position: int) -> tuple[None, int]:
    _, position = _read(stream, position, *verkey.NON_TRANSFERABLE)
    return None, _read(stream, position, cesr.ED25519_SIGNATURE, cesr.P256_SIGNATURE)[1]


def _receipt_quadruple(stream: bytes, position: int) -> tuple[None, int]:
    _, position = _read(stream, position, cesr.BLAKE3_256, *verkey.TRANSFERABLE)
    _, position = _read(stream, position, cesr.NUMBER_128)
    _, position = _read(stream, position, cesr.BLAKE3_256)
    return None, cesr.read_indexed(stream, position)[1]


def _first_seen_couple(stream: bytes, position: int) -> tuple[None, int]:
    _, position = _read(stream, position, cesr.NUMBER_128)
    return None, _read(stream, position, cesr.DATE_TIME)[1]


_READERS: dict[str, Callable[[bytes, int], tuple[object, int]]] = {
    cesr.CONTROLLER_SIGNATURES: cesr.read_indexed,
    cesr.WITNESS_SIGNATURES: cesr.read_indexed,
    cesr.RECEIPT_COUPLES: _receipt_couple,
    cesr.RECEIPT_QUADRUPLES: _receipt_quadruple,
    cesr.FIRST_SEEN_COUPLES: _first_seen_couple,
    cesr.SEAL_SOURCE_COUPLES: _seal_source,
}
