"""Attacks on artifacts: what was built, by whom, from what, and who says so; and honest artifacts, which must pass."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.attacks import evidence, forge
from tests.attacks.evidence import AT, Ci, File, Job, binding, broken, bundle, file_subject, holds, rule, statement
from tests.attacks.forge import Answer, Person, Rule, World, approval, enrolled, envelope
from tests.attacks.test_agents import agent_of
from tests.attacks.test_approvals import measured, twin_of
from tests.attacks.test_compromise import DOUBTED_SINCE, declare
from tests.attacks.test_grants import device_of

VSA = "https://slsa.dev/verification_summary/v1"
RELEASE = ["sign_release"]


@pytest.fixture(scope="module")
def pinned(founded: World, tmp_path_factory: pytest.TempPathFactory) -> Ci:
    return evidence.found(founded, tmp_path_factory.mktemp("pinned"))


@pytest.fixture
def ci(pinned: Ci, tmp_path: Path) -> Ci:
    return pinned.again(tmp_path / "repo")


@pytest.fixture
def file(tmp_path: Path) -> File:
    return evidence.built(tmp_path)


def by(signer: Person, ci: Ci, digest: str, stamps: Any = (), commit: str | None = None, **bound: Any) -> bytes:
    """A person's bundle for what was built from the tip, or from `commit`."""
    said = statement([file_subject(digest)], commit or ci.tip, binding(ci, signer.did, **bound))
    return bundle(signer, said, stamps)


def vouches(signer: Person, ci: Ci, *digests: str, issued_at: str = "2026-06-02T00:00:00Z", **other: Any) -> bytes:
    """A release approval by `signer` of v1.0 with artifacts."""
    fields = {"root": ci.world.root, "id": "ab" * 20, "kind": "tag", "tag": "v1.0", "target": ci.tip, **other}
    said = approval(signer, issued_at=issued_at, **fields)
    if digests:
        said["predicate"]["artifacts"] = [{"sha256": digest} for digest in digests]
    return envelope(signer, said)


def unmet(answer: Answer, have: int = 1, need: int = 2) -> str:
    link, code, said = broken(answer)
    assert (link, code) == ("release", "threshold-unmet")
    assert f"{have} of {need} principals" in said
    return said


# Releases by people


def test_two_who_must_release_are_a_signer_and_one_who_vouches(ci: Ci, file: File) -> None:
    """Honest: without it what is refused below would prove nothing."""
    file.put(by(ci.world.alice, ci, file.sha256))
    unmet(ci.asked(file.path))
    ci.attest({file.sha256: [vouches(ci.world.bob, ci, file.sha256)]})
    assert holds(ci.asked(file.path, "--strict")) == ["file", "signature", "commit", "release"]
    assert holds(ci.asked(file.path, "--tag", "v1.0"))
    assert holds(ci.asked(file.path, "--signer", ci.world.alice.did))
    assert broken(ci.asked(file.path, "--signer", ci.world.bob.did))[1] == "other-signer"
    assert broken(ci.asked(file.path, "--identity", "*"))[:2] == ("token", "unbound-runner")


def test_the_bundle_may_stand_in_the_notes_alone(ci: Ci, file: File) -> None:
    ci.attest({file.sha256: [by(ci.world.alice, ci, file.sha256), vouches(ci.world.bob, ci, file.sha256)]})
    holds(ci.asked(file.path, "--strict"))


@pytest.mark.parametrize("other", [
    {"root": "22" * 20}, {"kind": "commit"}, {"kind": "admin"}, {"digest": "33" * 32}, {"digest": None},
], ids=lambda other: " ".join(map(str, next(iter(other.items()))))[:14])  # fmt: skip
def test_an_approval_that_differs_in_anything_vouches_for_nothing(ci: Ci, file: File, other: dict[str, Any]) -> None:
    """Row 30: for another root, of another kind, naming another digest or none."""
    digest = other.pop("digest", file.sha256)
    file.put(by(ci.world.alice, ci, file.sha256))
    ci.attest({file.sha256: [vouches(ci.world.bob, ci, *([digest] if digest else []), **other)]})
    unmet(ci.asked(file.path))


def test_an_approval_copied_from_another_artifact_vouches_for_nothing(ci: Ci, file: File, tmp_path: Path) -> None:
    """Row 30: even one whose digest begins alike, so that both stand in one note."""
    alike = file.sha256[:40] + "0" * 24
    file.put(by(ci.world.alice, ci, file.sha256))
    ci.attest({file.sha256: [vouches(ci.world.bob, ci, alike)]})
    unmet(ci.asked(file.path))


def test_an_approval_of_another_release_counts_where_no_tag_is_asked_for(ci: Ci, file: File) -> None:
    """Row 30: with --tag it must be that release's."""
    file.put(by(ci.world.alice, ci, file.sha256))
    ci.attest({file.sha256: [vouches(ci.world.bob, ci, file.sha256, tag="v0.9")]})
    holds(ci.asked(file.path))
    unmet(ci.asked(file.path, "--tag", "v1.0"))


@pytest.mark.parametrize("forger", ["mallory", "carol", "alice"])
def test_an_approval_in_somebody_elses_name_vouches_for_nothing(ci: Ci, file: File, forger: str) -> None:
    """Row 30: it says that Bob vouches, and another has signed it."""
    line = json.loads(vouches(ci.world.bob, ci, file.sha256))
    said = json.loads(forge.base64.b64decode(line["payload"]))
    file.put(by(ci.world.alice, ci, file.sha256))
    for hint in (None, line["signatures"][0]["keyid"]):
        ci.attest({file.sha256: [envelope(getattr(ci.world, forger), said, hint)]})
        unmet(ci.asked(file.path))


