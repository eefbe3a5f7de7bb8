from __future__ import annotations

import functools
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from git_auths.core import scope
from git_auths.core.scope import (
    PatternInvalid,
    branch_matches,
    check_pattern,
    glob_matches,
    path_matches,
    path_permitted,
    tag_matches,
)


def naive_matches(pattern: bytes, text: bytes) -> bool:
    """The grammar once more, slow and obvious; without sets."""

    @functools.cache
    def match(p: int, t: int) -> bool:
        if p == len(pattern):
            return t == len(text)
        begins_segment = p == 0 or pattern[p - 1 : p] == b"/"
        if begins_segment and pattern.startswith(b"**/", p):
            return match(p + 3, t) or any(match(p + 3, n + 1) for n in range(t, len(text)) if text[n] == 0x2F)
        if pattern.startswith(b"**", p):
            end = p
            while pattern[end : end + 1] == b"*":
                end += 1
            return any(match(end, n) for n in range(t, len(text) + 1))
        if pattern.startswith(b"*", p):
            return match(p + 1, t) or (t < len(text) and text[t] != 0x2F and match(p, t + 1))
        if t == len(text):
            return False
        if pattern.startswith(b"?", p):
            return text[t] != 0x2F and match(p + 1, t + 1)
        if pattern.startswith(b"\\", p):
            p += 1
        return pattern[p] == text[t] and match(p + 1, t + 1)

    return match(0, 0)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("main", "main", True),
        ("main", "main2", False),
        ("v*", "v1.0", True),
        ("v*", "v1/0", False),
        ("v**", "v1/0", True),
        ("v**/x", "vx", False),
        ("v**/x", "v1/2/x", True),
        ("a" * 256, "a" * 256, True),
        ("v?", "v/", False),
        ("a/**/z", "a/z", True),
        ("a/**/z", "a/b/c/z", True),
        ("a/**/z", "a/bz", False),
        ("**/z", "z", True),
        ("**/z", "yz", False),
        ("[a-c]x", "bx", True),
        ("[!a-c]x", "bx", False),
        ("[^a-c]x", "dx", True),
        ("[]a]", "]", True),
        ("[a-]", "-", True),
        ("[!a]", "/", False),
        (r"[\]]", "]", True),
        (r"\*", "*", True),
        (r"\*", "x", False),
        ("{a,b}", "a", False),
    ],
)
def test_the_grammar(pattern: str, text: str, matches: bool) -> None:
    check_pattern(pattern)
    assert glob_matches(pattern, text.encode()) is matches


@given(st.text("ab/*?\\", max_size=9), st.text("ab/*", max_size=8))
@example("**/**/a", "b/a")
@example("a/**/**/b", "a/b")
@example("*a/**/b*", "aa/b")
def test_agrees_with_a_naive_matcher(pattern: str, text: str) -> None:
    try:
        check_pattern(pattern)
    except PatternInvalid:
        return
    assert glob_matches(pattern, text.encode()) == naive_matches(pattern.encode(), text.encode())


@pytest.mark.parametrize("pattern", ["*a*a*a*a*a*a*a*a*a*b", "**a**a**a**a*a*b", "**/a/**/a/**/a/**/b",
                                     "[!b]*" * 40 + "c", "**/" * 80 + "b*"])  # fmt: skip
def test_a_hostile_path_costs_little(pattern: str) -> None:
    started = time.perf_counter()
    assert not path_matches((pattern,), b"a" * 2048 + b"/a" * 1024 + b"b")
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize("pattern", ["", "/", "a//b", "./a", "a/../b", "..", "[a", "[\\", "a\\", "a\\/b", "!a", "[b-a]",
                                     "[Z-a]", "[é]", "[[:alpha:]]", "[/]", "a" * 257])  # fmt: skip
def test_refuses_a_pattern_that_could_match_nothing(pattern: str) -> None:
    with pytest.raises(PatternInvalid):
        check_pattern(pattern)


