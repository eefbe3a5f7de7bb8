"""Answer for commits that nobody listed has signed: a merge button's, a bot's, somebody's who sent a patch.

A countersignature is an approval of kind countersign in the notes. It stands in for the signature of the revision, or
of each commit of the range A..B that lacks one, and never covers a change below .auths/.
"""

from __future__ import annotations

import argparse

from git_auths import output
from git_auths.commands.approve import require_listed
from git_auths.core.approvals import Object
from git_auths.core.judge import COUNTERSIGNABLE, Verdict
from git_auths.errors import Refusal
from git_auths.store import approving, keystore, notesync, remotes, revisions, settings, verdicts
from git_auths.store.repository import Repository

HINTS = {"threshold-unmet": "approve", "outside-root": "adopt", "bad-signature": "adopt"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", metavar="REV|A..B")
    parser.add_argument("--ref", help="as part of the branch of this full name (default: the mainline)")
    parser.add_argument("--remote", help="where the notes go (default: the mainline's remote)")
    parser.add_argument("--no-push", action="store_true", help="keep it here; git auths sync sends it")


def run(args: argparse.Namespace) -> int:
    repository = Repository()
    remote = None if args.no_push else args.remote or remotes.default(repository)
    identity = keystore.load(settings.signing_alias(repository.path))
    with verdicts.Verifier(repository) as verifier:
        commits = revisions.named(repository, args.what, after=verifier.pins.root)
        wanted = to_countersign(verifier, commits, args.ref)
        policy = verifier.mainline_folder().policy
        if wanted:
            require_listed(list(policy.commit) if policy else [], identity, args.what)
    shown = revisions.described(repository, [verdict.id for verdict in wanted])
    for verdict in wanted:
        output.note(f"countersign {verdict.id} {verdict.verdict} {shown[verdict.id].title}")
    good = len(commits) - len(wanted)
    if good:
        output.note(f"{good} of {len(commits)} need no countersignature")
    if not wanted:
        return 0
    objects = [Object(verifier.pins.root, "countersign", verdict.id) for verdict in wanted]
    approving.add(repository, objects, identity, args.secrets, f"Countersign {args.what}")
    output.note(f"countersigned {args.what}")
    if remote is not None:
        notesync.sync(repository.path, remote)
    return 0


def to_countersign(verifier: verdicts.Verifier, commits: list[str], ref: str | None) -> list[Verdict]:
    """Those among `commits` whose signature somebody listed can stand in for. A Refusal for what that cannot mend."""
    answer = verifier.verify(commits[-1:], ref)
    wanted = [answer.verdicts[id] for id in commits if id in answer.verdicts and not answer.verdicts[id].passes]
    for judged in wanted:
        if judged.verdict not in COUNTERSIGNABLE:
            command = HINTS.get(judged.verdict, "verify-commit")
            raise Refusal(f"no countersignature mends {judged.id}: {judged.reason} ({judged.verdict})",
                          f"git auths {command} {judged.id}")  # fmt: skip
        if judged.changes_auths:
            raise Refusal(f"{judged.id} changes .auths/, which no countersignature covers",
                          f"git auths adopt {judged.id}")  # fmt: skip
    return wanted