def test_the_signer_who_vouches_counts_once(ci: Ci, file: File) -> None:
    """Row 33."""
    file.put(by(ci.world.alice, ci, file.sha256))
    ci.attest({file.sha256: [vouches(ci.world.alice, ci, file.sha256)]})
    unmet(ci.asked(file.path))


@pytest.mark.parametrize("outsider", ["carol", "mallory"])
def test_whoever_is_not_listed_vouches_for_nothing(ci: Ci, file: File, outsider: str) -> None:
    ci.ruled(evidence.RULE, **forge.logs(ci.world.carol))
    file.put(by(ci.world.alice, ci, file.sha256))
    ci.attest({file.sha256: [vouches(getattr(ci.world, outsider), ci, file.sha256)]})
    unmet(ci.asked(file.path))


def with_delegate(ci: Ci, owner: Person, delegate: Person, kind: str) -> Person:
    files, _ = enrolled(ci.files, ci.world.root, owner, delegate, kind, capabilities=["sign_commit", *RELEASE])
    ci.files.update(files)
    ci.tip = ci.world.advance(ci.repo.commit(ci.files, [ci.tip], owner))
    return delegate


def test_a_signers_device_counts_as_the_signer(ci: Ci, file: File) -> None:
    """Row 31: vouching beside its owner it adds nothing; beside another it is a yes."""
    device = with_delegate(ci, ci.world.bob, device_of(ci.world.bob), "device")
    ci.attest({file.sha256: [vouches(device, ci, file.sha256)]})
    file.put(by(ci.world.bob, ci, file.sha256))
    unmet(ci.asked(file.path))
    file.put(by(ci.world.alice, ci, file.sha256))
    holds(ci.asked(file.path))
    file.put(by(device, ci, file.sha256))
    unmet(ci.asked(file.path))


def test_an_agent_vouches_for_nothing(ci: Ci, file: File) -> None:
    """Row 31: not even for another's artifact."""
    agent = with_delegate(ci, ci.world.bob, agent_of(ci.world.bob), "agent")
    file.put(by(ci.world.alice, ci, file.sha256))
    ci.attest({file.sha256: [vouches(agent, ci, file.sha256)]})
    unmet(ci.asked(file.path))


def test_two_who_list_one_key_count_once(ci: Ci, file: File) -> None:
    """Row 32."""
    twin = twin_of(ci.world.alice)
    rules = [ci.world.rules[0], Rule("release", [ci.world.alice, ci.world.bob, twin], 2), ci.world.rules[2]]
    text = forge.policy_toml(rules, [ci.world.alice, ci.world.bob, twin])
    ci.files.update({".auths/policy.toml": text, **forge.logs(twin)})
    ci.tip = ci.world.advance(ci.repo.commit(ci.files, [ci.tip], ci.world.alice))
    ci.attest({file.sha256: [vouches(twin, ci, file.sha256)]})
    file.put(by(ci.world.alice, ci, file.sha256))
    unmet(ci.asked(file.path))
    file.put(by(ci.world.bob, ci, file.sha256))
    holds(ci.asked(file.path))


def test_what_was_built_from_a_commit_that_has_since_been_rewritten_is_not_good(ci: Ci, file: File) -> None:
    """Row 34: neither where that commit is gone, nor where it is here and nobody's."""
    file.put(by(ci.world.alice, ci, file.sha256, commit="12" * 20))
    ci.attest({file.sha256: [vouches(ci.world.bob, ci, file.sha256)]})
    assert broken(ci.asked(file.path))[:2] == ("commit", "incomplete")
    stray = ci.commit(ci.world.mallory, src="2")
    file.put(by(ci.world.alice, ci, file.sha256, commit=stray))
    link, code, said = broken(ci.asked(file.path))
    assert (link, code) == ("commit", "unknown-key")
    assert stray in said
    behind = ci.commit(ci.world.alice, [stray], src="3")
    file.put(by(ci.world.alice, ci, file.sha256, commit=behind))
    link, code, said = broken(ci.asked(file.path))
    assert (link, code) == ("commit", "unknown-key")
    assert behind in said
    assert stray in said


@pytest.mark.parametrize("notes", ["withheld", "emptied"])
def test_notes_that_are_withheld_leave_the_threshold_unmet(ci: Ci, file: File, notes: str) -> None:
    """Row 35: and where no bundle lies beside the file, nothing at all says who made it."""
    if notes == "emptied":
        ci.attest({"11" * 20: []})
    file.put(by(ci.world.alice, ci, file.sha256))
    unmet(ci.asked(file.path))
    file.path.with_name("app.auths.json").unlink()
    link, code, said = broken(ci.asked(file.path))
    assert (link, code) == ("signature", "unsigned")
    assert ("git auths sync" in said) is (notes == "withheld")


def on_the_digest(ci: Ci, file: File, note: bytes) -> None:
    address = file.sha256[:40]
    tree = ci.repo.tree({f"{address[:2]}/{address[2:]}": note})
    ci.repo.ref("refs/notes/auths", ci.repo.commit_tree(tree, [], None))


