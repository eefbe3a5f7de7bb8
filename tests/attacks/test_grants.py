"""Attacks with devices: what a grant lets them do, that nobody has granted, not any more, or not for this."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path

import pytest

from git_auths.core import kelbuild
from tests.attacks.forge import (
    NOW,
    Granted,
    Key,
    Person,
    Rule,
    World,
    accepted,
    approval,
    auths,
    delegation,
    described,
    enrolled,
    envelope,
    git_says_good,
    grant,
    kel_path,
    logs,
    refused,
    revocation,
    ssh_blob,
    with_rules,
)
from tests.attacks.test_clock import DAY, at
from tests.attacks.test_foxtrots import inverted
from tests.attacks.test_pushes import Gate, published, server  # noqa: F401
from tests.attacks.test_receptions import AT_RECEPTION, CHANGED, Files, late_is_accepted, late_is_refused
from tests.attacks.test_tags import approve, count
from tests.kels import keys, signatures
from tests.kels import signer as key_number


def device_of(owner: Person, number: int = 60, name: str = "Device") -> Person:
    return Person(name, number, delegator=owner)


def with_device(world: World, **fields: object) -> tuple[Person, Granted, str, dict[str, bytes]]:
    """Bob has a device: it, its grant, the mainline with both, its files."""
    device = device_of(world.bob)
    files, given = enrolled(world.files, world.root, world.bob, device, **fields)
    return device, given, world.repo.commit(files, [world.tip], world.bob), files


def utc(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


# What a device may do


def test_a_device_signs_as_its_owner(world: World) -> None:
    """Without it every test below would prove nothing."""
    device, _, main, files = with_device(world)
    commit = world.repo.commit({**files, "src": b"2"}, [main], device)
    accepted(world.verify_at(commit))
    found = described(world, commit)
    assert (found["verdict"], found["signer"], found["principal"]) == ("good", device.did, world.bob.did)
    late = world.repo.commit({**files, "other": b"1"}, [main], device)
    late_is_accepted(world, commit, late, {**files, "src": b"2", "other": b"1"})


def test_a_device_of_a_device_signs_as_their_owner(world: World) -> None:
    """DESIGN 4: depth 2 at most; an agent of the device here."""
    device = device_of(world.bob)
    agent = device_of(device, 61, "Agent")
    files, _ = enrolled(world.files, world.root, world.bob, device)
    files, _ = enrolled(files, world.root, device, agent, "device")
    files |= logs(world.bob, device)
    commit = world.repo.commit(files, [world.repo.commit(files, [world.tip], world.bob)], agent)
    accepted(world.verify_at(commit))
    assert described(world, commit)["principal"] == world.bob.did


def test_a_device_does_what_its_grant_says_and_no_more(world: World) -> None:
    """DESIGN 4 and 6: rights are the intersection, down the chain."""
    device = device_of(world.alice)
    files, _ = enrolled(world.files, world.root, world.alice, device, capabilities=["sign_commit"])
    main = world.repo.commit(files, [world.tip], world.alice)
    rules = [Rule("commit", [world.alice, world.bob, world.carol]), *world.rules[1:]]
    changed = {**files, **auths(rules, [world.alice, world.bob, world.carol])}
    bad = world.repo.commit(changed, [main], device)
    refused(world.verify_at(bad), (bad, CHANGED))
    tag = world.repo.tag("v1.0", main, device)
    world.advance(main)
    approve(world, tag, "v1.0", main)
    refused(world.repo.verify_tag("v1.0"), (tag, "unauthorized"))
    admin = device_of(world.alice, 61)
    files, _ = enrolled(files, world.root, world.alice, admin, capabilities=["sign_commit", "manage_members"])
    main = world.repo.commit(files, [main], world.alice)
    changed = {**files, **auths(rules, [world.alice, world.bob, world.carol])}
    accepted(world.verify_at(world.repo.commit(changed | logs(world.alice), [main], admin)))


def test_the_owner_passes_on_what_he_has_himself_alone(world: World) -> None:
    """DESIGN 4: Bob is no admin, so nor is what he grants that to."""
    device, _, main, files = with_device(world, capabilities=["sign_commit", "manage_members"])
    changed = {**files, **auths([*world.rules[:2], Rule("admin", [world.bob])], [world.alice, world.bob])}
    bad = world.repo.commit({**changed, **logs(world.bob)}, [main], device)
    refused(world.verify_at(bad), (bad, CHANGED))


def test_a_device_that_may_only_release_does_not_commit(world: World) -> None:
    """DESIGN 4: capability missing, of itself and of the device between."""
    device, _, main, files = with_device(world, capabilities=["sign_release"])
    bad = world.repo.commit({**files, "src": b"2"}, [main], device)
    refused(world.verify_at(bad), (bad, "unauthorized"))
    second = device_of(device, 61)
    files, _ = enrolled(files, world.root, device, second, capabilities=["sign_commit"])
    main = world.repo.commit(files | logs(world.bob, device), [main], world.bob)
    bad = world.repo.commit({**files, "src": b"2"}, [main], second)
    refused(world.verify_at(bad), (bad, "unauthorized"))


def test_a_device_and_its_owner_are_one(world: World) -> None:
    """Rows 31 and 66: whichever signs, and of two devices as well; with somebody else they are two."""
    first, second = device_of(world.bob), device_of(world.bob, 61)
    rules = [Rule("commit", [world.alice, world.bob], 2), *world.rules[1:]]
    files, _ = enrolled(with_rules(world, rules), world.root, world.bob, first)
    files, _ = enrolled(files, world.root, world.bob, second)
    main = world.repo.commit(files, [world.tip], world.alice)
    for signer, approver in ((first, world.bob), (world.bob, first), (first, second)):
        commit = world.repo.commit({**files, "src": b"2"}, [main], signer)
        world.repo.notes({commit: [envelope(approver, approval(approver, world.root, commit))]})
        refused(world.verify_at(commit), (commit, "threshold-unmet"))
    for signer, approver in ((first, world.alice), (world.alice, second)):
        commit = world.repo.commit({**files, "src": b"2"}, [main], signer)
        world.repo.notes({commit: [envelope(approver, approval(approver, world.root, commit))]})
        accepted(world.verify_at(commit))


def test_a_rotated_device_signs_with_its_new_key_and_not_with_the_old(world: World) -> None:
    """DESIGN 4: a delegate's rotation counts once its delegator has sealed it."""
    device, _, main, files = with_device(world)
    old = device.signing
    late = world.repo.commit({**files, "other": b"1"}, [main], device)
    device.log.rotate()
    files = {**files, **logs(world.bob, device)}
    main = world.repo.commit(files, [main], world.bob)
    accepted(world.verify_at(world.repo.commit({**files, "src": b"2"}, [main], device)))
    bad = world.repo.commit({**files, "src": b"2"}, [main], old)
    refused(world.verify_at(bad), (bad, "superseded-key"))
    late_is_accepted(world, main, late, {**files, "other": b"1"})


