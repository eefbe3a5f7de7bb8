"""Attacks on thresholds: whose yes counts, for what, and how often; and on the notes that carry it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from git_auths.core import kel, kelbuild
from tests import kels
from tests.attacks import forge
from tests.attacks.forge import (
    SCRIPTS,
    Person,
    Rule,
    World,
    accepted,
    approval,
    auths,
    envelope,
    kel_path,
    policy_toml,
    refused,
)
from tests.attacks.test_tags import count
from tests.kels import GrowingLog


def tagged(world: World) -> str:
    """v1.0, signed by Alice: it lacks one approval."""
    return world.repo.tag("v1.0", world.tip, world.alice)


def for_the_tag(world: World, signer: Person, object_id: str, **other: str) -> bytes:
    """An approval of the tag object as v1.0, other things being `other`."""
    fields = {"root": world.root, "id": object_id, "kind": "tag", "tag": "v1.0", "target": world.tip, **other}
    return envelope(signer, approval(signer, **fields))


def alone(world: World, tag: str) -> dict[str, object]:
    """Nobody but the tagger counts."""
    answer = world.repo.verify_tag("v1.0")
    (found,) = refused(answer, (tag, "threshold-unmet"))
    assert count(answer) == (1, 2, [world.alice.did])
    return found


def test_an_approval_for_another_tag_does_not_count(world: World) -> None:
    """Row 30: copied to this object's note."""
    tag = tagged(world)
    other = world.repo.tag("v0.9", world.tip, world.alice)
    world.repo.notes({tag: [for_the_tag(world, world.bob, other, tag="v0.9")]})
    alone(world, tag)


def test_an_approval_for_the_same_name_on_another_target_does_not_count(world: World) -> None:
    """Row 30: Bob approved v1.0 once, and Alice has moved it since."""
    first = world.repo.tag("v1.0", world.root, world.alice)
    line = for_the_tag(world, world.bob, first, target=world.root)
    world.repo.notes({first: [line]})
    assert world.repo.verify_tag("v1.0").code == 0
    tag = tagged(world)
    world.repo.notes({first: [line], tag: [line]})
    alone(world, tag)


def test_an_approval_for_the_same_name_and_target_as_another_object_does_not_count(world: World) -> None:
    """Row 30: the object's message may promise something else."""
    first = world.repo.tag("v1.0", world.tip, world.alice, message=b"what Bob has read\n")
    line = for_the_tag(world, world.bob, first)
    tag = world.repo.tag("v1.0", world.tip, world.alice, message=b"what Bob has not read\n")
    world.repo.notes({first: [line], tag: [line]})
    alone(world, tag)


@pytest.mark.parametrize("other", [
    {"tag": "v2.0"}, {"target": "11" * 20}, {"root": "22" * 20}, {"kind": "commit"}, {"kind": "admin"},
    {"id": "33" * 20},
], ids=lambda other: next(iter(other)) + " " + next(iter(other.values()))[:6])  # fmt: skip
def test_an_approval_that_differs_in_anything_does_not_count(world: World, other: dict[str, str]) -> None:
    """Row 30: root, object, name, target and kind, each alone."""
    tag = tagged(world)
    world.repo.notes({tag: [for_the_tag(world, world.bob, tag, **other)]})
    alone(world, tag)


def test_an_approval_of_the_commit_is_none_of_its_tag(world: World) -> None:
    """Row 30: wherever it stands."""
    tag = tagged(world)
    line = envelope(world.bob, approval(world.bob, world.root, world.tip))
    world.repo.notes({tag: [line], world.tip: [line]})
    alone(world, tag)


def test_an_approval_on_another_objects_note_does_not_count(world: World) -> None:
    """Row 30: it names this tag, but stands on the commit."""
    tag = tagged(world)
    world.repo.notes({world.tip: [for_the_tag(world, world.bob, tag)]})
    alone(world, tag)


def test_why_an_approval_does_not_count_is_told(world: World) -> None:
    """Row 30: reason given."""
    first = world.repo.tag("v1.0", world.root, world.alice)
    line = for_the_tag(world, world.bob, first, target=world.root)
    tag = tagged(world)
    world.repo.notes({tag: [line]})
    answer = world.repo.verify_tag("v1.0")
    assert "another target" in answer.stdout + answer.stderr


