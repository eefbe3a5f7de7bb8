"""Who may import whom (section 14 of the design): core <- store, services <- commands, hooks <- main."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import git_auths

PACKAGE = Path(git_auths.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# What each layer may import of ours, beside itself. `errors` is for all; the programs at the top may import anything.
ALLOWED = {
    "core": {"errors"},
    "store": {"core", "errors"},
    "services": {"core", "errors"},
    "commands": {"core", "store", "services", "output", "errors"},
    "hooks": {"core", "store", "commands", "guard", "output", "errors"},
    "output": {"store", "errors"},
    "errors": set(),
    "guard": {"output", "errors"},
    "arguments": {"errors"},
    "keygen_arguments": {"errors"},
}
# What brings in the clock, the environment, files, processes or the network. (`secrets` stays: keys are made of it.)
IMPURE = {
    "os", "sys", "io", "pathlib", "shutil", "tempfile", "subprocess", "socket", "ssl", "urllib", "urllib3", "http", "time",
    "random", "platformdirs", "pygit2", "logging",
}  # fmt: skip


def imports(path: Path) -> set[str]:
    """The modules that a file imports anywhere, inside functions too; `from git_auths import x` counts as git_auths.x."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            module = node.module or ""
            found |= {f"{module}.{alias.name}" for alias in node.names} if module == "git_auths" else {module}
    return found


def layer(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_the_layers_below_it(path: Path) -> None:
    own = layer(path)
    if own not in ALLOWED:
        return
    ours = {name.split(".")[1] for name in imports(path) if name.startswith("git_auths.")}
    assert ours - ALLOWED[own] - {own, "__version__"} == set()


@pytest.mark.parametrize("path", [path for path in MODULES if layer(path) == "core"], ids=lambda path: path.name)
def test_core_reaches_for_nothing_outside_of_itself(path: Path) -> None:
    assert {name.split(".")[0] for name in imports(path)} & IMPURE == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_repository_module_knows_pygit2(path: Path) -> None:
    assert "pygit2" not in {name.split(".")[0] for name in imports(path)} or path.name == "repository.py"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_git_modules_start_git(path: Path) -> None:
    allowed = {"store/git.py", "store/repository.py", "store/history.py"}
    mentions = ast.walk(ast.parse(path.read_text()))
    starts = any(isinstance(node, ast.List) and node.elts and isinstance(node.elts[0], ast.Constant)
                 and node.elts[0].value == "git" for node in mentions)  # fmt: skip
    assert not starts or str(path.relative_to(PACKAGE)) in allowed
