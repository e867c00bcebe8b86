"""`freehold run`."""

import json
from typing import Annotated, Any

import typer

from freehold.cli import run_audit, run_metrics
from freehold.cli.calling import api, of_tenant
from freehold.cli.options import JsonOption, LimitOption, TenantOption, WaitOption
from freehold.cli.showing import clean, show, table

app = typer.Typer()
run_audit.add_to(app)
run_metrics.add_to(app)

LINE = "{id} is {state}"


@app.command("start")
def start_run(
    tenant: TenantOption,
    agent: Annotated[str, typer.Option("--agent", "-a", help="Which agent.")],
    text: Annotated[str, typer.Option("--input", "-i", help="What it shall do.")],
    wait: WaitOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Start a run of an agent."""
    run = api().post(of_tenant(tenant, "runs"), {"agent": agent, "input": text}, wait=wait)
    show(run, as_json=as_json, line=LINE + ("\n{output}" if run.get("output") else ""))


@app.command("list")
def list_runs(
    tenant: TenantOption,
    state: Annotated[str | None, typer.Option(help="Only those in this state.")] = None,
    metrics: Annotated[bool, typer.Option("--metrics", help="With how long they took, and what they cost.")] = False,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """List runs, newest first."""
    found = api().items(of_tenant(tenant, "runs"), limit=limit, state=state)
    if metrics:
        run_metrics.show_list(tenant, found, as_json=as_json)
        return
    table(found, "id", "agent", "state", "waits_for", "trigger", "created_at", "input", as_json=as_json)


@app.command("show")
def show_run(run: str, tenant: TenantOption, as_json: JsonOption = False) -> None:
    """Show RUN, how long it took and what it cost."""
    run_metrics.show_one(tenant, api().get(of_tenant(tenant, "runs", run)), as_json=as_json)


@app.command("events")
def list_events(
    run: str,
    tenant: TenantOption,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run is over.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what happened in RUN."""
    path = of_tenant(tenant, "runs", run, "events")
    if not follow:
        table(api().items(path, behind="after"), "seq", "at", "type", "data", as_json=as_json)
        return
    for name, event in api().events(path):
        if name not in {"delta", "reset"}:
            print(json.dumps(event) if as_json else _line(event), flush=True)


@app.command("cancel")
def cancel_run(run: str, tenant: TenantOption, as_json: JsonOption = False) -> None:
    """Cancel RUN and say how it stands."""
    show(api().post(of_tenant(tenant, "runs", run, "cancel")), as_json=as_json, line=LINE)


@app.command("signal")
def signal_run(
    run: str,
    name: str,
    tenant: TenantOption,
    payload: Annotated[str, typer.Option(help="JSON to go with it.")] = "{}",
    as_json: JsonOption = False,
) -> None:
    """Send the signal NAME to RUN."""
    try:
        body = {"name": name, "payload": json.loads(payload)}
    except ValueError as error:
        raise typer.BadParameter(f"{payload!r} is no JSON.", param_hint="--payload") from error
    show(api().post(of_tenant(tenant, "runs", run, "signal"), body), as_json=as_json, line="sent")


def _line(event: dict[str, Any]) -> str:
    data = json.dumps(event["data"], ensure_ascii=False) if event["data"] else ""
    return clean(f"{event['seq']:>5}  {event['at']}  {event['type']}  {data}").rstrip()
