"""Attacks on release tags; those that `git tag -v` accepts are in `accepted_by_git`."""

from __future__ import annotations

import pytest

from tests.attacks import forge
from tests.attacks.forge import Answer, Person, Rule, World, auths, git_says_good, refused


def approve(world: World, id: str, name: str, target: str, *people: Person) -> None:
    lines = [
        forge.envelope(one, forge.approval(one, world.root, id, "tag", name, target)) for one in people or [world.bob]
    ]
    world.repo.notes({id: lines})


def count(answer: Answer) -> tuple[int, int, list[str]]:
    (found,) = answer.objects
    approvals = found["approvals"]
    return approvals["have"], approvals["need"], approvals["principals"]


def test_a_release_that_is_signed_and_approved_is_good(world: World) -> None:
    """Without it every test below would prove nothing."""
    tag = world.repo.tag("v1.0", world.tip, world.alice)
    approve(world, tag, "v1.0", world.tip)
    answer = world.repo.verify_tag("v1.0")
    assert (answer.code, answer.document["ok"], answer.verdicts) == (0, True, {tag: "good"})
    assert count(answer) == (2, 2, sorted([world.alice.did, world.bob.did]))
    git_says_good(world.repo, "tag", "-v", "v1.0")


def test_a_branch_under_a_tags_name_is_no_release(world: World) -> None:
    """Row 28: a lightweight tag."""
    world.repo.ref("refs/tags/v1.0", world.tip)
    approve(world, world.tip, "v1.0", world.tip, world.alice, world.bob)
    refused(world.repo.verify_tag("v1.0"), (world.tip, "lightweight-tag"))


@pytest.mark.parametrize("kind", ["tag", "blob", "tree"])
def test_a_tag_of_something_else_is_no_release(world: World, kind: str) -> None:
    """Row 28: a tag of a tag, of a blob; a tag of a tree."""
    inner = world.repo.tag("v1.0", world.tip, world.alice)
    approve(world, inner, "v1.0", world.tip)
    target = {
        "tag": inner,
        "blob": world.repo.blob(b"1\n"),
        "tree": world.repo.git("rev-parse", f"{world.tip}^{{tree}}"),
    }[kind]
    tag = world.repo.tag("v1.0", target, world.alice, kind=kind)
    approve(world, tag, "v1.0", target)
    refused(world.repo.verify_tag("v1.0"), (tag, "malformed"))


@pytest.mark.parametrize("kind", ["blob", "tree"])
def test_a_ref_to_something_else_is_no_release(world: World, kind: str) -> None:
    """Row 28: no tag object at all."""
    target = {"blob": world.repo.blob(b"1\n"), "tree": world.repo.git("rev-parse", f"{world.tip}^{{tree}}")}[kind]
    world.repo.ref("refs/tags/v1.0", target)
    refused(world.repo.verify_tag("v1.0"), (target, "malformed"))


@pytest.mark.parametrize("kind", ["tag", "blob", "tree"])
def test_a_tag_that_lies_about_its_targets_type_is_never_good(world: World, kind: str) -> None:
    """Row 28: the header says commit."""
    target = {"tag": world.repo.tag("v0.9", world.tip, world.alice), "blob": world.repo.blob(b"1\n"),
              "tree": world.repo.git("rev-parse", f"{world.tip}^{{tree}}")}[kind]  # fmt: skip
    tag = world.repo.tag("v1.0", target, world.alice)
    approve(world, tag, "v1.0", target)
    refused(world.repo.verify_tag("v1.0"), (tag, "malformed"))


@pytest.mark.parametrize("name", ["v1.0", "refs/tags/v1.0", "V1.0", "v1.0\u200b"])
def test_a_name_that_resembles_the_refs_is_another(world: World, name: str) -> None:
    """Row 27: names are bytes."""
    tag = world.repo.tag(name, world.tip, world.alice, ref="v1.00" if name == "v1.0" else "v1.0")
    ref = "v1.00" if name == "v1.0" else "v1.0"
    approve(world, tag, ref, world.tip)
    refused(world.repo.verify_tag(ref), (tag, "tag-name-mismatch"))


def test_an_unsigned_tag_is_no_release(world: World) -> None:
    """Row 28: annotated, approved by two, but signed by nobody."""
    tag = world.repo.tag("v1.0", world.tip, None)
    approve(world, tag, "v1.0", world.tip, world.alice, world.bob)
    refused(world.repo.verify_tag("v1.0"), (tag, "unsigned"))


@pytest.mark.parametrize(("signer", "verdict"), [("carol", "unauthorized"), ("mallory", "unknown-key")])
def test_who_releases_must_be_listed(world: World, signer: str, verdict: str) -> None:
    """Section 8: Carol may commit, and her log is known; Mallory is nobody. Two approvals do not make up for it."""
    rules = [Rule("commit", [world.alice, world.bob, world.carol]), *world.rules[1:]]
    files = {**world.files, **auths(rules, [world.alice, world.bob, world.carol])}
    tip = world.advance(world.repo.commit(files, [world.tip], world.alice))
    tag = world.repo.tag("v1.0", tip, getattr(world, signer))
    approve(world, tag, "v1.0", tip)
    refused(world.repo.verify_tag("v1.0"), (tag, verdict))


