"""`git-auths-sign`: what git runs as `gpg.ssh.program`, with ssh-keygen's arguments (git: gpg-interface.c).

    -Y sign -n git -f KEY [-U] FILE         sign FILE into FILE.sig
    -Y find-principals, verify, check-novalidate    as `git-auths-verify` answers them

KEY is `auths:<alias>`; AUTHS_DID in the environment names another identity than that one. For any other key this
program becomes ssh-keygen. Before it signs, it reads what it is asked to sign: a commit or tag that the policy would
refuse is refused here, with the next step. It runs at every commit, so what it imports is counted in milliseconds. It
never prints a line that begins with `usage:`: git would then claim that ssh-keygen is missing.
"""

from __future__ import annotations

import os
import sys

from git_auths import guard, keygen_arguments
from git_auths.errors import Error, UsageError
from git_auths.store.secrets import Secrets, take_secrets

TYPE_CHECKING = False  # importing typing for its name would cost 9 ms
if TYPE_CHECKING:
    from git_auths.store.keystore import Identity

PREFIX = "auths:"
MAX_PAYLOAD_BYTES = 16 * 1024 * 1024
TAG_HEAD_BYTES = 8192  # what names the tag; a path ends at 4096


def main(argv: list[str] | None = None) -> int:
    """Run `git-auths-sign` with `argv` and return its exit code."""
    secrets = take_secrets()
    arguments = sys.argv[1:] if argv is None else argv
    if keygen_arguments.operation(arguments) != "sign":
        from git_auths import verify

        return verify.main(arguments)

    def refuse(message: str, hint: str | None, exit_code: int) -> int:
        if is_tag(arguments) and git_makes_the_tag_all_the_same():
            return complain_without_exit_code(message, hint)
        return complain(message, hint, exit_code)

    return guard.run(lambda: sign(arguments, secrets), refuse)


def complain(message: str, hint: str | None, exit_code: int) -> int:
    """Say why there is no signature. git shows it after an `error:` of its own (gpg-interface.c: sign_buffer_ssh)."""
    from git_auths import output

    output.note(message)
    if hint:
        output.hint(hint)
    return exit_code


def sign(arguments: list[str], secrets: Secrets) -> int:
    """`-Y sign -n NAMESPACE -f KEY [-U] [-O hashalg=NAME] FILE`: write FILE.sig."""
    if not any(argument.removeprefix("-f").startswith(PREFIX) for argument in arguments):
        return become_ssh_keygen(arguments)
    asked = keygen_arguments.parse(arguments)
    namespace = os.fsencode(asked.required("n"))
    alias = asked.required("f").removeprefix(PREFIX)
    if len(asked.files) != 1:
        raise UsageError("-Y sign needs one FILE", "man git-auths-sign")
    hash_name = chosen_hash(asked.options)

    payload = read_payload(asked.files[0])
    identity = permitted(payload, alias, secrets) if namespace == b"git" else load(alias, secrets)

    from git_auths.core import sshsig
    from git_auths.store.signing import ssh_signature

    signature = ssh_signature(identity, sshsig.signed_data(payload, namespace, hash_name), secrets)
    armored = sshsig.encode(identity.current_blob, namespace, signature, hash_name)
    write_signature(asked.files[0] + ".sig", armored)
    return 0


def permitted(payload: bytes, alias: str, secrets: Secrets) -> Identity:
    """The identity that signs, which may sign this commit or tag. It is read while git looks up the policy's version.

    Raises errors.Error: no such identity, or a Refusal.
    """
    from git_auths.store.authorisation import Inquiry

    with Inquiry(payload) as inquiry:
        identity = load(alias, secrets)
        inquiry.require(identity)
    return identity


def load(alias: str, secrets: Secrets) -> Identity:
    """The environment's identity where it names one, whatever alias the configuration has; else `alias`."""
    if secrets.name_an_identity:
        from git_auths.store import pipeline

        return pipeline.identity(secrets)
    from git_auths.store import keystore

    return keystore.load(alias)


def is_tag(arguments: list[str]) -> bool:
    """Does git want a tag signed? It names the file last (gpg-interface.c: sign_buffer_ssh)."""
    try:
        with open(arguments[-1], "rb") as stream:
            payload = stream.read(TAG_HEAD_BYTES)
    except (OSError, ValueError):
        return False
    return "git" in arguments and payload.startswith(b"object ") and b"\ntag " in payload


def git_makes_the_tag_all_the_same() -> bool:
    """Before 2.43.2 git makes an unsigned tag when the program fails (git 6931049c: ssh signing: signal an error)."""
    from git_auths.store import git

    try:
        return git.version() < (2, 43, 2)
    except Error:  # the git that runs us is not on PATH, and may be old
        return True


def complain_without_exit_code(message: str, hint: str | None) -> int:
    """Success without a signature file: that every git takes for the failure it is, but it drops what we say."""
    from git_auths import output

    lines = f"error: {output.inert(message)}\n" + (f"hint: {output.inert(hint)}\n" if hint else "")
    for place in ("/dev/tty", f"/proc/{os.getppid()}/fd/2"):  # the terminal, else where git's own words go
        try:
            where = os.open(place, os.O_WRONLY | os.O_APPEND | os.O_NOCTTY)
        except OSError:
            continue
        os.write(where, lines.encode())
        os.close(where)
        break
    return 0


def chosen_hash(options: list[str]) -> bytes:
    """What `-O hashalg=` names; ssh-keygen's default is sha512."""
    chosen = b"sha512"
    for option in options:
        name, _, value = option.partition("=")
        if name.lower() != "hashalg" or value not in ("sha256", "sha512"):
            raise UsageError(f"unknown option -O {option}", "man git-auths-sign")
        chosen = value.encode()
    return chosen


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
