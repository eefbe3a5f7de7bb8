"""Edits of a policy.toml that keep its comments and layout. DESIGN sections 6 and 12.

Every edit takes a text and gives a text that `policy.parse` accepts and that differs in nothing but what was
asked for, or raises PolicyEditRefused. An edit that would change nothing returns the text as it is.

Which rule an edit means, where a role has several: every one without a scope (`branches`, `tags`, `paths`),
since such a rule applies to everything anyhow; else the only one. Anything else is for a person to decide, by
hand. Only `remove_signer` goes through all of them: who is removed from a role keeps nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from git_auths.core.policy import CiRule, Policy, PolicyInvalid, Rule, is_did, parse
from git_auths.core.policyschema import OWN_CAPABILITY, load
from git_auths.core.policytext import control_in, key_lines, line_of

ROLES = ("commit", "release", "admin", "ci")

# Done to a tomlkit document, where it keeps the layout, and to plain dicts, to know what should come out.
Change = Callable[[Any], None]


class PolicyEditRefused(ValueError):
    """The edit cannot be made: `reason` says why, in words for the person who asked for it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def new_policy(did: str, name: str | None = None, email: str | None = None) -> str:
    """The text of a first policy: `did` alone signs commits and releases and decides about the rules."""
    text = _TEMPLATE.format(did=did) + _signer_table(did, name, () if email is None else (email,))
    _parsed(text)
    return text


def add_signer(text: str, did: str, role: str, name: str | None = None, emails: Sequence[str] = ()) -> str:
    """`text` with `did` listed in the role, and its [signer] table saying `name` and `emails` where given.

    A role without a rule gets one: of `did` alone, with threshold 1; for admin of those who have decided so far
    (the release rule's signers and its threshold) and `did`, since adding somebody must not put others out.
    """
    _check_role(role)
    if not is_did(did):
        raise PolicyEditRefused(f"{did[:80]!a} is not did:keri:E... with 44 characters of base64url")
    policy = _parsed(text)
    rules = _rules(policy, role)
    if rules:
        for rule in _meant(rules, role):
            text = _edited(text, _listing(rule, did)) if rule.signers else _with_first_signer(text, rule, did)
    else:
        text = _with_first_rule(text, role, *_first_signers(policy, role, did))
    return _with_signer_table(text, did, name, emails)


def remove_signer(text: str, did: str, role: str) -> str:
    """`text` with `did` in no rule of the role, and without its [signer] table once no rule lists it at all."""
    _check_role(role)
    policy = _parsed(text)
    rules = [rule for rule in _rules(policy, role) if did in rule.signers]
    if role == "admin" and any(did in rule.signers for rule in policy.admin) and not rules:
        raise PolicyEditRefused("the release rules stand in for the admin rule, which is missing: "
                                "remove the signer from release, or write an admin rule")  # fmt: skip
    for rule in rules:
        _check_removal(rule, did)
        text = _edited(text, _dropping(rule, did))
    return text if not rules or _parsed(text).lists(did) else _without_signer_table(text, did)


def set_threshold(text: str, role: str, require: int) -> str:
    """`text` with `require` as the threshold of the role's rule."""
    _check_role(role)
    if role == "ci":
        raise PolicyEditRefused("a ci rule has no threshold")
    rules = _rules(_parsed(text), role)
    if not rules:
        standing_in = " (the release rules stand in for it)" if role == "admin" else ""
        raise PolicyEditRefused(f"there is no {role} rule{standing_in}: add a signer for that role first")
    for rule in _meant(rules, role):
        if not 1 <= require <= len(rule.signers):
            raise PolicyEditRefused(f"{rule.name} lists {_count(rule)}: its threshold cannot be {require}")
        text = _edited(text, _requiring(rule, require))
    return text


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise PolicyEditRefused(f"{role[:80]!a} is no role: {', '.join(ROLES)}")


def _parsed(text: str) -> Policy:
    try:
        return parse(text.encode("utf-8", "surrogateescape"))
    except PolicyInvalid as error:
        raise PolicyEditRefused(str(error)) from None


def _rules(policy: Policy, role: str) -> Sequence[Rule | CiRule]:
    """The rules that stand in the file for the role."""
    if role == "ci":
        return policy.ci
    if role == "admin":
        return policy.admin if policy.admin_is_explicit else ()
    return policy.commit if role == "commit" else policy.release


