"""The options for bundles of other software."""

from __future__ import annotations

import argparse

from git_auths.commands.option_types import filled


def add_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("bundles of other software")
    group.add_argument("--key", type=filled, metavar="PEM", help="the public key that signed it")
    group.add_argument("--trusted-root", type=filled, metavar="FILE",
                       help="Sigstore's trusted_root.json: whose logs, authorities and certificates count")  # fmt: skip
    for what, name in (("identity", "who"), ("oidc-issuer", "at which OIDC provider")):
        one = group.add_mutually_exclusive_group()
        one.add_argument(f"--certificate-{what}", type=filled, metavar="TEXT",
                         help=f"{name} the certificate is for, exactly")  # fmt: skip
        one.add_argument(f"--certificate-{what}-regexp", type=filled, metavar="REGEXP",
                         help="the same, as a regular expression")  # fmt: skip


def is_meant(args: argparse.Namespace) -> bool:
    return args.key is not None or args.trusted_root is not None or bool(certificate_options(args))


def certificate_options(args: argparse.Namespace) -> list[str]:
    given = (args.certificate_identity, args.certificate_identity_regexp, args.certificate_oidc_issuer,
             args.certificate_oidc_issuer_regexp)  # fmt: skip
    return [text for text in given if text is not None]
