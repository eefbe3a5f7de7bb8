"""The judge and the naive one in `tests.oracle` give the same verdicts, on histories by hand and on random ones."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from git_auths.core import cicommits, pins, seals
from git_auths.core.approvals import Counted, approving_keys, compromised_before
from git_auths.core.authority import Authority
from git_auths.core.auths_folder import EMPTY, AuthsFolder, generated_id
from git_auths.core.case import Sources
from git_auths.core.facts import Facts, Fault
from git_auths.core.gitobject import DIRECTORY, FILE, Entry
from git_auths.core.grants import Grant
from git_auths.core.judge import Verdict
from git_auths.core.judgement import Branch, Mainline, Remembered, Unremembered
from git_auths.core.kel import Kel
from git_auths.core.lineage import State
from git_auths.core.reception import Reception
from git_auths.core.signer import Signer
from tests.oracle import naive_judge
from tests.oracle.histories import (
    BEGINNING,
    DAY,
    Person,
    Rules,
    everybody,
    histories,
    job_key,
    key_of,
    others,
    run_of,
    seals_of,
)
from tests.oracle.naive_evidence import FIXED, OTHER, Logged
from tests.oracle.naive_judge import ISSUER_PIN, LOG_PIN, Approval, Auths, Commit, History, Run
from tests.oracle.naive_rights import GrantFile, digest
from tests.oracle.situations import real_pins, run_line

Tree = dict[bytes, Entry]

EXAMPLES = int(os.environ.get("AUTHS_ORACLE_EXAMPLES", "0"))  # more than the usual few hundred, other ones each time
ADA, BOB, CAROL, EVE = everybody()
ORG, DAVE, LAPTOP, ROBOT, BELOW = others()[:5]  # Ada's laptop and robot; the laptop's robot
ROOT = "root"


def oid(content: object) -> str:
    return hashlib.sha1(repr(content).encode()).hexdigest()


class Adapter:
    """Hands a naive history to the judge, in the judge's terms."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.names = {oid(name): name for name in history.commits}
        self.out_of_scope = naive_judge.Graph(history).out_of_scope
        self.folders: dict[str, AuthsFolder] = {}
        self.naive_folders: dict[str, Auths] = {}
        self.lines: dict[str, frozenset[bytes]] = {}
        self.lines_by_ci: dict[str, list[bytes]] = {}  # by commit
        self.trees: dict[str, Tree] = {}
        believed = [
            commit.auths for commit in history.commits.values() if commit.auths.policy and not commit.auths.fault
        ]
        self.generated: dict[str, str] = {}
        for auths in believed:
            self.generated[naive_judge.generated(auths)] = generated_id(self._folder(auths))
        self.facts = {oid(commit.id): self._facts(commit) for commit in history.commits.values()}
        self.roots = {oid(commit.id): self._tree(commit) for commit in history.commits.values()}

    def verdicts(self, remembered_at: str | None = None) -> dict[str, Verdict]:
        """All verdicts; where the mainline is remembered at a commit, those on what is not behind it."""
        history = self.history
        past = None if remembered_at is None else Earlier(self.mainline(remembered_at))
        mainline = self.mainline(history.mainline, past)
        judged = list(mainline.verdicts())
        if oid(history.tip) not in mainline.records:
            known = self._reachable(history.mainline)
            beyond = {id: facts for id, facts in self._reachable(history.tip).items() if id not in known}
            judged += Branch(beyond, [oid(history.tip)], history.ref, mainline).verdicts()
        return {self.names[verdict.id]: verdict for verdict in judged}

    def mainline(self, tip: str, past: Earlier | None = None) -> Mainline:
        facts = {id: facts for id, facts in self._reachable(tip).items() if past is None or id not in past}
        return Mainline(facts, oid(self.history.root), oid(tip), self.history.mainline_ref, self._sources(), past)

    def _reachable(self, tip: str) -> dict[str, Facts]:
        names = naive_judge.Graph(self.history).with_ancestors(tip) - self.out_of_scope
        return {oid(name): self.facts[oid(name)] for name in sorted(names)}

    def _facts(self, commit: Commit) -> Facts:
        id, parents = oid(commit.id), tuple(map(oid, commit.parents))
        if commit.malformed:
            return Facts(id, parents, "", None, 0, None, Fault("malformed", ""), None, None)
        auths = self._auths(commit.auths)
        fault = None if commit.key else Fault(commit.fault or "", "")
        return Facts(id, parents, self._tree(commit), auths, commit.date, commit.key, None, None, fault)

    def _auths(self, auths: Auths) -> str | None:
        if not auths.entries() and not auths.broken:
            return None
        self.folders[auths.id] = self._folder(auths)
        self.naive_folders[auths.id] = auths
        return auths.id

    def _folder(self, auths: Auths) -> AuthsFolder:
        if auths.fault:
            return EMPTY._replace(fault=Fault(auths.fault, ""), policy_id="")
        signers: dict[bytes, tuple[str, ...]] = {}
        for _, kel in sorted(auths.kels.items()):
            for key in kel.current_signing_keys():
                signers[key.ssh_blob()] = (*signers.get(key.ssh_blob(), ()), kel.did)
        files = {path.encode(): oid(value) for path, value in auths.others.items()}
        for name, lines in ((b"adopted", auths.adopted), (b"received", auths.received)):
            if lines:
                files[name] = oid(lines)
                self.lines[files[name]] = frozenset(self._line(line) for line in lines)
        if auths.allowed_signers is not None:
            files[b"allowed_signers"] = self.generated.get(auths.allowed_signers, oid(auths.allowed_signers))
        kel_ids = {aid: oid(naive_judge.saids(kel)) for aid, kel in auths.kels.items()}
        policy = naive_judge.parsed(auths.policy) if auths.policy is not None else None
        policy_id = oid(auths.policy) if auths.policy is not None else None
        files |= {naive_judge.grant_path(name).encode(): oid(tuple(file)) for name, file in auths.grants.items()}
        authority = Authority(auths.kels, {
            sha256: grant for sha256, grant in auths.sealed.items() if grant.root == self.history.root
        })  # fmt: skip
        return AuthsFolder(policy_id, policy, auths.kels, kel_ids, files, signers, None, authority)

    def _line(self, line: str) -> bytes:
        return " ".join(oid(word) if word in self.history.commits else word for word in line.split(" ")).encode()

    def _tree(self, commit: Commit) -> str:
        """The id of its root tree, with all trees below it noted."""
        if commit.malformed:
            return self._note_tree({})
        entries = {**commit.files, **({} if commit.auths.fault else commit.auths.entries())}
        return self._note_tree({path: oid(value) for path, value in entries.items()})

    def _note_tree(self, files: Mapping[str, str]) -> str:
        tree: Tree = {}
        for name in sorted({path.partition("/")[0] for path in files}):
            below = {path.partition("/")[2]: id for path, id in files.items() if path.startswith(f"{name}/")}
            raw = name.encode()
            tree[raw] = Entry(DIRECTORY, raw, self._note_tree(below)) if below else Entry(FILE, raw, files[name])
        id = oid(sorted(tree.items()))
        self.trees[id] = tree
        return id

    def _sources(self) -> Sources:
        return Sources(
            folder_at=lambda id: EMPTY if id is None else self.folders[id],
            lines_of=lambda blob: frozenset() if blob is None else self.lines[blob],
            approvals_of=self._approvals,
            tree_of=lambda commit: self.roots[commit],
            auths_of=lambda commit: self.facts[commit].auths,
            bases_of=self._bases_as_git_knows_them,
            entries=lambda tree: self.trees.get(tree, {}),
            paths_changed={},
            authorities={},
            pipelines=cicommits.Pipelines(self._attested, self._pins_at, lambda commit: self.facts[commit]),
        )

    def _attested(self, commit: str, key: bytes) -> cicommits.Found:
        if commit not in self.lines_by_ci:
            runs = [run for run in self.history.runs if oid(run.commit) == commit]
            self.lines_by_ci[commit] = [run_line(run, oid) for run in runs]
        return cicommits.attested(self.lines_by_ci[commit], oid(self.history.root), commit, key)

    def _pins_at(self, auths: str | None) -> pins.Pins:
        return real_pins(Auths().pins if auths is None else self.naive_folders[auths].pins)

    def _bases_as_git_knows_them(self, commits: Sequence[str]) -> Sequence[str]:
        bases = naive_judge.Graph(self.history).merge_bases([self.names[commit] for commit in commits])
        return sorted(map(oid, bases))

    def _last_believed(self, commit: str) -> AuthsFolder:
        """As the store's: a tip that cannot be believed takes back nothing."""
        facts = self.facts[commit]
        folder = self.folders[facts.auths] if facts.auths is not None else EMPTY
        is_read = facts.raw_fault is None and facts.folder_fault is None and folder.policy is not None
        if is_read or commit == oid(self.history.root) or not facts.parents or facts.parents[0] not in self.facts:
            return folder
        return self._last_believed(facts.parents[0])

    def _approvals(self, commit: str, kind: str, own: AuthsFolder, reception: Reception) -> Counted:
        mainline = self._last_believed(oid(self.history.mainline))
        received_by = None if reception.by is None else self.folders[reception.by]
        return Counted(tuple(
            Signer(approval.did, mainline.principal(approval.did), approval.key)
            for approval in self.history.approvals
            if (oid(approval.commit), approval.kind) == (commit, kind)
            and approval.key in self._approving_keys(approval.did, mainline, own, received_by)
        ))  # fmt: skip

    def _approving_keys(
        self, did: str, mainline: AuthsFolder, own: AuthsFolder, by: AuthsFolder | None
    ) -> Iterable[bytes]:
        aid = did.removeprefix("did:keri:")
        lost = compromised_before(mainline.kels.get(aid), by, aid)
        return approving_keys(own.kels.get(aid), mainline.kels.get(aid), lost)


