"""Making signatures with an identity: by ssh-agent where it holds the key, else by the key file; with that of the
environment, by the key there and nothing else."""

from __future__ import annotations

from git_auths.core import sshsig
from git_auths.store import keystore, sshagent

TYPE_CHECKING = False  # importing typing for its name would cost 9 ms
if TYPE_CHECKING:
    from pathlib import Path

    from git_auths.store.secrets import Secrets


def identity(secrets: Secrets, path: Path | None = None) -> keystore.Identity:
    """Who signs in the repository at `path`: the environment's identity where it names one, else this machine's.

    Raises errors.Error: there is none, or it cannot be used.
    """
    if secrets.name_an_identity:
        from git_auths.store import pipeline

        return pipeline.identity(secrets, path)
    from git_auths.store import settings

    return keystore.load(settings.signing_alias(path))


def ssh_signature(identity: keystore.Identity, data: bytes, secrets: Secrets) -> bytes:
    """The SSH signature blob of `identity`'s current key over `data`."""
    if keystore.is_without_files(identity):
        from git_auths.store import pipeline

        return pipeline.private_key(secrets).sign(data)
    signature = sshagent.sign(identity.current_blob, data)
    if signature is None:
        from git_auths.store import passphrase

        return passphrase.unlock(identity.alias, keystore.read_current(identity), secrets).sign(data)
    try:
        if sshsig.verify_raw(identity.current_blob, signature, data):
            return signature
    except sshsig.BadSignature:
        pass  # what it says is no more use than a signature that does not verify
    raise sshagent.not_by_its_key()
