"""core/authority.py: who may act for whom, by what the logs have sealed."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest

from git_auths.core import cesr, grants, seals
from git_auths.core.authority import NOBODY, Authority, ledger, together
from git_auths.core.grants import Grant
from git_auths.core.kel import Kel
from tests.kels import GrowingLog

ROOT = "ab" * 20
DAY = 86400
COMMIT, RELEASE = "sign_commit", "sign_release"


def did(log: GrowingLog) -> str:
    return log.kel.did


def given(issuer: GrowingLog, subject: GrowingLog, kind: str = "device", until: int = 100 * DAY,
          capabilities: tuple[str, ...] = (COMMIT,), model: str | None = None) -> Grant:  # fmt: skip
    return Grant(ROOT, did(issuer), did(subject), kind, capabilities, 0, until, model=model)


def digest(grant: Grant) -> str:
    return grants.digest(grants.payload(grant))


def sealed(issuer: GrowingLog, subject: GrowingLog, kind: str = "device", **fields: Any) -> Grant:
    """The grant, sealed by its issuer's log."""
    grant = given(issuer, subject, kind, **fields)
    issuer.interact(seals.grant(digest(grant)))
    return grant


def authority(logs: Iterable[GrowingLog], *known: Grant) -> Authority:
    """As a tree has it: the grants that their issuers have sealed."""
    kels = {log.kel.aid: log.kel for log in logs}
    return Authority(kels, {digest(one): one for one in known if digest(one) in ledger(kels[one.issuer[9:]]).granted})


def principals(found: Authority, log: GrowingLog, *listed: GrowingLog, capability: str | None = COMMIT) -> list[str]:
    return [right.principal for right in found.rights(did(log), [did(one) for one in listed], capability)]


def compromise(log: GrowingLog, since: int, *anchors: object, said: str | None = None) -> None:
    said = said or log.kel.events[since].said
    log.rotate(anchors=[seals.compromise(since, said, 1_780_000_000), *anchors])


@pytest.fixture
def owner() -> GrowingLog:
    return GrowingLog(1)


# The ledger


def test_a_ledger_has_the_seals_of_each_shape_by_their_places(owner: GrowingLog) -> None:
    device = GrowingLog(2, delegator=owner)  # event 1
    owner.interact(seals.grant("ab" * 32), seals.revocation(device.kel.aid), seals.grant("ab" * 32))
    found = ledger(owner.kel)
    assert {name: list(places) for name, places in found.granted.items()} == {"ab" * 32: [(2, 0), (2, 2)]}
    assert found.revoked == {device.kel.aid: (2, 1)}
    delegated = {name: list(places) for name, places in found.delegated.items()}
    assert delegated == {(device.kel.aid, "0", device.kel.said): [(1, 0)]}
    assert not found.void


def test_what_is_of_another_shape_is_other_peoples_business(owner: GrowingLog) -> None:
    aid = owner.kel.aid
    owner.interact({"auths": "grant/2", "d": "ab" * 32}, {"d": "ab" * 32, "auths": "grant/1"}, "text", ["x"], 7, None,
                   {"s": "0", "i": aid, "d": aid}, {"i": aid, "s": "0", "d": aid, "x": 1}, {"i": aid, "s": 0, "d": aid},
                   {"auths": "revoke/1", "i": "x"}, {"d": aid})  # fmt: skip
    found = ledger(owner.kel)
    assert not (found.granted or found.delegated or found.revoked or found.void)


def test_a_compromise_voids_from_its_event_to_the_declaring_one(owner: GrowingLog) -> None:
    owner.interact(seals.grant("aa" * 32)).interact(seals.grant("bb" * 32))
    compromise(owner, 2, seals.grant("cc" * 32))
    found = ledger(owner.kel)
    assert list(found.void) == [(2, 3)]
    stands = {name[:2]: found.stands(places, "x") for name, places in found.granted.items()}
    assert stands == {"aa": True, "bb": False, "cc": True}


