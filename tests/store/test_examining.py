"""Reading and examining history, by worker processes too; what the verdicts are is tested in `attacks`."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from git_auths.core.facts import Facts, examine
from git_auths.core.gitobject import object_id
from git_auths.core.roottree import RootTrees
from git_auths.errors import Error, MissingObject
from git_auths.store import examining, history
from git_auths.store.examining import Dealer, examined
from git_auths.store.history import Raw
from tests.realgit import run

BATCH = 4
COMMITS = 43


@pytest.fixture(params=["sha1", "sha256"])
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """COMMITS commits in a row, each with a root tree of its own."""
    run("git", "init", "-q", f"--object-format={request.param}", tmp_path)
    grow(tmp_path, COMMITS)
    return tmp_path


def grow(repository: Path, number: int) -> None:
    stream = "".join(
        f"commit refs/heads/main\ncommitter A <a@example.com> {1700000000 + n} +0000\ndata 2\n{n % 10}\n"
        f"M 644 inline file{n}\ndata 1\nx\n"
        for n in range(number)
    )
    run("git", "-c", "fastimport.unpackLimit=1000000", "fast-import", "--quiet", cwd=repository, stdin=stream.encode())


def hex_length(repository: Path) -> int:
    return len(run("git", "rev-parse", "main", cwd=repository).stdout.strip())


def facts_of(repository: Path, *tips: str, behind: Iterable[str] = ()) -> list[Facts]:
    found = examined(tips or ["main"], behind, repository, hex_length(repository))
    return [facts for batch in found for facts in batch]


def ids(repository: Path, *arguments: str) -> list[str]:
    return run("git", "rev-list", *(arguments or ["main"]), cwd=repository).stdout.decode().split()


def one_by_one(repository: Path) -> list[Facts]:
    def read(name: str, kind: str) -> tuple[str, bytes]:
        raw = run("git", "cat-file", kind, name, cwd=repository).stdout
        return object_id(kind.encode(), raw, length), raw

    length = hex_length(repository)
    raws = [(*read(id, "commit"), *read(f"{id}^{{tree}}", "tree")) for id in ids(repository)]
    return examine(raws, length)


def no_process_is_left() -> bool:
    """Also true of a git that we started: who stops us stops them."""
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return True
    return False


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examining, "BATCH", BATCH)
    monkeypatch.setattr(examining, "WORKERS", 3)


@pytest.mark.usefixtures("workers")
def test_workers_find_what_one_process_finds_in_gits_order(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_workers = facts_of(repository)
    assert no_process_is_left()
    monkeypatch.setattr(examining, "BATCH", 1000)
    assert by_workers == facts_of(repository) == one_by_one(repository)
    assert [facts.id for facts in by_workers] == ids(repository)
    assert no_process_is_left()


@pytest.mark.usefixtures("workers")
@pytest.mark.parametrize("number", [0, 1, BATCH - 1, BATCH, BATCH + 1, 3 * BATCH, 3 * BATCH + 1])
def test_no_commit_is_lost_at_the_edge_of_a_batch(tmp_path: Path, number: int) -> None:
    run("git", "init", "-q", tmp_path)
    grow(tmp_path, number + 1)
    behind = [f"main~{number}"]
    assert [facts.id for facts in facts_of(tmp_path, behind=behind)] == ids(tmp_path, "main", f"^main~{number}")


@pytest.mark.usefixtures("workers")
def test_answers_that_no_pipe_can_hold_are_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def long_winded(raw: Iterable[Raw], hex_length: int, trees: RootTrees) -> list[Facts]:
        return [facts._replace(tree="x" * 100_000) for facts in examine(raw, hex_length, trees)]

    run("git", "init", "-q", tmp_path)
    grow(tmp_path, 30 * BATCH)
    monkeypatch.setattr(examining, "examine", long_winded)
    assert [facts.id for facts in facts_of(tmp_path)] == ids(tmp_path)


@pytest.mark.usefixtures("workers")
@pytest.mark.parametrize("behaviour", [lambda: os.kill(os.getpid(), signal.SIGKILL), lambda: os._exit(0)])
@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_worker_that_dies_is_an_error_not_a_shorter_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behaviour: Callable[[], None], after: int
) -> None:
    calls = []

    def dies(raw: Iterable[Raw], hex_length: int, trees: RootTrees) -> list[Facts]:
        calls.append(raw)
        if len(calls) > after:
            behaviour()
        return examine(raw, hex_length, trees)

    run("git", "init", "-q", tmp_path)
    grow(tmp_path, COMMITS)
    monkeypatch.setattr(examining, "examine", dies)
    with pytest.raises(Error, match="ended early") as caught:
        facts_of(tmp_path)
    assert caught.value.exit_code == 128
    assert no_process_is_left()


@pytest.mark.usefixtures("workers")
def test_what_goes_wrong_in_a_worker_goes_wrong_in_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> list[Facts]:
        raise ZeroDivisionError("in a worker")

    run("git", "init", "-q", tmp_path)
    grow(tmp_path, COMMITS)
    monkeypatch.setattr(examining, "examine", fails)
    with pytest.raises(ZeroDivisionError, match="in a worker"):
        facts_of(tmp_path)


@pytest.mark.parametrize("batch", [BATCH, 1000])
@pytest.mark.parametrize("at", [0, 7, COMMITS - 1])
def test_a_missing_or_damaged_tree_is_named_wherever_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int, at: int
) -> None:
    monkeypatch.setattr(examining, "BATCH", batch)
    run("git", "init", "-q", tmp_path)
    grow(tmp_path, COMMITS)
    tree = run("git", "rev-parse", f"main~{at}^{{tree}}", cwd=tmp_path).stdout.decode().strip()
    loose = tmp_path / ".git" / "objects" / tree[:2] / tree[2:]
    loose.chmod(0o600)
    loose.write_bytes(loose.read_bytes()[:-6])
    with pytest.raises(Error, match="cannot be read"):
        facts_of(tmp_path)
    loose.unlink()
    with pytest.raises(MissingObject, match=f"{tree} is missing or not a tree"):
        facts_of(tmp_path)
    assert no_process_is_left()


@pytest.mark.parametrize("batch", [BATCH, 1000])
def test_what_git_cannot_list_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    monkeypatch.setattr(examining, "BATCH", batch)
    run("git", "init", "-q", tmp_path)
    grow(tmp_path, COMMITS)
    with pytest.raises(Error, match="1" * 40):
        facts_of(tmp_path, "1" * 40)
    with pytest.raises(Error):
        facts_of(tmp_path, *["2" * 40] * 10_000)  # more than a pipe holds; git reads no further than the first
    commit = ids(tmp_path)[20]
    (tmp_path / ".git" / "objects" / commit[:2] / commit[2:]).unlink()
    with pytest.raises(Error, match=commit):
        facts_of(tmp_path)
    assert no_process_is_left()


@pytest.mark.usefixtures("workers")
def test_lines_that_were_not_dealt_to_their_end_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stops(self: Dealer) -> None:
        for pipe in self._pipes:
            pipe.close()

    run("git", "init", "-q", tmp_path)
    grow(tmp_path, COMMITS)
    monkeypatch.setattr(Dealer, "run", stops)
    with pytest.raises(Error, match="not every commit"):
        facts_of(tmp_path)


@pytest.mark.usefixtures("workers")
def test_who_stops_listening_leaves_nothing_behind(repository: Path) -> None:
    threads, files = threading.active_count(), len(os.listdir("/dev/fd"))
    for reason in (GeneratorExit, KeyboardInterrupt):
        answers = examined(["main"], [], repository, hex_length(repository))
        next(answers)
        with pytest.raises(reason):
            answers.throw(reason)
        assert no_process_is_left()
    assert (threading.active_count(), len(os.listdir("/dev/fd"))) == (threads, files)


def wrap_git(folder: Path, monkeypatch: pytest.MonkeyPatch, subcommand: str, then: str) -> None:
    """A git whose `subcommand` does something more at its end."""
    folder.mkdir()
    (folder / "git").write_text(f"""#!/bin/sh
