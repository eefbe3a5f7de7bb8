"""Attestations as people and programs read them: what is attested, whose word it is, and what proves that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from git_auths.core import attested, provenance, utctime
from git_auths.core.attested import Attested, Signed
from git_auths.core.grants import Grant
from git_auths.core.pins import Pins
from git_auths.core.sshsig import fingerprint
from git_auths.store.attestations import Shelf
from git_auths.store.trustroot import named

if TYPE_CHECKING:
    from git_auths.core.proofs import Proofs

MAX_LISTED = 10  # subjects, commits or tools in words; --json has them all
MAX_GRANTS = 4096  # looked up and kept in memory at once


class Entry(NamedTuple):
    """An attestation with what is known about it here. `fault`: why it is nobody's word in this repository."""

    attested: Attested
    signed: Signed
    fault: str | None
    proofs: Proofs | None

    @property
    def trusted_at(self) -> int | None:
        return None if self.proofs is None else self.proofs.trusted_seconds


def by_standing(entries: Iterable[Entry]) -> list[Entry]:
    """Those that are somebody's word first, of them those of whom the mainline knows, and then the newest: what
    strangers leave on an object pushes nothing out of sight."""

    def place(entry: Entry) -> tuple[bool, bool, int]:
        return entry.fault is not None, entry.signed.sn is None, -entry.attested.issued_at

    return sorted(entries, key=place)


class Reader:
    """Says what is known of attestations, by the logs, the policy and the pins of one folder `.auths`."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self._signers = attested.Signers(shelf.folder)
        self._pins: Pins | None = None
        self._grants: dict[str, tuple[Grant, bool] | None] = {}

    def fault(self, one: Attested) -> str | None:
        """Why it is nobody's word in this repository; None where it is its signer's."""
        return self._elsewhere(one) or self._signers.check(one).fault or None

    def _elsewhere(self, one: Attested) -> str | None:
        return None if one.root == self.shelf.root else f"it is for another trust root, {one.root}"

    def entry(self, one: Attested) -> Entry:
        """Whose it is, and what proves it."""
        signed = self._signers.check(one)
        fault, proofs = self._elsewhere(one) or signed.fault or None, None
        if fault is None and signed.key is not None and (one.line.timestamps or one.line.entries or one.token):
            from git_auths.core.proofs import examine

            self._pins = self._pins or self.shelf.pinned()
            proofs = examine(one.line, signed.key, one.token, self._pins)
        return Entry(one, signed, fault, proofs)

    def grant_of(self, did: str) -> tuple[Grant, bool] | None:
        """By what grant `did` acts for somebody, and whether that stands: such a one first, then what lasts longest."""
        if did not in self._grants:
            if len(self._grants) >= MAX_GRANTS:
                self._grants.clear()
            authority = self.shelf.folder.authority
            found = [(grant, authority.counts(id)) for id, grant in authority.grants.items() if grant.subject == did]
            self._grants[did] = max(found, key=lambda one: (one[1], one[0].expires_at), default=None)
        return self._grants[did]

    def models(self, one: Attested) -> frozenset[str]:
        """Every model that it names, or that its signer's grant does."""
        grant = self.grant_of(one.signer)
        granted = {grant[0].model} if grant is not None and grant[0].model else set()
        return provenance.models_of(one.predicate) | granted

    def lines(self, entry: Entry) -> Iterator[str]:
        """It in words: what and whose, then a line for each thing that is known."""
        one = entry.attested
        yield f"{one.words} by {self.who(one.signer)}"
        yield f"    about      {about_words(one)}"
        yield f"    signature  {signature_words(entry)}"
        yield f"    time       {time_words(entry)}"
        agent = provenance.agent_of(one.predicate)
        if agent is not None:
            yield f"    agent      {agent_words(agent)}, self-declared{self.binding_words(entry)}"
        for note in provenance.commits_of(one.predicate)[:MAX_LISTED]:
            model = f", model {note.agent_model}" if note.agent_model else ""
            by = f" by {note.author}" if note.author else ""
            whose = note.authored_by or "nobody says whose work"
            yield f"    commit     {note.hash}{by}: {whose}{model}, self-declared"
        for words in evidence_words(entry):
            yield f"    evidence   {words}"

    def who(self, did: str) -> str:
        """A signer by the name that the policy or its grant has, and for whom it acts."""
        if did.startswith(attested.DID_KEY):
            return f"the key {did}, which no log holds"
        found = self.grant_of(did)
        if found is None:
            principal = self.shelf.folder.principal(did)
            return named(self.shelf.folder, did) + (f", delegate of {principal}" if principal != did else "")
        grant, stands = found
        name = f" {grant.name}" if grant.name else ""
        state = "" if stands else ", which does not stand any longer"
        return f"{did}, {grant.kind}{name} of {named(self.shelf.folder, grant.issuer)}{state}"

    def binding_words(self, entry: Entry) -> str:
        """To whose identity a self-declared agent is bound."""
        if entry.fault is not None or entry.attested.signer.startswith(attested.DID_KEY):
            return ""
        did = entry.attested.signer
        found = self.grant_of(did)
        is_delegate = (found is not None and found[0].kind == "agent") or self.shelf.folder.principal(did) != did
        model = f", granted as model {found[0].model}" if found is not None and found[0].model else ""
        return f"; bound to {did}" + (f" by a delegated identity{model}" if is_delegate else "")

    def as_json(self, entry: Entry) -> dict[str, object]:
        """It as a program reads it. The token itself stays out: it is a credential while it lasts."""
        one, signed = entry.attested, entry.signed
        folder = self.shelf.folder
        signer = folder.policy.signers.get(one.signer) if folder.policy is not None else None
        found = self.grant_of(one.signer)
        agent = provenance.agent_of(one.predicate)
        return {
            "predicate_type": one.predicate_type,
            "subjects": [{"name": subject.name, "digest": dict(subject.digest)} for subject in one.subjects],
            "objects": sorted(one.objects),
            "sha256": sorted(one.artifacts),
            "approval": None if one.approval is None else {
                "kind": one.approval.kind, "tag": one.approval.tag_name, "target": one.approval.target},
            "signer": one.signer,
            "name": None if signer is None else signer.name,
            "principal": folder.principal(one.signer),
            "grant": None if found is None else grant_as_json(*found),
            "root": one.root,
            "root_matches": one.root == self.shelf.root,
            "issued_at": utctime.text(one.issued_at),
            "expires_at": None if one.expires_at is None else utctime.text(one.expires_at),
            "trusted_time": None if entry.trusted_at is None else utctime.text(entry.trusted_at),
            "signature": {
                "valid": signed.key is not None, "reason": signed.fault or None, "event": signed.sn,
                "key": None if signed.key is None else fingerprint(signed.key), "compromised": signed.is_lost},
            "agent": None if agent is None else {**agent._asdict(), "self_declared": True},
            "commits": [note._asdict() for note in provenance.commits_of(one.predicate)],
            "evidence": {"token": one.token is not None, "timestamps": len(one.line.timestamps),
                         "log_entries": len(one.line.entries), "found": list(evidence_words(entry))},
        }  # fmt: skip


