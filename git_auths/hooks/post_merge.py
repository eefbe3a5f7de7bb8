"""post-merge (githooks(5)): after a pull, say when the mainline is not good or was set back; else remember its tip and
renew the copy of allowed_signers."""

from __future__ import annotations

import subprocess
import sys

from git_auths import guard, output
from git_auths.errors import Error, Refusal
from git_auths.store import hookfiles, localcopy, notesync, passphrase, rewinds, settings, tips
from git_auths.store.repository import Repository
from git_auths.store.verdicts import Verifier


def main(argv: list[str]) -> int:
    """`argv`: the shim's path, whether the merge was a squash. Its exit code stops nothing."""
    passphrase.take_secrets()
    before = hookfiles.earlier_hook(argv[0])
    if before is not None:
        subprocess.run([before, *argv[1:]], check=False)
    pins = settings.pins()
    return 0 if pins is None else renew(Repository(), pins)


def renew(repository: Repository, pins: settings.Pins) -> int:
    """Judge the mainline as it is now, with the attestations that came along; where it is good, the copy of
    allowed_signers follows it."""
    if pins.mainline.startswith("refs/remotes/"):
        try:
            notesync.unite(repository.path, pins.mainline.split("/")[2])
        except Error as error:
            output.warning(f"the attestations that were fetched are not in refs/notes/auths: {error.message}")
    try:
        with Verifier(repository, pins) as verifier:
            bad = verifier.verify([verifier.mainline_tip]).not_good()
            rewound = rewinds.found(verifier, {})
            if not bad and not rewound:
                localcopy.write_allowed_signers(verifier)
                rewinds.remember(verifier, {})
    except Refusal as refusal:
        output.warning(f"what was pulled cannot be judged: {refusal.message}")
        return 1
    for verdict in bad:
        output.warning(f"what was pulled is not good: {verdict.id} {verdict.verdict}: {verdict.reason}")
    for verdict in rewound:
        output.warning(f"{verdict.reason} ({verdict.verdict})")
        output.hint(tips.accept_hint(pins.mainline))
    return 1 if bad or rewound else 0


if __name__ == "__main__":
    guard.leave(guard.run(lambda: main(sys.argv[1:])))
