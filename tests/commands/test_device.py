"""git auths device"""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from git_auths.core import delegation, kelstream, keyevent
from git_auths.core.sshsig import string
from tests.people import Person, Project

HARDWARE_TYPE = b"sk-ssh-ed25519@openssh.com"
HARDWARE_KEY = string(HARDWARE_TYPE) + string(bytes([88] * 32)) + string(b"ssh:")  # PROTOCOL.u2f, section 2.1


def second_machine(project: Project, name: str = "laptop") -> Person:
    """A clone on another machine, whose root is pinned; there is no identity yet."""
    machine = Person(project.folder, name)
    machine.at = machine.home / "work"
    machine.git("clone", "--quiet", project.server, machine.at, cwd=machine.home)
    machine.auths("setup", "--root", project.root, "--yes")
    return machine


def request(machine: Person, owner: str, *options: str) -> str:
    return machine.auths("device", "add", "--owner", owner, "--no-passphrase", *options).stdout.strip()


class Asking(NamedTuple):
    """Ada's project, her second machine, and what that asks for."""

    project: Project
    laptop: Person
    request: str

    def copied(self, folder: Path) -> Asking:
        project, laptop = self.project.copied(folder), Person(folder, "laptop")
        laptop.at = laptop.home / "work"
        config = laptop.at / ".git/config"
        config.write_text(config.read_text().replace(str(self.project.folder), str(folder)))
        return Asking(project, laptop, self.request)


@pytest.fixture(scope="module")
def prepared(template: Project, tmp_path_factory: pytest.TempPathFactory) -> Asking:
    project = template.copied(tmp_path_factory.mktemp("asking"))
    laptop = second_machine(project)
    return Asking(project, laptop, request(laptop, project.ada.did(), "--name", "laptop"))


@pytest.fixture(scope="module")
def finished(prepared: Asking, tmp_path_factory: pytest.TempPathFactory) -> Asking:
    project, laptop, asked = made = prepared.copied(tmp_path_factory.mktemp("approved"))
    project.ada.auths("device", "approve", asked, "--yes")
    project.ada.git("push", "--quiet")
    laptop.git("pull", "--quiet", "--ff-only")
    laptop.auths("device", "finish")
    return made


@pytest.fixture
def asking(prepared: Asking, tmp_path: Path) -> Asking:
    return prepared.copied(tmp_path / "copy")


@pytest.fixture
def approved(finished: Asking, tmp_path: Path) -> tuple[Project, Person]:
    """Ada's project, and her second machine, of which everybody knows."""
    return finished.copied(tmp_path / "copy")[:2]


def did(machine: Person) -> str:
    return "did:keri:" + keyevent.parse_body(events(machine)[0].raw).aid


def events(machine: Person) -> list[kelstream.Message]:
    return list(kelstream.messages((machine.home / "auths/identities/main/kel.cesr").read_bytes()))


