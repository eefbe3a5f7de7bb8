"""The copy of `allowed_signers` in the git directory, which stock git reads: written only from a good mainline tip."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from git_auths.core.auths_folder import generated_allowed_signers
from git_auths.store.atomic import write_file

if TYPE_CHECKING:
    from git_auths.store.repository import Repository
    from git_auths.store.verdicts import Verifier


def allowed_signers_file(repository: Repository) -> Path:
    """Our copy: a checkout can bring its own `.auths/allowed_signers`, but not this one."""
    return repository.common_dir / "auths" / "allowed_signers"


def write_allowed_signers(verifier: Verifier) -> None:
    """Renew the copy. The caller has just seen that the mainline's tip is good."""
    path = allowed_signers_file(verifier.repository)
    content = generated_allowed_signers(verifier.mainline_folder())
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(exist_ok=True)
    write_file(path, content, 0o644)
