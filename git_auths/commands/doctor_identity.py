"""The part of `doctor` that looks at the identities of this machine: files, keys, what was begun and not finished."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator

from git_auths.core.opensshkey import KeyInvalid, PrivateElsewhere, unencrypted_private
from git_auths.core.sshsig import fingerprint
from git_auths.errors import Error
from git_auths.store import delegating, keyevents, keystore, sshagent
from git_auths.store.health import BAD, OK, WARN, Finding
from git_auths.store.keystore import Identity

RECOVERY = "man gitauths-recovery, A lost next key, says how to go on without it"
AGENT = "agent"  # as keystore.metadata has it


def check_identities() -> Iterator[Finding]:
    """What there is to say of each identity, and of ssh-agent."""
    aliases = keystore.aliases()
    if not aliases:
        yield Finding(WARN, "no identity on this machine", "git auths init makes one")
        return
    held = keys_in_agent()
    if isinstance(held, Finding):
        yield held
        held = []
    for alias in aliases:
        yield from check_identity(alias, held)


def keys_in_agent() -> list[bytes] | Finding:
    try:
        return [blob for blob, _ in sshagent.list_keys()]
    except Error as error:
        return Finding(WARN, error.message, error.hint)


def check_identity(alias: str, held: list[bytes]) -> Iterator[Finding]:
    folder = os.path.join(keystore.home(), "identities", alias)
    exposed = list(others_can_reach(folder))
    yield from (closed(alias, path) for path in exposed)
    if exposed:
        return  # such keys are not read
    was_rotating = keystore.is_rotating(folder)
    try:
        identity = keystore.load(alias)
        log = keyevents.own_log(identity)
    except Error as error:
        yield Finding(BAD, f"'{alias}': {error.message}", error.hint)
        return
    if was_rotating:
        yield Finding(OK, f"'{alias}': a rotation that was interrupted is complete now")
    current = identity.current_blob
    if log.current_signing_keys() and current not in [key.ssh_blob() for key in log.state.keys]:
        yield Finding(BAD, f"'{alias}': its log does not have the key in {folder} as current",
                      "restore the folder as a whole")  # fmt: skip
        return
    place = "in ssh-agent" if current in held else "not in ssh-agent"
    yield Finding(OK, f"'{alias}' is {log.did}, event {log.sn}, key {fingerprint(current)} {place}")
    yield from check_keys(identity, held)
    yield from check_waiting(identity)


def others_can_reach(folder: str) -> Iterator[str]:
    """The paths in an identity's folder, itself too, that are open to others."""
    for place, _, names in os.walk(folder):
        for path in (place, *(os.path.join(place, name) for name in names)):
            try:
                status = os.lstat(path)
            except FileNotFoundError:
                continue  # another process has put it in place
            if not stat.S_ISLNK(status.st_mode) and status.st_mode & 0o077:
                yield path


def closed(alias: str, path: str) -> Finding:
    mode = 0o700 if os.path.isdir(path) else 0o600

    def close() -> str:
        try:
            os.chmod(path, mode)
        except OSError as error:
            raise Error(f"{path}: {error.strerror}") from None
        return f"now {mode:o}; if others used this machine, git auths rotate --compromised"

    return Finding(BAD, f"'{alias}': others can reach {path}", f"chmod {mode:o} {shlex.quote(path)}", close)


def check_keys(identity: Identity, held: list[bytes]) -> Iterator[Finding]:
    alias = identity.alias
    try:
        currents, nexts = keystore.read_currents(identity), keystore.read_nexts(identity)
    except Error as error:
        yield Finding(WARN, f"'{alias}': {error.message}", error.hint or RECOVERY)
        return
    if os.path.dirname(keystore.next_file(identity)) == identity.folder:
        yield Finding(WARN, f"'{alias}': the current and the next key are in one folder, so who steals one has both",
                      f"git auths rotate --alias {alias} --next-key PATH puts the next one elsewhere")  # fmt: skip
    is_agent = keystore.metadata(identity).get("kind") == AGENT
    for name, keys in (("current", currents), ("next", nexts)):
        if not is_agent and any(map(is_unencrypted, keys)):
            path = keystore.next_file(identity) if name == "next" else os.path.join(identity.folder, keystore.CURRENT)
            yield Finding(WARN, f"'{alias}': the {name} key has no passphrase", f"ssh-keygen -p -f {shlex.quote(path)}")
    forget_next = f"ssh-add -d {shlex.quote(keystore.next_file(identity))}"
    yield from (evictable(alias, "the next key", pem, forget_next) for pem in nexts if blob_of(pem) in held)
    previous = [pem for _, pem in keystore.read_previous(identity)]
    forget = f"git auths lock --alias {alias}"
    yield from (
        evictable(alias, "a key that was rotated away", pem, forget) for pem in previous if blob_of(pem) in held
    )


def is_unencrypted(pem: bytes) -> bool:
    try:
        return unencrypted_private(pem) is not None
    except (PrivateElsewhere, KeyInvalid):
        return False


def blob_of(pem: bytes) -> bytes:
    return keystore.public_blob_of("a key file", pem)


def evictable(alias: str, which: str, pem: bytes, hint: str) -> Finding:
    """ssh-agent holds a key that is not to be there."""

    def evict() -> str:
        if not sshagent.remove(blob_of(pem)):
            raise Error("ssh-agent keeps it", "ssh-add -D makes it forget all keys")
        return "not any more"

    return Finding(WARN, f"'{alias}': ssh-agent holds {which}", hint, evict)


def check_waiting(identity: Identity) -> Iterator[Finding]:
    """What this identity, a device or agent, waits for its owner to seal."""
    message = delegating.waiting(identity)
    if message is not None:
        what = "its owner's seal on a rotation" if message.body.ilk == "drt" else "its owner's approval"
        yield Finding(WARN, f"'{identity.alias}' waits for {what}, or has not taken it up",
                      f"git auths device finish --alias {identity.alias}, once its owner has approved it")  # fmt: skip
