"""Judge one commit: its signature, its signer's right, and everything behind it back to the root."""

from __future__ import annotations

import argparse

from git_auths import output
from git_auths.commands.verify import as_json, no_answer_as_json, one_line
from git_auths.store import verdicts
from git_auths.store.repository import Repository


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("revision", nargs="?", default="HEAD", metavar="REV")
    parser.add_argument("--ref", help="judge it as part of this branch (a full ref name); default: the mainline")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(args: argparse.Namespace) -> int:
    repository = Repository()
    commit = repository.resolve(args.revision)
    with no_answer_as_json(args.json), verdicts.Verifier(repository) as verifier:
        answer = verifier.verify([commit], args.ref)
    own = answer.verdicts[commit]
    bad = answer.not_good()
    if args.json:
        output.document({"version": 1, "ok": not bad, "root": answer.root, "mainline": answer.mainline_tip,
                         "checked": len(answer.verdicts), "cached": 0,
                         "objects": [as_json(verdict) for verdict in (bad or [own])]})  # fmt: skip
    else:
        for verdict in bad or [own]:
            one_line(verdict)
    return 0 if not bad else 1
