"""Verify artifacts: each link from the file to its signature, its commit, and whoever answers for that.

The bundle is the one beside the file (PATH.auths.json), or the one in the notes. With --key or --certificate-identity
a bundle of somebody else's is verified, in no repository at all. Nothing is fetched.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from functools import lru_cache

from git_auths import output
from git_auths.commands import artifact_answer, foreign_options
from git_auths.commands.artifact_answer import TYPES
from git_auths.commands.option_types import filled
from git_auths.core import artifacts, chain, ci, didkey, oidc
from git_auths.core.artifacts import Judged
from git_auths.core.attested import DID_KEY, Attested, AttestedInvalid, Signers, read, united
from git_auths.core.noteline import Line
from git_auths.core.pins import Pins
from git_auths.errors import Error, UsageError
from git_auths.store import artifactfiles, attestations
from git_auths.store.artifactfiles import Artifact
from git_auths.store.repository import Repository
from git_auths.store.verdicts import Verifier

DEFAULT_TYPE = "slsaprovenance"
MAX_CANDIDATES = 256  # attestations of one artifact


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="*", metavar="PATH")
    parser.add_argument("--subject", action="append", default=[], metavar="NAME@sha256:DIGEST",
                        help="verify what is no file; may be repeated")  # fmt: skip
    parser.add_argument("--bundle", type=filled, metavar="FILE",
                        help="the bundle (default: PATH.auths.json, else the notes)")  # fmt: skip
    parser.add_argument("--signer", type=filled, metavar="DID", help="it must be signed by this identity")
    parser.add_argument("--identity", type=filled, metavar="GLOB", help="the OIDC token must be of this workflow")
    parser.add_argument("--issuer", type=filled, metavar="URL", help="and come from this CI")
    parser.add_argument("--type", type=filled, metavar="TYPE",
                        help="the predicate: slsaprovenance, vsa, or a URI (default: slsaprovenance; of other "
                             "software: any)")  # fmt: skip
    parser.add_argument("--tag", type=filled, metavar="NAME",
                        help="as part of this release: only the rules that match its name ask")  # fmt: skip
    parser.add_argument("--strict", action="store_true", help="take no warning for an answer")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    foreign_options.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    if not args.paths and not args.subject:
        raise UsageError("nothing to verify", "git auths artifact verify PATH; --subject NAME@sha256:DIGEST")
    if args.bundle is not None and len(args.paths) + len(args.subject) != 1:
        raise UsageError("--bundle goes with one artifact", "git auths artifact verify -h")
    if foreign_options.is_meant(args):
        from git_auths.commands import artifact_foreign

        return artifact_foreign.run(args)
    found = [artifactfiles.read(path) for path in artifactfiles.expand(args.paths)]
    found += [artifactfiles.subject(text) for text in args.subject]
    answers = verify(Repository(), found, args)
    return artifact_answer.answer(found, answers, args)


def verify(repository: Repository, found: Sequence[Artifact], args: argparse.Namespace) -> list[Judged]:
    predicate_type = TYPES.get(args.type or DEFAULT_TYPE, args.type)
    demand = artifacts.Demand(args.signer, ci.Demand(args.identity, args.issuer), predicate_type, args.tag)
    with Verifier(repository) as verifier:
        now = int(time.time())
        verdict_of = lru_cache(maxsize=None)(verifier.verdict_of_source)  # many files are built from one commit
        moment = artifacts.Moment(verifier.pins.root, verifier.mainline_folder(), verifier.pinned(),
                                  verifier.clock_seconds(), now, verdict_of, ())  # fmt: skip
        answers = []
        unsound = what_is_wrong(verifier)
        for artifact in found:
            standing = attestations.of_digest(verifier.notes, artifact.sha256, repository.hex_length)
            there = moment._replace(lines=standing.attested, incomplete=standing.incomplete)
            candidates = bundled(artifact, args.bundle)
            if candidates is None:
                of_type = [one for one in standing.attested if one.predicate_type == demand.predicate_type]
                candidates = likely(of_type, there)
            if isinstance(candidates, chain.Link):
                answers.append(Judged((candidates,), ""))
                continue
            judged = [artifacts.verify(artifact.sha256, one, there, demand) for one in candidates]
            answers.append(best(judged) if judged else Judged((missing(artifact, standing, verifier.has_notes),), ""))
        return [answer._replace(links=(*answer.links, *unsound)) for answer in answers]


def what_is_wrong(verifier: Verifier) -> list[chain.Link]:
    """Why nothing can be judged by this mainline, whose policy, logs and pins it all rests on."""
    bad = verifier.unsound()
    if bad is None:
        return []
    return [chain.failed(chain.COMMIT, bad.verdict, f"the mainline is not good at {bad.id}: {bad.reason}")]


def bundled(artifact: Artifact, named: str | None) -> list[Attested] | chain.Link | None:
    """What the bundle named, or the one beside the file, holds; None: there is none."""
    path = named if named is not None else artifact.path and artifactfiles.bundle_path(artifact.path)
    if not path or (named is None and not os.path.lexists(path)):
        return None
    try:
        return [read(artifactfiles.read_bundle(path))]
    except AttestedInvalid as error:
        return chain.failed(chain.SIGNATURE, "malformed", f"{path} is no bundle of ours: {error.reason}")
    except Error as error:
        if error.exit_code != 1:
            raise
        return chain.failed(chain.SIGNATURE, "malformed", error.message)


def likely(found: list[Attested], moment: artifacts.Moment) -> list[Attested]:
    """Those that are looked at, each envelope once with all the evidence beside it: anybody can add lines, and
    thousands of them must neither cost a minute nor hide the honest one."""
    found = united(found)
    signers = Signers(moment.folder)
    signed = [one for one in found if not signers.check(one).fault] or found[:1]  # one is enough to say why
    if len(signed) > MAX_CANDIDATES:
        signed.sort(key=lambda one: (not signers.knows(one.signer), not names_its_job(one, moment.pins), one.raw))
        output.warning(f"there are more attestations of it than are looked at; {MAX_CANDIDATES} are")
    looked_at = signed[:MAX_CANDIDATES]
    # A timestamp that somebody adds late says that the token had expired by then; without it, nothing says when.
    bare = [one._replace(line=Line(one.line.envelope)) for one in looked_at if one.line.timestamps or one.line.entries]
    return [*looked_at, *bare]


def names_its_job(one: Attested, pinned: Pins) -> bool:
    """Does its token verify? Nobody makes another such envelope without the CI."""
    if one.token is None or not one.signer.startswith(DID_KEY):
        return False
    try:
        oidc.read(one.token, didkey.decode(one.signer), pinned.issuers)
    except (oidc.TokenRefused, didkey.DidKeyInvalid):
        return False
    return True


def missing(artifact: Artifact, standing: attestations.Found, has_notes: bool) -> chain.Link:
    if standing.incomplete:
        text = f"there is no bundle beside {artifact.name}, and the notes on its digest cannot be read whole"
        return chain.failed(chain.SIGNATURE, "incomplete", text)
    where = "and the notes on its digest hold none" if has_notes else "and refs/notes/auths is not here: git auths sync"
    return chain.failed(chain.SIGNATURE, "unsigned", f"there is no bundle beside {artifact.name}, {where}")


def best(judged: Sequence[Judged]) -> Judged:
    """Of several attestations, the one that says most: anybody may add one that does not hold."""
    return min(judged, key=lambda one: (
        chain.broken(one.links, strict=False) is not None, chain.broken(one.links, strict=True) is not None,
        -len(one.links),
    ))  # fmt: skip
