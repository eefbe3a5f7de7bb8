"""git's raw objects: what git signs is what we read, and what git forgives is malformed."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from git_auths.core import gitobject
from git_auths.core.facts import signing_key
from git_auths.core.gitobject import Commit, Malformed, object_id, parse_commit, parse_tag, parse_tree
from tests.realgit import run

# Keeps what git hands to gpg.ssh.program, and what it gets back.
CAPTURE = """#!/bin/sh
for file; do :; done
ssh-keygen "$@" || exit
if [ "$2" = sign ]; then cp "$file" '{kept}/payload' && cp "$file.sig" '{kept}/signature'; fi
"""
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
PGP = "-----BEGIN PGP SIGNATURE-----\n\niQEz\n=abcd\n-----END PGP SIGNATURE-----\n"


class Repo:
    """A repository whose commits and tags ssh-keygen signs, and what it signed last."""

    def __init__(self, folder: Path, object_format: str) -> None:
        self.hex_length = 40 if object_format == "sha1" else 64
        self.at = folder / "repo"
        self.kept = folder
        run("git", "init", "-q", f"--object-format={object_format}", self.at)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key")
        program = folder / "capture"
        program.write_text(CAPTURE.format(kept=folder))
        program.chmod(0o755)
        public = (folder / "key.pub").read_text()
        (folder / "allowed").write_text(f"ada@example.com {public}")
        for key, value in (("gpg.format", "ssh"), ("gpg.ssh.program", program), ("user.signingKey", folder / "key.pub"),
                           ("gpg.ssh.allowedSignersFile", folder / "allowed"), ("commit.gpgSign", "true")):  # fmt: skip
            self.git("config", key, str(value))
        self.commit("-m", "first")

    def git(self, *args: str, stdin: bytes | None = None, **env: str) -> bytes:
        return run("git", *args, cwd=self.at, stdin=stdin, env=env).stdout

    def commit(self, *args: str, stdin: bytes | None = None, **env: str) -> None:
        self.git("commit", "-q", "--allow-empty", *args, stdin=stdin, **env)

    def read(self, kind: str, name: str) -> bytes:
        return self.git("cat-file", kind, name)

    def write(self, kind: str, raw: bytes) -> str:
        return self.git("hash-object", "-t", kind, "-w", "--stdin", stdin=raw).decode().strip()

    def branch(self, name: str) -> None:
        """A branch with a commit that main lacks."""
        self.git("switch", "-q", "-c", name)
        self.commit("-m", name)
        self.git("switch", "-q", "main")

    @property
    def payload(self) -> bytes:
        return (self.kept / "payload").read_bytes()

    @property
    def signature(self) -> bytes:
        return (self.kept / "signature").read_bytes()


@pytest.fixture(scope="module", params=["sha1", "sha256"])
def founded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:  # this is made before a test's clean environment
        home = tmp_path_factory.mktemp("home")
        (home / ".gitconfig").write_text("[user]\nname = Ada\nemail = ada@example.com\n[init]\ndefaultBranch = main\n")
        for name, value in (("HOME", home), ("GIT_CONFIG_GLOBAL", home / ".gitconfig"), ("GIT_CONFIG_NOSYSTEM", 1)):
            patch.setenv(name, str(value))
        patch.delenv("SSH_AUTH_SOCK", raising=False)
        Repo(folder, request.param)
    return folder, request.param


@pytest.fixture
def repo(founded: tuple[Path, str], tmp_path: Path) -> Repo:
    folder, object_format = founded
    copy = Repo.__new__(Repo)
    copy.kept, copy.hex_length = folder, 40 if object_format == "sha1" else 64
    copy.at = tmp_path / "repo"
    shutil.copytree(folder / "repo", copy.at)
    return copy


def an_octopus(repo: Repo) -> None:
    for name in ("one", "two", "three"):
        repo.branch(name)
    repo.git("merge", "-q", "-S", "-m", "octopus", "one", "two", "three")


def a_merge_of_a_tag(repo: Repo, message: str, signed: bool = True) -> None:
    """git copies the tag into a `mergetag` header, its signature with it."""
    repo.branch("topic")
    if signed:
        repo.git("tag", "-s", "-m", message, "v1", "topic")
    else:
        unsigned = repo.read("tag", repo.git("mktag", stdin=tag_bytes(repo)).decode().strip())
        repo.git("update-ref", "refs/tags/v1", repo.write("tag", unsigned + message.encode()))
    repo.git("merge", "-q", "-S", "--no-ff", "-m", "merge", "v1")
    assert b"\nmergetag object " in repo.payload


def tag_bytes(repo: Repo) -> bytes:
    topic = repo.git("rev-parse", "topic")
    return b"object " + topic + b"type commit\ntag v1\ntagger A <a@example.com> 1 +0000\n\nrelease\n"


def an_amended_import(repo: Repo) -> None:
    """Headers that git does not know stay where they are."""
    head = repo.read("commit", "HEAD").split(b"gpgsig", 1)[0]
    raw = head + b"HG:extra rebase:1\nHG:rename\n a\n \n b\nempty\n\nimport\n"
    repo.git("reset", "-q", "--soft", repo.write("commit", raw))
    repo.commit("--amend", "--no-edit")
    assert b"HG:rename\n a\n \n b\nempty\n" in repo.payload


COMMITS: dict[str, Callable[[Repo], None]] = {
    "the second": lambda repo: repo.commit("-m", "work"),
    "with no message": lambda repo: repo.commit("--allow-empty-message", "-m", ""),
    "with a message as it comes": lambda repo: repo.commit("--cleanup=verbatim", "-F", "-", stdin=b"\n\r\n\n x\r\n\ny"),
    "with a message about signatures": lambda repo: repo.commit(
        "-m", "gpgsig " + PGP.replace("\n", "\n ") + "\n\n" + CERTIFICATE + "\nparent 0\ngpgsig-x y"),
    "in Latin-1": lambda repo: repo.commit(
        "-F", "-", stdin=b"na\xefve\n", GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="i18n.commitEncoding",
        GIT_CONFIG_VALUE_0="ISO-8859-1", GIT_AUTHOR_NAME="Ren\udce9"),
    "by odd names": lambda repo: repo.commit(
        "-m", "x", GIT_AUTHOR_NAME="a\tb\x01\rc \u202e\u00e9", GIT_AUTHOR_EMAIL="", GIT_COMMITTER_NAME="-",
        GIT_COMMITTER_EMAIL="not an address, @"),
    "in a zone of half hours": lambda repo: repo.commit(
        "-m", "x", GIT_COMMITTER_DATE="@1 +0545", GIT_AUTHOR_DATE="@0 -1130"),
    "in a zone that is none": lambda repo: repo.commit("-m", "x", GIT_COMMITTER_DATE="@1234567890 +9999"),
    "dated in milliseconds": lambda repo: repo.commit("-m", "x", GIT_COMMITTER_DATE="@1700000000000 +0000"),
    "a merge": lambda repo: (repo.branch("topic"), repo.git("merge", "-q", "-S", "--no-ff", "-m", "m", "topic")),
    "an octopus": an_octopus,
    "a merge of a signed tag": lambda repo: a_merge_of_a_tag(repo, "release\n\n" + CERTIFICATE),
    "a merge of a tag that PGP signed": lambda repo: a_merge_of_a_tag(repo, PGP, signed=False),
    "amended": lambda repo: repo.commit("--amend", "-m", "anew"),
    "amended from elsewhere": an_amended_import,
}  # fmt: skip


@pytest.mark.parametrize("make", COMMITS.values(), ids=COMMITS)
def test_a_commit_that_git_signs_is_read_as_it_was_signed(make: Callable[[Repo], None], repo: Repo) -> None:
    make(repo)
    raw = repo.read("commit", "HEAD")
    commit = parse_commit(raw, repo.hex_length)
    assert commit.payload == repo.payload
    assert commit.signature == repo.signature
    assert isinstance(signing_key(commit.signature, commit.payload), bytes)
    said = repo.git("log", "-1", "--format=%T%n%P%n%ct").decode().split("\n")
    assert [commit.tree, " ".join(commit.parents), str(commit.committed_at)] == said[:3]
    assert object_id(b"commit", raw, repo.hex_length) == repo.git("rev-parse", "HEAD").decode().strip()
    if commit.committed_at < 10**11:  # ssh-keygen takes no year of five digits
        repo.git("verify-commit", "HEAD")


@pytest.mark.parametrize("place", ["before", "behind"])
def test_the_signature_for_the_other_hash_is_no_part_of_the_payload(place: str, repo: Repo) -> None:
    """gitformat-signature(5): a repository in transition signs both ways; each verifier reads its own."""
    raw = repo.read("commit", "HEAD")
    own, other = (b"gpgsig ", b"gpgsig-sha256 ") if repo.hex_length == 40 else (b"gpgsig-sha256 ", b"gpgsig ")
    header = other + repo.signature.replace(b"\n", b"\n ")[:-1]
    before, behind = raw.split(own, 1)
    message = behind.index(b"\n\n") + 1
    both = before + header + own + behind if place == "before" else (
        before + own + behind[:message] + header + behind[message:])  # fmt: skip
    commit, alone = parse_commit(both, repo.hex_length), parse_commit(raw, repo.hex_length)
    assert (commit.payload, commit.signature) == (alone.payload, alone.signature)
    assert parse_commit(both, repo.hex_length)._replace(payload=b"") == alone._replace(payload=b"")
    repo.git("verify-commit", repo.write("commit", both))


TAGS: dict[str, Callable[[Repo], object]] = {
    "of a commit": lambda repo: repo.git("tag", "-s", "-m", "release", "v1"),
    "of a tree": lambda repo: repo.git("tag", "-s", "-m", "release", "v1", "HEAD^{tree}"),
    "of a blob": lambda repo: repo.git("tag", "-s", "-m", "key", "v1", repo.write("blob", b"x")),
    "of a tag": lambda repo: (
        repo.git("tag", "-a", "-m", "inner", "inner"), repo.git("tag", "-s", "-m", "outer", "v1", "inner")),
    "with no message": lambda repo: repo.git("tag", "-s", "-m", "", "v1"),
    "with a certificate in its message": lambda repo: repo.git("tag", "-s", "-m", CERTIFICATE, "v1"),
    "with a PGP key in its message": lambda repo: repo.git(
        "tag", "-s", "-m", PGP.replace("SIGNATURE", "PUBLIC KEY BLOCK"), "v1"),
    "with an indented signature in its message": lambda repo: repo.git(
        "tag", "-s", "-m", "x\n\n " + PGP.replace("\n", "\n "), "v1"),
    "with a message as it comes": lambda repo: repo.git(
        "tag", "-s", "--cleanup=verbatim", "-F", "-", "v1", stdin=b"\n\n x\r\n\n\n"),
    "by an odd name": lambda repo: repo.git("tag", "-s", "-m", "x", "v1", GIT_COMMITTER_NAME="\udce9 \x01\t(z)"),
}  # fmt: skip


@pytest.mark.parametrize("make", TAGS.values(), ids=TAGS)
def test_a_tag_that_git_signs_is_read_as_it_was_signed(make: Callable[[Repo], object], repo: Repo) -> None:
    make(repo)
    raw = repo.read("tag", "v1")
    tag = parse_tag(raw, repo.hex_length)
    assert (tag.payload, tag.signature, tag.name) == (repo.payload, repo.signature, b"v1")
    said = repo.git("for-each-ref", "--format=%(object) %(type) %(taggerdate:unix)", "refs/tags/v1").decode().split()
    assert [tag.target, tag.target_type, str(tag.tagged_at)] == said
    assert isinstance(signing_key(tag.signature, tag.payload), bytes)
    repo.git("verify-tag", "v1")


def test_a_signature_on_the_messages_last_line_is_none_to_git_nor_to_us(repo: Repo) -> None:
    repo.git("tag", "-s", "--cleanup=verbatim", "-F", "-", "v1", stdin=b"no line feed")
    tag = parse_tag(repo.read("tag", "v1"), repo.hex_length)
    assert tag.signature is None
    assert run("git", "verify-tag", "v1", cwd=repo.at, code=None).returncode == 1


def test_a_tag_may_carry_the_other_hashs_signature_in_a_header(repo: Repo) -> None:
    repo.git("tag", "-s", "-m", "release", "v1")
    raw = repo.read("tag", "v1")
    other, own = (b"gpgsig-sha256 ", b"gpgsig ") if repo.hex_length == 40 else (b"gpgsig ", b"gpgsig-sha256 ")
    both = raw.replace(b"\n\n", b"\n" + other + repo.signature.replace(b"\n", b"\n ")[:-1] + b"\n", 1)
    assert parse_tag(both, repo.hex_length) == parse_tag(raw, repo.hex_length)
    repo.git("verify-tag", repo.write("tag", both))
    with pytest.raises(Malformed, match="other headers"):
        parse_tag(both.replace(other, own), repo.hex_length)


# What is malformed

ID = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
LONG_ID = ID + "0" * 24
PERSON = "A U Thor <author@example.com> 1700000000 +0100"
HEADER = "gpgsig -----BEGIN SSH SIGNATURE-----\n U1NI\n -----END SSH SIGNATURE-----\n"
HEAD = f"tree {ID}\nparent {ID}\nauthor {PERSON}\ncommitter {PERSON}\n"
GOOD = f"{HEAD}encoding latin1\n{HEADER}\nmessage\n"


def test_what_the_malformed_ones_are_made_from_is_read() -> None:
    armor = b"-----BEGIN SSH SIGNATURE-----\nU1NI\n-----END SSH SIGNATURE-----\n"
    payload = GOOD.replace(HEADER, "").encode()
    person = PERSON.encode()
    assert parse_commit(GOOD.encode(), 40) == Commit(ID, (ID,), person, person, 1700000000, armor, payload)


MALFORMED_COMMITS = {
    "empty": ("", "no tree header"),
    "no tree": (GOOD.replace(f"tree {ID}\n", ""), "no tree header"),
    "two trees": (GOOD.replace(f"tree {ID}\n", f"tree {ID}\ntree {ID}\n"), "more than one tree header"),
    "a tree behind the parents": (
        GOOD.replace(f"tree {ID}\nparent {ID}\n", f"parent {ID}\ntree {ID}\n"), "out of order"),
    "a tree behind the committer": (GOOD.replace("encoding", f"tree {ID}\nencoding"), "misplaced tree"),
    "a parent behind the author": (GOOD.replace("committer", f"parent {ID}\ncommitter"), "out of order"),
    "a parent behind the committer": (GOOD.replace("encoding", f"parent {ID}\nencoding"), "misplaced parent"),
    "a parent behind the signature": (GOOD.replace("\n\n", f"\nparent {ID}\n\n", 1), "misplaced parent"),
    "no author": (GOOD.replace(f"author {PERSON}\n", "", 1), "no author header"),
    "two authors": (GOOD.replace("committer", f"author {PERSON}\ncommitter"), "more than one author header"),
    "an author behind the committer": (GOOD.replace("encoding", f"author {PERSON}\nencoding"), "misplaced author"),
    "no committer": (GOOD.replace(f"committer {PERSON}\n", ""), "no committer header"),
    "two committers": (GOOD.replace("encoding", f"committer {PERSON}\nencoding"), "second or misplaced committer"),
    "a tree without a value": (GOOD.replace("encoding", "tree\nencoding"), "misplaced tree"),
    "a short id": (GOOD.replace(f"parent {ID}", f"parent {ID[:-1]}"), "cannot be read"),
    "an id in capitals": (GOOD.replace(f"tree {ID}", f"tree {ID.upper()}"), "cannot be read"),
    "the tree's id of another hash": (GOOD.replace(f"tree {ID}", f"tree {LONG_ID}"), "another hash"),
    "a parent's id of another hash": (GOOD.replace(f"parent {ID}", f"parent {LONG_ID}"), "another hash"),
    # 2 * (64 + 8) is 3 * (40 + 8)
    "two parents' ids of another hash": (GOOD.replace(f"parent {ID}\n", f"parent {LONG_ID}\n" * 2), "another hash"),
    "two blanks before the id": (GOOD.replace("tree ", "tree  "), "cannot be read"),
    "an address without end": (GOOD.replace(".com> 17", ".com 17", 1), "cannot be read"),
    "two addresses": (GOOD.replace("<author", "<a> <author"), "cannot be read"),
    "no date": (GOOD.replace(" 1700000000 +0100", ""), "cannot be read"),
    "a date that is none": (GOOD.replace("1700000000", "17e8"), "cannot be read"),
    "a date before the epoch": (GOOD.replace("1700000000", "-1"), "cannot be read"),
    "a date of 20 digits": (GOOD.replace("1700000000", "9" * 20), "cannot be read"),
    "a date in other digits": (GOOD.replace("1700000000", "\u0661"), "cannot be read"),
    "no zone": (GOOD.replace(" +0100", ""), "cannot be read"),
    "bytes behind the zone": (GOOD.replace("+0100", "+0100 "), "cannot be read"),
    "no end of the headers": (GOOD.rsplit("\n\n", 1)[0], "cannot be read"),
    "no empty line": (HEAD, "cannot be read"),
    "a continuation of the committer": (GOOD.replace("encoding", " x\nencoding"), "cannot be read"),
    "NUL in the message": (GOOD + "\0", "NUL"),
    "NUL in a header": (GOOD.replace("latin1", "latin\x001"), "NUL"),
    "NUL in a name": (GOOD.replace("A U", "A\0U"), "cannot be read"),
    "two signatures": (GOOD.replace(HEADER, HEADER * 2), "a second gpgsig header"),
    "two signatures, other headers between": (GOOD.replace("encoding", HEADER + "encoding"), "a second gpgsig header"),
    "two signatures for the other hash": (
        GOOD.replace(HEADER, HEADER.replace("gpgsig", "gpgsig-sha256") * 2), "a second gpgsig-sha256"),
    "a signature header nobody knows": (GOOD.replace("gpgsig ", "gpgsig-x "), "unknown signature header"),
    "a signature header beside": (GOOD.replace(HEADER, HEADER + "gpgsigx y\n"), "unknown signature header"),
    "a signature header in capitals": (GOOD.replace("gpgsig", "GpgSig"), "unknown signature header"),
    "a signature header with a tab": (GOOD.replace("gpgsig ", "gpgsig\t"), "unknown signature header"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "reason"), MALFORMED_COMMITS.values(), ids=MALFORMED_COMMITS)
def test_a_malformed_commit_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        parse_commit(text.encode(), 40)


def test_a_commit_of_the_other_hash_is_malformed() -> None:
    for text, length in ((GOOD, 64), (GOOD.replace(ID, LONG_ID), 40)):
        with pytest.raises(Malformed, match="another hash"):
            parse_commit(text.encode(), length)
    # 3 * (40 + 8) is 2 * (64 + 8)
    mixed = GOOD.replace(f"tree {ID}", f"tree {LONG_ID}").replace(f"parent {ID}\n", f"parent {ID}\n" * 3)
    with pytest.raises(Malformed, match="another hash"):
        parse_commit(mixed.encode(), 64)


TAG = f"object {ID}\ntype commit\ntag v1\ntagger {PERSON}\n\nrelease\n"
ARMOR = "-----BEGIN SSH SIGNATURE-----\nU1NI\n-----END SSH SIGNATURE-----\n"
MALFORMED_TAGS = {
    "empty": "",
    "no tagger": TAG.replace(f"tagger {PERSON}\n", ""),
    "two objects": f"object {ID}\n" + TAG,
    "another order": TAG.replace(f"object {ID}\ntype commit\n", f"type commit\nobject {ID}\n"),
    "a type that is none": TAG.replace("type commit", "type note"),
    "no name": TAG.replace("tag v1", "tag "),
    "an id of another hash": TAG.replace(ID, LONG_ID),
    "another header": TAG.replace("\n\n", "\nencoding latin1\n\n", 1),
    "a signature header with a name of its own": TAG.replace("\n\n", "\ngpgsig-x y\n\n", 1),
    "a second header behind a signature's": TAG.replace("\n\n", "\ngpgsig-sha256 y\n z\nx y\n\n", 1),
    "two signature headers": TAG.replace("\n\n", "\ngpgsig-sha256 y\ngpgsig-sha256 y\n\n", 1),
    "no empty line": TAG.split("\n\n")[0] + "\n",
    "NUL in the message": TAG + "\0",
    "two signatures": TAG + ARMOR + ARMOR,
    "a signature in the message and one behind": TAG + ARMOR + "text\n" + ARMOR,
    "signatures of two kinds": TAG + PGP + ARMOR,
    "an armor's beginning with bytes behind, then another": TAG + ARMOR.replace("URE-----\n", "URE-----x\n") + ARMOR,
}  # fmt: skip


@pytest.mark.parametrize("text", MALFORMED_TAGS.values(), ids=MALFORMED_TAGS)
def test_a_malformed_tag_is_refused(text: str) -> None:
    assert parse_tag(TAG.encode(), 40).signature is None
    with pytest.raises(Malformed):
        parse_tag(text.encode(), 40)


def test_whatever_follows_a_tags_armor_belongs_to_the_signature() -> None:
    """So the armor's own check refuses it; git would not look."""
    assert parse_tag((TAG + ARMOR + "more").encode(), 40).signature == (ARMOR + "more").encode()


