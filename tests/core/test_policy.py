from __future__ import annotations

import subprocess
import sys
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_auths.core.policy import MAX_POLICY_BYTES, Policy, PolicyInvalid, is_did, parse, warnings
from git_auths.core.policyschema import duration_seconds

A = "did:keri:E" + "A" * 43
B = "did:keri:EP" + "-_9z" * 10 + "Zz"
C = "did:keri:E" + "C" * 43

# The example of the design, every key of it.
FULL = f"""\
[policy]
schema = 1                      # optional; 1 is the only one

[[policy.release]]              # who signs release tags
signers = ["{A}", "{B}"]
require = 2
capabilities = ["sign_release"]
tags = ["v*"]

[[policy.commit]]
signers = [
    "{A}",  # Ada
    "{B}",
]
require = 1
capabilities = ["sign_commit"]
branches = ["main"]
paths = ["src/crypto/**"]
agents = "approved"
agent_models = ["*"]

[[policy.admin]]
signers = ["{A}"]
require = 1
capabilities = ["manage_members"]

[[policy.ci]]
allow_ephemeral = true
max_ttl = "1h"
require_log = "sigstore-rekor"
log_url = "https://rekor.example.com"
require_timestamp = true
timestamp_url = "https://tsa.example.com"
commit_paths = ["CHANGELOG.md"]
signers = ["{C}"]
[policy.ci.identity]
issuer = "https://token.actions.githubusercontent.com"
repository_id = "123456"
workflow_ref = "owner/repo/.github/workflows/release.yml@refs/tags/*"
"oidc.circleci.com/ssh-rerun" = false
allow_unbound = ["audience", "commit"]

[signer."{A}"]
name = "Maintainer"
emails = ["maintainer@example.com"]
expires_at = 2027-01-01T00:00:00Z
"""

RELEASE = f'[[policy.release]]\nsigners = ["{A}"]\nrequire = 1\n'


def of(text: str) -> Policy:
    return parse(text.encode())


def refused(text: str | bytes) -> PolicyInvalid:
    with pytest.raises(PolicyInvalid) as caught:
        parse(text if isinstance(text, bytes) else text.encode())
    return caught.value


def test_every_key_of_the_design_is_read() -> None:
    policy = of(FULL)
    (release,), (commit,), (admin,), (ci,) = policy.release, policy.commit, policy.admin, policy.ci
    assert (release.name, release.signers, release.require, release.tags) == ("policy.release[0]", (A, B), 2, ("v*",))
    assert (commit.name, commit.signers, commit.require, commit.branches) == ("policy.commit[0]", (A, B), 1, ("main",))
    assert (commit.paths, commit.agents, commit.agent_models) == (("src/crypto/**",), "approved", ("*",))
    assert (admin.name, admin.signers, admin.capabilities) == ("policy.admin[0]", (A,), ("manage_members",))
    assert policy.admin_is_explicit
    assert (ci.name, ci.allow_ephemeral, ci.max_ttl_seconds, ci.signers) == ("policy.ci[0]", True, 3600, (C,))
    assert (ci.require_log, ci.log_url) == ("sigstore-rekor", "https://rekor.example.com")
    assert (ci.require_timestamp, ci.timestamp_url) == (True, "https://tsa.example.com")
    assert (ci.commit_paths, ci.allow_unbound) == (("CHANGELOG.md",), ("audience", "commit"))
    assert ci.identity == {
        "issuer": "https://token.actions.githubusercontent.com",
        "repository_id": "123456",
        "workflow_ref": "owner/repo/.github/workflows/release.yml@refs/tags/*",
        "oidc.circleci.com/ssh-rerun": False,
    }
    ada = policy.signers[A]
    assert (ada.did, ada.name, ada.emails, ada.expires_at) == (A, "Maintainer", ("maintainer@example.com",), 1798761600)


