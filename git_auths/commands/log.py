"""List attestations, newest first: the trail of who, which agent and which model wrote and approved what.

Listed is what is signed by whom it names, for this repository's trust root; --all lists what is not, too, and says why.
"""

from __future__ import annotations

import argparse
import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from fnmatch import fnmatchcase

from git_auths import output
from git_auths.commands.attestation_words import Entry, Reader, about_words, shortened
from git_auths.commands.option_types import filled
from git_auths.commands.show import count, digest, ignored_as_json, object_id, tell_ignored
from git_auths.core import attested, provenance, utctime
from git_auths.core.attested import Attested
from git_auths.core.policy import is_did
from git_auths.errors import Error
from git_auths.store import attestations, keystore, settings
from git_auths.store.attestations import Found, Ignored, Shelf
from git_auths.store.repository import Repository

MAX_KEPT_BYTES = 512 * 1024 * 1024  # of lines, while they are put in order

Filter = Callable[[Attested], bool]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--commit", type=filled, metavar="REV", help="about this commit")
    parser.add_argument("--tag", type=filled, metavar="NAME", help="about this tag, published or proposed")
    parser.add_argument("--sha256", type=digest, metavar="DIGEST", help="about what has this SHA-256")
    parser.add_argument(
        "--signer", type=filled, metavar="DID|NAME", help="by this signer: a DID, an alias here, a name in the policy"
    )
    parser.add_argument(
        "--predicate", type=filled, metavar="URI|NAME", help=f"of this type: {', '.join(attested.SHORT_NAMES)}, a URI"
    )
    parser.add_argument("--model", type=filled, metavar="GLOB",
                        help="that names such a model, or is by an agent granted as one")  # fmt: skip
    parser.add_argument(
        "--since", type=moment, metavar="TIME", help="issued then or later (ISO 8601; without zone: UTC)"
    )
    parser.add_argument("--until", type=moment, metavar="TIME", help="issued then or earlier")
    parser.add_argument("-n", type=number, metavar="N", help="the newest N only")
    parser.add_argument("--all", action="store_true", help="also what is not signed by whom it names")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(args: argparse.Namespace) -> int:
    repository = Repository()
    with attestations.opened(repository) as shelf:
        reader = Reader(shelf)
        is_wanted = wanted(args, repository, reader)
        ignored: Counter[str] = Counter()

        def lines() -> Iterator[tuple[int, bytes]]:
            """(time, line) of each that is to be listed; why others are not goes into `ignored`."""
            with output.counter("attestations read") as progress:
                for one in candidates(args, repository, shelf):
                    progress(1)
                    if isinstance(one, Ignored):
                        count(ignored, one)
                    elif is_wanted(one):
                        fault = None if args.all else reader.fault(one)
                        if fault is None:
                            yield one.issued_at, one.raw
                        else:
                            count(ignored, Ignored(fault))

        newest = in_order(lines(), args.n)
        entries = (reader.entry(attested.read(line)) for _, line in newest)
        if args.json:
            output.document({"version": 1, "root": shelf.root, "attestations": [reader.as_json(one) for one in entries],
                             "ignored": ignored_as_json(ignored)})  # fmt: skip
            return 0
        for entry in entries:
            output.data(row(reader, entry))
    if not newest:
        output.note("nothing that is asked for is attested here")
        output.hint("git auths sync fetches what others attested")
    tell_ignored(ignored)
    return 0


def moment(text: str) -> int:
    """Unix seconds of an ISO 8601 time, or of a day's beginning; without a zone it is UTC."""
    try:
        found = datetime.fromisoformat(text[:-1] + "+00:00" if text[-1:] in ("Z", "z") else text)
        return int((found if found.tzinfo else found.replace(tzinfo=timezone.utc)).timestamp())
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is no time like 2026-11-02 or 2026-11-02T10:00:00Z") from None


def number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of attestations")
    return int(text)


