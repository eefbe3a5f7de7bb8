"""Key event logs and grants into a repository: staged, or committed alone"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from git_auths.core import delegation, grants
from git_auths.core.grants import Grant
from git_auths.errors import Error, Refusal
from git_auths.store import atomic, delegating, git, granting, keyevents, keystore, recording, worktree_policy
from git_auths.store.repository import Repository
from git_auths.store.secrets import Secrets
from tests.kels import GrowingLog
from tests.people import Person

OTHER = GrowingLog(7)
SEAL = {"auths": "grant/1", "d": "0" * 64}


@pytest.fixture
def at(ada: Person, monkeypatch: pytest.MonkeyPatch) -> Person:
    """Ada, as whom this process now acts, in her repository."""
    for name, value in ada.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(ada.at)
    return ada


def own() -> keystore.Identity:
    return keystore.load("main")


def grow(alias: str = "main") -> dict[str, bytes]:
    """Let the log of an identity grow by a seal; it by AID."""
    keyevents.seal(alias, [SEAL], Secrets())
    identity = keystore.load(alias)
    return {identity.aid: keystore.read_kel(identity)}


def commit(kels: Mapping[str, bytes]) -> str | None:
    return recording.commit(Repository(), "Grow", own(), Secrets(), kels)


def log_of(person: Person, aid: str) -> Path:
    return person.at / f".auths/kels/{aid}.cesr"


def status(person: Person) -> str:
    return person.git("status", "--porcelain").stdout


def test_what_has_grown_lags_and_a_commit_mends_it(at: Person) -> None:
    assert recording.lagging(Repository()) == {}
    kels = grow()
    assert recording.lagging(Repository()) == kels
    id = commit(kels)
    assert id == at.head()
    assert recording.lagging(Repository()) == {}
    assert status(at) == ""
    assert at.git("show", "--format=%s", "--name-only", id).stdout == f"Grow\n\n.auths/kels/{own().aid}.cesr\n"
    assert at.ask("verify")["ok"]
    assert commit(kels) is None


def test_other_staged_files_stay_staged_and_edits_stay_edits(at: Person) -> None:
    at.commit("other")
    (at.at / "new").write_text("x")
    at.git("add", "new")
    (at.at / "other").write_text("edited")
    commit(grow())
    assert status(at) == "A  new\n M other\n"
    assert at.git("show", "--format=", "--name-only", "HEAD").stdout == f".auths/kels/{own().aid}.cesr\n"


@pytest.mark.parametrize("how", ["edited", "staged"])
def test_what_others_have_changed_below_auths_is_not_committed_with_it(at: Person, how: str) -> None:
    with (at.at / ".auths/policy.toml").open("a") as policy:
        policy.write("# mine\n")
    if how == "staged":
        at.git("add", ".auths")
    before, kels = at.head(), grow()
    with pytest.raises(Error, match=r"policy\.toml is changed here") as raised:
        commit(kels)
    assert raised.value.exit_code == 128
    assert raised.value.hint == "commit it first, or git restore --staged --worktree .auths"
    assert at.head() == before
    assert log_of(at, own().aid).read_bytes() != kels[own().aid]


def test_an_edit_is_found_before_anything_is_sealed_for_it(at: Person) -> None:
    assert recording.require_committable(Repository()) == at.head()
    (at.at / ".auths/policy.toml").unlink()
    with pytest.raises(Error, match="is changed here"):
        recording.require_committable(Repository())


def test_a_log_that_is_not_valid_is_never_recorded(at: Person) -> None:
    good = keystore.read_kel(own())
    grown = grow()[own().aid]
    forged = good + grown[len(good) :].partition(b"-AAB")[0] + good[good.index(b"-AAB") :]  # another event's signature
    for record in (commit, lambda kels: recording.stage(Repository(), kels)):
        with pytest.raises(Refusal, match=r"nothing is recorded: .*kel-invalid"):
            record({own().aid: forged})
    assert status(at) == ""


def test_without_a_root_the_allowed_signers_of_who_was_granted_something_stay(at: Person) -> None:
    """Which grants count, nobody can say."""
    recording.stage(Repository(), {}, [grant_file(Repository())])
    at.git("commit", "--quiet", "-m", "Grant")
    at.git("config", "--unset", "auths.root")
    keyevents.rotate("main", Secrets())
    recording.stage(Repository(), {own().aid: keystore.read_kel(own())})
    assert status(at) == f"M  .auths/kels/{own().aid}.cesr\n"


def grant_file(repository: Repository) -> bytes:
    """A grant by Ada that nothing seals."""
    place, now = granting.place(repository), 1_700_000_000
    made = Grant(place.root, f"did:keri:{own().aid}", OTHER.kel.did, "member", ("sign_commit",), now, now + 3600)
    return granting.signed(grants.payload(made), own(), Secrets())


def test_logs_and_grants_that_no_log_of_ours_accounts_for_do_not_go_along(at: Person) -> None:
    grant = grant_file(Repository())
    (at.at / ".auths/grants").mkdir()
    (at.at / f".auths/grants/{grants.read(grant)[0]}.json").write_bytes(grant)
    (at.at / f".auths/kels/{OTHER.kel.aid}.cesr").write_bytes(OTHER.stream)
    commit(grow())
    assert at.git("show", "--format=", "--name-only").stdout == f".auths/kels/{own().aid}.cesr\n"


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_sealed_grant_and_the_log_of_a_delegate_that_were_written_go_along(at: Person, is_ours: bool) -> None:
    place = granting.place(Repository())
    device = delegating.make("device", own().aid, {"kind": "device"}, Secrets(), unencrypted=True)
    message = delegating.waiting(device)
    assert message is not None
    sealed = granting.seal("main", [grant_to(place, device)], Secrets(), [delegation.seal(message)])
    (at.at / ".auths/grants").mkdir()
    (at.at / f".auths/grants/{grants.read(sealed.files[0])[0]}.json").write_bytes(sealed.files[0])
    (at.at / f".auths/kels/{device.aid}.cesr").write_bytes(delegation.with_source(message, sealed.kel))
    if not is_ours:
        shutil.rmtree(device.folder)
    commit({own().aid: sealed.stream})
    assert len(at.git("show", "--format=", "--name-only").stdout.split()) == 4
    assert status(at) == ""
    assert at.ask("verify")["ok"]


def grant_to(place: granting.Place, device: keystore.Identity) -> Grant:
    now = int(time.time())
    return Grant(
        place.root, f"did:keri:{own().aid}", f"did:keri:{device.aid}", "device", ("sign_commit",), now, now + 60
    )


def test_a_log_that_is_edited_in_the_index_alone_is_not_committed(at: Person) -> None:
    log = log_of(at, own().aid)
    before = log.read_bytes()
    log.write_bytes(before + b"{}")
    at.git("add", ".auths")
    log.write_bytes(before)
    with pytest.raises(Error, match="is changed here"):
        commit(grow())
    assert at.git("show", f":.auths/kels/{own().aid}.cesr").stdout == before.decode() + "{}"


@pytest.mark.parametrize("how", ["edited", "staged"])
def test_an_edited_log_is_neither_overwritten_nor_committed(at: Person, how: str) -> None:
    log = log_of(at, own().aid)
    log.write_bytes(log.read_bytes() + b"{}")
    if how == "staged":
        at.git("add", ".auths")
    before, kels = at.head(), grow()
    for record in (commit, lambda kels: recording.stage(Repository(), kels)):
        with pytest.raises((Error, Refusal)):
            record(kels)
    assert at.head() == before
    assert log.read_bytes().endswith(b"{}")


def test_a_log_that_has_forked_is_refused_with_both_named(at: Person) -> None:
    first = keystore.read_kel(own())
    commit(grow())
    before = at.head()
    (Path(own().folder) / "kel.cesr").write_bytes(first)
    keyevents.seal("main", [{**SEAL, "d": "1" * 64}], Secrets())
    assert recording.lagging(Repository()) == {}
    with pytest.raises(Refusal, match=f"log of did:keri:{own().aid} .* have forked") as raised:
        commit({own().aid: keystore.read_kel(own())})
    assert "git auths kel show" in (raised.value.hint or "")
    assert at.head() == before


@pytest.mark.parametrize("where", ["HEAD", "refs/heads/main"])
def test_only_what_our_keys_have_signed_goes_on_with_our_log(at: Person, where: str) -> None:
    aid, before, root = own().aid, keystore.read_kel(own()), at.head()
    longer = grow()[aid]
    kel = Path(own().folder, keystore.KEL)
    event = longer[len(before) :]
    stolen = bytearray(event)
    stolen[-10] ^= 1
    for theirs, found in (
        (before, None), (longer, where), (longer + b"{", where), (b"{", None), (GrowingLog().stream, None),
        (before + bytes(stolen), None), (before + GrowingLog().interact().messages[1], None),
    ):  # fmt: skip
        log_of(at, aid).write_bytes(theirs)
        at.git("-c", "core.hooksPath=/nonexistent", "commit", "--quiet", "--no-gpg-sign", "--allow-empty", "--all",
               "-m", "As it may be")  # fmt: skip
        if where != "HEAD":
            at.git("switch", "--quiet", "--force-create", "old", root)
        kel.write_bytes(before)
        assert recording.continued_at(Repository(), own()) == found
        if found:  # another event of that number
            keyevents.seal("main", [{"auths": "revoke/1", "i": GrowingLog(2).kel.aid}], Secrets())
            assert recording.continued_at(Repository(), own()) == found
        at.git("switch", "--quiet", "main")
    kel.write_bytes(longer)
    assert recording.continued_at(Repository(), own()) is None


def test_a_shorter_log_than_the_repositorys_changes_nothing(at: Person) -> None:
    first = keystore.read_kel(own())
    commit(grow())
    assert commit({own().aid: first}) is None
    assert recording.stage(Repository(), {own().aid: first}) == []


def test_staging_leaves_what_else_is_staged(at: Person) -> None:
    with (at.at / ".auths/policy.toml").open("a") as policy:
        policy.write("# mine\n")
    at.git("add", ".auths")
    assert recording.stage(Repository(), grow()) == [f".auths/kels/{own().aid}.cesr"]
    assert recording.lagging(Repository(), recording.INDEX) == {}
    assert status(at) == f"M  .auths/kels/{own().aid}.cesr\nM  .auths/policy.toml\n"


def test_a_rotation_renews_the_allowed_signers(at: Person) -> None:
    at.auths("verify")
    keyevents.rotate("main", Secrets())
    commit({own().aid: keystore.read_kel(own())})
    assert len((at.at / ".auths/allowed_signers").read_text().splitlines()) == 3
    assert status(at) == ""
    assert at.ask("verify")["ok"]


def test_what_the_policy_refuses_is_refused_before_anything_is_written(at: Person) -> None:
    keyevents.incept("guest", Secrets(), unencrypted=True)
    kels, before = grow(), at.head()
    with pytest.raises(Refusal, match="not signed"):
        recording.commit(Repository(), "Grow", keystore.load("guest"), Secrets(), kels)
    assert (at.head(), status(at)) == (before, "")


def test_without_the_key_nothing_is_written(at: Person) -> None:
    kels, before = grow(), at.head()
    identity = own()
    (Path(identity.folder) / "current").unlink()
    with pytest.raises(Error, match="cannot read the key file"):
        recording.commit(Repository(), "Grow", identity, Secrets(), kels)
    assert (at.head(), status(at)) == (before, "")


def test_cut_off_before_any_step_it_leaves_what_the_next_completes(at: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    real_git, real_write, steps = git.run, atomic.write_file, 1
    while True:
        left = steps

        def step(real: Callable[..., Any]) -> Callable[..., Any]:
            def counted(*args: Any, **more: Any) -> Any:
                nonlocal left
                left -= 1
                if not left:
                    raise KeyboardInterrupt
                return real(*args, **more)

            return counted

        kels = grow()
        with monkeypatch.context() as patch:
            patch.setattr(git, "run", step(real_git))
            patch.setattr(worktree_policy, "write_file", step(real_write))
            try:
                commit(kels)
                break
            except KeyboardInterrupt:
                pass
        assert commit(kels) is not None
        assert (status(at), recording.lagging(Repository())) == ("", {})
        steps += 1
    assert steps > 15
    assert at.ask("verify")["ok"]


def test_a_detached_head_is_told_in_words(at: Person) -> None:
    at.git("switch", "--quiet", "--detach")
    with pytest.raises(Error, match="HEAD is detached"):
        commit(grow())


def test_a_branch_without_commits_is_told_in_words(at: Person) -> None:
    at.git("switch", "--quiet", "--orphan", "new")
    with pytest.raises(Error, match="has no commit yet"):
        commit(grow())


def test_a_bare_repository_is_told_in_words(at: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    at.git("clone", "--quiet", "--bare", at.at, at.home / "bare.git")
    monkeypatch.chdir(at.home / "bare.git")
    with pytest.raises(Error, match="bare repository"):
        commit(grow())


def test_a_merge_in_progress_is_told_in_words(at: Person) -> None:
    at.git("switch", "--quiet", "--create", "side")
    at.commit("file", "side\n")
    at.git("switch", "--quiet", "main")
    at.commit("file", "main\n")
    at.git("merge", "side", code=1)
    with pytest.raises(Error, match="a merge is in progress") as raised:
        commit(grow())
    assert raised.value.hint == "git auths kel update stages what has grown; then git commit"
