"""Make the next key the current one, and commit to a new next key. A plain rotation is hygiene: it says that the old
key was safe, and what it signed stays good. With --compromised it says that somebody else may have had it: nothing by
a key before this rotation is taken any more, except what a repository has received already.
"""

from __future__ import annotations

import argparse
import time
from datetime import datetime, timezone

from git_auths import output
from git_auths.core import seals, sshsig
from git_auths.core.kel import Kel
from git_auths.errors import Error, Refusal, UsageError
from git_auths.store import keyevents, keyjournal, keystore, settings, sshagent
from git_auths.store.keyevents import Request
from git_auths.store.repository import NotARepository, Repository
from git_auths.store.secrets import Secrets

DATE_FORMATS = ("%Y-%m-%d", seals.TIME_FORMAT)
EARLIEST = int(datetime(2000, 1, 1, tzinfo=timezone.utc).timestamp())  # no key of these was lost before
UPDATE = "git auths kel update"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--alias", help="another identity than the one that signs here")
    parser.add_argument("--next-key", metavar="PATH", help="put the new next key there: a stick, a safe")
    parser.add_argument("--compromised", action="store_true",
                        help="somebody else may have the key: nothing by it is taken any more")  # fmt: skip
    parser.add_argument("--since", metavar="EVENT",
                        help="the first event in doubt, by number or digest: delegations and grants sealed from it on "
                             "are void (default: the one that introduced the key)")  # fmt: skip
    parser.add_argument("--at", metavar="TIME", help="when it was lost, as 2026-01-31T12:00:00Z (default: now)")
    parser.add_argument("--propose", metavar="FILE",
                        help="where its keys lie on several machines: each adds its own to FILE")  # fmt: skip
    parser.add_argument("--threshold", metavar="T",
                        help="with --propose: make the event now, without the keys that are not in FILE")  # fmt: skip
    parser.add_argument("--yes", action="store_true", help="with --propose: sign the event without asking")
    parser.add_argument("--receive", action=argparse.BooleanOptionalAction,
                        help="add receipts for what stays good without it (default: ask at a terminal)")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    if not args.compromised and (args.since, args.at, args.receive) != (None, None, None):
        raise UsageError("--since, --at and --receive belong to --compromised", "git auths rotate --compromised")
    if args.propose is None and (args.threshold is not None or args.yes):
        raise UsageError("--threshold and --yes belong to --propose", "git auths rotate --propose FILE")
    alias = settings.signing_alias() if args.alias is None else args.alias
    repository = here()
    if keystore.complete(alias):
        return say_completed(args, alias, repository)
    identity = keystore.load(alias)
    before = keyevents.own_log(identity)
    ahead = None if repository is None else continued_at(repository, identity)
    if ahead is not None:
        if not args.compromised:
            raise Refusal(f"the log of '{alias}' in {ahead} has events that this machine does not know; a rotation "
                          "here would fork it",
                          "if somebody else made them: git auths rotate --compromised; if you did: copy "
                          f"{identity.folder} from where you did, or git auths kel update --take")  # fmt: skip
        output.warning(f"the log in {ahead} has events that this machine does not know; this rotation goes on "
                       "without them, and an admin's merge chooses its side")  # fmt: skip
    anchors = [compromise(before, args.since, args.at)] if args.compromised else []
    if args.propose is not None:
        from git_auths.commands import rotate_propose

        return rotate_propose.propose(args, identity, before, anchors)
    was_unlocked = is_in_agent(identity)
    rotated = keyevents.rotate(alias, args.secrets, anchors, args.next_key)
    if isinstance(rotated, Request):
        return say_request(identity)
    identity = keystore.load(alias)
    say_rotated(identity, rotated)
    if was_unlocked:
        output.note("ssh-agent has forgotten the old key")
        output.hint("git auths unlock loads the new one")
    if args.compromised:
        output.note(f"declared compromised: every key before it; delegations and grants from event "
                    f"{int(anchors[0]['s'], 16)} on are void; since {anchors[0]['t']}")  # fmt: skip
    record(repository, identity, args.secrets)
    if args.compromised and repository is not None:
        keep_good(repository, rotated.did, args.receive)
    output.data(rotated.did)
    return 0


def here() -> Repository | None:
    try:
        return Repository()
    except NotARepository:
        return None


def say_completed(args: argparse.Namespace, alias: str, repository: Repository | None) -> int:
    """The rotation that was cut off is finished, and that is all: whoever gives the command again wants one."""
    identity = keystore.load(alias)
    keyjournal.require_complete(identity)
    keyevents.forget_previous(identity)
    output.note(f"a rotation of '{alias}' was interrupted; it is complete now")
    rotated = keyevents.own_log(identity)
    say_rotated(identity, rotated)
    record(repository, identity, args.secrets)
    output.data(rotated.did)
    last = rotated.establishments()[-1]
    if not args.compromised or any(isinstance(seals.parse(one), seals.Compromise) for one in last.anchors):
        output.hint("it was not rotated once more; to do that, run this again")
        return 0
    output.warning("that rotation was a plain one, which declares nothing compromised")
    output.hint(f"git auths rotate --compromised --since {rotated.establishments()[-2].sn}")
    return 1


