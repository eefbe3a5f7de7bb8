"""Attacks on the rules themselves: who may change what stands below `.auths/`, and what can stand there at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks.forge import (
    Entry,
    Files,
    Person,
    Rule,
    World,
    accepted,
    allowed_signers,
    approval,
    auths,
    envelope,
    kel_path,
    policy_toml,
    refused,
)

CHANGED = "policy-change-unauthorized"


def with_policy(world: World, policy: bytes) -> dict[str, bytes]:
    return {**world.files, ".auths/policy.toml": policy}


def policy_of(world: World, *, commit: list[Person] | None = None, admin: list[Person] | None = None,
              release: int = 2) -> dict[str, bytes]:  # fmt: skip
    """The tip's files with other signers, admins or another threshold, everything generated to match."""
    rules = [Rule("commit", commit or [world.alice, world.bob]), Rule("release", [world.alice, world.bob], release),
             Rule("admin", admin or [world.alice])]  # fmt: skip
    listed = {one.did: one for rule in rules for one in rule.signers if isinstance(one, Person)}
    return {**world.files, **auths(rules, list(listed.values()))}


def test_the_honest_repository_is_good(world: World) -> None:
    """Without it every test below would prove nothing."""
    accepted(world.repo.verify("main"))


@pytest.mark.parametrize("own_log_was_there", [False, True])
def test_an_outsider_cannot_add_himself_to_the_policy(world: World, own_log_was_there: bool) -> None:
    """Row 1: a commit adds its author's own key to the policy and is signed by it."""
    parent = world.tip
    if own_log_was_there:  # an admin may have put it there
        parent = world.repo.commit(
            {**world.files, kel_path(world.mallory): world.mallory.log.stream}, [parent], world.alice
        )
        accepted(world.verify_at(parent))
    both = [world.alice, world.bob, world.mallory]
    bad = world.repo.commit(policy_of(world, commit=both, admin=both), [parent], world.mallory)
    later = world.repo.commit({**policy_of(world, commit=both, admin=both), "src": b"2\n"}, [bad], world.mallory)
    (found,) = refused(world.verify_at(later), (bad, CHANGED))
    assert found["signer"] == world.mallory.did


def test_a_signer_of_commits_cannot_make_himself_an_admin(world: World) -> None:
    """Row 1, with a key that may sign other commits."""
    bad = world.repo.commit(policy_of(world, admin=[world.alice, world.bob]), [world.tip], world.bob)
    (found,) = refused(world.verify_at(bad), (bad, CHANGED))
    assert found["signer"] == found["principal"] == world.bob.did
    assert found["rule"] == "policy.admin[0]"


def test_an_admin_may_do_just_that(world: World) -> None:
    """Row 1, the other side of it."""
    accepted(
        world.verify_at(world.repo.commit(policy_of(world, admin=[world.alice, world.bob]), [world.tip], world.alice))
    )


def test_a_merge_does_not_launder_a_policy_that_an_outsider_changed(world: World) -> None:
    """Row 2: the first bad commit of the branch is reported; the merge is not good."""
    taken_over = policy_of(world, commit=[world.alice, world.bob, world.mallory], admin=[world.alice, world.mallory])
    bad = world.repo.commit(taken_over, [world.tip], world.mallory)
    by_the_new_rules = world.repo.commit({**taken_over, "src": b"2\n"}, [bad], world.mallory)
    honest = world.work([world.tip], world.bob, other="1")
    merge = world.repo.commit({**taken_over, "src": b"2\n", "other": b"1"}, [honest, by_the_new_rules], world.alice)
    refused(world.verify_at(merge), (bad, CHANGED))
    answer = world.repo.auths("verify-commit", "--json", merge)
    assert answer.code == 1
    assert answer.verdicts == {bad: CHANGED}


