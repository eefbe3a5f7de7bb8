"""What reaches a terminal"""

from __future__ import annotations

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_auths import output
from tests.people import Person


@given(st.text())
def test_inert_text_is_one_printable_line(text: str) -> None:
    shown = output.inert(text)
    assert shown.isprintable()
    assert "\n" not in shown
    if text.isascii() and text.isprintable():
        assert shown == text


@pytest.mark.parametrize("evil", ["\x1b[2J", "\r", "\x9b31m", "\u202e", "\u200b", "\ufeff", "\ud800", "\x00", "\u2028", "\u2066"])
def test_what_moves_the_cursor_or_hides_is_shown_as_its_escape(evil: str) -> None:
    assert evil not in output.inert(f"a{evil}b")
    assert output.inert(f"a{evil}b").startswith("a\\")


def test_letters_of_every_script_stay() -> None:
    assert output.inert("Zoë 山田 Ωμέγα") == "Zoë 山田 Ωμέγα"


def test_a_field_holds_neither_a_tab_nor_an_end(capsys: pytest.CaptureFixture[str]) -> None:
    output.fields(("a\tb", "c\nd", "e\0f"), "\n")
    assert capsys.readouterr().out == "a\\tb\tc\\nd\te\\x00f\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_counter_shows_on_a_terminal_once_a_moment_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    for moment, shown in ((3600.0, False), (0.0, True)):
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setattr(output, "MOMENT_SECONDS", moment)
        with output.counter("commits examined") as count:
            count(512)
            count(512)
        assert ("commits examined" in terminal.getvalue()) is shown


def test_the_counter_is_silent_elsewhere(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "MOMENT_SECONDS", 0.0)
    with output.counter("x") as count:
        count(1)
    assert capsys.readouterr() == ("", "")


def test_without_a_terminal_there_is_no_colour(ada: Person) -> None:
    ada.git("config", "color.ui", "auto")
    assert "\x1b" not in ada.auths("verify", "--verbose").stdout


@pytest.mark.parametrize(("variables", "keys", "coloured"), [
    ({}, {}, True),
    ({"NO_COLOR": "1"}, {}, False),
    ({"TERM": "dumb"}, {}, False),
    ({}, {"color.ui": "false"}, False),
    ({}, {"color.ui": "false", "color.auths": "always"}, True),
])  # fmt: skip
def test_on_a_terminal_colour_follows_the_settings(
    ada: Person, variables: dict[str, str], keys: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in keys.items():
        ada.git("config", key, value)
    monkeypatch.chdir(ada.at)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    output.error("x")
    assert ("\x1b[31m" in terminal.getvalue()) is coloured
