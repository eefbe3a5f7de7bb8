"""Merges whose first parent is the intruder's: his branch would become the chain, and the mainline a side branch.

Each is pushed as a fast-forward, and each commit is good by its own ancestors and by its place on the new chain.
"""

from __future__ import annotations

import pytest

from tests.attacks.forge import Files, Person, Rule, World, accepted, approval, auths, envelope, kel_path, refused
from tests.attacks.test_clock import at, until
from tests.attacks.test_pushes import Gate, published, server  # noqa: F401
from tests.attacks.test_receptions import (
    ADOPTED,
    AT_RECEPTION,
    CHANGED,
    SEAL,
    as_a_branch,
    by_a_demoted_admin,
    declared,
    listing,
    with_bob,
    without_bob,
)

INVERTED = "mainline-inverted"
NOW_TEN_DAYS = 1_780_000_000 + 10 * 86400


def merged(world: World, files: Files, parents: list[str], signer: Person | None = None) -> str:
    return world.repo.commit(files, parents, signer or world.alice, b"Merge\n")


def inverted(world: World, merge: str, *intruders: str) -> None:
    """The merge is named, and in its reason one of the commits that it would bring in."""
    answer = world.verify_at(merge)
    assert (answer.code, answer.document["ok"]) == (1, False)
    (found,) = (one for one in answer.objects if one["verdict"] != "ungoverned")
    assert (found["id"], found["verdict"]) == (merge, INVERTED)
    assert any(intruder in found["reason"] for intruder in intruders)


def removal(world: World) -> str:
    """Bob is removed, and that has been found good."""
    removed = world.repo.commit(without_bob(world), [world.tip], world.alice)
    accepted(world.verify_at(removed))
    return removed


def test_a_removed_signers_branch_does_not_become_the_mainline(world: World) -> None:
    """Row 59: and what comes on top of it is no better."""
    removed = removal(world)
    intruder = world.work([world.tip], world.bob, other="1")
    files = {**without_bob(world), "other": b"1"}
    merge = merged(world, files, [intruder, removed])
    inverted(world, merge, intruder)
    refused(world.verify_at(world.repo.commit({**files, "src": b"2"}, [merge], world.carol)), (merge, INVERTED))
    again = world.repo.commit({**with_bob(world), "other": b"1"}, [merge], world.alice)
    refused(world.verify_at(again), (merge, INVERTED))
    by_himself = merged(world, files, [intruder, removed], world.bob)
    refused(world.verify_at(by_himself), (by_himself, "unauthorized"))
    refused(world.verify_at(merged(world, files, [removed, intruder])), (intruder, AT_RECEPTION))


def test_the_same_as_a_branch_is_received_by_the_mainline(world: World) -> None:
    """Row 59: a branch beside the mainline has no chain that counts."""
    removed = removal(world)
    intruder = world.work([world.tip], world.bob, other="1")
    merge = merged(world, {**without_bob(world), "other": b"1"}, [intruder, removed])
    refused(as_a_branch(world, merge), (intruder, AT_RECEPTION))


def test_the_mainline_is_not_taken_in_small_steps(world: World) -> None:
    """Row 59: first what was there before the removal, then the removal; several commits, several parents."""
    before = world.work([world.tip], world.alice, src="2")
    removed = world.repo.commit({**without_bob(world), "src": b"2"}, [before], world.alice)
    side = world.work([world.tip], world.alice, side="1")
    first = world.work([world.tip], world.bob, other="1")
    second = world.work([first, before], world.bob, other="1", src="2")
    files = {**without_bob(world), "other": b"1", "src": b"2"}
    accepted(world.verify_at(second))
    accepted(world.verify_at(removed))
    inverted(world, merged(world, files, [second, removed]), first, second)
    inverted(world, merged(world, {**files, "side": b"1"}, [second, side, removed]), first, second)
    inverted(world, merged(world, {**files, "side": b"1"}, [second, removed, side]), first, second)


