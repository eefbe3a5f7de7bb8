"""Making what no honest program makes: people with keys, raw objects signed at will, and what to ask about them.

Whoever is forged here has keys that are the same in every run, and every date is fixed, so object ids are too.
Signatures are made from PROTOCOL.sshsig and envelopes from DSSE's protocol.md, not with the code under test; key event
logs come from `tests.kels`, whose form keripy confirms elsewhere.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from git_auths import main as git_auths
from git_auths.core.auths_folder import declared_compromised
from tests.kels import GrowingLog
from tests.kels import Signer as Key
from tests.realgit import run

NOW = 1_780_000_000  # the date of the first forged commit, in seconds since 1970
SCRIPTS = os.path.dirname(sys.executable)

Files = Mapping[str, "bytes | Entry"]


class Entry(NamedTuple):
    """A tree entry that is not simply a file with the mode 100644: `content` is a blob's, or an object id."""

    mode: str
    content: bytes | str


class Person:
    """Someone with a key event log; `signing` is its current key."""

    def __init__(self, name: str, number: int, code: str = "D", delegator: Person | None = None,
                 log: GrowingLog | None = None) -> None:  # fmt: skip
        self.name = name
        self.log = log or GrowingLog(number, code, delegator=delegator and delegator.log)

    @property
    def aid(self) -> str:
        return self.log.kel.aid

    @property
    def did(self) -> str:
        return f"did:keri:{self.aid}"

    @property
    def signing(self) -> Key:
        return self.log.current[0]

    @property
    def email(self) -> str:
        return f"{self.name.lower()}@example.com"


def string(value: bytes) -> bytes:
    """RFC 4251, section 5."""
    return len(value).to_bytes(4, "big") + value


def mpint(number: int) -> bytes:
    """RFC 4251, section 5; a number below zero is written as one, too."""
    return string(number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True) if number else b"")


def ssh_blob(key: Key) -> bytes:
    """RFC 8709, section 4; RFC 5656, section 3.1."""
    if key.key.code in ("D", "B"):
        return string(b"ssh-ed25519") + string(key.key.raw)
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    point = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), key.key.raw)
    uncompressed = point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(uncompressed)


def ssh_signature(key: Key, data: bytes) -> bytes:
    raw = key.sign(data)
    if key.key.code in ("D", "B"):
        return string(b"ssh-ed25519") + string(raw)
    return ecdsa_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))


def ecdsa_signature(r: int, s: int) -> bytes:
    return string(b"ecdsa-sha2-nistp256") + string(mpint(r) + mpint(s))


def signed_data(message: bytes, namespace: bytes = b"git") -> bytes:
    """PROTOCOL.sshsig, section 2."""
    return b"SSHSIG" + string(namespace) + string(b"") + string(b"sha512") + string(hashlib.sha512(message).digest())


def armored(blob: bytes, signature: bytes, namespace: bytes = b"git") -> bytes:
    """PROTOCOL.sshsig, sections 1 and 3."""
    whole = (
        b"SSHSIG" + (1).to_bytes(4, "big")
        + string(blob) + string(namespace) + string(b"") + string(b"sha512") + string(signature)
    )  # fmt: skip
    text = base64.b64encode(whole)
    lines = [text[at : at + 70] for at in range(0, len(text), 70)]
    return b"-----BEGIN SSH SIGNATURE-----\n" + b"\n".join(lines) + b"\n-----END SSH SIGNATURE-----\n"


def sshsig(signer: Person | Key, message: bytes, namespace: bytes = b"git") -> bytes:
    """What `ssh-keygen -Y sign -n NAMESPACE` would write."""
    key = signer.signing if isinstance(signer, Person) else signer
    return armored(ssh_blob(key), ssh_signature(key, signed_data(message, namespace)), namespace)


def header(name: bytes, text: bytes) -> bytes:
    """A commit header over several lines: the later ones are indented."""
    return name + b" " + text.rstrip(b"\n").replace(b"\n", b"\n ") + b"\n"


def envelope(signer: Person | Key, statement: Mapping[str, Any], keyid: str | None = None) -> bytes:
    """One line of a note: the statement in a DSSE envelope, signed."""
    key = signer.signing if isinstance(signer, Person) else signer
    payload = json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()
    kind = b"application/vnd.in-toto+json"
    signature = key.sign(b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload))
    if keyid is None:
        keyid = "SHA256:" + base64.b64encode(hashlib.sha256(ssh_blob(key)).digest()).rstrip(b"=").decode()
    return json.dumps({
        "payload": base64.b64encode(payload).decode(), "payloadType": kind.decode(),
        "signatures": [{"keyid": keyid, "sig": base64.b64encode(signature).decode()}],
    }, separators=(",", ":")).encode()  # fmt: skip


