"""git auths demo"""

from __future__ import annotations

import pytest

from git_auths.commands import demo
from git_auths.errors import Refusal
from tests.people import Person


def test_the_story_is_told_and_every_attack_refused_for_its_own_reason(newcomer: Person) -> None:
    done = newcomer.auths("demo")
    refused = [line.split(": ")[1] for line in done.stdout.splitlines() if line.startswith("   refused: ")]
    assert refused == [
        "not signed",
        "threshold-unmet",
        "unknown-key",
        "policy-change-unauthorized",
        "tag-name-mismatch",
    ]
    assert done.stdout.splitlines()[-1] == "every attack was refused, each for its own reason"


def test_an_attack_that_is_accepted_or_refused_for_another_reason_fails_the_demo() -> None:
    with pytest.raises(Refusal, match="was accepted"):
        demo.expect((0, "", ""), "unknown-key", "a forged commit")
    with pytest.raises(Refusal, match="not as unknown-key"):
        demo.expect((1, "", "remote: error: internal error"), "unknown-key", "a forged commit")
