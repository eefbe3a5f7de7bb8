"""OpenSSH's allowed signers: read as ssh-keygen reads it, written for stock git.

ssh-keygen(1), ALLOWED SIGNERS; OpenSSH's sshsig.c (parse_principals_key_and_options,
check_allowed_keys_line), misc.c (strdelimw, parse_absolute_time) and match.c (match_pattern_list). A line
that ssh-keygen cannot read counts for nothing there and here. Certificates are not supported: a line with
`cert-authority` is one that cannot be read.
"""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    # Local time as (year, month, day, hour, minute, second, 0, 1, 0) to epoch seconds: `time.mktime`.
    # Which zone is local is for the caller to say.
    LocalTime = Callable[[tuple[int, int, int, int, int, int, int, int, int]], float]

HEADER = b"# git-auths allowed_signers 1\n"
MAX_FILE_BYTES = 4 * 1024 * 1024
MAX_LINE_BYTES = 64 * 1024
MAX_ADDRESS_CHARACTERS = 254  # RFC 5321, section 4.5.3.1.3, without the angle brackets

_MAX_PATTERN_BYTES = 1022  # match.c: one sub-pattern, with its NUL, must fit 1024 bytes with one to spare
_BLANKS = b" \t"
_WHITESPACE = b" \t\r\n"
# Key types as a line may name them, and the type inside the key blob (sshkey.c: two RSA names are aliases).
_KEY_TYPES = {
    b"ssh-ed25519": b"ssh-ed25519",
    b"ecdsa-sha2-nistp256": b"ecdsa-sha2-nistp256",
    b"ecdsa-sha2-nistp384": b"ecdsa-sha2-nistp384",
    b"ecdsa-sha2-nistp521": b"ecdsa-sha2-nistp521",
    b"ssh-rsa": b"ssh-rsa",
    b"rsa-sha2-256": b"ssh-rsa",
    b"rsa-sha2-512": b"ssh-rsa",
    b"sk-ssh-ed25519@openssh.com": b"sk-ssh-ed25519@openssh.com",
    b"sk-ecdsa-sha2-nistp256@openssh.com": b"sk-ecdsa-sha2-nistp256@openssh.com",
}