def approval(signer: Person, root: str, id: str, kind: str = "commit", tag: str | None = None,
             target: str | None = None, issued_at: str = "2026-11-02T10:00:00Z") -> dict[str, Any]:  # fmt: skip
    """The statement of an approval; `kind` tag has the tag's name and target."""
    digest, name = ("gitTag", tag) if kind == "tag" else ("gitCommit", id)
    predicate = {"root": root, "signer": signer.did, "kind": kind, "issued_at": issued_at}
    if kind == "tag":
        predicate |= {"tag": tag, "target": target}
    return {"_type": "https://in-toto.io/Statement/v1", "predicateType": "urn:git-auths:approval:v1",
            "subject": [{"name": name, "digest": {digest: id}}], "predicate": predicate}  # fmt: skip


class Rule(NamedTuple):
    """A rule for `policy_toml`; `extra` holds further lines of TOML."""

    kind: str
    signers: Sequence[Person | str]
    require: int | str = 1
    extra: str = ""


def policy_toml(rules: Iterable[Rule], people: Iterable[Person] = ()) -> bytes:
    """A policy with these rules, and a [signer] table for each of the people."""
    text = ""
    for rule in rules:
        dids = ", ".join(f'"{one.did if isinstance(one, Person) else one}"' for one in rule.signers)
        text += f"[[policy.{rule.kind}]]\nsigners = [{dids}]\nrequire = {rule.require}\n{rule.extra}\n"
    for person in people:
        text += f'[signer."{person.did}"]\nname = "{person.name}"\nemails = ["{person.email}"]\n\n'
    return text.encode()


def kel_path(person: Person) -> str:
    return f".auths/kels/{person.aid}.cesr"


def allowed_signers(people: Iterable[Person]) -> bytes:
    """`.auths/allowed_signers` as DESIGN section 3 has it, for people whose [signer] table names their address."""
    lines = [b"# git-auths allowed_signers 1\n"]
    for person in sorted(people, key=lambda person: person.did):
        kel = person.log.kel
        for event in kel.establishments():
            for key in event.state.keys if event.sn >= declared_compromised(kel) else ():
                blob = ssh_blob(Key(key, bytes))
                kind = blob[4 : 4 + blob[3]]
                lines.append(b'%b namespaces="git" %b %b\n' % (person.email.encode(), kind, base64.b64encode(blob)))
    return b"".join(lines)


def auths(rules: Sequence[Rule], listed: Sequence[Person], others: Sequence[Person] = ()) -> dict[str, bytes]:
    """The files of an honest `.auths/`: the policy, `allowed_signers`, the logs of those listed and of others."""
    return {
        ".auths/policy.toml": policy_toml(rules, listed),
        ".auths/allowed_signers": allowed_signers(listed),
        **{kel_path(person): person.log.stream for person in (*listed, *others)},
    }


