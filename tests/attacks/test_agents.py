"""Attacks by agents: they act by grant, under the rule's conditions, and answer for nothing but their own work."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.attacks.forge import (
    NOW,
    Person,
    Rule,
    World,
    accepted,
    approval,
    auths,
    described,
    enrolled,
    envelope,
    logs,
    refused,
    revocation,
    with_rules,
)
from tests.attacks.test_clock import DAY, at
from tests.attacks.test_grants import utc
from tests.attacks.test_receptions import AT_RECEPTION, CHANGED, late_is_accepted, late_is_refused
from tests.attacks.test_tags import approve, count

Setting = tuple[Person, str, dict[str, bytes]]


def agent_of(owner: Person, number: int = 80, name: str = "Agent") -> Person:
    return Person(name, number, delegator=owner)


def with_agent(world: World, conditions: str = "", owner: Person | None = None, **fields: object) -> Setting:
    """Bob's agent under a commit rule with these conditions: it, the mainline, its files."""
    owner = owner or world.bob
    agent = agent_of(owner)
    files = with_rules(world, [Rule("commit", [world.alice, world.bob], 1, conditions), *world.rules[1:]])
    files, _ = enrolled(files, world.root, owner, agent, "agent", **{"model": "m-1", **fields})
    return agent, world.repo.commit(files, [world.tip], world.alice), files


def approved_by(world: World, commit: str, *people: Person, kind: str = "commit") -> None:
    world.repo.notes({commit: [envelope(one, approval(one, world.root, commit, kind)) for one in people]})


def work(world: World, setting: Setting, signer: Person | None = None) -> str:
    agent, main, files = setting
    return world.repo.commit({**files, "src": b"2"}, [main], signer or agent)


# `agents`


@pytest.mark.parametrize("conditions", ["", 'agents = "approved"'])
def test_an_agents_commit_takes_the_approval_of_a_person(world: World, conditions: str) -> None:
    """DESIGN 6: that is the default, too."""
    setting = with_agent(world, conditions)
    commit = work(world, setting)
    refused(world.verify_at(commit), (commit, "threshold-unmet"))
    for one in (world.bob, world.alice):
        approved_by(world, commit, one)
        accepted(world.verify_at(commit))
    found = described(world, commit)
    assert (found["verdict"], found["signer"], found["principal"]) == ("good", setting[0].did, world.bob.did)


def test_a_device_of_its_owner_approves_an_agents_commit(world: World) -> None:
    """DESIGN 6: own key or device."""
    agent, main, files = with_agent(world)
    device = Person("Device", 60, delegator=world.bob)
    files, _ = enrolled(files, world.root, world.bob, device)
    main = world.repo.commit(files, [main], world.bob)
    commit = work(world, (agent, main, files))
    approved_by(world, commit, device)
    accepted(world.verify_at(commit))


def test_no_agent_approves_an_agents_commit(world: World) -> None:
    """DESIGN 6: neither itself, nor another of its owner's, nor one of another's; nor who is unlisted."""
    agent, main, files = with_agent(world)
    his, hers = agent_of(world.bob, 81), agent_of(world.alice, 82)
    for owner, other in ((world.bob, his), (world.alice, hers)):
        files, _ = enrolled(files, world.root, owner, other, "agent", capabilities=["sign_commit", "manage_members"])
    main = world.repo.commit({**files, **logs(world.carol)}, [main], world.alice)
    commit = work(world, (agent, main, files | logs(world.carol)))
    approved_by(world, commit, agent, his, hers, world.carol, world.mallory)
    refused(world.verify_at(commit), (commit, "threshold-unmet"))
    approved_by(world, commit, agent, his, hers, world.bob)
    accepted(world.verify_at(commit))


