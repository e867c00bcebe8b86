"""`freehold secret`."""

import sys
from getpass import getpass

import typer

from freehold.cli.calling import api, of_tenant
from freehold.cli.options import JsonOption, OwnerOption, PlatformOption, owner
from freehold.cli.showing import show, table

app = typer.Typer()


@app.command("set")
def set_secret(
    name: str, tenant: OwnerOption = None, platform: PlatformOption = False, as_json: JsonOption = False
) -> None:
    """Keep a secret under NAME; its value is read from standard input or asked for, never from the command line."""
    path = _path(owner(tenant, platform))
    value = getpass(f"Value of {name}: ") if sys.stdin.isatty() else sys.stdin.read().removesuffix("\n")
    kept = api().post(path, {"name": name, "value": value})
    show(kept or {"name": name}, as_json=as_json, line="{name} is kept")


@app.command("list")
def list_secrets(tenant: OwnerOption = None, platform: PlatformOption = False, as_json: JsonOption = False) -> None:
    """List the names of secrets."""
    table(api().items(_path(owner(tenant, platform))), "name", "version", "set_by", "set_at", as_json=as_json)


@app.command("delete")
def delete_secret(
    name: str, tenant: OwnerOption = None, platform: PlatformOption = False, as_json: JsonOption = False
) -> None:
    """Forget the secret NAME."""
    api().delete(f"{_path(owner(tenant, platform))}/{name}")
    show({"name": name, "deleted": True}, as_json=as_json, line="{name} is forgotten")


def _path(tenant: str | None) -> str:
    return "secrets" if tenant is None else of_tenant(tenant, "secrets")
