"""`git-auths-verify`: answers git's questions about signatures, and people's about history.

    -Y find-principals -f ALLOWED -s SIG [-Overify-time=TIME]
    -Y verify -n git -f ALLOWED -I PRINCIPAL -s SIG [-r REVOKED] [-Overify-time=TIME]
    -Y check-novalidate -n git -s SIG

as ssh-keygen does (git reads line 1 of stdout: gpg-interface.c, parse_ssh_output), and otherwise what `git auths verify`
takes (`--tag NAME` as `verify-tag`; `--pushed` for the pre-commit framework). It needs and holds no private key, so a server or CI can have it alone.
"""

from __future__ import annotations

import os
import sys

from git_auths.errors import Error, Refusal, UsageError

MAX_SIGNATURE_BYTES = 64 * 1024
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
    if arguments[:1] != ["-Y"]:
        from git_auths import main as git_auths

        return git_auths.run_guarded(lambda: judge(arguments))
    try:
        return answer(arguments)
    except Error as error:
        from git_auths import output

        output.error(error.message)
        if error.hint:
            output.hint(error.hint)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


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
    form = arguments[1] if arguments[:1] == ["-Y"] and len(arguments) > 1 else ""
    if form not in ("find-principals", "verify", "check-novalidate"):
        raise UsageError(f"git-auths-verify: -Y {form} is not one of find-principals, verify, check-novalidate",
                         "man git-auths-verify")  # fmt: skip
    options = parse(arguments[2:])
    if form == "find-principals":
        return find_principals(options)
    return verify(options, form)


def parse(arguments: list[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    rest = iter(arguments)
    for argument in rest:
        name = argument[:2]
        if name not in ("-n", "-f", "-I", "-s", "-r", "-O"):
            raise UsageError(f"git-auths-verify: unknown option {argument}", "man git-auths-verify")
        value = argument[2:] or next(rest, None)
        if value is None:
            raise UsageError(f"git-auths-verify: {argument} needs a value", "man git-auths-verify")
        if name == "-O" and value.startswith("verify-time="):
            name, value = "time", value.removeprefix("verify-time=")
        options[name] = value
    return options


def find_principals(options: dict[str, str]) -> int:
    """Print the principals that may sign with the signature's key, one a line."""
    from git_auths.core import allowed_signers, sshsig

    signature = read_signature(required(options, "-s"))
    entries = read_allowed(required(options, "-f"))
    names = allowed_signers.matching_principals(entries, sshsig.parse(sshsig.dearmor(signature)).key, at(options))
    sys.stdout.write("".join(f"{name}\n" for name in names))
    if not names:
        sys.stderr.write("No principal matched.\n")
    return 0 if names else 1


def verify(options: dict[str, str], form: str) -> int:
    """Print ssh-keygen's line on a good signature over stdin; say why on stderr otherwise."""
    from git_auths.core import allowed_signers, sshsig

    namespace = os.fsencode(required(options, "-n"))
    text = read_signature(required(options, "-s"))
    message = sys.stdin.buffer.read()
    try:
        key = sshsig.check(text, namespace, message).key
    except sshsig.BadSignature as error:
        sys.stderr.write(f"Could not verify signature: {error}\n")
        return 1
    described = f"with {TYPE_NAMES[sshsig.key_type(key)]} key {sshsig.fingerprint(key)}"
    shown = namespace.decode("ascii", "replace")
    if form == "check-novalidate":
        print(f'Good "{shown}" signature {described}')
        return 0
    principal = required(options, "-I")
    entries = read_allowed(required(options, "-f"))
    if is_revoked(options.get("-r"), key):
        sys.stderr.write("Could not verify signature: the key is revoked\n")
        return 1
    if not allowed_signers.is_allowed(entries, principal, key, shown, at(options)):
        sys.stderr.write(f"Could not verify signature: {sshsig.fingerprint(key)} is not allowed for this principal\n")
        return 1
    print(f'Good "{shown}" signature for {principal} {described}')
    return 0


def required(options: dict[str, str], name: str) -> str:
    if name not in options:
        raise UsageError(f"git-auths-verify: {name} is missing", "man git-auths-verify")
    return options[name]


def at(options: dict[str, str]) -> int:
    """Epoch seconds of `-Overify-time`, which git gives in local time from the committer date; default: now."""
    from time import mktime, time

    from git_auths.core import allowed_signers

    if "time" not in options:
        return int(time())
    try:
        return allowed_signers.parse_time(options["time"], mktime)
    except ValueError as error:
        raise UsageError(f"git-auths-verify: -Overify-time: {error}", "man git-auths-verify") from None


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
    """Is `key` in the list of public keys at `path`? A KRL is ssh-keygen's own format, and is refused: fail closed."""
    if path is None:
        return False
    from binascii import b2a_base64

    try:
        with open(path, "rb") as stream:
            content = stream.read(4 * 1024 * 1024)
    except OSError as error:
        raise Error(f"cannot read {path}: {error.strerror}") from None
    if content.startswith(b"SSHKRL"):
        raise Refusal(f"{path} is a binary KRL", "list revoked public keys, one a line, in gpg.ssh.revocationFile")
    return b2a_base64(key, newline=False) in content.split()


if __name__ == "__main__":
    raise SystemExit(main())
