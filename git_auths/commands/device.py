"""Your devices: add one, approve what it asks for, list and remove them.

No key is ever copied to a second machine: it makes its own, and asks the first to answer for it. On the new machine
`device add --owner DID` prints a request, which holds no secret and may travel by any channel; on the first `device
approve REQUEST` seals it into your key event log; on the new one `device finish` takes that up. `device add --key
FILE.pub` takes a hardware key.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from collections.abc import Sequence

from git_auths import output
from git_auths.commands import grant as granter
from git_auths.commands import revoke as revoker
from git_auths.commands.hooks import install_hooks
from git_auths.commands.setup import confirmed
from git_auths.core import cesr, delegation, grants
from git_auths.core.authority import DID_PREFIX
from git_auths.core.grants import Grant, GrantInvalid
from git_auths.core.kel import Kel
from git_auths.core.kelstream import Message
from git_auths.core.policywords import utc
from git_auths.errors import Error, Refusal, UsageError
from git_auths.store import delegating, granting, keyevents, keystore, recording, settings, sshagent, wiring
from git_auths.store.atomic import write_file
from git_auths.store.delegating import Delegate
from git_auths.store.granting import Place
from git_auths.store.repository import NotARepository, Repository
from git_auths.store.secrets import Secrets
from git_auths.store.sshagent import AgentUseless

KIND = "device"
DEFAULT_CAPABILITIES = "sign_commit,sign_release"
NEW_REQUEST = "on the other machine git auths device add --owner DID prints one"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="add|approve|finish|list|remove")
    add = actions.add_parser("add", help="on the new machine: make its keys, and print what the first is to approve")
    add.add_argument("request", nargs="?", metavar="REQUEST|FILE", help="approve this request, as `approve` does")
    add.add_argument("--owner", metavar="DID", help="whose device this machine becomes")
    add.add_argument("--key", metavar="FILE.pub", help="on the first machine: take in a hardware key")
    add.add_argument("--output", metavar="FILE", help="write the request there")
    add.add_argument("--curve", choices=keyevents.CURVES, default="ed25519", help="of the new keys")
    add.add_argument("--no-passphrase", action="store_true", help="leave the new key files unencrypted")
    add.add_argument("--next-key", metavar="PATH", help="put the new next key there: a stick, a safe")
    approve = actions.add_parser("approve", help="on the first machine: seal what a device asks for, and commit it")
    approve.add_argument("request", metavar="REQUEST|FILE|NAME", help="what the device has printed, or a file with it; "
                         "a device that HEAD has is approved again")  # fmt: skip
    for action in (add, approve):
        granter.add_terms(action)
        action.add_argument("--yes", action="store_true", help="do not ask")
    finish = actions.add_parser("finish", help="on the new machine: take up what was approved, from the repository")
    shown = actions.add_parser("list", help="your devices, as HEAD has them")
    shown.add_argument("--json", action="store_true", help="one JSON document")
    shown.add_argument("--all", action="store_true", help="everybody's")
    remove = actions.add_parser("remove", help="end all that a device may do")
    remove.add_argument("device", metavar="NAME|DID")
    remove.add_argument("--dry-run", action="store_true", help="only list what would end")
    for action in (add, approve, finish, shown, remove):
        action.add_argument("--alias", help="another identity than the one that signs here")


def run(args: argparse.Namespace) -> int:
    if args.action == "finish":
        return finish(args)
    if args.action == "list":
        return show(args)
    if args.action == "remove":
        return remove(args)
    if args.request is not None:
        return approve(args)
    return add(args) if args.key is None else add_key(args)


def add(args: argparse.Namespace) -> int:
    """The new machine's part: an identity whose log waits for its owner's seal, and the request for that."""
    if args.owner is None:
        raise UsageError("whose device is this machine to become?", "git auths device add --owner DID; on the first "
                         "machine git auths whoami prints it")  # fmt: skip
    owner, alias = aid_of(args.owner), args.alias or settings.signing_alias()
    name = own_name(alias) if args.name is None else args.name
    try:
        delegation.require_name(name)  # before anything is made
    except delegation.RequestInvalid as error:
        raise UsageError(f"{name[:80]!r} names no device: {error}", "--name NAME") from None
    noted = {"kind": KIND, "owner": args.owner, "name": name}
    identity = delegating.make(alias, owner, noted, args.secrets, curve=args.curve, unencrypted=args.no_passphrase,
                               next_path=args.next_key)  # fmt: skip
    wire(alias)
    message = delegating.waiting(identity)
    if message is None:
        output.note(f"'{alias}' is a device of {args.owner} already, and waits for no approval")
        return 0
    if args.name is not None:
        keystore.write_metadata(identity, {**keystore.metadata(identity), "name": name})
    hand_out(request_of(identity), args.output)
    return 0


def request_of(identity: keystore.Identity) -> delegation.Request:
    """What this identity, a device or an agent, asks its delegator for; an Error where that is nothing."""
    message = delegating.waiting(identity)
    if message is None:
        raise Error(f"'{identity.alias}' waits for no approval")
    name = keystore.metadata(identity).get("name")
    return delegation.Request(message, name if isinstance(name, str) else identity.alias)


def hand_out(request: delegation.Request, file: str | None = None) -> None:
    """Print the request, or write it to a file, and say what to do with it."""
    try:
        text = delegation.text(request)
    except delegation.RequestInvalid as error:
        raise UsageError(f"no such request can be made: {error}", "--name NAME") from None
    if file is None:
        output.data(text)
    else:
        write_file(file, text.encode() + b"\n", 0o644)
        output.note(f"the request is in {file}; it holds no secret")
    output.note(f"to be compared, by voice or by eye: {delegation.code(request.message.body.said)}")
    output.hint("on the owner's machine: git auths device approve REQUEST")
    output.hint("then here, once what was committed there is pulled: git auths device finish")


def wire(alias: str) -> None:
    """Let the repository at hand sign with this identity, where there is one."""
    try:
        repository = Repository()
    except NotARepository:
        output.hint(f"to sign in a repository, in there: git auths init --alias {alias}")
        return
    for line in wiring.wire(repository, alias):
        output.note(f"set {line}")
    if not repository.bare:
        install_hooks(repository)


def approve(args: argparse.Namespace) -> int:
    """The first machine's part: look at who asks, seal it, grant it, commit it."""
    place = granting.place(Repository())
    request = recorded(place, args.request) or read_request(args.request)
    message, did = request.message, request.did
    alias = asked(args, request, place)
    kel = granting.own_log(keystore.load(alias), place.folder)
    delegating.require_sealable(place, kel, message)
    needs_none = request.is_rotation or is_granted(place, alias, did)
    wanted = [] if needs_none else [new_grant(args, place, kel, request)]
    doubtful = delegating.in_doubt(place, kel, message.body.aid)
    if not wanted and not doubtful and delegating.is_recorded(place.folder, message):
        output.note(f"{did} is approved already")
        return 0
    describe(request, alias, wanted)
    shown = "REQUEST" if args.request.lstrip().startswith(delegation.PREFIX) else shlex.quote(args.request)
    if not args.yes and not confirmed("Approve it?", f"git auths device approve --yes {shown}"):
        raise Refusal("nothing was approved")
    if waits_for_others(place, alias, [*doubtful, message], wanted, args.secrets):
        return 0
    name = output.inert((wanted[0].name if wanted else None) or request.name)
    what = "Rotate the keys of" if request.is_rotation else "Add the device"
    issued = delegating.issue(place, alias, [*doubtful, message], wanted, args.secrets, f"{what} {name}")
    output.data(did)
    output.note(f"sealed by event {issued.sealed.kel.sn} of '{alias}'")
    output.note(f"committed {issued.commit}")
    output.hint("push it; and on the device, once it is pulled: git auths device finish")
    return 0


