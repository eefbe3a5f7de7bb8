"""Replay a key event log, strictly, and show the key states that it goes through.

A log comes from a file, from stdin, or by its DID from `.auths/kels/` at HEAD of the repository at hand. There
too are looked up the delegators that a log names and its stream does not hold.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from git_auths import output
from git_auths.core import cesr, kel, keystate, sshsig
from git_auths.core.kel import MAX_KEL_BYTES, DelegatorUnknown, Kel, KelInvalid
from git_auths.core.verkey import Key
from git_auths.errors import Error, Refusal, UsageError
from git_auths.store import git

MAX_DELEGATORS = 8  # that are looked up for one stream
MAX_DELEGATION_DEPTH = 2
DID_PREFIX = "did:keri:"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="show|verify")
    for name, does in (("show", "print every event and the key state it leaves"),
                       ("verify", "say whether the log is good, or which event is not")):  # fmt: skip
        action = actions.add_parser(name, help=does, description=does)
        action.add_argument("log", metavar="FILE|DID|-", help="a CESR stream, this repository's log of a DID, stdin")
        if name == "verify":
            action.add_argument("--json", action="store_true", help="one JSON document")


def run(args: argparse.Namespace) -> int:
    as_json = args.action == "verify" and args.json
    try:
        logs = _logs(args.log)
    except KelInvalid as error:
        if not as_json:
            raise Refusal(f"{args.log}: event {error.sn}: {error.reason}", _hint(error)) from None
        output.document({"version": 1, "ok": False, "event": error.sn, "reason": error.reason})
        return 1
    if as_json:
        output.document(_document(logs))
    elif args.action == "show":
        for log in logs:
            _show(log)
    else:
        for log in logs:
            output.data(f"{log.did}: good, {len(log.events)} events, current keys from event {log.state.sn}")
    return 0


def _logs(argument: str) -> tuple[Kel, ...]:
    if not argument.startswith("did:"):
        return _replay(_read(argument))
    aid = argument.removeprefix(DID_PREFIX)
    if not cesr.is_digest(aid):
        raise UsageError(f"{argument} is no did:keri:", "it is did:keri: and 44 characters, an E first")
    stream = _in_repository(aid)
    if stream is None:
        raise Error(f"{argument}: this repository has no .auths/kels/{aid}.cesr at HEAD",
                    "git auths kel takes a file too, or - for stdin")  # fmt: skip
    logs = _replay(stream)
    if [log.aid for log in logs] != [aid]:
        raise KelInvalid(f"the file holds another log than that of {aid}", 0)
    return logs


def _read(path: str) -> bytes:
    try:
        if path == "-":
            return sys.stdin.buffer.read(MAX_KEL_BYTES + 1)
        with open(path, "rb") as stream:
            return stream.read(MAX_KEL_BYTES + 1)
    except OSError as error:
        raise Error(f"{path}: {error.strerror}", "name a file with a key event log, a DID, or -") from None


def _replay(stream: bytes, depth: int = 0) -> tuple[Kel, ...]:
    """`depth` is how many delegators stand between this log and the one that was asked for."""
    delegators: dict[str, Kel] = {}
    while True:
        try:
            return kel.replay_all(stream, delegators)
        except DelegatorUnknown as error:
            may_look = depth < MAX_DELEGATION_DEPTH and len(delegators) < MAX_DELEGATORS
            found = _in_repository(error.delegator) if may_look else None
            if found is None:
                raise
            delegators[error.delegator] = _delegator(found, error, depth + 1)


def _delegator(stream: bytes, wanted: DelegatorUnknown, depth: int) -> Kel:
    try:
        for log in _replay(stream, depth):
            if log.aid == wanted.delegator:
                return log
    except KelInvalid as error:
        raise KelInvalid(f"the log of its delegator {wanted.delegator} is refused at {error}", wanted.sn) from None
    raise wanted


def _in_repository(aid: str) -> bytes | None:
    """The log of that AID at HEAD; None outside a repository, or where HEAD has none."""
    name = f"HEAD:.auths/kels/{aid}.cesr"
    status, size = git.attempt("cat-file", "-s", name, allow=(0, 1, 128))
    if status != 0:
        return None
    if int(size) > MAX_KEL_BYTES:
        raise KelInvalid("the log is larger than 4 MiB", 0)
    return git.run("cat-file", "blob", name)


def _hint(error: KelInvalid) -> str | None:
    if isinstance(error, DelegatorUnknown):
        return "put the delegator's log in front: cat DELEGATOR.cesr DELEGATE.cesr | git auths kel verify -"
    return None


def _document(logs: tuple[Kel, ...]) -> dict[str, Any]:
    document: dict[str, Any] = {"version": 1, "ok": True, **_state(logs[-1])}
    if len(logs) > 1:
        document["logs"] = [_state(log) for log in logs]
    return document


def _state(log: Kel) -> dict[str, Any]:
    state = log.state
    return {
        "aid": log.aid, "sn": log.sn, "keys": [key.qb64 for key in state.keys], "next": list(state.next),
        "kt": state.kt.json(), "nt": state.nt.json(), "bt": state.bt,
        "witnesses": [witness.qb64 for witness in state.witnesses], "delegator": log.delegator,
    }  # fmt: skip


def _show(log: Kel) -> None:
    output.data(log.did)
    if log.delegator is not None:
        output.data(f"delegated by {DID_PREFIX}{log.delegator}")
    for event in log.events:
        output.data(f"  {event.sn} {event.ilk} {event.said}")
        if event.is_establishment:
            _show_state(event.state)
        for anchor in event.anchors:
            output.data(f"      seal {json.dumps(anchor)}")
    output.data(f"current: the keys of event {log.state.sn}")


def _show_state(state: keystate.KeyState) -> None:
    alone = state.signing_keys()
    for key in state.keys:
        output.data(f"      key {key.qb64} {_fingerprint(key)}{'' if key in alone else ' (not alone)'}")
    output.data(f"      threshold {_threshold(state.kt.json())}")
    for commitment in state.next:
        output.data(f"      next {commitment}")
    if state.next:
        output.data(f"      next threshold {_threshold(state.nt.json())}")
    else:
        output.data("      no next key: the log ends here")
    for witness in state.witnesses:
        output.data(f"      witness {witness.qb64}")
    if state.witnesses:
        output.data(f"      receipts needed {state.bt}")


def _fingerprint(key: Key) -> str:
    return sshsig.fingerprint(key.ssh_blob())


def _threshold(value: object) -> str:
    return str(int(value, 16)) if isinstance(value, str) else json.dumps(value)
