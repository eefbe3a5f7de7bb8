"""Agents: programs that sign under an identity of their own, narrowly and for a while, never as you.

`agent new` makes one and commits what it may do; `agent run NAME -- COMMAND` gives a command a private ssh-agent with
that agent's key alone, and hides yours. That keeps a command from signing as you by what it inherits; it is no
sandbox: whatever runs as your user can read your user's files, such as a key file that no passphrase locks.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from git_auths import output
from git_auths.commands import device
from git_auths.commands import grant as granter
from git_auths.core import cesr, opensshkey
from git_auths.core.authority import DID_PREFIX
from git_auths.core.grants import CAPABILITIES, Grant
from git_auths.core.policyschema import duration_seconds
from git_auths.core.policywords import utc
from git_auths.errors import Error, Refusal, UsageError
from git_auths.store import (
    agentserver,
    delegating,
    git,
    granting,
    keyevents,
    keystore,
    passphrase,
    recording,
    settings,
    sshagent,
    wiring,
)
from git_auths.store.atomic import write_file
from git_auths.store.delegating import Delegate
from git_auths.store.granting import Place
from git_auths.store.repository import Repository
from git_auths.store.secrets import Secrets
from git_auths.store.sshagent import AgentUseless

KIND = "agent"
DEFAULT_CAPABILITIES = "sign_commit"
DEFAULT_TTL = "8h"
MAX_TTL_SECONDS = 366 * 86400  # a year; an ssh-agent takes 32 bits of seconds
SIGNABLE = (b"SSHSIG", b"DSSEv1 ")  # how what git and DSSE want signed begins: PROTOCOL.sshsig; DSSE, protocol.md
RUNNER_FOLDER = "git-auths"  # below RUNNER_TEMP, which a runner of CI empties after each job


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = " ".join((__doc__ or "").split("\n\n")[1].split())
    author = " Author and committer of its commits are what git's configuration and GIT_AUTHOR_NAME say, as ever."
    actions = parser.add_subparsers(dest="action", required=True, metavar="new|run|list|renew|revoke")
    new = actions.add_parser("new", help="make an agent, let it sign for you for a while, and commit that")
    new.add_argument("name", metavar="NAME", help="what it is called, in the grant and on this machine")
    renew = actions.add_parser("renew", help="let agents go on, under the same identifiers: one event for all of them")
    renew.add_argument("names", nargs="+", metavar="NAME|DID")
    for action in (new, renew):
        what = f"of {', '.join(CAPABILITIES)} (default: {DEFAULT_CAPABILITIES}; renewed: as it was)"
        action.add_argument("--capability", action="append", metavar="NAME[,NAME]", help=what)
        action.add_argument("--ttl", default=DEFAULT_TTL, metavar="TIME", help="how long: 30m, 8h (the default), 2d")
        action.add_argument("--model", help="the model it runs on, for the rules' agent_models")
        action.add_argument("--provider", help="whose model that is")
    run_ = actions.add_parser("run", help="run a command that signs as the agent", epilog=parser.epilog + author)
    run_.add_argument("name", metavar="NAME", help="the agent")
    run_.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND [ARGUMENT ...]")
    where = "its keys are there, unencrypted (default: below RUNNER_TEMP, where that is set)"
    for action in (new, run_):
        action.add_argument("--in", dest="folder", metavar="FOLDER", help=where)
    shown = actions.add_parser("list", help="your agents, as HEAD has them")
    shown.add_argument("--json", action="store_true", help="one JSON document")
    shown.add_argument("--all", action="store_true", help="everybody's")
    revoke = actions.add_parser("revoke", help="end all that an agent may do")
    revoke.add_argument("agent", metavar="NAME|DID")
    revoke.add_argument("--dry-run", action="store_true", help="only list what would end")
    for action in (new, renew, shown, revoke):
        action.add_argument("--alias", metavar="OWNER", help="whose agent (default: the identity that signs here)")


def run(args: argparse.Namespace) -> int:
    if args.action == "new":
        return new(args)
    if args.action == "run":
        return run_command(args)
    if args.action == "list":
        return show(args)
    if args.action == "renew":
        return renew(args)
    device.end(args, KIND, args.agent)
    return 0


def new(args: argparse.Namespace) -> int:
    """Make the identity, seal it with its grant in one event, commit both, and make its key ready for use."""
    place = granting.place(Repository())
    owner = keystore.load(args.alias or settings.signing_alias(place.repository.path))
    keyevents.require_lasting(owner)
    log = granting.own_log(owner, place.folder)
    delegating.require_depth(place, log)
    now = int(time.time())
    capabilities = granter.listed(args.capability or [DEFAULT_CAPABILITIES])
    stand_in = DID_PREFIX + cesr.digest(os.fsencode(args.name))  # until it has an identifier
    grant = device.checked(Grant(place.root, log.did, stand_in, KIND, capabilities, now, now + ttl(args), args.name,
                                 args.model, args.provider))  # fmt: skip
    folder = home_of_keys(args.folder)
    with delegating.home_at(folder):
        require_free(args, place, log.did)
    device.warn_of_rights_not_held(place, grant)
    identity = made(grant, owner, folder, args.secrets)
    delegating.require_not_revoked(log, identity.aid)
    did = DID_PREFIX + identity.aid
    is_granted = device.is_granted(place, owner.alias, did)
    wanted = [] if is_granted else [grant._replace(subject=did)]
    message = delegating.inception(identity)
    if device.waits_for_others(place, owner.alias, [message], wanted, args.secrets):
        return 0
    issued = delegating.issue(place, owner.alias, [message], wanted, args.secrets, f"Add the agent {args.name}")
    after = granting.place(place.repository)
    with delegating.home_at(folder):
        delegating.settle(args.name, after)
    grant = delegating.named(delegating.delegates(after, KIND, None, now), KIND, did, [log.did]).grant
    output.data(did)
    output.note(f"'{args.name}' may {', '.join(grant.capabilities)} for '{owner.alias}' until {utc(grant.expires_at)}, "
                f"by event {issued.sealed.kel.sn}")  # fmt: skip
    if issued.commit is not None:
        output.note(f"committed {issued.commit}")
    if folder is None:
        load_into_agent(identity, grant.expires_at - now, args.secrets)
    else:
        output.note(f"its keys are in {folder}, unencrypted")
    where = f" --in {shlex.quote(args.folder)}" if args.folder else ""
    output.hint(f"git auths agent run{where} {shlex.quote(args.name)} -- COMMAND")
    return 0


def ttl(args: argparse.Namespace) -> int:
    try:
        seconds = duration_seconds(args.ttl)
    except ValueError:
        raise UsageError(f"{args.ttl!r} is not a time like 30m, 8h or 2d", f"--ttl {DEFAULT_TTL}") from None
    if seconds > MAX_TTL_SECONDS:
        raise UsageError(f"{args.ttl} is longer than {MAX_TTL_SECONDS // 86400}d", "git auths agent renew goes on")
    return seconds


def home_of_keys(asked: str | None) -> str | None:
    """The folder, made and ours alone, that is the home of an agent's unencrypted keys; None: among the identities."""
    runner = os.environ.get("RUNNER_TEMP")
    folder = asked or (os.path.join(runner, RUNNER_FOLDER) if runner else None)
    if folder is None:
        return None
    folder = os.path.abspath(folder)
    require_not_to_be_committed(folder)
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
        status = os.lstat(folder)
    except OSError as error:
        raise Error(f"cannot make {folder}: {error.strerror}", "name another: --in FOLDER") from None
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise Error(f"others can write to {folder}", f"chmod 700 {shlex.quote(folder)}, or name another: --in FOLDER")
    return folder