def entry(mode: str, name: str | bytes, digit: int = 1) -> bytes:
    return mode.encode() + b" " + (name.encode() if isinstance(name, str) else name) + b"\0" + bytes([digit]) * 20


MALFORMED_TREES = {
    "out of order": entry("100644", "b") + entry("100644", "a"),
    "twice": entry("100644", "a") + entry("100644", "a"),
    "a file and a folder of one name": entry("100644", "a") + entry("40000", "a"),
    "a file and a folder of one name, another between": (
        entry("100644", "a") + entry("100644", "a-b") + entry("40000", "a")),
    "a folder in a file's place": entry("40000", "a") + entry("100644", "a.b"),
    "a file in a folder's place": entry("100644", "a.b") + entry("100644", "a"),
    "no name": entry("100644", ""),
    "a slash in a name": entry("100644", "a/b"),
    "a dot": entry("40000", "."),
    "two dots": entry("40000", ".."),
    "a mode with a zero before it": entry("040000", "a"),
    "a mode that is none": entry("100600", "a"),
    "no mode": b" a\0" + bytes(20),
    "an id cut off": entry("100644", "a")[:-1],
    "no id": b"100644 a\0",
    "no end of the name": b"100644 a",
    "rubbish behind": entry("100644", "a") + b"x",
}


