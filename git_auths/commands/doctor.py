"""Look at this machine's identities and at the repository at hand, and say what is not as it should be, with what
mends it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from git_auths import output
from git_auths.commands.doctor_identity import check_identities
from git_auths.commands.doctor_repository import check_repository
from git_auths.errors import Error
from git_auths.store import git
from git_auths.store.health import BAD, OK, Finding
from git_auths.store.repository import NotARepository, Repository
from git_auths.store.secrets import Secrets


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fix", action="store_true", help="mend what can be mended without a risk, and say what was")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(args: argparse.Namespace) -> int:
    found = []
    for finding in findings(args.secrets):
        told = fixed(finding) if args.fix else finding
        found.append(told)
        if not args.json:
            show(told)
    is_well = all(one.level != BAD for one in found)
    if args.json:
        listed = [{"level": one.level, "what": one.what, "hint": one.hint} for one in found]
        output.document({"version": 1, "ok": is_well, "findings": listed})
    return 0 if is_well else 1


def findings(secrets: Secrets) -> Iterator[Finding]:
    yield Finding(OK, f"git {'.'.join(map(str, git.version()))}")
    yield from check_identities()
    try:
        repository = Repository()
    except NotARepository:
        yield Finding(OK, "no repository here to look at")
        return
    yield from check_repository(repository, secrets)


def fixed(finding: Finding) -> Finding:
    """What the finding has become, once what mends it was tried."""
    if finding.fix is None:
        return finding
    try:
        return Finding(OK, f"mended: {finding.what}; {finding.fix()}")
    except Error as error:
        return finding._replace(what=f"{finding.what}; not mended: {error.message}", hint=error.hint or finding.hint)


def show(finding: Finding) -> None:
    output.data(f"{finding.level:4}  {finding.what}")
    sys.stdout.flush()  # its hint comes after it, not before
    if finding.hint is not None:
        output.hint(finding.hint)
