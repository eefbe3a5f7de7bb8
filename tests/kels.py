"""Key event logs for tests: signers with keys that are the same in every run, and logs that grow by them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from git_auths.core import cesr, kel, kelbuild, keyevent
from git_auths.core.cesr import IndexedSignature
from git_auths.core.kel import Kel
from git_auths.core.kelstream import SealSource
from git_auths.core.verkey import Key


class Signer(NamedTuple):
    key: Key
    sign: Callable[[bytes], bytes]


def signer(number: int, code: str = "D") -> Signer:
    """Signer `number`, of Ed25519 (D, B) or P-256 (1AAJ, 1AAI)."""
    if code in ("D", "B"):
        edwards = ed25519.Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big"))
        return Signer(Key(code, edwards.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)), edwards.sign)
    private = ec.derive_private_key(number + 1, ec.SECP256R1())

    def sign(data: bytes) -> bytes:
        r, s = decode_dss_signature(private.sign(data, ec.ECDSA(SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    return Signer(Key(code, private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)), sign)


def signatures(event: bytes, signers: Sequence[Signer], priors: Sequence[int | None] | None = None,
               ) -> list[IndexedSignature]:  # fmt: skip
    """One by each, in order of the key list; `priors` are their places among the commitments, else the same."""
    places = range(len(signers)) if priors is None else priors
    return [
        kelbuild.indexed_signature(signer.key, signer.sign(event), index, prior)
        for index, (signer, prior) in enumerate(zip(signers, places, strict=True))
    ]


def commitments(signers: Sequence[Signer]) -> list[str]:
    return [signer.key.commitment for signer in signers]


class GrowingLog:
    """A log of Ed25519 keys (or those of `code`), one at a time, that grows as its owner wishes."""

    def __init__(self, number: int = 1, code: str = "D", delegator: GrowingLog | None = None,
                 **inception: Any) -> None:  # fmt: skip
        self._number, self._code, self.delegator = number * 1000, code, delegator
        self.current, self.next = [self._new()], [self._new()]
        if delegator is not None:
            inception["delegator"] = delegator.kel.aid
        event = kelbuild.inception(keys(self.current), commitments(self.next), **inception)
        self.messages: list[bytes] = []
        self._kel: Kel | None = None
        self._accept(event)

    @property
    def kel(self) -> Kel:
        assert self._kel is not None
        return self._kel

    @property
    def stream(self) -> bytes:
        return b"".join(self.messages)

    def rotate(self, **rotation: Any) -> GrowingLog:
        following = [self._new()]
        event = kelbuild.rotation(self.kel, keys(self.next), commitments(following), **rotation)
        self.current, self.next = self.next, following
        return self._accept(event)

    def interact(self, *anchors: object) -> GrowingLog:
        return self._accept(kelbuild.interaction(self.kel, anchors))

    def _new(self) -> Signer:
        self._number += 1
        return signer(self._number, self._code)

    def _accept(self, event: bytes) -> GrowingLog:
        source = None
        known = {}
        if self.delegator is not None and keyevent.parse_body(event).establishment is not None:
            self.delegator.interact(kelbuild.event_seal(event))
            source = SealSource(self.delegator.kel.sn, self.delegator.kel.said)
            known = {self.delegator.kel.aid: self.delegator.kel}
        message = kelbuild.with_signatures(event, signatures(event, self.current), source=source)
        self._kel = kel.extend(self._kel, message, known) if self._kel else kel.replay(message, known)
        self.messages.append(message)
        return self


def keys(signers: Sequence[Signer]) -> list[Key]:
    return [signer.key for signer in signers]


def event_of(message: bytes) -> bytes:
    """The event without its attachments."""
    return message[: keyevent.read_size(message, 0)]


def edited(event: bytes, **changes: object) -> bytes:
    """The event with other values in these fields (None: without the field), and size and digest made to fit."""
    fields = {name: value for name, value in {**json.loads(event), **changes}.items() if value is not None}
    fields["d"] = keyevent.DUMMY
    if fields["t"] in keyevent.INCEPTIONS and "i" not in changes:
        fields["i"] = keyevent.DUMMY
    return resized(fields)


def resized(fields: dict[str, Any]) -> bytes:
    """The fields as an event, with size and digest."""
    fields = {**fields, "v": cesr.format_version(0)}
    return keyevent.with_digest(keyevent.to_json({**fields, "v": cesr.format_version(len(keyevent.to_json(fields)))}))