def test_rubbish_in_a_note_hides_neither_bundle_nor_approval(ci: Ci, file: File) -> None:
    """Row 36: a million lines, in bounded time and memory."""
    half = b"".join(b"rubbish %d\n" % (n % 10) for n in range(500_000))
    honest = [by(ci.world.alice, ci, file.sha256), vouches(ci.world.bob, ci, file.sha256)]
    on_the_digest(ci, file, half + b"\n".join([*honest, half]))
    code, seconds, mebibytes = measured(ci.world, "git-auths", "artifact", "verify", str(file.path))
    assert (code, seconds < 5, mebibytes < 300) == (0, True, True)


def test_a_note_beyond_its_bound_makes_the_answer_incomplete(ci: Ci, file: File) -> None:
    """Row 36: nobody has looked at what may stand there."""
    file.put(by(ci.world.alice, ci, file.sha256))
    on_the_digest(ci, file, b"[" * 17_000_000 + b"\n" + vouches(ci.world.bob, ci, file.sha256) + b"\n")
    assert broken(ci.asked(file.path))[:2] == ("release", "incomplete")
    file.path.with_name("app.auths.json").unlink()
    assert broken(ci.asked(file.path))[:2] == ("signature", "incomplete")


def test_a_long_line_hides_no_approval(ci: Ci, file: File) -> None:
    """Row 36: 64 KiB a line; within the note's bound the other lines count."""
    file.put(by(ci.world.alice, ci, file.sha256))
    on_the_digest(ci, file, b"[" * 2_000_000 + b"\n" + vouches(ci.world.bob, ci, file.sha256) + b"\n")
    holds(ci.asked(file.path))


def test_thousands_of_lines_by_strangers_hide_no_approval_and_no_bundle(ci: Ci, file: File) -> None:
    """Row 36: well formed, signed, and about this very file; they sort before the honest ones."""
    stranger = Person("Stranger", 900)
    lines = [by(stranger, ci, file.sha256, issued_at=AT - number) for number in range(1, 300)]
    lines += [vouches(stranger, ci, file.sha256, issued_at=f"2020-01-01T00:{n // 60:02}:{n % 60:02}Z")
              for n in range(1200)]  # fmt: skip
    ci.attest({file.sha256: [*lines, vouches(ci.world.bob, ci, file.sha256), by(ci.world.alice, ci, file.sha256)]})
    begun = time.monotonic()
    holds(ci.asked(file.path))
    assert time.monotonic() - begun < 5


# Bytes


@pytest.mark.parametrize("change", [
    lambda content: content[:-1] + b"?", lambda content: content + b"\n", lambda content: content[:-1], lambda _: b"",
], ids=["changed", "longer", "shorter", "empty"])  # fmt: skip
def test_an_artifact_with_one_byte_changed_is_refused(ci: Ci, file: File, change: Callable[[bytes], bytes]) -> None:
    """Row 52."""
    job = Job(ci)
    file.put(evidence.of_file(job, file.sha256, job.token(ci.tip)))
    holds(ci.asked(file.path))
    file.path.write_bytes(change(file.path.read_bytes()))
    assert broken(ci.asked(file.path))[:2] == ("file", "other-file")


def test_a_bundle_of_another_file_is_refused(ci: Ci, file: File, tmp_path: Path) -> None:
    """Row 52: by its place, and by --bundle."""
    job, other = Job(ci), evidence.built(tmp_path, b"another\n", "other")
    line = evidence.of_file(job, other.sha256, job.token(ci.tip))
    assert broken(ci.asked(file.put(line)))[:2] == ("file", "other-file")
    bundle_of_other = str(other.put(line)) + ".auths.json"
    assert broken(ci.asked(file.path, "--bundle", bundle_of_other))[:2] == ("file", "other-file")
    holds(ci.asked(other.path))


def swapped(line: bytes, **payload: Any) -> bytes:
    """The bundle with other fields in its signed statement, and the old signature."""
    value = json.loads(line)
    said = json.loads(forge.base64.b64decode(value["dsseEnvelope"]["payload"])) | payload
    value["dsseEnvelope"]["payload"] = evidence.text(json.dumps(said, sort_keys=True, separators=(",", ":")).encode())
    return json.dumps(value, separators=(",", ":")).encode()


def test_what_is_swapped_in_a_signed_statement_breaks_its_signature(ci: Ci, file: File) -> None:
    """Row 52: its predicate, its type, its subject."""
    job = Job(ci)
    line = evidence.of_file(job, "44" * 32, job.token(ci.tip))
    (ours,) = [json.loads(forge.base64.b64decode(json.loads(line)["dsseEnvelope"]["payload"]))]
    other_commit = json.loads(json.dumps(ours["predicate"]).replace(ci.tip, ci.world.root))
    file.put(swapped(line, subject=[file_subject(file.sha256)]))
    assert broken(ci.asked(file.path))[:2] == ("signature", "bad-signature")
    file.put(swapped(line, subject=[file_subject(file.sha256)], predicate=other_commit))
    assert broken(ci.asked(file.path))[:2] == ("signature", "bad-signature")
    file.put(swapped(evidence.of_file(job, file.sha256, job.token(ci.tip)), predicateType=VSA))
    assert broken(ci.asked(file.path))[:2] == ("signature", "other-predicate")
    assert broken(ci.asked(file.path, "--type", "vsa"))[:2] == ("signature", "bad-signature")