def test_a_rotation_that_the_owner_has_not_sealed_is_none(world: World) -> None:
    """DESIGN 4: neither to its new key nor for anybody else; and a seal for it in another's log is no seal."""
    device, _, main, files = with_device(world)
    following = Person("Next", 62).log
    event = kelbuild.rotation(
        device.log.kel, [one.key for one in device.log.next], [following.current[0].key.commitment]
    )
    drt = kelbuild.with_signatures(event, signatures(event, device.log.next))
    world.alice.log.interact(kelbuild.event_seal(event))
    stolen = {**files, kel_path(device): device.log.stream + drt, **logs(world.alice)}
    for signer in (device.log.next[0], device, world.bob):
        bad = world.repo.commit(stolen, [main], signer)
        refused(world.verify_at(bad), (bad, "kel-invalid"))


def test_nobody_takes_a_commit_from_a_device_by_a_log_with_its_key(world: World) -> None:
    """Row 32: whoever's AID stands first; what the owner has granted decides."""
    device, _, _, files = with_device(world)
    twins = []
    for number in range(4700, 4708):
        event = kelbuild.inception(keys(device.log.current), [key_number(number).key.commitment])
        message = kelbuild.with_signatures(event, signatures(event, device.log.current))
        twins.append((kelbuild.said(event), message))
    assert min(twins)[0] < device.aid < max(twins)[0]
    for aid, stream in (min(twins), max(twins)):
        now = {**files, f".auths/kels/{aid}.cesr": stream}
        main = world.repo.commit(now, [world.tip], world.alice)
        commit = world.repo.commit({**now, "src": b"2"}, [main], device)
        accepted(world.verify_at(commit))
        assert described(world, commit)["signer"] == device.did


# What is missing


def without_seal(world: World, device: Person) -> Files:
    return {**logs(world.bob, device), **grant(world.bob, device, world.root).entry}


def without_file(world: World, device: Person) -> Files:
    files, given = enrolled({}, world.root, world.bob, device)
    return {path: content for path, content in files.items() if path != given.path}


def with_another_content(world: World, device: Person) -> Files:
    files, given = enrolled({}, world.root, world.bob, device, capabilities=["sign_release"])
    return {**files, given.path: grant(world.bob, device, world.root).file}


def with_another_grants_content(world: World, device: Person) -> Files:
    """Both are sealed, and each stands under its own name or not at all."""
    files, given = enrolled({}, world.root, world.bob, device)
    other = grant(world.bob, device, world.root, capabilities=["sign_release"])
    world.bob.log.interact(other.seal)
    del files[given.path]
    return {**files, **logs(world.bob), other.path: given.file}


def for_another_root(world: World, device: Person) -> Files:
    return enrolled({}, world.tip, world.bob, device)[0]


def in_somebody_elses_name(world: World, device: Person) -> Files:
    """Bob has sealed what says that Alice grants it."""
    return enrolled({}, world.root, world.bob, device, issuer=world.alice.did)[0]


def sealed_by_somebody_else(world: World, device: Person) -> Files:
    given = grant(world.bob, device, world.root)
    world.alice.log.interact(given.seal)
    return {**logs(world.alice, world.bob, device), **given.entry}


def by_somebody_elses_grant(world: World, device: Person) -> Files:
    """It is Bob's delegate: Alice makes it no device of hers."""
    return {**enrolled({}, world.root, world.alice, device)[0], **logs(world.bob)}


def for_another_delegate(world: World, device: Person) -> Files:
    return {**enrolled({}, world.root, world.bob, device_of(world.bob, 61))[0], **logs(device)}


def delegated_alone(world: World, device: Person) -> Files:
    return logs(world.bob, device)


