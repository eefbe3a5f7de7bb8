"""git auths revoke"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from git_auths.commands import revoke
from git_auths.core import cesr, grants, seals
from git_auths.core.auths_folder import EMPTY
from git_auths.core.sshsig import fingerprint
from git_auths.store import granting
from tests.commands.test_grant import aid, changed, granted, security_key
from tests.kels import GrowingLog
from tests.people import Person, Project


@pytest.fixture
def carol(tmp_path: Path) -> Person:
    """Somebody with an identity, whom no rule lists."""
    carol = Person(tmp_path, "carol")
    carol.auths("init", "--no-passphrase")
    return carol


@pytest.fixture
def member(ada: Person, carol: Person) -> Person:
    """Carol, to whom Ada has granted to commit."""
    ada.auths("grant", carol.export(), "--capability", "sign_commit", "--name", "Carol")
    return carol


def revocations(person: Person) -> list[str]:
    """The AIDs that the person's log revokes, in order."""
    shown = person.auths("kel", "show", person.did()).stdout
    seals = [json.loads(line.split("seal ", 1)[1]) for line in shown.splitlines() if " seal " in line]
    return [seal["i"] for seal in seals if seal.get("auths") == "revoke/1"]


def test_a_revocation_is_sealed_and_committed_with_the_generated_allowed_signers(ada: Person, member: Person) -> None:
    assert member.did() in ada.git("show", "HEAD:.auths/allowed_signers").stdout
    done = ada.auths("revoke", member.did())
    assert revocations(ada) == [aid(member)]
    assert changed(ada) == {f".auths/kels/{aid(ada)}.cesr", ".auths/allowed_signers"}
    assert member.did() not in ada.git("show", "HEAD:.auths/allowed_signers").stdout
    assert "all that it granted or delegated to it before" in done.stderr and "hint: git auths receive" in done.stderr
    assert ada.ask("verify", "HEAD")["ok"]


def test_the_revoked_can_commit_no_more(project: Project, carol: Person) -> None:
    ada = project.ada
    ada.auths("grant", carol.export(), "--capability", "sign_commit", "--name", "Carol")
    ada.git("push", "--quiet")
    carol.clone(project.server, project.root)
    good = carol.commit("before.txt")
    carol.git("push", "--quiet")
    ada.git("pull", "--quiet", "--ff-only")
    ada.auths("revoke", "Carol")
    ada.git("push", "--quiet")
    carol.git("config", "auths.enforceOnSign", "false")
    bad = carol.commit("after.txt")
    carol.git("pull", "--quiet", "--rebase")
    assert "revoked" in carol.git("push", code=1).stderr
    judged = {one["id"]: one["verdict"] for one in ada.ask("verify", "--all", "--verbose")["objects"]}
    assert judged[good] == "good", "what was received before stays"
    assert bad not in judged


def test_whom_to_revoke_is_told_by_did_name_grant_or_key(ada: Person, member: Person) -> None:
    [file] = ada.git("ls-tree", "--name-only", "HEAD", ".auths/grants/").stdout.split()
    key = json.loads(member.auths("whoami", "--json").stdout)["key"]
    sha256 = Path(file).stem
    for who in (member.did(), "Carol", sha256, sha256[:8], key):
        assert f"would end the grant {sha256}" in ada.auths("revoke", who, "--dry-run").stdout, who
    for who in ("Dave", "SHA256:x", sha256[:7]):
        assert "has granted nothing to" in ada.auths("revoke", who, "--dry-run", code=128).stderr, who
    assert f"{member.did()} (Carol)" in ada.auths("revoke", sha256).stderr
    assert revocations(ada) == [aid(member)]


def test_a_hardware_key_is_revoked_by_its_fingerprint(ada: Person, tmp_path: Path) -> None:
    ada.auths("grant", "--key", security_key(tmp_path), "--capability", "sign_commit")
    [grant] = granted(ada)
    assert grant.key is not None
    assert "sk-ssh-ed25519" in ada.git("show", "HEAD:.auths/allowed_signers").stdout
    ada.auths("revoke", fingerprint(grant.key))
    assert revocations(ada) == [grants.hardware_aid(grant.key)]
    assert "sk-ssh-ed25519" not in ada.git("show", "HEAD:.auths/allowed_signers").stdout


def test_twice_changes_nothing_and_says_so(ada: Person, member: Person) -> None:
    ada.auths("revoke", "Carol")
    head = ada.head()
    assert "is revoked already" in ada.auths("revoke", "Carol").stderr
    assert ada.head() == head and revocations(ada) == [aid(member)]