def waits_for_others(place: Place, alias: str, asked: Sequence[Message], wanted: Sequence[Grant],
                     secrets: Secrets) -> bool:  # fmt: skip
    """Where an owner's keys lie on several machines: leave the event in a file for the others to sign, and say so."""
    issuer = keystore.load(alias)
    log = granting.own_log(issuer, place.folder)
    anchors = delegating.seals_for(asked, log)
    return bool(anchors or wanted) and granter.proposed(place, issuer, log, wanted, anchors, secrets)


def recorded(place: Place, which: str) -> delegation.Request | None:
    """The request that made a device which HEAD has, by its name or DID: what sealed it may be in doubt meanwhile."""
    known = delegating.delegates(place, KIND, None, int(time.time()))
    if which not in (name for one in known for name in (one.did, one.grant.name)):
        return None
    one = delegating.named(known, KIND, which, [DID_PREFIX + own.aid for own in recording.identities()])
    if one.grant.key is not None:
        raise Refusal(f"{one.did} is a hardware key, which asks for nothing", "git auths device add --key FILE.pub")
    first = delegating.first_message(delegating.recorded_log(place, one.did.removeprefix(DID_PREFIX)))
    return delegation.Request(first, one.grant.name or which)


def describe(request: delegation.Request, alias: str, wanted: list[Grant]) -> None:
    what = "to rotate its keys" if request.is_rotation else f"to become a device of '{alias}'"
    output.note(f"{request.name} asks {what}: {request.did}")
    for grant in wanted:
        output.note(f"it may then {', '.join(grant.capabilities)}, until {utc(grant.expires_at)}")
    output.note(f"compare this with what it shows, by voice or by eye: {delegation.code(request.message.body.said)}")


