"""The attacks that stock git lets through: how each is made, what git says, and what must be said instead.

`python -m tests.attacks.accepted_by_git` keeps their raw objects in tests/data/accepted_by_git/, a file each, named by
type and id; `cases.json` there has the refs, the question and the answer of each case. They are kept so that a change
of the code that forges them, or of git, does not take the attack away unnoticed.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.attacks import forge
from tests.attacks.forge import World, header, signed_commit, sshsig
from tests.realgit import run

AS_STORED = ("-c", "core.useReplaceRefs=false", "cat-file")
FOLDER = Path(__file__).resolve().parent.parent / "data" / "accepted_by_git"


class Case(NamedTuple):
    """`git` is the command that accepts it, `ask` ours, which must name `object` with `verdict`."""

    row: int
    git: tuple[str, ...]
    ask: tuple[str, ...]
    object: str
    verdict: str


def malformed(world: World, row: int, raw: bytes, verdict: str = "malformed") -> Case:
    """A commit of these bytes as the mainline's tip."""
    id = world.advance(world.repo.raw("commit", raw))
    return Case(row, ("verify-commit", "main"), ("verify", "--json", "main"), id, verdict)


def heads_of(world: World) -> list[bytes]:
    """The four headers of an honest commit by Bob."""
    return world.repo.headers(world.repo.tree({**world.files, "src": b"2\n"}), [world.tip], "Bob")


def bobs(world: World, heads: Sequence[bytes], message: bytes = b"work\n") -> bytes:
    """A commit with these headers, signed by Bob as they stand."""
    payload = b"".join(heads) + b"\n" + message
    return signed_commit(payload, sshsig(world.bob, payload))


def unsigned_header_before(world: World) -> Case:
    raw = bobs(world, heads_of(world))
    return malformed(world, 41, raw.replace(b"\ngpgsig ", b"\ngpgsig-x hidden\ngpgsig ", 1))


def unsigned_header_behind(world: World) -> Case:
    raw = bobs(world, heads_of(world))
    return malformed(world, 41, raw.replace(b"\n\nwork", b"\ngpgsig-x hidden\n more\n\nwork", 1))


def second_signature_by_the_same(world: World) -> Case:
    raw = bobs(world, heads_of(world))
    again = raw[raw.index(b"gpgsig ") : raw.index(b"\n\nwork") + 1]
    return malformed(world, 41, raw.replace(b"\n\nwork", b"\n" + again + b"\nwork", 1))


def second_signature_by_another(world: World) -> Case:
    payload = b"".join(heads_of(world)) + b"\nwork\n"
    raw = signed_commit(payload, sshsig(world.bob, payload))
    other = header(b"gpgsig", sshsig(world.mallory, payload))
    return malformed(world, 41, raw.replace(b"\n\nwork", b"\n" + other + b"\nwork", 1))


def bytes_behind_the_armor(world: World) -> Case:
    payload = b"".join(heads_of(world)) + b"\nwork\n"
    return malformed(world, 41, signed_commit(payload, sshsig(world.bob, payload) + b"hidden\n"))


def blank_line_behind_the_armor(world: World) -> Case:
    raw = bobs(world, heads_of(world))
    return malformed(world, 41, raw.replace(b"\n\nwork", b"\n \n\nwork", 1))


def armor_of_another_width(world: World) -> Case:
    raw = bobs(world, heads_of(world))
    return malformed(world, 41, raw.replace(b"SIGNATURE-----\n U1NI", b"SIGNATURE-----\n U1\n NI", 1))


def two_trees(world: World) -> Case:
    heads, other = heads_of(world), world.repo.tree({"README": b"another project\n"})
    return malformed(world, 40, bobs(world, [heads[0], b"tree " + other.encode() + b"\n", *heads[1:]]))


def second_tree_behind_the_parent(world: World) -> Case:
    heads, other = heads_of(world), world.repo.tree({"README": b"another project\n"})
    return malformed(world, 40, bobs(world, [*heads[:2], b"tree " + other.encode() + b"\n", *heads[2:]]))


def parent_behind_the_author(world: World) -> Case:
    tree, parent, author, committer = heads_of(world)
    return malformed(world, 40, bobs(world, [tree, author, parent, committer]))


def parent_behind_the_committer(world: World) -> Case:
    tree, parent, author, committer = heads_of(world)
    return malformed(world, 40, bobs(world, [tree, author, committer, parent]))


def second_parent_behind_the_author(world: World) -> Case:
    tree, parent, author, committer = heads_of(world)
    side = b"parent " + world.work([world.tip], world.bob, other="1").encode() + b"\n"
    return malformed(world, 40, bobs(world, [tree, parent, author, side, committer]))


def two_authors(world: World) -> Case:
    tree, parent, author, committer = heads_of(world)
    return malformed(world, 40, bobs(world, [tree, parent, author.replace(b"Bob", b"Alice"), author, committer]))


def two_committers(world: World) -> Case:
    heads = heads_of(world)
    return malformed(world, 40, bobs(world, [*heads, heads[3].replace(b"Bob", b"Alice")]))


