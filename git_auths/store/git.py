"""The only place that starts git.

What git says about a repository is believed only as far as git itself would be: replace refs and grafts are switched
off for every call, because a replaced object answers to a name that is not its own (git-replace(1)).
`subprocess` is imported where it is used: it costs 11 ms, and signing a commit must not pay for it.
"""

from __future__ import annotations

import os

from git_auths.errors import Error, MissingObject

MINIMUM_VERSION = (2, 34)

NO_REPLACEMENTS = {
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",  # what a partial clone lacks is missing: no verdict comes over the network (git >= 2.45)
    "GIT_GRAFT_FILE": "/dev/null/grafts",  # no such file can be; an empty value would mean the default one
    "LC_ALL": "C",
}

# git rev-parse --local-env-vars: what ties a process to one repository. A hook inherits them, and must shed them
# before it touches another repository.
LOCAL_VARIABLES = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CONFIG", "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT",
    "GIT_OBJECT_DIRECTORY", "GIT_DIR", "GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE", "GIT_NO_REPLACE_OBJECTS", "GIT_REPLACE_REF_BASE", "GIT_PREFIX", "GIT_SHALLOW_FILE",
    "GIT_COMMON_DIR", "GIT_INTERNAL_SUPER_PREFIX", "GIT_QUARANTINE_PATH",
)  # fmt: skip


class GitFailed(Error):
    """git ended with a status that the caller did not expect; `stderr` is what it said."""

    def __init__(self, command: str, status: int, stderr: str) -> None:
        lines = stderr.strip().splitlines() or [f"exit status {status}"]
        told = next((line for line in lines if line.startswith(("fatal: ", "error: "))), lines[-1])
        super().__init__(f"git {command}: {told.removeprefix('fatal: ').removeprefix('error: ')}")
        self.status = status
        self.stderr = stderr


def environment() -> dict[str, str]:
    """The environment of a git process that works on the caller's repository."""
    return {**os.environ, **NO_REPLACEMENTS}


def offline() -> dict[str, str]:
    """The environment of a git that only reads: no protocol is allowed, so a partial clone fetches nothing for it."""
    return {**environment(), "GIT_ALLOW_PROTOCOL": "none"}


def ended_early(stderr: bytes) -> Error:
    """Why a git that was reading objects ended: what it lacks, or what is damaged."""
    said = stderr.decode(errors="replace").strip()
    if "promisor" in said or "transport" in said:
        return MissingObject("objects are missing: this is a partial clone", "clone again without --filter")
    told = said.splitlines()[0].removeprefix("fatal: ") if said else "git cat-file ended early"
    return Error(f"objects cannot be read: {told}", "git fsck says whether the repository is damaged")


def environment_elsewhere() -> dict[str, str]:
    """The environment of a git process that works on another repository than the one a hook was called for."""
    return {
        name: value for name, value in environment().items() if name not in LOCAL_VARIABLES or name in NO_REPLACEMENTS
    }


def run(*args: str, cwd: str | os.PathLike[str] | None = None, stdin: bytes | None = None,
        allow: tuple[int, ...] = (0,)) -> bytes:  # fmt: skip
    """Run git and return its stdout; a status outside `allow` raises GitFailed."""
    return attempt(*args, cwd=cwd, stdin=stdin, allow=allow)[1]


def attempt(*args: str, cwd: str | os.PathLike[str] | None = None, stdin: bytes | None = None,
            allow: tuple[int, ...] = (0, 1)) -> tuple[int, bytes]:  # fmt: skip
    """Like `run`, for calls whose status is an answer: (status, stdout)."""
    import subprocess

    command = ["git", *args] if cwd is None else ["git", "-C", os.fspath(cwd), *args]
    try:
        done = subprocess.run(
            command,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            env=environment(),
            check=False,
        )
    except FileNotFoundError:
        raise not_found() from None
    if done.returncode not in allow:
        raise GitFailed(args[0] if args else "", done.returncode, done.stderr.decode(errors="replace"))
    return done.returncode, done.stdout


def run_as(environ: dict[str, str], cwd: str | os.PathLike[str], *args: str) -> tuple[int, str, str]:
    """(status, stdout, stderr) of a git in somebody else's environment, with nothing to read."""
    import subprocess

    try:
        done = subprocess.run(["git", *args], cwd=cwd, env=environ, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, errors="replace", check=False)  # fmt: skip
    except FileNotFoundError:
        raise not_found() from None
    return done.returncode, done.stdout, done.stderr


class Started:
    """A git that works while its caller goes on. It reads nothing, and its stderr is dropped."""

    __slots__ = ("_output", "_pid")

    def __init__(self, *args: str) -> None:
        self._output, write_end = os.pipe()
        try:
            self._pid = os.posix_spawnp(
                "git",
                ["git", *args],
                environment(),
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, write_end, 1),
                    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                ],
            )
        except BaseException as error:
            os.close(self._output)
            if isinstance(error, FileNotFoundError):
                raise not_found() from None
            raise
        finally:
            os.close(write_end)

    def answer(self) -> tuple[int, bytes]:
        """(status, stdout), once it has ended. To be asked once; where it is not, `close` is to be called."""
        with open(self._output, "rb") as stream:
            output = stream.read()
        pid, self._pid = self._pid, 0
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), output

    def close(self) -> None:
        """Wait for it where nobody has."""
        if self._pid:
            self.answer()


def capture(*args: str) -> tuple[int, bytes]:
    """(status, stdout) of a git that reads nothing, in 2 ms and without `subprocess`; its stderr is dropped."""
    return Started(*args).answer()


def not_found() -> Error:
    return Error("git is not on PATH", "install git 2.34 or later")


def version() -> tuple[int, ...]:
    """git's version as numbers, like (2, 43, 1); empty when it does not tell."""
    words = capture("version")[1].split()
    parts = words[2].split(b".") if len(words) > 2 else []
    numbers = []
    for part in parts:
        if not part.isdigit():  # rc1, windows
            break
        numbers.append(int(part))
    return tuple(numbers)


def require_version() -> None:
    """Refuse a git that cannot sign with SSH keys as we need it."""
    found = version()
    if len(found) < 2:
        raise Error("git does not tell its version", "install git 2.34 or later")
    if found < MINIMUM_VERSION:
        raise Error(f"git {'.'.join(map(str, found))} is too old", "install git 2.34 or later")
