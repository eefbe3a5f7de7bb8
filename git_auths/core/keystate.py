"""Who may sign for an identifier at one point of its log, and whether an event's signatures are enough.

Each rule raises Refused with its reason. A signature that does not verify counts for nothing (KERI spec,
indexed signatures: the verified ones must meet the threshold); one by a key not listed refuses the event.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from git_auths.core.cesr import IndexedSignature
from git_auths.core.keyevent import Establishment
from git_auths.core.threshold import Threshold
from git_auths.core.verkey import Key


class Refused(ValueError):
    """Why the event at hand is refused."""


class KeyState(NamedTuple):
    """What holds from the establishment event number `sn` on; the names are KERI's."""

    sn: int
    said: str
    keys: tuple[Key, ...]
    kt: Threshold
    next: tuple[str, ...]
    nt: Threshold
    bt: int
    witnesses: tuple[Key, ...]

    def signing_keys(self) -> tuple[Key, ...]:
        """Those that alone meet `kt`: only they can sign for git."""
        places: dict[Key, list[int]] = {}
        for place, key in enumerate(self.keys):
            places.setdefault(key, []).append(place)
        return tuple(key for key, own in places.items() if self.kt.met(own, self.keys))


def establish(sn: int, said: str, stated: Establishment, witnesses: Sequence[Key]) -> KeyState:
    """The key state that an establishment event leaves, where `witnesses` were those before it."""
    if not set(stated.cut) <= set(witnesses):
        raise Refused("`br` names someone who is no witness")
    if stated.cut != tuple(witness for witness in witnesses if witness in stated.cut):
        raise Refused("`br` has another order than the list of witnesses")
    if set(stated.added) & set(witnesses):
        raise Refused("`ba` names someone who is a witness already")
    cut = set(stated.cut)
    now = (*(witness for witness in witnesses if witness not in cut), *stated.added)
    if not (1 if now else 0) <= stated.bt <= len(now):
        raise Refused("`bt` does not fit the number of witnesses")
    return KeyState(sn, said, stated.keys, stated.kt, stated.next, stated.nt, stated.bt, now)


def verified(raw: bytes, signatures: Sequence[IndexedSignature],
             keys: Sequence[Key]) -> list[IndexedSignature]:  # fmt: skip
    """Those of the signatures on the event's bytes that verify, by the keys that their indices name."""
    for signature in signatures:
        if signature.key_index >= len(keys):
            raise Refused(f"a signature by number {signature.key_index} of {len(keys)}")
        if not keys[signature.key_index].takes(signature):
            raise Refused(f"a signature of code {signature.code} by a key of another algorithm")
    return [one for one in dict.fromkeys(signatures) if keys[one.key_index].verifies(one.raw, raw)]


def receipted(raw: bytes, receipts: Sequence[IndexedSignature], witnesses: Sequence[Key]) -> set[int]:
    """The places of the witnesses whose receipts verify.

    keripy writes those of P-256 witnesses with the code of Ed25519 when it got them as couples (`-C`): the key decides.
    """
    for receipt in receipts:
        if receipt.key_index >= len(witnesses):
            raise Refused(f"a receipt by number {receipt.key_index} of {len(witnesses)}")
    return {one.key_index for one in receipts if witnesses[one.key_index].verifies(one.raw, raw)}


def require_signing_threshold(signed: Sequence[IndexedSignature], state: KeyState) -> None:
    if not signed:
        raise Refused("no signature verifies")
    if not state.kt.met({signature.key_index for signature in signed}, state.keys):
        raise Refused("the signatures do not meet `kt`")


def require_committed_keys(signed: Sequence[IndexedSignature], state: KeyState, before: KeyState) -> None:
    """Keys that signed, each the one behind the commitment that its signature names, meet the `nt` before it
    (KERI spec, general pre-rotation: partial, reserve and augmented rotations included)."""
    revealed = {
        place for signature in signed
        if (place := signature.prior_index) is not None and place < len(before.next)
        and state.keys[signature.key_index].commitment == before.next[place]
    }  # fmt: skip
    if not before.nt.met(revealed, before.next):
        raise Refused(f"the signing keys that event {before.sn} committed to do not meet its `nt`")


def require_receipts(signed: Collection[int], state: KeyState) -> None:
    """`signed` are the places, each once, of the witnesses that have signed."""
    if len(signed) < state.bt:
        raise Refused("the receipts of witnesses do not meet `bt`")
