"""What a commit's bytes say by themselves, and the word for it when they cannot be believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_auths.core import facts, opensshkey, sshsig
from git_auths.core.facts import Facts, Fault, examine, signing_key
from git_auths.core.gitobject import object_id
from tests.core.test_roottree import FOLDER, id_of, tree

KEY = opensshkey.from_secret(opensshkey.ED25519, bytes(range(32)))
PERSON = "A U Thor <author@example.com> 1700000000 +0100"
PARENTS = ("1" * 40, "2" * 40)
TREE = tree(FOLDER, ("100644", "README"))
PGP = b"-----BEGIN PGP SIGNATURE-----\n\niQEz\n-----END PGP SIGNATURE-----\n"
X509 = PGP.replace(b"PGP SIGNATURE", b"SIGNED MESSAGE")


def payload(root: bytes = TREE, parents: tuple[str, ...] = PARENTS, hex_length: int = 40,
            message: str = "work\n") -> bytes:  # fmt: skip
    lines = [f"tree {object_id(b'tree', root, hex_length)}", *(f"parent {parent}" for parent in parents)]
    return "\n".join([*lines, f"author {PERSON}", f"committer {PERSON}", "", message]).encode()


def armored(signed: bytes, namespace: bytes = b"git") -> bytes:
    return sshsig.encode(KEY.public_blob, namespace, KEY.sign(sshsig.signed_data(signed, namespace)))


def with_signature(raw: bytes, signature: bytes, name: bytes = b"gpgsig") -> bytes:
    header = name + b" " + signature.replace(b"\n", b"\n ")[:-1]
    return raw.replace(b"\n\n", b"\n" + header + b"\n", 1)


def signed(raw: bytes, name: bytes = b"gpgsig") -> bytes:
    return with_signature(raw, armored(raw), name)


def one(raw: bytes, root: bytes = TREE, id: str | None = None, tree_id: str | None = None,
        hex_length: int = 40) -> Facts:  # fmt: skip
    """The facts of one commit, whose ids are right unless they are given."""
    id = id or object_id(b"commit", raw or b"", hex_length)
    return examine([(id, raw, tree_id or object_id(b"tree", root or b"", hex_length), root)], hex_length)[0]


@pytest.mark.parametrize(("hex_length", "header"), [(40, b"gpgsig"), (64, b"gpgsig-sha256")])
def test_a_good_commit_says_who_signed_it_and_what_it_stands_on(hex_length: int, header: bytes) -> None:
    root = tree(FOLDER, hex_length=hex_length)
    parents = tuple(parent.ljust(hex_length, "0") for parent in PARENTS)
    raw = signed(payload(root, parents, hex_length), header)
    found = one(raw, root, hex_length=hex_length)
    folder = id_of(b".auths", 0, hex_length).hex()
    assert found == Facts(found.id, parents, object_id(b"tree", root, hex_length), folder, 1700000000, KEY.public_blob, None, None, None)


def test_commits_of_one_batch_do_not_touch_each_other() -> None:
    roots = [TREE, tree(FOLDER, ("100644", "README"), salt=1), tree(("100644", "x")), tree(("100644", ".AUTHS")), TREE]
    raws = [signed(payload(root)) for root in roots]
    batch = [(object_id(b"commit", raw, 40), raw, object_id(b"tree", root, 40), root)
             for raw, root in zip(raws, roots, strict=True)]  # fmt: skip
    assert examine(batch, 40) == [one(raw, root) for raw, root in zip(raws, roots, strict=True)]
    assert [found.auths is None for found in examine(batch, 40)] == [False, False, True, True, False]


SIGNATURES = {
    "none": (payload(), "unsigned", "no signature"),
    "PGP's": (with_signature(payload(), PGP), "unsupported-signature", "PGP"),
    "X.509's": (with_signature(payload(), X509), "unsupported-signature", "X.509"),
    "over other bytes": (with_signature(payload(), armored(payload(message="other\n"))), "bad-signature", "not verify"),
    "for another namespace": (with_signature(payload(), armored(payload(), b"file")), "bad-signature", "'file'"),
    "with bytes behind": (with_signature(payload(), armored(payload()) + b"x\n"), "malformed", "armor"),
    "with bytes before": (with_signature(payload(), b"x\n" + armored(payload())), "unsupported-signature", ""),
    "in the message": (payload(message=f"gpgsig {armored(payload()).decode()}"), "unsigned", "no signature"),
    "for the other hash alone": (signed(payload(), b"gpgsig-sha256"), "unsigned", "no signature"),
}


@pytest.mark.parametrize(("raw", "verdict", "reason"), SIGNATURES.values(), ids=SIGNATURES)
def test_a_signature_that_counts_for_nothing_leaves_no_key(raw: bytes, verdict: str, reason: str) -> None:
    found = one(raw)
    assert found.key is None and found.raw_fault is None and found.folder_fault is None
    assert found.signature_fault is not None and found.signature_fault.verdict == verdict
    assert reason in found.signature_fault.reason
    assert found.parents == PARENTS


def test_a_second_signature_for_the_other_hash_changes_nothing() -> None:
    raw = payload()
    both = with_signature(signed(raw), PGP, b"gpgsig-sha256")
    assert one(both)._replace(id="") == one(signed(raw))._replace(id="")


UNREADABLE = {
    "bytes of another commit": (one(signed(payload()), id="0" * 40), "hash to its id"),
    "another root tree": (one(signed(payload()), tree(FOLDER)), "root tree"),
    "a root tree that is not what was asked for": (
        one(signed(payload()), tree(FOLDER), tree_id=object_id(b"tree", TREE, 40)), "root tree"),
    "a malformed commit": (one(signed(payload()).replace(b"author", b"Author", 1)), "author"),
    "a malformed root tree": (one(signed(payload(TREE + b"x")), TREE + b"x"), "tree"),
}  # fmt: skip


@pytest.mark.parametrize(("found", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_of_what_cannot_be_read_nothing_is_believed(found: Facts, reason: str) -> None:
    assert found.raw_fault is not None and found.raw_fault.verdict == "malformed"
    assert reason in found.raw_fault.reason
    assert (found.key, found.auths, found.committed_at) == (None, None, 0)


def test_a_malformed_commit_keeps_the_parents_that_git_walks_to() -> None:
    """commit.c: parse_commit_buffer. Who follows fewer would lose what lies behind it."""
    raw = signed(payload())
    for changed in (
        raw.replace(b"author", b"Author", 1),
        raw + b"\0",
        raw.replace(b"committer", b"parent %b\ncommitter" % (b"3" * 40)),
    ):
        assert one(changed).parents == PARENTS
    assert one(raw.replace(b"tree", b"Tree", 1)).parents == PARENTS
    assert one(signed(payload()), id="0" * 40).parents == ()


@pytest.mark.parametrize("bound", ["MAX_OBJECT_BYTES", "MAX_TREE_BYTES"])
def test_what_is_over_its_bound_is_malformed_and_keeps_its_parents(bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, bound, 30)
    found = one(signed(payload()))
    assert found.raw_fault is not None and found.raw_fault.verdict == "malformed" and "larger" in found.raw_fault.reason
    assert found.parents == PARENTS


@pytest.mark.parametrize("mode", ["100644", "120000", "160000"])
def test_a_folder_that_is_none_is_the_folders_fault_not_the_signatures(mode: str) -> None:
    root = tree((mode, ".auths"))
    found = one(signed(payload(root)), root)
    assert found.folder_fault == Fault("policy-invalid", ".auths is not a folder")
    assert (found.key, found.auths, found.raw_fault) == (KEY.public_blob, None, None)


def test_the_key_of_a_tags_signature_is_found_the_same_way() -> None:
    text = b"object " + b"1" * 40 + b"\ntype commit\ntag v1\n"
    assert signing_key(armored(text), text) == KEY.public_blob
    assert signing_key(None, text) == Fault("unsigned", "it carries no signature")


@given(st.binary(max_size=200))
def test_rubbish_is_a_fault_not_a_crash(rubbish: bytes) -> None:
    assert one(rubbish).raw_fault is not None
    assert isinstance(signing_key(rubbish, b""), Fault)
    assert isinstance(signing_key(sshsig.ARMOR_BEGIN + rubbish, b""), Fault)
    assert all(isinstance(parent, str) for parent in facts.parents_as_git_reads_them(rubbish))
