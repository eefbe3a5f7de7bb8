"""git auths hooks"""

from __future__ import annotations

import pytest

from git_auths.store import hookfiles
from tests.people import Person, Project


def hook(person: Person, name: str = "pre-push"):  # type: ignore[no-untyped-def]
    return person.at / ".git/hooks" / name


def test_status_install_and_uninstall(ada: Person) -> None:
    assert "pre-push current" in ada.auths("hooks", "status").stdout
    ada.auths("hooks", "uninstall")
    assert "pre-push not installed" in ada.auths("hooks", "status").stdout
    assert not hook(ada).exists()
    assert "installed" in ada.auths("hooks", "install").stderr
    assert "installed already" in ada.auths("hooks", "install").stderr


def test_an_old_shim_of_ours_is_renewed_and_not_kept(ada: Person) -> None:
    hook(ada).write_bytes(hookfiles.shim_text("pre-push").replace(b"hook 1", b"hook 0"))
    assert "pre-push old" in ada.auths("hooks", "status").stdout
    ada.auths("hooks", "install")
    assert "pre-push current" in ada.auths("hooks", "status").stdout
    assert not hook(ada, "pre-push.before-auths").exists()


def test_a_hook_that_was_there_runs_first_and_can_refuse(project: Project) -> None:
    ada = project.ada
    ada.auths("hooks", "uninstall")
    hook(ada).write_text("#!/bin/sh\necho the old hook; cat >&2; exit 1\n")
    hook(ada).chmod(0o755)
    ada.auths("hooks", "install")
    ada.commit()
    done = ada.git("push", code=1)
    assert "refs/heads/main" in done.stderr, "the old hook sees the same lines on its stdin"
    ada.auths("hooks", "uninstall")
    assert "the old hook" in hook(ada).read_text()


def test_core_hooks_path_is_honoured(ada: Person) -> None:
    folder = ada.home / "my hooks"
    ada.git("config", "core.hooksPath", folder)
    ada.auths("hooks", "install")
    assert (folder / "pre-push").exists()


def test_a_missing_interpreter_refuses_the_push(project: Project) -> None:
    ada = project.ada
    shim = hook(ada)
    shim.write_text(shim.read_text().replace("exec ", "exec /nowhere"))
    ada.commit()
    ada.git("push", "--quiet", code=1)


def test_a_folder_named_like_us_in_the_clone_is_not_imported(project: Project) -> None:
    ada = project.ada
    evil = ada.at / "git_auths/hooks"
    evil.mkdir(parents=True)
    for file in (evil / "pre_push.py", evil / "__init__.py", evil.parent / "__init__.py"):
        file.write_text("open('/dev/stderr', 'w').write('OWNED')\nraise SystemExit(0)\n")
    ada.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "unsigned")
    done = ada.git("push", code=1, PYTHONPATH=str(ada.at))
    assert "OWNED" not in done.stderr
    assert "unsigned" in done.stderr


@pytest.mark.parametrize(("bare", "options"), [(True, []), (False, ["--server"])])
def test_the_wrong_kind_of_repository_is_refused(project: Project, bare: bool, options: list[str]) -> None:
    at = project.server if bare else project.ada.at
    assert "hint: git auths hooks install" in project.ada.auths("hooks", "install", *options, cwd=at, code=128).stderr
