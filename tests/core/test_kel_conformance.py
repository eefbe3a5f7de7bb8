"""Key event logs made and judged by others: the folder `kel/` of AUTHS_CONFORMANCE, with an `index.json`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from git_auths.core import kel
from git_auths.core.kel import KelInvalid
from git_auths.main import main

FOLDER = os.environ.get("AUTHS_CONFORMANCE")  # read before the tests' clean environment drops it
if not FOLDER:
    pytest.skip("AUTHS_CONFORMANCE names no folder with logs that others made", allow_module_level=True)

LOGS = Path(FOLDER, "kel")
CASES: list[dict[str, Any]] = json.loads((LOGS / "index.json").read_text())
OF_KERIPY = {"file", "expect", "why", "aids", "event", "keripy_sn", "keripy_says"}  # no part of a key state
OUR_NAMES = {"wits": "witnesses"}


def cases(expect: str) -> list[Any]:
    return [pytest.param(case, id=case["file"]) for case in CASES if case["expect"] == expect]


def answer(action: str, case: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> tuple[int, Any]:
    code = main(["kel", action, "--json", str(LOGS / case["file"])])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("action", ["show", "verify"])
@pytest.mark.parametrize("case", cases("ok"))
def test_a_good_log_leads_to_the_state_that_keripy_reached(
    case: dict[str, Any], action: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = answer(action, case, capsys)
    expected = {OUR_NAMES.get(name, name): value for name, value in case.items() if name not in OF_KERIPY}
    assert (code, found["version"], found["ok"]) == (0, 1, True)
    assert {name: found[name] for name in expected} == expected
    assert [log["aid"] for log in found.get("logs", [found])] == case.get("aids", [case["aid"]])


@pytest.mark.parametrize("action", ["show", "verify"])
@pytest.mark.parametrize("case", cases("refuse"))
def test_a_bad_log_is_refused_at_the_event_that_is_bad(
    case: dict[str, Any], action: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = answer(action, case, capsys)
    assert (code, found["version"], found["ok"], found["event"]) == (1, 1, False, case["event"])
    assert found["reason"]


@pytest.mark.parametrize("case", cases("ok"))
def test_a_good_log_that_is_cut_or_followed_by_anything_is_refused(case: dict[str, Any]) -> None:
    """Where keripy waits for more. A cut between two events leaves a good log; it is not tried."""
    stream = (LOGS / case["file"]).read_bytes()
    (*_, last) = kel.replay_all(stream)
    for changed in (*(stream[:-cut] for cut in (1, 2, 44, 87, last.events[-1].length - 1)),
                    *(stream + more for more in (b"\n", b"AAAA", b"{", b"-AAB", b"\0"))):  # fmt: skip
        with pytest.raises(KelInvalid):
            kel.replay_all(changed)