def test_a_tag_signed_for_another_purpose_is_bad(world: World) -> None:
    """Row 44, of a tag."""
    payload = (
        f"object {world.tip}\ntype commit\ntag v1.0\ntagger Alice <alice@example.com> 1780000000 +0000\n\nx\n"
    ).encode()
    for namespace in (b"file", b"auths-attestation"):
        tag = world.repo.raw("tag", payload + forge.sshsig(world.alice, payload, namespace))
        world.repo.ref("refs/tags/v1.0", tag)
        approve(world, tag, "v1.0", world.tip)
        refused(world.repo.verify_tag("v1.0"), (tag, "bad-signature"))


def test_a_tag_whose_target_was_exchanged_is_bad(world: World) -> None:
    """Row 26, by changing the object: Alice's signature, on another commit."""
    good = world.repo.tag("v1.0", world.tip, world.alice)
    raw = forge.run("git", "cat-file", "tag", good, cwd=world.repo.path).stdout
    tag = world.repo.raw("tag", raw.replace(world.tip.encode(), world.root.encode()))
    world.repo.ref("refs/tags/v1.0", tag)
    approve(world, tag, "v1.0", world.root)
    refused(world.repo.verify_tag("v1.0"), (tag, "bad-signature"))


def test_a_tag_with_a_nul_is_malformed(world: World) -> None:
    """Row 43, of a tag."""
    tag = world.repo.tag("v1.0", world.tip, world.alice, message=b"a release\0hidden\n")
    approve(world, tag, "v1.0", world.tip)
    refused(world.repo.verify_tag("v1.0"), (tag, "malformed"))


def test_a_tag_without_a_tagger_is_malformed(world: World) -> None:
    """Row 40, of a tag: git reads it, from the days before taggers."""
    payload = f"object {world.tip}\ntype commit\ntag v1.0\n\nx\n".encode()
    tag = world.repo.raw("tag", payload + forge.sshsig(world.alice, payload))
    world.repo.ref("refs/tags/v1.0", tag)
    approve(world, tag, "v1.0", world.tip)
    refused(world.repo.verify_tag("v1.0"), (tag, "malformed"))


@pytest.mark.parametrize("covered", [True, False])
@pytest.mark.parametrize("extra", ["gpgsig-x hidden", "gpgsig hidden", "tag v2.0", "note hidden"])
def test_a_tag_with_another_header_is_malformed(world: World, extra: str, covered: bool) -> None:
    """Row 41, of a tag: whether the signature covers it or not."""
    honest = f"object {world.tip}\ntype commit\ntag v1.0\ntagger Alice <alice@example.com> 1780000000 +0000\n\nx\n"
    with_header = honest.replace("\n\n", f"\n{extra}\n\n")
    signature = forge.sshsig(world.alice, (with_header if covered else honest).encode())
    tag = world.repo.raw("tag", with_header.encode() + signature)
    world.repo.ref("refs/tags/v1.0", tag)
    approve(world, tag, "v1.0", world.tip)
    refused(world.repo.verify_tag("v1.0"), (tag, "malformed"))


def test_a_tag_may_carry_the_other_formats_signature(world: World) -> None:
    """Row 45, of a tag: the payload leaves it out."""
    payload = (
        f"object {world.tip}\ntype commit\ntag v1.0\ntagger Alice <alice@example.com> 1780000000 +0000\n\nx\n".encode()
    )
    other = forge.header(b"gpgsig-sha256", forge.sshsig(world.mallory, b"of the other format"))
    signature = forge.sshsig(world.alice, payload)
    tag = world.repo.raw("tag", payload.replace(b"\n\n", b"\n" + other + b"\n", 1) + signature)
    world.repo.ref("refs/tags/v1.0", tag)
    approve(world, tag, "v1.0", world.tip)
    assert world.repo.verify_tag("v1.0").verdicts == {tag: "good"}
    git_says_good(world.repo, "tag", "-v", "v1.0")


def test_a_mainline_that_is_not_good_releases_nothing(world: World) -> None:
    """Row 1, by a tag: its tip says who releases, and Mallory has written that; what he releases is a good commit."""
    rules = [Rule("commit", [world.mallory]), Rule("release", [world.mallory]), Rule("admin", [world.mallory])]
    logs = {forge.kel_path(one): one.log.stream for one in (world.alice, world.bob)}
    bad = world.advance(
        world.repo.commit({**world.files, **logs, **auths(rules, [world.mallory])}, [world.tip], world.mallory)
    )
    tag = world.repo.tag("v1.0", world.tip, world.mallory)
    answer = world.repo.verify_tag("v1.0")
    (found,) = answer.objects
    assert (answer.code, answer.document["ok"], found["id"]) == (1, False, tag)
    assert found["verdict"] == "policy-change-unauthorized"
    assert bad in found["reason"]


def test_a_release_of_a_bad_commit_has_that_commits_verdict(world: World) -> None:
    """Row 29, where the target itself is bad, and where something behind it is."""
    unsigned = world.work([world.tip], None)
    for target in (unsigned, world.work([unsigned], world.bob)):
        tag = world.repo.tag("v1.0", target, world.alice)
        approve(world, tag, "v1.0", target)
        (found,) = refused(world.repo.verify_tag("v1.0"), (tag, "unsigned"))
        assert unsigned in found["reason"] or target == unsigned


def test_a_tag_whose_commit_is_missing_is_never_good(world: World) -> None:
    """Row 39, of a tag: its target is not here. That is no verdict of the tag's signature, and no crash."""
    tag = world.repo.tag("v1.0", "12" * 20, world.alice)
    approve(world, tag, "v1.0", "12" * 20)
    answer = world.repo.verify_tag("v1.0")
    assert answer.code != 0
    assert "internal error" not in answer.stderr
