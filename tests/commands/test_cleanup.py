"""git auths cleanup"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import pytest

from git_auths.core.opensshkey import ED25519, generate
from git_auths.core.sshsig import fingerprint
from git_auths.services import forge as service
from git_auths.services import forge_title
from git_auths.services.forge_title import Title
from git_auths.store import forgekeys, keystore, throwaway
from git_auths.store.forgekeys import Registered
from git_auths.store.throwaway import Throwaway
from tests.commands.test_forge import break_identity
from tests.loopback import forges
from tests.loopback.forges import TOKEN, Answer
from tests.people import Person

HOUR = 3600


@pytest.fixture
def server() -> Iterator[forges.Forge]:
    with forges.Forge("GitHub") as server:
        yield server


@pytest.fixture
def ada(ada: Person) -> Person:
    ada.git("remote", "add", "origin", "git@github.com:ada/tool.git")
    ada.environment["RUNNER_TEMP"] = str(ada.home / "runner")
    (ada.home / "runner").mkdir(mode=0o700)
    return ada


def cleaned(ada: Person, server: forges.Forge, code: int = 0, token: str | None = TOKEN) -> str:
    done = ada.auths("cleanup", "--delete-ssh-keys", code=code, GITHUB_API_URL=server.url, AUTHS_FORGE_TOKEN=token or "")
    assert done.stdout == "" and TOKEN not in done.stderr
    return done.stderr


def title(blob: bytes, seconds_left: int | None) -> str:
    until = None if seconds_left is None else int(time.time()) + seconds_left
    return forge_title.write(Title("ada/tool", "7", until, fingerprint(blob)))


def hold(server: forges.Forge, seconds_left: int | None) -> int:
    """A key that another run registered."""
    blob = generate(ED25519).public_blob
    return server.hold(title(blob, seconds_left), service.public_line(blob))


def job(ada: Person) -> Throwaway:
    """The throwaway identity of this run."""
    return throwaway.create(ED25519, path=ada.at, environ=ada.environment)


def found(ada: Person) -> Throwaway:
    again = throwaway.find(ada.at, ada.environment)
    assert again is not None
    return again


def registered(ada: Person, server: forges.Forge, *, with_id: bool = True) -> int:
    """This run's key, held by the forge and noted with or without its id."""
    mine = job(ada)
    text = title(mine.key_blob, HOUR)
    id = server.hold(text, service.public_line(mine.key_blob))
    mine.remember(Registered(server.url, "GitHub", text, id if with_id else None).noted())
    return id


@pytest.mark.parametrize("with_id", [True, False], ids=["noted", "died before the id was noted"])
def test_the_runs_own_key_is_deleted(ada: Person, server: forges.Forge, with_id: bool) -> None:
    id = registered(ada, server, with_id=with_id)
    told = cleaned(ada, server)
    assert server.keys == {}
    assert told == f"deleted SSH signing key {id} ({fingerprint(found(ada).key_blob)}) at {server.host}\n"
    assert forgekeys.noted_one(found(ada).metadata) is None
    assert f"no key to delete at {server.host}" in cleaned(ada, server)


def test_a_key_of_which_nothing_was_noted_is_found_by_its_bytes(ada: Person, server: forges.Forge) -> None:
    mine = job(ada)
    server.hold(title(mine.key_blob, HOUR), service.public_line(mine.key_blob))
    cleaned(ada, server)
    assert server.keys == {}


def test_others_of_ours_go_only_past_their_expiry(ada: Person, server: forges.Forge) -> None:
    own = registered(ada, server)
    expired, running, lasting = hold(server, -2 * HOUR), hold(server, HOUR), hold(server, None)
    laptop = server.hold("laptop", service.public_line(generate(ED25519).public_blob))
    old = generate(ED25519).public_blob  # a title that names another key than it stands beside
    lying = server.hold(title(old, -HOUR), service.public_line(generate(ED25519).public_blob))
    told = cleaned(ada, server)
    assert sorted(server.keys) == [running, lasting, laptop, lying]
    assert f"key {own} " in told and f"key {expired} " in told


def test_a_key_past_its_expiry_goes_though_nothing_is_known_of_its_run(ada: Person, server: forges.Forge) -> None:
    hold(server, -HOUR)
    cleaned(ada, server)
    assert server.keys == {}


def test_a_persons_lasting_key_stays(ada: Person, server: forges.Forge) -> None:
    ada.auths("forge", "add-key", GITHUB_API_URL=server.url, AUTHS_FORGE_TOKEN=TOKEN)
    cleaned(ada, server)
    assert len(server.keys) == 1


