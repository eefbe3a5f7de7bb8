"""Attacks by organisations: their members act for them by grant, and are together one principal."""

from __future__ import annotations

import hashlib

import pytest

from git_auths.core import kelbuild
from tests.attacks.forge import (
    NOW,
    JointLog,
    Person,
    Rule,
    World,
    accepted,
    approval,
    auths,
    described,
    enrolled,
    envelope,
    grant,
    kel_path,
    logs,
    refused,
    revocation,
    with_rules,
)
from tests.attacks.test_clock import DAY, at
from tests.attacks.test_grants import utc
from tests.attacks.test_receptions import AT_RECEPTION, CHANGED, late_is_accepted, late_is_refused
from tests.attacks.test_tags import approve, count
from tests.kels import signatures

Guild = tuple[Person, str, dict[str, bytes]]


def guild(world: World, require: int = 1, listed: tuple[Person, ...] = (), log: JointLog | None = None,
          members: tuple[Person, ...] = (), **fields: object) -> Guild:  # fmt: skip
    """An organisation that the commit rule lists beside Alice and Bob: it, the mainline, its files."""
    guild = Person("Guild", 70, log=log)
    rules = [Rule("commit", [world.alice, world.bob, guild, *listed], require),
             Rule("release", [world.alice, world.bob, guild, *listed], 2), world.rules[2]]  # fmt: skip
    files = {path: content for path, content in with_rules(world, rules).items() if "allowed" not in path}
    for member in members:
        files, _ = enrolled(files, world.root, guild, member, "member", **fields)
    return guild, world.repo.commit(files, [world.tip], world.alice), files


def admitting(world: World, setting: Guild, *members: Person, **fields: object) -> tuple[str, dict[str, bytes]]:
    """The mainline and its files with these members, as Alice brings them in."""
    guild, main, files = setting
    for member in members:
        files, _ = enrolled(files, world.root, guild, member, "member", **fields)
    return world.repo.commit(files, [main], world.alice), files


def approved_by(world: World, commit: str, *people: Person) -> None:
    world.repo.notes({commit: [envelope(one, approval(one, world.root, commit)) for one in people]})


def test_a_member_signs_as_the_organisation(world: World) -> None:
    """Without it every test below would prove nothing; and the organisation's own key does."""
    setting = guild(world)
    main, files = admitting(world, setting, world.carol)
    commit = world.repo.commit({**files, "src": b"2"}, [main], world.carol)
    accepted(world.verify_at(commit))
    found = described(world, commit)
    assert (found["verdict"], found["signer"], found["principal"]) == ("good", world.carol.did, setting[0].did)
    late = world.repo.commit({**files, "other": b"1"}, [main], world.carol)
    late_is_accepted(world, commit, late, {**files, "src": b"2", "other": b"1"})
    accepted(world.verify_at(world.repo.commit({**files, "src": b"2"}, [main], setting[0])))


def test_the_members_of_an_organisation_count_once(world: World) -> None:
    """Row 60: its keyholder admits two of his own, or approves beside one; with somebody else they are two."""
    organisation, main, files = guild(world, require=2, members=(world.carol, world.mallory))
    pairs = [(world.carol, world.mallory), (world.mallory, world.carol), (organisation, world.carol),
             (world.carol, organisation)]  # fmt: skip
    for signer, approver in pairs:
        commit = world.repo.commit({**files, "src": b"2"}, [main], signer)
        approved_by(world, commit, approver)
        (found,) = refused(world.verify_at(commit), (commit, "threshold-unmet"))
        assert found["principal"] == organisation.did
    commit = world.repo.commit({**files, "src": b"2"}, [main], world.carol)
    approved_by(world, commit, world.mallory, world.bob)
    accepted(world.verify_at(commit))


def test_the_members_of_an_organisation_release_as_one(world: World) -> None:
    """Row 60, of a tag."""
    setting = guild(world)
    main, _ = admitting(world, setting, world.carol, world.mallory, capabilities=["sign_release"])
    world.advance(main)
    for approver, verdict in ((world.mallory, "threshold-unmet"), (setting[0], "threshold-unmet"), (world.bob, "good")):
        tag = world.repo.tag("v1.0", main, world.carol)
        approve(world, tag, "v1.0", main, approver)
        answer = world.repo.verify_tag("v1.0")
        assert answer.verdicts == {tag: verdict}
    assert count(answer) == (2, 2, sorted([world.bob.did, setting[0].did]))


