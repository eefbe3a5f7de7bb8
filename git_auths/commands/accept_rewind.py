"""Take a rewound branch or a moved release tag for what it is now, after seeing what that loses.

The last good tip of each governed branch and the object of each good release tag are remembered in this clone; what no
longer contains them is `rewound` or `tag-moved` until it is accepted here.
"""

from __future__ import annotations

import argparse
import os

from git_auths import output
from git_auths.commands.setup import confirmed
from git_auths.errors import Error, Refusal, UsageError
from git_auths.store import ancestry, settings
from git_auths.store.repository import Repository
from git_auths.store.tips import Tips
from git_auths.store.verdicts import unpinned

MAX_SHOWN = 20  # lost commits listed
WITHOUT_TERMINAL = "read what is lost above, then: git auths accept-rewind --yes"
PREFIXES = ("refs/heads/", "refs/remotes/", "refs/tags/")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ref", nargs="?", metavar="REF", help="a branch or tag (default: the mainline)")
    parser.add_argument("--yes", action="store_true", help="accept without asking")


def run(args: argparse.Namespace) -> int:
    repository = Repository()
    tips = Tips(repository.common_dir)
    ref = full_name(tips, args.ref) if args.ref else mainline(repository)
    old, new = tips.known(ref), repository.ref(ref)
    if old is None:
        raise Error(f"nothing is remembered of {ref}", "git auths verify remembers what it finds good")
    if old == new or (new is not None and not is_tag(ref) and ancestry.is_on_chain(repository, new, old)):
        output.note(f"{ref} is not rewound: it was good at {old}, and has it")
        return 0
    show(repository, ref, old, new)
    if not args.yes and not confirmed(f"Accept {ref} as it is now?", WITHOUT_TERMINAL):
        raise Refusal("nothing was accepted", "ask whoever moved it, over another channel than the repository itself")
    if new is None:
        tips.forget(ref)
        output.note(f"{ref} is forgotten")
    else:
        tips.accept(ref, new)
        output.note(f"accepted {ref} at {new}")
    return 0


def mainline(repository: Repository) -> str:
    pins = settings.pins(repository.path)
    if pins is None:
        raise unpinned()
    return pins.mainline


def full_name(tips: Tips, name: str) -> str:
    """The one remembered ref of this name: a short name could mean a branch, a remote's branch and a tag at once."""
    if name.startswith("refs/"):
        return name
    known = tips.all()
    found = [prefix + name for prefix in PREFIXES if prefix + name in known]
    if len(found) > 1:
        raise UsageError(f"{name!r} could be {' or '.join(found)}", "give the full name")
    if not found:
        raise Error(f"nothing is remembered of {name!r}", "give the full ref name, like refs/remotes/origin/main")
    return found[0]


def is_tag(ref: str) -> bool:
    return ref.startswith("refs/tags/")


def show(repository: Repository, ref: str, old: str, new: str | None) -> None:
    output.note(f"{ref}")
    output.note(f"  was good at  {described(repository, old)}")
    output.note(f"  is now       {described(repository, new) if new else 'deleted'}")
    if is_tag(ref):
        return
    if not repository.has(old):
        output.note("  what it had is not here any more, so what is lost cannot be listed")
        return
    lost = ancestry.missing(repository, new, old) if new else repository.git("rev-list", old).decode().split()
    if not lost:
        output.note("  no commit is lost, but what was good is no longer on its first-parent chain")
        return
    output.note(f"  {len(lost)} commit{'s' if len(lost) > 1 else ''} lost:")
    for id in lost[:MAX_SHOWN]:
        output.note(f"    {described(repository, id)}")
    if len(lost) > MAX_SHOWN:
        output.note(f"    and {len(lost) - MAX_SHOWN} more")


def described(repository: Repository, id: str) -> str:
    """The id with date and subject, where the object is here."""
    if not repository.has(id):
        return f"{id} (not here)"
    line = repository.git("log", "-1", "--no-show-signature", "--format=%cs %s", id, "--")
    return f"{id} {os.fsdecode(line).strip()}"
