"""Bundles that other software signed: by a plain key, or by a certificate of an identity at an OIDC provider.

Needs no repository: the key, or the identity with the trusted root that vouches for it, is all there is to judge by.
"""

from __future__ import annotations

import argparse

from git_auths.commands import artifact_answer
from git_auths.commands.artifact_answer import TYPES
from git_auths.commands.foreign_options import certificate_options
from git_auths.core import bundle, chain, foreign, trustedroot, utctime
from git_auths.core.artifacts import Judged
from git_auths.errors import Error, UsageError
from git_auths.store import artifactfiles, keyless

MAX_KEY_BYTES = 64 * 1024
MAX_CONTENT_BYTES = 1024 * 1024 * 1024  # of a file whose Ed25519 signature is over all of its bytes


def run(args: argparse.Namespace) -> int:
    check_usage(args)
    path = args.paths[0]
    digests = artifactfiles.digests(path, ("sha256", "sha384", "sha512"))
    try:
        data = artifactfiles.read_bundle(artifactfiles.bundle_path(path) if args.bundle is None else args.bundle)
        links = by_certificate(args, data, digests) if args.key is None else by_key(args, path, data, digests)
    except foreign.ForeignRefused as refused:
        links = [chain.failed(refused.link, "refused", refused.reason)]
    except Error as error:
        if error.exit_code != 1:
            raise
        links = [chain.failed(foreign.BUNDLE, "malformed", error.message)]
    found = artifactfiles.Artifact(path, digests["sha256"].hex(), path)
    return artifact_answer.answer([found], [Judged(tuple(links), "")], args)


def check_usage(args: argparse.Namespace) -> None:
    hint = "git auths artifact verify -h"
    has_key, has_root = args.key is not None, args.trusted_root is not None
    if len(args.paths) != 1 or args.subject:
        raise UsageError("a bundle of other software is verified with one PATH", hint)
    if any(given is not None for given in (args.signer, args.identity, args.issuer, args.tag)):
        raise UsageError("--signer, --identity, --issuer and --tag are for bundles of git-auths", hint)
    if has_key and certificate_options(args):
        raise UsageError("--key and --certificate-... exclude each other", hint)
    if not has_key and args.certificate_identity is None and args.certificate_identity_regexp is None:
        raise UsageError("--trusted-root goes with --key or --certificate-identity", hint)
    if not has_key and args.certificate_oidc_issuer is None and args.certificate_oidc_issuer_regexp is None:
        raise UsageError("--certificate-identity goes with --certificate-oidc-issuer: anybody runs a provider", hint)
    if not has_key and not has_root:
        raise UsageError("a certificate is judged by --trusted-root FILE: nothing is fetched here", hint)


def by_key(args: argparse.Namespace, path: str, data: bytes, digests: dict[str, bytes]) -> list[chain.Link]:
    root = None if args.trusted_root is None else trusted_root(args.trusted_root)
    try:
        parsed = bundle.parse(data)
    except bundle.BundleInvalid as error:
        raise foreign.ForeignRefused(foreign.BUNDLE, error.reason) from None
    key = small_file(args.key, MAX_KEY_BYTES)
    found = foreign.verify(parsed, digests, key, root, lambda: small_file(path, MAX_CONTENT_BYTES))
    unjudged = root is None and bool(parsed.entries or parsed.timestamps)
    return [chain.ok(chain.SIGNATURE, f"signature valid, by the key in {args.key}"),
            *evidence(args, found, unjudged)]  # fmt: skip


def by_certificate(args: argparse.Namespace, data: bytes, digests: dict[str, bytes]) -> list[chain.Link]:
    root = small_file(args.trusted_root, trustedroot.MAX_BYTES)
    identity = wanted(args.certificate_identity, args.certificate_identity_regexp)
    issuer = wanted(args.certificate_oidc_issuer, args.certificate_oidc_issuer_regexp)
    try:
        found = keyless.verify(data, digests, root, identity, issuer)
    except trustedroot.TrustedRootInvalid as error:
        raise Error(f"{args.trusted_root} is no trusted root: {error}") from None
    return [chain.ok(chain.SIGNATURE, f"signature valid, by {found.identity}, who logged in at {found.issuer}"),
            *evidence(args, found.verified, False)]  # fmt: skip


def wanted(text: str | None, pattern: str | None) -> keyless.Wanted:
    if text is not None:
        return keyless.Wanted(text)
    assert pattern is not None  # check_usage
    return keyless.matching(pattern)


def evidence(args: argparse.Namespace, found: foreign.Verified, unjudged: bool) -> list[chain.Link]:
    links = []
    if args.type is not None:
        asked = TYPES.get(args.type, args.type)
        if found.predicate_type != asked:
            links.append(chain.failed(chain.SIGNATURE, "other-predicate",
                                      f"its predicate is {found.predicate_type or 'none'}, not {asked}"))  # fmt: skip
    elif found.predicate_type is not None:
        links.append(chain.ok("statement", f"its predicate is {found.predicate_type}"))
    links += [chain.ok(chain.LOG, f"logged by {name}") for name in found.evidence.logs]
    links += [chain.ok(chain.TIMESTAMP, f"timestamp proof valid ({utctime.text(one.time_seconds)}, by {one.authority})")
              for one in found.evidence.stamps]  # fmt: skip
    if unjudged:
        links.append(chain.warning(chain.LOG, "unjudged", "its log entries and timestamps are judged with "
                                                          "--trusted-root only"))  # fmt: skip
    return links


def trusted_root(path: str) -> trustedroot.TrustedRoot:
    try:
        return trustedroot.parse(small_file(path, trustedroot.MAX_BYTES))
    except trustedroot.TrustedRootInvalid as error:
        raise Error(f"{path} is no trusted root: {error}") from None


def small_file(path: str, limit: int) -> bytes:
    try:
        with open(path, "rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise Error(f"cannot read {path}: {error.strerror}") from None
    if len(data) > limit:
        raise Error(f"{path} is larger than {limit} bytes")
    return data
