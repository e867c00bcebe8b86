"""`freehold key`."""

from typing import Annotated

import typer

from freehold.cli.calling import api, of_tenant
from freehold.cli.options import JsonOption, TenantOption
from freehold.cli.showing import note, show, table

app = typer.Typer()


@app.command("create")
def create_key(
    tenant: TenantOption,
    scope: Annotated[list[str], typer.Option("--scope", help="NOUN:read|write|admin; may be said again.")],
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Make an API key; it is shown this once."""
    made = api().post(of_tenant(tenant, "keys"), {"name": name, "scopes": scope})
    show(made, as_json=as_json, line="{key}")
    if not as_json:
        note(f"This is {made['id']}. Keep the key: it is not shown again.")


@app.command("list")
def list_keys(tenant: TenantOption, as_json: JsonOption = False) -> None:
    """List keys, without the keys themselves."""
    table(api().items(of_tenant(tenant, "keys")), "id", "name", "scopes", "created_at", "revoked_at", as_json=as_json)


@app.command("revoke")
def revoke_key(key: str, tenant: TenantOption, as_json: JsonOption = False) -> None:
    """Revoke KEY at once."""
    api().delete(of_tenant(tenant, "keys", key))
    show({"id": key, "revoked": True}, as_json=as_json, line="{id} is revoked")
