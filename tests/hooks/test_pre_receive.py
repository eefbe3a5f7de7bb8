"""pre-receive: the server refuses what is not good, from whoever pushes it with whatever"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from git_auths.store import notes
from tests.attesting import signer, throwaway
from tests.people import Person, Project


@pytest.fixture
def mallory(project: Project) -> Person:
    """With write access, and none of our software in her clone."""
    person = Person(project.folder, "mallory")
    person.at = person.home / "work"
    person.git("clone", "--quiet", project.server, person.at, cwd=person.home)
    return person


def refs(project: Project) -> str:
    return project.ada.git("-C", project.server, "for-each-ref").stdout


def test_an_unsigned_commit_from_plain_git_is_refused(project: Project, mallory: Person) -> None:
    before = refs(project)
    bad = mallory.commit()
    done = mallory.git("push", code=1)
    assert f"remote: error: refs/heads/main: commit {bad} is unsigned" in done.stderr
    assert refs(project) == before


def test_it_does_not_help_to_push_with_no_verify(project: Project) -> None:
    project.bob.git("config", "auths.enforceOnSign", "false")
    project.bob.commit()
    assert "unknown-key" in project.bob.git("push", "--no-verify", code=1).stderr


def test_a_good_push_is_accepted_and_no_ref_of_ours_is_written(project: Project) -> None:
    project.ada.commit()
    project.ada.git("push", "--quiet", "--no-verify")
    assert [line.split("\t")[1] for line in refs(project).splitlines()] == ["refs/heads/main"]


def test_pushed_objects_are_found_in_the_quarantine(project: Project) -> None:
    """A push of many objects is a pack, a push of few is loose objects (receive.unpackLimit); both are judged."""
    for limit in ("1", "10000"):
        project.ada.git("-C", project.server, "config", "receive.unpackLimit", limit)
        project.ada.commit()
        project.ada.git("push", "--quiet", "--no-verify")


def test_the_first_push_into_an_empty_server(project: Project, tmp_path: Path) -> None:
    ada, server = project.ada, tmp_path / "second.git"
    ada.commit()
    ada.git("init", "--quiet", "--bare", server)
    ada.auths("hooks", "install", "--server", cwd=server)
    done = ada.git("push", "--no-verify", server, "main", code=1)
    assert "remote: hint: on the server: git auths root pin OID" in done.stderr
    ada.auths("root", "pin", "--mainline", "refs/heads/main", "1" * 40, cwd=server)
    assert "outside-root" in ada.git("push", "--no-verify", server, "main", code=1).stderr
    ada.auths("root", "pin", "--replace", "1" * 40, project.root, cwd=server)
    ada.git("push", "--quiet", "--no-verify", server, "main")


def test_a_branch_cannot_come_before_the_mainline(project: Project, tmp_path: Path) -> None:
    ada, server = project.ada, tmp_path / "second.git"
    ada.git("init", "--quiet", "--bare", server)
    ada.auths("root", "pin", "--mainline", "refs/heads/main", project.root, cwd=server)
    ada.auths("hooks", "install", "--server", cwd=server)
    assert (
        "mainline refs/heads/main does not exist" in ada.git("push", "--no-verify", server, "main:other", code=1).stderr
    )


def test_what_another_branch_has_is_still_new_to_the_mainline(project: Project) -> None:
    """A branch that no rule governs takes an unsigned commit; the mainline does not take it from there."""
    ada = project.ada
    policy = ada.at / ".auths/policy.toml"
    policy.write_text(policy.read_text().replace("[[policy.commit]]\n", '[[policy.commit]]\nbranches = ["main"]\n', 1))
    ada.git("commit", "--quiet", "-a", "-m", "Only main is governed")
    ada.git("push", "--quiet")
    ada.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "unsigned")
    ada.git("push", "--quiet", "--no-verify", "origin", "main:wild")
    assert "unsigned" in ada.git("push", "--no-verify", "origin", "main", code=1).stderr


def test_the_mainline_is_neither_rewound_nor_deleted(project: Project) -> None:
    ada = project.ada
    ada.git("-C", project.server, "config", "receive.denyDeleteCurrent", "ignore")
    ada.commit()
    ada.git("push", "--quiet")
    for refspec in (f"+{project.root}:refs/heads/main", ":refs/heads/main"):
        assert "rewound" in ada.git("push", "--no-verify", "origin", refspec, code=1).stderr


def note(person: Person, id: str, *lines: bytes) -> None:
    """Make these lines all that stands on an object in the person's notes."""
    text = b"\n".join(lines).decode()
    person.git("notes", "--ref", "auths", "add", "-f", "-m", text, id)