@pytest.mark.parametrize("raw", MALFORMED_TREES.values(), ids=MALFORMED_TREES)
def test_a_malformed_tree_is_refused(raw: bytes) -> None:
    with pytest.raises(Malformed):
        parse_tree(raw, 40)


def test_every_mode_that_git_has_written_is_read() -> None:
    modes = [b"100644", b"100664", b"100755", b"120000", b"160000", b"40000"]
    raw = b"".join(entry(mode.decode(), f"{number}\n\xff") for number, mode in enumerate(modes))
    assert [found.mode for found in parse_tree(raw, 40)] == modes
    assert parse_tree(b"", 40) == ()


# Objects by chance

LINE = st.binary(max_size=12).map(lambda text: text.translate(None, b"\0\n"))
NAME = LINE.map(lambda text: text.translate(None, b"<>"))
PEOPLE = st.builds(
    lambda name, mail, date, sign, zone: b"%b <%b> %d %b%04d" % (name or b"x", mail, date, sign, zone),
    NAME, NAME, st.integers(0, 10**12), st.sampled_from([b"+", b"-"]), st.integers(0, 9999),
)  # fmt: skip
HEADERS = st.lists(
    st.builds(
        lambda name, lines: name + b" " + b"\n ".join(lines) + b"\n",
        st.text("abHG:-", min_size=1, max_size=6).map(str.encode), st.lists(LINE, min_size=1, max_size=3),
    ), max_size=3,
)  # fmt: skip
IDS = st.binary(min_size=20, max_size=20).map(bytes.hex)


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("objects") / "objects.git"
    run("git", "init", "-q", "--bare", folder)
    return folder


