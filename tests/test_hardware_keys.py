"""Hardware keys: what ssh-keygen, ssh-agent and git sign with them, by a FIDO key in software (hardware/softfido.c)."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from git_auths.core import sshsig
from git_auths.core.sshsig import USER_PRESENT, USER_VERIFIED, BadSignature
from git_auths.store import agentserver, sshagent
from tests.people import Person
from tests.realgit import run

SOURCE = Path(__file__).parent / "hardware/softfido.c"
MESSAGE = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\nwork\n"
KINDS = ["ed25519-sk", "ecdsa-sk"]


class HardwareKey(NamedTuple):
    """`file` is the key handle that ssh-keygen wrote (its .pub beside it), `provider` what drives the hardware."""

    file: Path
    provider: Path

    @property
    def public(self) -> str:
        """Type and base64."""
        return " ".join(self.file.with_suffix(".pub").read_text().split()[:2])

    @property
    def blob(self) -> bytes:
        return base64.b64decode(self.public.split()[1])

    def sign(self, folder: Path, **environment: str) -> bytes:
        (folder / "message").write_bytes(MESSAGE)
        (folder / "message.sig").unlink(missing_ok=True)
        command = ("ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", self.file, folder / "message")
        run(*command, env={"SSH_SK_PROVIDER": str(self.provider), **environment})
        return (folder / "message.sig").read_bytes()


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The FIDO key in software, compiled."""
    found = re.match(r"OpenSSH_(\d+)\.(\d+)", subprocess.run(["ssh", "-V"], capture_output=True, text=True).stderr)
    if found is None or (int(found[1]), int(found[2])) < (9, 1):
        pytest.skip("OpenSSH is older than 9.1 and has another interface to hardware keys")
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler (Debian: gcc)")
    if run(
        compiler, "-E", "-x", "c", "-", stdin=b"#include <openssl/evp.h>\n#include <stdio.h>\n", code=None
    ).returncode:
        pytest.skip("no headers of OpenSSL and libc (Debian: libssl-dev)")
    folder = tmp_path_factory.mktemp("softfido")
    library = folder / "softfido.so"
    run(compiler, "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", f'-DCOUNTER_FILE="{folder}/counter"',
        "-o", library, SOURCE, "-lcrypto")  # fmt: skip
    return library


def made(kind: str, folder: Path, provider: Path, *options: str, **environment: str) -> HardwareKey:
    file = folder / "key"
    arguments = [argument for option in options for argument in ("-O", option)]
    command = ("ssh-keygen", "-q", "-t", kind, "-w", provider, "-N", "", "-f", file, *arguments)
    done = run(*command, code=None, env=environment)
    if b"ssh-sk-helper" in done.stderr:
        pytest.skip("this OpenSSH came without ssh-sk-helper")
    assert done.returncode == 0, done.stderr
    return HardwareKey(file, provider)


@pytest.fixture(params=KINDS)
def key(request: pytest.FixtureRequest, tmp_path: Path, provider: Path) -> HardwareKey:
    return made(request.param, tmp_path, provider)


