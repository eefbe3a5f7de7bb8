"""A second judge of commits, naive on purpose: the rules of section 7 as they are written, in sets and loops.

Nothing here is fast, and what is remembered is only the values of plain functions. It was written from the specification
alone, without a look at `git_auths.core.judge`, and takes from the package only values (`policy.parse`, `scope`,
`Kel`, `seals.parse`). Where both agree on many histories, either both are right or both misread the same words.

Readings, where the text leaves room (the stricter one unless it says otherwise):
- Step i of the mainline is received under the policy, the logs and the clock of chain commit i-1, good or not; what
  the mainline lacks, under those of the last good commit of its chain. The verdicts on what the mainline has are those
  that it gives by itself: a line that it lacks adopts nothing that it has.
- A bad commit sets a version all the same. A commit whose folder cannot be believed, or without a policy, sets none:
  its children inherit its parents'. What does not descend from the root has no version.
- Diverged versions: C's effective version "descends from" the receiving one as soon as one of the maximal ones does.
- Rule 5 has the exception of rule 4: the receiving admin rule is not asked when an effective version descends from it.
- "Changes nothing below .auths", to be `ungoverned`: the folder is every parent's to the byte, and no versions diverge.
  To be countersigned a merge may also unite: the effective version's policy, the union of the decision lines, each log
  as long as the longest parent's, no new one, and all else by rule 6. A log that grows is a change, though a free one.
- The children of what cannot be believed are compared with what its first parent hands down.
- Append-only holds for admins too: whoever drops a decision line makes a `policy-change-unauthorized`.
- A merge that keeps one side of a fork of logs makes a change that needs the admin rule.
- A parent that does not descend from the root has no say below `.auths/`; its decision lines are its own all the same.
- A mainline merge that has the root behind another parent than its first is `mainline-inverted`; no line adopts it or
  what stands before it.
- Files below `.auths/` are paths as well: a rule for the path `**` matches what changes only them.
- Without any common ancestor there is no base: a merge changes what its parents do not agree on.
- Approvals count for rules of their own kind only (`commit` for commit rules, `admin` for the admin rule); those of
  signers past `expires_at` at C's reception do not count for commit rules.
- "The mainline's tip", for an approver's keys, is the tip of the chain, good or not.
- Both-ways reception asks D's signer as D's own verdict has it (its countersigner if that is what made it pass), no
  `expires_at` at all, and fails on a D that has no signer, unless no rule of the other parent matches D. A D that is
  bad is named already.
- What the mainline lacks is received early only by receipts of commits that have nothing bad behind them either.
- Lines in the trust root's own tree count for nothing: it is good by the pin, not by rules 1 to 9.
- An adoption covers whatever stands below `.auths/` outside the root: it sets no rules for anybody, and its lines count
  for nothing. Inside, whoever drops a decision line is never adopted.
- Adoption replaces rule 4 as a whole: it covers `kel-invalid` where that is only because the signer's log forks from the
  mainline's. The line must be its adder's, and the approvers', to add by what the mainline knew just before it received
  the commit that is adopted: nobody whose grant came later adds it, and one revoked meanwhile is asked about as of then.
- What rule 4 says of the signer's key (`kel-invalid`, `compromised-key`) comes after what the commit's own tree denies,
  and before whatever else the mainline denies, to change what is below `.auths/` as well.
- Both ways, a line excuses what it names, good by itself or not, if whoever adds it would satisfy the other parent as
  well, and the merge does not add it itself. It must name the tree below `.auths/` where one would to adopt.
- A line that a commit's parent has, believed or not, is not added by that commit.
- Who acts for whom is read as `naive_rights` says, and the evidence for a commit by CI as `naive_evidence` says.
- A commit by CI needs a rule for CI in every policy that judges it, also where no commit rule of that one matches, and
  needs nothing else of it: no threshold, no path rule. Its own tree's pins take it, and those that receive it, whichever
  policy is asked; the rule is the same for both, and no warning is left of it. It is judged as of its trusted time.
- Only its own tree need not know its key. What the key has signed before stands between the commit and the one that the
  token names.
- Both ways, what another parent lacks must satisfy that parent's rules for CI, unless the effective version descends
  from them, and its pins, where it has changed them.

Not independent, since the text is silent: these follow `git_auths.core`, after a look at it. Commits by CI were written
down here with `git_auths.core.cicommits` known.
- What the key has signed before has one parent: a merge or a root that it has signed is where its job began.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from hashlib import sha1
from typing import NamedTuple

from git_auths.core import seals
from git_auths.core.grants import Grant
from git_auths.core.kel import Kel
from git_auths.core.policy import CiRule, Policy, PolicyInvalid, Rule, parse
from git_auths.core.scope import branch_matches, path_matches, path_permitted
from tests.oracle import naive_evidence, naive_rights
from tests.oracle.naive_evidence import Ci, Evidence, Pins
from tests.oracle.naive_rights import GrantFile, Knowledge, Way, aid

PASSING = frozenset({"good", "countersigned", "adopted", "ungoverned"})
COUNTERSIGNABLE = frozenset(
    {"unsigned", "unsupported-signature", "unknown-key", "unauthorized", "unauthorized-at-reception"}
)
MAX_STEP_SECONDS = 30 * 24 * 3600
ISSUER_PIN, LOG_PIN = "oidc/x.json", "rekor/x.json"  # below `.auths`: the names of what is pinned, between spaces
GITHUB = Ci("https://token.actions.githubusercontent.com", chooses_audience=True, names_commit=True)


@dataclass(frozen=True)
class Auths:
    """The content of `.auths`. `broken`: the verdict where it cannot be believed as a whole."""

    policy: str | None = None
    kels: Mapping[str, Kel] = field(default_factory=dict)
    adopted: tuple[str, ...] = ()
    received: tuple[str, ...] = ()
    allowed_signers: str | None = None
    others: Mapping[str, str] = field(default_factory=dict)
    grants: Mapping[str, GrantFile] = field(default_factory=dict)
    broken: str | None = None

    @cached_property
    def id(self) -> str:
        """What stands for the id of the tree; equal content has equal ids."""
        return sha1(repr((sorted(self.entries().items()), self.broken)).encode()).hexdigest()

    def entries(self) -> dict[str, object]:
        """Every file by its path in the repository."""
        found: dict[str, object] = {f".auths/{path}": value for path, value in self.others.items()}
        found |= {f".auths/{grant_path(name)}": tuple(file) for name, file in self.grants.items()}
        for kel in self.kels.values():
            found[f".auths/kels/{kel.aid}.cesr"] = saids(kel)
        for name in ("policy.toml", "adopted", "received", "allowed_signers"):
            value = {"policy.toml": self.policy, "adopted": self.adopted, "received": self.received,
                     "allowed_signers": self.allowed_signers}[name]  # fmt: skip
            if value:
                found[f".auths/{name}"] = value
        return found

    @cached_property
    def fault(self) -> str | None:
        if self.broken is None and self.policy is not None and parsed(self.policy) is None:
            return "policy-invalid"
        if self.broken is None and (naive_rights.lacks_delegator(self.kels) or naive_rights.is_too_deep(self.kels)):
            return "kel-invalid"
        return self.broken

    @cached_property
    def sealed(self) -> dict[str, Grant]:
        return naive_rights.sealed_grants(self.kels, self.grants)

    @property
    def pins(self) -> Pins:
        keys = {(GITHUB.issuer, name): None for name in self.others.get(ISSUER_PIN, "").split()}
        return Pins(keys, logs=self.others.get(LOG_PIN, "").split())


def grant_path(sha256: str) -> str:
    return f"grants/{sha256}.json"


@dataclass(frozen=True)
class Commit:
    """`key` signed it, or `fault` says why none did. `malformed`: nothing else about it can be believed."""

    id: str
    parents: tuple[str, ...] = ()
    auths: Auths = Auths()
    key: bytes | None = None
    fault: str | None = None
    date: int = 0
    files: Mapping[str, str] = field(default_factory=dict)
    malformed: bool = False


class Approval(NamedTuple):
    """An approval of `commit`, of kind commit, countersign or admin, by a key that its signer names."""

    commit: str
    kind: str
    did: str
    key: bytes


class Run(NamedTuple):
    """What a note on `commit` holds about who made it: an attestation by `key`, for the trust root `root`, of `about`
    (None: of that commit)."""

    commit: str
    key: bytes
    evidence: Evidence
    root: str = "root"
    about: str | None = None


@dataclass(frozen=True)
class History:
    """Commits, and what is asked: the tip `tip` of `ref`, where `mainline` is the tip of `mainline_ref`.

    A tip of the mainline itself, what is being pushed there, is `tip`, `mainline` and both refs alike.
    """

    commits: Mapping[str, Commit]
    root: str
    mainline: str
    tip: str
    ref: str = "refs/heads/main"
    mainline_ref: str = "refs/heads/main"
    approvals: tuple[Approval, ...] = ()
    runs: tuple[Run, ...] = ()


class Verdict(NamedTuple):
    """Its own verdict, and all the bad commits behind it."""

    word: str
    bad_ancestors: frozenset[str]


def judge(history: History) -> dict[str, Verdict]:
    """The verdict on every commit in the tip or the mainline, the root's ancestors aside."""
    graph = Graph(history)
    on_mainline = graph.with_ancestors(history.mainline)
    alone = Judgement(graph, on_mainline)
    good_until = 0
    while good_until + 1 < len(graph.chain) and alone.is_good(graph.chain[good_until + 1]):
        good_until += 1
    final = Judgement(graph, graph.with_ancestors(history.tip) - on_mainline, good_until, alone)
    return {id: Verdict(word, final.bad_ancestors(id)) for id, word in final.words.items()}


