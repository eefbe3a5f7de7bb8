"""The slow half of `authorisation`: read the folders and ask the judge's own rules about what is not yet signed."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from git_auths.core.approvals import Counted
from git_auths.core.auths_folder import GRANTS, AuthsFolder, AuthsFolders, held_keys
from git_auths.core.case import Case, Sources
from git_auths.core.facts import Facts, Fault
from git_auths.core.gitobject import MAX_TREE_BYTES, Entry, parse_tree
from git_auths.core.judge import UNGOVERNED, decide, matching_rules
from git_auths.core.judgement import NOTHING
from git_auths.core.lineage import State, Version
from git_auths.core.policy import Policy
from git_auths.core.reception import Reception
from git_auths.core.rights import SIGN_COMMIT, Question, right
from git_auths.core.signer import Signer
from git_auths.core.tags import question, release_rules
from git_auths.errors import Refusal
from git_auths.store import git, keystore
from git_auths.store.repository import Objects
from git_auths.store.settings import branch_name, pinned_root

SHOW = "git auths policy show lists who may sign; an admin adds a signer: git auths policy add-signer"


def require(kind: str, ref: str, trees: list[str], identity: keystore.Identity, payload: bytes,
            received_by: str = "") -> bool:  # fmt: skip
    """`trees` are the `.auths` trees: for a commit its own, then its parents'; for a tag the mainline's. `received_by`:
    the mainline's for a delegate's commit, as it may have revoked the delegate; else empty.

    True when nothing but these decided: a rule with paths asks what the commit changes, a grant ends within the hour.
    """
    ref = branch_name(ref)
    hex_length = len(next(tree for tree in trees if tree))
    with Objects() as objects:
        folder_at = AuthsFolders(objects.read, hex_length, pinned_root())
        folders = [folder_at(tree or None) for tree in trees]
        own = folders[0]
        if own.fault is not None:
            raise Refusal(f"not signed: {own.fault.reason} ({own.fault.verdict})", "git auths policy check")
        if kind == "tag":
            require_tagger(own, ref, identity)
            return not any(grant.subject == did_of(identity) for grant in own.grants.values())
        # A parent without a policy, or with one that cannot be read, sets no rules; a commit may mend it.
        before = [
            (folder, tree) for folder, tree in zip(folders[1:], trees[1:], strict=True) if folder.policy is not None
        ]
        case = unsigned_case(payload, ref, trees[0] or None, own, before, identity, folder_at, objects, received_by)
        if len(folders) == 2 and before:
            require_good(case, identity)
        else:
            require_listed_somewhere(case, identity)
            if any(matching_rules(version.policy, case) for version in case.effective):
                require_key(own, identity, "this commit's tree")
        has_grants = any(grant.subject == did_of(identity) for grant in own.grants.values())
        return not has_grants and not any(rule.paths for folder, _ in before for rule in policy_of(folder).commit)


def unsigned_case(payload: bytes, ref: str, auths: str | None, own: AuthsFolder,
                  before: Sequence[tuple[AuthsFolder, str]], identity: keystore.Identity, folder_at: AuthsFolders,
                  objects: Objects, received_by: str = "") -> Case:  # fmt: skip
    """The commit as the judge will see it, signed by this identity, with everybody's approval: those come after."""
    lines = payload.split(b"\n\n", 1)[0].split(b"\n")
    tree = lines[0][5:].decode()
    ids = tuple(line[7:].decode() for line in lines[1:] if line.startswith(b"parent "))
    facts = Facts("", ids, tree, auths, 0, identity.current_blob, None, None, None)
    states = []
    for number, (folder, id) in enumerate(before):
        states.append(State(Version(1 << number, 1 << number, "", folder), 1 << number, id))
    dids = {did for folder, _ in before for did in policy_of(folder).signers}
    everybody = Counted(tuple(Signer(did, did, did.encode()) for did in sorted(dids)))

    def tree_of(commit: str) -> str:
        return objects.read(commit)[1][5 : 5 + len(commit)].decode()

    def entries(id: str) -> dict[bytes, Entry]:
        return {entry.name: entry for entry in parse_tree(objects.read(id, MAX_TREE_BYTES)[1], len(id))}

    def bases_of(commits: Sequence[str]) -> list[str]:
        return git.attempt("merge-base", "--octopus", "--all", *commits)[1].decode().split()

    def approvals_of(commit: str, kind: str, *_: object) -> Counted:
        return Counted() if kind == "countersign" else everybody

    sources = Sources(folder_at, folder_at.lines, approvals_of, tree_of, objects.auths_tree, bases_of, entries, {}, {})
    # What the mainline's policy will say on receiving it is for later; what it knows of a delegate is asked now.
    reception = Reception(0, NOTHING._replace(auths=received_by or None), int(time.time()), ref, None)
    return Case(facts, states, False, own, reception, sources)


