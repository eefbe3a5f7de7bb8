"""Attacks by what is pushed together: git runs each update on its own, and one that fails must not decide for others.

What git's own client would not send goes straight to `git receive-pack`.
"""

# ruff: noqa: F811

from __future__ import annotations

import subprocess
import time

import pytest

from tests.attacks.forge import Rule, World, approval, auths, envelope
from tests.attacks.test_clock import DAY, at
from tests.attacks.test_pushes import Gate, published, server  # noqa: F401
from tests.realgit import run

NONE = "0" * 40


def packet(content: bytes) -> bytes:
    """gitprotocol-common(5), pkt-line."""
    return b"%04x%b" % (len(content) + 4, content)


def receive(world: World, server: Gate, updates: list[tuple[str, str, str]], without: tuple[str, ...] = ()) -> str:
    """Push these (old id, new id, ref) as they are, without some objects: what git and the gate say."""
    wanted = {new for _, new, _ in updates if new != NONE}
    objects = world.repo.git("rev-list", "--objects", *sorted(wanted), f"^{world.tip}", "--").split("\n")
    ids = wanted.union(line.split()[0] for line in objects if line).difference(without)
    pack = run("git", "pack-objects", "--stdout", "--quiet", cwd=world.repo.path, stdin="\n".join(ids).encode()).stdout
    lines = [f"{old} {new} {ref}".encode() for old, new, ref in updates]
    lines[0] += b"\0 report-status"
    stdin = b"".join(map(packet, lines)) + b"0000" + pack
    done = subprocess.run(["git", "receive-pack", server.folder], input=stdin, capture_output=True, check=False)
    return done.stderr.decode()


def scoped(world: World, patterns: str = '["main"]') -> dict[str, bytes]:
    """Only these branches are governed, and by Alice alone."""
    rules = [Rule("commit", [world.alice], 1, f"branches = {patterns}"), *world.rules[1:]]
    return {**world.files, **auths(rules, [world.alice, world.bob])}


def unsigned(world: World) -> str:
    return world.repo.commit({**world.files, "src": b"evil"}, [world.tip], None)


@pytest.mark.parametrize("alias", ["refs/heads/main", "refs/heads/master"])
def test_an_update_that_comes_second_decides_nothing(world: World, server: Gate, alias: str) -> None:
    """Row 49: of two updates of the mainline, by the same name or another, the second fails."""
    if alias != "refs/heads/main":
        run("git", "symbolic-ref", alias, "refs/heads/main", cwd=server.folder)
    before = server.refs()
    first = world.work([world.tip], world.bob)
    free = world.repo.commit(scoped(world), [world.tip], world.alice)
    updates = [(world.tip, first, alias), (world.tip, free, "refs/heads/main"),
               (NONE, unsigned(world), "refs/heads/stable")]  # fmt: skip
    assert "refs/heads/main would be set twice" in receive(world, server, updates)
    assert server.refs() == before


def test_attestations_that_come_second_count_for_nothing(world: World, server: Gate) -> None:
    """Row 49."""
    tag = world.repo.tag("v1.0", world.tip, world.alice)
    first = world.repo.notes({world.tip: [b'{"x":1}']})
    second = world.repo.notes({tag: [envelope(world.bob, approval(world.bob, world.root, tag, "tag", "v1.0",
                                                                  world.tip))]})  # fmt: skip
    updates = [(NONE, first, "refs/notes/auths"), (NONE, second, "refs/notes/auths"), (NONE, tag, "refs/tags/v1.0")]
    assert "refs/notes/auths would be set twice" in receive(world, server, updates)
    assert list(server.refs()) == ["refs/heads/main"]


