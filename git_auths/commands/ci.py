"""Whose word counts about CI: pin the keys of an OIDC issuer, a time stamping authority, a transparency log.

Pins stand below .auths/ and are staged; the commit that you make of them needs whoever may change the policy. Nothing
here takes a pin away: what was signed under an old key still has to be judged.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from git_auths import output
from git_auths.core import oidc, pins, utctime
from git_auths.core.dsse import load_json
from git_auths.errors import Error, Refusal, TooLarge, UsageError
from git_auths.store.named import read_named
from git_auths.store.repository import Repository
from git_auths.store.worktree_policy import Folder

if TYPE_CHECKING:
    from git_auths.core.timestamp import Authority
    from git_auths.core.transparency import Log

COMMIT_HINT = "git commit -m 'Pin it' makes it so"
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)
LOG_ID_CHARS = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="action", required=True, metavar="pin-issuer|pin-tsa|pin-log|pins")
    issuer = commands.add_parser("pin-issuer", help="fetch the keys of a CI's OIDC issuer, and add them")
    issuer.add_argument("url", metavar="URL", help="the issuer, exactly as its tokens have it in iss")
    tsa = commands.add_parser("pin-tsa", help="add a time stamping authority (RFC 3161)")
    tsa.add_argument("file", metavar="FILE.pem", help="its root certificate, perhaps with those below it")
    tsa.add_argument("--name", help="what to call it (default: the file's name)")
    log = commands.add_parser("pin-log", help="add a transparency log (Rekor)")
    log.add_argument("file", nargs="?", metavar="FILE.json", help="its TransparencyLogInstance, as Sigstore writes it")
    log.add_argument("--from-trusted-root", metavar="FILE", help="take it from a trusted_root.json")
    log.add_argument("--name", metavar="HOST", help="which log of the trusted root")
    listing = commands.add_parser("pins", help="list what the working tree pins")
    listing.add_argument("--json", action="store_true")


def run(args: argparse.Namespace) -> int:
    folder = Folder(Repository())
    if args.action == "pins":
        return show(folder, args.json)
    folder.policy_text()  # without a policy nothing asks for evidence
    if args.action == "pin-issuer":
        return pin_issuer(folder, args.url)
    if args.action == "pin-tsa":
        return pin_tsa(folder, args.file, args.name)
    return pin_log(folder, args)


def pin_issuer(folder: Folder, url: str) -> int:
    """Add the keys that the issuer publishes now; those that are pinned stay."""
    from git_auths.services.issuers import discover

    path = folder.path / "oidc" / f"{file_name(url)}.json"
    present = pinned_issuer(path) if path.is_file() else oidc.Issuer(url, ())
    if present.issuer != url:
        raise Error(f"{path} is of another issuer: {present.issuer}", "git mv it to another name")
    published = discover(url)
    added = new_keys(present, published)
    published_kids = {key.kid for key in published.keys}
    for key in present.keys:
        if key.kid not in published_kids and key.not_after is None:
            output.note(f"{url} no longer publishes the key {key.kid}; it stays (a `not_after` would end it)")
    if not added:
        output.note(f"every key of {url} is pinned already")
        return 0
    try:
        merged = oidc.issuer(url, (*present.keys, *added))
    except oidc.PinInvalid as error:
        raise Error(f"{path} would not be valid: {error}") from None
    return stage(folder, path, oidc.issuer_json(merged), [key_line(key) for key in added])


def pinned_issuer(path: Path) -> oidc.Issuer:
    try:
        return oidc.issuer_from_json(read_named(path, oidc.MAX_PIN_BYTES))
    except oidc.PinInvalid as error:
        raise Error(f"{path}: {error}", f"git checkout HEAD -- {shlex.quote(str(path))}") from None


def new_keys(present: oidc.Issuer, published: oidc.Issuer) -> list[oidc.PinnedKey]:
    """The published keys that are not pinned. A name that now stands for another key is a Refusal."""
    known = {key.kid: key for key in present.keys}
    for key in published.keys:
        if key.kid in known and known[key.kid].jwk != key.jwk:
            raise Refusal(f"{present.issuer} now has another key by the name {key.kid} than the one that is pinned",
                          "an honest issuer gives a new key a new name; ask its operator")  # fmt: skip
    return [key for key in published.keys if key.kid not in known]


def key_line(key: oidc.PinnedKey) -> str:
    until = "" if key.not_after is None else f" until {utctime.text(key.not_after)}"
    return f"{key.kid or '(no kid)'} {oidc.ALGORITHM[key.jwk['kty']]} {oidc.thumbprint(key)}{until}"


def file_name(url: str) -> str:
    """The name of an issuer's file: its address without the scheme, in characters that every file system takes."""
    name = NOT_IN_NAMES.sub("-", url.lower().partition("://")[2]).strip("-.")
    if not NAME.fullmatch(name):
        raise UsageError(f"{url!r} is not the address of an issuer", "like https://token.actions.githubusercontent.com")
    return name


def pin_tsa(folder: Folder, file: str, name: str | None) -> int:
    from git_auths.core.timestamp import TimestampInvalid, authority_from_pem

    pem = bounded(file)
    chosen = NOT_IN_NAMES.sub("-", Path(file).stem) if name is None else name
    if not NAME.fullmatch(chosen):
        raise UsageError(
            f"{chosen!r} cannot be the name of a file in .auths/tsa/", "--name NAME, of letters and digits"
        )
    try:
        authority = authority_from_pem(pem, chosen)
    except TimestampInvalid as error:
        raise Refusal(
            f"{file} is no authority to pin: {error.reason}", "it takes one root certificate in PEM"
        ) from None
    return add(folder, folder.path / "tsa" / f"{chosen}.pem", pem, authority_line(authority))


