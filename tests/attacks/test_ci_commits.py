"""Attacks by commits that look like CI's, and the commits by CI that must pass. `verify` is asked warm and cold."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.attacks import evidence, forge
from tests.attacks.evidence import AT, CHANGELOG, Ci, Job, of_commit, rule
from tests.attacks.forge import World, accepted, approval, envelope, refused
from tests.attacks.test_pushes import Gate
from tests.realgit import run


@pytest.fixture(scope="module")
def pinned(founded: World, tmp_path_factory: pytest.TempPathFactory) -> Ci:
    return evidence.found(founded, tmp_path_factory.mktemp("pinned"))


@pytest.fixture
def ci(pinned: Ci, tmp_path: Path) -> Ci:
    return pinned.again(tmp_path / "repo")


def proved(job: Job, commit: str, base: str | None = None, **made: Any) -> bytes:
    return of_commit(job, commit, job.token(base or job.ci.tip), **made)


def is_refused(ci: Ci, commit: str, *says: str) -> None:
    (one,) = refused(ci.world.verify_at(commit), (commit, "unknown-key"))
    for words in says:
        assert words in one["reason"]


# Honest


@pytest.mark.parametrize("paths", [{"CHANGELOG.md": "1"}, {"docs/a/b": "1", "docs/c": "2"}], ids=["file", "folder"])
def test_a_commit_by_ci_with_its_evidence_is_good(ci: Ci, paths: dict[str, str]) -> None:
    """Without it what is refused below would prove nothing."""
    job = Job(ci)
    commit = ci.commit(job, **paths)
    is_refused(ci, commit, "no attestation by its key")
    ci.attest({commit: [proved(job, commit)]})
    accepted(ci.world.verify_at(commit))
    described = forge.described(ci.world, commit)
    assert (described["verdict"], described["signer"]) == ("good", job.did)


def test_verify_commit_says_what_proves_it(ci: Ci) -> None:
    """DESIGN section 10: a line each."""
    job = Job(ci)
    commit = ci.world.advance(ci.commit(job))
    ci.attest({commit: [proved(job, commit)]})
    for revision in (("main",), ("--ref", "refs/heads/main", commit)):
        answer = ci.repo.auths("verify-commit", *revision)
        assert answer.code == 0
        lines = answer.stdout.splitlines()
        assert lines[1].startswith("Signature valid")
        assert lines[2].startswith(f"OIDC token binding verified (GitHub Actions, commit {ci.tip}, actor ada")
        assert lines[3].startswith(f"Timestamp proof valid ({evidence.rfc3339(AT)}")
    said = ci.repo.auths("verify-commit", "--json", "main").document
    assert [(link["name"], link["state"]) for link in said["links"]] == [("token", "ok"), ("timestamp", "ok")]


def test_several_commits_of_one_job_have_the_commit_that_it_was_started_on(ci: Ci) -> None:
    """The token names the nearest ancestor that its key did not sign."""
    job = Job(ci)
    first = ci.commit(job)
    second = ci.commit(job, [first], docs__a="2")
    ci.attest({first: [proved(job, first)], second: [proved(job, second)]})
    accepted(ci.world.verify_at(second))
    ci.attest({first: [proved(job, first)], second: [proved(job, second, first)]})
    is_refused(ci, second, f"issued for commit {first}")
    ci.attest({second: [proved(job, second)]})
    refused(ci.world.verify_at(second), (first, "unknown-key"))


def test_two_jobs_after_each_other_have_a_commit_each(ci: Ci) -> None:
    one, two = Job(ci), Job(ci, 78)
    first = ci.commit(one)
    second = ci.commit(two, [first], docs__a="2")
    lines = {first: [proved(one, first)]}
    ci.attest({**lines, second: [proved(two, second)]})
    is_refused(ci, second, f"issued for commit {ci.tip}")
    ci.attest({**lines, second: [proved(two, second, first)]})
    accepted(ci.world.verify_at(second))


def test_people_go_on_from_a_commit_by_ci(ci: Ci) -> None:
    """Work, a change of the rules, a merge of a branch with CI's commit into one without, as first and second parent."""
    job = Job(ci)
    by_ci = ci.commit(job)
    ci.attest({by_ci: [proved(job, by_ci)]})
    ci.files["CHANGELOG.md"] = b"1\n"
    work = ci.repo.commit({**ci.files, "src": b"2"}, [by_ci], ci.world.bob)
    accepted(ci.world.verify_at(work))
    rules = ci.repo.commit({**ci.files, "src": b"2", ".auths/oidc/x.json": b"{}"}, [work], ci.world.alice)
    accepted(ci.world.verify_at(rules))
    beside = ci.commit(ci.world.bob, src="3")
    for parents in ([beside, by_ci], [by_ci, beside]):
        merge = ci.repo.commit({**ci.files, "src": b"3"}, parents, ci.world.alice, b"Merge\n")
        accepted(ci.world.verify_at(merge))


