"""What an earlier run found good never changes an answer: not when it is edited, copied or out of date."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from git_auths.core.auths_folder import EMPTY
from git_auths.store import remembered
from tests.attacks import forge
from tests.attacks.forge import Answer, Repo, Rule, World, accepted, approval, auths, envelope, refused
from tests.realgit import run


def the_file() -> Path:
    (file,) = (Path.home() / ".cache" / "git-auths").iterdir()
    return file


def place(world: World, root: str | None = None, mainline: str = "refs/heads/main") -> remembered.Place:
    return remembered.Place(str(world.repo.path / ".git"), root or world.root, mainline)


def recalled(where: remembered.Place) -> remembered.Table | None:
    return remembered.recall(where, lambda tree: EMPTY)


def cached(repo: Repo) -> int:
    """How much of the answer about the mainline's tip an earlier run gave: all that is behind it, at most."""
    return int(repo.auths("verify", "--json", "main").document["cached"])


def with_word_of(data: bytes, where: remembered.Place, key: bytes, bad: str) -> bytes:
    """The file, saying that the mainline up to `bad` was found good, under a hash with `key`."""
    body = data[: -remembered.MAC_BYTES]
    size = int.from_bytes(body[:4], "big")
    header, rows = json.loads(body[4 : 4 + size]), body[4 + size :]
    width = len(bad) // 2 + remembered.INDEX_BYTES
    table = {rows[at : at + width][:-4]: rows[at + width - 4 : at + width] for at in range(0, len(rows), width)}
    table[bytes.fromhex(bad)] = table[bytes.fromhex(header["tip"])]
    header["tip"] = bad
    raw = json.dumps(header).encode()
    body = len(raw).to_bytes(4, "big") + raw + b"".join(id + value for id, value in sorted(table.items()))
    return body + remembered._mac(key, where, body)


def key_file() -> Path:
    return Path(os.environ["AUTHS_HOME"], "cache.key")


def test_what_was_good_is_not_judged_again(world: World) -> None:
    """Without it every test below would prove nothing. It lies in the user's own folder, for nobody else to read."""
    assert cached(world.repo) == 1
    tip = world.advance(world.work([world.tip], world.bob))
    before = world.repo.auths("verify", "--json", "main").document
    assert (before["ok"], before["checked"], before["cached"]) == (True, 3, 2)
    assert cached(world.repo) == 2
    assert the_file().stat().st_mode & 0o777 == 0o600
    assert key_file().stat().st_mode & 0o777 == 0o600
    assert not list(world.repo.path.rglob("*.mainline"))
    assert world.repo.auths("verify", "--json", tip).document["ok"] is True


def test_who_has_the_key_could_forge_it(world: World) -> None:
    """Row 54: it is the key that the next tests are about."""
    bad = world.advance(world.work([world.tip], world.mallory))
    file = the_file()
    file.write_bytes(with_word_of(file.read_bytes(), place(world), key_file().read_bytes(), bad))
    assert world.repo.auths("verify", "--json", "main").code == 0


def test_another_users_word_does_not_count(world: World) -> None:
    """Row 54: forged with another key; and the honest one is not read by whoever has another."""
    bad = world.advance(world.work([world.tip], world.mallory))
    file = the_file()
    file.write_bytes(with_word_of(file.read_bytes(), place(world), bytes(32), bad))
    refused(world.repo.verify("main"), (bad, "unknown-key"))
    world.advance(world.tip)
    accepted(world.repo.verify("main"))
    key_file().write_bytes(os.urandom(32))
    assert recalled(place(world)) is None


@pytest.mark.parametrize("key", ["gone", "readable by all", "too short", "a folder"])
def test_without_a_key_of_ones_own_nothing_is_remembered(world: World, key: str) -> None:
    """Row 54: a key that others may know is none."""
    bad = world.advance(world.work([world.tip], world.mallory))
    data, known = the_file().read_bytes(), key_file().read_bytes()
    the_file().write_bytes(with_word_of(data, place(world), known, bad))
    key_file().unlink()
    if key == "a folder":
        key_file().mkdir()
    elif key != "gone":
        key_file().write_bytes(known[:-1] if key == "too short" else known)
        key_file().chmod(0o644 if key == "readable by all" else 0o600)
    refused(world.repo.verify("main"), (bad, "unknown-key"))


