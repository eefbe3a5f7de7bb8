"""The `.auths` folder of one commit, read into values: the policy, the key event logs, and every other file's id."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from git_auths.core import decisions
from git_auths.core.allowed_signers import generate
from git_auths.core.authority import NOBODY, Authority, ledger
from git_auths.core.facts import Fault
from git_auths.core.gitobject import DIRECTORY, FILE, Entry, Malformed, object_id, parse_tree
from git_auths.core.kel import MAX_KEL_BYTES, DelegatorUnknown, Kel, KelInvalid, extend, replay
from git_auths.core.policy import MAX_POLICY_BYTES, Policy, PolicyInvalid, parse
from git_auths.core.roottree import is_alias
from git_auths.core.seals import Compromise
from git_auths.core.seals import parse as parse_seal
from git_auths.errors import TooLarge

if TYPE_CHECKING:
    from git_auths.core.grants import Grant

POLICY = b"policy.toml"
KELS = b"kels"
ALLOWED_SIGNERS = b"allowed_signers"
GRANTS = b"grants"

MAX_ENTRIES = 20_000  # in all of .auths
MAX_FOLDERS = 512  # kept in memory at once
MAX_KELS = 4096
MAX_STREAM_BYTES = 32 * 1024 * 1024
MAX_TREE_BYTES = 4 * 1024 * 1024
MAX_DELEGATIONS_DEEP = 2
MAX_GRANTS = 16_384  # that are sealed, in one tree
MAX_GRANT_BYTES = 64 * 1024
MAX_DECISION_FILES = 64  # kept in memory at once

Read = Callable[[str, int], tuple[bytes, bytes]]  # (object id, byte limit) -> (type, raw); TooLarge, MissingObject


class AuthsFolder(NamedTuple):
    """`policy` is None when the file is absent; `fault` says why the folder as a whole cannot be believed."""

    policy_id: str | None
    policy: Policy | None
    kels: Mapping[str, Kel]  # by AID
    kel_ids: Mapping[str, str]  # AID -> blob id
    files: Mapping[bytes, str]  # every other file below .auths/, path -> blob id
    signers: Mapping[bytes, tuple[str, ...]]  # SSH key blob that alone meets a threshold now -> whose, by DID
    fault: Fault | None
    authority: Authority

    @property
    def grants(self) -> Mapping[str, Grant]:
        """Those that their issuers' logs here have sealed, standing or not, by the SHA-256 of their payloads."""
        return self.authority.grants

    def kel_of(self, did: str) -> Kel | None:
        return self.kels.get(did.removeprefix("did:keri:"))

    def principal(self, did: str) -> str:
        """The DID that counts for `did`: of one whom the policy does not list, the one that it acts for."""
        listed = () if self.policy is None else self.policy.signers
        rights = [] if did in listed else self.authority.rights(did, listed, None)
        return rights[0].principal if rights else self.authority.principal(did)

    def acts(self, did: str) -> bool:
        """Does the policy list it, or somebody whom it may act for?"""
        return self.policy is not None and bool(self.authority.rights(did, self.policy.signers, None))


EMPTY = AuthsFolder(None, None, {}, {}, {}, {}, None, NOBODY)


