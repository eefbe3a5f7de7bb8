"""Row 77: what honest people do must stay good, or the rules will be switched off."""

from __future__ import annotations

import pytest

from tests.attacks.forge import Person, Rule, World, accepted, allowed_signers, auths, kel_path, refused
from tests.attacks.test_pushes import Gate, gate, published  # noqa: F401
from tests.attacks.test_receptions import as_a_branch


def with_carol(world: World) -> dict[str, bytes]:
    """The tip's files, Carol being listed for commits as well."""
    everybody = [world.alice, world.bob, world.carol]
    return {**world.files, **auths([Rule("commit", everybody), *world.rules[1:]], everybody)}


def rotated(person: Person, files: dict[str, bytes], everybody: list[Person]) -> dict[str, bytes]:
    person.log.rotate()
    return {**files, kel_path(person): person.log.stream, ".auths/allowed_signers": allowed_signers(everybody)}


@pytest.mark.parametrize("merger", ["alice", "bob"])
def test_a_branch_that_adds_a_signer_is_merged(world: World, merger: str) -> None:
    """Row 77: --no-ff, by an admin or by anyone who may commit; the branch carries the new signer's own commit."""
    files = with_carol(world)
    added = world.repo.commit(files, [world.tip], world.alice)
    hers = world.repo.commit({**files, "other": b"hers\n"}, [added], world.carol)
    meanwhile = world.work([world.tip], world.bob, src="2")
    for first in (world.tip, meanwhile):
        src = world.files["src"] if first == world.tip else b"2"
        merge = world.repo.commit({**files, "src": src, "other": b"hers\n"}, [first, hers], getattr(world, merger))
        accepted(world.verify_at(merge))
        accepted(world.verify_at(world.repo.commit({**files, "src": b"3"}, [merge], world.carol)))


def test_the_new_signer_may_merge_the_branch_that_added_her(world: World) -> None:
    """Row 77: the effective policy is the one that descends from the other."""
    files = with_carol(world)
    added = world.repo.commit(files, [world.tip], world.alice)
    accepted(world.verify_at(world.repo.commit(files, [world.tip, added], world.carol)))


def test_two_feature_branches_are_merged(world: World) -> None:
    """Row 77: one after the other, by different people, crosswise."""
    one = world.work([world.tip], world.alice, one="1")
    two = world.work([world.tip], world.bob, two="1")
    first = world.work([world.tip, one], world.bob, one="1")
    second = world.work([first, two], world.alice, one="1", two="1")
    accepted(world.verify_at(second))
    crossed = world.work([one, two], world.bob, one="1", two="1")
    other = world.work([two, one], world.alice, one="1", two="1")
    accepted(world.verify_at(world.work([crossed, other], world.bob, one="1", two="1")))


def test_an_admin_reverts_a_policy_commit(world: World) -> None:
    """Row 77: and sets it again; each is a change of its own. The logs that it brought stay: they only grow."""
    changed = with_carol(world)
    reverted = {**world.files, kel_path(world.carol): world.carol.log.stream}
    tip = world.tip
    for files in (changed, reverted, changed, reverted):
        tip = world.repo.commit(files, [tip], world.alice)
        tip = world.repo.commit({**files, "src": b"2\n"}, [tip], world.bob)
    accepted(world.verify_at(tip))


def test_main_is_merged_into_a_feature_branch_after_the_policy_changed(world: World) -> None:
    """Row 77: with a changed .auths/oidc/ too; by someone who is no admin."""
    feature = world.work([world.tip], world.bob, feature="1")
    files = {**with_carol(world), ".auths/oidc/ci.json": b"{}\n"}
    main = world.repo.commit(files, [world.tip], world.alice)
    merged = world.repo.commit({**files, "feature": b"1"}, [feature, main], world.bob)
    back = world.repo.commit({**files, "feature": b"1"}, [main, merged], world.bob)
    accepted(world.verify_at(back))


