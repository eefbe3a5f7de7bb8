"""The lasting identity of a pipeline: AUTHS_DID says who, AUTHS_PRIVATE_KEY or AUTHS_PRIVATE_KEY_FD has the key.

Nothing of it goes to the disk, and no child process gets any of it. The descriptor is to be preferred: whoever may look
at a process's environment sees the variable. What the repository at hand knows of the identity says whether the key is
a current one: the mainline's log of it, or the one at HEAD where that is longer, as on a branch that brings in a
rotation. A log shorter than another of the same identity can only be an older state of it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple

from git_auths.core import opensshkey
from git_auths.core.auths_folder import AuthsFolder, AuthsFolders, held_keys
from git_auths.core.kel import MAX_KEL_BYTES, Kel
from git_auths.core.opensshkey import MAX_FILE_BYTES, KeyInvalid, PrivateKey, WrongPassphrase
from git_auths.core.policy import is_did
from git_auths.core.sshsig import fingerprint
from git_auths.errors import Error, Refusal
from git_auths.store import git, settings
from git_auths.store.keystore import ENVIRONMENT, Identity
from git_auths.store.repository import Objects, Repository
from git_auths.store.secrets import DID, PASSPHRASE, PRIVATE_KEY, PRIVATE_KEY_FD, Secrets

CRLF_BYTES = 1024  # what a file of MAX_FILE_BYTES may have more where each line ends with CR LF


class Log(NamedTuple):
    """A pipeline's log as a commit has it: `where` says which, `folder` is all that lies beside it in `.auths`."""

    kel: Kel
    stream: bytes
    folder: AuthsFolder
    where: str


def identity(secrets: Secrets, path: Path | None = None) -> Identity:
    """The identity that the environment names, its key a current one by the repository at `path`.

    Only to be asked where `secrets.name_an_identity`. Raises errors.Error for half an identity, and for what is no DID
    or no key; Refusal where the repository does not know it, or its key is not one that signs alone now.
    """
    did = _did(secrets)
    blob = _public_blob(_pem(secrets))
    aid = did.removeprefix("did:keri:")
    _require_current(log(aid, path), blob)
    return Identity(ENVIRONMENT, "", aid, blob)


def private_key(secrets: Secrets) -> PrivateKey:
    """The environment's key, opened with AUTHS_PASSPHRASE where it is encrypted. Raises errors.Error."""
    if secrets.opened is None:
        pem = _pem(secrets)
        try:
            secrets.opened = opensshkey.unencrypted_private(pem) or _decrypted(pem, secrets.passphrase)
        except KeyInvalid as error:
            raise _damaged(error) from None
    return secrets.opened


def log(aid: str, path: Path | None = None) -> Log:
    """The longest log of `aid` that the mainline or HEAD has, of the repository at `path`. Raises errors.Error."""
    repository = Repository(path)
    pins = settings.pins(path)
    revisions = {pins.mainline: "the mainline"} if pins is not None else {}
    revisions["HEAD"] = "HEAD"
    found: list[Log] = []
    with Objects(path) as objects:
        folder_at = AuthsFolders(objects.read, repository.hex_length, None if pins is None else pins.root)
        for revision, where in revisions.items():
            folder = folder_at(_auths_tree(repository, revision))
            if folder.fault is not None and not found:  # what a branch breaks does not undo what the mainline says
                raise Refusal(f".auths at {where} cannot be believed: {folder.fault.reason}", "git auths verify")
            if aid in folder.kels:
                stream = objects.read(folder.kel_ids[aid], MAX_KEL_BYTES)[1]
                found.append(Log(folder.kels[aid], stream, folder, where))
    if not found:
        raise Refusal(f"this repository has no key event log of did:keri:{aid}, which {DID} names",
                      "a maintainer adds it: git auths policy add-signer KEL; then fetch the mainline")  # fmt: skip
    return max(found, key=lambda one: one.kel.sn)


