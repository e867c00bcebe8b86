"""`freehold model-key`."""

from typing import Annotated

import typer

from freehold.cli.calling import api, of_tenant
from freehold.cli.options import JsonOption, TenantOption
from freehold.cli.showing import note, show, table

app = typer.Typer()


@app.command("create")
def create_model_key(
    name: str,
    tenant: TenantOption,
    agent: Annotated[str | None, typer.Option(help="The agent whose calls it makes, by name or id.")] = None,
    model: Annotated[
        list[str] | None, typer.Option("--model", help="A level or CONNECTION/MODEL it may name; may be said again.")
    ] = None,
    expires_days: Annotated[float | None, typer.Option("--expires-days", help="After how many days it ends.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key called NAME with which a program calls the tenant's models; it is shown this once."""
    body = {"name": name, "agent": agent, "models": model or [], "expires_in_days": expires_days}
    made = api().post(of_tenant(tenant, "model-keys"), body)
    show(made, as_json=as_json, line="{key}")
    if not as_json:
        note(f"This is {made['id']}. Keep the key: it is not shown again.")
        note("Programs show it at the gateway's address, with /v1 behind it; `freehold doctor` says where that is.")


@app.command("list")
def list_model_keys(tenant: TenantOption, as_json: JsonOption = False) -> None:
    """List model keys, without the keys themselves."""
    found = api().items(of_tenant(tenant, "model-keys"))
    if not as_json:
        found = [key | {"models": ", ".join(key["models"]) or "all"} for key in found]
    columns = ("id", "name", "agent", "models", "made_by", "expires_at", "last_used_at", "revoked_at")
    table(found, *columns, as_json=as_json)


@app.command("revoke")
def revoke_model_key(
    key: Annotated[str, typer.Argument(help="The key's id, such as fhm_….")],
    tenant: TenantOption,
    as_json: JsonOption = False,
) -> None:
    """Revoke KEY from the next call on."""
    api().delete(of_tenant(tenant, "model-keys", key))
    show({"id": key, "revoked": True}, as_json=as_json, line="{id} is revoked")
