"""Attacks with a right that somebody once had: each commit is judged again by what stands when it is received.

Whatever comes late comes in two ways: somebody asks about a branch that the mainline lacks, or the mainline takes it in
by a merge. It is received now, or by that step; the answer is the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from tests.attacks.forge import Answer, Person, Rule, World, accepted, auths, git_says_good, kel_path, refused

ADOPTED = ".auths/adopted"
AT_RECEPTION, CHANGED = "unauthorized-at-reception", "policy-change-unauthorized"
SEAL = {"auths": "grant/1", "d": "ab" * 32}

Files = Mapping[str, bytes]


def as_a_branch(world: World, commit: str) -> Answer:
    """What is said of a branch that stands there and has not been good before."""
    (world.repo.path / ".git/auths/tips").unlink(missing_ok=True)
    world.repo.ref("refs/heads/late", commit)
    return world.repo.verify("refs/heads/late")


def arriving(world: World, main: str, late: str, files: Files) -> list[Answer]:
    """What is said of `late` when it meets a mainline at `main`: as a branch, and by a merge with these files."""
    world.advance(main)
    return [as_a_branch(world, late), world.verify_at(world.repo.commit(files, [main, late], world.alice))]


def late_is_refused(world: World, main: str, late: str, files: Files, *bad: tuple[str, str]) -> None:
    for answer in arriving(world, main, late, files):
        refused(answer, *bad)


def late_is_accepted(world: World, main: str, late: str, files: Files) -> None:
    for answer in arriving(world, main, late, files):
        accepted(answer)


def listing(world: World, commit: Sequence[Person], admin: Sequence[Person] = (), *more: Rule) -> dict[str, bytes]:
    """The tip's files with these signers of commits and these admins (Alice); no log is left out."""
    rules = [Rule("commit", commit), *more, Rule("admin", admin or [world.alice])]
    people = {one.did: one for rule in rules for one in rule.signers if isinstance(one, Person)}
    others = [one for one in (world.alice, world.bob, world.carol) if one.did not in people]
    return {**world.files, **auths(rules, list(people.values()), others)}


def without_bob(world: World) -> dict[str, bytes]:
    return listing(world, [world.alice, world.carol])


def with_bob(world: World) -> dict[str, bytes]:
    return listing(world, [world.alice, world.bob, world.carol])


# Who was removed


def test_who_is_added_again_has_no_right_in_the_gap(world: World) -> None:
    """Row 13: the commits of the gap stay bad, whatever comes on top of them."""
    removed = world.repo.commit(without_bob(world), [world.tip], world.alice)
    gap = world.repo.commit({**without_bob(world), "src": b"2"}, [removed], world.bob)
    again = world.repo.commit({**with_bob(world), "src": b"2"}, [gap], world.alice)
    refused(world.verify_at(again), (gap, "unauthorized"))
    later = world.repo.commit({**with_bob(world), "src": b"3"}, [again], world.bob)
    refused(world.verify_at(later), (gap, "unauthorized"))


def test_what_was_signed_in_the_gap_is_not_received_after_it(world: World) -> None:
    """Row 13: the mainline that receives it lists him again; its own ancestors do not."""
    removed = world.repo.commit(without_bob(world), [world.tip], world.alice)
    gap = world.repo.commit({**without_bob(world), "other": b"1"}, [removed], world.bob)
    again = world.repo.commit(with_bob(world), [removed], world.alice)
    accepted(world.verify_at(again))
    late_is_refused(world, again, gap, {**with_bob(world), "other": b"1"}, (gap, "unauthorized"))


def test_what_was_received_in_the_gap_stays_bad(world: World) -> None:
    """Row 13: an old branch, merged while he had no right; he has one now, and it was received then."""
    old = world.work([world.tip], world.bob, other="1")
    removed = world.repo.commit(without_bob(world), [world.tip], world.alice)
    merge = world.repo.commit({**without_bob(world), "other": b"1"}, [removed, old], world.alice)
    again = world.repo.commit({**with_bob(world), "other": b"1"}, [merge], world.alice)
    refused(world.verify_at(again), (old, AT_RECEPTION))


def test_who_is_added_again_goes_on(world: World) -> None:
    """Row 13, the other side of it: new work, and work from before the gap that is received after it."""
    old = world.work([world.tip], world.bob, other="1")
    removed = world.repo.commit(without_bob(world), [world.tip], world.alice)
    again = world.repo.commit(with_bob(world), [removed], world.alice)
    new = world.repo.commit({**with_bob(world), "src": b"2"}, [again], world.bob)
    accepted(world.verify_at(new))
    late_is_accepted(world, new, old, {**with_bob(world), "src": b"2", "other": b"1"})


