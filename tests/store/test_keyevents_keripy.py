"""What this machine's identities write, keripy accepts, to the same key state."""

from __future__ import annotations

from typing import Any

import pytest

from git_auths.core import kelbuild
from git_auths.core.kel import replay, replay_all
from git_auths.core.kelstream import SealSource, messages
from git_auths.store import keyevents, keystore
from git_auths.store.keyevents import Request
from git_auths.store.secrets import Secrets
from tests.core.test_kel_keripy import in_keripy, in_memory, of_ours
from tests.kels import GrowingLog
from tests.store.test_keyevents import KINDS, SEAL

__all__ = ["in_memory"]
SECRETS = Secrets()


@pytest.mark.parametrize("kind", KINDS)
def test_keripy_takes_a_log_of_each_kind(kind: str) -> None:
    options: dict[str, Any] = KINDS[kind]
    keyevents.incept("main", SECRETS, unencrypted=True, **options)
    keyevents.seal("main", [SEAL], SECRETS)
    keyevents.rotate("main", SECRETS, [SEAL])
    keyevents.rotate("main", SECRETS)
    stream = keystore.read_kel(keystore.load("main"))
    log = replay(stream)
    assert in_keripy(stream) == {log.aid: of_ours(log)}


def test_keripy_takes_the_log_of_a_delegate() -> None:
    owner = GrowingLog()
    identity = keyevents.incept("main", SECRETS, unencrypted=True, delegator=owner.kel.aid)
    stream = b""
    message = keystore.read_kel(identity)
    for _ in range(2):
        [found] = messages(message)
        owner.interact(kelbuild.event_seal(found.raw))
        source = SealSource(owner.kel.sn, owner.kel.said)
        stream += kelbuild.with_signatures(found.raw, found.attachments.signatures, source=source)
        keyevents.finish("main", stream)
        made = keyevents.rotate("main", SECRETS)
        assert isinstance(made, Request)
        message = made.message
    both = owner.stream + stream
    assert in_keripy(both) == {log.aid: of_ours(log) for log in replay_all(both)}
