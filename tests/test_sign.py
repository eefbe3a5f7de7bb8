"""Signing for git: our keys, other people's keys, and everything that may be wrong with either."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from git_auths import sign
from git_auths.commands import init
from git_auths.core import kelbuild, opensshkey, sshsig
from git_auths.core.opensshkey import ED25519, P256
from git_auths.core.verkey import from_ssh_blob
from git_auths.store import keystore, sshagent
from git_auths.store.secrets import Secrets
from tests.people import SCRIPTS, Person
from tests.realgit import run

PROGRAM = f"{SCRIPTS}/git-auths-sign"
REPOSITORY = Path(sign.__file__).parents[1]
MESSAGE = b"some bytes\n"


def identity_of(kind: str, alias: str) -> keystore.Identity:
    current, following = opensshkey.generate(kind), opensshkey.generate(kind)
    key = from_ssh_blob(current.public_blob)
    event = kelbuild.inception([key], [from_ssh_blob(following.public_blob).commitment])
    signed = kelbuild.with_signatures(event, [kelbuild.indexed_signature(key, current.sign_raw(event), 0, 0)])
    files = [opensshkey.serialize(private, None, alias) for private in (current, following)]
    return keystore.create(alias, signed, *files)


@pytest.fixture
def identity() -> keystore.Identity:
    """`main`, its key file unencrypted."""
    return init.create("main", Secrets(), True, None)


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> keystore.Identity:
    """`main`, its key file locked by a passphrase, with one round: strong would be slow."""
    monkeypatch.setattr(opensshkey, "KDF_ROUNDS", 1)
    return init.create("main", Secrets(passphrase=b"correct horse"), False, None)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a file, na\u00efve"
    path.write_bytes(MESSAGE)
    return path


def signature_of(file: Path) -> Path:
    return file.with_name(file.name + ".sig")


def assert_signed(file: Path, identity: keystore.Identity, namespace: str = "file") -> sshsig.Signature:
    """By that identity, and ssh-keygen agrees; the signature goes away."""
    path = signature_of(file)
    form = ("-Y", "check-novalidate", "-n", namespace, "-s", path)
    assert run("ssh-keygen", *form, stdin=file.read_bytes()).stdout.startswith(b"Good")
    signature = sshsig.check(path.read_bytes(), namespace.encode(), file.read_bytes())
    assert signature.key == identity.current_blob
    path.unlink()
    return signature


def refusal(capfd: pytest.CaptureFixture[str], file: Path, *arguments: str, code: int = 128) -> str:
    """What is said on stderr; nothing is on stdout, nothing written, nothing that git would misread."""
    capfd.readouterr()
    assert sign.main(list(arguments)) == code
    out, err = capfd.readouterr()
    assert out == "" and not signature_of(file).exists()
    assert "Traceback" not in err and "usage:" not in err and not err.startswith("error:")
    _, *hints = err.splitlines()
    assert len(hints) <= 2 and all(hint.startswith("hint: ") for hint in hints)
    return err


def arguments(file: Path, alias: str = "main", namespace: str = "file") -> list[str]:
    return ["-Y", "sign", "-n", namespace, "-f", f"auths:{alias}", str(file)]


# Our keys


@pytest.mark.parametrize("hash_name", ["sha512", "sha256"])
@pytest.mark.parametrize("kind", [ED25519, P256])
def test_ssh_keygen_accepts_what_an_identity_signs(kind: str, hash_name: str, file: Path) -> None:
    identity = identity_of(kind, "other")
    assert sign.main([*arguments(file, "other")[:-1], "-O", f"hashalg={hash_name}", str(file)]) == 0
    assert assert_signed(file, identity).hash_name == hash_name.encode()


@pytest.mark.parametrize(
    "line",
    [
        "-Y sign -n file -f auths:main FILE",
        "-Y sign -n file -f auths:main -U FILE",
        "-f auths:main -n file -Y sign FILE",
        "-Ysign -nfile -fauths:main FILE",
        "-U -q -Y sign -Uqn file -f auths:main FILE",
        "-Y sign -n file -f auths:main -OHashAlg=sha512 -- FILE",
        "-Y sign FILE -n file -f auths:main",
    ],
)
def test_options_are_taken_as_getopt_takes_them(line: str, file: Path, identity: keystore.Identity) -> None:
    assert sign.main([str(file) if word == "FILE" else word for word in line.split()]) == 0
    assert_signed(file, identity)


@pytest.mark.parametrize(
    "line",
    [
        "-Y sign -n file -f auths:main",
        "-Y sign -n file -f auths:main FILE FILE",
        "-Y sign -f auths:main FILE",
        "-Y sign -n  -f auths:main FILE",
        "-Y sign -n auths:main FILE",
        "-Y sign -n file -f auths:main FILE -O",
        "-Y sign -n file -f auths:main -O hashalg=md5 FILE",
        "-Y sign -n file -f auths:main -Oprint-pubkey FILE",
        "-Y sign -n file -f auths:main -Ohash=sha256 FILE",
        "-Y sign -n file -f auths:main -Z FILE",
    ],
)
def test_wrong_arguments_are_one_line(
    line: str, file: Path, identity: keystore.Identity, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [str(file) if word == "FILE" else word for word in line.split(" ")]
    assert "hint: man git-auths-sign" in refusal(capfd, file, *words, code=129)


def test_a_signature_file_that_is_there_already_is_replaced(file: Path, identity: keystore.Identity) -> None:
    for content in (b"x" * 5000, b""):
        signature_of(file).write_bytes(content)
        assert sign.main(arguments(file)) == 0
        assert_signed(file, identity)


def test_the_policy_is_asked_in_gits_namespace_alone(
    file: Path, identity: keystore.Identity, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What is no commit or tag there, such as a push certificate, is signed unread."""
    monkeypatch.setenv("PATH", "/nonexistent")
    file.write_bytes(b"certificate version 0.1\npusher auths:main 1 +0000\n")
    assert sign.main(arguments(file, namespace="git")) == 0
    file.write_bytes(f"tree {'1' * 40}\nparent {'2' * 40}\n".encode())
    assert sign.main(arguments(file)) == 0
    signature_of(file).unlink()
    said = refusal(capfd, file, *arguments(file, namespace="git"))
    assert said == "git is not on PATH\nhint: install git 2.34 or later\n"


