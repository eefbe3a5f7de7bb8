"""A pipeline with a lasting identity signs with the real programs, and leaves nothing of its key anywhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from git_auths.core import opensshkey
from git_auths.core.sshsig import fingerprint
from tests.people import Person, Project
from tests.realgit import run

TMP = "tmp"


class Pipeline(Person):
    """Somebody without identity, and the variables that name Ada."""

    def __init__(self, project: Project) -> None:
        super().__init__(project.folder, "runner")
        (self.home / TMP).mkdir(exist_ok=True)
        self.at = self.home / "work"
        self.key = (project.ada.home / "auths/identities/main/current").read_bytes()
        self.blob = opensshkey.public_blob(self.key)
        self.environment |= {"TMPDIR": str(self.home / TMP), "AUTHS_PRIVATE_KEY": self.key.decode(),
                             "AUTHS_DID": project.ada.did()}  # fmt: skip


@pytest.fixture(scope="module")
def prepared(template: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project, with a pipeline's clone that is wired to sign."""
    project = template.copied(tmp_path_factory.mktemp("prepared"))
    pipeline = Pipeline(project)
    pipeline.git("clone", "--quiet", project.server, pipeline.at, cwd=pipeline.home)
    pipeline.auths("setup", "--root", project.root, "--yes")
    assert pipeline.auths("init", "--profile", "ci").stdout.strip() == project.ada.did()
    return project


@pytest.fixture
def project(prepared: Project, tmp_path: Path) -> Project:
    return prepared.copied(tmp_path)


@pytest.fixture
def ready(project: Project, prepared: Project) -> Pipeline:
    pipeline = Pipeline(project)
    config = pipeline.at / ".git/config"
    config.write_text(config.read_text().replace(str(prepared.folder), str(project.folder)))
    return pipeline


def forms_of(key: bytes) -> list[bytes]:
    """What would give the key away: its seed, raw, in hex and in base64 at each alignment, and its file's lines."""
    private = opensshkey.unencrypted_private(key)
    assert private is not None
    seed = private.secret
    aligned = [b64encode(bytes(n) + seed)[8 if n else 0 : -4] for n in range(3)]
    return [seed, seed.hex().encode(), *aligned, *key.splitlines()[2:-2]]


def everything(person: Person) -> bytes:
    """Every byte that lies below the home, and every object of the repository, which git compresses."""
    files = [path.read_bytes() for path in sorted(person.home.rglob("*")) if path.is_file()]
    objects = run("git", "cat-file", "--batch-all-objects", "--batch", cwd=person.at).stdout
    names = [os.fsencode(path) for path in person.home.rglob("*")]
    return b"\n".join([*files, *names, objects])


def leaks(person: Person, key: bytes) -> list[bytes]:
    found = everything(person)
    return [form for form in forms_of(key) if form in found]


def sign_commit(person: Person) -> None:
    person.git("commit", "--quiet", "-S", "--allow-empty", "-m", "By the pipeline")
    told = person.ask("verify-commit", "HEAD")
    assert told["ok"], told
    assert person.git("log", "-1", "--format=%GF").stdout.strip()


def sign_tag(person: Person) -> None:
    person.git("tag", "-s", "v1.0.0", "-m", "One")
    assert person.ask("verify-tag", "v1.0.0")["ok"]


def approve(person: Person) -> None:
    person.auths("approve", "--no-push", "HEAD")
    notes = run("git", "notes", "--ref=auths", "show", "HEAD", cwd=person.at)
    assert b"payloadType" in notes.stdout


def ask_who(person: Person) -> None:
    did = person.environment["AUTHS_DID"]
    assert person.auths("whoami").stdout.strip() == did
    assert person.auths("key-id").stdout == "auths:environment\n"


@pytest.mark.parametrize("act", [sign_commit, sign_tag, approve, ask_who])
def test_it_signs_and_nothing_of_the_key_is_on_the_disk(ready: Pipeline, act: Callable[[Person], None]) -> None:
    act(ready)
    assert leaks(ready, ready.key) == []
    assert not (ready.home / "auths").exists()
    assert list((ready.home / TMP).iterdir()) == []


def test_a_key_on_the_disk_would_be_found(ready: Pipeline) -> None:
    for written in forms_of(ready.key):
        (ready.at / "file").write_bytes(b"x" + written)
        assert written in leaks(ready, ready.key)
    (ready.at / "file").write_bytes(ready.key)
    ready.git("add", "file")
    (ready.at / "file").unlink()
    assert leaks(ready, ready.key)


@pytest.mark.parametrize("words", [("approve", "--no-push", "HEAD"), ("whoami",), ("init", "--profile", "ci")])
def test_no_child_process_gets_any_of_it(ready: Pipeline, tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "bin").mkdir()
    spy = tmp_path / "bin/git"
    spy.write_text(f'#!/bin/sh\nenv >>{tmp_path}/seen\nls -l /proc/$$/fd >>{tmp_path}/seen\n'
                   f'exec {shutil.which("git")} "$@"\n')  # fmt: skip
    spy.chmod(0o755)
    path = f"{tmp_path}/bin:{ready.environment['PATH']}"
    run("git-auths", *words, cwd=ready.at, env={**ready.environment, "PATH": path})
    seen = (tmp_path / "seen").read_bytes()
    assert b"TMPDIR=" in seen
    assert not [form for form in (*forms_of(ready.key), b"AUTHS_DID", b"AUTHS_PRIVATE") if form in seen]


