"""The options by which somebody asks for evidence beside a signature."""

from __future__ import annotations

import argparse

from git_auths.commands.option_types import filled


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tsa", type=filled, metavar="URL", help="have an RFC 3161 authority say when it was signed")
    parser.add_argument("--rekor", type=filled, metavar="URL", help="publish the signature in a Rekor transparency log")
