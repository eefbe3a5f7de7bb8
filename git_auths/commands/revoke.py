"""Take back what somebody was granted: a device, an agent, a member, a hardware key.

The revocation is sealed in the issuer's key event log, and ends every earlier grant and delegation by this issuer to
that identifier, in every repository that gets the log. It cannot be taken back; a new grant can follow.
"""

from __future__ import annotations

import argparse
import os
import shlex
import time
from collections.abc import Iterator
from typing import NamedTuple

from git_auths import output
from git_auths.commands.grant import called, proposed
from git_auths.core import grants, seals
from git_auths.core.authority import HARDWARE_PREFIX, ledger
from git_auths.core.auths_folder import held_keys
from git_auths.core.kel import Kel
from git_auths.core.policy import is_did
from git_auths.core.policywords import utc
from git_auths.core.sshsig import fingerprint
from git_auths.errors import Error, Refusal
from git_auths.store import granting, keystore, recording, settings
from git_auths.store.granting import DID_PREFIX, Granted, Place
from git_auths.store.repository import Repository
from git_auths.store.sshagent import AgentUseless

FINGERPRINT = "SHA256:"
MIN_DIGEST_CHARS = 8
RECEIVE_HINT = "git auths receive --all, committed, keeps the tags and branches good that are good now"


class Subject(NamedTuple):
    """Whom to revoke: `aid` as a revocation names it, `shown` as people know it."""

    aid: str
    shown: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("who", metavar="DID|NAME|FINGERPRINT|GRANT", help="as the grant has it, or the grant's digest")
    parser.add_argument("--issuer", metavar="ALIAS", help="who takes it back (default: the identity that signs here)")
    parser.add_argument("--dry-run", action="store_true", help="only list what would end")


def run(args: argparse.Namespace) -> int:
    repository = Repository()
    issuer = keystore.load(args.issuer or settings.signing_alias(repository.path))
    place = granting.place(repository)
    revoke(place, issuer, find(place, issuer, args.who), args)
    return 0


def revoke(place: Place, issuer: keystore.Identity, subject: Subject, args: argparse.Namespace) -> None:
    """Revoke the subject, commit that, and say what it ended. Twice changes nothing. No ssh-agent stands in its way."""
    try:
        end(place, issuer, subject, args)
    except AgentUseless as error:
        output.warning(f"{error.message}: the key files sign instead")
        del os.environ["SSH_AUTH_SOCK"]
        end(place, issuer, subject, args)


def end(place: Place, issuer: keystore.Identity, subject: Subject, args: argparse.Namespace) -> None:
    if subject.aid == issuer.aid:
        raise Refusal(f"'{issuer.alias}' cannot revoke itself", "git auths rotate --compromised, where a key is lost")
    kel = granting.own_log(issuer, place.folder)
    ends = list(ended(place, kel, subject))
    if args.dry_run:
        for line in ends:
            output.data(f"would end {line}")
        return
    if is_revoked(place, kel, subject.aid):
        output.note(f"{subject.shown} is revoked already")
        commit = granting.commit(place, issuer, args.secrets, title(subject))
    else:
        revocation = [seals.revocation(subject.aid)]
        if proposed(place, issuer, kel, [], revocation, args.secrets):
            return
        commit = granting.issue(place, issuer.alias, [], args.secrets, title(subject), anchors=revocation).commit
        output.note(f"{kel.did} ('{issuer.alias}') has revoked {subject.shown}: all that it granted or delegated to it "
                    "before")  # fmt: skip
        for line in ends or ["nothing that HEAD has"]:
            output.note(f"  ended {line}")
    if commit is not None:
        output.note(f"committed {commit}")
    if place.folder.policy is not None and place.folder.policy.lists(DID_PREFIX + subject.aid):
        output.warning(f"the policy itself lists {DID_PREFIX}{subject.aid}, which no revocation ends")
        output.hint(f"git auths policy remove-signer {DID_PREFIX}{subject.aid} --role commit")
    output.hint("push it: until others have it, they take those signatures for good")
    output.hint(RECEIVE_HINT)