def push_notes(person: Person, code: int = 0) -> str:
    return person.git("push", "--no-verify", "origin", "refs/notes/auths", code=code).stderr


def test_notes_lose_no_line(project: Project) -> None:
    ada, head = project.ada, project.ada.head()
    own = signer(ada, project.root)
    lines = own.approves(head), own.provenance(head)
    note(ada, head, *lines)
    push_notes(ada)
    note(ada, head, lines[0])
    assert "would lose an attestation" in push_notes(ada, code=1)
    assert "never deleted" in ada.git("push", "--no-verify", "origin", ":refs/notes/auths", code=1).stderr


def test_notes_take_what_people_of_the_mainline_sign(project: Project) -> None:
    project.with_bob("commit")
    bob, head = project.bob, project.bob.head()
    elsewhere = signer(bob, head)  # for another trust root: it counts nowhere here, and does no harm
    note(bob, head, signer(bob, project.root).approves(head), elsewhere.provenance(head))
    push_notes(bob)


def strangers_line(project: Project, head: str) -> bytes:
    return signer(project.bob, project.root).approves(head)


def forged_line(project: Project, head: str) -> bytes:
    forger = signer(project.bob, project.root)
    forger.did = project.ada.did()
    return forger.approves(head)


REFUSED = {
    "by a stranger": (strangers_line, "the mainline has no log of its signer"),
    "in another's name": (forged_line, "not signed by a key of its signer"),
    "by a throwaway key": (
        lambda project, head: throwaway(project.root).provenance(head), "by a throwaway key without an OIDC token"),
    "with a token that nobody pins": (
        lambda project, head: throwaway(project.root).provenance(head, token="e30.e30.e30"), "does not verify"),
    "about something else": (
        lambda project, head: signer(project.ada, project.root).approves("1" * 40), "is not about it"),
    "rubbish": (lambda project, head: b'{"a":1}', "is no attestation"),
}  # fmt: skip


@pytest.mark.parametrize("which", REFUSED)
def test_notes_take_no_line(project: Project, which: str) -> None:
    ada, head = project.ada, project.ada.head()
    make, reason = REFUSED[which]
    note(ada, head, signer(ada, project.root).approves(head), make(project, head))
    assert reason in push_notes(ada, code=1)


def test_what_can_count_nowhere_may_be_pruned_and_nothing_else(project: Project) -> None:
    ada, head, server = project.ada, project.ada.head(), project.server
    good, rubbish = signer(ada, project.root).approves(head), b'{"a":1}'
    forged = throwaway(project.root).provenance(head).replace(b'"sig":"', b'"sig":"AAAA')
    unknown = strangers_line(project, head)
    ada.git(
        "notes", "--ref", "auths", "add", "-m", b"\n".join([good, rubbish, forged, unknown]).decode(), head, cwd=server
    )
    ada.git("fetch", "--quiet", "origin", "+refs/notes/auths:refs/notes/auths")
    note(ada, head, good, rubbish, forged)
    assert "would lose an attestation" in push_notes(ada, code=1)
    note(ada, head, good, unknown)
    push_notes(ada)


