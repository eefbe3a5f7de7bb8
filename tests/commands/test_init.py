"""git auths init"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from git_auths.core.kel import Kel, replay
from git_auths.store import hookfiles
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