class Earlier(Remembered):
    """The judgement of a mainline that ended well, kept as a cache would keep it."""

    def __init__(self, mainline: Mainline) -> None:
        now = mainline.last_good
        assert now is not None and not mainline.bad
        self.tip, self.chain_length, self.clock_seconds = mainline.tip, now.step, now.clock_seconds
        self.version_count = mainline.versions.count
        self._mainline = mainline

    def state_of(self, commit: str) -> State | None:
        return self._mainline.state_of(commit)

    def __contains__(self, commit: object) -> bool:
        return commit in self._mainline.records


Answer = dict[str, tuple[str, bool]]  # commit -> its own verdict, and whether something bad is behind it


def answers(verdicts: Mapping[str, Verdict]) -> Answer:
    return {id: (verdict.verdict, verdict.because_of is not None) for id, verdict in verdicts.items()}


def expected(history: History) -> Answer:
    return {id: (verdict.word, bool(verdict.bad_ancestors)) for id, verdict in naive_judge.judge(history).items()}


def differences(history: History) -> dict[str, tuple[object, object]]:
    """What the judge says otherwise than the naive one."""
    found, other = answers(Adapter(history).verdicts()), expected(history)
    return {
        id: (found.get(id), other.get(id))
        for id in sorted(found.keys() | other.keys())
        if found.get(id) != other.get(id)
    }


def differences_when_remembered(history: History) -> dict[str, tuple[object, object]]:
    """The same, where all but the last step of the mainline that is good was judged before."""
    adapter, other = Adapter(history), expected(history)
    graph = naive_judge.Graph(history)
    behind = [id for id in graph.chain[:-1] if not adapter.mainline(id).bad]
    if not behind or graph.reaches_root_otherwise:
        return {}
    try:
        found = answers(adapter.verdicts(remembered_at=behind[-1]))
    except Unremembered:
        return {}
    return {id: (answer, other[id]) for id, answer in found.items() if answer != other[id]}


class Tale:
    """A history by hand. A commit is as its first parent, but for what is said; without a fault its signer's key in
    the commit's own tree signs it."""

    def __init__(self, rules: Rules | None = None, more: Sequence[Person] = (), with_pins: bool = False) -> None:
        self.commits: dict[str, Commit] = {}
        self.approvals: list[Approval] = []
        self.runs: list[Run] = []
        rules = rules or Rules((ADA.did, BOB.did), (ADA.did,))
        kels = {person.first.aid: person.first for person in (ADA, BOB, *more)}
        pins, date = ({ISSUER_PIN: "1", LOG_PIN: "1"}, BEGINNING) if with_pins else ({}, 0)
        self.commits[ROOT] = Commit(ROOT, (), Auths(rules.text(), kels, others=pins), fault="unsigned",
                                    files={"readme": "0"}, date=date)  # fmt: skip

    def add(self, id: str, parents: str, signer: Person | None, *, key: bytes | None = None, fault: str = "unsigned",
            rules: Rules | None = None, grown: Sequence[Kel] = (), adopted: str = "", received: str = "",
            date: int | None = None, auths: Auths | None = None, malformed: bool = False,
            grants: Sequence[Grant] = (), **files: str) -> Tale:  # fmt: skip
        names = tuple(parents.split())
        before = self.commits[names[0]]
        folder = auths or before.auths
        folder = replace(folder, policy=rules.text() if rules else folder.policy,
                         kels={**folder.kels, **{kel.aid: kel for kel in grown}},
                         grants={**folder.grants, **{digest(grant): GrantFile(grant) for grant in grants}},
                         adopted=folder.adopted + ((adopted,) if adopted else ()),
                         received=folder.received + ((received,) if received else ()))  # fmt: skip
        if key is None and signer is not None:
            key = key_of(folder.kels.get(signer.first.aid, signer.first))
        self.commits[id] = Commit(id, names, folder, key, None if key else fault, before.date if date is None else date,
                                  {**before.files, **{n.replace("_", "/"): v for n, v in files.items()}}, malformed)  # fmt: skip
        return self

    def approve(self, id: str, kind: str, *people: Person, key: bytes | None = None) -> Tale:
        self.approvals += [Approval(id, kind, person.did, key or key_of(person.first)) for person in people]
        return self

    def auths(self, id: str) -> Auths:
        return self.commits[id].auths

    def log(self, id: str, person: Person) -> Kel:
        return self.commits[id].auths.kels.get(person.aid, person.first)

    def enrol(self, id: str, parents: str, *grants: Grant, signer: Person = ADA) -> Tale:
        """Delegates and members, sealed by their issuers."""
        at = parents.split()[0]
        grown: dict[str, Kel] = {}
        for grant in grants:
            issuer, subject = person_of(grant.issuer), person_of(grant.subject)
            log = grown.get(issuer.aid) or self.log(at, issuer)
            delegations = seals_of(subject.first) if subject.owner is issuer and subject.aid not in grown else []
            grown[issuer.aid] = issuer.interact(log, *delegations, seals.grant(digest(grant)))
            grown.setdefault(subject.aid, self.log(at, subject))
        return self.add(id, parents, signer, grown=list(grown.values()), grants=grants)

    def seal(self, id: str, parents: str, issuer: Person, *anchors: object, signer: Person | None = None,
             **more: object) -> Tale:  # fmt: skip
        log = issuer.interact(self.log(parents.split()[0], issuer), *anchors)
        return self.add(id, parents, signer or issuer, grown=[log], **more)  # type: ignore[arg-type]

    def job(self, id: str, parents: str, number: int = 0, **more: Any) -> Tale:
        """A commit by CI job `number`, without evidence."""
        return self.add(id, parents, None, key=job_key(number), **{"doc": id, **more})

    def prove(self, id: str, began_on: str, number: int = 0, evidence: Mapping[str, Any] | None = None,
              **token: Any) -> Tale:  # fmt: skip
        """An attestation of a commit by the job; `evidence` and `token`: what is otherwise than it should be."""
        run = run_of(id, began_on, number, self.commits[id].date, **token)
        self.runs.append(run._replace(evidence=replace(run.evidence, **(evidence or {}))))
        return self

    def pin(self, id: str, parents: str, keys: str, name: str = ISSUER_PIN, signer: Person = ADA) -> Tale:
        """Somebody changes what is pinned."""
        before = self.auths(parents.split()[0])
        return self.add(id, parents, signer, auths=replace(before, others={**before.others, name: keys}))

    def ask(self, mainline: str, tip: str | None = None, ref: str = "refs/heads/side") -> History:
        ref = ref if tip else "refs/heads/main"
        return History(self.commits, ROOT, mainline, tip or mainline, ref, approvals=tuple(self.approvals),
                       runs=tuple(self.runs))  # fmt: skip


def person_of(did: str) -> Person:
    return next(person for person in (*everybody(), *others()) if person.did == did)


def lets(issuer: Person, subject: Person, kind: str, *capabilities: str, days: int = 10_000, **more: str) -> Grant:
    seconds = days * DAY
    return Grant(more.pop("root", ROOT), issuer.did, subject.did, kind, capabilities or ("sign_commit",), 0, seconds,
                 **more)  # type: ignore[arg-type]  # fmt: skip


def only(*people: Person, admin: Sequence[Person] = (ADA,), **more: object) -> Rules:
    return Rules(tuple(p.did for p in people), tuple(p.did for p in admin), **more)  # type: ignore[arg-type]


SOFT, HARD = BOB.stages[2], BOB.stages[5]  # Bob's log after a rotation, and after one that declares his key compromised
BOTH, ADA_ONLY = only(ADA, BOB), only(ADA)


def removed_then_added_again() -> History:
    tale = Tale().add("out", ROOT, ADA, rules=ADA_ONLY).add("gap", "out", BOB).add("in", "gap", ADA, rules=BOTH)
    return tale.add("after", "in", BOB).ask("after")


def old_policy_put_back(merge: bool) -> History:
    tale = Tale().add("out", ROOT, ADA, rules=ADA_ONLY)
    if not merge:
        return tale.add("back", "out", BOB, rules=BOTH).ask("back")
    return tale.add("side", ROOT, BOB).add("back", "out side", BOB, rules=BOTH).ask("back")


