"""Let somebody sign for you, or for an organisation of yours, until a time: a device, an agent, a member.

The grant is sealed in the issuer's key event log and committed. Renewal is another grant: what you leave out is taken
from the one before. Rights are intersections: nobody passes on what the policy does not let him do himself.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import os
import shlex
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from git_auths import output
from git_auths.core import eventwords, grants, kelsplit, proposal, sshsig
from git_auths.core.auths_folder import extends
from git_auths.core.grants import Grant
from git_auths.core.kel import MAX_KEL_BYTES, DelegatorUnknown, Kel, KelInvalid, replay_all
from git_auths.core.policy import is_did
from git_auths.core.policyschema import duration_seconds
from git_auths.core.policywords import utc
from git_auths.core.proposal import ProposalInvalid
from git_auths.errors import Error, Refusal, UsageError
from git_auths.store import eventproposals, granting, keystore, recording, settings
from git_auths.store.granting import Granted, Place
from git_auths.store.repository import Repository
from git_auths.store.secrets import Secrets

DAY_SECONDS = 24 * 3600
DEFAULT_SECONDS = {"member": 365 * DAY_SECONDS, "device": 365 * DAY_SECONDS}  # how long an agent acts, a person says
MAX_SECONDS = 3653 * DAY_SECONDS  # ten years
DATE_FORMATS = ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ")
MAX_PUBLIC_KEY_BYTES = 8 * 1024
EXPORT_HINT = "let them send you a file: git auths whoami --export > NAME.cesr"


class Subject(NamedTuple):
    """Whom a grant is for: an AID by its log, of which `stream` is to be added, or a hardware key by its SSH blob."""

    did: str
    kel: Kel | None = None
    stream: bytes | None = None
    key: bytes | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("who", nargs="?", metavar="DID|KEL-FILE",
                        help="a DID whose log is here, or the file that whoami --export made")  # fmt: skip
    parser.add_argument("--key", metavar="FILE.pub", help="a hardware key, by its public key file")
    parser.add_argument("--kind", choices=grants.KINDS, help="what it is (default: member; a renewal's is the same)")
    add_terms(parser)
    parser.add_argument("--issuer", metavar="ALIAS", help="who grants it (default: the identity that signs here)")
    parser.add_argument("--model", help="the agent's model")
    parser.add_argument("--provider", help="whose model that is")


def add_terms(parser: argparse.ArgumentParser) -> None:
    """The options that `org add-member` has as well."""
    parser.add_argument("--capability", action="append", metavar="NAME[,NAME]",
                        help=f"of {', '.join(grants.CAPABILITIES)} (may be repeated)")  # fmt: skip
    parser.add_argument("--expires", metavar="TIME", help="90d, 8h, 2027-01-01 (default: 365d, but not for an agent)")
    parser.add_argument("--name", help="what to call it")


def run(args: argparse.Namespace) -> int:
    if (args.who is None) == (args.key is None):
        raise UsageError("name a DID or a file with a log, or a hardware key by --key", "git auths grant -h")
    repository = Repository()
    issuer = keystore.load(args.issuer or settings.signing_alias(repository.path))
    place = granting.place(repository)
    subject = hardware_key(args.key) if args.key else find(place, issuer, args.who)
    give(place, issuer, subject, args)
    return 0


def give(place: Place, issuer: keystore.Identity, subject: Subject, args: argparse.Namespace) -> None:
    """Make the grant that the arguments describe, commit it, and say so."""
    now = int(time.time())
    did = granting.DID_PREFIX + issuer.aid
    if subject.did == did:
        raise Refusal(f"'{issuer.alias}' cannot grant anything to itself", "git auths policy add-signer lists it")
    earlier = [one for one in granting.in_folder(place.folder, now)
               if (one.grant.issuer, one.grant.subject) == (did, subject.did) and one.state != "revoked"]  # fmt: skip
    grant = described(place, did, subject, earlier, args, now)
    for capability in not_held(place, did, grant.capabilities):
        output.warning(f"by the policy at HEAD {did} may not {capability}, and nobody passes on what he does not have")
    kels = {} if subject.stream is None else {grant.revocable_as: subject.stream}
    log = granting.own_log(issuer, place.folder)
    waits = granting.kept_alike(issuer, grant) if not granting.has_enough_keys(issuer, log) else None
    if waits is not None and waits in granting.waiting(issuer, place):
        commit = granting.commit(place, issuer, args.secrets, message(grant), kels)
    elif proposed(place, issuer, log, [grant], [], args.secrets):
        return
    else:
        commit = granting.issue(place, issuer.alias, [grant], args.secrets, message(grant), kels).commit
    told(issuer, grant, earlier)
    if commit is not None:
        output.note(f"committed {commit}")


def proposed(place: Place, issuer: keystore.Identity, log: Kel, wanted: Sequence[Grant],
             anchors: Sequence[dict[str, str]], secrets: Secrets) -> bool:  # fmt: skip
    """Where others hold keys of the issuer that this takes: leave the event in a file for them, and say what to do."""
    if granting.has_enough_keys(issuer, log):
        return False
    file = f"{issuer.alias}-{log.sn + 1}.event"
    if os.path.lexists(file):
        require_own(file, issuer, log, wanted, anchors)
        output.note(f"{file} waits for signatures already")
    else:
        granting.require_in_step(issuer, place)
        granting.propose(issuer.alias, [as_before(issuer, one) for one in wanted], secrets, file, anchors)
        output.note(f"event {log.sn + 1} of '{issuer.alias}' takes keys that are not on this machine: it is in {file}")
    output.hint(f"send {file} to who holds them, for: git auths kel sign {file}")
    output.hint(f"when it comes back: git auths kel sign {file}, then this command again commits it")
    return True


def as_before(issuer: keystore.Identity, wanted: Grant) -> Grant:
    """The grant alike that waits already: so a proposal whose file is lost is made again, and is no second event."""
    waits = granting.kept_alike(issuer, wanted)
    return wanted if waits is None else granting.kept(issuer)[waits][0]


def require_own(file: str, issuer: keystore.Identity, log: Kel, wanted: Sequence[Grant],
                anchors: Sequence[dict[str, str]]) -> None:  # fmt: skip
    """A Refusal where what lies in the file is another event than this command proposes: that is somebody else's, or
    another command's."""
    try:
        found = proposal.parse(eventproposals.read(file), log)
        said = "; ".join(eventwords.words(found))
    except ProposalInvalid as error:
        said = str(error)
    else:
        if granting.is_proposed(issuer, log, found.raw, wanted, anchors):
            return
    raise Refusal(f"{file} is there, and is not the event that this makes: {said}",
                  f"git auths kel sign {file}, if all of you want that; else move it away")  # fmt: skip