def test_a_merge_of_a_bad_branch_is_itself_never_called_good(world: World) -> None:
    """Row 2: the merge is not good, in the verbose list either."""
    taken_over = policy_of(world, commit=[world.alice, world.bob, world.mallory])
    bad = world.repo.commit(taken_over, [world.tip], world.mallory)
    merge = world.repo.commit(taken_over, [world.tip, bad], world.alice)
    world.advance(merge)
    answer = world.repo.verify("--verbose", "main")
    assert answer.code == 1
    assert answer.verdicts[bad] == CHANGED
    assert answer.verdicts[merge] != "good"


def test_an_evil_merge_is_a_policy_change(world: World) -> None:
    """Row 3: its policy equals no parent's."""
    side = world.work([world.tip], world.bob, other="1")
    evil = {**policy_of(world, admin=[world.alice, world.bob]), "other": b"1"}
    merge = world.repo.commit(evil, [world.work([world.tip], world.bob), side], world.bob)
    refused(world.verify_at(merge), (merge, CHANGED))


@pytest.mark.parametrize("policy_taken", ["neither side's", "the first parent's", "the second parent's"])
def test_admins_who_put_each_other_out_do_not_get_past_the_mainline(world: World, policy_taken: str) -> None:
    """Row 3: the side that the mainline receives is a policy change by somebody who is no admin there any more."""
    everybody = [world.alice, world.bob, world.carol]
    both = world.repo.commit(
        policy_of(world, admin=[world.alice, world.carol], commit=everybody), [world.tip], world.alice
    )
    log = {kel_path(world.carol): world.carol.log.stream}
    without_carol = world.repo.commit(
        {**policy_of(world, admin=[world.alice], commit=everybody), **log}, [both], world.alice
    )
    without_alice = world.repo.commit(policy_of(world, admin=[world.carol], commit=everybody), [both], world.carol)
    admins = {"neither side's": [world.alice, world.bob], "the first parent's": [world.alice],
              "the second parent's": [world.carol]}[policy_taken]  # fmt: skip
    files = {**policy_of(world, admin=admins, commit=everybody), **log}
    for signer in (world.alice, world.carol, world.bob):
        merge = world.repo.commit(files, [without_carol, without_alice], signer)
        refused(world.verify_at(merge), (without_alice, CHANGED))


@pytest.mark.parametrize("policy_taken", ["neither side's", "the first parent's", "the second parent's"])
def test_a_merge_of_diverged_policies_is_a_change_under_each_of_them(world: World, policy_taken: str) -> None:
    """Row 3: whoever is an admin on one side only does not decide, whichever side's bytes are taken."""
    one = world.repo.commit(policy_of(world, commit=[world.bob, world.alice]), [world.tip], world.alice)
    with_bob = [world.alice, world.bob]
    other = world.repo.commit(policy_of(world, admin=with_bob, commit=with_bob), [world.tip], world.alice)
    admins = {"neither side's": [world.bob], "the first parent's": [world.alice], "the second parent's": with_bob}
    files = policy_of(world, admin=admins[policy_taken], commit=with_bob)
    merge = world.repo.commit(files, [one, other], world.bob)
    refused(world.verify_at(merge), (merge, CHANGED))
    accepted(world.verify_at(world.repo.commit(files, [one, other], world.alice)))


def test_who_is_an_admin_on_both_sides_may_unite_diverged_policies(world: World) -> None:
    """Row 3, the other side of it."""
    one = world.repo.commit(policy_of(world, commit=[world.alice]), [world.tip], world.alice)
    other = world.repo.commit(policy_of(world, admin=[world.alice, world.bob]), [world.tip], world.alice)
    united = policy_of(world, commit=[world.alice], admin=[world.alice, world.bob])
    accepted(world.verify_at(world.repo.commit(united, [one, other], world.alice)))


