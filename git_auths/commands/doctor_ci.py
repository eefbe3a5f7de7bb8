"""The part of `doctor` that looks at what CI needs: is all pinned that the policy's rules for CI judge by?"""

from __future__ import annotations

from collections.abc import Iterator

from git_auths.core import pins
from git_auths.core.auths_folder import AuthsFolder
from git_auths.core.policy import CiRule
from git_auths.store.health import BAD, OK, WARN, Finding
from git_auths.store.repository import Objects, Repository


def check_ci(repository: Repository, folder: AuthsFolder) -> Iterator[Finding]:
    """`folder` is `.auths` at the mainline's tip."""
    with Objects(repository.path) as objects:
        pinned = pins.read(folder.files, lambda id: objects.read(id, pins.MAX_PIN_BYTES)[1])
    for reason in pinned.unreadable:
        yield Finding(BAD, f"what it may pin counts for nothing: {reason}", "git auths ci pins lists what is pinned")
    rules = folder.policy.ci if folder.policy is not None else ()
    lacking = [finding for rule in rules for finding in check_rule(rule, pinned)]
    yield from lacking
    if rules and not lacking:
        yield Finding(OK, "all is pinned that the rules for CI judge by")


def check_rule(rule: CiRule, pinned: pins.Pins) -> Iterator[Finding]:
    issuer = None if rule.identity is None else rule.identity["issuer"]
    if issuer is not None and issuer not in {one.issuer for one in pinned.issuers}:
        yield Finding(WARN, f"{rule.name} takes tokens of {issuer}, whose keys are not pinned",
                      f"git auths ci pin-issuer {issuer}")  # fmt: skip
    if rule.require_timestamp and not pinned.authorities:
        yield Finding(WARN, f"{rule.name} requires a timestamp, and no authority is pinned",
                      "git auths ci pin-tsa FILE.pem")  # fmt: skip
    if rule.require_log and not pinned.logs:
        yield Finding(WARN, f"{rule.name} requires an entry in a log, and no log is pinned",
                      "git auths ci pin-log FILE.json")  # fmt: skip
