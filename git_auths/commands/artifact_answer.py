"""What `artifact verify` says: a line for each link, or one document; exit 1 where a chain is broken."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from git_auths import output
from git_auths.core import chain
from git_auths.core.artifacts import Judged
from git_auths.core.attested import SHORT_NAMES
from git_auths.core.provenance import SLSA_PROVENANCE
from git_auths.store.artifactfiles import Artifact

TYPES = {**SHORT_NAMES, "slsaprovenance": SLSA_PROVENANCE, "slsaprovenance1": SLSA_PROVENANCE}
MARKS = {"ok": "✓", "warning": "!", "failed": "✗"}
WORDS = {"ok": "ok", "warning": "warning", "failed": "FAILED"}


def answer(found: Sequence[Artifact], answers: Sequence[Judged], args: argparse.Namespace) -> int:
    if args.json:
        output.document(document(found, answers, args.strict))
    else:
        show(found, answers)
    code = 0
    for artifact, judged in zip(found, answers, strict=True):
        link = chain.broken(judged.links, args.strict)
        if link is not None:
            code = 1
            word = f" ({link.code})" if link.code else ""
            output.error(f"{artifact.name}: the chain is broken at its {link.name}: {link.text}{word}")
    return code


def show(found: Sequence[Artifact], answers: Sequence[Judged]) -> None:
    """The words say what the marks say, for whom the marks say nothing."""
    marks = MARKS if (sys.stdout.encoding or "").lower().replace("-", "") == "utf8" else dict.fromkeys(MARKS, "-")
    for artifact, judged in zip(found, answers, strict=True):
        output.data(artifact.name)
        for link in judged.links:
            word = f" ({link.code})" if link.code else ""
            output.data(f"  {marks[link.state]} {link.name:<10} {WORDS[link.state]:<8} {link.text}{word}")


def document(found: Sequence[Artifact], answers: Sequence[Judged], strict: bool) -> dict[str, object]:
    listed = []
    for artifact, judged in zip(found, answers, strict=True):
        broken = chain.broken(judged.links, strict)
        listed.append({
            "name": artifact.name, "path": artifact.path, "sha256": artifact.sha256, "ok": broken is None,
            "signer": judged.signer or None, "commit": judged.commit, "broken": broken and broken.name,
            "warnings": [link.code for link in judged.links if link.state == "warning"],
            "links": [link._asdict() for link in judged.links],
        })  # fmt: skip
    return {"version": 1, "ok": all(one["ok"] for one in listed), "artifacts": listed}
