"""The schema of `.auths/policy.toml`, table by table: from bytes to the values of `core.policy`."""

from __future__ import annotations

from git_auths.core import scope
from git_auths.core.allowed_signers import is_plain_address
from git_auths.core.policy import CiRule, Policy, Rule, Signer, is_did
from git_auths.core.policytable import Table, shown
from git_auths.core.policytext import PolicyInvalid, decode, key_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

SCHEMA = 1
OWN_CAPABILITY = {"commit": "sign_commit", "release": "sign_release", "admin": "manage_members"}
RULE_KEYS = ("signers", "require", "capabilities")
COMMIT_KEYS = (*RULE_KEYS, "branches", "paths", "agents", "agent_models")
RELEASE_KEYS = (*RULE_KEYS, "tags")
CI_KEYS = ("allow_ephemeral", "max_ttl", "require_log", "log_url", "require_timestamp", "timestamp_url",
           "commit_paths", "signers", "identity")  # fmt: skip
SIGNER_KEYS = ("name", "emails", "expires_at")
AGENTS = ("allow", "deny", "approved")
LOGS = ("sigstore-rekor",)
UNBOUND = ("audience", "commit")
DEFAULT_MAX_TTL_SECONDS = 3600
LONGEST_MAX_TTL_SECONDS = 366 * 86400
MAX_NAME_CHARACTERS = 200
MAX_EMAILS = 32

_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def read(data: bytes) -> Policy:
    """The policy in the bytes of a policy.toml; raises PolicyInvalid."""
    text = decode(data)
    lines = key_lines(text)  # first: it holds the text to what the parser can take
    root = Table(load(text), (), lines, ("policy", "signer"))
    policy = root.table("policy", ("schema", "commit", "release", "admin", "ci"))
    _check_schema(policy)
    result = Policy(
        commit=tuple(_rules(policy, "commit", COMMIT_KEYS)),
        release=tuple(_rules(policy, "release", RELEASE_KEYS)),
        admin=tuple(_rules(policy, "admin", RULE_KEYS)),
        ci=tuple(_ci_rule(index, table) for index, table in enumerate(policy.tables("ci", CI_KEYS))),
        named=_signers(root.table("signer")),
    )
    if not result.admin:
        raise PolicyInvalid("there is neither an admin nor a release rule: nobody could change it")
    return result


def load(text: str) -> dict[str, Any]:
    """The text as TOML; raises PolicyInvalid."""
    import tomli

    try:
        return tomli.loads(text)
    except RecursionError:
        raise PolicyInvalid("values are nested too deeply") from None
    except ValueError as error:
        # tomli ends its messages with "(at line 3, column 7)" or "(at end of document)".
        reason, _, place = str(error).rpartition(" (at ")
        number = place.removeprefix("line ").partition(",")[0]
        line = int(number) if number.isdigit() else text.rstrip("\n").count("\n") + 1
        raise PolicyInvalid(f"not valid TOML: {reason or error}", line) from None


def duration_seconds(text: str) -> int:
    """Seconds for "90s", "30m", "1h" or "90d"; raises ValueError."""
    number, unit = text[:-1], _UNIT_SECONDS.get(text[-1:])
    if unit is None or not (number.isascii() and number.isdigit()) or number[0] == "0" or len(number) > 9:
        raise ValueError(f'{shown(text)} is no duration like "90s", "30m", "1h" or "90d"')
    return int(number) * unit


def _check_schema(policy: Table) -> None:
    if "schema" in policy.values:
        schema = policy.required("schema", int, "a whole number")
        if schema != SCHEMA:
            raise policy.refuse(f"schema is {shown(schema)}, and this program knows only {SCHEMA}", "schema")


def _rules(policy: Table, kind: str, known: tuple[str, ...]) -> Iterator[Rule]:
    for index, table in enumerate(policy.tables(kind, known)):
        signers = table.texts("signers", _did_problem)
        if signers is None:
            raise table.refuse(f"signers is missing in policy.{kind}")
        yield Rule(
            kind,
            index,
            signers,
            _require(table, len(signers)),
            _capabilities(table, OWN_CAPABILITY[kind]),
            branches=table.texts("branches", _pattern_problem),
            tags=table.texts("tags", _pattern_problem),
            paths=table.texts("paths", _pattern_problem),
            agents=_one_of(table, "agents", AGENTS) or "approved",
            agent_models=table.texts("agent_models", _no_problem),
        )


def _require(table: Table, signers: int) -> int:
    require = table.required("require", int, "a whole number")
    if require < 1:
        raise table.refuse(f"require is {require}, but must be at least 1", "require")
    if require > signers:
        lists = "1 signer" if signers == 1 else f"{signers} signers"
        raise table.refuse(f"require is {shown(require)}, but the rule lists {lists}", "require")
    return require


