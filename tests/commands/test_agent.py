"""git auths agent"""

from __future__ import annotations

import base64
import json
import re
import shutil
import socketserver
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from git_auths.core import kelbuild, kelstream
from tests.people import Done, Person, Project

COMMIT = ("git", "commit", "--quiet", "--allow-empty", "-m", "By the agent")


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[str]:
    """The owner's ssh-agent."""
    socket = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while not socket.exists():
        assert time.monotonic() < deadline
    yield str(socket)
    process.terminate()
    process.wait()


@pytest.fixture(scope="module")
def prepared(template: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Rules that allow agents, an agent of Ada's, and somebody whose keys a passphrase locks."""
    project = template.copied(tmp_path_factory.mktemp("prepared"))
    allow_agents(project.ada)
    new(project.ada, "--model", "m-1", "--provider", "p")
    newcomer = Person(project.folder, "newcomer")
    newcomer.at = newcomer.home / "work"
    newcomer.git("init", "--quiet", newcomer.at, cwd=newcomer.home)
    newcomer.auths("init", AUTHS_PASSPHRASE="secret")
    newcomer.auths("policy", "init", AUTHS_PASSPHRASE="secret")
    allow_agents(newcomer, AUTHS_PASSPHRASE="secret")
    new(newcomer, AUTHS_PASSPHRASE="secret")
    return project


@pytest.fixture
def owner(prepared: Project, tmp_path: Path) -> Person:
    """Ada, with an agent `fixer`."""
    return prepared.copied(tmp_path / "copy").ada


@pytest.fixture
def locked(prepared: Project, tmp_path: Path) -> Person:
    """Somebody whose keys a passphrase locks, with an agent `fixer`."""
    prepared.copied(tmp_path / "copy")
    person = Person(tmp_path / "copy", "newcomer")
    person.at = person.home / "work"
    config = person.at / ".git/config"
    config.write_text(config.read_text().replace(str(prepared.folder), str(tmp_path / "copy")))
    return person


def new(owner: Person, *options: str, name: str = "fixer", **environment: str) -> str:
    return owner.auths("agent", "new", name, *options, **environment).stdout.strip()


def run(owner: Person, *command: str | Path, code: int | None = 0, name: str = "fixer", **environment: str) -> Done:
    return owner.auths("agent", "run", name, "--", *command, code=code, **environment)


def listed(owner: Person) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(owner.auths("agent", "list", "--json").stdout)["agents"]
    return found


def signed_by(person: Person) -> str:
    """Who has signed HEAD, and that it is good."""
    verdict = person.ask("verify-commit", "HEAD")["objects"][0]
    assert verdict["verdict"] == "good"
    return str(verdict["signer"])


def allow_agents(person: Person, word: str = "allow", more: str = "", **environment: str) -> None:
    """Let the commit rules say this of agents."""
    policy = person.at / ".auths/policy.toml"
    text = re.sub(r'(?m)^agents *= *"\w+".*$', f'agents = "{word}"\n{more}', policy.read_text())
    policy.write_text(text)
    person.git("commit", "--quiet", "-a", "-m", "Say what agents may do", **environment)


def did_of(owner: Person, name: str = "fixer") -> str:
    log = (owner.home / "auths/identities" / name / "kel.cesr").read_bytes()
    return f"did:keri:{next(kelstream.messages(log)).body.aid}"


def test_a_plain_commit_in_a_run_is_the_agents(owner: Person) -> None:
    run(owner, *COMMIT)
    assert signed_by(owner) == did_of(owner)
    verdict = owner.ask("verify-commit", "HEAD")["objects"][0]
    assert verdict["principal"] == owner.did()
    owner.git("commit", "--quiet", "--allow-empty", "-m", "By Ada")
    assert signed_by(owner) == owner.did()


def test_a_new_agent_is_sealed_by_one_event_with_its_grant(owner: Person) -> None:
    [one] = listed(owner)
    assert (one["name"], one["did"], one["kind"]) == ("fixer", did_of(owner), "agent")
    assert (one["model"], one["provider"], one["owner"]) == ("m-1", "p", owner.did())
    assert (one["capabilities"], one["state"], one["event"]) == (["sign_commit"], "active", 1)
    log = owner.auths("kel", "show", owner.did()).stdout
    assert "  1 ixn" in log
    assert log.count("seal") == 2
    assert "  2 " not in log
    assert f"fixer  {did_of(owner)}  sign_commit  p m-1  active" in owner.auths("agent", "list").stdout
    assert owner.ask("verify")["ok"]


def test_nothing_in_a_run_can_sign_as_the_owner(locked: Person, agent: str) -> None:
    secrets = {"SSH_AUTH_SOCK": agent, "AUTHS_PASSPHRASE": "secret", "AUTHS_PRIVATE_KEY": "x"}
    locked.auths("unlock", AUTHS_PASSPHRASE="secret", SSH_AUTH_SOCK=agent)
    key = locked.auths("key-id", "--ssh").stdout.split()[1]
    before = locked.head()

    seen = run(locked, "sh", "-c", "env; ssh-add -L >&2", **secrets)
    assert agent not in seen.stdout
    assert "secret" not in seen.stdout
    assert "AUTHS_PRIVATE_KEY" not in seen.stdout
    keys = [line for line in seen.stderr.splitlines() if line.startswith("ssh-")]
    assert len(keys) == 1
    assert key not in keys[0]
    as_owner = ("-c user.signingKey=auths:main commit --allow-empty -S -m x", "-c user.signingKey=auths:main tag -s v1 -m x",
                "auths rotate --alias main", "auths agent new other", "auths grant did:keri:x", "auths device remove fixer")  # fmt: skip
    attempts = "; ".join(f"git {arguments} && echo DONE" for arguments in as_owner)
    assert "DONE" not in run(locked, "sh", "-c", attempts, code=None, **secrets).stdout
    assert locked.head() == before
    assert locked.git("tag").stdout == ""


KEY_EVENT = """
import sys
from git_auths.store import keystore, sshagent
blob = keystore.load("fixer").current_blob
event, login = b'{"v":"KERI10JSON0000fb_","t":"ixn"', (4).to_bytes(4, "big") + b"user"
print([sshagent.sign(blob, data) is not None for data in (event, login, b"", b"SSHSIG...", b"DSSEv1 1 x 1 x")])
"""


def test_the_agent_in_a_run_signs_no_key_event_and_opens_no_session(owner: Person) -> None:
    assert run(owner, sys.executable, "-c", KEY_EVENT).stdout == "[False, False, False, True, True]\n"


def test_the_home_in_a_run_has_no_private_key(owner: Person) -> None:
    files = run(owner, "sh", "-c", 'cd "$AUTHS_HOME" && find . -type f && cat identities/*/current').stdout
    there = {line for line in files.splitlines() if line.startswith("./")}
    assert there == {f"./identities/fixer/{name}" for name in ("kel.cesr", "current", "identity.json")}
    private = (owner.home / "auths/identities/fixer/current").read_text().splitlines()
    assert all(line not in files for line in private[3:-1])


def test_the_home_of_a_run_is_gone_after_it(owner: Person) -> None:
    home = run(owner, "sh", "-c", 'echo "$AUTHS_HOME"').stdout.strip()
    assert not Path(home).exists()


def test_the_repositorys_own_configuration_does_not_change_who_signs(owner: Person) -> None:
    for key, value in {"commit.gpgSign": "false", "gpg.format": "openpgp", "user.signingKey": "auths:main",
                       "gpg.ssh.program": "/bin/false", "auths.identity": "main"}.items():  # fmt: skip
        owner.git("config", key, value)
    run(owner, *COMMIT)
    assert signed_by(owner) == did_of(owner)


def test_a_run_tells_its_command_who_it_is_and_gives_it_its_own_options(owner: Person) -> None:
    told = run(owner, "sh", "-c", 'echo "$AGENT_ID $AGENT_MODEL $AGENT_PROVIDER $@"', "--help", "-h", "--", "-x").stdout
    assert told.strip() == f"{did_of(owner)} m-1 p -h -- -x"


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -TERM $$", 143)])
def test_the_exit_code_is_the_commands(owner: Person, script: str, code: int) -> None:
    run(owner, "sh", "-c", script, code=code)


def test_without_a_command_it_is_wrong_usage(owner: Person) -> None:
    assert "what is the agent to run" in owner.auths("agent", "run", "fixer", code=129).stderr


def test_the_key_is_locked_like_its_owners_and_loaded_for_its_time(locked: Person, agent: str) -> None:
    file = (locked.home / "auths/identities/fixer/current").read_bytes()
    assert b"aes256-ctr" in base64.b64decode(b"".join(file.splitlines()[1:-1]))
    assert "locked" in run(locked, *COMMIT, code=128).stderr
    did = new(locked, name="other", AUTHS_PASSPHRASE="secret", SSH_AUTH_SOCK=agent)
    run(locked, *COMMIT, name="other", SSH_AUTH_SOCK=agent)
    assert signed_by(locked) == did


def test_whoever_has_no_passphrase_is_told_what_a_command_could_read(owner: Person, locked: Person) -> None:
    assert "no passphrase locks the key file of 'main'" in run(owner, "true").stderr
    assert "no passphrase" not in run(locked, "true", AUTHS_PASSPHRASE="secret").stderr


def test_a_runners_folder_holds_the_keys_in_the_open(owner: Person, tmp_path: Path) -> None:
    runner = tmp_path / "runner"
    runner.mkdir(mode=0o755)
    did = new(owner, name="other", RUNNER_TEMP=str(runner))
    folder = runner / "git-auths/identities/other"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir() if file.is_file()} == {0o600}
    assert not (owner.home / "auths/identities/other").exists()
    run(owner, *COMMIT, name="other", RUNNER_TEMP=str(runner))
    assert signed_by(owner) == did


