"""What a repository pins to judge evidence by: CI issuers, time stamping authorities, transparency logs.

`.auths/oidc/*.json`, `.auths/tsa/*.pem` and `.auths/rekor/*.json` (DESIGN section 3), covered by the admin rule. A file
that cannot be read pins nothing, and is named where what it might have pinned is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from git_auths.errors import TooLarge

if TYPE_CHECKING:
    from git_auths.core.oidc import Issuer
    from git_auths.core.timestamp import Authority
    from git_auths.core.transparency import Log

OIDC, TSA, REKOR = b"oidc/", b"tsa/", b"rekor/"
MAX_PIN_BYTES = 256 * 1024
MAX_PINS = 64  # of each kind


class Pins(NamedTuple):
    """`unreadable`: the files that hold none, each with the reason."""

    issuers: tuple[Issuer, ...] = ()
    authorities: tuple[Authority, ...] = ()
    logs: tuple[Log, ...] = ()
    unreadable: tuple[str, ...] = ()


def is_pin(path: bytes) -> bool:
    """Does the file at this path below `.auths` pin something?"""
    return path.startswith((OIDC, TSA, REKOR))


def read(files: Mapping[bytes, str], content: Callable[[str], bytes]) -> Pins:
    """The pins among the `files` of a folder `.auths` (path in it -> blob id); `content` reads a blob, and raises
    TooLarge above MAX_PIN_BYTES."""
    if not any(map(is_pin, files)):
        return Pins()
    from git_auths.core import oidc, timestamp, transparency
    from git_auths.core.dsse import load_json

    unreadable: list[str] = []

    def pinned(folder: bytes, ending: bytes) -> Iterator[tuple[str, bytes]]:
        paths = sorted(path for path in files if path.startswith(folder) and path.endswith(ending))
        for path in paths[:MAX_PINS]:
            name = path.removeprefix(folder).removesuffix(ending).decode(errors="backslashreplace")
            try:
                yield name, content(files[path])
            except TooLarge as error:
                unreadable.append(f"{_shown(path)}: {error.message}")
        unreadable.extend(f"{_shown(path)}: more than {MAX_PINS} are pinned" for path in paths[MAX_PINS:])

    issuers, authorities, logs = [], [], []
    for name, data in pinned(OIDC, b".json"):
        try:
            issuers.append(oidc.issuer_from_json(data))
        except oidc.PinInvalid as error:
            unreadable.append(f".auths/oidc/{name}.json: {error}")
    for name, data in pinned(TSA, b".pem"):
        try:
            authorities.append(timestamp.authority_from_pem(data, name))
        except timestamp.TimestampInvalid as error:
            unreadable.append(f".auths/tsa/{name}.pem: {error}")
    for name, data in pinned(REKOR, b".json"):
        try:
            logs.append(transparency.log_from_json(load_json(data)))
        except ValueError as error:
            unreadable.append(f".auths/rekor/{name}.json: {error}")
    return Pins(tuple(issuers), tuple(authorities), tuple(logs), tuple(unreadable))


def _shown(path: bytes) -> str:
    return ".auths/" + path.decode(errors="backslashreplace")
