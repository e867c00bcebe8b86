"""`freehold message`."""

from typing import Annotated, Any

import typer

from freehold.cli.calling import api, of_tenant
from freehold.cli.options import JsonOption, LimitOption, TenantOption, WaitOption
from freehold.cli.showing import clean, note, show, table
from freehold.core.errors import FreeholdError

app = typer.Typer()


@app.command("send")
def send_message(
    agent: str,
    text: str,
    tenant: TenantOption,
    conversation: Annotated[str | None, typer.Option(help="Go on with this conversation.")] = None,
    wait: WaitOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Say TEXT to AGENT; with --wait show the reply."""
    body = {"text": text} | ({"conversation": conversation} if conversation else {})
    told = api().post(of_tenant(tenant, "agents", agent, "messages"), body, wait=wait)
    _show(told, tenant, as_json=as_json)


@app.command("show")
def show_message(message: str, tenant: TenantOption, as_json: JsonOption = False) -> None:
    """Show MESSAGE and its reply."""
    _show(api().get(of_tenant(tenant, "messages", message)), tenant, as_json=as_json)


@app.command("list")
def list_messages(agent: str, tenant: TenantOption, limit: LimitOption = 50, as_json: JsonOption = False) -> None:
    """List what was said to AGENT."""
    found = api().items(of_tenant(tenant, "agents", agent, "messages"), limit=limit)
    if as_json:
        show(found, as_json=True)
        return
    rows = [{**told["message"], "reply": (told.get("reply") or {}).get("text")} for told in found]
    table(rows, "id", "state", "conversation", "created_at", "text", "reply", as_json=False)


def _show(told: dict[str, Any], tenant: str, *, as_json: bool) -> None:
    message, reply, error = told["message"], told.get("reply"), told.get("error")
    if as_json:
        show(told, as_json=True)
    elif reply:
        print(clean(reply["text"]))
    else:
        run = told["run"]
        print(f"{message['id']} is {message['state']} (run {run['id']})")
        if run.get("waits_for") == "person":
            note(f"It waits for a person: `freehold approval list --tenant {tenant}` shows what is asked.")
    if error:
        raise FreeholdError(error["message"], code=error["code"], remedy=error.get("remedy", ""))
