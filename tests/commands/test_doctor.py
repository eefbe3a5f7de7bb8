"""git auths doctor"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from git_auths.store.worktree_policy import UNCONVERTED
from tests.devices import approved, request, second_machine
from tests.people import Done, Person, Project

DAY = 24 * 3600


def keys(person: Person) -> Path:
    return person.home / "auths/identities/main"


def line(done: Done, word: str) -> str:
    """The one line of the answer that has this word."""
    (found,) = [line for line in done.stdout.splitlines() if word in line]
    return found


def expires(person: Person, days: float) -> None:
    """Let the right of the policy's first signer end then, and commit that."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + days * DAY))
    policy = person.at / ".auths/policy.toml"
    policy.write_text(policy.read_text().replace('[signer."', f'[signer."{person.did()}"]\nexpires_at = {at}\n#"', 1))
    person.git("commit", "--quiet", "-a", "-m", "Until then")


def test_where_all_is_well_it_says_what_it_has_looked_at(ada: Person) -> None:
    done = ada.auths("doctor")
    assert line(done, ada.did()).startswith(f"ok    'main' is {ada.did()}, event 0, key SHA256:")
    assert line(done, "are pinned").startswith(f"ok    the trust root {ada.head()} and the mainline refs/heads/main")
    assert line(done, "configuration") == "ok    git's configuration is as git-auths needs it"
    assert line(done, "hooks").startswith("ok    the hooks are installed: pre-push, ")
    assert line(done, "allowed_signers") == "ok    allowed_signers is as generated"
    assert line(done, "HEAD") == "ok    HEAD has all of the logs of this machine that it knows"
    assert "bad " not in done.stdout


def test_as_json_it_is_one_document_with_the_same_findings(ada: Person) -> None:
    (ada.at / ".git/hooks/pre-push").unlink()
    told = json.loads(ada.auths("doctor", "--json").stdout)
    assert (told["version"], told["ok"]) == (1, True)
    assert {"level": "warn", "what": "hooks that are missing or old: pre-push",
            "hint": "git auths hooks install"} in told["findings"]  # fmt: skip


def test_without_identity_and_repository_it_says_what_to_do(newcomer: Person) -> None:
    done = newcomer.auths("doctor")
    assert line(done, "identity") == "warn  no identity on this machine"
    assert "hint: git auths init makes one\n" in done.stderr
    assert "ok    no repository here" in done.stdout


def test_keys_that_lie_open_are_bad_and_are_closed(ada: Person) -> None:
    (keys(ada) / "current").chmod(0o644)
    done = ada.auths("doctor", code=1)
    assert line(done, "others can reach") == f"bad   'main': others can reach {keys(ada) / 'current'}"
    assert f"hint: chmod 600 {keys(ada) / 'current'}\n" in done.stderr
    assert line(ada.auths("doctor", "--fix"), "others can reach").startswith("ok    mended: ")
    assert (keys(ada) / "current").stat().st_mode & 0o777 == 0o600


def test_both_keys_in_one_folder_and_no_passphrase_are_warned_of(ada: Person) -> None:
    done = ada.auths("doctor")
    assert "warn  'main': the current and the next key are in one folder, so who steals one has both" in done.stdout
    assert "warn  'main': the next key has no passphrase" in done.stdout
    ada.auths("init", "--alias", "locked", "--next-key", ada.home / "stick", AUTHS_PASSPHRASE="x")
    assert not [line for line in ada.auths("doctor").stdout.splitlines() if line.startswith("warn  'locked'")]


def test_a_key_that_the_log_does_not_have_is_bad(ada: Person) -> None:
    (keys(ada) / "current").write_bytes((keys(ada) / "next").read_bytes())
    assert "does not have the key" in line(ada.auths("doctor", code=1), "bad ")


def test_a_damaged_log_is_bad(ada: Person) -> None:
    with (keys(ada) / "kel.cesr").open("ab") as log:
        log.write(b"{")
    assert str(keys(ada) / "kel.cesr") in line(ada.auths("doctor", code=1), "bad ")