def committer_before_the_author(world: World) -> Case:
    tree, parent, author, committer = heads_of(world)
    return malformed(world, 40, bobs(world, [tree, parent, committer, author]))


def bad_commit_behind_a_good_one(world: World) -> Case:
    """What git shows and verifies under the bad commit's id is the good one's content."""
    bad = world.work([world.tip], None, src="2")
    good = world.work([world.tip], world.bob, src="2")
    world.advance(bad)
    world.repo.ref(f"refs/replace/{bad}", good)
    return Case(38, ("verify-commit", bad), ("verify", "--json", "main"), bad, "unsigned")


def bad_commit_behind_a_good_one_further_down(world: World) -> Case:
    bad = world.work([world.tip], world.mallory, src="2")
    good = world.work([world.tip], world.bob, src="2")
    world.advance(world.work([bad], world.bob, src="3"))
    world.repo.ref(f"refs/replace/{bad}", good)
    return Case(38, ("verify-commit", bad), ("verify", "--json", "main"), bad, "unknown-key")


def tag_under_another_name(world: World) -> Case:
    """The tag would otherwise be good: Bob approved it."""
    old = world.repo.tag("v1.0", world.tip, world.alice, ref="v2.0")
    line = forge.approval(world.bob, world.root, old, "tag", "v1.0", world.tip)
    world.repo.notes({old: [forge.envelope(world.bob, line)]})
    return Case(27, ("tag", "-v", "v2.0"), ("verify-tag", "--json", "v2.0"), old, "tag-name-mismatch")


def tag_of_the_mainline_under_a_longer_name(world: World) -> Case:
    old = world.repo.tag("v1.0", world.tip, world.alice, ref="v1.0/final")
    return Case(27, ("tag", "-v", "v1.0/final"), ("verify-tag", "--json", "v1.0/final"), old, "tag-name-mismatch")


def tag_payload(world: World, name: str, more: bytes = b"") -> bytes:
    return b"object %b\ntype commit\ntag %b\n%btagger Alice <alice@example.com> %d +0000\n\na release\n" % (
        world.tip.encode(), name.encode(), more, world.repo.date,
    )  # fmt: skip


def approved_tag(world: World, row: int, raw: bytes, name: str, verdict: str) -> Case:
    """The tag object `raw` under refs/tags/NAME, with Bob's approval of it."""
    id = world.repo.raw("tag", raw)
    world.repo.ref(f"refs/tags/{name}", id)
    world.repo.notes(
        {id: [forge.envelope(world.bob, forge.approval(world.bob, world.root, id, "tag", name, world.tip))]}
    )
    return Case(row, ("tag", "-v", name), ("verify-tag", "--json", name), id, verdict)


def tag_with_two_names(world: World) -> Case:
    payload = tag_payload(world, "v1.0", b"tag v2.0\n")
    return approved_tag(world, 27, payload + sshsig(world.alice, payload), "v2.0", "malformed")


def tag_with_bytes_behind_the_armor(world: World) -> Case:
    payload = tag_payload(world, "v1.0")
    return approved_tag(world, 41, payload + sshsig(world.alice, payload) + b"hidden\n", "v1.0", "malformed")


def tag_that_is_signed_twice(world: World) -> Case:
    payload = tag_payload(world, "v1.0")
    payload += sshsig(world.mallory, payload)
    return approved_tag(world, 41, payload + sshsig(world.alice, payload), "v1.0", "malformed")


BUILDERS: dict[str, Callable[[World], Case]] = {
    build.__name__.replace("_", "-"): build
    for build in (
        unsigned_header_before, unsigned_header_behind, second_signature_by_the_same, second_signature_by_another,
        bytes_behind_the_armor, blank_line_behind_the_armor, armor_of_another_width,
        two_trees, second_tree_behind_the_parent, parent_behind_the_author, parent_behind_the_committer,
        second_parent_behind_the_author, two_authors, two_committers, committer_before_the_author,
        bad_commit_behind_a_good_one, bad_commit_behind_a_good_one_further_down,
        tag_under_another_name, tag_of_the_mainline_under_a_longer_name, tag_with_two_names,
        tag_with_bytes_behind_the_armor, tag_that_is_signed_twice,
    )
}  # fmt: skip


def keep() -> None:
    """Write the raw objects of every case, and `cases.json`."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    cases = {}
    with tempfile.TemporaryDirectory() as scratch:
        founded = forge.found(Path(scratch, "founded"))
        for name, build in BUILDERS.items():
            world = forge.again(founded, Path(scratch, name))
            case = build(world)
            refs = [
                line.split()
                for line in world.repo.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
            ]
            cases[name] = {**case._asdict(), "root": world.root, "refs": dict(refs)}
            listed = world.repo.git(*AS_STORED, "--batch-check=%(objectname) %(objecttype)", "--batch-all-objects")
            for line in listed.splitlines():
                oid, kind = line.split()
                raw = run("git", *AS_STORED, kind, oid, cwd=world.repo.path).stdout
                (FOLDER / f"{kind}-{oid}").write_bytes(raw)
    (FOLDER / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")
    (FOLDER / ".gitattributes").write_text("* -text\n")


if __name__ == "__main__":
    os.environ.update(GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL=os.devnull)
    keep()
