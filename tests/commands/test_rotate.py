"""git auths rotate"""

from __future__ import annotations

import os
import shutil
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest

from git_auths.core import kelbuild, opensshkey, seals
from git_auths.core.delegation import PREFIX
from git_auths.core.kel import Kel, replay
from git_auths.core.kelstream import SealSource, messages
from git_auths.store import keyevents, keystore
from git_auths.store.secrets import Secrets
from tests.kels import GrowingLog
from tests.people import Person, Project
from tests.realgit import run
from tests.store import test_crash_safety as crash

UPDATE = "git auths kel update"


def folder(person: Person) -> Path:
    return person.home / "auths/identities/main"


def log(person: Person) -> Kel:
    return replay((folder(person) / "kel.cesr").read_bytes())


def recorded(person: Person, revision: str = "HEAD") -> Kel:
    return replay(person.git("show", f"{revision}:.auths/kels/{log(person).aid}.cesr").stdout.encode())


def faults(person: Person, *what: str) -> dict[str, str]:
    """The verdicts that are not good, by commit."""
    return {one["id"]: one["verdict"] for one in person.ask("verify", *what)["objects"]}


@pytest.fixture
def loner(newcomer: Person) -> Person:
    """Somebody with an identity, in no repository."""
    newcomer.auths("init", "--no-passphrase")
    return newcomer


# Outside of a repository


def test_the_next_key_becomes_current_and_the_old_one_is_put_by(loner: Person) -> None:
    old, following = ((folder(loner) / name).read_bytes() for name in ("current", "next"))
    done = loner.auths("rotate")
    assert done.stdout == f"{log(loner).did}\n"
    assert [event.ilk for event in log(loner).events] == ["icp", "rot"]
    assert (folder(loner) / "current").read_bytes() == following
    assert (folder(loner) / "previous/0").read_bytes() == old
    assert "current from event 1 on: SHA256:" in done.stderr
    assert f"the next key is in {folder(loner)}/next" in done.stderr
    assert done.stderr.endswith(f"by: {UPDATE}\n")


def test_the_new_next_key_goes_where_it_is_told(loner: Person) -> None:
    loner.auths("rotate", "--next-key", "stick")
    assert (loner.home / "stick").read_bytes().startswith(b"-----BEGIN OPENSSH PRIVATE KEY-----")
    assert not (folder(loner) / "next").exists()
    loner.auths("rotate")
    assert log(loner).sn == 2


def test_another_identity_is_rotated_by_its_alias(loner: Person) -> None:
    loner.auths("init", "--no-passphrase", "--alias", "work", "--curve", "p256", "--keys", "2", "--threshold", "1/2")
    loner.auths("rotate", "--alias", "work")
    assert log(loner).sn == 0
    assert replay((folder(loner).parent / "work/kel.cesr").read_bytes()).sn == 1
    assert "no identity 'none'" in loner.auths("rotate", "--alias", "none", code=128).stderr


def test_openssh_reads_what_lies_there_afterwards(newcomer: Person) -> None:
    newcomer.auths("init", AUTHS_PASSPHRASE="correct horse")
    newcomer.auths("rotate", AUTHS_PASSPHRASE="correct horse")
    for name in ("current", "next", "previous/0"):
        run("ssh-keygen", "-y", "-P", "correct horse", "-f", folder(newcomer) / name)
    done = newcomer.auths("rotate", code=128)
    assert "AUTHS_PASSPHRASE" in done.stderr
    assert log(newcomer).sn == 1


def test_an_agent_that_held_the_old_key_has_forgotten_it(loner: Person) -> None:
    script = "ssh-add -q {key} && git auths rotate && ssh-add -l || true"
    done = run("ssh-agent", "sh", "-c", script.format(key=folder(loner) / "current"), env=loner.environment)
    assert b"ssh-agent has forgotten the old key\nhint: git auths unlock" in done.stderr
    assert b"The agent has no identities." in done.stdout


def test_without_key_derivation_it_takes_less_than_half_a_second(ada: Person) -> None:
    def seconds() -> float:
        """Of all processes, and of the processor: another program may have the machine meanwhile."""
        before = os.times()
        ada.auths("rotate")
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    assert min(seconds() for _ in range(3)) < 0.5


# In a repository


def test_the_growth_is_committed_by_the_new_key_and_all_stays_good(ada: Person) -> None:
    ada.commit()
    done = ada.auths("rotate")
    assert f"committed here: {ada.head()}" in done.stderr
    assert recorded(ada) == log(ada)
    assert ada.git("status", "--porcelain").stdout == ""
    key = ada.git("log", "-1", "--format=%GF").stdout.strip()
    assert f"current from event 1 on: {key}" in done.stderr
    ada.commit()
    assert ada.ask("verify")["ok"]


def test_what_is_staged_beside_it_stays_staged(ada: Person) -> None:
    (ada.at / "half").write_text("done")
    ada.git("add", "half")
    ada.auths("rotate")
    assert ada.git("status", "--porcelain").stdout == "A  half\n"
    assert ada.ask("verify")["ok"]


