"""Versions, and which descends from which (section 7, rule 3).

A version is a commit that set something, never the bytes that it set: bytes put back are a new version. Each holds a
bitmask of all versions among its ancestors, so that "descends from" is one AND.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from git_auths.core.auths_folder import AuthsFolder
from git_auths.core.policy import Policy


class Version(NamedTuple):
    """One setting: the `.auths` folder of the commit that made it, and the bits of itself and what it descends from.

    `one` descends from `other` when `one.descent & other.bit`.
    """

    bit: int
    descent: int
    folder: AuthsFolder

    @property
    def policy(self) -> Policy:
        assert self.folder.policy is not None  # no commit without a policy sets a version
        return self.folder.policy


class Versions:
    """Numbers the versions of one history."""

    def __init__(self) -> None:
        self._next = 1

    def new(self, folder: AuthsFolder, ancestors: int) -> Version:
        """A version set by a commit whose ancestors set the versions with the bits `ancestors`."""
        bit = self._next
        self._next <<= 1
        return Version(bit, ancestors | bit, folder)


def maximal(versions: Sequence[Version]) -> list[Version]:
    """Those that no other descends from: one where history is in line, several where it has diverged."""
    distinct = {version.bit: version for version in versions}
    behind = 0
    for version in distinct.values():
        behind |= version.descent & ~version.bit
    return [version for version in distinct.values() if not behind & version.bit]
