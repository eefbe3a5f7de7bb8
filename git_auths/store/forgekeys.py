"""What was registered with forges, as an identity's metadata has it.

An entry is `{"forge": the URL of its API, "kind": ..., "title": ..., "id": ...}`: a throwaway identity has one as
`forge_key`, a lasting one a list of them as `forge_keys`. The title is noted before the forge is asked and the id after
it: an entry without id says that the key may be there, and its title finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from git_auths.store import keystore

ENTRY = "forge_key"
ENTRIES = "forge_keys"
MAX_ENTRIES = 64


class Registered(NamedTuple):
    """A key that a forge has, or may have where `id` is None."""

    forge: str
    kind: str
    title: str
    id: int | None

    def entry(self) -> dict[str, object]:
        return {name: value for name, value in self._asdict().items() if value is not None}

    def noted(self) -> dict[str, object]:
        """What a throwaway identity is to remember, and what the function of `remember_for` takes."""
        return {ENTRY: self.entry()}


def noted_one(noted: Mapping[str, object]) -> Registered | None:
    """The entry of a throwaway identity's metadata."""
    return read_entry(noted.get(ENTRY))


def read_entry(value: object) -> Registered | None:
    """An entry of somebody's metadata; None for what is none."""
    if not isinstance(value, Mapping):
        return None
    forge, kind, title, id = (value.get(name) for name in Registered._fields)
    if not (isinstance(forge, str) and isinstance(kind, str) and isinstance(title, str)):
        return None
    return Registered(forge, kind, title, id if type(id) is int and id > 0 else None)


def registered(noted: Mapping[str, object]) -> list[Registered]:
    """The entries of a lasting identity's metadata, the oldest first."""
    entries = noted.get(ENTRIES)
    found = [read_entry(value) for value in entries] if isinstance(entries, list) else []
    return [one for one in found if one is not None]


def remember_for(identity: keystore.Identity) -> Callable[[Mapping[str, object]], None]:
    """What notes a registration (`Registered.noted`) of this lasting identity, in place of what it noted of the same
    key at the same forge.

    The identity of the environment has no files, and nothing is noted of it. What is returned raises errors.Error.
    """

    def remember(more: Mapping[str, object]) -> None:
        one = noted_one(more)
        if one is not None and not keystore.is_without_files(identity):
            _change(identity, lambda entries: [*_others(entries, one), one])

    return remember


def forget(identity: keystore.Identity, one: Registered) -> None:
    """Note no more that the forge has the key. Raises errors.Error."""
    if not keystore.is_without_files(identity):
        _change(identity, lambda entries: _others(entries, one))


def _others(entries: list[Registered], one: Registered) -> list[Registered]:
    return [entry for entry in entries if (entry.forge, entry.title) != (one.forge, one.title)]


def _change(identity: keystore.Identity, change: Callable[[list[Registered]], list[Registered]]) -> None:
    with keystore.held(identity.alias):
        noted = keystore.metadata(identity)
        before = registered(noted)
        after = change(before)[-MAX_ENTRIES:]
        if after != before:
            keystore.write_metadata(identity, {**noted, ENTRIES: [entry.entry() for entry in after]})