for argument; do if [ "$argument" = {subcommand} ]; then '{shutil.which("git")}' "$@"; {then}; fi; done
exec '{shutil.which("git")}' "$@"
""")
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


@pytest.mark.usefixtures("workers")
def test_a_git_that_lists_slowly_does_not_hold_up_who_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("git", "init", "-q", tmp_path)
    grow(tmp_path, COMMITS)
    wrap_git(tmp_path / "bin", monkeypatch, "rev-list", "exec sleep 30")
    answers = examined(["main"], [], tmp_path, 40)
    next(answers)
    begun = time.monotonic()
    answers.close()
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("batch", [BATCH, 1000])
def test_a_git_that_ends_badly_after_the_last_object_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(examining, "BATCH", batch)
    run("git", "init", "-q", tmp_path)
    grow(tmp_path, COMMITS)
    wrap_git(tmp_path / "bin", monkeypatch, "cat-file", "echo fatal: no more >&2; exit 3")
    with pytest.raises(Error, match="no more"):
        facts_of(tmp_path)


def test_an_answer_of_git_that_is_cut_off_is_never_read_as_whole() -> None:
    commits = [Raw("1" * 40, b"one\n\n", "2" * 40, b""), Raw("3" * 40, b"", "4" * 40, b"four\n")]
    objects = [b"%b commit %d\n%b\n%b tree %d\n%b\n" % (raw.id.encode(), len(raw.commit), raw.commit, raw.tree_id.encode(),
               len(raw.tree), raw.tree) for raw in commits]  # fmt: skip
    whole = b"".join(objects)
    assert list(history._cut(io.BytesIO(whole))) == commits
    assert list(history._cut(io.BytesIO(objects[0]))) == commits[:1]
    for end in set(range(1, len(whole))) - {len(objects[0])}:
        with pytest.raises((EOFError, MissingObject)):
            list(history._cut(io.BytesIO(whole[:end])))


INTERRUPTED = """
import os, signal, sys
from pathlib import Path
from git_auths import guard
from git_auths.store import examining
examining.BATCH = 4

