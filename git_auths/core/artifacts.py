"""Judging an artifact: file, signature, commit, and who answers for it. DESIGN section 10.

`verify` takes one attestation of a file through its links, in this order:

file        a subject of the statement has the file's SHA-256
signature   the envelope is signed by a key of the signer that the payload names: for a `did:keri` one that its log on
            the mainline shows as held and not declared compromised, for a `did:key` that key itself
commit      the commit that the provenance names is good by its own verdict
release     a person's: the release rule's threshold, by the signer and the approvals that name the digest
token, timestamp, log, expiry
            a pipeline's: what `ci` says of a [[policy.ci]] rule

The policy, the logs and the pins are those of the mainline's tip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from git_auths.core import ci
from git_auths.core.approvals import Counted
from git_auths.core.attestation import git_commits
from git_auths.core.attested import Attested, Signers
from git_auths.core.authority import Right
from git_auths.core.auths_folder import AuthsFolder, doubted_since
from git_auths.core.chain import COMMIT, FILE, RELEASE, SIGNATURE, TOKEN, Link, failed, ok, warning
from git_auths.core.facts import Fault
from git_auths.core.judge import SOUND, Verdict
from git_auths.core.pins import Pins
from git_auths.core.policy import CiRule, Rule
from git_auths.core.proofs import Proofs, examine
from git_auths.core.provenance import SLSA_PROVENANCE
from git_auths.core.rights import SIGN_RELEASE, Question, right, shortfall
from git_auths.core.scope import tag_matches
from git_auths.core.signer import DID_KEY, Signer


class Demand(NamedTuple):
    """What the one who asks wants beside the policy: this signer (a DID), this CI identity, this predicate type, the
    rules of this tag's name (None: every release rule)."""

    signer: str | None = None
    ci: ci.Demand = ci.Demand()
    predicate_type: str = SLSA_PROVENANCE
    tag: str | None = None


class Moment(NamedTuple):
    """By what it is judged: the trust root, `.auths` and the pins at the mainline's tip, the repository's clock and the
    wall's (Unix seconds), the verdict on a commit, and the lines of notes that name the digest; `incomplete`: there are
    more than can be read."""

    root: str
    folder: AuthsFolder
    pins: Pins
    clock_seconds: int
    now_seconds: int
    verdict_of: Callable[[str], Verdict]
    lines: Sequence[Attested]
    incomplete: bool = False


class Judged(NamedTuple):
    """The links, the signer's DID by the attestation's word, and the commit that it names."""

    links: tuple[Link, ...]
    signer: str
    commit: str | None = None


class _Broken(Exception):
    """No further link can be looked at."""

    def __init__(self, link: Link) -> None:
        super().__init__(link.text)
        self.link = link


def verify(digest: str, one: Attested, moment: Moment, demand: Demand) -> Judged:
    """Judge one attestation of the artifact with this SHA-256 (hex)."""
    found: list[Link] = []
    commit = None
    try:
        found.append(_file(digest, one))
        _is_asked_for(one, moment, demand)
        key, proofs, link = _signed(one, moment)
        found.append(link)
        signer = Signer(one.signer, moment.folder.principal(one.signer), key)
        if demand.signer not in (None, signer.did, signer.principal):
            raise _Broken(failed(SIGNATURE, "other-signer", f"it is signed by {signer.did}"))
        commit = _source(one, demand)
        found.append(_commit(commit, moment))
        approved = approvals_of(digest, moment, demand.tag)
        run = ci.Run(commit or "", proofs, one.issued_at, one.expires_at, moment.now_seconds, approved.earliest)
        found += _answered(signer, run, approved.counted, moment, demand)
    except _Broken as broken:
        found.append(broken.link)
    return Judged(tuple(found), one.signer, commit)


def _is_asked_for(one: Attested, moment: Moment, demand: Demand) -> None:
    if one.root != moment.root:
        raise _Broken(failed(SIGNATURE, "other-root", f"it is for another trust root, {one.root}"))
    if one.predicate_type != demand.predicate_type:
        wanted = demand.predicate_type
        raise _Broken(failed(SIGNATURE, "other-predicate", f"its predicate is {one.predicate_type}, not {wanted}"))


