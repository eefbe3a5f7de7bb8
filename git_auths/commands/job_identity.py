"""The throwaway identity of this CI job, for as long as it lasts."""

from __future__ import annotations

import time
from pathlib import Path

from git_auths.core import utctime
from git_auths.errors import Refusal
from git_auths.store import throwaway
from git_auths.store.throwaway import Throwaway


def found(path: Path | None = None) -> Throwaway | None:
    """This job's, for the repository at `path`; None where there is none, a Refusal where it has ended: nobody takes
    what its key signs now."""
    job = throwaway.find(path)
    if job is not None and job.expires_at <= time.time():
        raise Refusal(f"this job's throwaway identity ended at {utctime.text(job.expires_at)}",
                      "git auths init --profile ci makes another")  # fmt: skip
    return job