def test_an_old_branch_of_someone_removed_is_not_received(world: World) -> None:
    """Row 16: made before the removal or after it, nobody can tell; until an admin adopts it."""
    old = world.work([world.root], world.bob, other="1")
    removed = world.repo.commit(without_bob(world), [world.tip], world.alice)
    accepted(world.verify_at(removed))
    files = {**without_bob(world), "other": b"1"}
    (found,) = refused(world.repo.verify(old), (old, AT_RECEPTION))
    assert found["signer"] == world.bob.did
    late_is_refused(world, removed, old, files, (old, AT_RECEPTION))
    line = {ADOPTED: old.encode() + b"\n"}
    adopting = world.repo.commit({**without_bob(world), **line}, [removed], world.alice)
    late_is_accepted(world, adopting, old, {**files, **line})


def test_an_old_branch_of_someone_listed_is_received(world: World) -> None:
    """Row 16, the other side of it: before the removal Bob's, after it Alice's."""
    his, hers = (world.work([world.tip], one, other="1") for one in (world.bob, world.alice))
    main = world.repo.commit(with_bob(world), [world.tip], world.alice)
    late_is_accepted(world, main, his, {**with_bob(world), "other": b"1"})
    removed = world.repo.commit(without_bob(world), [world.tip], world.alice)
    late_is_accepted(world, removed, hers, {**without_bob(world), "other": b"1"})


def test_what_was_received_before_the_removal_stays_good(world: World) -> None:
    """Row 16, the other side of it: the merge came first."""
    old = world.work([world.tip], world.bob, other="1")
    merge = world.work([world.tip, old], world.alice, other="1")
    accepted(world.verify_at(world.repo.commit({**without_bob(world), "other": b"1"}, [merge], world.alice)))


def test_who_was_removed_does_not_bring_his_branch_up_to_date_himself(world: World) -> None:
    """Row 16: what he merges main into is as old as before, and the merge is by somebody unlisted."""
    old = world.work([world.tip], world.bob, other="1")
    removed = world.repo.commit(without_bob(world), [world.tip], world.alice)
    updated = world.repo.commit({**without_bob(world), "other": b"1"}, [old, removed], world.bob)
    new = world.repo.commit({**without_bob(world), "other": b"1"}, [removed], world.bob)
    files = {**without_bob(world), "other": b"1"}
    late_is_refused(world, removed, updated, files, (old, AT_RECEPTION))
    late_is_refused(world, removed, new, files, (new, "unauthorized"))


def test_a_branch_with_a_policy_of_its_own_does_not_keep_a_removed_signer(world: World) -> None:
    """Row 16: an admin's change on the branch is newer by date, but does not descend from the removal."""
    everybody = listing(world, [world.bob, world.alice])
    other_policy = world.repo.commit(everybody, [world.tip], world.alice)
    removed = world.repo.commit(without_bob(world), [world.tip], world.alice)
    late = world.repo.commit({**everybody, "other": b"1"}, [other_policy], world.bob)
    accepted(world.verify_at(removed))
    late_is_refused(world, removed, late, {**without_bob(world), "other": b"1"}, (late, AT_RECEPTION))


def test_nothing_is_received_by_a_mainline_that_is_not_good_yet(world: World) -> None:
    """Row 16: what receives a branch is the mainline's last good commit; here the one that removed Bob."""
    removed = world.repo.commit(without_bob(world), [world.tip], world.alice)
    bad = world.repo.commit(with_bob(world), [removed], world.bob)
    late = world.work([world.tip], world.bob, other="1")
    refused(world.verify_at(bad), (bad, CHANGED))
    refused(as_a_branch(world, late), (late, AT_RECEPTION))


# Whose key was declared compromised


def in_doubt(sn: int, said: str) -> dict[str, str]:
    """The seal of `rotate --compromised` (DESIGN 4): keys from this event on are in doubt."""
    return {"auths": "compromise/1", "s": f"{sn:x}", "d": said, "t": "2026-06-01T00:00:00Z"}


def with_log(world: World, files: Files, person: Person) -> dict[str, bytes]:
    return {**files, kel_path(person): person.log.stream}