@pytest.mark.parametrize("signer", ["alice", "bob", "mallory"])
@pytest.mark.parametrize("gone", [".auths/policy.toml", ".auths/"])
def test_the_policy_is_never_deleted(world: World, gone: str, signer: str) -> None:
    """Row 4: by nobody, an admin included: without a policy nobody would be left to decide."""
    files = {path: content for path, content in world.files.items() if not path.startswith(gone)}
    bad = world.repo.commit(files, [world.tip], getattr(world, signer))
    later = world.repo.commit({**files, "src": b"2\n"}, [bad], world.mallory)
    refused(world.verify_at(later), (bad, CHANGED))


def policy_as(world: World, mode: str, content: bytes | str) -> Files:
    return {**world.files, ".auths/policy.toml": Entry(mode, content)}


def auths_as(world: World, mode: str, content: bytes | str) -> Files:
    files = {path: content for path, content in world.files.items() if not path.startswith(".auths/")}
    return {**files, ".auths": Entry(mode, content)}


@pytest.mark.parametrize("form", ["a symlink", "a submodule", "a folder", "executable"])
def test_the_policy_is_a_plain_file(world: World, form: str) -> None:
    """Row 5, though an admin signs it."""
    files = {
        "a symlink": policy_as(world, "120000", b"../policy.toml"),
        "a submodule": policy_as(world, "160000", world.tip),
        "a folder": policy_as(world, "40000", world.repo.tree({"policy.toml": world.files[".auths/policy.toml"]})),
        "executable": policy_as(world, "100755", world.files[".auths/policy.toml"]),
    }[form]
    bad = world.repo.commit(files, [world.tip], world.alice)
    refused(world.verify_at(bad), (bad, "policy-invalid"))


@pytest.mark.parametrize("form", ["a symlink", "a submodule", "a file"])
def test_the_folder_of_the_policy_is_a_folder(world: World, form: str) -> None:
    """Row 5, one level up."""
    files = {
        "a symlink": auths_as(world, "120000", b"elsewhere"),
        "a submodule": auths_as(world, "160000", world.tip),
        "a file": auths_as(world, "100644", b"[policy]\n"),
    }[form]
    bad = world.repo.commit(files, [world.tip], world.alice)
    refused(world.verify_at(bad), (bad, "policy-invalid"))


@pytest.mark.parametrize("mode", ["120000", "160000", "100644"])
def test_the_folder_of_the_logs_is_a_folder(world: World, mode: str) -> None:
    """Row 5, of `.auths/kels`."""
    files: dict[str, bytes | Entry] = {path: content for path, content in world.files.items() if "/kels/" not in path}
    files[".auths/kels"] = Entry(mode, world.tip if mode == "160000" else b"elsewhere")
    bad = world.repo.commit(files, [world.tip], world.alice)
    refused(world.verify_at(bad), (bad, "policy-invalid"))


@pytest.mark.parametrize("mode", ["120000", "100755"])
def test_a_log_is_a_plain_file(world: World, mode: str) -> None:
    """Row 5, for the other file that decides; the table names only the policy, rule 5 all of `.auths/`."""
    path = kel_path(world.bob)
    bad = world.repo.commit({**world.files, path: Entry(mode, world.files[path])}, [world.tip], world.alice)
    refused(world.verify_at(bad), (bad, "policy-invalid"))


@pytest.mark.parametrize("alias", [
    ".AUTHS/policy.toml", ".auth\u017f/policy.toml", "AUTHS~1/policy.toml", "auths~1/x", ".auths./policy.toml",
    ".auths /x", ".au\u200cths/policy.toml", ".Auths", ".auths::$INDEX_ALLOCATION/policy.toml",
    ".auths/POLICY.TOML", ".auths/policy.toml.", ".auths/KELS/x.cesr", ".auths/kel\u017f/x", ".auths/ADOPTED",
    ".auths/Allowed_Signers",
])  # fmt: skip
def test_nothing_stands_for_the_policy_on_another_file_system(world: World, alias: str) -> None:
    """Row 6: a checkout on macOS or Windows would put an attacker's file over the real one."""
    bad = world.repo.commit({**world.files, alias: b"[policy]\n"}, [world.tip], world.alice)
    refused(world.verify_at(bad), (bad, "policy-invalid"))


