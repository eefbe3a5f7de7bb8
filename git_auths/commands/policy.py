"""The rules of this repository: start them, read them, edit them. Edits are staged; you commit them."""

from __future__ import annotations

import argparse
from pathlib import Path

from git_auths import output
from git_auths.commands import receive
from git_auths.commands.policy_init import add_init_arguments, init
from git_auths.commands.policy_log import add_log_arguments, log
from git_auths.core import policyedit
from git_auths.core.auths_folder import held_keys
from git_auths.core.policy import Policy, PolicyInvalid, is_did, parse, warnings
from git_auths.errors import Error, Refusal
from git_auths.store import keystore, trustroot
from git_auths.store.repository import Repository
from git_auths.store.worktree_policy import Folder, read_kel, staged

ROLES = ("commit", "release", "admin", "ci")
COMMIT_HINT = "git commit -m 'Change the policy' makes it so"
RECEIVE_HINT = "git auths receive --all, committed together with it, keeps good what is good now"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="action", required=True, metavar="init|show|check|add-signer|...")
    add_init_arguments(commands.add_parser("init", help="write a first policy, commit it, and pin it as the root"))
    show = commands.add_parser("show", help="who may do what")
    show.add_argument("revision", nargs="?", default="HEAD", metavar="REV")
    show.add_argument("--json", action="store_true")
    add_log_arguments(commands.add_parser("log", help="each change of the policy on the mainline, in words"))
    check = commands.add_parser("check", help="does the policy in the working tree parse, and can it be met?")
    check.add_argument("--staged", action="store_true", help="look at the index instead")
    add = commands.add_parser("add-signer", help="list somebody in a rule")
    add.add_argument(
        "who", metavar="DID|KEL-FILE", help="a DID whose log is here, or the file that whoami --export made"
    )
    add.add_argument("--role", choices=ROLES, required=True)
    add.add_argument("--name", help="what to call the signer")
    add.add_argument("--email", action="append", default=[], help="the address for stock git (may be repeated)")
    remove = commands.add_parser("remove-signer", help="take somebody out of a rule")
    remove.add_argument("did", metavar="DID", help="the signer's DID, or the name that the policy has for one")
    remove.add_argument("--role", choices=ROLES, required=True)
    remove.add_argument(
        "--receive",
        action=argparse.BooleanOptionalAction,
        help="add receipts for what is good now, so that it stays so (default: ask at a terminal)",
    )
    threshold = commands.add_parser("set-threshold", help="how many principals a rule requires")
    threshold.add_argument("role", metavar="ROLE", choices=ROLES[:3])
    threshold.add_argument("require", metavar="N", type=int)


def run(args: argparse.Namespace) -> int:
    repository = Repository()
    if args.action == "init":
        return init(repository, args)
    if args.action == "show":
        return show(repository, args)
    if args.action == "log":
        return log(repository, args)
    folder = Folder(repository)
    if args.action == "check":
        return check(folder, args.staged)
    return edit(folder, args)


def show(repository: Repository, args: argparse.Namespace) -> int:
    commit = repository.resolve(args.revision)
    folder = trustroot.folder_at(repository, commit)
    if folder.fault is not None:
        raise Refusal(f"the policy of {commit} cannot be read: {folder.fault.reason}", "git auths policy check")
    if folder.policy is None:
        raise Error(f"{args.revision} has no .auths/policy.toml", "git auths policy init starts one")
    if args.json:
        output.document({"version": 1, "commit": commit, "rules": [
            {"rule": rule.name, "require": rule.require, "signers": list(rule.signers), "branches": rule.branches,
             "tags": rule.tags, "paths": rule.paths} for rule in all_rules(folder.policy)]})  # fmt: skip
        return 0
    for line in trustroot.signer_lines(folder):
        output.data(line.removeprefix("  "))
    return 0


def all_rules(policy: Policy) -> list:
    return [*policy.commit, *policy.release, *policy.admin]


