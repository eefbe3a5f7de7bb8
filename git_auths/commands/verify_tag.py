"""Judge a release tag: its name, its signatures and approvals, and the commit it releases. Offline."""

from __future__ import annotations

import argparse

from git_auths import output
from git_auths.commands.verify import as_json, no_answer_as_json
from git_auths.core.tags import TagVerdict
from git_auths.store import rewinds, tips, verdicts
from git_auths.store.repository import Repository


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the tag's name, or its full ref name")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(args: argparse.Namespace) -> int:
    repository = Repository()
    ref = args.name if args.name.startswith("refs/") else f"refs/tags/{args.name}"
    with no_answer_as_json(args.json), verdicts.Verifier(repository) as verifier:
        judged = verifier.verify_tag(ref)
        moved = tips.check_tag(repository, ref, judged.verdict.id) or next(iter(rewinds.found(verifier, {})), None)
        if judged.verdict.verdict == "good" and moved is None:
            tips.remember_published(repository, verifier.pins.mainline, {ref: judged.verdict.id})
        elif moved is not None:
            judged = judged._replace(verdict=moved)
        notes_missing = repository.ref("refs/notes/auths") is None
    ok = judged.verdict.verdict == "good"
    if args.json:
        output.document({"version": 1, "ok": ok, "root": verifier.pins.root, "mainline": verifier.mainline_tip,
                         "checked": 1, "cached": 0, "objects": [tag_json(judged)]})  # fmt: skip
        return 0 if ok else 1
    show(ref, judged)
    if judged.verdict.verdict in ("rewound", "tag-moved"):
        output.hint(tips.accept_hint(ref if judged.verdict.verdict == "tag-moved" else verifier.pins.mainline))
    if judged.verdict.verdict == "threshold-unmet" and notes_missing:
        output.hint("no attestations are here (refs/notes/auths): git auths sync")
    return 0 if ok else 1


def show(ref: str, judged: TagVerdict) -> None:
    verdict = judged.verdict
    reason = f": {verdict.reason}" if verdict.reason else ""
    output.line_with(output.verdict_word(verdict.verdict, verdict.passes), f"{ref} {verdict.id}{reason}")
    if judged.need:
        output.data(f"{len(judged.approvers)} of {judged.need} have signed or approved it")
        for did in judged.approvers:
            output.data(f"  {did}")


def tag_json(judged: TagVerdict) -> dict[str, object]:
    approvals = {"have": len(judged.approvers), "need": judged.need, "principals": list(judged.approvers)}
    return {**as_json(judged.verdict), "approvals": approvals}
