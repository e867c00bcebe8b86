"""`freehold secret`."""

import sys
import time
from getpass import getpass
from typing import Annotated, Final

import typer

from freehold.cli.calling import api, of_tenant
from freehold.cli.options import JsonOption, OwnerOption, PlatformOption, owner
from freehold.cli.showing import counted, show, table
from freehold.core.errors import FreeholdError

app = typer.Typer()

LOOK_SECONDS: Final = 0.2


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


@app.command("rotate-key")
def rotate_key(
    tenant: OwnerOption = None,
    every: Annotated[bool, typer.Option("--all", help="Of every tenant, and of the platform.")] = False,
    master: Annotated[bool, typer.Option("--master", help="The master key, which wraps all others.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Replace a tenant's data key, all of them, or the master key; everything goes on meanwhile."""
    if (tenant is not None) + every + master != 1:
        raise typer.BadParameter("Say one of --tenant TENANT, --all and --master.")
    platform, path = api(), _path(tenant)
    stands = platform.post(f"{path}/rotate", {} if tenant else {"master": master})
    with counted("Replacing keys", as_json=as_json) as told:
        while stands["running"]:
            told(stands["done"], stands["total"])
            time.sleep(LOOK_SECONDS)
            stands = platform.get(f"{path}/rotation")
        told(stands["done"], stands["total"])
    if stands["code"]:
        raise FreeholdError(stands["message"], code=stands["code"], remedy=stands["remedy"])
    show(stands, as_json=as_json, line="Keys replaced: {keys}; sealed rows looked at: {done}.")


@app.command("scan")
def scan_secrets(as_json: JsonOption = False) -> None:
    """Compare all that lies in the vault with what was left there; exit with 1 where something was put back."""
    found = api().get("secrets/scan")
    if as_json:
        show(found, as_json=True)
    else:
        for fault in found["faults"]:
            print(f"{fault['tenant'] or 'platform'}: {fault['what']} is not as it was left")
        print(f"The vault of {found['owners']} owners was looked at; {len(found['faults'])} faults.")
    raise typer.Exit(1 if found["faults"] else 0)


def _path(tenant: str | None) -> str:
    return "secrets" if tenant is None else of_tenant(tenant, "secrets")
