"""Attacks on rules for paths, and the honest merges that such a rule must not stop (DESIGN section 7, rule 6)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence

import pytest

from git_auths.core import paths
from tests.attacks.forge import (
    Answer,
    Entry,
    Person,
    Rule,
    World,
    accepted,
    approval,
    auths,
    envelope,
    refused,
)
from tests.realgit import run

CRYPTO = "src/crypto/**"
OLD, NEW = b"cipher 1\n", b"cipher 2\n"

Content = Mapping[str, "bytes | Entry | None"]


class Guarded:
    """A repository where Alice and Bob commit, and Alice alone where `patterns` name a path. `files` are the tip's."""

    def __init__(self, world: World, *patterns: str, require: int = 1, files: Content | None = None,
                 crypto: Sequence[Person] | None = None) -> None:  # fmt: skip
        self.world, self.repo = world, world.repo
        scope = f"paths = {json.dumps(patterns, ensure_ascii=False)}"
        signers = crypto or [world.alice]
        people = [world.alice, world.bob, *(one for one in signers if one not in (world.alice, world.bob))]
        rules = [*world.rules, Rule("commit", signers, require, scope)]
        self.files: dict[str, bytes | Entry] = {"src/crypto/aes": OLD, "src/other": b"1\n"}
        self.files |= {path: content for path, content in world.files.items() if path != "src"}
        self.files |= auths(rules, people)
        self.files |= {path: content for path, content in (files or {}).items() if content is not None}
        self.tip = self.repo.commit(self.files, [world.tip], world.alice)
        accepted(world.verify_at(self.tip))

    def write(self, signer: Person | None, parents: Sequence[str], content: Content) -> str:
        """A commit of the tip's files with this content, by path; None takes a file away."""
        files = {path: entry for path, entry in {**self.files, **content}.items() if entry is not None}
        return self.repo.commit(files, parents or [self.tip], signer)

    def verify_at(self, commit: str) -> Answer:
        return self.world.verify_at(commit)

    def is_alices_alone(self, content: Content) -> None:
        """Bob may not change it, by this rule; Alice may."""
        bobs = self.write(self.world.bob, (), content)
        (found,) = refused(self.verify_at(bobs), (bobs, "unauthorized"))
        assert found["rule"] == "policy.commit[1]"
        accepted(self.verify_at(self.write(self.world.alice, (), content)))


def test_every_rule_that_matches_must_be_met(world: World) -> None:
    """Section 6: a path rule adds to the rule of all paths; Carol, whom it alone lists, commits nothing anywhere."""
    guarded = Guarded(world, CRYPTO, crypto=[world.alice, world.carol])
    accepted(guarded.verify_at(guarded.write(world.bob, (), {"src/other": b"2\n"})))
    bobs = guarded.write(world.bob, (), {"src/crypto/aes": NEW})
    carols = guarded.write(world.carol, (), {"src/crypto/aes": NEW})
    for bad, rule in ((bobs, "policy.commit[1]"), (carols, "policy.commit[0]")):
        (found,) = refused(guarded.verify_at(bad), (bad, "unauthorized"))
        assert found["rule"] == rule
    accepted(guarded.verify_at(guarded.write(world.alice, (), {"src/crypto/aes": NEW})))


def test_a_path_may_take_two(world: World) -> None:
    """Section 6: two for the cipher; elsewhere one is enough. An approval counts by each rule that lists its maker."""
    guarded = Guarded(world, CRYPTO, require=2, crypto=[world.alice, world.carol])
    tip = guarded.write(world.alice, (), {"src/other": b"2\n"})
    accepted(guarded.verify_at(tip))
    changed = guarded.write(world.alice, [tip], {"src/crypto/aes": NEW, "src/other": b"2\n"})
    for approver, verdict in ((None, "threshold-unmet"), (world.bob, "threshold-unmet"), (world.carol, None)):
        if approver is not None:
            world.repo.notes({changed: [envelope(approver, approval(approver, world.root, changed))]})
        answer = guarded.verify_at(changed)
        accepted(answer) if verdict is None else refused(answer, (changed, verdict))


