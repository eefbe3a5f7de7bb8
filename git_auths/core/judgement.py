"""Which commit is judged as of when: the mainline step by step, then what it lacks (section 7, rules 4, 7 and 10).

`Mainline` judges what the mainline contains, in order of reception: each commit by the policy, the logs and the clock
just before the step that received it. `Branch` judges what the mainline lacks as received now, by the mainline's last
good commit. Both then take over what the admins adopted, and name for each commit the first bad one behind it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from git_auths.core import below_auths, judge
from git_auths.core.auths_folder import EMPTY
from git_auths.core.case import Case, Sources
from git_auths.core.decisions import ADOPTED, RECEIVED, Adoption, Receipt, adoption, receipt
from git_auths.core.facts import Facts, Fault
from git_auths.core.judge import ADOPTED_VERDICT, GOOD, PASSING, Verdict
from git_auths.core.lineage import State, Version, Versions, first_parents, only_in, parents_first
from git_auths.core.mergebases import best_common_ancestors
from git_auths.core.pins import is_pin
from git_auths.core.reception import Reception, advanced
from git_auths.core.signer import Signer

NOTHING = State(Version(0, 0, "", EMPTY), 0, None)  # before the root


class Outcome(NamedTuple):
    """What the rules say of one commit by itself. `fault` is None when it is good."""

    fault: Fault | None
    signer: Signer | None
    changes_auths: bool


class Record(NamedTuple):
    """A judged commit: what it hands down (None: it does not descend from the root), and how it was received."""

    state: State | None
    outcome: Outcome
    reception: Reception


class Pushed(NamedTuple):
    """A push that is judged by the wall clock too: what the mainline receives after `old_tip`, and what it lacks."""

    old_tip: str | None  # None: nothing was there, and what seeds a repository is as old as it is
    now_seconds: int


class Unremembered(Exception):
    """What was judged earlier does not answer this; without it, everything is judged anew."""


class Remembered:
    """Where an earlier judgement of the mainline ended, found good. `store.remembered` has the real one."""

    tip: str
    chain_length: int
    clock_seconds: int
    version_count: int

    def state_of(self, commit: str) -> State | None:
        """What a commit behind `tip` hands down; None when it is none, or does not descend from the root."""
        raise NotImplementedError

    def __contains__(self, commit: object) -> bool:
        raise NotImplementedError


class Judged:
    """The commits judged together, parents first, and what was decided about them."""

    def __init__(self, facts: Mapping[str, Facts], root: str, sources: Sources, versions: Versions) -> None:
        self.facts = facts
        self.root = root
        self._ask_for_bases = sources.bases_of
        self.sources = sources._replace(bases_of=self._bases_of)
        self.versions = versions
        self.records: dict[str, Record] = {}
        self._order: list[str] = []  # the keys of `records`: children after their parents
        self._positions: dict[str, int] = {}  # in `_order`, as far as anybody has asked
        self.adopted: dict[str, str] = {}  # commit -> the one whose line adopts it
        # By lines that count, whether they needed it or not, with those who added them.
        self.named: dict[str, list[tuple[Case, Signer]]] = {}
        self.bad: dict[str, str] = {}  # commit -> the first bad one on its line of history, itself or before it
        self._precedents: dict[tuple[object, ...], tuple[Outcome | None, int | None]] = {}
        self.adopting: dict[str, list[tuple[Adoption, Case, Signer]]] = {}  # by the commit to adopt
        self._received_at: dict[str, Reception] = {}  # by receipt, of commits that are not judged yet
        self._all_good = True

    _first_position = 0

    def state_of(self, commit: str) -> State | None:
        record = self.records.get(commit)
        return None if record is None else record.state

    def position_of(self, commit: str) -> int:
        """A number that is larger for a commit than for its parents. Raises KeyError for one that was not judged."""
        for position in range(len(self._positions), len(self._order)):
            self._positions[self._order[position]] = position
        return self._first_position + self._positions[commit]

    def parents_of(self, commit: str) -> tuple[str, ...]:
        """Raises KeyError for a commit that was not judged."""
        return self.facts[commit].parents

    def _bases_of(self, commits: Sequence[str]) -> Sequence[str]:
        """Found in memory, unless they lie behind what was judged."""
        bases = best_common_ancestors(self.parents_of, self.position_of, commits)
        if bases and all(self.is_judged(base) for base in bases):
            return bases
        return self._ask_for_bases(commits)

    def is_judged(self, commit: str) -> bool:
        return commit in self.records

    def outcome_of(self, commit: str) -> Outcome:
        """What is decided in the end: an adopted commit's fault is that it was adopted."""
        outcome = self.records[commit].outcome
        by = self.adopted.get(commit)
        if by is None:
            return outcome
        fault = outcome.fault or Fault(GOOD, "")
        return outcome._replace(fault=Fault(ADOPTED_VERDICT, f"{by} adopts it ({fault.verdict})"))

    def word_of(self, commit: str) -> str:
        """The verdict on one commit, whatever is behind it."""
        fault = self.outcome_of(commit).fault
        return GOOD if fault is None else fault.verdict

    def case(self, commit: str) -> Case:
        """A judged commit as the judge saw it."""
        facts = self.facts.get(commit)
        if facts is None:
            raise Unremembered
        return self._case(facts, self.records[commit].reception)

    def _case(self, commit: Facts, reception: Reception) -> Case:
        parents = [state for parent in commit.parents if (state := self.state_of(parent)) is not None]
        folder = self.sources.folder_at(commit.auths)
        return Case(commit, parents, commit.id == self.root, folder, reception, self.sources)

    def _receive(self, commit: Facts, reception: Reception) -> State | None:
        """Judge one commit whose parents are judged, and return what it hands down."""
        if self._received_at:
            reception = self._received_at.get(commit.id, reception)
        state = self._only_state(commit)
        self._order.append(commit.id)
        if state is not None:
            precedent = (id(state), commit.key, id(reception.state), reception.ref)
            outcome, deadline = self._precedents.get(precedent) or self._set_precedent(precedent, commit, reception)
            if outcome is not None and (
                deadline is None or max(reception.clock_seconds, commit.committed_at) < deadline
            ):
                self.records[commit.id] = Record(state, outcome, reception)
                return state
        self.records[commit.id] = record = self._decided(commit, reception)
        return record.state

    def _set_precedent(
        self, precedent: tuple[object, ...], commit: Facts, reception: Reception
    ) -> tuple[Outcome | None, int | None]:
        """Decide for all the like, where the policy, the key and the reception are all that counts: until when.

        Only what is good by these is good for all: what is not, an approval of one commit may mend.
        """
        case = self._case(commit, reception)
        found: tuple[Outcome | None, int | None] = None, None
        if all(judge.is_plain(version.policy) for version in case.judged_by):
            outcome = self._decided(commit, reception).outcome
            deadline = judge.deadline_seconds(case, outcome.signer)
            if outcome.fault is None and (deadline is None or case.moment_seconds < deadline):
                found = outcome, deadline
        self._precedents[precedent] = found
        return found

    def _only_state(self, commit: Facts) -> State | None:
        """What all parents of a commit hand down that changes nothing below `.auths/`: nearly every commit's. Then the
        policy, the key and the reception decide, and one decision stands for all the like."""
        if commit.key is None or commit.raw_fault is not None or commit.folder_fault is not None or not commit.parents:
            return None
        first, *others = commit.parents
        record = self.records.get(first)
        state = self.state_of(first) if record is None else record.state
        if state is None or state.auths != commit.auths or commit.id == self.root:
            return None
        if others and any(self.state_of(other) is not state for other in others):
            return None
        return state

    def _decided(self, commit: Facts, reception: Reception) -> Record:
        case = self._case(commit, reception)
        fault, signer = judge.decide(case)
        if fault is not None:
            self._all_good = False
        elif signer is not None:
            self._note_decisions(case, signer)
        return Record(self._handed_down(case), Outcome(fault, signer, case.auths_changed), reception)

    def _handed_down(self, case: Case) -> State | None:
        """A commit whose folder cannot be believed sets nothing: its children are judged by what was before it."""
        parents = case.parents
        broken = judge.raw_bytes(case) or judge.auths_folder(case)
        if not parents and (broken or not case.is_root):
            return None
        if len(parents) == 1 and not case.auths_changed:
            return parents[0]
        seen = 0
        for parent in parents:
            seen |= parent.versions
        if broken:
            return State(case.effective[0], seen, parents[0].auths)
        policy = below_auths.inherited_policy(case)
        if policy is None:
            policy = self.versions.new(case.commit.id, case.folder, seen)
            return State(policy, policy.descent, case.commit.auths)
        for parent in parents:
            if parent.policy is policy and parent.versions == seen and parent.auths == case.commit.auths:
                return parent  # the same object: it stands for the same decisions
        return State(policy, seen, case.commit.auths)

    def _note_decisions(self, case: Case, signer: Signer) -> None:
        """The adoptions whose lines this good commit adds; whom they take over is decided when all are known."""
        hex_length = len(case.commit.id)
        for line in added(case, ADOPTED):
            decision = adoption(line, hex_length)
            if decision is not None:
                self.adopting.setdefault(decision.commit, []).append((decision, case, signer))

    def _adopt(self, except_for: Container[str] = ()) -> None:
        """Take over what the lines name; `except_for`: what no adoption mends, whose own lines count for nothing."""
        if any(one.commit in self.records and (one.behind or not self._passes_by_itself(one.commit))
               for one in self.past_adoptions()):  # fmt: skip
            raise Unremembered
        self.adopted = {}
        self.named = {}
        seen: dict[str, Facts] = {}
        for commit, candidates in self.adopting.items():
            for decision, adopter, signer in candidates:
                by = adopter.commit.id
                if commit not in self.records or by in except_for or not self._takes_over(decision, adopter, signer):
                    continue
                if judge.adoptable(self.case(commit), decision):
                    self.named.setdefault(commit, []).append((adopter, signer))
                if commit not in except_for and not self._passes_by_itself(commit):
                    self.adopted.setdefault(commit, by)
                if decision.behind:
                    self._adopt_behind(commit, by, seen)

    def past_adoptions(self) -> list[Adoption]:
        """The lines that were added where an earlier judgement has been."""
        return []

    def _passes_by_itself(self, commit: str) -> bool:
        fault = self.records[commit].outcome.fault
        return fault is None or fault.verdict in PASSING

    def _takes_over(self, decision: Adoption, adopter: Case, signer: Signer) -> bool:
        if self._adopter_fault(adopter.commit.id) is not None:
            return False
        case = self.case(decision.commit)
        before = case.reception.state
        if before is NOTHING:
            return False  # the root, or what came with it: no mainline was there before to have an admin
        known = self.sources.folder_at(before.auths).authority
        return (self._passes_by_itself(decision.commit) or judge.adoptable(case, decision)) and (
            judge.administered_by(before.policy.policy, adopter, signer, [known]) is None
        )

    def _adopter_fault(self, adopter: str) -> Fault | None:
        return self.records[adopter].outcome.fault

    def _adopt_behind(self, commit: str, by: str, seen: dict[str, Facts]) -> None:
        """Adopt what is behind `commit`, and not `seen` before, and does not descend from the root."""
        for facts in parents_first(self.facts, commit, seen):
            seen[facts.id] = facts
            record = self.records.get(facts.id)
            if facts.id != commit and record is not None and record.state is None and facts.raw_fault is None:
                self.adopted.setdefault(facts.id, by)

    def _find_bad(self) -> None:
        """Name for each commit the first bad one on its line of history."""
        self.bad = {}
        if self._all_good and not self._stands_on_bad():
            return
        for commit in self.records:
            fault = self.outcome_of(commit).fault
            before = next((bad for parent in self.facts[commit].parents if (bad := self._bad_before(parent))), None)
            if before is not None:
                self.bad[commit] = before
            elif fault is not None and fault.verdict not in PASSING:
                self.bad[commit] = commit

    def _stands_on_bad(self) -> bool:
        return False

    def _bad_before(self, parent: str) -> str | None:
        return self.bad.get(parent)

    def verdicts(self) -> Iterator[Verdict]:
        for commit in self.records:
            yield self.verdict(commit)

    def verdict(self, commit: str) -> Verdict:
        fault, signer, changes_auths = self.outcome_of(commit) if self.adopted else self.records[commit].outcome
        did, principal = (None, None) if signer is None else (signer.did, signer.principal)
        word, reason, rule = (GOOD, "", None) if fault is None else fault
        if commit == self.root and fault is None:
            reason = "the trust root, by its pin"
        because_of = self.bad.get(commit) if self.bad else None
        return Verdict("commit", commit, word, did, principal, rule, reason,
                       None if because_of == commit else because_of, changes_auths)  # fmt: skip


