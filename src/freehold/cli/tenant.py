"""`freehold tenant`."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from freehold.cli.calling import api, of_tenant
from freehold.cli.options import JsonOption, LimitOption
from freehold.cli.showing import show, table

app = typer.Typer()


@app.command("create")
def create_tenant(
    slug: str,
    name: Annotated[str, typer.Option(help="How people call it.")] = "",
    trial: Annotated[bool, typer.Option("--trial", help="Let it try the platform for some days.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Create the tenant SLUG."""
    body = {"slug": slug} | ({"name": name} if name else {}) | ({"trial": True} if trial else {})
    show(api().post("tenants", body), as_json=as_json, line="{slug} is there as {id}")


@app.command("list")
def list_tenants(limit: LimitOption = 100, as_json: JsonOption = False) -> None:
    """List tenants."""
    table(api().items("tenants", limit=limit), "slug", "name", "id", "state", "created_at", as_json=as_json)


@app.command("show")
def show_tenant(tenant: str, as_json: JsonOption = False) -> None:
    """Show TENANT."""
    show(api().get(of_tenant(tenant)), as_json=as_json)


@app.command("set")
def set_tenant(
    tenant: str,
    tier: Annotated[str | None, typer.Option(help="What it may have; `freehold tier list` shows the tiers.")] = None,
    until: Annotated[
        str | None, typer.Option(help="When the tier ends: a date (its first moment, UTC) or time.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Change what TENANT is."""
    if tier is None:
        raise typer.BadParameter("Say what to change, such as --tier NAME.")
    changed = api().put(of_tenant(tenant, "tier"), {"tier": tier} | _until(until))
    show(changed, as_json=as_json, line="{slug} has the tier {tier}")


@app.command("quotas")
def show_quotas(tenant: str, as_json: JsonOption = False) -> None:
    """Show what TENANT may have and has."""
    found = api().get(of_tenant(tenant, "quotas"))["items"]
    if not as_json:
        words = {None: "inf"}
        found = [one | {"limit": words.get(one["limit"], one["limit"]), "over": _yes(one["over"])} for one in found]
    table(found, "quota", "used", "limit", "over", as_json=as_json)


def _until(text: str | None) -> dict[str, str]:
    if text is None:
        return {}
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no date, such as 2027-01-31.") from error
    return {"until": (at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat()}


def _yes(over: bool) -> str:
    return "yes" if over else ""