def test_where_only_paths_are_governed_the_rest_is_ungoverned(world: World) -> None:
    """Section 7, rule 9: said as such, and not good."""
    rules = [Rule("commit", [world.alice], extra=f'paths = ["{CRYPTO}"]'), *world.rules[1:]]
    files = {**world.files, **auths(rules, [world.alice, world.bob])}
    del files["src"]
    tip = world.repo.commit(files, [world.tip], world.alice)
    accepted(world.verify_at(tip))
    elsewhere = world.repo.commit({**files, "other": b"1"}, [tip], None)
    refused(world.verify_at(elsewhere), (elsewhere, "ungoverned"))
    cipher = world.repo.commit({**files, "other": b"1", "src/crypto/aes": NEW}, [elsewhere], None)
    refused(world.verify_at(cipher), (elsewhere, "ungoverned"), (cipher, "unsigned"))


def test_a_rule_that_came_meanwhile_applies_to_an_older_branch(world: World) -> None:
    """Section 7, rule 4: written when Bob might, received when he may not; and the other way round he might not."""
    old = world.repo.commit({**world.files, "crypto": NEW}, [world.tip], world.bob)
    guarded = Guarded(world, "crypto")
    merge = guarded.write(world.alice, [guarded.tip, old], {"crypto": NEW})
    refused(guarded.verify_at(merge), (old, "unauthorized-at-reception"))
    bobs = guarded.write(world.bob, [guarded.tip], {"crypto": NEW})
    without = world.repo.commit({**guarded.files, **auths(world.rules, [world.alice, world.bob])}, [guarded.tip],
                                world.alice)  # fmt: skip
    files = {**guarded.files, **auths(world.rules, [world.alice, world.bob]), "crypto": NEW}
    refused(world.verify_at(world.repo.commit(files, [without, bobs], world.alice)), (bobs, "unauthorized"))


# Merges


@pytest.mark.parametrize("stale_first", [False, True])
def test_a_merge_does_not_take_the_stale_side(world: World, stale_first: bool) -> None:
    """Row 24: Alice mended the cipher on main; Bob's merge of an older branch has it as it was before."""
    guarded = Guarded(world, CRYPTO)
    mended = guarded.write(world.alice, (), {"src/crypto/aes": NEW})
    stale = guarded.write(world.bob, (), {"src/other": b"2\n"})
    parents = [stale, mended] if stale_first else [mended, stale]
    for aes in (OLD, b"cipher 0\n", None, Entry("100755", NEW), Entry("120000", b"other")):
        evil = guarded.write(world.bob, parents, {"src/crypto/aes": aes, "src/other": b"2\n"})
        (found,) = refused(guarded.verify_at(evil), (evil, "unauthorized"))
        assert found["rule"] == "policy.commit[1]"
        assert found["signer"] == world.bob.did
    accepted(guarded.verify_at(guarded.write(world.bob, parents, {"src/crypto/aes": NEW, "src/other": b"2\n"})))
    accepted(guarded.verify_at(guarded.write(world.alice, parents, {"src/other": b"2\n"})))


def test_an_octopus_does_not_take_a_stale_side(world: World) -> None:
    """Row 24, where only one of three parents has the mended file, and Bob has two others to outvote it."""
    guarded = Guarded(world, CRYPTO)
    mended = guarded.write(world.alice, (), {"src/crypto/aes": NEW})
    sides = [guarded.write(world.bob, (), {"src/other": number}) for number in (b"2\n", b"3\n")]
    evil = guarded.write(world.bob, [mended, *sides], {"src/other": b"4\n"})
    refused(guarded.verify_at(evil), (evil, "unauthorized"))
    honest = guarded.write(world.bob, [mended, *sides], {"src/crypto/aes": NEW, "src/other": b"4\n"})
    accepted(guarded.verify_at(honest))


def test_a_merge_adds_and_resolves_nothing_of_its_own(world: World) -> None:
    """Row 24: both sides changed the cipher, so whatever a merge says of it is new; so is a file that nobody had."""
    guarded = Guarded(world, CRYPTO)
    one = guarded.write(world.alice, (), {"src/crypto/aes": NEW})
    two = guarded.write(world.alice, (), {"src/crypto/aes": b"cipher 3\n"})
    for content in ({"src/crypto/aes": NEW}, {"src/crypto/aes": b"cipher 3\n"}, {"src/crypto/aes": b"cipher 4\n"}):
        evil = guarded.write(world.bob, [one, two], content)
        refused(guarded.verify_at(evil), (evil, "unauthorized"))
    mine = guarded.write(world.bob, (), {"src/other": b"2\n"})
    evil = guarded.write(world.bob, [one, mine], {"src/crypto/aes": NEW, "src/other": b"2\n", "src/crypto/new": b"1"})
    refused(guarded.verify_at(evil), (evil, "unauthorized"))
    accepted(guarded.verify_at(guarded.write(world.alice, [one, two], {"src/crypto/aes": b"cipher 4\n"})))