def reverted(by: Person, again: Person) -> History:
    tale = Tale().add("out", ROOT, ADA, rules=ADA_ONLY).add("revert", "out", by, rules=BOTH)
    return tale.add("again", "revert", again, rules=ADA_ONLY).ask("again")


def stolen_key(merged: bool) -> History:
    tale = Tale().add("hard", ROOT, BOB, grown=[HARD]).add("theft", ROOT, None, key=key_of(BOB.first))
    return tale.add("merge", "hard theft", ADA).ask("merge") if merged else tale.ask("hard", "theft")


def old_key_after_a_plain_rotation() -> History:
    tale = Tale().add("soft", ROOT, BOB, grown=BOB.stages[2:3]).add("old", ROOT, BOB).add("merge", "soft old", ADA)
    return tale.add("late", "merge", None, key=key_of(BOB.first)).ask("late")


def removed_signers_branch(merged: bool, adopted: str = "") -> History:
    tale = Tale().add("out", ROOT, ADA, rules=ADA_ONLY).add("old", ROOT, BOB)
    if adopted:
        tale.add("line", "out", ADA, adopted=adopted)
    return (
        tale.add("merge", "line old" if adopted else "out old", ADA).ask("merge") if merged else tale.ask("out", "old")
    )


def expiry(own_date: int, clock: int) -> History:
    tale = Tale(only(ADA, BOB, expires_at_seconds={BOB.did: 20 * DAY}))
    return tale.add("tick", ROOT, ADA, date=clock * DAY).add("bob", "tick", BOB, date=own_date * DAY).ask("bob")


def ten_years_ahead() -> History:
    tale = Tale(only(ADA, BOB, expires_at_seconds={BOB.did: 31 * DAY}))
    return tale.add("ahead", ROOT, ADA, date=3650 * DAY).add("honest", "ahead", BOB, date=DAY).ask("honest")


def foxtrot() -> History:
    tale = Tale().add("out", ROOT, ADA, rules=ADA_ONLY).add("old", ROOT, BOB)
    return tale.add("merge", "old out", ADA, auths=tale.auths("out")).ask("merge")


def foxtrot_of_policies() -> History:
    tale = Tale(only(ADA, BOB, admin=(ADA, BOB))).add("out", ROOT, ADA, rules=ADA_ONLY)
    tale.add("old", ROOT, BOB, rules=only(BOB, admin=(BOB,)))
    return tale.add("merge", "old out", BOB).ask("merge")


def new_maintainer_merges_an_older_branch() -> History:
    tale = Tale(ADA_ONLY).add("old", ROOT, ADA, doc="1").add("in", ROOT, ADA, rules=BOTH)
    return tale.add("merge", "in old", BOB, doc="1").ask("merge")


def crypto_changed_meanwhile(stale: bool) -> History:
    rules = only(ADA, BOB, path="src/**", path_signers=(ADA.did,))
    tale = Tale(rules).add("crypto", ROOT, ADA, src_a="1").add("old", ROOT, BOB, doc="1")
    return tale.add("merge", "crypto old", BOB, doc="1", src_a="2" if stale else "1").ask("merge")


def outsiders_line() -> History:
    tale = Tale().add("bad", ROOT, None).add("line", "bad", BOB, adopted="bad")
    return tale.ask("line")


def quorum_of_its_own_making() -> History:
    tale = Tale(more=[EVE]).add("coup", ROOT, EVE, rules=only(EVE, admin=(EVE,)))
    return tale.add("line", "coup", EVE, adopted=f"coup auths={tale.auths('coup').id}").ask("line")


def squash_that_edits(named: str) -> History:
    tale = Tale()
    edited = replace(tale.auths(ROOT), others={"oidc/x.json": "1"})
    line = f"squash auths={edited.id}" if named == "right" else "squash auths=" + "0" * 40 if named else "squash"
    return tale.add("squash", ROOT, None, auths=edited).add("line", "squash", ADA, adopted=line).ask("line")


def squash_that_truncates() -> History:
    tale = Tale().add("soft", ROOT, BOB, grown=[SOFT])
    short = tale.auths(ROOT)
    tale.add("squash", "soft", None, auths=short)
    return tale.add("line", "squash", ADA, adopted=f"squash auths={short.id}").ask("line")


def dropped_line(by: Person) -> History:
    tale = Tale().add("bad", ROOT, None).add("line", "bad", ADA, adopted="bad")
    return tale.add("drop", "line", by, auths=tale.auths("bad")).ask("drop")


def demoted_admins_branch() -> History:
    tale = Tale(only(ADA, BOB, admin=(ADA, BOB))).add("demoted", ROOT, ADA, rules=BOTH)
    jwks = replace(tale.auths(ROOT), others={"oidc/x.json": "1"})
    tale.add("line", ROOT, BOB, adopted="x").add("jwks", "line", BOB, auths=jwks)
    return tale.ask("demoted", "line")


def received_before_removal(in_time: bool) -> History:
    tale, receipt = Tale().add("old", ROOT, BOB), "refs/heads/side old"
    if in_time:
        tale.add("one", ROOT, ADA, received=receipt).add("two", "one", ADA, rules=ADA_ONLY)
    else:
        tale.add("one", ROOT, ADA, rules=ADA_ONLY).add("two", "one", ADA, received=receipt)
    return tale.ask("two", "old")


def rotations() -> History:
    tale = Tale()
    for n, kel in enumerate(BOB.stages[1:5]):
        tale.add(f"r{n}", f"r{n - 1}" if n else ROOT, BOB, grown=[kel])
    return tale.ask("r3")


def newcomers_branch(merged: bool) -> History:
    tale = Tale().add("main", ROOT, BOB, doc="1")
    tale.add("adds", ROOT, ADA, rules=only(ADA, BOB, CAROL), grown=[CAROL.first]).add("own", "adds", CAROL)
    if not merged:
        return tale.ask("own")
    return tale.add("merge", "main own", BOB, auths=tale.auths("own")).ask("merge")


def two_lines_in_two_branches() -> History:
    tale = Tale().add("x", ROOT, None).add("y", "x", None)
    tale.add("one", "y", ADA, adopted="x").add("two", "y", ADA, adopted="y")
    both = replace(tale.auths("one"), adopted=("x", "y"))
    return tale.add("merge", "one two", BOB, auths=both).ask("merge")


def merge_of_a_changed_main_into_a_feature() -> History:
    tale = Tale()
    tale.add("feature", ROOT, BOB, doc="1")
    tale.add("jwks", ROOT, ADA, auths=replace(tale.auths(ROOT), others={"oidc/x.json": "1"}))
    return tale.add("merge", "feature jwks", BOB, auths=tale.auths("jwks")).ask("jwks", "merge")


def revived() -> History:
    return Tale().add("last", ROOT, BOB).add("revived", "last", BOB, date=3 * 365 * DAY).ask("revived")


def two_of_two(approver: Person) -> History:
    tale = Tale(only(ADA, BOB, CAROL, require=2), [CAROL]).add("work", ROOT, BOB)
    return tale.approve("work", "commit", approver).ask("work")


def countersigned(more: str = "", **change: object) -> History:
    tale = Tale().add("gift", ROOT, EVE, **change).approve("gift", "countersign", BOB)  # type: ignore[arg-type]
    return tale.add("next", "gift", EVE).ask("next") if more else tale.ask("gift")


def branch_from_before_the_root(line: str) -> History:
    tale = Tale()
    tale.commits["before"] = Commit("before", files={"readme": "0"})
    tale.commits[ROOT] = replace(tale.commits[ROOT], parents=("before",))
    tale.commits["o1"] = Commit("o1", ("before",), fault="unsigned", files={"readme": "0"})
    tale.commits["o2"] = replace(tale.commits["o1"], id="o2", parents=("o1",))
    tale.add("line", ROOT, ADA, adopted=line)
    return tale.add("merge", "line o2", BOB).ask("merge")


def merge_of_a_branch_that_left_long_before_the_root() -> History:
    """Their base is two commits before the root, and only one side has changed what Bob may not."""
    tale = Tale(only(ADA, BOB, path="src/**", path_signers=(ADA.did,)))
    tale.commits["before0"] = Commit("before0", files={"readme": "0"})
    tale.commits["before1"] = Commit("before1", ("before0",), files={"readme": "0", "src/a": "1"})
    tale.commits[ROOT] = replace(tale.commits[ROOT], parents=("before1",), files={"readme": "0", "src/a": "1"})
    tale.commits["old"] = Commit("old", ("before0",), fault="unsigned", files={"readme": "0", "doc": "1"})
    tale.add("line", ROOT, ADA, adopted="old behind")
    return tale.add("merge", "line old", BOB, doc="1").ask("merge")


