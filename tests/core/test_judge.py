"""The judge on histories made of values: no git, no keys' signatures, only the rules"""

from __future__ import annotations

import hashlib
from binascii import b2a_base64
from collections.abc import Sequence

import pytest

from git_auths.core import kelbuild, opensshkey
from git_auths.core.approvals import Counted
from git_auths.core.authority import Authority
from git_auths.core.auths_folder import EMPTY, AuthsFolder, generated_allowed_signers, generated_id
from git_auths.core.case import Sources
from git_auths.core.facts import Facts, Fault
from git_auths.core.judge import Verdict
from git_auths.core.judgement import Branch, Mainline
from git_auths.core.kel import Kel, replay
from git_auths.core.policy import parse
from git_auths.core.signer import Signer
from git_auths.core.verkey import from_ssh_blob


class Somebody:
    """An identity whose log can grow; `key` is the blob that signs now."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._keys = [self._key(0), self._key(1)]
        event = kelbuild.inception([from_ssh_blob(self._keys[0].public_blob)], [self._commitment(1)])
        self.stream = self._signed(event, 0)
        self.kel: Kel = replay(self.stream)

    def _key(self, n: int) -> opensshkey.PrivateKey:
        return opensshkey.from_secret(opensshkey.ED25519, hashlib.sha256(f"{self._seed} {n}".encode()).digest())

    def _commitment(self, n: int) -> str:
        return from_ssh_blob(self._keys[n].public_blob).commitment

    def _signed(self, event: bytes, n: int) -> bytes:
        key = self._keys[n]
        verkey = from_ssh_blob(key.public_blob)
        return kelbuild.with_signatures(event, [kelbuild.indexed_signature(verkey, key.sign_raw(event), 0, 0)])

    def rotate(self, *anchors: object) -> Kel:
        """The log with one more event; the caller puts it where it should count."""
        n = len(self.kel.establishments())
        self._keys.append(self._key(n + 1))
        event = kelbuild.rotation(self.kel, [from_ssh_blob(self._keys[n].public_blob)], [self._commitment(n + 1)],
                                  anchors=anchors)  # fmt: skip
        self.stream += self._signed(event, n)
        self.kel = replay(self.stream)
        return self.kel

    @property
    def did(self) -> str:
        return self.kel.did

    def key(self, n: int = 0) -> bytes:
        return self._keys[n].public_blob


ADA, BOB, EVE = Somebody(1), Somebody(2), Somebody(3)


class World:
    """Histories by hand: `commit` adds one, `verdicts` judges all of them."""

    def __init__(self) -> None:
        self.folders: dict[str, AuthsFolder] = {}
        self.history: list[Facts] = []
        self.approvals: list[Signer] = []

    def folder(self, text: str, *kels: Kel, **files: str) -> str:
        """The id of a folder with this policy, these logs and these other files."""
        signers: dict[bytes, tuple[str, ...]] = {}
        for kel in kels:
            for key in kel.current_signing_keys():
                signers[key.ssh_blob()] = (*signers.get(key.ssh_blob(), ()), kel.did)
        named = {name.encode(): value for name, value in files.items()}
        blob = hashlib.sha1(text.encode()).hexdigest()
        ids = {kel.aid: hashlib.sha1(f"{kel.aid} {kel.size}".encode()).hexdigest() for kel in kels}
        logs = {kel.aid: kel for kel in kels}
        folder = AuthsFolder(blob, parse(text.encode()), logs, ids, named, signers, None, Authority(logs, {}))
        id = hashlib.sha1(repr((blob, sorted(ids.items()), sorted(named.items()))).encode()).hexdigest()
        self.folders[id] = folder
        return id

    def commit(self, name: str, parents: Sequence[str], auths: str | None, key: bytes | None, fault: Fault | None = None,
               raw_fault: Fault | None = None) -> str:  # fmt: skip
        self.history.append(Facts(name, tuple(parents), "", auths, 0, key, raw_fault, None, fault))
        return name

    def verdicts(self, ref: str = "refs/heads/main", tip: str | None = None) -> dict[str, Verdict]:
        """`tip`: where the mainline stands; default: on the last commit, which contains all others or is beside them."""
        facts = {commit.id: commit for commit in self.history}
        heads = facts.keys() - {parent for commit in self.history for parent in commit.parents}
        mainline = Mainline(facts, "root", tip or self.history[-1].id, ref, self.sources())
        beyond = [head for head in sorted(heads) if head not in mainline.records]
        judged = [*mainline.verdicts(), *Branch(facts, beyond, ref, mainline).verdicts()]
        return {verdict.id: verdict for verdict in judged}

    def sources(self) -> Sources:
        facts = {commit.id: commit for commit in self.history}
        return Sources(
            folder_at=lambda id: EMPTY if id is None else self.folders[id],
            lines_of=lambda blob: frozenset() if blob is None else frozenset(blob.encode().splitlines()),
            approvals_of=lambda commit, kind, own, when: Counted(tuple(self.approvals)),
            tree_of=lambda commit: facts[commit].tree,
            auths_of=lambda commit: facts[commit].auths,
            bases_of=lambda commits: [],
            entries=lambda tree: {},
            paths_changed={},
            authorities={},
        )

    def words(self) -> dict[str, str]:
        return {id: verdict.verdict for id, verdict in self.verdicts().items()}


def policy(commit: Sequence[Somebody], admin: Sequence[Somebody], require: int = 1, more: str = "") -> str:
    def dids(people: Sequence[Somebody]) -> str:
        return ", ".join(f'"{somebody.did}"' for somebody in people)

    return (f"[[policy.commit]]\nsigners = [{dids(commit)}]\nrequire = {require}\n"
            f"[[policy.admin]]\nsigners = [{dids(admin)}]\nrequire = 1\n{more}")  # fmt: skip


@pytest.fixture
def world() -> World:
    world = World()
    world.first = world.folder(policy([ADA], [ADA]), ADA.kel)  # type: ignore[attr-defined]
    world.both = world.folder(policy([ADA, BOB], [ADA]), ADA.kel, BOB.kel)  # type: ignore[attr-defined]
    world.commit("root", [], world.first, ADA.key())  # type: ignore[attr-defined]
    return world


def test_a_listed_signer_is_good(world: World) -> None:
    world.commit("a", ["root"], world.first, ADA.key())
    assert world.words() == {"root": "good", "a": "good"}
    assert world.verdicts()["a"].principal == ADA.did


def test_nobody_lists_himself(world: World) -> None:
    world.commit("a", ["root"], world.both, BOB.key())
    assert world.words()["a"] == "policy-change-unauthorized"


def test_an_admin_lists_somebody_who_may_sign_from_then_on(world: World) -> None:
    world.commit("a", ["root"], world.both, ADA.key())
    world.commit("b", ["a"], world.both, BOB.key())
    assert world.words() == {"root": "good", "a": "good", "b": "good"}


def test_the_listing_does_not_reach_back_to_a_branch_from_before_it(world: World) -> None:
    world.commit("a", ["root"], world.both, ADA.key())
    world.commit("old", ["root"], world.both, BOB.key())
    assert world.words()["old"] == "policy-change-unauthorized"


def test_a_merge_is_judged_by_the_version_that_descends_from_the_other(world: World) -> None:
    world.commit("a", ["root"], world.both, ADA.key())
    world.commit("side", ["root"], world.first, ADA.key())
    world.commit("merge", ["side", "a"], world.both, BOB.key())
    assert world.words()["merge"] == "good", "the new signer may merge the old branch"


def test_a_merge_that_takes_the_older_policy_is_a_change(world: World) -> None:
    world.commit("a", ["root"], world.both, ADA.key())
    world.commit("b", ["a"], world.folder(policy([ADA], [ADA]), ADA.kel, BOB.kel), ADA.key())
    world.commit("side", ["a"], world.both, BOB.key())
    world.commit("merge", ["side", "b"], world.both, BOB.key())
    assert world.words()["merge"] == "policy-change-unauthorized"


def test_the_same_bytes_put_back_are_a_change(world: World) -> None:
    only_ada = world.folder(policy([ADA], [ADA]), ADA.kel, BOB.kel)
    world.commit("a", ["root"], world.both, ADA.key())
    world.commit("b", ["a"], only_ada, ADA.key())
    world.commit("c", ["b"], world.both, BOB.key())
    assert world.words()["c"] == "policy-change-unauthorized"


def test_diverged_policies_are_merged_by_an_admin_of_both(world: World) -> None:
    one = world.folder(policy([ADA, BOB], [ADA, BOB]), ADA.kel, BOB.kel)
    other = world.folder(
        policy([ADA, BOB], [ADA], more="[[policy.release]]\n" + f'signers = ["{ADA.did}"]\nrequire = 1\n'),
        ADA.kel,
        BOB.kel,
    )
    for tip, folder in (("one", one), ("other", other)):
        world.commit(tip, ["root"], folder, ADA.key())
    world.commit("by-bob", ["one", "other"], one, BOB.key())
    world.commit("by-ada", ["one", "other"], one, ADA.key())
    words = world.words()
    assert words["by-bob"] == "policy-change-unauthorized", "Bob is no admin on the other side"
    assert words["by-ada"] == "good"


def test_diverged_policies_of_equal_bytes_are_a_change_all_the_same(world: World) -> None:
    """Two admins made the same edit; which of them a later revert would take back nobody could say."""
    for tip in ("one", "other"):
        world.commit(tip, ["root"], world.both, ADA.key())
    world.commit("by-bob", ["one", "other"], world.both, BOB.key())
    world.commit("by-ada", ["one", "other"], world.both, ADA.key())
    assert (world.words()["by-bob"], world.words()["by-ada"]) == ("policy-change-unauthorized", "good")


@pytest.mark.parametrize("name", ["oidc/x.json", "adopted", "received", "grants/y.json", "anything"])
def test_every_other_file_needs_the_admin_rule(world: World, name: str) -> None:
    with_file = world.folder(policy([ADA, BOB], [ADA]), ADA.kel, BOB.kel, **{name: "1" * 40})
    world.commit("a", ["root"], world.both, ADA.key())
    world.commit("by-bob", ["a"], with_file, BOB.key())
    world.commit("by-ada", ["a"], with_file, ADA.key())
    world.commit("dropped", ["by-ada"], world.both, BOB.key())
    words = world.words()
    assert (words["by-bob"], words["by-ada"], words["dropped"]) == (
        "policy-change-unauthorized",
        "good",
        "policy-change-unauthorized",
    )


def test_a_merge_does_not_bring_back_the_older_files(world: World) -> None:
    with_file = world.folder(policy([ADA, BOB], [ADA]), ADA.kel, BOB.kel, oidc="1" * 40)
    world.commit("a", ["root"], world.both, ADA.key())
    world.commit("b", ["a"], with_file, ADA.key())
    world.commit("side", ["a"], world.both, BOB.key())
    world.commit("good", ["side", "b"], with_file, BOB.key())
    world.commit("bad", ["side", "b"], world.both, BOB.key())
    assert (world.words()["good"], world.words()["bad"]) == ("good", "policy-change-unauthorized")


def test_allowed_signers_is_free_as_generated_and_needs_an_admin_otherwise(world: World) -> None:
    world.commit("a", ["root"], world.both, ADA.key())
    generated = world.folder(policy([ADA, BOB], [ADA]), ADA.kel, BOB.kel,
                             allowed_signers=generated_id(world.folders[world.both]))  # fmt: skip
    invented = world.folder(policy([ADA, BOB], [ADA]), ADA.kel, BOB.kel, allowed_signers="2" * 40)
    world.commit("free", ["a"], generated, BOB.key())
    world.commit("not", ["a"], invented, BOB.key())
    assert (world.words()["free"], world.words()["not"]) == ("good", "policy-change-unauthorized")


def test_a_log_that_grows_is_free_and_the_new_key_signs(world: World) -> None:
    carol = Somebody(10)
    text = policy([ADA, carol], [ADA])
    before = world.folder(text, ADA.kel, carol.kel)
    world.commit("a", ["root"], before, ADA.key())
    after = world.folder(text, ADA.kel, carol.rotate())
    world.commit("rotated", ["a"], after, carol.key(1))
    world.commit("old-key", ["rotated"], after, carol.key(0))
    world.commit("by-old-key", ["a"], before, carol.key(0))
    words = world.words()
    assert (words["rotated"], words["old-key"], words["by-old-key"]) == ("good", "superseded-key", "good")


def test_a_log_neither_shrinks_nor_goes_away(world: World) -> None:
    carol = Somebody(11)
    text = policy([ADA, carol], [ADA])
    short = world.folder(text, ADA.kel, carol.kel)
    long = world.folder(text, ADA.kel, carol.rotate())
    world.commit("a", ["root"], long, ADA.key())
    world.commit("shrunk", ["a"], short, ADA.key())
    world.commit("gone", ["a"], world.folder(text, ADA.kel), ADA.key())
    words = world.words()
    assert (words["shrunk"], words["gone"]) == ("kel-invalid", "kel-invalid")


def test_a_log_of_somebody_unlisted_needs_the_admin_rule(world: World) -> None:
    world.commit("a", ["root"], world.both, ADA.key())
    with_eve = world.folder(policy([ADA, BOB], [ADA]), ADA.kel, BOB.kel, EVE.kel)
    world.commit("by-bob", ["a"], with_eve, BOB.key())
    world.commit("by-ada", ["a"], with_eve, ADA.key())
    assert (world.words()["by-bob"], world.words()["by-ada"]) == ("policy-change-unauthorized", "good")


def test_a_deleted_policy_is_refused_from_an_admin_too(world: World) -> None:
    world.commit("a", ["root"], None, ADA.key())
    assert world.words()["a"] == "policy-change-unauthorized"


def test_children_of_what_cannot_be_read_are_judged_by_what_was_before(world: World) -> None:
    world.commit("a", ["root"], None, None, raw_fault=Fault("malformed", "x"))
    world.commit("b", ["a"], world.first, ADA.key())
    world.commit("c", ["b"], world.both, BOB.key())
    verdicts = world.verdicts()
    assert {id: (v.verdict, v.because_of) for id, v in verdicts.items() if id != "root"} == {
        "a": ("malformed", None), "b": ("good", "a"), "c": ("policy-change-unauthorized", "a"),
    }  # fmt: skip


def test_a_threshold_counts_each_principal_and_each_key_once(world: World) -> None:
    two = world.folder(policy([ADA, BOB], [ADA], require=2), ADA.kel, BOB.kel)
    world.commit("a", ["root"], two, ADA.key())
    world.commit("b", ["a"], two, BOB.key())
    for approvals, word in (
        ([], "threshold-unmet"),
        ([Signer(BOB.did, BOB.did, BOB.key())], "threshold-unmet"),
        ([Signer(EVE.did, EVE.did, EVE.key())], "threshold-unmet"),
        ([Signer(ADA.did, ADA.did, BOB.key())], "threshold-unmet"),
        ([Signer(ADA.did, ADA.did, ADA.key())], "good"),
    ):
        world.approvals = approvals
        assert world.words()["b"] == word, approvals


def test_what_no_rule_matches_is_ungoverned_before_its_signature_is_looked_at(world: World) -> None:
    text = policy([ADA], [ADA]).replace("require = 1\n", 'require = 1\nbranches = ["main"]\n', 1)
    scoped = world.folder(text, ADA.kel)
    world.commit("a", ["root"], scoped, ADA.key())
    world.commit("b", ["a"], scoped, None, fault=Fault("unsigned", "x"))
    assert world.verdicts("refs/heads/other")["b"].verdict == "ungoverned"
    assert world.verdicts("refs/heads/main")["b"].verdict == "unsigned"


def test_what_does_not_descend_from_the_root_is_outside_and_named_once(world: World) -> None:
    world.commit("x", ["elsewhere"], world.first, ADA.key())
    world.commit("y", ["x"], world.first, ADA.key())
    world.commit("merge", ["root", "y"], world.first, ADA.key())
    verdicts = world.verdicts()
    assert {id: (v.verdict, v.because_of) for id, v in verdicts.items() if id != "root"} == {
        "x": ("outside-root", None), "y": ("outside-root", "x"), "merge": ("good", "x"),
    }  # fmt: skip


def test_a_precedent_holds_for_its_own_policy_folder_and_key_only(world: World) -> None:
    world.commit("a", ["root"], world.both, ADA.key())
    world.commit("b1", ["a"], world.both, BOB.key())
    world.commit("b2", ["b1"], world.both, BOB.key())
    world.commit("out", ["b2"], world.folder(policy([ADA], [ADA]), ADA.kel, BOB.kel), ADA.key())
    world.commit("b3", ["out"], world.history[-1].auths, BOB.key())
    world.commit("e", ["b2"], world.both, EVE.key())
    world.commit("unsigned", ["b2"], world.both, None, fault=Fault("unsigned", "x"))
    words = world.words()
    assert [words[id] for id in ("b1", "b2", "b3", "e", "unsigned")] == [
        "good",
        "good",
        "unauthorized",
        "unknown-key",
        "unsigned",
    ]


def test_a_key_declared_compromised_leaves_allowed_signers() -> None:
    """What was given up softly stays: stock git goes on to verify what it signed."""
    soft, hard = Somebody(11), Somebody(12)
    soft.rotate()
    hard.rotate({"auths": "compromise/1", "s": "0", "d": hard.kel.said, "t": "2026-01-01T00:00:00Z"})
    world = World()
    folder = world.folders[world.folder(policy([soft, hard], [soft]), soft.kel, hard.kel)]
    listed = generated_allowed_signers(folder)
    assert [b2a_base64(key, newline=False) in listed for key in (soft.key(0), soft.key(1))] == [True, True]
    assert [b2a_base64(key, newline=False) in listed for key in (hard.key(0), hard.key(1))] == [False, True]


def test_nobody_takes_a_commit_from_its_signer_by_listing_her_key(world: World) -> None:
    """Eve commits, and her log names Ada's key as well; what Ada decides with it is Ada's all the same."""
    text = policy([ADA, EVE], [ADA])
    world.history.clear()
    root = world.folder(text, ADA.kel, EVE.kel)
    changed = world.folder(text, ADA.kel, EVE.kel, note="1")
    for id in (root, changed):
        world.folders[id] = world.folders[id]._replace(signers={ADA.key(): (EVE.did, ADA.did)})
    world.commit("root", [], root, ADA.key())
    world.commit("a", ["root"], changed, ADA.key())
    assert world.verdicts()["a"].verdict == "good"
    assert world.verdicts()["a"].signer == ADA.did