def test_honest_merges_stay_good(world: World) -> None:
    """Row 63: Bob may merge what Alice changed, in either direction, a removal and a new file as well, and again."""
    guarded = Guarded(world, CRYPTO)
    hers = {"src/crypto/aes": None, "src/crypto/new": b"1", "src/crypto/deep/er": b"2"}
    mended = guarded.write(world.alice, (), hers)
    feature = guarded.write(world.bob, (), {"src/other": b"2\n"})
    updated = guarded.write(world.bob, [feature, mended], {**hers, "src/other": b"2\n"})
    finished = guarded.write(world.bob, [updated], {**hers, "src/other": b"3\n"})
    accepted(guarded.verify_at(guarded.write(world.bob, [mended, finished], {**hers, "src/other": b"3\n"})))
    accepted(guarded.verify_at(guarded.write(world.bob, [mended, feature], {**hers, "src/other": b"2\n"})))


def test_a_merge_whose_bases_disagree_is_a_change(world: World) -> None:
    """Section 7, rule 6: after a criss-cross there is no one value that it could have been; Alice has to look."""
    guarded = Guarded(world, CRYPTO)
    a = guarded.write(world.alice, (), {"src/crypto/aes": NEW})
    b = guarded.write(world.alice, (), {"src/crypto/aes": b"cipher 3\n"})
    ab = guarded.write(world.alice, [a, b], {"src/crypto/aes": NEW})
    ba = guarded.write(world.alice, [b, a], {"src/crypto/aes": b"cipher 3\n"})
    for signer, verdict in ((world.bob, "unauthorized"), (world.alice, None)):
        merge = guarded.write(signer, [ab, ba], {"src/crypto/aes": NEW})
        answer = guarded.verify_at(merge)
        accepted(answer) if verdict is None else refused(answer, (merge, verdict))
    # Where the bases agree about the file, a criss-cross is a merge like any other.
    a, b = (guarded.write(world.bob, (), {"src/other": other}) for other in (b"2\n", b"3\n"))
    ab = guarded.write(world.bob, [a, b], {"src/other": b"4\n"})
    ba = guarded.write(world.alice, [b, a], {"src/other": b"4\n", "src/crypto/aes": NEW})
    accepted(guarded.verify_at(guarded.write(world.bob, [ba, ab], {"src/other": b"4\n", "src/crypto/aes": NEW})))


# Names


NAMES = {"a quote": b'a"es', "a newline": b"a\nes", "no UTF-8": b"\xff\xfe", "a backslash": b"a\\es",
         "an escape": b"a\x1b[2Kes", "a question mark": b"a?es", "a leading space": b" aes", "a tab": b"a\tes",
         "like git's own quoting": b'"src/crypto/aes"', "a glob": b"**"}  # fmt: skip


def test_a_path_of_any_bytes_is_matched_raw(world: World) -> None:
    """Row 25: git would quote these in its output; nothing here reads that."""
    guarded = Guarded(world, CRYPTO, "caf?/**", '*\\"', "line?break")
    below = [b"src/crypto/" + name for name in NAMES.values()]
    for path in (*below, b"caf\xe9/x", b'deep/in/"', b"line\nbreak"):
        bobs = guarded.write(world.bob, (), {os.fsdecode(path): NEW})
        assert verified(world, guarded, bobs) == "unauthorized", path
    beside = {os.fsdecode(path): NEW for path in (b"src/\xff/crypto/x", b"caf\xc3\xa9/x", b'"src/crypto/x', b"line\n")}
    accepted(guarded.verify_at(guarded.write(world.bob, (), beside)))


def verified(world: World, guarded: Guarded, commit: str) -> str | None:
    world.advance(guarded.tip)
    return world.repo.auths("verify", "--json", commit).verdicts.get(commit)


