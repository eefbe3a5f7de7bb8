"""Attacks on time: a committer date is the signer's word, and the repository's clock goes by many of them."""

from __future__ import annotations

import time
from datetime import datetime, timezone

import pytest

from git_auths.store.repository import Repository
from git_auths.store.verdicts import Pushed, Verifier
from tests.attacks.forge import NOW, Person, Rule, World, accepted, auths, git_says_good, refused
from tests.attacks.test_pushes import Gate, published, server  # noqa: F401
from tests.attacks.test_receptions import late_is_accepted, late_is_refused, listing

DAY = 86400
TEN_YEARS = 3650 * DAY


def ending(files: dict[str, bytes], ends: dict[Person, int]) -> dict[str, bytes]:
    """The policy of `files` with an `expires_at` for these people, in seconds since 1970."""
    policy = files[".auths/policy.toml"]
    for person, at_seconds in ends.items():
        name = f'name = "{person.name}"\n'.encode()
        when = f"expires_at = {datetime.fromtimestamp(at_seconds, timezone.utc):%Y-%m-%dT%H:%M:%SZ}\n".encode()
        assert policy.count(name) == 1
        policy = policy.replace(name, name + when)
    return {**files, ".auths/policy.toml": policy}


def at(world: World, seconds: int, parents: list[str], signer: Person, files: dict[str, bytes], **work: str) -> str:
    """A commit with this committer date."""
    world.repo.date = seconds - 60
    return world.repo.commit({**files, **{name: text.encode() for name, text in work.items()}}, parents, signer)


def until(world: World, person: Person, seconds: int) -> tuple[str, dict[str, bytes]]:
    """The person may sign until then: the mainline's tip, its files."""
    files = ending(listing(world, [world.alice, world.bob, world.carol]), {person: seconds})
    return at(world, NOW + DAY, [world.tip], world.alice, files), files


def test_a_right_ends_with_its_day(world: World) -> None:
    """Row 17: honest dates; the second before is the last."""
    start, files = until(world, world.bob, NOW + 10 * DAY)
    last = at(world, NOW + 10 * DAY - 1, [start], world.bob, files, src="2")
    late_is_accepted(world, start, last, {**files, "src": b"2"})
    accepted(world.verify_at(last))
    bad = at(world, NOW + 10 * DAY, [last], world.bob, files, src="3")
    late_is_refused(world, last, bad, {**files, "src": b"3"}, (bad, "expired"))
    (found,) = refused(world.verify_at(bad), (bad, "expired"))
    assert found["signer"] == world.bob.did
    assert found["rule"] == "policy.commit[0]"
    accepted(world.verify_at(at(world, NOW + 11 * DAY, [last], world.carol, files, src="3")))


def test_a_committer_date_that_is_set_back_does_not_prolong_a_right(world: World) -> None:
    """Row 18: others have been at work meanwhile, and git accepts the signature."""
    start, files = until(world, world.bob, NOW + 10 * DAY)
    main = at(world, NOW + 10 * DAY, [start], world.alice, files, more="1")
    accepted(world.verify_at(main))
    for parent in (start, world.root):
        bad = at(world, NOW + 2 * DAY, [parent], world.bob, files if parent == start else world.files, src="2")
        late_is_refused(world, main, bad, {**files, "more": b"1", "src": b"2"}, (bad, "expired"))
    on_top = at(world, NOW + 2 * DAY, [main], world.bob, {**files, "more": b"1"}, src="2")
    refused(world.verify_at(on_top), (on_top, "expired"))
    git_says_good(world.repo, "verify-commit", on_top)


def test_what_was_done_in_time_is_received_in_time(world: World) -> None:
    """Row 18, the other side of it: the clock is that of the mainline before the step; the merge's date is after it."""
    start, files = until(world, world.bob, NOW + 10 * DAY)
    main = at(world, NOW + 10 * DAY - 1, [start], world.alice, files, more="1")
    his = at(world, NOW + 2 * DAY, [start], world.bob, files, src="2")
    both = {**files, "more": b"1", "src": b"2"}
    late_is_accepted(world, main, his, both)
    merge = at(world, NOW + 11 * DAY, [main, his], world.alice, both)
    accepted(world.verify_at(merge))
    accepted(world.verify_at(at(world, NOW + 12 * DAY, [merge], world.alice, both, src="3")))
    bad = at(world, NOW + 2 * DAY, [merge], world.bob, both, src="3")
    refused(world.verify_at(bad), (bad, "expired"))