def test_a_name_that_git_will_refuse_makes_no_second_update(world: World, server: Gate) -> None:
    """Row 49: all that follows the carriage return is part of one name. (For a line feed nothing can tell.)"""
    free = world.repo.commit(scoped(world), [world.tip], world.alice)
    updates = [(NONE, unsigned(world), "refs/heads/stable"),
               (NONE, world.tip, f"refs/heads/q\r{world.tip} {free} refs/heads/main")]  # fmt: skip
    assert "is no name for a ref" in receive(world, server, updates)
    assert list(server.refs()) == ["refs/heads/main"]


def test_a_mainline_with_objects_missing_decides_nothing(world: World, server: Gate) -> None:
    """Row 49: git will refuse it for a blob that is not sent; nobody reads that when history is judged."""
    files = {**scoped(world), "folder/file": b"not sent\n"}
    free = world.repo.commit(files, [world.tip], world.alice)
    updates = [(world.tip, free, "refs/heads/main"), (NONE, unsigned(world), "refs/heads/stable")]
    said = receive(world, server, updates, without=(world.repo.blob(b"not sent\n"),))
    assert f"refs/heads/main: objects are missing behind {free}" in said
    assert list(server.refs()) == ["refs/heads/main"]


def test_attestations_with_objects_missing_count_for_nothing(world: World, server: Gate) -> None:
    """Row 49."""
    tag = world.repo.tag("v1.0", world.tip, world.alice)
    line = envelope(world.bob, approval(world.bob, world.root, tag, "tag", "v1.0", world.tip))
    notes = world.repo.commit({f"{tag[:2]}/{tag[2:]}": line + b"\n", "readme": b"not sent\n"}, [], None)
    updates = [(NONE, notes, "refs/notes/auths"), (NONE, tag, "refs/tags/v1.0")]
    said = receive(world, server, updates, without=(world.repo.blob(b"not sent\n"),))
    assert f"refs/notes/auths: objects are missing behind {notes}" in said
    assert list(server.refs()) == ["refs/heads/main"]


def test_published_rules_that_are_bad_are_not_hidden_by_another_ref(world: World, server: Gate) -> None:
    """Row 49: to the other branch they would be new, but it does not have them."""
    world.advance(world.repo.commit(scoped(world, '["stable/*"]'), [world.tip], world.alice))
    server.has("refs/heads/main")
    tip = world.repo.git("rev-parse", "main")
    rules = [Rule("commit", [world.mallory]), *world.rules[1:]]
    files = {**world.files, **auths(rules, [world.alice, world.bob, world.mallory])}
    bad = world.repo.commit(files, [tip], world.mallory)
    world.repo.ref("refs/heads/stable/1", bad)
    server.has("refs/heads/stable/1")  # before there was a hook
    later = world.repo.commit({**files, "src": b"evil"}, [bad], world.mallory)
    for beside in ([], [f"{tip}:refs/heads/stable/2"]):
        said = server.refuses(f"{later}:refs/heads/stable/1", *beside, verdict="nothing can be judged by rules")
        assert said.count(f"commit {bad}") == 1


def test_what_is_bad_and_published_is_told_whatever_goes_beside(world: World, server: Gate) -> None:
    """Row 49: the branch's own history has it, the other branch's has not."""
    files = scoped(world, '["stable/*"]')
    tip = world.advance(world.repo.commit(files, [world.tip], world.alice))
    bad = world.repo.commit({**files, "src": b"2"}, [tip], None)
    world.repo.ref("refs/heads/stable/1", bad)
    server.has("refs/heads/main", "refs/heads/stable/1")  # before there was a hook
    later = world.repo.commit({**files, "src": b"3"}, [bad], world.alice)
    for beside in ([f"{tip}:refs/heads/stable/2"], []):
        said = server.takes(f"{later}:refs/heads/stable/1", *beside)
        assert f"commit {bad} is unsigned: it carries no signature; it is published already" in said
        run("git", "update-ref", "refs/heads/stable/1", bad, cwd=server.folder)