def test_a_rule_names_a_folder_whatever_is_put_there(world: World) -> None:
    """Row 62: a submodule, a link or a file at `vendor/crypto`, which `vendor/crypto/**` means as well."""
    guarded = Guarded(world, "vendor/crypto/**")
    for entry in (Entry("160000", world.root), Entry("120000", b"../evil"), b"a file\n", Entry("100755", b"a file\n")):
        guarded.is_alices_alone({"vendor/crypto": entry})
    accepted(guarded.verify_at(guarded.write(world.bob, (), {"vendor/cryptography/x": b"1", "x/vendor/crypto/x": b""})))


@pytest.mark.parametrize("instead", [Entry("160000", "ab" * 20), Entry("120000", b"evil"), b"a file\n", None])
def test_what_stands_below_is_not_replaced_from_above(world: World, instead: Entry | bytes | None) -> None:
    """Row 62: nor a submodule set to another commit, nor a folder on the way to it exchanged."""
    guarded = Guarded(world, CRYPTO, files={"src/crypto/sub": Entry("160000", world.root)})
    above = dict.fromkeys(("src/other", "src/crypto/aes", "src/crypto/sub"))
    for path in ("src/crypto/sub", "src/crypto", "src"):
        beneath = {name: None for name in above if name.startswith(f"{path}/")}
        bobs = guarded.write(world.bob, (), {**beneath, path: instead})
        assert verified(world, guarded, bobs) == "unauthorized", path


def test_case_hides_no_path(world: World) -> None:
    """Row 62: `SRC/Crypto/x` is checked out over `src/crypto/x` where a file system folds case, Unicode's too."""
    guarded = Guarded(world, CRYPTO, "Größe/**", "*.Key")
    for path in ("SRC/Crypto/x", "src/CRYPTO", "SRC/crypto/aes", "GRÖSSE/x", "grÖße/x", "größe/x", "deep/A.KEY"):
        guarded_by = verified(world, guarded, guarded.write(world.bob, (), {path: NEW}))
        assert guarded_by == "unauthorized", path
    assert verified(world, guarded, guarded.write(world.bob, (), {"src/crypt": NEW, "SRCS/crypto/x": NEW})) is None


def test_a_move_is_two_changes(world: World) -> None:
    """Row 24: out of the folder, into it, and a mode alone."""
    guarded = Guarded(world, CRYPTO)
    for content in ({"src/crypto/aes": None, "src/aes": OLD}, {"src/other": None, "src/crypto/other": b"1\n"},
                    {"src/crypto/aes": Entry("100755", OLD)}, {"src/crypto/aes": Entry("120000", OLD)}):  # fmt: skip
        assert verified(world, guarded, guarded.write(world.bob, (), content)) == "unauthorized"


def test_a_tree_too_large_to_look_through_counts_as_changed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 7, rule 6: ten levels of ten times the same folder; nobody hides a path behind the bound."""
    monkeypatch.setattr(paths, "MAX_ENTRIES", 10_000)
    guarded = Guarded(world, "*.key")
    inner = world.repo.tree({"x": b""})
    for _ in range(10):
        inner = world.repo.mktree(("40000", inner, str(number)) for number in range(10))
    assert verified(world, guarded, guarded.write(world.bob, (), {"bomb": Entry("40000", inner)})) == "unauthorized"


def test_a_folder_that_cannot_be_read_counts_as_changed(world: World) -> None:
    """A crash would be no verdict: whoever the rule lists answers for it, and nobody else."""
    rules = [Rule("commit", [world.alice], 1, 'paths = ["*.c"]'), *world.rules[1:]]
    files = {**world.files, **auths(rules, [world.alice, world.bob])}
    start = world.repo.commit(files, [world.tip], world.alice)
    blob = bytes.fromhex(world.repo.blob(b"x"))
    unsorted = bytes.fromhex(world.repo.raw("tree", b"100644 b\0" + blob + b"100644 a\0" + blob))
    tree = world.repo.tree(files)
    raw = run("git", "cat-file", "tree", tree, cwd=world.repo.path).stdout + b"40000 zzz\0" + unsorted
    bad = world.repo.commit_tree(world.repo.raw("tree", raw), [start], world.bob)
    refused(world.verify_at(bad), (bad, "unauthorized"))
