"""Offer a release tag for approval: push it where it is not yet a tag (refs/auths/proposals/tags/NAME)."""

from __future__ import annotations

import argparse
import shlex

from git_auths import output
from git_auths.core.tags import TagVerdict
from git_auths.errors import Error, Refusal
from git_auths.store import notesync, proposals, remotes, settings, verdicts
from git_auths.store.repository import Repository


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the tag's name")
    parser.add_argument("--remote", help="where to (default: the mainline's remote)")


def run(args: argparse.Namespace) -> int:
    repository = Repository()
    remote = args.remote or remotes.default(repository)
    id = repository.ref(proposals.tag_ref(args.name))
    if id is None:
        raise Error(f"there is no tag {args.name} here", f"git tag -s {shlex.quote(args.name)}")
    proposals.require_plain_name(repository, args.name)
    with verdicts.Verifier(repository) as verifier:
        judged = verifier.verify_tag_object(id, proposals.tag_ref(args.name))
    require_proposable(judged, args.name)
    ref = settings.PROPOSALS + args.name
    repository.git("push", "--quiet", "--no-verify", "--no-follow-tags", "--", remote, f"+{id}:{ref}")
    repository.git("update-ref", ref, id)
    notesync.sync(repository.path, remote)
    output.note(f"proposed {args.name} ({id}) on {remote}: {len(judged.approvers)} of {judged.need} so far")
    output.hint(f"the others: git auths approve {shlex.quote(args.name)}")
    return 0


def require_proposable(judged: TagVerdict, name: str) -> None:
    verdict = judged.verdict
    if verdict.verdict == "good":
        raise Refusal(f"{name} lacks no approval: it can be published now", f"git auths publish {shlex.quote(name)}")
    if verdict.verdict != "threshold-unmet":
        raise Refusal(f"{name} is not good, and approvals would not mend it: {verdict.reason} ({verdict.verdict})")
