"""Push a release tag that lacks no approval, with the attestations, in one atomic push; its proposal goes away."""

from __future__ import annotations

import argparse
import shlex

from git_auths import output
from git_auths.errors import Refusal
from git_auths.store import git, notesync, proposals, remotes, settings, verdicts
from git_auths.store.repository import Repository

MAX_TRIES = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the tag's name")
    parser.add_argument("--remote", help="where to (default: the mainline's remote)")


def run(args: argparse.Namespace) -> int:
    repository = Repository()
    return publish(repository, args.remote or remotes.default(repository), args.name)


def publish(repository: Repository, remote: str, name: str) -> int:
    """Verify the tag with all that the remote knows, then push it."""
    id = proposals.find(repository, remote, name)
    ref = proposals.tag_ref(name)
    for _ in range(MAX_TRIES):
        notesync.receive(repository.path, remote)
        with verdicts.Verifier(repository) as verifier:
            judged = verifier.verify_tag_object(id, ref)
        if judged.verdict.verdict != "good":
            raise Refusal(f"{name} is not published: {judged.verdict.reason} ({judged.verdict.verdict})",
                          f"git auths approve {shlex.quote(name)}")  # fmt: skip
        if repository.ref(ref) is None:
            repository.git("update-ref", ref, id, "0" * len(id))
        if push(repository, remote, name, id):
            break
    else:
        raise Refusal(f"{name} is not published: others pushed attestations all the time",
                      f"git auths publish {shlex.quote(name)}")  # fmt: skip
    git.attempt("update-ref", "-d", settings.PROPOSALS + name, cwd=repository.path)
    output.note(f"published {name} on {remote}: {len(judged.approvers)} of {judged.need} signed or approved it")
    return 0


def push(repository: Repository, remote: str, name: str, id: str) -> bool:
    """One atomic push; False when somebody's attestations came first."""
    refspecs = [f"{id}:{proposals.tag_ref(name)}"]
    if repository.ref(settings.NOTES_REF):
        refspecs.append(settings.NOTES_REF)
    if proposals.is_on(repository, remote, name):
        refspecs.append(f":{settings.PROPOSALS}{name}")
    try:
        repository.git("push", "--quiet", "--atomic", "--no-follow-tags", "--", remote, *refspecs)
    except git.GitFailed as failure:
        if "fetch first" in failure.stderr or "non-fast-forward" in failure.stderr:
            return False
        for line in failure.stderr.splitlines():
            output.note(line)
        raise Refusal(f"{remote} did not take {name}", "the lines above say why") from None
    return True
