"""git auths adopt"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.people import Person, Project


def unsigned(person: Person, message: str = "A patch", *files: str) -> str:
    """A commit that nobody signed, with whatever is staged."""
    person.git("commit", "--quiet", "--allow-empty", "--no-verify", "--no-gpg-sign", "-m", message, *files)
    return person.head()


def change(person: Person, path: str, content: str | None) -> None:
    """Write a file, or remove it, and stage that."""
    file = person.at / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink() if content is None else file.write_text(content)
    person.git("add", "--all", "--force", path)


def staged(person: Person, name: str = "adopted") -> list[str]:
    return person.git("show", f":.auths/{name}").stdout.splitlines()


def verdict(person: Person, commit: str) -> str:
    listed = person.ask("verify", "--verbose")["objects"]
    return next(one["verdict"] for one in listed if one["id"] == commit)


def auths_tree(person: Person, commit: str) -> str:
    return person.git("rev-parse", f"{commit}:.auths").stdout.strip()


def test_an_unsigned_commit_is_adopted(ada: Person) -> None:
    patch = unsigned(ada)
    ada.commit()
    done = ada.auths("adopt", patch)
    assert f"adopt {patch} unsigned ada: A patch" in done.stderr.splitlines()
    assert "hint: git commit -S makes it so" in done.stderr
    assert staged(ada) == [patch]
    assert not ada.ask("verify")["ok"]
    ada.git("commit", "--quiet", "-m", "Adopt a patch")
    assert ada.ask("verify")["ok"]
    assert verdict(ada, patch) == "adopted"


def test_of_a_range_only_what_is_not_good_is_adopted(ada: Person) -> None:
    start = ada.head()
    first = unsigned(ada)
    ada.commit()
    second = unsigned(ada)
    done = ada.auths("adopt", f"{start}..HEAD")
    assert staged(ada) == [first, second]
    assert "1 commit good already" in done.stderr
    ada.git("commit", "--quiet", "-m", "Adopt them")
    assert ada.ask("verify")["ok"]


def test_what_is_good_needs_no_line(ada: Person) -> None:
    commit = ada.commit()
    assert "nothing to adopt" in ada.auths("adopt", commit).stderr
    assert not (ada.at / ".auths/adopted").exists()


def test_a_commit_is_adopted_once(ada: Person) -> None:
    patch = unsigned(ada)
    ada.auths("adopt", patch)
    assert "the lines are there already" in ada.auths("adopt", patch).stderr
    assert staged(ada) == [patch]


def test_what_was_adopted_on_this_branch_is_not_adopted_again(project: Project) -> None:
    ada = project.ada
    ada.git("config", "auths.mainline", "refs/remotes/origin/main")
    patch = unsigned(ada)
    ada.auths("adopt", patch)
    ada.git("commit", "--quiet", "-m", "Adopt it")
    assert "1 commit good already" in ada.auths("adopt", patch).stderr


def test_a_line_that_came_inside_an_adopted_commit_is_said_in_other_words(ada: Person) -> None:
    patch = unsigned(ada)
    change(ada, ".auths/adopted", f"{patch}\n")
    squash = unsigned(ada)
    ada.auths("adopt", f"{patch}^..HEAD")
    tree = auths_tree(ada, squash)
    assert staged(ada) == [patch, f"{patch} auths={auths_tree(ada, patch)}", f"{squash} auths={tree}"]
    ada.git("commit", "--quiet", "-m", "Adopt both")
    assert ada.ask("verify")["ok"]


def test_two_branches_that_adopt_are_merged_by_git_without_a_conflict(ada: Person) -> None:
    patches = [unsigned(ada), unsigned(ada)]
    for name, patch in zip(("one", "two"), patches, strict=True):
        ada.git("switch", "--quiet", "--create", name, "main")
        ada.auths("adopt", patch)
        ada.git("commit", "--quiet", "-m", f"Adopt {name}")
    ada.git("switch", "--quiet", "main")
    for name in ("one", "two"):
        ada.git("merge", "--quiet", "--no-ff", "-S", "--no-edit", name)
    assert sorted(staged(ada)) == sorted(patches)
    assert ada.ask("verify")["ok"]


def test_a_change_below_auths_is_named_by_its_tree(ada: Person) -> None:
    change(ada, ".auths/oidc/ci.json", "{}\n")
    patch = unsigned(ada)
    ada.auths("adopt", patch)
    assert staged(ada) == [f"{patch} auths={auths_tree(ada, patch)}"]
    ada.git("commit", "--quiet", "-m", "Adopt it")
    assert ada.ask("verify")["ok"]


def test_a_merge_names_its_tree_where_one_parent_has_another(ada: Person) -> None:
    ada.git("switch", "--quiet", "--create", "other")
    ada.commit("other")
    ada.git("switch", "--quiet", "main")
    change(ada, ".auths/oidc/ci.json", "{}\n")
    ada.git("commit", "--quiet", "-m", "Pin")
    ada.git("merge", "--quiet", "--no-gpg-sign", "--no-verify", "--no-edit", "other")
    merge = ada.head()
    ada.auths("adopt", "HEAD")
    assert staged(ada) == [f"{merge} auths={auths_tree(ada, merge)}"]


@pytest.mark.parametrize(
    ("path", "content", "word"),
    [
        (".auths/policy.toml", "nonsense", "policy-invalid"),
        (".auths/policy.toml", None, "policy-change-unauthorized"),
        ("KEL", "nonsense", "kel-invalid"),
        ("KEL", None, "kel-invalid"),
        (".auths/received", None, "removes a line from .auths/received"),
    ],
)
def test_what_no_adoption_covers_is_refused(ada: Person, path: str, content: str | None, word: str) -> None:
    change(ada, ".auths/received", "# a line that must stay\n")
    ada.git("commit", "--quiet", "-m", "A first decision")
    if path == "KEL":
        path = ada.git("ls-files", ".auths/kels").stdout.strip()
    change(ada, path, content)
    patch = unsigned(ada)
    ada.git("checkout", "--quiet", "HEAD^", "--", ".auths")
    done = ada.auths("adopt", patch, code=1)
    assert f"{patch} can never be adopted" in done.stderr
    assert word in done.stderr
    assert not (ada.at / ".auths/adopted").exists()


def malformed(person: Person, parents: str) -> str:
    """A commit with two committers."""
    tree = person.git("rev-parse", "HEAD^{tree}").stdout
    who = "x <x@example.com> 1700000000 +0000\n"
    raw = person.home / "raw"
    raw.write_text(f"tree {tree}{parents}author {who}committer {who}committer {who}\nTwo\n")
    return person.git("hash-object", "-t", "commit", "-w", "--literally", raw).stdout.strip()


def test_a_malformed_commit_is_refused(ada: Person) -> None:
    bad = malformed(ada, f"parent {ada.head()}\n")
    done = ada.auths("adopt", bad, code=1)
    assert f"{bad} can never be adopted" in done.stderr
    assert "(malformed)" in done.stderr


def test_a_history_from_outside_with_a_malformed_commit_is_refused(ada: Person) -> None:
    bad = malformed(ada, "")
    ada.git("merge", "--quiet", "--allow-unrelated-histories", "-s", "ours", "--no-edit", bad)
    assert f"{bad} can never be adopted" in ada.auths("adopt", "--behind", "HEAD", code=1).stderr


@pytest.fixture
def joined(ada: Person) -> tuple[Person, str, str]:
    """Ada has merged a history of two commits that has nothing to do with the root; and its older and newer commit."""
    ada.git("switch", "--quiet", "--orphan", "import")
    older, newer = unsigned(ada), unsigned(ada)
    ada.git("switch", "--quiet", "main")
    ada.git("merge", "--quiet", "--allow-unrelated-histories", "--no-edit", "import")
    return ada, older, newer


def test_one_line_takes_over_a_whole_history_from_outside(joined: tuple[Person, str, str]) -> None:
    ada, _, newer = joined
    done = ada.auths("adopt", "--behind", newer)
    assert "and 1 commit behind it" in done.stderr
    assert staged(ada) == [f"{newer} behind"]
    ada.git("commit", "--quiet", "-m", "Take over a history")
    assert ada.ask("verify")["ok"]


def test_the_line_may_name_the_good_merge_that_brought_it(joined: tuple[Person, str, str]) -> None:
    ada, _, _ = joined
    merge = ada.head()
    assert "and 2 commits behind it" in ada.auths("adopt", "--behind", merge).stderr
    assert staged(ada) == [f"{merge} behind"]
    ada.git("commit", "--quiet", "-m", "Take over a history")
    assert ada.ask("verify")["ok"]


def test_without_behind_each_commit_is_taken_over_by_itself(joined: tuple[Person, str, str]) -> None:
    ada, older, newer = joined
    ada.auths("adopt", f"{ada.head()}^1..HEAD")
    assert staged(ada) == [older, newer]
    ada.git("commit", "--quiet", "-m", "Take over two commits")
    assert ada.ask("verify")["ok"]


def test_behind_where_all_descends_from_the_root_is_pointed_out(ada: Person) -> None:
    patch = unsigned(ada)
    assert "--behind adds nothing" in ada.auths("adopt", "--behind", patch).stderr
    assert staged(ada) == [patch]


def test_what_is_older_than_the_root_needs_no_adoption(ada: Person) -> None:
    root = ada.git("config", "auths.root").stdout.strip()
    for what in (root, f"{root}..{root}"):
        assert "names no commits after the trust root" in ada.auths("adopt", what, code=128).stderr
    assert ada.auths("adopt", "nothing-of-the-kind", code=128).stderr.startswith("error: ")


def test_a_decision_that_went_away_in_the_working_tree_is_not_dropped(ada: Person) -> None:
    patch = unsigned(ada)
    ada.auths("adopt", patch)
    ada.git("commit", "--quiet", "-m", "Adopt it")
    another = unsigned(ada)
    (ada.at / ".auths/adopted").write_text("# tidied up\n")
    done = ada.auths("adopt", another, code=128)
    assert "decisions are append-only" in done.stderr
    assert "hint: git checkout HEAD -- .auths/adopted" in done.stderr
    (ada.at / ".auths/adopted").write_text(patch)
    assert "no line feed" in ada.auths("adopt", another, code=128).stderr


def test_a_subject_is_shown_without_its_control_characters(ada: Person) -> None:
    patch = unsigned(ada, "Good \x1b[2Knews")
    shown = ada.auths("adopt", patch).stderr
    assert "\x1b" not in shown
    assert "Good \\x1b[2Knews" in shown


def test_nothing_is_written_through_a_symbolic_link(ada: Person, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("")
    patch = unsigned(ada)
    (ada.at / ".auths/adopted").symlink_to(tmp_path / "elsewhere")
    assert "symbolic link" in ada.auths("adopt", patch, code=128).stderr
    assert (tmp_path / "elsewhere").read_text() == ""


@pytest.mark.parametrize("command", ["adopt", "countersign", "approve"])
def test_a_symmetric_difference_is_wrong_usage(ada: Person, command: str) -> None:
    """What A has alone is not behind B: it would be counted without having been judged."""
    start = ada.head()
    ada.git("switch", "--quiet", "--create", "side")
    unsigned(ada)
    ada.git("switch", "--quiet", "main")
    ada.commit()
    assert "A..B" in ada.auths(command, "side...main", code=129).stderr
    assert "1 commit good already" in ada.auths("adopt", f"{start}..main").stderr


def inverted(project: Project) -> tuple[str, str]:
    """Bob's commit, made before he was removed, as the first parent of a merge that is the mainline: (it, the merge)"""
    ada, bob = project.with_bob("commit").ada, project.bob
    named = bob.commit("bob")
    ada.auths("policy", "remove-signer", bob.did(), "--role", "commit", "--no-receive")
    ada.git("commit", "--quiet", "-m", "Remove Bob")
    removed = ada.head()
    ada.git("fetch", "--quiet", bob.at, "main")
    ada.git("switch", "--quiet", "--detach", named)
    ada.git("-c", "auths.enforceOnSign=false", "merge", "--quiet", "--no-edit", removed)
    merge = ada.head()
    ada.git("branch", "--quiet", "-f", "main", merge)
    ada.git("switch", "--quiet", "main")
    return named, merge


def test_whom_an_inverted_mainline_brings_in_is_adopted_though_good(project: Project) -> None:
    named, merge = inverted(project)
    ada = project.ada
    assert [(one["id"], one["verdict"]) for one in ada.ask("verify")["objects"]] == [(merge, "mainline-inverted")]
    commands = [
        need["command"]
        for need in json.loads(ada.auths("explain", merge, "--json", code=1).stdout)["object"]["missing"]
    ]
    assert commands == ["git rebase; git merge --ff-only", f"git auths adopt {named}"]
    done = ada.auths("adopt", merge, code=1)
    assert f"adopt {named} instead\nhint: git auths adopt {named}\n" in done.stderr
    ada.auths("adopt", named)
    assert staged(ada) == [named]
    ada.git("commit", "--quiet", "-m", "Adopt it")
    assert ada.ask("verify")["ok"]
