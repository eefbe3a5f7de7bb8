"""Attacks on the bytes of commits and trees: two readers must not be shown two different objects under one signature.

Those that stock git accepts are in `accepted_by_git`; here is what git refuses as well, or has no opinion about.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.attacks import forge
from tests.attacks.accepted_by_git import bobs, heads_of
from tests.attacks.forge import Files, World, accepted, git_says_good, header, refused, signed_commit, sshsig
from tests.realgit import run


def folder_entries(world: World, files: Files) -> list[tuple[str, bytes, str]]:
    """(mode, name, id) of the entries of the tree with these files."""
    listed = world.repo.git("ls-tree", "-z", world.repo.tree(files)).split("\0")[:-1]
    return [
        (mode.lstrip("0"), name.encode(), id)
        for mode, _, id, name in (line.replace("\t", " ").split(" ", 3) for line in listed)
    ]


def inside(files: Files, folder: str) -> dict[str, bytes]:
    return {path.removeprefix(folder): content for path, content in files.items()
            if path.startswith(folder) and isinstance(content, bytes)}  # fmt: skip


def test_a_tree_with_two_folders_of_rules_is_malformed(world: World) -> None:
    """Row 7: git would read the one, a checkout might leave the other."""
    first, *rest = folder_entries(world, world.files)
    assert first[1] == b".auths"
    other = world.repo.tree({"policy.toml": forge.policy_toml([forge.Rule("admin", [world.mallory])])})
    for pair in ((first, (first[0], first[1], other)), ((first[0], first[1], other), first), (first, first)):
        bad = world.repo.commit_tree(world.repo.raw_tree([*pair, *rest]), [world.tip], world.alice)
        refused(world.verify_at(bad), (bad, "malformed"))


def test_a_tree_with_a_file_and_a_folder_of_one_name_is_malformed(world: World) -> None:
    """Row 7: in git's order, since a folder is sorted as if its name ended with a slash."""
    first, *rest = folder_entries(world, world.files)
    file = ("100644", b".auths", world.repo.blob(b"x"))
    bad = world.repo.commit_tree(world.repo.raw_tree([file, first, *rest]), [world.tip], world.alice)
    refused(world.verify_at(bad), (bad, "malformed"))


@pytest.mark.parametrize("place", ["the root", ".auths", ".auths/kels"])
def test_a_tree_out_of_order_is_malformed(world: World, place: str) -> None:
    """Row 7."""
    if place == "the root":
        first, *rest = folder_entries(world, world.files)
        tree = world.repo.raw_tree([*rest, first])
    else:
        entries = folder_entries(world, inside(world.files, f"{place}/"))
        id = world.repo.raw_tree([*entries[1:], entries[0]])
        if place == ".auths/kels":
            above = folder_entries(world, inside(world.files, ".auths/"))
            id = world.repo.raw_tree([(mode, name, id if name == b"kels" else old) for mode, name, old in above])
        root = folder_entries(world, world.files)
        tree = world.repo.raw_tree([(mode, name, id if name == b".auths" else old) for mode, name, old in root])
    bad = world.repo.commit_tree(tree, [world.tip], world.alice)
    refused(world.verify_at(bad), (bad, "malformed"))


@pytest.mark.parametrize("twice", ["policy.toml", "allowed_signers", "kels"])
def test_a_folder_of_rules_with_two_entries_of_one_name_is_malformed(world: World, twice: str) -> None:
    """Row 7, one level down."""
    entries = folder_entries(world, inside(world.files, ".auths/"))
    doubled = [entry for entry in entries for _ in range(1 + (entry[1] == twice.encode()))]
    id = world.repo.raw_tree(doubled)
    root = [(mode, name, id if name == b".auths" else old) for mode, name, old in folder_entries(world, world.files)]
    bad = world.repo.commit_tree(world.repo.raw_tree(root), [world.tip], world.alice)
    refused(world.verify_at(bad), (bad, "malformed"))


