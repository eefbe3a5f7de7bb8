"""Who speaks, and for whom, where logs are held back, keys are void, and one person has several ways to be counted."""

from __future__ import annotations

import copy
from datetime import datetime, timezone
from typing import Any

import pytest

from tests.attacks.forge import (
    NOW,
    Person,
    Rule,
    World,
    accepted,
    approval,
    delegation,
    enrolled,
    envelope,
    grant,
    kel_path,
    logs,
    policy_toml,
    refused,
    revocation,
    with_rules,
)

DAY = 24 * 3600
FOR_TWO = 'paths = ["src"]\n'


def utc(days: int) -> str:
    return f"{datetime.fromtimestamp(NOW + days * DAY, timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


def delegate_of(owner: Person, number: int = 60, name: str = "Device") -> Person:
    return Person(name, number, delegator=owner)


def approve(world: World, by: Person, commit: str, kind: str = "commit", key: Person | None = None) -> None:
    world.repo.notes({commit: [envelope(key or by, approval(by, world.root, commit, kind))]})


def compromise(person: Person, since: int) -> dict[str, Any]:
    events = person.log.kel.events
    said = events[since].said if since < len(events) else person.log.kel.said
    return {"auths": "compromise/1", "s": f"{since:x}", "d": said, "t": "2026-06-01T00:00:00Z"}


@pytest.mark.parametrize("is_held_back", [True, False])
def test_a_log_that_comes_later_makes_no_second_admin(world: World, is_held_back: bool) -> None:
    """A delegate counts as its delegator; who holds its log back to hide that counts as nobody."""
    alice, other = world.alice, delegate_of(world.alice)
    rules = [Rule("commit", [alice, world.bob]), Rule("admin", [alice, world.bob, other], 2)]
    files = {**world.files, ".auths/policy.toml": policy_toml(rules, [alice, world.bob]), **logs(alice)}
    main = world.repo.commit(files, [world.tip], alice)
    if not is_held_back:
        files |= logs(other)
        main = world.repo.commit(files, [main], alice)
    evil = {**files, ".auths/policy.toml": policy_toml([Rule("commit", [alice]), Rule("admin", [alice])], [alice])}
    taken = world.repo.commit(evil, [main], alice)
    later = world.repo.commit({**evil, **logs(other)}, [taken], alice)
    approve(world, other, taken, "admin")
    refused(world.verify_at(later), (taken, "policy-change-unauthorized"))


def test_a_revoked_delegate_does_not_approve_before_its_log_is_there(world: World) -> None:
    other = delegate_of(world.bob)
    world.bob.log.interact(revocation(other))
    listed = [world.alice, world.bob, other]
    rules = [Rule("commit", listed), Rule("commit", listed, 2, FOR_TWO), Rule("admin", [world.alice])]
    files = {**world.files, ".auths/policy.toml": policy_toml(rules, [world.alice, world.bob]), **logs(world.bob)}
    main = world.repo.commit(files, [world.tip], world.alice)
    commit = world.repo.commit({**files, "src": b"2"}, [main], world.alice)
    later = world.repo.commit({**files, **logs(other), "src": b"2"}, [commit], world.alice)
    approve(world, other, commit)
    refused(world.verify_at(later), (commit, "threshold-unmet"))


def test_an_agent_whose_log_is_held_back_answers_for_nobody(world: World) -> None:
    guild, agent = Person("Guild", 70), delegate_of(world.bob, name="Agent")
    rules = [Rule("commit", [world.alice, world.bob, guild], 1, 'agents = "deny"\n'), Rule("admin", [world.alice])]
    files, _ = enrolled(with_rules(world, rules), world.root, world.bob, agent, "agent")
    files, _ = enrolled(files, world.root, guild, agent, "member")
    held = {path: content for path, content in files.items() if path != kel_path(agent)}
    main = world.repo.commit(held, [world.tip], world.alice)
    strange = world.repo.commit({**held, "src": b"evil"}, [main], world.mallory)
    later = world.repo.commit({**files, "src": b"evil"}, [strange], world.bob)
    approve(world, agent, strange, "countersign")
    refused(world.verify_at(later), (strange, "unknown-key"))


