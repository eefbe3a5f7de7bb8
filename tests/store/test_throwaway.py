"""The identity of one CI job."""

from __future__ import annotations

import json
import stat
import time
from pathlib import Path

import pytest

from git_auths.core import didkey, opensshkey, policy, sshsig
from git_auths.core.opensshkey import ED25519, P256
from git_auths.errors import Error
from git_auths.store import throwaway
from tests.realgit import run

DATA = b"what is signed"
KINDS = pytest.mark.parametrize("kind", [ED25519, P256])
RULE = '[[policy.ci]]\nallow_ephemeral = true\nmax_ttl = "{}"\n{}'
ADMIN = '[policy]\nschema = 1\n[[policy.admin]]\nsigners = ["did:keri:EA' + "A" * 42 + '"]\nrequire = 1\n'
LOG = 'require_log = "sigstore-rekor"\nlog_url = "https://rekor.example.com"\n'


@pytest.fixture
def runner(tmp_path: Path) -> dict[str, str]:
    """What GitHub Actions sets."""
    return {"RUNNER_TEMP": str(tmp_path)}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    run("git", "init", "--quiet", tmp_path / "repository")
    return tmp_path / "repository"


def made(environ: dict[str, str], kind: str = ED25519, seconds: int = 60) -> throwaway.Throwaway:
    return throwaway.create(kind, seconds, environ=environ)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@KINDS
def test_its_key_signs_and_its_name_is_the_key(runner: dict[str, str], kind: str) -> None:
    one = made(runner, kind)
    assert didkey.decode(one.did) == one.key_blob
    assert sshsig.verify_raw(one.key_blob, one.private_key.sign(DATA), DATA)
    assert run("ssh-keygen", "-y", "-f", one.key_file).stdout.split()[0].decode() == kind


@KINDS
def test_a_later_step_finds_it(runner: dict[str, str], kind: str) -> None:
    one, found = made(runner, kind), throwaway.find(environ=runner)
    assert found is not None
    assert (found.did, found.folder, found.metadata) == (one.did, one.folder, one.metadata)
    assert found.private_key.secret == one.private_key.secret


def test_it_lies_where_nobody_else_reaches_it(runner: dict[str, str], tmp_path: Path) -> None:
    made(runner)
    folder = tmp_path / "git-auths"
    assert {path.name: mode(path) for path in folder.iterdir()} == {"key": 0o600, "identity.json": 0o600}
    assert mode(folder) == 0o700


def test_it_ends(runner: dict[str, str]) -> None:
    before = int(time.time())
    one = made(runner, seconds=60)
    assert before + 60 <= one.expires_at <= time.time() + 60
    assert json.loads(Path(str(one.folder), "identity.json").read_text())["expires_at"].endswith("Z")


def test_a_new_one_replaces_the_one_before(runner: dict[str, str]) -> None:
    first = made(runner)
    first.remember({"token": "t"})
    second = made(runner)
    found = throwaway.find(environ=runner)
    assert found is not None
    assert found.did == second.did != first.did
    assert found.token is None


def test_what_is_noted_of_it_lasts_and_can_be_forgotten(runner: dict[str, str]) -> None:
    one = made(runner)
    one.remember({"token": "a.b.c", "forge_key": {"id": 1}})
    found = throwaway.find(environ=runner)
    assert found is not None
    assert (found.token, found.metadata["forge_key"], found.metadata["did"]) == ("a.b.c", {"id": 1}, one.did)
    found.remember({"forge_key": None})
    again = throwaway.find(environ=runner)
    assert again is not None
    assert "forge_key" not in again.metadata
    assert again.token == "a.b.c"


def test_it_can_be_deleted_twice(runner: dict[str, str], tmp_path: Path) -> None:
    one = made(runner)
    for _ in range(2):
        one.delete()
        assert list(tmp_path.iterdir()) == []
    assert throwaway.find(environ=runner) is None


@KINDS
def test_one_in_memory_touches_no_disk(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throwaway, "write_file", None)
    one = throwaway.in_memory(kind, 60)
    one.remember({"token": "t"})
    assert (one.token, one.folder, one.key_file) == ("t", None, None)
    assert sshsig.verify_raw(one.key_blob, one.private_key.sign(DATA), DATA)
    one.delete()


# Where it lies


def test_each_job_of_gitlab_has_its_own(tmp_path: Path) -> None:
    """The runner's folder outlives the job."""
    (tmp_path / "project.tmp").mkdir()
    jobs = [{"CI_PROJECT_DIR": str(tmp_path / "project"), "CI_JOB_ID": id} for id in ("1", "2")]
    assert made(jobs[0]).folder == str(tmp_path / "project.tmp/git-auths-1")
    assert throwaway.find(environ=jobs[1]) is None
    assert throwaway.find(environ=jobs[0])


def test_elsewhere_the_configuration_names_it(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throwaway.tempfile, "tempdir", str(tmp_path))
    one = throwaway.create(ED25519, path=repository, environ={})
    assert Path(str(one.folder)).parent == tmp_path
    assert mode(Path(str(one.folder))) == 0o700
    assert run("git", "config", "--local", "auths.ciFolder", cwd=repository).stdout.decode().strip() == one.folder
    found = throwaway.find(repository, {})
    assert found is not None
    assert found.did == one.did
    assert throwaway.create(ED25519, path=repository, environ={}).folder == one.folder