def test_no_byte_of_it_can_be_changed(world: World) -> None:
    """Row 54: edited anywhere, cut short anywhere, with something behind it."""
    file, where = the_file(), place(world)
    data = file.read_bytes()
    assert recalled(where) is not None
    for at in range(len(data)):
        file.write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        assert recalled(where) is None, at
    for length in range(len(data)):
        file.write_bytes(data[:length])
        assert recalled(where) is None, length
    for more in (b"\0", data, bytes(1 << 16)):
        file.write_bytes(data + more)
        assert recalled(where) is None
    assert cached(world.repo) == 0
    assert file.read_bytes() == data


@pytest.mark.parametrize("instead", ["folder", "link to nothing", "endless", "empty"])
def test_what_is_no_such_file_is_passed_over(world: World, instead: str) -> None:
    """Row 54."""
    file = the_file()
    file.unlink()
    if instead == "folder":
        file.mkdir()
    elif instead == "empty":
        file.touch()
    else:
        file.symlink_to("/dev/zero" if instead == "endless" else "/nonexistent")
    bad = world.advance(world.work([world.tip], world.mallory))
    refused(world.repo.verify("main"), (bad, "unknown-key"))
    world.advance(world.tip)
    accepted(world.repo.verify("main"))


def test_another_version_of_the_verifier_believes_none_of_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 7, cache: keyed by the verifier's version and the form."""
    for name, value in (("FORMAT", remembered.FORMAT + 1), ("__version__", "0.0.0")):
        with monkeypatch.context() as patch:
            patch.setattr(remembered, name, value)
            assert recalled(place(world)) is None
    assert recalled(place(world)) is not None


def copied_to(world: World, where: remembered.Place) -> None:
    """The file under the name that belongs to another place."""
    data = the_file().read_bytes()
    Path(remembered._path(where)).write_bytes(data)


def test_another_clones_memory_does_not_count(world: World, tmp_path: Path) -> None:
    """Row 54: copied under this clone's name; the other clone has the approvals that this one lacks."""
    tip = approved(world)
    clone = world.repo.copy(tmp_path / "clone")
    clone.git("update-ref", "-d", "refs/notes/auths")
    there = world._replace(repo=clone)
    copied_to(world, place(there))
    assert recalled(place(there)) is None
    refused(clone.verify("main"), (tip, "threshold-unmet"))


def test_a_moved_repository_starts_anew(world: World, tmp_path: Path) -> None:
    """Row 54: and another one that comes to its place, with the same root, is judged by what it holds."""
    other = world.repo.copy(tmp_path / "other")
    bad = world._replace(repo=other).work([world.tip], world.mallory)
    other.ref("refs/heads/main", bad)
    other.git("repack", "-adq")
    (other.path / ".git" / "objects" / "info" / "alternates").unlink()
    shutil.move(world.repo.path, tmp_path / "gone")
    shutil.move(other.path, world.repo.path)
    refused(world.repo.verify("main"), (bad, "unknown-key"))
    assert Repo(tmp_path / "gone").auths("verify", "--json", "main").document["cached"] == 0


def test_another_root_is_another_question(world: World) -> None:
    """Row 54: the root changed under the same cache; `before` has no policy, so it is none."""
    world.repo.git("config", "auths.root", world.before)
    copied_to(world, place(world, world.before))
    refused(world.repo.verify("main"), (world.before, "policy-invalid"))


def test_another_mainline_is_another_question(world: World) -> None:
    """Row 54: what Bob may do on main he may not do on stable."""
    rules = [Rule("commit", [world.alice, world.bob], extra='branches = ["main"]'),
             Rule("commit", [world.alice], extra='branches = ["stable"]'), *world.rules[1:]]  # fmt: skip
    files = {**world.files, **auths(rules, [world.alice, world.bob])}
    bobs = world.repo.commit({**files, "src": b"2"}, [world.repo.commit(files, [world.tip], world.alice)], world.bob)
    accepted(world.verify_at(bobs))
    world.repo.ref("refs/heads/stable", bobs)
    world.repo.git("config", "auths.mainline", "refs/heads/stable")
    copied_to(world, place(world, mainline="refs/heads/stable"))
    answer = world.repo.verify("stable")
    assert answer.code == 1
    assert answer.verdicts[bobs] == "unauthorized"


# Notes


def approved(world: World) -> str:
    """The mainline's tip takes two to be good, and is, by Bob's approval in the notes."""
    rules = [Rule("commit", [world.alice, world.bob], 2), *world.rules[1:]]
    world.files.update(auths(rules, [world.alice, world.bob]))
    two = world.repo.commit(world.files, [world.tip], world.alice)
    accepted(world.verify_at(two))
    tip = world.work([two], world.alice)
    world.repo.notes({tip: [by_bob(world, tip)]})
    accepted(world.verify_at(tip))
    assert cached(world.repo) == 3
    return tip