def test_one_of_several_rules_and_one_of_several_attestations_are_enough(ci: Ci) -> None:
    other = evidence.RULE.replace("release.yml", "nightly.yml").replace("CHANGELOG.md", "NIGHTLY.md")
    for rules in (other + evidence.RULE, evidence.RULE + other, rule(identity=None) + evidence.RULE):
        ci.ruled(rules)
        job = Job(ci)
        commit = ci.commit(job)
        ci.attest({commit: [proved(job, commit, "2" * 40), proved(job, commit), proved(Job(ci, 78), commit)]})
        accepted(ci.world.verify_at(commit))


# What a commit by CI may not be


@pytest.mark.parametrize("paths", [
    {"src": "2"}, {"CHANGELOG.md": "1", "src": "2"}, {"CHANGELOG.md.x": "1"}, {"Docs/a": "1"}, {"docs.md": "1"},
    {"changelog.md": "1"}, {"CHANGELOG.md/x": "1"}, {".gitattributes": "1"},
], ids=lambda paths: " ".join(paths))  # fmt: skip
def test_a_commit_that_touches_another_path_is_refused(ci: Ci, paths: dict[str, str]) -> None:
    """Row 80."""
    job = Job(ci)
    commit = ci.commit(job, **paths)
    ci.attest({commit: [proved(job, commit)]})
    outside = next(path for path in paths if path != "CHANGELOG.md")
    is_refused(ci, commit, outside, "commit_paths of policy.ci[0] do not permit")


def test_a_path_that_goes_away_is_a_path_that_changes(ci: Ci) -> None:
    """Row 80."""
    job = Job(ci)
    commit = ci.repo.commit({name: data for name, data in ci.files.items() if name != "src"}, [ci.tip], job.key)
    ci.attest({commit: [proved(job, commit)]})
    is_refused(ci, commit, "src", "do not permit")


@pytest.mark.parametrize("change", [
    {".auths/policy.toml": b"[policy]\n"}, {".auths/adopted": b"11" * 20 + b"\n"}, {".auths/oidc/evil.json": b"{}"},
    {".auths/allowed_signers": b"# git-auths allowed_signers 1\n"},
], ids=lambda change: next(iter(change)))  # fmt: skip
def test_nothing_below_auths_is_cis_to_change(ci: Ci, change: dict[str, bytes]) -> None:
    """Row 80: whatever commit_paths says."""
    ci.ruled(rule('commit_paths = ["**"]'))
    job = Job(ci)
    commit = ci.repo.commit({**ci.files, **change}, [ci.tip], job.key)
    ci.attest({commit: [proved(job, commit)]})
    (one,) = ci.world.verify_at(commit).objects
    assert one["id"] == commit
    assert one["verdict"] in ("unknown-key", "policy-invalid", "policy-change-unauthorized")


def test_an_issuer_that_the_commit_itself_pins_is_none(ci: Ci) -> None:
    """Row 80: nor one that a commit in between has pinned without the right to."""
    evil = evidence.unasked("https://evil.example")
    ci.services = ci.services._replace(issuer=evil)
    job = Job(ci)
    pin = {".auths/oidc/evil.json": evil.pin_file()}
    commit = ci.repo.commit({**ci.files, **pin, "CHANGELOG.md": b"1"}, [ci.tip], job.key)
    ci.attest({commit: [proved(job, commit)]})
    is_refused(ci, commit, ".auths/")


