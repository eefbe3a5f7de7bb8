"""Key event logs of the repository at hand, as HEAD has them in `.auths/kels/`; delegators are looked up there too."""

from __future__ import annotations

from git_auths.core import kel
from git_auths.core.kel import MAX_KEL_BYTES, DelegatorUnknown, Kel, KelInvalid
from git_auths.store import git

MAX_DELEGATORS = 8  # that are looked up for one stream
MAX_DELEGATION_DEPTH = 2


def stream_of(aid: str) -> bytes | None:
    """The log of that AID; None outside a repository, or where HEAD has none. Raises KelInvalid for one too large."""
    name = f"HEAD:.auths/kels/{aid}.cesr"
    status, size = git.attempt("cat-file", "-s", name, allow=(0, 1, 128))
    if status != 0:
        return None
    if int(size) > MAX_KEL_BYTES:
        raise KelInvalid("the log is larger than 4 MiB", 0, aid)
    return git.run("cat-file", "blob", name)


def replay_one(stream: bytes, aid: str) -> Kel:
    """The replayed log of `aid`, and nothing else, from `stream`. Raises KelInvalid."""
    logs = replay_all(stream)
    if [log.aid for log in logs] != [aid]:
        raise KelInvalid(f"the file holds another log than that of {aid}", 0, aid)
    return logs[0]


def replay_all(stream: bytes, depth: int = 0) -> tuple[Kel, ...]:
    """As `kel.replay_all`, with the delegators that the stream does not have. Raises KelInvalid.

    `depth` is how many delegators stand between this log and the one that was asked for.
    """
    delegators: dict[str, Kel] = {}
    while True:
        try:
            return kel.replay_all(stream, delegators)
        except DelegatorUnknown as error:
            may_look = depth < MAX_DELEGATION_DEPTH and len(delegators) < MAX_DELEGATORS
            found = stream_of(error.delegator) if may_look else None
            if found is None:
                raise
            delegators[error.delegator] = _delegator(found, error, depth + 1)


def _delegator(stream: bytes, wanted: DelegatorUnknown, depth: int) -> Kel:
    try:
        for log in replay_all(stream, depth):
            if log.aid == wanted.delegator:
                return log
    except KelInvalid as error:
        reason = f"the log of its delegator {wanted.delegator} is refused at {error}"
        raise KelInvalid(reason, wanted.sn, wanted.aid) from None
    raise wanted