def test_what_may_be_left_out() -> None:
    policy = of(RELEASE + "[[policy.ci]]\n" + f'[[policy.commit]]\nsigners = ["{B}"]\nrequire = 1\n')
    (release,), (commit,), (ci,) = policy.release, policy.commit, policy.ci
    assert (release.tags, release.capabilities, release.is_scoped) == (None, ("sign_release",), False)
    assert (commit.branches, commit.paths, commit.agents, commit.agent_models) == (None, None, "approved", None)
    assert (ci.allow_ephemeral, ci.max_ttl_seconds, ci.require_log, ci.identity, ci.signers, ci.commit_paths) == (
        False, 3600, None, None, (), None)  # fmt: skip
    bob = policy.signers[B]
    assert (bob.name, bob.emails, bob.expires_at) == (None, (), None)


def test_who_is_listed() -> None:
    policy = of(FULL + f'[signer."did:keri:E{"D" * 43}"]\nname = "Dora"\n')
    assert [policy.lists(did) for did in (A, B, C)] == [True, True, True]
    assert not policy.lists("did:keri:E" + "D" * 43)
    assert "did:keri:E" + "D" * 43 not in policy.signers


def test_without_an_admin_rule_every_release_rule_decides_its_tags_aside() -> None:
    policy = of(f'[[policy.release]]\nsigners = ["{A}", "{B}"]\nrequire = 2\ntags = ["v*"]\n{RELEASE}')
    assert not policy.admin_is_explicit
    assert [(rule.name, rule.require, rule.tags) for rule in policy.admin] == [
        ("policy.release[0]", 2, None), ("policy.release[1]", 1, None)]  # fmt: skip
    assert policy.release[0].tags == ("v*",)


def test_an_identity_belongs_to_the_last_ci_rule() -> None:
    identity = '[policy.ci.identity]\nissuer = "https://{}"\n'
    policy = of(f"{RELEASE}[[policy.ci]]\n{identity.format('a')}[[policy.ci]]\n[[policy.ci]]\n{identity.format('c')}")
    assert [rule.identity and rule.identity["issuer"] for rule in policy.ci] == ["https://a", None, "https://c"]


def test_a_fraction_of_a_second_and_an_offset_in_expires_at() -> None:
    policy = of(FULL.replace("2027-01-01T00:00:00Z", "2027-01-01T01:30:00.9+01:30"))
    assert policy.signers[A].expires_at == 1798761600


