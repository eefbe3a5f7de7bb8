"""git auths grant"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from git_auths.core import grants
from git_auths.core.sshsig import string
from git_auths.main import main
from tests.kels import signer
from tests.people import Person, Project

YEAR_SECONDS = 365 * 24 * 3600


@pytest.fixture
def carol(tmp_path: Path) -> Person:
    """Somebody with an identity, whom no rule lists."""
    carol = Person(tmp_path, "carol")
    carol.auths("init", "--no-passphrase")
    return carol


def granted(person: Person, revision: str = "HEAD") -> list[grants.Grant]:
    """The grants in that tree, by their times of issue."""
    names = person.git("ls-tree", "--name-only", revision, ".auths/grants/").stdout.split()
    found = [grants.read(person.git("cat-file", "blob", f"{revision}:{name}").stdout.encode())[1] for name in names]
    return sorted(found, key=lambda grant: grant.issued_at)


def changed(person: Person, revision: str = "HEAD") -> set[str]:
    return set(person.git("show", "--name-only", "--format=", revision).stdout.split())


def aid(person: Person) -> str:
    return person.did().removeprefix("did:keri:")


def security_key(folder: Path, comment: str = "stick") -> Path:
    """A public key file as ssh-keygen writes one for a hardware key."""
    blob = string(b"sk-ssh-ed25519@openssh.com") + string(bytes(range(32))) + string(b"ssh:")
    file = folder / "stick.pub"
    file.write_text(f"sk-ssh-ed25519@openssh.com {base64.b64encode(blob).decode()} {comment}\n")
    return file


def test_a_member_is_granted_for_a_year_in_one_signed_commit(ada: Person, carol: Person) -> None:
    before = int(time.time())
    done = ada.auths("grant", carol.export(), "--capability", "sign_commit", "--name", "Carol")
    [grant] = granted(ada)
    assert (grant.issuer, grant.subject, grant.kind) == (ada.did(), carol.did(), "member")
    assert (grant.capabilities, grant.name) == (("sign_commit",), "Carol")
    assert before <= grant.issued_at <= time.time() and grant.expires_at - grant.issued_at == YEAR_SECONDS
    kels = {f".auths/kels/{aid(person)}.cesr" for person in (ada, carol)}
    assert changed(ada) >= kels and any(name.startswith(".auths/grants/") for name in changed(ada))
    assert f"({grant.name}) sign_commit, as member, until " in done.stderr
    assert ada.ask("verify", "HEAD")["ok"]
    assert ada.git("status", "--porcelain").stdout == ""


def test_the_member_may_commit_what_the_issuer_may(project: Project, carol: Person) -> None:
    ada = project.ada
    ada.auths("grant", carol.export(), "--capability", "sign_commit")
    ada.git("push", "--quiet")
    carol.clone(project.server, project.root)
    commit = carol.commit("carol.txt")
    carol.git("push", "--quiet")
    ada.git("pull", "--quiet", "--ff-only")
    [verdict] = ada.ask("verify", commit, "--verbose")["objects"][-1:]
    assert (verdict["verdict"], verdict["signer"], verdict["principal"]) == ("good", carol.did(), ada.did())


def test_the_log_grows_by_one_event_that_seals_the_grant(ada: Person, carol: Person) -> None:
    ada.auths("grant", carol.export(), "--capability", "sign_commit,sign_release")
    shown = ada.auths("kel", "show", ada.did()).stdout
    [name] = ada.git("ls-tree", "--name-only", "HEAD", ".auths/grants/").stdout.split()
    assert json.dumps({"auths": "grant/1", "d": Path(name).stem}) in shown
    assert json.loads(ada.auths("kel", "verify", ada.did(), "--json").stdout)["sn"] == 1
    assert granted(ada)[0].capabilities == ("sign_commit", "sign_release")


def test_a_renewal_takes_over_what_is_left_out(ada: Person, carol: Person) -> None:
    ada.auths("grant", carol.export(), "--capability", "sign_commit", "--name", "Carol", "--expires", "1d")
    done = ada.auths("grant", carol.did(), "--expires", "90d")
    first, second = sorted(granted(ada), key=lambda grant: grant.expires_at)
    assert (second.kind, second.capabilities, second.name) == (first.kind, first.capabilities, "Carol")
    assert second.expires_at - second.issued_at == 90 * 24 * 3600
    assert "again" in done.stderr


@pytest.mark.parametrize(
    ("expires", "at"),
    [("2031-05-06", 1_935_792_000), ("2031-05-06T07:08:09Z", 1_935_817_689), ("12h", None)],
)
def test_the_end_is_a_date_or_a_time_from_now(ada: Person, carol: Person, expires: str, at: int | None) -> None:
    ada.auths("grant", carol.export(), "--capability", "sign_commit", "--expires", expires)
    [grant] = granted(ada)
    assert grant.expires_at == (at or grant.issued_at + 12 * 3600)


def test_a_hardware_key_is_a_device_by_its_public_key(ada: Person, tmp_path: Path) -> None:
    ada.auths("grant", "--key", security_key(tmp_path), "--capability", "sign_commit", "--name", "stick")
    [grant] = granted(ada)
    assert grant.kind == "device" and grant.key is not None
    assert grant.subject == grants.hardware_subject(grant.key)
    assert "sk-ssh-ed25519@openssh.com" in ada.git("show", "HEAD:.auths/allowed_signers").stdout


REFUSED = [
    (["KEL"], 129, "--capability"),
    (["KEL", "--capability", "everything"], 129, "is no capability"),
    (["KEL", "--capability", "sign_commit", "--expires", "soon"], 129, "neither a time"),
    (["KEL", "--capability", "sign_commit", "--expires", "2020-01-01"], 1, "is over"),
    (["KEL", "--capability", "sign_commit", "--expires", "4000d"], 1, "more than ten years"),
    (["KEL", "--capability", "sign_commit", "--kind", "device"], 1, "is not delegated by"),
    (["KEL", "--capability", "sign_commit", "--kind", "agent", "--expires", "8h"], 1, "is not delegated by"),
    (["KEL", "--capability", "sign_commit", "--model", "m-1"], 129, "of an agent"),
    (["KEL", "--capability", "sign_commit", "--name", "n" * 200], 129, "that is no grant"),
    (["KEL", "--capability", "sign_commit", "--issuer", "nobody"], 128, "no identity 'nobody'"),
    (["KEL", "--key", "x.pub", "--capability", "sign_commit"], 129, "or a hardware key"),
    (["--capability", "sign_commit"], 129, "or a hardware key"),
    (["DID", "--capability", "sign_commit"], 128, "is not in .auths/kels/"),
    (["OWN-DID", "--capability", "sign_commit"], 1, "to itself"),
    (["OWN-KEL", "--capability", "sign_commit"], 1, "to itself"),
    (["did:web:example.com", "--capability", "sign_commit"], 129, "no did:keri"),
    (["nothing.cesr", "--capability", "sign_commit"], 128, "nothing.cesr"),
    (["--key", "stick.pub", "--capability", "sign_commit", "--kind", "agent"], 129, "a hardware key is a device"),
    (["--key", "nothing.pub", "--capability", "sign_commit"], 128, "nothing.pub"),
    (["--key", "key.pub", "--capability", "sign_commit"], 1, "not one of a hardware key's"),
    (["--key", "damaged.pub", "--capability", "sign_commit"], 128, "no public key file"),
    (["--key", "KEL", "--capability", "sign_commit"], 128, "no public key file"),
    (["empty", "--capability", "sign_commit"], 128, "the log is empty"),
    (["key.pub", "--capability", "sign_commit"], 128, "key.pub: event 0"),
]


def test_what_cannot_be_granted_is_refused_in_one_line_and_nothing_is_sealed(
    ada: Person, carol: Person, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = {"KEL": str(carol.export()), "DID": carol.did(), "OWN-KEL": str(ada.export()), "OWN-DID": ada.did()}
    elsewhere = carol.home
    (elsewhere / "key.pub").write_text(f"ssh-ed25519 {base64.b64encode(signer(1).key.ssh_blob()).decode()} x\n")
    (elsewhere / "damaged.pub").write_text("sk-ssh-ed25519@openssh.com AAAA\n")
    (elsewhere / "empty").write_bytes(b"")
    known |= {name: str(elsewhere / name) for name in ("key.pub", "damaged.pub", "empty")}
    known["stick.pub"] = str(security_key(elsewhere))
    before, head = ada.auths("whoami", "--export").stdout, ada.head()
    for name, value in ada.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(ada.at)
    for arguments, code, said in REFUSED:
        assert main(["grant", *(known.get(one, one) for one in arguments)]) == code, arguments
        told = capsys.readouterr().err.splitlines()
        [error] = [line for line in told if line.startswith("error: ")]
        assert said in error and any(line.startswith("hint: ") for line in told), arguments
    assert (ada.auths("whoami", "--export").stdout, ada.head()) == (before, head)
    assert ada.git("status", "--porcelain").stdout == ""


def test_a_log_that_forks_from_the_one_here_is_refused(ada: Person, carol: Person) -> None:
    original, log = carol.export().read_bytes(), carol.home / "auths/identities/main/kel.cesr"
    grow(carol, "one")
    ada.auths("grant", carol.export(), "--capability", "sign_commit")
    carol.export().write_bytes(original)
    ada.auths("grant", carol.home / "carol.cesr", "--expires", "9d")  # shorter, and no fork
    log.write_bytes(original)
    grow(carol, "another")
    assert "have forked" in ada.auths("grant", carol.export(), "--capability", "sign_commit", code=1).stderr


def grow(person: Person, what: str) -> None:
    """Let the person's log go on with an event that says `what`."""
    program = (
        "from git_auths.core.cesr import digest\n"
        "from git_auths.store import keyevents\n"
        "from git_auths.store.secrets import Secrets\n"
        f"keyevents.seal('main', [{{'auths': 'revoke/1', 'i': digest({what!r}.encode())}}], Secrets())"
    )
    subprocess.run([sys.executable, "-c", program], env=person.environment, check=True)


