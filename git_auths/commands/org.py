"""An organisation: an identifier of its own, whose members hold what it grants them, each until a time.

`did:keri:<organisation>` in a rule of the policy admits its members, who count as the organisation, once. Its keys
sign no commits of theirs: they are for taking members in and out.
"""

from __future__ import annotations

import argparse
import os
import shlex
import time
from pathlib import Path

from git_auths import output
from git_auths.commands import grant, revoke
from git_auths.core import kelbuild
from git_auths.core.policy import is_did
from git_auths.core.policywords import utc
from git_auths.core.verkey import Key
from git_auths.errors import Error, Refusal, UsageError
from git_auths.store import eventproposals, granting, keyevents, keystore, recording, worktree_policy
from git_auths.store.atomic import write_file
from git_auths.store.granting import DID_PREFIX, Granted, Place
from git_auths.store.repository import NotARepository, Repository

KIND = "organisation"  # in identity.json
FOUNDER = ".founder"  # what a founder's key is called until there is the organisation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="action", required=True, metavar="create|founder|add-member|...")
    create = commands.add_parser("create", help="make the organisation's identity")
    create.add_argument("name", metavar="NAME", help="what it is called on this machine")
    create.add_argument("--keys", type=int, metavar="N", help="how many keys it has, all on this machine (default: 1)")
    create.add_argument("--founder", action="append", default=[], metavar="FILE",
                        help="a key on another machine, which org founder made there (may be repeated)")  # fmt: skip
    create.add_argument("--threshold", metavar="T", help="how many of them must sign: 2/3")
    create.add_argument("--no-passphrase", action="store_true", help="leave the key files unencrypted")
    founder = commands.add_parser("founder", help="make a key of your own for an organisation that several found")
    founder.add_argument("name", metavar="NAME", help="what the organisation will be called on this machine")
    founder.add_argument("--output", metavar="FILE", help="where the public file goes (default: NAME.founder)")
    founder.add_argument("--no-passphrase", action="store_true", help="leave the key files unencrypted")
    add = commands.add_parser("add-member", help="let somebody act for it")
    add_organisation(add)
    add.add_argument("who", metavar="DID|KEL-FILE",
                     help="a DID whose log is here, or the file that whoami --export made")  # fmt: skip
    grant.add_terms(add)
    remove = commands.add_parser("remove-member", help="end all that it has granted to somebody")
    add_organisation(remove)
    remove.add_argument("who", metavar="DID|NAME", help="as the grant has it")
    remove.add_argument("--dry-run", action="store_true", help="only list what would end")
    listing = commands.add_parser("list", help="the members, and what they hold")
    listing.add_argument("organisation", nargs="?", metavar="NAME|DID", help="only this one's")
    listing.add_argument("--json", action="store_true", help="one JSON document")