def test_rotations_on_two_branches_are_merged(world: World) -> None:
    """Row 77: every rotation commit; Alice and Bob rotate at once, and each goes on with the new key."""
    everybody = [world.alice, world.bob]
    before = dict(world.files)
    alices = rotated(world.alice, before, everybody)
    first = world.repo.commit(alices, [world.tip], world.alice)
    world.bob.log.rotate()
    bobs = {**before, kel_path(world.bob): world.bob.log.stream,
            ".auths/allowed_signers": allowed_signers([Person("Alice", 1), world.bob])}  # fmt: skip
    second = world.repo.commit(bobs, [world.tip], world.bob)
    both = {**alices, kel_path(world.bob): world.bob.log.stream, ".auths/allowed_signers": allowed_signers(everybody)}
    merge = world.repo.commit(both, [first, second], world.bob)
    accepted(world.verify_at(merge))
    accepted(world.verify_at(world.repo.commit(rotated(world.alice, both, everybody), [merge], world.alice)))


def test_what_was_signed_before_a_rotation_stays_good(world: World) -> None:
    """Row 77: a rotation never un-verifies history; a branch from before it is merged with the older key's work."""
    older = world.work([world.tip], world.bob, other="1")
    files = rotated(world.bob, world.files, [world.alice, world.bob])
    main = world.repo.commit(files, [world.tip], world.bob)
    accepted(world.verify_at(world.repo.commit({**files, "other": b"1"}, [main, older], world.alice)))


@pytest.mark.parametrize("merger", ["alice", "bob"])
@pytest.mark.parametrize("into", ["main", "the branch"])
def test_a_branch_from_before_a_signer_came_and_went_is_merged(world: World, into: str, merger: str) -> None:
    """Row 77: her log stays, and the policy lists her no more; it is new to the branch, but not to the merge."""
    branch = world.work([world.tip], world.bob, other="1")
    came = world.repo.commit(with_carol(world), [world.tip], world.alice)
    files = {**world.files, kel_path(world.carol): world.carol.log.stream}
    went = world.repo.commit(files, [came], world.alice)
    accepted(world.verify_at(went))
    parents = [went, branch] if into == "main" else [branch, went]
    accepted(world.verify_at(world.repo.commit({**files, "other": b"1"}, parents, getattr(world, merger))))


def test_a_dormant_repository_goes_on(world: World) -> None:
    """Row 77: after three years; nobody's right has an end in this policy."""
    world.repo.date += 3 * 365 * 86400
    accepted(world.verify_at(world.work([world.tip], world.bob, src="2")))


def test_a_linear_history_may_end_in_many_policies(world: World) -> None:
    """Row 77: thirty changes of the policy, each followed by work of whoever it has just let in."""
    tip, files = world.tip, dict(world.files)
    for number in range(30):
        everybody = [world.alice, world.bob] + ([world.carol] if number % 2 else [])
        changed = auths([Rule("commit", everybody), *world.rules[1:]], everybody)
        files = {**files, kel_path(world.carol): world.carol.log.stream, **changed}
        tip = world.repo.commit(files, [tip], world.alice)
        tip = world.repo.commit({**files, "src": b"%d\n" % number}, [tip], everybody[-1])
    accepted(world.verify_at(tip))


def grown(person: Person, files: dict[str, bytes]) -> dict[str, bytes]:
    """The person rotates; nobody has brought `allowed_signers` up to date."""
    person.log.rotate()
    return {**files, kel_path(person): person.log.stream}


def good_on_a_branch_and_on_the_mainline(world: World, tip: str) -> None:
    """Asked while the mainline lacks it, and as a fast-forward."""
    accepted(as_a_branch(world, tip))
    accepted(world.verify_at(tip))


def test_everybody_rotates_in_turn(world: World) -> None:
    """Row 77: every rotation commit, and the work after each with the new key."""
    files, tip = with_carol(world), world.repo.commit(with_carol(world), [world.tip], world.alice)
    for number, person in enumerate([world.carol, world.alice, world.bob] * 2):
        files = grown(person, files)
        tip = world.repo.commit(files, [tip], person)
        files = {**files, "src": b"%d" % number}
        tip = world.repo.commit(files, [tip], person)
    good_on_a_branch_and_on_the_mainline(world, tip)


