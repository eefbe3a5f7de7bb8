"""action.yml by GitHub's rules for composite actions, and its steps run by bash on real repositories."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.loopback.forges import TOKEN, Forge
from tests.loopback.issuer import CLAIMS, Issuer
from tests.loopback.tsa import LoopbackTsa
from tests.people import SCRIPTS, Person, Project
from tests.workflows import Runner, runner_environment, value

PROJECT = Path(__file__).resolve().parents[1]
ACTION = yaml.safe_load((PROJECT / "action.yml").read_text())
STEPS = ACTION["runs"]["steps"]
INSTALL, PIN = (next(step for step in STEPS if step.get("id") == id) for id in ("install", "pin"))
PROGRAM = f"{SCRIPTS}/git-auths"
DEFAULTS = {name: one.get("default", "") for name, one in ACTION["inputs"].items()}
HOSTILE = "$(touch x); `touch x` \" ' ; touch x & ../ -rf * é"


# The file


def pasted(text: str) -> list[str]:
    return re.findall(r"\$\{\{.*?\}\}", text)


def texts(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text in the file, with the keys that lead to it."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from texts(one, (*path, str(key)))
    elif isinstance(value, list):
        for one in value:
            yield from texts(one, path)
    elif isinstance(value, str):
        yield path, value


def test_it_is_a_composite_action_of_shell_steps():
    assert set(ACTION) == {"name", "description", "inputs", "outputs", "runs"}
    assert set(ACTION["runs"]) == {"using", "steps"} and ACTION["runs"]["using"] == "composite"
    for name, one in ACTION["inputs"].items():
        assert re.fullmatch(r"[a-z-]+", name)
        assert set(one) <= {"description", "required", "default"}
        assert isinstance(one.get("default", ""), str)
        assert ("default" in one) != one.get("required", False)
    for step in STEPS:
        assert set(step) <= {"name", "id", "if", "env", "shell", "run"}
        assert step["shell"] == "bash"
    ids = [step["id"] for step in STEPS if "id" in step]
    assert len(ids) == len(set(ids))


def test_expressions_stand_where_they_are_values_and_never_in_a_shell_line():
    found = [(path, one) for path, text in texts(ACTION) for one in pasted(text)]
    assert found
    assert {path[-2] for path, _ in found if path[0] == "runs"} == {"env"}
    assert [path for path, _ in found if path[0] != "runs"] == [("outputs", "signatures", "value")]


def test_each_input_is_used_and_no_other_and_a_step_speaks_of_earlier_ones():
    said = "\n".join(text for path, text in texts(ACTION) if path[0] != "inputs")
    assert set(re.findall(r"\binputs\.([\w-]+)", said)) == set(ACTION["inputs"])
    before: set[str] = set()
    for step in STEPS:
        named = re.findall(r"\bsteps\.([\w-]+)\.", "\n".join(text for _, text in texts(step)))
        assert set(named) <= before
        before |= {step.get("id", "")}
    assert set(re.findall(r"steps\.([\w-]+)", ACTION["outputs"]["signatures"]["value"])) <= before


def test_the_private_key_is_given_to_the_step_that_signs_alone():
    having = [step["id"] for step in STEPS if "private-key" in json.dumps(step)]
    assert having == ["sign"]


@pytest.mark.parametrize("word", ["false", "False", "FALSE"])
def test_the_runner_of_these_tests_compares_as_githubs_does(word):
    assert value("inputs.verify == 'false'", {"inputs": {"verify": word}}) is True
    assert value("inputs.verify != 'false'", {"inputs": {"verify": word}}) is False


# The runs


class Job(Runner):
    """A job in a checkout of its own, as actions/checkout leaves it."""

    def __init__(self, project: Project, event: str, ref: str, sha: str, *, depth: int = 0,
                 payload: dict[str, Any] | None = None) -> None:  # fmt: skip
        repository = f"{project.folder.name}/server"
        environment = runner_environment(project.folder / "runner", event, ref, sha, repository)
        self.person = Person(Path(environment["RUNNER_TEMP"]), "job")
        (self.person.home / ".gitconfig").write_text("")  # a runner is nobody
        workspace = self.person.home / "work"
        super().__init__(workspace, {**self.person.environment, **environment},
                         {"github": {"event": payload or {}}, "secrets": {}})  # fmt: skip
        self.person.at = workspace
        self.root = project.root
        self.stand_ins = {INSTALL["id"]: f'echo "program={PROGRAM}" >>"$GITHUB_OUTPUT"'}
        self.check_out(project, ref, sha, depth)

    def check_out(self, project: Project, ref: str, sha: str, depth: int) -> None:
        """What actions/checkout does: of a tag's object it keeps the commit."""
        git = self.person.git
        git("init", "--quiet", self.workspace, cwd=self.person.home)
        git("remote", "add", "origin", f"file://{project.server}")
        refs = [f"+{sha}:{ref.replace('refs/heads/', 'refs/remotes/origin/')}"]
        if depth == 0:
            git("fetch", "--quiet", "--no-tags", "origin", "+refs/heads/*:refs/remotes/origin/*")
        git("fetch", "--quiet", "--no-tags", *([f"--depth={depth}"] if depth else []), "origin", *refs)
        git("checkout", "--quiet", "--detach", sha)

    def pinned(self) -> Job:
        """The same, where the step that pins the root has run: for what the later ones do."""
        self.person.git("config", "--local", "auths.root", self.root)
        self.person.git("config", "--local", "auths.mainline", "refs/remotes/origin/main")
        self.stand_ins[PIN["id"]] = 'echo "stop=$RANDOM$RANDOM$RANDOM" >>"$GITHUB_OUTPUT"'
        return self

    def use(self, **inputs: str) -> dict[str, str]:
        """Run the action with these inputs; its outputs. The git-auths of the tests is the one that is installed."""
        given = {**DEFAULTS, "root": self.root, **{name.replace("_", "-"): text for name, text in inputs.items()}}
        steps = [{**step, "run": self.stand_ins.get(step.get("id", ""), step["run"])} for step in STEPS]
        made = self.play(steps, inputs=given)
        return {"signatures": made.get("sign", {}).get("signatures", "[]")}

    def error(self) -> str:
        """The annotation of the step that failed; it is the last one."""
        assert [one.code for one in self.ran if one.code] == [self.ran[-1].code], [one.log for one in self.ran]
        [line] = self.ran[-1].commands
        return line.removeprefix("::error title=git-auths::")

    def passed(self) -> None:
        assert not self.failed, self.ran[-1].log
        assert not any(one.commands for one in self.ran)


