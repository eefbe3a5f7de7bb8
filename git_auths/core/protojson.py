"""Protobuf messages as JSON, strictly: what Sigstore's bundles, trusted roots and log answers are written in.

Source: the protobuf guide's ProtoJSON chapter, as narrowed by Sigstore's client specification, section 5: names in
lowerCamelCase only, enumerations by name. A field that is null or missing has its default; a field that the message
does not have is refused, because its meaning would be lost.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from datetime import datetime, timezone

MAX_INT64 = 2**63 - 1
_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,18})", re.ASCII)
_STANDARD = re.compile(r"[A-Za-z0-9+/]*={0,2}", re.ASCII)
_URL_SAFE = re.compile(r"[A-Za-z0-9_-]*={0,2}", re.ASCII)
_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?Z", re.ASCII)


class MessageInvalid(ValueError):
    """The JSON is not the message that it should be; `reason` names the field."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Message:
    """One message: the fields that are set, by name, and `where` it stands, for error messages."""

    __slots__ = ("_fields", "where")

    def __init__(self, value: object, where: str, names: Iterable[str]) -> None:
        """`names` are all the fields that the message has."""
        if not isinstance(value, dict):
            raise MessageInvalid(f"{where} is not an object")
        unknown = value.keys() - set(names)
        if unknown:
            raise MessageInvalid(f"{where} has an unknown field {min(unknown)[:40]!r}")
        self.where = where
        self._fields = {name: field for name, field in value.items() if field is not None}

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def only(self, names: Iterable[str]) -> str:
        """The one of `names` that is set: a `oneof` that must be there."""
        present = [name for name in names if name in self._fields]
        if len(present) != 1:
            raise MessageInvalid(f"{self.where} has {len(present)} of {', '.join(names)}, where it must have one")
        return present[0]

    def message(self, name: str, *names: str) -> Message:
        return Message(self._fields.get(name), f"{self.where}.{name}", names)

    def messages(self, name: str, limit: int, *names: str) -> list[Message]:
        """The messages of a repeated field, at most `limit`."""
        return [Message(item, f"{self.where}.{name}", names) for item in self._items(name, limit)]

    def octets(self, name: str) -> bytes:
        """A field of type bytes, of any length."""
        return octets(self._fields.get(name, ""), f"{self.where}.{name}")

    def some_octets(self, name: str) -> bytes:
        """A field of type bytes that must not be empty."""
        value = self.octets(name)
        if not value:
            raise MessageInvalid(f"{self.where}.{name} is missing or empty")
        return value

    def all_octets(self, name: str, limit: int) -> tuple[bytes, ...]:
        """A repeated field of type bytes."""
        return tuple(octets(item, f"{self.where}.{name}") for item in self._items(name, limit))

    def text(self, name: str, max_chars: int) -> str:
        value = self._fields.get(name, "")
        if not isinstance(value, str) or len(value) > max_chars:
            raise MessageInvalid(f"{self.where}.{name} is not a string of at most {max_chars} characters")
        return value

    def natural(self, name: str) -> int:
        """A field of type int64 that is not negative: a string of decimal digits, or a number."""
        value = self._fields.get(name, 0)
        if isinstance(value, str) and _DECIMAL.fullmatch(value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_INT64:
            raise MessageInvalid(f"{self.where}.{name} is not an int64 of zero or more")
        return value

    def seconds(self, name: str) -> int | None:
        """A google.protobuf.Timestamp in UTC, in whole seconds since 1970; None when it is not set."""
        if name not in self._fields:
            return None
        matched = _TIMESTAMP.fullmatch(self.text(name, 30))
        try:
            parsed = datetime.strptime(matched[1], "%Y-%m-%dT%H:%M:%S") if matched else None
        except ValueError:
            parsed = None
        if parsed is None:
            raise MessageInvalid(f"{self.where}.{name} is not a time such as 2026-11-21T10:00:00Z")
        return int(parsed.replace(tzinfo=timezone.utc).timestamp())

    def _items(self, name: str, limit: int) -> list[object]:
        value = self._fields.get(name, [])
        if not isinstance(value, list) or len(value) > limit:
            raise MessageInvalid(f"{self.where}.{name} is not a list of at most {limit}")
        return value


def octets(value: object, where: str) -> bytes:
    """Bytes in JSON: standard or URL-safe base64, not mixed, padded or not, and nothing that is not base64.

    Bits after the last byte must be zero (RFC 4648, section 3.5), so that one value has one spelling in an alphabet.
    """
    if not isinstance(value, str):
        raise MessageInvalid(f"{where} is not a base64 string")
    if _URL_SAFE.fullmatch(value):
        value = value.translate({ord("-"): "+", ord("_"): "/"})
    bare = value.rstrip("=")
    padded = bare + "=" * (-len(bare) % 4)
    if not _STANDARD.fullmatch(value) or len(bare) % 4 == 1 or value not in (bare, padded):
        raise MessageInvalid(f"{where} is not base64")
    decoded = base64.b64decode(padded)
    if base64.b64encode(decoded).decode() != padded:
        raise MessageInvalid(f"{where} is not canonical base64")
    return decoded
