"""Judge a revision or a range: who was allowed to do this, and did they?

Every commit between the trust root and the revision is judged, and what is not good is listed: the first bad commit on
each line of history. A..B judges B with everything behind it, and lists, with --verbose, what A does not have.
"""

from __future__ import annotations

import argparse
import contextlib
import shlex
from collections.abc import Iterator

from git_auths import output
from git_auths.core.judge import Verdict
from git_auths.errors import UsageError
from git_auths.store import localcopy, questions, rewinds, settings
from git_auths.store.repository import Repository
from git_auths.store.verdicts import Answer, NoAnswer, Verifier

REWOUND = "git auths accept-rewind shows what is lost, and accepts it on a yes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("revision", nargs="?", default="HEAD", metavar="REV|A..B")
    parser.add_argument("--all", action="store_true", help="judge every branch, each by its own rules")
    parser.add_argument("--verbose", "-v", action="store_true", help="list what is good as well")
    parser.add_argument("--attest", action="store_true", help="sign what was found, into the notes")
    add_form_arguments(parser)


def add_form_arguments(parser: argparse.ArgumentParser) -> None:
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON document")
    form.add_argument(
        "--porcelain", action="store_true", help="a line each: verdict, id, signer, rule, reason, by tabs"
    )
    parser.add_argument("-z", action="store_true", dest="nul", help="with --porcelain: end lines with NUL")


def run(args: argparse.Namespace) -> int:
    if args.attest and args.all:
        raise UsageError("--attest is about one revision, not --all", "git auths verify --attest REV")
    if args.nul and not args.porcelain:
        raise UsageError("-z goes with --porcelain", "git auths verify --porcelain -z")
    repository = Repository()
    pins = settings.pins(repository.path)
    _, _, end = args.revision.rpartition("..")
    question = questions.about(repository, end or "HEAD", pins)
    tip = None if args.all else question.mainline_tip
    asked = (
        dict(questions.branches(repository))
        if args.all
        else {question.standing: question.tip}
        if question.standing
        else {}
    )
    with no_answer_as_json(args.json), Verifier(repository, pins, tip, recall=not args.verbose) as verifier:
        with output.counter("commits examined") as examined:
            if args.all:
                answer = verifier.verify_branches(asked, examined)
            else:
                answer = verifier.verify([question.tip], question.ref, examined)
        bad = [*rewinds.found(verifier, asked), *answer.not_good()]
        forgotten = None if bad else rewinds.remember(verifier, asked)
        if not bad and verifier.mainline_tip in answer.verdicts and not repository.bare:
            localcopy.write_allowed_signers(verifier)
        for reason in filter(None, (forgotten, verifier.not_remembered)):
            output.warning(f"not everything is remembered for the next run: {reason}")
        listed = bad
        if args.verbose:
            left_out = already_in(repository, args.revision)
            listed = [answer.in_the_end(verdict) for verdict in answer.verdicts.values()
                      if verdict in bad or verdict.id not in left_out]  # fmt: skip
    show(args, answer, listed, len(bad))
    if args.attest:
        from git_auths.commands import attest  # verifying, which is what this is for, signs nothing

        word = bad[0].verdict if bad else answer.verdicts[question.tip].verdict
        attest.what_was_found(repository, args.secrets, question.tip, answer.mainline_tip, word)
    step = next_step(bad, verifier.has_notes, question.ref if not args.all else None)
    if step is not None and (not (args.json or args.porcelain) or step == REWOUND):
        output.hint(step)
    return 0 if not bad else 1


@contextlib.contextmanager
def no_answer_as_json(wanted: bool) -> Iterator[None]:
    """Where a program asked, a verdict on the whole question is a document too, beside the line on stderr."""
    try:
        yield
    except NoAnswer as error:
        if wanted:
            output.document({"version": 1, "ok": False, "root": None, "mainline": None, "checked": 0, "cached": 0,
                             "objects": [as_json(error.verdict)]})  # fmt: skip
        raise


def already_in(repository: Repository, revision: str) -> set[str]:
    """What A has, of A..B; nothing for a single revision."""
    start, dots, _ = revision.rpartition("..")
    if not dots:
        return set()
    return set(repository.git("rev-list", repository.resolve(start.removesuffix(".") or "HEAD")).decode().split())


def next_step(bad: list[Verdict], has_notes: bool, ref: str | None) -> str | None:
    """What to type about what is `bad`, judged as part of the branch `ref`."""
    if not bad:
        return None
    if any(verdict.verdict == "rewound" for verdict in bad):
        return REWOUND
    if not has_notes and any(verdict.verdict == "threshold-unmet" or is_by_ci(verdict) for verdict in bad):
        return "no attestations are here (refs/notes/auths): git auths sync"
    return f"git auths explain {'' if ref is None else f'--ref {shlex.quote(ref)} '}{bad[0].id}"


def is_by_ci(verdict: Verdict) -> bool:
    """Would a rule for CI take it, with evidence in the notes?"""
    return (verdict.rule or "").startswith("policy.ci")


def show(args: argparse.Namespace, answer: Answer, listed: list[Verdict], bad: int) -> None:
    if args.json:
        output.document({"version": 1, "ok": not bad, "root": answer.root, "mainline": answer.mainline_tip,
                         "checked": answer.checked, "cached": answer.cached,
                         "objects": [as_json(verdict) for verdict in listed]})  # fmt: skip
    elif args.porcelain:
        for verdict in listed:
            porcelain(verdict, "\0" if args.nul else "\n")
    else:
        for verdict in listed:
            one_line(verdict)
        what = f"{bad} not good" if bad else "all good"
        number = "1 commit" if answer.checked == 1 else f"{answer.checked} commits"
        if answer.cached:
            number += f" ({answer.cached} of them by an earlier run)"
        output.note(f"{number} judged against {answer.mainline_ref} {answer.mainline_tip}: {what}")


def one_line(verdict: Verdict) -> None:
    """`<verdict> <id> <signer>: <reason>` for people."""
    tail = "" if verdict.signer is None else f" by {verdict.signer}"
    reason = f": {verdict.reason}" if verdict.reason else ""
    output.line_with(output.verdict_word(verdict.verdict, verdict.passes), f"{verdict.id}{tail}{reason}")


def as_json(verdict: Verdict) -> dict[str, str | None]:
    return {"type": verdict.type, "id": verdict.id, "verdict": verdict.verdict, "signer": verdict.signer,
            "principal": verdict.principal, "rule": verdict.rule, "reason": verdict.reason}  # fmt: skip


def porcelain(verdict: Verdict, end: str) -> None:
    fields = (verdict.verdict, verdict.id, verdict.signer or "-", verdict.rule or "-", verdict.reason)
    output.fields(fields, end)