def test_a_delegate_of_whom_nobody_says_that_it_is_a_device_approves_no_agents_commit(world: World) -> None:
    """DESIGN 6: own key or device; a listed delegate without a grant is neither."""
    agent, main, files = with_agent(world)
    other = agent_of(world.alice, 82)
    rules = [Rule("commit", [world.alice, world.bob, other]), *world.rules[1:]]
    files = {**files, **auths(rules, [world.alice, world.bob, other])}
    main = world.repo.commit(files, [main], world.alice)
    commit = work(world, (agent, main, files))
    approved_by(world, commit, other)
    refused(world.verify_at(commit), (commit, "threshold-unmet"))


@pytest.mark.parametrize("kind", ["admin", "countersign"])
def test_an_approval_of_another_kind_does_not_let_an_agent_commit(world: World, kind: str) -> None:
    setting = with_agent(world)
    commit = work(world, setting)
    approved_by(world, commit, world.alice, kind=kind)
    refused(world.verify_at(commit), (commit, "threshold-unmet"))


def test_where_agents_are_denied_no_approval_helps(world: World) -> None:
    """DESIGN 6; but a person may take the commit over as her own, as anybody's."""
    setting = with_agent(world, 'agents = "deny"')
    commit = work(world, setting)
    approved_by(world, commit, world.alice, world.bob)
    refused(world.verify_at(commit), (commit, "unauthorized"))
    approved_by(world, commit, setting[0], kind="countersign")
    refused(world.verify_at(commit), (commit, "unauthorized"))


def test_where_agents_are_allowed_they_commit_by_themselves(world: World) -> None:
    """DESIGN 6: as Bob; so his yes makes no second principal."""
    setting = with_agent(world, 'agents = "allow"')
    commit = work(world, setting)
    accepted(world.verify_at(commit))
    assert described(world, commit)["principal"] == world.bob.did
    agent, main, files = setting
    rules = [Rule("commit", [world.alice, world.bob], 2, 'agents = "allow"'), *world.rules[1:]]
    files = {**files, **auths(rules, [world.alice, world.bob])} | logs(world.bob)
    main = world.repo.commit(files, [main], world.alice)
    commit = work(world, (agent, main, files))
    approved_by(world, commit, world.bob)
    refused(world.verify_at(commit), (commit, "threshold-unmet"))
    approved_by(world, commit, world.alice)
    accepted(world.verify_at(commit))


def test_every_rule_that_matches_has_its_say_on_agents(world: World) -> None:
    """DESIGN 6: a path rule adds to the branch's."""
    agent, main, files = with_agent(world, 'agents = "allow"')
    path_rule = Rule("commit", [world.bob], 1, 'paths = ["src/crypto/**"]\nagents = "deny"')
    rules = [Rule("commit", [world.alice, world.bob], 1, 'agents = "allow"'), path_rule, *world.rules[1:]]
    del files["src"]
    files = {**files, **auths(rules, [world.alice, world.bob])} | logs(world.bob)
    main = world.repo.commit(files, [main], world.alice)
    accepted(world.verify_at(world.repo.commit({**files, "src/x": b"1"}, [main], agent)))
    bad = world.repo.commit({**files, "src/crypto/x": b"1"}, [main], agent)
    refused(world.verify_at(bad), (bad, "unauthorized"))


# `agent_models`


@pytest.mark.parametrize(
    ("patterns", "model", "verdict"),
    [
        (["m-1"], "m-1", None), (["m-*"], "m-1", None), (["x", "m-?"], "m-1", None), (["*"], "m-1", None),
        (["*"], "acme/m-1", None), (["acme/*"], "acme/m-1", None), (["*"], None, None),
        (["m-2"], "m-1", "unauthorized"), (["m-"], "m-1", "unauthorized"), (["m-*"], "xm-1", "unauthorized"),
        (["m-*"], "M-1", "unauthorized"), (["m-1"], None, "unauthorized"), (["m-*"], None, "unauthorized"),
    ],
    ids=str,
)  # fmt: skip
def test_a_rule_names_the_models_that_it_admits(
    world: World, patterns: Sequence[str], model: str | None, verdict: str | None
) -> None:
    """DESIGN 6: globs; `*` is any, named or not."""
    listed = ", ".join(f'"{pattern}"' for pattern in patterns)
    agent = agent_of(world.bob)
    rule = Rule("commit", [world.alice, world.bob], 1, f'agents = "allow"\nagent_models = [{listed}]')
    named = {} if model is None else {"model": model}
    files, _ = enrolled(with_rules(world, [rule, *world.rules[1:]]), world.root, world.bob, agent, "agent", **named)
    main = world.repo.commit(files, [world.tip], world.alice)
    commit = work(world, (agent, main, files))
    if verdict is None:
        accepted(world.verify_at(commit))
    else:
        refused(world.verify_at(commit), (commit, verdict))


