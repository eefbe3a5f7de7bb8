"""Damaged repositories, and programs that are stopped: a clear line, never a pass, and what is remembered stays right."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from git_auths.core import opensshkey
from tests.attacks.forge import Answer, Entry, Rule, World, accepted, approval, auths, envelope, kel_path
from tests.bench.signed_history import linear
from tests.people import Person, Project

PATHS = {
    "commit": "{0}",
    "root tree": "{0}^{{tree}}",
    "rules": "{0}:.auths",
    "policy": "{0}:.auths/policy.toml",
    "logs": "{0}:.auths/kels",
    "log": "{0}:{1}",
}


def cannot(answer: Answer) -> None:
    """No verdict on any commit but that the question stays open; one line that says why."""
    assert answer.code in (1, 128)
    errors = [line for line in answer.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "internal error" not in errors[0]
    if answer.code == 1:
        assert set(answer.verdicts.values()) == {"incomplete"}


def changed(world: World) -> str:
    """A commit whose rules, policy and one of whose logs are its own, with another on top as the mainline's tip."""
    everybody = [world.alice, world.bob, world.carol]
    files = {**world.files, **auths([Rule("commit", everybody), *world.rules[1:]], everybody)}
    commit = world.repo.commit(files, [world.tip], world.alice)
    world.advance(world.repo.commit({**files, "src": b"2"}, [commit], world.carol))
    return commit


def stored(world: World, what: str, commit: str) -> Path:
    """The file of a loose object."""
    id = world.repo.git("rev-parse", PATHS[what].format(commit, kel_path(world.carol)))
    return world.repo.path / ".git" / "objects" / id[:2] / id[2:]


@pytest.mark.parametrize("what", PATHS)
def test_without_an_object_there_is_no_verdict(world: World, what: str) -> None:
    """What history names is not here."""
    stored(world, what, changed(world)).unlink()
    cannot(world.repo.verify("main"))


