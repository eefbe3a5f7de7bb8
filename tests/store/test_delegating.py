"""git_auths.store.delegating: what is cut off goes on, and what cannot be sealed is not."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from git_auths import main
from git_auths.core import delegation, kelbuild, seals
from git_auths.core.kel import replay
from git_auths.core.kelstream import messages
from git_auths.errors import Error, Refusal
from git_auths.store import delegating, granting, keystore
from git_auths.store.repository import Repository
from git_auths.store.secrets import Secrets
from tests.kels import GrowingLog, commitments, keys, signatures, signer
from tests.people import Person
from tests.store.test_crash_safety import KILLED, in_child, kill, never

NEW = ["agent", "new", "fixer"]


class Desk:
    """Ada's machine, in this process."""

    def __init__(self, ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ada, self.before = ada, ada.home.with_name("before")
        self.keep()
        for name, value in ada.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(ada.at)

    def keep(self) -> None:
        shutil.rmtree(self.before, ignore_errors=True)
        shutil.copytree(self.ada.home, self.before, symlinks=True)

    def restore(self) -> None:
        os.chdir("/")
        shutil.rmtree(self.ada.home)
        shutil.copytree(self.before, self.ada.home, symlinks=True)
        os.chdir(self.ada.at)

    def place(self) -> granting.Place:
        return granting.place(Repository())

    def owner(self) -> keystore.Identity:
        return keystore.load("main")


@pytest.fixture
def desk(ada: Person, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(ada, monkeypatch)


def kept_quiet(*arguments: str) -> Callable[[], object]:
    def action() -> object:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            return main.dispatch(list(arguments))

    return action


def killed(call: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A file may be half written; what goes to git through a pipe arrives or does not (pipe(7), PIPE_BUF)."""
    if name != "write" or stat.S_ISREG(os.fstat(args[0]).st_mode):
        kill(call, name, args, kwargs)
    os._exit(KILLED)


def require_one_agent(desk: Desk, said: set[str]) -> None:
    """Ada's log has sealed one agent by one event, and HEAD has that agent and its grant. `said` is of the agent's
    inception, as far as one was on the disk before."""
    stream = keystore.read_kel(desk.owner())
    log = replay(stream)
    fixer = keystore.load("fixer")
    assert said <= {fixer.aid}
    assert (log.sn, [aid for aid, _, _ in log.sealed]) == (1, [fixer.aid])
    place = desk.place()
    assert [(one.did, one.state) for one in delegating.delegates(place, "agent", None, 0)] == [
        (f"did:keri:{fixer.aid}", "active")
    ]
    assert delegating.recorded_log(place, log.aid) == stream
    assert delegating.recorded_log(place, fixer.aid) == keystore.read_kel(fixer)
    assert granting.waiting(desk.owner(), place) == {}


class Nth:
    """Picks the call number `number` of those between which the disk is in different states: what a kill at any other
    leaves is the same, but for temporary files."""

    def __init__(self, number: int) -> None:
        self._left = number

    def __call__(self, name: str, _: int) -> bool:
        self._left -= name in ("rename", "unlink", "rmdir")
        return self._left == 0


def test_a_killed_agent_new_goes_on_with_the_same_agent(desk: Desk) -> None:
    for number in itertools.count(1):
        code, _ = in_child(kept_quiet(*NEW), Nth(number), killed)
        if code != KILLED:
            break
        there = {keystore.load("fixer").aid} if "fixer" in keystore.aliases() else set()
        code, _ = in_child(kept_quiet(*NEW), never, killed)
        if code != 0:  # whatever it had to do was done, but to say so
            code, _ = in_child(kept_quiet("agent", "list"), never, killed)
        assert code == 0, number
        require_one_agent(desk, there)
        desk.restore()
    assert code == 0
    assert number > 10
    require_one_agent(desk, set())


def test_a_killed_approval_goes_on_with_the_same_request(desk: Desk) -> None:
    owner, file = f"did:keri:{desk.owner().aid}", str(desk.ada.home / "request")
    desk.ada.auths("device", "add", "--owner", owner, "--alias", "laptop", "--no-passphrase", "--output", file,
                   cwd=desk.ada.home)  # fmt: skip
    approve = kept_quiet("device", "approve", file, "--yes")
    desk.keep()
    laptop = keystore.load("laptop").aid
    for number in itertools.count(1):
        code, _ = in_child(approve, Nth(number), killed)
        if code != KILLED:
            break
        assert in_child(approve, never, killed)[0] == 0, number
        log = replay(keystore.read_kel(desk.owner()))
        assert (log.sn, [aid for aid, _, _ in log.sealed]) == (1, [laptop])
        [device] = delegating.delegates(desk.place(), "device", None, 0)
        assert (device.did, device.state) == (f"did:keri:{laptop}", "active")
        desk.restore()
    assert code == 0
    assert number > 5


def test_an_identity_made_once_is_the_same_again(desk: Desk) -> None:
    owner = desk.owner().aid
    made = delegating.make("laptop", owner, {"kind": "device"}, Secrets(), unencrypted=True)
    again = delegating.make("laptop", owner, {"kind": "device"}, Secrets(), unencrypted=True)
    assert (again.aid, again.current_blob) == (made.aid, made.current_blob)
    for other_owner, kind in ((made.aid, "device"), (owner, "agent")):
        with pytest.raises(Error, match="there is an identity 'laptop'"):
            delegating.make("laptop", other_owner, {"kind": kind}, Secrets(), unencrypted=True)


def test_a_delegate_waits_until_its_log_names_its_seal(desk: Desk) -> None:
    owner = desk.owner()
    laptop = delegating.make("laptop", owner.aid, {"kind": "device"}, Secrets(), unencrypted=True)
    assert delegating.waiting(owner) is None
    message = delegating.waiting(laptop)
    assert message is not None
    assert not delegating.is_recorded(desk.place().folder, message)
    delegating.issue(desk.place(), "main", [message], [], Secrets(), "Add it")
    delegating.settle("laptop", desk.place())
    assert delegating.waiting(laptop) is None
    [settled] = messages(keystore.read_kel(laptop))
    assert settled.attachments.source is not None


def test_a_seal_that_stands_is_not_made_twice(desk: Desk) -> None:
    laptop = delegating.make("laptop", desk.owner().aid, {"kind": "device"}, Secrets(), unencrypted=True)
    for _ in range(2):
        issued = delegating.issue(desk.place(), "main", [delegating.inception(laptop)], [], Secrets(), "Add it")
    assert issued.sealed.kel.sn == 1
    assert issued.commit is None


def test_who_was_revoked_is_not_sealed_again(desk: Desk) -> None:
    laptop = delegating.make("laptop", desk.owner().aid, {"kind": "device"}, Secrets(), unencrypted=True)
    message = delegating.inception(laptop)
    delegating.issue(desk.place(), "main", [message], [], Secrets(), "Add it")
    granting.issue(desk.place(), "main", [], Secrets(), "Remove it", anchors=[seals.revocation(laptop.aid)])
    log = granting.own_log(desk.owner(), desk.place().folder)
    with pytest.raises(Refusal, match="was revoked, by event 2"):
        delegating.require_sealable(desk.place(), log, message)


def test_a_rotation_of_somebody_unknown_is_not_sealed(desk: Desk) -> None:
    owner, number = GrowingLog(), 50
    event = kelbuild.rotation(GrowingLog(2, delegator=owner).kel, keys([signer(number)]), commitments([signer(number)]))
    message = delegation.read(kelbuild.with_signatures(event, signatures(event, [signer(number)])))
    with pytest.raises(Refusal, match="HEAD has no log of"):
        delegating.require_sealable(desk.place(), granting.own_log(desk.owner(), desk.place().folder), message)


def test_the_home_is_another_one_for_a_while(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for before in (str(tmp_path), None):
        monkeypatch.delenv("AUTHS_HOME", raising=False)
        if before is not None:
            monkeypatch.setenv("AUTHS_HOME", before)
        with delegating.home_at("/elsewhere"):
            assert keystore.home() == "/elsewhere"
        assert os.environ.get("AUTHS_HOME") == before
        with delegating.home_at(None):
            assert os.environ.get("AUTHS_HOME") == before
