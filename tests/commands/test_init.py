"""git auths init"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from git_auths.commands.init_ci import GITHUB_BOT
from git_auths.core import didkey
from git_auths.core.kel import Kel, replay
from git_auths.store import hookfiles
from tests.loopback import forges, issuer
from tests.people import Person
from tests.realgit import run


@pytest.fixture
def repository(newcomer: Person) -> Path:
    newcomer.at = newcomer.home / "work"
    newcomer.git("init", "--quiet", newcomer.at, cwd=newcomer.home)
    return newcomer.at


def config(person: Person) -> str:
    return (person.at / ".git" / "config").read_text()


def test_it_configures_the_repository_and_prints_what_it_set(newcomer: Person, repository: Path) -> None:
    newcomer.git("remote", "add", "origin", "elsewhere")
    done = newcomer.auths("init", "--no-passphrase")
    assert done.stdout.startswith("did:keri:E")
    for key, value in {
        "gpg.format": "ssh", "gpg.ssh.program": str(Path(newcomer.environment["PATH"].split(":")[0], "git-auths-sign")),
        "user.signingKey": "auths:main", "commit.gpgSign": "true", "tag.gpgSign": "true",
        "gpg.ssh.allowedSignersFile": str(repository / ".git/auths/allowed_signers"),
        "notes.auths.mergeStrategy": "cat_sort_uniq",
    }.items():  # fmt: skip
        assert newcomer.git("config", "--local", key).stdout.strip() == value
        assert f"set {key} = {value}" in done.stderr
    refspecs = newcomer.git("config", "--get-all", "remote.origin.fetch").stdout.splitlines()
    assert "+refs/notes/auths*:refs/notes/remotes/origin/auths*" in refspecs
    for name in hookfiles.CLIENT:
        assert hookfiles.is_current(repository / ".git/hooks" / name)


def test_run_twice_it_changes_nothing(newcomer: Person, repository: Path) -> None:
    newcomer.git("remote", "add", "origin", "elsewhere")
    first = newcomer.auths("init", "--no-passphrase").stdout
    before = config(newcomer), sorted((p, p.stat().st_mtime_ns) for p in repository.rglob("*") if p.is_file())
    done = newcomer.auths("init", "--no-passphrase")
    assert done.stdout == first
    assert "set " not in done.stderr
    assert before == (config(newcomer), sorted((p, p.stat().st_mtime_ns) for p in repository.rglob("*") if p.is_file()))


def test_outside_a_repository_it_makes_the_identity_alone(newcomer: Person) -> None:
    done = newcomer.auths("init", "--no-passphrase", "--alias", "work")
    assert done.stdout.startswith("did:keri:E")
    assert "hint: run it again in a repository" in done.stderr
    folder = newcomer.home / "auths/identities/work"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {p.name: stat.S_IMODE(p.stat().st_mode) for p in folder.iterdir()} == {
        "kel.cesr": 0o600, "current": 0o600, "next": 0o600,
    }  # fmt: skip


def test_the_passphrase_of_the_environment_locks_both_key_files(newcomer: Person) -> None:
    newcomer.auths("init", AUTHS_PASSPHRASE="correct horse")
    for name in ("current", "next"):
        key = newcomer.home / "auths/identities/main" / name
        run("ssh-keygen", "-y", "-P", "correct horse", "-f", key)
        run("ssh-keygen", "-y", "-P", "wrong", "-f", key, code=255)


def test_without_terminal_and_passphrase_it_asks_nothing_and_leaves_nothing(newcomer: Person) -> None:
    done = newcomer.auths("init", code=128)
    assert "AUTHS_PASSPHRASE" in done.stderr
    assert "--no-passphrase" in done.stderr
    assert not (newcomer.home / "auths/identities/main").exists()


def test_the_next_key_goes_where_it_is_told(newcomer: Person, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    newcomer.auths("init", "--no-passphrase", "--next-key", stick)
    assert stick.read_bytes().startswith(b"-----BEGIN OPENSSH PRIVATE KEY-----")
    assert not (newcomer.home / "auths/identities/main/next").exists()


def test_a_path_with_spaces_and_other_letters_works(newcomer: Person) -> None:
    newcomer.at = newcomer.home / "mein Œuvre"
    newcomer.git("init", "--quiet", newcomer.at, cwd=newcomer.home)
    newcomer.auths("init", "--no-passphrase")
    newcomer.auths("policy", "init")
    newcomer.commit()
    assert newcomer.git("log", "-1", "--format=%G?").stdout.strip() == "G"
    assert newcomer.ask("verify")["ok"]


def test_a_bare_repository_is_configured_without_client_hooks(newcomer: Person) -> None:
    newcomer.at = newcomer.home / "bare.git"
    newcomer.git("init", "--quiet", "--bare", newcomer.at, cwd=newcomer.home)
    newcomer.auths("init", "--no-passphrase")
    assert newcomer.git("config", "user.signingKey").stdout.strip() == "auths:main"
    assert not (newcomer.at / "hooks/pre-push").exists()


@pytest.mark.parametrize("alias", ["../evil", ".hidden", "a/b", ""])
def test_an_alias_that_is_no_plain_name_is_refused(newcomer: Person, alias: str) -> None:
    done = newcomer.auths("init", "--no-passphrase", "--alias", alias, code=None)
    assert done.returncode in (128, 129)
    assert done.stderr.startswith("error: ")
    asked = newcomer.auths("init", "--alias", alias, code=None)
    assert asked.stderr == done.stderr, "it is refused before a passphrase is asked for"


def test_a_read_only_git_folder_gives_one_clear_line(newcomer: Person, repository: Path) -> None:
    lock = repository / ".git" / "config.lock"  # root ignores modes; a held lock fails a write for anybody
    lock.touch()
    done = newcomer.auths("init", "--no-passphrase", code=128)
    assert [line for line in done.stderr.splitlines() if line.startswith("error: ")] == [
        "error: git config: could not lock config file .git/config: File exists"
    ]
    lock.unlink()
    newcomer.auths("init", "--no-passphrase")


def test_the_environment_of_git_hooks_does_not_lead_elsewhere(
    newcomer: Person, repository: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    newcomer.git("init", "--quiet", other)
    newcomer.auths("init", "--no-passphrase", GIT_DIR=str(other / ".git"))
    assert "signingKey" in (other / ".git/config").read_text()
    assert "signingKey" not in config(newcomer)
    assert os.path.exists(other / ".git/hooks/pre-push")


def test_again_in_a_repository_of_another_alias_it_keeps_that(newcomer: Person, repository: Path) -> None:
    newcomer.auths("init", "--no-passphrase", "--alias", "work")
    newcomer.auths("init", "--no-passphrase")
    assert newcomer.git("config", "user.signingKey").stdout == "auths:work\n"
    assert not (newcomer.home / "auths/identities/main").exists()


def test_another_alias_leaves_alone_who_signs_here(newcomer: Person, repository: Path) -> None:
    newcomer.auths("init", "--no-passphrase")
    before = config(newcomer)
    done = newcomer.auths("init", "--no-passphrase", "--alias", "again")
    assert "hint: to let 'again' sign here: git config user.signingKey auths:again\n" in done.stderr
    several = newcomer.auths("init", "--no-passphrase", "--alias", "team", "--keys", "3", "--threshold", "2/3").stderr
    assert "no key of it alone" in several
    assert "to let 'team'" not in several
    assert config(newcomer) == before
    assert newcomer.auths("whoami").stdout != newcomer.auths("whoami", "--alias", "again").stdout == done.stdout
    newcomer.git("config", "user.signingKey", "auths:again")
    assert newcomer.auths("whoami").stdout == done.stdout


@pytest.mark.parametrize("key", ["auths:gone", "/home/x/.ssh/id_ed25519.pub"])
def test_a_key_that_is_none_of_our_identities_is_replaced(newcomer: Person, repository: Path, key: str) -> None:
    newcomer.git("config", "user.signingKey", key)
    newcomer.auths("init", "--no-passphrase", "--alias", "work")
    assert newcomer.git("config", "user.signingKey").stdout == "auths:work\n"


def test_hooks_outside_of_the_git_directory_are_warned_of(newcomer: Person, repository: Path) -> None:
    newcomer.git("config", "core.hooksPath", ".husky")
    done = newcomer.auths("init", "--no-passphrase")
    assert f"warning: core.hooksPath puts the hooks into {repository / '.husky'}" in done.stderr


# Kinds of identities


def kel(person: Person, alias: str = "main") -> Kel:
    return replay((person.home / "auths/identities" / alias / "kel.cesr").read_bytes())


@pytest.mark.parametrize(("curve", "code"), [("ed25519", "D"), ("p256", "1AAJ")])
def test_the_curve_can_be_chosen_and_git_signs_with_either(
    newcomer: Person, repository: Path, curve: str, code: str
) -> None:
    newcomer.auths("init", "--no-passphrase", "--curve", curve)
    assert [key.code for key in kel(newcomer).state.keys] == [code]
    newcomer.auths("policy", "init")
    newcomer.commit()
    assert newcomer.git("log", "-1", "--format=%G?").stdout.strip() == "G"
    assert newcomer.ask("verify")["ok"]


@pytest.mark.parametrize(
    ("threshold", "sith", "alone"),
    [
        ("2/3", "2", 0),
        ("1/3", "1", 3),
        ("1/2,1/2,1", ["1/2", "1/2", "1"], 1),
        ("1/2,1/2;1", [["1/2", "1/2"], ["1"]], 0),
    ],
)
def test_an_identity_of_several_keys_says_whether_one_of_them_signs_alone(
    newcomer: Person, threshold: str, sith: object, alone: int
) -> None:
    done = newcomer.auths("init", "--no-passphrase", "--keys", "3", "--threshold", threshold)
    assert (kel(newcomer).state.kt.json(), kel(newcomer).state.nt.json()) == (sith, sith)
    assert len(kel(newcomer).current_signing_keys()) == alone
    assert ("no key of it alone" in done.stderr) == (alone == 0)


@pytest.mark.parametrize(
    "arguments", [("--keys", "3"), ("--keys", "0"), ("--threshold", "2/3"), ("--keys", "3", "--threshold", "1/3,1/3,1/4"),
                  ("--curve", "p521"), ("--keys", "x")],
)  # fmt: skip
def test_keys_and_a_threshold_that_do_not_fit_are_wrong_usage(newcomer: Person, arguments: tuple[str, ...]) -> None:
    done = newcomer.auths("init", "--no-passphrase", *arguments, code=129)
    assert "hint: " in done.stderr
    assert not (newcomer.home / "auths/identities/main").exists()


def test_the_keys_of_an_identity_are_not_changed_by_asking_for_others(newcomer: Person) -> None:
    newcomer.auths("init", "--no-passphrase")
    before = kel(newcomer)
    assert "there already" in newcomer.auths("init", "--curve", "p256", code=129).stderr
    assert kel(newcomer) == before


# --profile ci

CI_RULE = """
[[policy.ci]]
allow_ephemeral = {}
max_ttl = "10m"
require_log = "sigstore-rekor"
log_url = "https://rekor.example.com"
"""


@pytest.fixture
def job(newcomer: Person, repository: Path) -> Person:
    """A job of GitHub Actions that may not ask for tokens."""
    (newcomer.home / "runner").mkdir()
    newcomer.environment |= {"RUNNER_TEMP": str(newcomer.home / "runner"), "GITHUB_ACTIONS": "true",
                             "GIT_CONFIG_GLOBAL": "/dev/null"}  # fmt: skip
    return newcomer


@pytest.fixture
def mint() -> Iterator[issuer.Issuer]:
    with issuer.Issuer() as server:
        yield server


@pytest.fixture
def forge() -> Iterator[forges.Forge]:
    with forges.Forge("GitHub") as server:
        yield server


def noted(job: Person) -> dict[str, object]:
    found: dict[str, object] = json.loads((job.home / "runner/git-auths/identity.json").read_text())
    return found


def test_a_job_gets_a_throwaway_key_that_plain_git_signs_with(job: Person) -> None:
    done = job.auths("init", "--profile", "ci")
    assert done.stdout == f"{noted(job)['did']}\n"
    assert not (job.home / "auths").exists()
    key = str(job.home / "runner/git-auths/key")
    for name, value in {"gpg.format": "ssh", "user.signingKey": key, "commit.gpgSign": "true",
                        "user.name": "github-actions[bot]"}.items():  # fmt: skip
        assert job.git("config", "--local", name).stdout.strip() == value
        assert f"set {name} = {value}" in done.stderr
    job.git("commit", "--quiet", "--allow-empty", "-m", "x")
    shown = run("ssh-keygen", "-l", "-f", key).stdout.decode().split()[1]
    assert job.git("log", "-1", "--format=%GF").stdout.strip() == shown
    assert not any((job.at / ".git/hooks" / name).exists() for name in hookfiles.CLIENT)


def test_in_a_job_it_changes_nothing_when_run_twice(job: Person) -> None:
    first = job.auths("init", "--profile", "ci")
    before = config(job), noted(job)
    again = job.auths("init", "--profile", "ci")
    assert (again.stdout, config(job), noted(job)) == (first.stdout, *before)
    assert "is there already" in again.stderr
    assert "set " not in again.stderr


def test_an_expired_one_is_replaced(job: Person) -> None:
    first = job.auths("init", "--profile", "ci").stdout
    file = job.home / "runner/git-auths/identity.json"
    file.write_text(json.dumps({**noted(job), "expires_at": "2026-01-01T00:00:00Z"}))
    assert job.auths("init", "--profile", "ci").stdout != first


def test_the_author_that_is_there_stays(job: Person) -> None:
    job.git("config", "user.name", "Release Robot")
    job.auths("init", "--profile", "ci")
    assert job.git("config", "user.name").stdout == "Release Robot\n"
    assert job.git("config", "user.email").stdout.endswith("@users.noreply.github.com\n")


def test_on_another_ci_git_asks_for_the_author(job: Person) -> None:
    del job.environment["GITHUB_ACTIONS"]
    job.auths("init", "--profile", "ci")
    job.git("config", "user.name", code=1)


@pytest.mark.parametrize("pinned", [True, False])
def test_the_policy_says_how_long_it_lives_and_of_what_kind_it_is(ada: Person, pinned: bool) -> None:
    (ada.home / "runner").mkdir()
    ada.environment |= {"RUNNER_TEMP": str(ada.home / "runner")}
    before = ada.auths("init", "--profile", "ci").stdout
    policy = ada.at / ".auths/policy.toml"
    policy.write_text(policy.read_text() + CI_RULE.format("true"))
    ada.git("config", "user.signingKey", "auths:main")
    ada.git("commit", "--quiet", "-am", "Rules for CI")
    if not pinned:
        ada.git("config", "--unset", "auths.root")
    done = ada.auths("init", "--profile", "ci")
    assert done.stdout != before
    assert ada.auths("key-id", "--ssh").stdout.startswith("ecdsa-sha2-nistp256 ")
    times = [str(noted(ada)[name])[14:16] for name in ("created_at", "expires_at")]
    assert (int(times[1]) - int(times[0])) % 60 == 10
    assert ada.auths("init", "--profile", "ci").stdout == done.stdout


def test_a_policy_without_throwaway_identities_is_told_of(ada: Person) -> None:
    ada.environment |= {"RUNNER_TEMP": str(ada.home)}
    policy = ada.at / ".auths/policy.toml"
    policy.write_text(policy.read_text() + CI_RULE.format("false"))
    ada.git("commit", "--quiet", "-am", "Rules for CI")
    assert "no [[policy.ci]] allows throwaway identities" in ada.auths("init", "--profile", "ci").stderr


def test_the_cis_token_binds_the_key(job: Person, mint: issuer.Issuer) -> None:
    done = job.auths("init", "--profile", "ci", **mint.environment)
    assert mint.requests == [didkey.audience(didkey.decode(done.stdout.strip()))]
    token = str(noted(job)["token"])
    assert len(token.split(".")) == 3
    assert token not in done.stderr
    assert issuer.REQUEST_TOKEN not in done.stderr
    job.auths("init", "--profile", "ci", **mint.environment)
    assert len(mint.requests) == 1


def test_without_a_token_it_says_what_the_job_needs(job: Person, mint: issuer.Issuer) -> None:
    done = job.auths("init", "--profile", "ci")
    assert "warning: no token of the CI binds the key" in done.stderr
    assert "id-token: write" in done.stderr
    mint.answer = (403, "text/html", b"<html>")
    assert (
        "warning: no token of the CI binds the key" in job.auths("init", "--profile", "ci", **mint.environment).stderr
    )
    assert "token" not in noted(job)


def test_a_throwaway_key_is_registered_with_the_forge_for_its_life(job: Person, forge: forges.Forge) -> None:
    variables = {"GITHUB_API_URL": forge.url, "AUTHS_FORGE_TOKEN": forges.TOKEN, "GITHUB_REPOSITORY": "ada/tool"}
    job.auths("init", "--profile", "ci", "--no-auto-register-ssh-key", **variables)
    assert forge.requests == []
    done = job.auths("init", "--profile", "ci", **variables)
    [held] = forge.keys.values()
    assert held["key"].split()[1] == job.auths("key-id", "--ssh").stdout.split()[1]
    assert noted(job)["forge_key"]["id"] == held["id"]  # type: ignore[index]
    assert forges.TOKEN not in done.stderr


def test_it_says_whose_address_the_forge_shows_as_verified(job: Person, forge: forges.Forge) -> None:
    """The key is the account's of the token; the committer is the bot."""
    variables = {"GITHUB_API_URL": forge.url, "AUTHS_FORGE_TOKEN": forges.TOKEN}
    words = "only where the committer's address, 41898282+github-actions[bot]@users.noreply.github.com, belongs to"
    told = job.auths("init", "--profile", "ci", **variables).stderr
    assert [words in line for line in told.splitlines()].count(True) == 1
    for unregistered in ({}, {**variables, "AUTHS_FORGE_TOKEN": "tok-expired"}):
        assert words not in job.auths("init", "--profile", "ci", **unregistered).stderr
    job.git("config", "user.email", "ada@example.com")
    assert words not in job.auths("init", "--profile", "ci", **variables).stderr


