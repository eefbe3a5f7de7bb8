"""What `.auths/policy.toml` says, as values. DESIGN section 6.

The file is data under a strict schema: whatever `parse` does not know, it refuses, naming line and reason.
The program that signs each commit imports this module, so what reads the file (`policyschema`, tomli) is
imported only when there is a file to read.
"""

from __future__ import annotations

from git_auths.core.policytext import MAX_POLICY_BYTES, PolicyInvalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

__all__ = [
    "MAX_POLICY_BYTES", "CiRule", "Policy", "PolicyInvalid", "Rule", "Signer", "is_did", "parse", "warnings",
]  # fmt: skip


class Signer:
    """What the policy says of a person or pipeline. `expires_at`: epoch seconds, rounded down; None: never.

    The admin rule does not apply `expires_at`: nobody locks the door by waiting.
    """

    __slots__ = ("did", "emails", "expires_at", "name")

    def __init__(self, did: str, name: str | None = None, emails: tuple[str, ...] = (),
                 expires_at: int | None = None) -> None:  # fmt: skip
        self.did = did
        self.name = name
        self.emails = emails
        self.expires_at = expires_at


class Rule:
    """One [[policy.commit]], [[policy.release]] or [[policy.admin]]: `require` of these principals.

    A scope (`branches`, `tags`, `paths`: patterns as `core.scope` reads them) is None where there is none.
    """

    __slots__ = ("agent_models", "agents", "branches", "capabilities", "index", "kind", "paths", "require",
                 "signers", "tags")  # fmt: skip

    def __init__(self, kind: str, index: int, signers: tuple[str, ...], require: int,
                 capabilities: tuple[str, ...], branches: tuple[str, ...] | None = None,
                 tags: tuple[str, ...] | None = None, paths: tuple[str, ...] | None = None,
                 agents: str = "approved", agent_models: tuple[str, ...] | None = None) -> None:  # fmt: skip
        self.kind = kind  # commit, release or admin
        self.index = index  # from 0, among the rules of its kind
        self.signers = signers  # DIDs in the file's order, each once
        self.require = require
        self.capabilities = capabilities
        self.branches = branches
        self.tags = tags
        self.paths = paths
        self.agents = agents  # allow, deny, or approved: by a principal's own key or device
        self.agent_models = agent_models  # None: every model

    @property
    def name(self) -> str:
        return f"policy.{self.kind}[{self.index}]"

    @property
    def is_scoped(self) -> bool:
        return any(scope is not None for scope in (self.branches, self.tags, self.paths))


class CiRule:
    """One [[policy.ci]]: what makes a pipeline's attestation count. DESIGN section 10."""

    __slots__ = ("allow_ephemeral", "allow_unbound", "commit_paths", "identity", "index", "log_url",
                 "max_ttl_seconds", "require_log", "require_timestamp", "signers",
                 "timestamp_url")  # fmt: skip

    def __init__(self, index: int, allow_ephemeral: bool, max_ttl_seconds: int, require_log: str | None,
                 log_url: str | None, require_timestamp: bool, timestamp_url: str | None,
                 commit_paths: tuple[str, ...] | None, signers: tuple[str, ...],
                 identity: Mapping[str, str | bool] | None,
                 allow_unbound: tuple[str, ...]) -> None:  # fmt: skip
        self.index = index
        self.allow_ephemeral = allow_ephemeral
        self.max_ttl_seconds = max_ttl_seconds
        self.require_log = require_log
        self.log_url = log_url
        self.require_timestamp = require_timestamp
        self.timestamp_url = timestamp_url
        self.commit_paths = commit_paths  # for `scope.path_permitted`; None: CI may not commit
        self.signers = signers
        self.identity = identity  # claim -> exact value or glob; None: no token counts as evidence
        self.allow_unbound = allow_unbound  # of "audience", "commit"

    @property
    def name(self) -> str:
        return f"policy.ci[{self.index}]"


