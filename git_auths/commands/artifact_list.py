"""List the artifacts that are attested as made from a commit: digest, name, signer, time."""

from __future__ import annotations

import argparse

from git_auths import output
from git_auths.core import utctime
from git_auths.core.attested import Signers
from git_auths.store import attestations
from git_auths.store.repository import Repository


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("revision", nargs="?", default="HEAD", metavar="REV", help="a commit or tag (default: HEAD)")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(args: argparse.Namespace) -> int:
    """What is listed is signed by whom it names; whether that one may, `artifact verify` says."""
    repository = Repository()
    commit = repository.resolve(args.revision)
    with attestations.opened(repository) as shelf:
        found = attestations.of_object(shelf.notes, commit)
        signers = Signers(shelf.folder)
        signed = [one for one in found.attested if one.root == shelf.root and not signers.check(one).fault]
    listed = [(subject, one) for one in signed for subject in one.subjects if "sha256" in subject.digest]
    if args.json:
        output.document({"version": 1, "commit": commit, "artifacts": [
            {"name": subject.name, "sha256": subject.digest["sha256"], "signer": one.signer,
             "predicate_type": one.predicate_type, "issued_at": utctime.text(one.issued_at),
             "expires_at": None if one.expires_at is None else utctime.text(one.expires_at)}
            for subject, one in listed
        ]})  # fmt: skip
    else:
        for subject, one in listed:
            output.data(f"{subject.digest['sha256']}  {subject.name}  {one.signer}  {utctime.text(one.issued_at)}")
    ignored = sum(one.lines for one in found.ignored) + len(found.attested) - len(signed)
    if ignored:
        output.note(f"{ignored} lines of the notes on it count for nothing: git auths show {commit} says why")
    if not listed and not args.json:
        output.note(f"no artifact is attested for {commit}")
    return 0