class AllowedSignersInvalid(ValueError):
    """The file as a whole cannot be used, or cannot be written: `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Entry:
    """One line: who may sign with which key, for what and when."""

    __slots__ = ("key_blob", "namespaces", "principals", "valid_after", "valid_before")

    def __init__(
        self,
        principals: bytes,
        key_blob: bytes,
        namespaces: bytes | None = None,
        valid_after: int = 0,
        valid_before: int = 0,
    ) -> None:
        self.principals = principals  # a pattern list, as it stands in the file
        self.key_blob = key_blob  # SSH wire format (RFC 4253, section 6.6)
        self.namespaces = namespaces  # a pattern list; None: every namespace
        self.valid_after = valid_after  # epoch seconds; 0: no limit
        self.valid_before = valid_before

    def holds_at(self, verify_time: int) -> bool:
        """Whether the key is valid at `verify_time`, in epoch seconds; both ends belong to the span."""
        return self.valid_after <= verify_time and (not self.valid_before or verify_time <= self.valid_before)


def parse(data: bytes, local_time: LocalTime) -> list[Entry]:
    """The lines of an allowed signers file that can count, in order.

    `local_time` (`time.mktime`) places times that carry no zone. Raises AllowedSignersInvalid when the file
    is over 4 MiB or a line over 64 KiB.
    """
    if len(data) > MAX_FILE_BYTES:
        raise AllowedSignersInvalid(f"the file is larger than {MAX_FILE_BYTES} bytes")
    entries = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if len(line) > MAX_LINE_BYTES:
            raise AllowedSignersInvalid(f"line {number} is longer than {MAX_LINE_BYTES} bytes")
        entry = _parse_line(line, local_time)
        if entry is not None:
            entries.append(entry)
    return entries


def matching_principals(entries: Iterable[Entry], key_blob: bytes, verify_time: int) -> list[str]:
    """Answer `-Y find-principals`: the principals of the first line with this key, valid at `verify_time`.

    As ssh-keygen does it: patterns are given as they stand, up to an empty one, and `namespaces` is not asked
    for (`is_allowed` does that). Undecodable bytes come back as surrogates (`os.fsencode` restores them).
    """
    for entry in entries:
        if entry.key_blob == key_blob and entry.holds_at(verify_time):
            found = entry.principals.split(b",")
            if b"" in found:
                found = found[: found.index(b"")]
            return [principal.decode("utf-8", "surrogateescape") for principal in found]
    return []


def is_allowed(entries: Iterable[Entry], principal: str, key_blob: bytes, namespace: str, verify_time: int) -> bool:
    """Answer `-Y verify`: whether a line lets `principal` sign in `namespace` with this key at that time."""
    name, space = principal.encode("utf-8", "surrogateescape"), namespace.encode("utf-8", "surrogateescape")
    return any(
        entry.key_blob == key_blob
        and _list_matches(entry.principals, name)
        and (entry.namespaces is None or _list_matches(entry.namespaces, space))
        and entry.holds_at(verify_time)
        for entry in entries
    )


def parse_time(text: str, local_time: LocalTime) -> int:
    """Epoch seconds for `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, local unless `Z` or `UTC` follows.

    The form of `valid-after`, `valid-before` and `-Overify-time`. Raises ValueError.
    """
    zone = 1 if text[-1:] in ("Z", "z") else 3 if text[-3:].upper() == "UTC" else 0
    digits = text[: len(text) - zone]
    if len(digits) not in (8, 12, 14) or not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"not a time of the form YYYYMMDD[HHMM[SS]][Z]: {text[:40]!a}")
    year, month, day = int(digits[:4]), int(digits[4:6]), int(digits[6:8])
    hour, minute, second = int(digits[8:10] or 0), int(digits[10:12] or 0), int(digits[12:14] or 0)
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour <= 23 and minute <= 59 and second <= 60):
        raise ValueError(f"not a time: {text!a}")
    if zone:
        epoch = _days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second
    else:
        try:
            # No daylight saving, as ssh-keygen does: it leaves tm_isdst at 0.
            epoch = int(local_time((year, month, day, hour, minute, second, 0, 1, 0)))
        except OverflowError:
            epoch = 0
    if epoch <= 0:
        raise ValueError(f"a time at or before 1970 does not count: {text!a}")
    return epoch


def generate(signers: Iterable[tuple[str, Sequence[str], Sequence[bytes]]]) -> bytes:
    """The bytes of `.auths/allowed_signers` for (DID, emails, key blobs in event order) of each signer.

    The header line, then by DID and event order
    `<emails joined by comma, else the DID> namespaces="git" <type> <base64>`, each line ended by LF. A key
    that a signer has twice is written once. Raises AllowedSignersInvalid for what would change a line's
    meaning.
    """
    lines = [HEADER]
    for did, emails, key_blobs in sorted(signers, key=lambda signer: signer[0]):
        for email in emails:
            if not is_plain_address(email):
                raise AllowedSignersInvalid(f"not a plain address: {email[:80]!a}")
        principals = ",".join(emails) or did
        for key_blob in dict.fromkeys(key_blobs):
            key_type = _blob_type(key_blob)
            if key_type not in _KEY_TYPES:
                raise AllowedSignersInvalid(f"a key of {did[:80]!a} is of a type that git cannot verify")
            lines.append(b'%b namespaces="git" %b %b' % (principals.encode(), key_type, b2a_base64(key_blob)))
    return b"".join(lines)


def is_plain_address(email: str) -> bool:
    """Whether `email`, put where a principal stands, names one mailbox: no pattern, no list, no option."""
    local, _, domain = email.partition("@")
    return (
        bool(local and domain)
        and "@" not in domain
        and len(email) <= MAX_ADDRESS_CHARACTERS
        and not any(c in '*?!,#"\\<>()[];:\x7f' or c < " " or c.isspace() for c in email)
        and "cert-authority" not in email.casefold()
    )


def _parse_line(line: bytes, local_time: LocalTime) -> Entry | None:
    line = line.lstrip(_WHITESPACE)
    if line[:1] in (b"", b"#") or b"\0" in line:
        return None
    split = _split_principals(line)
    if split is None:
        return None
    principals, rest = split
    key_blob = _read_key(rest)
    if key_blob is not None:
        return Entry(principals, key_blob)
    options_end = _end_of_options(rest)
    key_blob = _read_key(rest[options_end:].lstrip(_BLANKS))
    if key_blob is None:
        return None
    try:
        return _entry(principals, key_blob, rest[:options_end], local_time)
    except ValueError:
        return None


def _split_principals(line: bytes) -> tuple[bytes, bytes] | None:
    """misc.c, strdelimw: a token ends at whitespace, or where a quote that stands in it is closed."""
    for at, byte in enumerate(line):
        if byte == 0x22:
            end = line.find(b'"', at + 1)
            if end < 0:
                return None
            return line[:at] + line[at + 1 : end], line[end + 1 :].lstrip(_WHITESPACE)
        if byte in _WHITESPACE:
            return line[:at], line[at:].lstrip(_WHITESPACE)
    return None


def _read_key(text: bytes) -> bytes | None:
    """sshkey.c, sshkey_read: `<type> <base64> [comment]`; the key blob, or None."""
    key_type, encoded = _next_word(text)
    encoded = _next_word(encoded)[0].rstrip(b"\r\n\v\f")
    if key_type not in _KEY_TYPES:
        return None
    try:
        blob = a2b_base64(encoded)
    except Base64Error:
        return None
    if b2a_base64(blob, newline=False) != encoded or _blob_type(blob) != _KEY_TYPES[key_type]:
        return None
    return blob


def _next_word(text: bytes) -> tuple[bytes, bytes]:
    """The word up to a blank, and what follows the blanks."""
    for at, byte in enumerate(text):
        if byte in _BLANKS:
            return text[:at], text[at:].lstrip(_BLANKS)
    return text, b""


def _blob_type(blob: bytes) -> bytes:
    return blob[4 : 4 + int.from_bytes(blob[:4], "big")]


def _end_of_options(text: bytes) -> int:
    """authfile.c, sshkey_advance_past_options: options end at the first blank outside quotes."""
    quoted = False
    at = 0
    while at < len(text):
        if text[at : at + 2] == b'\\"':
            at += 1
        elif text[at] == 0x22:
            quoted = not quoted
        elif text[at] in _BLANKS and not quoted:
            break
        at += 1
    return at


def _entry(principals: bytes, key_blob: bytes, options: bytes, local_time: LocalTime) -> Entry:
    """sshsig.c, sshsigopt_parse. Raises ValueError."""
    found: dict[bytes, bytes] = {}
    for name, value in _options(options):
        if name in found:
            raise ValueError("an option stands twice")
        found[name] = value
    times = {
        name: parse_time(found[name].decode("ascii"), local_time)
        for name in (b"valid-after", b"valid-before")
        if name in found
    }
    entry = Entry(
        principals, key_blob, found.get(b"namespaces"), times.get(b"valid-after", 0), times.get(b"valid-before", 0)
    )
    if len(times) == 2 and entry.valid_before <= entry.valid_after:
        raise ValueError("valid-before is not after valid-after")
    return entry


def _options(options: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name (in lower case) and dequoted value of each option."""
    at = 0
    while at < len(options):
        lowered = options[at : at + 15].lower()
        for name in (b"namespaces", b"valid-after", b"valid-before"):
            if lowered.startswith(name + b'="'):
                value, at = _dequoted(options, at + len(name) + 2)
                yield name, value
                break
        if at == len(options):
            return
        if options[at : at + 1] != b",":
            raise ValueError("an unknown option")
        at += 1
        if at == len(options):
            raise ValueError("nothing after a comma")


def _dequoted(options: bytes, at: int) -> tuple[bytes, int]:
    """misc.c, opt_dequote: up to the closing quote (`_end_of_options` saw it), `\\"` standing for a quote."""
    value = bytearray()
    while at < len(options) and options[at] != 0x22:
        at += options[at : at + 2] == b'\\"'
        value.append(options[at])
        at += 1
    return bytes(value), at + 1