class Policy:
    """The rules in force."""

    __slots__ = ("admin", "admin_is_explicit", "ci", "commit", "release", "signers", "unlisted")

    def __init__(self, commit: tuple[Rule, ...], release: tuple[Rule, ...], admin: tuple[Rule, ...],
                 ci: tuple[CiRule, ...], named: Mapping[str, Signer]) -> None:  # fmt: skip
        self.commit = commit
        self.release = release
        self.admin_is_explicit = bool(admin)
        self.admin = admin or tuple(map(_without_tags, release))  # each must be met; never empty
        self.ci = ci
        lists = [rule.signers for rule in (*commit, *release, *admin)] + [rule.signers for rule in ci]
        listed = dict.fromkeys(did for signers in lists for did in signers)
        self.signers = {did: named.get(did) or Signer(did) for did in listed}  # all that any rule lists
        self.unlisted = tuple(did for did in named if did not in listed)  # a [signer] table and no rule

    def lists(self, did: str) -> bool:
        """Whether any rule lists `did`."""
        return did in self.signers


def parse(data: bytes) -> Policy:
    """The policy in the bytes of a policy.toml; raises PolicyInvalid, with the line where there is one."""
    from git_auths.core.policyschema import read

    return read(data)


def is_did(text: str) -> bool:
    """Whether `text` is `did:keri:` and a Blake3-256 AID in canonical qb64 (CESR code E, 44 characters).

    The 32 bytes are padded in front to 33; the last two bits of the pad lead the character after the code, so
    that one is among the first sixteen of the alphabet.
    """
    aid = text.removeprefix("did:keri:")
    return (
        len(text) == 53
        and len(aid) == 44
        and aid[0] == "E"
        and aid[1] in "ABCDEFGHIJKLMNOP"
        and aid.isascii()
        and aid.replace("-", "0").replace("_", "0").isalnum()
    )


def warnings(policy: Policy, keys: Mapping[str, Collection[bytes]] | None = None) -> list[str]:
    """What is legal but unwise, a sentence each. `keys`: the current key blobs of each DID, where known."""
    found = []
    for rule in (*policy.commit, *policy.release, *(policy.admin if policy.admin_is_explicit else ())):
        if rule.require == len(rule.signers) > 1:
            found.append(f"{rule.name} requires all {rule.require} of its signers: "
                         "one lost key locks everyone out")  # fmt: skip
        elif len(rule.signers) == 1 and rule.kind != "admin":
            found.append(f"{rule.name} lists one signer: one lost key locks everyone out")
    for rule in policy.admin:
        if len(rule.signers) == 1:
            role = "is the admin rule and" if policy.admin_is_explicit else "stands in for the admin rule and"
            found.append(f"{rule.name} {role} lists one signer: without that key nobody can change the "
                         "policy, and whoever steals it can")  # fmt: skip
    found += [f"{one} and {other} hold the same key: together they count once"
              for one, other in _sharing(policy, keys or {})]  # fmt: skip
    for pipeline in policy.ci:
        found += _ci_warnings(pipeline)
    found += [f"there is a [signer] table for {did}, whom no rule lists" for did in policy.unlisted]
    return found


def _ci_warnings(rule: CiRule) -> Iterable[str]:
    if rule.allow_ephemeral and rule.identity is None:
        yield f"{rule.name} allows throwaway keys of any job: anybody can make one; [policy.ci.identity] says whose"
    if rule.identity is not None and "sub" in rule.identity:
        yield f"{rule.name} matches sub, whose form the CI may change: repository_id and workflow_ref say more"
    if rule.identity is not None and len(rule.identity) == 1:
        yield f"{rule.name} matches the issuer alone: every project that this CI runs can sign"
    if rule.commit_paths is not None and (rule.identity is None or not rule.allow_ephemeral):
        yield f"{rule.name} has commit_paths, but lets no CI commit without allow_ephemeral and [policy.ci.identity]"
    if rule.allow_ephemeral and not (rule.require_timestamp or rule.require_log):
        yield f"{rule.name} asks for no timestamp: nothing that CI signs is proved to be from before its end"


def _sharing(policy: Policy, keys: Mapping[str, Collection[bytes]]) -> Iterable[tuple[str, str]]:
    owners: dict[bytes, str] = {}
    for did in policy.signers:
        first_owners = dict.fromkeys(owners.setdefault(blob, did) for blob in keys.get(did, ()))
        yield from ((owner, did) for owner in first_owners if owner != did)


def _without_tags(rule: Rule) -> Rule:
    return Rule(rule.kind, rule.index, rule.signers, rule.require, rule.capabilities)