def by_bob(world: World, commit: str, kind: str = "commit") -> bytes:
    return envelope(world.bob, approval(world.bob, world.root, commit, kind))


WITHDRAWN: dict[str, Callable[[World, str], object]] = {
    "deleted": lambda world, tip: world.repo.git("update-ref", "-d", "refs/notes/auths"),
    "emptied": lambda world, tip: world.repo.notes({}),
    "another's": lambda world, tip: world.repo.notes({tip: [b"{}", by_bob(world, world.tip)]}),
    "of another kind": lambda world, tip: world.repo.notes({tip: [by_bob(world, tip, "admin")]}),
    "on another object": lambda world, tip: world.repo.notes({world.tip: [by_bob(world, tip)]}),
    "no notes": lambda world, tip: world.repo.ref("refs/notes/auths", world.before),
}


@pytest.mark.parametrize("way", WITHDRAWN)
def test_an_approval_that_is_withdrawn_no_longer_counts(world: World, way: str) -> None:
    """Row 76: after a good answer that needed it."""
    tip = approved(world)
    WITHDRAWN[way](world, tip)
    refused(world.repo.verify("main"), (tip, "threshold-unmet"))


def test_an_approval_counts_for_all_that_was_built_on_it(world: World) -> None:
    """Row 76: withdrawn after a later run, which went on from where the approval had counted."""
    tip = approved(world)
    newest = world.work([tip], world.alice)
    lines = {tip: [by_bob(world, tip)], newest: [by_bob(world, newest)]}
    world.repo.notes(lines)
    accepted(world.verify_at(newest))
    world.repo.notes({newest: lines[newest]})
    refused(world.repo.verify("main"), (tip, "threshold-unmet"))


def test_an_approval_that_stays_is_enough(world: World) -> None:
    """Row 76, the other side: other lines come, the notes' history is rewritten; put back, it counts as before."""
    tip = approved(world)
    world.repo.notes({tip: [b"{}", by_bob(world, tip)], world.tip: [b"{}"]})
    accepted(world.repo.verify("main"))
    assert cached(world.repo) == 3
    world.repo.notes({})
    refused(world.repo.verify("main"), (tip, "threshold-unmet"))
    world.repo.notes({tip: [by_bob(world, tip)]})
    accepted(world.repo.verify("main"))
    assert cached(world.repo) == 3


def test_a_countersignature_that_is_withdrawn_no_longer_counts(world: World) -> None:
    """Row 76, where it stood in for the signature itself."""
    patch = world.advance(world.work([world.tip], None))
    world.repo.notes({patch: [by_bob(world, patch, "countersign")]})
    accepted(world.repo.verify("main"))
    assert cached(world.repo) == 2
    world.repo.notes({})
    refused(world.repo.verify("main"), (patch, "unsigned"))


# Tips


def test_a_mainline_that_was_set_back_is_judged_anew(world: World) -> None:
    """Row 54: to an older tip, and to one beside it; what is not on the chain any more says nothing."""
    newest = world.work([world.tip], world.bob)
    accepted(world.verify_at(newest))
    accepted(world.verify_at(world.tip))
    assert cached(world.repo) == 1
    accepted(world.verify_at(newest))
    bad = world.work([world.tip], world.mallory)
    refused(world.verify_at(bad), (bad, "unknown-key"))
    assert cached(world.repo) == 0
    accepted(world.verify_at(newest))


def test_a_foxtrot_over_a_remembered_tip_is_judged_from_the_root(world: World) -> None:
    """Rows 54 and 59: the tip is behind the new one, but off its first-parent chain."""
    files = {**world.files, **auths([Rule("commit", [world.alice]), *world.rules[1:]], [world.alice, world.bob])}
    without_bob = world.repo.commit(files, [world.tip], world.alice)
    accepted(world.verify_at(without_bob))
    his = world.work([world.tip], world.bob)
    merge = world.repo.commit(files, [his, without_bob], world.alice)
    answer = world.verify_at(merge)
    assert answer.code == 1
    assert "mainline-inverted" in answer.verdicts.values()


