"""The throwaway identity of one CI job: a key without a log, named by its did:key, that ends within max_ttl.

It lies in a folder, 0700, its files 0600: `key` is an OpenSSH private key file, `identity.json` says when it was made
and ends, and whatever else is noted of it: the CI's token for it, the id that a forge gave it. The folder is where the
CI keeps what ends with the job: `git-auths` below RUNNER_TEMP (GitHub Actions), `git-auths-JOB` in the runner's own
folder beside CI_PROJECT_DIR (GitLab); elsewhere a fresh one, which the repository's auths.ciFolder names.
"""

from __future__ import annotations

import json
import os
import shlex
import stat
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from git_auths.core import didkey, opensshkey, utctime
from git_auths.core.opensshkey import KeyInvalid, PrivateKey
from git_auths.core.policy import CiRule
from git_auths.errors import Error
from git_auths.store import git, keystore, settings
from git_auths.store.atomic import write_file

KEY = "key"
METADATA = "identity.json"
COMMENT = "git-auths throwaway"
DEFAULT_MAX_TTL_SECONDS = 3600
MAX_METADATA_BYTES = 64 * 1024


class Throwaway:
    """A key and what is noted of it. `folder` is where it lies; None: in memory alone."""

    __slots__ = ("folder", "metadata", "private_key")

    def __init__(self, private_key: PrivateKey, metadata: Mapping[str, object], folder: str | None = None) -> None:
        self.private_key = private_key
        self.metadata = metadata
        self.folder = folder

    def __repr__(self) -> str:
        return f"<Throwaway {self.did}>"

    @property
    def key_blob(self) -> bytes:
        """The SSH wire public key."""
        return self.private_key.public_blob

    @property
    def did(self) -> str:
        return didkey.encode(self.key_blob)

    @property
    def key_file(self) -> str | None:
        """The absolute path of the key file; None where the key is in memory alone."""
        return None if self.folder is None else os.path.join(self.folder, KEY)

    @property
    def expires_at(self) -> int:
        """Epoch seconds."""
        return utctime.seconds(self.metadata["expires_at"])

    @property
    def token(self) -> str | None:
        """The CI's OIDC token for this key, if it gave one when the identity was made. It may be too old by now."""
        found = self.metadata.get("token")
        return found if isinstance(found, str) else None

    def remember(self, more: Mapping[str, object]) -> None:
        """Note this as well, in place of what has the same name; None forgets it. Raises errors.Error."""
        noted = {name: value for name, value in {**self.metadata, **more}.items() if value is not None}
        if self.folder is not None:
            write_file(os.path.join(self.folder, METADATA), _json(noted))
        self.metadata = noted

    def delete(self) -> None:
        """Remove its files and its folder. Raises errors.Error; what is gone already is none."""
        if self.folder is None:
            return
        try:
            _remove_files(self.folder)
            with suppress(FileNotFoundError):
                os.rmdir(self.folder)
        except OSError as error:
            raise Error(f"cannot remove {self.folder}: {error.strerror}", f"rm -r {shlex.quote(self.folder)}") from None


def in_memory(kind: str, max_ttl_seconds: int = DEFAULT_MAX_TTL_SECONDS) -> Throwaway:
    """A new one of that kind of key (opensshkey.ED25519 or P256) that never touches the disk."""
    return _new(kind, max_ttl_seconds)


def create(kind: str, max_ttl_seconds: int = DEFAULT_MAX_TTL_SECONDS, path: Path | None = None,
           environ: Mapping[str, str] = os.environ) -> Throwaway:  # fmt: skip
    """A new one in this job's folder, in place of one that is there, for the repository at `path`. Raises errors.Error:
    the folder cannot be made, or others can reach it."""
    made = _new(kind, max_ttl_seconds)
    made.folder = _ci_folder(environ) or _fresh_folder(path)
    _make_folder(made.folder)
    try:
        _remove_files(made.folder)  # the metadata goes first and comes last: no key is ever beside another's
    except OSError as error:
        raise Error(f"cannot write {made.folder}: {error.strerror}") from None
    write_file(os.path.join(made.folder, KEY), opensshkey.serialize(made.private_key, None, COMMENT))
    made.remember({})
    return made


