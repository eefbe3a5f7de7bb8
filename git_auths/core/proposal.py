"""An event for which signatures are being collected: whose keys have signed it, and what is still missing.

A proposal is what the log will hold, with too few signatures: the event and its `-A` group, or the event alone; and
after that what lets people read it (core/enclosed). The key that signs and its place among the commitments follow from
the event and the log before it (KERI spec, indexed signatures), so whoever passes a proposal on can add and drop
signatures, and change nothing else of the event.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from git_auths.core import enclosed, kelbuild, kelstream, keystate
from git_auths.core import kel as kels
from git_auths.core.cesr import IndexedSignature
from git_auths.core.enclosed import EnclosedInvalid
from git_auths.core.kel import Kel, KelInvalid
from git_auths.core.kelstream import SealSource
from git_auths.core.keyevent import Body, EventInvalid
from git_auths.core.keystate import KeyState, Refused
from git_auths.core.threshold import Threshold
from git_auths.core.verkey import Key

MAX_PROPOSAL_BYTES = 1024 * 1024


class ProposalInvalid(ValueError):
    """The bytes are no event that could follow the log, or a signature on it is wrong; the message says why."""


class Proposal(NamedTuple):
    """The event `body`, in its bytes `raw`, that leaves the key state `state` after `before` (None: it is the first).

    `signatures` are good ones, one a key, in the order of the keys; so are the `receipts` of witnesses.
    `lines` are what is enclosed.
    """

    raw: bytes
    body: Body
    before: KeyState | None
    state: KeyState
    signatures: tuple[IndexedSignature, ...]
    receipts: tuple[IndexedSignature, ...]
    source: SealSource | None
    lines: tuple[bytes, ...] = ()

    @property
    def signed(self) -> tuple[int, ...]:
        """The places, in the list of keys, of those that have signed."""
        return tuple(signature.key_index for signature in self.signatures)

    @property
    def unsigned(self) -> tuple[int, ...]:
        """The places of the other keys."""
        return tuple(place for place in range(len(self.state.keys)) if place not in self.signed)


def parse(stream: bytes, kel: Kel | None) -> Proposal:
    """The proposal to continue `kel`, or to begin a log. Raises ProposalInvalid."""
    if len(stream) > MAX_PROPOSAL_BYTES:
        raise ProposalInvalid(f"it is larger than {MAX_PROPOSAL_BYTES} bytes")
    event, lines = enclosed.split(stream)
    try:
        message = kelstream.proposed(event)
        state = kels.following(kel, message.body)
        enclosed.require_about(lines, message.body, kel)
    except (EventInvalid, KelInvalid, EnclosedInvalid) as error:
        raise ProposalInvalid(str(error)) from None
    before = kel.state if kel else None
    receipts = _good(message.raw, message.attachments.witness_signatures, state.witnesses)
    bare = Proposal(message.raw, message.body, before, state, (), receipts, message.attachments.source, lines)
    return _signed_by(bare, _good(message.raw, message.attachments.signatures, state.keys))


def body_of(stream: bytes) -> Body:
    """What the event in a proposal says, of whatever log it is. Raises EventInvalid."""
    return kelstream.proposed(enclosed.split(stream)[0]).body


def places_of(proposal: Proposal, key: Key) -> tuple[int, ...]:
    """Where the key stands in the list of those that may sign."""
    return tuple(place for place, listed in enumerate(proposal.state.keys) if listed == key)


def with_signature(proposal: Proposal, place: int, signature: bytes) -> Proposal:
    """The proposal signed by the key at `place` as well; 64 bytes. Raises ProposalInvalid where it does not verify."""
    if not proposal.state.keys[place].verifies(signature, proposal.raw):
        raise ProposalInvalid(f"the signature of key {place} does not verify")
    others = [one for one in proposal.signatures if one.key_index != place]
    return _signed_by(proposal, [*others, IndexedSignature("A", place, None, signature)])


def united(one: Proposal, other: Proposal) -> Proposal:
    """The proposal with the signatures and receipts of both, and all that is enclosed. Raises ProposalInvalid when they
    are of two events."""
    if one.raw != other.raw:
        raise ProposalInvalid(f"it is another event: {other.body.said}, not {one.body.said}")
    receipts = {receipt.key_index: receipt for receipt in (*other.receipts, *one.receipts)}
    in_order = tuple(receipts[place] for place in sorted(receipts))
    lines = tuple(dict.fromkeys((*one.lines, *other.lines)))
    both = one._replace(receipts=in_order, source=one.source or other.source, lines=lines)
    return _signed_by(both, [*other.signatures, *one.signatures])


def missing(proposal: Proposal) -> tuple[str, ...]:
    """What it lacks before a log takes it, in words; nothing when it is complete. A delegator's seal is not counted."""
    found = []
    if not proposal.state.kt.met(proposal.signed, proposal.state.keys):
        found.append(_more(proposal.state.kt, len(proposal.signed), "keys"))
    if proposal.before is not None and proposal.body.establishment is not None:
        try:
            keystate.require_committed_keys(proposal.signatures, proposal.state, proposal.before)
        except Refused:
            revealed = sum(signature.prior_index is not None for signature in proposal.signatures)
            committed = f"keys that event {proposal.before.sn} committed to"
            found.append(_more(proposal.before.nt, revealed, committed))
    if len(proposal.receipts) < proposal.state.bt:
        number = proposal.state.bt - len(proposal.receipts)
        found.append(f"{number} more receipt{'' if number == 1 else 's'} by its witnesses")
    return tuple(found)