def under_another_name(world: World, device: Person) -> Files:
    files, given = enrolled({}, world.root, world.bob, device)
    del files[given.path]
    return {**files, ".auths/grants/" + "ab" * 32 + ".json": given.file}


def without_its_suffix(world: World, device: Person) -> Files:
    files, given = enrolled({}, world.root, world.bob, device)
    del files[given.path]
    return {**files, given.path.removesuffix(".json"): given.file}


def of_another_kind(world: World, device: Person) -> Files:
    return enrolled({}, world.root, world.bob, device, "admin")[0]


MISSING = [without_seal, without_file, with_another_content, with_another_grants_content, for_another_root, in_somebody_elses_name,
           sealed_by_somebody_else, by_somebody_elses_grant, for_another_delegate, delegated_alone, under_another_name,
           without_its_suffix, of_another_kind]  # fmt: skip


@pytest.mark.parametrize("missing", MISSING, ids=lambda build: build.__name__.replace("_", " "))
def test_what_lacks_anything_gives_no_right(world: World, missing: Callable[[World, Person], Files]) -> None:
    """Row 66: no capability; though an admin has let it all in."""
    device = device_of(world.bob)
    files = {**world.files, **missing(world, device)}
    main = world.repo.commit(files, [world.tip], world.alice)
    accepted(world.verify_at(main))
    bad = world.repo.commit({**files, "src": b"2"}, [main], device)
    (found,) = refused(world.verify_at(bad), (bad, "unauthorized"))
    assert found["signer"] == device.did
    late_is_refused(world, main, bad, {**files, "src": b"2"}, (bad, "unauthorized"))


def test_who_is_nobodys_delegate_becomes_a_device_by_no_grant(world: World) -> None:
    """DESIGN 4: devices and agents are delegated AIDs. As a member it would count."""
    for kind in ("device", "agent"):
        files, _ = enrolled(world.files, world.root, world.bob, world.carol, kind)
        main = world.repo.commit(files, [world.tip], world.alice)
        bad = world.repo.commit({**files, "src": b"2"}, [main], world.carol)
        refused(world.verify_at(bad), (bad, "unauthorized"))


def test_nobody_grants_anything_to_himself(world: World) -> None:
    """Carol is unlisted, Bob no admin."""
    rules = [Rule("admin", [world.bob])]
    for one in (world.carol, world.bob):
        files, _ = enrolled(with_rules(world, world.rules, world.carol), world.root, one, one, "member",
                            capabilities=["sign_commit", "manage_members"])  # fmt: skip
        main = world.repo.commit(files, [world.tip], world.alice)
        changed = {**files, **auths([*world.rules[:2], *rules], [world.alice, world.bob])}
        bad = world.repo.commit({**changed, **logs(one)}, [main], one)
        refused(world.verify_at(bad), (bad, CHANGED))
    bad = world.repo.commit({**files, **logs(world.carol), "src": b"2"}, [main], world.carol)
    assert list(world.verify_at(bad).verdicts.values()) == ["unauthorized"]


def test_a_loop_of_grants_leads_nowhere_and_ends(world: World) -> None:
    """Carol invites Mallory, Mallory Carol; with Bob's grant to one of them both are his."""
    files, _ = enrolled(world.files, world.root, world.carol, world.mallory, "member")
    files, _ = enrolled(files, world.root, world.mallory, world.carol, "member")
    main = world.repo.commit(files, [world.tip], world.alice)
    for one in (world.carol, world.mallory):
        bad = world.repo.commit({**files, "src": b"2"}, [main], one)
        refused(world.verify_at(bad), (bad, "unauthorized"))
    files, _ = enrolled(files, world.root, world.bob, world.carol, "member")
    main = world.repo.commit(files, [main], world.bob)
    for one in (world.carol, world.mallory):
        commit = world.repo.commit({**files, "src": b"2"}, [main], one)
        accepted(world.verify_at(commit))
        assert described(world, commit)["principal"] == world.bob.did


def test_three_grants_deep_is_too_deep(world: World) -> None:
    """DESIGN 4: depth 2 at most."""
    second, third = Person("Second", 61), Person("Third", 62)
    chain = [world.bob, world.carol, second, third]
    files = dict(world.files)
    for issuer, subject in pairwise(chain):
        files, _ = enrolled(files, world.root, issuer, subject, "member")
    main = world.repo.commit(files, [world.tip], world.alice)
    accepted(world.verify_at(world.repo.commit({**files, "src": b"2"}, [main], second)))
    bad = world.repo.commit({**files, "src": b"2"}, [main], third)
    refused(world.verify_at(bad), (bad, "unauthorized"))


@pytest.mark.parametrize("number", [300, 310])
def test_three_delegations_deep_is_too_deep(world: World, number: int) -> None:
    """DESIGN 4: the log itself is not taken, in whatever order the names of the logs stand."""
    chain = [world.bob]
    for deep in range(3):
        chain.append(Person("Deeper", number + deep, delegator=chain[-1]))
    files = {**world.files, **logs(*chain[:3])}
    main = world.repo.commit(files, [world.tip], world.alice)
    accepted(world.verify_at(main))
    bad = world.repo.commit({**files, **logs(*chain)}, [main], world.alice)
    refused(world.verify_at(bad), (bad, "kel-invalid"))