def told(issuer: keystore.Identity, grant: Grant, earlier: Sequence[Granted]) -> None:
    renews = " again" if earlier else ""
    output.note(f"{granting.DID_PREFIX}{issuer.aid} ('{issuer.alias}') lets {called(grant)} "
                f"{', '.join(grant.capabilities)}{renews}, as {grant.kind}, until {utc(grant.expires_at)}")  # fmt: skip


def described(place: Place, issuer: str, subject: Subject, earlier: Sequence[Granted], args: argparse.Namespace,
              now: int) -> Grant:  # fmt: skip
    """The grant that the arguments and the one before it make."""
    last = earlier[-1].grant if earlier else None
    kind = kind_of(issuer, subject, args.kind, last)
    if last is not None and last.kind == "agent" and kind != "agent":
        raise Refusal(f"{called(last)} is an agent, and another grant makes it no {kind}", "git auths device add")
    capabilities = listed(args.capability) if args.capability else last.capabilities if last is not None else None
    if capabilities is None:
        raise UsageError("--capability says what it may do", f"--capability {grants.CAPABILITIES[0]}")
    model, provider = getattr(args, "model", None), getattr(args, "provider", None)
    if kind != "agent" and (model or provider):
        raise UsageError(f"--model and --provider are of an agent, not of a {kind}", "git auths grant -h")
    made = Grant(
        place.root, issuer, subject.did, kind, capabilities, now, expiry(args.expires, kind, now),
        args.name or (last and last.name), model or (last and last.model), provider or (last and last.provider),
        subject.key,
    )  # fmt: skip
    try:
        grants.payload(made)
    except grants.GrantInvalid as error:
        raise UsageError(f"that is no grant: {error}", "git auths grant -h") from None
    return made


def kind_of(issuer: str, subject: Subject, said: str | None, last: Grant | None) -> str:
    """What the subject is; a Refusal where it cannot be what is said."""
    if subject.kel is None:
        if said not in (None, "device"):
            raise UsageError(f"a hardware key is a device, not a {said}", "leave --kind out")
        return "device"
    delegator = subject.kel.delegator
    if said is None and last is None and delegator is not None:
        raise UsageError("--kind says what it is", "--kind device, or --kind agent")
    kind = said or (last.kind if last is not None else "member")
    if kind == "member" and delegator is not None:
        raise Refusal(f"{subject.did} is a device or agent of {granting.DID_PREFIX}{delegator}, and no member by "
                      "itself", f"git auths grant {granting.DID_PREFIX}{delegator} lets all of them act")  # fmt: skip
    if kind != "member" and granting.DID_PREFIX + (delegator or "") != issuer:
        raise Refusal(f"{subject.did} is not delegated by {issuer}, so it is no {kind} of it",
                      "git auths device add; git auths agent new NAME; or grant it as --kind member")  # fmt: skip
    return kind


def listed(words: Sequence[str]) -> tuple[str, ...]:
    """The capabilities in the arguments, each once."""
    names = dict.fromkeys(name.strip() for word in words for name in word.split(","))
    for name in names:
        if name not in grants.CAPABILITIES:
            raise UsageError(f"{name!r} is no capability", f"there are {', '.join(grants.CAPABILITIES)}")
    return tuple(names)


