from __future__ import annotations

import time

import pytest

from git_auths.core import threshold
from git_auths.core.threshold import ThresholdInvalid

KEYS = "abcde"


@pytest.mark.parametrize(("value", "enough", "too_few"), [
    ("1", [{0}, {4}], [set()]),
    ("3", [{0, 2, 4}], [{0, 1}]),
    (2, [{0, 1}], [{1}]),
    (["1/2", "1/2", "1/4", "1/4", "0"], [{0, 1}, {0, 2, 3}], [{0, 2}, {2, 3}, {0, 4}]),
    (["1", "0", "0", "0", "0"], [{0}], [{1, 2, 3, 4}]),
    ([["1/2", "1/2"], ["1/3", "1/3", "1/3"]], [{0, 1, 2, 3, 4}], [{0, 1}, {2, 3, 4}, {0, 1, 2, 3}]),
    ([["1", "1/999999"], ["1", "1", "1"]], [{0, 2}], [{1, 2}]),
])  # fmt: skip
def test_a_threshold_is_met_by_enough_keys_and_by_no_fewer(
    value: object, enough: list[set[int]], too_few: list[set[int]]
) -> None:
    parsed = threshold.parse(value, len(KEYS))
    assert all(parsed.met(places, KEYS) for places in enough)
    assert not any(parsed.met(places, KEYS) for places in too_few)


def test_a_threshold_of_zero_is_never_met() -> None:
    assert not threshold.parse("0", 2).met({0, 1}, "ab")


def test_a_key_that_is_listed_twice_counts_once() -> None:
    assert not threshold.parse("2", 3).met({0, 1}, "aab")
    assert threshold.parse("2", 3).met({0, 1, 2}, "aab")
    assert not threshold.parse(["1/2", "1/2", "1/2"], 3).met({0, 1}, "aab")
    assert threshold.parse(["1/2", "1", "1/2"], 3).met({0, 1}, "aab")
    assert threshold.parse([["1/2", "1/2"], ["1"]], 3).met({0, 1, 2}, "aba")


@pytest.mark.parametrize(("value", "size", "reason"), [
    ("01", 2, "hex"), ("A", 16, "hex"), ("0x1", 2, "hex"), ("", 2, "hex"), (" 1", 2, "hex"), ("1_0", 20, "hex"),
    ("-1", 2, "hex"), ("1" * 33, 2, "hex"), ("\u0661", 2, "hex"),
    ("3", 2, "more"), (3, 2, "more"), (-1, 2, "more"),
    (True, 2, "neither"), (1.0, 2, "neither"), (None, 2, "neither"), ([], 0, "neither"), ({"1": 1}, 1, "neither"),
    (["1/2"], 1, "less than one"), ([["1"], ["1/2"]], 2, "less than one"), ([[]], 0, "less than one"),
    (["1", "1"], 1, "one weight"), (["1"], 2, "one weight"),
    (["1", ["1"]], 2, "beside"),
    ([1], 1, "not a string"), ([[["1"]]], 1, "not a string"),
    (["1/1"], 1, "fraction"), (["2/1"], 1, "fraction"), (["1/0"], 1, "fraction"), (["1.0"], 1, "fraction"),
    (["01/2", "1"], 2, "fraction"), (["+1"], 1, "fraction"), (["1/2/3", "1"], 2, "fraction"),
    (["0/2", "1"], 2, "fraction"), (["1/9999999", "1"], 2, "fraction"), (["1/", "1"], 2, "fraction"),
])  # fmt: skip
def test_what_is_no_threshold_over_so_many_keys_is_refused(value: object, size: int, reason: str) -> None:
    with pytest.raises(ThresholdInvalid, match=reason):
        threshold.parse(value, size)


def test_too_many_weights_are_refused_at_once() -> None:
    weights = [f"1/{number}" for number in range(2, 200_000)]
    began = time.perf_counter()
    with pytest.raises(ThresholdInvalid):
        threshold.parse(weights, 100)
    assert time.perf_counter() - began < 1


def test_a_threshold_is_a_value() -> None:
    one, other = (threshold.parse([["1"], ["1"]], 2) for _ in range(2))
    assert hash(one) == hash(other)


@pytest.mark.parametrize("value", ["2", "a", ["1/2", "1/2", *["0"] * 8], [["1"], ["1"] * 9]])
def test_a_threshold_is_shown_as_it_stands_in_the_event(value: object) -> None:
    assert threshold.parse(value, 10).json() == value


def test_a_number_is_shown_as_hex_text() -> None:
    assert threshold.parse(10, 10).json() == "a"
