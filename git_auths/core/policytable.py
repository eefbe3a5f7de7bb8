"""One table of a policy file on its way into a value: known keys of the right type, or a refusal."""

from __future__ import annotations

from git_auths.core.policytext import PolicyInvalid, control_in, line_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import Any, TypeVar

    from git_auths.core.policytext import Path

    Value = TypeVar("Value")

_ABSENT: Any = object()


class Table:
    """What reads a key raises PolicyInvalid, with the key's line, when it is not as asked for."""

    __slots__ = ("lines", "path", "values")

    def __init__(self, values: dict[str, Any], path: Path, lines: Mapping[Path, int],
                 known: Collection[str] | None = None) -> None:  # fmt: skip
        """`known`: the keys it may have; None: any."""
        self.values = values
        self.path = path
        self.lines = lines
        for key in values:
            if not key or control_in(key):
                raise self.refuse("a key is empty or holds a control character", key)
            if known is not None and key not in known:
                raise self.refuse(f"unknown key {shown(key)}{self._where()}", key)

    def refuse(self, reason: str, *path: str | int) -> PolicyInvalid:
        """The exception for what stands at `path` below this table."""
        return PolicyInvalid(reason, line_of(self.lines, (*self.path, *path)))

    def table(self, key: str, known: Collection[str] | None = None) -> Table:
        """The table `key`; an empty one where it is missing."""
        return Table(self._get(key, dict, "a table", {}), (*self.path, key), self.lines, known)

    def tables(self, key: str, known: Collection[str]) -> list[Table]:
        shape = f"an array of tables, [[policy.{key}]]"
        values = self._get(key, list, shape, [])
        if not all(type(value) is dict for value in values):
            raise self.refuse(f"{key} must be {shape}", key)
        return [Table(value, (*self.path, key, n), self.lines, known) for n, value in enumerate(values)]

    def required(self, key: str, kind: type[Value], what: str) -> Value:
        """The value of `key`, of exactly the type `kind`, which `what` puts in words; true is no number."""
        value: Value = self._get(key, kind, what, _ABSENT)
        return value

    def flag(self, key: str) -> bool:
        """False where it is missing."""
        value: bool = self._get(key, bool, "true or false", False)
        return value

    def text(self, key: str) -> str | None:
        value: str | None = self._get(key, str, "text in quotes", None)
        return None if value is None else self._checked(value, key)

    def texts(self, key: str, problem: Callable[[str], str | None]) -> tuple[str, ...] | None:
        """The texts of a list, each once, at least one; `problem` says what is wrong with a text, or None."""
        values: list[Any] | None = self._get(key, list, "a list of texts", None)
        if values is None:
            return None
        if not values:
            raise self.refuse(f"{key} is an empty list", key)
        seen: dict[str, None] = {}
        for n, value in enumerate(values):
            if type(value) is not str:
                raise self.refuse(f"{key} must be a list of texts in quotes", key, n)
            reason = problem(self._checked(value, key, n))
            if reason:
                raise self.refuse(f"{key}: {reason}", key, n)
            if value in seen:
                raise self.refuse(f"{key} lists {shown(value)} twice", key, n)
            seen[value] = None
        return tuple(seen)

    def _get(self, key: str, kind: type[Value], what: str, default: Any) -> Any:
        value = self.values.get(key, default)
        if value is _ABSENT:
            raise self.refuse(f"{key} is missing{self._where()}")
        if value is not default and type(value) is not kind:
            raise self.refuse(f"{key} must be {what}, not {shown(value)}", key)
        return value

    def _checked(self, value: str, *path: str | int) -> str:
        if not value or control_in(value):
            raise self.refuse(f"{path[0]} holds {'a control character' if value else 'an empty text'}", *path)
        return value

    def _where(self) -> str:
        names = [part for part in self.path if isinstance(part, str)]
        return f" in {'.'.join(names)}" if names else ""


def shown(value: object) -> str:
    """A value from the file, short and in ASCII, for a message."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return "a table" if isinstance(value, dict) else "a list"
    return f"{value!a}"[:80] if isinstance(value, str) else f"{value}"[:80]
