from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from git_auths.core import kelbuild
from git_auths.core.kel import MAX_KEL_BYTES
from git_auths.main import main
from tests.kels import GrowingLog, signatures, signer
from tests.realgit import run


@pytest.fixture
def log() -> GrowingLog:
    return GrowingLog().interact({"x": "\x1b[31mred\u202e\x7f"}).rotate()


@pytest.fixture
def delegate() -> GrowingLog:
    return GrowingLog(2, delegator=GrowingLog(1)).rotate()


@pytest.fixture
def file(tmp_path: Path, log: GrowingLog) -> Path:
    path = tmp_path / "Schlüssel und Log.cesr"
    path.write_bytes(log.stream)
    return path


def commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **logs: bytes) -> None:
    """A repository at hand whose HEAD has these files in .auths/kels/."""
    repository = tmp_path / "repository"
    folder = repository / ".auths" / "kels"
    folder.mkdir(parents=True)
    run("git", "init", "-q", cwd=repository)
    for aid, stream in logs.items():
        (folder / f"{aid}.cesr").write_bytes(stream)
    run("git", "add", ".", cwd=repository)
    run("git", "commit", "-qm", "logs", cwd=repository)
    monkeypatch.chdir(repository)


def answer(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> SimpleNamespace:
    code = main(["kel", *map(str, arguments)])
    captured = capsys.readouterr()
    return SimpleNamespace(code=code, out=captured.out, err=captured.err)


def test_verify_gives_the_key_state_as_json(file: Path, log: GrowingLog, capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "verify", "--json", file)
    assert found.code == 0
    assert json.loads(found.out) == {
        "version": 1, "ok": True, "aid": log.kel.aid, "sn": 2, "keys": [log.current[0].key.qb64],
        "next": [log.next[0].key.commitment], "kt": "1", "nt": "1", "bt": 0, "witnesses": [], "delegator": None,
    }  # fmt: skip


def test_verify_gives_weights_as_a_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    group = [signer(1), signer(2)]
    event = kelbuild.inception([one.key for one in group], [], kt=[["1/2", "1/2"]])
    path = tmp_path / "log"
    path.write_bytes(kelbuild.with_signatures(event, signatures(event, group)))
    assert json.loads(answer(capsys, "verify", "--json", path).out)["kt"] == ["1/2", "1/2"]
    shown = answer(capsys, "show", path).out
    assert shown.count("(not alone)") == 2
    assert "no next key" in shown


def test_verify_says_in_json_which_event_is_refused(
    file: Path, log: GrowingLog, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(log.stream.replace(b'"s":"1"', b'"s":"2"'))
    found = answer(capsys, "verify", "--json", file)
    assert (found.code, found.err) == (1, "")
    assert json.loads(found.out) == {
        "version": 1, "ok": False, "event": 1, "reason": "`d` is not the digest of the event", "aid": log.kel.aid,
    }  # fmt: skip


def test_show_gives_the_events_beside_the_key_state(
    file: Path, log: GrowingLog, capsys: pytest.CaptureFixture[str]
) -> None:
    verified = json.loads(answer(capsys, "verify", "--json", file).out)
    shown = json.loads(answer(capsys, "show", "--json", file).out)
    assert {name: shown[name] for name in verified} == verified
    events = shown["events"]
    assert [(event["sn"], event["type"], event["said"]) for event in events] == [
        (event.sn, event.ilk, event.said) for event in log.kel.events
    ]
    assert events[1]["anchors"] == [{"x": "\x1b[31mred\u202e\x7f"}]
    assert "keys" not in events[1]
    assert {name: events[2][name] for name in ("keys", "next", "kt")} == {
        name: verified[name] for name in ("keys", "next", "kt")
    }


@pytest.mark.parametrize("change", [
    lambda stream: stream + b"\n", lambda stream: stream[:-50], lambda stream: stream[:-88],
    lambda stream: stream + stream[:100],
])  # fmt: skip
@pytest.mark.parametrize("action", ["show", "verify"])
def test_a_file_that_does_not_end_where_an_event_does_is_refused_as_a_whole(
    action: str, change: Callable[[bytes], bytes], file: Path, log: GrowingLog, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(change(log.stream))
    found = answer(capsys, action, "--json", file)
    refused = json.loads(found.out)
    assert (found.code, refused["ok"]) == (1, False)
    assert refused["event"] in (0, 2, 3)
    assert "keys" not in refused


@pytest.mark.parametrize("action", ["show", "verify"])
def test_a_log_that_is_refused_is_said_in_one_line(
    action: str, file: Path, log: GrowingLog, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(log.stream[:-1])
    found = answer(capsys, action, file)
    assert (found.code, found.out) == (1, "")
    assert found.err == f"error: {file}: event 2: attachments: cut off in the middle of a primitive\n"


def test_verify_says_so_for_people(file: Path, log: GrowingLog, capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "verify", file)
    assert (found.code, found.out) == (0, f"{log.kel.did}: good, 3 events, current keys from event 2\n")


def test_show_prints_events_and_keys_and_no_control_characters(
    file: Path, log: GrowingLog, capsys: pytest.CaptureFixture[str]
) -> None:
    found = answer(capsys, "show", file)
    assert found.code == 0
    for event in log.kel.events:
        assert f"{event.sn} {event.ilk} {event.said}" in found.out
    assert log.current[0].key.qb64 in found.out
    assert log.next[0].key.commitment in found.out
    assert found.out.count("      key ") == 2
    assert found.out.count("      next threshold 1\n") == 2
    assert "delegated by" not in found.out
    assert "witness" not in found.out
    assert "receipts" not in found.out
    assert all(line.isprintable() for line in found.out.splitlines())


def test_show_prints_witnesses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, witness = signer(1), signer(2, "B")
    event = kelbuild.inception([one.key], [], bt=1, witnesses=[witness.key])
    path = tmp_path / "log"
    path.write_bytes(kelbuild.with_signatures(event, signatures(event, [one]), receipts=signatures(event, [witness])))
    shown = answer(capsys, "show", path).out
    assert f"      witness {witness.key.qb64}\n      receipts needed 1\n" in shown


def test_a_log_is_read_from_stdin(
    log: GrowingLog, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(log.stream)))
    assert json.loads(answer(capsys, "verify", "--json", "-").out)["aid"] == log.kel.aid


def test_the_log_of_a_did_is_read_from_head(
    tmp_path: Path, log: GrowingLog, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(tmp_path, monkeypatch, **{log.kel.aid: log.stream})
    Path(".auths/kels", f"{log.kel.aid}.cesr").write_bytes(b"not what HEAD has")
    assert json.loads(answer(capsys, "verify", "--json", log.kel.did).out)["sn"] == 2


def test_a_log_under_another_name_is_refused(
    tmp_path: Path, log: GrowingLog, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = GrowingLog(2).kel
    commit(tmp_path, monkeypatch, **{other.aid: log.stream})
    found = json.loads(answer(capsys, "verify", "--json", other.did).out)
    assert (found["ok"], found["reason"]) == (False, f"the file holds another log than that of {other.aid}")


def test_several_logs_are_all_reported_and_the_last_one_on_top(
    tmp_path: Path, delegate: GrowingLog, capsys: pytest.CaptureFixture[str]
) -> None:
    assert delegate.delegator is not None
    path = tmp_path / "both"
    path.write_bytes(delegate.delegator.stream + delegate.stream)
    found = json.loads(answer(capsys, "verify", "--json", path).out)
    assert found["aid"] == delegate.kel.aid
    assert found["delegator"] == delegate.delegator.kel.aid
    assert [one["aid"] for one in found["logs"]] == [delegate.delegator.kel.aid, delegate.kel.aid]
    path.write_bytes(delegate.stream + delegate.delegator.stream)
    assert json.loads(answer(capsys, "verify", "--json", path).out) == found
    shown = answer(capsys, "show", path).out
    assert f"delegated by {delegate.delegator.kel.did}" in shown


def test_a_delegator_is_found_in_the_repository(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = GrowingLog(1)
    second = GrowingLog(2, delegator=first)
    third = GrowingLog(3, delegator=second)
    commit(tmp_path, monkeypatch, **{log.kel.aid: log.stream for log in (first, second, third)})
    found = json.loads(answer(capsys, "verify", "--json", third.kel.did).out)
    assert (found["ok"], found["delegator"]) == (True, second.kel.aid)
    assert "logs" not in found


def test_a_delegator_that_is_missing_is_named(
    tmp_path: Path, delegate: GrowingLog, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert delegate.delegator is not None
    aid = delegate.delegator.kel.aid
    commit(tmp_path, monkeypatch, **{delegate.kel.aid: delegate.stream})
    found = answer(capsys, "verify", delegate.kel.did)
    assert found.code == 1
    assert f"event 0: the log of its delegator {aid} is not here" in found.err
    assert "hint: " in found.err


def test_a_delegator_whose_log_is_bad_refuses_the_delegate(
    tmp_path: Path, delegate: GrowingLog, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert delegate.delegator is not None
    aid = delegate.delegator.kel.aid
    commit(tmp_path, monkeypatch, **{delegate.kel.aid: delegate.stream, aid: delegate.delegator.stream[:-1]})
    found = answer(capsys, "verify", delegate.kel.did)
    assert found.code == 1
    assert f"event 0: the log of its delegator {aid} is refused at event 2: " in found.err


def test_a_delegators_file_with_another_log_is_not_its_log(
    tmp_path: Path, delegate: GrowingLog, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert delegate.delegator is not None
    aid = delegate.delegator.kel.aid
    commit(tmp_path, monkeypatch, **{delegate.kel.aid: delegate.stream, aid: GrowingLog(7).stream})
    assert f"the log of its delegator {aid} is not here" in answer(capsys, "verify", delegate.kel.did).err


def test_delegators_are_looked_up_for_a_few_logs_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    delegators = [GrowingLog(number) for number in range(1, 10)]
    delegates = [GrowingLog(10 + number, delegator=one) for number, one in enumerate(delegators)]
    commit(tmp_path, monkeypatch, **{one.kel.aid: one.stream for one in delegators})
    Path("log").write_bytes(b"".join(one.stream for one in delegates[1:]))
    assert answer(capsys, "verify", "log").code == 0
    Path("log").write_bytes(b"".join(one.stream for one in delegates))
    assert answer(capsys, "verify", "log").code == 1


def test_a_log_in_the_repository_that_is_too_large_is_refused(
    tmp_path: Path, log: GrowingLog, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(tmp_path, monkeypatch, **{log.kel.aid: log.stream + bytes(MAX_KEL_BYTES)})
    assert "the log is larger than 4 MiB" in answer(capsys, "verify", log.kel.did).err


def test_files_that_name_each_others_logs_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of the one delegator holds a delegate of the other, and the other way round."""
    one, two = GrowingLog(1), GrowingLog(2)
    of_one, of_two = GrowingLog(3, delegator=one), GrowingLog(4, delegator=two)
    commit(tmp_path, monkeypatch, **{one.kel.aid: of_two.stream, two.kel.aid: of_one.stream})
    Path("log").write_bytes(of_one.stream)
    assert answer(capsys, "verify", "log").code == 1


def test_what_cannot_be_read_is_128(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = answer(capsys, "verify", "--json", "missing.cesr")
    assert (found.code, found.out) == (128, "")
    assert found.err.startswith("error: cannot read missing.cesr: No such file or directory\nhint: ")
    found = answer(capsys, "show", ".")
    assert (found.code, found.err.splitlines()[0]) == (128, "error: cannot read .: Is a directory")
    os.mkfifo("fifo")  # nobody writes to it
    found = answer(capsys, "verify", "fifo")
    assert (found.code, found.err.splitlines()[0]) == (128, "error: fifo is no regular file")
    did = GrowingLog().kel.did
    found = answer(capsys, "show", did)
    assert found.code == 128
    assert found.err.startswith(f"error: {did}: ")
    assert "hint: " in found.err


@pytest.mark.parametrize("arguments", [
    ["verify"], ["show", "did:key:z6Mk"], ["show", "did:keri:"], ["show", "did:keri:E" + "A" * 42 + "/"],
    ["update", "x"], [],
])  # fmt: skip
def test_wrong_usage_is_129(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, *arguments).code == 129


def test_a_file_that_is_too_large_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "large"
    with path.open("wb") as stream:
        stream.truncate(MAX_KEL_BYTES * 1000)
    found = answer(capsys, "verify", path)
    assert (found.code, found.err) == (1, f"error: {path}: event 0: the log is larger than 4 MiB\n")
