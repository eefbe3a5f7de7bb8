"""Thousands of signed commits in seconds: objects built and signed in process, written as one pack."""

from __future__ import annotations

import hashlib
import tempfile
import zlib
from pathlib import Path

from git_auths.core import opensshkey, sshsig
from git_auths.core.gitobject import DIRECTORY, FILE, object_id, parse_tree
from tests.bench.measure import output, run

KINDS = {b"commit": 1, b"tree": 2, b"blob": 3}
STARTED_AT = 1_700_000_000


class Pack:
    """A pack file of whole objects (gitformat-pack(5)), for `git index-pack`."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  # it is gone with this object
        self._file.write(bytes(12))
        self._number = 0

    def add(self, kind: bytes, raw: bytes) -> str:
        size = len(raw)
        head, size = bytearray([(KINDS[kind] << 4) | (size & 15)]), size >> 4
        while size:
            head[-1] |= 0x80
            head.append(size & 0x7F)
            size >>= 7
        self._file.write(bytes(head) + zlib.compress(raw, 1))
        self._number += 1
        return object_id(kind, raw, 40)

    def store(self, repository: Path) -> None:
        self._file.seek(0)
        self._file.write(b"PACK" + (2).to_bytes(4, "big") + self._number.to_bytes(4, "big"))
        self._file.seek(0)
        digest = hashlib.sha1()
        while part := self._file.read(1 << 20):
            digest.update(part)
        self._file.write(digest.digest())
        self._file.seek(0)
        run("git", "index-pack", "--stdin", cwd=repository, stdin=self._file)


class Growth:
    """Signed commits on top of HEAD's branch, each with a file of its own content."""

    def __init__(self, repository: Path, key: opensshkey.PrivateKey) -> None:
        self._repository, self._key = repository, key
        self._pack = Pack()
        self._number = 0
        self.start = run("git", "rev-parse", "HEAD", cwd=repository)
        self._root, self._auths = self._tree("HEAD:"), self._tree("HEAD:.auths")
        self._policy = run("git", "cat-file", "blob", "HEAD:.auths/policy.toml", cwd=repository) + "\n"

    def _tree(self, name: str) -> dict[bytes, tuple[bytes, str]]:
        raw = output("git", "cat-file", "tree", name, cwd=self._repository)
        return {entry.name: (entry.mode, entry.id) for entry in parse_tree(raw, 40)}

    def change_policy(self, branch: str) -> None:
        """The commits from now on carry a policy with a rule for one more branch."""
        head, _, tail = self._policy.partition("[[policy.release]]")
        rule = head[head.index("[[policy.commit]]") :]
        rule = rule.replace("require = 1\n", f'require = 1\nbranches = ["{branch}"]\n')
        blob = self._pack.add(b"blob", f"{head}{rule}[[policy.release]]{tail}".encode())
        tree = self._add_tree(self._auths | {b"policy.toml": (FILE, blob)})
        self._root[b".auths"] = DIRECTORY, tree

    def commit(self, *parents: str) -> str:
        blob = self._pack.add(b"blob", b"%d\n" % self._number)
        tree = self._add_tree(self._root | {b"counter": (FILE, blob)})
        at, message = STARTED_AT + self._number, f"Commit {self._number}"
        self._number += 1
        return self._pack.add(b"commit", signed_commit(self._key, tree, list(parents), at, message))

    def _add_tree(self, entries: dict[bytes, tuple[bytes, str]]) -> str:
        in_order = sorted(entries, key=lambda name: name + b"/" * (entries[name][0] == DIRECTORY))
        return self._pack.add(b"tree", b"".join(
            b"%b %b\0%b" % (entries[name][0], name, bytes.fromhex(entries[name][1])) for name in in_order))  # fmt: skip

    def store(self, tip: str) -> str:
        """Write it all, and point HEAD's branch to `tip`."""
        self._pack.store(self._repository)
        run("git", "reset", "--quiet", "--hard", tip, cwd=self._repository)
        run("git", "commit-graph", "write", "--reachable", cwd=self._repository)
        return tip


def signed_commit(key: opensshkey.PrivateKey, tree: str, parents: list[str], at: int, message: str) -> bytes:
    """A raw commit as `git commit -S` would store it."""
    person = f"Ada Example <ada@example.com> {at} +0000"
    head = f"tree {tree}\n" + "".join(f"parent {parent}\n" for parent in parents)
    head += f"author {person}\ncommitter {person}\n"
    payload = f"{head}\n{message}\n".encode()
    text = sshsig.encode(key.public_blob, b"git", key.sign(sshsig.signed_data(payload, b"git")))
    return f"{head}gpgsig {text.decode().rstrip().replace(chr(10), chr(10) + ' ')}\n\n{message}\n".encode()


def linear(repository: Path, key: opensshkey.PrivateKey, number: int) -> str:
    """`number` commits in a row; the new tip."""
    growth = Growth(repository, key)
    tip = growth.start
    for _ in range(number):
        tip = growth.commit(tip)
    return growth.store(tip)


def merging(repository: Path, key: opensshkey.PrivateKey, number: int, policy_changes: int) -> str:
    """`number` commits, of which every fifth merges two branches of two, and some change the policy; the new tip."""
    growth = Growth(repository, key)
    tip = growth.start
    groups = number // 5
    changing = {groups * i // policy_changes for i in range(policy_changes)}
    for group in range(groups):
        theirs = growth.commit(growth.commit(tip))
        if group in changing:
            growth.change_policy(f"release/{group}")
        ours = growth.commit(growth.commit(tip))
        tip = growth.commit(ours, theirs)
    return growth.store(tip)
