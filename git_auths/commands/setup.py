"""Trust this clone: show the root, the mainline and the signers, pin them on a yes, and set the repository up."""

from __future__ import annotations

import argparse
import shlex
import sys

from git_auths import output
from git_auths.commands.hooks import install_hooks
from git_auths.commands.root import show_root
from git_auths.core.gitobject import is_object_id
from git_auths.errors import Error, Refusal, UsageError
from git_auths.store import git, keystore, localcopy, notesync, rewinds, settings, tips, trustroot, verdicts, wiring
from git_auths.store.repository import Repository


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", metavar="OID", help="the root that you were told to expect; no other is pinned")
    parser.add_argument("--mainline", metavar="REF", help="the mainline's full ref name")
    parser.add_argument("--yes", action="store_true", help="pin without asking")


def run(args: argparse.Namespace) -> int:
    repository = Repository()
    pins = settings.pins(repository.path) or ask(repository, args)
    if args.root and args.root != pins.root:
        raise Refusal(
            f"another root is pinned here: {pins.root}",
            "ask a maintainer over another channel which one is right; git auths root pin --replace changes it",
        )
    if args.mainline and args.mainline != pins.mainline:
        raise Refusal(f"another mainline is pinned here: {pins.mainline}",
                      f"git auths root pin --mainline {shlex.quote(args.mainline)} {pins.root}")  # fmt: skip
    set_up(repository)
    with verdicts.Verifier(repository, pins) as verifier:
        answer = verifier.verify([verifier.mainline_tip])
        bad = answer.not_good()
        rewound = rewinds.found(verifier, {})
        if not bad and not rewound:
            localcopy.write_allowed_signers(verifier)
            rewinds.remember(verifier, {})
    for verdict in bad:
        output.warning(f"the mainline is not good: {verdict.id} {verdict.verdict}: {verdict.reason}")
    for verdict in rewound:
        output.warning(f"{verdict.reason} ({verdict.verdict})")
        output.hint(tips.accept_hint(pins.mainline))
    if bad or rewound:
        return 1
    output.note(f"{pins.mainline} is good: {answer.checked} commits judged from the root on")
    return 0


def ask(repository: Repository, args: argparse.Namespace) -> settings.Pins:
    if repository.is_shallow:
        # The first commit that is here need not be the first one that there is.
        raise Refusal("this clone is shallow, so its root cannot be told (incomplete)", "git fetch --unshallow")
    mainline = args.mainline or trustroot.default_mainline(repository)
    if not mainline.startswith("refs/"):
        raise UsageError(f"{mainline!r} is not a full ref name", "like refs/heads/main")
    root = trustroot.find(repository, mainline)
    if root is None:
        raise Error(
            f"{mainline} has no .auths/policy.toml in its history", "a maintainer starts one: git auths policy init"
        )
    if args.root and not is_object_id(args.root):
        raise UsageError(f"{args.root!r} is not a full object id", "ask a maintainer for the root's full id")
    chosen = args.root or root
    if chosen != root and not trustroot.may_be_root(repository, mainline, chosen):
        raise Refusal(f"the root of {mainline} is {root}, not {chosen}",
                      "ask a maintainer over another channel which one is right")  # fmt: skip
    output.note(f"mainline {mainline}")
    show_root(repository, "root", chosen)
    if chosen != root:
        show_root(repository, "it takes the place of", root)
        output.warning(f"{mainline} has a policy since {root}: what came before {chosen} is then not judged at all")
    root = chosen
    if not args.yes and not confirmed(
        "Trust this root and these signers?", "git auths setup --yes, or --root OID --yes"
    ):
        raise Refusal(
            "nothing was pinned", "compare the root's id with one that a maintainer gave you, then run this again"
        )
    settings.pin(root, mainline, repository.path)
    output.note("pinned")
    return settings.Pins(root, mainline)


def confirmed(question: str, without_terminal: str) -> bool:
    """Ask at the terminal; where there is none, an Error with the hint `without_terminal`."""
    if not sys.stdin.isatty():
        raise Error("there is no terminal to ask on", without_terminal)
    sys.stderr.write(f"{output.inert(question)} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def set_up(repository: Repository) -> None:
    alias = settings.signing_alias(repository.path)
    has_identity = alias in keystore.aliases()
    for line in wiring.wire(repository, alias if has_identity else None):
        output.note(f"set {line}")
    if not repository.bare:
        install_hooks(repository)
    for remote in repository.git("remote").decode().split():
        try:
            notesync.receive(repository.path, remote)
        except git.GitFailed as failure:
            output.warning(f"the attestations of {remote} could not be fetched: {failure.message}")
    if not has_identity:
        output.hint("to sign here, make an identity: git auths init; or a device: git auths device add --owner DID")
