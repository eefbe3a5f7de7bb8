from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from git_auths.core import attested, opensshkey
from git_auths.core.provenance import CommitNote
from git_auths.core.statement import Subject
from git_auths.store import attestations, notes
from git_auths.store.attestations import Found, Ignored
from git_auths.store.repository import Repository
from tests.attesting import AT, Signer, about, random_digest, throwaway
from tests.realgit import run

NOT_ABOUT_IT = "it is not about what it stands on"


@pytest.fixture(params=["sha1", "sha256"])
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Repository:
    run("git", "init", "-q", f"--object-format={request.param}", tmp_path / "work")
    return Repository(tmp_path / "work")


@pytest.fixture
def ada(repository: Repository) -> Signer:
    return Signer("did:keri:E" + "A" * 43, opensshkey.generate(), id_of(repository, "root"))


def of_object(repository: Repository, id: str) -> Found:
    with notes.opened(repository.path) as there:
        return attestations.of_object(there, id)


def of_digest(repository: Repository, digest: str) -> Found:
    with notes.opened(repository.path) as there:
        return attestations.of_digest(there, digest, repository.hex_length)


def every(repository: Repository) -> list[attested.Attested | Ignored]:
    with notes.opened(repository.path) as there:
        return list(attestations.every(there, repository.hex_length))