@pytest.mark.parametrize("forger", ["mallory", "carol", "alice"])
def test_an_approval_in_somebody_elses_name_does_not_count(world: World, forger: str) -> None:
    """Row 30: it says that Bob approves, and another signed it; who signs stands in the payload, not in the hint."""
    tag = tagged(world)
    statement = approval(world.bob, world.root, tag, "tag", "v1.0", world.tip)
    for keyid in (None, "", forge.json.loads(envelope(world.bob, statement))["signatures"][0]["keyid"]):
        world.repo.notes({tag: [envelope(getattr(world, forger), statement, keyid)]})
        alone(world, tag)


def test_an_approval_by_someone_whom_the_rule_does_not_list_does_not_count(world: World) -> None:
    """Row 30: Carol may commit; Mallory is nobody."""
    rules = [Rule("commit", [world.alice, world.bob, world.carol]), *world.rules[1:]]
    files = {**world.files, **auths(rules, [world.alice, world.bob, world.carol])}
    tip = world.advance(world.repo.commit(files, [world.tip], world.alice))
    tag = world.repo.tag("v1.0", tip, world.alice)
    world.repo.notes({tag: [for_the_tag(world, one, tag, target=tip) for one in (world.carol, world.mallory)]})
    alone(world, tag)


def test_an_approval_by_someone_who_was_removed_does_not_count(world: World) -> None:
    """Section 8: a tag is judged by the mainline's policy now, so who has left releases nothing more."""
    tag = tagged(world)
    world.repo.notes({tag: [for_the_tag(world, world.bob, tag)]})
    assert world.repo.verify_tag("v1.0").code == 0
    rules = [world.rules[0], Rule("release", [world.alice, world.carol], 2), world.rules[2]]
    files = {**world.files, **auths(rules, [world.alice, world.bob, world.carol])}
    world.advance(world.repo.commit(files, [world.tip], world.alice))
    alone(world, tag)


def three_must(world: World, third: Person, *others: Person) -> tuple[str, str]:
    """The mainline's tip and v1.0 on it, where a release takes three of Alice, Bob and a third one."""
    rules = [world.rules[0], Rule("release", [world.alice, world.bob, third], 3), world.rules[2]]
    kept = {path: content for path, content in world.files.items() if not path.startswith(".auths/allowed")}
    logs = {kel_path(one): one.log.stream for one in (world.bob, third, *others)}
    files = {**kept, **logs, ".auths/policy.toml": policy_toml(rules)}
    tip = world.advance(world.repo.commit(files, [world.tip], world.alice))
    return tip, world.repo.tag("v1.0", tip, world.alice)


def test_one_person_who_approves_twice_counts_once(world: World) -> None:
    """Row 31: two statements, both valid."""
    tip, tag = three_must(world, world.carol)
    lines = [envelope(world.bob, approval(world.bob, world.root, tag, "tag", "v1.0", tip, f"2026-11-0{day}T10:00:00Z"))
             for day in (1, 2, 3)]  # fmt: skip
    world.repo.notes({tag: lines})
    answer = world.repo.verify_tag("v1.0")
    refused(answer, (tag, "threshold-unmet"))
    assert count(answer) == (2, 3, sorted([world.alice.did, world.bob.did]))


def test_one_person_who_approves_with_the_old_and_the_new_key_counts_once(world: World) -> None:
    """Row 31: a rotation makes no second person."""
    old = world.bob.signing
    world.bob.log.rotate()
    tip, tag = three_must(world, world.carol)
    statement = approval(world.bob, world.root, tag, "tag", "v1.0", tip)
    later = approval(world.bob, world.root, tag, "tag", "v1.0", tip, "2026-12-01T00:00:00Z")
    for lines in (
        [envelope(old, statement), envelope(world.bob, later)],
        [envelope(world.bob, statement), envelope(old, later)],
    ):
        world.repo.notes({tag: lines})
        answer = world.repo.verify_tag("v1.0")
        refused(answer, (tag, "threshold-unmet"))
        assert count(answer) == (2, 3, sorted([world.alice.did, world.bob.did]))


