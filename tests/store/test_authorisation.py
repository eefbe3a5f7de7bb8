"""Before each signature: may this identity sign this commit or tag? And what is remembered of the answer."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from git_auths.commands import init
from git_auths.core import kel, kelbuild, opensshkey
from git_auths.core.verkey import from_ssh_blob
from git_auths.errors import Error, Refusal
from git_auths.store import authorisation, judging_before_signing, keystore
from git_auths.store.keystore import Identity
from git_auths.store.passphrase import Secrets
from tests.realgit import run

PEOPLE = ("ada", "bob", "eve")


def did(identity: Identity) -> str:
    return f"did:keri:{identity.aid}"


def rule(kind: str, signers: Sequence[Identity], require: int = 1, scope: str = "") -> str:
    listed = ", ".join(f'"{did(signer)}"' for signer in signers)
    capability = {"commit": "sign_commit", "release": "sign_release", "admin": "manage_members"}[kind]
    return f'[[policy.{kind}]]\nsigners = [{listed}]\nrequire = {require}\ncapabilities = ["{capability}"]\n{scope}\n'


class Desk:
    """A repository that one stands in, with three identities; commits in it are made unsigned, and judged by nobody."""

    def __init__(self, folder: Path) -> None:
        self.at = folder
        run("git", "init", "-q", folder)
        self.ada, self.bob, self.eve = (init.create(alias, Secrets(), True, None) for alias in PEOPLE)
        self.pin("refs/heads/main")

    def git(self, *args: str) -> str:
        return run("git", *args, cwd=self.at).stdout.decode().strip()

    def pin(self, ref: str) -> None:
        self.git("config", "auths.mainline", ref)

    def write(self, policy: str | None, *known: Identity) -> None:
        """The folder's content: the policy, and the logs of these identities."""
        run("rm", "-rf", self.at / ".auths")
        (self.at / ".auths/kels").mkdir(parents=True)
        if policy is not None:
            (self.at / ".auths/policy.toml").write_text(policy)
        for identity in known:
            (self.at / f".auths/kels/{identity.aid}.cesr").write_bytes(keystore.read_kel(identity))
        self.git("add", "-A")

    def edit(self, name: str = "file", text: str = "x") -> None:
        (self.at / name).parent.mkdir(parents=True, exist_ok=True)
        (self.at / name).write_text(text)
        self.git("add", "-A")

    def commit(self, *parents: str, ref: str | None = "HEAD") -> str:
        """What is staged, as a commit, which `ref` then points to."""
        id = self.git("commit-tree", "-m", "x", *(f"-p{parent}" for parent in parents), self.git("write-tree"))
        if ref is not None:
            self.git("update-ref", ref, id)
        return id

    def payload(self, *parents: str) -> bytes:
        """What git would ask to have signed for a commit of what is staged."""
        lines = [f"tree {self.git('write-tree')}", *(f"parent {parent}" for parent in parents), "author", "", "x"]
        return "\n".join(lines).encode()

    def tag(self, name: str) -> bytes:
        return f"object {self.git('rev-parse', 'HEAD')}\ntype commit\ntag {name}\ntagger A <a> 1 +0000\n\nx\n".encode()

    def settled(self, policy: str | None = None) -> str:
        """A first commit with a policy: Ada may all, Bob commit, Eve nothing."""
        rules = rule("commit", [self.ada, self.bob]) + rule("release", [self.ada]) + rule("admin", [self.ada])
        self.write(policy or rules, self.ada, self.bob, self.eve)
        return self.commit()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    desk = Desk(tmp_path / "repo")
    monkeypatch.chdir(desk.at)
    return desk


def require(payload: bytes, identity: Identity) -> None:
    with authorisation.Inquiry(payload) as inquiry:
        inquiry.require(identity)


def allowed(payload: bytes, identity: Identity) -> None:
    require(payload, identity)


def refused(payload: bytes, identity: Identity, verdict: str) -> Refusal:
    """The refusal is one line with the verdict that the judge would give, and a next step; it is not remembered."""
    before = remembered(identity)
    with pytest.raises(Refusal) as caught:
        require(payload, identity)
    assert caught.value.message.startswith("not signed: ") and caught.value.message.endswith(f"({verdict})")
    assert "\n" not in caught.value.message and caught.value.hint and caught.value.hint.startswith("git ")
    assert remembered(identity) == before
    return caught.value


def file_of(identity: Identity) -> Path:
    return Path(identity.folder) / authorisation.REMEMBERED


