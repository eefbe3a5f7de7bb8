"""Which logs of HEAD were compared with this machine's, so that the next commit need not start Python to compare again.

The file `auths/kels-seen` of the common git directory says it to the pre-commit shim: a line with the tree at
`.auths/kels` and the environment that says where this machine's logs are, a line with that place. The file is as old as
the look: a log that was written since is newer.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

from git_auths.errors import Error
from git_auths.store import git, keystore
from git_auths.store.atomic import write_file

WRITING_SECONDS = 2  # a log is that much younger than its file at most: it is written, synced, then put in place
ENVIRONMENT = ("AUTHS_HOME", "XDG_DATA_HOME", "HOME")


def differ_from_index() -> bool:
    """Does the index have another log of one of this machine's identities than this machine? An identity that cannot
    be read is passed over: whoever uses it hears of it."""
    import hashlib

    staged = _staged()
    for alias in keystore.aliases() if staged else ():
        with suppress(Error):
            identity = keystore.load(alias)
            id = staged.get(identity.aid)
            if id is not None:
                kel = keystore.read_kel(identity)
                # git hashes a blob with its kind and length before it (gitformat-object)
                new = hashlib.sha1 if len(id) == 40 else hashlib.sha256
                if new(b"blob %d\0%b" % (len(kel), kel)).hexdigest() != id:
                    return True
    return False


def _staged() -> dict[str, str]:
    """AID -> blob id, of the logs in the index."""
    found = {}
    for line in git.capture("ls-files", "--stage", "-z", "--", ".auths/kels")[1].decode(errors="replace").split("\0"):
        words, _, path = line.partition("\t")
        if path.endswith(".cesr"):
            found[path.removeprefix(".auths/kels/").removesuffix(".cesr")] = words.split(" ")[1]
    return found


def note() -> None:
    """None of this machine's logs lags behind in HEAD's `.auths/kels`."""
    now = time.time() - WRITING_SECONDS
    status, answer = git.capture("rev-parse", "--git-common-dir", "HEAD:.auths/kels")
    if status:
        return
    common_dir, kels = os.fsdecode(answer).removesuffix("\n").rsplit("\n", 1)
    what = " ".join([kels, *(os.environ.get(name, "") for name in ENVIRONMENT)])
    place = os.path.join(keystore.home(), "identities")
    if "\n" in what + place:
        return
    seen = os.path.join(common_dir, "auths", "kels-seen")
    with suppress(OSError, Error):  # it costs time, not the commit
        os.makedirs(os.path.dirname(seen), exist_ok=True)
        write_file(seen, os.fsencode(f"{what}\n{place}\n"), 0o644)
        os.utime(seen, (now, now))