def test_the_models_of_an_agent_and_of_the_one_that_it_works_for_count(world: World) -> None:
    """DESIGN 4: the intersection down the chain."""
    conditions = 'agents = "allow"\nagent_models = ["m-*"]'
    agent, main, files = with_agent(world, conditions)
    helpers = [agent_of(agent, 90), agent_of(agent, 91)]
    for helper, model in zip(helpers, ("m-2", "x-2"), strict=True):
        files, _ = enrolled(files, world.root, agent, helper, "agent", model=model)
    files |= logs(world.bob, agent)
    main = world.repo.commit(files, [main], world.bob)
    accepted(world.verify_at(work(world, (helpers[0], main, files))))
    bad = work(world, (helpers[1], main, files))
    refused(world.verify_at(bad), (bad, "unauthorized"))


# Once an agent, always an agent


@pytest.mark.parametrize("kind", ["device", "agent"])
def test_what_an_agent_delegates_to_is_an_agent(world: World, kind: str) -> None:
    """DESIGN 6: whatever it calls it; and it approves nothing."""
    agent, main, files = with_agent(world)
    helper = agent_of(agent, 90)
    files, _ = enrolled(files, world.root, agent, helper, kind)
    files |= logs(world.bob, agent)
    main = world.repo.commit(files, [main], world.bob)
    commit = work(world, (helper, main, files))
    refused(world.verify_at(commit), (commit, "threshold-unmet"))
    approved_by(world, commit, world.bob)
    accepted(world.verify_at(commit))
    commit = work(world, (agent, main, files))
    approved_by(world, commit, helper)
    refused(world.verify_at(commit), (commit, "threshold-unmet"))


def test_whom_an_agent_invites_is_no_person(world: World) -> None:
    """DESIGN 6: Carol as the agent's member; else it would make up who approves."""
    agent, main, files = with_agent(world)
    files, _ = enrolled(files, world.root, agent, world.carol, "member")
    files |= logs(world.bob, agent)
    main = world.repo.commit(files, [main], world.bob)
    commit = work(world, (agent, main, files))
    approved_by(world, commit, world.carol)
    refused(world.verify_at(commit), (commit, "threshold-unmet"))
    commit = work(world, (world.carol, main, files))
    refused(world.verify_at(commit), (commit, "threshold-unmet"))


@pytest.mark.parametrize("kind", ["device", "member"])
@pytest.mark.parametrize("is_later", [True, False], ids=["until later", "until earlier"])
def test_an_agent_with_another_grant_beside_stays_an_agent(world: World, kind: str, is_later: bool) -> None:
    """DESIGN 4: an agent never acts with its owner's full rights."""
    agent, main, files = with_agent(world, expires_at="2098-01-01T00:00:00Z")
    files, _ = enrolled(
        files, world.root, world.bob, agent, kind, expires_at=f"{2099 if is_later else 2097}-01-01T00:00:00Z"
    )
    main = world.repo.commit(files, [main], world.bob)
    commit = work(world, (agent, main, files))
    refused(world.verify_at(commit), (commit, "threshold-unmet"))
    other = work(world, (agent, main, files), world.bob)
    approved_by(world, commit, agent)
    refused(world.verify_at(commit), (commit, "threshold-unmet"))
    accepted(world.verify_at(other))


