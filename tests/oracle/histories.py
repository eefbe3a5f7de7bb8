"""Random small histories for two judges: mostly honest work, with some of each attack.

People's logs are real and made once; everything else is values (`naive_judge.History`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from random import Random
from typing import Any, TypeVar

from hypothesis import strategies as st

from git_auths.core import kel as kel_module
from git_auths.core import kelbuild, seals
from git_auths.core.grants import Grant
from git_auths.core.kel import Kel
from tests import kels
from tests.oracle import naive_judge, naive_rights
from tests.oracle.naive_evidence import FIXED, OTHER, OWN, Evidence, Logged, Token
from tests.oracle.naive_judge import GITHUB, ISSUER_PIN, LOG_PIN, Approval, Auths, Commit, Graph, History, Run
from tests.oracle.naive_rights import GrantFile

T = TypeVar("T")

DAY = 24 * 3600
BEGINNING = 1_700_000_000
MAX_COMMITS = 14
THROWAWAY = 80_001  # the first number of the keys of CI jobs
JOBS = 4


class Person:
    """Somebody, a delegate of `owner` if there is one, with a log that can go on in two ways: `stages` holds every
    beginning of either. `interact` and `rotate` make other ways."""

    def __init__(self, name: str, number: int, owner: Person | None = None) -> None:
        self.name, self.number, self.owner = name, number, owner
        soft = self.log()
        self.first = soft.kel
        seal = {"auths": "compromise/1", "s": "0", "d": self.first.said, "t": "2026-01-01T00:00:00Z"}
        self.stages: list[Kel] = [soft.kel]
        self.stages += [soft.interact().kel, soft.rotate().kel, soft.rotate(anchors=[seal]).kel, soft.rotate().kel]
        hard = self.log()
        self.stages += [hard.rotate(anchors=[seal]).kel, hard.rotate().kel]
        self._grown: dict[tuple[str, str, str], Kel] = {}

    def log(self) -> kels.GrowingLog:
        """A new one, sealed by a log of the owner that nobody else sees: what seals it is no part of it."""
        return kels.GrowingLog(self.number, delegator=None if self.owner is None else self.owner.log())

    @property
    def did(self) -> str:
        return self.first.did

    @property
    def aid(self) -> str:
        return self.first.aid

    def followers(self, kel: Kel) -> list[Kel]:
        """The logs that go on from `kel` by one event."""
        return [s for s in self.stages if len(s.events) == len(kel.events) + 1 and naive_judge.begins(kel, s)]

    def keys(self) -> list[bytes]:
        return sorted({key_of(stage) for stage in self.stages})

    def interact(self, kel: Kel, *anchors: object) -> Kel:
        return self._grow(kel, "ixn", anchors)

    def rotate(self, kel: Kel, *anchors: object) -> Kel:
        return self._grow(kel, "rot", anchors)

    def _grow(self, kel: Kel, ilk: str, anchors: tuple[object, ...]) -> Kel:
        name = kel.said, ilk, json.dumps(anchors)
        if name not in self._grown:
            keys = len(kel.establishments())  # so many have been current
            if ilk == "ixn":
                event, by = kelbuild.interaction(kel, anchors), kels.signer(self.number * 1000 + keys)
            else:
                by, following = (kels.signer(self.number * 1000 + keys + n) for n in (1, 2))
                event = kelbuild.rotation(kel, kels.keys([by]), kels.commitments([following]), anchors=anchors)
            known = {}
            if self.owner is not None and ilk == "rot":
                sealing = self.owner.interact(self.owner.first, kelbuild.event_seal(event))
                known = {sealing.aid: sealing}
            message = kelbuild.with_signatures(event, kels.signatures(event, [by]))
            self._grown[name] = kel_module.extend(kel, message, known)
        return self._grown[name]


def seals_of(kel: Kel) -> list[dict[str, str]]:
    """Those by which its delegator would anchor the events of a delegate's log."""
    return [{"i": kel.aid, "s": f"{event.sn:x}", "d": event.said} for event in kel.establishments()]


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


@cache
def others() -> tuple[Person, ...]:
    """Dave, who gets to be a member of the organisation; devices and agents, two of them those of a device."""
    ada, bob, carol, eve = everybody()
    dave, organisation = Person("dave", 15), Person("org", 16)
    laptop, robot = Person("ada-laptop", 21, ada), Person("ada-robot", 22, ada)
    below = Person("laptop-robot", 24, laptop)
    return (
        organisation, dave, laptop, robot, below, Person("bob-laptop", 23, bob), Person("carol-laptop", 26, carol),
        Person("robot-device", 25, robot), Person("dave-robot", 29, dave), Person("eve-laptop", 28, eve),
        Person("too-deep", 27, below),
    )  # fmt: skip