def test_a_repository_that_does_not_know_the_identity_is_left_alone(loner: Person) -> None:
    loner.at = loner.home / "work"
    loner.git("init", "--quiet", loner.at, cwd=loner.home)
    assert UPDATE in loner.auths("rotate").stderr
    assert loner.git("status", "--porcelain").stdout == ""
    assert log(loner).sn == 1


def test_where_nothing_can_be_committed_the_rotation_stands(ada: Person) -> None:
    ada.git("checkout", "--quiet", "--detach")
    done = ada.auths("rotate")
    assert "warning: rotated, but not committed here: HEAD is detached" in done.stderr
    assert UPDATE in done.stderr
    assert (log(ada).sn, recorded(ada).sn) == (1, 0)


@pytest.mark.parametrize("branch", ["main", "old"])
def test_a_log_that_was_continued_elsewhere_is_not_forked(ada: Person, branch: str) -> None:
    ada.git("branch", "old")
    rotated_and_restored(ada)
    ada.git("switch", "--quiet", branch)
    done = ada.auths("rotate", code=1)
    assert f"{'HEAD' if branch == 'main' else 'refs/heads/main'} has events" in done.stderr
    assert "would fork it" in done.stderr
    assert log(ada).sn == 0


@pytest.mark.parametrize("branch", ["main", "old"])
def test_a_loss_is_declared_at_a_fork_too_and_that_it_is_not_committed_is_said(ada: Person, branch: str) -> None:
    ada.git("branch", "old")
    rotated_and_restored(ada)
    ada.git("switch", "--quiet", branch)
    head = ada.head()
    done = ada.auths("rotate", "--compromised", "--receive")
    where = "HEAD" if branch == "main" else "refs/heads/main"
    assert f"warning: the log in {where} has events that this machine does not know" in done.stderr
    assert f"warning: rotated, but not committed here: the log in {where} has gone on" in done.stderr
    assert f"hint: git auths kel show {log(ada).did}" in done.stderr
    assert isinstance(seals.parse(log(ada).events[1].anchors[0]), seals.Compromise)
    assert (log(ada).sn, ada.head()) == (1, head)


def rotated_and_restored(person: Person) -> None:
    """Rotate, and bring back a backup of before."""
    kept = {name: (folder(person) / name).read_bytes() for name in ("current", "next", "kel.cesr")}
    person.auths("rotate")
    for name, content in kept.items():
        (folder(person) / name).write_bytes(content)


# Compromised


def test_a_stolen_key_is_declared_and_signs_nothing_more(ada: Person) -> None:
    before = ada.commit()
    shutil.copytree(folder(ada), ada.home / "stolen")
    began_at = int(time.time())
    assert "declared compromised" in ada.auths("rotate", "--compromised").stderr
    [declared] = log(ada).events[1].anchors
    parsed = seals.parse(declared)
    assert isinstance(parsed, seals.Compromise)
    assert (parsed.sn, parsed.said) == (0, log(ada).aid)
    assert began_at <= parsed.at_seconds <= time.time()
    assert ada.ask("verify")["ok"]
    shutil.rmtree(folder(ada))
    (ada.home / "stolen").rename(folder(ada))
    ada.git("config", "auths.enforceOnSign", "false")
    ada.git("switch", "--quiet", "--create", "topic", before)
    by_thief = ada.commit()
    assert faults(ada, "topic")[by_thief] == "compromised-key"


@pytest.mark.parametrize("form", ["number", "digest"])
def test_the_first_event_in_doubt_and_the_time_can_be_given(loner: Person, form: str) -> None:
    loner.auths("rotate")
    first = log(loner).events[0]
    since = "0" if form == "number" else first.said
    loner.auths("rotate", "--compromised", "--since", since, "--at", "2026-01-31T12:00:00Z")
    at = int(datetime(2026, 1, 31, 12, tzinfo=timezone.utc).timestamp())
    [declared] = log(loner).events[2].anchors
    assert seals.parse(declared) == seals.Compromise(0, first.said, at)


def test_the_event_that_introduced_the_key_is_the_default(loner: Person) -> None:
    loner.auths("rotate")
    loner.auths("rotate", "--compromised", "--at", "2026-01-31")
    [declared] = log(loner).events[2].anchors
    assert declared == {"auths": "compromise/1", "s": "1", "d": log(loner).events[1].said, "t": "2026-01-31T00:00:00Z"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--since", "0"), "belong to --compromised"),
        (("--at", "2026-01-31"), "belong to --compromised"),
        (("--receive",), "belong to --compromised"),
        (("--compromised", "--since", "1"), "is no event"),
        (("--compromised", "--since", "-1"), "is no event"),
        (("--compromised", "--since", "x"), "is no event"),
        (("--compromised", "--at", "2999-01-01"), "later than now"),
        (("--compromised", "--at", "0001-01-01"), "before there were such keys"),
        (("--compromised", "--at", "1999-12-31"), "before there were such keys"),
        (("--compromised", "--at", "yesterday"), "is no time"),
        (("--compromised", "--at", "2026-01-31T12:00:00"), "is no time"),
        (("--compromised", "--at", "2026-02-30"), "is no time"),
    ],
)
def test_wrong_usage_is_told_and_nothing_is_rotated(loner: Person, arguments: tuple[str, ...], said: str) -> None:
    done = loner.auths("rotate", *arguments, code=129)
    assert said in done.stderr
    assert "hint: " in done.stderr
    assert log(loner).sn == 0


