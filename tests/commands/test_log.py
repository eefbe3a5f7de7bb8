"""git auths log"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from git_auths.core.provenance import Agent, CommitNote
from git_auths.store import attestations, notes
from git_auths.store.repository import Repository
from tests.attesting import AT, about, random_digest, signer, throwaway
from tests.people import Person, Project

DAY = 24 * 3600


class Trail(NamedTuple):
    """Ada's repository, the lines in its notes, each issued a day after the one before, and who signed them."""

    ada: Person
    head: str
    tag: str
    digest: str
    dids: dict[str, str]


LINES = ("by ada", "by fixer", "of commits", "vsa", "of a tag", "other", "by a key")
NOT_LISTED = ("forged", "elsewhere")


@pytest.fixture(scope="module")
def trail(template: Project, tmp_path_factory: pytest.TempPathFactory) -> Trail:
    project = template.copied(tmp_path_factory.mktemp("trail"))
    ada = project.ada
    ada.auths("agent", "new", "fixer", "--model", "m-1")
    ada.git("push", "--quiet")
    ada.git("tag", "-s", "-m", "x", "v1")
    head, tag, digest = ada.head(), ada.git("rev-parse", "v1").stdout.strip(), random_digest()
    own, fixer, key = signer(ada, project.root), signer(ada, project.root, "fixer"), throwaway(project.root)
    forger, elsewhere = signer(project.bob, project.root), signer(ada, "a" * 40)
    forger.did = own.did
    note = CommitNote(head, "Ada", "agent", "claude-y")

    def at(name: str) -> dict[str, int]:
        return {"at": AT + DAY * [*LINES, *NOT_LISTED].index(name)}

    lines = [
        own.provenance(head, digest, agent=Agent("bot", "gpt-x"), **at("by ada")),
        fixer.provenance(head, **at("by fixer")),
        own.provenance(head, commits=(note,), **at("of commits")),
        own.attests({}, "https://slsa.dev/verification_summary/v1", about(head), **at("vsa")),
        own.attests({}, "https://example.com/other", about("b" * 40), **at("other")),
        key.provenance(head, **at("by a key")),
        forger.provenance(head, agent=Agent("bot", "gpt-x"), **at("forged")),
        elsewhere.provenance(head, **at("elsewhere")),
        own.approves_tag(tag, "v1", head, digest),
    ]
    attestations.add(Repository(ada.at), lines, "attest")
    return Trail(ada, head, tag, digest, {"ada": own.did, "fixer": fixer.did, "key": key.did})


def logged(trail: Trail, *args: str) -> list[dict[str, Any]]:
    answer = json.loads(trail.ada.auths("log", *args, "--json").stdout)
    assert answer["version"] == 1
    return answer["attestations"]


def days(found: list[dict[str, Any]]) -> list[int]:
    """On which day each was issued; AT is in the first."""
    return [int(one["issued_at"][8:10]) - 13 for one in found]


def test_everything_is_listed_newest_first_and_once(trail: Trail) -> None:
    assert days(logged(trail)) == [6, 5, 3, 2, 1, 0, 0]
    said = trail.ada.auths("log")
    rows = said.stdout.splitlines()
    assert [row[:20] for row in rows] == [one["issued_at"] for one in logged(trail)]
    assert f"by {trail.dids['fixer']}, agent fixer of {trail.dids['ada']}" in rows[4] and rows[4].endswith("model m-1")
    assert "2 lines of the notes" in said.stderr
    assert "1 because: it is not signed by a key of its signer" in said.stderr
    assert f"1 because: it is for another trust root, {'a' * 40}" in said.stderr


def test_what_is_nobodys_word_is_listed_when_asked_for_and_marked(trail: Trail) -> None:
    assert days(logged(trail, "--all")) == [8, 7, 6, 5, 3, 2, 1, 0, 0]
    rows = trail.ada.auths("log", "--all").stdout.splitlines()
    assert [("NOT VALID" in row) for row in rows] == [True, True] + [False] * 7