def test_a_foxtrot_on_a_side_branch_is_received_as_any_branch(world: World) -> None:
    """Row 59: wrapped in a merge that has the mainline first."""
    removed = removal(world)
    intruder = world.work([world.tip], world.bob, other="1")
    files = {**without_bob(world), "other": b"1"}
    wrapped = merged(world, files, [removed, merged(world, files, [intruder, removed])])
    refused(world.verify_at(wrapped), (intruder, AT_RECEPTION))


def test_a_compromised_key_does_not_become_the_mainline(world: World) -> None:
    """Row 59, by rule 4's "and keys too": the policies are the same on both sides."""
    thief = Person("Bob", 2)
    main, files = declared(world, world.tip, world.files)
    accepted(world.verify_at(main))
    intruder = world.work([world.tip], thief, other="1")
    inverted(world, merged(world, {**files, "other": b"1"}, [intruder, main]), intruder)


def test_a_key_that_was_given_up_softly_may_come_first(world: World) -> None:
    """Row 59, the other side of it: Bob pulls while he has rotated elsewhere."""
    old = world.work([world.tip], world.bob, other="1")
    world.bob.log.rotate()
    files = {**world.files, kel_path(world.bob): world.bob.log.stream}
    main = world.repo.commit(files, [world.tip], world.bob)
    accepted(world.verify_at(merged(world, {**files, "other": b"1"}, [old, main], world.bob)))


def test_an_honest_pull_may_come_first(world: World) -> None:
    """Rows 59 and 77: who is listed on both sides, though the policy changed meanwhile. A server asks for more."""
    main = world.repo.commit(with_bob(world), [world.tip], world.alice)
    accepted(world.verify_at(main))
    for signer in (world.bob, world.alice):
        mine = world.work([world.tip], signer, other="1")
        accepted(world.verify_at(merged(world, {**with_bob(world), "other": b"1"}, [mine, main], signer)))
    plain = world.work([world.tip], world.alice, src="2")
    mine = world.work([world.tip], world.bob, other="1")
    accepted(world.verify_at(world.work([mine, plain], world.bob, other="1", src="2")))


@pytest.mark.parametrize(
    ("who", "named"), [("carol", "the merge"), ("carol", "the intruder"), ("carol", "both"), ("alice", "the merge")]
)
def test_an_adoption_makes_nobody_come_first(world: World, who: str, named: str) -> None:
    """Row 59: a signer's line never; an admin's not by naming the merge alone, which has not adopted the intruder."""
    merge, tip = adopting_a_foxtrot(world, getattr(world, who), named)
    refused(world.verify_at(tip), (merge, INVERTED))


@pytest.mark.parametrize("named", ["the intruder", "both"])
def test_an_admins_adoption_lets_it_come_first(world: World, named: str) -> None:
    """Row 59, the other side of it, by 7.10: a line replaces rule 4 for the commit that it names."""
    _, tip = adopting_a_foxtrot(world, world.alice, named)
    accepted(world.verify_at(tip))


def adopting_a_foxtrot(world: World, signer: Person, named: str) -> tuple[str, str]:
    """A merge that has a removed signer's commit first, and a commit on top whose lines name these."""
    removed = removal(world)
    intruder = world.work([world.tip], world.bob, other="1")
    merge = merged(world, {**without_bob(world), "other": b"1"}, [intruder, removed])
    lines = {"the merge": [merge], "the intruder": [intruder], "both": [intruder, merge]}[named]
    adopted = "".join(f"{line}\n" for line in lines).encode()
    return merge, world.repo.commit({**without_bob(world), "other": b"1", ADOPTED: adopted}, [merge], signer)


def test_a_right_that_ended_is_not_asked_both_ways(world: World) -> None:
    """Row 59, by rule 4's "without the clock": by the other side's policy Bob's right had ended by then."""
    slow = at(world, NOW_TEN_DAYS, [world.tip], world.bob, world.files, other="1")
    main, files = until(world, world.bob, NOW_TEN_DAYS - 86400)
    accepted(world.verify_at(main))
    accepted(world.verify_at(at(world, NOW_TEN_DAYS, [slow, main], world.alice, files, other="1")))