def expiry(text: str | None, kind: str, now: int) -> int:
    """When the grant ends, in Unix seconds."""
    if text is None:
        if kind not in DEFAULT_SECONDS:
            raise UsageError(f"--expires says how long the {kind} may act", "--expires 8h")
        return now + DEFAULT_SECONDS[kind]
    at = _moment(text, now)
    if at <= now:
        raise Refusal(f"{text} is over: the grant would have expired at {utc(at)}", "--expires 90d")
    if at > now + MAX_SECONDS:
        raise Refusal(f"{text} is more than ten years ahead", "renew it when the time comes: --expires 365d")
    return at


def _moment(text: str, now: int) -> int:
    try:
        return now + duration_seconds(text)
    except ValueError:
        pass
    for form in DATE_FORMATS:
        try:
            return int(datetime.strptime(text, form).replace(tzinfo=timezone.utc).timestamp())
        except ValueError:
            continue
    raise UsageError(f"{text!r} is neither a time like 90d or 8h nor a date like 2027-01-01", "--expires 90d")


def not_held(place: Place, issuer: str, capabilities: Sequence[str]) -> list[str]:
    """Those of the capabilities that no rule at HEAD gives the issuer."""
    policy = place.folder.policy
    assert policy is not None
    rules = (*policy.commit, *policy.release, *policy.admin)
    return [
        capability for capability in capabilities
        if not any(capability in rule.capabilities and place.folder.authority.rights(issuer, rule.signers, capability)
                   for rule in rules)
    ]  # fmt: skip


def find(place: Place, issuer: keystore.Identity, who: str) -> Subject:
    """Whom a DID or a file with a key event log names."""
    if not is_did(who):
        if who.startswith("did:"):
            raise UsageError(f"{who!r} is no did:keri", "it is did:keri: and 44 characters, an E first")
        return from_file(place, issuer, Path(who))
    kel = place.folder.kel_of(who)
    if kel is not None:
        return Subject(who, kel)
    for own in recording.identities():
        if granting.DID_PREFIX + own.aid == who:
            return from_stream(place, issuer, keystore.read_kel(own), own.folder)
    raise Error(f"the log of {who} is not in .auths/kels/ at HEAD", EXPORT_HINT)


def from_file(place: Place, issuer: keystore.Identity, file: Path) -> Subject:
    try:
        with file.open("rb") as opened:
            stream = opened.read(MAX_KEL_BYTES + 1)
    except OSError as error:
        raise Error(f"{file}: {error.strerror}", EXPORT_HINT) from None
    return from_stream(place, issuer, stream, str(file))


def from_stream(place: Place, issuer: keystore.Identity, stream: bytes, where: str) -> Subject:
    """The subject whose log the stream ends with; an Error or Refusal where that log is damaged, or has forked from
    the one that is here."""
    own = granting.own_log(issuer, place.folder)
    try:
        kel = replay_all(stream, {**place.folder.kels, own.aid: own})[-1]
    except DelegatorUnknown as error:
        raise Error(f"{where}: {error}", f"git auths grant {granting.DID_PREFIX}{error.delegator}") from None
    except KelInvalid as error:
        raise Error(f"{where}: {error}", f"git auths kel verify {shlex.quote(where)}") from None
    present = own if kel.aid == own.aid else place.folder.kels.get(kel.aid)
    if present is not None and not extends(kel, present):
        if extends(present, kel):
            return Subject(kel.did, present)
        raise Refusal(f"the log of {kel.did} in {where} and the one that is here have forked",
                      "ask its owner which is right; a fork can mean a stolen key")  # fmt: skip
    part = kelsplit.split(stream)[0][kel.aid]
    log = b"".join(stream[one.offset : one.offset + one.length] for one in part.messages)
    return Subject(kel.did, kel, log)


def hardware_key(path: str) -> Subject:
    """The key in a public key file of ssh-keygen's."""
    try:
        with open(path, "rb") as opened:
            words = opened.read(MAX_PUBLIC_KEY_BYTES).split()
    except OSError as error:
        raise Error(f"{path}: {error.strerror}", "ssh-keygen -t ed25519-sk makes a hardware key") from None
    try:
        kind, blob = words[0].decode("ascii"), base64.b64decode(words[1], validate=True)
        if kind != sshsig.key_type(blob).decode("ascii"):
            raise ValueError
    except (IndexError, ValueError, binascii.Error):
        raise Error(f"{path} is no public key file", "it is the .pub file that ssh-keygen wrote") from None
    if kind not in grants.HARDWARE_KEYS:
        raise Refusal(f"the key in {path} is of type {kind}, not one of a hardware key's",
                      "git auths device add takes another machine in, with a key of its own")  # fmt: skip
    return Subject(grants.hardware_subject(blob), key=blob)


def called(grant: Grant) -> str:
    """The subject, with what it is called."""
    return f"{grant.subject} ({grant.name})" if grant.name else grant.subject


def message(grant: Grant) -> str:
    what = f"{grant.name} ({grant.kind})" if grant.name else f"{grant.kind} {grant.subject}"
    title = " ".join(output.inert(what).split())
    return f"Grant {', '.join(grant.capabilities)} to {title}\n\n{grant.subject}\nuntil {utc(grant.expires_at)}\n"
