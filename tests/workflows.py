"""As much of a GitHub Actions runner as our action and the workflows of the README need: steps with `run`, `env` and
`if`, composite actions, the files that a step writes to, and the commands that it prints.

Sources: GitHub, "Workflow syntax", "Metadata syntax", "Workflow commands", "Variables reference".
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

Values = Mapping[str, Any]

EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


class Ran(NamedTuple):
    """How a step ended: its name, exit status and log; `commands` are those that the runner would have obeyed."""

    name: str
    code: int
    log: str
    commands: tuple[str, ...]


class Runner:
    """One job: `workspace` is where its steps start; `environment` is what every step has; `contexts` is what
    expressions can name. `ran` are the steps so far, failed or not; those that were passed over are not in it."""

    def __init__(self, workspace: Path, environment: Mapping[str, str], contexts: Values) -> None:
        self.workspace = workspace
        self.environment = dict(environment)
        self.contexts = dict(contexts)
        self.temporary = Path(environment["RUNNER_TEMP"])
        self.ran: list[Ran] = []

    @property
    def failed(self) -> bool:
        return any(one.code for one in self.ran)

    def play(self, steps: list[dict[str, Any]], **contexts: Values) -> dict[str, dict[str, str]]:
        """Run the steps that have `run`, as bash does for `shell: bash`; the outputs of each that has an id."""
        outputs: dict[str, dict[str, str]] = {}
        for step in steps:
            known = {**self.contexts, **contexts, "steps": {id: {"outputs": made} for id, made in outputs.items()}}
            if holds(step.get("if", "success()"), known, self.failed):
                made = self.run(step, known)
                outputs[step.get("id", "")] = made
        return outputs

    def run(self, step: dict[str, Any], known: Values) -> dict[str, str]:
        number = len(self.ran)
        files = {name: self.temporary / f"{name}-{number}" for name in ("GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_ENV")}
        for file in files.values():
            file.touch()
        script = self.temporary / f"step-{number}.sh"
        script.write_text(step["run"])
        environment = {**self.environment, **{name: str(file) for name, file in files.items()},
                       **{name: filled(str(text), known) for name, text in step.get("env", {}).items()}}  # fmt: skip
        done = subprocess.run(["bash", "--noprofile", "--norc", "-eo", "pipefail", script], cwd=self.workspace,
                              env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)  # fmt: skip
        log = done.stdout.decode(errors="replace")
        self.ran.append(Ran(step.get("name", step["run"]), done.returncode, log, obeyed(log)))
        added = files["GITHUB_PATH"].read_text().splitlines()
        self.environment["PATH"] = os.pathsep.join([*reversed(added), self.environment["PATH"]])
        return read_outputs(files["GITHUB_OUTPUT"].read_text())


def holds(condition: str | bool, known: Values, failed: bool) -> bool:
    """`if:`. One that names no status function stands beside success()."""
    text = str(condition).strip()
    text = EXPRESSION.sub(r"\1", text)
    if text == "always()":
        return True
    if text == "success()":
        return not failed
    return not failed and bool(value(text, known))


def filled(text: str, known: Values) -> str:
    return EXPRESSION.sub(lambda found: as_text(value(found[1], known)), text)


def as_text(found: Any) -> str:
    return "" if found is None else str(found).lower() if isinstance(found, bool) else str(found)


def value(expression: str, known: Values) -> Any:
    """What an expression of the few forms that we write stands for."""
    if " || " in expression:
        first, rest = expression.split(" || ", 1)
        return value(first, known) or value(rest, known)
    compared = re.fullmatch(r"(\S+) (!=|==) (\S+)", expression)
    if compared:
        # GitHub, "Evaluate expressions": it ignores case when it compares strings.
        same = as_text(value(compared[1], known)).lower() == as_text(value(compared[3], known)).lower()
        return same is (compared[2] == "==")
    if re.fullmatch(r"'[^']*'", expression):
        return expression[1:-1]
    assert re.fullmatch(r"[a-z]\w*(\.[\w-]+)+", expression), f"no expression that we know: {expression}"
    found: Any = known
    for name in expression.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def read_outputs(text: str) -> dict[str, str]:
    """`name=value` lines, and `name<<DELIMITER` with lines up to that."""
    made, lines = {}, iter(text.splitlines())
    for line in lines:
        name, mark, rest = line.partition("<<") if re.match(r"[\w-]+<<", line) else line.partition("=")
        assert mark, line
        made[name] = rest
        if mark == "<<":
            body = []
            while (more := next(lines)) != rest:
                body.append(more)
            made[name] = "\n".join(body)
    return made


def obeyed(log: str) -> tuple[str, ...]:
    """The lines that the runner takes for commands, where none has told it to stop that."""
    found, token = [], None
    for line in log.splitlines():
        text = line.lstrip()
        if token is not None:
            token = None if text.startswith(f"::{token}::") else token
        elif text.startswith("::stop-commands::"):
            token = text.removeprefix("::stop-commands::")
        elif re.match(r"::[a-z-]+[ :]", text) or "##[" in line:
            found.append(line)
    assert token is None, "commands were never taken up again"
    return tuple(found)


def runner_environment(folder: Path, event: str, ref: str, sha: str, repository: str) -> dict[str, str]:
    """What a job of GitHub Actions has in its environment."""
    temporary = folder / f"temporary-{secrets.token_hex(4)}"
    temporary.mkdir(parents=True)
    return {"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": event, "GITHUB_REF": ref, "GITHUB_SHA": sha,
            "GITHUB_REPOSITORY": repository, "GITHUB_SERVER_URL": "https://github.com", "RUNNER_TEMP": str(temporary),
            "GITHUB_WORKFLOW_REF": f"{repository}/.github/workflows/release.yml@{ref}", "GITHUB_RUN_ID": "77",
            "TMPDIR": str(temporary)}  # fmt: skip