def test_a_device_counts_as_its_owner(world: World) -> None:
    """Row 31, where the policy lists a device beside its owner: one principal."""
    device = Person("Device", 60, delegator=world.bob)
    tip, tag = three_must(world, device)
    world.repo.notes({tag: [for_the_tag(world, one, tag, target=tip) for one in (world.bob, device)]})
    answer = world.repo.verify_tag("v1.0")
    refused(answer, (tag, "threshold-unmet"))
    assert count(answer) == (2, 3, sorted([world.alice.did, world.bob.did]))


def twin_of(person: Person) -> Person:
    """Another AID with the same current key."""
    event = kelbuild.inception(kels.keys(person.log.current), [kels.signer(4711).key.commitment])
    log = GrowingLog.__new__(GrowingLog)
    log.current = person.log.current
    log.messages = [kelbuild.with_signatures(event, kels.signatures(event, person.log.current))]
    log._kel = kel.replay(log.stream)
    return Person("Twin", 0, log=log)


def test_two_principals_with_one_key_count_once(world: World) -> None:
    """Row 32: and `policy check` warns."""
    twin = twin_of(world.bob)
    tip, tag = three_must(world, twin)
    world.repo.notes({tag: [for_the_tag(world, one, tag, target=tip) for one in (world.bob, twin)]})
    answer = world.repo.verify_tag("v1.0")
    refused(answer, (tag, "threshold-unmet"))
    assert count(answer)[:2] == (2, 3)
    world.repo.git("reset", "--hard", "--quiet", "main")
    checked = world.repo.auths("policy", "check")
    assert "warning:" in checked.stderr
    assert any(world.bob.did in line and twin.did in line for line in checked.stderr.splitlines())


def test_the_tagger_who_approves_his_own_tag_counts_once(world: World) -> None:
    """Row 33."""
    tag = tagged(world)
    world.repo.notes({tag: [for_the_tag(world, world.alice, tag)]})
    alone(world, tag)


def two_must_commit(world: World) -> tuple[dict[str, bytes], str]:
    """A policy by which a commit takes two of Alice, Bob and Carol: its files and its commit."""
    rules = [Rule("commit", [world.alice, world.bob, world.carol], 2), *world.rules[1:]]
    files = {**world.files, **auths(rules, [world.alice, world.bob, world.carol])}
    return files, world.repo.commit(files, [world.tip], world.alice)


def test_an_approval_made_before_a_rebase_does_not_count(world: World) -> None:
    """Row 34: it is bound to the commit's id."""
    files, start = two_must_commit(world)
    first = world.repo.commit({**files, "src": b"2\n"}, [start], world.bob)
    line = envelope(world.carol, approval(world.carol, world.root, first))
    world.repo.notes({first: [line]})
    accepted(world.verify_at(first))
    rebased = world.repo.commit({**files, "src": b"2\n"}, [start], world.bob)
    world.repo.notes({first: [line], rebased: [line]})
    refused(world.verify_at(rebased), (rebased, "threshold-unmet"))


def test_each_commit_needs_an_approval_of_its_own(world: World) -> None:
    """Row 30, of commits: what was granted to the first is not granted to the next, by the same signer, or the last."""
    files, tip = two_must_commit(world)
    commits = []
    for number in range(3):
        tip = world.repo.commit({**files, "src": b"%d\n" % number}, [tip], world.bob)
        commits.append(tip)
    lines = {id: [envelope(world.carol, approval(world.carol, world.root, id))] for id in commits}
    world.repo.notes(lines)
    accepted(world.verify_at(tip))
    for missing in commits:
        world.repo.notes({id: line for id, line in lines.items() if id != missing})
        refused(world.verify_at(tip), (missing, "threshold-unmet"))


def test_the_author_who_approves_his_own_commit_counts_once(world: World) -> None:
    """Row 33, of a commit."""
    files, start = two_must_commit(world)
    commit = world.repo.commit({**files, "src": b"2\n"}, [start], world.bob)
    world.repo.notes({commit: [envelope(world.bob, approval(world.bob, world.root, commit))]})
    refused(world.verify_at(commit), (commit, "threshold-unmet"))


