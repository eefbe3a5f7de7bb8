"""git auths attest, by people and by CI jobs; and a commit by CI from its first step to the server's mainline."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from git_auths.services import http
from git_auths.store import notes
from tests.people import Project
from tests.works import RULE, Works, copied, opened

COMMITS = 'commit_paths = ["CHANGELOG.md"]\n'


@pytest.fixture(scope="module")
def founded(template: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Works]:
    with opened(template, tmp_path_factory.mktemp("works")) as works:
        yield works


@pytest.fixture
def works(founded: Works, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Works]:
    monkeypatch.setattr(http, "BACKOFF_SECONDS", 0.001)
    with copied(founded, tmp_path) as works:
        yield works


def attested(works: Works, *args: str | Path, **env: str) -> dict[str, Any]:
    """The statement that `git auths attest ARGS` prints, which stands in the notes on each object that it names."""
    said = works.auths("attest", "--json", *args, **env).json
    for subject in said["subject"]:
        for id in subject["digest"].values():
            lines = notes.read(works.ada.at, id[:40]).lines
            payloads = [base64.b64decode(envelope_in(json.loads(line))["payload"]) for line in lines]
            assert said in [json.loads(payload) for payload in payloads]
    return dict(said)


def envelope_in(line: dict[str, Any]) -> dict[str, Any]:
    return dict(line.get("dsseEnvelope", line))


def test_provenance_says_who_made_each_commit(works: Works) -> None:
    said = attested(works)
    head = works.ada.head()
    assert said["predicateType"] == "https://slsa.dev/provenance/v1"
    assert said["subject"] == [{"name": head, "digest": {"gitCommit": head}}]
    (source,) = said["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert source["digest"] == {"gitCommit": head}
    (commit,) = source["annotations"]["commits"]
    assert commit == {"hash": head, "author": "ada", "authored_by": "human"}
    bound = said["predicate"]["gitauths_binding"]
    assert (bound["root"], bound["signer"]) == (works.project.root, works.ada.did())
    assert said["predicate"]["runDetails"]["builder"] == {"id": works.ada.did()}  # a person is no CI
    assert "agent" not in json.dumps(said["predicate"])


@pytest.mark.parametrize("by", ["options", "environment"])
def test_an_agent_says_what_it_is(works: Works, by: str) -> None:
    options = ["--agent-id", "fixer", "--agent-model", "m-1", "--agent-provider", "acme", "--tool", "a", "--tool", "b"]
    environment = {"AGENT_ID": "fixer", "AGENT_MODEL": "m-1", "AGENT_PROVIDER": "acme", "AGENT_TOOLS": "a,b"}
    said = attested(works, *(options if by == "options" else []), **(environment if by == "environment" else {}))
    definition = said["predicate"]["buildDefinition"]
    assert definition["internalParameters"]["agent"] == {
        "id": "fixer", "model": "m-1", "provider": "acme", "tools": ["a", "b"],
    }  # fmt: skip
    (commit,) = definition["resolvedDependencies"][0]["annotations"]["commits"]
    assert (commit["authored_by"], commit["agent_model"]) == ("agent", "m-1")


def test_a_commit_of_an_agent_by_grant_is_annotated_as_such(works: Works) -> None:
    """Whoever attests it: the grant says which model."""
    works.auths("agent", "new", "fixer", "--model", "m-2")
    works.ada.git("push", "--quiet")
    works.ada.git("-c", "auths.identity=fixer", "-c", "user.signingKey=auths:fixer", "commit", "--quiet",
                  "--allow-empty", "-m", "by the agent")  # fmt: skip
    said = attested(works)
    (commit,) = said["predicate"]["buildDefinition"]["resolvedDependencies"][0]["annotations"]["commits"]
    assert (commit["authored_by"], commit["agent_model"]) == ("agent", "m-2")


@pytest.mark.parametrize("text", ["x" * 300, "a\nb", "\x1b[2J"])
def test_what_an_agent_declares_is_bounded_text(works: Works, text: str) -> None:
    works.auths("attest", "--agent-model", text, code=129)


def test_a_range_is_attested_whole(works: Works) -> None:
    first = works.ada.head()
    made = [works.ada.commit("file", f"{n}\n") for n in range(3)]
    said = attested(works, f"{first}..HEAD")
    assert [one["digest"]["gitCommit"] for one in said["subject"]] == made
    (source,) = said["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert [one["hash"] for one in source["annotations"]["commits"]] == made


def test_a_tag_is_attested_as_the_object_that_it_is(works: Works) -> None:
    works.ada.git("tag", "--sign", "-m", "one", "v1.0")
    id = works.ada.git("rev-parse", "v1.0").stdout.strip()
    said = attested(works, "v1.0")
    assert said["subject"] == [{"name": "v1.0", "digest": {"gitTag": id}}]
    works.ada.git("-c", "tag.gpgSign=false", "tag", "light")
    assert attested(works, "light")["subject"][0]["digest"] == {"gitCommit": works.ada.head()}


def test_a_verification_summary_says_what_verify_finds(works: Works) -> None:
    said = attested(works, "--vsa")
    assert said["predicateType"] == "https://slsa.dev/verification_summary/v1"
    found = said["predicate"]
    assert (found["verificationResult"], found["verifiedLevels"]) == ("PASSED", ["GITAUTHS_GOOD"])
    assert found["policy"]["digest"] == {"gitCommit": works.ada.git("rev-parse", "main").stdout.strip()}
    works.ada.git("checkout", "--quiet", "-b", "side")
    works.ada.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "unsigned")
    found = attested(works, "--vsa")["predicate"]
    assert (found["verificationResult"], found["verifiedLevels"]) == ("FAILED", ["GITAUTHS_UNSIGNED"])


def test_any_predicate_can_be_attested(works: Works, tmp_path: Path) -> None:
    file = tmp_path / "predicate.json"
    file.write_text('{"coverage": 93}')
    image = "ab" * 32
    said = attested(works, "--predicate-type", "https://example.com/coverage", "--predicate", file, "--subject",
                    f"image@sha256:{image}", "--expires", "30d")  # fmt: skip
    assert said["predicateType"] == "https://example.com/coverage"
    assert said["predicate"]["coverage"] == 93
    assert said["subject"][1] == {"name": "image", "digest": {"sha256": image}}
    assert "expires_at" in said["predicate"]["gitauths_binding"]


@pytest.mark.parametrize(("text", "says"), [
    ("[1]", "not a JSON object"), ("{", "not JSON"), ('{"a":1,"a":2}', "not JSON"), ("{" * 40_000, "not JSON"),
    ('{"a":"' + "x" * 70_000 + '"}', "too large"), ('{"gitauths_binding":{}}', "gitauths_binding"),
    ('{"a":NaN}', "not JSON"),
], ids=["list", "broken", "twice", "deep", "large", "bound", "NaN"])  # fmt: skip
def test_what_is_no_predicate_is_refused(works: Works, tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "predicate.json"
    file.write_text(text)
    said = works.auths("attest", "--predicate-type", "https://example.com/x", "--predicate", file, code=128)
    assert says in said.err
    assert works.notes() == ""


@pytest.mark.parametrize("args", [
    ["--predicate", "x"], ["--predicate-type", "https://example.com/x"],
    ["--predicate-type", "urn:git-auths:approval:v1", "--predicate", "x"],
    ["--predicate-type", "urn:git-auths:grant:v1", "--predicate", "x"], ["--slsa", "--vsa"], ["--expires", "soon"],
    ["--subject", "image"],
], ids=" ".join)  # fmt: skip
def test_what_makes_no_sense_is_wrong_usage(works: Works, args: list[str]) -> None:
    works.auths("attest", *args, code=129)
    assert works.notes() == ""


def test_too_many_commits_are_no_one_attestation(works: Works) -> None:
    script = "".join(f"commit refs/heads/many\ncommitter A <a@example.com> {1_800_000_000 + n} +0000\ndata 1\nx\n"
                     + ("from refs/heads/main^0\n" if n == 0 else "") for n in range(101))  # fmt: skip
    file = works.project.folder / "stream"
    file.write_text(script)
    works.ada.git("-c", f"alias.load=!git fast-import --quiet <{file}", "load")
    assert "at most 100" in works.auths("attest", "main..many", code=129).err


# CI


def test_a_commit_by_a_job_reaches_the_mainline_with_its_evidence(works: Works) -> None:
    """From `init --profile ci` over two commits to the server that enforces the policy, and to Bob's clone."""
    works.ruled(RULE + f'require_timestamp = true\ntimestamp_url = "{works.tsa.url}"\n' + COMMITS + works.identity)
    works.ada.git("push", "--quiet")
    job = works.job
    works.auths("init", "--profile", "ci", "--no-auto-register-ssh-key", **job)
    for number in range(2):
        (works.ada.at / "CHANGELOG.md").write_text(f"{number}\n")
        works.ada.git("add", "CHANGELOG.md")
        works.ada.git("commit", "--quiet", "-m", "ci: changelog", **job)
        said = works.auths("verify-commit", "--json", code=1, **job).json
        assert said["objects"][0]["verdict"] == "unknown-key"
        attested(works, **job)
        lines = works.auths("verify-commit", **job).out.splitlines()
        assert [line.partition(" (")[0] for line in lines[1:]] == [
            "Signature valid", "OIDC token binding verified", "Timestamp proof valid",
        ]  # fmt: skip
    works.ada.git("push", "--quiet", **job)
    works.bob.git("pull", "--quiet", "--ff-only")
    works.auths("sync", by=works.bob)
    said = works.auths("verify", "--json", by=works.bob).json
    assert (said["ok"], works.bob.head()) == (True, works.ada.head())


def test_a_job_does_not_attest_what_its_token_is_not_for(works: Works) -> None:
    works.ruled(RULE + COMMITS + works.identity)
    job = works.job
    works.auths("init", "--profile", "ci", "--no-auto-register-ssh-key", **job)
    works.ada.git("-c", "user.signingKey=auths:main", "commit", "--quiet", "--allow-empty", "-m", "by Ada")
    said = works.auths("attest", code=1, **job)
    assert "it was issued for commit" in said.err
    assert works.notes() == ""


def test_verify_attests_what_it_found(works: Works) -> None:
    works.auths("verify", "--attest")
    (found,) = works.auths("log", "--predicate", "vsa", "--json").json["attestations"]
    assert found["signer"] == works.ada.did()
    works.auths("verify", "--all", "--attest", code=129)


def test_sync_can_fetch_alone(works: Works) -> None:
    works.auths("attest", by=works.bob)
    before = works.ada.git("ls-remote", works.project.server, "refs/notes/auths").stdout
    works.auths("sync", "--no-push", "origin", by=works.bob)
    assert works.ada.git("ls-remote", works.project.server, "refs/notes/auths").stdout == before
