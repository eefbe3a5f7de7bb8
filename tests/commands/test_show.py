"""git auths show"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from git_auths.core import provenance
from git_auths.core.provenance import Agent, CommitNote
from git_auths.core.statement import Subject
from git_auths.store import attestations, notes
from git_auths.store.repository import Repository
from tests.attesting import AT, about, random_digest, signer, throwaway
from tests.people import Person, Project

WHEN = "2025-11-13T02:13:20Z"  # AT
ESCAPE = "\x1b[31mred\u202e"


@pytest.fixture(scope="module")
def prepared(template: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Ada has an agent, which may sign commits."""
    project = template.copied(tmp_path_factory.mktemp("prepared"))
    project.ada.auths("agent", "new", "fixer", "--model", "m-1")
    project.ada.git("push", "--quiet")
    return project


@pytest.fixture
def ada(prepared: Project, tmp_path: Path) -> Person:
    return prepared.copied(tmp_path / "copy").ada


def root_of(person: Person) -> str:
    return person.git("config", "auths.root").stdout.strip()


def attest(person: Person, *lines: bytes) -> None:
    attestations.add(Repository(person.at), lines, "attest")


def shown(person: Person, *args: str) -> dict[str, Any]:
    answer = json.loads(person.auths("show", *args, "--json").stdout)
    assert answer["version"] == 1
    return answer


def test_an_attestation_is_told_with_its_signer_and_its_time(ada: Person) -> None:
    own, head = signer(ada, root_of(ada)), ada.head()
    attest(ada, own.provenance(head, agent=Agent("bot", "gpt-x", "acme", ("edit", "test"))))
    assert ada.auths("show").stdout.splitlines() == [
        f"provenance by {own.did} (ada)",
        f"    about      object {head}",
        "    signature  valid, by key event 0 of its signer",
        f"    time       {WHEN} by the signer's word",
        f"    agent      bot, model gpt-x, provider acme, tools edit test, self-declared; bound to {own.did}",
    ]
    (found,) = shown(ada)["attestations"]
    assert found["predicate_type"] == provenance.SLSA_PROVENANCE
    assert (found["signer"], found["name"], found["issued_at"]) == (own.did, "ada", WHEN)
    assert found["objects"] == [head] and found["root_matches"] is True and found["trusted_time"] is None
    assert found["signature"]["valid"] is True and found["signature"]["event"] == 0
    assert found["agent"] == {"id": "bot", "model": "gpt-x", "provider": "acme", "tools": ["edit", "test"],
                              "self_declared": True}  # fmt: skip


def test_an_agents_word_is_bound_to_its_delegated_identity(ada: Person) -> None:
    fixer, head = signer(ada, root_of(ada), "fixer"), ada.head()
    note = CommitNote(head, "Ada Example", "agent", "m-1")
    attest(ada, fixer.provenance(head, agent=Agent("fixer", "m-1"), commits=(note,)))
    said = ada.auths("show", head).stdout
    assert f"provenance by {fixer.did}, agent fixer of {ada.did()} (ada)\n" in said
    assert (f"agent      fixer, model m-1, self-declared; bound to {fixer.did} by a delegated identity, "
            "granted as model m-1\n") in said  # fmt: skip
    assert f"commit     {head} by Ada Example: agent, model m-1, self-declared\n" in said
    (found,) = shown(ada, head)["attestations"]
    assert found["principal"] == ada.did()
    assert (found["grant"]["kind"], found["grant"]["name"], found["grant"]["stands"]) == ("agent", "fixer", True)
    assert found["commits"] == [note._asdict()]


def test_the_grant_of_a_revoked_agent_does_not_stand(ada: Person) -> None:
    fixer, head = signer(ada, root_of(ada), "fixer"), ada.head()
    attest(ada, fixer.provenance(head))
    ada.auths("agent", "revoke", "fixer")
    ada.git("push", "--quiet")
    assert "which does not stand any longer" in ada.auths("show", head).stdout
    assert shown(ada, head)["attestations"][0]["grant"]["stands"] is False


