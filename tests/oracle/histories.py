"""Random small histories for two judges: mostly honest work, with some of each attack.

People's logs are real and made once; everything else is values (`naive_judge.History`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from random import Random
from typing import Any, TypeVar

from hypothesis import strategies as st

from git_auths.core import kel as kel_module
from git_auths.core import kelbuild
from git_auths.core.kel import Kel
from tests import kels
from tests.oracle import naive_judge
from tests.oracle.naive_judge import Approval, Auths, Commit, Graph, History

T = TypeVar("T")

DAY = 24 * 3600
BEGINNING = 1_700_000_000
MAX_COMMITS = 14


class Person:
    """Somebody with a log that can go on in two ways: `stages` holds every beginning of either."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        soft = kels.GrowingLog(number)
        self.first = soft.kel
        seal = {"auths": "compromise/1", "s": "0", "d": self.first.said, "t": "2026-01-01T00:00:00Z"}
        self.stages: list[Kel] = [soft.kel]
        self.stages += [soft.interact().kel, soft.rotate().kel, soft.rotate(anchors=[seal]).kel, soft.rotate().kel]
        hard = kels.GrowingLog(number)
        self.stages += [hard.rotate(anchors=[seal]).kel, hard.rotate().kel]

    @property
    def did(self) -> str:
        return self.first.did

    def followers(self, kel: Kel) -> list[Kel]:
        """The logs that go on from `kel` by one event."""
        return [s for s in self.stages if len(s.events) == len(kel.events) + 1 and naive_judge.begins(kel, s)]

    def keys(self) -> list[bytes]:
        return sorted({key_of(stage) for stage in self.stages})


def key_of(kel: Kel) -> bytes:
    """The blob of its one current key."""
    return kel.state.keys[0].ssh_blob()


def _two_of_two() -> Kel:
    """An identity that needs both its keys: neither signs a commit alone."""
    signers = [kels.signer(90_001), kels.signer(90_002)]
    following = [kels.signer(90_003), kels.signer(90_004)]
    event = kelbuild.inception(kels.keys(signers), kels.commitments(following), kt="2", nt="2")
    return kel_module.replay(kelbuild.with_signatures(event, kels.signatures(event, signers)))


@cache
def everybody() -> tuple[Person, ...]:
    """Ada, Bob and Carol, who get listed; Eve, who does it herself."""
    return tuple(Person(name, number) for number, name in enumerate(("ada", "bob", "carol", "eve"), start=11))


@cache
def two_of_two() -> Kel:
    return _two_of_two()


def by_did(did: str) -> Person | None:
    return next((person for person in everybody() if person.did == did), None)


@dataclass(frozen=True)
class Rules:
    """A policy to be written down. `path_signers`: who may change what `path` matches."""

    commit: tuple[str, ...]
    admin: tuple[str, ...]
    require: int = 1
    admin_require: int = 1
    branches: tuple[str, ...] = ()
    path: str = ""
    path_signers: tuple[str, ...] = ()
    only_paths: bool = False  # no rule for all paths
    expires_at_seconds: Mapping[str, int] = field(default_factory=dict)

    def text(self) -> str:
        lines = []
        if self.commit and not self.only_paths:
            lines += ["[[policy.commit]]", f"signers = {_toml(self.commit)}", f"require = {self.require}"]
            lines += [f"branches = {_toml(self.branches)}"] if self.branches else []
        if self.path_signers:
            lines += ["[[policy.commit]]", f"signers = {_toml(self.path_signers)}", "require = 1"]
            lines += [f"paths = {_toml((self.path,))}"]
        lines += ["[[policy.admin]]", f"signers = {_toml(self.admin)}", f"require = {self.admin_require}"]
        for did, seconds in sorted(self.expires_at_seconds.items()):
            if did in {*(() if self.only_paths else self.commit), *self.path_signers, *self.admin}:
                time = kels_time(seconds)
                lines += [f'[signer."{did}"]', f"expires_at = {time}"]
        text = "\n".join(lines) + "\n"
        _written[text] = self
        return text


