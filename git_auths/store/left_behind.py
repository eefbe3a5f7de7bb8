"""What a commit that was cut off has left in the working tree below `.auths/`: the next one takes it along.

Only what this machine's logs account for is taken: logs of those whom they delegate, and grants that they seal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from git_auths.core import grants
from git_auths.core.authority import ledger
from git_auths.core.auths_folder import MAX_GRANT_BYTES
from git_auths.core.kel import MAX_KEL_BYTES, DelegatorUnknown, Kel, KelInvalid, replay
from git_auths.store.auths_tree import grant_path, log_path
from git_auths.store.worktree_policy import Folder


class LeftBehind(NamedTuple):
    """Logs by AID, and the files of grants."""

    kels: dict[str, bytes]
    grants: list[bytes]


def find(folder: Folder, paths: Iterable[str], logs: Mapping[str, bytes]) -> LeftBehind:
    """What there is at `paths`, below `.auths/` in the working tree, that `logs` (by AID) account for."""
    left = LeftBehind({}, [])
    for path in paths:
        if path.startswith("kels/"):
            stream = folder.content(path, MAX_KEL_BYTES)
            kel = _delegated(stream, logs)
            if kel is not None and path == log_path(kel.aid):
                left.kels[kel.aid] = stream
        elif path.startswith("grants/"):
            file = folder.content(path, MAX_GRANT_BYTES)
            if _is_sealed(file, path, logs):
                left.grants.append(file)
    return left


def _delegated(stream: bytes, logs: Mapping[str, bytes]) -> Kel | None:
    """The log in `stream`, where its delegator's is one of `logs`."""
    try:
        replay(stream)
    except DelegatorUnknown as unknown:
        aid = unknown.delegator
    except KelInvalid:
        return None
    else:
        return None
    try:
        return replay(stream, {aid: replay(logs[aid])}) if aid in logs else None
    except KelInvalid:
        return None


def _is_sealed(file: bytes, path: str, logs: Mapping[str, bytes]) -> bool:
    try:
        sha256, grant = grants.read(file)
        issuer = replay(logs.get(grant.issuer.removeprefix("did:keri:"), b""))
    except (grants.GrantInvalid, KelInvalid):
        return False
    return path == grant_path(sha256) and sha256 in ledger(issuer).granted
