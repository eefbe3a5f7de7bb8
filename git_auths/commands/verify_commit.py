"""Judge one commit: its signature, its signer's right, and everything behind it back to the root."""

from __future__ import annotations

import argparse

from git_auths import output
from git_auths.commands.verify import as_json, no_answer_as_json, one_line
from git_auths.core.judge import Verdict
from git_auths.core.signer import DID_KEY
from git_auths.store import questions, rewinds, settings
from git_auths.store.repository import Repository
from git_auths.store.verdicts import Verifier


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("revision", nargs="?", default="HEAD", metavar="REV")
    parser.add_argument(
        "--ref",
        help="judge it as part of this branch (default: the one that REV names, else the mainline)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(args: argparse.Namespace) -> int:
    repository = Repository()
    pins = settings.pins(repository.path)
    question = questions.about(repository, args.revision, pins)
    ref = questions.ruled_by(repository, args.ref)
    tip = question.mainline_tip if ref is None else None
    with no_answer_as_json(args.json), Verifier(repository, pins, tip) as verifier:
        answer = verifier.verify([question.tip], ref or question.ref)
        bad = [*rewinds.found(verifier, {}), *answer.not_good()]
        own = answer.verdicts[question.tip]
        links = verifier.links_of(question.tip) if is_by_ci(own) else []
    if args.json:
        output.document({"version": 1, "ok": not bad, "root": answer.root, "mainline": answer.mainline_tip,
                         "checked": answer.checked, "cached": answer.cached,
                         "objects": [as_json(verdict) for verdict in (bad or [own])],
                         **({"links": [link._asdict() for link in links]} if links else {})})  # fmt: skip
    else:
        for verdict in bad or [own]:
            one_line(verdict)
        if links:
            output.data(f"Signature valid (throwaway key {own.signer})")
        for link in links:
            output.data(link.text[:1].upper() + link.text[1:])
    return 0 if not bad else 1


def is_by_ci(verdict: Verdict) -> bool:
    """Was it found good by the evidence of a CI job, and no identity's signature?"""
    return (verdict.signer or "").startswith(DID_KEY)
