"""`git-auths-verify`: answers git's questions about signatures, and people's about history.

    -Y find-principals -f ALLOWED -s SIG [-Overify-time=TIME]
    -Y verify -n git -f ALLOWED -I PRINCIPAL -s SIG [-r REVOKED] [-Overify-time=TIME]
    -Y check-novalidate -n git -s SIG

as ssh-keygen does (git reads line 1 of stdout: gpg-interface.c, parse_ssh_output), and otherwise what `git auths
verify` takes (`--tag NAME` as `verify-tag`; `--pushed` for the pre-commit framework). It needs and holds no private
key, so a server or CI can have it alone.
"""

from __future__ import annotations

import os
import sys

from git_auths import guard, keygen_arguments
from git_auths.errors import Error, Refusal, UsageError

MAX_SIGNATURE_BYTES = 64 * 1024
MAX_REVOKED_BYTES = 4 * 1024 * 1024
TYPE_NAMES = {
    b"ssh-ed25519": "ED25519",
    b"ecdsa-sha2-nistp256": "ECDSA",
    b"ssh-rsa": "RSA",
    b"sk-ssh-ed25519@openssh.com": "ED25519-SK",
    b"sk-ecdsa-sha2-nistp256@openssh.com": "ECDSA-SK",
}  # sshkey.c: sshkey_type


def main(argv: list[str] | None = None) -> int:
    """Run `git-auths-verify` with `argv` and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    is_gits_question = bool(keygen_arguments.operation(arguments))
    return guard.run(lambda: answer(arguments) if is_gits_question else judge(arguments))


def judge(arguments: list[str]) -> int:
    """What is no question of git's: `[--tag NAME | --pushed | REV | A..B]`."""
    from git_auths import main as git_auths

    if arguments == ["--pushed"]:
        from git_auths.hooks import framework_push

        return framework_push.main()
    if arguments[:1] == ["--tag"]:
        return git_auths.dispatch(["verify-tag", *arguments[1:]])
    return git_auths.dispatch(["verify", *arguments])


def answer(arguments: list[str]) -> int:
    """Answer one of ssh-keygen's verifying forms."""
    form = keygen_arguments.operation(arguments)
    if form not in ("find-principals", "verify", "check-novalidate"):
        raise UsageError(f"-Y {form} is not one of find-principals, verify, check-novalidate", "man git-auths-verify")
    asked = keygen_arguments.parse(arguments)
    if asked.files:
        raise UsageError(f"-Y {form} takes no file but those of its options: {asked.files[0]}", "man git-auths-verify")
    return find_principals(asked) if form == "find-principals" else verify(asked, form)


def find_principals(asked: keygen_arguments.Arguments) -> int:
    """Print the principals that may sign with the signature's key, one a line."""
    from git_auths.core import allowed_signers, sshsig

    text = read_signature(asked.required("s"))
    entries = read_allowed(asked.required("f"))
    try:
        key = sshsig.parse(sshsig.dearmor(text)).key
    except sshsig.BadSignature as error:
        return no(f"No principal matched: {error}")
    names = allowed_signers.matching_principals(entries, key, at(asked))
    if not names:
        return no("No principal matched.")
    say("".join(f"{name}\n" for name in names))
    return 0


def verify(asked: keygen_arguments.Arguments, form: str) -> int:
    """Print ssh-keygen's line on a good signature over stdin; say why on stderr otherwise."""
    from git_auths import output
    from git_auths.core import allowed_signers, sshsig

    namespace = os.fsencode(asked.required("n"))
    text = read_signature(asked.required("s"))
    message = sys.stdin.buffer.read()
    try:
        key = sshsig.check(text, namespace, message).key
    except sshsig.BadSignature as error:
        return no(f"Could not verify signature: {error}")
    described = f"with {TYPE_NAMES[sshsig.key_type(key)]} key {sshsig.fingerprint(key)}"
    shown = output.inert(os.fsdecode(namespace))
    if form == "check-novalidate":
        say(f'Good "{shown}" signature {described}\n')
        return 0
    principal = asked.required("I")
    entries = read_allowed(asked.required("f"))
    if is_revoked(asked.values.get("r"), key):
        return no("Could not verify signature: the key is revoked")
    if not allowed_signers.is_allowed(entries, principal, key, os.fsdecode(namespace), at(asked)):
        return no(f"Could not verify signature: {sshsig.fingerprint(key)} is not allowed for this principal")
    say(f'Good "{shown}" signature for {output.inert(principal)} {described}\n')
    return 0


def say(text: str) -> None:
    """To stdout, whatever bytes a principal has: git gives them back as `-I`."""
    sys.stdout.buffer.write(os.fsencode(text))


def no(reason: str) -> int:
    sys.stderr.write(reason + "\n")
    return 1


def at(asked: keygen_arguments.Arguments) -> int:
    """Epoch seconds of `-Overify-time`, which git gives in local time from the committer date; default: now."""
    from time import mktime, time

    from git_auths.core import allowed_signers

    moment = int(time())
    for option in asked.options:
        name, _, value = option.partition("=")
        if name.lower() != "verify-time":
            raise UsageError(f"unknown option -O {option}", "man git-auths-verify")
        try:
            moment = allowed_signers.parse_time(value, mktime)
        except ValueError as error:
            raise UsageError(f"-Overify-time: {error}", "man git-auths-verify") from None
    return moment


def read_signature(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read(MAX_SIGNATURE_BYTES)
    except OSError as error:
        raise Error(f"cannot read {path}: {error.strerror}") from None


def read_allowed(path: str) -> list:
    from time import mktime

    from git_auths.core import allowed_signers

    try:
        with open(path, "rb") as stream:
            content = stream.read(allowed_signers.MAX_FILE_BYTES + 1)
        return allowed_signers.parse(content, mktime)
    except OSError as error:
        raise Error(f"cannot read {path}: {error.strerror}", "git auths setup writes it from a good mainline") from None
    except allowed_signers.AllowedSignersInvalid as error:
        raise Error(f"{path}: {error}") from None


def is_revoked(path: str | None, key: bytes) -> bool:
    """Is `key` in the list of public keys at `path`? What cannot be read as such a list is refused: fail closed."""
    if path is None:
        return False
    try:
        with open(path, "rb") as stream:
            content = stream.read(MAX_REVOKED_BYTES + 1)
    except OSError as error:
        raise Error(f"cannot read {path}: {error.strerror}") from None
    hint = "gpg.ssh.revocationFile takes public keys, one a line"
    if content.startswith(b"SSHKRL"):
        raise Refusal(f"{path} is a binary KRL", hint)
    if len(content) > MAX_REVOKED_BYTES:
        raise Refusal(f"{path} is larger than {MAX_REVOKED_BYTES} bytes", hint)
    for number, line in enumerate(content.split(b"\n"), 1):
        words = line.split()
        if not words or words[0].startswith(b"#"):
            continue
        if public_key(words) == key:
            return True
        if public_key(words) is None:
            raise Refusal(f"{path}, line {number}: not a public key", hint)
    return False


def public_key(words: list[bytes]) -> bytes | None:
    """The key blob of `<type> <base64> [comment]` (sshkey.c: sshkey_read)."""
    from binascii import Error as Base64Error
    from binascii import a2b_base64

    from git_auths.core import sshsig

    try:
        blob = a2b_base64(words[1])
        return blob if sshsig.key_type(blob) == words[0] else None
    except (IndexError, Base64Error, sshsig.BadSignature):
        return None


if __name__ == "__main__":
    raise SystemExit(main())