def test_an_alias_is_seen_in_the_place_of_another_file(world: World) -> None:
    """Row 6: a tree that differs from the one before it in a name only, of the same length and at the same place."""
    start = world.repo.commit({**world.files, "another": b"x"}, [world.tip], world.bob)
    bad = world.repo.commit({**world.files, "auths~1": b"x"}, [start], world.alice)
    refused(world.verify_at(bad), (bad, "policy-invalid"))


@pytest.mark.parametrize("name", ["auths/x", ".auth/x", ".auths.md", "AUTHS", "lib/.AUTHS/x", "AUTHS1", ".authority"])
def test_names_that_merely_resemble_it_are_anybodys(world: World, name: str) -> None:
    """Row 6, the other side of it."""
    accepted(world.verify_at(world.repo.commit({**world.files, name: b"x"}, [world.tip], world.bob)))


@pytest.mark.parametrize("require", ["0", "-1", "true", '"2"', "1.0", "[1]", "3", "9223372036854775808"])
def test_a_threshold_that_is_none_is_refused_with_its_line(world: World, require: str) -> None:
    """Rows 8 and 9: what is no number, is below 1, or above the number of distinct principals."""
    policy = policy_toml([Rule("admin", [world.alice]), Rule("commit", [world.alice, world.bob], require)])
    line = 1 + policy[: policy.index(f"require = {require}".encode())].count(b"\n")
    bad = world.repo.commit(with_policy(world, policy), [world.tip], world.alice)
    (found,) = refused(world.verify_at(bad), (bad, "policy-invalid"))
    assert f"policy.toml:{line}:" in found["reason"]
    assert "require" in found["reason"]
    checked = policy_check(world, policy)
    assert checked.code == 1
    assert f"policy.toml:{line}:" in checked.stderr


def policy_check(world: World, policy: bytes):
    """`policy check` with this policy in the working tree."""
    for path, content in {**world.files, ".auths/policy.toml": policy}.items():
        file = world.repo.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return world.repo.auths("policy", "check")


def test_one_principal_listed_twice_does_not_meet_two(world: World) -> None:
    """Row 9: principals are counted, not lines."""
    policy = policy_toml([Rule("admin", [world.alice, world.alice], 2)])
    bad = world.repo.commit(with_policy(world, policy), [world.tip], world.alice)
    (found,) = refused(world.verify_at(bad), (bad, "policy-invalid"))
    assert "policy.toml:2:" in found["reason"]


@pytest.mark.parametrize(
    ("role", "number"), [("commit", "3"), ("admin", "2"), ("release", "3"), ("commit", "0"), ("commit", "-1")]
)
def test_set_threshold_writes_nothing_that_could_not_be_met(world: World, role: str, number: str) -> None:
    """Row 9: the file and the index stay as they are."""
    world.repo.git("reset", "--hard", "--quiet", "main")
    answer = world.repo.auths("policy", "set-threshold", "--", role, number)
    assert answer.code == 1
    assert "internal error" not in answer.stderr
    assert (world.repo.path / ".auths" / "policy.toml").read_bytes() == world.files[".auths/policy.toml"]
    assert world.repo.git("status", "--porcelain", "--untracked-files=no") == ""