def thief_drops_a_declaration(rules: Rules | None = None) -> History:
    """Ada's declared loss came with Bob's commit; the thief forks her log beside it, and merges that as first parent."""
    tale = Tale(rules).add("declares", ROOT, BOB, grown=[ADA.stages[5]]).add("theft", ROOT, ADA, grown=[ADA.stages[1]])
    return tale.add("merge", "theft declares", ADA, auths=tale.auths("theft")).ask("merge")


def countersigned_after_a_loss(key: bytes) -> History:
    """Bob's key is declared lost on the mainline; he answers for a branch that is older than that."""
    tale = Tale().add("hard", ROOT, BOB, grown=[HARD]).add("gift", ROOT, EVE)
    return tale.approve("gift", "countersign", BOB, key=key).ask("hard", "gift")


def two_countersignatures() -> History:
    tale = Tale(only(ADA, BOB, require=2)).add("gift", ROOT, EVE).approve("gift", "countersign", ADA, BOB)
    return tale.ask("gift")


def unlisted_by_one_rule(first: bool) -> History:
    """Nothing is listed for Bob in a path rule; the other rule, before or after it, lacks a second principal."""
    rules = only(ADA, BOB, require=2, path="src/**", path_signers=(ADA.did,))
    text = rules.text()
    if not first:
        one, two = text.index("[[policy.commit]]"), text.rindex("[[policy.commit]]")
        end = text.index("[[policy.admin]]")
        text = text[:one] + text[two:end] + text[one:two] + text[end:]
    tale = Tale(rules)
    tale.commits[ROOT] = replace(tale.commits[ROOT], auths=replace(tale.auths(ROOT), policy=text))
    return tale.add("work", ROOT, BOB, src_a="1").ask("work")


def declared_on_a_bad_tip() -> History:
    """Bob's old key approves; that it was lost stands in a tip which is bad, though his log is his own word."""
    tale = Tale().add("bad", ROOT, None, grown=[HARD]).add("gift", ROOT, EVE)
    return tale.approve("gift", "countersign", BOB).ask("bad", "gift")


def lines_of_an_outsider(named: str) -> History:
    """An outsider's commit brings decision lines along; the admin merges it."""
    tale = Tale().add("bad", ROOT, None)
    tale.commits["foreign"] = Commit("foreign", (), Auths(adopted=(named,)), fault="unsigned", files={"doc": "1"})
    return tale.add("merge", "bad foreign", ADA, adopted=named).ask("merge")


def root_is_named() -> History:
    return Tale().add("line", ROOT, ADA, adopted=ROOT).ask("line")


DEVICE, MEMBER = lets(ADA, LAPTOP, "device"), lets(ORG, DAVE, "member")
ADMIN_DEVICE = lets(ADA, LAPTOP, "device", "sign_commit", "manage_members")
AGENT = lets(ADA, ROBOT, "agent", model="m1")
END_LAPTOP, END_DAVE = seals.revocation(LAPTOP.aid), seals.revocation(DAVE.aid)
WITH_ORG = only(ADA, BOB, ORG)


def lost_since(kel: Kel, sn: int) -> dict[str, str]:
    return seals.compromise(sn, kel.events[sn].said, 0)


def device(*grants: Grant, **more: Any) -> Tale:
    """The laptop is enrolled, and commits."""
    tale = Tale(only(ADA, BOB, **more)).enrol("in", ROOT, *grants or (DEVICE,))
    return tale.add("work", "in", LAPTOP)


def revoked_device(before_reception: bool) -> History:
    """A device's branch, from before it was revoked."""
    tale = device().seal("end", "work" if not before_reception else "in", ADA, END_LAPTOP)
    return tale.ask("end") if not before_reception else tale.ask("end", "work")


def revoked_and_sealed_again(delegation: bool, grant: bool, first: bool = False) -> History:
    again = [*(seals_of(LAPTOP.first) if delegation else []), *([seals.grant(digest(DEVICE))] if grant else [])]
    tale = device().seal("end", "work", ADA, *(again if first else []), END_LAPTOP, *([] if first else again))
    return tale.add("late", "end", LAPTOP).ask("late")


def foxtrot_by_a_revoked_device() -> History:
    """It puts its branch in front; the policy has not changed, only a log says that it is revoked."""
    tale = Tale(only(ADA, BOB)).enrol("in", ROOT, DEVICE).seal("end", "in", ADA, END_LAPTOP).add("theft", "in", LAPTOP)
    return tale.add("merge", "theft end", BOB, auths=tale.auths("end")).ask("merge")


def granted_by_a_thief(repeated: bool) -> History:
    """Ada's key was stolen and has sealed the laptop; she says so, and perhaps that this seal was hers."""
    tale = device()
    stolen = tale.log("work", ADA)
    good = [*seals_of(LAPTOP.first), seals.grant(digest(DEVICE))]
    rotated = ADA.rotate(stolen, lost_since(stolen, 1), *(good if repeated else []))
    return tale.add("hard", "work", ADA, grown=[rotated]).add("late", "hard", LAPTOP).ask("late")


def revoked_before_the_loss() -> History:
    """What the stolen key has revoked stays revoked."""
    tale = device().seal("end", "work", ADA, END_LAPTOP)
    stolen = tale.log("end", ADA)
    rotated = ADA.rotate(stolen, lost_since(stolen, 2))
    return tale.add("hard", "end", ADA, grown=[rotated]).add("late", "hard", LAPTOP).ask("late")


def rotated_device(voided: bool) -> History:
    """The laptop rotates, which Ada seals; then she declares that seal's key lost: no older key state comes back."""
    tale = device()
    turned = LAPTOP.rotate(LAPTOP.first)
    sealed = ADA.interact(tale.log("work", ADA), *seals_of(turned)[1:])
    tale.add("turn", "work", LAPTOP, grown=[turned, sealed])
    if voided:
        tale.add("hard", "turn", ADA, grown=[ADA.rotate(sealed, lost_since(sealed, 2))])
    return tale.add("late", "hard" if voided else "turn", LAPTOP).ask("late")


def agent(rule: str, model: tuple[str, ...] = (), by: Person | None = None, grant: Grant = AGENT) -> History:
    tale = Tale(only(ADA, BOB, agents=rule, agent_models=model), [CAROL]).enrol("in", ROOT, grant, DEVICE)
    tale.add("work", "in", ROBOT)
    return (tale.approve("work", "commit", by) if by else tale).ask("work")


def members_vote(listed: bool, with_ada: bool = False) -> History:
    """The organisation's key and a member of it, or Ada's laptop as one and Ada."""
    people = (ORG, DAVE) if listed else (ORG, ADA) if with_ada else (ORG, BOB)
    tale = Tale(only(*people, admin=(ADA,), require=2), [ORG, DAVE])
    grant = lets(ORG, LAPTOP, "member") if with_ada else MEMBER
    delegated = [lets(ADA, LAPTOP, "device", "sign_release")] if with_ada else []
    tale.enrol("in", ROOT, *delegated, grant).approve("in", "commit", ORG)
    tale.add("work", "in", ADA if with_ada else ORG)
    return tale.approve("work", "commit", LAPTOP if with_ada else DAVE).ask("work")


def device_that_is_a_member() -> History:
    """It speaks for its owner, whose grant ends first."""
    tale = Tale(only(ADA, ORG, admin=(ADA,), require=2), [ORG])
    tale.enrol("in", ROOT, DEVICE, lets(ORG, LAPTOP, "member", days=20_000)).approve("in", "commit", ORG)
    return tale.add("work", "in", LAPTOP).approve("work", "commit", ORG).ask("work")


def two_devices_vote(first: Person, second: Person) -> History:
    tale = Tale(only(ADA, BOB, require=2)).enrol("in", ROOT, DEVICE, lets(ADA, ROBOT, "device"))
    return tale.add("work", "in", first).approve("work", "commit", second).ask("work")


def two_grants_deep(inner: Grant, outer: Grant = DEVICE, **more: Any) -> History:
    tale = Tale(only(ADA, BOB, **more)).enrol("in", ROOT, outer, inner)
    return tale.add("work", "in", person_of(inner.subject)).ask("work")


def new_logs(number: int) -> History:
    """So many more devices of Bob's in one commit that Bob signs."""
    devices = many_devices()[:number]
    log = BOB.interact(BOB.first, *(seal for kel in devices for seal in seals_of(kel)))
    return Tale().add("many", ROOT, BOB, grown=[log, *devices]).ask("many")


@cache
def many_devices() -> list[Kel]:
    return [Person(f"device-{n}", 1000 + n, BOB).first for n in range(65)]


def strange_grant(**how: bool) -> History:
    """A grant without seal, sealed without the file, or with another file under its name."""
    more = DEVICE._replace(capabilities=("sign_commit", "manage_members"))
    tale = Tale()
    log = ADA.interact(ADA.first, *seals_of(LAPTOP.first), *([seals.grant(digest(DEVICE))] if how["sealed"] else []))
    files = {digest(DEVICE): GrantFile(more if how["swapped"] else DEVICE)} if how["filed"] else {}
    folder = replace(tale.auths(ROOT), grants=files)
    return tale.add("in", ROOT, BOB, auths=folder, grown=[log, LAPTOP.first]).add("work", "in", LAPTOP).ask("work")