def test_the_next_key_is_taken_out_of_ssh_agent(ada: Person, agent: str) -> None:
    ada.environment["SSH_AUTH_SOCK"] = agent
    ada.auths("unlock")
    assert "in ssh-agent" in line(ada.auths("doctor"), ada.did())
    subprocess.run(["ssh-add", "-q", keys(ada) / "next"], env=ada.environment, check=True)
    assert line(ada.auths("doctor"), "ssh-agent holds") == "warn  'main': ssh-agent holds the next key"
    assert "mended" in line(ada.auths("doctor", "--fix"), "ssh-agent holds")
    assert "ssh-agent holds" not in ada.auths("doctor").stdout


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[str]:
    socket = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    while not socket.exists():
        time.sleep(0.01)
    yield str(socket)
    process.terminate()
    process.wait()


def test_a_device_that_waits_for_its_approval_is_told_what_to_do(project: Project) -> None:
    laptop = second_machine(project)
    request(laptop, project.ada.did())
    done = laptop.auths("doctor")
    assert line(done, "waits") == "warn  'main' waits for its owner's approval, or has not taken it up"
    assert "hint: git auths device finish --alias main" in done.stderr


def test_a_clone_that_nobody_has_set_up_is_bad(ada: Person) -> None:
    ada.git("config", "--unset", "auths.root")
    done = ada.auths("doctor", code=1)
    assert line(done, "bad ") == "bad   HEAD has a policy, but no trust root is pinned in this clone"
    assert "hint: git auths setup\n" in done.stderr


def test_a_root_that_is_not_here_is_bad(ada: Person) -> None:
    ada.git("config", "auths.root", "1" * 40)
    assert f"the trust root {'1' * 40} is not in this repository" in line(ada.auths("doctor", code=1), "bad ")


def test_wiring_and_hooks_are_mended(ada: Person) -> None:
    ada.git("config", "gpg.format", "openpgp")
    ada.git("config", "--unset", "merge.auths-kel.driver")
    (ada.at / ".git/hooks/pre-commit").unlink()
    done = ada.auths("doctor")
    assert line(done, "configuration").endswith(" configuration: gpg.format, merge.auths-kel.driver")
    assert line(done, "hooks") == "warn  hooks that are missing or old: pre-commit"
    ada.auths("doctor", "--fix")
    assert ada.git("config", "gpg.format").stdout == "ssh\n"
    assert "warn  hooks" not in ada.auths("doctor").stdout


def test_a_hardware_key_that_somebody_signs_with_is_left_alone(ada: Person) -> None:
    ada.git("config", "user.signingKey", "/home/ada/.ssh/id_sk.pub")
    assert "ok    git's configuration" in ada.auths("doctor", "--fix").stdout
    assert ada.git("config", "user.signingKey").stdout == "/home/ada/.ssh/id_sk.pub\n"


def test_gates_that_are_left_open_are_warned_of(ada: Person) -> None:
    ada.git("config", "auths.enforce", "observe")
    ada.git("config", "auths.enforceOnSign", "false")
    done = ada.auths("doctor")
    assert line(done, "auths.enforce ").startswith("warn  auths.enforce is observe")
    assert line(done, "auths.enforceOnSign").startswith("warn  auths.enforceOnSign is false")
    ada.git("config", "auths.enforce", "no")
    assert "auths.enforce is 'no'" in line(ada.auths("doctor", code=1), "bad ")


def test_a_log_that_lags_is_committed(ada: Person) -> None:
    ada.git("branch", "side")
    ada.auths("rotate")
    ada.git("switch", "--quiet", "side")
    done = ada.auths("doctor")
    assert line(done, "HEAD has not all") == f"warn  HEAD has not all of the log of {ada.did()}"
    assert "hint: git auths kel update\n" in done.stderr
    before = ada.head()
    assert line(ada.auths("doctor", "--fix"), "HEAD has not all").endswith(f"; committed {ada.head()}")
    assert ada.head() != before
    assert ada.git("status", "--porcelain").stdout == ""


