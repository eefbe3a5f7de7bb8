"""What is pinned here, who signs, and whether the mainline is good."""

from __future__ import annotations

import argparse
import time

from git_auths import output
from git_auths.commands.device import as_json
from git_auths.commands.whoami import about, delegates
from git_auths.core.auths_folder import AuthsFolder
from git_auths.core.policyschema import OWN_CAPABILITY
from git_auths.errors import Error
from git_auths.store import hookfiles, keystore, recording, rewinds, settings, verdicts
from git_auths.store.repository import Repository


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON document")


# What `about` says of an identity.
IDENTITY = (
    "alias", "did", "kind", "name", "delegator", "sn", "keys", "key", "key_in_agent", "next_key", "next_key_is_here",
    "waits_for_owner",
)  # fmt: skip


def run(args: argparse.Namespace) -> int:
    repository = Repository()
    found = collect(repository)
    if args.json:
        output.document({"version": 1, **{key: value for key, value in found.items() if key != "rules_known"}})
        return 0 if found["mainline_good"] else 1
    pinned = found["root"] is not None
    output.data(f"root      {found['root'] or 'not pinned'}")
    if pinned:
        state = "good" if found["mainline_good"] else f"NOT GOOD: {found['problem']}"
        output.data(f"mainline  {found['mainline']} {state}")
    output.data(f"identity  {found['did'] or 'none'}")
    if found["did"]:
        show_identity(found)
    for one in found["delegates"] or ():
        output.data(f"{one['kind']:8}  {one['name'] or '-'} {one['did']} {one['state']}, until {one['expires_at']}")
    output.data(f"hooks     {', '.join(found['hooks']) or 'none'}")
    if not pinned:
        output.hint("git auths setup pins the root")
    elif not found["did"] and not repository.bare:
        output.hint("git auths init makes an identity")
    return 0 if found["mainline_good"] else 1


def show_identity(found: dict) -> None:
    if found["delegator"] is not None:
        output.data(f"owner     {found['delegator']}, who has it as {found['kind']}{named(found)}")
    if found["waits_for_owner"]:
        output.data("waits     for its owner's approval, or to take that up: git auths device finish")
    output.data(f"key       {found['key']} ({'in ssh-agent' if found['key_in_agent'] else 'in a file'})")
    output.data(f"next key  {found['next_key']}")
    output.data(f"log       event {found['sn']}{', which HEAD does not have yet' if found['lags'] else ''}")
    output.data(f"listed    {listed(found)}")


def named(found: dict) -> str:
    return "" if found["name"] is None else f" {found['name']}"


def listed(found: dict) -> str:
    if not found["rules_known"]:
        return "not known: there is no policy to ask"
    rules = ", ".join(found["rules"]) or "in no rule of the policy"
    return rules if found["mainline_good"] else f"{rules}, by a mainline that is not good"


def may_sign_by(folder: AuthsFolder, did: str) -> list[str]:
    """The names of the rules that list it, or somebody who has granted it what the rule takes."""
    policy, now = folder.policy, time.time()
    rules = (*policy.commit, *policy.release, *policy.admin) if policy is not None else ()
    return [rule.name for rule in rules
            if any(right.expires_at is None or now < right.expires_at
                   for right in folder.authority.rights(did, rule.signers, OWN_CAPABILITY[rule.kind]))]  # fmt: skip


def collect(repository: Repository) -> dict:
    found: dict[str, object] = {"root": None, "mainline": None, "mainline_good": False, "problem": None}
    alias = settings.signing_alias(repository.path)
    identity = keystore.load(alias) if alias in keystore.aliases() else None
    found |= dict.fromkeys(IDENTITY) if identity is None else about(identity)
    delegates_here = None if identity is None else delegates(repository, identity)
    found["delegates"] = None if delegates_here is None else [as_json(one) for one in delegates_here]
    found["lags"] = identity is not None and identity.aid in recording.lagging(repository)
    hooks = hookfiles.folder(repository)
    found["hooks"] = [name for name in (*hookfiles.CLIENT, *hookfiles.SERVER) if hookfiles.is_ours(hooks / name)]
    found["rules"], found["rules_known"] = [], False
    pins = settings.pins(repository.path)
    if pins is None:
        return found
    found |= {"root": pins.root, "mainline": pins.mainline}
    try:
        with verdicts.Verifier(repository, pins) as verifier:
            bad = [*rewinds.found(verifier, {}), *verifier.verify([verifier.mainline_tip]).not_good()]
            folder = verifier.mainline_folder()
    except Error as error:
        return found | {"problem": error.message}
    found["rules_known"] = folder.policy is not None
    if identity is not None:
        found["rules"] = may_sign_by(folder, f"did:keri:{identity.aid}")
    if bad:
        return found | {"problem": f"{bad[0].id} {bad[0].verdict}: {bad[0].reason}"}
    return found | {"mainline_good": True}