def require_good(case: Case, identity: keystore.Identity) -> None:
    fault, _ = decide(case)
    if fault is None or fault.verdict == UNGOVERNED:
        return
    if fault.verdict in ("unknown-key", "superseded-key"):
        require_key(case.folder, identity, "this commit's tree")
    raise refusal(fault, case.folder, identity)


def require_listed_somewhere(case: Case, identity: keystore.Identity) -> None:
    """A merge may bring in the policy that lists its signer; the judge decides which side descends from the other."""
    failures = [first_failure(version.policy, case, did_of(identity)) for version in case.effective]
    if failures and all(failures):
        assert failures[0] is not None
        raise refusal(failures[0], case.folder, identity)


def first_failure(policy: Policy, case: Case, did: str) -> Fault | None:
    now = case.reception.clock_seconds
    asked = [Question(policy, rule, SIGN_COMMIT, case.authority, now, now) for rule in matching_rules(policy, case)]
    return next((found for one in asked if isinstance(found := right(one, did), Fault)), None)


def require_tagger(mainline: AuthsFolder, ref: str, identity: keystore.Identity) -> None:
    rules = release_rules(mainline, ref)
    for rule in rules:
        found = right(question(rule, mainline, int(time.time())), did_of(identity))
        if isinstance(found, Fault):
            what = f"the tag {ref.removeprefix('refs/tags/')}"
            raise refusal(found._replace(reason=f"{what}: {found.reason}"), mainline, identity)
    if rules:
        require_key(mainline, identity, "the mainline")


def did_of(identity: keystore.Identity) -> str:
    return f"did:keri:{identity.aid}"


def policy_of(folder: AuthsFolder) -> Policy:
    assert folder.policy is not None
    return folder.policy


def refusal(fault: Fault, folder: AuthsFolder, identity: keystore.Identity) -> Refusal:
    granted = [grant for grant in folder.grants.values() if grant.subject == did_of(identity)]
    hint = SHOW
    if any(path.startswith(GRANTS + b"/") for path in folder.files) and pinned_root() is None:
        hint = "git auths setup pins the trust root, without which no grant counts"
    if granted and fault.verdict == "expired":
        renewal = f"agent renew {identity.alias}" if granted[0].kind == "agent" else f"grant {did_of(identity)}"
        hint = f"whoever granted it renews it: git auths {renewal}"
    return Refusal(f"not signed: {fault.reason} ({fault.verdict})", hint)


def require_key(folder: AuthsFolder, identity: keystore.Identity, where: str) -> None:
    if did_of(identity) in folder.signers.get(identity.current_blob, ()):
        return
    kel = folder.kels.get(identity.aid)
    if kel is None:
        raise Refusal(f"not signed: {where} has no key event log of did:keri:{identity.aid} (unknown-key)",
                      "git auths whoami --export prints it, for a maintainer's policy add-signer")  # fmt: skip
    if identity.folder and os.path.lexists(os.path.join(identity.folder, "pending")):
        raise Refusal(f"not signed: {where} has a rotation that this machine has not finished (superseded-key)",
                      f"git auths device finish --alias {identity.alias}")  # fmt: skip
    if identity.current_blob in held_keys(kel):
        raise Refusal(f"not signed: the key event log in {where} shows that your key was rotated away (superseded-key)",
                      f"git auths kel show did:keri:{identity.aid}")  # fmt: skip
    hint = "git auths kel update commits what it lacks" if identity.folder else "bring in the mainline: git merge"
    raise Refusal(f"not signed: the key event log in {where} is behind your identity (unknown-key)", hint)