def compromise(log: Kel, since: str | None, at: str | None) -> dict[str, str]:
    """The seal that declares the keys before the rotation lost."""
    wanted = log.state.said if since is None else since
    found = [event for event in log.events if wanted in (event.said, str(event.sn))]
    if not found:
        raise UsageError(f"{wanted!r} is no event of {log.did}, which has events 0 to {log.sn}",
                         "git auths whoami --export | git auths kel show - lists them")  # fmt: skip
    now = int(time.time())
    at_seconds = now if at is None else seconds(at)
    if at_seconds > now:
        raise UsageError(f"{at} is later than now", "--at takes when the key was lost")
    if at_seconds < EARLIEST:
        raise UsageError(f"{at} is before there were such keys", "--at takes when the key was lost")
    seal = seals.compromise(found[0].sn, found[0].said, at_seconds)
    if seals.parse(seal) != seals.Compromise(found[0].sn, found[0].said, at_seconds):
        raise Error(f"nobody would read this as a declaration, so nothing was rotated: {seal}")
    return seal


def seconds(text: str) -> int:
    for form in DATE_FORMATS:
        try:
            return int(datetime.strptime(text, form).replace(tzinfo=timezone.utc).timestamp())
        except ValueError:
            continue
    raise UsageError(f"{text!r} is no time like 2026-01-31T12:00:00Z, in UTC, or a date", "--at 2026-01-31")


def is_in_agent(identity: keystore.Identity) -> bool:
    try:
        return any(blob == identity.current_blob for blob, _ in sshagent.list_keys())
    except Error:  # an agent that is broken keeps nobody from rotating
        return False


def continued_at(repository: Repository, identity: keystore.Identity) -> str | None:
    from git_auths.store import recording

    return recording.continued_at(repository, identity)


def say_rotated(identity: keystore.Identity, log: Kel) -> None:
    state = log.state
    for key in state.keys:
        output.note(f"current from event {state.sn} on: {sshsig.fingerprint(key.ssh_blob())}")
    output.note(f"the next key is in {keystore.next_file(identity)}")


def say_request(identity: keystore.Identity) -> int:
    """A delegate rotates by its delegator's seal: hand out what that has to be asked."""
    from git_auths.commands import device

    output.note(f"'{identity.alias}' is delegated: its key stays current until its owner has sealed this request")
    device.hand_out(device.request_of(identity))
    return 0


def record(repository: Repository | None, identity: keystore.Identity, secrets: Secrets) -> None:
    """Commit the growth where HEAD has the log. The rotation stands whether that succeeds or not."""
    if repository is None or repository.bare:
        output.hint(f"each repository that has the log learns of it by: {UPDATE}")
        return
    from git_auths.store import recording

    ahead = continued_at(repository, identity)
    if ahead is not None:
        output.warning(f"rotated, but not committed here: the log in {ahead} has gone on without this machine")
        output.hint(f"git auths kel show did:keri:{identity.aid} shows its side; an admin's merge chooses one")
        return
    if identity.aid not in recording.lagging(repository):
        output.hint(f"HEAD here has no log of it, or all; each repository that lags learns of it by: {UPDATE}")
        return
    if not keyevents.own_log(identity).current_signing_keys():
        output.hint(f"it signs no commits by itself; who does runs: {UPDATE}")
        return
    message = f"Rotate the key of did:keri:{identity.aid}"
    try:
        id = recording.commit(repository, message, identity, secrets, {identity.aid: keystore.read_kel(identity)})
    except Error as error:
        output.warning(f"rotated, but not committed here: {error.message}")
        output.hint(error.hint or UPDATE)
        return
    output.note(f"committed here: {id}")
    output.hint(f"push it; in other repositories: {UPDATE}")


def keep_good(repository: Repository, did: str, said: bool | None) -> None:
    """Offer receipts for what rests on no key of `did`: that stays good, whoever forges what with its keys."""
    from git_auths.commands import receive
    from git_auths.store.worktree_policy import Folder

    if settings.pins(repository.path) is None or repository.bare:
        return
    try:
        kept = [one for one in receive.offered(repository, said) if did not in one.signers]
        if (kept or said) and receive.add(Folder(repository), kept):
            output.hint(receive.COMMIT_HINT)
    except Error as error:
        output.warning(f"no receipts: {error.message}")
        output.hint(error.hint or "git auths receive --all")
        return
    if said is None and not kept:
        output.hint("git auths receive --all keeps good what is good without that key, once this is on the mainline")