@pytest.mark.parametrize(("arguments", "wanted"), [
    (("--commit", "HEAD"), [6, 3, 2, 1, 0]), (("--commit", "HEAD~1"), []), (("--tag", "v1"), [0]),
    (("--commit", "HEAD", "--tag", "v1"), []),
    (("--predicate", "slsa"), [6, 2, 1, 0]), (("--predicate", "vsa"), [3]), (("--predicate", "approval"), [0]),
    (("--predicate", "https://example.com/other"), [5]), (("--predicate", "https://example.com/nothing"), []),
    (("--model", "gpt-*"), [0]), (("--model", "claude-y"), [2]), (("--model", "m-?"), [1]), (("--model", "GPT-*"), []),
    (("--since", "2025-11-16"), [6, 5, 3]), (("--until", "2025-11-14"), [0, 0]),
    (("--since", "2025-11-14T02:13:20Z", "--until", "2025-11-15T04:13:20+02:00"), [2, 1]),
    (("-n", "2"), [6, 5]), (("-n", "1", "--predicate", "slsa", "--commit", "HEAD", "--until", "2025-11-16"), [2]),
    (("--signer", "fixer"), [1]), (("--signer", "main"), [5, 3, 2, 0, 0]), (("--signer", "ada"), [5, 3, 2, 0, 0]),
])  # fmt: skip
def test_conditions_hold_together(trail: Trail, arguments: tuple[str, ...], wanted: list[int]) -> None:
    assert days(logged(trail, *arguments)) == wanted


def test_a_digest_and_a_did_are_asked_for(trail: Trail) -> None:
    assert days(logged(trail, "--sha256", trail.digest)) == [0, 0]
    assert days(logged(trail, "--sha256", trail.digest, "--model", "gpt-x")) == [0]
    assert days(logged(trail, "--sha256", trail.digest, "--commit", "HEAD")) == [0]
    assert logged(trail, "--sha256", random_digest()) == []
    assert days(logged(trail, "--signer", trail.dids["key"])) == [6]
    assert days(logged(trail, "--signer", trail.dids["fixer"])) == [1]


@pytest.mark.parametrize(("arguments", "code"), [
    (("--since", "yesterday"), 129), (("-n", "0x"), 129), (("-n", "-1"), 129), (("--sha256", "abc"), 129),
    (("--signer", "nobody"), 128), (("--tag", "v9"), 128), (("--commit", "v9"), 128), (("HEAD",), 129),
])  # fmt: skip
def test_what_cannot_be_asked(trail: Trail, arguments: tuple[str, ...], code: int) -> None:
    trail.ada.auths("log", *arguments, code=code)


def test_a_million_lines_of_rubbish_hide_nothing(trail: Trail, tmp_path: Path) -> None:
    ada = trail.ada
    rubbish = tmp_path / "rubbish"
    rubbish.write_bytes(b"".join(b'{"%d":1}\n' % n for n in range(20_000)) + b"x\n" * 980_000)
    blob = ada.git("hash-object", "-w", rubbish).stdout.strip()
    ada.git("notes", "--ref", "auths", "add", "-f", "-C", blob, "HEAD~1")
    try:
        assert days(logged(trail)) == [6, 5, 3, 2, 1, 0, 0]
        assert "1000002 lines" in ada.auths("log", "-n", "1").stderr
    finally:
        ada.git("update-ref", "refs/notes/auths", "refs/notes/auths~1")


def test_no_notes_is_no_error(ada: Person) -> None:
    done = ada.auths("log")
    assert done.stdout == "" and "nothing that is asked for" in done.stderr


def test_reasons_that_strangers_make_up_are_bounded(ada: Person) -> None:
    lines = [
        throwaway("a" * 40).envelope(
            b'{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":"x","predicate":{},"%d":1}' % n
        )
        for n in range(150)
    ]
    notes.append(ada.at, {ada.head(): lines}, "rubbish")
    ignored = json.loads(ada.auths("log", "--json").stdout)["ignored"]
    assert sum(one["lines"] for one in ignored) == 150 and len(ignored) == 101


@pytest.mark.parametrize("number", ["0", "00", "-1", "x", "1000000000"])
def test_a_number_of_none_is_wrong_usage(number: str, newcomer: Person) -> None:
    newcomer.auths("log", f"-n{number}", code=129)
