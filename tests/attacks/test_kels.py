"""Attacks on the key event logs in the tree: what is there may only grow, by what its owner signed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from git_auths.core import kelbuild
from tests import kels
from tests.attacks.forge import Person, World, accepted, kel_path, refused
from tests.kels import event_of, signatures

SEAL = {"auths": "grant/1", "d": "ab" * 32}
OTHER_SEAL = {"auths": "grant/1", "d": "cd" * 32}


def with_log(world: World, stream: bytes, person: Person | None = None) -> dict[str, bytes]:
    return {**world.files, kel_path(person or world.bob): stream}


def unsigned_event(bob: Person) -> bytes:
    return bob.log.stream + kelbuild.interaction(bob.log.kel, [SEAL])


def event_signed_by_another(bob: Person) -> bytes:
    event = kelbuild.interaction(bob.log.kel, [SEAL])
    return bob.log.stream + kelbuild.with_signatures(event, signatures(event, [kels.signer(99)]))


def uncommitted_rotation(bob: Person) -> bytes:
    event = kelbuild.rotation(bob.log.kel, [kels.signer(99).key], [kels.signer(98).key.commitment])
    return bob.log.stream + kelbuild.with_signatures(event, signatures(event, [kels.signer(99)]))


def uncommitted_rotation_signed_by_the_current_key(bob: Person) -> bytes:
    """Who has stolen the current key alone cannot rotate: that is what pre-rotation is for."""
    event = kelbuild.rotation(bob.log.kel, [kels.signer(99).key], [kels.signer(98).key.commitment])
    return bob.log.stream + kelbuild.with_signatures(event, signatures(event, bob.log.current))


def fork(bob: Person) -> bytes:
    other = kelbuild.interaction(bob.log.kel, [OTHER_SEAL])
    theirs = kelbuild.with_signatures(other, signatures(other, bob.log.current))
    return bob.log.interact(SEAL).stream + theirs


def recovery_over_an_event(bob: Person) -> bytes:
    """A rotation in place of event 1: KERI knows such recoveries, a log in a tree has none (DESIGN 4)."""
    instead = kelbuild.rotation(bob.log.kel, kels.keys(bob.log.next), [kels.signer(98).key.commitment])
    rotation = kelbuild.with_signatures(instead, signatures(instead, bob.log.next))
    return bob.log.interact(SEAL).stream + rotation


def cut_off_in_the_event(bob: Person) -> bytes:
    return bob.log.interact(SEAL).stream[:-200]


def cut_off_in_the_signature(bob: Person) -> bytes:
    return bob.log.interact(SEAL).stream[:-4]


def changed_event(bob: Person) -> bytes:
    bob.log.interact(SEAL)
    return bob.log.stream.replace(b"ab" * 32, b"ef" * 32)


def gap(bob: Person) -> bytes:
    bob.log.interact(SEAL).interact(OTHER_SEAL)
    return bob.log.messages[0] + bob.log.messages[2]


def event_that_follows_another(bob: Person) -> bytes:
    """Its number is right, its `p` is not that of the event before it."""
    first = bob.log.kel
    event = kels.edited(kelbuild.interaction(bob.log.interact(SEAL).kel, [OTHER_SEAL]), p=first.said)
    return bob.log.stream + kelbuild.with_signatures(event, signatures(event, bob.log.current))


def event_with_the_next_number_but_one(bob: Person) -> bytes:
    bob.log.interact(SEAL)
    event = kels.edited(kelbuild.interaction(bob.log.kel, [OTHER_SEAL]), s="3")
    return bob.log.stream + kelbuild.with_signatures(event, signatures(event, bob.log.current))


def event_with_a_number_that_was_there(bob: Person) -> bytes:
    bob.log.interact(SEAL)
    event = kels.edited(kelbuild.interaction(bob.log.kel, [OTHER_SEAL]), s="1")
    return bob.log.stream + kelbuild.with_signatures(event, signatures(event, bob.log.current))


BROKEN = [unsigned_event, event_signed_by_another, uncommitted_rotation, uncommitted_rotation_signed_by_the_current_key,
          fork, recovery_over_an_event, cut_off_in_the_event, cut_off_in_the_signature, changed_event]  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN, ids=lambda build: build.__name__.replace("_", " "))
def test_a_log_that_does_not_replay_is_refused(world: World, broken: Callable[[Person], bytes]) -> None:
    """Row 46: with the event's number; it does not matter who commits it."""
    stream = broken(world.bob)
    for signer in (world.alice, world.bob):
        bad = world.repo.commit(with_log(world, stream), [world.tip], signer)
        (found,) = refused(world.verify_at(bad), (bad, "kel-invalid"))
        assert "event 1" in found["reason"]
        assert kel_path(world.bob) in found["reason"]


