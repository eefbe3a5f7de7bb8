"""Attacks by who has stolen a key: what he sealed, delegated, granted and approved before its owner knew."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from git_auths.core import bundle, dsse
from tests.attacks.forge import (
    HardwareKey,
    Person,
    Rule,
    World,
    accepted,
    allowed_signers,
    approval,
    auths,
    delegation,
    described,
    enrolled,
    envelope,
    grant,
    hardware_commit,
    hardware_tag,
    logs,
    refused,
    revocation,
    ssh_blob,
    with_rules,
)
from tests.attacks.test_foxtrots import inverted
from tests.attacks.test_grants import allowed_signers_with, device_of, with_device
from tests.attacks.test_receptions import AT_RECEPTION, CHANGED, in_doubt, late_is_accepted, late_is_refused
from tests.attacks.test_tags import approve, count
from tests.loopback.tsa import Authority

DOUBTED_SINCE = 1_780_272_000  # the time in the seals that these tests make: 2026-06-01


def declare(person: Person, since: int, *anchors: object) -> None:
    """The person's rotation that puts in doubt what the log holds from event `since` on; it seals `anchors` too."""
    person.log.rotate(anchors=[in_doubt(since, person.log.kel.events[since].said), *anchors])


def by_the_thief(world: World) -> tuple[Person, str, dict[str, bytes], int]:
    """With Bob's key the thief has delegated and granted to a device: it, the mainline, its files, since when."""
    since = world.bob.log.kel.sn + 1
    device, _, main, files = with_device(world)
    return device, main, files, since


# What the thief has sealed


def test_a_device_of_the_thiefs_is_void(world: World) -> None:
    """Row 65: what it signed and was not received, and what it signs now; what was received stays."""
    device, main, files, since = by_the_thief(world)
    received = world.repo.commit({**files, "src": b"2"}, [main], device)
    old = world.repo.commit({**files, "other": b"1"}, [main], device)
    accepted(world.verify_at(old))
    declare(world.bob, since)
    files = {**files, **logs(world.bob), "src": b"2"}
    main = world.repo.commit(files, [received], world.bob)
    accepted(world.verify_at(main))
    late_is_refused(world, main, old, {**files, "other": b"1"}, (old, AT_RECEPTION))
    bad = world.repo.commit({**files, "other": b"1"}, [main], device)
    refused(world.verify_at(bad), (bad, "unauthorized"))


def test_a_device_of_the_thiefs_does_not_become_the_mainline(world: World) -> None:
    """Rows 59 and 65: by a merge whose first parent it signed."""
    device, main, files, since = by_the_thief(world)
    old = world.repo.commit({**files, "other": b"1"}, [main], device)
    declare(world.bob, since)
    files = {**files, **logs(world.bob)}
    main = world.repo.commit(files, [main], world.bob)
    inverted(world, world.repo.commit({**files, "other": b"1"}, [old, main], world.bob), old)


def test_a_grant_that_the_thief_has_sealed_is_void(world: World) -> None:
    """Row 65: to a member; to a device that Bob himself had delegated before."""
    device = device_of(world.bob)
    since = world.bob.log.kel.sn + 1
    files, _ = enrolled(world.files, world.root, world.bob, device)
    files, _ = enrolled(files, world.root, world.bob, world.carol, "member")
    main = world.repo.commit(files, [world.tip], world.alice)
    old = [world.repo.commit({**files, "other": b"1"}, [main], one) for one in (device, world.carol)]
    declare(world.bob, since)
    files |= logs(world.bob)
    main = world.repo.commit(files, [main], world.bob)
    for late in old:
        late_is_refused(world, main, late, {**files, "other": b"1"}, (late, AT_RECEPTION))
    for one in (device, world.carol):
        bad = world.repo.commit({**files, "other": b"1"}, [main], one)
        refused(world.verify_at(bad), (bad, "unauthorized"))


