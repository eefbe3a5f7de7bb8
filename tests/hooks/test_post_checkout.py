"""post-checkout: what was fetched is judged at the next switch, once; files checked out ask nothing"""

from __future__ import annotations

from tests.people import Project


def test_after_a_fetch_the_next_switch_renews_the_copy(project: Project) -> None:
    bob = project.bob
    copy = bob.at / ".git/auths/allowed_signers"
    before = copy.read_text()
    project.ada.join(bob, "commit")
    project.ada.git("push", "--quiet")
    bob.git("fetch", "--quiet")
    bob.git("checkout", "--quiet", "--", ".")
    assert copy.read_text() == before
    bob.git("switch", "--quiet", "--create", "work")
    assert "bob@example.com" in copy.read_text()


def test_a_bad_mainline_is_named_and_the_switch_is_done(project: Project) -> None:
    ada, bob = project.ada, project.bob
    (project.server / "hooks/pre-receive").unlink()
    ada.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "unsigned")
    ada.git("push", "--quiet", "--no-verify")
    bob.git("fetch", "--quiet")
    done = bob.git("switch", "--quiet", "--create", "work")
    assert f"{ada.head()} unsigned" in done.stderr
    assert bob.git("symbolic-ref", "--short", "HEAD").stdout.strip() == "work"
