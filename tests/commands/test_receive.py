"""git auths receive, and what policy remove-signer keeps good"""

from __future__ import annotations

import hashlib
import os
import pty
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.commands.test_adopt import staged, unsigned
from tests.people import Person, Project


def tag(person: Person, name: str, *where: str) -> str:
    person.git("tag", "-s", "-m", "A release", name, *where)
    return person.git("rev-parse", f"refs/tags/{name}").stdout.strip()


def judged(person: Person, name: str) -> str:
    return person.ask("verify-tag", name)["objects"][0]["verdict"]


@pytest.fixture(scope="module")
def duo_template(template: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return template.copied(tmp_path_factory.mktemp("received")).with_bob("commit", "release")


@pytest.fixture
def duo(duo_template: Project, tmp_path: Path) -> Project:
    """Ada and Bob commit and release, each alone; Ada is the admin."""
    return duo_template.copied(tmp_path)


def test_a_good_tag_is_received(ada: Person) -> None:
    id = tag(ada, "v1")
    done = ada.auths("receive", "v1")
    assert f"receive refs/tags/v1 {id}" in done.stderr.splitlines()
    assert staged(ada, "received") == [f"refs/tags/v1 {id}"]
    assert "hint: git commit -S" in done.stderr
    assert "received already" in ada.auths("receive", "refs/tags/v1").stderr
    ada.git("commit", "--quiet", "-m", "Receive v1")
    assert ada.ask("verify")["ok"]


def test_a_receipt_names_the_approvals_that_count(duo: Project) -> None:
    ada, bob = duo.ada, duo.bob
    id = tag(ada, "v1")
    ada.git("push", "--quiet", "origin", "v1")
    bob.git("fetch", "--quiet", "--tags")
    bob.auths("approve", "v1")
    ada.auths("sync")
    (line,) = ada.git("notes", "--ref=auths", "show", id).stdout.splitlines()
    ada.git("notes", "--ref=auths", "append", "-m", '{"not": "an approval"}', id)
    ada.auths("receive", "v1")
    digest = hashlib.sha256(line.encode()).hexdigest()
    assert staged(ada, "received") == [f"refs/tags/v1 {id} {digest}"]


def test_what_is_not_good_is_not_received(ada: Person) -> None:
    ada.git("tag", "--no-sign", "-a", "-m", "x", "v1")
    ada.git("tag", "--no-sign", "light")
    for name, word in (("v1", "unsigned"), ("light", "lightweight-tag")):
        done = ada.auths("receive", name, code=1)
        assert f"({word})" in done.stderr
        assert f"hint: git auths verify-tag {name}" in done.stderr
    ada.git("switch", "--quiet", "--create", "topic")
    unsigned(ada)
    assert "(unsigned)" in ada.auths("receive", "topic", code=1).stderr
    ada.commit()
    assert "(unsigned)" in ada.auths("receive", "topic", code=1).stderr
    assert not (ada.at / ".auths/received").exists()


def test_a_branch_is_received_with_its_tip(duo: Project) -> None:
    ada = duo.ada
    ada.git("switch", "--quiet", "--create", "topic")
    tip = ada.commit("topic")
    ada.git("push", "--quiet", "origin", "topic")
    ada.git("switch", "--quiet", "main")
    ada.auths("receive", "topic")
    assert staged(ada, "received") == [f"refs/heads/topic {tip}"]
    assert "received already" in ada.auths("receive", "origin/topic").stderr


@pytest.mark.parametrize("name", ["nothing", "refs/notes/auths", "HEAD", "refs/tags/../heads/main"])
def test_what_is_no_tag_or_branch_is_not_received(ada: Person, name: str) -> None:
    assert "is no tag or branch here" in ada.auths("receive", name, code=128).stderr


def test_a_name_that_is_a_tag_and_a_branch_is_not_guessed(ada: Person) -> None:
    tag(ada, "v1")
    ada.git("branch", "v1")
    assert "as well as" in ada.auths("receive", "v1", code=128).stderr


@pytest.mark.parametrize("arguments", [(), ("v1", "--all"), ("v1", "--expiring"), ("--all", "--expiring")])
def test_either_names_or_a_choice_is_given(ada: Person, arguments: tuple[str, ...]) -> None:
    ada.auths("receive", *arguments, code=129)


def test_everything_good_is_received_at_once(duo: Project) -> None:
    ada = duo.ada
    release = tag(ada, "v1")
    ada.git("tag", "--no-sign", "-a", "-m", "x", "bad")
    ada.git("switch", "--quiet", "--create", "topic")
    topic = ada.commit("topic")
    ada.git("push", "--quiet", "origin", "topic")
    ada.git("switch", "--quiet", "--create", "mine")
    ada.commit("mine")
    ada.git("switch", "--quiet", "main")
    done = ada.auths("receive", "--all")
    assert "passed over 1 that are not good now" in done.stderr
    assert staged(ada, "received") == [f"refs/tags/v1 {release}", f"refs/heads/topic {topic}"]


def test_what_rests_on_a_right_that_expires_soon_is_received(duo: Project) -> None:
    ada, bob = duo.ada, duo.bob
    soon, later = (datetime.now(timezone.utc) + timedelta(days=days) for days in (20, 40))
    policy = ada.at / ".auths/policy.toml"
    text = policy.read_text()
    for person, end in ((ada, later), (bob, soon)):
        table = f'[signer."{person.did()}"]\n'
        assert table in text
        text = text.replace(table, f"{table}expires_at = {end:%Y-%m-%dT%H:%M:%SZ}\n")
    policy.write_text(text)
    ada.git("commit", "--quiet", "-am", "Rights end")
    ada.git("push", "--quiet")
    bob.git("pull", "--quiet", "--ff-only")
    tag(ada, "v1")
    bobs = tag(bob, "v2")
    bob.git("push", "--quiet", "origin", "v2")
    ada.git("fetch", "--quiet", "--tags")
    ada.auths("receive", "--expiring")
    assert staged(ada, "received") == [f"refs/tags/v2 {bobs}"]


def test_removing_a_signer_says_how_to_keep_what_is_good(duo: Project) -> None:
    ada, bob = duo.ada, duo.bob.did()
    tag(ada, "v1")
    done = ada.auths("policy", "remove-signer", bob, "--role", "release")
    assert "hint: git auths receive --all, committed together with it" in done.stderr
    assert "receive --all" not in ada.auths("policy", "remove-signer", bob, "--role", "commit", "--no-receive").stderr
    assert not (ada.at / ".auths/received").exists()


def test_removing_a_signer_keeps_what_is_good_where_asked_to(duo: Project) -> None:
    ada, bob = duo.ada, duo.bob
    id = tag(bob, "v1")
    bob.git("push", "--quiet", "origin", "v1")
    ada.git("fetch", "--quiet", "--tags")
    ada.auths("policy", "remove-signer", bob.did(), "--role", "release", "--receive")
    assert staged(ada, "received") == [f"refs/tags/v1 {id}"]
    ada.git("commit", "--quiet", "-m", "Bob leaves")
    ada.git("push", "--quiet")
    assert judged(ada, "v1") == "good"
    ada.git("push", "--quiet", "origin", ":refs/tags/v1", code=None)
    bob.git("pull", "--quiet", "--ff-only")
    bob.git("config", "auths.enforceOnSign", "false")
    tag(bob, "v2")
    assert judged(bob, "v2") != "good"


@pytest.mark.parametrize(("answer", "kept"), [(b"\n", True), (b"y\n", True), (b"n\n", False)])
def test_at_a_terminal_removing_a_signer_asks(duo: Project, answer: bytes, kept: bool) -> None:
    ada, bob = duo.ada, duo.bob.did()
    tag(ada, "v1")
    main, terminal = pty.openpty()
    os.write(main, answer)
    done = subprocess.run(["git", "auths", "policy", "remove-signer", bob, "--role", "release"], cwd=ada.at,
                          env=ada.environment, stdin=terminal, capture_output=True, text=True, check=True)  # fmt: skip
    os.close(main)
    os.close(terminal)
    assert "Keep good what is good now" in done.stderr
    assert (ada.at / ".auths/received").exists() is kept
