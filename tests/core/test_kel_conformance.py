"""Key event logs made and judged by others: the folder `kel/` of AUTHS_CONFORMANCE, with an `index.json`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from git_auths.core import kel
from git_auths.core.kel import KelInvalid

FOLDER = os.environ.get("AUTHS_CONFORMANCE")  # read before the tests' clean environment drops it
if not FOLDER:
    pytest.skip("AUTHS_CONFORMANCE names no folder with logs that others made", allow_module_level=True)

LOGS = Path(FOLDER, "kel")
CASES: list[dict[str, Any]] = json.loads((LOGS / "index.json").read_text())


def cases(expect: str) -> list[Any]:
    return [pytest.param(case, id=case["file"]) for case in CASES if case["expect"] == expect]


@pytest.mark.parametrize("case", cases("ok"))
def test_a_good_log_leads_to_the_state_that_keripy_reached(case: dict[str, Any]) -> None:
    logs = kel.replay_all((LOGS / case["file"]).read_bytes())
    log = logs[-1]
    found = {
        "aid": log.aid, "sn": log.sn, "keys": [key.qb64 for key in log.state.keys], "next": list(log.state.next),
        "kt": log.state.kt.json(), "nt": log.state.nt.json(), "bt": log.state.bt,
        "wits": [witness.qb64 for witness in log.state.witnesses], "delegator": log.delegator,
    }  # fmt: skip
    assert found == {name: case[name] for name in found}
    assert [one.aid for one in logs] == case.get("aids", [case["aid"]])


@pytest.mark.parametrize("case", cases("refuse"))
def test_a_bad_log_is_refused_at_the_event_that_is_bad(case: dict[str, Any]) -> None:
    with pytest.raises(KelInvalid) as caught:
        kel.replay_all((LOGS / case["file"]).read_bytes())
    assert caught.value.sn == case["event"]
