from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from git_auths.core.allowed_signers import (
    HEADER,
    AllowedSignersInvalid,
    generate,
    is_allowed,
    is_plain_address,
    matching_principals,
    parse,
    parse_time,
)
from tests.realgit import run

DID_A = "did:keri:E" + "A" * 43
DID_B = "did:keri:E" + "B" * 43
MESSAGE = b"what is signed\n"


class Key(NamedTuple):
    line: str  # "<type> <base64>"
    blob: bytes
    signature: Path  # over MESSAGE, namespace git


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Key]:
    folder = tmp_path_factory.mktemp("keys")
    made = {}
    for name, options in {"ed": ["-t", "ed25519"], "other": ["-t", "ed25519"], "ec": ["-t", "ecdsa", "-b", "256"],
                          "rsa": ["-t", "rsa", "-b", "2048"]}.items():  # fmt: skip
        path, message = folder / name, folder / f"{name}.txt"
        run("ssh-keygen", "-q", *options, "-N", "", "-C", "", "-f", path)
        message.write_bytes(MESSAGE)
        run("ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", path, message)
        kind, encoded = path.with_suffix(".pub").read_text().split()[:2]
        made[name] = Key(f"{kind} {encoded}", base64.b64decode(encoded), Path(f"{message}.sig"))
    return made


