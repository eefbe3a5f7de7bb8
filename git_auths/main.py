"""`git auths`: the table of subcommands, and their dispatch."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from git_auths import __version__, guard, output
from git_auths.errors import Error, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from git_auths.store.secrets import Secrets

OVERVIEW = """\
usage: git auths <command> [<args>]

start    init            make an identity, and set this repository up to sign with it
         setup           trust this clone's root, and set it up
         status          what is pinned, who signs, and whether the mainline is good
         doctor          what is not as it should be here, and what mends it
         whoami          this machine's identity (--export: its log, for a maintainer)
         key-id          what user.signingKey takes
         unlock          load the key into ssh-agent for a while
         lock            take it out again
         demo            the whole story in a temporary folder
ask      verify          judge a revision or range: who was allowed to do this, and did they?
         verify-commit   judge one commit
         verify-tag      judge a release tag
         explain         why a commit or tag has its verdict, and what is missing
         show            what is attested of a commit, a tag or a digest
         log             all attestations: which agent and which model wrote what
         kel             replay a key event log (show, verify)
decide   policy          init, show, check, add-signer, remove-signer, set-threshold, log
         propose         offer a release tag for approval
         approve         approve a proposed tag, or commits
         publish         push an approved tag
         countersign     answer for commits that nobody listed has signed
         adopt           take over commits that cannot be good by themselves
         receive         keep tags and branches good when a signer leaves
attest   attest          say something signed about a commit, a tag or a range
         artifact        files that were built: sign, verify, list
         ci              pin whose word counts about CI (pin-issuer, pin-tsa, pin-log, pins)
         forge           your signing keys at a forge (add-key, remove-key, list)
         cleanup         take away what a CI job has left at the forge
people   device          your other machines and hardware keys (add, approve, finish, list, remove)
         agent           programs that sign for you, for a while (new, run, list, renew, revoke)
         grant           let a device, an agent or a member sign, until a time
         revoke          take that back
         rotate          make the next key the current one; declare a stolen one compromised
         org             an organisation and its members (create, add-member, remove-member, list)
wire     root            the pinned trust root (show, pin)
         hooks           install, uninstall, status
         accept-rewind   take a branch or tag that was set back for what it is now
         sync            exchange attestations with a remote

'git auths --help' opens the manual; 'git auths <command> -h' lists a command's options.
"""

COMMANDS = {
    name: "git_auths.commands." + name.replace("-", "_")
    for name in (
        "accept-rewind", "adopt", "agent", "approve", "artifact", "attest", "ci", "cleanup", "countersign",
        "demo", "device", "doctor", "explain", "forge", "grant", "hooks", "init", "kel", "key-id", "lock",
        "log", "org", "policy", "propose", "publish", "receive", "revoke", "root", "rotate", "setup", "show",
        "status", "sync", "unlock", "verify", "verify-commit", "verify-tag", "whoami",
    )
}  # fmt: skip

VERIFYING = frozenset({"verify", "verify-commit", "verify-tag"})  # what asks again and again, and only reads


def main(argv: Sequence[str] | None = None) -> int:
    """Run `git-auths` with `argv` (default: the process's) and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    return guard.run(lambda: dispatch(arguments))


def program() -> NoReturn:
    """What `git auths` starts. It lives for one question: nothing that it leaves behind need be taken apart."""
    gc.disable()
    guard.leave(main())


def dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] == "-h":
        sys.stdout.write(OVERVIEW)
        return 0 if arguments else 129
    name, rest = arguments[0], arguments[1:]
    own = rest[: rest.index("--")] if "--" in rest else rest  # what follows is a command that we are to run
    if name in ("--help", "help") or "--help" in own:
        return open_manual("git-auths")
    if name == "--version":
        output.data(f"git-auths {__version__}")
        return 0
    if name not in COMMANDS:
        raise UsageError(f"{name!r} is not a command of git auths", "git auths -h lists them")

    from git_auths.store.secrets import take_secrets

    secrets = take_secrets()  # before any child process starts
    if name not in VERIFYING:
        from git_auths.store import git

        git.require_version()
    return run_command(name, rest, secrets)


def run_command(name: str, arguments: Sequence[str], secrets: Secrets) -> int:
    """Parse `arguments` with the command's own parser, and run it."""
    from git_auths.arguments import Parser

    command = import_module(COMMANDS[name])
    parser = Parser(prog=f"git auths {name}", description=(command.__doc__ or "").split("\n\n")[0])
    command.add_arguments(parser)
    namespace = parser.parse_args(arguments)
    namespace.secrets = secrets
    result: int = command.run(namespace)
    return result


def open_manual(page: str) -> int:
    """Show a manual page, also from an environment that `man` does not search."""
    here = Path(sys.prefix, "share", "man")
    os.environ["MANPATH"] = f"{here}:{os.environ.get('MANPATH', '')}"
    try:
        os.execvp("man", ["man", page])
    except FileNotFoundError:
        raise Error("man is not on PATH", f"the page is {here}/man1/{page}.1") from None
