"""The manual says what the programs do: every command, option, key, verdict and bound there is, and no other."""

from __future__ import annotations

import argparse
import ast
import os
import re
import shutil
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from git_auths.commands import agent_block, collecting, forge
from git_auths.core import allowed_signers, below_auths, chain, judge, policy, policyschema, policytext, scope
from git_auths.main import COMMANDS
from git_auths.services import forge_answers, oidc
from git_auths.store import hookfiles, secrets, settings
from tests.realgit import run

PROJECT = Path(__file__).resolve().parents[1]
SOURCES = sorted((PROJECT / "git_auths").rglob("*.py"))
PAGES = {name: (PROJECT / "man" / name).read_text() for name in
         ("git-auths.1", "git-auths-sign.1", "git-auths-verify.1", "git-auths-policy.5", "gitauths-recovery.7")}  # fmt: skip
MAIN, POLICY = PAGES["git-auths.1"], PAGES["git-auths-policy.5"]

# Every verdict that there may be; the code of a version gives some of them.
VOCABULARY = {
    "good", "countersigned", "adopted", "ungoverned", "unsigned", "unsupported-signature", "malformed", "bad-signature",
    "unknown-key", "superseded-key", "compromised-key", "unauthorized", "unauthorized-at-reception", "expired",
    "threshold-unmet", "policy-change-unauthorized", "policy-invalid", "kel-invalid", "outside-root", "unpinned-root",
    "mainline-inverted", "tag-name-mismatch", "tag-moved", "lightweight-tag", "rewound", "incomplete",
}  # fmt: skip
CARRIERS = ("Fault", "_Faulty", "NoAnswer")
CONSTANTS = {"GOOD": judge.GOOD, "UNGOVERNED": judge.UNGOVERNED, "COUNTERSIGNED": judge.COUNTERSIGNED,
             "ADOPTED_VERDICT": judge.ADOPTED_VERDICT}  # fmt: skip


def section(page: str, name: str) -> str:
    """The mdoc source from `.Sh name` to the next section."""
    return page.split(f".Sh {name}\n", 1)[1].split("\n.Sh ", 1)[0]


# What the sources of the pages and of the programs say alike