def title(subject: Subject) -> str:
    return f"Revoke {' '.join(output.inert(subject.shown).split())}"


def ended(place: Place, kel: Kel, subject: Subject) -> Iterator[str]:
    """What a revocation by the owner of `kel` ends, in words."""
    for one in granted_to(place, kel, subject.aid):
        if one.state != "revoked":
            yield (f"the grant {one.sha256} of {', '.join(one.grant.capabilities)} as {one.grant.kind}, "
                   f"{one.state}, until {utc(one.grant.expires_at)}")  # fmt: skip
    if is_delegate(kel, subject.aid):
        yield f"the delegation of {DID_PREFIX}{subject.aid}"


def granted_to(place: Place, kel: Kel, aid: str) -> list[Granted]:
    return [one for one in granting.in_folder(place.folder, int(time.time()))
            if one.grant.issuer == kel.did and one.grant.revocable_as == aid]  # fmt: skip


def is_delegate(kel: Kel, aid: str) -> bool:
    """Does `kel` seal an event of `aid` that it has not revoked since?"""
    sealed = ledger(kel)
    return any(sealed.stands(places, aid) for (i, _, _), places in sealed.delegated.items() if i == aid)


def is_revoked(place: Place, kel: Kel, aid: str) -> bool:
    """Has `kel` revoked `aid`, and sealed nothing since that could be for it? A grant for another repository could."""
    sealed = ledger(kel)
    revoked = sealed.revoked.get(aid)
    if revoked is None or is_delegate(kel, aid):
        return False
    others = {sha256 for sha256, grant in place.folder.grants.items() if grant.revocable_as != aid}
    return all(place < revoked for sha256, places in sealed.granted.items() if sha256 not in others for place in places)


def find(place: Place, issuer: keystore.Identity, who: str) -> Subject:
    """Whom `who` means: a DID, the digest of a grant, the fingerprint of a key, or the name that a grant gives."""
    if is_did(who):
        named = [one for one in place.folder.grants.values() if one.subject == who]
        return Subject(who.removeprefix(DID_PREFIX), called(named[-1]) if named else who)
    own = {sha256: one for sha256, one in place.folder.grants.items() if one.issuer == DID_PREFIX + issuer.aid}
    meant = {one.revocable_as: called(one) for sha256, one in own.items() if is_meant(place, sha256, one, who)}
    if len(meant) > 1:
        raise Refusal(f"{who!r} can mean {' and '.join(sorted(meant.values()))}", "give the DID or the fingerprint")
    if not meant:
        raise not_found(place, issuer, who)
    [(aid, shown)] = meant.items()
    return Subject(aid, shown)


def is_meant(place: Place, sha256: str, grant: grants.Grant, who: str) -> bool:
    if grant.name == who or grant.subject.removeprefix(HARDWARE_PREFIX) == who:
        return True
    if len(who) >= MIN_DIGEST_CHARS and sha256.startswith(who):
        return True
    kel = place.folder.kel_of(grant.subject)
    return who.startswith(FINGERPRINT) and kel is not None and who in map(fingerprint, held_keys(kel))


def not_found(place: Place, issuer: keystore.Identity, who: str) -> Error:
    """Nobody: with the issuer who did grant it, where another did."""
    for sha256, grant in place.folder.grants.items():
        if is_meant(place, sha256, grant, who):
            aliases = [one.alias for one in recording.identities() if DID_PREFIX + one.aid == grant.issuer]
            hint = f"git auths revoke {shlex.quote(who)} --issuer {aliases[0]}" if aliases else None
            return Error(f"'{issuer.alias}' has granted nothing to {who!r}; {grant.issuer} has", hint)
    return Error(f"'{issuer.alias}' has granted nothing to {who!r} here", "give the DID; ls .auths/grants")
