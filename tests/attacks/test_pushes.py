"""Attacks by push: the same on both gates, the pusher's own hook and the server's, for which --no-verify is nothing.

Nothing in the pushed commits is trusted to judge themselves. What is refused leaves every ref of the server as it was.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.attacks import forge
from tests.attacks.forge import Repo, Rule, World, approval, auths, envelope, kel_path
from tests.realgit import run


@pytest.fixture(scope="session")
def published(founded: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare repository with the honest mainline, and no hook."""
    folder = tmp_path_factory.mktemp("published") / "server.git"
    run("git", "init", "--quiet", "--bare", "--template=", "--initial-branch=main", folder)
    run("git", "config", "receive.denyDeleteCurrent", "ignore", cwd=folder)  # git's own guard is not what is tried
    founded.repo.git("push", "--quiet", folder, "main")
    return folder


class Gate:
    """A server with the honest mainline, and which side judges what is pushed there."""

    def __init__(self, world: World, folder: Path, side: str, published: Path) -> None:
        self.world, self.folder, self.side = world, folder, side
        shutil.copytree(published, folder)
        config = f'[remote "origin"]\n\turl = {folder}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n'
        pins = f"[auths]\n\troot = {world.root}\n\tmainline = refs/heads/main\n"
        if side == "server":
            add_to(folder / "config", pins)
        else:
            world.repo.ref("refs/remotes/origin/main", world.tip)
            world.repo.git("config", "auths.mainline", "refs/remotes/origin/main")
        add_to(world.repo.path / ".git" / "config", config)
        judging = Repo(folder if side == "server" else world.repo.path)
        assert judging.auths("hooks", "install", *(["--server"] if side == "server" else [])).code == 0

    def refs(self) -> dict[str, str]:
        listed = run("git", "for-each-ref", "--format=%(refname) %(objectname)", cwd=self.folder).stdout.decode()
        return dict(line.split() for line in listed.splitlines())  # type: ignore[misc]

    def push(self, *refspecs: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
        no_verify = ["--no-verify"] if self.side == "server" else []
        return run("git", "push", *no_verify, "origin", *refspecs, cwd=self.world.repo.path, code=None, env=env)

    def refuses(self, *refspecs: str, verdict: str, object_id: str | None = None) -> str:
        before = self.refs()
        done = self.push(*refspecs)
        said = done.stderr.decode()
        assert done.returncode == 1, said
        assert self.refs() == before
        assert "internal error" not in said
        assert "Traceback" not in said
        assert verdict in said
        assert object_id is None or object_id in said
        return said

    def has(self, *refs: str) -> None:
        """Let the server have the world's refs, past every gate."""
        refspecs = [f"+{ref}:{ref}" for ref in refs]
        run("git", "fetch", "--quiet", "--no-tags", self.world.repo.path, *refspecs, cwd=self.folder)

    def takes(self, *refspecs: str) -> str:
        done = self.push(*refspecs)
        assert done.returncode == 0, done.stderr.decode()
        return done.stderr.decode()


def add_to(config: Path, text: str) -> None:
    config.write_text(config.read_text() + text)


@pytest.fixture(params=["server", "client"])
def gate(request: pytest.FixtureRequest, world: World, tmp_path: Path, published: Path) -> Gate:
    """Either side, each with the other unguarded."""
    return Gate(world, tmp_path / "server.git", request.param, published)


@pytest.fixture
def server(world: World, tmp_path: Path, published: Path) -> Gate:
    """The server's side, where both ask the same engine the same thing."""
    return Gate(world, tmp_path / "server.git", "server", published)


@pytest.fixture
def client(world: World, tmp_path: Path, published: Path) -> Gate:
    return Gate(world, tmp_path / "server.git", "client", published)


def taken_over(world: World) -> dict[str, bytes]:
    """A policy that lists Mallory for everything, and nobody else."""
    rules = [Rule("commit", [world.mallory]), Rule("release", [world.mallory]), Rule("admin", [world.mallory])]
    logs = {kel_path(one): one.log.stream for one in (world.alice, world.bob)}
    return {**world.files, **auths(rules, [world.mallory]), **logs}


class Push(NamedTuple):
    refspecs: list[str]
    verdict: str
    object: str | None = None


def own_policy_on_the_mainline(world: World) -> Push:
    bad = world.repo.commit(taken_over(world), [world.tip], world.mallory)
    later = world.repo.commit({**taken_over(world), "src": b"2\n"}, [bad], world.mallory)
    return Push([f"{later}:refs/heads/main"], "policy-change-unauthorized", bad)


def own_policy_on_a_branch(world: World) -> Push:
    bad = world.repo.commit(taken_over(world), [world.tip], world.mallory)
    later = world.repo.commit({**taken_over(world), "src": b"2\n"}, [bad], world.mallory)
    return Push([f"{later}:refs/heads/feature"], "policy-change-unauthorized", bad)


def own_policy_behind_a_tag(world: World) -> Push:
    bad = world.repo.commit(taken_over(world), [world.tip], world.mallory)
    tag = world.repo.tag("v1.0", bad, world.mallory)
    return Push(["refs/tags/v1.0"], "unknown-key", tag)


def own_policy_behind_a_tag_and_on_the_mainline(world: World) -> Push:
    push = own_policy_on_the_mainline(world)
    world.repo.tag("v1.0", push.refspecs[0].split(":")[0], world.mallory)
    return Push([*push.refspecs, "refs/tags/v1.0"], "policy-change-unauthorized", push.object)


def own_policy_with_own_approvals(world: World) -> Push:
    """The notes are pushed along, and hold approvals by those whom only the pushed policy lists."""
    push = own_policy_on_the_mainline(world)
    assert push.object
    lines = [
        envelope(world.mallory, approval(world.mallory, world.root, push.object, kind)) for kind in ("commit", "admin")
    ]
    world.repo.notes({push.object: lines})
    return push._replace(refspecs=[*push.refspecs, "refs/notes/auths"])


def no_policy_at_all(world: World) -> Push:
    bad = world.repo.commit({"src": b"2\n"}, [world.tip], world.mallory)
    return Push([f"{bad}:refs/heads/main"], "policy-change-unauthorized", bad)


def a_policy_that_nobody_can_read(world: World) -> Push:
    bad = world.repo.commit({**world.files, ".auths/policy.toml": b"[policy\n"}, [world.tip], world.bob)
    return Push([f"{bad}:refs/heads/main"], "policy-invalid", bad)


def another_history(world: World) -> Push:
    """A root of one's own, on which everything is allowed."""
    root = world.repo.commit(taken_over(world), [], world.mallory)
    return Push([f"+{root}:refs/heads/main"], "outside-root", root)


def another_history_on_a_branch(world: World) -> Push:
    root = world.repo.commit(taken_over(world), [], world.mallory)
    return Push([f"{root}:refs/heads/feature"], "outside-root", root)


def an_unsigned_commit(world: World) -> Push:
    bad = world.work([world.tip], None)
    return Push([f"{world.work([bad], world.bob)}:refs/heads/main"], "unsigned", bad)


def a_merge_of_an_outsiders_work(world: World) -> Push:
    bad = world.work([world.tip], world.mallory, other="1")
    return Push([f"{world.work([world.tip, bad], world.bob, other='1')}:refs/heads/main"], "unknown-key", bad)


ATTACKS = [own_policy_on_the_mainline, own_policy_on_a_branch, own_policy_behind_a_tag,
           own_policy_behind_a_tag_and_on_the_mainline, own_policy_with_own_approvals, no_policy_at_all,
           a_policy_that_nobody_can_read, another_history, another_history_on_a_branch, an_unsigned_commit,
           a_merge_of_an_outsiders_work]  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda build: build.__name__.replace("_", " "))