def test_a_pipelines_own_key_is_said_to_be_of_the_tokens_account(ada: Person, forge: forges.Forge) -> None:
    key = (ada.home / "auths/identities/main/current").read_text()
    variables = {"AUTHS_DID": ada.did(), "AUTHS_PRIVATE_KEY": key, "GITHUB_API_URL": forge.url,
                 "AUTHS_FORGE_TOKEN": forges.TOKEN}  # fmt: skip
    assert "belongs to" not in ada.auths("init", "--profile", "ci", "--register", **variables).stderr
    ada.git("config", "user.email", GITHUB_BOT["user.email"])
    assert "belongs to the account" in ada.auths("init", "--profile", "ci", "--register", **variables).stderr


def test_a_token_that_the_job_has_for_another_service_is_not_kept(job: Person, mint: issuer.Issuer) -> None:
    variables = {"GITHUB_ACTIONS": "", "GITLAB_CI": "true", "AUTHS_ID_TOKEN": mint.mint("https://vault.example.com")}
    told = job.auths("init", "--profile", "ci", **variables).stderr
    assert "is 'https://vault.example.com'" in told and "hint: the job needs `id_tokens:" in told
    assert "token" not in noted(job)
    job.auths("init", "--profile", "ci", **{**variables, "AUTHS_ID_TOKEN": mint.mint("git-auths")})
    assert "token" in noted(job)