def declared(world: World, parent: str, files: Files) -> tuple[str, dict[str, bytes]]:
    """Bob declares his key compromised: the mainline's new tip and its files."""
    kel = world.bob.log.kel
    world.bob.log.rotate(anchors=[in_doubt(kel.sn, kel.said)])
    now = with_log(world, files, world.bob)
    return world.repo.commit(now, [parent], world.bob), now


def test_a_compromised_key_starts_nothing_from_an_old_commit(world: World) -> None:
    """Rows 14 and 15: that tree shows it as current, and it signed well; stock git accepts it."""
    thief = Person("Bob", 2)
    assert thief.aid == world.bob.aid
    main, files = declared(world, world.tip, world.files)
    accepted(world.verify_at(main))
    bad = world.work([world.root], thief, other="1")
    (found,) = refused(world.repo.verify(bad), (bad, "compromised-key"))
    assert found["signer"] == world.bob.did
    git_says_good(world.repo, "verify-commit", bad)
    late_is_refused(world, main, bad, {**files, "other": b"1"}, (bad, "compromised-key"))


def test_a_key_that_was_given_up_softly_is_good_where_its_tree_shows_it(world: World) -> None:
    """Rows 14 and 15, the other side of them; a seal in an interaction, which the thief could write, says nothing."""
    old = world.work([world.tip], world.bob, other="1")
    kel = world.bob.log.kel
    world.bob.log.interact(in_doubt(kel.sn, kel.said)).rotate()
    files = with_log(world, world.files, world.bob)
    main = world.repo.commit(files, [world.tip], world.bob)
    late_is_accepted(world, main, old, {**files, "other": b"1"})


def test_a_key_before_the_event_in_doubt_is_refused_as_well(world: World) -> None:
    """Rows 14 and 15: every key before the declaring rotation, for whatever has not been received (DESIGN 4)."""
    first = Person("Bob", 2)
    world.bob.log.rotate()
    softly = with_log(world, world.files, world.bob)
    main, files = declared(world, world.repo.commit(softly, [world.tip], world.bob), softly)
    bad = world.work([world.tip], first, other="1")
    late_is_refused(world, main, bad, {**files, "other": b"1"}, (bad, "compromised-key"))


def test_a_rotation_after_the_declaration_does_not_end_it(world: World) -> None:
    """Rows 14 and 15: and the key in between, given up softly, stays good."""
    thief = Person("Bob", 2)
    main, files = declared(world, world.tip, world.files)
    between = world.repo.commit({**files, "more": b"1"}, [main], world.bob)
    world.bob.log.rotate()
    files = with_log(world, files, world.bob)
    main = world.repo.commit(files, [main], world.bob)
    bad = world.work([world.tip], thief, other="1")
    late_is_refused(world, main, bad, {**files, "other": b"1"}, (bad, "compromised-key"))
    late_is_accepted(world, main, between, {**files, "more": b"1"})


def test_a_thief_does_not_continue_the_log_beside_its_owner(world: World) -> None:
    """Rows 14 and 15: an event of his own makes another log, and the mainline has the owner's."""
    thief = Person("Bob", 2)
    thief.log.interact(SEAL)
    main, files = declared(world, world.tip, world.files)
    bad = world.repo.commit({**with_log(world, world.files, thief), "other": b"1"}, [world.tip], thief)
    late_is_refused(world, main, bad, {**files, "other": b"1"}, (bad, "kel-invalid"))


def test_on_top_of_the_declaration_the_old_key_is_no_key(world: World) -> None:
    """Rows 14 and 15: its own tree says so."""
    thief = Person("Bob", 2)
    main, files = declared(world, world.tip, world.files)
    bad = world.repo.commit({**files, "other": b"1"}, [main], thief)
    late_is_refused(world, main, bad, {**files, "other": b"1"}, (bad, "superseded-key"))


def test_what_was_received_before_the_declaration_stays_good(world: World) -> None:
    """Row 14, the other side of it."""
    old = world.work([world.tip], world.bob, other="1")
    merge = world.work([world.tip, old], world.alice, other="1")
    main, files = declared(world, merge, {**world.files, "other": b"1"})
    accepted(world.verify_at(world.repo.commit({**files, "src": b"2"}, [main], world.bob)))


# Whose rights over `.auths/` were taken


def by_a_demoted_admin(world: World, change: Files) -> tuple[str, str, dict[str, bytes]]:
    """Carol was an admin where her commit starts; the mainline (returned second, with its files) made her a signer."""
    everybody = [world.alice, world.bob, world.carol]
    start = world.repo.commit(listing(world, everybody, [world.alice, world.carol]), [world.tip], world.alice)
    hers = world.repo.commit(
        {**listing(world, everybody, [world.alice, world.carol]), **change}, [start], world.carol, b"Change\n"
    )
    accepted(world.verify_at(hers))
    demoted = listing(world, everybody)
    return hers, world.repo.commit(demoted, [start], world.alice), demoted


