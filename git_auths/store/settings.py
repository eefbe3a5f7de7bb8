"""Every configuration key, beside its default and what it means.

The pins and what is enforced are read with `--local --no-includes`: neither an included file nor GIT_CONFIG_COUNT in
the environment may name another root, or open the gate. The rest follows git's usual rules.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from git_auths.core.gitobject import is_object_id
from git_auths.errors import Error
from git_auths.store import git

ROOT = "auths.root"  # the trust root, a full commit id
MAINLINE = "auths.mainline"  # the full name of the ref whose first-parent chain gives events their position
IDENTITY = "auths.identity"  # the alias that signs here; default: what user.signingKey names
ENFORCE_ON_SIGN = "auths.enforceOnSign"  # default true: refuse to sign what the policy does not allow
FORGE_URL = "auths.forgeUrl"  # where the forge's API is, and AUTHS_FORGE_TOKEN may go; default: what the runner says
ENFORCE = "auths.enforce"  # default true; observe: the push hooks warn of what they would refuse, and let it pass
CI_FOLDER = "auths.ciFolder"  # where a job's throwaway identity lies, if the CI names no place for temporary files

NOTES_REF = "refs/notes/auths"
PROPOSALS = "refs/auths/proposals/tags/"
SIGNING_KEY_PREFIX = "auths:"
DEFAULT_ALIAS = "main"


class Pins(NamedTuple):
    """What this clone trusts: the root's id and the mainline's full ref name, pinned together."""

    root: str
    mainline: str


def get(key: str, cwd: Path | None = None) -> str | None:
    """The value of `key` by git's usual rules; None when it is unset."""
    status, value = git.attempt("config", "--get", key, cwd=cwd)
    return os.fsdecode(value).removesuffix("\n") if status == 0 else None


def pins(cwd: Path | None = None) -> Pins | None:
    """The pinned root and mainline; None when there is none. A pin that is not an id and a full ref is an Error."""
    found = _local_values(r"^auths\.(root|mainline)$", cwd)
    root, mainline = _only(ROOT, found), _only(MAINLINE, found)
    if root is None or mainline is None:
        return None
    if not is_object_id(root) or not mainline.startswith("refs/"):
        raise Error(f"{ROOT} or {MAINLINE} in this repository's configuration is not an object id and a full ref name",
                    "git auths root pin OID")  # fmt: skip
    return Pins(root, mainline)


def only_observes(cwd: Path | None = None) -> bool:
    """Whether the push hooks warn instead of refusing. It is read as the pins are: nobody who pushes can switch it."""
    value = _local(ENFORCE, cwd)
    if value not in (None, "true", "observe"):
        raise Error(f"{ENFORCE} is {value!r} in this repository's configuration; it can be true or observe",
                    f"git config --local {ENFORCE} true")  # fmt: skip
    return value == "observe"


def forge_url(cwd: Path | None = None) -> str | None:
    """Where the forge's API is, as this repository's configuration says. It is read as the pins are: no included file
    sends the token elsewhere."""
    return _local(FORGE_URL, cwd)


def ci_folder(cwd: Path | None = None) -> str | None:
    """The folder of the throwaway identity, where one was made here. It is read as the pins are."""
    return _local(CI_FOLDER, cwd)


def pinned_root(cwd: Path | None = None) -> str | None:
    """The id of the trust root, where one is pinned."""
    found = pins(cwd)
    return None if found is None else found.root


def pin(root: str, mainline: str, cwd: Path | None = None) -> None:
    """Trust `root`, on `mainline`, in this clone."""
    if mainline.startswith("refs/remotes/"):
        remote = mainline.split("/")[2]
        if remote not in os.fsdecode(git.run("remote", cwd=cwd)).split("\n"):
            # Which part of the ref is the branch's name, and so whose rules apply, could then be mistaken.
            raise Error(f"{mainline} is not a branch of a remote whose name is one word", "git remote rename OLD NEW")
    set_local(ROOT, root, cwd)
    set_local(MAINLINE, mainline, cwd)


def set_local(key: str, value: str, cwd: Path | None = None) -> None:
    git.run("config", "--local", key, value, cwd=cwd)


def _local(key: str, cwd: Path | None) -> str | None:
    return _only(key, _local_values("^" + key.lower().replace(".", r"\.") + "$", cwd))


def _local_values(pattern: str, cwd: Path | None) -> list[tuple[str, str]]:
    # Reading the file itself leaves GIT_CONFIG_COUNT, GIT_CONFIG_PARAMETERS and includes out.
    command = ("config", "--local", "--no-includes", "--null", "--get-regexp", pattern)
    entries = os.fsdecode(git.attempt(*command, cwd=cwd, allow=(0, 1))[1]).split("\0")[:-1]
    return [(name, value) for name, _, value in (entry.partition("\n") for entry in entries)]


def _only(key: str, found: list[tuple[str, str]]) -> str | None:
    values = [value for name, value in found if name == key.lower()]
    if not values:
        return None
    if len(values) > 1:
        raise Error(f"{key} is set more than once in this repository's configuration", "git config --local --edit")
    return values[0]


def branch_name(ref: str) -> str:
    """The branch whose rules apply to `ref`: those of a remote-tracking ref are its branch's."""
    if ref.startswith("refs/remotes/"):
        return "refs/heads/" + ref.split("/", 3)[-1]
    return ref


def signing_alias(cwd: Path | None = None) -> str:
    """The alias of the identity that signs here: auths.identity, else what user.signingKey names, else `main`."""
    chosen = get(IDENTITY, cwd)
    if chosen:
        return chosen
    key = get("user.signingKey", cwd) or ""
    return key.removeprefix(SIGNING_KEY_PREFIX) if key.startswith(SIGNING_KEY_PREFIX) else DEFAULT_ALIAS