@pytest.fixture(scope="module")
def duo_template(template: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return template.copied(tmp_path_factory.mktemp("rotated")).with_bob("commit", "release")


@pytest.fixture
def duo(duo_template: Project, tmp_path: Path) -> Project:
    """Ada and Bob commit and release, each alone; Ada is the admin."""
    return duo_template.copied(tmp_path)


def test_receipts_are_offered_for_what_rests_on_no_key_that_is_lost(duo: Project) -> None:
    ada, bob = duo.ada, duo.bob
    for person, name in ((ada, "by-ada"), (bob, "by-bob")):
        person.git("tag", "-s", "-m", "A release", name)
    ada.git("fetch", "--quiet", bob.at, "refs/tags/by-bob:refs/tags/by-bob")
    done = ada.auths("rotate", "--compromised", "--receive")
    id = ada.git("rev-parse", "by-bob").stdout.strip()
    assert f"receive refs/tags/by-bob {id}" in done.stderr.splitlines()
    assert ada.git("show", ":.auths/received").stdout == f"refs/tags/by-bob {id}\n"
    ada.git("commit", "--quiet", "-m", "Receive")
    ada.git("push", "--quiet")
    assert ada.ask("verify-tag", "by-bob")["ok"]


def test_who_wants_no_receipts_gets_none(ada: Person) -> None:
    ada.git("tag", "-s", "-m", "A release", "v1")
    assert "receive" not in ada.auths("rotate", "--compromised", "--no-receive").stderr
    assert "git auths receive --all" in ada.auths("rotate", "--compromised").stderr
    assert ada.git("status", "--porcelain").stdout == ""


# Interrupted


@pytest.fixture
def at_home(loner: Person, monkeypatch: pytest.MonkeyPatch) -> Person:
    monkeypatch.setenv("AUTHS_HOME", loner.environment["AUTHS_HOME"])
    return loner


def interrupt(*anchors: dict[str, str]) -> None:
    """Kill a rotation once it is decided."""

    def act() -> object:
        return keyevents.rotate("main", Secrets(), anchors)

    crash.in_child(act, lambda name, number: crash.is_decided(), crash.kill)
    assert crash.is_decided()


def test_an_interrupted_rotation_is_completed_and_not_repeated(at_home: Person) -> None:
    interrupt()
    done = at_home.auths("rotate")
    assert "interrupted; it is complete now" in done.stderr
    assert done.stdout == f"{log(at_home).did}\n"
    assert log(at_home).sn == 1
    assert not crash.is_decided()
    at_home.auths("rotate")
    assert log(at_home).sn == 2


def test_an_interrupted_plain_rotation_declares_nothing_and_that_is_said(at_home: Person) -> None:
    interrupt()
    done = at_home.auths("rotate", "--compromised", code=1)
    assert "declares nothing compromised" in done.stderr
    assert "hint: git auths rotate --compromised --since 0" in done.stderr
    at_home.auths("rotate", "--compromised", "--since", "0")
    interrupt(seals.compromise(2, log(at_home).said, 1))
    at_home.auths("rotate", "--compromised")
    assert log(at_home).sn == 3


def test_signing_completes_it_as_well(at_home: Person) -> None:
    interrupt()
    assert at_home.did() == log(at_home).did
    assert log(at_home).sn == 1


def test_growth_that_was_not_committed_is_when_it_completes(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTHS_HOME", ada.environment["AUTHS_HOME"])
    interrupt()
    assert recorded(ada).sn == 0
    done = ada.auths("rotate")
    assert f"committed here: {ada.head()}" in done.stderr
    assert recorded(ada) == log(ada)
    assert log(ada).sn == 1


# Delegates


def test_a_delegate_prints_the_request_for_its_owner(newcomer: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTHS_HOME", newcomer.environment["AUTHS_HOME"])
    owner = GrowingLog()
    identity = keyevents.incept("main", Secrets(), unencrypted=True, delegator=owner.kel.aid)
    [inception] = messages(keystore.read_kel(identity))
    source = SealSource(1, owner.kel.said)
    keyevents.finish("main", kelbuild.with_signatures(inception.raw, inception.attachments.signatures, source=source))
    done = newcomer.auths("rotate")
    assert done.stdout.startswith(PREFIX)
    assert "its key stays current" in done.stderr
    assert newcomer.auths("rotate").stdout == done.stdout
    assert opensshkey.public_blob((folder(newcomer) / "current").read_bytes()) == identity.current_blob
    assert os.path.isdir(folder(newcomer) / "pending")