def require_not_to_be_committed(folder: str) -> None:
    """Refuse a folder that `git add` would take, in whatever repository's working tree: the keys are unencrypted."""
    real = os.path.realpath(folder)
    there = real
    while not os.path.isdir(there):
        there = os.path.dirname(there)
    environ = git.environment_elsewhere()
    if git.run_as(environ, there, "rev-parse", "--is-inside-work-tree")[1].strip() != "true":
        return
    key = os.path.join(real, "identities", "agent", keystore.CURRENT)
    if git.run_as(environ, there, "check-ignore", "--quiet", "--", key)[0] != 0:
        raise Refusal(f"{folder} is in the working tree of a repository, and the keys would be unencrypted there",
                      "name one outside of it: --in FOLDER; or add it to .gitignore")  # fmt: skip


def require_free(args: argparse.Namespace, place: Place, owner: str) -> None:
    """Refuse a name that an agent has, unless it is one whose making was cut off."""
    name = args.name
    known = [one for one in delegating.delegates(place, KIND, place.folder.authority.principal(owner), int(time.time()))
             if one.grant.name == name]  # fmt: skip
    identity = keystore.load(name) if name in keystore.aliases() else None
    waits = delegating.waiting(identity) if identity is not None else None
    if waits is not None and waits.body.ilk == "dip":
        return
    living = [one for one in known if one.state != delegating.REVOKED]
    if living:
        went_on = "may sign until" if living[-1].state == delegating.ACTIVE else "could sign until"
        raise Refusal(f"there is an agent '{name}' already, {living[-1].did}: it {went_on} "
                      f"{utc(living[-1].grant.expires_at)}",
                      f"git auths agent renew {shlex.quote(name)}, or take another name")  # fmt: skip
    if identity is None:
        return
    if known:
        raise Refusal(f"the agent '{name}' was revoked, and its keys are still in {identity.folder}",
                      f"take another name; or rm -r {shlex.quote(identity.folder)}")  # fmt: skip
    raise Refusal(f"there is an identity '{name}' on this machine already, in {identity.folder}", "take another name")


