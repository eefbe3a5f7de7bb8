"""A project whose policy lets CI sign, with the services that it names on loopback; and what is run in it."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from git_auths import main
from tests.attacks.forge import working_in
from tests.loopback.issuer import REQUEST_TOKEN, Issuer
from tests.loopback.rekor import LoopbackRekor
from tests.loopback.tsa import LoopbackTsa
from tests.people import Person, Project

IDENTITY = '[policy.ci.identity]\nissuer = "{issuer}"\nrepository_id = "123456"\n'
RULE = '\n[[policy.ci]]\nallow_ephemeral = true\nmax_ttl = "1h"\n'


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Works:
    """Ada's and Bob's project, whose releases take both; and the services that its policy names."""

    def __init__(self, project: Project, issuer: Issuer, tsa: LoopbackTsa, logs: dict[int, LoopbackRekor]) -> None:
        self.project, self.issuer, self.tsa, self.logs = project, issuer, tsa, logs
        self.ada, self.bob = project.ada, project.bob

    def auths(self, *args: str | Path, code: int = 0, by: Person | None = None, **env: str) -> Said:
        """`git auths ARGS`, in this process, by Ada unless it is somebody else."""
        person = by or self.ada
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        environment = {**person.environment, **env}
        with working_in(person.at, environment), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                done = main.main([str(arg) for arg in args])
            except SystemExit as stop:
                done = int(stop.code or 0)
        said = Said(done, *(one.buffer.getvalue().decode() for one in (out, err)))  # type: ignore[attr-defined]
        assert said.code == code, said
        assert "internal error" not in said.err
        assert REQUEST_TOKEN not in said.out + said.err
        return said

    def sign(self, *args: str | Path, code: int = 0, **env: str) -> Said:
        return self.auths("artifact", "sign", *args, code=code, **env)

    def verify(self, *args: str | Path, code: int = 0) -> Said:
        return self.auths("artifact", "verify", *args, code=code)

    @property
    def job(self) -> dict[str, str]:
        """The environment of a CI job on Ada's present commit."""
        self.issuer.claims["sha"] = self.ada.head()
        return {**self.issuer.environment, "RUNNER_TEMP": str(self.project.folder)}

    def ruled(self, rules: str) -> Works:
        """Ada sets the rules for CI, and pushes nothing: she has no remote."""
        policy = self.ada.at / ".auths/policy.toml"
        policy.write_text(policy.read_text().partition("\n[[policy.ci]]")[0] + rules)
        self.ada.git("commit", "--quiet", "--all", "-m", "Rules for CI")
        return self

    @property
    def identity(self) -> str:
        return IDENTITY.format(issuer=self.issuer.name)

    def file(self, name: str = "app", content: bytes = b"what was built\n") -> Path:
        path = self.ada.at / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def bundles(self) -> list[str]:
        """Every bundle that is there, and every file that may have been meant to become one."""
        return sorted(str(path.relative_to(self.ada.at)) for path in self.ada.at.rglob("*")
                      if path.name.endswith((".auths.json", ".tmp")) and ".git" not in path.parts)  # fmt: skip

    def notes(self) -> str:
        return self.ada.git("for-each-ref", "refs/notes/auths").stdout


@contextlib.contextmanager
def opened(template: Project, folder: Path) -> Iterator[Works]:
    """New works in `folder`; the services are there until it ends."""
    with contextlib.ExitStack() as stack:
        issuer = stack.enter_context(Issuer())
        tsa = stack.enter_context(LoopbackTsa(folder / "tsa"))
        logs = {version: stack.enter_context(LoopbackRekor(version)) for version in (1, 2)}
        works = Works(template.copied(folder / "project").with_bob("release"), issuer, tsa, logs)
        below = works.ada.at / ".auths"
        for name, data in {"oidc/ci.json": issuer.pin_file(), "tsa/tsa.pem": tsa.pem, "rekor/v1.json": logs[1].pin,
                           "rekor/v2.json": logs[2].pin}.items():  # fmt: skip
            (below / name).parent.mkdir(exist_ok=True)
            (below / name).write_bytes(data)
        policy = below / "policy.toml"
        policy.write_text(policy.read_text() + RULE + works.identity)
        works.ada.git("add", "--all")
        works.ada.auths("policy", "set-threshold", "release", "2")
        works.ada.git("commit", "--quiet", "--all", "-m", "Two release; CI signs")
        works.ada.git("push", "--quiet")
        works.bob.git("pull", "--quiet", "--ff-only")
        yield works


@contextlib.contextmanager
def copied(works: Works, folder: Path) -> Iterator[Works]:
    """The same in another folder; what a test changes of the services is as before at the end."""
    claims, answer = dict(works.issuer.claims), works.issuer.answer
    yield Works(works.project.copied(folder), works.issuer, works.tsa, works.logs)
    works.issuer.claims, works.issuer.answer = claims, answer
    works.tsa.behaviour, works.tsa.authority.extra, works.tsa.authority.sort_set = "good", (), True
    for log in works.logs.values():
        log.behaviour = "good"