def test_whoever_is_delegated_three_deep_is_no_second_principal(world: World) -> None:
    """Row 31: the rule lists it beside Bob, and takes two."""
    chain = [world.bob]
    for number in (300, 301, 302):
        chain.append(Person("Deeper", number, delegator=chain[-1]))
    files = with_rules(world, [Rule("commit", [world.alice, world.bob, chain[3]], 2), *world.rules[1:]], *chain)
    main = world.repo.commit(files, [world.tip], world.alice)
    commit = world.repo.commit({**files, "src": b"2"}, [main], chain[3])
    world.repo.notes({commit: [envelope(world.bob, approval(world.bob, world.root, commit))]})
    assert world.verify_at(commit).code == 1


# What has ended


def test_a_grant_ends_with_its_day(world: World) -> None:
    """Rows 17 and 18: by the commit's own date, and by the clock where that is set back; what came in time stays."""
    end = NOW + 10 * DAY
    device, _, _, files = with_device(world, expires_at=utc(end))
    start = at(world, NOW + DAY, [world.tip], world.bob, files)
    last = at(world, end - 1, [start], device, files, src="2")
    late_is_accepted(world, start, last, {**files, "src": b"2"})
    bad = at(world, end, [last], device, files, src="3")
    late_is_refused(world, last, bad, {**files, "src": b"3"}, (bad, "expired"))
    later = at(world, end, [last], world.bob, files, src="4")
    accepted(world.verify_at(later))
    for parent in (start, last, later):
        bad = at(world, NOW + 2 * DAY, [parent], device, files, other="1")
        late_is_refused(world, later, bad, {**files, "src": b"4", "other": b"1"}, (bad, "expired"))


def test_a_chain_ends_with_its_first_link(world: World) -> None:
    """DESIGN 4: the intersection, of terms too, whichever link it is."""
    ends = utc(NOW + 10 * DAY)
    for first, second in ((ends, utc(NOW + 90 * DAY)), (utc(NOW + 90 * DAY), ends)):
        files, _ = enrolled(world.files, world.root, world.bob, world.carol, "member", expires_at=first)
        files, _ = enrolled(files, world.root, world.carol, world.mallory, "member", expires_at=second)
        start = at(world, NOW + DAY, [world.tip], world.alice, files)
        accepted(world.verify_at(at(world, NOW + 9 * DAY, [start], world.mallory, files, src="2")))
        bad = at(world, NOW + 10 * DAY, [start], world.mallory, files, src="2")
        refused(world.verify_at(bad), (bad, "expired"))


def test_a_renewed_grant_goes_on(world: World) -> None:
    """The later of two; what only the branch has does not prolong what the mainline gave."""
    end = NOW + 10 * DAY
    device, _, _, files = with_device(world, expires_at=utc(end))
    start = at(world, NOW + DAY, [world.tip], world.bob, files)
    renewed, _ = enrolled(files, world.root, world.bob, device, expires_at=utc(end + 90 * DAY))
    main = at(world, NOW + 2 * DAY, [start], world.bob, renewed)
    accepted(world.verify_at(at(world, end + DAY, [main], device, renewed, src="2")))


def test_an_earlier_commit_of_the_branch_does_not_prolong_a_grant(world: World) -> None:
    """DESIGN 4: past the grant in its own tree it is refused, though the mainline's was renewed meanwhile; whether the
    same device has been good on that branch before, or not."""
    end = NOW + 10 * DAY
    device, _, _, files = with_device(world, expires_at=utc(end))
    start = at(world, NOW + DAY, [world.tip], world.bob, files)
    renewed, _ = enrolled(files, world.root, world.bob, device, expires_at=utc(end + 90 * DAY))
    world.advance(at(world, NOW + 2 * DAY, [start], world.bob, renewed))
    first = at(world, end - DAY, [start], device, files, other="1")
    accepted(world.repo.verify(first))
    for parent in (start, first):
        bad = at(world, end + DAY, [parent], device, files, other="2")
        refused(world.repo.verify(bad), (bad, "expired"))


@pytest.mark.parametrize("side", ["server", "client"])
def test_a_push_is_judged_by_the_time_of_day(
    world: World,
    side: str,
    tmp_path: Path,
    published: Path,  # noqa: F811
) -> None:
    """DESIGN 7.7: the repository's clock stands before the grant's end, the wall clock behind it."""
    device, _, main, files = with_device(world, expires_at=utc(NOW + 10 * DAY))
    gate = Gate(world, tmp_path / "server.git", side, published)
    gate.takes(f"{main}:refs/heads/main")
    bad = world.repo.commit({**files, "src": b"2"}, [main], device)
    accepted(world.verify_at(bad))
    gate.refuses(f"{bad}:refs/heads/main", verdict="expired", object_id=bad)
    gate.refuses(f"{bad}:refs/heads/topic", verdict="expired", object_id=bad)


def revoked(world: World, device: Person, parent: str, files: Files) -> tuple[str, dict[str, bytes]]:
    """Bob revokes the device: the mainline's new tip, its files."""
    world.bob.log.interact(revocation(device))
    files = {**files, **logs(world.bob)}
    return world.repo.commit(files, [parent], world.bob), files


