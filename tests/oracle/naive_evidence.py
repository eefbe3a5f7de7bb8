"""Who ran it and when, naive on purpose: what sections 6 and 10 ask of a throwaway key, on evidence that is only values.

First drafted from the specification alone; put into links, as they are compared now, after a look at
`git_auths.core.artifacts`, `ci`, `cicommits` and `proofs`. `naive_artifacts` judges an artifact by this, `naive_judge` a
commit by CI.

Readings, where the text leaves room (the stricter one unless it says otherwise):
- A token is evidence for a rule with an identity alone. Neither a timestamp nor a log entry says who held the key: without
  a token that counts it is `unbound-runner`, whatever else is there.
- Of several rules one that is met is enough.
- A token that says itself that it was issued after its key's `not_after` needs no trusted time to be refused.
- `allow_unbound` lifts the failure of `--strict` as well.

Not independent, since the text is silent: these follow `git_auths.core`, after a look at it.
- The trusted time is the earliest of all.
- At `expires_at` something still counts, as it does at `exp` and at a key's `not_after`.
- Evidence that is there and does not hold breaks the chain, though nobody asked for it; where something of its kind
  holds, it is no harm, since anybody can put more beside an attestation. Where nothing of its kind is pinned it is not
  judged: a warning, unless it is required.
- What was issued more than 24 hours ahead never counts. `max_ttl` begins with `issued_at`, the signer's word, too; and
  so it ends without any evidence. A token that no rule asked about begins it as well.
- A CI whose jobs choose their audience has chosen it for the key, or its token is refused; a fixed audience that names
  some other key is refused, too. A CI that names no commit is never asked for one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import NamedTuple

from git_auths.core.policy import CiRule

AHEAD_SECONDS = 24 * 3600
OWN, FIXED, OTHER = "own", "fixed", "other"  # an audience names the key; us, but no key; or another key


class Ci(NamedTuple):
    """An issuer of tokens; do its jobs choose their audience, and do its tokens name a commit?"""

    issuer: str
    chooses_audience: bool
    names_commit: bool


class Token(NamedTuple):
    """What a CI says of a run. `key`: the name of the key that signs it; `is_whole`: the signature is over this."""

    ci: Ci
    key: str
    audience: str
    commit: str
    claims: Mapping[str, str]
    issued_at: int
    expires_at: int
    is_whole: bool = True

    @property
    def named_commit(self) -> str | None:
        return self.commit if self.ci.names_commit else None


class Stamp(NamedTuple):
    """An authority's timestamp; is it over this signature?"""

    authority: str
    time: int
    is_of_this: bool = True


class Logged(NamedTuple):
    """What a log has; is it this signature? `time`: None unless the log has signed one; `is_forged`: another one."""

    log: str
    time: int | None
    is_of_this: bool = True
    is_forged: bool = False


@dataclass(frozen=True)
class Evidence:
    """What stands in an attestation and beside it. Times in Unix seconds."""

    issued_at: int
    expires_at: int | None = None
    token: Token | None = None
    stamps: tuple[Stamp, ...] = ()
    entries: tuple[Logged, ...] = ()


@dataclass(frozen=True)
class Pins:
    """What evidence is judged by. `keys`: (issuer, name of the key) -> `not_after`."""

    keys: Mapping[tuple[str, str], int | None] = field(default_factory=dict)
    authorities: Collection[str] = ()
    logs: Collection[str] = ()


class Wanted(NamedTuple):
    """What a consumer asks for: a glob for the workflow, an issuer."""

    identity: str | None = None
    issuer: str | None = None


NOTHING_MORE = Wanted()


class Answer(NamedTuple):
    """The links that are broken, and what is warned of. Strictly, a warning is as bad."""

    broken: frozenset[str] = frozenset()
    warnings: frozenset[str] = frozenset()

    def __or__(self, other: Answer) -> Answer:
        return Answer(self.broken | other.broken, self.warnings | other.warnings)

    @property
    def holds(self) -> bool:
        return not self.broken

    @property
    def holds_strictly(self) -> bool:
        return not self.broken and not self.warnings


NOTHING = Answer()


def broken(link: str) -> Answer:
    return Answer(broken=frozenset({link}))


def warned(code: str) -> Answer:
    return Answer(warnings=frozenset({code}))


def best(answers: list[Answer]) -> Answer:
    """One that holds strictly, else one that holds, else any: the first."""
    strict = [one for one in answers if one.holds_strictly]
    return (strict or [one for one in answers if one.holds] or answers)[0]


# Each piece by itself.


def valid_stamps(evidence: Evidence, pins: Pins) -> list[Stamp]:
    return [one for one in evidence.stamps if one.authority in pins.authorities and one.is_of_this]


def valid_entries(evidence: Evidence, pins: Pins) -> list[Logged]:
    return [one for one in evidence.entries if one.log in pins.logs and one.is_of_this and not one.is_forged]


def trusted_time(evidence: Evidence, pins: Pins) -> int | None:
    times = [one.time for one in valid_stamps(evidence, pins)]
    times += [one.time for one in valid_entries(evidence, pins) if one.time is not None]
    return min(times, default=None)


