"""Attacks on what people decide about single objects: adoptions, receipts, countersignatures."""

from __future__ import annotations

import pytest

from git_auths.core.decisions import approval_digest
from tests.attacks.forge import (
    Answer,
    Person,
    Rule,
    World,
    accepted,
    allowed_signers,
    approval,
    auths,
    envelope,
    kel_path,
    refused,
)
from tests.attacks.test_tags import count

ADOPTED, RECEIVED = ".auths/adopted", ".auths/received"
CHANGED = "policy-change-unauthorized"
OIDC = ".auths/oidc/ci.json"

Files = dict[str, bytes]


def auths_tree(world: World, commit: str) -> str:
    return world.repo.git("rev-parse", f"{commit}:.auths")


def decided(world: World, parent: str, path: str, line: str, signer: Person | None, files: Files | None = None) -> str:
    """A commit that adds this line, and nothing else to the tip's files (or `files`)."""
    return world.repo.commit({**(files or world.files), path: line.encode() + b"\n"}, [parent], signer)


def adopting(world: World, parent: str, line: str, signer: Person | None = None, files: Files | None = None) -> str:
    return decided(world, parent, ADOPTED, line, signer or world.alice, files)


def verdict(world: World, tip: str, commit: str) -> str:
    world.advance(tip)
    return world.repo.verify("--verbose", "main").verdicts[commit]


# Adoption


def test_an_admin_adopts_an_unsigned_commit(world: World) -> None:
    """Without it every test below would prove nothing; what is not signed by itself is said to be adopted."""
    patch = world.work([world.tip], None, src="2")
    refused(world.verify_at(patch), (patch, "unsigned"))
    tip = adopting(world, patch, patch)
    accepted(world.verify_at(tip))
    assert verdict(world, tip, patch) == "adopted"
    accepted(world.verify_at(world.repo.commit({**world.files, ADOPTED: f"{patch}\n".encode()}, [tip], world.bob)))


@pytest.mark.parametrize("who", ["bob", "carol", "mallory", None])
def test_nobody_but_an_admin_adopts(world: World, who: str | None) -> None:
    """Row 64: an adoption line added by an outsider, or by somebody who only commits."""
    patch = world.work([world.tip], None, src="2")
    tip = decided(world, patch, ADOPTED, patch, getattr(world, who) if who else None)
    refused(world.verify_at(tip), (patch, "unsigned"))


def test_an_outsider_does_not_adopt_what_he_has_yet_to_push(world: World) -> None:
    """Row 64: the line may come first, so it is looked at where it stands."""
    line = decided(world, world.tip, ADOPTED, "ab" * 20, world.mallory)
    refused(world.verify_at(line), (line, "unknown-key"))


def test_an_adoption_needs_as_many_admins_as_the_rule_requires(world: World) -> None:
    """Row 64: one of two decides nothing; the other's approval of the line makes it."""
    rules = [Rule("commit", [world.alice, world.bob]), Rule("admin", [world.alice, world.bob], 2)]
    files = {**world.files, **auths(rules, [world.alice, world.bob])}
    two = world.repo.commit(files, [world.tip], world.alice)
    patch = world.repo.commit({**files, "src": b"2"}, [two], None)
    tip = adopting(world, patch, patch, files=files)
    refused(world.verify_at(tip), (patch, "unsigned"))
    world.repo.notes({tip: [envelope(world.bob, approval(world.bob, world.root, tip, "admin"))]})
    accepted(world.verify_at(tip))


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("named", ["nothing", "another tree", "its tree"])
def test_a_change_of_the_policy_is_adopted_only_by_its_tree(world: World, signed: bool, named: str) -> None:
    """Row 64: an adopted commit that changes the policy without the line naming the result."""
    everybody = [world.alice, world.bob, world.mallory]
    files = {**world.files, **auths([Rule("commit", everybody), *world.rules[1:]], everybody)}
    change = world.repo.commit(files, [world.tip], world.mallory if signed else None)
    tree = {"another tree": auths_tree(world, world.tip), "its tree": auths_tree(world, change)}.get(named)
    tip = adopting(world, change, f"{change} auths={tree}" if tree else change, files=files)
    if named == "its tree":
        accepted(world.verify_at(tip))
    else:
        refused(world.verify_at(tip), (change, CHANGED if signed else "unsigned"))


