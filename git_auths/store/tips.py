"""What was good here before: the last good tip of each governed branch, and the object of each good release tag.

A remote that later shows an older tip, or another object under a tag's name, is found out by these (DESIGN section 7,
rewinds). They stand in a file of the common git directory, `auths/tips`, never in refs: a fetch moves and prunes those.
A line is `<object id> <full ref name>`; of two for one ref the later holds, and what is no such line is passed over.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from git_auths.core.gitobject import is_object_id
from git_auths.core.judge import Verdict
from git_auths.errors import Error
from git_auths.store import ancestry
from git_auths.store.atomic import write_file
from git_auths.store.repository import Repository

MAX_TIPS = 10_000  # beyond that no further ref is remembered; those that are stay, and move on
MAX_BRANCHES = 5_000  # of them: whoever may name branches does not crowd out the releases
MAX_REF_BYTES = 512
MAX_BYTES = MAX_TIPS * (64 + MAX_REF_BYTES + 2)
ACCEPT_HINT = "git auths accept-rewind {ref} shows what is lost, and accepts it on a yes"


class Tips:
    """The remembered tips of the repository whose common git directory this is."""

    def __init__(self, common_dir: Path) -> None:
        self._file = common_dir / "auths" / "tips"

    def known(self, ref: str) -> str | None:
        """The object id that was last good under the full ref name; None where none was."""
        return self._read().get(ref)

    def all(self) -> dict[str, str]:
        """Every remembered id, by full ref name."""
        return self._read()

    def remember(self, tips: Mapping[str, str]) -> int:
        """These ids are good, by full ref name. The caller has found no rewind: what was known before is replaced.

        How many were not kept, because there is no room for more.
        """
        left_out = 0
        with self._held():
            before = self._read()
            after = dict(before)
            branches = sum(not ref.startswith("refs/tags/") for ref in after)
            for ref, id in tips.items():
                is_branch = not ref.startswith("refs/tags/")
                has_room = len(after) < MAX_TIPS and (branches < MAX_BRANCHES or not is_branch)
                if _is_storable(ref, id) and (ref in after or has_room):
                    branches += is_branch and ref not in after
                    after[ref] = id
                else:
                    left_out += 1
            if after != before:
                self._write(after)
        return left_out

    def accept(self, ref: str, id: str) -> None:
        """Take `id` for what was last good under `ref`, whatever was known."""
        self.remember({ref: id})

    def forget(self, ref: str) -> None:
        """Know nothing of `ref` any more."""
        with self._held():
            tips = self._read()
            if tips.pop(ref, None) is not None:
                self._write(tips)

    def _read(self) -> dict[str, str]:
        try:
            with self._file.open("rb") as stream:
                content = stream.read(MAX_BYTES)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise Error(f"cannot read {self._file}: {error.strerror}") from None
        tips: dict[str, str] = {}
        for line in content.split(b"\n")[:-1]:  # a line that was not ended was not written whole
            id, _, ref = os.fsdecode(line).partition(" ")
            if _is_storable(ref, id) and (ref in tips or len(tips) < MAX_TIPS):
                tips[ref] = id
        return tips

    def _write(self, tips: Mapping[str, str]) -> None:
        write_file(self._file, b"".join(os.fsencode(f"{id} {ref}\n") for ref, id in sorted(tips.items())), 0o644)

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        """Keep others from writing between our reading and writing."""
        folder = self._file.parent
        try:
            folder.mkdir(exist_ok=True)
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise Error(f"cannot open {folder}: {error.strerror}") from None
        try:
            with contextlib.suppress(OSError):  # some network file systems lock no folders; a lost line is an older tip
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def remember_published(repository: Repository, mainline: str, good: Mapping[str, str]) -> str | None:
    """Remember what was found good, but for the branches of a working clone: to amend one's own is no rewind. The
    mainline, where that is one of them, is remembered all the same.

    Why it was not, in a clone that cannot be written; it can be read all the same.
    """
    tips = {
        ref: id for ref, id in good.items() if ref == mainline or repository.bare or not ref.startswith("refs/heads/")
    }
    try:
        left_out = Tips(repository.common_dir).remember(tips) if tips else 0
    except Error as error:
        return error.message
    return f"there is no room for {left_out} more refs" if left_out else None


def check(repository: Repository, ref: str, tip: str, old: str | None = None) -> Verdict | None:
    """`rewound` where the tip that was last good is not on the first-parent chain of `tip`: for the mainline, and for a
    branch that a rule names (`core.protection`). `ref` is the full name under which it is remembered, as `old` where
    the caller has looked."""
    old = old or Tips(repository.common_dir).known(ref)
    if old is None or ancestry.is_on_chain(repository, tip, old):
        return None
    what = "has it off its first-parent chain" if ancestry.contains(repository, tip, old) else "does not contain it"
    return _no("commit", tip, "rewound", f"{ref} was good at {old}, and {tip} {what}")


def check_contained(repository: Repository, ref: str, tip: str, old: str | None = None) -> Verdict | None:
    """`rewound` where `tip` does not contain the tip that was last good: for every other governed branch."""
    old = old or Tips(repository.common_dir).known(ref)
    if old is None or old == tip or ancestry.contains(repository, tip, old):
        return None
    return _no("commit", tip, "rewound", f"{ref} was good at {old}, and {tip} does not contain it")


def check_not_behind(repository: Repository, ref: str, tip: str) -> Verdict | None:
    """`rewound` where `tip` is older than the tip that was last good."""
    old = Tips(repository.common_dir).known(ref)
    if old is None or old == tip or not ancestry.contains(repository, old, tip):
        return None
    return _no("commit", tip, "rewound", f"{ref} was good at {old}, and {tip} is older")


def check_tag(repository: Repository, ref: str, id: str) -> Verdict | None:
    """`tag-moved` where the release tag `ref` (full name) was good with another object than `id`."""
    old = Tips(repository.common_dir).known(ref)
    if old is None or old == id:
        return None
    return _no("tag", id, "tag-moved", f"{ref} was good as {old}, and is {id} now")


def accept_hint(ref: str) -> str:
    """What to type after a `rewound` or `tag-moved` of what was remembered."""
    return ACCEPT_HINT.format(ref=shlex.quote(ref))


def _no(kind: str, id: str, verdict: str, reason: str) -> Verdict:
    return Verdict(kind, id, verdict, None, None, None, reason)


def _is_storable(ref: str, id: str) -> bool:
    return ref.startswith("refs/") and "\n" not in ref and len(os.fsencode(ref)) <= MAX_REF_BYTES and is_object_id(id)
