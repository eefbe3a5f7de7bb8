"""What a program declares of itself in a provenance: by options, else by the environment that `agent run` sets."""

from __future__ import annotations

import argparse
import os

from git_auths.core.provenance import MAX_AGENT_TEXT_CHARS, MAX_TOOLS, Agent
from git_auths.errors import UsageError

ID, MODEL, PROVIDER, TOOLS = "AGENT_ID", "AGENT_MODEL", "AGENT_PROVIDER", "AGENT_TOOLS"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--agent-id", metavar="ID", help=f"the program that did the work (default: {ID})")
    parser.add_argument("--agent-model", metavar="MODEL", help=f"its model (default: {MODEL})")
    parser.add_argument("--agent-provider", metavar="NAME", help=f"who provides that (default: {PROVIDER})")
    parser.add_argument("--tool", action="append", default=[], metavar="NAME",
                        help=f"a tool that it used; may be repeated (default: {TOOLS}, by commas)")  # fmt: skip


def declared(args: argparse.Namespace) -> Agent | None:
    """The agent that the options or the environment name; None where neither does."""
    tools = args.tool or [tool for tool in os.environ.get(TOOLS, "").split(",") if tool]
    agent = Agent(args.agent_id or os.environ.get(ID) or None, args.agent_model or os.environ.get(MODEL) or None,
                  args.agent_provider or os.environ.get(PROVIDER) or None, tuple(tools))  # fmt: skip
    texts = [text for text in (agent.id, agent.model, agent.provider, *tools) if text]
    if any(len(text) > MAX_AGENT_TEXT_CHARS or not text.isprintable() for text in texts) or len(tools) > MAX_TOOLS:
        raise UsageError(f"what an agent declares is printable text of at most {MAX_AGENT_TEXT_CHARS} characters, with "
                         f"{MAX_TOOLS} tools at most", "git auths attest -h")  # fmt: skip
    return agent if texts else None
