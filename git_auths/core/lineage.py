"""Versions of the policy, which descends from which (section 7, rule 3), and which commits one side has alone.

A version is a commit that set the policy, never the bytes that it set: bytes put back are a new version. Each holds a
bitmask of all versions among its ancestors, so that "descends from" is one AND.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from git_auths.core.auths_folder import AuthsFolder
from git_auths.core.facts import Facts
from git_auths.core.policy import Policy


class Version(NamedTuple):
    """The commit that set a policy, its `.auths` folder, and the bits of itself and of what it descends from.

    `one` descends from `other`, or is it, when `one.descent & other.bit`.
    """

    bit: int
    descent: int
    commit: str
    folder: AuthsFolder

    @property
    def policy(self) -> Policy:
        assert self.folder.policy is not None  # no commit without a policy sets a version
        return self.folder.policy


class State(NamedTuple):
    """What a commit hands down to its children. `versions` has the bits of all that it and its ancestors set."""

    policy: Version
    versions: int
    auths: str | None  # the tree at .auths that its children are compared with


class Versions:
    """Numbers the versions of one history."""

    def __init__(self, count: int = 0) -> None:
        self.count = count

    def new(self, commit: str, folder: AuthsFolder, ancestors: int) -> Version:
        """The version that `commit` sets, whose ancestors set the versions with the bits `ancestors`."""
        bit = 1 << self.count
        self.count += 1
        return Version(bit, ancestors | bit, commit, folder)


def maximal(versions: Sequence[Version]) -> list[Version]:
    """Those that no other descends from: one where history is in line, several where it has diverged."""
    if len(versions) == 1:
        return [versions[0]]
    distinct = {version.bit: version for version in versions}
    behind = 0
    for version in distinct.values():
        behind |= version.descent & ~version.bit
    return [version for version in distinct.values() if not behind & version.bit]


def first_parents(facts: Mapping[str, Facts], tip: str) -> list[str]:
    """The first-parent chain of `tip` as far as `facts` knows it, oldest first."""
    chain = []
    commit = facts.get(tip)
    while commit is not None:
        chain.append(commit.id)
        commit = facts.get(commit.parents[0]) if commit.parents else None
    return chain[::-1]


def parents_first(facts: Mapping[str, Facts], tip: str, done: Container[str]) -> Iterator[Facts]:
    """`tip` and its ancestors that are known and not `done`, each after all of its parents.

    The caller puts each into `done` before it asks for the next.
    """
    stack = [tip] if tip in facts else []
    while stack:
        commit = facts[stack[-1]]
        if commit.id in done:
            stack.pop()
            continue
        waiting = [parent for parent in commit.parents if parent not in done and parent in facts]
        if waiting:
            stack.extend(waiting)
            continue
        stack.pop()
        yield commit


def only_in(
    one: str, other: str, parents_of: Callable[[str], Sequence[str]], position_of: Callable[[str], int]
) -> Iterator[str]:
    """What `one` and its ancestors have and `other` and its ancestors lack, newest first.

    Parents have smaller positions than their children. The cost is that of the commits down to where both meet.
    """
    colours = {one: 1}
    colours[other] = colours.get(other, 0) | 2
    queue = [(-position_of(id), id) for id in colours]
    queue.sort()
    undecided = sum(colour == 1 for colour in colours.values())
    while undecided:
        _, id = heappop(queue)
        colour = colours[id]
        undecided -= colour == 1
        if colour == 1:
            yield id
        for parent in parents_of(id):
            before = colours.get(parent, 0)
            now = colours[parent] = before | colour
            if before == 0:
                heappush(queue, (-position_of(parent), parent))
            undecided += (now == 1) - (before == 1)
