"""What the environment holds in secret, taken out of it before any child process starts.

A module of its own: the programs that git starts do this first, and most of them never read a private key.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # importing typing for its name would cost 9 ms
if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from git_auths.core.opensshkey import PrivateKey

DID = "AUTHS_DID"
PASSPHRASE = "AUTHS_PASSPHRASE"  # noqa: S105, a name
PRIVATE_KEY = "AUTHS_PRIVATE_KEY"
PRIVATE_KEY_FD = "AUTHS_PRIVATE_KEY_FD"
# Tokens that speak for the CI's job to other services, or get such. Not CI_JOB_TOKEN and GITHUB_TOKEN: by these git's
# own credential helpers fetch and push.
FOREIGN_TOKENS = (
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "GITLAB_OIDC_TOKEN", "SIGSTORE_ID_TOKEN", "VAULT_ID_TOKEN", "CI_JOB_JWT", "CI_JOB_JWT_V1", "CI_JOB_JWT_V2",
    "CIRCLE_OIDC_TOKEN", "CIRCLE_OIDC_TOKEN_V2",
    "BITBUCKET_STEP_OIDC_TOKEN",
)  # fmt: skip
TOKEN_ENDINGS = ("_TOKEN", "_SECRET", "_PASSWORD")


class Secrets:
    """What the environment held in secret. `tokens` are by the name they had there; `private_key_fd` is the
    file descriptor that AUTHS_PRIVATE_KEY_FD names: -1, which is never open, where that is no number. `did` is whose
    the private key is; `opened` is that key once `store.pipeline` has opened it."""

    __slots__ = ("did", "opened", "passphrase", "private_key", "private_key_fd", "tokens")

    def __init__(
        self,
        passphrase: bytes | None = None,
        private_key: bytes | None = None,
        private_key_fd: int | None = None,
        tokens: dict[str, str] | None = None,
        did: str | None = None,
    ) -> None:
        self.passphrase = passphrase
        self.private_key = private_key
        self.private_key_fd = private_key_fd
        self.tokens = tokens or {}
        self.did = did
        self.opened: PrivateKey | None = None

    @property
    def name_an_identity(self) -> bool:
        """Does the environment say, in whole or in part, who signs?"""
        return not (self.did is None and self.private_key is None and self.private_key_fd is None)

    def __repr__(self) -> str:
        return "<Secrets>"


def take_secrets(environ: MutableMapping[str, str] = os.environ) -> Secrets:
    """Move every secret out of `environ`. Programs call this first of all, so that no child inherits one; the
    descriptor of AUTHS_PRIVATE_KEY_FD is closed to children as well. AUTHS_DID goes along: to a child that has no key
    it would only be half of an identity. Raises nothing."""
    did = environ.pop(DID, "")
    passphrase = environ.pop(PASSPHRASE, "")
    private_key = environ.pop(PRIVATE_KEY, "")
    descriptor = environ.pop(PRIVATE_KEY_FD, "")
    tokens = {name: environ.pop(name) for name in list(environ) if _is_token(name)}
    return Secrets(os.fsencode(passphrase) or None, os.fsencode(private_key) or None, _descriptor(descriptor), tokens,
                   did or None)  # fmt: skip


def _is_token(name: str) -> bool:
    return name in FOREIGN_TOKENS or (name.startswith("AUTHS_") and name.endswith(TOKEN_ENDINGS))


def _descriptor(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 8):
        return -1
    from contextlib import suppress

    with suppress(OSError):  # not open: whoever needs the key says so
        os.set_inheritable(int(text), False)
    return int(text)