def test_a_quorum_is_not_adopted_by_itself(world: World) -> None:
    """Row 64: an adoption by those whom the adopted commit itself makes admins."""
    rules = [Rule("commit", [world.alice, world.mallory]), Rule("admin", [world.mallory])]
    files = {**world.files, **auths(rules, [world.alice, world.mallory], [world.bob])}
    coup = world.repo.commit(files, [world.tip], world.mallory)
    tip = adopting(world, coup, f"{coup} auths={auths_tree(world, coup)}", world.mallory, files)
    refused(world.verify_at(tip), (coup, CHANGED))


def test_a_line_inside_an_adopted_commit_adopts_nothing(world: World) -> None:
    """Row 64: who adopts a commit takes over its changes, not its decisions."""
    backdoor = world.work([world.tip], None, src="2")
    files = {**world.files, ADOPTED: f"{backdoor}\n".encode()}
    squash = world.repo.commit(files, [backdoor], None)
    both = {**files, ADOPTED: f"{backdoor}\n{squash} auths={auths_tree(world, squash)}\n".encode()}
    refused(world.verify_at(world.repo.commit(both, [squash], world.alice)), (backdoor, "unsigned"))


def test_an_adoption_stands_for_one_commit_alone(world: World) -> None:
    """Row 64: not for its ancestors; and `behind` not for what descends from the root."""
    first = world.work([world.tip], None, src="2")
    second = world.work([first], None, src="3")
    for line in (second, f"{second} behind"):
        refused(world.verify_at(adopting(world, second, line)), (first, "unsigned"))
    accepted(world.verify_at(adopting(world, second, f"{first}\n{second}")))


def test_behind_takes_over_a_history_from_outside(world: World) -> None:
    """Row 64: only with that word; a malformed commit is none even then."""
    older = world.repo.commit({"other": b"1"}, [], None)
    newer = world.repo.commit({"other": b"2"}, [older], world.mallory)
    merge = world.work([world.tip, newer], world.bob, other="2")
    refused(world.verify_at(adopting(world, merge, newer)), (older, "outside-root"))
    accepted(world.verify_at(adopting(world, merge, f"{newer} behind")))
    raw = world.repo.git("cat-file", "commit", older).encode() + b"\n"
    bad = world.repo.raw("commit", raw.replace(b"\n\n", b"\ngpgsig-other x\n\n", 1))
    newer = world.repo.commit({"other": b"2"}, [bad], None)
    merge = world.work([world.tip, newer], world.bob, other="2")
    refused(world.verify_at(adopting(world, merge, f"{newer} behind")), (bad, "malformed"))


def test_a_malformed_commit_or_an_invalid_policy_is_never_adopted(world: World) -> None:
    """Row 64: whatever the line names."""
    raw = world.repo.git("cat-file", "commit", world.work([world.tip], None)).encode() + b"\n"
    bad = world.repo.raw("commit", raw.replace(b"\n\n", b"\ngpgsig-other x\n\n", 1))
    refused(world.verify_at(adopting(world, bad, bad)), (bad, "malformed"))
    broken = world.repo.commit({**world.files, ".auths/policy.toml": b"nonsense"}, [world.tip], None)
    tip = adopting(world, broken, f"{broken} auths={auths_tree(world, broken)}")
    refused(world.verify_at(tip), (broken, "policy-invalid"))


def with_rotated_bob(world: World) -> tuple[str, Files, bytes]:
    """Bob has rotated: the new tip, its files, and his log as it was before."""
    before = world.bob.log.stream
    world.bob.log.rotate()
    files = {**world.files, kel_path(world.bob): world.bob.log.stream,
             ".auths/allowed_signers": allowed_signers([world.alice, world.bob])}  # fmt: skip
    return world.repo.commit(files, [world.tip], world.bob), files, before


@pytest.mark.parametrize("named", ["nothing", "another tree", "its tree"])
@pytest.mark.parametrize("edit", ["a pin", "a log"])
def test_a_squash_that_changes_more_than_it_shows_is_not_adopted(world: World, edit: str, named: str) -> None:
    """Row 74: it edits `.auths/oidc/`, or truncates a log, which no line covers."""
    tip, files, earlier_log = with_rotated_bob(world)
    changed = {**files, "src": b"2", **({OIDC: b"{}\n"} if edit == "a pin" else {kel_path(world.bob): earlier_log})}
    squash = world.repo.commit(changed, [tip], None)
    tree = {"another tree": auths_tree(world, tip), "its tree": auths_tree(world, squash)}.get(named)
    new = adopting(world, squash, f"{squash} auths={tree}" if tree else squash, files=changed)
    if (edit, named) == ("a pin", "its tree"):
        accepted(world.verify_at(new))
    else:
        refused(world.verify_at(new), (squash, "unsigned"))


