"""Finding `.auths`, and the names that another file system would take for it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_auths.core.gitobject import Malformed, parse_tree
from git_auths.core.roottree import AUTHS, Found, RootTrees, is_alias
from tests.realgit import run


def tree(*entries: tuple[str, str | bytes], hex_length: int = 40, salt: int = 0) -> bytes:
    """A raw tree of (mode, name), in git's order; the ids differ by `salt`."""
    named = [(mode.encode(), name.encode() if isinstance(name, str) else name) for mode, name in entries]
    named.sort(key=lambda entry: entry[1] + b"/" if entry[0] == b"40000" else entry[1])
    return b"".join(b"%b %b\0%b" % (mode, name, id_of(name, salt, hex_length)) for mode, name in named)


def id_of(name: bytes, salt: int, hex_length: int) -> bytes:
    return hashlib.sha256(b"%d %b" % (salt, name)).digest()[: hex_length // 2]


FOLDER = ("40000", ".auths")

# What git's own tests take for .gitmodules and .git (t0060, t1014, t1450), said of .auths.
ALIASES = [
    ".AUTHS", ".Auths", ".authS", ".aUTHs",
    ".auths ", ".auths.", ".auths  ", ".auths. ", ".auths .", ".auths..", ".auths   ", ".auths . ", ".Auths. ",
    ".auths:$DATA", ".auths::$INDEX_ALLOCATION", ".auths...:alternate-stream", ".AUTHS .:x",
    "AUTHS~1", "auths~1", "AUTHS~2", "auths~3", "AUTHS~4", "auths~1 ", "AUTHS~2.", "auths~4 . ", "auths~1:$DATA",
    "AU7EBA~1", "au7eba~9", "AU7EB~10", "au7eb~99", "AU7E~100", "au7e~999", "AU~10000", "A~100000", "~1000000",
    "~9999999",
    ".au\u200cths", ".\u200dauths", ".auths\u200e", "\u200f.auths", ".a\u202au\u202bt\u202ch\u202ds\u202e",
    ".auths\u206a", ".auths\u206f", "\ufeff.auths", ".AU\u200cTHS",
    ".auth\u017f", ".\uff41uths", "\uff0eauths", ".\u24d0uths", ".AU\uff34HS", ".\U0001d41auths",
    ".auths\\policy.toml", ".\\.AUTHS\\policy.toml", "docs\\.auths", ".auths\\", "AUTHS~1\\x",
]  # fmt: skip
OTHERS = [
    "auths", "..auths", ".auth", ".authss", ".auths-old", ".auths.bak", ".auths x", ".auths .x", " .auths",
    ".auths,:$DATA",
    "AUTHS~", "AUTHS~0", "AUTHS~~1", "AUTHS~X", "AUTHS~1x", "AUTHS~01", "auths~1.txt", "xAUTHS~1",
    "AU7EBX~1", "ax7eba~1", "AU7EB~1", "AU7EB~01", "AU7EB~1X", "AU7EBA~0", "author~1", "audio1~1", "b~100000",
    "~100000",
    ".\u0430uths", ".auth\u0455", ".a\u0075\u0308ths", "docs\\auths", "a:.auths", "\xff.auths",
]  # fmt: skip


@pytest.mark.parametrize("name", ALIASES, ids=ascii)
def test_what_a_file_system_would_take_for_auths_is_an_alias(name: str) -> None:
    assert is_alias(name.encode(), AUTHS)


@pytest.mark.parametrize("name", [*OTHERS, b".auth\xff", b".auths\xff", b"\xff\xfe", b".a\xcc"], ids=ascii)
def test_what_none_would_is_no_alias(name: str | bytes) -> None:
    assert not is_alias(name.encode() if isinstance(name, str) else name, AUTHS)


def test_the_name_itself_is_no_alias_of_it() -> None:
    assert not is_alias(AUTHS, AUTHS)


@pytest.mark.parametrize(
    "name", ["POLICY~1.TOM", "policy~2.tom", "PO7EBA~1.TOM", "Policy.TOML", "policy.toml.", "policy.toml:x"]
)
def test_names_with_a_suffix_have_short_names_with_its_first_letters(name: str) -> None:
    assert is_alias(name.encode(), b"policy.toml")
    assert not is_alias(name.replace("TOM", "TXT").replace("tom", "txt").encode(), b"policy.toml")


@pytest.mark.parametrize("name", [".GIT", ".git ", ".git.", "GIT~1", ".git\u200e", "\ufeff.git", ".git\\x"])
def test_git_guards_its_own_folder_against_such_names(name: str, tmp_path: Path) -> None:
    run("git", "init", "-q", tmp_path)
    blob = run("git", "hash-object", "-w", "--stdin", cwd=tmp_path, stdin=b"x").stdout.decode().strip()
    made = run("git", "mktree", "-z", cwd=tmp_path, stdin=f"100644 blob {blob}\t{name}\0".encode()).stdout.decode()
    options = ("-c", "core.protectHFS=true", "-c", "core.protectNTFS=true")
    assert run("git", *options, "read-tree", made.strip(), cwd=tmp_path, code=None).returncode == 128
    assert is_alias(name.encode(), b".git")


# Root trees


def found(answer: Found) -> tuple[str | None, str | None, bool]:
    return answer.id, answer.problem, answer.malformed


@pytest.mark.parametrize("hex_length", [40, 64])
def test_the_id_of_the_folder_is_found_wherever_it_stands(hex_length: int) -> None:
    around = [("100644", "-"), ("40000", ".a"), ("100644", "README"), ("160000", "sub"), ("120000", "z")]
    raw = tree(FOLDER, *around, hex_length=hex_length)
    assert found(RootTrees(hex_length).find(raw)) == (id_of(b".auths", 0, hex_length).hex(), None, False)
    assert found(RootTrees(hex_length).find(tree(*around, hex_length=hex_length))) == (None, None, False)
    assert found(RootTrees(hex_length).find(b"")) == (None, None, False)


@pytest.mark.parametrize("mode", ["100644", "100755", "120000", "160000"])
def test_auths_that_is_no_folder_is_a_problem(mode: str) -> None:
    id, problem, malformed = found(RootTrees(40).find(tree((mode, ".auths"))))
    assert (id, problem, malformed) == (None, ".auths is not a folder", False)


@pytest.mark.parametrize("with_auths", [True, False])
@pytest.mark.parametrize("mode", ["100644", "40000", "120000"])
def test_an_alias_beside_it_or_alone_is_a_problem_and_named(mode: str, with_auths: bool) -> None:
    for alias in (".AUTHS", "AUTHS~1", ".auth\u017f"):
        id, problem, malformed = found(RootTrees(40).find(tree((mode, alias), *([FOLDER] if with_auths else []))))
        assert id is None and not malformed
        assert problem is not None and repr(alias) in problem


def test_a_malformed_tree_is_said_to_be_one_and_forgotten() -> None:
    trees = RootTrees(40)
    good, bad = tree(FOLDER, ("100644", "b")), tree(("100644", "b")) + tree(FOLDER)
    assert len(good) == len(bad)
    for _ in range(2):
        assert found(trees.find(bad))[2]
        assert found(trees.find(good)) == (id_of(b".auths", 0, 40).hex(), None, False)
    with pytest.raises(Malformed):
        parse_tree(bad, 40)


NAMES = st.sampled_from([".auths", ".AUTHS", "AUTHS~1", "a", "b", "a.b", "README", "src", ".auth", ".authsx"])
TREES = st.lists(st.tuples(st.sampled_from(["100644", "100755", "120000", "160000", "40000"]), NAMES),
                 unique_by=lambda entry: entry[1], max_size=5)  # fmt: skip


@given(st.lists(st.tuples(TREES, st.integers(0, 3)), min_size=1, max_size=8), st.sampled_from([40, 64]))
def test_what_was_read_before_changes_no_answer(
    history: list[tuple[list[tuple[str, str]], int]], hex_length: int
) -> None:
    """The comparison with the last tree gives what a full scan gives: also between trees that differ in ids alone."""
    trees = RootTrees(hex_length)
    for entries, salt in history:
        for other in (salt, salt + 1):
            raw = tree(*entries, hex_length=hex_length, salt=other)
            assert found(trees.find(raw)) == found(RootTrees(hex_length).find(raw))


@pytest.mark.parametrize("hex_length", [40, 64])
def test_a_byte_changed_after_a_good_tree_is_seen(hex_length: int) -> None:
    raw = tree(FOLDER, ("100644", "a"), ("40000", "b"), hex_length=hex_length)
    trees = RootTrees(hex_length)
    for at in range(len(raw)):
        for byte in (b"\0", b"1", b"6", b" ", b"/", b"A", b"\xff"):
            trees.find(raw)
            changed = raw[:at] + byte + raw[at + 1 :]
            assert found(trees.find(changed)) == found(RootTrees(hex_length).find(changed))


@given(st.binary(max_size=120), st.binary(max_size=120))
def test_rubbish_after_rubbish_is_no_crash(first: bytes, second: bytes) -> None:
    trees = RootTrees(40)
    trees.find(first)
    assert found(trees.find(second)) == found(RootTrees(40).find(second))