class AuthsFolders:
    """Reads `.auths` trees by id, each once, and each KEL once per change of its file.

    `root` is the trust root that grants must be for; without one none counts.
    """

    def __init__(self, read: Read, hex_length: int, root: str | None) -> None:
        self._read = read
        self._hex_length = hex_length
        self._root = root
        self._grants: dict[str, tuple[str, Grant] | None] = {}  # by blob id
        self._folders: dict[str, AuthsFolder] = {}
        self._kels: dict[tuple[str, str], tuple[Kel, Kel | None]] = {}  # with the delegator's log that it was read by
        self._policies: dict[str, Policy] = {}
        self._kel_bytes = 0  # of all that is in there
        self._sealed_by: dict[str, Kel | None] = {}  # by AID: the delegator's log by which the last one was read
        self._latest: dict[str, tuple[bytes, Kel]] = {}  # by AID: the stream that was read last
        self._decisions: dict[str, frozenset[bytes]] = {}

    def __call__(self, tree_id: str | None) -> AuthsFolder:
        if tree_id is None:
            return EMPTY
        folder = self._folders.get(tree_id)
        if folder is None:
            if len(self._folders) >= MAX_FOLDERS:
                self._folders.clear()
            folder = self._folders[tree_id] = self._load(tree_id)
        return folder

    def lines(self, blob_id: str | None) -> frozenset[bytes]:
        """The lines of a decision file of a folder that was read without a fault; none where there is no such file."""
        if blob_id is None:
            return frozenset()
        if blob_id not in self._decisions:
            if len(self._decisions) >= MAX_DECISION_FILES:
                self._decisions.clear()
            self._decisions[blob_id] = decisions.lines(self._read(blob_id, decisions.MAX_DECISIONS_BYTES)[1])
        return self._decisions[blob_id]

    def _load(self, tree_id: str) -> AuthsFolder:
        try:
            return self._load_believing(tree_id)
        except _Faulty as error:
            return EMPTY._replace(fault=error.fault, policy_id="")

    def _load_believing(self, tree_id: str) -> AuthsFolder:
        policy_id: str | None = None
        kel_entries: tuple[Entry, ...] = ()
        files: dict[bytes, str] = {}
        entries = self._tree(tree_id, b".auths")
        total = len(entries)
        for entry in entries:
            if entry.name == POLICY:
                policy_id = _plain_file(entry, b".auths").id
            elif entry.name == KELS:
                kel_entries = self._tree(_folder(entry).id, b".auths/kels")
                total += len(kel_entries)
            elif entry.mode == DIRECTORY:
                inside = self._tree(entry.id, b".auths/" + entry.name)
                total += 1 + len(inside)
                for inner in inside:
                    files[entry.name + b"/" + inner.name] = _plain_file(inner, b".auths/" + entry.name).id
            else:
                files[entry.name] = _plain_file(entry, b".auths").id
            if total > MAX_ENTRIES:
                raise _Faulty("policy-invalid", f".auths has more than {MAX_ENTRIES} entries")
        for path in (decisions.ADOPTED, decisions.RECEIVED):
            self._lines(path, files.get(path))
        policy = self._policy(policy_id) if policy_id is not None else None
        kel_ids = {_aid_of(entry): entry.id for entry in kel_entries}
        kels = self._replay(kel_ids)
        authority = Authority(kels, self._sealed_grants(kels, files))
        return AuthsFolder(policy_id, policy, kels, kel_ids, files, _signers(authority), None, authority)

    def _tree(self, tree_id: str, path: bytes) -> tuple[Entry, ...]:
        shown = path.decode(errors="backslashreplace")
        try:
            kind, raw = self._read(tree_id, MAX_TREE_BYTES)
            entries = parse_tree(raw, self._hex_length) if kind == b"tree" else ()
        except TooLarge:
            raise _Faulty("policy-invalid", f"{shown} has too many entries") from None
        except Malformed as error:
            raise _Faulty("malformed", f"{shown}: {error}") from None
        if kind != b"tree" or len(entries) > MAX_ENTRIES:
            raise _Faulty("policy-invalid", f"{shown} is no folder, or has too many entries")
        for entry in entries:
            for exact in _EXACT_NAMES.get(path, ()):
                if is_alias(entry.name, exact):
                    name = entry.name.decode(errors="backslashreplace")
                    raise _Faulty("policy-invalid", f"{shown}/{name} stands for {exact.decode()} on some file systems")
        return entries

    def _lines(self, path: bytes, blob_id: str | None) -> None:
        try:
            self.lines(blob_id)
        except TooLarge:
            raise _Faulty("policy-invalid", f".auths/{path.decode()} is larger than 4 MiB") from None
        except decisions.DecisionsInvalid as error:
            raise _Faulty("policy-invalid", f".auths/{path.decode()}: {error.reason}") from None

    def _policy(self, blob_id: str) -> Policy:
        if blob_id not in self._policies:
            try:
                self._policies[blob_id] = parse(self._read(blob_id, MAX_POLICY_BYTES)[1])
            except TooLarge:
                raise _Faulty("policy-invalid", "policy.toml is larger than 256 KiB") from None
            except PolicyInvalid as error:
                raise _Faulty("policy-invalid", str(error)) from None
        return self._policies[blob_id]

    def _replay(self, kel_ids: Mapping[str, str]) -> dict[str, Kel]:
        """Every log, delegators before their delegates."""
        kels: dict[str, Kel] = {}
        waiting = dict(kel_ids)
        for _ in range(MAX_DELEGATIONS_DEEP + 1):
            found = {aid: kel for aid, blob_id in waiting.items() if (kel := self._replay_one(aid, blob_id, kels))}
            kels.update(found)  # not before: each round goes one delegation deeper, whatever the names are
            for aid in found:
                del waiting[aid]
            if not waiting:
                return kels
        aid = min(waiting)
        raise _Faulty("kel-invalid", f".auths/kels/{aid}.cesr: its delegator's log is not in this tree, or it is more "
                                     f"than {MAX_DELEGATIONS_DEEP} delegations deep")  # fmt: skip

    def _replay_one(self, aid: str, blob_id: str, known: Mapping[str, Kel]) -> Kel | None:
        """None: its delegator is not known yet."""
        cached, sealed_by = self._kels.get((aid, blob_id), (None, None))
        if cached is not None and _is_sealed_still(cached, sealed_by, known):
            return cached
        path = f".auths/kels/{aid}.cesr"
        try:
            stream = self._read(blob_id, MAX_KEL_BYTES)[1]
            kel = self._grown(aid, stream, known) or replay(stream, known)
        except TooLarge:
            raise _Faulty("kel-invalid", f"{path} is larger than 4 MiB") from None
        except DelegatorUnknown:
            return None
        except KelInvalid as error:
            raise _Faulty("kel-invalid", f"{path}: {error}") from None
        if kel.aid != aid:
            raise _Faulty("kel-invalid", f"{path} is the log of {kel.aid}")
        self._kel_bytes += kel.size
        if len(self._kels) >= MAX_KELS or self._kel_bytes > MAX_STREAM_BYTES:
            self._kels.clear()
            self._folders.clear()  # they hold the same logs
            self._kel_bytes = kel.size
        sealed_by = known[kel.delegator] if kel.delegator is not None else None
        self._kels[aid, blob_id] = kel, sealed_by
        self._sealed_by[aid] = sealed_by
        if sum(len(known) for known, _ in self._latest.values()) + len(stream) > MAX_STREAM_BYTES:
            self._latest.clear()
        self._latest[aid] = stream, kel
        return kel

    def _sealed_grants(self, kels: Mapping[str, Kel], files: Mapping[bytes, str]) -> dict[str, Grant]:
        """The grants that count for something: named by their payload's digest, for this trust root, and sealed by
        their issuer. Other files there are nobody's business; they are not even read where no log seals them."""
        folder = GRANTS + b"/"
        sealed = {sha256 for kel in kels.values() for sha256 in ledger(kel).granted}
        names = [f"{sha256}.json".encode() for sha256 in sealed]
        present = [name for name in names if folder + name in files]
        if len(present) > MAX_GRANTS:
            raise _Faulty("policy-invalid", f".auths/grants has more than {MAX_GRANTS} grants that are sealed")
        found: dict[str, Grant] = {}
        for name in sorted(present):
            sha256, grant = self._grant(files[folder + name]) or ("", None)
            if grant is None or sha256 != name[:64].decode() or grant.root != self._root:
                continue
            issuer = kels.get(grant.issuer.removeprefix("did:keri:"))
            if issuer is not None and sha256 in ledger(issuer).granted:
                found[sha256] = grant
        return found

    def _grant(self, blob_id: str) -> tuple[str, Grant] | None:
        """The digest of its payload and the grant in a file; None where it holds none."""
        from git_auths.core import grants  # most histories need none

        if blob_id not in self._grants:
            if len(self._grants) >= MAX_GRANTS:
                self._grants.clear()
            try:
                self._grants[blob_id] = grants.read(self._read(blob_id, MAX_GRANT_BYTES)[1])
            except (TooLarge, grants.GrantInvalid):
                self._grants[blob_id] = None
        return self._grants[blob_id]

    def _grown(self, aid: str, stream: bytes, known: Mapping[str, Kel]) -> Kel | None:
        """The log, from the one that was read last: logs grow, and their old events are not replayed at each commit."""
        before, kel = self._latest.get(aid, (b"", None))
        if kel is None or len(stream) <= len(before) or not stream.startswith(before):
            return None
        if not _is_sealed_still(kel, self._sealed_by.get(aid), known):
            return None
        return extend(kel, stream[len(before) :], known)