def test_what_the_rotation_repeats_is_good(world: World) -> None:
    """DESIGN 4: Bob's own device among the thief's seals; delegation and grant, or it is not enough."""
    device = device_of(world.bob)
    files, given = enrolled(world.files, world.root, world.bob, device)
    main = world.repo.commit(files, [world.tip], world.bob)
    declare(world.bob, 1, delegation(device))
    half = {**files, **logs(world.bob)}
    main = world.repo.commit(half, [main], world.bob)
    bad = world.repo.commit({**half, "src": b"2"}, [main], device)
    refused(world.verify_at(bad), (bad, "unauthorized"))
    world.bob.log.interact(given.seal)
    whole = {**half, **logs(world.bob)}
    main = world.repo.commit(whole, [main], world.bob)
    accepted(world.verify_at(world.repo.commit({**whole, "src": b"2"}, [main], device)))


def test_the_declaring_rotation_repeats_both(world: World) -> None:
    """DESIGN 4; and an old branch of the device's comes in."""
    device = device_of(world.bob)
    files, given = enrolled(world.files, world.root, world.bob, device)
    main = world.repo.commit(files, [world.tip], world.bob)
    old = world.repo.commit({**files, "other": b"1"}, [main], device)
    declare(world.bob, 1, delegation(device), given.seal)
    now = {**files, **logs(world.bob)}
    main = world.repo.commit(now, [main], world.bob)
    accepted(world.verify_at(world.repo.commit({**now, "src": b"2"}, [main], device)))
    late_is_accepted(world, main, old, {**now, "other": b"1"})


def test_what_was_sealed_before_stays(world: World) -> None:
    """DESIGN 4: since the event that the seal names, and no earlier."""
    device, _, main, files = with_device(world)
    thiefs = device_of(world.bob, 61)
    since = world.bob.log.kel.sn
    files, _ = enrolled(files, world.root, world.bob, thiefs)
    main = world.repo.commit(files, [main], world.bob)
    old = {one: world.repo.commit({**files, "other": b"1"}, [main], one) for one in (device, thiefs)}
    declare(world.bob, since)
    files |= logs(world.bob)
    main = world.repo.commit(files, [main], world.bob)
    accepted(world.verify_at(world.repo.commit({**files, "src": b"2"}, [main], device)))
    late_is_accepted(world, main, old[device], {**files, "other": b"1"})
    late_is_refused(world, main, old[thiefs], {**files, "other": b"1"}, (old[thiefs], AT_RECEPTION))


def test_a_plain_rotation_takes_nothing_back(world: World) -> None:
    """DESIGN 4: soft."""
    device, _, main, files = with_device(world)
    old = world.repo.commit({**files, "other": b"1"}, [main], device)
    world.bob.log.rotate()
    files |= logs(world.bob)
    main = world.repo.commit(files, [main], world.bob)
    late_is_accepted(world, main, old, {**files, "other": b"1"})


def test_a_declaration_in_an_interaction_takes_nothing_back(world: World) -> None:
    """DESIGN 4: the thief could write one."""
    device, _, main, files = with_device(world)
    world.bob.log.interact(in_doubt(0, world.bob.log.kel.events[0].said))
    files |= logs(world.bob)
    main = world.repo.commit(files, [main], world.bob)
    accepted(world.verify_at(world.repo.commit({**files, "src": b"2"}, [main], device)))


def test_a_revocation_stays_whoever_sealed_it(world: World) -> None:
    """Rows 65 and 66: an agent revoked in the time in doubt, and one revoked before that."""
    early, late = device_of(world.bob, 60, "Early"), device_of(world.bob, 61, "Late")
    files, _ = enrolled(world.files, world.root, world.bob, early)
    files, _ = enrolled(files, world.root, world.bob, late)
    main = world.repo.commit(files, [world.tip], world.bob)
    old = [world.repo.commit({**files, "other": b"1"}, [main], one) for one in (early, late)]
    world.bob.log.interact(revocation(early))
    since = world.bob.log.kel.sn + 1
    world.bob.log.interact(revocation(late))
    declare(world.bob, since)
    files |= logs(world.bob)
    main = world.repo.commit(files, [main], world.bob)
    for one, branch in zip((early, late), old, strict=True):
        bad = world.repo.commit({**files, "src": b"2"}, [main], one)
        refused(world.verify_at(bad), (bad, "unauthorized"))
        late_is_refused(world, main, branch, {**files, "other": b"1"}, (branch, AT_RECEPTION))


