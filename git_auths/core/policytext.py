"""The text of a policy before a TOML parser sees it: bounds on its shape, and the line of each key.

TOML parsers recurse, take quadratic time on dotted keys, and differ by version in what they accept. So the
text is held to a small part of TOML 1.0 first: no multi-line strings, no lines broken inside `{}`, bounded
sizes. Where this scan and the parser would read a text differently, the parser refuses it before that
matters.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Mapping

    Path = tuple["str | int", ...]  # ("policy", "release", 0, "require")

MAX_POLICY_BYTES = 256 * 1024
MAX_TOKENS = 24_000
MAX_KEY_PARTS = 3
MAX_NESTING = 4
MAX_ESCAPES = 4096
MAX_VALUE_CHARACTERS = 1024

# Controls of both sets, line separators, and what reorders text on the way to a reader's eye.
_CONTROLS = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"
_NOT_TEXT = rf"[{_CONTROLS}]|\r(?!\n)"
_NOT_INLINE = rf"[{_CONTROLS}\t\n\r]"
# A time without seconds and some escapes are TOML 1.1, which not every parser reads.
_TOKEN = (
    r"[ \t\r]*(?:(?P<newline>\n)|(?P<comment>\#[^\n]*)"
    r'|(?P<string>"[^"\\\n]*(?:\\[btnfr"\\uU][^"\\\n]*){0,1024}"|' + r"'[^'\n]*')"
    r"|(?P<short_time>(?:\d{4}-\d\d-\d\d[Tt])?\d\d:\d\d(?!:\d))"
    r"|(?P<word>[A-Za-z0-9_+:-]+)|(?P<mark>[\[\]{}=,.])|(?P<other>[^ \t\r\n])|\Z)"
)


class PolicyInvalid(ValueError):
    """The policy cannot be used. `reason` says why; `line` counts from 1, None: it is about the whole."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(f"policy.toml: {reason}" if line is None else f"policy.toml:{line}: {reason}")
        self.reason = reason
        self.line = line


def decode(data: bytes) -> str:
    """The text of a policy file; raises PolicyInvalid for what is not plain UTF-8 text of at most 256 KiB."""
    import re

    if len(data) > MAX_POLICY_BYTES:
        raise PolicyInvalid(f"the file is larger than {MAX_POLICY_BYTES // 1024} KiB")
    if data.startswith(b"\xef\xbb\xbf"):
        raise PolicyInvalid("the file begins with a byte order mark", 1)
    if data.count(b"\\") > MAX_ESCAPES:
        raise PolicyInvalid(f"the file holds more than {MAX_ESCAPES} backslashes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PolicyInvalid("not UTF-8", data.count(b"\n", 0, error.start) + 1) from None
    found = re.search(_NOT_TEXT, text)
    if found:
        raise PolicyInvalid(f"control character {found[0]!a}", text.count("\n", 0, found.start()) + 1)
    return text


def control_in(text: str) -> str | None:
    """The first character of a string's value that has no place in a name, an address or a pattern."""
    import re

    found = re.search(_NOT_INLINE, text)
    return found[0] if found else None


def key_lines(text: str) -> dict[Path, int]:
    """The line of each table, key and array element; raises PolicyInvalid when `text` is over a bound."""
    import re

    scan = _Scan()
    for count, token in enumerate(re.finditer(_TOKEN, text)):
        if count == MAX_TOKENS:
            raise PolicyInvalid(f"the file has more than {MAX_TOKENS} words and marks", scan.line)
        scan.take(token)
    return scan.lines


def line_of(lines: Mapping[Path, int], path: Path) -> int | None:
    """The line of what stands at `path`, or of the nearest table around it."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path)


class _Scan:
    """Goes through the tokens, statement by statement: a table's header, or a key with its value."""

    __slots__ = ("begins_element", "defined", "depth", "element", "header", "in_key", "last", "line", "lines",
                 "parts", "path", "sizes", "table")  # fmt: skip

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self.defined: set[Path] = set()
        self.sizes: dict[Path, int] = {}  # of the arrays of tables
        self.table: Path = ()
        self.line = 1
        self.last = ""
        self._begin()

    def _begin(self) -> None:
        self.in_key = True
        self.header = 0  # opening brackets of a table's header
        self.parts: list[str] = []
        self.path: Path = ()
        self.depth: list[str] = []
        self.element = 0
        self.begins_element = False

    def take(self, token: re.Match[str]) -> None:
        kind, text = token.lastgroup, token[0].lstrip(" \t\r")
        if kind == "newline":
            self._newline()
        elif kind == "comment":
            return
        elif kind == "other":
            raise self._refuse("not valid TOML: unexpected character or unclosed string")
        elif kind == "short_time":
            raise self._refuse("a time needs hours, minutes and seconds")
        elif len(text) > MAX_VALUE_CHARACTERS:
            raise self._refuse("a value is too long")
        elif kind == "string" and self.last[:1] in ('"', "'"):  # so begins """, and nothing else that is TOML
            raise self._refuse("multi-line strings are not supported")
        elif self.in_key:
            self._key(kind, text)
        else:
            self._value(text)
        self.last = text

    def _newline(self) -> None:
        if "{" in self.depth:
            raise self._refuse("an inline table must stand on one line")
        if not self.depth:
            self._begin()
        self.line += 1

    def _key(self, kind: str | None, text: str) -> None:
        if kind != "mark":
            self.parts.append(text[1:-1] if kind == "string" else text)
            if len(self.parts) > MAX_KEY_PARTS:
                raise self._refuse("tables are nested too deeply")
        elif text == "[":
            self.header += 1
        elif text == "]" and self.parts:
            self._open_table()
            self.in_key = False
        elif text == "=" and self.parts:
            self.path = self._define((*self.table, *self.parts), "key")
            self.in_key = False

    def _open_table(self) -> None:
        path: Path = ()
        for part in self.parts[:-1]:
            path = (*path, part)
            if path in self.sizes:
                path = (*path, self.sizes[path] - 1)
        path = (*path, self.parts[-1])
        if self.header == 2:
            number = self.sizes.get(path, 0)
            self.sizes[path] = number + 1
            path = (*path, number)
        self.table = self._define(path, "table")

    def _value(self, text: str) -> None:
        if text == ",":
            if len(self.depth) == 1:
                self.element += 1
                self.begins_element = True
            return
        if self.begins_element:
            element: Path = (*self.path, self.element)
            self.lines[element] = self.line
            self.begins_element = False
        if text in ("[", "{"):
            self.begins_element = not self.depth
            self.depth.append(text)
            if len(self.depth) > MAX_NESTING:
                raise self._refuse("values are nested too deeply")
        elif text in ("]", "}"):
            if text == "}" and self.last == ",":
                raise self._refuse("an inline table must not end in a comma")
            del self.depth[-1:]

    def _define(self, path: Path, what: str) -> Path:
        if path in self.defined:
            raise self._refuse(f"the {what} {str(path[-1])[:80]!a} stands here a second time")
        self.defined.add(path)
        self.lines[path] = self.line
        for end in range(1, len(path)):  # tables that are opened on the way
            self.lines.setdefault(path[:end], self.line)
        return path

    def _refuse(self, reason: str) -> PolicyInvalid:
        return PolicyInvalid(reason, self.line)
