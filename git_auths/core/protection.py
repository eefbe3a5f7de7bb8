"""Which branches keep what they have: neither deleted nor rewound, their old tip always on the first-parent chain.

The mainline is one in any case; so is each branch that a commit rule names.
"""

from __future__ import annotations

from git_auths.core.policy import Policy
from git_auths.core.scope import branch_matches


def is_named(policy: Policy | None, ref: str) -> bool:
    """Does a commit rule name the branch `ref` (full name)? One without `branches` governs what is pushed, not
    whether the branch stays."""
    name = ref.encode("utf-8", "surrogateescape")
    rules = policy.commit if policy is not None else ()
    return any(rule.branches is not None and branch_matches(rule.branches, name) for rule in rules)