@pytest.mark.parametrize("wrong", ["digest", "number ahead", "its own number"])
def test_a_declaration_that_names_no_event_of_the_log_puts_all_in_doubt(world: World, wrong: str) -> None:
    """DESIGN 4: fail closed."""
    device, _, main, files = with_device(world)
    old = world.repo.commit({**files, "other": b"1"}, [main], device)
    kel = world.bob.log.kel
    sn = {"digest": kel.sn, "number ahead": kel.sn + 7, "its own number": kel.sn + 1}[wrong]
    said = world.alice.log.kel.said if wrong == "digest" else kel.said
    world.bob.log.rotate(anchors=[in_doubt(sn, said)])
    files |= logs(world.bob)
    main = world.repo.commit(files, [main], world.bob)
    late_is_refused(world, main, old, {**files, "other": b"1"}, (old, AT_RECEPTION))
    bad = world.repo.commit({**files, "src": b"2"}, [main], device)
    refused(world.verify_at(bad), (bad, "unauthorized"))


def test_a_second_declaration_reaches_back_to_what_it_names(world: World) -> None:
    """DESIGN 4: what the first one repeated is void by the second, where that begins with the first's rotation."""
    device, given, main, files = with_device(world)
    declare(world.bob, 1, delegation(device), given.seal)
    files |= logs(world.bob)
    main = world.repo.commit(files, [main], world.bob)
    accepted(world.verify_at(world.repo.commit({**files, "src": b"2"}, [main], device)))
    declare(world.bob, world.bob.log.kel.sn)
    files |= logs(world.bob)
    main = world.repo.commit(files, [main], world.bob)
    bad = world.repo.commit({**files, "src": b"2"}, [main], device)
    refused(world.verify_at(bad), (bad, "unauthorized"))


def test_a_delegates_rotation_that_the_thief_has_sealed_leaves_it_nothing(world: World) -> None:
    """DESIGN 4: no authority until it is sealed again, never by an older key state."""
    device, _, main, files = with_device(world)
    old_key = device.signing
    before = world.repo.commit({**files, "other": b"1"}, [main], device)
    since = world.bob.log.kel.sn + 1
    device.log.rotate()
    files |= logs(world.bob, device)
    main = world.repo.commit(files, [main], world.bob)
    declare(world.bob, since)
    files |= logs(world.bob)
    main = world.repo.commit(files, [main], world.bob)
    bad = world.repo.commit({**files, "src": b"2"}, [main], device)
    refused(world.verify_at(bad), (bad, "unauthorized"))
    by_old = world.repo.commit({**files, "src": b"2"}, [main], old_key)
    refused(world.verify_at(by_old), (by_old, "superseded-key"))
    late_is_refused(world, main, before, {**files, "other": b"1"}, (before, AT_RECEPTION))
    drt = device.log.kel.establishments()[-1]
    world.bob.log.interact({"i": device.aid, "s": f"{drt.sn:x}", "d": drt.said})
    files |= logs(world.bob)
    main = world.repo.commit(files, [main], world.bob)
    accepted(world.verify_at(world.repo.commit({**files, "src": b"2"}, [main], device)))


def test_a_void_delegation_is_not_mended_by_a_later_rotation_of_the_delegate(world: World) -> None:
    """Row 65: Bob seals its next rotation and a grant, not its inception: that is no sealing again of what is void."""
    device, main, files, since = by_the_thief(world)
    declare(world.bob, since)
    device.log.rotate()
    files, _ = enrolled(files, world.root, world.bob, device, capabilities=["sign_commit", "sign_release"])
    main = world.repo.commit(files, [main], world.alice)
    bad = world.repo.commit({**files, "src": b"2"}, [main], device)
    refused(world.verify_at(bad), (bad, "unauthorized"))
    world.bob.log.interact(delegation(device))
    files |= logs(world.bob)
    main = world.repo.commit(files, [main], world.bob)
    accepted(world.verify_at(world.repo.commit({**files, "src": b"2"}, [main], device)))