def test_what_the_issuer_may_not_do_himself_is_warned_of(ada: Person, carol: Person) -> None:
    ada.auths("policy", "add-signer", carol.export(), "--role", "release")
    ada.auths("policy", "remove-signer", ada.did(), "--role", "release", "--no-receive")
    ada.git("commit", "--quiet", "-m", "Carol releases")
    done = ada.auths("grant", carol.did(), "--capability", "sign_commit,sign_release")
    [warning] = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert "may not sign_release" in warning and granted(ada)


def test_without_a_pinned_root_nothing_is_granted(ada: Person, carol: Person) -> None:
    ada.git("config", "--unset", "auths.root")
    done = ada.auths("grant", carol.export(), "--capability", "sign_commit", code=128)
    assert "no trust root is pinned" in done.stderr and "git auths setup" in done.stderr


def test_a_grant_that_was_sealed_and_never_committed_comes_along_with_the_next(ada: Person, carol: Person) -> None:
    head = ada.head()
    ada.auths("grant", carol.export(), "--capability", "sign_commit", "--name", "first")
    kept = ada.home / "auths/identities/main/grants"
    [name] = ada.git("ls-tree", "--name-only", "HEAD", ".auths/grants/").stdout.split()
    file = ada.git("cat-file", "blob", f"HEAD:{name}").stdout
    assert list(kept.glob("*.json")) == []
    ada.git("reset", "--quiet", "--hard", head)  # as if it had been cut off after the seal
    (kept / Path(name).name).write_text(file)
    ada.auths("grant", carol.export(), "--capability", "sign_commit", "--name", "second")
    assert {grant.name for grant in granted(ada)} == {"first", "second"}
    assert list(kept.glob("*.json")) == []