class Graph:
    """What only the shape of the history and the content of its trees decide."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.root = history.root
        self.commits = history.commits
        for name in ("ancestors", "auths", "entries", "effective", "versions", "changed_paths", "known", "known_to"):
            setattr(self, name, cache(getattr(self, name)))
        self.delegators = {
            kel.aid: kel.delegator for commit in history.commits.values() for kel in commit.auths.kels.values()
        }
        self.out_of_scope = self.ancestors(history.root)
        self.chain = self._first_parent_chain()

    def _first_parent_chain(self) -> list[str]:
        """From the root to the mainline's tip; of a chain that misses the root, what descends from it."""
        chain: list[str] = []
        at: str | None = self.history.mainline
        while at is not None and at != self.root:
            if self.descends_from_root(at):
                chain.insert(0, at)
            at = next(iter(self.commits[at].parents), None)
        self.reaches_root_otherwise = chain[:1] if at is None else []
        return [self.root, *chain]

    def ancestors(self, id: str) -> frozenset[str]:
        parents = self.commits[id].parents
        return frozenset(parents).union(*(self.ancestors(parent) for parent in parents))

    def with_ancestors(self, id: str) -> frozenset[str]:
        return self.ancestors(id) | {id}

    def descends_from_root(self, id: str) -> bool:
        return self.root in self.ancestors(id)

    def is_received_by_mainline(self, id: str) -> bool:
        return id in self.with_ancestors(self.history.mainline)

    def ref(self, id: str) -> bytes:
        """The ref whose rules judge `id`."""
        history = self.history
        return (history.mainline_ref if self.is_received_by_mainline(id) else history.ref).encode()

    def auths(self, id: str) -> Auths:
        """The folder that the children of `id` are compared with: its own, if that can be believed."""
        if not self.descends_from_root(id) or self.can_be_believed(id):
            return self.own_auths(id)
        return self.auths(self.parents_in_scope(id)[0])

    def own_auths(self, id: str) -> Auths:
        commit = self.commits[id]
        return Auths() if commit.malformed or commit.auths.fault else commit.auths

    def is_in_scope(self, id: str) -> bool:
        return id == self.root or self.descends_from_root(id)

    def parents_in_scope(self, id: str) -> list[str]:
        return [parent for parent in self.commits[id].parents if self.is_in_scope(parent)]

    def entries(self, id: str) -> dict[str, object]:
        if self.commits[id].malformed:
            return {}
        return {**self.commits[id].files, **self.own_auths(id).entries()}

    def can_be_believed(self, id: str) -> bool:
        return self.own_auths(id).policy is not None

    # Rule 3: versions.

    def effective(self, id: str) -> frozenset[str]:
        """The maximal ones among the versions of the parents."""
        versions = frozenset[str]().union(*(self.versions(parent) for parent in self.commits[id].parents))
        return frozenset(v for v in versions if not any(v in self.ancestors(other) for other in versions))

    def versions(self, id: str) -> frozenset[str]:
        if id == self.root:
            return frozenset({id})
        if not self.descends_from_root(id):
            return frozenset()
        if self.can_be_believed(id) and self.sets_version(id):
            return frozenset({id})
        return self.effective(id)

    def sets_version(self, id: str) -> bool:
        effective = self.effective(id)
        return len(effective) != 1 or any(self.auths(v).policy != self.auths(id).policy for v in effective)

    def policy(self, version: str) -> Policy:
        text = self.auths(version).policy
        policy = parsed(text) if text is not None else None
        assert policy is not None, "a version is a commit with a policy"
        return policy

    def is_behind(self, version: str, versions: Iterable[str]) -> bool:
        """Does one of `versions` descend from `version`, or is it that one?"""
        return any(version in self.with_ancestors(other) for other in versions)

    # Rule 6: what a commit changes.

    def changed_paths(self, id: str) -> set[str]:
        paths = set(self.entries(id)).union(*(self.entries(parent) for parent in self.commits[id].parents))
        return {path for path in paths if self.changes(id, path)}

    def changes(self, id: str, path: str) -> bool:
        entry = self.entries(id).get(path)
        parents = self.commits[id].parents
        values = [self.entries(parent).get(path) for parent in parents]
        if all(value == entry for value in values):
            return False
        bases = {self.entries(base).get(path) for base in self.merge_bases(parents)} if len(parents) > 1 else set()
        if len(bases) != 1:
            return True
        return {value for value in values if value not in bases} != {entry}

    def merge_bases(self, parents: Iterable[str]) -> frozenset[str]:
        common = frozenset.intersection(*(self.with_ancestors(parent) for parent in parents))
        return frozenset(c for c in common if not any(c in self.ancestors(other) for other in common))

    # Rule 2: logs, and rule 5: what is free.

    def logs_grow(self, id: str) -> bool:
        """Each log of each parent goes on here, or of a fork between parents one side does."""
        return all(self._keeps_one_side(id, aid) for aid in self._parents_aids(id))

    def _parents_aids(self, id: str) -> set[str]:
        return {aid for parent in self.parents_in_scope(id) for aid in self.auths(parent).kels}

    def _parents_logs(self, id: str, aid: str) -> list[Kel]:
        folders = [self.auths(parent) for parent in self.parents_in_scope(id)]
        return [folder.kels[aid] for folder in folders if aid in folder.kels]

    def _parents_cut_short(self, id: str, aid: str) -> list[Kel]:
        """The parents' logs of `aid` that the log here does not extend."""
        mine = self.auths(id).kels.get(aid)
        return [kel for kel in self._parents_logs(id, aid) if mine is None or not begins(kel, mine)]

    def _keeps_one_side(self, id: str, aid: str) -> bool:
        mine = self.auths(id).kels.get(aid)
        kept = [kel for kel in self._parents_logs(id, aid) if mine is not None and begins(kel, mine)]
        return all(any(fork(lost, kel) for kel in kept) for lost in self._parents_cut_short(id, aid))

    def leaves_auths_alone(self, id: str) -> bool:
        parents = self.parents_in_scope(id)
        same = all(self.auths(id).entries() == self.auths(parent).entries() for parent in parents)
        return same and len(self.effective(id)) == 1

    def changes_nothing_below_auths(self, id: str) -> bool:
        if len(self.parents_in_scope(id)) == 1:
            return self.leaves_auths_alone(id)
        return (
            not self.sets_version(id)
            and not self.new_aids(id)
            and all(self.decisions(id, name) == self.decisions_of_parents(id, name) for name in ("adopted", "received"))
            and not any(self.changes_file(id, name) for name in {*self.other_files(id), "allowed_signers"})
            and not any(self._parents_cut_short(id, aid) for aid in self._parents_aids(id))
            and all(any(saids(kel) == saids(old) for old in self._parents_logs(id, aid))
                    for aid, kel in self.auths(id).kels.items())
        )  # fmt: skip

    def changes_below_auths_are_free(self, id: str) -> bool:
        folder = self.auths(id)
        return (
            not self.sets_version(id)
            and not any(self._parents_cut_short(id, aid) for aid in self._parents_aids(id))
            and all(folder.policy is not None and self._may_be_new(id, aid) for aid in self.new_aids(id))
            and all(self.decision_lines_are_free(id, name) for name in ("adopted", "received"))
            and (not self.changes_file(id, "allowed_signers") or folder.allowed_signers == generated(folder))
            and not any(self.changes_file(id, name) and not self.may_change_freely(id, name)
                        for name in self.other_files(id))
        )  # fmt: skip

    def other_files(self, id: str) -> set[str]:
        folders = [self.auths(one) for one in (id, *self.parents_in_scope(id))]
        return {name for folder in folders for name in (*folder.others, *map(grant_path, folder.grants))}

    def may_change_freely(self, id: str, name: str) -> bool:
        """A grant may be added whose issuer's log here seals it."""
        folder, parents = self.auths(id), [self.auths(parent) for parent in self.parents_in_scope(id)]
        added = {
            grant_path(sha256) for sha256, grant in folder.sealed.items()
            if grant.root == self.root and not any(sha256 in parent.grants for parent in parents)
        }  # fmt: skip
        return name in added

    def changes_file(self, id: str, name: str) -> bool:
        """Does it change this file below `.auths/`? A parent that does not descend from the root has no say there."""
        path, parents = f".auths/{name}", self.parents_in_scope(id)
        entry = self.auths(id).entries().get(path)
        values = {self.auths(parent).entries().get(path) for parent in parents}
        if values == {entry}:
            return False
        bases = {self.own_auths(base).entries().get(path) for base in self.merge_bases(self.commits[id].parents)}
        return len(parents) == 1 or len(bases) != 1 or values - bases != {entry}

    def decision_lines_are_free(self, id: str, name: str) -> bool:
        if len(self.parents_in_scope(id)) == 1:
            return not self.changes_file(id, name)
        return self.decisions(id, name) == self.decisions_of_parents(id, name)

    def new_aids(self, id: str) -> set[str]:
        return set(self.auths(id).kels) - self._parents_aids(id)

    def _may_be_new(self, id: str, aid: str) -> bool:
        return self.known(id).is_invited(aid, self._policy_here(id))

    def _policy_here(self, id: str) -> Policy:
        policy = parsed(self.auths(id).policy or "")
        assert policy is not None
        return policy

    def decisions(self, id: str, name: str) -> set[str]:
        return set(getattr(self.auths(id), name))

    def decisions_of_parents(self, id: str, name: str) -> set[str]:
        return set().union(*(self.decisions(parent, name) for parent in self.parents_in_scope(id)))

    def added_lines(self, id: str, name: str) -> set[str]:
        """Those of no parent, inside the root's history or outside it, also where it has no policy."""
        parents = self.commits[id].parents
        there = [self.decisions(parent, name) for parent in parents]
        return self.decisions(id, name).difference(*there, *(getattr(self.own_auths(p), name) for p in parents))

    def drops_decision_lines(self, id: str) -> bool:
        return any(self.decisions_of_parents(id, name) - self.decisions(id, name) for name in ("adopted", "received"))

    # Section 4: who acts for whom.

    def known(self, id: str) -> Knowledge:
        """By the tree of `id`."""
        folder = self.auths(id)
        return Knowledge(self.root, folder.kels, folder.sealed, self.delegators)

    def known_to(self, id: str, by: str) -> Knowledge:
        """By the trees of `id` and of `by`, which receives it."""
        own, other = self.auths(id), self.auths(by)
        kels = {}
        for of in {*own.kels, *other.kels}:
            one, two = own.kels.get(of), other.kels.get(of)
            kel = longer(one, two)
            if kel is not None and not (one is not None and two is not None and fork(one, two)):
                kels[of] = kel
        return Knowledge(self.root, kels, {**own.sealed, **other.sealed}, self.delegators)