def test_what_is_not_its_signers_word_says_so_and_comes_last(ada: Person, prepared: Project) -> None:
    root, head = root_of(ada), ada.head()
    own, stranger, key = signer(ada, root), signer(prepared.bob, root), throwaway(root)
    forger, elsewhere = signer(prepared.bob, root), signer(ada, "a" * 40)
    forger.did = own.did
    late = {"at": AT + 1000}
    lines = {
        "good": own.provenance(head), "key": key.provenance(head, **late), "stranger": stranger.provenance(head, **late),
        "forged": forger.provenance(head, **late), "elsewhere": elsewhere.provenance(head, **late),
    }  # fmt: skip
    attest(ada, *lines.values())
    answer = shown(ada, head)["attestations"]
    assert [one["signer"] for one in answer[:2]] == [own.did, key.did]
    valid = {
        (one["signer"], one["root"]): (one["signature"]["valid"], one["signature"]["reason"]) for one in answer[2:]
    }
    assert valid == {
        (stranger.did, root): (False, "the mainline has no log of its signer"),
        (own.did, root): (False, "it is not signed by a key of its signer"),
        (own.did, "a" * 40): (True, None),
    }
    assert [one["root_matches"] for one in answer].count(False) == 1
    said = ada.auths("show", head).stdout
    assert said.count("not valid here: ") == 3 and f"for another trust root, {'a' * 40}" in said
    assert "valid, by that key; anybody can make one" in said


def test_a_key_declared_compromised_is_told(ada: Person) -> None:
    head = ada.head()
    attest(ada, signer(ada, root_of(ada)).provenance(head))
    ada.auths("rotate", "--compromised")
    (found,) = shown(ada, head)["attestations"]
    assert (found["signature"]["valid"], found["signature"]["compromised"]) == (True, True)
    assert "its owner has declared that key compromised since" in ada.auths("show", head).stdout
    assert "by a key declared compromised since" in ada.auths("log").stdout


def test_files_are_found_by_their_digest(ada: Person) -> None:
    own, head, digests = signer(ada, root_of(ada)), ada.head(), [random_digest(), random_digest()]
    attest(ada, own.provenance(head, *digests))
    for name in (digests[0], f"sha256:{digests[0]}", digests[0].upper()):
        assert shown(ada, "--sha256", name)["attestations"][0]["sha256"] == sorted(digests)
    assert shown(ada, "--sha256", random_digest())["attestations"] == []
    assert f"file1 (sha256 {digests[1]})" in ada.auths("show", "--sha256", digests[1]).stdout
    ada.auths("show", "--sha256", "abc", code=129)


def test_a_tag_is_shown_published_or_proposed(ada: Person) -> None:
    ada.git("tag", "-s", "-m", "x", "v1")
    id = ada.git("rev-parse", "v1").stdout.strip()
    attest(ada, signer(ada, root_of(ada)).approves_tag(id, "v1", ada.head(), random_digest()))
    said = ada.auths("show", "v1").stdout
    assert said.startswith("approval by ") and f"tag v1 ({id}) on {ada.head()}, with 1 digests of artifacts" in said
    ada.git("update-ref", "refs/auths/proposals/tags/v1", id)
    ada.git("tag", "-d", "v1")
    assert shown(ada, "v1")["attestations"][0]["approval"] == {"kind": "tag", "tag": "v1", "target": ada.head()}


def test_nothing_attested_is_no_error(ada: Person) -> None:
    done = ada.auths("show")
    assert done.stdout == "" and "nothing is attested of" in done.stderr and "git auths sync" in done.stderr


