"""`freehold account`."""

from typing import Annotated, Any

import typer

from freehold.cli.amounts import dollars, nano, percent, ppm
from freehold.cli.calling import api, of_tenant
from freehold.cli.options import JsonOption, TenantOption
from freehold.cli.showing import show

app = typer.Typer()


@app.command("show")
def show_account(tenant: TenantOption, as_json: JsonOption = False) -> None:
    """Show what a tenant is charged, what it paid in advance, and where its models may be."""
    _show(api().get(of_tenant(tenant, "account")), as_json=as_json)


@app.command("set")
def set_account(
    tenant: TenantOption,
    markup: Annotated[str | None, typer.Option(help="On what the platform's connections cost, such as 20%.")] = None,
    prepaid: Annotated[
        bool | None, typer.Option("--prepaid/--not-prepaid", help="Whether it spends only what it paid in advance.")
    ] = None,
    regions: Annotated[str | None, typer.Option(help="Where models may be, such as eu,de; `any` for anywhere.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Change what a tenant is charged, or where its models may be."""
    changes: dict[str, Any] = {} if markup is None else {"markup_ppm": ppm(markup)}
    changes |= {} if prepaid is None else {"prepaid": prepaid}
    if not changes and regions is None:
        raise typer.BadParameter("Say what to change: --markup, --prepaid or --regions.")
    told: dict[str, Any] = {}
    if regions is not None:
        wanted = [] if regions == "any" else [region.strip() for region in regions.split(",")]
        told = api().put(of_tenant(tenant, "regions"), {"regions": wanted})
    if changes:
        told = api().put(of_tenant(tenant, "account"), changes)
    _show(told, as_json=as_json)


@app.command("credit")
def add_credit(
    tenant: TenantOption,
    usd: Annotated[str, typer.Option(help="How much was paid, in dollars; less than nothing takes back.")],
    reference: Annotated[
        str, typer.Option(help="By what, such as an invoice's number; under one nothing is added twice.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Add to what a tenant paid in advance; it spends only that from then on."""
    body = {"nano": nano(usd, below=True), "reference": reference}
    _show(api().post(of_tenant(tenant, "account", "credit"), body), as_json=as_json)


def _show(told: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show(told, as_json=True)
        return
    shown = {"markup": percent(told["markup_ppm"]), "prepaid": "yes" if told["prepaid"] else "no"}
    if told["prepaid"]:
        shown |= {"credit": dollars(told["credit_nano"]), "credit left": dollars(told["credit_left_nano"])}
    show(shown | {"regions": ", ".join(told["regions"]) or "any"}, as_json=False)
