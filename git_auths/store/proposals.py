"""Tags that wait for approvals: `refs/auths/proposals/tags/NAME`, here and on the remote (section 8)."""

from __future__ import annotations

from git_auths.core.facts import Fault
from git_auths.core.gitobject import Tag
from git_auths.core.tags import readable
from git_auths.errors import Error, Refusal
from git_auths.store import git
from git_auths.store.repository import Repository
from git_auths.store.settings import PROPOSALS
from git_auths.store.verdicts import Verifier


class NoSuchTag(Error):
    """Neither here nor among the proposals."""


def tag_ref(name: str) -> str:
    return f"refs/tags/{name}"


def fetch(repository: Repository, remote: str, name: str) -> str | None:
    """The proposal's tag object on the remote, fetched; None when it has none."""
    ref = PROPOSALS + name
    try:
        repository.git("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", remote, f"+{ref}:{ref}")
    except git.GitFailed as failure:
        if "couldn't find remote ref" in failure.stderr.lower():
            return None
        raise
    return repository.ref(ref)


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


def parse(verifier: Verifier, id: str, name: str) -> Tag:
    """The tag object, when it can be the release `name`; a Refusal with the verdict when it cannot."""
    kind, raw = verifier.read(id)
    tag = readable(id, kind, raw, tag_ref(name))
    if isinstance(tag, Fault):
        raise Refusal(f"{name} is no release: {tag.reason} ({tag.verdict})", f"git tag -s {name}")
    return tag