@pytest.mark.parametrize("name", [b"", b"a/b", b".", b".."])
def test_a_tree_with_a_name_that_is_none_is_malformed(world: World, name: bytes) -> None:
    """Row 7, the other games with entries: git's order, but a name that leads elsewhere."""
    entries = sorted(
        [*folder_entries(world, world.files), ("100644", name, world.repo.blob(b"x"))], key=lambda entry: entry[1]
    )
    bad = world.repo.commit_tree(world.repo.raw_tree(entries), [world.tip], world.alice)
    refused(world.verify_at(bad), (bad, "malformed"))


def test_a_commit_without_an_author_is_malformed(world: World) -> None:
    """Row 40."""
    tree, parent, _, committer = heads_of(world)
    bad = world.repo.raw("commit", bobs(world, [tree, parent, committer]))
    refused(world.verify_at(bad), (bad, "malformed"))


def test_a_commit_that_begins_with_its_parent_is_never_good(world: World) -> None:
    """Row 40: git cannot read it at all, so it can neither be named nor walked through; that is said, as no verdict."""
    tree, parent, author, committer = heads_of(world)
    bad = world.repo.raw("commit", bobs(world, [parent, tree, author, committer]))
    for tip in (bad, world.work([bad], world.bob)):
        world.advance(tip)
        answer = world.repo.verify("main")
        assert answer.code in (1, 128)
        assert answer.stderr.startswith("error: ")
        assert "internal error" not in answer.stderr


@pytest.mark.parametrize(
    "line", [b"gpgsig-x covered\n", b"GPGSIG covered\n", b"gpgsigs covered\n", b"gpgsig-sha1 covered\n"]
)
def test_a_signature_header_that_nobody_knows_is_malformed(world: World, line: bytes) -> None:
    """Row 41, where the signature covers the header: some version of git leaves it out of what it verifies."""
    bad = world.repo.raw("commit", bobs(world, [*heads_of(world), line]))
    refused(world.verify_at(bad), (bad, "malformed"))


def test_a_second_signature_before_the_first_is_malformed(world: World) -> None:
    """Row 41: git sees the outsider's first, and refuses."""
    payload = b"".join(heads_of(world)) + b"\nwork\n"
    raw = signed_commit(payload, sshsig(world.bob, payload))
    other = header(b"gpgsig", sshsig(world.mallory, payload))
    bad = world.repo.raw("commit", raw.replace(b"gpgsig ", other + b"gpgsig ", 1))
    refused(world.verify_at(bad), (bad, "malformed"))


def git_verifies(world: World, commit: str) -> bool:
    listed = world.repo.path / ".git" / "listed_keys"
    listed.write_bytes(world.files[".auths/allowed_signers"])
    done = run("git", "-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={listed}", "verify-commit", commit,
               cwd=world.repo.path, code=None)  # fmt: skip
    return done.returncode == 0


def test_a_signature_inside_the_message_is_none(world: World) -> None:
    """Row 42: the text of a gpgsig header, in the message."""
    payload = b"".join(heads_of(world)) + b"\nwork\n"
    inside = payload + b"\n" + header(b"gpgsig", sshsig(world.bob, payload))
    for raw in (
        inside,
        payload.replace(b"\n\nwork", b"\n\n" + header(b"gpgsig", sshsig(world.bob, payload)) + b"\nwork"),
    ):
        bad = world.repo.raw("commit", raw)
        refused(world.verify_at(bad), (bad, "unsigned"))
        assert not git_verifies(world, bad)


def test_a_signature_moved_into_the_body_is_none(world: World) -> None:
    """Row 42: where tags carry theirs."""
    payload = b"".join(heads_of(world)) + b"\nwork\n"
    bad = world.repo.raw("commit", payload + sshsig(world.bob, payload))
    refused(world.verify_at(bad), (bad, "unsigned"))
    assert not git_verifies(world, bad)


