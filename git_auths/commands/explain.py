"""Say why a commit or tag has its verdict: its key, each rule that was asked, who met it, and what is missing."""

from __future__ import annotations

import argparse

from git_auths import output
from git_auths.commands.verify import as_json, no_answer_as_json
from git_auths.core import explanation, sshsig
from git_auths.core.authority import HARDWARE_PREFIX
from git_auths.core.auths_folder import AuthsFolder
from git_auths.core.explanation import Asked, Explanation, KeyEvent
from git_auths.core.gitobject import parse_commit, parse_tag
from git_auths.core.grants import Grant
from git_auths.core.judge import SOUND, Verdict
from git_auths.core.judgement import Judged
from git_auths.core.policywords import utc
from git_auths.core.signer import DID_KEY
from git_auths.core.tags import readable
from git_auths.store import proposals, questions, settings, verdicts
from git_auths.store.noanswer import before_the_root
from git_auths.store.repository import Repository
from git_auths.store.trustroot import named

AS_OF = {
    explanation.WRITTEN: "as the commit's own history had it",
    explanation.RECEIVED: "as the mainline had it on reception",
    explanation.NOW: "as the mainline has it now",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="?", default="HEAD", metavar="REV|TAG")
    parser.add_argument(
        "--ref", help="judge a commit as part of this branch (default: the one that REV names, else the mainline)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(args: argparse.Namespace) -> int:
    repository = Repository()
    name = args.what.removeprefix("refs/tags/")
    is_tag = any(repository.ref(prefix + name) for prefix in ("refs/tags/", settings.PROPOSALS))
    pins = settings.pins(repository.path)
    question = None if is_tag else asked_about(repository, args.what, questions.ruled_by(repository, args.ref), pins)
    # Nothing is recalled: what an earlier run found good is known to be so, but no longer why.
    tip = None if question is None else question.mainline_tip
    with no_answer_as_json(args.json), verdicts.Verifier(repository, pins, tip, recall=False) as verifier:
        with verdicts.missing_is_incomplete():
            found = tag(verifier, name) if question is None else commit(verifier, question.tip, question.ref)
            step = None if found.reception is None else step_of(verifier, found)
            links = verifier.links_of(found.verdict.id) if is_about_ci(found.verdict) else []
        folder = verifier.mainline_folder()
        hardware = hardware_use(verifier, found)
    ok = found.verdict.verdict in SOUND and found.verdict.because_of is None
    if args.json:
        output.document({"version": 1, "ok": ok, "root": verifier.pins.root, "mainline": verifier.mainline_tip,
                         "object": {**as_document(found, step), "hardware": hardware,
                                    "links": [link._asdict() for link in links]}})  # fmt: skip
    else:
        show(found, step, folder)
        for link in links:
            output.data(f"evidence: {link.state}: {link.text}")
        if hardware is not None:
            output.data(f"hardware key: touched{' and unlocked' * hardware['verified']}, counter {hardware['counter']}")
    return 0 if ok else 1


def is_about_ci(verdict: Verdict) -> bool:
    """Is it good by a CI job's evidence, or would it be?"""
    return (verdict.signer or "").startswith(DID_KEY) or (verdict.rule or "").startswith("policy.ci")


def hardware_use(verifier: verdicts.Verifier, found: Explanation) -> dict[str, int | bool] | None:
    """What a hardware key said about its use; for people: no rule asks for the counter."""
    if found.verdict.signer is None or not found.verdict.signer.startswith(HARDWARE_PREFIX):
        return None
    kind, raw = verifier.read(found.verdict.id)
    parse = parse_commit if kind == b"commit" else parse_tag
    signature = parse(raw, len(found.verdict.id)).signature
    use = sshsig.hardware_use(sshsig.parse(sshsig.dearmor(signature))) if signature else None
    return None if use is None else {"counter": use[0], "verified": bool(use[1] & sshsig.USER_VERIFIED)}


def asked_about(
    repository: Repository, revision: str, ref: str | None, pins: settings.Pins | None
) -> questions.Question:
    """What `git auths verify-commit` would judge."""
    question = questions.about(repository, revision, pins)
    return question if ref is None else questions.Question(question.tip, ref)


def commit(verifier: verdicts.Verifier, id: str, ref: str | None) -> Explanation:
    judged: list[Judged] = verifier.judge([id], ref)
    part = next((part for part in judged if id in part.records), None)
    if part is None:
        return Explanation(before_the_root(id), None, None, None, (), (), (), ())
    return explanation.of_commit(part.case(id), part.verdict(id), part.outcome_of(id).signer)


def tag(verifier: verdicts.Verifier, name: str) -> Explanation:
    ref = proposals.tag_ref(name)
    id = proposals.find(verifier.repository, None, name)
    judged = verifier.verify_tag_object(id, ref)
    mainline = verifier.mainline()
    receipt = mainline.receipt_of(ref, id)
    received = None if receipt is None else receipt[1]
    state = mainline.state_of(verifier.mainline_tip) if received is None else received.state
    policy = "" if state is None else state.policy.commit
    folder = verifier.mainline_folder() if received is None else mainline.sources.folder_at(received.state.auths)
    return explanation.of_tag(judged, readable(id, *verifier.read(id), ref), ref, folder, policy, received)


def step_of(verifier: verdicts.Verifier, found: Explanation) -> str | None:
    """The mainline's commit that received it; None: the mainline does not have it yet."""
    chain = verifier.mainline().chain
    step = 0 if found.reception is None else found.reception.step
    return chain[step] if step < len(chain) else None


def show(found: Explanation, step: str | None, folder: AuthsFolder) -> None:
    verdict = found.verdict
    reason = f": {verdict.reason}" if verdict.reason else ""
    passes = verdict.passes and verdict.because_of is None
    output.line_with(output.verdict_word(verdict.verdict, passes), f"{verdict.type} {verdict.id}{reason}")
    if verdict.signer is not None:
        collapsed = "" if verdict.principal == verdict.signer else f", who counts as {verdict.principal}"
        output.data(f"signer: {named(folder, verdict.signer)}{collapsed}")
    for grant in found.grants:
        output.data(f"acts by: {grant_words(grant, folder)}")
    if found.key is not None:
        output.data(f"key: {key_words(found.key)}")
    if found.reception is not None:
        when = f"with {step}, step {found.reception.step} of the mainline" if step else "now: the mainline lacks it"
        output.data(f"received: {when}; the clock was {utc(found.reception.clock_seconds)}")
    if found.matter is not None:
        output.data(f"below .auths/: it {found.matter}, which is for the admin rule")
    for one in found.asked:
        show_rule(one, folder)
    for kind, did in found.approvals:
        output.data(f"approval: {kind}, by {named(folder, did)}")
    for reason in found.ignored:
        output.data(f"no approval: {reason}")
    for need in found.needs:
        who = ", ".join(named(folder, did) for did in need.who)
        output.data(f"missing: {need.what}" + (f", of {who}" if who else ""))
        output.hint(need.command)


def grant_words(grant: Grant, folder: AuthsFolder) -> str:
    name = f" {grant.name}" if grant.name else ""
    model = f", model {grant.model}" if grant.model else ""
    may = f"may {', '.join(grant.capabilities)} until {utc(grant.expires_at)}"
    return f"{grant.kind}{name} of {named(folder, grant.issuer)}{model}, {may}"


def key_words(key: KeyEvent) -> str:
    ended = "" if key.ended_by is None else f" since event {key.ended_by}"
    then = "" if key.in_tree is None else f", {key.in_tree} in the commit's own tree"
    now = (
        "which forks from the mainline's log"
        if key.on_mainline is None
        else f"{key.on_mainline} on the mainline{ended}"
    )
    return f"event {key.sn} of {key.aid}{then}, {now}"


def show_rule(one: Asked, folder: AuthsFolder) -> None:
    counted = ", ".join(named(folder, did) for did in one.counted)
    met = f"met by {counted}" if counted else "met"
    answer = met if one.fault is None else f"not met: {one.fault.reason}"
    output.data(f"rule: {one.rule} of {one.policy}, {AS_OF[one.as_of]}, requires {one.require}: {answer}")


def as_document(found: Explanation, step: str | None) -> dict[str, object]:
    received = found.reception
    return {
        **as_json(found.verdict),
        "because_of": found.verdict.because_of,
        "grants": [
            {"kind": grant.kind, "name": grant.name, "subject": grant.subject, "issuer": grant.issuer,
             "capabilities": grant.capabilities, "model": grant.model, "provider": grant.provider,
             "expires_at": utc(grant.expires_at)} for grant in found.grants
        ],
        "key": None if found.key is None else found.key._asdict(),
        "received": None if received is None else {
            "by": step, "step": received.step, "clock": utc(received.clock_seconds), "ref": received.ref},
        "admin_matter": found.matter,
        "rules": [{**one._asdict(), "fault": one.fault and one.fault._asdict()} for one in found.asked],
        "approvals": [{"kind": kind, "signer": did} for kind, did in found.approvals],
        "ignored": list(found.ignored),
        "missing": [need._asdict() for need in found.needs],
    }  # fmt: skip