def test_what_is_no_commit_is_not_asked_about(
    file: Path, identity: keystore.Identity, capfd: pytest.CaptureFixture[str]
) -> None:
    for payload, kind in ((b"tree --git-dir=x\nparent y\n", "commit"), (b"object x\ntype commit\n", "tag object")):
        file.write_bytes(payload)
        assert f"is no {kind}" in refusal(capfd, file, *arguments(file, namespace="git"))


# What may be wrong with them


def others_can_read_the_key(identity: keystore.Identity) -> str:
    (Path(identity.folder) / "current").chmod(0o644)
    return "chmod 600 "


def others_can_enter_the_folder(identity: keystore.Identity) -> str:
    Path(identity.folder).chmod(0o755)
    return "chmod 700 "


def the_key_file_is_gone(identity: keystore.Identity) -> str:
    (Path(identity.folder) / "current").unlink()
    return f"cannot read the key file {identity.folder}/current: No such file or directory"


def the_key_file_is_damaged(identity: keystore.Identity) -> str:
    path = Path(identity.folder) / "current"
    path.write_bytes(path.read_bytes()[:100])
    return f"the key file {path} is damaged"


def the_key_file_is_a_pipe(identity: keystore.Identity) -> str:
    path = Path(identity.folder) / "current"
    path.unlink()
    os.mkfifo(path, 0o600)
    return f"the key file {path} is no regular file"


def the_log_is_gone(identity: keystore.Identity) -> str:
    (Path(identity.folder) / "kel.cesr").unlink()
    return f"cannot read {identity.folder}/kel.cesr"


@pytest.mark.parametrize(
    "damage",
    [others_can_read_the_key, others_can_enter_the_folder, the_key_file_is_gone, the_key_file_is_damaged,
     the_key_file_is_a_pipe, the_log_is_gone],
    ids=lambda function: function.__name__.replace("_", " "),
)  # fmt: skip
def test_a_damaged_identity_does_not_sign(
    damage, file: Path, identity: keystore.Identity, capfd: pytest.CaptureFixture[str]
) -> None:
    expected = damage(identity)
    assert expected in refusal(capfd, file, *arguments(file))