def membership_known_to_the_mainline_alone() -> History:
    """Dave's branch is older than his membership, his approval of Bob's is not."""
    tale = Tale(only(BOB, ORG, require=2), [ORG, DAVE]).add("old", ROOT, BOB)
    tale.enrol("in", ROOT, MEMBER, signer=BOB).approve("in", "commit", ORG)
    return tale.approve("old", "commit", DAVE).ask("in", "old")


def countersigned_by(person: Person, *grants: Grant) -> History:
    tale = Tale(only(ADA, BOB, ORG, agents="allow"), [ORG, DAVE]).enrol("in", ROOT, *grants).add("gift", "in", EVE)
    return tale.approve("gift", "countersign", person).ask("gift")


def past_its_time(what: str) -> History:
    """A device's grant ends after twenty days, also for what only admins may do."""
    tale = Tale(only(ADA, BOB)).enrol("in", ROOT, ADMIN_DEVICE._replace(expires_at=20 * DAY))
    jwks = replace(tale.auths("in"), others={"oidc/x.json": "1"})
    auths = jwks if what == "rules" else None
    return (
        tale.add("tick", "in", ADA, date=21 * DAY).add("work", "in", LAPTOP, auths=auths, doc="1").ask("tick", "work")
    )


def expired_signer(listed: bool) -> History:
    """The device, or the member, of somebody whose own time is over."""
    rules = only(BOB, *([] if listed else [ORG]), *([ADA] if listed else []), expires_at_seconds={ADA.did: 20 * DAY})
    tale = Tale(rules, [ORG]).enrol("in", ROOT, DEVICE if listed else lets(ORG, ADA, "member"), signer=BOB)
    return tale.add("work", "in", LAPTOP if listed else ADA, date=21 * DAY).ask("work")


def approved_by(person: Person, grant: Grant) -> History:
    """Bob's commit wants a second principal."""
    tale = Tale(only(ADA, BOB, require=2, agents="allow"), [DAVE]).enrol("in", ROOT, grant)
    return tale.add("work", "in", BOB).approve("work", "commit", person).ask("work")


def listed_below_a_revoked_device() -> History:
    tale = Tale(only(ADA, BOB)).enrol("in", ROOT, DEVICE, lets(LAPTOP, BELOW, "device"))
    tale.add("list", "in", ADA, rules=only(BOB, BELOW)).seal("end", "list", ADA, END_LAPTOP, signer=BOB)
    return tale.add("work", "end", BELOW).ask("work")


def listed_delegate(*grants: Grant, revoked: bool = False) -> History:
    tale = Tale(only(ADA, BOB)).enrol("in", ROOT, *grants or (lets(ADA, ROBOT, "device", "sign_release"),))
    tale.add("list", "in", ADA, rules=only(BOB, ROBOT))
    if revoked:
        tale.seal("end", "list", ADA, seals.revocation(ROBOT.aid), signer=BOB)
    return tale.add("work", "end" if revoked else "list", ROBOT).ask("work")


def forked(tale: Tale, person: Person, signer: Person, **more: Any) -> History:
    """The mainline has one side of somebody's log, a branch has the other."""
    tale.add("here", ROOT, ADA, grown=[person.stages[5]])
    return tale.add("old", ROOT, signer, grown=[person.stages[1]], **more).ask("here", "old")


def forked_before_two_rules(turned: bool, gift: bool) -> History:
    """One rule lists Bob, whose log forks; another one, before or after it, does not."""
    rules = only(ADA, BOB, path="src/**", path_signers=(ADA.did,))
    one, two, rest = rules.text().split("[[policy.")[1:]
    if turned:
        one, two = two, one
    tale = Tale(rules)
    text = "".join(f"[[policy.{part}" for part in (one, two, rest))
    tale.commits[ROOT] = replace(tale.commits[ROOT], auths=replace(tale.auths(ROOT), policy=text))
    tale.add("here", ROOT, ADA, grown=[BOB.stages[5]]).add("side", ROOT, ADA, grown=[BOB.stages[1]])
    tale.add("old", "side", BOB, src_a="1")
    return (tale.approve("old", "countersign", ADA) if gift else tale).ask("here", "old")


def forked_log_is_adopted() -> History:
    tale = Tale().add("here", ROOT, BOB, grown=[HARD]).add("line", "here", ADA, adopted="old")
    return tale.add("old", ROOT, BOB, grown=BOB.stages[1:2]).ask("line", "old")


def organisation_forks(member: Person) -> History:
    """What it has granted stands in both sides of its log."""
    tale = Tale(only(ADA, BOB, ORG), [ORG, member]).enrol("in", ROOT, lets(ORG, member, "member"))
    tale.seal("here", "in", ORG, {"one": "1"}).seal("there", "in", ORG, {"other": "1"}, signer=BOB)
    return tale.add("work", "there", member, doc="1").ask("here", "work")


def lost_and_revoked_device(countersigned: bool = False, line: str = "") -> History:
    """Its branch is older than the rotation that declares its key lost, and than the end of its delegation."""
    lost = LAPTOP.stages[5]
    tale = Tale().enrol("in", ROOT, ADMIN_DEVICE).add("old", "in", LAPTOP, doc="1", adopted=line)
    log = ADA.interact(tale.log("in", ADA), *seals_of(lost)[1:], END_LAPTOP)
    tale.add("hard", "in", ADA, grown=[log, lost])
    return (tale.approve("old", "countersign", BOB) if countersigned else tale).ask("hard", "old")


def line_by_a_device(earlier: bool) -> History:
    """Who is an admin is asked as of the reception of what the line adopts."""
    tale = Tale()
    if earlier:
        tale.enrol("in", ROOT, ADMIN_DEVICE).add("bad", "in", None).add("line", "bad", LAPTOP, adopted="bad")
    else:
        tale.add("bad", ROOT, None).enrol("in", "bad", ADMIN_DEVICE).add("line", "in", LAPTOP, adopted="bad")
    return tale.ask("line")


def approved_by_a_member(member: Person, of: Person, *grants: Grant) -> History:
    tale = Tale(only(ADA, BOB, of, require=2), [ORG, DAVE]).enrol("in", ROOT, *grants)
    tale.approve("in", "commit", BOB).add("work", "in", BOB)
    return tale.approve("work", "commit", member).ask("work")


def approved_before_its_log_was_known() -> History:
    """The policy lists Carol; her log comes later, and could have named a delegator."""
    tale = Tale(only(ADA, BOB, CAROL, require=2)).add("work", ROOT, BOB).approve("work", "commit", CAROL)
    return tale.add("in", "work", ADA, grown=[CAROL.first]).approve("in", "commit", BOB).ask("in")


def owner_revokes_what_a_device_delegated() -> History:
    tale = Tale().enrol("in", ROOT, DEVICE, lets(LAPTOP, BELOW, "device"))
    return tale.seal("end", "in", ADA, seals.revocation(BELOW.aid)).add("work", "end", BELOW).ask("work")


def approved_by_a_lost_key_on_a_broken_step(**broken: Any) -> History:
    """The loss was declared before a commit whose folder cannot be believed brings the approved one in."""
    tale = Tale(only(ADA, BOB, require=2)).add("hard", ROOT, ADA, grown=[HARD])
    tale.approve("hard", "commit", BOB, key=key_of(HARD)).add("work", ROOT, ADA, doc="1").approve("work", "commit", BOB)
    tale.add("broken", "hard work", ADA, auths=replace(tale.auths("hard"), **broken))
    return tale.add("mended", "broken", ADA, auths=tale.auths("hard")).ask("mended")


def thief_excuses_himself(where: str) -> History:
    """The thief of `thief_drops_a_declaration` has an admin's key: a line of his names what he brings in."""
    tale = Tale().add("declares", ROOT, BOB, grown=[ADA.stages[5]])
    tale.add("theft", ROOT, ADA, grown=[ADA.stages[1]], doc="1")
    merging = {"adopted": "theft"} if where == "in it" else {}
    tale.add("merge", "theft declares", ADA, auths=tale.auths("theft"), **merging)  # type: ignore[arg-type]
    return tale.ask("merge") if merging else tale.add("line", "merge", ADA, adopted="theft").ask("line")


def foxtrot_that_a_line_excuses(where: str, named: bool = True) -> History:
    """An admin names what a removed signer's branch brought in; that changes below `.auths/` unless `named`."""
    tale = Tale(only(ADA, BOB, admin=(ADA, BOB))).add("out", ROOT, ADA, rules=ADA_ONLY)
    others = {} if named else {"x": "1"}
    tale.add("old", ROOT, BOB, auths=replace(tale.auths(ROOT), others=others))
    before = "old"
    if where == "before":
        before = "line"
        tale.add("line", "old", ADA, adopted="old")
    lines = ("old",) if where != "after" else ()
    tale.add("merge", f"{before} out", ADA, auths=replace(tale.auths("out"), others=others, adopted=lines))
    return tale.ask("merge") if lines else tale.add("line", "merge", ADA, adopted="old").ask("line")


