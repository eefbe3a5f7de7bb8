"""Times as statements write them."""

from __future__ import annotations

import pytest

from git_auths.core import utctime


@pytest.mark.parametrize(("seconds", "text"), [
    (0, "1970-01-01T00:00:00Z"), (1_780_000_000, "2026-05-28T20:26:40Z"), (951_782_400, "2000-02-29T00:00:00Z"),
    (-1, "1969-12-31T23:59:59Z"), (253_402_300_799, "9999-12-31T23:59:59Z"),
])  # fmt: skip
def test_a_time_has_one_spelling(seconds: int, text: str) -> None:
    assert utctime.text(seconds) == text
    assert utctime.seconds(text) == seconds


@pytest.mark.parametrize("seconds", [253_402_300_800, 10**18, -(10**18)])
def test_a_time_beyond_four_digits_of_a_year_cannot_be_written(seconds: int) -> None:
    with pytest.raises(ValueError, match="no time that can be written"):
        utctime.text(seconds)


@pytest.mark.parametrize("value", [
    None, 0, "", "2026-11-02", "2026-11-02T10:00:00", "2026-11-02T10:00:00z", "2026-11-02 10:00:00Z",
    "2026-11-02T10:00:00+00:00", "2026-11-02T10:00:00.0Z", "2026-11-02T10:00:00Z\n", "٢٠٢٦-11-02T10:00:00Z",
    "2026-02-30T10:00:00Z", "2026-13-01T10:00:00Z", "2026-11-02T24:00:00Z", "2026-11-02T10:00:60Z",
    "0000-01-01T00:00:00Z",
])  # fmt: skip
def test_any_other_value_is_no_time(value: object) -> None:
    with pytest.raises(ValueError, match="no time"):
        utctime.seconds(value)