def test_another_payload_type_is_refused_though_it_is_signed(ci: Ci, file: File) -> None:
    """Row 52: what was signed as one thing does not count as another."""
    job = Job(ci)
    said = statement([file_subject(file.sha256)], ci.tip, binding(ci, job.did, job.token(ci.tip)))
    _, signature = evidence.signed(job, said, "text/plain")
    value = json.loads(evidence.of_file(job, file.sha256, job.token(ci.tip), []))
    value["dsseEnvelope"]["signatures"][0]["sig"] = evidence.text(signature)
    file.put(json.dumps(value).encode())
    assert broken(ci.asked(file.path))[:2] == ("signature", "bad-signature")
    value["dsseEnvelope"]["payloadType"] = "text/plain"
    file.put(json.dumps(value).encode())
    assert broken(ci.asked(file.path))[:2] == ("signature", "malformed")


def test_another_predicate_type_counts_only_where_it_is_asked_for(ci: Ci, file: File) -> None:
    """Row 52: a verification summary is no provenance."""
    said = statement([file_subject(file.sha256)], ci.tip, binding(ci, ci.world.alice.did), kind=VSA)
    file.put(bundle(ci.world.alice, said))
    ci.attest({file.sha256: [vouches(ci.world.bob, ci, file.sha256)]})
    assert broken(ci.asked(file.path))[:2] == ("signature", "other-predicate")
    holds(ci.asked(file.path, "--type", "vsa"))
    holds(ci.asked(file.path, "--type", VSA))


def test_a_statement_for_another_root_is_refused(ci: Ci, file: File) -> None:
    """What was signed for a fork counts nowhere else."""
    file.put(by(ci.world.alice, ci, file.sha256, root="22" * 20))
    assert broken(ci.asked(file.path))[:2] == ("signature", "other-root")


@pytest.mark.parametrize("signer", ["mallory", "carol"])
def test_a_bundle_in_somebody_elses_name_is_refused(ci: Ci, file: File, signer: str) -> None:
    said = statement([file_subject(file.sha256)], ci.tip, binding(ci, ci.world.alice.did))
    file.put(bundle(getattr(ci.world, signer), said))
    assert broken(ci.asked(file.path))[:2] == ("signature", "bad-signature")


def test_a_persons_bundle_takes_no_token(ci: Ci, file: File) -> None:
    """A token binds a throwaway key; with Alice's it would only look like evidence."""
    file.put(by(ci.world.alice, ci, file.sha256, token=Job(ci).token(ci.tip)))
    assert broken(ci.asked(file.path))[:2] == ("signature", "malformed")


@pytest.mark.parametrize("commits", [[], ["tip", "root"]], ids=["none", "two"])
def test_provenance_names_one_commit(ci: Ci, file: File, commits: list[str]) -> None:
    """With several, a token for one of them would speak for all."""
    ids = {"tip": ci.tip, "root": ci.world.root}
    built = {"resolvedDependencies": [{"digest": {"gitCommit": ids[one]}} for one in commits]}
    job = Job(ci)
    said = statement([file_subject(file.sha256)], ci.tip, binding(ci, job.did, job.token(ci.tip)),
                     buildDefinition=built)  # fmt: skip
    file.put(bundle(job, said, [ci.services.tsa.stamp]))
    assert broken(ci.asked(file.path))[:2] == ("commit", "malformed")


@pytest.mark.parametrize("content", [
    b"", b"{}", b"[]", b"\xff\xfe", b'{"mediaType":1}', b"{" * 50_000, b"[" * 5_000_000, b"\0" * 100_000,
], ids=lambda content: f"{content[:4]!r} {len(content)}")  # fmt: skip
def test_what_is_no_bundle_is_refused_and_no_failure_of_the_program(ci: Ci, file: File, content: bytes) -> None:
    assert broken(ci.asked(file.put(content)))[:2] == ("signature", "malformed")


def test_a_bundle_of_a_hundred_megabytes_is_not_read_whole(ci: Ci, file: File) -> None:
    with file.path.with_name("app.auths.json").open("wb") as stream:
        stream.truncate(100 * 2**20)
    code, seconds, mebibytes = measured(ci.world, "git-auths", "artifact", "verify", str(file.path))
    assert (code, seconds < 3, mebibytes < 150) == (1, True, True)
    assert broken(ci.asked(file.path))[:2] == ("signature", "malformed")


@pytest.mark.parametrize(("old", "new"), [
    ('"sig":"', '"sig":"!'), ('"sig":"', '"sig":" '), ('"sig":"', '"sig":"\\n'), ('"payload":"', '"payload":"=='),
    ('"payloadType"', '"payload":"e30=","payloadType"'), ('"signatures":[', '"signatures":[],"signatures":['),
    ('"dsseEnvelope"', '"mediaType":"x","dsseEnvelope"'), ('"tlogEntries":[]', '"tlogEntries":[],"tlogEntries":[]'),
    ('"hint":"SHA256:', '"hint":"SHA256:x'), ('"keyid":"SHA256:', '"keyid":"SHA256:x'),
    ('"dsseEnvelope"', '"more":1,"dsseEnvelope"'),
], ids=range(11))  # fmt: skip
def test_base64_with_junk_and_keys_that_appear_twice_are_refused(ci: Ci, file: File, old: str, new: str) -> None:
    line = by(ci.world.alice, ci, file.sha256).decode()
    assert old in line
    assert broken(ci.asked(file.put(line.replace(old, new, 1).encode())))[:2] == ("signature", "malformed")


# Throwaway keys


def now() -> int:
    return int(time.time())