def test_an_approval_by_a_key_that_was_rotated_away_before_does_not_count(world: World) -> None:
    """DESIGN 7.8: the commit's own tree shows the rotation; whoever has the old key approves nothing after it."""
    files, start = two_must_commit(world)
    old = world.carol.signing
    world.carol.log.rotate()
    files = {**files, kel_path(world.carol): world.carol.log.stream}
    rotation = world.repo.commit(files, [start], world.bob)
    commit = world.repo.commit({**files, "src": b"2\n"}, [rotation], world.bob)
    good = {rotation: [envelope(world.alice, approval(world.alice, world.root, rotation))]}
    statement = approval(world.carol, world.root, commit)
    world.repo.notes({**good, commit: [envelope(old, statement)]})
    refused(world.verify_at(commit), (commit, "threshold-unmet"))
    world.repo.notes({**good, commit: [envelope(world.carol, statement)]})
    accepted(world.verify_at(commit))


def test_an_approval_by_someone_whose_log_has_forked_does_not_count(world: World) -> None:
    """DESIGN 7.8: no line of events leads from the commit's tree to the mainline's tip."""
    files, start = two_must_commit(world)
    theirs = Person("Carol", 3)
    branch_log = theirs.log.interact({"auths": "grant/1", "d": "ab" * 32}).stream
    main_log = world.carol.log.interact({"auths": "grant/1", "d": "cd" * 32}).stream
    commits = {}
    for name, log in (("branch", branch_log), ("main", main_log)):
        commits[name] = world.repo.commit({**files, kel_path(world.carol): log}, [start], world.bob)
    lines = {id: [envelope(world.carol, approval(world.carol, world.root, id))] for id in commits.values()}
    world.repo.notes(lines)
    accepted(world.verify_at(commits["main"]))
    refused(world.repo.verify(commits["branch"]), (commits["branch"], "threshold-unmet"))


def test_a_release_outlives_the_rotation_of_who_approved_it(world: World) -> None:
    """Section 8: by any key that he has held, since a plain rotation takes nothing back."""
    tag = tagged(world)
    world.repo.notes({tag: [for_the_tag(world, world.bob, tag)]})
    world.bob.log.rotate()
    world.advance(world.repo.commit({**world.files, kel_path(world.bob): world.bob.log.stream}, [world.tip], world.bob))
    answer = world.repo.verify_tag("v1.0")
    assert (answer.code, answer.verdicts) == (0, {tag: "good"})


def test_an_approval_by_a_key_that_came_later_counts(world: World) -> None:
    """DESIGN 7.8, the other side of it: up to the mainline's tip."""
    files, start = two_must_commit(world)
    commit = world.repo.commit({**files, "src": b"2\n"}, [start], world.bob)
    world.carol.log.rotate()
    files = {**files, kel_path(world.carol): world.carol.log.stream, "src": b"2\n"}
    rotation = world.repo.commit(files, [commit], world.bob)
    lines = {id: [envelope(world.carol, approval(world.carol, world.root, id))] for id in (commit, rotation)}
    world.repo.notes(lines)
    accepted(world.verify_at(rotation))


@pytest.mark.parametrize("kind", ["commit", "countersign"])
def test_an_approval_of_a_commit_is_none_of_a_policy_change(world: World, kind: str) -> None:
    """Row 30, for a change that two admins must want: who approves a commit has not thereby approved new rules."""
    rules = [world.rules[0], Rule("admin", [world.alice, world.bob], 2)]
    start = world.repo.commit({**world.files, **auths(rules, [world.alice, world.bob])}, [world.tip], world.alice)
    looser = {**world.files, **auths([world.rules[0], Rule("admin", [world.alice])], [world.alice, world.bob])}
    change = world.repo.commit(looser, [start], world.alice)
    world.repo.notes({change: [envelope(world.bob, approval(world.bob, world.root, change, kind))]})
    refused(world.verify_at(change), (change, "policy-change-unauthorized"))
    world.repo.notes({change: [envelope(world.bob, approval(world.bob, world.root, change, "admin"))]})
    accepted(world.verify_at(change))


