"""A change of the policy in words, a line for each thing that is no longer as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from git_auths.core.policy import CiRule, Policy, Rule, Signer
from git_auths.core.policyschema import DEFAULT_MAX_TTL_SECONDS, OWN_CAPABILITY

AnyRule = TypeVar("AnyRule", Rule, CiRule)

Values = Mapping[str, "str | bool | tuple[str, ...] | None"]  # by key

_ANY_WITHOUT = ("branches", "tags", "paths", "agent_models")  # left out, these hold nothing back
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./*?[]!^:@%+=~{}\\")
_DURATIONS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def differences(before: Policy | None, after: Policy) -> list[str]:
    """What `after` says that `before` (None: there was no policy) did not, in the file's order; empty: nothing.

    Rules are matched by their place among those of their kind, once equal ones at both ends are set aside. A signer
    goes by the name that the policy gives, with the DID beside it where the name is new, or is somebody else's too.
    """
    named = _names(before, after)
    found: list[str] = []
    for kind in ("commit", "release", "admin"):
        found += _rule_changes(_written(before, kind), _written(after, kind), kind, named)
    if before is not None and before.admin_is_explicit and not after.admin_is_explicit:
        found.append("the release rules stand in for the admin rule")
    found += _rule_changes(before.ci if before else (), after.ci, "ci", named)
    for did, signer in after.signers.items():
        found += _signer_changes(before.signers.get(did) if before else None, signer, named(did))
    return found + _unlisted_changes(before, after)


def _written(policy: Policy | None, kind: str) -> tuple[Rule, ...]:
    """The rules of a kind that stand in the file; release rules that stand in for the admin rule do not."""
    if policy is None or (kind == "admin" and not policy.admin_is_explicit):
        return ()
    return {"commit": policy.commit, "release": policy.release, "admin": policy.admin}[kind]


def _names(before: Policy | None, after: Policy) -> Callable[[str], str]:
    """What to call a DID."""
    old = {} if before is None else before.signers
    bearers: dict[str, set[str]] = {}
    for did, signer in (*old.items(), *after.signers.items()):
        bearers.setdefault(_as_read(signer.name or ""), set()).add(did)

    def named(did: str) -> str:
        name = (after.signers.get(did) or old[did]).name
        if name is None or "did:" in name.casefold():
            return did  # such a name would pretend to be somebody's DID
        is_known = did in old and (did not in after.signers or old[did].name == name)
        return name if is_known and len(bearers[_as_read(name)]) == 1 else f"{name} ({did})"

    return named


def _as_read(name: str) -> str:
    return " ".join(name.casefold().split())


def _rule_changes(
    before: Sequence[AnyRule], after: Sequence[AnyRule], kind: str, named: Callable[[str], str]
) -> Iterator[str]:
    same_first, same_last = _alike(before, after)
    old, new = before[same_first : len(before) - same_last], after[same_first : len(after) - same_last]
    is_only = max(len(before), len(after)) == 1

    def label(rule: AnyRule) -> str:
        return kind if is_only else f"{kind}[{rule.index}]"

    for one, other in zip(old, new, strict=False):
        yield from _signer_list_changes(one.signers, other.signers, label(other), named)
        yield from _value_changes(_values(one), _values(other), label(other))
    for rule in old[len(new) :]:
        yield f"removed the rule {label(rule)}: {_whole(rule, kind, named)}"
    for rule in new[len(old) :]:
        yield f"added the rule {label(rule)}: {_whole(rule, kind, named)}"


def _alike(before: Sequence[AnyRule], after: Sequence[AnyRule]) -> tuple[int, int]:
    """How many rules at the beginning, and of the rest how many at the end, are equal."""

    def equal(one: AnyRule, other: AnyRule) -> bool:
        return one.signers == other.signers and _values(one) == _values(other)

    shorter = min(len(before), len(after))
    first = 0
    while first < shorter and equal(before[first], after[first]):
        first += 1
    last = 0
    while last < shorter - first and equal(before[-1 - last], after[-1 - last]):
        last += 1
    return first, last


def _signer_list_changes(
    before: Sequence[str], after: Sequence[str], label: str, named: Callable[[str], str]
) -> Iterator[str]:
    added, removed = [did for did in after if did not in before], [did for did in before if did not in after]
    yield from (f"added {named(did)} to {label}" for did in added)
    yield from (f"removed {named(did)} from {label}" for did in removed)
    if before != after and not added and not removed:
        yield f"{label}: the signers in another order"


def _value_changes(before: Values, after: Values, label: str) -> Iterator[str]:
    for key in {**before, **after}:
        old, new = before.get(key), after.get(key)
        if old != new:
            change = f"{_shown(key, old)} -> {_shown(key, new)}"
            yield f"{label} threshold {change}" if key == "require" else f"{label}: {key} {change}"


def _whole(rule: Rule | CiRule, kind: str, named: Callable[[str], str]) -> str:
    """Whom a rule lists, and each of its keys that is not as it is when left out."""
    who = ", ".join(map(named, rule.signers)) or "no signers"
    if isinstance(rule, Rule):
        who = f"{rule.require} of {who}"
        left_out = _values(Rule(kind, 0, (), rule.require, (OWN_CAPABILITY[kind],)))
    else:
        left_out = _values(CiRule(0, False, DEFAULT_MAX_TTL_SECONDS, None, None, False, None, None, (), None, ()))
    said = [f"{key} {_shown(key, value)}" for key, value in _values(rule).items() if value != left_out.get(key)]
    return "; ".join([who, *said])


def _values(rule: Rule | CiRule) -> Values:
    """Each key of a rule but its signers."""
    if isinstance(rule, Rule):
        return {
            "require": str(rule.require),
            "capabilities": rule.capabilities,
            "branches": rule.branches,
            "tags": rule.tags,
            "paths": rule.paths,
            "agents": rule.agents,
            "agent_models": rule.agent_models,
        }
    return {
        "allow_ephemeral": rule.allow_ephemeral,
        "max_ttl": _duration(rule.max_ttl_seconds),
        "require_log": rule.require_log,
        "log_url": rule.log_url,
        "require_timestamp": rule.require_timestamp,
        "timestamp_url": rule.timestamp_url,
        "commit_paths": rule.commit_paths,
        **{f"identity.{claim}": value for claim, value in (rule.identity or {}).items()},
        "allow_unbound": rule.allow_unbound,
    }


def _shown(key: str, value: str | bool | tuple[str, ...] | None) -> str:
    if value is None or value == ():
        return "any" if key in _ANY_WITHOUT else "none"
    if isinstance(value, tuple):
        return ", ".join(map(_quoted, value))
    return _quoted(value) if isinstance(value, str) else str(value).lower()


def _quoted(text: str) -> str:
    """`text`, in quotes where it could be taken for words of ours."""
    return f'"{text}"' if text in ("any", "none", "true", "false") or not _PLAIN.issuperset(text) else text


def _signer_changes(before: Signer | None, after: Signer, name: str) -> Iterator[str]:
    if before is not None and before.name != after.name:
        yield f"{after.did}: name {_shown('name', before.name)} -> {_shown('name', after.name)}"
    old, new = before.emails if before else (), after.emails
    if old != new:
        yield f"{name}: emails {_shown('emails', old)} -> {_shown('emails', new)}"
    ended = before.expires_at if before else None
    if ended != after.expires_at:
        was = "" if ended is None else f", not {_moment(ended)}"
        yield f"{name} expires {'never' if after.expires_at is None else _moment(after.expires_at)}{was}"


def _unlisted_changes(before: Policy | None, after: Policy) -> list[str]:
    """[signer] tables that no rule gives a meaning to."""
    old, new = before.unlisted if before else (), after.unlisted
    known = {} if before is None else before.signers
    return [
        *(f"added a [signer] table for {did}, whom no rule lists" for did in new if did not in old + tuple(known)),
        *(f"removed the [signer] table of {did}" for did in old if did not in new + tuple(after.signers)),
    ]


def _duration(seconds: int) -> str:
    size, unit = next((size, unit) for size, unit in _DURATIONS if seconds % size == 0)
    return f"{seconds // size}{unit}"


def _moment(seconds: int) -> str:
    """A time in UTC; midnight is the day alone."""
    return utc(seconds).removesuffix("T00:00:00Z")


def utc(seconds: int) -> str:
    """Seconds since 1970 as ISO 8601 has them."""
    try:
        return (datetime(1970, 1, 1) + timedelta(seconds=seconds)).isoformat() + "Z"
    except OverflowError:  # beyond the calendar: an offset in its last year, or a commit that names any date
        return f"{seconds} seconds after 1970"