@pytest.mark.parametrize(("broken", "number"), [
    (gap, 2), (event_that_follows_another, 2), (event_with_the_next_number_but_one, 3),
    (event_with_a_number_that_was_there, 1),
], ids=["gap", "wrong p", "number skipped", "number again"])  # fmt: skip
def test_a_log_whose_events_do_not_follow_each_other_is_refused(
    world: World, broken: Callable[[Person], bytes], number: int
) -> None:
    """Row 46."""
    bad = world.repo.commit(with_log(world, broken(world.bob)), [world.tip], world.alice)
    (found,) = refused(world.verify_at(bad), (bad, "kel-invalid"))
    assert f"event {number}" in found["reason"]


def test_a_log_that_too_few_keys_signed_is_refused(world: World) -> None:
    """Row 46: `kt` is 2, and one key has signed."""
    keys, following = [kels.signer(700), kels.signer(701)], [kels.signer(702)]
    event = kelbuild.inception(kels.keys(keys), kels.commitments(following), kt="2")
    stream = kelbuild.with_signatures(event, signatures(event, keys)[:1])
    bad = world.repo.commit(
        {**world.files, f".auths/kels/{kelbuild.said(event)}.cesr": stream}, [world.tip], world.alice
    )
    (found,) = refused(world.verify_at(bad), (bad, "kel-invalid"))
    assert "event 0" in found["reason"]


@pytest.mark.parametrize(
    "stream", [b"", b"\n", b"{}", b"rubbish", b"\0" * 5_000_000], ids=["empty", "LF", "{}", "rubbish", "5 MB"]
)
def test_what_is_no_log_is_refused(world: World, stream: bytes) -> None:
    """Row 46."""
    bad = world.repo.commit(with_log(world, stream), [world.tip], world.alice)
    refused(world.verify_at(bad), (bad, "kel-invalid"))


def grown(world: World) -> str:
    """The mainline with two more events in Bob's log."""
    world.bob.log.interact(SEAL).interact(SEAL)
    return world.repo.commit(with_log(world, world.bob.log.stream), [world.tip], world.bob)


@pytest.mark.parametrize("signer", ["alice", "bob"])
@pytest.mark.parametrize("kept", [1, 2])
def test_a_log_is_not_truncated(world: World, kept: int, signer: str) -> None:
    """Row 46: a shorter log is valid by itself, and takes back what it said."""
    parent = grown(world)
    accepted(world.verify_at(parent))
    bad = world.repo.commit(with_log(world, b"".join(world.bob.log.messages[:kept])), [parent], getattr(world, signer))
    (found,) = refused(world.verify_at(bad), (bad, "kel-invalid"))
    assert f"event {kept}" in found["reason"]


@pytest.mark.parametrize("signer", ["alice", "bob"])
def test_a_log_is_not_rewritten(world: World, signer: str) -> None:
    """Row 46: events that are validly signed, instead of those that the parent's tree has."""
    rewritten = Person("Bob", 2)
    rewritten.log.interact(SEAL).interact(OTHER_SEAL).interact(SEAL)
    parent = grown(world)
    bad = world.repo.commit(with_log(world, rewritten.log.stream), [parent], getattr(world, signer))
    (found,) = refused(world.verify_at(bad), (bad, "kel-invalid"))
    assert "event 2" in found["reason"]


def test_a_log_is_not_removed(world: World) -> None:
    """Row 46: the shortest truncation."""
    files = {path: content for path, content in world.files.items() if path != kel_path(world.bob)}
    bad = world.repo.commit(files, [world.tip], world.alice)
    (found,) = refused(world.verify_at(bad), (bad, "kel-invalid"))
    assert kel_path(world.bob) in found["reason"]


def test_a_merge_does_not_take_the_shorter_log(world: World) -> None:
    """Row 46: a stale side would bring back a key that was rotated away."""
    stale = world.work([world.tip], world.bob, other="1")
    old_key = world.bob.signing
    world.bob.log.rotate()
    rotated = world.repo.commit(with_log(world, world.bob.log.stream), [world.tip], world.bob)
    files = {**world.files, "other": b"1"}
    for signer in (world.alice, old_key):
        for parents in ([rotated, stale], [stale, rotated]):
            bad = world.repo.commit(files, parents, signer)
            refused(world.verify_at(bad), (bad, "kel-invalid"))
    accepted(
        world.verify_at(
            world.repo.commit({**files, kel_path(world.bob): world.bob.log.stream}, [rotated, stale], world.bob)
        )
    )


