"""`freehold agent`."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from freehold.cli.calling import api, of_tenant
from freehold.cli.comparing import compared
from freehold.cli.options import JsonOption, LimitOption, TenantOption
from freehold.cli.showing import show, table

app = typer.Typer()

VERDICTS: Final = ("allow", "ask", "deny")

ModelOption = Annotated[
    str, typer.Option("--model", "-m", help="A level such as `coordinator`, CONNECTION/MODEL, or `rehearsal`.")
]
InstructionsOption = Annotated[str, typer.Option("--instructions", "-i", help="What it shall do; @FILE reads a file.")]
ToolOption = Annotated[
    list[str] | None,
    typer.Option(
        "--tool",
        help="NAME=allow|ask|deny; may be said again. CONNECTION.*=… means every tool the connection has now.",
    ),
]
EgressOption = Annotated[
    list[str] | None,
    typer.Option(
        "--egress",
        metavar="HOST",
        help="Where programs in its sandboxes may go: HOST or *.DOMAIN, either with :PORT. May be said again.",
    ),
]


@app.command("create")
def create_agent(
    name: str,
    tenant: TenantOption,
    model: ModelOption,
    instructions: InstructionsOption = "",
    tool: ToolOption = None,
    egress: EgressOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create the agent NAME with its first version."""
    body = {"name": name, "model": model, "instructions": _text(instructions), "tools": _tools(tool or [])}
    body |= {"egress": egress} if egress else {}
    show(api().post(of_tenant(tenant, "agents"), body), as_json=as_json, line="{name} is there as {id}")


@app.command("update")
def update_agent(
    name: str,
    tenant: TenantOption,
    model: Annotated[str | None, typer.Option("--model", "-m", help="Another model.")] = None,
    instructions: Annotated[str | None, typer.Option("--instructions", "-i", help="Other instructions.")] = None,
    tool: ToolOption = None,
    egress: EgressOption = None,
    no_egress: Annotated[
        list[str] | None, typer.Option("--no-egress", metavar="HOST", help="Where they may not go any more.")
    ] = None,
    no_deploy: Annotated[
        bool, typer.Option("--no-deploy", help="Make the version, and let new runs start as they did.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a new version of NAME; what is not said stays as it is, and runs that have begun keep theirs."""
    platform = api()
    body = _spec(platform.get(of_tenant(tenant, "agents", name)))
    if model is not None:
        body["model"] = model
    if instructions is not None:
        body["instructions"] = _text(instructions)
    body["tools"] = _changed(body["tools"], _tools(tool or []))
    body["egress"] = [host for host in body["egress"] + (egress or []) if host not in (no_egress or [])]
    made = platform.post(of_tenant(tenant, "agents", name, "versions"), body | {"deploy": not no_deploy})
    show(made, as_json=as_json, line="version {number} is {id}")


@app.command("list")
def list_agents(tenant: TenantOption, limit: LimitOption = 100, as_json: JsonOption = False) -> None:
    """List the agents of a tenant."""
    found = api().items(of_tenant(tenant, "agents"), limit=limit)
    table(found, "name", "id", "version", "created_at", as_json=as_json)


@app.command("show")
def show_agent(name: str, tenant: TenantOption, as_json: JsonOption = False) -> None:
    """Show the agent NAME and what its new runs start with."""
    found = api().get(of_tenant(tenant, "agents", name))
    show(found if as_json else _readable(found), as_json=as_json)


@app.command("versions")
def list_versions(name: str, tenant: TenantOption, limit: LimitOption = 100, as_json: JsonOption = False) -> None:
    """List the versions of NAME."""
    found = api().items(of_tenant(tenant, "agents", name, "versions"), limit=limit)
    shown = found if as_json else [version | {"share": f"{version['share']} %"} for version in found]
    table(shown, "number", "id", "share", "model", "tools", "created_at", as_json=as_json)


@app.command("deploy")
def deploy_version(
    agent: str,
    tenant: TenantOption,
    version: Annotated[str, typer.Option("--version", help="Its number or id.")],
    share: Annotated[
        int | None,
        typer.Option(metavar="PERCENT", help="Try it with that many of a hundred new conversations and runs."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Let new runs of AGENT start with a version, all of them or a share; runs that have begun keep theirs."""
    body: dict[str, Any] = {"version": version} | ({} if share is None else {"share": share})
    found = api().post(of_tenant(tenant, "agents", agent, "deploy"), body)
    show(found, as_json=as_json, line=_starts(found))


@app.command("rollback")
def roll_back(agent: str, tenant: TenantOption, as_json: JsonOption = False) -> None:
    """Let new runs of AGENT start with what they started with before; a version that a share tries is given up."""
    found = api().post(of_tenant(tenant, "agents", agent, "rollback"))
    show(found, as_json=as_json, line=_starts(found))


@app.command("diff")
def compare_versions(
    agent: str,
    one: Annotated[str, typer.Argument(metavar="VERSION", help="Number or id of a version.")],
    other: Annotated[str, typer.Argument(metavar="OTHER", help="The one to compare it with.")],
    tenant: TenantOption,
    as_json: JsonOption = False,
) -> None:
    """Show what differs between two versions of AGENT."""
    found = api().get(of_tenant(tenant, "agents", agent, "diff"), **{"from": one, "to": other})
    if as_json:
        show(found, as_json=True)
        return
    for line in compared(found):
        print(line)


def _starts(agent: dict[str, Any]) -> str:
    """Return the line that says what new runs start with."""
    line = "new runs of {name} start with version {number}, {version}"
    trial = agent["trial"]
    return f"{line}\n{trial['share']} % of them try version {trial['number']}, {trial['version']}" if trial else line


def _readable(agent: dict[str, Any]) -> dict[str, Any]:
    """Return an agent for people: a tool of a connection with its kind and what it says of itself."""
    told = dict(agent)
    pinned = told.pop("pinned")
    trial = told.pop("trial")
    if trial:
        told["version"] += f" ({100 - trial['share']} % of new runs)"
        told["trial"] = f"version {trial['number']}, {trial['version']} ({trial['share']} % of new runs)"
    for name, verdict in told.pop("tools").items():
        known = pinned.get(name)
        told[name] = f"{verdict}, {known['kind']}: {known['description']}" if known else verdict
    return told | {"egress": ", ".join(told.pop("egress"))}


def _spec(agent: dict[str, Any]) -> dict[str, Any]:
    return {field: agent[field] for field in ("model", "instructions", "tools", "egress")}


def _changed(tools: dict[str, str], stated: dict[str, str]) -> dict[str, str]:
    """Return `tools` with what is stated; what is stated of all that a connection has takes the place of each."""
    whole = tuple(name.removesuffix("*") for name in stated if name.endswith(".*"))
    return {name: verdict for name, verdict in tools.items() if not name.startswith(whole)} | stated


def _text(text: str) -> str:
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{text[1:]} cannot be read as text.", param_hint="--instructions") from error


def _tools(stated: list[str]) -> dict[str, str]:
    tools = {}
    for one in stated:
        name, _, verdict = one.partition("=")
        if not name or verdict not in VERDICTS:
            raise typer.BadParameter(f"{one!r} is not NAME=allow|ask|deny.", param_hint="--tool")
        tools[name] = verdict
    return tools