def test_what_was_granted_since_is_revoked_again(ada: Person, member: Person) -> None:
    ada.auths("revoke", "Carol")
    assert "--capability" in ada.auths("grant", member.did(), code=129).stderr, "what is revoked is not taken over"
    ada.auths("grant", member.did(), "--capability", "sign_commit")
    ada.auths("revoke", member.did())
    assert revocations(ada) == [aid(member)] * 2


def test_what_ends_is_told_and_can_be_asked_for_before(ada: Person, member: Person) -> None:
    ada.auths("grant", member.did(), "--capability", "sign_release", "--expires", "1d")
    before = ada.head()
    asked = ada.auths("revoke", "Carol", "--dry-run").stdout.splitlines()
    assert {line.split(" of ")[1].split(" as ")[0] for line in asked} == {"sign_commit", "sign_release"}
    assert ada.head() == before and revocations(ada) == []
    told = [line for line in ada.auths("revoke", "Carol").stderr.splitlines() if line.startswith("  ended ")]
    assert [line.removeprefix("  ended ") for line in told] == [line.removeprefix("would end ") for line in asked]


def test_a_name_that_two_have_is_refused_with_their_dids(ada: Person, member: Person, tmp_path: Path) -> None:
    dave = Person(tmp_path, "dave")
    dave.auths("init", "--no-passphrase")
    ada.auths("grant", dave.export(), "--capability", "sign_commit", "--name", "Carol")
    said = ada.auths("revoke", "Carol", code=1).stderr
    assert member.did() in said and dave.did() in said and revocations(ada) == []


def test_what_was_delegated_since_is_to_be_revoked_again() -> None:
    owner, device = GrowingLog(1), GrowingLog(2)
    delegation = {"i": device.kel.aid, "s": "0", "d": device.kel.said}
    owner.interact(delegation).interact(seals.revocation(device.kel.aid))
    place = granting.Place(None, "", EMPTY)  # type: ignore[arg-type]
    assert revoke.is_revoked(place, owner.kel, device.kel.aid)
    assert not revoke.is_revoked(place, owner.interact(delegation).kel, device.kel.aid)


def test_who_has_granted_it_is_told_when_another_did(ada: Person, member: Person) -> None:
    ada.auths("init", "--alias", "second", "--no-passphrase", cwd=ada.home)
    said = ada.auths("revoke", "Carol", "--issuer", "second", code=128).stderr
    assert f"{ada.did()} has" in said and "git auths revoke Carol --issuer main" in said


def test_nobody_revokes_himself(ada: Person) -> None:
    assert "cannot revoke itself" in ada.auths("revoke", ada.did(), code=1).stderr
    assert revocations(ada) == []


def test_whom_the_policy_lists_a_revocation_does_not_put_out(ada: Person, carol: Person) -> None:
    ada.join(carol, "commit")
    said = ada.auths("revoke", carol.did()).stderr
    assert "the policy itself lists" in said and f"git auths policy remove-signer {carol.did()}" in said


def test_an_identifier_that_nobody_here_knows_can_be_revoked(ada: Person) -> None:
    unknown = cesr.digest(b"a laptop in another repository")
    assert "ended nothing that HEAD has" in ada.auths("revoke", f"did:keri:{unknown}").stderr
    assert revocations(ada) == [unknown]


def test_a_revocation_that_was_not_committed_is_committed_by_the_same_command(ada: Person, member: Person) -> None:
    head = ada.head()
    ada.auths("revoke", "Carol")
    ada.git("reset", "--quiet", "--hard", head)  # as if it had been cut off after the seal
    assert "is revoked already" in ada.auths("revoke", "Carol").stderr
    assert ada.head() != head and revocations(ada) == [aid(member)]


def test_a_delegation_ends_with_the_grants(ada: Person) -> None:
    ada.auths("agent", "new", "fixer", "--capability", "sign_commit", "--ttl", "1h", "--model", "m-1",
              "--provider", "acme", "--in", ada.home / "agent")  # fmt: skip
    [grant] = granted(ada)
    ends = ada.auths("revoke", "fixer", "--dry-run").stdout.splitlines()
    assert len(ends) == 2 and ends[1] == f"would end the delegation of {grant.subject}"
    ada.auths("revoke", "fixer")
    assert revocations(ada) == [grant.revocable_as]
    assert ada.auths("revoke", "fixer", "--dry-run").stdout == ""
