"""`freehold run metrics`, and the numbers that `show` and `list` tell of runs."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

import typer

from freehold.cli.amounts import dollars
from freehold.cli.calling import api, of_tenant
from freehold.cli.options import JsonOption, TenantOption
from freehold.cli.showing import note, show, table

TIMES: Final = ("duration_ms", "queued_ms", "waiting_ms", "model_ms", "tool_ms")
AT_ONCE: Final = 100
Days = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%z"]


def add_to(app: typer.Typer) -> None:
    """Add this command to `freehold run`."""
    app.command("metrics")(measure_runs)


def measure_runs(
    tenant: TenantOption,
    by: Annotated[Literal["agent", "day"], typer.Option(help="What they are summed by.")] = "agent",
    agent: Annotated[str | None, typer.Option("--agent", "-a", help="Only of this agent.")] = None,
    since: Annotated[datetime | None, typer.Option(formats=Days, help="From then on; else 30 days.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show how long runs took and what they cost: the half of them, and all but one in twenty, at most so long."""
    begin = None if since is None else since.isoformat() if since.tzinfo else f"{since.isoformat()}Z"
    told = api().get(of_tenant(tenant, "runs", "metrics"), by=by, agent=agent, since=begin)
    if as_json:
        show(told, as_json=True)
        return
    rows = [_row(group) for group in [*told["groups"], told["total"] | {"name": "all"}]]
    table(rows, by, "runs", "steps", *(name.removesuffix("_ms") for name in TIMES), "cost", as_json=False)
    note(f"Since {told['since']}; times are p50 / p95 of runs that are over{', the newest alone' * told['cut']}.")


def show_list(tenant: str, runs: list[dict[str, Any]], *, as_json: bool) -> None:
    """Show a list of runs with their numbers."""
    numbers = _numbers(tenant, [run["id"] for run in runs])
    rows = [run | {"metrics": numbers[run["id"]]} for run in runs]
    told = rows if as_json else [run | _plain(numbers[run["id"]]) for run in runs]
    names = [name.removesuffix("_ms") for name in TIMES]
    table(told, "id", "agent", "state", "steps", *names, "cost", "created_at", as_json=as_json)


def show_one(tenant: str, run: dict[str, Any], *, as_json: bool) -> None:
    """Show one run with its numbers."""
    numbers = _numbers(tenant, [run["id"]])[run["id"]]
    show(run | ({"metrics": numbers} if as_json else _plain(numbers)), as_json=as_json)


def _numbers(tenant: str, runs: list[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(runs), AT_ONCE):
        asked = ",".join(runs[start : start + AT_ONCE])
        items = api().get(of_tenant(tenant, "runs", "metrics"), runs=asked)["items"]
        found |= {item.pop("run"): item for item in items}
    return found


def _plain(numbers: dict[str, Any]) -> dict[str, Any]:
    times = {name.removesuffix("_ms"): _long(numbers[name]) for name in TIMES}
    return {"steps": numbers["steps"], **times, "cost": dollars(numbers["charge_nano"])}


def _row(group: dict[str, Any]) -> dict[str, Any]:
    label = group["name"] or group["key"]
    times = {name.removesuffix("_ms"): f"{_long(group[name]['p50'])} / {_long(group[name]['p95'])}" for name in TIMES}
    plain = {"runs": group["runs"], "steps": group["steps"], "cost": dollars(group["charge_nano"])}
    return {"agent": label, "day": label, **plain, **times}


def _long(ms: int) -> str:
    """Return a time as people read it."""
    for unit, worth in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000)):
        if ms >= worth:
            return f"{ms / worth:.1f} {unit}"
    return f"{ms} ms"