# (what stands in FULL, what comes in its place, the line, words of the reason)
REFUSALS = [
    ("require = 2", "require = 3", 6, "require is 3, but the rule lists 2 signers"),
    ("require = 2", "require = 0", 6, "require is 0"),
    ("require = 2", "require = -1", 6, "require is -1"),
    ("require = 2", "require = true", 6, "not true"),
    ("require = 2", 'require = "2"', 6, "not '2'"),
    ("require = 2", "require = 2.0", 6, "not 2.0"),
    ("require = 2", "require = 1e9999", 6, "not inf"),
    ("require = 2", "require = " + "9" * 60, 6, "but the rule lists"),
    ("require = 2", "require = " + "9" * 5000, 6, "too long"),
    ("require = 2", "require = []", 6, "not a list"),
    ("require = 2", "require = {}", 6, "not a table"),
    ("require = 2", "require = false", 6, "not false"),
    ("require = 2", "", 4, "require is missing in policy.release"),
    ("require = 2", "require = 2\nrequire = 2", 7, "second time"),
    ("require = 2", 'require = 2\n"require" = 2', 7, "second time"),
    ("require = 2", "require = 2\nextra = 1", 7, "unknown key 'extra' in policy.release"),
    ("require = 2", "require = 2\nbranches = ['x']", 7, "unknown key 'branches'"),
    ("require = 2", "require = 2\npaths = ['x']", 7, "unknown key 'paths'"),
    ("require = 2", "require = 2\nagents = 'deny'", 7, "unknown key 'agents'"),
    ('branches = ["main"]', 'tags = ["main"]', 17, "unknown key 'tags' in policy.commit"),
    ('capabilities = ["manage_members"]', 'tags = ["main"]', 25, "unknown key 'tags' in policy.admin"),
    ('capabilities = ["manage_members"]', 'paths = ["main"]', 25, "unknown key 'paths' in policy.admin"),
    ("schema = 1", "schema = 2", 2, "schema is 2"),
    ("schema = 1", "schema = 0", 2, "schema is 0"),
    ("schema = 1", "schema = true", 2, "not true"),
    ("schema = 1", 'schema = "1"', 2, "not '1'"),
    ("schema = 1", "schema = 1\nother = 1", 3, "unknown key 'other' in policy"),
    ("[policy]", "other = 1\n[policy]", 1, "unknown key 'other'"),
    ("[policy]", "[other]\n[policy]", 1, "unknown key 'other'"),
    ("[[policy.admin]]", "[policy.admin]", 22, "array of tables"),
    ("[[policy.admin]]", "[[policy.admins]]", 22, "unknown key 'admins'"),
    (f'"{A}", "{B}"', f'"{A}", "{A}"', 5, "twice"),
    (f'"{A}", "{B}"', "", 5, "empty list"),
    (f'signers = ["{A}", "{B}"]', f'signers = "{A}"', 5, "list of texts"),
    (f'signers = ["{A}", "{B}"]', "", 4, "signers is missing"),
    (f'"{A}", "{B}"', f'"{A}", 1', 5, "list of texts"),
    (f'    "{A}",', '    "x",', 12, "is not did:keri"),
    (f'    "{B}",', f'    "{B}x",', 13, "is not did:keri"),
    (f'    "{B}",', f'    "{A}",', 13, "twice"),
    ('["sign_release"]', '["sign_releases"]', 7, "none of"),
    ('["sign_release"]', '["sign_commit"]', 7, "must hold sign_release"),
    ('["sign_release"]', "[]", 7, "empty list"),
    ('["v*"]', '"v*"', 8, "list of texts"),
    ('["v*"]', "[]", 8, "empty list"),
    ('["v*"]', '[""]', 8, "empty text"),
    ('["v*"]', '["["]', 8, "not closed"),
    ('["src/crypto/**"]', '["!src"]', 18, "not supported"),
    ('"approved"', '"maybe"', 19, "allow, deny, approved"),
    ('"approved"', "true", 19, "text in quotes"),
    ('["*"]', '[""]', 20, "empty text"),
    ("allow_ephemeral = true", "allow_ephemeral = 1", 28, "true or false"),
    ('"1h"', '"1y"', 29, "no duration"),
    ('"1h"', "3600", 29, "text in quotes"),
    ('"1h"', '"367d"', 29, "longer than"),
    ('"sigstore-rekor"', '"my-log"', 30, "sigstore-rekor"),
    ("https://rekor.example.com", "ftp://rekor.example.com", 31, "https://"),
    ("https://rekor.example.com", "https://rekor example", 31, "https://"),
    ("https://rekor.example.com", "https://r\u0435kor.example", 31, "https://"),
    (f'["{A}"]\nrequire = 1', f'["{A}"]\nrequire = 2', 24, "but the rule lists 1 signer"),
    ("require_timestamp = true", 'require_timestamp = "yes"', 32, "true or false"),
    ('["CHANGELOG.md"]', '["../x"]', 34, "segment"),
    (f'signers = ["{C}"]', 'signers = ["did:key:z6Mk"]', 35, "is not did:keri"),
    (f'signers = ["{C}"]', "require = 1", 35, "unknown key 'require' in policy.ci"),
    ('"https://token.actions.githubusercontent.com"', '"https://*"', 37, "exactly"),
    ("issuer =", "issue =", 36, "issuer"),
    ('"123456"', "123456", 38, "text in quotes"),
    ('["audience", "commit"]', '["issuer"]', 41, "none of"),
    ("repository_id", '"a\\u001bb"', 36, "control character"),
    (f'[signer."{A}"]', '[signer."did:keri:x"]', 43, "is not did:keri"),
    (f'[signer."{A}"]', '[signers."x"]', 43, "unknown key 'signers'"),
    ("name =", "nick =", 44, "unknown key 'nick'"),
    ('"Maintainer"', '""', 44, "empty text"),
    ('"Maintainer"', '"' + "x" * 201 + '"', 44, "longer than 200"),
    ('"Maintainer"', '"a\\u0000b"', 44, "control character"),
    ('"Maintainer"', '"a\\u001b[2Jb"', 44, "control character"),
    ('"Maintainer"', '"a\\nb"', 44, "control character"),
    ('"Maintainer"', '"a\\u202eb"', 44, "control character"),
    ('"Maintainer"', '"""Maintainer"""', 44, "multi-line"),
    ('"Maintainer"', "'''Maintainer'''", 44, "multi-line"),
    ('"Maintainer"', '"Maintainer', 44, "not valid TOML"),
    ('"Maintainer"', '"\\x41"', 44, "not valid TOML"),  # TOML 1.1
    ('"Maintainer"', '"\\e"', 44, "not valid TOML"),  # TOML 1.1
    ('"Maintainer"', "Maintainer", 44, "not valid TOML"),
    ('["maintainer@example.com"]', '["*"]', 45, "no plain address"),
    ('["maintainer@example.com"]', '["a@b,c@d"]', 45, "no plain address"),
    ('["maintainer@example.com"]', '["a b@c"]', 45, "no plain address"),
    ('["maintainer@example.com"]', '["a@b cert-authority"]', 45, "no plain address"),
    ('["maintainer@example.com"]', '["cert-authority"]', 45, "no plain address"),
    ('["maintainer@example.com"]', str([f"a{n}@b.c" for n in range(33)]), 45, "more than 32"),
    ('"maintainer@example.com"', '"a@b.c",\n "*@b.c"', 46, "no plain address"),
    ("2027-01-01T00:00:00Z", "2027-01-01T00:00:00", 46, "offset"),
    ("2027-01-01T00:00:00Z", "2027-01-01", 46, "offset"),
    ("2027-01-01T00:00:00Z", "00:00:00", 46, "offset"),
    ("2027-01-01T00:00:00Z", '"2027-01-01T00:00:00Z"', 46, "offset"),
    ("2027-01-01T00:00:00Z", "1798761600", 46, "offset"),
    ("2027-01-01T00:00:00Z", "2027-02-30T00:00:00Z", 46, "not valid TOML"),
    ("2027-01-01T00:00:00Z", "2027-01-01T00:00Z", 46, "seconds"),  # TOML 1.1
    ("2027-01-01T00:00:00Z", "2027-01-01 00:00Z", 46, "seconds"),
    ("schema = 1 ", "schema = ", 2, "not valid TOML"),
    ("schema = 1 ", "schema 1 ", 2, "not valid TOML"),
    ("schema = 1 ", "schema = 1 2 ", 2, "not valid TOML"),
    ("schema = 1 ", "schema = {a = 1,} ", 2, "comma"),  # TOML 1.1
    ("schema = 1 ", "schema = {a = 1\n} ", 2, "one line"),  # TOML 1.1
    ("schema = 1 ", "schema = [[[[[1]]]]] ", 2, "nested too deeply"),
    ("schema = 1 ", "a.b.c.d = 1 ", 2, "nested too deeply"),
    ("schema = 1 ", "\u202eschema = 1 ", 2, "control character"),
    ("# optional; 1 is", "# \u0085", 2, "control character"),
    ("schema = 1 ", "schema = 1\r", 2, "control character"),
    ("schema = 1 ", "schema = 1 #\x00", 2, "control character"),
    ("schema = 1 ", "schema = 1 #\x1b[2J", 2, "control character"),
    ("schema = 1 ", '"" = 1 ', 2, "key is empty"),
    ("schema = 1 ", "= 1\n= 1 ", 2, "not valid TOML"),
    ("schema = 1 ", '"\\u0061b" = 1 ', 1, "unknown key 'ab' in policy"),
    ("schema = 1 ", "schema] ", 2, "not valid TOML"),
    ("schema = 1 ", "[[[schema]]] ", 2, "not valid TOML"),
    ("schema = 1 ", "[schema = 1 ", 2, "not valid TOML"),
    ("schema = 1 ", "{schema = 1} ", 2, "not valid TOML"),
    ("schema = 1 ", "[schema] [ ", 2, "not valid TOML"),
    ("schema = 1 ", "schema = 1] ", 2, "not valid TOML"),
    ("schema = 1 ", "schema = 1\n] ", 3, "not valid TOML"),
    ("schema = 1 ", "[]\n[]", 2, "not valid TOML"),
    ("schema = 1 ", "[[]]\n[[]]", 2, "not valid TOML"),
]