@pytest.mark.parametrize("changed", ["the message", "the tree", "the parent", "the author", "the date", "a header"])
def test_a_signature_is_over_every_byte(world: World, changed: str) -> None:
    """Row 42: Bob's signature, on a commit that he did not make."""
    raw = bobs(world, heads_of(world))
    other_tree = world.repo.tree({**world.files, "src": b"evil\n"}).encode()
    other_parent = world.work([world.tip], world.bob, other="1").encode()
    new = {
        "the message": raw.replace(b"\n\nwork", b"\n\nplay"),
        "the tree": raw.replace(raw[5:45], other_tree, 1),
        "the parent": raw.replace(world.tip.encode(), other_parent, 1),
        "the author": raw.replace(b"author Bob", b"author Eve", 1),
        "the date": raw.replace(b" +0000\ngpgsig", b" +0100\ngpgsig", 1),
        "a header": raw.replace(b"\ngpgsig", b"\nnote hidden\ngpgsig", 1),
    }[changed]
    assert new != raw
    bad = world.repo.raw("commit", new)
    refused(world.verify_at(bad), (bad, "bad-signature"))
    assert not git_verifies(world, bad)


@pytest.mark.parametrize("message", [b"work\0hidden\n", b"\0", b"work\n\0"])
def test_a_nul_in_the_message_is_malformed(world: World, message: bytes) -> None:
    """Row 43: git shows the message only up to it."""
    bad = world.repo.raw("commit", bobs(world, heads_of(world), message))
    refused(world.verify_at(bad), (bad, "malformed"))


def test_a_nul_in_a_header_is_malformed(world: World) -> None:
    """Row 43."""
    tree, parent, author, committer = heads_of(world)
    for heads in (
        [tree, parent, author.replace(b"Bob", b"B\0b"), committer],
        [tree, parent, author, committer, b"note x\0y\n"],
    ):
        bad = world.repo.raw("commit", bobs(world, heads))
        refused(world.verify_at(bad), (bad, "malformed"))


def test_a_message_in_latin_1_is_legitimate(world: World) -> None:
    """Row 43: with its encoding header, bytes that are not UTF-8."""
    heads = heads_of(world)
    heads[2] = heads[2].replace(b"Bob <", b"B\xf6b <")
    good = world.repo.raw(
        "commit", bobs(world, [*heads, b"encoding ISO-8859-1\n"], "Änderung für München\n".encode("latin-1"))
    )
    accepted(world.verify_at(good))
    git_says_good(world.repo, "verify-commit", good)


@pytest.mark.parametrize("extra", [
    b"", b"mergetag object 1234\n type commit\n tag v1\n \n a tag\n", b"HG:extra branch:default\n", b"change-id abc\n",
], ids=["no message", "mergetag", "from Mercurial", "change-id"])  # fmt: skip
def test_other_headers_that_git_writes_are_legitimate(world: World, extra: bytes) -> None:
    """Row 43, more of what a strict parser must not take for an attack."""
    good = world.repo.raw(
        "commit", bobs(world, [*heads_of(world), *([extra] if extra else [])], b"work\n" if extra else b"")
    )
    accepted(world.verify_at(good))


def test_in_a_sha1_repository_a_sha256_signature_is_left_out(world: World) -> None:
    """Row 45: judged by the header of its own format; the payload leaves both out."""
    payload = b"".join(heads_of(world)) + b"\nwork\n"
    both = signed_commit(payload, sshsig(world.bob, payload))
    foreign = header(b"gpgsig-sha256", sshsig(world.mallory, payload + b"of the other format"))
    for raw in (
        both.replace(b"gpgsig ", foreign + b"gpgsig ", 1),
        both.replace(b"\n\nwork", b"\n" + foreign + b"\nwork", 1),
    ):
        good = world.repo.raw("commit", raw)
        accepted(world.verify_at(good))
        git_says_good(world.repo, "verify-commit", good)


def test_in_a_sha1_repository_a_sha256_signature_alone_is_none(world: World) -> None:
    """Row 45."""
    payload = b"".join(heads_of(world)) + b"\nwork\n"
    bad = world.repo.raw("commit", signed_commit(payload, sshsig(world.bob, payload), b"gpgsig-sha256"))
    refused(world.verify_at(bad), (bad, "unsigned"))
    assert not git_verifies(world, bad)


