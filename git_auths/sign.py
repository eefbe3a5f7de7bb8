"""`git-auths-sign`: what git runs as `gpg.ssh.program`, with ssh-keygen's arguments (git: gpg-interface.c).

    -Y sign -n git -f KEY [-U] FILE         sign FILE into FILE.sig
    -Y find-principals, verify, check-novalidate    as `git-auths-verify` answers them

KEY is `auths:<alias>`; for any other key this program becomes ssh-keygen. Before it signs, it reads what it is asked to
sign: a commit or tag that the policy would refuse is refused here, with the next step. It runs at every commit, so what
it imports is counted in milliseconds. It never prints a line that begins with `usage:`: git would then claim that
ssh-keygen is missing.
"""

from __future__ import annotations

import os
import sys

from git_auths.errors import Error, UsageError
from git_auths.store import passphrase

PREFIX = "auths:"
MAX_PAYLOAD_BYTES = 16 * 1024 * 1024


def main(argv: list[str] | None = None) -> int:
    """Run `git-auths-sign` with `argv` and return its exit code."""
    secrets = passphrase.take_secrets()
    arguments = sys.argv[1:] if argv is None else argv
    try:
        if arguments[:2] != ["-Y", "sign"]:
            from git_auths import verify

            return verify.answer(arguments)
        return sign(arguments[2:], secrets)
    except Error as error:
        from git_auths import output

        output.error(error.message)
        if error.hint:
            output.hint(error.hint)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def sign(arguments: list[str], secrets: passphrase.Secrets) -> int:
    """`-n NAMESPACE -f KEY [-U] [-O OPTION] FILE`: write FILE.sig."""
    namespace, key, file = parse(arguments)
    if not key.startswith(PREFIX):
        return become_ssh_keygen(["-Y", "sign", *arguments])

    from git_auths.core import sshsig
    from git_auths.store import keystore
    from git_auths.store.signing import ssh_signature

    identity = keystore.load(key.removeprefix(PREFIX))
    payload = read_payload(file)
    if namespace == "git":
        from git_auths.store import authorisation

        authorisation.require(payload, identity)
    signature = ssh_signature(identity, sshsig.signed_data(payload, os.fsencode(namespace)), secrets)
    write_signature(file + ".sig", sshsig.encode(identity.current_blob, os.fsencode(namespace), signature))
    return 0


def parse(arguments: list[str]) -> tuple[str, str, str]:
    """(namespace, key, file) of ssh-keygen's options for signing."""
    options: dict[str, str] = {}
    files = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "-U":
            continue
        if argument[:2] in ("-n", "-f", "-O"):
            value = argument[2:] or next(rest, None)
            if value is None:
                raise UsageError(f"git-auths-sign: {argument} needs a value", "man git-auths-sign")
            options[argument[:2]] = value
        elif argument.startswith("-"):
            raise UsageError(f"git-auths-sign: unknown option {argument}", "man git-auths-sign")
        else:
            files.append(argument)
    if "-n" not in options or "-f" not in options or len(files) != 1:
        raise UsageError("git-auths-sign -Y sign needs -n NAMESPACE, -f KEY and one FILE", "man git-auths-sign")
    return options["-n"], options["-f"], files[0]


def become_ssh_keygen(arguments: list[str]) -> int:
    """The key is not one of ours: ssh-keygen signs, as it would without us."""
    try:
        os.execvp("ssh-keygen", ["ssh-keygen", *arguments])
    except FileNotFoundError:
        hint = "git config user.signingKey auths:main signs with your own identity"
        raise Error("the signing key is not auths:<alias>, and ssh-keygen is not on PATH", hint) from None


def read_payload(file: str) -> bytes:
    try:
        with open(file, "rb") as stream:
            payload = stream.read(MAX_PAYLOAD_BYTES + 1)
    except OSError as error:
        raise Error(f"cannot read {file}: {error.strerror}") from None
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise Error(f"{file} is larger than anything git signs")
    return payload


def write_signature(file: str, signature: bytes) -> None:
    try:
        with open(file, "wb") as stream:
            stream.write(signature)
    except OSError as error:
        raise Error(f"cannot write {file}: {error.strerror}") from None


if __name__ == "__main__":
    raise SystemExit(main())