def test_two_branches_that_each_adopt_are_merged(world: World) -> None:
    """Row 77: anybody who may commit merges them; the lines are united, and none is lost or added on the way."""
    one = world.work([world.tip], None, src="2")
    two = world.work([one], None, src="3")
    files = {**world.files, "src": b"3"}
    left, right = adopting(world, two, one, files=files), adopting(world, two, two, files=files)

    def merged(lines: str) -> Answer:
        first = world.repo.commit({**files, ADOPTED: f"{one}\n".encode()}, [two, left], world.bob)
        tip = world.repo.commit({**files, ADOPTED: lines.encode()}, [first, right], world.bob)
        return world.verify_at(tip)

    accepted(merged(f"{one}\n{two}\n"))
    accepted(merged(f"{two}\n{one}\n"))
    assert merged(f"{one}\n").code == 1
    assert merged(f"{one}\n{two}\n{world.before} behind\n").code == 1


# Receipts


def received(world: World, parent: str, line: str, signer: Person | None = None) -> str:
    return decided(world, parent, RECEIVED, line, signer or world.alice)


def without_bob(world: World, parent: str, received_lines: bytes | None) -> str:
    """Bob leaves: Carol releases in his place, and Alice alone commits."""
    rules = [Rule("commit", [world.alice]), Rule("release", [world.alice, world.carol], 2),
             Rule("admin", [world.alice])]  # fmt: skip
    files = {**world.files, **auths(rules, [world.alice, world.carol], [world.bob])}
    if received_lines is not None:
        files[RECEIVED] = received_lines
    return world.repo.commit(files, [parent], world.alice)


def bobs_approval(world: World, tag: str) -> bytes:
    return envelope(world.bob, approval(world.bob, world.root, tag, "tag", "v1.0", world.tip))


@pytest.mark.parametrize("at_once", [False, True])
def test_a_received_release_outlives_its_signer(world: World, at_once: bool) -> None:
    """Row 75: the other way round, what a receipt is for; it may stand in the commit that removes him."""
    tag = world.repo.tag("v1.0", world.tip, world.alice)
    line = bobs_approval(world, tag)
    world.repo.notes({tag: [line]})
    assert world.repo.verify_tag("v1.0").code == 0
    receipt = f"refs/tags/v1.0 {tag} {approval_digest(line)}"
    parent = world.tip if at_once else received(world, world.tip, receipt)
    world.advance(without_bob(world, parent, f"{receipt}\n".encode()))
    assert world.repo.verify_tag("v1.0").code == 0


def test_a_receipt_names_no_line_that_does_not_count(world: World) -> None:
    """Row 75: neither a stranger's, nor one for something else, nor a forged one."""
    tag = world.repo.tag("v1.0", world.tip, world.alice)
    good = bobs_approval(world, tag)
    statement = approval(world.bob, world.root, tag, "tag", "v1.0", world.tip)
    other_tag = approval(world.bob, world.root, tag, "tag", "v2.0", world.tip)
    of_carol = approval(world.carol, world.root, tag, "tag", "v1.0", world.tip)
    files = {**world.files, kel_path(world.carol): world.carol.log.stream}
    world.advance(world.repo.commit(files, [world.tip], world.alice))
    world.repo.notes({tag: [good, envelope(world.mallory, statement), envelope(world.bob, other_tag),
                            envelope(world.carol, of_carol), b"{}"]})  # fmt: skip
    world.repo.git("reset", "--hard", "--quiet", "main")
    assert world.repo.auths("receive", "v1.0").code == 0
    assert (world.repo.path / RECEIVED).read_text() == f"refs/tags/v1.0 {tag} {approval_digest(good)}\n"


def test_a_departed_signer_completes_nothing(world: World) -> None:
    """Row 75: the tag was received with one approval of two; he adds a note later."""
    tag = world.repo.tag("v1.0", world.tip, world.alice)
    receipt = f"refs/tags/v1.0 {tag}"
    world.advance(without_bob(world, received(world, world.tip, receipt), f"{receipt}\n".encode()))
    world.repo.notes({tag: [bobs_approval(world, tag)]})
    answer = world.repo.verify_tag("v1.0")
    refused(answer, (tag, "threshold-unmet"))
    assert count(answer)[:2] == (1, 2)