@pytest.mark.parametrize("is_later", [True, False], ids=["until later", "until earlier"])
def test_an_agent_that_an_organisation_admits_stays_an_agent(world: World, is_later: bool) -> None:
    """DESIGN 4 and 6: Bob's agent as a member of an organisation that the rule lists is still no person."""
    guild = Person("Guild", 70)
    agent = agent_of(world.bob)
    files = with_rules(world, [Rule("commit", [world.alice, world.bob, guild]), *world.rules[1:]])
    files, _ = enrolled(files, world.root, world.bob, agent, "agent", expires_at="2098-01-01T00:00:00Z")
    files, _ = enrolled(
        files, world.root, guild, agent, "member", expires_at=f"{2099 if is_later else 2097}-01-01T00:00:00Z"
    )
    main = world.repo.commit(files, [world.tip], world.alice)
    commit = work(world, (agent, main, files))
    refused(world.verify_at(commit), (commit, "threshold-unmet"))
    other = agent_of(world.alice, 81)
    files, _ = enrolled(files, world.root, world.alice, other, "agent")
    main = world.repo.commit(files, [main], world.alice)
    commit = work(world, (other, main, files))
    approved_by(world, commit, agent)
    refused(world.verify_at(commit), (commit, "threshold-unmet"))


def test_an_agent_that_a_rule_lists_stays_an_agent(world: World) -> None:
    """DESIGN 6: by its own DID, beside its grant."""
    agent, main, files = with_agent(world)
    rules = [Rule("commit", [world.alice, world.bob, agent]), *world.rules[1:]]
    files = {**files, **auths(rules, [world.alice, world.bob, agent])} | logs(world.bob)
    main = world.repo.commit(files, [main], world.alice)
    commit = work(world, (agent, main, files))
    refused(world.verify_at(commit), (commit, "threshold-unmet"))
    approved_by(world, commit, world.bob)
    accepted(world.verify_at(commit))


def test_a_branch_without_the_agents_grant_makes_it_no_device(world: World) -> None:
    """DESIGN 7.4: the branch has the grant as a device alone; the mainline knows what it is."""
    agent = agent_of(world.bob)
    rules = [Rule("commit", [world.alice, world.bob]), *world.rules[1:]]
    both, as_agent = enrolled(with_rules(world, rules), world.root, world.bob, agent, "agent")
    both, _ = enrolled(both, world.root, world.bob, agent, "device")
    device_only = {path: content for path, content in both.items() if path != as_agent.path}
    main = world.repo.commit(both, [world.tip], world.alice)
    world.advance(main)
    branch = world.repo.commit(device_only, [world.tip], world.alice)
    bad = world.repo.commit({**device_only, "other": b"1"}, [branch], agent)
    refused(world.repo.verify(bad), (bad, "threshold-unmet"))


# An agent's yes


def test_an_agents_approval_counts_for_no_commit(world: World) -> None:
    """Row 82 and DESIGN 6: `require = 2`, Alice and Bob's agent."""
    agent, main, files = with_agent(world, 'agents = "allow"')
    rules = [Rule("commit", [world.alice, world.bob], 2, 'agents = "allow"'), *world.rules[1:]]
    files = {**files, **auths(rules, [world.alice, world.bob])} | logs(world.bob)
    main = world.repo.commit(files, [main], world.alice)
    commit = work(world, (agent, main, files), world.alice)
    approved_by(world, commit, agent)
    refused(world.verify_at(commit), (commit, "threshold-unmet"))


def test_an_agents_approval_counts_for_no_change_of_the_rules(world: World) -> None:
    """The same of kind admin, though its grant has the capability."""
    rules = [world.rules[0], Rule("admin", [world.alice, world.bob], 2)]
    agent = agent_of(world.bob)
    files, _ = enrolled(
        with_rules(world, rules), world.root, world.bob, agent, "agent", capabilities=["manage_members"]
    )
    main = world.repo.commit(files, [world.tip], world.alice)
    changed = {**files, **auths([*rules[:1], Rule("admin", [world.alice])], [world.alice, world.bob])} | logs(world.bob)
    commit = world.repo.commit(changed, [main], world.alice)
    approved_by(world, commit, agent, kind="admin")
    refused(world.verify_at(commit), (commit, CHANGED))
    approved_by(world, commit, world.bob, kind="admin")
    accepted(world.verify_at(commit))


