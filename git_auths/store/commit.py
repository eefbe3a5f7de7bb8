"""Making a signed commit in process: a `git commit` that we start would have to be given the passphrase, and so would
every hook that it runs."""

from __future__ import annotations

from git_auths.core import sshsig
from git_auths.errors import Error
from git_auths.store import git, keystore, passphrase
from git_auths.store.authorisation import Inquiry
from git_auths.store.repository import Repository
from git_auths.store.signing import ssh_signature


def with_staged_auths(
    repository: Repository, message: str, identity: keystore.Identity, secrets: passphrase.Secrets
) -> str:
    """Commit what the index has below `.auths/`, and nothing else of it, on the branch of HEAD; the commit's id."""
    parent = repository.head()
    auths = repository.git("write-tree", "--prefix=.auths/").decode().strip()
    id = with_auths(repository, parent, auths, message, identity, secrets)
    advance(repository, id, parent, message)
    return id


def with_auths(repository: Repository, parent: str | None, auths: str, message: str, identity: keystore.Identity,
               secrets: passphrase.Secrets) -> str:  # fmt: skip
    """Write a commit on `parent` that has the tree `auths` at `.auths` and changes nothing else; no ref is moved.

    Raises Refusal where the policy would refuse it.
    """
    entries = repository.git("ls-tree", "-z", parent).split(b"\0")[:-1] if parent else []
    kept = [entry for entry in entries if entry.partition(b"\t")[2] != b".auths"]
    lines = b"".join(entry + b"\0" for entry in [*kept, f"040000 tree {auths}\t.auths".encode()])
    tree = repository.git("mktree", "-z", stdin=lines).decode().strip()
    return signed(repository, tree, [parent] if parent else [], message, identity, secrets)


def advance(repository: Repository, id: str, parent: str | None, message: str) -> None:
    """Move the branch of HEAD from `parent` to the commit `id`."""
    repository.git("update-ref", "-m", f"commit: {message.splitlines()[0]}", "HEAD", id, parent or "0" * len(id))


def signed(repository: Repository, tree: str, parents: list[str], message: str, identity: keystore.Identity,
           secrets: passphrase.Secrets) -> str:  # fmt: skip
    """Write a commit that `identity` signs, and return its id; no ref is moved. Raises Refusal where the policy would
    refuse it, as the signing program does."""
    author, committer = (_person(repository, name) for name in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"))
    head = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
    front = "\n".join(head).encode() + b"\nauthor " + author + b"\ncommitter " + committer + b"\n"
    back = b"\n" + message.encode()
    with Inquiry(front + back) as inquiry:
        inquiry.require(identity)
    data = sshsig.signed_data(front + back, b"git")
    armor = sshsig.encode(identity.current_blob, b"git", ssh_signature(identity, data, secrets))
    name = b"gpgsig" if repository.hex_length == 40 else b"gpgsig-sha256"
    header = name + b" " + armor.rstrip(b"\n").replace(b"\n", b"\n ") + b"\n"
    raw = front + header + back
    return repository.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=raw).decode().strip()


def _person(repository: Repository, variable: str) -> bytes:
    try:
        return repository.git("var", variable).removesuffix(b"\n")
    except git.GitFailed as failure:
        raise Error(
            failure.message, "git config --global user.name NAME; git config --global user.email ADDRESS"
        ) from None