def test_a_key_that_the_thief_gave_to_a_device_approves_nothing_earlier(world: World) -> None:
    device = delegate_of(world.bob)
    listed = [world.alice, world.bob]
    rules = [Rule("commit", listed), Rule("commit", listed, 2, FOR_TWO), Rule("admin", [world.alice])]
    files, _ = enrolled(with_rules(world, rules), world.root, world.bob, device, "device")
    main = world.repo.commit(files, [world.tip], world.alice)
    commit = world.repo.commit({**files, "src": b"2"}, [main], world.alice)
    since = world.bob.log.kel.sn + 1
    device.log.rotate()
    files |= {**logs(world.bob, device), "src": b"2"}
    stolen = world.repo.commit(files, [commit], world.alice)
    world.bob.log.rotate(anchors=[compromise(world.bob, since)])
    tip = world.repo.commit({**files, **logs(world.bob)}, [stolen], world.alice)
    approve(world, device, commit)
    refused(world.verify_at(tip), (commit, "threshold-unmet"))


@pytest.mark.parametrize("as_member_days", [50, 200])
def test_a_person_and_his_laptop_are_one_whoever_admits_the_laptop(world: World, as_member_days: int) -> None:
    guild, laptop = Person("Guild", 70), delegate_of(world.bob)
    rules = [Rule("commit", [world.alice, world.bob, guild], 2), Rule("admin", [world.alice])]
    files, _ = enrolled(with_rules(world, rules), world.root, world.bob, laptop, "device", expires_at=utc(100))
    files, _ = enrolled(files, world.root, guild, laptop, "member", expires_at=utc(as_member_days))
    main = world.repo.commit(files, [world.tip], world.alice)
    commit = world.repo.commit({**files, "src": b"2"}, [main], world.bob)
    approve(world, laptop, commit)
    refused(world.verify_at(commit), (commit, "threshold-unmet"))
    commit = world.repo.commit({**files, "src": b"2"}, [main], guild)
    approve(world, laptop, commit)
    accepted(world.verify_at(commit))


def test_grants_by_another_do_not_crowd_out_those_of_the_owner(world: World) -> None:
    device = delegate_of(world.bob)
    rules = [Rule("commit", [world.alice, world.bob, world.carol]), Rule("admin", [world.alice])]
    files, _ = enrolled(with_rules(world, rules), world.root, world.bob, device, "device")
    main = world.repo.commit(files, [world.tip], world.alice)
    crowd = [grant(world.carol, device, world.root, "member", model=f"m{n}", expires_at="2020-01-01T00:00:00Z")
             for n in range(300)]  # fmt: skip
    world.carol.log.interact(*[one.seal for one in crowd])
    for one in crowd:
        files |= one.entry
    files |= logs(world.carol)
    main = world.repo.commit(files, [main], world.carol)
    accepted(world.verify_at(world.repo.commit({**files, "src": b"2"}, [main], device)))


def test_a_listed_device_of_an_agent_is_no_person(world: World) -> None:
    agent = delegate_of(world.bob, name="Agent")
    device = delegate_of(agent, 61)
    rules = [Rule("commit", [world.alice, world.bob, device], 1, 'agents = "deny"\n'), Rule("admin", [world.alice])]
    files, _ = enrolled(with_rules(world, rules), world.root, world.bob, agent, "agent")
    files, _ = enrolled(files, world.root, agent, device, "device")
    main = world.repo.commit({**files, **logs(world.bob, agent)}, [world.tip], world.alice)
    commit = world.repo.commit({**files, **logs(world.bob, agent), "src": b"2"}, [main], device)
    refused(world.verify_at(commit), (commit, "unauthorized"))


def test_a_delegate_that_nobody_calls_a_device_is_none_as_a_member_either(world: World) -> None:
    guild, other, agent = Person("Guild", 70), delegate_of(world.bob), delegate_of(world.alice, 61, "Agent")
    rules = [Rule("commit", [world.alice, world.bob, guild]), Rule("admin", [world.alice])]
    files, _ = enrolled(with_rules(world, rules), world.root, guild, other, "member")
    files, _ = enrolled(files, world.root, world.alice, agent, "agent")
    files |= logs(world.bob)
    main = world.repo.commit(files, [world.tip], world.alice)
    commit = world.repo.commit({**files, "src": b"2"}, [main], agent)
    approve(world, other, commit)
    refused(world.verify_at(commit), (commit, "threshold-unmet"))


