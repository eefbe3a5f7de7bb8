"""post-merge: what was pulled is judged, and the copy of allowed_signers follows the mainline"""

from __future__ import annotations

from tests.people import Project


def test_after_a_pull_stock_verification_knows_the_new_signer(project: Project) -> None:
    copy = project.bob.at / ".git/auths/allowed_signers"
    before = copy.read_text()
    project.with_bob("commit")
    assert "bob@example.com" not in before
    assert "bob@example.com" in copy.read_text()
    assert project.bob.git("log", "-1", "--format=%G?").stdout.strip() == "G"


def test_a_bad_mainline_is_named_and_changes_no_copy(project: Project) -> None:
    copy = (project.bob.at / ".git/auths/allowed_signers").read_bytes()
    ada = project.ada
    (project.server / "hooks/pre-receive").unlink()
    ada.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "unsigned")
    ada.git("push", "--quiet", "--no-verify")
    done = project.bob.git("pull", "--quiet", "--ff-only")
    assert f"warning: what was pulled is not good: {ada.head()} unsigned" in done.stderr
    assert (project.bob.at / ".git/auths/allowed_signers").read_bytes() == copy


def test_what_somebody_answered_for_counts_after_a_pull(project: Project) -> None:
    """The notes come with the pull, and are united with ours before the mainline is judged."""
    project.with_bob("commit")
    ada, bob = project.ada, project.bob
    (project.server / "hooks/pre-receive").unlink()
    ada.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "a bot's")
    ada.git("push", "--quiet", "--no-verify")
    ada.auths("countersign", "HEAD")
    assert "warning" not in bob.git("pull", "--quiet", "--ff-only").stderr
    assert bob.ask("verify")["ok"] is True