@pytest.mark.parametrize("mistake", ["name", "object", "approval", "nobody's"])
def test_a_receipt_for_something_else_keeps_nothing_good(world: World, mistake: str) -> None:
    """Row 75: another tag's, another object's, with another approval; or a line of somebody who is no admin."""
    other = world.repo.tag("v1.0", world.root, world.alice)
    tag = world.repo.tag("v1.0", world.tip, world.alice)
    line = bobs_approval(world, tag)
    world.repo.notes({tag: [line]})
    name, object_id = "v2.0" if mistake == "name" else "v1.0", other if mistake == "object" else tag
    digest = "00" * 32 if mistake == "approval" else approval_digest(line)
    receipt = f"refs/tags/{name} {object_id} {digest}"
    if mistake == "nobody's":
        bad = received(world, world.tip, receipt, world.bob)
        world.advance(without_bob(world, bad, f"{receipt}\n".encode()))
        refused(world.repo.verify_tag("v1.0"), (tag, CHANGED))
        return
    world.advance(without_bob(world, received(world, world.tip, receipt), f"{receipt}\n".encode()))
    refused(world.repo.verify_tag("v1.0"), (tag, "threshold-unmet"))


def test_a_received_branch_outlives_its_signer_and_takes_nothing_new(world: World) -> None:
    """Row 75, of branches: what he puts on top later is refused."""
    his = world.work([world.tip], world.bob, other="1")
    later = world.work([his], world.bob, other="2")
    receipt = f"refs/heads/topic {his}"

    def judged(tip: str) -> Answer:
        return world.repo.auths("verify-commit", "--json", "--ref", "refs/heads/topic", tip)

    world.advance(without_bob(world, world.tip, None))
    refused(judged(his), (his, "unauthorized-at-reception"))
    world.advance(without_bob(world, received(world, world.tip, receipt), f"{receipt}\n".encode()))
    assert judged(his).code == 0
    refused(judged(later), (later, "unauthorized-at-reception"))


def test_a_receipt_makes_nothing_good_that_was_not(world: World) -> None:
    """Row 75: it says when, never whether."""
    patch = world.work([world.tip], None, other="1")
    world.advance(received(world, world.tip, f"refs/heads/topic {patch}"))
    answer = world.repo.auths("verify-commit", "--json", "--ref", "refs/heads/topic", patch)
    refused(answer, (patch, "unsigned"))


# Countersignatures


def countersignature(world: World, signer: Person, commit: str, key: Person | None = None, kind: str = "countersign",
                     root: str | None = None) -> bytes:  # fmt: skip
    """In the name of `signer`, with the key of `key`."""
    return envelope(key or signer, approval(signer, root or world.root, commit, kind))


def test_a_listed_principal_answers_for_an_unsigned_commit(world: World) -> None:
    """Row 82: the other way round, what a countersignature is for."""
    patch = world.work([world.tip], None, src="2")
    world.repo.notes({patch: [countersignature(world, world.bob, patch)]})
    accepted(world.verify_at(patch))
    assert verdict(world, patch, patch) == "countersigned"


@pytest.mark.parametrize("who", ["carol", "mallory"])
@pytest.mark.parametrize("in_the_name_of", ["himself", "bob"])
def test_a_countersignature_by_somebody_unlisted_does_not_count(world: World, who: str, in_the_name_of: str) -> None:
    """Row 82: Carol's log is in the tree, Mallory's is not."""
    files = {**world.files, kel_path(world.carol): world.carol.log.stream}
    tip = world.repo.commit(files, [world.tip], world.alice)
    patch = world.repo.commit({**files, "src": b"2"}, [tip], None)
    person = getattr(world, who)
    name = world.bob if in_the_name_of == "bob" else person
    world.repo.notes({patch: [countersignature(world, name, patch, person)]})
    refused(world.verify_at(patch), (patch, "unsigned"))


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("in_the_name_of", ["himself", "bob"])
def test_a_countersignature_by_an_agent_does_not_count(world: World, listed: bool, in_the_name_of: str) -> None:
    """Row 82: a delegate of Bob's, even where a rule lists it; no machine answers for what a person did not sign."""
    agent = Person("Agent", 7, delegator=world.bob)
    everybody = [world.alice, world.bob] + ([agent] if listed else [])
    rules = [Rule("commit", everybody), *world.rules[1:]]
    files = {**world.files, **auths(rules, everybody, [] if listed else [agent])}
    tip = world.repo.commit(files, [world.tip], world.alice)
    patch = world.repo.commit({**files, "src": b"2"}, [tip], None)
    accepted(world.verify_at(tip))
    name = world.bob if in_the_name_of == "bob" else agent
    world.repo.notes({patch: [countersignature(world, name, patch, agent)]})
    refused(world.verify_at(patch), (patch, "unsigned"))
    world.repo.notes({patch: [countersignature(world, world.bob, patch)]})
    accepted(world.verify_at(patch))


