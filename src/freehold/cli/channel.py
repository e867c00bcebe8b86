"""`freehold channel`."""

from typing import Annotated

import typer

from freehold.cli.calling import api, of_tenant
from freehold.cli.options import JsonOption, TenantOption
from freehold.cli.showing import show, table

app = typer.Typer()
create = typer.Typer()
app.add_typer(create, name="create", help="Create a channel of a kind.", no_args_is_help=True)


@create.command("webhook")
def create_webhook(
    name: str,
    tenant: TenantOption,
    agent: Annotated[str, typer.Option("--agent", "-a", help="Who answers.")],
    secret: Annotated[str, typer.Option("--secret", help="The secret that signs what comes in and goes out.")],
    reply_url: Annotated[str, typer.Option("--reply-url", help="Where replies are posted to.")],
    as_json: JsonOption = False,
) -> None:
    """Let messages come in by signed webhooks and post the replies back."""
    body = {"kind": "webhook", "name": name, "agent": agent, "secret": secret, "reply_url": reply_url}
    made = api().post(of_tenant(tenant, "channels"), body)
    show(made, as_json=as_json, line="{name} takes messages at /hooks/{id}")


@app.command("list")
def list_channels(tenant: TenantOption, as_json: JsonOption = False) -> None:
    """List channels."""
    table(api().items(of_tenant(tenant, "channels")), "name", "kind", "agent", "id", "created_at", as_json=as_json)
