"""Passphrases: where they come from, in which order, and that they go nowhere else."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import termios
from pathlib import Path

import pytest

import git_auths
from git_auths.core import opensshkey
from git_auths.errors import Error
from git_auths.store import passphrase
from git_auths.store.passphrase import Secrets, ask_new, take_secrets, unlock
from tests.realgit import run

PASSPHRASE = "correct horse"
PACKAGE = Path(git_auths.__file__).parent.parent


@pytest.fixture(scope="session")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key file under PASSPHRASE, quick to open."""
    path = tmp_path_factory.mktemp("locked") / "key"
    run("ssh-keygen", "-q", "-t", "ed25519", "-a", "1", "-N", PASSPHRASE, "-f", path)
    return path


@pytest.fixture(autouse=True)
def without_terminal_and_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have both."""
    monkeypatch.setattr(passphrase, "TTY", "/nonexistent/tty")
    monkeypatch.setitem(sys.modules, "keyring", None)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)


# The environment


def test_every_secret_leaves_the_environment_and_is_kept() -> None:
    environ = {
        "AUTHS_PASSPHRASE": "p", "AUTHS_PRIVATE_KEY": "k", "AUTHS_FORGE_TOKEN": "f", "AUTHS_X_SECRET": "x",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "a", "ACTIONS_ID_TOKEN_REQUEST_URL": "https://", "AUTHS_HOME": "/h",
        "PATH": "/bin", "NPM_TOKEN": "n",
    }  # fmt: skip
    secrets = take_secrets(environ)
    assert environ == {
        "ACTIONS_ID_TOKEN_REQUEST_URL": "https://", "AUTHS_HOME": "/h", "PATH": "/bin", "NPM_TOKEN": "n",
    }  # fmt: skip
    assert (secrets.passphrase, secrets.private_key, secrets.private_key_fd) == (b"p", b"k", None)
    assert secrets.tokens == {
        "AUTHS_FORGE_TOKEN": "f", "AUTHS_X_SECRET": "x", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "a",
    }  # fmt: skip
    assert repr(secrets) == "<Secrets>"


@pytest.mark.parametrize("name", [
    "GITLAB_OIDC_TOKEN", "SIGSTORE_ID_TOKEN", "VAULT_ID_TOKEN", "CI_JOB_JWT", "CI_JOB_JWT_V1", "CI_JOB_JWT_V2",
    "CIRCLE_OIDC_TOKEN", "CIRCLE_OIDC_TOKEN_V2", "BITBUCKET_STEP_OIDC_TOKEN",
])  # fmt: skip
def test_the_cis_tokens_for_other_services_leave_the_environment(name: str) -> None:
    environ = {name: "t"}
    assert take_secrets(environ).tokens == {name: "t"}
    assert environ == {}


def test_the_tokens_that_git_itself_may_fetch_and_push_by_stay() -> None:
    environ = {"CI_JOB_TOKEN": "j", "GITHUB_TOKEN": "g"}
    assert take_secrets(environ).tokens == {}
    assert environ == {"CI_JOB_TOKEN": "j", "GITHUB_TOKEN": "g"}


def test_a_child_process_inherits_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTHS_PASSPHRASE", "s3cret")
    monkeypatch.setenv("AUTHS_PRIVATE_KEY", "s3cret")
    take_secrets()
    assert b"s3cret" not in run("env").stdout


def test_the_descriptor_of_a_key_is_closed_to_children() -> None:
    read_end, write_end = os.pipe()
    try:
        os.set_inheritable(read_end, True)
        environ = {"AUTHS_PRIVATE_KEY_FD": str(read_end)}
        assert take_secrets(environ).private_key_fd == read_end
        assert environ == {}
        assert not os.get_inheritable(read_end)
    finally:
        os.close(read_end)
        os.close(write_end)


@pytest.mark.parametrize("value", ["x", "-1", "3.0", "٣", "1" * 30])
def test_a_descriptor_that_is_no_number_is_none_that_could_be_read(value: str) -> None:
    assert take_secrets({"AUTHS_PRIVATE_KEY_FD": value}).private_key_fd == -1


def test_a_descriptor_that_is_not_open_is_left_to_who_needs_it() -> None:
    assert take_secrets({"AUTHS_PRIVATE_KEY_FD": "999999"}).private_key_fd == 999999


def test_an_empty_variable_is_none() -> None:
    secrets = take_secrets({"AUTHS_PASSPHRASE": "", "AUTHS_PRIVATE_KEY": "", "AUTHS_PRIVATE_KEY_FD": ""})
    assert (secrets.passphrase, secrets.private_key, secrets.private_key_fd) == (None, None, None)


def test_a_passphrase_need_not_be_text() -> None:
    assert take_secrets({"AUTHS_PASSPHRASE": os.fsdecode(b"\xff\xfe")}).passphrase == b"\xff\xfe"


# Opening a key


def test_a_key_without_passphrase_is_opened_without_asking() -> None:
    pem = opensshkey.serialize(opensshkey.generate(), None, "")
    assert unlock("main", pem, Secrets()).public_blob == opensshkey.public_blob(pem)


def test_the_passphrase_of_the_environment_opens_the_key(locked: Path) -> None:
    pem = locked.read_bytes()
    private = unlock("main", pem, Secrets(PASSPHRASE.encode()))
    assert private.public_blob == opensshkey.public_blob(pem)


def test_a_wrong_passphrase_in_the_environment_is_named_and_nothing_else_is_tried(
    locked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    askpass(tmp_path, monkeypatch, PASSPHRASE)
    with pytest.raises(Error) as caught:
        unlock("main", locked.read_bytes(), Secrets(b"wrong"))
    assert caught.value.message == "the key of 'main' stays locked: AUTHS_PASSPHRASE is not its passphrase"
    assert not (tmp_path / "asked").exists()


def test_without_any_source_the_error_names_the_ways_out(locked: Path) -> None:
    with pytest.raises(Error) as caught:
        unlock("main", locked.read_bytes(), Secrets())
    assert caught.value.message == "the key of 'main' is locked by a passphrase"
    assert caught.value.hint == "set AUTHS_PASSPHRASE, or run git auths unlock at a terminal"


@pytest.mark.parametrize("given", [None, b"x"])
def test_a_damaged_file_is_no_wrong_passphrase(given: bytes | None) -> None:
    with pytest.raises(Error, match="damaged: not an OpenSSH private key file"):
        unlock("main", b"damaged", Secrets(given))


# The keyring


def keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    """A `keyring` package whose answer for the right service and user is the expression `answer`."""
    package = tmp_path / "site"
    package.mkdir()
    (package / "keyring.py").write_text(
        f"def get_password(service, user):\n    assert (service, user) == ('git-auths', 'main')\n    return {answer}\n"
    )
    monkeypatch.delitem(sys.modules, "keyring")
    monkeypatch.syspath_prepend(package)


def test_the_keyring_opens_the_key_before_anyone_is_asked(
    locked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    askpass(tmp_path, monkeypatch, PASSPHRASE)
    keyring(tmp_path, monkeypatch, repr(PASSPHRASE))
    unlock("main", locked.read_bytes(), Secrets())
    assert not (tmp_path / "asked").exists()


@pytest.mark.parametrize("answer", ["None", "''", "'an old one'", "1 / 0"])
def test_a_keyring_that_does_not_help_is_passed_by(
    answer: str, locked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring(tmp_path, monkeypatch, answer)
    askpass(tmp_path, monkeypatch, PASSPHRASE)
    unlock("main", locked.read_bytes(), Secrets())
    assert (tmp_path / "asked").exists()


# SSH_ASKPASS


def askpass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, code: int = 0) -> None:
    """A program for SSH_ASKPASS, with a display; it writes its prompt to the file `asked`."""
    program = tmp_path / "askpass"
    program.write_text(f"#!/bin/sh\nprintf %s \"$1\" >'{tmp_path}/asked'\necho '{answer}'\nexit {code}\n")
    program.chmod(0o700)
    monkeypatch.setenv("SSH_ASKPASS", str(program))
    monkeypatch.setenv("DISPLAY", ":0")


def test_askpass_opens_the_key_and_shows_whose(locked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    askpass(tmp_path, monkeypatch, PASSPHRASE)
    unlock("main", locked.read_bytes(), Secrets())
    assert (tmp_path / "asked").read_text() == "Passphrase for 'main': "


@pytest.mark.parametrize(
    ("display", "wayland", "require", "runs"),
    [
        (":0", None, None, True), (None, "wayland-0", None, True), (None, None, None, False),
        ("", "", None, False), (None, None, "force", True), (None, None, "FORCE", True),
        (None, None, "prefer", False), (":0", None, "prefer", True), (":0", None, "never", False),
    ],
)  # fmt: skip
def test_askpass_runs_where_ssh_would_run_it(
    display: str | None,
    wayland: str | None,
    require: str | None,
    runs: bool,
    locked: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    askpass(tmp_path, monkeypatch, PASSPHRASE)
    monkeypatch.delenv("DISPLAY")
    for name, value in (("DISPLAY", display), ("WAYLAND_DISPLAY", wayland), ("SSH_ASKPASS_REQUIRE", require)):
        if value is not None:
            monkeypatch.setenv(name, value)
    if runs:
        unlock("main", locked.read_bytes(), Secrets())
    else:
        with pytest.raises(Error, match="is locked by a passphrase"):
            unlock("main", locked.read_bytes(), Secrets())
    assert (tmp_path / "asked").exists() == runs


@pytest.mark.parametrize(
    ("answer", "code", "reason"),
    [
        ("wrong", 0, "wrong passphrase"), (PASSPHRASE, 1, "is locked"), ("", 0, "is locked"),
        ("x" * 100_000, 0, "locked"),
    ],
)  # fmt: skip
def test_a_wrong_or_cancelled_answer_of_askpass_is_final(
    answer: str, code: int, reason: str, locked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    askpass(tmp_path, monkeypatch, answer, code)
    with pytest.raises(Error, match=reason):
        unlock("main", locked.read_bytes(), Secrets())


def test_an_askpass_that_does_not_exist_is_named(locked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_ASKPASS", "/nonexistent/askpass")
    monkeypatch.setenv("DISPLAY", ":0")
    with pytest.raises(Error, match="cannot run SSH_ASKPASS, /nonexistent/askpass: No such file"):
        unlock("main", locked.read_bytes(), Secrets())


# The terminal: a real one, whose other side the test holds


PRELUDE = """
import fcntl, json, os, sys, termios
terminal = os.open(sys.argv[1], os.O_RDWR)
fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
sys.modules["keyring"] = None
from git_auths.errors import Error
from git_auths.store.passphrase import Secrets, ask_new, unlock
def tell(result):
    print(json.dumps(result), flush=True)
