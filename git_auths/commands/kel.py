"""Replay a key event log, strictly, and show the key states that it goes through; sign events that others propose.

A log comes from a file, from stdin, or by its DID from `.auths/kels/` at HEAD of the repository at hand. There
too are looked up the delegators that a log names and its stream does not hold.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from git_auths import output
from git_auths.commands import kel_sign, kel_update
from git_auths.core import cesr, keystate, sshsig
from git_auths.core.kel import MAX_KEL_BYTES, DelegatorUnknown, Event, Kel, KelInvalid
from git_auths.core.verkey import Key
from git_auths.errors import Error, Refusal, UsageError
from git_auths.store import headlogs
from git_auths.store.named import read_named

DID_PREFIX = "did:keri:"
HINT = "name a file with a key event log, a DID, or - for stdin"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="show|verify|sign|update")
    for name, does in (("show", "print every event and the key state it leaves"),
                       ("verify", "say whether the log is good, or which event is not")):  # fmt: skip
        action = actions.add_parser(name, help=does, description=does)
        action.add_argument("log", metavar="FILE|DID|-", help="a CESR stream, this repository's log of a DID, stdin")
        action.add_argument("--json", action="store_true", help="one JSON document")
    does = "add this machine's signatures to an event that several have to sign"
    kel_sign.add_arguments(actions.add_parser("sign", help=does, description=does))
    does = "commit what this machine's logs have grown by"
    kel_update.add_update_arguments(actions.add_parser("update", help=does, description=does))


def run(args: argparse.Namespace) -> int:
    if args.action == "sign":
        return kel_sign.run(args)
    if args.action == "update":
        return kel_update.update(args)
    try:
        logs = _logs(args.log)
    except KelInvalid as error:
        if not args.json:
            raise Refusal(f"{args.log}: event {error.sn}: {error.reason}", _hint(error)) from None
        output.document(_refused(error))
        return 1
    if args.json:
        output.document(_document(logs, _state_and_events if args.action == "show" else _state))
    elif args.action == "show":
        for log in logs:
            _show(log)
    else:
        for log in logs:
            output.data(f"{log.did}: good, {len(log.events)} events, current keys from event {log.state.sn}")
    return 0


def _logs(argument: str) -> tuple[Kel, ...]:
    if not argument.startswith("did:"):
        return headlogs.replay_all(_read(argument))
    aid = argument.removeprefix(DID_PREFIX)
    if not cesr.is_digest(aid):
        raise UsageError(f"{argument} is no did:keri:", "it is did:keri: and 44 characters, an E first")
    stream = headlogs.stream_of(aid)
    if stream is None:
        raise Error(f"{argument}: this repository has no .auths/kels/{aid}.cesr at HEAD",
                    "git auths kel takes a file too, or - for stdin")  # fmt: skip
    return (headlogs.replay_one(stream, aid),)


def _read(path: str) -> bytes:
    try:
        if path == "-":
            return sys.stdin.buffer.read(MAX_KEL_BYTES + 1)
        return read_named(path, MAX_KEL_BYTES)
    except OSError as error:
        raise Error(f"{path}: {error.strerror}", HINT) from None
    except Error as error:
        raise Error(error.message, HINT) from None


def _hint(error: KelInvalid) -> str | None:
    if isinstance(error, DelegatorUnknown):
        return "put the delegator's log in front: cat DELEGATOR.cesr DELEGATE.cesr | git auths kel verify -"
    return None


def _refused(error: KelInvalid) -> dict[str, Any]:
    document: dict[str, Any] = {"version": 1, "ok": False, "event": error.sn, "reason": error.reason}
    return {**document, "aid": error.aid} if error.aid else document


def _document(logs: tuple[Kel, ...], described: Callable[[Kel], dict[str, Any]]) -> dict[str, Any]:
    document: dict[str, Any] = {"version": 1, "ok": True, **described(logs[-1])}
    if len(logs) > 1:
        document["logs"] = [described(log) for log in logs]
    return document


def _state(log: Kel) -> dict[str, Any]:
    return {"aid": log.aid, "sn": log.sn, **_keys(log.state), "delegator": log.delegator}


def _keys(state: keystate.KeyState) -> dict[str, Any]:
    return {
        "keys": [key.qb64 for key in state.keys], "next": list(state.next), "kt": state.kt.json(),
        "nt": state.nt.json(), "bt": state.bt, "witnesses": [witness.qb64 for witness in state.witnesses],
    }  # fmt: skip


def _state_and_events(log: Kel) -> dict[str, Any]:
    return {**_state(log), "events": [_event(event) for event in log.events]}


def _event(event: Event) -> dict[str, Any]:
    stated: dict[str, Any] = {"sn": event.sn, "type": event.ilk, "said": event.said, "anchors": list(event.anchors)}
    return {**stated, **_keys(event.state)} if event.is_establishment else stated


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