def made(grant: Grant, owner: keystore.Identity, folder: str | None, secrets: Secrets) -> keystore.Identity:
    """The agent's identity; its files are locked like its owner's, or unencrypted in a folder of their own."""
    assert grant.name is not None
    noted = {"kind": KIND, "owner": grant.issuer, "name": grant.name, "model": grant.model,
             "provider": grant.provider, "expires_at": grant.expires_at}  # fmt: skip
    is_open = folder is not None or not locked_like(owner, secrets)
    with delegating.home_at(folder):
        return delegating.make(grant.name, owner.aid, noted, secrets, unencrypted=is_open)


def locked_like(owner: keystore.Identity, secrets: Secrets) -> bool:
    """Does a passphrase lock the owner's key? Then `secrets` has it from now on: nobody is asked twice."""
    [opened] = passphrase.unlock_all(owner.alias, [keystore.read_current(owner)], secrets)
    if opened.passphrase is None:
        return False
    secrets.passphrase = opened.passphrase
    return True


def load_into_agent(identity: keystore.Identity, seconds: int, secrets: Secrets) -> None:
    """Let ssh-agent hold the agent's key for as long as it may sign, where there is one. What was granted stays
    granted: a warning where it does not take the key."""
    if not os.environ.get("SSH_AUTH_SOCK"):
        return
    try:
        key = passphrase.unlock(identity.alias, keystore.read_current(identity), secrets)
        if sshagent.add(key, f"git-auths {identity.alias}", seconds):
            output.note(f"ssh-agent holds the key of '{identity.alias}' until then")
            return
        why = "it declined"
    except Error as error:
        why = error.message
    output.warning(f"ssh-agent did not take the key, so git auths agent run asks for the passphrase: {why}")


def renew(args: argparse.Namespace) -> int:
    """Grant again what the agents have, or what the options say, in one event; each keeps its identifier."""
    place = granting.place(Repository())
    owner = keystore.load(args.alias or settings.signing_alias(place.repository.path))
    now = int(time.time())
    found = delegating.delegates(place, KIND, device.principal(args, place), now)
    meant = (delegating.named(found, KIND, name, [DID_PREFIX + owner.aid]) for name in args.names)
    chosen = list({one.did: one for one in meant}.values())
    wanted = [renewed(args, one, owner, now) for one in chosen
              if not delegating.granted_and_waiting(place, owner.alias, one.did, now)]  # fmt: skip
    names = ", ".join(str(one.grant.name or one.did) for one in chosen)
    log = granting.own_log(owner, place.folder)
    aids = [one.did.removeprefix(DID_PREFIX) for one in chosen]
    for aid in aids:
        delegating.require_not_revoked(log, aid)
    asked = [message for aid in aids for message in delegating.in_doubt(place, log, aid)]
    if device.waits_for_others(place, owner.alias, asked, wanted, args.secrets):
        return 0
    issued = delegating.issue(place, owner.alias, asked, wanted, args.secrets, f"Renew {names}")
    after = delegating.delegates(granting.place(place.repository), KIND, None, now)
    for grant in [delegating.named(after, KIND, one.did, [log.did]).grant for one in chosen]:
        output.data(grant.subject)
        output.note(f"'{grant.name}' may {', '.join(grant.capabilities)} until {utc(grant.expires_at)}, by event "
                    f"{issued.sealed.kel.sn}")  # fmt: skip
        reload_into_agent(grant, now, args.secrets)
    if issued.commit is not None:
        output.note(f"committed {issued.commit}")
    return 0