def test_a_quorum_that_the_commit_itself_installs_does_not_approve_it(world: World) -> None:
    """Row 1, by approvals: one stolen admin key of two, and helpers whom only the new policy lists."""
    rules = [world.rules[0], Rule("admin", [world.alice, world.bob], 2)]
    start = world.repo.commit({**world.files, **auths(rules, [world.alice, world.bob])}, [world.tip], world.alice)
    rules = [world.rules[0], Rule("admin", [world.alice, world.bob, world.mallory], 2)]
    change = world.repo.commit(
        {**world.files, **auths(rules, [world.alice, world.bob, world.mallory])}, [start], world.alice
    )
    kinds = ("admin", "commit")
    lines = [envelope(world.mallory, approval(world.mallory, world.root, change, kind)) for kind in kinds]
    world.repo.notes({change: lines})
    refused(world.verify_at(change), (change, "policy-change-unauthorized"))


def no_ref(world: World, tag: str) -> None:
    (world.repo.path / ".git" / "refs" / "notes" / "auths").unlink()


def no_notes(world: World, tag: str) -> None:
    world.repo.notes({})


def no_note_on_it(world: World, tag: str) -> None:
    world.repo.notes({world.tip: [b"{}"]})


def empty_note(world: World, tag: str) -> None:
    world.repo.notes({tag: []})


def folder_for_a_note(world: World, tag: str) -> None:
    tree = world.repo.tree({f"{tag[:2]}/{tag[2:]}/x": b"{}"})
    world.repo.ref("refs/notes/auths", world.repo.commit_tree(tree, [], None))


@pytest.mark.parametrize("taken_away", [no_ref, no_notes, no_note_on_it, empty_note, folder_for_a_note])
def test_without_the_notes_a_threshold_is_unmet(world: World, taken_away: Callable[[World, str], None]) -> None:
    """Row 35: withheld or emptied."""
    tag = tagged(world)
    world.repo.notes({tag: [for_the_tag(world, world.bob, tag)]})
    assert world.repo.verify_tag("v1.0").code == 0
    taken_away(world, tag)
    alone(world, tag)


def test_where_the_notes_are_missing_the_answer_says_so(world: World) -> None:
    """Row 35: a clone does not fetch them (DESIGN 3)."""
    tagged(world)
    answer = world.repo.auths("verify-tag", "v1.0")
    assert answer.code == 1
    assert "refs/notes/auths" in answer.stderr
    files, start = two_must_commit(world)
    world.advance(world.repo.commit({**files, "src": b"2\n"}, [start], world.bob))
    answer = world.repo.auths("verify", "main")
    assert answer.code == 1
    assert "refs/notes/auths" in answer.stdout + answer.stderr


def test_a_policy_change_lacks_its_approval_when_the_notes_are_withheld(world: World) -> None:
    """Row 35, of a commit."""
    files, start = two_must_commit(world)
    commit = world.repo.commit({**files, "src": b"2\n"}, [start], world.bob)
    world.repo.notes({commit: [envelope(world.alice, approval(world.alice, world.root, commit))]})
    accepted(world.verify_at(commit))
    no_ref(world, commit)
    refused(world.verify_at(commit), (commit, "threshold-unmet"))


MEASURE = """
import os, sys, time
begun = time.monotonic()
_, status, usage = os.wait4(os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:]), 0)
print(os.waitstatus_to_exitcode(status), time.monotonic() - begun, usage.ru_maxrss, file=sys.stderr)
"""


def measured(world: World, *command: str) -> tuple[int, float, int]:
    """(exit code, seconds, peak resident MiB of the largest process) of a program of ours.

    A small process starts it: the kernel counts what a process was before exec, and a test runner can be large.
    """
    program = [os.path.join(SCRIPTS, command[0]), *command[1:]]
    done = subprocess.run([sys.executable, "-I", "-c", MEASURE, *program], cwd=world.repo.path, capture_output=True,
                          text=True, check=True)  # fmt: skip
    assert "internal error" not in done.stderr
    code, seconds, kibibytes = done.stderr.splitlines()[-1].split()
    return int(code), float(seconds), int(kibibytes) // 1024