@pytest.mark.parametrize(("addition", "line"), [
    ("[policy]\nschema = 2\n", 2),
    ("[policy]\nschema = true\n", 2),
    ("[policy]\nversion = 1\n", 2),
    ("[polices]\n", 1),
    ("colour = 1\n", 1),
    ('[[policy.commit]]\nsigners = ["{alice}"]\nrequire = 1\nbranch = ["main"]\n', 4),
    ('[[policy.commit]]\nsigners = ["{alice}"]\nrequire = 1\nrequire = 1\n', 4),
    ('[[policy.commits]]\nsigners = ["{alice}"]\nrequire = 1\n', 1),
    ('[signer."{alice}"]\nname = "A"\nemail = "a@example.com"\n', 3),
    ('[signer."{alice}"]\nname = "A"\n[signer."{alice}"]\nname = "B"\n', 3),
    ('[signer."{alice}"]\nname = "A"\nname = "B"\n', 3),
])  # fmt: skip
def test_what_is_not_known_is_refused(world: World, addition: str, line: int) -> None:
    """Row 10: unknown key, duplicate key, newer schema."""
    text = addition.replace("{alice}", world.alice.did) + policy_toml([Rule("admin", [world.alice])]).decode()
    bad = world.repo.commit(with_policy(world, text.encode()), [world.tip], world.alice)
    (found,) = refused(world.verify_at(bad), (bad, "policy-invalid"))
    assert f"policy.toml:{line}:" in found["reason"]


@pytest.mark.parametrize("policy", [b"", b"[policy]\nschema = 1\n", "commit rules only", b"\xff\xfe", b"# nothing\n"])
def test_a_policy_that_nobody_could_change_is_refused(world: World, policy: bytes | str) -> None:
    """Row 10: neither an admin nor a release rule."""
    if isinstance(policy, str):
        policy = policy_toml([Rule("commit", [world.alice, world.bob])])
    bad = world.repo.commit(with_policy(world, policy), [world.tip], world.alice)
    refused(world.verify_at(bad), (bad, "policy-invalid"))


def test_putting_an_old_policy_back_takes_the_admin_right(world: World) -> None:
    """Row 12: it was validly signed once; that says nothing about who puts it back."""
    changed = world.repo.commit(policy_of(world, release=1), [world.tip], world.alice)
    bad = world.repo.commit(world.files, [changed], world.bob)
    refused(world.verify_at(bad), (bad, CHANGED))
    accepted(world.verify_at(world.repo.commit(world.files, [changed], world.alice)))


@pytest.mark.parametrize("old_side_first", [False, True])
def test_a_merge_that_takes_the_older_parents_policy_takes_the_admin_right(world: World, old_side_first: bool) -> None:
    """Row 12: the effective version is the one that descends from the other."""
    now = policy_of(world, release=1)
    changed = world.repo.commit(now, [world.tip], world.alice)
    old = world.work([world.tip], world.bob, other="1")
    parents = [old, changed] if old_side_first else [changed, old]
    bad = world.repo.commit({**world.files, "other": b"1"}, parents, world.bob)
    refused(world.verify_at(bad), (bad, CHANGED))
    accepted(world.verify_at(world.repo.commit({**now, "other": b"1"}, parents, world.bob)))


@pytest.mark.parametrize("path", [".auths/tsa/clock.pem", ".auths/adopted", ".auths/oidc/ci.json"])
def test_a_merge_that_takes_the_older_parents_file_takes_the_admin_right(world: World, path: str) -> None:
    """Row 12, for what stands beside the policy."""
    changed = world.repo.commit({**world.files, path: b"0" * 40 + b"\n"}, [world.tip], world.alice)
    old = world.work([world.tip], world.bob, other="1")
    bad = world.repo.commit({**world.files, "other": b"1"}, [changed, old], world.bob)
    refused(world.verify_at(bad), (bad, CHANGED))


def test_a_signer_cannot_bring_in_a_strangers_log(world: World) -> None:
    """Row 61."""
    bad = world.repo.commit({**world.files, kel_path(world.carol): world.carol.log.stream}, [world.tip], world.bob)
    refused(world.verify_at(bad), (bad, CHANGED))
    by_an_admin = world.repo.commit(
        {**world.files, kel_path(world.carol): world.carol.log.stream}, [world.tip], world.alice
    )
    accepted(world.verify_at(by_an_admin))