def test_keys_in_a_folder_sign_without_a_run_too(locked: Person, tmp_path: Path) -> None:
    did = new(locked, "--in", str(tmp_path / "keys"), name="other", AUTHS_PASSPHRASE="secret")
    locked.git("-c", "user.signingKey=auths:other", *COMMIT[1:], AUTHS_HOME=str(tmp_path / "keys"))
    assert signed_by(locked) == did


@pytest.mark.parametrize("mode", [0o1777, 0o770])
def test_a_folder_that_others_write_to_holds_no_keys(owner: Person, tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(mode)
    assert "others can write" in owner.auths("agent", "new", "other", "--in", folder, code=128).stderr
    assert list(folder.iterdir()) == []


def test_renewal_keeps_the_identifier_and_one_event_renews_many(owner: Person) -> None:
    other = new(owner, "--ttl", "1s", name="other")
    deadline = time.monotonic() + 10
    while listed(owner)[1]["state"] != "expired":
        assert time.monotonic() < deadline
    assert "(expired)" in run(owner, "true", name="other", code=1).stderr
    owner.auths("agent", "renew", "fixer", "other", other, "--ttl", "9h")
    assert [(one["did"], one["state"], one["event"]) for one in listed(owner)] == [
        (did_of(owner), "active", 3), (other, "active", 3)
    ]  # fmt: skip
    assert listed(owner)[0]["model"] == "m-1"
    run(owner, *COMMIT, name="other")
    assert signed_by(owner) == other


def test_a_run_ends_signing_when_the_time_is_over(owner: Person) -> None:
    script = f"timeout 60 sh -c 'until ! ssh-add -l; do sleep 0.05; done'; {' '.join(COMMIT[:-1])} late"
    for seconds in (2, 8, 32):  # as long as this machine takes until the command runs
        name = f"for-{seconds}-seconds"
        new(owner, "--ttl", f"{seconds}s", name=name)
        before = owner.head()
        done = run(owner, "sh", "-c", script, code=None, name=name)
        if name in done.stdout:
            break
    assert name in done.stdout
    assert "no identities" in done.stdout
    assert done.returncode != 0
    assert owner.head() == before


def test_a_revoked_agent_runs_and_signs_no_more(owner: Person, agent: str) -> None:
    environment = {**owner.environment, "SSH_AUTH_SOCK": agent}
    did = new(owner, name="other", SSH_AUTH_SOCK=agent)
    assert b"other" in subprocess.run(["ssh-add", "-L"], env=environment, capture_output=True, check=True).stdout
    owner.auths("agent", "revoke", "other", SSH_AUTH_SOCK=agent)
    assert b"other" not in subprocess.run(["ssh-add", "-L"], env=environment, capture_output=True, check=False).stdout
    assert "was revoked" in run(owner, "true", name="other", code=1).stderr
    assert [one["did"] for one in listed(owner) if one["revoked"]] == [did]
    assert "was revoked" in owner.auths("agent", "renew", "other", code=1).stderr
    refused = owner.git("-c", "user.signingKey=auths:other", *COMMIT[1:], code=128).stderr
    assert "not signed" in refused


def test_on_a_branch_from_before_it_was_revoked_it_runs_and_signs_as_little(owner: Person, agent: str) -> None:
    new(owner, name="other", SSH_AUTH_SOCK=agent)
    owner.git("branch", "older")
    owner.auths("agent", "revoke", "other", SSH_AUTH_SOCK=agent)
    owner.git("switch", "--quiet", "older")
    assert "was revoked" in run(owner, "true", name="other", code=1).stderr
    refused = owner.git("-c", "user.signingKey=auths:other", *COMMIT[1:], code=128).stderr
    assert "has been revoked" in refused


def test_the_name_of_a_living_agent_is_taken_and_that_of_a_revoked_one_says_why(owner: Person) -> None:
    assert "agent renew fixer" in owner.auths("agent", "new", "fixer", code=1).stderr
    assert "take another name" in owner.auths("agent", "new", "main", code=1).stderr
    owner.auths("agent", "revoke", "fixer")
    assert "was revoked" in owner.auths("agent", "new", "fixer", code=1).stderr
    shutil.rmtree(owner.home / "auths/identities/fixer")
    assert new(owner) == did_of(owner)


def test_what_a_compromised_key_had_sealed_is_renewed(owner: Person) -> None:
    owner.auths("rotate", "--compromised", "--no-receive")
    assert "in doubt" in run(owner, "true", code=1).stderr
    owner.auths("agent", "renew", "fixer")
    run(owner, *COMMIT)
    assert signed_by(owner) == did_of(owner)


def test_a_run_is_refused_where_head_does_not_know_the_agent(owner: Person) -> None:
    owner.git("checkout", "--quiet", "HEAD~")
    assert "no key event log" in run(owner, "true", code=1).stderr


def test_an_identity_that_is_no_agent_runs_nothing(owner: Person) -> None:
    assert "no grant that makes 'main'" in run(owner, "true", name="main", code=1).stderr


def test_making_an_agent_goes_on_where_it_was_cut_off(owner: Person) -> None:
    lock = owner.at / ".git/index.lock"
    lock.write_text("")
    owner.auths("agent", "new", "other", code=None)
    did = did_of(owner, "other")
    lock.unlink()
    assert new(owner, name="other") == did
    assert [one["state"] for one in listed(owner)] == ["active", "active"]
    assert owner.auths("kel", "show", owner.did()).stdout.count('"s": "0"') == 2
    assert owner.ask("verify")["ok"]


@pytest.mark.parametrize(("options", "told"), [
    (("--capability", "everything"), "no capability"), (("--ttl", "soon"), "not a time"), (("--model", ""), "model"),
])  # fmt: skip
def test_terms_that_are_none_are_wrong_usage(owner: Person, options: tuple[str, ...], told: str) -> None:
    assert told in owner.auths("agent", "new", "other", *options, code=129).stderr
    assert not (owner.home / "auths/identities/other").exists()


def test_an_agent_does_only_what_its_grant_says(owner: Person) -> None:
    assert "not signed" in run(owner, "git", "tag", "-s", "v1", "-m", "x", code=None).stderr
    assert owner.git("tag").stdout == ""


@pytest.mark.parametrize(("word", "more", "told"), [
    ("deny", "", "admits none"), ("allow", 'agent_models = ["n-*"]', "does not admit the model m-1"),
    ("allow", 'agent_models = ["m-*"]', None),
])  # fmt: skip
def test_the_rule_says_which_agents_sign(owner: Person, word: str, more: str, told: str | None) -> None:
    if (word, more) != ("allow", ""):
        allow_agents(owner, word, more)
    done = run(owner, *COMMIT, code=None)
    assert done.returncode == 0 if told is None else told in done.stderr


def test_where_a_rule_says_so_a_persons_approval_is_required(owner: Person) -> None:
    allow_agents(owner, "approved")
    run(owner, *COMMIT)
    assert owner.ask("verify-commit", "HEAD")["objects"][0]["verdict"] == "threshold-unmet"
    owner.auths("approve", "HEAD")
    assert owner.ask("verify-commit", "HEAD")["ok"]


def test_an_agents_commits_are_pushed_and_stay_good_after_it_was_revoked(prepared: Project, tmp_path: Path) -> None:
    project = prepared.copied(tmp_path / "copy")
    run(project.ada, *COMMIT)
    project.ada.git("push", "--quiet")
    project.ada.auths("agent", "revoke", "fixer")
    project.ada.git("push", "--quiet")
    project.bob.git("pull", "--quiet", "--ff-only")
    assert project.bob.ask("verify")["ok"]


def test_an_agent_may_have_an_agent_but_that_one_none(owner: Person) -> None:
    below = new(owner, "--alias", "fixer", name="helper")
    run(owner, *COMMIT, name="helper")
    assert signed_by(owner) == below
    refused = owner.auths("agent", "new", "third", "--alias", "helper", code=1).stderr
    assert "delegate of a delegate" in refused
    assert not (owner.home / "auths/identities/third").exists()


def test_a_run_makes_no_key_events(owner: Person) -> None:
    before = (owner.home / "auths/identities/fixer/kel.cesr").read_bytes()
    attempts = ("grant " + owner.did() + " --capability sign_commit", "rotate", "agent new helper",
                "revoke " + owner.did(), "device finish")  # fmt: skip
    for attempt in attempts:
        refused = run(owner, "git", "auths", *attempt.split(), code=None).stderr
        assert attempt == "device finish" or "makes no key events" in refused, attempt
    assert (owner.home / "auths/identities/fixer/kel.cesr").read_bytes() == before
    below = new(owner, "--alias", "fixer", name="helper")
    assert below == did_of(owner, "helper")


def test_a_passphrase_that_the_callers_environment_has_is_warned_of(locked: Person, agent: str) -> None:
    assert "environment of whoever started this" in run(locked, "true", AUTHS_PASSPHRASE="secret").stderr
    new(locked, name="other", AUTHS_PASSPHRASE="secret", SSH_AUTH_SOCK=agent)
    assert "environment" not in run(locked, "true", name="other", SSH_AUTH_SOCK=agent).stderr


@pytest.mark.parametrize("folder", ["keys", "deeper/keys"])
def test_unencrypted_keys_lie_in_no_working_tree_unless_it_ignores_them(owner: Person, folder: str) -> None:
    other = owner.home / "another"
    owner.git("init", "--quiet", other, cwd=owner.home)
    for tree in (owner.at, other):
        place = tree / folder
        assert "working tree" in owner.auths("agent", "new", "other", "--in", place, code=1).stderr
        assert not place.exists()
    (other / ".gitignore").write_text("keys/\n")
    new(owner, "--in", str(other / folder), name="other")


@pytest.mark.parametrize("ttl", ["367d", "60000d"])
@pytest.mark.parametrize("action", ["new", "renew"])
def test_nobody_is_let_act_for_longer_than_a_year(owner: Person, agent: str, action: str, ttl: str) -> None:
    name = "other" if action == "new" else "fixer"
    before = owner.auths("whoami", "--export").stdout
    told = owner.auths("agent", action, name, "--ttl", ttl, code=129, SSH_AUTH_SOCK=agent).stderr
    assert "is longer than 366d" in told
    assert owner.auths("whoami", "--export").stdout == before


@pytest.mark.parametrize("name", ["\udcff", "a\tb", "n" * 200, "", "two words"])
def test_a_name_that_is_none_makes_no_agent(owner: Person, name: str) -> None:
    before = owner.auths("whoami", "--export").stdout
    refused = owner.auths("agent", "new", name, code=None)
    assert refused.returncode in (128, 129)
    assert "internal error" not in refused.stderr
    assert owner.auths("whoami", "--export").stdout == before


@pytest.mark.parametrize("option", ["--model", "--provider"])
def test_a_model_that_does_not_show_as_it_is_is_wrong_usage(owner: Person, option: str) -> None:
    assert "does not show" in owner.auths("agent", "new", "other", option, "m\x1b[2J", code=129).stderr


@pytest.fixture
def nonsense(tmp_path: Path) -> Iterator[str]:
    """The socket of somebody who says he is an ssh-agent."""
    path = str(tmp_path / "nonsense")

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1024)
            self.request.sendall(b"HTTP/1.0 400")

    with socketserver.ThreadingUnixStreamServer(path, Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield path
        server.shutdown()
        thread.join()


def test_what_is_of_no_use_stops_neither_an_agent_nor_its_end(owner: Person, nonsense: str) -> None:
    (owner.home / "auths/identities/aa").mkdir()
    (owner.home / "auths/identities/zz").mkdir()
    said = run(owner, *COMMIT, SSH_AUTH_SOCK=nonsense).stderr
    assert "the key file signs instead" in said and "'zz' is not known" in said
    assert signed_by(owner) == did_of(owner)
    owner.auths("agent", "renew", "fixer")
    owner.auths("org", "list")
    owner.auths("grant", did_of(owner), "--expires", "8h")
    done = owner.auths("agent", "revoke", "fixer", SSH_AUTH_SOCK=nonsense).stderr
    assert "has revoked" in done and "committed" in done and "the key files sign instead" in done
    assert [one["state"] for one in listed(owner)] == ["revoked"]


def test_options_may_stand_between_the_name_and_the_command(owner: Person, tmp_path: Path) -> None:
    did = new(owner, "--in", str(tmp_path / "keys"), name="other")
    command = ("agent", "run", "other", "--in", tmp_path / "keys")
    owner.auths(*command, "--", *COMMIT)
    assert signed_by(owner) == did
    assert "is no command" in owner.auths(*command, *COMMIT, code=129).stderr
    owner.auths("agent", "run", "other", f"--in={tmp_path / 'keys'}", "--", "true")
    assert "--out" in owner.auths("agent", "run", "other", "--out", "x", "--", *COMMIT, code=129).stderr


def test_an_agent_whose_rotation_waits_is_there_already(owner: Person) -> None:
    owner.auths("rotate", "--alias", "fixer")
    before = owner.auths("whoami", "--export").stdout
    assert "there is an agent 'fixer' already" in owner.auths("agent", "new", "fixer", code=1).stderr
    assert owner.auths("whoami", "--export").stdout == before


def test_what_git_was_started_with_does_not_change_who_signs(owner: Person) -> None:
    owner.git("-c", "commit.gpgsign=false", "-c", "user.signingKey=auths:main", "auths", "agent", "run", "fixer", "--",
              *COMMIT)  # fmt: skip
    assert signed_by(owner) == did_of(owner)


def test_a_revoked_agent_whose_making_was_cut_off_is_not_made_again(owner: Person) -> None:
    kel = owner.home / "auths/identities/other/kel.cesr"
    new(owner, name="other")
    first = next(kelstream.messages(kel.read_bytes()))
    kel.write_bytes(kelbuild.with_signatures(first.raw, first.attachments.signatures))  # the seal was not taken up
    owner.auths("agent", "revoke", "other")
    before = owner.auths("whoami", "--export").stdout
    assert "was revoked" in owner.auths("agent", "new", "other", code=1).stderr
    assert owner.auths("whoami", "--export").stdout == before


def test_the_help_says_what_it_does_not_protect_from(owner: Person) -> None:
    shown = " ".join(owner.auths("agent", "run", "-h").stdout.split())
    assert "it is no sandbox" in shown