def _capabilities(table: Table, own: str) -> tuple[str, ...]:
    capabilities = table.texts("capabilities", _capability_problem) or (own,)
    if own not in capabilities:
        raise table.refuse(f"capabilities must hold {own}, which the rule is about", "capabilities")
    return capabilities


def _one_of(table: Table, key: str, known: tuple[str, ...]) -> str | None:
    text = table.text(key)
    if text is not None and text not in known:
        raise table.refuse(f"{key} is {shown(text)}, but must be one of: {', '.join(known)}", key)
    return text


def _signers(tables: Table) -> dict[str, Signer]:
    for did in tables.values:
        problem = _did_problem(did)
        if problem:
            raise tables.refuse(f"signer: {problem}", did)
    return {did: _signer(did, tables.table(did, SIGNER_KEYS)) for did in tables.values}


def _signer(did: str, table: Table) -> Signer:
    name = table.text("name")
    if name is not None and len(name) > MAX_NAME_CHARACTERS:
        raise table.refuse(f"name is longer than {MAX_NAME_CHARACTERS} characters", "name")
    emails = table.texts("emails", _address_problem) or ()
    if len(emails) > MAX_EMAILS:
        raise table.refuse(f"emails lists more than {MAX_EMAILS} addresses", "emails")
    return Signer(did, name, emails, _expires_at(table))


def _expires_at(table: Table) -> int | None:
    if "expires_at" not in table.values:
        return None
    from datetime import datetime, timedelta, timezone

    what = "a date and time with its offset, like 2027-01-01T00:00:00Z"
    moment = table.required("expires_at", datetime, what)
    if moment.tzinfo is None:
        raise table.refuse(f"expires_at must be {what}, not {moment}", "expires_at")
    return (moment - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(seconds=1)


def _ci_rule(index: int, table: Table) -> CiRule:
    identity = table.table("identity") if "identity" in table.values else None
    return CiRule(
        index,
        allow_ephemeral=table.flag("allow_ephemeral"),
        max_ttl_seconds=_max_ttl_seconds(table),
        require_log=_one_of(table, "require_log", LOGS),
        log_url=_url(table, "log_url"),
        require_timestamp=table.flag("require_timestamp"),
        timestamp_url=_url(table, "timestamp_url"),
        commit_paths=table.texts("commit_paths", _pattern_problem),
        signers=table.texts("signers", _did_problem) or (),
        identity=None if identity is None else _claims(identity),
        allow_unbound=(identity and identity.texts("allow_unbound", _unbound_problem)) or (),
    )


def _max_ttl_seconds(table: Table) -> int:
    text = table.text("max_ttl")
    if text is None:
        return DEFAULT_MAX_TTL_SECONDS
    try:
        seconds = duration_seconds(text)
    except ValueError as error:
        raise table.refuse(f"max_ttl: {error}", "max_ttl") from None
    if seconds > LONGEST_MAX_TTL_SECONDS:
        raise table.refuse(f"max_ttl is longer than {LONGEST_MAX_TTL_SECONDS // 86400}d", "max_ttl")
    return seconds


def _url(table: Table, key: str) -> str | None:
    url = table.text(key)
    if url is not None and (not url.startswith(("https://", "http://")) or " " in url or not url.isascii()):
        raise table.refuse(f"{key} is {shown(url)}, but must be an http:// or https:// address", key)
    return url


def _claims(identity: Table) -> dict[str, str | bool]:
    """Claim -> text or flag; `allow_unbound` is no claim. The issuer says whose keys count, so it is exact."""
    claims: dict[str, str | bool] = {}
    for claim, value in identity.values.items():
        if claim != "allow_unbound":
            claims[claim] = value if type(value) is bool else identity.text(claim) or ""
    issuer = claims.get("issuer")
    if not isinstance(issuer, str) or any(wildcard in issuer for wildcard in "*?["):
        raise identity.refuse("the identity must name its issuer, exactly", "issuer")
    return claims


def _did_problem(text: str) -> str | None:
    return None if is_did(text) else f"{shown(text)} is not did:keri:E... with 44 characters of base64url"


def _capability_problem(text: str) -> str | None:
    known = OWN_CAPABILITY.values()
    return None if text in known else f"{shown(text)} is none of: {', '.join(known)}"


def _unbound_problem(text: str) -> str | None:
    return None if text in UNBOUND else f"{shown(text)} is none of: {', '.join(UNBOUND)}"


def _pattern_problem(text: str) -> str | None:
    try:
        scope.check_pattern(text)
    except scope.PatternInvalid as error:
        return f"{shown(text)}: {error}"
    return None


def _address_problem(text: str) -> str | None:
    return None if is_plain_address(text) else f"{shown(text)} is no plain address like name@example.com"


def _no_problem(text: str) -> str | None:
    return None