CHANGES = {"a pin": {".auths/oidc/ci.json": b"{}\n"}, "a receipt": {".auths/received": b"refs/tags/v1 " + b"ab" * 20 + b"\n"},
           "an adoption": {ADOPTED: b"ab" * 20 + b"\n"}}  # fmt: skip


@pytest.mark.parametrize("change", list(CHANGES))
def test_a_demoted_admin_changes_nothing_below_auths(world: World, change: str) -> None:
    """Row 73: her branch is older than the demotion, and good before it."""
    hers, main, files = by_a_demoted_admin(world, CHANGES[change])
    late_is_refused(world, main, hers, {**files, **CHANGES[change]}, (hers, CHANGED))


def test_an_adoption_that_a_demoted_admin_brings_late_adopts_nothing(world: World) -> None:
    """Row 73: neither where it comes in nor where the line stands from then on."""
    patch = world.work([world.tip], None, other="1")
    line = {ADOPTED: patch.encode() + b"\n"}
    hers, main, files = by_a_demoted_admin(world, line)
    late = {**files, **line}
    merge = world.repo.commit(late, [main, hers], world.alice)
    for parent in (merge, main):
        both = world.repo.commit({**(late if parent == merge else files), "other": b"1"}, [parent, patch], world.alice)
        bad = [(patch, "unsigned"), (hers, CHANGED)] if parent == merge else [(patch, "unsigned")]
        refused(world.verify_at(both), *bad)


def test_an_admins_old_branch_changes_what_it_did(world: World) -> None:
    """Row 73, the other side of it: Alice has stayed an admin, though the policy changed meanwhile."""
    pinned = world.repo.commit({**world.files, **CHANGES["a pin"]}, [world.tip], world.alice)
    main = world.repo.commit(with_bob(world), [world.tip], world.alice)
    late_is_accepted(world, main, pinned, {**with_bob(world), **CHANGES["a pin"]})


# What else is asked about a branch that nobody has merged


def test_no_branch_brings_strangers_logs(world: World) -> None:
    """Row 61, beside a mainline."""
    logs = {kel_path(one): one.log.stream for one in [world.carol, *(Person("X", 900 + n) for n in range(9))]}
    bad = world.repo.commit({**world.files, **logs}, [world.tip], world.bob)
    main = world.work([world.tip], world.bob, src="2")
    late_is_refused(world, main, bad, {**world.files, **logs, "src": b"2"}, (bad, CHANGED))


def test_a_branch_from_a_second_root_is_outside(world: World) -> None:
    """Row 21: merged into it, or standing by itself."""
    other = world.repo.commit({**world.files, "other": b"1"}, [], world.alice)
    both = world.work([world.tip, other], world.alice, other="1")
    for late in (other, both):
        late_is_refused(world, world.tip, late, {**world.files, "other": b"1"}, (other, "outside-root"))


def test_in_an_octopus_that_arrives_each_bad_parent_is_named(world: World) -> None:
    """Row 23: one by someone who was removed, one with a key that was declared compromised, one unsigned."""
    thief = Person("Bob", 2)
    main, _ = declared(world, world.tip, world.files)
    everybody = listing(world, [world.alice, world.bob, world.carol])
    start = world.repo.commit(everybody, [main], world.alice)
    hers = world.repo.commit({**everybody, "hers": b"1"}, [start], world.carol)
    now = listing(world, [world.alice, world.bob])
    removed = world.repo.commit(now, [start], world.alice)
    good = world.work([world.tip], world.alice, good="1")
    stolen, unsigned = world.work([world.tip], thief, stolen="1"), world.work([world.tip], None, unsigned="1")
    names = {"good": good, "hers": hers, "stolen": stolen, "unsigned": unsigned}
    work = dict.fromkeys(names, b"1")
    octopus = world.repo.commit({**now, **work}, [removed, *names.values()], world.alice)
    bad = [(hers, AT_RECEPTION), (stolen, "compromised-key"), (unsigned, "unsigned")]
    late_is_refused(world, removed, octopus, {**now, **work}, *bad)
    honest = world.repo.commit({**now, "good": b"1"}, [removed, good, start], world.alice)
    late_is_accepted(world, removed, honest, {**now, "good": b"1"})


