"""`freehold tenant`."""

from typing import Annotated

import typer

from freehold.cli.calling import api, of_tenant
from freehold.cli.options import JsonOption, LimitOption
from freehold.cli.showing import show, table

app = typer.Typer()


@app.command("create")
def create_tenant(
    slug: str, name: Annotated[str, typer.Option(help="How people call it.")] = "", as_json: JsonOption = False
) -> None:
    """Create the tenant SLUG."""
    body = {"slug": slug} | ({"name": name} if name else {})
    show(api().post("tenants", body), as_json=as_json, line="{slug} is there as {id}")


@app.command("list")
def list_tenants(limit: LimitOption = 100, as_json: JsonOption = False) -> None:
    """List tenants."""
    table(api().items("tenants", limit=limit), "slug", "name", "id", "state", "created_at", as_json=as_json)


@app.command("show")
def show_tenant(tenant: str, as_json: JsonOption = False) -> None:
    """Show TENANT."""
    show(api().get(of_tenant(tenant)), as_json=as_json)