def parsers(name: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """The command with its parser, or each of its subcommands with theirs."""
    parser = argparse.ArgumentParser()
    import_module(COMMANDS[name]).add_arguments(parser)
    nested = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not nested:
        yield name, parser
    for action in nested:
        yield from ((f"{name} {choice}", inner) for choice, inner in action.choices.items())


def options(parser: argparse.ArgumentParser) -> set[str]:
    return {option for action in parser._actions for option in action.option_strings} - {"-h", "--help"}


def synopses() -> dict[str, set[str]]:
    """The options in the heading of each command's entry in git-auths.1."""
    found = {}
    for name, heading in re.findall(r"^\.It Xo\n\.Cm ([a-z -]+)\n((?:.*\n)*?)\.Xc$", section(MAIN, "COMMANDS"), re.M):
        flags = re.findall(r"\bFl ((?:\S+ \| )*\S+)", heading)
        found[name] = {"-" + word for flag in flags for word in flag.split(" | ")}
    return found


def verdicts_in_code() -> set[str]:
    """Words given to what carries a verdict, or chosen for it, and words in brackets in what people are told."""
    found = set()
    for node in (node for source in SOURCES for node in ast.walk(ast.parse(source.read_text()))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CARRIERS:
            match node.args[0]:
                case ast.Constant(value):
                    found.add(value)
                case ast.Name(name) if name in CONSTANTS:
                    found.add(CONSTANTS[name])
        elif isinstance(node, ast.keyword) and node.arg == "verdict" and isinstance(node.value, ast.Constant):
            found.add(node.value.value)
        elif isinstance(node, ast.IfExp):
            found |= VOCABULARY & {side.value for side in (node.body, node.orelse) if isinstance(side, ast.Constant)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= VOCABULARY.intersection(re.findall(r"\(([a-z-]+)\)", node.value))
    return found


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_has_an_entry_with_all_its_options_and_no_others(name):
    written = synopses()
    for command, parser in parsers(name):
        assert written.get(command) == options(parser), command


def test_no_entry_is_about_a_command_that_does_not_exist():
    assert set(synopses()) == {command for name in COMMANDS for command, _ in parsers(name)}


def test_the_verdicts_are_those_that_the_code_can_give():
    written = re.findall(r"^\.It Sy (\S+)$", section(MAIN, "VERDICTS"), re.M)
    assert len(written) == len(set(written))
    assert set(written) == verdicts_in_code() <= VOCABULARY


def warnings_in_code() -> set[str]:
    """The words of the links that `chain.warning` makes."""
    calls = [
        node for source in SOURCES for node in ast.walk(ast.parse(source.read_text())) if isinstance(node, ast.Call)
    ]
    named = [node for node in calls if getattr(node.func, "attr", getattr(node.func, "id", "")) == "warning"]
    return {node.args[1].value for node in named if len(node.args) == 3 and isinstance(node.args[1], ast.Constant)}


def test_the_warnings_of_a_chain_and_its_links_are_those_that_the_code_can_give():
    text = section(MAIN, "ARTIFACTS AND CI")
    assert set(re.findall(r"^\.It Sy (\S+)$", text, re.M)) == warnings_in_code()
    links = " ".join(re.findall(r"^\.It Cm (.+)$", text, re.M)).replace(",", "").split()
    assert links == ["file", "signature", "commit", "release", "token", "timestamp", "log", "expiry"]
    assert set(links) == {getattr(chain, name) for name in ("FILE", "SIGNATURE", "COMMIT", "RELEASE", "TOKEN",
                                                            "TIMESTAMP", "LOG", "EXPIRY")}  # fmt: skip


def test_each_configuration_key_is_described():
    keys = {value for value in vars(settings).values() if re.fullmatch(r"auths\.\w+", str(value))}
    assert len(keys) > 3
    written = set(re.findall(r"^\.It Cm (auths\.\w+)$", section(MAIN, "CONFIGURATION"), re.M))
    assert written == keys


def test_each_environment_variable_that_is_read_is_described():
    read = {name for source in SOURCES for name in re.findall(r'environ\.get\(\s*"([A-Z_]+)"', source.read_text())}
    assert read >= {"AUTHS_HOME", "AUTHS_TRACE", "SSH_AUTH_SOCK", "SSH_ASKPASS"}
    named = {secrets.DID, forge_answers.TOKEN_NAME, *oidc.VARIABLES, oidc.REQUEST_URL, oidc.REQUEST_TOKEN, agent_block.ID,
             agent_block.MODEL, agent_block.PROVIDER, agent_block.TOOLS, *forge.REPOSITORY_VARIABLES,
             *forge.RUN_VARIABLES, "CI_API_V4_URL"}  # fmt: skip
    secret = {"AUTHS_PASSPHRASE", "AUTHS_PRIVATE_KEY", "AUTHS_PRIVATE_KEY_FD", *named}
    lines = re.findall(r"^\.(?:It )?Ev (.+)$", "\n".join(PAGES.values()), re.M)
    written = set(re.findall(r"[A-Z_0-9]{4,}", " ".join(lines)))
    assert (read | secret) - {"MANPATH", "XDG_DATA_HOME", "GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS"} <= written


def test_what_init_sets_is_what_the_manual_says(tmp_path):
    run("git", "init", "-q", tmp_path)
    run("git", "remote", "add", "origin", "nowhere", cwd=tmp_path)
    program = Path(sysconfig.get_path("scripts"), "git-auths")
    said = run(program, "init", "--no-passphrase", cwd=tmp_path).stderr.decode()
    written = section(MAIN, "CONFIGURATION")
    keys = [line.split()[1:3] for line in said.splitlines() if line.startswith("set ")]
    assert len(keys) == 10
    for key, operator in keys:
        assert f"\n{key.replace('.origin.', '.<each remote>.')} {operator} " in written


def test_each_hook_is_described():
    hooks = section(MAIN, "HOOKS")
    assert set(re.findall(r"^\.It Cm (\S+)$", hooks, re.M)) == {*hookfiles.CLIENT, *hookfiles.SERVER}
    offered = re.findall(r"^- id: (\S+)$", (PROJECT / ".pre-commit-hooks.yaml").read_text(), re.M)
    assert offered and all(f".Cm {name}" in hooks for name in offered)


@pytest.mark.parametrize("page", ["git-auths-sign.1", "git-auths-verify.1"])
def test_both_programs_that_git_runs_describe_every_form(page):
    for form in ("find-principals", "verify", "check-novalidate"):
        assert re.search(rf"Fl Y Cm .*\b{form}\b", PAGES[page])
    assert ("Fl Y Cm sign\n" in PAGES[page]) == (page == "git-auths-sign.1")


def test_each_key_of_the_policy_is_described_and_no_other():
    keys = {"schema", "issuer", "allow_unbound", *policyschema.COMMIT_KEYS, *policyschema.RELEASE_KEYS,
            *policyschema.RULE_KEYS, *policyschema.CI_KEYS, *policyschema.SIGNER_KEYS}  # fmt: skip
    assert set(re.findall(r"^\.It Ic (\S+)$", POLICY, re.M)) == keys


@pytest.mark.parametrize("kind", ["commit", "release", "admin", "ci"])
def test_each_kind_of_rule_is_described_with_its_own_keys(kind):
    own = {"commit": policyschema.COMMIT_KEYS, "release": policyschema.RELEASE_KEYS, "admin": policyschema.RULE_KEYS,
           "ci": policyschema.CI_KEYS}[kind]  # fmt: skip
    common = () if kind == "ci" else policyschema.RULE_KEYS
    [entry] = re.findall(rf"^\.Ss .*\[\[policy\.{kind}\]\]\n((?:(?!\.S[sh]).*\n)*)", POLICY, re.M)
    assert set(re.findall(r"^\.It Ic (\S+)$", entry, re.M)) - {"issuer", "allow_unbound"} == set(own) - set(common)


@pytest.mark.parametrize(
    "bound",
    [
        f"{policy.MAX_POLICY_BYTES // 1024} KiB",
        f"{policytext.MAX_ESCAPES} backslashes",
        f"{policytext.MAX_TOKENS}\nwords",
        f"longer than {policytext.MAX_VALUE_CHARACTERS} characters",
        f"more than {policytext.MAX_KEY_PARTS} parts",
        f"more than {policytext.MAX_NESTING} deep",
        f"{policyschema.MAX_NAME_CHARACTERS} characters",
        f"up to {policyschema.MAX_EMAILS} plain",
        f"{allowed_signers.MAX_ADDRESS_CHARACTERS} characters",
        f"{policyschema.LONGEST_MAX_TTL_SECONDS // 86400}d",
        f"{policyschema.DEFAULT_MAX_TTL_SECONDS // 3600}h",
        f"{scope.MAX_PATTERN_BYTES} bytes",
        f"up to {below_auths.MAX_DELEGATES} delegates",
        f".Ql {collecting.PUBLIC_LOG}",
        *(f".Cm {word}" for word in policyschema.LOGS),
        *(f"\n.Cm {word}" for word in policyschema.UNBOUND),
        *(f"\n.Cm {word}" for word in policyschema.AGENTS),
        *(f"\n.Cm {word}" for word in policyschema.OWN_CAPABILITY.values()),
    ],
)
def test_the_bounds_and_words_of_the_policy_are_those_of_the_parser(bound):
    assert bound in POLICY


def test_the_example_is_a_policy_without_fault_or_warning():
    [example] = re.findall(r"^\.Bd -literal\n((?:.*\n)*?)\.Ed$", section(POLICY, "EXAMPLES"), re.M)
    parsed = policy.parse(example.replace("\\e", "\\").encode())
    assert [(rule.require, len(rule.signers)) for rule in (*parsed.commit, *parsed.release, *parsed.admin)] == [
        (1, 3), (2, 3), (2, 3)]  # fmt: skip
    assert parsed.release[0].tags == ("v*",)
    assert policy.warnings(parsed) == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_free_of_faults(page):
    path = PROJECT / "man" / page
    checks = [command for command in (["mandoc", "-T", "lint", "-W", "warning", path],
                                      ["man", "--warnings", "-E", "UTF-8", "-l", path])
              if shutil.which(str(command[0]))]  # fmt: skip
    if not checks:
        pytest.skip("neither mandoc nor man is installed")
    for command in checks:
        done = run(*command, code=None, env={"MANPAGER": "cat"})
        said = done.stderr + (done.stdout if command[0] == "mandoc" else b"")
        assert (done.returncode, said.decode()) == (0, ""), command[0]


# What is installed


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The project's wheel, built from a copy, so that nothing is left in the checkout."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "git_auths", "hooks", "man"):
        if (PROJECT / name).is_dir():
            shutil.copytree(PROJECT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(PROJECT / name, copy / name)
    target = tmp_path_factory.mktemp("wheel")
    isolation = ["--no-build-isolation"] if can_build_wheels() else []
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", *isolation, "-w", target, copy)
    [built] = target.iterdir()
    return built


def can_build_wheels() -> bool:
    """Whether setuptools is here, and builds wheels by itself, as from 70.1, or with the package wheel."""
    try:
        setuptools = tuple(int(part) for part in version("setuptools").split(".")[:2])
    except (PackageNotFoundError, ValueError):
        return False
    try:
        return setuptools >= (70, 1) or (setuptools >= (64, 0) and bool(version("wheel")))
    except PackageNotFoundError:
        return False


@pytest.fixture(scope="module")
def venv(wheel, tmp_path_factory):
    """A fresh virtual environment with the wheel in it, and nothing else."""
    folder = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    pip = (sys.executable, "-m", "pip", "--python", folder / "bin" / "python")
    run(*pip, "install", "-q", "--no-deps", "--no-index", wheel)
    return folder


def test_the_wheel_holds_every_page(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for page in PAGES:
        assert [name for name in names if name.endswith(f".data/data/share/man/man{page[-1]}/{page}")], page


OPENS = {
    "git help auths": "GIT-AUTHS(1)",
    "git auths --help": "GIT-AUTHS(1)",
    "git help auths-sign": "GIT-AUTHS-SIGN(1)",
    "git help auths-verify": "GIT-AUTHS-VERIFY(1)",
    "git help git-auths-policy": "GIT-AUTHS-POLICY(5)",
    "man 5 git-auths-policy": "GIT-AUTHS-POLICY(5)",
    "man gitauths-recovery": "GITAUTHS-RECOVERY(7)",
    "git help gitauths-recovery": "GITAUTHS-RECOVERY(7)",
}


@pytest.mark.parametrize("command", OPENS)
def test_the_page_opens_from_a_virtual_environment(command, venv, tmp_path):
    if shutil.which("man") is None:
        pytest.skip("man is not installed")
    path = f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}"
    shown = run(*command.split(), cwd=tmp_path, env={"PATH": path, "MANPAGER": "cat", "MANPATH": ""}).stdout.decode()
    assert OPENS[command] in shown.splitlines()[0]


def test_the_program_opens_its_page_where_man_does_not_search(venv, tmp_path):
    if shutil.which("man") is None:
        pytest.skip("man is not installed")
    libraries = os.pathsep.join(path for path in sys.path if path.endswith("-packages"))
    shown = run(venv / "bin" / "git-auths", "verify", "--help", cwd=tmp_path,
                env={"MANPAGER": "cat", "PYTHONPATH": libraries}).stdout.decode()  # fmt: skip
    assert "GIT-AUTHS(1)" in shown.splitlines()[0]
