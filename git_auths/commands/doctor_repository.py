"""The part of `doctor` that looks at a repository: what is pinned, how it is wired, what lags, what ends soon."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from git_auths.commands import kel_update
from git_auths.commands.doctor_ci import check_ci
from git_auths.commands.hooks import install_hooks
from git_auths.core.auths_folder import ALLOWED_SIGNERS, AuthsFolder, generated_allowed_signers, generated_id
from git_auths.core.expiring import Ending, ending
from git_auths.errors import Error, TooLarge
from git_auths.store import (
    ancestry,
    git,
    hookfiles,
    keystore,
    localcopy,
    notesync,
    recording,
    rewinds,
    settings,
    tips,
    trustroot,
    wiring,
)
from git_auths.store.health import BAD, OK, WARN, Finding
from git_auths.store.repository import Objects, Repository
from git_auths.store.secrets import Secrets
from git_auths.store.verdicts import Verifier
from git_auths.store.worktree_policy import MAX_ATTRIBUTES_BYTES, Folder, is_unconverted

CLOCK_STEP_SECONDS = 3600
ATTRIBUTES = b".gitattributes"
NEWEST_COMMITS = 100  # whose committer dates are compared with the clock
UPDATE = "git auths kel update"


def check_repository(repository: Repository, secrets: Secrets) -> Iterator[Finding]:
    try:
        pins = settings.pins(repository.path)
    except Error as error:
        yield Finding(BAD, error.message, error.hint)
        return
    yield from check_pins(repository, pins)
    yield from check_wiring(repository)
    yield from check_hooks(repository)
    yield from check_enforcement(repository)
    if not repository.bare:
        yield from check_logs(repository, secrets)
    if pins is None or repository.ref(pins.mainline) is None:
        return
    yield from check_mainline(repository, pins)
    yield from check_clock(repository, pins, int(time.time()))
    yield from check_notes(repository, pins)


def check_pins(repository: Repository, pins: settings.Pins | None) -> Iterator[Finding]:
    if pins is not None:
        if not repository.has(pins.root):
            yield Finding(BAD, f"the trust root {pins.root} is not in this repository",
                          "git fetch --unshallow, or git auths root pin OID")  # fmt: skip
        elif repository.ref(pins.mainline) is None:
            yield Finding(BAD, f"the mainline {pins.mainline} does not exist here",
                          f"git fetch, or git auths root pin --mainline FULL-REF {pins.root}")  # fmt: skip
        else:
            yield Finding(OK, f"the trust root {pins.root} and the mainline {pins.mainline} are pinned")
        return
    head = repository.head()
    if head is not None and trustroot.folder_at(repository, head).policy_id:
        yield Finding(BAD, "HEAD has a policy, but no trust root is pinned in this clone", "git auths setup")
    else:
        yield Finding(WARN, "no trust root is pinned, and HEAD has no policy", "git auths policy init starts one")


def check_wiring(repository: Repository) -> Iterator[Finding]:
    if repository.bare:
        return
    alias = wired_alias(repository)
    lacking = wiring.unwired(repository, alias)
    if not lacking:
        yield Finding(OK, "git's configuration is as git-auths needs it")
        return

    def wire() -> str:
        return "set " + ", ".join(wiring.wire(repository, alias))

    names = ", ".join(setting.key for setting in lacking)
    yield Finding(WARN, f"not as git-auths needs it in this repository's configuration: {names}", "git auths setup",
                  wire)  # fmt: skip


def wired_alias(repository: Repository) -> str | None:
    """The identity that is to sign here; none where there is none, or somebody has chosen a key of another kind."""
    alias, key = settings.signing_alias(repository.path), settings.get("user.signingKey", repository.path)
    is_ours = key is None or key.startswith(settings.SIGNING_KEY_PREFIX)
    return alias if is_ours and alias in keystore.aliases() else None


def check_hooks(repository: Repository) -> Iterator[Finding]:
    names = hookfiles.SERVER if repository.bare else hookfiles.CLIENT
    stale = [name for name in names if not is_current(repository, name)]
    if not stale:
        yield Finding(OK, f"the hooks are installed: {', '.join(names)}")
        return

    def install() -> str:
        return "installed " + ", ".join(install_hooks(repository, names))

    command = "git auths hooks install" + (" --server" if repository.bare else "")
    yield Finding(WARN, f"hooks that are missing or old: {', '.join(stale)}", command, install)


def is_current(repository: Repository, name: str) -> bool:
    at = hookfiles.installed_at(repository, name)
    return at is not None and at == hookfiles.place(repository, name) and hookfiles.is_current(at)


def check_enforcement(repository: Repository) -> Iterator[Finding]:
    try:
        observes = settings.only_observes(repository.path)
    except Error as error:
        yield Finding(BAD, error.message, error.hint)
        return
    if observes:
        yield Finding(WARN, f"{settings.ENFORCE} is observe: the push hooks warn, and refuse nothing",
                      f"git config --local {settings.ENFORCE} true")  # fmt: skip
    key = settings.ENFORCE_ON_SIGN
    status, value = git.attempt("config", "--type=bool", "--get", key, cwd=repository.path, allow=(0, 1, 128))
    if status == 128:
        yield Finding(BAD, f"{key} is neither true nor false", f"git config --local {key} true")
    elif value.strip() == b"false":
        yield Finding(WARN, f"{key} is false: what the policy refuses is signed all the same",
                      f"git config --local {key} true")  # fmt: skip


def check_logs(repository: Repository, secrets: Secrets) -> Iterator[Finding]:
    """How this machine's logs stand to those of HEAD and the mainline."""
    for where, identity in kel_update.approvals(repository):
        yield Finding(WARN, f"{where} has what '{identity.alias}' has asked its owner for", kel_update.finish(identity))
    alarms = [Finding(BAD, kel_update.alarm(*one), kel_update.look(one[1])) for one in kel_update.elsewhere(repository)]
    yield from alarms
    kels, waiting = recording.lagging(repository), kel_update.waiting_grants(repository)

    def update() -> str:
        kel_update.record(repository, None, secrets)
        return f"committed {repository.head()}"

    if kels:
        dids = ", ".join(f"did:keri:{aid}" for aid in kels)
        yield Finding(WARN, f"HEAD has not all of the log of {dids}", UPDATE, update)
    elif waiting:
        yield Finding(WARN, f"{len(waiting)} sealed grants are not committed", UPDATE, update)
    elif not alarms and len(recording.identities()) == len(keystore.aliases()):
        yield Finding(OK, "HEAD has all of the logs of this machine that it knows")