@pytest.mark.parametrize("what", PATHS)
def test_a_damaged_object_gives_no_verdict(world: World, what: str) -> None:
    """Cut short, or with a byte changed."""
    file = stored(world, what, changed(world))
    raw = file.read_bytes()
    file.chmod(0o644)
    for damaged in (raw[: len(raw) // 2], raw[:-6] + bytes([raw[-6] ^ 1]) + raw[-5:]):
        file.write_bytes(damaged)
        cannot(world.repo.verify("main"))


@pytest.mark.parametrize("what", PATHS)
def test_an_object_that_is_exchanged_is_not_believed(world: World, what: str) -> None:
    """An object store that others write to: whole, well formed, and not what its name says. git reads it as if it were;
    Mallory's policy in the place of the one that Alice signed."""
    commit = changed(world)
    rules = [Rule("commit", [world.mallory]), Rule("admin", [world.mallory])]
    people = [world.alice, world.bob, world.carol]
    files = {**world.files, **auths(rules, [world.mallory], people), kel_path(world.carol): world.mallory.log.stream}
    theirs = world.repo.commit(files, [world.tip], world.mallory)
    file, other = stored(world, what, commit), stored(world, what, theirs)
    file.chmod(0o644)
    file.write_bytes(other.read_bytes())
    answer = world.repo.verify("main")
    if what in ("commit", "root tree"):
        assert answer.verdicts == {commit: "malformed"}
        assert "hash" in answer.objects[0]["reason"]
    else:
        cannot(answer)
        assert "hash" in answer.stderr


def test_an_object_under_a_rule_for_paths_is_not_believed_either(world: World) -> None:
    """The tree of a folder that a rule protects, as it was before Bob changed it."""
    rules = [*world.rules, Rule("commit", [world.alice], extra='paths = ["src/crypto/**"]')]
    files: dict[str, bytes | Entry] = {**world.files, **auths(rules, [world.alice, world.bob]), "src/crypto/aes": b"1"}
    del files["src"]
    scoped = world.repo.commit(files, [world.tip], world.alice)
    accepted(world.verify_at(scoped))
    bobs = world.advance(world.repo.commit({**files, "src/crypto/aes": b"2"}, [scoped], world.bob))
    ids = [world.repo.git("rev-parse", f"{commit}:src") for commit in (bobs, scoped)]
    file, other = (world.repo.path / ".git" / "objects" / id[:2] / id[2:] for id in ids)
    file.chmod(0o644)
    file.write_bytes(other.read_bytes())
    cannot(world.repo.verify("main"))


def test_a_corrupt_pack_gives_no_wrong_verdict(world: World) -> None:
    """A byte anywhere in it: the answer stays what it was, or there is none."""
    changed(world)
    world.repo.git("repack", "-adq")
    (world.repo.path / ".git" / "objects" / "info" / "alternates").unlink()
    for folder in (world.repo.path / ".git" / "objects").glob("??"):
        shutil.rmtree(folder)
    accepted(world.repo.verify("main"))
    (pack,) = (world.repo.path / ".git" / "objects" / "pack").glob("*.pack")
    pack.chmod(0o644)
    raw = pack.read_bytes()
    damaged = 0
    for at in range(12, len(raw) - 20, len(raw) // 16):
        pack.write_bytes(raw[:at] + bytes([raw[at] ^ 0x10]) + raw[at + 1 :])
        answer = world.repo.auths("verify", "--json", "main", env={"XDG_CACHE_HOME": "/dev/null/none"})
        if answer.code:
            damaged += 1
            cannot(answer)
    pack.write_bytes(raw[: len(raw) // 2])
    cannot(world.repo.auths("verify", "--json", "main", env={"XDG_CACHE_HOME": "/dev/null/none"}))
    assert damaged > 8
    pack.write_bytes(raw)
    accepted(world.repo.verify("main"))


def test_notes_that_cannot_be_read_approve_nothing(world: World) -> None:
    """The approval would be there, if its blob or tree were."""
    rules = [Rule("commit", [world.alice, world.bob], 2), *world.rules[1:]]
    files = {**world.files, **auths(rules, [world.alice, world.bob])}
    tip = world.repo.commit(files, [world.tip], world.alice)
    tip = world.repo.commit({**files, "src": b"2"}, [tip], world.alice)
    world.repo.notes({tip: [envelope(world.bob, approval(world.bob, world.root, tip))]})
    accepted(world.verify_at(tip))
    for name in ("refs/notes/auths^{tree}", f"refs/notes/auths:{tip[:2]}/{tip[2:]}"):
        id = world.repo.git("rev-parse", name)
        file = world.repo.path / ".git" / "objects" / id[:2] / id[2:]
        raw = file.read_bytes()
        file.unlink()
        cold = world.repo.auths("verify", "--json", "main", env={"XDG_CACHE_HOME": "/dev/null/none"})
        assert cold.code != 0
        assert "internal error" not in cold.stderr
        file.write_bytes(raw)


# Whole programs, on a history that is long enough to be examined by several processes and to be remembered


class Long:
    """Ada's repository with over a thousand commits, and a cache of its own."""

    def __init__(self, ada: Person, cache: Path) -> None:
        self.ada = ada
        self.cache = cache
        self.environment = {**ada.environment, "XDG_CACHE_HOME": str(cache)}

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(command or ["git-auths", "verify"], cwd=self.ada.at, env=self.environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                start_new_session=True)  # fmt: skip

    def run(self, *command: str) -> Answer:
        process = self.start(*command)
        stdout, stderr = process.communicate(timeout=60)
        return Answer(process.returncode, stdout, stderr)

    def judge(self, before: str = "") -> Answer:
        """`git auths verify --json`; `before` is a command of the shell."""
        return self.run("sh", "-c", f"{before}\nexec git-auths verify --json")

    def files(self) -> list[Path]:
        return [path for path in self.cache.rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def grown(template: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = template.copied(tmp_path_factory.mktemp("grown"))
    ada = project.ada
    ada.git("remote", "remove", "origin")
    key = opensshkey.unencrypted_private((ada.home / "auths" / "identities" / "main" / "current").read_bytes())
    assert key is not None
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ada.environment.items():
            patch.setenv(name, value)
        linear(ada.at, key, 1100)
    return project


@pytest.fixture
def long(grown: Project, tmp_path: Path) -> Long:
    return Long(grown.copied(tmp_path / "long").ada, tmp_path / "cache")


def in_session(session: int) -> dict[str, str]:
    """The living processes of a session: process id -> command line."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.getsid(int(pid)) == session and Path("/proc", pid, "stat").read_text().rpartition(")")[2][1] != "Z":
                found[pid] = Path("/proc", pid, "cmdline").read_text().replace("\0", " ")
    return found


def awaited(condition: Callable[[], bool], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.001)
    return True


@pytest.mark.parametrize("whole_group", [True, False], ids=["by the terminal", "by kill -INT"])
@pytest.mark.parametrize("warm", [False, True])
def test_an_interrupted_run_leaves_nothing_behind(long: Long, warm: bool, whole_group: bool) -> None:
    """^C while git lists and reads: exit 130, a line, no process, no file; what was remembered is as it was."""
    if warm:
        assert long.run().code == 0
    remembered = {path: path.read_bytes() for path in long.files()}
    for _ in range(10):
        process = long.start()
        reading = awaited(lambda process=process: process.poll() is not None or any(
            "cat-file" in command or "rev-list" in command for command in in_session(process.pid).values()
        ))  # fmt: skip
        assert reading
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if whole_group else os.kill)(process.pid, signal.SIGINT)
        stdout, stderr = process.communicate(timeout=20)
        assert awaited(lambda process=process: not in_session(process.pid))
        if process.returncode != 0:  # else it was faster than we
            break
    assert (process.returncode, stdout, stderr) == (130, "", "error: interrupted\n")
    assert {path: path.read_bytes() for path in long.files()} == remembered
    answer = long.judge()
    assert (answer.code, answer.objects) == (0, [])


def test_a_killed_run_leaves_no_half_of_a_file(long: Long) -> None:
    """kill -9 at several moments: the next run is right, and remembers."""
    for pause in range(4):
        process = long.start()
        awaited(lambda process=process, pause=pause: process.poll() is not None or len(in_session(process.pid)) > pause)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    accepted(long.judge())
    assert long.judge().document["cached"] > 1000


@contextlib.contextmanager
def meanwhile(long: Long, script: str) -> Iterator[None]:
    process = long.start("sh", "-c", f"while :; do\n{script}\ndone")
    try:
        yield
        assert process.poll() is None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_gc_and_pushes_meanwhile_change_no_answer(long: Long) -> None:
    """Packs are rewritten, refs are packed, the mainline goes on from good tip to good tip: each answer is good."""
    tip = long.ada.head()
    long.ada.git("update-ref", "refs/heads/kept", tip)
    long.ada.git("reset", "--quiet", "--hard", "main~100")
    script = """ahead=$((ahead - 1)); git update-ref refs/heads/main "kept~$ahead" || exit
                git gc --quiet --prune=now; git repack -adfq; git pack-refs --all"""
    checked = []
    with meanwhile(long, "ahead=${ahead-100}\n" + script):
        for number in range(6):
            answer = long.judge(f"export XDG_CACHE_HOME={long.cache}/{number // 2}")
            assert (answer.code, answer.objects) == (0, []), answer.stderr
            checked.append(answer.document["checked"])
    assert checked == sorted(checked)
    assert checked[0] < checked[-1]


def warned(answer: Answer) -> None:
    (line,) = answer.stderr.splitlines()
    assert line.startswith("warning: ")
    assert "remembered for the next run: cannot write " in line


def test_a_full_disk_changes_no_answer(long: Long) -> None:
    """The answer stands, with a warning; no half of a file is left, and the older one stays whole."""
    full = "ulimit -f 16"  # in 512 bytes
    answer = long.judge(full)
    assert (answer.code, answer.document["ok"]) == (0, True)
    warned(answer)
    assert long.files() == []
    accepted(long.judge())
    (file,) = long.files()
    remembered = file.read_bytes()
    newer = long.ada.commit("newer")
    answer = long.judge(full)
    assert (answer.code, answer.document["ok"], answer.document["mainline"]) == (0, True, newer)
    assert answer.document["cached"] > 1000
    assert (long.files(), file.read_bytes()) == ([file], remembered)


@pytest.mark.parametrize("obstacle", ["a file", "below a file", "a link to nothing", "of the system"])
def test_where_no_cache_can_be_the_answer_stands(world: World, tmp_path: Path, obstacle: str) -> None:
    """The cache's folder is a file, or cannot be made."""
    base = tmp_path / "base"
    base.mkdir()
    (base / "file").touch()
    if obstacle == "a file":
        (base / "git-auths").touch()
    elif obstacle == "a link to nothing":
        (base / "git-auths").symlink_to("/nonexistent/at/all")
    folder = {"below a file": base / "file", "of the system": Path("/proc")}.get(obstacle, base)
    answer = world.repo.auths("verify", "--json", "main", env={"XDG_CACHE_HOME": str(folder)})
    accepted(answer)
    warned(answer)
    bad = world.advance(world.work([world.tip], None))
    answer = world.repo.auths("verify", "--json", "main", env={"XDG_CACHE_HOME": str(folder)})
    assert (answer.code, answer.verdicts) == (1, {bad: "unsigned"})


def test_a_reader_that_leaves_is_no_crash(long: Long) -> None:
    """`git auths verify --json --verbose | head -c 1`."""
    done = long.run("sh", "-c", "git-auths verify --porcelain --verbose | head -c 1")
    assert (done.code, done.stdout) == (0, "g")
    assert "Traceback" not in done.stderr
    assert json.loads(long.judge().stdout)["ok"] is True
