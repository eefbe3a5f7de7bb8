"""What `git auths init` and `setup` write into a repository's configuration, so that plain git signs and asks us."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple

from git_auths.errors import Error
from git_auths.store import git, settings
from git_auths.store.localcopy import allowed_signers_file
from git_auths.store.repository import Repository

NOTES_FETCH = "+refs/notes/auths*:refs/notes/remotes/{remote}/auths*"
# With a `*`, so that `git fetch` does not fail while the remote has no notes yet; below remotes/, so that it never
# drops what was not pushed.


MERGE_DRIVER = "merge.auths-kel"  # named by .auths/.gitattributes; where it is not set, git merges as if it were text
MERGE_MODULE = "git_auths.hooks.merge_kel"


def signing_program() -> str:
    """The absolute path of `git-auths-sign`: a new shell or a graphical client may have another PATH."""
    beside = Path(sysconfig.get_path("scripts"), "git-auths-sign")
    found = str(beside) if beside.exists() else shutil.which("git-auths-sign")
    if found is None:
        raise Error("git-auths-sign is not installed beside git-auths", "pipx install git-auths")
    return os.path.abspath(found)


class Setting(NamedTuple):
    """What the configuration is to say: `key` has this value, or (`is_added`) this one too."""

    key: str
    value: str
    is_added: bool

    def __str__(self) -> str:
        return f"{self.key} {'+=' if self.is_added else '='} {self.value}"


def wire(repository: Repository, alias: str | None) -> list[str]:
    """Set what is not yet as it should be, and return `key = value` of each; without an alias nothing is signed."""
    lacking = unwired(repository, alias)
    for setting in lacking:
        if setting.is_added:
            repository.git("config", "--local", "--add", setting.key, setting.value)
        else:
            settings.set_local(setting.key, setting.value, repository.path)
    return [str(setting) for setting in lacking]


def wire_key_file(repository: Repository, path: str) -> list[str]:
    """Let plain git sign commits with the key file at `path`; `key = value` of each setting that changed."""
    wanted = {"user.signingKey": path, "commit.gpgSign": "true"}
    return [f"{key} = {value}" for key, value in wanted.items() if _set(repository, key, value)]


def unwired(repository: Repository, alias: str | None) -> list[Setting]:
    """What is not yet as it should be; without an alias nothing is signed."""
    wanted = {
        "gpg.format": "ssh",
        "gpg.ssh.program": signing_program(),
        "gpg.ssh.allowedSignersFile": str(allowed_signers_file(repository)),
        "notes.auths.mergeStrategy": "cat_sort_uniq",
        **merge_driver(),
    }
    if alias is not None:
        wanted |= {
            "user.signingKey": settings.SIGNING_KEY_PREFIX + alias,
            "commit.gpgSign": "true",
            "tag.gpgSign": "true",
        }
    lacking = [Setting(key, value, False) for key, value in wanted.items() if not _is_set(repository, key, value)]
    for remote in repository.git("remote").decode().split():
        refspec = NOTES_FETCH.format(remote=remote)
        key = f"remote.{remote}.fetch"
        status, present = git.attempt("config", "--local", "--get-all", key, cwd=repository.path)
        if status or refspec not in present.decode().splitlines():
            lacking.append(Setting(key, refspec, True))
    return lacking


def merge_driver() -> dict[str, str]:
    """The settings of the driver that merges key event logs: like the hooks, it runs this interpreter with -I."""
    python = shlex.quote(sys.executable).replace("%", "%%")
    return {
        f"{MERGE_DRIVER}.name": "the longer of two key event logs",
        f"{MERGE_DRIVER}.driver": f"{python} -I -m {MERGE_MODULE} %O %A %B %P",
    }


def wire_merge_driver(repository: Repository) -> bool:
    """Set the merge driver; False where it is set so already."""
    changed = [key for key, value in merge_driver().items() if _set(repository, key, value)]
    return bool(changed)


def unwire_merge_driver(repository: Repository) -> bool:
    """Take the merge driver out of the configuration, if it is ours; whether it was."""
    status, driver = git.attempt("config", "--local", "--get", f"{MERGE_DRIVER}.driver", cwd=repository.path)
    if status or MERGE_MODULE.encode() not in driver:
        return False
    repository.git("config", "--local", "--remove-section", MERGE_DRIVER)
    return True


def _set(repository: Repository, key: str, value: str) -> bool:
    if _is_set(repository, key, value):
        return False
    settings.set_local(key, value, repository.path)
    return True


def _is_set(repository: Repository, key: str, value: str) -> bool:
    status, present = git.attempt("config", "--local", "--get", key, cwd=repository.path)
    return status == 0 and os.fsdecode(present).removesuffix("\n") == value