@pytest.mark.parametrize("alias", ["other", "", "../main", "a b", "-", "x" * 65])
def test_an_alias_that_is_none_is_named(
    alias: str, file: Path, identity: keystore.Identity, capfd: pytest.CaptureFixture[str]
) -> None:
    said = refusal(capfd, file, *arguments(file, alias))
    assert alias[:64] in said and "hint: " in said


def test_a_file_that_cannot_be_read_or_is_too_large_is_named(
    file: Path, identity: keystore.Identity, capfd: pytest.CaptureFixture[str]
) -> None:
    os.truncate(file, sign.MAX_PAYLOAD_BYTES + 1)
    assert f"{file} is larger" in refusal(capfd, file, *arguments(file))
    file.unlink()
    assert refusal(capfd, file, *arguments(file)) == f"cannot read {file}: No such file or directory\n"
    file.mkdir()
    assert refusal(capfd, file, *arguments(file)) == f"cannot read {file}: Is a directory\n"


def test_a_signature_that_cannot_be_written_is_an_error(
    file: Path, identity: keystore.Identity, capfd: pytest.CaptureFixture[str]
) -> None:
    signature_of(file).mkdir()
    assert sign.main(arguments(file)) == 128
    assert capfd.readouterr().err == f"cannot write {signature_of(file)}: Is a directory\n"