def test_a_merge_by_ci_is_refused(ci: Ci) -> None:
    """Row 80: even one that changes only what CI may."""
    job = Job(ci)
    side = ci.commit(ci.world.bob, docs__a="1")
    beside = ci.commit(ci.world.bob, docs__b="1")
    merge = ci.repo.commit({**ci.files, "docs/a": b"1", "docs/b": b"1"}, [side, beside], job.key)
    ci.attest({merge: [proved(job, merge, side), proved(job, merge)]})
    is_refused(ci, merge, "it is a merge")


@pytest.mark.parametrize("base", ["root", "itself", "nothing", "tip of a branch"])
def test_a_token_for_another_commit_is_refused(ci: Ci, base: str) -> None:
    """Row 80: an ancestor, the new commit itself, one beside it."""
    job = Job(ci)
    commit = ci.commit(job)
    side = ci.commit(ci.world.bob, src="3")
    named = {"root": ci.world.root, "itself": commit, "nothing": "0" * 40, "tip of a branch": side}[base]
    ci.attest({commit: [proved(job, commit, named)]})
    is_refused(ci, commit, f"issued for commit {named}")


def test_a_token_under_a_key_that_somebody_kept_signs_nothing_new(ci: Ci) -> None:
    """Row 80: the job is over, and what is stamped now is after its token's time."""
    job = Job(ci)
    late = ci.commit(job, docs__a="1")
    ci.attest({late: [proved(job, late, stamps=[evidence.stamp_at(ci, AT + 3600)])]})
    is_refused(ci, late, "expired at")


@pytest.mark.parametrize("make", [
    lambda ci, job, commit: proved(job, ci.world.root),
    lambda ci, job, commit: of_commit(job, commit, job.token(ci.tip), root="2" * 40),
    lambda ci, job, commit: of_commit(Job(ci, 78), commit, Job(ci, 78).token(ci.tip)),
    lambda ci, job, commit: evidence.of_file(job, "11" * 32, job.token(ci.tip), commit=commit),
    lambda ci, job, commit: evidence.bundle(
        Job(ci, 78), evidence.statement([evidence.commit_subject(commit)], commit,
                                        evidence.binding(ci, job.did, job.token(ci.tip))),
        [ci.services.tsa.stamp]),
    lambda ci, job, commit: envelope(ci.world.bob, approval(ci.world.bob, ci.world.root, commit)),
], ids=["another commit", "another root", "another key", "a file built from it", "a forged signature", "an approval"],
)  # fmt: skip
def test_an_attestation_that_is_not_by_its_key_about_it_proves_nothing(
    ci: Ci, make: Callable[[Ci, Job, str], bytes]
) -> None:
    job = Job(ci)
    commit = ci.commit(job)
    ci.attest({commit: [make(ci, job, commit)]})
    is_refused(ci, commit, "no attestation by its key")


def test_an_attestation_elsewhere_in_the_notes_proves_nothing(ci: Ci) -> None:
    job = Job(ci)
    commit = ci.commit(job)
    ci.attest({ci.tip: [proved(job, commit)]})
    is_refused(ci, commit, "no attestation by its key")


def test_a_stranger_cannot_crowd_out_the_evidence(ci: Ci) -> None:
    """Lines by other keys take no place of the sixteen that are looked at."""
    job = Job(ci)
    commit = ci.commit(job)
    stranger = Job(ci, 78)
    line = proved(job, commit)
    hint = evidence.fingerprint(job.key)
    crowd = [evidence.bundle(stranger, evidence.statement(
        [evidence.commit_subject(commit)], commit, evidence.binding(ci, job.did, issued_at=AT + n)))
        .replace(evidence.fingerprint(stranger.key).encode(), hint.encode()) for n in range(40)]  # fmt: skip
    ci.attest({commit: [*crowd, line]})
    accepted(ci.world.verify_at(commit))