def unread(proposal: Proposal, kel: Kel | None) -> tuple[str, ...]:
    """What the event, which continues `kel`, does that the file does not show, in words."""
    return enclosed.unread(proposal.lines, proposal.raw, proposal.body, kel)


def serialise(proposal: Proposal) -> bytes:
    """The file."""
    return enclosed.joined(message(proposal), proposal.lines)


def message(proposal: Proposal) -> bytes:
    """The event with its signatures: what the log takes as soon as nothing is missing."""
    if not proposal.signatures and not proposal.receipts:
        return proposal.raw
    return kelbuild.with_signatures(proposal.raw, proposal.signatures, receipts=proposal.receipts,
                                    source=proposal.source)  # fmt: skip


def _good(raw: bytes, signatures: Sequence[IndexedSignature], keys: Sequence[Key]) -> tuple[IndexedSignature, ...]:
    """The signatures by place. A bad one is no accident here: nobody could tell whose it was meant to be."""
    try:
        good = keystate.verified(raw, signatures, keys)
    except Refused as error:
        raise ProposalInvalid(str(error)) from None
    for signature in signatures:
        if signature not in good:
            raise ProposalInvalid(f"the signature of key {signature.key_index} does not verify")
    by_place = {signature.key_index: signature for signature in good}
    return tuple(by_place[place] for place in sorted(by_place))


def _signed_by(proposal: Proposal, signatures: Sequence[IndexedSignature]) -> Proposal:
    """With these signatures, one a key and in order, whatever codes they had."""
    raw = {signature.key_index: signature.raw for signature in signatures}
    made = (
        kelbuild.indexed_signature(proposal.state.keys[place], raw[place], place, _prior_place(proposal, place))
        for place in sorted(raw)
    )
    return proposal._replace(signatures=tuple(made))


def _prior_place(proposal: Proposal, place: int) -> int | None:
    """The place of the key's commitment in the event before; of an `icp` or `ixn` the place of the key itself."""
    if proposal.before is None or proposal.body.establishment is None:
        return place
    commitment = proposal.state.keys[place].commitment
    listed = proposal.before.next
    if listed[place : place + 1] == (commitment,):
        return place
    return listed.index(commitment) if commitment in listed else None


def _more(threshold: Threshold, have: int, whose: str) -> str:
    if threshold.clauses:
        return f"signatures by more of the {whose}: their weights must reach {threshold.json()}"
    number = threshold.needed - have
    return f"{number} more signature{'' if number == 1 else 's'} by the {whose}"
