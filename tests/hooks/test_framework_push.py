"""The pre-commit framework: `auths-policy` and `auths-verify-push` of .pre-commit-hooks.yaml, by the real pre-commit"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.people import SCRIPTS, Person, Project

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def ada(project: Project) -> Person:
    """Ada with the framework's hooks instead of ours, from a local hook definition equal to .pre-commit-hooks.yaml.

    `language: system` stands for `language: python`: the framework would else build an environment from PyPI.
    """
    (project.server / "hooks/pre-receive").unlink()
    ada = project.ada
    ada.auths("hooks", "uninstall")
    hooks = (CHECKOUT / ".pre-commit-hooks.yaml").read_text().replace("language: python", "language: system")
    indented = "".join(f"      {line}\n" if line else "\n" for line in hooks.splitlines())
    (ada.at / ".pre-commit-config.yaml").write_text(f"repos:\n  - repo: local\n    hooks:\n{indented}")
    environment = ada.environment | {"PRE_COMMIT_HOME": str(ada.home / "pre-commit")}
    subprocess.run([Path(SCRIPTS, "pre-commit"), "install", "-t", "pre-commit", "-t", "pre-push", "-t", "post-commit"], cwd=ada.at, env=environment, check=True,
                   capture_output=True)  # fmt: skip
    ada.environment = environment
    ada.git("add", ".pre-commit-config.yaml")
    ada.git("commit", "--quiet", "-m", "Use pre-commit")
    return ada


def test_the_hook_definitions_are_valid() -> None:
    subprocess.run([Path(SCRIPTS, "pre-commit"), "validate-manifest", CHECKOUT / ".pre-commit-hooks.yaml"], check=True)


def test_a_broken_policy_is_not_committed(ada: Person) -> None:
    (ada.at / ".auths/policy.toml").write_text("[policy\n")
    done = ada.git("commit", "-a", "-m", "oops", code=1)
    assert "git-auths policy....." in done.stdout + done.stderr
    assert "policy.toml:1:" in done.stdout + done.stderr


def test_a_bad_push_is_refused_and_a_good_one_goes_through(project: Project, ada: Person) -> None:
    ada.git("push", "--quiet")
    ada.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "unsigned")
    done = ada.git("push", code=1)
    assert f"commit {ada.head()} is unsigned" in done.stdout + done.stderr


def test_a_commit_that_is_not_good_is_named_when_it_is_made(ada: Person) -> None:
    done = ada.git("commit", "--allow-empty", "-m", "signed")
    assert "git-auths commit....." in done.stdout + done.stderr
    assert "Passed" in done.stdout + done.stderr
    done = ada.git("-c", "commit.gpgSign=false", "commit", "--allow-empty", "-m", "not signed")
    assert f"unsigned {ada.head()}" in done.stdout + done.stderr


def test_outside_the_framework_it_is_wrong_usage(ada: Person) -> None:
    done = subprocess.run([Path(SCRIPTS, "git-auths-verify"), "--pushed"], cwd=ada.at, env=ada.environment, capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == 129
    assert "PRE_COMMIT_TO_REF is not set" in done.stderr
