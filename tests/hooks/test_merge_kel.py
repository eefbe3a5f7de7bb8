"""The merge driver auths-kel, as real merges and rebases run it"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.kels import GrowingLog
from tests.people import Person
from tests.realgit import run

UNSIGNED = ("-c", "commit.gpgSign=false")


class Branches:
    """Two branches, each with its own version of one log; `main` is checked out."""

    def __init__(self, ada: Person, base: bytes | None, ours: bytes, theirs: bytes) -> None:
        self.ada = ada
        self.file = ada.at / f".auths/kels/{GrowingLog().kel.aid}.cesr"
        if base is not None:
            self.write(base)
        ada.git("switch", "--quiet", "--create", "side")
        self.write(theirs)
        ada.git("switch", "--quiet", "main")
        self.write(ours)

    def write(self, log: bytes) -> None:
        self.file.write_bytes(log)
        self.ada.git("add", "--", self.file)
        self.ada.git(*UNSIGNED, "commit", "--quiet", "--no-verify", "-m", f"{len(log)} bytes")


@pytest.fixture
def log() -> GrowingLog:
    return GrowingLog().rotate().interact().rotate()


def upto(log: GrowingLog, events: int) -> bytes:
    return b"".join(log.messages[:events])


@pytest.mark.parametrize(("command", "ours", "theirs"), [
    (("merge", "--quiet", "side"), 2, 3), (("merge", "--quiet", "side"), 4, 3), (("rebase", "--quiet", "side"), 2, 3),
    (("rebase", "--quiet", "side"), 3, 2), (("cherry-pick", "side"), 2, 3),
])  # fmt: skip
def test_the_longer_log_is_taken(
    ada: Person, log: GrowingLog, command: tuple[str, ...], ours: int, theirs: int
) -> None:
    branches = Branches(ada, upto(log, 1), upto(log, ours), upto(log, theirs))
    done = ada.git(*UNSIGNED, *command, code=None)
    assert branches.file.read_bytes() == upto(log, max(ours, theirs))
    assert ada.git("ls-files", "--unmerged").stdout == "", done.stderr


def test_a_log_that_both_sides_added_is_merged_alike(ada: Person, log: GrowingLog) -> None:
    branches = Branches(ada, None, upto(log, 2), upto(log, 4))
    ada.git(*UNSIGNED, "merge", "--quiet", "side")
    assert branches.file.read_bytes() == log.stream


def test_a_fork_is_a_conflict_with_one_line_that_says_so(ada: Person, log: GrowingLog) -> None:
    branches = Branches(ada, upto(log, 1), upto(log, 2), GrowingLog().interact().stream)
    done = ada.git(*UNSIGNED, "merge", "side", code=1)
    path = branches.file.relative_to(ada.at)
    assert f"error: {path}: the two logs part at event 1: neither replaces the other\n" in done.stderr
    assert f"git checkout --ours -- {path} or git checkout --theirs -- {path}\n" in done.stderr
    assert branches.file.read_bytes() == upto(log, 2), "ours stays as it was"
    assert "CONFLICT" in done.stdout
    assert str(path) in ada.git("ls-files", "--unmerged").stdout


def test_a_path_with_spaces_and_quotes_reaches_the_driver_whole(ada: Person, log: GrowingLog) -> None:
    (ada.at / ".auths/.gitattributes").write_text("kels/** -text merge=auths-kel\n")
    ada.git("add", ".auths")
    branches = Branches(ada, upto(log, 1), upto(log, 2), GrowingLog().interact().stream)
    odd = ada.at / '.auths/kels/it\'s a "log".cesr'
    for branch, content in (("side", upto(log, 3)), ("main", b"rubbish")):
        ada.git("switch", "--quiet", branch)
        branches.file = odd
        branches.write(content)
    done = ada.git(*UNSIGNED, "merge", "side", code=1)
    assert 'error: .auths/kels/it\'s a "log".cesr: ' in done.stderr


def test_the_command_to_paste_quotes_the_path(tmp_path: Path) -> None:
    logs = tmp_path / "ours", tmp_path / "theirs"
    for file in logs:
        file.write_bytes(GrowingLog().interact().stream if file is logs[0] else GrowingLog().rotate().stream)
    module = (sys.executable, "-I", "-m", "git_auths.hooks.merge_kel")
    done = run(*module, "base", *map(str, logs), "a; b.cesr", code=1)
    assert b"git checkout --theirs -- 'a; b.cesr'" in done.stderr


def test_an_interpreter_that_is_gone_leaves_a_conflict(ada: Person, log: GrowingLog) -> None:
    driver = ada.git("config", "merge.auths-kel.driver").stdout.strip()
    ada.git("config", "merge.auths-kel.driver", f"/nowhere/python {driver.partition(' ')[2]}")
    Branches(ada, upto(log, 1), upto(log, 2), upto(log, 3))
    ada.git(*UNSIGNED, "merge", "side", code=1)


def test_a_clone_that_was_not_set_up_gets_gits_conflict_and_never_a_mixture(
    ada: Person, log: GrowingLog, tmp_path: Path
) -> None:
    """What the manual says of it: git merges as if it were text, and a log is one line."""
    branches = Branches(ada, upto(log, 1), upto(log, 2), upto(log, 3))
    ada.git("config", "--remove-section", "merge.auths-kel")
    done = ada.git(*UNSIGNED, "merge", "side", code=1)
    assert "CONFLICT" in done.stdout
    ada.git("checkout", "--theirs", "--", branches.file)
    assert branches.file.read_bytes() == upto(log, 3)


def test_a_folder_named_like_us_in_the_clone_is_not_imported(ada: Person, log: GrowingLog) -> None:
    evil = ada.at / "git_auths/hooks"
    evil.mkdir(parents=True)
    for file in (evil / "merge_kel.py", evil / "__init__.py", evil.parent / "__init__.py"):
        file.write_text("open('/dev/stderr', 'w').write('OWNED')\nraise SystemExit(0)\n")
    branches = Branches(ada, upto(log, 1), upto(log, 2), upto(log, 3))
    assert "OWNED" not in ada.git(*UNSIGNED, "merge", "side", PYTHONPATH=str(ada.at)).stderr
    assert branches.file.read_bytes() == upto(log, 3)


def test_decisions_of_both_sides_are_kept(ada: Person) -> None:
    adopted = ada.at / ".auths/adopted"
    ada.git("branch", "side")
    for branch, line in (("side", "2" * 40), ("main", "1" * 40)):
        ada.git("switch", "--quiet", branch)
        adopted.write_text(line + "\n")
        ada.git("add", "--", adopted)
        ada.git(*UNSIGNED, "commit", "--quiet", "--no-verify", "-m", branch)
    ada.git(*UNSIGNED, "merge", "--quiet", "side")
    assert sorted(adopted.read_text().splitlines()) == ["1" * 40, "2" * 40]


@pytest.mark.parametrize("arguments", [[], ["a", "b"]])
def test_called_by_hand_it_says_what_it_is(arguments: list[str]) -> None:
    done = run(sys.executable, "-I", "-m", "git_auths.hooks.merge_kel", *arguments, code=1)
    assert b"git runs it" in done.stderr