def remembered(identity: Identity) -> bytes | None:
    return file_of(identity).read_bytes() if file_of(identity).is_file() else None


# Commits


def test_who_is_listed_signs_and_who_is_not_is_refused(desk: Desk) -> None:
    parent = desk.settled()
    desk.edit()
    allowed(desk.payload(parent), desk.ada)
    allowed(desk.payload(parent), desk.bob)
    found = refused(desk.payload(parent), desk.eve, "unauthorized")
    assert did(desk.eve) in found.message and "policy.commit[0]" in found.message
    assert found.hint == judging_before_signing.SHOW


def test_whom_the_tree_does_not_know_is_told_how_to_introduce_himself(desk: Desk) -> None:
    parent = desk.settled()
    stranger = init.create("stranger", Secrets(), True, None)
    found = refused(desk.payload(parent), stranger, "unknown-key")
    assert stranger.aid in found.message and "whoami --export" in (found.hint or "")


@pytest.mark.parametrize("who", ["bob", "eve"])
def test_the_rules_are_changed_by_admins_alone(who: str, desk: Desk) -> None:
    parent = desk.settled()
    identity = getattr(desk, who)
    desk.write(rule("commit", [identity]) + rule("admin", [identity]), desk.ada, desk.bob, desk.eve)
    refused(desk.payload(parent), identity, "policy-change-unauthorized")
    desk.write(rule("commit", [desk.ada, desk.eve]) + rule("admin", [desk.ada]), desk.ada, desk.bob, desk.eve)
    allowed(desk.payload(parent), desk.ada)


def test_an_unlisted_admin_right_is_missed_also_where_no_commit_rule_is(desk: Desk) -> None:
    parent = desk.settled(rule("admin", [desk.ada]))
    desk.edit()
    stranger = init.create("stranger", Secrets(), True, None)
    for identity in (desk.eve, stranger):
        allowed(desk.payload(parent), identity)
    desk.write(rule("admin", [desk.eve]), desk.ada, desk.bob, desk.eve)
    refused(desk.payload(parent), desk.eve, "policy-change-unauthorized")
    refused(desk.payload(parent), stranger, "unknown-key")


def test_nobody_takes_the_policy_away(desk: Desk) -> None:
    parent = desk.settled()
    desk.write(None, desk.ada, desk.bob, desk.eve)
    refused(desk.payload(parent), desk.ada, "policy-change-unauthorized")
    desk.git("rm", "-rqf", ".auths")
    refused(desk.payload(parent), desk.ada, "policy-change-unauthorized")


def test_a_policy_or_log_that_is_invalid_is_not_signed_and_may_be_mended(desk: Desk) -> None:
    parent = desk.settled()
    desk.edit(".auths/policy.toml", "[[policy.commit]]\n")
    assert refused(desk.payload(parent), desk.ada, "policy-invalid").hint == "git auths policy check"
    broken = desk.commit(parent)
    desk.settled()
    desk.edit(f".auths/kels/{desk.bob.aid}.cesr", "x")
    refused(desk.payload(parent), desk.ada, "kel-invalid")
    desk.write(rule("admin", [desk.ada]), desk.ada)
    allowed(desk.payload(broken), desk.ada)


def test_approvals_come_after_the_signature(desk: Desk) -> None:
    parent = desk.settled(rule("commit", [desk.ada, desk.bob], 2) + rule("admin", [desk.ada, desk.bob], 2))
    desk.edit()
    allowed(desk.payload(parent), desk.bob)
    desk.write(rule("commit", [desk.ada]) + rule("admin", [desk.ada]), desk.ada, desk.bob, desk.eve)
    allowed(desk.payload(parent), desk.bob)
    refused(desk.payload(parent), desk.eve, "policy-change-unauthorized")


def test_where_no_parent_has_a_policy_everything_is_signed_and_nothing_remembered(desk: Desk) -> None:
    allowed(desk.payload(), desk.eve)
    desk.edit()
    first = desk.commit()
    allowed(desk.payload(first), desk.eve)
    desk.write(rule("admin", [desk.ada]), desk.ada)
    allowed(desk.payload(first), desk.eve)
    allowed(desk.payload(), desk.eve)
    assert remembered(desk.eve) is None
    desk.write(None, desk.ada)
    allowed(desk.payload(desk.commit(first)), desk.eve)


