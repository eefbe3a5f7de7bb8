"""Show what is attested of a commit, a tag or a digest: by whom, when, and whether who signed it is who it says.

An attestation is somebody's word. What counts of it is said by `git auths verify` and `git auths artifact verify`.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Iterable, Sequence

from git_auths import output
from git_auths.commands.attestation_words import Entry, Reader, by_standing, shortened
from git_auths.errors import Error
from git_auths.store import attestations, git, settings
from git_auths.store.attestations import Found, Ignored
from git_auths.store.repository import Repository

MAX_SHOWN = 100  # attestations in words; --json has them all
MAX_REASONS = 100  # why lines are ignored
OTHER_REASONS = "other reasons"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument("what", nargs="?", default="HEAD", metavar="REV|TAG", help="default: HEAD")
    what.add_argument("--sha256", type=digest, metavar="DIGEST", help="what has this SHA-256, as sha256sum prints it")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(args: argparse.Namespace) -> int:
    repository = Repository()
    with attestations.opened(repository) as shelf:
        if args.sha256 is not None:
            about, found = f"sha256:{args.sha256}", attestations.of_digest(shelf.notes, args.sha256, shelf.hex_length)
        else:
            about = object_id(repository, args.what)
            found = attestations.of_object(shelf.notes, about)
        reader = Reader(shelf)
        entries = by_standing(reader.entry(one) for one in found.attested)
        if args.json:
            output.document({"version": 1, "root": shelf.root, "object": about, "incomplete": found.incomplete,
                             "attestations": [reader.as_json(one) for one in entries],
                             "ignored": ignored_as_json(counted(found.ignored))})  # fmt: skip
            return 0
        for entry in entries[:MAX_SHOWN]:
            for line in reader.lines(entry):
                output.data(line)
    tell_the_rest(about, entries, found)
    return 0


def tell_the_rest(about: str, entries: Sequence[Entry], found: Found) -> None:
    if not entries:
        output.note(f"nothing is attested of {about} here")
        output.hint("git auths sync fetches what others attested")
    if len(entries) > MAX_SHOWN:
        output.note(f"and {len(entries) - MAX_SHOWN} more: --json has them all")
    if found.incomplete:
        output.warning("there is more on it, which is missing here or too large to be read")
    tell_ignored(counted(found.ignored))


def digest(text: str) -> str:
    """A SHA-256 as hex, from the command line."""
    plain = text.removeprefix("sha256:").lower()
    if len(plain) != 64 or plain.strip("0123456789abcdef"):
        raise argparse.ArgumentTypeError(f"{text!r} is no SHA-256 of 64 hex digits")
    return plain


def object_id(repository: Repository, what: str) -> str:
    """The id of the tag object or commit that `what` names; a proposed tag counts."""
    proposed = None if repository.ref(f"refs/tags/{what}") else repository.ref(settings.PROPOSALS + what)
    if proposed is not None:
        return proposed
    status, answer = git.attempt("rev-parse", "--verify", "--quiet", "--end-of-options", what, cwd=repository.path,
                                 allow=(0, 1, 128))  # fmt: skip
    if status:
        hint = "git auths show --sha256 DIGEST" if os.path.exists(what) else "git log --oneline --all; git tag"
        raise Error(f"{what!r} names no commit or tag here", hint)
    return answer.decode().strip()


def count(numbers: Counter[str], one: Ignored) -> None:
    """Count ignored lines by reason; of strangers' text in reasons there may be any number."""
    numbers[one.reason if one.reason in numbers or len(numbers) < MAX_REASONS else OTHER_REASONS] += one.lines


def counted(ignored: Iterable[Ignored]) -> Counter[str]:
    numbers: Counter[str] = Counter()
    for one in ignored:
        count(numbers, one)
    return numbers


def ignored_as_json(numbers: Counter[str]) -> list[dict[str, object]]:
    return [{"reason": reason, "lines": number} for reason, number in numbers.most_common()]


def tell_ignored(numbers: Counter[str]) -> None:
    if not numbers:
        return
    reasons = shortened([f"{number} because: {reason}" for reason, number in numbers.most_common()])
    output.note(f"ignored {sum(numbers.values())} lines of the notes: {'; '.join(reasons)}")