def _list_matches(patterns: bytes, text: bytes) -> bool:
    """match.c, match_pattern_list: a pattern matches and none with `!` does."""
    matched = False
    for pattern in patterns.removesuffix(b",").split(b",") if patterns else ():
        negated = pattern.startswith(b"!")
        pattern = pattern[negated:]
        if len(pattern) > _MAX_PATTERN_BYTES:
            return False
        if _pattern_matches(pattern, text):
            if negated:
                return False
            matched = True
    return matched


def _pattern_matches(pattern: bytes, text: bytes) -> bool:
    """match.c, match_pattern: `*` any run, `?` any byte. Only the last star is ever tried again."""
    at = position = 0
    star = resume = -1
    while position < len(text):
        symbol = pattern[at : at + 1]
        if symbol == b"*":
            star, resume = at, position
            at += 1
        elif symbol and (symbol == b"?" or symbol[0] == text[position]):
            at += 1
            position += 1
        elif star >= 0:
            resume += 1
            at, position = star + 1, resume
        else:
            return False
    return not pattern[at:].strip(b"*")


def _days_from_civil(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01; a day past the month's end runs on into the next month, as mktime(3) has it."""
    year -= month <= 2
    month_from_march = (month + 9) % 12
    day_of_year = (153 * month_from_march + 2) // 5 + day - 1
    return year * 365 + year // 4 - year // 100 + year // 400 + day_of_year - 719468
