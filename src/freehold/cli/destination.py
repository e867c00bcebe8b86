"""`freehold destination`."""

from typing import Annotated

import typer

from freehold.cli.calling import api, of_tenant
from freehold.cli.options import AnyTenant, JsonOption
from freehold.cli.showing import show, table

app = typer.Typer()

ForTenant = Annotated[str | None, typer.Option("--tenant", "-t", help="The tenant it is for; without it: for all.")]


@app.command("allow")
def allow_destination(
    name: str,
    place: Annotated[str, typer.Argument(metavar="HOST:PORT", help="Such as 192.168.1.5:11434; HOST:* for any port.")],
    tenant: ForTenant = None,
    as_json: JsonOption = False,
) -> None:
    """Let connections lead to HOST:PORT in a private network, under NAME."""
    made = api().post(_path(tenant), {"name": name, "place": place})
    show(made, as_json=as_json, line=f"{{place}} is open to {tenant or 'every tenant'} as {{name}}")


@app.command("list")
def list_destinations(tenant: AnyTenant = None, as_json: JsonOption = False) -> None:
    """List what is open to all, and with --tenant also what is open to that tenant alone."""
    asked = api()
    found = asked.items(_path(None)) + (asked.items(_path(tenant)) if tenant else [])
    rows = found if as_json else [{**one, "for": tenant if one["tenant"] else "all"} for one in found]
    table(rows, "name", "place", "for", "set_by", "set_at", as_json=as_json)


@app.command("remove")
def remove_destination(name: str, tenant: ForTenant = None, as_json: JsonOption = False) -> None:
    """Close the destination NAME again; the next call that leads there is refused."""
    api().delete(_path(tenant, name))
    show({"name": name, "removed": True}, as_json=as_json, line="{name} is closed")


def _path(tenant: str | None, *rest: str) -> str:
    return "/".join(["destinations", *rest]) if tenant is None else of_tenant(tenant, "destinations", *rest)