def listed_below_an_agent() -> History:
    tale = Tale(only(ADA, BOB, BELOW)).enrol("in", ROOT, lets(ADA, LAPTOP, "agent"), lets(LAPTOP, BELOW, "device"))
    return tale.add("work", "in", BELOW).ask("work")


CI = only(ADA, BOB, ci_paths=("doc",))


def ci(rules: Rules = CI) -> Tale:
    return Tale(rules, with_pins=True)


def proved(evidence: Mapping[str, Any] | None = None, rules: Rules = CI, **token: Any) -> History:
    return ci(rules).job("work", ROOT).prove("work", ROOT, evidence=evidence, **token).ask("work")


def timed(*entries: Logged) -> History:
    return proved({"entries": entries})


def at(seconds: int, **more: Any) -> Logged:
    return Logged("1", BEGINNING + seconds, **more)


def two_by_one_job(second_names: str) -> History:
    tale = ci().job("one", ROOT).job("two", "one").prove("one", ROOT)
    return tale.prove("two", second_names).ask("two")


def one_job_after_another(second_names: str) -> History:
    tale = ci().job("one", ROOT).job("two", "one", 1).prove("one", ROOT)
    return tale.prove("two", second_names, 1).ask("two")


def copied_token() -> History:
    tale = ci().job("one", ROOT).job("two", "one", 1).prove("one", ROOT)
    return tale.prove("two", "one", 1, audience=OTHER).ask("two")


def anothers_attestation() -> History:
    tale = ci().job("one", ROOT).job("two", "one", 1).prove("one", ROOT)
    tale.runs.append(run_of("two", "one", 0, BEGINNING))
    return tale.ask("two")


def merge_by_ci() -> History:
    tale = ci().add("side", ROOT, ADA).add("main", ROOT, ADA)
    return tale.job("merge", "main side").prove("merge", "main").ask("merge")


def changes_pins_by_ci(rules: Rules = CI) -> History:
    tale = ci(rules)
    auths = replace(tale.auths(ROOT), others={**tale.auths(ROOT).others, ISSUER_PIN: "1 2"})
    return tale.job("work", ROOT, auths=auths).prove("work", ROOT).ask("work")


def job_before(change: Callable[[Tale], Tale], **token: Any) -> History:
    """It has begun on the root when the mainline changes."""
    return change(ci()).job("old", ROOT).prove("old", ROOT, **token).ask("change", "old")


def attested_otherwise(**fields: Any) -> History:
    tale = ci().job("one", ROOT).job("two", "one").prove("one", ROOT).prove("two", ROOT)
    tale.runs[1] = tale.runs[1]._replace(**fields)
    return tale.ask("two")


def job_on_a_new_pin(merged: bool) -> History:
    """The pin is in the branch with the commit."""
    tale = ci().add("other", ROOT, ADA).pin("pins", ROOT, "1 2").job("work", "pins")
    tale.prove("work", "pins", key="2")
    if merged:
        return tale.add("merge", "other work", ADA, auths=tale.auths("work"), doc="work").ask("merge")
    return tale.ask("work")


def two_rules() -> History:
    """One permits the path, and the other takes the token."""
    one, other = replace(CI, ci_repository="2"), replace(CI, ci_paths=("readme",))
    text = one.text() + "[[policy.ci]]" + other.text().partition("[[policy.ci]]")[2]
    tale = ci()
    folder = replace(tale.auths(ROOT), policy=text)
    return tale.add("rules", ROOT, ADA, auths=folder).job("work", "rules").prove("work", "rules").ask("work")


def feature_older_than_the_rule() -> History:
    """Its merge takes a rotation along, so that it must be looked at both ways."""
    tale = ci(only(ADA, BOB)).add("turn", ROOT, BOB, grown=[SOFT]).add("rule", ROOT, ADA, rules=CI)
    tale.job("work", "rule").prove("work", "rule")
    return tale.add("merge", "work turn", ADA, grown=[SOFT]).ask("merge")


def foxtrot_around_a_pin() -> History:
    """The key of an issuer is no longer pinned; whoever has it commits on what was before, and somebody merges."""
    tale = ci().pin("drop", ROOT, "2").job("theft", ROOT).prove("theft", ROOT)
    return tale.add("merge", "theft drop", BOB, auths=tale.auths("drop")).ask("merge")


def foxtrot_around_a_rule() -> History:
    tale = ci().add("drop", ROOT, ADA, rules=only(ADA, BOB)).job("late", ROOT).prove("late", ROOT)
    return tale.add("merge", "late drop", ADA, auths=tale.auths("drop")).ask("merge")


def countersigned_job() -> History:
    return ci().job("work", ROOT).approve("work", "countersign", ADA).ask("work")