@pytest.mark.parametrize("change", ["a pin", "a log", "the policy", "a decision"])
def test_a_change_below_auths_is_not_countersigned(world: World, change: str) -> None:
    """Row 82: not by the admin either, who approves of it in every way there is."""
    world.bob.log.rotate()
    edit: Files = {
        "a pin": {OIDC: b"{}\n"},
        "a log": {kel_path(world.bob): world.bob.log.stream},
        "the policy": {".auths/policy.toml": world.files[".auths/policy.toml"] + b"# nothing\n"},
        "a decision": {ADOPTED: f"{world.before}\n".encode()},
    }[change]
    patch = world.repo.commit({**world.files, **edit}, [world.tip], None)
    notes = [countersignature(world, world.alice, patch, kind=kind) for kind in ("countersign", "admin", "commit")]
    world.repo.notes({patch: notes})
    refused(world.verify_at(patch), (patch, "unsigned"))


def test_a_countersignature_copied_to_another_commit_does_not_count(world: World) -> None:
    """Row 82: it names the commit that it was made for."""
    patch = world.work([world.tip], None, src="2")
    other = world.work([world.tip], None, src="3")
    line = countersignature(world, world.bob, patch)
    world.repo.notes({patch: [line], other: [line]})
    accepted(world.verify_at(patch))
    refused(world.verify_at(other), (other, "unsigned"))


@pytest.mark.parametrize("kind", ["commit", "admin"])
def test_an_approval_is_no_countersignature(world: World, kind: str) -> None:
    """Row 82: who approves beside a signature has not said that there may be none."""
    patch = world.work([world.tip], None, src="2")
    world.repo.notes({patch: [countersignature(world, world.bob, patch, kind=kind)]})
    refused(world.verify_at(patch), (patch, "unsigned"))


def test_a_countersignature_under_another_root_does_not_count(world: World) -> None:
    """Row 82: made for a fork of the project."""
    patch = world.work([world.tip], None, src="2")
    world.repo.notes({patch: [countersignature(world, world.bob, patch, root=world.tip)]})
    refused(world.verify_at(patch), (patch, "unsigned"))


def test_one_who_left_before_it_came_in_does_not_countersign(world: World) -> None:
    """Row 82: Bob may not commit when the mainline receives it, whatever the commit's own ancestors say."""
    patch = world.work([world.tip], None, other="1")
    gone = without_bob(world, world.tip, None)
    merge = world.repo.commit_tree(world.repo.git("rev-parse", f"{gone}^{{tree}}"), [gone, patch], world.alice)
    world.repo.notes({patch: [countersignature(world, world.bob, patch)]})
    refused(world.verify_at(merge), (patch, "unsigned"))
    world.repo.notes({patch: [countersignature(world, world.alice, patch)]})
    accepted(world.verify_at(merge))


def test_two_may_answer_where_a_rule_requires_two(world: World) -> None:
    """Row 82: one alone is not enough, nor one twice."""
    rules = [Rule("commit", [world.alice, world.bob], 2), *world.rules[1:]]
    files = {**world.files, **auths(rules, [world.alice, world.bob])}
    tip = world.repo.commit(files, [world.tip], world.alice)
    patch = world.repo.commit({**files, "src": b"2"}, [tip], None)
    ones = countersignature(world, world.alice, patch)
    again = envelope(
        world.alice, approval(world.alice, world.root, patch, "countersign", issued_at="2026-11-03T10:00:00Z")
    )
    world.repo.notes({patch: [ones, again]})
    assert world.verify_at(patch).code == 1
    world.repo.notes({patch: [ones, countersignature(world, world.bob, patch)]})
    accepted(world.verify_at(patch))
