"""Attestations in notes, 10 and 100,000 of them: `python -m tests.bench.attestations [--size N] [--runs N]`.

Whole processes: `git auths show` of one object, and `git auths sync` of one new note, beside git alone pushing and
fetching as much (the ceilings: 20 ms more than in 10; 1 s over a path). In-process: appending, and a first merge.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import statistics
from collections.abc import Iterator
from pathlib import Path

from git_auths.core import attestation, dsse, provenance
from git_auths.core.attestation import Binding
from git_auths.core.opensshkey import PrivateKey
from git_auths.core.statement import Subject
from git_auths.store import attestations, notes
from git_auths.store.repository import Repository
from tests.bench import place
from tests.bench.measure import alternating, output, run, seconds_of, table

SIZE = 100_000
FEW = 10
RUNS = 15
STARTED_AT = 1_700_000_000

_numbers = itertools.count(10_000_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=SIZE)
    parser.add_argument("--runs", type=int, default=RUNS)
    args = parser.parse_args()
    measure(args.size, args.runs)


def measure(size: int, runs: int) -> None:
    with place.repository() as repository:
        few, many = repository, repository.parent / "many"
        run("git", "clone", "--quiet", few, many)
        root = run("git", "config", "auths.root", cwd=few)
        run("git", "auths", "root", "pin", "--mainline", "refs/heads/main", root, cwd=many)
        maker = Maker(root, run("git", "auths", "whoami", cwd=few), place.key())
        for path, number in ((few, FEW), (many, size)):
            took = seconds_of(lambda path=path, number=number: maker.fill(path, number))
            print(f"{number} attestations made in {took:.1f} s", flush=True)
        lookups(few, many, size, runs)
        syncs(many, maker, size, runs)
        appends(many, maker, runs)
        everything(many, size)


class Maker:
    """Signs provenances of objects that need not be there, and puts them into notes as fast as git takes them."""

    def __init__(self, root: str, signer: str, key: PrivateKey) -> None:
        self._root, self._signer, self._key = root, signer, key

    def line(self, number: int) -> bytes:
        """An attestation of the object with this number."""
        id = object_id(number)
        agent = provenance.Agent("fixer", f"m-{number % 7}", "acme", ("edit", "test"))
        said = provenance.slsa(id, "https://example.com/work", "https://example.com/ci", STARTED_AT + number, agent)
        binding = Binding(self._root, self._signer, STARTED_AT + number)
        payload = attestation.payload([Subject(id, {"gitCommit": id})], provenance.SLSA_PROVENANCE, said, binding)
        sign = self._key.sign
        return dsse.serialise(
            dsse.sign(payload, self._key.public_blob, lambda data: dsse.signature_from_ssh(sign(data)))
        )

    def fill(self, repository: Path, number: int) -> None:
        stream = b"".join(self._stream(number))
        run("git", "fast-import", "--quiet", "--done", "--date-format=raw", cwd=repository, stdin=stream)

    def _stream(self, number: int) -> Iterator[bytes]:
        yield b"commit %b\ncommitter Ada <ada@example.com> %d +0000\ndata 0\n" % (notes.NOTES_REF.encode(), STARTED_AT)
        for n in range(number):
            id, line = object_id(n).encode(), self.line(n)
            yield b"M 100644 inline %b/%b\ndata %d\n%b\n\n" % (id[:2], id[2:], len(line) + 1, line)
        yield b"done\n"


def object_id(number: int) -> str:
    return hashlib.sha1(b"%d" % number).hexdigest()


def lookups(few: Path, many: Path, size: int, runs: int) -> None:
    ways = {
        f"git auths show, of {number}": lambda path=path: output("git", "auths", "show", object_id(3), cwd=path)
        for path, number in ((few, FEW), (many, size))
    }
    seconds = alternating(ways, runs)
    table("lookup of one object, whole process", seconds, next(iter(ways)))
    assert all(b"provenance by" in way() for way in ways.values())


def syncs(many: Path, maker: Maker, size: int, runs: int) -> None:
    server, peer = many.parent / "server.git", many.parent / "peer"
    run("git", "clone", "--quiet", "--bare", many, server)
    run("git", "fetch", "--quiet", many, f"{notes.NOTES_REF}:{notes.NOTES_REF}", cwd=server)
    run("git", "clone", "--quiet", server, peer)
    run("git", "fetch", "--quiet", server, f"{notes.NOTES_REF}:{notes.NOTES_REF}", cwd=peer)
    first = seconds_of(lambda: notes.merge(peer, "refs/notes/first", notes.NOTES_REF))
    print(f"\ntaking over {size} notes for the first time: {first:.2f} s")
    ours, gits = [], []
    for _ in range(runs + 1):
        append(many, maker)
        ours.append(seconds_of(lambda: run("git", "auths", "sync", str(server), cwd=many)))
        run("git", "fetch", "--quiet", str(server), f"{notes.NOTES_REF}:{notes.NOTES_REF}", cwd=peer)
        append(peer, maker)
        gits.append(seconds_of(lambda: pushed_by_git(peer, server)))
        run("git", "auths", "sync", str(server), cwd=many)
    table(f"one new note on top of {size} there and back, over a path, whole process",
          {"git push, git fetch": gits[1:], "git auths sync": ours[1:]}, "git push, git fetch")  # fmt: skip


def pushed_by_git(peer: Path, server: Path) -> None:
    run("git", "push", "--quiet", str(server), notes.NOTES_REF, cwd=peer)
    run("git", "fetch", "--quiet", str(server), f"{notes.NOTES_REF}:refs/notes/back", cwd=peer)


def append(path: Path, maker: Maker) -> None:
    number = next(_numbers)
    notes.append(path, {object_id(number): [maker.line(number)]}, "Attest")


def appends(many: Path, maker: Maker, runs: int) -> None:
    one = [seconds_of(lambda: append(many, maker)) for _ in range(runs)]
    lines = [maker.line(next(_numbers)) for _ in range(10)]
    ids = [object_id(next(_numbers)) for _ in range(1000)]
    shared = {id: [lines[n % len(lines)]] for n, id in enumerate(ids)}
    thousand = seconds_of(lambda: notes.append(many, shared, "Attest"))
    print(
        f"\nappending a line: {statistics.median(one) * 1000:.1f} ms; ten lines to 1,000 objects: {thousand * 1000:.0f} ms"
    )


def everything(many: Path, size: int) -> None:
    with attestations.opened(Repository(many)) as shelf:
        took = seconds_of(lambda: sum(1 for _ in attestations.every(shelf.notes, shelf.hex_length)))
    print(f"reading all {size}: {took:.1f} s")
    took = seconds_of(lambda: output("git", "auths", "log", "-n", "10", cwd=many))
    print(f"git auths log -n 10, each of {size} verified: {took:.1f} s")


if __name__ == "__main__":
    main()