@pytest.mark.parametrize("environ", [
    {"RUNNER_TEMP": "relative"}, {"RUNNER_TEMP": ""}, {"CI_PROJECT_DIR": "/nowhere", "CI_JOB_ID": "1"},
    {"CI_PROJECT_DIR": "{}", "CI_JOB_ID": "../x"}, {"CI_PROJECT_DIR": "{}"}, {"CI_JOB_ID": "1"},
])  # fmt: skip
def test_a_place_that_is_none_is_passed_over(environ: dict[str, str], repository: Path, tmp_path: Path,
                                             monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr(throwaway.tempfile, "tempdir", str(tmp_path))
    Path(f"{repository}.tmp").mkdir()
    environ = {name: value.replace("{}", str(repository)) for name, value in environ.items()}
    one = throwaway.create(ED25519, path=repository, environ=environ)
    assert Path(str(one.folder)).parent == tmp_path
    assert throwaway.find(repository, environ)


def test_an_environment_or_an_included_file_names_no_folder(
    runner: dict[str, str], repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made(runner).folder
    included = tmp_path / "included"
    included.write_text(f"[auths]\n\tciFolder = {folder}\n")
    run("git", "config", "include.path", included, cwd=repository)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "auths.ciFolder")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(folder))
    assert throwaway.find(repository, {}) is None


def test_outside_of_a_repository_there_is_none(tmp_path: Path) -> None:
    assert throwaway.find(tmp_path, {}) is None


# What is not to be believed


def test_a_folder_that_others_reach_is_refused(runner: dict[str, str], tmp_path: Path) -> None:
    made(runner)
    (tmp_path / "git-auths").chmod(0o750)
    for ask in (lambda: throwaway.find(environ=runner), lambda: made(runner)):
        with pytest.raises(Error, match="others can reach"):
            ask()


def test_a_key_file_that_others_reach_is_refused(runner: dict[str, str], tmp_path: Path) -> None:
    made(runner)
    (tmp_path / "git-auths/key").chmod(0o644)
    with pytest.raises(Error, match="others can reach"):
        throwaway.find(environ=runner)


def test_a_link_is_no_folder(runner: dict[str, str], tmp_path: Path) -> None:
    made(runner)
    (tmp_path / "git-auths").rename(tmp_path / "elsewhere")
    (tmp_path / "git-auths").symlink_to(tmp_path / "elsewhere")
    for ask in (lambda: throwaway.find(environ=runner), lambda: made(runner)):
        with pytest.raises(Error, match="is no folder"):
            ask()


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", "x" * 70_000, "[" * 60_000, '{"did": "%s"}', '{"did": "%s", "expires_at": 1}']
)
def test_damaged_metadata_is_no_identity(runner: dict[str, str], tmp_path: Path, content: str) -> None:
    one = made(runner)
    (tmp_path / "git-auths/identity.json").write_text(content.replace("%s", one.did))
    with pytest.raises(Error, match="is damaged") as caught:
        throwaway.find(environ=runner)
    assert "git auths init --profile ci" in str(caught.value.hint)


def test_another_key_beside_it_is_no_identity(runner: dict[str, str], tmp_path: Path) -> None:
    made(runner)
    other = opensshkey.serialize(opensshkey.generate(), None, "x")
    (tmp_path / "git-auths/key").write_bytes(other)
    with pytest.raises(Error, match="do not belong together"):
        throwaway.find(environ=runner)


def test_metadata_of_any_length_is_not_read(runner: dict[str, str], tmp_path: Path) -> None:
    made(runner)
    with (tmp_path / "git-auths/identity.json").open("a") as stream:
        stream.write(" " * 70_000)
    with pytest.raises(Error, match="is damaged"):
        throwaway.find(environ=runner)


def test_a_new_one_that_cannot_be_written_leaves_none(runner: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The old metadata beside a new key would name somebody else."""
    made(runner)

    def fail(*_: object) -> None:
        raise Error("no space left on device")

    monkeypatch.setattr(throwaway, "write_file", fail)
    with pytest.raises(Error, match="no space"):
        made(runner)
    assert throwaway.find(environ=runner) is None


def test_one_that_was_cut_off_is_none(runner: dict[str, str], tmp_path: Path) -> None:
    made(runner)
    (tmp_path / "git-auths/identity.json").unlink()
    assert throwaway.find(environ=runner) is None
    assert made(runner)


# What the policy wants of it


@pytest.mark.parametrize(("rules", "kind", "seconds"), [
    ("", ED25519, 3600),
    (RULE.format("10m", ""), ED25519, 600),
    (RULE.format("10m", "") + RULE.format("5m", LOG), P256, 300),
])  # fmt: skip
def test_the_rules_choose_its_kind_and_its_end(rules: str, kind: str, seconds: int) -> None:
    ci = policy.parse((ADMIN + rules).encode()).ci
    assert (throwaway.kind_for(ci), throwaway.max_ttl_seconds(ci)) == (kind, seconds)