@pytest.fixture(params=["UTC", "Europe/Berlin", "America/St_Johns"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def theirs(keys: dict[str, Key], signer: str, file: Path, principal: str, at: str) -> tuple[list[str], bool]:
    """What ssh-keygen answers to find-principals and verify."""
    key = keys[signer]
    found = run("ssh-keygen", "-Y", "find-principals", "-f", file, "-s", key.signature, f"-Overify-time={at}",
                code=None)  # fmt: skip
    verified = run("ssh-keygen", "-Y", "verify", "-n", "git", "-f", file, "-I", principal, "-s", key.signature,
                   f"-Overify-time={at}", stdin=MESSAGE, code=None)  # fmt: skip
    names = found.stdout.decode("utf-8", "surrogateescape").splitlines() if found.returncode == 0 else []
    return names, verified.returncode == 0


def ours(keys: dict[str, Key], signer: str, file: Path, principal: str, at: str) -> tuple[list[str], bool]:
    entries, moment = parse(file.read_bytes(), time.mktime), parse_time(at, time.mktime)
    blob = keys[signer].blob
    return matching_principals(entries, blob, moment), is_allowed(entries, principal, blob, "git", moment)


# `{ed}`, `{ec}`, `{rsa}`, `{other}` stand for "<type> <base64>"; the signer is ed, the principal a@b.c.
FILES = [
    "",
    "\n\n# a comment\n  # another\n",
    "#a@b.c {ed}\n",
    "# {ed}\n",
    "a@b.c ssh-rsa {ed64}\n",
    "a@b.c {ed}",
    "a@b.c {ed}\n",
    "a@b.c {ed}\r\n",
    "a@b.c\t{ed} a comment with words\n",
    "   a@b.c {ed}\n",
    "a@b.c {other}\n",
    "x@y.z {ed}\na@b.c {ed}\n",
    "x@y.z,a@b.c {ed}\n",
    "a@b.c,,x@y.z {ed}\n",
    ",a@b.c {ed}\n",
    "*@b.c {ed}\n",
    "?@b.c {ed}\n",
    "??@b.c {ed}\n",
    "a*c {ed}\n",
    "*,!a@b.c {ed}\n",
    "!a@b.c,* {ed}\n",
    "!x@y.z,a@b.c {ed}\n",
    "!a@b.c {ed}\n",
    "A@B.C {ed}\n",
    '"a@b.c" {ed}\n',
    '"a@b.c,x y" {ed}\n',
    'a@"b.c" {ed}\n',
    '"a@b.c"{ed}\n',
    '"a@b.c {ed}\n',
    'a@b.c namespaces="git" {ed}\n',
    'a@b.c NAMESPACES="git" {ed}\n',
    'a@b.c namespaces="file" {ed}\n',
    'a@b.c namespaces="file,git" {ed}\n',
    'a@b.c namespaces="g*" {ed}\n',
    'a@b.c namespaces="*,!git" {ed}\n',
    'a@b.c namespaces="" {ed}\n',
    'a@b.c namespaces="git",namespaces="git" {ed}\n',
    "a@b.c namespaces=git {ed}\n",
    'a@b.c namespaces="git {ed}\n',
    'a@b.c namespaces="g\\"it,git" {ed}\n',
    'a@b.c namespaces="file" {ed}\na@b.c namespaces="git" {ed}\n',
    "a@b.c cert-authority {ed}\n",
    'a@b.c cert-authority,namespaces="git" {ed}\n',
    'a@b.c namespaces="git",cert-authority {ed}\n',
    "a@b.c cert-authorityx {ed}\n",
    'a@b.c unknown="x" {ed}\n',
    'a@b.c xnamespaces="git" {ed}\n',
    'a@b.c namespaces="a b,git" {ed}\n',
    'a@b.c ,namespaces="git" {ed}\n',
    'a@b.c namespaces="git", {ed}\n',
    'a@b.c namespaces="git"x {ed}\n',
    'a@b.c namespaces="git" valid-after="20200101" {ed}\n',
    'a@b.c valid-after="20240601120000" {ed}\n',
    'a@b.c valid-after="20240601120001" {ed}\n',
    'a@b.c valid-before="20240601120000" {ed}\n',
    'a@b.c valid-before="20240601115959" {ed}\n',
    'a@b.c valid-after="20240601120000Z" {ed}\n',
    'a@b.c valid-before="202406011200Z" {ed}\n',
    'a@b.c valid-before="202406011200z" {ed}\n',
    'a@b.c valid-before="202406011200UTC" {ed}\n',
    'a@b.c valid-before="20240602" {ed}\n',
    'a@b.c valid-before="20240601" {ed}\n',
    'a@b.c valid-before="20240631" {ed}\n',
    'a@b.c valid-before="20241301" {ed}\n',
    'a@b.c valid-before="20240601250000" {ed}\n',
    'a@b.c valid-before="2024" {ed}\n',
    'a@b.c valid-before="" {ed}\n',
    'a@b.c valid-before="20250230" {ed}\n',
    'a@b.c valid-after="20250101",valid-before="20240101" {ed}\n',
    'a@b.c valid-after="20240101",valid-before="20240101" {ed}\n',
    'a@b.c valid-after="20240101",valid-before="20250101" {ed}\n',
    'a@b.c valid-after="20240601120000",valid-before="20240601120000" {ed}\n',
    'a@b.c namespaces="git\\" {ed}\n',
    'x@y.z valid-before="20240101" {ed}\na@b.c {ed}\n',
    "a@b.c\n",
    "a@b.c {ed}junk\n",
    "a@b.c ssh-ed25519\n",
    "a@b.c ssh-ed25519 AAAA\n",
    "a@b.c ssh-unknown AAAA\na@b.c {ed}\n",
    "a@b.c {rsa}\na@b.c {ec}\na@b.c {ed}\n",
    "m\xfcller@b.c,a@b.c {ed}\n",
    "a@b.c" + "x" * 1100 + ",a@b.c {ed}\n",
    "a@b.c," + "x" * 1100 + " {ed}\n",
    "x" * 1022 + ",a@b.c {ed}\n",
    "x" * 1023 + ",a@b.c {ed}\n",
    "*" * 50 + "z {ed}\n",
]


@pytest.mark.parametrize("text", FILES, ids=range(len(FILES)))
def test_answers_as_ssh_keygen_does(keys: dict[str, Key], tmp_path: Path, text: str) -> None:
    file = tmp_path / "allowed_signers"
    lines = {name: key.line for name, key in keys.items()}
    file.write_bytes(text.format(ed64=keys["ed"].line.split()[1], **lines).encode("latin-1"))
    question = ("ed", file, "a@b.c", "20240601120000")
    assert ours(keys, *question) == theirs(keys, *question)


@pytest.mark.parametrize("at", ["20240601120000", "20240101000000Z", "20240101000000", "20241027023000",
                                "20240331023000"])  # fmt: skip
@pytest.mark.usefixtures("zone")
def test_local_times_mean_what_they_mean_to_ssh_keygen(keys: dict[str, Key], tmp_path: Path, at: str) -> None:
    file = tmp_path / "allowed_signers"
    for limit in ("20240601120000", "20240601120000Z", "202401010000", "20241027023000", "20240331013000Z"):
        file.write_text(f'a@b.c valid-after="{limit}" {keys["ed"].line}\n')
        question = ("ed", file, "a@b.c", at)
        assert ours(keys, *question) == theirs(keys, *question), limit


@pytest.mark.parametrize("signer", ["ed", "ec", "rsa"])
@pytest.mark.parametrize("principal", ["a@b.c", "", "x", "a@b.c,d@e.f", "*"])
def test_every_key_type_and_principal_is_answered_alike(keys: dict[str, Key], tmp_path: Path, signer: str,
                                                        principal: str) -> None:  # fmt: skip
    file = tmp_path / "allowed_signers"
    rsa = keys["rsa"].line.replace("ssh-rsa", "rsa-sha2-512")
    file.write_text(f"a@b.c,d@e.f {rsa}\nx {keys['ec'].line}\n?,a@b.c, {keys['ed'].line}\n")
    question = (signer, file, principal, "20240601120000")
    assert ours(keys, *question) == theirs(keys, *question)


@pytest.mark.parametrize("principals", ['""', ",", ",a", "a,"])
def test_an_empty_principal_is_answered_alike(keys: dict[str, Key], tmp_path: Path, principals: str) -> None:
    file = tmp_path / "allowed_signers"
    file.write_text(f"{principals} {keys['ed'].line}\n")
    question = ("ed", file, "", "20240601120000")
    assert ours(keys, *question) == theirs(keys, *question)


def test_a_line_with_a_nul_counts_for_nothing(keys: dict[str, Key]) -> None:
    assert parse(f"a@b.c {keys['ed'].line} \0\n".encode(), time.mktime) == []


def test_a_key_whose_base64_has_loose_ends_counts_for_nothing(keys: dict[str, Key]) -> None:
    assert parse(b"a@b.c ssh-ed25519 " + keys["ed"].line.split()[1].encode() + b"=\n", time.mktime) == []


@pytest.mark.parametrize("data", [b"#" * (64 * 1024 + 1), b"#\n" * (2 * 1024 * 1024 + 1)])
def test_refuses_what_is_too_large(data: bytes) -> None:
    with pytest.raises(AllowedSignersInvalid):
        parse(data, time.mktime)


@pytest.mark.parametrize("text", ["", "Z", "2024", "2024010112000", "2024-01-01", "20240101 000", "2024010\u0661",
                                  "20240132", "19700101Z", "19691231Z", "20240101240000",
                                  "20240101006000", "20240101000099"])  # fmt: skip
def test_refuses_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="time"):
        parse_time(text, time.mktime)


def test_a_time_out_of_the_clocks_range_is_refused() -> None:
    def out_of_range(_: object) -> float:
        raise OverflowError

    with pytest.raises(ValueError, match="time"):
        parse_time("20240101", out_of_range)


@pytest.mark.parametrize(("text", "epoch"), [("20000229Z", 951782400), ("20240601120000Z", 1717243200),
                                             ("99991231235959Z", 253402300799)])  # fmt: skip
def test_utc_times(text: str, epoch: int) -> None:
    assert parse_time(text, time.mktime) == epoch


def test_the_generated_file_is_sorted_by_did_and_keeps_event_order(keys: dict[str, Key]) -> None:
    ed, other, ec = keys["ed"], keys["other"], keys["ec"]
    signers = [(DID_B, (), [ec.blob]), (DID_A, ("a@b.c", "a@x.y"), [other.blob, ed.blob, other.blob])]
    assert generate(signers) == (
        b"# git-auths allowed_signers 1\n"
        + f'a@b.c,a@x.y namespaces="git" {other.line}\n'.encode()
        + f'a@b.c,a@x.y namespaces="git" {ed.line}\n'.encode()
        + f'{DID_B} namespaces="git" {ec.line}\n'.encode()
    )


def test_nobody_gives_the_header_alone() -> None:
    assert generate([(DID_A, (), [])]) == HEADER == b"# git-auths allowed_signers 1\n"


def test_stock_ssh_keygen_takes_the_generated_file(keys: dict[str, Key], tmp_path: Path) -> None:
    file = tmp_path / "allowed_signers"
    file.write_bytes(generate([(DID_A, (), [keys["rsa"].blob]), (DID_B, ("b@x.y",), [keys["ec"].blob])]))
    for signer, principal in (("rsa", DID_A), ("ec", "b@x.y")):
        question = (signer, file, principal, "20240601120000")
        assert theirs(keys, *question) == ours(keys, *question) == ([principal], True)
    assert theirs(keys, "ed", file, DID_A, "20240601120000") == ([], False)


@pytest.mark.parametrize("email", ["*", "a@*", "?@b.c", "a@b,c@d", "a b@c.d", "a@b.c cert-authority", '"a"@b.c',
                                   "a@b.c\n", "a\tb@c.d",
                                   "a\x01b@c.d", "!a@b.c", "#a@b.c", "a", "@b.c", "a@", "a@b@c", "",
                                   "cert-authority@b.c", "a\u00a0b@c.d", "a\x7f@b.c",
                                   "Ada <a@b.c>", "a\\@b.c", "a@" + "b" * 253])  # fmt: skip
def test_what_is_no_plain_address_is_never_written(keys: dict[str, Key], email: str) -> None:
    assert not is_plain_address(email)
    with pytest.raises(AllowedSignersInvalid):
        generate([(DID_A, (email,), [keys["ed"].blob])])


@pytest.mark.parametrize("email", ["a@b.c", "first.last+tag@sub.example.com", "o'neil@example.com", "ü@exämple.de"])
def test_a_plain_address_is_one(email: str) -> None:
    assert is_plain_address(email)


@pytest.mark.parametrize("blob", [b"", b"\0\0\0\x07ssh-dss", b"\0\0\0\x20ssh-ed25519-cert-v01@openssh.com"])
def test_a_key_that_git_cannot_verify_is_never_written(blob: bytes) -> None:
    with pytest.raises(AllowedSignersInvalid):
        generate([(DID_A, (), [blob])])