def verify():
    for batch in examining.examined(["main"], [], Path(sys.argv[1]), 40):
        os.killpg(0, signal.SIGINT)

sys.exit(guard.run(verify))
"""


def test_an_interrupt_from_the_keyboard_is_answered_once(tmp_path: Path) -> None:
    """A terminal sends it to every process: the workers, and git, have nothing to say."""
    run("git", "init", "-q", tmp_path)
    grow(tmp_path, 50 * BATCH)
    done = subprocess.run([sys.executable, "-c", INTERRUPTED, tmp_path], start_new_session=True, capture_output=True,
                          check=False)  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"error: interrupted\n")


@pytest.mark.parametrize(("bound", "kind"), [("MAX_OBJECT_BYTES", "commit"), ("MAX_TREE_BYTES", "tree")])
def test_of_an_object_over_its_bound_the_beginning_is_read_and_the_next_one_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, kind: str
) -> None:
    run("git", "init", "-q", tmp_path)
    grow(tmp_path, 3)
    listed = history.list_commits(["main"], [], tmp_path).stdout
    assert listed is not None
    monkeypatch.setattr(history, bound, 10)
    raws = list(history.read_commits(listed, tmp_path))
    assert [raw.id for raw in raws] == ids(tmp_path)
    for raw in raws:
        whole = run("git", "cat-file", kind, raw.id if kind == "commit" else raw.tree_id, cwd=tmp_path).stdout
        assert (raw.commit if kind == "commit" else raw.tree) == whole[:11]
        assert len(raw.commit) + len(raw.tree) > 22