@settings(max_examples=40, deadline=None)
@given(IDS, st.lists(IDS, max_size=3), PEOPLE, PEOPLE, HEADERS, st.binary(max_size=60))
def test_a_commit_that_git_takes_is_read_as_git_reads_it(
    objects: Path, tree: str, parents: list[str], author: bytes, committer: bytes, headers: list[bytes], message: bytes
) -> None:
    assume(tree not in parents)
    lines = [b"tree %b\n" % tree.encode(), *(b"parent %b\n" % parent.encode() for parent in parents)]
    people = b"author %b\ncommitter %b\n" % (author, committer)
    raw = b"".join([*lines, people, *headers]) + b"\n" + message.replace(b"\0", b"")
    commit = parse_commit(raw, 40)
    id = run("git", "hash-object", "-t", "commit", "-w", "--stdin", cwd=objects, stdin=raw).stdout.decode().strip()
    assert object_id(b"commit", raw, 40) == id
    said = run("git", "rev-list", "--no-walk", "--no-commit-header", "--format=%T %P %ct", id, cwd=objects).stdout
    assert said.decode().split() == [commit.tree, *commit.parents, str(commit.committed_at)]
    assert (commit.tree, list(commit.parents), commit.author, commit.committer) == (tree, parents, author, committer)
    assert commit.payload == raw
    signed = parse_commit(raw.replace(b"\n\n", b"\n" + HEADER.encode() + b"\n", 1), 40)
    assert (signed.payload, signed.signature) == (raw, ARMOR.encode())