def listed(person: Person, *options: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(person.auths("device", "list", "--json", *options).stdout)["devices"]
    return found


def test_a_second_machine_signs_after_one_request_and_one_approval(approved: tuple[Project, Person]) -> None:
    project, laptop = approved
    laptop.commit()
    laptop.git("push", "--quiet")
    assert laptop.ask("verify")["ok"]
    project.ada.git("pull", "--quiet", "--ff-only")
    verdict = project.ada.ask("verify-commit", "HEAD")["objects"][0]
    assert verdict["signer"] == did(laptop)
    assert verdict["principal"] == project.ada.did()


def test_the_list_says_what_each_device_may_do_and_until_when(approved: tuple[Project, Person]) -> None:
    project, laptop = approved
    [device] = listed(project.ada)
    assert (device["name"], device["did"], device["kind"]) == ("laptop", did(laptop), "device")
    assert device["capabilities"] == ["sign_commit", "sign_release"]
    assert (device["state"], device["revoked"], device["event"]) == ("active", False, 1)
    assert listed(laptop) == [device]
    assert listed(project.bob) == []
    assert "laptop  did:keri:" in project.ada.auths("device", "list").stdout


def test_everybodys_devices_are_listed_on_request(approved: tuple[Project, Person]) -> None:
    project, laptop = approved
    project.bob.git("pull", "--quiet", "--ff-only")
    assert [one["did"] for one in listed(project.bob, "--all")] == [did(laptop)]


def test_both_sides_show_the_same_code_to_compare(project: Project) -> None:
    laptop = Person(project.folder, "laptop")
    printed = laptop.auths("device", "add", "--owner", project.ada.did(), "--no-passphrase")
    code = delegation.code(did(laptop).removeprefix("did:keri:"))
    assert code in printed.stderr
    assert code in project.ada.auths("device", "approve", printed.stdout.strip(), "--yes").stderr


def test_nothing_is_sealed_without_a_yes(asking: Asking) -> None:
    project, _, asked = asking
    before = project.ada.auths("whoami", "--export").stdout
    assert "--yes" in project.ada.auths("device", "approve", asked, code=128).stderr
    assert project.ada.auths("whoami", "--export").stdout == before


def test_a_request_may_come_as_a_file_and_by_add(project: Project) -> None:
    laptop = Person(project.folder, "laptop")
    file = project.folder / "request"
    laptop.auths("device", "add", "--owner", project.ada.did(), "--no-passphrase", "--output", file)
    project.ada.auths("device", "add", file, "--yes")
    assert [one["did"] for one in listed(project.ada)] == [did(laptop)]


def test_a_request_may_be_the_bare_event_in_a_file(asking: Asking) -> None:
    project, laptop, _ = asking
    file = laptop.home / "auths/identities/main/kel.cesr"
    project.ada.auths("device", "approve", file, "--name", "laptop", "--yes")
    assert [one["did"] for one in listed(project.ada)] == [did(laptop)]


def test_asked_again_a_device_prints_the_same_request(project: Project) -> None:
    laptop = Person(project.folder, "laptop")
    assert request(laptop, project.ada.did()) == request(laptop, project.ada.did())


def test_approved_twice_nothing_is_sealed_twice(asking: Asking) -> None:
    project, _, asked = asking
    project.ada.auths("device", "approve", asked, "--yes")
    before = project.ada.head(), project.ada.auths("whoami", "--export").stdout
    assert "already" in project.ada.auths("device", "approve", asked, "--yes").stderr
    assert (project.ada.head(), project.ada.auths("whoami", "--export").stdout) == before


def test_an_approval_that_was_cut_off_before_its_commit_is_completed(asking: Asking) -> None:
    project, _, asked = asking
    hook = project.ada.at / ".git" / "index.lock"
    hook.write_text("")
    project.ada.auths("device", "approve", asked, "--yes", code=None)
    hook.unlink()
    project.ada.auths("device", "approve", asked, "--yes")
    log = project.ada.auths("kel", "show", project.ada.did()).stdout
    assert log.count(' "s": "0", "d": ') == 1
    assert [one["state"] for one in listed(project.ada)] == ["active"]
    assert project.ada.ask("verify")["ok"]


def test_a_request_to_somebody_else_is_refused(project: Project) -> None:
    asked = request(Person(project.folder, "laptop"), project.bob.did())
    refused = project.ada.auths("device", "approve", asked, "--yes", code=1).stderr
    assert "no identity of this machine" in refused


def test_a_request_with_another_signature_is_refused(project: Project) -> None:
    ours = delegation.parse(request(Person(project.folder, "laptop"), project.ada.did()))
    theirs = delegation.parse(request(Person(project.folder, "other"), project.ada.did()))
    swapped = ours.message._replace(attachments=theirs.message.attachments)
    refused = project.ada.auths("device", "approve", delegation.text(ours._replace(message=swapped)), "--yes", code=1)
    assert "cannot be granted" in refused.stderr
    assert listed(project.ada) == []


@pytest.mark.parametrize(
    "text",
    ["auths-device-request:AAAA", "no-such-file", "auths-device-request:!", "auths-device-request:\udcff", "\udcff"],
)
def test_what_is_no_request_is_said_to_be_none(ada: Person, text: str) -> None:
    assert "no request" in ada.auths("device", "approve", text, "--yes", code=128).stderr


@pytest.mark.parametrize("name", ["", "a\tb", "n" * 200, "\x1b[2J", "\udcff"])
def test_a_name_that_is_none_leaves_nothing_behind(newcomer: Person, name: str) -> None:
    newcomer.at = newcomer.home / "work"
    newcomer.git("init", "--quiet", newcomer.at, cwd=newcomer.home)
    owner = "did:keri:" + "E" * 44
    options = ("device", "add", "--owner", owner, "--no-passphrase", "--name")
    assert "names no device" in newcomer.auths(*options, name, code=129).stderr
    assert not (newcomer.home / "auths/identities").exists()
    assert newcomer.git("config", "user.signingKey", code=1).stdout == ""
    newcomer.auths(*options, "laptop")


def test_a_device_that_waits_can_be_called_something_else(asking: Asking) -> None:
    project, laptop, _ = asking
    assert delegation.parse(request(laptop, project.ada.did(), "--name", "desk")).name == "desk"


def test_an_owner_that_is_no_did_is_wrong_usage(newcomer: Person) -> None:
    assert "no did:keri" in newcomer.auths("device", "add", "--owner", "ada", code=129).stderr


def test_an_identity_of_ones_own_does_not_become_a_device(project: Project) -> None:
    refused = project.bob.auths("device", "add", "--owner", project.ada.did(), "--no-passphrase", code=128)
    assert "there is an identity 'main' on this machine already" in refused.stderr


def test_before_the_approval_is_here_finish_says_so(asking: Asking) -> None:
    _, laptop, _ = asking
    assert "git pull" in laptop.auths("device", "finish", code=1).stderr
    refused = laptop.git("commit", "--allow-empty", "-m", "x", code=128).stderr
    assert "not signed" in refused


def test_the_options_say_what_a_device_may_do_and_it_signs_no_more(asking: Asking) -> None:
    project, laptop, asked = asking
    project.ada.auths("device", "approve", asked, "--yes", "--capability", "sign_release", "--expires", "30d",
                      "--name", "the laptop")  # fmt: skip
    [device] = listed(project.ada)
    assert (device["name"], device["capabilities"]) == ("the laptop", ["sign_release"])
    project.ada.git("push", "--quiet")
    laptop.git("pull", "--quiet", "--ff-only")
    laptop.auths("device", "finish")
    assert "not signed" in laptop.git("commit", "--allow-empty", "-m", "x", code=128).stderr


def test_an_unknown_capability_is_wrong_usage(asking: Asking) -> None:
    project, _, asked = asking
    refused = project.ada.auths("device", "approve", asked, "--yes", "--capability", "everything", code=129)
    assert "'everything' is no capability" in refused.stderr


def test_a_removed_device_signs_nothing_more(approved: tuple[Project, Person]) -> None:
    project, laptop = approved
    project.ada.auths("device", "remove", "laptop")
    project.ada.git("push", "--quiet")
    assert [(one["state"], one["revoked"]) for one in listed(project.ada)] == [("revoked", True)]
    laptop.git("commit", "--quiet", "--allow-empty", "-m", "Behind")  # by what it knows it may
    refused = laptop.git("push", "--no-verify", "origin", "HEAD:refs/heads/side", code=1).stderr
    assert "revoked" in refused
    laptop.git("reset", "--quiet", "--hard", "origin/main")
    laptop.git("pull", "--quiet", "--ff-only")
    assert "not signed" in laptop.git("commit", "--allow-empty", "-m", "x", code=128).stderr


def test_a_removed_device_is_not_approved_again_by_its_old_request(approved: tuple[Project, Person]) -> None:
    project, laptop = approved
    asked = delegation.text(delegation.Request(events(laptop)[0], "laptop"))
    project.ada.auths("device", "remove", did(laptop))
    assert "revoked" in project.ada.auths("device", "approve", asked, "--yes", code=1).stderr


def test_what_a_compromised_key_had_approved_is_approved_again_by_name(approved: tuple[Project, Person]) -> None:
    project, laptop = approved
    project.ada.auths("rotate", "--compromised", "--no-receive")
    assert [one["state"] for one in listed(project.ada)] == ["revoked"]
    project.ada.auths("device", "approve", "laptop", "--yes")
    assert [(one["state"], one["event"]) for one in listed(project.ada)] == [("active", 3)]
    project.ada.git("push", "--quiet")
    laptop.git("pull", "--quiet", "--ff-only")
    laptop.commit()
    assert laptop.ask("verify")["ok"]


def test_a_device_of_a_device_has_none_of_its_own(approved: tuple[Project, Person]) -> None:
    project, laptop = approved
    phone = second_machine(project, "phone")
    laptop.auths("device", "approve", request(phone, did(laptop)), "--yes")
    laptop.git("push", "--quiet")
    phone.git("pull", "--quiet", "--ff-only")
    phone.auths("device", "finish")
    phone.commit()
    assert phone.ask("verify")["ok"]
    watch = Person(project.folder, "watch")
    refused = phone.auths("device", "approve", request(watch, did(phone)), "--yes", code=1).stderr
    assert "delegate of a delegate" in refused


def below(project: Project, laptop: Person, name: str) -> Person:
    """A device of the laptop's, which calls it `name`; Ada knows of it."""
    phone = second_machine(project, "phone")
    laptop.auths("device", "approve", request(phone, did(laptop)), "--yes", "--name", name)
    laptop.git("push", "--quiet")
    project.ada.git("pull", "--quiet", "--ff-only")
    return phone


@pytest.mark.parametrize(("called", "which"), [("its DID", "its DID"), ("laptop", "laptop"), ("laptop", "its DID")])
def test_what_a_stolen_device_calls_its_own_does_not_keep_it_in(approved: tuple[Project, Person], called: str,
                                                               which: str) -> None:  # fmt: skip
    project, laptop = approved
    words = {"its DID": did(laptop), "laptop": "laptop"}
    phone = below(project, laptop, words[called])
    project.ada.auths("device", "remove", words[which])
    states = {one["did"]: one["state"] for one in listed(project.ada)}
    assert states[did(laptop)] == "revoked"
    assert states[did(phone)] == "revoked"  # a delegate falls with its delegator
    assert "active" not in project.ada.auths("whoami").stderr


def test_a_device_that_waits_for_its_owner_says_so(asking: Asking) -> None:
    _, laptop, _ = asking
    refused = laptop.auths("agent", "new", "fixer", code=1).stderr
    assert "waits for its owner to approve it" in refused


def test_a_hardware_key_becomes_a_device_by_its_grant_alone(ada: Person) -> None:
    file = ada.home / "token.pub"
    file.write_text(f"{HARDWARE_TYPE.decode()} {base64.b64encode(HARDWARE_KEY).decode()} token\n")
    subject = ada.auths("device", "add", "--key", file, "--yes").stdout.strip()
    assert subject.startswith("ssh:SHA256:")
    assert [(one["name"], one["did"]) for one in listed(ada)] == [("token", subject)]
    assert ada.ask("verify")["ok"]
    ada.auths("device", "remove", "token")
    assert [one["state"] for one in listed(ada)] == ["revoked"]


def test_a_key_that_is_no_hardware_key_is_refused(ada: Person) -> None:
    file = ada.home / "plain"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file], check=True)
    assert "hardware key" in ada.auths("device", "add", "--key", f"{file}.pub", "--yes", code=1).stderr