try:
"""
CLOSE = """
except Error as error:
    tell(["error", error.message])
except KeyboardInterrupt:
    tell(["interrupted", bool(termios.tcgetattr(terminal)[3] & termios.ECHO)])
"""
UNLOCK = "    tell(['opened', unlock('main', open(sys.argv[2], 'rb').read(), Secrets()).kind])"
ASK_NEW = "    tell(['chosen', ask_new('main', Secrets()).decode()])"


class Terminal:
    """A terminal on which the program `body` runs, with standard streams that are not the terminal, as under git."""

    def __init__(self, body: str, *arguments: str) -> None:
        self.master, self.slave = pty.openpty()
        self.seen = b""
        self.awaited = 0
        self.program = subprocess.Popen(
            [sys.executable, "-c", PRELUDE + body + CLOSE, os.ttyname(self.slave), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(PACKAGE), os.environ.get("PYTHONPATH", "")])},
        )

    def wait_for(self, text: bytes) -> None:
        """Read what is shown until `text` has come, after what was waited for last."""
        while text not in self.seen[self.awaited :]:
            assert select.select([self.master], [], [], 20)[0], self.seen
            self.seen += os.read(self.master, 1024)
        self.awaited = self.seen.index(text, self.awaited) + len(text)

    def type(self, text: bytes) -> None:
        os.write(self.master, text)

    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)

    def result(self) -> list[object]:
        out, _ = self.program.communicate(timeout=20)
        while select.select([self.master], [], [], 0)[0]:
            self.seen += os.read(self.master, 1024)
        os.close(self.master)
        os.close(self.slave)
        return list(json.loads(out))


PROMPT = b"Passphrase for 'main': "


def test_the_terminal_is_asked_without_echo(locked: Path) -> None:
    terminal = Terminal(UNLOCK, str(locked))
    terminal.wait_for(PROMPT)
    assert not terminal.echoes()
    terminal.type(PASSPHRASE.encode() + b"\r")
    terminal.wait_for(b"\n")
    assert terminal.echoes()
    assert terminal.result() == ["opened", "ssh-ed25519"]
    assert terminal.seen == PROMPT + b"\r\n"


def test_the_terminal_is_asked_three_times(locked: Path) -> None:
    terminal = Terminal(UNLOCK, str(locked))
    for attempt in (b"one", b"two", b"three"):
        terminal.wait_for(PROMPT)
        terminal.type(attempt + b"\n")
        terminal.wait_for(b"Wrong passphrase.")
    assert terminal.result() == ["error", "the key of 'main' stays locked: 3 wrong passphrases"]


def test_the_third_try_may_be_right(locked: Path) -> None:
    terminal = Terminal(UNLOCK, str(locked))
    for attempt in (b"one", b"two", PASSPHRASE.encode()):
        terminal.wait_for(PROMPT)
        terminal.type(attempt + b"\n")
    assert terminal.result() == ["opened", "ssh-ed25519"]


@pytest.mark.parametrize("key", [b"\n", b"\x04"])
def test_an_empty_line_or_its_end_gives_up(key: bytes, locked: Path) -> None:
    terminal = Terminal(UNLOCK, str(locked))
    terminal.wait_for(PROMPT)
    terminal.type(key)
    assert terminal.result() == ["error", "the key of 'main' is locked by a passphrase"]


def test_an_interrupt_restores_the_echo(locked: Path) -> None:
    terminal = Terminal(UNLOCK, str(locked))
    terminal.wait_for(PROMPT)
    terminal.type(b"half a pass\x03")
    assert terminal.result() == ["interrupted", True]


def test_the_keys_that_would_leave_the_terminal_without_echo_are_off(locked: Path) -> None:
    terminal = Terminal(UNLOCK, str(locked))
    terminal.wait_for(PROMPT)
    special = termios.tcgetattr(terminal.slave)[6]
    off = bytes([os.fpathconf(terminal.slave, "PC_VDISABLE")])
    assert (special[termios.VSUSP], special[termios.VQUIT]) == (off, off)
    terminal.type(b"\n")
    terminal.wait_for(b"\n")
    assert termios.tcgetattr(terminal.slave)[6][termios.VSUSP] == b"\x1a"
    terminal.result()


def test_the_terminal_comes_before_askpass_as_with_ssh(
    locked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    askpass(tmp_path, monkeypatch, "wrong")
    terminal = Terminal(UNLOCK, str(locked))
    terminal.wait_for(PROMPT)
    terminal.type(PASSPHRASE.encode() + b"\n")
    assert terminal.result()[0] == "opened"
    assert not (tmp_path / "asked").exists()


@pytest.mark.parametrize("require", ["prefer", "force"])
def test_askpass_comes_before_the_terminal_where_it_is_preferred(
    require: str, locked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    askpass(tmp_path, monkeypatch, PASSPHRASE)
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", require)
    terminal = Terminal(UNLOCK, str(locked))
    assert terminal.result()[0] == "opened"
    assert terminal.seen == b""


# A new passphrase


def test_a_new_passphrase_of_the_environment_is_taken_without_asking() -> None:
    assert ask_new("main", Secrets(b"new")) == b"new"


def test_a_new_passphrase_that_could_not_be_used_is_refused() -> None:
    with pytest.raises(Error, match="longer than 1024 bytes"):
        ask_new("main", Secrets(b"x" * 1025))


def test_without_terminal_and_environment_both_ways_out_are_named() -> None:
    with pytest.raises(Error) as caught:
        ask_new("main", Secrets())
    assert "AUTHS_PASSPHRASE" in str(caught.value.hint)
    assert "--no-passphrase" in str(caught.value.hint)


def test_a_new_passphrase_is_typed_twice() -> None:
    terminal = Terminal(ASK_NEW)
    for prompt in (b"New passphrase for 'main': ", b"The same again: "):
        terminal.wait_for(prompt)
        assert not terminal.echoes()
        terminal.type("grüße\n".encode())
    assert terminal.result() == ["chosen", "grüße"]
    assert b"gr" not in terminal.seen


def test_passphrases_that_differ_or_are_empty_are_asked_for_again() -> None:
    terminal = Terminal(ASK_NEW)
    for prompt, answer in (
        (b"New", b"one"), (b"again", b"two"), (b"New", b""), (b"New", b"three"), (b"again", b"three"),
    ):  # fmt: skip
        terminal.wait_for(prompt + (b" passphrase for 'main': " if prompt == b"New" else b": "))
        terminal.type(answer + b"\n")
    assert terminal.result() == ["chosen", "three"]
    assert b"They differ." in terminal.seen


def test_whoever_cannot_type_the_same_twice_gets_no_key() -> None:
    terminal = Terminal(ASK_NEW)
    for _ in range(3):
        terminal.wait_for(b"New passphrase for 'main': ")
        terminal.type(b"one\n")
        terminal.wait_for(b"again: ")
        terminal.type(b"two\n")
    assert terminal.result() == ["error", "no passphrase for the new key of 'main'"]


def test_a_file_without_its_private_key_is_told_from_a_damaged_one() -> None:
    pem = opensshkey.without_private(opensshkey.generate().public_blob)
    with pytest.raises(Error, match="only an ssh-agent has it"):
        unlock("fixer", pem, Secrets())