def test_anybody_can_make_a_throwaway_key(ci: Ci, file: File) -> None:
    """Row 51: any [policy.ci.identity] refuses what no token binds, and says so."""
    file.put(evidence.of_file(Job(ci), file.sha256, None, [], issued_at=now()))
    link, code, said = broken(ci.asked(file.path))
    assert (link, code) == ("token", "unbound-runner")
    assert "anyone could have made this" in said


def test_without_an_identity_in_the_policy_it_is_a_warning_that_strict_readers_refuse(ci: Ci, file: File) -> None:
    """Row 51: a maintainer's good commit lends it nothing."""
    ci.ruled(rule(identity=None))
    file.put(evidence.of_file(Job(ci), file.sha256, None, [], issued_at=now()))
    holds(ci.asked(file.path), "unbound-runner", "untimed")
    assert "unbound-runner" in ci.repo.auths("artifact", "verify", str(file.path)).stdout
    assert broken(ci.asked(file.path, "--strict"))[:2] == ("token", "unbound-runner")
    assert broken(ci.asked(file.path, "--identity", "*"))[:2] == ("token", "unbound-runner")
    assert broken(ci.asked(file.path, "--issuer", "https://gitlab.com"))[:2] == ("token", "unbound-runner")


def test_a_policy_that_says_nothing_of_ci_is_told(ci: Ci, file: File) -> None:
    ci.ruled("")
    job = Job(ci)
    file.put(evidence.of_file(job, file.sha256, None, [], issued_at=now()))
    holds(ci.asked(file.path), "unbound-runner", "untimed", "ungoverned")
    file.put(evidence.of_file(job, file.sha256, job.token(ci.tip)))
    holds(ci.asked(file.path), "unbound-runner", "ungoverned")
    assert broken(ci.asked(file.path, "--strict"))[1] == "unbound-runner"
    holds(ci.asked(file.path, "--identity", "owner/repo/*", "--issuer", evidence.oidc.GITHUB), "ungoverned")
    assert broken(ci.asked(file.path, "--identity", "evil/*"))[:2] == ("token", "claim-mismatch")
    assert broken(ci.asked(file.path, "--issuer", "https://gitlab.com"))[:2] == ("token", "claim-mismatch")


@pytest.mark.parametrize(("demand", "code"), [
    ("require_timestamp = true", "timestamp-missing"), ('require_log = "sigstore-rekor"', "log-missing"),
])  # fmt: skip
def test_what_the_policy_requires_must_be_there(ci: Ci, file: File, demand: str, code: str) -> None:
    """Row 51: and once it is, the key may still be anybody's."""
    ci.ruled(rule(demand, identity=None))
    job = Job(ci)
    file.put(evidence.of_file(job, file.sha256, None, [], issued_at=now()))
    assert broken(ci.asked(file.path))[1] == code
    file.put(evidence.of_file(job, file.sha256, None, None, [evidence.logged_v1(ci.services.v1)]))
    holds(ci.asked(file.path), "unbound-runner")
    ci.ruled(rule(demand))
    file.put(evidence.of_file(job, file.sha256, job.token(ci.tip), None, [evidence.logged_v1(ci.services.v1)]))
    holds(ci.asked(file.path, "--strict"))


def test_a_policy_that_allows_no_throwaway_keys_takes_none(ci: Ci, file: File) -> None:
    ci.ruled(evidence.RULE.replace("allow_ephemeral = true\n", f'signers = ["{ci.world.bob.did}"]\n', 1))
    job = Job(ci)
    file.put(evidence.of_file(job, file.sha256, job.token(ci.tip)))
    assert broken(ci.asked(file.path))[:2] == ("release", "unauthorized")


def test_a_throwaway_key_that_signed_nothing_is_refused(ci: Ci, file: File) -> None:
    """The statement names one key, and another has signed."""
    honest, thief = Job(ci), Job(ci, 78)
    said = statement([file_subject(file.sha256)], ci.tip, binding(ci, honest.did, honest.token(ci.tip)))
    file.put(bundle(thief, said, [ci.services.tsa.stamp]))
    assert broken(ci.asked(file.path))[:2] == ("signature", "bad-signature")


def test_evidence_that_nothing_is_pinned_for_is_none(ci: Ci, file: File) -> None:
    """It neither counts nor passes for a proof; a policy that demands it refuses."""
    for path in [path for path in ci.files if path.startswith((".auths/oidc/", ".auths/tsa/", ".auths/rekor/"))]:
        del ci.files[path]
    job, entry = Job(ci), evidence.logged_v1(ci.services.v1)
    made = {"entries": [entry], "issued_at": now()}
    ci.ruled(rule(identity=None))
    file.put(evidence.of_file(job, file.sha256, job.token(ci.tip), **made))
    holds(ci.asked(file.path), "unbound-runner", "unpinned", "unpinned", "untimed")
    for demand, code in (("require_timestamp = true", "unpinned"), ('require_log = "sigstore-rekor"', "unpinned")):
        ci.ruled(rule(demand, identity=None))
        assert broken(ci.asked(file.path))[1] == code
    ci.ruled(evidence.RULE)
    link, code, said = broken(ci.asked(file.path))
    assert (link, code) == ("token", "unbound-runner")
    assert ".auths/oidc" in said


def test_a_rule_that_demands_less_is_no_way_around_one_that_names_the_job(ci: Ci, file: File) -> None:
    ci.ruled(rule(identity=None) + evidence.RULE)
    file.put(evidence.of_file(Job(ci), file.sha256, None, [], issued_at=now()))
    assert broken(ci.asked(file.path))[1] == "unbound-runner"


