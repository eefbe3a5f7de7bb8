"""Finding what a person may pin: the mainline, and the first commit on it that has a policy (section 7, trust root)."""

from __future__ import annotations

import os

from git_auths.core.auths_folder import AuthsFolder, AuthsFolders
from git_auths.core.policy import CiRule
from git_auths.errors import Error
from git_auths.store import ancestry, git, settings
from git_auths.store.repository import Objects, Repository

POLICY_PATH = ".auths/policy.toml"


def default_mainline(repository: Repository) -> str:
    """The remote-tracking ref of the remote's default branch; without a remote the branch that HEAD names."""
    remotes = repository.git("remote").decode().split()
    remote = "origin" if "origin" in remotes else remotes[0] if len(remotes) == 1 else None
    if remote is not None and not repository.bare:
        status, name = git.attempt("symbolic-ref", "--quiet", f"refs/remotes/{remote}/HEAD", cwd=repository.path)
        if status == 0:
            return os.fsdecode(name).strip()
    status, name = git.attempt("symbolic-ref", "--quiet", "HEAD", cwd=repository.path)
    if status:
        raise Error("HEAD is detached, so it names no mainline", "name it: --mainline refs/heads/main")
    branch = os.fsdecode(name).strip()
    if remote is not None and not repository.bare:
        tracking = f"refs/remotes/{remote}/" + branch.removeprefix("refs/heads/")
        if repository.ref(tracking):
            return tracking
    return branch


def find(repository: Repository, mainline: str) -> str | None:
    """The first commit on the mainline's first-parent chain whose tree has a policy; None when there is none."""
    if repository.ref(mainline) is None:
        return None
    found = repository.git("rev-list", "--first-parent", "--reverse", mainline, "--", POLICY_PATH).decode().split()
    return found[0] if found else None


def may_be_root(repository: Repository, mainline: str, commit: str) -> bool:
    """Can `commit` (a full id) stand for the first one with a policy, as after `root pin --replace`? It has a valid
    policy, and is on the mainline's first-parent chain."""
    if not repository.has(commit) or not ancestry.is_on_chain(repository, repository.resolve(mainline), commit):
        return False
    folder = folder_at(repository, commit)
    return folder.fault is None and folder.policy is not None


def folder_at(repository: Repository, commit: str) -> AuthsFolder:
    """`.auths` in the tree of `commit`, read on its own."""
    with Objects(repository.path) as objects:
        root = settings.pinned_root(repository.path)
        return AuthsFolders(objects.read, repository.hex_length, root)(objects.auths_tree(commit))


def description(repository: Repository, root: str) -> list[str]:
    """Lines about a root and whom its policy lists, for somebody who is about to trust it."""
    line = repository.git("log", "-1", "--no-show-signature", "--format=%cs %an: %s", root, "--")
    return [f"{root}", f"  {line.decode(errors='replace').strip()}", *signer_lines(folder_at(repository, root))]


def signer_lines(folder: AuthsFolder) -> list[str]:
    """Whom each rule lists, by name where the policy has one."""
    if folder.fault is not None or folder.policy is None:
        return [f"  its policy cannot be read: {folder.fault.reason if folder.fault else 'it has none'}"]
    policy, lines = folder.policy, []
    for rule in (*policy.commit, *policy.release, *policy.admin):
        scopes = (("branches", rule.branches), ("tags", rule.tags), ("paths", rule.paths))
        scope = " ".join(f"{what} {', '.join(patterns)}" for what, patterns in scopes if patterns)
        lines.append(f"  {rule.kind}: {rule.require} of {len(rule.signers)}" + (f" ({scope})" if scope else ""))
        lines += [f"    {named(folder, did)}" for did in rule.signers]
    for pipelines in policy.ci:
        lines += ci_lines(pipelines)
        lines += [f"    {named(folder, did)}" for did in pipelines.signers]
    return lines


def ci_lines(rule: CiRule) -> list[str]:
    """What a rule asks of CI, and lets it do."""
    asked = [f"{rule.max_ttl_seconds} s"]
    asked += ["throwaway keys"] if rule.allow_ephemeral else []
    asked += ["a timestamp"] if rule.require_timestamp else []
    asked += ["an entry in a log"] if rule.require_log else []
    lines = [f"  ci: {', '.join(asked)}"]
    if rule.commit_paths is not None:
        lines.append(f"    may commit to {', '.join(rule.commit_paths)}")
    lines += [f"    {claim} = {value}" for claim, value in (rule.identity or {}).items()]
    return lines


def named(folder: AuthsFolder, did: str) -> str:
    """A DID with what the policy calls it."""
    signer = folder.policy.signers.get(did) if folder.policy is not None else None
    return f"{did} ({signer.name})" if signer is not None and signer.name else did