@pytest.mark.parametrize("since", [0, 1, 2, 3, 7])
def test_a_compromise_of_no_event_of_the_log_voids_all(owner: GrowingLog, since: int) -> None:
    owner.interact(seals.grant("aa" * 32)).interact(seals.grant("bb" * 32))
    compromise(owner, since, said=cesr.digest(b"another event"))
    assert list(ledger(owner.kel).void) == [(0, 3)]


def test_a_compromise_is_declared_by_a_rotation_alone(owner: GrowingLog) -> None:
    owner.interact(seals.compromise(0, owner.kel.said, 1_780_000_000))
    assert not ledger(owner.kel).void


def test_a_longer_log_has_a_ledger_of_its_own(owner: GrowingLog) -> None:
    before = owner.kel
    owner.interact(seals.grant("aa" * 32))
    assert (len(ledger(before).granted), len(ledger(owner.kel).granted), len(ledger(before).granted)) == (0, 1, 0)


# Rights


def test_who_is_listed_has_the_right_by_himself_and_nobody_else_has(owner: GrowingLog) -> None:
    other = GrowingLog(2)
    found = authority([owner, other])
    (right,) = found.rights(did(owner), [did(owner)], COMMIT)
    assert (right.listed, right.principal, right.grants, right.is_person, right.expires_at) == \
        (did(owner), did(owner), (), True, None)  # fmt: skip
    assert found.rights(did(other), [did(owner)], COMMIT) == []
    assert NOBODY.rights(did(owner), [did(owner)], COMMIT) == []  # a log that is held back could name a delegator


def test_a_device_has_what_its_grant_says(owner: GrowingLog) -> None:
    device = GrowingLog(2, delegator=owner)
    grant = sealed(owner, device)
    found = authority([owner, device], grant)
    (right,) = found.rights(did(device), [did(owner)], COMMIT)
    assert (right.listed, right.principal, right.grants, right.is_agent, right.is_person, right.expires_at) == \
        (did(owner), did(owner), (grant,), False, True, grant.expires_at)  # fmt: skip
    assert found.rights(did(device), [did(owner)], RELEASE) == []
    assert found.rights(did(device), [did(owner)], None) == [right]
    assert authority([owner, device]).rights(did(device), [did(owner)], None) == []


def test_a_chain_has_the_capabilities_that_each_link_has_and_the_earliest_end(owner: GrowingLog) -> None:
    device = GrowingLog(2, delegator=owner)
    agent = GrowingLog(3, delegator=device)
    first = sealed(owner, device, until=50 * DAY)
    second = sealed(device, agent, "agent", capabilities=(COMMIT, RELEASE), model="m-1")
    found = authority([owner, device, agent], first, second)
    (right,) = found.rights(did(agent), [did(owner)], COMMIT)
    assert (right.principal, right.expires_at, right.models) == (did(owner), 50 * DAY, ("m-1",))
    assert principals(found, agent, owner, capability=RELEASE) == []


def test_two_grants_deep_and_no_deeper() -> None:
    chain = [GrowingLog(number) for number in range(1, 5)]
    known = [sealed(issuer, subject, "member") for issuer, subject in pairwise(chain)]
    found = authority(chain, *known)
    assert [bool(principals(found, one, chain[0])) for one in chain] == [True, True, True, False]


def test_a_loop_ends() -> None:
    logs = [GrowingLog(number) for number in range(1, 4)]
    known = [sealed(issuer, subject, "member") for issuer in logs for subject in logs if issuer is not subject]
    found = authority(logs, *known)
    assert principals(found, logs[1], logs[0])
    assert not principals(found, logs[1])
    assert set(found.lineage(did(logs[0]))) == {log.kel.aid for log in logs}