@pytest.fixture(scope="module")
def prepared(template: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a server that lets its refs be set behind the hook's back, and has what a job asks it for."""
    project = template.copied(tmp_path_factory.mktemp("prepared"))
    project.ada.git("config", "uploadpack.allowAnySHA1InWant", "true", cwd=project.server)
    project.ada.commit("file", message="Work on it")
    project.ada.git("push", "--quiet")
    return project.with_bob("commit", "release")


@pytest.fixture
def project(prepared: Project, tmp_path: Path) -> Project:
    (tmp_path / "owner").mkdir()
    return prepared.copied(tmp_path / "owner")


def smuggle(project: Project, revision: str, ref: str) -> str:
    """Set a ref of the server to what the person has, and no hook sees it; its id."""
    id = project.ada.git("rev-parse", f"{revision}").stdout.strip()
    project.ada.git("fetch", "--quiet", "--no-tags", project.ada.at, f"+{id}:{ref}", cwd=project.server,
                    GIT_ALLOW_PROTOCOL="file")  # fmt: skip
    return id


def bad_commit(project: Project, message: str = "Not signed") -> str:
    project.ada.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", message)
    return project.ada.head()


def put(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def push_event(project: Project, branch: str = "main") -> Job:
    ref = f"refs/heads/{branch}"
    return Job(project, "push", ref, project.ada.git("rev-parse", ref, cwd=project.server).stdout.strip())


def pull_request(project: Project, head: str, *, checked_out: str | None = None, base: str = "main") -> Job:
    """The run for a pull request: the forge's merge, which nobody has signed, is checked out."""
    server = project.ada
    smuggle(project, head, "refs/pull/1/head")
    tip = server.git("rev-parse", f"refs/heads/{base}", cwd=project.server).stdout.strip()
    tree = server.git("rev-parse", f"{head}^{{tree}}", cwd=project.server).stdout.strip()
    merge = server.git("commit-tree", tree, "-p", tip, "-p", head, "-m", "Merge", cwd=project.server).stdout.strip()
    server.git("update-ref", "refs/pull/1/merge", merge, cwd=project.server)
    payload = {"pull_request": {"number": 1, "head": {"sha": head}, "base": {"ref": base}}}
    job = Job(project, "pull_request", "refs/pull/1/merge", merge, payload=payload)
    if checked_out:
        job.person.git("checkout", "--quiet", "--detach", checked_out)
    return job


def tagged(project: Project, name: str = "v1.0.0", *options: str) -> Job:
    """The run for a tag that was pushed."""
    project.ada.git("tag", "-m", name, *options, name)
    smuggle(project, f"refs/tags/{name}", f"refs/tags/{name}")
    return Job(project, "push", f"refs/tags/{name}", project.ada.head())


def test_a_good_push_passes(project):
    job = push_event(project)
    job.use()
    job.passed()
    assert job.ran[-1].log.splitlines()[1].startswith(f"good {project.ada.head()}")
    assert job.person.git("config", "--local", "auths.mainline").stdout.strip() == "refs/remotes/origin/main"


def test_a_bad_push_fails_and_nothing_is_signed(project):
    bad_commit(project)
    smuggle(project, "HEAD", "refs/heads/main")
    job = push_event(project)
    assert job.use(sign_paths="file") == {"signatures": "[]"}
    assert job.error() == "the policy does not allow what this runs on (exit status 1)"
    assert "unsigned" in job.ran[-1].log
    assert not (job.workspace / "file.auths.json").exists()


def test_the_gate_can_be_left_out_by_one_word_only(project):
    bad_commit(project)
    smuggle(project, "HEAD", "refs/heads/main")
    job = push_event(project)
    job.use(verify="false")
    job.passed()
    for word in ("False", ""):
        job = push_event(project).pinned()
        job.use(verify=word)
        assert job.error().startswith("the policy does not allow")


def test_another_root_is_refused(project):
    for root in ("", HOSTILE):
        job = push_event(project)
        job.use(root=root)
        assert job.error() == "the root cannot be pinned"
        assert not (job.workspace / "x").exists()
    job = push_event(project)
    job.use(root="0" * 40)
    assert job.error().startswith("the policy does not allow")


def test_a_shallow_checkout_says_what_it_needs(project):
    job = Job(project, "push", "refs/heads/main", project.ada.head(), depth=1)
    job.use()
    assert job.error().endswith("give actions/checkout fetch-depth: 0")


def test_a_checkout_of_another_repository_is_refused(project):
    """A fork can have a mainline of last year, with the rules of then."""
    job = push_event(project)
    job.person.git("clone", "--quiet", "--bare", project.server, project.folder / "fork.git")
    job.person.git("remote", "set-url", "origin", f"file://{project.folder}/fork.git")
    job.use()
    assert job.error().startswith("origin is not this repository")


def test_an_origin_that_cannot_be_reached_is_told(project):
    job = push_event(project)
    job.person.git("remote", "set-url", "origin", f"file://{project.folder}/nowhere/{project.folder.name}/server")
    job.use()
    assert job.error().startswith("origin cannot be reached")


def test_a_checkout_without_a_remote_or_a_repository_is_told(project):
    job = push_event(project)
    job.person.git("remote", "remove", "origin")
    job.use()
    assert job.error().startswith("this repository has no remote origin")
    job = push_event(project)
    shutil.rmtree(job.workspace / ".git")
    job.use()
    assert job.error().startswith("there is no repository here")


def test_a_mainline_that_origin_lacks_is_told(project):
    job = push_event(project)
    job.use(mainline="refs/remotes/origin/nothing")
    assert job.error().startswith("the mainline cannot be fetched")


def test_the_mainline_can_be_named(project):
    project.ada.git("push", "--quiet", "origin", "HEAD:refs/heads/next")
    job = push_event(project, "next")
    job.use(verify="false", mainline="refs/remotes/origin/next")
    job.passed()
    assert job.person.git("config", "--local", "auths.mainline").stdout.strip() == "refs/remotes/origin/next"


def test_what_is_checked_out_is_judged_where_it_is_not_what_was_pushed(project):
    job = push_event(project).pinned()
    bad_commit(project)
    smuggle(project, "HEAD", "refs/heads/elsewhere")
    job.person.git("fetch", "--quiet", "origin", "elsewhere")
    job.person.git("checkout", "--quiet", "--detach", "FETCH_HEAD")
    job.use()
    assert job.error().startswith("the policy does not allow")


def test_a_pull_requests_own_head_is_judged_and_not_the_forges_merge(project):
    project.ada.git("checkout", "--quiet", "-b", "topic")
    head = project.ada.commit("file", message="A good change")
    job = pull_request(project, head)
    assert job.person.head() != head
    job.use()
    job.passed()
    assert f"good {head}" in job.ran[-1].log


def test_a_pull_request_that_has_merged_the_mainline_passes(project):
    project.ada.git("checkout", "--quiet", "-b", "topic", "HEAD~1")
    project.ada.commit("other", message="A good change")
    project.ada.git("merge", "--quiet", "--no-ff", "-m", "Merge main", "main")
    job = pull_request(project, project.ada.head()).pinned()
    job.use()
    job.passed()


def test_a_bad_commit_in_a_pull_request_fails(project):
    project.ada.git("checkout", "--quiet", "-b", "topic")
    bad_commit(project)
    job = pull_request(project, project.ada.commit("file", message="On top of it")).pinned()
    job.use()
    assert job.error().startswith("the policy does not allow")


def test_a_pull_request_runs_on_nothing_else_than_was_judged(project):
    project.ada.git("checkout", "--quiet", "-b", "topic")
    head = project.ada.commit("file", message="A good change")
    job = pull_request(project, head, checked_out="refs/remotes/origin/main~1").pinned()
    job.use()
    assert "neither the pull request's head" in job.error()


def test_a_head_that_the_checkout_lacks_is_fetched(project):
    """As where pull_request_target checks out the base."""
    project.ada.git("checkout", "--quiet", "-b", "topic")
    head = project.ada.commit("file", message="A good change")
    smuggle(project, head, "refs/pull/1/head")
    tip = project.ada.git("rev-parse", "main").stdout.strip()
    payload = {"pull_request": {"head": {"sha": head}, "base": {"ref": "main"}}}
    job = Job(project, "pull_request_target", "refs/heads/main", tip, payload=payload).pinned()
    job.use()
    job.passed()
    assert f"good {head}" in job.ran[-1].log


def test_a_head_that_origin_does_not_have_is_told(project):
    payload = {"pull_request": {"head": {"sha": "1" * 40}, "base": {"ref": "main"}}}
    job = Job(project, "pull_request_target", "refs/heads/main", project.ada.head(), payload=payload).pinned()
    job.use()
    assert job.error() == "the pull request's head cannot be fetched"


def test_a_pull_request_is_judged_by_the_rules_of_its_base(project):
    policy = project.ada.at / ".auths/policy.toml"
    policy.write_text(policy.read_text().replace("[[policy.commit]]", '[[policy.commit]]\nbranches = ["main"]'))
    project.ada.git("commit", "--quiet", "-am", "A rule for main alone")
    project.ada.git("push", "--quiet", "origin", "main", "main:free")
    project.ada.git("checkout", "--quiet", "-b", "topic")
    head = bad_commit(project)
    assert pull_request_log(project, head, "main").startswith("unsigned")
    assert pull_request_log(project, head, "free").startswith("ungoverned")
    job = push_event(project, "free").pinned()
    job.person.git("fetch", "--quiet", "origin", "refs/pull/1/head")
    job.person.git("checkout", "--quiet", "--detach", "FETCH_HEAD")
    job.use()
    assert job.ran[-1].log.splitlines()[1].startswith("unsigned")  # it is not what was pushed to that branch


def pull_request_log(project: Project, head: str, base: str) -> str:
    job = pull_request(project, head, base=base).pinned()
    job.use()
    return job.ran[-1].log.splitlines()[1]


def test_approvals_on_the_server_count(project):
    """Two are needed, and the second one's approval is in the notes alone."""
    project.ada.auths("policy", "set-threshold", "release", "2")
    project.ada.git("commit", "--quiet", "-m", "A release takes two")
    project.ada.git("push", "--quiet")
    project.ada.git("tag", "-s", "-m", "v1", "v1")
    project.ada.auths("propose", "v1")
    project.bob.git("pull", "--quiet")
    project.bob.auths("approve", "v1", "--publish")
    job = Job(project, "push", "refs/tags/v1", project.ada.head())
    job.use()
    job.passed()
    project.ada.git("update-ref", "-d", "refs/notes/auths", cwd=project.server)
    job = Job(project, "push", "refs/tags/v1", project.ada.head())
    job.use()
    assert "threshold-unmet" in job.ran[-1].log


def odd_blob(project: Project) -> str:
    return project.ada.git("rev-parse", "HEAD:file").stdout.strip()


def odd_notes(project: Project) -> str:
    """A commit of notes, one of which is a folder that has the name of an object."""
    git = project.ada.git
    tree = git("rev-parse", "HEAD^{tree}").stdout.strip()
    git("update-index", "--add", "--cacheinfo", f"160000,{project.ada.head()},{tree}")
    written = git("write-tree").stdout.strip()
    git("reset", "--quiet")
    return git("commit-tree", "-m", "Notes", written).stdout.strip()


@pytest.mark.parametrize("odd", [odd_blob, odd_notes])
def test_what_is_no_note_under_the_ref_of_the_notes_counts_nothing_and_stops_nothing(project, odd):
    smuggle(project, odd(project), "refs/notes/auths")
    job = push_event(project)
    job.use()
    job.passed()


def test_notes_that_cannot_be_taken_in_are_told(project):
    project.bob.auths("approve", "HEAD", "--no-push")
    project.bob.auths("sync")
    job = push_event(project)
    job.person.git("update-ref", "refs/notes/auths/below", "HEAD")
    job.use()
    assert job.error() == "the attestations of origin, refs/notes/auths, cannot be taken in"


def test_notes_that_the_job_has_made_stay_beside_those_that_come(project):
    job = push_event(project)
    job.person.git("fetch", "--quiet", "origin", "refs/notes/auths:refs/notes/auths", code=None)
    somebody = ("-c", "user.name=x", "-c", "user.email=x@example.com")
    job.person.git(*somebody, "notes", "--ref=auths", "add", "-m", "one", "HEAD")
    project.bob.auths("approve", "HEAD")
    job.use(verify="false")
    job.passed()
    notes = job.person.git("notes", "--ref=auths", "show", "HEAD").stdout
    assert "one" in notes and "payloadType" in notes


def test_a_tag_that_the_checkout_has_flattened_is_fetched_anew(project):
    job = tagged(project, "v1.0.0", "-s")
    assert job.person.git("cat-file", "-t", "refs/tags/v1.0.0").stdout == "commit\n"
    job.use()
    job.passed()
    assert job.ran[-1].log.splitlines()[1].startswith("good ")
    assert job.person.git("cat-file", "-t", "refs/tags/v1.0.0").stdout == "tag\n"


def test_a_tag_that_nobody_has_signed_fails(project):
    job = tagged(project, "v1.0.0", "--no-sign", "-a").pinned()
    job.use()
    assert "unsigned" in job.ran[-1].log
    assert job.error().startswith("the policy does not allow")


def test_a_tag_that_was_moved_meanwhile_fails(project):
    job = tagged(project, "v1.0.0", "-s").pinned()
    project.ada.commit("file", message="Later")
    project.ada.git("push", "--quiet")
    project.ada.git("tag", "--force", "-s", "-m", "v1.0.0", "v1.0.0")
    smuggle(project, "refs/tags/v1.0.0", "refs/tags/v1.0.0")
    job.use()
    assert job.error().startswith("what is checked out is not what the tag names")


def test_a_tag_that_was_deleted_meanwhile_is_told(project):
    job = tagged(project, "v1.0.0", "-s").pinned()
    project.ada.git("update-ref", "-d", "refs/tags/v1.0.0", cwd=project.server)
    job.use()
    assert job.error() == "the tag cannot be fetched: origin has it no more"


@pytest.mark.parametrize("name", ["$(touch x);`touch`'x'\"&é", "-f"])
def test_a_name_is_a_name_whatever_it_says(project, name):
    name = name.replace(" ", "-")
    if not name.startswith("-"):
        project.ada.git("push", "--quiet", "origin", f"HEAD:refs/heads/{name}")
        job = push_event(project, name)
        job.use()
        job.passed()
        assert not (job.workspace / "x").exists()
    project.ada.git("update-ref", f"refs/tags/{name}", "HEAD")
    smuggle(project, f"refs/tags/{name}", f"refs/tags/{name}")
    job = Job(project, "push", f"refs/tags/{name}", project.ada.head()).pinned()
    job.use()
    assert "lightweight-tag" in job.ran[-1].log
    assert not (job.workspace / "x").exists()


# Signing


RULES = """
[[policy.ci]]
allow_ephemeral = true
require_timestamp = true
timestamp_url = "{tsa}"
commit_paths = ["CHANGELOG.md"]
[policy.ci.identity]
issuer = "{issuer}"
repository_id = "123456"
workflow_ref = "owner/repo/.github/workflows/release.yml@refs/tags/v*"
"""


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def with_rules(prepared: Project, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A CI and an authority are pinned, and the rules are like those of the README."""
    project = prepared.copied(tmp_path_factory.mktemp("with-rules"))
    auths = project.ada.at / ".auths"
    with LoopbackTsa(tmp_path_factory.mktemp("tsa")) as tsa:
        for name, content in {"oidc/ci.json": issuer.pin_file(), "tsa/root.pem": tsa.authority.pem}.items():
            (auths / name).parent.mkdir()
            (auths / name).write_bytes(content)
        with (auths / "policy.toml").open("a") as stream:
            stream.write(RULES.format(issuer=issuer.name, tsa=tsa.url))
        project.ada.git("add", ".auths")
        project.ada.git("commit", "--quiet", "-m", "CI signs what it builds")
        project.ada.git("push", "--quiet")
        yield project


@pytest.fixture
def releasing(with_rules: Project, issuer: Issuer, tmp_path: Path) -> Project:
    """One whose policy takes what its CI signs; the CI runs on its head."""
    (tmp_path / "owner").mkdir()
    project = with_rules.copied(tmp_path / "owner")
    issuer.claims = {**CLAIMS, "sha": project.ada.head()}
    return project


def test_it_signs_without_a_secret_and_says_what(releasing, issuer):
    job = push_event(releasing)
    job.environment |= issuer.environment
    (job.workspace / "dist").mkdir()
    names = ["app", "a b", HOSTILE.replace("/", "|"), "-rf", "::add-mask::ok", "##[add-mask]ok"]
    for name in names:
        (job.workspace / "dist" / name).write_text(name)
    outputs = job.use(sign_paths="dist/*\n\nfile")
    job.passed()
    signed = json.loads(outputs["signatures"])
    assert {one["path"] for one in signed} == {*(f"dist/{name}" for name in names), "file"}
    assert all(Path(job.workspace, one["bundle"]).is_file() for one in signed)
    assert not any((folder / "x").exists() for folder in (job.workspace, job.workspace / "dist"))
    (job.workspace / "dist/a\nb").write_text("x")
    job.pinned().use(sign_paths="dist/*", verify="false")
    assert job.error().startswith("nothing was signed")


def test_a_warning_closes_the_gate_too(project, issuer):
    """Here the policy has no rule for CI."""
    job = push_event(project).pinned()
    job.environment |= issuer.environment
    job.use(verify="false", sign_paths="file", verify_artifact="file")
    assert job.error() == "an artifact is not good"
    assert "(ungoverned)" in job.ran[-1].log


def test_an_artifact_that_is_not_good_closes_the_gate(releasing, issuer):
    job = push_event(releasing).pinned()
    job.environment |= issuer.environment
    (job.workspace / "::add-mask::app").write_text("x")
    job.use(verify="false", sign_paths="::add-mask::app")
    job.passed()
    (job.workspace / "::add-mask::app").write_text("y")
    job.use(verify="false", verify_artifact="::add-mask::app")
    assert job.error() == "an artifact is not good"
    assert "\n::add-mask::app\n" in job.ran[-1].log


def test_nothing_is_signed_for_a_pull_request(releasing, issuer):
    releasing.ada.git("checkout", "--quiet", "-b", "topic")
    job = pull_request(releasing, releasing.ada.commit("file", message="A good change")).pinned()
    job.environment |= issuer.environment
    job.use(verify="false", sign_paths="file")
    assert job.error().startswith("nothing is signed for a pull request")


def test_a_token_that_the_policy_does_not_take_signs_nothing(releasing, issuer):
    issuer.claims["repository_id"] = "654321"
    job = push_event(releasing).pinned()
    job.environment |= issuer.environment
    job.use(verify="false", sign_paths="file")
    assert job.error() == "nothing was signed (exit status 1)"
    assert "repository_id" in job.ran[-1].log


WATCHER = """\
printf '%s%s\\n' "${{0##*/}}" "${{AUTHS_PRIVATE_KEY:+ with the key}}" >>{told}
PATH={path} exec "${{0##*/}}" "$@"
"""


def watched(job: Job, folder: Path) -> Path:
    """Each program that the job's steps start, but for the shell, tells this file whether it was given the key."""
    path, told = job.environment["PATH"], folder / "told"
    put(folder, "watcher", WATCHER.format(told=told, path=path))
    (folder / "bin").mkdir()
    (folder / "bin/bash").symlink_to(str(shutil.which("bash")))
    for name in {name for one in path.split(":") if os.path.isdir(one) for name in os.listdir(one)} - {"bash"}:
        (folder / "bin" / name).symlink_to("../watcher")
    job.environment["PATH"] = str(folder / "bin")
    return told


def test_a_pipeline_with_an_identity_signs_as_that_and_no_program_is_given_its_key(project, tmp_path):
    job = push_event(project)
    key = (project.ada.home / "auths/identities/main/current").read_text()
    told = watched(job, tmp_path / "watched")
    outputs = job.use(sign_paths="file", did=project.ada.did(), private_key=key, verify_artifact="file")
    job.passed()
    told_by = told.read_text().splitlines()
    assert {"git", "od"} <= set(told_by)
    assert not [line for line in told_by if line.endswith(" with the key")]
    assert [one["signer"] for one in json.loads(outputs["signatures"])] == [project.ada.did()]
    assert "OPENSSH" not in "".join(one.log for one in job.ran)


@pytest.mark.parametrize("given", ["did", "private_key"])
def test_half_an_identity_signs_nothing(releasing, issuer, given):
    job = push_event(releasing).pinned()
    job.environment |= issuer.environment
    key = (releasing.ada.home / "auths/identities/main/current").read_text()
    whole = {"did": releasing.ada.did(), "private_key": key}
    job.use(verify="false", sign_paths="file", **{given: whole[given]})
    assert job.error().startswith("nothing was signed")


# Installing


FAKE_PYTHON = """#!/bin/sh
printf '%s\\n' "$@" >>{said}
if [ "$3" = venv ]; then mkdir -p "$4/bin"; cp "$0" "$4/bin/python"; fi
if [ "$3" = pip ]; then for name in git-auths git-auths-sign git-auths-verify; do
  printf '#!/bin/sh\\necho %s\\n' "$name" >"$(dirname "$0")/$name"; chmod +x "$(dirname "$0")/$name"; done; fi
"""


def test_it_installs_the_actions_own_checkout_apart_from_the_working_tree(tmp_path):
    said = tmp_path / "said"
    python = tmp_path / "a python"
    python.write_text(FAKE_PYTHON.format(said=said))
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    environment = runner_environment(tmp_path / "run ner", "push", "refs/heads/main", "0" * 40, "owner/project")
    action = "/opt/acti ons/git-auths"
    path = {"PATH": os.environ["PATH"], "GITHUB_ACTION_PATH": action}
    runner = Runner(tmp_path, {**environment, **path}, {"inputs": {"python": str(python)}})
    outputs = runner.play([INSTALL])["install"]
    assert not runner.failed, runner.ran[0].log
    asked = said.read_text().splitlines()
    assert asked[:3] == ["-I", "-m", "venv"]
    assert asked[4:] == ["-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", action]
    for name in ("git-auths", "git-auths-sign", "git-auths-verify"):
        found = subprocess.run([name], env=runner.environment, capture_output=True, text=True, check=True)
        assert found.stdout == f"{name}\n"
    assert outputs["program"] == shutil.which("git-auths", path=runner.environment["PATH"])
    assert "/git-auths-" not in str(shutil.which("python3", path=runner.environment["PATH"]))


# The workflows of the README


README = (PROJECT / "README.md").read_text()
SOURCES = re.findall(r"^```yaml\n((?:.*\n)*?)```$", README, re.M)
# YAML 1.1 takes the key `on` for a truth value.
WORKFLOWS = {one["name"]: {("on" if key is True else key): value for key, value in one.items()}
             for one in map(yaml.safe_load, SOURCES)}  # fmt: skip
OURS = "<owner>/git-auths@<commit>"


def steps_of(name: str, job: str) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = WORKFLOWS[name]["jobs"][job]["steps"]
    return steps


@pytest.mark.parametrize("name", ["release", "changelog"])
def test_a_workflow_has_the_form_that_the_runner_takes(name):
    workflow = WORKFLOWS[name]
    assert set(workflow) == {"name", "on", "permissions", "jobs"}
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert set(job) <= {"needs", "runs-on", "permissions", "steps"}
        assert set(job["permissions"].values()) <= {"read", "write"}
        for step in job["steps"]:
            assert set(step) <= {"uses", "with", "run", "env", "if"}
            assert ("uses" in step) != ("run" in step)
            assert not pasted(step.get("run", ""))
        used = [step for step in job["steps"] if step.get("uses") == OURS]
        assert used and all(set(step["with"]) <= set(ACTION["inputs"]) for step in used)
        assert job["steps"][0] == {"uses": "actions/checkout@v5", "with": {"fetch-depth": 0}}


def test_the_job_that_may_ask_for_tokens_builds_nothing():
    jobs = WORKFLOWS["release"]["jobs"]
    [name] = [name for name, job in jobs.items() if job["permissions"].get("id-token") == "write"]
    assert name == "sign"
    assert all(step["run"].startswith("git auths ") for step in jobs[name]["steps"] if "run" in step)


def play(job: Job, steps: list[dict[str, Any]], dist: Path) -> None:
    """Each step in its turn: ours, those that have `run`, and for the actions of others what they would do."""
    for step in steps:
        uses = step.get("uses", "").partition("@")[0]
        if uses and job.failed:
            continue
        if step.get("uses") == OURS:
            assert step["with"]["root"] == "<the root's id>"
            job.use(**{name.replace("-", "_"): text for name, text in step["with"].items() if name != "root"})
        elif uses == "actions/upload-artifact":
            shutil.copytree(job.workspace / step["with"]["path"], dist, dirs_exist_ok=True)
        elif uses == "actions/download-artifact":
            shutil.copytree(dist, job.workspace / step["with"]["path"])
        elif uses:
            assert uses == "actions/checkout"
        else:
            job.play([step])


def test_the_release_is_built_signed_and_verified_by_a_consumer(releasing, issuer, tmp_path):
    job = tagged(releasing, "v1.0.0", "-s")
    put(tmp_path / "bin", "make", "mkdir -p dist; echo built >dist/app")
    job.environment["PATH"] = f"{tmp_path}/bin:{job.environment['PATH']}"
    dist = tmp_path / "dist"
    play(job, steps_of("release", "build"), dist)
    job.passed()
    job = Job(releasing, "push", "refs/tags/v1.0.0", releasing.ada.head())
    job.environment |= issuer.environment
    play(job, steps_of("release", "sign"), dist)
    job.passed()
    assert sorted(path.name for path in dist.iterdir()) == ["app", "app.auths.json"]
    releasing.bob.git("pull", "--quiet")
    shutil.copytree(dist, releasing.bob.at, dirs_exist_ok=True)
    told = releasing.bob.auths("artifact", "verify", "--strict", "./app")
    lines = [line.split()[:3] for line in told.stdout.splitlines()]
    shown = re.search(r"artifact verify ./app\n((?:.*\n)*?)```", README)
    assert shown and lines == [line.split()[:3] for line in shown[1].splitlines()]
    (releasing.bob.at / "app.auths.json").unlink()
    releasing.bob.auths("sync")
    assert releasing.bob.auths("artifact", "verify", "--strict", "app").returncode == 0


def test_a_commit_by_ci_is_good_on_the_server_and_its_key_leaves_the_forge(releasing, issuer, tmp_path):
    put(releasing.ada.at, "write-changelog", "echo changed")
    releasing.ada.git("add", "write-changelog")
    releasing.ada.git("commit", "--quiet", "-m", "A script")
    releasing.ada.git("push", "--quiet")
    issuer.claims["sha"] = releasing.ada.head()
    with Forge("GitHub") as forge:
        job = push_event(releasing)
        job.environment |= {**issuer.environment, "GITHUB_API_URL": forge.url}
        job.contexts["secrets"] = {"AUTHS_FORGE_TOKEN": TOKEN}
        play(job, steps_of("changelog", "changelog"), tmp_path)
        job.passed()
        methods = [request.method for request in forge.requests]
        assert "POST" in methods and "DELETE" in methods
        assert forge.keys == {}
    assert TOKEN not in "".join(one.log for one in job.ran)
    releasing.bob.git("pull", "--quiet")
    assert releasing.bob.git("log", "-1", "--format=%s").stdout == "Renew the changelog\n"
    assert releasing.bob.ask("verify-commit", "HEAD")["ok"]


def test_the_key_is_deleted_also_where_the_job_fails(releasing, issuer, tmp_path):
    with Forge("GitHub") as forge:
        job = push_event(releasing)
        job.environment |= {**issuer.environment, "GITHUB_API_URL": forge.url}
        job.contexts["secrets"] = {"AUTHS_FORGE_TOKEN": TOKEN}
        play(job, steps_of("changelog", "changelog"), tmp_path)  # there is no ./write-changelog
        assert [bool(one.code) for one in job.ran[-2:]] == [True, False]
        assert forge.keys == {} and [request.method for request in forge.requests][-1] == "DELETE"


def test_the_rule_of_the_readme_is_a_policy_with_the_pins_that_it_names(project):
    [rule] = [block for block in re.findall(r"^```toml\n((?:.*\n)*?)```$", README, re.M) if "policy.ci" in block]
    with (project.ada.at / ".auths/policy.toml").open("a") as stream:
        stream.write(rule)
    project.ada.auths("policy", "check")