def test_a_member_whom_the_rule_lists_counts_as_himself(world: World) -> None:
    """Section 6: then he and another member are two."""
    organisation, main, files = guild(world, 2, (world.carol,), members=(world.carol, world.mallory))
    for signer, approver in ((world.carol, world.mallory), (world.mallory, world.carol), (world.carol, organisation)):
        commit = world.repo.commit({**files, "src": b"2"}, [main], signer)
        approved_by(world, commit, approver)
        accepted(world.verify_at(commit))
        assert described(world, commit)["principal"] == (world.carol if signer is world.carol else organisation).did


def test_who_is_listed_keeps_his_own_right_when_the_organisation_revokes_him(world: World) -> None:
    """DESIGN 4: a revocation ends what its issuer gave."""
    setting = guild(world, 1, (world.carol,))
    main, files = admitting(world, setting, world.carol)
    setting[0].log.interact(revocation(world.carol))
    files |= logs(setting[0])
    main = world.repo.commit(files, [main], world.alice)
    commit = world.repo.commit({**files, "src": b"2"}, [main], world.carol)
    accepted(world.verify_at(commit))
    assert described(world, commit)["principal"] == world.carol.did


def test_a_members_device_signs_as_the_organisation(world: World) -> None:
    """DESIGN 4: depth 2; and what that admits is one too many."""
    organisation, main, files = guild(world, members=(world.carol, world.mallory))
    device = Person("Device", 60, delegator=world.carol)
    files, _ = enrolled(files, world.root, world.carol, device)
    agent = Person("Agent", 61, delegator=device)
    files, _ = enrolled(files, world.root, device, agent)
    files |= logs(world.carol, device)
    main = world.repo.commit(files, [main], world.alice)
    commit = world.repo.commit({**files, "src": b"2"}, [main], device)
    accepted(world.verify_at(commit))
    assert described(world, commit)["principal"] == organisation.did
    bad = world.repo.commit({**files, "src": b"2"}, [main], agent)
    refused(world.verify_at(bad), (bad, "unauthorized"))
    both = [Rule("commit", [world.alice, world.bob, organisation], 2), world.rules[2]]
    files = {**files, **auths(both, [world.alice, world.bob, organisation])}
    main = world.repo.commit(files, [main], world.alice)
    commit = world.repo.commit({**files, "src": b"2"}, [main], device)
    approved_by(world, commit, world.mallory, world.carol)
    refused(world.verify_at(commit), (commit, "threshold-unmet"))
    approved_by(world, commit, world.bob)
    accepted(world.verify_at(commit))


def test_a_members_agent_is_an_agent(world: World) -> None:
    """DESIGN 6: it takes a person's yes; a member's own key is one."""
    setting = guild(world)
    main, files = admitting(world, setting, world.carol)
    agent = Person("Agent", 61, delegator=world.carol)
    files, _ = enrolled(files, world.root, world.carol, agent, "agent")
    main = world.repo.commit(files, [main], world.alice)
    commit = world.repo.commit({**files, "src": b"2"}, [main], agent)
    refused(world.verify_at(commit), (commit, "threshold-unmet"))
    approved_by(world, commit, world.carol)
    accepted(world.verify_at(commit))


def test_a_membership_ends_with_its_day(world: World) -> None:
    """Rows 17 and 18."""
    organisation, _, files = guild(world)
    files, _ = enrolled(files, world.root, organisation, world.carol, "member", expires_at=utc(NOW + 10 * DAY))
    start = at(world, NOW + DAY, [world.tip], world.alice, files)
    last = at(world, NOW + 10 * DAY - 1, [start], world.carol, files, src="2")
    accepted(world.verify_at(last))
    main = at(world, NOW + 10 * DAY, [last], world.bob, files, src="2")
    bad = at(world, NOW + 2 * DAY, [start], world.carol, files, other="1")
    late_is_refused(world, main, bad, {**files, "src": b"2", "other": b"1"}, (bad, "expired"))