def test_what_is_pushed_does_not_allow_itself(world: World, server: Gate, attack: Callable[[World], Push]) -> None:
    """Row 48; with rows 1, 2, 4, 20, 22 as they meet the gate."""
    push = attack(world)
    server.refuses(*push.refspecs, verdict=push.verdict, object_id=push.object)


@pytest.mark.parametrize("attack", [own_policy_on_the_mainline, own_policy_on_a_branch, own_policy_behind_a_tag])
def test_what_would_be_pushed_does_not_allow_itself(
    world: World, client: Gate, attack: Callable[[World], Push]
) -> None:
    """Row 48, before it leaves the clone."""
    push = attack(world)
    client.refuses(*push.refspecs, verdict=push.verdict, object_id=push.object)


def test_a_policy_that_got_in_before_the_gate_allows_nothing(world: World, gate: Gate) -> None:
    """Row 48: the mainline was taken over while nobody looked; what builds on that is not good for being published."""
    bad = world.repo.commit(taken_over(world), [world.tip], world.mallory)
    world.advance(bad)
    gate.has("refs/heads/main")
    world.repo.ref("refs/remotes/origin/main", bad)
    later = world.repo.commit({**taken_over(world), "src": b"2\n"}, [bad], world.mallory)
    gate.refuses(f"{later}:refs/heads/main", verdict="policy-change-unauthorized", object_id=bad)
    gate.refuses(f"{later}:refs/heads/feature", verdict="policy-change-unauthorized", object_id=bad)
    tag = world.repo.tag("v1.0", world.tip, world.mallory)
    gate.refuses("refs/tags/v1.0", verdict="policy-change-unauthorized", object_id=tag)


