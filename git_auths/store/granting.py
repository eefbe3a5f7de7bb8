"""Making grants: statements that an issuer signs, seals in its key event log, and commits (DESIGN section 4).

A grant's file lies in the issuer's own folder, `grants/<sha256 of payload>.json`, from before it is sealed until a
repository has it. So whatever is cut off between the two leaves a file that the next run commits, or one that no seal
names, which is nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from git_auths.core import dsse, grants, kelbuild, keyevent, seals
from git_auths.core.authority import Authority, ledger
from git_auths.core.auths_folder import AuthsFolder, AuthsFolders, extends
from git_auths.core.grants import Grant, GrantInvalid
from git_auths.core.kel import DelegatorUnknown, Kel, KelInvalid, replay
from git_auths.core.kelstream import StreamBroken, messages
from git_auths.errors import Error, Refusal
from git_auths.store import eventproposals, keyevents, keystore, passphrase, recording, settings, sshagent
from git_auths.store.atomic import write_file
from git_auths.store.authorisation import Inquiry
from git_auths.store.repository import Objects, Repository
from git_auths.store.secrets import Secrets
from git_auths.store.signing import ssh_signature

WAITING = "grants"  # in an identity's folder: files that no repository has yet
ENDING = ".json"
DID_PREFIX = "did:keri:"


class Place(NamedTuple):
    """A repository whose root is pinned, and `.auths` as HEAD has it."""

    repository: Repository
    root: str
    folder: AuthsFolder


class Granted(NamedTuple):
    """A grant that is sealed in a tree; `state`: active, expired, or revoked (also: by keys that are in doubt)."""

    sha256: str
    grant: Grant
    state: str


class Sealed(NamedTuple):
    """The issuer's log with the seals, its bytes, and the files of the grants."""

    kel: Kel
    stream: bytes
    files: list[bytes]


class Issued(NamedTuple):
    """What was sealed, and the commit that has it; None where the repository had everything already."""

    sealed: Sealed
    commit: str | None


def place(repository: Repository) -> Place:
    """Where grants can be made. An Error with the next step where no root is pinned, or HEAD has no `.auths`."""
    pins = settings.pins(repository.path)
    if pins is None:
        raise Error("no trust root is pinned here, and a grant counts under one root only", "git auths setup")
    repository.worktree()
    head = repository.head()
    if head is None:
        raise Error("there is no commit yet, so no policy", "git auths policy init")
    with Objects(repository.path) as objects:
        folder = AuthsFolders(objects.read, repository.hex_length, pins.root)(objects.auths_tree(head))
    if folder.fault is not None:
        raise Error(f".auths at HEAD cannot be read: {folder.fault.reason}", "git auths verify HEAD")
    if folder.policy is None:
        raise Error("HEAD has no .auths/policy.toml", "check out a branch that has one")
    return Place(repository, pins.root, folder)


def in_folder(folder: AuthsFolder, now: int) -> list[Granted]:
    """The grants that the logs in `folder` seal, by their times of issue. `now` is in Unix seconds."""
    found = [Granted(sha256, grant, _state(folder.authority, sha256, now)) for sha256, grant in folder.grants.items()]
    return sorted(found, key=lambda one: (one.grant.issued_at, one.sha256))


def _state(authority: Authority, sha256: str, now: int) -> str:
    if not authority.counts(sha256) or not authority.stands(authority.grants[sha256].issuer):
        return "revoked"
    return "active" if now < authority.grants[sha256].expires_at else "expired"


def seal(alias: str, wanted: Sequence[Grant], secrets: Secrets, anchors: Sequence[dict[str, str]] = ()) -> Sealed:
    """Sign the grants and seal them, with `anchors` beside them, in one event of the issuer's log.

    Both are on the disk of this machine when it returns. Raises errors.Error.
    """
    identity = keystore.load(alias)
    secrets = opened(identity, secrets)
    files = sign(identity, wanted, secrets)
    kel = keyevents.seal(alias, [*map(seals.grant, files), *anchors], secrets)
    return Sealed(kel, keystore.read_kel(identity), list(files.values()))


def propose(alias: str, wanted: Sequence[Grant], secrets: Secrets, path: str,
            anchors: Sequence[dict[str, str]] = ()) -> None:  # fmt: skip
    """Like `seal`, where others hold keys that the event takes: it is put into a file at `path` for them to sign, with
    the signatures of the keys that are here. Raises errors.Error."""
    identity = keystore.load(alias)
    secrets = opened(identity, secrets)
    files = sign(identity, wanted, secrets)
    payloads = [dsse.parse(file).payload for file in files.values()]
    eventproposals.seal(alias, [*map(seals.grant, files), *anchors], secrets, path, payloads)