def add_organisation(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("organisation", metavar="NAME|DID", help="the organisation; its keys are on this machine")


def run(args: argparse.Namespace) -> int:
    if args.action == "create":
        return found(args) if args.founder else create(args)
    if args.action == "founder":
        return founder(args)
    if args.action == "list":
        return show(args)
    issuer = organisation(args.organisation)
    place = granting.place(Repository())
    if args.action == "add-member":
        args.kind = "member"
        grant.give(place, issuer, grant.find(place, issuer, args.who), args)
    else:
        revoke.revoke(place, issuer, revoke.find(place, issuer, args.who), args)
    return 0


def create(args: argparse.Namespace) -> int:
    if args.name in keystore.aliases():
        raise Error(f"there is an identity '{args.name}' already", "git auths org create NAME takes another name")
    noted = {"kind": KIND, "name": args.name}
    identity = keyevents.incept(args.name, args.secrets, keys=args.keys or 1, threshold=args.threshold,
                                unencrypted=args.no_passphrase, metadata=noted)  # fmt: skip
    output.note(f"created the organisation '{identity.alias}' in {identity.folder}")
    output.data(DID_PREFIX + identity.aid)
    hint_policy(identity)
    return 0


def founder(args: argparse.Namespace) -> int:
    """An identity of one key, whose log is what the others need: its key, and the commitment to the next."""
    alias = args.name + FOUNDER
    file = args.output or alias
    if os.path.lexists(file):
        raise Error(f"{file} exists already", "--output FILE names another")
    if alias in keystore.aliases():
        identity = keystore.load(alias)
        output.note(f"your key for '{args.name}' is there already")
    else:
        identity = keyevents.incept(alias, args.secrets, unencrypted=args.no_passphrase)
        output.note(f"created your key for '{args.name}' in {identity.folder}")
    write_file(file, keystore.read_kel(identity), eventproposals.SHARED_MODE)
    output.note(f"wrote {file}, which holds no secret")
    output.hint(f"send it to one of you, for: git auths org create {args.name} --founder {shlex.quote(file)} "
                "--founder ...")  # fmt: skip
    return 0


def found(args: argparse.Namespace) -> int:
    """Put the inception by the founders' keys into a file that each of them signs."""
    if args.keys is not None:
        raise UsageError("--keys are on this machine, and --founder on others", "git auths org create -h")
    keystore.require_alias(args.name + FOUNDER)
    founders = [founder_key(file) for file in args.founder]
    for which, keys in (("key", [key for key, _ in founders]), ("next key", [following for _, following in founders])):
        if len(set(keys)) < len(keys):
            raise Refusal(f"two of the founders' files have the same {which}",
                          "each founder makes one: git auths org founder NAME")  # fmt: skip
    sith = keyevents.parse_threshold(args.threshold, len(founders))
    event = kelbuild.inception([key for key, _ in founders], [following for _, following in founders], kt=sith, nt=sith)
    file = f"{args.name}-0.event"
    if os.path.lexists(file):
        raise Error(f"{file} exists already", f"git auths kel sign {file}, or move it away")
    eventproposals.write(file, event)
    output.note(f"wrote {file}: each founder signs it, in turn or on copies that --with joins")
    output.data(DID_PREFIX + kelbuild.said(event))
    sign = f"git auths kel sign {file} --alias {args.name}{FOUNDER} --as {args.name}"
    output.hint(f"each of you: {sign}; once more when all have, which keeps the organisation")
    return 0


def founder_key(file: str) -> tuple[Key, str]:
    """The key and the commitment to the next one in a founder's file."""
    state = worktree_policy.read_kel(Path(file)).state
    if (len(state.keys), len(state.next)) != (1, 1):
        raise Refusal(f"{file} is the log of an identity with {len(state.keys)} keys", "git auths org founder NAME")
    return state.keys[0], state.next[0]


def hint_policy(identity: keystore.Identity) -> None:
    try:
        Repository()
    except NotARepository:
        return
    output.hint(f"git auths policy add-signer {DID_PREFIX}{identity.aid} --role commit --name {identity.alias}")
    output.hint(f"git auths org add-member {identity.alias} KEL-FILE --capability sign_commit")


def organisation(which: str) -> keystore.Identity:
    """The identity of this machine that NAME or DID names."""
    if not is_did(which):
        if which not in keystore.aliases():
            raise Error(f"no organisation '{which}' on this machine", "git auths org list")
        return keystore.load(which)
    for identity in recording.identities():
        if DID_PREFIX + identity.aid == which:
            return identity
    raise Error(f"the keys of {which} are not on this machine", "git auths org list")


def show(args: argparse.Namespace) -> int:
    try:
        place = granting.place(Repository())
    except NotARepository:
        place = None
    found = organisations(place)
    if args.organisation is not None:
        wanted = args.organisation if is_did(args.organisation) else DID_PREFIX + organisation(args.organisation).aid
        found = {wanted: found.get(wanted)}
    now = int(time.time())
    if args.json:
        listed = [{"name": name, "did": did, "members": [as_json(one) for one in members(place, did, now)]}
                  for did, name in found.items()]  # fmt: skip
        output.document({"version": 1, "organisations": listed})
        return 0
    for did, name in found.items():
        output.data(f"{did} ({name})" if name else did)
        for one in members(place, did, now):
            output.data(f"  {one.grant.name or '-'}  {one.grant.subject}  {', '.join(one.grant.capabilities)}  "
                        f"{one.state}, until {utc(one.grant.expires_at)}")  # fmt: skip
    if place is None:
        output.hint("members stand in a repository: run it in one")
    return 0


def organisations(place: Place | None) -> dict[str, str | None]:
    """The DIDs of this machine's organisations and of those that have members here, with what they are called."""
    found: dict[str, str | None] = {}
    for alias in keystore.aliases():
        try:
            identity = keystore.load(alias)
            if keystore.metadata(identity).get("kind") == KIND or alias + FOUNDER in keystore.aliases():
                found[DID_PREFIX + identity.aid] = alias
        except Error as error:
            output.warning(f"'{alias}' is left out: {error.message}")
    for one in place.folder.grants.values() if place is not None else ():
        if one.kind == "member" and one.issuer not in found:
            found[one.issuer] = called(place, one.issuer)
    return found


def called(place: Place | None, did: str) -> str | None:
    signer = place.folder.policy.signers.get(did) if place is not None and place.folder.policy is not None else None
    return signer.name if signer is not None else None


def members(place: Place | None, did: str, now: int) -> list[Granted]:
    """The grants of its members that are active; of members who have none, the last one."""
    given = [] if place is None else granting.in_folder(place.folder, now)
    given = [one for one in given if one.grant.issuer == did and one.grant.kind == "member"]
    active = [one for one in given if one.state == "active"]
    past = {one.grant.subject: one for one in given}
    for one in active:
        past.pop(one.grant.subject, None)
    return [*active, *past.values()]


def as_json(one: Granted) -> dict[str, object]:
    return {
        "name": one.grant.name, "did": one.grant.subject, "capabilities": list(one.grant.capabilities),
        "issued_at": utc(one.grant.issued_at), "expires_at": utc(one.grant.expires_at), "state": one.state,
        "grant": one.sha256,
    }  # fmt: skip