def is_granted(place: Place, alias: str, did: str) -> bool:
    """Does a grant to it stand that is not past, at HEAD or waiting for its commit?"""
    now = int(time.time())
    standing = (one.grant.subject == did and one.state == delegating.ACTIVE
                for one in granting.in_folder(place.folder, now))  # fmt: skip
    return any(standing) or delegating.granted_and_waiting(place, alias, did, now)


def new_grant(args: argparse.Namespace, place: Place, issuer: Kel, request: delegation.Request) -> Grant:
    """What the options say; of a device that is approved again they need not say what it may do."""
    now = int(time.time())
    before = [one.grant for one in granting.in_folder(place.folder, now) if one.grant.subject == request.did]
    usual = before[-1].capabilities if before else [DEFAULT_CAPABILITIES]
    capabilities = granter.listed(args.capability or usual)
    grant = Grant(place.root, issuer.did, request.did, KIND, capabilities, now,
                  granter.expiry(args.expires, KIND, now), args.name or request.name)  # fmt: skip
    warn_of_rights_not_held(place, grant)
    return checked(grant)


def warn_of_rights_not_held(place: Place, grant: Grant) -> None:
    for capability in granter.not_held(place, grant.issuer, grant.capabilities):
        output.warning(f"by the policy at HEAD {grant.issuer} may not {capability}, and nobody passes on what he does "
                       "not have")  # fmt: skip


def checked(grant: Grant) -> Grant:
    """The grant, if it can be written at all."""
    try:
        grants.payload(grant)
    except GrantInvalid as error:
        raise UsageError(f"no such grant can be made: {error}", "git auths device approve -h") from None
    return grant


def add_key(args: argparse.Namespace) -> int:
    """A hardware key has no log of its own: the grant is all."""
    repository = Repository()
    issuer = keystore.load(args.alias or settings.signing_alias(repository.path))
    args.kind, args.name = KIND, args.name or os.path.basename(args.key).removesuffix(".pub")
    args.capability = args.capability or [DEFAULT_CAPABILITIES]
    subject = granter.hardware_key(args.key)
    output.note(f"{subject.did} becomes a device of '{issuer.alias}'")
    if not args.yes and not confirmed("Take it in?", f"git auths device add --yes --key {shlex.quote(args.key)}"):
        raise Refusal("nothing was granted")
    granter.give(granting.place(repository), issuer, subject, args)
    output.data(subject.did)
    output.hint(f"to sign with it: git config user.signingKey {shlex.quote(os.path.abspath(args.key))}")
    return 0


def finish(args: argparse.Namespace) -> int:
    """Take up the log of this device as the repository has it: its owner has sealed what it waits for."""
    repository = Repository()
    alias = args.alias or settings.signing_alias(repository.path)
    identity = keystore.load(alias)
    message = delegating.waiting(identity)
    if message is None:
        output.note(f"'{alias}' waits for no approval")
        return 0
    for commit in where_to_look(repository):
        place = delegating.at(repository, commit)
        if place is not None and delegating.is_recorded(place.folder, message):
            delegating.settle(alias, place)
            if keystore.metadata(identity).get("kind") == KIND:
                wire(alias)
            output.note(f"what '{alias}' asked for is approved, and taken up")
            return 0
    raise Refusal(f"neither HEAD nor the mainline has an approval of what '{alias}' asks for",
                  "git pull, once it is pushed; git auths device add prints the request again")  # fmt: skip


def where_to_look(repository: Repository) -> list[str]:
    pins = settings.pins(repository.path)
    if pins is None:
        raise Error("no trust root is pinned here, so nothing here is to be believed", "git auths setup")
    return [one for one in (repository.head(), repository.ref(pins.mainline)) if one is not None]


def show(args: argparse.Namespace) -> int:
    place = granting.place(Repository())
    found = delegating.delegates(place, KIND, None if args.all else principal(args, place), int(time.time()))
    if args.json:
        output.document({"version": 1, "devices": [as_json(one) for one in found]})
        return 0
    for one in found:
        output.data(as_line(one))
    return 0


def remove(args: argparse.Namespace) -> int:
    """Revoke a device: its delegation and every grant to it end."""
    end(args, KIND, args.device)
    if not args.dry_run:
        output.hint("if it was stolen, and a key of your own lay on it: git auths rotate --compromised")
    return 0