def test_without_a_token_for_the_forge_it_says_so_in_one_line(job: Person) -> None:
    done = job.auths("init", "--profile", "ci")
    assert len([line for line in done.stderr.splitlines() if "AUTHS_FORGE_TOKEN" in line]) == 1
    assert "AUTHS_FORGE_TOKEN" not in job.auths("init", "--profile", "ci", "--no-auto-register-ssh-key").stderr


def test_a_persons_key_is_registered_on_request(newcomer: Person, repository: Path, forge: forges.Forge) -> None:
    variables = {"GITHUB_API_URL": forge.url, "AUTHS_FORGE_TOKEN": forges.TOKEN}
    newcomer.auths("init", "--no-passphrase", **variables)
    assert forge.requests == []
    newcomer.auths("init", "--register", **variables)
    [held] = forge.keys.values()
    assert held["key"].split()[1] == newcomer.auths("key-id", "--ssh").stdout.split()[1]


def test_the_environments_identity_needs_no_throwaway(ada: Person) -> None:
    key = (ada.home / "auths/identities/main/current").read_text()
    did = ada.did()
    variables = {"AUTHS_DID": did, "AUTHS_PRIVATE_KEY": key, "RUNNER_TEMP": str(ada.home / "runner")}
    assert ada.auths("init", "--profile", "ci", **variables).stdout == did + "\n"
    assert ada.git("config", "user.signingKey").stdout == "auths:environment\n"
    assert not (ada.home / "runner").exists()


@pytest.mark.parametrize("words", [("--alias", "x"), ("--keys", "2"), ("--next-key", "x"), ("--threshold", "1")])
def test_what_only_a_lasting_identity_has_is_wrong_usage_for_a_job(job: Person, words: tuple[str, str]) -> None:
    assert words[0] in job.auths("init", "--profile", "ci", *words, code=129).stderr
    assert not (job.home / "runner/git-auths").exists()


def test_a_job_outside_of_a_repository_gets_nothing(job: Person) -> None:
    job.auths("init", "--profile", "ci", code=128, cwd=job.home)
    assert list((job.home / "runner").iterdir()) == []