@pytest.fixture
def agent(ada: Person) -> str:
    """The DID of an agent of Ada's that may commit for an hour."""
    ada.auths("agent", "new", "fixer", "--capability", "sign_commit", "--ttl", "1h", "--model", "m-1",
              "--provider", "acme", "--in", ada.home / "agent")  # fmt: skip
    [grant] = granted(ada)
    return grant.subject


def test_an_agent_is_renewed_by_its_did_and_stays_one(ada: Person, agent: str) -> None:
    said = ada.auths("grant", agent, code=129).stderr
    assert "--expires says how long the agent may act" in said
    ada.auths("grant", agent, "--expires", "8h")
    last = max(granted(ada), key=lambda grant: grant.expires_at)
    assert (last.kind, last.name, last.model, last.provider) == ("agent", "fixer", "m-1", "acme")
    assert "makes it no device" in ada.auths("grant", agent, "--kind", "device", code=1).stderr


def test_who_is_delegated_is_no_member_by_itself(ada: Person, agent: str) -> None:
    ada.auths("init", "--alias", "other", "--no-passphrase", cwd=ada.home)
    term = ("--capability", "sign_commit")
    assert "--kind says what it is" in ada.auths("grant", agent, *term, "--issuer", "other", code=129).stderr
    said = ada.auths("grant", agent, *term, "--issuer", "other", "--kind", "member", code=1).stderr
    assert f"is a device or agent of {ada.did()}" in said and f"git auths grant {ada.did()}" in said