def test_devices_and_agents_are_their_issuers_delegates_and_members_anybody(owner: GrowingLog) -> None:
    other = GrowingLog(2)
    theirs = GrowingLog(3, delegator=other)
    for subject in (other, theirs):
        for kind, count in (("device", 0), ("agent", 0), ("member", 1)):
            grant = sealed(owner, subject, kind)
            assert len(principals(authority([owner, other, theirs], grant), subject, owner)) == count


def test_a_delegate_counts_as_its_delegator_and_a_members_device_as_the_organisation(owner: GrowingLog) -> None:
    member = GrowingLog(2)
    device = GrowingLog(3, delegator=member)
    known = [sealed(owner, member, "member"), sealed(member, device)]
    found = authority([owner, member, device], *known)
    assert principals(found, device, owner) == [did(owner)]
    assert set(principals(found, device, owner, member)) == {did(member), did(owner)}
    assert found.principal(did(device)) == did(member)


def test_ones_own_listing_comes_before_any_grant(owner: GrowingLog) -> None:
    member = GrowingLog(2)
    found = authority([owner, member], sealed(owner, member, "member"))
    assert principals(found, member, owner, member) == [did(member), did(owner)]


def test_of_several_grants_the_one_that_lasts_longest_comes_first(owner: GrowingLog) -> None:
    member = GrowingLog(2)
    known = [sealed(owner, member, "member", until=day * DAY) for day in (5, 90, 40)]
    found = authority([owner, member], *known)
    assert found.rights(did(member), [did(owner)], COMMIT)[0].expires_at == 90 * DAY


def test_the_latest_of_very_many_renewals_counts(owner: GrowingLog) -> None:
    """Three a day for a few months: renewal keeps an agent's AID, and grants are append-only."""
    agent = GrowingLog(2, delegator=owner)
    known = [given(owner, agent, "agent", until=hours * 3600) for hours in range(8, 8 * 300, 8)]
    owner.interact(*(seals.grant(digest(one)) for one in known))
    found = authority([owner, agent], *sorted(known, key=digest))
    latest = max(one.expires_at for one in known)
    assert found.rights(did(agent), [did(owner)], COMMIT)[0].expires_at == latest


# Agents


def test_an_agent_is_one_whatever_its_issuer_grants_beside(owner: GrowingLog) -> None:
    agent = GrowingLog(2, delegator=owner)
    known = [sealed(owner, agent, "agent", model="m-1"), sealed(owner, agent, "device", until=200 * DAY),
             sealed(owner, agent, "member", until=300 * DAY)]  # fmt: skip
    found = authority([owner, agent], *known)
    assert [right.is_agent for right in found.rights(did(agent), [did(owner)], COMMIT)] == [True, True]  # one of each model


def test_an_agent_is_one_whoever_else_admits_it(owner: GrowingLog) -> None:
    guild, agent = GrowingLog(3), GrowingLog(2, delegator=owner)
    known = [sealed(owner, agent, "agent", model="m-1"), sealed(guild, agent, "member")]
    found = authority([owner, guild, agent], *known)
    rights = found.rights(did(agent), [did(owner), did(guild)], COMMIT)
    assert {right.principal for right in rights} <= {did(owner), did(guild)}
    assert all(right.is_agent for right in rights)


def test_what_an_agent_grants_is_an_agents(owner: GrowingLog) -> None:
    agent = GrowingLog(2, delegator=owner)
    helper, member = GrowingLog(3, delegator=agent), GrowingLog(4)
    known = [sealed(owner, agent, "agent", model="m-1"), sealed(agent, helper, "agent", model="m-2"),
             sealed(agent, member, "member")]  # fmt: skip
    found = authority([owner, agent, helper, member], *known)
    models = [found.rights(did(one), [did(owner)], COMMIT)[0].models for one in (helper, member)]
    assert models == [("m-2", "m-1"), ("m-1",)]