def test_outside_of_a_repository_everything_is_signed(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = desk.settled()
    payloads = desk.payload(parent), desk.tag("v1")
    monkeypatch.chdir(tmp_path)
    for payload in payloads:
        allowed(payload, desk.eve)


def test_a_merge_is_signed_where_any_parent_lists_the_signer(desk: Desk) -> None:
    base = desk.settled()
    desk.write(rule("commit", [desk.ada, desk.eve]) + rule("admin", [desk.ada]), desk.ada, desk.bob, desk.eve)
    other = desk.commit(base, ref=None)
    allowed(desk.payload(base, other), desk.eve)
    allowed(desk.payload(base, other), desk.bob)
    stranger = init.create("stranger", Secrets(), True, None)
    refused(desk.payload(base, other), stranger, "unauthorized")
    desk.settled()
    refused(desk.payload(base, base), desk.eve, "unauthorized")
    refused(desk.payload(base, base, base), desk.eve, "unauthorized")


def test_a_merge_needs_the_key_to_be_current_too(desk: Desk) -> None:
    parent = desk.settled()
    refused(desk.payload(parent, parent), rotated(desk.bob), "unknown-key")


def test_rules_for_a_branch_apply_on_it_alone_and_on_a_detached_head_the_mainlines(desk: Desk) -> None:
    scoped = rule("commit", [desk.ada], scope='branches = ["main"]') + rule("admin", [desk.ada])
    parent = desk.settled(scoped)
    desk.edit()
    payload = desk.payload(parent)
    refused(payload, desk.eve, "unauthorized")
    desk.git("symbolic-ref", "HEAD", "refs/heads/topic")  # yet without a commit
    allowed(payload, desk.eve)
    desk.git("update-ref", "HEAD", parent)
    allowed(payload, desk.eve)
    desk.git("checkout", "-q", "--detach")
    refused(payload, desk.eve, "unauthorized")
    desk.pin("refs/remotes/origin/main")
    refused(payload, desk.eve, "unauthorized")
    desk.pin("refs/heads/other")
    allowed(payload, desk.eve)


def test_replaced_objects_are_not_believed(desk: Desk) -> None:
    parent = desk.settled()
    desk.write(rule("admin", [desk.eve]), desk.ada, desk.bob, desk.eve)
    desk.git("replace", parent, desk.commit(ref=None))
    desk.edit()
    refused(desk.payload(parent), desk.eve, "policy-change-unauthorized")


# Keys


def rotated(identity: Identity) -> Identity:
    """The identity with its next key in use, and its log grown by that."""
    folder = Path(identity.folder)
    following = opensshkey.generate()
    now = opensshkey.unencrypted_private(keystore.read_next(identity))
    assert now is not None
    key = from_ssh_blob(now.public_blob)
    log = keystore.read_kel(identity)
    event = kelbuild.rotation(kel.replay(log), [key], [from_ssh_blob(following.public_blob).commitment])
    signature = kelbuild.indexed_signature(key, now.sign_raw(event), 0, 0)
    (folder / "kel.cesr").write_bytes(log + kelbuild.with_signatures(event, [signature]))
    (folder / "current").write_bytes(opensshkey.serialize(now, None, ""))
    return keystore.load(identity.alias)


def test_a_key_that_the_trees_log_does_not_have_yet_is_refused_until_it_has(desk: Desk) -> None:
    parent = desk.settled()
    bob = rotated(desk.bob)
    desk.edit()
    found = refused(desk.payload(parent), bob, "unknown-key")
    assert "is behind your identity" in found.message
    assert found.hint == "git auths kel update commits what it lacks"
    desk.edit(f".auths/kels/{bob.aid}.cesr", keystore.read_kel(bob).decode())
    allowed(desk.payload(parent), bob)


def test_a_key_that_the_trees_log_has_rotated_away_is_refused(desk: Desk) -> None:
    old = desk.bob
    parent = desk.settled()
    rotated(old)
    desk.edit(f".auths/kels/{old.aid}.cesr", keystore.read_kel(old).decode())
    refused(desk.payload(parent), old, "superseded-key")
    grown = desk.commit(parent)
    assert "rotated away" in refused(desk.payload(grown), old, "superseded-key").message


# Tags


def test_a_tag_is_judged_by_the_mainline_and_the_rules_for_its_name(desk: Desk) -> None:
    rules = rule("admin", [desk.ada]) + rule("release", [desk.ada], scope='tags = ["v*"]')
    root = desk.settled(rules)
    allowed(desk.tag("v1"), desk.ada)
    assert "the tag v1" in refused(desk.tag("v1"), desk.bob, "unauthorized").message
    stranger = init.create("stranger", Secrets(), True, None)
    for identity in (desk.bob, stranger):
        allowed(desk.tag("nightly"), identity)
    desk.git("checkout", "-q", "-b", "topic")
    desk.write(rule("admin", [desk.bob]), desk.bob)
    desk.commit(root)
    refused(desk.tag("v1"), desk.bob, "unauthorized")
    allowed(desk.tag("v1"), desk.ada)


def test_a_tag_needs_a_key_that_the_mainline_shows_as_current(desk: Desk) -> None:
    desk.settled()
    ada = rotated(desk.ada)
    assert "the mainline is behind" in refused(desk.tag("v1"), ada, "unknown-key").message


def test_without_a_pinned_mainline_head_counts(desk: Desk) -> None:
    desk.settled()
    desk.git("config", "--unset", "auths.mainline")
    refused(desk.tag("v1"), desk.bob, "unauthorized")
    desk.git("checkout", "-q", "--detach")
    desk.edit()
    refused(desk.payload(desk.git("rev-parse", "HEAD")), desk.eve, "unauthorized")


@pytest.mark.parametrize("payload", [b"certificate version 0.1\npusher auths:main 1 +0000\n", b"", b"anything"])
def test_what_is_neither_is_not_asked_about(payload: bytes, desk: Desk) -> None:
    desk.settled()
    allowed(payload, desk.eve)


@pytest.mark.parametrize(
    "payload", [b"tree x\n", b"tree \nparent HEAD\n", b"object x\n", b"object x\ntype commit\nname v1\nz"]
)
def test_what_only_begins_like_one_is_refused(payload: bytes, desk: Desk) -> None:
    desk.settled()
    with pytest.raises(Error, match="what git asks to sign is no "):
        require(payload, desk.ada)


@pytest.mark.parametrize("is_asked", [True, False], ids=["asked", "given up"])
def test_the_git_that_looks_up_is_waited_for(is_asked: bool, desk: Desk) -> None:
    payload = desk.payload(desk.settled())
    files = os.listdir("/dev/fd")
    with contextlib.suppress(Error), authorisation.Inquiry(payload) as inquiry:
        inquiry.require(desk.ada if is_asked else keystore.load("nobody"))
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert os.listdir("/dev/fd") == files


def test_without_git_that_is_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    payload = desk.payload(desk.settled())
    files = os.listdir("/dev/fd")
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(Error, match="git is not on PATH"):
        require(payload, desk.ada)
    assert os.listdir("/dev/fd") == files


# Switched off


def test_enforcement_can_be_switched_off(desk: Desk) -> None:
    parent = desk.settled()
    desk.git("config", "auths.enforceOnSign", "false")
    for payload in (desk.payload(parent), desk.tag("v1")):
        allowed(payload, desk.eve)
    assert remembered(desk.eve) is None
    desk.git("config", "auths.enforceOnSign", "yes")
    refused(desk.payload(parent), desk.eve, "unauthorized")


# What is remembered


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kinds of what the policy was asked about."""
    kinds: list[str] = []
    judge = judging_before_signing.require

    def count(kind: str, ref: str, trees: list[str], identity: Identity, payload: bytes, received_by: str) -> bool:
        kinds.append(kind)
        return judge(kind, ref, trees, identity, payload, received_by)

    monkeypatch.setattr(judging_before_signing, "require", count)
    return kinds


def test_a_yes_is_remembered_for_what_it_was_asked_about(desk: Desk, asked: list[str]) -> None:
    parent = desk.settled()
    for text in ("one", "two"):  # another tree, the same policy
        desk.edit(text=text)
        allowed(desk.payload(parent), desk.bob)
    child = desk.commit(parent)
    allowed(desk.payload(child), desk.bob)
    assert asked == ["commit"]
    desk.git("checkout", "-q", "-b", "topic")
    allowed(desk.payload(child), desk.bob)  # another branch
    allowed(desk.payload(child, parent), desk.bob)  # a merge
    allowed(desk.payload(child), desk.ada)  # somebody else
    allowed(desk.tag("v1"), desk.ada)
    allowed(desk.tag("v2"), desk.ada)
    assert asked == ["commit"] * 4 + ["tag"] * 2
    desk.write(rule("commit", [desk.ada]) + rule("admin", [desk.ada]), desk.ada, desk.bob, desk.eve)
    refused(desk.payload(child), desk.bob, "policy-change-unauthorized")  # another policy
    refused(desk.payload(desk.commit(child)), desk.bob, "unauthorized")
    refused(desk.payload(child), rotated(desk.bob), "unknown-key")  # another key
    assert len(asked) == 9


def test_a_yes_to_these_files_alone_is_not_remembered(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = desk.settled()
    asked: list[bytes] = []
    monkeypatch.setattr(judging_before_signing, "require", lambda *given: bool(asked.append(given[4])))
    payloads = [desk.payload(parent), desk.payload(parent, parent), desk.tag("v1")] * 2
    for payload in payloads:
        allowed(payload, desk.bob)
    assert asked == payloads
    assert remembered(desk.bob) is None


def test_a_no_is_not_remembered(desk: Desk, asked: list[str]) -> None:
    parent = desk.settled()
    for _ in range(2):
        refused(desk.payload(parent), desk.eve, "unauthorized")
    assert asked == ["commit"] * 2


def test_another_key_asks_anew(desk: Desk) -> None:
    parent = desk.settled()
    allowed(desk.payload(parent), desk.bob)
    refused(desk.payload(parent), rotated(desk.bob), "unknown-key")


def test_another_version_asks_anew(desk: Desk, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    parent = desk.settled()
    allowed(desk.payload(parent), desk.bob)
    monkeypatch.setattr(authorisation, "__version__", "0")
    allowed(desk.payload(parent), desk.bob)
    assert asked == ["commit"] * 2


@pytest.mark.parametrize(("later", "holds"), [(0, True), (3590, True), (3601, False), (-10, False)])
def test_a_yes_holds_for_an_hour_and_not_before_it_was_given(
    later: int, holds: bool, desk: Desk, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = desk.settled()
    allowed(desk.payload(parent), desk.bob)
    now = time.time()
    monkeypatch.setattr(authorisation.time, "time", lambda: now + later)
    for _ in range(2):
        allowed(desk.payload(parent), desk.bob)
    assert len(asked) == (1 if holds else 2)


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", b"\xff\xfe\0\n", b"QUESTION\n", b"QUESTION \n", b"QUESTION x\n", b"QUESTION -1\n", b"QUESTION 1 2\n",
     b"QUESTION 99999999999\n", b"QUESTION \xc2\xb2\n", b"QUESTION " + b"9" * 6000 + b"\n", b"x" * 100_000],
)  # fmt: skip
def test_a_file_of_anything_is_no_yes_and_no_crash(content: bytes, desk: Desk, asked: list[str]) -> None:
    parent = desk.settled()
    allowed(desk.payload(parent), desk.bob)
    question = (remembered(desk.bob) or b"").split()[0]
    file_of(desk.bob).write_bytes(content.replace(b"QUESTION", question))
    for _ in range(2):
        allowed(desk.payload(parent), desk.bob)
    assert len(asked) == 2


def test_what_one_identity_remembers_is_no_yes_for_another(desk: Desk, asked: list[str]) -> None:
    parent = desk.settled()
    allowed(desk.payload(parent), desk.bob)
    for identity in (desk.eve, Identity("eve", desk.eve.folder, desk.eve.aid, desk.bob.current_blob)):
        file_of(identity).write_bytes(remembered(desk.bob) or b"")
        with contextlib.suppress(Refusal):
            require(desk.payload(parent), identity)
    assert asked == ["commit"] * 3


def test_the_file_does_not_grow_without_end_and_keeps_the_newest(
    desk: Desk, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authorisation, "REMEMBER_LINES", 3)
    desk.settled()
    for name in ("v1", "v2", "v3", "v4", "v5", "v5", "v4", "v3", "v2"):
        allowed(desk.tag(name), desk.ada)
    assert len(asked) == 6
    assert len((remembered(desk.ada) or b"").splitlines()) == 3


def test_where_nothing_can_be_remembered_it_is_asked_each_time(desk: Desk, asked: list[str]) -> None:
    parent = desk.settled()
    file_of(desk.bob).mkdir()
    for _ in range(2):
        allowed(desk.payload(parent), desk.bob)
    assert len(asked) == 2


def test_a_repository_of_sha_256_is_judged_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DEFAULT_HASH", "sha256")
    desk = Desk(tmp_path / "repo")
    monkeypatch.chdir(desk.at)
    parent = desk.settled()
    assert len(parent) == 64
    desk.edit()
    allowed(desk.payload(parent), desk.bob)
    refused(desk.payload(parent), desk.eve, "unauthorized")
    refused(desk.tag("v1"), desk.bob, "unauthorized")