def test_one_line_that_is_not_taken_does_not_keep_back_the_others(project: Project) -> None:
    ada, head = project.ada, project.ada.head()
    own = signer(ada, project.root)
    note(ada, head, own.approves(head), strangers_line(project, head))
    note(ada, "HEAD^{tree}", own.provenance(head))
    said = ada.auths("sync", "origin", code=1).stderr
    assert "but for what it would not take" in said and "the mainline has no log" in said and "not about it" in said
    assert ada.git("notes", "--ref", "auths", "show", head, cwd=project.server).stdout.split() == [
        own.approves(head).decode()
    ]
    assert ada.git("for-each-ref", "refs/auths/offered").stdout == ""
    more = own.provenance(head)
    notes.append(ada.at, {head: [more]}, "attest")
    ada.auths("sync", "origin", code=1)
    assert more.decode() in ada.git("notes", "--ref", "auths", "show", head, cwd=project.server).stdout


def test_a_proposal_is_taken_and_is_no_tag(project: Project) -> None:
    project.ada.git("tag", "-s", "-m", "x", "v1")
    project.ada.git("push", "--quiet", "--no-verify", "origin", "v1:refs/auths/proposals/tags/v1")


def test_the_hook_that_was_there_runs_first(project: Project, mallory: Person) -> None:
    kept = project.server / "hooks/pre-receive.before-auths"
    kept.write_text("#!/bin/sh\necho the old hook: $(cat)\nexit 1\n")
    kept.chmod(0o755)
    done = project.ada.commit() and project.ada.git("push", "--no-verify", code=1)
    assert "remote: the old hook: " in done.stderr
    assert "refs/heads/main" in done.stderr


def test_over_a_file_url_as_over_a_path(project: Project) -> None:
    """The same through git's transport instead of its local short cut."""
    project.ada.commit()
    project.ada.git("push", "--quiet", "--no-verify", f"file://{project.server}", "main")
    project.ada.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "unsigned")
    assert "unsigned" in project.ada.git("push", "--no-verify", f"file://{project.server}", "main", code=1).stderr


def test_rules_that_a_published_bad_commit_changed_judge_nothing(project: Project) -> None:
    """Bob listed himself while the server had no hook; with the hook back, what he then signs is refused."""
    bob = project.with_bob("release").bob
    hook = project.server / "hooks/pre-receive"
    kept = hook.read_bytes()
    hook.unlink()
    bob.git("config", "auths.enforceOnSign", "false")
    bob.auths("policy", "add-signer", bob.did(), "--role", "commit")
    bob.git("commit", "--quiet", "-m", "Let me commit")
    bob.git("push", "--quiet", "--no-verify")
    hook.write_bytes(kept)
    hook.chmod(0o755)
    bob.commit()
    done = bob.git("push", "--no-verify", code=1)
    assert "nothing can be judged by rules that it changed" in done.stderr


@pytest.mark.parametrize("ref", ["refs/foo/x", "refs/remotes/x/y", "refs/pull/1/head", "refs/auths/x"])
def test_a_ref_that_is_neither_branch_nor_tag_publishes_as_well(project: Project, mallory: Person, ref: str) -> None:
    bad = mallory.commit()
    assert f"commit {bad} is unsigned" in mallory.git("push", "origin", f"HEAD:{ref}", code=1).stderr


def test_what_was_only_proposed_is_not_published(project: Project) -> None:
    """A proposal is not judged, so the commit behind it is as new to a branch as it ever was."""
    ada = project.ada
    ada.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "unsigned")
    ada.git("tag", "-s", "-m", "x", "v1")
    ada.git("push", "--quiet", "--no-verify", "origin", "v1:refs/auths/proposals/tags/v1")
    assert "is unsigned" in ada.git("push", "--no-verify", "origin", "main:feature", code=1).stderr


@pytest.mark.parametrize(("ref", "word"), [
    ("refs/replace/{tip}", "a replaced object"),
    ("refs/auths/proposals/tags/v1", "only a tag object can be proposed"),
    ("refs/notes/auths/x", "would stand in the way"),
    ("refs/notes/auths", "no attestations"),
])  # fmt: skip
def test_what_would_mislead_or_block_others_is_refused(project: Project, ref: str, word: str) -> None:
    ada = project.ada
    tip = ada.head()
    ada.git("notes", "--ref", "rubbish", "add", "-m", "rubbish")
    source = "refs/notes/rubbish" if "notes" in ref else "HEAD"
    assert word in ada.git("push", "--no-verify", "origin", f"{source}:{ref.format(tip=tip)}", code=1).stderr