@pytest.mark.parametrize("alias", ["environment", "main", "x"])
def test_whatever_alias_the_configuration_names_the_environment_signs(ready: Pipeline, alias: str) -> None:
    ready.auths("init", "--no-passphrase", "--alias", "main")
    ready.git("config", "user.signingKey", f"auths:{alias}")
    ready.git("commit", "--quiet", "-S", "--allow-empty", "-m", "x")
    assert ready.ask("verify-commit", "HEAD")["ok"]


def test_a_remembered_yes_is_neither_written_nor_read(ready: Pipeline) -> None:
    for _ in range(2):
        ready.git("commit", "--quiet", "-S", "--allow-empty", "-m", "x")
    (ready.at / "authorised").write_text("x")  # where a path without folder would lead
    ready.git("commit", "--quiet", "-S", "--allow-empty", "-m", "x")
    assert (ready.at / "authorised").read_text() == "x"
    assert not list(ready.home.rglob("authorised.*"))


def test_the_policy_is_asked_before_it_signs(ready: Pipeline, project: Project) -> None:
    """Bob's log is in no tree: his key is not to sign, whatever the variables say."""
    bob = {"AUTHS_DID": project.bob.did(),
           "AUTHS_PRIVATE_KEY": (project.bob.home / "auths/identities/main/current").read_text()}  # fmt: skip
    said = ready.git("commit", "-S", "--allow-empty", "-m", "x", code=128, **bob).stderr
    assert "has no key event log" in said
    project.ada.join(project.bob, "release")
    project.ada.git("push", "--quiet")
    ready.git("pull", "--quiet", "--ff-only")
    (ready.at / ".auths/policy.toml").open("a").write("\n")
    said = ready.git("commit", "-S", "-am", "x", code=128, **bob).stderr
    assert "not signed: " in said


def test_a_delegate_can_be_a_pipelines_identity(ready: Pipeline, project: Project) -> None:
    policy = project.ada.at / ".auths/policy.toml"
    policy.write_text(policy.read_text().replace('agents = "approved"', 'agents = "allow"'))
    project.ada.git("commit", "--quiet", "-am", "Let agents sign")
    project.ada.auths("agent", "new", "robot", "--model", "m")
    folder = project.ada.home / "auths/identities/robot"
    project.ada.git("push", "--quiet")
    ready.git("pull", "--quiet", "--ff-only")
    robot = {"AUTHS_DID": project.ada.auths("whoami", "--alias", "robot").stdout.strip(),
             "AUTHS_PRIVATE_KEY": (folder / "current").read_text()}  # fmt: skip
    ready.git("commit", "--quiet", "-S", "--allow-empty", "-m", "x", **robot)
    assert ready.ask("verify-commit", "HEAD")["ok"]
    project.ada.auths("agent", "revoke", "robot")
    project.ada.git("push", "--quiet")
    ready.git("fetch", "--quiet")
    said = ready.git("commit", "-S", "--allow-empty", "-m", "x", code=128, **robot).stderr
    assert "not signed: " in said


@pytest.mark.parametrize("missing", ["AUTHS_DID", "AUTHS_PRIVATE_KEY"])
def test_one_without_the_other_signs_nothing(ready: Pipeline, missing: str) -> None:
    del ready.environment[missing]
    said = ready.git("commit", "-S", "--allow-empty", "-m", "x", code=128).stderr
    assert f"{missing}" in said
    assert "hint: set AUTHS_" in said
    assert ready.auths("whoami", code=128).stderr.startswith("error: AUTHS_")


def test_without_both_the_wired_repository_says_what_is_missing(ready: Pipeline) -> None:
    del ready.environment["AUTHS_DID"], ready.environment["AUTHS_PRIVATE_KEY"]
    said = ready.git("commit", "-S", "--allow-empty", "-m", "x", code=128).stderr
    assert "hint: AUTHS_DID and AUTHS_PRIVATE_KEY name it: set both" in said


# The descriptor


@pytest.mark.parametrize("line", [
    "git commit -q -S --allow-empty -m x 3<$KEY && git tag -s v1.0.0 -m x 3<$KEY",
    "cat $KEY | git commit -q -S --allow-empty -m x 3<&0",
    "exec 3<$KEY; git commit -q -S --allow-empty -m x && git tag -s v1.0.0 -m x",
])  # fmt: skip
def test_git_passes_the_descriptor_on(ready: Pipeline, tmp_path: Path, line: str) -> None:
    (tmp_path / "key").write_bytes(ready.key)
    del ready.environment["AUTHS_PRIVATE_KEY"]
    environment = {**ready.environment, "AUTHS_PRIVATE_KEY_FD": "3", "KEY": str(tmp_path / "key")}
    done = subprocess.run(
        ["sh", "-ec", line], cwd=ready.at, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert ready.ask("verify-commit", "HEAD")["ok"]
    (tmp_path / "key").unlink()
    assert leaks(ready, ready.key) == []


# whoami, key-id


def test_whoami_and_key_id_tell_of_it(ready: Pipeline, project: Project) -> None:
    told = json.loads(ready.auths("whoami", "--json").stdout)
    assert (told["did"], told["alias"], told["key"]) == (project.ada.did(), "environment", fingerprint(ready.blob))
    assert (told["kind"], told["next_key"], told["key_in_agent"]) == ("person", None, False)
    assert ready.auths("whoami", "--export").stdout == project.ada.auths("whoami", "--export").stdout
    assert f"key {fingerprint(ready.blob)} (in the environment)" in ready.auths("whoami").stderr
    assert ready.auths("key-id", "--ssh").stdout.split()[1] == b64encode(ready.blob).decode()


def test_a_command_that_needs_the_identitys_files_says_where_they_are(ready: Pipeline) -> None:
    assert "no identity 'environment' on this machine" in ready.auths("rotate", code=128).stderr
