"""Adopt commits that cannot be good by themselves: unsigned ones, an outsider's, a forge's squash.

Each commit of the revision or range A..B that is not good by itself gets a line in .auths/adopted, which is staged. It
counts once somebody who meets the admin rule commits it.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from git_auths import output
from git_auths.core.auths_folder import AuthsFolder, extends
from git_auths.core.decisions import ADOPTED, RECEIVED, Adoption, adoption_line, lines
from git_auths.core.explanation import brought_in
from git_auths.core.judge import SOUND, Verdict
from git_auths.errors import Refusal
from git_auths.store import questions, revisions, verdicts
from git_auths.store.repository import Objects, Repository
from git_auths.store.worktree_policy import Folder

NEVER = frozenset({"malformed", "policy-invalid", "kel-invalid", "incomplete"})
COMMIT_HINT = "git commit -S makes it so, by somebody who meets the admin rule"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", metavar="REV|A..B")
    parser.add_argument("--behind", action="store_true",
                        help="also what is behind it and does not descend from the trust root")  # fmt: skip


class Plan(NamedTuple):
    """`wanted` is to be adopted; `good` commits need no line; `behind` are covered by the line for the newest one."""

    wanted: list[Verdict]
    good: int
    behind: frozenset[str]


def run(args: argparse.Namespace) -> int:
    questions.require_no_three_dots(args.what)
    repository = Repository()
    folder = Folder(repository)
    with verdicts.Verifier(repository) as verifier, Objects(repository.path) as objects:
        plan = planned(verifier, args.what, args.behind)
        commits = revisions.described(repository, [verdict.id for verdict in plan.wanted])
        vain = folder.committed_decisions(ADOPTED)
        decisions = [
            decision(verifier, objects, verdict, commits[verdict.id], bool(plan.behind) and n == len(plan.wanted), vain)
            for n, verdict in enumerate(plan.wanted, 1)
        ]
    for verdict in plan.wanted:
        output.note(f"adopt {verdict.id} {verdict.verdict} {commits[verdict.id].title}")
    if plan.behind:
        output.note(f"  and {number_of(len(plan.behind))} behind it")
    if plan.good:
        output.note(f"{number_of(plan.good)} good already")
    if folder.add_decisions(ADOPTED, map(adoption_line, decisions)):
        output.note("changed and staged .auths/adopted")
        output.hint(COMMIT_HINT)
    else:
        output.note("nothing to adopt" if not decisions else "the lines are there already")
    return 0


def planned(verifier: verdicts.Verifier, what: str, behind: bool) -> Plan:
    root = verifier.pins.root
    commits = revisions.named(verifier.repository, what, after=root)
    newest = commits[-1]
    # HEAD may have adopted some, and the mainline may have a merge that waits for a line.
    answer = verifier.verify([newest, verifier.repository.head() or newest, verifier.mainline_tip])
    covered = revisions.unrelated(verifier.repository, newest, root) - {newest} if behind else set()
    if behind and not covered:
        output.warning(f"everything behind {newest} descends from the trust root: --behind adds nothing")
    judged = questions.verdicts_on(verifier, [id for id in commits if id not in covered], answer)
    awaited = set() if revisions.is_range(what) else set(map(brought_in, answer.verdicts.values()))
    wanted = [one for one in judged if one.verdict not in SOUND or (covered and one.id == newest) or one.id in awaited]
    for verdict in [*wanted, *(answer.verdicts[id] for id in sorted(covered) if id in answer.verdicts)]:
        if verdict.verdict in NEVER:
            raise never(verdict.id, verdict.verdict, verdict.reason)
        if verdict.verdict == "mainline-inverted":
            raise inverted(verdict)
    return Plan(wanted, len(judged) - len(wanted), frozenset(covered))


def inverted(merge: Verdict) -> Refusal:
    """A line that names the merge excuses nobody: whom it brings in is to be named."""
    named = brought_in(merge)
    if named is None:
        return never(merge.id, merge.verdict, merge.reason)
    return Refusal(f"to adopt {merge.id} changes nothing: {merge.reason} ({merge.verdict}); adopt {named} instead",
                   f"git auths adopt {named}")  # fmt: skip


def decision(verifier: verdicts.Verifier, objects: Objects, verdict: Verdict, commit: revisions.Described,
             behind: bool, vain: Collection[bytes]) -> Adoption:  # fmt: skip
    """The line for one commit: it names the tree at `.auths` where the commit changes it.

    `vain` are the lines that are there, and have not helped: those inside an adopted commit count for nothing, so a
    line that says the same in other words is needed.
    """
    plain = Adoption(commit.id, None, behind)
    if verdict.passes:
        return plain
    own = objects.auths_tree(commit.id)
    trees = {objects.auths_tree(parent) for parent in commit.parents} or {None}
    if trees == {own} and not verdict.changes_auths:
        return plain._replace(auths=own) if adoption_line(plain) in vain else plain
    if verdict.verdict != "outside-root":  # whose .auths nobody is judged by
        reason = next(never_below_auths(verifier, commit), None)
        if reason is not None:
            raise never(commit.id, *reason)
    return plain._replace(auths=own)


def never_below_auths(verifier: verdicts.Verifier, commit: revisions.Described) -> Iterator[tuple[str, str]]:
    """(verdict, reason) for each thing below `.auths/` that no adoption covers."""
    now = verifier.folder_of(commit.id)
    if now.fault is not None:
        yield now.fault.verdict, now.fault.reason
    elif now.policy is None:
        yield "policy-change-unauthorized", "it removes .auths/policy.toml"
    before = [verifier.folder_of(parent) for parent in commit.parents]
    for aid in shortened(now, before):
        yield "kel-invalid", f".auths/kels/{aid}.cesr is removed, or does not extend the one in a parent's tree"
    for name in (ADOPTED, RECEIVED):
        if not decision_lines(verifier, before, name) <= decision_lines(verifier, [now], name):
            yield "policy-change-unauthorized", f"it removes a line from .auths/{name.decode()}"


def shortened(now: AuthsFolder, before: Iterable[AuthsFolder]) -> Iterator[str]:
    """The identities whose log is gone, or goes on from none of the parents' logs of it."""
    logs: dict[str, list[bool]] = {}
    for folder in before:
        for aid, kel in folder.kels.items():
            logs.setdefault(aid, []).append(aid in now.kels and extends(now.kels[aid], kel))
    return (aid for aid, kept in logs.items() if not any(kept))


def decision_lines(verifier: verdicts.Verifier, folders: Iterable[AuthsFolder], name: bytes) -> frozenset[bytes]:
    ids = {folder.files[name] for folder in folders if name in folder.files}
    return frozenset().union(*(lines(verifier.read(id)[1]) for id in ids))


def never(id: str, verdict: str, reason: str) -> Refusal:
    return Refusal(f"{id} can never be adopted: {reason} ({verdict})", "make the commit anew, without that")


def number_of(commits: int) -> str:
    return "1 commit" if commits == 1 else f"{commits} commits"