def pin_log(folder: Folder, args: argparse.Namespace) -> int:
    from git_auths.core.transparency import log_from_json

    if (args.file is None) == (args.from_trusted_root is None) or (args.name is None) != (args.file is not None):
        raise UsageError("a log is in a file of its own, or in a trusted root under a name",
                         "git auths ci pin-log FILE.json | --from-trusted-root FILE --name HOST")  # fmt: skip
    try:
        if args.file is not None:
            value = load_json(bounded(args.file))
        else:
            value = from_trusted_root(args.from_trusted_root, args.name)
        log = log_from_json(value)
    except ValueError as error:
        source = args.file or args.from_trusted_root
        raise Refusal(f"{source} has no log to pin: {error}", "it takes a TransparencyLogInstance in JSON") from None
    path = folder.path / "rekor" / f"{log.name}-{log.log_id.hex()[:LOG_ID_CHARS]}.json"
    return add(folder, path, json.dumps(value, indent=2).encode() + b"\n", log_line(log))


def from_trusted_root(file: str, host: str) -> object:
    """The one log of a trusted root whose address has that host; raises ValueError."""
    from git_auths.core import trustedroot
    from git_auths.core.transparency import log_from_json

    logs = [(log_from_json(value).name, value) for value in trustedroot.instances(
        trustedroot.document(read_named(file, trustedroot.MAX_BYTES)), "tlogs")]  # fmt: skip
    found = [value for name, value in logs if name == host]
    if len(found) != 1:
        names = ", ".join(name for name, _ in logs) or "no log"
        raise ValueError(f"{len(found) or 'none'} of its logs is {host}; it names {names}")
    return found[0]


def bounded(file: str) -> bytes:
    content = read_named(file, pins.MAX_PIN_BYTES)
    if len(content) > pins.MAX_PIN_BYTES:
        raise Error(f"{file} is larger than {pins.MAX_PIN_BYTES} bytes")
    return content


def add(folder: Folder, path: Path, content: bytes, line: str) -> int:
    """Add a file that is one pin. Where it is there with another content, that one stays."""
    if path.is_file():
        if read_named(path, pins.MAX_PIN_BYTES) != content:
            raise Refusal(f"{path} is there already, and is another", "pin it under another name, or git rm it first")
        output.note(f"{path} is pinned already")
        return 0
    return stage(folder, path, content, [line])


def stage(folder: Folder, path: Path, content: bytes, added: list[str]) -> int:
    """Write and stage the file, and then say what was `added`."""
    if folder.write_attributes():
        output.note("changed and staged .auths/.gitattributes: git is to convert nothing below .auths/")
    folder.write(path, content)
    for line in added:
        output.data(f"added {line}")
    output.note(f"changed and staged {path.relative_to(folder.top)}")
    output.hint(COMMIT_HINT)
    return 0


def show(folder: Folder, as_json: bool) -> int:
    """List what the working tree pins; what cannot be read pins nothing, and is a warning."""
    found = read_pins(folder)
    if as_json:
        output.document(document(found))
        return 0
    for issuer in found.issuers:
        for key in issuer.keys:
            output.data(f"issuer {issuer.issuer} {key_line(key)}")
    for authority in found.authorities:
        output.data(authority_line(authority))
    for log in found.logs:
        output.data(log_line(log))
    for fault in found.unreadable:
        output.warning(fault)
    return 0


def read_pins(folder: Folder) -> pins.Pins:
    names = [(path.relative_to(folder.path).as_posix(), path) for kind in ("oidc", "tsa", "rekor")
             for path in sorted((folder.path / kind).glob("*"))]  # fmt: skip

    def content(name: str) -> bytes:
        data = folder.content(name, pins.MAX_PIN_BYTES)
        if len(data) > pins.MAX_PIN_BYTES:
            raise TooLarge(f"larger than {pins.MAX_PIN_BYTES} bytes")
        return data

    return pins.read({name.encode(errors="surrogateescape"): name for name, _ in names}, content)


def document(found: pins.Pins) -> dict[str, object]:
    return {
        "version": 1,
        "issuers": [{"issuer": issuer.issuer, "keys": [
            {"kid": key.kid, "algorithm": oidc.ALGORITHM[key.jwk["kty"]], "thumbprint": oidc.thumbprint(key),
             "not_after": None if key.not_after is None else utctime.text(key.not_after)} for key in issuer.keys]}
            for issuer in found.issuers],
        "authorities": [{"name": one.name, "root_sha256": root_sha256(one)} for one in found.authorities],
        "logs": [{"name": log.name, "url": log.url, "log_id": log.log_id.hex()} for log in found.logs],
        "unreadable": list(found.unreadable),
    }  # fmt: skip


def authority_line(authority: Authority) -> str:
    return f"authority {authority.name} root SHA-256 {root_sha256(authority)}"


def root_sha256(authority: Authority) -> str:
    from git_auths.core.sha2 import sha256

    return sha256(authority.certificates[-1]).hexdigest()


def log_line(log: Log) -> str:
    return f"log {log.name} id {log.log_id.hex()} {log.url}"
