"""Which refs and paths a pattern of the policy names. DESIGN sections 6 and 7 (rules 6 and 9).

    *        any bytes but `/`
    **       any bytes, `/` too; `**/` at the start of a segment also matches nothing: `**/x` matches `x`
    ?        one byte, not `/`
    [a-z]    one ASCII character of the set; [!a-z] or [^a-z]: one byte outside it; neither matches `/`
    \\x       x itself

Patterns are matched on raw bytes by an automaton whose states are the bits of one integer: the work grows
with the length of the text times the length of the pattern, whatever they hold.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_PATTERN_BYTES = 256
_SLASH = 0x2F
_MAX_REMEMBERED = 512


class PatternInvalid(ValueError):
    """A pattern that is not of the grammar, or that could never match."""


def check_pattern(pattern: str) -> None:
    """Raise PatternInvalid for a `pattern` that can match nothing: a rule so scoped would protect nothing."""
    raw = pattern.encode("utf-8", "surrogateescape")
    if len(raw) > MAX_PATTERN_BYTES:
        raise PatternInvalid(f"a pattern is longer than {MAX_PATTERN_BYTES} bytes")
    if raw.startswith(b"!"):
        raise PatternInvalid("a pattern that begins with `!` is not supported: list what the rule covers")
    for segment in raw.removeprefix(b"/").removesuffix(b"/").split(b"/"):
        if segment in (b"", b".", b".."):
            raise PatternInvalid("a pattern with an empty, `.` or `..` segment matches nothing")
    _compile(raw)
    _compile(pattern.casefold().encode("utf-8", "surrogateescape"))  # `path_matches` needs that one too


def branch_matches(patterns: Sequence[str] | None, full_ref: bytes) -> bool:
    """Whether a rule's `branches` names `full_ref` (`refs/heads/main`); None, no such key: every ref."""
    return patterns is None or _ref_matches(patterns, "refs/heads/", full_ref)


def tag_matches(patterns: Sequence[str] | None, full_ref: bytes) -> bool:
    """Whether a rule's `tags` names `full_ref` (`refs/tags/v1.0`); None, no such key: every tag."""
    return _ref_matches(("**",) if patterns is None else patterns, "refs/tags/", full_ref)


def path_matches(patterns: Sequence[str] | None, path: bytes) -> bool:
    """Whether a rule's `paths` names the file or submodule `path`; None, no such key: every path.

    As in gitignore(5): a pattern with a slash at its start or in its middle is anchored at the root, any
    other matches at every depth; what matches a folder matches all below it, and `D/**` matches D itself too
    (a submodule put there). Matched once raw and once case-folded, since a checkout may fold case.
    """
    if patterns is None:
        return True
    return any(_tree_glob(p).matches(path) for p in patterns) or _folded_path_matches(patterns, _fold(path))


def path_permitted(patterns: Sequence[str], path: bytes) -> bool:
    """Whether `commit_paths` permits a change of `path`.

    A permission is read narrowly where a restriction (`path_matches`) is read broadly: anchored at the root,
    the whole path, its exact bytes.
    """
    return any(_glob(pattern.removeprefix("/")).matches(path) for pattern in patterns)


def glob_matches(pattern: str, text: bytes) -> bool:
    """Whether the whole of `text` is of the form `pattern`."""
    return _glob(pattern).matches(text)


def _ref_matches(patterns: Iterable[str], namespace: str, full_ref: bytes) -> bool:
    return any(_glob(p if p.startswith("refs/") else namespace + p).matches(full_ref) for p in patterns)


def _folded_path_matches(patterns: Iterable[str], folded_path: bytes) -> bool:
    return any(_tree_glob(pattern.casefold()).matches(folded_path) for pattern in patterns)


def _fold(path: bytes) -> bytes:
    """`path` case-folded as Unicode; bytes that are not UTF-8 stay as they are."""
    if path.isascii():
        return path.lower()
    return path.decode("utf-8", "surrogateescape").casefold().encode("utf-8", "surrogateescape")


class _Glob:
    """A compiled pattern. Bit n of a state set: the next byte is compared with element n of the pattern."""

    __slots__ = ("accept", "forks", "prefix", "singles", "skips", "stays", "stays_in_segment", "steps")

    def __init__(self) -> None:
        self.prefix = b""  # the literal bytes before the first wildcard
        self.steps: dict[int, int] = {}  # byte -> elements that it takes one further
        self.singles = 0  # `?`: any byte but `/` takes them one further
        self.stays_in_segment = 0  # `*`: any byte but `/` keeps them
        self.stays = 0  # `**`: any byte keeps them
        self.skips = 0  # elements that may match nothing
        self.forks = 0  # `**/`: the next two elements may match nothing
        self.accept = 0

    def matches(self, text: bytes) -> bool:
        if not text.startswith(self.prefix):
            return False
        states = self._closure(1 << len(self.prefix))
        for byte in text[len(self.prefix) :]:
            moved = states & self.steps.get(byte, 0)
            kept = states & self.stays
            if byte != _SLASH:
                moved |= states & self.singles
                kept |= states & self.stays_in_segment
            states = self._closure(kept | moved << 1)
            if not states:
                return False
        return states & self.accept != 0

    def _closure(self, states: int) -> int:
        while True:
            wider = states | (states & self.skips) << 1 | (states & self.forks) << 2
            if wider == states:
                return states
            states = wider


