"""Attacks on a clone: what a checkout, a configuration or the environment may not change about whom it trusts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks.forge import Repo, Rule, World, allowed_signers, auths, refused
from tests.realgit import run


def their_history(world: World) -> str:
    """A root of Mallory's own in the same repository, and a branch on it."""
    rules = [Rule("commit", [world.mallory]), Rule("admin", [world.mallory])]
    root = world.repo.commit(auths(rules, [world.mallory]), [], world.mallory)
    world.repo.ref("refs/heads/theirs", root)
    return root


def pins(root: str) -> str:
    return f"[auths]\n\troot = {root}\n\tmainline = refs/heads/theirs\n"


def test_the_environment_does_not_name_another_root(world: World) -> None:
    """Row 81: GIT_CONFIG_COUNT."""
    root = their_history(world)
    environment = {"GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_0": "auths.root", "GIT_CONFIG_VALUE_0": root,
                   "GIT_CONFIG_KEY_1": "auths.mainline", "GIT_CONFIG_VALUE_1": "refs/heads/theirs"}  # fmt: skip
    parameters = {"GIT_CONFIG_PARAMETERS": f"'auths.root'='{root}' 'auths.mainline'='refs/heads/theirs'"}
    for env in (environment, parameters):
        answer = world.repo.auths("verify", "--json", "theirs", env=env)
        refused(answer, (root, "outside-root"))
        assert answer.document["root"] == world.root
        assert answer.document["mainline"] == world.tip


@pytest.mark.parametrize("include", ["[include]\n\tpath = {}\n", '[includeIf "gitdir:**"]\n\tpath = {}\n'])
def test_an_included_file_does_not_name_another_root(world: World, tmp_path: Path, include: str) -> None:
    """Row 81: such a file may lie in the working tree."""
    root = their_history(world)
    evil = tmp_path / "evil.config"
    evil.write_text(pins(root))
    config = world.repo.path / ".git" / "config"
    config.write_text(config.read_text() + include.format(evil))
    assert world.repo.git("config", "auths.root") == root
    answer = world.repo.verify("theirs")
    refused(answer, (root, "outside-root"))
    assert answer.document["root"] == world.root


@pytest.mark.parametrize("where", ["included", "global", "environment", "worktree"])
def test_a_pin_that_only_others_set_is_none(world: World, tmp_path: Path, where: str) -> None:
    """Row 81: where the clone itself pins nothing, nothing is pinned (`unpinned-root`)."""
    for key in ("auths.root", "auths.mainline"):
        world.repo.git("config", "--unset", key)
    other = tmp_path / "other.config"
    other.write_text(pins(world.root))
    environment = {}
    if where == "included":
        config = world.repo.path / ".git" / "config"
        config.write_text(config.read_text() + f"[include]\n\tpath = {other}\n")
    elif where == "global":
        environment = {"GIT_CONFIG_GLOBAL": str(other)}
    elif where == "environment":
        environment = {"GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_0": "auths.root", "GIT_CONFIG_VALUE_0": world.root,
                       "GIT_CONFIG_KEY_1": "auths.mainline", "GIT_CONFIG_VALUE_1": "refs/heads/main"}  # fmt: skip
    else:
        world.repo.git("config", "extensions.worktreeConfig", "true")
        (world.repo.path / ".git" / "config.worktree").write_text(pins(world.root))
    answer = world.repo.auths("verify", "main", env=environment)
    assert answer.code == 1
    assert "unpinned-root" in answer.stdout + answer.stderr
    assert "git auths setup" in answer.stderr


def test_without_a_pin_the_document_says_so(world: World) -> None:
    """Row 81, for a program that reads it."""
    world.repo.git("config", "--unset", "auths.root")
    answer = world.repo.verify("main")
    assert answer.code == 1
    assert answer.document["ok"] is False
    assert "unpinned-root" in answer.stdout


def test_a_pin_that_is_no_id_is_no_pin(world: World) -> None:
    """Row 81: a branch's name would follow whoever moves the branch. This is no verdict: exit 128, and it says why."""
    for root in ("main", world.root[:12], world.root.upper(), f"{world.root}^0", "HEAD"):
        world.repo.git("config", "auths.root", root)
        answer = world.repo.verify("main")
        assert (answer.code, answer.stdout) == (128, "")
        assert "auths.root" in answer.stderr


def test_two_pins_are_none(world: World) -> None:
    """Row 81: git takes the last; nobody can tell which was meant."""
    world.repo.git("config", "--add", "auths.root", their_history(world))
    answer = world.repo.verify("theirs")
    assert (answer.code, answer.stdout) == (128, "")
    assert "auths.root" in answer.stderr


@pytest.fixture
def clone(world: World, tmp_path: Path) -> Repo:
    """A stranger's clone, set up."""
    run("git", "clone", "--quiet", world.repo.path, tmp_path / "clone")
    cloned = Repo(tmp_path / "clone")
    answer = cloned.auths("setup", "--yes", "--root", world.root)
    assert answer.code == 0, answer.stderr
    return cloned