def _file(digest: str, one: Attested) -> Link:
    name = next((subject.name for subject in one.subjects if subject.digest.get("sha256") == digest), None)
    if name is None:
        raise _Broken(failed(FILE, "other-file", f"no subject of the attestation has the file's SHA-256, {digest}"))
    return ok(FILE, f"SHA-256 {digest}, attested as {name}")


def _signed(one: Attested, moment: Moment) -> tuple[bytes, Proofs, Link]:
    did = one.signer
    signed = Signers(moment.folder).check(one)
    if signed.key is None:
        raise _Broken(failed(SIGNATURE, "bad-signature", f"{signed.fault}, {did}"))
    if one.token is not None and not did.startswith(DID_KEY):
        raise _Broken(failed(SIGNATURE, "malformed", "a token is for a throwaway key, and its signer is none"))
    proofs = examine(one.line, signed.key, one.token, moment.pins).without_strangers()
    if signed.is_lost and not _is_before_the_loss(did, proofs, moment.folder):
        text = f"{did} has declared its key compromised, and no trusted time is before that"
        raise _Broken(failed(SIGNATURE, "compromised-key", text))
    return signed.key, proofs, ok(SIGNATURE, f"signature valid, by {did}")


def _is_before_the_loss(did: str, proofs: Proofs, folder: AuthsFolder) -> bool:
    kel, when = folder.kel_of(did), proofs.trusted_seconds
    lost_at = None if kel is None else doubted_since(kel)
    return when is not None and lost_at is not None and when < lost_at


def _source(one: Attested, demand: Demand) -> str | None:
    """The one commit that it says the artifact was made from."""
    commits = tuple(dict.fromkeys(git_commits(one.predicate)))
    if len(commits) > 1:
        raise _Broken(failed(COMMIT, "malformed", "it names several commits as its source"))
    if not commits and demand.predicate_type == SLSA_PROVENANCE:
        raise _Broken(failed(COMMIT, "malformed", "its provenance names no commit"))
    return commits[0] if commits else None


def _commit(commit: str | None, moment: Moment) -> Link:
    if commit is None:
        return warning(COMMIT, "no-commit", "it names no commit that the artifact was made from")
    verdict = moment.verdict_of(commit)
    if verdict.verdict not in SOUND:
        where = "" if verdict.id == commit else f" at {verdict.id}"
        return failed(COMMIT, verdict.verdict, f"commit {commit} is not good{where}: {verdict.reason} "
                                               f"({verdict.verdict})")  # fmt: skip
    by = f", signed by {verdict.signer}" if verdict.signer and verdict.id == commit else ""
    return ok(COMMIT, f"commit {commit} is {verdict.verdict}{by}")


def _answered(signer: Signer, run: ci.Run, counted: Counted, moment: Moment, demand: Demand) -> list[Link]:
    """Who answers for it: a pipeline by a rule for CI, a person by the release rules."""
    policy = moment.folder.policy
    rules = policy.ci if policy is not None else ()
    if signer.is_throwaway:
        if not rules:
            ungoverned = warning(RELEASE, "ungoverned", "no [[policy.ci]] rule says what CI may sign")
            return [*ci.links(None, run, demand.ci), ungoverned]
        admitting = ci.admitting(rules)
        if not admitting:
            return [failed(RELEASE, "unauthorized", "no [[policy.ci]] rule allows throwaway keys")]
        return ci.first_that_holds([ci.links(rule, run, demand.ci) for rule in admitting])
    if demand.ci != ci.Demand():
        return [failed(TOKEN, "unbound-runner", "its signer is no throwaway key of a CI job: it has no OIDC token")]
    own = [rule for rule in rules if is_listed(rule, signer.did, moment, run.issued_at)]
    released = _released(signer, run.issued_at, counted, moment, demand)
    if released.state == "failed" and own:
        listed = ok(RELEASE, f"{signer.did} is a pipeline that {own[0].name} lists")
        return [listed, *ci.first_that_holds([ci.own_key_links(rule, run) for rule in ci.demanding(own)])]
    proofs = [*ci.timestamps(run.proofs, False), *ci.log_entries(run.proofs, False)]
    return [released, *proofs, *_own_expiry(run)]


