"""git auths artifact sign, verify and list, as people and CI jobs run them, against real services on loopback."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from git_auths.commands import collecting
from git_auths.errors import Error
from git_auths.services import http
from git_auths.store import artifactfiles
from tests.people import SCRIPTS, Person, Project
from tests.works import RULE, Works, copied, opened

PROGRAM = [os.path.join(SCRIPTS, "git-auths")]


@pytest.fixture(scope="module")
def founded(template: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Works]:
    with opened(template, tmp_path_factory.mktemp("works")) as works:
        yield works


@pytest.fixture
def works(founded: Works, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Works]:
    monkeypatch.setattr(http, "BACKOFF_SECONDS", 0.001)
    with copied(founded, tmp_path) as works:
        yield works


# People


def test_a_release_of_two_is_signed_by_one_and_approved_by_the_other(works: Works) -> None:
    """From the tag to the verdict, with nothing but the commands."""
    works.file("dist/app")
    works.file("dist/lib", b"another\n")
    works.sign("dist/*")
    assert works.bundles() == ["dist/app.auths.json", "dist/lib.auths.json"]
    said = works.verify("dist/*", code=1)
    assert "threshold-unmet" in said.out
    works.ada.git("tag", "--sign", "-m", "one", "v1.0")
    works.auths("propose", "v1.0")
    shutil.copytree(works.ada.at / "dist", works.bob.at / "dist")
    approved = works.auths("approve", "v1.0", "--artifact", "dist/app", "dist/lib", by=works.bob)
    assert hashlib.sha256(b"another\n").hexdigest() in approved.err
    works.auths("sync")
    said = works.verify("--strict", "--json", "dist/app", "dist/lib", "--tag", "v1.0")
    assert [one["ok"] for one in said.json["artifacts"]] == [True, True]
    shutil.rmtree(works.ada.at / "dist")
    works.file("dist/app")
    works.verify("dist/app")  # the bundle is in the notes as well


def test_who_may_not_release_signs_nothing(works: Works) -> None:
    """Said before a file is hashed; and a pipeline is told of --ci."""
    policy = works.ada.at / ".auths/policy.toml"
    policy.write_text(policy.read_text().replace("require = 2", "require = 1"))
    works.auths("policy", "remove-signer", works.bob.did(), "--role", "release")
    works.ada.git("commit", "--quiet", "--all", "-m", "Ada alone")
    works.bob.git("pull", "--quiet", "--no-rebase", works.ada.at, "main")
    works.bob.git("push", "--quiet", "origin", "main", code=None)
    works.bob.git("update-ref", "refs/remotes/origin/main", "HEAD")
    (works.bob.at / "app").write_bytes(b"x")
    said = works.auths("artifact", "sign", "app", by=works.bob, code=1)
    assert "(unauthorized)" in said.err
    assert "hint:" in said.err
    assert not (works.bob.at / "app.auths.json").exists()


def test_a_person_does_not_sign_what_comes_from_a_bad_commit(works: Works) -> None:
    works.file()
    works.ada.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "unsigned")
    bad = works.ada.head()
    works.ada.git("reset", "--quiet", "--hard", "HEAD^")
    said = works.sign("app", "--commit", bad, code=1)
    assert f"commit {bad} is not good" in said.err
    assert works.bundles() == []
    works.file()
    works.sign("app", "--commit", "HEAD^")
    assert json.loads(works.verify("app", "--json", code=1).out)["artifacts"][0]["commit"] == works.ada.git(
        "rev-parse", "HEAD^").stdout.strip()  # fmt: skip


# CI


def test_a_job_signs_with_a_key_that_is_nowhere_and_its_token(works: Works) -> None:
    works.file()
    before = {path for path in works.project.folder.rglob("*") if ".git" not in path.parts}
    said = works.sign("--ci", "app", **works.job)
    new = {path for path in works.project.folder.rglob("*") if ".git" not in path.parts} - before
    assert new == {works.ada.at / "app.auths.json"}
    assert "did:key:z6Mk" in said.err
    digest = hashlib.sha256(b"what was built\n").hexdigest()
    assert said.out == f"{digest}  app\n"
    assert "after " in said.err
    assert "--tsa" in said.err  # nothing proves the time: said while something can still be done
    (one,) = works.verify("app", "--json").json["artifacts"]
    assert (one["commit"], one["warnings"]) == (works.ada.head(), ["untimed", "untimed"])
    works.verify("app", "--strict", code=1)
    listed = works.auths("artifact", "list").out
    assert listed.startswith(f"{digest}  app  did:key:z6Mk")
    (one,) = works.auths("artifact", "list", "--json").json["artifacts"]
    assert one["sha256"] == digest


def test_the_bundle_is_one_that_others_read(works: Works) -> None:
    """By the models of the sigstore package, and by its own verification of the signature with the key inside."""
    models = pytest.importorskip("sigstore_models.bundle.v1")
    works.ruled(RULE + f'require_timestamp = true\ntimestamp_url = "{works.tsa.url}"\n' + works.identity)
    works.file()
    works.sign("--ci", "app", **works.job)
    data = (works.ada.at / "app.auths.json").read_bytes()
    read = models.Bundle.from_json(data)
    assert read.media_type == "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert b"\n" not in data.strip()


def test_what_the_policy_demands_is_collected(works: Works) -> None:
    works.ruled(RULE + f'require_timestamp = true\ntimestamp_url = "{works.tsa.url}"\n' + works.identity)
    works.file()
    assert "warning:" not in works.sign("--ci", "app", **works.job).err
    (one,) = works.verify("app", "--json", "--strict").json["artifacts"]
    assert [link["name"] for link in one["links"]] == ["file", "signature", "commit", "token", "timestamp"]
    lines = works.verify("app").out.splitlines()
    assert lines[0] == "app"
    assert all(" ok " in line for line in lines[1:])


@pytest.mark.parametrize("version", [1, 2])
def test_a_log_takes_a_p_256_key(works: Works, version: int) -> None:
    url = works.logs[version].url
    works.ruled(RULE + f'require_log = "sigstore-rekor"\nlog_url = "{url}"\n' + works.identity)
    works.file()
    said = works.sign("--ci", "app", **works.job)
    assert "did:key:zDn" in said.err  # P-256
    (one,) = works.verify("app", "--json").json["artifacts"]
    assert "log" in [link["name"] for link in one["links"]]
    assert one["warnings"] == ([] if version == 1 else ["untimed", "untimed"])


@pytest.mark.parametrize(("rules", "says"), [
    (RULE + "require_timestamp = true\n", "nothing says by whom"),
    (RULE.replace("allow_ephemeral = true\n", 'signers = ["{ada}"]\n'), "no [[policy.ci]] rule"),
], ids=["no authority named", "no throwaway keys"])  # fmt: skip
def test_what_cannot_be_collected_is_refused_there(works: Works, rules: str, says: str) -> None:
    works.ruled(rules.replace("{ada}", works.ada.did()))
    works.file()
    said = works.sign("--ci", "app", code=1, **works.job)
    assert says in said.err
    assert works.bundles() == []


@pytest.mark.parametrize("kind", ["tsa", "rekor"])
def test_without_a_pin_to_judge_it_by_evidence_is_not_asked_for(works: Works, kind: str) -> None:
    demand = {"tsa": f'require_timestamp = true\ntimestamp_url = "{works.tsa.url}"\n',
              "rekor": f'require_log = "sigstore-rekor"\nlog_url = "{works.logs[1].url}"\n'}[kind]  # fmt: skip
    shutil.rmtree(works.ada.at / ".auths" / kind)
    works.ruled(RULE + demand)
    works.file()
    said = works.sign("--ci", "app", code=1, **works.job)
    assert f"git auths ci pin-{'tsa' if kind == 'tsa' else 'log'}" in said.err


def test_a_job_without_a_token_is_refused_where_the_policy_names_the_job(works: Works) -> None:
    works.file()
    said = works.sign("--ci", "app", code=1, GITHUB_ACTIONS="true")
    assert "id-token: write" in said.err
    works.ruled(RULE)
    said = works.sign("--ci", "app")
    assert "not in the notes" in said.err
    assert works.notes() == ""
    assert works.verify("app", "--json").json["artifacts"][0]["warnings"] == ["unbound-runner", "untimed"]


@pytest.mark.parametrize("claims", [{"repository_id": "7"}, {"sha": "2" * 40}], ids=["repository", "commit"])
def test_a_token_that_a_verifier_would_refuse_is_refused_at_once(works: Works, claims: dict[str, str]) -> None:
    works.file()
    job = works.job
    works.issuer.claims.update(claims)
    said = works.sign("--ci", "app", code=1, **job)
    assert "would not take this" in said.err
    assert works.bundles() == []


@pytest.mark.parametrize(("answer", "says"), [
    ((200, "text/html", b"<!doctype html><title>Log in</title>"), "web page"),
    ((200, "application/json", b'{"value":"<html>"}'), "no OIDC token"),
    ((401, "application/json", b"{}"), "401"), ((500, "text/html", b"<html>"), "500"),
    ((200, "application/json", b'{"value":"a.b.c"}'), "cannot be read"),
], ids=["html", "html in json", "401", "500", "rubbish"])  # fmt: skip
def test_a_token_endpoint_that_gives_no_token_is_named(works: Works, answer: tuple[int, str, bytes], says: str) -> None:
    works.file()
    works.issuer.answer = answer
    said = works.sign("--ci", "app", code=1, **works.job)
    assert says in said.err
    assert works.bundles() == []
    assert works.notes() == ""


@pytest.mark.parametrize("behaviour", ["html", "refused", "another-imprint", "another-nonce", "unavailable", "silent"])
def test_an_authority_that_stamps_nothing_leaves_nothing(
    works: Works, behaviour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamp = collecting.tsa.stamp
    monkeypatch.setattr(collecting.tsa, "stamp", lambda url, signature: stamp(url, signature, timeout_seconds=0.2))
    works.tsa.behaviour = behaviour
    works.file()
    said = works.sign("--ci", "--tsa", works.tsa.url, "app", code=128, **works.job)
    assert "127.0.0.1" in said.err
    assert works.bundles() == []
    assert works.notes() == ""


def test_an_authority_that_sorts_no_set_is_told_apart(works: Works) -> None:
    works.tsa.authority.extra, works.tsa.authority.sort_set = (works.tsa.authority.root,), False
    works.file()
    said = works.sign("--ci", "--tsa", works.tsa.url, "app", code=128, **works.job)
    assert "order" in said.err
    assert works.bundles() == []


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(("behaviour", "code", "says"), [
    ("html", 128, "web page"), ("unavailable", 128, "503"), ("other-entry", 128, "127.0.0.1"),
    ("no-proof", 128, "127.0.0.1"), ("silent", 128, "did not answer within 0.2 seconds"),
    ("wrong-root", 1, "the log entry that was collected does not hold: its checkpoint has another root"),
    ("other-origin", 1, "the log entry that was collected does not hold: its checkpoint has another origin"),
])  # fmt: skip
def test_a_log_that_logs_nothing_leaves_nothing(
    works: Works, version: int, behaviour: str, code: int, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = collecting.rekor.submit
    monkeypatch.setattr(collecting.rekor, "submit", lambda url, envelope, key: submit(url, envelope, key, 0.2))
    works.logs[version].behaviour = behaviour
    works.file()
    said = works.sign("--ci", "--rekor", works.logs[version].url, "app", code=code, **works.job)
    assert says in said.err
    assert works.bundles() == []
    assert works.notes() == ""


def test_untimed_evidence_can_be_had_by_options_and_without_a_pin_is_said_to_be_worth_nothing(works: Works) -> None:
    shutil.rmtree(works.ada.at / ".auths/tsa")
    works.ruled(RULE)
    works.file()
    said = works.sign("--ci", "--tsa", works.tsa.url, "app", **works.job)
    assert "nothing is pinned to judge the timestamp by" in said.err


def test_an_end_may_be_nearer_than_the_policy_says_and_not_farther(works: Works) -> None:
    works.file()
    for asked, seconds in (("10m", 600), ("90d", 3600)):
        works.sign("--ci", "app", "--expires", asked, **works.job)
        value = json.loads((works.ada.at / "app.auths.json").read_bytes())
        said = json.loads(collecting.bundle.dsse.base64.b64decode(value["dsseEnvelope"]["payload"]))
        bound = said["predicate"]["gitauths_binding"]
        ends, begins = (collecting.utctime.seconds(bound[name]) for name in ("expires_at", "issued_at"))
        assert ends - begins == seconds
    works.sign("--ci", "app", "--expires", "soon", code=129, **works.job)


# Many, and what they are


def test_many_files_share_envelopes(works: Works) -> None:
    """Up to a hundred in one; each has its bundle, and all stand in the notes of the commit."""
    for number in range(250):
        works.file(f"dist/{number:03}", b"%d\n" % number)
    said = works.sign("--ci", "--json", "dist/*", **works.job)
    assert len(said.json) == 250
    assert {one["bundle"] for one in said.json} == {f"dist/{number:03}.auths.json" for number in range(250)}
    assert {one["commit"] for one in said.json} == {works.ada.head()}
    different = {path.read_bytes() for path in (works.ada.at / "dist").glob("*.auths.json")}
    assert len(different) == 3
    assert len(works.auths("artifact", "list").out.splitlines()) == 250
    assert works.verify("dist/?[05]?", "--json").json["ok"]
    (works.ada.at / "dist/007").write_bytes(b"another\n")
    said = works.verify("dist/00*", "--json", code=1)
    assert [one["name"] for one in said.json["artifacts"] if not one["ok"]] == ["dist/007"]
    works.sign("--ci", "dist/*", **works.job)  # a glob never means the bundles of an earlier run
    assert len(works.bundles()) == 250


def test_long_names_get_envelopes_that_fit(works: Works) -> None:
    names = [f"dist/{'n' * 180}/{'m' * 180}/{number:03}" for number in range(110)]
    for name in names:
        works.file(name, name.encode())
    works.sign("--ci", *names, **works.job)
    assert works.verify(*names, "--json").json["ok"]


def test_two_of_one_name_in_two_folders_are_both_right(works: Works) -> None:
    works.file("a/app", b"1\n")
    works.file("b/app", b"2\n")
    works.sign("--ci", "a/app", "b/app", **works.job)
    said = works.verify("a/app", "b/app", "--json").json
    assert [one["name"] for one in said["artifacts"]] == ["a/app", "b/app"]
    works.file("a/app", b"2\n")
    (one,) = works.verify("a/app", "--json").json["artifacts"]  # the statement covers these bytes, under another name
    assert one["sha256"] == hashlib.sha256(b"2\n").hexdigest()


def test_what_is_no_file_is_signed_by_its_digest(works: Works) -> None:
    image = "registry.example/app:1@sha256:" + "ab" * 32
    said = works.sign("--ci", "--subject", image, "--json", **works.job)
    assert said.json[0]["bundle"] is None
    assert works.bundles() == []
    (one,) = works.verify("--subject", image, "--json").json["artifacts"]
    assert (one["name"], one["ok"]) == ("registry.example/app:1", True)
    other = image.replace("ab" * 32, "cd" * 32)
    assert works.verify("--subject", other, "--json", code=1).json["artifacts"][0]["links"][0]["code"] == "unsigned"


@pytest.mark.parametrize("text", ["app", "app@sha256:ab", "@sha256:" + "ab" * 32, "app@sha256:" + "AB" * 32,
                                  "a\nb@sha256:" + "ab" * 32, "x" * 600 + "@sha256:" + "ab" * 32])  # fmt: skip
def test_a_subject_has_one_form(works: Works, text: str) -> None:
    works.sign("--ci", "--subject", text, code=129)
    works.verify("--subject", text, code=129)


@pytest.mark.parametrize("args", [
    ["sign"], ["verify"], [], ["sign", "--ci", "--tag", "v1", "app"], ["verify", "--bundle", "b", "app", "lib"],
    ["frob"],
], ids=" ".join)  # fmt: skip
def test_what_makes_no_sense_is_wrong_usage(works: Works, args: list[str]) -> None:
    works.file()
    works.auths("artifact", *args, code=129)


# Bad files


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(("make", "says"), [
    (lambda path: path.mkdir(), "is a folder"), (lambda path: path.symlink_to("app"), "is a symbolic link"),
    (lambda path: path.symlink_to("nowhere"), "is a symbolic link"), (make_fifo, "is no plain file"),
    (lambda path: None, "No such file"),
], ids=["folder", "symlink", "dangling symlink", "fifo", "missing"])  # fmt: skip
@pytest.mark.parametrize("command", ["sign", "verify"])
def test_what_is_no_plain_file_is_named_and_nothing_is_written(
    works: Works, make: Callable[[Path], None], says: str, command: str
) -> None:
    works.file()
    make(works.ada.at / "bad")
    said = works.auths("artifact", command, *(["--ci"] if command == "sign" else []), "app", "bad", code=128,
                       **works.job)  # fmt: skip
    assert f"bad {says}" in said.err or (says in said.err and "bad" in said.err)
    assert works.bundles() == []
    assert works.notes() == ""


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2Jb", "a\u202eb", os.fsdecode(b"a\xffb"), "n" * 200],
                         ids=["newline", "escape", "bidi", "no UTF-8", "long"])  # fmt: skip
def test_a_name_that_no_statement_can_have_is_refused_inertly(works: Works, name: str) -> None:
    works.file(name)
    if name.isprintable():
        works.sign("--ci", name, **works.job)
        return
    said = works.sign("--ci", name, code=128, **works.job)
    assert "cannot be named" in said.err
    assert not any(character in said.err.rstrip("\n").replace("\nhint", "") for character in "\x1b\u202e\udcff")
    assert works.bundles() == []


def test_a_glob_that_matches_nothing_is_an_error(works: Works) -> None:
    assert "no file matches" in works.sign("--ci", "none/*", code=128).err
    assert "no file matches" in works.verify("none/*", code=128).err


@pytest.mark.parametrize("change", [
    lambda path: path.write_bytes(b"another\n" * 3), lambda path: path.open("ab").write(b"."),
    lambda path: os.replace(path.with_name("other"), path), lambda path: path.unlink(),
    lambda path: os.utime(path, ns=(1, 1)),
], ids=["rewritten", "longer", "replaced", "removed", "touched"])  # fmt: skip
def test_a_file_that_changes_while_it_is_hashed_is_refused(tmp_path: Path, change: Callable[[Path], Any]) -> None:
    path, other = tmp_path / "app", tmp_path / "other"
    path.write_bytes(b"1" * 3_000_000)
    other.write_bytes(b"1" * 3_000_000)
    changed: list[int] = []

    def once(number: int) -> None:
        if not changed:
            changed.append(number)
            time.sleep(0.01)  # the kernel's clock for files has ticked
            change(path)

    with pytest.raises(Error) as refused:
        artifactfiles.read(str(path), once)
    assert refused.value.exit_code == 128
    assert "changed while it was hashed" in str(refused.value) or "No such file" in str(refused.value)


def test_a_large_file_is_hashed_in_constant_memory(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as stream:
        stream.truncate(64 * 2**20)
    tracemalloc.start()
    artifactfiles.read(str(tmp_path / "large"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 2**20


# Nothing half-written


def test_where_a_bundle_cannot_be_written_none_is_half_written_and_no_note_speaks_of_it(works: Works) -> None:
    works.file("a")
    works.file("b", b"2\n")
    (works.ada.at / "b.auths.json").mkdir()
    said = works.sign("--ci", "a", "b", code=128, **works.job)
    assert "b.auths.json" in said.err
    for name in works.bundles():
        path = works.ada.at / name
        assert path.is_dir() or json.loads(path.read_bytes())["mediaType"]
        assert not name.endswith(".tmp")
    assert works.notes() == ""


def test_a_full_disk_leaves_nothing(works: Works) -> None:
    """A limit on the size of files stands in for the disk: the write ends in the middle."""
    works.file()

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700))

    environment = {**works.ada.environment, **works.job, "PYTHONDONTWRITEBYTECODE": "1"}  # Python would cut its own
    done = subprocess.run([*PROGRAM, "artifact", "sign", "--ci", "app"], cwd=works.ada.at, env=environment,
                          preexec_fn=small_files, capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 128, done
    assert "cannot write" in done.stderr
    assert works.bundles() == []
    assert works.notes() == ""
    works.sign("--ci", "app", **works.job)


def test_a_process_that_is_killed_while_it_waits_leaves_nothing(works: Works) -> None:
    works.file()
    works.tsa.behaviour = "silent"
    before = works.tsa.requests
    with subprocess.Popen([*PROGRAM, "artifact", "sign", "--ci", "--tsa", works.tsa.url, "app"], cwd=works.ada.at,
                          env={**works.ada.environment, **works.job}, start_new_session=True) as process:  # fmt: skip
        while works.tsa.requests == before and process.poll() is None:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert works.bundles() == []
    assert works.notes() == ""
    works.tsa.behaviour = "good"
    works.sign("--ci", "--tsa", works.tsa.url, "app", **works.job)
    works.verify("--strict", "app")


def test_without_a_pinned_root_nothing_is_verified(works: Works, newcomer: Person) -> None:
    newcomer.git("init", "--quiet", newcomer.home / "repo")
    newcomer.at = newcomer.home / "repo"
    (newcomer.at / "app").write_bytes(b"x")
    said = works.auths("artifact", "verify", "app", by=newcomer, code=1)
    assert "unpinned-root" in said.out + said.err
    newcomer.at = newcomer.home
    (newcomer.at / "app").write_bytes(b"x")
    works.auths("artifact", "verify", "app", by=newcomer, code=128)


def test_a_pipeline_with_a_key_of_its_own_brings_what_its_rule_asks_for(works: Works) -> None:
    did = works.auths("init", "--alias", "bot", "--no-passphrase").out.strip().split("\n")[-1]
    aid = did.removeprefix("did:keri:")
    log = Path(works.ada.environment["AUTHS_HOME"], "identities/bot/kel.cesr").read_bytes()
    (works.ada.at / f".auths/kels/{aid}.cesr").write_bytes(log)
    works.ada.git("add", ".auths")
    works.ruled(f'\n[[policy.ci]]\nsigners = ["{did}"]\nmax_ttl = "1h"\nrequire_timestamp = true\n'
                f'timestamp_url = "{works.tsa.url}"\n')  # fmt: skip
    works.ada.git("config", "auths.identity", "bot")
    works.file()
    works.sign("app")
    (one,) = works.verify("app", "--strict", "--json").json["artifacts"]
    assert one["signer"] == did
    assert "timestamp" in [link["name"] for link in one["links"]]
    works.tsa.behaviour = "unavailable"
    works.sign("app", code=128)