def _compile(raw: bytes) -> _Glob:
    """The automaton for a pattern; raises PatternInvalid."""
    glob = _Glob()
    literal = True
    at, bit = 0, 1
    while at < len(raw):
        byte = raw[at]
        literal = literal and byte not in b"*?[\\"
        if byte == 0x2A:  # *
            at, bit = _compile_stars(glob, raw, at, bit)
            continue
        if byte == 0x3F:  # ?
            glob.singles |= bit
        elif byte == 0x5B:  # [
            members, at = _bracket(raw, at)
            for member in members:
                glob.steps[member] = glob.steps.get(member, 0) | bit
        else:
            if byte == 0x5C:  # \
                at += 1
                if raw[at : at + 1] in (b"", b"/"):
                    raise PatternInvalid("a pattern has a backslash with nothing to quote")
            glob.steps[raw[at]] = glob.steps.get(raw[at], 0) | bit
        if literal:
            glob.prefix += raw[at : at + 1]
        at += 1
        bit <<= 1
    glob.accept = bit
    return glob


def _compile_stars(glob: _Glob, raw: bytes, at: int, bit: int) -> tuple[int, int]:
    """Add the run of stars at `raw[at]` as element `bit`; the position and the element after it."""
    start = at
    while raw[at : at + 1] == b"*":
        at += 1
    if at - start == 1:
        glob.stays_in_segment |= bit
        glob.skips |= bit
        return at, bit << 1
    begins_segment = start == 0 or raw[start - 1] == _SLASH
    if begins_segment and raw[at : at + 1] == b"/":
        # Two elements: an entry, which may lead past both, and whole folders, which end with a slash.
        glob.skips |= bit
        glob.forks |= bit
        glob.stays |= bit << 1
        glob.steps[_SLASH] = glob.steps.get(_SLASH, 0) | bit << 1
        return at + 1, bit << 2
    glob.stays |= bit
    glob.skips |= bit
    return at, bit << 1


def _bracket(raw: bytes, at: int) -> tuple[set[int], int]:
    """The bytes that the set at `raw[at]` matches, and the position of its closing bracket."""
    at += 1
    negated = raw[at : at + 1] in (b"!", b"^")
    at += negated
    first = at
    members: set[int] = set()
    while True:
        if at >= len(raw):
            raise PatternInvalid("a pattern has a `[` that is not closed; `\\[` means the character itself")
        if raw[at] == 0x5D and at > first:
            break
        low, at = _bracket_member(raw, at)
        high = low
        if raw[at : at + 1] == b"-" and raw[at + 1 : at + 2] not in (b"]", b""):
            high, at = _bracket_member(raw, at + 1)
        if high < low:
            raise PatternInvalid("a pattern has a range that runs backwards, or across upper and lower case")
        members.update(range(low, high + 1))
    if negated:
        members = set(range(256)) - members
    members.discard(_SLASH)
    return members, at


def _bracket_member(raw: bytes, at: int) -> tuple[int, int]:
    if raw[at : at + 1] == b"\\":
        at += 1
    if at >= len(raw) or raw[at] >= 0x80 or raw[at] == _SLASH:
        raise PatternInvalid("a set in brackets may hold ASCII characters only, and no `/`")
    if raw[at : at + 2] == b"[:":
        raise PatternInvalid("named character classes such as `[:alpha:]` are not supported")
    return raw[at], at + 1


# What was compiled, by pattern: the patterns of a policy are few and asked for at each commit.
_globs: dict[str, _Glob] = {}
_tree_globs: dict[str, _Glob] = {}


def _glob(pattern: str) -> _Glob:
    found = _globs.get(pattern)
    if found is None:
        found = _compile(pattern.encode("utf-8", "surrogateescape"))
        _remember(_globs, pattern, found)
    return found


def _tree_glob(pattern: str) -> _Glob:
    """`pattern` as gitignore(5) reads it: itself, and everything below what it matches."""
    found = _tree_globs.get(pattern)
    if found is None:
        anchored = "/" in pattern.rstrip("/")
        base = pattern.strip("/")
        while base.endswith("/**"):
            base = base[:-3].rstrip("/")
        if not anchored:
            base = "**/" + base
        raw = base.encode("utf-8", "surrogateescape")
        itself = _compile(raw)
        found = _compile(raw + b"/**")
        found.prefix = itself.prefix
        found.accept |= itself.accept
        _remember(_tree_globs, pattern, found)
    return found


def _remember(compiled: dict[str, _Glob], pattern: str, glob: _Glob) -> None:
    if len(compiled) >= _MAX_REMEMBERED:
        compiled.clear()
    compiled[pattern] = glob