def find(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Throwaway | None:
    """This job's, as `create` left it, expired or not; None where there is none. Raises errors.Error for one that
    others can reach, or that is damaged."""
    folder = _ci_folder(environ)
    if folder is None or not _is_complete(folder):
        folder = _named_folder(path)
    return _read(folder) if folder is not None and _is_complete(folder) else None


def kind_for(rules: Iterable[CiRule]) -> str:
    """The kind of key that these [[policy.ci]] rules can count: P-256 where one demands a log, as Rekor does not take
    pure Ed25519 in each kind of entry."""
    return opensshkey.P256 if any(rule.require_log for rule in rules) else opensshkey.ED25519


def max_ttl_seconds(rules: Iterable[CiRule]) -> int:
    """The longest life that all of these rules count; an hour where there is none."""
    return min((rule.max_ttl_seconds for rule in rules), default=DEFAULT_MAX_TTL_SECONDS)


def _new(kind: str, ttl_seconds: int) -> Throwaway:
    private = opensshkey.generate(kind)
    now = int(time.time())
    times = {"created_at": utctime.text(now), "expires_at": utctime.text(now + ttl_seconds)}
    return Throwaway(private, {"did": didkey.encode(private.public_blob), **times})


def _ci_folder(environ: Mapping[str, str]) -> str | None:
    runner = environ.get("RUNNER_TEMP")
    if runner and os.path.isabs(runner):
        return os.path.join(runner, "git-auths")
    project, job = environ.get("CI_PROJECT_DIR"), environ.get("CI_JOB_ID", "")
    beside = f"{project}.tmp"
    if project and os.path.isabs(project) and job.isascii() and job.isdigit() and os.access(beside, os.W_OK):
        return os.path.join(beside, f"git-auths-{job}")  # the folder outlives the job, its key must not be another's
    return None


def _fresh_folder(path: Path | None) -> str:
    """A new folder that the repository's configuration names; the one that it names already, if that is there."""
    known = _named_folder(path)
    if known is not None and os.path.isdir(known):
        return known
    try:
        made = tempfile.mkdtemp(prefix="git-auths-")
    except OSError as error:
        raise Error(f"cannot make a temporary folder: {error.strerror}", "set TMPDIR to another") from None
    settings.set_local(settings.CI_FOLDER, made, path)
    return made


def _named_folder(path: Path | None) -> str | None:
    try:
        named = settings.ci_folder(path)
    except git.GitFailed:  # outside of a repository
        return None
    return named if named and os.path.isabs(named) else None


def _make_folder(folder: str) -> None:
    try:
        with suppress(FileExistsError):
            os.makedirs(folder, 0o700)
        _require_own(folder)
    except OSError as error:
        raise Error(f"cannot make {folder}: {error.strerror}") from None


def _require_own(folder: str) -> None:
    """Raises errors.Error where it is no folder of the user's own that nobody else can reach."""
    status = os.lstat(folder)
    if not stat.S_ISDIR(status.st_mode):
        raise Error(f"{folder} is no folder", f"rm {shlex.quote(folder)}")
    keystore.refuse_shared(folder, status, "700")


def _is_complete(folder: str) -> bool:
    return os.path.lexists(os.path.join(folder, METADATA))


def _read(folder: str) -> Throwaway:
    try:
        _require_own(folder)
    except OSError as error:
        raise Error(f"cannot read {folder}: {error.strerror}") from None
    pem = keystore.read_private(os.path.join(folder, KEY))
    content = keystore.read_file(os.path.join(folder, METADATA), MAX_METADATA_BYTES + 1)
    try:
        private = opensshkey.unencrypted_private(pem)
        noted = json.loads(content) if len(content) <= MAX_METADATA_BYTES else None
        if private is None or not isinstance(noted, dict) or noted.get("did") != didkey.encode(private.public_blob):
            raise KeyInvalid("its files do not belong together")
        utctime.seconds(noted.get("expires_at"))
    except (ValueError, RecursionError) as error:
        raise Error(f"the throwaway identity in {folder} is damaged: {error}",
                    f"rm -r {shlex.quote(folder)}; git auths init --profile ci") from None  # fmt: skip
    return Throwaway(private, noted, folder)


def _remove_files(folder: str) -> None:
    for name in (METADATA, KEY):
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, name))


def _json(noted: Mapping[str, object]) -> bytes:
    return json.dumps(noted, indent=1).encode() + b"\n"