_EXACT_NAMES = {
    b".auths": (POLICY, KELS, ALLOWED_SIGNERS, b"adopted", b"received", b"grants", b"oidc", b"tsa", b"rekor")
}


class _Faulty(Exception):
    def __init__(self, verdict: str, reason: str) -> None:
        super().__init__(reason)
        self.fault = Fault(verdict, reason)


def _plain_file(entry: Entry, folder: bytes) -> Entry:
    if entry.mode != FILE:
        raise _Faulty("policy-invalid", f"{(folder + b'/' + entry.name).decode(errors='backslashreplace')} "
                                        "is not a plain file (mode 100644)")  # fmt: skip
    return entry


def _folder(entry: Entry) -> Entry:
    if entry.mode != DIRECTORY:
        raise _Faulty("policy-invalid", f".auths/{entry.name.decode(errors='backslashreplace')} is not a folder")
    return entry


def _aid_of(entry: Entry) -> str:
    _plain_file(entry, b".auths/kels")
    name = entry.name.decode("ascii", "replace")
    if not name.endswith(".cesr") or len(name) != 49:
        raise _Faulty(
            "kel-invalid", f".auths/kels/{entry.name.decode(errors='backslashreplace')} is not named <AID>.cesr"
        )
    return name.removesuffix(".cesr")


