"""An option with nothing in it demands nothing: a script's variable that was not set must not drop a demand."""

from __future__ import annotations

import pytest

from tests.people import Person

OPTIONS = {
    "artifact verify f": ["--bundle", "--key", "--trusted-root", "--certificate-identity",
                          "--certificate-identity-regexp", "--certificate-oidc-issuer",
                          "--certificate-oidc-issuer-regexp"],
    "artifact sign f": ["--tsa", "--rekor", "--tag", "--commit", "--expires"],
    "attest": ["--tsa", "--rekor", "--predicate-type", "--predicate", "--expires"],
    "approve v1": ["--tsa", "--remote"],
    "log": ["--commit", "--tag", "--signer", "--predicate", "--model"],
    "key-id": ["--alias"],
}  # fmt: skip
CASES = [(command, option) for command, options in OPTIONS.items() for option in options]


@pytest.mark.parametrize(("command", "option"), CASES)
def test_an_empty_value_is_wrong_usage(command: str, option: str, newcomer: Person) -> None:
    done = newcomer.auths(*command.split(), option, "", code=129)
    first, second = done.stderr.splitlines()
    assert f"argument {option}: " in first
    own = " ".join(word for word in command.split() if word not in ("f", "v1"))
    assert second == f"hint: git auths {own} -h"


def test_blanks_are_as_empty(newcomer: Person) -> None:
    assert "argument --tsa" in newcomer.auths("attest", "--tsa", " ", code=129).stderr


def test_a_duration_that_is_none_points_to_the_help_of_its_own_command(newcomer: Person) -> None:
    for command in ("attest", "artifact sign"):
        done = newcomer.auths(*command.split(), "--expires", "0s", code=129)
        assert done.stderr.endswith(f"hint: git auths {command} -h\n")


def test_a_subject_that_is_none_points_to_no_other_command(ada: Person) -> None:
    for command in (["attest"], ["artifact", "verify"], ["artifact", "sign"]):
        assert "git auths" not in ada.auths(*command, "--subject", "x", code=129).stderr