def test_a_merge_cannot_bring_in_a_strangers_log(world: World) -> None:
    """Row 61: neither parent has it."""
    side = world.work([world.tip], world.bob, other="1")
    files = {**world.files, "other": b"1", kel_path(world.carol): world.carol.log.stream}
    bad = world.repo.commit(files, [world.tip, side], world.bob)
    refused(world.verify_at(bad), (bad, CHANGED))


def test_a_signer_cannot_fill_the_folder_with_logs(world: World, tmp_path: Path) -> None:
    """Row 61: hundreds of them."""
    strangers = [Person(f"Stranger{number}", 1000 + number) for number in range(200)]
    world.repo.blobs([stranger.log.stream for stranger in strangers], tmp_path / "logs")
    files = {**world.files, **{kel_path(stranger): stranger.log.stream for stranger in strangers}}
    bad = world.repo.commit(files, [world.tip], world.bob)
    refused(world.verify_at(bad), (bad, CHANGED))


@pytest.mark.parametrize(("devices", "verdict"), [(64, None), (65, CHANGED)])
def test_a_signer_brings_in_at_most_64_logs_of_his_own_devices(
    world: World, tmp_path: Path, devices: int, verdict: str | None
) -> None:
    """Row 61; rule 7.2 has the number."""
    own = [Person(f"Device{number}", 2000 + number, delegator=world.bob) for number in range(devices)]
    streams = [world.bob.log.stream, *(device.log.stream for device in own)]
    world.repo.blobs(streams, tmp_path / "logs")
    files = {**world.files, kel_path(world.bob): world.bob.log.stream,
             **{kel_path(device): device.log.stream for device in own}}  # fmt: skip
    commit = world.repo.commit(files, [world.tip], world.bob)
    if verdict is None:
        accepted(world.verify_at(commit))
    else:
        refused(world.verify_at(commit), (commit, verdict))
        accepted(world.verify_at(world.repo.commit(files, [world.tip], world.alice)))


@pytest.mark.parametrize("address", [
    "*", "a@b,c@d", "a,b@example.com", "a@b@example.com", "a b@example.com", "cert-authority",
    "cert-authority@example.com", "*@example.com", "?@example.com", "!a@example.com",
    'a@example.com namespaces=\\"git\\"', "a@example.com\\n", "#a@example.com", "a@b\\tc", "@", "a@",
])  # fmt: skip
def test_an_address_that_says_more_than_an_address_is_refused(world: World, address: str) -> None:
    """Row 67: it becomes a line of allowed_signers, for stock git to read."""
    policy = (
        policy_toml(world.rules) + f'[signer."{world.bob.did}"]\nemails = ["bob@example.com", "{address}"]\n'.encode()
    )
    bad = world.repo.commit(with_policy(world, policy), [world.tip], world.alice)
    (found,) = refused(world.verify_at(bad), (bad, "policy-invalid"))
    assert f"policy.toml:{policy.count(bytes([10]))}:" in found["reason"]


def forged_lists(world: World) -> dict[str, bytes | None]:
    honest = world.files[".auths/allowed_signers"]
    return {
        "mallory's key under alice's address": honest + allowed_signers([world.mallory]).splitlines(True)[1].replace(
            b"mallory@example.com", b"alice@example.com"),
        "a line for everybody": honest.replace(b"bob@example.com", b"*"),
        "without a namespace": honest.replace(b' namespaces="git"', b""),
        "without alice": b"".join(line for line in honest.splitlines(True) if not line.startswith(b"alice")),
        "another order": b"".join([honest.splitlines(True)[n] for n in (0, 2, 1)]),
        "a blank line more": honest + b"\n",
        "empty": b"",
        "deleted": None,
    }  # fmt: skip


