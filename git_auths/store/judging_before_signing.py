"""The slow half of `authorisation`: read the folders and ask the judge's own rules about what is not yet signed."""

from __future__ import annotations

from git_auths.core.approvals import Counted
from git_auths.core.auths_folder import AuthsFolder, AuthsFolders, held_keys
from git_auths.core.facts import Facts
from git_auths.core.judge import UNGOVERNED, Case, FolderAt, State, decide, listed, matching_rules
from git_auths.core.lineage import Version
from git_auths.core.policy import Policy, Rule
from git_auths.core.signer import Signer
from git_auths.core.tags import release_rules
from git_auths.errors import Refusal
from git_auths.store import keystore
from git_auths.store.repository import Objects
from git_auths.store.settings import branch_name

SHOW = "git auths policy show lists who may sign; an admin adds a signer: git auths policy add-signer"


def require(kind: str, ref: str, trees: list[str], identity: keystore.Identity) -> None:
    """`trees` are the `.auths` trees: for a commit its own, then its parents'; for a tag the mainline's."""
    ref = branch_name(ref)
    hex_length = len(next(tree for tree in trees if tree))
    with Objects() as objects:
        folder_at = AuthsFolders(objects.read, hex_length)
        folders = [folder_at(tree or None) for tree in trees]
    # From here on every folder is in memory.
    did = f"did:keri:{identity.aid}"
    own = folders[0]
    if own.fault is not None:
        raise Refusal(f"not signed: {own.fault.reason} ({own.fault.verdict})", "git auths policy check")
    signer = Signer(did, own.principal(did), identity.current_blob)
    if kind == "tag":
        rules = release_rules(own, ref)
        require_rules(rules, signer, f"the tag {ref.removeprefix('refs/tags/')}")
        if rules:
            require_key(own, identity, "the mainline")
        return
    # A parent without a policy, or with one that cannot be read, sets no rules; a commit may mend it.
    policies = [folder.policy for folder in folders[1:] if folder.policy is not None]
    if len(folders) == 2 and policies:
        require_good(folders[1], identity, own, ref, trees, folder_at)
        return
    require_listed_somewhere(policies, ref, signer)
    if any(matching_rules(policy, ref) for policy in policies):
        require_key(own, identity, "this commit's tree")


def require_good(before: AuthsFolder, identity: keystore.Identity, own: AuthsFolder, ref: str, trees: list[str],
                 folder_at: FolderAt) -> None:  # fmt: skip
    """Ask the judge about the commit as it will be, with everybody's approval: those come after the signature."""
    version = Version(1, 1, before)
    facts = Facts("", (), "", trees[0] or None, 0, identity.current_blob, None, None, None)
    dids = before.policy.signers if before.policy else ()
    everybody = Counted(tuple(Signer(did, did, did.encode()) for did in dids))
    parent = State(version, version, 1, trees[1], None)
    fault, _ = decide(Case(facts, [parent], False, own, folder_at, ref, lambda commit, kind, folder: everybody))
    if fault is None or fault.verdict == UNGOVERNED:
        return
    if fault.verdict in ("unknown-key", "superseded-key"):
        require_key(own, identity, "this commit's tree")
    raise Refusal(f"not signed: {fault.reason} ({fault.verdict})", SHOW)


def require_listed_somewhere(policies: list[Policy], ref: str, signer: Signer) -> None:
    """A merge may bring in the policy that lists its signer; the judge decides which side descends from the other."""
    failures = [rule for policy in policies if (rule := failing_rule(policy, ref, signer))]
    if policies and len(failures) == len(policies):
        raise refusal(failures[0], signer, "this merge")


def failing_rule(policy: Policy, ref: str, signer: Signer) -> Rule | None:
    return next((rule for rule in matching_rules(policy, ref) if listed(signer, rule)), None)


def require_rules(rules: list[Rule], signer: Signer, what: str) -> None:
    for rule in rules:
        if listed(signer, rule):
            raise refusal(rule, signer, what)


def refusal(rule: Rule, signer: Signer, what: str) -> Refusal:
    return Refusal(f"not signed: {signer.did} may not sign {what}; {rule.name} does not list it (unauthorized)", SHOW)


def require_key(folder: AuthsFolder, identity: keystore.Identity, where: str) -> None:
    if identity.aid in folder.signers.get(identity.current_blob, ()):
        return
    kel = folder.kels.get(identity.aid)
    if kel is None:
        raise Refusal(f"not signed: {where} has no key event log of did:keri:{identity.aid} (unknown-key)",
                      "git auths whoami --export prints it, for a maintainer's policy add-signer")  # fmt: skip
    if identity.current_blob in held_keys(kel):
        raise Refusal(f"not signed: the key event log in {where} shows that your key was rotated away (superseded-key)",
                      f"git auths kel show did:keri:{identity.aid}")  # fmt: skip
    log = f".auths/kels/{identity.aid}.cesr"
    raise Refusal(f"not signed: the key event log in {where} is behind your identity (unknown-key)",
                  f"git auths whoami --export >{log}; git add {log}")  # fmt: skip