def test_a_revoked_device_signs_nothing_more(world: World) -> None:
    """Row 66: on top of it, and from before it, as a branch and merged; what was received before stays."""
    device, _, main, files = with_device(world)
    before = world.repo.commit({**files, "src": b"2"}, [main], device)
    old = world.repo.commit({**files, "other": b"1"}, [main], device)
    main, now = revoked(world, device, before, {**files, "src": b"2"})
    accepted(world.verify_at(main))
    late_is_refused(world, main, old, {**now, "other": b"1"}, (old, AT_RECEPTION))
    bad = world.repo.commit({**now, "other": b"1"}, [main], device)
    late_is_refused(world, main, bad, {**now, "other": b"1"}, (bad, "unauthorized"))


def test_a_revoked_device_does_not_become_the_mainline(world: World) -> None:
    """Rows 59 and 66: by a merge whose first parent is what it signed, though the policy is the same on both sides."""
    device, _, main, files = with_device(world)
    old = world.repo.commit({**files, "other": b"1"}, [main], device)
    after, now = revoked(world, device, main, files)
    merge = world.repo.commit({**now, "other": b"1"}, [old, after], world.bob)
    inverted(world, merge, old)
    refused(world.verify_at(world.repo.commit({**now, "src": b"2"}, [merge], world.bob)), (merge, "mainline-inverted"))


def test_a_revoked_device_approves_nothing_more(world: World) -> None:
    """Row 66."""
    device = device_of(world.bob)
    rules = [Rule("commit", [world.alice, world.bob], 2), *world.rules[1:]]
    files, _ = enrolled(with_rules(world, rules), world.root, world.bob, device)
    main = world.repo.commit(files, [world.tip], world.alice)
    commit = world.repo.commit({**files, "src": b"2"}, [main], world.alice)
    note = {commit: [envelope(device, approval(device, world.root, commit))]}
    world.repo.notes(note)
    accepted(world.verify_at(commit))
    world.bob.log.interact(revocation(device))
    after = world.repo.commit({**files, **logs(world.bob)}, [main], world.alice)
    note[after] = [envelope(world.bob, approval(world.bob, world.root, after))]
    world.repo.notes(note)
    accepted(world.verify_at(after))
    refused(world.repo.verify(commit), (commit, "threshold-unmet"))


def test_what_is_sealed_again_after_a_revocation_counts_again(world: World) -> None:
    """DESIGN 4: a revocation ends all earlier grants and delegations; either alone is not enough."""
    device, given, main, files = with_device(world)
    main, now = revoked(world, device, main, files)
    for again, verdict in (([given.seal], "unauthorized"), ([delegation(device), given.seal, revocation(device)], "unauthorized"),
                           ([delegation(device)], None)):  # fmt: skip
        world.bob.log.interact(*again)
        now = {**now, **logs(world.bob)}
        main = world.repo.commit(now, [main], world.bob)
        commit = world.repo.commit({**now, "src": b"2"}, [main], device)
        if verdict is None:
            refused(world.verify_at(commit), (commit, "unauthorized"))
            world.bob.log.interact(given.seal)
            now = {**now, **logs(world.bob)}
            main = world.repo.commit(now, [main], world.bob)
            accepted(world.verify_at(world.repo.commit({**now, "src": b"2"}, [main], device)))
        else:
            refused(world.verify_at(commit), (commit, verdict))


def test_one_event_may_revoke_and_grant_anew(world: World) -> None:
    """In order of its seals."""
    device, given, main, files = with_device(world)
    world.bob.log.interact(revocation(device), delegation(device), given.seal)
    files = {**files, **logs(world.bob)}
    main = world.repo.commit(files, [main], world.bob)
    accepted(world.verify_at(world.repo.commit({**files, "src": b"2"}, [main], device)))


def test_nobody_else_revokes_a_device(world: World) -> None:
    """DESIGN 4: a revocation ends what its own log has sealed."""
    device, _, main, files = with_device(world)
    world.alice.log.interact(revocation(device))
    files = {**files, **logs(world.alice)}
    main = world.repo.commit(files, [main], world.alice)
    accepted(world.verify_at(world.repo.commit({**files, "src": b"2"}, [main], device)))


def test_a_revoked_device_takes_along_what_it_has_granted(world: World) -> None:
    """DESIGN 4: down the chain."""
    device, _, main, files = with_device(world)
    second = device_of(device, 61)
    files, _ = enrolled(files, world.root, device, second)
    files, _ = enrolled(files, world.root, device, world.carol, "member")
    files |= logs(world.bob, device)
    main = world.repo.commit(files, [main], world.bob)
    for one in (second, world.carol):
        accepted(world.verify_at(world.repo.commit({**files, "src": b"2"}, [main], one)))
    old = [world.repo.commit({**files, "other": b"1"}, [main], one) for one in (second, world.carol)]
    main, now = revoked(world, device, main, files)
    for late in old:
        late_is_refused(world, main, late, {**now, "other": b"1"}, (late, AT_RECEPTION))


def test_a_listed_delegate_that_was_revoked_signs_nothing_more(world: World) -> None:
    """DESIGN 4: a revocation ends its delegation, whatever the policy still says."""
    device = device_of(world.bob)
    files = with_rules(world, [Rule("commit", [world.alice, world.bob, device]), *world.rules[1:]])
    main = world.repo.commit(files, [world.tip], world.alice)
    old = world.repo.commit({**files, "other": b"1"}, [main], device)
    accepted(world.verify_at(old))
    main, now = revoked(world, device, main, files)
    late_is_refused(world, main, old, {**now, "other": b"1"}, (old, AT_RECEPTION))


