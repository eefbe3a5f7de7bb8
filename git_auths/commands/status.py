"""What is pinned here, who signs, and whether the mainline is good."""

from __future__ import annotations

import argparse

from git_auths import output
from git_auths.core.sshsig import fingerprint
from git_auths.errors import Error
from git_auths.store import hookfiles, keystore, rewinds, settings, sshagent, verdicts
from git_auths.store.repository import Repository


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON document")


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
        output.data(f"key       {found['key']} ({'in ssh-agent' if found['key_in_agent'] else 'in a file'})")
        output.data(f"listed    {listed(found)}")
    output.data(f"hooks     {', '.join(found['hooks']) or 'none'}")
    if not pinned:
        output.hint("git auths setup pins the root")
    elif not found["did"] and not repository.bare:
        output.hint("git auths init makes an identity")
    return 0 if found["mainline_good"] else 1


def listed(found: dict) -> str:
    if not found["rules_known"]:
        return "not known: there is no policy to ask"
    rules = ", ".join(found["rules"]) or "in no rule of the policy"
    return rules if found["mainline_good"] else f"{rules}, by a mainline that is not good"


def collect(repository: Repository) -> dict:
    found: dict[str, object] = {"root": None, "mainline": None, "mainline_good": False, "problem": None}
    alias = settings.signing_alias(repository.path)
    identity = keystore.load(alias) if alias in keystore.aliases() else None
    found["did"] = identity and f"did:keri:{identity.aid}"
    found["key"] = identity and fingerprint(identity.current_blob)
    found["key_in_agent"] = identity is not None and identity.current_blob in [blob for blob, _ in sshagent.list_keys()]
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
            policy = verifier.mainline_folder().policy
    except Error as error:
        return found | {"problem": error.message}
    rules = (*policy.commit, *policy.release, *policy.admin) if policy is not None else ()
    found |= {"rules": [rule.name for rule in rules if found["did"] in rule.signers], "rules_known": policy is not None}
    if bad:
        return found | {"problem": f"{bad[0].id} {bad[0].verdict}: {bad[0].reason}"}
    return found | {"mainline_good": True}
