"""What a rule for CI asks: until when something counts, who ran it, and which of several rules speak."""

from __future__ import annotations

from typing import Any

import pytest

from git_auths.core import chain, ci, oidc, proofs, timestamp, transparency
from git_auths.core.chain import Link
from git_auths.core.ci import Demand, Run
from git_auths.core.policy import CiRule
from git_auths.core.proofs import Proofs, Refused

AT, HOUR, DAY = 1_780_000_000, 3600, 86400
COMMIT, OTHER = "1" * 40, "2" * 40
TOKEN = oidc.Token("GitHub Actions", "https://ci.example", {"repository_id": "7"}, True, COMMIT, AT - 30, AT + 570,
                   "ada", "o/r/.github/workflows/x.yml@refs/tags/v1", None)  # fmt: skip
STAMP = timestamp.Stamped(AT, "tsa")
LOG = transparency.Log("log.example", "https://log.example", b"", b"", None, None, b"")
IDENTITY = {"issuer": "https://ci.example", "repository_id": "7"}


def rule(**changes: Any) -> CiRule:
    fields: dict[str, Any] = {
        "index": 0, "allow_ephemeral": True, "max_ttl_seconds": HOUR, "require_log": None, "log_url": None,
        "require_timestamp": False, "timestamp_url": None, "commit_paths": None, "signers": (), "identity": IDENTITY,
        "allow_unbound": (),
    }  # fmt: skip
    return CiRule(**{**fields, **changes})


def run(evidence: Proofs | None = None, **changes: Any) -> Run:
    fields: dict[str, Any] = {
        "commit": COMMIT, "proofs": Proofs(TOKEN, (STAMP,)) if evidence is None else evidence, "issued_at": AT,
        "expires_at": None, "now_seconds": AT,
    }  # fmt: skip
    return Run(**{**fields, **changes})


def codes(links: list[Link]) -> list[str]:
    return [link.code for link in links if link.state != "ok"]


def test_what_a_rule_asks_for_and_gets_holds_strictly() -> None:
    links = ci.links(rule(require_timestamp=True), run(), Demand())
    assert chain.broken(links, strict=True) is None
    assert links[0].text == (f"OIDC token binding verified (GitHub Actions, commit {COMMIT}, actor ada, "
                             "o/r/.github/workflows/x.yml@refs/tags/v1)")  # fmt: skip


def test_what_a_token_does_not_name_is_not_shown() -> None:
    bare = TOKEN._replace(provider="https://ci.example", commit=None, actor=None, identity=None)
    assert ci.named(bare) == "OIDC token binding verified (https://ci.example, no commit)"


@pytest.mark.parametrize(("evidence", "asked", "demand", "found"), [
    (Proofs(), {}, {}, ["unbound-runner", "untimed"]),
    (Proofs(), {"identity": None}, {}, ["unbound-runner", "untimed"]),
    (Proofs(TOKEN), {}, {}, ["untimed", "untimed"]),
    (Proofs(TOKEN, (STAMP,)), {"identity": None}, {}, ["unbound-runner"]),
    (Proofs(TOKEN, (STAMP,)), {"identity": None}, {"issuer": "https://ci.example"}, []),
    (Proofs(TOKEN, (STAMP,)), {"identity": None}, {"issuer": "https://other.example"}, ["claim-mismatch"]),
    (Proofs(TOKEN, (STAMP,)), {"identity": None}, {"identity": "o/r/*"}, []),
    (Proofs(TOKEN, (STAMP,)), {"identity": None}, {"identity": "o/x/*"}, ["claim-mismatch"]),
    (Proofs(TOKEN._replace(identity=None), (STAMP,)), {}, {"identity": "**"}, ["claim-mismatch"]),
    (Proofs(TOKEN, (STAMP,)), {"identity": {"repository_id": "8"}}, {}, ["claim-mismatch"]),
    (Proofs(TOKEN._replace(commit=OTHER), (STAMP,)), {}, {}, ["other-commit"]),
    (Proofs(TOKEN._replace(commit=None), (STAMP,)), {}, {}, ["commit-unbound"]),
    (Proofs(TOKEN._replace(commit=None), (STAMP,)), {"allow_unbound": ("commit",)}, {}, []),
    (Proofs(TOKEN._replace(commit=None), (STAMP,)), {"allow_unbound": ("audience",)}, {}, ["commit-unbound"]),
    (Proofs(TOKEN._replace(audience_bound=False), (STAMP,)), {}, {}, ["audience-unbound"]),
    (Proofs(TOKEN._replace(audience_bound=False), (STAMP,)), {"allow_unbound": ("audience",)}, {}, []),
    (Proofs(TOKEN._replace(audience_bound=False), (STAMP,)), {"identity": None}, {"identity": "o/**"},
     ["audience-unbound"]),
    (Proofs(None, (STAMP,), (), (Refused("token", "bad-signature", "x"),)), {}, {}, ["bad-signature"]),
    (Proofs(None, (STAMP,), (), (Refused("token", "bad-signature", "x"),)), {"identity": None}, {}, ["bad-signature"]),
    (Proofs(None, (STAMP,), (), (), ("token",)), {}, {}, ["unbound-runner"]),
], ids=range(20))  # fmt: skip
def test_who_ran_it(evidence: Proofs, asked: dict[str, Any], demand: dict[str, str], found: list[str]) -> None:
    links = ci.links(rule(**asked), run(evidence), Demand(**demand))
    assert codes(links) == found
    is_asked_for = asked.get("identity", IDENTITY) is not None or bool(demand)
    soft = {"untimed"} | (set() if is_asked_for else {"unbound-runner"})
    assert [link.code for link in links if link.state == "failed"] == [code for code in found if code not in soft]