def test_what_a_forked_log_signed_is_not_received(world: World) -> None:
    """Row 46: a thief's side and the owner's; the mainline has the owner's."""
    thief = Person("Bob", 2)
    thief.log.interact(OTHER_SEAL)
    world.bob.log.interact(SEAL)
    theirs = world.repo.commit(with_log(world, thief.log.stream), [world.tip], thief)
    ours = world.repo.commit(with_log(world, world.bob.log.stream), [world.tip], world.bob)
    for stream in (thief.log.stream, world.bob.log.stream):
        bad = world.repo.commit(with_log(world, stream), [ours, theirs], world.bob)
        refused(world.verify_at(bad), (theirs, "kel-invalid"))


def test_only_the_admin_rule_keeps_one_side_of_a_forked_log(world: World) -> None:
    """Row 46: alice's branch brings the thief's side in; whoever merges it decides between the two."""
    thief = Person("Bob", 2)
    thief.log.interact(OTHER_SEAL)
    world.bob.log.interact(SEAL)
    theirs = world.repo.commit(with_log(world, thief.log.stream), [world.tip], world.alice)
    ours = world.repo.commit(with_log(world, world.bob.log.stream), [world.tip], world.alice)
    for stream in (thief.log.stream, world.bob.log.stream):
        kept = with_log(world, stream)
        accepted(world.verify_at(world.repo.commit(kept, [ours, theirs], world.alice)))
        bad = world.repo.commit(kept, [ours, theirs], world.bob)
        refused(world.verify_at(bad), (bad, "policy-change-unauthorized"))
    # What bob has signed on one side is not received by the other side's log.
    his = world.repo.commit(with_log(world, world.bob.log.stream), [world.tip], world.bob)
    bad = world.repo.commit(with_log(world, world.bob.log.stream), [his, theirs], world.alice)
    refused(world.verify_at(bad), (bad, "mainline-inverted"))
    neither = Person("Bob", 2)
    bad = world.repo.commit(with_log(world, neither.log.stream), [ours, theirs], world.alice)
    refused(world.verify_at(bad), (bad, "kel-invalid"))


def test_a_delegate_whom_its_delegator_has_not_sealed_is_refused(world: World) -> None:
    """Row 46: an event that needs the delegator's word, without it."""
    before = world.bob.log.stream
    device = Person("Device", 60, delegator=world.bob)
    event = event_of(device.log.messages[0])
    unanchored = kelbuild.with_signatures(event, signatures(event, device.log.current))
    for stream in (device.log.stream, unanchored):  # with and without `-G`, which says where the seal stands
        files = {**world.files, kel_path(device): stream, kel_path(world.bob): before}
        bad = world.repo.commit(files, [world.tip], world.bob)
        (found,) = refused(world.verify_at(bad), (bad, "kel-invalid"))
        assert "event 0" in found["reason"]


def test_a_delegate_without_its_delegators_log_is_refused(world: World) -> None:
    """Row 46."""
    device = Person("Device", 61, delegator=world.carol)
    bad = world.repo.commit({**world.files, kel_path(device): device.log.stream}, [world.tip], world.alice)
    refused(world.verify_at(bad), (bad, "kel-invalid"))


def test_a_log_stands_under_its_own_aid(world: World) -> None:
    """Row 47: Carol's log as Bob's; Bob's as Carol's; Bob's under a name that is no AID's."""
    as_bobs = with_log(world, world.carol.log.stream)
    as_carols = with_log(world, world.bob.log.stream, world.carol)
    for files in (as_bobs, as_carols, {**world.files, ".auths/kels/bob.cesr": world.bob.log.stream},
                  {**world.files, f".auths/kels/{world.carol.aid}": world.carol.log.stream},
                  {**world.files, f".auths/kels/{world.bob.aid.swapcase()}.cesr": world.bob.log.stream}):  # fmt: skip
        bad = world.repo.commit(files, [world.tip], world.alice)
        refused(world.verify_at(bad), (bad, "kel-invalid"))


def test_two_logs_in_one_file_are_refused(world: World) -> None:
    """Row 47: what stands behind Bob's own log is not his."""
    for stream in (world.bob.log.stream + world.carol.log.stream, world.carol.log.stream + world.bob.log.stream):
        bad = world.repo.commit(with_log(world, stream), [world.tip], world.alice)
        refused(world.verify_at(bad), (bad, "kel-invalid"))