@pytest.mark.parametrize(("old", "new", "line", "words"), REFUSALS, ids=range(len(REFUSALS)))
def test_refuses_with_line_and_reason(old: str, new: str, line: int, words: str) -> None:
    assert old in FULL
    error = refused(FULL.replace(old, new, 1))
    assert any(each in error.reason for each in words.split("|")), error
    assert error.line == line, error
    assert str(error) == f"policy.toml:{line}: {error.reason}"
    assert str(error).isascii()
    assert len(str(error)) < 300


def test_the_line_is_right_in_a_later_rule_of_the_same_kind() -> None:
    assert refused(FULL + RELEASE + RELEASE.replace("1", "2")).line == FULL.count("\n") + 6


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("other = 1\n", 1, "unknown key 'other'"),
        ('"\\u0061b" = 1\n', None, "unknown key 'ab'"),
        ("policy.release = [1]\n", 1, "release must be an array of tables, [[policy.release]]"),
    ],
)
def test_refuses_at_the_top_level(text: str, line: int | None, reason: str) -> None:
    error = refused(text)
    assert (error.line, error.reason) == (line, reason)


@pytest.mark.parametrize("text", ["[[policy.ci]]\nidentity = 1\n", f'[signer]\n"{A}" = 1\n', "[signer]\n'x' = 1\n"])
def test_a_value_where_a_table_belongs_is_refused(text: str) -> None:
    assert refused(RELEASE + text).line == 5