def test_a_device_falls_with_its_owner(world: World) -> None:
    """Row 16: Bob is removed; of what his device signed before, what has not been received is refused."""
    device, _, main, files = with_device(world)
    old = world.repo.commit({**files, "other": b"1"}, [main], device)
    rules = [Rule("commit", [world.alice]), Rule("admin", [world.alice])]
    now = {**files, **auths(rules, [world.alice], [world.bob])}
    main = world.repo.commit(now, [main], world.alice)
    accepted(world.verify_at(main))
    late_is_refused(world, main, old, {**now, "other": b"1"}, (old, AT_RECEPTION))
    bad = world.repo.commit({**now, "src": b"2"}, [main], device)
    refused(world.verify_at(bad), (bad, "unauthorized"))


def test_a_device_falls_with_its_owners_term(world: World) -> None:
    """Row 17: the policy's `expires_at` of the owner, though the grant lasts longer."""
    device, _, _, files = with_device(world)
    policy = files[".auths/policy.toml"].replace(
        b'name = "Bob"\n', b'name = "Bob"\nexpires_at = ' + utc(NOW + 10 * DAY).encode() + b"\n"
    )
    files |= {".auths/policy.toml": policy}
    start = at(world, NOW + DAY, [world.tip], world.alice, files)
    accepted(world.verify_at(at(world, NOW + 9 * DAY, [start], device, files, src="2")))
    bad = at(world, NOW + 10 * DAY, [start], device, files, src="2")
    refused(world.verify_at(bad), (bad, "expired"))


def test_a_branch_does_not_hide_what_the_mainline_knows(world: World) -> None:
    """Row 66: the branch sets other rules that list the device itself, by an admin; its revocation is on the mainline."""
    device, _, main, files = with_device(world)
    listed = {**files, **auths([Rule("commit", [world.alice, world.bob, device]), *world.rules[1:]],
                               [world.alice, world.bob, device])}  # fmt: skip
    branch = world.repo.commit({**listed, **logs(world.bob)}, [main], world.alice)
    old = world.repo.commit({**listed, "other": b"1"}, [branch], device)
    accepted(world.verify_at(old))
    main, _ = revoked(world, device, main, files)
    world.advance(main)
    refused(world.repo.verify(old), (old, AT_RECEPTION))


# Who puts it below `.auths/`


def test_what_the_log_seals_is_free_to_add(world: World) -> None:
    """DESIGN 7.2 and 7.5: by Bob, who is no admin; in one commit, or the file after the seal."""
    device = device_of(world.bob)
    files, given = enrolled(world.files, world.root, world.bob, device)
    accepted(world.verify_at(world.repo.commit(files, [world.tip], world.bob)))
    later = {path: content for path, content in files.items() if path != given.path}
    main = world.repo.commit(later, [world.tip], world.bob)
    accepted(world.verify_at(world.repo.commit(files, [main], world.bob)))


@pytest.mark.parametrize(
    "missing",
    [without_seal, with_another_content, with_another_grants_content, for_another_root, in_somebody_elses_name, sealed_by_somebody_else,
     under_another_name, without_its_suffix, of_another_kind],
    ids=lambda build: build.__name__.replace("_", " "),
)  # fmt: skip
def test_what_no_log_seals_takes_an_admin(world: World, missing: Callable[[World, Person], Files]) -> None:
    """Rows 61 and 66: by Bob, and by the device itself."""
    device = device_of(world.bob)
    files = {**world.files, **missing(world, device)}
    for signer in (world.bob, device):
        bad = world.repo.commit(files, [world.tip], signer)
        refused(world.verify_at(bad), (bad, CHANGED))


@pytest.mark.parametrize(
    "path",
    ["grants/DIGEST", "grants/DIGEST.json.json", "grants/DIGEST.txt", "grants/DIGEST.JSON", "grants/.json", "grants/x.json",
     "grant/DIGEST.json", "Grants/DIGEST.json", "DIGEST", "DIGEST.json", "kels/DIGEST.json"],
)  # fmt: skip
def test_a_file_beside_a_grant_is_no_grant(world: World, path: str) -> None:
    """Row 61: names that resemble a sealed grant's are as little free as any other file."""
    _, given, main, files = with_device(world)
    for content in (b"anything", given.file):
        bad = world.repo.commit({**files, f".auths/{path.replace('DIGEST', given.sha256)}": content}, [main], world.bob)
        answer = world.verify_at(bad)
        assert answer.code == 1
        assert answer.verdicts[bad] in (CHANGED, "policy-invalid", "kel-invalid")


@pytest.mark.parametrize("change", ["removed", "signed anew", "emptied", "replaced by another"])
def test_a_grant_that_is_there_stays_as_it_is(world: World, change: str) -> None:
    """DESIGN 7.5: append-only; only adding is free."""
    device, given, main, files = with_device(world)
    other, _ = enrolled({}, world.root, world.bob, device, capabilities=["sign_release"])
    content = {"signed anew": given.file.replace(b'"SHA256:', b'"sha256:'), "emptied": b"",
               "replaced by another": next(other[path] for path in other if "grants" in path)}  # fmt: skip
    changed = {**files, **logs(world.bob), **({given.path: content[change]} if change in content else {})}
    if change == "removed":
        del changed[given.path]
    for signer in (world.bob, device):
        bad = world.repo.commit(changed, [main], signer)
        refused(world.verify_at(bad), (bad, CHANGED))


