"""Why the judge said what it said, on histories made of values."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from git_auths.core.approvals import Counted
from git_auths.core.case import Sources
from git_auths.core.explanation import Explanation, of_commit
from git_auths.core.facts import Fault
from git_auths.core.judgement import Branch, Judged, Mainline
from git_auths.core.signer import Signer
from tests.core.test_judge import ADA, BOB, EVE, Somebody, World, policy
from tests.core.test_judge_against_oracle import Adapter, oid
from tests.oracle.histories import seeded_history
from tests.oracle.naive_judge import History

UNSIGNED = Fault("unsigned", "it carries no signature")


class Explained(World):
    """Histories whose approvals are kept by kind."""

    def __init__(self) -> None:
        super().__init__()
        self.given: dict[str, list[Somebody]] = {}
        self.first = self.folder(policy([ADA], [ADA]), ADA.kel)
        self.both = self.folder(policy([ADA, BOB], [ADA]), ADA.kel, BOB.kel)
        self.commit("root", [], self.first, ADA.key())

    def sources(self) -> Sources:
        def approvals_of(commit: str, kind: str, own: object, when: object) -> Counted:
            return Counted(
                tuple(Signer(one.did, one.did, one.key()) for one in self.given.get(kind, [])), ("of no use",)
            )

        return super().sources()._replace(approvals_of=approvals_of)

    def explain(self, commit: str, tip: str | None = None) -> Explanation:
        facts = {one.id: one for one in self.history}
        mainline = Mainline(facts, "root", tip or self.history[-1].id, "refs/heads/main", self.sources())
        beyond = [id for id in facts if id not in mainline.records]
        part = mainline if commit in mainline.records else Branch(facts, beyond, "refs/heads/main", mainline)
        return of_commit(part.case(commit), part.verdict(commit), part.outcome_of(commit).signer)


@pytest.fixture
def world() -> Explained:
    return Explained()


def test_the_root_stands_by_its_pin(world: Explained) -> None:
    found = world.explain("root")
    assert (found.verdict.verdict, found.asked, found.needs) == ("good", (), ())
    assert found.key is not None
    assert (found.key.aid, found.key.sn, found.key.in_tree) == (ADA.kel.aid, 0, "current")


def test_each_rule_stands_with_the_commit_that_set_it(world: Explained) -> None:
    world.commit("change", ["root"], world.both, ADA.key())
    world.commit("work", ["change"], world.both, BOB.key())
    [asked] = world.explain("work").asked
    assert (asked.rule, asked.policy, asked.as_of, asked.counted) == (
        "policy.commit[0]",
        "change",
        "written",
        (BOB.did,),
    )
    assert asked.fault is None
    change = world.explain("change")
    assert change.matter == "changes the policy"
    assert [(one.rule, one.kind, one.policy) for one in change.asked] == [
        ("policy.commit[0]", "commit", "root"),
        ("policy.admin[0]", "admin", "root"),
    ]


def test_who_was_removed_meanwhile_is_refused_by_the_receiving_policy_alone(world: Explained) -> None:
    world.commit("change", ["root"], world.both, ADA.key())
    world.commit("old", ["change"], world.both, BOB.key())
    world.commit("removal", ["change"], world.folder(policy([ADA], [ADA]), ADA.kel, BOB.kel), ADA.key())
    found = world.explain("old", tip="removal")
    assert found.verdict.verdict == "unauthorized-at-reception"
    assert [(one.policy, one.as_of, one.fault is None) for one in found.asked] == [
        ("change", "written", True),
        ("removal", "received", False),
    ]
    assert [need.command for need in found.needs] == ["git auths countersign old"]


def test_what_a_threshold_lacks(world: Explained) -> None:
    three = world.folder(policy([ADA, BOB, EVE], [ADA], require=3), ADA.kel, BOB.kel, EVE.kel)
    world.commit("change", ["root"], three, ADA.key())
    world.commit("work", ["change"], three, ADA.key())
    world.given["commit"] = [EVE]
    found = world.explain("work")
    [asked] = found.asked
    assert (asked.counted, asked.open) == (tuple(sorted((ADA.did, EVE.did))), (BOB.did,))
    assert found.approvals == (("commit", EVE.did),)
    assert found.ignored == ("of no use",)
    assert found.needs == (("1 more to approve it", "git auths approve work", (BOB.did,)),)
    world.given["commit"].append(BOB)
    assert (world.explain("work").needs, world.explain("work").verdict.verdict) == ((), "good")


def test_what_an_admin_rule_lacks(world: Explained) -> None:
    text = policy([ADA, BOB], [ADA, BOB]).replace(
        f'[[policy.admin]]\nsigners = ["{ADA.did}", "{BOB.did}"]\nrequire = 1',
        f'[[policy.admin]]\nsigners = ["{ADA.did}", "{BOB.did}"]\nrequire = 2',
    )  # fmt: skip
    world.commit("two", ["root"], world.folder(text, ADA.kel, BOB.kel), ADA.key())
    world.commit("change", ["two"], world.both, ADA.key())
    world.given["commit"] = [BOB]  # an approval of the commit is none of the change below .auths/
    found = world.explain("change")
    assert found.verdict.verdict == "policy-change-unauthorized"
    assert [(one.kind, one.fault is None) for one in found.asked] == [("commit", True), ("admin", False)]
    assert found.needs == (("1 more to approve it", "git auths approve change", (BOB.did,)),)


def test_a_countersigned_commit_names_who_answers_for_it(world: Explained) -> None:
    world.commit("bot", ["root"], world.first, None, UNSIGNED)
    assert [need.command for need in world.explain("bot").needs] == ["git auths countersign bot"]
    [unmet] = world.explain("bot").asked
    assert unmet.fault == UNSIGNED
    world.given["countersign"] = [ADA]
    found = world.explain("bot")
    assert (found.verdict.verdict, found.needs, found.approvals) == ("countersigned", (), (("countersign", ADA.did),))
    [met] = found.asked
    assert (met.counted, met.fault) == ((ADA.did,), None)


def test_who_answers_for_it_counts_beside_who_approves_it(world: Explained) -> None:
    two = world.folder(policy([ADA, BOB], [ADA], require=2), ADA.kel, BOB.kel)
    world.commit("change", ["root"], two, ADA.key())
    world.commit("bot", ["change"], two, None, UNSIGNED)
    world.given["countersign"], world.given["commit"] = [ADA], [BOB]
    found = world.explain("bot")
    assert (found.verdict.verdict, found.needs) == ("countersigned", ())
    [met] = found.asked
    assert (met.counted, met.fault) == (tuple(sorted((ADA.did, BOB.did))), None)


def test_whose_right_has_expired_neither_counts_nor_could_approve(world: Explained) -> None:
    ends = f'[signer."{BOB.did}"]\nexpires_at = 1970-01-01T00:00:00Z\n'
    two = world.folder(policy([ADA, BOB, EVE], [ADA], require=2, more=ends), ADA.kel, BOB.kel, EVE.kel)
    world.commit("change", ["root"], two, ADA.key())
    world.commit("work", ["change"], two, ADA.key())
    world.given["commit"] = [BOB]
    [asked] = world.explain("work").asked
    assert (asked.counted, asked.open) == ((ADA.did,), (EVE.did,))


def test_a_key_that_was_rotated_away_is_told_with_its_events(world: Explained) -> None:
    ada = Somebody(11)
    world.history.clear()
    world.commit("root", [], world.folder(policy([ada], [ada]), ada.kel), ada.key())
    world.commit("before", ["root"], world.folder(policy([ada], [ada]), ada.kel), ada.key())
    ada.rotate()
    rotated = world.folder(policy([ada], [ada]), ada.kel)
    world.commit("rotation", ["root"], rotated, ada.key(1))
    world.commit("late", ["rotation"], rotated, ada.key(0))
    key = world.explain("before", tip="rotation").key
    assert key is not None
    assert (key.sn, key.in_tree, key.on_mainline, key.ended_by) == (0, "current", "superseded", 1)
    late = world.explain("late")
    assert late.verdict.verdict == "superseded-key"
    assert late.key is not None
    assert (late.key.aid, late.key.in_tree) == (ada.kel.aid, "superseded")
    assert [need.command for need in late.needs] == ["git auths adopt late"]


def test_a_compromised_key_is_told_from_a_superseded_one(world: Explained) -> None:
    ada = Somebody(12)
    world.history.clear()
    old = world.folder(policy([ada], [ada]), ada.kel)
    world.commit("root", [], old, ada.key())
    world.commit("old", ["root"], old, ada.key())
    seal = {"auths": "compromise/1", "s": "0", "d": ada.kel.said, "t": "2027-01-01T00:00:00Z"}
    ada.rotate(seal)
    world.commit("rotation", ["root"], world.folder(policy([ada], [ada]), ada.kel), ada.key(1))
    found = world.explain("old", tip="rotation")
    assert found.verdict.verdict == "compromised-key"
    assert found.key is not None
    assert (found.key.in_tree, found.key.on_mainline, found.key.ended_by) == ("current", "compromised", 1)


def change_without_policy(world: Explained) -> None:
    world.commit("x", ["root"], None, ADA.key())


def stranger(world: Explained) -> None:
    world.commit("x", [], world.first, ADA.key())


def self_promotion(world: Explained) -> None:
    world.commit("x", ["root"], world.both, BOB.key())


def bad_signature(world: Explained) -> None:
    world.commit("x", ["root"], world.first, None, Fault("bad-signature", "it does not verify"))


def malformed(world: Explained) -> None:
    world.commit("x", ["root"], world.first, None, None, Fault("malformed", "bytes"))


def unsigned_change_below_auths(world: Explained) -> None:
    world.commit("x", ["root"], world.both, None, UNSIGNED)


@pytest.mark.parametrize(
    ("make", "word", "command"),
    [
        (change_without_policy, "policy-change-unauthorized", "git rebase"),
        (stranger, "outside-root", "git auths adopt --behind x"),
        (self_promotion, "policy-change-unauthorized", "git auths adopt x"),
        (bad_signature, "bad-signature", "git auths adopt x"),
        (malformed, "malformed", "git rebase"),
        (unsigned_change_below_auths, "unsigned", "git auths adopt x"),
    ],
)
def test_what_would_mend_it(world: Explained, make: Callable[[Explained], None], word: str, command: str) -> None:
    make(world)
    found = world.explain("x", tip="root")
    assert found.verdict.verdict == word
    assert [need.command for need in found.needs] == [command]


def test_what_is_right_by_itself_names_what_is_wrong_behind_it(world: Explained) -> None:
    world.commit("bad", ["root"], world.first, None, UNSIGNED)
    world.commit("right", ["bad"], world.first, ADA.key())
    found = world.explain("right")
    assert found.verdict.verdict == "good"
    assert found.needs == (("bad behind it is not good", "git auths explain bad", ()),)


RULE_WORDS = ("unauthorized", "unauthorized-at-reception", "expired", "threshold-unmet")


def judged(history: History) -> list[Judged]:
    """What the judge makes of a random history: its mainline, and what that lacks."""
    adapter = Adapter(history)
    tip = oid(history.tip)
    mainline = Mainline(adapter._reachable(history.mainline), oid(history.root), oid(history.mainline),
                        history.mainline_ref, adapter._sources())  # fmt: skip
    beyond = {id: facts for id, facts in adapter._reachable(history.tip).items() if id not in mainline.records}
    return [mainline, *([Branch(beyond, [tip], history.ref, mainline)] if tip in beyond else [])]


@pytest.mark.parametrize("seed", range(60))
def test_it_never_says_what_the_judge_does_not(seed: int) -> None:
    """Rules are met where the judge said yes, and the one that it named is not met where it said no."""
    for part in judged(seeded_history(seed)):
        for id in part.records:
            verdict = part.verdict(id)
            found = of_commit(part.case(id), verdict, part.outcome_of(id).signer)
            unmet = [asked.fault for asked in found.asked if asked.fault is not None]
            if verdict.verdict in ("good", "countersigned", "ungoverned"):
                assert not unmet
            if verdict.verdict in RULE_WORDS and verdict.rule is not None:
                assert any(fault.rule == verdict.rule and verdict.reason.startswith(fault.reason) for fault in unmet)
            assert bool(found.needs) == (not verdict.passes or verdict.because_of is not None)