def _meant(rules: Sequence[Rule | CiRule], role: str) -> Sequence[Rule | CiRule]:
    """Those of a role's rules that an edit means, as the module's docstring has it."""
    unscoped = [rule for rule in rules if isinstance(rule, Rule) and not rule.is_scoped]
    if unscoped:
        return unscoped
    if len(rules) > 1:
        raise PolicyEditRefused(f"there are {len(rules)} {role} rules, each for a part only: "
                                "edit .auths/policy.toml by hand")  # fmt: skip
    return rules


def _check_removal(rule: Rule | CiRule, did: str) -> None:
    left = len(rule.signers) - 1
    if not isinstance(rule, Rule) or left >= rule.require:
        return
    if left == 0:
        raise PolicyEditRefused(f"{did} is the last signer of {rule.name}: add another one first")
    raise PolicyEditRefused(f"{rule.name} requires {rule.require} and lists {_count(rule)}: "
                            f"lower its threshold first (set-threshold {rule.kind} {left})")  # fmt: skip


def _count(rule: Rule | CiRule) -> str:
    return "1 signer" if len(rule.signers) == 1 else f"{len(rule.signers)} signers"


def _edited(text: str, change: Change) -> str:
    """`text` with `change` made by tomlkit."""
    try:
        document = tomlkit.parse(text)
        change(document)
        return _verified(text, tomlkit.dumps(document), change)
    except TOMLKitError as error:
        raise PolicyEditRefused(f"{error}: edit .auths/policy.toml by hand") from None


def _verified(text: str, result: str, change: Change) -> str:
    """`result`, when it is a policy and says what `text` said, but for `change`; `text` where that is nothing."""
    wanted = load(text)
    change(wanted)
    if wanted == load(text):
        return text
    _parsed(result)
    if load(result) != wanted:
        raise PolicyEditRefused("its layout is too unusual to edit by command: edit .auths/policy.toml by hand")
    return result


def _listing(rule: Rule | CiRule, did: str) -> Change:
    def change(document: Any) -> None:
        signers = document["policy"][_kind(rule)][rule.index]["signers"]
        if did not in signers:
            signers.append(did)

    return change


def _with_first_signer(text: str, rule: Rule | CiRule, did: str) -> str:
    """A ci rule without signers gets its first."""

    def change(data: Any) -> None:
        data["policy"]["ci"][rule.index]["signers"] = [did]

    return _with_row(text, ("policy", "ci", rule.index), f"signers = {_toml([did])}\n", change)


def _dropping(rule: Rule | CiRule, did: str) -> Change:
    def change(document: Any) -> None:
        table = document["policy"][_kind(rule)][rule.index]
        if len(table["signers"]) > 1:
            table["signers"].remove(did)
        else:  # only a ci rule gets here
            del table["signers"]

    return change


def _requiring(rule: Rule | CiRule, require: int) -> Change:
    def change(document: Any) -> None:
        document["policy"][_kind(rule)][rule.index]["require"] = require

    return change


def _kind(rule: Rule | CiRule) -> str:
    return rule.kind if isinstance(rule, Rule) else "ci"


def _first_signers(policy: Policy, role: str, did: str) -> tuple[list[str], int]:
    """Signers and threshold of a role's first rule."""
    if role != "admin":
        return [did], 1
    if len(policy.release) > 1:
        raise PolicyEditRefused(f"{len(policy.release)} release rules stand in for the admin rule, which is "
                                "missing: write [[policy.admin]] by hand")  # fmt: skip
    return list(dict.fromkeys((*policy.release[0].signers, did))), policy.release[0].require


def _with_first_rule(text: str, role: str, signers: list[str], require: int) -> str:
    """`text` with [[policy.<role>]], before the [signer] tables and the comment over the first of them."""
    rule: dict[str, Any] = {"signers": signers}
    if role != "ci":
        rule |= {"require": require, "capabilities": [OWN_CAPABILITY[role]]}
    block = f"[[policy.{role}]]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in rule.items())
    rows = text.splitlines(keepends=True)
    at = min((line for path, line in key_lines(text).items() if path[0] == "signer"), default=len(rows) + 1) - 1
    while 0 < at < len(rows) and rows[at - 1].startswith("#"):
        at -= 1
    result = _joined("".join(rows[:at]), block, "".join(rows[at:]))
    return _verified(text, result, lambda data: data["policy"].update({role: [rule]}))