def renewed(args: argparse.Namespace, one: Delegate, owner: keystore.Identity, now: int) -> Grant:
    if one.grant.issuer != DID_PREFIX + owner.aid:
        raise Refusal(f"{one.did} was granted what it may do by {one.grant.issuer}, not by '{owner.alias}'",
                      "git auths agent renew --alias OWNER NAME")  # fmt: skip
    return device.checked(one.grant._replace(
        capabilities=granter.listed(args.capability) if args.capability else one.grant.capabilities,
        issued_at=now, expires_at=now + ttl(args), model=args.model or one.grant.model,
        provider=args.provider or one.grant.provider,
    ))  # fmt: skip


def reload_into_agent(grant: Grant, now: int, secrets: Secrets) -> None:
    """The same key for the new time, where it is on this machine and an ssh-agent is."""
    identity = here(grant.subject)
    if identity is None:
        return
    with keystore.held(identity.alias):
        noted = {**keystore.metadata(identity), "expires_at": grant.expires_at}
        keystore.write_metadata(identity, noted)
    load_into_agent(identity, grant.expires_at - now, secrets)


def here(did: str) -> keystore.Identity | None:
    """The identity of this machine with that DID."""
    return next((identity for identity in recording.identities() if DID_PREFIX + identity.aid == did), None)


def show(args: argparse.Namespace) -> int:
    place = granting.place(Repository())
    found = delegating.delegates(place, KIND, None if args.all else device.principal(args, place), int(time.time()))
    if args.json:
        output.document({"version": 1, "agents": [device.as_json(one) for one in found]})
        return 0
    for one in found:
        output.data(device.as_line(one))
    return 0


def run_command(args: argparse.Namespace) -> int:
    """The command, with the agent's key and without its owner's ways to sign; its exit code."""
    command = command_of(args)
    if not command:
        raise UsageError("what is the agent to run?", "git auths agent run NAME -- COMMAND")
    place = granting.place(Repository())
    with delegating.home_at(home_with(args)):
        identity = keystore.load(args.name)
        grant = may_sign(place, identity)
        sign = signing(identity, args.secrets)
        kel = keystore.read_kel(identity)
    warn_of_open_keys(identity)
    if args.secrets.passphrase is not None:
        output.warning("AUTHS_PASSPHRASE is still in the environment of whoever started this, such as git: the command "
                       "runs as your user, and could read it there")  # fmt: skip
        output.hint("git auths unlock, or SSH_ASKPASS, keeps it out of every environment")
    with public_home(identity, kel) as home:
        environ = agentserver.with_settings({**os.environ, **described(grant)}, git_settings(identity.alias))
        return agentserver.run_with_agent(identity.current_blob, only_what_is_ours(sign), command, environ, home,
                                          f"git-auths {identity.alias}", grant.expires_at - time.time())  # fmt: skip


def command_of(args: argparse.Namespace) -> list[str]:
    """What follows `--`; an option that stands between the name and that is taken into `args`."""
    words: list[str] = args.command
    if words[:1] == ["--"]:
        return words[1:]
    if not words or not words[0].startswith("-"):
        return words
    match words:
        case ["--in", folder, "--", *command]:
            args.folder = folder
        case [option, "--", *command] if option.startswith("--in="):
            args.folder = option.removeprefix("--in=")
        case _:
            raise UsageError(f"{words[0]!r} is no command", "git auths agent run --in FOLDER NAME -- COMMAND")
    return command


def home_with(args: argparse.Namespace) -> str | None:
    """Where the agent's keys are: in --in FOLDER, or a runner's folder that has it, else among the identities."""
    runner = os.environ.get("RUNNER_TEMP")
    if args.folder or not runner:
        return os.path.abspath(args.folder) if args.folder else None
    folder = os.path.abspath(os.path.join(runner, RUNNER_FOLDER))
    with delegating.home_at(folder):
        return folder if args.name in keystore.aliases() else None


