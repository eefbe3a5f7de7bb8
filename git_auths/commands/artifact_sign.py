"""Sign artifacts: PATH.auths.json beside each file, and the same in the notes of the commit that it was made from.

Without --ci the caller's identity signs, and must be one that the policy lets release. With --ci a key that lives as
long as the command does signs; what the policy demands of CI is collected, or refused here and now.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from git_auths import output
from git_auths.commands import agent_block, evidence_options
from git_auths.commands.option_types import duration, filled
from git_auths.core import artifacts, attestation, ci, opensshkey, provenance
from git_auths.core.attestation import Binding
from git_auths.core.attested import DID_KEY
from git_auths.core.facts import Fault
from git_auths.core.judge import SOUND
from git_auths.core.policy import CiRule, Policy
from git_auths.core.rights import right
from git_auths.core.statement import MAX_SUBJECTS, StatementInvalid, Subject
from git_auths.errors import Error, Refusal, UsageError
from git_auths.store import artifactfiles, attestations, attesting, throwaway
from git_auths.store.artifactfiles import Artifact
from git_auths.store.attesting import Voice
from git_auths.store.noanswer import FETCH_HINT
from git_auths.store.repository import Repository
from git_auths.store.verdicts import Verifier

if TYPE_CHECKING:
    from git_auths.commands import collecting

MAX_PAYLOAD_BYTES = 36 * 1024  # base64 makes 48 KiB of it, and the evidence has to fit into the same line of a note


class Signing(NamedTuple):
    """Everything that all statements of one run have in common."""

    voice: Voice
    binding: Binding
    predicate: dict[str, object]
    plan: collecting.Plan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="*", metavar="PATH", help="files, or globs of files")
    parser.add_argument("--subject", action="append", default=[], metavar="NAME@sha256:DIGEST",
                        help="sign what is no file, like a container image; may be repeated")  # fmt: skip
    parser.add_argument("--commit", type=filled, metavar="REV", default="HEAD",
                        help="what it was made from (default: HEAD)")  # fmt: skip
    parser.add_argument("--ci", action="store_true", help="sign with a throwaway key, as a CI job")
    parser.add_argument("--tag", type=filled, metavar="NAME",
                        help="as part of this release: only the rules that match its name ask")  # fmt: skip
    parser.add_argument("--expires", type=duration, metavar="DURATION",
                        help='until when it counts, like "90d"; with --ci at most max_ttl of the policy')  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the signatures as a JSON array")
    evidence_options.add_arguments(parser)
    agent_block.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    if not args.paths and not args.subject:
        raise UsageError("nothing to sign", "git auths artifact sign PATH...; --subject NAME@sha256:DIGEST")
    repository = Repository()
    commit = repository.resolve(args.commit)
    named = [artifactfiles.subject(text) for text in args.subject]
    files = artifactfiles.expand(args.paths)
    artifactfiles.require_free(files)
    before_hashing = by_ci if args.ci else by_person  # a refusal should not wait for gigabytes
    prepare = before_hashing(repository, commit, args)
    with output.counter("bytes hashed") as hashed:
        read = [artifactfiles.read(path, hashed) for path in files]
    signing = prepare()
    signed = list(sign([*read, *named], signing))
    bundles = [(artifactfiles.bundle_path(one.path), line) for some, line in signed for one in some if one.path]
    artifactfiles.write_bundles(bundles)
    is_in_notes = keep(repository, signing, [line for _, line in signed])
    report(args, signed, signing, commit)
    if is_in_notes:
        output.hint("git auths sync sends the attestations to the remote")
    return 0


def keep(repository: Repository, signing: Signing, lines: list[bytes]) -> bool:
    """Add the lines to the notes, unless no server would take them. Are they there now?"""
    if signing.voice.did.startswith(DID_KEY) and signing.binding.token is None:
        output.note("not in the notes: no server takes a line by a throwaway key that no OIDC token binds to a run")
        return False
    attestations.add(repository, lines, "Attest artifacts")
    return True


def by_person(repository: Repository, commit: str, args: argparse.Namespace) -> Callable[[], Signing]:
    """A Refusal where the policy does not let the caller sign releases, or something is not good."""
    voice = attesting.by_identity(args.secrets, repository.path)
    now = int(time.time())
    with Verifier(repository) as verifier:
        folder, pinned = verifier.mainline_folder(), verifier.pinned()
        root, clock = verifier.pins.root, verifier.clock_seconds()
        moment = artifacts.Moment(root, folder, pinned, clock, now, verifier.verdict_of_source, ())
        pipeline = require_right(voice, moment, args.tag, folder.policy)
        require_good_mainline(verifier, "not signed")
        require_good(verifier, commit)

    from git_auths.commands import collecting  # verifying, which shares this command, does without the network

    plan = collecting.personal(args, pinned) if pipeline is None else collecting.plan(pipeline, args, pinned)
    asked = ends(args, now)
    if pipeline is not None:
        longest = now + pipeline.max_ttl_seconds
        asked = longest if asked is None else min(asked, longest)

    def prepared() -> Signing:
        return Signing(voice, Binding(root, voice.did, now, asked), predicate(commit, voice.did, now, args), plan)

    return prepared


def require_good_mainline(verifier: Verifier, words: str) -> None:
    """A Refusal, which begins with these words, where the mainline is not good: anybody may have written the policy
    that stands there, and the addresses in it."""
    wrong = verifier.unsound()
    if wrong is not None:
        raise Refusal(f"{words}: the mainline is not good at {wrong.id}: {wrong.reason} ({wrong.verdict})",
                      "git auths verify")  # fmt: skip


def require_good(verifier: Verifier, commit: str) -> None:
    """A Refusal where something that is made from `commit` should not be signed."""
    verdict = verifier.verdict_of_source(commit)
    if verdict.verdict not in SOUND:
        hint = FETCH_HINT if verdict.verdict == "incomplete" else f"git auths explain {verdict.id}"
        raise Refusal(f"not signed: commit {verdict.id} is not good: {verdict.reason} ({verdict.verdict})", hint)


def require_right(voice: Voice, moment: artifacts.Moment, tag: str | None, policy: Policy | None) -> CiRule | None:
    """A Refusal where nothing lets this identity sign; for a pipeline that no release rule lets, the rule for CI that
    lists it, and that says what it has to bring."""
    rules = artifacts.release_rules(moment.folder, tag)
    fault = Fault("ungoverned", "no release rule of the policy matches it") if not rules else None
    for rule in rules:
        found = right(artifacts.question(rule, moment), voice.did)
        fault = found if isinstance(found, Fault) else fault
    if fault is None:
        return None
    rules_for_ci = policy.ci if policy is not None else ()
    listing = [rule for rule in rules_for_ci if artifacts.is_listed(rule, voice.did, moment)]
    if listing:
        return ci.demanding(listing)[0]
    raise Refusal(f"not signed: {fault.reason} ({fault.verdict})",
                  "git auths policy add-signer --role release, by an admin; CI signs with --ci")  # fmt: skip


def by_ci(repository: Repository, commit: str, args: argparse.Namespace) -> Callable[[], Signing]:
    """A Refusal where something is not good, or the policy lets no throwaway key sign, or asks for what cannot be had
    here."""
    from git_auths.commands import collecting

    if args.tag is not None:
        raise UsageError("--tag is for releases by people", "git auths artifact sign --ci PATH...")
    with Verifier(repository) as verifier:
        require_good_mainline(verifier, "not signed")
        require_good(verifier, commit)
        folder, root, pinned = verifier.mainline_folder(), verifier.pins.root, verifier.pinned()
    if folder.policy is None:
        raise Refusal("not signed: the mainline has no policy that can be read", "git auths verify")
    rules = collecting.admitting(folder.policy)
    plans = [collecting.plan(rule, args, pinned) for rule in rules] or [collecting.plan(None, args, pinned)]

    def prepared() -> Signing:
        kind = throwaway.kind_for(rules) if args.rekor is None else opensshkey.P256
        voice = attesting.by_throwaway(throwaway.in_memory(kind))
        bound = collecting.token_for(voice, rules, commit, pinned, args.secrets, None)
        plan = plans[rules.index(bound.rule)] if bound.rule is not None else plans[0]
        now = int(time.time())
        until = now + (bound.rule or ci.UNRULED).max_ttl_seconds
        asked = ends(args, now)
        binding = Binding(root, voice.did, now, until if asked is None else min(asked, until), bound.token)
        return Signing(voice, binding, predicate(commit, builder(), now, args), plan)

    return prepared


def ends(args: argparse.Namespace, now: int) -> int | None:
    return None if args.expires is None else now + args.expires


def predicate(commit: str, builder_id: str, now: int, args: argparse.Namespace) -> dict[str, object]:
    return provenance.slsa(commit, source_uri(), builder_id, now, agent_block.declared(args))


def source_uri() -> str | None:
    """Where the CI says that the source is; a remote's URL may hold a password, so it is not asked."""
    server, name = os.environ.get("GITHUB_SERVER_URL"), os.environ.get("GITHUB_REPOSITORY")
    if server and name:
        return f"git+{server}/{name}"
    project = os.environ.get("CI_PROJECT_URL")
    return f"git+{project}" if project else None