def test_a_policy_that_got_in_behind_much_else_allows_nothing(world: World, server: Gate) -> None:
    """Row 48: a dozen unsigned commits were published before it."""
    tip = world.tip
    for number in range(12):
        tip = world.work([tip], None, src=str(number))
    bad = world.advance(world.repo.commit(taken_over(world), [tip], world.mallory))
    server.has("refs/heads/main")
    later = world.repo.commit({**taken_over(world), "src": b"2\n"}, [bad], world.mallory)
    server.refuses(f"{later}:refs/heads/main", verdict="policy-change-unauthorized", object_id=bad)


def test_honest_pushes_are_taken(world: World, gate: Gate) -> None:
    """Without it this file would prove nothing; and row 77: a pushed pair, 'add a signer' and that signer's commit."""
    rules = [Rule("commit", [world.alice, world.bob, world.carol]), *world.rules[1:]]
    files = {**world.files, **auths(rules, [world.alice, world.bob, world.carol])}
    added = world.repo.commit(files, [world.tip], world.alice)
    hers = world.repo.commit({**files, "src": b"hers\n"}, [added], world.carol)
    gate.takes(f"{hers}:refs/heads/main")
    branch = world.repo.commit({**files, "src": b"2\n"}, [hers], world.carol)
    gate.takes(
        f"{branch}:refs/heads/feature",
        f"{world.repo.commit({**files, 'src': b'3'}, [hers], world.bob)}:refs/heads/main",
    )
    assert gate.refs()["refs/heads/feature"] == branch


def test_a_release_is_taken_with_its_approvals_in_one_push(world: World, gate: Gate) -> None:
    """The other side of rows 26 and 35: tag and notes travel together."""
    tag = world.repo.tag("v1.0", world.tip, world.alice)
    gate.refuses("refs/tags/v1.0", verdict="threshold-unmet", object_id=tag)
    world.repo.notes({tag: [envelope(world.bob, approval(world.bob, world.root, tag, "tag", "v1.0", world.tip))]})
    gate.takes("--atomic", "refs/tags/v1.0", "refs/notes/auths")
    assert gate.refs()["refs/tags/v1.0"] == tag


def released(world: World, gate: Gate) -> str:
    """v1.0, published with Bob's approval."""
    tag = world.repo.tag("v1.0", world.tip, world.alice)
    world.repo.notes({tag: [envelope(world.bob, approval(world.bob, world.root, tag, "tag", "v1.0", world.tip))]})
    gate.has("refs/notes/auths", "refs/tags/v1.0")
    return tag


def approved_anew(world: World, gate: Gate, old: str, target: str) -> str:
    """Another tag object v1.0, approved as well."""
    tag = world.repo.tag("v1.0", target, world.alice, message=b"the same name\n")
    lines = {old: [envelope(world.bob, approval(world.bob, world.root, old, "tag", "v1.0", world.tip))],
             tag: [envelope(world.bob, approval(world.bob, world.root, tag, "tag", "v1.0", target))]}  # fmt: skip
    world.repo.notes(lines, parents=[world.repo.git("rev-parse", "refs/notes/auths")])
    gate.has("refs/notes/auths")
    return tag


@pytest.mark.parametrize("moved_to", ["another commit", "the same commit", "a lightweight tag"])
def test_a_published_tag_is_not_moved(world: World, server: Gate, moved_to: str) -> None:
    """Row 26: not even to a tag that is as good."""
    old = released(world, server)
    if moved_to == "a lightweight tag":
        world.repo.ref("refs/tags/v1.0", world.tip)
    else:
        approved_anew(world, server, old, world.root if moved_to == "another commit" else world.tip)
        assert world.repo.verify_tag("v1.0").code == 0
    server.refuses("+refs/tags/v1.0", verdict="tag-moved")


def test_a_published_tag_is_not_moved_from_a_clone(world: World, client: Gate) -> None:
    """Row 26, before it leaves the clone."""
    approved_anew(world, client, released(world, client), world.root)
    client.refuses("+refs/tags/v1.0", verdict="tag-moved")