@pytest.mark.parametrize("forged", [
    "mallory's key under alice's address", "a line for everybody", "without a namespace", "without alice",
    "another order", "a blank line more", "empty", "deleted",
])  # fmt: skip
def test_allowed_signers_is_what_the_generator_gives(world: World, forged: str) -> None:
    """Row 67: stock git would believe it."""
    files = dict(world.files)
    content = forged_lists(world)[forged]
    if content is None:
        del files[".auths/allowed_signers"]
    else:
        files[".auths/allowed_signers"] = content
    bad = world.repo.commit(files, [world.tip], world.bob)
    refused(world.verify_at(bad), (bad, CHANGED))


def test_anyone_may_mend_allowed_signers_to_what_the_generator_gives(world: World) -> None:
    """Row 67, the other side of it: an admin left it out of date, and a signer of commits brings it up to date."""
    behind = world.repo.commit({**world.files, ".auths/allowed_signers": b""}, [world.tip], world.alice)
    accepted(world.verify_at(world.repo.commit(world.files, [behind], world.bob)))


def test_a_merge_cannot_take_an_older_list_of_allowed_signers(world: World) -> None:
    """Rows 12 and 67: Carol was removed, and the older list would keep her key good for stock git."""
    with_carol = policy_of(world, commit=[world.alice, world.bob, world.carol])
    listed = world.repo.commit(with_carol, [world.tip], world.alice)
    old = world.repo.commit({**with_carol, "other": b"1"}, [listed], world.bob)
    without = {**policy_of(world), kel_path(world.carol): world.carol.log.stream}
    removed = world.repo.commit(without, [listed], world.alice)
    stale = {**without, "other": b"1", ".auths/allowed_signers": with_carol[".auths/allowed_signers"]}
    bad = world.repo.commit(stale, [removed, old], world.bob)
    refused(world.verify_at(bad), (bad, CHANGED))
    accepted(world.verify_at(world.repo.commit({**without, "other": b"1"}, [removed, old], world.bob)))


def test_a_merge_cannot_take_a_list_that_was_mended_meanwhile(world: World) -> None:
    """Row 67: the policy is the same on both sides; only the list of one of them still has Carol's key."""
    with_carol = policy_of(world, commit=[world.alice, world.bob, world.carol])
    listed = world.repo.commit(with_carol, [world.tip], world.alice)
    mended = {**policy_of(world), kel_path(world.carol): world.carol.log.stream}
    stale = {**mended, ".auths/allowed_signers": with_carol[".auths/allowed_signers"]}
    removed = world.repo.commit(stale, [listed], world.alice)
    side = world.repo.commit({**stale, "other": b"1"}, [removed], world.bob)
    main = world.repo.commit(mended, [removed], world.bob)
    for parents in ([main, side], [side, main]):
        bad = world.repo.commit({**stale, "other": b"1"}, parents, world.bob)
        refused(world.verify_at(bad), (bad, CHANGED))
        accepted(world.verify_at(world.repo.commit({**mended, "other": b"1"}, parents, world.bob)))


def test_what_a_revert_took_back_needs_the_admin_right_again(world: World) -> None:
    """Row 71: the bytes were an admin's once, and their blob is in the history; a version is a commit, not bytes."""
    widened = policy_of(world, admin=[world.alice, world.bob])
    change = world.repo.commit(widened, [world.tip], world.alice)
    revert = world.repo.commit(world.files, [change], world.alice)
    bad = world.repo.commit(widened, [revert], world.bob)
    refused(world.verify_at(bad), (bad, CHANGED))


def test_a_branch_from_before_the_revert_does_not_bring_the_reverted_policy_back(world: World) -> None:
    """Row 71, by a merge: the revert descends from what it reverted."""
    widened = policy_of(world, admin=[world.alice, world.bob])
    change = world.repo.commit(widened, [world.tip], world.alice)
    from_before = world.repo.commit({**widened, "other": b"1"}, [change], world.bob)
    revert = world.repo.commit(world.files, [change], world.alice)
    bad = world.repo.commit({**widened, "other": b"1"}, [revert, from_before], world.bob)
    refused(world.verify_at(bad), (bad, CHANGED))


