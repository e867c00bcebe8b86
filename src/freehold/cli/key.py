"""`freehold key`."""

from typing import Annotated

import typer

from freehold.cli.calling import api, of_tenant
from freehold.cli.options import JsonOption, OwnerOption, PlatformOption, owner
from freehold.cli.showing import note, show, table

app = typer.Typer()

KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="The key's id, such as key_….")]


@app.command("create")
def create_key(
    scope: Annotated[list[str], typer.Option("--scope", help="NOUN:read|write|admin; may be said again.")],
    tenant: OwnerOption = None,
    platform: PlatformOption = False,
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    agent: Annotated[str | None, typer.Option(help="The one agent it is for, by name or id.")] = None,
    expires_days: Annotated[float | None, typer.Option("--expires-days", help="After how many days it ends.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make an API key; it is shown this once."""
    body = {"name": name, "scopes": scope, "agent": agent, "expires_in_days": expires_days}
    _show(api().post(_keys(owner(tenant, platform)), body), as_json=as_json)


@app.command("list")
def list_keys(tenant: OwnerOption = None, platform: PlatformOption = False, as_json: JsonOption = False) -> None:
    """List keys, without the keys themselves."""
    found = api().items(_keys(owner(tenant, platform)))
    columns = ("id", "name", "scopes", "agent", "created_by", "expires_at", "last_used_at", "revoked_at")
    table(found, *columns, as_json=as_json)


@app.command("rotate")
def rotate_key(
    key: KeyArgument,
    tenant: OwnerOption = None,
    platform: PlatformOption = False,
    overlap_hours: Annotated[float, typer.Option(help="For how long the old one works beside it.")] = 24.0,
    as_json: JsonOption = False,
) -> None:
    """Make a key with the same rights in place of KEY; it is shown this once."""
    at = _keys(owner(tenant, platform), key, "rotate")
    _show(api().post(at, {"overlap_hours": overlap_hours}), as_json=as_json)
    if not as_json:
        note(f"{key} works for {overlap_hours:g} more hours.")


@app.command("revoke")
def revoke_key(
    key: KeyArgument, tenant: OwnerOption = None, platform: PlatformOption = False, as_json: JsonOption = False
) -> None:
    """Revoke KEY at once."""
    api().delete(_keys(owner(tenant, platform), key))
    show({"id": key, "revoked": True}, as_json=as_json, line="{id} is revoked")


def _keys(tenant: str | None, *rest: str) -> str:
    return "/".join(["keys", *rest]) if tenant is None else of_tenant(tenant, "keys", *rest)


def _show(made: dict[str, object], *, as_json: bool) -> None:
    show(made, as_json=as_json, line="{key}")
    if not as_json:
        note(f"This is {made['id']}. Keep the key: it is not shown again.")
