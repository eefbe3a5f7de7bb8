"""Asking the judge about a repository: history examined by workers, then judged in order.

Everything that is pinned, fetched or remembered meets here; the rules themselves are in `core/judge.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from git_auths.core import approvals, cicommits, tags
from git_auths.core.auths_folder import AuthsFolder
from git_auths.core.decisions import Receipt
from git_auths.core.gitobject import MAX_OBJECT_BYTES, MAX_TREE_BYTES, Tag
from git_auths.core.judge import GOOD, SOUND, Verdict, holders
from git_auths.core.judgement import Branch, Judged, Mainline, Pushed, Unremembered
from git_auths.core.lineage import first_parents
from git_auths.core.reception import Reception
from git_auths.core.scope import branch_matches
from git_auths.errors import Error, TooLarge
from git_auths.store import remembered, settings
from git_auths.store.evidence import Evidence
from git_auths.store.noanswer import (
    NoAnswer,
    before_the_root,
    incomplete,
    missing_is_incomplete,
    root_is_elsewhere,
    unpinned,
)
from git_auths.store.notes import Notes
from git_auths.store.repository import Repository

if TYPE_CHECKING:
    from git_auths.core.chain import Link
    from git_auths.core.pins import Pins

__all__ = ["Answer", "NoAnswer", "Pushed", "Verifier", "missing_is_incomplete"]


class Answer(NamedTuple):
    """What was asked of a repository: `verdicts` holds one for every commit judged, parents first."""

    root: str
    mainline_ref: str
    mainline_tip: str
    verdicts: dict[str, Verdict]
    cached: int = 0  # more commits, which an earlier run found good

    @property
    def checked(self) -> int:
        return len(self.verdicts) + self.cached

    def not_good(self) -> list[Verdict]:
        """The first commit that is not good on each line of history, newest last."""
        return [verdict for verdict in self.verdicts.values() if not (verdict.verdict in SOUND or verdict.because_of)]

    def in_the_end(self, verdict: Verdict) -> Verdict:
        """What to say of a commit that is right by itself: with something bad behind it, it is not good."""
        if verdict.because_of is None or not verdict.passes:
            return verdict
        cause = self.verdicts[verdict.because_of]
        return verdict._replace(verdict=cause.verdict, reason=f"{cause.id} behind it is not good")


def badness(verdict: Verdict) -> int:
    return 0 if verdict.verdict in SOUND else 1 if verdict.passes else 2


class Verifier:
    """Answers for one repository and one pair of pins; a context manager that holds a reader of objects."""

    def __init__(self, repository: Repository, pins: settings.Pins | None = None, mainline_tip: str | None = None,
                 notes_tip: str | None = None, pushed: Pushed | None = None,
                 recall: bool = True) -> None:  # fmt: skip
        """`pins`: those of the repository; the tips: what stands there now. A push is judged by what it would set.

        `recall`: start from what an earlier run found good; then nothing is said of the commits behind that.
        """
        self.repository = repository
        found = pins or settings.pins(repository.path)
        if found is None:
            raise unpinned()
        self.pins = found
        refs = repository.refs(found.mainline, settings.NOTES_REF)
        self.standing_tip = refs.get(found.mainline)  # where the mainline's ref is, whatever is asked about
        tip = mainline_tip or self.standing_tip
        if tip is None:
            raise Error(f"the mainline {found.mainline} does not exist here",
                        f"git fetch, or name another: git auths root pin --mainline FULL-REF {found.root}")  # fmt: skip
        self.mainline_tip = tip
        self.not_remembered: str | None = None  # why the next run starts from the root again
        self._pushed = pushed
        self._evidence = Evidence(repository, found.root, tip, notes_tip or refs.get(settings.NOTES_REF))
        self.has_notes = self._evidence.notes.commit is not None
        self._mainline: Mainline | None = None
        self._recalls = recall and not repository.is_shallow
        if not self._evidence.has(found.root):
            self._evidence.close()
            raise incomplete(found.root) if repository.is_shallow else root_is_elsewhere(found.root)
        self._past: remembered.Table | None = None

    def __enter__(self) -> Verifier:
        return self

    def __exit__(self, *_: object) -> None:
        self._evidence.close()

    def read(self, id: str) -> tuple[bytes, bytes]:
        return self._evidence.objects.read(id)

    def mainline_folder(self) -> AuthsFolder:
        """`.auths` at the mainline's tip."""
        return self._evidence.mainline_folder()

    def folder_of(self, commit: str) -> AuthsFolder:
        """`.auths` in the tree of `commit`."""
        return self._evidence.folder_of(commit)

    def pinned(self) -> Pins:
        """What the mainline's tip pins to judge evidence by."""
        return self._evidence.pins_at(self._evidence.objects.auths_tree(self.mainline_tip))

    def clock_seconds(self) -> int:
        """The repository's clock at the mainline's tip (section 7, rule 7), in Unix seconds."""
        with missing_is_incomplete():
            return self.mainline().clock_seconds

    @property
    def notes(self) -> Notes:
        return self._evidence.notes

    def started_on(self, commit: str, key: bytes) -> str:
        """What a CI job that holds `key` was started on, if it made what is at `commit`."""
        with missing_is_incomplete():
            return cicommits.started_on(self._evidence.facts_of, commit, key) or commit

    def links_of(self, commit: str) -> list[Link]:
        """What proves a commit by CI, by the mainline's rules and pins now; empty for one that somebody signed."""
        from git_auths.core import ci  # no other question needs it

        facts = self._evidence.facts_of(commit)
        policy = self.mainline_folder().policy
        pipelines = self._evidence.sources().pipelines
        rules = [] if policy is None else [rule for rule in policy.ci if cicommits.lets_commit(rule)]
        if pipelines is None or facts.key is None or len(facts.parents) != 1 or not rules:
            return []
        found = pipelines.attested(commit, facts.key)
        runs = cicommits.runs_of(pipelines, facts, found, self.pinned())
        return ci.first_that_holds([cicommits.links(runs, rule) for rule in rules])

    def verdict_of_source(self, commit: str) -> Verdict:
        """The verdict on a commit that something was made from; where that is not here, `incomplete`."""
        if not self.repository.has(commit):
            reason = "the commit is not in this repository"
            return Verdict("commit", commit, "incomplete", None, None, None, reason)
        try:
            with missing_is_incomplete():
                return self._target(commit)
        except NoAnswer as error:
            return error.verdict._replace(id=commit)

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
            if self._past is not None and not self._answers(wanted):
                self.forget()
                judged = self.judge(wanted, ref, examined)
            verdicts = self._past_ungoverned()
            verdicts.update(self._reachable(wanted, judged))
            for tip in wanted:
                # git lists nothing for what the root itself descends from; nothing must not look like nothing bad.
                if tip not in verdicts:
                    verdicts[tip] = self._remembered_verdict(tip) or before_the_root(tip)
        past = self._past
        cached = 0 if past is None else len(past) - sum(id in past for id in verdicts)
        return Answer(self.pins.root, self.pins.mainline, self.mainline_tip, verdicts, cached)

    def unsound(self) -> Verdict | None:
        """Why nothing may rest on the mainline, on its policy, its logs and its pins; None: it is good."""
        from git_auths.store import rewinds  # which asks of a verifier itself

        answer = self.verify([self.mainline_tip])
        bad = [*rewinds.found(self, {}), *(one for one in answer.not_good() if not one.passes)]
        return next(iter(bad), None)

    def _answers(self, tips: Sequence[str]) -> bool:
        """Does what is remembered tell enough of these tips and what is behind them?"""
        assert self._past is not None
        # Which of the ungoverned are behind some other tips is not remembered.
        return list(tips) == [self.mainline_tip] or not self._past_ungoverned()

    def _past_ungoverned(self) -> dict[str, Verdict]:
        told = {} if self._past is None else self._past.told
        return {id: verdict for id, verdict in told.items() if verdict.verdict not in SOUND}

    def verify_branches(
        self, branches: Mapping[str, str], examined: Callable[[int], None] = lambda number: None
    ) -> Answer:
        """The mainline, and each branch (full ref name -> tip) by its own rules. A commit of several branches is as bad
        as in the one where it is worst."""
        whole = self.verify([self.mainline_tip], examined=examined)
        with missing_is_incomplete():
            for ref, tip in branches.items():
                found = [verdict for part in self.judge([tip], ref, examined)[1:] for verdict in part.verdicts()]
                if not found and not self.is_received(tip):
                    found = [before_the_root(tip)]
                for verdict in found:
                    known = whole.verdicts.get(verdict.id)
                    if known is None or badness(verdict) > badness(known):
                        whole.verdicts[verdict.id] = verdict
        return whole

    def judge(self, tips: Sequence[str], ref: str | None = None,
              examined: Callable[[int], None] = lambda number: None) -> list[Judged]:  # fmt: skip
        """The mainline as judged, and, where `tips` have what it lacks, that."""
        mainline = self.mainline(examined)
        beyond = [tip for tip in tips if not self.is_received(tip)]
        if not beyond:
            return [mainline]
        facts = self._evidence.examine(beyond, [self.mainline_tip], examined)
        try:
            return [mainline, Branch(facts, beyond, settings.branch_name(ref or self.pins.mainline), mainline)]
        except Unremembered:
            self.forget()
            return self.judge(tips, ref, examined)

    def mainline(self, examined: Callable[[int], None] = lambda number: None) -> Mainline:
        """Everything up to the mainline's tip, judged once; what an earlier run found good is not judged again."""
        if self._mainline is None:
            self._mainline = self._continued(examined) or self._from_the_root(examined)
            self._remember(self._mainline)
        return self._mainline

    def forget(self) -> None:
        """Judge everything anew from here on: what is remembered does not answer the question."""
        self._mainline = self._past = None
        self._evidence.judged_before = ()
        self._recalls = False

    def is_received(self, commit: str) -> bool:
        """Does the mainline contain it?"""
        return commit in self.mainline().records or (self._past is not None and commit in self._past)

    def _from_the_root(self, examined: Callable[[int], None]) -> Mainline:
        facts = self._evidence.examine([self.mainline_tip], [], examined)
        return Mainline(facts, self.pins.root, self.mainline_tip, settings.branch_name(self.pins.mainline),
                        self._evidence.sources(), pushed=self._pushed)  # fmt: skip

    def _continued(self, examined: Callable[[int], None]) -> Mainline | None:
        """The mainline from the remembered tip on; None where that is not to be built on."""
        past = remembered.recall(self._place, self._evidence.folders) if self._recalls else None
        if past is None or not self._evidence.still_counts(past.approvals.notes_tip, past.approvals.lines):
            return None
        old_tip = None if self._pushed is None else self._pushed.old_tip
        if old_tip is not None and old_tip != past.tip and old_tip in past:
            return None  # what it found good beyond the old tip it did not judge as pushed now
        self._past = self._evidence.judged_before = past
        try:
            tip = self.mainline_tip
            facts = self._evidence.examine([tip], [past.tip], examined) if tip != past.tip else {}
            first = next(iter(first_parents(facts, tip)), None)
            if (first is None and tip == past.tip) or (first is not None and facts[first].parents[:1] == (past.tip,)):
                return Mainline(facts, self.pins.root, tip, settings.branch_name(self.pins.mainline),
                                self._evidence.sources(), past, self._pushed)  # fmt: skip
        except (Unremembered, Error):
            pass  # judged from the root, it says itself what is wrong
        self._past, self._evidence.judged_before = None, ()
        return None

    def _remember(self, mainline: Mainline) -> None:
        """Keep a good mainline for the next run, once it is long enough to be worth it."""
        if mainline.bad or not self._recalls or len(mainline.records) < remembered.MIN_COMMITS:
            return
        if self._pushed is not None:
            self._remember_published(self._pushed.old_tip)
            return
        used: dict[str, set[str]] = dict(self._evidence.counted)
        for id, digests in self._past.approvals.lines.items() if self._past is not None else ():
            used[id] = used.get(id, set()) | set(digests)
        try:
            remembered.remember(self._place, mainline, self._past,
                                remembered.Approvals(self._evidence.notes.commit, used))  # fmt: skip
        except Error as error:
            self.not_remembered = error.message

    def _remember_published(self, old_tip: str | None) -> None:
        """What is pushed may yet be refused, and was judged by today's clock: only what was there before is kept."""
        if old_tip is not None and self.repository.has(old_tip):
            with Verifier(self.repository, self.pins, old_tip) as before:
                before.mainline()

    @property
    def _place(self) -> remembered.Place:
        return remembered.Place(str(self.repository.common_dir), self.pins.root, self.pins.mainline)

    def _remembered_verdict(self, commit: str) -> Verdict | None:
        """The verdict on a commit that an earlier run found good, with its signer, who is read from it again."""
        if self._past is None or commit not in self._past:
            return None
        if commit in self._past.told:
            return self._past.told[commit]
        facts = self._evidence.examine_one(commit)
        signer = next(iter(holders(self._evidence.folders(facts.auths), facts.key or b"")), None)
        if signer is None and facts.key is not None and commit != self.pins.root:
            signer = cicommits.job_with(facts.key)  # nobody whom the logs know, and good: by its evidence
        did, principal = (None, None) if signer is None else (signer.did, signer.principal)
        reason = "the trust root, by its pin" if commit == self.pins.root else ""
        return Verdict("commit", commit, GOOD, did, principal, None, reason)

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
            kind, raw = self._evidence.objects.read(id, MAX_OBJECT_BYTES)
        except TooLarge as error:
            return tags.unreadable(id, error.message)
        with missing_is_incomplete():
            mainline, received = self._receipt_of(ref, id)
            now_seconds = 0 if self._pushed is None else self._pushed.now_seconds
            moment = tags.Moment(self.mainline_folder(), max(mainline.clock_seconds, now_seconds))
            digests = None
            if received is not None:
                moment = tags.Moment(self._evidence.folders(received[1].state.auths), received[1].clock_seconds)
                digests = frozenset(received[0].approvals)

            def approvals_of(tag: Tag) -> approvals.Counted:
                name = tag.name.decode(errors="replace")
                wanted = approvals.Object(self.pins.root, "tag", id, name, tag.target)
                return self._evidence.count(wanted, moment.folder, None, None, digests)

            return tags.verify_tag(id, kind, raw, ref, moment, self._target, approvals_of)

    def _receipt_of(self, ref: str, id: str) -> tuple[Mainline, tuple[Receipt, Reception] | None]:
        mainline = self.mainline()
        try:
            return mainline, mainline.receipt_of(ref, id)
        except Unremembered:
            self.forget()
            return self._receipt_of(ref, id)

    def _target(self, commit: str) -> Verdict:
        """The verdict on a release's commit. A tag is judged by the mainline's tip, so that must be good as well."""
        kind, _ = self._evidence.objects.read(commit, MAX_TREE_BYTES)
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
        if self.is_received(commit):
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

    def _reachable(self, tips: Sequence[str], judged: Sequence[Judged]) -> Iterator[tuple[str, Verdict]]:
        """The verdicts on `tips` and all behind them."""
        wanted = None if self.mainline_tip in tips else self._behind(tips)
        for part in judged:
            for verdict in part.verdicts():
                if wanted is None or verdict.id in wanted:
                    yield verdict.id, verdict

    def _behind(self, tips: Sequence[str]) -> set[str]:
        seen = set()
        todo = [tip for tip in tips if tip in self._evidence.facts]
        while todo:
            id = todo.pop()
            if id not in seen:
                seen.add(id)
                todo += [parent for parent in self._evidence.facts[id].parents if parent in self._evidence.facts]
        return seen