@pytest.fixture
def agent(tmp_path: Path, provider: Path, key: HardwareKey, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A real ssh-agent that has loaded the key."""
    path = tmp_path / "agent"
    command = ["ssh-agent", "-D", "-P", str(provider), "-a", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it prints its variables once it listens
        monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
        run("ssh-add", "-q", "-S", provider, key.file)
        yield str(path)
        process.terminate()


def good_for_ssh_keygen(armored: bytes, folder: Path) -> bool:
    (folder / "checked.sig").write_bytes(armored)
    command = ("ssh-keygen", "-Y", "check-novalidate", "-n", "git", "-s", folder / "checked.sig")
    return run(*command, stdin=MESSAGE, code=None).returncode == 0


# Signatures


def test_a_touch_signs_and_the_counter_can_be_shown(key: HardwareKey, tmp_path: Path) -> None:
    uses = []
    for _ in range(3):
        signature = sshsig.check(key.sign(tmp_path), b"git", MESSAGE)
        assert signature.key == key.blob
        uses.append(sshsig.hardware_use(signature))
    last = int((key.provider.parent / "counter").read_text())
    assert uses == [(counter, USER_PRESENT) for counter in (last - 2, last - 1, last)]


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_touch_ssh_keygen_says_good_and_we_refuse(kind: str, tmp_path: Path, provider: Path) -> None:
    armored = made(kind, tmp_path, provider, "no-touch-required").sign(tmp_path)
    assert good_for_ssh_keygen(armored, tmp_path)
    assert sshsig.hardware_use(sshsig.parse(sshsig.dearmor(armored))) is not None
    with pytest.raises(BadSignature, match="user's presence"):
        sshsig.check(armored, b"git", MESSAGE)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pin_beside_the_touch_is_good_and_shown(kind: str, tmp_path: Path, provider: Path) -> None:
    (tmp_path / "ask").write_text("#!/bin/sh\necho 1234\n")
    (tmp_path / "ask").chmod(0o700)
    asks = {"SSH_ASKPASS": str(tmp_path / "ask"), "SSH_ASKPASS_REQUIRE": "force"}
    armored = made(kind, tmp_path, provider, "verify-required", **asks).sign(tmp_path, **asks)
    use = sshsig.hardware_use(sshsig.check(armored, b"git", MESSAGE))
    assert use is not None
    assert use[1] == USER_PRESENT | USER_VERIFIED


def test_flags_and_counter_are_part_of_what_is_signed(key: HardwareKey, tmp_path: Path) -> None:
    blob = sshsig.dearmor(key.sign(tmp_path))
    for at in range(-5, 0):
        forged = bytearray(blob)
        forged[at] ^= 4
        armored = sshsig.armor(bytes(forged))
        assert not good_for_ssh_keygen(armored, tmp_path)
        with pytest.raises(BadSignature):
            sshsig.check(armored, b"git", MESSAGE)


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_may_be_for_an_application_of_its_own(kind: str, tmp_path: Path, provider: Path) -> None:
    key = made(kind, tmp_path, provider, "application=ssh:work")
    assert sshsig.check(key.sign(tmp_path), b"git", MESSAGE).key.endswith(sshsig.string(b"ssh:work"))


@pytest.mark.parametrize("application", [b"ss\0:", b"ssh\0"])
def test_an_application_with_a_nul_is_refused(application: bytes, key: HardwareKey, tmp_path: Path) -> None:
    """OpenSSH refuses the one, and takes the other for what stands before the NUL."""
    blob = sshsig.dearmor(key.sign(tmp_path)).replace(b"\0\0\0\4ssh:", sshsig.string(application))
    assert not good_for_ssh_keygen(sshsig.armor(blob), tmp_path)
    with pytest.raises(BadSignature, match="NUL"):
        sshsig.check(sshsig.armor(blob), b"git", MESSAGE)


def test_other_keys_have_no_counter(tmp_path: Path) -> None:
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key")
    armored = HardwareKey(tmp_path / "key", tmp_path).sign(tmp_path)
    assert sshsig.hardware_use(sshsig.check(armored, b"git", MESSAGE)) is None


def test_a_signature_too_short_for_a_counter_is_refused(key: HardwareKey) -> None:
    signature = sshsig.Signature(key.blob, b"git", b"sha512", b"\1\0\0\0")
    with pytest.raises(BadSignature, match="cut off"):
        sshsig.hardware_use(signature)


# git and the agent


@pytest.fixture
def holder(newcomer: Person, key: HardwareKey) -> Person:
    """Somebody with a repository, whose git runs git-auths-sign and trusts the hardware key."""
    newcomer.at = newcomer.home / "work"
    newcomer.git("init", "--quiet", newcomer.at, cwd=newcomer.home)
    allowed = newcomer.home / "allowed_signers"
    allowed.write_text(f'newcomer@example.com namespaces="git" {key.public}\n')
    settings = {"gpg.format": "ssh", "gpg.ssh.program": "git-auths-sign", "gpg.ssh.allowedSignersFile": str(allowed),
                "commit.gpgSign": "true"}  # fmt: skip
    for name, value in settings.items():
        newcomer.git("config", name, value)
    return newcomer


def is_signed_by(person: Person, key: HardwareKey) -> bool:
    shown = person.git("log", "-1", "--format=%G? %GF %GS").stdout
    return shown == f"G {sshsig.fingerprint(key.blob)} newcomer@example.com\n"


def test_git_signs_by_a_literal_key_that_the_agent_holds(holder: Person, key: HardwareKey, agent: str) -> None:
    holder.git("config", "user.signingKey", f"key::{key.public}")
    holder.git("commit", "--quiet", "--allow-empty", "-m", "x", SSH_AUTH_SOCK=agent)
    assert is_signed_by(holder, key)
    holder.git("tag", "-s", "v1", "-m", "v1", SSH_AUTH_SOCK=agent)
    assert "Good" in holder.git("verify-tag", "v1").stderr


def test_git_signs_by_a_public_key_file_whose_key_the_agent_holds(holder: Person, key: HardwareKey, agent: str) -> None:
    public = shutil.move(key.file.with_suffix(".pub"), holder.home / "key.pub")
    holder.git("config", "user.signingKey", public)
    holder.git("commit", "--quiet", "--allow-empty", "-m", "x", SSH_AUTH_SOCK=agent)
    assert is_signed_by(holder, HardwareKey(holder.home / "key", key.provider))


def test_git_signs_by_the_key_handle_without_an_agent(holder: Person, key: HardwareKey) -> None:
    holder.git("config", "user.signingKey", str(key.file))
    holder.git("commit", "--quiet", "--allow-empty", "-m", "x", SSH_SK_PROVIDER=str(key.provider))
    assert is_signed_by(holder, key)


def test_without_the_hardware_nothing_is_signed(holder: Person, key: HardwareKey) -> None:
    holder.git("config", "user.signingKey", f"key::{key.public}")
    holder.git("commit", "--quiet", "--allow-empty", "-m", "x", code=128)


@pytest.mark.parametrize("key", KINDS[:1], indirect=True)
def test_git_shows_a_commit_made_without_a_touch_as_bad(holder: Person, tmp_path: Path, provider: Path) -> None:
    (tmp_path / "another").mkdir()
    key = made("ed25519-sk", tmp_path / "another", provider, "no-touch-required")
    (holder.home / "allowed_signers").write_text(f"newcomer@example.com {key.public}\n")
    holder.git("config", "user.signingKey", str(key.file))
    holder.git("commit", "--quiet", "--allow-empty", "-m", "x", SSH_SK_PROVIDER=str(key.provider))
    assert holder.git("log", "-1", "--format=%G?").stdout == "B\n"
    assert "user's presence" in holder.git("verify-commit", "HEAD", code=1).stderr
    assert holder.git("-c", "gpg.ssh.program=ssh-keygen", "log", "-1", "--format=%G?").stdout == "G\n"


def test_the_private_agent_passes_requests_on_to_the_hardware(key: HardwareKey, agent: str, tmp_path: Path) -> None:
    with agentserver.serving(key.blob, lambda data: sshagent.sign(key.blob, data)) as path:
        key.file.rename(tmp_path / "elsewhere")
        public = HardwareKey(key.file.with_suffix(".pub"), tmp_path / "none")
        armored = public.sign(tmp_path, SSH_AUTH_SOCK=path)
    assert sshsig.check(armored, b"git", MESSAGE).key == key.blob


# As a device of an identity


@pytest.fixture
def with_device(ada: Person, key: HardwareKey, agent: str) -> Person:
    """Ada, who has taken the hardware key in as a device, and signs with it by plain git."""
    ada.auths("device", "add", "--yes", "--key", key.file.with_suffix(".pub"))
    ada.git("config", "user.signingKey", f"key::{key.public}")
    ada.environment["SSH_AUTH_SOCK"] = agent
    return ada


def verdict(person: Person, commit: str) -> tuple[str, str, str]:
    [one] = [one for one in person.ask("verify", "--verbose")["objects"] if one["id"] == commit]
    return one["verdict"], one["signer"], one["principal"]


def test_a_hardware_key_signs_for_its_owner_by_grant_alone(with_device: Person, key: HardwareKey) -> None:
    commit = with_device.commit()
    owner = with_device.auths("whoami", "--alias", "main").stdout.strip()
    assert verdict(with_device, commit) == ("good", f"ssh:{sshsig.fingerprint(key.blob)}", owner)
    shown = with_device.auths("explain", commit).stdout
    assert "hardware key: touched, counter " in shown
    assert "acts by: device" in shown


@pytest.mark.parametrize("key", KINDS[:1], indirect=True)
def test_once_revoked_it_signs_no_more(with_device: Person, key: HardwareKey) -> None:
    with_device.auths("device", "remove", f"ssh:{sshsig.fingerprint(key.blob)}", "--alias", "main")
    commit = with_device.commit()
    assert verdict(with_device, commit)[0] == "unauthorized"


@pytest.mark.parametrize("key", KINDS[:1], indirect=True)
def test_a_device_that_signs_without_a_touch_signs_nothing_that_counts(
    ada: Person, key: HardwareKey, tmp_path: Path, provider: Path
) -> None:
    (tmp_path / "another").mkdir()
    untouched = made("ed25519-sk", tmp_path / "another", provider, "no-touch-required")
    ada.auths("device", "add", "--yes", "--key", untouched.file.with_suffix(".pub"))
    ada.git("config", "user.signingKey", str(untouched.file))
    ada.environment["SSH_SK_PROVIDER"] = str(provider)
    assert verdict(ada, ada.commit())[0] == "bad-signature"
