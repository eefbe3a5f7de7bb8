"""One line of a note: a DSSE envelope, or a Sigstore bundle that holds one with the evidence about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from git_auths.core import dsse

if TYPE_CHECKING:
    from git_auths.core.bundle import LogEntry


class Line(NamedTuple):
    """An envelope, and what stands beside it: RFC 3161 responses in DER, and entries of transparency logs. None of it
    is verified yet."""

    envelope: dsse.Envelope
    timestamps: tuple[bytes, ...] = ()
    entries: tuple[LogEntry, ...] = ()


def parse(line: bytes) -> Line:
    """What stands in the line, of at most 64 KiB; raises EnvelopeInvalid."""
    if len(line) > dsse.MAX_ENVELOPE_BYTES:
        raise dsse.EnvelopeInvalid(f"longer than {dsse.MAX_ENVELOPE_BYTES} bytes")
    if b'"verificationMaterial"' not in line:
        return Line(dsse.parse(line))
    from git_auths.core import bundle

    try:
        found = bundle.parse(line)
        return Line(bundle.own_envelope(found), found.timestamps, found.entries)
    except bundle.BundleInvalid as error:
        raise dsse.EnvelopeInvalid(error.reason) from None