def test_a_device_whose_grant_was_taken_out_is_none(world: World) -> None:
    """Row 66: an admin removes the file: on a mainline without it, no right. No branch brings it back by itself."""
    device, given, main, files = with_device(world)
    without = {path: content for path, content in files.items() if path != given.path}
    main = world.repo.commit(without, [main], world.alice)
    bad = world.repo.commit({**without, "src": b"2"}, [main], device)
    refused(world.verify_at(bad), (bad, "unauthorized"))


def test_a_merge_unites_grants(world: World) -> None:
    """DESIGN 7.5 and 7.6: free for whoever merges, in either order; it drops none and changes none."""
    carol, alice = device_of(world.bob), device_of(world.alice, 61)
    left, hers = enrolled(world.files, world.root, world.alice, alice)
    right, his = enrolled(world.files, world.root, world.bob, carol)
    sides = [world.repo.commit(left, [world.tip], world.alice), world.repo.commit(right, [world.tip], world.bob)]
    both = {**left, **right, **logs(world.alice, world.bob)}
    for parents in (sides, sides[::-1]):
        merge = world.repo.commit(both, parents, world.bob)
        accepted(world.verify_at(merge))
        for one in (carol, alice):
            accepted(world.verify_at(world.repo.commit({**both, "src": b"2"}, [merge], one)))
        for lost in (hers, his):
            dropped = {path: content for path, content in both.items() if path != lost.path}
            for files in (dropped, {**both, lost.path: b""}):
                bad = world.repo.commit(files, parents, world.bob)
                refused(world.verify_at(bad), (bad, CHANGED))


def test_a_merge_drops_no_grant_that_one_side_has_from_before(world: World) -> None:
    """DESIGN 7.6: the base has it and one side has removed it (an admin); the other side's merge is not the admin's."""
    device, given, main, files = with_device(world)
    without = {path: content for path, content in files.items() if path != given.path}
    removed = world.repo.commit(without, [main], world.alice)
    side = world.repo.commit({**files, "other": b"1"}, [main], device)
    back = world.repo.commit({**files, "other": b"1"}, [removed, side], world.bob)
    assert set(world.verify_at(back).verdicts.items()) >= {(back, CHANGED)}


@pytest.mark.parametrize("number", [64, 65])
def test_sixty_four_delegates_are_free(world: World, number: int) -> None:
    """Row 61: the sixty-fifth takes an admin; and one at a time they are as many."""
    devices = [Person("Device", 200 + n, delegator=world.bob) for n in range(number)]
    files = {**world.files, **logs(world.bob, *devices)}
    at_once = world.repo.commit(files, [world.tip], world.bob)
    most = world.repo.commit({**world.files, **logs(world.bob, *devices[:-1])}, [world.tip], world.bob)
    last = world.repo.commit(files, [most], world.bob)
    for commit in (at_once, last):
        if number <= 64:
            accepted(world.verify_at(commit))
        else:
            refused(world.verify_at(commit), (commit, CHANGED))
    accepted(world.verify_at(world.repo.commit(files, [most], world.alice)))


@pytest.mark.parametrize("kind", ["device", "agent", "member"])
def test_a_stranger_comes_in_by_no_grant_of_his_own_making(world: World, kind: str) -> None:
    """Rows 61 and 66: it says that Bob has issued it; Mallory's log seals it, or nobody's."""
    given = grant(world.bob, world.mallory, world.root, kind)
    forged = envelope(world.mallory, forge_statement(given))
    for seals in ([], [given.seal]):
        for seal in seals:
            world.mallory.log.interact(seal)
        files = {**world.files, **logs(world.mallory), given.path: forged}
        for signer in (world.mallory, world.bob):
            bad = world.repo.commit(files, [world.tip], signer)
            refused(world.verify_at(bad), (bad, CHANGED))
        main = world.repo.commit(files, [world.tip], world.alice)
        bad = world.repo.commit({**files, "src": b"2"}, [main], world.mallory)
        refused(world.verify_at(bad), (bad, "unauthorized"))


def forge_statement(given: Granted) -> dict[str, object]:
    statement: dict[str, object] = json.loads(given.payload)
    return statement


def test_a_strangers_delegate_comes_in_by_nobody(world: World) -> None:
    """Row 61: with a seal of Mallory's, whom nobody lists."""
    device = device_of(world.mallory)
    files, _ = enrolled(world.files, world.root, world.mallory, device)
    for signer in (world.bob, world.mallory, device):
        bad = world.repo.commit(files, [world.tip], signer)
        refused(world.verify_at(bad), (bad, CHANGED))


def test_a_revoked_newcomer_comes_in_by_an_admin_alone(world: World) -> None:
    """Row 61: nobody vouches for it any more."""
    device = device_of(world.bob)
    given = grant(world.bob, world.carol, world.root, "member")
    world.bob.log.interact(given.seal, revocation(device), revocation(world.carol))
    for newcomer in (device, world.carol):
        files = {**world.files, **logs(world.bob, newcomer), **given.entry}
        bad = world.repo.commit(files, [world.tip], world.bob)
        refused(world.verify_at(bad), (bad, CHANGED))
        accepted(world.verify_at(world.repo.commit(files, [world.tip], world.alice)))


# Releases


