"""The page of all commands, as the command line itself tells them."""

import re
from collections.abc import Iterator

import typer.main
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from freehold.cli.main import build
from tools.reference.markdown import page, rows


def command_line() -> TyperGroup:
    """Return the whole command line."""
    found = typer.main.get_command(build(None))
    assert isinstance(found, TyperGroup)  # noqa: S101 - it has commands
    return found


def every_command(
    group: TyperGroup, path: tuple[str, ...] = ("freehold",)
) -> Iterator[tuple[str, TyperCommand | TyperGroup]]:
    """Yield each command below `group` with the words that call it."""
    for name, command in sorted(group.commands.items()):
        if isinstance(command, TyperGroup) and command.commands:
            yield from every_command(command, (*path, name))
        elif isinstance(command, TyperCommand | TyperGroup) and not command.hidden:
            yield " ".join((*path, name)), command


def _usage(words: str, command: TyperCommand | TyperGroup) -> str:
    arguments = [parameter for parameter in command.params if isinstance(parameter, TyperArgument)]
    names = [(argument.name or "").rstrip("_").upper() for argument in arguments]
    shown = [name if argument.required else f"[{name}]" for name, argument in zip(names, arguments, strict=True)]
    return " ".join((words, *shown))


def _options(command: TyperCommand | TyperGroup) -> Iterator[tuple[str, str]]:
    for parameter in command.params:
        if isinstance(parameter, TyperOption) and not parameter.hidden:
            names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
            yield names + (" (needed)" if parameter.required else ""), parameter.help or ""


def _sections() -> Iterator[str]:
    noun = ""
    for words, command in every_command(command_line()):
        first = words.split()[1]
        if first != noun:
            noun = first
            yield f"## {noun}"
        yield f"`{_usage(words, command)}`"
        yield re.sub(r"\s+", " ", command.help or "")
        options = list(_options(command))
        if options:
            yield rows(("Option", "Means"), options)


def commands_page() -> str:
    """Return the page."""
    return page(
        "Command line",
        "Commands about a noun are clients of the API: they talk to the platform of this machine with its operator "
        "key, or to the one that `FREEHOLD_URL` and `FREEHOLD_KEY` name. `up`, `web`, `worker`, `gateway`, `demo` and "
        "`doctor` act on this machine.",
        "Exit codes: 0 done, 1 refused or failed, 2 wrong use. With `--json` an error is a problem document on "
        "standard output, and in words on standard error.",
        *_sections(),
    )