def test_a_published_tag_is_not_deleted_to_be_made_anew(world: World, gate: Gate) -> None:
    """Row 26."""
    released(world, gate)
    gate.refuses(":refs/tags/v1.0", verdict="tag-moved")


@pytest.mark.parametrize("order", ["good first", "bad first"])
def test_of_two_refs_the_second_is_judged_as_well(world: World, gate: Gate, order: str) -> None:
    """Row 49: and neither is set."""
    good = world.work([world.tip], world.bob)
    bad = world.work([good], world.mallory)
    refspecs = [f"{good}:refs/heads/main", f"{bad}:refs/heads/feature"]
    gate.refuses(*(refspecs if order == "good first" else reversed(refspecs)), verdict="unknown-key", object_id=bad)


def test_of_two_refs_a_bad_mainline_stops_a_good_branch(world: World, server: Gate) -> None:
    """Row 49."""
    bad = world.work([world.tip], None)
    good = world.work([world.tip], world.bob)
    server.refuses(f"{good}:refs/heads/feature", f"{bad}:refs/heads/main", verdict="unsigned", object_id=bad)


def test_a_bad_tag_is_not_hidden_among_good_refs(world: World, server: Gate) -> None:
    """Row 49."""
    tag = world.repo.tag("v1.0", world.tip, world.alice, ref="v2.0")
    good = world.work([world.tip], world.bob)
    refspecs = [f"{good}:refs/heads/main", f"{good}:refs/heads/feature", "refs/tags/v2.0"]
    server.refuses(*refspecs, verdict="tag-name-mismatch", object_id=tag)


def test_what_no_rule_governed_on_a_branch_is_judged_on_the_mainline(world: World, gate: Gate) -> None:
    """Row 49, one push after the other: the server has the commits already, but the mainline has not."""
    rules = [world.rules[0]._replace(extra='branches = ["main"]'), *world.rules[1:]]
    files = {**world.files, **auths(rules, [world.alice, world.bob])}
    scoped = world.repo.commit(files, [world.tip], world.alice)
    gate.takes(f"{scoped}:refs/heads/main")
    bad = world.repo.commit({**files, "src": b"2\n"}, [scoped], None)
    gate.takes(f"{bad}:refs/heads/feature")
    gate.refuses(f"{bad}:refs/heads/main", verdict="unsigned", object_id=bad)
    merge = world.repo.commit({**files, "src": b"2\n"}, [scoped, bad], world.alice)
    gate.refuses(f"{merge}:refs/heads/main", verdict="unsigned", object_id=bad)


def test_what_no_rule_governed_on_a_branch_is_judged_on_a_governed_one(world: World, server: Gate) -> None:
    """Row 49, the same where the rule names another branch than the mainline (DESIGN 7.9)."""
    rules = [world.rules[0]._replace(extra='branches = ["main", "release/*"]'), *world.rules[1:]]
    files = {**world.files, **auths(rules, [world.alice, world.bob])}
    scoped = world.repo.commit(files, [world.tip], world.alice)
    server.takes(f"{scoped}:refs/heads/main")
    bad = world.repo.commit({**files, "src": b"2\n"}, [scoped], None)
    server.refuses(f"{bad}:refs/heads/release/1", verdict="unsigned", object_id=bad)
    server.takes(f"{bad}:refs/heads/feature")
    server.refuses(f"{bad}:refs/heads/release/1", verdict="unsigned", object_id=bad)


def test_another_name_for_the_mainline_is_the_mainline(world: World, server: Gate) -> None:
    """Row 49: a symbolic ref on the server, as renamed branches leave behind; what is pushed to it moves the mainline."""
    rules = [world.rules[0]._replace(extra='branches = ["main"]'), *world.rules[1:]]
    files = {**world.files, **auths(rules, [world.alice, world.bob])}
    scoped = world.repo.commit(files, [world.tip], world.alice)
    server.takes(f"{scoped}:refs/heads/main")
    run("git", "symbolic-ref", "refs/heads/master", "refs/heads/main", cwd=server.folder)
    bad = world.repo.commit({**files, "src": b"2\n"}, [scoped], None)
    server.refuses(f"{bad}:refs/heads/master", verdict="unsigned", object_id=bad)
    server.refuses(f"+{world.root}:refs/heads/master", verdict="rewound")