def test_who_was_removed_from_the_organisation_signs_nothing_more(world: World) -> None:
    """Row 66: what came before stays; and he approves nothing more."""
    setting = guild(world)
    main, files = admitting(world, setting, world.carol, world.mallory)
    main = world.repo.commit({**files, "src": b"2"}, [main], world.carol)
    old = world.repo.commit({**files, "src": b"2", "other": b"1"}, [main], world.carol)
    setting[0].log.interact(revocation(world.carol))
    files |= {**logs(setting[0]), "src": b"2"}
    main = world.repo.commit(files, [main], world.mallory)
    accepted(world.verify_at(main))
    late_is_refused(world, main, old, {**files, "other": b"1"}, (old, AT_RECEPTION))
    bad = world.repo.commit({**files, "other": b"1"}, [main], world.carol)
    refused(world.verify_at(bad), (bad, "unauthorized"))
    world.advance(main)
    tag = world.repo.tag("v1.0", main, world.alice)
    approve(world, tag, "v1.0", main, world.carol)
    refused(world.repo.verify_tag("v1.0"), (tag, "threshold-unmet"))


def test_a_removed_members_release_outlives_him_by_a_receipt_alone(world: World) -> None:
    """Section 8."""
    setting = guild(world)
    main, files = admitting(world, setting, world.carol, capabilities=["sign_release"])
    tag = world.repo.tag("v1.0", main, world.carol)
    approve(world, tag, "v1.0", main, world.alice)
    world.advance(main)
    assert world.repo.verify_tag("v1.0").code == 0
    setting[0].log.interact(revocation(world.carol))
    world.advance(world.repo.commit({**files, **logs(setting[0])}, [main], world.alice))
    refused(world.repo.verify_tag("v1.0"), (tag, "unauthorized"))
    line = envelope(world.alice, approval(world.alice, world.root, tag, "tag", "v1.0", main))
    world.repo.notes({tag: [line]})
    received = {".auths/received": f"refs/tags/v1.0 {tag} {hashlib.sha256(line).hexdigest()}\n".encode()}
    before = world.repo.commit({**files, **received}, [main], world.alice)
    world.advance(world.repo.commit({**files, **received, **logs(setting[0])}, [before], world.alice))
    assert world.repo.verify_tag("v1.0").verdicts == {tag: "good"}


def test_an_organisation_that_was_removed_takes_its_members_along(world: World) -> None:
    """Row 16."""
    setting = guild(world)
    main, files = admitting(world, setting, world.carol)
    old = world.repo.commit({**files, "other": b"1"}, [main], world.carol)
    now = {**files, **auths(world.rules, [world.alice, world.bob])}
    main = world.repo.commit(now, [main], world.alice)
    accepted(world.verify_at(main))
    late_is_refused(world, main, old, {**now, "other": b"1"}, (old, AT_RECEPTION))


# Threshold organisations


def test_one_of_the_keys_of_an_organisation_signs_nothing(world: World) -> None:
    """Row 78: its `kt` is 2; its members sign by grants that both keys have sealed."""
    setting = guild(world, log=JointLog(70, 2, "2"))
    organisation, main, files = setting
    for key in organisation.log.current:
        bad = world.repo.commit({**files, "src": b"2"}, [main], key)
        refused(world.verify_at(bad), (bad, "unauthorized"))
        late_is_refused(world, main, bad, {**files, "src": b"2"}, (bad, "unauthorized"))
    main, files = admitting(world, setting, world.carol)
    commit = world.repo.commit({**files, "src": b"2"}, [main], world.carol)
    accepted(world.verify_at(commit))
    assert described(world, commit)["principal"] == organisation.did


def test_one_of_the_keys_of_an_organisation_approves_and_releases_nothing(world: World) -> None:
    """Row 78."""
    organisation, main, _ = guild(world, log=JointLog(70, 2, "2"))
    world.advance(main)
    tag = world.repo.tag("v1.0", main, world.alice)
    statement = approval(organisation, world.root, tag, "tag", "v1.0", main)
    world.repo.notes({tag: [envelope(key, statement) for key in organisation.log.current]})
    refused(world.repo.verify_tag("v1.0"), (tag, "threshold-unmet"))
    by_one_key = world.repo.tag("v1.0", main, organisation)
    approve(world, by_one_key, "v1.0", main, world.alice)
    answer = world.repo.verify_tag("v1.0")
    assert (answer.code, list(answer.verdicts)) == (1, [by_one_key])


