"""One key event: from the bytes of its JSON to values, and every rule that needs no other event.

KERI spec, key event messages: each type has its fields in one order, and all of them. The bytes must be just
what keripy would write for the values: one event has one form, and nothing hides in spaces or repeated names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple, NoReturn

from git_auths.core import cesr, threshold, verkey
from git_auths.core.threshold import Threshold
from git_auths.core.verkey import Key

MAX_KEYS = 128  # in any one list of keys, commitments or witnesses
MAX_SEALS = 4096  # in one event
MAX_DEPTH = 8  # of lists and objects within one seal

FIELDS = {
    "icp": ("v", "t", "d", "i", "s", "kt", "k", "nt", "n", "bt", "b", "c", "a"),
    "rot": ("v", "t", "d", "i", "s", "p", "kt", "k", "nt", "n", "bt", "br", "ba", "a"),
    "ixn": ("v", "t", "d", "i", "s", "p", "a"),
    "dip": ("v", "t", "d", "i", "s", "kt", "k", "nt", "n", "bt", "b", "c", "a", "di"),
    "drt": ("v", "t", "d", "i", "s", "p", "kt", "k", "nt", "n", "bt", "br", "ba", "a"),
}
RECEIPT_FIELDS = ("v", "t", "d", "i", "s")
INCEPTIONS = ("icp", "dip")
ROTATIONS = ("rot", "drt")

# KERI spec, configuration traits. EO: establishment events only; DND: no delegates; NB, NRB: no registrar
# backers. RB, backers on a ledger, cannot be checked offline: an event that asks for them is refused.
TRAITS = ("EO", "DND", "NB", "NRB")

# {"v":"KERI10JSON0000cb_","t":"ixn","d":"E...","i":"E...",
VERSION_AT = len('{"v":"')
ILK_AT = VERSION_AT + cesr.VERSION_SIZE + len('","t":"')
SAID_AT = ILK_AT + len('ixn","d":"')
AID_AT = SAID_AT + cesr.DIGEST_SIZE + len('","i":"')
DUMMY = "#" * cesr.DIGEST_SIZE  # in the place of a digest that is yet to be computed


class EventInvalid(ValueError):
    """The event cannot be what it claims to be; the message says why, in terms of its fields.

    `sn` is the sequence number it states, once its digest has shown that it states it.
    """

    def __init__(self, reason: str, sn: int | None = None) -> None:
        super().__init__(reason)
        self.sn = sn


class Establishment(NamedTuple):
    """What an establishment event says of keys; `added` are all witnesses of an inception."""

    keys: tuple[Key, ...]
    kt: Threshold
    next: tuple[str, ...]
    nt: Threshold
    bt: int
    cut: tuple[Key, ...]
    added: tuple[Key, ...]


class Body(NamedTuple):
    """A parsed event: an inception has no `prior`, an `ixn` no `establishment`; a `dip` has a `delegator`."""

    ilk: str
    said: str
    aid: str
    sn: int
    prior: str | None
    establishment: Establishment | None
    traits: tuple[str, ...]
    anchors: tuple[object, ...]
    delegator: str | None


class Receipted(NamedTuple):
    """What a receipt names: event `sn` of `aid`, by its digest."""

    aid: str
    sn: int
    said: str


def parse_body(raw: bytes) -> Body:
    """The values of one event; EventInvalid says what is wrong with it."""
    fields = _read_json(raw)
    ilk = fields.get("t")
    if type(ilk) is not str or ilk not in FIELDS:
        raise EventInvalid("`t` is no type of key event")
    if tuple(fields) != FIELDS[ilk]:
        raise EventInvalid(f"the fields are not those of `{ilk}`, all of them and in order")
    said = _digest_of(raw, fields, ilk)
    sn = threshold.hex_number(fields["s"])
    if sn is None:
        raise EventInvalid("`s` is not a lowercase hex number without leading zeros")
    try:
        return Body(
            ilk, said, _aid(fields, ilk), sn,
            _prior(fields) if ilk not in INCEPTIONS else None,
            _establishment(fields, ilk) if ilk != "ixn" else None,
            _traits(fields) if ilk in INCEPTIONS else (),
            _anchors(fields), _delegator(fields) if ilk == "dip" else None,
        )  # fmt: skip
    except EventInvalid as error:
        raise EventInvalid(str(error), sn) from None


def parse_receipt(raw: bytes) -> Receipted:
    """What the receipt `rct` names (KERI spec, receipt message: its `d` is the event's, it has none of its own)."""
    fields = _read_json(raw)
    if tuple(fields) != RECEIPT_FIELDS or fields["t"] != "rct":
        raise EventInvalid("the fields are not those of `rct`, all of them and in order")
    sn, said, aid = threshold.hex_number(fields["s"]), fields["d"], fields["i"]
    if sn is None:
        raise EventInvalid("`s` is not a lowercase hex number without leading zeros")
    if type(said) is not str or type(aid) is not str:
        raise EventInvalid("`d` or `i` is no string", sn)
    if type(fields["v"]) is not str or len(fields["v"]) != cesr.VERSION_SIZE:
        raise EventInvalid("`v` is longer than a version string", sn)
    return Receipted(aid, sn, said)


def read_size(stream: bytes, position: int) -> int:
    """The size in bytes of the event that begins at `position`, by its version string."""
    if not stream.startswith(b'{"v":"', position):
        raise EventInvalid("bytes that are no event")
    try:
        return cesr.parse_version(stream[position + VERSION_AT : position + VERSION_AT + cesr.VERSION_SIZE])
    except cesr.CesrInvalid as error:
        raise EventInvalid(f"`v`: {error}") from None


def actual_size(stream: bytes, position: int) -> int | None:
    """The size of the JSON at `position`, whatever its version string says; None when it is no JSON."""
    text = stream[position:].decode("utf-8", "surrogateescape")
    try:
        end = json.JSONDecoder().raw_decode(text)[1]
    except (ValueError, RecursionError):
        return None
    return len(text[:end].encode("utf-8", "surrogateescape"))


def with_digest(raw: bytes) -> bytes:
    """The event with its digest in `d`, and in `i` where that is a dummy too.

    The digest is taken over the bytes with the dummies in place (CESR spec, SAID).
    """
    self_addressing = raw.startswith(DUMMY.encode(), AID_AT)
    said = _said(raw, self_addressing).encode()
    raw = raw[:SAID_AT] + said + raw[SAID_AT + cesr.DIGEST_SIZE :]
    return raw[:AID_AT] + said + raw[AID_AT + cesr.DIGEST_SIZE :] if self_addressing else raw


def to_json(fields: Mapping[str, object]) -> bytes:
    """The one serialisation: no spaces, UTF-8 as it is, fields in the order given."""
    return _ENCODER.encode(fields).encode()


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _read_json(raw: bytes) -> dict[str, object]:
    try:
        fields = _DECODER.decode(raw.decode())
        canonical = to_json(fields) == raw
    except (ValueError, RecursionError):
        raise EventInvalid("not JSON") from None
    if type(fields) is not dict:
        raise EventInvalid("not a JSON object")
    if not canonical:
        raise EventInvalid("not canonical: a repeated name, a space, an escape or a number in another form")
    return fields


def _said(raw: bytes, self_addressing: bool) -> str:
    dummy = DUMMY.encode()
    raw = raw[:SAID_AT] + dummy + raw[SAID_AT + cesr.DIGEST_SIZE :]
    if self_addressing:
        raw = raw[:AID_AT] + dummy + raw[AID_AT + cesr.DIGEST_SIZE :]
    return cesr.digest(raw)


def _digest_of(raw: bytes, fields: Mapping[str, object], ilk: str) -> str:
    version, aid = fields["v"], fields["i"]
    if type(version) is not str or len(version) != cesr.VERSION_SIZE:
        raise EventInvalid("`v` is longer than a version string")
    if type(aid) is not str:
        raise EventInvalid("`i` is no string")
    self_addressing = ilk in INCEPTIONS and aid[:1] == cesr.BLAKE3_256
    said = _said(raw, self_addressing)
    if fields["d"] != said:
        raise EventInvalid("`d` is not the digest of the event")
    if self_addressing and aid != said:
        raise EventInvalid("`i` is not the digest of the inception")
    return said


def _aid(fields: Mapping[str, object], ilk: str) -> str:
    """A digest of the inception; outside delegation also the one key itself (KERI spec, AID)."""
    aid = fields["i"]
    if cesr.is_digest(aid):
        return str(aid)
    if ilk in ("dip", "drt"):
        raise EventInvalid("`i` of a delegated identifier is no Blake3-256 digest")
    if ilk == "icp" and fields["k"] != [aid]:
        raise EventInvalid("`i` is neither the digest of the inception nor its only key")
    try:
        key = verkey.parse(aid, verkey.TRANSFERABLE + verkey.NON_TRANSFERABLE)
    except verkey.KeyUnusable as error:
        raise EventInvalid(f"`i`: {error}") from None
    if key.code in verkey.NON_TRANSFERABLE and any(fields.get(name) for name in ("n", "b", "a")):
        raise EventInvalid("a non-transferable identifier with next keys, witnesses or seals")
    return key.qb64


def _prior(fields: Mapping[str, object]) -> str:
    """Any string: it is for the log to say whether it is the digest of the event before."""
    prior = fields["p"]
    if type(prior) is not str:
        raise EventInvalid("`p` is no string")
    return prior


def _establishment(fields: Mapping[str, object], ilk: str) -> Establishment:
    commitments = _list(fields, "n", MAX_KEYS)
    # KERI spec, non-transferable identifiers: nothing follows such a key.
    keys = _keys(fields, "k", verkey.TRANSFERABLE if commitments else verkey.TRANSFERABLE + verkey.NON_TRANSFERABLE)
    if not keys:
        raise EventInvalid("`k` is empty")
    if not all(cesr.is_digest(commitment) for commitment in commitments):
        raise EventInvalid("`n` has an entry that is no Blake3-256 digest")
    added = _keys(fields, "b" if ilk in INCEPTIONS else "ba", verkey.NON_TRANSFERABLE)
    cut = _keys(fields, "br", verkey.NON_TRANSFERABLE) if ilk in ROTATIONS else ()
    if len({*added, *cut}) != len(added) + len(cut):
        raise EventInvalid("a witness is listed twice")
    bt = fields["bt"] if type(fields["bt"]) is int else threshold.hex_number(fields["bt"])
    if bt is None:
        raise EventInvalid("`bt` is not a lowercase hex number without leading zeros")
    return Establishment(
        keys, _threshold(fields, "kt", len(keys)),
        tuple(map(str, commitments)), _threshold(fields, "nt", len(commitments)), bt, cut, added,
    )  # fmt: skip


def _keys(fields: Mapping[str, object], name: str, codes: tuple[str, ...]) -> tuple[Key, ...]:
    try:
        return tuple([verkey.parse(text, codes) for text in _list(fields, name, MAX_KEYS)])
    except verkey.KeyUnusable as error:
        raise EventInvalid(f"`{name}`: {error}") from None


def _threshold(fields: Mapping[str, object], name: str, size: int) -> Threshold:
    try:
        return threshold.parse(fields[name], size)
    except threshold.ThresholdInvalid as error:
        raise EventInvalid(f"`{name}`: {error}") from None


def _traits(fields: Mapping[str, object]) -> tuple[str, ...]:
    traits = _list(fields, "c", len(TRAITS))
    if any(trait not in TRAITS for trait in traits):
        raise EventInvalid("`c` has a configuration trait that is not known here")
    return tuple(map(str, traits))


def _anchors(fields: Mapping[str, object]) -> tuple[object, ...]:
    """Seals of any shape: what they mean is for others to say."""
    anchors = _list(fields, "a", MAX_SEALS)
    if not all(_is_shallow(anchor) for anchor in anchors):
        raise EventInvalid(f"`a` has an entry nested deeper than {MAX_DEPTH}")
    return tuple(anchors)


def _is_shallow(value: object) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        deeper: list[object] = []
        for part in level:
            if type(part) is dict:
                deeper += part.values()
            elif type(part) is list:
                deeper += part
        level = deeper
    return not any(type(part) in (dict, list) for part in level)


def _delegator(fields: Mapping[str, object]) -> str:
    delegator = fields["di"]
    if cesr.is_digest(delegator):
        return str(delegator)
    try:
        return verkey.parse(delegator).qb64
    except verkey.KeyUnusable as error:
        raise EventInvalid(f"`di`: {error}") from None


def _list(fields: Mapping[str, object], name: str, limit: int) -> list[object]:
    value = fields[name]
    if type(value) is not list:
        raise EventInvalid(f"`{name}` is no list")
    if len(value) > limit:
        raise EventInvalid(f"`{name}` has more than {limit} entries")
    return value