def test_the_rules_are_governed_on_every_branch(world: World, server: Gate) -> None:
    """Row 48: no commit rule matches the branch, and the policy is still nobody's but the admins'."""
    rules = [world.rules[0]._replace(extra='branches = ["main"]'), *world.rules[1:]]
    files = {**world.files, **auths(rules, [world.alice, world.bob])}
    scoped = world.repo.commit(files, [world.tip], world.alice)
    server.takes(f"{scoped}:refs/heads/main")
    for signer, verdict in ((None, "unsigned"), (world.bob, "policy-change-unauthorized")):
        bad = world.repo.commit(world.files, [scoped], signer)
        server.refuses(f"{bad}:refs/heads/feature", verdict=verdict, object_id=bad)


def test_the_mainline_is_not_deleted(world: World, gate: Gate) -> None:
    """Row 49: a push of a deletion."""
    gate.refuses(":refs/heads/main", verdict="rewound")


def test_the_mainline_is_not_deleted_beside_something_good(world: World, server: Gate) -> None:
    """Row 49."""
    server.refuses(f"{world.work([world.tip], world.bob)}:refs/heads/feature", ":refs/heads/main", verdict="rewound")


@pytest.mark.parametrize("to", ["older", "sideways"])
def test_the_mainline_is_not_rewound(world: World, server: Gate, to: str) -> None:
    """Row 37: every commit of it is good, but what was published is gone."""
    target = world.root if to == "older" else world.work([world.root], world.bob)
    server.refuses(f"+{target}:refs/heads/main", verdict="rewound")


def some_notes(world: World, gate: Gate) -> tuple[str, list[bytes]]:
    """Two approvals of the mainline's tip, published."""
    lines = [envelope(one, approval(one, world.root, world.tip)) for one in (world.alice, world.bob)]
    notes = world.repo.notes({world.tip: lines, world.root: lines[:1]})
    gate.has("refs/notes/auths")
    return notes, lines


@pytest.mark.parametrize(("left", "way"), [
    ("one line of two", "fast-forward"), ("one line of two", "force"), ("an empty note", "fast-forward"),
    ("no note", "force"), ("another note in its place", "fast-forward"), ("no notes at all", "force"),
])  # fmt: skip
def test_no_attestation_is_removed(world: World, server: Gate, left: str, way: str) -> None:
    """Row 49: a push straight to refs/notes/auths that removes lines."""
    old, (alices, bobs) = some_notes(world, server)
    admins = envelope(world.bob, approval(world.bob, world.root, world.tip, "admin"))
    on_tip = {"one line of two": [bobs], "an empty note": [], "another note in its place": [bobs, admins]}.get(left)
    notes = {world.root: [alices], **({} if on_tip is None else {world.tip: on_tip})}
    world.repo.notes({} if left == "no notes at all" else notes, parents=[old] if way == "fast-forward" else [])
    server.refuses("+refs/notes/auths", verdict="attestation", object_id=world.tip)


def test_the_attestations_are_not_deleted(world: World, gate: Gate) -> None:
    """Row 49."""
    some_notes(world, gate)
    gate.refuses(":refs/notes/auths", verdict="attestation")


@pytest.mark.parametrize("moved", ["to another fan-out", "and more lines"])
def test_attestations_may_be_added_and_moved(world: World, server: Gate, moved: str) -> None:
    """Row 49, the other side of it."""
    old, lines = some_notes(world, server)
    if moved == "and more lines":
        lines = [*lines, envelope(world.bob, approval(world.bob, world.root, world.tip, "admin"))]
        world.repo.notes({world.tip: lines, world.root: lines[:1]}, parents=[old])
    else:
        files = {world.tip: b"".join(line + b"\n" for line in lines), world.root: lines[0] + b"\n"}
        world.repo.ref("refs/notes/auths", world.repo.commit(files, [old], None))
    server.takes("refs/notes/auths")


def test_into_an_empty_server_only_its_own_root_is_pushed(world: World, tmp_path: Path) -> None:
    """Rows 22 and 48: the pin names an object that the server does not have yet; who comes first does not choose it."""
    folder = tmp_path / "empty.git"
    run("git", "init", "--quiet", "--bare", "--template=", "--initial-branch=main", folder)
    server = Repo(folder)
    assert server.auths("root", "pin", world.root).code == 0
    assert server.auths("hooks", "install", "--server").code == 0
    theirs = world.repo.commit(taken_over(world), [], world.mallory)
    on_top = world.repo.commit(taken_over(world), [world.tip], world.mallory)
    for commit, verdict in ((theirs, "outside-root"), (on_top, "policy-change-unauthorized")):
        done = run("git", "push", folder, f"{commit}:refs/heads/main", cwd=world.repo.path, code=1)
        assert verdict in done.stderr.decode()
        assert "internal error" not in done.stderr.decode()
        assert run("git", "for-each-ref", cwd=folder).stdout == b""
    run("git", "push", "--quiet", folder, f"{world.tip}:refs/heads/main", cwd=world.repo.path)