ENTRIES = st.dictionaries(
    st.binary(min_size=1, max_size=4).filter(lambda name: not set(name) & set(b"\0/\n") and name not in (b".", b"..")),
    st.tuples(st.sampled_from([b"100644", b"100755", b"120000", b"160000", b"40000"]), IDS), max_size=12,
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(ENTRIES, st.randoms())
def test_a_tree_that_git_writes_is_read_as_git_reads_it(
    objects: Path, entries: dict[bytes, tuple[bytes, str]], random: Random
) -> None:
    kinds = {b"40000": "tree", b"160000": "commit"}
    listed = [b"%b %b %b\t%b" % (mode, kinds.get(mode, "blob").encode(), id.encode(), name)
              for name, (mode, id) in entries.items()]  # fmt: skip
    made = run("git", "mktree", "-z", "--missing", cwd=objects, stdin=b"\0".join([*listed, b""])).stdout.decode()[:40]
    raw = run("git", "cat-file", "tree", made, cwd=objects).stdout
    found = parse_tree(raw, 40)
    assert {name: (mode, id) for mode, name, id in found} == entries
    said = run("git", "ls-tree", "-z", made, cwd=objects).stdout.split(b"\0")[:-1]
    assert [line.split(b"\t", 1)[1] for line in said] == [name for _, name, _ in found]
    assert object_id(b"tree", raw, 40) == made
    shuffled = list(found)
    random.shuffle(shuffled)
    if shuffled != list(found):
        with pytest.raises(Malformed):
            parse_tree(b"".join(b"%b %b\0%b" % (mode, name, bytes.fromhex(id)) for mode, name, id in shuffled), 40)


@given(st.binary(max_size=300))
def test_rubbish_is_malformed_not_a_crash(rubbish: bytes) -> None:
    for parse in (parse_commit, parse_tag):
        with pytest.raises(Malformed):
            parse(rubbish, 40)
    with contextlib.suppress(Malformed):
        parse_tree(rubbish, 40)


@given(st.sampled_from([GOOD.encode(), HEAD.encode() + b"\n"]), st.integers(0, 400), st.binary(min_size=1, max_size=1))
def test_a_changed_commit_is_malformed_or_has_another_payload_or_signature(raw: bytes, at: int, byte: bytes) -> None:
    """Two texts never read as one."""
    at %= len(raw)
    changed = raw[:at] + byte + raw[at + 1 :]
    try:
        commit = parse_commit(changed, 40)
    except Malformed:
        return
    assert changed == raw or commit != parse_commit(raw, 40)


# What the short way to read a commit must leave to the long one, among what it may take.
LINES = [
    HEADER, HEADER.replace("gpgsig", "gpgsig-sha256"), HEADER.replace("U1NI", "U1NI\n U1NI"), HEADER.replace(" U1NI\n", ""),
    HEADER.replace(" U1NI", "U1NI"), HEADER.replace(" U1NI", ""), HEADER.replace("SSH", "PGP"), HEADER.replace(" -----END", "-----END"),
    HEADER[:-1] + " x\n", HEADER + " x\n", "gpgsig\n", "gpgsigx y\n", "encoding x\n", " x\n", "\n", "\0\n", f"parent {ID}\n",
    f"tree {ID}\n", f"committer {PERSON}\n",
]  # fmt: skip
FRONTS = [
    HEAD, HEAD.replace(f"parent {ID}\n", ""), HEAD.replace(f"parent {ID}\n", f"parent {ID}\n" * 2), HEAD.replace(ID, LONG_ID),
    HEAD.replace(ID, LONG_ID, 1), HEAD.replace("tree", "parent"), HEAD.replace("author", "x", 1), HEAD.replace("+0100", "+01"),
]  # fmt: skip


@pytest.mark.parametrize("hex_length", [40, 64])
def test_the_usual_commit_is_read_the_short_way_as_it_is_the_long_way(hex_length: int) -> None:
    def outcome(parse: Callable[[bytes, int], Commit], raw: bytes) -> Commit | str:
        try:
            return parse(raw, hex_length)
        except Malformed as error:
            return str(error)

    headers = ["", *LINES, *("".join(two) for two in product(LINES, LINES))]
    for front, header, end in product(FRONTS, headers, ("\n", "\nx\n", "\nx\0", "")):
        raw = (front + header + end).encode()
        assert outcome(parse_commit, raw) == outcome(gitobject._parse_any_commit, raw)


@pytest.mark.parametrize("hex_length", [40, 64])
def test_the_usual_commit_is_read_the_short_way(hex_length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gitobject, "_parse_any_commit", None)
    id, header = (ID, HEADER) if hex_length == 40 else (LONG_ID, HEADER.replace("gpgsig", "gpgsig-sha256"))
    for head in (HEAD, HEAD.replace(f"parent {ID}\n", ""), HEAD.replace(f"parent {ID}\n", f"parent {ID}\n" * 3)):
        raw = head.replace(ID, id) + header + "\nmessage\n"
        assert parse_commit(raw.encode(), hex_length).parents == (id,) * head.count("parent")


HOSTILE = """
import resource
from git_auths.core.gitobject import MAX_OBJECT_BYTES, Malformed, parse_commit, parse_tag
resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))
head, tag = HEAD.encode(), TAG.encode()
half = MAX_OBJECT_BYTES // 2
for parse, raw in (
    (parse_commit, head + b"a\\n" * (half - 200) + b"\\n"),
    (parse_commit, head + b"a\\n" * (half - 200) + b"x"),
    (parse_commit, head + b"a\\n" + b" \\n" * (half - 200) + b"\\n"),
    (parse_commit, head.split(b"parent")[0] + b"parent " * half),
    (parse_commit, head.replace(b"A U", b"<" * half)),
    (parse_commit, head.replace(b"A U", b"a" * half)),
    (parse_commit, head + b"gpgsig" * (half // 6)),
    (parse_tag, tag + b"-----BEGIN SSH SIGNATURE-----\\n" * (half // 30)),
    (parse_tag, tag + b"-----BEGIN " * (half // 11)),
):
    try:
        parse(raw, 40)
    except Malformed:
        pass
"""


def test_the_largest_objects_cost_a_bounded_memory() -> None:
    """Each header that a regular expression had to be able to give back would cost 200 bytes."""
    program = f"HEAD = {HEAD!r}\nTAG = {TAG!r}\n{HOSTILE}"
    subprocess.run([sys.executable, "-c", program], cwd=Path(gitobject.__file__).parents[2], check=True, timeout=60)


@pytest.mark.parametrize(("number", "is_read"), [(1000, True), (1001, False)])
def test_a_commit_of_more_than_a_thousand_parents_is_malformed(number: int, is_read: bool) -> None:
    person = b"A <a@example.com> 1 +0000"
    parents = b"".join(b"parent %040x\n" % n for n in range(number))
    raw = b"tree %040x\n%bauthor %b\ncommitter %b\n\nx\n" % (1, parents, person, person)
    if is_read:
        assert len(parse_commit(raw, 40).parents) == number
    else:
        with pytest.raises(Malformed, match="more than 1000 parents"):
            parse_commit(raw, 40)