def builder() -> str:
    """What the CI says that it is, as a URI."""
    server, workflow = os.environ.get("GITHUB_SERVER_URL"), os.environ.get("GITHUB_WORKFLOW_REF")
    if server and workflow:
        return f"{server}/{workflow}"
    return os.environ.get("CI_JOB_URL") or os.environ.get("CIRCLE_BUILD_URL") or "urn:git-auths:builder:ci"


def sign(found: Sequence[Artifact], signing: Signing) -> Iterator[tuple[list[Artifact], bytes]]:
    """One envelope for as many artifacts as fit, with the evidence beside it."""
    from git_auths.commands import collecting

    with output.counter("artifacts signed") as counted:
        for some, payload in payloads(found, signing):
            try:
                envelope = attesting.envelope(signing.voice, payload)
            except ValueError as error:
                raise Error(f"cannot sign: {error}") from None
            yield some, collecting.beside(envelope, signing.voice.key, signing.plan)
            counted(len(some))


def payloads(found: Sequence[Artifact], signing: Signing) -> Iterator[tuple[list[Artifact], bytes]]:
    """Statements about at most 100 artifacts, and of a length that leaves room for the evidence."""
    some = list(found[:MAX_SUBJECTS])
    rest = found[len(some) :]
    subjects = [Subject(one.name, {"sha256": one.sha256}) for one in some]
    try:
        payload = attestation.payload(subjects, provenance.SLSA_PROVENANCE, signing.predicate, signing.binding)
    except StatementInvalid as error:
        if len(some) == 1:
            raise Error(f"cannot sign {some[0].name}: {error.reason}") from None
        payload = b""
    if len(some) > 1 and not 0 < len(payload) <= MAX_PAYLOAD_BYTES:
        half = len(some) // 2
        yield from payloads(some[:half], signing)
        yield from payloads(some[half:], signing)
    else:
        yield some, payload
    if rest:
        yield from payloads(rest, signing)


def report(args: argparse.Namespace, signed: Sequence[tuple[list[Artifact], bytes]], signing: Signing, commit: str
           ) -> None:  # fmt: skip
    if args.json:
        output.document([
            {"name": one.name, "path": one.path, "sha256": one.sha256, "commit": commit, "signer": signing.voice.did,
             "bundle": one.path and artifactfiles.bundle_path(one.path)}
            for some, _ in signed for one in some
        ])  # fmt: skip
    else:
        for one in (one for some, _ in signed for one in some):
            output.data(f"{one.sha256}  {one.name}")
    number = sum(len(some) for some, _ in signed)
    output.note(f"signed {number} by {signing.voice.did}, for commit {commit}")
    if signing.plan.rule is not None or args.ci:
        from git_auths.commands import collecting

        collecting.warn_of_the_end(signing.binding, [line for _, line in signed])