def test_the_list_for_git_has_neither_lost_keys_nor_void_devices(world: World) -> None:
    """DESIGN 3: uncompromised keys, unrevoked delegates."""
    device, main, files, since = by_the_thief(world)
    declare(world.bob, since)
    now = {**files, **logs(world.bob), ".auths/allowed_signers": b""}
    fine = world.repo.commit(
        {**now, ".auths/allowed_signers": allowed_signers([world.alice, world.bob])}, [main], world.bob
    )
    accepted(world.verify_at(fine))
    bad = world.repo.commit(
        {**now, ".auths/allowed_signers": allowed_signers_with([world.alice, world.bob], [device])}, [main], world.bob
    )
    refused(world.verify_at(bad), (bad, CHANGED))


# A delegate's own key


def test_a_device_that_has_lost_its_key(world: World) -> None:
    """Rows 14 and 15: it declares that itself, and its owner seals it; its owner's own keys are good as ever."""
    device, _, main, files = with_device(world)
    thief = device.signing
    bad = world.repo.commit({**files, "other": b"1"}, [main], thief)
    owners = world.repo.commit({**files, "other": b"1"}, [main], world.bob)
    declare(device, 0)
    files |= logs(world.bob, device)
    main = world.repo.commit(files, [main], world.bob)
    late_is_refused(world, main, bad, {**files, "other": b"1"}, (bad, "compromised-key"))
    late_is_accepted(world, main, owners, {**files, "other": b"1"})
    accepted(world.verify_at(world.repo.commit({**files, "src": b"2"}, [main], device)))


def test_what_a_device_with_a_stolen_key_has_granted_is_void(world: World) -> None:
    """Row 65, one deeper."""
    device, _, main, files = with_device(world)
    files, _ = enrolled(files, world.root, device, world.carol, "member")
    main = world.repo.commit(files, [main], world.bob)
    old = world.repo.commit({**files, "other": b"1"}, [main], world.carol)
    declare(device, 0)
    files |= logs(world.bob, device)
    main = world.repo.commit(files, [main], world.bob)
    late_is_refused(world, main, old, {**files, "other": b"1"}, (old, AT_RECEPTION))


# Approvals


def test_approvals_by_a_lost_key_count_for_what_was_received_before(world: World) -> None:
    """Rows 14 and 65: Bob's yes to what the mainline had, and to what it had not."""
    rules = [Rule("commit", [world.alice, world.bob], 2), *world.rules[1:]]
    files = with_rules(world, rules)
    start = world.repo.commit(files, [world.tip], world.alice)
    received = world.repo.commit({**files, "src": b"2"}, [start], world.alice)
    late = world.repo.commit({**files, "other": b"1"}, [start], world.alice)
    lines = {id: [envelope(world.bob, approval(world.bob, world.root, id))] for id in (received, late)}
    declare(world.bob, 0)
    files = {**files, **logs(world.bob), "src": b"2"}
    main = world.repo.commit(files, [received], world.alice)
    lines[main] = [envelope(world.bob, approval(world.bob, world.root, main))]
    world.repo.notes(lines)
    accepted(world.verify_at(main))
    refused(world.repo.verify(late), (late, "threshold-unmet"))
    lines[late] = [envelope(world.bob, approval(world.bob, world.root, late))]
    world.repo.notes(lines)
    accepted(world.repo.verify(late))