class Answer(NamedTuple):
    """What a program said; `document` is its JSON, where it gave one."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        assert "internal error" not in self.stderr, self.stderr
        assert self.stdout, f"no JSON; exit {self.code}: {self.stderr}"
        document = json.loads(self.stdout)
        assert document["version"] == 1
        return document  # type: ignore[no-any-return]

    @property
    def objects(self) -> list[dict[str, Any]]:
        return self.document["objects"]  # type: ignore[no-any-return]

    @property
    def verdicts(self) -> dict[str, str]:
        return {found["id"]: found["verdict"] for found in self.objects}


class Repo:
    """A real repository, written object by object with git's plumbing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.date = NOW
        self._blobs: dict[bytes, str] = {}
        self._trees: dict[tuple[tuple[str, str, str], ...], str] = {}

    @classmethod
    def init(cls, path: Path, *options: str) -> Repo:
        run("git", "init", "--quiet", "--template=", "--initial-branch=main", *options, path)
        return cls(path)

    def copy(self, path: Path) -> Repo:
        """The same repository elsewhere; it borrows the objects that are there already (gitrepository-layout(5))."""
        objects = self.path / ".git" / "objects"
        shutil.copytree(
            self.path, path, ignore=lambda folder, names: ["objects"] if folder == str(objects.parent) else []
        )
        (path / ".git" / "objects" / "info").mkdir(parents=True)
        (path / ".git" / "objects" / "info" / "alternates").write_text(f"{objects}\n")
        copied = Repo(path)
        copied.date, copied._blobs, copied._trees = self.date, dict(self._blobs), dict(self._trees)
        return copied

    def git(self, *args: str | Path, stdin: bytes | None = None, code: int | None = 0,
            env: dict[str, str] | None = None) -> str:  # fmt: skip
        return run("git", *args, cwd=self.path, stdin=stdin, code=code, env=env).stdout.decode(errors="replace").strip()

    def raw(self, kind: str, content: bytes) -> str:
        """Any bytes as an object of any type."""
        return self.git("hash-object", "-t", kind, "-w", "--stdin", "--literally", stdin=content)

    def blob(self, content: bytes) -> str:
        if content not in self._blobs:
            self._blobs[content] = self.git("hash-object", "-w", "--stdin", stdin=content)
        return self._blobs[content]

    def blobs(self, contents: Iterable[bytes], scratch: Path) -> None:
        """Many blobs by one process, for `tree` to find."""
        new = [content for content in dict.fromkeys(contents) if content not in self._blobs]
        scratch.mkdir()
        for number, content in enumerate(new):
            (scratch / str(number)).write_bytes(content)
        paths = "".join(f"{scratch / str(number)}\n" for number in range(len(new)))
        ids = self.git("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=os.fsencode(paths)).split()
        self._blobs |= dict(zip(new, ids, strict=True))

    def tree(self, files: Files) -> str:
        """The tree with these files, by path."""
        folders: dict[str, dict[str, bytes | Entry]] = {}
        entries = []
        for path, content in files.items():
            name, slash, rest = path.partition("/")
            if slash:
                folders.setdefault(name, {})[rest] = content
            elif isinstance(content, bytes):
                entries.append(("100644", self.blob(content), name))
            else:
                id = content.content if isinstance(content.content, str) else self.blob(content.content)
                entries.append((content.mode, id, name))
        entries += [("40000", self.tree(inner), name) for name, inner in folders.items()]
        return self.mktree(entries)

    def mktree(self, entries: Iterable[tuple[str, str, str]]) -> str:
        known = tuple(sorted(entries))
        if known not in self._trees:
            kinds = {"40000": "tree", "160000": "commit"}
            lines = "".join(f"{mode:0>6} {kinds.get(mode, 'blob')} {id}\t{name}\0" for mode, id, name in known)
            self._trees[known] = self.git("mktree", "-z", "--missing", stdin=os.fsencode(lines))
        return self._trees[known]

    def raw_tree(self, entries: Iterable[tuple[str, bytes, str]]) -> str:
        """A tree with these (mode, name, id) in just this order, whatever git thinks of it."""
        raw = b"".join(b"%b %b\0%b" % (mode.encode(), name, bytes.fromhex(id)) for mode, name, id in entries)
        return self.raw("tree", raw)

    def headers(self, tree: str, parents: Sequence[str], by: str = "Ada") -> list[bytes]:
        """tree, parents, author, committer; each call is a minute later than the one before."""
        self.date += 60
        who = b"%b <%b@example.com> %d +0000" % (by.encode(), by.lower().encode(), self.date)
        return [b"tree " + tree.encode() + b"\n", *(b"parent " + parent.encode() + b"\n" for parent in parents),
                b"author " + who + b"\n", b"committer " + who + b"\n"]  # fmt: skip

    @property
    def signature_header(self) -> bytes:
        return b"gpgsig-sha256" if self.is_sha256 else b"gpgsig"

    @property
    def is_sha256(self) -> bool:
        return "sha256" in (self.path / ".git" / "config").read_text()

    def commit(
        self, files: Files, parents: Sequence[str], signer: Person | Key | None, message: bytes = b"work\n"
    ) -> str:
        """A commit as git makes it, signed by `signer` (None: unsigned)."""
        return self.commit_tree(self.tree(files), parents, signer, message)

    def commit_tree(
        self, tree: str, parents: Sequence[str], signer: Person | Key | None, message: bytes = b"work\n"
    ) -> str:
        heads = self.headers(tree, parents, signer.name if isinstance(signer, Person) else "Ada")
        payload = b"".join(heads) + b"\n" + message
        if signer is None:
            return self.raw("commit", payload)
        return self.raw("commit", signed_commit(payload, sshsig(signer, payload), self.signature_header))

    def tag(self, name: str, target: str, signer: Person | None, ref: str | None = None, kind: str = "commit",
            message: bytes = b"a release\n") -> str:  # fmt: skip
        """An annotated tag, with `ref` (default: its own name) pointing to it."""
        self.date += 60
        tagger = signer.name if signer else "Ada"
        payload = b"object %b\ntype %b\ntag %b\ntagger %b <%b@example.com> %d +0000\n\n%b" % (
            target.encode(), kind.encode(), name.encode(), tagger.encode(), tagger.lower().encode(), self.date, message,
        )  # fmt: skip
        id = self.raw("tag", payload + (sshsig(signer, payload) if signer else b""))
        self.ref(f"refs/tags/{ref or name}", id)
        return id

    def ref(self, name: str, id: str) -> None:
        """Set a ref, to any object: git's own update-ref would want a commit below refs/heads/."""
        path = self.path / ".git" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(id + "\n")

    def notes(
        self, notes: Mapping[str, Iterable[bytes]], ref: str = "refs/notes/auths", parents: Sequence[str] = ()
    ) -> str:
        """Set the attestations to just these lines, by object."""
        files = {f"{id[:2]}/{id[2:]}": b"".join(line + b"\n" for line in lines) for id, lines in notes.items()}
        commit = self.commit(files, parents, None, b"notes\n")
        self.ref(ref, commit)
        return commit

    def pin(self, root: str, mainline: str = "refs/heads/main") -> None:
        with (self.path / ".git" / "config").open("a") as config:
            config.write(f"[auths]\n\troot = {root}\n\tmainline = {mainline}\n")

    def auths(self, *args: str, env: Mapping[str, str] | None = None) -> Answer:
        """`git auths ARGS`, in this process."""
        out, err = io.StringIO(), io.StringIO()
        with working_in(self.path, env or {}), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = git_auths.main(args)
            except SystemExit as stop:
                code = int(stop.code or 0)
        return Answer(code, out.getvalue(), err.getvalue())

    def verify(self, *args: str) -> Answer:
        """What is remembered of an earlier run must not change the answer, so each question is asked twice."""
        warm = self.auths("verify", "--json", *args)
        with tempfile.TemporaryDirectory() as empty:
            cold = self.auths("verify", "--json", *args, env={"XDG_CACHE_HOME": empty})
        assert (warm.code, warm.stdout and warm.objects) == (cold.code, cold.stdout and cold.objects), cold.stderr
        return cold

    def verify_tag(self, name: str) -> Answer:
        """As if nothing had been good here before: one test makes many tags of one name."""
        (self.path / ".git/auths/tips").unlink(missing_ok=True)
        return self.auths("verify-tag", "--json", name)


def signed_commit(payload: bytes, signature: bytes, name: bytes = b"gpgsig") -> bytes:
    """The payload with its signature where git puts it: behind the other headers."""
    heads, _, message = payload.partition(b"\n\n")
    return heads + b"\n" + header(name, signature) + b"\n" + message


@contextlib.contextmanager
def working_in(folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """The working folder and environment of a command that is run in this process."""
    folder_before, environment_before = os.getcwd(), dict(os.environ)
    os.chdir(folder)
    os.environ.update(environment)
    try:
        yield
    finally:
        os.chdir(folder_before)
        os.environ.clear()
        os.environ.update(environment_before)


class World(NamedTuple):
    """A small honest repository, and its people.

    Alice decides (admin), she and Bob commit and, two of two, release. Carol has a log and no part in the policy;
    nobody has invited Mallory. `before` has no policy yet, `root` brings it, `tip` is the mainline's; `files` are those
    of `tip`.
    """

    repo: Repo
    alice: Person
    bob: Person
    carol: Person
    mallory: Person
    before: str
    root: str
    tip: str
    files: dict[str, bytes]

    @property
    def rules(self) -> list[Rule]:
        return [
            Rule("commit", [self.alice, self.bob]),
            Rule("release", [self.alice, self.bob], 2),
            Rule("admin", [self.alice]),
        ]

    def work(self, parents: Sequence[str], signer: Person | Key | None, **files: str) -> str:
        """A commit that changes files outside `.auths/`, its `.auths/` being that of the tip."""
        changed = {name: content.encode() for name, content in files.items()} or {"work": os.urandom(8)}
        return self.repo.commit({**self.files, **changed}, parents, signer)

    def advance(self, commit: str) -> str:
        """Make `commit` the mainline's tip."""
        self.repo.ref("refs/heads/main", commit)
        return commit

    def verify_at(self, commit: str) -> Answer:
        """As if nothing had been good here before: one test asks about many histories."""
        (self.repo.path / ".git/auths/tips").unlink(missing_ok=True)
        self.advance(commit)
        return self.repo.verify("main")


def found(path: Path, *options: str) -> World:
    """The honest repository, new, in the folder `path`; `options` are those of git init."""
    repo = Repo.init(path, *options)
    people = {name.lower(): Person(name, number) for number, name in enumerate(("Alice", "Bob", "Carol", "Mallory"), 1)}
    before = repo.commit({"README": b"a project\n"}, [], None, b"Before there were rules\n")
    files = {"README": b"a project\n"}
    world = World(repo, before=before, root="", tip="", files=files, **people)
    files |= auths(world.rules, [world.alice, world.bob])
    root = repo.commit(files, [before], world.alice, b"Add the policy\n")
    files["src"] = b"1\n"
    tip = repo.commit(files, [root], world.bob, b"Work on it\n")
    repo.ref("refs/heads/main", tip)
    repo.pin(root)
    return world._replace(root=root, tip=tip, files=files)


def again(world: World, path: Path) -> World:
    """The same repository in another folder, with people whose logs may go on."""
    fresh = {name.lower(): Person(name, number) for number, name in enumerate(("Alice", "Bob", "Carol", "Mallory"), 1)}
    return world._replace(repo=world.repo.copy(path), files=dict(world.files), **fresh)


def refused(answer: Answer, *bad: tuple[str, str]) -> list[dict[str, Any]]:
    """The answer is no, and lists just these (object id, verdict), in any order; returns the objects listed."""
    objects = answer.objects
    assert sorted((one["id"], one["verdict"]) for one in objects) == sorted(bad), (objects, answer.stderr)
    assert answer.document["ok"] is False
    assert answer.code == 1
    assert all(one["reason"] for one in objects)
    return objects


def accepted(answer: Answer) -> None:
    assert answer.objects == [], answer.stderr
    assert answer.document["ok"] is True
    assert answer.code == 0


def git_says_good(repo: Repo, *command: str) -> None:
    """Stock git accepts the signature, with nothing of ours configured but the list of keys."""
    listed = repo.path / ".git" / "listed_keys"
    listed.write_bytes(
        run("git", "-c", "core.useReplaceRefs=false", "show", "main:.auths/allowed_signers", cwd=repo.path).stdout
    )
    done = run("git", "-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={listed}", *command, cwd=repo.path)
    assert b'Good "git" signature for ' in done.stderr, done.stderr.decode()


def high_s(key: Key, data: bytes) -> tuple[int, int]:
    """An ECDSA signature as (r, s) with s in the upper half of its range."""
    raw = key.sign(data)
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    return r, max(s, P256_ORDER - s)


P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


# Grants: made from the format in DESIGN section 4, by JSON and SHA-256 alone

FOR_LONG = "2099-01-01T00:00:00Z"


class Granted(NamedTuple):
    """A grant's payload, and the envelope that stands in its file."""

    payload: bytes
    file: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.payload).hexdigest()

    @property
    def path(self) -> str:
        return f".auths/grants/{self.sha256}.json"

    @property
    def seal(self) -> dict[str, str]:
        return {"auths": "grant/1", "d": self.sha256}

    @property
    def entry(self) -> dict[str, bytes]:
        """The file, under the name that its payload gives it."""
        return {self.path: self.file}


class HardwareKey:
    """A security key (sk-), in software: PROTOCOL.u2f, "SSH U2F Signatures"."""

    def __init__(self, number: int, kind: str = "sk-ssh-ed25519@openssh.com", application: bytes = b"ssh:") -> None:
        self.kind, self.application = kind.encode(), application
        self._key = _key_number(number, "D" if "ed25519" in kind else "1AAJ")
        point = ssh_blob(self._key)
        inner = point[4 + int.from_bytes(point[:4], "big") :]  # what follows the plain key's type
        self.blob = string(self.kind) + inner + string(application)

    @property
    def did(self) -> str:
        """The subject of its grant: no DID, but the fingerprint."""
        return "ssh:SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).rstrip(b"=").decode()

    @property
    def aid(self) -> str:
        """By what a revocation names it: the Blake3-256 digest of the blob, in CESR."""
        from blake3 import blake3

        return "E" + base64.urlsafe_b64encode(b"\0" + blake3(self.blob).digest()).decode()[1:]

    @property
    def line(self) -> str:
        return f"{self.kind.decode()} {base64.b64encode(self.blob).decode()}"

    def sshsig(self, message: bytes, flags: int = 1, counter: int = 7) -> bytes:
        tail = bytes([flags]) + counter.to_bytes(4, "big")
        data = hashlib.sha256(self.application).digest() + tail + hashlib.sha256(signed_data(message)).digest()
        plain = ssh_signature(self._key, data)
        inner = plain[4 + int.from_bytes(plain[:4], "big") :]
        return armored(self.blob, string(self.kind) + inner + tail)


def _key_number(number: int, code: str) -> Key:
    from tests.kels import signer

    return signer(number * 1000 + 1, code)


def grant(issuer: Person, subject: Person | HardwareKey, root: str, kind: str = "device", /, *,
          capabilities: Sequence[str] = ("sign_commit",), expires_at: str = FOR_LONG, **other: Any) -> Granted:  # fmt: skip
    """The grant, signed by the issuer and sealed by nobody; `other` fields of the predicate take precedence."""
    predicate = {
        "root": root, "issuer": issuer.did, "subject": subject.did, "kind": kind, "capabilities": list(capabilities),
        "issued_at": "2026-05-01T00:00:00Z", "expires_at": expires_at,
    }  # fmt: skip
    if isinstance(subject, HardwareKey):
        predicate["key"] = subject.line
    predicate |= other
    about = predicate["root"]
    statement = {"_type": "https://in-toto.io/Statement/v1", "predicateType": "urn:git-auths:grant:v1",
                 "subject": [{"name": about, "digest": {"gitCommit": about}}], "predicate": predicate}  # fmt: skip
    file = envelope(issuer, statement)
    return Granted(base64.b64decode(json.loads(file)["payload"]), file)


def logs(*people: Person) -> dict[str, bytes]:
    return {kel_path(person): person.log.stream for person in people}


def delegation(person: Person) -> dict[str, str]:
    """The seal of a delegate's inception, once more."""
    kel = person.log.kel
    return {"i": kel.aid, "s": "0", "d": kel.events[0].said}


def revocation(subject: Person | HardwareKey) -> dict[str, str]:
    return {"auths": "revoke/1", "i": subject.aid}


def enrolled(files: Files, root: str, issuer: Person, subject: Person | HardwareKey, kind: str = "device", /,
             **fields: Any) -> tuple[dict[str, Any], Granted]:  # fmt: skip
    """The files with a grant that the issuer's log has sealed, and with both logs."""
    given = grant(issuer, subject, root, kind, **fields)
    issuer.log.interact(given.seal)
    people = (issuer, subject) if isinstance(subject, Person) else (issuer,)
    return {**files, **logs(*people), **given.entry}, given


class JointLog(GrowingLog):
    """The log of an identity with several keys."""

    def __init__(self, number: int, keys: int, kt: str) -> None:
        from tests import kels

        self._number, self._code, self.delegator = number * 1000, "D", None
        self.current, self.next = [self._new() for _ in range(keys)], [self._new() for _ in range(keys)]
        self.messages, self._kel = [], None
        self._accept(kels.kelbuild.inception(kels.keys(self.current), kels.commitments(self.next), kt=kt, nt=kt))


def hardware_commit(repo: Repo, files: Files, parents: Sequence[str], key: HardwareKey, flags: int = 1) -> str:
    payload = b"".join(repo.headers(repo.tree(files), parents)) + b"\nwork\n"
    return repo.raw("commit", signed_commit(payload, key.sshsig(payload, flags), repo.signature_header))


def hardware_tag(repo: Repo, name: str, target: str, key: HardwareKey) -> str:
    repo.date += 60
    payload = f"object {target}\ntype commit\ntag {name}\ntagger A <a@example.com> {repo.date} +0000\n\nx\n".encode()
    id = repo.raw("tag", payload + key.sshsig(payload))
    repo.ref(f"refs/tags/{name}", id)
    return id


def with_rules(world: World, rules: Sequence[Rule], *others: Person) -> dict[str, bytes]:
    """The tip's files under these rules; the logs of those listed, of `others` and of the founders are there."""
    people = {one.did: one for rule in rules for one in rule.signers if isinstance(one, Person)}
    rest = [one for one in (world.alice, world.bob, *others) if one.did not in people]
    return {**world.files, **auths(rules, list(people.values()), rest)}


def described(world: World, commit: str) -> dict[str, Any]:
    """The verdict on one commit of the mainline, good ones too."""
    (found,) = (one for one in world.repo.verify("--verbose", "main").objects if one["id"] == commit)
    return found