def test_what_a_lasting_identity_registered_for_a_time_goes(ada: Person, server: forges.Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTHS_HOME", ada.environment["AUTHS_HOME"])
    identity = keystore.load("main")
    text = title(identity.current_blob, HOUR)
    id = server.hold(text, service.public_line(identity.current_blob))
    forgekeys.remember_for(identity)(Registered(server.url, "GitHub", text, id).noted())
    cleaned(ada, server)
    assert server.keys == {}
    assert keystore.metadata(identity)["forge_keys"] == []


@pytest.mark.parametrize("when", ["before it is listed", "before it is deleted"])
def test_a_key_that_is_gone_already_is_fine(ada: Person, server: forges.Forge, when: str) -> None:
    id = registered(ada, server)
    if when == "before it is listed":
        del server.keys[id]
    else:
        server.next.extend([server.answer(forges.Request("GET", server.path, {"authorization": f"Bearer {TOKEN}"}, b"")), Answer(404)])
    assert f"gone from {server.host} already" in cleaned(ada, server)
    assert forgekeys.noted_one(found(ada).metadata) is None


def test_an_id_that_somebody_wrote_into_the_metadata_deletes_no_other_key(ada: Person, server: forges.Forge) -> None:
    laptop = server.hold("laptop", service.public_line(generate(ED25519).public_blob))
    mine = job(ada)
    mine.remember(Registered(server.url, "GitHub", "laptop", laptop).noted())
    cleaned(ada, server)
    assert list(server.keys) == [laptop]


def test_a_forge_that_somebody_wrote_into_the_metadata_gets_no_token(ada: Person, server: forges.Forge) -> None:
    with forges.Forge("GitHub") as stranger:
        mine = job(ada)
        mine.remember(Registered(stranger.url, "GitHub", title(mine.key_blob, HOUR), 7).noted())
        assert "which is not the forge of now" in cleaned(ada, server, code=128)
        assert stranger.requests == []


def test_what_it_says_of_another_forge_works_when_typed(ada: Person, server: forges.Forge) -> None:
    mine = job(ada)
    url = "https://forge.example/a;b/api/v3"
    mine.remember(Registered(url, "GitHub", title(mine.key_blob, HOUR), 7).noted())
    told = cleaned(ada, server, code=128)
    command = f"git config auths.forgeUrl '{url}'; git auths cleanup --delete-ssh-keys"
    assert f"hint: {command}\n" in told
    subprocess.run(["sh", "-c", command], cwd=ada.at, env=ada.environment, capture_output=True, check=False)
    assert ada.git("config", "auths.forgeUrl").stdout == f"{url}\n"
    ada.at = ada.home
    assert f"hint: in a repository: {command}\n" in cleaned(ada, server, code=128)


@pytest.mark.parametrize("damage", ["others can reach the folder", "the key is damaged", "an identity is damaged"])
def test_what_cannot_be_read_fails_after_the_rest_is_done(ada: Person, server: forges.Forge, damage: str) -> None:
    registered(ada, server)
    hold(server, -HOUR)
    folder = ada.home / "runner" / "git-auths"
    if damage == "others can reach the folder":
        folder.chmod(0o750)
        left = 1
    elif damage == "the key is damaged":
        (folder / "key").write_bytes(b"")
        left = 1
    else:
        break_identity(ada, "main")
        left = 0
    told = cleaned(ada, server, code=128)
    assert len(server.keys) == left
    assert told.count("deleted SSH signing key") == 2 - left and "error: " in told
    assert "no key was registered here" not in cleaned(ada, server, code=128, token=None)


def test_all_that_fails_is_told(ada: Person, server: forges.Forge) -> None:
    registered(ada, server)
    (ada.home / "runner" / "git-auths" / "key").write_bytes(b"")
    server.next.append(Answer(500))
    told = cleaned(ada, server, code=128)
    assert "warning: " in told and "fails (500)" in told
    assert "error: " in told and "runner/git-auths" in told


def test_what_cannot_be_deleted_fails_after_the_rest_is_done(ada: Person, server: forges.Forge) -> None:
    own, expired = registered(ada, server), hold(server, -HOUR)
    listed = server.answer(forges.Request("GET", server.path, {"authorization": f"Bearer {TOKEN}"}, b""))
    server.next.extend([listed, Answer(500)])
    told = cleaned(ada, server, code=128)
    assert list(server.keys) == [own] and f"key {expired} " in told and "fails (500)" in told
    one = forgekeys.noted_one(found(ada).metadata)
    assert one is not None and one.id == own


@pytest.mark.parametrize("way", ["no token", "no forge", "no identity"])
def test_where_nothing_was_registered_it_succeeds(ada: Person, server: forges.Forge, way: str) -> None:
    if way == "no forge":
        done = ada.auths("cleanup", "--delete-ssh-keys", AUTHS_FORGE_TOKEN=TOKEN)
        assert "no key was registered here" in done.stderr
    elif way == "no token":
        job(ada)
        assert "no key was registered here" in cleaned(ada, server, token=None)
        assert server.requests == []
    else:
        assert "no key to delete" in cleaned(ada, server)


def test_without_the_token_a_registered_key_is_not_said_to_be_cleaned_up(ada: Person, server: forges.Forge) -> None:
    registered(ada, server)
    assert "error: AUTHS_FORGE_TOKEN is not set" in cleaned(ada, server, code=128, token=None)


def test_it_works_outside_of_a_repository(ada: Person, server: forges.Forge) -> None:
    hold(server, -HOUR)
    ada.at = ada.home
    cleaned(ada, server)
    assert server.keys == {}


def test_it_does_nothing_unless_told_what(ada: Person) -> None:
    assert "hint: git auths cleanup --delete-ssh-keys" in ada.auths("cleanup", code=129).stderr