def test_no_branch_puts_reverted_bytes_back(world: World) -> None:
    """Row 71, beside a mainline: by a signer of commits, on top of the revert and from before the change."""
    widened = listing(world, [world.alice, world.bob], [world.alice, world.bob])
    change = world.repo.commit(widened, [world.tip], world.alice)
    reverted = listing(world, [world.alice, world.bob])
    revert = world.repo.commit(reverted, [change], world.alice)
    accepted(world.verify_at(revert))
    for start in (revert, world.tip):
        bad = world.repo.commit(widened, [start], world.bob)
        late_is_refused(world, revert, bad, reverted, (bad, CHANGED))
    again = world.repo.commit(widened, [revert], world.alice)
    late_is_accepted(world, revert, again, widened)


def test_no_branch_drops_a_line_of_adopted(world: World) -> None:
    """Row 71: by restoring older bytes; a branch that merely never had the line drops none."""
    line = {ADOPTED: b"ab" * 20 + b"\n"}
    decided = world.repo.commit({**world.files, **line}, [world.tip], world.alice)
    accepted(world.verify_at(decided))
    for signer in (world.bob, world.alice):  # decisions are append-only: no admin takes one back either
        bad = world.repo.commit({**world.files, "other": b"1"}, [decided], signer)
        late_is_refused(world, decided, bad, {**world.files, **line}, (bad, CHANGED))
    older = world.work([world.tip], world.bob, other="1")
    late_is_accepted(world, decided, older, {**world.files, **line, "other": b"1"})


# Merges of branches that are older than what happened meanwhile


def test_a_maintainer_merges_a_branch_from_before_she_was_one(world: World) -> None:
    """Row 63."""
    old = world.work([world.tip], world.bob, other="1")
    added = world.repo.commit(with_bob(world), [world.tip], world.alice)
    files = {**with_bob(world), "other": b"1"}
    for parents in ([added, old], [old, added]):
        accepted(world.verify_at(world.repo.commit(files, parents, world.carol)))
    hers = world.repo.commit({**world.files, "other": b"2"}, [world.tip], world.carol)
    refused(world.verify_at(world.repo.commit({**files, "other": b"2"}, [added, hers], world.bob)),
            (hers, "unknown-key"))  # fmt: skip


def crypto(world: World) -> dict[str, bytes]:
    """Only Alice changes `src/crypto`."""
    files = {path: content for path, content in world.files.items() if path != "src"}
    rule = Rule("commit", [world.alice], 1, 'paths = ["src/crypto/**"]\n')
    policy = listing(world, [world.alice, world.bob], (), rule)
    return {**files, **{path: content for path, content in policy.items() if path != "src"}, "src/crypto/x": b"1"}


def test_a_merge_of_an_old_branch_changes_no_path_that_changed_meanwhile(world: World) -> None:
    """Row 63: Bob merges what is older than Alice's work on `src/crypto`; with her bytes it is no work of his."""
    files = crypto(world)
    start = world.repo.commit(files, [world.tip], world.alice)
    old = world.repo.commit({**files, "other": b"1"}, [start], world.bob)
    main = world.repo.commit({**files, "src/crypto/x": b"2"}, [start], world.alice)
    for content in (b"2", b"1", b"3", None):
        merged = {**files, "src/crypto/x": content, "other": b"1"}
        if content is None:
            del merged["src/crypto/x"]
        for parents in ([main, old], [old, main]):
            merge = world.repo.commit(merged, parents, world.bob)
            if content == b"2":
                accepted(world.verify_at(merge))
            else:
                refused(world.verify_at(merge), (merge, "unauthorized"))


def test_a_path_rule_that_came_meanwhile_receives_the_older_work(world: World) -> None:
    """Rows 16 and 63: Bob's branch is older than the rule; of what he did there `src/crypto` alone is refused."""
    plain = {**crypto(world), ".auths/policy.toml": world.files[".auths/policy.toml"]}
    start = world.repo.commit(plain, [world.tip], world.alice)
    main = world.repo.commit(crypto(world), [start], world.alice)
    bad = world.repo.commit({**plain, "src/crypto/x": b"2"}, [start], world.bob)
    late_is_refused(world, main, bad, {**crypto(world), "src/crypto/x": b"2"}, (bad, AT_RECEPTION))
    fine = world.repo.commit({**plain, "src/y": b"2"}, [start], world.bob)
    late_is_accepted(world, main, fine, {**crypto(world), "src/y": b"2"})
