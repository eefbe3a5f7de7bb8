"""git auths org"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from git_auths.core import grants, kel, kelbuild, seals
from git_auths.core.grants import Grant
from tests.commands.test_grant import granted, security_key
from tests.kels import signatures, signer
from tests.people import Person, Project


@pytest.fixture
def carol(tmp_path: Path) -> Person:
    """Somebody with an identity, whom no rule lists."""
    carol = Person(tmp_path, "carol")
    carol.auths("init", "--no-passphrase")
    return carol


def create(person: Person, *more: str) -> str:
    """Make the organisation acme; its DID."""
    return person.auths("org", "create", "acme", "--no-passphrase", *more).stdout.strip()


def listed(person: Person) -> str:
    """Make acme and list it for commits."""
    did = create(person)
    person.auths("policy", "add-signer", did, "--role", "commit", "--name", "Acme")
    person.git("commit", "--quiet", "-m", "Acme may commit")
    return did


def organisations(person: Person, *which: str) -> Any:
    answer = json.loads(person.auths("org", "list", *which, "--json").stdout)
    assert answer["version"] == 1
    return answer["organisations"]


def test_an_organisation_is_an_identity_of_its_own(newcomer: Person) -> None:
    did = create(newcomer)
    assert newcomer.auths("whoami", "--alias", "acme").stdout.strip() == did
    assert organisations(newcomer) == [{"name": "acme", "did": did, "members": []}]


def test_in_a_repository_it_says_how_to_list_it_and_lists_nothing(ada: Person) -> None:
    done = ada.auths("org", "create", "acme", "--no-passphrase")
    assert f"hint: git auths policy add-signer {done.stdout.strip()} --role commit" in done.stderr
    assert ada.git("status", "--porcelain").stdout == ""


def test_several_keys_have_a_threshold(newcomer: Person) -> None:
    create(newcomer, "--keys", "3", "--threshold", "2")
    (newcomer.home / "acme.cesr").write_text(newcomer.auths("whoami", "--alias", "acme", "--export").stdout)
    state = json.loads(newcomer.auths("kel", "verify", newcomer.home / "acme.cesr", "--json").stdout)
    assert (len(state["keys"]), state["kt"], state["nt"]) == (3, "2", "2")


def test_a_member_of_a_listed_organisation_may_commit_and_counts_as_it(project: Project, carol: Person) -> None:
    ada = project.ada
    did = listed(ada)
    done = ada.auths("org", "add-member", "acme", carol.export(), "--capability", "sign_commit", "--name", "Carol")
    assert "(Carol) sign_commit, as member" in done.stderr
    ada.git("push", "--quiet")
    carol.clone(project.server, project.root)
    commit = carol.commit("carol.txt")
    carol.git("push", "--quiet")
    ada.git("pull", "--quiet", "--ff-only")
    [verdict] = ada.ask("verify", commit, "--verbose")["objects"][-1:]
    assert (verdict["verdict"], verdict["signer"], verdict["principal"]) == ("good", carol.did(), did)


def test_the_members_are_listed_with_what_they_hold(ada: Person, carol: Person) -> None:
    did = listed(ada)
    ada.auths("org", "add-member", did, carol.export(), "--capability", "sign_commit", "--name", "Carol",
              "--expires", "2031-05-06")  # fmt: skip
    [acme] = organisations(ada, "acme")
    [member] = acme["members"]
    assert (member["name"], member["did"], member["capabilities"]) == ("Carol", carol.did(), ["sign_commit"])
    assert (member["expires_at"], member["state"]) == ("2031-05-06T00:00:00Z", "active")
    shown = ada.auths("org", "list").stdout.splitlines()
    assert shown[0] == f"{did} (acme)"
    assert shown[1].split() == ["Carol", carol.did(), "sign_commit", "active,", "until", "2031-05-06T00:00:00Z"]


def test_who_has_left_is_listed_as_revoked(ada: Person, carol: Person) -> None:
    did = listed(ada)
    ada.auths("org", "add-member", "acme", carol.export(), "--capability", "sign_commit", "--name", "Carol")
    assert carol.did() in ada.git("show", "HEAD:.auths/allowed_signers").stdout
    done = ada.auths("org", "remove-member", "acme", "Carol")
    assert f"{did} ('acme') has revoked {carol.did()} (Carol)" in done.stderr
    assert [one["state"] for one in organisations(ada)[0]["members"]] == ["revoked"]
    assert carol.did() not in ada.git("show", "HEAD:.auths/allowed_signers").stdout
    assert ada.ask("verify", "HEAD")["ok"]


def test_a_member_who_comes_back_is_listed_once(ada: Person, carol: Person) -> None:
    listed(ada)
    ada.auths("org", "add-member", "acme", carol.export(), "--capability", "sign_commit")
    ada.auths("org", "remove-member", "acme", carol.did())
    ada.auths("org", "add-member", "acme", carol.did(), "--capability", "sign_commit")
    assert [one["state"] for one in organisations(ada)[0]["members"]] == ["active"]


def test_the_organisation_signs_the_grant_and_the_person_the_commit(ada: Person, carol: Person) -> None:
    did = listed(ada)
    ada.auths("org", "add-member", "acme", carol.export(), "--capability", "sign_commit")
    assert [grant.issuer for grant in granted(ada)] == [did]
    [verdict] = ada.ask("verify", "HEAD", "--verbose")["objects"][-1:]
    assert verdict["signer"] == ada.did()


def test_its_devices_are_no_members(ada: Person, tmp_path: Path) -> None:
    listed(ada)
    ada.auths("grant", "--key", security_key(tmp_path), "--capability", "sign_commit", "--issuer", "acme")
    assert organisations(ada)[0]["members"] == []


def test_an_organisation_that_no_rule_lists_is_warned_of(ada: Person, carol: Person) -> None:
    did = listed(ada)
    ada.auths("policy", "remove-signer", did, "--role", "commit", "--no-receive")
    ada.git("commit", "--quiet", "-m", "Acme may not")
    done = ada.auths("org", "add-member", "acme", carol.export(), "--capability", "sign_commit")
    assert "warning: by the policy at HEAD" in done.stderr and "may not sign_commit" in done.stderr


@pytest.mark.parametrize("action", ["add-member", "remove-member"])
def test_an_organisation_whose_keys_are_elsewhere_is_an_error(ada: Person, carol: Person, action: str) -> None:
    more = ["--capability", "sign_commit"] if action == "add-member" else []
    for which in ("acme", carol.did()):
        said = ada.auths("org", action, which, carol.export(), *more, code=128).stderr
        assert "on this machine" in said and "git auths org list" in said


def test_a_name_that_is_taken_is_refused(newcomer: Person) -> None:
    create(newcomer)
    said = newcomer.auths("org", "create", "acme", "--no-passphrase", code=128).stderr
    assert "already" in said and "--alias" not in said


# Founders whose keys lie on several machines


@pytest.fixture
def founded(ada: Person, tmp_path: Path) -> tuple[Person, Person]:
    """Ada and Bob, who have founded acme, 2 of 2, and the policy lists it for commits."""
    bob = Person(tmp_path, "founder")
    files = []
    for person in (ada, bob):
        files.append(person.home / "acme.founder")
        person.auths("org", "founder", "acme", "--no-passphrase", "--output", files[-1])
    made = ada.auths("org", "create", "acme", "--founder", files[0], "--founder", files[1], "--threshold", "2")
    event = ada.at / "acme-0.event"
    assert "--alias acme.founder --as acme; once more" in made.stderr
    for person in (ada, bob, ada):
        person.auths("kel", "sign", event, "--yes", "--alias", "acme.founder", "--as", "acme")
    event.unlink()
    for person in (ada, bob):
        assert person.auths("whoami", "--alias", "acme").stdout == made.stdout
    ada.auths("policy", "add-signer", made.stdout.strip(), "--role", "commit", "--name", "Acme")
    ada.git("commit", "--quiet", "-m", "Acme may commit")
    return ada, bob


def test_several_found_an_organisation_with_keys_of_their_own(founded: tuple[Person, Person]) -> None:
    ada, bob = founded
    assert [one["name"] for one in organisations(ada)] == [one["name"] for one in organisations(bob)] == ["acme"]
    did = organisations(ada)[0]["did"]
    state = json.loads(ada.auths("kel", "show", did, "--json").stdout)
    assert (len(state["keys"]), state["kt"], state["nt"], len(state["next"])) == (2, "2", "2", 2)


def test_what_one_founder_begins_the_others_sign_and_he_commits(
    founded: tuple[Person, Person], carol: Person, tmp_path: Path
) -> None:
    ada, bob = founded
    add = ("org", "add-member", "acme", carol.export(), "--capability", "sign_commit", "--name", "Carol")
    head = ada.head()
    done = ada.auths(*add)
    assert "acme-1.event" in done.stderr and "hint: send acme-1.event" in done.stderr
    assert "waits for signatures already" in ada.auths(*add).stderr and granted(ada) == [] and ada.head() == head
    event = ada.at / "acme-1.event"
    before = event.read_bytes()
    event.unlink()
    ada.auths(*add)
    assert event.read_bytes() == before  # the same one again, when it was lost
    for person in (bob, ada):
        done = person.auths("kel", "sign", event, "--yes")
        assert f"lets {carol.did()} sign_commit, as member, until " in done.stderr and '"Carol"' in done.stderr
    assert "(Carol) sign_commit" in ada.auths(*add).stderr
    assert [grant.name for grant in granted(ada)] == ["Carol"]
    assert ada.ask("verify", "HEAD")["ok"] and organisations(ada)[0]["members"][0]["state"] == "active"
    assert carol.did() in ada.git("show", "HEAD:.auths/allowed_signers").stdout


@pytest.mark.parametrize("shown", [True, False])
def test_an_event_that_somebody_else_has_put_there_is_not_passed_on(
    founded: tuple[Person, Person], carol: Person, tmp_path: Path, shown: bool
) -> None:
    """Made of what everybody knows: the log, and a grant to himself."""
    ada, _ = founded
    mallory = Person(tmp_path, "mallory")
    mallory.auths("init", "--no-passphrase")
    log = kel.replay(ada.auths("whoami", "--alias", "acme", "--export").stdout.encode())
    now = int(time.time())
    made = Grant("a" * 40, log.did, mallory.did(), "member", ("manage_members",), now, now + 9999, "Carol")
    payload = grants.payload(made)
    event = kelbuild.interaction(log, [seals.grant(grants.digest(payload))])
    (ada.at / "acme-1.event").write_bytes(event + b"\n" + payload if shown else event)
    add = ("org", "add-member", "acme", carol.export(), "--capability", "sign_commit", "--name", "Carol")
    refused = ada.auths(*add, code=1)
    assert "acme-1.event is there, and is not the event that this makes" in refused.stderr
    assert (f"lets {mallory.did()} manage_members" in refused.stderr) == shown
    (ada.at / "acme-1.event").write_bytes(b"x")
    assert "acme-1.event is there, and is not the event" in ada.auths(*add, code=1).stderr
    (ada.at / "acme-1.event").unlink()
    assert "is in acme-1.event" in ada.auths(*add).stderr
    more = ("org", "add-member", "acme", carol.export(), "--capability", "sign_commit,manage_members")
    assert "lets" in ada.auths(*more, code=1).stderr
    assert "waits for signatures already" in ada.auths(*add).stderr


def test_one_founder_alone_takes_no_member_out_either(founded: tuple[Person, Person], carol: Person) -> None:
    ada, bob = founded
    add = ("org", "add-member", "acme", carol.export(), "--capability", "sign_commit", "--name", "Carol")
    ada.auths(*add)
    for person in (bob, ada):
        person.auths("kel", "sign", ada.at / "acme-1.event", "--yes")
    ada.auths(*add)
    waiting = ada.at / "acme-2.event"
    ada.auths(*add[:4], "--capability", "sign_release")
    refused = ada.auths("org", "remove-member", "acme", "Carol", code=1)
    assert "acme-2.event is there, and is not the event that this makes: event 2 of" in refused.stderr
    assert "sign_release" in refused.stderr
    waiting.unlink()
    for person in (ada, bob):  # nobody has signed it but her
        (person.home / "auths/identities/acme/signed").unlink()
    ada.auths("org", "remove-member", "acme", "Carol")
    assert organisations(ada)[0]["members"][0]["state"] == "active"
    for person in (bob, ada):
        person.auths("kel", "sign", ada.at / "acme-2.event", "--yes")
    assert "is revoked already" in ada.auths("org", "remove-member", "acme", "Carol").stderr
    assert organisations(ada)[0]["members"][0]["state"] == "revoked"


@pytest.mark.parametrize("name", ["../x", "q;rm -rf x", "", "x" * 65])
def test_a_name_that_cannot_be_is_refused_before_anything(newcomer: Person, name: str) -> None:
    file = newcomer.home / "some.founder"
    for more in (["create", name], ["create", name, "--founder", file, "--founder", file], ["founder", name]):
        done = newcomer.auths("org", *more, code=128)
        assert "cannot be an alias" in done.stderr, "and not that there is no passphrase"
        assert len(done.stderr.splitlines()) == 2 and "git auths" not in done.stderr


def test_each_founder_has_a_key_and_a_next_key_of_his_own(newcomer: Person) -> None:
    for which, more in (("key", (1, 3)), ("next key", (3, 2))):
        files = [founder_file(newcomer, *numbers) for numbers in ((1, 2), more)]
        done = newcomer.auths("org", "create", "acme", "--threshold", "2",
                              *(word for file in files for word in ("--founder", file)), code=1)  # fmt: skip
        assert f"have the same {which}\n" in done.stderr
    assert not (newcomer.home / "acme-0.event").exists()


def test_a_founders_file_that_nobody_writes_to_is_not_waited_for(newcomer: Person) -> None:
    os.mkfifo(newcomer.home / "fifo")
    assert "no regular file" in newcomer.auths("org", "create", "acme", "--founder", "fifo", code=128).stderr


def founder_file(person: Person, current: int, following: int) -> Path:
    """A log of one key, that commits to one."""
    event = kelbuild.inception([signer(current).key], [signer(following).key.commitment])
    file = person.home / f"{current}-{following}.founder"
    file.write_bytes(kelbuild.with_signatures(event, signatures(event, [signer(current)])))
    return file


def test_founders_that_cannot_be_are_refused(newcomer: Person) -> None:
    founder = ("org", "founder", "acme", "--no-passphrase")
    newcomer.auths(*founder)
    file, several = newcomer.home / "acme.founder", newcomer.home / "several.cesr"
    assert "exists already" in newcomer.auths(*founder, code=128).stderr
    newcomer.auths("init", "--alias", "several", "--keys", "2", "--threshold", "1", "--no-passphrase")
    several.write_text(newcomer.auths("whoami", "--alias", "several", "--export").stdout)
    for more, code, said in (
        (["--founder", file, "--founder", file, "--threshold", "2"], 1, "the same key"),
        (["--founder", several, "--threshold", "1"], 1, "2 keys"),
        (["--founder", file, "--threshold", "2"], 129, "no threshold over 1 keys"),
        (["--founder", file, "--keys", "2"], 129, "--founder on others"),
        (["--founder", newcomer.home / "nothing"], 128, "nothing"),
    ):
        assert said in newcomer.auths("org", "create", "acme", *more, code=code).stderr
    assert not (newcomer.home / "acme-0.event").exists()