BY_HAND: dict[str, tuple[Callable[[], History], str]] = {
    "row 12, put back": (lambda: old_policy_put_back(False), "out good, back policy-change-unauthorized"),
    "row 12, by a merge": (lambda: old_policy_put_back(True),
                           "side unauthorized-at-reception, back policy-change-unauthorized"),
    "row 13": (removed_then_added_again, "gap unauthorized, in good, after good"),
    "row 14": (lambda: stolen_key(True), "hard good, theft compromised-key, merge good"),
    "row 15": (lambda: stolen_key(False), "hard good, theft compromised-key"),
    "soft loss": (old_key_after_a_plain_rotation, "soft good, old good, merge good, late superseded-key"),
    "row 16, merged": (lambda: removed_signers_branch(True), "old unauthorized-at-reception, merge good"),
    "row 16, a new branch": (lambda: removed_signers_branch(False), "old unauthorized-at-reception"),
    "row 16, adopted": (lambda: removed_signers_branch(True, "old"), "line good, old adopted, merge good"),
    "row 17": (lambda: expiry(21, 1), "bob expired"),
    "row 17, the last second": (lambda: expiry(19, 19), "bob good"),
    "row 18": (lambda: expiry(1, 21), "bob expired"),
    "row 19": (ten_years_ahead, "ahead good, honest good"),
    "row 59": (foxtrot, "out good, old good, merge mainline-inverted"),
    "row 63, a new maintainer": (new_maintainer_merges_an_older_branch, "old good, in good, merge good"),
    "row 63, crypto": (lambda: crypto_changed_meanwhile(False), "crypto good, old good, merge good"),
    "row 24": (lambda: crypto_changed_meanwhile(True), "merge unauthorized"),
    "row 64, an outsider's line": (outsiders_line, "bad unsigned, line policy-change-unauthorized"),
    "row 64, its own quorum": (quorum_of_its_own_making, "coup policy-change-unauthorized, line good"),
    "row 71, by the admin": (lambda: reverted(ADA, ADA), "out good, revert good, again good"),
    "row 71, by another": (lambda: reverted(ADA, BOB), "revert good, again policy-change-unauthorized"),
    "row 71, a dropped line": (lambda: dropped_line(BOB), "bad adopted, drop policy-change-unauthorized"),
    "append-only for admins": (lambda: dropped_line(ADA), "bad adopted, drop policy-change-unauthorized"),
    "row 72": (foxtrot_of_policies, "old good, merge policy-change-unauthorized"),
    "row 73": (demoted_admins_branch, "demoted good, line policy-change-unauthorized"),
    "row 74, without auths=": (lambda: squash_that_edits(""), "squash unsigned, line good"),
    "row 74, another auths=": (lambda: squash_that_edits("wrong"), "squash unsigned, line good"),
    "row 74, the right auths=": (lambda: squash_that_edits("right"), "squash adopted, line good"),
    "row 74, a truncated log": (squash_that_truncates, "squash unsigned, line good"),
    "a receipt in time": (lambda: received_before_removal(True), "one good, two good, old good"),
    "row 75, a receipt too late": (lambda: received_before_removal(False), "two good, old unauthorized-at-reception"),
    "row 77, rotations": (rotations, "r0 good, r1 good, r2 good, r3 good"),
    "row 77, a newcomer's branch": (lambda: newcomers_branch(True), "adds good, own good, merge good"),
    "row 77, a pushed pair": (lambda: newcomers_branch(False), "adds good, own good"),
    "row 77, two lines": (two_lines_in_two_branches, "x adopted, y adopted, one good, two good, merge good"),
    "row 77, main into a feature": (merge_of_a_changed_main_into_a_feature, "jwks good, feature good, merge good"),
    "row 77, a revival": (revived, "last good, revived good"),
    "a threshold": (lambda: two_of_two(CAROL), "work good"),
    "a threshold, by himself": (lambda: two_of_two(BOB), "work threshold-unmet"),
    "row 82, countersigned": (countersigned, "gift countersigned"),
    "row 82, another commit": (lambda: countersigned("next"), "gift countersigned, next unknown-key"),
    "row 82, a change below .auths": (lambda: countersigned(grown=[SOFT]), "gift unknown-key"),
    "from before the root": (lambda: branch_from_before_the_root("o2 behind"), "o1 adopted, o2 adopted, merge good"),
    "from before, one": (lambda: branch_from_before_the_root("o2"), "o1 outside-root, o2 adopted, merge good"),
    "long before the root": (merge_of_a_branch_that_left_long_before_the_root, "old adopted, merge good"),
    "a thief's foxtrot": (thief_drops_a_declaration, "declares good, merge mainline-inverted"),
    "a thief's foxtrot, no commit rule": (lambda: thief_drops_a_declaration(only(admin=(ADA, BOB))),
                                          "declares good, merge mainline-inverted"),
    "countersigned, the lost key": (lambda: countersigned_after_a_loss(key_of(BOB.first)), "gift unknown-key"),
    "countersigned, the new key": (lambda: countersigned_after_a_loss(key_of(HARD)), "gift countersigned"),
    "countersigned, 2 of 2": (two_countersignatures, "gift countersigned"),
    "unlisted, then too few": (lambda: unlisted_by_one_rule(True), "work unauthorized"),
    "too few, then unlisted": (lambda: unlisted_by_one_rule(False), "work unauthorized"),
    "a loss on a bad tip": (declared_on_a_bad_tip, "bad unsigned, gift unknown-key"),
    "lines from outside": (lambda: lines_of_an_outsider("bad"), "bad unsigned, foreign outside-root, merge good"),
    "a line that names the root": (root_is_named, "root good, line good"),
    "a device": (lambda: device().ask("work"), "in good, work good"),
    "a device without the capability": (lambda: device(lets(ADA, LAPTOP, "device", "sign_release")).ask("work"),
                                        "in good, work unauthorized"),
    "a device of another trust root": (lambda: device(lets(ADA, LAPTOP, "device", root="another")).ask("work"),
                                       "in good, work unauthorized"),
    "row 66, no seal": (lambda: strange_grant(sealed=False, filed=True, swapped=False),
                        "in policy-change-unauthorized, work unauthorized"),
    "row 66, no file": (lambda: strange_grant(sealed=True, filed=False, swapped=False), "in good, work unauthorized"),
    "row 66, another file": (lambda: strange_grant(sealed=True, filed=True, swapped=True),
                             "in policy-change-unauthorized, work unauthorized"),
    "row 66, revoked": (lambda: revoked_device(True), "work unauthorized-at-reception"),
    "revoked after its reception": (lambda: revoked_device(False), "work good, end good"),
    "row 66, revoked, then lost": (revoked_before_the_loss, "end good, hard good, late unauthorized"),
    "sealed again": (lambda: revoked_and_sealed_again(True, True), "late good"),
    "sealed, then revoked": (lambda: revoked_and_sealed_again(True, True, first=True), "late unauthorized"),
    "delegated again": (lambda: revoked_and_sealed_again(True, False), "late unauthorized"),
    "granted again": (lambda: revoked_and_sealed_again(False, True), "late unauthorized"),
    "a revoked device's foxtrot": (foxtrot_by_a_revoked_device, "end good, theft good, merge mainline-inverted"),
    "row 65, a thief's device": (lambda: granted_by_a_thief(False), "work good, hard good, late unauthorized"),
    "row 65, repeated": (lambda: granted_by_a_thief(True), "work good, hard good, late good"),
    "a device rotates": (lambda: rotated_device(False), "turn good, late good"),
    "a rotation is void": (lambda: rotated_device(True), "hard good, late unauthorized"),
    "an agent": (lambda: agent("approved"), "work threshold-unmet"),
    "an agent, approved": (lambda: agent("approved", by=ADA), "work good"),
    "an agent, approved by a device": (lambda: agent("approved", by=LAPTOP), "work good"),
    "an agent, approved by a stranger": (lambda: agent("approved", by=CAROL), "work threshold-unmet"),
    "an agent, by default": (lambda: agent(""), "work threshold-unmet"),
    "an agent, allowed": (lambda: agent("allow"), "work good"),
    "an agent, denied": (lambda: agent("deny", by=ADA), "work unauthorized"),
    "an agent of another model": (lambda: agent("allow", ("m2", "x*")), "work unauthorized"),
    "an agent of this model": (lambda: agent("allow", ("m2", "m*")), "work good"),
    "row 31": (lambda: two_devices_vote(LAPTOP, ROBOT), "work threshold-unmet"),
    "a device and Bob": (lambda: two_devices_vote(LAPTOP, BOB), "work good"),
    "row 60": (lambda: members_vote(listed=False), "work threshold-unmet"),
    "a listed member": (lambda: members_vote(listed=True), "work good"),
    "Ada, and her laptop as a member": (lambda: members_vote(False, with_ada=True), "work threshold-unmet"),
    "a member": (lambda: Tale(WITH_ORG, [ORG, DAVE]).enrol("in", ROOT, MEMBER).add("work", "in", DAVE).ask("work"),
                 "in good, work good"),
    "a member who was revoked": (
        lambda: Tale(WITH_ORG, [ORG, DAVE]).enrol("in", ROOT, MEMBER).seal("end", "in", ORG, END_DAVE)
        .add("work", "end", DAVE).ask("work"), "end good, work unauthorized"),
    "an agent as a member": (
        lambda: Tale(only(BOB, ORG, agents="deny"), [ORG]).enrol("in", ROOT, AGENT, lets(ORG, ROBOT, "member"),
                                                               signer=BOB).add("work", "in", ROBOT).ask("work"),
        "work unauthorized"),
    "a device's agent": (lambda: two_grants_deep(lets(LAPTOP, BELOW, "agent"), agents="allow"), "in good, work good"),
    "a device's agent, to be approved": (lambda: two_grants_deep(lets(LAPTOP, BELOW, "agent")),
                                         "in good, work threshold-unmet"),
    "an agent's device": (lambda: two_grants_deep(lets(LAPTOP, BELOW, "device"), lets(ADA, LAPTOP, "agent")),
                          "in good, work threshold-unmet"),
    "a capability that its device lacks": (
        lambda: two_grants_deep(lets(LAPTOP, BELOW, "device"), lets(ADA, LAPTOP, "device", "sign_release")),
        "in good, work unauthorized"),
    "row 61": (lambda: Tale().add("in", ROOT, BOB, grown=[EVE.first]).ask("in"), "in policy-change-unauthorized"),
    "row 61, 64 devices": (lambda: new_logs(64), "many good"),
    "row 61, 65 devices": (lambda: new_logs(65), "many policy-change-unauthorized"),
    "a later member approves": (membership_known_to_the_mainline_alone, "old good"),
    "countersigned by a device": (lambda: countersigned_by(LAPTOP, DEVICE), "gift countersigned"),
    "countersigned by a member": (lambda: countersigned_by(DAVE, MEMBER), "gift countersigned"),
    "row 82, by an agent": (lambda: countersigned_by(ROBOT, AGENT), "gift unknown-key"),
    "past its time": (lambda: past_its_time("work"), "tick good, work expired"),
    "past its time, for admins": (lambda: past_its_time("rules"), "tick good, work policy-change-unauthorized"),
    "the device of an expired signer": (lambda: expired_signer(True), "in good, work expired"),
    "an expired signer as a member": (lambda: expired_signer(False), "in good, work expired"),
    "a listed delegate": (listed_delegate, "list good, work good"),
    "a listed agent": (lambda: listed_delegate(lets(ADA, ROBOT, "agent", "sign_release")), "work threshold-unmet"),
    "below a revoked device": (listed_below_a_revoked_device, "end good, work unauthorized"),
    "approved by a device": (lambda: approved_by(LAPTOP, DEVICE), "work good"),
    "a device that is a member, too": (
        device_that_is_a_member, "work good"),
    "row 31, by an agent": (lambda: approved_by(ROBOT, AGENT), "work threshold-unmet"),
    "a device that nobody delegated": (lambda: approved_by(DAVE, lets(ADA, DAVE, "device")), "work threshold-unmet"),
    "a fork, an admin's": (lambda: forked(Tale(), ADA, ADA, adopted="x"), "here good, old kel-invalid"),
    "a fork, no admin's": (lambda: forked(Tale(), BOB, BOB, adopted="x"),
                           "here good, old policy-change-unauthorized"),
    "a fork, adopted": (forked_log_is_adopted, "here good, line good, old adopted"),
    "a fork, two rules": (lambda: forked_before_two_rules(False, False), "side good, old unauthorized"),
    "a fork, two rules turned": (lambda: forked_before_two_rules(True, False), "side good, old unauthorized"),
    "a fork, two rules, countersigned": (lambda: forked_before_two_rules(False, True), "old countersigned"),
    "a fork, two rules turned, countersigned": (lambda: forked_before_two_rules(True, True), "old countersigned"),
    "a fork, a member's organisation": (lambda: organisation_forks(DAVE), "there good, work kel-invalid"),
    "a fork, a listed member's organisation": (lambda: organisation_forks(ADA), "there good, work good"),
    "a lost and revoked device": (lost_and_revoked_device, "hard good, old compromised-key"),
    "a lost and revoked device, countersigned": (lambda: lost_and_revoked_device(True), "old compromised-key"),
    "a lost and revoked device, below .auths": (lambda: lost_and_revoked_device(line="x"), "old compromised-key"),
    "a line by a device": (lambda: line_by_a_device(True), "bad adopted, line good"),
    "a line by a later device": (lambda: line_by_a_device(False), "bad unsigned, line good"),
    "approved by a member": (lambda: approved_by_a_member(DAVE, ORG, MEMBER), "work good"),
    "approved by a nameless member": (
        lambda: approved_by_a_member(LAPTOP, ORG, lets(ADA, LAPTOP, "member"), lets(ORG, LAPTOP, "member")),
        "work threshold-unmet"),
    "approved by a nameless delegate's member": (
        lambda: approved_by_a_member(DAVE, LAPTOP, lets(ADA, LAPTOP, "member"), lets(LAPTOP, DAVE, "member")),
        "work threshold-unmet"),
    "approved before its log was known": (approved_before_its_log_was_known, "work threshold-unmet"),
    "revoked by its delegator's owner": (owner_revokes_what_a_device_delegated, "end good, work unauthorized"),
    "a lost key's approval, brought in by an invalid policy": (
        lambda: approved_by_a_lost_key_on_a_broken_step(policy="no = 1"),
        "hard good, work threshold-unmet, broken policy-invalid"),
    "a lost key's approval, brought in without a policy": (
        lambda: approved_by_a_lost_key_on_a_broken_step(policy=None, kels={}, others={"x": "1"}),
        "hard good, work threshold-unmet"),
    "a thief excuses himself": (lambda: thief_excuses_himself("in it"), "theft good, merge mainline-inverted"),
    "a thief excuses himself later": (lambda: thief_excuses_himself("after"),
                                      "theft good, line good, merge mainline-inverted"),
    "row 59, excused before": (lambda: foxtrot_that_a_line_excuses("before"), "old good, line good, merge good"),
    "row 59, excused by itself": (lambda: foxtrot_that_a_line_excuses("in it"), "old good, merge mainline-inverted"),
    "row 59, excused after": (lambda: foxtrot_that_a_line_excuses("after"), "old good, line good, merge good"),
    "row 59, excused without its tree": (lambda: foxtrot_that_a_line_excuses("after", named=False),
                                         "old good, line good, merge mainline-inverted"),
    "listed below an agent": (listed_below_an_agent, "work threshold-unmet"),
    "a job": (proved, "work good"),
    "row 80, another commit": (lambda: proved(commit="work"), "work unknown-key"),
    "row 80, a copied token": (copied_token, "one good, two unknown-key"),
    "row 80, another's attestation": (anothers_attestation, "one good, two unknown-key"),
    "row 80, a merge": (merge_by_ci, "merge unknown-key"),
    "row 80, another path": (lambda: ci().job("work", ROOT, readme="1").prove("work", ROOT).ask("work"),
                             "work unknown-key"),
    "a job, below .auths": (changes_pins_by_ci, "work unknown-key"),
    "a job, below .auths, any path": (lambda: changes_pins_by_ci(replace(CI, ci_paths=("**",))), "work unknown-key"),
    "a job without evidence": (lambda: ci().job("work", ROOT).ask("work"), "work unknown-key"),
    "a job without a token": (lambda: proved({"token": None}), "work unknown-key"),
    "a job, another issuer's key": (lambda: proved(key="2"), "work unknown-key"),
    "a job, a forged token": (lambda: proved(is_whole=False), "work unknown-key"),
    "a job, a fixed audience": (lambda: proved(audience=FIXED), "work unknown-key"),
    "a job, another repository": (lambda: proved(claims={"repository_id": "2", "sub": "ci"}), "work unknown-key"),
    "a job, untimed": (timed, "work unknown-key"),
    "row 68, a proof without a SET": (lambda: timed(Logged("1", None)), "work unknown-key"),
    "row 68, a forged time": (lambda: timed(at(60, is_forged=True)), "work unknown-key"),
    "a job, in another log": (lambda: timed(Logged("2", BEGINNING + 60)), "work unknown-key"),
    "a job, another entry": (lambda: timed(at(60, is_of_this=False)), "work unknown-key"),
    "row 68, at the token's end": (lambda: timed(at(600)), "work good"),
    "row 68, after the token's end": (lambda: timed(at(601)), "work unknown-key"),
    "row 68, at the token's beginning": (lambda: timed(at(0)), "work good"),
    "row 68, before the token's beginning": (lambda: timed(at(-1)), "work unknown-key"),
    "a job, by its own end": (lambda: proved({"expires_at": BEGINNING + 59}), "work unknown-key"),
    "a job, past max_ttl": (lambda: proved(rules=replace(CI, ci_more=("allow_ephemeral = true", 'max_ttl = "30s"'))),
                            "work unknown-key"),
    "a job, no throwaway keys": (lambda: proved(rules=replace(CI, ci_more=("allow_ephemeral = false",))),
                                 "work unknown-key"),
    "a job, a timestamp required": (
        lambda: proved(rules=replace(CI, ci_more=("allow_ephemeral = true", "require_timestamp = true"))),
        "work unknown-key"),
    "a job, no rule for CI": (lambda: proved(rules=only(ADA, BOB)), "work unknown-key"),
    "a job of two commits": (lambda: two_by_one_job(ROOT), "one good, two good"),
    "a job of two commits, named": (lambda: two_by_one_job("one"), "one good, two unknown-key"),
    "two jobs": (lambda: one_job_after_another("one"), "one good, two good"),
    "two jobs, begun together": (lambda: one_job_after_another(ROOT), "one good, two unknown-key"),
    "two rules for CI": (two_rules, "rules good, work unknown-key"),
    "a job, its rule removed meanwhile": (lambda: job_before(lambda t: t.add("change", ROOT, ADA, rules=BOTH)),
                                          "change good, old unknown-key"),
    "a job, its pin removed meanwhile": (lambda: job_before(lambda t: t.pin("change", ROOT, "2")),
                                         "change good, old unknown-key"),
    "a job, its log removed meanwhile": (lambda: job_before(lambda t: t.pin("change", ROOT, "2", LOG_PIN)),
                                         "change good, old unknown-key"),
    "a job, its rule narrowed meanwhile": (
        lambda: job_before(lambda t: t.add("change", ROOT, ADA, rules=replace(CI, ci_paths=("readme",)))),
        "change good, old unknown-key",
    ),
    "a job, a pin of the mainline alone": (
        lambda: job_before(lambda t: t.pin("change", ROOT, "1 2"), key="2"),
        "change good, old unknown-key",
    ),
    "a job, for another trust root": (lambda: attested_otherwise(root="another"), "one good, two unknown-key"),
    "a job, about another commit": (lambda: attested_otherwise(about="one"), "one good, two unknown-key"),
    "a job, issued a day after its time": (
        lambda: proved({"issued_at": BEGINNING + 60 + 86_401}),
        "work unknown-key",
    ),
    "a job, more beside it": (lambda: timed(at(60), at(61, is_of_this=False), Logged("2", BEGINNING + 1)), "work good"),
    "a job, another pin meanwhile": (lambda: job_before(lambda t: t.pin("change", ROOT, "1 2")),
                                     "change good, old good"),
    "a job, a new pin": (lambda: job_on_a_new_pin(False), "pins good, work good"),
    "a job, a new pin of its branch": (lambda: job_on_a_new_pin(True), "pins good, work unknown-key, merge good"),
    "a job's foxtrot around a rule": (foxtrot_around_a_rule, "drop good, late good, merge mainline-inverted"),
    "a job's foxtrot around a pin": (foxtrot_around_a_pin, "drop good, theft good, merge mainline-inverted"),
    "a job, then a feature older than its rule": (feature_older_than_the_rule, "work good, turn good, merge good"),
    "a job, countersigned": (countersigned_job, "work countersigned"),
    "a listed delegate, revoked": (lambda: listed_delegate(revoked=True), "end good, work unauthorized"),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_HAND)
def test_both_judges_say_of_a_history_by_hand_what_it_says_here(name: str) -> None:
    make, words = BY_HAND[name]
    history = make()
    wanted = dict(pair.split() for pair in words.split(", "))
    naive = {id: verdict.word for id, verdict in naive_judge.judge(history).items()}
    assert {id: naive[id] for id in wanted} == wanted, "the naive one"
    assert differences(history) == {}
    assert differences_when_remembered(history) == {}


often = settings(max_examples=EXAMPLES or 250, derandomize=not EXAMPLES, deadline=None, database=None,
                 suppress_health_check=list(HealthCheck))  # fmt: skip


@often
@given(histories())
def test_both_judges_agree_on_any_history(history: History) -> None:
    assert differences(history) == {}


@often
@given(histories())
def test_what_is_remembered_of_the_mainline_changes_no_verdict(history: History) -> None:
    assert differences_when_remembered(history) == {}
