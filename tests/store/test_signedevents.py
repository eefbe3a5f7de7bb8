"""store/signedevents.py: one record, whatever the aliases are under which the keys of a log lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from git_auths.errors import Refusal
from git_auths.store import keyevents, keystore, signedevents
from git_auths.store.secrets import Secrets

AID, ONE, TWO, THREE = ("E" + letter * 43 for letter in "ABCD")


@pytest.fixture
def identities() -> list[keystore.Identity]:
    return [keyevents.incept(alias, Secrets(), unencrypted=True) for alias in ("acme", "acme.founder")]


def free(_: keystore.Identity, said: str) -> None:
    signedevents.require_free(AID, 1, said)


def first(identity: keystore.Identity, said: str) -> None:
    signedevents.require_first(identity, AID, 1, said)


@pytest.mark.parametrize("require", [free, first])
def test_what_one_alias_has_signed_the_other_signs_nothing_instead_of(
    identities: list[keystore.Identity], require: Callable[[keystore.Identity, str], None]
) -> None:
    first(identities[1], ONE)
    for identity in identities:
        with pytest.raises(Refusal, match=f"has signed another event 1 of did:keri:{AID}: {ONE}"):
            require(identity, TWO)
        require(identity, ONE)


def test_what_takes_its_place_does_so_under_every_alias(identities: list[keystore.Identity]) -> None:
    one, other = identities
    first(one, ONE)
    signedevents.require_first(other, AID, 1, TWO, instead_of=ONE)
    for identity in identities:
        assert Path(identity.folder, "signed").read_text() == f"{AID} 1 {TWO}\n"
        first(identity, TWO)
        for said in (ONE, THREE):
            with pytest.raises(Refusal, match=TWO):
                first(identity, said)