def test_what_is_ignored_is_counted_with_the_reasons(ada: Person) -> None:
    head = ada.head()
    text = '{"a":1}\nby hand\nby hand too\n' + signer(ada, root_of(ada)).approves("1" * 40).decode()
    ada.git("notes", "--ref", "auths", "add", "-m", text, head)
    said = ada.auths("show").stderr
    assert "ignored 4 lines of the notes" in said and "2 because: not a JSON object" in said
    assert {one["reason"]: one["lines"] for one in shown(ada)["ignored"]}["it is not about what it stands on"] == 1


def test_what_strangers_write_is_inert(ada: Person) -> None:
    head, root = ada.head(), root_of(ada)
    key = throwaway(root)
    said = provenance.slsa(
        head, None, "b", AT, Agent(ESCAPE, ESCAPE, ESCAPE, (ESCAPE,)), (CommitNote(ESCAPE, ESCAPE, ESCAPE, ESCAPE),)
    )
    attest(ada, key.attests(said, provenance.SLSA_PROVENANCE, about(head)))
    out = ada.auths("show").stdout
    assert "\x1b" not in out and "\u202e" not in out and r"\x1b[31mred\u202e" in out
    assert ada.auths("show", "--json").stdout.isascii()


def test_a_token_is_never_printed(ada: Person) -> None:
    head = ada.head()
    attest(ada, throwaway(root_of(ada)).provenance(head, token="e30.e30.c2VjcmV0"))
    done, told = ada.auths("show"), ada.auths("show", "--json")
    assert "token: nothing is pinned to judge it by" in done.stdout
    assert "c2VjcmV0" not in done.stdout + done.stderr + told.stdout + told.stderr
    assert json.loads(told.stdout)["attestations"][0]["evidence"]["token"] is True


def test_a_note_of_strangers_lines_pushes_nothing_out_of_sight(ada: Person) -> None:
    root, head = root_of(ada), ada.head()
    own, key = signer(ada, root), throwaway(root)
    attest(ada, own.provenance(head), *(key.provenance(head, at=AT + n) for n in range(1, 150)))
    done = ada.auths("show")
    assert done.stdout.startswith(f"provenance by {own.did}")
    assert done.stdout.count("provenance by") == 100 and "and 50 more: --json has them all" in done.stderr
    assert len(shown(ada)["attestations"]) == 150


@pytest.mark.parametrize(("arguments", "code", "word"), [
    (("no-such-thing",), 128, "names no commit or tag"), (("--sha256",), 129, ""), (("HEAD", "--sha256", "a" * 64), 129, ""),
])  # fmt: skip
def test_what_cannot_be_asked(ada: Person, arguments: tuple[str, ...], code: int, word: str) -> None:
    assert word in ada.auths("show", *arguments, code=code).stderr


@pytest.mark.parametrize("command", ["show", "log"])
def test_without_a_trust_root_there_is_nothing_to_read_by(ada: Person, command: str) -> None:
    ada.git("config", "--unset", "auths.root")
    done = ada.auths(command, code=1)
    assert "no trust root is pinned" in done.stderr and "git auths setup" in done.stderr
    ada.git("config", "auths.root", "1" * 40)
    assert "is not in this repository" in ada.auths(command, code=1).stderr


def test_it_writes_nothing_and_needs_no_network(ada: Person) -> None:
    attest(ada, signer(ada, root_of(ada)).provenance(ada.head()))
    ada.git("remote", "set-url", "origin", "/nowhere")
    before = {path: path.stat().st_mtime_ns for path in (ada.at / ".git").rglob("*")}
    ada.auths("show")
    ada.auths("log")
    assert {path: path.stat().st_mtime_ns for path in (ada.at / ".git").rglob("*")} == before


def test_a_subject_that_is_no_file_has_its_name(ada: Person) -> None:
    digest = random_digest()
    image = Subject("registry.example.com/app:1", {"sha256": digest})
    attest(ada, signer(ada, root_of(ada)).attests({}, "https://example.com/said/v1", image))
    assert ada.auths("show", "--sha256", digest).stdout.startswith("https://example.com/said/v1 by ")
    assert notes.tip(ada.at) is not None