def test_notes_are_a_commit(project: Project) -> None:
    blob = project.ada.git("rev-parse", "HEAD:.auths/policy.toml").stdout.strip()
    done = project.ada.git("push", "--no-verify", "origin", f"{blob}:refs/notes/auths", code=1)
    assert "it is no commit" in done.stderr


def test_an_update_whose_old_id_is_a_lie_decides_nothing(project: Project) -> None:
    """git checks old ids only after the hook, each ref by itself: the mainline's would fail, the other's would land."""
    ada = project.ada
    ada.commit()
    ada.git("push", "--quiet")
    zeros = "0" * 40
    lines = f"{zeros} {project.root} refs/heads/main\n{zeros} {ada.head()} refs/heads/other\n"
    done = subprocess.run([project.server / "hooks/pre-receive"], cwd=project.server, input=lines, text=True,
                          env={**ada.environment, "GIT_DIR": "."}, capture_output=True, check=False)  # fmt: skip
    assert done.returncode == 1
    assert "refs/heads/main is not where this push takes it to be" in done.stderr


def object_of(person: Person, *parents: str, date: str | None = None) -> str:
    """A signed commit with these parents, and the tree of the first, on no branch."""
    dates = {} if date is None else {"GIT_COMMITTER_DATE": date}
    options = [word for parent in parents for word in ("-p", parent)]
    return person.git("commit-tree", "-S", f"{parents[0]}^{{tree}}", *options, "-m", "x", **dates).stdout.strip()


def scoped_to(person: Person, patterns: str) -> None:
    """Let the only commit rule name branches."""
    policy = person.at / ".auths/policy.toml"
    policy.write_text(
        policy.read_text().replace("[[policy.commit]]\n", f"[[policy.commit]]\nbranches = {patterns}\n", 1)
    )
    person.git("commit", "--quiet", "-a", "-m", f"Govern {patterns}")


@pytest.mark.parametrize("branch", ["main", "stable"])
def test_a_foxtrot_merge_is_no_fast_forward(project: Project, branch: str) -> None:
    """Row 59: the old tip is contained, but would no longer be on the chain that dates events."""
    ada = project.ada
    scoped_to(ada, '["main", "stable"]')
    old = ada.commit()
    ada.git("push", "--quiet", "origin", *{"main:main", f"main:{branch}"})
    foxtrot = object_of(ada, object_of(ada, project.root), old)
    tip = object_of(ada, foxtrot)
    done = ada.git("push", "--no-verify", "origin", f"{tip}:refs/heads/{branch}", code=1)
    assert f"{foxtrot} merges {old}, which is published, as a side branch (mainline-inverted)" in done.stderr
    assert f"hint: git rebase {old}, then push the fast-forward" in done.stderr
    honest = object_of(ada, old, object_of(ada, project.root))
    ada.git("push", "--quiet", "--no-verify", "origin", f"{honest}:refs/heads/{branch}")


def test_a_branch_that_no_rule_names_may_be_merged_either_way(project: Project) -> None:
    ada = project.ada
    old = ada.commit()
    ada.git("push", "--quiet", "origin", "main", "main:feature")
    for tip in (object_of(ada, object_of(ada, project.root), old), object_of(ada, project.root)):
        ada.git("push", "--quiet", "--no-verify", "origin", f"+{tip}:refs/heads/feature")


@pytest.mark.parametrize(("hours", "code"), [(23, 0), (25, 1), (24 * 365 * 10, 1)])
def test_a_commit_dated_ahead_is_refused(project: Project, hours: int, code: int) -> None:
    """Row 19: nobody else shall expire for it."""
    ada = project.ada
    ahead = object_of(ada, project.root, date=f"{int(time.time()) + hours * 3600} +0000")
    tip = object_of(ada, ahead)
    for ref in ("main", "feature"):
        done = ada.git("push", "--no-verify", "origin", f"{tip}:refs/heads/{ref}", code=code)
        assert (f"refs/heads/{ref}: commit {ahead} is dated more than 24 hours ahead" in done.stderr) is bool(code)


