"""`git auths policy init`: the first policy, and the trust root."""

from __future__ import annotations

import argparse
import os

from git_auths import output
from git_auths.core import policyedit
from git_auths.errors import Error
from git_auths.store import commit, git, keystore, localcopy, settings, trustroot, verdicts, wiring
from git_auths.store.repository import Repository
from git_auths.store.worktree_policy import Folder

MESSAGE = "Add the policy of git-auths\n\nFrom here on this repository says who may change it.\n"


def add_init_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-commit", action="store_true", help="stage the files, and leave the commit to you")


def init(repository: Repository, args: argparse.Namespace) -> int:
    folder = Folder(repository)
    if folder.policy.exists():
        raise Error("this repository has a policy already: .auths/policy.toml", "git auths policy show")
    identity = keystore.load(settings.signing_alias(repository.path))
    branch = current_branch(repository)
    did = f"did:keri:{identity.aid}"
    wiring.wire(repository, identity.alias)
    folder.write_attributes()
    folder.write(folder.kel_file(identity.aid), keystore.read_kel(identity))
    folder.write(folder.policy, policyedit.new_policy(did, *author(repository)).encode())
    folder.write_allowed_signers()
    output.note("wrote and staged .auths/: policy.toml, allowed_signers, your key event log")
    if args.no_commit:
        output.hint("git commit -S makes it so; then: git auths setup pins it")
        return 0
    root = commit.with_staged_auths(repository, MESSAGE, identity, args.secrets)
    if not lands_here(repository, branch):
        output.note(f"committed {root}")
        output.hint(f"{branch} is not the mainline: run 'git auths setup' once this has landed there")
        return 0
    settings.pin(root, branch, repository.path)
    output.note(f"committed {root} and pinned it as the trust root, with the mainline {branch}")
    with verdicts.Verifier(repository) as verifier:
        localcopy.write_allowed_signers(verifier)
    output.data(root)
    return 0


def current_branch(repository: Repository) -> str:
    status, name = git.attempt("symbolic-ref", "--quiet", "HEAD", cwd=repository.path)
    if status:
        raise Error("HEAD is detached: a policy starts on the branch that becomes the mainline", "git switch main")
    return os.fsdecode(name).strip()


def author(repository: Repository) -> tuple[str | None, str | None]:
    """The user's name and address as git has them, where the policy can hold them."""
    from git_auths.core.allowed_signers import is_plain_address

    name, email = settings.get("user.name", repository.path), settings.get("user.email", repository.path)
    return name, email if email and is_plain_address(email) else None


def lands_here(repository: Repository, branch: str) -> bool:
    """Is `branch` the mainline, or the local side of the remote's default branch?"""
    return settings.branch_name(trustroot.default_mainline(repository)) == branch
