"""What a commit changes below `.auths/`, and which of that is free (section 7, rule 5)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from git_auths.core.auths_folder import ALLOWED_SIGNERS, GRANTS, AuthsFolder, extends, generated_id
from git_auths.core.case import Case
from git_auths.core.decisions import ADOPTED, RECEIVED
from git_auths.core.gitobject import Malformed
from git_auths.core.lineage import Version
from git_auths.core.roottree import AUTHS
from git_auths.errors import TooLarge

MAX_DELEGATES = 64  # logs of delegates and members that one listed AID may have without the admin rule


def admin_matter(case: Case) -> str | None:
    """What the commit changes below `.auths/` that is not free, in words; None when there is nothing.

    Free are logs that grow, logs of AIDs that the policy lists (and of a few delegates and members of theirs), grants
    that a log in the same tree seals, `allowed_signers` as generated; and a merge that inherits its policy, unites its
    parents' decisions, and takes the other files as any merge takes paths.
    """
    if not case.auths_changed:
        return None
    if inherited_policy(case) is None:
        return "changes the policy"
    changed = [path for path in other_files(case) if is_changed(case, path) and not is_free(case, path)]
    if changed:
        return f"changes .auths/{min(changed).decode(errors='backslashreplace')}"
    forked = next((aid for aid in case.folder.kels if keeps_a_side(case, aid)), None)
    if forked is not None:
        return f"keeps one side of a fork in the key event log of {forked}"
    return uninvited(case.folder, parent_folders(case))


def inherited_policy(case: Case) -> Version | None:
    """The version that the commit takes over; None when it sets one of its own, or its parents' have diverged."""
    effective = case.effective
    if len(effective) == 1 and effective[0].folder.policy_id == case.folder.policy_id:
        return effective[0]
    return None


def other_files(case: Case) -> set[bytes]:
    """The paths below `.auths/`, policy and logs aside, whose entry is not the same in the commit and all parents."""
    own = case.folder.files.items()
    return {path for parent in parent_folders(case) for path, _ in own ^ parent.files.items()}


def is_changed(case: Case, path: bytes) -> bool:
    """Is the file at `path` below `.auths/` not as the parents, one of them or another, would have it?"""
    if len(case.parents) == 1:
        return True
    if path in (ADOPTED, RECEIVED):
        return decisions(case, case.folder, path) != parents_decisions(case, path)
    sources = case.sources
    bases = {sources.folder_at(sources.auths_of(base)).files.get(path) for base in merge_bases(case)}
    if len(bases) != 1:
        return True
    return {folder.files.get(path) for folder in parent_folders(case)} - bases != {case.folder.files.get(path)}


def is_free(case: Case, path: bytes) -> bool:
    return is_generated(case, path) or is_new_grant(case, path)


def is_new_grant(case: Case, path: bytes) -> bool:
    """Is the file a grant that no parent has, and that its issuer's log in this tree seals?"""
    folder, _, name = path.partition(b"/")
    sha256, _, ending = name.decode(errors="replace").partition(".")
    is_sealed = folder == GRANTS and ending == "json" and sha256 in case.folder.grants
    return is_sealed and not any(path in before.files for before in parent_folders(case))


def is_generated(case: Case, path: bytes) -> bool:
    return path == ALLOWED_SIGNERS and case.folder.files.get(path) == generated_id(case.folder)


def lost_decision(case: Case) -> str | None:
    """The decision file that lacks a line of a parent's."""
    for path in (ADOPTED, RECEIVED):
        if path in other_files(case) and not parents_decisions(case, path) <= decisions(case, case.folder, path):
            return f".auths/{path.decode()}"
    return None


def decisions(case: Case, folder: AuthsFolder, path: bytes) -> frozenset[bytes]:
    return case.sources.lines_of(folder.files.get(path))


def parents_decisions(case: Case, path: bytes) -> frozenset[bytes]:
    return frozenset().union(*(decisions(case, folder, path) for folder in parent_folders(case)))


def keeps_a_side(case: Case, aid: str) -> bool:
    """Do the parents' logs of `aid` fork, and does the commit's extend one of the sides?"""
    sides = [folder.kels[aid] for folder in parent_folders(case) if aid in folder.kels]
    forked = any(not extends(a, b) and not extends(b, a) for a, b in combinations(sides, 2))
    return forked and any(extends(case.folder.kels[aid], side) for side in sides)


def uninvited(now: AuthsFolder, parents: Sequence[AuthsFolder]) -> str | None:
    """A new log is free when the commit's own policy lists its AID, or somebody listed vouches for it by a delegation
    or a member's grant, as for few others."""
    new = now.kels.keys() - {aid for parent in parents for aid in parent.kels}
    if not new:
        return None
    unlisted = [aid for aid in now.kels if now.policy is None or not now.policy.lists(f"did:keri:{aid}")]
    sponsors = {aid: sponsor_of(now, f"did:keri:{aid}") for aid in unlisted}
    for aid in sorted(new & sponsors.keys()):
        sponsor = sponsors[aid]
        if sponsor is None:
            return f"adds the key event log of {aid}, whom the policy does not list"
        if list(sponsors.values()).count(sponsor) > MAX_DELEGATES:
            return f"adds more than {MAX_DELEGATES} delegates and members of {sponsor}"
    return None


def sponsor_of(now: AuthsFolder, did: str) -> str | None:
    """The DID whom the policy lists and who has delegated to `did`, or granted it something that stands."""
    policy = now.policy
    if policy is None or not now.authority.stands(did):
        return None
    principal = now.authority.principal(did)
    if policy.lists(principal):
        return principal
    rights = now.authority.rights(did, policy.signers, None) or now.authority.rights(principal, policy.signers, None)
    return rights[0].listed if rights else None


def is_new_log(case: Case, aid: str) -> bool:
    """Is the log another than in each parent's tree?"""
    return all(folder.kel_ids.get(aid) != case.folder.kel_ids[aid] for folder in parent_folders(case))


def is_housekeeping(case: Case) -> bool:
    """Does it change the rules, and nothing else? Then no `expires_at` applies, whatever rule asks: nobody locks the
    door by waiting (section 6)."""
    if not case.auths_changed or admin_matter(case) is None:
        return False
    entries = case.sources.entries
    try:
        own = {name: entry for name, entry in entries(case.commit.tree).items() if name != AUTHS}
        for parent in case.commit.parents:
            before = entries(case.sources.tree_of(parent))
            if own != {name: entry for name, entry in before.items() if name != AUTHS}:
                return False
    except (Malformed, TooLarge):
        return False
    return True


def parent_folders(case: Case) -> list[AuthsFolder]:
    return [case.sources.folder_at(parent.auths) for parent in case.parents]


def merge_bases(case: Case) -> Sequence[str]:
    return case.sources.bases_of(case.commit.parents)
