"""One commit before the judge, and where the judge's questions are answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from git_auths.core import authority
from git_auths.core.approvals import Counted
from git_auths.core.authority import Authority
from git_auths.core.auths_folder import AuthsFolder
from git_auths.core.cicommits import Pipelines
from git_auths.core.facts import Facts
from git_auths.core.gitobject import Entry
from git_auths.core.lineage import State, Version, maximal
from git_auths.core.reception import Reception

MAX_AUTHORITIES = 128  # kept in memory at once


class Sources(NamedTuple):
    """Where the judge's questions are answered."""

    folder_at: Callable[[str | None], AuthsFolder]  # by the id of the tree at .auths
    lines_of: Callable[[str | None], frozenset[bytes]]  # of a decision file, by blob id
    approvals_of: Callable[[str, str, AuthsFolder, Reception], Counted]  # (commit, kind, its own folder, when)
    tree_of: Callable[[str], str]  # a commit's root tree
    auths_of: Callable[[str], str | None]  # the tree at .auths in it
    bases_of: Callable[[Sequence[str]], Sequence[str]]  # the best common ancestors of all of some commits
    entries: Callable[[str], Mapping[bytes, Entry]]  # of a tree
    paths_changed: dict[tuple[str, tuple[str, ...]], bool]  # by commit and patterns: what has been looked through
    authorities: dict[tuple[str | None, str | None], Authority]  # of two trees at .auths: what has been put together
    pipelines: Pipelines | None = None  # None: nothing is asked about commits by CI


class Case(NamedTuple):
    """One commit before the judge. `parents` are those that descend from the root, or are it."""

    commit: Facts
    parents: Sequence[State]
    is_root: bool
    folder: AuthsFolder
    reception: Reception
    sources: Sources

    @property
    def effective(self) -> list[Version]:
        return maximal([parent.policy for parent in self.parents])

    @property
    def received_by(self) -> list[Version]:
        """The policy that received it, unless an effective one descends from that: then it is no further judge."""
        version = self.reception.state.policy
        is_older = version.bit == 0 or any(one.descent & version.bit for one in self.effective)
        return [] if is_older else [version]

    @property
    def authority(self) -> Authority:
        """Who may act for whom by the commit's own tree."""
        return self.folder.authority

    @property
    def authority_at_reception(self) -> Authority:
        """The same by what it and the mainline that received it know."""
        return self.authority_with(self.reception.state.auths)

    def authority_with(self, auths: str | None) -> Authority:
        """The same by what it and another tree at `.auths` know."""
        if auths is None or auths == self.commit.auths:
            return self.folder.authority
        known = self.sources.authorities
        if (self.commit.auths, auths) not in known:
            if len(known) >= MAX_AUTHORITIES:
                known.clear()
            both = authority.together(self.folder.authority, self.sources.folder_at(auths).authority)
            known[self.commit.auths, auths] = both
        return known[self.commit.auths, auths]

    @property
    def judged_by(self) -> list[Version]:
        return self.effective + self.received_by

    @property
    def auths_changed(self) -> bool:
        """Something below `.auths/` is not as in a parent, or the parents' policies have diverged: then even equal
        bytes are a change."""
        if any(parent.auths != self.commit.auths for parent in self.parents):
            return True
        return len(self.parents) > 1 and len(self.effective) > 1

    @property
    def moment_seconds(self) -> int:
        """What an `expires_at` is compared with: a committer date is the signer's word, the clock is not."""
        return max(self.reception.clock_seconds, self.commit.committed_at)