def test_one_of_the_keys_of_an_organisation_admits_nobody(world: World) -> None:
    """Row 78: an event by one of two is none."""
    organisation, main, files = guild(world, log=JointLog(70, 2, "2"))
    given = grant(organisation, world.carol, world.root, "member")
    event = kelbuild.interaction(organisation.log.kel, [given.seal])
    for signers in (organisation.log.current[:1], []):
        stream = organisation.log.stream + kelbuild.with_signatures(event, signatures(event, signers))
        bad = world.repo.commit(
            {**files, **logs(world.carol), **given.entry, kel_path(organisation): stream}, [main], world.alice
        )
        refused(world.verify_at(bad), (bad, "kel-invalid"))


def test_half_an_organisation_alone_weighs_too_little(world: World) -> None:
    """Row 78, by weights; a key of full weight signs."""
    for weights, verdict in ((["1/2", "1/2"], "unauthorized"), (["1", "1/2"], None)):
        organisation, main, files = guild(world, log=JointLog(70, 2, weights))  # type: ignore[arg-type]
        commit = world.repo.commit({**files, "src": b"2"}, [main], organisation)
        if verdict is None:
            accepted(world.verify_at(commit))
        else:
            refused(world.verify_at(commit), (commit, verdict))


# Newcomers


def test_a_member_comes_in_and_commits_in_one_push(world: World) -> None:
    """DESIGN 7.2: free for whoever commits, Bob here, or Carol herself: the organisation's log vouches for her."""
    organisation, main, files = guild(world)
    now, _ = enrolled(files, world.root, organisation, world.carol, "member")
    by_bob = world.repo.commit(now, [main], world.bob)
    by_herself = world.repo.commit(now, [main], world.carol)
    world.advance(main)
    for commit in (by_bob, by_herself):
        late = world.repo.commit({**now, "other": b"1"}, [commit], world.carol)
        late_is_accepted(world, main, late, {**now, "other": b"1"})
        accepted(world.verify_at(late))


def test_whom_nobody_has_invited_does_not_come_in(world: World) -> None:
    """Row 61: neither without a grant, nor by the grant to another, nor by one that is not sealed."""
    organisation, main, files = guild(world)
    other, _ = enrolled(files, world.root, organisation, world.carol, "member")
    unsealed = grant(organisation, world.mallory, world.root, "member")
    for brought in (files, other, {**other, **unsealed.entry}):
        for signer in (world.bob, world.mallory, world.carol, organisation):
            bad = world.repo.commit({**brought, **logs(world.mallory)}, [main], signer)
            answer = world.verify_at(bad)
            expected = CHANGED if signer.did in (world.bob.did, organisation.did) or brought is not files else None
            assert answer.code == 1
            assert list(answer.verdicts) == [bad]
            assert expected is None or answer.verdicts[bad] == CHANGED


@pytest.mark.parametrize("number", [64, 65])
def test_an_organisation_brings_in_sixty_four(world: World, number: int) -> None:
    """Row 61: members, by one event that seals them all."""
    organisation, main, files = guild(world)
    members = [Person("Member", 200 + n) for n in range(number)]
    given = [grant(organisation, member, world.root, "member") for member in members]
    organisation.log.interact(*(one.seal for one in given))
    files |= {**logs(organisation, *members), **{one.path: one.file for one in given}}
    commit = world.repo.commit(files, [main], world.bob)
    if number <= 64:
        accepted(world.verify_at(commit))
    else:
        refused(world.verify_at(commit), (commit, CHANGED))
        accepted(world.verify_at(world.repo.commit(files, [main], world.alice)))


def test_members_and_their_devices_share_the_sixty_four(world: World) -> None:
    """Row 61: else each member would bring in as many again."""
    organisation, main, files = guild(world)
    files, _ = enrolled(files, world.root, organisation, world.carol, "member")
    devices = [Person("Device", 200 + n, delegator=world.carol) for n in range(64)]
    files |= logs(organisation, world.carol)
    most = world.repo.commit({**files, **logs(*devices[:-1])}, [main], world.bob)
    accepted(world.verify_at(most))
    for parent in (main, most):
        bad = world.repo.commit({**files, **logs(*devices)}, [parent], world.bob)
        refused(world.verify_at(bad), (bad, CHANGED))
