"""Both programs answer what git asks ssh-keygen about signatures, as ssh-keygen does."""

from __future__ import annotations

import io
import subprocess
from base64 import b64encode
from pathlib import Path
from types import SimpleNamespace

import pytest

from git_auths import verify
from git_auths.core import opensshkey, sshsig
from tests.core.test_sshsig import GOOD, MESSAGE
from tests.people import SCRIPTS, Person
from tests.realgit import run

PROGRAMS = [f"{SCRIPTS}/git-auths-sign", f"{SCRIPTS}/git-auths-verify"]
ADA, BOB = (opensshkey.from_secret(opensshkey.ED25519, bytes([number]) * 32) for number in (1, 2))


def public_line(blob: bytes) -> str:
    return f"{sshsig.key_type(blob).decode()} {b64encode(blob).decode()}"


def signature_by(key: opensshkey.PrivateKey, message: bytes = MESSAGE, namespace: bytes = b"git") -> bytes:
    return sshsig.encode(key.public_blob, namespace, key.sign(sshsig.signed_data(message, namespace)))


class Desk:
    """A folder with a signature and a file of allowed signers, and our program in this very process."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[bytes], patch: pytest.MonkeyPatch) -> None:
        self.signature, self.allowed, self.revoked = folder / "sig", folder / "allowed", folder / "revoked"
        self._capture, self._patch = capture, patch
        self.signature.write_bytes(signature_by(ADA))
        self.allowed.write_text(f"ada@example.com {public_line(ADA.public_blob)}\n")

    def ask(self, *arguments: str | Path, message: bytes = MESSAGE) -> tuple[int, str, str]:
        """(exit code, stdout, stderr)"""
        self._patch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(message)))
        self._capture.readouterr()
        code = verify.main([str(argument) for argument in arguments])
        out, err = self._capture.readouterr()
        assert b"Traceback" not in err and b"usage:" not in err
        return code, out.decode(errors="surrogateescape"), err.decode(errors="surrogateescape")

    def verify(
        self, *more: str | Path, principal: str = "ada@example.com", message: bytes = MESSAGE
    ) -> tuple[int, str, str]:
        return self.ask("-Y", "verify", "-n", "git", "-f", self.allowed, "-I", principal, "-s", self.signature, *more,
                        message=message)  # fmt: skip

    def refuses(self, *more: str | Path, code: int = 1) -> str:
        found, out, err = self.verify(*more)
        assert (found, out) == (code, "")
        return err


@pytest.fixture
def desk(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, capfdbinary, monkeypatch)


FINGERPRINT = sshsig.fingerprint(ADA.public_blob)
ANSWER = f'Good "git" signature for ada@example.com with ED25519 key {FINGERPRINT}\n'


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_a_good_signature_gets_the_answers_of_ssh_keygen(text: bytes, desk: Desk) -> None:
    desk.signature.write_bytes(text)
    key = public_line(sshsig.parse(sshsig.dearmor(text)).key)
    desk.allowed.write_text(f'"Ada Lovelace,ada@example.com" namespaces="git" {key}\n')
    for form in (
        ("find-principals", "-f", desk.allowed, "-s", desk.signature),
        ("verify", "-n", "git", "-f", desk.allowed, "-I", "ada@example.com", "-s", desk.signature),
        ("check-novalidate", "-n", "git", "-s", desk.signature),
    ):
        answer = run("ssh-keygen", "-Y", *form, stdin=MESSAGE).stdout.decode()
        assert answer
        assert desk.ask("-Y", *form) == (0, answer, "")


@pytest.mark.parametrize("program", PROGRAMS, ids=["sign", "verify"])
def test_both_programs_answer_with_a_line_and_a_code(program: str, tmp_path: Path) -> None:
    (tmp_path / "sig").write_bytes(signature_by(ADA))
    done = run(program, "-Y", "check-novalidate", "-n", "git", "-s", tmp_path / "sig", stdin=MESSAGE)
    assert done.stdout.decode() == f'Good "git" signature with ED25519 key {FINGERPRINT}\n'
    done = run(program, "-Y", "check-novalidate", "-n", "git", "-s", tmp_path / "sig", stdin=b"other", code=1)
    assert (done.stdout, done.stderr) == (b"", b"Could not verify signature: the signature does not verify\n")


VARIANTS = {
    "as git has it": "-Y verify -n git -f {allowed} -I ada@example.com -s {sig}",
    "another order": "-s {sig} -I ada@example.com -Y verify -f {allowed} -n git",
    "values joined": "-Yverify -ngit -f{allowed} -Iada@example.com -s{sig}",
    "letters joined": "-Yverify -qvngit -qf {allowed} -I ada@example.com -qs{sig}",
    "a time": "-O verify-time=20260101 -Y verify -n git -f {allowed} -I ada@example.com -s {sig}",
    "the time joined": "-Y verify -n git -f {allowed} -I ada@example.com -s {sig} -Overify-time=20260101120000",
    "the time in capitals": "-Y verify -n git -f {allowed} -I ada@example.com -s {sig} -OVERIFY-TIME=20260101Z",
    "the end of the options": "-Y verify -n git -f {allowed} -I ada@example.com -s {sig} --",
    "an option twice": "-Y verify -n file -n git -f {allowed} -I ada@example.com -s {sig}",
}


@pytest.mark.parametrize("line", VARIANTS.values(), ids=VARIANTS)
def test_options_are_taken_as_getopt_takes_them(line: str, desk: Desk) -> None:
    arguments = line.format(allowed=desk.allowed, sig=desk.signature).split()
    assert desk.ask(*arguments) == (0, ANSWER, "")
    assert run("ssh-keygen", *arguments, stdin=MESSAGE).stdout.decode() in (ANSWER, "")  # -q says nothing


WRONG = {
    "no form": "-Y",
    "a form that is none": "-Y prove -n git -s {sig}",
    "a form that only the signer has": "-Y sign -n git -f {allowed} {sig}",
    "no signature": "-Y verify -n git -f {allowed} -I ada@example.com",
    "no namespace": "-Y check-novalidate -s {sig}",
    "an empty namespace": "-Y check-novalidate -s {sig} -n",
    "no signers": "-Y find-principals -s {sig}",
    "no principal": "-Y verify -n git -f {allowed} -s {sig}",
    "an unknown letter": "-Y check-novalidate -n git -s {sig} -Z",
    "an unknown option": "-Y find-principals -f {allowed} -s {sig} -Oprint-pubkey",
    "another option than a time": "-Y find-principals -f {allowed} -s {sig} -Omoment=20260101",
    "a time that is none": "-Y find-principals -f {allowed} -s {sig} -Overify-time=now",
    "no time": "-Y find-principals -f {allowed} -s {sig} -Overify-time=",
    "a file too many": "-Y check-novalidate -n git -s {sig} {allowed}",
}


@pytest.mark.parametrize("line", WRONG.values(), ids=WRONG)
def test_wrong_arguments_are_one_line_and_never_good(line: str, desk: Desk) -> None:
    code, out, err = desk.ask(*line.format(allowed=desk.allowed, sig=desk.signature).split())
    assert (code, out) == (129, "")
    assert err.startswith("error: ") and err.count("\n") == 2 and "\nhint: " in err


def test_nothing_else_than_what_was_signed_for_this_purpose_by_whom_it_says_is_good(desk: Desk) -> None:
    assert desk.verify() == (0, ANSWER, "")
    assert desk.verify(message=MESSAGE + b"x")[:2] == (1, "")
    assert desk.verify(principal="bob@example.com")[:2] == (1, "")
    assert "made for the namespace 'git'" in desk.refuses("-n", "file")
    for line in (f"ada@example.com {public_line(BOB.public_blob)}", "",
                 f'ada@example.com namespaces="file" {public_line(ADA.public_blob)}'):  # fmt: skip
        desk.allowed.write_text(line)
        assert "is not allowed for this principal" in desk.refuses()


@pytest.mark.parametrize(
    ("option", "good"),
    [
        ("-Overify-time=20250630120000", True),
        ("-Overify-time=20250630Z", True),
        ("-Overify-time=20241231235959", False),
        ("-Overify-time=20250701000001Z", False),
        ("-q", False),  # now
    ],
)
def test_a_key_counts_in_its_time(option: str, good: bool, desk: Desk) -> None:
    times = 'valid-after="20250101",valid-before="20250701"'
    desk.allowed.write_text(f"ada@example.com {times} {public_line(ADA.public_blob)}\n")
    assert desk.verify(option)[:2] == ((0, ANSWER) if good else (1, ""))
    form = ("-Y", "find-principals", "-f", desk.allowed, "-s", desk.signature, option)
    assert (desk.ask(*form)[0] == 0) == (run("ssh-keygen", *form, code=None).returncode == 0) == good


def test_find_principals_names_all_of_them_and_a_principal_is_matched_by_pattern(desk: Desk) -> None:
    desk.allowed.write_text(f"ada@example.com,*@example.org {public_line(ADA.public_blob)}\n")
    found = desk.ask("-Y", "find-principals", "-f", desk.allowed, "-s", desk.signature)
    assert found == (0, "ada@example.com\n*@example.org\n", "")
    assert desk.verify(principal="x@example.org")[0] == 0
    desk.signature.write_bytes(signature_by(BOB))
    found = desk.ask("-Y", "find-principals", "-f", desk.allowed, "-s", desk.signature)
    assert found == (1, "", "No principal matched.\n")


def test_a_principal_of_any_bytes_can_be_asked_back(desk: Desk) -> None:
    """git passes on as `-I` what it was given; what reaches a terminal is inert."""
    desk.allowed.write_bytes(b'"J\xfcrgen \x1b[31m" ' + public_line(ADA.public_blob).encode() + b"\n")
    code, principals, _ = desk.ask("-Y", "find-principals", "-f", desk.allowed, "-s", desk.signature)
    assert (code, principals) == (0, "J\udcfcrgen \x1b[31m\n")
    code, answer, _ = desk.verify(principal=principals[:-1])
    assert code == 0
    assert answer.startswith('Good "git" signature for J') and "\x1b" not in answer


BAD_SIGNATURES = {
    "nothing": b"",
    "rubbish": b"\xff\0rubbish",
    "PGP's": signature_by(ADA).replace(b"SSH", b"PGP"),
    "cut off": signature_by(ADA)[:200],
    "with bytes behind": signature_by(ADA) + b"x",
    "an armor around nothing": sshsig.armor(b""),
    "an armor around rubbish": sshsig.armor(b"SSHSIG\0\0\0\1rubbish"),
    "of a key type that nobody knows": sshsig.encode(sshsig.string(b"ssh-x"), b"git", b""),
    "of a key cut off": sshsig.encode(b"\0\0\0\xff", b"git", b""),
    "of 64 KiB": signature_by(ADA) + b"\n" * (1 << 16),
}


@pytest.mark.parametrize("text", BAD_SIGNATURES.values(), ids=BAD_SIGNATURES)
def test_a_signature_file_of_anything_is_no_signature_and_no_crash(text: bytes, desk: Desk) -> None:
    desk.signature.write_bytes(text)
    assert "Could not verify signature: " in desk.refuses()
    code, out, err = desk.ask("-Y", "find-principals", "-f", desk.allowed, "-s", desk.signature)
    assert (code, out) == (1, "") and err.startswith("No principal matched")


@pytest.mark.parametrize("what", ["signature", "allowed", "revoked"])
@pytest.mark.parametrize("how", ["missing", "a folder"])
def test_a_file_that_cannot_be_read_is_named(what: str, how: str, desk: Desk) -> None:
    path: Path = getattr(desk, what)
    path.unlink(missing_ok=True)
    if how == "a folder":
        path.mkdir()
    err = desk.refuses("-r", desk.revoked, code=128)
    assert f"error: cannot read {path}" in err


# Revoked keys

OTHER_LINE, ADA_LINE = public_line(BOB.public_blob), public_line(ADA.public_blob)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (ADA_LINE, "revoked"),
        (f"# lost\n\n{OTHER_LINE} bob\n \t{ADA_LINE} ada's laptop\r\n", "revoked"),
        (f"{OTHER_LINE}\nssh-ed25519\n", "line 2: not a public key"),
        (f"{OTHER_LINE}\n{ADA_LINE.split()[1]}\n", "line 2: not a public key"),
        (f"ssh-rsa {ADA_LINE.split()[1]}\n", "line 1: not a public key"),
        ("ssh-ed25519 !!!!\n", "line 1: not a public key"),
        ("SSHKRL\n\0\0\0\0\1", "is a binary KRL"),
        ("\n" * (4 * 1024 * 1024) + ADA_LINE, "is larger than"),
    ],
    ids=["it alone", "among others", "half a line", "no type", "another type", "no base64", "a KRL", "too many"],
)
def test_a_revoked_key_and_a_list_that_cannot_be_read_are_refused(text: str, reason: str, desk: Desk) -> None:
    desk.revoked.write_text(text)
    assert reason in desk.refuses("-r", desk.revoked)


@pytest.mark.parametrize("text", ["", "\n# none\n", OTHER_LINE, f"#{ADA_LINE}\n {OTHER_LINE}\n"])
def test_a_list_that_has_other_keys_changes_nothing(text: str, desk: Desk) -> None:
    desk.revoked.write_text(text)
    assert desk.verify("-r", desk.revoked) == (0, ANSWER, "")


def test_an_empty_argument_does_not_end_the_options(desk: Desk) -> None:
    """git gives one where a payload has no date; for ssh-keygen `-r` would then count for nothing."""
    desk.revoked.write_text(ADA_LINE)
    assert desk.verify("") == (0, ANSWER, "")
    assert "revoked" in desk.refuses("", "-r", desk.revoked)


# git


@pytest.fixture(params=["git-auths-sign", "git-auths-verify"])
def reader(request: pytest.FixtureRequest, tmp_path: Path) -> Person:
    """Somebody whose git asks our program, in a repository where ssh-keygen signed with an ECDSA key."""
    person = Person(tmp_path, "reader")
    person.at = tmp_path / "repo"
    person.git("init", "-q", person.at, cwd=tmp_path)
    run("ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", tmp_path / "key", "-C", "reader")
    public = (tmp_path / "key.pub").read_text()
    (tmp_path / "allowed").write_text(f'reader@example.com namespaces="git" {public}')
    for key, value in (("gpg.format", "ssh"), ("user.signingKey", tmp_path / "key"), ("commit.gpgSign", "true"),
                       ("gpg.ssh.allowedSignersFile", tmp_path / "allowed")):  # fmt: skip
        person.git("config", key, value)
    person.commit()
    person.git("config", "gpg.ssh.program", f"{SCRIPTS}/{request.param}")
    return person


def shown(person: Person, *revision: str, **more: str) -> list[str]:
    return person.git("log", "-1", "--format=%G?|%GS|%GK", *revision, **more).stdout.strip().split("|")


def test_git_shows_what_our_program_found(reader: Person, tmp_path: Path) -> None:
    fingerprint = run("ssh-keygen", "-l", "-f", tmp_path / "key").stdout.decode().split()[1]
    assert shown(reader) == ["G", "reader@example.com", fingerprint]
    line = f'Good "git" signature for reader@example.com with ECDSA key {fingerprint}\n'
    assert line in reader.git("log", "--show-signature").stdout
    assert reader.git("verify-commit", "HEAD").stderr == line
    reader.git("tag", "-s", "-m", "release", "v1", **{"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "gpg.ssh.program",
                                                      "GIT_CONFIG_VALUE_0": "ssh-keygen"})  # fmt: skip
    assert line in reader.git("tag", "-v", "v1").stderr


def test_git_shows_an_unknown_key_a_revoked_one_and_a_bad_signature_as_such(reader: Person, tmp_path: Path) -> None:
    (tmp_path / "revoked").write_text((tmp_path / "key.pub").read_text())
    reader.git("config", "gpg.ssh.revocationFile", tmp_path / "revoked")
    assert shown(reader)[0] == "B"
    assert "the key is revoked" in reader.git("verify-commit", "HEAD", code=1).stderr
    reader.git("config", "--unset", "gpg.ssh.revocationFile")
    (tmp_path / "allowed").write_text("")
    assert shown(reader)[0] == "U"
    assert "No principal matched." in reader.git("verify-commit", "HEAD", code=1).stderr
    raw = reader.git("cat-file", "commit", "HEAD").stdout
    for changed in (raw + "x", raw.replace("\n U", "\n!U", 1), raw.replace("-----E", "=-----E"),
                    raw.replace("U1NIU0lH", "U1NIU0lI")):  # fmt: skip
        (tmp_path / "raw").write_text(changed)
        made = reader.git("hash-object", "-t", "commit", "-w", tmp_path / "raw").stdout.strip()
        assert shown(reader, made)[0] == "B"


def test_a_commit_of_the_epoch_by_a_revoked_key_is_not_good(reader: Person, tmp_path: Path) -> None:
    """git passes no time for it, but an empty argument."""
    reader.git("-c", "gpg.ssh.program=ssh-keygen", "commit", "-q", "--allow-empty", "-m", "old",
               GIT_COMMITTER_DATE="@0 +0000")  # fmt: skip
    assert shown(reader)[0] == "G"
    (tmp_path / "revoked").write_text((tmp_path / "key.pub").read_text())
    reader.git("config", "gpg.ssh.revocationFile", tmp_path / "revoked")
    assert shown(reader)[0] == "B"


def test_a_key_that_was_valid_when_the_commit_was_dated_is_good(reader: Person, tmp_path: Path) -> None:
    public = (tmp_path / "key.pub").read_text()
    reader.git("-c", "gpg.ssh.program=ssh-keygen", "commit", "-q", "--allow-empty", "-m", "old",
               GIT_COMMITTER_DATE="2020-06-01 12:00:00 +0000")  # fmt: skip
    (tmp_path / "allowed").write_text(f'reader@example.com valid-before="20200602" {public}')
    assert [shown(reader)[0], shown(reader, "HEAD^")[0]] == ["G", "U"]
    (tmp_path / "allowed").write_text(f'reader@example.com valid-after="20200602" {public}')
    assert [shown(reader)[0], shown(reader, "HEAD^")[0]] == ["U", "G"]


# What people ask


def test_without_a_form_of_ssh_keygens_it_judges_history(ada: Person) -> None:
    command = [f"{SCRIPTS}/git-auths-verify", "HEAD"]
    done = subprocess.run(command, cwd=ada.at, env=ada.environment, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    done = subprocess.run(command, cwd=ada.home, env=ada.environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.startswith("error: not in a git repository")) == (128, True)
