from __future__ import annotations

import hashlib
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

from git_auths.errors import Error, Refusal
from git_auths.store import notes, notesync
from git_auths.store.git import GitFailed
from git_auths.store.notes import Note
from git_auths.store.notesync import Synced
from tests.realgit import run

ID, OTHER = "1" * 40, "2" * 40


def line(number: int) -> bytes:
    return b'{"number":%d}' % number


def git(repo: Path, *args: str) -> str:
    return run("git", *args, cwd=repo).stdout.decode().strip()


@pytest.fixture
def server(tmp_path: Path) -> Path:
    run("git", "init", "-q", "--bare", tmp_path / "server.git")
    return tmp_path / "server.git"


def clone(server: Path, name: str) -> Path:
    path = server.parent / name
    run("git", "clone", "-q", server, path)
    return path


@pytest.fixture
def ada(server: Path) -> Path:
    return clone(server, "ada")


@pytest.fixture
def bob(server: Path) -> Path:
    return clone(server, "bob")


def test_with_no_notes_anywhere_nothing_happens(ada: Path, server: Path) -> None:
    assert notesync.sync(ada, "origin") == Synced(0, 0, 0)
    assert notes.tip(ada) is None
    assert notes.tip(server) is None


def test_the_first_notes_travel_to_the_server_and_to_others(ada: Path, bob: Path, server: Path) -> None:
    notes.append(ada, {ID: [line(1), line(2)], OTHER: [line(3)]}, "approve")
    assert notesync.sync(ada, "origin") == Synced(received=0, sent=3, pushes=1)
    assert notes.tip(server) == notes.tip(ada)
    assert notesync.sync(bob, "origin") == Synced(received=3, sent=0, pushes=0)
    assert notes.tip(bob) == notes.tip(ada) == notes.tip(bob, "refs/notes/remotes/origin/auths")
    assert notesync.sync(bob, "origin") == Synced(0, 0, 0)


def test_two_people_who_approve_one_object_at_once_do_not_conflict(ada: Path, bob: Path, server: Path) -> None:
    notes.append(ada, {ID: [line(1)]}, "approve")
    notes.append(bob, {ID: [line(2)]}, "approve")
    assert notesync.sync(ada, "origin") == Synced(0, 1, 1)
    assert notesync.sync(bob, "origin") == Synced(1, 1, 1)
    assert notesync.sync(ada, "origin") == Synced(1, 0, 0)
    for repo in (ada, bob, server):
        assert notes.read(repo, ID) == Note((line(1), line(2)))


def test_sha256_repositories_sync(tmp_path: Path) -> None:
    for name in ("server", "ada", "bob"):
        run("git", "init", "-q", "--object-format=sha256", *(["--bare"] if name == "server" else []), tmp_path / name)
    for number, name in enumerate(("ada", "bob", "ada", "bob")):
        notes.append(tmp_path / name, {"1" * 64: [line(number)]}, "approve")
        notesync.sync(tmp_path / name, "../server")
    assert notes.read(tmp_path / "server", "1" * 64).lines == tuple(map(line, range(4)))


