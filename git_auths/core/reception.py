"""When the mainline received each commit, and what stood there just before (section 7, rules 4 and 7).

The mainline's first-parent chain gives events a position. Each commit enters by exactly one step of that chain, the
first whose commit contains it; a receipt can name an earlier one (section 8). What the mainline lacks is received now.
"""

from __future__ import annotations

from typing import NamedTuple

from git_auths.core.lineage import State

CLOCK_STEP_SECONDS = 30 * 24 * 3600


class Reception(NamedTuple):
    """What judges a commit when it is received: the mainline just before, and the rules of `ref` (a full branch name).

    `step` counts the chain's commits from 0, the root; `clock_seconds` is the repository's clock; `by` is the tree at
    `.auths` of the chain's commit that received it, None for what the mainline lacks.
    """

    step: int
    state: State
    clock_seconds: int
    ref: str
    by: str | None


def advanced(clock_seconds: int, committed_at: int) -> int:
    """The clock after a step to a commit of this date: it moves ahead by 30 days at most, and never back."""
    return max(clock_seconds, min(committed_at, clock_seconds + CLOCK_STEP_SECONDS))