def test_approvals_by_a_void_device_count_for_nothing(world: World) -> None:
    """Row 65: of a commit that is not received yet, and of a release."""
    device = device_of(world.bob)
    since = world.bob.log.kel.sn
    rules = [Rule("commit", [world.alice, world.bob], 2), *world.rules[1:]]
    files, _ = enrolled(
        with_rules(world, rules), world.root, world.bob, device, capabilities=["sign_commit", "sign_release"]
    )
    start = world.repo.commit(files, [world.tip], world.alice)
    late = world.repo.commit({**files, "other": b"1"}, [start], world.alice)
    tag = world.repo.tag("v1.0", start, world.alice)
    lines = {late: [envelope(device, approval(device, world.root, late))],
             tag: [envelope(device, approval(device, world.root, tag, "tag", "v1.0", start))]}  # fmt: skip
    world.repo.notes(lines)
    accepted(world.verify_at(late))
    world.advance(start)
    assert world.repo.verify_tag("v1.0").code == 0
    declare(world.bob, since)
    main = world.repo.commit({**files, **logs(world.bob)}, [start], world.alice)
    lines[main] = [envelope(world.bob, approval(world.bob, world.root, main))]
    world.repo.notes(lines)
    accepted(world.verify_at(main))
    refused(world.repo.verify(late), (late, "threshold-unmet"))
    answer = world.repo.verify_tag("v1.0")
    refused(answer, (tag, "threshold-unmet"))
    assert count(answer) == (1, 2, [world.alice.did])


def test_a_release_by_a_void_device_is_none(world: World) -> None:
    """Row 65; what it approved, too, is told in the test above."""
    since = world.bob.log.kel.sn + 1
    device, _, main, files = with_device(world, capabilities=["sign_release"])
    tag = world.repo.tag("v1.0", main, device)
    approve(world, tag, "v1.0", main, world.alice)
    world.advance(main)
    assert world.repo.verify_tag("v1.0").code == 0
    declare(world.bob, since)
    world.advance(world.repo.commit({**files, **logs(world.bob)}, [main], world.bob))
    refused(world.repo.verify_tag("v1.0"), (tag, "unauthorized"))


# Hardware keys

KINDS = ["sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"]


@pytest.fixture(params=KINDS)
def token(request: pytest.FixtureRequest) -> HardwareKey:
    return HardwareKey(50, request.param)


def with_token(world: World, token: HardwareKey, **fields: object) -> tuple[str, dict[str, bytes]]:
    files, _ = enrolled(world.files, world.root, world.bob, token, **fields)
    return world.repo.commit(files, [world.tip], world.bob), files


def test_a_hardware_key_signs_as_its_owner(world: World, token: HardwareKey) -> None:
    """DESIGN 4: by grant alone; of its flags the presence of a person is required."""
    main, files = with_token(world, token)
    for flags, verdict in ((1, None), (5, None), (0, "bad-signature"), (4, "bad-signature")):
        commit = hardware_commit(world.repo, {**files, "src": b"2"}, [main], token, flags)
        if verdict is None:
            accepted(world.verify_at(commit))
            found = described(world, commit)
            assert (found["signer"], found["principal"]) == (token.did, world.bob.did)
        else:
            refused(world.verify_at(commit), (commit, verdict))


def test_a_hardware_key_that_nobody_has_granted_anything_is_unknown(world: World, token: HardwareKey) -> None:
    """Row 66: no file; the file without a seal; a grant by who is unlisted; another key's grant."""
    unsealed = grant(world.bob, token, world.root)
    strangers, _ = enrolled({}, world.root, world.carol, token)
    others, _ = enrolled({}, world.root, world.bob, HardwareKey(51))
    same_subject = grant(world.bob, HardwareKey(52), world.root, subject=token.did)
    world.bob.log.interact(same_subject.seal)
    for brought in ({}, unsealed.entry, strangers, others, same_subject.entry):
        files = {**world.files, **brought, **logs(world.bob)}
        main = world.repo.commit(files, [world.tip], world.alice)
        bad = hardware_commit(world.repo, {**files, "src": b"2"}, [main], token)
        answer = world.verify_at(bad)
        assert list(answer.verdicts.items()) == [(bad, "unauthorized" if brought is strangers else "unknown-key")]


