"""Which lines of a note are approvals that count: bound to this object, signed by a key of the AID that they name.

A note is data from strangers. A line that does not count is passed over with a reason; none makes the answer worse
than no line at all would. The parsers are imported where a line is read: most histories need none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from git_auths.core.auths_folder import AuthsFolder, declared_compromised, extends, held_keys_since
from git_auths.core.kel import Kel
from git_auths.core.signer import Signer
from git_auths.core.sshsig import fingerprint

if TYPE_CHECKING:
    from git_auths.core import dsse, statement
    from git_auths.core.noteline import Line

MAX_REASONS = 4

KeysOf = Callable[[str], Iterable[bytes]]  # DID -> the SSH key blobs by which it may approve this object
EarlierKey = Callable[[str, "Line"], bytes | None]  # (DID, line) -> its key, lost since, that provably signed before


class Object(NamedTuple):
    """What an approval must be for. `tag_name` and `target` are those of a tag object, else None."""

    root: str
    kind: statement.Kind
    id: str
    tag_name: str | None = None
    target: str | None = None


class Counted(NamedTuple):
    """The approvals that count; for each line that does not, why; and whether there is more than was read."""

    signers: tuple[Signer, ...] = ()
    ignored: tuple[str, ...] = ()
    incomplete: bool = False
    lines: tuple[bytes, ...] = ()  # those that count

    def passed_over(self) -> str:
        """What did not count, in words for the end of a sentence."""
        if self.incomplete:
            return "; its notes cannot be read whole"
        if not self.ignored:
            return ""
        reasons = Counter(self.ignored).most_common(MAX_REASONS)
        more = len(self.ignored) - sum(number for _, number in reasons)
        listed = [f"{number} because {reason}" for reason, number in reasons] + (
            [f"{more} for other reasons"] if more else []
        )
        return f"; of its notes {len(self.ignored)} lines do not count: {', '.join(listed)}"


def count(
    lines: Iterable[bytes], wanted: Object, keys_of: KeysOf, principal_of: Callable[[str], str],
    earlier_key_of: EarlierKey = lambda did, line: None,
) -> Counted:  # fmt: skip
    """The approvals of `wanted` among `lines`, each signer once.

    A line costs one verification, by the key that it names, and one more where it brings a timestamp, so the size of
    the note bounds the time.
    """
    from git_auths.core import dsse, noteline, statement

    signers: dict[str, Signer] = {}
    counting: list[bytes] = []
    ignored: list[str] = []
    keys: dict[str, dict[str, bytes]] = {}
    for line in lines:
        try:
            found = noteline.parse(line)
            if statement.APPROVAL_TYPE.encode() not in found.envelope.payload:
                continue  # an attestation of another kind, which nobody expects to count here
            approval = statement.parse_approval(found.envelope.payload)
        except (dsse.EnvelopeInvalid, statement.StatementInvalid) as error:
            ignored.append(f"{error}")
            continue
        signer = approval.signer
        reason = statement.match_approval(approval, wanted.root, wanted.kind, wanted.id, wanted.tag_name, wanted.target)
        if reason is None and signer in signers:
            reason = "its signer has approved already"
        if reason is None:
            if signer not in keys:
                keys[signer] = {fingerprint(key): key for key in keys_of(signer)}
            key = signing_key(found.envelope, keys[signer])
            if key is None and (found.timestamps or found.entries):
                key = earlier_key_of(signer, found)
            if key is not None:
                signers[signer] = Signer(signer, principal_of(signer), key)
                counting.append(line)
                continue
            reason = "it is not signed by a key of its signer that may approve this"
        ignored.append(reason)
    return Counted(tuple(signers.values()), tuple(ignored), lines=tuple(counting))


def signing_key(envelope: dsse.Envelope, keys: Mapping[str, bytes]) -> bytes | None:
    """The key among `keys` (by fingerprint) that the envelope names and that signed it."""
    from git_auths.core import dsse

    for signature in envelope.signatures:
        key = keys.get(signature.keyid)
        if key is not None and dsse.verify(envelope, key):
            return key
    return None


def approving_keys(
    then: Kel | None, mainline: Kel | None, compromised_before: int, received: Kel | None = None
) -> list[bytes]:
    """The keys by which an AID may approve an object (section 7, rule 8): those it held from its log in the commit's
    tree (None for a tag: ever) to the one at the mainline's tip, from event number `compromised_before` on.

    Logs that fork give no key but those that `received`, the log in the mainline's commit that received the object,
    has since: what was received before an admin chose the other side stays.
    """
    longer = then if mainline is None or (then is not None and extends(then, mainline)) else mainline
    if longer is None:
        return []
    if then is not None and not extends(longer, then):
        if received is None or not extends(received, then):
            return []
        return held_keys_since(received, then.state.sn)
    return held_keys_since(longer, max(compromised_before, 0 if then is None else then.state.sn))


def compromised_before(mainline: Kel | None, received_by: AuthsFolder | None, aid: str) -> int:
    """The event whose earlier keys approve nothing: approvals of what the mainline received before that was declared
    stay. `received_by` is `.auths` in the mainline's commit that received it; None: none did."""
    lost = 0 if mainline is None else declared_compromised(mainline)
    if not lost or received_by is None:
        return lost
    known = received_by.kels.get(aid)
    return 0 if known is None else min(lost, declared_compromised(known))
