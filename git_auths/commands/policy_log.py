"""`git auths policy log`: each change of the policy on the mainline, in words."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from git_auths import output
from git_auths.commands.verify import no_answer_as_json
from git_auths.core.auths_folder import EMPTY, AuthsFolder
from git_auths.core.gitobject import Malformed, parse_commit
from git_auths.core.judge import SOUND, Verdict
from git_auths.core.lineage import Version, Versions, maximal
from git_auths.core.policywords import differences, utc
from git_auths.store import trustroot, verdicts
from git_auths.store.repository import Repository

SAME = "no rule changed: comments or layout"


class Change(NamedTuple):
    """A commit that sets the policy, and the commits that set the one it had before: none for the first policy, several
    where branches with different policies meet."""

    id: str
    before: tuple[str, ...]


class Entry(NamedTuple):
    """What there is to say of a change; `differences` are words by the commit that set the policy before."""

    verdict: Verdict
    name: str | None  # the signer's, as the policy has it
    committer: str | None
    committed_at: str | None
    differences: Sequence[tuple[str | None, list[str]]]


def add_log_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON document")


def log(repository: Repository, args: argparse.Namespace) -> int:
    with no_answer_as_json(args.json), verdicts.Verifier(repository) as verifier:
        changes = list(changes_of(repository, verifier.pins.root, verifier.mainline_tip))[::-1]
        answer = verifier.verify([verifier.mainline_tip, *(change.id for change in changes)])
        entries = [entry(verifier, change, answer.in_the_end(answer.verdicts[change.id])) for change in changes]
    if args.json:
        output.document({"version": 1, "root": answer.root, "mainline": answer.mainline_tip,
                         "changes": [as_json(found) for found in entries]})  # fmt: skip
        return 0
    for found in entries:
        show(found)
    return 0


def changes_of(repository: Repository, root: str, tip: str) -> Iterator[Change]:
    """Each commit from `root` to `tip` that sets the policy, oldest first.

    A merge that takes over its effective policy sets none (section 7, rule 3); one that goes back to the policy of a
    parent that is behind does, though git calls it unchanged from that parent. So all merges are looked at.
    """
    lines = repository.git(
        "rev-list", "--full-history", "--parents", "--topo-order", "--reverse", tip, "--not", f"{root}^@",
        "--", f":/{trustroot.POLICY_PATH}",
    ).decode().splitlines()  # fmt: skip
    policies = policy_ids(repository, [line.split()[0] for line in lines])
    versions = Versions()
    states: dict[str, tuple[Version, int]] = {}  # the version that a commit hands down, and the bits of all behind it
    for line in lines:
        id, *parents = line.split()
        known = [states[parent] for parent in parents if parent in states]
        effective = maximal([version for version, _ in known]) if known else []
        seen = 0
        for _, behind in known:
            seen |= behind
        if len(effective) == 1 and policies[effective[0].commit] == policies[id]:
            states[id] = effective[0], seen
            continue
        if policies[id] is not None:
            version = versions.new(id, EMPTY, seen)
            states[id] = version, version.descent
        elif effective:
            states[id] = effective[0], seen
        if policies[id] is not None or effective:
            yield Change(id, tuple(version.commit for version in effective))


def policy_ids(repository: Repository, commits: list[str]) -> dict[str, str | None]:
    """The id of policy.toml in each commit's tree; None where there is none."""
    asked = "".join(f"{commit}:{trustroot.POLICY_PATH}\n" for commit in commits)
    answers = repository.git("cat-file", "--batch-check=%(objectname)", stdin=asked.encode()).decode().splitlines()
    return {
        commit: None if answer.endswith(" missing") else answer for commit, answer in zip(commits, answers, strict=True)
    }


def entry(verifier: verdicts.Verifier, change: Change, verdict: Verdict) -> Entry:
    folder = verifier.folder_of(change.id)
    since: Sequence[str | None] = change.before or (None,)
    before = [(id, EMPTY if id is None else verifier.folder_of(id)) for id in since]
    name = name_of(verdict.signer, [folder, *(earlier for _, earlier in before)])
    found = [(id, words(earlier, folder)) for id, earlier in before]
    try:
        commit = parse_commit(verifier.read(change.id)[1], len(change.id))
    except Malformed:
        return Entry(verdict, name, None, None, found)
    committer = commit.committer.rsplit(b" ", 2)[0].decode(errors="replace")
    return Entry(verdict, name, committer, utc(commit.committed_at), found)


def name_of(did: str | None, folders: list[AuthsFolder]) -> str | None:
    """What the first policy that names the signer calls them."""
    signers = (folder.policy.signers.get(did) for folder in folders if folder.policy is not None and did is not None)
    return next((signer.name for signer in signers if signer is not None and signer.name), None)


def words(before: AuthsFolder, after: AuthsFolder) -> list[str]:
    if after.fault is not None:
        return [f"nothing below .auths/ can be read: {after.fault.reason}"]
    if after.policy is None:
        return ["removed the policy"]
    if before.policy_id == after.policy_id:
        return ["the policy as it was there"]
    return differences(before.policy, after.policy) or [SAME]


def show(found: Entry) -> None:
    """`<verdict> <id> <when> by <signer>`, and below it what changed, a line each."""
    verdict = found.verdict
    who = verdict.signer or f"an unknown signer; the committer is {found.committer or 'not to be read'}"
    name = f" ({found.name})" if found.name else ""
    is_sound = verdict.verdict in SOUND
    output.line_with(output.verdict_word(verdict.verdict, is_sound),
                     f"{verdict.id} {found.committed_at or 'at no date'} by {who}{name}")  # fmt: skip
    if not is_sound:
        output.data(f"  {verdict.reason}")
    for before, lines in found.differences:
        if len(found.differences) > 1:
            output.data(f"  since {before}:")
        for line in lines:
            output.data(f"  {line}")


def as_json(found: Entry) -> dict[str, object]:
    verdict = found.verdict
    return {"id": verdict.id, "verdict": verdict.verdict, "reason": verdict.reason, "signer": verdict.signer,
            "principal": verdict.principal, "name": found.name, "committer": found.committer,
            "committed_at": found.committed_at,
            "differences": [{"since": before, "words": lines} for before, lines in found.differences]}  # fmt: skip