def test_a_published_commit_dated_ahead_holds_up_nothing(project: Project) -> None:
    ada = project.ada
    hook = project.server / "hooks/pre-receive"
    hook.rename(hook.with_name("away"))
    ahead = object_of(ada, project.root, date=f"{int(time.time()) + 100 * 3600} +0000")
    ada.git("push", "--quiet", "--no-verify", "origin", f"{ahead}:refs/heads/main")
    hook.with_name("away").rename(hook)
    ada.git("push", "--quiet", "--no-verify", "origin", f"{object_of(ada, ahead)}:refs/heads/main")


def test_published_rules_that_a_bad_commit_changed_are_to_be_adopted(project: Project) -> None:
    bob = project.with_bob("release").bob
    hook = project.server / "hooks/pre-receive"
    hook.rename(hook.with_name("away"))
    bob.git("config", "auths.enforceOnSign", "false")
    bob.auths("policy", "add-signer", bob.did(), "--role", "commit")
    bob.git("commit", "--quiet", "-m", "Let me commit")
    bad = bob.head()
    bob.git("push", "--quiet", "--no-verify")
    hook.with_name("away").rename(hook)
    project.ada.git("pull", "--quiet", "--ff-only")
    project.ada.commit()
    done = project.ada.git("push", "--no-verify", code=1)
    assert f"hint: where its content is right, an admin adopts it: git auths adopt {bad}" in done.stderr


def govern_by_name(person: Person, *rules: tuple[str, list[Person]]) -> None:
    """Add a rule for each pattern of branch names, with these signers."""
    policy = person.at / ".auths/policy.toml"
    with policy.open("a") as stream:
        for pattern, signers in rules:
            dids = ", ".join(f'"{signer.did()}"' for signer in signers)
            stream.write(f'\n[[policy.commit]]\nbranches = ["{pattern}"]\nsigners = [{dids}]\nrequire = 1\n')
            stream.write('capabilities = ["sign_commit"]\n')
    person.git("commit", "--quiet", "-a", "-m", "Govern by name")


@pytest.mark.parametrize("set_where", ["on the mainline", "on the mainline since", "on the mainline once",
                                       "on the branches"])  # fmt: skip
def test_refs_under_other_rules_are_judged_by_their_own(project: Project, set_where: str) -> None:
    """Two names for one commit in one push: what the one may have, the other may not, by whichever policy says so."""
    ada, bob = project.with_bob("commit").ada, project.bob
    bob.git("config", "auths.enforceOnSign", "false")
    before = ada.head()
    if set_where == "on the branches":
        ada.git("switch", "--quiet", "--create", "wip")
    govern_by_name(ada, ("stable/*", [ada]), ("feature/*", [ada, bob]))
    ada.git("push", "--quiet", "origin", "HEAD")
    base = before if set_where == "on the mainline since" else ada.head()
    if set_where == "on the mainline once":
        ada.git("revert", "--no-edit", "HEAD")
        ada.git("push", "--quiet")
    bob.git("fetch", "--quiet")
    bob.git("switch", "--quiet", "--create", "work", base)
    bad = bob.commit()
    names = ["feature/1", "stable/1", "feature/2", "stable/2"]
    done = bob.git("push", "--no-verify", "origin", *(f"HEAD:refs/heads/{name}" for name in names), code=1)
    for name in names:
        assert (f"refs/heads/{name}: commit {bad}" in done.stderr) is name.startswith("stable")
    bob.git("push", "--quiet", "--no-verify", "origin", *(f"HEAD:refs/heads/{name}" for name in names[::2]))


