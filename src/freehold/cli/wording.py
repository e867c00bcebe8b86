"""How help spells what a command takes: APPROVAL for what is needed, [FILE] for what may be left out, no type of a flag."""

from typing import Any, Final

import typer
from typer.core import TyperArgument, TyperOption
from typing_extensions import override

HELP: Final = ["-h", "--help"]


class Word(TyperArgument):
    """An argument as this command line spells it."""

    @override
    def get_usage_pieces(self, ctx: Any) -> list[str]:
        name = self.metavar or self.name
        return [name if self.required else f"[{name}]"]


def worded(command: Any) -> Any:
    """Return `command`, and all below it, with its parameters spelt our way."""
    helps = command.get_help_option(typer.Context(command, help_option_names=HELP))
    for parameter in [*command.params, *([helps] if helps else [])]:
        if isinstance(parameter, TyperArgument):
            parameter.metavar = parameter.name.rstrip("_").upper()
            parameter.__class__ = Word  # typer makes them itself and takes no class for it
        elif isinstance(parameter, TyperOption) and parameter.is_flag:
            parameter.metavar = ""
    for below in getattr(command, "commands", {}).values():
        worded(below)
    return command