def test_what_one_ref_adopts_is_not_adopted_on_another(world: World, server: Gate) -> None:
    """Row 49: two refs under the same rules, judged in one push."""
    bad = unsigned(world)
    line = f"{bad}\n".encode()
    adopts = world.repo.commit({**world.files, ".auths/adopted": line}, [world.tip], world.alice)
    server.takes(f"{adopts}:refs/heads/admins")
    server.refuses(f"{bad}:refs/heads/b", f"{adopts}:refs/heads/c", verdict="unsigned", object_id=bad)


def test_refs_are_told_apart_by_the_rules_at_a_receipt(world: World, server: Gate) -> None:
    """Row 49: by none of the rules that hold now, or held where the branch began, the two refs differ."""
    files = scoped(world, '["stable/*"]')
    files = {**files, **auths([Rule("commit", [world.alice], 1, 'branches = ["stable/*"]'), *world.rules],
                              [world.alice, world.bob])}  # fmt: skip
    strict = world.repo.commit(files, [world.tip], world.alice)
    work = world.repo.commit({**world.files, "src": b"bobs"}, [world.tip], world.bob)
    line = {".auths/received": f"refs/heads/feature/1 {work}\n".encode()}
    received = world.repo.commit({**files, **line}, [strict], world.alice)
    world.advance(world.repo.commit({**world.files, **line}, [received], world.alice))
    server.takes("main")
    server.refuses(f"{work}:refs/heads/feature/1", f"{work}:refs/heads/stable/1", verdict="unauthorized",
                   object_id=work)  # fmt: skip


@pytest.mark.parametrize("what", ["the tag", "its target"])
def test_a_release_from_the_future_is_refused(world: World, server: Gate, what: str) -> None:
    """Row 18: nothing that is released moves anybody's clock."""
    rules = [world.rules[0], Rule("release", [world.bob]), world.rules[2]]
    files = {**world.files, **auths(rules, [world.alice, world.bob])}
    tip = world.advance(world.repo.commit(files, [world.tip], world.alice))
    server.takes("main")
    future = int(time.time()) + 2 * DAY
    target = at(world, future if what == "its target" else int(time.time()) - DAY, [tip], world.bob, files, src="2")
    world.repo.date = future if what == "the tag" else int(time.time()) - DAY
    tag = world.repo.tag("v1.0", target, world.bob)
    server.refuses("refs/tags/v1.0", verdict="hours ahead", object_id=tag if what == "the tag" else target)


def test_a_symbolic_ref_to_nothing_yet_makes_what_it_points_to(world: World, server: Gate) -> None:
    """Row 49."""
    start = world.advance(world.repo.commit(scoped(world, '["main", "stable"]'), [world.tip], world.alice))
    server.takes("main")
    run("git", "symbolic-ref", "refs/heads/next", "refs/heads/stable", cwd=server.folder)
    bad = world.repo.commit({**scoped(world, '["main", "stable"]'), "src": b"evil"}, [start], None)
    server.refuses(f"{bad}:refs/heads/next", verdict="refs/heads/stable: commit", object_id=bad)


def test_a_mainline_that_is_a_symbolic_ref_is_what_it_points_to(world: World, server: Gate) -> None:
    """Row 49: what the server pins is another name for the branch."""
    run("git", "symbolic-ref", "refs/heads/trunk", "refs/heads/main", cwd=server.folder)
    run("git", "config", "auths.mainline", "refs/heads/trunk", cwd=server.folder)
    good = world.work([world.tip], world.bob)
    server.takes(f"{good}:refs/heads/trunk")
    for name in ("trunk", "main"):
        server.refuses(f"+{world.root}:refs/heads/{name}", verdict="rewound")
        server.refuses(f":refs/heads/{name}", verdict="rewound")


def test_what_to_type_is_quoted_for_the_shell(world: World, server: Gate) -> None:
    """Whoever reads a hint pastes it: git lets a ref's name hold a command."""
    world.repo.tag("v$(id)", world.tip, world.mallory)
    assert "git auths verify-tag 'v$(id)'" in server.refuses("refs/tags/v$(id)", verdict="unknown-key")
