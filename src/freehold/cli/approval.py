"""`freehold approval`."""

from typing import Annotated, Any

import typer

from freehold.cli.calling import Api, api, of_tenant
from freehold.cli.options import JsonOption, LimitOption, TenantOption
from freehold.cli.questions import beside, question
from freehold.cli.showing import note, show, table

app = typer.Typer()

HashOption = Annotated[
    str, typer.Option("--hash", help="What was shown to you; without it the question is shown and answered as it is.")
]


@app.command("list")
def list_approvals(
    tenant: TenantOption,
    state: Annotated[str | None, typer.Option(help="asked, approved, denied, expired; all: every one.")] = "asked",
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """List the questions that are open."""
    asked = None if state == "all" else state
    found = api().items(of_tenant(tenant, "approvals"), limit=limit, state=asked)
    rows = found if as_json else [approval | {"question": question(approval)} for approval in found]
    table(rows, "id", "state", "agent", "question", "kind", "run", "expires_at", as_json=as_json)


@app.command("show")
def show_approval(approval: str, tenant: TenantOption, as_json: JsonOption = False) -> None:
    """Show exactly what APPROVAL is about."""
    found = api().get(of_tenant(tenant, "approvals", approval))
    show(found, as_json=as_json)
    _say_beside(found, as_json=as_json)


@app.command("approve")
def approve(approval: str, tenant: TenantOption, hash_: HashOption = "", as_json: JsonOption = False) -> None:
    """Approve what was shown, once, and nothing else; the run goes on."""
    _decide(api(), tenant, approval, "approve", hash_, as_json=as_json)


@app.command("deny")
def deny(approval: str, tenant: TenantOption, hash_: HashOption = "", as_json: JsonOption = False) -> None:
    """Deny it; the agent is told and the run goes on."""
    _decide(api(), tenant, approval, "deny", hash_, as_json=as_json)


def _decide(platform: Api, tenant: str, approval: str, how: str, hash_: str, *, as_json: bool) -> None:
    if not hash_:
        hash_ = _shown(platform.get(of_tenant(tenant, "approvals", approval)), as_json=as_json)
    decided = platform.post(of_tenant(tenant, "approvals", approval, how), {"hash": hash_})
    show(decided, as_json=as_json, line="{id} is {state}")


def _shown(found: dict[str, Any], *, as_json: bool) -> str:
    if not as_json:
        more = [name for name in ("reason", "kind") if found[name]]
        named = ("agent", "connection", "operation", "arguments", "hash", *more)
        show({name: found[name] for name in named}, as_json=False)
    _say_beside(found, as_json=as_json)
    return str(found["hash"])


def _say_beside(approval: dict[str, Any], *, as_json: bool) -> None:
    for sentence in [] if as_json else beside(approval):
        note(sentence)
