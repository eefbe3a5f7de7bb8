"""The lines of `.auths/adopted` and `.auths/received`."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_auths.core.decisions import (
    MAX_DECISIONS_BYTES,
    Adoption,
    DecisionsInvalid,
    Receipt,
    adoption,
    adoption_line,
    approval_digest,
    lines,
    receipt,
    receipt_line,
    with_lines,
)  # fmt: skip

COMMIT, TREE = "a1" * 20, "b2" * 20
DIGEST, OTHER = "c3" * 32, "d4" * 32

ids = st.text("0123456789abcdef", min_size=40, max_size=40)
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
refs = st.builds(
    str.__add__,
    st.sampled_from(["refs/heads/", "refs/tags/"]),
    st.binary(min_size=1)
    .filter(lambda raw: not set(raw) & {*range(0x21), 0x7F})
    .map(lambda raw: raw.decode("utf-8", "surrogateescape")),
)


def test_the_lines_are_a_set_without_the_empty_ones() -> None:
    assert lines(b"") == frozenset()
    assert lines(b"b\n\na\n# why\na\n") == {b"a", b"b", b"# why"}


@pytest.mark.parametrize("data", [b"a", b"a\nb", b"x" * MAX_DECISIONS_BYTES + b"\n"])
def test_what_cannot_be_added_to_safely_or_is_too_large_is_no_list(data: bytes) -> None:
    with pytest.raises(DecisionsInvalid):
        lines(data)


def test_the_largest_file_is_read() -> None:
    assert len(lines(b"x" * (MAX_DECISIONS_BYTES - 1) + b"\n")) == 1


@pytest.mark.parametrize(
    ("line", "read"),
    [
        (COMMIT, Adoption(COMMIT, None, False)),
        (f"{COMMIT} behind", Adoption(COMMIT, None, True)),
        (f"{COMMIT} auths={TREE}", Adoption(COMMIT, TREE, False)),
        (f"{COMMIT} auths={TREE} behind", Adoption(COMMIT, TREE, True)),
    ],
)
def test_an_adoption_names_a_commit_and_what_else_it_covers(line: str, read: Adoption) -> None:
    assert adoption(line.encode(), 40) == read
    assert adoption_line(read) == line.encode()


@pytest.mark.parametrize(
    "line",
    [
        "", "# " + COMMIT, f"#{COMMIT}", COMMIT[:-1], COMMIT + "0", COMMIT.upper(), f" {COMMIT}", f"{COMMIT} ",
        f"{COMMIT}\t", f"{COMMIT}\r", f"{COMMIT}  behind", f"{COMMIT} behind behind", f"{COMMIT} Behind",
        f"{COMMIT} behind auths={TREE}", f"{COMMIT} auths=", f"{COMMIT} auths={TREE[:-1]}", f"{COMMIT} {TREE}",
        f"{COMMIT} auths={TREE} auths={TREE}", f"{COMMIT} auths={TREE.upper()}", f"{COMMIT} auths={TREE} # why",
        f"{'g' * 40}", "a1" * 32, f"{COMMIT} auths={'b2' * 32}",
    ],
)  # fmt: skip
def test_an_adoption_in_any_other_form_says_nothing(line: str) -> None:
    assert adoption(line.encode(), 40) is None


@pytest.mark.parametrize(
    ("line", "read"),
    [
        (f"refs/heads/main {COMMIT}", Receipt("refs/heads/main", COMMIT, ())),
        (f"refs/tags/v1 {COMMIT} {DIGEST}", Receipt("refs/tags/v1", COMMIT, (DIGEST,))),
        (f"refs/tags/a/b {COMMIT} {DIGEST} {OTHER}", Receipt("refs/tags/a/b", COMMIT, (DIGEST, OTHER))),
    ],
)
def test_a_receipt_names_a_ref_an_object_and_its_approvals(line: str, read: Receipt) -> None:
    assert receipt(line.encode(), 40) == read
    assert receipt_line(read) == line.encode()


@pytest.mark.parametrize(
    "line",
    [
        "", f"# refs/tags/v1 {COMMIT}", "refs/tags/v1", f"refs/tags/ {COMMIT}", f"refs/heads {COMMIT}",
        f"v1 {COMMIT}", f"refs/notes/auths {COMMIT}", f"refs/remotes/origin/main {COMMIT}", f"heads/main {COMMIT}",
        f"refs/tags/v1  {COMMIT}", f"refs/tags/v1 {COMMIT} ", f"refs/tags/v1 {COMMIT[:-1]}",
        f"refs/tags/v1 {COMMIT.upper()}", f"refs/tags/v1 {COMMIT} {DIGEST[:-1]}", f"refs/tags/v1 {COMMIT} {COMMIT}",
        f"refs/tags/v1 {COMMIT} {DIGEST} x", f"refs/tags/v\x1b1 {COMMIT}", f"refs/tags/v\x7f1 {COMMIT}",
        f"refs/tags/v1\t{COMMIT}", f"refs/tags/v1 {COMMIT}\r", f"refs/tags/v1 {'a1' * 32}",
    ],
)  # fmt: skip
def test_a_receipt_in_any_other_form_says_nothing(line: str) -> None:
    assert receipt(line.encode(), 40) is None


def test_a_sha256_repository_has_longer_ids() -> None:
    long = "a1" * 32
    assert adoption(long.encode(), 64) == Adoption(long, None, False)
    assert adoption(COMMIT.encode(), 64) is None
    assert receipt(f"refs/heads/x {long}".encode(), 64) == Receipt("refs/heads/x", long, ())


@given(st.builds(Adoption, ids, st.none() | ids, st.booleans()))
def test_an_adoption_that_is_written_is_read(decision: Adoption) -> None:
    assert adoption(adoption_line(decision), 40) == decision


@given(st.builds(Receipt, refs, ids, st.lists(digests).map(tuple)))
def test_a_receipt_that_is_written_is_read(decision: Receipt) -> None:
    assert receipt(receipt_line(decision), 40) == decision


@given(st.binary())
def test_a_line_of_any_bytes_is_read_or_says_nothing(line: bytes) -> None:
    for read, write in ((adoption, adoption_line), (receipt, receipt_line)):
        decision = read(line, 40)
        assert decision is None or write(decision) == line  # type: ignore[operator]


def test_lines_are_added_once_and_none_goes_away() -> None:
    assert with_lines(b"# why\na\n", [b"b", b"a", b"b"]) == b"# why\na\nb\n"
    for data in (b"a", b"x" * (MAX_DECISIONS_BYTES - 1) + b"\n"):
        with pytest.raises(DecisionsInvalid):
            with_lines(data, [b"b"])


def test_an_approval_is_named_by_the_digest_of_its_line() -> None:
    assert approval_digest(b"{}") == hashlib.sha256(b"{}").hexdigest()