def test_a_device_releases_as_its_owner(world: World) -> None:
    """Section 8: it tags, it approves; its owner beside it makes no second principal."""
    device, _, main, _ = with_device(world, capabilities=["sign_release"])
    world.advance(main)
    for tagger, approver, verdict in ((device, world.alice, "good"), (world.alice, device, "good"),
                                      (device, world.bob, "threshold-unmet")):  # fmt: skip
        tag = world.repo.tag("v1.0", main, tagger)
        approve(world, tag, "v1.0", main, approver)
        answer = world.repo.verify_tag("v1.0")
        assert answer.verdicts == {tag: verdict}
    assert count(answer) == (1, 2, [world.bob.did])


@pytest.mark.parametrize("is_tagger", [True, False], ids=["tags", "approves"])
@pytest.mark.parametrize("has_receipt", [True, False], ids=["with a receipt", "without"])
def test_a_release_outlives_a_revocation_by_a_receipt_alone(world: World, has_receipt: bool, is_tagger: bool) -> None:
    """Section 8: judged by the mainline now, or as it was when the receipt came."""
    device, _, main, files = with_device(world, capabilities=["sign_release"])
    world.advance(main)
    tagger, approver = (device, world.alice) if is_tagger else (world.alice, device)
    tag = world.repo.tag("v1.0", main, tagger)
    line = envelope(approver, approval(approver, world.root, tag, "tag", "v1.0", main))
    world.repo.notes({tag: [line]})
    assert world.repo.verify_tag("v1.0").code == 0
    if has_receipt:
        receipt = f"refs/tags/v1.0 {tag} {hashlib.sha256(line).hexdigest()}\n".encode()
        files = {**files, ".auths/received": receipt}
        main = world.repo.commit(files, [main], world.alice)
    main, _ = revoked(world, device, main, files)
    world.advance(main)
    accepted(world.repo.verify("main"))
    answer = world.repo.verify_tag("v1.0")
    if has_receipt:
        assert answer.verdicts == {tag: "good"}
    else:
        refused(answer, (tag, "unauthorized" if is_tagger else "threshold-unmet"))


def test_a_release_by_an_expired_device_is_none(world: World) -> None:
    """Section 8: by the tag's own date, and by the mainline's clock."""
    device, _, main, files = with_device(world, capabilities=["sign_release"], expires_at=utc(NOW + 10 * DAY))
    world.advance(main)

    def judged(seconds: int) -> list[str]:
        world.repo.date = seconds
        tag = world.repo.tag("v1.0", main, device)
        approve(world, tag, "v1.0", main, world.alice)
        return list(world.repo.verify_tag("v1.0").verdicts.values())

    assert judged(NOW + 5 * DAY) == ["good"]
    assert judged(NOW + 11 * DAY) == ["expired"]
    world.advance(at(world, NOW + 12 * DAY, [main], world.alice, files, src="2"))
    assert judged(NOW + 5 * DAY) == ["expired"]


# The list for stock git


def allowed_signers_with(people: list[Person], devices: list[Person]) -> bytes:
    """DESIGN section 3: by AID, delegates with their DID for an address."""
    lines = []
    for person in sorted([*people, *devices], key=lambda one: one.did):
        for event in person.log.kel.establishments():
            blob = ssh_blob(Key(event.state.keys[0], bytes))
            address = person.email if person in people else person.did
            lines.append(f'{address} namespaces="git" ssh-ed25519 {base64.b64encode(blob).decode()}\n')
    return ("# git-auths allowed_signers 1\n" + "".join(lines)).encode()


def test_the_list_for_git_has_the_devices(world: World) -> None:
    """DESIGN 3: generated, free to everybody; without one that was revoked; made by hand it takes an admin."""
    people = [world.alice, world.bob]
    devices = [device_of(world.bob), device_of(world.bob, 61), device_of(world.bob, 62)]
    devices[0].log.rotate()
    files = dict(world.files)
    for device in devices[:2]:
        files, _ = enrolled(files, world.root, world.bob, device)
    files, _ = enrolled(files, world.root, world.bob, world.carol, "member")
    files |= logs(world.bob, *devices)  # the third one has no grant, so no right
    listed = ".auths/allowed_signers"
    fine = {**files, listed: allowed_signers_with(people, [*devices[:2], world.carol])}
    commit = world.repo.commit(fine, [world.tip], world.bob)
    accepted(world.verify_at(commit))
    by_device = world.repo.commit({**fine, "src": b"2"}, [commit], devices[0])
    accepted(world.verify_at(by_device))
    git_says_good(world.repo, "verify-commit", by_device)
    for wrong in (
        allowed_signers_with(people, [*devices, world.carol]), allowed_signers_with(people, devices[:1]),
        allowed_signers_with(people, [*devices[:2], world.carol, world.mallory]),
        fine[listed] + b"\n", fine[listed].replace(devices[0].did.encode(), b"bob@example.com"),
    ):  # fmt: skip
        bad = world.repo.commit({**files, listed: wrong}, [world.tip], world.bob)
        refused(world.verify_at(bad), (bad, CHANGED))
    world.bob.log.interact(revocation(devices[1]), revocation(world.carol))
    now = {**files, **logs(world.bob), listed: allowed_signers_with(people, devices[:1])}
    accepted(world.verify_at(world.repo.commit(now, [commit], world.bob)))