def test_what_no_rule_governed_does_not_come_first_where_one_does(world: World) -> None:
    """Row 59: by a policy without a commit rule nobody's signature is looked at, so anybody's work passes."""
    admin = Rule("admin", [world.alice])
    open_to_all = {**world.files, **auths([admin], [world.alice], [world.bob])}
    closed = {**world.files, **auths([Rule("commit", [world.alice]), admin], [world.alice], [world.bob])}
    start = world.repo.commit(open_to_all, [world.tip], world.alice)
    main = world.repo.commit(closed, [start], world.alice)
    accepted(world.verify_at(main))
    for signer in (None, world.bob, world.mallory):
        anybody = world.repo.commit({**open_to_all, "other": b"1"}, [start], signer)
        inverted(world, merged(world, {**closed, "other": b"1"}, [anybody, main]), anybody)
    hers = world.repo.commit({**open_to_all, "other": b"1"}, [start], world.alice)
    merge = merged(world, {**closed, "other": b"1"}, [hers, main])
    assert world.verify_at(merge).verdicts.keys().isdisjoint({merge})


def test_a_path_rule_of_the_mainline_is_met_by_what_comes_first(world: World) -> None:
    """Row 59: Bob may still commit, only not there."""
    files = {path: content for path, content in world.files.items() if path != "src"}
    start = world.repo.commit(files, [world.tip], world.alice)
    rule = Rule("commit", [world.alice], 1, 'paths = ["crypto/**"]\n')
    scoped = {**files, **auths([*world.rules, rule], [world.alice, world.bob])}
    main = world.repo.commit(scoped, [start], world.alice)
    for path in ("crypto/x", "docs/x"):
        his = world.repo.commit({**files, path: b"1"}, [start], world.bob)
        merge = merged(world, {**scoped, path: b"1"}, [his, main])
        if path == "docs/x":
            accepted(world.verify_at(merge))
        else:
            inverted(world, merge, his)


def test_a_threshold_of_the_mainline_is_met_by_what_comes_first(world: World) -> None:
    """Row 59: the policy there requires two by now; the second's approval helps."""
    rules = [Rule("commit", [world.alice, world.bob], 2), Rule("admin", [world.alice])]
    files = {**world.files, **auths(rules, [world.alice, world.bob])}
    main = world.repo.commit(files, [world.tip], world.alice)
    his = world.work([world.tip], world.bob, other="1")
    merge = merged(world, {**files, "other": b"1"}, [his, main])

    def approved(*commits: str) -> dict[str, list[bytes]]:
        by = {merge: world.bob, his: world.alice}
        return {id: [envelope(by[id], approval(by[id], world.root, id))] for id in commits}

    world.repo.notes(approved(merge))
    inverted(world, merge, his)
    world.repo.notes(approved(merge, his))
    accepted(world.verify_at(merge))


def test_a_removed_admins_policy_does_not_become_the_mainlines(world: World) -> None:
    """Row 72: on an old base, merged as first parent, so that both sides' policies differ; whoever merges what."""
    everybody = [world.alice, world.bob, world.carol]
    two = listing(world, everybody, [world.alice, world.carol])
    start = world.repo.commit(two, [world.tip], world.alice)
    main = world.repo.commit(listing(world, everybody), [start], world.alice)
    accepted(world.verify_at(main))
    coup = listing(world, [*everybody, world.mallory], [world.carol, world.alice])
    intruder = world.repo.commit(coup, [start], world.carol)
    with_mallory = {kel_path(world.mallory): world.mallory.log.stream}
    for policy in (coup, {**listing(world, everybody), **with_mallory}, {**two, **with_mallory}):
        inverted(world, merged(world, policy, [intruder, main]), intruder)
        for signer in (world.carol, world.bob):
            merge = merged(world, policy, [intruder, main], signer)
            refused(world.verify_at(merge), (merge, CHANGED))
        unlisted = merged(world, policy, [intruder, main], world.mallory)
        assert world.verify_at(unlisted).code == 1
        refused(world.verify_at(merged(world, policy, [main, intruder])), (intruder, CHANGED))
    world.advance(main)
    refused(as_a_branch(world, merged(world, coup, [intruder, main])), (intruder, CHANGED))