def test_an_agents_countersignature_stands_in_for_nobody(world: World) -> None:
    """Row 82: not even where agents are allowed; its owner's does."""
    agent, main, files = with_agent(world, 'agents = "allow"')
    commit = world.repo.commit({**files, "src": b"2"}, [main], None)
    approved_by(world, commit, agent, kind="countersign")
    refused(world.verify_at(commit), (commit, "unsigned"))
    approved_by(world, commit, world.bob, kind="countersign")
    accepted(world.verify_at(commit))
    assert described(world, commit)["verdict"] == "countersigned"


def test_an_agents_countersignature_does_not_count_beside_another(world: World) -> None:
    """Row 82: `require = 2`."""
    agent, main, files = with_agent(world, 'agents = "allow"')
    rules = [Rule("commit", [world.alice, world.bob], 2, 'agents = "allow"'), *world.rules[1:]]
    files = {**files, **auths(rules, [world.alice, world.bob])} | logs(world.bob)
    main = world.repo.commit(files, [main], world.alice)
    commit = world.repo.commit({**files, "src": b"2"}, [main], None)
    approved_by(world, commit, world.alice, agent, kind="countersign")
    answer = world.verify_at(commit)
    assert commit in answer.verdicts
    assert answer.code == 1


def test_an_agents_approval_counts_for_no_release(world: World) -> None:
    """Section 8: though it may release."""
    agent, main, _ = with_agent(world, capabilities=["sign_release"])
    world.advance(main)
    tag = world.repo.tag("v1.0", main, world.alice)
    approve(world, tag, "v1.0", main, agent)
    answer = world.repo.verify_tag("v1.0")
    refused(answer, (tag, "threshold-unmet"))
    assert count(answer) == (1, 2, [world.alice.did])


def test_an_agent_releases_as_its_owner(world: World) -> None:
    """Section 8: with `sign_release`; two of two takes somebody else's yes than his."""
    agent, main, files = with_agent(world, capabilities=["sign_release"])
    world.advance(main)
    for approver, verdict in ((world.alice, "good"), (world.bob, "threshold-unmet")):
        tag = world.repo.tag("v1.0", main, agent)
        approve(world, tag, "v1.0", main, approver)
        answer = world.repo.verify_tag("v1.0")
        assert answer.verdicts == {tag: verdict}
    assert count(answer) == (1, 2, [world.bob.did])
    tag = world.repo.tag("v1.0", main, agent)
    approve(world, tag, "v1.0", main, world.alice)
    world.bob.log.interact(revocation(agent))
    world.advance(world.repo.commit({**files, **logs(world.bob)}, [main], world.bob))
    refused(world.repo.verify_tag("v1.0"), (tag, "unauthorized"))


def test_an_agent_without_the_capability_releases_nothing(world: World) -> None:
    agent, main, _ = with_agent(world)
    world.advance(main)
    tag = world.repo.tag("v1.0", main, agent)
    approve(world, tag, "v1.0", main, world.alice)
    refused(world.repo.verify_tag("v1.0"), (tag, "unauthorized"))


# What was approved once


def test_each_commit_of_an_agent_takes_an_approval_of_its_own(world: World) -> None:
    """What was found good of the first is nothing for the next, by the same key and the same rules."""
    agent, tip, files = with_agent(world)
    commits = []
    for number in range(5):
        tip = world.repo.commit({**files, "src": b"%d" % number}, [tip], agent)
        commits.append(tip)
    lines = {id: [envelope(world.bob, approval(world.bob, world.root, id))] for id in commits}
    world.repo.notes(lines)
    accepted(world.verify_at(tip))
    for missing in commits:
        world.repo.notes({id: line for id, line in lines.items() if id != missing})
        refused(world.verify_at(tip), (missing, "threshold-unmet"))
    world.repo.notes(lines)
    accepted(world.verify_at(tip))
    copied = dict.fromkeys(commits, lines[commits[0]])
    world.repo.notes(copied)
    refused(world.verify_at(tip), (commits[1], "threshold-unmet"))