class Mainline(Judged):
    """The mainline from the root, or from where an earlier judgement ended, to `tip`, judged as the branch `ref`."""

    def __init__(self, facts: Mapping[str, Facts], root: str, tip: str, ref: str, sources: Sources,
                 remembered: Remembered | None = None, pushed: Pushed | None = None) -> None:  # fmt: skip
        super().__init__(facts, root, sources, Versions(remembered.version_count if remembered else 0))
        self.ref = ref
        self.tip = tip
        self.remembered = remembered
        self.pushed = pushed
        self.receipts: list[tuple[Receipt, Reception, str]] = []  # with the commit that adds the line
        self.chain = first_parents(facts, tip)
        if any(line.id in facts for line in self.past_receipts()):
            raise Unremembered
        self._judge_steps()
        self._adopt()  # what is adopted needs no reception both ways
        inverted = self._without_root()
        while more := self._inverted(inverted):
            inverted |= more
            self._adopt(except_for=inverted)  # and whom their lines excused is asked again
        self._adopt(except_for=inverted)
        for id, fault in inverted.items():
            record = self.records[id]
            self.records[id] = record._replace(outcome=record.outcome._replace(fault=fault))
            self._all_good = False
        self._find_bad()

    def state_of(self, commit: str) -> State | None:
        record = self.records.get(commit)
        if record is not None:
            return record.state
        return None if self.remembered is None else self.remembered.state_of(commit)

    def auths_of(self, commit: str) -> str | None:
        """The tree at `.auths` of a judged commit."""
        return self.facts[commit].auths

    def _past_lines(self, path: bytes) -> frozenset[bytes]:
        """The decisions that stood at the remembered tip."""
        state = None if self.remembered is None else self.remembered.state_of(self.remembered.tip)
        if state is None:
            return frozenset()
        return self.sources.lines_of(self.sources.folder_at(state.auths).files.get(path))

    def past_adoptions(self) -> list[Adoption]:
        found = (adoption(line, len(self.tip)) for line in self._past_lines(ADOPTED))
        return [decision for decision in found if decision is not None]

    def past_receipts(self) -> list[Receipt]:
        found = (receipt(line, len(self.tip)) for line in self._past_lines(RECEIVED))
        return [decision for decision in found if decision is not None]

    @property
    def last_good(self) -> Reception | None:
        """What receives the commits that the mainline lacks; None when not even the root is good."""
        state, clock_seconds, step = self._end
        return None if state is NOTHING else Reception(step, state, self._by_wall_clock(clock_seconds), self.ref, None)

    @property
    def clock_seconds(self) -> int:
        """The repository's clock at the last good commit, whatever time it is."""
        return self._end[1]

    @property
    def _end(self) -> tuple[State, int, int]:
        """The state and the clock at the last good commit of the chain, and the step after it."""
        state, clock_seconds, step = self._start
        for id in self.chain:
            now = self.records[id].state
            if now is None or id in self.bad:
                break
            state, clock_seconds, step = now, self._after(self.facts[id], clock_seconds), step + 1
        return state, clock_seconds, step

    def receipt_of(self, ref: str, id: str) -> tuple[Receipt, Reception] | None:
        """The earliest receipt of an object under this ref that stands in a good commit. Raises Unremembered."""
        if any((decision.ref, decision.id) == (ref, id) for decision in self.past_receipts()):
            raise Unremembered
        for decision, reception, by in self.receipts:
            if (decision.ref, decision.id) == (ref, id) and by not in self.bad:
                return decision, reception
        return None

    @property
    def _start(self) -> tuple[State, int, int]:
        """The state, the clock and the step at which judging begins."""
        past = self.remembered
        if past is None:
            return NOTHING, 0, 0
        return past.state_of(past.tip) or NOTHING, past.clock_seconds, past.chain_length

    def _judge_steps(self) -> None:
        state, clock_seconds, first = self._start
        old_tip = None if self.pushed is None else self.pushed.old_tip
        is_pushed = self.remembered is not None and self.remembered.tip == old_tip
        for step, id in enumerate(self.chain, first):
            clock = self._by_wall_clock(clock_seconds) if is_pushed else clock_seconds
            commit = self.facts[id]
            reception = Reception(step, state, clock, self.ref, self._handed_on(commit, state))
            if len(commit.parents) != 1 or commit.parents[0] not in self.records:
                for other in parents_first(self.facts, id, self.records):
                    if other is not commit:
                        self._receive(other, reception)
            state = self._receive(commit, reception) or state
            is_pushed = is_pushed or id == old_tip
            clock_seconds = self._after(commit, clock_seconds)

    def _handed_on(self, commit: Facts, before: State) -> str | None:
        """The tree at `.auths` after a step; what cannot be believed takes back nothing that was declared before."""
        is_read = commit.raw_fault is None and commit.folder_fault is None
        return commit.auths if is_read and self.sources.folder_at(commit.auths).policy is not None else before.auths

    def _after(self, commit: Facts, clock_seconds: int) -> int:
        return commit.committed_at if commit.id == self.root else advanced(clock_seconds, commit.committed_at)

    def _by_wall_clock(self, clock_seconds: int) -> int:
        return clock_seconds if self.pushed is None else max(clock_seconds, self.pushed.now_seconds)

    def _note_decisions(self, case: Case, signer: Signer) -> None:
        super()._note_decisions(case, signer)
        for line in added(case, RECEIVED):
            decision = receipt(line, len(case.commit.id))
            if decision is None:
                continue
            self.receipts.append((decision, case.reception, case.commit.id))
            if decision.ref.startswith("refs/heads/"):
                for commit in parents_first(self.facts, decision.id, Either(self.records, self._received_at)):
                    self._received_at[commit.id] = case.reception

    def _inverted(self, known: Container[str]) -> dict[str, Fault]:
        """The mainline's merges with a parent that would not have received what their first parent has. However the
        merge passes otherwise, that is about others: whoever adopts it has not named them. Those in `known` aside."""
        found = {}
        for id in self.chain:
            if id not in known and len(self.facts[id].parents) > 1 and self.word_of(id) in PASSING:
                fault = self._inversion(self.facts[id])
                if fault is not None:
                    found[id] = fault
        return found

    def _without_root(self) -> dict[str, Fault]:
        """A merge that reaches the root by another parent than its first: nothing gives it a place on the chain."""
        first = next((id for id in self.chain if self.records[id].state is not None), self.root)
        if self.remembered is not None or first == self.root:
            return {}
        return {first: Fault("mainline-inverted", "the trust root is not on its first-parent chain")}

    def _inversion(self, merge: Facts) -> Fault | None:
        first = self.state_of(merge.parents[0])
        for parent in merge.parents[1:]:
            other = self.state_of(parent)
            if first is None or other is None or other is first:
                continue
            pins_of = self._pins_changed_by(other, first, [merge.parents[0], parent])
            if pins_of is None and judge.is_behind(other, first, self.sources):
                continue
            for id in only_in(merge.parents[0], parent, self._inside_parents_of, self._inside_position_of):
                outcome = self.outcome_of(id)
                if outcome.fault is not None and outcome.fault.verdict not in PASSING:
                    continue
                if self._is_excused(id, merge, other, pins_of):
                    continue
                reason = judge.mainline_inverted(self.case(id), outcome.signer, other, pins_of)
                if reason is not None:
                    return Fault("mainline-inverted", f"its first parent brings in {id}, which its parent {parent} "
                                                      f"would not have received: {reason}")  # fmt: skip
        return None

    def _is_excused(self, id: str, merge: Facts, other: State, pins_of: str | None) -> bool:
        """Does somebody name it whom the other parent would have received as well? No intruder excuses his own branch,
        and no merge what it brings in itself."""
        return any(
            case.commit.id != merge.id and judge.mainline_inverted(case, signer, other, pins_of) is None
            for case, signer in self.named.get(id, ())
        )

    def _pins_changed_by(self, other: State, first: State, parents: Sequence[str]) -> str | None:
        """The tree at `.auths` of the other parent, where its side has changed what is pinned since both parted."""
        if other.auths == first.auths:
            return None
        now = self._pinned(other.auths)
        if now == self._pinned(first.auths):
            return None
        bases = self.sources.bases_of(parents)
        is_kept = bool(bases) and all(self._pinned(self.sources.auths_of(base)) == now for base in bases)
        return None if is_kept else other.auths

    def _pinned(self, auths: str | None) -> dict[bytes, str]:
        return {path: id for path, id in self.sources.folder_at(auths).files.items() if is_pin(path)}

    def _inside_parents_of(self, commit: str) -> list[str]:
        if commit not in self.records:
            raise Unremembered
        return [parent for parent in self.facts[commit].parents if self.state_of(parent) is not None]

    def _inside_position_of(self, commit: str) -> int:
        if commit not in self.records:
            raise Unremembered
        return self.position_of(commit)


