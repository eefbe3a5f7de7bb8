"""Asking the judge about a repository: history streamed and examined by two workers, then judged in order.

Everything that is pinned, fetched or remembered meets here; the rules themselves are in `core/judge.py`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, cast

from git_auths.core import approvals, tags
from git_auths.core.auths_folder import AuthsFolder, AuthsFolders
from git_auths.core.facts import Facts
from git_auths.core.gitobject import MAX_OBJECT_BYTES, MAX_TREE_BYTES, Entry, Tag, parse_tree
from git_auths.core.judge import SOUND, Sources, Verdict
from git_auths.core.judgement import Branch, Judged, Mainline, Pushed
from git_auths.core.reception import Reception
from git_auths.core.scope import branch_matches
from git_auths.core.sha2 import sha256
from git_auths.core.statement import Kind
from git_auths.errors import Error, MissingObject, Refusal, TooLarge
from git_auths.store import git, history, notes, settings
from git_auths.store.examining import examine_all
from git_auths.store.repository import Objects, Repository

__all__ = ["Answer", "NoAnswer", "Pushed", "Verifier", "missing_is_incomplete"]

FETCH_HINT = "git fetch --unshallow gets what a shallow clone lacks"
PIN_HINT = "git auths setup shows the root and its signers, and pins them on a yes"
MAX_TREES = 4096  # parsed trees kept at once, for path rules


class Answer(NamedTuple):
    """What was asked of a repository: `verdicts` holds one for every commit judged, parents first."""

    root: str
    mainline_ref: str
    mainline_tip: str
    verdicts: dict[str, Verdict]
    cached: int = 0  # commits that an earlier run judged

    def not_good(self) -> list[Verdict]:
        """The first commit that is not good on each line of history, newest last."""
        return [verdict for verdict in self.verdicts.values() if not (verdict.verdict in SOUND or verdict.because_of)]

    def in_the_end(self, verdict: Verdict) -> Verdict:
        """What to say of a commit that is right by itself: with something bad behind it, it is not good."""
        if verdict.because_of is None or not verdict.passes:
            return verdict
        cause = self.verdicts[verdict.because_of]
        return verdict._replace(verdict=cause.verdict, reason=f"{cause.id} behind it is not good")


class Verifier:
    """Answers for one repository and one pair of pins; a context manager that holds a reader of objects."""

    def __init__(self, repository: Repository, pins: settings.Pins | None = None, mainline_tip: str | None = None,
                 notes_tip: str | None = None, pushed: Pushed | None = None) -> None:  # fmt: skip
        """`pins`: those of the repository; the tips: what stands there now. A push is judged by what it would set."""
        self.repository = repository
        found = pins or settings.pins(repository.path)
        if found is None:
            raise unpinned()
        self.pins = found
        if not repository.has(found.root):
            raise incomplete(found.root) if repository.is_shallow() else root_is_elsewhere(found.root)
        tip = mainline_tip or repository.ref(found.mainline)
        if tip is None:
            raise Error(f"the mainline {found.mainline} does not exist here",
                        f"git fetch, or name another: git auths root pin --mainline FULL-REF {found.root}")  # fmt: skip
        self.mainline_tip = tip
        self._pushed = pushed
        self._objects = Objects(repository.path)
        self._notes = notes.Notes(self._objects, notes_tip or notes.tip(repository.path))
        self._folders = AuthsFolders(self._objects.read, repository.hex_length)
        self._facts: dict[str, Facts] = {}
        self._trees: dict[str, dict[bytes, Entry]] = {}
        self._mainline: Mainline | None = None

    def __enter__(self) -> Verifier:
        return self

    def __exit__(self, *_: object) -> None:
        self._objects.close()

    def read(self, id: str) -> tuple[bytes, bytes]:
        return self._objects.read(id)

    def mainline_folder(self) -> AuthsFolder:
        """`.auths` at the mainline's tip."""
        return self.folder_of(self.mainline_tip)

    def folder_of(self, commit: str) -> AuthsFolder:
        """`.auths` in the tree of `commit`."""
        return self._folders(self._auths_of(commit))

    def verify(
        self, tips: Iterable[str], ref: str | None = None, examined: Callable[[int], None] = lambda number: None
    ) -> Answer:
        """Judge everything between the root and `tips`: what the mainline lacks of it as part of `ref` (a full name;
        default: the mainline).

        `examined` is told of each further number of commits whose signatures were looked at.
        """
        wanted = list(tips)
        with missing_is_incomplete():
            judged = self.judge(wanted, ref, examined)
            verdicts = dict(self._reachable(wanted, judged))
        for tip in wanted:
            # git lists nothing for what the root itself descends from; nothing must not look like nothing bad.
            verdicts.setdefault(tip, before_the_root(tip))
        return Answer(self.pins.root, self.pins.mainline, self.mainline_tip, verdicts)

    def judge(self, tips: Sequence[str], ref: str | None = None,
              examined: Callable[[int], None] = lambda number: None) -> list[Judged]:  # fmt: skip
        """The mainline as judged, and, where `tips` have what it lacks, that."""
        mainline = self.mainline(examined)
        beyond = [tip for tip in tips if tip not in mainline.records]
        if not beyond:
            return [mainline]
        facts = self._examine(beyond, [self.mainline_tip], examined)
        self._facts.update(facts)
        return [mainline, Branch(facts, beyond, settings.branch_name(ref or self.pins.mainline), mainline)]

    def mainline(self, examined: Callable[[int], None] = lambda number: None) -> Mainline:
        """Everything up to the mainline's tip, judged once."""
        if self._mainline is None:
            facts = self._examine([self.mainline_tip], [], examined)
            self._facts.update(facts)
            self._mainline = Mainline(facts, self.pins.root, self.mainline_tip,
                                      settings.branch_name(self.pins.mainline), self._sources(),
                                      pushed=self._pushed)  # fmt: skip
        return self._mainline

    def verify_tag(self, ref: str) -> tags.TagVerdict:
        """Judge the tag under the full ref name `ref`, which must exist."""
        id = self.repository.ref(ref)
        name = ref.removeprefix("refs/tags/")
        if id is None and self.repository.ref(settings.PROPOSALS + name):
            raise Error(f"{name} is proposed, but not published", f"git auths approve {name}; git auths publish {name}")
        if id is None:
            raise Error(f"there is no {ref} here", "git fetch --tags; git tag lists what is here")
        return self.verify_tag_object(id, ref)

    def verify_tag_object(self, id: str, ref: str) -> tags.TagVerdict:
        """Judge the tag object `id` as if `ref` pointed to it."""
        try:
            kind, raw = self._objects.read(id, MAX_OBJECT_BYTES)
        except TooLarge as error:
            return tags.unreadable(id, error.message)
        with missing_is_incomplete():
            mainline = self.mainline()
            received = mainline.receipt_of(ref, id)
            moment = tags.Moment(self.mainline_folder(), mainline.clock_seconds)
            digests = None
            if received is not None:
                moment = tags.Moment(self._folders(received[1].state.auths), received[1].clock_seconds)
                digests = frozenset(received[0].approvals)

            def approvals_of(tag: Tag) -> approvals.Counted:
                name = tag.name.decode(errors="replace")
                wanted = approvals.Object(self.pins.root, "tag", id, name, tag.target)
                return self._count(wanted, moment.folder, None, None, digests)

            return tags.verify_tag(id, kind, raw, ref, moment, self._target, approvals_of)

    def _target(self, commit: str) -> Verdict:
        """The verdict on a release's commit. A tag is judged by the mainline's tip, so that must be good as well."""
        kind, _ = self._objects.read(commit, MAX_TREE_BYTES)
        if kind != b"commit":
            reason = f"it is a {kind.decode(errors='replace')}, though the tag says commit"
            return Verdict("commit", commit, "malformed", None, None, None, reason)
        found = None
        for ref in [*self._governed_branches(commit), None]:
            answer = self.verify([self.mainline_tip, commit], ref)
            bad = next((verdict for verdict in answer.verdicts.values() if not verdict.passes), None)
            if bad is None:
                return answer.verdicts[commit]
            found = found or bad
        assert found is not None
        return found

    def _governed_branches(self, commit: str) -> list[str]:
        """The branches that a rule names and that contain `commit`, which the mainline lacks."""
        if commit in self.mainline().records:
            return []
        policy = self.mainline_folder().policy
        rules = [rule for rule in policy.commit if rule.branches is not None] if policy is not None else []
        if not rules:
            return []
        listed = self.repository.git("for-each-ref", "--format=%(refname)", "--contains", commit, "refs/heads",
                                     "refs/remotes")  # fmt: skip
        names = {settings.branch_name(os.fsdecode(name)) for name in listed.splitlines()}
        return [name for name in sorted(names)
                if any(branch_matches(rule.branches, os.fsencode(name)) for rule in rules)]  # fmt: skip

    def _sources(self) -> Sources:
        return Sources(self._folders, self._folders.lines, self._commit_approvals, self._tree_of, self._auths_of,
                       self._ask_git_for_bases, self._entries)  # fmt: skip

    def _commit_approvals(self, commit: str, kind: str, own: AuthsFolder, reception: Reception) -> approvals.Counted:
        assert kind in ("commit", "admin", "countersign")
        wanted = approvals.Object(self.pins.root, cast(Kind, kind), commit)
        return self._count(wanted, self.mainline_folder(), own, self._folders(reception.state.auths))

    def _count(
        self, wanted: approvals.Object, mainline: AuthsFolder, own: AuthsFolder | None,
        received_by: AuthsFolder | None, digests: frozenset[str] | None = None,
    ) -> approvals.Counted:  # fmt: skip
        """Who approved it; `digests`: by which lines alone."""

        def keys_of(did: str) -> Iterable[bytes]:
            aid = did.removeprefix("did:keri:")
            lost = approvals.compromised_before(mainline.kels.get(aid), received_by, aid)
            return approvals.approving_keys(None if own is None else own.kels.get(aid), mainline.kels.get(aid), lost)

        note = self._notes.read(wanted.id)
        lines = note.lines if digests is None else [line for line in note.lines if sha256(line).hexdigest() in digests]
        counted = approvals.count(lines, wanted, keys_of, mainline.principal)
        unread = ("it is no attestation",) * note.ignored
        return counted._replace(ignored=counted.ignored + unread, incomplete=note.incomplete)

    def _tree_of(self, commit: str) -> str:
        facts = self._facts.get(commit)
        if facts is not None and facts.tree:
            return facts.tree
        _, raw = self._objects.read(commit, MAX_OBJECT_BYTES)
        return raw[5 : 5 + len(commit)].decode("ascii", "replace")

    def _auths_of(self, commit: str) -> str | None:
        facts = self._facts.get(commit)
        return self._objects.auths_tree(commit) if facts is None else facts.auths

    def _entries(self, tree: str) -> dict[bytes, Entry]:
        entries = self._trees.get(tree)
        if entries is None:
            if len(self._trees) >= MAX_TREES:
                self._trees.clear()
            raw = self._objects.read(tree, MAX_TREE_BYTES)[1]
            entries = {entry.name: entry for entry in parse_tree(raw, self.repository.hex_length)}
            self._trees[tree] = entries
        return entries

    def _ask_git_for_bases(self, commits: Sequence[str]) -> list[str]:
        return git.attempt("merge-base", "--octopus", "--all", *commits, cwd=self.repository.path)[1].decode().split()

    def _examine(self, tips: Sequence[str], known: Sequence[str], examined: Callable[[int], None]) -> dict[str, Facts]:
        root_parents = self.repository.git("rev-parse", f"{self.pins.root}^@").decode().split()
        raw = history.stream(tips, [*known, *root_parents], self.repository.path)
        found: dict[str, Facts] = {}
        for batch in examine_all(raw, self.repository.hex_length):
            found.update((facts.id, facts) for facts in batch)
            examined(len(batch))
        self._check_closure(found, root_parents)
        return found

    def _check_closure(self, found: dict[str, Facts], boundary: Sequence[str]) -> None:
        """Every parent was seen or lies behind the root; git stops in silence where a clone is shallow."""
        # What is behind the root is out of scope, so the root's own parents need not be here.
        parents = {parent for facts in found.values() if facts.id != self.pins.root for parent in facts.parents}
        unseen = parents - found.keys() - self._facts.keys() - set(boundary)
        if not unseen:
            return
        # An unseen root: git took a shallow commit for one without parents.
        behind = set(self.repository.git("rev-list", self.pins.root).decode().split()) - {self.pins.root}
        if unseen - behind:
            raise incomplete(min(unseen - behind))

    def _reachable(self, tips: Sequence[str], judged: Sequence[Judged]) -> Iterator[tuple[str, Verdict]]:
        """The verdicts on `tips` and all behind them."""
        wanted = None if self.mainline_tip in tips else self._behind(tips)
        for part in judged:
            for verdict in part.verdicts():
                if wanted is None or verdict.id in wanted:
                    yield verdict.id, verdict

    def _behind(self, tips: Sequence[str]) -> set[str]:
        seen = set()
        todo = [tip for tip in tips if tip in self._facts]
        while todo:
            id = todo.pop()
            if id not in seen:
                seen.add(id)
                todo += [parent for parent in self._facts[id].parents if parent in self._facts]
        return seen