def test_many_commits_of_an_agent_end_with_its_grant(world: World) -> None:
    """Row 17: good in a row, by one decision; the first beyond the end is not."""
    agent, _, files = with_agent(world, 'agents = "allow"', expires_at=utc(NOW + 10 * DAY))
    tip = at(world, NOW + DAY, [world.tip], world.alice, files)
    for day in (2, 3, 4, 9):
        tip = at(world, NOW + day * DAY, [tip], agent, files, src=f"{day}")
    accepted(world.verify_at(tip))
    main = at(world, NOW + 11 * DAY, [tip], world.alice, files, src="10")
    for late in (at(world, NOW + 10 * DAY, [tip], agent, files, src="11"),
                 at(world, NOW + 9 * DAY, [main], agent, files, src="11")):  # fmt: skip
        refused(world.verify_at(late), (late, "expired"))


def test_agents_and_persons_in_a_row_are_each_judged(world: World) -> None:
    """Bob's own commits need nobody's yes; his agent's between them do."""
    agent, tip, files = with_agent(world)
    by_agent = []
    for number, signer in enumerate((world.bob, agent, world.bob, agent, world.bob)):
        tip = world.repo.commit({**files, "src": b"%d" % number}, [tip], signer)
        by_agent += [tip] if signer is agent else []
    refused(world.verify_at(tip), (by_agent[0], "threshold-unmet"))
    world.repo.notes({id: [envelope(world.alice, approval(world.alice, world.root, id))] for id in by_agent})
    accepted(world.verify_at(tip))


def test_a_revoked_agent_is_nobody(world: World) -> None:
    """Row 66: its old branch, with an approval from before; and its owner's yes does not bring it back."""
    agent, main, files = with_agent(world)
    old = world.repo.commit({**files, "other": b"1"}, [main], agent)
    approved_by(world, old, world.bob)
    late_is_accepted(world, main, old, {**files, "other": b"1"})
    world.bob.log.interact(revocation(agent))
    files = {**files, **logs(world.bob)}
    main = world.repo.commit(files, [main], world.bob)
    late_is_refused(world, main, old, {**files, "other": b"1"}, (old, AT_RECEPTION))


def test_an_agent_commits_within_the_branches_and_paths_of_its_owners_rule(world: World) -> None:
    """DESIGN 4: out of scope is refused; its grant widens nothing."""
    agent, main, files = with_agent(world, 'agents = "allow"')
    rules = [Rule("commit", [world.alice, world.bob], 1, 'agents = "allow"'),
             Rule("commit", [world.alice], 1, 'paths = ["infra/**"]\nagents = "allow"'), *world.rules[1:]]  # fmt: skip
    files = {**files, **auths(rules, [world.alice, world.bob])} | logs(world.bob)
    main = world.repo.commit(files, [main], world.alice)
    bad = world.repo.commit({**files, "infra/x": b"1"}, [main], agent)
    refused(world.verify_at(bad), (bad, "unauthorized"))


def test_an_agent_changes_no_rules_by_its_owners_right_alone(world: World) -> None:
    """DESIGN 4: `manage_members` is not in its grant, and Alice's yes as an admin does not put it there."""
    agent, main, files = with_agent(world, 'agents = "allow"', owner=world.alice)
    changed = {
        **files,
        **auths([Rule("commit", [world.alice]), Rule("admin", [world.alice])], [world.alice], [world.bob]),
    }
    bad = world.repo.commit({**changed, **logs(world.alice)}, [main], agent)
    approved_by(world, bad, world.alice, kind="admin")
    refused(world.verify_at(bad), (bad, CHANGED))