def test_only_the_first_parents_move_the_clock(world: World) -> None:
    """Row 18: what a branch says of the time is nobody's business but its own."""
    start, files = until(world, world.bob, NOW + 10 * DAY)
    side = at(world, NOW + 20 * DAY, [start], world.carol, files, other="1")
    merge = at(world, NOW + 2 * DAY, [start, side], world.carol, files, other="1")
    his = at(world, NOW + 3 * DAY, [merge], world.bob, {**files, "other": b"1"}, src="2")
    accepted(world.verify_at(his))
    late_is_accepted(world, start, his, {**files, "other": b"1", "src": b"2"})


def test_the_clock_does_not_go_back(world: World) -> None:
    """Row 18: though everybody else's dates do."""
    start, files = until(world, world.bob, NOW + 10 * DAY)
    main = at(world, NOW + 10 * DAY, [start], world.alice, files)
    for number in range(3):
        main = at(world, NOW + 2 * DAY, [main], world.alice, files, src=f"{number}")
    accepted(world.verify_at(main))
    bad = at(world, NOW + 2 * DAY, [main], world.bob, files, src="4")
    refused(world.verify_at(bad), (bad, "expired"))


@pytest.mark.parametrize("days_ahead", [31, 3650])
@pytest.mark.parametrize("steps", [1, 3])
def test_one_date_far_ahead_moves_the_clock_by_thirty_days(world: World, days_ahead: int, steps: int) -> None:
    """Row 19: so nobody else expires for it; to the second, and once for each such commit."""
    moved = NOW + DAY + min(steps * 30, days_ahead) * DAY
    for end, verdict in ((moved + 1, None), (moved, "expired")):
        main, files = until(world, world.carol, end)
        for number in range(steps):
            main = at(world, NOW + DAY + days_ahead * DAY, [main], world.bob, files, src=f"{number}")
        honest = at(world, NOW + DAY + 60, [main], world.carol, files, src="honest")
        if verdict is None:
            accepted(world.verify_at(main))
            accepted(world.verify_at(honest))
            late_is_accepted(world, main, honest, {**files, "src": b"honest"})
        else:
            refused(world.verify_at(honest), (honest, verdict))


def test_a_date_far_ahead_expires_its_own_signer(world: World) -> None:
    """Row 19: an `expires_at` is judged by the later of the clock and the commit's own date."""
    start, files = until(world, world.bob, NOW + TEN_YEARS)
    bad = at(world, NOW + TEN_YEARS, [start], world.bob, files, src="2")
    late_is_refused(world, start, bad, {**files, "src": b"2"}, (bad, "expired"))


def test_a_date_ahead_is_not_pushed(world: World, server: Gate) -> None:  # noqa: F811
    """Row 19: by the server's clock, for any branch; 24 hours are forgiven."""
    for branch in ("main", "feature"):
        for ahead in (TEN_YEARS, DAY + 600):
            bad = at(world, int(time.time()) + ahead, [world.tip], world.bob, world.files, src="2")
            server.refuses(f"{bad}:refs/heads/{branch}", verdict="ahead", object_id=bad)
        server.takes(
            f"{at(world, int(time.time()) + DAY - 600, [world.tip], world.bob, world.files)}:refs/heads/{branch}"
        )


def test_a_push_is_judged_by_the_wall_clock_too(world: World, server: Gate) -> None:  # noqa: F811
    """Row 18: a quiet repository's clock stands still, and a server's does not."""
    ended = int(time.time()) - 600
    start, files = until(world, world.bob, ended)
    world.advance(start)
    server.takes("main")
    late = at(world, NOW + 2 * DAY, [start], world.bob, files, src="2")
    accepted(world.verify_at(late))
    for branch in ("main", "feature"):
        server.refuses(f"{late}:refs/heads/{branch}", verdict="expired", object_id=late)
    server.takes(f"{at(world, NOW + 2 * DAY, [start], world.carol, files, src='2')}:refs/heads/main")