_written: dict[str, Rules] = {}


def rules_in(text: str) -> Rules:
    """The rules that were written down as `text`."""
    return _written[text]


def kels_time(seconds: int) -> str:
    from datetime import datetime, timezone

    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _toml(names: Iterable[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


class Builder:
    """Grows one history, a commit at a time; `below(n)` decides, with a number from 0 to n - 1."""

    def __init__(self, below: Callable[[int], int]) -> None:
        self.below = below
        self.commits: dict[str, Commit] = {}
        self.approvals: list[Approval] = []
        self.heads: dict[str, str] = {}
        self.suspects: list[str] = []  # commits that probably are not good
        self.before_root: list[str] = []

    # What is drawn. The simplest choice is the first one, or no.

    def one_of(self, choices: Sequence[T]) -> T:
        return choices[self.below(len(choices))]

    def percent(self, chance: int) -> bool:
        number = self.below(100)
        return 50 <= number < 50 + chance if chance <= 50 else number < chance

    def weighted(self, weights: Mapping[str, int]) -> str:
        return self.one_of([name for name, weight in weights.items() for _ in range(weight)])

    def some(self, choices: Sequence[T], least: int = 1) -> tuple[T, ...]:
        chosen = tuple(choice for choice in choices if self.below(2) == 0)
        return chosen if len(chosen) >= least else tuple(choices[:least])

    # The history.

    def build(self) -> History:
        self.begin()
        for _ in range(2 + self.below(MAX_COMMITS - 1)):
            if len(self.commits) < MAX_COMMITS:
                self.step()
        return self.asked()

    def begin(self) -> None:
        for number in range(self.one_of([0, 0, 0, 1, 2])):
            files = {"readme": "0"} if number == 0 else {"readme": "0", "src/a": "0"}
            earlier = tuple(self.before_root[-1:])
            self.before_root.append(self.add(Commit(f"before{number}", earlier, files=files, date=BEGINNING)))
        listed = [person.did for person in everybody()[:3]]
        rules = Rules(self.some(listed), self.some(listed, 1))
        if self.percent(25):
            rules = replace(rules, branches=(self.one_of(["main", "side"]),))
        if self.percent(35):
            rules = replace(rules, path=self.one_of(["src/**", "**/a"]), path_signers=self.some(listed))
        kels = {person.first.aid: person.first for person in everybody()[: self.one_of([3, 3, 2])]}
        kels |= {aid.removeprefix("did:keri:"): by_did(aid).first  # type: ignore[union-attr]
                 for aid in (*rules.commit, *rules.admin, *rules.path_signers)}  # fmt: skip
        parents = tuple(self.before_root[-1:])
        files = {"src/a": "0", "readme": "0"}
        root = Commit("root", parents, Auths(rules.text(), kels), date=BEGINNING, files=files, fault="unsigned")
        self.heads["main"] = self.add(root)

    def step(self) -> None:
        action = self.weighted({
            "work": 8, "branch": 4, "merge": 6, "rotate": 3, "change_policy": 4, "put_back_policy": 1, "decide": 3,
            "change_other_file": 1, "attack": 3, "outsiders_root": 1,
        })  # fmt: skip
        getattr(self, action)()

    def add(self, commit: Commit) -> str:
        self.commits[commit.id] = commit
        return commit.id

    def name(self) -> str:
        return f"c{len(self.commits):02}"

    def branch_name(self) -> str:
        return self.one_of(sorted(self.heads) + ["main"] * (len(self.heads) - 1))

    def later(self, *parents: str) -> int:
        days = self.weighted({"1": 8, "0": 2, "20": 3, "45": 2, "400": 1, "-100": 1})
        return max(0, max(self.commits[parent].date for parent in parents) + int(days) * DAY)

    # Honest people.

    def signers_for(self, before: Auths, folder: Auths, is_admin: bool, touches_src: bool) -> list[Person]:
        rules = rules_in(before.policy) if before.policy in _written else None
        if rules is None:
            return []
        listed = set(rules.commit or rules.path_signers or rules.admin)
        if is_admin:
            listed &= set(rules.admin)
        if touches_src and rules.path_signers:
            listed &= set(rules.path_signers)
        people = [person for person in everybody() if person.did in listed and person.first.aid in folder.kels]
        return people

    def signed(self, parents: tuple[str, ...], folder: Auths, files: Mapping[str, str], *, is_admin: bool = False,
               before: Auths | None = None, signer: Person | None = None) -> str:  # fmt: skip
        """A commit by somebody who may, most of the time."""
        before = before or self.commits[parents[0]].auths
        touched = {path for path in files if files[path] != self.commits[parents[0]].files.get(path)}
        able = self.signers_for(before, folder, is_admin, any(path.startswith("src/") for path in touched))
        others = [person for person in everybody() if person.first.aid in folder.kels] or list(everybody())
        is_suspect = not able and signer is None
        if signer is None:
            signer = self.one_of(able) if able and not self.percent(6) else self.one_of(others)
        kel = folder.kels.get(signer.first.aid, signer.first)
        key, fault = key_of(kel), None
        if self.percent(4):
            key, is_suspect = self.one_of(signer.keys()), True
        if self.percent(4):
            fault, is_suspect = self.one_of(["unsigned", "bad-signature", "unsupported-signature"]), True
        id = self.add(Commit(self.name(), parents, folder, None if fault else key, fault, self.later(*parents), files))
        if is_suspect or fault:
            self.suspects.append(id)
        self.approve(id, folder, signer, is_admin=is_admin, wants_countersignature=is_suspect)
        return id

    def approve(self, id: str, folder: Auths, signer: Person, *, is_admin: bool, wants_countersignature: bool) -> None:
        rules = _written.get(folder.policy or "")
        listed = [by_did(did) for did in {**dict.fromkeys(rules.commit), **dict.fromkeys(rules.admin)}] if rules else []
        people = [person for person in listed if person is not None and person is not signer]
        wants_more = rules is not None and (rules.require > 1 or (is_admin and rules.admin_require > 1))
        kinds = []
        if people and (self.percent(80) if wants_more else self.percent(4)):
            kinds += ["commit", "admin"] if is_admin else ["commit"]
        if people and self.percent(50 if wants_countersignature else 3):
            kinds += ["countersign"]
        approvers = self.some(people) if self.percent(20) else (self.one_of(people),) if people else ()
        for approver in approvers:
            kel = folder.kels.get(approver.first.aid, approver.first)
            key = key_of(kel) if not self.percent(25) else self.one_of(approver.keys())
            self.approvals += [Approval(id, kind, approver.did, key) for kind in kinds]

    def changed_files(self, files: Mapping[str, str]) -> dict[str, str]:
        path = self.one_of(["readme", "src/a", "SRC/b", "doc"])
        return {**files, path: self.one_of(["1", "2", "3"])}

    # Actions.

    def work(self) -> None:
        branch = self.branch_name()
        parent = self.commits[self.heads[branch]]
        self.heads[branch] = self.signed((parent.id,), parent.auths, self.changed_files(parent.files))

    def branch(self) -> None:
        start = self.commits[self.one_of(sorted(set(self.commits) - set(self.before_root))[::-1])]
        self.heads[f"side{len(self.heads)}"] = self.signed((start.id,), start.auths, self.changed_files(start.files))

    def merge(self) -> None:
        if len(self.heads) < 2:
            return self.branch()
        into, other = self.branch_name(), self.branch_name()
        parents = [self.heads[into], self.heads[other]]
        if self.percent(8):
            parents.append(self.heads[self.branch_name()])
        if self.percent(12):
            parents.reverse()
        parents = list(dict.fromkeys(parents))
        if len(parents) < 2:
            return self.work()
        folder, files, before, is_change = self.merged(tuple(parents))
        self.heads[into] = self.signed(tuple(parents), folder, files, is_admin=is_change, before=before)
        return None

    def merged(self, parents: tuple[str, ...]) -> tuple[Auths, dict[str, str], Auths, bool]:
        """What a merge of these would hold, the folder whose rules it is under, and whether that changes."""
        self.commits["merge"] = Commit("merge", parents)
        graph = Graph(History(dict(self.commits), "root", "root", "root"))
        del self.commits["merge"]
        folders = [graph.auths(parent) for parent in parents]
        versions = sorted(graph.effective("merge"))
        before = graph.auths(versions[0]) if versions else self.commits["root"].auths
        bases = sorted(graph.merge_bases(parents))
        base_folder = graph.auths(bases[0]) if bases else Auths()
        base_files = self.commits[bases[0]].files if bases else {}
        policy = before.policy if not self.percent(6) else self.one_of(folders).policy
        folder = Auths(
            policy or before.policy,
            self.merged_logs(folders),
            self.union(folder.adopted for folder in folders),
            self.union(folder.received for folder in folders),
            self.three_way([folder.allowed_signers for folder in folders], base_folder.allowed_signers),
            self.merged_files([folder.others for folder in folders], base_folder.others),
        )
        if self.percent(3):
            folder = replace(folder, adopted=self.one_of(folders).adopted)
        files = self.merged_files([self.commits[parent].files for parent in parents], base_files)
        return folder, files, before, len(versions) != 1 or policy != before.policy

    def merged_logs(self, folders: Sequence[Auths]) -> dict[str, Kel]:
        logs: dict[str, Kel] = {}
        for folder in folders:
            for aid, kel in folder.kels.items():
                longer = naive_judge.longer(logs.get(aid), kel)
                assert longer is not None
                logs[aid] = longer
        return logs

    def merged_files(self, files: Sequence[Mapping[str, str]], base: Mapping[str, str]) -> dict[str, str]:
        merged = {}
        for path in sorted({path for one in files for path in one}):
            value = self.three_way([one.get(path) for one in files], base.get(path))
            if value is not None:
                merged[path] = value
        return merged

    def three_way(self, values: Sequence[str | None], base: str | None) -> str | None:
        changed = list(dict.fromkeys(value for value in values if value != base))
        if not changed:
            return base
        if len(changed) == 1 and not self.percent(5):
            return changed[0]
        return self.one_of([*changed, base])

    def union(self, lines: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(line for some in lines for line in some))

    def rotate(self) -> None:
        branch = self.branch_name()
        parent = self.commits[self.heads[branch]]
        people = [person for person in everybody() if person.first.aid in parent.auths.kels]
        able = [person for person in self.signers_for(parent.auths, parent.auths, False, False) if person in people]
        if not people:
            return self.work()
        person = self.one_of(able or people)
        following = person.followers(parent.auths.kels[person.first.aid])
        if not following:
            return self.work()
        folder = replace(parent.auths, kels={**parent.auths.kels, person.first.aid: self.one_of(following)})
        if folder.policy and not folder.fault and self.percent(25):
            folder = replace(folder, allowed_signers=naive_judge.generated(folder))
        self.heads[branch] = self.signed((parent.id,), folder, parent.files, signer=person)
        return None

    def change_policy(self) -> None:
        branch = self.branch_name()
        parent = self.commits[self.heads[branch]]
        rules = _written.get(parent.auths.policy or "")
        if rules is None:
            return self.work()
        rules = self.changed_rules(rules)
        listed = (*rules.commit, *rules.admin, *rules.path_signers)
        kels = dict(parent.auths.kels)
        for did in listed:
            person = by_did(did)
            if person is not None:
                kels.setdefault(person.first.aid, self.one_of(person.stages[:2]))
        folder = replace(parent.auths, policy=rules.text(), kels=kels)
        if self.percent(20):
            folder = replace(folder, allowed_signers=naive_judge.generated(folder))
        self.heads[branch] = self.signed((parent.id,), folder, parent.files, is_admin=True)
        return None

    def changed_rules(self, rules: Rules) -> Rules:
        dids = [person.did for person in everybody()[:3]]
        match self.weighted({"add": 4, "remove": 4, "admin": 3, "require": 2, "expiry": 2, "branches": 1, "path": 1,
                             "two_of_two": 1}):  # fmt: skip
            case "add":
                return replace(rules, commit=tuple(dict.fromkeys([*rules.commit, self.one_of(dids)])))
            case "remove":
                did = self.one_of(rules.commit or dids)
                kept = tuple(other for other in rules.commit if other != did) or rules.commit
                return replace(rules, commit=kept, require=min(rules.require, len(kept) or 1))
            case "admin":
                admin = self.some(dids)
                return replace(rules, admin=admin, admin_require=self.one_of(range(1, len(admin) + 1)))
            case "require":
                return replace(rules, require=self.one_of(range(1, (len(rules.commit) or 1) + 1)))
            case "expiry":
                did, days = self.one_of(dids), self.one_of([5, 30, 100])
                return replace(rules, expires_at_seconds={**rules.expires_at_seconds, did: BEGINNING + days * DAY})
            case "branches":
                return replace(rules, branches=self.one_of([(), ("main",), ("side*",)]))
            case "path":
                signers = self.some(dids)
                only = self.percent(20)
                return replace(rules, path=self.one_of(["src/**", "doc", "**"]), path_signers=signers, only_paths=only)
            case _:
                return replace(rules, commit=tuple(dict.fromkeys([*rules.commit, two_of_two().did])))

    def put_back_policy(self) -> None:
        branch = self.branch_name()
        parent = self.commits[self.heads[branch]]
        older = [id for id in self.ancestry(parent.id) if self.commits[id].auths.policy in _written]
        if not older:
            return self.work()
        folder = replace(parent.auths, policy=self.commits[self.one_of(older)].auths.policy)
        self.heads[branch] = self.signed((parent.id,), folder, parent.files, is_admin=self.percent(70))
        return None

    def ancestry(self, id: str) -> list[str]:
        return sorted({id}.union(*(self.ancestry(parent) for parent in self.commits[id].parents)))

    def decide(self) -> None:
        branch = self.branch_name()
        parent = self.commits[self.heads[branch]]
        folder = parent.auths
        if self.percent(35):
            target = self.one_of(sorted(set(self.commits) - {*self.before_root, "root"}) or ["root"])
            line = f"refs/heads/{self.branch_name()} {target}"
            folder = replace(folder, received=(*folder.received, line))
        else:
            target = self.one_of(self.suspects or sorted(self.commits))
            line = target
            line += (
                self.weighted({"": 3, "right": 3, "wrong": 1})
                .replace("right", f" auths={self.commits[target].auths.id}")
                .replace("wrong", f" auths={'0' * 40}")
            )
            line += " behind" if self.percent(25) else ""
            folder = replace(folder, adopted=(*folder.adopted, line))
        is_admin = not self.percent(12)
        self.heads[branch] = self.signed((parent.id,), folder, parent.files, is_admin=is_admin)

    def change_other_file(self) -> None:
        branch = self.branch_name()
        parent = self.commits[self.heads[branch]]
        folder = parent.auths
        if self.percent(30):
            folder = replace(folder, allowed_signers=self.one_of(["odd", None]))
        else:
            folder = replace(folder, others={**folder.others, "oidc/x.json": self.one_of(["1", "2"])})
        self.heads[branch] = self.signed((parent.id,), folder, parent.files, is_admin=not self.percent(20))

    def attack(self) -> None:
        branch = self.branch_name()
        parent = self.commits[self.heads[branch]]
        eve = everybody()[3]
        folder, fault, malformed = parent.auths, None, False
        key: bytes | None = eve.keys()[0]
        match self.weighted({"unsigned": 4, "outsider": 3, "lists_herself": 3, "puts_her_log": 1, "deletes": 1,
                             "garbage": 1, "truncates": 2, "forks": 2, "malformed": 1, "broken": 1, "drops": 2,
                             "old_key": 2}):  # fmt: skip
            case "unsigned":
                key, fault = None, "unsigned"
            case "lists_herself":
                rules = _written.get(folder.policy or "")
                if rules is not None:
                    rules = replace(rules, commit=(*rules.commit, eve.did), admin=(*rules.admin, eve.did))
                    rules = replace(rules, commit=tuple(dict.fromkeys(rules.commit)),
                                    admin=tuple(dict.fromkeys(rules.admin)))  # fmt: skip
                    folder = replace(folder, policy=rules.text(), kels={**folder.kels, eve.first.aid: eve.first})
                    key = key_of(eve.first)
            case "puts_her_log":
                folder = replace(folder, kels={**folder.kels, eve.first.aid: eve.first})
                key = key_of(self.one_of(everybody()[:3]).first)
            case "deletes":
                folder, key = replace(folder, policy=None), key_of(self.one_of(everybody()[:3]).first)
            case "garbage":
                folder, key = replace(folder, policy="nonsense = 1\n"), key_of(everybody()[0].first)
            case "truncates" | "forks" as how:
                person = self.one_of(everybody()[:3])
                kels = {**folder.kels, person.first.aid: self.one_of(person.stages)}
                if how == "truncates" and self.percent(30):
                    del kels[person.first.aid]
                folder, key = replace(folder, kels=kels), self.one_of(person.keys())
            case "malformed":
                malformed = True
            case "broken":
                folder = replace(folder, broken=self.one_of(["kel-invalid", "policy-invalid"]))
            case "drops":
                folder = replace(folder, adopted=folder.adopted[:-1], received=folder.received[:-1])
                key = key_of(self.one_of(everybody()[:3]).first)
            case "old_key":
                key = key_of(self.one_of(everybody()[:3]).first)
        id = self.add(Commit(self.name(), (parent.id,), folder, key, fault, self.later(parent.id),
                             self.changed_files(parent.files) if self.percent(50) else parent.files, malformed))  # fmt: skip
        self.heads[branch] = id
        self.suspects.append(id)
        self.approve(id, folder, eve, is_admin=False, wants_countersignature=True)

    def outsiders_root(self) -> None:
        """A commit that does not descend from the root, alone or beside it."""
        parents = (self.one_of(self.before_root),) if self.before_root and self.percent(60) else ()
        folder = Auths()
        key: bytes | None = None
        if self.percent(25):
            eve = everybody()[3]
            folder, key = Auths(Rules((eve.did,), (eve.did,)).text(), {eve.first.aid: eve.first}), key_of(eve.first)
        files = {"readme": self.one_of(["0", "1"])}
        id = self.add(Commit(self.name(), parents, folder, key, None if key else "unsigned", BEGINNING, files))
        self.heads[f"side{len(self.heads)}"] = id
        self.suspects.append(id)

    # What is asked.

    def asked(self) -> History:
        mainline = self.heads["main"]
        commits, approvals = dict(self.commits), tuple(dict.fromkeys(self.approvals))
        branches: Collection[str] = sorted(set(self.heads) - {"main"})
        if not branches or self.percent(50):
            return History(commits, "root", mainline, mainline, approvals=approvals)
        if self.percent(30):
            mainline = self.one_of([id for id in self.ancestry(mainline) if id not in self.before_root])
        name = self.one_of(sorted(branches))
        return History(commits, "root", mainline, self.heads[name], f"refs/heads/{name}", approvals=approvals)


@st.composite
def histories(draw: Callable[[st.SearchStrategy[Any]], Any]) -> History:
    """A history, and a tip in it to judge."""
    return Builder(lambda n: draw(st.integers(0, n - 1)) if n > 1 else 0).build()


def seeded_history(seed: int) -> History:
    """One of the same kind, much faster to make and without a way to shrink it."""
    return Builder(Random(seed).randrange).build()
