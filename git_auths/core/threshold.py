"""How many keys must sign, or which: signing and rotation thresholds (KERI spec, threshold fields)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import gcd, lcm
from typing import NamedTuple

_MAX_DIGITS = 6  # in the numerator or denominator of a weight


class ThresholdInvalid(ValueError):
    """Not a threshold, or one that its list of keys can never meet."""


class Clause(NamedTuple):
    """Weights in units of 1/`whole`, one for each place in the list of keys from `first` on."""

    first: int
    weights: tuple[int, ...]
    whole: int


class Threshold(NamedTuple):
    """Numeric: `needed`; or weighted: every one of `clauses` must be met."""

    needed: int
    clauses: tuple[Clause, ...]

    def met(self, places: Collection[int], keys: Sequence[object]) -> bool:
        """Do signatures at these places of the list `keys` meet it?

        A key that is listed twice counts once; in a clause, with its greatest weight.
        """
        if not self.clauses:
            return 0 < self.needed <= len({keys[place] for place in places})
        return all(_clause_met(clause, places, keys) for clause in self.clauses)

    def json(self) -> str | list[str | list[str]]:
        """As KERI writes it: hex text; or weights in lowest terms, a single clause of them without a list around."""
        if not self.clauses:
            return f"{self.needed:x}"
        lists = [[weight_text(weight, clause.whole) for weight in clause.weights] for clause in self.clauses]
        if len(lists) > 1:
            return [*lists]
        return [*lists[0]]


def parse(value: object, size: int) -> Threshold:
    """The threshold over a list of `size` keys. keripy can write numbers as JSON integers too (`intive`)."""
    if type(value) is str:
        count = hex_number(value)
        if count is None:
            raise ThresholdInvalid("not a lowercase hex number without leading zeros")
        return _numeric(count, size)
    if type(value) is int:
        return _numeric(value, size)
    if type(value) is not list or not value:
        raise ThresholdInvalid("neither a number nor weights")
    nested = [part for part in value if type(part) is list]
    if nested and len(nested) != len(value):
        raise ThresholdInvalid("weights beside lists of weights")
    return _weighted(nested or [value], size)


def weight_text(weight: int, whole: int) -> str:
    """`weight` units of 1/`whole`, in lowest terms."""
    if weight in (0, whole):
        return str(weight // whole)
    common = gcd(weight, whole)
    return f"{weight // common}/{whole // common}"


def hex_number(text: object) -> int | None:
    """A number as KERI writes it: lowercase hex, no leading zeros, below 2**128; None for anything else."""
    if type(text) is not str or not 0 < len(text) <= 32 or text.strip("0123456789abcdef"):
        return None
    return None if text[0] == "0" and text != "0" else int(text, 16)


def _numeric(count: int, size: int) -> Threshold:
    if not 0 <= count <= size:
        raise ThresholdInvalid("more than there are keys")
    return Threshold(count, ())


def _weighted(parts: list[list[object]], size: int) -> Threshold:
    clauses = []
    first = 0
    for part in parts:
        fractions = [_weight(text) for text in part]
        first += len(fractions)
        if first > size:  # before the arithmetic: it is slow with very many weights
            raise ThresholdInvalid("not one weight for each key")
        whole = lcm(*(denominator for _, denominator in fractions))
        weights = tuple(numerator * (whole // denominator) for numerator, denominator in fractions)
        if sum(weights) < whole:
            raise ThresholdInvalid("a clause whose weights sum to less than one")
        clauses.append(Clause(first - len(fractions), weights, whole))
    if first != size:
        raise ThresholdInvalid("not one weight for each key")
    return Threshold(0, tuple(clauses))


def _weight(text: object) -> tuple[int, int]:
    """0, 1, or a proper fraction, in decimal without leading zeros."""
    if type(text) is not str:
        raise ThresholdInvalid("a weight that is not a string")
    if text in ("0", "1"):
        return int(text), 1
    numerator, _, denominator = text.partition("/")
    if _is_decimal(numerator) and _is_decimal(denominator) and int(numerator) < int(denominator):
        return int(numerator), int(denominator)
    raise ThresholdInvalid("a weight that is not 0, 1 or a proper fraction")


def _is_decimal(text: str) -> bool:
    return 0 < len(text) <= _MAX_DIGITS and not text.strip("0123456789") and text[0] != "0"


def _clause_met(clause: Clause, places: Collection[int], keys: Sequence[object]) -> bool:
    greatest: dict[object, int] = {}
    for place in places:
        if clause.first <= place < clause.first + len(clause.weights):
            weight = clause.weights[place - clause.first]
            greatest[keys[place]] = max(weight, greatest.get(keys[place], 0))
    return sum(greatest.values()) >= clause.whole