def test_nobody_locks_the_door_by_waiting(world: World) -> None:
    """Rows 17 and 77: no end applies to the admin rule, here where no commit rule looks at `.auths/`."""
    rules = [Rule("commit", [world.alice, world.bob], 1, 'paths = ["src"]'), Rule("admin", [world.alice])]
    files = {**world.files, **auths(rules, [world.alice, world.bob])}
    ended = ending(files, dict.fromkeys((world.alice, world.bob), NOW + 10 * DAY))
    start = at(world, NOW + DAY, [world.tip], world.alice, ended)
    bad = at(world, NOW + 11 * DAY, [start], world.alice, ended, src="2")
    refused(world.verify_at(bad), (bad, "expired"))
    renewed = ending(files, dict.fromkeys((world.alice, world.bob), NOW + 100 * DAY))
    renewal = at(world, NOW + 11 * DAY, [start], world.alice, renewed)
    accepted(world.verify_at(at(world, NOW + 12 * DAY, [renewal], world.bob, renewed, src="2")))


@pytest.mark.parametrize("renewed", [False, True])
def test_a_dormant_repository_is_revived_by_who_has_no_end(world: World, renewed: bool) -> None:
    """Row 77: after three years; Bob's right has ended meanwhile, and an admin may give it again."""
    start, files = until(world, world.bob, NOW + 365 * DAY)
    waking = NOW + 3 * 365 * DAY
    now = ending(listing(world, [world.alice, world.bob, world.carol]), {world.bob: waking + 365 * DAY})
    main = at(world, waking, [start], world.alice, now if renewed else files, src="2")
    his = at(world, waking + 60, [main], world.bob, now if renewed else files, src="3")
    if renewed:
        accepted(world.verify_at(his))
    else:
        refused(world.verify_at(his), (his, "expired"))


def test_whoever_administers_renews_a_right_that_has_ended(world: World) -> None:
    """Section 6: who administers renews a right that has ended, his own too; and changes nothing else by that."""
    start, files = until(world, world.alice, NOW + 10 * DAY)
    renewed = listing(world, [world.alice, world.bob, world.carol])
    late = NOW + 20 * DAY
    accepted(world.verify_at(at(world, late, [start], world.alice, renewed)))
    bad = at(world, late, [start], world.alice, renewed, src="2")
    refused(world.verify_at(bad), (bad, "expired"))
    bad = at(world, late, [start], world.alice, files, src="2")
    refused(world.verify_at(bad), (bad, "expired"))
    hers = at(world, late, [start], world.bob, renewed)
    refused(world.verify_at(hers), (hers, "policy-change-unauthorized"))


def judged_as_pushed(world: World, tip: str, old_tip: str, now_seconds: int) -> str:
    """The verdict on `tip`, were it pushed to the mainline on top of `old_tip` at this time."""
    repository = Repository(world.repo.path)
    with Verifier(repository, mainline_tip=tip, pushed=Pushed(old_tip, now_seconds)) as verifier:
        return verifier.verify([tip]).verdicts[tip].verdict


def test_the_wall_clock_judges_a_push_on_top_of_what_is_remembered(world: World) -> None:
    """Rule 7, and rows 18 and 76: nothing that an earlier run found good makes a push older than it is."""
    ends = NOW + 10 * DAY
    start, files = until(world, world.bob, ends)
    accepted(world.verify_at(start))
    late = at(world, NOW + 2 * DAY, [start], world.bob, files, src="2")
    assert judged_as_pushed(world, late, start, ends) == "expired"
    assert judged_as_pushed(world, late, start, ends - 1) == "good"
    assert judged_as_pushed(world, late, start, ends) == "expired"
    later = at(world, NOW + 3 * DAY, [late], world.alice, files, src="3")
    assert judged_as_pushed(world, later, late, ends) == "good"
    assert judged_as_pushed(world, late, start, ends) == "expired"


def test_a_release_is_pushed_by_the_wall_clock(world: World) -> None:
    """Rule 7, of a tag: its date is set back, and nothing has moved the mainline's clock since."""
    ends = NOW + 10 * DAY
    rules = [world.rules[0], Rule("release", [world.bob]), world.rules[2]]
    files = ending({**world.files, **auths(rules, [world.alice, world.bob])}, {world.bob: ends})
    start = at(world, NOW + DAY, [world.tip], world.alice, files)
    accepted(world.verify_at(start))
    tag = world.repo.tag("v1", start, world.bob)
    for now_seconds, verdict in ((ends - 1, "good"), (ends, "expired")):
        with Verifier(Repository(world.repo.path), pushed=Pushed(start, now_seconds)) as verifier:
            assert verifier.verify_tag_object(tag, "refs/tags/v1").verdict.verdict == verdict
