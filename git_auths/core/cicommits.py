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
from git_auths.core.sshsig import fingerprint
from git_auths.errors import TooLarge

if TYPE_CHECKING:
    from git_auths.core.attested import Attested
    from git_auths.core.case import Case
    from git_auths.core.chain import Link
    from git_auths.core.ci import Run
    from git_auths.core.pins import Pins

    Runs = Sequence[Run] | None

MAX_COMMITS_OF_A_RUN = 1000
MAX_ATTESTATIONS = 16  # of one commit by one key: nobody else can make more


class Found(NamedTuple):
    """The attestations of a commit by its own key, and the lines of notes that they were read from; `is_whole`: there
    is no note that cannot be read."""

    attested: tuple[Attested, ...] = ()
    lines: tuple[bytes, ...] = ()
    is_whole: bool = True


class Pipelines(NamedTuple):
    """Where questions about commits by CI are answered."""

    attested: Callable[[str, bytes], Found]  # of a commit, by this key
    pins_at: Callable[[str | None], Pins]  # by the id of the tree at .auths; one object for the same pins
    facts_of: Callable[[str], Facts]


def attested(lines: Sequence[bytes], root: str, commit: str, key: bytes) -> Found:
    """The attestations of `commit` among the lines of its note that are by `key` itself: at most 16 envelopes, each
    with all the evidence that stands beside it anywhere in the note."""
    from git_auths.core import attested as lines_that_attest
    from git_auths.core import didkey

    try:
        did = didkey.encode(key)
    except didkey.DidKeyInvalid:
        return Found()  # a type of key that no throwaway key is of
    # Most of a hostile note is passed over unparsed: what is by this key names it, with its slashes escaped or not.
    name = fingerprint(key).encode()
    names = (name, name.replace(b"/", b"\\/"))
    signers = lines_that_attest.Signers(EMPTY)  # a key is its own signer, whatever the logs know
    found: list[Attested] = []
    for raw in lines:
        if not any(one in raw for one in names):
            continue
        try:
            one = lines_that_attest.read(raw)
        except lines_that_attest.AttestedInvalid:
            continue
        subjects = {subject.digest.get("gitCommit") for subject in one.subjects}
        if one.signer == did and one.root == root and commit in subjects and one.token is not None:
            found.append(one)
    by_it = [one for one in lines_that_attest.united(found) if not signers.check(one).fault][:MAX_ATTESTATIONS]
    envelopes = {one.line.envelope for one in by_it}
    return Found(tuple(by_it), tuple(one.raw for one in found if one.line.envelope in envelopes))


def accepted(case: Case, policies: Sequence[Policy], pins_of: str | None) -> Signer | Fault | None:
    """Who signed it, where each of `policies` takes it from CI; else why not; None: it is no matter of CI at all.

    `pins_of`: a further tree at `.auths` by whose pins its evidence must hold.
    """
    key, pipelines = case.commit.key, case.sources.pipelines
    if pipelines is None or key is None or case.commit.auths is None or not policies:
        return None
    if not all(any(map(lets_commit, policy.ci)) for policy in policies):
        return None
    found = pipelines.attested(case.commit.id, key)
    trees = (case.commit.auths, case.reception.state.auths, pins_of)
    pinned = {id(pins): pins for pins in (pipelines.pins_at(auths) for auths in trees if auths is not None)}
    runs = [runs_of(pipelines, case.commit, found, pins) for pins in pinned.values()]
    for policy in policies:
        rules = [rule for rule in policy.ci if lets_commit(rule)]
        refused = [_out_of_bounds(case) or _refused(case, rule, runs) for rule in rules]
        if all(refused):
            word = "unknown-key" if found.is_whole else "incomplete"
            more = "" if found.is_whole else "; its notes cannot be read whole"
            reason = f"its key belongs to no identity, and as a commit by CI {refused[0]}{more}"
            return Fault(word, reason, rules[0].name)
    return job_with(key)


def job_with(key: bytes) -> Signer:
    """The CI job that holds a throwaway key, an SSH public key blob: the key is all of its name."""
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


def _refused(case: Case, rule: CiRule, runs: Sequence[Runs]) -> str | None:
    """Why this rule does not take the commit, by any of the pins that judge it."""
    from git_auths.core.chain import broken

    sources = case.sources
    assert rule.commit_paths is not None
    try:
        path = path_beyond(case.commit.tree, sources.tree_of(case.commit.parents[0]), rule.commit_paths,
                           sources.entries)  # fmt: skip
    except (TooManyPaths, Malformed, TooLarge):
        return "it changes more than can be looked through"
    if path is not None:
        shown = path.decode(errors="backslashreplace")
        return f"it changes {shown}, which the commit_paths of {rule.name} do not permit"
    for some in runs:
        found = broken(links(some, rule), strict=True)
        if found is not None:
            return f"{rule.name} does not take it: {found.text}"
    return None


def runs_of(pipelines: Pipelines, commit: Facts, found: Found, pins: Pins) -> Runs:
    """The CI jobs that say they made the commit, each with the evidence that holds by `pins`; None: too many commits in
    a row are by its key."""
    from git_auths.core import ci, proofs

    assert commit.key is not None
    base = started_on(pipelines.facts_of, commit.parents[0], commit.key) if commit.parents else None
    if base is None:
        return None
    examined = []
    for one in found.attested:
        evidence = proofs.examine(one.line, commit.key, one.token, pins).without_strangers()
        when = evidence.trusted_seconds or one.issued_at
        examined.append(ci.Run(base, evidence, one.issued_at, one.expires_at, when))
    return examined


def links(runs: Runs, rule: CiRule) -> list[Link]:
    """The links of the run that holds by `rule`; else of the first one."""
    from git_auths.core import ci
    from git_auths.core.chain import TOKEN, broken, failed

    if runs is None:
        return [failed(TOKEN, "other-commit", f"more than {MAX_COMMITS_OF_A_RUN} commits in a row are by its key")]
    answers = [ci.links(rule, run, ci.Demand()) for run in runs]
    if not answers:
        text = "no attestation by its key with an OIDC token stands in the notes on it"
        return [failed(TOKEN, "unbound-runner", text)]
    return next((answer for answer in answers if broken(answer, strict=True) is None), answers[0])


def started_on(facts_of: Callable[[str], Facts], commit: str, key: bytes) -> str | None:
    """What the CI job that holds `key` was started on: the nearest of `commit` and its ancestors that the key did not
    sign; None where that is too far."""
    for _ in range(MAX_COMMITS_OF_A_RUN):
        facts = facts_of(commit)
        if facts.key != key or len(facts.parents) != 1:
            return commit
        commit = facts.parents[0]
    return None
