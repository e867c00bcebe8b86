"""`freehold budget`."""

from typing import Annotated, Any, Literal

import typer

from freehold.cli.amounts import dollars, nano
from freehold.cli.calling import api, of_tenant
from freehold.cli.options import JsonOption, TenantOption
from freehold.cli.showing import show, table

app = typer.Typer()

PeriodOption = Annotated[
    Literal["day", "month"] | None, typer.Option(help="When it begins anew, in UTC: month unless said; not for --run.")
]
AgentOption = Annotated[str | None, typer.Option(help="Only of this agent, by name or id.")]
KeyOption = Annotated[str | None, typer.Option(help="Only of this model key, by id.")]
LevelOption = Annotated[str | None, typer.Option(help="Only of this level, such as coordinator.")]
RunOption = Annotated[bool, typer.Option("--run", help="Of each run by itself.")]
UnattendedOption = Annotated[bool, typer.Option("--unattended", help="Of all runs together that nobody waits for.")]


@app.command("set")
def set_budget(
    tenant: TenantOption,
    usd: Annotated[str, typer.Option(help="How much, in dollars.")],
    period: PeriodOption = None,
    agent: AgentOption = None,
    key: KeyOption = None,
    level: LevelOption = None,
    run: RunOption = False,
    unattended: UnattendedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Limit what the tenant, or a part of it, may spend; holds from the next call on."""
    named = _named(period, agent=agent, key=key, level=level, run=run, unattended=unattended)
    told = api().put(of_tenant(tenant, "budgets", named), {"limit_nano": nano(usd)})
    show(told if as_json else _row(told), as_json=as_json, line="{budget} may spend {limit}; {left} of it is left")


@app.command("list")
def list_budgets(tenant: TenantOption, as_json: JsonOption = False) -> None:
    """List every limit of the tenant, and what is spent of it."""
    found = api().items(of_tenant(tenant, "budgets"))
    rows = found if as_json else [_row(told) for told in found]
    table(rows, "budget", "limit", "spent", "held", "left", "resets_at", as_json=as_json)


@app.command("delete")
def delete_budget(
    tenant: TenantOption,
    period: PeriodOption = None,
    agent: AgentOption = None,
    key: KeyOption = None,
    level: LevelOption = None,
    run: RunOption = False,
    unattended: UnattendedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take a limit away; the others hold on."""
    named = _named(period, agent=agent, key=key, level=level, run=run, unattended=unattended)
    api().delete(of_tenant(tenant, "budgets", named))
    show({"id": named, "deleted": True}, as_json=as_json, line="{id} is deleted")


def _named(
    stated: str | None, *, agent: str | None, key: str | None, level: str | None, run: bool, unattended: bool
) -> str:
    """Return what the API calls the limit that was meant."""
    whose = {"agent": agent, "key": key, "level": level}
    subjects = [(scope, subject) for scope, subject in whose.items() if subject]
    if len(subjects) + run + unattended > 1:
        raise typer.BadParameter("Say one of --agent, --key, --level, --run and --unattended, or none for the tenant.")
    if run and stated:
        raise typer.BadParameter("A run's limit has no period: leave --period out.")
    if run:
        return "run.ever"
    period = stated or "month"
    if unattended:
        return f"unattended.{period}"
    return f"{subjects[0][0]}.{period}.{subjects[0][1]}" if subjects else f"tenant.{period}"


def _row(told: dict[str, Any]) -> dict[str, Any]:
    amounts = {name: dollars(told[f"{name}_nano"]) for name in ("limit", "spent", "held", "left")}
    return {"budget": called(told), "resets_at": told["resets_at"]} | amounts


def called(told: dict[str, Any]) -> str:
    """Return what people call a limit: an agent by its name, a key by both."""
    if told["scope"] == "agent" and told["name"]:
        return f"agent.{told['period']}.{told['name']}"
    return f"{told['id']} ({told['name']})" if told["name"] else str(told["id"])