def test_a_locked_key_signs_with_its_passphrase_alone(
    file: Path, locked: keystore.Identity, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AUTHS_PASSPHRASE", "correct horse")
    assert sign.main(arguments(file)) == 0
    assert_signed(file, locked)
    assert "AUTHS_PASSPHRASE" not in os.environ
    monkeypatch.setenv("AUTHS_PASSPHRASE", "wrong")
    said = refusal(capfd, file, *arguments(file))
    assert said.startswith("the key of 'main' stays locked: AUTHS_PASSPHRASE is not its passphrase\nhint: ")


def test_a_locked_key_without_terminal_says_how_to_unlock_it(file: Path, locked: keystore.Identity) -> None:
    done = subprocess.run([PROGRAM, *arguments(file)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          start_new_session=True, check=False)  # fmt: skip
    assert (done.returncode, done.stdout) == (128, "")
    assert done.stderr.startswith("the key of 'main' is locked by a passphrase\nhint: set AUTHS_PASSPHRASE, or run git auths unlock")
    assert not signature_of(file).exists()


def test_a_crash_is_one_line_and_no_signature(
    file: Path, identity: keystore.Identity, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(blob: bytes, data: bytes) -> None:
        raise fault

    monkeypatch.setattr(sshagent, "sign", fail)
    fault: BaseException = RuntimeError("no\nwonder")
    assert refusal(capfd, file, *arguments(file)).startswith("internal error: RuntimeError: no\\nwonder\nhint: ")
    fault = KeyboardInterrupt()
    assert sign.main(arguments(file)) == 130
    assert capfd.readouterr() == ("", "interrupted\n")


# ssh-agent


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    process.stdout.readline()  # it prints its variables once it listens
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    yield path
    process.terminate()
    process.wait()
    process.stdout.close()


def test_the_agent_signs_where_it_holds_the_key_and_no_passphrase_is_asked_for(
    file: Path, agent: Path, locked: keystore.Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = opensshkey.decrypt(keystore.read_current(locked), b"correct horse")
    assert sshagent.add(private, "main")
    monkeypatch.setenv("AUTHS_PASSPHRASE", "not asked for")
    assert sign.main(arguments(file)) == 0
    assert_signed(file, locked)


def test_an_agent_with_other_keys_or_none_leaves_it_to_the_key_file(
    file: Path, agent: Path, identity: keystore.Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sshagent.add(opensshkey.generate(), "other")
    assert sign.main(arguments(file)) == 0
    assert_signed(file, identity)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(file))
    assert sign.main(arguments(file)) == 0
    assert_signed(file, identity)


@pytest.mark.parametrize("other", [True, False], ids=["another key's", "rubbish"])
def test_an_agents_signature_is_looked_at(
    other: bool, file: Path, identity: keystore.Identity, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    lie = opensshkey.generate().sign if other else lambda data: b"rubbish"
    monkeypatch.setattr(sshagent, "sign", lambda blob, data: lie(data))
    assert "ssh-agent" in refusal(capfd, file, *arguments(file))


# Other keys


@pytest.fixture
def ssh_key(tmp_path: Path) -> Path:
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key")
    return tmp_path / "key"


def test_for_a_key_that_is_not_ours_it_is_ssh_keygen(file: Path, ssh_key: Path) -> None:
    other = file.with_name("second")
    other.write_bytes(b"x")
    run(PROGRAM, "-Y", "sign", "-n", "file", "-f", ssh_key, "-O", "hashalg=sha256", file, other)
    for path in (file, other):
        form = ("-Y", "check-novalidate", "-n", "file", "-s", signature_of(path))
        run("ssh-keygen", *form, stdin=path.read_bytes())
    assert sshsig.parse(sshsig.dearmor(signature_of(file).read_bytes())).hash_name == b"sha256"
    missing = run(PROGRAM, "-Y", "sign", "-n", "git", "-f", ssh_key.with_name("none"), file, code=None)
    assert missing.returncode == 255 and b"Couldn't load public key" in missing.stderr


SECRETS = dict.fromkeys(("AUTHS_PASSPHRASE", "AUTHS_PRIVATE_KEY", "AUTHS_FORGE_TOKEN"), "s3cret")


def test_ssh_keygen_inherits_no_secret(file: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    fake = tmp_path / "bin" / "ssh-keygen"
    fake.write_text("#!/bin/sh\nenv\n")
    fake.chmod(0o755)
    env = {**SECRETS, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    done = run(PROGRAM, "-Y", "sign", "-n", "git", "-f", "key", file, env=env)
    assert b"AUTHS_HOME=" in done.stdout and b"s3cret" not in done.stdout


def test_without_ssh_keygen_that_is_said(
    file: Path, ssh_key: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    said = refusal(capfd, file, "-Y", "sign", "-n", "git", "-f", str(ssh_key), str(file))
    assert "ssh-keygen is not on PATH" in said and "hint: git config user.signingKey auths:main" in said


def test_git_signs_with_a_literal_key_through_it(agent: Path, ssh_key: Path, tmp_path: Path) -> None:
    """git writes the public key to a file and adds -U: the agent has the private one."""
    run("ssh-add", "-q", ssh_key)
    ssh_key.unlink()
    repo = tmp_path / "repo"
    run("git", "init", "-q", repo)
    public = ssh_key.with_suffix(".pub").read_text()
    for key, value in (("format", "ssh"), ("ssh.program", PROGRAM), ("ssh.allowedSignersFile", tmp_path / "allowed")):
        run("git", "config", f"gpg.{key}", value, cwd=repo)
    run("git", "config", "user.signingKey", f"key::{public.strip()}", cwd=repo)
    (tmp_path / "allowed").write_text(f"ada@example.com {public}")
    run("git", "commit", "-q", "-S", "--allow-empty", "-m", "x", cwd=repo)
    assert run("git", "log", "--format=%G?|%GS", cwd=repo).stdout == b"G|ada@example.com\n"


# git, with a policy


def shown(person: Person, *options: str, revision: str = "HEAD") -> str:
    return person.git(*options, "log", "-1", "--format=%G?|%GS|%GK", revision).stdout.strip()


def test_stock_git_and_ours_say_good_of_commits_and_tags(ada: Person) -> None:
    ada.commit()
    ada.git("tag", "-s", "-m", "release", "v1")
    stock = ("-c", "gpg.ssh.program=ssh-keygen", "-c", "gpg.ssh.allowedSignersFile=.auths/allowed_signers")
    for options in ((), stock):
        good, signer, key = shown(ada, *options).split("|")
        assert (good, signer, key[:7]) == ("G", "ada@example.com", "SHA256:")
        line = f'Good "git" signature for {signer} with ED25519 key {key}\n'
        assert line in ada.git(*options, "verify-commit", "HEAD").stderr
        assert line in ada.git(*options, "tag", "-v", "v1").stderr
        assert line in ada.git(*options, "log", "-1", "--show-signature").stdout


def test_everything_that_makes_commits_signs_them(ada: Person) -> None:
    ada.git("switch", "-q", "-c", "topic")
    for name in ("one", "two"):
        ada.commit(name)
    ada.git("switch", "-q", "main")
    ada.commit("three")
    ada.git("rebase", "-q", "main", "topic")
    ada.git("switch", "-q", "main")
    ada.git("cherry-pick", "topic")
    ada.git("merge", "-q", "--no-ff", "-m", "merge", "topic")
    ada.git("commit", "-q", "--amend", "-m", "the merge")
    ada.git("revert", "--no-edit", "-m", "1", "HEAD")
    answers = ada.git("log", "--all", "--format=%G?").stdout.split()
    assert len(answers) == 7 and set(answers) == {"G"}


def test_odd_places_are_no_obstacle(tmp_path: Path) -> None:
    person = Person(tmp_path / "Ada's h\u00f6me", "ada")
    person.start(person.home / "a repository, na\u00efve")
    person.git("worktree", "add", "-q", "-b", "side", person.home / "si de")
    assert shown(person).startswith("G|")
    top, git_dir = person.at, person.at / ".git"
    person.at = person.home / "si de"
    person.commit("sub/file")
    assert shown(person).startswith("G|")
    person.git("-C", top, "commit", "-q", "--allow-empty", "-m", "x", cwd=tmp_path)
    person.git(f"--git-dir={git_dir}", f"--work-tree={top}", "commit", "-q", "--allow-empty", "-m", "x", cwd=tmp_path)
    person.git("commit", "-q", "--allow-empty", "-m", "x", cwd=tmp_path, GIT_DIR=str(git_dir), GIT_WORK_TREE=str(top))
    assert person.git("log", "--format=%G?", "-3", cwd=top).stdout.split() == ["G"] * 3


def test_the_repository_is_only_read(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """So a `.git` that cannot be written is git's business alone."""
    payload = ada.home / "payload"
    tree, parent = ada.git("rev-parse", "HEAD^{tree}", "HEAD").stdout.split()
    payload.write_text(f"tree {tree}\nparent {parent}\n\nx\n")
    monkeypatch.setenv("AUTHS_HOME", str(ada.home / "auths"))
    monkeypatch.chdir(ada.at)
    before = {path: path.lstat().st_mtime_ns for path in ada.at.rglob("*")}
    assert sign.main(arguments(payload, namespace="git")) == 0
    assert {path: path.lstat().st_mtime_ns for path in ada.at.rglob("*")} == before


def test_git_inherits_no_secret(ada: Person, tmp_path: Path) -> None:
    payload = ada.home / "payload"
    tree, parent = ada.git("rev-parse", "HEAD^{tree}", "HEAD").stdout.split()
    payload.write_text(f"tree {tree}\nparent {parent}\n\nx\n")
    (tmp_path / "bin").mkdir()
    spy = tmp_path / "bin" / "git"
    spy.write_text(f'#!/bin/sh\nenv >>{tmp_path}/seen\nexec {shutil.which("git")} "$@"\n')
    spy.chmod(0o755)
    key = (ada.home / "auths/identities/main/current").read_text()
    env = {**ada.environment, **SECRETS, "AUTHS_DID": ada.did(), "AUTHS_PRIVATE_KEY": key,
           "PATH": f"{tmp_path}/bin:{ada.environment['PATH']}"}  # fmt: skip
    run(PROGRAM, *arguments(payload, namespace="git"), cwd=ada.at, env=env)
    seen = (tmp_path / "seen").read_text()
    assert "AUTHS_HOME=" in seen and "s3cret" not in seen
    assert not any(line in seen for line in key.splitlines())


def test_git_shows_a_refusal_as_one_error_with_the_next_step(ada: Person, newcomer: Person) -> None:
    newcomer.auths("init", "--no-passphrase")
    newcomer.git("clone", "-q", ada.at, newcomer.home / "work")
    newcomer.at = newcomer.home / "work"
    newcomer.auths("init")
    before = newcomer.head()
    said = newcomer.git("commit", "-q", "--allow-empty", "-m", "x", code=128).stderr.splitlines()
    assert said[0].startswith("error: not signed: ") and said[1].startswith("hint: git auths ")
    assert newcomer.head() == before


def test_a_refused_tag_is_not_made_by_any_git(ada: Person, newcomer: Person) -> None:
    """git before 2.43.2 would make it unsigned and exit 0, if we failed as other programs do."""
    newcomer.auths("init", "--no-passphrase")
    newcomer.git("clone", "-q", ada.at, newcomer.home / "work")
    newcomer.at = newcomer.home / "work"
    newcomer.auths("init")
    newcomer.git("tag", "-s", "-m", "x", "v1", code=128)
    assert newcomer.git("tag").stdout == ""


def no_such_identity(ada: Person) -> str:
    ada.git("config", "user.signingKey", "auths:nobody")
    return "no identity 'nobody'"


def wrong_usage(ada: Person) -> str:
    sign_with(ada, f'"{PROGRAM}" -Z')
    return "unknown option -Z"


def a_crash(ada: Person) -> str:
    code = "from git_auths import sign; sign.permitted = lambda *of: 1 / 0; raise SystemExit(sign.main())"
    sign_with(ada, f'"{sys.executable}" -c "{code}"')
    return "internal error: ZeroDivisionError"


def sign_with(person: Person, command: str) -> None:
    program = person.home / "program"
    program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    program.chmod(0o755)
    person.git("config", "gpg.ssh.program", program)


@pytest.mark.parametrize("break_it", [no_such_identity, wrong_usage, a_crash], ids=lambda function: function.__name__)
def test_no_failure_whatever_makes_an_unsigned_tag(break_it, ada: Person) -> None:
    reason = break_it(ada)
    assert reason in ada.git("commit", "--allow-empty", "-m", "x", code=128).stderr
    ada.git("tag", "-s", "-m", "x", "v1", code=128)
    assert ada.git("tag").stdout == ""


def test_the_reason_for_a_refused_tag_reaches_the_terminal(ada: Person, newcomer: Person) -> None:
    newcomer.auths("init", "--no-passphrase")
    newcomer.git("clone", "-q", ada.at, newcomer.home / "work")
    newcomer.at = newcomer.home / "work"
    newcomer.auths("init")
    done = subprocess.run(["script", "-qec", "git tag -s -m x v1", "/dev/null"], cwd=newcomer.at, capture_output=True,
                          env=newcomer.environment, stdin=subprocess.DEVNULL, text=True, check=False)  # fmt: skip
    assert done.returncode == 128
    assert "error: not signed: " in done.stdout
    assert "hint: git auths " in done.stdout


# What it costs

STEADY = """
import sys
sys.path[:0] = {path!r}
before = set(sys.modules)
from git_auths import sign
code = sign.main({arguments!r})
print(code, *sorted(set(sys.modules) - before))
"""


def test_signing_imports_nothing_slow_once_it_is_known_to_be_allowed(ada: Person) -> None:
    """Each of these costs 3 to 60 ms, where the whole of Python starts in 10."""
    payload = ada.home / "payload"
    tree, parent = ada.git("rev-parse", "HEAD^{tree}", "HEAD").stdout.split()
    payload.write_text(f"tree {tree}\nparent {parent}\n\nx\n")
    path = [str(REPOSITORY), sysconfig.get_path("platlib"), sysconfig.get_path("purelib")]
    program = STEADY.format(path=path, arguments=arguments(payload, namespace="git"))
    for _ in range(2):
        done = run(sys.executable, "-I", "-S", "-c", program, cwd=ada.at, env=ada.environment)
    code, *modules = done.stdout.decode().split()
    assert code == "0" and "git_auths.store.authorisation" in modules
    slow = {
        "re", "typing", "json", "subprocess", "pathlib", "hashlib", "_hashlib", "socket", "enum", "functools", "tomli",
        "tempfile", "shutil", "platformdirs", "datetime", "cryptography", "nacl.bindings", "pygit2", "blake3",
        "collections", "contextlib", "dataclasses", "inspect", "git_auths.core.gitobject", "git_auths.core.policy",
        "git_auths.store.judging_before_signing", "git_auths.output",
    }  # fmt: skip
    assert slow.isdisjoint(modules), sorted(slow.intersection(modules))
    assert stat.S_IMODE((ada.home / "auths/identities/main/authorised").stat().st_mode) == 0o600
