"""Row 55: what a stranger wrote is shown inert: no escape sequence, no line break, no right-to-left trick."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks import forge
from tests.attacks.forge import Answer, Entry, Repo, World, approval, envelope, refused
from tests.realgit import run

EVIL = "\x1b[2J\x1b]0;owned\x07\r\u202egood\u2066\u200b\x9b31m\x08\x85\u2028"


def assert_inert(answer: Answer) -> None:
    for text in (answer.stdout, answer.stderr):
        shown = [c for c in text if not (c.isprintable() or c == "\n")]
        assert not shown, shown
    assert "internal error" not in answer.stderr


@pytest.fixture
def evil(world: World) -> World:
    """A repository whose root has an evil author and subject, and whose tip is unsigned and evil as well."""
    who = EVIL.replace("\r", "").encode()
    heads = world.repo.headers(world.repo.tree(world.files), [world.before], "Alice")
    heads[2] = heads[2].replace(b"Alice", who)
    payload = b"".join(heads) + b"\n" + EVIL.encode() + b"\n\n" + EVIL.encode()
    root = world.repo.raw("commit", forge.signed_commit(payload, forge.sshsig(world.alice, payload)))
    heads = world.repo.headers(world.repo.tree(world.files), [root], "Bob")
    heads[2] = heads[2].replace(b"Bob", who)
    tip = world.repo.raw("commit", b"".join(heads) + b"\n" + EVIL.encode())
    world.repo.git("config", "auths.root", root)
    world.advance(tip)
    return world._replace(root=root, tip=tip)


@pytest.mark.parametrize("command", [
    ["verify"], ["verify", "--verbose"], ["verify", "--porcelain"], ["verify", "--json", "--verbose"],
    ["verify-commit"], ["status"], ["policy", "show"], ["root", "show"],
], ids=" ".join)  # fmt: skip
def test_authors_and_subjects_are_shown_inert(evil: World, command: list[str]) -> None:
    """Row 55: author, subject."""
    answer = evil.repo.auths(*command)
    assert_inert(answer._replace(stdout=answer.stdout.replace("\t", "")))  # --porcelain divides its fields by tabs


def test_setup_shows_an_evil_root_inert(evil: World, tmp_path: Path) -> None:
    """Row 55: here a person decides by what is shown."""
    run("git", "clone", "--quiet", evil.repo.path, tmp_path / "clone")
    answer = Repo(tmp_path / "clone").auths("setup", "--yes")
    assert_inert(answer)
    assert evil.root in answer.stderr
    pinned = evil.repo.auths("root", "pin", evil.root)
    assert_inert(pinned)
    assert evil.root in pinned.stderr


def test_a_tags_name_and_message_are_shown_inert(world: World) -> None:
    """Row 55: tag message, and the name inside the object."""
    name = EVIL.replace("\r", "").replace("\n", "")
    tag = world.repo.tag(name, world.tip, world.alice, ref="v1.0", message=EVIL.encode())
    for command in (["verify-tag", "v1.0"], ["verify-tag", "--json", "v1.0"]):
        answer = world.repo.auths(*command)
        assert_inert(answer)
        assert answer.code == 1
    refused(world.repo.verify_tag("v1.0"), (tag, "tag-name-mismatch"))


@pytest.mark.parametrize("text", ["\\u001b[2J", "\\u202egood", "a\\nb", "\x1b[2J", "\\u009b31m"], ids=ascii)
def test_a_signers_name_cannot_hold_any(world: World, text: str) -> None:
    """Row 55: the policy is refused, and the refusal is inert."""
    policy = forge.policy_toml(world.rules) + f'[signer."{world.bob.did}"]\nname = "{text}"\n'.encode()
    bad = world.repo.commit({**world.files, ".auths/policy.toml": policy}, [world.tip], world.alice)
    refused(world.verify_at(bad), (bad, "policy-invalid"))
    for command in (["verify"], ["policy", "show"]):
        answer = world.repo.auths(*command)
        assert answer.code == 1
        assert_inert(answer)


@pytest.mark.parametrize("place", ["a log", "an unknown file", "an alias", "a submodule"])
def test_the_names_of_files_are_shown_inert(world: World, place: str) -> None:
    """Row 55: a reason may name a path."""
    evil = EVIL.replace("\n", "")
    files: dict[str, bytes | Entry] = {
        "a log": {f".auths/kels/{evil}.cesr": b"x"}, "an unknown file": {f".auths/{evil}": b"x"},
        "an alias": {f".AUTHS {evil}": b"x", ".auths/POLICY.TOML": b""},
        "a submodule": {f".auths/{evil}": Entry("160000", world.tip)},
    }[place]  # fmt: skip
    bad = world.repo.commit({**world.files, **files}, [world.tip], world.bob)
    assert world.verify_at(bad).verdicts.keys() == {bad}
    for form in ([], ["--json"], ["--porcelain"], ["--porcelain", "-z"]):
        answer = world.repo.auths("verify", *form, "main")
        assert answer.code == 1
        assert_inert(answer._replace(stdout=answer.stdout.replace("\t", "").replace("\0", "")))


def test_what_an_approval_says_is_shown_inert(world: World) -> None:
    """Row 55: claim values."""
    tag = world.repo.tag("v1.0", world.tip, world.alice)
    statement = approval(world.bob, world.root, tag, "tag", EVIL, world.tip)
    world.repo.notes({tag: [envelope(world.bob, statement), b'{"' + EVIL.encode().replace(b"\n", b"") + b'"}']})
    assert_inert(world.repo.auths("verify-tag", "v1.0"))


def test_the_gates_show_names_inert(world: World, tmp_path: Path) -> None:
    """Row 55: what the server says reaches the pusher's terminal; what the clone says, its owner's."""
    folder = tmp_path / "server.git"
    run("git", "init", "--quiet", "--bare", "--template=", "--initial-branch=main", folder)
    server = Repo(folder)
    server.auths("root", "pin", world.root)
    server.auths("hooks", "install", "--server")
    bad = world.repo.commit({**world.files, f".auths/kels/{EVIL}.cesr": b"x"}, [world.tip], world.bob)
    tag = world.repo.tag(EVIL.replace("\r", ""), world.tip, world.alice, ref="v1.0")
    for refspec, named in (
        (f"{bad}:refs/heads/main", bad),
        (f"{world.tip}:refs/heads/\u202enice", ""),
        ("refs/tags/v1.0", ""),
    ):
        done = run("git", "push", folder, refspec, cwd=world.repo.path, code=1)
        ours = "".join(line.removeprefix("remote: ").rstrip() + "\n" for line in done.stderr.decode().splitlines()
                       if line.startswith("remote: "))  # fmt: skip
        assert ours
        assert named in ours
        assert_inert(Answer(1, "", ours))
    assert tag


def test_a_log_from_a_file_is_shown_inert(world: World, tmp_path: Path) -> None:
    """Row 55: what a newcomer sent."""
    file = tmp_path / "sent.cesr"
    for stream in (
        EVIL.encode(),
        world.carol.log.stream.replace(b'"t":"icp"', b'"t":"\x1b[2"'),
        b'{"v":"' + EVIL.encode(),
    ):
        file.write_bytes(stream)
        for command in (["kel", "verify", str(file)], ["policy", "add-signer", str(file), "--role", "commit"]):
            answer = world.repo.auths(*command)
            assert answer.code != 0
            assert_inert(answer)
