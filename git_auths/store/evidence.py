"""What the judge is shown of a repository: facts, folders, trees, merge bases, and the approvals in the notes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from git_auths.core import approvals, cicommits, pins
from git_auths.core.auths_folder import AuthsFolder, AuthsFolders, doubted_since
from git_auths.core.case import Sources
from git_auths.core.facts import Facts, examine, parents_as_git_reads_them
from git_auths.core.gitobject import (
    MAX_OBJECT_BYTES,
    MAX_TREE_BYTES,
    Entry,
    Malformed,
    is_object_id,
    object_id,
    parse_tree,
)
from git_auths.core.pins import Pins
from git_auths.core.reception import Reception
from git_auths.core.sha2 import sha256
from git_auths.core.sshsig import fingerprint
from git_auths.errors import Error, MissingObject
from git_auths.store import examining, git, notes
from git_auths.store.noanswer import incomplete
from git_auths.store.repository import MAX_READ_BYTES, Objects, Repository

if TYPE_CHECKING:
    from git_auths.core.noteline import Line
    from git_auths.core.statement import Kind

MAX_TREES = 4096  # parsed trees kept at once, for path rules
MAX_ATTESTED = 1024  # commits by CI whose attestations are kept at once


class HashedObjects(Objects):
    """Believes no object whose bytes do not hash to its id: git looks at that when it fetches, not when it reads."""

    def read(self, name: str, limit: int = MAX_READ_BYTES) -> tuple[bytes, bytes]:
        kind, raw = super().read(name, limit)
        if is_object_id(name) and object_id(kind, raw, len(name)) != name:
            raise Error(f"the bytes of object {name} do not hash to its id", "git fsck says what else is damaged")
        return kind, raw


class Evidence:
    """Reads one repository for the judge. `close` it."""

    def __init__(self, repository: Repository, root: str, mainline_tip: str, notes_tip: str | None) -> None:
        self.repository = repository
        self.root = root
        self.mainline_tip = mainline_tip
        self.objects = HashedObjects(repository.path)
        self.notes = notes.Notes(self.objects, notes_tip)
        self.folders = AuthsFolders(self.objects.read, repository.hex_length, root)
        self.facts: dict[str, Facts] = {}
        self._mainline_folder: AuthsFolder | None = None
        self.counted: dict[str, set[str]] = {}  # by commit: the SHA-256 of each approval that a verdict used
        self.judged_before: Container[str] = ()  # what an earlier run saw whole
        self._trees: dict[str, dict[bytes, Entry]] = {}
        self._pins: dict[frozenset[tuple[bytes, str]], Pins] = {}
        self._attestations: dict[tuple[str, bytes], cicommits.Found] = {}  # of commits by CI, by commit and key

    def close(self) -> None:
        self.objects.close()

    def mainline_folder(self) -> AuthsFolder:
        """`.auths` at the mainline's tip, or what a tip that cannot be believed has from before it: it takes back no
        rule, and no loss that was declared."""
        if self._mainline_folder is None:
            self._mainline_folder = self._last_believed(self.mainline_tip)
        return self._mainline_folder

    def _last_believed(self, commit: str) -> AuthsFolder:
        tip = self.folder_of(commit)
        while commit != self.root:
            facts = self.facts.get(commit) or self.examine_one(commit)
            folder = self.folders(facts.auths)
            if facts.raw_fault is None and facts.folder_fault is None and folder.policy is not None:
                return folder
            if not facts.parents or not self.has(facts.parents[0]):
                return tip
            commit = facts.parents[0]
        return self.folder_of(commit)

    def folder_of(self, commit: str) -> AuthsFolder:
        """`.auths` in the tree of `commit`."""
        return self.folders(self._auths_of(commit))

    def sources(self) -> Sources:
        return Sources(self.folders, self.folders.lines, self._commit_approvals, self._tree_of, self._auths_of,
                       self._ask_git_for_bases, self._entries, {}, {},
                       cicommits.Pipelines(self._attested, self.pins_at, self.facts_of))  # fmt: skip

    def pins_at(self, auths: str | None) -> Pins:
        """The pins in the tree with this id at `.auths`; the same object for the same files."""
        files = self.folders(auths).files
        these = frozenset((path, id) for path, id in files.items() if pins.is_pin(path))
        if these not in self._pins:
            self._pins[these] = pins.read(files, lambda id: self.objects.read(id, pins.MAX_PIN_BYTES)[1])
        return self._pins[these]

    def _attested(self, commit: str, key: bytes) -> cicommits.Found:
        known = self._attestations.get((commit, key))
        if known is None:
            note = self.notes.read(commit)
            found = cicommits.attested(note.lines, self.root, commit, key)
            known = found._replace(is_whole=not note.incomplete)
            if len(self._attestations) >= MAX_ATTESTED:
                self._attestations.clear()
            self._attestations[commit, key] = known
            if found.lines:
                used = (sha256(line).hexdigest() for line in found.lines)
                self.counted.setdefault(commit, set()).update(used)
        return known

    def facts_of(self, commit: str) -> Facts:
        return self.facts.get(commit) or self.examine_one(commit)

    def _commit_approvals(self, commit: str, kind: str, own: AuthsFolder, reception: Reception) -> approvals.Counted:
        assert kind in ("commit", "admin", "countersign")
        wanted = approvals.Object(self.root, cast("Kind", kind), commit)
        received_by = None if reception.by is None else self.folders(reception.by)
        return self.count(wanted, self.mainline_folder(), own, received_by)

    def count(
        self, wanted: approvals.Object, mainline: AuthsFolder, own: AuthsFolder | None,
        received_by: AuthsFolder | None, digests: frozenset[str] | None = None,
    ) -> approvals.Counted:  # fmt: skip
        """Who approved it; `digests`: by which lines alone."""

        def keys_of(did: str, with_lost: bool = False) -> Iterable[bytes]:
            aid = did.removeprefix("did:keri:")
            received = None if received_by is None else received_by.kels.get(aid)
            # A delegate's log whose seals have become void gives no key but those that it had on reception.
            latest = mainline.kels.get(aid) if mainline.authority.stands(did) else received
            lost = 0 if with_lost else approvals.compromised_before(latest, received_by, aid)
            return approvals.approving_keys(None if own is None else own.kels.get(aid), latest, lost, received)

        def earlier_key_of(did: str, line: Line) -> bytes | None:
            """(section 4) What somebody signed, by a trusted time, before his key was in doubt, he has signed."""
            from git_auths.core import proofs

            kel = mainline.kel_of(did)
            lost_at = None if kel is None else doubted_since(kel)
            key = approvals.signing_key(line.envelope, {fingerprint(one): one for one in keys_of(did, with_lost=True)})
            if key is None or lost_at is None:
                return None
            when = proofs.examine(line, key, None, self.pins_at(self._auths_of(self.mainline_tip))).trusted_seconds
            return key if when is not None and when < lost_at else None

        note = self.notes.read(wanted.id)
        lines = note.lines if digests is None else [line for line in note.lines if sha256(line).hexdigest() in digests]
        counted = approvals.count(lines, wanted, keys_of, mainline.principal, earlier_key_of)
        if counted.lines and own is not None:
            digests_used = self.counted.setdefault(wanted.id, set())
            digests_used.update(sha256(line).hexdigest() for line in counted.lines)
        unread = ("it is no attestation",) * note.ignored
        return counted._replace(ignored=counted.ignored + unread, incomplete=note.incomplete)

    def _tree_of(self, commit: str) -> str:
        facts = self.facts.get(commit)
        if facts is not None and facts.tree:
            return facts.tree
        _, raw = self.objects.read(commit, MAX_OBJECT_BYTES)
        return raw[5 : 5 + len(commit)].decode("ascii", "replace")

    def _auths_of(self, commit: str) -> str | None:
        facts = self.facts.get(commit)
        return self.objects.auths_tree(commit) if facts is None else facts.auths

    def _entries(self, tree: str) -> dict[bytes, Entry]:
        entries = self._trees.get(tree)
        if entries is None:
            if len(self._trees) >= MAX_TREES:
                self._trees.clear()
            kind, raw = self.objects.read(tree, MAX_TREE_BYTES)
            if kind != b"tree":
                raise Malformed("an entry that is no folder, though its mode says so")
            entries = {entry.name: entry for entry in parse_tree(raw, self.repository.hex_length)}
            self._trees[tree] = entries
        return entries

    def _ask_git_for_bases(self, commits: Sequence[str]) -> list[str]:
        return git.attempt("merge-base", "--octopus", "--all", *commits, cwd=self.repository.path)[1].decode().split()

    def examine(
        self, tips: Sequence[str], known: Sequence[str] = (), examined: Callable[[int], None] = lambda number: None
    ) -> dict[str, Facts]:
        """The facts of all that `tips` have and neither `known` nor the root's parents."""
        root_parents = parents_as_git_reads_them(self.objects.read(self.root, MAX_OBJECT_BYTES)[1])
        boundary = [*known, *(parent for parent in root_parents if self.has(parent))]
        found: dict[str, Facts] = {}
        for batch in examining.examined(tips, boundary, self.repository.path, self.repository.hex_length):
            found.update((facts.id, facts) for facts in batch)
            examined(len(batch))
        self._check_closure(found, root_parents)
        self.facts.update(found)
        return found

    def examine_one(self, commit: str) -> Facts:
        """The facts of one commit, whatever is behind it."""
        raw = self.objects.read(commit, MAX_OBJECT_BYTES)[1]
        tree = raw[5 : 5 + len(commit)].decode("ascii", "replace")
        root = self.objects.read(tree, MAX_TREE_BYTES)[1]
        return examine([(commit, raw, tree, root)], self.repository.hex_length)[0]

    def has(self, commit: str) -> bool:
        try:
            return self.objects.read(commit, MAX_OBJECT_BYTES)[0] == b"commit"
        except MissingObject:
            return False

    def _check_closure(self, found: dict[str, Facts], boundary: Sequence[str]) -> None:
        """Every parent was seen or lies behind the root; git stops in silence where a clone is shallow."""
        # What is behind the root is out of scope, so the root's own parents need not be here.
        parents = {parent for facts in found.values() if facts.id != self.root for parent in facts.parents}
        unseen = parents - found.keys() - self.facts.keys() - set(boundary)
        unseen = {parent for parent in unseen if parent not in self.judged_before}
        if not unseen:
            return
        # An unseen root: git took a shallow commit for one without parents.
        behind = set(self.repository.git("rev-list", self.root).decode().split()) - {self.root}
        if unseen - behind:
            raise incomplete(min(unseen - behind))

    def still_counts(self, notes_tip: str | None, lines: Mapping[str, Iterable[str]]) -> bool:
        """Are these lines (by object, SHA-256) still in the notes? `notes_tip`: where they were read then."""
        if notes_tip == self.notes.commit or not lines:
            return True
        changed: Iterable[str] = lines
        if notes_tip is not None:
            with contextlib.suppress(MissingObject):
                changed = set(notes.differing(notes.Notes(self.objects, notes_tip), self.notes))
        return all(
            set(lines[id]) <= {sha256(line).hexdigest() for line in self.notes.read(id).lines}
            for id in changed if id in lines
        )  # fmt: skip
