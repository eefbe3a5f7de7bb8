"""git auths forge, and the registration that init makes"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from git_auths.commands import forge as command
from git_auths.core.opensshkey import ED25519, generate
from git_auths.core.sshsig import fingerprint
from git_auths.errors import Error
from git_auths.services import forge as service
from git_auths.services import http
from git_auths.store import forgekeys, keystore
from git_auths.store.repository import Repository
from git_auths.store.secrets import Secrets
from tests.loopback import forges
from tests.loopback.forges import JOB_TOKEN, TOKEN, Answer, html, json_answer
from tests.people import Person

BLOB = generate(ED25519).public_blob
NOON = 1795262400  # 2026-11-21T12:00:00Z
RUN = {"GITHUB_REPOSITORY": "ada/tool", "GITHUB_RUN_ID": "77"}
VARIABLE = {"GitHub": "GITHUB_API_URL", "GitLab": "CI_API_V4_URL", "Gitea": "GITHUB_API_URL", "Forgejo": "GITHUB_API_URL"}


@pytest.fixture(autouse=True)
def no_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BACKOFF_SECONDS", 0.01)
    for name in ("GITHUB_API_URL", "CI_API_V4_URL", *command.REPOSITORY_VARIABLES, *command.RUN_VARIABLES):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=list(forges.PATHS))
def any_server(request: pytest.FixtureRequest) -> Iterator[forges.Forge]:
    with forges.Forge(request.param) as server:
        yield server


@pytest.fixture
def server() -> Iterator[forges.Forge]:
    with forges.Forge("GitHub") as server:
        yield server


@pytest.fixture
def ada(ada: Person) -> Person:
    ada.git("remote", "add", "origin", "git@github.com:ada/tool.git")
    return ada


class Job:
    """A run that registers BLOB; `remembered` is all that was noted, in order."""

    def __init__(self, token: str | None = TOKEN) -> None:
        self.secrets = Secrets(tokens={} if token is None else {"AUTHS_FORGE_TOKEN": token})
        self.remembered: list[Mapping[str, object]] = []

    def registers(self, repository: Repository | None = None, expires_at: int | None = NOON) -> bool:
        return command.register(repository, BLOB, self.secrets, expires_at=expires_at, remember=self.remembered.append)


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch, server: forges.Forge) -> forges.Forge:
    for name, value in {**RUN, "GITHUB_API_URL": server.url}.items():
        monkeypatch.setenv(name, value)
    return server


# register


def test_a_run_registers_its_key_with_the_runners_forge(
    any_server: forges.Forge, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {**RUN, VARIABLE[any_server.kind]: any_server.url}.items():
        monkeypatch.setenv(name, value)
    job = Job()
    assert job.registers() is True
    (key,) = any_server.keys.values()
    title = f"git-auths ada/tool run 77 until 2026-11-21T12:00Z {fingerprint(BLOB)}"
    assert (key["title"], key["key"]) == (title, service.public_line(BLOB))
    kind = {"Forgejo": "Gitea"}.get(any_server.kind, any_server.kind)  # no remote tells them apart here
    entry = {"forge": any_server.url, "kind": kind, "title": title}
    assert job.remembered == [{"forge_key": entry}, {"forge_key": {**entry, "id": key["id"]}}]
    told = capsys.readouterr()
    assert told.err.startswith(f"registered SSH signing key {key['id']} ({fingerprint(BLOB)}) with {any_server.host}\n")
    assert told.out == "" and TOKEN not in told.err
    assert ("warning:" in told.err) is (kind == "Gitea")


def test_gitea_is_said_to_take_no_keys_that_only_sign(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with forges.Forge("Gitea") as server:
        monkeypatch.setenv("GITHUB_API_URL", server.url)
        assert Job().registers() is True
    told = capsys.readouterr().err
    assert "does not verify by this key yet, and lets it log in as the token's user" in told
    assert f"http://{server.host}/user/settings/keys" in told


def test_the_title_is_remembered_before_the_forge_is_asked_to_add_the_key(runner: forges.Forge) -> None:
    job = Job()
    runner.next.extend([json_answer(200, []), Answer(500)])
    assert job.registers() is False
    (noted,) = job.remembered
    one = forgekeys.noted_one(noted)
    assert one is not None and one.id is None and fingerprint(BLOB) in one.title


def test_a_key_that_is_there_already_is_not_posted_again(runner: forges.Forge, capsys: pytest.CaptureFixture[str]) -> None:
    id = runner.hold("by hand", service.public_line(BLOB))
    job = Job()
    assert job.registers() is True
    assert {method for method, _ in runner.said()} == {"GET"}
    assert job.remembered == [{"forge_key": {"forge": runner.url, "kind": "GitHub", "title": "by hand", "id": id}}]
    assert "already" in capsys.readouterr().err


def test_a_key_whose_answer_was_lost_is_found(runner: forges.Forge) -> None:
    runner.after_posting.append(Answer(503))
    job = Job()
    assert job.registers() is True
    (id,) = runner.keys
    one = forgekeys.noted_one(job.remembered[-1])
    assert one is not None and one.id == id


@pytest.mark.parametrize(("answers", "words"), [
    ([json_answer(401, {"message": "Bad credentials"})], "does not know the token"), ([Answer(500)], "fails (500)"),
    ([html(200)], "web page"), ([json_answer(200, []), json_answer(422, {"message": "key is already in use"})], "another account"),
    ([json_answer(200, []), json_answer(422, {"message": "key is invalid"})], "key is invalid"),
    ([Answer(302, headers={"Location": "https://evil.example"})], "redirect"),
])  # fmt: skip
def test_whatever_the_forge_does_it_is_a_warning(
    runner: forges.Forge, capsys: pytest.CaptureFixture[str], answers: list[Answer], words: str
) -> None:
    runner.next.extend(answers)
    assert Job().registers() is False
    told = capsys.readouterr().err
    assert told.startswith("warning: ") and words in told and TOKEN not in told


def test_a_jobs_own_token_is_a_warning_that_says_so(runner: forges.Forge, capsys: pytest.CaptureFixture[str]) -> None:
    assert Job(JOB_TOKEN).registers() is False
    told = capsys.readouterr().err
    assert "lets no job's own token" in told and "hint: set AUTHS_FORGE_TOKEN to a user's token" in told
    assert JOB_TOKEN not in told


@pytest.mark.parametrize("token", [None, "two words"])
def test_without_a_usable_token_nobody_is_asked(runner: forges.Forge, capsys: pytest.CaptureFixture[str], token: str | None) -> None:
    assert Job(token).registers() is False
    assert "AUTHS_FORGE_TOKEN" in capsys.readouterr().err and runner.requests == []


def test_what_cannot_be_remembered_is_a_warning_and_not_posted(runner: forges.Forge) -> None:
    def full(more: Mapping[str, object]) -> None:
        raise Error("the disk is full")

    assert command.register(None, BLOB, Job().secrets, expires_at=NOON, remember=full) is False
    assert runner.keys == {}


def test_the_remote_decides_the_kind_and_never_the_destination(
    ada: Person, runner: forges.Forge, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with forges.Forge("GitHub") as stranger:
        ada.git("remote", "set-url", "origin", f"{stranger.url}/ada/tool.git")
        assert Job().registers(Repository(ada.at)) is True
        monkeypatch.delenv("GITHUB_API_URL")
        assert Job().registers(Repository(ada.at)) is False
        assert stranger.requests == []
    assert "hint: git config auths.forgeUrl https://api.github.com" in capsys.readouterr().err
    assert len(runner.requests) == 2


def test_the_repository_names_the_forge_before_the_runner_does(ada: Person, runner: forges.Forge) -> None:
    with forges.Forge("GitLab") as chosen:
        ada.git("config", "auths.forgeUrl", chosen.url)
        assert Job().registers(Repository(ada.at)) is True
        assert len(chosen.keys) == 1 and runner.requests == []


@pytest.mark.parametrize("way", ["global", "include", "environment", "twice"])
def test_only_the_repositorys_own_configuration_names_the_forge(ada: Person, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with forges.Forge("GitHub") as stranger:
        if way == "global":
            ada.git("config", "--global", "auths.forgeUrl", stranger.url)
            monkeypatch.setenv("GIT_CONFIG_GLOBAL", ada.environment["GIT_CONFIG_GLOBAL"])
        elif way == "include":
            (ada.home / "more").write_text(f"[auths]\n\tforgeUrl = {stranger.url}\n")
            ada.git("config", "include.path", ada.home / "more")
        elif way == "environment":
            for name, value in {"COUNT": "1", "KEY_0": "auths.forgeUrl", "VALUE_0": stranger.url}.items():
                monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
        else:
            ada.git("config", "--add", "auths.forgeUrl", "https://api.github.com")
            ada.git("config", "--add", "auths.forgeUrl", stranger.url)
        assert Job().registers(Repository(ada.at)) is False
        assert stranger.requests == []


# git auths forge


def asked(ada: Person, server: forges.Forge, *words: str, code: int = 0, token: str = TOKEN) -> tuple[str, str]:
    done = ada.auths("forge", *words, code=code, AUTHS_FORGE_TOKEN=token, GITHUB_API_URL=server.url, AUTHS_TRACE="1")
    assert token not in done.stdout + done.stderr
    return done.stdout, done.stderr


def metadata(ada: Person, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    monkeypatch.setenv("AUTHS_HOME", ada.environment["AUTHS_HOME"])
    return keystore.metadata(keystore.load("main"))


def test_a_lasting_key_is_registered_listed_and_removed(ada: Person, server: forges.Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    line = ada.auths("key-id", "--ssh").stdout.rsplit(" ", 2)[0]
    theirs = server.hold("laptop", service.public_line(generate(ED25519).public_blob))
    told = asked(ada, server, "add-key")[1]
    id, title = server.last_id, server.keys[server.last_id]["title"]
    print_of_it = title.split()[-1]
    assert server.keys[id]["key"] == line and title == f"git-auths {print_of_it}"
    assert told == f"registered SSH signing key {id} ({print_of_it}) with {server.host}\n"
    entry = {"forge": server.url, "kind": "GitHub", "title": title, "id": id}
    assert metadata(ada, monkeypatch)["forge_keys"] == [entry]
    listed = asked(ada, server, "list")[0].splitlines()
    assert listed[0].startswith(f"{theirs} SHA256:") and listed[0].endswith(" (not ours) laptop")
    assert listed[1] == f"{id} {print_of_it} (ours: main) {title}"
    assert asked(ada, server, "remove-key")[1] == f"deleted SSH signing key {id} ({print_of_it}) at {server.host}\n"
    assert list(server.keys) == [theirs]
    assert metadata(ada, monkeypatch)["forge_keys"] == []
    assert "does not have the key" in asked(ada, server, "remove-key")[1]


def test_registering_twice_adds_one_key(ada: Person, server: forges.Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(ada, server, "add-key")
    assert "already" in asked(ada, server, "add-key", "--alias", "main")[1]
    assert len(server.keys) == 1
    entries = metadata(ada, monkeypatch)["forge_keys"]
    assert isinstance(entries, list) and len(entries) == 1


def test_what_else_the_identitys_metadata_says_stays(ada: Person, server: forges.Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    before = metadata(ada, monkeypatch)
    keystore.write_metadata(keystore.load("main"), {**before, "name": "kept"})
    asked(ada, server, "add-key")
    assert metadata(ada, monkeypatch)["name"] == "kept"


def test_another_key_is_removed_by_its_id_only_where_we_registered_it(ada: Person, server: forges.Forge) -> None:
    blob = generate(ED25519).public_blob
    ours = server.hold(f"git-auths {fingerprint(blob)}", service.public_line(blob))
    theirs = server.hold("laptop", service.public_line(generate(ED25519).public_blob))
    lying = server.hold(f"git-auths {fingerprint(blob)}", service.public_line(generate(ED25519).public_blob))
    for id in (theirs, lying):
        assert "did not register" in asked(ada, server, "remove-key", str(id), code=1)[1]
    asked(ada, server, "remove-key", str(ours))
    assert list(server.keys) == [theirs, lying]
    assert "does not have a key with the id 999" in asked(ada, server, "remove-key", "999")[1]


def test_the_list_is_json_for_programs(ada: Person, server: forges.Forge) -> None:
    asked(ada, server, "add-key")
    blob = generate(ED25519).public_blob
    server.hold(f"git-auths o/r run 1 until 2026-11-21T12:00Z {fingerprint(blob)}", service.public_line(blob))
    server.hold("\x1b[31mred", service.public_line(generate(ED25519).public_blob))
    answer = json.loads(asked(ada, server, "list", "--json")[0])
    assert (answer["version"], answer["forge"], answer["kind"]) == (1, server.url, "GitHub")
    marks = [(key["ours"], key["alias"], key["expires_at"]) for key in answer["keys"]]
    assert marks == [(True, "main", None), (True, None, "2026-11-21T12:00:00Z"), (False, None, None)]
    assert "\x1b" not in asked(ada, server, "list")[0]


def test_a_lasting_key_that_cannot_be_registered_is_an_error(ada: Person, server: forges.Forge) -> None:
    assert asked(ada, server, "add-key", code=128, token=JOB_TOKEN)[1].startswith("error: ")
    server.elsewhere.add(ada.auths("key-id", "--ssh").stdout.rsplit(" ", 2)[0])
    assert "has this key already" in asked(ada, server, "add-key", code=128)[1]


def test_a_key_that_gitlab_has_for_logging_in_is_not_taken_for_a_signing_key(ada: Person) -> None:
    ada.git("remote", "set-url", "origin", "git@gitlab.com:ada/tool.git")
    with forges.Forge("GitLab") as server:
        ada.git("config", "auths.forgeUrl", server.url)
        server.hold("laptop", ada.auths("key-id", "--ssh").stdout.rsplit(" ", 2)[0], usage_type="auth")
        done = ada.auths("forge", "add-key", code=128, AUTHS_FORGE_TOKEN=TOKEN)
    assert "for logging in, and not for signing" in done.stderr


def test_without_a_token_the_error_says_which_variable(ada: Person, server: forges.Forge) -> None:
    done = ada.auths("forge", "list", code=128, GITHUB_API_URL=server.url)
    assert "error: AUTHS_FORGE_TOKEN is not set" in done.stderr


@pytest.mark.parametrize("words", [("forge", "list"), ("init", "--register", "--no-passphrase")])
@pytest.mark.parametrize("both", [False, True])
def test_outside_of_a_repository_the_hint_says_where(ada: Person, words: tuple[str, ...], both: bool) -> None:
    hint = "git config auths.forgeUrl https://api.github.com"
    offered = {"GITHUB_API_URL": "https://api.github.com", "CI_API_V4_URL": "https://gitlab.com/api/v4"} if both else {}
    done = ada.auths(*words, code=None, cwd=ada.home, AUTHS_FORGE_TOKEN=TOKEN, **offered)
    assert f"hint: in a repository: {hint}\n" in done.stderr
    ada.git("remote", "remove", "origin")
    assert f"hint: {hint}\n" in ada.auths(*words, code=None, AUTHS_FORGE_TOKEN=TOKEN, **offered).stderr


@pytest.mark.parametrize("json", [False, True], ids=["text", "json"])
def test_a_damaged_identity_hides_no_key_of_the_list(ada: Person, server: forges.Forge, json: bool) -> None:
    asked(ada, server, "add-key")
    for alias in ("broken", "worse"):
        ada.auths("init", "--alias", alias, "--no-passphrase", cwd=ada.home)
        break_identity(ada, alias)
    out, err = asked(ada, server, "list", *(["--json"] if json else []), code=128)
    assert str(server.last_id) in out and "main" in out
    assert "warning: " in err and "worse" in err and "error: " in err and "broken" in err


def break_identity(ada: Person, alias: str) -> None:
    """Its log is of nobody."""
    folder = Path(ada.environment["AUTHS_HOME"]) / "identities" / alias
    (folder / keystore.KEL).write_bytes(b"")


def test_no_file_of_ours_holds_the_token(ada: Person, server: forges.Forge) -> None:
    asked(ada, server, "add-key")
    for file in (path for path in Path(ada.home).rglob("*") if path.is_file()):
        assert TOKEN.encode() not in file.read_bytes()
