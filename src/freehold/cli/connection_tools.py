"""`freehold connection tools`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from freehold.cli.calling import api, of_tenant
from freehold.cli.options import JsonOption, OwnerOption, PlatformOption, owner
from freehold.cli.showing import note, table

_HASH = 12


def add_to(app: typer.Typer) -> None:
    """Let `app` have the command."""
    app.command("tools")(tools)


def tools(
    name: str,
    refresh: Annotated[bool, typer.Option("--refresh", help="Have them told anew by its server.")] = False,
    openapi: Annotated[
        Path | None, typer.Option("--openapi", metavar="FILE", help="Have them told by an OpenAPI document, as JSON.")
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            metavar="TOOL=KIND",
            help="What a tool does to the world: read, own_write, message, spend, credential, permission or destroy. "
            "May be said again.",
        ),
    ] = None,
    tenant: OwnerOption = None,
    platform: PlatformOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show the tools of the connection NAME; an agent is granted them as NAME.TOOL."""
    path = _path(owner(tenant, platform), name, "tools")
    if refresh or openapi is not None:
        told = api().post(path, {"document": None if openapi is None else _document(openapi)})
        _say(told)
    for one in kind or []:
        tool, sign, word = one.partition("=")
        if not sign:
            raise typer.BadParameter(f"{one!r} is not TOOL=KIND.", param_hint="--kind")
        api().patch(f"{path}/{tool}", {"kind": word})
    found = api().items(path)
    if not found:
        note("None is known. With --refresh an MCP server is asked, with --openapi FILE a document tells of an API's.")
    table(found if as_json else [_row(one) for one in found], *_COLUMNS, as_json=as_json)


_COLUMNS = ("name", "kind", "what", "hash", "needs_a_new_version")


def _row(tool: dict[str, Any]) -> dict[str, Any]:
    """Return a tool for people."""
    return {
        "name": tool["name"],
        "kind": tool["kind"],
        "what": tool["description"],
        "hash": tool["hash"][:_HASH],
        "needs_a_new_version": ", ".join(tool["outdated"]),
    }


def _say(told: dict[str, Any]) -> None:
    """Say beside the list what became of it."""
    for what in ("added", "removed", "changed"):
        if told[what]:
            note(f"{what}: {', '.join(told[what])}")
    for name, why in told["left_out"].items():
        note(f"left out: {name!r}, {why}")


def _document(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read.", param_hint="--openapi") from error
    except (ValueError, RecursionError) as error:
        said = "is no JSON; a document in YAML has to be converted first, such as with: yq -o json FILE"
        raise typer.BadParameter(f"{file} {said}", param_hint="--openapi") from error
    if not isinstance(found, dict):
        raise typer.BadParameter(f"{file} is no OpenAPI document.", param_hint="--openapi")
    return found


def _path(tenant: str | None, *rest: str) -> str:
    return "/".join(["connections", *rest]) if tenant is None else of_tenant(tenant, "connections", *rest)