def _auths_tree(repository: Repository, revision: str) -> str | None:
    """The id of `.auths` there; None where there is none, or no commit yet."""
    command = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}:.auths")
    status, id = git.attempt(*command, cwd=repository.path, allow=(0, 1, 128))
    return id.decode().strip() if status == 0 else None


def _require_current(log: Log, blob: bytes) -> None:
    did = log.kel.did
    if did in log.folder.signers.get(blob, ()):
        return
    key = f"the key {fingerprint(blob)} in {PRIVATE_KEY}"
    show = f"git auths kel show {did} lists its keys"
    if blob in [key.ssh_blob() for key in log.kel.state.keys]:
        raise Refusal(f"{key} does not meet the threshold of {did} alone: its signature would count for nothing", show)
    if blob in held_keys(log.kel):
        raise Refusal(f"{key} was rotated away by the log of {did} at {log.where}",
                      f"put the current key into {PRIVATE_KEY}")  # fmt: skip
    raise Refusal(f"{key} is not a key of {did} by its log at {log.where}", show)


def _did(secrets: Secrets) -> str:
    if secrets.did is None:
        raise Error(f"{PRIVATE_KEY} is set, and {DID} is not", f"set {DID} to the did:keri of the key's identity")
    if not is_did(secrets.did):
        raise Error(f"{DID} is no identifier like did:keri:E...: {secrets.did[:80]!r}",
                    "git auths whoami prints the identity's own")  # fmt: skip
    return secrets.did


def _pem(secrets: Secrets) -> bytes:
    """The key as an OpenSSH file has it, whatever the pipeline's settings did to its line ends."""
    if secrets.private_key_fd is not None:  # a pipe can be read only once
        secrets.private_key, secrets.private_key_fd = _read_descriptor(secrets.private_key_fd), None
    if secrets.private_key is None:
        raise Error(f"{DID} is set, and neither {PRIVATE_KEY_FD} nor {PRIVATE_KEY} is",
                    f"set {PRIVATE_KEY_FD} to a descriptor that the private key can be read from")  # fmt: skip
    return secrets.private_key.replace(b"\r\n", b"\n").strip() + b"\n"


def _read_descriptor(descriptor: int) -> bytes:
    """All that can be read there, cut off where it is too long for a key."""
    limit = MAX_FILE_BYTES + CRLF_BYTES
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return os.pread(descriptor, limit, 0)  # from its start: a command before us may have read it as well
        found = b""
        while len(found) < limit and (more := os.read(descriptor, limit - len(found))):
            found += more
    except OSError as error:
        reason = "it is no descriptor's number" if descriptor < 0 else error.strerror
        raise Error(f"cannot read the key from {PRIVATE_KEY_FD}: {reason}",
                    f"{PRIVATE_KEY_FD}=3 git commit -S 3<KEYFILE") from None  # fmt: skip
    if not found:
        raise Error(f"there is nothing more to read from {PRIVATE_KEY_FD}",
                    "a pipe gives its key once: give each command its own, or a file")  # fmt: skip
    return found


def _public_blob(pem: bytes) -> bytes:
    try:
        return opensshkey.public_blob(pem)
    except KeyInvalid as error:
        raise _damaged(error) from None


def _decrypted(pem: bytes, passphrase: bytes | None) -> PrivateKey:
    """Nobody is asked and no keyring is looked at: in a pipeline there is none."""
    if passphrase is None:
        raise Error(f"the key in {PRIVATE_KEY} is locked by a passphrase", f"set {PASSPHRASE}")
    try:
        return opensshkey.decrypt(pem, passphrase)
    except WrongPassphrase:
        raise Error(f"the key in {PRIVATE_KEY} stays locked: {PASSPHRASE} is not its passphrase",
                    f"correct {PASSPHRASE}") from None  # fmt: skip


def _damaged(error: KeyInvalid) -> Error:
    return Error(f"{PRIVATE_KEY} has no key that signs: {error}",
                 "it takes an OpenSSH private key file as it is, from BEGIN to END")  # fmt: skip