def test_who_ends_a_device_ends_what_that_has_delegated(world: World) -> None:
    device = delegate_of(world.bob)
    below = delegate_of(device, 61)
    files, _ = enrolled(world.files, world.root, world.bob, device, "device")
    files, _ = enrolled(files, world.root, device, below, "device")
    files |= logs(world.bob, device)
    main = world.repo.commit(files, [world.tip], world.bob)
    accepted(world.verify_at(world.repo.commit({**files, "src": b"2"}, [main], below)))
    world.bob.log.interact(revocation(below))
    files |= logs(world.bob)
    main = world.repo.commit(files, [main], world.bob)
    commit = world.repo.commit({**files, "src": b"2"}, [main], below)
    refused(world.verify_at(commit), (commit, "unauthorized"))


def test_who_is_admitted_later_adopts_nothing_earlier(world: World) -> None:
    guild = Person("Guild", 70)
    files = with_rules(world, [Rule("commit", [world.alice, world.bob, guild]), Rule("admin", [guild])])
    base = world.repo.commit(files, [world.tip], world.alice)
    stray = world.repo.commit({**files, "src": b"2"}, [base], None)
    files, _ = enrolled({**files, "src": b"2"}, world.root, guild, world.carol, "member",
                        capabilities=["sign_commit", "manage_members"])  # fmt: skip
    admitted = world.repo.commit(files, [stray], guild)
    adopting = world.repo.commit({**files, ".auths/adopted": f"{stray}\n".encode()}, [admitted], world.carol)
    refused(world.verify_at(adopting), (stray, "unsigned"))


def test_what_was_approved_before_an_admin_chose_the_other_side_of_a_fork_stays(world: World) -> None:
    listed = [world.alice, world.bob]
    rules = [Rule("commit", listed), Rule("commit", listed, 2, FOR_TWO), Rule("admin", [world.alice])]
    files = with_rules(world, rules)
    base = world.repo.commit(files, [world.tip], world.alice)
    owner = Person(world.bob.name, 0, log=copy.copy(world.bob.log))
    owner.log.messages = list(world.bob.log.messages)
    world.bob.log.interact(delegation(delegate_of(world.bob)))
    thief = {**files, **logs(world.bob)}
    taken = world.repo.commit(thief, [base], world.alice)
    commit = world.repo.commit({**thief, "src": b"2"}, [taken], world.alice)
    approve(world, owner, commit)
    accepted(world.verify_at(commit))
    owner.log.rotate(anchors=[compromise(owner, 0)])
    side = world.repo.commit({**files, **logs(owner)}, [base], world.alice)
    both = {**files, **logs(owner), "src": b"2"}
    merged = world.repo.commit(both, [commit, side], world.alice)
    refused(world.verify_at(merged), (merged, "mainline-inverted"))  # and the commit itself is not short of a vote


@pytest.mark.parametrize("policy", [b"nonsense = 1\n", None])
def test_a_broken_tip_takes_back_no_declared_loss(world: World, policy: bytes | None) -> None:
    files = with_rules(world, [Rule("commit", [world.alice, world.bob], 2), Rule("admin", [world.alice])])
    base = world.repo.commit(files, [world.tip], world.alice)
    stolen = Person(world.bob.name, 0, log=copy.copy(world.bob.log))
    stolen.log.messages = list(world.bob.log.messages)
    side = world.repo.commit({**files, "src": b"2"}, [base], world.alice)
    notes = {side: [envelope(stolen, approval(stolen, world.root, side, "commit"))]}
    world.repo.notes(notes)
    world.advance(base)
    world.repo.ref("refs/heads/side", side)
    accepted(world.repo.verify("side"))
    world.bob.log.rotate(anchors=[compromise(world.bob, 0)])
    files = {**files, **logs(world.bob)}
    hard = world.repo.commit(files, [base], world.alice)
    world.repo.notes({**notes, hard: [envelope(world.bob, approval(world.bob, world.root, hard, "commit"))]})
    world.advance(hard)
    refused(world.repo.verify("side"), (side, "threshold-unmet"))
    broken = {path: data for path, data in files.items() if policy is not None or not path.startswith(".auths/")}
    if policy is not None:
        broken[".auths/policy.toml"] = policy
    world.advance(world.repo.commit(broken, [hard], world.alice))
    refused(world.repo.verify("side"), (side, "threshold-unmet"))