def test_what_strangers_put_beside_the_evidence_makes_it_worth_no_less(ci: Ci) -> None:
    """Whoever can write notes can copy the envelope, with less or with more beside it."""
    job = Job(ci)
    commit = ci.commit(job)
    made = json.loads(proved(job, commit))
    lines = [json.dumps(made["dsseEnvelope"], separators=(",", ":")).encode()]
    for stamp in (b"no DER", ci.services.tsa.stamp(b"another signature")):
        copy = json.loads(json.dumps(made))
        stamps = copy["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"]
        stamps[:] = [{"signedTimestamp": evidence.text(stamp)}]
        lines.append(json.dumps(copy, separators=(",", ":")).encode())
    ci.attest({commit: lines})
    is_refused(ci, commit)
    ci.attest({commit: [*lines, json.dumps(made, separators=(",", ":")).encode()]})
    accepted(ci.world.verify_at(commit))


# Rules, then and now


@pytest.mark.parametrize("rules", [
    "", rule(), rule(CHANGELOG, identity=None), rule(CHANGELOG).replace("allow_ephemeral = true", "")
], ids=["no rule", "no paths", "no identity", "no throwaway keys"])  # fmt: skip
def test_a_policy_that_lets_ci_commit_nothing_takes_nothing(ci: Ci, rules: str) -> None:
    """A token counts only where the policy says whose; without paths there is nothing that CI may change."""
    job = Job(ci)
    ci.ruled(rules)
    commit = ci.commit(job)
    ci.attest({commit: [proved(job, commit)]})
    is_refused(ci, commit)


def test_a_rule_that_is_gone_meanwhile_receives_nothing_more(ci: Ci) -> None:
    """Rule 7.4: written under the old rules, received under the new ones."""
    job = Job(ci)
    commit = ci.commit(job)
    ci.attest({commit: [proved(job, commit)]})
    accepted(ci.world.verify_at(commit))
    ci.ruled("")
    ci.files["CHANGELOG.md"] = b"1\n"
    merge = ci.repo.commit(ci.files, [ci.tip, commit], ci.world.alice, b"Merge\n")
    refused(ci.world.verify_at(merge), (commit, "unknown-key"))


@pytest.mark.parametrize("rules", [
    evidence.RULE.replace("CHANGELOG.md", "NEWS.md"), evidence.RULE.replace("release.yml", "nightly.yml"),
], ids=["other paths", "another workflow"])  # fmt: skip
def test_a_rule_that_takes_something_else_meanwhile_receives_nothing_more(ci: Ci, rules: str) -> None:
    """Rule 7.4: each policy that judges it must take it."""
    job = Job(ci)
    commit = ci.commit(job)
    ci.attest({commit: [proved(job, commit)]})
    ci.ruled(rules)
    ci.files["CHANGELOG.md"] = b"1\n"
    merge = ci.repo.commit(ci.files, [ci.tip, commit], ci.world.alice, b"Merge\n")
    refused(ci.world.verify_at(merge), (commit, "unknown-key"))


def test_an_issuer_that_is_pinned_later_makes_nothing_good_that_was_written_before(ci: Ci) -> None:
    """Rule 7.3, for pins: those of its own tree count as well."""
    pin = ci.files.pop(".auths/oidc/github.json")
    ci.ruled(evidence.RULE)
    job = Job(ci)
    commit = ci.commit(job)
    ci.attest({commit: [proved(job, commit)]})
    ci.ruled(evidence.RULE, **{".auths/oidc/github.json": pin})
    ci.files["CHANGELOG.md"] = b"1\n"
    merge = ci.repo.commit(ci.files, [ci.tip, commit], ci.world.alice, b"Merge\n")
    refused(ci.world.verify_at(merge), (commit, "unknown-key"))


def test_notes_that_cannot_be_read_whole_make_it_incomplete(ci: Ci) -> None:
    """Its evidence may stand there, and nobody has looked."""
    job = Job(ci)
    commit = ci.commit(job)
    note = b"[" * 17_000_000 + b"\n" + proved(job, commit) + b"\n"
    tree = ci.repo.tree({f"{commit[:2]}/{commit[2:]}": note})
    ci.repo.ref("refs/notes/auths", ci.repo.commit_tree(tree, [], None))
    refused(ci.world.verify_at(commit), (commit, "incomplete"))


