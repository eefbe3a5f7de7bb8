"""Events that come back into an identity's folder from a repository."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from git_auths.core import kelbuild
from git_auths.core.kel import Kel, replay
from git_auths.errors import Refusal
from git_auths.store import keyevents, keyjournal, keystore, restoring
from git_auths.store.secrets import Secrets

SECRETS = Secrets()
SEAL = {"auths": "revoke/1", "i": "E" + "A" * 43}
OTHER = {"auths": "revoke/1", "i": "E" + "B" * 43}


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A copy of the new identity `main`, whose next key lies outside of it."""
    identity = keyevents.incept("main", SECRETS, unencrypted=True, next_path=str(tmp_path / "stick"))
    shutil.copytree(identity.folder, tmp_path / "backup")
    shutil.copy(tmp_path / "stick", tmp_path / "old stick")
    return tmp_path / "backup"


def sealed(anchor: Mapping[str, str]) -> None:
    keyevents.seal("main", [anchor], SECRETS)


def restored(backup: Path) -> tuple[bytes, Kel]:
    """The log as it was before the machine was restored."""
    identity = keystore.load("main")
    stream = keystore.read_kel(identity)
    shutil.rmtree(identity.folder)
    shutil.copytree(backup, identity.folder)
    shutil.copy(backup.parent / "old stick", backup.parent / "stick")
    return stream, replay(stream)


def test_with_the_same_keys_the_identity_goes_on_as_before(backup: Path) -> None:
    sealed(SEAL)
    restoring.take("main", *restored(backup))
    identity = keystore.load("main")
    assert keyevents.own_log(identity).sn == 1
    assert restoring.can_rotate(identity)
    sealed(OTHER)
    keyevents.rotate("main", SECRETS)


def test_a_log_that_has_forked_is_not_taken(backup: Path) -> None:
    sealed(SEAL)
    later = restored(backup)
    sealed(OTHER)
    before = keystore.read_kel(keystore.load("main"))
    with pytest.raises(Refusal, match="have forked"):
        restoring.take("main", *later)
    assert keystore.read_kel(keystore.load("main")) == before


def test_the_log_of_another_identity_is_not_taken(backup: Path) -> None:
    stream = keystore.read_kel(keyevents.incept("other", SECRETS, unencrypted=True))
    with pytest.raises(Refusal):
        restoring.take("main", stream, replay(stream))


def test_after_a_rotation_the_next_key_is_moved_from_where_it_lay(backup: Path, tmp_path: Path) -> None:
    keyevents.rotate("main", SECRETS)
    sealed(SEAL)
    stream, kel = restored(backup)
    restoring.take("main", stream, kel)
    identity = keystore.load("main")
    assert identity.current_blob == kel.state.keys[0].ssh_blob()
    assert not (tmp_path / "stick").exists()
    assert not restoring.can_rotate(identity)
    sealed(OTHER)


def test_a_rotation_to_keys_that_are_not_here_changes_nothing(backup: Path) -> None:
    keyevents.rotate("main", SECRETS)
    keyevents.rotate("main", SECRETS)
    later = restored(backup)
    with pytest.raises(Refusal, match="not on this machine"):
        restoring.take("main", *later)
    assert keyevents.own_log(keystore.load("main")).sn == 0


def test_a_promotion_that_was_cut_off_is_finished(backup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keyevents.rotate("main", SECRETS)
    stream, kel = restored(backup)

    def cut_off(_: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(keyjournal, "_complete", cut_off)
        with pytest.raises(KeyboardInterrupt):
            restoring.take("main", stream, kel)
    assert keystore.load("main").current_blob == kel.state.keys[0].ssh_blob()
    assert keystore.read_kel(keystore.load("main")) == stream


def test_a_rotation_that_waits_here_is_not_passed_over(backup: Path) -> None:
    sealed(SEAL)
    stream, kel = restored(backup)
    with keystore.held("main") as identity:
        log = keyevents.own_log(identity)
        event = kelbuild.rotation(log, list(log.state.keys), list(log.state.next))
        message = kelbuild.with_signatures(
            event, keyevents.signatures_here(identity, log, kelbuild.interaction(log, [OTHER]), SECRETS)
        )
        keyjournal.write_pending(identity, message, keystore.read_nexts(identity))
        with pytest.raises(Refusal, match="waits for its owner"):
            restoring.take("main", stream, kel)


def test_a_rotation_of_keys_on_several_machines_is_completed_on_the_way(tmp_path: Path) -> None:
    """The one that was offered here, and what the others have signed after it."""
    identity = keyevents.incept("main", SECRETS, unencrypted=True)
    (offered,) = keyevents.offer("main", SECRETS).values()
    shutil.copytree(identity.folder, tmp_path / "waiting")
    log = keyevents.own_log(identity)
    event = kelbuild.rotation(log, [offered.key], [offered.commitment])
    with keystore.held("main") as held:
        signatures = keyevents.signatures_here(held, log, event, SECRETS)
    keyevents.finish("main", keystore.read_kel(identity) + kelbuild.with_signatures(event, signatures))
    sealed(SEAL)
    stream = keystore.read_kel(identity)
    shutil.rmtree(identity.folder)
    shutil.copytree(tmp_path / "waiting", identity.folder)
    restoring.take("main", stream, replay(stream))
    assert keyevents.own_log(keystore.load("main")).sn == 2
    assert restoring.can_rotate(keystore.load("main"))
    sealed(OTHER)