def test_a_hardware_key_is_revoked_by_the_digest_of_its_blob(world: World, token: HardwareKey) -> None:
    """DESIGN 4: it has no AID; then its old branches are refused, too."""
    main, files = with_token(world, token)
    old = hardware_commit(world.repo, {**files, "other": b"1"}, [main], token)
    world.bob.log.interact(revocation(HardwareKey(51)))
    files |= logs(world.bob)
    main = world.repo.commit(files, [main], world.bob)
    late_is_accepted(world, main, old, {**files, "other": b"1"})
    world.bob.log.interact(revocation(token))
    files |= logs(world.bob)
    main = world.repo.commit(files, [main], world.bob)
    late_is_refused(world, main, old, {**files, "other": b"1"}, (old, AT_RECEPTION))
    bad = hardware_commit(world.repo, {**files, "src": b"2"}, [main], token)
    refused(world.verify_at(bad), (bad, "unauthorized"))


def test_a_hardware_key_that_the_thief_has_granted_is_void(world: World, token: HardwareKey) -> None:
    """Row 65."""
    since = world.bob.log.kel.sn + 1
    main, files = with_token(world, token)
    old = hardware_commit(world.repo, {**files, "other": b"1"}, [main], token)
    declare(world.bob, since)
    files |= logs(world.bob)
    main = world.repo.commit(files, [main], world.bob)
    late_is_refused(world, main, old, {**files, "other": b"1"}, (old, AT_RECEPTION))


def test_a_hardware_key_counts_once_whoever_grants_to_it(world: World, token: HardwareKey) -> None:
    """Row 32: one key is one principal, though Alice and Bob both call it theirs."""
    rules = [Rule("commit", [world.alice, world.bob], 2), *world.rules[1:]]
    files, _ = enrolled(with_rules(world, rules), world.root, world.alice, token, expires_at="2098-01-01T00:00:00Z")
    files, _ = enrolled(files, world.root, world.bob, token)
    main = world.repo.commit(files, [world.tip], world.alice)
    bad = hardware_commit(world.repo, {**files, "src": b"2"}, [main], token)
    refused(world.verify_at(bad), (bad, "threshold-unmet"))


def test_a_hardware_key_that_an_agent_has_granted_is_an_agents(world: World, token: HardwareKey) -> None:
    """DESIGN 6: it commits with a person's yes, and its grant as a device makes nobody of it."""
    agent = device_of(world.bob)
    files, _ = enrolled(world.files, world.root, world.bob, agent, "agent")
    files, _ = enrolled(files, world.root, agent, token)
    files |= logs(world.bob)
    main = world.repo.commit(files, [world.tip], world.bob)
    commit = hardware_commit(world.repo, {**files, "src": b"2"}, [main], token)
    refused(world.verify_at(commit), (commit, "threshold-unmet"))
    world.repo.notes({commit: [envelope(world.bob, approval(world.bob, world.root, commit))]})
    accepted(world.verify_at(commit))


def test_nobody_takes_a_hardware_key_from_its_owner(world: World, token: HardwareKey) -> None:
    """Bob grants something to Alice's key, for longer: her commits are hers as before, under a rule that lists her."""
    files, _ = enrolled(world.files, world.root, world.alice, token, expires_at="2098-01-01T00:00:00Z",
                        capabilities=["sign_commit", "manage_members"])  # fmt: skip
    files, _ = enrolled(files, world.root, world.bob, token)
    main = world.repo.commit(files, [world.tip], world.bob)
    rules = [Rule("commit", [world.alice, world.bob, world.carol]), *world.rules[1:]]
    changed = {**files, **auths(rules, [world.alice, world.bob, world.carol])}
    commit = hardware_commit(world.repo, changed, [main], token)
    accepted(world.verify_at(commit))