@pytest.mark.parametrize(("evidence", "asked", "found"), [
    (Proofs(TOKEN), {"require_timestamp": True}, "timestamp-missing"),
    (Proofs(TOKEN, (STAMP,)), {"require_log": "sigstore-rekor"}, "log-missing"),
    (Proofs(TOKEN, (), (), (), ("timestamp",)), {"require_timestamp": True}, "unpinned"),
    (Proofs(TOKEN, (STAMP,), (), (), ("log",)), {"require_log": "sigstore-rekor"}, "unpinned"),
    (Proofs(TOKEN, (STAMP,), (), (Refused("log", "bad-log-entry", "x"),)), {}, "bad-log-entry"),
    (Proofs(TOKEN, (), (), (Refused("timestamp", "bad-timestamp", "x"),)), {}, "bad-timestamp"),
], ids=range(6))  # fmt: skip
def test_what_is_demanded_and_does_not_hold_fails(evidence: Proofs, asked: dict[str, Any], found: str) -> None:
    links = ci.links(rule(**asked), run(evidence), Demand())
    assert [link.code for link in links if link.state == "failed"] == [found]
    own = ci.own_key_links(rule(**asked), run(evidence))
    assert [link.code for link in own if link.state == "failed"] == [found]


def test_what_nobody_can_judge_and_nobody_asks_for_is_a_warning() -> None:
    links = ci.links(rule(), run(Proofs(TOKEN, (), (), (), ("timestamp", "log"))), Demand())
    assert codes(links) == ["untimed", "untimed", "unpinned", "unpinned"]
    assert all(link.state != "failed" for link in links)


@pytest.mark.parametrize(("changes", "ends"), [
    ({}, AT - 30 + HOUR),  # from the token's iat
    ({"proofs": Proofs()}, AT + HOUR), ({"proofs": Proofs(None, (STAMP._replace(time_seconds=AT - 60),))}, AT - 60 + HOUR),
    ({"issued_at": AT - DAY}, AT - DAY + HOUR), ({"issued_at": AT + DAY}, AT - 30 + HOUR),
    ({"expires_at": AT + 1}, AT + 1), ({"expires_at": AT + 10 * DAY}, AT - 30 + HOUR),
], ids=range(7))  # fmt: skip
def test_until_when_it_counts(changes: dict[str, Any], ends: int) -> None:
    assert ci.ends_at(rule(), run(**changes)) == ends


UNTIMED = Proofs(TOKEN)


@pytest.mark.parametrize(("changes", "found"), [
    ({}, None), ({"now_seconds": AT + DAY}, None),  # proved in time: it counts for ever
    ({"proofs": UNTIMED, "now_seconds": AT + 100}, None), ({"proofs": UNTIMED, "now_seconds": AT + 101}, "expired"),
    ({"proofs": Proofs(TOKEN, (STAMP._replace(time_seconds=AT + 101),))}, "expired"),
    ({"proofs": Proofs(TOKEN, (STAMP._replace(time_seconds=AT + 100),))}, None),
    ({"proofs": UNTIMED, "now_seconds": AT + 101, "approved_at": AT + 100}, "ok"),
    ({"proofs": UNTIMED, "now_seconds": AT + 101, "approved_at": AT + 101}, "expired"),
    ({"issued_at": AT + DAY + 1}, "issued-ahead"), ({"issued_at": AT + DAY}, None),
], ids=range(10))  # fmt: skip
def test_what_has_ended_counts_where_somebody_saw_it_before(changes: dict[str, Any], found: str | None) -> None:
    links = list(ci.expiry(run(**changes), AT + 100))
    assert [link.code or link.state for link in links] == ([] if found is None else [found])


def test_rules_that_demand_more_go_before_those_that_demand_less() -> None:
    plain, timed = rule(index=1, identity=None), rule(index=2, identity=None, require_timestamp=True)
    logged, named = rule(index=3, identity=None, require_log="sigstore-rekor"), rule(index=4)
    lasting = rule(index=5, allow_ephemeral=False)
    assert ci.admitting([plain, timed, logged, named, lasting]) == [named]
    assert ci.admitting([plain, timed, logged, lasting]) == [timed, logged]
    assert ci.admitting([plain, lasting]) == [plain]
    assert ci.admitting([lasting]) == []
    assert ci.demanding([plain, timed]) == [timed]


def test_of_several_answers_the_one_that_holds_best_is_given() -> None:
    bad, soft, good = [chain.failed("log", "x", "")], [chain.warning("log", "y", "")], [chain.ok("log", "")]
    assert ci.first_that_holds([bad, soft, good]) == good
    assert ci.first_that_holds([bad, soft]) == soft
    assert ci.first_that_holds([bad, [*bad, *soft]]) == bad


def test_the_earliest_time_that_anybody_proves_is_trusted() -> None:
    late = transparency.Logged(LOG, AT + 5)
    assert Proofs(None, (STAMP,), (late,)).trusted_seconds == AT
    assert Proofs(None, (), (late, late._replace(time_seconds=None))).trusted_seconds == AT + 5
    assert Proofs(None, (), (late._replace(time_seconds=None),)).trusted_seconds is None
    assert proofs.Proofs().trusted_seconds is None
