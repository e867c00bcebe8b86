"""`freehold tenant`."""

from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlencode

import typer

from freehold.cli.calling import api, of_tenant
from freehold.cli.options import JsonOption, LimitOption
from freehold.cli.showing import show, table

app = typer.Typer()

STANDS = "{slug} is {state}"

ConfirmOption = Annotated[str, typer.Option(help="The tenant's slug once more, typed by whoever means it.")]


@app.command("create")
def create_tenant(
    slug: str,
    name: Annotated[str, typer.Option(help="How people call it.")] = "",
    tier: Annotated[str, typer.Option(help="What it may have; `freehold tier list` shows the tiers.")] = "",
    trial: Annotated[bool, typer.Option("--trial", help="Let it try the platform for some days.")] = False,
    time_zone: Annotated[str, typer.Option(help="Where its days begin, such as Europe/Berlin.")] = "",
    language: Annotated[str, typer.Option(help="What its people are written to in, such as de.")] = "",
    draft: Annotated[bool, typer.Option("--draft", help="Only set it up; nothing runs before it is deployed.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Create the tenant SLUG and deploy it."""
    if trial and tier:
        raise typer.BadParameter("A trial has a tier of its own: say --trial or --tier.")
    stated = {"name": name, "tier": tier, "time_zone": time_zone, "language": language, "trial": trial}
    body = {"slug": slug, "draft": draft} | {field: value for field, value in stated.items() if value}
    show(api().post("tenants", body), as_json=as_json, line="{slug} is there as {id} ({state})")


@app.command("deploy")
def deploy_tenant(tenant: str, as_json: JsonOption = False) -> None:
    """Let the draft TENANT begin: its agents run, its channels take messages in."""
    show(api().post(of_tenant(tenant, "deploy")), as_json=as_json, line=STANDS)


@app.command("suspend")
def suspend_tenant(tenant: str, as_json: JsonOption = False) -> None:
    """Stop everything in TENANT and keep it."""
    show(api().post(of_tenant(tenant, "suspend")), as_json=as_json, line=STANDS)


@app.command("resume")
def resume_tenant(tenant: str, as_json: JsonOption = False) -> None:
    """Let the suspended TENANT go on where it was."""
    show(api().post(of_tenant(tenant, "resume")), as_json=as_json, line=STANDS)


@app.command("delete")
def delete_tenant(tenant: str, confirm: ConfirmOption, as_json: JsonOption = False) -> None:
    """Delete TENANT; until its retention time is over it can be restored."""
    api().delete(of_tenant(tenant) + "?" + urlencode({"confirm": confirm}))
    show({"tenant": tenant, "state": "deleted"}, as_json=as_json, line="{tenant} is deleted")


@app.command("restore")
def restore_tenant(tenant: str, as_json: JsonOption = False) -> None:
    """Take back that TENANT was deleted; it is suspended then."""
    show(api().post(of_tenant(tenant, "restore")), as_json=as_json, line=STANDS)


@app.command("purge")
def purge_tenant(tenant: str, confirm: ConfirmOption, as_json: JsonOption = False) -> None:
    """Destroy the deleted TENANT, whose retention time is over, for good."""
    begun = api().post(of_tenant(tenant, "purge"), {"confirm": confirm})
    show(begun, as_json=as_json, line="{slug} is being destroyed; `freehold tenant receipts` shows how far that is")


@app.command("receipts")
def list_receipts(limit: LimitOption = 100, as_json: JsonOption = False) -> None:
    """List what became of deleted tenants."""
    found = api().items("receipts", limit=limit)
    table(found, "slug", "tenant", "deleted_at", "purged_at", "workspaces", "files", "bytes", as_json=as_json)


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
    name: Annotated[str | None, typer.Option(help="How people call it.")] = None,
    time_zone: Annotated[str | None, typer.Option(help="Where its days begin, such as Europe/Berlin.")] = None,
    language: Annotated[str | None, typer.Option(help="What its people are written to in, such as de.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Change what TENANT is."""
    stated = {"name": name, "time_zone": time_zone, "language": language}
    changes = {field: value for field, value in stated.items() if value is not None}
    if until is not None and tier is None:
        raise typer.BadParameter("Say which tier ends then: --tier NAME.")
    if tier is None and not changes:
        raise typer.BadParameter("Say what to change, such as --tier NAME.")
    ending = _until(until)
    changed = api().patch(of_tenant(tenant), changes) if changes else {}
    if tier is not None:
        changed = api().put(of_tenant(tenant, "tier"), {"tier": tier} | ending)
    show(changed, as_json=as_json, line="{slug} has the tier {tier}" if tier else "{slug} is changed")


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