class Actor(NamedTuple):
    """Who stands for a commit: its signer, or a countersigner."""

    did: str
    key: bytes


class Received(NamedTuple):
    """What is known where a commit is received, of its approvers too, and the clock there (Unix seconds).

    That for grants, and that for `expires_at` in the policy; None: nothing is past its time.
    """

    known: Knowledge
    grants_clock: int | None
    policy_clock: int | None


class Asked(NamedTuple):
    """A rule, the policy it stands in, the capability it is about, and the kind of approvals that count for it."""

    rule: Rule
    policy: Policy
    capability: str
    approval: str


class Reception(NamedTuple):
    """Under what a commit is received: the chain commit just before, and the clock there."""

    by: str
    clock_seconds: int


class Judgement:
    """The verdicts on `scope`; on what the mainline has, those that it gave without the rest."""

    def __init__(self, graph: Graph, scope: frozenset[str], last_good: int = 0,
                 mainline: Judgement | None = None) -> None:  # fmt: skip
        self.graph = graph
        self.mainline = mainline
        self.scope = sorted(scope - graph.out_of_scope)
        self.last_good = last_good
        self.clocks = self._clocks()
        decided: dict[str, str] = {} if mainline is None else mainline.words
        self.line_sources = sorted({*decided, *self.scope})
        self.named: frozenset[tuple[str, str]] = frozenset() if mainline is None else mainline.named
        self.steps: dict[str, int] = {}
        while True:
            self._date_receptions()
            self.words: dict[str, str] = decided | {id: self.verdict(id) for id in self.scope}
            more = frozenset(self._adoptions())
            if more <= self.named:
                break
            self.named |= more

    def is_good(self, id: str) -> bool:
        return self.words[id] in PASSING and not self.bad_ancestors(id)

    def bad_ancestors(self, id: str) -> frozenset[str]:
        return frozenset(a for a in self.graph.ancestors(id) if a in self.words and self.words[a] not in PASSING)

    def verdict(self, id: str) -> str:
        if id in self.graph.reaches_root_otherwise:
            return "mainline-inverted"
        word = self.by_itself(id)
        return "adopted" if word not in PASSING and any(id == named for named, _ in self.named) else word

    # Rule 7.

    def _clocks(self) -> list[int]:
        dates = [0 if self.graph.commits[id].malformed else self.graph.commits[id].date for id in self.graph.chain]
        clocks = dates[:1]
        for date in dates[1:]:
            clocks.append(max(clocks[-1], min(date, clocks[-1] + MAX_STEP_SECONDS)))
        return clocks

    # Rule 4, when: reception by the mainline's steps, and receipts.

    def _date_receptions(self) -> None:
        graph = self.graph
        self.steps = {}
        for step in range(1, len(graph.chain)):
            newly = graph.with_ancestors(graph.chain[step]) - graph.with_ancestors(graph.chain[step - 1])
            newly -= graph.out_of_scope
            for id in newly:
                self.steps.setdefault(id, step)
            for id in sorted(newly):
                for tip in self._receipts_of(id):
                    for received in graph.with_ancestors(tip):
                        self.steps.setdefault(received, step)

    def _receipts_of(self, id: str) -> Iterator[str]:
        lines = self.graph.added_lines(id, "received")
        is_too_late = self.mainline is not None and not self.mainline.is_good(id)
        if lines and not is_too_late and self.by_itself(id) == "good":
            for line in lines:
                words = line.split()
                if len(words) >= 2 and words[0].startswith("refs/") and words[1] in self.graph.commits:
                    yield words[1]

    def reception(self, id: str) -> Reception:
        before = self.steps[id] - 1 if id in self.steps else self.last_good
        return Reception(self.graph.chain[before], self.clocks[before])

    def receiving_versions(self, id: str) -> frozenset[str]:
        return self.graph.versions(self.reception(id).by)

    def key_problem(self, id: str, actor: Actor, by: str) -> str | None:
        """Rule 4: the key in the longer of both logs. Superseded there is soft enough, where C's tree has it current."""
        own, other = self.graph.auths(id).kels, self.graph.auths(by).kels
        known = self.graph.known(id)
        is_listed = any(self.graph.policy(version).lists(actor.did) for version in self._judging(id))
        for one in known.owners(actor.did) if is_listed else known.lineage(actor.did):
            if aid(one) in own and aid(one) in other and fork(own[aid(one)], other[aid(one)]):
                return "kel-invalid"
        kel = longer(own.get(aid(actor.did)), other.get(aid(actor.did)))
        return "compromised-key" if kel is not None and is_compromised(kel, actor.key) else None

    def received_by(self, id: str) -> str:
        """The commit whose folder it is received under."""
        by = self.reception(id).by
        chain = self.graph.chain[: self.graph.chain.index(by) + 1]
        return [c for c in chain if self.graph.can_be_believed(c)][-1]

    def known_at_reception(self, id: str) -> Knowledge:
        return self.graph.known_to(id, self.received_by(id))

    def received(self, id: str) -> Received:
        clock = max(self.reception(id).clock_seconds, self.graph.commits[id].date)
        return Received(self.known_at_reception(id), clock, clock)

    # Rules 1 to 9.

    def by_itself(self, id: str) -> str:
        graph, commit = self.graph, self.graph.commits[id]
        if commit.malformed:
            return "malformed"
        if id == graph.root:
            return commit.auths.fault or ("good" if commit.auths.policy is not None else "policy-invalid")
        if not graph.descends_from_root(id):
            return "outside-root"
        if commit.auths.fault:
            return commit.auths.fault
        if commit.auths.policy is None:
            return "policy-change-unauthorized"
        word = self._one_way(id)
        return "mainline-inverted" if word in PASSING and self.inverts_mainline(id) else word

    def _one_way(self, id: str) -> str:
        if self.is_ungoverned(id):
            return "ungoverned"
        word = self._as_signed(id)
        return "countersigned" if self._countersigner(id, word) is not None else word

    def is_ungoverned(self, id: str) -> bool:
        policies = self.graph.effective(id) | self.receiving_versions_to_ask(id)
        return self.graph.changes_nothing_below_auths(id) and not any(self.matching_rules(id, v) for v in policies)

    def receiving_versions_to_ask(self, id: str) -> frozenset[str]:
        """Those just before the reception, unless the effective version descends from them."""
        effective = self.graph.effective(id)
        return frozenset(v for v in self.receiving_versions(id) if not self.graph.is_behind(v, effective))

    def _as_signed(self, id: str) -> str:
        commit = self.graph.commits[id]
        if commit.key is None:
            assert commit.fault is not None
            return commit.fault
        signer = self.signer(id)
        if signer == "unknown-key" and self.is_by_ci(id, self._judging(id), self.received_by(id)):
            return "good"
        return signer if isinstance(signer, str) else self._by(id, signer, by_signature=True)

    def _judging(self, id: str) -> frozenset[str]:
        return self.graph.effective(id) | self.receiving_versions_to_ask(id)

    # Section 10: commits by CI.

    def is_by_ci(self, id: str, versions: Iterable[str], by: str) -> bool:
        """Do all of these policies take it from a CI job, by its own pins and by those of `by`, which receives it?"""
        graph = self.graph
        if len(graph.commits[id].parents) != 1 or not graph.changes_nothing_below_auths(id):
            return False
        pins = [graph.auths(id).pins, graph.auths(by).pins]
        return all(any(self._takes(rule, id, pins) for rule in graph.policy(version).ci) for version in versions)

    def _takes(self, rule: CiRule, id: str, pins: Iterable[Pins]) -> bool:
        if rule.commit_paths is None or rule.identity is None or not rule.allow_ephemeral:
            return False
        if not all(path_permitted(rule.commit_paths, path.encode()) for path in self.graph.changed_paths(id)):
            return False
        return all(any(self._is_proved(rule, id, run, some) for run in self.graph.history.runs) for some in pins)

    def _is_proved(self, rule: CiRule, id: str, run: Run, pins: Pins) -> bool:
        if (run.commit, run.key, run.root) != (id, self.graph.commits[id].key, self.graph.root):
            return False
        time = naive_evidence.trusted_time(run.evidence, pins)
        if time is None or run.about not in (None, id):
            return False
        began_on = self._began_on(id, run.key)
        return naive_evidence.throwaway(rule, run.evidence, began_on, pins, time).holds_strictly

    def _began_on(self, id: str, key: bytes) -> str:
        """The nearest ancestor that the key did not sign."""
        parent = self.graph.commits[self.graph.commits[id].parents[0]]
        is_by_key = parent.key == key and not parent.malformed
        return self._began_on(parent.id, key) if is_by_key and len(parent.parents) == 1 else parent.id

    def signer(self, id: str) -> Actor | str:
        """Rule 2: whose current key in C's own tree it is, else the verdict."""
        key = self.graph.commits[id].key
        assert key is not None
        kels = self.graph.auths(id).kels.values()
        for kel in kels:
            if key in blobs(kel.current_signing_keys()):
                return Actor(kel.did, key)
        if any(key in blobs(kel.state.keys) for kel in kels):
            return "unauthorized"  # its log wants more than this key
        if any(key in blobs(event.state.keys) for kel in kels for event in kel.events):
            return "superseded-key"
        return "unknown-key"

    def _by(self, id: str, actor: Actor, by_signature: bool) -> str:
        """Rules 2 to 8 for a commit that `actor` stands for."""
        graph = self.graph
        if not graph.logs_grow(id):
            return "kel-invalid"
        if graph.drops_decision_lines(id):
            return "policy-change-unauthorized"
        received = self.received(id)
        own = graph.known(id) if by_signature else None
        if not graph.changes_below_auths_are_free(id):
            missing = self.unmet_of_admins(id, graph.effective(id), actor, received, own)
            if missing == "unauthorized-at-reception" and by_signature:
                missing = self.key_problem(id, actor, self.received_by(id))
                return missing or "policy-change-unauthorized"
            if missing or not self.meets_admin_of(id, actor, self.receiving_versions_to_ask(id), received):
                return "policy-change-unauthorized"
        if self.only_changes_the_rules(id):
            received = received._replace(policy_clock=None)
        written = self.unmet(id, graph.effective(id), actor, received, own)
        problem = self.key_problem(id, actor, self.received_by(id)) if by_signature else None
        if problem and written in (None, "unauthorized-at-reception"):
            return problem
        if written:
            return written
        word = self.unmet(id, self.receiving_versions_to_ask(id), actor, received)
        if word:
            return "unauthorized-at-reception" if word == "unauthorized" else word
        return "good"

    def only_changes_the_rules(self, id: str) -> bool:
        """Section 6: nobody locks the door by waiting."""
        commits = self.graph.commits
        files = [commits[parent].files for parent in commits[id].parents]
        return not self.graph.changes_below_auths_are_free(id) and all(file == commits[id].files for file in files)

    # Rules 3, 4, 8 and 9: what a policy asks.

    def matching_rules(self, id: str, version: str) -> list[Rule]:
        paths = [path.encode() for path in self.graph.changed_paths(id)]
        return [
            rule for rule in self.graph.policy(version).commit
            if branch_matches(rule.branches, self.graph.ref(id))
            and (rule.paths is None or any(path_matches(rule.paths, path) for path in paths))
        ]  # fmt: skip

    def unmet(self, id: str, versions: Iterable[str], actor: Actor, received: Received,
              own: Knowledge | None = None) -> str | None:  # fmt: skip
        """What the commit rules of these versions lack, by what is known at the reception, and by C's `own` tree."""
        asked = [
            Asked(rule, self.graph.policy(version), "sign_commit", "commit")
            for version in sorted(versions) for rule in self.matching_rules(id, version)
        ]  # fmt: skip
        return self._unmet(id, asked, actor, received, own)

    def meets_admin_of(self, id: str, actor: Actor, versions: Iterable[str], received: Received) -> bool:
        return self.unmet_of_admins(id, versions, actor, received) is None

    def unmet_of_admins(self, id: str, versions: Iterable[str], actor: Actor, received: Received,
                        own: Knowledge | None = None) -> str | None:  # fmt: skip
        asked = [
            Asked(rule, self.graph.policy(version), "manage_members", "admin")
            for version in versions for rule in self.graph.policy(version).admin
        ]  # fmt: skip
        return self._unmet(id, asked, actor, received._replace(policy_clock=None), own)

    def _unmet(self, id: str, asked: Iterable[Asked], actor: Actor, received: Received,
               own: Knowledge | None) -> str | None:  # fmt: skip
        barred = [word for one in asked if (word := self._barred(id, one, actor, received, own))]
        if barred:
            return next(word for word in ("unauthorized", "unauthorized-at-reception", "expired") if word in barred)
        return next((word for one in asked if (word := self._too_few(id, one, actor, received))), None)

    def _barred(self, id: str, asked: Asked, actor: Actor, received: Received, own: Knowledge | None) -> str | None:
        if own is not None:
            word = self._ways(id, asked, actor, received, own)
            if isinstance(word, str):
                return word
        word = self._ways(id, asked, actor, received, received.known)
        late = "unauthorized-at-reception" if own is not None else "unauthorized"
        return (late if word == "unauthorized" else word) if isinstance(word, str) else None

    def _ways(self, id: str, asked: Asked, actor: Actor, received: Received, known: Knowledge) -> list[Way] | str:
        """In which ways the actor may act under the rule, else the verdict."""
        ways = known.ways(actor.did, asked.rule, asked.capability)
        if not ways:
            return "unauthorized"
        ways = [way for way in ways if not is_past(way, asked.policy, received)]
        if not ways:
            return "expired"
        stands_in = actor.key != self.graph.commits[id].key
        ways = [way for way in ways if (known.may_approve(way) if stands_in else may_sign(asked.rule, way, known))]
        return ways or "unauthorized"

    def _too_few(self, id: str, asked: Asked, actor: Actor, received: Received) -> str | None:
        """Principals, or people who approve what an agent does."""
        rule, known = asked.rule, received.known
        approvers = given = self._approvers_under(id, asked, asked.approval, received)
        if actor.key != self.graph.commits[id].key:  # who stands in does not stand in alone
            given = given | self._approvers_under(id, asked, "countersign", received)
        own = self._ways(id, asked, actor, received, known)
        assert not isinstance(own, str), "nothing bars it"
        votes = [[(known.principals(way, rule), key) for way in ways] for (_, key), ways in
                 [(actor, own), *((one, self._approving(asked, one, received)) for one in sorted(given))]]  # fmt: skip
        if naive_rights.most_distinct(votes) < rule.require:
            return "threshold-unmet"
        if rule.agents == "approved" and all(known.by_agents(way) for way in own):
            return None if approvers else "threshold-unmet"
        return None

    def _approvers_under(self, id: str, asked: Asked, kind: str, received: Received) -> set[Actor]:
        """Those whose approval counts under the rule."""
        return {actor for actor in self.approvers(id, kind) if self._approving(asked, actor, received)}

    def _approving(self, asked: Asked, actor: Actor, received: Received) -> list[Way]:
        known = received.known
        return [
            way for way in known.ways(actor.did, asked.rule, asked.capability)
            if not is_past(way, asked.policy, received) and known.may_approve(way)
        ]  # fmt: skip

    def approvers(self, id: str, kind: str) -> set[Actor]:
        return {
            Actor(approval.did, approval.key)
            for approval in self.graph.history.approvals
            if approval.commit == id and approval.kind == kind and self._approval_key_counts(id, approval)
        }

    def _approval_key_counts(self, id: str, approval: Approval) -> bool:
        """Held from C's tree to the mainline's tip, and not compromised there, unless C was received before."""
        of = aid(approval.did)
        here = self.graph.auths(id).kels.get(of)
        tip = self.graph.auths(self.graph.chain[-1]).kels.get(of)
        if here is None and tip is None:
            return False
        if here is not None and tip is not None and fork(here, tip):
            return False
        longest = longer(here, tip)
        assert longest is not None
        first_sn = here.establishments()[-1].sn if here is not None else 0
        held = [event for event in longest.establishments() if event.sn >= first_sn]
        if not any(approval.key in blobs(event.state.signing_keys()) for event in held):
            return False
        if not is_compromised(longest, approval.key):
            return True
        if id not in self.steps:
            return False
        then = self.graph.auths(self.graph.chain[self.steps[id]]).kels.get(of)
        return here is None or not is_compromised(longest_of(here, then), approval.key)

    # Rule 8: countersigning.

    def _countersigner(self, id: str, word: str) -> Actor | None:
        if word not in COUNTERSIGNABLE or not self.graph.changes_nothing_below_auths(id):
            return None
        for actor in sorted(self.approvers(id, "countersign")):
            tip = self.graph.auths(self.graph.chain[-1])
            kel = self.graph.auths(id).kels.get(aid(actor.did)) or tip.kels.get(aid(actor.did))
            if kel is not None and self._by(id, actor, by_signature=False) == "good":
                return actor
        return None

    # Rule 4: the mainline's merges, both ways.

    def inverts_mainline(self, id: str) -> bool:
        parents = self.graph.commits[id].parents
        if id not in self.graph.chain or len(parents) < 2:
            return False
        in_scope = [self.graph.is_in_scope(parent) for parent in parents]
        others = [parents[n] for n in range(1, len(parents)) if in_scope[n]]
        return in_scope[0] and any(self._inverts(id, parents[0], other) for other in others)

    def _inverts(self, merge: str, first: str, other: str) -> bool:
        graph = self.graph
        is_behind = all(graph.is_behind(version, graph.versions(first)) for version in graph.versions(other))
        first_kels = graph.auths(first).kels
        logs_are_behind = all(
            aid in first_kels and begins(kel, first_kels[aid]) for aid, kel in graph.auths(other).kels.items()
        )
        lacked = graph.with_ancestors(first) - graph.with_ancestors(other) - graph.out_of_scope - {graph.root}
        passing = [
            id for id in lacked
            if graph.is_in_scope(id) and self.verdict(id) in PASSING and not self._is_excused(id, merge, other)
        ]  # fmt: skip
        if not (is_behind and logs_are_behind) and not all(self._satisfies(id, other) for id in passing):
            return True
        jobs = [id for id in passing if self._is_job(id)] if self._has_pins_of_its_own(first, other) else []
        return not all(self.is_by_ci(id, graph.effective(id), other) for id in jobs)

    def _is_excused(self, id: str, merge: str, other: str) -> bool:
        return any(named == id and by != merge and self._satisfies(by, other) for named, by in self.named)

    def _is_job(self, id: str) -> bool:
        """Is it good as a commit by CI?"""
        return self._as_signed(id) == "good" and self.signer(id) == "unknown-key"

    def _has_pins_of_its_own(self, first: str, other: str) -> bool:
        """Did `other` change the pins since both were one?"""
        graph = self.graph
        known = [graph.auths(one).pins for one in (first, *graph.merge_bases((first, other)))]
        return graph.auths(other).pins not in known

    def _satisfies(self, id: str, other: str) -> bool:
        graph = self.graph
        effective = graph.effective(id)
        versions = {v for v in graph.versions(other) if not graph.is_behind(v, effective)}
        is_asked = any(self.matching_rules(id, v) for v in versions)
        if self.verdict(id) == "ungoverned" and not is_asked:
            return True
        if self._is_job(id):
            return self.is_by_ci(id, effective | versions, self.received_by(id))
        actor = self._who_stands_for(id)
        if actor is None:
            return not is_asked
        if self.key_problem(id, actor, other):
            return False
        known = graph.known_to(id, other)
        received = Received(known, None, None)
        if self.unmet(id, effective | versions, actor, received):
            return False
        return graph.changes_below_auths_are_free(id) or self.meets_admin_of(id, actor, effective | versions, received)

    def _who_stands_for(self, id: str) -> Actor | None:
        commit = self.graph.commits[id]
        if commit.malformed or not self.graph.can_be_believed(id):
            return None
        countersigner = self._countersigner(id, self._as_signed(id))
        if countersigner is not None:
            return countersigner
        signer = self.signer(id) if commit.key is not None else None
        return signer if isinstance(signer, Actor) else None

    # Rule 10.

    def _adoptions(self) -> Iterator[tuple[str, str]]:
        """Every commit that some line adopts, and who adds the line, by the verdicts as they are now."""
        for adder in self.line_sources:
            lines = self.graph.added_lines(adder, "adopted")
            if not lines or adder == self.graph.root or self.by_itself(adder) != "good":
                continue
            for line in lines:
                yield from ((named, adder) for named in self._adopted_by(adder, line))

    def _adopted_by(self, adder: str, line: str) -> Iterator[str]:
        graph = self.graph
        parsed_line = parse_adoption(line)
        if parsed_line is None or parsed_line.commit not in self.scope:
            return
        if any(parsed_line.commit in graph.with_ancestors(merge) for merge in graph.reaches_root_otherwise):
            return
        signer = self.signer(adder)
        assert isinstance(signer, Actor), "its verdict is good"
        known_then = graph.known(self.received_by(parsed_line.commit))
        versions, received = self.receiving_versions(parsed_line.commit), self.received(adder)
        if not self.meets_admin_of(adder, signer, versions, received._replace(known=known_then)):
            return
        if self._adoptable(parsed_line.commit, parsed_line.auths):
            yield parsed_line.commit
        if parsed_line.behind:
            for id in graph.with_ancestors(parsed_line.commit).intersection(self.scope):
                outside = id != graph.root and id not in graph.out_of_scope and not graph.descends_from_root(id)
                if outside and not graph.commits[id].malformed:
                    yield id

    def _adoptable(self, id: str, auths: str | None) -> bool:
        graph = self.graph
        if id == graph.root:
            return False
        is_named = auths == graph.commits[id].auths.id
        if not graph.descends_from_root(id):
            return not graph.commits[id].malformed
        commit = graph.commits[id]
        if commit.malformed or commit.auths.fault or not graph.logs_grow(id) or graph.drops_decision_lines(id):
            return False
        if graph.commits[id].auths.policy is None:
            return False
        return is_named or graph.changes_below_auths_are_free(id)