def id_of(repository: Repository, text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[: repository.hex_length]


def raws(found: Found) -> list[bytes]:
    return [one.raw for one in found.attested]


def test_a_line_stands_on_each_commit_tag_and_digest_that_it_names(repository: Repository, ada: Signer) -> None:
    commit, tag, other = (id_of(repository, text) for text in ("commit", "tag", "other"))
    digests = [random_digest() for _ in range(3)]
    built = ada.provenance(commit, *digests)
    said = ada.attests({}, "https://example.com/said/v1", about(commit), Subject("v1", {"gitTag": tag}))
    assert attestations.add(repository, [built, said], "attest") == 4 + 2
    assert raws(of_object(repository, commit)) == sorted([built, said])
    assert raws(of_object(repository, tag)) == [said]
    assert of_object(repository, other) == Found((), (), False)
    for digest in digests:
        assert raws(of_digest(repository, digest)) == [built]
    assert attestations.add(repository, [built], "again") == 0


def test_a_release_approval_is_found_by_the_digests_that_it_vouches_for(repository: Repository, ada: Signer) -> None:
    tag, target, digest = id_of(repository, "tag"), id_of(repository, "target"), random_digest()
    line = ada.approves_tag(tag, "v1", target, digest)
    attestations.add(repository, [line], "approve")
    assert raws(of_digest(repository, digest)) == [line]
    assert raws(of_object(repository, tag)) == [line]
    assert raws(of_object(repository, target)) == []


def test_an_address_is_not_the_digest(repository: Repository, ada: Signer) -> None:
    digest = random_digest()
    alike = digest[:40] + random_digest()[40:]
    attestations.add(repository, [ada.provenance(id_of(repository, "commit"), alike)], "attest")
    found = of_digest(repository, digest)
    if repository.hex_length == 40:
        assert found == Found((), (Ignored(NOT_ABOUT_IT),), False)
        assert of_object(repository, alike[:40]) == Found((), (Ignored(NOT_ABOUT_IT),), False)
    assert found.attested == ()


def test_a_line_copied_to_another_object_is_ignored(repository: Repository, ada: Signer) -> None:
    commit, other = id_of(repository, "commit"), id_of(repository, "other")
    notes.append(repository.path, {other: [ada.approves(commit), b'{"rubbish":1}']}, "copy")
    found = of_object(repository, other)
    assert found.attested == ()
    reasons = [one.reason for one in found.ignored]
    assert sorted(reasons) == sorted([NOT_ABOUT_IT, "not an object of exactly payload, payloadType and signatures"])


def test_an_id_of_another_hash_is_no_address(repository: Repository, ada: Signer) -> None:
    longer = "a" * (104 - repository.hex_length)
    with pytest.raises(ValueError, match="no object and no digest"):
        attestations.add(repository, [ada.attests({}, "https://example.com/said/v1", about(longer))], "attest")


def test_what_is_no_attestation_is_not_added(repository: Repository) -> None:
    with pytest.raises(ValueError, match="not an attestation"):
        attestations.add(repository, [b"{}"], "attest")
    assert notes.tip(repository.path) is None


def test_everything_is_told_once_however_many_objects_it_stands_on(repository: Repository, ada: Signer) -> None:
    lines = [ada.provenance(id_of(repository, str(n // 2)), *(random_digest() for _ in range(20))) for n in range(20)]
    attestations.add(repository, lines, "attest")
    stray = {id_of(repository, "stray"): [lines[0]]}
    notes.append(repository.path, stray, "copy")
    told = every(repository)
    assert sorted(one.raw for one in told if isinstance(one, attested.Attested)) == sorted(lines)
    assert {one.reason for one in told if isinstance(one, Ignored)} <= {NOT_ABOUT_IT}


def test_a_note_on_ten_thousand_objects_is_read_once(
    repository: Repository, ada: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ada.approves(id_of(repository, "7"))
    notes.append(repository.path, {id_of(repository, str(n)): [line] for n in range(10_000)}, "everywhere")
    reads: list[bytes] = []
    monkeypatch.setattr(attestations, "read", lambda raw: reads.append(raw) or attested.read(raw))
    assert [one.raw for one in every(repository)] == [line]
    assert reads == [line]


def test_rubbish_is_counted(repository: Repository, ada: Signer) -> None:
    commit = id_of(repository, "commit")
    text = b"\n".join([b"by hand", b"more", ada.approves(commit), b'{"a":1}'])
    blob = run("git", "hash-object", "-w", "--stdin", cwd=repository.path, stdin=text).stdout.decode().strip()
    run("git", "notes", "--ref", "auths", "add", "-f", "-C", blob,
        run("git", "hash-object", "-w", "--stdin", cwd=repository.path, stdin=b"x").stdout.decode().strip(),
        cwd=repository.path)  # fmt: skip
    told = every(repository)
    assert sum(one.lines for one in told if isinstance(one, Ignored)) == 4
    assert not [one for one in told if isinstance(one, attested.Attested)]


def test_all_kinds_of_lines_say_whose_they_are(repository: Repository, ada: Signer) -> None:
    commit = id_of(repository, "commit")
    for who in (ada, throwaway(ada.root)):
        for line in (who.approves(commit), who.provenance(commit, commits=(CommitNote(commit, "Ada", "human"),))):
            one = attested.read(line)
            assert (one.signer, one.root, one.issued_at, one.raw) == (who.did, ada.root, AT, line)
            assert one.objects == {commit}


def test_an_approval_is_not_written_as_something_else(ada: Signer) -> None:
    line = ada.attests({"kind": "commit"}, "urn:git-auths:approval:v1", about("a" * 40))
    with pytest.raises(attested.AttestedInvalid):
        attested.read(line)
    mention = ada.attests({"about": "urn:git-auths:approval:v1"}, "https://example.com/said/v1", about("a" * 40))
    assert attested.read(mention).predicate_type == "https://example.com/said/v1"
    disguised = line_of(ada, ada.attests({}, "https://example.com/said/v1", about("a" * 40)))
    with pytest.raises(attested.AttestedInvalid, match="is written otherwise"):
        attested.read(disguised)


def line_of(signer: Signer, line: bytes) -> bytes:
    """The same attestation with the type of approvals, in a spelling of JSON that only a parser sees through."""
    payload = attested.read(line).line.envelope.payload
    return signer.envelope(payload.replace(b"https://example.com/said/v1", rb"\u0075rn:git-auths:approval:v1"))
