"""The copy of `allowed_signers` in the git directory, which stock git reads: written only from a good mainline tip."""

from __future__ import annotations

from git_auths.core.auths_folder import generated_allowed_signers
from git_auths.store.atomic import write_file
from git_auths.store.verdicts import Verifier
from git_auths.store.wiring import allowed_signers_file


def write_allowed_signers(verifier: Verifier) -> None:
    """Renew the copy. The caller has just seen that the mainline's tip is good."""
    path = allowed_signers_file(verifier.repository)
    content = generated_allowed_signers(verifier.mainline_folder())
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(exist_ok=True)
    write_file(path, content, 0o644)
