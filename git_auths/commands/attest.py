"""Say something signed about a commit, a tag or a range: SLSA provenance, a verification summary, or any predicate.

In a CI job that `git auths init --profile ci` has set up, the job's throwaway key signs, with the job's OIDC token, and
the timestamp and log entry that the policy asks for: that is what makes a commit by CI good.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from typing import NamedTuple

from git_auths import output
from git_auths.commands import agent_block, artifact_sign, collecting, evidence_options, job_identity
from git_auths.commands.option_types import duration, filled
from git_auths.core import attestation, ci, dsse, provenance
from git_auths.core.attestation import Binding
from git_auths.core.attested import SHORT_NAMES
from git_auths.core.auths_folder import AuthsFolder
from git_auths.core.dsse import MAX_ENVELOPE_BYTES, load_json
from git_auths.core.grants import GRANT_TYPE
from git_auths.core.judge import SOUND
from git_auths.core.provenance import MAX_COMMITS, Agent, CommitNote
from git_auths.core.statement import APPROVAL_TYPE, StatementInvalid, Subject
from git_auths.errors import Error, Refusal, UsageError
from git_auths.services import oidc as ci_tokens
from git_auths.store import artifactfiles, attestations, attesting, revisions
from git_auths.store.attesting import Voice
from git_auths.store.repository import Repository
from git_auths.store.secrets import Secrets
from git_auths.store.throwaway import Throwaway
from git_auths.store.verdicts import Verifier

NOT_HERE = {APPROVAL_TYPE: "git auths approve", GRANT_TYPE: "git auths grant"}


class About(NamedTuple):
    """What is attested: `commits` (parents first, the last one is what was named), and what else is a subject."""

    commits: tuple[str, ...]
    subjects: tuple[Subject, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("object", nargs="?", default="HEAD", metavar="OBJ", help="a commit, tag or range A..B")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--slsa", action="store_true", help="SLSA provenance, with who made each commit (the default)")
    kind.add_argument("--vsa", action="store_true", help="a verification summary: what git auths verify finds of it")
    kind.add_argument("--predicate-type", type=filled, metavar="URI", help="a predicate of any type, with --predicate")
    parser.add_argument("--predicate", type=filled, metavar="FILE", help="the predicate, a JSON object")
    parser.add_argument("--subject", action="append", default=[], metavar="NAME@sha256:DIGEST",
                        help="it is about this as well; may be repeated")  # fmt: skip
    parser.add_argument("--expires", type=duration, metavar="DURATION", help='until when it counts, like "90d"')
    parser.add_argument("--json", action="store_true", help="print the statement")
    evidence_options.add_arguments(parser)
    agent_block.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    if (args.predicate is None) != (args.predicate_type is None):
        raise UsageError("--predicate-type and --predicate go together", "git auths attest -h")
    if args.predicate_type in NOT_HERE:
        raise UsageError(f"{args.predicate_type} has a command of its own", NOT_HERE[args.predicate_type])
    repository = Repository()
    about = named(repository, args)
    job = job_identity.found(repository.path) if not args.secrets.name_an_identity else None
    voice = attesting.by_identity(args.secrets, repository.path) if job is None else attesting.by_throwaway(job)
    with attestations.opened(repository) as shelf:
        folder, root, pinned = shelf.folder, shelf.root, shelf.pinned()
    now = int(time.time())
    until = artifact_sign.ends(args, now)
    if job is None:
        bound, plan = collecting.Bound(None, None), collecting.personal(args, pinned)
    else:
        bound, plan = of_this_job(repository, job, voice, about.commits[-1], args)
        longest = now + (bound.rule or ci.UNRULED).max_ttl_seconds
        until = longest if until is None else min(until, longest)
    binding = Binding(root, voice.did, now, until, bound.token)
    builder = voice.did if job is None else artifact_sign.builder()
    predicate_type, said = predicate(repository, about, folder, voice, builder, now, args)
    try:
        payload = attestation.payload(about.subjects, predicate_type, said, binding)
        envelope = attesting.envelope(voice, payload)
    except (StatementInvalid, ValueError) as error:
        raise Error(f"cannot attest that: {error}") from None
    line = collecting.beside(envelope, voice.key, plan)
    attestations.add(repository, [line], f"Attest {args.object}")
    if args.json:
        output.raw(payload + b"\n")
    output.note(f"attested {args.object} by {voice.did}: {predicate_type}")
    if job is not None:
        collecting.warn_of_the_end(binding, [line])
    output.hint("git auths sync sends it to the remote; git push does, where our hooks are installed")
    return 0


def named(repository: Repository, args: argparse.Namespace) -> About:
    more = [artifactfiles.subject(text) for text in args.subject]
    others = [Subject(one.name, {"sha256": one.sha256}) for one in more]
    commits = tuple(revisions.named(repository, args.object))
    if len(commits) > MAX_COMMITS:
        raise UsageError(f"{args.object} names {len(commits)} commits; at most {MAX_COMMITS} in one attestation",
                         "name a shorter range")  # fmt: skip
    tag = None if revisions.is_range(args.object) else tag_object(repository, args.object)
    subjects = [Subject(args.object, {"gitTag": tag})] if tag else [Subject(id, {"gitCommit": id}) for id in commits]
    if not args.object.isprintable():
        raise UsageError("the name of what is attested is not printable", "git auths attest OBJ")
    return About(commits, (*subjects, *others))


def tag_object(repository: Repository, name: str) -> str | None:
    """The annotated tag of that name; None where it names none."""
    found = repository.refs(f"refs/tags/{name}", name).values()
    for id in found:
        if repository.git("cat-file", "-t", id).strip() == b"tag":
            return id
    return None


def of_this_job(repository: Repository, job: Throwaway, voice: Voice, commit: str, args: argparse.Namespace
                ) -> tuple[collecting.Bound, collecting.Plan]:  # fmt: skip
    """The job's token, which names the commit that the job was started on: the nearest that its key did not sign. A
    Refusal where the mainline is not good, its own commits aside: they are good once they are attested."""
    with Verifier(repository) as verifier:
        started_on = verifier.started_on(commit, voice.key)
        before = verifier.started_on(verifier.mainline_tip, voice.key)
    with Verifier(repository, mainline_tip=before) as verifier:
        artifact_sign.require_good_mainline(verifier, "not attested")
        folder, pinned = verifier.mainline_folder(), verifier.pinned()
    rules = collecting.admitting(folder.policy)
    bound = collecting.token_for(voice, rules, started_on, pinned, args.secrets, job.token)
    if bound.token is None:
        raise Refusal("not attested: no OIDC token says which job holds the throwaway key, so nobody would take it",
                      ci_tokens.missing_hint(os.environ) or "git auths init makes an identity that lasts")  # fmt: skip
    return bound, collecting.plan(bound.rule, args, pinned)


def predicate(repository: Repository, about: About, folder: AuthsFolder, voice: Voice, builder: str, now: int,
              args: argparse.Namespace) -> tuple[str, dict[str, object]]:  # fmt: skip
    if args.predicate_type is not None:
        return args.predicate_type, read_predicate(args.predicate)
    if args.vsa:
        return SHORT_NAMES["vsa"], verification_summary(repository, about, voice, now)
    agent = agent_block.declared(args)
    return SHORT_NAMES["slsa"], provenance.slsa(about.commits[-1], artifact_sign.source_uri(), builder, now,
                                                agent, who_made(repository, about.commits, agent))  # fmt: skip


def read_predicate(path: str) -> dict[str, object]:
    try:
        with open(path, "rb") as stream:
            data = stream.read(MAX_ENVELOPE_BYTES + 1)
    except OSError as error:
        raise Error(f"cannot read {path}: {error.strerror}") from None
    if len(data) > MAX_ENVELOPE_BYTES:
        raise Error(f"{path} is too large for an attestation: more than {MAX_ENVELOPE_BYTES} bytes")
    try:
        value = load_json(data)
    except ValueError as error:
        raise Error(f"{path} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise Error(f"{path} is not a JSON object")
    return value


def who_made(repository: Repository, commits: Sequence[str], agent: Agent | None) -> list[CommitNote]:
    """Each commit with its author; by an agent where its signer is one by grant, or where the caller declares itself to
    be one."""
    with Verifier(repository) as verifier:
        answer = verifier.verify(commits[-1:])
        folder = verifier.mainline_folder()
        described = revisions.described(repository, commits)
        notes = []
        for id in commits:
            verdict = answer.verdicts.get(id)
            granted = models_of(folder, verdict.signer) if verdict is not None and verdict.signer else ()
            is_agent = bool(granted) or agent is not None
            named = next(filter(None, granted), None) or (agent.model if agent is not None else None)
            author = described[id].title.partition(": ")[0][: provenance.MAX_AGENT_TEXT_CHARS]
            notes.append(CommitNote(id, author, "agent" if is_agent else "human", named))
    return notes


def models_of(folder: AuthsFolder, did: str) -> tuple[str, ...]:
    """The models of the agents that act where `did` signs, by their grants; none for a person's own key or device."""
    rights = [] if folder.policy is None else folder.authority.rights(did, folder.policy.signers, None)
    return rights[0].models if rights else ()


