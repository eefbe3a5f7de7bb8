"""Pipelines: what one [[policy.ci]] rule asks of an attestation by a throwaway key, or by a pipeline's own (DESIGN 10).

Anybody can make a key and sign with it. What ties the key to a run is the CI's OIDC token, whose audience is the key's
digest; what says when is a timestamp or a log entry. What a rule does not ask for and nobody brought is a warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from git_auths.core import oidc, utctime
from git_auths.core.chain import EXPIRY, LOG, TIMESTAMP, TOKEN, Link, failed, ok, warning
from git_auths.core.policy import CiRule
from git_auths.core.proofs import Proofs, Refused

MAX_AHEAD_SECONDS = 24 * 3600  # what a clock may be wrong by
UNRULED = CiRule(-1, True, 3600, None, None, False, None, None, (), None, ())  # where the policy says nothing of CI

WORDS = {TOKEN: "OIDC token", TIMESTAMP: "timestamp", LOG: "log entry"}


class Demand(NamedTuple):
    """What a consumer asks for beside the policy: the identity of the workflow (exact, or a glob) and its issuer."""

    identity: str | None = None
    issuer: str | None = None


class Run(NamedTuple):
    """An attestation before a rule: of which commit, with what evidence, issued when and until when (Unix seconds, its
    signer's word); what time it is; the earliest release approval of its digest that counts (by that signer's word)."""

    commit: str
    proofs: Proofs
    issued_at: int
    expires_at: int | None
    now_seconds: int
    approved_at: int | None = None


def admitting(rules: Sequence[CiRule]) -> list[CiRule]:
    """The rules by which a throwaway key may sign. Where one demands to know the job, one that demands nothing is no
    way around it; nor is it around a timestamp or a log."""
    found = [rule for rule in rules if rule.allow_ephemeral]
    by_identity = [rule for rule in found if rule.identity is not None]
    return by_identity or demanding(found)


def demanding(rules: list[CiRule]) -> list[CiRule]:
    """Those of several rules for the same key that ask for a time or a log, where any does."""
    return [rule for rule in rules if rule.require_log or rule.require_timestamp] or rules


def links(rule: CiRule | None, run: Run, demand: Demand) -> list[Link]:
    """The links that say who ran it and when, as `rule` asks; None: the policy has no such rule."""
    asked = UNRULED if rule is None else rule
    return [*runner(asked, run, demand), *time_and_log(asked, run), *expiry(run, ends_at(asked, run))]


def own_key_links(rule: CiRule, run: Run) -> list[Link]:
    """The same of a pipeline with an identity of its own, which the rule lists: its key is who it is."""
    return [*time_and_log(rule, run), *expiry(run, ends_at(rule, run))]


def runner(rule: CiRule, run: Run, demand: Demand) -> Iterator[Link]:
    """Which CI job held the key."""
    is_asked_for = rule.identity is not None or demand != Demand()
    refused, token = run.proofs.refusal(TOKEN), run.proofs.token
    if refused is not None:
        yield _refused(refused)
    elif token is None:
        why = "its OIDC token cannot be judged: no issuer is pinned below .auths/oidc" \
            if TOKEN in run.proofs.unpinned else "no OIDC token says which CI job held the key"  # fmt: skip
        text = f"{why}; anyone could have made this for that commit"
        yield failed(TOKEN, "unbound-runner", text) if is_asked_for else warning(TOKEN, "unbound-runner", text)
    elif not is_asked_for:
        yield warning(TOKEN, "unbound-runner", f"{named(token)}, but the policy names no [policy.ci.identity] that it "
                                               "must match; anyone could have run it")  # fmt: skip
    else:
        yield from _matching(rule, run, demand, token)


def _matching(rule: CiRule, run: Run, demand: Demand, token: oidc.Token) -> Iterator[Link]:
    mismatch = oidc.mismatch(token, rule.identity) if rule.identity is not None else None
    mismatch = mismatch or _undemanded(token, demand)
    if mismatch is not None:
        yield failed(TOKEN, "claim-mismatch", f"OIDC token refused: {mismatch}")
        return
    if token.commit is not None and token.commit != run.commit:
        yield failed(TOKEN, "other-commit", f"OIDC token refused: it was issued for commit {token.commit}")
        return
    yield ok(TOKEN, named(token))
    if not token.audience_bound:
        yield _unbound(rule, "audience", "the token's audience is not bound to the key: whoever read it could use it")
    if token.commit is None:
        yield _unbound(rule, "commit", "the token names no commit")
    if run.proofs.trusted_seconds is None:
        yield warning(TOKEN, "untimed", "nothing proves that the token was valid when it was used")


def _unbound(rule: CiRule, what: str, text: str) -> Link:
    if what in rule.allow_unbound:
        return ok(TOKEN, f"{text}; the policy allows that")
    return failed(TOKEN, f"{what}-unbound", text)


def _undemanded(token: oidc.Token, demand: Demand) -> str | None:
    wanted: Mapping[str, str | bool] = {} if demand.issuer is None else {"issuer": demand.issuer}
    found = oidc.mismatch(token, wanted) if wanted else None
    if found is None and demand.identity is not None and not oidc.identity_matches(token, demand.identity):
        return f"its identity is {token.identity or 'not named'}, not {demand.identity}"
    return found


def time_and_log(rule: CiRule, run: Run) -> Iterator[Link]:
    """When the signature was there, and whether it was made public."""
    proofs = run.proofs
    if proofs.trusted_seconds is None:
        yield warning(TIMESTAMP, "untimed", "nothing proves when this was signed")
    yield from timestamps(proofs, rule.require_timestamp)
    yield from log_entries(proofs, rule.require_log is not None)


def timestamps(proofs: Proofs, is_required: bool) -> Iterator[Link]:
    refused = proofs.refusal(TIMESTAMP)
    if refused is not None:
        yield _refused(refused)
    for stamp in proofs.stamps:
        yield ok(TIMESTAMP, f"timestamp proof valid ({utctime.text(stamp.time_seconds)}, by {stamp.authority})")
    if not proofs.stamps and refused is None:
        if TIMESTAMP in proofs.unpinned:
            text = "its timestamp cannot be judged: no authority is pinned below .auths/tsa"
            yield failed(TIMESTAMP, "unpinned", text) if is_required else warning(TIMESTAMP, "unpinned", text)
        elif is_required:
            yield failed(TIMESTAMP, "timestamp-missing", "the policy requires a timestamp, and there is none")


def log_entries(proofs: Proofs, is_required: bool) -> Iterator[Link]:
    refused = proofs.refusal(LOG)
    if refused is not None:
        yield _refused(refused)
    for entry in proofs.logged:
        when = "" if entry.time_seconds is None else f" at {utctime.text(entry.time_seconds)}"
        yield ok(LOG, f"logged by {entry.log.name}{when}")
    if not proofs.logged and refused is None:
        if LOG in proofs.unpinned:
            text = "its log entry cannot be judged: no log is pinned below .auths/rekor"
            yield failed(LOG, "unpinned", text) if is_required else warning(LOG, "unpinned", text)
        elif is_required:
            yield failed(LOG, "log-missing", "the policy requires an entry in a transparency log, and there is none")


def expiry(run: Run, until: int) -> Iterator[Link]:
    """Does it still count, or has it ended at the Unix time `until` before anybody saw it?"""
    when = run.proofs.trusted_seconds
    if run.issued_at > run.now_seconds + MAX_AHEAD_SECONDS:
        yield failed(EXPIRY, "issued-ahead", f"it says it was issued at {utctime.text(run.issued_at)}")
        return
    judged_at = run.now_seconds if when is None else when
    if judged_at <= until:
        return
    if run.approved_at is not None and run.approved_at <= until:
        yield ok(EXPIRY, f"expired at {utctime.text(until)}; a release approval of its digest is from before")
        return
    text = f"expired at {utctime.text(until)}"
    yield failed(EXPIRY, "expired", f"{text}, and nothing proves that it was signed before" if when is None else
                 f"{text}, before the time that is proved")  # fmt: skip


def ends_at(rule: CiRule, run: Run) -> int:
    """Until when it counts: no longer than the rule's `max_ttl` after its token, its trusted time, or its own word."""
    begins = [run.issued_at]
    if run.proofs.token is not None:
        begins.append(run.proofs.token.issued_at)
    elif run.proofs.trusted_seconds is not None:
        begins.append(run.proofs.trusted_seconds)
    ends = [begin + rule.max_ttl_seconds for begin in begins]
    return min(ends if run.expires_at is None else [*ends, run.expires_at])


def named(token: oidc.Token) -> str:
    """Who a token says ran it."""
    commit = "no commit" if token.commit is None else f"commit {token.commit}"
    actor = f", actor {token.actor}" if token.actor else ""
    where = f", {token.identity}" if token.identity else ""
    return f"OIDC token binding verified ({token.provider}, {commit}{actor}{where})"


def first_that_holds(found: Sequence[list[Link]]) -> list[Link]:
    """Of what several rules say, the first without a broken link; else what the first rule says."""
    whole = [one for one in found if not any(link.state == "failed" for link in one)]
    quiet = [one for one in whole if all(link.state == "ok" for link in one)]
    return (quiet or whole or list(found))[0]


def _refused(refused: Refused) -> Link:
    return failed(refused.kind, refused.code, f"{WORDS[refused.kind]} refused: {refused.reason}")