def test_a_million_lines_of_rubbish_hide_no_approval(world: World) -> None:
    """Row 36: bounded time and memory; the honest line among them counts."""
    tag = tagged(world)
    honest = for_the_tag(world, world.bob, tag)
    rubbish = b"".join(b"rubbish %d\n" % (n % 10) for n in range(1_000_000))
    note = world.repo.tree(
        {f"{tag[:2]}/{tag[2:]}": rubbish[: len(rubbish) // 2] + honest + b"\n" + rubbish[len(rubbish) // 2 :]}
    )
    world.repo.ref("refs/notes/auths", world.repo.commit_tree(note, [], None))
    code, seconds, mebibytes = measured(world, "git-auths", "verify-tag", "v1.0")
    assert code == 0
    assert seconds < 5
    assert mebibytes < 300


def test_what_was_ignored_in_a_note_is_counted(world: World) -> None:
    """Row 36: ignored with a count."""
    tag = tagged(world)
    world.repo.notes({tag: [*(b"rubbish" for _ in range(1234)), for_the_tag(world, world.mallory, tag)]})
    answer = world.repo.auths("verify-tag", "v1.0")
    assert answer.code == 1
    assert "1235" in answer.stdout + answer.stderr


def with_a_long_line(world: World, length: int) -> str:
    """v1.0 with Bob's approval, in a note that begins with a line of `length` bytes."""
    tag = tagged(world)
    note = world.repo.tree({f"{tag[:2]}/{tag[2:]}": b"[" * length + b"\n" + for_the_tag(world, world.bob, tag) + b"\n"})
    world.repo.ref("refs/notes/auths", world.repo.commit_tree(note, [], None))
    return tag


def test_a_line_of_a_hundred_megabytes_takes_bounded_time_and_memory(world: World) -> None:
    """Row 36."""
    with_a_long_line(world, 100_000_000)
    code, seconds, mebibytes = measured(world, "git-auths", "verify-tag", "v1.0")
    assert code == 1
    assert seconds < 5
    assert mebibytes < 300


def test_a_note_beyond_its_bound_makes_the_answer_incomplete(world: World) -> None:
    """Row 36: 16 MiB an object (DESIGN 9); an approval may stand there, and nobody has looked."""
    tag = with_a_long_line(world, 17_000_000)
    refused(world.repo.verify_tag("v1.0"), (tag, "incomplete"))


def test_a_long_line_hides_no_approval(world: World) -> None:
    """Row 36: 64 KiB a line; within the note's bound the other lines count."""
    tag = with_a_long_line(world, 2_000_000)
    answer = world.repo.verify_tag("v1.0")
    assert (answer.code, answer.verdicts) == (0, {tag: "good"})


@pytest.mark.parametrize("line", [
    b"{" * 60_000, b"[" * 60_000, b'{"a":' * 10_000, b'{"payload":"' + b"A" * 60_000 + b'"}',
    b'{"payload":1e999999999}', b'{"payload":' + b"9" * 60_000 + b"}", b"{}", b'{"signatures":[]}',
    b"\xff\xfe{}", b'{"payload":"\\ud800"}',
], ids=lambda line: line[:12].decode(errors="replace"))  # fmt: skip
def test_a_line_of_rubbish_is_passed_over(world: World, line: bytes) -> None:
    """Row 36: however it is built; the honest line beside it counts."""
    tag = tagged(world)
    world.repo.notes({tag: [line, for_the_tag(world, world.bob, tag)]})
    begun = time.monotonic()
    answer = world.repo.verify_tag("v1.0")
    assert (answer.code, answer.verdicts) == (0, {tag: "good"})
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize("by", ["strangers", "one who says he is Bob"])
def test_thousands_of_envelopes_by_strangers_hide_no_approval(world: World, by: str) -> None:
    """Row 36: each well formed and signed, about this very tag; they sort before the honest one."""
    tag = tagged(world)
    stranger = Person("Stranger", 900)
    name = world.bob if by != "strangers" else stranger
    line = approval(name, world.root, tag, "tag", "v1.0", world.tip)
    hint = forge.json.loads(envelope(name, line))["signatures"][0]["keyid"]
    lines = []
    for number in range(3000):
        line["predicate"]["issued_at"] = f"2020-01-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z"
        lines.append(envelope(stranger, line, hint if number % 2 else ""))
    world.repo.notes({tag: [*lines, for_the_tag(world, world.bob, tag)]})
    begun = time.monotonic()
    answer = world.repo.verify_tag("v1.0")
    assert time.monotonic() - begun < 5
    assert (answer.code, answer.verdicts) == (0, {tag: "good"})