def test_a_log_that_others_have_continued_is_bad(ada: Person) -> None:
    before = (keys(ada) / "kel.cesr").read_bytes()
    ada.auths("kel", "update")
    ada.auths("rotate")
    for name in ("current", "next"):
        (keys(ada) / name).replace(keys(ada) / f"rotated-{name}")
    (keys(ada) / "previous/0").replace(keys(ada) / "current")
    (keys(ada) / "rotated-current").replace(keys(ada) / "next")
    (keys(ada) / "kel.cesr").write_bytes(before)
    assert "that this machine did not make" in line(ada.auths("doctor", code=1), "bad ")


@pytest.mark.parametrize(("days", "told"), [(29, "ends on"), (-1, "ended on"), (31, None)])
def test_a_right_that_ends_within_30_days_is_warned_of(ada: Person, days: int, told: str | None) -> None:
    expires(ada, days)
    done = ada.auths("doctor")
    if told is None:
        assert "the right to sign" not in done.stdout
    else:
        assert line(done, "the right to sign").startswith(f"warn  the right to sign of {ada.did()} (ada) {told} 20")
        assert "hint: git auths receive --expiring" in done.stderr


def test_a_devices_grant_that_ends_within_30_days_is_warned_of(project: Project) -> None:
    approved(project, "--expires", "30d")
    assert "the grant as device" in line(project.ada.auths("doctor"), "warn  the grant")


def test_allowed_signers_are_staged_and_copied_as_generated(ada: Person) -> None:
    file = ada.at / ".auths/allowed_signers"
    wanted = file.read_bytes()
    file.write_bytes(wanted + b"# more\n")
    ada.git("commit", "--quiet", "--no-verify", "--no-gpg-sign", "-a", "-m", "Edited")
    assert "is not as generated" in line(ada.auths("doctor"), "warn  .auths/allowed_signers")
    ada.auths("doctor", "--fix")
    assert file.read_bytes() == wanted
    ada.git("reset", "--quiet", "--hard", "HEAD~1")
    copy = ada.at / ".git/auths/allowed_signers"
    copy.unlink()
    assert "which stock git reads" in line(ada.auths("doctor"), f"warn  {copy}")
    ada.auths("doctor", "--fix")
    assert copy.read_bytes() == wanted


def test_a_copy_of_before_the_mainline_moved_on_is_well(ada: Person) -> None:
    copy = ada.at / ".git/auths/allowed_signers"
    before = copy.read_bytes()
    ada.auths("rotate")
    assert "moved on" in line(ada.auths("doctor"), f"ok    {copy}")
    ada.auths("doctor", "--fix")
    assert copy.read_bytes() == (ada.at / ".auths/allowed_signers").read_bytes() != before
    ada.auths("rotate")
    assert "moved on" in line(ada.auths("doctor"), f"ok    {copy}")
    copy.write_bytes(before)
    assert "is not that of refs/heads/main" in line(ada.auths("doctor"), f"warn  {copy}")


def test_a_remote_that_came_later_gets_its_refspec_for_the_notes(ada: Person) -> None:
    ada.git("init", "--quiet", "--bare", ada.home / "server.git")
    ada.git("remote", "add", "origin", ada.home / "server.git")
    assert line(ada.auths("doctor"), "remote.origin.fetch").startswith("warn  not as git-auths needs it")
    ada.git("push", "--quiet", "--set-upstream", "origin", "main")
    ada.git("switch", "--quiet", "--create", "side")
    ada.auths("approve", "HEAD", "--yes", code=None)
    ada.auths("sync")
    assert "mended: " in line(ada.auths("doctor", "--fix"), "remote.origin.fetch")
    refspecs = ada.git("config", "--get-all", "remote.origin.fetch").stdout.splitlines()
    assert refspecs[1:] == ["+refs/notes/auths*:refs/notes/remotes/origin/auths*"]
    assert "remote.origin.fetch" not in ada.auths("doctor").stdout


