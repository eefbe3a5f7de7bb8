"""post-rewrite: approvals stay with the ids that they name, and whoever rewrites is told"""

from __future__ import annotations

from tests.people import Project


def test_an_amended_commit_leaves_its_approvals_behind(project: Project) -> None:
    ada = project.ada
    old = ada.commit()
    ada.git("commit", "--quiet", "--amend", "-m", "nothing is said of what nobody approved")
    old = ada.head()
    ada.auths("approve", "--no-push", old)
    done = ada.git("commit", "--quiet", "--amend", "-m", "again")
    assert "warning: 1 rewritten commit had attestations" in done.stderr
    assert "hint: git auths approve" in done.stderr
    assert ada.git("notes", "--ref", "auths", "show", ada.head(), code=1).stdout == ""