def may_sign(place: Place, identity: keystore.Identity) -> Grant:
    """The grant by which this agent signs at HEAD; a Refusal says why there is none."""
    did = DID_PREFIX + identity.aid
    name = shlex.quote(identity.alias)
    found = [one for one in delegating.delegates(place, KIND, None, int(time.time())) if one.did == did]
    if identity.aid not in place.folder.kels:
        raise Refusal(f"HEAD has no key event log of '{identity.alias}', {did}",
                      "check out a branch that has it, or merge what git auths agent new has committed")  # fmt: skip
    if not found:
        raise Refusal(f"HEAD has no grant that makes '{identity.alias}', {did}, an agent", "git auths agent list")
    [one] = found
    if one.state == delegating.EXPIRED:
        raise Refusal(f"the time of '{identity.alias}' was over at {utc(one.grant.expires_at)} (expired)",
                      f"git auths agent renew {name}")  # fmt: skip
    delegating.require_not_revoked(place.folder.kels[one.grant.issuer.removeprefix(DID_PREFIX)], identity.aid)
    pins = settings.pins(place.repository.path)
    tip = place.repository.ref(pins.mainline) if pins else None
    mainline = delegating.at(place.repository, tip) if tip else None
    issuer = mainline.folder.kel_of(one.grant.issuer) if mainline else None
    if issuer is not None:  # the branch of HEAD may be older than the revocation
        delegating.require_not_revoked(issuer, identity.aid)
    if one.state == delegating.REVOKED or not place.folder.authority.stands(did):
        raise Refusal(f"what made '{identity.alias}', {did}, an agent was sealed by a key that is in doubt",
                      f"git auths agent renew {name}")  # fmt: skip
    if did not in place.folder.signers.get(identity.current_blob, ()):
        raise Refusal(f"by the key event log at HEAD the key of '{identity.alias}' is not its current one",
                      f"git auths kel show {did}")  # fmt: skip
    return one.grant


def signing(identity: keystore.Identity, secrets: Secrets) -> agentserver.Sign:
    """How to sign with the agent's key: by our ssh-agent where that holds it, else with its file."""
    try:
        if identity.current_blob in {blob for blob, _ in sshagent.list_keys()}:
            return lambda data: sshagent.sign(identity.current_blob, data)
    except AgentUseless as error:
        output.warning(f"{error.message}: the key file signs instead")
    return passphrase.unlock(identity.alias, keystore.read_current(identity), secrets).sign


def only_what_is_ours(sign: agentserver.Sign) -> agentserver.Sign:
    """Like `sign`, for commits, tags and attestations alone: whoever could have a key event signed could let the agent
    admit others, or fork its log; and the key opens no ssh session."""
    return lambda data: sign(data) if data.startswith(SIGNABLE) else None


def warn_of_open_keys(agent: keystore.Identity) -> None:
    """Say which keys the command could simply read."""
    for alias in keystore.aliases():
        try:
            identity = keystore.load(alias)
            opened = identity.aid != agent.aid and any(map(is_open, keystore.read_currents(identity)))
        except Error as error:
            output.warning(f"whether a passphrase locks the key file of '{alias}' is not known: {error.message}")
            continue
        if opened:
            output.warning(f"no passphrase locks the key file of '{alias}': the command runs as your user, and could "
                           "read it and sign with it")  # fmt: skip


def is_open(pem: bytes) -> bool:
    try:
        return opensshkey.unencrypted_private(pem) is not None
    except opensshkey.KeyInvalid:
        return False


@contextmanager
def public_home(identity: keystore.Identity, kel: bytes) -> Iterator[str]:
    """A home with this identity and without its private keys, for as long as the context lasts."""
    home = tempfile.mkdtemp(prefix="auths-home-")
    try:
        folder = os.path.join(home, "identities", identity.alias)
        os.makedirs(folder, 0o700)
        write_file(os.path.join(folder, keystore.KEL), kel)
        noted = {**keystore.metadata(identity), keyevents.COPY_OF_A_RUN: True}  # no secret: `whoami` knows what it is
        write_file(os.path.join(folder, keystore.METADATA), json.dumps(noted).encode() + b"\n")
        write_file(os.path.join(folder, keystore.CURRENT), opensshkey.without_private(identity.current_blob))
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def git_settings(alias: str) -> dict[str, str]:
    """What makes a plain `git commit` sign as the agent, whatever the repository's configuration says."""
    return {
        "gpg.format": "ssh",
        "gpg.ssh.program": wiring.signing_program(),
        "user.signingKey": settings.SIGNING_KEY_PREFIX + alias,
        "commit.gpgSign": "true",
        "tag.gpgSign": "true",
        settings.IDENTITY: alias,
    }


def described(grant: Grant) -> dict[str, str]:
    """What the command learns of itself."""
    told = {"AGENT_ID": grant.subject, "AGENT_MODEL": grant.model, "AGENT_PROVIDER": grant.provider}
    return {name: value or "" for name, value in told.items()}
