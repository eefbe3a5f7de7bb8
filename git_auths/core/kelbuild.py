"""Making key events: the bytes to sign, and the message once there are signatures. Pure: no key is held here.

What these functions return is what keripy would write; whether the log takes it is for `kel.replay` to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from git_auths.core import cesr, keyevent
from git_auths.core.cesr import IndexedSignature
from git_auths.core.kel import Kel
from git_auths.core.kelstream import SealSource
from git_auths.core.verkey import Key

Sith = str | Sequence[str] | Sequence[Sequence[str]]  # a threshold as in the event: hex, or weights


def inception(keys: Sequence[Key], commitments: Sequence[str], *, kt: Sith = "1", nt: Sith = "1",
              bt: int = 0, witnesses: Sequence[Key] = (), traits: Sequence[str] = (),
              anchors: Sequence[object] = (), delegator: str | None = None) -> bytes:  # fmt: skip
    """An `icp`, or a `dip` when it names a delegator (an AID). `commitments` are those of the next keys."""
    fields: dict[str, object] = {
        "v": cesr.format_version(0), "t": "icp" if delegator is None else "dip",
        "d": keyevent.DUMMY, "i": keyevent.DUMMY, "s": "0", **_keys(keys, kt, commitments, nt),
        "bt": f"{bt:x}", "b": [witness.qb64 for witness in witnesses], "c": list(traits), "a": list(anchors),
    }  # fmt: skip
    if delegator is not None:
        fields["di"] = delegator
    return _finish(fields)


def rotation(kel: Kel, keys: Sequence[Key], commitments: Sequence[str], *, kt: Sith = "1", nt: Sith = "1",
             bt: int | None = None, cut: Sequence[Key] = (), added: Sequence[Key] = (),
             anchors: Sequence[object] = ()) -> bytes:  # fmt: skip
    """The `rot` that would follow `kel`; a `drt` when that is a delegate's. `bt` stays unless given."""
    ilk = "rot" if kel.delegator is None else "drt"
    bt = kel.state.bt if bt is None else bt
    return _finish({
        **_head(kel, ilk), **_keys(keys, kt, commitments, nt), "bt": f"{bt:x}",
        "br": [witness.qb64 for witness in cut], "ba": [witness.qb64 for witness in added],
        "a": list(anchors),
    })  # fmt: skip


def interaction(kel: Kel, anchors: Sequence[object]) -> bytes:
    """The `ixn` that would follow `kel`, with these seals."""
    return _finish({**_head(kel, "ixn"), "a": list(anchors)})


def said(event: bytes) -> str:
    """The digest that an event made here bears; of an inception it is the AID as well."""
    return event[keyevent.SAID_AT : keyevent.SAID_AT + cesr.DIGEST_SIZE].decode()


def event_seal(event: bytes) -> dict[str, str]:
    """The {i, s, d} by which a delegator anchors an event (KERI spec, key event seal)."""
    body = keyevent.parse_body(event)
    return {"i": body.aid, "s": f"{body.sn:x}", "d": body.said}


def indexed_signature(key: Key, raw: bytes, key_index: int, prior_index: int | None) -> IndexedSignature:
    """A signature with the shortest code that fits. `prior_index` is the place of the key's commitment in the
    establishment event before, None where it has none; in `icp` and `ixn`, as keripy has it, `key_index`."""
    both, current_only = ("A", "B") if key.code in ("D", "B") else ("E", "F")
    is_big = key_index > 63 or prior_index not in (None, key_index)
    code = ("2" if is_big else "") + (current_only if prior_index is None else both)
    return IndexedSignature(code, key_index, prior_index, raw)


def with_signatures(event: bytes, signatures: Sequence[IndexedSignature], *,
                    receipts: Sequence[IndexedSignature] = (),
                    source: SealSource | None = None) -> bytes:  # fmt: skip
    """The message for the log: the event and its attachments, grouped as keripy's `messagize` does."""
    groups = _group(cesr.CONTROLLER_SIGNATURES, map(cesr.encode_indexed, signatures))
    if receipts:
        groups += _group(cesr.WITNESS_SIGNATURES, map(cesr.encode_indexed, receipts))
    if source is not None:
        number = cesr.encode(cesr.NUMBER_128, source.sn.to_bytes(16, "big"))
        groups += _group(cesr.SEAL_SOURCE_COUPLES, [number + source.said])
    return event + groups.encode()


def _group(code: str, texts: Iterable[str]) -> str:
    entries = list(texts)
    return cesr.encode_count(code, len(entries)) + "".join(entries)


def _head(kel: Kel, ilk: str) -> dict[str, object]:
    return {
        "v": cesr.format_version(0), "t": ilk, "d": keyevent.DUMMY, "i": kel.aid,
        "s": f"{kel.sn + 1:x}", "p": kel.said,
    }  # fmt: skip


def _keys(keys: Sequence[Key], kt: Sith, commitments: Sequence[str], nt: Sith) -> dict[str, object]:
    # With no next key there is no threshold either: keripy writes "0".
    nt = nt if commitments else "0"
    return {"kt": kt, "k": [key.qb64 for key in keys], "nt": nt, "n": list(commitments)}


def _finish(fields: dict[str, object]) -> bytes:
    fields["v"] = cesr.format_version(len(keyevent.to_json(fields)))
    return keyevent.with_digest(keyevent.to_json(fields))
