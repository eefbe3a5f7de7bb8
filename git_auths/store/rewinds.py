"""Has a governed branch lost what was good here before? Asked beside each verdict, against the remembered tips."""

from __future__ import annotations

import os
from collections.abc import Mapping

from git_auths.core.judge import Verdict
from git_auths.core.protection import is_named
from git_auths.core.scope import branch_matches
from git_auths.store import settings, tips
from git_auths.store.verdicts import Verifier


def found(verifier: Verifier, standing: Mapping[str, str]) -> list[Verdict]:
    """`rewound` of the mainline and of the branches `standing` (full name -> tip); ungoverned ones may come and go."""
    repository, mainline = verifier.repository, verifier.pins.mainline
    verdicts = []
    if stands(verifier):
        # Without a remote the mainline is one's own branch: to amend what nobody has seen is no rewind, to lose it is.
        is_own = mainline.startswith("refs/heads/") and not repository.bare
        check = tips.check_not_behind if is_own else tips.check
        verdicts.append(check(repository, mainline, verifier.mainline_tip))
    policy = verifier.mainline_folder().policy
    known = tips.Tips(repository.common_dir).all() if standing else {}
    for ref, tip in governed(verifier, standing).items():
        if ref in known:
            check = tips.check if is_named(policy, settings.branch_name(ref)) else tips.check_contained
            verdicts.append(check(repository, ref, tip, known[ref]))
    return [verdict for verdict in verdicts if verdict is not None]


def remember(verifier: Verifier, standing: Mapping[str, str]) -> str | None:
    """These, and the mainline, have been found good and not rewound. Why that is not remembered, where it is not."""
    # What the mainline contains is not lost with a branch that no rule names.
    policy = verifier.mainline_folder().policy
    good = {ref: tip for ref, tip in governed(verifier, standing).items()
            if is_named(policy, settings.branch_name(ref)) or not verifier.is_received(tip)}  # fmt: skip
    if stands(verifier):
        good[verifier.pins.mainline] = verifier.mainline_tip
    return tips.remember_published(verifier.repository, verifier.pins.mainline, good)


def stands(verifier: Verifier) -> bool:
    """Does the mainline stand at the tip that judged? Not where the question is what a push would make of it."""
    return verifier.standing_tip == verifier.mainline_tip


def governed(verifier: Verifier, standing: Mapping[str, str]) -> dict[str, str]:
    """The branches that a commit rule of the mainline's policy matches, the mainline aside."""
    policy = verifier.mainline_folder().policy
    rules = policy.commit if policy is not None else ()
    found = {}
    for ref, tip in standing.items():
        name = os.fsencode(settings.branch_name(ref))
        if ref != verifier.pins.mainline and any(branch_matches(rule.branches, name) for rule in rules):
            found[ref] = tip
    return found
