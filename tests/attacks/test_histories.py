"""Attacks by the shape of history: other roots, other repositories, replaced objects, merges."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks import forge
from tests.attacks.forge import Repo, Rule, World, accepted, auths, refused


def orphan(world: World, signer: forge.Person | None = None) -> str:
    """A commit without parents, with a policy of its own."""
    return world.repo.commit(
        {"other": b"1", **auths([Rule("admin", [world.alice])], [world.alice])}, [], signer or world.alice
    )


@pytest.mark.parametrize("with_policy", [False, True])
def test_a_second_root_is_not_merged_in(world: World, with_policy: bool) -> None:
    """Row 21: the other history is named, whoever signed it."""
    other = orphan(world) if with_policy else world.repo.commit({"other": b"1"}, [], world.alice)
    later = world.repo.commit({**world.files, "other": b"2"}, [other], world.alice)
    merge = world.work([world.tip, later], world.alice, other="2")
    refused(world.verify_at(merge), (other, "outside-root"))
    refused(world.verify_at(world.work([merge], world.bob)), (other, "outside-root"))


def test_a_merge_that_has_the_other_history_first_is_not_good(world: World) -> None:
    """Row 21."""
    other = orphan(world)
    refused(world.verify_at(world.work([other, world.tip], world.alice)), (other, "outside-root"))


def test_a_branch_from_before_the_root_is_outside(world: World) -> None:
    """Row 21: neither an ancestor of the root nor a descendant."""
    side = world.repo.commit({"README": b"2"}, [world.before], world.alice)
    refused(world.verify_at(world.work([world.tip, side], world.alice)), (side, "outside-root"))


def test_a_target_that_does_not_descend_from_the_root_is_outside(world: World) -> None:
    """Row 22."""
    first = orphan(world)
    target = world.repo.commit(
        {"other": b"2", **auths([Rule("admin", [world.alice])], [world.alice])}, [first], world.alice
    )
    refused(world.repo.verify(target), (first, "outside-root"))
    answer = world.repo.auths("verify-commit", "--json", target)
    assert (answer.code, set(answer.verdicts.values())) == (1, {"outside-root"})


def test_a_target_from_before_the_root_is_outside(world: World) -> None:
    """Row 22: it does not descend from the root, and nobody has judged it."""
    refused(world.repo.verify(world.before), (world.before, "outside-root"))


def test_a_commit_from_before_the_root_is_outside(world: World) -> None:
    """Row 22, asked of the one commit."""
    refused(world.repo.auths("verify-commit", "--json", world.before), (world.before, "outside-root"))


def test_a_release_of_a_commit_from_before_the_root_is_outside(world: World) -> None:
    """Row 22: signed and approved by all who should."""
    tag = world.repo.tag("v0.1", world.before, world.alice)
    line = forge.envelope(world.bob, forge.approval(world.bob, world.root, tag, "tag", "v0.1", world.before))
    world.repo.notes({tag: [line]})
    refused(world.repo.verify_tag("v0.1"), (tag, "outside-root"))


def other_root(folder: Path) -> tuple[Repo, str]:
    """The root of another repository, with another admin."""
    other = Repo.init(folder)
    nobody = forge.Person("Nobody", 77)
    return other, other.commit({**auths([Rule("admin", [nobody])], [nobody])}, [], nobody)


def test_a_root_of_another_repository_is_outside(world: World, tmp_path: Path) -> None:
    """Row 22: the pin is of a commit that is not here."""
    _, root = other_root(tmp_path / "other")
    world.repo.git("config", "auths.root", root)
    answer = world.repo.verify("main")
    assert answer.code == 1
    assert root in answer.stdout + answer.stderr
    assert set(answer.verdicts.values()) == {"outside-root"}


def test_a_root_of_another_repository_that_was_fetched_is_outside(world: World, tmp_path: Path) -> None:
    """Row 22: the pinned commit is here, but the mainline does not descend from it."""
    other, root = other_root(tmp_path / "other")
    other.ref("refs/heads/main", root)
    world.repo.git("fetch", "--quiet", other.path, "main:refs/heads/theirs")
    world.repo.git("config", "auths.root", root)
    refused(world.repo.verify("main"), (world.before, "outside-root"))
    accepted(world.repo.verify("theirs"))


@pytest.mark.parametrize(("path", "content", "verdict"), [
    (".auths/policy.toml", b"[policy\n", "policy-invalid"),
    (".auths/policy.toml", None, "policy-invalid"),
    (".AUTHS/policy.toml", b"", "policy-invalid"),
    ("the log", b"rubbish", "kel-invalid"),
])  # fmt: skip
def test_a_root_is_not_good_by_its_pin_alone(world: World, path: str, content: bytes | None, verdict: str) -> None:
    """Row 22, of what was pinned: its policy and its logs must be valid."""
    files = {**world.files, forge.kel_path(world.bob) if path == "the log" else path: content}
    root = world.repo.commit({path: content for path, content in files.items() if content is not None}, [], world.alice)
    world.repo.git("config", "auths.root", root)
    refused(world.verify_at(root), (root, verdict))


def test_a_malformed_root_is_not_good_by_its_pin_alone(world: World) -> None:
    """Row 22, of its raw bytes."""
    heads = world.repo.headers(world.repo.tree(world.files), [], "Alice")
    root = world.repo.raw("commit", b"".join([*heads, heads[2]]) + b"\nroot\n")
    world.repo.git("config", "auths.root", root)
    refused(world.verify_at(root), (root, "malformed"))


def test_a_graft_hides_no_commit(world: World) -> None:
    """Row 39: git would not show the bad commit; grafts are ignored (DESIGN 7.1)."""
    bad = world.work([world.tip], None, src="2")
    tip = world.work([bad], world.bob, src="3")
    (world.repo.path / ".git" / "info").mkdir(exist_ok=True)
    (world.repo.path / ".git" / "info" / "grafts").write_text(f"{tip} {world.tip}\n")
    assert bad not in world.repo.git("rev-list", tip)
    refused(world.verify_at(tip), (bad, "unsigned"))


def test_a_shallow_clone_is_incomplete(world: World, tmp_path: Path) -> None:
    """Row 39: what is not here may be bad."""
    tip = world.work([world.work([world.tip], None, src="2")], world.bob, src="3")
    world.advance(tip)
    forge.run("git", "clone", "--quiet", "--depth=1", f"file://{world.repo.path}", tmp_path / "shallow")
    shallow = Repo(tmp_path / "shallow")
    shallow.git("config", "auths.root", world.root)
    shallow.git("config", "auths.mainline", "refs/heads/main")
    answer = shallow.verify("main")
    assert (answer.code, set(answer.verdicts.values())) == (1, {"incomplete"})


def test_a_history_that_is_cut_off_is_incomplete(world: World, tmp_path: Path) -> None:
    """Row 39: the root is here, and the tip, but git was told that the one does not lead to the other."""
    bad = world.work([world.tip], None, src="2")
    after = world.work([bad], world.bob, src="3")
    (world.repo.path / ".git" / "shallow").write_text(f"{after}\n")
    world.advance(world.work([after], world.bob, src="4"))
    assert bad not in world.repo.git("rev-list", "main")
    answer = world.repo.verify("main")
    assert (answer.code, answer.document["ok"]) == (1, False)
    assert set(answer.verdicts.values()) <= {"incomplete", "unsigned"}


def test_in_an_octopus_merge_the_bad_parent_is_named(world: World) -> None:
    """Row 23."""
    good = [world.work([world.tip], world.bob, **{f"f{number}": "1"}) for number in range(3)]
    bad = world.work([world.tip], None, evil="1")
    files = {**world.files, "f0": b"1", "f1": b"1", "f2": b"1", "evil": b"1"}
    for at in range(4):
        merge = world.repo.commit(files, [*good[:at], bad, *good[at:]], world.alice)
        refused(world.verify_at(merge), (bad, "unsigned"))
    accepted(world.verify_at(world.repo.commit(files, good, world.alice)))


def test_a_replaced_policy_is_not_believed(world: World) -> None:
    """Row 38: by the blob, the tree or the commit that holds it."""
    taken_over = auths([Rule("commit", [world.mallory]), Rule("admin", [world.mallory])], [world.mallory])
    real = world.files[".auths/policy.toml"]
    bad = world.repo.commit({**world.files, "src": b"2\n"}, [world.tip], world.mallory)
    bad_on_it = world.repo.commit({**world.files, **taken_over}, [world.tip], world.mallory)
    pairs = [
        (world.repo.blob(real), world.repo.blob(taken_over[".auths/policy.toml"])),
        (world.repo.git("rev-parse", f"{bad}^{{tree}}"), world.repo.git("rev-parse", f"{bad_on_it}^{{tree}}")),
        (world.tip, bad_on_it),
        (world.root, bad_on_it),
    ]
    for name, instead in pairs:
        world.repo.ref(f"refs/replace/{name}", instead)
    refused(world.verify_at(bad), (bad, "unknown-key"))


def test_a_good_commit_behind_which_a_bad_one_was_put_is_judged_as_itself(world: World) -> None:
    """Row 38: a bad commit behind a good name; the good one is what was signed, and what a push sends."""
    good = world.work([world.tip], world.bob, src="2")
    bad = world.work([world.tip], None, src="evil")
    world.repo.ref(f"refs/replace/{good}", bad)
    assert world.repo.git("show", f"{good}:src") == "evil"
    accepted(world.verify_at(good))


def test_a_replaced_tag_is_judged_as_itself(world: World) -> None:
    """Row 38, of a release."""
    forged = world.repo.tag("v1.0", world.tip, world.mallory)
    signed = world.repo.tag("v1.0", world.tip, world.alice)
    line = forge.envelope(world.bob, forge.approval(world.bob, world.root, signed, "tag", "v1.0", world.tip))
    world.repo.notes({signed: [line]})
    world.repo.ref("refs/tags/v1.0", forged)
    world.repo.ref(f"refs/replace/{forged}", signed)
    refused(world.repo.verify_tag("v1.0"), (forged, "unknown-key"))


@pytest.mark.parametrize("setting", [{}, {"GIT_REPLACE_REF_BASE": "refs/others/"}])
def test_replacements_are_ignored_wherever_they_stand(world: World, setting: dict[str, str]) -> None:
    """Row 38: the environment may move them."""
    bad = world.work([world.tip], None, src="2")
    base = setting.get("GIT_REPLACE_REF_BASE", "refs/replace/")
    world.repo.ref(f"{base}{bad}", world.work([world.tip], world.bob, src="2"))
    world.advance(bad)
    refused(world.repo.auths("verify", "--json", "main", env=setting), (bad, "unsigned"))
