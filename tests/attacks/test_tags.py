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


# Whose right or key has ended


def ending(world: World, person: Person, expires_at: str) -> str:
    """The mainline's new tip, whose policy ends this person's right."""
    files = {**world.files, **auths(world.rules, [world.alice, world.bob])}
    table = f'[signer."{person.did}"]\n'.encode()
    policy = files[".auths/policy.toml"].replace(table, table + f"expires_at = {expires_at}\n".encode())
    assert policy != files[".auths/policy.toml"]
    world.files.update(files | {".auths/policy.toml": policy})
    return world.advance(world.repo.commit(world.files, [world.tip], world.alice))


def test_who_may_sign_no_more_releases_no_more(world: World) -> None:
    """Rows 17 and 18, of a tag: by the tag's own date, and by the mainline's clock where that date is set back."""
    tip = ending(world, world.bob, "2026-05-30T00:00:00Z")
    later = forge.NOW + 10 * 86_400

    def judged(at_seconds: int) -> Answer:
        world.repo.date = at_seconds
        tag = world.repo.tag("v1.0", tip, world.bob)
        approve(world, tag, "v1.0", tip, world.alice)
        return world.repo.verify_tag("v1.0")

    assert judged(forge.NOW).code == 0
    assert list(judged(later).verdicts.values()) == ["expired"]
    world.advance(world.work([tip], world.alice))
    assert list(judged(forge.NOW).verdicts.values()) == ["expired"]


def test_who_may_sign_no_more_approves_no_more(world: World) -> None:
    """Row 17, of an approval; before that it counts."""
    tip = ending(world, world.bob, "2026-05-30T00:00:00Z")
    tag = world.repo.tag("v1.0", tip, world.alice)
    approve(world, tag, "v1.0", tip)
    assert world.repo.verify_tag("v1.0").code == 0
    world.repo.date = forge.NOW + 30 * 86_400
    world.advance(world.work([tip], world.alice))
    answer = world.repo.verify_tag("v1.0")
    refused(answer, (tag, "threshold-unmet"))
    assert count(answer) == (1, 2, [world.alice.did])


def test_a_compromised_key_releases_nothing(world: World) -> None:
    """Rows 14 and 15, of a tag: neither as its signer nor as who approves; the next key does both."""
    by_bob = world.repo.tag("v1.0", world.tip, world.bob)
    by_alice = world.repo.tag("v1.1", world.tip, world.alice)
    old = forge.envelope(world.bob, forge.approval(world.bob, world.root, by_alice, "tag", "v1.1", world.tip))
    of_alice = forge.envelope(world.alice, forge.approval(world.alice, world.root, by_bob, "tag", "v1.0", world.tip))
    world.repo.notes({by_bob: [of_alice], by_alice: [old]})
    for name in ("v1.0", "v1.1"):
        assert world.repo.verify_tag(name).code == 0
    first = world.bob.log.kel
    seal = {"auths": "compromise/1", "s": f"{first.sn:x}", "d": first.said, "t": "2026-06-01T00:00:00Z"}
    world.bob.log.rotate(anchors=[seal])
    files = {**world.files, **auths(world.rules, [world.alice, world.bob])}
    world.advance(world.repo.commit(files, [world.tip], world.bob))
    refused(world.repo.verify_tag("v1.0"), (by_bob, "compromised-key"))
    refused(world.repo.verify_tag("v1.1"), (by_alice, "threshold-unmet"))
    approve(world, by_alice, "v1.1", world.tip)
    assert world.repo.verify_tag("v1.1").code == 0


# Releases from branches


def with_release_branches(world: World) -> None:
    """Carol commits on release branches, where Bob does not; everybody else on main."""
    rules = [Rule("commit", [world.alice, world.bob], extra='branches = ["main"]'),
             Rule("commit", [world.alice, world.carol], extra='branches = ["release/*"]'), *world.rules[1:]]  # fmt: skip
    world.files.update(auths(rules, [world.alice, world.bob, world.carol]))


