"""Commits by CI: signed by a throwaway key that no log knows, good by a [[policy.ci]] rule and its evidence.

DESIGN section 10. Such a commit is good where

- it has one parent, and changes only what `commit_paths` permits, never anything below `.auths/`;
- a note on it holds an attestation by its own key, whose OIDC token is bound to that key, matches the rule's identity
  and names the nearest ancestor that this key did not sign;
- a trusted time lies within the token's: a published token under a key that somebody kept signs nothing new.

The rules are those of every policy that judges the commit; the pins those of its own tree, and of the mainline when it
was received.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from git_auths.core.auths_folder import EMPTY
from git_auths.core.facts import Facts, Fault
from git_auths.core.gitobject import Malformed
from git_auths.core.paths import TooManyPaths, path_beyond
from git_auths.core.policy import CiRule, Policy
from git_auths.core.signer import Signer
from git_auths.errors import TooLarge

if TYPE_CHECKING:
    from git_auths.core.attested import Attested
    from git_auths.core.case import Case
    from git_auths.core.chain import Link
    from git_auths.core.pins import Pins

MAX_COMMITS_OF_A_RUN = 1000
MAX_ATTESTATIONS = 16  # of one commit by one key


class Pipelines(NamedTuple):
    """Where questions about commits by CI are answered."""

    attested: Callable[[str, bytes], Sequence[Attested]]  # of a commit, by this key
    pins_at: Callable[[str | None], Pins]  # by the id of the tree at .auths
    facts_of: Callable[[str], Facts]


def attested(lines: Sequence[bytes], root: str, commit: str, key: bytes) -> list[Attested]:
    """The attestations of `commit` among the lines of its note that are by `key` itself, at most 16."""
    from git_auths.core import attested as lines_that_attest
    from git_auths.core import didkey

    try:
        did = didkey.encode(key)
    except didkey.DidKeyInvalid:
        return []  # a type of key that no throwaway key is of
    signers = lines_that_attest.Signers(EMPTY)  # a key is its own signer, whatever the logs know
    found: list[Attested] = []
    for raw in lines:
        try:
            one = lines_that_attest.read(raw)
        except lines_that_attest.AttestedInvalid:
            continue
        subjects = {subject.digest.get("gitCommit") for subject in one.subjects}
        if one.signer == did and one.root == root and commit in subjects and not signers.check(one).fault:
            found.append(one)
            if len(found) == MAX_ATTESTATIONS:
                break
    return found


def accepted(case: Case, policies: Sequence[Policy]) -> Signer | Fault | None:
    """Who signed it, where each of `policies` takes it from CI; else why not; None: it is no matter of CI at all."""
    key = case.commit.key
    if case.sources.pipelines is None or key is None or not policies:
        return None
    if not all(any(map(lets_commit, policy.ci)) for policy in policies):
        return None
    for policy in policies:
        rules = [rule for rule in policy.ci if lets_commit(rule)]
        refused = [_out_of_bounds(case) or _refused(case, rule) for rule in rules]
        if all(refused):
            reason = f"its key belongs to no identity, and as a commit by CI {refused[0]}"
            return Fault("unknown-key", reason, rules[0].name)
    from git_auths.core import didkey

    did = didkey.encode(key)
    return Signer(did, did, key)


def lets_commit(rule: CiRule) -> bool:
    return rule.commit_paths is not None and rule.identity is not None and rule.allow_ephemeral


def _out_of_bounds(case: Case) -> str | None:
    if len(case.commit.parents) != 1:
        return "it is a merge; CI merges nothing"
    if case.auths_changed:
        return "it changes something below .auths/"
    return None


def _refused(case: Case, rule: CiRule) -> str | None:
    """Why this rule does not take the commit."""
    from git_auths.core.chain import broken

    sources = case.sources
    assert sources.pipelines is not None and rule.commit_paths is not None
    try:
        path = path_beyond(case.commit.tree, sources.tree_of(case.commit.parents[0]), rule.commit_paths,
                           sources.entries)  # fmt: skip
    except (TooManyPaths, Malformed, TooLarge):
        return "it changes more than can be looked through"
    if path is not None:
        shown = path.decode(errors="backslashreplace")
        return f"it changes {shown}, which the commit_paths of {rule.name} do not permit"
    for auths in dict.fromkeys((case.commit.auths, case.reception.state.auths)):
        if auths is None:
            continue
        found = broken(proved(sources.pipelines, case.commit, rule, sources.pipelines.pins_at(auths)), strict=True)
        if found is not None:
            return f"{rule.name} does not take it: {found.text}"
    return None


def proved(pipelines: Pipelines, commit: Facts, rule: CiRule, pins: Pins) -> list[Link]:
    """The links of the attestation of a commit, by its own key, that holds by `rule`; else of the first one."""
    from git_auths.core import ci, proofs
    from git_auths.core.chain import TOKEN, broken, failed

    key = commit.key
    base = None if key is None else started_on(pipelines.facts_of, commit.parents[0], key)
    if key is None or base is None:
        return [failed(TOKEN, "other-commit", f"more than {MAX_COMMITS_OF_A_RUN} commits in a row are by its key")]
    answers = []
    for one in pipelines.attested(commit.id, key):
        evidence = proofs.examine(one.line, key, one.token, pins)
        when = evidence.trusted_seconds or one.issued_at
        run = ci.Run(base, evidence, one.issued_at, one.expires_at, when)
        answers.append(ci.links(rule, run, ci.Demand()))
        if broken(answers[-1], strict=True) is None:
            return answers[-1]
    return answers[0] if answers else [
        failed(TOKEN, "unbound-runner", "no attestation by its key with an OIDC token stands in the notes on it")
    ]  # fmt: skip


def started_on(facts_of: Callable[[str], Facts], commit: str, key: bytes) -> str | None:
    """What the CI job that holds `key` was started on: the nearest of `commit` and its ancestors that the key did not
    sign; None where that is too far."""
    for _ in range(MAX_COMMITS_OF_A_RUN):
        facts = facts_of(commit)
        if facts.key != key or len(facts.parents) != 1:
            return commit
        commit = facts.parents[0]
    return None