def end(args: argparse.Namespace, kind: str, which: str) -> None:
    """Revoke the device or agent that `which` names, and make ssh-agent forget its key."""
    place = granting.place(Repository())
    issuer = keystore.load(args.alias or settings.signing_alias(place.repository.path))
    now = int(time.time())
    found = delegating.delegates(place, kind, principal(args, place), now)
    one = delegating.named(found, kind, which, [DID_PREFIX + issuer.aid])
    if one.grant.issuer != DID_PREFIX + issuer.aid:
        raise Refusal(f"{one.did} was granted what it may do by {one.grant.issuer}, not by '{issuer.alias}'",
                      "who granted it takes it back: --alias OWNER, where that is on this machine")  # fmt: skip
    subject = revoker.Subject(one.grant.revocable_as, granter.called(one.grant))
    revoker.revoke(place, issuer, subject, args)
    if not args.dry_run:
        forget_key(one.did)


def forget_key(did: str) -> None:
    """Take the delegate's key out of ssh-agent, where it is an identity of this machine. What is done stays done: a
    warning where that cannot be."""
    for identity in recording.identities():
        if DID_PREFIX + identity.aid == did:
            try:
                sshagent.remove(identity.current_blob)
            except AgentUseless as error:
                output.warning(f"whether the key of '{identity.alias}' is in it still is not known: {error.message}")


def principal(args: argparse.Namespace, place: Place) -> str:
    """Whom the identity that signs here counts for."""
    identity = keystore.load(args.alias or settings.signing_alias(place.repository.path))
    above = delegating.delegator(identity)
    return place.folder.authority.principal(DID_PREFIX + (above or identity.aid))


def as_json(one: Delegate) -> dict[str, object]:
    grant = one.grant
    found: dict[str, object] = {
        "name": grant.name, "did": one.did, "kind": grant.kind, "owner": grant.issuer,
        "capabilities": list(grant.capabilities), "issued_at": utc(grant.issued_at),
        "expires_at": utc(grant.expires_at), "state": one.state, "revoked": one.state == delegating.REVOKED,
        "event": one.sealed_by,
    }  # fmt: skip
    if grant.kind == "agent":
        found |= {"model": grant.model, "provider": grant.provider}
    return found


def as_line(one: Delegate) -> str:
    grant = one.grant
    made_by = " ".join(filter(None, (grant.provider, grant.model)))
    words = (grant.name or "-", one.did, ", ".join(grant.capabilities), made_by,
             f"{one.state}, until {utc(grant.expires_at)}, by event {one.sealed_by}")  # fmt: skip
    return "  ".join(filter(None, words))


def read_request(argument: str) -> delegation.Request:
    """The request in the argument itself, or in the file that it names; `-` is stdin. A file may also hold the event
    alone, as several keys have signed it (git auths kel sign)."""
    text = os.fsencode(argument) if argument.lstrip().startswith(delegation.PREFIX) else read_file(argument)
    try:
        if text.startswith(b"{"):
            return delegation.Request(delegation.read(text.strip()), os.path.basename(argument))
        return delegation.parse(text.decode("ascii", "replace"))
    except delegation.RequestInvalid as error:
        raise Error(f"that is no request: {error}", NEW_REQUEST) from None


def read_file(file: str) -> bytes:
    limit = delegation.MAX_REQUEST_CHARS + 1
    try:
        if file == "-":
            return sys.stdin.buffer.read(limit)
        with open(file, "rb") as stream:
            return stream.read(limit)
    except (OSError, ValueError) as error:
        raise Error(f"{file[:80]} is no request, and no file that can be read: {error}", NEW_REQUEST) from None


def asked(args: argparse.Namespace, request: delegation.Request, place: Place) -> str:
    """The identity of this machine that the request asks for a seal."""
    known = place.folder.kels.get(request.message.body.aid)
    owner = request.message.body.delegator or (known.delegator if known is not None else None)
    if owner is None:
        raise Refusal(f"HEAD has no log of {request.did} that this rotation would continue",
                      "git pull, where others have it")  # fmt: skip
    for identity in [keystore.load(args.alias)] if args.alias else recording.identities():
        if identity.aid == owner:
            return identity.alias
    raise Refusal(f"it asks {DID_PREFIX}{owner}, which is no identity of this machine",
                  "git auths whoami prints the DID that git auths device add --owner takes")  # fmt: skip


def aid_of(did: str) -> str:
    aid = did.removeprefix(DID_PREFIX)
    if not did.startswith(DID_PREFIX) or not cesr.is_digest(aid):
        raise UsageError(f"{did[:80]!r} is no did:keri", "git auths whoami on the owner's machine prints it")
    return aid


def own_name(alias: str) -> str:
    """What a machine is called: its host's name, and the alias where that is not the usual one."""
    host = os.uname().nodename.split(".")[0] or KIND
    return host if alias == settings.DEFAULT_ALIAS else f"{host}-{alias}"