@pytest.mark.parametrize("left", [b"", None], ids=["older bytes", "deleted"])
def test_a_line_of_adopted_is_not_dropped_by_restoring_older_bytes(world: World, left: bytes | None) -> None:
    """Row 71: the admins' decisions are append-only."""
    line = b"0123456789abcdef0123456789abcdef01234567\n"
    empty = {**world.files, ".auths/adopted": b""}
    start = world.repo.commit(empty, [world.tip], world.alice)
    decided = world.repo.commit({**world.files, ".auths/adopted": line}, [start], world.alice)
    accepted(world.verify_at(decided))
    bad = world.repo.commit(world.files if left is None else empty, [decided], world.bob)
    refused(world.verify_at(bad), (bad, CHANGED))


def test_a_signer_adds_no_line_to_adopted(world: World) -> None:
    """Row 71: the other direction."""
    bad = world.repo.commit({**world.files, ".auths/adopted": world.tip.encode() + b"\n"}, [world.tip], world.bob)
    refused(world.verify_at(bad), (bad, CHANGED))


def test_a_log_that_grows_is_no_change_of_the_policy(world: World) -> None:
    """Rows 61 and 67, the other side of them: everybody rotates without asking, and the list follows."""
    world.bob.log.rotate()
    files = {**world.files, kel_path(world.bob): world.bob.log.stream,
             ".auths/allowed_signers": allowed_signers([world.alice, world.bob])}  # fmt: skip
    rotated = world.repo.commit(files, [world.tip], world.bob)
    accepted(world.verify_at(world.repo.commit({**files, "src": b"2\n"}, [rotated], world.bob)))


def test_a_log_of_somebody_listed_is_no_change_of_the_policy(world: World) -> None:
    """Row 61, the other side of it: an admin listed Carol by her DID, and whoever commits next brings her log."""
    everybody = [world.alice, world.bob, world.carol]
    files = policy_of(world, commit=everybody)
    log = files.pop(kel_path(world.carol))
    files[".auths/allowed_signers"] = allowed_signers([world.alice, world.bob])
    listed = world.repo.commit(files, [world.tip], world.alice)
    brought = {**files, kel_path(world.carol): log, ".auths/allowed_signers": allowed_signers(everybody)}
    accepted(world.verify_at(world.repo.commit(brought, [listed], world.bob)))
    accepted(world.verify_at(world.repo.commit(brought, [listed], world.carol)))
    bad = world.repo.commit({**brought, kel_path(world.mallory): world.mallory.log.stream}, [listed], world.bob)
    refused(world.verify_at(bad), (bad, CHANGED))


@pytest.mark.parametrize("listed", ["the organisation", "its delegates"])
def test_the_keyholder_of_an_organisation_makes_up_no_voters(world: World, listed: str) -> None:
    """Row 60, as far as delegation goes: whom he admits by a seal of his own log counts as the organisation, once."""
    org = Person("Org", 80)
    two = [Person("One", 81, delegator=org), Person("Two", 82, delegator=org)]
    signers = [org, world.alice] if listed == "the organisation" else [*two, world.alice]
    rules = [Rule("commit", signers, 2), Rule("admin", [world.alice])]
    files = {**world.files, **auths(rules, signers, [world.bob, *([*two] if org in signers else [org])])}
    start = world.repo.commit(files, [world.tip], world.alice)
    commit = world.repo.commit({**files, "src": b"2"}, [start], signers[0])

    def approved_by(*people: Person) -> None:
        world.repo.notes({commit: [envelope(one, approval(one, world.root, commit)) for one in people]})

    accepted(world.verify_at(start))
    approved_by(org, *two)
    refused(world.verify_at(commit), (commit, "threshold-unmet"))
    approved_by(org, *two, world.alice)
    accepted(world.verify_at(commit))