def test_a_rotation_is_known_on_one_branch_before_the_other(world: World) -> None:
    """Row 77: the branch has the longer log, or the mainline has; each is asked about and merged."""
    ahead = grown(world.bob, world.files)
    rotation = world.repo.commit(ahead, [world.tip], world.bob)
    on_it = world.repo.commit({**ahead, "other": b"1"}, [rotation], world.bob)
    main = world.work([world.tip], world.alice, src="2")
    world.advance(main)
    accepted(as_a_branch(world, on_it))
    both = {**ahead, "src": b"2", "other": b"1"}
    merge = world.repo.commit(both, [main, on_it], world.bob)
    accepted(world.verify_at(merge))
    elsewhere = world.repo.commit({**ahead, "more": b"1"}, [world.tip], world.bob)  # it brings the log along
    accepted(as_a_branch(world, elsewhere))
    accepted(world.verify_at(world.repo.commit({**both, "more": b"1"}, [merge, elsewhere], world.alice)))


def test_a_pair_that_adds_a_signer_is_fast_forwarded(world: World) -> None:
    """Row 77: and good as a branch before that; the new signer's commit alone would not be."""
    files = with_carol(world)
    added = world.repo.commit(files, [world.tip], world.alice)
    hers = world.repo.commit({**files, "other": b"hers\n"}, [added], world.carol)
    good_on_a_branch_and_on_the_mainline(world, hers)
    alone = world.repo.commit({**world.files, "other": b"hers\n"}, [world.tip], world.carol)
    world.advance(world.tip)
    refused(as_a_branch(world, alone), (alone, "unknown-key"))
    by_bob = world.repo.commit(files, [world.tip], world.bob)
    hers = world.repo.commit({**files, "other": b"hers\n"}, [by_bob], world.carol)
    refused(world.verify_at(hers), (by_bob, "policy-change-unauthorized"))


def test_a_pair_that_adds_a_signer_is_pushed(world: World, gate: Gate) -> None:  # noqa: F811
    """Row 77: at once, to the mainline or to another branch."""
    files = with_carol(world)
    added = world.repo.commit(files, [world.tip], world.alice)
    hers = world.repo.commit({**files, "other": b"hers\n"}, [added], world.carol)
    gate.takes(f"{hers}:refs/heads/topic")
    gate.takes(f"{hers}:refs/heads/main")


def test_branches_that_change_the_policy_are_merged(world: World) -> None:
    """Row 77: --no-ff, one after the other; the first by anybody, the second, which unites two policies, by an admin."""
    carol = with_carol(world)
    one = world.repo.commit(carol, [world.tip], world.alice)
    retired = {**world.files, **auths([Rule("commit", [world.alice, world.bob]), world.rules[2]],
                                      [world.alice, world.bob])}  # fmt: skip
    two = world.repo.commit(retired, [world.tip], world.alice)
    everybody = [world.alice, world.bob, world.carol]
    both = {**world.files, **auths([Rule("commit", everybody), world.rules[2]], everybody)}
    for merger in (world.bob, world.alice):
        first = world.repo.commit(carol, [world.tip, one], merger)
        accepted(world.verify_at(first))
        accepted(world.verify_at(world.repo.commit(both, [first, two], world.alice)))
        bad = world.repo.commit(both, [first, two], world.bob)
        refused(world.verify_at(bad), (bad, "policy-change-unauthorized"))
    hers = world.repo.commit(carol, [world.tip, one], world.carol)
    accepted(world.verify_at(hers))
    inverted = world.repo.commit(
        both, [hers, two], world.alice
    )  # the other policy does not know her: 7.4 has it rebased
    refused(world.verify_at(inverted), (inverted, "mainline-inverted"))
    accepted(world.verify_at(world.repo.commit(both, [hers], world.alice)))


def test_a_feature_branch_that_took_main_in_is_good_by_itself(world: World) -> None:
    """Row 77: with a changed .auths/oidc/; another pin than main's, in that merge, is a change."""
    feature = world.work([world.tip], world.bob, feature="1")
    files = {**with_carol(world), ".auths/oidc/ci.json": b"{}\n"}
    main = world.repo.commit(files, [world.tip], world.alice)
    accepted(world.verify_at(main))
    merge = world.repo.commit({**files, "feature": b"1"}, [feature, main], world.bob)
    tip = world.repo.commit({**files, "feature": b"2"}, [merge], world.carol)
    accepted(as_a_branch(world, tip))
    for pin in ({".auths/oidc/ci.json": b"[]\n"}, {}):
        unpinned = {path: content for path, content in files.items() if not path.startswith(".auths/oidc/")}
        bad = world.repo.commit({**unpinned, **pin, "feature": b"1"}, [feature, main], world.bob)
        refused(as_a_branch(world, bad), (bad, "policy-change-unauthorized"))