def test_a_rule_that_comes_later_makes_nothing_good_that_was_written_before(ci: Ci) -> None:
    """Rule 7.3: a commit is judged by what its own parents say."""
    ci.ruled("")
    job = Job(ci)
    commit = ci.commit(job)
    ci.attest({commit: [proved(job, commit)]})
    ci.ruled(evidence.RULE)
    ci.files["CHANGELOG.md"] = b"1\n"
    merge = ci.repo.commit(ci.files, [ci.tip, commit], ci.world.alice, b"Merge\n")
    refused(ci.world.verify_at(merge), (commit, "unknown-key"))


def test_an_issuer_whose_pin_is_gone_meanwhile_receives_nothing_more(ci: Ci) -> None:
    """Rule 7.4: the pins of reception count, beside those of its own tree."""
    job = Job(ci)
    commit = ci.commit(job)
    ci.attest({commit: [proved(job, commit)]})
    del ci.files[".auths/oidc/github.json"]
    ci.ruled(evidence.RULE)
    ci.files["CHANGELOG.md"] = b"1\n"
    merge = ci.repo.commit(ci.files, [ci.tip, commit], ci.world.alice, b"Merge\n")
    refused(ci.world.verify_at(merge), (commit, "unknown-key"))


def test_what_was_received_stays_good_when_rule_and_pins_go(ci: Ci) -> None:
    """Honest: history does not rot."""
    job = Job(ci)
    commit = ci.commit(job)
    ci.attest({commit: [proved(job, commit)]})
    ci.tip = ci.world.advance(commit)
    for path in [path for path in ci.files if path.startswith((".auths/oidc/", ".auths/tsa/", ".auths/rekor/"))]:
        del ci.files[path]
    ci.files["CHANGELOG.md"] = b"1\n"
    ci.ruled("")
    accepted(ci.world.verify_at(ci.tip))


def test_a_foxtrot_with_a_commit_by_ci_is_refused(ci: Ci) -> None:
    """Row 59, by CI: what the other side's policy would not have received does not become the mainline."""
    job = Job(ci)
    commit = ci.commit(job)
    ci.attest({commit: [proved(job, commit)]})
    before = ci.tip
    ci.ruled("")
    ci.files["CHANGELOG.md"] = b"1\n"
    merge = ci.repo.commit(ci.files, [commit, ci.tip], ci.world.alice, b"Merge\n")
    answer = ci.world.verify_at(merge)
    assert answer.code == 1
    assert {"mainline-inverted", "unknown-key"} & set(answer.verdicts.values())
    assert before != ci.tip


def test_a_foxtrot_around_a_pin_that_was_taken_away_is_refused(ci: Ci) -> None:
    """Row 59, by CI: the rules are the same on both sides, and whose word counts is not."""
    job = Job(ci)
    commit = ci.commit(job)
    ci.attest({commit: [proved(job, commit)]})
    del ci.files[".auths/oidc/github.json"]
    ci.ruled(evidence.RULE)
    ci.files["CHANGELOG.md"] = b"1\n"
    merge = ci.repo.commit(ci.files, [commit, ci.tip], ci.world.alice, b"Merge\n")
    assert "mainline-inverted" in ci.world.verify_at(merge).verdicts.values()


def test_evidence_that_is_emptied_after_a_good_answer_is_missed(ci: Ci) -> None:
    """Row 76: what is remembered counts only while its notes are there."""
    job = Job(ci)
    commit = ci.commit(job)
    ci.attest({commit: [proved(job, commit)]})
    accepted(ci.world.verify_at(commit))
    behind = ci.repo.commit({**ci.files, "CHANGELOG.md": b"1\n", "src": b"2"}, [commit], ci.world.bob)
    accepted(ci.world.verify_at(behind))
    for lines in ([], [proved(job, commit, stamps=[])], [proved(job, commit, "2" * 40)]):
        ci.attest({commit: lines})
        refused(ci.world.verify_at(behind), (commit, "unknown-key"))
    (ci.repo.path / ".git/refs/notes/auths").unlink()
    refused(ci.world.verify_at(behind), (commit, "unknown-key"))


# Releases and people


