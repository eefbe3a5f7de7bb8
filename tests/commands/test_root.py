"""git auths root"""

from __future__ import annotations

import json

import pytest

from tests.people import Person


def test_show_prints_the_pins(ada: Person) -> None:
    root = ada.head()
    assert json.loads(ada.auths("root", "show", "--json").stdout) == {
        "version": 1,
        "root": root,
        "mainline": "refs/heads/main",
    }
    assert ada.auths("root", "show").stdout == f"root {root}\nmainline refs/heads/main\n"


def test_another_root_is_pinned_only_with_the_old_one_named(ada: Person) -> None:
    old = ada.head()
    new = ada.commit()
    done = ada.auths("root", "pin", new, code=128)
    assert f"hint: git auths root pin --replace {old} {new}" in done.stderr
    done = ada.auths("root", "pin", "--replace", old, new)
    assert done.stderr.count(ada.did()) == 6  # three rules of both roots
    assert json.loads(ada.auths("root", "show", "--json").stdout)["root"] == new


def test_an_abbreviated_id_is_refused(ada: Person) -> None:
    assert "full object id" in ada.auths("root", "pin", "HEAD", code=129).stderr


def test_an_empty_server_takes_the_id_of_a_root_to_come(newcomer: Person) -> None:
    newcomer.at = newcomer.home / "server.git"
    newcomer.git("init", "--quiet", "--bare", newcomer.at, cwd=newcomer.home)
    done = newcomer.auths("root", "pin", "1" * 40)
    assert "must be in the first push" in done.stderr


@pytest.mark.parametrize("variables", [
    {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "auths.root", "GIT_CONFIG_VALUE_0": "1" * 40},
    {"GIT_CONFIG_PARAMETERS": "'auths.root'='" + "1" * 40 + "'"},
])  # fmt: skip
def test_the_environment_names_no_root(ada: Person, variables: dict[str, str]) -> None:
    root = ada.head()
    assert ada.auths("root", "show", **variables).stdout.startswith(f"root {root}\n")


def test_an_included_file_names_no_root(ada: Person) -> None:
    root = ada.head()
    (ada.at / "evil").write_text(f"[auths]\n\troot = {'1' * 40}\n")
    ada.git("config", "--local", "include.path", ada.at / "evil")
    assert ada.git("config", "auths.root").stdout.strip() == "1" * 40
    assert ada.auths("root", "show").stdout.startswith(f"root {root}\n")


def test_two_roots_in_the_configuration_are_no_root(ada: Person) -> None:
    ada.git("config", "--local", "--add", "auths.root", "1" * 40)
    assert "more than once" in ada.auths("verify", code=128).stderr
