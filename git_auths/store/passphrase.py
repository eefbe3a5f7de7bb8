"""Opening a private key that a passphrase locks, and asking for a new one.

Where a passphrase comes from, in order: AUTHS_PASSPHRASE; the system's keyring, where the `keyring` package
is installed (service `git-auths`, the alias as the user name); then, as ssh asks (readpass.c in OpenSSH), the
terminal, or the program that SSH_ASKPASS names where there is no terminal or SSH_ASKPASS_REQUIRE prefers it.
git owns the standard streams, so the terminal is always /dev/tty.
"""

from __future__ import annotations

import os

from git_auths.core.opensshkey import (
    MAX_PASSPHRASE_BYTES,
    KeyInvalid,
    PrivateElsewhere,
    PrivateKey,
    WrongPassphrase,
    decrypt,
    unencrypted_private,
)
from git_auths.errors import Error
from git_auths.store.secrets import PASSPHRASE, Secrets, take_secrets

__all__ = ["Secrets", "Unlocked", "ask_new", "take_secrets", "unlock", "unlock_all"]

TYPE_CHECKING = False  # importing typing for its name would cost 9 ms
if TYPE_CHECKING:
    from collections.abc import Sequence

TRIES = 3
KEYRING_SERVICE = "git-auths"
TTY = "/dev/tty"


class Unlocked:
    """A key, and the passphrase that locks its file; None where none does."""

    __slots__ = ("passphrase", "private")

    def __init__(self, private: PrivateKey, passphrase: bytes | None) -> None:
        self.private = private
        self.passphrase = passphrase

    def __repr__(self) -> str:
        return f"<Unlocked {self.private.kind}>"


def unlock(alias: str, pem: bytes, secrets: Secrets) -> PrivateKey:
    """The key in the file `pem` of the identity `alias`; asks for its passphrase where it has one.

    Raises errors.Error: wrong or no passphrase, a damaged file.
    """
    return unlock_all(alias, [pem], secrets)[0].private


def unlock_all(alias: str, pems: Sequence[bytes], secrets: Secrets) -> list[Unlocked]:
    """The keys in the files `pems` of the identity `alias`, each with the passphrase that locks it.

    One that opens a file is tried on the others before anybody is asked again. Raises errors.Error like `unlock`.
    """
    opened: list[Unlocked] = []
    for pem in pems:
        known = [one.passphrase for one in opened if one.passphrase is not None]
        try:
            private = unencrypted_private(pem)
            opened.append(Unlocked(private, None) if private else _unlock_locked(alias, pem, secrets, known))
        except PrivateElsewhere:
            raise Error(f"the key file of '{alias}' has no private key: only an ssh-agent has it, or had it",
                        "outside of git auths agent run there is the whole key file") from None  # fmt: skip
        except KeyInvalid as error:
            raise Error(f"the key file of '{alias}' is damaged: {error}") from None
    return opened


def ask_new(alias: str, secrets: Secrets) -> bytes:
    """A passphrase for a new key: AUTHS_PASSPHRASE, or typed twice. Raises errors.Error where neither is."""
    if secrets.passphrase is not None:
        if len(secrets.passphrase) > MAX_PASSPHRASE_BYTES:
            raise Error(f"{PASSPHRASE} is longer than {MAX_PASSPHRASE_BYTES} bytes", "choose a shorter one")
        return secrets.passphrase
    hint = f"set {PASSPHRASE}, or leave the key file unencrypted: --no-passphrase"
    terminal = _open_terminal()
    if terminal is None:
        raise Error(f"no passphrase for the new key of '{alias}', and no terminal to ask on", hint)
    try:
        for _ in range(TRIES):
            first = _prompt(terminal, f"New passphrase for '{alias}': ")
            if not 0 < len(first) <= MAX_PASSPHRASE_BYTES:
                _say(terminal, f"It must have 1 to {MAX_PASSPHRASE_BYTES} bytes.\n")
            elif _prompt(terminal, "The same again: ") == first:
                return first
            else:
                _say(terminal, "They differ.\n")
    finally:
        os.close(terminal)
    raise Error(f"no passphrase for the new key of '{alias}'", hint)


