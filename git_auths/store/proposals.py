"""Tags that wait for approvals: `refs/auths/proposals/tags/NAME`, here and on the remote (section 8)."""

from __future__ import annotations

from git_auths.core.facts import Fault
from git_auths.core.gitobject import Tag
from git_auths.core.tags import readable
from git_auths.errors import Error, Refusal
from git_auths.store.repository import Repository
from git_auths.store.settings import PROPOSALS
from git_auths.store.verdicts import Verifier


class NoSuchTag(Error):
    """Neither here nor among the proposals."""


def tag_ref(name: str) -> str:
    return f"refs/tags/{name}"


def fetch(repository: Repository, remote: str, name: str) -> str | None:
    """The proposal's tag object on the remote, fetched; None when it has none.

    One that was fetched before must be the same still: whoever looked at it then would now approve another.
    """
    ref = PROPOSALS + name
    listed = repository.git("ls-remote", "--", remote, ref).split()
    if not listed:
        return None
    offered, known = listed[0].decode(), repository.ref(ref)
    if known is not None and known != offered:
        raise Refusal(f"the proposal {name} has changed: it was {known}, and now is {offered}",
                      f"git fetch {remote} +{ref}:{ref}; git show {ref}; then again")  # fmt: skip
    repository.git("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", remote, f"{ref}:{ref}")
    fetched = repository.ref(ref)
    if fetched != offered:
        raise Refusal(f"the proposal {name} changed while it was fetched", f"git auths approve {name}")
    return fetched


def is_on(repository: Repository, remote: str, name: str) -> bool:
    """Does the remote have the proposal?"""
    return bool(repository.git("ls-remote", "--", remote, PROPOSALS + name).strip())


def find(repository: Repository, remote: str | None, name: str) -> str:
    """The tag object that `name` means: the proposal's, which must be the local tag's where both are there."""
    local = repository.ref(tag_ref(name))
    proposed = fetch(repository, remote, name) if remote is not None else None
    proposed = proposed or repository.ref(PROPOSALS + name)
    if local and proposed and local != proposed:
        raise Refusal(f"the tag {name} here is {local}, but {proposed} is proposed",
                      f"git cat-file -p {proposed} shows it; git tag -d {name} drops yours")  # fmt: skip
    found = proposed or local
    if found is None:
        raise NoSuchTag(
            f"there is no tag {name} here, and none is proposed", f"git tag -s {name}; git auths propose {name}"
        )
    return found


def require_plain_name(repository: Repository, name: str) -> None:
    """A name that could mean a commit could be approved by somebody who means the commit."""
    if len(name) >= 4 and not name.strip("0123456789abcdef"):
        raise Refusal(f"the tag name {name} looks like an object id", "name the tag otherwise")
    if repository.ref(f"refs/heads/{name}") is not None:
        raise Refusal(f"{name} is a branch as well as a tag", "name the tag otherwise; a commit can be named by its id")


def parse(verifier: Verifier, id: str, name: str) -> Tag:
    """The tag object, when it can be the release `name`; a Refusal with the verdict when it cannot."""
    kind, raw = verifier.read(id)
    tag = readable(id, kind, raw, tag_ref(name))
    if isinstance(tag, Fault):
        raise Refusal(f"{name} is no release: {tag.reason} ({tag.verdict})", f"git tag -s {name}")
    return tag