def test_whoever_was_slower_merges_and_pushes_again(ada: Path, bob: Path, server: Path,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    notes.append(ada, {ID: [line(1)]}, "approve")
    notes.append(bob, {ID: [line(2)]}, "approve")
    push = notesync.push
    rivals = iter([bob, bob])

    def bob_is_faster(repo: Path | None, remote: str, commit: str) -> str | None:
        for rival in rivals:
            notes.append(rival, {OTHER: [line(len(notes.read(rival, OTHER).lines))]}, "approve")
            notesync.fetch(rival, "origin")
            notes.merge(rival, notes.NOTES_REF, "refs/notes/remotes/origin/auths")
            assert push(rival, remote, notes.tip(rival) or "") is None
            break
        return push(repo, remote, commit)

    monkeypatch.setattr(notesync, "push", bob_is_faster)
    assert notesync.sync(ada, "origin") == Synced(received=3, sent=1, pushes=3)
    assert notes.read(server, ID).lines == (line(1), line(2))
    assert notes.read(server, OTHER).lines == (line(0), line(1))


def test_after_twenty_lost_races_it_says_so(ada: Path, bob: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes.append(ada, {ID: [line(1)]}, "approve")
    monkeypatch.setattr(notesync, "MAX_PAUSE_SECONDS", 0)
    pushes = []

    def never(repo: Path | None, remote: str, commit: str) -> str:
        pushes.append(commit)
        notes.append(bob, {OTHER: [line(len(pushes))]}, "approve")
        git(bob, "push", "-q", "-f", "origin", notes.NOTES_REF)
        return "! [rejected] (fetch first)"

    monkeypatch.setattr(notesync, "push", never)
    with pytest.raises(Error, match="others pushed attestations to origin all the time"):
        notesync.sync(ada, "origin")
    assert len(pushes) == notesync.MAX_TRIES


SYNCER = """
import sys
from pathlib import Path
from git_auths.store import notes, notesync
from git_auths.store.git import GitFailed
repo, writer, rounds, *ids = sys.argv[1:]
for number in range(int(rounds)):
    lines = {id: [b'{"writer":%b,"number":%d}' % (writer.encode(), number)] for id in ids}
    notes.append(Path(repo), lines, "approve")
    notesync.sync(Path(repo), "origin")
"""


def test_eight_clones_that_sync_at_once_lose_nothing(server: Path) -> None:
    clones = [clone(server, f"clone{number}") for number in range(8)]
    command = [sys.executable, "-c", SYNCER]
    started = [subprocess.Popen([*command, str(path), str(n), "2", ID, f"{n}" * 40], stderr=subprocess.PIPE)
               for n, path in enumerate(clones)]  # fmt: skip
    for process in started:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said.decode()
    for path in clones:
        notesync.sync(path, "origin")
        assert notes.tip(path) == notes.tip(server)
    lines = {n: [b'{"writer":%d,"number":%d}' % (n, number) for number in range(2)] for n in range(8)}
    assert sorted(notes.read(server, ID).lines) == sorted(chain.from_iterable(lines.values()))
    for n in set(range(8)) - {1}:
        assert sorted(notes.read(server, f"{n}" * 40).lines) == sorted(lines[n])


def test_a_server_that_drops_lines_gets_them_back(ada: Path, bob: Path, server: Path) -> None:
    notes.append(ada, {ID: [line(1)]}, "approve")
    notesync.sync(ada, "origin")
    git(server, "notes", "--ref=auths", "prune")  # the object is not there: its note goes
    assert notes.read(server, ID) == Note()
    assert notesync.sync(ada, "origin") == Synced(0, 1, 1)
    git(server, "update-ref", "-d", notes.NOTES_REF)
    assert notesync.sync(ada, "origin") == Synced(0, 1, 1)
    assert notes.read(server, ID).lines == (line(1),)


def hook(repo: Path, name: str, text: str) -> None:
    hooks = Path(git(repo, "rev-parse", "--absolute-git-dir")) / "hooks"
    hooks.mkdir(exist_ok=True)
    (hooks / name).write_text("#!/bin/sh\n" + text)
    (hooks / name).chmod(0o755)


def test_the_pre_push_hook_does_not_run_for_notes(ada: Path, server: Path, tmp_path: Path) -> None:
    hook(ada, "pre-push", f"touch '{tmp_path}/ran'; exit 1\n")
    notes.append(ada, {ID: [line(1)]}, "approve")
    assert notesync.sync(ada, "origin").sent == 1
    assert not (tmp_path / "ran").exists()


def test_it_syncs_from_within_a_hook(ada: Path, server: Path) -> None:
    run("git", "commit", "-q", "--allow-empty", "-m", "x", cwd=ada)
    notes.append(ada, {ID: [line(1)]}, "approve")
    code = 'from git_auths.store import notesync; notesync.sync(None, "origin")'
    package = Path(notesync.__file__).parents[2]
    hook(ada, "pre-push", f"PYTHONPATH='{package}' exec '{sys.executable}' -c '{code}'\n")
    run("git", "push", "-q", "origin", "HEAD:main", cwd=ada)
    assert notes.read(server, ID).lines == (line(1),)


def test_what_is_set_for_every_push_does_not_apply_to_notes(ada: Path, server: Path) -> None:
    for key, value in (("push.gpgSign", "true"), ("push.followTags", "true"), ("push.recurseSubmodules", "only"),
                       ("fetch.prune", "true"), ("user.signingKey", "auths:main"), ("gpg.format", "ssh")):  # fmt: skip
        git(ada, "config", key, value)
    notes.append(ada, {ID: [line(1)]}, "approve")
    git(ada, "-c", "user.signingKey=", "tag", "-a", "--no-sign", "-m", "x", "on-notes", notes.NOTES_REF)
    notesync.sync(ada, "origin")
    assert git(server, "for-each-ref", "--format=%(refname)") == notes.NOTES_REF


def test_a_server_that_refuses_is_reported_with_its_reason_and_not_asked_again(ada: Path, server: Path) -> None:
    hook(server, "pre-receive", f"echo 1 >>'{server}/asked'; printf 'no \\033[31mnotes here\\n' >&2; exit 1\n")
    notes.append(ada, {ID: [line(1)]}, "approve")
    with pytest.raises(Refusal, match=r"origin does not take the attestations: no .*notes here") as refused:
        notesync.sync(ada, "origin")
    assert refused.value.message.isprintable()
    assert (server / "asked").read_text() == "1\n"
    assert notes.read(ada, ID).lines == (line(1),)


def test_a_locked_ref_on_the_server_is_tried_again(ada: Path, server: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes.append(ada, {ID: [line(1)]}, "approve")
    lock = server / "refs" / "notes" / "auths.lock"
    lock.parent.mkdir()
    lock.touch()
    push = notesync.push
    reasons = []

    def unlocked_after_the_first(repo: Path | None, remote: str, commit: str) -> str | None:
        reasons.append(push(repo, remote, commit))
        lock.unlink(missing_ok=True)
        return reasons[-1]

    monkeypatch.setattr(notesync, "push", unlocked_after_the_first)
    assert notesync.sync(ada, "origin") == Synced(0, 1, 2)
    assert reasons[0]
    assert reasons[1] is None


def test_a_remote_that_is_not_there_is_an_error(ada: Path) -> None:
    notes.append(ada, {ID: [line(1)]}, "approve")
    commit = notes.tip(ada) or ""
    for remote in ("nowhere", "../nowhere.git", "--multiple"):
        with pytest.raises(GitFailed, match=f"git fetch {remote}: .*'{remote}'"):
            notesync.sync(ada, remote)
        with pytest.raises(GitFailed, match=f"git push {remote}: .*'{remote}'"):
            notesync.push(ada, remote, commit)
    assert notes.read(ada, ID).lines == (line(1),)


def test_a_remote_whose_notes_are_no_commit_does_no_harm(ada: Path, server: Path) -> None:
    notes.append(ada, {ID: [line(1)]}, "approve")
    blob = run("git", "hash-object", "-w", "--stdin", cwd=server, stdin=b"x").stdout.decode().strip()
    git(server, "update-ref", notes.NOTES_REF, blob)
    with pytest.raises(Refusal, match=r"origin does not take the attestations: ! \[rejected\]"):
        notesync.sync(ada, "origin")
    assert notes.read(ada, ID).lines == (line(1),)


@pytest.mark.parametrize("remote", ["https://example.com/x.git", "/srv/x.git", "../x", "host:x", "a b", "x.lock"])
def test_a_remote_without_a_name_has_a_tracking_ref_by_its_digest(ada: Path, remote: str) -> None:
    digest = hashlib.sha256(remote.encode()).hexdigest()[:16]
    assert notesync.tracking_ref(ada, remote) == f"refs/notes/remotes/{digest}/auths"


@pytest.mark.parametrize("remote", ["origin", "team/fork"])
def test_a_named_remote_has_a_tracking_ref_by_its_name(ada: Path, remote: str) -> None:
    assert notesync.tracking_ref(ada, remote) == f"refs/notes/remotes/{remote}/auths"


def test_a_partial_clone_gets_the_notes_whole_and_reads_them_offline(ada: Path, server: Path) -> None:
    git(server, "config", "uploadpack.allowFilter", "true")
    notes.append(ada, {ID: [line(1)]}, "approve")
    notesync.sync(ada, "origin")
    partial = server.parent / "partial"
    run("git", "clone", "-q", "--filter=blob:none", f"file://{server}", partial)
    notesync.fetch(partial, "origin")
    server.rename(server.parent / "gone")
    assert notes.merge(partial, notes.NOTES_REF, notesync.tracking_ref(partial, "origin")) == 1
    assert notes.read(partial, ID) == Note((line(1),))


def test_in_a_partial_clone_a_note_out_of_reach_is_never_replaced(ada: Path, server: Path) -> None:
    git(server, "config", "uploadpack.allowFilter", "true")
    notes.append(ada, {ID: [line(1)]}, "approve")
    notesync.sync(ada, "origin")
    partial = server.parent / "partial"
    run("git", "clone", "-q", "--filter=blob:none", f"file://{server}", partial)
    git(partial, "fetch", "-q", "origin", f"{notes.NOTES_REF}:{notes.NOTES_REF}")
    server.rename(server.parent / "gone")
    before = notes.tip(partial)
    with pytest.raises(Error):
        notes.append(partial, {ID: [line(2)]}, "approve")
    assert notes.tip(partial) == before