def _with_signer_table(text: str, did: str, name: str | None, emails: Sequence[str]) -> str:
    said: dict[str, Any] = {} if name is None else {"name": name}
    if emails:
        said["emails"] = list(emails)
    if not said:
        return text
    table = load(text).get("signer", {}).get(did)
    if table is None:
        result = _joined(text, _signer_table(did, name, emails))
        return _verified(text, result, lambda data: data.setdefault("signer", {}).update({did: said}))
    for key, value in said.items():
        text = _with_signer_key(text, did, key, value, key in table)
    return text


def _with_signer_key(text: str, did: str, key: str, value: Any, stands: bool) -> str:
    def change(document: Any) -> None:
        document["signer"][did][key] = value

    if stands:
        return _edited(text, change)
    # Not by tomlkit, which would put it behind the comments of the next section.
    return _with_row(text, ("signer", did), f"{key} = {_toml(value)}\n", change)


def _signer_table(did: str, name: str | None, emails: Sequence[str]) -> str:
    lines = [f'[signer."{did}"]']
    if name is not None:
        lines.append(f"name = {_toml(name)}")
    if emails:
        lines.append(f"emails = {_toml(list(emails))}")
    return "\n".join(lines) + "\n"


def _without_signer_table(text: str, did: str) -> str:
    """`text` without the table. Not by tomlkit, which would take the next section's comments with it."""
    lines = key_lines(text)
    own = [line for path, line in lines.items() if path[:2] == ("signer", did)]
    if not own:
        return text
    rows = text.splitlines(keepends=True)
    end = min((line for line in lines.values() if line > max(own)), default=len(rows) + 1) - 1
    while end > max(own) and rows[end - 1].lstrip()[:1] in ("", "#"):
        end -= 1
    result = _joined("".join(rows[: min(own) - 1]), "".join(rows[end:]))

    def change(data: Any) -> None:
        del data["signer"][did]
        if not data["signer"]:
            del data["signer"]

    return _verified(text, result, change)


def _with_row(text: str, path: tuple[str | int, ...], row: str, change: Change) -> str:
    """`text` with `row` below the header of the table at `path`."""
    rows = text.splitlines(keepends=True)
    rows.insert(line_of(key_lines(text), path) or 0, row)
    return _verified(text, "".join(rows), change)


def _joined(*parts: str) -> str:
    """Parts of a file, a blank line between them."""
    texts = [part.strip("\r\n") for part in parts]
    return "\n\n".join(text for text in texts if text) + "\n"


def _toml(value: str | int | Sequence[str]) -> str:
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        if control_in(value):
            raise PolicyEditRefused("a name or an address holds a control character")
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    one_line = ", ".join(map(_toml, value))
    return f"[{one_line}]" if len(one_line) < 80 else "[\n    " + ",\n    ".join(map(_toml, value)) + ",\n]"


_TEMPLATE = """\
# Who may sign what in this repository: `git auths verify` judges by this file. Changing it needs the admin rule.
# Every key: `man git-auths-policy`. After an edit: `git auths policy check`.

[policy]
schema = 1

# Who signs commits, and how many people each commit needs. To let a colleague in:
#     git auths policy add-signer DID --role commit
[[policy.commit]]
signers = [
    "{did}",
]
require = 1
capabilities = ["sign_commit"]
agents = "approved"  # an agent's commit needs a person's approval; or "allow", "deny"

# Who signs release tags. With a second signer, ask for two, so that no single stolen key makes a release:
#     git auths policy set-threshold release 2
[[policy.release]]
signers = [
    "{did}",
]
require = 1
capabilities = ["sign_release"]
# tags = ["v*"]  # only these; without it every tag is a release

# Who changes this file and the rest of .auths/. Add a second admin soon: with one, a lost key locks everyone out.
#     git auths policy add-signer DID --role admin
[[policy.admin]]
signers = [
    "{did}",
]
require = 1
capabilities = ["manage_members"]

# Names and addresses: for people, and for .auths/allowed_signers. Addresses are plain, without wildcards.
# For somebody who leaves on a known day: expires_at = 2027-01-01T00:00:00Z
"""
