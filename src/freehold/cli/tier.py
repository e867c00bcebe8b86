"""`freehold tier`."""

import math
from typing import Annotated, Any
from urllib.parse import quote

import typer

from freehold.cli.calling import api
from freehold.cli.options import JsonOption
from freehold.cli.showing import show, table
from freehold.core.errors import NotFound

app = typer.Typer()

LimitArguments = Annotated[list[str], typer.Argument(help="QUOTA=NUMBER, or QUOTA=inf for no limit.")]


@app.command("list")
def list_tiers(as_json: JsonOption = False) -> None:
    """List the tiers and what each allows."""
    found = api().get("tiers")["items"]
    if as_json:
        table(found, as_json=True)
        return
    quotas = [*found[0]["limits"]]
    table([_row(tier) for tier in found], "name", *quotas, as_json=False)


@app.command("show")
def show_tier(name: str, as_json: JsonOption = False) -> None:
    """Show what the tier NAME allows."""
    found = next((tier for tier in api().get("tiers")["items"] if tier["name"] == name), None)
    if found is None:
        raise NotFound(f"There is no tier {name!r}.", code="unknown_tier", remedy="`freehold tier list` shows all.")
    show(found if as_json else _row(found), as_json=as_json)


@app.command("set")
def set_tier(name: str, limits: LimitArguments, as_json: JsonOption = False) -> None:
    """Change the tier NAME, or make a new one: what is not said stays, and is without limit in a new one."""
    changed = api().put(f"tiers/{quote(name, safe='')}", {"limits": dict(_limit(one) for one in limits)})
    show(changed if as_json else _row(changed), as_json=as_json)


@app.command("reset")
def reset_tier(name: str, as_json: JsonOption = False) -> None:
    """Undo what was set for the tier NAME; one that does not ship with the platform is removed."""
    api().delete(f"tiers/{quote(name, safe='')}")
    show({"name": name, "reset": True}, as_json=as_json, line="{name} is as it shipped, or gone")


def _row(tier: dict[str, Any]) -> dict[str, Any]:
    return {"name": tier["name"]} | {name: "inf" if n is None else n for name, n in tier["limits"].items()}


def _limit(text: str) -> tuple[str, float | None]:
    name, _, value = text.partition("=")
    try:
        limit = float(value)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not QUOTA=NUMBER, such as agents=5 or agents=inf.") from error
    if math.isnan(limit):
        raise typer.BadParameter(f"{text!r} says nothing; use a number, or inf.")
    return name, None if math.isinf(limit) else limit
