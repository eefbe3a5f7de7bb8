"""Attacks by size: what is too large or too deep is refused at once. Row 36, of notes, is with the approvals."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

import pytest

from git_auths.core.policy import PolicyInvalid, parse
from tests.attacks.forge import Rule, World, policy_toml, refused

SECONDS = 0.05
BYTES = 50 * 1000 * 1000


def bombs(admin: bytes) -> dict[str, bytes]:
    """Policies that keep a parser busy; `admin` is a rule that would make an honest one."""
    return {
        "10 MB of comment": admin + b"# x\n" * 2_500_000,
        "10 MB of one key": admin + b"a" * 10_000_000,
        "10 MB of one string": admin + b'name = "' + b"a" * 10_000_000 + b'"\n',
        "10 MB of signers": admin + b"[[policy.commit]]\nsigners = [" + b'"did:keri:E", ' * 700_000 + b"]\n",
        "10,000 nested tables": admin + b"[" + b".".join([b"a"] * 10_000) + b"]\n",
        "10,000 tables, each in the last": admin
        + b"".join(b"[" + b".".join([b"a"] * n) + b"]\n" for n in range(1, 350)),
        "10,000 dotted keys": admin + b".".join([b"a"] * 10_000) + b" = 1\n",
        "10,000 inline tables": admin + b"x = " + b"{a=" * 10_000 + b"1" + b"}" * 10_000 + b"\n",
        "10,000 arrays": admin + b"x = " + b"[" * 10_000 + b"]" * 10_000 + b"\n",
        "10,000 unclosed arrays": admin + b"x = " + b"[" * 10_000,
        "10,000 tables": admin + b"".join(b"[a%d]\n" % n for n in range(10_000)),
        "10,000 rules": admin + b"[[policy.commit]]\n" * 10_000,
        "a long number": admin + b"[[policy.commit]]\nrequire = " + b"9" * 200_000 + b"\n",
        "a long line of quotes": admin + b'"' * 250_000,
        "backslashes": admin + b'name = "' + b"\\\\" * 120_000 + b'"\n',
        "brackets of tables": admin + b"[[" * 100_000,
        "dots": admin + b"a" + b" . a" * 60_000,
    }


NAMES = list(bombs(b""))


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_bomb_is_refused_within_50_ms_and_50_mb(world: World, name: str) -> None:
    """Row 11: a policy of 10 MB, one with 10,000 nested tables, and their like."""
    bomb = bombs(policy_toml([Rule("admin", [world.alice])]))[name]
    refuse(b"x")  # what is imported once is not counted
    assert min(seconds(refuse, bomb) for _ in range(3)) < SECONDS
    tracemalloc.start()
    try:
        refuse(bomb)
        assert tracemalloc.get_traced_memory()[1] < BYTES
    finally:
        tracemalloc.stop()


def refuse(bomb: bytes) -> None:
    with pytest.raises(PolicyInvalid):
        parse(bomb)


def seconds(action: Callable[[bytes], None], argument: bytes) -> float:
    """Of this process: others may be busy."""
    begun = time.process_time()
    action(argument)
    return time.process_time() - begun


@pytest.mark.parametrize("name", ["10 MB of comment", "10,000 nested tables", "10,000 inline tables"])
def test_a_policy_bomb_in_a_commit_is_named(world: World, name: str) -> None:
    """Row 11: and the file is not even read when it is too large."""
    bomb = bombs(policy_toml([Rule("admin", [world.alice])]))[name]
    bad = world.repo.commit({**world.files, ".auths/policy.toml": bomb}, [world.tip], world.alice)
    world.advance(bad)
    tracemalloc.start()
    try:
        answer = world.repo.verify("main")
        assert tracemalloc.get_traced_memory()[1] < BYTES
    finally:
        tracemalloc.stop()
    refused(answer, (bad, "policy-invalid"))


def test_a_commit_of_twenty_megabytes_is_malformed(world: World) -> None:
    """Row 11, of the commit itself: nothing honest is as large."""
    payload = b"".join(world.repo.headers(world.repo.tree(world.files), [world.tip], "Bob")) + b"\n"
    bad = world.repo.raw("commit", payload + b"x" * 20_000_000)
    world.advance(bad)
    tracemalloc.start()
    try:
        answer = world.repo.verify("main")
        assert tracemalloc.get_traced_memory()[1] < BYTES
    finally:
        tracemalloc.stop()
    refused(answer, (bad, "malformed"))


@pytest.mark.parametrize("entries", [1, 100_000])
def test_a_folder_of_rules_with_very_many_files_is_answered(world: World, entries: int) -> None:
    """Row 61, of an admin who overdoes it: whatever the answer, it comes and is no crash."""
    blob = world.repo.blob(b"x")
    inner = world.repo.raw_tree([("100644", b"%06d.pem" % n, blob) for n in range(entries)])
    kept = {
        path.removeprefix(".auths/"): content for path, content in world.files.items() if path.startswith(".auths/")
    }
    listed = world.repo.git("ls-tree", world.repo.tree(kept)).splitlines()
    rows = [(line.split()[0].lstrip("0"), line.split()[3].encode(), line.split()[2]) for line in listed]
    auths = world.repo.raw_tree([*rows, ("40000", b"tsa", inner)])
    root = [("40000", b".auths", auths), ("100644", b"README", world.repo.blob(world.files["README"])),
            ("100644", b"src", world.repo.blob(world.files["src"]))]  # fmt: skip
    commit = world.repo.commit_tree(world.repo.raw_tree(root), [world.tip], world.alice)
    answer = world.verify_at(commit)
    assert answer.code == (0 if entries == 1 else 1)
    assert answer.verdicts == ({} if entries == 1 else {commit: "policy-invalid"})