def is_proposed(identity: keystore.Identity, log: Kel, event: bytes, wanted: Sequence[Grant],
                anchors: Sequence[dict[str, str]] = ()) -> bool:  # fmt: skip
    """Is `event` what `propose` would make, but for the times of the grants? Those it seals have to wait in the
    identity's folder, where nobody else puts one: so whoever wrote the event down chose none of them."""
    kept_ones = kept(identity)
    body = keyevent.parse_body(event)
    found = [kept_ones[seal.sha256][0] for seal in map(seals.parse, body.anchors[: len(wanted)])
             if isinstance(seal, seals.Grant) and seal.sha256 in kept_ones]  # fmt: skip
    return (
        len(found) == len(wanted)
        and all(map(_alike, found, wanted))
        and body.anchors[len(wanted) :] == tuple(anchors)
        and event == kelbuild.interaction(log, body.anchors)
    )


def has_enough_keys(identity: keystore.Identity, log: Kel) -> bool:
    """Do the identity's keys on this machine meet the threshold of its log?"""
    held = {keystore.public_blob_of(keystore.CURRENT, pem) for pem in keystore.read_currents(identity)}
    state = log.state
    return state.kt.met([place for place, key in enumerate(state.keys) if key.ssh_blob() in held], state.keys)


def issue(place: Place, alias: str, wanted: Sequence[Grant], secrets: Secrets, message: str,
          kels: Mapping[str, bytes] | None = None, anchors: Sequence[dict[str, str]] = ()) -> Issued:  # fmt: skip
    """`seal`, and commit that with the logs in `kels` (by AID). Raises errors.Error."""
    issuer = ready(place, alias)
    own = opened(issuer, secrets)
    sealed = seal(alias, wanted, own, anchors)
    is_signer = settings.signing_alias(place.repository.path) == alias
    return Issued(sealed, commit(place, issuer, own if is_signer else secrets, message, kels))


def ready(place: Place, alias: str) -> keystore.Identity:
    """The issuer. An Error, or a Refusal by the policy, where what it seals could not be committed here: a seal cannot
    be taken back."""
    repository = place.repository
    head = recording.require_committable(repository)
    signer = keystore.load(settings.signing_alias(repository.path))
    people = [repository.git("var", f"GIT_{who}_IDENT") for who in ("AUTHOR", "COMMITTER")]
    tree = repository.resolve(head, "tree")
    payload = f"tree {tree}\nparent {head}\n".encode() + b"author " + people[0] + b"committer " + people[1] + b"\n"
    with Inquiry(payload) as inquiry:
        inquiry.require(signer)
    issuer = keystore.load(alias)
    require_in_step(issuer, place)
    return issuer


def commit(place: Place, issuer: keystore.Identity, secrets: Secrets, message: str,
           kels: Mapping[str, bytes] | None = None) -> str | None:  # fmt: skip
    """Commit the issuer's log, those in `kels`, and the files of all grants that it has sealed and that wait: signed
    by the identity that signs here. The commit's id; None where the repository has it all. Raises errors.Error."""
    signer = keystore.load(settings.signing_alias(place.repository.path))
    files = waiting(issuer, place)
    logs = {**(kels or {}), issuer.aid: keystore.read_kel(issuer)}
    id = recording.commit(place.repository, message, signer, secrets, logs, files.values())
    for sha256 in files:
        forget(issuer, sha256)
    return id


def opened(identity: keystore.Identity, secrets: Secrets) -> Secrets:
    """The secrets with the passphrase of this identity's key files, so that its owner is asked for it once."""
    if secrets.passphrase is not None or identity.current_blob in [blob for blob, _ in sshagent.list_keys()]:
        return secrets
    found = passphrase.unlock_all(identity.alias, keystore.read_currents(identity), secrets)[0].passphrase
    return Secrets(found, secrets.private_key, secrets.private_key_fd, secrets.tokens, secrets.did)


def sign(identity: keystore.Identity, wanted: Sequence[Grant], secrets: Secrets) -> dict[str, bytes]:
    """The files of the grants, by digest; they wait in the issuer's folder from now on."""
    files = {}
    for grant in wanted:
        payload = grants.payload(grant)
        files[grants.digest(payload)] = signed(payload, identity, secrets)
    for sha256, file in files.items():
        keep(identity, sha256, file)
    return files


def signed(payload: bytes, identity: keystore.Identity, secrets: Secrets) -> bytes:
    """The file of a grant: its envelope, signed with each current key of the issuer that is on this machine."""
    made = [_envelope(payload, identity.current_blob, lambda data: ssh_signature(identity, data, secrets))]
    others = keystore.read_currents(identity)[1 : dsse.MAX_SIGNATURES]
    for one in passphrase.unlock_all(identity.alias, others, secrets):
        made.append(_envelope(payload, one.private.public_blob, one.private.sign))
    return dsse.serialise(dsse.Envelope(payload, tuple(one for envelope in made for one in envelope.signatures)))