def _is_sealed_still(kel: Kel, sealed_by: Kel | None, known: Mapping[str, Kel]) -> bool:
    """A delegate's log depends on its delegator's: it holds as long as that one goes on from what sealed it."""
    if sealed_by is None:
        return True
    delegator = known.get(sealed_by.aid)
    return delegator is not None and extends(delegator, sealed_by)


def _signers(authority: Authority) -> dict[bytes, tuple[str, ...]]:
    signers: dict[bytes, tuple[str, ...]] = {}
    for aid in sorted(authority.kels):
        kel = authority.kels[aid]
        for key in kel.current_signing_keys():
            signers[key.ssh_blob()] = (*signers.get(key.ssh_blob(), ()), kel.did)
    for grant in authority.grants.values():
        if grant.key is not None and grant.subject not in signers.get(grant.key, ()):
            signers[grant.key] = (*signers.get(grant.key, ()), grant.subject)
    return signers


def held_keys(kel: Kel) -> list[bytes]:
    """The SSH key blobs that have ever alone met the threshold of `kel`, in event order."""
    return [key.ssh_blob() for event in kel.establishments() for key in event.state.signing_keys()]


def held_keys_since(kel: Kel, sn: int) -> list[bytes]:
    """Like `held_keys`, of the key states from event number `sn` on."""
    return [key.ssh_blob() for event in kel.establishments() if event.sn >= sn for key in event.state.signing_keys()]


def declared_compromised(kel: Kel) -> int:
    """The number of the last rotation that declares every key before it compromised; 0 where none does."""
    declaring = (event.sn for event in kel.establishments()
                 if any(isinstance(parse_seal(anchor), Compromise) for anchor in event.anchors))  # fmt: skip
    return max(declaring, default=0)


def doubted_since(kel: Kel) -> int | None:
    """The earliest Unix time from which a rotation declares keys to be in doubt; None where none does."""
    seals = (parse_seal(anchor) for event in kel.establishments() for anchor in event.anchors)
    return min((seal.at_seconds for seal in seals if isinstance(seal, Compromise)), default=None)


def first_event_lost(kel: Kel, earlier: Kel) -> int | None:
    """The number of the first event of `earlier` that `kel` does not have; None when it extends `earlier`."""
    now = kel.events
    for n, event in enumerate(earlier.events):
        if n >= len(now) or now[n].said != event.said:
            return event.sn
    return None


def extends(kel: Kel, earlier: Kel) -> bool:
    """Is `earlier` a beginning of `kel`? Each event holds the digest of the one before it."""
    last = len(earlier.events) - 1
    return len(kel.events) > last and kel.events[last].said == earlier.said


def generated_allowed_signers(folder: AuthsFolder) -> bytes:
    """`.auths/allowed_signers` as this folder's policy and logs give it (section 3)."""
    policy = folder.policy
    assert policy is not None
    rows = []
    for aid in sorted(folder.kels):
        did = f"did:keri:{aid}"
        if folder.acts(did):
            kel = folder.kels[aid]
            emails = policy.signers[did].emails if policy.lists(did) else ()
            rows.append((did, emails, held_keys_since(kel, declared_compromised(kel))))
    hardware = {grant.subject: grant.key for grant in folder.grants.values() if grant.key is not None}
    rows += [(subject, (), [hardware[subject]]) for subject in sorted(hardware) if folder.acts(subject)]
    return generate(rows)


def generated_id(folder: AuthsFolder) -> str:
    """The blob id that `generated_allowed_signers` would have."""
    return object_id(b"blob", generated_allowed_signers(folder), len(folder.policy_id or ""))