class Adoption(NamedTuple):
    commit: str
    auths: str | None
    behind: bool


def parse_adoption(line: str) -> Adoption | None:
    commit, *more = line.split(" ")
    auths, behind = None, False
    for word in more:
        if word == "behind":
            behind = True
        elif word.startswith("auths="):
            auths = word.removeprefix("auths=")
        else:
            return None
    return Adoption(commit, auths, behind)


def has_expired(did: str, policy: Policy, now: int | None) -> bool:
    signer = policy.signers.get(did)
    return now is not None and signer is not None and signer.expires_at is not None and now >= signer.expires_at


def may_sign(rule: Rule, way: Way, known: Knowledge) -> bool:
    """Does the rule take agents, if it is one, and of this model?"""
    return not known.by_agents(way) or (rule.agents != "deny" and known.models_match(way, rule))


def is_past(way: Way, policy: Policy, received: Received) -> bool:
    """Does a grant on the way have its time behind it, or by the policy anyone who stands there?"""
    return way.is_past(received.grants_clock) or any(
        has_expired(one, policy, received.policy_clock) for one in way.everybody()
    )


# Key event logs.


def saids(kel: Kel) -> tuple[str, ...]:
    return tuple(event.said for event in kel.events)


def begins(earlier: Kel, later: Kel) -> bool:
    """Does `later` begin with all of `earlier`?"""
    return saids(later)[: len(earlier.events)] == saids(earlier)