def test_the_one_bad_branch_of_many_is_named(project: Project) -> None:
    ada = project.ada
    good = [object_of(ada, project.root) for _ in range(3)]
    bad = ada.git("commit-tree", f"{project.root}^{{tree}}", "-p", project.root, "-m", "unsigned").stdout.strip()
    refspecs = [f"{id}:refs/heads/branch-{number}" for number, id in enumerate([*good, bad, *good])]
    done = ada.git("push", "--no-verify", "origin", *refspecs, code=1)
    assert done.stderr.count("is unsigned") == 1
    assert f"refs/heads/branch-3: commit {bad} is unsigned" in done.stderr


def test_what_was_bad_before_is_told_once_for_many_branches(project: Project) -> None:
    ada = project.ada
    hook = project.server / "hooks/pre-receive"
    hook.rename(hook.with_name("away"))
    ada.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "unsigned")
    ada.git("push", "--quiet", "--no-verify")
    hook.with_name("away").rename(hook)
    tips = [object_of(ada, ada.head()) for _ in range(3)]
    done = ada.git("push", "--no-verify", "origin", *(f"{id}:refs/heads/b{n}" for n, id in enumerate(tips)))
    assert done.stderr.count("it is published already") == 1


class TestObserving:
    """auths.enforce=observe, for the weeks before switching on."""

    @pytest.fixture
    def server(self, project: Project) -> Project:
        project.ada.git("-C", project.server, "config", "auths.enforce", "observe")
        return project

    def test_what_would_be_refused_is_told_and_let_pass(self, server: Project, mallory: Person) -> None:
        bad = mallory.commit()
        done = mallory.git("push")
        assert f"remote: warning: would be refused: refs/heads/main: commit {bad} is unsigned" in done.stderr
        assert bad in refs(server)
        assert "would be refused: refs/heads/main: a governed branch is not deleted" in mallory.git(
            "push", "origin", ":main", code=None).stderr  # fmt: skip

    def test_what_is_good_is_let_pass_in_silence(self, server: Project) -> None:
        server.ada.commit()
        assert "warning" not in server.ada.git("push", "--no-verify").stderr

    def test_where_nothing_can_be_judged_nothing_is_refused(self, server: Project) -> None:
        server.ada.git("-C", server.server, "config", "--unset", "auths.root")
        server.ada.commit()
        assert "would be refused: this server has no trust root" in server.ada.git("push", "--no-verify").stderr

    def test_the_hook_that_was_there_still_refuses(self, server: Project) -> None:
        kept = server.server / "hooks/pre-receive.before-auths"
        kept.write_text("#!/bin/sh\nexit 1\n")
        kept.chmod(0o755)
        server.ada.commit()
        server.ada.git("push", "--no-verify", code=1)


@pytest.mark.parametrize("value", ["false", "Observe"])
def test_an_unknown_way_to_enforce_refuses(project: Project, value: str) -> None:
    project.ada.git("-C", project.server, "config", "auths.enforce", value)
    project.ada.commit()
    done = project.ada.git("push", "--no-verify", code=1)
    assert f"auths.enforce is {value!r}" in done.stderr


@pytest.mark.parametrize("where", ["environment", "parameters", "user", "included"])
def test_only_the_servers_own_configuration_lets_the_gate_observe(
    project: Project, mallory: Person, where: str, tmp_path: Path
) -> None:
    """Row 81: over a path the hook inherits the pusher's environment."""
    other = tmp_path / "config"
    other.write_text("[auths]\n\tenforce = observe\n")
    environment = {
        "environment": {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "auths.enforce", "GIT_CONFIG_VALUE_0": "observe"},
        "parameters": {"GIT_CONFIG_PARAMETERS": "'auths.enforce'='observe'"},
        "user": {"GIT_CONFIG_GLOBAL": str(other)},
    }.get(where, {})
    if where == "included":
        config = project.server / "config"
        config.write_text(config.read_text() + f"[include]\n\tpath = {other}\n")
    bad = mallory.commit()
    assert f"error: refs/heads/main: commit {bad} is unsigned" in mallory.git("push", code=1, **environment).stderr
