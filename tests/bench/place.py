"""A folder with a home, an identity and a repository of its own, for one run of a benchmark."""

from __future__ import annotations

import contextlib
import os
import shutil
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

from git_auths.core import opensshkey
from tests.bench.measure import run


@contextlib.contextmanager
def repository() -> Iterator[Path]:
    """A repository with a policy and no hooks; the key of its one signer lies open in a file."""
    folder = Path(tempfile.mkdtemp(prefix="git-auths-bench-"))
    try:
        _set_environment(folder)
        work = folder / "work"
        run("git", "init", "--quiet", work)
        run("git", "auths", "init", "--no-passphrase", cwd=work)
        run("git", "auths", "policy", "init", cwd=work)
        run("git", "auths", "hooks", "uninstall", cwd=work)
        yield work
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def key_file() -> Path:
    return Path(os.environ["AUTHS_HOME"], "identities", "main", "current")


def key() -> opensshkey.PrivateKey:
    found = opensshkey.unencrypted_private(key_file().read_bytes())
    assert found is not None
    return found


def forget() -> None:
    """Lose what earlier runs found: the next is cold."""
    shutil.rmtree(os.environ["XDG_CACHE_HOME"], ignore_errors=True)


def _set_environment(folder: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("GIT_", "AUTHS_", "SSH_"))]:
        del os.environ[name]
    os.environ |= {
        "HOME": str(folder), "AUTHS_HOME": str(folder / "auths"), "XDG_CACHE_HOME": str(folder / "cache"),
        "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": str(folder / ".gitconfig"),
        "PATH": f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}",
    }  # fmt: skip
    (folder / ".gitconfig").write_text("[user]\nname = Ada Example\nemail = ada@example.com\n[init]\ndefaultBranch = main\n"
                                       "[gc]\nauto = 0\n[maintenance]\nauto = false\n")  # fmt: skip