def check(folder: Folder, in_index: bool) -> int:
    """Exit 1 with file, line and reason; warn of what is legal but unwise."""
    if in_index:
        judged = staged(folder.repository)
        if judged.policy is None:
            raise Error("the index has no .auths/policy.toml", "git auths policy init starts one")
        policy, keys = judged.policy, {kel.did: held_keys(kel) for kel in judged.kels.values()}
    else:
        try:
            policy = parse(folder.policy_text().encode())
        except PolicyInvalid as error:
            raise Refusal(str(error), "man 5 git-auths-policy lists every key") from None
        logs = {did: folder.kel(did) for did in policy.signers}
        keys = {did: held_keys(kel) for did, kel in logs.items() if kel is not None}
    missing = [did for did in policy.signers if did not in keys]
    for rule in all_rules(policy):
        here = len([did for did in rule.signers if did in keys])
        if here < rule.require:
            raise Refusal(f"{rule.name} requires {rule.require}, but only {here} of its signers have a log here",
                          "git auths policy add-signer KEL-FILE --role " + rule.kind)  # fmt: skip
    if policy.commit and not who_can_change(policy, set(keys)):
        both = "it takes somebody whom the admin rule and every commit rule list, with a log in .auths/kels/"
        raise Refusal(f"nobody could change this policy again: {both}", "git auths policy add-signer DID --role commit")
    for did in missing:
        output.warning(f"{did} has no log in .auths/kels/, so nothing it signs can count")
    for warning in warnings(policy, keys):
        output.warning(warning)
    output.note("the policy is valid and can be met")
    return 0


def who_can_change(policy: Policy, with_log: set[str]) -> set[str]:
    """Who can sign a change below .auths/: it is a commit as well, so both rules must list its signer."""
    return with_log.intersection(*(rule.signers for rule in (*policy.admin, *policy.commit)))


def edit(folder: Folder, args: argparse.Namespace) -> int:
    before = folder.policy_text()
    try:
        if args.action == "add-signer":
            text = add_signer(folder, before, args)
        elif args.action == "remove-signer":
            text = policyedit.remove_signer(before, listed_signer(before, args.did), args.role)
        else:
            text = policyedit.set_threshold(before, args.role, args.require)
    except policyedit.PolicyEditRefused as error:
        raise Refusal(
            f"the policy was not changed: {error}", "git auths policy check says whether it is valid"
        ) from None
    if text == before:
        output.note("the policy says so already")
        return 0
    removes = args.action == "remove-signer" and args.role in ("commit", "release")
    kept = receive.offered(folder.repository, args.receive) if removes else []
    if folder.write_attributes():
        output.note("changed and staged .auths/.gitattributes: git is to convert nothing below .auths/")
    folder.write(folder.policy, text.encode())
    folder.write_allowed_signers()
    output.note("changed and staged .auths/policy.toml")
    if kept:
        receive.add(folder, kept)
    elif removes and args.receive is None:
        output.hint(RECEIVE_HINT)
    output.hint(COMMIT_HINT)
    return 0


def listed_signer(text: str, who: str) -> str:
    """The DID that `who` is, or names in the policy; a Refusal when no rule lists it."""
    try:
        policy = parse(text.encode("utf-8", "surrogateescape"))
    except PolicyInvalid as error:
        raise policyedit.PolicyEditRefused(str(error)) from None
    dids = [who] if is_did(who) else [did for did, signer in policy.signers.items() if signer.name == who]
    if len(dids) > 1:
        raise Refusal(f"{who!r} is the name of {' and of '.join(dids)}", "give the DID")
    if not dids or not policy.lists(dids[0]):
        whom = who if is_did(who) else f"anybody named {who!r}"
        raise Refusal(f"no rule of the policy lists {whom}", "git auths policy show tells whom; give the DID")
    return dids[0]


def add_signer(folder: Folder, text: str, args: argparse.Namespace) -> str:
    """The edited text; a log that was sent as a file is put below .auths/kels/ first."""
    if not is_did(args.who):
        file = Path(args.who)
        kel = read_kel(file)
        edited = policyedit.add_signer(text, kel.did, args.role, args.name, args.email)
        place_log(folder, kel.aid, file.read_bytes())
        return edited
    if folder.kel(args.who) is None:
        own = [identity for alias in keystore.aliases() if (identity := keystore.load(alias)).aid == args.who[9:]]
        if not own:
            raise Error(f"the log of {args.who} is not in .auths/kels/",
                        "let them send you a file: git auths whoami --export > NAME.cesr")  # fmt: skip
        place_log(folder, own[0].aid, keystore.read_kel(own[0]))
    return policyedit.add_signer(text, args.who, args.role, args.name, args.email)


def place_log(folder: Folder, aid: str, content: bytes) -> None:
    """Put a log below .auths/kels/; one that is there may only grow."""
    target = folder.kel_file(aid)
    if target.is_file():
        present = target.read_bytes()
        if present.startswith(content):
            return
        if not content.startswith(present):
            raise Refusal(f"the log of {aid} that is here and the one you were sent have forked",
                          "ask its owner which is right; a fork can mean a stolen key")  # fmt: skip
    folder.write(target, content)