def _envelope(payload: bytes, key: bytes, ssh_sign: Callable[[bytes], bytes]) -> dsse.Envelope:
    return dsse.sign(payload, key, lambda data: dsse.signature_from_ssh(ssh_sign(data)))


def require_in_step(identity: keystore.Identity, place: Place) -> None:
    """An Error where the log that HEAD or the mainline has is not a beginning of this machine's: a further event here
    would fork it."""
    present = place.folder.kels.get(identity.aid)
    own = None if present is None else own_log(identity, place.folder)
    if own is None or present is None or extends(own, present):
        ahead = recording.continued_at(place.repository, identity)
        if ahead is None:
            return
        raise Error(f"the log of '{identity.alias}' in {ahead} has events that this machine does not know, and that "
                    "its keys have signed",
                    "git auths kel update shows them; if they are yours, git auths kel update --take")  # fmt: skip
    if extends(present, own):
        raise Error(f"the repository has a longer log of '{identity.alias}' than this machine",
                    "git auths kel update shows it; if it is yours, git auths kel update --take")  # fmt: skip
    raise Error(f"the log of '{identity.alias}' on this machine and the one that the repository has have forked",
                f"git auths kel show {present.did} shows the repository's; a fork can mean a stolen key")  # fmt: skip


def own_log(identity: keystore.Identity, folder: AuthsFolder) -> Kel:
    """The log on this machine, replayed; its delegators are looked up in `folder`."""
    stream = keystore.read_kel(identity)
    try:
        return replay(stream, folder.kels)
    except KelInvalid as error:
        if _waits(stream):
            raise Refusal(f"'{identity.alias}' waits for its owner to approve it",
                          "git auths device finish, once what was approved is pulled") from None  # fmt: skip
        if isinstance(error, DelegatorUnknown):
            raise Error(f"HEAD has no log of {DID_PREFIX}{error.delegator}, whose delegate '{identity.alias}' is",
                        "check out a branch that has it, or git pull, where others have it") from None  # fmt: skip
        raise Error(f"the log of '{identity.alias}' on this machine is damaged: {error}",
                    f"git auths kel verify {os.path.join(identity.folder, keystore.KEL)}") from None  # fmt: skip


def _waits(stream: bytes) -> bool:
    """Does a delegate's log begin with an event that names no seal?"""
    with suppress(StreamBroken):
        first = next(messages(stream), None)
        return first is not None and first.body.ilk == "dip" and first.attachments.source is None
    return False


def keep(identity: keystore.Identity, sha256: str, file: bytes) -> None:
    """Put a grant's file where it waits for its commit."""
    folder = os.path.join(identity.folder, WAITING)
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
    except OSError as error:
        raise Error(f"cannot make {folder}: {error.strerror}") from None
    write_file(os.path.join(folder, sha256 + ENDING), file)


def forget(identity: keystore.Identity, sha256: str) -> None:
    """The grant's file is committed, or is not to be."""
    with suppress(FileNotFoundError):
        os.unlink(os.path.join(identity.folder, WAITING, sha256 + ENDING))


def waiting(identity: keystore.Identity, place: Place) -> dict[str, bytes]:
    """The files, by digest, of grants under the root here that this identity's log seals, and that no commit has."""
    found = kept(identity)
    sealed = ledger(own_log(identity, place.folder)).granted if found else {}
    return {
        sha256: file for sha256, (grant, file) in found.items()
        if sha256 in sealed and grant.root == place.root
    }  # fmt: skip


def kept(identity: keystore.Identity) -> dict[str, tuple[Grant, bytes]]:
    """Every grant that waits in the identity's folder, and its file, by digest."""
    folder = os.path.join(identity.folder, WAITING)
    found = {}
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        with suppress(GrantInvalid, OSError):
            file = Path(folder, name).read_bytes()
            sha256, grant = grants.read(file)
            if name == sha256 + ENDING:
                found[sha256] = grant, file
    return found


def kept_alike(identity: keystore.Identity, wanted: Grant) -> str | None:
    """The digest of a grant that waits, has not expired, and says the same but for its times."""
    for sha256, (grant, _) in kept(identity).items():
        if _alike(grant, wanted):
            return sha256
    return None


def _alike(grant: Grant, wanted: Grant) -> bool:
    """Do they say the same but for their times, the one before it has expired?"""
    same_times = grant._replace(issued_at=wanted.issued_at, expires_at=wanted.expires_at)
    return same_times == wanted and grant.expires_at > wanted.issued_at