@pytest.mark.parametrize("ref", ["refs/heads/release/1", "refs/remotes/origin/release/1"])
def test_a_release_of_a_governed_branch_is_judged_by_that_branch(world: World, ref: str) -> None:
    """Section 8: what the mainline lacks, by its branch's rules, else by the mainline's."""
    with_release_branches(world)
    tip = world.advance(world.repo.commit(world.files, [world.tip], world.alice))
    for signer in (world.carol, world.bob):
        fix = world.work([tip], signer)
        tag = world.repo.tag("v1.1", fix, world.alice)
        approve(world, tag, "v1.1", fix)
        world.repo.ref(ref, fix)
        assert world.repo.verify_tag("v1.1").code == 0
    world.repo.git("update-ref", "-d", ref)
    assert world.repo.verify_tag("v1.1").code == 0
    fix = world.work([tip], world.carol)
    tag = world.repo.tag("v1.1", fix, world.alice)
    approve(world, tag, "v1.1", fix)
    refused(world.repo.verify_tag("v1.1"), (tag, "unauthorized"))


def test_a_branch_that_no_rule_names_makes_no_release_good(world: World) -> None:
    """Section 8: anybody may call a branch anything; and on a governed one a bad commit is as bad as elsewhere."""
    with_release_branches(world)
    tip = world.advance(world.repo.commit(world.files, [world.tip], world.alice))
    fix = world.work([tip], world.carol)
    tag = world.repo.tag("v1.1", fix, world.alice)
    approve(world, tag, "v1.1", fix)
    for ref in ("refs/heads/topic", "refs/heads/release", "refs/heads/my/release/1", "refs/release/1"):
        world.repo.ref(ref, fix)
        refused(world.repo.verify_tag("v1.1"), (tag, "unauthorized"))
        world.repo.git("update-ref", "-d", ref)
    unsigned = world.work([world.work([tip], None)], world.carol)
    world.repo.ref("refs/heads/release/1", unsigned)
    tag = world.repo.tag("v1.2", unsigned, world.alice)
    approve(world, tag, "v1.2", unsigned)
    refused(world.repo.verify_tag("v1.2"), (tag, "unsigned"))


# Names


def test_a_tag_named_like_a_branch_does_not_answer_for_it(world: World) -> None:
    """Row 70: git takes `main` for the tag, with a warning; the tag stands on what was good."""
    bad = world.advance(world.work([world.tip], None))
    world.repo.tag("main", world.tip, world.alice)
    assert world.repo.git("rev-parse", "main^{}") == world.tip
    refused(world.repo.verify("refs/heads/main"), (bad, "unsigned"))
    answer = world.repo.verify("main")
    assert answer.code != 0


def test_a_branch_named_like_a_tag_is_none(world: World) -> None:
    """Row 70: `verify-tag v1.0` is about refs/tags/v1.0, whatever else is called so."""
    for ref in ("refs/heads/v1.0", "refs/heads/refs/tags/v1.0", "refs/heads/tags/v1.0", "refs/remotes/origin/v1.0"):
        world.repo.ref(ref, world.tip)
    for name in ("v1.0", "refs/tags/v1.0"):
        answer = world.repo.verify_tag(name)
        assert (answer.code, answer.stdout) == (128, "")
    tag = world.repo.tag("v1.0", world.tip, world.alice)
    approve(world, tag, "v1.0", world.tip)
    assert world.repo.verify_tag("v1.0").verdicts == {tag: "good"}


@pytest.mark.parametrize("name", ["refs/remotes/origin/main", "refs/notes/main", "refs/auths/main", "refs/main"])
def test_a_ref_that_resembles_the_mainline_is_not_it(world: World, name: str) -> None:
    """Row 70: the answer names the tip that it used, and that is the pinned ref's."""
    newer = world.work([world.tip], world.bob)
    world.repo.ref(name, newer)
    document = world.repo.verify("refs/heads/main").document
    assert (document["ok"], document["mainline"]) == (True, world.tip)
    assert world.repo.verify(name).document["mainline"] == world.tip