def is_listed(rule: CiRule, did: str, moment: Moment, issued_at: int = 0) -> bool:
    """Does the rule list this pipeline itself, whose log stands and whose time has not passed, by either clock?"""
    policy = moment.folder.policy
    assert policy is not None  # the rule is from it
    ends = policy.signers[did].expires_at if policy.lists(did) else None
    at = max(moment.clock_seconds, issued_at)
    return did in rule.signers and moment.folder.authority.stands(did) and (ends is None or at < ends)


def _own_expiry(run: ci.Run) -> Iterator[Link]:
    """A person's signature ends only where it says so."""
    if run.expires_at is not None:
        yield from ci.expiry(run, run.expires_at)


def _released(signer: Signer, issued_at: int, counted: Counted, moment: Moment, demand: Demand) -> Link:
    """Each release rule must be met, or those that match the tag that was asked for."""
    rules = release_rules(moment.folder, demand.tag)
    if not rules:
        return failed(RELEASE, "ungoverned", "no release rule of the policy matches it")
    for rule in rules:
        asked = question(rule, moment, issued_at)
        found = right(asked, signer.did)
        if isinstance(found, Fault):
            return failed(RELEASE, found.verdict, found.reason)
        fault = shortfall(asked, signer, counted)
        if fault is not None:
            return failed(RELEASE, fault.verdict, fault.reason)
    strictest = max(rules, key=lambda rule: rule.require)
    return ok(RELEASE, f"{strictest.name} is met: it takes {strictest.require}")


def release_rules(folder: AuthsFolder, tag: str | None) -> list[Rule]:
    rules = folder.policy.release if folder.policy is not None else ()
    if tag is None:
        return list(rules)
    return [rule for rule in rules if tag_matches(rule.tags, f"refs/tags/{tag}".encode("utf-8", "surrogateescape"))]


def question(rule: Rule, moment: Moment, issued_at: int = 0) -> Question:
    """The rule asked about what somebody says he issued then: an end that is past by either clock has passed."""
    assert moment.folder.policy is not None  # the rule is from it
    at = max(moment.clock_seconds, issued_at)
    return Question(moment.folder.policy, rule, SIGN_RELEASE, moment.folder.authority, at, at)


class Approved(NamedTuple):
    """The release approvals that name a digest; `earliest`: by its signer's word, of one who may approve a release."""

    counted: Counted
    earliest: int | None


def approvals_of(digest: str, moment: Moment, tag: str | None) -> Approved:
    """Whoever approved a release (of this tag; None: of any) with this digest among its artifacts, each signer once."""
    signers: dict[str, Signer] = {}
    times: list[int] = []
    rules = release_rules(moment.folder, tag)
    known = Signers(moment.folder)
    for one in moment.lines:
        if not _is_release_with(one, digest, moment.root, tag) or not known.knows(one.signer):
            continue
        signed = known.check(one)
        if signed.key is None or (signed.is_lost and not _is_from_before_the_loss(one, signed.key, moment)):
            continue
        signers.setdefault(one.signer, Signer(one.signer, moment.folder.principal(one.signer), signed.key))
        if any(_may_vouch(right(question(rule, moment), one.signer)) for rule in rules):
            times.append(one.issued_at)
    counted = Counted(tuple(signers.values()), incomplete=moment.incomplete)
    return Approved(counted, min(times, default=None))


def _is_from_before_the_loss(one: Attested, key: bytes, moment: Moment) -> bool:
    return _is_before_the_loss(one.signer, examine(one.line, key, None, moment.pins), moment.folder)


def _may_vouch(found: Right | Fault) -> bool:
    return isinstance(found, Right) and found.is_person


def _is_release_with(one: Attested, digest: str, root: str, tag: str | None) -> bool:
    approval = one.approval
    if approval is None or approval.kind != "tag" or tag not in (None, approval.tag_name):
        return False
    return one.root == root and digest in one.artifacts