def verification_summary(repository: Repository, about: About, voice: Voice, now: int) -> dict[str, object]:
    with Verifier(repository) as verifier:
        verdict = verifier.verdict_of_source(about.commits[-1])
        return summary(voice.did, about.commits[-1], verifier.mainline_tip, now, verdict.verdict)


def summary(verifier: str, commit: str, mainline_tip: str, now: int, verdict: str) -> dict[str, object]:
    """The predicate that says what was found of `commit`, by the policy at the mainline's tip."""
    level = "GITAUTHS_" + verdict.upper().replace("-", "_")
    return provenance.summary(verifier, f"urn:git-auths:commit:{commit}", mainline_tip, now, verdict in SOUND, [level])


def what_was_found(repository: Repository, secrets: Secrets, commit: str, mainline_tip: str, verdict: str) -> None:
    """Attest what `git auths verify` has found of `commit`."""
    voice = attesting.by_identity(secrets, repository.path)
    with attestations.opened(repository) as shelf:
        root = shelf.root
    now = int(time.time())
    said = summary(voice.did, commit, mainline_tip, now, verdict)
    about = [Subject(commit, {"gitCommit": commit})]
    payload = attestation.payload(about, provenance.VERIFICATION_SUMMARY, said, Binding(root, voice.did, now))
    line = dsse.serialise(attesting.envelope(voice, payload))
    attestations.add(repository, [line], f"Attest what was found of {commit}")
    output.note(f"attested by {voice.did} that {commit} is {verdict}")