def check_mainline(repository: Repository, pins: settings.Pins) -> Iterator[Finding]:
    """What the tree at the mainline's tip says; whether it is good is for `status` and `verify`."""
    tip = repository.resolve(pins.mainline)
    folder = trustroot.folder_at(repository, tip)
    if folder.fault is not None:
        yield Finding(BAD, f"{pins.mainline}: {folder.fault.reason} ({folder.fault.verdict})", "git auths verify")
        return
    yield from (expiry(one, int(time.time())) for one in ending(folder, int(time.time())))
    yield from check_allowed_signers(repository, folder, pins)
    if folder.policy is not None:
        yield from check_attributes(repository, folder, pins)
        yield from check_ci(repository, folder)


def expiry(one: Ending, now: int) -> Finding:
    who = f"{one.subject} ({one.name})" if one.name else one.subject
    day = time.strftime("%Y-%m-%d", time.gmtime(one.expires_at))
    when = f"ended on {day}" if one.expires_at <= now else f"ends on {day}"
    role = "the right to sign" if one.kind == "signer" else f"the grant as {one.kind}"
    return Finding(WARN, f"{role} of {who} {when}",
                   "git auths receive --expiring keeps good what rests on it; then renew it")  # fmt: skip


def check_allowed_signers(repository: Repository, folder: AuthsFolder, pins: settings.Pins) -> Iterator[Finding]:
    if folder.policy is None:
        return
    if folder.files.get(ALLOWED_SIGNERS) != generated_id(folder):
        fix = None if repository.bare else partial(stage_allowed_signers, repository)
        yield Finding(WARN, f".auths/allowed_signers of {pins.mainline} is not as generated from its policy and logs",
                      "git auths doctor --fix stages it", fix)  # fmt: skip
    if repository.bare:
        return
    copy = localcopy.allowed_signers_file(repository)
    wanted = generated_allowed_signers(folder)
    if content(copy) != wanted and is_from_before(repository, content(copy), pins):
        yield Finding(OK, f"{copy}, which stock git reads, is of before {pins.mainline} moved on: it is renewed when "
                      "that is found good, as by git auths verify", None, partial(renew_copy, repository))  # fmt: skip
    elif content(copy) != wanted:
        yield Finding(WARN, f"{copy}, which stock git reads, is not that of {pins.mainline}", "git auths verify",
                      partial(renew_copy, repository))  # fmt: skip
    else:
        yield Finding(OK, "allowed_signers is as generated")