def test_lines_end_with_crlf_as_well() -> None:
    assert of(FULL.replace("\n", "\r\n")).release[0].require == 2
    assert refused(FULL.replace("\n", "\r\n").replace("require = 2", "require = 3")).line == 6


@pytest.mark.parametrize("text", ["", "\n", "[policy]\nschema = 1\n", "[[policy.ci]]\n", "policy = {}\n",
                                  f'[[policy.commit]]\nsigners = ["{A}"]\nrequire = 1\n'])  # fmt: skip
def test_a_policy_that_nobody_could_change_is_refused(text: str) -> None:
    error = refused(text)
    assert error.line is None
    assert str(error).startswith("policy.toml: there is neither an admin nor a release rule")


def test_bytes_that_are_no_text_are_refused() -> None:
    error = refused(b"\xef\xbb\xbf" + RELEASE.encode())
    assert (error.line, error.reason) == (1, "the file begins with a byte order mark")
    assert refused(RELEASE.encode() + b"# \xff\n").line == 4
    assert refused("# \ud800\n".encode("utf-8", "surrogatepass")).line == 1
    assert refused(RELEASE.encode("utf-16")).reason == "not UTF-8"


def test_what_only_looks_like_something_refused_is_read() -> None:
    policy = of(FULL.replace('"Maintainer"', '"T12:30 [[[[[ {"').replace(f'"{A}", "{B}"]', f'"{A}", "{B}",]'))
    assert policy.signers[A].name == "T12:30 [[[[[ {"
    assert of(RELEASE.ljust(MAX_POLICY_BYTES)).release
    assert of(RELEASE + "# " + "\\" * 4096).release
    assert "backslashes" in refused(RELEASE + "# " + "\\" * 4097).reason