def test_the_copy_is_not_renewed_from_a_mainline_that_is_not_good(ada: Person) -> None:
    ada.git("commit", "--quiet", "--no-verify", "--no-gpg-sign", "--allow-empty", "-m", "Unsigned")
    (ada.at / ".git/auths/allowed_signers").unlink()
    assert "not mended: the mainline is not good" in line(ada.auths("doctor", "--fix"), "which stock git reads")


@pytest.mark.parametrize(
    "before", [b"kels/*.cesr -text merge=auths-kel\nadopted merge=union\n", b"*.json diff=x\n", b""]
)
def test_attributes_that_let_git_convert_what_is_below_auths_are_mended(ada: Person, before: bytes) -> None:
    file = ada.at / ".auths/.gitattributes"
    file.write_bytes(before)
    ada.git("commit", "--quiet", "--all", "-m", "Attributes of another version")
    done = ada.auths("doctor")
    assert line(done, "gitattributes").startswith("warn  .auths/.gitattributes of refs/heads/main does not keep git")
    assert "mended: " in line(ada.auths("doctor", "--fix"), "gitattributes")
    assert file.read_bytes().startswith(UNCONVERTED) and file.read_bytes().endswith(before)
    ada.git("commit", "--quiet", "-m", "Convert nothing")
    assert "gitattributes" not in ada.auths("doctor").stdout
    assert ada.ask("verify")["ok"]


def test_a_git_that_shows_signatures_is_no_error(ada: Person) -> None:
    ada.git("config", "log.showSignature", "true")
    assert "bad " not in ada.auths("doctor").stdout
    new = ada.commit()
    done = ada.auths("root", "pin", "--replace", ada.git("rev-parse", "HEAD~").stdout.strip(), new)
    assert "ada: Work\n" in done.stderr and "Good" not in done.stderr


def test_a_clock_that_is_behind_is_warned_of(ada: Person) -> None:
    ahead = f"@{int(time.time()) + 2 * 3600} +0000"
    ada.git("commit", "--quiet", "--allow-empty", "-m", "Later", GIT_COMMITTER_DATE=ahead)
    assert "after this machine's clock" in line(ada.auths("doctor"), "warn  a commit of refs/heads/main")


def test_attestations_that_were_never_fetched_are(project: Project) -> None:
    done = project.bob.auths("doctor")
    assert "no attestations of origin" in line(done, "attestations")
    assert "hint: git auths sync\n" in done.stderr
    project.ada.auths("approve", "HEAD")
    project.ada.auths("sync")
    assert "fetched, 1 of them new" in line(project.bob.auths("doctor", "--fix"), "attestations")
    assert "attestations" not in project.bob.auths("doctor").stdout


def test_a_server_is_looked_at_as_such(project: Project) -> None:
    done = project.ada.auths("doctor", cwd=project.server)
    assert line(done, "hooks") == "ok    the hooks are installed: pre-receive"
    (project.server / "hooks/pre-receive").unlink()
    project.ada.auths("doctor", "--fix", cwd=project.server)
    assert os.access(project.server / "hooks/pre-receive", os.X_OK)


CI_RULE = """
[[policy.ci]]
allow_ephemeral = true
require_timestamp = true
require_log = "sigstore-rekor"
[policy.ci.identity]
issuer = "https://ci.example"
repository_id = "1"
"""


def test_what_the_rules_for_ci_judge_by_and_is_not_pinned_is_named(ada: Person) -> None:
    policy = ada.at / ".auths/policy.toml"
    policy.write_text(policy.read_text() + CI_RULE)
    (ada.at / ".auths/tsa").mkdir()
    (ada.at / ".auths/tsa/own.pem").write_text("no certificate")
    ada.git("add", ".auths")
    ada.git("commit", "--quiet", "-m", "CI may sign")
    done = ada.auths("doctor", code=None)
    told = done.stdout + done.stderr
    for said in ("git auths ci pin-issuer https://ci.example", "git auths ci pin-tsa", "git auths ci pin-log",
                 ".auths/tsa/own.pem"):  # fmt: skip
        assert said in told, said
