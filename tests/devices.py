"""Second machines of a person's, with an identity of their own that the person's delegates to."""

from __future__ import annotations

import json

from tests.people import Person, Project


def second_machine(project: Project, name: str = "laptop") -> Person:
    """A clone on another machine, whose root is pinned; there is no identity yet."""
    machine = Person(project.folder, name)
    machine.at = machine.home / "work"
    machine.git("clone", "--quiet", project.server, machine.at, cwd=machine.home)
    machine.auths("setup", "--root", project.root, "--yes")
    return machine


def request(machine: Person, owner: str, *options: str) -> str:
    """What the machine asks its owner (a DID) for."""
    return machine.auths("device", "add", "--owner", owner, "--no-passphrase", *options).stdout.strip()


def approved(project: Project, *options: str) -> Person:
    """A second machine of Ada's, `laptop`, from its request to the end; `options` are for the approval."""
    laptop = second_machine(project)
    project.ada.auths("device", "approve", request(laptop, project.ada.did(), "--name", "laptop"), "--yes", *options)
    project.ada.git("push", "--quiet")
    laptop.git("pull", "--quiet", "--ff-only")
    laptop.auths("device", "finish")
    return laptop


def did(machine: Person) -> str:
    found: str = json.loads(machine.auths("whoami", "--json").stdout)["did"]
    return found