def shown(repo: Repo, *options: str) -> str:
    """What `git log --show-signature` says of HEAD, with the configuration that `setup` left."""
    done = run("git", *options, "log", "-1", "--show-signature", "--format=verdict %G?", cwd=repo.path)
    return (done.stdout + done.stderr).decode()


STOCK = ["-c", "gpg.ssh.program=ssh-keygen"]


@pytest.mark.parametrize("options", [[], STOCK], ids=["our program", "ssh-keygen"])
def test_a_branch_brings_its_own_allowed_signers_in_vain(world: World, clone: Repo, options: list[str]) -> None:
    """Row 79: checked out, then stock `git log --show-signature`."""
    assert "verdict G" in shown(clone, *options)
    own = allowed_signers([world.mallory]).replace(b"mallory@example.com", b"alice@example.com")
    bad = world.repo.commit({**world.files, ".auths/allowed_signers": own}, [world.tip], world.mallory)
    world.repo.ref("refs/heads/evil", bad)
    clone.git("fetch", "--quiet", "origin", "evil")
    clone.git("checkout", "--quiet", "FETCH_HEAD")
    said = shown(clone, *options)
    assert "verdict G" not in said
    assert 'Good "git" signature for' not in said


def test_a_pulled_policy_that_is_not_good_does_not_reach_stock_git(world: World, clone: Repo) -> None:
    """Row 79: the copy that stock git reads is renewed only from a good mainline, after a pull as well."""
    copy = clone.path / ".git" / "auths" / "allowed_signers"
    before = copy.read_bytes()
    assert before == world.files[".auths/allowed_signers"]
    everybody = [world.alice, world.bob, world.mallory]
    taken_over = {**world.files, **auths([Rule("commit", everybody), Rule("admin", everybody)], everybody)}
    world.advance(world.repo.commit(taken_over, [world.tip], world.mallory))
    pulled = run("git", "pull", "--quiet", "--ff-only", cwd=clone.path)
    assert "policy-change-unauthorized" in pulled.stderr.decode()
    clone.auths("verify")
    clone.auths("setup", "--yes")
    clone.auths("status")
    assert copy.read_bytes() == before
    assert "verdict G" not in shown(clone)


def test_a_pulled_policy_that_is_good_does(world: World, clone: Repo) -> None:
    """Row 79, the other side of it."""
    everybody = [world.alice, world.bob, world.carol]
    files = {**world.files, **auths([Rule("commit", everybody), *world.rules[1:]], everybody)}
    added = world.repo.commit(files, [world.tip], world.alice)
    world.advance(world.repo.commit({**files, "src": b"2\n"}, [added], world.carol))
    run("git", "pull", "--quiet", "--ff-only", cwd=clone.path)
    assert "verdict G" in shown(clone)


def test_setup_refuses_another_root_than_the_one_it_was_told(world: World, tmp_path: Path) -> None:
    """Row 22, at the first meeting: the server shows a history of its own."""
    world.advance(their_history(world))
    run("git", "clone", "--quiet", world.repo.path, tmp_path / "clone")
    cloned = Repo(tmp_path / "clone")
    answer = cloned.auths("setup", "--yes", "--root", world.root)
    assert answer.code == 1
    assert cloned.auths("root", "show").code == 1


def test_setup_pins_nothing_without_a_yes(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN 7: the root is never guessed in silence."""
    run("git", "clone", "--quiet", world.repo.path, tmp_path / "clone")
    cloned = Repo(tmp_path / "clone")
    with open("/dev/null") as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        answer = cloned.auths("setup")
    assert answer.code == 128
    assert world.root in answer.stderr
    assert cloned.auths("root", "show").code == 1


def test_setup_warns_of_a_mainline_that_is_not_good(world: World, tmp_path: Path) -> None:
    """Row 48, for who comes later: the clone is of a server that has been attacked already."""
    bad = world.work([world.tip], world.mallory)
    world.advance(bad)
    run("git", "clone", "--quiet", world.repo.path, tmp_path / "clone")
    answer = Repo(tmp_path / "clone").auths("setup", "--yes", "--root", world.root)
    assert answer.code == 1
    assert bad in answer.stderr
    assert "unknown-key" in answer.stderr
    assert not (tmp_path / "clone" / ".git" / "auths" / "allowed_signers").exists()


def test_a_commit_that_only_its_own_tree_allows_is_not_signed(world: World, tmp_path: Path) -> None:
    """Row 1, before it comes into being: the program that signs asks the policy, too (DESIGN 5)."""
    run("git", "clone", "--quiet", world.repo.path, tmp_path / "clone")
    cloned = Repo(tmp_path / "clone")
    assert cloned.auths("setup", "--yes").code == 0
    assert cloned.auths("init", "--no-passphrase").code == 0
    did = cloned.auths("whoami").stdout.strip()
    for role in ("commit", "admin"):
        assert cloned.auths("policy", "add-signer", did, "--role", role).code == 0
    done = run("git", "commit", "-m", "I may", cwd=cloned.path, code=None)
    assert done.returncode != 0
    assert "policy-change-unauthorized" in done.stderr.decode()
    assert cloned.git("rev-parse", "HEAD") == world.tip
