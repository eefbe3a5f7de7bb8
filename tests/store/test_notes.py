from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

from git_auths.errors import Error
from git_auths.store import notes
from git_auths.store.notes import Note
from tests.realgit import run

THEIRS = "refs/notes/remotes/origin/auths"


@pytest.fixture(params=["sha1", "sha256"])
def repo(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "d\u00e9p\u00f4t with spaces"
    run("git", "init", "-q", f"--object-format={request.param}", path)
    return path


@cache
def hex_length(repo: Path) -> int:
    return 64 if run("git", "rev-parse", "--show-object-format", cwd=repo).stdout == b"sha256\n" else 40


def object_id(repo: Path, number: int = 0) -> str:
    return hashlib.sha256(b"%d" % number).hexdigest()[: hex_length(repo)]


def line(number: int) -> bytes:
    return b'{"number":%d}' % number


def git(repo: Path, *args: str, stdin: bytes | None = None) -> str:
    return run("git", *args, cwd=repo, stdin=stdin).stdout.decode().strip()


def blob(repo: Path, content: bytes) -> str:
    return git(repo, "hash-object", "-w", "--stdin", stdin=content)


def commit_tree(repo: Path, entries: Iterable[tuple[str, str, str]], *parents: str,
                ref: str = notes.NOTES_REF) -> str:  # fmt: skip
    """Commit a tree of (mode, id, path), whatever these are, with git's plumbing."""
    run("git", "read-tree", "--empty", cwd=repo)
    index = b"".join(f"{mode} {id}\t{path}\0".encode() for mode, id, path in entries)
    run("git", "update-index", "-z", "--index-info", cwd=repo, stdin=index)
    tree = git(repo, "write-tree", "--missing-ok")
    commit = git(repo, "commit-tree", "-m", "x", tree, *(f"-p{parent}" for parent in parents))
    git(repo, "update-ref", ref, commit)
    return commit


def paths(repo: Path, ref: str = notes.NOTES_REF) -> list[str]:
    return git(repo, "ls-tree", "-r", "--name-only", ref).splitlines()


def cut(id: str, times: int) -> str:
    return "/".join([id[2 * i : 2 * i + 2] for i in range(times)] + [id[2 * times :]])


def test_where_no_notes_are_there_is_no_note(repo: Path) -> None:
    assert notes.read(repo, object_id(repo)) == Note()
    assert notes.tip(repo) is None


def test_lines_that_are_appended_are_read_again_sorted_and_once_each(repo: Path) -> None:
    id = object_id(repo)
    assert notes.append(repo, {id: [line(2), line(1), line(2)]}, "approve") == 2
    assert notes.append(repo, {id: [line(0), line(1)]}, "approve") == 1
    assert notes.read(repo, id) == Note((line(0), line(1), line(2)))
    assert notes.read(repo, object_id(repo, 1)) == Note()
    assert git(repo, "log", "--format=%s", notes.NOTES_REF) == "approve\napprove"


def test_git_shows_what_is_appended(repo: Path) -> None:
    head = git(repo, "commit-tree", "-m", "x", git(repo, "write-tree"))
    notes.append(repo, {head: [line(2), line(1)]}, "approve")
    shown = run("git", "notes", "--ref=auths", "show", head, cwd=repo).stdout
    assert shown == line(1) + b"\n" + line(2) + b"\n"


def test_what_is_there_already_makes_no_commit(repo: Path) -> None:
    id = object_id(repo)
    notes.append(repo, {id: [line(1)]}, "approve")
    before = notes.tip(repo)
    assert notes.append(repo, {id: [line(1)], object_id(repo, 1): []}, "approve") == 0
    assert notes.tip(repo) == before


def test_many_objects_are_one_commit_and_one_reader(repo: Path) -> None:
    ids = [object_id(repo, number) for number in range(300)]
    assert notes.append(repo, {id: [line(n)] for n, id in enumerate(ids)}, "approve") == 300
    assert git(repo, "rev-list", "--count", notes.NOTES_REF) == "1"
    found = list(notes.read_many(repo, [*ids, "0" * hex_length(repo)]))
    assert found == [(id, Note((line(n),))) for n, id in enumerate(ids)] + [("0" * hex_length(repo), Note())]


@pytest.mark.parametrize("times", [0, 1, 2, 3])
def test_a_note_is_found_wherever_git_puts_it_and_moves_to_our_place(repo: Path, times: int) -> None:
    id = object_id(repo)
    commit_tree(repo, [("100644", blob(repo, line(1) + b"\n"), cut(id, times))])
    assert notes.read(repo, id) == Note((line(1),))
    notes.append(repo, {id: [line(2)]}, "approve")
    assert paths(repo) == [cut(id, 1)]
    assert notes.read(repo, id) == Note((line(1), line(2)))


def test_a_note_at_several_places_is_their_union(repo: Path) -> None:
    id = object_id(repo)
    commit_tree(repo, [("100644", blob(repo, line(n) + b"\n"), cut(id, n)) for n in range(4)])
    assert notes.read(repo, id).lines == tuple(map(line, range(4)))
    notes.append(repo, {id: [line(4)]}, "approve")
    assert paths(repo) == [cut(id, 1)]
    assert notes.read(repo, id).lines == tuple(map(line, range(5)))


def test_what_git_notes_appends_is_kept_without_its_blank_lines(repo: Path) -> None:
    head = git(repo, "commit-tree", "-m", "x", git(repo, "write-tree"))
    for text in (line(1).decode(), "by hand", line(2).decode()):
        run("git", "notes", "--ref=auths", "append", "-m", text, head, cwd=repo)
    assert notes.read(repo, head) == Note((line(1), line(2)), ignored=1)
    notes.append(repo, {head: [line(3)]}, "approve")
    assert run("git", "notes", "--ref=auths", "show", head, cwd=repo).stdout == (
        b"by hand\n" + line(1) + b"\n" + line(2) + b"\n" + line(3) + b"\n"
    )


def test_a_note_is_found_among_the_many_that_git_has_cut_itself(repo: Path) -> None:
    person = b"committer A <a@b> 1 +0000\n"
    commits = [b"commit refs/heads/x\nmark :%d\n%bdata 0\n" % (n, person) for n in range(1, 301)]
    added = [b"N inline :%d\ndata %d\n%b\n" % (n, len(line(n)), line(n)) for n in range(1, 301)]
    stream = b"".join([*commits, b"commit refs/notes/auths\n", person, b"data 0\n", *added])
    run("git", "fast-import", "--quiet", cwd=repo, stdin=stream)
    ids = git(repo, "rev-list", "--reverse", "refs/heads/x").split()
    run("git", "notes", "--ref=auths", "append", "-m", line(0).decode(), ids[0], cwd=repo)
    assert {path.count("/") for path in paths(repo)} == {1}
    found = [note.lines for _, note in notes.read_many(repo, ids)]
    assert found == [(line(0), line(1)), *((line(n),) for n in range(2, 301))]


def test_other_entries_stay_where_they_are(repo: Path) -> None:
    other = blob(repo, b"x")
    kept = [("100644", other, "README"), ("120000", other, "ab/link"), ("160000", other, "sub"),
            ("100644", other, "ab/li\nne"), ("100644", other, "zz/" + "0" * 38)]  # fmt: skip
    commit_tree(repo, kept)
    notes.append(repo, {object_id(repo): [line(1)]}, "approve")
    entries = run("git", "ls-tree", "-r", "-z", notes.NOTES_REF, cwd=repo).stdout.decode().split("\0")
    for mode, id, path in kept:
        assert any(entry.startswith(f"{mode} ") and entry.endswith(f" {id}\t{path}") for entry in entries)


@pytest.mark.parametrize(("mode", "times"), [
    ("120000", 1), ("160000", 1), ("120000", 0), ("160000", 0), ("100644", -1), ("160000", -1),
])  # fmt: skip
def test_what_stands_in_a_note_s_place_and_is_none_is_written_over(repo: Path, mode: str, times: int) -> None:
    id = object_id(repo)
    path = id[:2] if times < 0 else cut(id, times)
    commit_tree(repo, [(mode, blob(repo, line(1)), path)])
    assert notes.read(repo, id) == Note()
    notes.append(repo, {id: [line(2)]}, "approve")
    assert notes.read(repo, id) == Note((line(2),))


def test_a_folder_in_a_note_s_place_is_no_note(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "MAX_NOTE_BYTES", 20)  # so that reading the folder would be seen
    id = object_id(repo)
    commit_tree(repo, [("100644", blob(repo, line(1)), cut(id, 1) + "/x"), ("100644", blob(repo, line(1)), id + "/x")])
    assert notes.read(repo, id) == Note()
    notes.append(repo, {id: [line(2)]}, "approve")
    assert notes.read(repo, id) == Note((line(2),))


def test_a_file_that_looks_like_a_folder_is_none(repo: Path) -> None:
    id = object_id(repo)
    looks = b"100644 " + id[2:].encode() + b"\0" + bytes.fromhex(blob(repo, line(1)))
    commit_tree(repo, [("100644", blob(repo, looks), id[:2])])
    assert notes.read(repo, id) == Note()


def test_what_is_too_large_is_not_even_loaded(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [object_id(repo, number) for number in range(3)]
    commit_tree(repo, [("100644", blob(repo, b"\n" * 1000), id) for id in ids])
    monkeypatch.setattr(notes, "MAX_NOTE_BYTES", 999)
    loaded = []
    read = notes.Objects.read

    def spy(self: notes.Objects, name: str, limit: int) -> tuple[bytes, bytes]:
        answer = read(self, name, limit)
        loaded.append(answer[0])
        return answer

    monkeypatch.setattr(notes.Objects, "read", spy)
    assert {note for _, note in notes.read_many(repo, ids)} == {Note(incomplete=True)}
    assert loaded == [b"tree"]


def test_folders_are_remembered_within_bounds(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [object_id(repo, number) for number in range(5)]
    notes.append(repo, {id: [line(1)] for id in ids}, "approve")
    monkeypatch.setattr(notes, "_CACHE_BYTES", 1)
    with notes.opened(repo) as opened:
        for id in ids:
            assert opened.read(id) == Note((line(1),))
            assert len(opened._trees) == 1


@pytest.mark.parametrize("kind", ["tree", "commit"])
def test_an_entry_that_names_another_kind_of_object_is_no_note(repo: Path, kind: str) -> None:
    tree = git(repo, "write-tree")
    named = tree if kind == "tree" else git(repo, "commit-tree", "-m", "x", tree)
    id = object_id(repo)
    raw = b"100644 " + id.encode() + b"\0" + bytes.fromhex(named)
    notes_tree = git(repo, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=raw)
    git(repo, "update-ref", notes.NOTES_REF, git(repo, "commit-tree", "-m", "x", notes_tree))
    assert notes.read(repo, id) == Note()


def test_a_ref_that_names_no_commit_holds_no_notes(repo: Path) -> None:
    git(repo, "update-ref", notes.NOTES_REF, blob(repo, b"x"))
    assert notes.read(repo, object_id(repo)) == Note()
    with pytest.raises(Error):
        notes.append(repo, {object_id(repo): [line(1)]}, "approve")


@pytest.mark.parametrize("raw", [b"rubbish", b"100644 " * 1000, b"100644 ab\0short", b"\0" * 100])
def test_a_malformed_tree_holds_what_stands_before_the_fault(repo: Path, raw: bytes) -> None:
    id = object_id(repo)
    good = b"100644 " + id.encode() + b"\0" + bytes.fromhex(blob(repo, line(1)))
    tree = git(repo, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=good + raw)
    git(repo, "update-ref", notes.NOTES_REF, git(repo, "commit-tree", "-m", "x", tree))
    assert notes.read(repo, id) == Note((line(1),))
    assert notes.read(repo, "f" * len(id)) == Note()


def long_line(size: int) -> bytes:
    return b'{"x":"' + b"x" * (size - 8) + b'"}'


def test_a_line_over_64_kib_is_ignored(repo: Path) -> None:
    id = object_id(repo)
    text = b"\n".join([long_line(notes.MAX_LINE_BYTES), long_line(notes.MAX_LINE_BYTES + 1), b"", b" {}", b"{"])
    commit_tree(repo, [("100644", blob(repo, text), id)])
    assert notes.read(repo, id) == Note((long_line(notes.MAX_LINE_BYTES),), ignored=3)


def test_an_attestation_is_found_among_a_million_lines_of_rubbish(repo: Path) -> None:
    id = object_id(repo)
    commit_tree(repo, [("100644", blob(repo, b"rubbish\n" * 10**6 + line(1)), id)])
    started = time.process_time()
    assert notes.read(repo, id) == Note((line(1),), ignored=10**6)
    assert time.process_time() - started < 3


def test_more_lines_than_anyone_attests_are_not_kept_in_memory(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    id = object_id(repo)
    monkeypatch.setattr(notes, "MAX_NOTE_LINES", 10)
    commit_tree(repo, [("100644", blob(repo, b"\n".join(map(line, range(10))) + b"\n" + line(0)), id)])
    assert len(notes.read(repo, id).lines) == 10
    commit_tree(repo, [("100644", blob(repo, b"\n".join(map(line, range(11)))), id)])
    assert notes.read(repo, id) == Note(incomplete=True)


def test_notes_over_16_mib_on_an_object_are_incomplete_and_not_replaced(repo: Path) -> None:
    id, other = object_id(repo), object_id(repo, 1)
    most = b"\n" * notes.MAX_NOTE_BYTES
    good = ("100644", blob(repo, line(1)), other)
    commit_tree(repo, [("100644", blob(repo, most), id), good])
    assert notes.read(repo, id) == Note()
    for entries in ([(blob(repo, most + b"\n"), id)], [(blob(repo, most), id), (blob(repo, b"\n"), cut(id, 1))]):
        before = commit_tree(repo, [*(("100644", *entry) for entry in entries), good])
        assert dict(notes.read_many(repo, [id, other])) == {id: Note(incomplete=True), other: Note((line(1),))}
        with pytest.raises(Error, match=f"the note on {id} is too large to add to"):
            notes.append(repo, {id: [line(1)]}, "approve")
        assert notes.tip(repo) == before


def test_a_note_that_would_grow_beyond_16_mib_is_not_written(repo: Path) -> None:
    id = object_id(repo)
    before = commit_tree(repo, [("100644", blob(repo, b"x" * (notes.MAX_NOTE_BYTES - 10)), id)])
    with pytest.raises(Error, match="would have more than 16777216 bytes"):
        notes.append(repo, {id: [line(1)]}, "approve")
    assert notes.tip(repo) == before


def test_a_tree_too_large_to_be_honest_makes_its_notes_incomplete(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    id = object_id(repo)
    notes.append(repo, {id: [line(1)]}, "approve")
    monkeypatch.setattr(notes, "MAX_TREE_BYTES", 10)
    assert notes.read(repo, id) == Note(incomplete=True)


def test_a_note_missing_from_the_repository_is_incomplete_and_not_replaced(repo: Path) -> None:
    id = object_id(repo)
    commit_tree(repo, [("100644", "1" * hex_length(repo), cut(id, 1))])
    before = notes.tip(repo)
    assert notes.read(repo, id) == Note(incomplete=True)
    with pytest.raises(Error, match=f"the note on {id} is not in this repository"):
        notes.append(repo, {id: [line(1)]}, "approve")
    assert notes.tip(repo) == before


@pytest.mark.parametrize("bad", [b"", b"x", b"[]", b'{"a":\n1}', long_line(notes.MAX_LINE_BYTES + 1)],
                         ids=["empty", "text", "list", "two lines", "too long"])  # fmt: skip
def test_what_cannot_be_an_attestation_is_not_written(repo: Path, bad: bytes) -> None:
    with pytest.raises(ValueError, match="a line of a note is"):
        notes.append(repo, {object_id(repo): [bad]}, "approve")
    assert notes.tip(repo) is None


def test_nothing_is_written_while_a_push_is_being_received(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes.append(repo, {object_id(repo): [line(1)]}, "approve")
    git(repo, "update-ref", THEIRS, notes.NOTES_REF)
    monkeypatch.setenv("GIT_QUARANTINE_PATH", str(repo / ".git" / "incoming"))
    for write in (
        lambda: notes.append(repo, {object_id(repo): [line(2)]}, "approve"),
        lambda: notes.merge(repo, notes.NOTES_REF, THEIRS),
    ):
        with pytest.raises(Error, match="while a push is being received"):
            write()
    assert notes.read(repo, object_id(repo)).lines == (line(1),)


def test_a_commit_of_notes_is_by_the_user_and_never_signed(repo: Path, tmp_path: Path) -> None:
    program = tmp_path / "sign"
    program.write_text(f"#!/bin/sh\ntouch '{tmp_path}/signed'\nexit 1\n")
    program.chmod(0o755)
    for key, value in (("commit.gpgSign", "true"), ("gpg.format", "ssh"), ("gpg.ssh.program", str(program)),
                       ("user.signingKey", "auths:main"), ("user.name", "Zo\u00eb <Example>")):  # fmt: skip
        git(repo, "config", key, value)
    notes.append(repo, {object_id(repo): [line(1)]}, "approve")
    people = "Zo\u00eb Example <ada@example.com>"
    assert git(repo, "log", "-1", "--format=%an <%ae>%n%cn <%ce>", notes.NOTES_REF) == f"{people}\n{people}"
    assert b"gpgsig" not in run("git", "cat-file", "commit", notes.NOTES_REF, cwd=repo).stdout
    assert not (tmp_path / "signed").exists()


def test_without_a_name_the_commit_is_by_this_program(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    git(repo, "config", "user.useConfigOnly", "true")
    notes.append(repo, {object_id(repo): [line(1)]}, "approve")
    assert git(repo, "log", "-1", "--format=%an <%ae> %cn <%ce>", notes.NOTES_REF) == (
        "git-auths <git-auths@localhost> git-auths <git-auths@localhost>"
    )


def test_a_bare_repository_and_a_linked_worktree_have_notes_too(repo: Path, tmp_path: Path) -> None:
    run("git", "commit", "-q", "--allow-empty", "-m", "x", cwd=repo)
    id = git(repo, "rev-parse", "HEAD")
    run("git", "worktree", "add", "-q", "--detach", tmp_path / "linked", cwd=repo)
    assert notes.append(tmp_path / "linked", {id: [line(1)]}, "approve") == 1
    assert notes.read(repo, id).lines == (line(1),)
    run("git", "clone", "-q", "--mirror", repo, tmp_path / "bare.git")
    assert notes.append(tmp_path / "bare.git", {id: [line(2)]}, "approve") == 1
    assert notes.read(tmp_path / "bare.git", id).lines == (line(1), line(2))


def test_none_is_the_repository_that_the_caller_stands_in(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repo)
    notes.append(None, {object_id(repo): [line(1)]}, "approve")
    assert notes.read(None, object_id(repo)).lines == (line(1),)


@pytest.mark.parametrize("where", ["objects/pack", "refs/notes"])
def test_a_repository_that_cannot_be_written_is_one_error_at_once(
    repo: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notes, "MAX_TRIES", 1)  # trying again would end in another error
    place = repo / ".git" / where
    if place.exists():
        place.rmdir()
    place.touch()  # stops root too
    with pytest.raises(Error, match="git fast-import: "):
        notes.append(repo, {object_id(repo): [line(1)]}, "approve")
    assert notes.tip(repo) is None


WRITER = """
import sys
from pathlib import Path
from git_auths.store import notes
repo, writer, *ids = sys.argv[1:]
for number, id in enumerate(ids):
    notes.append(Path(repo), {id: [b'{"writer":%b,"number":%d}' % (writer.encode(), number)]}, "approve")
"""


def test_eight_processes_that_write_at_once_lose_nothing(repo: Path) -> None:
    # All on one object, so that each must have read what the one before it wrote.
    ids = [object_id(repo)] * 4 + [object_id(repo, 1)]
    command = [sys.executable, "-c", WRITER, str(repo)]
    writers = [subprocess.Popen([*command, str(n), *ids], stderr=subprocess.PIPE) for n in range(8)]
    for writer in writers:
        _, said = writer.communicate(timeout=60)
        assert writer.returncode == 0, said.decode()
    lines = [line for _, note in notes.read_many(repo, sorted(set(ids))) for line in note.lines]
    assert sorted(lines) == sorted(b'{"writer":%d,"number":%d}' % (w, n) for w in range(8) for n in range(5))
    assert git(repo, "rev-list", "--count", notes.NOTES_REF) == "40"
    assert not list((repo / ".git").glob("fast_import_crash*"))


def test_a_ref_that_moves_while_it_is_written_is_written_again(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    id = object_id(repo)
    identity = notes._identity

    def someone_is_faster(where: Path | None) -> bytes:
        monkeypatch.setattr(notes, "_identity", identity)
        notes.append(repo, {id: [line(1)]}, "faster")
        return identity(where)

    monkeypatch.setattr(notes, "_identity", someone_is_faster)
    assert notes.append(repo, {id: [line(2)]}, "slower") == 1
    assert notes.read(repo, id).lines == (line(1), line(2))
    assert git(repo, "log", "--format=%s", notes.NOTES_REF) == "slower\nfaster"


def test_a_lock_that_stays_ends_in_an_error(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "MAX_TRIES", 3)
    lock = repo / ".git" / "refs" / "notes" / "auths.lock"
    lock.parent.mkdir()
    lock.touch()
    with pytest.raises(Error, match="refs/notes/auths kept moving"):
        notes.append(repo, {object_id(repo): [line(1)]}, "approve")
    lock.unlink()
    assert notes.append(repo, {object_id(repo): [line(1)]}, "approve") == 1


def test_merging_a_ref_that_does_not_exist_changes_nothing(repo: Path) -> None:
    assert notes.merge(repo, notes.NOTES_REF, THEIRS) == 0
    assert notes.tip(repo) is None


def test_the_first_merge_takes_theirs_as_it_is(repo: Path) -> None:
    notes.append(repo, {object_id(repo): [line(1), line(2)]}, "approve", THEIRS)
    assert notes.merge(repo, notes.NOTES_REF, THEIRS) == 2
    assert notes.tip(repo) == notes.tip(repo, THEIRS)


def test_a_merge_fast_forwards_where_it_can(repo: Path) -> None:
    notes.append(repo, {object_id(repo): [line(1)]}, "approve")
    git(repo, "update-ref", THEIRS, notes.NOTES_REF)
    notes.append(repo, {object_id(repo): [line(2)], object_id(repo, 1): [line(3)]}, "approve", THEIRS)
    assert notes.merge(repo, notes.NOTES_REF, THEIRS) == 2
    assert notes.tip(repo) == notes.tip(repo, THEIRS)
    assert notes.merge(repo, notes.NOTES_REF, THEIRS) == 0


def test_merging_what_ours_contains_changes_nothing(repo: Path) -> None:
    notes.append(repo, {object_id(repo): [line(1)]}, "approve")
    git(repo, "update-ref", THEIRS, notes.NOTES_REF)
    notes.append(repo, {object_id(repo): [line(2)]}, "approve")
    ours = notes.tip(repo)
    assert notes.merge(repo, notes.NOTES_REF, THEIRS) == 0
    assert notes.tip(repo) == ours


@pytest.mark.parametrize("related", [True, False], ids=["related", "unrelated"])
def test_a_merge_is_the_union_of_lines(repo: Path, related: bool) -> None:
    both, mine, yours = (object_id(repo, number) for number in range(3))
    if related:
        notes.append(repo, {both: [line(0)]}, "approve")
        git(repo, "update-ref", THEIRS, notes.NOTES_REF)
    notes.append(repo, {both: [line(1)], mine: [line(2)]}, "approve")
    notes.append(repo, {both: [line(0), line(3)], yours: [line(4), line(5)]}, "approve", THEIRS)
    parents = [notes.tip(repo), notes.tip(repo, THEIRS)]
    assert notes.merge(repo, notes.NOTES_REF, THEIRS) == (3 if related else 4)
    assert git(repo, "log", "-1", "--format=%P", notes.NOTES_REF).split() == parents
    expected = {both: (line(0), line(1), line(3)), mine: (line(2),), yours: (line(4), line(5))}
    assert {id: note.lines for id, note in notes.read_many(repo, [both, mine, yours])} == expected


def test_a_line_that_one_side_removed_comes_back(repo: Path) -> None:
    id = object_id(repo)
    notes.append(repo, {id: [line(1), line(2)]}, "approve")
    ours = notes.tip(repo)
    assert ours
    emptied = commit_tree(repo, [("100644", blob(repo, line(2)), id)], ours, ref=THEIRS)
    assert notes.merge(repo, notes.NOTES_REF, THEIRS) == 0
    assert notes.read(repo, id).lines == (line(1), line(2))
    assert git(repo, "log", "-1", "--format=%P", notes.NOTES_REF).split() == [ours, emptied]
    notes.append(repo, {id: [line(3)]}, "approve")
    commit_tree(repo, [("100644", blob(repo, line(4)), id)], emptied, ref=THEIRS)
    assert notes.merge(repo, notes.NOTES_REF, THEIRS) == 1
    assert notes.read(repo, id).lines == (line(1), line(2), line(3), line(4))


def test_a_merge_finds_one_object_at_two_places(repo: Path) -> None:
    places = {object_id(repo, number): (number // 4, number % 4) for number in range(16)}
    for side, ref in enumerate((notes.NOTES_REF, THEIRS)):
        text = blob(repo, line(0) + b"\n" + line(side + 1))
        commit_tree(repo, [("100644", text, cut(id, places[id][side])) for id in places], ref=ref)
    assert notes.merge(repo, notes.NOTES_REF, THEIRS) == 16
    assert {note.lines for _, note in notes.read_many(repo, places)} == {(line(0), line(1), line(2))}
    assert paths(repo) == sorted(cut(id, 1) for id in places)


def test_a_merge_takes_no_rubbish_from_a_hostile_tree_and_keeps_ours(repo: Path) -> None:
    good, linked, module, huge, other = (object_id(repo, number) for number in range(5))
    text = blob(repo, line(1))
    ours = [("100644", text, "README"), ("100644", blob(repo, line(2) + b"\nby hand"), cut(huge, 1))]
    commit_tree(repo, ours)
    commit_tree(repo, [
        ("100644", text, "LICENSE"), ("100644", text, "ab/x\ny"), ("100644", text, "A" * hex_length(repo)),
        ("120000", text, cut(linked, 1)), ("160000", text, cut(module, 1)), ("100644", text, cut(other, 4)),
        ("100644", blob(repo, b"\n" * notes.MAX_NOTE_BYTES + line(3)), cut(huge, 1)),
        ("100644", blob(repo, b"rubbish\n\n" + line(1)), good),
    ], ref=THEIRS)  # fmt: skip
    assert notes.merge(repo, notes.NOTES_REF, THEIRS) == 1
    assert paths(repo) == sorted(["README", cut(huge, 1), cut(good, 1)])
    assert notes.read(repo, good) == Note((line(1),))
    assert notes.read(repo, huge) == Note((line(2),), ignored=1)


def test_a_union_of_more_than_16_mib_is_not_made(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "MAX_NOTE_BYTES", 20)
    id, other = object_id(repo), object_id(repo, 1)
    notes.append(repo, {id: [line(1)]}, "approve")
    notes.append(repo, {id: [line(2)], other: [line(3)]}, "approve", THEIRS)
    assert notes.merge(repo, notes.NOTES_REF, THEIRS) == 1
    assert dict(notes.read_many(repo, [id, other])) == {id: Note((line(1),)), other: Note((line(3),))}


def test_a_merge_keeps_our_history_even_where_theirs_has_all_lines(repo: Path) -> None:
    id = object_id(repo)
    notes.append(repo, {id: [line(1)]}, "approve")
    notes.append(repo, {id: [line(1), line(2)]}, "approve", THEIRS)
    parents = [notes.tip(repo), notes.tip(repo, THEIRS)]
    assert notes.merge(repo, notes.NOTES_REF, THEIRS) == 1
    assert git(repo, "log", "-1", "--format=%P", notes.NOTES_REF).split() == parents


def test_what_ours_cannot_read_theirs_repairs(repo: Path) -> None:
    id = object_id(repo)
    commit_tree(repo, [("100644", blob(repo, b"\n" * notes.MAX_NOTE_BYTES + line(1)), id)])
    notes.append(repo, {id: [line(2)]}, "approve", THEIRS)
    assert notes.merge(repo, notes.NOTES_REF, THEIRS) == 1
    assert notes.read(repo, id) == Note((line(2),))


def test_a_merge_of_more_than_anyone_attests_is_refused(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "MAX_MERGE_BYTES", 40)
    notes.append(repo, {object_id(repo, 9): [line(9)]}, "approve")
    ours = notes.tip(repo)
    notes.append(repo, {object_id(repo, n): [line(n)] for n in range(4)}, "approve", THEIRS)
    with pytest.raises(Error, match="bring more than 40 bytes; not merged"):
        notes.merge(repo, notes.NOTES_REF, THEIRS)
    assert notes.tip(repo) == ours


def test_a_merge_looks_at_differing_objects_only(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes.append(repo, {object_id(repo, number): [line(number)] for number in range(500)}, "approve")
    git(repo, "update-ref", THEIRS, notes.NOTES_REF)
    notes.append(repo, {object_id(repo, 600): [line(1)]}, "approve")
    notes.append(repo, {object_id(repo, 601): [line(2)]}, "approve", THEIRS)
    looked_at = []
    read = notes.Notes.read

    def spy(self: notes.Notes, id: str) -> Note:
        looked_at.append(id)
        return read(self, id)

    monkeypatch.setattr(notes.Notes, "read", spy)
    notes.merge(repo, notes.NOTES_REF, THEIRS)
    assert set(looked_at) == {object_id(repo, 600), object_id(repo, 601)}


class Anything:
    """A judge who takes every line, and lets none go."""

    def objection(self, object_id: str, line: bytes) -> str | None:
        return None

    def is_void(self, object_id: str, line: bytes) -> bool:
        return False


class Choosy:
    """A judge who takes only what is good, and lets only what is void go."""

    def objection(self, object_id: str, line: bytes) -> str | None:
        return None if b"good" in line else "has a bad line"

    def is_void(self, object_id: str, line: bytes) -> bool:
        return b"void" in line


LOST, UNREADABLE, NO_ATTESTATION = (
    "would lose an attestation",
    "is too large to be read",
    "has lines that are no attestations",
)


def test_to_added_lines_and_moved_notes_there_is_no_objection(repo: Path) -> None:
    id = object_id(repo)
    old = commit_tree(repo, [("100644", blob(repo, line(1)), id), ("100644", blob(repo, b"x"), "README")])
    notes.append(repo, {id: [line(2)], object_id(repo, 1): [line(1)]}, "approve")
    new = commit_tree(repo, [("100644", blob(repo, line(2) + b"\n\n" + line(1)), cut(id, 3))])
    assert list(notes.objections(repo, old, new, Anything())) == []
    assert list(notes.objections(repo, None, new, Anything())) == []


def test_each_note_that_loses_a_line_is_named(repo: Path) -> None:
    ids = [object_id(repo, number) for number in range(3)]
    text = b"\n".join((line(1), b"by hand", line(2)))
    old = commit_tree(repo, [("100644", blob(repo, text), cut(id, n)) for n, id in enumerate(ids)])
    new = commit_tree(repo, [("100644", blob(repo, line(2)), cut(ids[0], 1)),
                             ("120000", blob(repo, text), cut(ids[1], 1))], old)  # fmt: skip
    assert sorted(notes.objections(repo, old, new, Anything())) == sorted((id, LOST) for id in ids)


def test_a_loss_is_named_once_where_a_note_stood_at_two_places(repo: Path) -> None:
    id = object_id(repo)
    old = commit_tree(repo, [("100644", blob(repo, line(n)), cut(id, n)) for n in (0, 1, 3)])
    new = commit_tree(repo, [("100644", blob(repo, line(1)), cut(id, 1))], old)
    assert list(notes.objections(repo, old, new, Anything())) == [(id, LOST)]


def test_what_is_no_attestation_may_not_come_in_but_may_stay(repo: Path) -> None:
    id = object_id(repo)
    old = commit_tree(repo, [("100644", blob(repo, line(1) + b"\nby hand"), id)])
    worse = commit_tree(repo, [("100644", blob(repo, line(1) + b"\nby hand\nrubbish"), id)], old)
    more = commit_tree(repo, [("100644", blob(repo, line(1) + b"\nby hand\n" + line(2)), id)], old)
    assert list(notes.objections(repo, old, worse, Anything())) == [(id, NO_ATTESTATION)]
    assert list(notes.objections(repo, None, worse, Anything())) == [(id, NO_ATTESTATION)]
    assert list(notes.objections(repo, old, more, Anything())) == []


def test_a_note_may_not_be_buried_under_16_mib_and_may_be_dug_out(repo: Path) -> None:
    id = object_id(repo)
    old = commit_tree(repo, [("100644", blob(repo, line(1)), id)])
    new = commit_tree(repo, [("100644", blob(repo, line(1) + b"\n" * notes.MAX_NOTE_BYTES), id)], old)
    assert list(notes.objections(repo, old, new, Anything())) == [(id, UNREADABLE)]
    assert list(notes.objections(repo, new, old, Anything())) == []


def test_a_judge_is_asked_of_each_new_line_and_of_each_that_goes(repo: Path) -> None:
    good, bad, void = b'{"good":1}', b'{"bad":1}', b'{"void":1}'
    ids = [object_id(repo, number) for number in range(4)]
    before = [good + b"\n" + void, good + b"\n" + bad, bad, good]
    after = [good, good + b"\n" + bad + b"\n" + void, b'{"good":2}\n' + bad, void + b"\n" + good]
    old = commit_tree(repo, [("100644", blob(repo, text), id) for id, text in zip(ids, before, strict=True)])
    new = commit_tree(repo, [("100644", blob(repo, text), id) for id, text in zip(ids, after, strict=True)], old)
    assert dict(notes.objections(repo, old, new, Choosy())) == {ids[1]: "has a bad line", ids[3]: "has a bad line"}
    assert dict(notes.objections(repo, new, old, Choosy())) == {ids[0]: "has a bad line", ids[2]: LOST}


def test_a_text_that_stands_on_many_objects_is_sent_once(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []
    monkeypatch.setattr(notes.git, "run", lambda *args, stdin=b"", **more: sent.append(stdin) or b"")
    texts = [b'{"text":"%b"}' % (letter * 1000) for letter in (b"a", b"b")]
    notes.append(repo, {object_id(repo, number): [texts[number % 2]] for number in range(300)}, "attest")
    assert [sent[-1].count(text) for text in texts] == [1, 1]
    monkeypatch.undo()
    notes.append(repo, {object_id(repo, number): [texts[number % 2]] for number in range(300)}, "attest")
    assert [notes.read(repo, object_id(repo, number)).lines for number in (4, 299)] == [(texts[0],), (texts[1],)]


@pytest.mark.parametrize("size", [10, notes._SMALL_NOTE_BYTES + 1])
def test_notes_read_ahead_are_as_they_are_read_one_by_one(repo: Path, size: int) -> None:
    lines = {object_id(repo, n): b'{"n":%d,"x":"%b"}' % (n, b"x" * (size if n == 7 else 1)) for n in range(300)}
    raw = "".join(f"100644 blob {blob(repo, line)}\t{id}\n" for id, line in list(lines.items())[:12])
    gone = hashlib.new("sha256" if hex_length(repo) == 64 else "sha1", b"gone").hexdigest()
    raw += f"100644 blob {gone}\t{object_id(repo, 12)}\n"
    tree = git(repo, "mktree", "--missing", stdin=raw.encode())
    git(repo, "update-ref", notes.NOTES_REF, git(repo, "commit-tree", "-m", "x", tree))
    with notes.opened(repo) as there:
        there.read_ahead(lines)
        assert len(there._at_hand) == (12 if size == 10 else 11)
        notes_now = {id: there.read(id) for id in lines}
    assert notes_now == dict(notes.read_many(repo, lines))
    assert notes_now[object_id(repo, 12)] == Note(incomplete=True)
