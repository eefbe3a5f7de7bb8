"""Asking the judge about a repository: history streamed and examined by two workers, then judged in order.

Everything that is pinned, fetched or remembered meets here; the rules themselves are in `core/judge.py`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from git_auths.core import approvals, tags
from git_auths.core.auths_folder import AuthsFolder, AuthsFolders, extends, held_keys_since
from git_auths.core.facts import Facts
from git_auths.core.gitobject import MAX_OBJECT_BYTES, MAX_TREE_BYTES, Tag
from git_auths.core.judge import Verdict, judge
from git_auths.core.statement import Kind
from git_auths.errors import Error, MissingObject, Refusal, TooLarge
from git_auths.store import history, notes, settings
from git_auths.store.examining import examine_all, parents_first
from git_auths.store.repository import Objects, Repository

FETCH_HINT = "git fetch --unshallow gets what a shallow clone lacks"
SOUND = ("good", "countersigned", "adopted")
PIN_HINT = "git auths setup shows the root and its signers, and pins them on a yes"


class Answer(NamedTuple):
    """What was asked of a repository: `verdicts` holds one for every commit judged, parents first."""

    root: str
    mainline_ref: str
    mainline_tip: str
    verdicts: dict[str, Verdict]

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
                 notes_tip: str | None = None) -> None:  # fmt: skip
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
        self._objects = Objects(repository.path)
        self._notes = notes.Notes(self._objects, notes_tip or notes.tip(repository.path))
        self.folder_at = AuthsFolders(self._objects.read, repository.hex_length)

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
        return self.folder_at(self._objects.auths_tree(commit))

    def verify(
        self, tips: Iterable[str], ref: str | None = None, examined: Callable[[int], None] = lambda number: None
    ) -> Answer:
        """Judge everything between the root and `tips`, as part of `ref` (a full name; default: the mainline).

        `examined` is told of each further number of commits whose signatures were looked at.
        """
        wanted = list(tips)
        branch = settings.branch_name(ref or self.pins.mainline)
        with missing_is_incomplete():
            judged = judge(
                self._facts(wanted, examined), self.pins.root, branch, self.folder_at, self._commit_approvals
            )
            verdicts = {verdict.id: verdict for verdict in judged}
        for tip in wanted:
            # git lists nothing for what the root itself descends from; nothing must not look like nothing bad.
            verdicts.setdefault(tip, before_the_root(tip))
        return Answer(self.pins.root, self.pins.mainline, self.mainline_tip, verdicts)

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

        def approvals_of(tag: Tag) -> approvals.Counted:
            name = tag.name.decode(errors="replace")
            return self._count(
                approvals.Object(self.pins.root, "tag", id, name, tag.target), self.mainline_folder(), None
            )

        with missing_is_incomplete():
            return tags.verify_tag(id, kind, raw, ref, self.mainline_folder(), self._target, approvals_of)

    def _target(self, commit: str) -> Verdict:
        """The verdict on a release's commit. A tag is judged by the mainline's tip, so that must be good as well."""
        kind, _ = self._objects.read(commit, MAX_TREE_BYTES)
        if kind != b"commit":
            reason = f"it is a {kind.decode(errors='replace')}, though the tag says commit"
            return Verdict("commit", commit, "malformed", None, None, None, reason)
        answer = self.verify([self.mainline_tip, commit])
        return next((verdict for verdict in answer.verdicts.values() if not verdict.passes), answer.verdicts[commit])

    def _commit_approvals(self, commit: str, kind: str, own: AuthsFolder) -> approvals.Counted:
        wanted: Kind = "admin" if kind == "admin" else "commit"
        return self._count(approvals.Object(self.pins.root, wanted, commit), self.mainline_folder(), own)

    def _count(self, wanted: approvals.Object, mainline: AuthsFolder, own: AuthsFolder | None) -> approvals.Counted:
        """Who approved it, by a key held from the commit's own tree (for a tag: ever) to the mainline's tip."""

        def keys_of(did: str) -> Iterable[bytes]:
            now, then = mainline.kel_of(did), own.kel_of(did) if own is not None else None
            if now is None or (then is not None and extends(then, now)):
                now = then
            if now is None or (then is not None and not extends(now, then)):
                return ()
            return held_keys_since(now, then)

        note = self._notes.read(wanted.id)
        counted = approvals.count(note.lines, wanted, keys_of, mainline.principal)
        unread = ("it is no attestation",) * note.ignored
        return counted._replace(ignored=counted.ignored + unread, incomplete=note.incomplete)

    def _facts(self, tips: list[str], examined: Callable[[int], None]) -> Iterable[Facts]:
        root_parents = self.repository.git("rev-parse", f"{self.pins.root}^@").decode().split()
        raw = history.stream(tips, root_parents, self.repository.path)
        found: dict[str, Facts] = {}
        for batch in examine_all(raw, self.repository.hex_length):
            found.update((facts.id, facts) for facts in batch)
            examined(len(batch))
        self._check_closure(found, root_parents)
        return parents_first(found)

    def _check_closure(self, found: dict[str, Facts], boundary: Sequence[str]) -> None:
        """Every parent was seen or lies behind the root; git stops in silence where a clone is shallow."""
        # What is behind the root is out of scope, so the root's own parents need not be here.
        parents = {parent for facts in found.values() if facts.id != self.pins.root for parent in facts.parents}
        unseen = parents - found.keys() - set(boundary)
        if not unseen:
            return
        # An unseen root: git took a shallow commit for one without parents.
        behind = set(self.repository.git("rev-list", self.pins.root).decode().split()) - {self.pins.root}
        if unseen - behind:
            raise incomplete(min(unseen - behind))


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
