"""Fix when tags and branches were received, so that they stay good when a signer leaves or a right expires.

Each REF that is good now gets a line in .auths/received, which is staged: a tag with the approvals that count now, a
branch with its tip. Once somebody who meets the admin rule commits it, both are judged as of then.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from git_auths import output
from git_auths.core.approvals import Object
from git_auths.core.auths_folder import AuthsFolder
from git_auths.core.decisions import RECEIVED, Receipt, approval_digest, receipt_line
from git_auths.core.gitobject import parse_tag
from git_auths.core.judge import SOUND
from git_auths.core.rights import SIGN_RELEASE
from git_auths.core.scope import branch_matches
from git_auths.core.tags import release_rules
from git_auths.errors import Error, Refusal, UsageError
from git_auths.store import approving, remotes, verdicts
from git_auths.store.repository import Repository
from git_auths.store.settings import branch_name
from git_auths.store.worktree_policy import Folder

EXPIRING_SECONDS = 30 * 24 * 3600
COMMIT_HINT = "git commit -S makes it so, by somebody who meets the admin rule"


class Received(NamedTuple):
    """A receipt, and whose signatures it rests on: DIDs of the signers, and of the principals that they count for."""

    receipt: Receipt
    signers: frozenset[str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("refs", nargs="*", metavar="REF", help="a tag or branch")
    many = parser.add_mutually_exclusive_group()
    many.add_argument("--all", action="store_true", help="every release tag and governed branch that is good now")
    many.add_argument("--expiring", action="store_true",
                      help="those that rest on a right which expires within 30 days")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    if bool(args.refs) == (args.all or args.expiring):
        raise UsageError("name tags and branches, or give one of --all and --expiring", "git auths receive v1.0.0")
    repository = Repository()
    folder = Folder(repository)
    with verdicts.Verifier(repository) as verifier:
        if args.refs:
            wanted = [
                receive(verifier, ref, under) for ref, under in (full_names(repository, ref) for ref in args.refs)
            ]
        else:
            wanted = everything_good(verifier)
        if args.expiring:
            soon = expiring(verifier.mainline_folder())
            wanted = [one for one in wanted if one.signers & soon]
    if add(folder, wanted):
        output.hint(COMMIT_HINT)
    return 0


def add(folder: Folder, wanted: Iterable[Received]) -> bool:
    """Write and stage a line for each; say whether any was new."""
    receipts = [one.receipt for one in wanted]
    for receipt in receipts:
        approvals = f" with {len(receipt.approvals)} approvals" if receipt.approvals else ""
        output.note(f"receive {receipt.ref} {receipt.id}{approvals}")
    if folder.add_decisions(RECEIVED, map(receipt_line, receipts)):
        output.note("changed and staged .auths/received")
        return True
    output.note("nothing to receive" if not receipts else "received already, or staged")
    return False


def full_names(repository: Repository, name: str) -> tuple[str, str]:
    """The full name of the ref that `name` means here, and the name of the tag or branch that it stands for."""
    candidates = (
        [name] if name.startswith("refs/") else [f"refs/{kind}/{name}" for kind in ("tags", "heads", "remotes")]
    )
    found = [ref for ref in candidates if repository.ref(ref) is not None]
    if len(found) > 1:
        raise Error(f"{name} is {' as well as '.join(found)}", "give the full name")
    if not found or not branch_name(found[0]).startswith(("refs/heads/", "refs/tags/")):
        raise Error(f"{name} is no tag or branch here", "git for-each-ref lists what is here")
    return found[0], branch_name(found[0])


def receive(verifier: verdicts.Verifier, ref: str, under: str) -> Received:
    """The receipt for what `ref` points to, as the tag or branch `under`; a Refusal when it is not good now."""
    return receive_tag(verifier, ref) if ref.startswith("refs/tags/") else receive_branch(verifier, ref, under)


def receive_tag(verifier: verdicts.Verifier, ref: str) -> Received:
    judged = verifier.verify_tag(ref).verdict
    if judged.verdict != "good":
        name = shlex.quote(ref.removeprefix("refs/tags/"))
        raise not_good(ref, judged.verdict, judged.reason, f"git auths verify-tag {name}")
    folder = verifier.mainline_folder()
    tag = parse_tag(verifier.read(judged.id)[1], len(judged.id))
    rules = release_rules(folder, ref)

    def may(did: str) -> bool:
        return any(folder.authority.rights(did, rule.signers, SIGN_RELEASE) for rule in rules)

    wanted = Object(verifier.pins.root, "tag", judged.id, tag.name.decode(errors="replace"), tag.target)
    counted = list(approving.that_count(verifier.repository, wanted, folder, may))
    signers = {did for _, did in counted} | ({judged.signer} if judged.signer else set())
    digests = tuple(sorted(approval_digest(line) for line, _ in counted))
    return Received(Receipt(ref, judged.id, digests), frozenset(signers | {folder.principal(did) for did in signers}))


def receive_branch(verifier: verdicts.Verifier, ref: str, under: str) -> Received:
    tip = verifier.repository.resolve(ref)
    answer = verifier.verify([tip], under)
    judged = answer.verdicts[tip]
    if judged.verdict not in SOUND or judged.because_of is not None:
        said = answer.in_the_end(judged)
        raise not_good(ref, said.verdict, said.reason, f"git auths verify-commit --ref {shlex.quote(under)} {tip}")
    lacking = verifier.repository.git("rev-list", tip, f"^{verifier.mainline_tip}").decode().split()
    found = [answer.verdicts[id] for id in lacking if id in answer.verdicts]
    signers = {did for verdict in found for did in (verdict.signer, verdict.principal) if did is not None}
    return Received(Receipt(under, tip, ()), frozenset(signers))


def not_good(ref: str, verdict: str, reason: str, hint: str) -> Refusal:
    return Refusal(f"{ref} is not good now, so it is not received: {reason} ({verdict})", hint)


def everything_good(verifier: verdicts.Verifier) -> list[Received]:
    """Every release tag that is good now, and every governed branch that is; the others are counted."""
    found, passed_over = [], 0
    for ref, under in (*governed_tags(verifier), *governed_branches(verifier)):
        try:
            found.append(receive(verifier, ref, under))
        except verdicts.NoAnswer:
            raise
        except Refusal:
            passed_over += 1
    if passed_over:
        output.note(f"passed over {passed_over} that are not good now")
    return found


def governed_tags(verifier: verdicts.Verifier) -> Iterator[tuple[str, str]]:
    folder = verifier.mainline_folder()
    return ((ref, ref) for ref in refs(verifier.repository, "refs/tags") if release_rules(folder, ref))


def governed_branches(verifier: verdicts.Verifier) -> Iterator[tuple[str, str]]:
    """The branches that a commit rule matches and that have what the mainline lacks."""
    policy = verifier.mainline_folder().policy
    for ref in refs(verifier.repository, f"--no-merged={verifier.mainline_tip}", shared(verifier.repository)):
        under = branch_name(ref)
        name = under.encode("utf-8", "surrogateescape")
        if policy is not None and any(branch_matches(rule.branches, name) for rule in policy.commit):
            yield ref, under


def shared(repository: Repository) -> str:
    """Where the branches are that others rely on: one that is only here can still be made anew."""
    if not repository.git("remote").strip():
        return "refs/heads"
    return f"refs/remotes/{remotes.default(repository)}"


def refs(repository: Repository, *which: str) -> list[str]:
    """The refs there; one that only points to another, as origin/HEAD, is none of its own."""
    listed = repository.git("for-each-ref", "--format=%(refname) %(symref)", *which)
    return [line[:-1].decode("utf-8", "surrogateescape") for line in listed.split(b"\n") if line.endswith(b" ")]


def expiring(folder: AuthsFolder) -> set[str]:
    """Whose right to sign ends within 30 days: by the policy, or by the last of their grants."""
    horizon = time.time() + EXPIRING_SECONDS
    signers = folder.policy.signers.values() if folder.policy else ()
    ends: dict[str, int] = {}
    for sha256, grant in folder.grants.items():
        if folder.authority.counts(sha256):
            ends[grant.subject] = max(grant.expires_at, ends.get(grant.subject, 0))
    return {one.did for one in signers if one.expires_at is not None and one.expires_at <= horizon} | {
        subject for subject, end in ends.items() if end <= horizon
    }


def offered(repository: Repository, said: bool | None) -> list[Received]:
    """Everything that is good now, before somebody's removal takes effect, where it is to stay so.

    `said` is None where nobody said; then a person at a terminal is asked.
    """
    if said is None:
        said = sys.stdin.isatty() and confirmed("Keep good what is good now, by receipts for its tags and branches?")
    if not said:
        return []
    with verdicts.Verifier(repository) as verifier:
        return everything_good(verifier)


def confirmed(question: str) -> bool:
    sys.stderr.write(f"{question} [Y/n] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("", "y", "yes")