@pytest.mark.parametrize(
    ("patterns", "ref", "matches"),
    [
        (None, b"refs/heads/anything", True),
        (("main",), b"refs/heads/main", True),
        (("main",), b"refs/heads/main/x", False),
        (("main",), b"refs/tags/main", False),
        (("main",), b"main", False),
        (("*",), b"refs/heads/a/b", False),
        (("release/**",), b"refs/heads/release/1/x", True),
        (("refs/for/*",), b"refs/for/main", True),
        (("next", "main"), b"refs/heads/main", True),
        (("m\xe4in",), "refs/heads/mäin".encode(), True),
    ],
)
def test_a_branch_pattern_without_refs_means_a_branch(patterns: tuple[str, ...] | None, ref: bytes,
                                                      matches: bool) -> None:  # fmt: skip
    assert branch_matches(patterns, ref) is matches


@pytest.mark.parametrize(
    ("patterns", "ref", "matches"),
    [
        (None, b"refs/tags/v1", True),
        (None, b"refs/tags/a/b", True),
        (None, b"refs/heads/v1", False),
        (("v*",), b"refs/tags/v1", True),
        (("v*",), b"refs/heads/v1", False),
        (("v*",), b"refs/tags/w1", False),
        (("refs/tags/v*",), b"refs/tags/v1", True),
    ],
)
def test_a_tag_pattern_without_refs_means_a_tag(patterns: tuple[str, ...] | None, ref: bytes,
                                                matches: bool) -> None:  # fmt: skip
    assert tag_matches(patterns, ref) is matches


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("src/crypto/**", b"src/crypto/a.c", True),
        ("src/crypto/**", b"src/crypto/deep/er/a.c", True),
        ("src/crypto/**", b"src/crypto", True),
        ("src/crypto/**", b"src/cryptography/a.c", False),
        ("src/crypto/**", b"x/src/crypto/a.c", False),
        ("src/crypto/", b"src/crypto/a.c", True),
        ("src/crypto/**", b"SRC/Crypto/x", True),
        ("SRC/CRYPTO", b"src/crypto/x", True),
        ("[!a]x", b"Ax", True),
        ("vendor/crypto/**", b"vendor/crypto", True),
        ("crypto/**", b"crypto", True),
        ("crypto/**", b"x/crypto", False),
        ("*.pem", b"a/b/key.pem", True),
        ("*.pem", b"key.pem/x", True),
        ("/*.pem", b"a/key.pem", False),
        ("docs/", b"a/docs/x", True),
        ("**", b"anything/at/all", True),
        ("/**", b"anything/at/all", True),
        ("**/test/**", b"test", True),
        ("**/test/**", b"a/test/b", True),
        ("a/*/c", b"a/b/c/d", True),
        ("a/*", b"a", False),
        ("stra\xdfe/*", b"STRASSE/x", True),
        ("\xe4/*", "Ä/x".encode(), True),
        ("src/**", b'SRC/\xff\xfe"\n', True),
        ("a/?/b", b"a/\xff/b", True),
        ("a/?/b", "a/é/b".encode(), False),
        ('a"b/**', b'a"b/c', True),
    ],
)
def test_a_path_rule_is_read_broadly_as_in_gitignore(pattern: str, path: bytes, matches: bool) -> None:
    check_pattern(pattern)
    assert path_matches((pattern,), path) is matches
    assert path_matches(("elsewhere/**", pattern), path) is matches


def test_compiled_patterns_do_not_pile_up() -> None:
    for number in range(1000):
        glob_matches(f"p{number}", b"")
        path_matches((f"p{number}",), b"")
    assert max(len(scope._globs), len(scope._tree_globs)) <= 512


def test_a_rule_without_paths_names_every_path() -> None:
    assert path_matches(None, b"any")


@pytest.mark.parametrize(
    ("path", "permitted"),
    [
        (b"CHANGELOG.md", True),
        (b"docs/CHANGELOG.md", False),
        (b"CHANGELOG.md/evil", False),
        (b"changelog.md", False),
        (b"gen/a.txt", True),
        (b"gen/a/b.txt", False),
    ],
)
def test_a_permission_is_read_narrowly(path: bytes, permitted: bool) -> None:
    assert path_permitted(("/CHANGELOG.md", "gen/*.txt"), path) is permitted
    assert path_permitted(("CHANGELOG.md", "gen/*.txt"), path) is permitted