def test_an_artifact_may_be_built_from_a_commit_by_ci(ci: Ci, tmp_path: Path) -> None:
    job, file = Job(ci), evidence.built(tmp_path)
    commit = ci.world.advance(ci.commit(job))
    ci.attest({commit: [proved(job, commit)]})
    builder = Job(ci, 78)
    file.put(evidence.of_file(builder, file.sha256, builder.token(commit), commit=commit))
    evidence.holds(ci.asked(file.path, "--strict"))
    ci.attest({})
    assert evidence.broken(ci.asked(file.path))[:2] == ("commit", "unknown-key")


# Pushes


@pytest.fixture
def gate(ci: Ci, tmp_path: Path) -> Gate:
    """A server that enforces the pinned world's rules."""
    bare = tmp_path / "published.git"
    run("git", "init", "--quiet", "--bare", "--template=", "--initial-branch=main", bare)
    ci.repo.git("push", "--quiet", bare, "main")
    return Gate(ci.world._replace(tip=ci.tip), tmp_path / "server.git", "server", bare)


def test_a_server_takes_a_commit_by_ci_with_its_evidence_in_one_push(ci: Ci, gate: Gate) -> None:
    job = Job(ci)
    commit = ci.world.advance(ci.commit(job))
    gate.refuses("main", verdict="unknown-key", object_id=commit)
    ci.attest({commit: [proved(job, commit)]})
    gate.refuses("main", verdict="unknown-key", object_id=commit)
    gate.takes("--atomic", "main", "refs/notes/auths")
    assert gate.refs()["refs/heads/main"] == commit


def test_a_server_takes_the_evidence_before_the_commit(ci: Ci, gate: Gate) -> None:
    job = Job(ci)
    commit = ci.world.advance(ci.commit(job))
    ci.attest({commit: [proved(job, commit)]})
    gate.takes("refs/notes/auths")
    gate.takes("main")
    assert gate.refs()["refs/heads/main"] == commit


@pytest.mark.parametrize("make", [
    lambda ci, job, commit: of_commit(job, commit, None),
    lambda ci, job, commit: of_commit(job, commit, Job(ci, 78).token(ci.tip)),
    lambda ci, job, commit: of_commit(job, commit, job.token(ci.tip, iss="https://evil.example")),
], ids=["no token", "another key's token", "another issuer"])  # fmt: skip
def test_a_server_takes_no_line_by_a_throwaway_key_that_no_token_binds(
    ci: Ci, gate: Gate, make: Callable[[Ci, Job, str], bytes]
) -> None:
    """DESIGN section 9: anybody can make such keys."""
    job = Job(ci)
    commit = ci.world.advance(ci.commit(job))
    ci.attest({commit: [make(ci, job, commit)]})
    gate.refuses("refs/notes/auths", verdict="throwaway key")
    gate.refuses("--atomic", "main", "refs/notes/auths", verdict="unknown-key")


@pytest.mark.parametrize("wrong", [
    {"token": {"repository_id": "654321"}}, {"token": {"sha": "2" * 40}}, {"stamps": []},
    {"files": {"src": "2"}},
], ids=["another repository", "another commit", "untimed", "another path"])  # fmt: skip
def test_a_server_refuses_what_verify_refuses(ci: Ci, gate: Gate, wrong: dict[str, Any]) -> None:
    """Rows 50, 68 and 80 at the gate; the evidence itself is a line that a server takes."""
    job = Job(ci)
    commit = ci.world.advance(ci.commit(job, **wrong.get("files", {})))
    made = {"stamps": wrong["stamps"]} if "stamps" in wrong else {}
    ci.attest({commit: [of_commit(job, commit, job.token(ci.tip, **wrong.get("token", {})), **made)]})
    gate.refuses("--atomic", "main", "refs/notes/auths", verdict="unknown-key", object_id=commit)
    gate.takes("refs/notes/auths")
    gate.refuses("main", verdict="unknown-key", object_id=commit)


def test_the_document_of_a_refused_commit_names_the_rule(ci: Ci) -> None:
    job = Job(ci)
    commit = ci.world.advance(ci.commit(job))
    said = json.loads(ci.repo.auths("verify-commit", "--json", "main").stdout)
    (one,) = said["objects"]
    assert (one["id"], one["verdict"], one["rule"]) == (commit, "unknown-key", "policy.ci[0]")
    assert "links" not in said