def fork(one: Kel, other: Kel) -> bool:
    return not begins(one, other) and not begins(other, one)


def longer(one: Kel | None, other: Kel | None) -> Kel | None:
    if one is None or other is None:
        return one or other
    return max(one, other, key=lambda kel: len(kel.events))


def longest_of(one: Kel, other: Kel | None) -> Kel:
    return one if other is None or len(other.events) < len(one.events) else other


def blobs(keys: Iterable[object]) -> set[bytes]:
    return {key.ssh_blob() for key in keys}  # type: ignore[attr-defined]


def is_compromised(kel: Kel, key: bytes) -> bool:
    """Did a rotation after the key declare it, and every key before that rotation, compromised?"""
    for number, event in enumerate(kel.events):
        declares = event.ilk in ("rot", "drt") and any(
            isinstance(seals.parse(a), seals.Compromise) for a in event.anchors
        )
        if declares and any(key in blobs(earlier.state.keys) for earlier in kel.events[:number]):
            return True
    return False


def generated(folder: Auths) -> str:
    """What stands for `.auths/allowed_signers` as the policy and the logs give it, under the trust root `root`."""
    policy = parsed(folder.policy or "")
    assert policy is not None
    known = Knowledge("root", folder.kels, folder.sealed, {kel.aid: kel.delegator for kel in folder.kels.values()})
    rows = []
    for kel in sorted(folder.kels.values(), key=lambda kel: kel.aid):
        keys = [key.ssh_blob() for event in kel.establishments() for key in event.state.signing_keys()]
        uncompromised = [key.hex() for key in keys if not is_compromised(kel, key)]
        if known.act_for(kel.did, policy):
            emails = policy.signers[kel.did].emails if policy.lists(kel.did) else ()
            rows += [f"{kel.did} {','.join(emails)} {key}" for key in uncompromised]
    return "\n".join(["generated", *rows])


@lru_cache(maxsize=4096)
def parsed(text: str) -> Policy | None:
    try:
        return parse(text.encode())
    except PolicyInvalid:
        return None
