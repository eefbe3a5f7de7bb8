"""Versions of the policy, and which descends from which"""

from __future__ import annotations

from git_auths.core.auths_folder import EMPTY
from git_auths.core.lineage import Versions, maximal


def test_the_later_of_two_in_line_is_effective() -> None:
    versions = Versions()
    first = versions.new("", EMPTY, 0)
    second = versions.new("", EMPTY, first.descent)
    assert maximal([first, second]) == maximal([second, first]) == [second]
    assert maximal([first, first]) == [first]


def test_where_versions_have_diverged_each_is_effective() -> None:
    versions = Versions()
    base = versions.new("", EMPTY, 0)
    one, other = versions.new("", EMPTY, base.descent), versions.new("", EMPTY, base.descent)
    assert maximal([one, other]) == [one, other]
    assert maximal([base, one, other]) == [one, other]
    joined = versions.new("", EMPTY, one.descent | other.descent)
    assert maximal([one, joined, other]) == [joined]


def test_descent_is_of_versions_and_not_of_their_bytes() -> None:
    versions = Versions()
    first = versions.new("", EMPTY, 0)
    second = versions.new("", EMPTY, first.descent)
    restored = versions.new("", first.folder, second.descent)
    assert restored.descent & first.bit
    assert not first.descent & restored.bit
    assert maximal([first, restored]) == [restored]
