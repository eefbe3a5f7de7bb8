"""git auths artifact verify, on what other software signed"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.people import Person

FOLDER = os.environ.get("AUTHS_CONFORMANCE")  # read before the tests' clean environment drops it
IDENTITY = ("https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/"
            "extremely-dangerous-oidc-beacon.yml@refs/heads/main")  # fmt: skip
ISSUER = "https://token.actions.githubusercontent.com"

needs_samples = pytest.mark.skipif(FOLDER is None, reason="AUTHS_CONFORMANCE is not set")
CASES = sorted(path.parent.name for path in Path(FOLDER or "/nowhere", "sigstore").glob("*/bundle.sigstore.json"))


def arguments(case: str) -> list[str]:
    samples = Path(str(FOLDER), "sigstore")
    own = samples / case / "trusted_root.json"
    root = own if own.exists() else samples / "production-trusted_root.json"
    key = samples / case / "key.pub"
    who = ["--key", str(key)] if key.exists() else ["--certificate-identity", IDENTITY,
                                                    "--certificate-oidc-issuer", ISSUER]  # fmt: skip
    bundle = samples / case / "bundle.sigstore.json"
    return [str(samples / "a.txt"), "--bundle", str(bundle), "--trusted-root", str(root), *who]


@needs_samples
@pytest.mark.parametrize("case", CASES)
def test_each_sample_gets_the_answer_that_its_name_says(case: str, newcomer: Person) -> None:
    done = newcomer.auths("artifact", "verify", *arguments(case), "--json", code=None)
    answer = json.loads(done.stdout)
    assert done.returncode == (1 if case.endswith("_fail") else 0), done.stderr
    assert answer["ok"] is not case.endswith("_fail")


@needs_samples
def test_another_artifact_or_another_identity_is_refused(newcomer: Person) -> None:
    other = newcomer.home / "a.txt"
    other.write_text("other\n")
    done = newcomer.auths("artifact", "verify", other, *arguments("happy-path-v0.3")[1:], code=1)
    assert "the chain is broken at its" in done.stderr
    somebody = [IDENTITY.replace("main", "other") if one == IDENTITY else one for one in arguments("happy-path-v0.3")]
    assert "identity" in newcomer.auths("artifact", "verify", *somebody, code=1).stderr


@needs_samples
def test_a_pattern_must_match_the_whole_identity(newcomer: Person) -> None:
    given = arguments("happy-path-v0.3")
    at = given.index("--certificate-identity")

    def asked(pattern: str, code: int) -> None:
        command = [*given[:at], "--certificate-identity-regexp", pattern, *given[at + 2 :]]
        newcomer.auths("artifact", "verify", *command, code=code)

    asked(r"https://github\.com/sigstore-conformance/.*@refs/heads/main", 0)
    asked(r"https://github\.com/sigstore-conformance/", 1)


@needs_samples
def test_without_a_trusted_root_a_key_proves_the_signature_and_no_more(newcomer: Person) -> None:
    given = arguments("managed-key-happy-path")
    at = given.index("--trusted-root")
    plain = [*given[:at], *given[at + 2 :]]
    answer = newcomer.ask("artifact", "verify", *plain)["artifacts"][0]
    assert answer["warnings"] == ["unjudged"]
    newcomer.auths("artifact", "verify", *plain, "--strict", code=1)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--key", "k", "--certificate-identity", "x"], "exclude each other"),
        (["--trusted-root", "t"], "goes with --key or --certificate-identity"),
        (["--certificate-identity", "x", "--trusted-root", "t"], "goes with --certificate-oidc-issuer"),
        (["--certificate-identity", "x", "--certificate-oidc-issuer", "y"], "nothing is fetched"),
        (["--key", "k", "--signer", "did:keri:E"], "are for bundles of git-auths"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(given: list[str], said: str, newcomer: Person) -> None:
    (newcomer.home / "a").write_text("x")
    assert said in newcomer.auths("artifact", "verify", "a", *given, code=129, cwd=newcomer.home).stderr


@pytest.mark.parametrize("content", [b"", b"{}", b"not json", b"[" * 100_000, b'{"a":1,"a":2}'])
def test_what_is_no_bundle_is_refused_and_is_no_failure_of_the_program(content: bytes, newcomer: Person) -> None:
    (newcomer.home / "a").write_text("x")
    (newcomer.home / "a.auths.json").write_bytes(content)
    (newcomer.home / "key").write_text("no key")
    done = newcomer.auths("artifact", "verify", "a", "--key", "key", code=1, cwd=newcomer.home)
    assert done.stderr.startswith("error: a: the chain is broken at its bundle")