def test_a_mainline_that_is_not_good_is_not_remembered(world: World) -> None:
    """Section 7, cache: only tips found good; not one with something that no rule governs, which is listed each time."""
    data = the_file().read_bytes()
    bad = world.work([world.tip], None)
    refused(world.verify_at(world.work([bad], world.alice)), (bad, "unsigned"))
    assert the_file().read_bytes() == data
    rules = [Rule("commit", [world.alice], extra='paths = ["x"]'), *world.rules[1:]]
    files = {**world.files, **auths(rules, [world.alice, world.bob])}
    scoped = world.repo.commit(files, [world.tip], world.alice)
    free = world.repo.commit({**files, "src": b"2"}, [scoped], None)
    for _ in range(2):
        refused(world.verify_at(free), (free, "ungoverned"))
    newer = world.repo.commit({**files, "src": b"2", "x": b""}, [free], world.alice)
    refused(world.verify_at(newer), (free, "ungoverned"))


def test_what_is_received_now_is_not_remembered(world: World) -> None:
    """Section 7, rule 4: a branch that was good yesterday is judged by the mainline of today."""
    branch = world.work([world.tip], world.bob)
    world.repo.ref("refs/heads/topic", branch)
    accepted(world.repo.verify("topic"))
    files = {**world.files, **auths([Rule("commit", [world.alice]), *world.rules[1:]], [world.alice, world.bob])}
    accepted(world.verify_at(world.repo.commit(files, [world.tip], world.alice)))
    refused(world.repo.verify("topic"), (branch, "unauthorized-at-reception"))


def both_ways(repo: Repo, *args: str) -> tuple[Answer, Answer]:
    """The answer with what is remembered, and without."""
    warm = repo.auths(*args)
    with tempfile.TemporaryDirectory() as empty:
        return warm, repo.auths(*args, env={"XDG_CACHE_HOME": empty})


def told(answer: Answer) -> Any:
    return answer.code, [{**one, "reason": ""} for one in answer.objects]


def test_a_single_commit_has_the_verdict_that_it_had(world: World) -> None:
    """Section 7, cache: each word, and who signed: good, countersigned, adopted; and what is not on the mainline."""
    patch = world.work([world.tip], None)
    squash = world.work([patch], world.mallory)
    files = {**world.files, ".auths/adopted": f"{squash}\n".encode()}
    tip = world.advance(world.repo.commit(files, [squash], world.alice))
    world.repo.notes({patch: [by_bob(world, patch, "countersign")]})
    accepted(world.repo.verify("main"))
    words = []
    for commit in (world.root, world.tip, patch, squash, tip, world.before):
        warm, cold = both_ways(world.repo, "verify-commit", "--json", commit)
        assert told(warm) == told(cold)
        words += cold.verdicts.values()
    assert words == ["good", "good", "countersigned", "adopted", "good", "outside-root"]


def test_a_release_has_the_verdict_that_it_had(world: World) -> None:
    """Section 8: on the tip and behind it, good and not; received, when the step is one that is remembered."""
    rules = [
        Rule("commit", [world.alice]),
        Rule("release", [world.alice, world.carol], 2),
        Rule("admin", [world.alice]),
    ]
    notes = {}
    for name, target in (("v1", world.root), ("v2", world.tip)):
        tag = world.repo.tag(name, target, world.alice)
        line = envelope(world.bob, approval(world.bob, world.root, tag, "tag", name, target))
        notes[tag] = [line]
    world.repo.notes(notes)
    for name in ("v1", "v2"):
        warm, cold = both_ways(world.repo, "verify-tag", "--json", name)
        assert (warm.code, told(warm)) == (0, told(cold))
    (tag,), digest = [id for id in notes if notes[id] == [line]], forge.hashlib.sha256(line).hexdigest()
    files = {**world.files, **auths(rules, [world.alice, world.carol], [world.bob])}
    files[".auths/received"] = f"refs/tags/v2 {tag} {digest}\n".encode()
    received = world.repo.commit(files, [world.tip], world.alice)
    accepted(world.verify_at(received))
    accepted(world.verify_at(world.repo.commit({**files, "src": b"2"}, [received], world.alice)))
    for name, code in (("v1", 1), ("v2", 0)):
        warm, cold = both_ways(world.repo, "verify-tag", "--json", name)
        assert (warm.code, told(warm)) == (code, told(cold))


def test_a_worktree_remembers_what_its_repository_does(world: World, tmp_path: Path) -> None:
    """Section 7, cache: one entry for all worktrees of a repository."""
    run("git", "worktree", "add", "--quiet", "--detach", tmp_path / "tree", "main", cwd=world.repo.path)
    assert cached(Repo(tmp_path / "tree")) == 1
