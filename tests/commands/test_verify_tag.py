"""git auths verify-tag: what `test_releases` does not reach"""

from __future__ import annotations

from tests.people import Person, Project


def test_a_tag_object_of_twenty_megabytes_is_malformed(ada: Person) -> None:
    head = f"object {ada.head()}\ntype commit\ntag v1\ntagger A <a@b> 1 +0000\n\n"
    (ada.home / "raw").write_bytes(head.encode() + b"x" * 20_000_000)
    id = ada.git("hash-object", "-t", "tag", "-w", ada.home / "raw").stdout.strip()
    ada.git("update-ref", "refs/tags/v1", id)
    (judged,) = ada.ask("verify-tag", "v1")["objects"]
    assert (judged["id"], judged["verdict"]) == (id, "malformed")


def test_a_full_ref_name_is_taken_as_it_is(ada: Person) -> None:
    ada.git("tag", "-s", "-m", "x", "v1")
    ada.git("branch", "v1")
    assert ada.ask("verify-tag", "refs/tags/v1")["ok"]
    assert ada.ask("verify-tag", "v1")["ok"], "a branch of the same name is another thing"


def test_a_clone_without_trees_is_incomplete(project: Project) -> None:
    """Blobs and trees are missing in a partial clone; none is fetched on the quiet."""
    ada = project.ada
    ada.commit()
    ada.git("tag", "-s", "-m", "x", "v1")
    ada.git("push", "--quiet", "origin", "main", "v1")
    ada.git("-C", project.server, "config", "uploadpack.allowFilter", "true")
    carol = Person(project.folder, "carol")
    carol.at = carol.home / "work"
    carol.git("clone", "--quiet", "--bare", "--filter=tree:0", f"file://{project.server}", carol.at, cwd=carol.home)
    carol.git("config", "auths.root", project.root)
    carol.git("config", "auths.mainline", "refs/heads/main")
    carol.git("remote", "set-url", "origin", "/nowhere")
    for command in (("verify", "main"), ("verify-tag", "v1")):
        assert [o["verdict"] for o in carol.ask(*command)["objects"]] == ["incomplete"]


def test_a_bad_mainline_is_not_blamed_on_what_is_behind_the_tag(ada: Person) -> None:
    ada.git("tag", "-s", "-m", "x", "v1")
    ada.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "unsigned")
    (judged,) = ada.ask("verify-tag", "v1")["objects"]
    assert judged["verdict"] == "unsigned"
    assert judged["reason"].startswith("the mainline, by whose policy releases are judged, ")
    assert f"is not good at {ada.head()}: " in judged["reason"]
    assert "stands behind it" not in judged["reason"]
    assert f"hint: git auths explain {ada.head()}\n" in ada.auths("explain", "v1", code=1).stderr
