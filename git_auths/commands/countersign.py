"""Answer for commits that nobody listed has signed: a merge button's, a bot's, somebody's who sent a patch.

A countersignature is an approval of kind countersign in the notes. It stands in for the signature of the revision, or
of each commit of the range A..B that lacks one, and never covers a change below .auths/.
"""

from __future__ import annotations

import argparse

from git_auths import output
from git_auths.core import judge
from git_auths.core.approvals import Object
from git_auths.core.case import Case
from git_auths.core.judge import COUNTERSIGNABLE, Verdict
from git_auths.core.signer import Signer
from git_auths.errors import Refusal
from git_auths.store import approving, keystore, notesync, questions, remotes, revisions, signing, verdicts
from git_auths.store.repository import Repository

HINTS = {"threshold-unmet": "approve", "outside-root": "adopt", "bad-signature": "adopt"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", metavar="REV|A..B")
    parser.add_argument(
        "--ref", help="as part of this branch, by its full name or a branch here (default: the mainline)"
    )
    parser.add_argument("--remote", help="where the notes go (default: the mainline's remote)")
    parser.add_argument("--no-push", action="store_true", help="keep it here; git auths sync sends it")


def run(args: argparse.Namespace) -> int:
    questions.require_no_three_dots(args.what)
    repository = Repository()
    ref = questions.ruled_by(repository, args.ref)
    remote = None if args.no_push else args.remote or remotes.default(repository)
    identity = signing.identity(args.secrets, repository.path)
    with verdicts.Verifier(repository) as verifier:
        commits = revisions.named(repository, args.what, after=verifier.pins.root)
        wanted = to_countersign(verifier, commits, ref)
        require_mended(verifier, commits[-1], wanted, ref, identity)
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
    found = questions.verdicts_on(verifier, commits, verifier.verify(commits[-1:], ref), ref)
    wanted = [judged for judged in found if not judged.passes]
    for judged in wanted:
        if judged.verdict not in COUNTERSIGNABLE:
            command = HINTS.get(judged.verdict, "verify-commit")
            raise Refusal(f"no countersignature mends {judged.id}: {judged.reason} ({judged.verdict})",
                          f"git auths {command} {judged.id}")  # fmt: skip
    return wanted


def require_mended(
    verifier: verdicts.Verifier, newest: str, wanted: list[Verdict], ref: str | None, identity: keystore.Identity
) -> None:
    """A Refusal where the judge would not count that `identity` stands in for a signature; all `wanted` are behind
    `newest`, or it."""
    if not wanted:
        return
    did = f"did:keri:{identity.aid}"
    stand_in = Signer(did, verifier.mainline_folder().principal(did), identity.current_blob)
    with verdicts.missing_is_incomplete():
        judged = verifier.judge([newest], ref)
        for verdict in wanted:
            part = next(part for part in judged if verdict.id in part.records)
            require_stand_in(part.case(verdict.id), stand_in)


def require_stand_in(case: Case, stand_in: Signer) -> None:
    id = case.commit.id
    if judge.touches_auths(case):
        raise Refusal(f"{id} changes .auths/, which no countersignature covers", f"git auths adopt {id}")
    fault = judge.written_under(case, stand_in) or judge.allowed_at_reception(case, stand_in)
    if fault is not None and fault.verdict not in ("threshold-unmet", "incomplete"):  # others may yet join
        raise Refusal(f"your countersignature of {id} would not count: {fault.reason}", f"git auths explain {id}")