def candidates(args: argparse.Namespace, repository: Repository, shelf: Shelf) -> Iterator[Attested | Ignored]:
    """What stands on the object or digest that was asked for; without one everything."""
    if args.commit is not None:
        yield from told(attestations.of_object(shelf.notes, repository.resolve(args.commit)))
    elif args.tag is not None:
        yield from told(attestations.of_object(shelf.notes, tag_id(repository, args.tag)))
    elif args.sha256 is not None:
        yield from told(attestations.of_digest(shelf.notes, args.sha256, shelf.hex_length))
    else:
        yield from attestations.every(shelf.notes, shelf.hex_length)


def told(found: Found) -> Iterator[Attested | Ignored]:
    yield from found.attested
    yield from found.ignored
    if found.incomplete:
        yield Ignored("the notes on it cannot be read whole", 0)


def tag_id(repository: Repository, name: str) -> str:
    if not any(repository.ref(prefix + name) for prefix in ("refs/tags/", settings.PROPOSALS)):
        raise Error(f"there is no tag {name} here, and none is proposed", "git tag lists what is here")
    return object_id(repository, f"refs/tags/{name}" if repository.ref(f"refs/tags/{name}") else name)


def wanted(args: argparse.Namespace, repository: Repository, reader: Reader) -> Filter:
    """Whether one of the candidates is asked for: all conditions together, but for --commit, which they meet."""
    filters: list[Filter] = []
    if args.tag is not None:
        tag = tag_id(repository, args.tag)
        filters.append(lambda one: tag in one.objects)
    if args.sha256 is not None:
        filters.append(lambda one: args.sha256 in one.artifacts)
    if args.signer is not None:
        dids = dids_of(args.signer, reader.shelf)
        filters.append(lambda one: one.signer in dids)
    if args.predicate is not None:
        predicate = attested.SHORT_NAMES.get(args.predicate, args.predicate)
        filters.append(lambda one: one.predicate_type == predicate)
    if args.model is not None:
        filters.append(lambda one: any(fnmatchcase(model, args.model) for model in reader.models(one)))
    if args.since is not None:
        filters.append(lambda one: one.issued_at >= args.since)
    if args.until is not None:
        filters.append(lambda one: one.issued_at <= args.until)
    return lambda one: all(passes(one) for passes in filters)


def dids_of(who: str, shelf: Shelf) -> frozenset[str]:
    """The signers that somebody means: a DID, an alias on this machine, a name in the policy or in a grant."""
    if who.startswith(attested.DID_KEY) or is_did(who):
        return frozenset([who])
    if who in keystore.aliases():
        return frozenset([f"did:keri:{keystore.load(who).aid}"])
    policy = shelf.folder.policy
    named = {did for did, signer in (policy.signers.items() if policy else ()) if signer.name == who}
    named |= {grant.subject for grant in shelf.folder.grants.values() if grant.name == who}
    if not named:
        raise Error(f"{who!r} is no DID, no identity of this machine, and no name in the policy or in a grant",
                    "git auths policy show lists the signers")  # fmt: skip
    return frozenset(named)


def in_order(lines: Iterator[tuple[int, bytes]], limit: int | None) -> list[tuple[int, bytes]]:
    """The newest `limit` (None: all) of them, newest first."""
    if limit is not None:
        return heapq.nlargest(limit, lines)
    kept, size = [], 0
    for one in lines:
        kept.append(one)
        size += len(one[1])
        if size > MAX_KEPT_BYTES:
            raise Error(
                f"there are more than {MAX_KEPT_BYTES >> 20} MiB of attestations to list", "git auths log -n 1000"
            )
    return sorted(kept, reverse=True)


def row(reader: Reader, entry: Entry) -> str:
    """An attestation in one line."""
    one = entry.attested
    words = [utctime.text(one.issued_at), one.words, f"by {reader.who(one.signer)}", f"about {about_words(one)}"]
    agent = provenance.agent_of(one.predicate)
    models = shortened(sorted(reader.models(one)))
    if agent is not None and agent.id:
        words.append(f"agent {agent.id}")
    if models:
        words.append(f"model {', '.join(models)}")
    if entry.fault is not None:
        words.append(f"NOT VALID: {entry.fault}")
    elif entry.signed.is_lost:
        words.append("by a key declared compromised since")
    return "  ".join(words)
