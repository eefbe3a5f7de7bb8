"""Merge bases: the best common ancestors of some commits (git-merge-base(1), `--octopus --all`).

Each commit passes a colour on to its ancestors; whoever has all the colours is a common ancestor, and what is behind
one is stale. Positions order children before parents for certain, where git has only dates, so that a commit's colours
are final when its turn comes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush


def best_common_ancestors(
    parents_of: Callable[[str], Sequence[str]], position_of: Callable[[str], int], commits: Sequence[str]
) -> list[str]:
    """The common ancestors of all `commits` that are not ancestors of another such one, by descending position.

    A commit counts among its own ancestors. `position_of` gives each parent a smaller number than its child. What
    either function does not know (KeyError) is a boundary: a commit without parents, behind all others. So a base that
    cannot be read is named rather than left out. The cost grows with the commits between the bases and `commits`.
    """
    stale = 1 << len(commits)
    common = stale - 1
    colours: dict[str, int] = {}
    queue: list[tuple[int, str]] = []
    fresh = 0  # in the queue and not stale
    found: list[str] = []
    arriving = [(commit, 1 << index) for index, commit in enumerate(commits)]
    while True:
        for commit, colour in arriving:
            before = colours.get(commit, 0)
            if not before:
                heappush(queue, (-_position(position_of, commit), commit))
            colours[commit] = before | colour
            fresh += (colours[commit] < stale) - (0 < before < stale)
        if not fresh:
            return found
        commit = heappop(queue)[1]
        colour = colours[commit]
        fresh -= colour < stale
        if colour == common:
            found.append(commit)
            colour |= stale
        arriving = [(parent, colour) for parent in _parents(parents_of, commit)]


def _position(position_of: Callable[[str], int], commit: str) -> int:
    try:
        return position_of(commit)
    except KeyError:
        return -1


def _parents(parents_of: Callable[[str], Sequence[str]], commit: str) -> Sequence[str]:
    try:
        return parents_of(commit)
    except KeyError:
        return ()
