"""What a key event does, in words, for whoever is asked to sign it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from types import MappingProxyType

from git_auths.core import cesr, enclosed, seals
from git_auths.core.grants import Grant
from git_auths.core.keyevent import INCEPTIONS
from git_auths.core.policywords import utc
from git_auths.core.proposal import Proposal
from git_auths.core.sshsig import fingerprint
from git_auths.core.threshold import Threshold
from git_auths.core.verkey import Key

MAX_SEAL_CHARACTERS = 300


def words(proposal: Proposal) -> list[str]:
    """A line for each thing that the event says."""
    body = proposal.body
    if body.ilk in INCEPTIONS:
        lines = [f"a new identifier: did:keri:{body.aid}", *_delegation(body.delegator), *_keys(proposal)]
    elif body.establishment is not None:
        lines = [f"event {body.sn} of did:keri:{body.aid}: other keys from now on", *_keys(proposal)]
    else:
        lines = [f"event {body.sn} of did:keri:{body.aid}: its keys stay as they are"]
    if body.traits:
        lines.append("with the traits " + ", ".join(body.traits))
    grants = enclosed.grants_in(proposal.lines, f"did:keri:{body.aid}")
    sealed = [seal_words(anchor, grants) for anchor in body.anchors]
    return lines + (sealed or (["it seals nothing"] if body.establishment is None else []))


def seal_words(anchor: object, grants: Mapping[str, Grant] = MappingProxyType({})) -> str:
    """What a seal does, with the `grants` that are known, by digest; one of another project is shown as it is."""
    match seals.parse(anchor):
        case seals.Grant(sha256) if sha256 in grants:
            return grant_words(grants[sha256])
        case seals.Grant(sha256):
            return f"gives the rights that the grant {sha256} says"
        case seals.Revocation(aid):
            return f"revokes did:keri:{aid}: every grant and delegation to it so far ends"
        case seals.Compromise(sn, said, at_seconds):
            at = datetime.fromtimestamp(at_seconds, timezone.utc)
            return f"declares its keys compromised from event {sn} ({said}) on, since {at:{seals.TIME_FORMAT}}"
    if isinstance(anchor, dict) and tuple(anchor) == ("i", "s", "d") and cesr.is_digest(anchor["i"]):
        did = f"did:keri:{anchor['i']}"
        if anchor["s"] == "0":
            return f"makes {did} its delegate: a device or an agent" if anchor["d"] == anchor["i"] else f"seals {did}"
        return f"lets its delegate {did} go on with event {anchor['s']} ({anchor['d']})"
    text = json.dumps(anchor)
    return f"seals {text if len(text) <= MAX_SEAL_CHARACTERS else text[:MAX_SEAL_CHARACTERS] + '...'}"


def grant_words(grant: Grant) -> str:
    """What a grant gives, to whom, and until when. What the issuer calls the subject may be anything."""
    labels = [f"{label} {json.dumps(text)}" for label, text in
              (("called", grant.name), ("model", grant.model), ("provider", grant.provider)) if text]  # fmt: skip
    called = f", {', '.join(labels)}" if labels else ""
    return (f"lets {grant.subject} {', '.join(grant.capabilities)}, as {grant.kind}, until {utc(grant.expires_at)}, "
            f"under the trust root {grant.root}{called}")  # fmt: skip


def key_words(key: Key) -> str:
    """How people compare a key: as SSH does."""
    return fingerprint(key.ssh_blob())


def _delegation(delegator: str | None) -> list[str]:
    return [] if delegator is None else [f"a delegate of did:keri:{delegator}"]


def _keys(proposal: Proposal) -> list[str]:
    state, before = proposal.state, proposal.before
    known = before.keys if before else ()
    lines = [
        f"key {place}: {key_words(key)}{' (as before)' if key in known else ''}" for place, key in enumerate(state.keys)
    ]
    was = f" (before: {_rule(before.kt, len(before.keys), 'keys')})" if before and before.kt != state.kt else ""
    lines.append(f"who signs: {_rule(state.kt, len(state.keys), 'keys')}{was}")
    if not state.next:
        lines.append("no next key: nothing can follow this event")
        return lines
    kept = sum(commitment in before.next for commitment in state.next) if before else 0
    still = f", {kept} of them committed to before" if kept else ""
    lines += [f"next key {place}: {commitment}" for place, commitment in enumerate(state.next)]
    lines.append(f"who rotates: {_rule(state.nt, len(state.next), 'next keys')}{still}")
    if state.witnesses:
        lines.append(f"{state.bt} of {len(state.witnesses)} witnesses must give receipts")
    return lines


def _rule(threshold: Threshold, size: int, what: str) -> str:
    if threshold.clauses:
        return f"the {what} whose weights {json.dumps(threshold.json())} reach 1"
    return f"{threshold.needed} of {size} {what}"