def _unlock_locked(alias: str, pem: bytes, secrets: Secrets, known: Sequence[bytes]) -> Unlocked:
    for passphrase in dict.fromkeys(known):
        try:
            return _decrypted(pem, passphrase)
        except WrongPassphrase:
            pass  # this file has another one
    if secrets.passphrase is not None:
        try:
            return _decrypted(pem, secrets.passphrase)
        except WrongPassphrase:
            raise _wrong(alias, f"{PASSPHRASE} is not its passphrase") from None
    kept = _keyring_passphrase(alias)
    if kept is not None:
        try:
            return _decrypted(pem, kept)
        except WrongPassphrase:
            pass  # an old one: go on and ask
    return _unlock_by_asking(alias, pem)


def _unlock_by_asking(alias: str, pem: bytes) -> Unlocked:
    program = _askpass_program()
    terminal = None if program and _askpass_preferred() else _open_terminal()
    if terminal is not None:
        try:
            return _unlock_at_terminal(alias, pem, terminal)
        finally:
            os.close(terminal)
    if program is None:
        raise _locked(alias)
    typed = _run_askpass(program, f"Passphrase for '{alias}': ")
    if not typed:
        raise _locked(alias)
    try:
        return _decrypted(pem, typed)
    except WrongPassphrase:
        raise _wrong(alias, "wrong passphrase") from None


def _unlock_at_terminal(alias: str, pem: bytes, terminal: int) -> Unlocked:
    for _ in range(TRIES):
        typed = _prompt(terminal, f"Passphrase for '{alias}': ")
        if not typed:
            raise _locked(alias)
        try:
            return _decrypted(pem, typed)
        except WrongPassphrase:
            _say(terminal, "Wrong passphrase.\n")
    raise _wrong(alias, f"{TRIES} wrong passphrases")


def _decrypted(pem: bytes, passphrase: bytes) -> Unlocked:
    return Unlocked(decrypt(pem, passphrase), passphrase)


def _locked(alias: str) -> Error:
    hint = f"set {PASSPHRASE}, or run git auths unlock at a terminal"
    return Error(f"the key of '{alias}' is locked by a passphrase", hint)


def _wrong(alias: str, what: str) -> Error:
    hint = f"correct or unset {PASSPHRASE}" if what.startswith(PASSPHRASE) else "git auths unlock asks again"
    return Error(f"the key of '{alias}' stays locked: {what}", hint)


def _keyring_passphrase(alias: str) -> bytes | None:
    from importlib import import_module

    try:
        password = import_module("keyring").get_password(KEYRING_SERVICE, alias)
    except Exception:  # not installed, no backend, one that is locked or broken: they raise what they like
        return None
    return password.encode() if password else None


def _askpass_program() -> str | None:
    """SSH_ASKPASS, where ssh would run it at all: there is a display, or SSH_ASKPASS_REQUIRE is `force`."""
    required = os.environ.get("SSH_ASKPASS_REQUIRE", "").lower()
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if required == "never" or not (display or required == "force"):
        return None
    return os.environ.get("SSH_ASKPASS") or None


def _askpass_preferred() -> bool:
    return os.environ.get("SSH_ASKPASS_REQUIRE", "").lower() in ("force", "prefer")


def _run_askpass(program: str, prompt: str) -> bytes | None:
    """The first line that the program prints; None when it fails, which is how a dialog is cancelled."""
    import subprocess

    try:
        child = subprocess.Popen([program, prompt], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    except OSError as error:
        raise Error(f"cannot run SSH_ASKPASS, {program}: {error.strerror}", f"set {PASSPHRASE}") from None
    with child:
        typed = child.stdout.readline(MAX_PASSPHRASE_BYTES + 2) if child.stdout else b""
    return typed.rstrip(b"\r\n") if child.returncode == 0 else None


def _open_terminal() -> int | None:
    try:
        return os.open(TTY, os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return None


def _say(terminal: int, text: str) -> None:
    os.write(terminal, text.encode())


def _prompt(terminal: int, text: str) -> bytes:
    """One line typed without echo, empty at its end (^D). However it ends, the echo comes back."""
    import termios

    before = termios.tcgetattr(terminal)
    silent = termios.tcgetattr(terminal)
    silent[3] &= ~termios.ECHO
    for stops in (termios.VSUSP, termios.VQUIT):  # ^Z and ^\ would leave the shell without echo
        silent[6][stops] = bytes([os.fpathconf(terminal, "PC_VDISABLE")])
    try:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, silent)
        _say(terminal, text)
        return os.read(terminal, MAX_PASSPHRASE_BYTES + 2).rstrip(b"\r\n")
    finally:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
        _say(terminal, "\n")