def test_one_of_several_rules_is_enough(ci: Ci, file: File) -> None:
    """Honest: two workflows, each with a rule of its own."""
    other = evidence.RULE.replace("release.yml", "nightly.yml").replace("max_ttl", "require_timestamp = true\nmax_ttl")
    job = Job(ci)
    file.put(evidence.of_file(job, file.sha256, job.token(ci.tip)))
    for rules in (other + evidence.RULE, evidence.RULE + other):
        ci.ruled(rules)
        holds(ci.asked(file.path, "--strict"))
    ci.ruled(other)
    assert broken(ci.asked(file.path))[1] == "claim-mismatch"


def test_an_end_years_ahead_is_cut_to_what_the_policy_allows(ci: Ci, file: File) -> None:
    """Row 68: counted from the token, whatever the signer says of the time."""
    job, years = Job(ci), 10 * 365 * 86400
    for issued_at in (AT, now()):
        file.put(evidence.of_file(job, file.sha256, job.token(ci.tip), [], issued_at=issued_at,
                                  expires_at=AT + years))  # fmt: skip
        assert broken(ci.asked(file.path))[:2] == ("expiry", "expired")
    ci.ruled(rule(identity=None))
    file.put(evidence.of_file(job, file.sha256, None, [], issued_at=now() - 7200, expires_at=now() + years))
    assert broken(ci.asked(file.path))[:2] == ("expiry", "expired")
    file.put(evidence.of_file(job, file.sha256, None, [], issued_at=now() + 2 * 86400))
    assert broken(ci.asked(file.path))[:2] == ("expiry", "issued-ahead")


def test_what_is_stamped_after_its_end_counts_no_more(ci: Ci, file: File) -> None:
    """Row 68: an end of its own, before what the policy allows; the trusted time is compared, not today's."""
    job = Job(ci)
    file.put(evidence.of_file(job, file.sha256, job.token(ci.tip), expires_at=AT + 1))
    holds(ci.asked(file.path, "--strict"))
    late = [evidence.stamp_at(ci, AT + 2)]
    file.put(evidence.of_file(job, file.sha256, job.token(ci.tip), late, expires_at=AT + 1))
    assert broken(ci.asked(file.path))[:2] == ("expiry", "expired")


def test_a_release_approval_places_what_has_ended_before_its_end(ci: Ci, file: File) -> None:
    """Honest: without a trusted time the bytes are vouched for, and who ran it stays unproved."""
    ci.ruled(rule(identity=None))
    file.put(evidence.of_file(Job(ci), file.sha256, None, []))
    assert broken(ci.asked(file.path))[:2] == ("expiry", "expired")
    early, late = evidence.rfc3339(AT + 60), evidence.rfc3339(AT + 3601)
    for who, when, root in ((ci.world.bob, late, None), (ci.world.carol, early, None), (ci.world.bob, early, "2" * 40)):
        ci.attest({file.sha256: [vouches(who, ci, file.sha256, issued_at=when, **({"root": root} if root else {}))]})
        assert broken(ci.asked(file.path))[:2] == ("expiry", "expired")
    ci.attest({file.sha256: [vouches(ci.world.bob, ci, file.sha256, issued_at=early)]})
    assert "expiry" in holds(ci.asked(file.path), "unbound-runner", "untimed")
    assert broken(ci.asked(file.path, "--strict"))[1] == "unbound-runner"


def test_an_agents_approval_places_nothing_in_time(ci: Ci, file: File) -> None:
    ci.ruled(rule(identity=None))
    agent = with_delegate(ci, ci.world.bob, agent_of(ci.world.bob), "agent")
    file.put(evidence.of_file(Job(ci), file.sha256, None, []))
    ci.attest({file.sha256: [vouches(agent, ci, file.sha256, issued_at=evidence.rfc3339(AT + 60))]})
    assert broken(ci.asked(file.path))[:2] == ("expiry", "expired")


def test_a_persons_signature_ends_where_it_says_so(ci: Ci, file: File) -> None:
    ci.attest({file.sha256: [vouches(ci.world.bob, ci, file.sha256, issued_at=evidence.rfc3339(AT + 60))]})
    file.put(by(ci.world.alice, ci, file.sha256, expires_at=AT + 59))
    assert broken(ci.asked(file.path))[:2] == ("expiry", "expired")
    file.put(by(ci.world.alice, ci, file.sha256, expires_at=AT + 60))
    holds(ci.asked(file.path))  # Bob vouched for it before that
    file.put(by(ci.world.alice, ci, file.sha256, [ci.services.tsa.stamp], expires_at=AT))
    assert holds(ci.asked(file.path, "--strict")) == ["file", "signature", "commit", "release", "timestamp"]


# Pipelines with an identity of their own


def test_a_pipeline_that_a_rule_lists_signs_by_its_own_key(ci: Ci, file: File) -> None:
    """Honest: Carol is a pipeline; the release rule does not know her."""
    listed = f'signers = ["{ci.world.carol.did}"]'
    ci.ruled(rule(listed, identity=None).replace("allow_ephemeral = true\n", ""), **forge.logs(ci.world.carol))
    file.put(by(ci.world.carol, ci, file.sha256, [ci.services.tsa.stamp]))
    assert holds(ci.asked(file.path, "--strict")) == ["file", "signature", "commit", "release", "timestamp"]
    file.put(by(ci.world.carol, ci, file.sha256, issued_at=now()))
    holds(ci.asked(file.path), "untimed")
    file.put(by(ci.world.carol, ci, file.sha256))
    assert broken(ci.asked(file.path))[:2] == ("expiry", "expired")
    file.put(by(ci.world.mallory, ci, file.sha256))
    assert broken(ci.asked(file.path))[:2] == ("signature", "bad-signature")