def check_attributes(repository: Repository, folder: AuthsFolder, pins: settings.Pins) -> Iterator[Finding]:
    """Attributes of folders above .auths/ can let git rewrite what is in there."""
    id = folder.files.get(ATTRIBUTES)
    if id is not None:
        with Objects(repository.path) as objects, suppress(TooLarge):
            if is_unconverted(objects.read(id, MAX_ATTRIBUTES_BYTES)[1]):
                return
    fix = None if repository.bare else partial(stage_attributes, repository)
    yield Finding(WARN, f".auths/.gitattributes of {pins.mainline} does not keep git from converting what is below "
                  ".auths/", "git auths doctor --fix stages that; an admin commits it", fix)  # fmt: skip


def stage_attributes(repository: Repository) -> str:
    if not Folder(repository).write_attributes():
        return "it is so here already; git commit, and a merge, make it so there"
    return "staged; git commit makes it so, by an admin"


def is_from_before(repository: Repository, copy: bytes, pins: settings.Pins) -> bool:
    """Is that the copy of the mainline where it was last found good, and has it only moved on since?"""
    tip = repository.resolve(pins.mainline)
    for commit in (tips.Tips(repository.common_dir).known(pins.mainline), pins.root):
        if commit is not None and repository.has(commit) and ancestry.is_on_chain(repository, tip, commit):
            return copy == generated_allowed_signers(trustroot.folder_at(repository, commit))
    return False


def content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def stage_allowed_signers(repository: Repository) -> str:
    Folder(repository).write_allowed_signers()
    return "staged as generated from what is staged; git commit makes it so"


def renew_copy(repository: Repository) -> str:
    """Only a good mainline may write it."""
    with Verifier(repository) as verifier:
        bad = [*verifier.verify([verifier.mainline_tip]).not_good(), *rewinds.found(verifier, {})]
        if bad:
            raise Error(f"the mainline is not good: {bad[0].id} {bad[0].verdict}: {bad[0].reason}", "git auths verify")
        localcopy.write_allowed_signers(verifier)
        rewinds.remember(verifier, {})
    return "renewed"


def check_clock(repository: Repository, pins: settings.Pins, now: int) -> Iterator[Finding]:
    """A clock that is behind takes for valid what has ended, and makes commits that others find older than they are."""
    listed = repository.git("log", f"--max-count={NEWEST_COMMITS}", "--no-show-signature", "--format=%ct",
                            pins.mainline, "--")  # fmt: skip
    newest = max(map(int, listed.split()), default=0)
    if now < newest - CLOCK_STEP_SECONDS:
        ahead = (newest - now) // 60
        yield Finding(WARN, f"a commit of {pins.mainline} is dated {ahead} minutes after this machine's clock",
                      "set the clock; if it is right, that commit is dated ahead")  # fmt: skip


def check_notes(repository: Repository, pins: settings.Pins) -> Iterator[Finding]:
    """Attestations that were never fetched count for nothing here."""
    if not pins.mainline.startswith("refs/remotes/") or repository.ref(settings.NOTES_REF) is not None:
        return
    remote = pins.mainline.split("/")[2]
    if repository.ref(notesync.tracking_ref(repository.path, remote)) is None:
        yield Finding(WARN, f"there are no attestations of {remote} here: none were fetched, or it has none",
                      "git auths sync", partial(fetch_notes, repository, remote))  # fmt: skip


def fetch_notes(repository: Repository, remote: str) -> str:
    return f"fetched, {notesync.receive(repository.path, remote)} of them new"
