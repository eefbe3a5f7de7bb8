"""A CESR stream of key events and receipts: the JSON of each, then its attachments in counted groups (CESR spec).

Read strictly: every byte belongs to a message or to a group that it may carry, each group once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from git_auths.core import cesr, keyevent, verkey
from git_auths.core.keyevent import Body, EventInvalid
from git_auths.core.verkey import Key

_RECEIPT = b'rct"'

MAX_IN_GROUP = 2 * keyevent.MAX_KEYS  # signatures, or other entries


class SealSource(NamedTuple):
    """Where in the delegator's log the event is anchored (`-G`)."""

    sn: int
    said: str


class Attachments(NamedTuple):
    """What counts of an event's attachments. Receipts of others (`-C`, `-D`) and first-seen times (`-E`) say
    nothing of key state: they are read for their form. keripy counts a `-C` towards `bt` in a receipt alone."""

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


class Couple(NamedTuple):
    """A signature by a non-transferable key that comes along with it (`-C`)."""

    key: Key
    signature: bytes


class Receipt(NamedTuple):
    """A message `rct`, as long as Message has it: others' signatures on event `sn` of `aid`, whose digest is `said`."""

    offset: int
    length: int
    aid: str
    sn: int
    said: str
    couples: tuple[Couple, ...]
    witness_signatures: tuple[cesr.IndexedSignature, ...]


class StreamBroken(ValueError):
    """No message can be read. `aid`: the identifier that what stands there seems to name, at the place of an event's;
    `begins_log`: it looks like an inception; `sn`: the number that it states, if its digest holds."""

    def __init__(self, reason: str, aid: str, begins_log: bool, sn: int | None) -> None:
        super().__init__(reason)
        self.aid = aid
        self.begins_log = begins_log
        self.sn = sn


def messages(stream: bytes) -> Iterator[Message]:
    """The key events of a stream that holds no receipts, up to its last byte; StreamBroken at the first that cannot be
    read."""
    for message in events_and_receipts(stream):
        if isinstance(message, Receipt):
            raise StreamBroken("a receipt where a key event should be", message.aid, False, message.sn)
        yield message


def events_and_receipts(stream: bytes) -> Iterator[Message | Receipt]:
    """All messages of a stream, up to its last byte; StreamBroken at the first that cannot be read."""
    position = 0
    while position < len(stream):
        try:
            message = _message(stream, position)
        except EventInvalid as error:
            head = stream[position : position + keyevent.AID_AT + cesr.DIGEST_SIZE].decode("latin-1")
            ilk = head[keyevent.ILK_AT : keyevent.ILK_AT + 3]
            raise StreamBroken(str(error), head[keyevent.AID_AT :], ilk in keyevent.INCEPTIONS, error.sn) from None
        yield message
        position += message.length


def proposed(stream: bytes) -> Message:
    """The one event in `stream`, which may have no signature yet. Raises EventInvalid."""
    raw = _event(stream, 0)
    message = _key_event(stream, 0, raw)
    if message.length < len(stream):
        raise EventInvalid("bytes after the event and its signatures", message.body.sn)
    return message


def _message(stream: bytes, position: int) -> Message | Receipt:
    raw = _event(stream, position)
    if raw.startswith(_RECEIPT, keyevent.ILK_AT):
        return _receipt(stream, position, raw)
    message = _key_event(stream, position, raw)
    if not message.attachments.signatures:
        raise EventInvalid("it is not signed", message.body.sn)
    return message


def _key_event(stream: bytes, position: int, raw: bytes) -> Message:
    body = keyevent.parse_body(raw)
    groups, end = _attachments(stream, position + len(raw), body.sn)
    signatures, receipts = groups.get(cesr.CONTROLLER_SIGNATURES, ()), groups.get(cesr.WITNESS_SIGNATURES, ())
    attachments = Attachments(tuple(signatures), tuple(receipts), _source(groups, body))
    return Message(position, end - position, raw, body, attachments)


def _source(groups: dict[str, list[Any]], body: Body) -> SealSource | None:
    sources = groups.get(cesr.SEAL_SOURCE_COUPLES)
    if sources is None:
        return None
    if len(sources) > 1:
        raise EventInvalid("attachments: more than one seal source", body.sn)
    if body.ilk not in ("dip", "drt"):
        raise EventInvalid("attachments: a seal source on an event that is not delegated", body.sn)
    source: SealSource = sources[0]
    return source


def _receipt(stream: bytes, position: int, raw: bytes) -> Receipt:
    """KERI spec, receipt message. Receipts by transferable identifiers (`-D`, `-F`) are no witness's."""
    receipted = keyevent.parse_receipt(raw)
    groups, end = _attachments(stream, position + len(raw), receipted.sn)
    if not groups or not groups.keys() <= {cesr.RECEIPT_COUPLES, cesr.WITNESS_SIGNATURES, cesr.RECEIPT_QUADRUPLES}:
        raise EventInvalid("attachments: a receipt has receipts, and nothing else", receipted.sn)
    return Receipt(position, end - position, *receipted, tuple(groups.get(cesr.RECEIPT_COUPLES, ())),
                   tuple(groups.get(cesr.WITNESS_SIGNATURES, ())))  # fmt: skip


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


def _attachments(stream: bytes, position: int, sn: int) -> tuple[dict[str, list[Any]], int]:
    """The entries of the groups at `position`, by code, and where they end. They come bare, or all inside one `-V`."""
    try:
        if not stream.startswith(b"-V", position):
            return _groups(stream, position)
        _, quadlets, begin = cesr.read_count(stream, position)
        whole = stream[begin : begin + 4 * quadlets]
        if len(whole) < 4 * quadlets:
            raise cesr.CesrInvalid("cut off in the middle of a group")
        groups, end = _groups(whole, 0)
        if end != len(whole):
            raise cesr.CesrInvalid("bytes that belong to no group")
    except cesr.CesrInvalid as error:
        raise EventInvalid(f"attachments: {error}", sn) from None
    return groups, begin + end


def _groups(stream: bytes, position: int) -> tuple[dict[str, list[Any]], int]:
    groups: dict[str, list[Any]] = {}
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
    return groups, position


def _read(stream: bytes, position: int, *codes: str) -> tuple[cesr.Primitive, int]:
    primitive, end = cesr.read(stream, position)
    if primitive.code not in codes:
        raise cesr.CesrInvalid(f"code {primitive.code} where it does not belong")
    return primitive, end


def _seal_source(stream: bytes, position: int) -> tuple[SealSource, int]:
    sn, position = _read(stream, position, cesr.NUMBER_128)
    said, position = _read(stream, position, cesr.BLAKE3_256)
    return SealSource(int.from_bytes(sn.raw, "big"), said.qb64), position


def _receipt_couple(stream: bytes, position: int) -> tuple[Couple, int]:
    by, position = _read(stream, position, *verkey.NON_TRANSFERABLE)
    signature, position = _read(stream, position, cesr.ED25519_SIGNATURE, cesr.P256_SIGNATURE)
    try:
        key = verkey.parse(by.qb64, verkey.NON_TRANSFERABLE)
    except verkey.KeyUnusable as error:
        raise cesr.CesrInvalid(str(error)) from None
    if key.signature_code != signature.code:
        raise cesr.CesrInvalid(f"a signature of code {signature.code} by a key of another algorithm")
    return Couple(key, signature.raw), position


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
