"""What the policy will demand of CI's attestations is collected when they are made, or refused there.

The token comes before the signature, since it stands in what is signed; the timestamp and the log entry after it.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import NamedTuple

from git_auths import output
from git_auths.core import bundle, chain, ci, didkey, dsse, noteline, oidc, proofs, utctime
from git_auths.core.attestation import Binding
from git_auths.core.bundle import LogEntry
from git_auths.core.noteline import Line
from git_auths.core.pins import Pins
from git_auths.core.policy import CiRule, Policy
from git_auths.errors import Error, Refusal
from git_auths.services import oidc as ci_tokens
from git_auths.services import rekor, tsa
from git_auths.store.attesting import Voice
from git_auths.store.secrets import Secrets

PUBLIC_LOG = "https://rekor.sigstore.dev"
WAYS_TO_A_TIME = "--tsa URL stamps it, as timestamp_url in [[policy.ci]] does; or a release approval vouches for it: " \
                 "git auths approve TAG --artifact PATH"  # fmt: skip


class Plan(NamedTuple):
    """Where evidence comes from: the URL of a time stamping authority and of a log, None for neither; the rule that
    asks for it, None where the policy has none; what is pinned to judge it by."""

    rule: CiRule | None
    tsa_url: str | None
    log_url: str | None
    pins: Pins


def admitting(policy: Policy | None) -> list[CiRule]:
    """The rules by which a throwaway key may sign; a Refusal where the policy has rules, and none of that kind."""
    rules = [] if policy is None else ci.admitting(policy.ci)
    if policy is not None and policy.ci and not rules:
        raise Refusal("no [[policy.ci]] rule of the policy allows throwaway keys",
                      "allow_ephemeral = true in [[policy.ci]]; a pipeline's own key signs without --ci")  # fmt: skip
    if not rules:
        output.warning("the policy has no [[policy.ci]] rule: a verifier is told that nobody says what CI may sign")
    return rules


def personal(args: argparse.Namespace, pins: Pins) -> Plan:
    """What somebody with an identity asked for."""
    return Plan(None, args.tsa, args.rekor, pins)


def plan(rule: CiRule | None, args: argparse.Namespace, pins: Pins) -> Plan:
    """Where the evidence that `rule` demands comes from, and what else was asked for; a Refusal where there is no such
    place, or nothing to judge it by."""
    if rule is None:
        return Plan(None, args.tsa, args.rekor, pins)
    made = Plan(rule, rule.timestamp_url if args.tsa is None else args.tsa,
                rule.log_url if args.rekor is None else args.rekor, pins)  # fmt: skip
    if rule.require_log is not None and made.log_url is None:
        made = made._replace(log_url=PUBLIC_LOG)
    if rule.require_timestamp and made.tsa_url is None:
        raise Refusal(f"{rule.name} requires a timestamp, and nothing says by whom",
                      "--tsa URL, or timestamp_url in the policy")  # fmt: skip
    if rule.require_timestamp and not pins.authorities:
        raise Refusal(f"{rule.name} requires a timestamp, and no authority is pinned to judge it by",
                      "git auths ci pin-tsa FILE.pem")  # fmt: skip
    if rule.require_log is not None and not pins.logs:
        raise Refusal(f"{rule.name} requires a transparency log, and none is pinned to judge its entry by",
                      "git auths ci pin-log FILE.json")  # fmt: skip
    return made


class Bound(NamedTuple):
    """The CI's token for a key, and the rule that takes it (None: the policy has no rule for CI)."""

    token: str | None
    rule: CiRule | None


def token_for(voice: Voice, rules: list[CiRule], commit: str, pins: Pins, secrets: Secrets, given: str | None) -> Bound:
    """The OIDC token that says which job holds the key, `given` or fresh, with the first rule that takes it.

    A Refusal where a rule demands one and there is none, or where none of the rules takes it.
    """
    demanded = all(rule.identity is not None for rule in rules) and bool(rules)
    try:
        token = ci_tokens.fetch(didkey.audience(voice.key), os.environ, secrets.tokens) or given
    except Error as error:
        if demanded:
            raise Refusal(f"no OIDC token, which the policy demands: {error.message}", error.hint) from None
        output.warning(f"no OIDC token: {error.message}")
        if error.hint is not None:
            output.hint(error.hint)
        token = given
    if not rules:
        return Bound(token, None)
    refused = [_refused(rule, voice, token, commit, pins) for rule in rules]
    if all(refused):
        hint = ci_tokens.missing_hint(os.environ) or "git auths policy show; git auths ci pins"
        raise Refusal(f"{rules[0].name} would not take this: {refused[0]}", hint)
    return Bound(token, rules[refused.index(None)])


def _refused(rule: CiRule, voice: Voice, token: str | None, commit: str, pins: Pins) -> str | None:
    """Why a verifier would refuse the token by this rule."""
    now = int(time.time())
    found = proofs.Proofs()
    if token is not None and not pins.issuers:
        found = proofs.Proofs(unpinned=(proofs.TOKEN,))
    elif token is not None:
        try:
            read = oidc.read(token, voice.key, pins.issuers)
            late = oidc.time_fault(read, now)
            if late is not None:
                raise late
            found = proofs.Proofs(read)
        except oidc.TokenRefused as error:
            found = proofs.Proofs(refused=(proofs.Refused(proofs.TOKEN, error.code, error.reason),))
    broken = chain.broken(ci.runner(rule, ci.Run(commit, found, now, None, now), ci.Demand()), strict=False)
    return None if broken is None else broken.text


def beside(envelope: dsse.Envelope, key: bytes, made: Plan) -> bytes:
    """The envelope by `key` in a bundle, with the evidence beside it: a line of a note, a file beside an artifact.

    Raises ServiceError where evidence that was asked for cannot be had, and a Refusal where it does not hold.
    """
    signature = envelope.signatures[0].sig
    stamps = () if made.tsa_url is None else (tsa.stamp(made.tsa_url, signature),)
    entries: tuple[LogEntry, ...] = ()
    if made.log_url is not None:
        entries = (rekor.submit(made.log_url, envelope, key),)
    found = proofs.examine(Line(envelope, stamps, entries), key, None, made.pins)
    if found.refused:
        refused = found.refused[0]
        raise Refusal(f"the {ci.WORDS[refused.kind]} that was collected does not hold: {refused.reason}",
                      "git auths ci pins lists what is pinned to judge it by")  # fmt: skip
    for kind in found.unpinned:
        output.warning(f"nothing is pinned to judge the {kind} by; git auths ci -h says how to pin it")
    data = bundle.serialise(envelope, key, stamps, entries)
    if len(data) > dsse.MAX_ENVELOPE_BYTES:
        raise Error("the evidence is too large for a note", "sign fewer files in one run")
    return data


def warn_of_the_end(binding: Binding, lines: list[bytes]) -> None:
    """Nothing that is untimed counts after its end; said while something can still be done."""
    read = [noteline.parse(one) for one in lines]
    timed = all(one.timestamps or any(entry.signed_entry_timestamp for entry in one.entries) for one in read)
    if binding.expires_at is not None and not timed:
        until = utctime.text(binding.expires_at)
        output.warning(f"nothing proves when this was signed: after {until} it no longer verifies")
        output.hint(WAYS_TO_A_TIME)