def test_a_pipeline_that_no_rule_lists_signs_nothing(ci: Ci, file: File) -> None:
    ci.ruled(evidence.RULE, **forge.logs(ci.world.carol))
    file.put(by(ci.world.carol, ci, file.sha256, [ci.services.tsa.stamp]))
    assert broken(ci.asked(file.path))[:2] == ("release", "unauthorized")


def test_a_pipeline_past_its_end_signs_nothing(ci: Ci, file: File) -> None:
    did = ci.world.carol.did
    listed = rule(f'signers = ["{did}"]', identity=None)
    for end, code in ((evidence.rfc3339(forge.NOW - 1), "unauthorized"), ("2099-01-01T00:00:00Z", None)):
        ci.ruled(listed + f'[signer."{did}"]\nname = "CI"\nexpires_at = {end}\n', **forge.logs(ci.world.carol))
        file.put(by(ci.world.carol, ci, file.sha256, [ci.services.tsa.stamp]))
        if code is None:
            holds(ci.asked(file.path, "--strict"))
        else:
            assert broken(ci.asked(file.path))[:2] == ("release", code)


def test_a_rule_that_demands_less_is_no_way_around_one_that_demands_a_time(ci: Ci, file: File) -> None:
    listed = rule(f'signers = ["{ci.world.carol.did}"]', identity=None)
    ci.ruled(listed + listed.replace("max_ttl", "require_timestamp = true\nmax_ttl"), **forge.logs(ci.world.carol))
    file.put(by(ci.world.carol, ci, file.sha256, issued_at=now()))
    assert broken(ci.asked(file.path))[:2] == ("timestamp", "timestamp-missing")
    file.put(by(ci.world.carol, ci, file.sha256, [ci.services.tsa.stamp]))
    holds(ci.asked(file.path, "--strict"))


def test_a_pipeline_whose_delegation_was_revoked_signs_nothing(ci: Ci, file: File) -> None:
    device = with_delegate(ci, ci.world.bob, device_of(ci.world.bob), "device")
    listed = rule(f'signers = ["{device.did}"]', identity=None)
    ci.ruled(listed)
    file.put(by(device, ci, file.sha256, [ci.services.tsa.stamp]))
    holds(ci.asked(file.path, "--strict"))
    ci.world.bob.log.interact(forge.revocation(device))
    ci.ruled(listed, **forge.logs(ci.world.bob))
    assert broken(ci.asked(file.path))[0] == "release"


def test_a_pipeline_that_may_release_as_well_is_judged_as_a_person_first(ci: Ci, file: File) -> None:
    """Honest: what a release of two vouches for does not end within max_ttl."""
    ci.ruled(rule(f'signers = ["{ci.world.bob.did}"]', identity=None))
    file.put(by(ci.world.bob, ci, file.sha256))
    assert broken(ci.asked(file.path))[:2] == ("expiry", "expired")
    ci.attest({file.sha256: [vouches(ci.world.alice, ci, file.sha256)]})
    holds(ci.asked(file.path, "--strict"))


# Whose right has ended, and which rules ask


def test_a_signer_past_his_end_releases_nothing_more(ci: Ci, file: File) -> None:
    """Row 17, for artifacts: by the later of the repository's clock and his own word."""
    ci.attest({file.sha256: [vouches(ci.world.bob, ci, file.sha256)]})
    end = f'name = "Alice"\nexpires_at = {evidence.rfc3339(AT)}\n'.encode()
    only_bob = [*ci.world.rules[:2], Rule("admin", [ci.world.bob])]
    ci.files[".auths/policy.toml"] = forge.policy_toml(only_bob, [ci.world.alice, ci.world.bob]).replace(
        b'name = "Alice"\n', end)  # fmt: skip
    ci.tip = ci.world.advance(ci.repo.commit(ci.files, [ci.tip], ci.world.alice))
    file.put(by(ci.world.alice, ci, file.sha256, issued_at=AT - 1))
    holds(ci.asked(file.path))
    file.put(by(ci.world.alice, ci, file.sha256, issued_at=AT))
    assert broken(ci.asked(file.path))[:2] == ("release", "expired")


def test_a_release_that_no_rule_matches_is_nobodys(ci: Ci, file: File) -> None:
    rules = [ci.world.rules[0], Rule("release", [ci.world.alice], 1, 'tags = ["v*"]'), ci.world.rules[2]]
    ci.files[".auths/policy.toml"] = forge.policy_toml(rules, [ci.world.alice, ci.world.bob])
    ci.tip = ci.world.advance(ci.repo.commit(ci.files, [ci.tip], ci.world.alice))
    file.put(by(ci.world.alice, ci, file.sha256))
    holds(ci.asked(file.path, "--tag", "v1.0"))
    assert broken(ci.asked(file.path, "--tag", "nightly"))[:2] == ("release", "ungoverned")