def is_genuine(token: Token, pins: Pins) -> bool:
    """Is it by a pinned key of its issuer, and not for another audience?"""
    if not token.is_whole or (token.ci.issuer, token.key) not in pins.keys or token.audience == OTHER:
        return False
    return token.audience == OWN or not token.ci.chooses_audience


def is_in_time(token: Token, pins: Pins, time: int | None) -> bool:
    not_after = pins.keys[token.ci.issuer, token.key]
    if time is None:
        return not_after is None or token.issued_at <= not_after
    return token.issued_at <= time <= token.expires_at and (not_after is None or time <= not_after)


def valid_token(evidence: Evidence, pins: Pins) -> Token | None:
    token = evidence.token
    if token is None or not is_genuine(token, pins):
        return None
    return token if is_in_time(token, pins, trusted_time(evidence, pins)) else None


# What is said of it.


def runner(rule: CiRule | None, evidence: Evidence, commit: str | None, pins: Pins, wanted: Wanted) -> Answer:
    identity = None if rule is None else rule.identity
    is_asked_for = identity is not None or wanted != NOTHING_MORE
    token = valid_token(evidence, pins)
    if evidence.token is None or not pins.keys:
        return broken("token") if is_asked_for else warned("unbound-runner")
    if token is None:
        return broken("token")
    if not is_asked_for:
        return warned("unbound-runner")
    if not is_as_asked(token, identity or {}, wanted):
        return broken("token")
    if token.named_commit is not None and token.named_commit != commit:
        return broken("token")
    allowed = () if rule is None else rule.allow_unbound
    if token.audience != OWN and "audience" not in allowed:
        return broken("token")
    if token.named_commit is None and "commit" not in allowed:
        return broken("token")
    return NOTHING


def is_as_asked(token: Token, identity: Mapping[str, str | bool], wanted: Wanted) -> bool:
    if wanted.issuer is not None and token.ci.issuer != wanted.issuer:
        return False
    if wanted.identity is not None and not matches(wanted.identity, token.claims["sub"]):
        return False
    for name, value in identity.items():
        claim = token.ci.issuer if name == "issuer" else token.claims.get(name)
        if claim is None or not isinstance(value, str) or not matches(value, claim):
            return False
    return True


def matches(pattern: str, text: str) -> bool:
    return fnmatchcase(text, pattern) if "*" in pattern else text == pattern


def stamps(evidence: Evidence, pins: Pins, is_required: bool) -> Answer:
    return _kind("timestamp", len(evidence.stamps), len(valid_stamps(evidence, pins)), pins.authorities, is_required)


def entries(evidence: Evidence, pins: Pins, is_required: bool) -> Answer:
    return _kind("log", len(evidence.entries), len(valid_entries(evidence, pins)), pins.logs, is_required)


def _kind(name: str, there: int, valid: int, pinned: Collection[str], is_required: bool) -> Answer:
    if there and not pinned and not is_required:
        return warned("unpinned")
    if (there and pinned and not valid) or (is_required and not valid):
        return broken(name)
    return NOTHING


def time_and_log(rule: CiRule | None, evidence: Evidence, pins: Pins) -> Answer:
    answer = NOTHING if trusted_time(evidence, pins) is not None else warned("untimed")
    answer |= stamps(evidence, pins, rule is not None and rule.require_timestamp)
    return answer | entries(evidence, pins, rule is not None and rule.require_log is not None)


def end(rule: CiRule | None, evidence: Evidence, pins: Pins) -> int:
    """`expires_at` is at most `iat` (or the trusted time) + `max_ttl`."""
    ttl = 3600 if rule is None else rule.max_ttl_seconds
    token, time = valid_token(evidence, pins), trusted_time(evidence, pins)
    begin = token.issued_at if token is not None else time
    ends = [evidence.issued_at + ttl]
    if begin is not None:
        ends.append(begin + ttl)
    if evidence.expires_at is not None:
        ends.append(evidence.expires_at)
    return min(ends)


def expiry(until: int, evidence: Evidence, pins: Pins, now: int, approved_at: int | None) -> Answer:
    """After its end it counts only when a trusted time, or a release approval of its digest, places it before."""
    if evidence.issued_at > now + AHEAD_SECONDS:
        return broken("expiry")
    time = trusted_time(evidence, pins)
    is_placed_before = (time is not None and time <= until) or (approved_at is not None and approved_at <= until)
    is_over = now > until or (time is not None and time > until)
    return broken("expiry") if is_over and not is_placed_before else NOTHING


def throwaway(rule: CiRule | None, evidence: Evidence, commit: str | None, pins: Pins, now: int,
              approved_at: int | None = None, wanted: Wanted = NOTHING_MORE) -> Answer:  # fmt: skip
    """What a rule that allows throwaway keys says; None: the policy has no rule for CI."""
    answer = runner(rule, evidence, commit, pins, wanted) | time_and_log(rule, evidence, pins)
    return answer | expiry(end(rule, evidence, pins), evidence, pins, now, approved_at)


def pipeline(rule: CiRule, evidence: Evidence, pins: Pins, now: int, approved_at: int | None) -> Answer:
    """What a rule says of a pipeline that it lists: its key is who it is."""
    until = end(rule, evidence, pins)
    return time_and_log(rule, evidence, pins) | expiry(until, evidence, pins, now, approved_at)