def test_a_server_without_a_root_takes_nothing(world: World, server: Gate) -> None:
    """Row 48: fail closed."""
    run("git", "config", "--unset", "auths.root", cwd=server.folder)
    server.refuses(f"{world.work([world.tip], world.bob)}:refs/heads/main", verdict="root")


def test_the_pusher_does_not_configure_the_server(world: World, server: Gate, tmp_path: Path) -> None:
    """Row 81: over a local path the server's hook inherits the pusher's environment."""
    theirs = world.repo.commit(taken_over(world), [], world.mallory)
    before = server.refs()
    evil = tmp_path / "evil.config"
    evil.write_text(f"[auths]\n\troot = {theirs}\n\tmainline = refs/heads/feature\n\tenforce = observe\n")
    environments = [
        {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "auths.root", "GIT_CONFIG_VALUE_0": theirs},
        {"GIT_CONFIG_PARAMETERS": f"'auths.root'='{theirs}'"},
        {"GIT_CONFIG_GLOBAL": str(evil)},
        {"PYTHONPATH": str(tmp_path / "planted")},
    ]
    planted(tmp_path / "planted", tmp_path / "imported")
    for environment in environments:
        done = server.push(f"{theirs}:refs/heads/feature", env=environment)
        assert done.returncode == 1
        assert "outside-root" in done.stderr.decode()
        assert server.refs() == before
    assert not (tmp_path / "imported").exists()


def planted(folder: Path, marker: Path) -> None:
    """A package of our name that leaves a mark when something imports it, and lets everything pass."""
    mark = f"open({str(marker)!r}, 'a').write(__name__ + '\\n')\nimport sys\nsys.exit(0)\n"
    for name in ("git_auths", "git_auths/hooks", "tomli", "nacl", "cryptography"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "__init__.py").write_text(mark)
    for name in ("git_auths/hooks/pre_push.py", "git_auths/hooks/pre_commit.py", "git_auths/hooks/post_merge.py",
                 "git_auths/main.py", "json.py", "subprocess.py", "sitecustomize.py", "usercustomize.py"):  # fmt: skip
        (folder / name).write_text(mark)


@pytest.mark.parametrize("environment", [{}, {"PYTHONPATH": "."}, {"PYTHONHOME": "."}, {"PYTHONSTARTUP": "json.py"}],
                         ids=lambda environment: next(iter(environment), "plain"))  # fmt: skip
def test_a_clones_own_package_is_not_imported(
    world: World, client: Gate, tmp_path: Path, environment: dict[str, str]
) -> None:
    """Row 81: a clone that has a git_auths/ folder, in which the hooks run."""
    marker = tmp_path / "imported"
    world.repo.git("reset", "--hard", "--quiet", "main")
    planted(world.repo.path, marker)
    bad = world.work([world.tip], world.mallory)
    done = client.push(f"{bad}:refs/heads/main", env=environment)
    assert done.returncode == 1
    assert bad in done.stderr.decode()
    assert "unknown-key" in done.stderr.decode()
    if not environment:
        (world.repo.path / ".auths" / "policy.toml").write_bytes(b"[policy\n")
        world.repo.git("add", ".auths")
        run("git", "-c", "commit.gpgSign=false", "commit", "-m", "x", cwd=world.repo.path, code=1)
        world.repo.git("reset", "--hard", "--quiet", "main")
        world.repo.ref("refs/heads/side", world.work([world.tip], world.bob))
        run("git", "merge", "--quiet", "side", cwd=world.repo.path)
    assert not marker.exists()


def test_our_programs_import_nothing_from_the_clone(world: World, tmp_path: Path) -> None:
    """Row 81, of the commands: a console script does not search the working folder."""
    marker = tmp_path / "imported"
    planted(world.repo.path, marker)
    for program, *arguments in (("git-auths", "verify", "main"), ("git-auths-verify", "main")):
        run(os.path.join(forge.SCRIPTS, program), *arguments, cwd=world.repo.path)
    assert not marker.exists()