def grant_as_json(grant: Grant, stands: bool) -> dict[str, object]:
    return {"kind": grant.kind, "name": grant.name, "issuer": grant.issuer, "model": grant.model,
            "provider": grant.provider, "expires_at": utctime.text(grant.expires_at), "stands": stands}  # fmt: skip


def about_words(one: Attested) -> str:
    if one.approval is not None and one.approval.kind == "tag":
        files = f", with {len(one.artifacts)} digests of artifacts" if one.artifacts else ""
        return f"tag {one.approval.tag_name} ({one.approval.object_id}) on {one.approval.target}{files}"
    listed = [f"{'' if one.artifacts else 'object '}{id}" for id in sorted(one.objects)]
    listed += [f"{subject.name} (sha256 {subject.digest['sha256']})"
               for subject in one.subjects if "sha256" in subject.digest]  # fmt: skip
    return ", ".join(shortened(listed)) or "nothing that has an id here"


def shortened(listed: Sequence[str]) -> list[str]:
    more = len(listed) - MAX_LISTED
    return [*listed[:MAX_LISTED], f"and {more} more"] if more > 0 else list(listed)


def signature_words(entry: Entry) -> str:
    if entry.fault is not None:
        return f"not valid here: {entry.fault}"
    if entry.signed.sn is None:
        return "valid, by that key; anybody can make one"
    lost = "; its owner has declared that key compromised since" if entry.signed.is_lost else ""
    return f"valid, by key event {entry.signed.sn} of its signer{lost}"


def time_words(entry: Entry) -> str:
    one = entry.attested
    said = f"{utctime.text(one.issued_at)} by the signer's word"
    until = "" if one.expires_at is None else f", until {utctime.text(one.expires_at)}"
    trusted = "" if entry.trusted_at is None else f"; {utctime.text(entry.trusted_at)} by trusted time"
    return said + until + trusted


def agent_words(agent: provenance.Agent) -> str:
    words = [agent.id or "without an id"]
    words += [f"{what} {value}" for what, value in (("model", agent.model), ("provider", agent.provider)) if value]
    if agent.tools:
        words.append(f"tools {' '.join(shortened(agent.tools))}")
    return ", ".join(words)


def evidence_words(entry: Entry) -> Iterator[str]:
    """What holds of its evidence, what does not, and what nothing here can judge."""
    if entry.proofs is None:
        return
    from git_auths.core import ci

    found = entry.proofs
    if found.token is not None:
        yield ci.named(found.token)
    yield from (f"timestamp valid: {utctime.text(one.time_seconds)}, by {one.authority}" for one in found.stamps)
    yield from (f"logged by {one.log.name}" for one in found.logged)
    yield from (f"{one.kind} refused: {one.reason}" for one in found.refused)
    yield from (f"{kind}: nothing is pinned to judge it by" for kind in found.unpinned)