class Branch(Judged):
    """What `tips` have and the mainline lacks, judged as received now, as part of the branch `ref`."""

    def __init__(self, facts: Mapping[str, Facts], tips: Iterable[str], ref: str, mainline: Mainline) -> None:
        self.mainline = mainline
        super().__init__(facts, mainline.root, mainline.sources, Versions(mainline.versions.count))
        self._first_position = len(mainline.records)
        now = mainline.last_good
        reception = Reception(0, NOTHING, 0, ref, None) if now is None else now._replace(ref=ref)
        if any(line.id in facts for line in mainline.past_receipts()):
            raise Unremembered
        for decision, received, by in mainline.receipts:
            if decision.ref.startswith("refs/heads/") and received.step < reception.step and by not in mainline.bad:
                for commit in parents_first(facts, decision.id, Either(mainline.records, self._received_at)):
                    self._received_at[commit.id] = received._replace(ref=ref)
        for tip in tips:
            for commit in parents_first(facts, tip, Either(self.records, mainline.records)):
                self._receive(commit, reception)
        for named, candidates in mainline.adopting.items():
            self.adopting.setdefault(named, []).extend(candidates)
        self._adopt()
        self._find_bad()

    def state_of(self, commit: str) -> State | None:
        record = self.records.get(commit)
        return self.mainline.state_of(commit) if record is None else record.state

    def position_of(self, commit: str) -> int:
        return super().position_of(commit) if commit in self.records else self.mainline.position_of(commit)

    def parents_of(self, commit: str) -> tuple[str, ...]:
        facts = self.facts.get(commit)
        return self.mainline.parents_of(commit) if facts is None else facts.parents

    def is_judged(self, commit: str) -> bool:
        return commit in self.records or commit in self.mainline.records

    def past_adoptions(self) -> list[Adoption]:
        return self.mainline.past_adoptions()

    def _bad_before(self, parent: str) -> str | None:
        return self.bad.get(parent) or self.mainline.bad.get(parent)

    def _stands_on_bad(self) -> bool:
        return bool(self.mainline.bad)

    def _adopter_fault(self, adopter: str) -> Fault | None:
        return (self.records.get(adopter) or self.mainline.records[adopter]).outcome.fault


class Either:
    """In one or in the other."""

    def __init__(self, one: Mapping[str, object], other: Mapping[str, object]) -> None:
        self._one, self._other = one, other

    def __contains__(self, key: object) -> bool:
        return key in self._one or key in self._other


def added(case: Case, path: bytes) -> frozenset[bytes]:
    """The lines of a decision file that the commit adds to those of its parents."""
    blob = case.folder.files.get(path)
    if blob is None or all(folder.files.get(path) == blob for folder in below_auths.parent_folders(case) or [EMPTY]):
        return frozenset()
    sources = case.sources
    before = [sources.lines_of(sources.folder_at(sources.auths_of(parent)).files.get(path))
              for parent in case.commit.parents if not case.is_root]  # fmt: skip
    return below_auths.decisions(case, case.folder, path).difference(*before)