def test_a_device_rotates_by_a_request_and_the_old_key_signs_until_it_is_sealed(
    approved: tuple[Project, Person],
) -> None:
    project, laptop = approved
    asked = laptop.auths("rotate").stdout.strip()
    laptop.commit()
    laptop.git("push", "--quiet")
    project.ada.git("pull", "--quiet", "--ff-only")
    project.ada.auths("device", "approve", asked, "--yes")
    project.ada.git("push", "--quiet")
    laptop.git("pull", "--quiet", "--ff-only")
    assert "not signed" in laptop.git("commit", "--allow-empty", "-m", "x", code=128).stderr
    laptop.auths("device", "finish")
    laptop.commit()
    laptop.git("push", "--quiet")
    assert laptop.ask("verify")["ok"]
    assert "2 events" in laptop.auths("kel", "verify", did(laptop)).stdout
    assert len(events(laptop)) == 2


def test_a_device_may_have_p256_keys_and_a_passphrase(project: Project) -> None:
    laptop = second_machine(project)
    added = laptop.auths("device", "add", "--owner", project.ada.did(), "--curve", "p256", AUTHS_PASSPHRASE="secret")
    project.ada.auths("device", "approve", added.stdout.strip(), "--yes")
    project.ada.git("push", "--quiet")
    laptop.git("pull", "--quiet", "--ff-only")
    laptop.auths("device", "finish")
    laptop.git("commit", "--quiet", "--allow-empty", "-m", "x", AUTHS_PASSPHRASE="secret")
    assert laptop.ask("verify")["ok"]


def test_keripy_takes_the_logs_of_owner_and_device(approved: tuple[Project, Person]) -> None:
    keripy = pytest.importorskip("tests.core.test_kel_keripy")
    project, laptop = approved
    kels = project.ada.at / ".auths/kels"
    aids = [of.removeprefix("did:keri:") for of in (project.ada.did(), did(laptop))]
    stream = b"".join((kels / f"{aid}.cesr").read_bytes() for aid in aids)
    assert {aid: state.sn for aid, state in keripy.in_keripy(stream).items()} == {aids[0]: 1, aids[1]: 0}


def test_an_alias_that_is_taken_and_a_request_in_a_file_are_named_in_the_hints(project: Project) -> None:
    ada = project.ada
    laptop = second_machine(project)
    done = ada.auths("device", "add", "--owner", project.bob.did(), "--no-passphrase", code=128)
    assert "hint: name another: --alias NAME\n" in done.stderr
    request(laptop, ada.did(), "--output", str(ada.home / "a request"))
    done = ada.auths("device", "approve", ada.home / "a request", code=128)
    assert f"hint: git auths device approve --yes '{ada.home / 'a request'}'\n" in done.stderr
