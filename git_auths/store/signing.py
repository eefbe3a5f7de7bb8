"""Making signatures with an identity: by ssh-agent where it holds the key, else by the key file."""

from __future__ import annotations

from git_auths.store import keystore, passphrase, sshagent


def ssh_signature(identity: keystore.Identity, data: bytes, secrets: passphrase.Secrets) -> bytes:
    """The SSH signature blob of `identity`'s current key over `data`."""
    signature = sshagent.sign(identity.current_blob, data)
    if signature is not None:
        return signature
    return passphrase.unlock(identity.alias, keystore.read_current(identity), secrets).sign(data)
