"""`freehold agent`."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from freehold.cli.calling import api, of_tenant
from freehold.cli.options import JsonOption, LimitOption, TenantOption
from freehold.cli.showing import show, table

app = typer.Typer()

VERDICTS: Final = ("allow", "ask", "deny")

ModelOption = Annotated[
    str, typer.Option("--model", "-m", help="A level such as `coordinator`, CONNECTION/MODEL, or `rehearsal`.")
]
InstructionsOption = Annotated[str, typer.Option("--instructions", "-i", help="What it shall do; @FILE reads a file.")]
ToolOption = Annotated[list[str] | None, typer.Option("--tool", help="NAME=allow|ask|deny; may be said again.")]


@app.command("create")
def create_agent(
    name: str,
    tenant: TenantOption,
    model: ModelOption,
    instructions: InstructionsOption = "",
    tool: ToolOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create the agent NAME with its first version."""
    body = {"name": name, "model": model, "instructions": _text(instructions), "tools": _tools(tool or [])}
    show(api().post(of_tenant(tenant, "agents"), body), as_json=as_json, line="{name} is there as {id}")


@app.command("update")
def update_agent(
    name: str,
    tenant: TenantOption,
    model: Annotated[str | None, typer.Option("--model", "-m", help="Another model.")] = None,
    instructions: Annotated[str | None, typer.Option("--instructions", "-i", help="Other instructions.")] = None,
    tool: ToolOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a new version of NAME; what is not said stays as it is, and runs that have begun keep theirs."""
    platform = api()
    body = _spec(platform.get(of_tenant(tenant, "agents", name)))
    if model is not None:
        body["model"] = model
    if instructions is not None:
        body["instructions"] = _text(instructions)
    body["tools"] |= _tools(tool or [])
    made = platform.post(of_tenant(tenant, "agents", name, "versions"), body)
    show(made, as_json=as_json, line="version {number} is {id}")


@app.command("list")
def list_agents(tenant: TenantOption, limit: LimitOption = 100, as_json: JsonOption = False) -> None:
    """List the agents of a tenant."""
    found = api().items(of_tenant(tenant, "agents"), limit=limit)
    table(found, "name", "id", "version", "created_at", as_json=as_json)


@app.command("show")
def show_agent(name: str, tenant: TenantOption, as_json: JsonOption = False) -> None:
    """Show the agent NAME and its newest version."""
    show(api().get(of_tenant(tenant, "agents", name)), as_json=as_json)


@app.command("versions")
def list_versions(name: str, tenant: TenantOption, limit: LimitOption = 100, as_json: JsonOption = False) -> None:
    """List the versions of NAME."""
    found = api().items(of_tenant(tenant, "agents", name, "versions"), limit=limit)
    table(found, "number", "id", "model", "tools", "created_at", as_json=as_json)


def _spec(agent: dict[str, Any]) -> dict[str, Any]:
    return {field: agent[field] for field in ("model", "instructions", "tools")}


def _text(text: str) -> str:
    return Path(text[1:]).read_text() if text.startswith("@") else text


def _tools(stated: list[str]) -> dict[str, str]:
    tools = {}
    for one in stated:
        name, _, verdict = one.partition("=")
        if not name or verdict not in VERDICTS:
            raise typer.BadParameter(f"{one!r} is not NAME=allow|ask|deny.", param_hint="--tool")
        tools[name] = verdict
    return tools