class NoAnswer(Refusal):
    """The whole question has a verdict of its own; `id` is the object that it is about, where there is one."""

    def __init__(self, verdict: str, message: str, hint: str, id: str | None = None) -> None:
        super().__init__(f"{message} ({verdict})", hint)
        self.verdict = Verdict("commit", id or "", verdict, None, None, None, message)


@contextlib.contextmanager
def missing_is_incomplete() -> Iterator[None]:
    """What a shallow, partial or damaged repository lacks leaves the question open."""
    try:
        yield
    except MissingObject as error:
        raise NoAnswer("incomplete", error.message, error.hint or FETCH_HINT) from None


def before_the_root(id: str) -> Verdict:
    reason = "it is older than the trust root: what came before the policy is out of scope"
    return Verdict("commit", id, "outside-root", None, None, None, reason)


def unpinned() -> NoAnswer:
    return NoAnswer("unpinned-root", "no trust root is pinned in this repository", PIN_HINT)


def root_is_elsewhere(root: str) -> NoAnswer:
    return NoAnswer("outside-root", f"the trust root {root} is not in this repository", PIN_HINT, root)


def incomplete(id: str) -> NoAnswer:
    return NoAnswer("incomplete", f"history is incomplete: {id} is not here", FETCH_HINT, id)