def test_an_agent_that_is_listed_is_still_one(owner: GrowingLog) -> None:
    agent = GrowingLog(2, delegator=owner)
    found = authority([owner, agent], sealed(owner, agent, "agent"))
    (right,) = found.rights(did(agent), [did(agent)], COMMIT)
    assert (right.is_agent, right.is_person, right.principal) == (True, False, did(owner))


def test_a_listed_delegate_is_a_person_by_a_grant_as_a_device_alone(owner: GrowingLog) -> None:
    device = GrowingLog(2, delegator=owner)
    (right,) = authority([owner, device]).rights(did(device), [did(device)], COMMIT)
    assert (right.is_agent, right.is_person, right.principal) == (False, False, did(owner))
    (right,) = authority([owner, device], sealed(owner, device)).rights(did(device), [did(device)], COMMIT)
    assert right.is_person


# What ends


def test_a_revocation_ends_the_grants_and_the_delegation_before_it(owner: GrowingLog) -> None:
    device, member = GrowingLog(2, delegator=owner), GrowingLog(3)
    known = [sealed(owner, device), sealed(owner, member, "member")]
    owner.interact(seals.revocation(device.kel.aid), seals.revocation(member.kel.aid))
    found = authority([owner, device, member], *known)
    assert not found.stands(did(device))
    assert found.stands(did(member))
    assert [principals(found, one, owner) for one in (device, member)] == [[], []]
    assert principals(found, member, owner, member) == [did(member)]
    assert not principals(found, device, device)
    owner.interact(seals.grant(digest(known[1])))
    assert principals(authority([owner, device, member], *known), member, owner) == [did(owner)]


def test_a_delegate_stands_by_every_establishment_event(owner: GrowingLog) -> None:
    device = GrowingLog(2, delegator=owner)
    since = owner.kel.sn + 1
    device.rotate()
    compromise(owner, since)
    assert not authority([owner, device]).stands(did(device))
    drt = device.kel.establishments()[-1]
    owner.interact({"i": device.kel.aid, "s": f"{drt.sn:x}", "d": drt.said})
    assert authority([owner, device]).stands(did(device))


def test_a_delegates_delegate_falls_with_it(owner: GrowingLog) -> None:
    device = GrowingLog(2, delegator=owner)
    agent = GrowingLog(3, delegator=device)
    known = [sealed(owner, device), sealed(device, agent)]
    owner.interact(seals.revocation(device.kel.aid))
    found = authority([owner, device, agent], *known)
    assert not found.stands(did(agent))
    assert not principals(found, agent, owner)


def test_a_delegate_without_its_delegators_log_does_not_stand(owner: GrowingLog) -> None:
    device = GrowingLog(2, delegator=owner)
    assert not authority([device]).stands(did(device))


def test_a_revocation_in_the_time_in_doubt_holds(owner: GrowingLog) -> None:
    device = GrowingLog(2, delegator=owner)
    grant = sealed(owner, device)
    owner.interact(seals.revocation(device.kel.aid))
    compromise(owner, owner.kel.sn)
    assert not principals(authority([owner, device], grant), device, owner)


def test_what_may_not_is_told_in_words(owner: GrowingLog) -> None:
    device, member, stranger = GrowingLog(2, delegator=owner), GrowingLog(3), GrowingLog(4)
    known = [sealed(owner, device), sealed(owner, member, "member")]

    def why(log: GrowingLog, capability: str = COMMIT) -> str:
        found = authority([owner, device, member, stranger], *known)
        return found.why_not(did(log), [did(owner)], capability, "policy.commit[0]")

    assert why(stranger) == f"{did(stranger)} is not listed in policy.commit[0]"
    assert "is granted sign_commit, not sign_release" in why(member, RELEASE)
    owner.interact(seals.revocation(device.kel.aid), seals.revocation(member.kel.aid))
    assert "the delegation of" in why(device)
    assert "has been revoked" in why(member)