def test_in_a_sha1_repository_a_bad_signature_is_bad_beside_a_good_sha256_one(world: World) -> None:
    """Row 45."""
    payload = b"".join(heads_of(world)) + b"\nwork\n"
    raw = signed_commit(payload, sshsig(world.bob, b"something else"))
    good_one = header(b"gpgsig-sha256", sshsig(world.bob, payload))
    bad = world.repo.raw("commit", raw.replace(b"gpgsig ", good_one + b"gpgsig ", 1))
    refused(world.verify_at(bad), (bad, "bad-signature"))


@pytest.fixture(scope="module")
def founded_sha256(tmp_path_factory: pytest.TempPathFactory) -> World:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("GIT_")]:
            patch.delenv(name)
        return forge.found(tmp_path_factory.mktemp("sha256") / "repo", "--object-format=sha256")


@pytest.fixture
def sha256(founded_sha256: World, tmp_path: Path) -> World:
    return forge.again(founded_sha256, tmp_path / "repo")


def test_a_sha256_repository_is_judged(sha256: World) -> None:
    """Row 45: commits, a release tag with its approval, and the root's id."""
    accepted(sha256.repo.verify("main"))
    assert len(sha256.repo.verify("main").document["root"]) == 64
    git_says_good(sha256.repo, "verify-commit", "main")
    tag = sha256.repo.tag("v1.0", sha256.tip, sha256.alice)
    line = forge.envelope(sha256.bob, forge.approval(sha256.bob, sha256.root, tag, "tag", "v1.0", sha256.tip))
    sha256.repo.notes({tag: [line]})
    answer = sha256.repo.verify_tag("v1.0")
    assert (answer.code, answer.verdicts) == (0, {tag: "good"})
    git_says_good(sha256.repo, "tag", "-v", "v1.0")


def test_in_a_sha256_repository_attacks_get_the_same_verdicts(sha256: World) -> None:
    """Row 45."""
    for commit, verdict in (
        (sha256.work([sha256.tip], None), "unsigned"),
        (sha256.work([sha256.tip], sha256.mallory), "unknown-key"),
        (sha256.repo.commit({"README": b"x"}, [sha256.tip], sha256.bob), "policy-change-unauthorized"),
    ):
        refused(sha256.verify_at(commit), (commit, verdict))


def test_in_a_sha256_repository_a_sha1_signature_is_left_out(sha256: World) -> None:
    """Row 45: alone it is none; beside the right one it is not looked at."""
    payload = b"".join(heads_of(sha256)) + b"\nwork\n"
    alone = sha256.repo.raw("commit", signed_commit(payload, sshsig(sha256.bob, payload), b"gpgsig"))
    refused(sha256.verify_at(alone), (alone, "unsigned"))
    right = signed_commit(payload, sshsig(sha256.bob, payload), b"gpgsig-sha256")
    foreign = header(b"gpgsig", sshsig(sha256.mallory, b"of the other format"))
    both = sha256.repo.raw("commit", right.replace(b"gpgsig-sha256 ", foreign + b"gpgsig-sha256 ", 1))
    accepted(sha256.verify_at(both))
    git_says_good(sha256.repo, "verify-commit", both)


def test_in_a_sha256_repository_an_id_of_forty_digits_is_malformed(sha256: World) -> None:
    """Row 45: an object id of the other format in a header."""
    heads = heads_of(sha256)
    heads[1] = b"parent " + sha256.tip[:40].encode() + b"\n"
    payload = b"".join(heads) + b"\nwork\n"
    bad = sha256.repo.raw("commit", signed_commit(payload, sshsig(sha256.bob, payload), b"gpgsig-sha256"))
    sha256.advance(bad)
    answer = sha256.repo.verify("main")
    assert answer.code in (1, 128)  # git itself may not read it
    assert "internal error" not in answer.stderr