def test_inline_tables_on_one_line_are_as_good() -> None:
    text = f'policy.release = [\n  {{ signers = ["{A}"], require = 1 }},\n  {{ signers = ["{B}"], require = 1 }}\n]\n'
    assert [rule.signers for rule in of(text).release] == [(A,), (B,)]
    assert refused(text.replace("require = 1 }\n", "require = 2 }\n")).line == 3


N = MAX_POLICY_BYTES
BOMBS = {
    "ten megabytes": b"#" * 10_000_000,
    "one byte too many": RELEASE.encode().ljust(N + 1, b"\n"),
    "nested tables": "".join(f"[{'.'.join(['a'] * n)}]\n" for n in range(1, 10_001))[:N].encode(),
    "10,000 subtables": "".join(f"[policy.ci.x{n}]\n" for n in range(10_000)).encode(),
    "10,000 rules": b"[[policy.release]]\n" * 10_000,
    "nested arrays": b"a = " + b"[" * (N - 4),
    "closed nested arrays": b"a = " + b"[" * 10_000 + b"]" * 10_000,
    "nested inline tables": (b"a = " + b"{a = " * N)[:N],
    "dotted key": (b"a" + b".a" * N)[: N - 4] + b" = 1",
    "dotted header": b"[" + (b"a" + b".a" * N)[: N - 4] + b"]",
    "many dotted keys": "".join(f"a.b.c{n} = 1\n" for n in range(15_000)).encode(),
    "many keys": "".join(f"k{n} = 1\n" for n in range(20_000)).encode(),
    "many values": (b"a = [" + b"1," * N)[:N],
    "many lines": b"\n" * N,
    "many comments": b"#\n" * (N // 2),
    "blanks": b" " * N,
    "blanks before an error": b" " * (N - 1) + b"!",
    "a long string": b'a = "' + b"a" * (N - 6) + b'"',
    "an open string": b'a = "' + b"a" * (N - 5),
    "escapes": b'a = "' + b"\\\\" * (N // 2 - 3) + b'"',
    "open escapes": b'a = "' + b"\\\\" * (N // 2 - 3),
    "many quotes": b"a = " + b'"' * (N - 4),
    "a long number": b"a = " + b"9" * (N - 4),
    "a long key": b"a" * (N - 4) + b" = 1",
    "strings": b"a = [" + b",".join(b'"%d%s"' % (n, b"x" * 40) for n in range(5_000)) + b"]",
    "signers": b'[[policy.release]]\nrequire = 1\nsigners = ["' + b'", "'.join(
        b"did:keri:E%043d" % n for n in range(4_000)) + b'"]\n',
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_within_50_ms_and_50_mb(bomb: str) -> None:
    parse(RELEASE.encode())  # the parser is imported
    times = []
    for _ in range(3):
        started = time.process_time()
        refused(BOMBS[bomb])
        times.append(time.process_time() - started)
    tracemalloc.start()
    refused(BOMBS[bomb])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert min(times) < 0.050
    assert peak < 50_000_000


def test_a_policy_of_a_thousand_signers_is_read() -> None:
    dids = [f"did:keri:EA{n:042d}" for n in range(1000)]
    names = "".join(f'[signer."{did}"]\nname = "N"\nemails = ["n@example.com"]\n' for did in dids)
    policy = of(f"[[policy.release]]\nsigners = {dids}\nrequire = 500\n{names}")
    assert len(policy.signers) == 1000


@pytest.mark.parametrize(
    ("did", "valid"),
    [
        (A, True),
        (B, True),
        (A[:-1], False),
        (A + "A", False),
        (A.upper(), False),
        ("did:key:" + A[9:], False),
        (A[9:], False),
        ("E" + "A" * 52, False),
        ("did:keri:D" + "A" * 43, False),
        ("did:keri:EQ" + "A" * 42, False),  # the pad's bits are not zero
        ("did:keri:E-" + "A" * 42, False),
        ("did:keri:E" + "A" * 42 + "=", False),
        ("did:keri:E" + "A" * 42 + "é", False),
        ("did:keri:E" + "A" * 42 + "+", False),
        ("did:keri:E" + "A" * 42 + "\n", False),
        ("did:keri:did:keri:E" + "A" * 34, False),
        ("", False),
    ],
)
def test_a_did_is_one_canonical_aid(did: str, valid: bool) -> None:
    assert is_did(did) is valid


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("1h", 3600), ("90d", 7776000)])
def test_durations(text: str, seconds: int) -> None:
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "0h", "01h", "1", "1.5h", "-1h", "1 h", "1H", "1w", "\u0661h", "1hh",
                                  "9" * 10 + "s"])  # fmt: skip
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        duration_seconds(text)