def test_what_is_not_here_is_not_said_to_be_revoked(owner: GrowingLog) -> None:
    before = owner.kel
    device = GrowingLog(2, delegator=owner)
    grant = sealed(owner, device)

    def why(kels: list[Kel], *known: Grant) -> str:
        found = Authority({kel.aid: kel for kel in kels}, {digest(one): one for one in known})
        return found.why_not(did(device), [did(owner)], COMMIT, "policy.commit[0]")

    assert why([device.kel]) == f"the log of {did(owner)}, which delegates to {did(device)}, is not here, or forks"
    assert why([owner.kel], grant) == f"the log of {did(device)} is not here, or forks"
    assert why([before, device.kel]) == f"the log of {did(owner)} that is here does not seal event 0 of {did(device)}"


# Two trees


def test_of_two_trees_the_longer_log_and_the_grants_of_both(owner: GrowingLog) -> None:
    device, member = GrowingLog(2, delegator=owner), GrowingLog(3)
    first, second = sealed(owner, device), given(owner, member, "member")
    own = authority([owner, device], first)
    owner.interact(seals.grant(digest(second)))
    mainline = authority([owner, member], second)
    for both in (together(own, mainline), together(mainline, own)):
        assert set(both.grants) == {digest(first), digest(second)}
        assert principals(both, device, owner) and principals(both, member, owner)
    owner.interact(seals.revocation(device.kel.aid))
    later = authority([owner, member], second)
    for both in (together(own, later), together(later, own)):
        assert not principals(both, device, owner)
        assert principals(both, member, owner) == ([did(owner)])


def test_a_file_in_one_tree_and_its_seal_in_the_other_count_together(owner: GrowingLog) -> None:
    """What is put together holds grants that are sealed in their own tree: a file alone there is nothing to put."""
    member = GrowingLog(3)
    grant = given(owner, member, "member")
    without_seal = Authority({owner.kel.aid: owner.kel}, {digest(grant): grant})
    other = GrowingLog(7)
    both = together(without_seal, authority([other]))
    assert both.grants == {}


def test_logs_that_fork_are_nobodys() -> None:
    here, there = GrowingLog(1), GrowingLog(1)
    members = [GrowingLog(2), GrowingLog(3)]
    known = [sealed(log, member, "member") for log, member in zip((here, there), members, strict=True)]
    both = together(authority([here, members[0]], known[0]), authority([there, members[1]], known[1]))
    assert here.kel.aid not in both.kels
    assert both.grants == {}
    assert [principals(both, member, here) for member in members] == [[], []]


def test_a_delegate_of_a_log_that_forks_does_not_stand() -> None:
    here, there = GrowingLog(1), GrowingLog(1)
    device = GrowingLog(2, delegator=here)
    there.interact(seals.grant("ab" * 32))
    assert not together(authority([here, device]), authority([there])).stands(did(device))


def test_one_tree_and_itself_or_an_empty_one_is_that_tree(owner: GrowingLog) -> None:
    own = authority([owner])
    assert together(own, own) is own
    assert together(own, NOBODY) is own


# Hardware keys


def test_a_hardware_key_is_a_device_without_a_log_and_revoked_by_its_digest(owner: GrowingLog) -> None:
    blob = b"\0\0\0\x1ask-ssh-ed25519@openssh.com" + b"\0\0\0\x20" + bytes(32) + b"\0\0\0\x04ssh:"
    subject = grants.hardware_subject(blob)
    grant = Grant(ROOT, did(owner), subject, "device", (COMMIT,), 0, DAY, key=blob)
    owner.interact(seals.grant(digest(grant)))
    found = authority([owner], grant)
    (right,) = found.rights(subject, [did(owner)], COMMIT)
    assert (right.principal, right.is_person) == (did(owner), True)
    assert found.principal(subject) == subject
    owner.interact(seals.revocation(cesr.digest(blob)))
    assert authority([owner], grant).rights(subject, [did(owner)], COMMIT) == []
