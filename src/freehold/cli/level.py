"""`freehold level`."""

from typing import Annotated, Any

import typer

from freehold.cli.calling import api, of_tenant
from freehold.cli.options import JsonOption, OwnerOption, PlatformOption, owner
from freehold.cli.showing import show, table

app = typer.Typer()


@app.command("set")
def set_level(
    level: str,
    route: Annotated[str, typer.Argument(help="CONNECTION/MODEL.")],
    fallback: Annotated[
        list[str] | None, typer.Option("--fallback", help="Tried when those before it fail; may be said again.")
    ] = None,
    tenant: OwnerOption = None,
    platform: PlatformOption = False,
    as_json: JsonOption = False,
) -> None:
    """Let LEVEL (coordinator, executor, vision, embed, transcribe, speak) be done by ROUTE from the next call on."""
    told = api().put(_levels(owner(tenant, platform), level), {"routes": [route, *(fallback or [])]})
    show(told if as_json else _row(told), as_json=as_json, line="{level} goes to {routes}")


@app.command("list")
def list_levels(tenant: OwnerOption = None, platform: PlatformOption = False, as_json: JsonOption = False) -> None:
    """List which models do what, and who said so."""
    found = api().items(_levels(owner(tenant, platform)))
    rows = found if as_json else [_row(told) for told in found]
    table(rows, "level", "routes", "set_for", "set_by", "set_at", as_json=as_json)


@app.command("delete")
def delete_level(
    level: str, tenant: OwnerOption = None, platform: PlatformOption = False, as_json: JsonOption = False
) -> None:
    """Forget what was set for LEVEL; of a tenant, the platform's holds again."""
    api().delete(_levels(owner(tenant, platform), level))
    show({"level": level, "deleted": True}, as_json=as_json, line="{level} is as if nothing had been set here")


def _levels(tenant: str | None, *rest: str) -> str:
    return "/".join(["levels", *rest]) if tenant is None else of_tenant(tenant, "levels", *rest)


def _row(told: dict[str, Any]) -> dict[str, Any]:
    return told | {"routes": ", then ".join(told["routes"]), "set_for": "here" if told["own"] else "the platform"}