@cache
def _people() -> dict[str, Person]:
    return {person.did: person for person in (*everybody(), *others())}


def by_did(did: str) -> Person | None:
    return _people().get(did)


CI_LINES = ("allow_ephemeral = true", 'max_ttl = "1h"')


def job_signer(number: int) -> kels.Signer:
    """The throwaway key of a CI job."""
    return kels.signer(THROWAWAY + number)


def job_key(number: int) -> bytes:
    return job_signer(number).key.ssh_blob()


def run_of(made: str, began_on: str, number: int, at: int, **changes: Any) -> Run:
    """The attestation of the commit `made` by job `number`, as it should be; `changes` are fields of its token."""
    token = Token(GITHUB, "1", OWN, began_on, {"repository_id": "1", "sub": "ci"}, at, at + 600)._replace(**changes)
    return Run(made, job_key(number), Evidence(at, None, token, (), (Logged("1", at + 60),)))


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
    agents: str = ""  # of every commit rule
    agent_models: tuple[str, ...] = ()
    expires_at_seconds: Mapping[str, int] = field(default_factory=dict)
    ci_paths: tuple[str, ...] = ()  # of a rule for CI; empty: there is none
    ci_repository: str = "1"
    ci_more: tuple[str, ...] = ()  # lines of the rule

    def text(self) -> str:
        lines = []
        if self.commit and not self.only_paths:
            lines += ["[[policy.commit]]", f"signers = {_toml(self.commit)}", f"require = {self.require}"]
            lines += [f"branches = {_toml(self.branches)}"] if self.branches else []
            lines += self._about_agents()
        if self.path_signers:
            lines += ["[[policy.commit]]", f"signers = {_toml(self.path_signers)}", "require = 1"]
            lines += [f"paths = {_toml((self.path,))}", *self._about_agents()]
        lines += ["[[policy.admin]]", f"signers = {_toml(self.admin)}", f"require = {self.admin_require}"]
        if self.ci_paths:
            lines += ["[[policy.ci]]", f"commit_paths = {_toml(self.ci_paths)}", *(self.ci_more or CI_LINES)]
            lines += ["[policy.ci.identity]", f'issuer = "{GITHUB.issuer}"', f'repository_id = "{self.ci_repository}"']
        for did, seconds in sorted(self.expires_at_seconds.items()):
            if did in {*(() if self.only_paths else self.commit), *self.path_signers, *self.admin}:
                time = kels_time(seconds)
                lines += [f'[signer."{did}"]', f"expires_at = {time}"]
        text = "\n".join(lines) + "\n"
        _written[text] = self
        return text

    def _about_agents(self) -> list[str]:
        lines = [f'agents = "{self.agents}"'] if self.agents else []
        return lines + ([f"agent_models = {_toml(self.agent_models)}"] if self.agent_models else [])

    def lists(self, person: Person) -> bool:
        return person.did in {*self.commit, *self.admin, *self.path_signers}


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
        self.runs: list[Run] = []
        self.heads: dict[str, str] = {}
        self.suspects: list[str] = []  # commits that probably are not good
        self.before_root: list[str] = []
        self.logs: dict[str, Kel] = {}  # the newest of everybody's own, whatever branch has it
        self.has_grants = self.percent(70)
        self.has_ci = self.percent(40)

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
        if self.has_ci:
            rules = self.with_ci(rules)
        kels = {person.first.aid: person.first for person in everybody()[: self.one_of([3, 3, 2])]}
        kels |= {aid.removeprefix("did:keri:"): by_did(aid).first  # type: ignore[union-attr]
                 for aid in (*rules.commit, *rules.admin, *rules.path_signers)}  # fmt: skip
        pins = {ISSUER_PIN: "1", LOG_PIN: "1"} if self.has_ci and not self.percent(5) else {}
        folder = Auths(rules.text(), kels, others=pins)
        if self.has_grants:
            with_grants = self.with_first_grants(folder, rules)
            folder = folder if with_grants.fault else with_grants  # a root that is not valid nobody pins
        parents = tuple(self.before_root[-1:])
        files = {"src/a": "0", "readme": "0"}
        root = Commit("root", parents, folder, date=BEGINNING, files=files, fault="unsigned")
        self.heads["main"] = self.add(root)

    def with_first_grants(self, folder: Auths, rules: Rules) -> Auths:
        organisation = others()[0]
        if self.percent(45):
            rules = replace(rules, commit=(*rules.commit, organisation.did))
            rules = replace(rules, admin=(*rules.admin, organisation.did)) if self.percent(30) else rules
            folder = self.with_log(folder, organisation)
        if self.percent(40):
            rules = replace(rules, agents=self.one_of(["allow", "deny", "approved"]))
        if self.percent(15):
            rules = replace(rules, agent_models=self.one_of([("m1",), ("*",), ("m1", "m2")]))
        if self.percent(30):
            rules = replace(rules, require=min(2, len(rules.commit)))
        folder = replace(folder, policy=rules.text())
        for _ in range(self.below(5)):
            folder = self.enrolled(folder)
        if self.percent(15):
            listed = self.one_of([person for person in others() if person.aid in folder.kels] or [organisation])
            commit = tuple(dict.fromkeys([*rules.commit, listed.did]))
            folder = replace(self.with_log(folder, listed), policy=replace(rules, commit=commit).text())
        return folder

    # Logs and grants.

    def with_log(self, folder: Auths, person: Person, kel: Kel | None = None) -> Auths:
        """The folder with the newest log of `person`, or with this one, and what seals it of those that delegate."""
        kel = kel or self.logs.get(person.aid, person.first)
        folder = replace(folder, kels={**folder.kels, person.aid: kel})
        owner = person.owner
        if owner is None or not naive_rights.lacks_delegator({person.aid: kel, **self.only(folder, owner)}):
            return folder
        log = self.logs.get(owner.aid, owner.first)
        if naive_rights.lacks_delegator({person.aid: kel, owner.aid: log}):
            log = self.grown(owner, folder, *seals_of(kel))
        return self.with_log(folder, owner, log)

    def only(self, folder: Auths, person: Person) -> dict[str, Kel]:
        """Its log there, as if it were nobody's delegate."""
        kel = folder.kels.get(person.aid)
        return {} if kel is None else {person.aid: kel._replace(delegator=None)}

    def grown(self, person: Person, folder: Auths, *anchors: object) -> Kel:
        """The log of `person` with one more event: the newest one, rarely that of the folder."""
        return self.noted(person, person.interact(self.log_to_grow(person, folder), *anchors))

    def log_to_grow(self, person: Person, folder: Auths) -> Kel:
        here = folder.kels.get(person.aid, person.first)
        return here if self.percent(6) else self.logs.get(person.aid, here)

    def noted(self, person: Person, kel: Kel) -> Kel:
        newest = self.logs.get(person.aid)
        if newest is None or naive_judge.begins(newest, kel):
            self.logs[person.aid] = kel
        return kel

    def enrolled(self, folder: Auths) -> Auths:
        """Somebody lets somebody act for him; mostly as it should be done."""
        issuer, subject, kind = self.issuer_and_subject(folder)
        grant = self.a_grant(issuer, subject, kind)
        anchors: list[object] = []
        if subject.owner is issuer and (self.percent(15) or subject.aid not in folder.kels):
            anchors += seals_of(self.logs.get(subject.aid, subject.first))
        is_sealed = not self.percent(5)
        if is_sealed:
            anchors.append(seals.grant(naive_rights.digest(grant)))
        if self.percent(6):
            anchors.insert(self.below(len(anchors) + 1), seals.revocation(subject.aid))
        has_log = not self.percent(5)
        log = self.grown(issuer, folder, *anchors)
        folder = self.with_log(folder, issuer, log)
        if has_log and not (kind == "member" and self.percent(10)):
            folder = self.with_log(folder, subject, folder.kels.get(subject.aid))
        if self.percent(4):
            return folder
        name = naive_rights.digest(grant)
        if self.percent(3):
            grant = grant._replace(capabilities=("sign_commit", "sign_release", "manage_members"))
        return replace(folder, grants={**folder.grants, name: GrantFile(grant)})

    def issuer_and_subject(self, folder: Auths) -> tuple[Person, Person, str]:
        organisation, dave, *delegates = others()
        rules = _written.get(folder.policy or "")
        kind = self.weighted({"device": 4, "agent": 4, "member": 4 if organisation.aid in folder.kels else 1})
        if kind == "member":
            issuer = organisation if not self.percent(15) else self.one_of((*everybody(), *others()))
            subjects = [dave, dave, *everybody()[:3], *others()[2:4]]
            subject = self.one_of([subject for subject in subjects if subject is not issuer])
            return issuer, subject, kind
        if not self.percent(10):
            delegates = delegates[:-1]
        able = [d for d in delegates if d.owner is not None and d.owner.aid in folder.kels]
        close = [d for d in able if rules is not None and d.owner is not None and rules.lists(d.owner)]
        subject = self.one_of(close) if close and not self.percent(35) else self.one_of(able or delegates)
        assert subject.owner is not None
        issuer = subject.owner if not self.percent(5) else self.one_of([p for p in everybody() if p is not subject])
        return issuer, subject, kind

    def a_grant(self, issuer: Person, subject: Person, kind: str) -> Grant:
        both, days = ("sign_commit", "manage_members"), self.weighted({"10000": 8, "30": 2, "5": 1, "-1": 1})
        capabilities = self.one_of([("sign_commit",)] * 4 + [both] * 4 + [("manage_members",), ("sign_release",)])
        root = "root" if not self.percent(4) else "another"
        model = self.one_of([None, "m1", "m2"]) if kind == "agent" else None
        return Grant(root, issuer.did, subject.did, kind, capabilities, BEGINNING, BEGINNING + int(days) * DAY,
                     model=model)  # fmt: skip

    def step(self) -> None:
        action = self.weighted({
            "work": 8, "branch": 4, "merge": 6, "rotate": 3, "change_policy": 4, "put_back_policy": 1, "decide": 3,
            "change_other_file": 1, "attack": 3, "outsiders_root": 1,
            **({"enrol": 4, "revoke": 3, "seal_again": 1, "tamper_with_grants": 1} if self.has_grants else {}),
            **({"job": 8} if self.has_ci else {}),
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
        return [person for person in _people().values() if person.did in listed and person.aid in folder.kels]

    def acting(self, folder: Auths, able: Collection[Person]) -> list[Person]:
        """Those to whom one of `able`, or such a one, has granted something, whether that counts or not."""
        reached, dids = list(able), {person.did for person in able}
        for _ in range(3):
            more = {file.grant.subject for file in folder.grants.values() if file.grant.issuer in dids} - dids
            people = [by_did(did) for did in sorted(more)]
            reached += [person for person in people if person is not None and person.aid in folder.kels]
            dids |= more
        return reached[len(able) :]

    def signed(self, parents: tuple[str, ...], folder: Auths, files: Mapping[str, str], *, is_admin: bool = False,
               before: Auths | None = None, signer: Person | None = None) -> str:  # fmt: skip
        """A commit by somebody who may, most of the time."""
        before = before or self.commits[parents[0]].auths
        touched = {path for path in files if files[path] != self.commits[parents[0]].files.get(path)}
        able = self.signers_for(before, folder, is_admin, any(path.startswith("src/") for path in touched))
        acting = self.acting(folder, able)
        known = [person for person in _people().values() if person.aid in folder.kels] or list(everybody())
        is_suspect = not able and signer is None
        if signer is None and acting and self.percent(50):
            signer = self.one_of(acting)
        if signer is None:
            signer = self.one_of(able) if able and not self.percent(6) else self.one_of(known)
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
        if self.has_grants and self.percent(45):
            people += [person for person in self.acting(folder, people) if person is not signer]
        wants_more = rules is not None and (
            rules.require > 1 or (is_admin and rules.admin_require > 1)
            or (signer.name.endswith("robot") and rules.agents in ("", "approved"))
        )  # fmt: skip
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
            self.merged_files([folder.grants for folder in folders], base_folder.grants),
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

    def merged_files(self, files: Sequence[Mapping[str, T]], base: Mapping[str, T]) -> dict[str, T]:
        merged = {}
        for path in sorted({path for one in files for path in one}):
            value = self.three_way([one.get(path) for one in files], base.get(path))
            if value is not None:
                merged[path] = value
        return merged

    def three_way(self, values: Sequence[T | None], base: T | None) -> T | None:
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
        people = [person for person in _people().values() if person.aid in parent.auths.kels]
        able = [person for person in self.signers_for(parent.auths, parent.auths, False, False) if person in people]
        if not people:
            return self.work()
        person = self.one_of(people if self.has_grants and self.percent(50) else able or people)
        if self.has_grants:
            folder = self.with_log(parent.auths, person, self.rotated(person, parent.auths))
        else:
            following = person.followers(parent.auths.kels[person.first.aid])
            if not following:
                return self.work()
            folder = replace(parent.auths, kels={**parent.auths.kels, person.aid: self.one_of(following)})
        folder = self.with_generated(folder, 25)
        self.heads[branch] = self.signed((parent.id,), folder, parent.files, signer=person)
        return None

    def with_generated(self, folder: Auths, chance: int) -> Auths:
        if folder.policy and not folder.fault and self.percent(chance):
            return replace(folder, allowed_signers=naive_judge.generated(folder))
        return folder

    def rotated(self, person: Person, folder: Auths) -> Kel:
        """Its log with a rotation, plain or by which it declares the keys before it lost, and repeats some seals."""
        kel = self.log_to_grow(person, folder)
        anchors: list[object] = []
        if self.percent(45):
            since = kel.events[self.one_of([kel.state.sn, *range(len(kel.events))])]
            lost = [anchor for event in kel.events[since.sn :] for anchor in event.anchors]
            repeated = [anchor for anchor in lost if self.below(2) == 0]
            said = since.said if not self.percent(5) else kel.events[0].said
            anchors = [seals.compromise(since.sn, said, BEGINNING), *repeated]
        return self.noted(person, person.rotate(kel, *anchors))

    def enrol(self) -> None:
        branch = self.branch_name()
        parent = self.commits[self.heads[branch]]
        folder = self.with_generated(self.enrolled(parent.auths), 15)
        self.heads[branch] = self.signed((parent.id,), folder, parent.files)

    def revoke(self) -> None:
        """An issuer ends what he has let somebody do; sometimes to begin it again in the same breath."""
        branch = self.branch_name()
        parent = self.commits[self.heads[branch]]
        pairs = {(file.grant.issuer, file.grant.subject) for file in parent.auths.grants.values()}
        pairs |= {(d.owner.did, d.did) for d in others() if d.owner is not None and d.aid in parent.auths.kels}
        if not pairs:
            return self.enrol()
        issuer, subject = map(by_did, self.one_of(sorted(pairs)))
        assert issuer is not None and subject is not None
        anchors: list[object] = [seals.revocation(subject.aid)]
        if self.percent(20):
            anchors += self.some(self.seals_by(issuer, subject, parent.auths), 0)
            anchors = anchors[::-1] if self.percent(30) else anchors
        folder = self.with_log(parent.auths, issuer, self.grown(issuer, parent.auths, *anchors))
        signer = issuer if self.percent(60) else None
        self.heads[branch] = self.signed((parent.id,), self.with_generated(folder, 15), parent.files, signer=signer)
        return None

    def seals_by(self, issuer: Person, subject: Person, folder: Auths) -> list[dict[str, str]]:
        """All that the issuer has to seal for `subject`."""
        granted = [name for name, file in folder.grants.items()
                   if (file.grant.issuer, file.grant.subject) == (issuer.did, subject.did)]  # fmt: skip
        delegated = seals_of(self.logs.get(subject.aid, subject.first)) if subject.owner is issuer else []
        return [*delegated, *map(seals.grant, sorted(granted))]

    def seal_again(self) -> None:
        branch = self.branch_name()
        parent = self.commits[self.heads[branch]]
        people = [person for person in _people().values() if person.aid in parent.auths.kels]
        subjects = [person for person in people if person.owner in people]
        if not subjects:
            return self.enrol()
        subject = self.one_of(subjects)
        assert subject.owner is not None
        anchors = self.some(self.seals_by(subject.owner, subject, parent.auths))
        folder = self.with_log(parent.auths, subject.owner, self.grown(subject.owner, parent.auths, *anchors))
        self.heads[branch] = self.signed((parent.id,), folder, parent.files)
        return None

    def tamper_with_grants(self) -> None:
        branch = self.branch_name()
        parent = self.commits[self.heads[branch]]
        grants = dict(parent.auths.grants)
        if not grants:
            return self.enrol()
        name = self.one_of(sorted(grants))
        match self.weighted({"drops": 2, "envelope": 1, "copies": 1, "swaps": 1}):
            case "drops":
                del grants[name]
            case "envelope":
                grants[name] = grants[name]._replace(envelope="b")
            case "copies":
                older = [self.commits[id].auths.grants for id in sorted(self.commits)]
                grants = {**{name: file for some in older for name, file in some.items()}, **grants}
            case _:
                grants["0" * 64] = grants[name]
        folder = replace(parent.auths, grants=grants)
        self.heads[branch] = self.signed((parent.id,), folder, parent.files, is_admin=self.percent(60))
        return None

    def change_policy(self) -> None:
        branch = self.branch_name()
        parent = self.commits[self.heads[branch]]
        rules = _written.get(parent.auths.policy or "")
        if rules is None:
            return self.work()
        rules = self.changed_rules(rules)
        listed = (*rules.commit, *rules.admin, *rules.path_signers)
        folder = replace(parent.auths, policy=rules.text())
        for did in listed:
            person = by_did(did)
            if person is not None and person.aid not in folder.kels:
                early = self.logs.get(person.aid) or self.one_of(person.stages[:2])
                folder = self.with_log(folder, person, early)
        folder = self.with_generated(folder, 20)
        self.heads[branch] = self.signed((parent.id,), folder, parent.files, is_admin=True)
        return None

    def changed_rules(self, rules: Rules) -> Rules:
        dids = [person.did for person in everybody()[:3]]
        match self.weighted({"add": 4, "remove": 4, "admin": 3, "require": 2, "expiry": 2, "branches": 1, "path": 1,
                             "two_of_two": 1, **({"agents": 3, "list": 3} if self.has_grants else {}),
                             **({"ci": 4} if self.has_ci else {})}):  # fmt: skip
            case "ci":
                return self.with_ci(rules) if not self.percent(25) else replace(rules, ci_paths=())
            case "agents":
                models = self.one_of([(), (), ("m1",), ("*",)])
                return replace(rules, agents=self.one_of(["allow", "deny", "approved"]), agent_models=models)
            case "list":
                did = self.one_of([person.did for person in others()[:-1]])
                if did in rules.commit:
                    kept = tuple(other for other in rules.commit if other != did) or rules.commit
                    return replace(rules, commit=kept, require=min(rules.require, len(kept)))
                return replace(rules, commit=(*rules.commit, did))
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
        elif self.has_ci and self.percent(30):
            folder = replace(folder, others={**folder.others, LOG_PIN: self.one_of(["1", "2", "1 2"])})
        else:
            folder = replace(folder, others={**folder.others, ISSUER_PIN: self.one_of(["1 2", "1", "2"])})
        self.heads[branch] = self.signed((parent.id,), folder, parent.files, is_admin=not self.percent(20))

    # CI.

    def with_ci(self, rules: Rules) -> Rules:
        more = self.weighted({"": 12, "allow_ephemeral = false": 1, 'max_ttl = "30s"': 1, 'max_ttl = "10m"': 1,
                              'require_log = "sigstore-rekor"': 2, "require_timestamp = true": 1})  # fmt: skip
        lines = CI_LINES if not more else ("allow_ephemeral = true", more) if "ephemeral" not in more else (more,)
        paths = self.one_of([("doc", "readme"), ("doc", "src/**"), ("**",), ("src/a",)])
        return replace(rules, ci_paths=paths, ci_repository=self.one_of(["1", "1", "1", "2", "*"]), ci_more=lines)

    def job(self) -> None:
        """A CI job commits, once or several times; mostly as the policy lets it."""
        branch = self.branch_name()
        number = self.below(JOBS)
        began_on = head = self.heads[branch]
        while self.commits[began_on].key == job_key(number) and len(self.commits[began_on].parents) == 1:
            began_on = self.commits[began_on].parents[0]
        for _ in range(self.one_of([1, 1, 2])):
            if len(self.commits) < MAX_COMMITS:
                head = self.heads[branch] = self.by_job(branch, head, number, began_on)

    def by_job(self, branch: str, head: str, number: int, began_on: str) -> str:
        parent = self.commits[head]
        parents: tuple[str, ...] = (head,)
        folder, files = parent.auths, parent.files
        rules = _written.get(folder.policy or "")
        named = [path for path in (rules.ci_paths if rules else ()) if not path.endswith("*")]
        files = {**files, self.one_of(named): self.one_of(["4", "5"])} if named else self.changed_files(files)
        match self.weighted({"": 30, "elsewhere": 3, "merge": 2, "auths": 2, "listed": 1}):
            case "elsewhere":
                files = self.changed_files(files)
            case "merge":
                parents = tuple(dict.fromkeys((head, self.heads[self.branch_name()])))
            case "auths":
                name = self.one_of([ISSUER_PIN, LOG_PIN])
                folder = replace(folder, others={**folder.others, name: self.one_of(["1 2", "2", "1"])})
            case "listed":
                folder = self.with_generated(folder, 100)
        key = job_key(number)
        id = self.add(Commit(self.name(), parents, folder, key, None, self.later(*parents), files))
        for _ in range(self.one_of([1, 1, 1, 1, 2, 0])):
            self.runs.append(self.a_run(id, began_on, number))
        if self.percent(12):
            self.suspects.append(id)
            self.approve(id, folder, everybody()[3], is_admin=False, wants_countersignature=True)
        return id

    def a_run(self, id: str, began_on: str, number: int) -> Run:
        commit = self.commits[id]
        rules = _written.get(commit.auths.policy or "")
        at = commit.date
        token: dict[str, Any] = {"key": self.one_of(commit.auths.others.get(ISSUER_PIN, "1").split())}
        beside: dict[str, Any] = {
            "entries": (Logged(self.one_of(commit.auths.others.get(LOG_PIN, "1").split()), at + 60),)
        }
        around: dict[str, Any] = {}
        if rules is not None and rules.ci_repository == "2" and not self.percent(10):
            token["claims"] = {"repository_id": "2", "sub": "ci"}
        match self.weighted({"": 30, "key": 2, "audience": 2, "commit": 3, "claims": 2, "whole": 1, "late": 2, "early": 2,
                             "cut": 1, "untimed": 2, "unsigned_time": 1, "forged": 1, "another": 1, "no_token": 1,
                             "own_word": 2, "ends": 2, "by": 1, "root": 1}):  # fmt: skip
            case "key":
                token["key"] = self.one_of(["2", "1", "3"])
            case "audience":
                token["audience"] = self.one_of([OTHER, FIXED])
            case "commit":
                token["commit"] = self.one_of([id, *commit.parents, *sorted(self.commits)])
            case "claims":
                token["claims"] = self.one_of([{"repository_id": "3", "sub": "ci"}, {"sub": "ci"}])
            case "whole":
                token["is_whole"] = False
            case "cut":
                token["expires_at"] = at + self.one_of([59, 60, 61])
            case "late":
                beside["entries"] = (Logged("1", at + self.one_of([600, 601, 3600, 7200])),)
            case "early":
                beside["entries"] = (Logged("1", at - self.one_of([0, 1, 60])),)
            case "untimed":
                beside["entries"] = ()
            case "unsigned_time":
                beside["entries"] = (Logged("1", None),)
            case "forged":
                beside["entries"] = (Logged("1", at + 60, is_forged=True),)
            case "another":
                beside["entries"] += (Logged(self.one_of(["1", "2"]), at + 60, is_of_this=False),)
            case "no_token":
                beside["token"] = None
            case "own_word":
                beside["issued_at"] = at + 60 + self.one_of([86400, 86401, -3600, -3601, -30, -31])
            case "ends":
                beside["expires_at"] = at + self.one_of([59, 60, 300])
            case "by":
                around["key"] = job_key((number + 1) % JOBS)
            case "root":
                around["root"] = "another"
        run = run_of(id, began_on, number, at, **token)
        return run._replace(evidence=replace(run.evidence, **beside), **around)

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
        runs = tuple(self.runs)
        branches: Collection[str] = sorted(set(self.heads) - {"main"})
        if not branches or self.percent(50):
            return History(commits, "root", mainline, mainline, approvals=approvals, runs=runs)
        if self.percent(30):
            mainline = self.one_of([id for id in self.ancestry(mainline) if id not in self.before_root])
        name = self.one_of(sorted(branches))
        return History(commits, "root", mainline, self.heads[name], f"refs/heads/{name}", approvals=approvals,
                       runs=runs)  # fmt: skip


@st.composite
def histories(draw: Callable[[st.SearchStrategy[Any]], Any]) -> History:
    """A history, and a tip in it to judge."""
    return Builder(lambda n: draw(st.integers(0, n - 1)) if n > 1 else 0).build()


def seeded_history(seed: int) -> History:
    """One of the same kind, much faster to make and without a way to shrink it."""
    return Builder(Random(seed).randrange).build()