def test_warns_of_what_is_legal_but_unwise() -> None:
    policy = of(FULL + f'[signer."did:keri:E{"D" * 43}"]\n')
    keys = {A: [b"one", b"two"], B: [b"three", b"two"], C: [b"four"]}
    found = "\n".join(warnings(policy, keys))
    assert "policy.release[0] requires all 2 of its signers" in found
    assert "policy.commit[0]" not in found
    assert "policy.admin[0] is the admin rule and lists one signer" in found
    assert f"{A} and {B} hold the same key" in found
    assert f"{C} " not in found
    assert f"[signer] table for did:keri:E{'D' * 43}" in found
    assert len(warnings(policy)) == 3


def test_warns_of_a_release_rule_of_one_that_stands_in_for_the_admin_rule() -> None:
    assert "stands in for the admin rule and lists one signer" in "\n".join(warnings(of(RELEASE)))


def test_warns_once_of_each_rule_that_one_lost_key_blocks() -> None:
    both = f'signers = ["{A}", "{B}"]\nrequire = 2\n'
    one = f'[[policy.commit]]\nsigners = ["{A}"]\nrequire = 1\n'
    found = warnings(of(f"{one}[[policy.release]]\n{both}[[policy.admin]]\n{both}"))
    assert [sentence.split()[0] for sentence in found] == ["policy.commit[0]", "policy.release[0]", "policy.admin[0]"]
    assert len(warnings(of(f"[[policy.release]]\n{both}"))) == 1


def test_a_policy_with_room_to_lose_a_key_has_no_warning() -> None:
    rule = f'signers = ["{A}", "{B}", "{C}"]\nrequire = 2\n'
    assert warnings(of(f"[[policy.commit]]\n{rule}[[policy.release]]\n{rule}[[policy.admin]]\n{rule}")) == []


@given(st.binary(max_size=200))
def test_any_bytes_are_a_policy_or_refused(data: bytes) -> None:
    with suppress(PolicyInvalid):
        parse(data)


LINES = st.sampled_from([*FULL.splitlines(), "[[policy.release]]", "[policy]", "[", "]", "{", "}", '"', "'", "\\", ",",
                         "=", "a.b = [{}]", "[[policy]]", "[policy.release]", "[signer.x.y]", "\r"])  # fmt: skip


@given(st.lists(LINES, max_size=30), st.sampled_from(["\n", " ", ""]))
def test_any_mixture_of_lines_is_a_policy_or_refused(lines: list[str], separator: str) -> None:
    with suppress(PolicyInvalid):
        parse(separator.join(lines).encode())


def test_importing_it_is_cheap() -> None:
    """The program that signs each commit imports it."""
    code = "import sys; import git_auths.core.policy, git_auths.core.scope; print(*sys.modules)"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert not {"re", "typing", "dataclasses", "tomli", "json", "datetime", "functools"} & set(done.stdout.split())