def test_a_stamp_that_a_stranger_adds_makes_nothing_worth_less(ci: Ci, file: File) -> None:
    stray = evidence.text(ci.services.tsa.stamp(b"another signature"))
    job = Job(ci)
    value = json.loads(evidence.of_file(job, file.sha256, job.token(ci.tip)))
    value["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"].append({"signedTimestamp": stray})
    file.put(json.dumps(value).encode())
    holds(ci.asked(file.path, "--strict"))


# Keys that were stolen


@pytest.mark.parametrize(("at", "counts"), [(DOUBTED_SINCE - 1, True), (DOUBTED_SINCE, False), (None, False)])
def test_of_a_compromised_key_only_what_a_trusted_time_places_before_counts(
    ci: Ci, file: File, at: int | None, counts: bool
) -> None:
    """Honest before the declared time; after it, or untimed, it may be the thief's."""
    stamps = [] if at is None else [evidence.stamp_at(ci, at)]
    file.put(by(ci.world.bob, ci, file.sha256, stamps, issued_at=DOUBTED_SINCE - 100))
    ci.attest({file.sha256: [vouches(ci.world.alice, ci, file.sha256)]})
    holds(ci.asked(file.path))
    declare(ci.world.bob, 0)
    ci.ruled(evidence.RULE, **forge.logs(ci.world.bob))
    if counts:
        holds(ci.asked(file.path))
    else:
        assert broken(ci.asked(file.path))[:2] == ("signature", "compromised-key")


def test_a_compromised_key_vouches_for_nothing_without_a_trusted_time_before(ci: Ci, file: File) -> None:
    """Row 65, for artifacts: the thief can date an approval as he likes."""
    file.put(by(ci.world.alice, ci, file.sha256))
    fields = {"root": ci.world.root, "id": "ab" * 20, "kind": "tag", "tag": "v1.0", "target": ci.tip}
    said = approval(ci.world.bob, issued_at="2026-05-30T00:00:00Z", **fields)
    said["predicate"]["artifacts"] = [{"sha256": file.sha256}]
    plain, early, late = (bundle(ci.world.bob, said, [evidence.stamp_at(ci, at)] if at else [])
                          for at in (None, DOUBTED_SINCE - 1, DOUBTED_SINCE))  # fmt: skip
    declare(ci.world.bob, 0)
    ci.ruled(evidence.RULE, **forge.logs(ci.world.bob))
    for line in (plain, late):
        ci.attest({file.sha256: [line]})
        unmet(ci.asked(file.path))
    ci.attest({file.sha256: [early]})
    holds(ci.asked(file.path))


def test_a_key_that_was_rotated_away_softly_still_counts(ci: Ci, file: File) -> None:
    """Honest: a rotation never un-verifies."""
    line = by(ci.world.alice, ci, file.sha256)
    vouched = vouches(ci.world.bob, ci, file.sha256)
    ci.world.bob.log.rotate()
    ci.world.alice.log.rotate()
    ci.ruled(evidence.RULE, **forge.logs(ci.world.alice, ci.world.bob))
    file.put(line)
    ci.attest({file.sha256: [vouched]})
    holds(ci.asked(file.path, "--strict"))


def test_a_stamp_that_a_stranger_adds_late_breaks_nothing(ci: Ci, file: File) -> None:
    """It proves a time after the token's end; the same envelope without it is untimed, as before."""
    ci.ruled(evidence.rule())
    now = int(time.time())
    job = Job(ci)
    token = job.token(ci.tip, iat=now - 60, exp=now + 60)
    plain = evidence.of_file(job, file.sha256, token, [], issued_at=now)
    late = evidence.of_file(job, file.sha256, token, [evidence.stamp_at(ci, now + 3600)], issued_at=now)
    ci.attest({file.sha256: [plain]})
    assert holds(ci.asked(file.path), "untimed", "untimed")
    ci.attest({file.sha256: [late]})
    assert holds(ci.asked(file.path), "untimed", "untimed")


def test_a_mainline_that_was_set_back_verifies_no_artifact(ci: Ci, file: File) -> None:
    """Row 37: before Alice alone was to release, Bob's yes was enough; the tip that took it away was good here."""
    file.put(by(ci.world.alice, ci, file.sha256))
    ci.attest({file.sha256: [vouches(ci.world.bob, ci, file.sha256)]})
    old = ci.tip
    new = ci.world.advance(ci.repo.commit({**ci.files, "src": b"2"}, [old], ci.world.alice))
    assert ci.repo.auths("verify", "main").code == 0
    ci.world.advance(old)
    assert new != old
    assert broken(ci.asked(file.path))[:2] == ("commit", "rewound")


@pytest.mark.parametrize("kind", ["https://slsa.dev/verification_summary/v1", "https://spdx.dev/Document/v2.3"])
def test_a_mainline_that_is_not_good_verifies_nothing_that_names_no_commit(ci: Ci, file: File, kind: str) -> None:
    """An outsider's policy lists her own key as the one who releases."""
    mallory = ci.world.mallory
    rules = [Rule("commit", [mallory]), Rule("release", [mallory]), Rule("admin", [mallory])]
    stolen = ci.repo.commit({"README": b"x", **forge.auths(rules, [mallory])}, [ci.tip], mallory)
    ci.world.advance(stolen)
    said = {"_type": "https://in-toto.io/Statement/v1", "subject": [file_subject(file.sha256)], "predicateType": kind,
            "predicate": {"gitauths_binding": binding(ci, mallory.did)}}  # fmt: skip
    file.put(bundle(mallory, said))
    assert broken(ci.asked(file.path, "--type", kind))[0] == "commit"