def test_an_admins_policy_may_come_first(world: World) -> None:
    """Row 72, the other side of it: who is an admin by both sides makes one of two that differ."""
    mine = world.repo.commit(with_bob(world), [world.tip], world.alice)
    main = world.repo.commit(listing(world, [world.bob, world.alice]), [world.tip], world.alice)
    accepted(world.verify_at(main))
    accepted(world.verify_at(merged(world, with_bob(world), [mine, main])))


def test_a_demoted_admins_pin_does_not_come_first(world: World) -> None:
    """Rows 72 and 73: what stands beside the policy takes the admin rule of the other side as well."""
    pin = {".auths/oidc/ci.json": b"{}\n"}
    hers, main, files = by_a_demoted_admin(world, pin)
    inverted(world, merged(world, {**files, **pin}, [hers, main]), hers)


def test_the_root_stays_on_the_chain(world: World) -> None:
    """Row 59, with what was before the root as the first parent: the chain would begin with nobody's rules."""
    merge = world.work([world.before, world.tip], world.alice)
    refused(world.verify_at(merge), (merge, INVERTED))
    line = {ADOPTED: merge.encode() + b"\n"}
    refused(world.verify_at(world.repo.commit({**world.files, **line}, [merge], world.alice)), (merge, INVERTED))
    side = world.repo.commit({"README": b"2"}, [world.before], world.alice)
    merge = world.work([side, world.tip], world.alice)
    line = {ADOPTED: side.encode() + b"\n"}
    adopting = world.repo.commit({**world.files, **line}, [merge], world.alice)
    refused(world.verify_at(adopting), (side, "outside-root"))
    honest = world.repo.commit({**world.files, **line}, [world.work([world.tip, side], world.alice)], world.alice)
    accepted(world.verify_at(honest))


def test_a_server_takes_no_foxtrot(world: World, server: Gate) -> None:  # noqa: F811
    """Row 59: neither the intruder's nor an honest one, which a rebase mends."""
    removed = removal(world)
    server.takes(f"{removed}:refs/heads/main")
    for signer in (world.bob, world.alice):
        mine = world.work([world.tip], signer, other="1")
        merge = merged(world, {**without_bob(world), "other": b"1"}, [mine, removed])
        server.refuses(f"{merge}:refs/heads/main", verdict=INVERTED)
    rebased = world.repo.commit({**without_bob(world), "other": b"1"}, [removed], world.alice)
    server.takes(f"{rebased}:refs/heads/main")


def test_a_forked_log_does_not_come_first_though_an_admin_merges_it(world: World) -> None:
    """Row 59, by rule 4's "and keys too": Alice commits Bob's declaration for him, and is led to merge the thief's."""
    thief = Person("Bob", 2)
    thief.log.interact(SEAL)
    _, files = declared(world, world.tip, world.files)
    main = world.repo.commit(files, [world.tip], world.alice)
    accepted(world.verify_at(main))
    theirs = {**world.files, kel_path(thief): thief.log.stream, "other": b"1"}
    intruder = world.repo.commit(theirs, [world.tip], thief)
    inverted(world, merged(world, {**files, "other": b"1"}, [intruder, main]), intruder)


def test_a_forked_log_does_not_come_first(world: World) -> None:
    """Row 59: what the owner signed is received by the thief's log then. The thief writes an event of his own beside the owner's declaration."""
    thief = Person("Bob", 2)
    thief.log.interact(SEAL)
    main, files = declared(world, world.tip, world.files)
    theirs = {**world.files, kel_path(thief): thief.log.stream, "other": b"1"}
    intruder = world.repo.commit(theirs, [world.tip], thief)
    merge = merged(world, {**files, "other": b"1"}, [intruder, main])
    refused(world.verify_at(merge), (main, "kel-invalid"))
