"""git auths hooks"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from git_auths.store import hookfiles
from tests.people import Person, Project

# What Gitea and Forgejo put at hooks/pre-receive, in their own words but doing the same.
DISPATCHER = """#!/bin/sh
lines=$(cat)
failed=0
for hook in "$GIT_DIR"/hooks/pre-receive.d/*; do
    test -x "$hook" || continue
    printf '%s\\n' "$lines" | "$hook" || failed=1
done
exit $failed
"""


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


def test_a_hook_that_git_would_not_run_is_renewed(ada: Person) -> None:
    """git passes over a hook that cannot be executed, and then nothing judges the push."""
    hook(ada).chmod(0o644)
    assert "pre-push old" in ada.auths("hooks", "status").stdout
    ada.auths("hooks", "install")
    assert "pre-push current" in ada.auths("hooks", "status").stdout
    assert hook(ada).stat().st_mode & 0o111


def test_the_merge_driver_comes_and_goes_with_the_hooks(ada: Person) -> None:
    def settings() -> str:
        return ada.git("config", "--get-regexp", "^merge[.]auths-kel[.]", code=None).stdout

    assert f"{Path(sys.executable).parent}/python" in settings(), "by its absolute path"
    assert " -I -m git_auths.hooks.merge_kel %O %A %B %P\n" in settings()
    assert "removed the merge driver" in ada.auths("hooks", "uninstall").stderr
    assert settings() == ""
    ada.git("config", "merge.auths-kel.driver", "mine %A")
    assert "merge driver" not in ada.auths("hooks", "uninstall").stderr, "what is not ours stays"
    assert "set the merge driver" in ada.auths("hooks", "install").stderr
    assert "git_auths.hooks.merge_kel" in settings()


class Forge:
    """A server whose hooks/pre-receive a forge owns."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.hooks = project.server / "hooks"
        self.auths("hooks", "uninstall")
        self.write("pre-receive", DISPATCHER)
        self.write("pre-receive.d/gitea", "#!/bin/sh\ncat >seen-by-the-forge\n")

    def write(self, name: str, script: str) -> None:
        path = self.hooks / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(script)
        path.chmod(0o755)

    def auths(self, *args: str) -> str:
        done = self.project.ada.auths(*args, cwd=self.project.server)
        return done.stdout + done.stderr

    def takes_good_and_refuses_bad(self) -> None:
        ada = self.project.ada
        ada.commit()
        ada.git("push", "--quiet", "--no-verify")
        ada.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "unsigned")
        assert f"{ada.head()} is unsigned" in ada.git("push", "--no-verify", code=1).stderr


@pytest.fixture
def forge(project: Project) -> Forge:
    return Forge(project)


def test_where_a_forge_owns_the_hook_ours_goes_beside_its_own(forge: Forge) -> None:
    ours = forge.hooks / "pre-receive.d/git-auths"
    assert f"installed the pre-receive hook: {ours}" in forge.auths("hooks", "install", "--server")
    assert (forge.hooks / "pre-receive").read_text() == DISPATCHER
    assert f"pre-receive current {ours}" in forge.auths("hooks", "status")
    assert "installed already" in forge.auths("hooks", "install", "--server")
    forge.takes_good_and_refuses_bad()
    assert (forge.project.server / "seen-by-the-forge").exists()
    forge.auths("hooks", "uninstall")
    assert sorted(path.name for path in (forge.hooks / "pre-receive.d").iterdir()) == ["gitea"]
    assert "pre-receive not installed" in forge.auths("hooks", "status")


@pytest.mark.parametrize("reason", ["no hook", "another hook", "a hook that cannot run"])
def test_a_folder_that_nothing_runs_is_no_place_for_ours(forge: Forge, reason: str) -> None:
    """There it would look installed, and judge no push."""
    if reason == "no hook":
        (forge.hooks / "pre-receive").unlink()
    elif reason == "another hook":
        forge.write("pre-receive", "#!/bin/sh\nexit 0\n")
    else:
        (forge.hooks / "pre-receive").chmod(0o644)
    forge.auths("hooks", "install", "--server")
    assert f"pre-receive current {forge.hooks / 'pre-receive'}\n" in forge.auths("hooks", "status")
    forge.takes_good_and_refuses_bad()


def test_a_shim_in_front_of_the_forges_hook_makes_way_for_it(forge: Forge) -> None:
    """As an earlier version left it: the forge would put its own back there, and ours would be gone."""
    (forge.hooks / "pre-receive").rename(forge.hooks / "pre-receive.before-auths")
    forge.write("pre-receive", hookfiles.shim_text("pre-receive").decode())
    assert "pre-receive old" in forge.auths("hooks", "status")
    forge.auths("hooks", "install", "--server")
    assert (forge.hooks / "pre-receive").read_text() == DISPATCHER
    assert not (forge.hooks / "pre-receive.before-auths").exists()
    forge.takes_good_and_refuses_bad()


def test_something_elses_file_of_our_name_is_not_overwritten(forge: Forge) -> None:
    forge.write("pre-receive.d/git-auths", "#!/bin/sh\n")
    forge.auths("hooks", "install", "--server")
    forge.auths("hooks", "uninstall")
    assert (forge.hooks / "pre-receive.d/git-auths").read_text() == "#!/bin/sh\n"


def test_in_gitlabs_storage_ours_goes_where_gitlab_looks(project: Project, tmp_path: Path) -> None:
    server = tmp_path / "@hashed/ab/cd/abcd.git"
    project.ada.git("init", "--quiet", "--bare", server)
    project.ada.auths("hooks", "install", "--server", cwd=server)
    ours = server / "custom_hooks/pre-receive.d/git-auths"
    assert f"pre-receive current {ours}\n" in project.ada.auths("hooks", "status", cwd=server).stdout
    assert not (server / "hooks/pre-receive").exists()
    project.ada.auths("hooks", "uninstall", cwd=server)
    assert not ours.exists()


def test_a_link_that_was_there_is_kept_and_called_first(project: Project, tmp_path: Path) -> None:
    """gitolite links each repository's hooks to its own."""
    server, common = project.server, tmp_path / "common-pre-receive"
    common.write_text("#!/bin/sh\necho the common hook >&2\n")
    common.chmod(0o755)
    project.ada.auths("hooks", "uninstall", cwd=server)
    (server / "hooks/pre-receive").symlink_to(common)
    project.ada.auths("hooks", "install", "--server", cwd=server)
    project.ada.commit()
    assert "the common hook" in project.ada.git("push", "--no-verify").stderr
    assert "common hook" in common.read_text()
    project.ada.auths("hooks", "uninstall", cwd=server)
    assert (server / "hooks/pre-receive").is_symlink()
