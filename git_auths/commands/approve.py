"""Approve a proposed release tag, or commits whose rule requires more than one principal.

NAME is a tag that somebody proposed; a revision or a range A..B means commits. The approval is a signed statement in
the notes, bound to the trust root and to this one object; it is pushed at once (--no-push leaves that to
`git auths sync`).
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable

from git_auths import output
from git_auths.commands import publish
from git_auths.commands.option_types import filled
from git_auths.core import noteline
from git_auths.core.approvals import Object
from git_auths.core.auths_folder import AuthsFolder
from git_auths.core.judge import Verdict
from git_auths.core.pins import Pins
from git_auths.core.policy import Rule
from git_auths.core.statement import Kind
from git_auths.core.tags import release_rules
from git_auths.errors import Refusal, UsageError
from git_auths.store import (
    approving,
    artifactfiles,
    git,
    keystore,
    notesync,
    proposals,
    questions,
    remotes,
    revisions,
    signing,
    verdicts,
)
from git_auths.store.repository import Repository

MAX_TOLD = 20  # of the files that are vouched for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", metavar="NAME|REV|A..B")
    parser.add_argument("--remote", type=filled,
                        help="where the proposal and the notes are (default: the mainline's remote)")  # fmt: skip
    parser.add_argument("--no-push", action="store_true", help="keep the approval here; git auths sync sends it")
    parser.add_argument("--artifact", nargs="+", action="extend", default=[], metavar="PATH",
                        help="vouch for these files as parts of the release; globs too")  # fmt: skip
    parser.add_argument("--tsa", type=filled, metavar="URL",
                        help="have an RFC 3161 authority say when: it then counts even if the key is stolen "
                             "later")  # fmt: skip
    parser.add_argument("--publish", action="store_true", help="publish the tag when this was the last one it lacked")


def run(args: argparse.Namespace) -> int:
    questions.require_no_three_dots(args.what)
    repository = Repository()
    remote = None if args.no_push or not repository.git("remote") else args.remote or remotes.default(repository)
    identity = signing.identity(args.secrets, repository.path)
    with verdicts.Verifier(repository) as verifier:
        wanted = tag_to_approve(verifier, remote, args.what, identity) or commits_to_approve(
            verifier, args.what, identity
        )
        pinned = None if args.tsa is None else verifier.pinned()
    if args.artifact and wanted[0].tag_name is None:
        raise UsageError("--artifact is for release tags", "git auths approve TAG --artifact PATH...")
    files = [artifactfiles.read(path) for path in artifactfiles.expand(args.artifact)]
    digests = list(dict.fromkeys(one.sha256 for one in files))
    stamped = unstamped if pinned is None else stamping(args.tsa, pinned, identity)
    number = approving.add(repository, wanted, identity, args.secrets, f"Approve {args.what}", digests, stamped)
    output.note(f"approved {args.what}" + (f": {number} commits" if number > 1 else ""))
    for one in files[:MAX_TOLD]:
        output.note(f"  with {one.name} {one.sha256}")
    if len(files) > MAX_TOLD:
        output.note(f"  and {len(files) - MAX_TOLD} more files")
    if remote is not None:
        notesync.sync(repository.path, remote)
    if wanted[0].tag_name is None:
        return 0
    return after_tag(repository, args, remote)


def unstamped(line: bytes) -> bytes:
    return line


def stamping(url: str, pinned: Pins, identity: keystore.Identity) -> Callable[[bytes], bytes]:
    """What puts a timestamp of the authority at `url` beside a line by `identity`."""
    from git_auths.commands import collecting  # most approvals need no network

    plan = collecting.Plan(None, url, None, pinned)
    return lambda line: collecting.beside(noteline.parse(line).envelope, identity.current_blob, plan)


def after_tag(repository: Repository, args: argparse.Namespace, remote: str | None) -> int:
    id = proposals.find(repository, None, args.what)
    with verdicts.Verifier(repository) as verifier:
        judged = verifier.verify_tag_object(id, proposals.tag_ref(args.what))
    output.note(f"{len(judged.approvers)} of {judged.need} have signed or approved {args.what}")
    if judged.verdict.verdict != "good":
        return 0
    if args.publish and remote is not None:
        return publish.publish(repository, remote, args.what)
    output.hint(f"it lacks nothing more: git auths publish {shlex.quote(args.what)}")
    return 0


def tag_to_approve(
    verifier: verdicts.Verifier, remote: str | None, name: str, identity: keystore.Identity
) -> list[Object]:
    """The tag object that `name` proposes; nothing when it names no tag."""
    if ".." in name or git.attempt("check-ref-format", proposals.tag_ref(name))[0]:
        return []
    try:
        id = proposals.find(verifier.repository, remote, name)
    except proposals.NoSuchTag:
        return []
    proposals.require_plain_name(verifier.repository, name)
    tag = proposals.parse(verifier, id, name)
    rules = release_rules(verifier.mainline_folder(), proposals.tag_ref(name))
    require_right(verifier.mainline_folder(), rules, identity, f"the tag {name}")
    judged = verifier.verify_tag_object(id, proposals.tag_ref(name))
    if judged.verdict.verdict not in ("good", "threshold-unmet"):
        raise Refusal(
            f"not approved: {judged.verdict.reason} ({judged.verdict.verdict})",
            f"git auths verify-tag {shlex.quote(name)}",
        )
    output.note(f"tag {name} {id}")
    output.note(f"  releases {tag.target}, tagged by {judged.verdict.signer}")
    return [Object(verifier.pins.root, "tag", id, name, tag.target)]


def commits_to_approve(verifier: verdicts.Verifier, what: str, identity: keystore.Identity) -> list[Object]:
    repository = verifier.repository
    commits = revisions.named(repository, what)
    folder = verifier.mainline_folder()
    require_right(folder, [*folder.policy.commit, *folder.policy.admin] if folder.policy else [], identity, what)
    answer = verifier.verify(commits[-1:])
    shown = revisions.described(repository, commits)
    wanted = []
    for id in commits:
        kinds = kinds_for(repository, id, answer.verdicts.get(id))
        output.note(f"commit {id} {shown[id].title}" + ("; it changes .auths/" if "admin" in kinds else ""))
        wanted += [Object(verifier.pins.root, kind, id) for kind in kinds]
    return wanted


def kinds_for(repository: Repository, commit: str, judged: Verdict | None) -> list[Kind]:
    """A commit that changes `.auths/` needs an approval for that beside the one for the commit."""
    if judged is not None:
        changes_auths = judged.changes_auths
    else:
        differs = ("diff-tree", "--quiet", "--root", "-r", "-m", commit, "--", ".auths")
        changes_auths = git.attempt(*differs, cwd=repository.path)[0] == 1
    return ["commit", "admin"] if changes_auths else ["commit"]


def require_right(folder: AuthsFolder, rules: list[Rule], identity: keystore.Identity, what: str) -> None:
    """A Refusal where an approval by this identity would not count: it may act for nobody listed, or is an agent."""
    did = f"did:keri:{identity.aid}"
    rights = [right for rule in rules for right in folder.authority.rights(did, rule.signers, None)]
    if rights and all(right.is_agent for right in rights):
        raise Refusal(f"your approval of {what} would not count: {did} is an agent, and agents approve nothing",
                      "git config auths.identity NAME signs as another")  # fmt: skip
    if not rights:
        raise Refusal(f"your approval of {what} would not count: no matching rule lists {did}", "git auths policy show")
