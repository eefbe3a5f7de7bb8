"""Thousands of signed commits in seconds: objects built and signed in process, written as one pack."""

from __future__ import annotations

import hashlib
import subprocess
import zlib
from pathlib import Path

from git_auths.core import opensshkey, sshsig
from git_auths.core.gitobject import object_id

KINDS = {b"commit": 1, b"tree": 2, b"blob": 3}
STARTED_AT = 1_700_000_000


class Pack:
    """A pack file of whole objects (gitformat-pack(5)), for `git index-pack`."""

    def __init__(self) -> None:
        self._entries: list[bytes] = []

    def add(self, kind: bytes, raw: bytes) -> str:
        size = len(raw)
        head, size = bytearray([(KINDS[kind] << 4) | (size & 15)]), size >> 4
        while size:
            head[-1] |= 0x80
            head.append(size & 0x7F)
            size >>= 7
        self._entries.append(bytes(head) + zlib.compress(raw, 1))
        return object_id(kind, raw, 40)

    def store(self, repository: Path) -> None:
        content = b"PACK" + (2).to_bytes(4, "big") + len(self._entries).to_bytes(4, "big") + b"".join(self._entries)
        content += hashlib.sha1(content).digest()
        subprocess.run(["git", "-C", repository, "index-pack", "--stdin"], input=content, check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip


def signed_commit(key: opensshkey.PrivateKey, tree: str, parents: list[str], at: int, message: str) -> bytes:
    """A raw commit as `git commit -S` would store it."""
    person = f"Ada Example <ada@example.com> {at} +0000"
    head = f"tree {tree}\n" + "".join(f"parent {parent}\n" for parent in parents)
    head += f"author {person}\ncommitter {person}\n"
    payload = f"{head}\n{message}\n".encode()
    text = sshsig.encode(key.public_blob, b"git", key.sign(sshsig.signed_data(payload, b"git")))
    return f"{head}gpgsig {text.decode().rstrip().replace(chr(10), chr(10) + ' ')}\n\n{message}\n".encode()


def grow(repository: Path, key: opensshkey.PrivateKey, number: int) -> str:
    """Put `number` linear signed commits on top of HEAD's branch, each with a file of its own content; the new tip."""

    def ask(*args: str) -> str:
        return subprocess.run(
            ["git", "-C", repository, *args], check=True, capture_output=True, text=True
        ).stdout.strip()

    tip, branch = ask("rev-parse", "HEAD"), ask("symbolic-ref", "HEAD")
    entries = [line for line in ask("ls-tree", "HEAD").splitlines() if not line.endswith("\tcounter")]
    trees = []
    pack = Pack()
    for line in entries:
        meta, name = line.split("\t")
        mode, kind, id = meta.split()
        trees.append(
            (name + ("/" if kind == "tree" else ""), f"{mode.lstrip('0')} {name}".encode() + b"\0" + bytes.fromhex(id))
        )
    for i in range(number):
        blob = pack.add(b"blob", b"%d\n" % i)
        counted = [*trees, ("counter", b"100644 counter\0" + bytes.fromhex(blob))]
        tree = pack.add(b"tree", b"".join(raw for _, raw in sorted(counted)))
        tip = pack.add(b"commit", signed_commit(key, tree, [tip], STARTED_AT + i, f"Commit {i}"))
    pack.store(repository)
    ask("update-ref", branch, tip)
    ask("commit-graph", "write", "--reachable")
    return tip
