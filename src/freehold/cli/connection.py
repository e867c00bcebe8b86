"""`freehold connection`."""

from typing import Annotated

import typer

from freehold.cli.calling import api, of_tenant
from freehold.cli.options import JsonOption, OwnerOption, PlatformOption, owner
from freehold.cli.showing import show, table

app = typer.Typer()
create = typer.Typer()
app.add_typer(create, name="create", help="Create a connection of a kind.", no_args_is_help=True)


@create.command("openai")
def create_openai(
    name: str,
    base_url: Annotated[str, typer.Option("--base-url", help="Where its API is, such as https://api.example.com/v1.")],
    secret: Annotated[str | None, typer.Option("--secret", help="The secret that holds its key.")] = None,
    tenant: OwnerOption = None,
    platform: PlatformOption = False,
    as_json: JsonOption = False,
) -> None:
    """Connect NAME to any provider that speaks OpenAI's chat completions."""
    body = {"kind": "openai", "name": name, "config": {"base_url": base_url}, "secret": secret}
    made = api().post(_path(owner(tenant, platform)), body)
    show(made, as_json=as_json, line="{name} is there as {id}; its models are called {name}/MODEL")


@app.command("list")
def list_connections(tenant: OwnerOption = None, platform: PlatformOption = False, as_json: JsonOption = False) -> None:
    """List connections."""
    table(api().items(_path(owner(tenant, platform))), "name", "kind", "config", "secret", as_json=as_json)


@app.command("delete")
def delete_connection(
    name: str, tenant: OwnerOption = None, platform: PlatformOption = False, as_json: JsonOption = False
) -> None:
    """Delete the connection NAME."""
    api().delete(f"{_path(owner(tenant, platform))}/{name}")
    show({"name": name, "deleted": True}, as_json=as_json, line="{name} is deleted")


def _path(tenant: str | None) -> str:
    return "connections" if tenant is None else of_tenant(tenant, "connections")
