"""The `freehold` command: finds the noun that is asked for and turns errors into exit codes."""

import importlib
import sys
from typing import Final

import typer
import typer.main

from freehold.cli.showing import complain
from freehold.cli.wording import HELP, worded
from freehold.core.errors import FreeholdError

NOUNS: Final = {
    "tenant": "Tenants: who owns agents, runs and secrets.",
    "tier": "Tiers: how much of each thing a tenant may have.",
    "agent": "Agents and their versions.",
    "run": "Runs: everything an agent does.",
    "message": "Messages to agents.",
    "approval": "Questions that wait for a person.",
    "secret": "Secrets: values go in and never come back.",
    "connection": "Connections: where the gateway may reach out to.",
    "destination": "Destinations: places in private networks that connections may lead to.",
    "level": "Levels: which models do which kind of work.",
    "model-key": "Model keys: with which programs outside call models.",
    "channel": "Channels: ways for messages to come in.",
    "person": "People: who can sign in, and what they are to the platform.",
    "member": "Members: people in a tenant, and who is invited.",
    "key": "API keys.",
    "usage": "What was used, and what it cost.",
    "budget": "Budgets: how much may be spent.",
    "account": "Accounts: mark-up, credit, and where models may be.",
    "switch": "Kill switches: pause effects, cancel runs, revoke access.",
    "platform": "The platform as a whole: its queue.",
    "sandbox": "Sandboxes, where commands and programs of agents run.",
    "audit": "The record of who did what.",
}
"""Each is a module of this package with an `app`."""

COMMANDS: Final = {
    "up": "platform",
    "web": "platform",
    "worker": "platform",
    "gateway": "platform",
    "doctor": "platform",
    "demo": "platform",
    "chat": "chatting",
    "claim-link": "signing_in",
    "login-code": "signing_in",
}
"""Commands without a noun, and the module that has them."""


def build(wanted: str | None) -> typer.Typer:
    """Return the command line; with `wanted` only as much of it as that noun or command needs."""
    app = typer.Typer(
        name="freehold",
        help="Freehold runs agents for many tenants on your own machine.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": HELP},
    )
    app.callback()(_options)
    for noun in NOUNS if wanted not in NOUNS else [wanted]:
        module = importlib.import_module(f"freehold.cli.{noun.replace('-', '_')}")
        app.add_typer(module.app, name=noun, help=NOUNS[noun], no_args_is_help=True)
    modules = {COMMANDS[wanted]} if wanted in COMMANDS else {*COMMANDS.values()} if wanted not in NOUNS else set()
    for name in sorted(modules):
        importlib.import_module(f"freehold.cli.{name}").add_to(app)
    return app


def main() -> None:
    """Run the command line and exit: 0 done, 1 refused or failed, 2 wrong use."""
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    try:
        worded(typer.main.get_command(build(words[0] if words else None)))()
    except FreeholdError as error:
        complain(error, as_json="--json" in sys.argv)
        sys.exit(1)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has seen enough
        sys.exit(0)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version  # noqa: PLC0415 - only this option needs it

        print(f"freehold {version('freehold')}")
        raise typer.Exit


def _options(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Show the version."),
) -> None:
    pass