def test_a_hardware_key_releases_and_may_not_without_the_capability(world: World, token: HardwareKey) -> None:
    """DESIGN 4: commits and tags."""
    main, _ = with_token(world, token)
    world.advance(main)
    tag = hardware_tag(world.repo, "v1.0", main, token)
    approve(world, tag, "v1.0", main, world.alice)
    refused(world.repo.verify_tag("v1.0"), (tag, "unauthorized"))
    main, files = with_token(world, token, capabilities=["sign_release"])
    world.advance(main)
    for approver, verdict in ((world.alice, "good"), (world.bob, "threshold-unmet")):
        tag = hardware_tag(world.repo, "v1.0", main, token)
        approve(world, tag, "v1.0", main, approver)
        assert world.repo.verify_tag("v1.0").verdicts == {tag: verdict}
    tag = hardware_tag(world.repo, "v1.0", main, token)
    approve(world, tag, "v1.0", main, world.alice)
    world.bob.log.interact(revocation(token))
    world.advance(world.repo.commit({**files, **logs(world.bob)}, [main], world.bob))
    refused(world.repo.verify_tag("v1.0"), (tag, "unauthorized"))


def test_a_plain_key_in_a_hardware_keys_place_is_no_device(world: World) -> None:
    """DESIGN 4: only `sk-` keys are devices by grant alone; any other has a log of its own, which can be rotated."""
    blob = ssh_blob(world.mallory.signing)
    subject = "ssh:SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).rstrip(b"=").decode()
    given = grant(
        world.bob, world.mallory, world.root, subject=subject, key=f"ssh-ed25519 {base64.b64encode(blob).decode()}"
    )
    world.bob.log.interact(given.seal)
    files = {**world.files, **logs(world.bob), **given.entry}
    bad = world.repo.commit(files, [world.tip], world.bob)
    refused(world.verify_at(bad), (bad, CHANGED))
    main = world.repo.commit(files, [world.tip], world.alice)
    bad = world.repo.commit({**files, "src": b"2"}, [main], world.mallory)
    refused(world.verify_at(bad), (bad, "unknown-key"))


def test_the_list_for_git_has_the_hardware_key(world: World, token: HardwareKey) -> None:
    """DESIGN 3: under its fingerprint; gone when it is revoked."""
    main, files = with_token(world, token)
    listed = allowed_signers_with([world.alice, world.bob], [])
    line = f'{token.did} namespaces="git" {token.line}\n'.encode()
    with_it = world.repo.commit({**files, ".auths/allowed_signers": listed + line}, [main], world.bob)
    accepted(world.verify_at(with_it))
    world.bob.log.interact(revocation(token))
    files |= logs(world.bob)
    bad = world.repo.commit({**files, ".auths/allowed_signers": listed + line + line}, [with_it], world.bob)
    refused(world.verify_at(bad), (bad, CHANGED))
    accepted(world.verify_at(world.repo.commit({**files, ".auths/allowed_signers": listed}, [with_it], world.bob)))


@pytest.mark.parametrize(("stamped", "pinned", "counts"), [(-3600, True, True), (3600, True, False),
                                                           (-3600, False, False)])  # fmt: skip
def test_an_approval_by_a_lost_key_counts_where_a_pinned_authority_saw_it_before(
    stamped: int, pinned: bool, counts: bool, world: World, tmp_path: Path
) -> None:
    """Section 4: of this AID's attestations only those with a trusted timestamp before the declared time count."""
    authority = Authority(tmp_path / "tsa")
    authority.time_seconds = DOUBTED_SINCE + stamped
    rules = [Rule("commit", [world.alice, world.bob], 2), *world.rules[1:]]
    files = with_rules(world, rules)
    if pinned:
        files = {**files, ".auths/tsa/tsa.pem": authority.root.pem}
    start = world.repo.commit(files, [world.tip], world.alice)
    late = world.repo.commit({**files, "other": b"1"}, [start], world.alice)
    line = dsse.parse(envelope(world.bob, approval(world.bob, world.root, late)))
    key = ssh_blob(world.bob.signing)
    with_time = bundle.serialise(line, key, [authority.stamp(line.signatures[0].sig)], [])
    declare(world.bob, 0)
    main = world.repo.commit({**files, **logs(world.bob)}, [start], world.alice)
    yes = [envelope(world.bob, approval(world.bob, world.root, main))]
    world.repo.notes({main: yes, late: [with_time]})
    accepted(world.verify_at(main))
    answer = world.repo.verify(late)
    if counts:
        accepted(answer)
    else:
        refused(answer, (late, "threshold-unmet"))
